# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a host's firewall as it is to the one that is wanted: look, compare, then change.

What is compared is what the kernel has with what it would have: rules whose spelling differs are
loaded in a network namespace that is thrown away, and both listings are compared.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    docker_engine,
    engine_state,
    file_write,
    firewall_files,
    firewall_iptables,
    firewall_nftables,
    ruleset,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.firewall_iptables import Saved
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError
from ansible_collections.postmaster.mailhost.plugins.module_utils.ruleset import (
    IPV4,
    IPV6,
    Ruleset,
)

PATH = "/etc/mailhost/firewall"

AUTO, IPTABLES, NFTABLES = "auto", "iptables", "nftables"
BACKENDS = (AUTO, IPTABLES, NFTABLES)

#: iptables' two variants, as the names of their programs have them.
NFT, LEGACY = "nft", "legacy"

# From this engine on there is a DOCKER-USER for IPv6 that stays in place.
_FIRST_WITH_IPV6 = 23
# Up to this engine each new network opens DOCKER-USER for some milliseconds.
_LAST_WITH_GAPS = 27

# What Docker calls the bridge of a network that was given no name for it.
_ENGINE_BRIDGE = re.compile(r"(docker0|docker_gwbridge|br-[0-9a-f]{12})\Z")
_BRIDGE_OPTION = "com.docker.network.bridge.name"

# The name of the process that takes connections which the engine does not translate.
_HELPER = "docker-proxy"

_NFT_CONFIGURATION = ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf")

_ABSENT = Saved({})


class FirewallError(Exception):
    """The firewall cannot be set up like this; the text is a sentence."""


class Engine(NamedTuple):
    """What there is to know of the container engine.

    Attributes:
        version: of the one that runs or is installed; empty when there is none.
        backend: what it makes its rules with: ``iptables`` or ``nftables``.
        filters_ipv6: whether it makes rules for IPv6 as well.
    """

    version: str = ""
    backend: str = IPTABLES
    filters_ipv6: bool = True


class Kernel(NamedTuple):
    """The rules that are in force, and what there is to change them with.

    Attributes:
        families: address families of this kernel.
        saved: variant of iptables to family to what ``-save`` printed; variants that have programs
            and rules only.
        suffixes: variant to the variant in its programs' names, see :func:`firewall_files.programs`.
        usual: the variant that the command ``iptables`` is; empty when there is none.
        nft: whether there is the program ``nft``.
        table: listing of our table of nft; empty when it is not there.
    """

    families: tuple[str, ...]
    saved: Mapping[str, Mapping[str, Saved]]
    suffixes: Mapping[str, str]
    usual: str
    nft: bool
    table: str


class Command(NamedTuple):
    """A program to run: its arguments and its input."""

    argv: tuple[str, ...]
    input: str


