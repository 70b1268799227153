# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import runpy
from pathlib import Path

import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import diagnosis

ROOT = Path(__file__).parents[2]
ROWS = yaml.safe_load((ROOT / "molecule/doctor/tests/rows.yml").read_text(encoding="utf-8"))


def test_the_page_is_current():
    script = runpy.run_path(str(ROOT / "tests" / "doctor_doc.py"))
    for path, text in script["pages"]().items():
        assert path.read_text(encoding="utf-8") == text, "run: python tests/doctor_doc.py"
        assert text.count("\n| ") > len(ROWS)


def test_rows_name_findings_that_there_are():
    known = set(diagnosis.ids())
    named = {name for row in ROWS for name in (row["first"], *row.get("also", []))}
    assert named <= known


def test_no_row_has_the_name_of_another():
    names = [row["id"] for row in ROWS]
    assert len(set(names)) == len(names) >= 30
    # What is limited sees no false alarm of what was left out.
    assert sum("doctor_only" not in row.get("extra", {}) for row in ROWS) >= 10


def test_the_german_page_has_the_same_troubles_in_the_same_order():
    """Its words are not made from the rows; everything else in the table is."""
    page = (ROOT / "docs" / "fehlersuche.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \| `([a-z_.]+)` \| `(\w+)` \| `([a-z0-9-]+)` \|$", page, re.M)
    assert [line[1:] for line in found] == [
        (row["first"], row.get("status", "fail"), row["id"]) for row in ROWS
    ]
    words = [line[0] for line in found]
    assert len(set(words)) == len(words)


def test_the_german_page_looks_with_the_same_modules_and_names_the_same_keys():
    english, german = (
        (ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in ("doctor.md", "fehlersuche.md")
    )
    last = re.compile(r"^\|.*\| `(\w+)` \|$", re.MULTILINE)
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    asked = [[name for name in last.findall(page) if name in modules] for page in (german, english)]
    assert asked[0] == asked[1] != []
    keys = re.compile(r"`(doctor_\w+|mailhost_\w+|verdict|explained|fixed|evidence|because)\b")
    assert set(keys.findall(english)) <= set(keys.findall(german))


def test_the_german_page_names_findings_that_there_are():
    page = (ROOT / "docs" / "fehlersuche.md").read_text(encoding="utf-8")
    known = {*diagnosis.ids(), *catalogue.ids()}
    subjects = {name.split(".")[0] for name in known}
    named = set(re.findall(r"`([a-z_]+\.[a-z0-9_]+)`", page))
    assert {name for name in named if name.split(".")[0] in subjects} <= known
