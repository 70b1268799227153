# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's packet filter rules, read from iptables-save and nft as values of one form.

Only what decides about ports and about traffic to containers is kept of a rule.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

ACCEPT, DROP, REJECT, RETURN = "ACCEPT", "DROP", "REJECT", "RETURN"

#: Which rules iptables and its programs work with.
NFT, LEGACY = "nf_tables", "legacy"

# Table names of iptables; the nft variant keeps its rules in tables of these names.
_TABLES = ("filter", "nat", "mangle", "raw", "security")

# Lists the tables that modules of the legacy variant are loaded for. A listing by its own program
# would load them, so this is looked at first.
_LEGACY_NAMES = {"ip": "/proc/net/ip_tables_names", "ip6": "/proc/net/ip6_tables_names"}

_VERDICTS = {"accept": ACCEPT, "drop": DROP, "reject": REJECT, "return": RETURN}


class Rule(NamedTuple):
    """A rule.

    Attributes:
        target: ``ACCEPT``, ``DROP``, ``REJECT``, ``RETURN``, another target, the name of a chain to
            go on with, or empty for none.
        ports: ranges of destination ports that it is for; empty for all of them.
        source: whether it is for some source addresses only.
        loopback: whether it is for the loopback interface only.
        established: whether it is for packets of known connections only.
        translated: whether it is for traffic to published ports only.
        interfaces: interfaces that it is for.
        conditional: whether it is for some packets only.
    """

    target: str
    ports: tuple[tuple[int, int], ...] = ()
    source: bool = False
    loopback: bool = False
    established: bool = False
    translated: bool = False
    interfaces: tuple[str, ...] = ()
    conditional: bool = False


class Chain(NamedTuple):
    """A chain; ``hook`` is empty for one that is only jumped to, and so is ``policy``."""

    name: str
    hook: str
    policy: str
    rules: tuple[Rule, ...]


class Table(NamedTuple):
    """A table: ``variant`` is :data:`NFT`, :data:`LEGACY` or ``native`` for nft's own."""

    variant: str
    family: str
    name: str
    chains: Mapping[str, Chain]

    @property
    def title(self) -> str:
        """How the table is named in messages."""
        prefix = {NFT: "", LEGACY: "legacy ", "native": ""}[self.variant]
        return "{0}{1} {2}".format(prefix, self.family, self.name)

    @property
    def used(self) -> bool:
        """True when there is a rule, or a policy that is not to accept."""
        return any(
            chain.rules or chain.policy not in ("", ACCEPT) for chain in self.chains.values()
        )

    def hooked(self, hook: str) -> list[Chain]:
        """Return the chains that packets enter by a hook: ``input``, ``forward`` …"""
        return [chain for chain in self.chains.values() if chain.hook == hook]

    def walk(self, chain: Chain) -> Iterator[tuple[str, Rule]]:
        """Yield the rules that packets of a chain can meet, with the names of their chains.

        What a jump is limited to, the rules behind it are limited to as well.
        """
        yield from self._walk(chain, Rule(""), ())

    def _walk(self, chain: Chain, limit: Rule, seen: tuple[str, ...]) -> Iterator[tuple[str, Rule]]:
        for rule in chain.rules:
            rule = rule._replace(
                ports=rule.ports or limit.ports,
                source=rule.source or limit.source,
                loopback=rule.loopback or limit.loopback,
                established=rule.established or limit.established,
                translated=rule.translated or limit.translated,
                interfaces=rule.interfaces + limit.interfaces,
                conditional=rule.conditional or limit.conditional,
            )
            yield chain.name, rule
            if rule.target in self.chains and rule.target not in seen:
                yield from self._walk(self.chains[rule.target], rule, (*seen, chain.name))


class Ruleset(NamedTuple):
    """All rules that were found.

    Attributes:
        variant: which rules the command ``iptables`` works with; empty when there is no such
            command.
        programs: names of the programs that there are to read rules with.
        tables: the tables.
    """

    variant: str
    programs: tuple[str, ...]
    tables: tuple[Table, ...]

    def find(self, family: str, name: str, variant: str = "") -> list[Table]:
        """Return iptables' table of a family: one, or one of each variant that has it."""
        return [
            table
            for table in self.tables
            if (table.family, table.name) == (family, name)
            and table.variant in ((variant,) if variant else (NFT, LEGACY))
        ]


def ruleset(host: Host) -> Ruleset:
    """Return the rules, read once for all checks.

    Raises:
        HostError: a program refuses, mostly for want of root's rights.
    """
    return host.once(_read)


def legacy_tables(host: Host, family: str) -> list[str]:
    """Return the tables that the kernel has loaded for iptables' legacy variant."""
    return (host.read(_LEGACY_NAMES[family]) or "").split()


