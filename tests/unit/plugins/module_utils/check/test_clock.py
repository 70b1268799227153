# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import clock, need
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))

RUNS = ["loaded", "active", "enabled"]
STOPPED = ["loaded", "inactive", "disabled"]
TIMESYNCD = {"systemd-timesyncd.service": RUNS}
CHRONY = {"chrony.service": RUNS, "chronyd.service": RUNS}
NTPSEC = {"ntpsec.service": RUNS, "ntp.service": RUNS, "ntpd.service": RUNS}
OPENNTPD = {"openntpd.service": RUNS, "ntpd.service": RUNS}
DEBIAN = {"/etc/os-release": "ID=debian\n"}
CONTAINER = {"/run/systemd/container": "lxc\n"}
SYNCHRONISED = {"/run/systemd/timesync/synchronized": ""}

KERNEL = "timedatectl show --property=NTPSynchronized"
TRACKING = "chronyc -n -c tracking"
VARIABLES = "ntpq -n -c rv"
STATUS = "ntpctl -s status"


def started(unit, seconds):
    """Return the command that asks when a unit was started, and its answer."""
    return {
        "systemctl show --property=ActiveEnterTimestampMonotonic " + unit: {
            "stdout": "ActiveEnterTimestampMonotonic={0}\n".format(seconds * 10**6)
        }
    }


def kernel(word):
    return {KERNEL: {"stdout": "NTPSynchronized={0}\n".format(word)}}


def tracking(offset="0.000012345", leap="Normal", refid="C0000201", stratum="3"):
    fields = [refid, "192.0.2.1", stratum, "1798761500.123", offset, "-0.00001", "0.00002"]
    fields += ["-1.5", "0.001", "0.02", "0.015", "0.0005", "64.5", leap]
    return {TRACKING: {"stdout": ",".join(fields) + "\n"}}


def variables(leap="00", stratum="2", offset="0.417"):
    return {
        VARIABLES: {
            "stdout": "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\n"
            'version="ntpd ntpsec-1.2.2", processor="x86_64",\n'
            "leap={0}, stratum={1}, precision=-23, rootdelay=1.5, refid=192.0.2.1,\n"
            "offset={2}, frequency=1.25\n".format(leap, stratum, offset)
        }
    }


@pytest.fixture
def one(make_host):
    """Return a function that runs a check on a small machine and returns its one finding."""

    def run(check, units=None, files=None, commands=None, links=None, demands=MAILCOW, **more):
        recorded = dict(more, commands=commands or {})
        files = dict(files or {}, **{"/etc/hostname": "mail\n"})
        if units is not None:
            recorded["units"] = units
        (found,) = check(make_host(files, recorded, links), demands)
        assert found.required
        assert bool(found.fix) == (found.status != "ok")
        return found

    return run


@pytest.mark.parametrize(
    ("units", "unit"),
    [
        (TIMESYNCD, "systemd-timesyncd.service"),
        (CHRONY, "chrony.service"),
        ({"chronyd.service": RUNS}, "chronyd.service"),
        (NTPSEC, "ntpsec.service"),
        (OPENNTPD, "openntpd.service"),
        ({"systemd-timesyncd.service": STOPPED, **CHRONY}, "chrony.service"),
        ({"systemd-timesyncd.service": ["masked", "inactive", "masked"], **CHRONY}, "chrony"),
    ],
)
def test_one_client_runs(units, unit, one):
    found = one(clock.service, units)
    assert found.status == "ok"
    assert unit in found.observed and found.observed.endswith(" runs")


def test_two_clients(one):
    found = one(clock.service, dict(TIMESYNCD, **CHRONY))
    assert found.status == "warn"
    assert found.observed == "chrony.service and systemd-timesyncd.service run at the same time"
    assert "systemctl disable --now systemd-timesyncd.service" in found.fix


def test_a_client_that_is_not_started_at_boot(one):
    found = one(clock.service, {"chronyd.service": ["loaded", "active", "disabled"]})
    assert found.status == "warn"
    assert "systemctl enable --now chronyd.service" in found.fix


def test_a_client_with_an_init_script(one):
    units = {"ntp.service": ["loaded", "active", "generated"]}
    assert one(clock.service, units).status == "warn"
    assert one(clock.service, units, {"/etc/rc3.d/S01ntp": ""}).status == "ok"


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("ID=debian\n", "apt-get install systemd-timesyncd"),
        ("ID=almalinux\n", "dnf install chrony"),
        ("ID=alpine\n", "apk add chrony"),
        ("ID=other\n", "Install one: systemd-timesyncd or chrony"),
    ],
)
def test_no_client(release, words, one):
    found = one(clock.service, {}, {"/etc/os-release": release})
    assert (found.status, found.observed) == ("fail", "none installed")
    assert words in found.fix


