# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that looks, on the controller, whether the role qmail's settings can be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import qmail_control, tcp_rules

DOCUMENTATION = r"""
name: qmail_settings
short_description: Whether the settings of the role qmail can be used
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Takes the variables of the role C(qmail) without their prefix. A setting that cannot be used is an
    error that names it and says what is allowed.
positional: _input
options:
  _input:
    description: The settings.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Look at settings before anything is changed
  ansible.builtin.debug:
    msg: "{{ __qmail_given | postmaster.mailhost.qmail_settings }}"
"""

RETURN = r"""
_value:
  description: C(append) as M(postmaster.mailhost.qmail_control) takes it.
  type: dict
"""

#: Lists that vpopmail's vadddomain and vdeldomain write as well.
VPOPMAIL = ("rcpthosts", "morercpthosts", "virtualdomains")


def qmail_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return what follows from the settings; see the documentation above."""
    append = [*qmail_control.APPENDED, *(VPOPMAIL if given["vpopmail"] else ())]
    unknown = sorted(set(given["complete"]) - {*qmail_control.APPENDED, *VPOPMAIL})
    if unknown:
        raise AnsibleFilterError(
            f"qmail_control_complete: {', '.join(unknown)}; allowed: "
            f"{', '.join([*qmail_control.APPENDED, *VPOPMAIL])}, as other lists are complete anyway"
        )
    if given["assign_complete"] and not given["assign"]:
        raise AnsibleFilterError(
            "qmail_assign_complete is true and qmail_assign is empty; allowed: name every assignment, or "
            "leave qmail_assign_complete"
        )
    append = [name for name in append if name not in given["complete"]]
    try:
        files = qmail_control.with_secrets(given["control"], given["secrets"])
        qmail_control.need_values(files, given["absent"], append)
        if given["rules"]:
            rules = tcp_rules.rules_of(
                [_entry(entry) for entry in given["rules"]],
                given["default"],
                given["default_variables"],
            )
            tcp_rules.need_expected(rules, given["expect"])
    except qmail_control.ControlError as error:
        raise AnsibleFilterError(f"qmail_control: {error}") from error
    except tcp_rules.TcpRulesError as error:
        raise AnsibleFilterError(f"qmail_rules: {error}") from error
    return {"append": append}


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    # As a module's option of type list takes it.
    addresses = entry["addresses"]
    return {**entry, "addresses": addresses.split(",") if isinstance(addresses, str) else addresses}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name to function."""
        return {"qmail_settings": qmail_settings}
