# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall rules in the language of nft: one table of its own, with its own base chains.

Its ``accept`` ends this table only; whatever other tables drop stays dropped. It hangs on the
kernel's hooks and not on a chain of the engine's, so that nothing that rebuilds those takes it away.
"""

from __future__ import annotations

import re
import zlib
from typing import Iterable, Iterator

from ansible_collections.postmaster.mailhost.plugins.module_utils import ruleset
from ansible_collections.postmaster.mailhost.plugins.module_utils.ruleset import (
    FORWARD,
    INPUT,
    IPV4,
    IPV6,
    Line,
    Ruleset,
)

#: Family and name of the table.
TABLE = "inet mailhost"

_VERDICTS = {ruleset.PASS: "accept", ruleset.DROP: "drop"}
_IP = {IPV4: "ip", IPV6: "ip6"}
_TYPES = {IPV4: "ipv4_addr", IPV6: "ipv6_addr"}

# How many sources a rate is kept for; beyond that the limit does not pass any more.
_RATE_SOURCES = 65535

# Members of sets that the packets themselves fill.
_DYNAMIC = re.compile(
    r"(\tset [^\n]*\{\n(?:\t\t(?!elements)[^\n]*\n)*?\t\tflags [^\n]*dynamic[^\n]*\n"
    r"(?:\t\t(?!elements)[^\n]*\n)*)\t\telements = \{[^}]*\}\n"
)


def payload(rules: Ruleset) -> str:
    """Return the input of ``nft -f`` that makes the table what it is to be, in one transaction."""
    text = [
        # Declared before it is deleted, because deleting what is not there is an error.
        "table {0}".format(TABLE),
        "delete table {0}".format(TABLE),
        "table {0} {{".format(TABLE),
    ]
    text += ["\t" + line if line else "" for line in _table(rules)]
    return "\n".join([*text, "}", ""])


def removal() -> str:
    """Return the input of ``nft -f`` that takes the table away, whether it is there or not."""
    return "table {0}\ndelete table {0}\n".format(TABLE)


def comparable(listing: str) -> str:
    """Return what ``nft -s list table`` printed without what packets have changed."""
    return _DYNAMIC.sub(r"\1", listing)


def _table(rules: Ruleset) -> Iterator[str]:
    used = {rule.set for rule in (*rules.rules, *rules.host_rules) if rule.set}
    for name in sorted(used):
        for family in ruleset.FAMILIES:
            entries = rules.sets[name][family]
            if entries:
                yield "set {0} {{".format(_set_name(name, family))
                yield "\ttype {0}".format(_TYPES[family])
                yield "\tflags interval"
                yield "\tauto-merge"
                yield "\telements = { " + ", ".join(entries) + " }"
                yield "}"
                yield ""
    forward = ruleset.lines(rules, FORWARD)
    own = ruleset.lines(rules, INPUT)
    meters = {_meter(line): line.family for line in (*forward, *own) if line.rate}
    for name, family in sorted(meters.items()):
        yield "set {0} {{".format(name)
        yield "\ttype {0}".format(_TYPES[family])
        yield "\tsize {0}".format(_RATE_SOURCES)
        yield "\tflags dynamic,timeout"
        # A source that was quiet for so long starts with a full burst.
        yield "\ttimeout 1d"
        yield "}"
        yield ""
    for hook, lines in ((FORWARD, forward), (INPUT, own)):
        yield "chain {0} {{".format(hook)
        # Before the engine's own rules, after the translation of addresses.
        yield "\ttype filter hook {0} priority filter - 1; policy accept;".format(hook)
        for line in lines:
            for text in _spell(line):
                yield "\t" + text
        yield "}"
        yield ""
    if rules.snat:
        yield "chain translation {"
        # Before the engine's: the first translation of a connection counts.
        yield "\ttype nat hook postrouting priority srcnat - 1; policy accept;"
        for item in rules.snat:
            for port in item.ports:
                yield "\t{0} saddr {1} {0} daddr != {1} tcp dport {2} snat {0} to {3}".format(
                    _IP[item.family], item.source, _ports(port), item.to
                )
        yield "}"


def _spell(line: Line) -> Iterator[str]:
    match = list(_match(line))
    if line.log:
        prefix = 'limit rate 10/minute log prefix "mailhost {0}: "'.format(line.log)
        yield " ".join([*match, prefix])
    if line.rate:
        number, unit, burst = line.rate
        source = "ip saddr" if line.family == IPV4 else "ip6 saddr & ffff:ffff:ffff:ffff::"
        match.append(
            "add @{0} {{ {1} limit rate {2}/{3} burst {4} packets }}".format(
                _meter(line), source, number, unit, burst
            )
        )
    match.append(_verdict(line))
    if line.comment:
        match.append('comment "{0}"'.format(line.comment))
    yield " ".join(match)


def _match(line: Line) -> Iterator[str]:
    family = _IP.get(line.family, "")
    if line.family and not (line.sources or line.set):
        yield "meta nfproto " + line.family
    if line.sources:
        yield "{0} saddr {1}".format(family, _any_of(line.sources))
    if line.set:
        yield "{0} saddr @{1}".format(family, _set_name(line.set, line.family))
    if line.came_in:
        yield 'iifname "{0}"'.format(_interface(line.came_in))
    if line.goes_out:
        yield 'oifname "{0}"'.format(_interface(line.goes_out))
    if line.state == "established":
        yield "ct state established,related"
    if line.addresses and not line.published:
        yield "{0} daddr {1}".format(family, _any_of(line.addresses))
    if line.protocol == "icmp":
        if line.icmp_types:
            yield "icmp type {0}".format(_any_of([str(number) for number in line.icmp_types]))
        else:
            yield "meta l4proto " + {IPV4: "icmp", IPV6: "ipv6-icmp"}.get(
                line.family, "{ icmp, ipv6-icmp }"
            )
    elif line.published:
        # Without the direction, replies to what containers ask others for would match as well.
        yield "ct direction original"
        if line.state == "translated":
            yield "ct status dnat"
        if line.addresses:
            yield "ct original {0} daddr {1}".format(family, _any_of(line.addresses))
        if line.port:
            # One range each: nft 1.0.6 does not list sets of these in a form that can be compared.
            yield "meta l4proto {0} ct original proto-dst {1}".format(
                line.protocol, _ports(line.port)
            )
    elif line.port:
        yield "{0} dport {1}".format(line.protocol, _ports(line.port))
    if line.protocol in ruleset.PROTOCOLS and not line.port:
        yield "meta l4proto " + line.protocol


def _verdict(line: Line) -> str:
    if line.verdict != ruleset.REJECT:
        return _VERDICTS[line.verdict]
    return "reject with tcp reset" if line.protocol == "tcp" else "reject"


def _set_name(name: str, family: str) -> str:
    return "set_{0}_{1}".format(name.replace("-", "_"), family[-1])


def _meter(line: Line) -> str:
    key = "{0} {1} {2} {3}".format(
        line.comment.partition(":")[0], line.protocol, line.port, line.rate
    )
    return "rate_{0:08x}_{1}".format(zlib.crc32(key.encode()), line.family[-1])


def _interface(name: str) -> str:
    return name[:-1] + "*" if name.endswith("+") else name


def _any_of(items: Iterable[str]) -> str:
    items = list(items)
    return items[0] if len(items) == 1 else "{ " + ", ".join(items) + " }"


def _ports(port: tuple[int, int]) -> str:
    return str(port[0]) if port[0] == port[1] else "{0}-{1}".format(*port)
