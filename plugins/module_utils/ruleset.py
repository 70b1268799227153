# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewall rules of a container host as values, in no program's language.

An administrator's :class:`Rule` speaks of *published* ports: 443 is 443, whichever port the
container listens on, and whether its packets are forwarded to the container or handed to the
engine's helper on the host. :func:`lines` says in which order what is matched; the backends
(:mod:`firewall_iptables`, :mod:`firewall_nftables`) only spell that.

``PASS`` means that this firewall has nothing against a packet. It does not overrule anybody else:
bans and the engine's own rules still have their say.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import stack as stacks
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need as needs

ALLOW, DROP, REJECT, LIMIT = "allow", "drop", "reject", "limit"
ACTIONS = (ALLOW, DROP, REJECT, LIMIT)
PASS = "pass"

PROTOCOLS = ("tcp", "udp")
IPV4, IPV6 = "ipv4", "ipv6"
FAMILIES = (IPV4, IPV6)

#: What packets are looked at on: their way to containers, and their way to the host itself.
FORWARD, INPUT = "forward", "input"

#: Bridges of a Docker engine; a plus sign at the end stands for any text.
BRIDGES = ("docker0", "docker_gwbridge", "br-+")

RATE_UNITS = ("second", "minute", "hour", "day")

_RULE_OPTIONS = {
    "name": {"type": "str", "required": True},
    "service": {"type": "str"},
    "ports": {"type": "list", "elements": "str"},
    "protocol": {"type": "str", "default": "tcp", "choices": list(PROTOCOLS)},
    "sources": {"type": "list", "elements": "str"},
    "set": {"type": "str"},
    "families": {
        "type": "list",
        "elements": "str",
        "default": list(FAMILIES),
        "choices": list(FAMILIES),
    },
    "addresses": {"type": "list", "elements": "str"},
    "action": {"type": "str", "default": ALLOW, "choices": list(ACTIONS)},
    "rate": {"type": "str", "default": "10/minute"},
    "burst": {"type": "int", "default": 5},
    "log": {"type": "bool", "default": False},
    "comment": {"type": "str", "default": ""},
}
_POLICY_OPTION = {"type": "str", "choices": [ALLOW, DROP, REJECT]}

#: What :func:`build` takes, as Ansible's argument spec has it; a set may name a file with entries.
OPTIONS = {
    "stack": {"type": "str", "choices": stacks.names()},
    "config": {"type": "dict", "default": {}},
    "rules": {"type": "list", "elements": "dict", "default": [], "options": _RULE_OPTIONS},
    "host_rules": {"type": "list", "elements": "dict", "default": [], "options": _RULE_OPTIONS},
    "sets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "entries": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "path"},
        },
    },
    "policy": dict(_POLICY_OPTION, default=DROP),
    "host_policy": dict(_POLICY_OPTION, default=ALLOW),
    "ssh_ports": {"type": "list", "elements": "int", "default": [22]},
    "admin_sources": {"type": "list", "elements": "str", "default": []},
    "bridges": {"type": "list", "elements": "str", "default": list(BRIDGES)},
    "snat": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "to": {"type": "str", "required": True},
            "source": {"type": "str"},
            "ports": {"type": "list", "elements": "str", "default": ["25"]},
        },
    },
}

#: Keys of a rule as administrators write it.
RULE_KEYS = tuple(_RULE_OPTIONS)
SET_KEYS = ("name", "entries")
SNAT_KEYS = ("source", "to", "ports")

# ICMP: unreachable (also "fragmentation needed"), echo request, time exceeded, bad parameter. Of
# ICMPv6 all of it: neighbour discovery and path MTU do not work without (RFC 4890).
_ICMP_TYPES = (3, 8, 11, 12)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")
# With the prefix and the family ipset's limit of 31 characters is reached.
_SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,19}\Z")
_COMMENT = re.compile(r"[A-Za-z0-9 _.,:;()/+=@#-]{0,80}\Z")
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}\Z|[A-Za-z0-9_.-]{1,14}\+\Z")
_RATE = re.compile(r"([0-9]{1,6})/(second|minute|hour|day)\Z")


class RulesetError(Exception):
    """Rules that cannot be used; the text names the rule, the value and what is allowed."""


