# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How checks are run, whatever they look at."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import UNKNOWN, Finding


class Check(NamedTuple):
    """A check.

    Attributes:
        id: ``subject.name``.
        title: what is looked at, in a few words.
        source: name of the page, among the stack's ``sources``, that has the rule; or its URL.
        look: the check itself, ``(host, need) -> list[Finding]``.
    """

    id: str
    title: str
    source: str
    look: Callable[[Any, Any], list[Finding]]

    @property
    def subject(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    def named(self, found: Finding, sources: Mapping[str, str]) -> Finding:
        """Return a finding of this check with id, title and page filled in."""
        source = self.source if "://" in self.source else sources.get(self.source, "")
        return found._replace(id=self.id, title=self.title, source=source)


def all_of(rows: Iterable[tuple], subject: Any, need: Any = None) -> list[Finding]:
    """Run the checks of one file that all have pages of their own.

    Args:
        rows: the file's ``LOOK``.
        subject: what to look at.
        need: what it is compared with.

    Returns:
        list[Finding]: in the order of the rows.
    """
    checks = [Check(*row) for row in rows]
    found = at_once(checks, subject, need)
    return [check.named(item, {}) for check in checks for item in found[check.id]]


def at_once(checks: list[Check], subject: Any, need: Any) -> dict[str, list[Finding]]:
    """Run each check in a thread of its own; return the findings by the check's id."""
    import threading

    found: dict[str, list[Finding]] = {}

    def look(check: Check) -> None:
        found[check.id] = _look(check, subject, need)

    threads = [threading.Thread(target=look, args=(check,)) for check in checks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _look(check: Check, subject: Any, need: Any) -> list[Finding]:
    """Run one check; whatever keeps it from looking is an answer too."""
    try:
        return check.look(subject, need)
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
