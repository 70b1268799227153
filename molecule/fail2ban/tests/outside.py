# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients that guess passwords, and others, seen from where they are: at addresses of mail3.

As a program: fails unless everybody can guess on and on.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import data
from sandbox.hosts import find, ssh
from scenario import on, play

PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
HOSTS = ("mail1", "mail4", "mail5")
CLIENT = "mail3"
FAMILIES = (4, 6)
CHECK_SECONDS = 5

# How passwords are guessed, and how many failures are forgiven. The address it comes from ends in
# FIRST and its place in the list.
FIRST = 120
KINDS = {"smtp": 5, "imap": 5, "submission": 5, "web": 5, "api": 3, "ssh": 3}
# What other addresses are for.
BYSTANDER, IGNORED, LATER, EARLIER = 13, 127, 130, 150
PORTS = (22, 25, 443, 993)

# Runs on mail3. Reads what is to be done, and does all of it at once.
PROGRAM = r"""
import base64, json, socket, ssl, subprocess, sys, threading, time

ANYBODY = ssl._create_unverified_context()
WAIT = 2.5

def link(source, target, port, tls):
    found = socket.create_connection((target, port), timeout=WAIT, source_address=(source, 0))
    # A wrong password is answered late.
    found.settimeout(8)
    if tls:
        found = ANYBODY.wrap_socket(found)
    return found

def line(stream):
    text = stream.readline()
    if not text:
        raise OSError("closed")
    return text.decode("latin-1").strip()

def talk(connection, *words):
    stream = connection.makefile("rwb")
    answer = line(stream)
    for word in words:
        stream.write(word.encode() + b"\r\n")
        stream.flush()
        answer = line(stream)
        while answer[3:4] == "-" or answer.startswith("* "):
            answer = line(stream)
    return answer

def plain(name, password):
    return base64.b64encode("\0{}\0{}".format(name, password).encode()).decode()

def http(connection, head, body=""):
    text = "{}\r\nHost: mail\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}"
    connection.sendall(text.format(head, len(body), body).encode())
    answer = connection.recv(4000).decode("latin-1")
    if not answer:
        raise OSError("closed")
    return answer.splitlines()[0]

FORM = "Content-Type: application/x-www-form-urlencoded"

def once(kind, source, target, name):
    if kind == "ssh":
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
        # Until keys are exchanged: on a slow machine that takes more than a connection.
        options += ("ConnectTimeout=8", "ControlPath=none")
        try:
            done = subprocess.run(
                ["ssh", "-b", source, *("-o" + option for option in options), name + "@" + target],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20,
            )
        except subprocess.TimeoutExpired:
            # Cut off in the middle.
            raise TimeoutError from None
        if "timed out" in done.stderr:
            raise TimeoutError
        return done.stderr.strip().splitlines()[-1]
    port = {"smtp": 25, "imap": 993, "login": 993, "submission": 465}.get(kind, 443)
    with link(source, target, port, port != 25) as connection:
        if kind == "login":
            return talk(connection, "a LOGIN user@example.test right")
        if kind == "imap":
            return talk(connection, 'a LOGIN "{}" wrong'.format(name))
        if kind in ("smtp", "submission"):
            return talk(connection, "EHLO client", "AUTH PLAIN " + plain(name, "wrong"))
        if kind == "web":
            return http(connection, "POST /sso/login HTTP/1.1\r\n" + FORM, "email=" + name + "&pw=x")
        return http(connection, "GET /api/v1/user HTTP/1.1\r\nAuthorization: Bearer wrong")

def again(task):
    # Over and over, until there is no answer.
    task.update(answers=0, cut=False, said="", held=None)
    begin = time.monotonic()
    held, silent = None, 0
    if task["kind"] == "imap":
        try:
            held = link(task["source"], task["target"], 993, True)
            held.settimeout(2)
            held.recv(1000)
        except OSError:
            held = None
    while task["answers"] < task["times"]:
        try:
            task["said"] = once(task["kind"], task["source"], task["target"], task["name"])
            task["answers"] += 1
            silent = 0
        except TimeoutError:
            # A machine that has much to do may be slow once.
            silent += 1
            if silent == 2:
                task["cut"] = True
                break
        except OSError as error:
            task["said"] = repr(error)
            task["answers"] += 1
        time.sleep(task["pause"])
    task["seconds"] = round(time.monotonic() - begin, 1)
    if held is not None:
        try:
            held.sendall(b"a NOOP\r\n")
            task["held"] = bool(held.recv(1000))
        except OSError:
            task["held"] = False

def reach(task):
    try:
        with socket.create_connection(
            (task["target"], task["port"]), timeout=1.5, source_address=(task["source"], 0)
        ):
            task["open"] = True
    except OSError:
        task["open"] = False

def watch(task, done):
    task["open"] = False
    while not done.is_set():
        try:
            with socket.create_connection(
                (task["target"], task["port"]), timeout=0.4, source_address=(task["source"], 0)
            ):
                task["open"] = True
        except OSError:
            time.sleep(0.02)

what, tasks = sys.argv[1], json.loads(sys.argv[2])
done = threading.Event()
work = {
    "again": again,
    "reach": reach,
    "watch": lambda task: watch(task, done),
}[what]
threads = [threading.Thread(target=work, args=(task,)) for task in tasks]
for thread in threads:
    thread.start()
if what == "watch":
    sys.stdin.read()
    done.set()
for thread in threads:
    thread.join()
print(json.dumps(tasks))
"""


