# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people copy from the net does not do what they think; and an end of it all."""

from __future__ import annotations

import time

from outside import FAMILIES, address, client, closed_to, everywhere, guesses, run, run_on, settles
from scenario import on

HOST = "mail1"
OTHER = 140
VICTIM = "198.51.100.77"

# In its parts and its faults the jail that has been passed on since Mailu's first years: one family,
# a pattern that begins where it likes, the first 1024 ports.
FILES = {
    "filter.d/bad-auth.conf": (
        "[Definition]\nfailregex = .* client login failed: .+ client:\\ <HOST>\nignoreregex =\n"
    ),
    "action.d/docker-user.conf": (
        "[Definition]\n"
        "actionstart = iptables -N f2b-bad-auth\n"
        "              iptables -A f2b-bad-auth -j RETURN\n"
        "              iptables -I DOCKER-USER -p tcp -m multiport --dports 1:1024 -j f2b-bad-auth\n"
        "actionstop = iptables -D DOCKER-USER -p tcp -m multiport --dports 1:1024 -j f2b-bad-auth\n"
        "             iptables -F f2b-bad-auth\n"
        "             iptables -X f2b-bad-auth\n"
        "actionban = iptables -I f2b-bad-auth 1 -s <ip> -j DROP\n"
        "actionunban = iptables -D f2b-bad-auth -s <ip> -j DROP\n"
    ),
    "jail.d/bad-auth.conf": (
        "[bad-auth]\nenabled = true\nbackend = systemd\njournalmatch = CONTAINER_TAG=mailu-front\n"
        "filter = bad-auth\nbantime = 3600\nfindtime = 300\nmaxretry = 5\naction = docker-user\n"
    ),
}


def banned():
    """The addresses that the other jail calls banned."""
    text = on(HOST, "fail2ban-client status bad-auth")
    return set(text.partition("Banned IP list:")[2].split())


def wait_for(addresses, seconds=15):
    """Wait until the other jail calls these addresses banned."""
    end = time.monotonic() + seconds
    while not addresses <= banned() and time.monotonic() < end:
        time.sleep(0.3)
    return banned()


def test_the_copied_jail_says_more_than_it_does_and_can_be_turned_against_others():
    where = {"hosts": [HOST], "ports": [25, 4190]}
    off = {"fail2ban_jails": {"mailu-smtp-auth": {"enabled": False}, "sshd": {"maxretry": 3}}}
    assert run_on(HOST, **off).rc == 0
    for name, text in FILES.items():
        on(HOST, f"cat >/etc/fail2ban/{name} <<'TEXT'\n{text}TEXT\n")
    on(HOST, "fail2ban-client reload")
    try:
        client("again", guesses("smtp", OTHER, 8, hosts=[HOST]))
        # It goes by the last words, and those are the client's.
        trick = f"x, client: {VICTIM}, y"
        tricked = guesses("smtp", OTHER + 1, 8, hosts=[HOST], families=[6], name=trick + "@z")
        client("again", tricked)
        both = {address(OTHER, family) for family in FAMILIES}
        assert both | {VICTIM} <= wait_for(both | {VICTIM})
        # Cut off in one family only, and not at ManageSieve's port.
        still = {f"{HOST} 25/6", f"{HOST} 4190/6", f"{HOST} 4190/4"}
        assert settles(still, OTHER, seconds=10, **where)[0] == still
    finally:
        on(HOST, "fail2ban-client stop bad-auth; cd /etc/fail2ban && rm -f " + " ".join(FILES))
    # Ours reads the same lines.
    assert run_on(HOST).rc == 0
    assert settles(set(), OTHER, seconds=30, **where)[0] == set()
    assert settles(set(), OTHER + 1, seconds=30, families=[6], **where)[0] == set()
    ours = on(HOST, "fail2ban-client status mailu-smtp-auth")
    assert VICTIM not in ours
    assert address(OTHER + 1, 6) in ours


def test_nothing_is_left_when_it_is_taken_away():
    done = run(fail2ban_state="absent")
    assert (done.rc, set(done.changed)) == (0, {"Remove the jails"}), done.message
    for text in everywhere("ls -R /etc/fail2ban /etc/systemd/system /usr/local/sbin"):
        assert "mailhost-fail2ban" not in text and "mailhost.local" not in text
    rules = "nft list ruleset 2>/dev/null; iptables-save; ip6tables-save; ipset list -n 2>/dev/null"
    # The distribution's own jail is in force again, with chains of its own.
    for text in everywhere(f"{rules}; true"):
        assert "f2b-mailhost" not in text and "f2b-mailu" not in text
        assert "-A DOCKER-USER -m" not in text
    assert closed_to(OTHER) == set()
    again = run(fail2ban_state="absent")
    assert (again.rc, again.changed) == (0, []), again.message
