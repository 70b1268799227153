#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_override
short_description: Merge settings into a Compose override file
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Merges into C(docker-compose.override.yml) what you want to stand in it, as Compose itself
    merges two files. Mappings merge, lists get the entries that they lack, anything else takes
    your value.
  - What else is in the file stays, with Compose's tags C(!reset) and C(!override). Its comments are
    lost the first time that something is changed; a backup keeps them.
  - An empty O(override) and no file make no file.
options:
  path:
    description:
      - The override file. Its directory must exist.
    type: path
    required: true
  override:
    description:
      - What must stand in the file, in Compose's own structure.
    type: dict
    required: true
  backup:
    description:
      - Keep a copy of the file before it is changed.
    type: bool
    default: true
notes:
  - The YAML is read and written on the controller, so that the host needs no parser for it.
  - "Write ports in quotes (V('25:25')): Ansible reads V(25:25) as the number 1525."
  - A file that is no YAML, or has a list where a mapping is wanted, is an error and not touched.
seealso:
  - name: Compose, merge
    description: How Compose merges files.
    link: https://docs.docker.com/reference/compose-file/merge/
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
- name: The MTU of an OpenStack network
  postmaster.mailhost.compose_override:
    path: /opt/mailcow-dockerized/docker-compose.override.yml
    override:
      networks:
        mailcow-network:
          driver_opts:
            com.docker.network.driver.mtu: "1450"
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /opt/mailcow-dockerized/docker-compose.override.yml
sections:
  description: Top-level sections that were not as wanted.
  returned: success
  type: list
  elements: str
  sample: [networks]
backup_file:
  description: The copy of the file as it was before; empty when none was made.
  returned: changed
  type: str
  sample: /opt/mailcow-dockerized/docker-compose.override.yml.1234.2026-01-02@03:04:05~
"""

# The work is done on the controller, in plugins/action/compose_override.py.
