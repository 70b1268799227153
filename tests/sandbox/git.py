# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world's git repositories, made from the stand-ins' trees."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .archive import built, is_built
from .common import STATE, digest, run, step
from .standin import STACKS, RepositoryStack


def _commit(stack: RepositoryStack, tree: Path, tag: str, date: str) -> None:
    """Commit what is in *tree* and tag it; author and dates are fixed, so its hash is too."""
    identity = {
        "GIT_AUTHOR_NAME": "Sandbox",
        "GIT_AUTHOR_EMAIL": "sandbox@example.test",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_NAME": "Sandbox",
        "GIT_COMMITTER_EMAIL": "sandbox@example.test",
        "GIT_COMMITTER_DATE": date,
        # The settings of whoever builds the sandbox must not change the result.
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }
    git = ["git", "-C", str(tree), "-c", "core.autocrlf=false"]
    # Files that the project ignores may still be its own.
    run([*git, "add", "--all", "--force"], env=identity)
    run([*git, "commit", "--quiet", "-m", f"{stack.name} {tag}"], env=identity)
    run([*git, "tag", tag], env=identity)


def build(directory: Path) -> None:
    """Make the bare repository of each stand-in below *directory*, where its tree has changed."""
    for stack in STACKS:
        if not isinstance(stack, RepositoryStack):
            continue
        recipe = digest(
            Path(__file__), stack.tree, repr((stack.versions, stack.links, stack.repository))
        )
        if is_built(f"git-{stack.name}", recipe):
            continue
        with step(f"git repository {stack.repository}"):
            target = directory / f"{stack.repository}.git"
            (STATE / "cache").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="git-", dir=STATE / "cache") as work:
                tree = Path(work) / "tree"
                run(["git", "init", "--quiet", "--initial-branch=master", str(tree)])
                for version in stack.versions:
                    stack.write(tree, version)
                    _commit(stack, tree, version.tag, version.date)
                bare = Path(work) / "bare"
                run(["git", "clone", "--quiet", "--bare", str(tree), str(bare)])
                # Replaced at once, because a host may be cloning it.
                shutil.rmtree(target, ignore_errors=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                bare.rename(target)
        built(f"git-{stack.name}", recipe)
