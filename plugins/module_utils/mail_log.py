# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log lines of Postfix, sendmail and qmail as deliveries.

A :class:`Reader` is given the bytes of logs, oldest first, and yields a :class:`Delivery` for each
attempt and each refusal, and a :class:`Trouble` for what stops a daemon. Who sent a message and who
gets it stand in different lines. They are joined by queue id in tables of limited size, so that a log
of any length takes the same memory.

Sources: bounce(8), qmgr(8), smtp(8) and smtpd(8) of Postfix; the sendmail operations guide, section
2.1; qmail-log(5) and splogger(8) of notqmail; tai64n(8) of daemontools.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, Iterable, Iterator, NamedTuple, Union

SENT = "sent"
DEFERRED = "deferred"
BOUNCED = "bounced"
EXPIRED = "expired"
REJECTED = "rejected"
QUEUED = "queued"

#: Every status: delivered, to be tried again, given up at once, given up after days, not taken from
#: a client, and put into the queue without an attempt (sendmail).
STATUSES = (SENT, DEFERRED, BOUNCED, EXPIRED, REJECTED, QUEUED)

#: What is remembered of messages whose end has not been seen. A busy server has a few thousand.
JOINED = 50000

#: Longer lines are cut. Postfix and syslog daemons cut at 2 and 8 KiB.
MAX_LINE = 8192

# A line is looked at closer when one of these stands in it. Two thirds of a busy server's lines have
# none.
_WORDS = (
    b": to=",
    b": from=",
    b"eject",
    b"delivery ",
    b" msg ",
    b"fatal: ",
    b"panic: ",
    b"alert: ",
    b"SYSERR",
    b"warning: trouble",
    b"status: exiting",
    b"loops back to myself",
)

# Every repetition is bounded or ends at a character that it cannot contain: no line takes longer than
# its length.
_POSTFIX = re.compile(
    rb"/([a-z-]{1,20})\[\d{1,10}\]: ([0-9A-Za-z]{5,20}): (to|from)=<([^>\n]{0,512})>, "
)
_POSTFIX_TO = re.compile(
    rb"(?:orig_to=<([^>\n]{0,512})>, )?relay=([^,\n]{0,512}), (?:conn_use=\d{1,9}, )?"
    rb"delay=[\d.]{1,20}, (?:delays=[\d./]{1,80}, )?dsn=(\d\.\d{1,3}\.\d{1,3}), "
    rb"status=([a-z-]{1,20})(?: \((.*)\))?"
)
_POSTFIX_EXPIRED = re.compile(rb"status=(?:force-)?expired, (.{0,200})")
_POSTFIX_REJECT = re.compile(
    rb"/[a-z-]{1,20}\[\d{1,10}\]: ([0-9A-Za-z]{5,20}): (?:milter-)?reject: "
    rb"[A-Z-]{1,20} from ([^ \n]{1,320}): (\d{3}) (?:(\d\.\d{1,3}\.\d{1,3}) )?(.*)"
)
_POSTFIX_TROUBLE = re.compile(
    rb"/([a-z-]{1,20})\[\d{1,10}\]: (?:[0-9A-Za-z]{5,20}: )?"
    rb"((?:fatal|panic): .{1,500}|warning: mail for .{1,255} loops back to myself)"
)
_ENVELOPE = re.compile(rb"from=<([^>\n]{0,512})>,? to=<([^>\n]{0,512})>|from=<([^>\n]{0,512})>")

# The seeds' copies have <pid> for [pid].
_SENDMAIL = re.compile(rb"[\]>]: ([0-9A-Za-z]{12,20}): ((?:to|from|ruleset|SYSERR)[=(].*)")
_SENDMAIL_NAME = re.compile(rb"(?:sendmail|sm-mta|sm-msp|sm-que)[\w-]{0,20}[\[<]\d{1,10}[\]>]: ")
_SYSERR = re.compile(rb"SYSERR(?:\([^)\n]{0,80}\))?: .{1,500}")

