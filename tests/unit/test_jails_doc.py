# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_is_current():
    pages = runpy.run_path(str(ROOT / "tests" / "jails_doc.py"))["pages"]()
    for path, text in pages.items():
        assert "| `sshd` |" in text
        assert path.read_text(encoding="utf-8") == text, "run: make docs"
