#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_file
short_description: Set kernel parameters, now and at boot, in one file
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Sets kernel parameters in the running kernel and in C(/etc/sysctl.d/60-mailhost.conf), all in one
    task.
  - A parameter with a minimum is never lowered, and gets a line only where neither the kernel nor
    another file reaches the minimum.
options:
  minimums:
    description:
      - Kernel parameters with their least values, whole numbers.
      - The value of C(vm.overcommit_memory) is the name of a choice and not an amount; it has to be the
        one that is given.
    type: dict
    default: {}
  values:
    description:
      - Kernel parameters with their exact values. Goes over O(minimums).
    type: dict
    default: {}
notes:
  - The file has what the task names and nothing else. A parameter that is not named any more keeps its
    value in the running kernel until the next boot.
  - A file that is read later at boot, such as C(/etc/sysctl.d/99-local.conf), and says less is a
    warning. It is not changed.
  - In a container only parameters below C(net) are set; the others belong to the machine around it,
    and are a warning where they do not suffice.
seealso:
  - name: sysctl.d(5)
    description: Which file counts when.
    link: https://www.freedesktop.org/software/systemd/man/latest/sysctl.d.html
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
- name: What mailcow needs, and less swapping
  postmaster.mailhost.sysctl_file:
    minimums: "{{ lookup('postmaster.mailhost.stack', 'mailcow').sysctls }}"
    values:
      vm.swappiness: 10
"""

RETURN = r"""
applied:
  description: Parameters that were set in the running kernel, with their new values.
  returned: success
  type: dict
  sample: {net.ipv4.ip_forward: "1"}
path:
  description: The file.
  returned: success
  type: str
  sample: /etc/sysctl.d/60-mailhost.conf
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, sysctl_file
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "minimums": {"type": "dict", "default": {}},
            "values": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    host = Host()
    try:
        planned = sysctl_file.plan(host, module.params["minimums"], module.params["values"])
        if not module.check_mode:
            sysctl_file.write(host, planned)
    except (sysctl_file.SysctlError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(path=sysctl_file.PATH, **sysctl_file.result(planned))


if __name__ == "__main__":
    main()