class Rule(NamedTuple):
    """A rule.

    Attributes:
        name: its name, for messages, logs and comments.
        ports: ranges of published ports; empty for all of them.
        protocol: ``tcp`` or ``udp``; empty together with ``ports``.
        sources: networks that it is for, by family; a family that is missing has no limits unless
            ``everyone`` is False.
        everyone: whether it is for every source.
        set: name of a set of source addresses; empty for none.
        families: address families that it is for.
        addresses: addresses of the host that it is for, by family; empty for all of them.
        action: one of :data:`ACTIONS`.
        rate: new connections of one source that pass with ``limit``: number, unit, burst.
        log: whether what it decides is logged, ten lines a minute at most.
        comment: the administrator's words.
    """

    name: str
    ports: tuple[tuple[int, int], ...] = ()
    protocol: str = ""
    sources: Mapping[str, tuple[str, ...]] = {}
    everyone: bool = True
    set: str = ""
    families: tuple[str, ...] = FAMILIES
    addresses: Mapping[str, tuple[str, ...]] = {}
    action: str = ALLOW
    rate: tuple[int, str, int] = (0, "", 0)
    log: bool = False
    comment: str = ""

    @property
    def opens(self) -> bool:
        """Whether it lets anything in."""
        return self.action in (ALLOW, LIMIT)

    @property
    def restricted(self) -> bool:
        """Whether it is for a part of the world only."""
        return bool(
            not self.everyone or self.set or self.addresses or len(self.families) < len(FAMILIES)
        )


class Snat(NamedTuple):
    """Outgoing connections from a network that get another source address."""

    family: str
    source: str
    to: str
    ports: tuple[tuple[int, int], ...]


class Ruleset(NamedTuple):
    """Everything that the firewall of a host is.

    Attributes:
        rules: rules for published ports, in the order in which they are asked.
        host_rules: rules for ports of the host itself, likewise.
        sets: name of each set to its networks by family, canonical and sorted.
        policy: what becomes of published ports that no rule is for: ``allow``, ``drop``, ``reject``.
        host_policy: the same for ports of the host.
        bridges: the engine's interfaces.
        snat: source addresses of outgoing connections.
        proxied: protocol and number of ports that the engine's helper serves on the host, and no
            rule opens; see :func:`with_proxied`.
    """

    rules: tuple[Rule, ...]
    host_rules: tuple[Rule, ...]
    sets: Mapping[str, Mapping[str, tuple[str, ...]]]
    policy: str = DROP
    host_policy: str = ALLOW
    bridges: tuple[str, ...] = BRIDGES
    snat: tuple[Snat, ...] = ()
    proxied: tuple[tuple[str, int], ...] = ()


class Line(NamedTuple):
    """One match and its verdict, which each backend spells in its own language.

    Attributes:
        verdict: ``pass``, ``drop`` or ``reject``.
        family: the address family that it is for; empty for both.
        sources: source networks, of ``family``; empty for any.
        set: name of a set of source networks, of ``family``.
        protocol: ``tcp``, ``udp``, ``icmp`` (of the family) or empty.
        port: range of destination ports.
        published: whether ``port`` and ``addresses`` are those that the client asked for, before
            any translation; without it the packet's own.
        addresses: destination addresses of ``family`` that the client asked for.
        came_in, goes_out: interface, a plus sign at its end for any text.
        state: ``established`` for packets of known connections, ``translated`` for what came
            through a published port.
        icmp_types: numbers; empty for all.
        rate: connections of one source that match: number, unit, burst.
        log: name to log under; empty for none.
        comment: text to leave at the line.
    """

    verdict: str
    family: str = ""
    sources: tuple[str, ...] = ()
    set: str = ""
    protocol: str = ""
    port: tuple[int, int] | None = None
    published: bool = False
    addresses: tuple[str, ...] = ()
    came_in: str = ""
    goes_out: str = ""
    state: str = ""
    icmp_types: tuple[int, ...] = ()
    rate: tuple[int, str, int] | None = None
    log: str = ""
    comment: str = ""


class Packet(NamedTuple):
    """The first packet of a connection from outside, as :func:`verdict` judges it.

    Attributes:
        source: address that it comes from.
        port: port that the client asked for.
        protocol: ``tcp`` or ``udp``.
        address: address that the client asked for; empty for one that no rule names.
    """

    source: str
    port: int
    protocol: str = "tcp"
    address: str = ""


