# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian file trees, made by mmdebstrap from the world's archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import archive, data
from .common import run

# Documentation and translations are a third of a small system's size.
WITHOUT_DOCUMENTATION = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
# Debian's installer has made /bin and its like links for longer than the packages ask for it.
MERGE_USR = (
    'cd "$1" && for name in bin lib lib64 sbin; do mkdir -p usr/$name && ln -s usr/$name; done'
)


def sources(suite: str) -> list[str]:
    """The lines of a sources.list that takes a release from the world's own archive.

    Everything is made from what lies there, so that a host finds for its packages
    just the versions it has.
    """
    root = archive.ROOT / "debian"
    return [f"deb [signed-by={archive.DEBIAN_KEY.public}] copy://{root} {suite} main"]


def build(
    target: Path,
    suite: str,
    packages: Sequence[str],
    hooks: Sequence[str] = (),
    variant: str = "apt",
) -> None:
    """Write a Debian file tree to a tar file.

    target: the tar file.
    suite: Debian's code name.
    packages: what it has beyond the variant.
    hooks: shell commands that finish it; ``$1`` is the tree.
    variant: mmdebstrap's name for the base.
    """
    archive.debian(suite)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".new.tar")
    run(
        [
            "mmdebstrap",
            f"--variant={variant}",
            "--mode=root",
            "--format=tar",
            # dpkg's own flushing to disk costs half the time and protects nothing here.
            "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt={option}" for option in WITHOUT_DOCUMENTATION),
            '--aptopt=Acquire::Languages "none"',
            *([f"--setup-hook={MERGE_USR}"] if suite in data.UNMERGED_SUITES else []),
            f"--include={','.join(packages)}",
            *(f"--customize-hook={hook}" for hook in hooks),
            suite,
            str(unfinished),
            *sources(suite),
        ],
        log=f"rootfs-{target.stem}.log",
    )
    unfinished.replace(target)
