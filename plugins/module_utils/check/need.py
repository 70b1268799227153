# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack needs of a host: the stack's data with the administrator's own values applied."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import value_kind
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import (
    config as stack_config,
)

THRESHOLDS = ("memory_mib", "swap_mib", "disk_gib", "cpu_mhz")

#: Parameters of :func:`from_stack` beside the thresholds.
OPTIONS = (
    "install_path",
    "config",
    "plan",
    "hostname",
    "timezone",
    "public_ipv4",
    "public_ipv6",
    "mtu",
    "smtp_targets",
    "mirrors",
    "proxy",
    "offline",
)

#: What a plan may say: numbers of things, and components that are on or off.
PLAN_NUMBERS = ("users", "activesync_devices", "imap_connections", "sogo_workers")


class Port(NamedTuple):
    """A port that the stack publishes on the host.

    ``address`` is empty for all addresses; with ``ipv4_only`` for all of IPv4.
    """

    name: str
    protocol: str
    address: str
    number: int
    variable: str
    public: bool
    ipv4_only: bool = False

    @property
    def place(self) -> str:
        """The port as it is written in messages, for example ``tcp 127.0.0.1:13306``."""
        where = self.address + ":" if self.address else ""
        return "{0} {1}{2}".format(self.protocol, where, self.number)


class Network(NamedTuple):
    """A network of the stack's Compose project.

    ``name`` is Docker's, with the project's prefix; ``ipv4`` and ``ipv6`` are CIDR texts, empty
    for a family that it does not have.
    """

    name: str
    bridge: str
    ipv4: str
    ipv6: str


class Share(NamedTuple):
    """A part of the memory that is wanted, in MiB; negative for a component that is off."""

    title: str
    mib: int


class Lever(NamedTuple):
    """A component that could be switched off: the setting that does it, and the MiB it saves."""

    setting: str
    mib: int


class Need(NamedTuple):
    """The demands that the checks compare a host with.

    Attributes:
        stack: the stack's name, ``title`` for people, ``install_path``, ``env_file`` and Compose
            ``project`` on the host.
        memory_minimum_mib: below it the stack does not run.
        memory_mib: what the plan adds up to; below it the stack runs, but not well.
        memory_shares: what ``memory_mib`` is the sum of.
        memory_levers: what could be switched off.
        memory_tolerance: the part of both that may be missing, as the kernel keeps some.
        swap_mib, disk_gib, cpu_mhz, cpu_flags (of x86 processors), architectures,
            operating_systems, ports, commands: as in the stack's data.
        networks: the stack's own networks, with the administrator's addresses.
        ipv6: whether the stack is given IPv6.
        sysctls: kernel parameter to the least value.
        open_files, processes: hard limits that containers ask for; 0 for none.
        engine, compose: least major versions.
        own_resolver: whether the stack has a DNSSEC-validating resolver of its own.
        egress: rows of outgoing connections, see the stack's data.
        hostname: name that the host shall have; empty when not known.
        timezone: time zone that it shall have; empty when not known.
        public_ipv4, public_ipv6: addresses that the world sees; empty when not known.
        mtu: what the stack's network will be given, in bytes; 0 when not known.
        smtp_targets: mail servers to try outgoing port 25 with.
        mirrors: host name to the one that is asked instead; an empty one is not asked.
        proxy: URL of the proxy that web addresses are asked through; empty for none.
        offline: whether the host is meant to have no way out.
        sources: name of a page to its URL.
    """

    stack: str
    title: str
    install_path: str
    env_file: str
    project: str
    memory_minimum_mib: int
    memory_mib: int
    memory_shares: tuple[Share, ...]
    memory_levers: tuple[Lever, ...]
    memory_tolerance: float
    swap_mib: int
    disk_gib: float
    cpu_mhz: int
    cpu_flags: tuple[str, ...]
    architectures: tuple[str, ...]
    operating_systems: tuple[Mapping[str, Any], ...]
    ports: tuple[Port, ...]
    commands: tuple[str, ...]
    networks: tuple[Network, ...]
    ipv6: bool
    sysctls: Mapping[str, int]
    open_files: int
    processes: int
    engine: int
    compose: int
    own_resolver: bool
    egress: tuple[Mapping[str, Any], ...]
    hostname: str
    timezone: str
    public_ipv4: str
    public_ipv6: str
    mtu: int
    smtp_targets: tuple[str, ...]
    mirrors: Mapping[str, str]
    proxy: str
    offline: bool
    sources: Mapping[str, str]


