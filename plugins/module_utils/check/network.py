# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, routes and interfaces of the host, and how the stack's own network fits in."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    engine_state,
    host_info,
    sysctl_file,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need, Network
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

# What Docker gives a network that is told nothing else.
_DOCKER_MTU = 1500

_MTU_OPTION = "com.docker.network.driver.mtu"

# An interface is an alias when its name has a colon: eth0:0.
_ALIAS = re.compile(r"^\s*iface\s+(\S+:\S+)\s+inet6\b", re.MULTILINE)


class Route(NamedTuple):
    """A network that packets are sent to, as a CIDR text, and the interface they leave by."""

    network: str
    interface: str


def default_route(host: Host) -> dict[str, Any]:
    """Return the default routes, see :func:`host_info.default_route`, asked once per host."""
    return host.once(host_info.default_route)


def sending_address(host: Host, need: Need, family: str) -> str | None:
    """Return the address that the world sees mail come from.

    Args:
        host: the machine.
        need: what the stack needs; an address named there counts.
        family: ``ipv4`` or ``ipv6``.

    Returns:
        The one that was named, else the source address of the default route if the internet can
        reach it; None when it is not known.
    """
    import ipaddress

    named = need.public_ipv4 if family == "ipv4" else need.public_ipv6
    source = (default_route(host)[family] or {}).get("source")
    if named or not source:
        return named or None
    return source if ipaddress.ip_address(source).is_global else None


def local_addresses(host: Host) -> dict[str, list[str]]:
    """Return the host's own addresses that the internet can reach, ``ipv4`` and ``ipv6``.

    Private, link-local and loopback addresses do not count, nor do temporary IPv6 addresses, which
    change by themselves (RFC 8981).
    """
    import ipaddress

    ipv4 = []
    lines = (host.read("/proc/net/fib_trie") or "").splitlines()
    for line, following in zip(lines, lines[1:]):
        if "host LOCAL" in following and "|--" in line:
            ipv4.append(line.rpartition(" ")[2])
    ipv6 = []
    for line in (host.read("/proc/net/if_inet6") or "").splitlines():
        fields = line.split()
        # Flags of include/uapi/linux/if_addr.h: 0x01 temporary, 0x20 deprecated, 0x40 tentative.
        if len(fields) == 6 and not int(fields[4], 16) & 0x61:
            ipv6.append(str(ipaddress.IPv6Address(bytes.fromhex(fields[0]))))
    return {
        "ipv4": [item for item in dict.fromkeys(ipv4) if ipaddress.ip_address(item).is_global],
        "ipv6": [item for item in dict.fromkeys(ipv6) if ipaddress.ip_address(item).is_global],
    }


def source_address(host: Host, need: Need) -> list[Finding]:
    """Tell which address mail leaves from, and whether it is the one that is meant.

    The kernel chooses the address of the default route. Where the host has several public
    addresses, or the administrator named another one, reverse DNS and SPF must name the address
    that is really used: ``warn``. Without any default route nothing can be sent: ``fail``. A
    private address behind network address translation is ``ok`` when the public one is named.
    """
    import ipaddress

    if host.read("/proc/net/route") is None:
        raise HostError("cannot read /proc/net/route")
    route = default_route(host)
    public = local_addresses(host)
    if not route["ipv4"] and not route["ipv6"]:
        return [
            answer(FAIL, "no default route", "a way into the internet", "Set the default gateway.")
        ]
    findings = []
    for family, wanted in (("ipv4", need.public_ipv4), ("ipv6", need.public_ipv6)):
        title = "IPv4" if family == "ipv4" else "IPv6"
        option = "preflight_public_" + family
        entry = route[family]
        if entry is None:
            if wanted:
                findings.append(
                    answer(
                        FAIL,
                        "no {0} default route, but {1} is named as public".format(title, wanted),
                        title + " default route",
                        "Configure {0}, or leave {1} out.".format(title, option),
                    )
                )
            continue
        source = entry["source"]
        if source is None:
            text = "the source address of {0} is not known".format(title)
            findings.append(answer(UNKNOWN, text, "an answer of ip route get", "Look by hand."))
            continue
        others = [address for address in public[family] if address != source]
        required = "mail leaves from {0}".format(wanted or "one address, which the DNS names")
        if wanted and wanted != source and (wanted in public[family] or source in public[family]):
            findings.append(
                answer(
                    WARN,
                    "{0} mail leaves from {1}".format(title, source),
                    required,
                    "Have the stack send from {0} ({1}), or name {2} in {3}.".format(
                        wanted, _source_setting(need, family), source, option
                    ),
                )
            )
        elif not wanted and others and source in public[family]:
            findings.append(
                answer(
                    WARN,
                    "{0} is the source, one of {1} public {2} addresses".format(
                        source, len(others) + 1, title
                    ),
                    required,
                    "See that reverse DNS and SPF name {0}, and say so with {1}.".format(
                        source, option
                    ),
                )
            )
        elif not wanted and not ipaddress.ip_address(source).is_global:
            findings.append(
                answer(
                    SKIP,
                    "{0} mail leaves from {1}, a private address".format(title, source),
                    "the address that the world sees, in {0}".format(option),
                    "Name the public address in {0}.".format(option),
                )
            )
        else:
            behind = "" if wanted in ("", source) else ", seen as {0}".format(wanted)
            findings.append(
                answer(OK, "{0} mail leaves from {1}{2}".format(title, source, behind), required)
            )
    return findings


