# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that the stack publishes: free, held by the stack itself, or held by somebody else."""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need, Port
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.resources import (
    DOCKER_ROOT,
    docker_root,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import (
    Host,
    HostError,
    Listener,
)

# The engine's helper holds a published port; without the helper the engine itself does.
_ENGINE = ("docker-proxy", "dockerd")

# Ports whose number other mail servers rely on: moving them is no way out.
_FIXED = (25,)


class Container(NamedTuple):
    """A running container: what it is called, whose it is and what it publishes."""

    id: str
    name: str
    project: str
    directory: str
    published: tuple[tuple[str, str, int], ...]


def public(host: Host, need: Need) -> list[Finding]:
    """Look for programs that hold a port which the stack offers to the world.

    The stack's own containers may hold them: that is a second run. They are known by the directory
    of their Compose project, the install path. Where the stack is installed and the holder is not
    visible, for want of root's rights, the answer is ``unknown``.
    """
    return _look(host, need, [port for port in need.ports if port.public])


def loopback(host: Host, need: Need) -> list[Finding]:
    """Look for programs that hold a port which the stack publishes for the host's own use."""
    return _look(host, need, [port for port in need.ports if not port.public])


def _look(host: Host, need: Need, ports: list[Port]) -> list[Finding]:
    """Return one finding for each foreign holder of a port, or one that says that all is well."""
    required = ", ".join(port.place for port in ports) + " free"
    if not ports:
        return [answer(SKIP, "the stack has no such port", "nothing")]
    held = [
        (port, listener)
        for listener in holders_of_ports(host, need)
        for port in ports
        if overlap(port, listener)
    ]
    if not held:
        return [answer(OK, "all free", required)]
    containers = _containers(host)
    own = 0
    # The same program often holds a port on both address families, or several ports.
    holders: dict[tuple[Any, ...], list[tuple[Port, Listener]]] = {}
    names: dict[tuple[Any, ...], tuple[str, str, bool]] = {}
    for port, listener in held:
        container = _container_of(listener, containers)
        if _is_own(host, need, listener, container):
            own += 1
            continue
        key: tuple[Any, ...]
        if container is not None:
            key = ("container", container.id)
        elif listener.pid is None:
            key = ("hidden",)
        else:
            key = ("process", listener.pid)
        holders.setdefault(key, []).append((port, listener))
        names[key] = _describe(need, listener, container)
    if not holders:
        numbers = sorted({port.number for port, _listener in held})
        return [
            answer(
                OK,
                "{0} held by {1} itself".format(", ".join(map(str, numbers)), need.title),
                required,
            )
        ]
    findings = []
    for key, items in holders.items():
        places = _unique(_place(listener) for _port, listener in items)
        variables = _unique(port.variable for port, _listener in items)
        name, fix, movable = names[key]
        fixed = any(port.number in _FIXED for port, _listener in items)
        if movable and variables[0] and not fixed:
            fix += " Or move the stack's port with {0}.".format(", ".join(variables))
        # Where the stack is installed, what is not visible may be the stack itself.
        hidden = key == ("hidden",) and host.exists(need.install_path)
        findings.append(
            answer(
                UNKNOWN if hidden else FAIL,
                "{0} held by {1}".format(", ".join(places), name),
                ", ".join(_unique(port.place for port, _listener in items)) + " free",
                fix,
            )
        )
    return findings


def holders_of_ports(host: Host, need: Need) -> list[Listener]:
    """Return the sockets on all ports of the stack; the kernel's tables are read once per host."""
    return host.once(_listeners, frozenset(port.number for port in need.ports))


def _listeners(host: Host, numbers: frozenset[int]) -> list[Listener]:
    return host.listeners(numbers)


def overlap(port: Port, listener: Listener) -> bool:
    """Tell whether the stack could not bind its port beside this socket.

    A socket on every address collides with each single one, and the other way round. The two
    address families count as one: a published port is bound in both.
    """
    if (listener.protocol, listener.port) != (port.protocol, port.number):
        return False
    return not port.address or listener.wildcard or listener.address == port.address


def _place(listener: Listener) -> str:
    brackets = "[{0}]" if ":" in listener.address else "{0}"
    return "{0} {1}:{2}".format(listener.protocol, brackets.format(listener.address), listener.port)


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _describe(need: Need, listener: Listener, container: Container | None) -> tuple[str, str, bool]:
    """Return who holds a socket, how to free it, and whether the stack could use another port."""
    if container is not None:
        if container.project == need.project:
            return (
                "container {0} of the same Compose project in {1}".format(
                    container.name, container.directory or "an unknown directory"
                ),
                "Set install_path to that directory, or stop it there with docker compose down.",
                False,
            )
        project = ", Compose project " + container.project if container.project else ""
        return (
            "container {0}{1}".format(container.name, project),
            "Stop it (docker stop {0}) and keep it from starting again.".format(container.name),
            True,
        )
    if listener.pid is None:
        return (
            "a process that is not visible",
            "Find it as root with: ss -tulpn. Then stop it and keep it from starting again.",
            True,
        )
    if listener.pid == 1:
        return (
            "{0} (PID 1) for a socket unit".format(listener.process or "the service manager"),
            "Find the unit with: systemctl list-sockets. Then: systemctl disable --now UNIT.",
            True,
        )
    details = ["PID {0}".format(listener.pid)]
    if listener.unit:
        details.append(listener.unit)
    name = "{0} ({1})".format(listener.process or "a process", ", ".join(details))
    if listener.process in _ENGINE:
        address = _option(listener.cmdline, "-container-ip")
        what = "the container at {0}".format(address) if address else "a container"
        fix = "Find the container with: docker ps. Stop it and keep it from starting again."
        return "{0} for {1}".format(name, what), fix, True
    if listener.unit.endswith(".service"):
        return name, "Stop it for good: systemctl disable --now {0}.".format(listener.unit), True
    return name, "Stop process {0} and keep it from starting again.".format(listener.pid), True


def _is_own(host: Host, need: Need, listener: Listener, container: Container | None) -> bool:
    """Tell whether a socket is held for a container of the stack itself."""
    if container is not None:
        if container.directory:
            return host.realpath(container.directory) == host.realpath(need.install_path)
        return container.project == need.project
    # The engine's files are root's own. The helper's arguments are everybody's: an address in the
    # stack's network can only be a container of the stack.
    address = _option(listener.cmdline, "-container-ip")
    if listener.process != "docker-proxy" or not address:
        return False
    import ipaddress

    networks = [
        ipaddress.ip_network(subnet)
        for network in need.networks
        for subnet in (network.ipv4, network.ipv6)
        if subnet
    ]
    try:
        return any(ipaddress.ip_address(address) in network for network in networks)
    except ValueError:
        return False  # no address: some other program of that name


def _option(cmdline: tuple[str, ...], name: str) -> str:
    """Return the value that follows an option on a command line; empty when it is not there."""
    try:
        return cmdline[cmdline.index(name) + 1]
    except (ValueError, IndexError):
        return ""


def _container_of(listener: Listener, containers: list[Container]) -> Container | None:
    """Return the container that a socket belongs to, if any."""
    if listener.unit.startswith("docker-") and listener.unit.endswith(".scope"):
        identity = listener.unit[len("docker-") : -len(".scope")]
        for container in containers:
            if container.id == identity:
                return container
    if listener.process not in _ENGINE:
        return None
    candidates = [
        (address, container)
        for container in containers
        for protocol, address, number in container.published
        if (protocol, number) == (listener.protocol, listener.port)
    ]
    for address, container in candidates:
        if address == listener.address:
            return container
    # One published address "" stands for both families.
    for address, container in candidates:
        if address in ("", "0.0.0.0", "::"):
            return container
    return None


def _containers(host: Host) -> list[Container]:
    """Return the running containers as the engine writes them down for itself.

    Its own files answer at once and without its program or socket, and they say which directory a
    container's Compose project has.
    """
    import json

    try:
        root = docker_root(host)
    except HostError:
        root = DOCKER_ROOT
    found = []
    for path in host.glob(root + "/containers/*/config.v2.json"):
        try:
            data = json.loads(host.read(path) or "")
            if not data["State"]["Running"]:
                continue
            labels = data["Config"]["Labels"] or {}
            published = []
            for inner, bindings in (data["NetworkSettings"]["Ports"] or {}).items():
                protocol = inner.partition("/")[2] or "tcp"
                for binding in bindings or []:
                    published.append(
                        (protocol, binding.get("HostIp", ""), int(binding["HostPort"]))
                    )
            found.append(
                Container(
                    data["ID"],
                    data["Name"].lstrip("/"),
                    labels.get("com.docker.compose.project", ""),
                    labels.get("com.docker.compose.project.working_dir", ""),
                    tuple(published),
                )
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a file of another engine version, or one being written: it tells nothing
    return found


LOOK = (
    ("ports.public", "Public ports", "ports", public),
    ("ports.loopback", "Loopback ports", "ports", loopback),
)
