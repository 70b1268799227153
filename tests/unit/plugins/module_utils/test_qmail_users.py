# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""users/assign and users/cdb. qmail/users.cdb is what notqmail's qmail-newu made of qmail/assign."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import qmail_users
from ansible_collections.postmaster.mailhost.plugins.module_utils.cdb import Cdb
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_users import (
    QmailUsersError,
)

REAL = Path(__file__).parent / "qmail"
ASSIGN = (REAL / "assign").read_text(encoding="utf-8")
CDB = (REAL / "users.cdb").read_bytes()
HOME = "/var/qmail"
ORG = "+example.org-:example.org:89:89:/home/vpopmail/domains/example.org:-::"
NET = "+example.net-:example.net:89:89:/home/vpopmail/domains/example.net:-::"


@pytest.fixture
def make(make_host):
    """Return a function: texts of assign and cdb -> a host with qmail; None leaves a file out."""

    def make(assign: str | None = ASSIGN, cdb: bytes | None = CDB, times=(100, 200)):
        files = {HOME + "/bin/qmail-newu": "", HOME + "/users/x": ""}
        if assign is not None:
            files[HOME + "/users/assign"] = assign
        if cdb is not None:
            files[HOME + "/users/cdb"] = cdb
        host = make_host(files, {"now": 1000})
        for name, time in zip(("assign", "cdb"), times):
            path = host.root + HOME + "/users/" + name
            if os.path.exists(path):
                os.utime(path, (time, time))
        return host

    return make


@pytest.fixture
def real(tmp_path):
    """Return a function: text of assign, commands of qmail-newu -> where this machine has a qmail."""

    def real(assign, script):
        home = tmp_path / "qmail"
        for name in ("bin", "users"):
            (home / name).mkdir(parents=True)
        (home / "users" / "assign").write_text(assign, encoding="utf-8")
        program = home / "bin" / "qmail-newu"
        program.write_text("#!/bin/sh\ncd {0}\n{1}\n".format(home, script), encoding="utf-8")
        program.chmod(0o755)
        return home

    return real


def test_records_are_those_of_qmail_newu():
    assert qmail_users.records(qmail_users.parse(ASSIGN)) == list(Cdb(CDB))


def test_what_is_as_it_should_be_stays(make):
    planned = qmail_users.plan(make(), HOME, [ORG])
    shown = qmail_users.result(planned)
    assert (planned.changed, shown["changed"], shown["diff"]) == (False, False, [])
    assert shown["assignments"] == 6


@pytest.mark.parametrize(
    ("assign", "cdb", "times", "reason"),
    [
        (ASSIGN, None, (1, 2), "users/cdb is missing"),
        (ASSIGN, b"", (1, 2), "users/cdb is damaged: 0 bytes"),
        (ASSIGN, CDB[:-1], (1, 2), "is damaged"),
        (ASSIGN.replace("503", "504"), CDB, (1, 2), "does not say what users/assign says"),
        (ASSIGN, CDB, (3, 2), "is older than users/assign"),
        # In the future: it would be older for ever.
        (ASSIGN, CDB, (2000, 2), ""),
        (ASSIGN, CDB, (2, 2), ""),
    ],
)
def test_a_stale_cdb(make, assign, cdb, times, reason):
    planned = qmail_users.plan(make(assign, cdb, times), HOME)
    assert planned.assign is not None and not planned.assign.changed
    assert reason in planned.stale and planned.changed is bool(reason)
    assert bool(qmail_users.result(planned)["rebuilt"]) is bool(reason)


def test_a_table_of_the_cdb_that_finds_nothing_is_noticed(make):
    # Records as they should be, and tables without a slot: readers would find nobody.
    damaged = b"".join(CDB[:4] + b"\0\0\0\0" for _number in range(256))
    data = damaged + CDB[2048 : int.from_bytes(CDB[:4], "little")]
    assert list(Cdb(data)) == list(Cdb(CDB))
    assert "does not say" in qmail_users.plan(make(cdb=data), HOME).stale


def after(planned):
    return planned.assign.after.decode("utf-8", "surrogateescape")