def variant_of(host: Host, program: str) -> str:
    """Return which variant a program of iptables is; empty when there is no such program."""
    path = host.which(program)
    if path is None:
        return ""
    # xtables-nft-multi, xtables-legacy-multi; xtables-multi before there were two.
    return NFT if "nft" in host.realpath(path).rpartition("/")[2] else LEGACY


def _read(host: Host) -> Ruleset:
    calls: list[tuple[str, str, str]] = []
    programs = []
    for family, base in (("ip", "iptables"), ("ip6", "ip6tables")):
        variant = variant_of(host, base + "-save")
        if variant:
            programs.append(base + "-save")
        if variant == NFT:
            calls.append((NFT, family, base + "-save"))
        if legacy_tables(host, family):
            program = base + ("-legacy-save" if host.which(base + "-legacy-save") else "-save")
            if variant == LEGACY or program.endswith("-legacy-save"):
                calls.append((LEGACY, family, program))
    tables: list[Table] = []
    for variant, family, program in calls:
        tables += parse_save(_output(host, [program]), variant, family)
    if host.which("nft"):
        programs.append("nft")
        known = {(table.family, table.name) for table in tables if table.variant == NFT}
        # iptables' own rules are read better by its own program.
        tables += [
            table
            for table in parse_nft(_output(host, ["nft", "-j", "list", "ruleset"]))
            if (table.family, table.name) not in known
        ]
    return Ruleset(variant_of(host, "iptables"), tuple(programs), tuple(tables))


def _output(host: Host, argv: list[str]) -> str:
    # Notes such as "iptables-legacy tables present" go to the standard error output.
    result = host.run(argv, timeout=10)
    if result.rc != 0:
        reason = (result.stderr.strip() or "return code {0}".format(result.rc)).splitlines()[0]
        raise HostError("{0} does not show the rules: {1}".format(argv[0], reason))
    return result.stdout


def parse_save(text: str, variant: str, family: str) -> list[Table]:
    """Return the tables in the output of iptables-save or ip6tables-save."""
    import shlex

    tables = []
    heads: dict[str, tuple[str, str]] = {}
    rules: dict[str, list[Rule]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("*"):
            name, heads, rules = line[1:].strip(), {}, {}
        elif line.startswith(":"):
            chain, policy = line[1:].split()[:2]
            built_in = policy != "-"
            heads[chain] = (chain.lower() if built_in else "", policy if built_in else "")
        elif line.startswith("-A "):
            words = shlex.split(line)
            rules.setdefault(words[1], []).append(_save_rule(words[2:]))
        elif line == "COMMIT":
            chains = {
                chain: Chain(chain, hook, policy, tuple(rules.get(chain, ())))
                for chain, (hook, policy) in heads.items()
            }
            tables.append(Table(variant, family, name, chains))
    return tables


def _save_rule(words: list[str]) -> Rule:
    """Return a rule from the options of one line."""
    rule = Rule("")
    negated = False
    index = 0
    while index < len(words):
        word = words[index]
        value = words[index + 1] if index + 1 < len(words) else ""
        index += 2 if word.startswith("-") and not value.startswith("-") and value != "!" else 1
        if word == "!":
            negated = True
            continue
        if word in ("-j", "-g"):
            rule = rule._replace(target=value)
        elif word == "--match-set":
            from_set = "src" in words[index : index + 1]
            rule = rule._replace(conditional=True, source=rule.source or from_set)
        elif word == "-m" or word == "--comment":
            pass  # what matches is said by the match's own options
        elif word.startswith("--") and rule.target:
            pass  # options of a target
        else:
            rule = _limit(rule._replace(conditional=True), word, value, negated)
        negated = False
    return rule


def _limit(rule: Rule, word: str, value: str, negated: bool) -> Rule:
    """Return a rule with one more condition."""
    if word in ("-s", "--source", "--src-range"):
        return rule._replace(source=True)
    if negated:
        return rule
    if word in ("--dport", "--dports", "--ctorigdstport"):
        return rule._replace(ports=_ranges(value))
    if word in ("-i", "-o"):
        return rule._replace(
            loopback=rule.loopback or value == "lo", interfaces=(*rule.interfaces, value)
        )
    if word in ("--ctstate", "--state"):
        states = set(value.split(","))
        return rule._replace(
            established=rule.established or states <= {"ESTABLISHED", "RELATED", "INVALID"},
            translated=rule.translated or states == {"DNAT"},
        )
    return rule


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return port ranges from ``25,80:90``."""
    found = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        if (low + high).isdigit():
            found.append((int(low or 0), int(high or (65535 if colon else low))))
    return tuple(found)


def parse_nft(text: str) -> list[Table]:
    """Return the tables in the output of ``nft -j list ruleset``.

    Raises:
        HostError: it is not what nft writes.
    """
    import json

    try:
        entries = json.loads(text or '{"nftables": []}')["nftables"]
    except (ValueError, KeyError, TypeError) as error:
        raise HostError("nft -j list ruleset gives no JSON") from error
    names: dict[tuple[str, str], dict[str, Any]] = {}
    heads: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    sets: dict[tuple[str, str, str], Any] = {}
    for entry in entries:
        for kind, item in entry.items():
            if kind == "table":
                names[item["family"], item["name"]] = {}
            elif kind == "chain":
                heads[item["family"], item["table"], item["name"]] = item
            elif kind in ("set", "map"):
                sets[item["family"], item["table"], item["name"]] = item.get("elem", [])
    for entry in entries:
        item = entry.get("rule")
        if item:
            place = (item["family"], item["table"])
            known = {key[2]: elements for key, elements in sets.items() if key[:2] == place}
            rules.setdefault((*place, item["chain"]), []).extend(_nft_rules(item["expr"], known))
    for (family, table, name), head in heads.items():
        names[family, table][name] = Chain(
            name,
            head.get("hook", ""),
            head.get("policy", "").upper(),
            tuple(rules.get((family, table, name), ())),
        )
    return [
        Table(_nft_variant(family, name, chains), family, name, chains)
        for (family, name), chains in names.items()
    ]


def _nft_variant(family: str, name: str, chains: Mapping[str, Chain]) -> str:
    """Tell iptables' own tables by their names and those of their base chains."""
    hooked = [chain for chain in chains.values() if chain.hook]
    own = family in ("ip", "ip6") and name in _TABLES
    return NFT if own and hooked and all(c.name == c.hook.upper() for c in hooked) else "native"


def _nft_rules(expressions: list[Mapping[str, Any]], sets: Mapping[str, Any]) -> list[Rule]:
    """Return what one rule of nft does; one with a map of verdicts does several things."""
    rule = Rule("")
    for expression in expressions:
        for kind, item in expression.items():
            if kind == "match":
                rule = _nft_match(rule._replace(conditional=True), item, sets)
            elif kind in ("jump", "goto"):
                return [rule._replace(target=item["target"])]
            elif kind in _VERDICTS:
                return [rule._replace(target=_VERDICTS[kind])]
            elif kind == "xt":
                # Older releases of nft do not say what it is.
                if item and item.get("type") == "target":
                    return [rule._replace(target=item.get("name", ""))]
                rule = rule._replace(conditional=True)
            elif kind == "vmap":
                return _nft_map(rule._replace(conditional=True), item, sets)
            elif kind in ("limit", "ct count"):
                rule = rule._replace(conditional=True)
    return [rule]


def _nft_map(rule: Rule, item: Mapping[str, Any], sets: Mapping[str, Any]) -> list[Rule]:
    """Return one rule for each verdict of a map."""
    found = []
    for pair in _elements(item.get("data"), sets):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], dict):
            continue
        match = {"op": "==", "left": item.get("key"), "right": pair[0]}
        limited = _nft_match(rule, match, sets)
        found += [limited._replace(target=other.target) for other in _nft_rules([pair[1]], sets)]
    return found or [rule]


