# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to jails, and to the file that fail2ban reads."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_jails as jails
from ansible_collections.postmaster.mailhost.plugins.module_utils.fail2ban_jails import (
    Facts,
    JailError,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import jails as data

OPTIONS = {
    "bantime": "1h",
    "findtime": "10m",
    "maxretry": 5,
    "bantime_increment": True,
    "bantime_maxtime": "1w",
    "bantime_rndtime": "10m",
}
TIMES = jails.check_times(OPTIONS)
EVERYTHING = frozenset(row["filter"] for row in data.HOST + data.MAILU + data.MAILCOW) | frozenset(
    ["nginx-http-auth"]
)


def facts(**more):
    known = {
        "journal": True,
        "why_not": "",
        "files": frozenset(),
        "installed": frozenset(["sshd"]),
        "filters": EVERYTHING,
        "project": "mailcowdockerized",
        "drivers": {},
    }
    return Facts(**dict(known, **more))


def resolved(stack="", line="", bans="netfilter", wanted=None, **more):
    rows = data.for_stack(stack, line, bans)
    found = jails.resolve(rows, wanted or {}, TIMES, facts(**more))
    return {jail.name: jail for jail in found}


def active(found):
    return sorted(name for name, jail in found.items() if not jail.off)


def read(found, ignore=(), networks=(), action="mailhost-nftables", times=TIMES):
    text = jails.text(list(found.values()), times, action, ignore, networks)
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_string(text)
    return parser, text


@pytest.mark.parametrize(
    ("stack", "version", "line"),
    [
        ("mailu", "2024.06", "2024.06"),
        ("mailu", "2024.06.37", "2024.06"),
        ("mailu", "master", "2024.06"),
        ("mailu", "", "2024.06"),
        ("mailu", "2.0", "2.0"),
        ("mailu", "2.0.45", "2.0"),
        ("mailu", "1.9.51", "1.9"),
        ("mailu", "1.8", "1.9"),
        ("mailu", "2025.1", "2024.06"),
        ("mailcow", "2026-07a", ""),
        ("", "", ""),
    ],
)
def test_the_line_of_releases(stack, version, line):
    assert data.series(stack, version) == line


def test_data_is_whole():
    rows = data.HOST + data.MAILU + data.MAILCOW
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert 0 < len(row["name"]) <= data.NAME_LENGTH
        assert row["why"].endswith(".") and row["title"] and row["source"].startswith("https://")
        assert row["journal"] or row["files"]
        for term in row["journal"]:
            assert jails._TERM.match(term.replace("{project}", "p")), term
        for key in ("findtime", "bantime"):
            assert row[key] is None or jails.seconds(row[key]) > 0


def test_filters_know_the_modes_of_the_data():
    for row in data.HOST + data.MAILU + data.MAILCOW:
        for line in data.MAILU_SERIES if row["mode"] == "{series}" else [""]:
            mode = row["mode"].format(series=line)
            assert not mode or mode in data.MODES[row["filter"]]
    folder = Path(__file__).parents[4] / "roles" / "fail2ban" / "files" / "filter.d"
    files = {path.stem for path in folder.glob("*.conf")} - {"mailhost-common"}
    assert files == set(data.MODES)


def test_what_is_not_installed_is_not_watched():
    assert active(resolved()) == ["sshd"]
    assert active(resolved(installed=frozenset())) == []
    found = resolved(installed=frozenset(["sshd", "postfix", "dovecot"]))
    assert active(found) == ["dovecot", "postfix", "sshd"]
    assert found["postfix"].filter == "mailhost-postfix[mode=auth]"
    assert "/var/qmail/bin/qmail-smtpd" in found["qmail-smtpd"].off
    assert not found["qmail-smtpd"].missing


def test_mailu_by_its_version():
    newest = active(resolved("mailu", "2024.06"))
    assert newest == [
        "mailu-admin",
        "mailu-api",
        "mailu-limiter",
        "mailu-proxy",
        "mailu-smtp-auth",
        "sshd",
    ]
    assert "mailu-proxy" not in resolved("mailu", "2.0")
    old = resolved("mailu", "1.9")
    assert active(old) == ["mailu-admin", "mailu-limiter", "mailu-smtp-auth", "sshd"]
    assert old["mailu-smtp-auth"].filter == "mailhost-mailu-front[mode=1.9]"
    assert old["mailu-smtp-auth"].journal == ("CONTAINER_TAG=mailu-front",)


def test_two_never_ban_for_mailcow():
    assert active(resolved("mailcow")) == ["sshd"]
    found = resolved("mailcow", bans="fail2ban", project="post")
    assert len(active(found)) == 5
    assert found["mailcow-dovecot"].journal == ("CONTAINER_NAME=post-dovecot-mailcow-1",)


def test_containers_that_log_elsewhere():
    term = "CONTAINER_NAME=mailcowdockerized-dovecot-mailcow-1"
    found = resolved("mailcow", bans="fail2ban", drivers={term: "json-file"})
    assert found["mailcow-dovecot"].missing
    assert "docker_log_driver: journald" in found["mailcow-dovecot"].off
    assert not found["mailcow-postfix"].off
    fine = resolved("mailcow", bans="fail2ban", drivers={term: "journald"})
    assert not fine["mailcow-dovecot"].off


def test_files_where_there_is_no_journal():
    without = {"journal": False, "why_not": "there is no journal"}
    found = resolved(files=frozenset(["/var/log/secure"]), **without)
    assert (found["sshd"].journal, found["sshd"].files) == ((), ("/var/log/secure",))
    found = resolved(**without)
    assert found["sshd"].missing and found["sshd"].off == "there is no journal"


def test_qmail_has_files_only():
    program = frozenset(["/var/qmail/bin/qmail-smtpd"])
    found = resolved(installed=program)
    assert found["qmail-smtpd"].missing
    assert found["qmail-smtpd"].off.startswith("there is no /var/log/qmail/smtpd/current or ")
    path = "/var/log/qmail/smtpd/current"
    found = resolved(installed=program, files=frozenset([path]))
    assert (found["qmail-smtpd"].off, found["qmail-smtpd"].files) == ("", (path,))


def test_settings_of_the_administrator():
    found = resolved(
        wanted={
            "sshd": {"maxretry": "3", "bantime": -1, "ignore": ["2001:DB8::1", "192.0.2.7/24"]},
            "postfix": {"enabled": False},
            "dovecot": {"files": "/srv/log/dovecot.log"},
            "shop": {"filter": "nginx-http-auth", "files": ["/a.log"], "ports": [80, "443-444"]},
        },
        files=frozenset(["/a.log"]),
        installed=frozenset(["sshd", "postfix"]),
    )
    assert (found["sshd"].maxretry, found["sshd"].bantime) == (3, "-1")
    assert found["sshd"].ignore == ("2001:db8::1", "192.0.2.0/24")
    assert found["postfix"].off == "it is switched off" and not found["postfix"].missing
    # Whoever names a jail wants it, whatever is installed; and its log is not there.
    assert found["dovecot"].missing and found["dovecot"].off == "there is no /srv/log/dovecot.log"
    assert (found["shop"].ports, found["shop"].off) == ("80,443-444", "")


def test_a_filter_of_ones_own_has_no_mode_of_another():
    found = resolved(
        wanted={"postfix": {"filter": "nginx-http-auth"}}, installed=frozenset(["postfix"])
    )
    assert found["postfix"].filter == "nginx-http-auth"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"shd": {"maxretry": 3}}, "jails.shd: there is no such jail; allowed: dovecot, .*sshd"),
        ({"sshd": 5}, "jails.sshd is 5; allowed: a dictionary"),
        ({"sshd": {"retries": 3}}, "jails.sshd has no setting 'retries'; allowed: enabled, filter"),
        ({"sshd": {"maxretry": 0}}, "jails.sshd.maxretry is 0; allowed: a whole number from 1"),
        ({"sshd": {"maxretry": True}}, "jails.sshd.maxretry is True"),
        ({"sshd": {"maxretry": "5 "}}, "jails.sshd.maxretry is '5 '"),
        ({"sshd": {"findtime": "ten"}}, "jails.sshd.findtime is 'ten'; allowed: seconds, or"),
        ({"sshd": {"findtime": -1}}, "jails.sshd.findtime is -1"),
        ({"sshd": {"bantime": "0"}}, "jails.sshd.bantime is '0'.*-1 for ever"),
        ({"sshd": {"bantime": "1h\nfilter = x"}}, "jails.sshd.bantime is"),
        ({"sshd": {"enabled": "maybe"}}, "jails.sshd.enabled is 'maybe'; allowed: true or false"),
        ({"sshd": {"mode": "a]\nb"}}, "jails.sshd.mode is"),
        (
            {"postfix": {"mode": "more"}},
            "jails.postfix.mode is 'more'; allowed for the filter mailhost-postfix: auth, relay",
        ),
        ({"sshd": {"filter": "../x"}}, "jails.sshd.filter is '../x'"),
        ({"sshd": {"filter": "nosuch"}}, "jails.sshd.filter is 'nosuch'.*none of this name"),
        ({"sshd": {"journal": ["_COMM=a b"]}}, "jails.sshd.journal is"),
        ({"sshd": {"journal": ["comm=a"]}}, "jails.sshd.journal is"),
        ({"sshd": {"files": ["log"]}}, "jails.sshd.files is"),
        ({"sshd": {"files": ["/a%b"]}}, "jails.sshd.files is"),
        ({"sshd": {"files": 5}}, "jails.sshd.files is"),
        ({"sshd": {"ports": [0]}}, "jails.sshd.ports is 0; allowed: a list of ports"),
        ({"sshd": {"ports": ["10-5"]}}, "jails.sshd.ports is '10-5'"),
        ({"sshd": {"ports": ["ssh"]}}, "jails.sshd.ports is 'ssh'"),
        ({"sshd": {"ports": [70000]}}, "jails.sshd.ports is 70000"),
        ({"sshd": {"ignore": ["mail.example.org"]}}, "jails.sshd.ignore has 'mail.example.org'"),
        (
            {"sshd": {"files": ["/a"], "journal": ["_COMM=a"]}},
            "jails.sshd has both journal and files",
        ),
        ({"a" * 21: {"filter": "sshd", "files": ["/a"]}}, "allowed as a name: at most 20"),
        ({"My jail": {"filter": "sshd", "files": ["/a"]}}, "allowed as a name"),
        ({"mine": {"filter": "sshd"}}, "jails.mine: set journal or files"),
    ],
)
def test_settings_that_are_wrong(wanted, words):
    with pytest.raises(JailError, match=words):
        resolved(wanted=wanted)