class Part(NamedTuple):
    """A part of the firewall as it is and as it is to be, as lines."""

    title: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and writing come from it alone.

    Attributes:
        backend: ``iptables`` or ``nftables``.
        variant: variant of iptables; empty with nftables.
        reason: why this backend.
        parts: what differs in the kernel.
        commands: what makes them equal.
        certain: False where the comparison was of texts only, so that what differs may be spelling.
        directory: where the files are.
        files: those that are wanted, as they are and are to be.
        remove: files that go.
        payload: the rules as files, by name.
        warnings: sentences.
        closed: ports of the engine's helper that are closed on the host.
    """

    backend: str
    variant: str
    reason: str
    parts: tuple[Part, ...]
    commands: tuple[Command, ...]
    certain: bool
    directory: str
    files: tuple[file_write.Change, ...]
    remove: tuple[str, ...]
    payload: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.parts or self.remove) or any(item.changed for item in self.files)

    def diff(self) -> list[dict[str, str]]:
        """Return the differences for ``exit_json(diff=...)``."""
        shown = [
            {
                "before_header": part.title,
                "before": "".join(line + "\n" for line in part.before),
                "after_header": part.title,
                "after": "".join(line + "\n" for line in part.after),
            }
            for part in self.parts
        ]
        for item in self.files:
            # A list of addresses is shown as a set, if at all.
            if item.changed and not item.path.endswith("ipset.rules") and not self.parts:
                shown.append(item.diff())
        return shown


class Difference(NamedTuple):
    """What a backend finds; see :class:`Plan` for what the names mean.

    Attributes:
        files: what is to lie on the host, by name.
    """

    variant: str
    parts: tuple[Part, ...]
    commands: tuple[Command, ...]
    certain: bool
    files: Mapping[str, firewall_files.File]


# -- looking ---------------------------------------------------------------------------------------


def engine(host: Host) -> Engine:
    """Return what there is to know of the engine.

    Raises:
        FirewallError: its configuration cannot be read.
    """
    try:
        return Engine(
            engine_state.version(host),
            engine_state.backend(host),
            engine_state.filters_ipv6(host),
        )
    except HostError as error:
        raise FirewallError(str(error)) from None


def kernel(host: Host) -> Kernel:
    """Return the rules that are in force.

    Raises:
        FirewallError: they cannot be read.
    """
    families = firewall_files.BOTH if host.exists("/proc/net/if_inet6") else (IPV4,)
    usual = _usual_variant(host)
    suffixes = {}
    for variant in (NFT, LEGACY):
        if host.which("iptables-{0}-save".format(variant)):
            suffixes[variant] = variant
        elif usual == variant:
            suffixes[variant] = ""
    saved = {}
    for variant, suffix in suffixes.items():
        # Listing loads the modules of the legacy variant, and its tables with them.
        if variant == LEGACY and not _legacy_tables(host):
            saved[variant] = dict.fromkeys(families, _ABSENT)
            continue
        saved[variant] = {
            family: firewall_iptables.parse(
                _run(host, [firewall_files.programs(suffix, family) + "-save"], "read the rules")
            )
            for family in families
        }
    nft = host.which("nft") is not None
    table = ""
    if nft:
        answer = host.run(["nft", "-s", "list", "table", *firewall_nftables.TABLE.split()])
        table = answer.stdout if answer.rc == 0 else ""
        if answer.rc != 0 and "No such file" not in answer.stderr:
            raise FirewallError("cannot read the rules: nft says: " + _last_line(answer.stderr))
    return Kernel(families, saved, suffixes, usual, nft, table)


def proxied(host: Host) -> list[tuple[str, int]]:
    """Return protocol and number of the ports that the engine's helper serves to the world.

    Raises:
        FirewallError: the sockets cannot be read.
    """
    try:
        listeners = host.listeners()
    except HostError as error:
        raise FirewallError(str(error)) from None
    return [
        (item.protocol[:3], item.port)
        for item in listeners
        if item.process == _HELPER and not item.address.startswith("127.") and item.address != "::1"
    ]


def set_entries(
    host: Host, sets: Sequence[Mapping[str, Any]], foretell: bool = False
) -> list[dict[str, Any]]:
    """Return sets with the entries of their files added to their own.

    Args:
        host: the host.
        sets: as the module's option has them.
        foretell: a file that is missing will be there in time; its entries are not known yet.

    Raises:
        FirewallError: a file that cannot be read.
        ruleset.RulesetError: a line of it that is no address.
    """
    found = []
    for item in sets:
        entries = list(item.get("entries") or [])
        path = item.get("path")
        text = host.read(path) if path else None
        if path and text is None and not (foretell and not host.exists(path)):
            raise FirewallError("set {0!r}: cannot read {1}".format(item.get("name"), path))
        if text:
            entries += ruleset.set_entries(text, path)
        found.append({"name": item.get("name"), "entries": entries})
    return found


def controller_packet(host: Host, controller: str = "") -> ruleset.Packet | None:
    """Return the connection that Ansible came by; None when it came by none that is known.

    sudo takes the variable away, so that the processes that led to this one are asked too.

    Args:
        host: the host.
        controller: address of the controller, for where no variable tells it.
    """
    words = host.environment("SSH_CONNECTION").split()
    process = "self"
    for _step in range(20):
        if len(words) == 4:
            break
        for entry in (host.read("/proc/{0}/environ".format(process)) or "").split("\0"):
            if entry.startswith("SSH_CONNECTION="):
                words = entry.partition("=")[2].split()
        parent = re.search(
            r"^PPid:\s*([0-9]+)", host.read("/proc/{0}/status".format(process)) or "", re.M
        )
        if not parent or parent.group(1) == "0":
            break
        process = parent.group(1)
    if len(words) != 4:
        return ruleset.Packet(controller, 22) if controller else None
    source, address = (_plain_address(words[place]) for place in (0, 2))
    port = int(words[3]) if words[3].isdigit() else 22
    return ruleset.Packet(controller or source, port, "tcp", address)


# -- deciding --------------------------------------------------------------------------------------


def choose(
    host: Host, wanted: str, there: Engine, rules: Kernel, foretell: bool = False
) -> tuple[str, str, list[str]]:
    """Return the backend, why it is that one, and warnings.

    Args:
        host: the host.
        wanted: one of :data:`BACKENDS`.
        there: what there is to know of the engine.
        rules: what the kernel has.
        foretell: programs that are missing will be there in time.

    Raises:
        FirewallError: the one that is wanted, or needed, cannot do it.
    """
    major = docker_engine.major(there.version)
    warnings = []
    ipv6 = _world_ipv6(host)
    must = ""
    if there.backend == NFTABLES:
        must = "the engine makes its rules with nftables, and has no chain DOCKER-USER"
    elif ipv6 and there.version and not there.filters_ipv6:
        must = "the engine makes no rules for IPv6 (ip6tables), and the host has {0}".format(ipv6)
    elif ipv6 and major is not None and major < _FIRST_WITH_IPV6:
        must = "engine {0} has no DOCKER-USER for IPv6, and the host has {1}".format(
            there.version, ipv6
        )
    elif _ufw_owns_chain(host):
        must = "ufw empties DOCKER-USER at each reload, because /etc/ufw/after.rules declares it"
    if wanted == IPTABLES and must:
        raise FirewallError(
            "backend iptables would leave a hole: {0}. Use backend nftables".format(must)
        )
    should = ""
    if not must:
        if _firewalld(host):
            should = "firewalld runs, and its reload empties DOCKER-USER"
        elif major is not None and major <= _LAST_WITH_GAPS:
            should = (
                "engine {0} passes DOCKER-USER by for some milliseconds whenever a network is "
                "made".format(there.version)
            )
    if wanted == IPTABLES:
        if should:
            warnings.append("backend iptables: {0}; nftables has not this gap".format(should))
        return IPTABLES, "as told", warnings
    if wanted == NFTABLES:
        return NFTABLES, "as told", warnings
    if must:
        return NFTABLES, must, warnings
    if should and (rules.nft or foretell):
        return NFTABLES, should, warnings
    if should:
        warnings.append(
            "{0}; install the package nftables, which has not this gap".format(
                should[0].upper() + should[1:]
            )
        )
    if rules.usual or not rules.nft:
        version = "engine {0}".format(there.version) if there.version else "the engine"
        return IPTABLES, "{0} asks DOCKER-USER first".format(version), warnings
    return NFTABLES, "there is no program iptables", warnings


def plan_options(host: Host, options: Mapping[str, Any], foretell: bool) -> Plan:
    """Compare a host with the options of the module. Nothing is changed.

    Raises:
        FirewallError, ruleset.RulesetError, file_write.FileWriteError: what stands against it.
    """
    path = options["path"].rstrip("/")
    if options["state"] == "absent":
        return plan_removal(host, path)
    rules = ruleset.build(
        options["stack"] or "",
        options["config"],
        options["rules"],
        options["host_rules"],
        set_entries(host, options["sets"], foretell),
        options["policy"],
        options["host_policy"],
        options["ssh_ports"],
        options["admin_sources"],
        options["bridges"],
        options["snat"],
    )
    return plan(
        host,
        rules,
        options["backend"],
        path,
        options["controller"] or "",
        options["allow_lockout"],
        foretell,
    )


def plan(
    host: Host,
    rules: Ruleset,
    backend: str = AUTO,
    path: str = PATH,
    controller: str = "",
    allow_lockout: bool = False,
    foretell: bool = False,
    there: Engine | None = None,
) -> Plan:
    """Compare the firewall of a host with the one that is wanted. Nothing is changed.

    Args:
        host: the host.
        rules: what is wanted.
        backend: one of :data:`BACKENDS`.
        path: directory of the files.
        controller: see :func:`controller_packet`.
        allow_lockout: do not mind that the controller would be shut out.
        foretell: programs that are missing will be there in time.
        there: what there is to know of the engine; asked for when None.

    Raises:
        FirewallError: what stands against it.
        file_write.FileWriteError: a file cannot be read.
    """
    if not allow_lockout:
        _refuse_lockout(host, rules, controller)
    _refuse_foreign_bridges(host, rules)
    rules = ruleset.with_proxied(rules, proxied(host))
    now = kernel(host)
    chosen, reason, warnings = choose(host, backend, there or engine(host), now, foretell)
    if chosen == NFTABLES:
        found = _compare_nftables(host, rules, now, reason, path, foretell)
        warnings += _flush_warnings(host)
    else:
        found = _compare_iptables(host, rules, now, foretell)
        for family, saved in now.saved.get(found.variant, {}).items():
            warnings += _accepted(saved, family)
    return Plan(
        backend=chosen,
        variant=found.variant,
        reason=reason,
        parts=found.parts,
        commands=found.commands,
        certain=found.certain,
        directory=path,
        files=_file_changes(host, path, found.files),
        remove=_stale(host, path, found.files),
        payload=firewall_files.texts(found.files),
        warnings=tuple(warnings),
        closed=tuple("{0} {1}".format(*item) for item in rules.proxied),
    )


def plan_removal(host: Host, path: str = PATH) -> Plan:
    """Compare a host with one that has nothing of ours. Raises as :func:`plan`."""
    now = kernel(host)
    parts, commands = _without_iptables(now, ())
    table_parts, table_commands = _without_table(now)
    set_parts, set_commands = _without_sets(_sets_there(host), {})
    return Plan(
        backend="",
        variant="",
        reason="",
        parts=(*parts, *table_parts, *set_parts),
        commands=(*commands, *table_commands, *set_commands),
        certain=True,
        directory=path,
        files=(),
        remove=_stale(host, path, {}),
        payload={},
    )


def write(host: Host, planned: Plan) -> bool:
    """Do what is planned: the kernel first, then the files.

    Returns:
        bool: whether anything was changed.

    Raises:
        FirewallError: a program refused its input; the text is its own.
        file_write.FileWriteError: a file cannot be written.
    """
    changed = bool(planned.remove) or any(item.changed for item in planned.files)
    if planned.parts:
        before = None if planned.certain else kernel(host)
        for command in planned.commands:
            _run(host, command.argv, "load the rules", command.input)
        changed = changed or before is None or before != kernel(host)
    if planned.files:
        file_write.make_directory(file_write.place(host, planned.directory))
    for item in planned.files:
        if item.changed:
            file_write.Change(
                file_write.place(host, item.path),
                item.before,
                item.after,
                item.mode_before,
                item.mode,
            ).write(backup=False)
    for name in planned.remove:
        file_write.remove(file_write.place(host, name))
    return changed


def result(planned: Plan) -> dict[str, Any]:
    """Return what a module says of a plan."""
    return {
        "differs": planned.changed,
        "backend": planned.backend,
        "variant": planned.variant,
        "reason": planned.reason,
        "payload": {name: text for name, text in planned.payload.items() if name != "ipset.rules"},
        "files": [item.path for item in planned.files],
        "proxied": list(planned.closed),
        "diff": planned.diff(),
    }


# -- iptables --------------------------------------------------------------------------------------


def _compare_iptables(host: Host, rules: Ruleset, now: Kernel, foretell: bool) -> Difference:
    variant = _variant(now)
    if not variant:
        if not foretell:
            raise FirewallError(
                "there is no program iptables; install the package iptables, or nftables and "
                "use backend nftables"
            )
        variant = NFT
    suffix = now.suffixes.get(variant, variant)
    saved = now.saved.get(variant, {})
    wanted = {family: firewall_iptables.chains(rules, family) for family in now.families}
    sets = firewall_iptables.sets(rules)
    if sets and not host.which("ipset") and not foretell:
        raise FirewallError(
            "rules use sets, and there is no program ipset; install the package ipset, or use "
            "backend nftables"
        )
    for family in now.families:
        missed = firewall_iptables.way_round(saved.get(family, _ABSENT))
        if missed:
            raise FirewallError(
                "rules in DOCKER-USER would have no effect on {0}: {1}. Have the engine put it first "
                "({2}), or use backend nftables".format(family, missed, engine_state.renewal(host))
            )
    parts, commands = [], []
    if sets or _may_have_sets(saved):
        known = _sets_there(host)
        set_parts, set_commands = _fill_sets(sets, known)
        parts += set_parts
        commands += set_commands
    else:
        known = {}
    certain = True
    for family in now.families:
        part, command, sure = _family(
            host, rules, family, wanted[family], saved.get(family, _ABSENT), suffix, sets
        )
        certain = certain and sure
        if part:
            parts.append(part)
            commands.append(command)
    # What is ours elsewhere goes only now, so that no moment is without rules.
    for more_parts, more_commands in (
        _without_iptables(now, (variant,)),
        _without_table(now),
        _without_sets(known, sets),
    ):
        parts += more_parts
        commands += more_commands
    files = firewall_files.iptables(rules, suffix, now.families)
    return Difference(variant, tuple(parts), tuple(commands), certain, files)


def _family(
    host: Host,
    rules: Ruleset,
    family: str,
    wanted: Mapping[str, Sequence[str]],
    saved: Saved,
    suffix: str,
    sets: Mapping[str, Any],
) -> tuple[Part | None, Command | None, bool]:
    """Compare one family; the last value tells whether the comparison was the kernel's."""
    program = firewall_files.programs(suffix, family) + "-restore"
    before, after, edits = [], [], {"filter": [], "nat": []}
    if not saved.has("filter", firewall_iptables.DOCKER_USER):
        edits["filter"].append(":{0} - [0:0]".format(firewall_iptables.DOCKER_USER))
    networks = [item.source for item in rules.snat if item.family == family]
    hooks_differ = False
    for chain, (table, _parent) in firewall_iptables.CHAINS.items():
        hook = firewall_iptables.hook(saved, chain, chain in wanted, networks)
        before += hook.before
        after += hook.after
        hooks_differ = hooks_differ or bool(hook.edits)
        edits[table] += hook.edits
        if chain not in wanted and saved.has(table, chain):
            edits[table] += ["-F " + chain, "-X " + chain]
            hooks_differ = True
    live = {
        chain: saved.rules(table, chain)
        for chain, (table, _parent) in firewall_iptables.CHAINS.items()
        if saved.has(table, chain)
    }
    certain = True
    target = {chain: list(lines) for chain, lines in wanted.items()}
    payload = firewall_iptables.payload(wanted, edits)
    if live != target and host.which(program):
        # Another version may spell what is the same differently; and what cannot be loaded there
        # cannot be loaded here, which is better known before anything is changed.
        trial = _in_namespace(host, family, wanted, suffix, sets)
        certain = trial is not None
        target = trial or target
    for chain in firewall_iptables.CHAINS:
        before += ["-A {0} {1}".format(chain, line) for line in live.get(chain, ())]
        after += ["-A {0} {1}".format(chain, line) for line in target.get(chain, ())]
    if live == target and not hooks_differ:
        return None, None, True
    title = "{0} rules (iptables)".format({IPV4: "IPv4", IPV6: "IPv6"}[family])
    return (
        Part(title, tuple(before), tuple(after)),
        Command((program, "-w", "--noflush"), payload),
        certain,
    )


