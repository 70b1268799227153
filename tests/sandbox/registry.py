# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of the world's registry, written in the layout it stores them in.

All images of a stack share one layer, which holds the daemons; each adds only
what it starts. So a host that pulls eighteen of them fetches the daemons once.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

from . import archive, data, rootfs
from .archive import built, is_built
from .common import STATE, digest, step, write_if_changed
from .standin import STACKS, Stack

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIGURATION = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
# The hubs' default owner of images that are named without one.
DEFAULT_OWNER = "library"
# Images are made at no particular time, so that the same content has the same digest.
CREATED = "2026-07-01T00:00:00Z"


def split(image: str) -> tuple[str, str]:
    """Repository and tag of an image, as its registry calls them.

    ``redis:7-alpine`` is (``library/redis``, ``7-alpine``),
    ``ghcr.io/mailcow/unbound:1.25`` is (``mailcow/unbound``, ``1.25``).
    """
    name, _colon, tag = image.partition(":")
    parts = name.split("/")
    if "." in parts[0]:
        parts = parts[1:]
    if len(parts) == 1:
        parts.insert(0, DEFAULT_OWNER)
    return "/".join(parts), tag or "latest"


# What is not wanted of the packages in a layer. A package's own data directory would hide whether a
# service made one. The tools of MariaDB that nobody calls are a quarter of a layer, which every host unpacks.
HOOK = """cd "$1" && rm -rf var/lib/mysql var/lib/redis var/lib/apt/lists/* etc/resolv.conf && cd usr/bin &&
rm -f aria_* myisam* innochecksum perror replace resolve_stack_dump mariadbd-safe-helper \\
mariadb-binlog mariadb-conv mariadb-import mariadb-plugin mariadb-show mariadb-slap \\
mariadb-tzinfo-to-sql mariadb-waitpid"""
# Of gzip. The layer crosses a virtual network only; time matters, size does not.
LEVEL = 1


class Store:
    """A registry's storage directory."""

    def __init__(self, root: Path) -> None:
        self.root = root / "docker" / "registry" / "v2"

    def blob(self, content: bytes) -> str:
        """Keep *content*; returns its digest."""
        name = hashlib.sha256(content).hexdigest()
        write_if_changed(self.root / "blobs" / "sha256" / name[:2] / name / "data", content)
        return f"sha256:{name}"

    def link(self, repository: str, where: str, blob: str) -> None:
        """Make a repository refer to a blob at one of the places the layout knows."""
        write_if_changed(self.root / "repositories" / repository / where / "link", blob)

    def image(
        self, repository: str, tag: str, configuration: bytes, layers: list[tuple[str, int]]
    ) -> None:
        """Add an image: its configuration (JSON) and its layers (digest and size)."""
        config = self.blob(configuration)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": CONFIGURATION,
                    "size": len(configuration),
                    "digest": config,
                },
                "layers": [
                    {"mediaType": LAYER, "size": size, "digest": name} for name, size in layers
                ],
            }
        ).encode()
        revision = self.blob(manifest)
        for name in (config, *(name for name, _size in layers)):
            self.link(repository, f"_layers/{name.replace(':', '/')}", name)
        path = revision.replace(":", "/")
        self.link(repository, f"_manifests/revisions/{path}", revision)
        self.link(repository, f"_manifests/tags/{tag}/current", revision)
        self.link(repository, f"_manifests/tags/{tag}/index/{path}", revision)


def tar_of(directory: Path, prefix: str) -> bytes:
    """A directory's files as a tar archive below *prefix*, owned by root, with a fixed date."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
        for file in sorted(p for p in directory.rglob("*") if p.is_file()):
            entry = tarfile.TarInfo(f"{prefix}/{file.relative_to(directory)}")
            entry.size = file.stat().st_size
            entry.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            with file.open("rb") as content:
                out.addfile(entry, content)
    return buffer.getvalue()


def configuration(stack: Stack, service: str, tag: str, layer_ids: list[str]) -> bytes:
    """The configuration of the image that a service runs (JSON).

    tag: the image's; what it starts is told, because releases differ.
    layer_ids: digests of its unpacked layers.
    """
    role = service.removesuffix(f"-{stack.name}")
    start = role if (stack.scripts / role).is_file() else "idle"
    settings: dict[str, object] = {
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/standin",
            "LANG=C.UTF-8",
        ],
        # One process that passes signals on and collects orphans, whatever the service is.
        "Entrypoint": ["/usr/bin/tini", "-g", "--", f"/opt/standin/{start}", role, tag],
        "WorkingDir": "/",
    }
    check = stack.checks.get(service)
    if check is not None:
        second = 10**9
        settings["Healthcheck"] = {
            "Test": ["CMD", f"/opt/standin/{check.script}"],
            # Starting a program in a container costs a tenth of a second of a core: often until it
            # is healthy for the first time, and rarely from then on.
            "StartInterval": check.interval * second,
            "StartPeriod": 20 * second,
            "Interval": 5 * check.interval * second,
            "Timeout": 10 * second,
            "Retries": 2,
        }
    return json.dumps(
        {
            "architecture": archive.architecture(),
            "os": "linux",
            "created": CREATED,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": layer_ids},
            "history": [{"created": CREATED, "created_by": "the sandbox"} for _layer in layer_ids],
        }
    ).encode()


def _base_layer(store: Store, stack: Stack) -> tuple[str, int, str]:
    """The layer with a stack's daemons: its digest, its size, and its digest when unpacked."""
    part = f"layer-{stack.name}"
    note = STATE / "stamps" / f"{part}.json"
    suite, packages = data.STACK_PACKAGES[stack.name]
    recipe = digest(packages, suite, archive.architecture(), HOOK, str(LEVEL))
    if is_built(part, recipe) and note.is_file():
        name, size, unpacked = json.loads(note.read_text())
        return name, size, unpacked
    with step(f"layer with the daemons of the stand-in for {stack.name}"):
        tar = STATE / "cache" / f"{part}.tar"
        rootfs.build(tar, suite, packages.split(), [HOOK], variant="essential")
        content = tar.read_bytes()
        unpacked = f"sha256:{hashlib.sha256(content).hexdigest()}"
        packed = gzip.compress(content, LEVEL, mtime=0)
        result = store.blob(packed), len(packed), unpacked
        tar.unlink()
    write_if_changed(note, json.dumps(result))
    built(part, recipe)
    return result


def build(root: Path) -> None:
    """Write the images of all stand-ins to the registry's directory, if anything changed."""
    parts = [
        part
        for s in STACKS
        for part in (s.scripts, repr(sorted(s.images().items())), repr(s.checks))
    ]
    recipe = digest(Path(__file__), *parts, repr(data.STACK_PACKAGES), archive.architecture())
    if is_built("registry", recipe):
        return
    store = Store(root)
    bases = {stack.name: _base_layer(store, stack) for stack in STACKS}
    with step("images of the stand-in stacks"):
        # Tags that no stack has any more must not be found.
        shutil.rmtree(store.root / "repositories", ignore_errors=True)
        for stack in STACKS:
            base, base_size, base_unpacked = bases[stack.name]
            scripts = tar_of(stack.scripts, "opt/standin")
            packed = gzip.compress(scripts, 9, mtime=0)
            scripts_id = f"sha256:{hashlib.sha256(scripts).hexdigest()}"
            layers = [(base, base_size), (store.blob(packed), len(packed))]
            for image, service in stack.images().items():
                repository, tag = split(image)
                store.image(
                    repository,
                    tag,
                    configuration(stack, service, tag, [base_unpacked, scripts_id]),
                    layers,
                )
    built("registry", recipe)