def from_stack(
    data: Mapping[str, Any],
    install_path: str | None = None,
    config: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    hostname: str | None = None,
    timezone: str | None = None,
    public_ipv4: str | None = None,
    public_ipv6: str | None = None,
    mtu: int | None = None,
    smtp_targets: list[str] | None = None,
    mirrors: Mapping[str, str] | None = None,
    proxy: str | None = None,
    offline: bool = False,
    **thresholds: float | None,
) -> Need:
    """Return what a stack needs.

    Args:
        data: the stack's data, see ``stack.get``.
        install_path: directory of the stack on the host; None for the stack's own.
        config: settings of the stack's configuration file that a host must suit: ports and their
            addresses, and the stack's ``host_keys``.
        plan: what the server is for: :data:`PLAN_NUMBERS`, and names of the stack's components with
            True or False.
        hostname, timezone, public_ipv4, public_ipv6, mtu, smtp_targets, mirrors, proxy, offline:
            see :class:`Need`.
        thresholds: any of :data:`THRESHOLDS`; None for the stack's own.

    Raises:
        ValueError: a value that is not allowed; the text names the option, the value and what is.
    """
    requirements = data["requirements"]
    limits = {name: requirements[name] for name in THRESHOLDS}
    given = {}
    for name, value in thresholds.items():
        if name not in limits:
            raise ValueError(
                "unknown threshold {0}; known: {1}".format(name, ", ".join(THRESHOLDS))
            )
        if value is None:
            continue
        if value < 0:
            raise ValueError("{0} is {1}; allowed: 0 or more".format(name, value))
        given[name] = value
    limits.update(given)
    path = data["install_path"] if install_path is None else install_path
    if not path.startswith("/"):
        raise ValueError("install_path is {0!r}; allowed: an absolute path".format(path))
    values = _config(data, config or {})
    shares, levers = _memory(data, values, plan or {})
    total = sum(share.mib for share in shares)
    # The stack's own minimum less what is off; a plan adds to what is wanted, not to it.
    minimum = min(total, requirements["memory_mib"] + _components(data, values, plan or {}))
    if "memory_mib" in given:
        total = minimum = limits["memory_mib"]
        shares = (Share("as told", total),)
        levers = ()
    ipv6_key, ipv6_on = data["ipv6_key"]
    ipv6_value = values.get(ipv6_key, _default(data, ipv6_key))
    return Need(
        stack=data["name"],
        title=data["title"],
        install_path=path.rstrip("/") or "/",
        env_file=data["env_file"],
        project=values.get("COMPOSE_PROJECT_NAME", data["project"]),
        memory_minimum_mib=int(minimum),
        memory_mib=int(total),
        memory_shares=shares,
        memory_levers=levers,
        memory_tolerance=requirements["memory_tolerance"],
        swap_mib=limits["swap_mib"],
        disk_gib=limits["disk_gib"],
        cpu_mhz=limits["cpu_mhz"],
        cpu_flags=tuple(requirements["cpu_flags"]),
        architectures=tuple(requirements["architectures"]),
        operating_systems=tuple(data["operating_systems"]),
        ports=_ports(data, values),
        commands=tuple(data["commands"]),
        networks=_networks(data, values),
        ipv6=ipv6_value == ipv6_on if ipv6_on is not None else bool(ipv6_value),
        sysctls=data["sysctls"],
        open_files=requirements["open_files"],
        processes=requirements["processes"],
        engine=requirements["engine"],
        compose=requirements["compose"],
        own_resolver=data["own_resolver"],
        egress=_egress(data, values, plan or {}),
        hostname=_hostname(hostname),
        timezone=timezone or "",
        public_ipv4=_address("public_ipv4", public_ipv4, 4),
        public_ipv6=_address("public_ipv6", public_ipv6, 6),
        mtu=_mtu(mtu),
        smtp_targets=_smtp_targets(smtp_targets or ()),
        mirrors=_mirrors(mirrors or {}),
        proxy=_proxy(proxy),
        offline=offline,
        sources=data["sources"],
    )


