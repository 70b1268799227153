# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack needs of a host: the stack's data with the administrator's own values applied."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

THRESHOLDS = ("memory_mib", "swap_mib", "disk_gib", "cpu_mhz")


class Port(NamedTuple):
    """A port that the stack publishes on the host; ``address`` is empty for all addresses."""

    name: str
    protocol: str
    address: str
    number: int
    variable: str
    public: bool

    @property
    def place(self) -> str:
        """The port as it is written in messages, for example ``tcp 127.0.0.1:13306``."""
        where = self.address + ":" if self.address else ""
        return "{0} {1}{2}".format(self.protocol, where, self.number)


class Need(NamedTuple):
    """The demands that the checks compare a host with."""

    stack: str
    title: str
    install_path: str
    env_file: str
    project: str
    memory_mib: int
    memory_tolerance: float
    swap_mib: int
    disk_gib: float
    cpu_mhz: int
    architectures: tuple[str, ...]
    operating_systems: tuple[Mapping[str, Any], ...]
    ports: tuple[Port, ...]
    commands: tuple[str, ...]
    networks: tuple[Mapping[str, Any], ...]
    sources: Mapping[str, str]


def from_stack(
    data: Mapping[str, Any],
    install_path: str | None = None,
    ports: Mapping[str, Any] | None = None,
    **thresholds: float | None,
) -> Need:
    """Return what a stack needs.

    Args:
        data: the stack's data, see ``stack.get``.
        install_path: directory of the stack on the host; None for the stack's own.
        ports: values of the stack's port and bind variables, as in its configuration file.
        thresholds: any of :data:`THRESHOLDS`; None for the stack's own.

    Raises:
        ValueError: a value that is not allowed; the text names the option, the value and what is.
    """
    requirements = data["requirements"]
    limits = {name: requirements[name] for name in THRESHOLDS}
    for name, value in thresholds.items():
        if name not in limits:
            raise ValueError(
                "unknown threshold {0}; known: {1}".format(name, ", ".join(THRESHOLDS))
            )
        if value is None:
            continue
        if value < 0:
            raise ValueError("{0} is {1}; allowed: 0 or more".format(name, value))
        limits[name] = value
    path = data["install_path"] if install_path is None else install_path
    if not path.startswith("/"):
        raise ValueError("install_path is {0!r}; allowed: an absolute path".format(path))
    return Need(
        stack=data["name"],
        title=data["title"],
        install_path=path.rstrip("/") or "/",
        env_file=data["env_file"],
        project=data["project"],
        memory_tolerance=requirements["memory_tolerance"],
        architectures=tuple(requirements["architectures"]),
        operating_systems=tuple(data["operating_systems"]),
        ports=_ports(data, ports or {}),
        commands=tuple(data["commands"]),
        networks=tuple(data["networks"]),
        sources=data["sources"],
        **limits,
    )


def _ports(data: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Port, ...]:
    """Return the stack's ports with the administrator's values applied."""
    if values:
        _validate(data, values)
    found = []
    for entry in data["ports"]:
        variable = entry["variable"]
        address, _colon, number = str(values.get(variable, entry["port"])).strip().rpartition(":")
        # A web port takes its address from a variable of its own.
        address = str(values.get(_bind_variable(variable), "")).strip() or address
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
            )
        )
    for position, port in enumerate(found):
        for other in found[position + 1 :]:
            same = (port.protocol, port.number) == (other.protocol, other.number)
            if same and (port.address == other.address or not (port.address and other.address)):
                raise ValueError(
                    "ports: {0} and {1} are both {2}; allowed: a port of its own for each".format(
                        port.variable, other.variable, port.number
                    )
                )
    return tuple(found)


def _bind_variable(variable: str) -> str:
    """Return the name of the variable that holds the address of a port variable."""
    return variable[: -len("_PORT")] + "_BIND" if variable.endswith("_PORT") else variable + "_BIND"


def _validate(data: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse port values that the stack's own configuration would refuse."""
    from ansible_collections.postmaster.mailhost.plugins.module_utils import value_kind

    keys = {key["name"]: key for key in data["keys"]}
    known = []
    for entry in data["ports"]:
        known.append(entry["variable"])
        if _bind_variable(entry["variable"]) in keys:
            known.append(_bind_variable(entry["variable"]))
    for name, value in values.items():
        if name not in known:
            raise ValueError("ports has {0!r}; allowed: {1}".format(name, ", ".join(known)))
        key = keys[name]
        trouble = value_kind.problem(
            str(value).strip(), key["kind"], key.get("choices"), key.get("empty", False)
        )
        if trouble:
            raise ValueError("ports: {0} is {1!r}: {2}".format(name, str(value), trouble))
