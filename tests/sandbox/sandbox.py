# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: what is done to the sandbox as a whole."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import docker
from docker.errors import DockerException

from . import archive, data, engine, hosts, inventory, keys, vm, world
from .common import (
    CHECKOUT,
    STATE,
    SandboxError,
    locked,
    parallel,
    runtime,
    say,
    step,
    write_if_changed,
)
from .repack import DOCKER_KEY


def _check_name() -> None:
    """Raise SandboxError when the state below .build is that of a sandbox of another name.

    Its zones, inventory and certificates hold the addresses that follow from the name.
    """
    note = STATE / "name"
    if note.is_file() and note.read_text() != data.NAME:
        present = note.read_text()
        setting = f"{data.NAME_VARIABLE}={present}" if present else f"no {data.NAME_VARIABLE}"
        raise SandboxError(
            f"the sandbox of this checkout was made with {setting}; set it so again, "
            "or remove the sandbox first (so set, the verb clean)"
        )
    write_if_changed(note, data.NAME)


def write_inventory() -> Path:
    """Make the keys the hosts are reached with and write the inventory; returns its path."""
    _check_name()
    key = keys.ssh_key(keys.CLIENT_KEY, "sandbox")
    known = keys.known_hosts([(h.name, (h.fqdn, h.name, h.ipv4, h.ipv6)) for h in data.HOSTS])
    runtime()
    return inventory.write(
        data.HOSTS, key, known, keys.CONTROL_PATH, DOCKER_KEY.make().fingerprint()
    )


def _build(wanted_hosts: Sequence[data.Host]) -> None:
    """Build what is missing: archives first, then all that is made from them."""
    if os.geteuid() != 0:
        raise SandboxError("only root can build Debian file trees; run this as root")
    if " " in str(CHECKOUT):
        raise SandboxError(f"the path of the checkout must not contain spaces: {CHECKOUT}")
    _check_name()
    keys.complete([archive.DEBIAN_KEY, DOCKER_KEY])
    hosts.remove_strangers()
    wanted = sorted({host.system for host in wanted_hosts if not host.virtual})
    machines = sorted({host.system for host in wanted_hosts if host.virtual})
    if machines:
        if data.UPSTREAM:
            raise SandboxError(
                "virtual machines are made from Debian's archive; make them without "
                + data.IMAGES_VARIABLE
            )
        vm.ask()
    suites = {
        data.WORLD_SUITE,
        *(suite for suite, _packages in data.STACK_PACKAGES.values()),
        *(data.SYSTEMS[name].suite for name in (*wanted, *machines) if not data.UPSTREAM),
        *([data.VM_SUITE] if machines else []),
    }
    parallel(*(functools.partial(archive.debian, suite) for suite in sorted(suites)))
    write_inventory()
    parallel(
        # The longest first.
        world.build_registry,
        world.image,
        *(functools.partial(hosts.image, system) for system in wanted),
        *(functools.partial(hosts.disk, system) for system in machines),
        *([vm.runner] if machines else []),
        functools.partial(world.build, (*wanted, *machines)),
    )


def build(wanted: Sequence[data.Host]) -> None:
    """Build what is missing for the world and *wanted* hosts."""
    engine.client()
    with locked(), step("build"):
        _build(wanted)


def up(wanted: Sequence[data.Host]) -> None:
    """Build what is missing, start the world and *wanted* hosts."""
    engine.client()
    with locked(), step("up"):
        _build(wanted)
        world.start()
        parallel(*(functools.partial(hosts.start, host) for host in wanted))


def reset(wanted: Sequence[data.Host]) -> None:
    """Replace hosts by bare ones."""
    engine.client()
    with locked():
        _build(wanted)
        world.start()
        parallel(*(functools.partial(hosts.reset, host) for host in wanted))


def remove(unwanted: Sequence[data.Host]) -> None:
    """Throw hosts away."""
    engine.client()
    with locked():
        for host in unwanted:
            hosts.remove(host)


def fault(name: str, on: bool, only: Sequence[data.Host] = ()) -> None:
    """Break one of the world's servers on purpose, or mend it; for some hosts alone, if named."""
    engine.client()
    with locked():
        world.fault(name, on, only)


def record(name: str, kind: str, values: Sequence[str]) -> None:
    """Change a record of the world's DNS."""
    engine.client()
    with locked():
        world.record(name, kind, values)


def reset_records(name: str = "", kind: str = "") -> None:
    """Put all records back, or those of a name and a type."""
    engine.client()
    with locked():
        world.reset_records(name, kind)


def down() -> None:
    """Stop all containers and keep them."""
    with locked():
        for container in engine.containers():
            if container.status == "running":
                with step(f"{container.name} stopped"):
                    # The hosts are disposable: no need for them to end in good order.
                    container.stop(timeout=5)


def reboot(host: data.Host) -> None:
    """Restart a host."""
    engine.client()
    with locked():
        hosts.reboot(host)


def clean() -> None:
    """Remove the containers (with their volumes), network and images of the sandbox, nothing else."""
    connection = engine.client()
    with locked():
        _remove_all(connection)
        note = STATE / "name"
        if note.is_file() and note.read_text() == data.NAME:
            note.unlink()


def _remove_all(connection: docker.DockerClient) -> None:
    try:
        for container in engine.containers():
            container.remove(force=True, v=True)
            say(f"container {container.name} removed")
        for network in connection.networks.list():
            if engine.is_own(network.attrs["Labels"]):
                network.remove()
                say(f"network {network.name} removed")
        for image in connection.images.list(all=True):
            if engine.is_own(image.labels):
                connection.images.remove(image.id, force=True)
                say(f"image {', '.join(image.tags) or image.short_id} removed")
    except DockerException as error:
        raise SandboxError(f"the engine refused: {error}") from None


def status() -> None:
    """Print one line for each container."""
    there = {container.name: container for container in engine.containers()}
    rows = [(world.NAME, data.WORLD_IPV4)] + [(h.container, h.ipv4) for h in data.HOSTS]
    for name, address in rows:
        state = there[name].status if name in there else "not made"
        print(f"{name.removeprefix(data.PREFIX + '-'):8} {address:12} {state}")
    for name in world.faults():
        print(f"fault    {name}")
    for (name, kind), values in world.edits().items():
        print(f"record   {name} {kind} {' '.join(values) or 'none'}")
