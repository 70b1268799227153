# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewall rules cost, beside the same rules as single tasks of ansible.builtin.iptables.

    python tests/bench/firewall.py [--tasks]

Needs root and the programs; all of it happens in a network namespace, the rules of this machine are
left alone. Prints medians: what is done in the module's process (looking, comparing, loading; with
and without changes), then what whole plays take, for 10, 100 and 1000 rules. ansible.builtin.iptables
is measured with ten rules and multiplied, because a thousand take several minutes; with --tasks it
is run for 100 as well.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".build/collections"), str(ROOT / "tests")]

import firewall_lab  # noqa: E402 - found by the line above

COUNTS = (10, 100, 1000)
ROUNDS = 5
SET_SIZE = 10_000
PORT = 10_000

# Plan and write inside one process, as the module does after Python has started.
TIMES = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_firewall, ruleset
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
def once(wish, path, backend):
    begin = time.perf_counter()
    plan = docker_firewall.plan(
        Host(), ruleset.build(**wish), backend, path, allow_lockout=True,
        there=docker_firewall.Engine("28.5.2"))
    docker_firewall.write(Host(), plan)
    return time.perf_counter() - begin, plan.changed
for line in sys.stdin:
    print(json.dumps(once(**json.loads(line))), flush=True)
"""


def rules(count: int) -> list[dict]:
    """Return so many rules, each a port for one source."""
    return [
        {
            "name": f"r{number}",
            "ports": [PORT + number],
            "sources": [f"192.0.2.{number % 250 + 1}"],
            "families": ["ipv4"],
        }
        for number in range(count)
    ]


def task_of(rule: dict) -> dict:
    """Return nearly the same as one task: the module has no option for the published port."""
    return {
        "name": rule["name"],
        "ansible.builtin.iptables": {
            "chain": "DOCKER-USER",
            "protocol": "tcp",
            "source": rule["sources"][0],
            "ctstate": ["NEW"],
            "destination_port": str(rule["ports"][0]),
            "jump": "RETURN",
        },
    }


def play(host: firewall_lab.Host, tasks: list[dict], folder: Path) -> float:
    """Return the seconds that a play with these tasks takes on the namespace."""
    book = folder / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    begin = time.monotonic()
    done = subprocess.run(
        host.argv(
            str(ROOT / ".build/venv/bin/ansible-playbook"),
            "--inventory=localhost,",
            "--connection=local",
            f"--extra-vars=ansible_python_interpreter={sys.executable}",
            str(book),
        ),
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"the play failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - begin


def process(host: firewall_lab.Host) -> subprocess.Popen:
    """Start the process whose work is measured."""
    return subprocess.Popen(
        host.argv(sys.executable, "-c", TIMES, json.dumps(sys.path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def measure(worker: subprocess.Popen, wish: dict, path: Path, backend: str) -> tuple[float, bool]:
    """Return the seconds of one run, and whether it changed something."""
    worker.stdin.write(json.dumps({"wish": wish, "path": str(path), "backend": backend}) + "\n")
    worker.stdin.flush()
    seconds, changed = json.loads(worker.stdout.readline())
    return seconds, changed


def work(host: firewall_lab.Host, folder: Path) -> None:
    """Print what the module's own work takes."""
    print("in the module's process      first load   nothing to do")
    wishes = {f"{count} rules": {"rules": rules(count)} for count in COUNTS}
    wishes[f"a set of {SET_SIZE}"] = {
        "rules": [{"name": "x", "set": "s", "action": "drop"}],
        "sets": [
            {
                "name": "s",
                "entries": [f"10.{n // 256}.{n % 256}.0/24" for n in range(0, 2 * SET_SIZE, 2)],
            }
        ],
    }
    for backend in ("iptables", "nftables"):
        with process(host) as worker:
            for title, wish in wishes.items():
                loads, reruns = [], []
                for _round in range(ROUNDS):
                    host.firewall(folder / backend)
                    seconds, changed = measure(worker, wish, folder / backend, backend)
                    assert changed
                    loads.append(seconds)
                    seconds, changed = measure(worker, wish, folder / backend, backend)
                    assert not changed
                    reruns.append(seconds)
                print(
                    f"{backend}, {title:18}"
                    f"{statistics.median(loads) * 1000:9.0f} ms"
                    f"{statistics.median(reruns) * 1000:12.0f} ms"
                )
            host.firewall(folder / backend)
            worker.stdin.close()


def plays(host: firewall_lab.Host, folder: Path, with_tasks: bool) -> None:
    """Print what plays take beside those with single tasks."""
    host.run("iptables-nft -N DOCKER-USER 2>/dev/null || :")
    empty = [{"name": "nothing", "ansible.builtin.meta": "noop"}]
    start = statistics.median(play(host, empty, folder) for _round in range(3))

    def single(count: int) -> tuple[float, float]:
        tasks = [task_of(rule) for rule in rules(count)]
        first = play(host, tasks, folder) - start
        again = play(host, tasks, folder) - start
        host.run("iptables-nft -F DOCKER-USER")
        return first, again

    ten = single(10)
    print(f"one task of ansible.builtin.iptables: {ten[0] / 10:.2f} s, again {ten[1] / 10:.2f} s")
    print("rules    docker_firewall          ansible.builtin.iptables         ratio")
    for count in COUNTS:
        task = {
            "name": "all",
            "postmaster.mailhost.docker_firewall": {
                "rules": rules(count),
                "backend": "iptables",
                "path": str(folder / "play"),
                "allow_lockout": True,
            },
        }
        first = play(host, [task], folder) - start
        again = statistics.median(play(host, [task], folder) - start for _round in range(3))
        host.firewall(folder / "play")
        if count == 10 or (with_tasks and count == 100):
            theirs, how = single(count), "measured"
        else:
            theirs, how = tuple(value / 10 * count for value in ten), "10 rules x n"
        print(
            f"{count:5}  {first:6.2f} s, again {again:5.2f} s"
            f"  {theirs[0]:7.1f} s, again {theirs[1]:6.1f} s ({how})"
            f"  {theirs[0] / first:5.0f} x, again {theirs[1] / again:5.0f} x"
        )


def main() -> None:
    """Measure and print."""
    trouble = firewall_lab.missing()
    if trouble:
        sys.exit(f"cannot measure: {trouble}")
    host = firewall_lab.Host()
    try:
        with tempfile.TemporaryDirectory() as name:
            work(host, Path(name))
            plays(host, Path(name), "--tasks" in sys.argv[1:])
    finally:
        host.close()


if __name__ == "__main__":
    main()
