# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside others that filter: advice that does not work, fail2ban, firewalld, ufw."""

from __future__ import annotations

import pytest
from outside import CLOSED, OPEN, Watch, is_open, run_on, settles
from scenario import on

INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "


def test_a_rule_in_input_closes_no_published_port():
    """Why this role exists."""
    assert run_on("mail4", firewall_state="absent").rc == 0
    rule = "INPUT -p tcp --dport 9999 -j DROP"
    on("mail4", f"iptables -I {rule}; ip6tables -I {rule}")
    # IPv6 comes by INPUT there, to the engine's helper.
    assert is_open(["mail4"], ["9999/4", "9999/6"]) == {"mail4": ["9999/4"]}
    on("mail4", f"iptables -D {rule}; ip6tables -D {rule}")
    assert run_on("mail4").rc == 0
    assert is_open(["mail4"], ["9999/4", "9999/6"]) == {"mail4": []}


def test_fail2ban_makes_its_chains_anew_after_they_were_wiped():
    assert run_on("mail1", firewall_backend="iptables").rc == 0
    on("mail1", INSTALL + "fail2ban python3-systemd")
    jail = (
        "[sshd]\nenabled = false\n[mail]\nenabled = true\nfilter = sshd\nbackend = polling\n"
        "logpath = /var/log/mail-test.log\nbantime = 1h\n"
        "action = iptables-allports[name=mail, chain=DOCKER-USER]\n"
    )
    on("mail1", f"touch /var/log/mail-test.log; printf '{jail}' >/etc/fail2ban/jail.d/mail.local")
    on("mail1", "systemctl restart fail2ban")
    banned = "for i in $(seq 60); do fail2ban-client ping >/dev/null && break; sleep 0.2; done;"
    on("mail1", banned + "fail2ban-client set mail banip 192.0.2.77")
    leads = "iptables-save | grep -e '-A DOCKER-USER .*-j f2b-mail'"
    rejects = "iptables-save | grep -e '-A f2b-mail -s 192.0.2.77/32'"
    on("mail1", leads + " && " + rejects)
    on("mail1", "iptables -F DOCKER-USER")
    on("mail1", "for i in $(seq 100); do " + leads + " && break; sleep 0.2; done; sleep 1")
    on("mail1", leads + " && " + rejects)
    assert settles(OPEN, hosts=["mail1"]) == {"mail1": OPEN}
    # Where nothing of ours was lost, it is looked for all the same.
    assert run_on("mail1", firewall_backend="nftables").rc == 0
    on("mail1", "iptables -F DOCKER-USER")
    on("mail1", "for i in $(seq 100); do " + leads + " && break; sleep 0.2; done; " + leads)


def test_firewalld_is_not_passed_over():
    on("mail1", INSTALL + "firewalld")
    on("mail1", "systemctl is-active firewalld")
    done = run_on("mail1")
    assert (done.failed, done.changed) == (["Keep the rules in force"], [])
    assert "another firewall is in force: firewalld" in done.message


def test_firewalld_beside():
    done = run_on("mail1", firewall_conflict="coexist", firewall_backend="auto")
    assert done.rc == 0, done.message
    with Watch(hosts=["mail1"]) as watch:
        on("mail1", "firewall-cmd --reload")
    assert watch.let_in == ""
    # firewalld has closed the host's own port.
    wanted = [name for name in OPEN if not name.startswith("9101")]
    assert settles(wanted, hosts=["mail1"]) == {"mail1": wanted}
    again = run_on("mail1", firewall_conflict="coexist")
    assert (again.rc, again.changed) == (0, []), again.message
    again = run_on("mail1", firewall_conflict="coexist")
    assert (again.rc, again.changed) == (0, []), again.message


def test_firewalld_switched_off():
    done = run_on("mail1", firewall_conflict="disable")
    assert done.rc == 0, done.message
    assert "Keep the rules in force" in done.changed
    state = on(
        "mail1", "systemctl is-active firewalld fail2ban; systemctl is-enabled firewalld", False
    )
    assert state.split() == ["inactive", "active", "disabled"]
    assert settles(OPEN, hosts=["mail1"]) == {"mail1": OPEN}


@pytest.fixture(scope="module")
def ufw():
    on("mail4", INSTALL + "ufw")
    on("mail4", "ufw allow 22/tcp && ufw --force enable")


def test_ufw_is_not_passed_over(ufw):
    # Nothing is installed before that is known.
    on("mail4", "dpkg --remove --force-depends nftables")
    done = run_on("mail4")
    refusal = "Refuse to work beside another firewall that nobody spoke of"
    assert (done.failed, done.changed) == ([refusal], [])
    assert "another firewall is in force: ufw" in done.message


def test_ufw_beside(ufw):
    done = run_on("mail4", firewall_conflict="coexist", firewall_backend="auto")
    assert done.rc == 0, done.message
    with Watch(hosts=["mail4"]) as watch:
        on("mail4", "ufw reload")
    assert watch.let_in == ""
    # ufw has closed the host's own ports: those of the engine's helper as well.
    wanted = ["22/4", "22/6", "25/4", "443/4", "8080/4"]
    assert settles(wanted, hosts=["mail4"]) == {"mail4": wanted}
    again = run_on("mail4", firewall_conflict="coexist")
    assert (again.rc, again.changed) == (0, []), again.message


def test_ufw_switched_off(ufw):
    done = run_on("mail4", firewall_conflict="disable")
    assert done.rc == 0, done.message
    assert "inactive" in on("mail4", "ufw status")
    assert settles(OPEN, hosts=["mail4"]) == {"mail4": OPEN}
    assert not set(is_open(["mail4"])["mail4"]) & set(CLOSED)
