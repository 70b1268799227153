# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail on each of the ways, and none where there is no way."""

from __future__ import annotations

import smtplib
import ssl

import pytest
from mail import HOSTS, LOG, address, arrives, ask, until, world
from sandbox.data import IPV4_GATEWAY
from scenario import on

PASSWORD = "only for this and not for you"
LISTED = ".".join(reversed(IPV4_GATEWAY.split("."))) + ".zen.spamhaus.org"


def submission(port: int) -> smtplib.SMTP:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    if port == 465:
        return smtplib.SMTP_SSL(address("mail6"), port, timeout=20, context=trusting)
    client = smtplib.SMTP(address("mail6"), port, timeout=20)
    client.ehlo()
    assert not client.has_extn("auth"), "passwords in clear"
    client.starttls(context=trusting)
    client.ehlo()
    return client


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("host", ["mail6", "mail8", "mail9"])
def test_nobody_relays_from_outside(host, family):
    code, text = ask(host, "victim@outside.test", family)
    assert (code, "Relay access denied" in text) == (554, True)
    # Old ways to ask for the same.
    for recipient in (
        "victim%outside.test@[127.0.0.1]",
        "@example.test:victim@outside.test",
        "outside.test!victim",
        '"victim@outside.test"',
    ):
        # "Not now" is a no, too; nobody comes back after having been let in.
        assert ask(host, recipient, family)[0] >= 450, recipient


@pytest.mark.parametrize("host", ["mail8", "mail9"])
def test_nobody_relays_from_a_neighbour(host):
    for option, server in (("-4", address(host)), ("-6", address(host, 6))):
        said = on(
            "mail6",
            f"swaks {option} --server {server} --from a@outside.test --to victim@outside.test "
            "--quit-after RCPT 2>&1; echo rc=$?",
        )
        # 24: no recipient was taken.
        assert "Relay access denied" in said, said
        assert "rc=24" in said, said


def test_the_null_client_listens_to_nobody():
    for family in (4, 6):
        with pytest.raises(OSError, match="refused"):
            ask("mail7", "root@mail7.example.test", family)


def test_the_mail_host_receives_for_its_domains():
    assert ask("mail6", "nosuch@example.org")[0] == 550
    assert ask("mail6", "alice@example.org", data="Subject: one\r\n\r\nfrom outside")[0] == 250
    assert ask("mail6", "alice@example.test", 6, "Subject: two\r\n\r\nover IPv6")[0] == 250
    assert arrives("mail6", "alice", "from outside")
    assert arrives("mail6", "alice", "over IPv6")


@pytest.mark.parametrize("family", [4, 6])
def test_mail_leaves_from_the_chosen_address(family):
    chosen = address("mail6", family).removesuffix("16") + "61"
    literal = address("mail9") if family == 4 else "ipv6:" + address("mail9", 6)
    on("mail6", f"printf 'Subject: over {family}\n\n' | sendmail 'bob@[{literal}]'")
    assert f"{chosen}]" in arrives("mail9", "bob", f"Subject: over {family}")


@pytest.mark.parametrize(("host", "value"), [("mail6", "yes"), ("mail8", "no"), ("mail9", None)])
def test_the_chosen_address_is_enforced_where_postfix_can(host, value):
    shown = on(host, "postconf smtp_bind_address_enforce 2>/dev/null || true")
    # Debian 11 has a Postfix that does not know it, and is not given it.
    assert shown == (f"smtp_bind_address_enforce = {value}\n" if value else "")


@pytest.mark.parametrize("port", [587, 465])
def test_users_log_in_encrypted_only(port):
    with submission(port) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("alice", "wrong")
        client.login("alice", PASSWORD)
        client.sendmail("alice@example.test", f"friend{port}@outside.test", "Subject: x\r\n\r\n")
    assert until(lambda: f"to=<friend{port}@outside.test>, relay=mx.outside" in on("mail6", LOG))


def test_without_login_nobody_submits():
    with submission(587) as client:
        client.mail("a@example.test")
        # Not even to a domain of the host's own.
        assert client.rcpt("alice@example.test")[0] == 554


@pytest.mark.parametrize("host", HOSTS)
def test_root_is_a_person(host):
    on(host, f"printf 'Subject: cron\n\nfrom root of {host}\n' | sendmail root")
    message = arrives("mail6", "alice", f"from root of {host}")
    assert f"<root@{host}.example.test>" in message
    if host == "mail7":
        # The null client's way is through the relay, which logs in at the mail host.
        assert "by mail9.example.test" in message
        assert "sasl_username=alice" in on("mail6", LOG)


def test_a_backup_mx_keeps_mail_while_the_primary_is_away():
    # It asks the primary, and keeps the answer.
    assert until(lambda: ask("mail8", "alice@example.org")[0] == 250)
    assert until(lambda: ask("mail8", "nosuch@example.org")[0] == 550)
    on("mail6", "systemctl stop postfix")
    try:
        taken = ask("mail8", "alice@example.org", data="Subject: late\r\n\r\nwhile away")
        assert taken[0] == 250
        # Nobody was asked about this one: the sender keeps it, and no bounce is ever sent.
        assert ask("mail8", "never@example.org")[0] == 450
        assert until(lambda: "alice@example.org" in on("mail8", "postqueue -p"))
    finally:
        on("mail6", "systemctl start postfix")
    on("mail8", "postqueue -f")
    assert arrives("mail6", "alice", "while away")
    assert until(lambda: "queue is empty" in on("mail8", "postqueue -p"))
    # Nothing went to the stranger who had named recipients that nobody knows.
    assert "to=<stranger@outside.test>" not in on("mail8", LOG + " -t postfix/bounce")
    assert "queue_lifetime = 14d" in on("mail8", "postconf maximal_queue_lifetime")


@pytest.mark.parametrize(("answer", "code"), [("127.0.0.2", 554), ("127.255.255.254", 250)])
def test_a_blocklist_counts_and_its_error_does_not(answer, code):
    world("record", LISTED, "A", answer)
    try:
        # A process keeps the answers that it got.
        on("mail8", "postfix reload")
        assert answer in on("mail8", f"getent ahostsv4 {LISTED}")
        assert until(lambda: ask("mail8", "alice@example.org")[0] == code)
    finally:
        world("record", LISTED, "A", "none")
        on("mail8", "postfix reload")


def test_the_password_is_for_root_only():
    assert on("mail9", "stat -c %a:%U /etc/postfix/mailhost/sasl_passwd") == "600:root\n"
    # Nowhere else, neither in a copy.
    others = "find /etc /var/spool/postfix -type f ! -path /etc/postfix/mailhost/sasl_passwd"
    assert on("mail9", f"{others} -exec grep -lF '{PASSWORD}' {{}} + || true") == ""