def test_a_line_takes_the_place_of_the_one_with_its_address(make):
    line = ORG.replace("89:89", "89:90").replace("+example", "+EXAMPLE")
    planned = qmail_users.plan(make(), HOME, [NET, line])
    lines = after(planned).splitlines()
    assert lines[0] == line and lines[6:] == [NET, ".", "=behind:x:1:1:/x:::"]
    assert lines[1:6] == ASSIGN.splitlines()[1:6]
    shown = qmail_users.result(planned)
    assert shown["added"] == [line, NET] and shown["removed"] == [ORG]
    assert [item["after_header"].split(" ")[0] for item in shown["diff"]] == [
        HOME + "/users/assign",
        HOME + "/users/cdb",
    ]


def test_the_first_of_two_for_an_address_is_replaced(make):
    line = "=joe:third:505:78:/home/third:::"
    lines = after(qmail_users.plan(make(), HOME, [line])).splitlines()
    assert lines[1] == line and lines[3].startswith("=joe:other")


@pytest.mark.parametrize("text", [ORG, ORG + "\n"])
def test_the_dot_is_added(make, text):
    planned = qmail_users.plan(make(text, None), HOME)
    assert after(planned) == ORG + "\n.\n"


def test_a_list_that_is_complete(make):
    planned = qmail_users.plan(make("rubbish\n" + ASSIGN), HOME, [NET], complete=True)
    assert after(planned) == NET + "\n.\n"


def test_there_is_no_file_yet(make):
    planned = qmail_users.plan(make(None, None), HOME, [ORG])
    assert after(planned) == ORG + "\n.\n" and planned.assign.mode == 0o644
    assert not qmail_users.plan(make(None, None), HOME).changed


def test_bytes_that_are_no_text_stay(make, make_host):
    host = make()
    path = host.root + HOME + "/users/assign"
    Path(path).write_bytes(b"=j\xff\xc4:j:1:1:/x:::\n.\n")
    planned = qmail_users.plan(host, HOME, [ORG])
    assert planned.assign.after == b"=j\xff\xc4:j:1:1:/x:::\n" + ORG.encode() + b"\n.\n"
    assert qmail_users.records(planned.content)[0][0] == b"!j\xff\xc4\0"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ([""], "'' is no assignment"),
        (["."], "'.' is no assignment"),
        ([":x:1:1:/x:::"], "is no assignment"),
        (["=joe:joe:1:1:/home/joe"], "has 4 colons of 7"),
        (["joe:joe:1:1:/home/joe:::"], "begins with neither = nor +"),
        (["=joe:joe:0:1:/home/joe:::"], "uid of .* is '0'; allowed: a number from 1 .*root"),
        (["=joe:joe:4294967295:1:/home/joe:::"], "uid of .*; allowed: a number .* to 4294967294"),
        (["=joe:joe:1:4294967295:/home/joe:::"], "gid of .*; allowed: a number from 0 to 4294967"),
        (["=joe:joe:vpopmail:1:/home/joe:::"], "uid of .* is 'vpopmail'; allowed: a number"),
        (["=joe:joe:1:-1:/home/joe:::"], "gid of .* is '-1'; allowed: a number"),
        (["=joe:joe:1:1:joe:::"], "the directory of .* is 'joe'; allowed: an absolute path"),
        (["=joe:joe:1:1:/home/joe:::\n."], "is more than one line"),
        (["=jo\0e:joe:1:1:/home/joe:::"], "has a NUL"),
        ([ORG, ORG.replace("org-", "ORG-")], "is there twice"),
    ],
)
def test_lines_that_cannot_serve_are_refused(make, wanted, reason):
    with pytest.raises(QmailUsersError, match=reason):
        qmail_users.plan(make(), HOME, wanted)


def test_a_file_that_qmail_newu_refuses_is_left_alone(make):
    with pytest.raises(QmailUsersError, match="line 1 is no assignment; line 2 has 1 colons of 7"):
        qmail_users.plan(make("# comment\na:b\n" + ASSIGN), HOME, [ORG])


