# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts of this scenario look like from another machine.

As a program: ``python outside.py open`` fails unless every port is open.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.hosts import find, ssh
from scenario import ROOT, on, play

PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
HOSTS = ("mail1", "mail4")
CLIENT = "mail3"

# The port, and the family; "direct" is the container's own address and port.
EVERY = (
    *("22/4", "22/6", "25/4", "25/6", "443/4", "443/6", "8080/4", "8080/6"),
    *("9999/4", "9999/6", "9100/4", "9100/6", "9101/4", "9101/6", "direct"),
)
CLOSED = ["8080/6", "9999/4", "9999/6", "9100/4", "9100/6", "direct"]
OPEN = [name for name in EVERY if name not in CLOSED]
PUBLISHED = [name for name in CLOSED if not name.startswith("9100")]

# Asks all of them at once; answers what each said first.
PROBE = """
import json, socket, sys, threading
found = {}
def ask(host, name, address, port):
    try:
        with socket.create_connection((address, port), timeout=WAIT) as link:
            link.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            text = b""
            while len(text) < 2000:
                more = link.recv(2000)
                if not more:
                    break
                text += more
                if text.startswith(b"SSH"):
                    break
        found[host][name] = text.decode("latin-1").strip().splitlines()[-1]
    except (OSError, IndexError):
        found[host][name] = None
threads = []
for host, name, address, port in TARGETS:
    found.setdefault(host, {})
    threads.append(threading.Thread(target=ask, args=(host, name, address, port)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(found))
"""

# Connects over and over; says which were let in.
WATCH = """
import socket, sys, threading, time
seen = set()
done = threading.Event()
def ask(host, name, address, port):
    while not done.is_set():
        try:
            with socket.create_connection((address, port), timeout=0.3):
                seen.add(host + " " + name)
        except OSError:
            time.sleep(0.01)
threads = [threading.Thread(target=ask, args=target) for target in TARGETS]
for thread in threads:
    thread.start()
sys.stdin.read()
done.set()
for thread in threads:
    thread.join()
print(*sorted(seen), sep=", ")
"""


def targets(hosts, names):
    """The places behind the names."""
    for host in hosts:
        for name in names:
            port, _slash, family = name.partition("/")
            if name == "direct":
                yield host, name, f"172.30.{host[-1]}.10", 8025
            else:
                there = find(host)
                yield host, name, there.ipv4 if family == "4" else there.ipv6, int(port)


def seen(hosts=HOSTS, names=EVERY, wait=1.0):
    """What each port said to the client, by host; None where it said nothing."""
    script = PROBE.replace("TARGETS", repr(list(targets(hosts, names)))).replace("WAIT", str(wait))
    done = subprocess.run(
        ssh(find(CLIENT), "python3 -"), input=script, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def is_open(hosts=HOSTS, names=EVERY):
    """The names of the ports that are open, by host."""
    return {
        host: [name for name in names if said[name] is not None]
        for host, said in seen(hosts, names).items()
    }


def settles(expected, hosts=HOSTS, names=EVERY, seconds=25):
    """Wait until exactly these ports are open; return what is open."""
    end = time.monotonic() + seconds
    wanted = dict.fromkeys(hosts, expected)
    while True:
        found = is_open(hosts, names)
        if found == wanted or time.monotonic() > end:
            return found
        time.sleep(0.3)


def everywhere(command, hosts=HOSTS):
    """Run a command on all hosts at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda host: on(host, command), hosts))


def reboot(host):
    """Reboot a host."""
    subprocess.run(
        [sys.executable, "-m", "sandbox", "reboot", host],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.DEVNULL,
    )


class Watch:
    """Has the client connect all the time while something happens.

    Attributes:
        let_in: after the end, the ports that were open for a moment at least.
    """

    def __init__(self, hosts=HOSTS, names=PUBLISHED):
        self.script = WATCH.replace("TARGETS", repr(list(targets(hosts, names))))
        self.let_in = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ssh(find(CLIENT), "python3 -c " + shlex.quote(self.script)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.7)
        return self

    def __exit__(self, *_error):
        # What has happened may show a little later.
        time.sleep(1)
        # The client goes on until its input ends.
        self.let_in = self.process.communicate(timeout=30)[0].strip()


def run(*arguments, **variables):
    """Run the role on all hosts."""
    return play(PLAYBOOK, *arguments, extra=variables)


def run_on(host, *arguments, **variables):
    """Run the role on one host."""
    return play(PLAYBOOK, "--limit", host, *arguments, extra=variables)


if __name__ == "__main__":
    present = settles(list(EVERY))
    if any(names != list(EVERY) for names in present.values()):
        sys.exit(f"open are: {present}")
