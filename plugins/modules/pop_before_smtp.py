#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pop_before_smtp
short_description: Put vpopmail's POP before SMTP in order
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - vpopmail lets addresses relay from which somebody has read mail, and its C(clearopensmtp), called by
    cron, takes them out again. When cron does not call it, the list grows for ever.
  - Lines of C(/etc/crontab) and C(/etc/cron.d) that call C(clearopensmtp) and have no user behind the times
    get one. Cron takes the program for the user otherwise, and on Debian ignores the whole file.
  - When the list has entries that should be gone, C(clearopensmtp) is called once. The task fails when
    they are still there then.
  - On a host without POP before SMTP nothing is done.
options:
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
  cron_user:
    description:
      - Who is to call C(clearopensmtp) where a line does not say it.
    type: str
    default: root
notes:
  - Crontabs are backed up before they change; cron takes them over by itself.
  - Wrong lines that cannot be mended safely are found by M(postmaster.mailhost.qmail_info).
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
- name: POP before SMTP is in order, as long as somebody needs it
  postmaster.mailhost.pop_before_smtp:
"""

RETURN = r"""
crontabs:
  description: Crontabs in which a line got a user.
  returned: success
  type: list
  elements: str
  sample: [/etc/crontab]
cleared:
  description: Whether C(clearopensmtp) was called.
  returned: success
  type: bool
  sample: true
list:
  description: The list as it was found.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is; empty when there is none.
      returned: always
      type: str
      sample: /home/vpopmail/etc/open-smtp
    size:
      description: Bytes.
      returned: always
      type: int
      sample: 700000
    entries:
      description: Number of addresses.
      returned: always
      type: int
      sample: 11859
    odd:
      description: Number of lines that are no entries.
      returned: always
      type: int
      sample: 0
    old:
      description: Number of entries that should be gone.
      returned: always
      type: int
      sample: 11850
    oldest:
      description: Age of the oldest entry in seconds.
      returned: always
      type: int
      sample: 31536000
backup_files:
  description: Copies of the crontabs as they were.
  returned: success
  type: list
  elements: str
  sample: [/etc/crontab.20261121T101500Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    file_write,
    pop_before_smtp,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "open_smtp": {"type": "path"},
            "command": {"type": "path", "default": pop_before_smtp.COMMAND},
            "window_minutes": {"type": "int", "default": pop_before_smtp.WINDOW},
            "cron_user": {"type": "str", "default": "root"},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    backups = []
    try:
        state = pop_before_smtp.look(
            host,
            params["open_smtp"] or "",
            params["command"],
            params["window_minutes"],
            user=params["cron_user"],
        )
        planned = pop_before_smtp.plan(host, state)
        if planned.changed and not module.check_mode:
            backups = pop_before_smtp.carry_out(host, planned)
    except (pop_before_smtp.PopBeforeSmtpError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(backup_files=backups, **pop_before_smtp.result(planned))


if __name__ == "__main__":
    main()
