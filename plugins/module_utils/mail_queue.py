# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits in the queue of Postfix or qmail, by destination and age.

Sources: postqueue(1); qmail-qstat(8) and qmail-qread(8) of notqmail. A queue of any length takes the
same memory, but for one entry for each domain.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import delivery_reason, mail_log
from ansible_collections.postmaster.mailhost.plugins.module_utils.delivery_reason import Kind
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError
from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_log_source import SERVICES

AUTO = "auto"
POSTFIX = "postfix"
QMAIL = "qmail"

#: What a caller may choose.
CHOICES = (AUTO, POSTFIX, QMAIL)

#: Where qmail is unless somebody says otherwise.
QMAIL_HOME = "/var/qmail"

#: Destinations in a result.
TOP = 10

_DOMAINS = 50000
_MAX_LINE = 1 << 20
_BOUNCE_SENDERS = ("MAILER-DAEMON", "")

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_QREAD = re.compile(
    r"(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT  #(\d+)  (\d+)  <(.*)> ?( ?bouncing)?"
)
_QREAD_RECIPIENT = re.compile(r"(  done)?\t(local|remote)\t(.*)")
_QSTAT = re.compile(r"messages in queue(?P<todo> but not yet preprocessed)?: (\d+)\Z")


class Thresholds(NamedTuple):
    """From when on a queue is not as it should be.

    Attributes:
        warn_messages, fail_messages: number of messages.
        warn_hours: age of the oldest message.
        share: percentage of all recipients that one domain may have.
    """

    warn_messages: int = 5000
    fail_messages: int = 25000
    warn_hours: int = 4
    share: int = 50


def thresholds(**values: int) -> Thresholds:
    """Return thresholds that make sense.

    Raises:
        ValueError: they do not; the text names the option, its value and what is allowed.
    """
    limits = Thresholds(**values)
    for name in ("warn_messages", "warn_hours"):
        if getattr(limits, name) < 1:
            raise ValueError("{0} is {1}; allowed: 1 or more".format(name, getattr(limits, name)))
    if limits.fail_messages < limits.warn_messages:
        raise ValueError(
            "fail_messages is {0}; allowed: warn_messages ({1}) or more".format(
                limits.fail_messages, limits.warn_messages
            )
        )
    if not 1 <= limits.share <= 100:
        raise ValueError("share is {0}; allowed: 1 to 100".format(limits.share))
    return limits


class Waiting:
    """What waits for one domain."""

    def __init__(self) -> None:
        self.recipients = 0
        self.oldest: float | None = None
        self.reason = ""