def test_what_else_is_refused(make, make_host):
    with pytest.raises(QmailUsersError, match="complete is true and assign is empty"):
        qmail_users.plan(make(), HOME, complete=True)
    host = make()
    os.unlink(host.root + HOME + "/users/assign")
    with pytest.raises(QmailUsersError, match="users/cdb is there and users/assign is not"):
        qmail_users.plan(host, HOME)
    with pytest.raises(QmailUsersError, match="qmail_home is '/nowhere'; allowed"):
        qmail_users.plan(make(), "/nowhere")
    host = make(cdb=b"")
    os.unlink(host.root + HOME + "/bin/qmail-newu")
    with pytest.raises(QmailUsersError, match="bin/qmail-newu is missing; .*cdb is damaged"):
        qmail_users.plan(host, HOME)


GOOD = "cp {0} users/cdb".format(REAL / "users.cdb")


def test_it_is_done(real):
    home = str(real(ASSIGN.replace("=behind", "x").replace(":503:", ":500:"), GOOD))
    line = "=Joe:joe:503:78:/home/joe:::and what nobody reads"
    planned = qmail_users.plan(Host(), home, [line])
    backups = qmail_users.carry_out(Host(), planned)
    assert len(backups) == 1 and ":500:" in Path(backups[0]).read_text()
    again = qmail_users.plan(Host(), home, [line])
    assert not again.changed


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo bad format >&2; exit 111", "qmail-newu ended with 111: bad format"),
        ("exit 0", "ended well, but .*users/cdb is missing; is .* where it was built for"),
    ],
)
def test_when_qmail_newu_fails_the_old_file_comes_back(real, script, reason):
    home = real(ASSIGN, script)
    (home / "users" / "assign").chmod(0o640)
    planned = qmail_users.plan(Host(), str(home), [NET])
    with pytest.raises(QmailUsersError, match=reason + ".*; users/assign is as before"):
        qmail_users.carry_out(Host(), planned)
    assert (home / "users" / "assign").read_text() == ASSIGN
    assert (home / "users" / "assign").stat().st_mode & 0o777 == 0o640


def test_a_new_file_goes_when_qmail_newu_fails(real):
    home = real(ASSIGN, "exit 1")
    (home / "users" / "assign").unlink()
    planned = qmail_users.plan(Host(), str(home), [NET])
    with pytest.raises(QmailUsersError, match="ended with 1"):
        qmail_users.carry_out(Host(), planned)
    assert not (home / "users" / "assign").exists()


def test_the_longest_beginning_counts():
    assign = qmail_users.parse(ASSIGN)
    assert assign.find("LISTS.example.org-").user == "lists"
    assert assign.find("anything-").address == "a"
    assert assign.find("other-").address == ""
    assert qmail_users.parse(ORG + "\n.\n").find("example.net-") is None


def test_what_cannot_be_printed_is_escaped():
    assert qmail_users.printable("a\nb\x1b[1m\udcffü") == "a\\nb\\x1b[1m\\xffü"


@pytest.mark.parametrize("text", ["", ORG, ORG + "\n", ASSIGN[:200]])
def test_a_file_that_is_cut_off_does_not_get_into_the_cdb(make, text):
    host = make(text)
    with pytest.raises(QmailUsersError, match="no line with a dot and lacks [245] assign.*cut off"):
        qmail_users.plan(host, HOME, [ORG])
    # Somebody says what is to be there.
    assert after(qmail_users.plan(host, HOME, [ORG], complete=True)) == ORG + "\n.\n"
    os.unlink(host.root + HOME + "/users/assign")
    with pytest.raises(QmailUsersError, match="is missing, and assign lacks 4 .*seems lost"):
        qmail_users.plan(host, HOME, [ORG])
    # Nothing tells that there was more.
    assert qmail_users.plan(make(ORG, b""), HOME).changed


def test_only_the_dot_is_lost(make):
    lines = ASSIGN[: ASSIGN.index("\n.\n") + 1]
    assert after(qmail_users.plan(make(lines), HOME)) == lines + ".\n"


def test_additions_come_first(make):
    host = make("rubbish\n" + ASSIGN)
    present = ASSIGN.splitlines()[:6]
    planned = qmail_users.plan(host, HOME, [NET], complete=True, removals=False)
    assert after(planned).splitlines() == [*present, NET, "."]
    text = after(planned)
    assert not qmail_users.plan(make(text), HOME, [NET], True, False).assign.changed
    assert after(qmail_users.plan(make(text), HOME, [NET], True)) == NET + "\n.\n"