def build(
    stack: str = "",
    config: Mapping[str, Any] | None = None,
    rules: Iterable[Mapping[str, Any]] = (),
    host_rules: Iterable[Mapping[str, Any]] = (),
    sets: Iterable[Mapping[str, Any]] = (),
    policy: str = DROP,
    host_policy: str = ALLOW,
    ssh_ports: Iterable[Any] = (22,),
    admin_sources: Iterable[str] = (),
    bridges: Iterable[str] = BRIDGES,
    snat: Iterable[Mapping[str, Any]] = (),
) -> Ruleset:
    """Return the rules of a host: an administrator's, and those that follow from the stack.

    A public port of the stack is open unless a rule that allows or limits names it; then that rule
    says for whom. The same holds for SSH.

    Args:
        stack: name of the stack whose public ports are open; empty for none.
        config: settings of the stack that move its ports.
        rules: rules for published ports.
        host_rules: rules for the host's own ports.
        sets: sets of addresses that rules refer to.
        policy: for published ports without a rule.
        host_policy: for the host's ports without a rule.
        ssh_ports: ports of the SSH server.
        admin_sources: networks that SSH is open for; all when empty.
        bridges: the engine's interfaces.
        snat: see :class:`Snat`.

    Raises:
        RulesetError: something that is not allowed.
    """
    ports = _stack_ports(stack, config)
    services = {name.lower(): port for name, port in ports}
    known_sets = _sets(sets)
    names: set[str] = set()
    published = [_rule(item, "rules", services, known_sets, names) for item in rules]
    own = [_rule(item, "host_rules", {}, known_sets, names) for item in host_rules]
    for option, value in (("policy", policy), ("host_policy", host_policy)):
        if value not in (ALLOW, DROP, REJECT):
            raise RulesetError(
                "{0} is {1!r}; allowed: {2}".format(option, value, ", ".join((ALLOW, DROP, REJECT)))
            )
    for name, port in ports:
        if not _is_loopback(port.address) and port.public:
            _add_default(published, Rule(name, ((port.number, port.number),), port.protocol))
    admins = _networks("admin_sources", admin_sources)
    for text in ssh_ports:
        low, high = port_range("ssh_ports", text)
        _add_default(
            own,
            Rule("ssh", ((low, high),), "tcp", admins, not any(admins.values()), comment="SSH"),
        )
    for text in bridges:
        if not isinstance(text, str) or not _INTERFACE.match(text):
            raise RulesetError(
                "bridges has {0!r}; allowed: names of interfaces, with + at the end for any "
                "text".format(text)
            )
    return Ruleset(
        tuple(published),
        tuple(own),
        known_sets,
        policy,
        host_policy,
        tuple(bridges),
        tuple(_snat(item, stack, config) for item in snat),
    )


def with_proxied(ruleset: Ruleset, ports: Iterable[tuple[str, int]]) -> Ruleset:
    """Return rules that close published ports on the host as well, where nobody opens them.

    Where the engine does not translate (IPv6 to a network without it), its helper takes the
    connection on the host; nothing but its socket tells it from one to the host's own service.

    Args:
        ruleset: the rules.
        ports: protocol and number of the ports that the helper serves.
    """
    opened = [rule for rule in (*ruleset.rules, *ruleset.host_rules) if rule.opens]
    return ruleset._replace(
        proxied=tuple(
            (protocol, number)
            for protocol, number in sorted(set(ports))
            if not any(
                rule.protocol == protocol and low <= number <= high
                for rule in opened
                for low, high in rule.ports
            )
        )
    )


def lines(ruleset: Ruleset, hook: str) -> list[Line]:
    """Return what is matched on a packet's way, first match wins; what matches nothing passes."""
    found = []
    for line in _forward(ruleset) if hook == FORWARD else _input(ruleset):
        if line.verdict == REJECT and not line.protocol:
            # TCP is answered by a reset: errors of ICMPv6 get lost on the way back through the
            # translation of addresses.
            found.append(line._replace(protocol="tcp"))
        found.append(line)
    return found


def verdict(ruleset: Ruleset, hook: str, packet: Packet) -> tuple[str, Line | None]:
    """Return what becomes of the first packet of a connection from outside, and the line that says so.

    Limits of rates count as not reached. On :data:`FORWARD` the packet came through a published
    port.
    """
    family = IPV6 if ":" in packet.source else IPV4
    for line in lines(ruleset, hook):
        if _matches(ruleset, line, packet, family):
            return line.verdict, line
    return PASS, None


