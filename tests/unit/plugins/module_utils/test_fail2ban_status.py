# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to say of fail2ban's jails."""

from __future__ import annotations

import os
import re

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_config as config
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_guard as guard
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_jails as jails
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_status as status
from ansible_collections.postmaster.mailhost.plugins.module_utils.fail2ban_jails import Jail

NOW = 1795258000.0
TIMES = jails.Times("1h", "10m", 5, True, "1w", "10m")


def jail(name, journal=(), files=(), off="", missing=False, ignore=()):
    return Jail(
        name, name, "Why.", "sshd", journal, files, "", 5, "10m", "1h", ignore, off, missing
    )


SSHD = jail("sshd", ("_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=sshd.service"))
SHOP = jail("shop", files=("/var/log/shop*.log",), ignore=("192.0.2.0/24",))
LOST = jail("qmail-smtpd", off="there is no /var/log/qmail", missing=True)
OFF = jail("postfix", off="it is switched off")
JOURNAL = (
    "journalctl -q -n 1 -o json --output-fields=PRIORITY _SYSTEMD_UNIT=ssh.service + "
    "_SYSTEMD_UNIT=sshd.service"
)


def said(*banned, failed=2, total=7, files=""):
    lines = [
        "Status for the jail: x",
        "|- Filter",
        "|  |- Currently failed:\t{0}".format(failed),
        "|  |- Total failed:\t{0}".format(total),
        "|  `- File list:\t{0}".format(files),
        "`- Actions",
        "   |- Currently banned:\t{0}".format(len(banned)),
        "   |- Total banned:\t9",
        "   `- Banned IP list:\t{0}".format(" ".join(banned)),
    ]
    return {"stdout": "\n".join(lines) + "\n"}


def line(age):
    return {"stdout": '{{"__REALTIME_TIMESTAMP":"{0}"}}\n'.format(int((NOW - age) * 1e6))}


def looked(make_host, found=(SSHD,), files=None, commands=None, units=None, **options):
    text = jails.text(list(found), TIMES, "mailhost-nftables", ["198.51.100.7"], ["172.17.0.0/16"])
    names = ", ".join(item.name for item in found if not item.off)
    host = make_host(
        {
            "/usr/bin/fail2ban-server": "",
            "/usr/bin/fail2ban-client": "",
            config.JAILS: text,
            **(files or {}),
        },
        {
            "now": NOW,
            "units": units or {"fail2ban.service": ["loaded", "active", "enabled"]},
            "commands": {
                "fail2ban-client -V": {"stdout": "1.0.2\n"},
                "fail2ban-client status": {"stdout": "`- Jail list:\t{0}\n".format(names)},
                "fail2ban-client status sshd": said(),
                "fail2ban-client status shop": said(),
                guard.PROGRAM + " status": {"stdout": "sshd ok\nshop ok\n"},
                JOURNAL: line(60),
                **(commands or {}),
            },
        },
    )
    for name in ("server", "client"):
        os.chmod("{0}/usr/bin/fail2ban-{1}".format(host.root, name), 0o755)
    for path, age in options.pop("ages", {}).items():
        os.utime(host.root + path, (NOW - age, NOW - age))
    answer = status.look(host, **options)
    return answer, {
        (item["id"], item["title"]): item for item in answer["findings"] if item["status"] != "ok"
    }


def test_all_is_well(make_host):
    answer, bad = looked(
        make_host,
        [SSHD, SHOP, OFF],
        {"/var/log/shop-1.log": "x"},
        {"fail2ban-client status sshd": said("203.0.113.9", "2001:db8::9")},
        ages={"/var/log/shop-1.log": 600},
    )
    assert bad == {}
    assert (answer["version"], answer["running"]) == ("1.0.2", True)
    ssh, shop = answer["jails"]
    assert ssh == {
        "name": "sshd",
        "managed": True,
        "running": True,
        "failed": 2,
        "failed_total": 7,
        "banned": ["203.0.113.9", "2001:db8::9"],
        "banned_ipv4": 1,
        "banned_ipv6": 1,
        "banned_total": 9,
        "journal": ["_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_UNIT=sshd.service"],
        "files": [],
        "last_line": NOW - 60,
        "in_force": True,
    }
    assert (shop["files"], shop["last_line"]) == (["/var/log/shop*.log"], NOW - 600)
    assert "bans 1 IPv4 and 1 IPv6" in answer["findings"][2]["observed"]


def test_not_installed(make_host):
    answer = status.look(make_host({}, {}))
    assert [item["status"] for item in answer["findings"]] == ["fail"]
    assert (answer["jails"], answer["running"]) == ([], False)


def test_no_server_answers(make_host):
    answer, bad = looked(make_host, commands={"fail2ban-client status": {"rc": 255}})
    assert list(bad) == [("fail2ban.service", "fail2ban")]
    assert bad["fail2ban.service", "fail2ban"]["status"] == "fail"
    assert not answer["running"] and not answer["jails"][0]["running"]


