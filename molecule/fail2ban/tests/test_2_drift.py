# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing, run the role: exactly that is repaired. And what is refused."""

from __future__ import annotations

import pytest
from outside import HOSTS, run, run_on
from scenario import on

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
# One of each kind: a file, a unit, what the server has. A look takes as long as a repair.
FORETOLD = ("an edited jail", "the timer masked", "a jail unloaded")

pytestmark = pytest.mark.usefixtures("patient")


def state(host):
    """The configuration in force: files, and what the server has."""
    return on(host, f"find {ALL} -type f -exec sha256sum {{}} +; fail2ban-client status")


def test_nothing_is_changed_where_nothing_is_to_be():
    done = run()
    assert (done.rc, done.changed) == (0, []), done.message


@pytest.mark.parametrize("name", CASES)
def test_drift_is_undone(name):
    before = state(HOST)
    on(HOST, CASES[name])
    if name in FORETOLD:
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


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"fail2ban_bantime": "1 hour or so"}, ["bantime", "1 hour or so"]),
        ({"fail2ban_ignore": ["10.0.0.300"]}, ["ignore", "10.0.0.300"]),
        ({"fail2ban_jails": {"sshd": {"maxretries": 3}}}, ["maxretries"]),
        ({"fail2ban_jails": {"a-name-that-is-much-too-long": {"filter": "sshd"}}}, ["a-name-that"]),
    ],
    ids=["time", "address", "setting", "name"],
)
def test_wrong_input_is_named(variables, words):
    before = state(HOST)
    done = run_on(HOST, **variables)
    assert done.rc != 0
    for word in words:
        assert word in done.message
    assert state(HOST) == before
