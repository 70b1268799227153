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
  - The module M(postmaster.mailhost.report) shows them by itself and also writes files.
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

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document as data
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import lines as text


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
        document = data.build(findings, host="", fail_on=fail_on)
        items = data.parse(document["findings"])
        chosen = words.blocking(items, fail_on) if blocking else items
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"report: {error}") from error
    if width < text.MIN_WIDTH:
        raise AnsibleFilterError(f"report: width is {width}; allowed: {text.MIN_WIDTH} or more")
    lines = []
    for item in chosen:
        lines += text.entry(item, width)
    if not blocking:
        lines.append(text.totals(document))
    return lines


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"report": report}
