# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who guesses is cut off, soon and wholly, and stays so; nobody else is."""

from __future__ import annotations

import shlex
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from outside import (
    BYSTANDER,
    CHECK_SECONDS,
    EARLIER,
    FAMILIES,
    FIRST,
    HOSTS,
    IGNORED,
    KINDS,
    LATER,
    Watch,
    address,
    client,
    closed_to,
    everywhere,
    guesses,
    inside,
    is_open,
    number_of,
    settles,
)
from scenario import on

# While fail2ban reads and acts, a fast client goes on, twice a second; on a slow machine, longer.
TOO_LATE = 20
GUESSER = number_of("smtp")

pytestmark = pytest.mark.usefixtures("patient")

# In the webmail's container: logins that fail, all at once, and one connection after them.
MISUSE = """
import socket, ssl, threading, time
def guess():
    try:
        context = ssl._create_unverified_context()
        with context.wrap_socket(socket.create_connection(("front", 993), timeout=9)) as link:
            link.recv(1000)
            link.sendall(b"a LOGIN ghost@example.test wrong\\r\\n")
            link.recv(1000)
    except OSError:
        pass
threads = [threading.Thread(target=guess) for _each in range(14)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
time.sleep(3)
print(socket.create_connection(("front", 25), timeout=3).recv(3))
"""


def banned(host):
    """The addresses that are banned in any jail."""
    jails = on(host, "fail2ban-client status").partition("Jail list:")[2].replace(",", " ").split()
    found = set()
    for text in on(
        host, "; ".join(f"fail2ban-client status {jail}" for jail in jails)
    ).splitlines():
        found.update(text.partition("Banned IP list:")[2].split())
    return found


@pytest.fixture(scope="module")
def attack():
    """All attacks at once, with everybody else at work; what came of each, by kind."""
    tasks = []
    for kind in KINDS:
        tasks += guesses(kind, number_of(kind), 10 + TOO_LATE + 2)
    tasks += guesses("smtp", IGNORED, 14)
    tasks += guesses("login", BYSTANDER, 12, pause=1)
    with ThreadPoolExecutor() as pool:
        webmail = [
            pool.submit(inside, host, "webmail", f"python3 -c {shlex.quote(MISUSE)}")
            for host in HOSTS
        ]
        found = client("again", tasks)
        said = [each.result().strip() for each in webmail]
    by_kind = {}
    for each in found:
        name = each["kind"] if each["number"] != IGNORED else "ignored"
        by_kind.setdefault(name, []).append(each)
    return {**by_kind, "webmail": said}


@pytest.mark.parametrize("kind", KINDS)
def test_who_guesses_is_cut_off_within_a_few_attempts(attack, kind):
    for each in attack[kind]:
        assert each["cut"], each
        # The last answer is late itself where a wrong password is answered late.
        assert KINDS[kind] - 1 <= each["answers"] <= KINDS[kind] + TOO_LATE, each
    assert all(each["held"] is False for each in attack["imap"])


def test_the_others_are_not(attack):
    for each in attack["login"]:
        assert (each["answers"], each["cut"]) == (12, False), each
        assert " OK " in each["said"]
    for each in attack["ignored"]:
        assert (each["answers"], each["cut"]) == (14, False), each
    assert attack["webmail"] == ["b'220'"] * len(HOSTS)
    assert closed_to(BYSTANDER) == set()
    assert closed_to(IGNORED) == set()


def test_just_those_are_banned(attack):
    assert attack
    numbers = range(FIRST, FIRST + len(KINDS))
    wanted = {address(number, family) for number in numbers for family in FAMILIES}
    early = range(EARLIER, EARLIER + len(KINDS))
    others = {address(number, family) for number in early for family in FAMILIES}
    for host in HOSTS:
        found = banned(host)
        assert wanted <= found, host
        assert found <= wanted | others, host


def test_who_guessed_before_the_first_start_was_cut_off_then():
    for kind in ("smtp", "api"):
        assert is_open(EARLIER + list(KINDS).index(kind)) == set()


def test_every_port_is_closed(attack):
    assert attack
    for kind in KINDS:
        assert is_open(number_of(kind)) == set(), kind


def test_mail_to_a_banned_host_still_gets_there(attack):
    assert attack
    for host in HOSTS:
        for family in FAMILIES:
            there = address(GUESSER, family)
            script = f"exec 3<>/dev/tcp/{there}/25; read -t 5 line <&3; echo $line"
            assert inside(host, "smtp", f"bash -c {shlex.quote(script)}").strip() == "220 outside"


def test_a_restart_of_docker_lets_nobody_in(attack):
    assert attack
    with Watch(GUESSER) as watch:
        everywhere("systemctl restart docker")
    assert watch.let_in == set()
    assert closed_to(BYSTANDER, seconds=60) == set()


def test_a_restart_of_fail2ban_keeps_the_bans(attack):
    assert attack
    everywhere("systemctl restart fail2ban")
    assert settles(set(), GUESSER)[0] == set()
    assert closed_to(BYSTANDER) == set()


def test_after_a_crash_the_bans_are_in_force_again(attack):
    assert attack
    everywhere(
        "kill -9 $(systemctl show -P MainPID fail2ban); sleep 0.5; systemctl reset-failed fail2ban;"
        " systemctl start fail2ban"
    )
    assert settles(set(), GUESSER)[0] == set()
    assert closed_to(BYSTANDER) == set()
    for jails in everywhere("mailhost-fail2ban status"):
        assert jails and all(line.endswith(" ok") for line in jails.splitlines())


def test_what_others_take_away_comes_back_within_the_time(attack):
    assert attack
    begin = time.monotonic()
    everywhere("mailhost-fail2ban check")
    is_open(GUESSER)
    took = time.monotonic() - begin
    on("mail1", "nft delete table inet f2b-mailhost")
    for host in ("mail4", "mail5"):
        on(host, "iptables -F DOCKER-USER; ip6tables -F DOCKER-USER; iptables -F INPUT")
    found, seconds = settles(set(), GUESSER)
    assert found == set()
    # The time until the next look, one of them that is just under way, and what looking takes here,
    # which on a machine with other work is longer at one time than at another.
    assert seconds <= CHECK_SECONDS + 2 * took + 10
    assert closed_to(BYSTANDER) == set()


def test_an_address_is_let_in_again(attack):
    assert attack
    number = number_of("web")
    for family in FAMILIES:
        everywhere(f"fail2ban-client unban {address(number, family)}")
    there = f"(iptables-save; ip6tables-save; nft list ruleset) | grep -E ':?{number}\\b'; true"
    assert closed_to(number, seconds=60) == set(), everywhere(there)
    # And does not come back with the next look.
    everywhere("mailhost-fail2ban check")
    assert closed_to(number) == set()


def test_an_address_that_is_banned_by_hand(attack):
    assert attack
    number = LATER
    assert closed_to(number) == set()
    for family in FAMILIES:
        everywhere(f"fail2ban-client set mailu-api banip {address(number, family)}")
    assert settles(set(), number)[0] == set()
