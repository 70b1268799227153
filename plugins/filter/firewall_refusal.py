# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be said against the settings of a firewall without a look at the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.postmaster.mailhost.plugins.module_utils import firewall_guard, ruleset

DOCUMENTATION = r"""
name: firewall_refusal
short_description: What is wrong with the settings of a firewall
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Looks at the options of M(postmaster.mailhost.docker_firewall) and
    M(postmaster.mailhost.firewall_guard) on the controller, so that a play refuses wrong ones before
    its first change. Files that sets refer to are on the host, and not looked at.
positional: _input
options:
  _input:
    description:
      - Options of M(postmaster.mailhost.docker_firewall), of those from C(stack) to C(snat). Empty
        values are taken for missing ones.
    type: dict
    required: true
  check_seconds:
    description: Seconds between two looks at the rules in force.
    type: int
    default: 15
  rollback_seconds:
    description: Seconds until a change that nobody confirmed is taken back.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Refuse wrong rules before the first change
  ansible.builtin.assert:
    that: refusal == ''
    fail_msg: "{{ refusal }}"
  vars:
    refusal: "{{ {'stack': 'mailcow', 'rules': firewall_rules}
      | postmaster.mailhost.firewall_refusal }}"
"""

RETURN = r"""
_value:
  description: A sentence, empty when there is nothing to be said against them.
  type: str
"""


def firewall_refusal(
    options: Mapping[str, Any], check_seconds: Any = 15, rollback_seconds: Any = 60
) -> str:
    """See the documentation above, :func:`ruleset.build` and :func:`firewall_guard.refuse_number`.

    Raises:
        AnsibleFilterError: the options are no dictionary.
    """
    if not isinstance(options, Mapping):
        raise AnsibleFilterError(f"firewall_refusal wants a dictionary, not {options!r}")
    given = {name: _plain(value) for name, value in options.items() if value not in ("", None)}
    # Takes "20" for 20 and one address for a list with it, as the module will.
    result = ArgumentSpecValidator(ruleset.OPTIONS).validate(given)
    if result.error_messages:
        return "; ".join(result.error_messages)
    wanted = dict(result.validated_parameters)
    wanted["sets"] = [{"name": item["name"], "entries": item["entries"]} for item in wanted["sets"]]
    try:
        ruleset.build(**wanted)
        for name, value, allowed in (
            ("check_seconds", check_seconds, firewall_guard.INTERVALS),
            ("rollback_seconds", rollback_seconds, firewall_guard.ROLLBACKS),
        ):
            firewall_guard.refuse_number("firewall_" + name, int(value), allowed)
    except (ruleset.RulesetError, firewall_guard.GuardError, ValueError) as error:
        return str(error)
    return ""


def _plain(value: Any) -> Any:
    """Return what Ansible's lazy containers hold, in Python's own.

    The validator copies what it gets, and each copy of a lazy container takes all of it out anew.
    """
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"firewall_refusal": firewall_refusal}
