# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that decides, on the controller, what the role postfix's settings ask of Postfix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import postfix_settings as logic

DOCUMENTATION = r"""
name: postfix_settings
short_description: What the settings of the role postfix ask of Postfix
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Takes the variables of the role C(postfix) without their prefix, and returns parameters, services
    and tables. A setting that cannot be used is an error that names it and says what is allowed.
positional: _input
options:
  _input:
    description: The settings.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What a relay to a smarthost is made of
  ansible.builtin.debug:
    msg: "{{ __postfix_given | postmaster.mailhost.postfix_settings }}"
"""

RETURN = r"""
_value:
  description:
    - C(parameters), C(if_known), C(absent), C(absent_if) and C(services) as
      M(postmaster.mailhost.postconf) takes them, and C(tables), name of a lookup table to its text.
  type: dict
"""


def postfix_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters, services and tables; see the documentation above."""
    try:
        return logic.settings(given)
    except logic.SettingError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name to function."""
        return {"postfix_settings": postfix_settings}
