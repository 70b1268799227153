# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The virtual machine, and a client outside that has several addresses."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time

from sandbox import data
from sandbox.hosts import find, ssh
from scenario import ROOT, on

HOST = find("vm1")
CLIENT = find("mail3")
# Addresses of the client end in these.
BANNED, OTHER = 121, 122
ADDRESSES = (HOST.ipv4, HOST.ipv6)

# Connects from one address to each of the targets; prints those that answered.
PROGRAM = """
import json, socket, sys
number, targets = json.loads(sys.stdin.readline())
found = []
for address, port in targets:
    source = (PREFIX6 if ":" in address else PREFIX4) + str(number)
    try:
        socket.create_connection((address, port), timeout=5, source_address=(source, 0)).close()
        found.append([address, port])
    except OSError:
        pass
print(json.dumps(found))
"""


def reached(number: int, ports: list[int]) -> set[tuple[str, int]]:
    """The machine's addresses and ports that answer to the client's address with that end."""
    program = PROGRAM.replace("PREFIX4", repr(f"{data.IPV4_PREFIX}."))
    program = program.replace("PREFIX6", repr(f"{data.IPV6_PREFIX}:"))
    targets = [[address, port] for address in ADDRESSES for port in ports]
    done = subprocess.run(
        ssh(CLIENT, f"python3 -c {shlex.quote(program)}"),
        input=json.dumps([number, targets]) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return {(address, port) for address, port in json.loads(done.stdout)}


def everywhere(ports: list[int]) -> set[tuple[str, int]]:
    """All of the machine's addresses with each of the ports."""
    return {(address, port) for address in ADDRESSES for port in ports}


def settles(number: int, ports: list[int], wanted: set, seconds: float = 240) -> set:
    """Wait until just the wanted ports answer; return those that do."""
    end = time.monotonic() + seconds
    while True:
        found = reached(number, ports)
        if found == wanted or time.monotonic() > end:
            return found
        time.sleep(1)


def reboot() -> None:
    """Restart the machine."""
    subprocess.run(
        [sys.executable, "-m", "sandbox", "reboot", HOST.name],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.DEVNULL,
    )


def vm(command: str) -> str:
    """What a command prints on the machine, without blanks around it."""
    return on(HOST.name, command).strip()
