# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logs of a mail server say of its deliveries, counted by reason and destination.

Everything kept is limited in number, so that a log of any length takes the same memory.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from typing import Any, Callable, Iterable, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    bounce_mailbox,
    delivery_reason,
    mail_log,
    mail_log_source,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.delivery_reason import Kind
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError
from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_log import (
    DEFERRED,
    EXPIRED,
    QUEUED,
    REJECTED,
    SENT,
    STATUSES,
    Delivery,
    Entry,
    Trouble,
)

#: Deliveries returned, and destinations in a result, unless something else is asked for.
LIMIT = 200
TOP = 20
MAX_LIMIT = 10000

#: Messages that may wait, destinations and reasons that are told apart.
_WAITING = 20000
_DESTINATIONS = 20000
_TROUBLES = 100

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_OWN = ("127.", "localhost", "::1", "[127.", "[::1")


def moment(text: str, now: float) -> float | None:
    """Return the time that an option names, in seconds since the epoch.

    Args:
        text: ``36h`` (``s``, ``m``, ``h``, ``d``, ``w`` before now), a date or time in ISO 8601 (of
            the host's zone when none is named), or empty for None.
        now: the present time.

    Raises:
        ValueError: it is none of these.
    """
    if not text:
        return None
    ago = re.match(r"(\d{1,6})([smhdw])\Z", text)
    if ago:
        return now - int(ago.group(1)) * _UNITS[ago.group(2)]
    day = re.match(r"\d{4}-\d\d-\d\d\Z", text)
    whole = (text + "T00:00:00" if day else text).encode("utf-8")
    found = mail_log.Clock(now).read(whole) if re.match(rb"\d{4}-", whole) else None
    if found is None:
        raise ValueError(
            "since is {0!r}; allowed: a span such as 36h or 7d, or a time such as "
            "2026-01-31T08:00:00Z".format(text)
        )
    return found


