# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of illnesses in docs/doctor.md, from the rows of the scenario ``doctor``.

Run by "make docs".
"""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "doctor.md"
ROWS = ROOT / "molecule" / "doctor" / "tests" / "rows.yml"
BEGIN = "<!-- rows -->\n"
END = "<!-- /rows -->\n"


def table() -> str:
    """Return the illnesses as a table, in the order of the rows."""
    lines = [
        "| What is wrong | Named first | As | Case |",
        "| --- | --- | --- | --- |",
    ]
    for row in yaml.safe_load(ROWS.read_text(encoding="utf-8")):
        cells = (
            row["ill"],
            f"`{row['first']}`",
            f"`{row.get('status', 'fail')}`",
            f"`{row['id']}`",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Return the text of the page by its path."""
    text = PAGE.read_text(encoding="utf-8")
    before, _begin, rest = text.partition(BEGIN)
    _table, _end, after = rest.partition(END)
    return {PAGE: before + BEGIN + "\n" + table() + "\n" + END + after}


if __name__ == "__main__":
    for path, page in pages().items():
        path.write_text(page, encoding="utf-8")
