# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may relay, as clients outside and on the host see it."""

from __future__ import annotations

import smtplib

import pytest
from qmail_host import (
    CONTROL,
    FILES,
    HOST,
    NAME,
    PLAYBOOK,
    RELAY,
    calls,
    in_force,
    local_session,
    session,
)
from sandbox.hosts import find
from scenario import on, play

FAR = "somebody@far.example"
NOT_HERE = "that domain isn't in my list of allowed rcpthosts"


@pytest.mark.parametrize(
    "recipient",
    [f"root@{NAME}", "a@virtual.example.test", "a@more.example.test", "A@MORE.example.test"],
)
def test_mail_for_our_domains_is_taken(recipient):
    assert session("a@client.example", recipient)[0] == 250


@pytest.mark.parametrize(
    "recipient", [FAR, f"a@sub.{NAME}", "a%far.example@example.test", "a@notmore.example.test"]
)
def test_a_stranger_may_not_relay(recipient):
    code, text = session("a@client.example", recipient)
    assert code == 553 and NOT_HERE in text


@pytest.mark.parametrize("sender", ["a@spam.example", "A@SPAM.EXAMPLE", "a@old.example"])
def test_bad_senders_are_refused_also_those_that_were_there_before(sender):
    code, text = session(sender, f"root@{NAME}")
    assert code == 553 and "badmailfrom" in text


def test_the_host_itself_may_relay():
    for source in ("127.0.0.1", "127.1.2.3"):
        assert local_session(FAR, source).startswith("250")


def test_recipients_of_those_who_relay_stay_as_they_are():
    # RELAYCLIENT=" " had appended its blank to each.
    queued = on(HOST, "/var/qmail/bin/qmail-qread")
    program = "import smtplib; smtplib.SMTP('127.0.0.1').sendmail('a@b.example', ['whole@far.example'], 'x')"
    on(HOST, f'python3 -c "{program}"')
    new = on(HOST, "/var/qmail/bin/qmail-qread | cat -A")
    assert "whole@far.example" not in queued
    assert "^Iremote^Iwhole@far.example$" in new


def test_what_is_too_big_is_refused():
    # 10M had been ten bytes.
    with smtplib.SMTP(find(HOST).ipv4, timeout=20) as client:
        client.sendmail("a@client.example", [f"root@{NAME}"], "x" * 60 + "\r\n")
        with pytest.raises(smtplib.SMTPDataError, match="databytes limit"):
            client.sendmail("a@client.example", [f"root@{NAME}"], ("x" * 70 + "\r\n") * 2000)


def test_what_qmail_send_goes_by():
    force = in_force()
    assert force["concurrencyremote"] == 40 and force["concurrencylocal"] == 10
    assert force["locals"] == ["localhost", NAME]
    assert force["virtualdomains"] == [
        "virtual.example.test:virtual.example.test",
        "more.example.test:virtual.example.test",
    ]
    # The file is gone; it is me again.
    assert force["doublebouncehost"] == NAME
    # One restart for all of it.
    assert calls().count("qmail-send TERM") == 1 and calls().count("qmail-send start") == 2
    assert calls().count("qmail-newmrh") == 1


def test_a_network_gets_to_relay_and_then_may_not_even_connect():
    network = find(HOST).ipv4.rpartition(".")[0]
    own = {"addresses": ["127.0.0.0/8"], "relay": True}
    extra = {
        "qmail_rules": [own, {"addresses": [f"{network}.0/28"], "relay": True}],
        "qmail_rules_expect": {f"{network}.1": "relay"},
    }
    before = calls()
    run = play(PLAYBOOK, extra=extra)
    assert (run.rc, run.changed) == (0, [RELAY]), run.message
    assert session("a@client.example", FAR)[0] == 250
    # A single address out of it.
    extra["qmail_rules"].append({"addresses": [f"{network}.1"], "action": "deny"})
    extra["qmail_rules_expect"] = {f"{network}.1": "deny", f"{network}.2": "relay"}
    assert play(PLAYBOOK, extra=extra).changed == [RELAY]
    with pytest.raises((smtplib.SMTPException, OSError)):
        session("a@client.example", f"root@{NAME}")
    assert play(PLAYBOOK).changed == [RELAY]
    assert session("a@client.example", f"root@{NAME}")[0] == 250
    assert session("a@client.example", FAR)[0] == 553
    # tcpserver takes new rules by itself.
    assert [call for call in calls()[len(before) :] if call.startswith("qmail-send")] == []


def test_who_read_mail_may_relay():
    address = find(HOST).ipv4.rpartition(".")[0] + ".1"
    entry = f'{address}:allow,RELAYCLIENT="",RBLSMTPD=""\\t'
    on(HOST, f"printf '{entry}%s\\n' $(date +%s) >/home/vpopmail/etc/open-smtp")
    try:
        on(HOST, "/home/vpopmail/bin/clearopensmtp")
        assert session("a@client.example", FAR)[0] == 250
        # vpopmail has compiled what we would.
        assert play(PLAYBOOK).changed == []
        assert session("a@client.example", FAR)[0] == 250
    finally:
        on(
            HOST,
            ": >/home/vpopmail/etc/open-smtp; /home/vpopmail/bin/clearopensmtp; "
            "rm /home/vpopmail/etc/open-smtp",
        )
    assert session("a@client.example", FAR)[0] == 553


def test_without_rcpthosts_the_server_is_an_open_relay_and_the_role_fails():
    on(HOST, f"mv {CONTROL}/rcpthosts /root/")
    try:
        # So it is really one, and the next lines are about something.
        assert session("a@client.example", FAR)[0] == 250
        given = {"qmail_control": {"me": NAME}}
        run = play(PLAYBOOK, extra=given)
        assert run.rc != 0 and run.failed == [FILES]
        assert "rcpthosts does not exist; without this file every client may" in run.message
        assert play(PLAYBOOK).changed == [FILES]
        assert session("a@client.example", FAR)[0] == 553
    finally:
        on(HOST, f"mv /root/rcpthosts {CONTROL}/rcpthosts")
