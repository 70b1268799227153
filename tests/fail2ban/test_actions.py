# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions run by real fail2ban servers: which packets are dropped, what is left, what is mended."""

from __future__ import annotations

import os
import re
import shlex
import shutil

import firewall_lab
import lab as labs
import pytest
import versions
from lab import ALL, CLIENT, KINDS, NOTHING, OTHER, PORTS, Lab, Server, say, until

_MISSING = firewall_lab.missing()
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "there is a lab")

NFTABLES, IPTABLES, IPSET = KINDS
each_kind = pytest.mark.parametrize("kind", KINDS)
each_iptables = pytest.mark.parametrize("kind", [IPTABLES, IPSET])

# What many copy: one family, the engine's chain only, ports of the containers.
COPIED = """\
[Definition]
actionstart = iptables -N f2b-copied
              iptables -A f2b-copied -j RETURN
              iptables -I DOCKER-USER -p tcp -m multiport --dports 1:1024 -j f2b-copied
actionstop = iptables -D DOCKER-USER -p tcp -m multiport --dports 1:1024 -j f2b-copied
             iptables -F f2b-copied
             iptables -X f2b-copied
actioncheck = iptables -n -L DOCKER-USER | grep -q 'f2b-copied[ \\t]'
actionban = iptables -I f2b-copied 1 -s <ip> -j DROP
actionunban = iptables -D f2b-copied -s <ip> -j DROP
"""


def of(name):
    """Return a version, or skip."""
    try:
        return versions.installation(next(v for v in versions.VERSIONS if v.name == name))
    except versions.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def one_version():
    return of("1.0.2")


@pytest.fixture(
    params=[("0.11.2", NFTABLES), ("1.0.2", IPTABLES), ("1.1.0", IPSET), ("1.1.1", IPTABLES)],
    ids="-".join,
)
def pair(request):
    """Each version with one of the kinds, where the life of a ban on all of them does not differ."""
    return of(request.param[0]), request.param[1]


@pytest.fixture(scope="module")
def the_lab():
    made = Lab()
    yield made
    made.close()


@pytest.fixture
def lab(the_lab):
    before = the_lab.rules()
    yield the_lab
    assert the_lab.rules() == before


@pytest.fixture
def late_lab():
    """A host whose engine has not started yet."""
    made = Lab(engine=False)
    yield made
    made.close()


@pytest.fixture
def serve(tmp_path):
    """Return a function: a lab, a version, jails and their actions -> a server that runs."""
    made = []

    def call(place, installed, search="", **jails):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        server = Server(place.host, installed, folder)
        server.search = search
        (server.config / "action.d" / "copied.conf").write_text(COPIED)
        server.jails(**jails)
        made.append(server)
        return server.start()

    yield call
    for server in made:
        server.stop()
        if not server.search:
            server.program("purge")


def sets_and_rules(lab):
    """Return the rules and what is in the sets, in an order that does not depend on history."""
    text = re.sub(r"initval 0x\w+|hashsize \d+|bucketsize \d+", "", lab.rules())
    return sorted(",".join(sorted(line.strip().split(","))) for line in text.splitlines())


@each_kind
def test_a_ban_through_its_whole_life(lab, serve, fail2ban, kind):
    before = lab.rules()
    server = serve(lab, fail2ban, mail=kind)
    empty = sets_and_rules(lab)
    open_sessions = [lab.session(port, family) for port in (25, 22) for family in (0, 1)]
    assert say(open_sessions, "hello") == ["hello"] * 4

    server.ban(*CLIENT)
    assert say(open_sessions, "still here?") == ["TimeoutError"] * 4
    assert lab.reach(CLIENT) == NOTHING
    assert lab.reach(OTHER) == ALL
    # Mail to the banned host goes out, from the container and from the host.
    for space in (lab.container, lab.host):
        assert "timeout" not in space.tcp((CLIENT[0], 25), (CLIENT[1], 25))
    banned = sets_and_rules(lab)

    server.kill()
    assert lab.reach(CLIENT) == NOTHING
    server.start()
    assert until(lambda: sets_and_rules(lab) == banned), lab.rules()
    assert server.banned() == set(CLIENT)
    assert lab.reach(CLIENT) == NOTHING

    server.unban(*CLIENT)
    server.settle()
    assert lab.reach(CLIENT) == ALL
    assert sets_and_rules(lab) == empty
    server.stop()
    assert lab.rules() == before
    assert " ERROR " not in server.said()


