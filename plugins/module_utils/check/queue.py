# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits in the queue of a mail server."""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.delivery_reason import SERVER
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_queue import (
    QMAIL,
    Queue,
    Thresholds,
)

# Shares say nothing of fewer.
_FEW = 20

# New messages that qmail has not looked at: more than a burst, and more than it gets done.
_WARN_UNPROCESSED = 10
_FAIL_UNPROCESSED = 100


def _unread(queue: Queue, required: str) -> list[Finding]:
    fix = "Run it as root while the mail server runs; name the Compose project in project."
    return [answer(UNKNOWN, queue.trouble, required, fix)]


def length(queue: Queue, limits: Thresholds) -> list[Finding]:
    """Compare the number of messages with the thresholds.

    ``fail`` and ``warn`` from the numbers of the options on: qmail gets very slow above 25000.
    Messages that Postfix has set aside as damaged: ``fail``.
    """
    required = "fewer than {0} messages".format(limits.warn_messages)
    if queue.trouble:
        return _unread(queue, required)
    corrupt = queue.queues.get("corrupt", 0)
    if corrupt:
        fix = "Look at the files below Postfix's directory corrupt, and at the disk."
        return [answer(FAIL, "{0} damaged messages".format(corrupt), "none", fix)]
    by_queue = ", ".join("{0} {1}".format(number, name) for name, number in queue.queues.items())
    observed = "{0} messages for {1} recipients{2}".format(
        queue.messages, queue.recipients, " ({0})".format(by_queue) if by_queue else ""
    )
    fix = "Look at the destinations with most recipients, and whether an account sends spam."
    if queue.messages >= limits.fail_messages:
        return [answer(FAIL, observed, required, fix)]
    if queue.messages >= limits.warn_messages:
        return [answer(WARN, observed, required, fix)]
    return [answer(OK, observed, required)]


def unprocessed(queue: Queue, _limits: Thresholds) -> list[Finding]:
    """Look for messages that qmail has taken and not looked at.

    100 or more: ``fail``; ten or more: ``warn``. Postfix has no such queue: ``skip``.
    """
    required = "qmail gets done what comes in"
    if queue.trouble:
        return _unread(queue, required)
    if queue.mta != QMAIL:
        return [answer(SKIP, "this is not qmail", required)]
    if queue.unprocessed is None:
        return [
            answer(
                UNKNOWN, "qmail-qstat does not tell", required, "Run qmail-qstat by hand, as root."
            )
        ]
    observed = "{0} not yet preprocessed".format(queue.unprocessed)
    fix = (
        "See whether qmail-send runs, and what it says in its log; a busy server needs a qmail with "
        "the ext-todo patch."
    )
    if queue.unprocessed >= _FAIL_UNPROCESSED:
        return [answer(FAIL, observed, required, fix)]
    status = WARN if queue.unprocessed >= _WARN_UNPROCESSED else OK
    return [answer(status, observed, required, fix)]


def age(queue: Queue, limits: Thresholds) -> list[Finding]:
    """Compare the age of the oldest message with the threshold.

    Older: ``warn``. Mail that was only greylisted is gone after an hour or two.
    """
    required = "no message waits longer than {0} h".format(limits.warn_hours)
    if queue.trouble:
        return _unread(queue, required)
    seconds = queue.age(queue.oldest)
    observed = "the oldest waits for {0:.1f} h".format(seconds / 3600.0)
    if not queue.messages:
        return [answer(OK, "nothing waits", required)]
    if seconds > limits.warn_hours * 3600:
        oldest = sorted(queue.domains, key=lambda name: -queue.age(queue.domains[name].oldest))[:1]
        for name in oldest:
            reason = queue.domains[name].reason
            observed += ", for {0}{1}".format(
                name or "this server", ": " + reason if reason else ""
            )
        fix = "Read the reason; the module delivery_log_info explains it."
        return [answer(WARN, observed, required, fix)]
    return [answer(OK, observed, required)]