@pytest.mark.parametrize(
    ("state", "word", "fix"),
    [
        (STOPPED, "inactive", "Start it: systemctl enable --now systemd-timesyncd.service"),
        (["loaded", "failed", "enabled"], "failed", "Start it: systemctl enable --now"),
        (["masked", "inactive", "masked"], "masked", "systemctl unmask systemd-timesyncd.service"),
    ],
)
def test_a_client_that_does_not_run(state, word, fix, one):
    found = one(clock.service, {"systemd-timesyncd.service": state})
    assert (found.status, found.observed) == ("fail", "systemd-timesyncd.service is " + word)
    assert fix in found.fix


def test_a_stopped_client_is_named_before_a_masked_one(one):
    masked = ["masked", "inactive", "masked"]
    found = one(clock.service, {"chrony.service": masked, "systemd-timesyncd.service": STOPPED})
    assert found.observed == "systemd-timesyncd.service is inactive"


@pytest.mark.parametrize(
    ("capabilities", "status"), [("000001ffffffffff", "fail"), ("000001fffdffffff", "skip")]
)
def test_a_container_that_may_set_the_clock_needs_a_client(capabilities, status, one):
    files = dict(CONTAINER, **{"/proc/1/status": "CapEff:\t{0}\n".format(capabilities)})
    assert one(clock.service, files=files, units={}).status == status


def test_a_container_needs_no_client(one):
    units = {"systemd-timesyncd.service": ["loaded", "inactive", "enabled"]}
    found = one(clock.service, units, CONTAINER)
    assert (found.status, "lxc" in found.observed) == ("skip", True)


def test_openrc(one):
    files = {
        "/run/openrc/softlevel": "default\n",
        "/etc/init.d/chronyd": "",
        "/etc/runlevels/default/chronyd": "",
    }
    found = one(clock.service, None, files)
    assert found.status == "fail"
    assert "rc-update add chronyd default; rc-service chronyd start" in found.fix
    files["/run/openrc/started/chronyd"] = ""
    assert one(clock.service, None, files).status == "ok"


def test_a_host_that_cannot_be_looked_at(make_host):
    for check in (clock.rtc, clock.timezone):
        with pytest.raises(HostError, match="/etc"):
            check(make_host(), MAILCOW)


def test_no_service_manager(make_host):
    for check in (clock.service, clock.synchronised, clock.offset, clock.configuration):
        with pytest.raises(HostError):
            check(make_host(), MAILCOW)


@pytest.mark.parametrize(
    ("units", "files", "commands", "words"),
    [
        (TIMESYNCD, SYNCHRONISED, kernel("yes"), "by systemd-timesyncd"),
        # Without D-Bus the program does not answer; the file is the client's own word.
        (TIMESYNCD, SYNCHRONISED, {}, "by systemd-timesyncd"),
        (CHRONY, {}, tracking(), "by chrony, from 192.0.2.1, stratum 3"),
        (CHRONY, {}, tracking(leap="Insert second"), "by chrony"),
        (NTPSEC, {}, variables(), "by ntpd, from 192.0.2.1, stratum 2"),
        (OPENNTPD, {}, {STATUS: {"stdout": "1/1 peers valid, clock synced, stratum 3\n"}}, "by Op"),
    ],
)
def test_synchronised(units, files, commands, words, one):
    found = one(clock.synchronised, units, files, commands)
    assert found.status == "ok"
    assert words in found.observed


UNSYNCHRONISED = [
    # The kernel's word may be from before the client was started.
    (TIMESYNCD, {}, kernel("yes")),
    (TIMESYNCD, SYNCHRONISED, kernel("no")),
    (CHRONY, {}, tracking(leap="Not synchronised", refid="00000000", stratum="0")),
    (CHRONY, {}, tracking(refid="7F7F0101", stratum="10")),
    (NTPSEC, {}, variables(leap="11", stratum="16")),
    (NTPSEC, {}, variables(stratum="16")),
    (OPENNTPD, {}, {STATUS: {"stdout": "0/1 peers valid, clock unsynced\n"}}),
]


@pytest.mark.parametrize(("units", "files", "commands"), UNSYNCHRONISED)
def test_not_synchronised(units, files, commands, one):
    unit = next(iter(units))
    old = dict(files, **{"/proc/uptime": "5000.00 4000.00\n"})
    found = one(clock.synchronised, units, old, dict(commands, **started(unit, 10)))
    assert found.status == "fail"
    assert "UDP port 123" in found.fix
    found = one(clock.synchronised, units, old, dict(commands, **started(unit, 4940)))
    assert (found.status, found.observed) == (
        "warn",
        "not yet: {0} has run for 60 s".format(unit),
    )


def test_a_host_that_was_just_booted(one):
    found = one(clock.synchronised, TIMESYNCD, {"/proc/uptime": "20.00 30.00\n"})
    assert (found.status, "20 s" in found.observed) == ("warn", True)