def test_failures_lead_to_a_ban(lab, serve, fail2ban):
    server = serve(lab, fail2ban, mail=NFTABLES)
    for address in CLIENT:
        server.fail(address, 3)
        server.fail(OTHER[":" in address], 2)
    assert until(lambda: server.banned() == set(CLIENT))
    server.settle()
    assert (lab.reach(CLIENT), lab.reach(OTHER)) == (NOTHING, ALL)


def test_all_bans_lifted_more_than_once(lab, serve, pair):
    installed, kind = pair
    server = serve(lab, installed, mail=kind)
    for _time in range(2):
        server.ban(*CLIENT)
        assert lab.reach(CLIENT) == NOTHING
        server.ask("unban", "--all")
        server.settle()
        assert lab.reach(CLIENT) == ALL


@each_kind
def test_some_ports(lab, serve, one_version, kind):
    server = serve(lab, one_version, mail=kind + '[ports="443,20-30,53"]')
    server.ban(*CLIENT)
    # Those that the world sees: 8443 of the container is published as 443.
    assert lab.reach(CLIENT) == ({"udp:4500"}, {"udp:4500"})
    assert server.program("check") == (0, "")


def test_a_reload_with_other_ports(lab, serve, pair):
    installed, kind = pair
    server = serve(lab, installed, mail=kind + '[ports="443"]')
    server.ban(*CLIENT)
    for ports, left in (
        ("25,53", {"tcp:443", "tcp:22", "udp:4500"}),
        ("all", set()),
        ("22", PORTS - {"tcp:22"}),
    ):
        server.jails(mail=f'{kind}[ports="{ports}"]')
        server.reload()
        assert lab.reach(CLIENT) == (left, left)
        assert server.program("check") == (0, "")


PORTS_OF_HOST = ({"tcp:22", "udp:4500"},) * 2
PUBLISHED = ({"tcp:25", "tcp:443", "udp:53"},) * 2
BOTH = "for p in iptables ip6tables; do {0}; done"


NO_CHAIN = BOTH.format("$p -F INPUT; $p -F DOCKER-USER; $p -F f2b-mail; $p -X f2b-mail")
NO_SETS = "sleep 0.3; for f in 4 6; do ipset -q destroy f2b-mail-inet$f || :; done"

# What somebody does to the rules, and which ports answer a banned client then.
EVENTS = {
    IPTABLES: [
        (BOTH.format("$p -F DOCKER-USER"), PUBLISHED),
        (BOTH.format("$p -F INPUT"), PORTS_OF_HOST),
        (NO_CHAIN, ALL),
        (BOTH.format("$p -F f2b-mail"), ALL),
        (f"ip6tables -D f2b-mail -s {CLIENT[1]} -j DROP", (set(), ALL[1])),
    ],
    IPSET: [
        (BOTH.format("$p -F DOCKER-USER"), PUBLISHED),
        (BOTH.format("$p -F f2b-mail"), ALL),
        ("ipset flush", ALL),
        (f"ipset del f2b-mail-inet4 {CLIENT[0]}", (ALL[0], set())),
        (f"{NO_CHAIN}; {NO_SETS}", ALL),
    ],
    NFTABLES: [
        ("nft delete table inet f2b-mailhost", ALL),
        ("nft flush chain inet f2b-mailhost f2b-mail", ALL),
        ("nft delete chain inet f2b-mailhost f2b-mail", ALL),
        ("nft flush set inet f2b-mailhost mail-inet6", (set(), ALL[1])),
    ],
}


