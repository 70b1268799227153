# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, network
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))
MAILU = need.from_stack(stack.get("mailu"))

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t017100CB\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"


def route(address, length, interface):
    """A line of /proc/net/route: words in the machine's byte order."""
    octets = bytes(int(part) for part in address.split("."))
    mask = ((1 << 32) - (1 << (32 - length))).to_bytes(4, "big")
    words = [raw[::-1].hex().upper() for raw in (octets, mask)]
    return "{0}\t{1}\t00000000\t0001\t0\t0\t0\t{2}\t0\t0\t0\n".format(interface, *words)


def trie(*addresses):
    return "".join("     |-- {0}\n        /32 host LOCAL\n".format(item) for item in addresses)


def source(address):
    return {"ip -4 route get 192.0.2.1": {"stdout": "192.0.2.1 dev eth0 src {0}".format(address)}}


@pytest.mark.parametrize(
    ("addresses", "used", "wanted", "status", "words"),
    [
        (["198.51.100.7"], "198.51.100.7", "198.51.100.7", "ok", "leaves from 198.51.100.7"),
        (["9.9.9.1", "127.0.0.1"], "9.9.9.1", "", "ok", "mail leaves from 9.9.9.1"),
        (["9.9.9.1", "9.9.9.2"], "9.9.9.1", "", "warn", "9.9.9.1 is the source, one of 2 public"),
        (["9.9.9.1", "9.9.9.2"], "9.9.9.1", "9.9.9.1", "ok", "mail leaves from 9.9.9.1"),
        (["9.9.9.1", "9.9.9.2"], "9.9.9.1", "9.9.9.2", "warn", "mail leaves from 9.9.9.1"),
        (["10.0.0.5"], "10.0.0.5", "", "skip", "10.0.0.5, a private address"),
        (["10.0.0.5"], "10.0.0.5", "9.9.9.1", "ok", "from 10.0.0.5, seen as 9.9.9.1"),
    ],
)
def test_source_address(addresses, used, wanted, status, words, make_host):
    files = {"/proc/net/route": HEAD + DEFAULT, "/proc/net/fib_trie": trie(*addresses)}
    host = make_host(files, {"commands": source(used)})
    (finding,) = network.source_address(host, MAILCOW._replace(public_ipv4=wanted))
    assert (finding.status, words in finding.observed) == (status, True), finding
    if status == "warn":
        assert "SNAT_TO_SOURCE" in finding.fix or "preflight_public_ipv4" in finding.fix


def test_no_way_out(make_host):
    (finding,) = network.source_address(make_host({"/proc/net/route": HEAD}), MAILCOW)
    assert (finding.status, finding.observed) == ("fail", "no default route")


def test_public_ipv6_without_a_route(make_host):
    host = make_host({"/proc/net/route": HEAD + DEFAULT}, {"commands": source("9.9.9.1")})
    found = network.source_address(host, MAILCOW._replace(public_ipv6="2001:db8::1"))
    assert [item.status for item in found] == ["ok", "fail"]


def test_source_address_that_nobody_tells(make_host):
    (finding,) = network.source_address(make_host({"/proc/net/route": HEAD + DEFAULT}), MAILCOW)
    assert finding.status == "unknown"


def test_local_addresses(make_host):
    v6 = (
        "26064700000000000000000000000001 02 40 00 80     eth0\n"
        "26064700000000000000000000000002 02 40 00 01     eth0\n"  # temporary
        "fe800000000000000000000000000001 02 40 20 80     eth0\n"
    )
    files = {"/proc/net/fib_trie": trie("9.9.9.1", "172.17.0.1", "9.9.9.1")}
    host = make_host({"/proc/net/if_inet6": v6, **files})
    assert network.local_addresses(host) == {"ipv4": ["9.9.9.1"], "ipv6": ["2606:4700::1"]}


RUNNING = {"/run/docker.pid": "100\n", "/proc/100/comm": "dockerd\n"}


def mtu_host(make_host, size, present=None):
    recorded = {}
    if present is not None:
        options = {"com.docker.network.driver.mtu": present} if present else {}
        name = MAILCOW.networks[0].name
        recorded["docker"] = {"/networks": [{"Name": name, "Id": "ab", "Options": options}]}
    files = {"/proc/net/route": HEAD + DEFAULT, "/sys/class/net/eth0/mtu": size}
    return make_host(dict(files, **(RUNNING if recorded else {})), recorded)