def test_not_started_at_boot(make_host):
    units = {"fail2ban.service": ["loaded", "active", "disabled"]}
    _answer, bad = looked(make_host, units=units)
    assert bad["fail2ban.service", "fail2ban"]["status"] == "warn"


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.11.2", "ok"), ("v0.10.6", "fail"), ("1.1.0", "ok"), ("odd", "unknown")],
)
def test_versions(make_host, version, expected):
    answer, _bad = looked(make_host, commands={"fail2ban-client -V": {"stdout": version + "\n"}})
    (found,) = [item for item in answer["findings"] if item["id"] == "fail2ban.version"]
    assert found["status"] == expected


def test_a_jail_that_does_not_run(make_host):
    commands = {"fail2ban-client status": {"stdout": "`- Jail list:\t\n"}}
    _answer, bad = looked(
        make_host, commands=dict(commands, **{"fail2ban-client status sshd": {"rc": 255}})
    )
    assert bad["fail2ban.jail", "Jail sshd"]["observed"] == "it does not run"


@pytest.mark.parametrize(
    ("entry", "options", "words"),
    [
        (line(3 * 86400), {}, "the last line of _SYSTEMD_UNIT=ssh.service or .* is 3 days old"),
        (line(90000), {}, "is 25 hours old"),
        (line(90), {"quiet_after": 60}, "is 0 hours old"),
        ({"stdout": ""}, {}, "there is no line of _SYSTEMD_UNIT=ssh.service or"),
        ({"rc": 1, "stderr": "no journal"}, {}, "there is no line of"),
    ],
)
def test_a_jail_that_watches_nothing(make_host, entry, options, words):
    _answer, bad = looked(make_host, commands={JOURNAL: entry}, **options)
    (found,) = bad.values()
    assert (found["id"], found["status"]) == ("fail2ban.log", "warn")
    assert re.search(words, found["observed"])
    assert found["fix"].endswith(
        "journalctl _SYSTEMD_UNIT=ssh.service + _SYSTEMD_UNIT=sshd.service"
    )


@pytest.mark.parametrize("files", [{}, {"/var/log/shop-1.log": ""}])
def test_a_file_that_nobody_writes(make_host, files):
    _answer, bad = looked(make_host, [SHOP], files)
    assert "there is no line of /var/log/shop*.log" in bad["fail2ban.log", "Jail shop"]["observed"]


def test_a_jail_that_was_left_out(make_host):
    _answer, bad = looked(make_host, [SSHD, LOST, OFF])
    assert list(bad) == [("fail2ban.log", "Jail qmail-smtpd")]
    assert "there is no /var/log/qmail" in bad["fail2ban.log", "Jail qmail-smtpd"]["observed"]


def test_bans_without_effect(make_host):
    program = guard.PROGRAM + " status"
    answer, bad = looked(
        make_host, commands={program: {"rc": 1, "stdout": "sshd broken: 3 of its bans are not\n"}}
    )
    assert bad["fail2ban.kernel", "Jail sshd"]["status"] == "fail"
    assert bad["fail2ban.kernel", "Jail sshd"]["observed"] == "3 of its bans are not"
    assert answer["jails"][0]["in_force"] is False
    answer, bad = looked(make_host, commands={program: {"rc": 127}})
    assert bad["fail2ban.kernel", "Jail sshd"]["status"] == "unknown"
    assert answer["jails"][0]["in_force"] is None


def test_somebody_is_banned_who_is_to_be_ignored(make_host):
    _answer, bad = looked(
        make_host,
        [SSHD, SHOP],
        {"/var/log/shop-1.log": "x"},
        {
            "fail2ban-client status sshd": said("198.51.100.7", "192.0.2.1"),
            "fail2ban-client status shop": said("192.0.2.1", "172.17.0.5", "8.8.8.8", "odd"),
        },
        ages={"/var/log/shop-1.log": 1},
    )
    assert "it bans 198.51.100.7, which" in bad["fail2ban.ignored", "Jail sshd"]["observed"]
    found = bad["fail2ban.ignored", "Jail shop"]
    assert "it bans 192.0.2.1, 172.17.0.5, which" in found["observed"]
    assert "fail2ban-client set shop unbanip 172.17.0.5" in found["fix"]


def test_jails_of_others_are_told_and_not_judged(make_host):
    answer, bad = looked(
        make_host,
        commands={
            "fail2ban-client status": {"stdout": "`- Jail list:\tsshd, theirs\n"},
            "fail2ban-client status theirs": said("8.8.8.8", files="/a.log /b.log"),
        },
    )
    assert bad == {}
    theirs = answer["jails"][1]
    assert (theirs["managed"], theirs["files"]) == (False, ["/a.log", "/b.log"])
    assert theirs["in_force"] is None