@each_kind
def test_what_others_take_away_is_made_again(lab, serve, one_version, kind):
    server = serve(lab, one_version, mail=kind, other=kind)
    server.ban(*CLIENT, "192.0.2.7", "2001:db8:7::7")
    server.ban("192.0.2.8", jail="other")
    whole = sets_and_rules(lab)
    assert server.program("status") == (0, "mail ok\nother ok\n")
    for event, leak in EVENTS[kind]:
        lab.host.run(event)
        assert lab.reach(CLIENT) == leak, event
        # It has no idea.
        assert server.banned() >= set(CLIENT)
        code, words = server.program("status")
        assert code == 1 and re.search(r"^mail broken: \w+", words, re.M), words

        code, words = server.program("check")
        assert code == 0 and re.search("^<4>jail mail: .*made again$", words, re.M), words
        assert lab.reach(CLIENT) == NOTHING, event
        assert sets_and_rules(lab) == whole, event
    assert server.program("check") == (0, "")
    # Nothing of that hinders it.
    server.unban(*CLIENT)
    server.settle()
    assert lab.reach(CLIENT) == ALL
    server.stop()
    assert " ERROR " not in server.said()


def wrapped(folder, program, script):
    """Make a program of this name that runs a script first, and has in $text what it is to read;
    return what PATH begins with.
    """
    folder.mkdir()
    path = folder / program
    real = shutil.which(program, path="/usr/sbin:/sbin")
    path.write_text(
        '#!/bin/sh\ncase "${0##*/} $*" in *restore*|*-f*) text=$(cat);; esac\n'
        f'{script}\n[ -n "$text" ] || exec {real} "$@"\nprintf "%s\\n" "$text" | {real} "$@"\n'
    )
    path.chmod(0o755)
    return f"{folder}{os.pathsep}"


def test_a_ban_that_is_made_twice_is_lifted_wholly(lab, serve, pair, tmp_path):
    """A look at the bans comes upon one whose command is slow, and makes it before that does."""
    installed, kind = pair
    program = {NFTABLES: "nft", IPTABLES: "iptables", IPSET: "ipset"}[kind]
    goes_on = tmp_path / "goes-on"
    slow = (
        f'case "$*" in "add element"*|*"-I f2b-mail"*|*"-exist add"*)\n'
        f"for i in $(seq 100); do [ -e {goes_on} ] && break; sleep 0.1; done;; esac"
    )
    server = serve(lab, installed, wrapped(tmp_path / "bin", program, slow), mail=kind)
    server.fail(CLIENT[0])
    assert until(lambda: server.banned() == {CLIENT[0]})
    code, words = server.program("check")
    assert (code, words) == (0, "<4>jail mail: 1 of its bans are not in force; made again\n")
    goes_on.touch()
    server.settle()
    assert lab.reach(CLIENT)[0] == set()
    server.unban(CLIENT[0])
    server.settle()
    assert lab.reach(CLIENT) == ALL
    server.stop()
    assert " ERROR " not in server.said()


def test_who_is_let_in_while_the_bans_are_made_again(lab, serve, pair, tmp_path):
    installed, kind = pair
    program = {NFTABLES: "nft", IPTABLES: "iptables-restore", IPSET: "ipset"}[kind]
    client = tmp_path / "0" / "unban"
    address = {NFTABLES: "add element", IPTABLES: CLIENT[0], IPSET: CLIENT[0]}[kind]
    unban = f'case "$text" in *"{address}"*) [ ! -e {client} ] || sh {client};; esac'
    server = serve(lab, installed, wrapped(tmp_path / "bin", program, unban), mail=kind)
    call = ("fail2ban-client", "-c", server.config, "-s", server.socket, "unban", CLIENT[0])
    words = shlex.join(map(str, installed.command(*call)))
    server.ban(*CLIENT)
    flush = {
        NFTABLES: "nft flush set inet f2b-mailhost mail-inet4",
        IPTABLES: "iptables -F f2b-mail",
        IPSET: "ipset flush f2b-mail-inet4",
    }
    lab.host.run(flush[kind])
    client.write_text(f"rm {client}; {words} >/dev/null\n")
    code, words = server.program("check")
    assert code == 0 and "1 of its bans" in words, words
    assert not client.exists() and server.banned() == {CLIENT[1]}
    server.settle()
    assert lab.reach(CLIENT) == (ALL[0], set())
    server.stop()
    assert " ERROR " not in server.said()


@pytest.mark.parametrize("name", ["ghost", "192.0.2.7 -j ACCEPT"])
def test_what_is_no_address_is_in_no_command(lab, serve, one_version, name):
    server = serve(lab, one_version, mail=IPTABLES)
    server.ban(*CLIENT)
    before = lab.rules()
    server.ask("set", "mail", "banip", name)
    assert until(lambda: len(server.banned()) == 3)
    assert server.program("check") == (0, "")
    assert lab.rules() == before


