# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every place that names a version agrees with the one place that decides it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import cores
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
VERSION = GALAXY["version"]
REQUIRES = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
FLOOR = re.fullmatch(r">=(\d+\.\d+)\.0", REQUIRES).group(1)

SPECS = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
PLUGINS = sorted(
    path
    for folder in ("callback", "filter", "lookup", "modules")
    for path in (ROOT / "plugins" / folder).glob("[!_]*.py")
)


def number(version):
    """Return "1.2.3" as (1, 2, 3)."""
    return tuple(int(part) for part in str(version).split("."))


def versions_added(value):
    """Yield every version_added in nested data."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "version_added":
                yield inner
            else:
                yield from versions_added(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from versions_added(inner)


def documentation(path):
    """Return DOCUMENTATION of a plugin as data."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION":
            return yaml.safe_load(node.value.value)
    raise AssertionError(f"{path} has no DOCUMENTATION")


def texts():
    """Yield the documents a person reads."""
    for name in ("README.md", "CONTRIBUTING.md"):
        if (ROOT / name).exists():
            yield ROOT / name
    yield from sorted(ROOT.glob("docs/**/*.md"))


def test_the_changelog_has_this_version():
    changelog = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text())
    released = sorted(changelog["releases"], key=number)
    # Until it is released, the summary of a version is a fragment of that name.
    coming = [path.stem for path in (ROOT / "changelogs" / "fragments").glob("[0-9]*.yml")]
    assert (coming or released[-1:]) == [VERSION]
    page = ROOT / "CHANGELOG.md"
    if page.exists():
        # Dots are escaped there.
        text = page.read_text().replace("\\", "")
        headings = re.findall(r"^## v(\d+\.\d+\.\d+)", text, re.MULTILINE)
        assert headings[0] == VERSION


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_plugins_were_added_in_a_version_that_exists(path):
    added = list(versions_added(documentation(path)))
    assert added
    assert max(map(number, added)) <= number(VERSION)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.parts[-3])
def test_roles_were_added_in_a_version_that_exists(path):
    points = yaml.safe_load(path.read_text())["argument_specs"]
    assert all("version_added" in point for point in points.values())
    assert max(map(number, versions_added(points))) <= number(VERSION)


def test_each_line_of_core_is_pinned_and_the_oldest_is_the_floor():
    names = [core.name for core in cores.CORES]
    pins = {path.stem: path.read_text() for path in (ROOT / "requirements").glob("core-*.txt")}
    assert sorted(pins) == sorted(f"core-{name}" for name in names)
    for name in names:
        assert re.search(rf"^ansible-core=={re.escape(name)}\.\d+$", pins[f"core-{name}"], re.M)
    assert min(names, key=number) == FLOOR


def test_role_metadata_has_the_floor():
    for path in ROOT.glob("roles/*/meta/main.yml"):
        info = yaml.safe_load(path.read_text()).get("galaxy_info", {})
        assert info.get("min_ansible_version", FLOOR) == FLOOR, path


def test_documents_name_these_versions():
    for path in texts():
        text = path.read_text()
        for found in re.findall(r"ansible-core (?:≥|>=) ?(\d+\.\d+)", text):
            assert found == FLOOR, path
        for found in re.findall(r"postmaster-mailhost-(\d+\.\d+\.\d+)", text):
            assert found == VERSION, path


def test_python_of_the_controller():
    first = min(core.controller[0] for core in cores.CORES)
    last = max(core.controller[1] for core in cores.CORES)
    setup = (ROOT / "tests" / "setup.sh").read_text()
    assert f"if {first} <= sys.version_info[:2] <= {last}:" in setup
    said = f"{cores.text(first)} to {cores.text(last)}"
    assert said in setup
    assert said in (ROOT / "Makefile").read_text()
    candidates = re.search(r"for name in (.*?) python3;", setup).group(1).split()
    assert candidates == [f"python3.{minor}" for minor in range(last[1], first[1] - 1, -1)]


def test_python_of_managed_hosts():
    oldest = min(core.target[0] for core in cores.CORES)
    configuration = (ROOT / "pyproject.toml").read_text()
    targets = re.findall(r'^"plugins/module\w*/\*" = "(py\d+)"', configuration, re.M)
    assert targets == [f"py{oldest[0]}{oldest[1]}"] * 2


def test_dependencies_are_the_same_for_galaxy_and_for_users():
    listed = yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
    assert {entry["name"]: entry["version"] for entry in listed} == GALAXY["dependencies"]
    bundle = (ROOT / "requirements" / "collections.txt").read_text().split("\n")
    assert set(GALAXY["dependencies"]) <= set(bundle)


def test_every_tool_is_pinned():
    pins = (ROOT / "requirements" / "constraints.txt").read_text()
    for name in ("tools.txt", "sandbox.txt"):
        for line in (ROOT / "requirements" / name).read_text().splitlines():
            if line and not line.startswith("#"):
                assert re.search(rf"^{re.escape(line)}==", pins, re.M), line
