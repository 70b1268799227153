# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check there is, in the order of a report; the docs are made from here."""

from __future__ import annotations

from typing import Callable, Iterable, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.check import (
    commands,
    platform,
    ports,
    resources,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


class Check(NamedTuple):
    """A check.

    Attributes:
        id: ``subject.name``.
        title: what is looked at, in a few words.
        source: name of the page, among the stack's ``sources``, that has the rule.
        look: the check itself.
    """

    id: str
    title: str
    source: str
    look: Callable[[Host, Need], list[Finding]]

    @property
    def subject(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


CHECKS = (
    Check("platform.operating_system", "Operating system", "system", platform.operating_system),
    Check("platform.virtualisation", "Virtualisation", "system", platform.virtualisation),
    Check("platform.architecture", "Architecture", "system", platform.architecture),
    Check("resources.cpu", "Processor", "system", resources.cpu),
    Check("resources.memory", "Memory", "system", resources.memory),
    Check("resources.swap", "Swap space", "system", resources.swap),
    Check("resources.disk", "Disk space", "system", resources.disk),
    Check("ports.public", "Public ports", "ports", ports.public),
    Check("ports.loopback", "Loopback ports", "ports", ports.loopback),
    Check("commands.required", "Commands", "install", commands.required),
)


def names() -> list[str]:
    """Return what a check may be called by: every id and every subject, in order."""
    found: dict[str, None] = {}
    for check in CHECKS:
        found.setdefault(check.subject)
        found[check.id] = None
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
    ids: set[str] = set()
    for name in wanted:
        if name not in known:
            raise ValueError("{0} has {1!r}; allowed: {2}".format(option, name, ", ".join(known)))
        ids.update(check.id for check in CHECKS if name in (check.id, check.subject))
    return ids


def run(
    host: Host,
    need: Need,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    accept: Iterable[str] = (),
    checks: Iterable[Check] = CHECKS,
) -> list[Finding]:
    """Run the checks.

    Args:
        host: machine to look at.
        need: what the stack needs.
        only: ids and subjects to run alone; all when empty.
        skip: ids and subjects not to run; each is reported as ``skip``.
        accept: ids and subjects whose failure is reported as ``warn``, with a note that it was
            accepted.
        checks: the checks to choose from.

    Returns:
        list[Finding]: in the order of the catalogue.

    Raises:
        ValueError: a name that is no check.
    """
    only_ids = select("only", only)
    skipped = select("skip", skip)
    accepted = select("accept", accept)
    findings = []
    for check in checks:
        if only_ids and check.id not in only_ids:
            continue
        source = need.sources.get(check.source, "")
        if check.id in skipped:
            found = [Finding("", SKIP, "", "not looked at: skipped by name", "")]
        else:
            found = _look(check, host, need)
        for finding in found:
            finding = finding._replace(id=check.id, title=check.title, source=source)
            if finding.status == FAIL and check.id in accepted:
                finding = finding._replace(
                    status=WARN, observed=finding.observed + " (accepted by name)"
                )
            findings.append(finding)
    return findings


def _look(check: Check, host: Host, need: Need) -> list[Finding]:
    """Run one check; whatever keeps it from looking is an answer too."""
    try:
        return check.look(host, need)
    except Exception as error:  # noqa: BLE001 - any error of a check is its answer
        return [
            Finding(
                "",
                UNKNOWN,
                "",
                "could not look: {0}".format(error or type(error).__name__),
                "an answer",
                "Run the check as root; if that does not help, look at this by hand.",
            )
        ]
