# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document

ROOT = Path(__file__).resolve().parents[4]


def test_the_document(build):
    report = build()
    findings = report.pop("findings")
    assert report == {
        "schema": "postmaster.mailhost.report",
        "schema_version": 1,
        "collection_version": yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"],
        "host": "mail1",
        "stack": "mailcow",
        "time": "2026-01-02T03:04:05Z",
        "fail_on": "fail",
        "go": False,
        "counts": {"fail": 1, "unknown": 1, "warn": 1, "ok": 1, "skip": 1},
    }
    assert [item["status"] for item in findings] == ["fail", "unknown", "warn", "ok", "skip"]
    assert findings[0] == {
        "id": "egress.smtp",
        "status": "fail",
        "title": "",
        "observed": "seen",
        "required": "wanted",
        "fix": "Open it.",
        "source": "https://example.org/a#b",
    }


def test_the_time_is_utc_whatever_the_zone(build):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    report = build(at=datetime.datetime(2026, 7, 1, 1, 30, tzinfo=zone))
    assert report["time"] == "2026-06-30T23:30:00Z"
    now = document.moment(build(at=None)["time"])
    assert abs(datetime.datetime.now(datetime.UTC) - now) < datetime.timedelta(minutes=1)


def test_what_is_written_is_read_again(build, hostile):
    for report in (build(), build(hostile), build([], stack="", fail_on="never")):
        assert document.loads(document.dumps(report)) == report


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "another"},
        {"schema_version": 2},
        {"findings": [{"id": "a.b", "status": "fine"}]},
        {"findings": ["text"]},
        {"findings": 7},
        {"time": "yesterday"},
        {"time": 7},
        {"fail_on": "always"},
    ],
)
def test_what_is_no_report_is_not_read(build, change):
    report = build()
    assert document.loads(json.dumps(report)) is not None
    assert document.loads(json.dumps({**report, **change})) is None


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{}", "[1]", '"text"', "{"])
def test_another_file_is_not_read(text):
    assert document.loads(text) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  b\n\tc ", "a b c"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\u202eb\u200bc", "a\\u202eb\\u200bc"),
        ("\x9bK", "\\x9bK"),
        ("Größe – 日本", "Größe – 日本"),
        ("\udcff", "\\udcff"),
    ],
)
def test_one_line(text, shown):
    assert document.one_line(text) == shown


@pytest.mark.parametrize(
    ("fix", "found"),
    [
        ("Stop it: systemctl disable --now a.service.", ["systemctl disable --now a.service"]),
        (
            "Add swap: fallocate -l 1G /s && swapon /s. Then look.",
            ["fallocate -l 1G /s && swapon /s"],
        ),
        (
            "Find it with: ss -tulpn. Then: apt-get purge exim4.",
            ["ss -tulpn", "apt-get purge exim4"],
        ),
        ("Run `a b` and `c`.", ["a b", "c"]),
        ("Nothing by hand: the role installs them.", []),
        ("Use another: aptitude is none.", []),
        ("", []),
    ],
)
def test_commands(fix, found):
    parts = document.commands(fix)
    assert [text for text, command in parts if command] == found
    assert "".join(text for text, _command in parts) == fix.replace("`", "")


@pytest.mark.parametrize(
    ("source", "link"),
    [
        ("https://example.org/a?b=c#d", True),
        ("http://example.org", True),
        ("javascript:alert(1)//https://example.org", False),
        ("https://example.org/\n", False),
        ('https://example.org/"x', False),
        ("mailto:a@example.org", False),
        ("", False),
    ],
)
def test_links(source, link):
    assert document.is_link(source) is link


def test_the_sample_in_the_docs_is_a_report():
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    sample = text.partition("```json\n")[2].partition("```")[0]
    assert document.loads(sample) == json.loads(sample)
    assert list(document.loads(sample)) == list(json.loads(sample))
    for key in json.loads(sample):
        assert key in ("schema", "collection_version") or f"\n| `{key}` |" in text
