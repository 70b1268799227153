# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of a mail stack."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stack
short_description: What this collection knows about a mail stack
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Returns the data of a stack, such as its requirements, ports, services and configuration keys.
  - The modules and roles of the collection use the same data, so that a fact is said once.
options:
  _terms:
    description: Names of stacks; V(mailcow) is known.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: The public ports of mailcow
  ansible.builtin.debug:
    msg: "{{ lookup('postmaster.mailhost.stack', 'mailcow').ports
             | selectattr('public') | map(attribute='port') }}"
"""

RETURN = r"""
_raw:
  description:
    - One dictionary for each stack, with C(requirements), C(operating_systems), C(ports),
      C(networks), C(services), C(commands), C(keys), C(removed), C(sources) and more.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict | None = None, **kwargs: Any) -> list[dict]:
        try:
            return [stack.get(term) for term in terms]
        except ValueError as error:
            raise AnsibleLookupError(str(error)) from error
