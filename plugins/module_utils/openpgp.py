# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of OpenPGP public keys, without a gpg program on the host.

Only what a package repository's key needs: take the armour off (RFC 9580 section 6), walk through
the packets (section 4.2) and compute the fingerprint of every primary key (section 5.5.4).
Signatures are not checked here; the package manager does that with the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Iterator

_PUBLIC_KEY = 6
_SECRET_KEYS = (5, 7)

_BEGIN = re.compile(r"^-----BEGIN PGP ([A-Z ]+)-----\s*$", re.MULTILINE)


class OpenPGPError(ValueError):
    """The data is no key that can be used; the text says why."""


def normalize_fingerprint(text: str) -> str:
    """Return a fingerprint as 40 upper-case hexadecimal digits.

    Blanks, colons and a leading ``0x`` are taken off, as people copy them along.

    Raises:
        OpenPGPError: it is something else; the text says what a fingerprint looks like.
    """
    digits = re.sub(r"[\s:]", "", text)
    if digits[:2] in ("0x", "0X"):
        digits = digits[2:]
    if not re.match(r"^[0-9A-Fa-f]+$", digits):
        raise OpenPGPError("{0!r} is not a fingerprint; 40 hexadecimal digits are".format(text))
    if len(digits) == 64:
        raise OpenPGPError(
            "{0!r} is the fingerprint of a version 6 key, which is not supported; a version 4 "
            "key's has 40 hexadecimal digits".format(text)
        )
    if len(digits) != 40:
        hint = " (a key ID can be forged, the whole fingerprint cannot)"
        raise OpenPGPError(
            "{0!r} has {1} hexadecimal digits, a fingerprint has 40{2}".format(
                text, len(digits), hint if len(digits) in (8, 16) else ""
            )
        )
    return digits.upper()


def fingerprints(data: bytes) -> list[str]:
    """Return the fingerprints of the primary keys in a key file, in the file's order.

    Args:
        data: one or more public keys with their subkeys, user IDs and signatures; in ASCII armour
            or binary.

    Returns:
        list[str]: 40 upper-case hexadecimal digits each.

    Raises:
        OpenPGPError: there is no public key in it, a secret one, one of an unsupported version, or
            the data is cut off.
    """
    found = []
    for packet, body in _packets(dearmour(data)):
        if packet in _SECRET_KEYS:
            raise OpenPGPError("it holds a secret key; a public key is wanted")
        if packet == _PUBLIC_KEY:
            found.append(_fingerprint(body))
    if not found:
        raise OpenPGPError("it holds no public key")
    return found


def dearmour(data: bytes) -> bytes:
    """Return the packets of a key file; armoured blocks are joined, binary data stays as it is.

    The checksum at a block's end is not checked: RFC 9580 section 6.1 forbids to refuse a block for
    it, and the fingerprint is the better check.

    Raises:
        OpenPGPError: the data is neither armoured nor binary OpenPGP data.
    """
    if data[:1] and data[0] & 0x80:
        return data
    try:
        text = data.decode("ascii").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise OpenPGPError("it is not OpenPGP data") from None
    blocks = []
    position = 0
    while True:
        begin = _BEGIN.search(text, position)
        if begin is None:
            break
        kind = begin.group(1)
        if kind != "PUBLIC KEY BLOCK":
            raise OpenPGPError("it holds a PGP {0}; a PUBLIC KEY BLOCK is wanted".format(kind))
        end = text.find("-----END PGP PUBLIC KEY BLOCK-----", begin.end())
        if end < 0:
            raise OpenPGPError("it is cut off: the END line is missing")
        blocks.append(_block(text[begin.end() : end]))
        position = end
    if not blocks:
        raise OpenPGPError("it is not OpenPGP data: there is no BEGIN PGP PUBLIC KEY BLOCK line")
    return b"".join(blocks)


def armour(data: bytes) -> bytes:
    """Return a key file in ASCII armour; one that is armoured already is returned with its bytes.

    Raises:
        OpenPGPError: see :func:`dearmour`.
    """
    packets = dearmour(data)
    if packets is not data:
        return data
    lines = base64.b64encode(packets).decode("ascii")
    checksum = base64.b64encode(_crc24(packets).to_bytes(3, "big")).decode("ascii")
    return (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
        + "".join(lines[start : start + 64] + "\n" for start in range(0, len(lines), 64))
        + "="
        + checksum
        + "\n-----END PGP PUBLIC KEY BLOCK-----\n"
    ).encode("ascii")


def _block(text: str) -> bytes:
    """Return the data of one armoured block: what follows the headers, without the checksum."""
    lines = [line.strip() for line in text.strip("\n").split("\n")]
    while lines and (lines[0] == "" or ": " in lines[0] or lines[0].endswith(":")):
        lines.pop(0)
    body = "".join(line for line in lines if not line.startswith("="))
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise OpenPGPError("its armour holds something that is not base64") from None


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and body of each packet (RFC 9580 section 4.2)."""
    position = 0
    while position < len(data):
        header = data[position]
        if not header & 0x80:
            raise OpenPGPError("it is not OpenPGP data, or damaged")
        position += 1
        if header & 0x40:
            tag, first = header & 0x3F, _number(data, position, 1)
            position += 1
            if first < 192:
                length = first
            elif first < 224:
                length = ((first - 192) << 8) + _number(data, position, 1) + 192
                position += 1
            elif first == 255:
                length = _number(data, position, 4)
                position += 4
            else:
                # Partial lengths are for messages; a key's packets must not use them (4.2.1.4).
                raise OpenPGPError("it is not a key, or damaged")
        else:
            tag, kind = (header >> 2) & 0x0F, header & 0x03
            if kind == 3:
                raise OpenPGPError("it is not a key, or damaged")
            width = (1, 2, 4)[kind]
            length = _number(data, position, width)
            position += width
        if position + length > len(data):
            raise OpenPGPError("it is cut off")
        yield tag, data[position : position + length]
        position += length


def _number(data: bytes, position: int, width: int) -> int:
    """Return a big-endian number."""
    if position + width > len(data):
        raise OpenPGPError("it is cut off")
    return int.from_bytes(data[position : position + width], "big")


def _fingerprint(body: bytes) -> str:
    """Return the fingerprint of a version 4 public key packet (RFC 9580 section 5.5.4.2)."""
    version = body[0] if body else 0
    if version == 4 and len(body) > 0xFFFF:
        raise OpenPGPError("it is not a key, or damaged")
    if version != 4:
        raise OpenPGPError(
            "its key has version {0}, which is not supported; version 4 is".format(version)
        )
    # SHA-1 is what defines the fingerprint of a version 4 key; nothing else is meant by it here.
    digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body)
    return digest.hexdigest().upper()


def _crc24(data: bytes) -> int:
    """Return the checksum of ASCII armour (RFC 9580 section 6.1.1)."""
    crc = 0xB704CE
    for octet in data:
        crc ^= octet << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc
