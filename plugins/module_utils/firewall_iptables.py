# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall rules in the language of iptables: what is to be loaded, and what is there.

The rules live in chains of their own, which others' chains jump to. Nothing is ever accepted, only
returned from or dropped, so that the order among bans and other chains of ``DOCKER-USER`` does not
matter. What is written is what ``iptables-save`` prints, so that both can be compared as text.
"""

from __future__ import annotations

import re
import zlib
from typing import Iterable, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import ruleset
from ansible_collections.postmaster.mailhost.plugins.module_utils.ruleset import (
    FORWARD,
    INPUT,
    IPV4,
    IPV6,
    Line,
    Ruleset,
)

DOCKER_USER = "DOCKER-USER"

CHAIN = "MAILHOST"
INPUT_CHAIN = "MAILHOST-INPUT"
SNAT_CHAIN = "MAILHOST-SNAT"

#: Sets of ours begin with this; ``-4`` or ``-6`` stands at the end.
SET_PREFIX = "mailhost-"

#: Each chain of ours: its table, and the chain of others that jumps to it.
CHAINS = {
    CHAIN: ("filter", DOCKER_USER),
    INPUT_CHAIN: ("filter", "INPUT"),
    SNAT_CHAIN: ("nat", "POSTROUTING"),
}

#: The engine's own chains in the filter table, by which it is known to have been there.
ENGINE_CHAINS = ("DOCKER", "DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1", "DOCKER-CT")

_ICMP = {IPV4: "icmp", IPV6: "ipv6-icmp"}
_TARGETS = {ruleset.PASS: "RETURN", ruleset.DROP: "DROP"}
_UNITS = (("day", 86400), ("hour", 3600), ("min", 60), ("sec", 1))

# What iptables-save prints without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")

# The prefix of a log line ends up in the kernel's 30 bytes.
_LOG_PREFIX = "mailhost {0:.18s}: "

_FINAL = ("ACCEPT", "DROP", "REJECT", "RETURN")

# What bans by itself and wants to be asked first: mailcow's container restarts itself otherwise.
_BANS = re.compile(r"-j (MAILCOW|f2b-\S+)\Z")


class Saved(NamedTuple):
    """What ``iptables-save`` printed: table to chain to rules, without ``-A CHAIN``."""

    tables: Mapping[str, Mapping[str, Sequence[str]]]

    def rules(self, table: str, chain: str) -> list[str]:
        """Return the rules of a chain; none when there is no such chain."""
        return list(self.tables.get(table, {}).get(chain, ()))

    def has(self, table: str, chain: str) -> bool:
        """Tell whether there is such a chain."""
        return chain in self.tables.get(table, {})

    @property
    def engine(self) -> bool:
        """Whether an engine has made its chains."""
        return any(self.has("filter", name) for name in (DOCKER_USER, *ENGINE_CHAINS))


class Hook(NamedTuple):
    """How another chain leads to one of ours, and how to mend that.

    Attributes:
        before: the jumps that there are, with what is wrong as a comment.
        after: the one that there is to be, or none.
        edits: commands of ``iptables-restore``; none when all is well.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    edits: tuple[str, ...]


def parse(text: str) -> Saved:
    """Read what ``iptables-save`` prints on its standard output."""
    tables: dict[str, dict[str, list[str]]] = {}
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            table.setdefault(line[1:].split(" ", 1)[0], [])
        elif line.startswith("-A "):
            chain, _blank, rest = line[3:].partition(" ")
            table.setdefault(chain, []).append(rest.rstrip())
    return Saved(tables)


# -- what is wanted --------------------------------------------------------------------------------


def chains(rules: Ruleset, family: str) -> dict[str, list[str]]:
    """Return each chain of ours with its rules, as ``iptables-save`` prints them."""
    found = {
        CHAIN: list(_spell_all(ruleset.lines(rules, FORWARD), family)),
        INPUT_CHAIN: list(_spell_all(ruleset.lines(rules, INPUT), family)),
    }
    snat = [
        "-s {0} ! -d {0} -p tcp -m tcp --dport {1} -j SNAT --to-source {2}".format(
            _network(item.source, family), _ports(port), item.to
        )
        for item in rules.snat
        if item.family == family
        for port in item.ports
    ]
    if snat:
        found[SNAT_CHAIN] = snat
    return found


def payload(wanted: Mapping[str, Sequence[str]], edits: Mapping[str, Sequence[str]]) -> str:
    """Return the input of ``iptables-restore --noflush`` that makes our chains what they are to be.

    Args:
        wanted: our chains with their rules; a declaration empties what is there.
        edits: further commands by table: declarations of chains begin with a colon.
    """
    text = []
    for table in ("filter", "nat"):
        ours = [name for name in wanted if CHAINS[name][0] == table]
        more = list(edits.get(table, ()))
        if not ours and not more:
            continue
        text.append("*" + table)
        text += [line for line in more if line.startswith(":")]
        text += [":{0} - [0:0]".format(name) for name in ours]
        for name in ours:
            text += ["-A {0} {1}".format(name, rule) for rule in wanted[name]]
        text += [line for line in more if not line.startswith(":")]
        text.append("COMMIT")
    return "\n".join(text) + "\n" if text else ""


def set_name(name: str, family: str) -> str:
    """Return what ipset calls a set of ours."""
    return "{0}{1}-{2}".format(SET_PREFIX, name, family[-1])


def sets(rules: Ruleset) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what ipset calls each set that rules use, with family and entries."""
    used = {rule.set for rule in (*rules.rules, *rules.host_rules) if rule.set}
    return {
        set_name(name, family): (family, rules.sets[name][family])
        for name in sorted(used)
        for family in ruleset.FAMILIES
        if rules.sets[name][family]
    }


def set_payload(name: str, family: str, entries: Sequence[str]) -> str:
    """Return the input of ``ipset restore`` that makes a set what it is to be.

    A set beside it is filled and both are swapped, so that no packet meets one that is half full.

    Args:
        name: ipset's name for it.
        family: the family of its entries.
        entries: networks.
    """
    size = 65536
    while size < len(entries):
        size *= 2
    # Names end at 31 characters; ours leave no room for a suffix.
    beside = "{0}{1:08x}".format(SET_PREFIX[:-1], zlib.crc32(name.encode()))
    create = "create -exist {0} hash:net family {1} maxelem {2}\n"
    kind = "inet" if family == IPV4 else "inet6"
    return "".join(
        [
            create.format(beside, kind, size),
            "flush {0}\n".format(beside),
            *("add {0} {1}\n".format(beside, entry) for entry in entries),
            create.format(name, kind, size),
            "swap {0} {1}\n".format(beside, name),
            "destroy {0}\n".format(beside),
        ]
    )


def parse_sets(text: str) -> dict[str, set[str]]:
    """Read what ``ipset save`` prints: each set of ours with its entries."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[1].startswith(SET_PREFIX):
            if words[0] == "create":
                found[words[1]] = set()
            elif words[0] == "add" and len(words) > 2:
                found.setdefault(words[1], set()).add(words[2])
    return found


# -- what is there ---------------------------------------------------------------------------------


def hook(saved: Saved, chain: str, wanted: bool, networks: Sequence[str] = ()) -> Hook:
    """Compare how another chain leads to one of ours with how it should.

    There is to be exactly one jump, for every packet, before what would decide over our head. One
    that is well stays where it is, also when others have come before it: fail2ban inserts itself
    at the top as well, and two that both insist on it would never end.

    Args:
        saved: what is there.
        chain: one of :data:`CHAINS`.
        wanted: whether there is to be a jump.
        networks: source networks of our chain of translations.
    """
    table, parent = CHAINS[chain]
    rules = saved.rules(table, parent)
    mine = [place for place, rule in enumerate(rules) if _jumps_to(rule, chain)]
    others = [rule for place, rule in enumerate(rules) if place not in mine]
    jump = "-j " + chain
    barrier = _barrier(parent, rules, mine, networks)
    good = len(mine) == 1 and rules[mine[0]] == jump and (barrier is None or mine[0] < barrier)
    before = []
    for place in mine:
        note = ""
        if barrier is not None and place > barrier:
            note = "  # behind: " + rules[barrier]
        before.append("-A {0} {1}{2}".format(parent, rules[place], note))
    after = ("-A {0} {1}".format(parent, jump),) if wanted else ()
    if (good and wanted) or (not mine and not wanted):
        return Hook(after, after, ())
    edits = ["-D {0} {1}".format(parent, rules[place]) for place in mine]
    if wanted:
        edits.append("-I {0} {1} {2}".format(parent, _position(parent, others), jump))
    return Hook(tuple(before), after, tuple(edits))


def way_round(saved: Saved) -> str:
    """Say how packets to containers miss ``DOCKER-USER``; empty when they do not.

    Only where the engine has made its chains: before that there is nothing to miss.
    """
    if not any(saved.has("filter", name) for name in ENGINE_CHAINS):
        return ""
    for rule in saved.rules("filter", "FORWARD"):
        if rule == "-j " + DOCKER_USER:
            return ""
        to_bridge = re.search(r"(?<!! )-o (docker\S*|br-\S+)", rule)
        if rule.endswith("-j DOCKER-FORWARD") or (
            rule.endswith("-j ACCEPT") and (to_bridge or rule == "-j ACCEPT")
        ):
            return "FORWARD has '{0}' before the jump to DOCKER-USER".format(rule)
    return "FORWARD has no jump to DOCKER-USER"


def accepted_before(saved: Saved) -> list[str]:
    """Return the rules of INPUT that accept packets from outside before our chain is asked."""
    found: list[str] = []
    if hook(saved, INPUT_CHAIN, True).edits:
        return found  # our jump comes before all that accepts
    for rule in saved.rules("filter", "INPUT"):
        if _jumps_to(rule, INPUT_CHAIN):
            break
        harmless = "-i lo " in rule or "ESTABLISHED" in rule or "icmp" in rule
        if rule.endswith("-j ACCEPT") and not harmless:
            found.append(rule)
    return found


def removal(saved: Saved) -> str:
    """Return the input of ``iptables-restore --noflush`` that takes away exactly what is ours."""
    edits: dict[str, list[str]] = {"filter": [], "nat": []}
    gone = [name for name, (table, _parent) in CHAINS.items() if saved.has(table, name)]
    for table, chain_rules in saved.tables.items():
        for chain, rules in chain_rules.items():
            if chain in gone:
                continue
            for rule in rules:
                if any(_jumps_to(rule, name) for name in gone):
                    edits.setdefault(table, []).append("-D {0} {1}".format(chain, rule))
    for name in gone:
        edits[CHAINS[name][0]].append("-F " + name)
    for name in gone:
        edits[CHAINS[name][0]].append("-X " + name)
    return payload({}, edits)


def _jumps_to(rule: str, chain: str) -> bool:
    return rule.endswith(("-j " + chain, "-g " + chain))


def _barrier(
    parent: str, rules: Sequence[str], mine: Sequence[int], networks: Sequence[str]
) -> int | None:
    """Return the place of the first rule that decides over our head."""
    for place, rule in enumerate(rules):
        if place in mine:
            continue
        words = rule.split()
        target = words[words.index("-j") + 1] if "-j" in words else ""
        if parent == "POSTROUTING":
            if target == "MASQUERADE" and _concerns(words, networks):
                return place
        elif (words[0] == "-j" and target in _FINAL) or (
            parent == DOCKER_USER and target == "ACCEPT"
        ):
            return place
    return None


def _concerns(words: Sequence[str], networks: Sequence[str]) -> bool:
    """Tell whether a rule is for packets from one of the networks."""
    import ipaddress

    if "-s" not in words or words[words.index("-s") - 1] == "!":
        return True
    source = ipaddress.ip_network(words[words.index("-s") + 1])
    return any(source.overlaps(ipaddress.ip_network(text)) for text in networks)


def _position(parent: str, others: Sequence[str]) -> int:
    """Return where a jump is inserted, counted from 1."""
    place = 1
    if parent == "INPUT":
        for rule in others:
            if not _BANS.search(rule):
                break
            place += 1
    return place


