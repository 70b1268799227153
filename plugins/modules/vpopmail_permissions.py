#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vpopmail_permissions
short_description: Owner and mode of everything below vpopmail's domains
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Sees to it that directories are 0700, files 0600, and all of it belongs to vpopmail. Only what deviates
    is touched.
  - Links are not followed; they get the owner themselves. No name is used twice, so that nothing outside
    of the tree is reached, whatever the accounts below do meanwhile.
  - Left alone are devices, sockets and pipes, hard links to files of other users, and the sticky bit of a
    directory, which keeps qmail away while somebody edits. So are directories that C(users/assign) gives
    to another user or group, other file systems, and C(lost+found).
options:
  path:
    description:
      - Top of the tree. Neither it nor a directory above it may be a link, and one with a directory C(bin)
        or C(queue) is refused.
    type: path
    default: /home/vpopmail/domains
  owner:
    description:
      - Name or number of the user.
    type: str
    default: vpopmail
  group:
    description:
      - Name or number of the group.
    type: str
    default: vchkpw
  directory_mode:
    description:
      - Mode of directories, from V(0700) to V(0750).
    type: str
    default: '0700'
  file_mode:
    description:
      - Mode of files, from V(0600) to V(0640). qmail does not deliver by a C(.qmail) file that is
        executable, or that others may write.
    type: str
    default: '0600'
  qmail_home:
    description:
      - Where qmail is, for C(users/assign).
    type: path
    default: /var/qmail
notes:
  - Needs root.
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
- name: Nobody but vpopmail reads mail
  postmaster.mailhost.vpopmail_permissions:
"""

RETURN = r"""
top:
  description: Top of the tree.
  returned: success
  type: str
  sample: /home/vpopmail/domains
looked:
  description: Number of entries that were looked at.
  returned: success
  type: int
  sample: 100000
deviating:
  description: Number of those that deviated.
  returned: success
  type: int
  sample: 2
directories:
  description: Number of directories among them.
  returned: success
  type: int
  sample: 1
files:
  description: Number of files among them.
  returned: success
  type: int
  sample: 1
links:
  description: Number of links among them.
  returned: success
  type: int
  sample: 0
owner:
  description: Number of those with another owner or group.
  returned: success
  type: int
  sample: 0
mode:
  description: Number of those with another mode.
  returned: success
  type: int
  sample: 2
paths:
  description: The first 20 that deviated.
  returned: success
  type: list
  elements: str
  sample: [/home/vpopmail/domains/example.org/.qmail-default]
left:
  description: Number of those that were left alone, or could not be looked at.
  returned: success
  type: int
  sample: 0
left_paths:
  description: The first 20 of them, with the reason.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import vpopmail_permissions
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": vpopmail_permissions.DOMAINS},
            "owner": {"type": "str", "default": vpopmail_permissions.OWNER},
            "group": {"type": "str", "default": vpopmail_permissions.GROUP},
            "directory_mode": {"type": "str", "default": "0700"},
            "file_mode": {"type": "str", "default": "0600"},
            "qmail_home": {"type": "path", "default": "/var/qmail"},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = dict(module.params)
    path, home = params.pop("path"), params.pop("qmail_home")
    try:
        wanted = vpopmail_permissions.rights(host, **params)
        others = vpopmail_permissions.assigned(host, home, wanted)
        outcome = vpopmail_permissions.walk(host, path, wanted, not module.check_mode, others)
    except vpopmail_permissions.PermissionsError as error:
        module.fail_json(msg=str(error))
    if outcome.left:
        module.warn(
            "{0} entries were left alone: {1}".format(outcome.left, "; ".join(outcome.left_first))
        )
    module.exit_json(**vpopmail_permissions.result(outcome))


if __name__ == "__main__":
    main()
