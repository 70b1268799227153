# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 on aliases: what is rewritten, byte for byte, and how a change is taken back."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import cloud_init
from ansible_collections.postmaster.mailhost.plugins.module_utils.cloud_init import CloudInitError

MAIN = "/etc/network/interfaces"
FILE = "/etc/network/interfaces.d/50-cloud-init.cfg"
SOURCE = "source /etc/network/interfaces.d/*\n"

OLD = """\
# This file is generated from information provided by
# the datasource.
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
    dns-nameservers 192.0.2.53

auto eth0:0
iface eth0:0 inet6 static
\taddress 2001:db8::1/64
    gateway fe80::1  \t
    post-up ip -6 route add default via fe80::1 dev eth0:0 || true"""

NEW = """\
# This file is generated from information provided by
# the datasource.
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
    dns-nameservers 192.0.2.53

iface eth0 inet6 static
\taddress 2001:db8::1/64
    gateway fe80::1  \t
    post-up ip -6 route add default via fe80::1 dev eth0:0 || true"""


@pytest.mark.parametrize(
    ("before", "after", "aliases"),
    [
        (OLD, NEW, ["eth0:0"]),
        (NEW, NEW, []),
        # Another name; and the interface is not brought up by anything else.
        (
            "auto ens3:0\niface  ens3:0\tinet6 auto\n",
            "auto ens3\niface  ens3\tinet6 auto\n",
            ["ens3:0"],
        ),
        # Several in one line.
        (
            "auto lo eth0 eth0:0\niface eth0:0 inet6 static\n",
            "auto lo eth0\niface eth0 inet6 static\n",
            ["eth0:0"],
        ),
        (
            "auto  eth0:0\teth1\niface eth0:0 inet6 static\niface eth1 inet dhcp\n",
            "auto  eth0\teth1\niface eth0 inet6 static\niface eth1 inet dhcp\n",
            ["eth0:0"],
        ),
        # Two aliases of one interface: it comes up once.
        (
            "auto eth0:0\niface eth0:0 inet6 static\nauto eth0:1\niface eth0:1 inet6 static\n",
            "auto eth0\niface eth0 inet6 static\niface eth0 inet6 static\n",
            ["eth0:0", "eth0:1"],
        ),
        # Brought up when it appears.
        (
            "allow-hotplug eth0\nallow-hotplug eth0:0\niface eth0:0 inet6 static\n",
            "allow-hotplug eth0\niface eth0 inet6 static\n",
            ["eth0:0"],
        ),
        (
            "no-auto-down eth0:0\nauto eth0\niface eth0:0 inet6 auto\n",
            "auto eth0\niface eth0 inet6 auto\n",
            ["eth0:0"],
        ),
        # IPv4 on an alias is as it should be.
        ("auto eth0:0\niface eth0:0 inet static\n", "auto eth0:0\niface eth0:0 inet static\n", []),
        # Both on one: the IPv4 stays.
        (
            "auto eth0\nauto eth0:0\niface eth0:0 inet static\niface eth0:0 inet6 static\n",
            "auto eth0\nauto eth0:0\niface eth0:0 inet static\niface eth0 inet6 static\n",
            ["eth0:0"],
        ),
        (
            "auto eth0:0\niface eth0:0 inet static\niface eth0:0 inet6 static\n",
            "auto eth0 eth0:0\niface eth0:0 inet static\niface eth0 inet6 static\n",
            ["eth0:0"],
        ),
        # A line that goes on, a comment, Windows' ends of lines, another alias' beginning.
        (
            "auto eth0 \\\n  eth0:0\niface eth0:0 \\\n  inet6 static\n",
            "auto eth0\niface eth0 \\\n  inet6 static\n",
            ["eth0:0"],
        ),
        (
            "# auto eth0:0\n#iface eth0:0 inet6 static\n",
            "# auto eth0:0\n#iface eth0:0 inet6 static\n",
            [],
        ),
        (
            "auto eth0:0\r\niface eth0:0 inet6 auto\r\n",
            "auto eth0\r\niface eth0 inet6 auto\r\n",
            ["eth0:0"],
        ),
        (
            "auto eth0 eth0:00 eth0:0\niface eth0:0 inet6 auto\n",
            "auto eth0 eth0:00\niface eth0 inet6 auto\n",
            ["eth0:0"],
        ),
        ("", "", []),
    ],
)
def test_rewrite(before, after, aliases):
    edited, found = cloud_init.rewrite({FILE: before})
    assert (edited[FILE], found) == (after, aliases)
    again, none = cloud_init.rewrite(edited)
    assert (again, none) == (edited, [])