def address(number, family):
    """An address of the client's."""
    prefix = f"{data.IPV4_PREFIX}." if family == 4 else f"{data.IPV6_PREFIX}:"
    return f"{prefix}{number}"


def number_of(kind):
    """What the address ends in that passwords are guessed from in this way."""
    return FIRST + list(KINDS).index(kind)


def task(host, number, family, **more):
    """Something that the client does from one of its addresses."""
    there = find(host)
    return {
        "host": host,
        "family": family,
        "number": number,
        "source": address(number, family),
        "target": there.ipv4 if family == 4 else there.ipv6,
        **more,
    }


def _command(what, tasks):
    program = "cat >/tmp/outside.py <<'PROGRAM'\n" + PROGRAM + "\nPROGRAM\n"
    return program + f"exec python3 /tmp/outside.py {what} {shlex.quote(json.dumps(tasks))}"


def client(what, tasks):
    """Have the client do something; return the tasks with what came out."""
    return json.loads(on(CLIENT, _command(what, tasks)))


def guesses(kind, number, times, hosts=HOSTS, families=FAMILIES, pause=0.5, name="ghost"):
    """Tasks that guess passwords, or log in with the right one (kind "login")."""
    name = name if kind == "ssh" or "@" in name else f"{name}@example.test"
    return [
        task(host, number, family, kind=kind, times=times, pause=pause, name=name)
        for host in hosts
        for family in families
    ]


def is_open(number, hosts=HOSTS, families=FAMILIES, ports=PORTS):
    """The places that are open to an address, as "HOST PORT/FAMILY"."""
    tasks = [
        task(host, number, family, port=port)
        for host in hosts
        for family in families
        for port in ports
    ]
    return {
        f"{found['host']} {found['port']}/{found['family']}"
        for found in client("reach", tasks)
        if found["open"]
    }


def places(hosts=HOSTS, families=FAMILIES, ports=PORTS):
    """All such places."""
    return {f"{host} {port}/{family}" for host in hosts for family in families for port in ports}


def settles(expected, number, seconds=60, **where):
    """Wait until exactly these places are open to an address; return what is, and the seconds."""
    begin = time.monotonic()
    while True:
        found = is_open(number, **where)
        if found == expected or time.monotonic() - begin > seconds:
            return found, time.monotonic() - begin
        time.sleep(0.2)


def closed_to(number, seconds=10, **where):
    """The places that are closed to an address, and stay so for some seconds: a machine that has much
    to do may be slow once.
    """
    wanted = places(**where)
    return wanted - settles(wanted, number, seconds, **where)[0]


class Watch:
    """Has an address connect all the time while something happens.

    Attributes:
        let_in: after the end, the places that were open for a moment at least.
    """

    def __init__(self, number, hosts=HOSTS, families=FAMILIES, ports=PORTS):
        self.tasks = [
            task(host, number, family, port=port)
            for host in hosts
            for family in families
            for port in ports
        ]
        self.let_in = None

    def __enter__(self):
        self.process = subprocess.Popen(
            ssh(find(CLIENT), _command("watch", self.tasks)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.7)
        return self

    def __exit__(self, *_error):
        # What has happened may show a little later.
        time.sleep(1)
        found = json.loads(self.process.communicate(timeout=60)[0])
        self.let_in = {
            f"{each['host']} {each['port']}/{each['family']}" for each in found if each["open"]
        }


def everywhere(command, hosts=HOSTS):
    """Run a command on all hosts at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda host: on(host, command), hosts))


def inside(host, service, command):
    """Run a command in a container of Mailu's."""
    return on(host, f"cd /mailu && docker compose -p mailu exec -T {service} {command}")


def run(*arguments, **variables):
    """Run the role on all hosts."""
    return play(PLAYBOOK, *arguments, extra=variables)


def run_on(host, *arguments, **variables):
    """Run the role on one host."""
    return play(PLAYBOOK, "--limit", host, *arguments, extra=variables)


def main():
    """Guess from addresses that nothing else uses, more often than any jail forgives."""
    tasks = []
    for kind in KINDS:
        number = EARLIER + list(KINDS).index(kind)
        # As often as would be enough for an end.
        slow = kind in ("imap", "submission")
        tasks += guesses(kind, number, 12 if slow else 16, pause=0)
    wrong = [
        f"{each['kind']} {each['source']} -> {each['target']}: {each['said']}"
        for each in client("again", tasks)
        if each["cut"] or "Error" in each["said"]
    ]
    for each in client("again", guesses("login", BYSTANDER, 1)):
        if "OK" not in each["said"]:
            wrong.append(f"{each['target']}: {each['said']}")
    for host in HOSTS:
        for family in FAMILIES:
            if closed_to(BYSTANDER, hosts=[host], families=[family]):
                wrong.append(f"{host} is not open over IPv{family}")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
