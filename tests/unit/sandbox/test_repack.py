# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from sandbox import data, repack

CONTROL = """\
Package: docker.io
Version: 26.1.5+dfsg1-9
Breaks: old
Description: engine
 A longer text
 of two lines.
"""


def test_edit_control_changes_adds_and_removes():
    edited = repack.edit_control(
        CONTROL, {"Package": "docker-ce", "Breaks": None, "Conflicts": "docker.io"}
    )
    assert edited == (
        "Package: docker-ce\n"
        "Version: 26.1.5+dfsg1-9\n"
        "Description: engine\n A longer text\n of two lines.\n"
        "Conflicts: docker.io\n"
    )


def test_edit_control_without_changes_is_the_same():
    assert repack.edit_control(CONTROL, {}) == CONTROL


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("26.1.5+dfsg1-9+deb13u1", "26.1.5"),
        ("1.7.24~ds1-6+deb13u1", "1.7.24"),
        ("2.26.1-4", "2.26.1"),
        ("1:0.13.1+ds1-3", "0.13.1"),
    ],
)
def test_upstream(version, expected):
    assert repack.upstream(version) == expected


def test_docker_ce_excludes_debians_engine():
    assert "docker.io" in repack.IMITATIONS["docker-ce"].fields["Conflicts"]


def test_sources_of_an_older_system_are_its_own_only_where_they_must(monkeypatch):
    asked = []
    monkeypatch.setattr(repack, "_pool_file", lambda suite, package: asked.append((suite, package)))
    for package in ("docker.io", "runc"):
        repack._source(data.SYSTEMS["debian-12"], package)
    assert asked == [("trixie", "docker.io"), ("bookworm", "runc")]
