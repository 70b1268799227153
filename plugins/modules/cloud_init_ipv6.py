#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloud_init_ipv6
short_description: Move IPv6 from an alias such as eth0:0 to the interface
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Some images of cloud providers have their IPv6 address on an alias of the interface, which does not
    work reliably. Rewrites the C(auto) and C(iface ... inet6) lines in C(/etc/network/interfaces) and
    the files that it includes, and keeps cloud-init from writing the alias again. Everything else in
    the files stays byte for byte.
  - Has the host bring the interfaces up anew, and take everything back by itself unless
    O(state=confirmed) is called in time, over a new connection.
  - Hosts with netplan, NetworkManager or systemd-networkd do not have this fault; RV(manager) says
    which it is.
options:
  state:
    description:
      - V(applied) changes the files and the interfaces. V(confirmed) keeps the change, and is an error
        when it was taken back meanwhile, or when an interface did not come up.
    type: str
    choices: [applied, confirmed]
    default: applied
  rollback_seconds:
    description:
      - Seconds after which the host takes the change back unless it was confirmed, from 30 to 3600.
    type: int
    default: 120
notes:
  - The connection may break while the interfaces are brought up anew. The change begins two seconds
    after the task has ended.
  - Copies of the old files are kept in C(/var/backups/mailhost-network), because ifupdown would read
    a copy beside them too.
  - A host that is rebooted before the change is confirmed starts with the new files and does not take
    them back.
  - Needs systemd.
seealso:
  - name: mailcow's documentation
    description: The fault and its remedy by hand.
    link: https://docs.mailcow.email/getstarted/prerequisite-system/#hetzner-cloud-and-probably-others
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
- name: Move IPv6 to the interface
  postmaster.mailhost.cloud_init_ipv6:
    rollback_seconds: 120
  register: moved

- name: Come back over a new connection, and keep the change
  when: moved.pending
  block:
    - name: Forget the connection
      ansible.builtin.meta: reset_connection

    - name: Wait for the host
      ansible.builtin.wait_for_connection:
        delay: 5
        timeout: 90

    - name: Keep the change
      postmaster.mailhost.cloud_init_ipv6:
        state: confirmed
"""

RETURN = r"""
manager:
  description:
    - What configures the network, V(ifupdown), V(netplan), V(NetworkManager), V(systemd-networkd) or
      V(unknown). Only with V(ifupdown) anything is done.
  returned: success
  type: str
  sample: ifupdown
aliases:
  description: Aliases that had IPv6.
  returned: success
  type: list
  elements: str
  sample: ["eth0:0"]
pending:
  description: Whether a change waits for being confirmed, and is taken back otherwise.
  returned: success
  type: bool
  sample: true
backup_files:
  description: Copies of the files as they were before.
  returned: success
  type: list
  elements: str
  sample: [/var/backups/mailhost-network/etc_network_interfaces.d_50-cloud-init.cfg.20260102T030405Z]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import cloud_init, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["applied", "confirmed"], "default": "applied"},
            "rollback_seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    seconds = module.params["rollback_seconds"]
    if not 30 <= seconds <= 3600:
        module.fail_json(msg="rollback_seconds is {0}; allowed: 30 to 3600".format(seconds))
    host = Host()
    copies = []
    try:
        if module.params["state"] == "confirmed" and not module.check_mode:
            cloud_init.confirm(host)
        planned = cloud_init.plan(host)
        pending = planned.pending
        # A change that waits is confirmed first, or taken back.
        if module.params["state"] == "applied" and not pending and not module.check_mode:
            copies = cloud_init.carry_out(host, planned, seconds)
            pending = bool(planned.changes)
    except (cloud_init.CloudInitError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    result = cloud_init.result(planned)
    if module.params["state"] == "confirmed":
        # The change was shown when it was made.
        result.update(changed=False, diff=[])
    module.exit_json(pending=pending, backup_files=copies, **result)


if __name__ == "__main__":
    main()
