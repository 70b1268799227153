#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_firewall
short_description: Filter what reaches containers and the host, by published port
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Filters traffic to the ports that a Docker engine publishes, and to the host's own ports, for
    both address families, in one task. Rules name I(published) ports, whichever port the container
    listens on.
  - The rules live in chains of their own, or in a table of their own with nftables. Chains of the
    engine, of fail2ban, of mailcow and of the administrator are neither emptied nor reordered. A rule
    that allows has no say over others' bans.
  - The public ports of the stack are open, everything else that is published is closed, connections
    that containers make are free, and the host's own ports stay as they are, unless options say
    otherwise.
  - What the kernel has is compared with what it should have. All rules of a family are replaced at
    once or not at all; no packet meets half of them.
  - The rules are written to files as well, with a script C(load) that puts them in force (at boot,
    or to go back to them) and a script C(unload).
options:
  state:
    description:
      - V(absent) takes away exactly what this module made, in the kernel and on disk.
    type: str
    default: present
    choices:
      - present
      - absent
  stack:
    description:
      - The mail stack whose public ports are open. None when not given.
    type: str
    choices:
      - mailcow
      - mailu
  config:
    description:
      - Settings of the stack's configuration file that move its ports or networks, as for
        M(postmaster.mailhost.preflight). A port that is bound to the loopback interface is not
        opened.
    type: dict
    default: {}
  rules:
    description:
      - Rules for published ports. The first rule that fits a connection decides.
      - A port that a rule with O(rules[].action=allow) or O(rules[].action=limit) names is open as
        these rules say, and for nobody else.
    type: list
    elements: dict
    default: []
    suboptions: &rule
      name:
        description:
          - Name of the rule, unique in O(rules) and O(host_rules). Up to 32 letters, digits, and
            C(-), C(_), C(.).
        type: str
        required: true
      service:
        description:
          - Name of a port of O(stack), such as V(SMTP), V(submission), V(IMAPS), V(HTTPS), in place
            of O(rules[].ports). Only for O(rules).
        type: str
      ports:
        description:
          - Published ports or ranges of them, V(1) to V(65535), such as V(8443) and V(8000-8100). All
            when not given.
        type: list
        elements: str
      protocol:
        description:
          - Protocol of O(rules[].ports).
        type: str
        default: tcp
        choices:
          - tcp
          - udp
      sources:
        description:
          - Addresses and networks that the rule is for, of both families. Everybody when not given.
          - A family of which none is named is not concerned by the rule.
        type: list
        elements: str
      set:
        description:
          - Name of one of O(sets), in place of O(rules[].sources).
        type: str
      families:
        description:
          - Address families that the rule is for.
        type: list
        elements: str
        default: [ipv4, ipv6]
        choices:
          - ipv4
          - ipv6
      addresses:
        description:
          - Addresses of the host that the rule is for, as clients ask for them. All when not given.
        type: list
        elements: str
      action:
        description:
          - V(allow), V(drop) or V(reject) the connection, or V(limit) connections of one source
            address (IPv6, one /64) to O(rules[].rate); what is beyond is dropped.
        type: str
        default: allow
        choices:
          - allow
          - drop
          - reject
          - limit
      rate:
        description:
          - New connections for V(limit), such as V(10/minute); per C(second), C(minute), C(hour) or
            C(day).
        type: str
        default: 10/minute
      burst:
        description:
          - New connections that V(limit) lets pass at once before O(rules[].rate) counts, V(1) to
            V(10000).
        type: int
        default: 5
      log:
        description:
          - Log what the rule decides to the kernel log, ten lines a minute at most. With V(limit),
            what is beyond the rate.
        type: bool
        default: false
      comment:
        description:
          - Text that is left at the rule. Up to 80 letters, digits, blanks and any of
            C(_.,:;()/+=@#-).
        type: str
        default: ''
  host_rules:
    description:
      - Rules for ports of the host itself. Same keys and meaning as O(rules), but for
        O(rules[].service).
    type: list
    elements: dict
    default: []
    suboptions: *rule
  sets:
    description:
      - Lists of addresses that rules refer to, for long ones.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the set. Up to 20 letters, digits and C(-).
        type: str
        required: true
      entries:
        description:
          - Addresses and networks, of both families.
        type: list
        elements: str
        default: []
      path:
        description:
          - File on the host with further entries, one a line. What follows C(#) or C(;) in a line
            does not count.
        type: path
  policy:
    description:
      - What becomes of published ports that no rule and no public port of O(stack) names.
      - With V(drop) and V(reject), connections that go straight to a container's own address are
        refused as well.
    type: str
    default: drop
    choices:
      - allow
      - drop
      - reject
  host_policy:
    description:
      - What becomes of the host's ports that no rule names. V(allow) leaves them to other rules on the
        host. ICMP, DHCP and what containers ask the host for stays open with V(drop) too.
    type: str
    default: allow
    choices:
      - allow
      - drop
      - reject
  ssh_ports:
    description:
      - Ports of the SSH server, which are open for O(admin_sources).
    type: list
    elements: int
    default: [22]
  admin_sources:
    description:
      - Addresses and networks that SSH is open for; everybody when empty.
    type: list
    elements: str
    default: []
  bridges:
    description:
      - The engine's network interfaces, with C(+) at the end for any text. What comes in by them is
        from containers, and is not filtered.
    type: list
    elements: str
    default: [docker0, docker_gwbridge, br-+]
  snat:
    description:
      - Source addresses that outgoing connections of containers are given, before the engine's own
        translation. Where every connection of a network is to have the address, the network's driver
        option C(com.docker.network.host_ipv4) is the better way.
    type: list
    elements: dict
    default: []
    suboptions:
      to:
        description:
          - The address, one of the host's.
        type: str
        required: true
      source:
        description:
          - Network of the containers. That of O(stack) by default, where it has one of the family.
        type: str
      ports:
        description:
          - TCP ports that the connections go to.
        type: list
        elements: str
        default: ['25']
  backend:
    description:
      - V(iptables) makes chains that C(DOCKER-USER) and C(INPUT) jump to, with the variant (nft or
        legacy) that the engine uses. V(nftables) makes the table C(inet mailhost), which also stays
        where firewalld, ufw or the engine rebuild C(DOCKER-USER).
      - V(auto) takes V(nftables) where V(iptables) would leave a hole, V(iptables) elsewhere; see
        RV(reason).
    type: str
    default: auto
    choices:
      - auto
      - iptables
      - nftables
  controller:
    description:
      - Address that Ansible comes from. Taken from the SSH connection when not given.
    type: str
  allow_lockout:
    description:
      - Do not refuse rules that would shut the controller out.
    type: bool
    default: false
  path:
    description:
      - Directory of the files.
    type: path
    default: /etc/mailhost/firewall
notes:
  - "C(load) may be run with C(/bin/sh) before the engine starts: it makes C(DOCKER-USER), which the
    engine takes over. To go back to earlier rules, keep a copy of the directory and run its
    C(load)."
  - "Refused with V(iptables): an engine without rules for IPv6 (before 23, or with C(ip6tables) off)
    on a host that the world reaches by IPv6, both variants of iptables in use by engines, and a
    C(FORWARD) that does not ask C(DOCKER-USER) first."
  - "Published ports that the engine does not translate, such as those of a network without IPv6 for
    clients with IPv6, are served by its helper on the host, like the host's own ports. Those that no
    rule opens are closed by their numbers, as they are at the time of the task (RV(proxied)). Run the
    task again after a container with other ports was started, or set O(host_policy=drop), which needs
    no numbers."
  - "Sets need the program C(ipset) with V(iptables)."
  - "After V(limit) was changed, its counters start anew."
seealso:
  - name: Packet filtering and firewalls
    description: What the engine does with iptables.
    link: https://docs.docker.com/engine/network/packet-filtering-firewalls/
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - On a host without the programs, what they would be given is shown.
  diff_mode:
    support: full
    details:
      - Of sets only the entries that differ are shown.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: The public ports of mailcow, and nothing else that is published
  postmaster.mailhost.docker_firewall:
    stack: mailcow

- name: Web interface and POP3 for the office only, SSH for administrators only
  postmaster.mailhost.docker_firewall:
    stack: mailcow
    rules:
      - name: office-web
        service: HTTPS
        sources: [192.0.2.0/24, 2001:db8:1::/48]
      - name: office-pop3
        service: POP3S
        sources: [192.0.2.0/24]
      - name: known-bad
        action: drop
        set: bad
      - name: calm
        service: submission
        action: limit
        rate: 30/minute
        burst: 20
        log: true
    sets:
      - name: bad
        path: /etc/mailhost/bad.txt
    admin_sources: [198.51.100.7, 2001:db8:2::/64]

- name: A host whose own ports are closed as well, but for monitoring
  postmaster.mailhost.docker_firewall:
    stack: mailu
    host_policy: drop
    host_rules:
      - name: node-exporter
        ports: [9100]
        sources: [192.0.2.10]

- name: Mail leaves by the address that the SPF record names
  postmaster.mailhost.docker_firewall:
    stack: mailu
    snat:
      - to: 203.0.113.25

- name: No such firewall any more
  postmaster.mailhost.docker_firewall:
    state: absent
"""

RETURN = r"""
differs:
  description:
    - Whether something was to be changed, as it was before. C(changed) may be false all the same where
      only the spelling differed.
  returned: success
  type: bool
backend:
  description: C(iptables) or C(nftables); empty with O(state=absent).
  returned: success
  type: str
  sample: iptables
variant:
  description: Variant of iptables, C(nft) or C(legacy); empty with nftables.
  returned: success
  type: str
  sample: nft
reason:
  description: Why it is this backend.
  returned: success
  type: str
  sample: engine 28.5.2 asks DOCKER-USER first
payload:
  description:
    - The rules by the name of their file, without sets. What C(iptables-restore --noflush), or
      C(nft -f), takes.
  returned: success
  type: dict
  sample:
    ipv4.rules: |
      *filter
      :MAILHOST - [0:0]
proxied:
  description: Ports of the engine's helper that no rule opens, and that are closed on the host.
  returned: success
  type: list
  elements: str
  sample: [tcp 8080]
files:
  description: The files.
  returned: success
  type: list
  elements: str
  sample: [/etc/mailhost/firewall/ipv4.rules, /etc/mailhost/firewall/load]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    docker_firewall,
    file_write,
    ruleset,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            **ruleset.OPTIONS,
            "backend": {
                "type": "str",
                "default": "auto",
                "choices": ["auto", "iptables", "nftables"],
            },
            "controller": {"type": "str"},
            "allow_lockout": {"type": "bool", "default": False},
            "path": {"type": "path", "default": "/etc/mailhost/firewall"},
        },
        supports_check_mode=True,
    )
    try:
        planned = docker_firewall.plan_options(Host(), module.params, module.check_mode)
        changed = planned.changed
        if not module.check_mode:
            changed = docker_firewall.write(Host(), planned)
    except (
        docker_firewall.FirewallError,
        ruleset.RulesetError,
        file_write.FileWriteError,
    ) as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(changed=changed, **docker_firewall.result(planned))


if __name__ == "__main__":
    main()
