# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings as lines for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: report
short_description: Findings as lines of text for people
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Turns the findings of a check into lines, worst first, the fix below each that is not V(ok),
    and a summary at the end.
positional: _input
options:
  _input:
    description: Findings, as the modules of this collection return them.
    type: list
    elements: dict
    required: true
  fail_on:
    description:
      - From which status on the summary says C(no go), V(fail), V(warn) or V(never).
    type: str
    default: fail
  blocking:
    description:
      - Give only the findings that mean C(no go), for an error message.
    type: bool
    default: false
  width:
    description:
      - Longest line, in characters, at least 40.
    type: int
    default: 92
"""

EXAMPLES = r"""
- name: Show the report
  ansible.builtin.debug:
    msg: "{{ preflight.findings | postmaster.mailhost.report | join('\n') }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words

# What must be seen is in capitals: many terminals and all log files are without colour.
_MARKS = {
    words.FAIL: "FAIL",
    words.UNKNOWN: "UNKNOWN",
    words.WARN: "WARN",
    words.OK: "ok",
    words.SKIP: "skip",
}
_INDENT = " " * 9


def report(
    findings: Iterable[Mapping[str, Any]],
    fail_on: str = words.FAIL,
    blocking: bool = False,
    width: int = 92,
) -> list[str]:
    """Return findings as lines for people.

    Args:
        findings: findings as dictionaries.
        fail_on: from which status on the answer is "no go".
        blocking: only what means "no go", without the summary.
        width: longest line, in characters.

    Raises:
        AnsibleFilterError: when the input holds something that is no finding, or an
            option is wrong.
    """
    try:
        items = [words.from_dict(dict(entry)) for entry in findings]
        chosen = words.blocking(items, fail_on) if blocking else words.worst_first(items)
        totals = words.summary(items, fail_on)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"report: {error}") from error
    if width < 40:
        raise AnsibleFilterError(f"report: width is {width}; allowed: 40 or more")
    lines = []
    for item in chosen:
        lines += _entry(item, width)
    if not blocking:
        lines.append(_totals(totals))
    return lines


def _entry(item: words.Finding, width: int) -> list[str]:
    """Return the lines of one finding."""
    head = f"{_MARKS[item.status]:<8} {item.id}: {item.observed}"
    if item.status == words.OK:
        # The demand is of interest beside a measure, not beside a list of all that is allowed.
        full = f"{head} (needed: {item.required})"
        return _wrap(full if item.required and len(full) <= width else head, "", width)
    lines = _wrap(head, "", width)
    if item.required:
        lines += _wrap(f"needed: {item.required}", _INDENT, width)
    if item.fix:
        lines += _wrap(f"fix:    {item.fix}", _INDENT, width)
    return lines


def _wrap(text: str, indent: str, width: int) -> list[str]:
    """Wrap a text; a continued line stands below the text's own words."""
    hanging = indent + " " * (8 if indent else 9)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False
    )


def _totals(totals: Mapping[str, Any]) -> str:
    """Return the line that ends a report."""
    counts = ", ".join(
        f"{totals[status]} {word}"
        for status, word in (
            (words.FAIL, "failed"),
            (words.UNKNOWN, "unknown"),
            (words.WARN, "to watch"),
            (words.OK, "ok"),
            (words.SKIP, "skipped"),
        )
    )
    return f"{counts}: {'go' if totals['go'] else 'NO GO'}"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"report": report}