# -- spelling --------------------------------------------------------------------------------------


def _spell_all(lines: Iterable[Line], family: str) -> Iterator[str]:
    for line in lines:
        if line.family in ("", family):
            yield from _spell(line, family)


def _spell(line: Line, family: str) -> Iterator[str]:
    """Yield a line in the options' order of iptables-save; one for each source and destination."""
    for source in line.sources or ("",):
        for address in line.addresses or ("",):
            for icmp_type in line.icmp_types or (None,):
                match = " ".join(_match(line, family, source, address, icmp_type))
                match += " " if match else ""
                if line.log:
                    yield "{0}-m limit --limit 10/min -j LOG --log-prefix {1}".format(
                        match, _quote(_LOG_PREFIX.format(line.log))
                    )
                comment = "-m comment --comment {0} ".format(_quote(line.comment))
                yield match + (comment if line.comment else "") + "-j " + _target(line, family)


def _match(
    line: Line, family: str, source: str, address: str, icmp_type: int | None
) -> Iterator[str]:
    if source:
        yield "-s " + _network(source, family)
    if address and not line.published:
        yield "-d " + _network(address, family)
    if line.came_in:
        yield "-i " + line.came_in
    if line.goes_out:
        yield "-o " + line.goes_out
    protocol = _ICMP[family] if line.protocol == "icmp" else line.protocol
    if protocol:
        yield "-p " + protocol
    if line.state == "established":
        yield "-m conntrack --ctstate RELATED,ESTABLISHED"
    elif line.published:
        # Without the direction, replies to what containers ask others for would match as well.
        yield "-m conntrack"
        if line.state == "translated":
            yield "--ctstate DNAT"
        if address:
            yield "--ctorigdst " + address
        if line.port:
            yield "--ctorigdstport " + _ports(line.port)
        yield "--ctdir ORIGINAL"
    elif line.port:
        yield "-m {0} --dport {1}".format(protocol, _ports(line.port))
    if icmp_type is not None:
        yield "-m icmp --icmp-type {0}".format(icmp_type)
    if line.set:
        yield "-m set --match-set {0} src".format(set_name(line.set, family))
    if line.rate:
        yield _rate(line, family)


def _rate(line: Line, family: str) -> str:
    """Return the match of a rate for each source; of IPv6 a network of 64 bits is one source."""
    number, unit, burst = line.rate
    spent = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[unit]
    # The kernel keeps the time between two and prints it in the largest unit that it fits.
    shown = "{0}/{1}".format(number, {"minute": "min", "second": "sec"}.get(unit, unit))
    for name, seconds in _UNITS:
        if (number * seconds) % spent == 0 and number * seconds >= spent:
            shown = "{0}/{1}".format(number * seconds // spent, name)
    # The kernel keeps counters and rate under this name: with another rate it must be another.
    key = "{0} {1} {2} {3}".format(
        line.comment.partition(":")[0], line.protocol, line.port, line.rate
    )
    return (
        "-m hashlimit --hashlimit-upto {0} --hashlimit-burst {1} --hashlimit-mode srcip "
        "--hashlimit-name mh{2:08x}{3}".format(
            shown,
            burst,
            zlib.crc32(key.encode()),
            " --hashlimit-srcmask 64" if family == IPV6 else "",
        )
    )


def _target(line: Line, family: str) -> str:
    if line.verdict != ruleset.REJECT:
        return _TARGETS[line.verdict]
    if line.protocol == "tcp":
        return "REJECT --reject-with tcp-reset"
    return "REJECT --reject-with {0}-port-unreachable".format("icmp" if family == IPV4 else "icmp6")


def _network(text: str, family: str) -> str:
    return text if "/" in text else "{0}/{1}".format(text, 32 if family == IPV4 else 128)


def _ports(port: tuple[int, int]) -> str:
    return str(port[0]) if port[0] == port[1] else "{0}:{1}".format(*port)


def _quote(text: str) -> str:
    return text if _PLAIN.match(text) else '"{0}"'.format(text)
