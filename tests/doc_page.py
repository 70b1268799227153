# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scripts that write pages below docs/ have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def with_table(page: Path, begin: str, lines: Sequence[str], end: str) -> str:
    """Return the text of a page with these lines between the line `begin` and the line `end`.

    Raises ValueError when the page does not have both.
    """
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin + "\n")
    _old, found_end, after = rest.partition(end + "\n")
    if not (found and found_end):
        raise ValueError(f"{page}: no line {begin!r} followed by {end!r}")
    return "\n".join([before + begin, "", *lines, "", end + "\n"]) + after
