# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world: one container with DNS, package archives, image registry and git server.

It serves a directory of the controller, so that what is built there is at once
to be had, and nothing need be copied.
"""

from __future__ import annotations

import shutil
import socket
import time

from . import data, engine, git, keys, registry, repack, rootfs, zones
from .common import HERE, LOGS, STATE, SandboxError, digest, say, step, write_if_changed

NAME = data.WORLD
ROOT = STATE / "world"
ETC = ROOT / "etc"
FAULTS = ROOT / "faults"


def image() -> str:
    """Build the world's image unless it exists; returns its name."""
    start = HERE / "world" / "start"
    recipe = digest(start, data.WORLD_PACKAGES, data.WORLD_SUITE)
    name = f"{data.PREFIX}/world:{recipe}"
    if not engine.image(name):
        with step("world image"):
            tar = STATE / "cache" / "world.tar"
            hook = f'cp {start} "$1/usr/local/sbin/world-start"'
            rootfs.build(tar, data.WORLD_SUITE, data.WORLD_PACKAGES.split(), [hook])
            engine.import_image(tar, name, ('ENTRYPOINT ["/usr/local/sbin/world-start"]',))
            tar.unlink()
    return name


def _configure() -> None:
    """Write the configuration of the world's servers."""
    names = [
        f"{owner}.{zone}".removeprefix("@.")
        for zone, owners in data.WORLD_NAMES.items()
        for owner in owners
    ]
    keys.server_certificate(ETC / "tls", [*names, f"world.{data.DOMAIN}"])
    texts = zones.all_zones(data.HOSTS)
    for name, text in texts.items():
        write_if_changed(ETC / "zones" / zones.file_name(name), text)
    write_if_changed(
        ETC / "named.conf", zones.server_configuration(list(texts), "/srv/world/etc/zones")
    )
    for name in ("nginx.conf", "registry.yml"):
        write_if_changed(ETC / name, (HERE / "world" / name).read_bytes())


def build() -> None:
    """Build everything that the world serves and is not there yet; the archives must be."""
    for name in data.SYSTEMS:
        repack.docker(name)
    git.build(ROOT / "git")
    _configure()


def build_registry() -> None:
    """Build the images that the world's registry has, unless they are there."""
    registry.build(ROOT / "registry")


def start() -> None:
    """Make sure that the world runs; what it serves must have been built."""
    wanted = image()
    recipe = digest(wanted, ETC)
    engine.network()
    FAULTS.mkdir(parents=True, exist_ok=True)
    container = engine.container(NAME)
    if container is not None:
        # The same recipe in another checkout would serve that one's files.
        served = {mount["Destination"]: mount.get("Source") for mount in container.attrs["Mounts"]}
        if served.get("/srv/world") != str(ROOT):
            say(f"the world of {engine.origin(container)} makes room for this one")
            recipe_there = None
        else:
            recipe_there = container.labels.get(f"{data.LABEL}.recipe")
        if recipe_there != recipe:
            container.remove(force=True, v=True)
            container = None
    if container is not None and container.status == "running":
        return
    with step("world started"):
        shutil.rmtree(FAULTS)
        FAULTS.mkdir()
        if container is None:
            container = engine.create(
                NAME,
                wanted,
                (data.WORLD_IPV4, data.WORLD_IPV6),
                {
                    "Binds": [f"{ROOT}:/srv/world:ro"],
                    "Tmpfs": {"/run": "", "/tmp": ""},
                    "RestartPolicy": {"Name": "unless-stopped"},
                },
                hostname="world",
                more_labels={f"{data.LABEL}.recipe": recipe},
            )
        container.start()
        _wait()


def _wait(limit: float = 20.0) -> None:
    """Wait until all of the world's servers listen."""
    end = time.monotonic() + limit
    for port in (53, 80, 443):
        while True:
            try:
                socket.create_connection((data.WORLD_IPV4, port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    container = engine.container(NAME)
                    log = LOGS / "world.log"
                    write_if_changed(log, container.logs() if container else b"")
                    raise SandboxError(
                        f"the world does not answer on port {port}; see {log}"
                    ) from None
                time.sleep(0.1)


def fault(name: str, on: bool) -> None:
    """Break one of the world's servers on purpose, or mend it.

    name: ``registry`` or ``git`` (answers 503), ``dns`` (does not answer).
    """
    if name == "dns":
        container = engine.container(NAME)
        if container is None or container.status != "running":
            raise SandboxError("the world does not run")
        # A process that is stopped keeps its port and stays silent, as a server that is
        # overloaded or behind a filter does.
        done = container.exec_run(["pkill", "-STOP" if on else "-CONT", "-x", "named"])
        if done.exit_code != 0:
            raise SandboxError("the world's name server does not run")
    elif name in ("git", "registry"):
        FAULTS.mkdir(parents=True, exist_ok=True)
        if on:
            (FAULTS / name).touch()
        else:
            (FAULTS / name).unlink(missing_ok=True)
    else:
        raise SandboxError(f"there is no fault {name!r}; there are dns, git, registry")
