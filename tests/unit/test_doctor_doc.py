# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import runpy
from pathlib import Path

import yaml
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
