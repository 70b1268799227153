# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""POP before SMTP: the list of addresses, and the line of cron that empties it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import pop_before_smtp
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.pop_before_smtp import (
    PopBeforeSmtpError,
)

NOW = 1795258800
LIST = pop_before_smtp.LISTS[0]
COMMAND = pop_before_smtp.COMMAND
PASSWD = "root:x:0:0::/root:/bin/sh\nvpopmail:x:89:89::/home/vpopmail:/bin/sh\n"
TIMES = "40 * * * * "


def entries(*minutes):
    line = '192.0.2.{0}:allow,RELAYCLIENT="",RBLSMTPD=""\t{1}\n'
    return "".join(line.format(n, NOW - 60 * ago) for n, ago in enumerate(minutes))


@pytest.fixture
def make(make_host):
    """Return a function: files -> a host, with clearopensmtp unless it is said otherwise."""

    def make(files, installed=True):
        files = dict({"/etc/passwd": PASSWD}, **files)
        if installed:
            files[COMMAND] = ""
        return make_host(files, {"now": NOW})

    return make


def lines(host, **options):
    return [
        (line.path, line.number, line.trouble, line.mended)
        for line in pop_before_smtp.look(host, **options).lines
    ]


def test_the_list(make):
    text = entries(0, 10, 361, 100000) + "192.0.2.9:allow\nrubbish\n\n"
    found = pop_before_smtp.look(make({LIST: text})).list
    assert found == (LIST, len(text), 4, 2, 2, 100000 * 60)


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("", {}, ""),
        (entries(0, 359), {}, ""),
        (entries(0, 361), {}, "1 of 2 entries are older than 360 min"),
        (entries(0, 361), {"window": 300}, ""),
        (entries(0, 21), {"window": 10}, "1 of 2 entries are older than 20 min"),
    ],
)
def test_when_it_is_swollen(make, text, options, reason):
    host = make({LIST: text})
    state = pop_before_smtp.look(host, **options)
    assert state.swollen == reason
    planned = pop_before_smtp.plan(host, state)
    assert (planned.run, planned.changed) == (reason, bool(reason))


def test_many_that_are_fresh_stay(make):
    host = make({LIST: entries(*range(6))}, installed=False)
    state = pop_before_smtp.look(host, most=5)
    assert state.swollen == "6 entries"
    # clearopensmtp could not make them fewer.
    assert not pop_before_smtp.plan(host, state).changed


def test_the_older_place_and_another(make):
    host = make({"/etc/vpopmail/open-smtp": entries(1), "/srv/open-smtp": entries(1, 2)})
    assert pop_before_smtp.look(host).list.path == "/etc/vpopmail/open-smtp"
    assert pop_before_smtp.look(host, "/srv/open-smtp").list.entries == 2
    assert pop_before_smtp.look(host, "/srv/none").list == pop_before_smtp.List()


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (TIMES + COMMAND, TIMES + "root " + COMMAND),
        (TIMES + COMMAND + " 2>&1 >/dev/null", TIMES + "root " + COMMAND + " 2>&1 >/dev/null"),
        ("\t*/5\t*  * * mon-fri   " + COMMAND, "\t*/5\t*  * * mon-fri   root " + COMMAND),
        (TIMES + "clearopensmtp", TIMES + "root clearopensmtp"),
        (TIMES + "/usr/bin/nice -n 5 " + COMMAND, TIMES + "root /usr/bin/nice -n 5 " + COMMAND),
        ("@hourly " + COMMAND, "@hourly root " + COMMAND),
        ("0,30 1-5 1 jan,feb 0-7 " + COMMAND, "0,30 1-5 1 jan,feb 0-7 root " + COMMAND),
    ],
)
def test_a_line_without_a_user_gets_one(make, text, mended):
    before = "# m h dom mon dow user command\nSHELL=/bin/sh\n" + text + "\n17 * * * * root x\n"
    host = make({"/etc/crontab": before})
    state = pop_before_smtp.look(host)
    assert lines(host) == [("/etc/crontab", 3, "has no user behind the times", mended)]
    assert state.used and state.scheduled
    planned = pop_before_smtp.plan(host, state)
    assert [change.path for change in planned.changes] == ["/etc/crontab"]
    assert planned.changes[0].after.decode() == before.replace(text, mended)
    diff = pop_before_smtp.result(planned)["diff"][0]
    assert diff["after"].count("\n") == 1 and "17 *" not in diff["after"]


@pytest.mark.parametrize(
    "text",
    [
        TIMES + "root " + COMMAND,
        TIMES + "vpopmail " + COMMAND + " >/dev/null 2>&1",
        "@hourly root " + COMMAND,
    ],
)
def test_a_line_that_is_right(make, text):
    host = make({"/etc/cron.d/vpopmail": text + "\n"})
    assert lines(host) == [("/etc/cron.d/vpopmail", 1, "", text)]
    assert not pop_before_smtp.plan(host, pop_before_smtp.look(host)).changed


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("40 * * * " + COMMAND + " >/dev/null", "does not begin with five fields of time"),
        ("40 * * * " + COMMAND, "does not begin with five fields of time"),
        (TIMES + "vpopmial " + COMMAND, "has 'vpopmial' for a user, whom /etc/passwd does not"),
        (TIMES + "test -x " + COMMAND, "has 'test' for a user"),
    ],
)
def test_a_line_that_is_not_mended_by_itself(make, text, trouble):
    host = make({"/etc/crontab": text + "\n"})
    ((_path, _number, said, mended),) = lines(host)
    assert trouble in said and mended == text
    state = pop_before_smtp.look(host)
    assert not state.scheduled
    assert not pop_before_smtp.plan(host, state).changed