def test_a_start_that_is_not_known_is_no_excuse(one):
    assert one(clock.synchronised, TIMESYNCD).status == "fail"
    uptime = {"/proc/uptime": "5000.00 4000.00\n"}
    assert one(clock.synchronised, TIMESYNCD, uptime).status == "fail"
    # Counted by another clock than the container's.
    later = started("systemd-timesyncd.service", 9000)
    assert one(clock.synchronised, TIMESYNCD, uptime, later).status == "fail"


@pytest.mark.parametrize(
    ("units", "commands", "words"),
    [
        (CHRONY, {}, "chrony does not say: chronyc: command not found"),
        (CHRONY, {TRACKING: {"rc": 1, "stdout": "506 Cannot talk to daemon\n"}}, "506"),
        (CHRONY, {TRACKING: {"stdout": "a,b\n"}}, "chrony does not say"),
        (NTPSEC, {VARIABLES: {"stdout": "", "stderr": "ntpq: refused\n"}}, "ntpq: refused"),
        (OPENNTPD, {}, "OpenNTPD does not say"),
    ],
)
def test_a_client_that_does_not_answer(units, commands, words, one):
    found = one(clock.synchronised, units, {}, commands)
    assert found.status == "unknown"
    assert words in found.observed
    assert one(clock.offset, units, {}, commands).status == "skip"


def test_nothing_to_ask(one):
    assert one(clock.synchronised, {}).status == "skip"
    assert one(clock.offset, {}).status == "skip"


@pytest.mark.parametrize(
    ("commands", "status"), [(kernel("yes"), "ok"), (kernel("no"), "warn"), ({}, "skip")]
)
def test_the_clock_around_a_container(commands, status, one):
    found = one(clock.synchronised, {}, CONTAINER, commands)
    assert found.status == status
    assert "around" in found.observed


@pytest.mark.parametrize(
    ("units", "commands", "status", "observed"),
    [
        (CHRONY, tracking(offset="-0.000412"), "ok", "0.000 s"),
        (CHRONY, tracking(offset="-1.5"), "warn", "1.500 s"),
        (CHRONY, tracking(offset="301"), "fail", "301.000 s"),
        (NTPSEC, variables(offset="-999.0"), "ok", "0.999 s"),
        (NTPSEC, variables(offset="1001.0"), "warn", "1.001 s"),
        (NTPSEC, variables(offset="?"), "skip", "ntpd does not tell it"),
        (CHRONY, tracking(leap="Not synchronised"), "skip", "nothing to compare with"),
    ],
)
def test_offset(units, commands, status, observed, one):
    found = one(clock.offset, units, {}, commands)
    assert found.status == status
    assert observed in found.observed


def test_offset_that_is_not_told(one):
    found = one(clock.offset, TIMESYNCD, SYNCHRONISED, kernel("yes"))
    assert (found.status, found.observed) == ("skip", "systemd-timesyncd does not tell it")


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({}, "ok"),
        ({"/etc/adjtime": "0.0 0 0.0\n0\nUTC\n"}, "ok"),
        ({"/etc/adjtime": "0.0 0 0.0\n0\n"}, "ok"),
        ({"/etc/adjtime": "0.0 0 0.0\n0\nLOCAL\n"}, "warn"),
        (dict(CONTAINER, **{"/etc/adjtime": "0.0 0 0.0\n0\nLOCAL\n"}), "skip"),
        ({"/etc/adjtime/x": ""}, "unknown"),
    ],
)
def test_hardware_clock(files, status, one):
    assert one(clock.rtc, {}, files).status == status


def test_hardware_clock_fix(one):
    files = {"/etc/adjtime": "0.0 0 0.0\n0\nLOCAL\n"}
    assert "hwclock -w -u" in one(clock.rtc, {}, files).fix
    assert "timedatectl set-local-rtc 0" in one(clock.rtc, {}, files, programs=["timedatectl"]).fix


BERLIN = "/usr/share/zoneinfo/Europe/Berlin"
ZONES = {
    BERLIN: b"TZif-berlin",
    "/usr/share/zoneinfo/Etc/UTC": b"TZif-utc",
    "/usr/share/zoneinfo/UTC": b"TZif-utc",
    "/usr/share/zoneinfo/Arctic/Longyearbyen": b"TZif-berlin",
}


