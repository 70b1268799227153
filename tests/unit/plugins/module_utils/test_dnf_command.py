# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages by the command dnf, with programs that answer as those of EL 8 do."""

from __future__ import annotations

import fnmatch

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import dnf_command
from ansible_collections.postmaster.mailhost.plugins.module_utils.dnf_command import (
    ABSENT,
    LATEST,
    PRESENT,
    Wanted,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Result

OFFERED = {"nftables": "2-1", "iptables-nft": "1.8-1", "docker-ce": "26-1"}
PROVIDED = {"iptables": "iptables-nft"}
EVERYTHING = ["rpm", "-qa", "--qf", "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\\n"]


class Machine:
    """A host with packages: answers rpm and dnf, and remembers what it was asked."""

    def __init__(self, **installed):
        self.installed = installed
        self.asked = []

    def run(self, argv, timeout=30.0):
        self.asked.append(list(argv))
        if argv == EVERYTHING:
            lines = [f"{name}\t0:{version}.x86_64\n" for name, version in self.installed.items()]
            return Result(0, "".join(lines), "")
        if argv[:2] == ["rpm", "-qa"]:
            found = [
                name
                for name, version in self.installed.items()
                if fnmatch.fnmatch(name, argv[2]) or fnmatch.fnmatch(name + "-" + version, argv[2])
            ]
            return Result(0, "\n".join(found), "")
        if argv[:3] == ["rpm", "-q", "--whatprovides"]:
            return Result(0 if PROVIDED.get(argv[3]) in self.installed else 1, "", "")
        assert argv[0] == "dnf"
        verb = "remove" if "remove" in argv else "install"
        names = argv[argv.index(verb) + 1 :]
        unknown = [name for name in names if name not in OFFERED and name not in PROVIDED]
        if unknown and verb == "install":
            return Result(1, "", "Error: Unable to find a match: {0}\n".format(" ".join(unknown)))
        wanted = {PROVIDED.get(name, name) for name in names}
        after = dict(self.installed)
        for name in wanted:
            if verb == "remove":
                after.pop(name, None)
            else:
                after[name] = OFFERED[name]
        if "--assumeno" in argv:
            if after == self.installed:
                return Result(0, "", "")
            return Result(1, "", "Operation aborted.\n")
        self.installed = after
        return Result(0, "", "")

    def dnf(self):
        """The calls of dnf, without the program's name."""
        return [argv[1:] for argv in self.asked if argv[0] == "dnf"]


def test_what_is_missing_is_installed_and_then_nothing():
    machine = Machine(nftables="1-1")
    wanted = Wanted(["nftables", "iptables", "docker-ce"], PRESENT, weak=False)
    outcome = dnf_command.bring_about(machine, wanted)
    # What is there stays in its version.
    assert machine.dnf() == [
        [
            *("--quiet", "--assumeyes", "--setopt=install_weak_deps=False"),
            *("install", "iptables", "docker-ce"),
        ]
    ]
    assert outcome == (True, ["docker-ce 0:26-1.x86_64", "iptables-nft 0:1.8-1.x86_64"], [])
    machine.asked = []
    assert dnf_command.bring_about(machine, wanted) == (False, [], [])
    assert machine.dnf() == []


def test_check_mode_foretells_and_changes_nothing():
    machine = Machine(nftables="1-1")
    wanted = Wanted(["nftables", "iptables"], PRESENT)
    assert dnf_command.bring_about(machine, wanted, check=True) == (True, ["iptables"], [])
    gone = Wanted(["nftables", "docker"], ABSENT)
    assert dnf_command.bring_about(machine, gone, check=True) == (True, [], ["nftables"])
    # Without a question to the repositories, which a bare host need not have.
    assert machine.dnf() == []
    latest = Wanted(["nftables"], LATEST)
    assert dnf_command.bring_about(machine, latest, check=True) == (True, ["nftables"], [])
    assert machine.dnf() == [["--quiet", "--assumeno", "--best", "install", "nftables"]]
    assert machine.installed == {"nftables": "1-1"}


def test_latest_upgrades_and_then_nothing():
    machine = Machine(nftables="1-1")
    wanted = Wanted(["nftables"], LATEST, refresh=True)
    outcome = dnf_command.bring_about(machine, wanted)
    assert outcome == (True, ["nftables 0:2-1.x86_64"], ["nftables 0:1-1.x86_64"])
    assert machine.dnf()[0] == [
        *("--quiet", "--assumeyes", "--refresh", "--best", "install", "nftables")
    ]
    assert dnf_command.bring_about(machine, wanted) == (False, [], [])
    assert dnf_command.bring_about(machine, wanted, check=True) == (False, [], [])


def test_absent_removes_what_is_there_and_nothing_along():
    machine = Machine(nftables="1-1", runc="1")
    outcome = dnf_command.bring_about(machine, Wanted(["runc", "docker"], ABSENT))
    assert outcome == (True, [], ["runc 0:1.x86_64"])
    assert machine.dnf() == [["--quiet", "--assumeyes", "--noautoremove", "remove", "runc"]]
    assert dnf_command.bring_about(machine, Wanted(["runc", "docker"], ABSENT)).changed is False


def test_a_version_that_is_there_counts():
    machine = Machine(**{"docker-ce": "26-1"})
    assert dnf_command.missing(machine, ["docker-ce-26*", "docker-ce-25*"]) == ["docker-ce-25*"]


@pytest.mark.parametrize("state", [PRESENT, LATEST])
def test_what_dnf_refuses_is_said_in_its_words(state):
    with pytest.raises(dnf_command.DnfError) as error:
        dnf_command.bring_about(Machine(), Wanted(["no-such"], state))
    assert str(error.value) == "dnf failed (exit 1): Error: Unable to find a match: no-such"


def test_latest_in_check_mode_says_so_too():
    with pytest.raises(dnf_command.DnfError, match="Unable to find a match: no-such"):
        dnf_command.bring_about(Machine(), Wanted(["no-such"], LATEST), check=True)
