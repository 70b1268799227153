# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the system shares its kernel with a machine around it."""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def kind(host: Host) -> str:
    """Return the kind of container the system runs in, such as ``lxc``; empty when in none.

    Swap, the clock and most kernel parameters belong to the machine around a container. What is
    done about them inside would be done to that machine and its other guests, or fail.
    """
    found = (host.read("/run/systemd/container") or "").strip()
    if found:
        return found
    for entry in (host.read("/proc/1/environ") or "").split("\0"):
        name, _equals, value = entry.partition("=")
        if name == "container" and value:
            return value
    if host.exists("/.dockerenv"):
        return "docker"
    if host.exists("/run/.containerenv"):
        return "podman"
    # A hardware node of OpenVZ has /proc/vz too, and /proc/bc beside it.
    if host.exists("/proc/vz") and not host.exists("/proc/bc"):
        return "openvz"
    return ""


def sets_clock(host: Host) -> bool:
    """Tell whether the system may set the clock of its kernel.

    On a machine of its own it may, and so may a container that was given the capability
    CAP_SYS_TIME (capabilities(7)), number 25.
    """
    if not kind(host):
        return True
    for line in (host.read("/proc/1/status") or "").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 25 & 1)
    return False
