# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine, and what the sandbox keeps in it."""

from __future__ import annotations

import contextlib
import functools
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import BuildError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.models.images import Image

from . import data
from .common import CHECKOUT, SandboxError, say

# Labels: the sandbox's name if it has one, and the checkout that made a container.
NAME = f"{data.LABEL}.name"
ORIGIN = f"{data.LABEL}.checkout"


@functools.cache
def client() -> docker.DockerClient:
    """A connection to the engine; raises SandboxError when none answers."""
    try:
        connection = docker.from_env(timeout=120)
        connection.ping()
    except DockerException:
        raise SandboxError("no Docker engine answers; run tests/sandbox/engine.sh start") from None
    return connection


def image(name: str) -> Image | None:
    """The image of that name and tag, or None."""
    try:
        return client().images.get(name)
    except ImageNotFound:
        return None


def import_image(tar: Path, name: str, changes: tuple[str, ...] = ()) -> None:
    """Make an image of one layer from a tar file, replacing older ones of the same repository.

    name: repository:tag.
    changes: lines of a Dockerfile that set metadata.
    """
    repository, tag = name.rsplit(":", 1)
    client().api.import_image_from_file(
        str(tar),
        repository=repository,
        tag=tag,
        changes=[*(f"LABEL {name}={value}" for name, value in labels().items()), *changes],
    )
    _remove_older(name)


def build_image(context: Path, name: str, log: Path) -> None:
    """Make an image from a directory with a Dockerfile, replacing older ones of the same repository.

    name: repository:tag.
    log: the file that gets what the building said.
    Raises SandboxError when it fails.
    """
    said: list[Mapping] = []
    try:
        _image, lines = client().images.build(
            path=str(context), tag=name, labels=labels(), rm=True, forcerm=True
        )
        said = list(lines)
    except BuildError as error:
        said = list(error.build_log)
        raise SandboxError(f"{name} could not be built: {error}; see {log}") from None
    except DockerException as error:
        raise SandboxError(f"{name} could not be built: {error}") from None
    finally:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(line.get("stream", "") for line in said))
    _remove_older(name)


def _remove_older(name: str) -> None:
    """Remove the images of the same repository but this one."""
    repository = name.rsplit(":", 1)[0]
    # Older ones are of no use any more. (One that a container uses stays until that is removed.)
    for old in client().images.list(repository):
        for old_name in old.tags:
            if old_name != name and old_name.startswith(repository + ":"):
                with contextlib.suppress(DockerException):
                    client().images.remove(old_name)


def container(name: str) -> Container | None:
    """The container of that name, or None."""
    try:
        return client().containers.get(name)
    except NotFound:
        return None


def remove(name: str) -> None:
    """Remove a container and its anonymous volumes, running or not."""
    found = container(name)
    if found is not None:
        found.remove(force=True, v=True)


def network() -> None:
    """Make the sandbox's network unless it exists.

    One with other addresses or options, of a sandbox that had other ones, is replaced together
    with the containers in it.
    """
    options = {
        "com.docker.network.bridge.name": data.BRIDGE,
        # Without address translation, what the world does not answer, nobody does.
        "com.docker.network.bridge.enable_ip_masquerade": str(data.UPSTREAM).lower(),
    }
    for found in client().networks.list(names=[f"^{data.PREFIX}$"]):
        if not is_own(found.attrs["Labels"]):
            raise SandboxError(
                f"the engine has a network {data.PREFIX} that the sandbox did not make; remove it "
                f"or give this sandbox a name: {data.NAME_VARIABLE}=NAME"
            )
        subnets = {part["Subnet"] for part in found.attrs["IPAM"]["Config"]}
        if (
            subnets == {data.IPV4_NETWORK, data.IPV6_NETWORK}
            and found.attrs["Options"].items() >= options.items()
        ):
            return
        say(f"the network {data.PREFIX} is another sandbox's; a new one takes its place")
        for member in containers():
            remove(member.name)
        found.remove()
    try:
        client().networks.create(
            data.PREFIX,
            driver="bridge",
            enable_ipv6=True,
            labels=labels(),
            options=options,
            ipam=docker.types.IPAMConfig(
                pool_configs=[
                    docker.types.IPAMPool(subnet=data.IPV4_NETWORK, gateway=data.IPV4_GATEWAY),
                    docker.types.IPAMPool(subnet=data.IPV6_NETWORK, gateway=data.IPV6_GATEWAY),
                ]
            ),
        )
    except DockerException as error:
        raise SandboxError(
            f"the engine could not make the network {data.IPV4_NETWORK}: {error}; "
            f"if something else has these addresses, {data.NAME_VARIABLE}=NAME chooses others"
        ) from None


def create(
    name: str,
    image_name: str,
    addresses: tuple[str, str],
    options: Mapping[str, object],
    more_labels: Mapping[str, str] | None = None,
    **settings: object,
) -> Container:
    """Create a container in the sandbox's network and return it; it is not started.

    addresses: its IPv4 and IPv6 address.
    options: members of the engine API's HostConfig object, by their names there; the
        Python client's own names do not cover all that a host needs.
    more_labels: beside the sandbox's own.
    settings: further arguments of the client's create_container.
    """
    api = client().api
    ipv4, ipv6 = addresses
    endpoint = api.create_endpoint_config(ipv4_address=ipv4, ipv6_address=ipv6)
    made = api.create_container(
        image_name,
        name=name,
        labels={**labels(), ORIGIN: str(CHECKOUT), **(more_labels or {})},
        host_config={"NetworkMode": data.PREFIX, **options},
        networking_config=api.create_networking_config({data.PREFIX: endpoint}),
        **settings,
    )
    return client().containers.get(made["Id"])


def put(target: Container, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Put files into a container, which need not run.

    files: content and mode by absolute path. Owner is root.
    """
    target.put_archive("/", tar(files))


def tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A tar file of files, given as for ``put``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def labels() -> dict[str, str]:
    """The labels of everything that the sandbox makes in the engine."""
    return {data.LABEL: "1", **({NAME: data.NAME} if data.NAME else {})}


def is_own(found: Mapping[str, str] | None) -> bool:
    """Are these the labels of something that a sandbox of this name made?"""
    found = found or {}
    return found.get(data.LABEL) == "1" and found.get(NAME, "") == data.NAME


def containers() -> list[Container]:
    """All containers that a sandbox of this name made, running or not."""
    return [c for c in client().containers.list(all=True) if is_own(c.labels)]


def origin(found: Container) -> str:
    """Who made a container, in words."""
    made_in = found.labels.get(ORIGIN, "")
    return (
        f"the checkout in {made_in}"
        if made_in != str(CHECKOUT) and made_in
        else "an earlier sandbox"
    )
