# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's DNS: what its server answers for, as text."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Mapping, Sequence

import dns.exception
import dns.name
import dns.zone

from . import data
from .common import SandboxError

# owner name relative to the zone, type, value
Record = tuple[str, str, str]
# by name (absolute, without the dot at the end) and type: the values that a test has put there
Edits = Mapping[tuple[str, str], Sequence[str]]

# Types that can be edited. SOA and NS hold the zones together.
EDITABLE = ("A", "AAAA", "CAA", "CNAME", "MX", "PTR", "SRV", "TLSA", "TXT")

# Short-lived, so that what a test changes or breaks is noticed while it looks.
HEAD = """\
$TTL 1
@ IN SOA ns.{domain}. hostmaster.{domain}. {serial} 3600 600 86400 1
@ IN NS ns.{domain}.
"""


def zone(records: Sequence[Record]) -> str:
    """The text of a zone file with these records, sorted, after SOA and NS.

    Its serial number follows from what is in it.
    """
    lines = "".join(f"{name} IN {kind} {value}\n" for name, kind, value in sorted(set(records)))
    return HEAD.format(domain=data.DOMAIN, serial=1 + zlib.crc32(lines.encode()) % 2**31) + lines


def reverse(records: Mapping[str, str], network: str) -> tuple[str, list[Record]]:
    """The reverse zone of a network.

    records: host name (FQDN, no dot at the end) by address.
    network: in CIDR form; its length is a whole number of octets or nibbles.
    Returns the zone's name and its records.
    """
    parsed = ipaddress.ip_network(network)
    bits = 8 if parsed.version == 4 else 4
    labels = parsed.network_address.reverse_pointer.split(".")
    host_labels = (parsed.max_prefixlen - parsed.prefixlen) // bits
    name = ".".join(labels[host_labels:])
    pointers: list[Record] = []
    for address, target in records.items():
        owner = ipaddress.ip_address(address).reverse_pointer.removesuffix("." + name)
        pointers.append((owner, "PTR", f"{target}."))
    return name, pointers


def all_records(hosts: Sequence[data.Host]) -> dict[str, list[Record]]:
    """Every zone of the world but the root: its records by its name."""
    world = (("A", data.WORLD_IPV4), ("AAAA", data.WORLD_IPV6))
    outside = (("A", data.OUTSIDE_IPV4), ("AAAA", data.OUTSIDE_IPV6))
    found: dict[str, list[Record]] = {data.DOMAIN: [*_mail(hosts)]}
    for owner in ("ns", "world"):
        found[data.DOMAIN] += [(owner, kind, value) for kind, value in world]
    for names, addresses in ((data.WORLD_NAMES, world), (data.OUTSIDE_NAMES, outside)):
        for name, owners in names.items():
            if data.UPSTREAM and name in data.PACKAGE_ZONES:
                if names is data.OUTSIDE_NAMES:
                    # These names are the world's all the same, each in a zone of its own.
                    found |= {
                        f"{owner}.{name}": [("@", kind, value) for kind, value in addresses]
                        for owner in owners
                    }
                continue
            found.setdefault(name, []).extend(
                (owner, kind, value)
                for owner in owners
                for kind, value in addresses
                if (owner, kind) not in (("ip4", "AAAA"), ("ip6", "A"))
            )
    for name, owner, kind, value in data.OUTSIDE_RECORDS:
        found.setdefault(name, []).append((owner, kind, value))
    found["root-servers.net"] = [
        (letter, "AAAA" if ":" in address else "A", address)
        for letter, addresses in data.ROOT_SERVERS.items()
        for address in addresses
    ]
    for receiver in data.RECEIVERS:
        found["outside.test"] += [
            (receiver.name, "MX", f"10 {receiver.mx}."),
            (f"mx.{receiver.name}", "A", receiver.ipv4),
        ]
    names = {
        **{receiver.ipv4: receiver.mx for receiver in data.RECEIVERS},
        data.WORLD_IPV4: f"world.{data.DOMAIN}",
        data.WORLD_IPV6: f"world.{data.DOMAIN}",
        data.OUTSIDE_IPV4: "mx.outside.test",
        data.OUTSIDE_IPV6: "mx.outside.test",
    }
    for host in hosts:
        found[data.DOMAIN] += [(host.name, "A", host.ipv4), (host.name, "AAAA", host.ipv6)]
        names[host.ipv4] = names[host.ipv6] = host.fqdn
    for network, version in ((data.IPV4_NETWORK, 4), (data.IPV6_NETWORK, 6)):
        of_family = {a: n for a, n in names.items() if ipaddress.ip_address(a).version == version}
        name, records = reverse(of_family, network)
        found[name] = records
    return found


