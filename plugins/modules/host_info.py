#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: What a role must know about a host, in one task
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Answers distribution, architecture, default route, packages, programs, files and the state of
    Docker in one call, so that a play needs no fact gathering.
  - Only what is asked for is looked at. Nothing on the host is changed.
options:
  gather:
    description:
      - Subjects to look at.
    type: list
    elements: str
    choices: [system, route, docker, engine]
    default: [system]
  packages:
    description:
      - Packages whose installed versions are wanted.
    type: list
    elements: str
    default: []
  commands:
    description:
      - Programs whose paths are wanted.
    type: list
    elements: str
    default: []
  paths:
    description:
      - Files and directories to look at.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Nothing is changed.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Look at the host
  postmaster.mailhost.host_info:
    gather: [system, route, docker]
    packages: [git, jq]
    commands: [openssl]
    paths: [/opt/mailcow-dockerized/mailcow.conf]
  register: host

- name: Say what it is
  ansible.builtin.debug:
    msg: "{{ host.system.distribution.name }}, Docker {{ host.docker.version or 'missing' }}"
"""

RETURN = r"""
system:
  description: What kind of system it is.
  returned: when O(gather) has V(system)
  type: dict
  contains:
    distribution:
      description:
        - C(id), C(version), C(codename), C(name), C(like) (list) and C(family), which is V(debian),
          V(redhat) or V(other).
      type: dict
      sample:
        id: debian
        version: "13"
        codename: trixie
        name: Debian GNU/Linux 13 (trixie)
        like: []
        family: debian
    architecture:
      description: C(kernel) is the kernel's name, C(debian) Debian's.
      type: dict
      sample: {kernel: x86_64, debian: amd64}
    kernel:
      description: Release of the kernel.
      type: str
      sample: 6.12.48+deb13-amd64
    service_manager:
      description: What starts services, V(systemd), V(openrc) or the name of process 1.
      type: str
      sample: systemd
    dpkg_interrupted:
      description: Whether dpkg was killed in the middle of its work, so that APT refuses to work.
      type: bool
      sample: false
packages:
  description: Installed version of each package asked for, null when it is not installed.
  returned: success
  type: dict
  sample: {git: "1:2.47.3-0+deb13u1", jq: null}
commands:
  description: Path of each program asked for, null when it is not there.
  returned: success
  type: dict
  sample: {openssl: /usr/bin/openssl}
paths:
  description:
    - What is at each path asked for. C(exists), C(type) (V(file), V(directory), V(link), V(socket),
      V(other) or null), C(target) of a link, and C(mode), C(size), C(uid) and C(gid) of what a link
      leads to.
  returned: success
  type: dict
  sample:
    /etc/hostname: {exists: true, type: file, target: null, mode: "0644", size: 6, uid: 0, gid: 0}
default_route:
  description:
    - The default route of C(ipv4) and C(ipv6), null where there is none. C(interface), C(gateway),
      C(mtu) and C(source), the address of outgoing connections.
  returned: when O(gather) has V(route)
  type: dict
  sample:
    ipv4: {interface: eth0, gateway: 192.0.2.1, mtu: 1500, source: 192.0.2.10}
    ipv6: null
docker:
  description: What there is of Docker.
  returned: when O(gather) has V(docker)
  type: dict
  contains:
    vendor:
      description: Who made it, V(docker), V(distribution), V(snap), V(podman), V(other) or V(none).
      type: str
      sample: docker
    command:
      description: Path of the client, null when there is none.
      type: str
      sample: /usr/bin/docker
    daemon:
      description: Path of the engine, null when there is none.
      type: str
      sample: /usr/bin/dockerd
    running:
      description: Whether the engine answers.
      type: bool
      sample: true
    version:
      description: Version of the engine that answers, else of the one that is installed.
      type: str
      sample: 28.5.2
    installed_version:
      description: Version of the engine that is installed.
      type: str
      sample: 28.5.2
    api_version:
      description: Version of the API that the engine speaks.
      type: str
      sample: "1.51"
    compose_version:
      description: Version of the Compose plugin.
      type: str
      sample: 2.40.3
    service:
      description: Whether C(docker.service) is C(active) now and C(enabled) at boot.
      type: dict
      sample: {active: true, enabled: true}
engine:
  description:
    - How the engine that is installed hands connections on to containers; null when none is
      installed, or its configuration cannot be read.
  returned: when O(gather) has V(engine)
  type: dict
  contains:
    iptables:
      description: Whether it makes packet filter rules.
      type: bool
      sample: true
    ip6tables:
      description: Whether it makes them for IPv6.
      type: bool
      sample: true
    userland_proxy:
      description: Whether its helper hands on what the rules do not.
      type: bool
      sample: false
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_engine, host_info
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError


def _engine(host: Host) -> dict | None:
    # Few roles ask for it.
    from ansible_collections.postmaster.mailhost.plugins.module_utils import engine_state

    if not host.which("dockerd"):
        return None
    try:
        return engine_state.forwarding(host)
    except HostError:
        return None


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "gather": {
                "type": "list",
                "elements": "str",
                "choices": ["system", "route", "docker", "engine"],
                "default": ["system"],
            },
            "packages": names,
            "commands": names,
            "paths": names,
        },
        supports_check_mode=True,
    )
    host = Host()
    wanted = module.params["gather"]
    found = {
        "packages": host_info.packages(host, module.params["packages"]),
        "commands": host_info.commands(host, module.params["commands"]),
        "paths": host_info.paths(host, module.params["paths"]),
    }
    if "system" in wanted:
        found["system"] = {
            "distribution": host_info.distribution(host),
            "architecture": host_info.architecture(host),
            "kernel": os.uname().release,
            "service_manager": host_info.service_manager(host),
            "dpkg_interrupted": host_info.dpkg_interrupted(host),
        }
    if "route" in wanted:
        found["default_route"] = host_info.default_route(host)
    if "docker" in wanted:
        found["docker"] = docker_engine.info(host)
    if "engine" in wanted:
        found["engine"] = _engine(host)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
