# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looking after the owner and mode of mailboxes costs, beside find, chmod and chown.

    python tests/bench/vpopmail.py [FILES]

Needs root. Makes a tree of 100 000 files (or as many as it is told) below /var/tmp, and takes it away
again. Prints medians of interleaved rounds and their ratio to what vpopmail's documents advise:
find with one chmod for many files, and chown -R. A chmod for each file, as in the loop of older advice,
is measured with a hundredth of the files and multiplied.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".build/collections"))

from ansible_collections.postmaster.mailhost.plugins.module_utils import (  # noqa: E402
    vpopmail_permissions,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host  # noqa: E402

FILES = 100_000
IN_FOLDER = 500
ROUNDS = 5
UID = GID = 4711
WANTED = vpopmail_permissions.Rights(UID, GID)


def grow(top: Path, files: int) -> None:
    """Make mailboxes with so many messages, all as they should be."""
    for number in range(0, files, IN_FOLDER):
        folder = top / f"d{number // (10 * IN_FOLDER)}.test" / f"user {number}" / "Maildir" / "cur"
        folder.mkdir(parents=True)
        for message in range(min(IN_FOLDER, files - number)):
            path = folder / f"{number + message}.mail:2,S"
            os.close(os.open(path, os.O_CREAT, 0o600))
            os.chown(path, UID, GID)
    for folder, _folders, _names in os.walk(top):
        os.chmod(folder, 0o700)
        os.chown(folder, UID, GID)


def ours(top: Path, deviating: int) -> float:
    """Look and mend; return the seconds."""
    begin = time.perf_counter()
    found = vpopmail_permissions.walk(Host(), str(top), WANTED, True)
    took = time.perf_counter() - begin
    assert (found.deviating, found.left) == (deviating, 0), found.to_dict()
    return took


def shell(top: Path, script: str) -> float:
    """Run a script there; return the seconds."""
    begin = time.perf_counter()
    subprocess.run(["sh", "-c", script], cwd=top, check=True)
    return time.perf_counter() - begin


def many(top: Path) -> float:
    """Do the same with find, and one chmod for many files."""
    return shell(
        top,
        "find . -type d -exec chmod 700 {} + && find . -type f -exec chmod 600 {} + && "
        f"chown -R {UID}:{GID} .",
    )


def one_by_one(top: Path) -> float:
    """Do the same with a chmod for each file, in a hundredth of the tree."""
    part = sorted(top.glob("d*/user*"))
    whole = len(part)
    part = part[: max(1, whole // 100)]
    begin = time.perf_counter()
    for folder in part:
        shell(folder, "find . -type f -exec chmod 600 {} ';'")
    took = time.perf_counter() - begin
    return took * whole / len(part)


def main() -> None:
    """Measure and print."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    top = Path(tempfile.mkdtemp(prefix="vpopmail-", dir="/var/tmp"))
    try:
        grow(top, files)
        folders = sum(len(names) for _folder, names, _files in os.walk(top)) + 1
        cases: dict[str, tuple[Callable[[], object], Callable[[], float]]] = {
            "nothing deviates": (lambda: None, lambda: ours(top, 0)),
            "every file deviates": (
                lambda: shell(top, "find . -type f -exec chmod 644 {} +"),
                lambda: ours(top, files),
            ),
            "find … -exec chmod {} +, chown -R": (lambda: None, lambda: many(top)),
            "find … -exec chmod {} ;": (lambda: None, lambda: one_by_one(top)),
        }
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _round in range(ROUNDS):
            for name, (prepare, run) in cases.items():
                prepare()
                taken[name].append(run())
        print(f"{files} files in {folders} directories, medians of {ROUNDS} rounds")
        peer = statistics.median(taken["find … -exec chmod {} +, chown -R"])
        for name, seconds in taken.items():
            middle = statistics.median(seconds)
            print(f"{name:36} {middle:8.2f} s {middle / peer:8.2f}")
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
