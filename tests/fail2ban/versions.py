# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fail2ban of each Debian, unpacked below .build, to run beside one another.

The packages are Python alone, so an interpreter of this machine runs them where
their code still fits it. What is missing (no download, no such interpreter) is
said by UnavailableError.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import cores
from sandbox import data

PLACE = cores.BUILD / "fail2ban"
POOL = "debian/pool/main/f/fail2ban"


class UnavailableError(Exception):
    """A version cannot be had on this machine; the text says why."""


@dataclasses.dataclass(frozen=True)
class Version:
    """A version of fail2ban as a release of Debian has it.

    name: fail2ban's version number.
    suite: the release of Debian.
    package: Debian's version number of the package.
    digest: SHA-256 of the package.
    pythons: the first and the last Python that can run it.
    """

    name: str
    suite: str
    package: str
    digest: str
    pythons: tuple[cores.Version, cores.Version]

    @property
    def file(self) -> str:
        """The package's file name."""
        return f"fail2ban_{self.package}_all.deb"


# The last Python of 0.11.2 and 1.0.2 is the last one with collections.Mapping and asynchat.
VERSIONS = (
    Version(
        "0.11.2",
        "bullseye",
        "0.11.2-2",
        "a25522032699515f59d4f70cd3dc93cdb2ac36f1c40b449e6773e2111fe38383",
        ((3, 8), (3, 9)),
    ),
    Version(
        "1.0.2",
        "bookworm",
        "1.0.2-2",
        "9717b7aeef7b00f0df4c76045cd6dab2755cbe9fc99dbfe3cd114126880ec7f7",
        ((3, 8), (3, 11)),
    ),
    Version(
        "1.1.0",
        "trixie",
        "1.1.0-8",
        "ac35080546f1a1581163b2ebcb9796b08eb4abca3d3643082b76dce505cbd6d8",
        ((3, 8), (3, 13)),
    ),
    Version(
        "1.1.1",
        "sid",
        "1.1.1-1",
        "c544561da237a443c34982bc6be0bef39490406e08643d4ceb968f6177ac58c2",
        ((3, 8), (3, 14)),
    ),
)


@dataclasses.dataclass(frozen=True)
class Installation:
    """An unpacked version.

    version: which one.
    root: the folder that stands for / of a host.
    python: the interpreter that runs it.
    """

    version: Version
    root: Path
    python: Path

    @property
    def config(self) -> Path:
        """The stock configuration; never to be written to, see copy_config."""
        return self.root / "etc" / "fail2ban"

    def copy_config(self, target: Path, stock_jails: bool = False) -> Path:
        """Copy the stock configuration to a folder that does not exist; return that folder.

        stock_jails: keep Debian's jail.d/defaults-debian.conf, which switches sshd on.
        """
        shutil.copytree(self.config, target)
        if not stock_jails:
            (target / "jail.d" / "defaults-debian.conf").unlink()
        return target

    def command(self, program: str, *arguments: str | Path) -> list[str]:
        """Return the command of fail2ban-regex, -client or -server; run it with environment()."""
        path = self.root / "usr" / "bin" / program
        # Old code on a newer Python: warnings about escapes in strings.
        return [str(word) for word in (self.python, "-W", "ignore", path, *arguments)]

    def environment(self) -> dict[str, str]:
        """Return the environment of its commands."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        # Its modules, and no other version's; nothing is left beside them.
        library = self.root / "usr" / "lib" / "python3" / "dist-packages"
        return kept | {"PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, program: str, *arguments: str | Path, timeout: float = 60) -> str:
        """Run a program of it; return what it printed. Raises CalledProcessError."""
        return subprocess.run(
            self.command(program, *arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=timeout,
            check=True,
        ).stdout


def _package(version: Version) -> bytes:
    """Return the package: from the sandbox, where it has it, or from Debian."""
    pool = cores.BUILD / "sandbox" / "world" / "debian" / "debian" / "pool" / version.suite
    if (pool / version.file).is_file():
        content = (pool / version.file).read_bytes()
    else:
        url = f"{data.DEBIAN_MIRROR}/{POOL}/{version.file}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                content = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise UnavailableError(f"fail2ban {version.name}: {url}: {error}") from error
    if hashlib.sha256(content).hexdigest() != version.digest:
        raise UnavailableError(
            f"fail2ban {version.name}: {version.file} is not the file that it was"
        )
    return content


@functools.cache
def installation(version: Version) -> Installation:
    """Return a version unpacked, after downloading it the first time. Raises UnavailableError."""
    first, last = version.pythons
    fit = [python for number, python in cores.pythons().items() if first <= number <= last]
    if not fit:
        numbers = f"{cores.text(first)} to {cores.text(last)}"
        raise UnavailableError(f"fail2ban {version.name}: no Python {numbers} on this machine")
    if shutil.which("dpkg-deb") is None:
        raise UnavailableError(f"fail2ban {version.name}: no dpkg-deb on this machine")
    root = PLACE / version.package
    if not root.is_dir():
        PLACE.mkdir(parents=True, exist_ok=True)
        # Another run may do the same at this moment; the name appears when all is there.
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            package = Path(folder) / version.file
            package.write_bytes(_package(version))
            unpacked = Path(folder) / "root"
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
            try:
                unpacked.rename(root)
            except OSError:
                if not root.is_dir():
                    raise
    return Installation(version, root, fit[-1])


def found() -> dict[str, Installation | UnavailableError]:
    """Return for each version's name its installation, or why there is none."""
    answer: dict[str, Installation | UnavailableError] = {}
    for version in VERSIONS:
        try:
            answer[version.name] = installation(version)
        except UnavailableError as error:
            answer[version.name] = error
    return answer
