# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run on a converged host costs, beside a play that only pings.

    python tests/bench/rerun.py [HOST]

The host must be converged (make site). From here on it compiles Ansible's modules each time, as a
server does, and other hosts of the sandbox do not. Prints medians of interleaved runs, and their
ratios: on another machine the seconds differ, the ratios hardly.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 5
REPEAT = 10


# What makes a host of the sandbox keep byte code.
KEEPER = "/usr/lib/python3/dist-packages/sandbox_bytecode.pth"
PREFLIGHT = "postmaster.mailhost.preflight"


def tasks(host: str, action: str, count: int, options: dict | str) -> list[dict]:
    """A play with ``count`` equal tasks."""
    each = [{"name": f"{action} {number}", action: options} for number in range(count)]
    return [{"hosts": host, "gather_facts": False, "tasks": each}]


def run(playbook: Path, host: str) -> tuple[float, str]:
    """Seconds that a playbook takes, and what it printed."""
    begin = time.monotonic()
    done = subprocess.run(
        [
            ROOT / ".build/venv/bin/ansible-playbook",
            f"--inventory={ROOT / '.build/sandbox/inventory.yml'}",
            f"--limit={host}",
            playbook,
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{playbook} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - begin, done.stdout


def main() -> None:
    """Measure and print."""
    host = sys.argv[1] if len(sys.argv) > 1 else "mail1"
    with tempfile.TemporaryDirectory() as folder:
        books = {"site": ROOT / "playbooks/site.yml"}
        for name, action, count, options in (
            ("as a server", "ansible.builtin.raw", 1, f"rm -f {KEEPER}"),
            ("ping", "ansible.builtin.ping", 1, {}),
            ("pings", "ansible.builtin.ping", REPEAT, {}),
            ("preflights", PREFLIGHT, REPEAT, {"stack": "mailcow"}),
            # Other people's servers take the time they take.
            ("at home", PREFLIGHT, REPEAT, {"stack": "mailcow", "skip": ["egress"]}),
        ):
            books[name] = Path(folder) / f"{name}.yml"
            books[name].write_text(json.dumps(tasks(host, action, count, options)))
        run(books.pop("as a server"), host)
        run(books["site"], host)
        seconds = {name: [] for name in books}
        output = ""
        for _round in range(ROUNDS):
            for name, book in books.items():
                spent, printed = run(book, host)
                seconds[name].append(spent)
                output = printed if name == "site" else output
    median = {name: statistics.median(values) for name, values in seconds.items()}
    recap = re.search(rf"^{host} .*ok=(\d+) +changed=(\d+)", output, re.MULTILINE)
    ping = (median["pings"] - median["ping"]) / (REPEAT - 1)
    start = median["ping"] - ping
    preflight = (median["preflights"] - start) / REPEAT
    at_home = (median["at home"] - start) / REPEAT
    print(f"one ping task          {ping:6.2f} s")
    print(f"play with one ping     {median['ping']:6.2f} s")
    print(f"one preflight task     {preflight:6.2f} s = {preflight / ping:.2f} x ping")
    print(f"the same without egress{at_home:6.2f} s = {at_home / ping:.2f} x ping")
    print(f"site.yml, nothing to do{median['site']:6.2f} s = "
          f"{median['site'] / median['ping']:.1f} x the play with one ping")  # fmt: skip
    print(f"its tasks: {recap.group(1)} ok, {recap.group(2)} changed")


if __name__ == "__main__":
    main()