class Destination:
    """What became of mail for one domain: the number of attempts with each status."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(STATUSES, 0)

    @property
    def total(self) -> int:
        """The number of all attempts."""
        return sum(self.counts.values())


class Reason:
    """One kind of reason with one status, and how often it was met."""

    def __init__(self, kind: Kind, status: str) -> None:
        self.kind = kind
        self.status = status
        self.count = 0
        self.domains: dict[str, int] = {}
        self.last: Delivery | None = None

    def add(self, delivery: Delivery, domain: str) -> None:
        """Count a delivery."""
        self.count += 1
        self.last = delivery
        _count(self.domains, domain)

    def top(self, number: int) -> list[str]:
        """Return the domains that it was met with most often."""
        return sorted(self.domains, key=lambda name: (-self.domains[name], name))[:number]

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        last = self.last
        return {
            "kind": self.kind.name,
            "status": self.status,
            "side": self.kind.side,
            "count": self.count,
            "explanation": self.kind.sentence,
            "next_step": self.kind.step,
            "destinations": [
                {"domain": name, "count": self.domains[name]} for name in self.top(TOP)
            ],
            "last": last.to_dict() if last else {},
        }


def _count(table: dict[str, int], key: str) -> None:
    """Count a key; when there are too many, those met once are forgotten."""
    if key not in table and len(table) >= _DESTINATIONS:
        for name in [name for name, number in table.items() if number == 1] or list(table)[:1]:
            del table[name]
    table[key] = table.get(key, 0) + 1


class Tally:
    """Counts deliveries as they come.

    Args:
        limit: how many deliveries are kept as they are, the newest.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.records: deque[Delivery] = deque(maxlen=limit)
        self.totals = dict.fromkeys(STATUSES, 0)
        self.reasons: dict[tuple[str, str], Reason] = {}
        self.destinations: dict[str, Destination] = {}
        #: What is still waiting, by queue id and recipient.
        self.waiting: OrderedDict[str, dict[str, tuple[Kind, Delivery]]] = OrderedDict()
        #: What daemons complained of: text -> times and the last time.
        self.troubles: dict[str, tuple[int, Trouble]] = {}
        #: Attempts that another server took, and destinations that timed out since the last one.
        self.taken = 0
        self.timed_out: dict[str, Delivery] = {}

    def add(self, entry: Entry) -> None:
        """Count one entry of a log."""
        if isinstance(entry, Trouble):
            key = re.sub(r"\d+", "0", entry.text)
            if key in self.troubles or len(self.troubles) < _TROUBLES:
                self.troubles[key] = (self.troubles.get(key, (0, entry))[0] + 1, entry)
            return
        self.records.append(entry)
        self.totals[entry.status] += 1
        domain = mail_log.domain_of(entry.recipient)
        if entry.status not in (REJECTED, EXPIRED):
            self._destination(domain).counts[entry.status] += 1
        kind = delivery_reason.of(entry.status, entry.dsn, entry.reason)
        remote = not entry.local and not entry.relay.startswith(_OWN)
        if entry.status == SENT:
            if remote:
                self.taken += 1
                self.timed_out.clear()
        else:
            key = (kind.name, entry.status)
            if key not in self.reasons:
                self.reasons[key] = Reason(kind, entry.status)
            self.reasons[key].add(entry, domain)
            if kind.name == "timeout" and remote and len(self.timed_out) < _DESTINATIONS:
                self.timed_out[domain] = entry
        self._wait(entry, kind)

    def _destination(self, domain: str) -> Destination:
        found = self.destinations.get(domain)
        if found is not None:
            return found
        if len(self.destinations) >= _DESTINATIONS:
            # What was met rarely says least.
            rare = sorted(self.destinations, key=lambda name: self.destinations[name].total)
            for name in rare[: _DESTINATIONS // 2]:
                del self.destinations[name]
        found = self.destinations[domain] = Destination()
        return found

    def _wait(self, entry: Delivery, kind: Kind) -> None:
        """Remember that a recipient is waited for, or is not any more."""
        if entry.status in (REJECTED, QUEUED):
            return
        if entry.status == EXPIRED:
            self.waiting.pop(entry.queue_id, None)
            return
        if entry.status == DEFERRED:
            if entry.queue_id not in self.waiting and len(self.waiting) >= _WAITING:
                self.waiting.popitem(last=False)
            self.waiting.setdefault(entry.queue_id, {})[entry.recipient] = (kind, entry)
            return
        recipients = self.waiting.get(entry.queue_id)
        if recipients is not None:
            recipients.pop(entry.recipient, None)
            if not recipients:
                del self.waiting[entry.queue_id]

    def still_waiting(self) -> list[tuple[Kind, Delivery]]:
        """Return the last attempt for each recipient that still waits, with its reason."""
        return [pair for recipients in self.waiting.values() for pair in recipients.values()]

    def top_destinations(self, number: int) -> list[dict[str, Any]]:
        """Return the domains with most attempts that failed, then most attempts."""

        def rank(name: str) -> tuple[int, int, str]:
            found = self.destinations[name]
            return found.counts[SENT] - found.total, -found.total, name

        return [
            dict(self.destinations[name].counts, domain=name)
            for name in sorted(self.destinations, key=rank)[:number]
        ]


class DeliveryLog:
    """Everything that was found out, for results and for checks.

    Attributes:
        tally: the deliveries.
        sources: name, bytes, lines and note of each log.
        trouble: why no log could be read; empty otherwise.
        mailbox: root's mailbox.
        asked: whether one recipient or one message was asked for.
    """

    def __init__(self, tally: Tally, mailbox: bounce_mailbox.Mailbox, asked: bool = False) -> None:
        self.tally = tally
        self.sources: list[dict[str, Any]] = []
        self.trouble = ""
        self.mailbox = mailbox
        self.asked = asked

    @property
    def readable(self) -> bool:
        """Whether any log was read."""
        return not self.trouble and any(source["lines"] for source in self.sources)

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        tally = self.tally
        reasons = sorted(tally.reasons.values(), key=lambda reason: -reason.count)
        return {
            "deliveries": [delivery.to_dict() for delivery in tally.records],
            "totals": dict(tally.totals),
            "reasons": [reason.to_dict() for reason in reasons],
            "destinations": tally.top_destinations(TOP),
            "waiting": len(tally.still_waiting()),
            "troubles": [
                {
                    "time": mail_log.iso(trouble.time),
                    "mta": trouble.mta,
                    "text": trouble.text,
                    "count": count,
                }
                for count, trouble in tally.troubles.values()
            ],
            "sources": self.sources,
            "root_mailbox": self.mailbox.to_dict(),
        }


def look(
    host: Host,
    choice: str = mail_log_source.AUTO,
    paths: Sequence[str] = (),
    project: str = "",
    services: Sequence[str] = mail_log_source.SERVICES,
    recipient: str = "",
    queue_id: str = "",
    since: str = "",
    limit: int = LIMIT,
) -> DeliveryLog:
    """Read the logs of a host.

    Args:
        host: the host.
        choice: which logs, see ``mail_log_source.find``.
        paths: files instead of the usual ones.
        project: Compose project whose containers are meant.
        services: services of that project that write deliveries.
        recipient: only deliveries to this address or domain.
        queue_id: only deliveries of this message.
        since: see :func:`moment`.
        limit: how many deliveries are returned as they are.

    Raises:
        ValueError: an option has a value that is not allowed; nothing was read then.
    """
    if not 0 <= limit <= MAX_LIMIT:
        raise ValueError("limit is {0}; allowed: 0 to {1}".format(limit, MAX_LIMIT))
    if queue_id and not re.match(r"[0-9A-Za-z]{1,20}\Z", queue_id):
        raise ValueError("queue_id is {0!r}; allowed: up to 20 letters and digits".format(queue_id))
    if recipient and (not recipient.isprintable() or " " in recipient):
        raise ValueError("recipient is {0!r}; allowed: an address or a domain".format(recipient))
    for path in paths:
        if not path.startswith("/"):
            raise ValueError("paths has {0!r}; allowed: absolute paths".format(path))
    begin = moment(since, host.now())
    log = DeliveryLog(Tally(limit), bounce_mailbox.read(host), bool(recipient or queue_id))
    reader = mail_log.Reader(recipient.lstrip("@"), queue_id, begin)
    try:
        sources = mail_log_source.find(host, choice, paths, project, services, begin)
    except HostError as error:
        log.trouble = str(error)
        return log
    for source in sources:
        log.sources.append(_read(source, reader, log.tally.add))
    return log


def _read(
    source: mail_log_source.Source, reader: mail_log.Reader, take: Callable[[Entry], None]
) -> dict[str, Any]:
    """Read one log; return what is to be said of it."""
    size, lines, odd = reader.bytes, reader.lines, reader.unreadable
    note = ""
    try:
        entries: Iterable[Entry] = reader.read(source.open(), source.reference, source.json_lines)
        for entry in entries:
            take(entry)
    except HostError as error:
        note = str(error)
    if reader.unreadable > odd:
        note = note or "{0} lines are no JSON".format(reader.unreadable - odd)
    return {
        "name": source.name,
        "bytes": reader.bytes - size,
        "lines": reader.lines - lines,
        "note": note,
    }
