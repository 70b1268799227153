#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_fix
short_description: Mend what M(postmaster.mailhost.stack_health) says can be mended without asking
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Puts a copy in place of a linked certificate, removes compiled expressions of another processor, sets
    kernel parameters, takes old keys out of the configuration file, and makes containers anew that
    have another image or other variables than the files want.
  - What is mended already is left alone. What was stopped on purpose is not started.
  - The configuration file, and an own file in whose place a copy is put, are backed up before. Links and
    compiled expressions are not, since nothing is lost with them.
  - A configuration file that is not UTF-8 is refused, and so is a certificate that is not in PEM form.
options:
  fixes:
    description:
      - What to mend, as M(postmaster.mailhost.stack_health) returns it in C(fixes).
    type: list
    elements: dict
    required: true
  project_src:
    description:
      - Directory of the Compose project.
    type: path
    required: true
notes:
  - Kernel parameters are written to C(/etc/sysctl.d/61-mailhost-doctor.conf).
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Contents of certificates and values of secrets are not shown.
  idempotent:
    support: partial
    details:
      - Containers are made anew whenever that is asked for.
  platform:
    platforms: linux
seealso:
  - module: postmaster.mailhost.stack_health
"""

EXAMPLES = r"""
- name: Look at the stack
  postmaster.mailhost.stack_health:
    stack: mailcow
  register: health

- name: Mend what can be mended without harm
  postmaster.mailhost.stack_fix:
    fixes: "{{ health.fixes }}"
    project_src: /opt/mailcow-dockerized
"""

RETURN = r"""
fixed:
  description: What was mended, or would be in check mode, as in O(fixes).
  returned: success
  type: list
  elements: dict
  contains:
    finding:
      description: The finding that it is for.
      returned: always
      type: str
      sample: health.hyperscan
    kind:
      description: What kind of fix it is.
      returned: always
      type: str
      sample: remove_files
    command:
      description: What one would have typed.
      returned: always
      type: str
      sample: rm -f /var/lib/docker/volumes/rspamd/_data/a.hs
backup_files:
  description: Copies of the files as they were.
  returned: success
  type: list
  elements: str
  sample: [/opt/mailcow-dockerized/mailcow.conf.20260102T030405Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    file_write,
    stack_fix,
    sysctl_file,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "fixes": {"type": "list", "elements": "dict", "required": True},
            "project_src": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    copies = []
    try:
        planned = stack_fix.plan(host, params["fixes"])
        for _path, mended, _mode in planned.variables:
            module.no_log_values.update(mended.known_secrets())
        if planned.changed and not module.check_mode:
            copies = stack_fix.apply(host, planned, params["project_src"])
    except (
        ValueError,
        stack_fix.StackFixError,
        file_write.FileWriteError,
        sysctl_file.SysctlError,
    ) as error:
        module.fail_json(msg=str(error))
    for warning in planned.sysctl.warnings if planned.sysctl else []:
        module.warn(warning)
    module.exit_json(
        changed=planned.changed,
        fixed=planned.fixes,
        backup_files=copies,
        diff=stack_fix.diff(planned),
    )


if __name__ == "__main__":
    main()
