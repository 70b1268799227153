# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of illnesses in docs/doctor.md, from the rows of the scenario ``doctor``.

Run by "make docs".
"""

from __future__ import annotations

from pathlib import Path

import yaml
from doc_page import table, with_table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "doctor.md"
ROWS = ROOT / "molecule" / "doctor" / "tests" / "rows.yml"


def pages() -> dict[Path, str]:
    """Return the text of the page by its path: the illnesses in the order of the rows."""
    illnesses = (
        (row["ill"], f"`{row['first']}`", f"`{row.get('status', 'fail')}`", f"`{row['id']}`")
        for row in yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    )
    lines = table(("What is wrong", "Named first", "As", "Case"), illnesses)
    return {PAGE: with_table(PAGE, "<!-- rows -->", lines, "<!-- /rows -->")}


if __name__ == "__main__":
    for path, page in pages().items():
        path.write_text(page, encoding="utf-8")
