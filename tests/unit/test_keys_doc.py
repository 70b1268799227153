# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_pages_are_current():
    pages = runpy.run_path(str(ROOT / "tests" / "keys_doc.py"))["pages"]()
    assert pages
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, "run: make docs"
