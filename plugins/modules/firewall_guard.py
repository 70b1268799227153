#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_guard
short_description: Keep the rules of docker_firewall in force, and take back those that lock out
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Installs a unit of systemd that loads the rules of M(postmaster.mailhost.docker_firewall) before
    the engine starts, at boot and at every restart of the engine, and a timer that loads them again
    after somebody has taken them away. fail2ban is restarted then, so that it makes its chains anew;
    where C(/usr/local/sbin/mailhost-fail2ban) is installed, its C(check) is run instead.
  - Before a change of the rules, O(state=armed) keeps the present ones and has the host go back to
    them by itself. O(state=confirmed), called over a new connection, keeps the change.
  - Looks for other firewalls that are in force.
options:
  state:
    description:
      - V(present) installs and enables the units, V(absent) takes them away. The rules stay.
      - V(armed) has the host go back to the present rules after O(rollback_seconds). V(confirmed)
        keeps the new ones, and is an error when they were taken back before.
    type: str
    choices: [present, absent, armed, confirmed]
    default: present
  conflict:
    description:
      - What becomes of C(firewalld) and C(ufw) where they are in force. With V(fail) the task fails,
        with V(disable) they are stopped, now and at boot, with V(coexist) they stay.
      - What they had closed on the host is open after V(disable), unless rules for the host's ports
        close it.
    type: str
    choices: [fail, disable, coexist]
    default: fail
  interval:
    description:
      - Seconds between two looks at the rules in force, from 5 to 3600.
    type: int
    default: 15
  rollback_seconds:
    description:
      - Seconds after which rules that were not confirmed are taken back, from 30 to 3600.
    type: int
    default: 60
notes:
  - A host that is rebooted before a change is confirmed goes back to the rules from before, too.
  - C(mailhost-firewall undo) on the host goes back at once while a change waits.
  - The packages C(iptables-persistent) and C(netfilter-persistent) are neither needed nor installed.
  - Knows the rules in their default place, C(/etc/mailhost/firewall), only. Needs systemd.
seealso:
  - module: postmaster.mailhost.docker_firewall
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
- name: Loaded before Docker, and kept
  postmaster.mailhost.firewall_guard:
    conflict: coexist

- name: Go back to the present rules, if the next ones lock out
  postmaster.mailhost.firewall_guard:
    state: armed
    rollback_seconds: 60

- name: Other rules
  postmaster.mailhost.docker_firewall:
    stack: mailcow
    admin_sources: [198.51.100.7]

- name: Forget the connection
  ansible.builtin.meta: reset_connection

- name: Come back over a new one
  ansible.builtin.wait_for_connection:
    timeout: 40

- name: Keep the new rules
  postmaster.mailhost.firewall_guard:
    state: confirmed
"""

RETURN = r"""
conflicts:
  description: Other firewalls that were in force.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [ufw]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    file_write,
    firewall_guard,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["present", "absent", "armed", "confirmed"],
                "default": "present",
            },
            "conflict": {
                "type": "str",
                "choices": list(firewall_guard.CONFLICTS),
                "default": "fail",
            },
            "interval": {"type": "int", "default": 15},
            "rollback_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    host = Host()
    state = module.params["state"]
    seconds = module.params["rollback_seconds"]
    try:
        firewall_guard.refuse_number("rollback_seconds", seconds, firewall_guard.ROLLBACKS)
        firewall_guard.refuse_number(
            "interval", module.params["interval"], firewall_guard.INTERVALS
        )
        # Neither is a change of its own: what is armed and confirmed is the change of the rules.
        if state in ("armed", "confirmed"):
            if not module.check_mode:
                if state == "armed":
                    firewall_guard.arm(host, seconds)
                else:
                    firewall_guard.confirm(host)
            module.exit_json(changed=False)
        if state == "absent":
            planned = firewall_guard.plan_removal(host)
        else:
            planned = firewall_guard.plan(
                host, module.params["conflict"], module.params["interval"]
            )
        if planned.changed and not module.check_mode:
            firewall_guard.carry_out(host, planned)
    except (firewall_guard.GuardError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**firewall_guard.result(planned))


if __name__ == "__main__":
    main()