def test_whether_an_interface_comes_up_is_said_once_in_all_files():
    edited, _aliases = cloud_init.rewrite(
        {MAIN: "auto eth0:0\n", FILE: "iface eth0:0 inet6 static\nauto eth0\n"}
    )
    assert edited == {MAIN: "", FILE: "iface eth0 inet6 static\nauto eth0\n"}


@pytest.fixture
def machine(make_host):
    """Return a function: files, commands and units -> a machine with ifupdown."""

    def machine(files=None, commands=None, units=None, programs=("ifup", "ifdown")):
        content = {MAIN: SOURCE, FILE: OLD.encode() + b" # \xff\n"}
        content.update(files or {})
        recorded = {"programs": list(programs), "commands": commands or {}, "units": units or {}}
        return make_host({k: v for k, v in content.items() if v is not None}, recorded)

    return machine


@pytest.mark.parametrize(
    ("files", "programs", "manager"),
    [
        ({}, ["ifup"], "ifupdown"),
        ({"/etc/netplan/50-cloud-init.yaml": "network:\n"}, ["ifup"], "netplan"),
        ({MAIN: None, "/etc/systemd/network/10-x.network": ""}, [], "systemd-networkd"),
        ({"/etc/NetworkManager/system-connections/x": ""}, [], "NetworkManager"),
        ({}, [], "unknown"),
    ],
)
def test_manager(machine, files, programs, manager):
    planned = cloud_init.plan(machine(files, programs=programs))
    assert planned.manager == manager
    assert planned.changed is (manager == "ifupdown")


def test_files_that_ifupdown_reads(make_host):
    host = make_host(
        {
            MAIN: "source interfaces.d/*.cfg\n# source /x/*\nsource-directory /etc/network/more\n",
            FILE: "",
            "/etc/network/interfaces.d/readme": "",
            "/x/y": "",
            "/etc/network/more/eth1": "",
            "/etc/network/more/eth1.dpkg-old": "",
            "/etc/network/more/folder/z": "",
        }
    )
    assert cloud_init.files(host) == [MAIN, FILE, "/etc/network/more/eth1"]


def test_plan_keeps_every_other_byte(machine):
    planned = cloud_init.plan(machine())
    (change,) = planned.changes
    assert change.after == NEW.encode() + b" # \xff\n"
    assert (planned.aliases, planned.interfaces) == (["eth0:0"], ["eth0"])
    assert planned.disable is None  # there is no cloud-init
    assert cloud_init.result(planned)["changed"] and not planned.pending


@pytest.mark.parametrize(
    ("files", "disables"),
    [
        ({"/etc/cloud/cloud.cfg": "users:\n - default\n"}, True),
        ({"/etc/cloud/cloud.cfg": "# network: {config: disabled}\n"}, True),
        ({"/etc/cloud/cloud.cfg": "network: {config: enabled}\n"}, True),
        ({"/etc/cloud/cloud.cfg": "system_info:\n  network:\n    renderers: [eni]\n"}, True),
        ({"/etc/cloud/cloud.cfg.d/99-x.cfg": "network: {config: disabled}\n"}, False),
        ({"/etc/cloud/cloud.cfg.d/99-x.cfg": 'network: { "config" : "disabled" } # x\n'}, False),
        ({"/etc/cloud/cloud.cfg.d/99-x.cfg": "a: 1\nnetwork:\n  config: disabled\n"}, False),
        ({"/etc/cloud/cloud.cfg": "", "/etc/cloud/cloud-init.disabled": ""}, False),
    ],
)
def test_cloud_init_is_kept_from_doing_it_again(machine, files, disables):
    planned = cloud_init.plan(machine(files))
    assert (planned.disable is not None) is disables


def test_that_stays_so_on_a_host_where_it_was_done_and_nowhere_else(machine):
    files = {FILE: NEW, "/etc/cloud/cloud.cfg": ""}
    assert not cloud_init.plan(machine(files)).changed
    files[cloud_init.BACKUPS + "/old"] = OLD
    planned = cloud_init.plan(machine(files))
    assert planned.changed and planned.changes == [] and planned.disable
    # Only a file: no interface is brought up for it.
    host = machine(files)
    assert cloud_init.carry_out(host, planned, 60) == []
    assert not cloud_init.plan(host).changed


TIMER = (
    "systemd-run --quiet --unit=mailhost-network-rollback --service-type=oneshot --on-active=60 "
    "--timer-property=AccuracySec=1s /bin/sh /run/mailhost-network/rollback"
)
APPLY = "systemd-run --quiet --unit=mailhost-network-apply /bin/sh /run/mailhost-network/apply"
STARTED = {TIMER: {}, APPLY: {}}


