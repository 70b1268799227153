# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check found, and the summary of many findings."""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple

OK = "ok"
WARN = "warn"
FAIL = "fail"
SKIP = "skip"
UNKNOWN = "unknown"

#: Every status, worst first: the order of a report. What could not be looked at may hide a failure,
#: so it stands before a warning.
STATUSES = (FAIL, UNKNOWN, WARN, OK, SKIP)

#: From which status on the answer is "no go".
FAIL_ON = (FAIL, WARN, "never")


#: What stands behind ``observed`` of a warning that the play which asked repairs next. It stops
#: nothing.
REPAIRED = " (about to be repaired)"


class Finding(NamedTuple):
    """One answer of one check.

    Attributes:
        id: name of the check, ``subject.name``.
        status: one of :data:`STATUSES`. ``unknown`` means that the check could not look.
        title: what was looked at, in a few words.
        observed: what was measured.
        required: what is needed.
        fix: what to do when the status is not ``ok``; empty otherwise.
        source: URL of the rule; empty when there is none.
    """

    id: str
    status: str
    title: str
    observed: str
    required: str
    fix: str = ""
    source: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the finding as a dictionary of texts, ready for ``exit_json``."""
        return dict(self._asdict())


def answer(status: str, observed: str, required: str, fix: str = "") -> Finding:
    """Return a finding without id, title and source, which the catalogue of checks fills in."""
    return Finding("", status, "", observed, required, "" if status == OK else fix)


def from_dict(data: dict[str, Any]) -> Finding:
    """Return the finding that :meth:`Finding.to_dict` made a dictionary of.

    Raises:
        ValueError: when a key is missing or the status is not one of :data:`STATUSES`.
    """
    missing = [name for name in ("id", "status") if not data.get(name)]
    if missing:
        raise ValueError("a finding needs {0}".format(" and ".join(missing)))
    if data["status"] not in STATUSES:
        raise ValueError(
            "status of {0} is {1!r}; allowed: {2}".format(
                data["id"], data["status"], ", ".join(STATUSES)
            )
        )
    return Finding(**{name: str(data.get(name) or "") for name in Finding._fields})


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in the order of a report: worst status first, otherwise as they came."""
    return sorted(findings, key=lambda finding: STATUSES.index(finding.status))


def blocking(findings: Iterable[Finding], fail_on: str = FAIL) -> list[Finding]:
    """Return the findings that mean "no go", worst first.

    Args:
        findings: what the checks found.
        fail_on: ``fail`` counts failures, ``warn`` unknowns and warnings too, ``never`` nothing.
            What is about to be repaired never counts.

    Raises:
        ValueError: when ``fail_on`` is something else.
    """
    if fail_on not in FAIL_ON:
        raise ValueError("fail_on is {0!r}; allowed: {1}".format(fail_on, ", ".join(FAIL_ON)))
    counted = {FAIL: (FAIL,), WARN: (FAIL, UNKNOWN, WARN), "never": ()}[fail_on]
    return worst_first(
        finding
        for finding in findings
        if finding.status in counted and not finding.observed.endswith(REPAIRED)
    )


def summary(findings: Iterable[Finding], fail_on: str = FAIL) -> dict[str, Any]:
    """Count findings by status and say whether to go on.

    Args:
        findings: what the checks found.
        fail_on: see :func:`blocking`.

    Returns:
        dict: a count for each of :data:`STATUSES`, and ``go``, False when a finding blocks.
    """
    findings = list(findings)
    counts: dict[str, Any] = {
        status: sum(finding.status == status for finding in findings) for status in STATUSES
    }
    counts["go"] = not blocking(findings, fail_on)
    return counts