def collapse(family: str, texts: Iterable[Any], what: str) -> tuple[str, ...]:
    """Return networks in canonical spelling, sorted, without those inside others.

    Args:
        family: their address family.
        texts: addresses and networks.
        what: where they are from, for the message.

    Raises:
        RulesetError: one that is none; the text names it.
    """
    found = sorted({_parse(family, text, what) for text in texts})
    bits = 32 if family == IPV4 else 128
    kept: list[tuple[int, int]] = []
    end = -1
    for start, prefix in found:
        last = start + (1 << (bits - prefix)) - 1
        if last > end:
            kept.append((start, prefix))
            end = last
    return tuple(_spell(family, start, prefix) for start, prefix in kept)


def family_of(text: str) -> str:
    """Return the family of an address or network, by its look."""
    return IPV6 if ":" in text else IPV4


def set_entries(text: str, what: str) -> list[str]:
    """Return the entries of a file: one a line, what follows ``#`` or ``;`` is a comment.

    Raises:
        RulesetError: a line that is no address and no network; the text names it by its number.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        entry = re.split("[#;]", line, maxsplit=1)[0].strip()
        if entry:
            _parse(family_of(entry), entry, "{0}, line {1},".format(what, number))
            found.append(entry)
    return found


# -- the order of things ---------------------------------------------------------------------------


def _forward(ruleset: Ruleset) -> Iterable[Line]:
    yield Line(PASS, state="established", comment="known connections")
    for bridge in ruleset.bridges:
        yield Line(PASS, came_in=bridge, comment="from containers")
    for rule in ruleset.rules:
        yield from _rule_lines(rule, ruleset, published=True)
    if ruleset.policy == ALLOW:
        yield from _closing(ruleset.rules, published=True)
        return
    yield Line(PASS, protocol="icmp", comment="ICMP")
    yield Line(ruleset.policy, state="translated", published=True, comment="other published ports")
    # With a route to the bridge's network a neighbour needs no published port.
    for bridge in ruleset.bridges:
        yield Line(ruleset.policy, goes_out=bridge, comment="straight to containers")


def _input(ruleset: Ruleset) -> Iterable[Line]:
    yield Line(PASS, came_in="lo", comment="the host itself")
    yield Line(PASS, state="established", comment="known connections")
    for bridge in ruleset.bridges:
        yield Line(PASS, came_in=bridge, comment="from containers")
    yield Line(PASS, IPV4, protocol="icmp", icmp_types=_ICMP_TYPES, comment="ICMP")
    yield Line(PASS, IPV6, protocol="icmp", comment="ICMPv6")
    for rule in ruleset.host_rules:
        yield from _rule_lines(rule, ruleset, published=False)
    for rule in ruleset.rules:
        # Without a port it is about all that is published, which here looks like the host's own.
        if rule.ports or not rule.opens:
            yield from _rule_lines(rule, ruleset, published=True)
    if ruleset.host_policy == ALLOW:
        yield from _closing(ruleset.host_rules, published=False)
        yield from _closing(ruleset.rules, published=True)
        for protocol, number in ruleset.proxied if ruleset.policy != ALLOW else ():
            yield Line(
                ruleset.policy,
                protocol=protocol,
                port=(number, number),
                published=True,
                comment="other published ports",
            )
        return
    yield Line(PASS, IPV4, protocol="udp", port=(68, 68), comment="DHCP")
    yield Line(PASS, IPV6, ("fe80::/10",), protocol="udp", port=(546, 546), comment="DHCPv6")
    yield Line(ruleset.host_policy, comment="everything else")


def _rule_lines(rule: Rule, ruleset: Ruleset, published: bool) -> Iterable[Line]:
    """Yield the lines of one rule."""
    text = rule.name + (": " + rule.comment if rule.comment else "")
    verdict_of = {ALLOW: PASS, LIMIT: PASS, DROP: DROP, REJECT: REJECT}[rule.action]
    for family, sources, addresses in _reach(rule, ruleset):
        for port in rule.ports or (None,):
            line = Line(
                verdict_of,
                family,
                sources,
                rule.set,
                rule.protocol,
                port,
                published,
                addresses,
                log=rule.name if rule.log and rule.action != LIMIT else "",
                comment=text,
            )
            if rule.action == LIMIT:
                yield line._replace(rate=rule.rate)
                yield line._replace(verdict=DROP, log=rule.name if rule.log else "")
            else:
                yield line


def _reach(rule: Rule, ruleset: Ruleset) -> Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Yield family, sources and addresses; one without family where both are alike."""
    if not rule.restricted and rule.action != LIMIT:
        yield "", (), ()
        return
    for family in rule.families:
        sources = rule.sources.get(family, ())
        addresses = rule.addresses.get(family, ())
        if not rule.everyone and not sources:
            continue
        if rule.addresses and not addresses:
            continue
        if rule.set and not ruleset.sets[rule.set][family]:
            continue
        yield family, sources, addresses


