#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: env_file
short_description: Manage a KEY=VALUE file that bash sources and Docker Compose reads
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Manages files such as C(mailcow.conf) line by line. Order, comments, unknown keys and every
    line that need not change keep their bytes.
  - A key that is commented out (C(#KEY=...), no blank behind the C(#)) is activated in its place.
    Of several lines of one key the last one stays, as it is the one that both readers obey.
  - Only values that mean the same to bash and to Compose are written. Letters, digits and
    C(_@%+=:,./^!?*{}[]-) need no quotes; every other character is refused unless the key is listed
    in O(quote), in which case the value is put into single quotes.
  - A new file has its final O(mode) from the first byte on; a file is replaced atomically, and
    through a symbolic link its target is.
options:
  path:
    description:
      - The file. Its directory must exist.
    type: path
    required: true
  values:
    description:
      - Keys and the values that they must have. They are shown in diffs; put secrets into
        O(secrets).
      - Numbers are written as they are, booleans as V(true) or V(false), null as the empty value.
    type: dict
    default: {}
  secrets:
    description:
      - The same as O(values), never shown in output, diff or logs.
    type: dict
    default: {}
  defaults:
    description:
      - Keys and values that are written only where the key is not set. A key that is set to the
        empty value counts as set.
    type: dict
    default: {}
  generate:
    description:
      - Secrets to make where the key is not set or empty. They never leave the host.
    type: list
    elements: dict
    default: []
    suboptions:
      key:
        description: The key.
        type: str
        required: true
      length:
        description: Number of characters, 8 to 1024.
        type: int
        default: 28
      alphabet:
        description:
          - The characters to choose from, at least ten different ones that need no quotes.
        type: str
        default: ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789
  absent:
    description:
      - Keys that must not be set. Lines that are commented out stay.
    type: list
    elements: str
    default: []
  create_only:
    description:
      - Keys that may only be written while the file is new, each with the reason. A file is new
        when it does not exist or sets no key.
      - In a file that is not new, another value and a missing line are both refused, and nothing
        is changed.
    type: dict
    default: {}
  quote:
    description:
      - Keys whose values may be written in single quotes. A single quote, a line break or a
        backslash at the end cannot be written even so.
    type: list
    elements: str
    default: []
  secret_keys:
    description:
      - Further keys whose values are hidden in the diff. Keys in O(secrets) and O(generate), and
        keys whose names look like a secret's (C(PASS), C(SECRET), C(TOKEN), C(KEY)) always are.
    type: list
    elements: str
    default: []
  layout:
    description:
      - Text of a new file, with comments and keys in the order wanted. Values are filled in; a key
        that gets none keeps its line, for example C(#KEY=).
    type: str
    default: ''
  mode:
    description:
      - Permissions of the file, in octal digits. Corrected when they differ.
    type: str
    default: '0600'
  owner:
    description:
      - User that owns the file.
    type: str
  group:
    description:
      - Group that owns the file.
    type: str
  backup:
    description:
      - Keep a copy of the file, readable to its owner only, before its content is changed.
    type: bool
    default: true
notes:
  - "Where the two readers differ: bash expands C($), C(`) and C(~), joins quoted and unquoted
    parts, and ends a value at a blank, C(;), C(&) or C(|); Compose does neither, but cuts a value
    at C( #) and expands C($) and C(\\) between double quotes."
  - Errors name the key, say what is wrong and what is allowed; the value of a secret is never
    named. Nothing is changed when one key is refused.
seealso:
  - name: Compose, variables in env files
    description: How Docker Compose reads a line.
    link: https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/
  - name: bash(1)
    description: How bash reads a line, sections QUOTING and EXPANSION.
    link: https://www.gnu.org/software/bash/manual/bash.html
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Values of secrets are hidden; a changed one is marked as new.
  idempotent:
    support: full
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: The settings of a mail host
  postmaster.mailhost.env_file:
    path: /opt/mailcow-dockerized/mailcow.conf
    values:
      MAILCOW_HOSTNAME: mail.example.org
      LOG_LINES: 5000
    defaults:
      TZ: Europe/Berlin
    generate:
      - key: DBPASS
        length: 28
    create_only:
      DBPASS: MariaDB takes it only when its volume is empty
    absent:
      - SOLR_HEAP

- name: A value with blanks, for a key that may be quoted
  postmaster.mailhost.env_file:
    path: /opt/mailcow-dockerized/mailcow.conf
    values:
      WATCHDOG_SUBJECT: Mail host needs help
    quote:
      - WATCHDOG_SUBJECT

- name: A secret that comes from a vault
  postmaster.mailhost.env_file:
    path: /opt/mailcow-dockerized/mailcow.conf
    secrets:
      API_KEY: "{{ vault_mailcow_api_key }}"
"""

RETURN = r"""
differs:
  description:
    - Whether the file was not as wanted. The same as C(changed), for plays in which C(changed_when)
      says something else.
  returned: success
  type: bool
  sample: true
changed_keys:
  description: The keys whose lines changed, sorted. Their values are never returned.
  returned: success
  type: list
  elements: str
  sample: [DBPASS, LOG_LINES]
changes:
  description:
    - What happened to each key, V(added), V(changed), V(removed) or V(deduplicated).
  returned: success
  type: dict
  sample:
    DBPASS: added
    LOG_LINES: changed
path:
  description: The file that was managed, with symbolic links followed.
  returned: success
  type: str
  sample: /opt/mailcow-dockerized/mailcow.conf
backup_file:
  description: The copy of the file as it was before; empty when none was made.
  returned: success
  type: str
  sample: /opt/mailcow-dockerized/mailcow.conf.20260102T030405~
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import env_file, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "values": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "defaults": {"type": "dict", "default": {}},
            "generate": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "key": {"type": "str", "required": True, "no_log": False},
                    "length": {"type": "int", "default": 28},
                    "alphabet": {"type": "str", "default": env_file.ALPHABET},
                },
            },
            "absent": {"type": "list", "elements": "str", "default": []},
            "create_only": {"type": "dict", "default": {}},
            "quote": {"type": "list", "elements": "str", "default": []},
            "secret_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "layout": {"type": "str", "default": ""},
            "mode": {"type": "str", "default": "0600"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "backup": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        result = env_file.manage(Host(), module.params, module.check_mode)
    except (ValueError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.no_log_values.update(result.pop("known_secrets"))
    for warning in result.pop("warnings"):
        module.warn(warning)
    if os.path.exists(result["path"]):
        attributes = module.load_file_common_arguments(module.params, path=result["path"])
        attributes_diff = {}
        result["changed"] = module.set_fs_attributes_if_different(
            attributes, result["changed"], attributes_diff
        )
        result["diff"] = [result["diff"], attributes_diff] if attributes_diff else result["diff"]
    module.exit_json(differs=result["changed"], **result)


if __name__ == "__main__":
    main()
