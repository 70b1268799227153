# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing, run the role: exactly that thing is repaired.

On one host only; on the other one, the controller is shut out meanwhile (test_3_lockout.py).
"""

from __future__ import annotations

import pytest
from outside import OPEN, run_on, settles
from scenario import on, together

KEEP = "Keep the rules in force"
RULES = "Rules"
UNITS = "/etc/systemd/system"

CASES = {
    "a rule of somebody's in the table": (
        "nft insert rule inet mailhost forward accept",
        [RULES],
    ),
    "a file readable to all": ("chmod 0644 /etc/mailhost/firewall/nftables.rules", [RULES]),
    "the files gone": ("rm -r /etc/mailhost/firewall", [RULES]),
    "the unit disabled": ("systemctl disable -q mailhost-firewall.service", [KEEP]),
    "the timer stopped": ("systemctl stop mailhost-firewall-check.timer", [KEEP]),
    "the program gone": ("rm /usr/local/sbin/mailhost-firewall", [KEEP]),
}

# Broken together, and repaired by one run.
TOGETHER = together(
    CASES,
    ("a rule of somebody's in the table", "the unit disabled", "the program gone"),
    ("a file readable to all", "the timer stopped"),
    ("the files gone",),
)

# A timer that does not come first.
SLOW = {"firewall_check_seconds": 3600}


@pytest.fixture(scope="module", autouse=True)
def slow(locked_out):
    assert locked_out
    done = run_on("mail4", **SLOW)
    assert (done.rc, done.changed) == (0, [KEEP, RULES]), done.message


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_drift_is_foretold_and_undone(names):
    for name in names:
        on("mail4", CASES[name][0])
    # As they come in the role, which is the order of the alphabet.
    expected = sorted({task for name in names for task in CASES[name][1]})
    foretold = run_on("mail4", "--check", "--diff", **SLOW)
    assert (foretold.rc, foretold.changed) == (0, expected), foretold.message
    done = run_on("mail4", **SLOW)
    assert (done.rc, done.changed) == (0, expected), done.message


def test_and_then_all_is_as_it_was():
    done = run_on("mail4", **SLOW)
    assert (done.rc, done.changed) == (0, []), done.message
    assert settles(OPEN, hosts=["mail4"]) == {"mail4": OPEN}
    state = on(
        "mail4", "systemctl is-enabled mailhost-firewall.service mailhost-firewall-check.timer"
    )
    assert state.split() == ["enabled", "enabled"]
    wanted = on("mail4", "systemctl show -p WantedBy,PartOf,Before mailhost-firewall.service")
    assert wanted.count("docker.service") == 3


def test_no_rule_is_left_when_it_is_taken_away():
    done = run_on("mail4", firewall_state="absent")
    assert (done.rc, done.changed) == (
        0,
        ["Stop keeping the rules in force", "Remove the rules"],
    ), done.message
    assert "mailhost" not in on("mail4", "nft list tables; iptables-save; ip6tables-save").lower()
    left = on("mail4", f"ls -d /etc/mailhost/firewall {UNITS}/mailhost* || true")
    assert left.replace("/etc/mailhost/firewall\n", "") == ""
    again = run_on("mail4", firewall_state="absent")
    assert (again.rc, again.changed) == (0, []), again.message