def _closing(rules: Sequence[Rule], published: bool) -> Iterable[Line]:
    """Yield what closes ports for all but those whom the rules name."""
    done = set()
    for rule in rules:
        if rule.opens and rule.restricted:
            for port in rule.ports:
                if (rule.protocol, port) not in done:
                    done.add((rule.protocol, port))
                    yield Line(
                        DROP,
                        protocol=rule.protocol,
                        port=port,
                        published=published,
                        comment=rule.name + " for nobody else",
                    )


def _matches(ruleset: Ruleset, line: Line, packet: Packet, family: str) -> bool:
    """Tell whether a line is for the first packet of a connection from outside."""
    if line.family not in ("", family) or line.state == "established" or line.came_in:
        return False
    if line.protocol not in ("", packet.protocol):
        return False
    if line.port and not line.port[0] <= packet.port <= line.port[1]:
        return False
    if line.addresses and packet.address not in line.addresses:
        return False
    if line.sources and not _inside(packet.source, family, line.sources):
        return False
    return not line.set or _inside(packet.source, family, ruleset.sets[line.set][family])


def _inside(address: str, family: str, networks: Iterable[str]) -> bool:
    """Tell whether an address lies in one of the networks."""
    bits = 32 if family == IPV4 else 128
    number = _parse(family, address, "")[0]
    for text in networks:
        start, prefix = _parse(family, text, "")
        if start >> (bits - prefix) == number >> (bits - prefix):
            return True
    return False


# -- from options to values ------------------------------------------------------------------------


def _stack_ports(stack: str, config: Mapping[str, Any] | None) -> list[tuple[str, needs.Port]]:
    """Return the ports of a stack by the names of its services."""
    if not stack:
        if config:
            raise RulesetError("config is given without a stack; allowed: both, or none")
        return []
    try:
        need = needs.from_stack(stacks.get(stack), config=config)
    except ValueError as error:
        raise RulesetError(str(error)) from None
    return [(port.name, port) for port in need.ports]


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _add_default(rules: list[Rule], default: Rule) -> None:
    """Add a rule unless one that opens the same port is there."""
    low, high = default.ports[0]
    for rule in rules:
        covers = any(first <= low and high <= last for first, last in rule.ports)
        if covers and rule.opens and rule.protocol == default.protocol:
            return
    rules.append(default)


def _rule(
    item: Mapping[str, Any],
    option: str,
    services: Mapping[str, needs.Port],
    sets: Mapping[str, Any],
    names: set[str],
) -> Rule:
    """Return one rule; its name is added to the names in use."""
    name = _name(item, option, RULE_KEYS)
    what = "rule {0!r}".format(name)
    if name.lower() in names:
        raise RulesetError(
            "{0}: there are two of this name in rules and host_rules; allowed: a name of its own "
            "for each".format(what)
        )
    names.add(name.lower())
    action = _choice(what, "action", item.get("action") or ALLOW, ACTIONS)
    families = tuple(
        _choice(what, "families", family, FAMILIES)
        for family in _list(what, "families", item.get("families") or FAMILIES)
    )
    ports, protocol = _ports(what, item, services)
    listed = _list(what, "sources", item.get("sources"))
    sources = _by_family(what, "sources", listed, families)
    listed_addresses = _list(what, "addresses", item.get("addresses"))
    addresses = _by_family(what, "addresses", listed_addresses, families)
    for text in listed_addresses:
        if "/" in str(text):
            raise RulesetError(
                "{0}: addresses has {1!r}; allowed: addresses of the host, without a prefix "
                "length".format(what, text)
            )
    set_name = item.get("set") or ""
    if set_name and set_name not in sets:
        raise RulesetError(
            "{0}: set is {1!r}; allowed: {2}".format(
                what, set_name, ", ".join(sorted(sets)) or "a name from sets, which has none"
            )
        )
    if set_name and listed:
        raise RulesetError("{0}: has sources and a set; allowed: one of them".format(what))
    if action == LIMIT and not ports:
        raise RulesetError("{0}: limit needs ports or a service".format(what))
    if not ports and option == "host_rules" and action == ALLOW and not (listed or set_name):
        raise RulesetError(
            "{0}: would open everything to everybody; allowed: ports, sources or a set".format(what)
        )
    comment = item.get("comment") or ""
    if not isinstance(comment, str) or not _COMMENT.match(comment):
        raise RulesetError(
            "{0}: comment is {1!r}; allowed: up to 80 letters, digits, blanks and any of "
            "_.,:;()/+=@#-".format(what, comment)
        )
    return Rule(
        name,
        ports,
        protocol,
        sources,
        not listed,
        set_name,
        families,
        addresses if listed_addresses else {},
        action,
        _rate(what, item) if action == LIMIT else (0, "", 0),
        bool(item.get("log")),
        comment,
    )


