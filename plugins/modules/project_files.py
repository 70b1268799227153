#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: project_files
short_description: The files of a Compose project, and the services that have not read them yet
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Writes the files of a Compose project in one task. Each is replaced atomically, with a copy of
    its earlier content beside it.
  - A file that was written by an earlier run and is not wanted any more is removed; which these are
    stands in C(.mailhost-files). Files of other origin are left alone.
  - Tells which services were started before a file that they read only at start has changed, also
    when the change was made by hand, or by a run that was cut off.
options:
  root:
    description:
      - Directory of the project. It is made if it is missing.
    type: path
    required: true
  project:
    description:
      - Name of the Compose project.
    type: str
    required: true
  directories:
    description:
      - Directories below O(root) that must exist; missing ones get the mode 0755.
    type: list
    elements: str
    default: []
  files:
    description:
      - The files. They are shown in diffs, so no secrets.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where it is, below O(root).
        type: str
        required: true
      content:
        description: Its whole text.
        type: str
        required: true
      mode:
        description: Its permissions, in octal digits.
        type: str
        default: '0644'
  read:
    description:
      - Files below O(root) whose texts are wanted as they were before.
    type: list
    elements: str
    default: []
  watch:
    description:
      - Service to a list of directories and files below O(root) that it reads when it starts.
    type: dict
    default: {}
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
"""

EXAMPLES = r"""
- name: Files of a project
  postmaster.mailhost.project_files:
    root: /mailu
    project: mailu
    files:
      - path: overrides/postfix/postfix.cf
        content: |
          smtpd_client_connection_rate_limit = 30
    watch:
      smtp: [overrides/postfix]
  register: files

- name: Start anew what has not read them
  community.docker.docker_compose_v2:
    project_src: /mailu
    state: restarted
    services: "{{ files.restart }}"
  when: files.restart | length > 0
"""

RETURN = r"""
changed_files:
  description: Files that changed, below O(root), sorted.
  returned: success
  type: list
  elements: str
  sample: [docker-compose.yml, overrides/postfix/postfix.cf]
differs:
  description:
    - Whether something was not as wanted. The same as C(changed), for plays in which C(changed_when)
      says something else.
  returned: success
  type: bool
  sample: true
texts:
  description: What the files of O(read) held before, null for one that was not there.
  returned: success
  type: dict
  sample: {.env: "MAILU_VERSION=2024.06\n"}
restart:
  description: Services that run and have not read the files of O(watch) as they are now, sorted.
  returned: success
  type: list
  elements: str
  sample: [smtp]
backup_files:
  description: Copies of what was there before.
  returned: success
  type: list
  elements: str
  sample: [/mailu/docker-compose.yml.20260102T030405Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    file_write,
    project_files,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "directories": names,
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str", "default": "0644"},
                },
            },
            "read": names,
            "watch": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    try:
        result = project_files.manage(Host(), module.params, module.check_mode)
    except (project_files.ProjectFilesError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(differs=result["changed"], **result)


if __name__ == "__main__":
    main()