def test_carry_out(machine, tmp_path):
    host = machine({"/etc/cloud/cloud.cfg": ""}, STARTED)
    planned = cloud_init.plan(host)
    (copy,) = cloud_init.carry_out(host, planned, 60)
    assert copy.startswith("/var/backups/mailhost-network/etc_network_interfaces.d_50-cloud-init")
    assert (tmp_path / copy[1:]).read_bytes() == OLD.encode() + b" # \xff\n"
    # ifupdown would read a copy beside it.
    assert os.listdir(tmp_path / "etc/network/interfaces.d") == ["50-cloud-init.cfg"]
    assert b"eth0:0 inet6" not in (tmp_path / FILE[1:]).read_bytes()
    assert "config: disabled" in (tmp_path / cloud_init.DISABLE[1:]).read_text()
    apply = (tmp_path / "run/mailhost-network/apply").read_text().splitlines()
    old = next(line for line in apply if "eth0:0" in line)
    assert apply.index(old) < apply.index("ifdown --force --ignore-errors eth0")
    assert "--interfaces=" + copy in old
    assert not cloud_init.plan(host).changed


def test_the_scripts_are_shell_and_the_second_takes_everything_back(machine, tmp_path):
    host = machine({"/etc/cloud/cloud.cfg": ""}, STARTED)
    before = (tmp_path / FILE[1:]).read_bytes()
    cloud_init.carry_out(host, cloud_init.plan(host), 60)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ifup", "ifdown", "systemctl", "sleep"):
        (programs / name).write_text('#!/bin/sh\necho "$(basename $0) $*" >>"$LOG"\n')
        (programs / name).chmod(0o755)
    log = tmp_path / "log"
    environment = {"PATH": "{0}:/usr/bin:/bin".format(programs), "LOG": str(log)}
    for name in ("apply", "rollback"):
        text = (tmp_path / "run/mailhost-network" / name).read_text()
        # The same tree, without changing the root.
        for top in ("/etc/", "/run/", "/var/"):
            text = text.replace(top, str(tmp_path) + top)
        subprocess.run(["/bin/sh", "-eu"], input=text, text=True, env=environment, check=True)
        if name == "apply":
            assert (tmp_path / "run/mailhost-network/applied").read_text() == "0\n"
            assert log.read_text().splitlines()[-1] == "ifup eth0"
    assert (tmp_path / FILE[1:]).read_bytes() == before
    assert not (tmp_path / cloud_init.DISABLE[1:]).exists()
    assert (tmp_path / "run/mailhost-network/rolled-back").exists()
    assert log.read_text().splitlines()[-3:] == [
        "ifup eth0",
        "ifup eth0:0",
        "systemctl stop mailhost-network-rollback.timer",
    ]
    assert os.listdir(tmp_path / "var/backups/mailhost-network") == []


def test_without_a_roll_back_nothing_is_changed(machine, tmp_path):
    host = machine(commands={APPLY: {}})
    before = (tmp_path / FILE[1:]).read_bytes()
    with pytest.raises(CloudInitError, match="systemd does not take mailhost-network-rollback"):
        cloud_init.carry_out(host, cloud_init.plan(host), 60)
    assert (tmp_path / FILE[1:]).read_bytes() == before


WAITING = {"mailhost-network-rollback.timer": ["loaded", "active", "transient"]}
STOP = "systemctl stop mailhost-network-rollback.timer"
WORK = "/run/mailhost-network/"
PENDING = {FILE: NEW, WORK + "rollback": "", WORK + "apply": ""}


class Time:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def confirm(host):
    time = Time()
    return cloud_init.confirm(host, 30, time.clock, time.sleep), time.now


def test_confirming(machine, tmp_path):
    host = machine(dict(PENDING, **{WORK + "applied": "0\n"}), {STOP: {}}, WAITING)
    assert cloud_init.plan(host).pending
    assert confirm(host) == (True, 0.0)
    assert os.listdir(tmp_path / "run/mailhost-network") == []
    assert not cloud_init.plan(host).pending
    assert confirm(host) == (False, 0.0)


@pytest.mark.parametrize(
    ("files", "commands", "units", "message"),
    [
        ({WORK + "rolled-back": ""}, {}, {}, "was taken back: nobody confirmed it in time"),
        (
            {WORK + "applied": "1\n"},
            {"systemctl start mailhost-network-rollback.service": {}},
            WAITING,
            r"did not come up .* \(ifup ended with 1\); the old one is in force again",
        ),
        ({}, {}, WAITING, r"\(no answer\); the host takes the old one into force by itself"),
        ({WORK + "applied": "0\n"}, {}, WAITING, "the roll-back cannot be stopped"),
    ],
)
def test_what_cannot_be_confirmed(machine, files, commands, units, message):
    with pytest.raises(CloudInitError, match=message):
        confirm(machine(dict(PENDING, **files), commands, units))


def test_an_earlier_change_that_is_past_its_time_is_not_pending(machine):
    assert not cloud_init.plan(machine(PENDING, units={"x.service": WAITING})).pending