def test_a_ban_while_the_rules_are_gone(lab, serve, pair):
    installed, kind = pair
    server = serve(lab, installed, mail=kind)
    lab.host.run(
        "nft delete table inet f2b-mailhost" if kind == NFTABLES else f"{NO_CHAIN}; {NO_SETS}"
    )
    # It finds out, and mends by itself.
    server.ban(*CLIENT)
    server.program("check")
    assert lab.reach(CLIENT) == NOTHING
    assert server.program("status") == (0, "mail ok\n")


def test_a_start_before_the_engine(late_lab, serve, pair):
    installed, kind = pair
    before = late_lab.rules()
    server = serve(late_lab, installed, mail=kind)
    server.ban(*CLIENT)
    server.stop()
    assert late_lab.rules() == before or not re.search("f2b|DOCKER|-A", late_lab.rules()), (
        late_lab.rules()
    )
    server.start()
    assert until(lambda: server.banned() == set(CLIENT))
    server.settle()
    late_lab.start_engine()
    assert (late_lab.reach(CLIENT), late_lab.reach(OTHER)) == (NOTHING, ALL)
    assert server.program("check") == (0, "")
    server.stop()
    assert late_lab.reach(CLIENT) == ALL


@each_iptables
@pytest.mark.parametrize("native", [False, True], ids=["iptables", "nft"])
def test_mailcows_chain_stays_the_first(late_lab, serve, one_version, kind, native):
    late_lab.start_engine()
    jump = "iptables -N MAILCOW; ip6tables -N MAILCOW; "
    if native:
        jump += (
            "nft insert rule ip filter INPUT counter jump MAILCOW;"
            "nft insert rule ip6 filter INPUT counter jump MAILCOW"
        )
    else:
        jump += "iptables -I INPUT -j MAILCOW; ip6tables -I INPUT -j MAILCOW"
    late_lab.host.run("iptables -A INPUT -p tcp -j ACCEPT; ip6tables -A INPUT -p tcp -j ACCEPT")
    late_lab.host.run(jump)
    server = serve(late_lab, one_version, mail=kind, other=kind)
    server.ban(*CLIENT)
    for program in ("iptables", "ip6tables"):
        rules = late_lab.host.run(program + " -S INPUT").splitlines()[1:]
        targets = [rule.split(" -j ")[1] for rule in rules]
        assert targets[0] == "MAILCOW" and targets[-1] == "ACCEPT", rules
        assert sorted(targets[1:-1]) == ["f2b-mail", "f2b-other"]
        forward = late_lab.host.run(program + " -S FORWARD")
        assert "f2b" not in forward
    assert late_lab.reach(CLIENT) == NOTHING
    assert server.program("check") == (0, "")


@each_kind
def test_a_host_without_ipv6(lab, serve, one_version, kind, tmp_path):
    search = labs.without_ipv6(tmp_path / "bin")
    server = serve(lab, one_version, search, mail=kind)
    server.ban(CLIENT[0])
    assert lab.reach(CLIENT)[0] == set()
    assert server.program("check") == (0, "")
    lab.host.run(
        "nft flush set inet f2b-mailhost mail-inet4"
        if kind == NFTABLES
        else "iptables -F INPUT; iptables -F DOCKER-USER"
    )
    assert server.program("check")[0] == 0
    assert lab.reach(CLIENT)[0] == set()
    server.stop()
    assert " ERROR " not in server.said()


def test_many_jails_at_the_same_time(lab, serve, fail2ban):
    jails = {"jail-with-20-letters": IPTABLES, "another": IPTABLES, "third": IPSET, "x": IPSET}
    jails.update({"longest-name-20-chars": NFTABLES, "fifth": NFTABLES, "chain": NFTABLES})
    server = serve(lab, fail2ban, **jails)
    assert server.program("status")[1] == "".join(sorted(name + " ok\n" for name in jails))
    for jail in jails:
        server.ban(*CLIENT, jail=jail)
    assert lab.reach(CLIENT) == NOTHING
    assert server.program("status")[0] == 0
    server.stop()
    assert " ERROR " not in server.said()
    assert "f2b" not in lab.rules()


