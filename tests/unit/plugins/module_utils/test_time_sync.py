# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock: which daemon keeps it, what its files say, and when it counts as synchronised."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import time_sync
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Unit
from ansible_collections.postmaster.mailhost.plugins.module_utils.time_sync import TimeSyncError

RUNS = ["loaded", "active", "enabled"]
OFF = ["loaded", "inactive", "disabled"]
DROPIN = "/etc/systemd/timesyncd.conf.d/60-mailhost.conf"
CHRONY_DEBIAN = "pool 2.debian.pool.ntp.org iburst\nsourcedir /run/chrony-dhcp\n"
SOURCES = "/etc/chrony/sources.d/mailhost.sources"


@pytest.fixture
def machine(make_host):
    """Return a function: units, files and commands -> a machine."""

    def machine(units, files=None, commands=None):
        known = {name + ".service": state for name, state in units.items()}
        return make_host(files or {}, {"units": known, "commands": commands or {}})

    return machine


@pytest.mark.parametrize(
    ("units", "wanted", "daemon", "unit", "verbs"),
    [
        ({"systemd-timesyncd": RUNS}, "auto", "systemd-timesyncd", "systemd-timesyncd", []),
        (
            {"systemd-timesyncd": OFF},
            "auto",
            "systemd-timesyncd",
            "systemd-timesyncd",
            ["enable", "start"],
        ),
        (
            {"systemd-timesyncd": ["loaded", "active", "disabled"]},
            "auto",
            "systemd-timesyncd",
            "systemd-timesyncd",
            ["enable"],
        ),
        ({"chrony": ["loaded", "failed", "enabled"]}, "auto", "chrony", "chrony", ["start"]),
        # Red Hat's name; and Debian's with the alias that it gets when it is enabled.
        ({"chronyd": OFF}, "auto", "chrony", "chronyd", ["enable", "start"]),
        (
            {"chrony": RUNS, "chronyd": ["loaded", "active", "alias"]},
            "auto",
            "chrony",
            "chrony",
            [],
        ),
        (
            {"chrony": ["loaded", "active", "alias"], "chronyd": RUNS},
            "auto",
            "chrony",
            "chronyd",
            [],
        ),
        # Of several, the one that runs; then one that will at boot; then the order.
        ({"chrony": OFF, "systemd-timesyncd": RUNS}, "auto", "systemd-timesyncd", None, []),
        (
            {"chrony": OFF, "openntpd": ["loaded", "inactive", "enabled"]},
            "auto",
            "openntpd",
            None,
            ["start"],
        ),
        ({"chrony": OFF, "systemd-timesyncd": OFF}, "auto", "chrony", None, ["enable", "start"]),
        (
            {"chrony": ["loaded", "inactive", "enabled"], "systemd-timesyncd": RUNS},
            "auto",
            "systemd-timesyncd",
            None,
            [],
        ),
        (
            {"chrony": RUNS, "systemd-timesyncd": OFF},
            "systemd-timesyncd",
            "systemd-timesyncd",
            None,
            ["enable", "start"],
        ),
        ({"chrony": ["masked", "inactive", "masked"], "ntpsec": RUNS}, "auto", "ntpsec", None, []),
        ({"ntp": ["loaded", "active", "generated"]}, "auto", "ntp", None, []),
    ],
)
def test_which_daemon(machine, units, wanted, daemon, unit, verbs):
    planned = time_sync.plan(machine(units), daemon=wanted)
    assert (planned.daemon, planned.verbs) == (daemon, verbs)
    assert planned.unit == (unit or daemon) + ".service"
    assert planned.changed is bool(verbs)


@pytest.mark.parametrize(
    ("units", "options", "message"),
    [
        ({}, {}, "there is no time daemon .* install the package systemd-timesyncd or chrony"),
        ({"chrony": RUNS}, {"daemon": "openntpd"}, r"there is no time daemon \(openntpd\)"),
        ({"chrony": ["masked", "inactive", "masked"]}, {}, "chrony.service is masked, .* unmask"),
        ({"chrony": RUNS}, {"daemon": "sundial"}, "daemon is 'sundial'; allowed: auto, chrony"),
        ({"ntpsec": RUNS}, {"servers": ["192.0.2.1"]}, "cannot be set for ntpsec, only for chrony"),
        ({"chrony": RUNS}, {"servers": ["192.0.2.1"]}, "chrony has no configuration in /etc/chr"),
    ],
)
def test_refusals(machine, units, options, message):
    with pytest.raises(TimeSyncError, match=message):
        time_sync.plan(machine(units), **options)


