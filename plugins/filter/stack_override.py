# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose override that a stack needs on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stack_override
short_description: The Compose override that a stack needs on this host
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Puts what a host needs (the MTU of its network, ports on an IPv6 address) below the override
    that you give; yours wins, lists are joined.
options:
  _input:
    description: The override that you give, as in C(docker-compose.override.yml).
    type: dict
    required: true
  stack:
    description: Name of the stack.
    type: str
    required: true
  mtu:
    description:
      - MTU in bytes for the stack's networks; V(0) leaves Docker's default. The C(mtu) of
        C(daemon.json) does not reach networks that Compose makes.
    type: int
    default: 0
  ipv6_bind:
    description:
      - IPv6 address on which public ports that are bound to an IPv4 address are published as well;
        empty for none.
    type: str
    default: ''
  effective:
    description: Key to value of the stack's configuration, for the port numbers.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: A network with a smaller MTU
  ansible.builtin.debug:
    msg: "{{ {} | postmaster.mailhost.stack_override('mailcow', mtu=1450) }}"
"""

RETURN = r"""
_value:
  description: The content of C(docker-compose.override.yml); empty when nothing is needed.
  type: dict
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import compose_override
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack as stacks
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config as logic


def stack_override(
    override: dict,
    stack: str,
    mtu: int = 0,
    ipv6_bind: str = "",
    effective: dict | None = None,
) -> dict:
    """See DOCUMENTATION."""
    try:
        data = stacks.get(stack)
        needed = {}
        if mtu:
            options = {"com.docker.network.driver.mtu": str(mtu)}
            networks = {network["name"]: {"driver_opts": options} for network in data["networks"]}
            needed = {"networks": networks}
        if ipv6_bind:
            ports = logic.ipv6_ports(data, ipv6_bind, effective or {})
            needed = compose_override.merge(needed, ports)
        return compose_override.merge(needed, override)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict:
        """The filter by its name."""
        return {"stack_override": stack_override}
