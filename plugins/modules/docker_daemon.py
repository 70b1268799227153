#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon
short_description: Manage the configuration file of the Docker daemon
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Merges keys into C(/etc/docker/daemon.json). Keys that are not named stay, with their order.
  - The outcome is checked by the daemon itself (C(dockerd --validate), from engine 23 on, with the
    flags that its service has) before the file is replaced; a copy of the old file is kept.
  - Says whether the running daemon has to be reloaded or restarted, and does neither. An action
    that an earlier, broken-off run left undone is said again.
  - A file that is no valid JSON is an error and is not touched.
options:
  config:
    description:
      - Keys that must have these values. Dictionaries are merged at every depth, lists replaced.
      - Where C(log-driver) changes, the C(log-opts) of the old driver go. Numbers in C(log-opts)
        are written as texts, as Docker wants them.
    type: dict
    default: {}
  defaults:
    description:
      - Keys that are set only where they are missing.
    type: dict
    default: {}
  absent:
    description:
      - Keys that must not be set.
    type: list
    elements: str
    default: []
  ipv6:
    description:
      - Whether containers get IPv6. Writes the keys that the engine's version needs for it,
        C(ipv6), and below 28 C(fixed-cidr-v6), and below 27 C(ip6tables) and C(experimental). A
        C(fixed-cidr-v6) that is there is kept.
      - Left as it is when not set.
    type: bool
  mtu:
    description:
      - V(auto) sets the MTU of the default route's interface where it is below 1500, V(none) leaves
        it as it is; else a number from 1280 to 65535.
      - It is the MTU of Docker's own bridge. Networks that a Compose project makes need the driver
        option C(com.docker.network.driver.mtu).
    type: str
    default: none
  path:
    description:
      - The file.
    type: path
    default: /etc/docker/daemon.json
  backup:
    description:
      - Keep a copy of the file before its content is changed.
    type: bool
    default: true
notes:
  - "Refused, because mail stacks break with it: C(iptables: false), C(ip6tables: false) together
    with C(ipv6: true), and C(userns-remap)."
  - The file gets mode 0644.
  - "What is left to do stands in C(/run/mailhost-docker-daemon.pending) while it is not done.
    Whoever reloads the daemon removes that file; a restart is noticed without that."
seealso:
  - name: dockerd
    description: Keys of the file, and which of them can be reloaded.
    link: https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - The daemon checks the configuration in check mode as well.
  diff_mode:
    support: full
    details:
      - User and password in addresses are hidden.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Configure the Docker daemon
  postmaster.mailhost.docker_daemon:
    config:
      live-restore: true
      log-driver: json-file
      log-opts:
        max-size: 10m
        max-file: 5
    ipv6: true
    mtu: auto
  register: daemon

- name: Restart or reload it
  ansible.builtin.systemd_service:
    name: docker.service
    state: "{{ daemon.action }}ed"
  when: daemon.action != 'none'

- name: An action that is done is no longer owed
  ansible.builtin.file:
    path: /run/mailhost-docker-daemon.pending
    state: absent
"""

RETURN = r"""
action:
  description:
    - What the running daemon needs to take the file over, V(none), V(reload) or V(restart). V(none)
      as well when no daemon runs.
  returned: success
  type: str
  sample: restart
changed_keys:
  description: Top-level keys that were changed.
  returned: success
  type: list
  elements: str
  sample: [log-opts, live-restore]
engine_version:
  description: Version of the engine that runs, else of the one that is installed, else null.
  returned: success
  type: str
  sample: 28.5.2
validated:
  description: Whether the daemon itself checked a changed configuration.
  returned: success
  type: bool
  sample: true
path:
  description: The file.
  returned: success
  type: str
  sample: /etc/docker/daemon.json
backup_file:
  description: Copy of the file as it was before; empty when none was made.
  returned: success
  type: str
  sample: /etc/docker/daemon.json.20260102T030405Z~
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    docker_daemon,
    file_write,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "default": {}},
            "defaults": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "str", "default": []},
            "ipv6": {"type": "bool"},
            "mtu": {"type": "str", "default": "none"},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "backup": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = dict(module.params)
    backup = options.pop("backup")
    try:
        planned = docker_daemon.plan(Host(), **options)
        copy = "" if module.check_mode else docker_daemon.write(planned, backup)
    except (docker_daemon.DaemonConfigError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(backup_file=copy, **docker_daemon.result(planned))


if __name__ == "__main__":
    main()