@pytest.mark.parametrize("server", ["", "a b", "-x", "a;b", "a\nNTP=b", "x" * 64, "a..b", 7, None])
def test_bad_servers(machine, server):
    with pytest.raises(TimeSyncError, match="servers: .*; allowed: host names and IP addresses"):
        time_sync.plan(machine({"chrony": RUNS}), ["ntp.example.org", server])


@pytest.mark.parametrize("server", ["ntp", "ntp.example.org.", "192.0.2.1", "2001:db8::1", "a_b.x"])
def test_good_servers(server):
    assert time_sync.server_problem([server]) == ""


def test_without_systemd(make_host):
    with pytest.raises(TimeSyncError, match="cannot be looked at"):
        time_sync.plan(make_host())


def test_timesyncd_gets_a_file_of_its_own_and_loses_it_again(machine, tmp_path):
    commands = {"systemctl restart systemd-timesyncd.service": {}}
    host = machine({"systemd-timesyncd": RUNS}, commands=commands)
    planned = time_sync.plan(host, ["ntp1.example.org", "192.0.2.1"])
    assert planned.verbs == ["restart"]
    shown = time_sync.result(planned)
    assert shown["files"] == [DROPIN] and len(shown["diff"]) == 1
    assert time_sync.carry_out(host, planned) == ""
    text = (tmp_path / DROPIN[1:]).read_text()
    assert text.endswith("\n[Time]\nNTP=\nNTP=ntp1.example.org 192.0.2.1\n")
    assert not time_sync.plan(host, ["ntp1.example.org", "192.0.2.1"]).changed
    back = time_sync.plan(host)
    assert back.verbs == ["restart"]
    assert time_sync.result(back)["diff"][0]["after_header"] == DROPIN + " (absent)"
    time_sync.carry_out(host, back)
    assert not (tmp_path / DROPIN[1:]).exists()
    assert not time_sync.plan(host).changed


@pytest.mark.parametrize(
    ("main", "text", "target"),
    [
        ("/etc/chrony/chrony.conf", "sourcedir /run/chrony-dhcp /etc/chrony/sources.d/\n", SOURCES),
        (
            "/etc/chrony/chrony.conf",
            "confdir /etc/chrony/conf.d\n",
            "/etc/chrony/conf.d/60-mailhost.conf",
        ),
        ("/etc/chrony.conf", "confdir /x\nSourceDir /y\n", "/y/mailhost.sources"),
    ],
)
def test_chrony_has_a_folder_for_sources(machine, tmp_path, main, text, target):
    commands = {"systemctl restart chrony.service": {}}
    host = machine({"chrony": RUNS}, {main: text}, commands)
    servers = ["192.0.2.1", "de.pool.ntp.org", "ntp.example.org"]
    time_sync.carry_out(host, time_sync.plan(host, servers))
    assert (tmp_path / target[1:]).read_text().splitlines()[1:] == [
        "server 192.0.2.1 iburst prefer",
        "pool de.pool.ntp.org iburst prefer",
        "server ntp.example.org iburst prefer",
    ]
    assert (tmp_path / main[1:]).read_text() == text
    assert not time_sync.plan(host, servers).changed
    assert [change.path for change in time_sync.plan(host).remove] == [target]


def test_chrony_without_one_gets_a_line_and_a_copy_is_kept(machine, tmp_path):
    commands = {"systemctl restart chronyd.service": {}}
    text = "pool 2.rhel.pool.ntp.org iburst\n#sourcedir /x\nsourcedir /run/chrony-dhcp"
    host = machine({"chronyd": RUNS}, {"/etc/chrony.conf": text}, commands)
    assert not time_sync.plan(host).changed
    planned = time_sync.plan(host, ["192.0.2.1"])
    assert time_sync.result(planned)["files"] == [
        "/etc/chrony.conf",
        "/etc/chrony.d/mailhost.sources",
    ]
    time_sync.carry_out(host, planned)
    after = (tmp_path / "etc/chrony.conf").read_text()
    assert after == text + "\nsourcedir /etc/chrony.d\n"
    assert len(list((tmp_path / "etc").glob("chrony.conf.*~"))) == 1
    assert not time_sync.plan(host, ["192.0.2.1"]).changed


