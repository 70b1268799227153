#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mailcow_netfilter
short_description: Whom mailcow's own container bans
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - mailcow's container C(netfilter) bans clients that fail to log in, and a call of its API with a wrong
    key counts as a failure. This module puts addresses on its list of those that are never banned, and
    says whether it bans at all.
  - The settings are those of mailcow's administration; no other of them is changed.
options:
  allow:
    description:
      - Addresses and networks that are never to be banned, and no longer are. Others on the list stay.
    type: list
    elements: str
    default: []
  controller:
    description:
      - Address of the controller, which is never to be banned either. Taken from the connection when
        empty.
    type: str
    default: ""
  bans:
    description:
      - Who bans. With V(fail2ban) the container only counts failures and writes into its database whom
        it would ban. Bans that it has made before end when their time is over.
    type: str
    choices: [netfilter, fail2ban]
    default: netfilter
  path:
    description:
      - Directory of mailcow, when it is not the usual one.
    type: path
notes:
  - Where mailcow does not run, nothing is changed, and a warning says so.
  - mailcow takes over the list within a minute.
seealso:
  - module: postmaster.mailhost.fail2ban_config
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
- name: Never shut out this controller and the office
  postmaster.mailhost.mailcow_netfilter:
    allow: [192.0.2.0/24, 2001:db8:1::/48]

- name: Jails of fail2ban watch the containers
  postmaster.mailhost.mailcow_netfilter:
    bans: fail2ban
"""

RETURN = r"""
found:
  description: Whether mailcow runs on the host.
  returned: success
  type: bool
  sample: true
added:
  description: What was not on the list before.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.0/24]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    controller,
    fail2ban_jails,
    mailcow_netfilter,
    stack_settings,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "allow": {"type": "list", "elements": "str", "default": []},
            "controller": {"type": "str", "default": ""},
            "bans": {
                "type": "str",
                "choices": list(mailcow_netfilter.BANS),
                "default": "netfilter",
            },
            "path": {"type": "path"},
        },
        supports_check_mode=True,
    )
    host = Host()
    came_from = controller.address(host, module.params["controller"])
    try:
        allow = fail2ban_jails.networks("allow", module.params["allow"])
        allow += fail2ban_jails.networks("controller", [came_from] if came_from else [])
        planned = mailcow_netfilter.plan(
            host,
            stack_settings.read(host, "mailcow", module.params["path"] or "").project,
            list(dict.fromkeys(allow)),
            module.params["bans"],
        )
        if planned.changed and not module.check_mode:
            mailcow_netfilter.carry_out(host, planned)
    except (fail2ban_jails.JailError, mailcow_netfilter.NetfilterError) as error:
        module.fail_json(msg=str(error))
    if not planned.container:
        module.warn("mailcow does not run on this host: its netfilter was not told anything")
    module.exit_json(**mailcow_netfilter.result(planned))


if __name__ == "__main__":
    main()