def _in_namespace(
    host: Host,
    family: str,
    wanted: Mapping[str, Sequence[str]],
    suffix: str,
    sets: Mapping[str, Any],
) -> dict[str, list[str]] | None:
    """Return our chains as the kernel would list them; None when no namespace can be had.

    Raises:
        FirewallError: the rules cannot be loaded.
    """
    program = firewall_files.programs(suffix, family)
    empty = "".join(
        firewall_iptables.set_payload(name, kind, ())
        for name, (kind, _entries) in sets.items()
        if kind == family
    )
    script = "set -e\n"
    if empty:
        script += "ipset restore <<'END'\n{0}END\n".format(empty)
    script += "{0}-restore --noflush <<'END' || exit 9\n{1}END\n{0}-save\n".format(
        program, firewall_iptables.payload(wanted, {})
    )
    answer = host.run(["unshare", "--net", "sh", "-s"], input=script)
    if answer.rc == 9:
        raise FirewallError(
            "{0} cannot load the rules: {1}".format(program, _last_line(answer.stderr))
        )
    if answer.rc != 0:
        return None
    saved = firewall_iptables.parse(answer.stdout)
    return {
        chain: saved.rules(table, chain)
        for chain, (table, _parent) in firewall_iptables.CHAINS.items()
        if saved.has(table, chain)
    }


