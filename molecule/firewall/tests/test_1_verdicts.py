# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every port's verdict from outside, with both backends, and what may not change it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from outside import CLOSED, HOSTS, OPEN, Watch, everywhere, is_open, reboot, run, seen, settles
from sandbox.hosts import find
from scenario import on

pytestmark = pytest.mark.usefixtures("patient")

AS_WANTED = dict.fromkeys(HOSTS, OPEN)
OURS = {
    "nftables": "nft list table inet mailhost",
    "iptables": "iptables-save | grep -e '-A DOCKER-USER -j MAILHOST'",
}


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def backend(request):
    done = run(firewall_backend=request.param)
    assert done.rc == 0, done.message
    return request.param


def test_only_what_is_wanted_is_open(backend):
    for other, command in OURS.items():
        found = everywhere(command + " >/dev/null 2>&1 && echo there || echo gone")
        assert found == ["there\n" if other == backend else "gone\n"] * len(HOSTS)
    assert is_open() == AS_WANTED


def test_a_container_sees_its_clients_address_and_reaches_others_mail_servers(backend):
    said = seen(hosts=["mail1"], names=["25/4", "25/6", "443/4"])["mail1"]
    client = find("mail3")
    assert said == {
        "25/4": f"from {client.ipv4}",
        "25/6": f"from {client.ipv6}",
        "443/4": f"from {client.ipv4}",
    }
    ask = "exec 3<>/dev/tcp/mx.outside.test/25; read -t 5 line <&3; echo $line"
    for answer in everywhere(f"docker exec web bash -c '{ask}'"):
        assert answer.startswith("220 ")


def test_a_restart_of_the_engine_opens_nothing(backend):
    with Watch() as watch:
        everywhere("systemctl restart docker")
    assert watch.let_in == ""
    assert settles(OPEN) == AS_WANTED


def test_what_is_watched_would_be_noticed(backend):
    with Watch(names=["25/4"]) as watch:
        pass
    assert watch.let_in == "mail1 25/4, mail4 25/4"


def test_a_reload_of_the_engine_opens_nothing(backend):
    with Watch() as watch:
        everywhere("systemctl daemon-reload && systemctl reload docker")
    assert watch.let_in == ""
    assert settles(OPEN) == AS_WANTED


def test_a_reboot_opens_nothing(backend):
    with Watch() as watch, ThreadPoolExecutor() as pool:
        list(pool.map(reboot, HOSTS))
    assert watch.let_in == ""
    assert settles(OPEN) == AS_WANTED


def test_an_emptied_docker_user_is_made_up_for(backend):
    if backend == "nftables":
        with Watch() as watch:
            everywhere("iptables -F DOCKER-USER")
        assert watch.let_in == ""
    else:
        everywhere("iptables -F DOCKER-USER")
    assert settles(OPEN) == AS_WANTED
    everywhere(OURS[backend])


def test_an_emptied_kernel_is_made_up_for(backend):
    everywhere("nft flush ruleset")
    # With iptables nobody asks the rules for the containers' own addresses until the engine does.
    names = [name for name in CLOSED if backend == "nftables" or name != "direct"]
    assert settles([], names=names) == {host: [] for host in HOSTS}
    everywhere("for i in $(seq 100); do " + OURS[backend] + " && exit; sleep 0.2; done; exit 1")
    # The engine's own rules are its own affair. With live-restore it does not ask DOCKER-USER before
    # it makes a network; only where the rules are there, that is made up for.
    everywhere("systemctl restart docker")
    if backend == "nftables":
        everywhere("docker network create other && docker network rm other")
    assert settles(OPEN) == AS_WANTED
    everywhere("iptables -S FORWARD | grep -e '-A FORWARD -j DOCKER-USER'")


def test_somebody_elses_rules_stay(backend):
    everywhere("iptables -A DOCKER-USER -s 192.0.2.66 -j DROP; iptables -t mangle -N OTHERS")
    on("mail1", "mailhost-firewall load")
    done = run(firewall_backend=backend)
    assert (done.rc, done.changed) == (0, []), done.message
    for text in everywhere("iptables-save"):
        assert "-A DOCKER-USER -s 192.0.2.66/32 -j DROP" in text and ":OTHERS" in text
    everywhere("iptables -D DOCKER-USER -s 192.0.2.66 -j DROP; iptables -t mangle -X OTHERS")
