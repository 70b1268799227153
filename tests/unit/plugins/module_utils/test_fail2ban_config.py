# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jails, filters and actions of a host: compared, tried, put in force and taken back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_config as config
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_guard as guard
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_server as server
from ansible_collections.postmaster.mailhost.plugins.module_utils.fail2ban_config import (
    Fail2banError,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.fail2ban_jails import JailError
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import (
    Host,
    Result,
    Unit,
)

FILTERS = {"mailhost-dovecot.conf": "[Definition]\nfailregex = ^x <HOST>$"}
ACTIONS = {"mailhost-nftables.conf": "[Definition]\nactionban = nft\n"}
OPTIONS = {
    "stack": "",
    "stack_version": "",
    "path": None,
    "filters": FILTERS,
    "actions": ACTIONS,
    "jails": {},
    "backend": "nftables",
    "bantime": "1h",
    "findtime": "10m",
    "maxretry": 5,
    "bantime_increment": True,
    "bantime_maxtime": "1w",
    "bantime_rndtime": "10m",
    "ignore": [],
    "admins": [],
    "controller": "198.51.100.9",
    "mailcow_bans": "netfilter",
    "check_seconds": 15,
}
FILES = {
    "/usr/bin/fail2ban-server": "#!/usr/bin/python3 -Es\n",
    "/usr/bin/fail2ban-client": "#!/usr/bin/python3\n",
    "/usr/sbin/sshd": "",
    "/usr/sbin/nft": "",
    "/var/log/journal/0/system.journal": "",
    "/etc/fail2ban/filter.d/sshd.conf": "[Definition]\n",
    "/etc/fail2ban/jail.conf": "[DEFAULT]\n",
    "/var/log/fail2ban.log": "2026-11-20 [1]: ERROR   an old one\n",
}
RUNNING = {
    "fail2ban.service": ["loaded", "active", "enabled"],
    guard.TIMER: ["loaded", "active", "enabled"],
}
BINDINGS = {"/usr/bin/python3 -c import systemd.journal": {}}


class Living(Host):
    """A machine of files whose fail2ban and systemd do what they are told.

    refuses: what the running server says when it is told of a jail of this name.
    test: what the test of a configuration answers.
    """

    test = Result(0, "OK", "")
    regex = Result(0, "", "")

    def __init__(self, root):
        super().__init__(root)
        self.refuses = {}
        self.said = []
        self.jails = []
        self.state = {}

    def units(self, names):
        units = super().units(names)
        return {name: self.state.get(name, units[name]) for name in names}

    def run(self, argv, timeout=30.0, **more):
        self.said.append(" ".join(argv))
        if argv[0] == "systemctl":
            return self.systemctl(argv)
        if argv[:2] == ["fail2ban-client", "-c"]:
            self.tried = {
                path.relative_to(argv[2]).as_posix(): path.read_text()
                for path in Path(argv[2]).rglob("*")
                if path.is_file()
            }
            return self.test
        if argv[0] == "fail2ban-regex":
            return self.regex
        if argv == ["fail2ban-client", "status"]:
            if self.jails is None:
                return Result(255, "", "ERROR  no server")
            return Result(0, "Status\n`- Jail list:\t{0}\n".format(", ".join(self.jails)), "")
        if argv == ["fail2ban-client", "reload"]:
            return self.start()
        if argv[0] == "/usr/bin/python3":
            return Result(0, "", "")
        return super().run(argv, timeout=timeout, **more)

    def systemctl(self, argv):
        if argv[1:] == ["restart", "fail2ban.service"]:
            self.start()
            self.state["fail2ban.service"] = Unit(
                "loaded", "failed" if self.jails is None else "active", "enabled"
            )
        return Result(0, "", "")

    def start(self):
        """Read the file as the server does: one bad jail ends all of them."""
        text = self.read(config.JAILS) or ""
        names = [
            part.partition("]")[0] for part in text.split("\n[")[1:] if "enabled = true" in part
        ]
        for name in names:
            if name in self.refuses:
                self.jails = None
                with open(self.root + "/var/log/fail2ban.log", "a", encoding="utf-8") as log:
                    log.write("2026-11-21 [1]: ERROR   NOK: " + self.refuses[name] + "\n")
                return Result(255, "", "ERROR   it failed\n")
        self.jails = names
        return Result(0, "OK", "")


@pytest.fixture
def living(make_host, monkeypatch):
    """Return a function: files and units -> a machine with fail2ban."""
    monkeypatch.setattr(config, "_PATIENCE", 0.0)

    def make(files=None, units=None, **recorded):
        made = make_host(
            {**FILES, **(files or {})},
            {"units": RUNNING if units is None else units, "commands": BINDINGS, **recorded},
        )
        for path in ("/usr/bin/fail2ban-server", "/usr/bin/fail2ban-client", "/usr/sbin/nft"):
            os.chmod(made.root + path, 0o755)
        return Living(made.root)

    return make


def plan(host, foretell=False, **options):
    return config.plan(host, dict(OPTIONS, **options), foretell)


def converge(host, **options):
    planned = plan(host, **options)
    config.try_out(host, planned)
    config.carry_out(host, planned)
    return planned


def test_a_host_without_fail2ban(make_host):
    bare = make_host({}, {"units": {}})
    with pytest.raises(Fail2banError, match="fail2ban is not installed on the host"):
        plan(bare)
    planned = plan(bare, foretell=True, backend="auto")
    assert planned.changed and planned.backend == "nftables"
    assert planned.before[0] == "fail2ban.service: absent"
    # There is nothing that could try it out.
    config.try_out(bare, planned)


def test_first_time_and_second(living):
    host = living(units={})
    planned = converge(host)
    assert [jail.name for jail in planned.jails if not jail.off] == ["sshd"]
    assert planned.activate == "restart"
    assert host.read("/etc/fail2ban/filter.d/mailhost-dovecot.conf").endswith("<HOST>$\n")
    assert "ignoreip = 127.0.0.0/8 ::1/128 %(mailhost_networks)s 198.51.100.9" in host.read(
        config.JAILS
    )
    assert host.said.index("systemctl daemon-reload") < host.said.index(
        "systemctl restart fail2ban.service"
    )
    assert "systemctl enable fail2ban.service" in host.said
    assert "jail.d/mailhost.local" in host.tried and "jail.conf" in host.tried
    host.state = {name: Unit(*state) for name, state in RUNNING.items()}
    again = plan(host)
    assert (again.changed, again.diff(), again.activate) == (False, [], "")


def test_wrong_options_before_everything(make_host):
    bare = make_host({}, {"units": {}})
    for options, words in (
        ({"ignore": ["x"]}, "ignore has 'x'"),
        ({"admins": ["x"]}, "admins has 'x'"),
        ({"controller": "x"}, "controller has 'x'"),
        ({"check_seconds": 4}, "check_seconds is 4; allowed: 5 to 3600"),
        ({"bantime": "x"}, "bantime is 'x'"),
        ({"jails": {"nosuch": {}}}, "jails.nosuch: there is no such jail"),
        ({"filters": {"sshd.conf": ""}}, "filters has 'sshd.conf'; allowed: mailhost-NAME.conf"),
        ({"actions": {"../mailhost-x.conf": ""}}, "actions has"),
    ):
        with pytest.raises(JailError, match=words):
            plan(bare, **options)


def test_only_what_drifted(living):
    host = living()
    converge(host)
    os.unlink(host.root + "/etc/fail2ban/filter.d/mailhost-dovecot.conf")
    planned = plan(host)
    assert [item.path for item in planned.files if item.changed] == [
        "/etc/fail2ban/filter.d/mailhost-dovecot.conf"
    ]
    assert planned.activate == "reload"
    converge(host)
    host.jails = []
    planned = plan(host)
    assert (planned.before, planned.activate) == (("jail sshd: stopped",), "reload")
    host.jails = None
    assert plan(host).activate == "restart"


@pytest.mark.parametrize(
    ("options", "activate"),
    [
        ({"bantime": "2h"}, "reload"),
        ({"jails": {"sshd": {"enabled": False}}}, "reload"),
        ({"filters": {}}, "reload"),
        # What the action made in the kernel has to be made anew.
        ({"jails": {"sshd": {"ports": [22]}}}, "restart"),
        ({"actions": {"mailhost-nftables.conf": "[Definition]\n"}}, "restart"),
        ({"bantime_maxtime": "8w"}, "restart"),
    ],
)
def test_what_a_change_needs(living, options, activate):
    host = living()
    converge(host)
    assert plan(host, **options).activate == activate


def test_another_backend_starts_anew(living):
    host = living({"/usr/sbin/iptables": "", "/usr/sbin/ipset": ""})
    for name in ("iptables", "ipset"):
        os.chmod(host.root + "/usr/sbin/" + name, 0o755)
    converge(host)
    assert plan(host, backend="ipset").activate == "restart"


def test_a_unit_that_is_masked(living):
    host = living()
    converge(host)
    path = host.root + "/etc/systemd/system/" + guard.TIMER
    os.unlink(path)
    os.symlink("/dev/null", path)
    host.state = {
        guard.TIMER: Unit("masked", "inactive", "masked"),
        "fail2ban.service": Unit("masked", "inactive", "masked"),
    }
    planned = converge(host)
    assert planned.first == (("systemctl", "unmask", "fail2ban.service"),)
    assert not os.path.islink(path) and os.path.getsize(path) > 50
    assert "systemctl enable " + guard.TIMER in host.said


def test_what_an_older_release_left(living):
    files = {
        "/etc/fail2ban/filter.d/mailhost-old.conf": "x",
        "/etc/fail2ban/filter.d/mailhost-dovecot.local": "of an administrator",
        "/etc/fail2ban/filter.d/mine.conf": "x",
    }
    host = living(files)
    planned = converge(host)
    assert [item.path for item in planned.remove] == ["/etc/fail2ban/filter.d/mailhost-old.conf"]
    assert not host.exists("/etc/fail2ban/filter.d/mailhost-old.conf")
    assert host.exists("/etc/fail2ban/filter.d/mailhost-dovecot.local")


def test_refused_by_the_test(living):
    host = living()
    host.test = Result(
        255,
        "",
        "2026-11-21 10:26:29,084 fail2ban.jailsreader [1]: ERROR   Errors in jail 'sshd'.\n"
        "2026-11-21 10:26:29,085 fail2ban [1]: ERROR   ERROR: test configuration failed\n",
    )
    with pytest.raises(Fail2banError, match="because of the jail sshd: Errors in .*Nothing was"):
        config.try_out(host, plan(host))
    assert not host.exists(config.JAILS)


def test_a_filter_that_is_no_expression(living):
    host = living({"/etc/fail2ban/filter.d/bad.conf": "[Definition]\n", "/a.log": "x"})
    host.regex = Result(255, "\nERROR: Unable to compile regular expression '^bad ('\n", "")
    jails = {"mine": {"filter": "bad", "files": ["/a.log"]}, "sshd": {"enabled": False}}
    with pytest.raises(Fail2banError, match="because of the jail mine: its filter bad: Unable to"):
        config.try_out(host, plan(host, jails=jails))


def test_refused_by_the_running_server(living):
    host = living({"/etc/fail2ban/filter.d/odd.conf": "[Definition]\n", "/a.log": "x"})
    converge(host)
    before = {path: host.read(path) for path in (config.JAILS, config.SERVER)}
    host.refuses = {"mine": "it is odd"}
    jails = {"mine": {"filter": "odd", "files": ["/a.log"], "bantime": "60d"}}
    with pytest.raises(
        Fail2banError,
        match="does not start the jail mine: it is odd. The configuration from before",
    ):
        converge(host, jails=jails, filters=dict(FILTERS, **{"mailhost-new.conf": "x"}))
    assert {path: host.read(path) for path in before} == before
    assert not host.exists("/etc/fail2ban/filter.d/mailhost-new.conf")
    assert host.jails == ["sshd"]


def test_refused_the_first_time(living):
    host = living(units={})
    host.refuses = {"sshd": "no"}
    with pytest.raises(Fail2banError, match="does not start the jail sshd"):
        converge(host)
    assert not host.exists(config.JAILS)
    assert host.said[-1] == "systemctl stop fail2ban.service"


def test_a_jail_that_cannot_watch_is_told(living):
    host = living({"/var/qmail/bin/qmail-smtpd": ""}, commands=BINDINGS)
    planned = plan(host, filters=dict(FILTERS, **{"mailhost-qmail.conf": "x"}))
    assert len(planned.warnings) == 1 and "the jail qmail-smtpd is not in" in planned.warnings[0]
    shown = {jail["name"]: jail for jail in config.result(planned)["jails"]}
    assert (shown["qmail-smtpd"]["active"], shown["sshd"]["active"]) == (False, True)


def test_everything_goes(living):
    host = living()
    assert not config.plan_removal(host).changed
    converge(host)
    # Removing runs what it removes.
    planned = config.plan_removal(host)
    assert planned.changed and planned.activate == "restart"
    assert config.carry_out(host, planned) == []
    assert host.glob("/etc/fail2ban/*/mailhost*") == []
    assert not host.exists(guard.PROGRAM) and not host.exists(os.path.dirname(guard.DROP_IN))
    order = [
        host.said.index(line)
        for line in (
            "systemctl disable --now " + guard.TIMER,
            "systemctl stop fail2ban.service",
            guard.PROGRAM + " purge",
            "systemctl start fail2ban.service",
        )
    ]
    assert order == sorted(order)
    assert host.exists("/etc/fail2ban/jail.conf")
    host.state = {guard.TIMER: Unit("not-found", "inactive", "")}
    assert not config.plan_removal(host).changed


def test_without_us_it_cannot_start(living):
    host = living()
    converge(host)
    host.test = Result(255, "", "ERROR   Have not found any log file for sshd jail\n")
    (warning,) = config.carry_out(host, config.plan_removal(host))
    assert "fail2ban is stopped" in warning and "log file for sshd jail" in warning
    assert "systemctl start fail2ban.service" not in host.said


NETWORKS = [
    {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
    {"Name": "host", "IPAM": {"Config": None}},
    {"Name": "none", "IPAM": None},
    {
        "Name": "mailu_default",
        "IPAM": {"Config": [{"Subnet": "10.7.0.0/24"}, {"Subnet": "fd00:7::/64"}]},
    },
]


def with_engine(running=True):
    files = {"/usr/bin/dockerd": ""}
    if running:
        files.update({"/run/docker.pid": "7\n", "/proc/7/comm": "dockerd\n"})
    return files


def test_networks_of_the_engine(living, monkeypatch):
    host = living(with_engine(), docker={"/networks": NETWORKS})
    os.chmod(host.root + "/usr/bin/dockerd", 0o755)
    converge(host)
    line = "mailhost_networks = 10.7.0.0/24 172.17.0.0/16 fd00:7::/64\n"
    assert line in host.read(config.JAILS)
    # An engine that rests still has them.
    resting = Living(host.root)
    os.unlink(host.root + "/run/docker.pid")
    resting.jails = ["sshd"]
    assert not plan(resting).changed
    os.unlink(host.root + "/usr/bin/dockerd")
    gone = Living(host.root)
    assert plan(gone).changed


def test_the_stacks_own_network(living):
    host = living({"/mailu/mailu.env": "SUBNET=10.9.0.0/24\n"})
    filters = {"mailhost-mailu-{0}.conf".format(name): "x" for name in ("front", "admin", "api")}
    filters["mailhost-mailu-limiter.conf"] = "x"
    planned = plan(host, stack="mailu", filters=dict(FILTERS, **filters))
    (jails,) = [item for item in planned.files if item.path == config.JAILS]
    assert b"mailhost_networks = 10.9.0.0/24\n" in jails.after
    assert b"mode=2024.06" in jails.after
    planned = plan(host, stack="mailu", stack_version="1.9.51", filters=dict(FILTERS, **filters))
    (jails,) = [item for item in planned.files if item.path == config.JAILS]
    assert b"mode=1.9" in jails.after and b"mailu-proxy" not in jails.after


@pytest.mark.parametrize(
    ("programs", "wanted", "nft", "chosen"),
    [
        (["nft", "iptables"], "auto", 0, "nftables"),
        (["nft", "iptables"], "auto", 1, "iptables"),
        (["iptables"], "auto", 0, "iptables"),
        (["nft"], "nftables", 1, "nftables"),
        (["iptables"], "iptables", 0, "iptables"),
        (["iptables", "ipset"], "ipset", 0, "ipset"),
    ],
)
def test_backends(make_host, programs, wanted, nft, chosen):
    host = make_host({}, {"programs": programs, "commands": {"nft list tables": {"rc": nft}}})
    assert config.choose_backend(host, wanted) == chosen


@pytest.mark.parametrize(
    ("programs", "wanted", "missing"),
    [
        ([], "auto", "no nft"),
        (["nft"], "iptables", "no iptables"),
        (["iptables"], "ipset", "no ipset"),
        ([], "ipset", "no iptables and no ipset"),
    ],
)
def test_backends_that_are_not_there(make_host, programs, wanted, missing):
    host = make_host({}, {"programs": programs})
    with pytest.raises(Fail2banError, match=missing + " on the host; install it"):
        config.choose_backend(host, wanted)
    assert config.choose_backend(host, wanted, foretell=True) in config.BACKENDS


@pytest.mark.parametrize(
    ("files", "rc", "words"),
    [
        ({}, 0, "there is no journal"),
        ({"/run/log/journal/0/system.journal": ""}, 0, ""),
        ({"/var/log/journal/0/user-1000.journal": ""}, 1, "install python3-systemd"),
    ],
)
def test_who_can_read_the_journal(make_host, files, rc, words):
    host = make_host(
        {"/usr/bin/fail2ban-server": "#!/usr/bin/env python3.9\n", **files},
        {"commands": {"python3.9 -c import systemd.journal": {"rc": rc}}},
    )
    assert words in server.why_no_journal(host) and bool(words) == bool(server.why_no_journal(host))


def test_errors_of_the_server_in_short():
    long = "x" * 400
    output = (
        "2026-11-21 fail2ban [1]: ERROR   Command ['reload', 'sshd'] has failed. Received "
        'RegexException("odd")\n2026 WARNING no\n2026 ERROR   ' + long + "\n"
    )
    assert server.complaint(output, ["mine"]) == 'RegexException("odd"); ' + "x" * 200 + "…"
    assert server.complaint("ERROR   Jail 'a' bad\nERROR   other\n", ["a"]) == "Jail 'a' bad"
    assert server.complaint("nothing", []) == ""
    for line, names in (
        ("ERROR   Failed during configuration: Have not found any log file for x jail", ["x"]),
        ("ERROR   Failed during configuration: Have not found any log file for 'x' jail.", ["x"]),
        ("ERROR   Errors in jail 'a-b'.", ["a-b"]),
        ("ERROR   Unable to read the filter 'nosuch'", []),
        ("INFO    Jail 'x' started", []),
    ):
        assert server.blamed(line + "\n") == names
