# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's DNS: what its server answers for, as text."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from . import data

# owner name relative to the zone, type, value
Record = tuple[str, str, str]

# Short-lived, so that what a test changes or breaks is noticed while it looks.
HEAD = """\
$TTL 10
@ IN SOA ns.{domain}. hostmaster.{domain}. 1 3600 600 86400 10
@ IN NS ns.{domain}.
"""


def zone(records: Sequence[Record]) -> str:
    """The text of a zone file with these records, sorted, after SOA and NS."""
    lines = "".join(f"{name} IN {kind} {value}\n" for name, kind, value in sorted(set(records)))
    return HEAD.format(domain=data.DOMAIN) + lines


def reverse(records: Mapping[str, str], network: str) -> tuple[str, str]:
    """The reverse zone of a network.

    records: host name (FQDN, no dot at the end) by address.
    network: in CIDR form; its length is a whole number of octets or nibbles.
    Returns the zone's name and its text.
    """
    parsed = ipaddress.ip_network(network)
    bits = 8 if parsed.version == 4 else 4
    labels = parsed.network_address.reverse_pointer.split(".")
    host_labels = (parsed.max_prefixlen - parsed.prefixlen) // bits
    name = ".".join(labels[host_labels:])
    pointers = []
    for address, target in records.items():
        owner = ipaddress.ip_address(address).reverse_pointer.removesuffix("." + name)
        pointers.append((owner, "PTR", f"{target}."))
    return name, zone(pointers)


def all_zones(hosts: Sequence[data.Host]) -> dict[str, str]:
    """Every zone of the world, its text by its name.

    The root is among them: what is in no zone does not exist, and nothing is asked outside.
    """
    world = [("A", data.WORLD_IPV4), ("AAAA", data.WORLD_IPV6)]
    own: list[Record] = [(name, kind, value) for name in ("ns", "world") for kind, value in world]
    own.append(("@", "MX", f"10 {hosts[0].fqdn}."))
    addresses = {data.WORLD_IPV4: f"world.{data.DOMAIN}", data.WORLD_IPV6: f"world.{data.DOMAIN}"}
    for host in hosts:
        own += [(host.name, "A", host.ipv4), (host.name, "AAAA", host.ipv6)]
        addresses[host.ipv4] = addresses[host.ipv6] = host.fqdn
    zones = {data.DOMAIN: zone(own)}
    for name, owners in data.WORLD_NAMES.items():
        zones[name] = zone([(owner, kind, value) for owner in owners for kind, value in world])
    for network, version in ((data.IPV4_NETWORK, 4), (data.IPV6_NETWORK, 6)):
        of_family = {
            a: n for a, n in addresses.items() if ipaddress.ip_address(a).version == version
        }
        name, text = reverse(of_family, network)
        zones[name] = text
    # The root refers to each of them, for resolvers that start there.
    delegations: list[Record] = [(f"{name}.", "NS", f"ns.{data.DOMAIN}.") for name in zones]
    glue: list[Record] = [(f"ns.{data.DOMAIN}.", kind, value) for kind, value in world]
    return {".": zone(delegations + glue), **zones}


def file_name(zone_name: str) -> str:
    """The file that a zone is kept in."""
    return "root.zone" if zone_name == "." else f"{zone_name}.zone"


def server_configuration(zone_names: Sequence[str], directory: str) -> str:
    """The text of named.conf.

    zone_names: the zones it is primary for.
    directory: where the zone files lie.
    """
    text = (
        "options {\n"
        '    directory "/var/cache/bind";\n'
        "    listen-on { any; };\n"
        "    listen-on-v6 { any; };\n"
        "    allow-query { any; };\n"
        "    recursion yes;\n"
        "    allow-recursion { any; };\n"
        "    dnssec-validation no;\n"
        "    empty-zones-enable no;\n"
        "    notify no;\n"
        "};\n"
    )
    for name in zone_names:
        text += f'zone "{name}" {{ type primary; file "{directory}/{file_name(name)}"; }};\n'
    return text
