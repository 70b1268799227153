# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounces in root's mailbox on the server, which nobody reads.

Source: RFC 3464 (delivery status notifications) and mbox(5).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

#: Where local mail for root ends, unless an alias leads it elsewhere.
PLACES = ("/var/mail/root", "/var/spool/mail/root", "/root/Mailbox")
MAILDIRS = ("/root/Maildir/new", "/root/Maildir/cur")

#: As many bounces are returned, the newest.
KEPT = 100
# More files of a Maildir are not opened, and no more of each is read.
_FILES = 2000
_FILE_BYTES = 65536
_MAX_LINE = 8192

_FIELD = re.compile(
    rb"(Final-Recipient|Status|Diagnostic-Code|Arrival-Date):[ \t]*([^\n]{0,1000})", re.IGNORECASE
)


class Mailbox(NamedTuple):
    """What is in root's mailbox.

    Attributes:
        path: file or directory; empty when there is none.
        size: bytes.
        messages: number of messages.
        bounces: how many of them are from a mail server about mail that was not delivered.
        failures: the newest of these: recipient, dsn and reason, as far as they are told.
        trouble: why it could not be read; empty otherwise.
    """

    path: str
    size: int
    messages: int
    bounces: int
    failures: tuple[dict[str, str], ...]
    trouble: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        return dict(self._asdict(), failures=list(self.failures))


class _Collector:
    """Counts messages and bounces from lines."""

    def __init__(self) -> None:
        from collections import deque

        self.messages = 0
        self.bounces = 0
        self.failures: Any = deque(maxlen=KEPT)
        self._is_bounce = False
        self._fields: dict[str, str] = {}

    def begin(self) -> None:
        """Begin a message."""
        self.end()
        self.messages += 1

    def bounce(self) -> None:
        """The message is one of a mail server."""
        if not self._is_bounce:
            self._is_bounce = True
            self.bounces += 1

    def line(self, line: bytes) -> None:
        """Take a line of the message."""
        lower = line[:40].lower()
        if lower.startswith((b"from: mailer-daemon", b"return-path: <>")) or (
            lower.startswith(b"from:") and b"mailer-daemon@" in line.lower()
        ):
            self.bounce()
            return
        match = _FIELD.match(line) if self._is_bounce and b":" in line[:16] else None
        if match is None:
            return
        name = match.group(1).lower()
        value = match.group(2).strip().decode("utf-8", "replace")
        value = "".join(c if c.isprintable() else " " for c in value)
        if name == b"final-recipient":
            self._keep()
            self._fields["to"] = value.partition(";")[2].strip() or value
        elif name == b"status":
            self._fields["dsn"] = value
        elif name == b"diagnostic-code":
            self._fields["reason"] = value.partition(";")[2].strip() or value

    def _keep(self) -> None:
        if self._fields.get("to"):
            self.failures.append(
                {key: self._fields.get(key, "") for key in ("to", "dsn", "reason")}
            )
        self._fields = {}

    def end(self) -> None:
        """End a message."""
        self._keep()
        self._is_bounce = False


def read(host: Host) -> Mailbox:
    """Return what is in root's mailbox, however large it is."""
    for path in dict.fromkeys(host.realpath(path) for path in PLACES):
        status = host.stat(path)
        if status is not None and status.st_size and not host.isdir(path):
            return _read_mbox(host, path, status.st_size)
    names = [place + "/" + name for place in MAILDIRS for name in host.listdir(place)]
    return _read_maildir(host, names) if names else Mailbox("", 0, 0, 0, ())


def _read_mbox(host: Host, path: str, size: int) -> Mailbox:
    collector = _Collector()
    rest = b""
    trouble = ""
    try:
        for block in host.blocks(path):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()[:_MAX_LINE]
            for line in lines:
                if line.startswith(b"From "):
                    collector.begin()
                    if line[5:].lower().startswith((b"mailer-daemon", b"<>")):
                        collector.bounce()
                else:
                    collector.line(line)
        collector.line(rest)
    except HostError as error:
        trouble = str(error)
    collector.end()
    return Mailbox(
        path, size, collector.messages, collector.bounces, tuple(collector.failures), trouble
    )


def _read_maildir(host: Host, names: list[str]) -> Mailbox:
    collector = _Collector()
    size = 0
    for name in names[-_FILES:]:
        status = host.stat(name)
        size += status.st_size if status else 0
        collector.begin()
        for line in (host.read_bytes(name, _FILE_BYTES) or b"").split(b"\n"):
            collector.line(line)
    collector.end()
    return Mailbox(
        MAILDIRS[0].rpartition("/")[0],
        size,
        len(names),
        collector.bounces,
        tuple(collector.failures),
    )
