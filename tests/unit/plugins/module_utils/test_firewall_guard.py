# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the firewall in force: units, other firewalls, and the program that goes back."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import firewall_guard as guard
from ansible_collections.postmaster.mailhost.plugins.module_utils.firewall_guard import GuardError

ENABLED = {
    guard.SERVICE: ["loaded", "active", "enabled"],
    guard.TIMER: ["loaded", "active", "enabled"],
}
FIREWALLD = {"firewalld.service": ["loaded", "active", "enabled"]}
UFW = {"/etc/ufw/ufw.conf": "# on\nENABLED=yes\nLOGLEVEL=low\n", "/usr/sbin/ufw": "#!/bin/sh\n"}


def installed(interval=15):
    return {path: text for path, (text, _mode) in guard.texts(interval).items()}


def made(make_host, files=None, units=None, **recorded):
    host = make_host(files or {}, {"units": units or {}, **recorded})
    for path, (_text, mode) in guard.texts(15).items():
        if host.exists(path):
            os.chmod(host.root + path, mode)
    return host


def test_a_bare_host_gets_program_and_units(make_host):
    planned = guard.plan(made(make_host))
    assert planned.changed and planned.conflicts == ()
    assert [item.path for item in planned.files if item.changed] == sorted(guard.texts(15))
    assert planned.last == (
        ("systemctl", "daemon-reload"),
        ("systemctl", "reenable", guard.SERVICE),
        ("systemctl", "reenable", guard.TIMER),
        ("systemctl", "restart", guard.TIMER),
    )
    shown = guard.result(planned)
    assert shown["changed"] and "mailhost-firewall.service: absent\n" in shown["diff"][-1]["before"]


def test_nothing_to_do(make_host):
    planned = guard.plan(made(make_host, installed(), ENABLED))
    assert (planned.changed, planned.last) == (False, ())
    assert guard.result(planned) == {"changed": False, "conflicts": [], "diff": []}


@pytest.mark.parametrize(
    ("units", "last"),
    [
        (
            {guard.SERVICE: ["loaded", "active", "disabled"]},
            (("systemctl", "reenable", guard.SERVICE),),
        ),
        (
            {guard.TIMER: ["loaded", "inactive", "enabled"]},
            (("systemctl", "restart", guard.TIMER),),
        ),
        # Loaded by hand or not at all is no difference: it is for the boot.
        ({guard.SERVICE: ["loaded", "inactive", "enabled"]}, ()),
    ],
)
def test_units_that_drifted(make_host, units, last):
    planned = guard.plan(made(make_host, installed(), {**ENABLED, **units}))
    assert planned.last == last
    assert planned.changed == bool(last)


def test_another_interval_starts_the_timer_anew(make_host):
    planned = guard.plan(made(make_host, installed(), ENABLED), interval=60)
    assert [item.path for item in planned.files if item.changed] == [
        "/etc/systemd/system/" + guard.TIMER
    ]
    assert planned.last == (("systemctl", "daemon-reload"), ("systemctl", "restart", guard.TIMER))


@pytest.mark.parametrize("interval", [4, 0, -1, 3601])
def test_an_interval_out_of_range(interval):
    with pytest.raises(GuardError, match="interval is {0}; allowed: 5 to 3600".format(interval)):
        guard.refuse_number("interval", interval, guard.INTERVALS)


@pytest.mark.parametrize("seconds", [29, 0, 3601])
def test_seconds_until_the_way_back_out_of_range(seconds):
    with pytest.raises(GuardError, match="rollback_seconds is {0}; allowed: 30".format(seconds)):
        guard.refuse_number("rollback_seconds", seconds, guard.ROLLBACKS)


