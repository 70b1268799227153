# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import stat

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import env_document
from ansible_collections.postmaster.mailhost.plugins.modules import env_file


@pytest.fixture
def run(run_module, tmp_path):
    """Return a function: options -> the module's result for the file "env" of a new directory."""

    def run(check_mode=False, **options):
        options.setdefault("path", str(tmp_path / "env"))
        result = run_module(env_file, check_mode, **options)
        run.output = run_module.output
        return result

    return run


def mode(path):
    return stat.S_IMODE(os.stat(str(path)).st_mode)


def test_a_new_file(run, tmp_path):
    wanted = {"values": {"A": 1, "B": True, "C": None}, "generate": [{"key": "S", "length": 12}]}
    result = run(**wanted)
    assert result["changed"] is result["differs"] is True
    assert result["changes"] == {"A": "added", "B": "added", "C": "added", "S": "added"}
    assert result["backup_file"] == ""
    document = env_document.Document((tmp_path / "env").read_text())
    assert [document.get(key) for key in "ABC"] == ["1", "true", ""]
    secret = document.get("S")
    assert len(secret) == 12
    assert secret.isalnum()
    assert secret not in run.output
    assert mode(tmp_path / "env") == 0o600
    again = run(**wanted)
    assert again["changed"] is False
    assert secret in (tmp_path / "env").read_text()


def test_nobody_else_can_read_it_for_a_moment(run, tmp_path, monkeypatch):
    seen = []
    replace = os.replace

    def watch(source, target):
        seen.append(mode(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    old = os.umask(0)
    try:
        run(values={"A": 1})
    finally:
        os.umask(old)
    assert seen == [0o600]


def test_check_mode_writes_nothing_and_shows_the_same_diff(run, tmp_path):
    (tmp_path / "env").write_text("A=1\n")
    (tmp_path / "env").chmod(0o600)
    foretold = run(check_mode=True, values={"A": 2})
    assert (tmp_path / "env").read_text() == "A=1\n"
    assert sorted(os.listdir(str(tmp_path))) == ["env"]
    done = run(values={"A": 2})
    assert foretold["changed"] is done["changed"] is True
    assert foretold["diff"] == done["diff"]
    assert done["diff"]["before"] == "A=1\n"


def test_check_mode_foretells_a_file_in_a_directory_that_is_not_there_yet(run, tmp_path):
    path = str(tmp_path / "later" / "env")
    assert run(check_mode=True, path=path, values={"A": 1})["changed"] is True
    result = run(path=path, values={"A": 1})
    assert "the directory %s does not exist" % os.path.dirname(path) in result["msg"]


def test_permissions_alone(run, tmp_path):
    (tmp_path / "env").write_text("A=1\n")
    (tmp_path / "env").chmod(0o644)
    assert run(check_mode=True, values={"A": 1})["changed"] is True
    assert mode(tmp_path / "env") == 0o644
    result = run(values={"A": 1})
    assert result["changed"] is True
    assert result["changes"] == {}
    assert mode(tmp_path / "env") == 0o600
    assert run(values={"A": 1})["changed"] is False


def test_the_backup_is_tighter_than_the_file_was(run, tmp_path):
    (tmp_path / "env").write_text("A=1\n")
    (tmp_path / "env").chmod(0o644)
    backup = tmp_path / run(values={"A": 2})["backup_file"]
    assert backup.read_text() == "A=1\n"
    assert mode(backup) == 0o600


def test_a_link_is_followed(run, tmp_path):
    (tmp_path / "real").write_text("A=1\n")
    (tmp_path / "env").symlink_to("real")
    result = run(values={"A": 2})
    assert result["path"] == str(tmp_path / "real")
    assert (tmp_path / "real").read_text() == "A=2\n"
    assert (tmp_path / "env").is_symlink()


def test_secrets_are_in_no_output(run, tmp_path):
    (tmp_path / "env").write_text("DBPASS=already-there-1\nKEY=being-replaced\n")
    result = run(secrets={"KEY": "the-new-secret"}, values={"A": 1})
    assert result["changes"] == {"KEY": "changed", "A": "added"}
    for secret in ("already-there-1", "being-replaced", "the-new-secret"):
        assert secret not in run.output
    assert "KEY=the-new-secret\n" in (tmp_path / "env").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": {"A": "x y"}}, "A: the value 'x y' is refused: a blank"),
        ({"values": {"A": [1]}}, "A: a list is no value"),
        ({"mode": "rw"}, "mode: 'rw'; allowed: three octal digits"),
        ({"generate": [{"key": "S", "length": 3}]}, "generate: S: length 3; allowed: 8 to 1024"),
        (
            {"generate": [{"key": "S", "alphabet": "a b"}]},
            "generate: S: the alphabet 'a b'; allowed: at least 10",
        ),
        ({"values": {"P": "2"}, "create_only": {"P": "because"}}, "P is not changed: .*because"),
    ],
)
def test_bad_input_changes_nothing(run, tmp_path, options, message):
    (tmp_path / "env").write_text("P=1\n")
    result = run(**options)
    assert result["failed"] is True
    assert re.search(message, result["msg"])
    assert (tmp_path / "env").read_text() == "P=1\n"


def test_a_directory_is_no_file(run, tmp_path):
    assert "cannot be read as a file" in run(path=str(tmp_path), values={"A": 1})["msg"]


def test_a_file_that_is_not_utf8_is_refused(run, tmp_path):
    before = b"A=1\nDBPASS=p\xe4ssword\n"
    (tmp_path / "env").write_bytes(before)
    result = run(values={"A": "2"})
    assert result["failed"] is True
    assert result["msg"].endswith("env is not UTF-8; change its lines by hand")
    assert (tmp_path / "env").read_bytes() == before
