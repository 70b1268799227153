#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: qmail_control
short_description: Control files of a qmail that is there
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Writes control files of qmail, netqmail or notqmail, many at once, and has a running C(qmail-send)
    take them over with the least that the changed files need, which is nothing, C(HUP) or a restart.
  - Values are looked at before anything is written. Files that only some builds read, such as
    C(outgoingip), are refused when no program of this build knows them.
  - Compared is what qmail reads, so comments, blank lines and another order are no difference. They
    stay when a list changes.
  - Without C(rcpthosts) every client may send to everywhere. The task fails when it neither exists nor
    is given, and does not remove it.
  - When C(qmail-send) does not run with the change, the files from before come back, and the task
    fails.
  - Rules are those of qmail-control(5), U(https://manpages.debian.org/qmail-control.5), and of the
    manual pages it names.
options:
  qmail_home:
    description:
      - Where qmail is.
    type: path
    default: /var/qmail
  files:
    description:
      - Name of a control file to its value, a text or number, or a list for a file that is one.
      - A file that is not qmail's own is written as it is given, if a program of this build reads it.
      - Ansible shows the options of a task with C(-vvv), and writes them into the log of the host. Put
        files with a password into O(secrets).
    type: dict
    default: {}
  secrets:
    description:
      - As O(files), for files of patches that hold a password.
    type: dict
    default: {}
  absent:
    description:
      - Control files that are to go, so that qmail's default counts.
    type: list
    elements: str
    default: []
  append:
    description:
      - Lists of O(files) that others write as well. Entries are added, and those that are not named stay.
        With vpopmail these are C(rcpthosts), C(morercpthosts) and C(virtualdomains), too.
      - An empty list declares all lists complete.
    type: list
    elements: str
    default: [badmailfrom]
  activate:
    description:
      - Whether a running C(qmail-send) takes the change over. It is never started.
    type: bool
    default: true
notes:
  - The files from before are kept beside the new ones. Mode and owner stay. A new file has 0644, since
    qmail's programs, which are several users, have to read it; give one with a password a narrower mode
    that fits the program that reads it.
  - A C(qmail-send) that is told to restart ends when its deliveries are done, which may take minutes.
  - Neither the queue nor a message is touched.
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
    platforms: posix
seealso:
  - module: postmaster.mailhost.tcprules
"""

EXAMPLES = r"""
- name: Names, and the domains that mail is taken for
  postmaster.mailhost.qmail_control:
    files:
      me: mail.example.org
      locals: [localhost, mail.example.org]
      rcpthosts: [mail.example.org, example.org]
      virtualdomains: ["example.org:example.org"]
      databytes: 31457280
      badmailfrom: ["@spam.example"]

- name: All mail for one destination goes over another host
  postmaster.mailhost.qmail_control:
    files:
      smtproutes: ["slow.example:relay.example.org:26"]
    append: [smtproutes]
"""

RETURN = r"""
action:
  description: What a running C(qmail-send) needed, V(none), V(hup) or V(restart).
  returned: success
  type: str
  sample: hup
command:
  description: The command for it; empty when there was nothing to do.
  returned: success
  type: str
  sample: svc -h /service/qmail-send
service:
  description: Who keeps C(qmail-send) running, V(daemontools), V(runit), V(systemd), V(init),
    V(process) or, when it does not run, nothing.
  returned: success
  type: str
  sample: daemontools
files:
  description: Files that changed.
  returned: success
  type: list
  elements: str
  sample: [/var/qmail/control/locals]
backup_files:
  description: Copies of the files as they were.
  returned: success
  type: list
  elements: str
  sample: [/var/qmail/control/locals.20261121T101500Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, qmail_control
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "qmail_home": {"type": "path", "default": "/var/qmail"},
            "files": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "absent": {"type": "list", "elements": "str", "default": []},
            "append": {
                "type": "list",
                "elements": "str",
                "default": list(qmail_control.APPENDED),
            },
            "activate": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    backups = []
    try:
        planned = qmail_control.plan(
            host,
            params["qmail_home"],
            qmail_control.with_secrets(params["files"], params["secrets"]),
            params["absent"],
            params["append"],
            params["activate"],
        )
        if planned.changed and not module.check_mode:
            backups = qmail_control.carry_out(host, planned, params["activate"])
    except (qmail_control.ControlError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(backup_files=backups, **qmail_control.result(planned))


if __name__ == "__main__":
    main()