@pytest.mark.parametrize(
    ("size", "present", "planned", "status"),
    [
        ("1500", None, 0, "ok"),
        ("9000", None, 0, "ok"),
        ("1450", None, 0, "warn"),
        ("1450", None, 1450, "ok"),
        ("1450", None, 1492, "warn"),
        ("1450", "1450", 0, "ok"),
        ("1450", "", 1450, "fail"),
        ("1450", "1500", 0, "fail"),
        ("none", None, 0, "unknown"),
    ],
)
def test_mtu(size, present, planned, status, make_host):
    host = mtu_host(make_host, size, present)
    (finding,) = network.mtu(host, MAILCOW._replace(mtu=planned))
    assert finding.status == status
    if status == "fail":
        assert "network mailcowdockerized_mailcow-network has 1500" in finding.observed


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({}, "skip", "no /etc/network/interfaces"),
        ({"/etc/network/interfaces": "auto lo\niface lo inet loopback\n"}, "ok", "no alias"),
        (
            {
                "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
                "/etc/network/interfaces.d/50-cloud-init.cfg": "auto eth0:0\n"
                "iface eth0:0 inet6 static\n    address 2001:db8::1/64\n",
            },
            "fail",
            "IPv6 on eth0:0 in /etc/network/interfaces.d/50-cloud-init.cfg",
        ),
        # Left behind by an upgrade: nobody reads it, and the module that repairs leaves it alone.
        (
            {
                "/etc/netplan/50-cloud-init.yaml": "network: {version: 2}\n",
                "/etc/network/interfaces.d/50-cloud-init.cfg": "iface eth0:0 inet6 static\n",
            },
            "skip",
            "netplan configures the network",
        ),
        # An alias with IPv4 is an old and lawful way to a second address.
        ({"/etc/network/interfaces": "auto eth0:1\niface eth0:1 inet static\n"}, "ok", "no alias"),
        ({"/etc/network/interfaces": "#iface eth0:0 inet6 static\n"}, "ok", "no alias"),
    ],
)
def test_cloud_init_ipv6(files, status, words, make_host):
    (finding,) = network.cloud_init_ipv6(make_host(files), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


@pytest.mark.parametrize(
    ("routes", "docker", "found"),
    [
        ([("203.0.113.0", 24, "eth0")], [], []),
        ([("172.22.1.0", 24, "br-mailcow")], [], []),
        # Another bridge of exactly this network: the stack's own, of an engine that is down.
        ([("172.22.1.0", 24, "br-0123456789ab")], [], []),
        ([("172.22.1.0", 24, "wg0")], [], ["172.22.1.0/24 overlaps 172.22.1.0/24 (wg0)"]),
        ([("172.22.1.128", 25, "eth1")], [], ["172.22.1.0/24 overlaps 172.22.1.128/25 (eth1)"]),
        (
            [("172.22.0.0", 16, "br-cafecafecafe")],
            [("other_default", "cafecafecafe00", "172.22.0.0/16")],
            ["172.22.1.0/24 overlaps 172.22.0.0/16 (Docker network other_default)"],
        ),
        (
            [("172.22.1.0", 24, "br-mailcow")],
            [("mailcowdockerized_mailcow-network", "cafecafecafe00", "172.22.1.0/24")],
            [],
        ),
    ],
)
def test_subnets(routes, docker, found, make_host):
    networks = [
        {"Name": name, "Id": identity, "IPAM": {"Config": [{"Subnet": subnet}]}}
        for name, identity, subnet in docker
    ]
    files = {"/proc/net/route": HEAD + DEFAULT + "".join(route(*item) for item in routes)}
    if networks:
        files.update(RUNNING)
    host = make_host(files, {"docker": {"/networks": networks}} if networks else {})
    findings = network.subnets(host, MAILCOW)
    assert [item.observed for item in findings] == (found or ["no overlap"])
    assert {item.status for item in findings} == ({"fail"} if found else {"ok"})


def test_a_wider_route_of_others_is_hidden_in_part_only(make_host):
    files = {"/proc/net/route": HEAD + DEFAULT + route("172.16.0.0", 12, "wg0")}
    (finding,) = network.subnets(make_host(files), MAILCOW)
    assert finding.status == "warn"
    assert finding.observed.startswith("172.22.1.0/24 lies inside 172.16.0.0/12 (wg0)")
    assert "IPV4_NETWORK" in finding.fix and "reach anybody there" in finding.fix
    # An engine that does not answer: the bridge is one of its own networks all the same.
    files = {"/proc/net/route": HEAD + DEFAULT + route("172.22.0.0", 16, "br-cafecafecafe")}
    (finding,) = network.subnets(make_host(files), MAILCOW)
    assert finding.status == "fail"


def test_ipv6_subnets(make_host):
    line = (
        "fd4d61696c6300000000000000000000 30 {0} 00 {0} 00000100 00000001 00000000 00000001 wg0\n"
    ).format("0" * 32)
    host = make_host({"/proc/net/route": HEAD + DEFAULT, "/proc/net/ipv6_route": line})
    (finding,) = network.subnets(host, MAILCOW)
    assert "lies inside fd4d:6169:6c63::/48 (wg0)" in finding.observed
    (finding,) = network.subnets(host, MAILCOW._replace(ipv6=False))
    assert finding.status == "ok"


def test_subnets_that_cannot_be_seen(make_host):
    with pytest.raises(HostError):
        network.subnets(make_host(), MAILCOW)


FORWARD = "/proc/sys/net/ipv4/ip_forward"
ENGINE = {"docker": {"/networks": [{"Name": "bridge"}]}}


@pytest.mark.parametrize(
    ("files", "recorded", "status", "words"),
    [
        ({FORWARD: "1\n"}, ENGINE, "ok", "= 1"),
        ({FORWARD: "0\n"}, None, "ok", "Docker sets 1"),
        ({FORWARD: "0\n"}, ENGINE, "fail", "= 0 while Docker runs"),
        (
            {FORWARD: "1\n", "/etc/sysctl.d/99-hardening.conf": "net.ipv4.ip_forward = 0\n"},
            None,
            "warn",
            "/etc/sysctl.d/99-hardening.conf sets 0",
        ),
        # A later file counts; one of the same name in /etc hides the other.
        (
            {
                FORWARD: "1\n",
                "/etc/sysctl.d/10-a.conf": "net.ipv4.ip_forward=0",
                "/etc/sysctl.d/60-b.conf": "net/ipv4/ip_forward=1",
            },
            None,
            "ok",
            "= 1",
        ),
        (
            {
                FORWARD: "1\n",
                "/usr/lib/sysctl.d/10-a.conf": "net.ipv4.ip_forward=0",
                "/etc/sysctl.d/10-a.conf": "#net.ipv4.ip_forward=0",
            },
            None,
            "ok",
            "= 1",
        ),
        ({}, None, "unknown", "cannot read"),
    ],
)
def test_ip_forward(files, recorded, status, words, make_host):
    files = {**files, **(RUNNING if recorded else {})}
    (finding,) = network.ip_forward(make_host(files, recorded or {}), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


def test_mailu_has_a_network_of_its_own(make_host):
    files = {"/proc/net/route": HEAD + DEFAULT + route("192.168.203.0", 24, "eth1")}
    (finding,) = network.subnets(make_host(files), MAILU)
    assert "SUBNET" in finding.fix


WITH_ENGINE = pytest.mark.parametrize("look", [network.mtu, network.subnets, network.ip_forward])
QUIET = {
    "/proc/net/route": HEAD + DEFAULT,
    "/sys/class/net/eth0/mtu": "1500\n",
    FORWARD: "0\n",
}


@WITH_ENGINE
def test_a_stopped_engine_is_not_woken(look, make_host):
    # Its socket would answer: systemd starts it for whoever connects.
    other = {"Name": "other", "Id": "ab", "IPAM": {"Config": [{"Subnet": "172.22.0.0/16"}]}}
    host = make_host(QUIET, {"docker": {"/networks": [other]}})
    assert [finding.status for finding in look(host, MAILCOW)] == ["ok"]


@WITH_ENGINE
def test_an_engine_that_is_silent_is_no_answer(look, make_host):
    with pytest.raises(HostError, match="does not answer"):
        look(make_host({**QUIET, **RUNNING}), MAILCOW)