def _default(data: Mapping[str, Any], name: str) -> str:
    return next((key["default"] or "" for key in data["keys"] if key["name"] == name), "")


def _hostname(value: str | None) -> str:
    trouble = value_kind.problem(value or "", "fqdn", empty=True)
    if trouble:
        raise ValueError("hostname is {0!r}: {1}".format(value, trouble))
    return value or ""


def _address(option: str, value: str | None, version: int) -> str:
    trouble = value_kind.problem(value or "", "ipv{0}".format(version), empty=True)
    if trouble:
        raise ValueError("{0} is {1!r}; {2}".format(option, value, trouble))
    return value or ""


def _mtu(value: int | None) -> int:
    # 1280 is what IPv6 asks of every link (RFC 8200, section 5); 65535 the largest packet.
    if value and not 576 <= value <= 65535:
        raise ValueError("mtu is {0}; allowed: 576 to 65535 bytes".format(value))
    return value or 0


def _proxy(value: str | None) -> str:
    import re

    if value and not re.match(r"http://([^/\s]+@)?[^/\s@]+(:[0-9]+)?/?\Z", value):
        raise ValueError("proxy is not usable; allowed: http://[USER:PASSWORD@]HOST[:PORT]")
    return value or ""


def _smtp_targets(values: Iterable[str]) -> tuple[str, ...]:
    for value in values:
        if value_kind.fqdn_problem(value) and value_kind.problem(value, "ip"):
            raise ValueError(
                "smtp_targets has {0!r}; allowed: names and addresses of mail servers".format(value)
            )
    return tuple(values)


def _mirrors(values: Mapping[str, Any]) -> dict[str, str]:
    for name, value in values.items():
        mirror(name, value, 0)
    return {name: str(value or "") for name, value in values.items()}


def mirror(name: str, value: str | None, port: int) -> tuple[str, int]:
    """Return host and port of the server that is used in place of one.

    Args:
        name: the server in the internet.
        value: ``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT``; empty for none.
        port: the port where ``value`` names none.

    Raises:
        ValueError: the value is something else.
    """
    text = str(value or "")
    if not text:
        return "", port
    host, _colon, number = text.rpartition(":")
    if not host or (":" in host and not host.startswith("[")):
        host, number = text, ""
    elif host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    is_host = value_kind.HOSTNAME.match(host + ".x") or not value_kind.problem(host, "ip")
    # Nothing behind the colon is no port; no colon leaves the port as it was.
    is_port = text == host or not value_kind.problem(number, "port")
    if not is_host or not is_port:
        raise ValueError(
            "mirrors: {0} is {1!r}; allowed: HOST, HOST:PORT, or nothing".format(name, text)
        )
    return host, int(number or port)


def _components(data: Mapping[str, Any], values: Mapping[str, str], plan: Mapping[str, Any]) -> int:
    """Return the MiB by which components differ from the stack's defaults."""
    total = 0
    for part in data["memory_plan"]["components"]:
        on = _is_on(part, values, plan)
        if on != part["default"]:
            total += part["mib"] if on else -part["mib"]
    return total


def _is_on(part: Mapping[str, Any], values: Mapping[str, str], plan: Mapping[str, Any]) -> bool:
    """Tell whether a component is on: as the plan says, else the configuration, else by default."""
    if part["name"] in plan:
        return plan[part["name"]]
    if part["key"] in values:
        return values[part["key"]] == part["on"]
    return part["default"]