def destination(queue: Queue, limits: Thresholds) -> list[Finding]:
    """Look for a domain that most of the queue waits for.

    One with a larger share than the option allows, of twenty recipients or more: ``warn``.
    """
    required = "no domain has more than {0} % of the queue".format(limits.share)
    if queue.trouble:
        return _unread(queue, required)
    for name in queue.top(1):
        count = queue.domains[name].recipients
        share = 100.0 * count / queue.recipients
        observed = "{0} has {1} of {2} recipients ({3:.0f} %)".format(
            name or "no domain", count, queue.recipients, share
        )
        if queue.recipients >= _FEW and share > limits.share:
            reason = queue.domains[name].reason
            fix = (
                "See what its servers say with the module smtp_probe; if they are slow, give it a "
                "transport (Postfix) or a route (qmail's smtproutes) of its own."
            )
            text = observed + (": " + reason if reason else "")
            return [answer(WARN, text, required, fix)]
        return [answer(OK, observed, required)]
    return [answer(OK, "nothing waits", required)]


def bounces(queue: Queue, _limits: Thresholds) -> list[Finding]:
    """Look for bounces that nobody takes.

    Twenty or more, and more than half of the queue: ``warn``, since the server answers spam with
    bounces to forged senders.
    """
    required = "the queue does not consist of bounces"
    if queue.trouble:
        return _unread(queue, required)
    observed = "{0} of {1} messages are bounces".format(queue.bounces, queue.messages)
    if queue.bounces >= _FEW and queue.bounces * 2 > queue.messages:
        fix = (
            "Refuse unknown recipients while the client is connected, instead of taking the mail "
            "and bouncing it."
        )
        return [answer(WARN, observed, required, fix)]
    return [answer(OK, observed, required)]


def reasons(queue: Queue, _limits: Thresholds) -> list[Finding]:
    """Say why messages wait, as far as the queue tells (Postfix).

    Connections to several domains time out and nothing waits for another reason: ``fail``, since
    outgoing port 25 is probably blocked. What this server has to mend: ``warn``. qmail's queue does
    not tell: ``skip``.
    """
    required = "nothing waits because of this server"
    if queue.trouble:
        return _unread(queue, required)
    if queue.mta == QMAIL:
        return [answer(SKIP, "qmail's queue does not tell; its log does", required)]
    if not queue.reasons:
        return [answer(OK, "nothing waits after a failed attempt", required)]
    numbers = ", ".join(
        "{0} {1}".format(count, name) for name, (_k, count, _l) in queue.reasons.items()
    )
    waiting = [name for name, found in queue.domains.items() if found.reason]
    if set(queue.reasons) == {"timeout"} and len(waiting) > 1:
        kind, count, last = queue.reasons["timeout"]
        observed = "all {0} recipients, of {1} domains: {2}".format(count, len(waiting), last)
        return [answer(FAIL, observed, required, kind.step)]
    own = [item for item in queue.reasons.values() if item[0].side == SERVER]
    if own:
        return [
            answer(
                WARN,
                "{0} recipients: {1} Last: {2}".format(count, kind.sentence, last),
                required,
                kind.step,
            )
            for kind, count, last in own
        ]
    return [answer(OK, numbers, required)]


POSTFIX = "https://www.postfix.org/"
RFC = "https://www.rfc-editor.org/rfc/"

LOOK = (
    ("queue.length", "Length of the queue", POSTFIX + "QSHAPE_README.html", length),
    ("queue.unprocessed", "Messages not yet preprocessed", "https://notqmail.org/", unprocessed),
    ("queue.age", "Age of the queue", RFC + "rfc5321#section-4.5.4.1", age),
    ("queue.destination", "Destinations", POSTFIX + "QSHAPE_README.html", destination),
    ("queue.bounces", "Bounces in the queue", RFC + "rfc5321#section-6.1", bounces),
    ("queue.reasons", "Reasons in the queue", RFC + "rfc3463", reasons),
)
