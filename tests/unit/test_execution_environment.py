# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-builder installs for this collection is what its code imports."""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
DEPENDENCIES = yaml.safe_load((ROOT / "meta" / "execution-environment.yml").read_text())[
    "dependencies"
]
NAMED = {
    requirement.name.lower(): requirement
    for requirement in (
        Requirement(line)
        for line in (ROOT / DEPENDENCIES["python"]).read_text().splitlines()
        if line and not line.startswith("#")
    )
}


def imported():
    """Return the distributions, of other people, that some plugin or module imports."""
    names = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    names -= sys.stdlib_module_names | {"ansible", "ansible_collections"}
    owners = metadata.packages_distributions()
    return {owners[name][0].lower() for name in names}


def test_what_is_imported_is_named_or_comes_with_ansible_core():
    core = {Requirement(line).name.lower() for line in metadata.requires("ansible-core")}
    assert imported() - core == set(NAMED)


def test_modules_are_documented_with_the_same_bounds():
    said = set()
    for path in (ROOT / "plugins" / "modules").glob("*.py"):
        said |= set(re.findall(r"^  - (\w+) >= ([\d.]+)", path.read_text(encoding="utf-8"), re.M))
    assert said == {(name, str(item.specifier)[2:]) for name, item in NAMED.items()}


def test_the_files_are_in_the_tarball():
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    for name in ("meta/execution-environment.yml", *DEPENDENCIES.values()):
        path = Path(name)
        assert (ROOT / path).is_file(), name
        # The last of the parents is the collection itself.
        for part in (path, *path.parents[:-1], path.name):
            assert not any(fnmatch.fnmatch(str(part), pattern) for pattern in ignored), name