def _memory(
    data: Mapping[str, Any], values: Mapping[str, str], plan: Mapping[str, Any]
) -> tuple[tuple[Share, ...], tuple[Lever, ...]]:
    """Return what the memory wanted is the sum of, and what could be switched off."""
    _validate_plan(data, plan)
    sizes = data["memory_plan"]
    shares = [Share(data["title"], data["requirements"]["memory_mib"])]
    levers = []
    for part in sizes["components"]:
        on = _is_on(part, values, plan)
        if on != part["default"]:
            title = part["title"] if on else "no " + part["title"]
            shares.append(Share(title, part["mib"] if on else -part["mib"]))
        if on:
            levers.append(Lever("{0}: {1}".format(part["key"], part["off"] or '""'), part["mib"]))
    users = plan.get("users", 0)
    devices = plan.get("activesync_devices", 0)
    workers = plan.get("sogo_workers", sizes["sogo_workers"])
    connections = plan.get("imap_connections", 0)
    sessions = [
        Share(
            "{0} ActiveSync devices".format(devices)
            + (" on {0} workers".format(workers) if devices > workers else ""),
            min(devices, workers) * sizes["activesync_device_mib"],
        ),
        Share(
            "{0} IMAP connections".format(connections), connections * sizes["imap_connection_mib"]
        ),
    ]
    people = Share("{0} users".format(users), users * sizes["user_mib"])
    # Devices and connections are the users': whichever comes out larger counts.
    if people.mib > sum(share.mib for share in sessions):
        sessions = [people]
    shares += [share for share in sessions if share.mib]
    return tuple(shares), tuple(levers)


def _egress(
    data: Mapping[str, Any], values: Mapping[str, str], plan: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...]:
    """Return the outgoing connections without those of components and looks that are off."""
    parts = data["memory_plan"]["components"]
    off = [part["name"] for part in parts if not _is_on(part, values, plan)]
    return tuple(
        row
        for row in data["egress"]
        if row.get("component") not in off and values.get(row.get("skip_key", "")) != "y"
    )


def _validate_plan(data: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Refuse a plan that is not understood."""
    components = [part["name"] for part in data["memory_plan"]["components"]]
    for name, value in plan.items():
        if name in components:
            if not isinstance(value, bool):
                raise ValueError("plan: {0} is {1!r}; allowed: true, false".format(name, value))
        elif name not in PLAN_NUMBERS:
            raise ValueError(
                "plan has {0!r}; allowed: {1}".format(name, ", ".join((*PLAN_NUMBERS, *components)))
            )
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(
                "plan: {0} is {1!r}; allowed: a whole number, 0 or more".format(name, value)
            )


def _networks(data: Mapping[str, Any], values: Mapping[str, str]) -> tuple[Network, ...]:
    """Return the stack's networks with the administrator's addresses."""
    found = []
    project = values.get("COMPOSE_PROJECT_NAME", data["project"])
    for entry in data["networks"]:
        subnets = {}
        for family in ("ipv4", "ipv6"):
            key, form = entry[family + "_key"]
            subnets[family] = form.format(values[key]) if values.get(key) else entry[family]
        found.append(Network(project + "_" + entry["name"], entry["bridge"], **subnets))
    return tuple(found)


def _ports(data: Mapping[str, Any], values: Mapping[str, str]) -> tuple[Port, ...]:
    """Return the stack's ports with the administrator's values applied."""
    found = []
    for entry in data["ports"]:
        variable = entry["variable"]
        address, _colon, number = str(values.get(variable, entry["port"])).rpartition(":")
        # A web port takes its address from a variable of its own.
        bind = entry.get("bind", stack_config.bind_variable(variable))
        address = values.get(bind, "") or address
        if not address and variable not in values:
            address = entry["address"]
        found.append(
            Port(
                entry["name"],
                entry["protocol"],
                "" if address == "0.0.0.0" else address,
                int(number),
                variable,
                entry["public"],
                bool(address),
            )
        )
    for position, port in enumerate(found):
        for other in found[position + 1 :]:
            same = (port.protocol, port.number) == (other.protocol, other.number)
            if same and (port.address == other.address or not (port.address and other.address)):
                raise ValueError(
                    "config: {0} and {1} are both {2}; allowed: a port of its own for each".format(
                        port.variable, other.variable, port.number
                    )
                )
    return tuple(found)


def _config(data: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as texts, and refuse those that the stack's own file would refuse."""
    if not config:
        return {}
    keys = {key["name"]: key for key in data["keys"]}
    known = data["host_keys"]
    values = {}
    for name, value in config.items():
        if name not in known:
            raise ValueError("config has {0!r}; allowed: {1}".format(name, ", ".join(known)))
        key = keys[name]
        text = stack_config.as_text(value, key["kind"])
        text = str(value) if text is None else text.strip()
        trouble = value_kind.problem(text, key["kind"], key["choices"], key["empty"])
        if trouble:
            raise ValueError("config: {0} is {1!r}: {2}".format(name, str(value), trouble))
        values[name] = text
    return values
