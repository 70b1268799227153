#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swap_file
short_description: Make up for missing swap space with a file
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Where the swap space in use is less than wanted, makes a file of the size that lacks, takes it into
    use and names it in C(/etc/fstab). Works on ext2, ext3, ext4, xfs, btrfs and f2fs.
  - Never removes, replaces or resizes swap that is there, whether it is in use or not.
  - The file is written in full, readable to root alone from its first moment, and gets its name when
    it is complete.
options:
  size_mib:
    description:
      - Swap space wanted in all, in MiB. V(0) wants none, and changes nothing.
    type: int
    required: true
  path:
    description:
      - The file to make, an absolute path without blanks. Its directory must exist.
      - A swap file that stands there, large enough and not in use, is taken into use. Anything else
        there is refused.
    type: path
    default: /swapfile
notes:
  - Refused where less than 1 GiB of disk space would stay free.
  - Swap that is there counts, also zram. 1 MiB less than wanted counts as enough, because each swap
    space gives its first page to a header.
  - In a container nothing is done, because swap belongs to the machine around it. That is a warning,
    and RV(skipped_reason).
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
- name: 1 GiB of swap
  postmaster.mailhost.swap_file:
    size_mib: 1024

- name: On another disk
  postmaster.mailhost.swap_file:
    size_mib: 4096
    path: /srv/swap
"""

RETURN = r"""
created_mib:
  description: Size of the file that was made, in MiB; 0 when none was.
  returned: success
  type: int
  sample: 1024
total_mib:
  description: Swap space that was in use before, in MiB.
  returned: success
  type: int
  sample: 0
path:
  description: The file.
  returned: success
  type: str
  sample: /swapfile
skipped_reason:
  description: Why nothing was done although swap lacks; else empty.
  returned: success
  type: str
  sample: swap belongs to the machine around this lxc container
backup_file:
  description: Copy of C(/etc/fstab) as it was before; empty when none was made.
  returned: success
  type: str
  sample: /etc/fstab.20260102T030405Z~
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, swap_file
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "size_mib": {"type": "int", "required": True},
            "path": {"type": "path", "default": "/swapfile"},
        },
        supports_check_mode=True,
    )
    host = Host()
    try:
        planned = swap_file.plan(host, module.params["size_mib"], module.params["path"])
        copy = "" if module.check_mode else swap_file.carry_out(host, planned)
    except (swap_file.SwapFileError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    if planned.skipped:
        module.warn("no swap file: " + planned.skipped)
    module.exit_json(backup_file=copy, **swap_file.result(planned))


if __name__ == "__main__":
    main()
