# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's package archives: Debian's, reduced, and Docker's, imitated.

Packages are the only thing the sandbox downloads, and this is where it does;
hosts, world and stand-in images are all made from what lies here.
"""

from __future__ import annotations

import gzip
import platform
from pathlib import Path

from . import data, keys
from .common import STATE, SandboxError, digest, run, say, step, write_if_changed

ROOT = STATE / "world" / "debian"
# Virtual machines; what they are made from is downloaded once this directory is there.
VM = STATE / "vm"
DEBIAN_KEY = keys.SigningKey("debian", "Sandbox archive standing in for Debian's")

# The other parts of Ubuntu's archive are there, and empty.
UBUNTU_COMPONENTS = ("main", "restricted", "universe", "multiverse")
UBUNTU_POCKETS = ("updates", "backports", "security")


def architecture() -> str:
    """Debian's name of this machine's architecture."""
    machine = platform.machine()
    if machine not in data.ARCHITECTURE_NAMES:
        raise SandboxError(f"the sandbox knows {', '.join(data.ARCHITECTURE_NAMES)}, not {machine}")
    return data.ARCHITECTURE_NAMES[machine]


def groups(suite: str) -> dict[str, list[str]]:
    """The package lists of a suite's archive, by name.

    Each holds a complete base system, so that every list resolves on its own.
    """
    lists = {name: names.split() for name, names in data.ARCHIVE[suite].items()}
    for name, system in data.SYSTEMS.items():
        if system.suite == suite:
            lists[name] = list(system.packages)
    if suite == data.WORLD_SUITE:
        lists["world"] = data.WORLD_PACKAGES.split()
    for name, (stack_suite, packages) in data.STACK_PACKAGES.items():
        if stack_suite == suite:
            lists[f"stack-{name}"] = packages.split()
    if suite == data.VM_SUITE and VM.is_dir():
        # As it is installed: beside what its system has.
        (system,) = {host.system for host in data.HOSTS if host.virtual}
        lists["vm"] = [*data.SYSTEMS[system].packages, *data.VM_PACKAGES.split()]
        lists["vm-runner"] = data.VM_RUNNER_PACKAGES.split()
    return lists


def _apt(suite: str) -> list[str]:
    """An apt-get with a state of its own: it believes that nothing is installed."""
    state = STATE / "cache" / f"apt-{suite}"
    for directory in (
        "etc/apt/preferences.d",
        "etc/apt/apt.conf.d",
        "state/lists/partial",
        "cache",
    ):
        (state / directory).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    security = f"{data.DEBIAN_MIRROR}/debian-security"
    trust = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
    write_if_changed(
        state / "etc/apt/sources.list",
        f"deb [{trust}] {data.DEBIAN_MIRROR}/debian {suite} main\n"
        f"deb [{trust}] {data.DEBIAN_MIRROR}/debian {suite}-updates main\n"
        f"deb [{trust}] {security} {suite}-security main\n",
    )
    pool = ROOT / "debian" / "pool" / suite
    (pool / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::Etc": state / "etc/apt",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": state / "state",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Cache::archives": pool,
        # Images of Debian for containers switch these off, and each run parses all lists anew.
        "Dir::Cache::pkgcache": "pkgcache.bin",
        "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
        "APT::Architecture": architecture(),
        "APT::Architectures": architecture(),
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        # A release that nobody maintains any more is still to be had, with an old date.
        "Acquire::Check-Valid-Until": "false",
    }
    return [
        "apt-get",
        "-q",
        "-y",
        *(f"--option={name}={value}" for name, value in settings.items()),
    ]


def publish(
    directory: Path, suite: str, components: dict[str, Path], key: keys.SigningKey, origin: str
) -> None:
    """Write and sign the index files of an archive.

    directory: the archive's root, which holds ``dists`` and the packages.
    suite: the name below ``dists``.
    components: for each component the directory whose packages it lists; it lies below *directory*.
    key: what signs it.
    origin: the archive's Origin and Label.
    """
    dist = directory / "dists" / suite
    for component, pool in components.items():
        packages = b""
        if pool.is_dir():
            relative = str(pool.relative_to(directory))
            packages = run(
                [
                    "sh",
                    "-c",
                    'cd "$1" && exec apt-ftparchive --md5=no --sha1=no --sha512=no packages "$2"',
                    "sh",
                    str(directory),
                    relative,
                ]
            )
        index = dist / component / f"binary-{architecture()}" / "Packages"
        write_if_changed(index, packages)
        write_if_changed(index.with_name("Packages.gz"), gzip.compress(packages, 6, mtime=0))
    options = {
        "Origin": origin,
        "Label": origin,
        "Suite": suite,
        "Codename": suite,
        "Architectures": architecture(),
        "Components": " ".join(components),
    }
    for old in ("Release", "InRelease", "Release.gpg"):
        (dist / old).unlink(missing_ok=True)
    release = run(
        [
            "apt-ftparchive",
            *(f"--option=APT::FTPArchive::Release::{k}={v}" for k, v in options.items()),
            "release",
            str(dist),
        ]
    )
    write_if_changed(dist / "Release", release)
    key.sign(dist / "Release")


def _stamp(name: str) -> Path:
    return STATE / "stamps" / name


def is_built(name: str, recipe: str) -> bool:
    """Was the part called *name* built from this *recipe*?"""
    return _stamp(name).is_file() and _stamp(name).read_text() == recipe


def built(name: str, recipe: str) -> None:
    """Note that the part called *name* was built from *recipe*."""
    write_if_changed(_stamp(name), recipe)


def _recipe(suite: str) -> str:
    return digest(
        repr(sorted(groups(suite).items())),
        " ".join(releases(suite)),
        DEBIAN_KEY.make().public.read_bytes(),
        architecture(),
    )


def releases(suite: str) -> list[str]:
    """The releases of Ubuntu whose look-alikes are made from a suite, by code name."""
    looks = (system.look for system in data.SYSTEMS.values() if system.suite == suite)
    return [look.release for look in looks if look and look.is_ubuntu]


def is_complete(suite: str) -> bool:
    """Is what the lists of a suite name there?"""
    return is_built(f"debian-{suite}", _recipe(suite))


def debian(suite: str) -> None:
    """Download a suite's packages and publish them, unless that was done for these lists."""
    if is_complete(suite):
        return
    lists = groups(suite)
    pool = ROOT / "debian" / "pool" / suite
    with step(f"packages of Debian {suite}"):
        apt = _apt(suite)
        run([*apt, "update"], log=f"packages-{suite}.log")
        # Systems with the same packages need them found once.
        unlike = {tuple(packages): name for name, packages in lists.items()}
        for packages, name in unlike.items():
            run(
                [*apt, "install", "--download-only", "?essential", "apt", *packages],
                log=f"packages-{suite}-{name}.log",
            )
    size = sum(file.stat().st_size for file in pool.glob("*.deb"))
    say(f"{suite}: {len(list(pool.glob('*.deb')))} packages, {size // 2**20} MiB")
    with step(f"archive of Debian {suite}"):
        publish(ROOT / "debian", suite, {"main": pool}, DEBIAN_KEY, "Debian")
        # Nothing is newer than what is in main; the names must exist all the same.
        publish(ROOT / "debian", f"{suite}-updates", {"main": pool / "none"}, DEBIAN_KEY, "Debian")
        publish(
            ROOT / "debian-security",
            f"{suite}-security",
            {"main": pool / "none"},
            DEBIAN_KEY,
            "Debian-Security",
        )
    for release in releases(suite):
        with step(f"archive of the look-alike of Ubuntu {release}"):
            none = dict.fromkeys(UBUNTU_COMPONENTS, pool / "none")
            publish(ROOT / "debian", release, {**none, "main": pool}, DEBIAN_KEY, "Ubuntu")
            for pocket in UBUNTU_POCKETS:
                publish(ROOT / "debian", f"{release}-{pocket}", none, DEBIAN_KEY, "Ubuntu")
    built(f"debian-{suite}", _recipe(suite))
