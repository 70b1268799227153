# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An administrator's settings, checked and spread over the options of env_file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stack_config
short_description: Check the settings of a mail stack and spread them over the options of env_file
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Every key of the stack gets a value, yours or the default, as M(postmaster.mailhost.env_file)
    takes it.
  - Nothing is raised for a wrong setting; all problems are collected in C(problems), so that a play
    can show them together before anything is changed.
options:
  _input:
    description: Key to value, as an administrator writes them.
    type: dict
    required: true
  stack:
    description: Name of the stack.
    type: str
    required: true
  own:
    description:
      - Key to a pair of a variable's name and its value, for keys that other variables decide.
    type: dict
    default: {}
  own_defaults:
    description: Key to value, for keys that keep what is in the file.
    type: dict
    default: {}
  extra:
    description: Keys that are written although the stack does not know them.
    type: list
    elements: str
    default: []
  option:
    description: Name of the variable that the settings come from, for the problems.
    type: str
    default: config
  series:
    description:
      - Release series that the file is for, such as V(2024.06) of Mailu; keys of others are refused.
        All keys when empty.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Refuse wrong settings
  ansible.builtin.assert:
    that: checked.problems | length == 0
    fail_msg: "{{ checked.problems }}"
  vars:
    checked: "{{ {'HTTP_PORT': 8080} | postmaster.mailhost.stack_config('mailcow',
                 own={'MAILCOW_HOSTNAME': ['mailcow_hostname', 'mail.example.org']}) }}"
"""

RETURN = r"""
_value:
  description:
    - C(values), C(secrets), C(defaults), C(generate), C(absent), C(create_only), C(quote),
      C(secret_keys) and C(layout) for M(postmaster.mailhost.env_file), C(effective) (key to value,
      secrets left out) and C(problems) (sentences).
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack as stacks
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config as logic


def stack_config(
    config: dict,
    stack: str,
    own: dict | None = None,
    own_defaults: dict | None = None,
    extra: list[str] = (),
    option: str = "config",
    series: str = "",
) -> dict:
    """See DOCUMENTATION."""
    if not isinstance(config, dict):
        raise AnsibleFilterError(
            "%s: %r; allowed: a dictionary of KEY: value" % (option, type(config).__name__)
        )
    try:
        return logic.resolve(stacks.get(stack), config, own, own_defaults, extra, option, series)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict:
        """The filter by its name."""
        return {"stack_config": stack_config}