_QMAIL = re.compile(
    rb"(?:@[0-9a-f]{24} |qmail[\w-]{0,20}(?:\[\d{1,10}\])?: (?:\d{9,11}\.\d{1,9} )?|^(?:\S{19,40} )?)"
    rb"(starting delivery \d|delivery \d|info msg \d|end msg \d|status: exiting|alert: |"
    rb"warning: trouble )"
)
_QMAIL_START = re.compile(
    rb"starting delivery (\d{1,12}): msg (\d{1,20}) to (local|remote) (\S{0,512})"
)
_QMAIL_END = re.compile(rb"delivery (\d{1,12}): (success|failure|deferral): (.*)")
_QMAIL_INFO = re.compile(rb"info msg (\d{1,20}): bytes \d{1,20} from <([^>\n]{0,512})>")
_QMAIL_PEER = re.compile(
    r"(?:(?:Connected_to|but)_)?(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})_"
)
_QMAIL_CODE = re.compile(r"\(?#(\d\.\d{1,3}\.\d{1,3})\)?")
_SAID_CODE = re.compile(r"(?:^|[ :_-])(\d\d\d)[ _-](\d\.\d{1,3}\.\d{1,3})(?![\d.])")
_QMAIL_STATUS = {b"success": SENT, b"deferral": DEFERRED, b"failure": BOUNCED}

_DSN = re.compile(rb", dsn=(\d\.\d{1,3}\.\d{1,3})")
_SENDMAIL_REJECT = re.compile(rb"reject=(\d{3}) (?:(\d\.\d{1,3}\.\d{1,3}) )?(.*)")

_STAMP = re.compile(
    rb"@([0-9a-f]{16})[0-9a-f]{8}"
    rb"|(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d{1,9})? ?(Z|[+-]\d\d:?\d\d)?"
    rb"|(\d{9,11})(?:\.\d{1,9})?(?= )"
    rb"|(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)"
)
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DAY = 86400.0

# TAI64 counts from 2^62 at the beginning of 1970; daemontools has no table of leap seconds.
_TAI64 = (1 << 62) + 10


