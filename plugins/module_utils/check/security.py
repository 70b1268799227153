# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protection of the system that a stack in containers must get along with."""

from __future__ import annotations

import json
import re

from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

_ENFORCE = "/sys/fs/selinux/enforce"
_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_DAEMON_FILE = "/etc/docker/daemon.json"

# Where a policy for containers shows: the package's own file, and the modules of the loaded policy.
_CONTAINER_POLICY = (
    "/usr/share/selinux/packages/container.pp.bz2",
    "/var/lib/selinux/*/active/modules/*/container",
)

# Files that shells of root read; "umask" in one of them counts.
_SHELL_FILES = (
    "/etc/profile",
    "/etc/profile.d/*.sh",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/root/.profile",
    "/root/.bash_profile",
    "/root/.bashrc",
    "/root/.zshrc",
)

_UMASK = re.compile(r"^(?:[^#\n]*[\s;&|])?umask[ \t]+0*([0-7]{1,3})\b", re.MULTILINE)

# PAM's module for it, with or without a umask of its own.
_PAM_UMASK = re.compile(r"\bpam_umask\.so\b(?:.*\bumask=0*([0-7]{1,3})\b)?")


def selinux(host: Host, need: Need) -> list[Finding]:
    """Look at whether SELinux and the container engine know of each other.

    With SELinux enforcing, a policy for containers must be there (package container-selinux): else
    ``fail``. The engine must be told to label its containers (``selinux-enabled`` in its
    configuration): else ``warn``. Permissive is ``ok``. Without SELinux, and before there is an
    engine, whose packages bring the policy: ``skip``.
    """
    required = "a policy for containers, and selinux-enabled in {0}".format(_DAEMON_FILE)
    if not host.exists(_ENFORCE):
        return [answer(SKIP, "no SELinux", required, "Nothing to do.")]
    mode = (host.read(_ENFORCE) or "").strip()
    if mode not in ("0", "1"):
        return [answer(UNKNOWN, "cannot read " + _ENFORCE, required, "Run the check as root.")]
    if mode == "0":
        return [answer(OK, "permissive", required)]
    if host.which("dockerd") is None:
        return [
            answer(
                SKIP,
                "enforcing; no Docker engine yet",
                required,
                "Nothing by hand: the docker role does both.",
            )
        ]
    if not any(host.glob(pattern) for pattern in _CONTAINER_POLICY):
        return [
            answer(
                FAIL,
                "enforcing, without a policy for containers",
                required,
                "Install it: dnf install container-selinux; systemctl restart docker.",
            )
        ]
    text = host.read(_DAEMON_FILE)
    if text is None and host.exists(_DAEMON_FILE):
        return [answer(UNKNOWN, "cannot read " + _DAEMON_FILE, required, "Run the check as root.")]
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        return [
            answer(
                UNKNOWN,
                "{0} is not valid JSON: {1}".format(_DAEMON_FILE, error),
                required,
                "Repair it, then look again.",
            )
        ]
    if isinstance(settings, dict) and settings.get("selinux-enabled") is True:
        return [answer(OK, "enforcing, containers are labelled", required)]
    return [
        answer(
            WARN,
            "enforcing, but the engine does not label {0}'s containers".format(need.title),
            required,
            'Set "selinux-enabled": true in {0}; systemctl restart docker. The docker role does '
            "it.".format(_DAEMON_FILE),
        )
    ]


def apparmor(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at whether the container engine can use AppArmor where the kernel has it.

    Without ``apparmor_parser`` the engine cannot load its profile, and containers run without one
    (version 23.0.0 of the engine starts none): ``warn``. A kernel without AppArmor: ``skip``.
    """
    required = "apparmor_parser where the kernel has AppArmor"
    if not host.exists(_APPARMOR):
        return [answer(SKIP, "the kernel has no AppArmor", required, "Nothing to do.")]
    enabled = (host.read(_APPARMOR) or "").strip()
    if not enabled:
        return [answer(UNKNOWN, "cannot read " + _APPARMOR, required, "Run the check as root.")]
    if enabled != "Y":
        return [answer(OK, "switched off in the kernel", required)]
    if host.which("apparmor_parser"):
        return [answer(OK, "on, with apparmor_parser", required)]
    return [
        answer(
            WARN,
            "on in the kernel, but there is no apparmor_parser",
            required,
            "Install it: apt-get install apparmor; systemctl restart docker.",
        )
    ]


def umask(host: Host, need: Need) -> list[Finding]:
    """Look for a umask of root's that keeps containers from reading the stack's files.

    Containers run as other users. What root creates by hand with a umask such as 077 is closed to
    them: ``warn``. So is a umask of 000, with which everybody can write. Looked at are the umask of
    the check's own process, ``UMASK`` in ``/etc/login.defs`` where PAM applies it, and ``umask`` in
    the files that root's shells read. The roles are not concerned: they set the modes themselves.
    """
    required = "022, or another that lets everybody read and nobody else write"
    found = _umasks(host)
    if not found:
        return [
            answer(
                UNKNOWN,
                "neither the process nor /etc/login.defs tells it",
                required,
                "Look with: umask.",
            )
        ]
    bad = ["{0:03o} ({1})".format(mask, where) for mask, where in found if _is_bad(mask)]
    if not bad:
        return [answer(OK, "{0:03o}".format(found[0][0]), required)]
    return [
        answer(
            WARN,
            ", ".join(bad),
            required,
            "The roles need nothing. Before calling {0}'s scripts by hand, say: umask 0022.".format(
                need.title
            ),
        )
    ]


def _is_bad(mask: int) -> bool:
    # What everybody needs is to read and to enter; what nobody else may do is to write.
    return bool(mask & 0o055) or not mask & 0o002


def _umasks(host: Host) -> list[tuple[int, str]]:
    """Return each umask of root's that is set, with the place that sets it."""
    found = []
    for line in (host.read("/proc/self/status") or "").splitlines():
        name, _colon, value = line.partition(":")
        if name == "Umask":
            found.append((int(value.strip(), 8), "this process"))
    applied = False
    for path in host.glob("/etc/pam.d/*"):
        for line in (host.read(path) or "").splitlines():
            match = None if line.lstrip().startswith("#") else _PAM_UMASK.search(line)
            if match is None:
                continue
            applied = True
            if match.group(1):
                found.append((int(match.group(1), 8), path))
    for line in (host.read("/etc/login.defs") or "").splitlines() if applied else ():
        words = line.split()
        if words[:1] == ["UMASK"] and len(words) > 1 and re.match(r"[0-7]+\Z", words[1]):
            found.append((int(words[1], 8), "/etc/login.defs"))
    for pattern in _SHELL_FILES:
        for path in host.glob(pattern):
            for value in _UMASK.findall(host.read(path) or ""):
                found.append((int(value, 8), path))
    return found


LOOK = (
    ("security.selinux", "SELinux", "install", selinux),
    (
        "security.apparmor",
        "AppArmor",
        "https://docs.docker.com/engine/security/apparmor/",
        apparmor,
    ),
    ("security.umask", "umask", "install", umask),
)