def test_another_line_of_the_file_keeps_cron_away_from_all(make):
    text = "1 2 3 4 5 nobody-here x\n" + TIMES + "root " + COMMAND + "\n"
    host = make({"/etc/crontab": text, "/etc/cron.d/other": "1 2 3 4 5 nobody-here x\n"})
    state = pop_before_smtp.look(host)
    assert [(line.number, bool(line.trouble)) for line in state.lines] == [(1, True), (2, False)]
    assert not state.scheduled


def test_what_cron_does_not_read(make):
    line = TIMES + COMMAND + "\n"
    host = make(
        {
            "/etc/debian_version": "13.5\n",
            "/etc/cron.d/a.dpkg-old": line,
            "/etc/cron.d/a~": line,
            "/etc/crontab": "#"
            + line
            + "X = 1 "
            + COMMAND
            + "\n"
            + TIMES
            + "root noclearopensmtp\n",
        }
    )
    assert lines(host) == []
    assert not pop_before_smtp.look(host).used


def test_cronie_reads_files_with_other_names(make):
    names = (".a", "#a", "a~", "a.rpmnew", "a.rpmsave", "a.rpmorig", "vpopmail.cron")
    host = make({"/etc/cron.d/" + name: TIMES + COMMAND + "\n" for name in names})
    assert [found[0] for found in lines(host)] == ["/etc/cron.d/vpopmail.cron"]


def test_crontabs_of_users_have_no_such_field(make):
    line = TIMES + COMMAND + "\n"
    host = make({"/var/spool/cron/crontabs/root": line})
    assert lines(host)[0][1:] == (1, "", line.rstrip())
    assert pop_before_smtp.look(host).scheduled


def test_it_is_done(make, monkeypatch, tmp_path):
    host = make({LIST: entries(1), "/etc/crontab": TIMES + COMMAND})
    os.chmod(host.root + "/etc/crontab", 0o600)
    planned = pop_before_smtp.plan(host, pop_before_smtp.look(host, user="vpopmail"))
    (backup,) = pop_before_smtp.carry_out(host, planned)
    assert Path(backup).read_text() == TIMES + COMMAND
    path = Path(host.root + "/etc/crontab")
    assert path.read_text() == TIMES + "vpopmail " + COMMAND
    assert path.stat().st_mode & 0o777 == 0o600
    assert not pop_before_smtp.plan(host, pop_before_smtp.look(host)).changed


@pytest.fixture
def real(tmp_path):
    """Return a function: commands of clearopensmtp -> plan on this machine, with one old entry."""

    def real(script):
        program = tmp_path / "clearopensmtp"
        program.write_text("#!/bin/sh\ncd {0}\n{1}\n".format(tmp_path, script))
        program.chmod(0o755)
        names = tmp_path / "open-smtp"
        names.write_text('192.0.2.1:allow,RELAYCLIENT=""\t1000000000\n')
        state = pop_before_smtp.look(Host(), str(names), str(program))
        # Crontabs of this machine are none of the test's business.
        return pop_before_smtp.plan(Host(), state._replace(lines=()))

    return real


def test_clearopensmtp_is_called(real, tmp_path):
    planned = real(": > open-smtp")
    assert pop_before_smtp.carry_out(Host(), planned) == []
    assert (tmp_path / "open-smtp").read_text() == ""
    assert pop_before_smtp.result(planned)["cleared"] is True


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no tcprules >&2; exit 3", "clearopensmtp ended with 3: no tcprules"),
        ("exit 0", "ended well, and still 1 of 1 entries are older than 360 min"),
    ],
)
def test_clearopensmtp_fails(real, script, reason):
    with pytest.raises(PopBeforeSmtpError, match=reason):
        pop_before_smtp.carry_out(Host(), real(script))


def test_clearopensmtp_is_not_there(make):
    host = make({LIST: entries(1000)}, installed=False)
    with pytest.raises(PopBeforeSmtpError, match="command is '/home/.*', which is not there"):
        pop_before_smtp.plan(host, pop_before_smtp.look(host))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"window": 0}, "window_minutes is 0; allowed: 1 or more"),
        ({"most": -1}, "warn_entries is -1; allowed"),
        ({"user": "joe"}, "cron_user is 'joe'; allowed: a user that /etc/passwd has"),
        ({"command": "clearopensmtp"}, "command is 'clearopensmtp'; allowed: an absolute path"),
    ],
)
def test_options(make, options, reason):
    with pytest.raises(PopBeforeSmtpError, match=reason):
        pop_before_smtp.look(make({}), **options)
