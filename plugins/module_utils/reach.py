# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who answers in the network: names, connections, packets, DNS servers, all asked at the same time.

:class:`Host` asks through here when it is the machine itself. Nothing here takes longer than its
limit: a thread that still waits for an answer then is left behind, and ends with the process.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Callable, Iterable, NamedTuple, Sequence, TypeVar

from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_message

#: Seconds for one connection or answer, and for everything that is asked at once. A name may take all
#: of the latter: the C library asks again after five seconds, and one lost packet is no failure.
TIMEOUT = 3.0
LIMIT = 8.0

# States of a reply.
OPEN = "open"  # connected, or answered
REFUSED = "refused"  # somebody said no: a reset, or an ICMP message that the port is closed
TIMED_OUT = "timeout"  # nothing came back
UNREACHABLE = "unreachable"  # no route, or somebody on the way said that there is none
FORBIDDEN = "forbidden"  # this process may not ask
UNTRUSTED = "untrusted"  # TLS could not be agreed on, or its certificate is not trusted

#: Every state that a reply can have.
STATES = (OPEN, REFUSED, TIMED_OUT, UNREACHABLE, FORBIDDEN, UNTRUSTED)

_REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)

# Seconds after which a packet is sent again: one lost packet is no filter.
_RESEND = 1.0

# The most that is read of an answer.
_READ = 4096

_ECHO_REQUEST, _ECHO_REPLY = 8, 0

Answer = TypeVar("Answer")


class Probe(NamedTuple):
    """A question to an address.

    Attributes:
        protocol: ``tcp``, ``udp``, or ``icmp`` for an echo request (IPv4).
        address: numeric address; ``port`` is 0 for ICMP.
        tunnel: request to an HTTP proxy at that address, said first; empty for none.
        tls: name that the server's certificate must have; empty for no TLS.
        send: what is said, or the packet.
        wait: whether the answer's first line is waited for (TCP).
        farewell: what is said before hanging up.
    """

    protocol: str
    address: str
    port: int = 0
    tunnel: bytes = b""
    tls: str = ""
    send: bytes = b""
    wait: bool = False
    farewell: bytes = b""

    @property
    def place(self) -> str:
        """The probe in one line, for example ``tcp [2001:db8::1]:443``."""
        where = "[{0}]" if ":" in self.address and self.port else "{0}"
        port = ":{0}".format(self.port) if self.port else ""
        return "{0} {1}{2}".format(self.protocol, where.format(self.address), port)


class Reply(NamedTuple):
    """What came of a probe.

    Attributes:
        state: one of :data:`STATES`.
        text: the first line of what was answered, or of the proxy's refusal.
        detail: the reason of a state other than ``open``; empty when there is nothing to say.
        data: the answer's bytes.
    """

    state: str
    text: str = ""
    detail: str = ""
    data: bytes = b""


class Question(NamedTuple):
    """A question to a DNS server.

    Attributes:
        server: its address.
        name, type: what is asked for.
        protocol: ``udp`` or ``tcp``.
        recursion: whether it shall ask others.
        authentic: whether it shall say that it has validated the answer.
        port: its port.
    """

    server: str
    name: str
    type: str
    protocol: str = "udp"
    recursion: bool = True
    authentic: bool = False
    port: int = 53

    @property
    def place(self) -> str:
        """The question in one line, as dig writes it: ``dns 192.0.2.53 udp . NS +norecurse``."""
        words = ["dns", self.server, self.protocol, self.name, self.type]
        words += [] if self.recursion else ["+norecurse"]
        return " ".join(words + (["+adflag"] if self.authentic else []))


class Said(NamedTuple):
    """What a DNS server said: a state as in :class:`Reply`, and the message when it is ``open``."""

    state: str
    message: dns_message.Message | None = None
    detail: str = ""


class Name(NamedTuple):
    """What the host's resolver makes of a name: addresses, or else the trouble in words."""

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    trouble: str = ""


def try_all(probes: Sequence[Probe], timeout: float = TIMEOUT, limit: float = LIMIT) -> list[Reply]:
    """Return what comes of each probe; all are tried at the same time.

    Args:
        probes: what to try.
        timeout: seconds for a connection, and again for each answer.
        limit: seconds for everything.
    """
    late = Reply(TIMED_OUT)
    return _all_at_once(lambda probe: _try(probe, timeout), probes, limit, late)


def ask_all(
    questions: Sequence[Question], timeout: float = TIMEOUT, limit: float = LIMIT
) -> list[Said]:
    """Return what each DNS server says; all are asked at the same time."""
    late = Said(TIMED_OUT)
    return _all_at_once(lambda question: _ask(question, timeout), questions, limit, late)


