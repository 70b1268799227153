# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor is to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import diagnosis as words

DOCUMENTATION = r"""
name: doctor_plan
short_description: What the role doctor is to look at
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Turns checks by id and subject into what each module is told to look at.
positional: _input
options:
  _input:
    description: Checks to run alone, by id or subject. All when empty.
    type: list
    elements: str
    required: true
  skip:
    description: Checks not to run, by id or subject.
    type: list
    elements: str
    default: []
seealso:
  - plugin: postmaster.mailhost.diagnosis
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say which modules are to run
  ansible.builtin.debug:
    msg: "{{ (['smtp', 'dns.reverse'] | postmaster.mailhost.doctor_plan).subjects }}"
"""

RETURN = r"""
_value:
  description:
    - C(preflight) and C(dns), ids of the checks of M(postmaster.mailhost.preflight) and
      M(postmaster.mailhost.dns_audit); C(subjects), everything of which at least one check is wanted.
  type: dict
"""


def doctor_plan(only: Iterable[str], skip: Iterable[str] = ()) -> dict[str, Any]:
    """See the documentation above.

    Raises:
        AnsibleFilterError: a name that is no check; the text names those that are.
    """
    try:
        return words.plan(only, skip)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"doctor_plan: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"doctor_plan": doctor_plan}
