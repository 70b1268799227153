# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing files: content, mode, owner, links, backups, and what a failure leaves behind."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def mode_of(path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids="umask {0:03o}".format)
def umask(request):
    old = os.umask(request.param)
    yield
    os.umask(old)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_new_file_has_the_mode_whatever_the_umask_is(tmp_path, umask, mode):
    path = tmp_path / "file"
    assert file_write.replace(str(path), b"text\n", mode=mode) == ""
    assert path.read_bytes() == b"text\n"
    assert mode_of(path) == mode
    assert os.listdir(tmp_path) == ["file"]


def test_new_file_without_a_mode_is_private(tmp_path, umask):
    file_write.replace(str(tmp_path / "file"), b"")
    assert mode_of(tmp_path / "file") == 0o600


def test_old_file_keeps_its_mode(tmp_path, umask):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o664)
    file_write.replace(str(path), b"new")
    assert (path.read_text(), mode_of(path)) == ("new", 0o664)


def test_the_file_on_its_way_is_never_wider_than_in_the_end(tmp_path, monkeypatch):
    """Every mode that the temporary file has, seen whenever the operating system is asked."""
    seen = []
    real_chmod, real_replace = os.fchmod, os.replace

    def fchmod(handle, mode):
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        real_chmod(handle, mode)

    def replace(source, target):
        seen.append(mode_of(source))
        real_replace(source, target)

    monkeypatch.setattr(os, "fchmod", fchmod)
    monkeypatch.setattr(os, "replace", replace)
    file_write.replace(str(tmp_path / "file"), b"secret", mode=0o640)
    assert seen == [0o600, 0o640]


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("old")
    (tmp_path / "link").symlink_to("real/file")
    copy = file_write.replace(str(tmp_path / "link"), b"new", backup=True)
    assert os.readlink(tmp_path / "link") == "real/file"
    assert (tmp_path / "real" / "file").read_text() == "new"
    assert os.path.dirname(copy) == str(tmp_path / "real")


