# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocklists: which can be believed, and what they say."""

from __future__ import annotations

from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils import blocklist
from ansible_collections.postmaster.mailhost.plugins.module_utils.blocklist import (
    Entry,
    Report,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)

_OWN_RESOLVER = (
    "Use your own resolver: name one in nameservers that asks the lists itself, such as unbound "
    "without forwarding; or a key of the list (spamhaus_key)."
)


def zones(report: Report, _need: Any) -> list[Finding]:
    """Test each list before it is believed.

    It must list its test point and must not list what never is (RFC 5782). One that refuses the
    question, does not answer, or has ended without being known for it: ``unknown``. One that is
    known to have ended and is asked all the same: ``warn``. Nothing to look up: ``skip``.
    """
    required = "each list answers, and lists its test point only"
    if not report.states:
        return [answer(SKIP, "no address and no domain is named", required)]
    findings = []
    for status, fix in (
        (blocklist.REFUSED, _OWN_RESOLVER),
        (blocklist.SILENT, "Ask by hand, or name another resolver in nameservers."),
        (
            blocklist.DEAD,
            (
                "Ask through another resolver, named in nameservers. If that says the same, leave the list "
                "out of zones, and of the mail server's configuration."
            ),
        ),
        (blocklist.RETIRED, "Leave it out of zones, and of the mail server's configuration."),
    ):
        found = [state for state in report.states if state.status == status]
        if found:
            observed = "; ".join(
                "{0}: {1}".format(state.zone.name, state.reason) for state in found
            )
            kind = WARN if status == blocklist.RETIRED else UNKNOWN
            findings.append(answer(kind, observed, required, fix))
    good = [state.zone.name for state in report.states if state.status == blocklist.GOOD]
    return findings or [answer(OK, ", ".join(good), required)]


def address(report: Report, _need: Any) -> list[Finding]:
    """Look for the server's addresses in the lists.

    Listed in one that large receivers use: ``fail``; in another one: ``warn``. No list that works
    says anything: ``unknown``. No address named: ``skip``.
    """
    return _subjects(report, report.addresses, "no address is named")


def domain(report: Report, _need: Any) -> list[Finding]:
    """Look for the mail domains in the lists.

    As for addresses.
    """
    return _subjects(report, report.domains, "no domain is named")


def _subjects(report: Report, subjects: tuple[str, ...], nothing: str) -> list[Finding]:
    required = "in no blocklist"
    if not subjects:
        return [answer(SKIP, nothing, required)]
    findings = []
    for subject in subjects:
        entries = [entry for entry in report.entries if entry.subject == subject]
        listed = [entry for entry in entries if entry.status == blocklist.LISTED]
        clean = [entry for entry in entries if entry.status == blocklist.CLEAN]
        findings += [_listed(entry, required) for entry in listed]
        if listed:
            continue
        if not clean:
            reasons = dict.fromkeys(entry.meaning for entry in entries if entry.meaning)
            observed = "no list says anything of {0}{1}".format(
                subject, ": " + "; ".join(reasons) if reasons else ""
            )
            findings.append(answer(UNKNOWN, observed, required, _OWN_RESOLVER))
            continue
        unknown = len(entries) - len(clean)
        observed = "{0} is in none of {1} lists{2}".format(
            subject, len(clean), "; {0} did not tell".format(unknown) if unknown else ""
        )
        findings.append(answer(OK, observed, required))
    return findings


def _listed(entry: Entry, required: str) -> Finding:
    observed = "{0} is in {1} ({2}): {3}{4}".format(
        entry.subject,
        entry.zone.name,
        ", ".join(entry.codes),
        entry.meaning,
        " – " + entry.text if entry.text else "",
    )
    fix = "Find out why, stop it, and then have the entry removed{0}.".format(
        ": " + entry.zone.page if entry.zone.page else " by who keeps the list"
    )
    return answer(FAIL if entry.zone.major else WARN, observed, required, fix)


RFC = "https://www.rfc-editor.org/rfc/rfc5782"

LOOK = (
    ("blocklist.zones", "Blocklists work", RFC + "#section-5", zones),
    ("blocklist.address", "Addresses in blocklists", RFC, address),
    ("blocklist.domain", "Domains in blocklists", RFC, domain),
)
