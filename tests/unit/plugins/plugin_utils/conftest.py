# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports for the tests."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document

AT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture
def finding():
    """Return a function: id, status and what else is to be said -> a finding."""

    def make(name, status, **more):
        given = {"title": "", "observed": "seen", "required": "wanted", "fix": "", "source": ""}
        return {"id": name, "status": status, **given, **more}

    return make


@pytest.fixture
def mixed(finding):
    """Return findings of every status, in no order."""
    return [
        finding("ports.public", "ok", title="Public ports"),
        finding("resources.swap", "warn", fix="Add some: swapon /swapfile. Look again."),
        finding("egress.smtp", "fail", fix="Open it.", source="https://example.org/a#b"),
        finding("dns.mx", "skip", required=""),
        finding("clock.offset", "unknown", fix="Look."),
    ]


@pytest.fixture
def build(mixed):
    """Return a function: findings and options -> the report of a host."""

    def make(findings=None, host="mail1", stack="mailcow", at=AT, **options):
        findings = mixed if findings is None else findings
        return document.build(findings, host, stack, at=at, **options)

    return make


@pytest.fixture
def hostile(finding):
    """Return findings whose texts a stranger wrote."""
    text = "<script>alert('1')</script> \"q\" & `t` | *b* \x1b[31m\u202e [a](b)\nnext"
    return [
        finding(
            f"a.{status}",
            status,
            title=text,
            observed=text,
            required=text,
            fix=text + ": rm `x` | <b>.",
            source=source,
        )
        for status, source in [
            ("fail", "javascript:alert(1)"),
            ("warn", 'https://example.org/"onclick="x'),
            ("ok", "https://example.org/?a=1&b=2|3"),
            ("skip", "data:text/html,x"),
        ]
    ]