class Queue:
    """What is in a queue.

    Attributes:
        mta: ``postfix`` or ``qmail``; empty when there is neither.
        now: the present time, in seconds since the epoch.
        messages: number of messages.
        unprocessed: messages that qmail has not looked at yet; None for Postfix.
        size: bytes of all messages.
        recipients: recipients that are not done.
        bounces: messages with an empty sender, or that qmail is bouncing.
        oldest: arrival of the oldest message, in seconds since the epoch.
        queues: number of messages in each queue of Postfix.
        domains: what waits, by domain.
        reasons: number of recipients by kind of reason, with the last one that was told (Postfix).
        trouble: why the queue could not be read; empty otherwise.
    """

    def __init__(self, mta: str, now: float) -> None:
        self.mta = mta
        self.now = now
        self.messages = 0
        self.unprocessed: int | None = None
        self.size = 0
        self.recipients = 0
        self.bounces = 0
        self.oldest: float | None = None
        self.queues: dict[str, int] = {}
        self.domains: dict[str, Waiting] = {}
        self.reasons: dict[str, tuple[Kind, int, str]] = {}
        self.trouble = ""

    def add(self, arrival: float | None, size: int, sender: str, bouncing: bool = False) -> None:
        """Count a message."""
        self.messages += 1
        self.size += size
        self.bounces += bouncing or sender in _BOUNCE_SENDERS
        if arrival is not None and (self.oldest is None or arrival < self.oldest):
            self.oldest = arrival

    def wait(self, recipient: str, arrival: float | None, reason: str = "") -> None:
        """Count a recipient that is not done."""
        self.recipients += 1
        domain = mail_log.domain_of(recipient)
        if domain not in self.domains and len(self.domains) >= _DOMAINS:
            domain = ""
        found = self.domains.setdefault(domain, Waiting())
        found.recipients += 1
        if arrival is not None and (found.oldest is None or arrival < found.oldest):
            found.oldest = arrival
        if reason:
            found.reason = reason
            kind = delivery_reason.of(mail_log.DEFERRED, "", reason)
            count = self.reasons.get(kind.name, (kind, 0, ""))[1]
            self.reasons[kind.name] = (kind, count + 1, reason)

    def age(self, arrival: float | None) -> int:
        """Return how many seconds ago something arrived; 0 when it is not known."""
        return 0 if arrival is None else max(0, int(self.now - arrival))

    def top(self, number: int = TOP) -> list[str]:
        """Return the domains that most recipients wait for."""
        return sorted(self.domains, key=lambda name: (-self.domains[name].recipients, name))[
            :number
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        return {
            "mta": self.mta,
            "messages": self.messages,
            "unprocessed": self.unprocessed,
            "size": self.size,
            "recipients": self.recipients,
            "bounces": self.bounces,
            "oldest_seconds": self.age(self.oldest),
            "queues": self.queues,
            "destinations": [
                {
                    "domain": name,
                    "recipients": self.domains[name].recipients,
                    "oldest_seconds": self.age(self.domains[name].oldest),
                    "reason": self.domains[name].reason,
                }
                for name in self.top()
            ],
            "reasons": [
                {
                    "kind": kind.name,
                    "count": count,
                    "explanation": kind.sentence,
                    "next_step": kind.step,
                    "last": last,
                }
                for kind, count, last in sorted(self.reasons.values(), key=lambda item: -item[1])
            ],
        }


def look(
    host: Host,
    mta: str = AUTO,
    project: str = "",
    services: Sequence[str] = SERVICES,
    qmail_home: str = QMAIL_HOME,
) -> Queue:
    """Read the queue of a host.

    Args:
        host: the host.
        mta: one of :data:`CHOICES`. ``auto`` takes qmail where its programs are, else Postfix.
        project: Compose project in whose container the queue is; on the host itself when empty.
        services: names of that project's services with a queue of Postfix.
        qmail_home: where qmail is.
    """
    if mta == AUTO:
        qmail = not project and host.exists(qmail_home + "/bin/qmail-qread")
        mta = QMAIL if qmail else POSTFIX
    queue = Queue(mta, host.now())
    try:
        if mta == QMAIL:
            _read_qmail(host, queue, qmail_home.rstrip("/") + "/bin/")
        else:
            _read_postfix(
                queue, _lines(host.output([*_prefix(host, project, services), "postqueue", "-j"]))
            )
    except HostError as error:
        queue.trouble = str(error)
    return queue


def _prefix(host: Host, project: str, services: Sequence[str]) -> list[str]:
    """Return the words that lead into the container; none when there is no project.

    Raises:
        HostError: the engine does not answer, or there is no such container that runs.
    """
    if not project:
        if host.which("postqueue") is None:
            raise HostError("there is neither qmail nor Postfix")
        return []
    from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_api

    for entry in host.docker(docker_api.containers_question(project)):
        if (
            entry.get("Labels", {}).get("com.docker.compose.service") in services
            and entry.get("State") == "running"
        ):
            return ["docker", "exec", entry["Id"]]
    raise HostError(
        "project {0} has no container that runs among its services {1}".format(
            project, ", ".join(services)
        )
    )


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield lines as text; one that is too long is cut."""
    rest = b""
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()[:_MAX_LINE]
        for line in lines:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def _read_postfix(queue: Queue, lines: Iterable[str]) -> None:
    """Read what ``postqueue -j`` prints: a message a line.

    Raises:
        HostError: it prints something else.
    """
    import json

    for line in lines:
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            arrival = float(data["arrival_time"])
            name = str(data["queue_name"])
            queue.add(arrival, int(data["message_size"]), str(data["sender"]))
            queue.queues[name] = queue.queues.get(name, 0) + 1
            for recipient in data["recipients"]:
                queue.wait(
                    str(recipient["address"]), arrival, _clean(recipient.get("delay_reason", ""))
                )
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise HostError("postqueue -j printed {0!r}".format(line[:200])) from error


def _read_qmail(host: Host, queue: Queue, folder: str) -> None:
    """Read what ``qmail-qstat`` and ``qmail-qread`` print.

    Raises:
        HostError: they cannot be run.
    """
    messages = None
    for line in _lines(host.output([folder + "qmail-qstat"])):
        # Patched ones print other lines as well.
        found = _QSTAT.match(line.strip())
        if found and found.group("todo"):
            queue.unprocessed = int(found.group(2))
        elif found:
            messages = int(found.group(2))
    arrival = None
    for line in _lines(host.output([folder + "qmail-qread"])):
        recipient = _QREAD_RECIPIENT.match(line)
        if recipient:
            done, _channel, address = recipient.groups()
            if not done:
                queue.wait(_clean(address), arrival)
            continue
        head = _QREAD.match(line)
        if head:
            arrival = _arrival(head)
            queue.add(arrival, int(head.group(8)), head.group(9), bool(head.group(10)))
    if messages is not None:
        # It counts those that qmail-qread cannot list yet.
        queue.messages = messages


def _arrival(head: re.Match[str]) -> float | None:
    import calendar

    day, month, year, hour, minute, second = head.groups()[:6]
    if month not in _MONTHS:
        return None
    parts = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
    try:
        return float(calendar.timegm(parts + (0, 0, 0)))
    except ValueError:
        return None


def _clean(text: Any) -> str:
    """Return a text of the queue without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(text))
