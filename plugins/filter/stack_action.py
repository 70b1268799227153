# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed configuration keys need to take effect."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stack_action
short_description: What a stack needs so that changed configuration keys take effect
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Answers V(nothing), V(up) (services whose configuration changed are recreated) or V(down_up)
    (networks are made anew); the strongest of all keys counts.
options:
  _input:
    description: Names of the keys that changed.
    type: list
    elements: str
    required: true
  stack:
    description: Name of the stack.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Another network needs down and up
  ansible.builtin.assert:
    that: "['LOG_LINES', 'IPV4_NETWORK'] | postmaster.mailhost.stack_action('mailcow') == 'down_up'"
"""

RETURN = r"""
_value:
  description: V(nothing), V(up) or V(down_up).
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack as stacks
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config as logic


def stack_action(changed_keys: list[str], stack: str) -> str:
    """See DOCUMENTATION."""
    try:
        return logic.needed_action(stacks.get(stack), changed_keys)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict:
        """The filter by its name."""
        return {"stack_action": stack_action}