def _mail(hosts: Sequence[data.Host]) -> list[Record]:
    """What the mail domain and each host publish about mail."""
    records: list[Record] = [
        ("@", "TXT", '"v=spf1 mx a -all"'),
        ("_dmarc", "TXT", f'"v=DMARC1; p=reject; rua=mailto:postmaster@{data.DOMAIN}"'),
        ("autoconfig", "CNAME", f"{hosts[0].fqdn}."),
        ("autodiscover", "CNAME", f"{hosts[0].fqdn}."),
    ]
    for number, host in enumerate(hosts, start=1):
        # The domain's SPF record says "mx", which may lead to ten servers at most (RFC 7208).
        if data.SYSTEMS[host.system].look is None:
            records.append(("@", "MX", f"{10 * number} {host.fqdn}."))
        records += [
            (host.name, "TXT", '"v=spf1 a -all"'),
            (f"_dmarc.{host.name}", "TXT", '"v=DMARC1; p=none"'),
        ]
    return records


def all_zones(hosts: Sequence[data.Host], edits: Edits | None = None) -> dict[str, str]:
    """Every zone of the world, its text by its name.

    The root is among them: what is in no zone does not exist, and nothing is asked outside. Only
    where hosts install from the real archives it is not.

    edits: what takes the place of the records of that name and type.
    """
    found = all_records(hosts)
    if not data.UPSTREAM:
        # The root refers to each of them, for resolvers that start there.
        root: list[Record] = [(f"{name}.", "NS", f"ns.{data.DOMAIN}.") for name in found]
        root += [
            (f"ns.{data.DOMAIN}.", "A", data.WORLD_IPV4),
            (f"ns.{data.DOMAIN}.", "AAAA", data.WORLD_IPV6),
        ]
        found = {".": root, **found}
    for (name, kind), values in (edits or {}).items():
        zone_name, owner = place(name, list(found))
        kept = [record for record in found[zone_name] if record[:2] != (owner, kind)]
        found[zone_name] = kept + [(owner, kind, value) for value in values]
    return {name: zone(records) for name, records in found.items()}


def place(name: str, zone_names: Sequence[str]) -> tuple[str, str]:
    """The zone that a name belongs to, and its owner name there."""
    for zone_name in sorted(zone_names, key=len, reverse=True):
        if name == zone_name:
            return zone_name, "@"
        if name.endswith(f".{zone_name}"):
            return zone_name, name[: -len(zone_name) - 1]
    return ".", f"{name}."


def edit(name: str, kind: str, values: Sequence[str]) -> tuple[tuple[str, str], list[str]]:
    """An edit as a person gives it, made ready for a zone file.

    name: absolute, with or without the dot at its end.
    values: as in a zone file; names in them are absolute, and texts need no quotes.
    Returns the key and the values of an entry of Edits.
    Raises SandboxError when the type is not one that can be edited.
    """
    kind = kind.upper()
    if kind not in EDITABLE:
        raise SandboxError(f"records of type {kind} cannot be edited; {', '.join(EDITABLE)} can")
    ready = []
    for value in values:
        if kind == "TXT" and not value.startswith('"'):
            # A text is made of strings of at most 255 characters.
            parts = [value[start : start + 255] for start in range(0, len(value) or 1, 255)]
            value = " ".join(
                '"{}"'.format(part.replace("\\", "\\\\").replace('"', '\\"')) for part in parts
            )
        elif kind in ("CNAME", "MX", "PTR", "SRV") and not value.endswith("."):
            value += "."
        ready.append(value)
    return (name.rstrip(".").lower(), kind), ready


def check(texts: Mapping[str, str]) -> None:
    """Raise SandboxError for a zone that a name server would not take."""
    for name, text in texts.items():
        try:
            dns.zone.from_text(text, origin=dns.name.from_text(name))
        except (dns.exception.DNSException, ValueError) as error:
            raise SandboxError(f"a record of the zone {name} is wrong: {error}") from None


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
    )
    if data.UPSTREAM:
        # The engine's own name server, which asks those of the machine.
        text += "    forward only;\n    forwarders { 127.0.0.11; };\n"
    text += "};\n"
    for name in zone_names:
        text += f'zone "{name}" {{ type primary; file "{directory}/{file_name(name)}"; }};\n'
    return text
