# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing, run the role: exactly that is repaired. And what is refused."""

from __future__ import annotations

import pytest
from outside import HOSTS, PLAYBOOK, run, run_on
from scenario import on, play_cases, together

HOST = "mail4"
JAILS = "Jails"
CONFIG = "/etc/fail2ban"
ALL = f"{CONFIG} /etc/systemd/system/fail2ban.service.d /usr/local/sbin/mailhost-fail2ban"

CASES = {
    "an edited jail": f"sed -i 's/^maxretry = .*/maxretry = 999/' {CONFIG}/jail.d/mailhost.local",
    "a filter gone": f"rm {CONFIG}/filter.d/mailhost-mailu-front.conf",
    "an action of somebody's": f"echo '# x' >>{CONFIG}/action.d/mailhost-iptables.conf",
    "the service stopped": "systemctl stop fail2ban",
    "the service disabled": "systemctl disable -q fail2ban",
    "the timer masked": (
        "systemctl stop mailhost-fail2ban-check.timer;"
        " rm /etc/systemd/system/mailhost-fail2ban-check.timer;"
        " systemctl mask -q mailhost-fail2ban-check.timer"
    ),
    "the program gone": "rm /usr/local/sbin/mailhost-fail2ban",
    "a jail unloaded": "fail2ban-client stop mailu-api",
}
# Broken together, and repaired by one run.
TOGETHER = together(
    CASES,
    ("an edited jail", "a filter gone", "the timer masked"),
    ("an action of somebody's", "the service disabled", "the program gone"),
    ("the service stopped",),
    ("a jail unloaded",),
)

pytestmark = pytest.mark.usefixtures("patient")


def state(host):
    """The configuration in force: files, and what the server has."""
    return on(host, f"find {ALL} -type f -exec sha256sum {{}} +; fail2ban-client status")


def test_nothing_is_changed_where_nothing_is_to_be():
    done = run()
    assert (done.rc, done.changed) == (0, []), done.message


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_drift_is_foretold_and_undone(names):
    before = state(HOST)
    for name in names:
        on(HOST, CASES[name])
    foretold = run_on(HOST, "--check", "--diff")
    assert (foretold.rc, foretold.changed) == (0, [JAILS]), foretold.message
    done = run_on(HOST)
    assert (done.rc, done.changed) == (0, [JAILS]), done.message
    assert state(HOST) == before
    units = on(HOST, "systemctl is-enabled fail2ban mailhost-fail2ban-check.timer")
    assert units.split() == ["enabled", "enabled"]
    units = on(HOST, "systemctl is-active fail2ban mailhost-fail2ban-check.timer")
    assert units.split() == ["active", "active"]


def test_a_jail_that_the_server_refuses_changes_nothing():
    before = {host: state(host) for host in HOSTS}
    broken = {"wrong": {"filter": "no-such-filter", "files": ["/var/log/dpkg.log"]}}
    done = run(fail2ban_jails=broken)
    assert done.rc != 0
    assert set(done.failed) == {JAILS}
    assert "wrong" in done.message and "no-such-filter" in done.message
    assert done.changed == []
    assert {host: state(host) for host in HOSTS} == before
    assert run().changed == []


# Variables, and what is said of them.
WRONG = {
    "time": ({"fail2ban_bantime": "1 hour or so"}, ["bantime", "1 hour or so"]),
    "address": ({"fail2ban_ignore": ["10.0.0.300"]}, ["ignore", "10.0.0.300"]),
    "setting": ({"fail2ban_jails": {"sshd": {"maxretries": 3}}}, ["maxretries"]),
    "name": (
        {"fail2ban_jails": {"a-name-that-is-much-too-long": {"filter": "sshd"}}},
        ["a-name-that"],
    ),
}


@pytest.fixture(scope="module")
def refusals():
    """What became of each, and that nothing has changed."""
    before = state(HOST)
    found = play_cases(PLAYBOOK, HOST, {name: case[0] for name, case in WRONG.items()})
    assert state(HOST) == before
    return found


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_named(refusals, name):
    done = refusals[name]
    assert done.rc != 0
    for word in WRONG[name][1]:
        assert word in done.message
