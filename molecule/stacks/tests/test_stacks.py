# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail hosts on five systems: as clients see them, who is banned, what is repaired."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox.hosts import find
from scenario import SITE, eventually, everywhere, on, play

MAILCOW = ("mail10", "mail12", "mail14")
MAILU = ("mail11", "mail13")
HOSTS = (*MAILCOW, *MAILU)
# Who looks at a host from outside.
CLIENT = {host: HOSTS[number - 1] for number, host in enumerate(HOSTS)}

# What is done to a host.
BANS = "rm /etc/fail2ban/jail.d/*mailhost*"
BREAK = {
    **dict.fromkeys(
        MAILCOW,
        f"{BANS}; sed -i s/^LOG_LINES=.*/LOG_LINES=1/ /opt/mailcow-dockerized/mailcow.conf; "
        "docker stop -t 2 mailcowdockerized-dovecot-mailcow-1",
    ),
    **dict.fromkeys(
        MAILU,
        f"{BANS}; sed -i s/^MESSAGE_SIZE_LIMIT=.*/MESSAGE_SIZE_LIMIT=1/ /mailu/mailu.env; "
        "docker stop -t 2 mailu-imap-1",
    ),
}
# The tasks that repair it.
SETTINGS = {
    **dict.fromkeys(MAILCOW, "Settings in mailcow.conf"),
    **dict.fromkeys(MAILU, "Settings in mailu.env"),
}


@pytest.fixture(scope="module")
def trust():
    """TLS with whoever answers: the hosts' certificates are their own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("host", HOSTS)
def test_a_mail_client_gets_through(host, trust):
    address = find(host).ipv4
    with smtplib.SMTP(address, 25, timeout=20) as client:
        client.ehlo("client.example.test")
        assert client.ehlo_resp.split()[0].decode() == find(host).fqdn
        client.starttls(context=trust)
        assert client.noop()[0] == 250
    with imaplib.IMAP4_SSL(address, 993, ssl_context=trust, timeout=20) as client:
        assert client.noop()[0] == "OK"
        with pytest.raises(imaplib.IMAP4.error):
            client.login("nobody@example.test", "wrong")


def test_no_other_firewall_is_left_and_ours_is_in_force():
    asked = "systemctl is-active firewalld || true; nft list tables"
    for host, text in everywhere(asked, HOSTS).items():
        state, *tables = text.splitlines()
        assert state != "active", host
        assert "table inet mailhost" in tables and "table inet firewalld" not in tables, host


def reached(port: int) -> dict[str, str]:
    """Whether a port of each host answers its client."""

    def look(host: str) -> tuple[str, str]:
        command = f"timeout 3 bash -c '</dev/tcp/{find(host).ipv4}/{port}' 2>/dev/null && echo in || echo out"
        return host, on(CLIENT[host], command, check=False).strip()

    with ThreadPoolExecutor() as pool:
        return dict(pool.map(look, HOSTS))


def test_who_is_banned_does_not_reach_the_containers():
    assert set(reached(25).values()) == {"in"}
    everywhere(
        lambda host: f"fail2ban-client set sshd banip {find(CLIENT[host]).ipv4} >/dev/null", HOSTS
    )
    jail = everywhere("fail2ban-client status", HOSTS)
    banned = eventually(lambda: reached(22), dict.fromkeys(HOSTS, "out"))
    everywhere("fail2ban-client unban --all >/dev/null", HOSTS)
    assert set(banned.values()) == {"out"}
    # mailcow's own netfilter bans who guesses there.
    assert all("sshd" in jail[host] for host in HOSTS)
    assert all("mailu" in jail[host] for host in MAILU)
    assert set(eventually(lambda: reached(25), dict.fromkeys(HOSTS, "in")).values()) == {"in"}


def test_what_drifts_is_repaired_and_nothing_else():
    everywhere(lambda host: BREAK[host], HOSTS)
    done = play()
    assert done.rc == 0, done.message
    for host in HOSTS:
        assert sorted(done.changed_on[host]) == ["Jails", SETTINGS[host], "Start the stack"], host
    again = play(SITE, "--check")
    assert (again.rc, again.changed) == (0, []), again.message
