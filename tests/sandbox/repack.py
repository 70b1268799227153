# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages named and laid out as Docker's, made from Debian's binaries.

Docker's repository cannot be reached from a machine without the internet, but
the programs in it can: Debian builds them too. Names, versions, dependencies
and file paths are those of Docker's packages, so that a role cannot tell.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import data, keys
from .archive import ROOT, architecture, built, is_built, publish
from .common import STATE, SandboxError, digest, run, step, write_if_changed

DOCKER_KEY = keys.SigningKey("docker", "Sandbox archive standing in for Docker's")
DOCKER_ROOT = STATE / "world" / "docker" / "linux"


@dataclass(frozen=True)
class Imitation:
    """A package of Docker's and where its parts come from.

    sources: Debian packages whose files it holds; the first gives version and scripts.
    version: with ``{upstream}`` and ``{release}`` (such as ``debian.13~trixie``) to fill in.
    fields: of its control file; None removes one.
    moves: files that lie elsewhere in Docker's packages.
    drops: files that Docker's packages do not have.
    """

    sources: Sequence[str]
    version: str
    fields: Mapping[str, str | None]
    moves: Mapping[str, str] | None = None
    drops: Sequence[str] = ()


IMITATIONS = {
    "containerd.io": Imitation(
        sources=("containerd", "runc"),
        version="{upstream}-1",
        fields={
            "Depends": "libc6, libseccomp2 (>= 2.5.0)",
            "Conflicts": "containerd, runc",
            "Replaces": "containerd, runc",
            "Provides": "containerd, runc",
            "Breaks": None,
        },
        moves={"usr/sbin/runc": "usr/bin/runc"},
    ),
    "docker-ce": Imitation(
        sources=("docker.io", "tini"),
        version="5:{upstream}-1~{release}",
        fields={
            "Depends": "adduser, containerd.io (>= 1.7.0), docker-ce-cli, iptables, libc6, "
            "libsystemd0",
            "Recommends": "ca-certificates, git, pigz, procps, xz-utils",
            "Suggests": None,
            "Conflicts": "docker (<< 1.5~), docker-engine, docker.io",
            "Replaces": "docker-engine",
        },
        moves={
            "usr/sbin/dockerd": "usr/bin/dockerd",
            "usr/sbin/docker-proxy": "usr/bin/docker-proxy",
            "usr/bin/tini": "usr/libexec/docker/docker-init",
        },
        drops=("usr/bin/docker-init", "usr/bin/tini-static", "usr/share/docker.io"),
    ),
    "docker-ce-cli": Imitation(
        sources=("docker-cli",),
        version="5:{upstream}-1~{release}",
        fields={
            "Depends": "libc6",
            "Recommends": "docker-buildx-plugin, docker-compose-plugin",
            "Conflicts": "docker (<< 1.5~), docker-cli, docker-engine, docker.io",
            "Replaces": "docker-ce (<< 5:0), docker-cli",
            "Breaks": "docker-ce (<< 5:0)",
        },
    ),
    "docker-compose-plugin": Imitation(
        sources=("docker-compose",),
        version="{upstream}-1~{release}",
        fields={"Depends": "libc6", "Recommends": None, "Enhances": "docker-ce-cli"},
        drops=("usr/bin/docker-compose",),
    ),
    "docker-buildx-plugin": Imitation(
        sources=("docker-buildx",),
        version="{upstream}-1~{release}",
        fields={"Depends": "libc6", "Recommends": None, "Enhances": "docker-ce-cli"},
    ),
}


# What the programs need at run time, where they bring their libraries along: the loader
# first, then the libraries, by the names they are asked for.
LIBRARIES = (
    "ld-linux-*.so.*",
    "libc.so.6",
    "libcap.so.2",
    "libm.so.6",
    "libresolv.so.2",
    "libseccomp.so.2",
    "libsystemd.so.0",
)


def edit_control(text: str, changes: Mapping[str, str | None]) -> str:
    """A Debian control file with some of its fields changed.

    text: one stanza.
    changes: new values by field name; None removes the field. A field that is not there is added.
    Returns the stanza; untouched fields keep order and continuation lines.
    """
    fields: dict[str, str] = {}
    name = ""
    for line in text.strip("\n").splitlines():
        if line[:1] in (" ", "\t"):
            fields[name] += "\n" + line
        else:
            name, _colon, value = line.partition(":")
            fields[name] = value.strip()
    for name, value in changes.items():
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def upstream(version: str) -> str:
    """The upstream part of a Debian package version: ``1:26.1.5+dfsg1-9+b2`` is ``26.1.5``."""
    without_epoch = version.split(":", 1)[-1]
    without_revision = without_epoch.rsplit("-", 1)[0]
    return re.split(r"[+~](?:dfsg|ds)", without_revision)[0]


def _pool_file(suite: str, package: str) -> Path:
    found = sorted(
        (ROOT / "debian" / "pool" / suite).glob(f"{package}_*.deb"), key=lambda p: p.stat().st_mtime
    )
    if not found:
        raise SandboxError(
            f"the archive of {suite} has no package {package}; name it in ARCHIVE in data.py"
        )
    return found[-1]


def _move(tree: Path, moves: Mapping[str, str]) -> None:
    for old, new in moves.items():
        (tree / new).parent.mkdir(parents=True, exist_ok=True)
        (tree / new).unlink(missing_ok=True)
        (tree / old).rename(tree / new)
    # What starts a moved program must find it.
    for unit in tree.glob("usr/lib/systemd/system/*"):
        text = unit.read_text()
        for old, new in moves.items():
            text = text.replace(f"/{old}", f"/{new}")
        unit.write_text(text)


