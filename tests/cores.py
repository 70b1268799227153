# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Pythons on this machine, and the lines of ansible-core that can be had with them."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
VENV = BUILD / "venv"

Version = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Core:
    """A line of ansible-core and the Pythons it supports, each as (first, last)."""

    name: str
    controller: tuple[Version, Version]
    target: tuple[Version, Version]
    # The name under which ansible-test looks for its copy of get-pip.
    get_pip: str

    def requirements(self) -> Path:
        """Return the file that pins this line."""
        return ROOT / "requirements" / f"core-{self.name}.txt"


# Source: the support matrix of ansible-core and ansible_test/_internal/constants.py.
CORES = (
    Core("2.18", ((3, 11), (3, 13)), ((3, 8), (3, 13)), "get_pip_24_2.py"),
    Core("2.19", ((3, 11), (3, 13)), ((3, 8), (3, 13)), "get_pip_24_2.py"),
    Core("2.20", ((3, 12), (3, 14)), ((3, 9), (3, 14)), "get_pip_25_2.py"),
    Core("2.21", ((3, 12), (3, 14)), ((3, 9), (3, 14)), "get_pip_25_2.py"),
)


def text(version: Version) -> str:
    """Return (3, 11) as "3.11"."""
    return f"{version[0]}.{version[1]}"


def search_path() -> list[str]:
    """Return the folders of PATH without pyenv's shims.

    A shim exists for every version that pyenv knows and fails for all but the
    chosen one, which ends ansible-test.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [f for f in folders if f and not (Path(f).name == "shims" and "pyenv" in f)]


def pythons() -> dict[Version, Path]:
    """Return the working interpreters of 3.8 to 3.14: on PATH, then pyenv's builds."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    # Backwards: of two builds of one version the newer one, by name, is taken.
    folders = search_path() + [str(f) for f in sorted(pyenv.glob("*/bin"), reverse=True)]
    found = {}
    for minor in range(8, 15):
        path = shutil.which(f"python3.{minor}", path=os.pathsep.join(folders))
        if path is None:
            continue
        answer = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode == 0 and answer.stdout.strip() == f"3.{minor}":
            found[(3, minor)] = Path(path)
    return found


def python_of(venv: Path) -> Version:
    """Return the Python version of a virtual environment."""
    code = "import sys; print(*sys.version_info[:2])"
    output = subprocess.run(
        [venv / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    major, minor = output.split()
    return int(major), int(minor)


def core_in_use() -> Core:
    """Return the line of ansible-core that the set-up chose."""
    for core in CORES:
        pin = core.requirements().read_text().split("ansible-core==")[1].split()[0]
        if list(VENV.glob(f"lib/python*/site-packages/ansible_core-{pin}.dist-info")):
            return core
    raise SystemExit(f"{VENV} holds no ansible-core that is pinned in requirements/")


def controller_for(core: Core, found: dict[Version, Path]) -> Path | None:
    """Return the newest interpreter that `core` runs on, or None."""
    first, last = core.controller
    fit = [version for version in found if first <= version <= last]
    return found[max(fit)] if fit else None


def core_venv(core: Core, python: Path, run) -> Path:
    """Return an environment with nothing but `core`; make it if it is missing.

    `run` takes a command (a list) and raises when it fails. The core in use lives
    in the environment that the set-up made.
    """
    if core == core_in_use():
        return VENV
    venv = BUILD / "cores" / core.name
    stamp = venv / "stamp"
    want = f"{python} {ROOT}\n{core.requirements().read_text()}"
    if not stamp.exists() or stamp.read_text() != want:
        shutil.rmtree(venv, ignore_errors=True)
        run([python, "-m", "venv", venv])
        constraints = ROOT / "requirements" / "constraints.txt"
        run(
            [
                venv / "bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "-c",
                constraints,
                "-r",
                core.requirements(),
            ]
        )
        stamp.write_text(want)
    return venv