def test_filters_are_not_known_where_fail2ban_is_not_there_yet():
    assert active(resolved(filters=None, wanted={"sshd": {"filter": "later"}})) == ["sshd"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("90", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1w", 604800), ("-1", -1)],
)
def test_times(text, number):
    assert jails.seconds(text) == number


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bantime": "soon"}, "bantime is 'soon'; allowed: seconds"),
        ({"bantime_rndtime": "-5"}, "bantime_rndtime is '-5'"),
        ({"bantime_maxtime": "-1"}, "bantime_maxtime is '-1'"),
        ({"bantime": "2w"}, "bantime_maxtime is '1w'; allowed: at least bantime, which is '2w'"),
        ({"maxretry": 0}, "maxretry is 0"),
    ],
)
def test_times_that_are_wrong(options, words):
    with pytest.raises(JailError, match=words):
        jails.check_times(dict(OPTIONS, **options))


def test_no_chance_and_no_growth_are_fine():
    times = jails.check_times(
        dict(OPTIONS, bantime="4w", bantime_increment=False, bantime_rndtime=0)
    )
    assert (times.increment, times.rndtime) == (False, "0")


def test_the_file():
    found = resolved(
        "mailu",
        "2024.06",
        wanted={"mailu-api": {"ports": [443]}, "sshd": {"bantime": "-1", "ignore": ["192.0.2.9"]}},
    )
    parser, text = read(found, ["198.51.100.7"], ["172.17.0.0/16"])
    api = parser["mailu-api"]
    assert api["action"] == 'mailhost-nftables[name=mailu-api, ports="443"]'
    assert api["backend"] == "systemd" and api["journalmatch"] == "CONTAINER_TAG=mailu-admin"
    assert api["ignoreip"].split() == [
        "127.0.0.0/8",
        "::1/128",
        "172.17.0.0/16",
        "198.51.100.7",
    ]
    assert (api["maxretry"], api["bantime.increment"], api["bantime.maxtime"]) == (
        "3",
        "true",
        "1w",
    )
    # Its lines can be made up, see the data.
    assert parser["mailu-smtp-auth"]["bantime.increment"] == "false"
    ssh = parser["sshd"]
    assert ssh["journalmatch"] == "_SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service"
    assert ssh["action"] == "mailhost-nftables[name=sshd]"
    assert (ssh["bantime"], ssh["bantime.increment"]) == ("-1", "false")
    assert ssh["ignoreip"].split()[-1] == "192.0.2.9"
    assert parser["postfix"]["enabled"] == "false"
    # Nothing that jails of others would take over.
    assert set(parser.defaults()) == {"mailhost_networks", "mailhost_ignoreip"}
    assert jails.networks_in(text) == ["172.17.0.0/16"]
    assert jails.networks_in("") == []