@pytest.mark.parametrize(
    ("files", "target", "wanted", "status", "observed"),
    [
        ({}, None, "", "ok", "UTC"),
        ({}, None, "Etc/UTC", "ok", "UTC"),
        ({}, None, "Europe/Berlin", "warn", "UTC"),
        ({}, "/usr/share/zoneinfo/Etc/UTC", "UTC", "ok", "Etc/UTC"),
        (ZONES, BERLIN, "", "ok", "Europe/Berlin"),
        (ZONES, "../usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin", "ok", "Europe/Berlin"),
        (ZONES, BERLIN, "Arctic/Longyearbyen", "ok", "Europe/Berlin"),
        (ZONES, BERLIN, "Europe/Vienna", "warn", "Europe/Berlin"),
        (ZONES, "/usr/share/zoneinfo/Europe/Berlni", "", "warn", "is not there"),
        (dict(ZONES, **{"/etc/timezone": "Europe/Berlin\n"}), BERLIN, "", "ok", "Europe/Berlin"),
        (
            dict(ZONES, **{"/etc/timezone": "Etc/UTC\n"}),
            BERLIN,
            "",
            "warn",
            "Europe/Berlin in /etc/localtime, Etc/UTC in /etc/timezone",
        ),
        ({"/etc/localtime": b"TZif-berlin"}, None, "", "ok", "is a copy"),
        ({"/etc/localtime": b"TZif-berlin"}, None, "Etc/UTC", "warn", "is a copy"),
        (
            {"/etc/localtime": b"TZif-berlin", "/etc/timezone": "Europe/Berlin\n"},
            None,
            "Europe/Berlin",
            "ok",
            "Europe/Berlin",
        ),
    ],
)
def test_timezone(files, target, wanted, status, observed, one):
    demands = MAILCOW._replace(timezone=wanted)
    links = {"/etc/localtime": target} if target else {}
    found = one(clock.timezone, {}, files, links=links, demands=demands, programs=["timedatectl"])
    assert found.status == status
    assert observed in found.observed
    if status == "warn":
        assert "timedatectl set-timezone " + wanted in found.fix


def test_timezone_without_timedatectl(one):
    found = one(clock.timezone, {}, demands=MAILCOW._replace(timezone="Europe/Berlin"))
    assert "ln -sf /usr/share/zoneinfo/Europe/Berlin /etc/localtime" in found.fix


CONF = "/etc/systemd/timesyncd.conf"
SERVERS = "NTP=0.pool.ntp.org 1.pool.ntp.org\n"


@pytest.mark.parametrize(
    ("files", "observed"),
    [
        ({CONF: "# comment\n[Zeit]\n" + SERVERS}, CONF + ":3: NTP in [Zeit]"),
        ({CONF: SERVERS + "[Time]\n"}, CONF + ":1: NTP in no section"),
        ({CONF: "[Time]\nNTPServers=ntp.example.org\n"}, CONF + ":2: NTPServers in [Time]"),
        ({CONF + ".d/a.conf": "[time]\n" + SERVERS}, CONF + ".d/a.conf:2: NTP in [time]"),
        (
            {"/usr/lib/systemd/timesyncd.conf.d/a.conf": "[Zeit]\n" + SERVERS},
            "/usr/lib/systemd/timesyncd.conf.d/a.conf:2: NTP",
        ),
        # Set elsewhere is another key.
        ({CONF: "[Zeit]\nNTP=a\n", CONF + ".d/a.conf": "[Time]\nFallbackNTP=b\n"}, ":2: NTP in"),
    ],
)
def test_ignored_configuration(files, observed, one):
    found = one(clock.configuration, TIMESYNCD, files)
    assert found.status == "warn"
    assert observed in found.observed
    assert "[Time]" in found.fix and "restart systemd-timesyncd" in found.fix


@pytest.mark.parametrize(
    "files",
    [
        {},
        {CONF: "[Time]\n#NTP=\n; [Zeit]\n" + SERVERS + "FallbackNTP=\n"},
        {CONF: "[Time]\nNTP=a \\\n# not the end\n  b=c\n"},
        {CONF: "[X-Zeit]\n" + SERVERS},
        # The weaker of two drop-ins with one name is not read.
        {
            CONF + ".d/a.conf": "[Time]\n" + SERVERS,
            "/usr/lib/systemd/timesyncd.conf.d/a.conf": "[Zeit]\nFallbackNTP=b\n",
        },
        {CONF: "[Time]\n", "/usr/lib/systemd/timesyncd.conf": "[Zeit]\n" + SERVERS},
    ],
)
def test_good_configuration(files, one):
    found = one(clock.configuration, TIMESYNCD, files)
    assert (found.status, found.observed) == ("ok", "no ignored line")


def test_ignored_but_set_elsewhere(one):
    files = {CONF: "[Zeit]\n" + SERVERS, CONF + ".d/60.conf": "[Time]\n" + SERVERS}
    found = one(clock.configuration, TIMESYNCD, files)
    assert found.status == "ok"
    assert "set elsewhere: {0}:2: NTP in [Zeit]".format(CONF) in found.observed


def test_configuration_of_another_client(one):
    assert one(clock.configuration, CHRONY, {CONF: "[Zeit]\n" + SERVERS}).status == "skip"
    assert one(clock.configuration, {}).status == "skip"
