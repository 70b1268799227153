# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the stack's own scripts call on the host."""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

# Part of every installation, so that no role installs them, with the package that has them.
_BASE = {
    "awk": "gawk",
    "cp": "coreutils",
    "cut": "coreutils",
    "grep": "grep",
    "sed": "sed",
    "sha1sum": "coreutils",
}

# BusyBox has its own of these, without options that the stack's scripts use.
_GNU = ("cp", "grep", "sed")


def required(host: Host, need: Need) -> list[Finding]:
    """Look for each command that the stack's scripts call.

    A missing one that the stack's role installs is a ``warn``. One that belongs to every
    system, or is BusyBox where the GNU program is needed, is a ``fail``.
    """
    if not need.commands:
        return [answer(SKIP, "the stack calls no program of the host", "nothing")]
    wanted = ", ".join(need.commands)
    found = {name: host.which(name) for name in need.commands}
    broken = [name for name, path in found.items() if path is None and name in _BASE]
    absent = [name for name, path in found.items() if path is None and name not in _BASE]
    busybox = [name for name in _GNU if _is_busybox(host, name)]
    findings = []
    if broken:
        packages = sorted({_BASE[name] for name in broken})
        findings.append(
            answer(
                FAIL,
                "missing: " + ", ".join(broken),
                wanted,
                "Install " + ", ".join(packages) + ".",
            )
        )
    if busybox:
        packages = sorted({_BASE[name] for name in busybox})
        findings.append(
            answer(
                FAIL,
                "BusyBox instead of GNU: " + ", ".join(busybox),
                "the GNU programs " + ", ".join(busybox),
                "Install " + ", ".join(packages) + ".",
            )
        )
    if absent:
        findings.append(
            answer(
                WARN,
                "missing: " + ", ".join(absent),
                wanted,
                "Nothing by hand: the {0} role installs them.".format(need.stack),
            )
        )
    return findings or [answer(OK, "all there", wanted)]


def _is_busybox(host: Host, name: str) -> bool:
    path = host.which(name)
    return path is not None and host.realpath(path).rpartition("/")[2] == "busybox"


LOOK = (("commands.required", "Commands", "install", required),)