def _accepted(saved: Saved, family: str) -> list[str]:
    """Return a warning for what is accepted before our chain is asked."""
    found = firewall_iptables.accepted_before(saved)
    if not found:
        return []
    more = " and {0} more".format(len(found) - 1) if len(found) > 1 else ""
    return [
        "INPUT of {0} accepts '{1}'{2} before the rules for the host's own ports are asked".format(
            family, found[0], more
        )
    ]


def _variant(now: Kernel) -> str:
    """Return the variant of iptables that the engine uses."""
    engines = [
        variant
        for variant, families in now.saved.items()
        if any(saved.engine for saved in families.values())
    ]
    if len(engines) > 1:
        raise FirewallError(
            "both variants of iptables have the engine's chains (iptables-nft and "
            "iptables-legacy), so that it cannot be told which one counts. Choose one with "
            "update-alternatives --config iptables, and reboot"
        )
    return engines[0] if engines else now.usual


def _usual_variant(host: Host) -> str:
    """Return the variant that the command ``iptables`` is."""
    path = host.which("iptables")
    if path is None:
        return ""
    name = host.realpath(path).rpartition("/")[2]
    if LEGACY in name:
        return LEGACY
    if NFT in name:
        return NFT
    return NFT if "nf_tables" in host.run(["iptables", "-V"]).stdout else LEGACY


