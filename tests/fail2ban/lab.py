# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real fail2ban on the host of the firewall's lab: clients, a host, a container, real packets."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import firewall_lab
import versions
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_guard

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = ROOT / "roles" / "fail2ban" / "files" / "action.d"
KINDS = ("mailhost-nftables", "mailhost-iptables", "mailhost-ipset")

CLIENT, OTHER, HOST = firewall_lab.CLIENT, firewall_lab.OTHER, firewall_lab.HOST
CONTAINER, BRIDGE = firewall_lab.CONTAINER, firewall_lab.BRIDGE

#: Published ports, and the host's own.
PORTS = frozenset({"tcp:25", "tcp:443", "udp:53", "tcp:22", "udp:4500"})
ALL, NOTHING = (PORTS, PORTS), (set(), set())

_END = b"<F2B_END_COMMAND>"

FILTER = """\
[Definition]
failregex = ^\\s*failed login from <HOST>$
datepattern = ^{EPOCH}
"""

# Says lines to a server, and what came back: the name of the error for nothing within half a second.
SESSION = """
import socket, sys
host, port, source = sys.argv[1:]
one = socket.create_connection((host, int(port)), 2, (source, 0))
one.settimeout(0.5)
one.recv(100)
for line in sys.stdin:
    try:
        one.sendall(line.encode())
        print(one.recv(100).decode().strip(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
        if not isinstance(error, TimeoutError): break
"""


def until(look, seconds=30):
    """Wait until a function returns something true, and return that, or what it returned last."""
    limit = time.monotonic() + seconds
    while True:
        found = look()
        if found or time.monotonic() > limit:
            return found
        time.sleep(0.02)


class _Reader(pickle.Unpickler):
    """Reads answers: an error of fail2ban's is read as a tuple of its words."""

    def find_class(self, module, name):
        return super().find_class(module, name) if module == "builtins" else lambda *a: (name, *a)


