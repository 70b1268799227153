# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner and mode of mailboxes, in trees on the disk."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import vpopmail_permissions
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.vpopmail_permissions import (
    Outcome,
    PermissionsError,
    Rights,
)

ME = Rights(os.getuid(), os.getgid())
ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
PATH = "/home/vpopmail/domains"


@pytest.fixture
def tree(make_host):
    """Return a function: files -> host, and the directory of domains, with the right modes."""

    def tree(*files):
        host = make_host({PATH + "/" + name: "x" for name in files})
        top = host.root + PATH
        for folder, _folders, names in os.walk(top):
            os.chmod(folder, 0o700)
            for name in names:
                os.chmod(folder + "/" + name, 0o600)
        return host, top

    return tree


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_what_is_right_stays(tree):
    host, _top = tree("a.test/.qmail-default", "a.test/joe/Maildir/new/1")
    found = vpopmail_permissions.walk(host, PATH, ME, True)
    assert (found.looked, found.deviating, found.left) == (7, 0, 0)
    assert vpopmail_permissions.result(found)["changed"] is False
    assert vpopmail_permissions.result(found)["diff"] == {}


@pytest.mark.parametrize("write", [False, True])
def test_only_what_deviates_is_touched(tree, write):
    names = ("a b/.qmail-x", "a\nb/c", "-rf/d", "a'\"$(x)/e", "right/f", "\udcff/g")
    host, top = tree(*names)
    for name, bits in (("a b/.qmail-x", 0o700), ("a\nb/c", 0o644), ("-rf/d", 0o4600)):
        os.chmod(top + "/" + name, bits)
    os.chmod(top + "/a'\"$(x)", 0o755)
    os.chmod(top + "/\udcff/g", 0o666)
    before = os.stat(top + "/right/f").st_ctime_ns
    found = vpopmail_permissions.walk(host, PATH, ME, write)
    assert (found.files, found.directories, found.mode, found.owner) == (4, 1, 5, 0)
    shown = vpopmail_permissions.result(found)
    assert shown["changed"] is True and len(shown["paths"]) == 5
    assert PATH + "/a\\nb/c" in shown["paths"] and PATH + "/\\xff/g" in shown["paths"]
    assert "/a b/.qmail-x: {0}:{1} 0700\n".format(*ME[:2]) in shown["diff"]["before"]
    assert "/a b/.qmail-x: {0}:{1} 0600\n".format(*ME[:2]) in shown["diff"]["after"]
    assert os.stat(top + "/right/f").st_ctime_ns == before
    assert mode(top + "/a\nb/c") == (0o600 if write else 0o644)
    again = vpopmail_permissions.walk(host, PATH, ME, write)
    assert again.deviating == (0 if write else 5)


def test_links_are_not_followed(tree, tmp_path):
    host, top = tree("a.test/x")
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "secret").write_text("x")
    (outside / "secret").chmod(0o644)
    os.symlink(str(outside), top + "/a.test/folder")
    os.symlink(str(outside / "secret"), top + "/a.test/file")
    os.symlink("nowhere", top + "/a.test/nothing")
    found = vpopmail_permissions.walk(host, PATH, ME, True)
    assert (found.looked, found.deviating, found.left) == (6, 0, 0)
    assert (mode(outside), mode(outside / "secret")) == (0o755, 0o644)


@ROOT
def test_owners(tree, tmp_path):
    host, top = tree("a.test/x", "a.test/y")
    outside = tmp_path / "outside"
    outside.write_text("x")
    os.symlink(str(outside), top + "/a.test/link")
    wanted = Rights(4711, 4712)
    os.chown(top + "/a.test/y", 4711, 4712)
    assert vpopmail_permissions.walk(host, PATH, wanted, False).deviating == 4
    found = vpopmail_permissions.walk(host, PATH, wanted, True)
    assert (found.directories, found.files, found.links) == (2, 1, 1)
    assert (found.owner, found.mode) == (4, 0)
    for name in ("", "/a.test", "/a.test/x", "/a.test/link"):
        status = os.lstat(top + name)
        assert (status.st_uid, status.st_gid) == (4711, 4712)
    assert os.stat(str(outside)).st_uid == 0
    assert vpopmail_permissions.walk(host, PATH, wanted, True).deviating == 0


@ROOT
def test_a_hard_link_to_a_file_of_somebody_else_is_left_alone(tree, tmp_path):
    host, top = tree("a.test/x")
    shadow = tmp_path / "shadow"
    shadow.write_text("x")
    shadow.chmod(0o640)
    os.link(str(shadow), top + "/a.test/mine")
    # The delivery of a message makes such links, too: of vpopmail's own.
    os.link(top + "/a.test/x", top + "/a.test/y")
    for name in ("", "/a.test", "/a.test/x"):
        os.chown(top + name, 4711, 4711)
    os.chmod(top + "/a.test/x", 0o666)
    found = vpopmail_permissions.walk(host, PATH, Rights(4711, 4711), True)
    assert (found.files, found.left) == (1, 1)
    assert found.left_first == [PATH + "/a.test/mine: a hard link to a file of user 0"]
    assert (os.stat(str(shadow)).st_uid, mode(shadow)) == (0, 0o640)


