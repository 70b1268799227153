# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client, a host and a container as network namespaces, with the rules that an engine would make.

Real packets meet real rules. Needs root, the programs and a kernel that lets namespaces be made; the
namespaces are gone with the processes that hold them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_firewall import Engine

PROGRAMS = ("unshare", "nsenter", "ip", "iptables-nft", "iptables-legacy", "nft", "ipset")

CLIENT = "198.51.100.2", "2001:db8:1::2"
OTHER = "198.51.100.9", "2001:db8:1::9"
HOST = "198.51.100.1", "2001:db8:1::1"
SECOND = "198.51.100.3", "2001:db8:1::3"
CONTAINER = "172.30.0.2", "fd00:30::2"
BRIDGE = "br-0123456789ab"

# What answers with the address that it sees its client by: HOST PORT pairs come as arguments.
SERVER = """
import selectors, socket, sys
waiting = selectors.DefaultSelector()
for place in sys.argv[1:]:
    kind, _, port = place.partition(":")
    stream = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    one = socket.socket(socket.AF_INET6, stream)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind(("::", int(port)))
    if kind == "tcp":
        one.listen(64)
    waiting.register(one, selectors.EVENT_READ, kind)
print("ready", flush=True)
kept = []
while True:
    for key, _ in waiting.select():
        if key.data == "udp":
            _text, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(peer[0].replace("::ffff:", "").encode(), peer)
        elif key.data == "tcp":
            link, peer = key.fileobj.accept()
            link.sendall(peer[0].replace("::ffff:", "").encode() + b"\\n")
            waiting.register(link, selectors.EVENT_READ, "link")
        else:
            said = key.fileobj.recv(100)
            if said:
                key.fileobj.sendall(said)
            else:
                waiting.unregister(key.fileobj)
                key.fileobj.close()
"""

# Connects to every place at once; says what each answered.
PROBE = """
import json, socket, sys, threading
places = json.load(sys.stdin)
said = {}
kinds = {"udp": (socket.SOCK_DGRAM,), "tcp": (socket.SOCK_STREAM,)}
echo = {
    socket.AF_INET: (1, bytes([8, 0, 0xF7, 0xFE, 0, 1, 0, 0])),
    socket.AF_INET6: (58, bytes([128, 0, 0, 0, 0, 1, 0, 0])),
}
def ask(number, place):
    kind, host, port, source = place
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, *kinds.get(kind, (socket.SOCK_RAW, echo[family][0])))
    one.settimeout(0.5)
    try:
        if source:
            one.bind((source, 0))
        one.connect((host, port))
        if kind == "udp":
            one.send(b"x")
        if kind == "icmp":
            one.send(echo[family][1])
            one.recv(100)
            said[number] = "answered"
            return
        answer = one.recv(100).decode().strip()
    except socket.timeout:
        answer = "timeout"
    except OSError as error:
        answer = error.strerror.lower()
    said[number] = answer
threads = [threading.Thread(target=ask, args=item) for item in enumerate(places)]
for one in threads: one.start()
for one in threads: one.join()
print(json.dumps([said[number] for number in range(len(places))]))
"""

# Plans and writes in a namespace, as the module would there; one wish a line.
DRIVER = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_firewall, ruleset
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
def grant(wish):
    os.environ["PATH"] = wish["search"]
    if wish["rules"] is None:
        plan = docker_firewall.plan_removal(Host(), wish["path"])
    else:
        plan = docker_firewall.plan(
            Host(), ruleset.build(**wish["rules"]), wish["backend"], wish["path"],
            allow_lockout=True, there=docker_firewall.Engine(*wish["engine"]),
        )
    done = None if wish["check"] else docker_firewall.write(Host(), plan)
    return dict(docker_firewall.result(plan), changed=plan.changed, done=done,
                warnings=plan.warnings, certain=plan.certain)
