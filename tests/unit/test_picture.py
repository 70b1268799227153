# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a report in the README, and how it is drawn."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import picture
import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
OUTPUT = """
TASK [postmaster.mailhost.preflight : Report] ***
mail1 (mailcow)
\x1b[1;31mFAIL\x1b[0m     ports.public: <exim4> & others
\x1b[0;32mok\x1b[0m       platform   architecture
1 failed: \x1b[0;31mNO GO\x1b[0m

\x1b[0;31m[ERROR]: Task failed\x1b[0m
\x1b[0;31mfatal: [mail1]: FAILED!\x1b[0m
"""


def spans(svg):
    """Return what is drawn: text, colour, and where it begins, in characters."""
    found = []
    for span in ET.fromstring(svg).iter(f"{SVG}tspan"):
        column = (float(span.get("x")) - picture.EDGE) / picture.CHARACTER
        found.append((span.text, span.get("fill"), round(column)))
    return found


def test_the_report_is_found_in_the_output():
    lines = picture.report(OUTPUT)
    assert lines[0] == "mail1 (mailcow)"
    assert lines[-1].startswith("1 failed")
    with pytest.raises(ValueError, match="no report"):
        picture.report("PLAY RECAP ***\nmail1 : ok=1\n")


def test_colours_and_columns_are_the_terminals():
    red, green = picture.COLOURS["31"], picture.COLOURS["32"]
    assert spans(picture.picture(picture.report(OUTPUT))) == [
        ("mail1 (mailcow)", picture.PLAIN, 0),
        ("FAIL", red, 0),
        ("ports.public: <exim4> & others", picture.PLAIN, 9),
        ("ok", green, 0),
        ("platform   architecture", picture.PLAIN, 9),
        ("1 failed:", picture.PLAIN, 0),
        ("NO GO", red, 10),
    ]


def test_the_readme_has_the_picture_and_it_is_small():
    (shown,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert ROOT / shown == picture.PICTURE
    assert picture.PICTURE.stat().st_size < 150_000


def test_the_picture_is_of_a_report_with_checks_that_there_are():
    drawn = spans(picture.PICTURE.read_text(encoding="utf-8"))
    texts = [text for text, _colour, _column in drawn]
    assert "NO GO" in texts
    named = [
        (status, text.split(":")[0] if ":" in text else text.split()[0])
        for status, text in itertools.pairwise(texts)
        if status in ("FAIL", "WARN", "ok", "skip")
    ]
    assert len(named) > 10
    for _status, name in named:
        assert catalogue.select("only", [name]) or name == "dns", name
