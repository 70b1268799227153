# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mailu's override files, looked at before they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import mailu_overrides as words

DOCUMENTATION = r"""
name: mailu_overrides
short_description: Mailu's override files, looked at before they are written
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Says where each file goes and which service reads it, and refuses files that Mailu would not
    read, or that would keep a service from starting.
  - C(postfix.cf) and C(postfix.master) are handed on line by line through a shell. So each line
    stands for itself, and C($), C(`) and C(") need a backslash.
  - "Refused in C(postfix.cf): C(smtpd_banner), because clients never see it; C(myhostname) and
    C(relayhost), for which Mailu has settings; and C(mynetworks) with large networks."
positional: _input
options:
  _input:
    description:
      - "Directory below C(overrides), then file, then text: V({'postfix': {'postfix.cf': '...'}})."
    type: dict
    required: true
  webmail:
    description: The webmail in use. Files of another one are refused.
    type: str
    choices: [roundcube, snappymail, none]
    default: none
"""

EXAMPLES = r"""
- name: Where the files go
  ansible.builtin.debug:
    msg: "{{ files | postmaster.mailhost.mailu_overrides(webmail='roundcube') }}"
  vars:
    files:
      postfix:
        postfix.cf: |
          smtpd_client_connection_rate_limit = 30
"""

RETURN = r"""
_value:
  description:
    - Dictionaries with C(path) (below C(overrides)), C(text), and C(service), the one to restart
      when the file changes.
  type: list
  elements: dict
"""


def mailu_overrides(
    wanted: Mapping[str, Mapping[str, str]], webmail: str = "none"
) -> list[dict[str, Any]]:
    """See the documentation above.

    Raises:
        AnsibleFilterError: a file is not allowed; the text names it.
    """
    try:
        return words.overrides(wanted, webmail)
    except words.OverrideError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mailu_overrides": mailu_overrides}