def _source_setting(need: Need, family: str) -> str:
    if need.stack == "mailcow":
        return "SNAT_TO_SOURCE" if family == "ipv4" else "SNAT6_TO_SOURCE"
    return "network option com.docker.network.host_" + family


def mtu(host: Host, need: Need) -> list[Finding]:
    """Compare the MTU of the way out with that of the stack's network.

    Overlay networks, PPPoE and tunnels carry less than 1500 bytes. A container that does not know
    sends packets too large, and connections hang as soon as something large is sent. A network that
    is there and too large is a ``fail``; one that is yet to be made, and not told the right MTU, a
    ``warn``.
    """
    routes = [entry for entry in default_route(host).values() if entry and entry["mtu"]]
    if not routes:
        return [answer(UNKNOWN, "no default route with an MTU", "an MTU", "Look by hand: ip link.")]
    way = min(routes, key=lambda entry: entry["mtu"])
    observed = "{0} has {1} bytes".format(way["interface"], way["mtu"])
    required = "networks of containers with {0} bytes or less".format(way["mtu"])
    present = _docker_mtu(host, need)
    size = present or need.mtu or _DOCKER_MTU
    if size <= way["mtu"]:
        return [answer(OK, observed, required)]
    if present:
        return [
            answer(
                FAIL,
                "{0}, network {1} has {2}".format(observed, need.networks[0].name, present),
                required,
                "Give the network this MTU in docker-compose.override.yml; the {0} role does it, "
                "unless its variable {0}_mtu says otherwise.".format(need.stack),
            )
        ]
    return [
        answer(
            WARN,
            observed + ", networks of containers will have {0}".format(size),
            required,
            "Nothing by hand: the {0} role gives the stack's network this MTU.".format(need.stack),
        )
    ]


def docker_networks(host: Host) -> list[dict[str, Any]]:
    """Return the engine's networks, none where no engine runs.

    Raises:
        HostError: one runs and does not answer.
    """
    # Whoever connects to the socket of a stopped engine starts it.
    return engine_state.networks(host) if engine_state.running(host) else []


def _docker_mtu(host: Host, need: Need) -> int:
    """Return the MTU of the stack's network; 0 when it is not there."""
    for network in docker_networks(host):
        if need.networks and network.get("Name") == need.networks[0].name:
            text = str((network.get("Options") or {}).get(_MTU_OPTION, ""))
            return int(text) if text.isdigit() else _DOCKER_MTU
    return 0


