# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of jails in docs/fail2ban.md, from the data that the module uses.

Run by "make docs", with the directory above ``ansible_collections`` on PYTHONPATH.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import jails

PAGE = Path(__file__).resolve().parents[1] / "docs" / "fail2ban.md"
BEGIN = "<!-- Made by tests/jails_doc.py: -->\n"
END = "<!-- End of what tests/jails_doc.py makes. -->\n"


def table() -> str:
    """Return the jails as a table."""
    lines = ["| Jail | Watches | Where | Against | Number |", "| --- | --- | --- | --- | --- |"]
    for row in jails.HOST + jails.MAILU + jails.MAILCOW:
        where = [f"`{term}`" for term in row["journal"]]
        where += [f"`{path}`" for path in row["files"]]
        numbers = [str(row["maxretry"] or ""), f"in {row['findtime']}" if row["findtime"] else ""]
        only = f" ({', '.join(row['series'])})" if row["series"] else ""
        cells = (
            f"`{row['name']}`{only}",
            row["title"],
            ", ".join(where),
            row["why"],
            " ".join(filter(None, numbers)),
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
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