def _legacy_tables(host: Host) -> bool:
    """Tell whether the kernel has tables of the legacy variant."""
    return any(
        (host.read("/proc/net/{0}_tables_names".format(name)) or "").strip()
        for name in ("ip", "ip6")
    )


def _without_iptables(now: Kernel, keep: Sequence[str]) -> tuple[list[Part], list[Command]]:
    """Return what takes our chains out of the variants of iptables that are not to have them."""
    parts, commands = [], []
    for variant, families in now.saved.items():
        if variant in keep:
            continue
        for family, saved in families.items():
            payload = firewall_iptables.removal(saved)
            if payload:
                lines = [
                    "-A {0} {1}".format(chain, rule)
                    for chain, (table, _parent) in firewall_iptables.CHAINS.items()
                    for rule in saved.rules(table, chain)
                ]
                title = "{0} rules (iptables-{1})".format(
                    {IPV4: "IPv4", IPV6: "IPv6"}[family], variant
                )
                program = firewall_files.programs(now.suffixes[variant], family)
                parts.append(Part(title, tuple(lines), ()))
                commands.append(Command((program + "-restore", "-w", "--noflush"), payload))
    return parts, commands


# -- sets of iptables ------------------------------------------------------------------------------


def _may_have_sets(saved: Mapping[str, Saved]) -> bool:
    """Tell whether rules of ours refer to a set."""
    return any(
        " --match-set " in rule
        for family in saved.values()
        for chain in (firewall_iptables.CHAIN, firewall_iptables.INPUT_CHAIN)
        for rule in family.rules("filter", chain)
    )