def test_systemctl_fails(machine):
    host = machine({"chrony": OFF}, commands={"systemctl enable chrony.service": {}})
    planned = time_sync.plan(host)
    shown = time_sync.result(planned)
    assert shown["diff"][0]["before"] == "inactive, disabled\n"
    assert shown["diff"][0]["after"] == "active, enabled\n"
    with pytest.raises(
        TimeSyncError, match="systemctl start chrony.service failed: systemctl: com"
    ):
        time_sync.carry_out(host, planned)


CONDITION = (
    "systemctl show --property=ConditionResult,ConditionTimestampMonotonic "
    "systemd-timesyncd.service"
)
ENABLED = ["loaded", "inactive", "enabled"]


@pytest.mark.parametrize(
    ("condition", "container", "verbs"),
    [
        ("ConditionResult=no\nConditionTimestampMonotonic=7\n", True, []),
        # Never tried; tried, and it ended for another reason; on a real machine.
        ("ConditionResult=no\nConditionTimestampMonotonic=0\n", True, ["start"]),
        ("ConditionResult=yes\nConditionTimestampMonotonic=7\n", True, ["start"]),
        ("ConditionResult=no\nConditionTimestampMonotonic=7\n", False, ["start"]),
    ],
)
def test_in_a_container_it_is_not_started_again_and_again(machine, condition, container, verbs):
    files = {"/run/systemd/container": "lxc"} if container else {}
    commands = {
        CONDITION: {"stdout": condition},
        "systemctl start systemd-timesyncd.service": {},
    }
    host = machine({"systemd-timesyncd": ENABLED}, files, commands)
    planned = time_sync.plan(host)
    assert planned.verbs == verbs
    assert bool(planned.idle) is not bool(verbs)
    refused = container and "ConditionResult=no" in condition and "=7" in condition
    assert ("does not start in a container (lxc)" in time_sync.carry_out(host, planned)) is refused


def test_a_start_that_a_condition_forbade(machine):
    """The condition was not looked at before the first start."""
    commands = {
        CONDITION: {"stdout": "ConditionResult=no\nConditionTimestampMonotonic=0\n"},
        "systemctl start systemd-timesyncd.service": {},
    }
    host = machine({"systemd-timesyncd": ENABLED}, {"/run/systemd/container": "lxc"}, commands)
    planned = time_sync.plan(host)
    commands[CONDITION]["stdout"] = "ConditionResult=no\nConditionTimestampMonotonic=9\n"
    later = machine({"systemd-timesyncd": ENABLED}, {"/run/systemd/container": "lxc"}, commands)
    assert "does not start in a container" in time_sync.carry_out(later, planned)


TRACKING = "chronyc -n -c tracking"
ROW = "{0},192.0.2.1,2,1795244509.25,0.00002,0.000005,0.000005,0.0,4.8,1.0,0.0009,0.8,2.0,{1}\n"
KERNEL = "timedatectl show --property=NTPSynchronized"
MARK = {"/run/systemd/timesync/synchronized": ""}


@pytest.mark.parametrize(
    ("daemon", "files", "command", "answer", "expected"),
    [
        ("chrony", {}, TRACKING, {"stdout": ROW.format("C0000201", "Normal")}, True),
        ("chrony", {}, TRACKING, {"stdout": ROW.format("C0000201", "Insert second")}, True),
        ("chrony", {}, TRACKING, {"stdout": ROW.format("00000000", "Not synchronised")}, False),
        ("chrony", {}, TRACKING, {"stdout": ROW.format("7F7F0101", "Normal")}, False),
        ("chrony", {}, TRACKING, {"rc": 1, "stdout": "506 Cannot talk to daemon\n"}, None),
        ("systemd-timesyncd", MARK, KERNEL, {"stdout": "NTPSynchronized=yes\n"}, True),
        ("systemd-timesyncd", {}, KERNEL, {"stdout": "NTPSynchronized=yes\n"}, False),
        ("systemd-timesyncd", MARK, KERNEL, {"stdout": "NTPSynchronized=no\n"}, False),
        ("systemd-timesyncd", MARK, KERNEL, {"rc": 1}, None),
        (
            "ntpsec",
            {},
            "ntpq -c rv",
            {"stdout": "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\n"},
            True,
        ),
        (
            "ntp",
            {},
            "ntpq -c rv",
            {"stdout": "associd=0 status=c016 leap_alarm, sync_unspec, 1 event, restart,\n"},
            False,
        ),
        (
            "ntp",
            {},
            "ntpq -c rv",
            {"stdout": "associd=0 status=0515 leap_none, sync_local, 1 event, clock_sync,\n"},
            False,
        ),
        ("ntp", {}, "ntpq -c rv", {"rc": 1}, None),
        (
            "openntpd",
            {},
            "ntpctl -s status",
            {"stdout": "4/4 peers valid, clock synced, stratum 3\n"},
            True,
        ),
        (
            "openntpd",
            {},
            "ntpctl -s status",
            {"stdout": "0/4 peers valid, clock unsynced\n"},
            False,
        ),
        ("openntpd", {}, KERNEL, {"stdout": "NTPSynchronized=yes\n"}, True),
    ],
)
def test_synchronised(make_host, daemon, files, command, answer, expected):
    host = make_host(files, {"commands": {command: answer}})
    assert time_sync.synchronised(host, daemon) is expected


