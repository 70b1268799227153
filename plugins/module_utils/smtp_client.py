# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A conversation with an SMTP server that never sends a message.

Python's own client hides what a check wants to see: the greeting, replies of several lines, where a
connection broke. Everything is limited: the time of one answer and of the whole conversation, and the
length of what is read. Source: RFC 5321, RFC 3207.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import time
from typing import NamedTuple

# How a connection ended.
REFUSED = "refused"
TIMEOUT = "timeout"
UNREACHABLE = "unreachable"
CLOSED = "closed"
#: The server speaks something else.
PROTOCOL = "protocol"
#: TLS could not be agreed on.
TLS = "tls"

#: Seconds for one answer, and how many times that a whole conversation may take.
TIMEOUT_SECONDS = 10.0
LIMIT_FACTOR = 3

# RFC 5321 has 512 bytes for a line; some servers write more.
_MAX_LINE = 2048
_MAX_LINES = 100


class SmtpError(Exception):
    """The conversation ended early.

    Attributes:
        state: one of the words above.
    """

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state


class Reply(NamedTuple):
    """An answer: its code, and its lines without it."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Code and text in one line."""
        return "{0} {1}".format(self.code, " ".join(self.lines)).strip()

    @property
    def good(self) -> bool:
        """Whether the server agreed."""
        return 200 <= self.code < 400

    @property
    def temporary(self) -> bool:
        """Whether the server may agree later."""
        return 400 <= self.code < 500


def open_socket(address: str, port: int, timeout: float, source: str = "") -> socket.socket:
    """Connect to a port.

    Args:
        address: numeric address.
        port: the port.
        timeout: seconds to wait.
        source: own address to connect from; the system's choice when empty.

    Raises:
        SmtpError: there is no connection; its state says why.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    stream = socket.socket(family, socket.SOCK_STREAM)
    stream.settimeout(timeout)
    try:
        if source:
            stream.bind((source, 0))
        stream.connect((address, port))
    except OSError as error:
        stream.close()
        raise _error(error) from error
    return stream


def plain_context() -> ssl.SSLContext:
    """Return TLS settings that take any certificate: whether it is good is another question."""
    # Not create_default_context, which reads all authorities first: 25 ms, at each port again.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _error(error: OSError) -> SmtpError:
    text = error.strerror or str(error)
    if isinstance(error, ssl.SSLError):
        return SmtpError(TLS, "TLS failed: {0}".format(getattr(error, "reason", "") or text))
    if isinstance(error, socket.timeout):
        return SmtpError(TIMEOUT, "no answer in time")
    if error.errno == errno.ETIMEDOUT:
        return SmtpError(TIMEOUT, "no answer in time")
    if error.errno == errno.ECONNREFUSED:
        return SmtpError(REFUSED, "connection refused")
    if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED):
        return SmtpError(CLOSED, "the server closed the connection")
    return SmtpError(UNREACHABLE, text)


class Session:
    """A conversation; a context manager that says goodbye at its end.

    Args:
        address: numeric address of the server.
        port: its port.
        timeout: seconds for one answer.
        source: see :func:`open_socket`.
        tls: whether TLS comes first (port 465).
        name: the server's name, for TLS.

    Raises:
        SmtpError: no greeting came.
    """

    def __init__(
        self,
        address: str,
        port: int,
        timeout: float = TIMEOUT_SECONDS,
        source: str = "",
        tls: bool = False,
        name: str = "",
    ) -> None:
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout * LIMIT_FACTOR
        self._name = name
        self._buffer = b""
        self._socket = open_socket(address, port, timeout, source)
        try:
            self.source = str(self._socket.getsockname()[0])
            if tls:
                self._wrap()
            self.greeting = self._read()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_error: object) -> None:
        """Say goodbye, without waiting for an answer."""
        try:
            self._socket.settimeout(1)
            self._socket.sendall(b"QUIT\r\n")
        except OSError:
            pass
        self._socket.close()

    def command(self, line: str) -> Reply:
        """Send a line, and return the answer.

        Raises:
            SmtpError: none came.
            ValueError: the line is not one line of ASCII.
        """
        if not line.isascii() or not line.isprintable():
            raise ValueError("{0!r} is not one line of ASCII".format(line))
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(line.encode("ascii") + b"\r\n")
        except OSError as error:
            raise _error(error) from error
        return self._read()

    def hello(self, name: str) -> tuple[Reply, dict[str, str]]:
        """Greet; return the answer, and the server's features (in capitals) with their arguments.

        A server that does not know EHLO is greeted with HELO.
        """
        reply = self.command("EHLO " + name)
        if not reply.good and not reply.temporary:
            return self.command("HELO " + name), {}
        features: dict[str, str] = {}
        for line in reply.lines[1:]:
            # Some old ones write AUTH=LOGIN.
            word, _blank, rest = re.sub(r"^(AUTH)=", r"\1 ", line.strip(), flags=re.I).partition(
                " "
            )
            features[word.upper()] = rest.strip()
        return reply, features

    def start_tls(self) -> Reply:
        """Ask for TLS and begin it; the answer is not good when the server does not want it.

        Raises:
            SmtpError: TLS could not be agreed on.
        """
        reply = self.command("STARTTLS")
        if reply.code == 220:
            # What came before TLS must not be taken for what comes in it.
            self._buffer = b""
            self._wrap()
        return reply

    def _wrap(self) -> None:
        try:
            self._socket.settimeout(self._left())
            self._socket = plain_context().wrap_socket(
                self._socket, server_hostname=self._name or None
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                raise _error(error) from error
            raise SmtpError(TLS, str(error)) from error

    def _left(self) -> float:
        """Return how many seconds the next step may take.

        Raises:
            SmtpError: none are left.
        """
        left = min(self._timeout, self._deadline - time.monotonic())
        if left <= 0:
            raise SmtpError(TIMEOUT, "the conversation took too long")
        return left

    def _line(self) -> str:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _MAX_LINE:
                raise SmtpError(PROTOCOL, "a line without an end")
            try:
                self._socket.settimeout(self._left())
                part = self._socket.recv(4096)
            except OSError as error:
                raise _error(error) from error
            if not part:
                raise SmtpError(CLOSED, "the server closed the connection")
            self._buffer += part
        line, _end, self._buffer = self._buffer.partition(b"\n")
        text = line[:_MAX_LINE].decode("utf-8", "replace").rstrip("\r")
        return "".join(c if c.isprintable() else " " for c in text)

    def _read(self) -> Reply:
        lines = []
        for _number in range(_MAX_LINES):
            line = self._line()
            match = re.match(r"([2-5]\d\d)(?:([ -])(.*))?\Z", line)
            if match is None:
                raise SmtpError(PROTOCOL, "it says {0!r}".format(line[:100]))
            lines.append(match.group(3) or "")
            if match.group(2) != "-":
                return Reply(int(match.group(1)), tuple(lines))
        raise SmtpError(PROTOCOL, "an answer without an end")