def _sets_there(host: Host) -> dict[str, set[str]]:
    if not host.which("ipset"):
        return {}
    return firewall_iptables.parse_sets(_run(host, ["ipset", "save"], "read the sets"))


def _fill_sets(
    sets: Mapping[str, tuple[str, tuple[str, ...]]], known: Mapping[str, set[str]]
) -> tuple[list[Part], list[Command]]:
    """Return what makes the sets what they are to be; only entries that differ are shown."""
    parts, payload = [], ""
    for name, (family, entries) in sets.items():
        before = known.get(name)
        after = set(entries)
        if before != after:
            parts.append(_set_part(name, before, after))
            payload += firewall_iptables.set_payload(name, family, entries)
    return parts, [Command(("ipset", "restore"), payload)] if payload else []


def _without_sets(
    known: Mapping[str, set[str]], keep: Mapping[str, Any]
) -> tuple[list[Part], list[Command]]:
    gone = [name for name in known if name not in keep]
    parts = [_set_part(name, known[name], None) for name in gone]
    text = "".join("destroy {0}\n".format(name) for name in gone)
    return parts, [Command(("ipset", "restore"), text)] if gone else []


def _set_part(name: str, before: set[str] | None, after: set[str] | None) -> Part:
    title = "set {0}: {1} entries, to be {2}".format(
        name,
        "no" if before is None else len(before),
        "none" if after is None else len(after),
    )
    return Part(
        title,
        tuple(sorted((before or set()) - (after or set()))),
        tuple(sorted((after or set()) - (before or set()))),
    )