@pytest.mark.parametrize(
    ("files", "units", "expected"),
    [
        ({}, {}, []),
        ({}, FIREWALLD, ["firewalld"]),
        ({}, {"firewalld.service": ["loaded", "inactive", "enabled"]}, ["firewalld"]),
        ({}, {"firewalld.service": ["masked", "inactive", "masked"]}, []),
        ({}, {"firewalld.service": ["loaded", "inactive", "disabled"]}, []),
        (UFW, {}, ["ufw"]),
        ({**UFW, "/etc/ufw/ufw.conf": "ENABLED=no\n"}, {}, []),
        ({**UFW, "/etc/ufw/ufw.conf": "#ENABLED=yes\n"}, {}, []),
        # Removed, with its configuration left behind.
        ({"/etc/ufw/ufw.conf": "ENABLED=yes\n"}, {}, []),
        (UFW, FIREWALLD, ["firewalld", "ufw"]),
    ],
)
def test_other_firewalls(make_host, files, units, expected):
    host = made(make_host, files, units)
    for path in files:
        os.chmod(host.root + path, 0o755)
    assert guard.conflicts(host) == expected
    if expected:
        with pytest.raises(GuardError, match="in force: " + " and ".join(expected)):
            guard.plan(host)
    stay = guard.plan(host, "coexist")
    assert (list(stay.conflicts), stay.first) == (expected, ())
    off = guard.plan(host, "disable")
    commands = {
        "firewalld": ("systemctl", "disable", "--now", "firewalld.service"),
        "ufw": ("ufw", "disable"),
    }
    assert off.first == tuple(commands[name] for name in expected)


def test_a_failing_program_is_named(make_host):
    host = made(make_host, installed(), {**ENABLED, **FIREWALLD})
    planned = guard.plan(host, "disable")
    with pytest.raises(GuardError, match="systemctl disable --now firewalld.service failed: syst"):
        guard.carry_out(host, planned)


def test_what_firewalld_took_along_comes_back(make_host):
    units = {
        **ENABLED,
        **FIREWALLD,
        "docker.service": ["loaded", "active", "enabled"],
        "fail2ban.service": ["loaded", "active", "enabled"],
    }
    commands = {
        "systemctl disable --now firewalld.service": {},
        "iptables-save -t nat": {"stdout": "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"},
    }
    host = made(make_host, installed(), units, commands=commands)
    # The engine's chains are gone: it has to make them again.
    with pytest.raises(GuardError, match="systemctl restart docker.service failed"):
        guard.carry_out(host, guard.plan(host, "disable"))
    commands["iptables-save -t nat"]["stdout"] = "*nat\n:DOCKER - [0:0]\nCOMMIT\n"
    host = made(make_host, installed(), units, commands=commands)
    guard.carry_out(host, guard.plan(host, "disable"))


def test_removal(make_host):
    host = made(make_host, installed(), ENABLED)
    planned = guard.plan_removal(host)
    assert planned.remove == tuple(sorted(guard.texts(15)))
    assert planned.first == (
        ("systemctl", "disable", "--now", guard.TIMER),
        ("systemctl", "disable", "--now", guard.SERVICE),
    )


def test_removal_of_nothing(make_host):
    assert not guard.plan_removal(made(make_host)).changed


def waiting(make_host, timer, **files):
    commands = {
        "systemctl is-active mailhost-firewall-rollback.timer": {"stdout": timer + "\n"},
        guard.PROGRAM + " arm 60": {},
        guard.PROGRAM + " confirm": {},
    }
    names = {"{0}/{1}".format(guard.KEPT, name.replace("_", "-")): "" for name in files}
    return made(make_host, names, ENABLED, commands=commands)


def test_one_change_waits_at_a_time(make_host):
    with pytest.raises(GuardError, match="waits for being confirmed"):
        guard.arm(waiting(make_host, "active", pending=True), 60)
    with pytest.raises(GuardError, match="waits for being confirmed"):
        guard.plan_removal(waiting(make_host, "active", pending=True))
    guard.arm(waiting(make_host, "inactive"), 60)
    # What a reboot left behind.
    guard.arm(waiting(make_host, "inactive", pending=True), 60)