def _name(item: Any, option: str, keys: Sequence[str], pattern: re.Pattern = _NAME) -> str:
    """Return the name of an entry, and refuse keys that nobody knows."""
    if not isinstance(item, Mapping):
        raise RulesetError(
            "{0} has {1!r}; allowed: dictionaries with {2}".format(option, item, ", ".join(keys))
        )
    name = item.get("name")
    if not isinstance(name, str) or not pattern.match(name):
        raise RulesetError(
            "{0}: name is {1!r}; allowed: up to {2} letters, digits and '-'{3}, the first a "
            "letter or digit".format(
                option,
                name,
                32 if pattern is _NAME else 20,
                ", '_', '.'" if pattern is _NAME else "",
            )
        )
    for key in item:
        if key not in keys:
            raise RulesetError(
                "{0}: {1!r} has {2!r}; allowed: {3}".format(option, name, key, ", ".join(keys))
            )
    return name


def _choice(what: str, key: str, value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise RulesetError(
            "{0}: {1} is {2!r}; allowed: {3}".format(what, key, value, ", ".join(choices))
        )
    return value


def _list(what: str, key: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise RulesetError("{0}: {1} is {2!r}; allowed: a list".format(what, key, value))
    return list(value)


def _ports(
    what: str, item: Mapping[str, Any], services: Mapping[str, needs.Port]
) -> tuple[tuple[tuple[int, int], ...], str]:
    """Return ranges of ports, and their protocol."""
    service = item.get("service")
    listed = _list(what, "ports", item.get("ports"))
    protocol = item.get("protocol") or "tcp"
    _choice(what, "protocol", protocol, PROTOCOLS)
    if service and listed:
        raise RulesetError("{0}: has a service and ports; allowed: one of them".format(what))
    if service:
        port = services.get(str(service).lower())
        if port is None:
            known = ", ".join(sorted(port.name for port in services.values()))
            raise RulesetError(
                "{0}: service is {1!r}; allowed: {2}".format(
                    what, service, known or "none, as there is no stack that has any; name ports"
                )
            )
        return ((port.number, port.number),), port.protocol
    ranges = tuple(sorted({port_range(what + ": ports", text) for text in listed}))
    for (_low, high), (low, _high) in zip(ranges, ranges[1:]):
        if low <= high:
            raise RulesetError("{0}: ports has {1} twice".format(what, low))
    return ranges, protocol if ranges else ""


def port_range(what: str, text: Any) -> tuple[int, int]:
    """Return the ends of a range of ports, such as ``25`` and ``8000-8100``.

    Args:
        what: the option, for the message.
        text: the range.

    Raises:
        RulesetError: it is none.
    """
    found = re.match(r"([0-9]{1,5})(?:[-:]([0-9]{1,5}))?\Z", str(text).strip())
    low = int(found.group(1)) if found else 0
    high = int(found.group(2) or low) if found else 0
    if isinstance(text, bool) or not 1 <= low <= high <= 65535:
        raise RulesetError(
            "{0} has {1!r}; allowed: 1 to 65535, or a range such as 8000-8100".format(what, text)
        )
    return low, high


def _networks(option: str, texts: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    listed = _list(option, "it", texts)
    return {
        family: collapse(family, [t for t in listed if family_of(str(t)) == family], option)
        for family in FAMILIES
    }


def _by_family(
    what: str, key: str, texts: Sequence[Any], families: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return networks by family, and refuse those of a family that the rule is not for."""
    for text in texts:
        if family_of(str(text)) not in families:
            raise RulesetError(
                "{0}: {1} has {2!r}, and families only {3}; allowed: addresses of that "
                "family".format(what, key, text, ", ".join(families))
            )
    return _networks("{0}: {1}".format(what, key), texts)


def _rate(what: str, item: Mapping[str, Any]) -> tuple[int, str, int]:
    text = item.get("rate") or "10/minute"
    found = _RATE.match(str(text))
    if not found or int(found.group(1)) == 0:
        raise RulesetError(
            "{0}: rate is {1!r}; allowed: a number of connections per {2}, such as "
            "10/minute".format(what, text, ", ".join(RATE_UNITS))
        )
    burst = 5 if item.get("burst") is None else item["burst"]
    if isinstance(burst, bool) or not isinstance(burst, int) or not 1 <= burst <= 10000:
        raise RulesetError("{0}: burst is {1!r}; allowed: 1 to 10000".format(what, burst))
    return int(found.group(1)), found.group(2), burst


def _sets(items: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for item in items:
        name = _name(item, "sets", SET_KEYS, _SET_NAME)
        if name in found:
            raise RulesetError("sets: {0!r} is there twice".format(name))
        found[name] = _networks(
            "set {0!r}".format(name), _list("set " + name, "entries", item.get("entries"))
        )
    return found


def _snat(item: Mapping[str, Any], stack: str, config: Mapping[str, Any] | None) -> Snat:
    """Return one translation; its network is the stack's unless it names one."""
    if not isinstance(item, Mapping) or any(key not in SNAT_KEYS for key in item):
        raise RulesetError(
            "snat has {0!r}; allowed: dictionaries with {1}".format(item, ", ".join(SNAT_KEYS))
        )
    target = str(item.get("to") or "")
    family = family_of(target)
    to = collapse(family, [target], "snat: to")[0]
    if "/" in target:
        raise RulesetError("snat: to is {0!r}; allowed: one address".format(target))
    source = item.get("source")
    if not source and stack:
        need = needs.from_stack(stacks.get(stack), config=config)
        source = getattr(need.networks[0], family)
    if not source or family_of(str(source)) != family:
        raise RulesetError(
            "snat: to is {0}, source {1!r}; allowed: a network of the same family, as the stack "
            "has none".format(to, source or "")
        )
    ports = tuple(
        port_range("snat: ports", text)
        for text in _list("snat", "ports", item.get("ports") or [25])
    )
    return Snat(family, collapse(family, [source], "snat: source")[0], to, ports)


# -- addresses -------------------------------------------------------------------------------------


def _parse(family: str, text: Any, what: str) -> tuple[int, int]:
    """Return a network as number and prefix length. A tenth of the time that ipaddress takes."""
    bits = 32 if family == IPV4 else 128
    trouble = "an address, or a network such as {0}".format(
        "192.0.2.0/24" if family == IPV4 else "2001:db8::/32"
    )
    address, slash, length = str(text).strip().partition("/")
    try:
        raw = socket.inet_pton(socket.AF_INET if family == IPV4 else socket.AF_INET6, address)
        prefix = int(length) if slash else bits
        if not (length or "0").isdigit() or not 1 <= prefix <= bits:
            raise ValueError
    except (OSError, ValueError):
        raise RulesetError("{0} has {1!r}; allowed: {2}".format(what, text, trouble)) from None
    number = int.from_bytes(raw, "big")
    host = number & ((1 << (bits - prefix)) - 1)
    if host:
        raise RulesetError(
            "{0} has {1!r}, an address inside the network {2}; allowed: {3}".format(
                what, text, _spell(family, number - host, prefix), trouble
            )
        )
    return number, prefix


def _spell(family: str, number: int, prefix: int) -> str:
    """Return a network as the kernel's programs print it: one address has no prefix length."""
    bits = 32 if family == IPV4 else 128
    text = socket.inet_ntop(
        socket.AF_INET if family == IPV4 else socket.AF_INET6, number.to_bytes(bits // 8, "big")
    )
    return text if prefix == bits else "{0}/{1}".format(text, prefix)