class Time:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self, host_at):
        self.now = 0.0
        self.host_at = host_at

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.host_at(self.now)


@pytest.mark.parametrize(("timeout", "found"), [(0, False), (4, False), (5, True), (60, True)])
def test_waiting(make_host, tmp_path, timeout, found):
    recorded = {"commands": {KERNEL: {"stdout": "NTPSynchronized=yes\n"}}}
    host = make_host({"/run/systemd/timesync/x": ""}, recorded)

    def arrive(now):
        if now >= 5:
            (tmp_path / "run/systemd/timesync/synchronized").touch()

    time = Time(arrive)
    assert time_sync.wait(host, "systemd-timesyncd", timeout, time.clock, time.sleep) is found
    assert time.now == min(timeout, 5)


SHOW = (
    "timedatectl show-timesync --property=SystemNTPServers --property=LinkNTPServers "
    "--property=FallbackNTPServers"
)


@pytest.mark.parametrize(
    ("daemon", "command", "stdout", "servers"),
    [
        ("systemd-timesyncd", SHOW, "SystemNTPServers=a b\nFallbackNTPServers=c\n", "a, b"),
        ("systemd-timesyncd", SHOW, "LinkNTPServers=a\nFallbackNTPServers=c\n", "a"),
        ("systemd-timesyncd", SHOW, "FallbackNTPServers=c d\n", "c, d"),
        (
            "chrony",
            "chronyc -N -c sources",
            "^,?,ntp.example.org,0,6,0,1\n^,?,b,0,6,0,1\n",
            "ntp.example.org, b",
        ),
        ("chrony", "chronyc -N -c sources", "", ""),
        (
            "ntpsec",
            "ntpq -pn",
            (
                "     remote           refid      st t when poll reach   delay   offset   jitter\n"
                "===============================================================================\n"
                " 0.debian.pool.n .POOL.          16 p    -  256    0   0.0000   0.0000   0.0001\n"
                "*192.0.2.7       192.0.2.1        2 u   10   64    1   0.5000   0.0001   0.0001\n"
                " 2001:db8::7     192.0.2.1        2 u   10   64    1   0.5000   0.0001   0.0001\n"
            ),
            "192.0.2.7, 2001:db8::7",
        ),
        ("openntpd", "", "", ""),
    ],
)
def test_who_was_asked_in_vain(make_host, daemon, command, stdout, servers):
    host = make_host(
        {},
        {
            "commands": {command: {"stdout": stdout}},
            "units": {daemon + ".service": RUNS},
        },
    )
    text = time_sync.late(host, time_sync.plan(host), 60)
    words = "asks " + servers if servers else "tells of no server that it asks"
    assert "not synchronised after 60 s; {0}.service {1}. See".format(daemon, words) in text
    # One that does not say whether it is, is no clock that is not.
    text = time_sync.late(host, time_sync.plan(host), 60, None)
    assert "60 s: {0}.service does not say".format(daemon) in text
    assert "not synchronised" not in text


def test_a_daemon_that_cannot_be_looked_at_after_its_start(make_host):
    unit = "systemd-timesyncd.service"
    host = make_host({}, {"commands": {"systemctl start " + unit: {"rc": 0}}})
    before = Unit("loaded", "inactive", "enabled")
    planned = time_sync.Plan(time_sync.TIMESYNCD, unit, before, [], [], ["start"], "")
    with pytest.raises(TimeSyncError, match="cannot be looked at"):
        time_sync.carry_out(host, planned)
