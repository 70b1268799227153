# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import commands, need

MAILCOW = need.from_stack(stack.get("mailcow"))
ALL = {"git", "curl", "jq", "openssl", "awk", "sha1sum", "grep", "cut"}


@pytest.mark.parametrize(
    ("programs", "links", "expected"),
    [
        (ALL, {}, [("ok", "all there", "")]),
        (ALL - {"git", "jq"}, {}, [("warn", "missing: git, jq", "the mailcow role")]),
        (ALL - {"awk", "cut"}, {}, [("fail", "missing: awk, cut", "Install coreutils, gawk.")]),
        (
            ALL - {"grep"},
            {"/bin/grep": "/bin/busybox"},
            [("fail", "BusyBox instead of GNU: grep", "Install grep.")],
        ),
        # A link that is relative, and a tool that may be BusyBox's.
        (
            ALL - {"cut"},
            {"/bin/cut": "busybox", "/bin/cp": "busybox"},
            [("fail", "cp", "coreutils")],
        ),
        (
            set(),
            {},
            [
                ("fail", "awk, sha1sum, grep, cut", "gawk"),
                ("warn", "git, curl, jq, openssl", "role"),
            ],
        ),
    ],
)
def test_required(programs, links, expected, make_host):
    findings = commands.required(make_host({}, {"programs": sorted(programs)}, links), MAILCOW)
    assert [finding.status for finding in findings] == [row[0] for row in expected]
    for finding, (_status, words, fix) in zip(findings, expected):
        assert words in finding.observed
        assert fix in finding.fix