def _source(system: data.System, package: str) -> Path:
    """The file of one of the Debian packages that a system's imitations are made from."""
    return _pool_file(system.suite if package in system.engine_own else system.engine, package)


def _bring_libraries(tree: Path, name: str, system: data.System) -> None:
    """Have the programs in a package's tree use libraries that lie in the same package.

    name: the package; its libraries' directory is named after it.
    """
    libraries = Path("usr", "lib", name)
    with tempfile.TemporaryDirectory(prefix="repack-", dir=STATE / "cache") as work:
        for package in system.engine_libraries:
            run(["dpkg-deb", "-x", str(_pool_file(system.engine, package)), work])
        (tree / libraries).mkdir(parents=True)
        for pattern in LIBRARIES:
            # The real file under the name that programs ask for.
            (found,) = {p.resolve(): p for p in Path(work, "usr/lib").rglob(pattern)}.values()
            shutil.copy(found, tree / libraries / found.name)
    (loader,) = (tree / libraries).glob(LIBRARIES[0])
    for program in sorted(tree.rglob("*")):
        if not program.is_file() or program.is_symlink() or program.parent == tree / libraries:
            continue
        # One of the system's own needs nothing (and runs in containers, which have no such directory).
        if program.read_bytes()[:4] != b"\x7fELF" or program.name in system.engine_own:
            continue
        run(
            [
                "patchelf",
                "--set-interpreter",
                f"/{loader.relative_to(tree)}",
                # Also for the libraries' own needs.
                "--force-rpath",
                "--set-rpath",
                f"/{libraries}",
                str(program),
            ]
        )


def _make(name: str, imitation: Imitation, system: data.System, release: str, pool: Path) -> None:
    """Write the package called *name* into the directory *pool*."""
    with tempfile.TemporaryDirectory(prefix="repack-", dir=STATE / "cache") as work:
        tree = Path(work)
        for source in reversed(imitation.sources):
            # The first one comes last: its control files stay.
            shutil.rmtree(tree / "DEBIAN", ignore_errors=True)
            run(["dpkg-deb", "-R", str(_source(system, source)), work])
        for drop in imitation.drops:
            if (tree / drop).is_dir():
                shutil.rmtree(tree / drop)
            else:
                (tree / drop).unlink(missing_ok=True)
        if system.engine_libraries:
            _bring_libraries(tree, name, system)
        _move(tree, imitation.moves or {})
        # Each named Debian's package, not this one.
        for directory in ("usr/share/lintian", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(tree / directory, ignore_errors=True)
        (tree / "DEBIAN" / "md5sums").unlink(missing_ok=True)
        control = tree / "DEBIAN" / "control"
        text = control.read_text()
        version = next(
            line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("Version: ")
        )
        number = imitation.version.format(upstream=upstream(version), release=release)
        control.write_text(
            edit_control(
                text,
                {
                    "Package": name,
                    "Source": None,
                    "Built-Using": None,
                    "Version": number,
                    **imitation.fields,
                },
            )
        )
        tree.chmod(0o755)
        file = f"{name}_{number.split(':')[-1]}_{architecture()}.deb"
        # Time matters, size does not.
        compression = f"-Z{system.compression}"
        run(["dpkg-deb", "--root-owner-group", compression, "-z1", "-b", work, str(pool / file)])


def docker(system_name: str) -> None:
    """Make and publish Docker's packages for a system, unless these binaries' are there.

    Does nothing for a system that has none. The archives that they come from must be there.
    """
    system = data.SYSTEMS[system_name]
    if not system.engine:
        return
    sources = [_source(system, s).name for i in IMITATIONS.values() for s in i.sources]
    recipe = digest(
        Path(__file__), repr(system), " ".join(sources), DOCKER_KEY.make().public.read_bytes()
    )
    suite = system.look.release if system.look else system.suite
    if is_built(f"docker-{suite}", recipe):
        return
    if system.look:
        # The same programs under another address.
        docker(debian_of(system))
    with step(f"archive of Docker's packages for {system_name}"):
        root = DOCKER_ROOT / ("ubuntu" if system.look else "debian")
        pool = root / "dists" / suite / "pool" / "stable" / architecture()
        shutil.rmtree(pool, ignore_errors=True)
        pool.mkdir(parents=True)
        if system.look:
            for made in pool_of(data.SYSTEMS[debian_of(system)]).glob("*.deb"):
                (pool / made.name).hardlink_to(made)
        else:
            for name, imitation in IMITATIONS.items():
                release = f"debian.{system.version}~{system.suite}"
                _make(name, imitation, system, release, pool)
        publish(root, suite, {"stable": pool}, DOCKER_KEY, "Docker")
        write_if_changed(root / "gpg", DOCKER_KEY.public.read_bytes())
    built(f"docker-{suite}", recipe)


def debian_of(look_alike: data.System) -> str:
    """The name of the Debian that a look-alike is made from."""
    return next(
        name
        for name, system in data.SYSTEMS.items()
        if system.suite == look_alike.suite and not system.look
    )


def pool_of(system: data.System) -> Path:
    """Where Docker's packages for a Debian lie."""
    return DOCKER_ROOT / "debian" / "dists" / system.suite / "pool" / "stable" / architecture()
