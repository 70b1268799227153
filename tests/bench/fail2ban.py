# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bans cost: how soon a failure becomes a dropped packet, and what many bans weigh.

    python tests/bench/fail2ban.py [BANS]

Needs root and the programs; all of it happens in network namespaces. For each action, with the
fail2ban of Debian 12: seconds from the last failure in a log file to the first packet that is dropped
(median of five); then with BANS addresses banned (10000): milliseconds of a connection to the
published port 25 by somebody who is not banned (beside none banned), of one more ban and its unban,
of the look whether all is in force and of making all bans again; and seconds of a restart of fail2ban
until all bans are back.
"""

from __future__ import annotations

import ipaddress
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".build/collections"), str(ROOT / "tests"), str(ROOT / "tests/fail2ban")]

import firewall_lab  # noqa: E402 - found by the line above
import lab as labs  # noqa: E402
import versions  # noqa: E402

ROUNDS = 5
CONNECTIONS = 2000

# Milliseconds of connections, one after another.
CONNECT = """
import json, socket, sys, time
host, port, own, count = sys.argv[1:]
taken = []
for _number in range(int(count)):
    begin = time.perf_counter()
    one = socket.create_connection((host, int(port)), 3, (own, 0))
    taken.append((time.perf_counter() - begin) * 1000)
    one.recv(100)
    one.close()
print(json.dumps(taken))
"""

LATENCY = """
import socket, sys, time
host, port, own = sys.argv[1:]
one = socket.create_connection((host, int(port)), 3, (own, 0))
one.recv(100)
one.settimeout(0.25)
print("ready", flush=True)
sys.stdin.readline()
begin = time.perf_counter()
while True:
    last = time.perf_counter()
    one.send(b"x")
    try:
        one.recv(100)
    except TimeoutError:
        break
    time.sleep(0.002)
print(last - begin, flush=True)
"""


def connections(lab: labs.Lab) -> float:
    """Return the median of the milliseconds of a connection to the published port."""
    done = subprocess.run(
        lab.client.argv(
            sys.executable, "-c", CONNECT, labs.HOST[0], "25", labs.OTHER[0], str(CONNECTIONS)
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    return statistics.median(json.loads(done.stdout))


def latency(lab: labs.Lab, server: labs.Server) -> float:
    """Return the seconds from the last failure to the first packet that is dropped."""
    with subprocess.Popen(
        lab.client.argv(sys.executable, "-c", LATENCY, labs.HOST[0], "25", labs.CLIENT[0]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        child.stdout.readline()
        server.fail(labs.CLIENT[0])
        child.stdin.write("go\n")
        child.stdin.flush()
        seconds = float(child.stdout.readline())
    server.unban(labs.CLIENT[0])
    server.settle()
    return seconds


def timed(work) -> float:
    """Return the seconds that a function takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def remember(server: labs.Server, banned: list[str]) -> None:
    """Write bans into the database of a server that is stopped, instead of making them one by one."""
    now = int(time.time())
    with sqlite3.connect(server.folder / "bans.sqlite3") as database:
        for table in ("bans", "bips"):
            database.executemany(
                f"INSERT INTO {table} (ip, jail, timeofban, bantime, bancount, data)"
                " VALUES (?, 'mail', ?, 36000, 1, '{\"matches\": [], \"failures\": 3}')",
                [(one, now) for one in banned],
            )
    database.close()


def addresses(count: int) -> list[str]:
    """Return addresses, one in ten of them of IPv6."""
    first, first6 = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("2001:db8:9::1")
    return [str((first6 if number % 10 == 0 else first) + number) for number in range(count)]


def measure(lab: labs.Lab, kind: str, count: int, folder: Path) -> dict[str, float]:
    """Return the figures of an action."""
    server = labs.Server(lab.host, versions.installation(versions.VERSIONS[1]), folder)
    server.jails(mail=kind)
    server.start()
    found = {"latency": statistics.median(latency(lab, server) for _round in range(ROUNDS))}
    found["none"] = connections(lab)
    many = addresses(count)

    def all_there() -> bool:
        if len(server.banned()) < count:
            # Looking more often would slow it down.
            time.sleep(0.5)
            return False
        return server.program("status") == (0, "mail ok\n")

    def start() -> None:
        server.start()
        labs.until(all_there, 1800)

    server.stop()
    remember(server, many)
    found["restart"] = timed(start)
    found["connect"] = connections(lab)
    # In turn, as an address is banned once.
    rounds = [
        [timed(lambda name=name: command(server, name)) for name in ("actionban", "actionunban")]
        for _round in range(ROUNDS)
    ]
    found["ban"], found["unban"] = map(statistics.median, zip(*rounds, strict=True))
    found["look"] = statistics.median(
        timed(lambda: server.program("check")) for _round in range(ROUNDS)
    )
    lab.host.run(
        "nft delete table inet f2b-mailhost 2>/dev/null || for p in iptables ip6tables; do"
        " $p -F DOCKER-USER; $p -F INPUT; $p -F f2b-mail; done; ipset flush"
    )
    found["mend"] = timed(lambda: server.program("check"))
    assert all_there()
    found["stop"] = timed(server.stop)
    return found


def command(server: labs.Server, name: str) -> None:
    """Run what the server runs for one address."""
    text = server.ask("get", "mail", "action", server.ask("get", "mail", "actions")[0], name)
    text = text.replace("<family>", "inet4").replace("<ip>", "192.0.2.77")
    server.space.run(text)


def main() -> None:
    """Measure and print."""
    trouble = firewall_lab.missing()
    if trouble:
        sys.exit(f"cannot measure: {trouble}")
    count = int(sys.argv[1]) if sys.argv[1:] else 10_000
    print(f"{count} bans          " + "".join(f"{kind[9:]:>10}" for kind in labs.KINDS))
    found = {}
    for kind in labs.KINDS:
        # One for each: a lab lasts a quarter of an hour.
        lab = labs.Lab()
        try:
            with tempfile.TemporaryDirectory() as name:
                found[kind] = measure(lab, kind, count, Path(name))
        finally:
            lab.close()
    rows = [
        ("failure to drop", "latency", 1, "s"),
        ("connection, no bans", "none", 1, "ms"),
        ("connection, all banned", "connect", 1, "ms"),
        ("one more ban", "ban", 1000, "ms"),
        ("one unban", "unban", 1000, "ms"),
        ("look, nothing lost", "look", 1000, "ms"),
        ("all lost, made again", "mend", 1, "s"),
        ("stop", "stop", 1, "s"),
        ("start, all bans back", "restart", 1, "s"),
    ]
    for title, key, factor, unit in rows:
        values = "".join(f"{found[kind][key] * factor:10.2f}" for kind in labs.KINDS)
        print(f"{title:22}{values} {unit}")
    ratios = "".join(f"{found[kind]['connect'] / found[kind]['none']:9.2f}x" for kind in labs.KINDS)
    print(f"{'connection, ratio':22}{ratios}")


if __name__ == "__main__":
    main()