def test_a_link_that_leads_nowhere_is_filled(tmp_path):
    (tmp_path / "link").symlink_to("file")
    file_write.replace(str(tmp_path / "link"), b"new", backup=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize(
    ("old", "new", "copy"),
    [(0o644, 0o600, 0o600), (0o600, 0o644, 0o600), (0o640, 0o604, 0o600), (0o644, None, 0o644)],
)
def test_a_backup_is_as_tight_as_the_tighter_of_both(tmp_path, umask, old, new, copy):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(old)
    name = file_write.replace(str(path), b"new", mode=new, backup=True)
    assert name.startswith(str(path) + ".2") and name.endswith("Z~")
    with open(name, encoding="utf-8") as stream:
        assert stream.read() == "old"
    assert mode_of(name) == copy


def test_two_backups_within_a_second_are_two_files(tmp_path):
    path = tmp_path / "file"
    path.write_text("1")
    names = [file_write.replace(str(path), b"%d" % n, backup=True) for n in (2, 3, 4)]
    assert len(set(names)) == 3
    contents = []
    for name in names:
        with open(name, encoding="utf-8") as stream:
            contents.append(stream.read())
    assert contents == ["1", "2", "3"]


@as_root
def test_owner_and_group_are_kept_or_set(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    os.chown(path, 12, 34)
    copy = file_write.replace(str(path), b"new", backup=True)
    assert [(os.stat(p).st_uid, os.stat(p).st_gid) for p in (path, copy)] == [(12, 34)] * 2
    file_write.replace(str(path), b"newer", owner=56)
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (56, 34)
    file_write.replace(str(tmp_path / "fresh"), b"", group=78)
    assert (os.stat(tmp_path / "fresh").st_uid, os.stat(tmp_path / "fresh").st_gid) == (0, 78)


def test_a_failure_leaves_the_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def replace(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(file_write.FileWriteError) as caught:
        file_write.replace(str(path), b"new")
    assert str(caught.value) == "cannot write {0}: No space left on device".format(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_no_file_is_not_written(tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "round").symlink_to("round")
    os.mkfifo(tmp_path / "pipe")
    for name, reason in [
        (str(tmp_path / "directory"), "it is a directory"),
        (str(tmp_path / "pipe"), "it is not a regular file"),
        (str(tmp_path / "round"), "its symbolic links go in circles"),
        (str(tmp_path / "no" / "file"), "the directory {0} does not exist".format(tmp_path / "no")),
        ("file", "the path is not absolute"),
    ]:
        with pytest.raises(file_write.FileWriteError, match="cannot write .*" + reason):
            file_write.replace(name, b"")


def test_attributes(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    file_write.set_attributes(str(path), mode=0o640)
    assert mode_of(path) == 0o640
    with pytest.raises(file_write.FileWriteError, match="cannot set the mode or owner of"):
        file_write.set_attributes(str(tmp_path / "missing"), mode=0o600)


def test_directories(tmp_path, umask):
    path = tmp_path / "a" / "b"
    assert file_write.make_directory(str(path), 0o750) == [str(tmp_path / "a"), str(path)]
    assert (mode_of(tmp_path / "a"), mode_of(path)) == (0o750, 0o750)
    assert file_write.make_directory(str(path), 0o700) == []
    assert mode_of(path) == 0o750
    (tmp_path / "file").write_text("")
    with pytest.raises(file_write.FileWriteError, match="cannot make the directory"):
        file_write.make_directory(str(tmp_path / "file" / "a"))


def test_remove(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    assert file_write.remove(str(tmp_path / "link")) is True
    assert os.listdir(tmp_path) == ["file"]
    assert file_write.remove(str(tmp_path / "link")) is False
    with pytest.raises(file_write.FileWriteError, match="cannot remove"):
        file_write.remove(str(tmp_path))


def test_backup_alone(tmp_path):
    path = tmp_path / "file"
    assert file_write.backup(str(path)) == ""
    path.write_text("old")
    path.chmod(0o644)
    name = file_write.backup(str(path), mode=0o600)
    assert mode_of(name) == 0o600
    assert path.read_text() == "old"


def test_a_change_knows_what_differs_and_makes_it_so(tmp_path):
    path = tmp_path / "file"
    new = file_write.plan(Host(), str(path), b"text\n", 0o644)
    assert (new.changed, new.content_changed) == (True, True)
    assert new.diff() == {
        "before_header": "{0} (absent)".format(path),
        "before": "",
        "after_header": "{0} (mode 0644)".format(path),
        "after": "text\n",
    }
    assert new.write() == ""
    same = file_write.plan(Host(), str(path), b"text\n", 0o644)
    assert not same.changed
    path.chmod(0o600)
    mode = file_write.plan(Host(), str(path), b"text\n", 0o644)
    assert (mode.changed, mode.content_changed, mode.write()) == (True, False, "")
    assert mode_of(path) == 0o644
    content = file_write.plan(Host(), str(path), b"", 0o644)
    assert content.write().endswith("~")
    assert content.write(backup=False) == ""
    assert path.read_bytes() == b""


def test_a_change_of_what_is_no_file(tmp_path):
    with pytest.raises(file_write.FileWriteError, match=r"cannot read .*: it is a directory"):
        file_write.plan(Host(), str(tmp_path), b"", 0o644)


def test_a_directory_that_somebody_else_makes_at_the_same_moment(tmp_path, monkeypatch):
    mkdir = os.mkdir

    def late(path, mode=0o777):
        mkdir(path, mode)
        mkdir(path, mode)

    monkeypatch.setattr(file_write.os, "mkdir", late)
    path = tmp_path / "a" / "b"
    file_write.make_directory(str(path))
    assert path.is_dir()


def pair(tmp_path, text):
    """Return a certificate and its key that are to have this text."""
    return [
        file_write.Replacement(str(tmp_path / "key"), b"key " + text, 0o600),
        file_write.Replacement(str(tmp_path / "cert"), b"cert " + text, 0o644),
    ]


def content(tmp_path):
    return {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name[-1] != "~"}


def test_files_that_fit_together(tmp_path):
    assert file_write.replace_all(pair(tmp_path, b"1"), backup=True) == ["", ""]
    copies = file_write.replace_all(pair(tmp_path, b"2"), backup=True)
    assert content(tmp_path) == {"key": b"key 2", "cert": b"cert 2"}
    assert [mode_of(tmp_path / name) for name in ("key", "cert")] == [0o600, 0o644]
    with open(copies[0], "rb") as stream:
        assert stream.read() == b"key 1"
    assert mode_of(copies[0]) == 0o600


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("fails", [1, 2])
def test_of_files_that_fit_together_none_is_changed_alone(tmp_path, monkeypatch, there, fails):
    if there:
        file_write.replace_all(pair(tmp_path, b"1"))
    before = content(tmp_path)
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == fails:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(file_write.FileWriteError, match="cannot write .*: No space left"):
        file_write.replace_all(pair(tmp_path, b"2"))
    assert content(tmp_path) == before


def test_a_file_that_cannot_be_begun_leaves_the_others_alone(tmp_path):
    wrong = file_write.Replacement(str(tmp_path / "missing" / "cert"), b"")
    with pytest.raises(file_write.FileWriteError, match="missing does not exist"):
        file_write.replace_all([*pair(tmp_path, b"1"), wrong])
    assert content(tmp_path) == {}


def test_a_link_becomes_a_file(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "key"
    target.write_text("theirs")
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "key").symlink_to(target)
    assert file_write.replace_all(pair(folder, b"1"), backup=True, follow=False) == ["", ""]
    assert not (folder / "key").is_symlink()
    assert content(folder) == {"key": b"key 1", "cert": b"cert 1"}
    assert target.read_text() == "theirs"
    with pytest.raises(file_write.FileWriteError, match="the path is not absolute"):
        file_write.replace_all([file_write.Replacement("key", b"")], follow=False)