class Delivery(NamedTuple):
    """One attempt to deliver a message to one recipient, or a recipient that a client was refused.

    Attributes:
        time: seconds since the epoch; None when the line has no time that can be read.
        queue_id: the message's name in the queue; ``NOQUEUE`` when it never got there. qmail uses
            the same number again for a later message.
        sender: address in the envelope, ``<>`` for a bounce, empty when it is not known.
        recipient: address in the envelope.
        relay: server that was spoken to, or the client when ``status`` is ``rejected``.
        dsn: enhanced status code (RFC 3463), such as ``4.4.1``; of a kind such as ``4.0.0`` when
            the line has none.
        status: one of :data:`STATUSES`.
        reason: what the other side or the daemon said.
        mta: ``postfix``, ``sendmail`` or ``qmail``.
        local: whether the message stays on this server.
    """

    time: float | None
    queue_id: str
    sender: str
    recipient: str
    relay: str
    dsn: str
    status: str
    reason: str
    mta: str
    local: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the delivery as ``exit_json`` takes it, its time as UTC in ISO 8601."""
        return {
            "time": iso(self.time),
            "queue_id": self.queue_id,
            "from": self.sender,
            "to": self.recipient,
            "relay": self.relay,
            "dsn": self.dsn,
            "status": self.status,
            "reason": self.reason,
            "mta": self.mta,
            "local": self.local,
        }


class Trouble(NamedTuple):
    """A line in which a daemon says that it cannot go on, or not with a message."""

    time: float | None
    mta: str
    text: str


Entry = Union[Delivery, Trouble]


def iso(when: float | None) -> str:
    """Return a time as UTC in ISO 8601, such as ``2026-01-01T00:00:00Z``; empty for None."""
    import time

    if when is None:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case; empty when it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


class Clock:
    """Reads the time that a line begins with.

    Args:
        reference: seconds since the epoch that no line is later than. Traditional syslog has no
            year; it is the last one that does not lead beyond this time.
    """

    def __init__(self, reference: float) -> None:
        import time

        self._reference = reference
        self._year = time.localtime(reference).tm_year
        # Many lines have the same second.
        self._text = b"\0"
        self._time: float | None = None

    def read(self, line: bytes) -> float | None:
        """Return the time of a line in seconds since the epoch; None when it has none.

        TAI64N, ISO 8601, seconds since the epoch, and traditional syslog are known. A time without
        a zone is local.
        """
        if line.startswith(self._text):
            return self._time
        match = _STAMP.match(line)
        if match is None:
            return None
        try:
            self._time = self._seconds(match)
        except (OverflowError, ValueError):
            return None
        self._text = match.group()
        return self._time

    def _seconds(self, match: re.Match[bytes]) -> float | None:
        import calendar
        import time

        tai, year, month, day, hour, minute, second, zone, epoch, name = match.groups()[:10]
        if tai:
            seconds = int(tai, 16) - _TAI64
            # What no clock says is no time.
            return float(seconds) if 0 <= seconds < 1 << 36 else None
        if epoch:
            return float(epoch)
        if year:
            parts = (int(year), int(month), int(day), int(hour), int(minute), int(second), 0, 0, -1)
            if not 1 <= parts[1] <= 12:
                return None
            if not zone:
                return time.mktime(parts)
            seconds = calendar.timegm(parts)
            if zone != b"Z":
                digits = zone[1:].replace(b":", b"")
                offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60
                seconds -= offset if zone.startswith(b"+") else -offset
            return float(seconds)
        day, hour, minute, second = (int(part) for part in match.groups()[10:])
        clock = (_MONTHS.index(name) + 1, day, hour, minute, second, 0, 0, -1)
        # A clock may be a little ahead of the file's time.
        found = time.mktime((self._year,) + clock)
        if found > self._reference + _DAY:
            found = time.mktime((self._year - 1,) + clock)
        return found


class Reader:
    """Turns logs into deliveries.

    Args:
        recipient: only deliveries to this address, or this domain when it has no local part; all
            when empty.
        queue_id: only deliveries of this message; all when empty.
        since: only what is not older, in seconds since the epoch; everything when None.
        joined: how many messages, and how many deliveries of qmail, are remembered.
    """

    def __init__(
        self,
        recipient: str = "",
        queue_id: str = "",
        since: float | None = None,
        joined: int = JOINED,
    ) -> None:
        self._recipient = recipient.lower().encode("utf-8")
        self._queue_id = queue_id
        self._since = since
        self._joined = joined
        # By queue id: the sender.
        self._senders: OrderedDict[bytes, bytes] = OrderedDict()
        # By qmail's number of a delivery: message, channel, recipient.
        self._starts: OrderedDict[bytes, tuple[bytes, bytes, bytes]] = OrderedDict()
        self._clock = Clock(0)
        #: Bytes and lines seen, and those lines that were in a container's log and no JSON.
        self.bytes = 0
        self.lines = 0
        self.unreadable = 0

    def read(
        self, blocks: Iterable[bytes], reference: float, json_lines: bool = False
    ) -> Iterator[Entry]:
        """Yield what stands in one log.

        Args:
            blocks: the log in pieces of any size.
            reference: see :class:`Clock`; for a file the time that it was last written.
            json_lines: whether it is a file of Docker's log driver json-file.
        """
        self._clock = Clock(reference)
        for block in self._whole_lines(blocks):
            for line in _interesting(block):
                entry = self._entry(self._plain(line) if json_lines else line)
                if entry is not None:
                    yield entry

    def _whole_lines(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield blocks that end with a line; a line without an end is cut."""
        rest = b""
        for block in blocks:
            self.bytes += len(block)
            end = block.rfind(b"\n") + 1
            if end:
                whole = rest + block[:end]
                rest = b""
                self.lines += whole.count(b"\n")
                yield whole
            rest = (rest + block[end:])[:MAX_LINE]
        if rest:
            self.lines += 1
            yield rest + b"\n"

    def _plain(self, line: bytes) -> bytes:
        """Return a line of json-file as the container wrote it, behind the time of the engine."""
        import json

        try:
            data = json.loads(line.decode("utf-8", "replace"))
            return "{0} {1}".format(data["time"], data["log"]).encode("utf-8", "replace").rstrip()
        except (KeyError, RecursionError, TypeError, ValueError):
            self.unreadable += 1
            return b""

    def _entry(self, line: bytes) -> Entry | None:
        """Return what a line says, if it is of interest and passes the filters."""
        line = line[:MAX_LINE].rstrip(b"\r")
        match = _POSTFIX.search(line)
        if match:
            return self._postfix(line, match)
        match = _POSTFIX_REJECT.search(line)
        if match:
            return self._postfix_reject(line, match)
        match = _QMAIL.search(line)
        if match:
            return self._qmail(line, line[match.start(1) :])
        match = _SENDMAIL.search(line)
        if match:
            return self._sendmail(line, match)
        match = _POSTFIX_TROUBLE.search(line)
        if match:
            return self._trouble(line, "postfix", match.group(1) + b": " + match.group(2))
        return None

    # -- one method for each kind of line ------------------------------------------------------------

    def _postfix(self, line: bytes, match: re.Match[bytes]) -> Entry | None:
        daemon, queue_id, word, address = match.groups()
        if word == b"from":
            expired = _POSTFIX_EXPIRED.match(line, match.end())
            if expired:
                reason = b"expired, " + expired.group(1)
                return self._delivery(
                    line,
                    queue_id,
                    b"",
                    b"none",
                    b"4.4.7",
                    EXPIRED,
                    reason,
                    "postfix",
                    sender=address,
                )
            _put(self._senders, queue_id, address or b"<>", self._joined)
            return None
        found = _POSTFIX_TO.match(line, match.end())
        if found is None:
            return None
        original, relay, dsn, said, reason = found.groups()
        status = {
            b"sent": SENT,
            b"deferred": DEFERRED,
            b"bounced": BOUNCED,
            b"expired": EXPIRED,
        }.get(said)
        if status is None:
            # A probe of an address (undeliverable, deliverable) is no message.
            return None
        return self._delivery(
            line,
            queue_id,
            address,
            relay,
            dsn,
            status,
            reason or b"",
            "postfix",
            local=daemon in (b"local", b"virtual", b"lmtp", b"pipe"),
            original=original or b"",
        )

    def _postfix_reject(self, line: bytes, match: re.Match[bytes]) -> Entry | None:
        queue_id, client, code, dsn, text = match.groups()
        # The last one: what stands before it may have been said by the client.
        found = ([None] + list(_ENVELOPE.finditer(text)))[-1]
        sender, recipient = b"", b""
        if found:
            sender = (found.group(1) if found.group(2) is not None else found.group(3)) or b"<>"
            recipient = found.group(2) or b""
            text = text[: found.start()].rstrip(b"; ")
        return self._delivery(
            line,
            queue_id,
            recipient,
            client,
            dsn or code[:1] + b".0.0",
            REJECTED,
            code + b" " + (dsn + b" " if dsn else b"") + text,
            "postfix",
            sender=sender,
        )

    def _sendmail(self, line: bytes, match: re.Match[bytes]) -> Entry | None:
        queue_id, text = match.groups()
        if text.startswith(b"SYSERR"):
            found = _SYSERR.match(text)
            return self._trouble(line, "sendmail", found.group()) if found else None
        if text.startswith(b"from="):
            sender = text[5:].partition(b", ")[0].strip(b"<>")
            _put(self._senders, queue_id, sender or b"<>", self._joined)
            return None
        if text.startswith(b"ruleset="):
            refused = _SENDMAIL_REJECT.search(text)
            if refused is None:
                return None
            code, dsn, reason = refused.groups()
            return self._delivery(
                line,
                queue_id,
                _between(text, b"arg1=").strip(b"<>") if b"check_rcpt" in text else b"",
                _between(text, b"relay="),
                dsn or code[:1] + b".0.0",
                REJECTED,
                code + b" " + (dsn + b" " if dsn else b"") + reason,
                "sendmail",
            )
        head, found, stat = text.partition(b", stat=")
        if not found or not _SENDMAIL_NAME.search(line[: match.start(1)]):
            return None
        dsn_found = _DSN.search(head)
        dsn = dsn_found.group(1) if dsn_found else b""
        status = _sendmail_status(stat, dsn)
        ends = [at for at in (head.find(b", ctladdr="), head.find(b", delay=")) if at >= 0]
        recipients = head[3 : min(ends) if ends else len(head)]
        mailer = _between(head, b"mailer=")
        # A list of recipients is one delivery to the first of them, as in sendmail's own counting,
        # unless one of them was asked for.
        names = [name.strip(b"<> ") for name in recipients.split(b",")]
        wanted = [name for name in names if self._wanted(name)]
        return self._delivery(
            line,
            queue_id,
            (wanted or names)[0],
            _between(head, b"relay=") or mailer,
            dsn or {SENT: b"2.0.0", BOUNCED: b"5.0.0"}.get(status, b"4.0.0"),
            status,
            stat,
            "sendmail",
            local=mailer == b"local",
        )

    def _qmail(self, line: bytes, text: bytes) -> Entry | None:
        if text.startswith(b"delivery"):
            found = _QMAIL_END.match(text)
            start = self._starts.pop(found.group(1), None) if found else None
            if found is None or start is None:
                return None
            return self._qmail_delivery(line, start, found.group(2), found.group(3))
        if text.startswith(b"starting"):
            found = _QMAIL_START.match(text)
            if found:
                number, message, channel, recipient = found.groups()
                if number == b"1":
                    # Numbers begin anew with the process.
                    self._starts.clear()
                _put(self._starts, number, (message, channel, recipient), self._joined)
            return None
        if text.startswith(b"info"):
            found = _QMAIL_INFO.match(text)
            if found:
                _put(self._senders, found.group(1), found.group(2) or b"<>", self._joined)
            return None
        if text.startswith(b"end"):
            self._senders.pop(text[8:].strip(), None)
            return None
        if text.startswith(b"status"):
            self._starts.clear()
            return None
        return self._trouble(line, "qmail", text)

    def _qmail_delivery(
        self, line: bytes, start: tuple[bytes, bytes, bytes], result: bytes, report: bytes
    ) -> Entry | None:
        message, channel, recipient = start
        status = _QMAIL_STATUS[result]
        text = report.decode("utf-8", "backslashreplace")
        code = _QMAIL_CODE.search(text)
        said = _SAID_CODE.search(text)
        digit = {SENT: "2", DEFERRED: "4", BOUNCED: "5"}[status]
        if code:
            dsn = code.group(1)
        elif said and said.group(2)[0] == digit:
            dsn = said.group(2)
        else:
            dsn = digit + ".0.0"
        peer = _QMAIL_PEER.match(text)
        # Blanks were written as _ and line ends as /.
        reason = text.replace("_", " ").rstrip("/")
        return self._delivery(
            line,
            message,
            recipient,
            peer.group(1).encode("ascii") if peer and channel == b"remote" else channel,
            dsn.encode("ascii"),
            status,
            reason.encode("utf-8"),
            "qmail",
            local=channel == b"local",
        )

    # -- what all of them need -------------------------------------------------------------------

    def _wanted(self, *addresses: bytes) -> bool:
        """Tell whether one of the addresses is asked for."""
        if not self._recipient:
            return True
        for address in addresses:
            lower = address.lower()
            if lower == self._recipient or (
                b"@" not in self._recipient and lower.endswith(b"@" + self._recipient)
            ):
                return True
            # qmail puts the domain's name before the user of a virtual domain.
            if lower.partition(b"-")[2] == self._recipient:
                return True
        return False

    def _delivery(
        self,
        line: bytes,
        queue_id: bytes,
        recipient: bytes,
        relay: bytes,
        dsn: bytes,
        status: str,
        reason: bytes,
        mta: str,
        local: bool = False,
        sender: bytes = b"",
        original: bytes = b"",
    ) -> Entry | None:
        if self._recipient and not self._wanted(recipient, original):
            return None
        name = queue_id.decode("ascii")
        if self._queue_id and name != self._queue_id:
            return None
        when = self._clock.read(line)
        if self._since is not None and when is not None and when < self._since:
            return None
        return Delivery(
            when,
            name,
            _text(sender or self._senders.get(queue_id, b"")),
            _text(recipient),
            _text(relay),
            dsn.decode("ascii"),
            status,
            _text(reason),
            mta,
            local,
        )

    def _trouble(self, line: bytes, mta: str, text: bytes) -> Entry | None:
        if self._recipient or self._queue_id:
            return None
        when = self._clock.read(line)
        if self._since is not None and when is not None and when < self._since:
            return None
        return Trouble(when, mta, _text(text))


