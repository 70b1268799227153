#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: qmail_info
short_description: Tell whether the files of qmail and vpopmail fit together
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Looks whether the server is an open relay because C(rcpthosts) is missing, whether the databases are
    those of their texts, whether each domain is taken, assigned and delivered, at POP before SMTP with its
    line of cron, and at the owner and mode of mailboxes.
  - Only looks. Findings do not make the task fail; RV(summary.go) says whether there is a failure.
options:
  qmail_home:
    description:
      - Where qmail is.
    type: path
    default: /var/qmail
  vpopmail_home:
    description:
      - Where vpopmail is.
    type: path
    default: /home/vpopmail
  vpopmail_user:
    description:
      - vpopmail's user, name or number.
    type: str
    default: vpopmail
  vpopmail_group:
    description:
      - vpopmail's group, name or number.
    type: str
    default: vchkpw
  permissions:
    description:
      - Whether to look at each file below vpopmail's domains. A million of them take some seconds.
    type: bool
    default: true
  open_smtp:
    description:
      - Where the list is. When empty, C(/home/vpopmail/etc/open-smtp), or
        C(/etc/vpopmail/open-smtp) where the former is not there.
    type: path
  command:
    description:
      - Where vpopmail's C(clearopensmtp) is.
    type: path
    default: /home/vpopmail/bin/clearopensmtp
  window_minutes:
    description:
      - For how long an address may relay; what vpopmail was built with. An entry of twice that age should
        be gone.
    type: int
    default: 180
  warn_entries:
    description:
      - Number of entries above which the list is too long, whatever their age.
    type: int
    default: 2000
notes:
  - Needs root.
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Nothing is changed.
  idempotent:
    support: full
  platform:
    platforms: linux
seealso:
  - module: postmaster.mailhost.mail_queue_info
"""

EXAMPLES = r"""
- name: Look at qmail
  postmaster.mailhost.qmail_info:
  register: qmail

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ qmail.findings | postmaster.mailhost.report | join('\n') }}"
"""

RETURN = r"""
findings:
  description: What the checks found, worst first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check.
      returned: always
      type: str
      sample: qmail.users_cdb
    status:
      description:
        - V(ok), V(warn), V(fail), V(skip) or V(unknown). V(unknown) means that the check could not
          look.
      returned: always
      type: str
      sample: fail
    title:
      description: What was looked at.
      returned: always
      type: str
      sample: users/cdb
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "/var/qmail/users/cdb is older than users/assign"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "users/cdb is made of users/assign as it is"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "Run /var/qmail/bin/qmail-newu, or the module qmail_users."
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://cr.yp.to/cdb.html
summary:
  description: The number of findings of each status, and whether to go on.
  returned: success
  type: dict
  contains:
    ok:
      description: Number of checks passed.
      returned: always
      type: int
      sample: 8
    warn:
      description: Number of warnings.
      returned: always
      type: int
      sample: 0
    fail:
      description: Number of failures.
      returned: always
      type: int
      sample: 1
    skip:
      description: Number of checks that do not apply.
      returned: always
      type: int
      sample: 0
    unknown:
      description: Number of checks that could not look.
      returned: always
      type: int
      sample: 0
    go:
      description: Whether no finding is a failure.
      returned: always
      type: bool
      sample: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    finding,
    pop_before_smtp,
    qmail_domains,
    vpopmail_permissions,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, qmail
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "qmail_home": {"type": "path", "default": qmail_domains.QMAIL_HOME},
            "vpopmail_home": {"type": "path", "default": qmail_domains.VPOPMAIL_HOME},
            "vpopmail_user": {"type": "str", "default": vpopmail_permissions.OWNER},
            "vpopmail_group": {"type": "str", "default": vpopmail_permissions.GROUP},
            "permissions": {"type": "bool", "default": True},
            "open_smtp": {"type": "path"},
            "command": {"type": "path", "default": pop_before_smtp.COMMAND},
            "window_minutes": {"type": "int", "default": pop_before_smtp.WINDOW},
            "warn_entries": {"type": "int", "default": pop_before_smtp.ENTRIES},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    owner = params["vpopmail_user"], params["vpopmail_group"]
    domains = qmail_domains.read(host, params["qmail_home"], params["vpopmail_home"], *owner)
    try:
        pop = pop_before_smtp.look(
            host,
            params["open_smtp"] or "",
            params["command"],
            params["window_minutes"],
            params["warn_entries"],
        )
    except pop_before_smtp.PopBeforeSmtpError as error:
        module.fail_json(msg=str(error))
    outcome = None
    trouble = ""
    if domains.vpopmail and params["permissions"]:
        try:
            wanted = vpopmail_permissions.rights(host, *owner)
            others = vpopmail_permissions.assigned(host, params["qmail_home"], wanted)
            outcome = vpopmail_permissions.walk(host, domains.vpopmail, wanted, False, others)
        except vpopmail_permissions.PermissionsError as error:
            trouble = str(error)
    findings = look.all_of(qmail.LOOK, qmail.Server(domains, pop, outcome, trouble))
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
    )


if __name__ == "__main__":
    main()