def look_up(names: Sequence[str], timeout: float = LIMIT) -> list[Name]:
    """Return the addresses of names, as programs on this host get them.

    Args:
        names: names or addresses.
        timeout: seconds for all of them; a resolver of dead servers takes far longer.
    """
    late = Name(trouble="does not resolve within {0:g} s".format(timeout))
    return _all_at_once(_look_up, names, timeout, late)


def _all_at_once(
    ask: Callable[[Any], Answer], items: Sequence[Any], limit: float, late: Answer
) -> list[Answer]:
    """Ask for each item in a thread of its own; ``late`` is the answer of those that take longer."""
    import threading
    import time

    found: dict[int, Answer] = {}

    def work(number: int, item: Any) -> None:
        found[number] = ask(item)

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(items)]
    end = time.monotonic() + limit
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    # A copy: late threads still write into the original.
    done = dict(found)
    return [done.get(number, late) for number in range(len(items))]


def _try(probe: Probe, timeout: float) -> Reply:
    """Return what comes of one probe."""
    try:
        if probe.protocol == "tcp":
            return _connect(probe, timeout)
        if probe.protocol == "udp":
            return _exchange(probe, timeout)
        return _ping(probe, timeout)
    except OSError as error:
        return _failure(error)
    except ImportError as error:  # a Python built without OpenSSL
        return Reply(FORBIDDEN, detail=str(error))


def _failure(error: OSError) -> Reply:
    """Return the reply that an error of a socket means."""
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return Reply(TIMED_OUT)
    detail = error.strerror or str(error) or type(error).__name__
    return Reply(REFUSED if error.errno in _REFUSALS else UNREACHABLE, detail=detail)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _connect(probe: Probe, timeout: float) -> Reply:
    """Connect over TCP, and say and read what the probe wants."""
    stream = socket.socket(_family(probe.address), socket.SOCK_STREAM)
    try:
        stream.settimeout(timeout)
        stream.connect((probe.address, probe.port))
        if probe.tunnel:
            stream.sendall(probe.tunnel)
            head = _read_until(stream, b"\r\n\r\n")
            if not _is_success(head):
                return Reply(REFUSED, _first_line(head), "", head)
            if not (probe.tls or probe.send or probe.wait):
                return Reply(OPEN, _first_line(head), "", head)
        if probe.tls:
            try:
                stream = _encrypt(stream, probe.tls)
            except ValueError as error:  # ssl's errors, see _encrypt
                return Reply(UNTRUSTED, detail=str(error))
        data = b""
        if probe.send:
            stream.sendall(probe.send)
        if probe.wait:
            data = _read_greeting(stream)
        if probe.farewell:
            _say_farewell(stream, probe.farewell)
        return Reply(OPEN, _first_line(data), "", data)
    finally:
        stream.close()


def _encrypt(stream: socket.socket, name: str) -> socket.socket:
    """Agree on TLS.

    Raises:
        ValueError: it is not agreed on; the text says why.
    """
    import ssl

    try:
        return ssl.create_default_context().wrap_socket(stream, server_hostname=name)
    except ssl.CertificateError as error:
        text = getattr(error, "verify_message", "") or str(error)
        raise ValueError("its certificate is not trusted: {0}".format(text)) from error
    except ssl.SSLError as error:
        raise ValueError("no TLS: {0}".format(error.reason or error)) from error


def _read_until(stream: socket.socket, end: bytes) -> bytes:
    """Return what is sent up to ``end``, or up to the end of the connection."""
    data = b""
    while end not in data and len(data) < _READ:
        piece = stream.recv(_READ)
        if not piece:
            break
        data += piece
    return data


def _read_greeting(stream: socket.socket) -> bytes:
    """Return the first line that is sent; nothing when none comes in time."""
    try:
        return _read_until(stream, b"\n")
    except socket.timeout:
        return b""


def _say_farewell(stream: socket.socket, text: bytes) -> None:
    """Say goodbye; who has hung up already does not mind."""
    import contextlib

    with contextlib.suppress(OSError):
        stream.sendall(text)


def _first_line(data: bytes) -> str:
    text = data.partition(b"\n")[0].decode("utf-8", "replace").strip()
    return "".join(character for character in text if character.isprintable())[:200]


def _is_success(head: bytes) -> bool:
    """Tell whether an HTTP answer has a status of the 200s."""
    fields = head.split(None, 2)
    return len(fields) >= 2 and fields[0].startswith(b"HTTP/") and fields[1][:1] == b"2"


def _exchange(probe: Probe, timeout: float) -> Reply:
    """Send a packet over UDP and wait for one that comes back."""
    with socket.socket(_family(probe.address), socket.SOCK_DGRAM) as packets:
        # Connected, so that the kernel tells of ICMP messages and takes no packet of anybody else.
        packets.connect((probe.address, probe.port))
        data = _until_answered(packets, probe.send, timeout, lambda data: data)
    return Reply(OPEN, _first_line(data), "", data)


