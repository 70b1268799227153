# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's firewall rules for the firewall in front of it, at the provider.

Such a firewall knows nothing of containers, and many know nothing of connections: each packet is
judged alone, so that answers to the host's own questions have to be let in by themselves. What no
rule lets in is closed there; the policies of the host's firewall are not asked.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import ruleset
from ansible_collections.postmaster.mailhost.plugins.module_utils.ruleset import (
    FAMILIES,
    IPV4,
    Rule,
    Ruleset,
    RulesetError,
)

HETZNER_ROBOT, TABLE = "hetzner_robot", "table"
PROVIDERS = (HETZNER_ROBOT, TABLE)

#: Rules in one direction that Hetzner's firewall takes.
HETZNER_RULES = 10

# Ports that connections of the host and its resolver come from, and answers go to.
RETURN_PORTS = "1024-65535"


class Entry(NamedTuple):
    """One line of a provider's firewall, for packets that come in.

    Attributes:
        name: of the rules that it is made from.
        family: address family.
        protocol: ``tcp``, ``udp``, ``icmp``; empty for any.
        ports: destination ports as texts; empty for any.
        source: network, empty for any.
        address: destination address, empty for any.
        flags: TCP flags that must be set; empty for any.
        accept: whether it lets in.
    """

    name: str
    family: str
    protocol: str
    ports: tuple[str, ...] = ()
    source: str = ""
    address: str = ""
    flags: str = ""
    accept: bool = True


def entries(
    rules: Ruleset,
    families: Iterable[str] = (IPV4,),
    stateful: bool = False,
    return_ports: str = RETURN_PORTS,
) -> list[Entry]:
    """Return the lines for a provider's firewall; the first that fits decides, the rest is closed.

    Args:
        rules: the host's rules. A limit becomes an open port, as nothing there counts.
        families: address families that the provider's firewall looks at.
        stateful: whether it knows connections, so that answers need no lines.
        return_ports: range of the ports that answers come to.

    Raises:
        RulesetError: a family or range that is none.
    """
    found: list[Entry] = []
    low, high = ruleset.port_range("return_ports", return_ports)
    for family in families:
        if family not in FAMILIES:
            raise RulesetError(
                "families has {0!r}; allowed: {1}".format(family, ", ".join(FAMILIES))
            )
        lines: list[Entry] = []
        for rule in (*rules.host_rules, *rules.rules):
            lines += _of_rule(rule, rules, family)
        found += _merged(lines)
        if family == IPV4:
            found.append(Entry("icmp", family, "icmp"))
        if not stateful:
            answers = ("{0}-{1}".format(low, high),)
            found.append(Entry("tcp answers", family, "tcp", answers, flags="ack"))
            found.append(Entry("udp answers", family, "udp", answers))
    return found


def hetzner_robot(found: list[Entry]) -> dict[str, Any]:
    """Return lines as ``community.hrobot.firewall`` takes them in ``rules``.

    Raises:
        RulesetError: they are more than the provider takes.
    """
    if len(found) > HETZNER_RULES:
        raise RulesetError(
            "hetzner_robot: these are {0} rules ({1}); allowed: {2}. Name networks instead of "
            "single addresses, and leave long lists to the host's own firewall".format(
                len(found), ", ".join(item.name for item in found), HETZNER_RULES
            )
        )
    rules = []
    for item in found:
        matches = {
            "protocol": item.protocol,
            "dst_port": ",".join(item.ports),
            "src_ip": item.source,
            "dst_ip": item.address,
            "tcp_flags": item.flags,
        }
        rule = {
            # No special characters, and a name for people only.
            "name": re.sub("[^A-Za-z0-9]+", " ", item.name)[:60].strip(),
            "ip_version": item.family,
        }
        rule.update({key: value for key, value in matches.items() if value})
        rule["action"] = "accept" if item.accept else "discard"
        rules.append(rule)
    return {"input": rules}


def table(found: list[Entry]) -> str:
    """Return lines as a table in Markdown, to be typed into any panel."""
    rows = [
        ["#", "Name", "Family", "Protocol", "Destination port", "Source", "Destination", "Flags"]
        + ["Action"]
    ]
    titles = {IPV4: "IPv4"}
    for number, item in enumerate(found, 1):
        rows.append(
            [
                str(number),
                item.name,
                titles.get(item.family, "IPv6"),
                item.protocol or "any",
                ",".join(item.ports) or "any",
                item.source or "any",
                item.address or "any",
                item.flags or "any",
                "accept" if item.accept else "discard",
            ]
        )
    rows.append([str(len(found) + 1), "everything else"] + ["any"] * 6 + ["discard"])
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _of_rule(rule: Rule, rules: Ruleset, family: str) -> Iterable[Entry]:
    if family not in rule.families:
        return
    sources = rule.sources.get(family, ())
    if rule.set:
        sources = rules.sets[rule.set][family]
    if not sources and (rule.set or not rule.everyone):
        return
    addresses = rule.addresses.get(family, ())
    if rule.addresses and not addresses:
        return
    for source in sources or ("",):
        for address in addresses or ("",):
            yield Entry(
                rule.name,
                family,
                rule.protocol,
                tuple(
                    str(low) if low == high else "{0}-{1}".format(low, high)
                    for low, high in rule.ports
                ),
                source,
                address,
                accept=rule.opens,
            )


def _merged(lines: list[Entry]) -> list[Entry]:
    """Return lines with neighbours that differ in their ports only as one: lines are few there."""
    found: list[Entry] = []
    for line in lines:
        last = found[-1] if found else None
        if (
            last
            and last.ports
            and line.ports
            and last._replace(name="", ports=()) == line._replace(name="", ports=())
        ):
            found[-1] = last._replace(
                name=last.name + " " + line.name, ports=(*last.ports, *line.ports)
            )
        else:
            found.append(line)
    return found
