# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that decide, on the controller, what the settings of the role system ask of a host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import system_plan as logic

DOCUMENTATION = r"""
name: system_plan
short_description: What a mail stack asks of the system below it
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Takes the name of a stack and the settings of the role C(system), and returns what is to be made
    of them. A setting that cannot be used is an error that names it and says what is allowed.
positional: _input
options:
  _input:
    description: Name of the stack; empty when the host is for none.
    type: str
    required: true
  swap:
    description: V(auto) for the stack's minimum, V(off), or a size in MiB.
    type: raw
    default: auto
  servers:
    description: Time servers, by name or IP address.
    type: list
    elements: str
    default: []
  sysctls:
    description: Kernel parameters with their values.
    type: dict
    default: {}
  conflicting:
    description: Services that are to be masked.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The kernel parameters that mailcow needs at least
  ansible.builtin.debug:
    msg: "{{ ('mailcow' | postmaster.mailhost.system_plan).sysctl_minimums }}"
"""

RETURN = r"""
_value:
  description:
    - C(swap_mib) is the swap space wanted in all, in MiB, V(0) for none. C(sysctl_minimums) maps
      kernel parameters to their least values.
  type: dict
"""


def system_plan(name: str, **settings: Any) -> dict[str, Any]:
    """See the documentation above, and :func:`system_plan.plan`."""
    try:
        return logic.plan(name or "", **settings)
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(str(error)) from None


def time_packages(host: dict[str, Any]) -> list[str]:
    """Return the packages that a time daemon needs; see :func:`system_plan.time_packages`."""
    try:
        return logic.time_packages(host)
    except (AttributeError, KeyError, TypeError):
        raise AnsibleFilterError(
            "time_packages wants what postmaster.mailhost.host_info returned with gather: [system] "
            "and the packages of time daemons"
        ) from None
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"system_plan": system_plan, "time_packages": time_packages}
