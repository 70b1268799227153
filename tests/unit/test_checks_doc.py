# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    script = runpy.run_path(str(ROOT / "tests" / "checks_doc.py"))
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert page == script["render"](), "run: python tests/checks_doc.py"
    catalogue = script["catalogue"]
    assert page.count("\n### `") == sum(
        map(len, (catalogue.CHECKS, catalogue.DNS_IDS, catalogue.doctor_checks()))
    )