def _until_answered(
    packets: socket.socket, data: bytes, timeout: float, accept: Callable[[bytes], bytes | None]
) -> bytes:
    """Send a packet each second until one comes that is accepted.

    Raises:
        OSError: none came in time (``socket.timeout``), or the network refused.
    """
    import time

    end = time.monotonic() + timeout
    again = 0.0
    while True:
        now = time.monotonic()
        if now >= end:
            raise socket.timeout
        if now >= again:
            packets.send(data)
            again = now + _RESEND
        packets.settimeout(max(0.001, min(again, end) - now))
        try:
            answer = accept(packets.recv(_READ * 16))
        except socket.timeout:
            continue
        if answer is not None:
            return answer


def _ping(probe: Probe, timeout: float) -> Reply:
    """Send ICMP echo requests and wait for a reply."""
    import os

    identity = int.from_bytes(os.urandom(2), "big")
    token = os.urandom(16)
    try:
        packets = _icmp_socket()
    except PermissionError as error:
        return Reply(FORBIDDEN, detail=error.strerror)
    with packets:
        packets.connect((probe.address, 0))

        def accept(packet: bytes) -> bytes | None:
            # A raw socket gives the IP header too, and every ICMP message of that host.
            head = (packet[0] & 0x0F) * 4 if packet and packet[0] >> 4 == 4 else 0
            body = packet[head:]
            return body if body[:1] == bytes((_ECHO_REPLY,)) and body[8:] == token else None

        _until_answered(packets, _echo_request(identity, token), timeout, accept)
    return Reply(OPEN)


def _icmp_socket() -> socket.socket:
    """Return a socket for ICMP: of the kind that everybody may have, else root's.

    Raises:
        PermissionError: neither is allowed.
    """
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    except OSError:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def _echo_request(identity: int, token: bytes) -> bytes:
    """Return an echo request (RFC 792)."""
    import struct

    head = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, identity, 1)
    total = sum(struct.unpack("!{0}H".format((len(head) + len(token)) // 2), head + token))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", _ECHO_REQUEST, 0, total ^ 0xFFFF, identity, 1) + token


def _ask(question: Question, timeout: float) -> Said:
    """Return what one DNS server says."""
    import os

    identity = int.from_bytes(os.urandom(2), "big")
    try:
        data = dns_message.question(
            question.name, question.type, identity, question.recursion, question.authentic
        )
        if question.protocol == "tcp":
            message = _ask_tcp(question, data, timeout)
        else:
            message = _ask_udp(question, data, timeout)
    except OSError as error:
        reply = _failure(error)
        return Said(reply.state, None, reply.detail)
    except ValueError as error:
        return Said(UNREACHABLE, None, "no answer of a DNS server: {0}".format(error))
    if message.identity != identity:
        return Said(UNREACHABLE, None, "the answer belongs to another question")
    return Said(OPEN, message)


def _ask_udp(question: Question, data: bytes, timeout: float) -> dns_message.Message:
    def accept(packet: bytes) -> bytes | None:
        # Whoever guesses does not know the number: such packets are no answer.
        return packet if packet[:2] == data[:2] else None

    with socket.socket(_family(question.server), socket.SOCK_DGRAM) as packets:
        packets.connect((question.server, question.port))
        return dns_message.decode(_until_answered(packets, data, timeout, accept))


def _ask_tcp(question: Question, data: bytes, timeout: float) -> dns_message.Message:
    with socket.socket(_family(question.server), socket.SOCK_STREAM) as stream:
        stream.settimeout(timeout)
        stream.connect((question.server, question.port))
        stream.sendall(len(data).to_bytes(2, "big") + data)
        size = int.from_bytes(_read_exactly(stream, 2), "big")
        return dns_message.decode(_read_exactly(stream, size))


def _read_exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = stream.recv(size - len(data))
        if not piece:
            raise ValueError("the connection ended")
        data += piece
    return data


def _look_up(name: str) -> Name:
    """Return the addresses of one name."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        # No name server answers, or it could not find out; the rest means that there is no address.
        if error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM):
            return Name(trouble="does not resolve: no answer from the name servers")
        return Name(trouble="does not resolve")
    except UnicodeError:
        return Name(trouble="is no name that the DNS can have")
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return by_family(addresses)


def by_family(addresses: Iterable[str]) -> Name:
    """Return addresses, sorted by family."""
    addresses = list(addresses)
    return Name(
        tuple(address for address in addresses if ":" not in address),
        tuple(address for address in addresses if ":" in address),
    )
