# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of the DNS, as far as a look from a bare host needs them (RFC 1035, RFC 6891).

A managed host has no DNS library. What is asked there is simple: whether a server answers, what it
says about itself in the header, and a few kinds of record.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "TXT": 16, "AAAA": 28}
_TYPE_NAMES = {number: name for name, number in TYPES.items()}
_CLASS_IN = 1
_TYPE_OPT = 41

#: Names of response codes (RFC 1035, section 4.1.1).
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")

# Bits of the header's second word; AD is RFC 4035, section 3.2.3.
_RESPONSE = 0x8000
_AUTHORITATIVE = 0x0400
_TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_RECURSION_AVAILABLE = 0x0080
_AUTHENTIC = 0x0020

_MAX_LABEL = 63
_MAX_NAME = 253


class Record(NamedTuple):
    """A record: ``value`` is an address, a name without a dot at the end, or joined strings."""

    name: str
    type: str
    value: str


class Message(NamedTuple):
    """What a message says.

    Attributes:
        identity: the number that the question and its answer share.
        response: whether it is an answer.
        rcode: one of :data:`RCODES`, or ``RCODE 9`` for another.
        authoritative, truncated, recursion_available: bits of the header.
        authenticated: whether the server says that it has validated the answer (DNSSEC).
        name, type: the question.
        answers: the records of the answer whose type is one of :data:`TYPES`.
    """

    identity: int
    response: bool
    rcode: str
    authoritative: bool = False
    truncated: bool = False
    recursion_available: bool = False
    authenticated: bool = False
    name: str = ""
    type: str = ""
    answers: tuple[Record, ...] = ()


def question(
    name: str,
    type_: str,
    identity: int,
    recursion: bool = True,
    authentic: bool = False,
    payload: int = 1232,
) -> bytes:
    """Return the message that asks for records.

    Args:
        name: name asked for; ``.`` is the root.
        type_: one of :data:`TYPES`.
        identity: number from 0 to 65535 that the answer must repeat.
        recursion: whether the server shall ask others.
        authentic: whether it shall say that it has validated the answer (RFC 6840, section 5.7).
        payload: largest answer that is taken over UDP, in bytes; 0 sends no EDNS.

    Raises:
        ValueError: a name that the DNS cannot have.
    """
    flags = (_RECURSION_DESIRED if recursion else 0) | (_AUTHENTIC if authentic else 0)
    head = struct.pack("!6H", identity, flags, 1, 0, 0, 1 if payload else 0)
    asked = _encode_name(name) + struct.pack("!2H", TYPES[type_], _CLASS_IN)
    extension = b"\0" + struct.pack("!2HIH", _TYPE_OPT, payload, 0, 0) if payload else b""
    return head + asked + extension


def _encode_name(name: str) -> bytes:
    """Return a name as the wire has it."""
    name = name.rstrip(".")
    labels = name.split(".") if name else []
    good = all(0 < len(label) <= _MAX_LABEL for label in labels)
    if not good or len(name) > _MAX_NAME or not name.isascii():
        raise ValueError("{0!r} is no name that the DNS can have".format(name))
    raw = [label.encode("ascii") for label in labels]
    return b"".join(bytes((len(label),)) + label for label in raw) + b"\0"


def decode(data: bytes) -> Message:
    """Return what a message says.

    Raises:
        ValueError: the bytes are no whole message.
    """
    try:
        return _decode(data)
    except (struct.error, IndexError) as error:
        raise ValueError("the message ends in the middle") from error


def _decode(data: bytes) -> Message:
    identity, flags, questions, answers = struct.unpack_from("!4H", data)
    struct.unpack_from("!2H", data, 8)
    place = 12
    name = type_ = ""
    for _number in range(questions):
        name, place = _name(data, place)
        kind, _class = struct.unpack_from("!2H", data, place)
        type_ = _TYPE_NAMES.get(kind, str(kind))
        place += 4
    records = []
    for _number in range(answers):
        owner, place = _name(data, place)
        kind, _class, _ttl, length = struct.unpack_from("!2HIH", data, place)
        place += 10
        if place + length > len(data):
            raise ValueError("the message ends in the middle")
        if kind in _TYPE_NAMES:
            value = _value(data, place, length, _TYPE_NAMES[kind])
            records.append(Record(owner, _TYPE_NAMES[kind], value))
        place += length
    rcode = flags & 0x000F
    return Message(
        identity=identity,
        response=bool(flags & _RESPONSE),
        rcode=RCODES[rcode] if rcode < len(RCODES) else "RCODE {0}".format(rcode),
        authoritative=bool(flags & _AUTHORITATIVE),
        truncated=bool(flags & _TRUNCATED),
        recursion_available=bool(flags & _RECURSION_AVAILABLE),
        authenticated=bool(flags & _AUTHENTIC),
        name=name,
        type=type_,
        answers=tuple(records),
    )


def _name(data: bytes, place: int) -> tuple[str, int]:
    """Return the name at a place, and the place behind it."""
    labels: list[str] = []
    behind = -1
    while True:
        length = data[place]
        if length & 0xC0 == 0xC0:
            target = struct.unpack_from("!H", data, place)[0] & 0x3FFF
            behind = place + 2 if behind < 0 else behind
            # Forward or to itself would be a loop.
            if target >= place:
                raise ValueError("a name in the message points forward")
            place = target
            continue
        if length > _MAX_LABEL:
            raise ValueError("a label in the message has an unknown type")
        place += 1
        if not length:
            break
        if place + length > len(data):
            raise ValueError("the message ends in the middle")
        labels.append(data[place : place + length].decode("ascii", "backslashreplace").lower())
        if sum(map(len, labels)) + len(labels) > _MAX_NAME + 1:
            raise ValueError("a name in the message is too long")
        place += length
    return ".".join(labels) or ".", place if behind < 0 else behind


def _value(data: bytes, place: int, length: int, type_: str) -> str:
    """Return the value of a record as text."""
    raw = data[place : place + length]
    if type_ in ("A", "AAAA"):
        import ipaddress

        if len(raw) != (4 if type_ == "A" else 16):
            raise ValueError("an address in the message has {0} bytes".format(len(raw)))
        return str(ipaddress.ip_address(raw))
    if type_ == "TXT":
        strings = []
        while raw:
            size = raw[0]
            if size >= len(raw):
                raise ValueError("a text in the message ends in the middle")
            strings.append(raw[1 : size + 1].decode("utf-8", "replace"))
            raw = raw[size + 1 :]
        return "".join(strings)
    return _name(data, place)[0]
