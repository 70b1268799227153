# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that shut the administrator out: refused, or taken back by the host.

With iptables on mail1 while drift is undone on mail4 (test_2_drift.py), and with nftables on mail4
while the tests here go on with mail1.
"""

from __future__ import annotations

from outside import OPEN, PLAYBOOK, is_open, reboot, run_on, settles
from scenario import on, play_cases

RULES = "cat /etc/mailhost/firewall/* | sha256sum; nft -s -t list table inet mailhost"
FILE = "/etc/mailhost/firewall/nftables.rules"


def judge(host, backend, outcome):
    done, cut, seconds, before, after = outcome
    # It was really so, and for the time that was set: 30 s.
    assert cut == {host: []}
    assert 30 < seconds < 120
    assert done.rc != 0
    assert done.failed == ["Wait for the host", "Tell that the rules were taken back"]
    assert "the host has taken the rules from before back" in done.output
    assert after == before
    assert is_open(hosts=[host])[host] == OPEN
    again = run_on(host, firewall_backend=backend)
    assert (again.rc, again.changed) == (0, []), again.message


def test_a_controller_that_cannot_come_back_gets_the_old_rules(locked_out):
    judge("mail1", "iptables", locked_out.result())


def test_drift_of_iptables_is_foretold_and_undone(locked_out_by_nftables):
    assert locked_out_by_nftables
    # A timer that does not come first.
    slow = {"firewall_backend": "iptables", "firewall_check_seconds": 3600}
    assert run_on("mail1", **slow).rc == 0
    on(
        "mail1",
        "iptables -D MAILHOST 1; ip6tables -D DOCKER-USER -j MAILHOST; iptables -I INPUT -j MAILHOST-INPUT",
    )
    foretold = run_on("mail1", "--check", **slow)
    assert (foretold.rc, foretold.changed) == (0, ["Rules"]), foretold.message
    done = run_on("mail1", **slow)
    assert (done.rc, done.changed) == (0, ["Rules"]), done.message
    assert is_open(hosts=["mail1"])["mail1"] == OPEN


def test_rules_that_shut_the_controller_out_are_refused():
    assert run_on("mail1").rc == 0
    before = on("mail1", RULES)
    done = run_on("mail1", firewall_admins=["192.0.2.10"])
    assert (done.failed, done.changed) == (["Compare the rules"], [])
    assert "would shut the controller out" in done.message
    assert on("mail1", RULES) == before


def test_wrong_settings_are_refused_before_anything_is_changed():
    wrong = {
        "'x'": {"firewall_rules": [{"name": "x", "ports": ["0"]}]},
        "gopher": {"firewall_rules": [{"name": "y", "service": "gopher"}]},
        "firewall_rollback_seconds is 5; allowed: 30 to 3600": {"firewall_rollback_seconds": 5},
        "firewall_check_seconds is 4; allowed: 5 to 3600": {"firewall_check_seconds": 4},
    }
    for word, done in play_cases(PLAYBOOK, "mail1", wrong).items():
        assert done.failed == ["Refuse wrong settings before anything is changed"], word
        assert word in done.message, word


def test_a_reboot_before_the_confirmation_takes_the_rules_back_too():
    before = on("mail1", RULES)
    on("mail1", "mailhost-firewall arm 600")
    on(
        "mail1",
        f"sed -i '/hook input/a tcp dport 9101 drop' {FILE}; sh /etc/mailhost/firewall/load",
    )
    assert is_open(["mail1"], ["9101/4", "9101/6"]) == {"mail1": []}
    # A change that waits is no drift, and no second one begins.
    refused = run_on("mail1")
    assert refused.failed == ["Have the host take the rules back by itself"]
    assert "waits for being confirmed" in refused.message
    reboot("mail1")
    assert settles(OPEN, hosts=["mail1"]) == {"mail1": OPEN}
    assert on("mail1", RULES) == before
    again = run_on("mail1")
    assert (again.rc, again.changed) == (0, []), again.message


def test_with_nftables_it_gets_the_old_rules_too(locked_out_by_nftables):
    judge("mail4", "nftables", locked_out_by_nftables.result())