def test_pipes_and_sockets_are_left_alone(tree):
    host, top = tree("a.test/x")
    os.mkfifo(top + "/a.test/pipe", 0o666)
    os.chmod(top + "/a.test/pipe", 0o666)
    assert vpopmail_permissions.walk(host, PATH, ME, True).deviating == 0
    assert mode(top + "/a.test/pipe") == 0o666


def test_somebody_who_edits_is_not_disturbed(tree):
    host, top = tree("a.test/x")
    os.chmod(top + "/a.test", 0o1755)
    assert vpopmail_permissions.walk(host, PATH, ME, True).directories == 1
    assert mode(top + "/a.test") == 0o1700


def test_other_modes(tree):
    host, top = tree("a.test/x")
    wanted = vpopmail_permissions.rights(host, str(ME.owner), str(ME.group), "0750", "640")
    assert vpopmail_permissions.walk(host, PATH, wanted, True).deviating == 3
    assert (mode(top), mode(top + "/a.test/x")) == (0o750, 0o640)


def test_the_output_is_bounded(tree):
    host, top = tree(*("a.test/{0}".format(number) for number in range(50)))
    for number in range(50):
        os.chmod("{0}/a.test/{1}".format(top, number), 0o644)
    shown = vpopmail_permissions.result(vpopmail_permissions.walk(host, PATH, ME, False))
    assert (shown["files"], len(shown["paths"])) == (50, vpopmail_permissions.SHOWN)
    assert shown["diff"]["before"].endswith("… and 30 more\n")
    outcome = Outcome(PATH)
    for number in range(50):
        outcome.leave(str(number), "x")
    assert (outcome.left, len(outcome.left_first)) == (50, vpopmail_permissions.SHOWN)


def test_a_tree_without_end(tree):
    host, top = tree("x")
    os.makedirs(top + "/d" * 150)
    found = vpopmail_permissions.walk(host, PATH, ME, False)
    assert found.left == 1 and "more than 100 directories deep" in found.left_first[0]


def test_mail_that_comes_and_goes_meanwhile(tree):
    host, top = tree(*("a.test/new/{0}".format(number) for number in range(20)))
    ends = threading.Event()

    def deliver():
        while not ends.is_set():
            for number in range(20):
                name = "{0}/a.test/new/{1}".format(top, number)
                os.rename(name, name + "x")
                os.chmod(name + "x", 0o644)
                os.rename(name + "x", name)

    worker = threading.Thread(target=deliver)
    worker.start()
    try:
        for _round in range(50):
            assert vpopmail_permissions.walk(host, PATH, ME, True).left == 0
    finally:
        ends.set()
        worker.join()


def test_a_name_that_becomes_a_link_meanwhile(tree, tmp_path):
    host, top = tree("a.test/x", "b.test/y")
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "x").write_text("x")
    (outside / "x").chmod(0o644)
    ends = threading.Event()
    os.symlink(str(outside), top + "/link")

    def swap():
        while not ends.is_set():
            for one, two in (("a.test", "b.test"), ("a.test", "link"), ("b.test", "link")):
                os.rename(top + "/" + one, top + "/.swap")
                os.rename(top + "/" + two, top + "/" + one)
                os.rename(top + "/.swap", top + "/" + two)

    worker = threading.Thread(target=swap)
    worker.start()
    try:
        for _round in range(200):
            vpopmail_permissions.walk(host, PATH, ME, True)
    finally:
        ends.set()
        worker.join()
    assert (mode(outside), mode(outside / "x")) == (0o755, 0o644)


def test_the_path_to_the_tree_has_no_links(make_host):
    host = make_host({"/data/domains/a.test/x": ""}, links={"/home/vpopmail": "/data"})
    with pytest.raises(PermissionsError, match="/home/vpopmail is a link to /data; name the dir"):
        vpopmail_permissions.walk(host, PATH, ME, True)
    with pytest.raises(PermissionsError, match="path is '/data/x': No such file"):
        vpopmail_permissions.walk(host, "/data/x", ME, True)
    with pytest.raises(PermissionsError, match="/srv: No such file"):
        vpopmail_permissions.walk(host, "/srv/x", ME, True)
    assert vpopmail_permissions.walk(host, "/data//domains/", ME, False).path == "/data/domains"


