# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs: what is done to the sandbox as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from docker.errors import DockerException

from . import data, engine, hosts, inventory, keys, world
from .common import SandboxError, say, step
from .repack import DOCKER_KEY


def write_inventory() -> Path:
    """Make the keys the hosts are reached with and write the inventory; returns its path."""
    key = keys.ssh_key(keys.CLIENT_KEY, "sandbox")
    known = keys.known_hosts([(h.name, (h.fqdn, h.name, h.ipv4, h.ipv6)) for h in data.HOSTS])
    return inventory.write(data.HOSTS, key, known, DOCKER_KEY.make().fingerprint())


def up(wanted: Sequence[data.Host]) -> None:
    """Build what is missing, start the world and *wanted* hosts."""
    with step("up"):
        engine.client()
        write_inventory()
        world.start()
        for host in wanted:
            hosts.start(host)


def reset(host: data.Host) -> None:
    """Replace a host by a bare one."""
    write_inventory()
    world.start()
    hosts.reset(host)


def down() -> None:
    """Stop all containers and keep them."""
    for container in engine.client().containers.list(filters=engine.labelled()):
        with step(f"{container.name} stopped"):
            # The hosts are disposable: no need for them to end in good order.
            container.stop(timeout=5)


def clean() -> None:
    """Remove the containers, volumes, networks and images that the sandbox made, and nothing else."""
    connection = engine.client()
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
    there = {c.name: c for c in engine.client().containers.list(all=True, filters=engine.labelled())}
    rows = [(world.NAME, data.WORLD_IPV4)] + [(h.container, h.ipv4) for h in data.HOSTS]
    for name, address in rows:
        state = there[name].status if name in there else "not made"
        print(f"{name.removeprefix(data.PREFIX + '-'):8} {address:12} {state}")