# -- nftables --------------------------------------------------------------------------------------


def _compare_nftables(
    host: Host, rules: Ruleset, now: Kernel, reason: str, path: str, foretell: bool
) -> Difference:
    if not now.nft and not foretell:
        raise FirewallError(
            "there is no program nft, and it is needed: {0}. Install the package nftables".format(
                reason
            )
        )
    payload = firewall_nftables.payload(rules)
    live = firewall_nftables.comparable(now.table)
    certain = True
    target = payload
    if now.nft:
        script = "nft -f - <<'END' || exit 9\n{0}END\nnft -s list table {1}\n".format(
            payload, firewall_nftables.TABLE
        )
        answer = host.run(["unshare", "--net", "sh", "-s"], input=script)
        if answer.rc == 9:
            raise FirewallError("nft cannot load the rules: " + _first_line(answer.stderr))
        if answer.rc == 0:
            target = firewall_nftables.comparable(answer.stdout)
        else:
            certain = False
            stored = host.read(path + "/nftables.rules")
            target = live if live and stored == payload else payload
    parts, commands = [], []
    if live != target:
        parts.append(
            Part(
                "table {0} (nft)".format(firewall_nftables.TABLE),
                tuple(live.splitlines()),
                tuple(target.splitlines()),
            )
        )
        commands.append(Command(("nft", "-f", "-"), payload))
    for family in now.saved.values():
        if _may_have_sets(family):
            known = _sets_there(host)
            break
    else:
        known = {}
    for more_parts, more_commands in (
        _without_iptables(now, ()),
        _without_sets(known, {}),
    ):
        parts += more_parts
        commands += more_commands
    files = firewall_files.nftables(rules, now.suffixes.get(now.usual, ""), now.families)
    return Difference("", tuple(parts), tuple(commands), certain, files)


def _without_table(now: Kernel) -> tuple[list[Part], list[Command]]:
    if not now.table:
        return [], []
    title = "table {0} (nft)".format(firewall_nftables.TABLE)
    before = firewall_nftables.comparable(now.table).splitlines()
    return [Part(title, tuple(before), ())], [
        Command(("nft", "-f", "-"), firewall_nftables.removal())
    ]


def _flush_warnings(host: Host) -> list[str]:
    """Return a warning for a configuration of nftables.service that would take all rules away."""
    if not host.glob("/etc/systemd/system/*.wants/nftables.service"):
        return []
    return [
        "{0} has 'flush ruleset', and nftables.service is enabled: its reload takes these rules "
        "away and the engine's with them. Replace the line by flushing its own tables".format(path)
        for path in _NFT_CONFIGURATION
        if re.search(r"^\s*flush\s+ruleset", host.read(path) or "", re.M)
    ]


# -- what stands against it ------------------------------------------------------------------------


