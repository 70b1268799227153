# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the log of a mail server says is wrong.

An address with a typing error is no fault of the server, and a greylisted message arrives. So what
counts is what this server, its provider or its administrator can mend; the rest only when somebody
asked about one recipient or one message.
"""

from __future__ import annotations

from typing import Any, Iterable

from ansible_collections.postmaster.mailhost.plugins.module_utils import delivery_reason, mail_log
from ansible_collections.postmaster.mailhost.plugins.module_utils.delivery_log import (
    DeliveryLog,
    Reason,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.delivery_reason import Kind
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_log import (
    BOUNCED,
    DEFERRED,
    REJECTED,
    SENT,
    Delivery,
)

# What receivers hold against this server.
_REPUTATION = (
    "blocklisted",
    "reverse_dns",
    "authentication",
    "refused_to_talk",
    "rate_limited",
    "content",
)
# Those of them that nothing but a change here ends.
_CERTAIN = ("blocklisted", "reverse_dns", "authentication")

_LOCAL = ("own_service", "own_files", "login_failed", "login_needed", "tls", "dns")

# One destination that is down is no finding about this server; so many are.
_MANY = 5

_SHOWN = 3


def _unread(log: DeliveryLog, required: str) -> list[Finding]:
    """Answer for a check that has no log to look at."""
    return [answer(UNKNOWN, log.trouble or "no line of a log", required, _NO_LOG)]


_NO_LOG = (
    "Name the log in paths, or the Compose project in project; run the module as root. It reads "
    "/var/log/mail.log, /var/log/maillog, multilog's directories and the journal by itself."
)


def readable(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Tell whether there is a log, and what was read of it.

    None that can be read, or one that ends early: ``unknown``. Otherwise ``ok``, with the number of
    deliveries.
    """
    required = "a log of the mail server"
    if not log.readable:
        return _unread(log, required)
    findings = [
        answer(
            UNKNOWN,
            "{0}: {1}".format(source["name"], source["note"]),
            required,
            "Look at this file by hand; what could be read of it counts.",
        )
        for source in log.sources
        if source["note"]
    ]
    totals = ", ".join(
        "{0} {1}".format(number, status) for status, number in log.tally.totals.items() if number
    )
    megabytes = sum(source["bytes"] for source in log.sources) / 1e6
    observed = "{0}, in {1:.1f} MB of {2}".format(
        totals or "no deliveries", megabytes, _list(source["name"] for source in log.sources)
    )
    return findings or [answer(OK, observed, required)]