def test_a_change_that_was_taken_back_is_not_confirmed(make_host):
    assert guard.confirm(waiting(make_host, "inactive")) is False
    assert guard.confirm(waiting(make_host, "active", pending=True)) is True
    with pytest.raises(GuardError, match="taken back"):
        guard.confirm(waiting(make_host, "inactive", rolled_back=True))


def test_without_systemd(make_host):
    with pytest.raises(GuardError, match="cannot be looked at"):
        guard.plan(make_host())


# -- the program, with stand-ins for what it calls ------------------------------------------------


class Machine:
    """The program in a directory of its own, where ``load`` only notes which rules it loaded."""

    def __init__(self, place):
        self.place = place
        self.bin = place / "bin"
        self.bin.mkdir()
        text = guard.texts(15)[guard.PROGRAM][0]
        for path in (guard.RULES, guard.KEPT, guard.BANS_PROGRAM, "/run/mailhost-firewall"):
            text = text.replace("={0}\n".format(path), "={0}{1}\n".format(place, path))
        text = text.replace("PATH=/usr/local/sbin", "PATH={0}:/usr/local/sbin".format(self.bin))
        self.program = place / "mailhost-firewall"
        self.program.write_text(text)
        self.rules = place / guard.RULES[1:]
        self.kept = place / guard.KEPT[1:]
        self.kernel = place / "kernel"
        self.kernel.write_text("none\n")
        self.command("systemctl", 'echo "$@" >>{0}/calls\n[ "$2" != is-active ] || test -e {0}/$3')
        self.command("systemd-run", "touch {0}/mailhost-firewall-rollback.timer")
        self.command("nft", "cat {0}/kernel")
        self.command("iptables-save", "cat {0}/bans 2>/dev/null")
        self.command("ip6tables-save", "true")
        self.command("iptables", "true")
        self.command("ip6tables", "true")

    def command(self, name, text):
        self.put(name, text.format(self.place))

    def put(self, name, text):
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(0o755)

    def write(self, rules):
        self.rules.mkdir(parents=True, exist_ok=True)
        (self.rules / "nftables.rules").write_text(rules)
        (self.rules / "load").write_text(
            "cat {0}/nftables.rules >{1}\n".format(self.rules, self.kernel)
        )
        (self.rules / "unload").write_text("echo none >{0}\n".format(self.kernel))

    def call(self, *words):
        done = subprocess.run(
            ["sh", str(self.program), *words], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        return done

    @property
    def calls(self):
        path = self.place / "calls"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path):
    if not shutil.which("flock"):
        pytest.skip("no flock")
    found = Machine(tmp_path)
    found.write("one\n")
    assert found.call("load").returncode == 0
    assert found.kernel.read_text() == "one\n"
    return found


def test_rules_that_are_in_force_are_not_loaded_again(machine):
    machine.write("one\n")
    (machine.rules / "load").write_text((machine.rules / "load").read_text())
    assert machine.call("check").stdout == ""


@pytest.mark.parametrize("found", ["none\n", "other\n", "one\nand more\n"])
def test_rules_that_somebody_changed_are_loaded_again(machine, found):
    (machine.place / "fail2ban.service").touch()
    machine.kernel.write_text(found)
    assert "loading them again" in machine.call("check").stdout
    assert machine.kernel.read_text() == "one\n"
    assert "restart fail2ban.service" in machine.calls
    assert machine.call("check").stdout == ""


def test_chains_of_fail2ban_without_a_jump(machine):
    (machine.place / "fail2ban.service").touch()
    bans = machine.place / "bans"
    bans.write_text(":f2b-mail - [0:0]\n-A DOCKER-USER -p tcp -j f2b-mail\n-A f2b-mail -j RETURN\n")
    assert machine.call("check").stdout == ""
    bans.write_text(":f2b-mail - [0:0]\n-A f2b-mail -j RETURN\n")
    assert "fail2ban is restarted" in machine.call("check").stdout
    # One that it left behind itself does not have it restarted for ever.
    assert machine.call("check").stdout == ""


