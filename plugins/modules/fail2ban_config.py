#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fail2ban_config
short_description: Jails of a mail host in fail2ban, tried before they are put in force
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Writes jails for the stack and for the mail programs and the SSH server on the host itself, with the
    filters and actions that they need, and has fail2ban take them over.
  - fail2ban reads a copy of its configuration first. What it refuses is not written, and where the
    running server does not start a jail, the configuration from before is put back; the error names the
    jail.
  - A jail whose log does not exist is left out with a warning, as fail2ban would not start at all.
  - Installs units that start fail2ban after the container engine, and put bans back that somebody has
    removed from the kernel.
  - Writes files of its own names only. Jails of others stay, but for those with the name of one of
    these, such as C(sshd).
options:
  state:
    description:
      - V(absent) removes the files and units. The package stays, and so do jails of others.
    type: str
    choices: [present, absent]
    default: present
  stack:
    description:
      - The mail stack. None when empty or left out.
    type: str
    choices: ["", mailcow, mailu]
    default: ""
  stack_version:
    description:
      - Version of the stack, where its log lines differ between versions. When empty, what its files in
        O(path) say, else the newest.
    type: str
    default: ""
  path:
    description:
      - Directory of the stack, when it is not the usual one.
    type: path
  filters:
    description:
      - Files for C(/etc/fail2ban/filter.d), name to content. Names are C(mailhost-NAME.conf). Others of
        that form are removed.
    type: dict
    default: {}
  actions:
    description:
      - Files for C(/etc/fail2ban/action.d) likewise.
    type: dict
    default: {}
  jails:
    description:
      - Name of a jail to its settings, C(enabled), C(filter), C(mode), C(journal), C(files), C(ports),
        C(maxretry), C(findtime), C(bantime) and C(ignore). They change a jail that is there by default,
        or make a new one, which needs C(filter), and C(journal) or C(files).
    type: dict
    default: {}
  backend:
    description:
      - What bans are made with. V(auto) is nftables where C(nft) is there and the kernel takes it, else
        iptables.
    type: str
    choices: [auto, nftables, iptables, ipset]
    default: auto
  bantime:
    description:
      - How long the first ban of an address takes, in seconds or as V(1h); V(-1) is for ever.
    type: str
    default: 1h
  findtime:
    description:
      - For how long failures count.
    type: str
    default: 10m
  maxretry:
    description:
      - Failures that lead to a ban.
    type: int
    default: 5
  bantime_increment:
    description:
      - Whether each further ban of an address takes twice as long.
    type: bool
    default: true
  bantime_maxtime:
    description:
      - How long a ban may grow.
    type: str
    default: 1w
  bantime_rndtime:
    description:
      - Up to this is added to a ban by chance, so that nobody can tell when it ends.
    type: str
    default: 10m
  ignore:
    description:
      - Addresses and networks that are never banned, beside the host's own, those of the stack and the
        container engine, O(admins) and the controller.
    type: list
    elements: str
    default: []
  admins:
    description:
      - Addresses and networks of administrators, which are never banned.
    type: list
    elements: str
    default: []
  controller:
    description:
      - Address of the controller. Taken from the connection when empty.
    type: str
    default: ""
  mailcow_bans:
    description:
      - Who bans clients of mailcow's containers, its own container C(netfilter) or these jails. See
        M(postmaster.mailhost.mailcow_netfilter).
    type: str
    choices: [netfilter, fail2ban]
    default: netfilter
  check_seconds:
    description:
      - Seconds between two looks whether the bans are still in the kernel, from 5 to 3600.
    type: int
    default: 15
notes:
  - In check mode fail2ban need not be installed.
  - Needs systemd, and fail2ban 0.11 or newer.
seealso:
  - module: postmaster.mailhost.fail2ban_info
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: SSH, and mail programs that are installed on the host
  postmaster.mailhost.fail2ban_config:
    filters: "{{ my_filters }}"
    actions: "{{ my_actions }}"
    ignore: [192.0.2.0/24]

- name: Mailu, stricter at its API, and a jail of my own
  postmaster.mailhost.fail2ban_config:
    stack: mailu
    filters: "{{ my_filters }}"
    actions: "{{ my_actions }}"
    jails:
      mailu-api:
        maxretry: 2
        bantime: 1d
      shop:
        filter: nginx-http-auth
        files: [/var/log/nginx/error.log]
        ports: [80, 443]

- name: No jails of ours any more
  postmaster.mailhost.fail2ban_config:
    state: absent
"""

RETURN = r"""
backend:
  description: What bans are made with; empty with O(state=absent).
  returned: success
  type: str
  sample: nftables
jails:
  description: The jails.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: sshd
    title:
      description: What it is for.
      type: str
      sample: SSH logins
    active:
      description: Whether it is in force.
      type: bool
      sample: true
    reason:
      description: Why it is not.
      type: str
      sample: there is no /var/log/mail.log
    source:
      description: Where its lines come from.
      type: str
      sample: _SYSTEMD_UNIT=ssh.service
    filter:
      description: The filter with its mode.
      type: str
      sample: mailhost-postfix[mode=auth]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    fail2ban_config,
    fail2ban_jails,
    file_write,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "stack": {"type": "str", "choices": ["", "mailcow", "mailu"], "default": ""},
            "stack_version": {"type": "str", "default": ""},
            "path": {"type": "path"},
            "filters": {"type": "dict", "default": {}},
            "actions": {"type": "dict", "default": {}},
            "jails": {"type": "dict", "default": {}},
            "backend": {
                "type": "str",
                "choices": ["auto", *fail2ban_config.BACKENDS],
                "default": "auto",
            },
            "bantime": {"type": "str", "default": "1h"},
            "findtime": {"type": "str", "default": "10m"},
            "maxretry": {"type": "int", "default": 5},
            "bantime_increment": {"type": "bool", "default": True},
            "bantime_maxtime": {"type": "str", "default": "1w"},
            "bantime_rndtime": {"type": "str", "default": "10m"},
            "ignore": {"type": "list", "elements": "str", "default": []},
            "admins": {"type": "list", "elements": "str", "default": []},
            "controller": {"type": "str", "default": ""},
            "mailcow_bans": {
                "type": "str",
                "choices": list(fail2ban_config.MAILCOW_BANS),
                "default": "netfilter",
            },
            "check_seconds": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    host = Host()
    try:
        if module.params["state"] == "absent":
            planned = fail2ban_config.plan_removal(host)
        else:
            planned = fail2ban_config.plan(host, module.params, module.check_mode)
            fail2ban_config.try_out(host, planned)
        warnings = list(planned.warnings)
        if planned.changed and not module.check_mode:
            warnings += fail2ban_config.carry_out(host, planned)
    except (
        fail2ban_config.Fail2banError,
        fail2ban_jails.JailError,
        file_write.FileWriteError,
    ) as error:
        module.fail_json(msg=str(error))
    for warning in warnings:
        module.warn(warning)
    module.exit_json(**fail2ban_config.result(planned))


if __name__ == "__main__":
    main()
