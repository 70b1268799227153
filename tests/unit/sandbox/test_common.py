# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest
from sandbox import common


def test_digest_tells_parts_apart():
    assert common.digest("ab", "c") != common.digest("a", "bc")
    assert common.digest("ab") == common.digest(b"ab")
    assert len(common.digest()) == 12


def test_digest_of_a_tree_sees_names_contents_and_the_executable_bit(tmp_path):
    seen = set()
    (tmp_path / "a").write_text("x")
    seen.add(common.digest(tmp_path))
    (tmp_path / "a").write_text("y")
    seen.add(common.digest(tmp_path))
    (tmp_path / "a").chmod(0o755)
    seen.add(common.digest(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    seen.add(common.digest(tmp_path))
    assert len(seen) == 4


def test_write_if_changed_writes_once_with_the_mode(tmp_path):
    path = tmp_path / "new" / "file"
    assert common.write_if_changed(path, "text", 0o600)
    assert not common.write_if_changed(path, "text", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    assert common.write_if_changed(path, "text", 0o644)
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_run_returns_what_is_printed():
    assert common.run([sys.executable, "-c", "print('yes')"]) == b"yes\n"


def test_a_failed_program_is_a_sentence():
    with pytest.raises(common.SandboxError, match=r"failed \(exit 3\): why$"):
        common.run(["sh", "-c", "echo first >&2; echo why >&2; exit 3"])


def test_a_missing_program_is_a_sentence():
    with pytest.raises(common.SandboxError, match="no-such-program is missing"):
        common.run(["no-such-program"])


def test_parallel_raises_the_first_error_after_all_have_ended():
    ended = []

    def fail():
        raise common.SandboxError("one")

    with pytest.raises(common.SandboxError, match="one"):
        common.parallel(fail, lambda: ended.append(1))
    assert ended == [1]