def cloud_init_ipv6(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look for IPv6 that cloud-init put on an alias interface such as ``eth0:0``.

    ifupdown then configures the address on a name that no program knows, and Docker's IPv6 does not
    work: ``fail``. Systems with netplan, NetworkManager or systemd-networkd have no such file, or
    do not read one that an upgrade left behind: ``skip``.
    """
    required = "IPv6 on the interface itself"
    if host.glob("/etc/netplan/*.yaml"):
        return [answer(SKIP, "netplan configures the network", required, "Nothing to do.")]
    paths = ["/etc/network/interfaces", *host.glob("/etc/network/interfaces.d/*")]
    texts = {path: host.read(path) for path in paths}
    if not any(texts.values()):
        return [answer(SKIP, "no /etc/network/interfaces (ifupdown)", required)]
    for path, text in texts.items():
        alias = _ALIAS.search(text or "")
        if alias:
            name = alias.group(1)
            return [
                answer(
                    FAIL,
                    "IPv6 on {0} in {1}".format(name, path),
                    required + ", " + name.partition(":")[0],
                    "The system role does it, with a way back. By hand: write {0} for {1} in {2}, "
                    "restart the interface, and keep cloud-init from undoing it.".format(
                        name.partition(":")[0], name, path
                    ),
                )
            ]
    return [answer(OK, "no alias interface has IPv6", required)]


def subnets(host: Host, need: Need) -> list[Finding]:
    """Look for routes and networks of containers that overlap the stack's own network.

    Packets to such a neighbour would go to the stack, or the other way round; Docker refuses to make
    a network that overlaps another of its own: ``fail``. A wider route, such as a VPN's for all of
    172.16.0.0/12, is a ``warn``: the stack's own is narrower and wins, and only what lies behind that
    part of the wider one is out of reach.
    """
    import ipaddress

    if host.read("/proc/net/route") is None:
        raise HostError("cannot read /proc/net/route")
    own = [
        (network, ipaddress.ip_network(subnet))
        for network in need.networks
        for subnet in (network.ipv4, network.ipv6 if need.ipv6 else "")
        if subnet
    ]
    required = ", ".join(str(subnet) for _network, subnet in own) + " free"
    findings = []
    for network, subnet in own:
        for route in _neighbours(host, network):
            other = ipaddress.ip_network(route.network)
            if other.version != subnet.version or not other.overlaps(subnet):
                continue
            fix = "Choose another network for the stack, with {0}".format(
                "IPV4_NETWORK or IPV6_NETWORK" if need.stack == "mailcow" else "SUBNET or SUBNET6"
            )
            engines = route.interface.startswith(("Docker network ", "docker", "br-"))
            if other.prefixlen < subnet.prefixlen and not engines:
                observed = "{0} lies inside {1} ({2}), and hides that part of it".format(
                    subnet, other, route.interface
                )
                fix += ", if the server has to reach anybody there."
                findings.append(answer(WARN, observed, required, fix))
            else:
                observed = "{0} overlaps {1} ({2})".format(subnet, other, route.interface)
                findings.append(answer(FAIL, observed, required, fix + "."))
    return findings or [answer(OK, "no overlap", required)]


def _neighbours(host: Host, network: Network) -> list[Route]:
    """Return every network that packets have a way to, less the stack's own one."""
    bridges = {network.bridge}
    found = []
    for entry in docker_networks(host):
        if entry.get("Name") == network.name:
            bridges.add("br-" + entry.get("Id", "")[:12])
            continue
        for config in (entry.get("IPAM") or {}).get("Config") or []:
            if config.get("Subnet"):
                found.append(
                    Route(config["Subnet"], "Docker network {0}".format(entry.get("Name")))
                )
    known = {route.network for route in found}
    return found + [
        route
        for route in _routes(host)
        if route.interface not in bridges
        and route.network not in known
        # The stack's own, of an engine that does not answer now.
        and not (
            route.interface.startswith("br-") and route.network in (network.ipv4, network.ipv6)
        )
    ]


def _routes(host: Host) -> list[Route]:
    """Return the routes of both families that lead to a network, the default routes left out."""
    import ipaddress

    found = []
    for line in (host.read("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[7] == "00000000":
            continue
        address, mask = (bytes.fromhex(text)[::-1] for text in (fields[1], fields[7]))
        length = bin(int.from_bytes(mask, "big")).count("1")
        network = ipaddress.ip_network((address, length), strict=False)
        found.append(Route(str(network), fields[0]))
    for line in (host.read("/proc/net/ipv6_route") or "").splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[1] == "00" or fields[9] == "lo":
            continue
        address6 = ipaddress.IPv6Address(bytes.fromhex(fields[0]))
        # Every interface has link-local and multicast routes.
        if address6.is_link_local or address6.is_multicast:
            continue
        found.append(Route("{0}/{1}".format(address6, int(fields[1], 16)), fields[9]))
    return [route for route in found if route.interface != "lo"]


def ip_forward(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look whether the kernel passes packets on to containers.

    Docker switches that on when it starts. Off while it runs is a ``fail``; a file of sysctl.d that
    will switch it off at some time is a ``warn``.
    """
    name = "net.ipv4.ip_forward"
    required = name + " = 1"
    present = (host.read("/proc/sys/net/ipv4/ip_forward") or "").strip()
    fix = "Nothing by hand: the system role sets it. Or: sysctl -w {0}=1.".format(name)
    running = bool(docker_networks(host))
    if not present:
        return [answer(UNKNOWN, "cannot read /proc/sys/net/ipv4/ip_forward", required)]
    if running and present != "1":
        return [answer(FAIL, name + " = " + present + " while Docker runs", required, fix)]
    value, path = sysctl_file.at_boot(host).get(name, ("", ""))
    if value == "0":
        return [
            answer(
                WARN,
                "{0} = {1}, but {2} sets 0".format(name, present, path),
                required,
                "Remove the line from {0}.".format(path),
            )
        ]
    if present == "1":
        return [answer(OK, name + " = 1", required)]
    return [answer(OK, name + " = 0; Docker sets 1 when it starts", required)]


LOOK = (
    ("network.source_address", "Source address", "dns", source_address),
    ("network.mtu", "MTU", "mtu", mtu),
    ("network.cloud_init_ipv6", "IPv6 set by cloud-init", "cloud_init", cloud_init_ipv6),
    ("network.subnets", "Networks", "install", subnets),
    ("network.ip_forward", "IP forwarding", "firewall", ip_forward),
)