def test_an_engine_that_lost_its_way_makes_a_network_unless_it_is_just_starting(machine):
    machine.command("docker", 'echo "docker $*" >>{0}/calls')
    machine.command("iptables-save", "cat {0}/saved")
    saved = machine.place / "saved"
    saved.write_text(":DOCKER - [0:0]\n")
    (machine.rules / "nftables.rules").unlink()
    (machine.rules / "load").write_text("iptables-restore --noflush </dev/null\n")
    machine.command("iptables-restore", "true")
    assert machine.call("load").returncode == 0
    assert machine.call("check").stdout == "" and "docker network" not in machine.calls
    (machine.place / "docker.service").touch()
    assert "does not ask DOCKER-USER" in machine.call("check").stdout
    assert "docker network create mailhost-firewall\ndocker network rm" in machine.calls
    saved.write_text(":DOCKER - [0:0]\n-A FORWARD -j DOCKER-USER\n")
    assert machine.call("check").stdout == ""


def test_the_program_of_fail2bans_role_looks_after_bans_itself(machine):
    (machine.place / "fail2ban.service").touch()
    program = machine.place / guard.BANS_PROGRAM[1:]
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho bans: $*\n")
    # One that cannot be run is none.
    machine.kernel.write_text("none\n")
    assert "fail2ban is restarted" in machine.call("check").stdout
    program.chmod(0o755)
    machine.kernel.write_text("none\n")
    shown = machine.call("check").stdout
    assert "bans: check\n" in shown and "fail2ban is restarted" not in shown
    # It has a timer of its own for what is lost elsewhere.
    (machine.place / "bans").write_text(":f2b-mail - [0:0]\n-A f2b-mail -j RETURN\n")
    assert machine.call("check").stdout == ""


def test_a_change_that_is_confirmed_stays(machine):
    assert machine.call("arm", "60").returncode == 0
    machine.kernel.write_text("two\n")
    machine.write("two\n")
    # Nobody interferes meanwhile.
    assert machine.call("check").stdout == ""
    assert machine.call("confirm").returncode == 0
    assert "stop mailhost-firewall-rollback.timer" in machine.calls
    machine.call("undo")
    assert machine.kernel.read_text() == "two\n"
    assert machine.call("check").stdout == ""
    assert not machine.kept.exists()


def test_a_change_that_is_not_confirmed_is_taken_back(machine):
    machine.call("arm", "60")
    machine.write("two\n")
    machine.kernel.write_text("two\n")
    (machine.rules / "ipset.rules").write_text("new\n")
    assert machine.call("undo").returncode == 0
    assert machine.kernel.read_text() == "one\n"
    assert sorted(os.listdir(str(machine.rules))) == ["load", "nftables.rules", "unload"]
    assert os.listdir(str(machine.kept)) == ["rolled-back"]
    # Too late.
    assert machine.call("confirm").returncode != 0
    assert (machine.kept / "rolled-back").exists()


def test_the_first_rules_of_all_are_taken_away(tmp_path):
    machine = Machine(tmp_path)
    machine.call("arm", "60")
    machine.write("two\n")
    machine.kernel.write_text("two\n")
    assert machine.call("undo").returncode == 0
    assert machine.kernel.read_text() == "none\n"
    assert not machine.rules.exists()


def test_a_boot_takes_back_what_nobody_confirmed(machine):
    machine.call("arm", "60")
    machine.write("two\n")
    # The engine is restarted while the change waits: the new rules stay.
    machine.call("load")
    assert machine.kernel.read_text() == "two\n"
    (machine.place / "mailhost-firewall-rollback.timer").unlink()
    machine.call("load")
    assert machine.kernel.read_text() == "one\n"


def test_no_timer_no_change(machine):
    machine.put("systemd-run", "exit 1")
    assert machine.call("arm", "60").returncode == 1
    assert not machine.kept.exists()


def test_usage(machine):
    done = subprocess.run(["sh", str(machine.program), "x"], capture_output=True, check=False)
    assert done.returncode == 2 and b"usage" in done.stderr
