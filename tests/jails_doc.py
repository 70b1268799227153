# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of jails in docs/fail2ban.md, from the data that the module uses.

Run by "make docs", with the directory above ``ansible_collections`` on PYTHONPATH.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import jails
from doc_page import table, with_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "fail2ban.md"
BEGIN = "<!-- Made by tests/jails_doc.py: -->"
END = "<!-- End of what tests/jails_doc.py makes. -->"


def pages() -> dict[Path, str]:
    """Return the text of the page by its path."""
    rows = map(_row, jails.HOST + jails.MAILU + jails.MAILCOW)
    lines = table(("Jail", "Watches", "Where", "Against", "Number"), rows)
    return {PAGE: with_table(PAGE, BEGIN, lines, END)}


def _row(row: dict) -> tuple[str, ...]:
    """Return the row of one jail."""
    where = [f"`{term}`" for term in row["journal"]]
    where += [f"`{path}`" for path in row["files"]]
    numbers = [str(row["maxretry"] or ""), f"in {row['findtime']}" if row["findtime"] else ""]
    only = f" ({', '.join(row['series'])})" if row["series"] else ""
    return (
        f"`{row['name']}`{only}",
        row["title"],
        ", ".join(where),
        row["why"],
        " ".join(filter(None, numbers)),
    )


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
