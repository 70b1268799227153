# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.report import FilterModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need

report = FilterModule().filters()["report"]


def entry(name, status, observed="seen", required="wanted", fix=""):
    return {"id": name, "status": status, "observed": observed, "required": required, "fix": fix}


MIXED = [
    entry("a.ok", "ok"),
    entry("a.warn", "warn", fix="Mend it."),
    entry("a.fail", "fail", fix="Stop it."),
    entry("a.skip", "skip", required=""),
    entry("a.unknown", "unknown", fix="Look."),
]


def test_report():
    assert report(MIXED) == [
        "FAIL     a.fail: seen",
        "         needed: wanted",
        "         fix:    Stop it.",
        "UNKNOWN  a.unknown: seen",
        "         needed: wanted",
        "         fix:    Look.",
        "WARN     a.warn: seen",
        "         needed: wanted",
        "         fix:    Mend it.",
        "ok       a.ok: seen (needed: wanted)",
        "skip     a.skip: seen",
        "1 failed, 1 unknown, 1 to watch, 1 ok, 1 skipped: NO GO",
    ]


def test_blocking_only():
    lines = report(MIXED, blocking=True)
    assert lines == [
        "FAIL     a.fail: seen",
        "         needed: wanted",
        "         fix:    Stop it.",
    ]
    assert len(report(MIXED, blocking=True, fail_on="warn")) == 9
    assert report(MIXED, blocking=True, fail_on="never") == []


def test_go():
    assert report([entry("a.ok", "ok")])[-1] == (
        "0 failed, 0 unknown, 0 to watch, 1 ok, 0 skipped: go"
    )
    assert report(MIXED, fail_on="never")[-1].endswith(": go")


@pytest.mark.parametrize("width", [40, 72, 92])
@pytest.mark.parametrize("name", ["qnap", "foreign-proxy-on-443", "debian12-kvm"])
def test_width(name, width, host_tree):
    findings = catalogue.run(host_tree(name), need.from_stack(stack.get("mailcow")))
    lines = report([item.to_dict() for item in findings], width=width)
    # The summary is short, and is searched for as a whole.
    assert max(len(line) for line in lines[:-1]) <= width
    assert len(lines[-1]) <= 92
    # A blank at the end of a line would cost the literal form in YAML output.
    assert all(line == line.rstrip() for line in lines)
    for item in findings:
        assert any(item.id in line for line in lines)


@pytest.mark.parametrize(
    ("findings", "options", "text"),
    [
        ([{"id": "a.b", "status": "fine"}], {}, "status of a.b is 'fine'; allowed: fail"),
        (["text"], {}, "report: "),
        (7, {}, "report: "),
        ([], {"fail_on": "always"}, "fail_on is 'always'; allowed: fail, warn, never"),
        ([], {"width": 5}, "width is 5; allowed: 40 or more"),
    ],
)
def test_bad_input(findings, options, text):
    with pytest.raises(AnsibleFilterError) as error:
        report(findings, **options)
    assert text in str(error.value)