def test_what_a_dead_server_left_is_purged(lab, serve, one_version):
    foreign = (
        "iptables -N f2bmine; iptables -A INPUT -s 192.0.2.1 -j f2bmine; nft add table inet mine"
    )
    server = serve(lab, one_version, mail=NFTABLES, web=IPTABLES, other=IPSET)
    lab.host.run(foreign)
    try:
        beside = lab.rules()
        for jail in ("mail", "web", "other"):
            server.ban(*CLIENT, jail=jail)
        # While it runs, only what is no jail's goes.
        lab.host.run(
            "ip6tables -N f2b-gone; ip6tables -I DOCKER-USER -p tcp -j f2b-gone;"
            "ipset create f2b-gone-inet4 hash:ip;"
            "nft 'add set inet f2b-mailhost gone-inet4 { type ipv4_addr; };"
            "add chain inet f2b-mailhost f2b-gone { type filter hook prerouting priority 0; };"
            "add rule inet f2b-mailhost f2b-gone ip saddr @gone-inet4 drop'"
        )
        code, words = server.program("purge")
        assert code == 0 and words.count("gone") == 2, words
        assert "gone" not in lab.rules()
        assert server.program("status")[0] == 0
        assert lab.reach(CLIENT) == NOTHING
        server.kill()
        assert server.program("check") == (0, "")
        assert lab.reach(CLIENT) == NOTHING
        assert server.program("purge")[0] == 0
        assert lab.reach(CLIENT) == ALL
        left = lab.rules()
        assert "f2b-" not in left and left.count("f2bmine") == beside.count("f2bmine")
        assert server.program("purge") == (0, "")
    finally:
        lab.host.run(
            "iptables -D INPUT -s 192.0.2.1 -j f2bmine; iptables -X f2bmine;"
            "nft delete table inet mine"
        )


@each_kind
def test_a_jail_that_stops_leaves_the_others(lab, serve, one_version, kind):
    server = serve(lab, one_version, mail=kind, other=kind)
    server.ban(*CLIENT)
    server.ban(*OTHER, jail="other")
    server.ask("stop", "other")
    until(lambda: lab.reach(OTHER) == ALL)
    assert (lab.reach(CLIENT), lab.reach(OTHER)) == (NOTHING, ALL)
    assert server.program("check") == (0, "")


# -- why there are actions of ours -----------------------------------------------------------------


def test_the_stock_action_told_the_engines_chain_bans_nothing(lab, serve):
    """A chain by the name DOCKER-USER, on a hook that no forwarded packet passes."""
    server = serve(lab, of("1.1.0"), stock="nftables[type=allports, chain=DOCKER-USER]")
    server.ban(*CLIENT, jail="stock")
    assert server.banned("stock") == set(CLIENT)
    for family in (0, 1):
        assert lab.reach(CLIENT, silent=False)[family] >= {"tcp:25", "tcp:443"}


def test_what_many_copy_misses(late_lab, serve, one_version):
    """Started before the engine, by IPv6, on a container's high port, after a crash."""
    copied = serve(late_lab, one_version, copied="copied")
    copied.ban(*CLIENT, jail="copied")
    late_lab.start_engine()
    assert copied.banned("copied") == set(CLIENT)
    assert late_lab.reach(CLIENT) == ALL
    copied.stop()
    late_lab.host.run("iptables -F f2b-copied; iptables -X f2b-copied", check=False)

    copied.start()
    until(lambda: "198.51.100.2/32 -j DROP" in late_lab.rules())
    ipv4, ipv6 = late_lab.reach(CLIENT)
    # 443 is 8443 in the container, UDP is not looked at, and IPv6 not at all.
    assert (ipv4, ipv6) == (ALL[0] - {"tcp:25"}, ALL[1])
    copied.kill()
    copied.start()
    until(lambda: late_lab.rules().count("-j f2b-copied") == 2)
    assert late_lab.rules().count("-j f2b-copied") == 2
    copied.stop()

    ours = serve(late_lab, one_version, mail=IPTABLES)
    ours.ban(*CLIENT)
    assert late_lab.reach(CLIENT) == NOTHING
