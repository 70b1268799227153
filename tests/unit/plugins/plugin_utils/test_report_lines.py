# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import lines


@pytest.fixture
def many(finding, mixed):
    """Return more findings than are shown one by one."""
    names = [f"{subject}.{n}" for subject in ("clock", "network") for n in ("a", "b", "c", "d")]
    more = [finding(name, "ok") for name in names] + [finding("clock.e", "skip")] * 9
    return mixed + more


def test_few_are_shown_one_by_one(build):
    assert lines.report(build(), width=80) == [
        "mail1 (mailcow)",
        "FAIL     egress.smtp: seen",
        "         needed: wanted",
        "         fix:    Open it.",
        "UNKNOWN  clock.offset: seen",
        "         needed: wanted",
        "         fix:    Look.",
        "WARN     resources.swap: seen",
        "         needed: wanted",
        "         fix:    Add some: swapon /swapfile. Look again.",
        "ok       ports.public: seen (needed: wanted)",
        "skip     dns.mx: seen",
        "1 failed, 1 unknown, 1 to watch, 1 ok, 1 skipped: NO GO",
    ]


def test_of_many_those_that_ask_for_nothing_are_named(build, many):
    shown = lines.report(build(many), width=80)
    assert shown[1:10] == lines.report(build())[1:10]
    assert shown[10:] == [
        "ok       ports    public",
        "ok       clock    a, b, c, d",
        "ok       network  a, b, c, d",
        "skip     dns      mx",
        "skip     clock    e",
        "Run again with -v to see what was measured in each.",
        "1 failed, 1 unknown, 1 to watch, 9 ok, 10 skipped: NO GO",
    ]


def test_full_shows_each(build, many):
    shown = lines.report(build(many), full=True)
    assert "ok       network.d: seen (needed: wanted)" in shown
    assert not any("-v" in line for line in shown)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("width", [40, 79, 100])
def test_width(build, many, hostile, finding, width, full):
    long = finding("a.b", "fail", observed="word " * 60, fix="x" * 300)
    report = build([*many, *hostile, long], host="h" * 150)
    shown = lines.report(report, width, full) + lines.way_on(report, "preflight_accept", [], width)
    # What is searched for as a whole is not broken: the totals.
    assert max(len(line) for line in shown if not line.endswith("NO GO")) <= width
    assert all(line == line.rstrip() for line in shown)


def test_no_text_reaches_the_terminal_with_codes_of_its_own(build, hostile):
    shown = "\n".join(lines.report(build(hostile, host="\x1b[2Jhost")))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "\\x1b[31m\\u202e" in shown


def test_paint_gets_the_marks_and_the_verdict(build, many):
    for full in (True, False):
        painted = lines.report(
            build(many), full=full, paint=lambda text, status: f"<{status}|{text}>"
        )
        marks = [line.split(">")[0] for line in painted if line.startswith("<")]
        assert set(marks) == {
            "<fail|FAIL",
            "<unknown|UNKNOWN",
            "<warn|WARN",
            "<ok|ok",
            "<skip|skip",
        }
        assert painted[-1].endswith(": <fail|NO GO>")
        # Colours do not change where lines end.
        plain = [re.sub(r"<\w+\|([^>]+)>", r"\1", line) for line in painted]
        assert plain == lines.report(build(many), full=full)
    assert lines.report(build([]), paint=lambda text, status: status.upper())[-1].endswith(": OK")


def test_the_way_on_is_yaml_that_keeps_what_was_accepted(build, finding):
    findings = [finding(f"subject.name_of_check_{n}", "fail") for n in range(9)]
    report = build([*findings, findings[0], finding("a.warn", "warn")])
    shown = lines.way_on(report, "preflight_accept", ["resources.swap"])
    yaml_lines = [line for line in shown if line.startswith("    ")]
    assert len(yaml_lines) > 1
    expected = ["resources.swap", *(item["id"] for item in findings)]
    assert yaml.safe_load("\n".join(yaml_lines)) == {"preflight_accept": expected}
    assert yaml.safe_load("a:\n" + "\n".join(yaml_lines))["a"]["preflight_accept"] == expected


def test_the_way_on_when_warnings_stop(build, finding):
    assert lines.way_on(build([finding("a.b", "warn")]), "v", []) == []
    shown = lines.way_on(build([finding("a.b", "warn")], fail_on="warn"), "v", ["c"])
    assert shown == [
        "Warnings and unknown answers stop here too, as fail_on is warn; with fail they do not."
    ]
    both = build([finding("a.b", "warn"), finding("a.c", "fail")], fail_on="warn")
    assert lines.way_on(both, "v", [])[-2:] == ["    v: [a.c]", *shown]


def test_files(tmp_path):
    assert lines.files({}) == []
    paths = {"json": "/r/a.json", "index": "/r/index.html"}
    assert lines.files(paths) == ["Files in /r: a.json, index.html"]
