# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding


def items(*statuses):
    return [
        finding.Finding("a.{0}".format(number), status, "t", "o", "r")
        for number, status in enumerate(statuses)
    ]


def test_worst_first_and_stable():
    ordered = finding.worst_first(items("ok", "warn", "skip", "fail", "unknown", "ok", "fail"))
    assert [item.status for item in ordered] == [
        "fail",
        "fail",
        "unknown",
        "warn",
        "ok",
        "ok",
        "skip",
    ]
    assert [item.id for item in ordered if item.status == "fail"] == ["a.3", "a.6"]


@pytest.mark.parametrize(
    ("statuses", "fail_on", "go"),
    [
        (["ok", "warn", "unknown", "skip"], "fail", True),
        (["ok", "fail"], "fail", False),
        (["ok", "skip"], "warn", True),
        (["ok", "warn"], "warn", False),
        (["ok", "unknown"], "warn", False),
        (["fail", "warn"], "never", True),
        ([], "fail", True),
    ],
)
def test_go(statuses, fail_on, go):
    totals = finding.summary(items(*statuses), fail_on)
    assert totals["go"] is go
    for status in finding.STATUSES:
        assert totals[status] == statuses.count(status)


def test_fail_on_is_checked():
    with pytest.raises(ValueError, match=r"fail_on is 'bad'; allowed: fail, warn, never"):
        finding.summary([], "bad")


def test_dictionary_and_back():
    one = finding.Finding("a.b", "fail", "title", "seen", "wanted", "do this", "https://x")
    assert finding.from_dict(one.to_dict()) == one


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"status": "ok"}, "needs id"),
        ({"id": "a.b", "status": "fine"}, "status of a.b is 'fine'; allowed: fail"),
    ],
)
def test_what_is_no_finding(data, text):
    with pytest.raises(ValueError, match=text):
        finding.from_dict(data)