def _refuse_lockout(host: Host, rules: Ruleset, controller: str) -> None:
    packet = controller_packet(host, controller)
    if packet is None or packet.source.startswith("127.") or packet.source == "::1":
        return
    outcome, line = ruleset.verdict(rules, ruleset.INPUT, packet)
    if outcome != ruleset.PASS:
        raise FirewallError(
            "the rules would shut the controller out: {0} to port {1} meets '{2}'. Add its "
            "address to admin_sources, and the port to ssh_ports".format(
                packet.source, packet.port, line.comment if line else outcome
            )
        )


def _refuse_foreign_bridges(host: Host, rules: Ruleset) -> None:
    """Refuse a pattern for the engine's bridges that others' bridges fit as well."""
    patterns = [name[:-1] for name in rules.bridges if name.endswith("+")]
    foreign = []
    for path in host.glob("/sys/class/net/*/bridge"):
        name = path.split("/")[-2]
        named = name in rules.bridges or _ENGINE_BRIDGE.match(name)
        if not named and any(name.startswith(start) for start in patterns):
            foreign.append(name)
    if foreign:
        foreign = [name for name in foreign if name not in _engine_bridges(host)]
    if foreign:
        raise FirewallError(
            "bridges has a pattern that {0} fits, which is not the engine's: connections to what "
            "is behind it would be cut. Name the engine's bridges one by one".format(
                ", ".join(foreign)
            )
        )


def _engine_bridges(host: Host) -> list[str]:
    """Return the names that networks of the engine, and of the stacks, have for their bridges."""
    from ansible_collections.postmaster.mailhost.plugins.module_utils import stack

    found = [network["bridge"] for data in stack.STACKS.values() for network in data["networks"]]
    try:
        for network in engine_state.networks(host):
            found.append(str((network.get("Options") or {}).get(_BRIDGE_OPTION) or ""))
    except HostError:
        pass
    return found


def _firewalld(host: Host) -> bool:
    if not host.which("firewalld"):
        return False
    try:
        return host.units(["firewalld.service"])["firewalld.service"].starts
    except HostError:
        return False


def _ufw_owns_chain(host: Host) -> bool:
    """Tell whether ufw is on and declares DOCKER-USER, as a widespread recipe has it."""
    on = re.search(r"^\s*ENABLED=yes", host.read("/etc/ufw/ufw.conf") or "", re.M | re.I)
    return bool(on) and ":DOCKER-USER" in (host.read("/etc/ufw/after.rules") or "")


def _world_ipv6(host: Host) -> str:
    """Return an address of the host that the world can reach by IPv6; empty when it has none."""
    import ipaddress

    for line in (host.read("/proc/net/if_inet6") or "").splitlines():
        fields = line.split()
        # Scope 00 is global; 2000::/3 is what the world routes.
        own = len(fields) == 6 and not fields[5].startswith(("docker", "br-", "veth"))
        if own and fields[3] == "00" and fields[0][0] in "23":
            return str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))
    return ""


# -- files and programs ----------------------------------------------------------------------------


def _file_changes(
    host: Host, path: str, files: Mapping[str, firewall_files.File]
) -> tuple[file_write.Change, ...]:
    return tuple(
        file_write.plan(host, path + "/" + name, item.text.encode(), item.mode)
        for name, item in sorted(files.items())
    )


def _stale(host: Host, path: str, files: Mapping[str, Any]) -> tuple[str, ...]:
    """Return files of ours that are there and not wanted any more."""
    return tuple(
        path + "/" + name
        for name in firewall_files.NAMES
        if name not in files and host.exists(path + "/" + name)
    )


def _run(host: Host, argv: Sequence[str], what: str, text: str | None = None) -> str:
    answer = host.run(list(argv), timeout=60, input=text)
    if answer.rc != 0:
        raise FirewallError(
            "cannot {0}: {1} says: {2}".format(what, argv[0], _last_line(answer.stderr))
        )
    return answer.stdout


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "nothing")


def _plain_address(text: str) -> str:
    """Return an address without its zone, an IPv4 address inside IPv6 as IPv4."""
    text = text.partition("%")[0]
    return text[7:] if text.startswith("::ffff:") and "." in text else text