def _nft_match(rule: Rule, item: Mapping[str, Any], sets: Mapping[str, Any]) -> Rule:
    """Return a rule with one more condition."""
    left = item.get("left")
    if not isinstance(left, dict):
        return rule
    field = (left.get("payload") or {}).get("field", "")
    key = (left.get("meta") or left.get("ct") or {}).get("key", "")
    if field == "saddr":
        return rule._replace(source=True)
    if item.get("op") == "!=":
        return rule
    values = _elements(item.get("right"), sets)
    texts = [value for value in values if isinstance(value, str)]
    if field == "dport":
        return rule._replace(ports=tuple(_nft_range(v) for v in values if _nft_range(v)))
    if key in ("iif", "iifname", "oif", "oifname"):
        return rule._replace(
            loopback=rule.loopback or texts == ["lo"],
            interfaces=rule.interfaces + tuple(texts),
        )
    if key == "state":
        known = set(texts) <= {"established", "related", "invalid"}
        return rule._replace(established=rule.established or (bool(texts) and known))
    if key == "status" and "dnat" in texts:
        return rule._replace(translated=True)
    return rule


def _elements(value: Any, sets: Mapping[str, Any]) -> list[Any]:
    """Return the elements of a value, a set, or a set by name."""
    if isinstance(value, str) and value.startswith("@"):
        value = sets.get(value[1:], [])
    if isinstance(value, dict) and "set" in value:
        value = value["set"]
    found = []
    for item in value if isinstance(value, list) else [value]:
        # An element with a timeout or a counter is wrapped.
        if isinstance(item, dict) and "elem" in item:
            item = item["elem"].get("val") if isinstance(item["elem"], dict) else item["elem"]
        found.append(item)
    return found


def _nft_range(value: Any) -> tuple[int, int] | tuple[()]:
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, dict) and len(value.get("range", ())) == 2:
        low, high = value["range"]
        if isinstance(low, int) and isinstance(high, int):
            return (low, high)
    return ()
