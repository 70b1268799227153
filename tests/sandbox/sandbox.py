# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: what is done to the sandbox as a whole."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import docker
from docker.errors import DockerException

from . import archive, data, engine, hosts, inventory, keys, world
from .common import SandboxError, locked, parallel, say, step
from .repack import DOCKER_KEY


def write_inventory() -> Path:
    """Make the keys the hosts are reached with and write the inventory; returns its path."""
    key = keys.ssh_key(keys.CLIENT_KEY, "sandbox")
    known = keys.known_hosts([(h.name, (h.fqdn, h.name, h.ipv4, h.ipv6)) for h in data.HOSTS])
    keys.CONTROL_PATH.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return inventory.write(
        data.HOSTS, key, known, keys.CONTROL_PATH, DOCKER_KEY.make().fingerprint()
    )


def _build(systems: Iterable[str]) -> None:
    """Build what is missing: archives first, then all that is made from them."""
    for suite in sorted({system.suite for system in data.SYSTEMS.values()} | {data.WORLD_SUITE}):
        archive.debian(suite)
    write_inventory()
    parallel(
        # The longest first.
        world.build_registry,
        world.image,
        *(functools.partial(hosts.image, system) for system in sorted(set(systems))),
        world.build,
    )


def up(wanted: Sequence[data.Host]) -> None:
    """Build what is missing, start the world and *wanted* hosts."""
    engine.client()
    with locked(), step("up"):
        _build(host.system for host in wanted)
        world.start()
        for host in wanted:
            hosts.start(host)


def reset(host: data.Host) -> None:
    """Replace a host by a bare one."""
    engine.client()
    with locked():
        _build([host.system])
        world.start()
        hosts.reset(host)


def down() -> None:
    """Stop all containers and keep them."""
    for container in engine.client().containers.list(filters=engine.labelled()):
        with locked(), step(f"{container.name} stopped"):
            # The hosts are disposable: no need for them to end in good order.
            container.stop(timeout=5)


def clean() -> None:
    """Remove the containers, volumes, networks and images of the sandbox, and nothing else."""
    connection = engine.client()
    with locked():
        _remove_all(connection)


def _remove_all(connection: docker.DockerClient) -> None:
    try:
        for container in connection.containers.list(all=True, filters=engine.labelled()):
            container.remove(force=True, v=True)
            say(f"container {container.name} removed")
        for network in connection.networks.list(filters=engine.labelled()):
            network.remove()
            say(f"network {network.name} removed")
        for volume in connection.volumes.list(filters=engine.labelled()):
            volume.remove(force=True)
            say(f"volume {volume.name} removed")
        for image in connection.images.list(all=True, filters=engine.labelled()):
            connection.images.remove(image.id, force=True)
            say(f"image {', '.join(image.tags) or image.short_id} removed")
    except DockerException as error:
        raise SandboxError(f"the engine refused: {error}") from None


def status() -> None:
    """Print one line for each container."""
    there = {
        c.name: c for c in engine.client().containers.list(all=True, filters=engine.labelled())
    }
    rows = [(world.NAME, data.WORLD_IPV4)] + [(h.container, h.ipv4) for h in data.HOSTS]
    for name, address in rows:
        state = there[name].status if name in there else "not made"
        print(f"{name.removeprefix(data.PREFIX + '-'):8} {address:12} {state}")
