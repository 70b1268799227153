# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of this scenario, and what is said of them."""

from __future__ import annotations

import os
import subprocess
import sys

from scenario import ROOT, on, play

HOSTS = ("mail3", "mail4", "mail5")
PREFLIGHT = ROOT / "playbooks" / "preflight.yml"

# What a sandbox host cannot have: it is a container, whose kernel parameters and limits are the
# machine's, and the roles that install what is missing have not run.
SANDBOX = {
    "platform.virtualisation": "warn",
    "resources.inotify": "warn",
    "resources.limits": "warn",
    "resources.redis": "warn",
    "commands.required": "warn",
}


def world(*words):
    """Call a verb of the sandbox."""
    subprocess.run(
        [sys.executable, "-m", "sandbox", *words],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.DEVNULL,
    )


def everywhere(command, check=True):
    """Run a command on all hosts."""
    for host in HOSTS:
        on(host, command, check)


def told(run, host):
    """What a preflight found that is not in order and not owed to the sandbox: id to status."""
    found = {}
    for item in run.findings(host):
        if item["status"] in ("ok", "skip") or SANDBOX.get(item["id"]) == item["status"]:
            continue
        found[item["id"]] = item["status"]
    return found


def look(**variables):
    """Run the preflight on all hosts."""
    return play(PREFLIGHT, extra=variables)