def connection(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for other servers that cannot be reached.

    Connections to two or more destinations timed out and no other server took anything, or five in a
    row did: ``fail``, since outgoing port 25 is probably blocked. A single one, or one that refuses,
    and for which mail still waits: ``warn``.
    """
    required = "other mail servers can be reached on port 25"
    if not log.readable:
        return _unread(log, required)
    tally = log.tally
    silent = tally.timed_out
    if len(silent) >= _MANY or (len(silent) > 1 and not tally.taken):
        observed = "connections to {0} destinations timed out ({1}), {2}: {3}".format(
            len(silent),
            _list(sorted(silent)),
            "and none was taken since" if tally.taken else "and none was taken by any server",
            _line(list(silent.values())[-1]),
        )
        fix = (
            "Test it: nc -vz -w 5 gmail-smtp-in.l.google.com 25. If that times out too, have the "
            "provider open outgoing port 25, or send through a smarthost on port 587."
        )
        return [answer(FAIL, observed, required, fix)]
    names = ("timeout", "refused", "unreachable", "connection_lost")
    return _waiting(log, names, required) or [answer(OK, _taken(log), required)]


def reputation(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for receivers that hold something against this server.

    Mail that was given up, or still waits, because of a blocklist, the reverse record, or SPF, DKIM
    and DMARC: ``fail``. Because of its number, its content, or for no reason that is told:
    ``warn``.
    """
    required = "receivers take mail from this server"
    if not log.readable:
        return _unread(log, required)
    findings = []
    for reason in _reasons(log, _REPUTATION, (BOUNCED,)):
        status = FAIL if reason.kind.name in _CERTAIN else WARN
        findings.append(_reason(status, reason, required))
    told = {reason.kind.name for reason in _reasons(log, _REPUTATION, (BOUNCED,))}
    for name in _REPUTATION:
        if name not in told:
            status = FAIL if name in _CERTAIN else WARN
            findings += _waiting(log, (name,), required, status)
    return findings or [answer(OK, _taken(log), required)]


def local(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for messages that a part of this server, its resolver or its smarthost keeps up.

    Some still wait, or were given up: ``fail``. All arrived in the end: ``ok``.
    """
    required = "every part of the mail server does its work"
    if not log.readable:
        return _unread(log, required)
    findings = [_reason(FAIL, reason, required) for reason in _reasons(log, _LOCAL, (BOUNCED,))]
    findings += _waiting(log, _LOCAL, required, FAIL)
    return findings or [answer(OK, "nothing waits for it", required)]


def loop(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for mail that comes back to this server.

    Found: ``fail``.
    """
    required = "no mail loops"
    if not log.readable:
        return _unread(log, required)
    findings = [
        _reason(FAIL, reason, required) for reason in _reasons(log, ("loop",), (BOUNCED, DEFERRED))
    ]
    if not findings:
        kind = delivery_reason.BY_NAME["loop"]
        findings = [
            answer(FAIL, "{0} times: {1}".format(count, trouble.text), required, kind.step)
            for count, trouble in log.tally.troubles.values()
            if "loops back to myself" in trouble.text
        ]
    return findings or [answer(OK, "none", required)]


def relay(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for mail that was refused because nobody authenticated.

    Another server refused mail of this one: ``fail``. This one refused clients: ``ok`` with the
    number, since every server is tried by others all day; when a recipient is asked for: ``fail``.
    """
    required = "clients authenticate, and other servers are sent only mail for them"
    if not log.readable:
        return _unread(log, required)
    names = ("relay_denied",)
    findings = [_reason(FAIL, reason, required) for reason in _reasons(log, names, (BOUNCED,))]
    findings += _waiting(log, names, required, FAIL)
    refused = _reasons(log, names, (REJECTED,))
    if log.asked:
        findings += [_reason(FAIL, reason, required) for reason in refused]
    if findings:
        return findings
    count = sum(reason.count for reason in refused)
    return [answer(OK, "{0} refused to clients that did not authenticate".format(count), required)]


def others(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Count what receivers and senders have to mend: unknown mailboxes, full ones, greylisting.

    ``ok`` with the numbers. Messages that were tried for days and given up, or wait for another
    reason than greylisting: ``warn``. When a recipient or a message is asked for, whatever was not
    delivered to it: ``fail``, or ``warn`` while it is still tried; no line about it at all:
    ``unknown``.
    """
    required = "mail is delivered"
    if not log.readable:
        return _unread(log, required)
    covered = _REPUTATION + _LOCAL + ("loop", "relay_denied", "timeout", "refused", "unreachable")
    covered += ("connection_lost",)
    tally = log.tally
    rest = [reason for reason in tally.reasons.values() if reason.kind.name not in covered]
    findings = []
    if log.asked:
        if not tally.records and not any(tally.totals.values()):
            fix = (
                "Compare the address and since; if it is right, the message never came here: look at "
                "the log of the sender's server."
            )
            return [answer(UNKNOWN, "no line about it", required, fix)]
        findings = [
            _reason(FAIL, reason, required)
            for reason in rest
            if reason.status not in (DEFERRED, mail_log.QUEUED)
        ]
        names = {reason.kind.name for reason in rest}
        findings += _waiting(log, sorted(names), required)
        return findings or [answer(OK, "{0} delivered".format(tally.totals[SENT]), required)]
    names = {reason.kind.name for reason in rest} - {"greylisted", "queued"}
    findings = _waiting(log, sorted(names), required)
    findings += [
        _reason(WARN, reason, required) for reason in rest if reason.kind.name == "expired"
    ]
    if findings:
        return findings
    numbers = ", ".join("{0} {1}".format(reason.count, reason.kind.name) for reason in rest)
    return [answer(OK, numbers or "nothing to say", required)]


def daemon(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for lines in which a daemon says that it cannot go on.

    ``fatal`` and ``panic`` of Postfix, ``alert`` and ``warning: trouble`` of qmail, ``SYSERR`` of
    sendmail: ``fail``. When one recipient or message is asked for: ``skip``.
    """
    required = "no daemon gives up"
    if not log.readable:
        return _unread(log, required)
    if log.asked:
        return [answer(SKIP, "only one recipient or message is asked for", required)]
    findings = [
        answer(
            FAIL,
            "{0} times, last {1}: {2}: {3}".format(
                count, mail_log.iso(trouble.time) or "at an unknown time", trouble.mta, trouble.text
            ),
            required,
            "Mend what the line names, then restart the mail server.",
        )
        for count, trouble in log.tally.troubles.values()
        if "loops back to myself" not in trouble.text
    ]
    return findings[:_SHOWN] or [answer(OK, "no such line", required)]


def root_mail(log: DeliveryLog, _need: Any) -> list[Finding]:
    """Look for bounces in root's mailbox on the server, which nobody reads.

    Some: ``warn``, with the newest. It cannot be read: ``unknown``.
    """
    required = "mail for root goes to somebody who reads it"
    box = log.mailbox
    fix = "Have it sent on: a line root: you@example.org in /etc/aliases, then newaliases."
    if box.trouble:
        return [answer(UNKNOWN, box.trouble, required, "Look at it by hand.")]
    if not box.bounces:
        observed = "{0} messages, no bounces".format(box.messages) if box.path else "no mailbox"
        return [answer(OK, observed, required)]
    observed = "{0} bounces in {1}".format(box.bounces, box.path)
    if box.failures:
        last = box.failures[-1]
        observed += ", the newest about {0}: {1} {2}".format(
            last["to"], last["dsn"], last["reason"]
        ).rstrip()
    return [answer(WARN, observed, required, fix)]


# --- what they have in common ---------------------------------------------------------------------


def _reasons(log: DeliveryLog, names: Iterable[str], statuses: Iterable[str]) -> list[Reason]:
    """Return the reasons of these kinds, the one met most often first."""
    names, statuses = tuple(names), tuple(statuses)
    found = [
        reason
        for reason in log.tally.reasons.values()
        if reason.kind.name in names and reason.status in statuses
    ]
    return sorted(found, key=lambda reason: -reason.count)


def _reason(status: str, reason: Reason, required: str) -> Finding:
    """Return a finding of a reason, with the last line that shows it."""
    observed = "{0} {1}{2}: {3}{4}".format(
        reason.count,
        reason.status,
        _for([name for name in reason.top(_SHOWN + 1) if name]),
        reason.kind.sentence,
        " Last: " + _line(reason.last) if reason.last else "",
    )
    return answer(status, observed, required, reason.kind.step)


def _waiting(
    log: DeliveryLog, names: Iterable[str], required: str, status: str = WARN
) -> list[Finding]:
    """Return a finding for each kind of reason for which mail still waits."""
    by_kind: dict[str, tuple[Kind, list[Delivery]]] = {}
    for kind, delivery in log.tally.still_waiting():
        by_kind.setdefault(kind.name, (kind, []))[1].append(delivery)
    findings = []
    for name in names:
        if name not in by_kind:
            continue
        kind, found = by_kind[name]
        domains = dict.fromkeys(mail_log.domain_of(delivery.recipient) for delivery in found)
        observed = "{0} waiting{1}: {2} Last: {3}".format(
            len(found), _for([name for name in domains if name]), kind.sentence, _line(found[-1])
        )
        findings.append(answer(status, observed, required, kind.step))
    return findings


def _for(domains: list[str]) -> str:
    return " for " + _list(domains) if domains else ""


def _list(names: Iterable[str]) -> str:
    """Return the first names, and whether there are more."""
    names = list(dict.fromkeys(names))
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (" and {0} more".format(more) if more > 0 else "")


def _line(delivery: Delivery) -> str:
    """Return what the log said, as evidence."""
    return "{0} {1} to={2} relay={3} {4} {5}".format(
        mail_log.iso(delivery.time),
        delivery.queue_id,
        delivery.recipient,
        delivery.relay,
        delivery.dsn,
        delivery.reason[:300],
    ).strip()


def _taken(log: DeliveryLog) -> str:
    return "{0} taken by other servers".format(log.tally.taken)


RFC = "https://www.rfc-editor.org/rfc/"

LOOK = (
    ("delivery.log", "Log of the mail server", RFC + "rfc5321#section-4.4", readable),
    (
        "delivery.connection",
        "Connections to other servers",
        RFC + "rfc5321#section-4.5.4",
        connection,
    ),
    ("delivery.reputation", "Receivers take this server's mail", RFC + "rfc7372", reputation),
    ("delivery.local", "Parts of the mail server", RFC + "rfc3463#section-3.4", local),
    ("delivery.loop", "Mail loops", RFC + "rfc5321#section-6.3", loop),
    ("delivery.relay", "Relaying", RFC + "rfc6409#section-4.3", relay),
    ("delivery.others", "Other deliveries", RFC + "rfc3463", others),
    (
        "delivery.daemon",
        "Daemons that give up",
        "https://www.postfix.org/DEBUG_README.html",
        daemon,
    ),
    ("delivery.root_mail", "Bounces in root's mailbox", RFC + "rfc2142", root_mail),
)
