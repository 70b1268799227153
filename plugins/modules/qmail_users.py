#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: qmail_users
short_description: Assignments of qmail, and the database that is made of them
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Sees to it that C(users/assign) has the lines that are wanted and ends with the line with a dot, and
    that C(users/cdb), which is all that qmail reads, is what C(qmail-newu) makes of it.
  - A file that C(qmail-newu) would refuse is not written. When C(qmail-newu) fails, C(users/assign) is as
    before.
  - The task fails when C(users/assign) has no line with a dot and lacks assignments that C(users/cdb)
    has, as after a write that was cut off, unless O(complete) says that O(assign) is all.
  - Says in RV(findings) whether C(users/assign), C(virtualdomains), C(rcpthosts), C(locals) and vpopmail's
    directories agree. These do not make the task fail.
options:
  assign:
    description:
      - Lines that C(users/assign) is to have, such as
        V(+example.org-:example.org:89:89:/home/vpopmail/domains/example.org:-::).
      - One takes the place of the first line with the same address; otherwise it is added at the end.
      - vpopmail's own C(vadddomain) and C(vdeldomain) write such lines, too.
    type: list
    elements: str
    default: []
  complete:
    description:
      - Whether these are all. Others are deleted, and so is what stands behind the line with the dot.
    type: bool
    default: false
  removals:
    description:
      - Whether O(complete) deletes other assignments, too. With V(false) wanted ones are added, and only
        lines are deleted that C(qmail-newu) refuses or never reads. A new domain needs its assignment
        before C(virtualdomains) has it, one that goes needs it until C(virtualdomains) has it no more.
    type: bool
    default: true
  qmail_home:
    description:
      - Where qmail is.
    type: path
    default: /var/qmail
  vpopmail_home:
    description:
      - Where vpopmail is, for the findings.
    type: path
    default: /home/vpopmail
  vpopmail_user:
    description:
      - vpopmail's user, name or number, for the findings.
    type: str
    default: vpopmail
  vpopmail_group:
    description:
      - vpopmail's group, name or number, for the findings.
    type: str
    default: vchkpw
notes:
  - The file from before is kept beside the new one.
  - qmail needs no signal; it reads C(users/cdb) at each delivery.
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
seealso:
  - module: postmaster.mailhost.qmail_info
"""

EXAMPLES = r"""
- name: users/cdb is what users/assign says
  postmaster.mailhost.qmail_users:

- name: A domain of vpopmail
  postmaster.mailhost.qmail_users:
    assign:
      - +example.org-:example.org:89:89:/home/vpopmail/domains/example.org:-::
"""

RETURN = r"""
added:
  description: Lines that C(users/assign) did not have.
  returned: success
  type: list
  elements: str
  sample: ["+example.org-:example.org:89:89:/home/vpopmail/domains/example.org:-::"]
removed:
  description: Lines that it does not have any more.
  returned: success
  type: list
  elements: str
  sample: []
rebuilt:
  description: Why C(users/cdb) is made anew; empty when it is not.
  returned: success
  type: str
  sample: "/var/qmail/users/cdb is older than users/assign"
assignments:
  description: Number of assignments in C(users/assign).
  returned: success
  type: int
  sample: 3
backup_files:
  description: Copies of the file as it was.
  returned: success
  type: list
  elements: str
  sample: [/var/qmail/users/assign.20261121T101500Z~]
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
    file_write,
    finding,
    qmail_domains,
    qmail_users,
    vpopmail_permissions,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, qmail
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "assign": {"type": "list", "elements": "str", "default": []},
            "complete": {"type": "bool", "default": False},
            "removals": {"type": "bool", "default": True},
            "qmail_home": {"type": "path", "default": qmail_domains.QMAIL_HOME},
            "vpopmail_home": {"type": "path", "default": qmail_domains.VPOPMAIL_HOME},
            "vpopmail_user": {"type": "str", "default": vpopmail_permissions.OWNER},
            "vpopmail_group": {"type": "str", "default": vpopmail_permissions.GROUP},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    backups = []
    try:
        planned = qmail_users.plan(
            host, params["qmail_home"], params["assign"], params["complete"], params["removals"]
        )
        if planned.changed and not module.check_mode:
            backups = qmail_users.carry_out(host, planned)
    except (qmail_users.QmailUsersError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    domains = qmail_domains.read(
        host,
        params["qmail_home"],
        params["vpopmail_home"],
        params["vpopmail_user"],
        params["vpopmail_group"],
        # In check mode, too, the findings are about what there will be.
        planned.content,
    )
    findings = look.all_of(qmail.USERS, qmail.Server(domains))
    module.exit_json(
        backup_files=backups,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        **qmail_users.result(planned),
    )


if __name__ == "__main__":
    main()