for line in sys.stdin:
    try:
        answer = grant(json.loads(line))
    except (docker_firewall.FirewallError, ruleset.RulesetError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


def missing():
    """Say why there can be no lab here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root"
    for name in PROGRAMS:
        if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            return "needs " + name
    trial = subprocess.run(
        ["unshare", "--net", "sh", "-c", "nft add table inet trial && iptables-nft -N TRIAL"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "no network namespaces: " + trial.stderr.strip() if trial.returncode else ""


class Space:
    """A network namespace, held by a process."""

    def __init__(self):
        self.children = []
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "900"])
        mine = os.readlink("/proc/self/ns/net")
        for _try in range(200):
            if os.readlink("/proc/{0}/ns/net".format(self.holder.pid)) != mine:
                break
            time.sleep(0.01)
        # Addresses can be used at once, and not only when nobody else turns out to have them.
        self.run("ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")

    def argv(self, *command):
        """Return the arguments that run a command in the namespace."""
        return ["nsenter", "--net=/proc/{0}/ns/net".format(self.holder.pid), *command]

    def run(self, script, data=None, check=True):
        """Run a shell script, return what it printed."""
        done = subprocess.run(
            self.argv("sh", "-ec", script),
            input=data,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError("{0}: {1}".format(script, done.stderr))
        return done.stdout

    def serve(self, *places, program=sys.executable):
        """Start a server on places such as ``tcp:25``; the program is Python by any name."""
        child = subprocess.Popen(
            self.argv(str(program), "-c", SERVER, *places), stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "ready\n"
        self.children.append(child)
        return child

    def ask(self, *places):
        """Return what each place answered: (kind, address, port[, own address])."""
        full = [(*place, "")[:4] for place in places]
        done = subprocess.run(
            self.argv(sys.executable, "-c", PROBE),
            input=json.dumps(full),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def tcp(self, *places):
        """Return what TCP connections to (address, port[, own address]) answered."""
        return self.ask(*(("tcp", *place) for place in places))

    def close(self):
        """End the servers and the namespace."""
        for child in (*self.children, self.holder):
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()


class Host(Space):
    """A namespace that the module can be called in."""

    driver = None

    def firewall(self, path, rules=None, backend="iptables", check=False, engine=None, search=""):
        """Plan and write.

        Args:
            path: directory of the files.
            rules: arguments of ruleset.build; None takes all away.
            backend: as of the module.
            check: plan only.
            engine: the engine that is said to be there.
            search: where programs are looked for first.
        """
        if self.driver is None:
            self.driver = subprocess.Popen(
                self.argv(sys.executable, "-c", DRIVER, json.dumps(sys.path)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.children.append(self.driver)
        wish = {
            "rules": rules,
            "path": str(path),
            "backend": backend,
            "check": check,
            "engine": engine or Engine("28.5.2"),
            "search": (search and search + ":") + os.environ["PATH"],
        }
        self.driver.stdin.write(json.dumps(wish) + "\n")
        self.driver.stdin.flush()
        return json.loads(self.driver.stdout.readline())


class Lab:
    """Client, host and container, wired up. ``variant`` is the iptables of the engine."""

    def __init__(self, variant="nft"):
        self.variant = variant
        self.client, self.host, self.container = Space(), Host(), Space()
        self._wire(self.client, "eth0", self.host, "ext0")
        self._wire(self.container, "eth0", self.host, BRIDGE)
        self._addresses(self.client, "eth0", CLIENT, 24)
        self._addresses(self.host, "ext0", HOST, 24)
        self._addresses(self.host, "ext0", SECOND, 24, "preferred_lft 0")
        self._addresses(self.host, BRIDGE, ("172.30.0.1", "fd00:30::1"), 24)
        self._addresses(self.container, "eth0", CONTAINER, 24)
        self._addresses(self.client, "eth0", OTHER, 24, "preferred_lft 0")
        self.client.run(
            "ip route add 172.30.0.0/24 via {0}; ip -6 route add fd00:30::/64 via {1}".format(*HOST)
        )
        self.container.run(
            "ip route add default via 172.30.0.1; ip -6 route add default via fd00:30::1"
        )
        self.host.run(
            "echo 1 >/proc/sys/net/ipv4/ip_forward;echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
        )
        self.engine_rules()
        self.container.serve("tcp:25", "tcp:8443", "tcp:80", "tcp:9999", "udp:5353")
        # 2525 as the engine's helper has it; the rest are the host's own services.
        self.host.serve("tcp:22", "tcp:9100", "tcp:2525", "tcp:7654")
        self.client.serve("tcp:25", "tcp:443", "udp:53")

    def engine_rules(self):
        """Load what an engine makes for the published ports 25, 443 (of 8443), 8080 (of 80)."""
        for program, bridge_net, target in (
            ("iptables", "172.30.0.0/24", "172.30.0.2:{0}"),
            ("ip6tables", "fd00:30::/64", "[fd00:30::2]:{0}"),
        ):
            ports = ((25, 25, "tcp"), (443, 8443, "tcp"), (8080, 80, "tcp"), (53, 5353, "udp"))
            nat = "".join(
                "-A DOCKER ! -i {0} -p {1} -m {1} --dport {2} -j DNAT --to-destination {3}\n".format(
                    BRIDGE, kind, public, target.format(private)
                )
                for public, private, kind in ports
            )
            text = (
                "*nat\n:DOCKER - [0:0]\n"
                "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
                "-A POSTROUTING -s {1} ! -o {0} -j MASQUERADE\n{2}COMMIT\n"
                "*filter\n:DOCKER-USER - [0:0]\n:DOCKER-FORWARD - [0:0]\n:DOCKER - [0:0]\n"
                "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n"
                "-A DOCKER-FORWARD -o {0} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
                "-A DOCKER-FORWARD -o {0} -j DOCKER\n"
                "-A DOCKER-FORWARD -i {0} -j ACCEPT\nCOMMIT\n"
            ).format(BRIDGE, bridge_net, nat)
            self.host.run("{0}-{1}-restore --noflush".format(program, self.variant), data=text)

    def close(self):
        """End all of it."""
        for space in (self.client, self.host, self.container):
            space.close()

    def _wire(self, one, name, other, other_name):
        one.run("ip link add {0} type veth peer name peer0".format(name))
        one.run("ip link set peer0 netns {0}".format(other.holder.pid))
        other.run("ip link set peer0 name {0}".format(other_name))
        for space, link in ((one, name), (other, other_name)):
            space.run("ip link set {0} up".format(link))

    def _addresses(self, space, link, addresses, length, more=""):
        space.run(
            "ip addr add {0}/{2} dev {3}; ip -6 addr add {1}/64 dev {3} nodad {4}".format(
                *addresses, length, link, more
            )
        )