class Server:
    """A fail2ban-server in a namespace."""

    process = None

    def __init__(self, space: firewall_lab.Space, installed: versions.Installation, folder: Path):
        """Make its configuration, without jails.

        space: the namespace.
        installed: which fail2ban.
        folder: an empty folder for all that it writes.
        """
        self.space, self.installed, self.folder = space, installed, folder
        self.config = installed.copy_config(folder / "etc")
        self.socket, self.log = folder / "socket", folder / "log"
        for path in ACTIONS.glob("*.conf"):
            shutil.copy(path, self.config / "action.d")
        (self.config / "filter.d" / "lab.conf").write_text(FILTER)
        (self.config / "fail2ban.local").write_text(
            "[Definition]\n"
            f"loglevel = INFO\nlogtarget = {self.log}\nsocket = {self.socket}\n"
            f"pidfile = {folder / 'pid'}\ndbfile = {folder / 'bans.sqlite3'}\n"
        )
        self.search = ""

    def jails(self, **actions: str) -> None:
        """Write jails: a name and its action; ours know the lab's lock and the jail's name."""
        text = ""
        for name, action in actions.items():
            if action.startswith("mailhost-"):
                kind, _bracket, rest = action.partition("[")
                action = f"{kind}[name={name}, lock={self.folder}/lock{rest and ', ' + rest[:-1]}]"
            watched = self.folder / f"{name}.log"
            watched.touch()
            text += (
                f"[{name}]\nenabled = true\nfilter = lab\nbackend = polling\nlogpath = {watched}\n"
                f"maxretry = 3\nfindtime = 600\nbantime = 3600\nignoreip =\naction = {action}\n"
            )
        (self.config / "jail.d" / "lab.conf").write_text(text)

    def environment(self):
        """Return the environment of the server, and of what is called beside it."""
        made = self.installed.environment()
        return made | {"PATH": self.search + made["PATH"] + ":/usr/sbin:/sbin"}

    def start(self):
        """Start it; its jails are up when this returns."""
        words = self.installed.command(
            "fail2ban-server", "-xf", "-c", self.config, "-s", self.socket, "start"
        )
        self.process = subprocess.Popen(
            self.space.argv(*words),
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wanted = len(re.findall("enabled", (self.config / "jail.d" / "lab.conf").read_text()))
        assert until(lambda: self.ready() == wanted), self.said()
        # A jail is listed before its rules are there.
        until(lambda: self.program("status")[0] == 0)
        return self

    def ready(self):
        """Return how many jails run."""
        try:
            return dict(self.ask("status"))["Number of jail"]
        except (OSError, EOFError):
            assert self.process.poll() is None, self.said()
            return None

    def ask(self, *words):
        """Ask the server something; an error is raised."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(60)
            link.connect(str(self.socket))
            link.sendall(pickle.dumps(list(words)) + _END)
            answer = b""
            while not answer.endswith(_END):
                got = link.recv(65536)
                if not got:
                    raise EOFError("no answer")
                answer += got
        code, value = _Reader(io.BytesIO(answer)).load()
        assert code == 0, (words, value)
        return value

    def ban(self, *addresses, jail="mail"):
        """Ban addresses, and wait for it."""
        for address in addresses:
            self.ask("set", jail, "banip", address)
        assert until(lambda: set(addresses) <= self.banned(jail)), self.said()
        self.settle()

    def unban(self, *addresses, jail="mail"):
        """Take bans away."""
        for address in addresses:
            self.ask("set", jail, "unbanip", address)

    def banned(self, jail="mail"):
        """Return the addresses that it believes to have banned."""
        return set(dict(dict(self.ask("status", jail))["Actions"])["Banned IP list"])

    def settle(self):
        """Wait until nothing is on its way: an address is listed before its command runs."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        quiet = 0
        limit = time.monotonic() + 30
        while quiet < 5 and time.monotonic() < limit:
            quiet = 0 if any(path.read_text() for path in tasks.glob("*/children")) else quiet + 1
            time.sleep(0.02)
        # For actions of ours, the program knows.
        until(lambda: self.program("status")[0] == 0, 5)

    def fail(self, address, times=3, jail="mail"):
        """Let somebody fail, as the jail's log shows it."""
        with (self.folder / f"{jail}.log").open("a") as log:
            log.write(f"{time.time():.0f} failed login from {address}\n" * times)

    def reload(self):
        """Have it read its configuration again."""
        words = self.installed.command(
            "fail2ban-client", "-c", self.config, "-s", self.socket, "reload"
        )
        subprocess.run(words, env=self.environment(), check=True, stdout=subprocess.DEVNULL)
        self.settle()

    def kill(self):
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def stop(self):
        """Stop it as systemd does."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def said(self):
        """Return its log."""
        return self.log.read_text() if self.log.exists() else "it has written no log"

    def program(self, verb):
        """Run mailhost-fail2ban beside the server; return code and words."""
        path = self.folder / "mailhost-fail2ban"
        path.write_text(fail2ban_guard.texts(15)[fail2ban_guard.PROGRAM][0])
        done = subprocess.run(
            self.space.argv(str(self.installed.python), str(path), verb, str(self.socket)),
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout


class Lab(firewall_lab.Lab):
    """The firewall's lab, in which the engine may come later."""

    def __init__(self, variant="nft", engine=True):
        self.engine = engine
        super().__init__(variant)
        # The host's own port in UDP.
        self.host.serve("udp:4500")

    def engine_rules(self):
        """Load what the engine makes, unless it comes later."""
        if self.engine:
            super().engine_rules()

    def start_engine(self):
        """Let the engine come now; it adopts the DOCKER-USER that is there."""
        self.engine = True
        kept = {
            program: self.host.run(f"{program}-save | grep -e '-A DOCKER-USER'", check=False)
            for program in ("iptables", "ip6tables")
        }
        # This declares the chain, and so empties it.
        self.engine_rules()
        for program, lines in kept.items():
            self.host.run(f"{program}-restore --noflush", data=f"*filter\n{lines}COMMIT\n")

    def rules(self):
        """Return all rules, of both families and nft, without counters and handles."""
        text = self.host.run(
            f"iptables-{self.variant}-save; ip6tables-{self.variant}-save;"
            "nft list ruleset inet 2>/dev/null; ipset save"
        )
        return re.sub(r"^#.*\n|\[\d+:\d+\]|counter packets \d+ bytes \d+", "", text, flags=re.M)

    def reach(self, source, silent=True):
        """Return which of PORTS answer (kind:port), by family, to a pair of addresses.

        source: the client's addresses of both families.
        silent: the others are to say nothing at all.
        """
        asked = [
            (kind, HOST[family], int(port), source[family])
            for family in (0, 1)
            for kind, port in (place.split(":") for place in sorted(PORTS))
        ]
        found = (set(), set())
        for (kind, address, port, own), answer in zip(asked, self.client.ask(*asked), strict=True):
            if answer == own:
                found[":" in address].add(f"{kind}:{port}")
            else:
                assert answer == "timeout" or not silent, (address, port, answer)
        return found

    def session(self, port, family, source=CLIENT):
        """Open a connection to the host; it is ended with the lab."""
        child = subprocess.Popen(
            self.client.argv(
                sys.executable, "-c", SESSION, HOST[family], str(port), source[family]
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.client.children.append(child)
        return child


def say(sessions, text):
    """Say something over all of the sessions at once; return what came back."""
    for child in sessions:
        child.stdin.write(text + "\n")
        child.stdin.flush()
    return [child.stdout.readline().strip() for child in sessions]


def without_ipv6(folder: Path) -> str:
    """Make an ip6tables that fails, as on a kernel without it; return what PATH begins with."""
    folder.mkdir()
    for name in ("ip6tables", "ip6tables-save", "ip6tables-restore"):
        path = folder / name
        path.write_text("#!/bin/sh\necho 'address family not supported' >&2\nexit 3\n")
        path.chmod(0o755)
    return f"{folder}{os.pathsep}"
