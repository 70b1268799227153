# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a host's firewall for the one in front of it, at the provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    provider_firewall as words,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    ruleset,
)

DOCUMENTATION = r"""
name: provider_firewall
short_description: Rules of a host's firewall for the provider's firewall in front of it
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Takes the rules that M(postmaster.mailhost.docker_firewall) takes, and turns them into stateless
    rules for a provider's firewall.
  - Each packet is judged alone there, so that answers to what the host and its resolver ask others
    for are let in by themselves. What no rule names is closed.
  - A limit becomes an open port, and ICMP is let in.
positional: _input
options:
  _input:
    description: Rules for published ports.
    type: list
    elements: dict
    required: true
  provider:
    description:
      - V(hetzner_robot) gives what C(community.hrobot.firewall) takes in C(rules), at most ten
        rules. Its version 1.9 and later take rules for IPv6, together with C(filter_ipv6).
      - V(table) gives a table in Markdown.
    type: str
    choices: [hetzner_robot, table]
    default: hetzner_robot
  stack:
    description: Stack whose public ports are open. None when empty.
    type: str
    default: ''
  config:
    description: Settings of the stack that move its ports.
    type: dict
    default: {}
  host_rules:
    description: Rules for ports of the host itself.
    type: list
    elements: dict
    default: []
  sets:
    description: Sets that rules refer to, with C(name) and C(entries).
    type: list
    elements: dict
    default: []
  ssh_ports:
    description: Ports of the SSH server.
    type: list
    elements: int
    default: [22]
  admin_sources:
    description: Networks that SSH is open for; everybody when empty.
    type: list
    elements: str
    default: []
  families:
    description: Address families that the provider's firewall looks at.
    type: list
    elements: str
    default: [ipv4]
  stateful:
    description: The provider's firewall knows connections, and needs no rules for answers.
    type: bool
    default: false
  return_ports:
    description:
      - Ports that answers come to. V(32768-65535) is tighter; the resolver of mailcow then needs
        C(outgoing-port-avoid) with V(0-32767) in C(data/conf/unbound/unbound.conf).
    type: str
    default: 1024-65535
"""

EXAMPLES = r"""
- name: Hetzner's firewall in front of a dedicated server
  community.hrobot.firewall:
    hetzner_user: "{{ robot_user }}"
    hetzner_password: "{{ robot_password }}"
    server_ip: 203.0.113.10
    state: present
    allowlist_hos: true
    rules: "{{ firewall_rules | postmaster.mailhost.provider_firewall(stack='mailcow',
      admin_sources=mailhost_admins) }}"
  delegate_to: localhost

- name: A table for a panel
  ansible.builtin.debug:
    msg: "{{ [] | postmaster.mailhost.provider_firewall(stack='mailu', provider='table') }}"
"""

RETURN = r"""
_value:
  description: A dictionary with the list C(input) for V(hetzner_robot), a text for V(table).
  type: raw
"""


def provider_firewall(
    rules: Iterable[Mapping[str, Any]],
    provider: str = words.HETZNER_ROBOT,
    stack: str = "",
    config: Mapping[str, Any] | None = None,
    host_rules: Iterable[Mapping[str, Any]] = (),
    sets: Iterable[Mapping[str, Any]] = (),
    ssh_ports: Iterable[Any] = (22,),
    admin_sources: Iterable[str] = (),
    families: Iterable[str] = ("ipv4",),
    stateful: bool = False,
    return_ports: str = words.RETURN_PORTS,
) -> dict[str, Any] | str:
    """See the documentation above.

    Raises:
        AnsibleFilterError: something is not allowed; the text names it.
    """
    if provider not in words.PROVIDERS:
        raise AnsibleFilterError(
            f"provider_firewall: provider is {provider!r}; allowed: {', '.join(words.PROVIDERS)}"
        )
    try:
        wanted = ruleset.build(
            stack,
            config,
            rules,
            host_rules,
            sets,
            ssh_ports=ssh_ports,
            admin_sources=admin_sources,
        )
        found = words.entries(wanted, families, stateful, str(return_ports))
        return words.table(found) if provider == words.TABLE else words.hetzner_robot(found)
    except (ruleset.RulesetError, TypeError) as error:
        raise AnsibleFilterError(f"provider_firewall: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"provider_firewall": provider_firewall}
