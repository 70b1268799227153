# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines for the tests: those of tests/unit/hosts, and small ones made on the spot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

HOSTS = Path(__file__).parents[1] / "hosts"


def recorded_of(name):
    """Return the host.json of a machine of tests/unit/hosts, on top of that of the one it is like."""
    own = json.loads((HOSTS / name / "host.json").read_text(encoding="utf-8"))
    if "like" not in own:
        return own
    merged = recorded_of(own["like"])
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = dict(merged[key], **value) if both else value
    return merged


def _build(root, files, recorded, links):
    for path, content in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content, encoding="utf-8")
    for path, goal in links.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(goal)
    if recorded is not None:
        (root / "host.json").write_text(json.dumps(recorded), encoding="utf-8")
    return Host(str(root))


@pytest.fixture(scope="session")
def host_tree(tmp_path_factory):
    """Return a function: name of a directory in tests/unit/hosts -> that machine as a Host."""
    made = {}

    def tree(name):
        if name not in made:
            root = tmp_path_factory.mktemp("hosts") / name
            recorded = recorded_of(name)
            for layer in filter(None, (recorded.get("like"), name)):
                shutil.copytree(str(HOSTS / layer), str(root), dirs_exist_ok=True)
            made[name] = _build(root, {}, recorded, recorded.get("links", {}))
        return made[name]

    return tree


@pytest.fixture
def make_host(tmp_path):
    """Return a function: files, recorded answers and links -> a machine as a Host."""

    def make(files=None, recorded=None, links=None):
        return _build(tmp_path, files or {}, recorded, links or {})

    return make
