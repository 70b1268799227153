# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Ansible comes from, as the host sees it."""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def address(host: Host, told: str = "") -> str:
    """Return the controller's address; empty when Ansible came over no connection.

    Args:
        host: the host.
        told: what an administrator says it is, which then holds.
    """
    if told:
        return told
    from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_firewall

    packet = docker_firewall.controller_packet(host)
    return packet.source if packet else ""
