#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fail2ban_info
short_description: Whom fail2ban bans, and whether its jails work
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Returns fail2ban's jails with whom they ban.
  - Looks whether each jail of M(postmaster.mailhost.fail2ban_config) runs, whether the log that it
    watches grows, and whether the kernel really drops what it bans.
options:
  quiet_after:
    description:
      - Seconds without a new line after which a log counts as one that nobody writes to.
    type: int
    default: 86400
seealso:
  - module: postmaster.mailhost.fail2ban_config
  - module: postmaster.mailhost.report
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - Only looks.
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Look at the jails
  postmaster.mailhost.fail2ban_info:
  register: bans

- name: Show what was found
  postmaster.mailhost.report:
    findings: "{{ bans.findings }}"
"""

RETURN = r"""
findings:
  description: What was looked at, in the form of all findings of this collection.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check.
      type: str
      returned: success
      sample: fail2ban.log
    status:
      description: V(ok), V(warn), V(fail) or V(unknown).
      type: str
      returned: success
      sample: ok
    title:
      description: What was looked at.
      type: str
      returned: success
      sample: Jail sshd
    observed:
      description: What was seen.
      type: str
      returned: success
      sample: bans 2 IPv4 and 0 IPv6 addresses; 31 failures so far
    required:
      description: What is needed.
      type: str
      returned: success
      sample: a log that grows
    fix:
      description: What to do; empty when the status is V(ok).
      type: str
      returned: success
      sample: ''
    source:
      description: Where the rule comes from.
      type: str
      returned: success
      sample: https://github.com/fail2ban/fail2ban/wiki
jails:
  description: The jails, those of others included.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: sshd
    managed:
      description: Whether it is one of M(postmaster.mailhost.fail2ban_config).
      type: bool
      sample: true
    running:
      description: Whether it runs.
      type: bool
      sample: true
    failed:
      description: Failures that count at the moment.
      type: int
      sample: 3
    failed_total:
      description: Failures since fail2ban was started.
      type: int
      sample: 31
    banned:
      description: Addresses that are banned.
      type: list
      elements: str
      sample: [203.0.113.9]
    banned_ipv4:
      description: How many of them are IPv4.
      type: int
      sample: 1
    banned_ipv6:
      description: How many of them are IPv6.
      type: int
      sample: 0
    banned_total:
      description: Bans since fail2ban was started.
      type: int
      sample: 4
    journal:
      description: Terms of the journal that it watches; only of managed ones.
      type: list
      elements: str
      sample: [_SYSTEMD_UNIT=ssh.service]
    files:
      description: Files that it watches.
      type: list
      elements: str
      sample: []
    last_line:
      description: When its log was last written to, in seconds since 1970; null when never.
      type: float
      sample: 1767225600.5
    in_force:
      description: Whether the kernel drops what it bans; null when that is not known.
      type: bool
      sample: true
version:
  description: Version of fail2ban, empty when it is not installed.
  returned: success
  type: str
  sample: 1.0.2
running:
  description: Whether its server answers.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_status
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={"quiet_after": {"type": "int", "default": 86400}},
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **fail2ban_status.look(Host(), module.params["quiet_after"]))


if __name__ == "__main__":
    main()