@pytest.mark.parametrize(
    "path", ["/", "/home", "home/vpopmail", "/etc/vpopmail", "/usr/local", "/usr/lib/x", "/a/../b"]
)
def test_a_tree_that_cannot_be_vpopmails(path):
    with pytest.raises(PermissionsError, match="allowed: vpopmail's directory of domains"):
        vpopmail_permissions.walk(Host(), path, ME, False)
    assert vpopmail_permissions.check_path(Host(), "/usr/local/vpopmail/domains/")


@pytest.mark.parametrize("path", ["/var/lib", "/var/log/", "/var/mail", "/var/spool", "/var/qmail",
                                  "/var/cache", "/home/vpopmail", "/srv/qmail"])  # fmt: skip
def test_a_tree_with_more_than_mailboxes(make_host, path):
    host = make_host({"/home/vpopmail/bin/vadddomain": "", "/srv/qmail/queue/mess/1": ""})
    with pytest.raises(PermissionsError, match="allowed: vpopmail's directory of domains"):
        vpopmail_permissions.walk(host, path, ME, False)
    assert vpopmail_permissions.check_path(host, "/var/vpopmail")


@pytest.mark.parametrize("write", [False, True])
def test_a_domain_that_is_somebody_elses_stays(tree, write):
    host, top = tree("a.test/x", "b.test/x", "c.test/joe/Maildir/x")
    for name in ("a.test/x", "b.test/x", "c.test/joe/Maildir/x"):
        os.chmod(top + "/" + name, 0o644)
    os.makedirs(host.root + "/var/qmail/users")
    line = "+{0}-:x:{1}:{2}:" + PATH + "/{0}:-::\n"
    with open(host.root + "/var/qmail/users/assign", "w") as stream:
        stream.write(line.format("a.test", *ME[:2]) + line.format("b.test", 4711, ME.group))
        stream.write(line.format("c.test/joe", ME.owner, 4711) + ".\n")
    others = vpopmail_permissions.assigned(host, "/var/qmail", ME)
    found = vpopmail_permissions.walk(host, PATH, ME, write, others)
    assert [item.path for item in found.first] == [PATH + "/a.test/x"]
    assert found.left_first == [
        "{0}/b.test: users/assign gives it to 4711:{1}".format(PATH, ME.group),
        "{0}/c.test/joe: users/assign gives it to {1}:4711".format(PATH, ME.owner),
    ]
    assert mode(top + "/a.test/x") == (0o600 if write else 0o644)
    assert mode(top + "/b.test/x") == mode(top + "/c.test/joe/Maildir/x") == 0o644
    # Without a qmail there, everything is vpopmail's.
    assert vpopmail_permissions.assigned(host, "/opt/qmail", ME) == {}


@ROOT
def test_what_is_of_the_file_system_stays(tree):
    host, top = tree("lost+found/x", "a.test/lost+found/x", "b.test/x")
    os.chown(top + "/a.test/lost+found", 4711, 4711)
    found = vpopmail_permissions.walk(host, PATH, Rights(4711, 4711), True)
    assert found.left_first == [PATH + "/lost+found: of the file system"]
    assert os.lstat(top + "/lost+found/x").st_uid == 0
    assert os.lstat(top + "/a.test/lost+found/x").st_uid == 4711


def test_another_file_system_stays(tree, monkeypatch):
    host, top = tree("a.test/x", "b.test/x")
    os.chmod(top + "/b.test/x", 0o644)
    inode = os.stat(top + "/b.test").st_ino
    fstat = os.fstat

    def mounted(handle):
        status = fstat(handle)
        if status.st_ino != inode:
            return status
        return os.stat_result((*status[:2], status.st_dev + 1, *status[3:]))

    monkeypatch.setattr(os, "fstat", mounted)
    found = vpopmail_permissions.walk(host, PATH, ME, True)
    assert found.left_first == [PATH + "/b.test: another file system"]
    assert mode(top + "/b.test/x") == 0o644


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"owner": "nobody-here"}, "owner is 'nobody-here'; allowed: one that /etc/passwd has"),
        ({"group": "root"}, "group is 'root'; allowed: one that /etc/group has"),
        ({"directory_mode": "0777"}, "directory_mode is '0777'; allowed: from 0700 to 0750"),
        ({"directory_mode": "0600"}, "directory_mode"),
        ({"file_mode": "0700"}, "file_mode is '0700'; allowed: from 0600 to 0640"),
        ({"file_mode": "rw"}, "file_mode is 'rw'"),
        ({"file_mode": "-600"}, "file_mode"),
    ],
)
def test_options(make_host, options, reason):
    host = make_host(
        {"/etc/passwd": "vpopmail:x:89:89::/home:\n", "/etc/group": "x:x:1:\nvchkpw:x:90:\n"}
    )
    assert vpopmail_permissions.rights(host) == (89, 90, 0o700, 0o600)
    with pytest.raises(PermissionsError, match=reason):
        vpopmail_permissions.rights(host, **options)
