# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every file and every module has to have."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugins" / "modules").glob("[!_]*.py"))

LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
AUTHORS = "Copyright (c) 2026, the postmaster.mailhost authors"
WITH_HEADER = {".cfg", ".j2", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
# Files as they are found on other machines, or as another program writes them.
DATA = ("tests/unit/hosts/", "tests/unit/plugins/", "changelogs/changelog.yaml")


def files():
    """Return the project's files: known to git, or new and not ignored; else all there are."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        names = {ROOT / name for name in listed.stdout.split("\0") if name}
    else:
        names = {path for path in ROOT.rglob("*") if ".build" not in path.parts}
    return sorted(path for path in names if path.is_file() and not path.is_symlink())


def test_each_file_names_its_licence():
    looked = 0
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        data = name.startswith(DATA) and path.suffix != ".py"
        head = path.read_bytes()[:600].decode("utf-8", "replace")
        if data or not (path.suffix in WITH_HEADER or head.startswith("#!") or name == "Makefile"):
            continue
        looked += 1
        assert LICENCE in head, name
        assert AUTHORS in head, name
    assert looked > 50


def constants(path):
    """Return the strings that a module assigns to names at its top."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = node.value.value
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_are_documented_and_know_check_mode(path):
    said = constants(path)
    documentation = yaml.safe_load(said["DOCUMENTATION"])
    assert documentation["module"] == path.stem
    assert "postmaster.mailhost.attributes" in documentation["extends_documentation_fragment"]
    attributes = documentation["attributes"]
    assert attributes["check_mode"]["support"] == "full"
    for name in ("check_mode", "diff_mode", "idempotent", "platform"):
        attribute = attributes[name]
        if attribute.get("support", "full") != "full":
            assert attribute["details"], f"{name}: the reason is missing"
    action = ROOT / "plugins" / "action" / path.name
    if action.exists():
        # The work is the action's, and actions support check mode unless they say no.
        assert not re.search(r"_supports_check_mode\s*=\s*False", action.read_text())
    else:
        assert re.search(r"supports_check_mode\s*=\s*True", path.read_text(encoding="utf-8"))
    for task in yaml.safe_load(said["EXAMPLES"]):
        assert task["name"]
    assert f"postmaster.mailhost.{path.stem}:" in said["EXAMPLES"]
    for value in yaml.safe_load(said["RETURN"]).values():
        assert {"description", "returned", "type"} <= set(value)


@pytest.mark.parametrize(
    "scenario", sorted((ROOT / "molecule").glob("*/tests")), ids=lambda path: path.parent.name
)
def test_the_tests_of_a_scenario_find_what_they_share(scenario):
    names = {path.name for path in scenario.glob("*.py")}
    shared = {name for name in names if not name.startswith(("test_", "conftest."))}
    verify = (scenario.parent / "verify.yml").read_text()
    assert not shared or "'MOLECULE_SCENARIO_DIRECTORY') }}/tests" in verify
