# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's packet filter: what meets, hides from, or flushes the container engine's rules."""

from __future__ import annotations

import re
from typing import Iterator

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    container,
    docker_engine,
    engine_state,
    host_info,
    netfilter,
    service_units,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
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

# Tables that are kept in step with the engine's rules by whoever owns them.
_ENGINES_OWN = ("docker-bridges",)
_FIREWALLD = "firewalld"

_DENY = (netfilter.DROP, netfilter.REJECT)

# Chains of mailcow's own container and of this collection, whose rules are made for both paths.
_BOTH_PATHS = ("MAILCOW", "MAILHOST")

# A range this wide is a way to say "everything else".
_WIDE = 10000

# Kernel modules without which the engine, or mailcow's netfilter container, cannot make its rules.
_ENGINE_MODULES = ("xt_addrtype", "xt_comment", "xt_mark")
_MAILCOW_MODULES = ("ip_tables", "iptable_filter", "ip6table_filter")


def services(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look for firewall services that run or start at boot, and say what each means here.

    firewalld and ufw are a ``warn``: their rules for ports do not concern containers, their
    policies cut containers off from the host's own addresses, and their reload can flush bans.
    A service that flushes the engine's rules when it is reloaded or restarted (nftables with
    ``flush ruleset``, iptables-services, shorewall without ``DOCKER=Yes``, saved rules that contain
    the engine's own) is a ``warn`` too: until the engine is restarted, clients appear with the
    bridge's address. ufw is on when /etc/ufw/ufw.conf says so, whatever its unit does.
    """
    required = "no firewall service that flushes or hides rules of the engine"
    active = _active(host)
    if active is None:
        fix = "Find out by hand which firewall is started at boot."
        return [answer(UNKNOWN, "neither systemd nor OpenRC is here", required, fix)]
    findings = []
    remarks = []
    for name, judge in _SERVICES:
        if name in active:
            observed, fix = judge(host)
            if fix:
                findings.append(answer(WARN, observed, required, fix))
            else:
                remarks.append(observed)
    return findings or [answer(OK, "; ".join(remarks) or "none", required)]


def _active(host: Host) -> set[str] | None:
    """Return the firewall services that run or will; None when that cannot be known."""
    names = {unit.partition(".")[0] for unit in service_units.FIREWALL}
    try:
        states = service_units.states(host)
        found = {name for name in names if states[name + ".service"].starts}
    except HostError:
        if not host.isdir("/etc/runlevels"):
            return None
        found = {name for name in names if host.glob("/etc/runlevels/*/" + name)}
    found.discard("ufw")
    enabled = re.search(r"^\s*ENABLED=[\"']?(\w+)", host.read("/etc/ufw/ufw.conf") or "", re.M)
    if enabled and enabled.group(1).lower() == "yes":
        found.add("ufw")
    return found


def _firewalld(host: Host) -> tuple[str, str]:
    observed = (
        "firewalld: its zones do not filter published ports, and containers cannot reach the "
        "host's own addresses"
    )
    if host.glob("/etc/firewalld/direct.xml"):
        observed += "; with direct rules each reload flushes DOCKER-USER and the bans in it"
    return observed, _OFF.format("systemctl disable --now firewalld", engine_state.renewal(host))


def _ufw(host: Host) -> tuple[str, str]:
    observed = (
        "ufw: its rules do not concern published ports, and containers cannot reach the host's "
        "own addresses"
    )
    if "DOCKER-USER" in (host.read("/etc/ufw/after.rules") or ""):
        observed += "; /etc/ufw/after.rules declares DOCKER-USER, so each reload flushes it"
    return observed, _OFF.format("ufw disable", engine_state.renewal(host))


_OFF = (
    "The firewall role takes its place with firewall_conflict: disable. By hand: put rules for the "
    "stack's ports into the chain DOCKER-USER and switch it off: {0}; then {1}. "
    "Check beforehand that SSH stays reachable and that nothing else needs it."
)


def _nftables(host: Host) -> tuple[str, str]:
    for path in ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf"):
        text = re.sub(r"#.*", "", host.read(path) or "")
        if re.search(r"\bflush\s+ruleset\b", text):
            return (
                "nftables: {0} has flush ruleset, so a reload removes the engine's rules and makes "
                "an open relay of the ports".format(path),
                # A flush of a table that is not there yet fails, and the whole file with it: at boot
                # the host would be without its rules.
                "Replace flush ruleset in {0} by two lines for each table of its own (add table inet "
                "filter, and below it: delete table inet filter), and after each stop of the "
                "service: {1}.".format(path, engine_state.renewal(host)),
            )
    return "nftables, without flush ruleset (a stop of the service flushes all the same)", ""


def _iptables(host: Host) -> tuple[str, str]:
    names = [name for name in ("iptables", "ip6tables") if name in (_active(host) or ())]
    return (
        "iptables-services: a restart replaces the engine's rules by the saved ones",
        "After each restart of it: {0}. Or: systemctl disable {1}.".format(
            engine_state.renewal(host), " ".join(names)
        ),
    )


def _persistent(host: Host) -> tuple[str, str]:
    saved = [
        path
        for path in ("/etc/iptables/rules.v4", "/etc/iptables/rules.v6")
        if re.search(r"^(:|-A )DOCKER", host.read(path) or "", re.MULTILINE)
    ]
    if saved:
        return (
            "netfilter-persistent: {0} contains rules of the engine, with addresses that "
            "containers no longer have".format(", ".join(saved)),
            "Delete every line with DOCKER, docker0 or br- from {0}, and do not use "
            "netfilter-persistent save.".format(", ".join(saved)),
        )
    return "netfilter-persistent, with rules of its own only", ""


def _shorewall(host: Host) -> tuple[str, str]:
    text = host.read("/etc/shorewall/shorewall.conf") or ""
    if re.search(r"^\s*DOCKER=[\"']?[Yy]es", text, re.MULTILINE):
        return "shorewall, which keeps the engine's rules (DOCKER=Yes)", ""
    return (
        "shorewall: a restart removes the engine's rules",
        "Set DOCKER=Yes in /etc/shorewall/shorewall.conf, then: shorewall restart.",
    )


_SERVICES = (
    ("firewalld", _firewalld),
    ("ufw", _ufw),
    ("nftables", _nftables),
    ("iptables", _iptables),
    ("netfilter-persistent", _persistent),
    ("shorewall", _shorewall),
)


def input_rules(host: Host, need: Need) -> list[Finding]:
    """Look for rules on the INPUT path that seem to protect the stack's ports.

    Packets to a published port are redirected before that path, so a rule there that drops them,
    bans addresses for them, or allows some addresses only, has no effect: ``warn``. Rules that allow
    the ports are harmless.
    """
    required = "no rule on the INPUT path that counts on filtering the stack's ports"
    rules = _ruleset(host, required)
    if isinstance(rules, Finding):
        return [rules]
    numbers = sorted({port.number for port in need.ports if port.public})
    places: dict[str, dict[int, str]] = {}
    for table in rules.tables:
        if table.name == "mailhost":
            continue  # this collection's own, hooked into both paths
        for chain in table.hooked("input"):
            for name, number, what in _closed(table, chain, numbers):
                places.setdefault("{0} {1}".format(table.title, name), {}).setdefault(number, what)
    if not places:
        return [answer(OK, "none", required)]
    observed = "; ".join(
        "{0}: {1}".format(
            place, ", ".join("{0} {1}".format(number, what) for number, what in ports.items())
        )
        for place, ports in places.items()
    )
    fix = (
        "Say it in firewall_rules of the firewall role. By hand: put these rules into the chain "
        "DOCKER-USER, matching the published port with -m conntrack --ctorigdstport PORT --ctdir "
        "ORIGINAL; there they concern containers."
    )
    return [answer(WARN, "without effect on containers: " + observed, required, fix)]


def _closed(
    table: netfilter.Table, chain: netfilter.Chain, numbers: list[int]
) -> Iterator[tuple[str, int, str]]:
    """Yield chain, port and what is meant to happen to it."""
    rules = [
        (name, rule)
        for name, rule in table.walk(chain)
        if not name.startswith(_BOTH_PATHS) and not rule.loopback and not rule.established
    ]
    denies_rest = chain.policy == netfilter.DROP or any(
        rule.target in _DENY and not rule.conditional for _name, rule in rules
    )
    limited = set(numbers) if denies_rest else set()
    for _name, rule in rules:
        if rule.target == netfilter.ACCEPT and not rule.source:
            limited -= {number for number in limited if _names_port(rule, number)}
    for name, rule in rules:
        for number in numbers:
            if not _names_port(rule, number):
                continue
            if rule.target in _DENY:
                yield name, number, "banned for some addresses" if rule.source else "closed"
            elif rule.target == netfilter.ACCEPT and rule.source and number in limited:
                yield name, number, "open for some addresses only"


def _names_port(rule: netfilter.Rule, number: int) -> bool:
    return any(low <= number <= high and high - low < _WIDE for low, high in rule.ports)


def forward_policy(host: Host, need: Need) -> list[Finding]:
    """Look for chains on the FORWARD path, beside the engine's own, that drop its traffic.

    A packet must pass every table. A table that drops what it does not know and lets nothing
    through to containers cuts them off: ``fail``. One that lets something through is a ``warn``
    unless it names published ports or the engine's bridges. The policy of iptables' own chain is
    ``ok`` with the engine's rules in it. Left behind in the other variant of iptables, or by an
    engine that has changed to nftables, it is a ``fail``.
    """
    required = "forwarded traffic of containers is let through"
    rules = _ruleset(host, required)
    if isinstance(rules, Finding):
        return [rules]
    bridges = {network.bridge for network in need.networks if network.bridge}
    findings = []
    for table in rules.tables:
        if table.name in _ENGINES_OWN or (table.family == "inet" and table.name == _FIREWALLD):
            continue
        for chain in table.hooked("forward"):
            if table.variant == "native":
                findings += _native_forward(table, chain, bridges, required)
            elif table.name == "filter":
                findings += _iptables_forward(host, rules, table, chain, required)
    return findings or [answer(OK, "nothing drops it", required)]


def _native_forward(
    table: netfilter.Table, chain: netfilter.Chain, bridges: set[str], required: str
) -> list[Finding]:
    """Judge a base chain of nft's own."""
    rules = list(table.walk(chain))
    if chain.policy != netfilter.DROP and not any(
        rule.target in _DENY and not rule.conditional for _name, rule in rules
    ):
        return []
    passing = [
        rule
        for _name, rule in rules
        if rule.target == netfilter.ACCEPT and not rule.established and not rule.loopback
    ]
    for rule in passing:
        named = any(
            name in bridges or name.startswith(("docker", "br-")) for name in rule.interfaces
        )
        if rule.translated or named or not rule.conditional:
            return []
    fix = (
        "Let it through there, for example: nft insert rule {0} {1} {2} ct status dnat accept; nft "
        'insert rule {0} {1} {2} iifname "br-*" accept. Put the same into the firewall\'s own '
        "file.".format(table.family, table.name, chain.name)
    )
    observed = "{0}, chain {1}, drops what it does not know".format(table.title, chain.name)
    if passing:
        return [answer(WARN, observed + " and names neither bridges nor ports", required, fix)]
    return [answer(FAIL, observed + ", and lets nothing through", required, fix)]


def _iptables_forward(
    host: Host,
    rules: netfilter.Ruleset,
    table: netfilter.Table,
    chain: netfilter.Chain,
    required: str,
) -> list[Finding]:
    """Judge iptables' own chain by its policy."""
    # Rules for the engine's traffic come before it, as the engine puts them there.
    if chain.policy != netfilter.DROP or not engine_state.running(host):
        return []
    if table.family == "ip6" and not engine_state.filters_ipv6(host):
        return []
    if _has_engine_chains(table):
        return []
    nftables = engine_state.backend(host) == "nftables"
    elsewhere = any(_has_engine_chains(other) for other in rules.find(table.family, "filter"))
    if not nftables and not elsewhere:
        return []  # all of its rules are gone, which firewall.docker_user tells
    program = {"ip": "iptables", "ip6": "ip6tables"}[table.family]
    if table.variant == netfilter.LEGACY:
        program += "-legacy"
    observed = "{0}, chain FORWARD, has policy DROP, and the engine's rules are elsewhere".format(
        table.title
    )
    fix = "{0} -P FORWARD ACCEPT. Find out who sets it at boot.".format(program)
    return [answer(FAIL, observed, required, fix)]


def _has_engine_chains(table: netfilter.Table) -> bool:
    return any(name == "DOCKER" or name.startswith("DOCKER-") for name in table.chains)


def docker_user(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look whether the engine's rules are still there while it runs.

    A reload of the host's firewall can flush them. Without those for published ports every client
    appears with the bridge's address, an open relay: ``fail``. Without the jump to DOCKER-USER, or
    with it behind rules that accept, bans and rules in that chain have no effect: ``fail`` and
    ``warn``.
    """
    required = "FORWARD goes to DOCKER-USER first, and published ports are redirected"
    if not engine_state.running(host):
        fix = "Nothing: the engine makes its rules when it starts."
        return [answer(SKIP, "no engine runs", required, fix)]
    values = engine_state.settings(host).values
    if values.get("iptables") is False or engine_state.backend(host) == "nftables":
        fix = "See engine.iptables and engine.firewall_backend."
        return [answer(SKIP, "the engine does not use iptables", required, fix)]
    rules = netfilter.ruleset(host)
    if "iptables-save" not in rules.programs and not rules.find("ip", "nat"):
        fix = "Install iptables, then: {0}.".format(engine_state.renewal(host))
        return [answer(UNKNOWN, "there is no iptables-save", required, fix)]
    families = ["ip"]
    major = docker_engine.major(engine_state.version(host))
    # Before 23 the engine had no DOCKER-USER for IPv6.
    if engine_state.filters_ipv6(host) and (major is None or major >= 23):
        families.append("ip6")
    findings = []
    for family in families:
        status, trouble = _trouble(rules, family)
        if trouble:
            fix = "{0}. Find out what flushed the rules; see firewall.services.".format(
                engine_state.renewal(host)
            )
            title = {"ip": "IPv4", "ip6": "IPv6"}[family]
            findings.append(answer(status, "{0}: {1}".format(title, trouble), required, fix))
    return findings or [answer(OK, "all there", required)]


def _trouble(rules: netfilter.Ruleset, family: str) -> tuple[str, str]:
    """Return what is wrong with the engine's rules of a family, and how bad it is."""
    nat = [table for table in rules.find(family, "nat") if _jumps(table, "prerouting", "DOCKER")]
    if not nat:
        return FAIL, "published ports are not redirected: an open relay"
    filters = [table for table in rules.find(family, "filter") if "DOCKER-USER" in table.chains]
    if not filters:
        return FAIL, "there is no chain DOCKER-USER"
    if len(filters) > 1:
        return WARN, "DOCKER-USER is in both variants of iptables"
    for chain in filters[0].hooked("forward"):
        targets = [rule.target for rule in chain.rules if not rule.conditional]
        if "DOCKER-USER" not in targets:
            continue
        before = chain.rules[: [rule.target for rule in chain.rules].index("DOCKER-USER")]
        if any(_accepts_containers(rule) for rule in before):
            return WARN, "FORWARD accepts before it goes to DOCKER-USER"
        return OK, ""
    return FAIL, "FORWARD does not go to DOCKER-USER"


def _accepts_containers(rule: netfilter.Rule) -> bool:
    """Tell whether a rule lets new traffic to containers pass."""
    bridges = [name for name in rule.interfaces if name.startswith(("docker", "br-"))]
    return (
        rule.target == netfilter.ACCEPT
        and not rule.established
        and bool(bridges or not rule.interfaces)
    )


def _jumps(table: netfilter.Table, hook: str, target: str) -> bool:
    return any(rule.target == target for chain in table.hooked(hook) for rule in chain.rules)


def variants(host: Host, need: Need) -> list[Finding]:
    """Look whether rules are in both variants of iptables, nf_tables and legacy.

    The kernel evaluates both, and the tools of one do not show the other's: ``warn``. The legacy
    variant alone works; mailcow calls it outdated, which is a remark.
    """
    required = "one variant of iptables"
    loaded = sorted({*netfilter.legacy_tables(host, "ip"), *netfilter.legacy_tables(host, "ip6")})
    rules = netfilter.ruleset(host)
    if not rules.programs and not loaded:
        fix = "Nothing: iptables comes with the engine's packages."
        return [answer(SKIP, "neither iptables nor nft is installed", required, fix)]
    modern = sorted({t.title for t in rules.tables if t.variant != netfilter.LEGACY and t.used})
    readable = any(table.variant == netfilter.LEGACY for table in rules.tables)
    legacy = sorted({t.title for t in rules.tables if t.variant == netfilter.LEGACY and t.used})
    if loaded and not readable:
        legacy = ["legacy " + name for name in loaded]
    if legacy and modern:
        observed = "rules in {0} and in {1}; iptables is {2}".format(
            ", ".join(legacy), ", ".join(modern), rules.variant or "not there"
        )
        fix = (
            "Decide for nf_tables: update-alternatives --set iptables /usr/sbin/iptables-nft (and "
            "ip6tables), remove what loads the legacy rules, and reboot."
        )
        return [answer(WARN, observed, required, fix)]
    observed = "iptables is {0}".format(rules.variant) if rules.variant else "nft only"
    if rules.variant == netfilter.LEGACY and need.stack == "mailcow":
        observed += ", which mailcow calls outdated"
    return [answer(OK, observed, required)]


def provider(host: Host, need: Need) -> list[Finding]:
    """Remind of a firewall at the provider, which cannot be seen from the host: always ``skip``.

    A stateless one, such as that of dedicated servers at Hetzner, must be told to let answers in:
    TCP with the flag ACK and UDP, to the ports that outgoing connections start from.
    """
    low = 1024
    unbound = host.read(need.install_path + "/data/conf/unbound/unbound.conf") or ""
    if re.search(r"^\s*outgoing-port-avoid:\s*[\"']?0-32767\b", unbound, re.MULTILINE):
        low = 32768
    ports = ", ".join(map(str, sorted({port.number for port in need.ports if port.public})))
    fix = (
        "If the provider has a firewall: let in TCP {0} and ICMP. If it is stateless, also TCP "
        "with ACK to {1}-65535 and UDP to {1}-65535.".format(ports, low)
    )
    return [answer(SKIP, "cannot be seen from the host", "the stack's ports and answers", fix)]


def kernel_modules(host: Host, need: Need) -> list[Finding]:
    """Look for the kernel's iptables modules on systems of Red Hat's family.

    There some are in a package of their own, or are no longer built. Without xt_addrtype and its
    like the engine does not start: ``fail``. Without ip_tables mailcow's netfilter container may not
    find its rules: ``warn``.
    """
    required = "modules for packet filter rules"
    if host_info.distribution(host)["family"] != host_info.REDHAT:
        return [answer(SKIP, "part of this system's kernel", required, "Nothing.")]
    if container.kind(host):
        fix = "Load them on the machine around."
        return [answer(SKIP, "the kernel is not the system's own", required, fix)]
    release = (host.read("/proc/sys/kernel/osrelease") or "").strip()
    texts = [
        host.read("/lib/modules/{0}/{1}".format(release, name))
        for name in ("modules.dep", "modules.builtin")
    ]
    if not release or texts[0] is None:
        fix = "Reboot into the installed kernel; see platform.kernel_modules."
        return [answer(UNKNOWN, "no list of the kernel's modules", required, fix)]
    there = {
        line.partition(":")[0].rpartition("/")[2].partition(".ko")[0]
        for text in texts
        for line in (text or "").splitlines()
    }
    missing = [name for name in _ENGINE_MODULES if name not in there]
    if missing:
        fix = "dnf install kernel-modules-extra-{0}.".format(release)
        return [answer(FAIL, "missing: " + ", ".join(missing), required, fix)]
    missing = [name for name in _MAILCOW_MODULES if name not in there]
    if missing and need.stack == "mailcow":
        fix = "dnf install kernel-modules-extra-{0}, or use a listed release.".format(release)
        return [answer(WARN, "missing: " + ", ".join(missing), required, fix)]
    return [answer(OK, "all there", required)]


def _ruleset(host: Host, required: str) -> netfilter.Ruleset | Finding:
    """Return the rules, or the answer for a host without a program to read them with."""
    rules = netfilter.ruleset(host)
    if rules.programs:
        return rules
    observed = "neither iptables nor nft is installed"
    return answer(SKIP, observed, required, "Nothing: iptables comes with the engine's packages.")


LOOK = (
    ("firewall.services", "Firewall services", "firewall", services),
    ("firewall.input_rules", "Rules without effect", "firewall", input_rules),
    ("firewall.forward_policy", "Forwarded traffic", "firewall", forward_policy),
    (
        "firewall.docker_user",
        "Rules of the engine",
        "https://docs.docker.com/engine/network/packet-filtering-firewalls/",
        docker_user,
    ),
    (
        "firewall.variants",
        "Variants of iptables",
        "https://wiki.nftables.org/wiki-nftables/index.php/Legacy_xtables_tools",
        variants,
    ),
    ("firewall.provider", "Firewall of the provider", "provider_firewall", provider),
    ("firewall.kernel_modules", "Packet filter modules", "firewall", kernel_modules),
)
