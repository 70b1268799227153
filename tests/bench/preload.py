# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback "preload" saves: the controller's processor time of site.yml in check mode.

    .build/venv/bin/python tests/bench/preload.py HOST

HOST is a host of the sandbox that is up, best a bare one. Runs in turn without and with the callback.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = 2


def seconds(host: str, callbacks: str) -> float:
    """Run the playbook; return the processor time that it took here, in seconds."""
    before = os.times()
    subprocess.run(
        [
            ROOT / ".build/venv/bin/ansible-playbook",
            "--inventory",
            ROOT / ".build/sandbox/inventory.yml",
            "--limit",
            host,
            "--check",
            ROOT / "playbooks/site.yml",
        ],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_CALLBACKS_ENABLED": callbacks,
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def main(arguments: list[str]) -> int:
    """Measure and print."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    for _ in range(RUNS):
        without = seconds(arguments[0], "")
        loaded = seconds(arguments[0], "postmaster.mailhost.preload")
        print(f"without {without:5.1f} s, with {loaded:5.1f} s, saved {1 - loaded / without:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
