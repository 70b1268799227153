# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of the sandbox's hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .common import STATE, write_if_changed
from .data import DOMAIN, UPSTREAM, WORLD_IPV4, Host

PATH = STATE / "inventory.yml"

HEAD = """\
# Written by tests/sandbox; changes are lost. Most hosts are containers.
---
mailhosts:
  vars:
    ansible_user: root
    ansible_python_interpreter: /usr/bin/python3
    ansible_ssh_private_key_file: {key}
    # The sandbox made the hosts' keys, so it knows them.
    ansible_ssh_common_args: >-
      -F none -o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes
    # Named after the host, so that a reset can close what is open to the old one.
    ansible_control_path: "{control_path}"

    mailhost_stack: mailcow

    # A sandbox host is a container, which a mail host must not be.
    # The check still says so, as a warning instead of a failure.
    preflight_accept:
      - platform.virtualisation
    # Swap space is the machine's, and no host may change it.
    preflight_swap_mib: 0
    # The world's records, which the resolvers of this machine do not know.
    preflight_dns_servers: [{nameserver}]

{repository}  hosts:
"""

REPOSITORY = """\
    # The sandbox's stand-in for Docker's package repository cannot sign with
    # Docker's key; it has its own, and this is that key's fingerprint.
    docker_repository_key_fingerprint: "{fingerprint}"
"""

HOST = """\
    {name}:
      ansible_host: {ipv4}
      mailhost_hostname: {fqdn}
      mailhost_public_ipv4: {ipv4}
      mailhost_public_ipv6: "{ipv6}"
"""

# What is said above of containers is not so here. Without a value: the stack's own.
VIRTUAL = """\
      preflight_accept: []
      preflight_swap_mib:
"""

# The mail domain is the first host's; the others are in its MX behind that one.
MAIL_DOMAIN = """\
      preflight_domains: [{domain}]
"""


def text(
    hosts: Sequence[Host], key: Path, known_hosts: Path, control_path: Path, fingerprint: str
) -> str:
    """The inventory's text (YAML).

    hosts: the hosts to list.
    key, known_hosts: the files SSH needs.
    control_path: of the connections that Ansible keeps open, with SSH's own placeholders.
    fingerprint: of the key that signs the stand-in for Docker's repository, 40 hex digits.
    """
    head = HEAD.format(
        key=key,
        known_hosts=known_hosts,
        # Ansible fills in placeholders of its own here, so SSH's are doubled.
        control_path=str(control_path).replace("%", "%%"),
        nameserver=WORLD_IPV4,
        # Hosts that install from the real one know its key.
        repository="" if UPSTREAM else REPOSITORY.format(fingerprint=fingerprint),
    )
    entries = [
        HOST.format(name=h.name, ipv4=h.ipv4, ipv6=h.ipv6, fqdn=h.fqdn)
        + (VIRTUAL if h.virtual else "")
        for h in hosts
    ]
    entries[0] += MAIL_DOMAIN.format(domain=DOMAIN)
    return head + "".join(entries)


def write(
    hosts: Sequence[Host], key: Path, known_hosts: Path, control_path: Path, fingerprint: str
) -> Path:
    """Write the inventory; returns its path. The arguments are those of ``text``."""
    write_if_changed(PATH, text(hosts, key, known_hosts, control_path, fingerprint))
    return PATH
