# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project of Mailu."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import mailu_compose as words

DOCUMENTATION = r"""
name: mailu_compose
short_description: The content of Mailu's docker-compose.yml
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Returns the Compose project of Mailu for some options, from the data of the stack.
  - The values are not checked; P(postmaster.mailhost.mailu#role) does that.
positional: _input
options:
  _input:
    description:
      - C(series) and C(version) (release), C(root), C(subnet), C(subnet6), C(bind_ipv4), C(bind_ipv6),
        C(ports) (list of numbers), C(mtu), C(egress_ipv4), and where they differ from the defaults
        C(webmail), C(antivirus), C(webdav), C(fetchmail), C(oletools), C(resolver),
        C(fts_attachments) and C(admin).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: What would be started
  ansible.builtin.debug:
    msg: "{{ (options | postmaster.mailhost.mailu_compose).services.keys() }}"
  vars:
    options:
      series: "2024.06"
      version: 2024.06.57
      root: /mailu
      subnet: 192.168.203.0/24
      subnet6: ''
      bind_ipv4: 192.0.2.10
      bind_ipv6: ''
      ports: [25, 80, 443, 465, 993, 995, 4190]
      mtu: 0
      egress_ipv4: ''
      antivirus: true
"""

RETURN = r"""
_value:
  description: The mapping, with C(name), C(services) and C(networks).
  type: dict
"""


def mailu_compose(options: Mapping[str, Any]) -> dict[str, Any]:
    """See the documentation above, and :func:`mailu_compose.compose`."""
    try:
        return words.compose(options)
    except KeyError as error:
        raise AnsibleFilterError(f"mailu_compose: missing option {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mailu_compose": mailu_compose}