def test_files_stand_one_a_line():
    found = resolved(
        wanted={"shop": {"filter": "nginx-http-auth", "files": ["/a.log", "/b*.log"]}},
        files=frozenset(["/a.log", "/b*.log"]),
    )
    parser, _text = read(found, action="mailhost-ipset")
    assert parser["shop"]["logpath"].split() == ["/a.log", "/b*.log"]
    assert parser["shop"]["backend"] == "auto" and "journalmatch" not in parser["shop"]
    assert parser["shop"]["action"].startswith("mailhost-ipset[")


@pytest.mark.parametrize(
    ("options", "wanted", "age"),
    [
        ({}, {}, 605400),
        ({"bantime_increment": False}, {}, 86400),
        ({"bantime_increment": False}, {"sshd": {"bantime": "30d"}}, 2592000),
        ({"bantime": "-1", "bantime_increment": False}, {}, 86400),
    ],
)
def test_no_ban_is_forgotten_before_its_end(options, wanted, age):
    times = jails.check_times(dict(OPTIONS, **options))
    found = jails.resolve(data.for_stack(""), wanted, times, facts())
    assert "\ndbpurgeage = {0}\n".format(age) in jails.server_text(found, times)


def test_networks():
    given = ["192.0.2.1", "192.0.2.1/32", "10.1.2.3/8", "2001:DB8:0::/64", " 192.0.2.1 "]
    assert jails.networks("ignore", given) == ["192.0.2.1", "10.0.0.0/8", "2001:db8::/64"]
    for wrong in ("x", "", 5, "1.2.3.4/33", "fe80::1%eth0x/1"):
        with pytest.raises(JailError, match="ignore has"):
            jails.networks("ignore", [wrong])
