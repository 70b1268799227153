# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check there is, in the order of a report; the docs are made from here."""

from __future__ import annotations

from typing import Any, Iterable

from ansible_collections.postmaster.mailhost.plugins.module_utils.check import (
    clock,
    commands,
    egress,
    engine,
    firewall,
    identity,
    network,
    platform,
    ports,
    resolver,
    resources,
    security,
    services,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.look import (
    Check,
    at_once,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    REPAIRED,
    SKIP,
    WARN,
    Finding,
)

# Each subject's file lists its own checks; the order here is that of a report.
SUBJECTS = (
    platform,
    resources,
    clock,
    identity,
    network,
    resolver,
    ports,
    services,
    engine,
    firewall,
    egress,
    security,
    commands,
)

CHECKS = tuple(Check(*row) for subject in SUBJECTS for row in subject.LOOK)

#: Ids of what is looked at from the controller: the DNS. A play names checks of both kinds in one
#: list. The checks themselves stay on the controller, see :func:`dns_checks`.
DNS_IDS = (
    "dns.address",
    "dns.cname_hostname",
    "dns.reverse",
    "dns.forward_confirmed",
    "dns.generic_reverse",
    "dns.mx",
    "dns.mx_target",
    "dns.autodiscover",
    "dns.autoconfig",
    "dns.spf",
    "dns.dkim",
    "dns.dmarc",
    "dns.host_spf",
    "dns.caa",
    "dns.wildcard",
    "dns.nameservers",
)

#: What the documents ask for and no look at the host can tell: what, why, and where to look instead.
ELSEWHERE = (
    (
        "Incoming ports are open on the way to the server",
        "a server sees its own firewall, not its provider's or a router's",
        "from another network, for example `nc -vz mail.example.org 25`",
    ),
    (
        "Rules of a stateless provider firewall, such as Hetzner Robot's",
        "they are applied before a packet reaches the server",
        "the provider's panel; `firewall.provider` says which rules it must have",
    ),
    (
        "Outgoing ports 465 and 587 to any server",
        "there is no server that all may try; most take 25 only",
        "`egress.smtp` for port 25; for a smarthost, its own port by hand",
    ),
    (
        "UDP to the fuzzy storages, where nothing comes back",
        "they answer none but Rspamd, so silence does not mean a filter",
        "Rspamd's log: `fuzzy_check … timed out`",
    ),
    (
        "The source ports of the stack's resolver",
        "they are chosen inside the container",
        "`outgoing-port-avoid` in `data/conf/unbound/unbound.conf`, for a stricter provider firewall",
    ),
    (
        "Whether the provider lifts a block of port 25",
        "it is a matter of contract",
        "the provider's documentation; `egress.smtp` tells whether there is a block",
    ),
    (
        "Whether mail ends in a spam folder",
        "the receiver decides after it took the mail",
        "a test mailbox elsewhere: `Authentication-Results` in the header",
    ),
    (
        "SRV and MTA-STS records",
        "they are optional",
        "the stack's own page of DNS records, for each domain",
    ),
    (
        "The checkout's branch, and rules that Docker left of older networks",
        "they are of a stack that is there already",
        "upstream's `update.sh`; the role of the stack sets branch and network",
    ),
    (
        "Free limits of the certificate authority",
        "it counts certificates by domain, for all servers together",
        "https://letsencrypt.org/docs/rate-limits/ and the log of the stack's ACME client",
    ),
)


def dns_checks() -> tuple[Check, ...]:
    """Return the checks of :data:`DNS_IDS`, which take a zone and a ``DnsNeed``."""
    import importlib

    # Managed hosts never look at the DNS. An import that Ansible does not see keeps this large file
    # out of what is sent to them; the module for the controller has an import of its own.
    dns = importlib.import_module(__name__.rpartition(".")[0] + ".dns")
    return tuple(Check(*row) for row in dns.LOOK)


#: Files of checks for a mail server that runs, each called by a module of its own. They are no part
#: of the preflight, and what is looked at is not a host but what the module found out.
DOCTOR_SUBJECTS = ("health", "delivery", "queue", "blocklist", "smtp", "tls", "qmail")


def doctor_checks() -> tuple[Check, ...]:
    """Return the checks of :data:`DOCTOR_SUBJECTS`; for the docs, like :func:`dns_checks`."""
    import importlib

    folder = __name__.rpartition(".")[0]
    files = [importlib.import_module(folder + "." + name) for name in DOCTOR_SUBJECTS]
    return tuple(Check(*row) for file in files for row in file.LOOK)


def ids() -> tuple[str, ...]:
    """Return the id of every check, those of the DNS at the end."""
    return tuple(check.id for check in CHECKS) + DNS_IDS


def names() -> list[str]:
    """Return what a check may be called by: every id and every subject, in order."""
    found: dict[str, None] = {}
    for name in ids():
        found.setdefault(name.partition(".")[0])
        found[name] = None
    return list(found)


def select(option: str, wanted: Iterable[str]) -> set[str]:
    """Return the ids that a list of ids and subjects stands for.

    Args:
        option: name of the option that the list comes from, for the error.
        wanted: ids and subjects.

    Raises:
        ValueError: a name that is neither; the text names those that are.
    """
    known = names()
    chosen: set[str] = set()
    for name in wanted:
        if name not in known:
            raise ValueError("{0} has {1!r}; allowed: {2}".format(option, name, ", ".join(known)))
        chosen.update(entry for entry in ids() if name in (entry, entry.partition(".")[0]))
    return chosen


def run(
    subject: Any,
    need: Any,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    accept: Iterable[str] = (),
    repaired: Iterable[str] = (),
    fail_on: str = FAIL,
    checks: Iterable[Check] = CHECKS,
) -> list[Finding]:
    """Run the checks, all at the same time: most of their time is waiting for programs.

    Args:
        subject: what to look at, a :class:`Host` or a zone.
        need: what the stack needs of it.
        only: ids and subjects to run alone; all when empty.
        skip: ids and subjects not to run; each is reported as ``skip``.
        accept: ids and subjects whose failure is reported as ``warn``, with a note that it was
            accepted.
        repaired: ids and subjects whose failure is reported as ``warn`` too, as the play that asks
            is about to repair it.
        fail_on: see :func:`finding.blocking`; with ``warn``, ``repaired`` is for warnings too.
        checks: the checks to choose from.

    Returns:
        list[Finding]: in the order of the catalogue.

    Raises:
        ValueError: a name that is no check.
    """
    only_ids = select("only", only)
    skipped = select("skip", skip)
    notes = dict.fromkeys(select("repaired", repaired), REPAIRED)
    notes.update(dict.fromkeys(select("accept", accept), " (accepted by name)"))
    noted = dict.fromkeys(notes, (FAIL,))
    if fail_on == WARN:
        noted.update((name, (FAIL, WARN)) for name in notes if notes[name] == REPAIRED)
    chosen = [check for check in checks if not only_ids or check.id in only_ids]
    findings = []
    looked = at_once([check for check in chosen if check.id not in skipped], subject, need)
    for check in chosen:
        found = looked.get(check.id, [Finding("", SKIP, "", "not looked at: skipped by name", "")])
        for finding in found:
            finding = check.named(finding, need.sources)
            if finding.status in noted.get(check.id, ()):
                finding = finding._replace(status=WARN, observed=finding.observed + notes[check.id])
            findings.append(finding)
    return findings