def _interesting(block: bytes) -> list[bytes]:
    """Return the lines of a block that have one of the words, in their order.

    The words are looked for in the block as a whole: a loop over its lines takes five times as long.
    """
    ends: dict[int, int] = {}
    for word in _WORDS:
        at = block.find(word)
        while at >= 0:
            end = block.find(b"\n", at)
            ends[block.rfind(b"\n", 0, at) + 1] = end
            at = block.find(word, end)
    return [block[begin : ends[begin]] for begin in sorted(ends)]


def _put(table: OrderedDict[bytes, Any], key: bytes, value: Any, limit: int) -> None:
    """Remember a value; the oldest one is forgotten when there are too many."""
    if key not in table and len(table) >= limit:
        # A plain dict looks for its first key among all that were deleted.
        table.popitem(last=False)
    table[key] = value


def _text(value: bytes) -> str:
    """Return bytes of a log as text that a terminal shows as it is."""
    text = value.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " for c in text)


def _between(text: bytes, key: bytes) -> bytes:
    """Return the value of ``key=value, `` in a line of sendmail; empty when there is none."""
    begin = text.find(b", " + key)
    if begin < 0:
        return b""
    begin += 2 + len(key)
    end = text.find(b", ", begin)
    return text[begin : end if end >= 0 else len(text)]


def _sendmail_status(stat: bytes, dsn: bytes) -> str:
    """Return the status that sendmail's ``stat=`` says; its code decides where the words do not."""
    if stat.startswith(b"Sent"):
        return SENT
    if stat.startswith(b"queued"):
        return QUEUED
    if stat.startswith(b"Deferred") or dsn.startswith(b"4"):
        return DEFERRED
    return BOUNCED
