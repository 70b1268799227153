# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail hosts as clients see them from outside."""

from __future__ import annotations

import http.client
import imaplib
import poplib
import re
import smtplib
import socket
import ssl
import time
from contextlib import closing

import pytest
import scenario
from certbot import authority
from sandbox.hosts import find
from scenario import on

HOST, OTHER = find("mail6"), find("mail8")
ANNA = ("anna@example.test", "correct horse 4711")
USER = ("user@example.test", "battery staple")


@pytest.fixture(scope="session")
def trust():
    """TLS that believes the authority that issued the files, and nobody else."""
    return ssl.create_default_context(cadata=authority())


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """The controller finds the hosts by their names."""
    ask = socket.getaddrinfo
    known = {HOST.fqdn: HOST.ipv4, OTHER.fqdn: OTHER.ipv4}
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: ask(known.get(host, host), *more, **named),
    )


def imap(trust):
    return imaplib.IMAP4_SSL(HOST.fqdn, 993, ssl_context=trust, timeout=20)


def test_mail_goes_in_and_comes_out_with_the_right_password(trust):
    subject = f"scenario {time.time()}"
    with smtplib.SMTP_SSL(HOST.fqdn, 465, timeout=20, context=trust) as client:
        client.login(*ANNA)
        client.sendmail(ANNA[0], [USER[0]], f"Subject: {subject}\r\n\r\nHello.\r\n")
    end = time.monotonic() + 60
    with imap(trust) as client:
        client.login(*USER)
        while True:
            client.select("INBOX", readonly=True)
            found = client.search(None, "SUBJECT", f'"{subject}"')[1][0]
            if found or time.monotonic() > end:
                break
            time.sleep(1)
    assert found, "it did not arrive"


def test_a_wrong_password_is_refused(trust):
    with imap(trust) as client, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(ANNA[0], "wrong")
    with smtplib.SMTP_SSL(HOST.fqdn, 465, timeout=20, context=trust) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(USER[0], "wrong")
        assert refused.value.smtp_code == 535


def test_mail_for_the_postmaster_is_taken():
    with smtplib.SMTP(HOST.fqdn, 25, timeout=20) as client:
        client.ehlo("client.example.test")
        assert client.mail("someone@outside.test")[0] == 250
        assert client.rcpt("postmaster@example.test")[0] == 250
        assert client.rcpt("nobody-here@example.test")[0] >= 500


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_nobody_relays_over_either_family(family):
    with smtplib.SMTP(getattr(HOST, family), 25, timeout=20) as client:
        client.ehlo("client.example.test")
        assert client.ehlo_resp.split()[0].decode() == HOST.fqdn
        assert client.has_extn("starttls")
        # Nobody logs in where servers deliver.
        assert not client.has_extn("auth")
        client.mail("someone@outside.test")
        code, text = client.rcpt("someone@elsewhere.test")
        assert code >= 500, text


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_the_daemons_see_who_asks(family):
    with smtplib.SMTP(getattr(HOST, family), 25, timeout=20) as client:
        client.ehlo("client.example.test")
        mine = client.sock.getsockname()[0]
        client.mail("someone@outside.test")
        client.rcpt("someone@elsewhere.test")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if f"[{mine}]" in on("mail6", "journalctl -t mailu-smtp -n 100 -o cat"):
            return
        time.sleep(0.5)
    raise AssertionError(f"{mine} is not in the log of smtp")


@pytest.mark.parametrize("port", [110, 143])
def test_ports_that_were_asked_for_are_open(port, trust):
    if port == 143:
        with imaplib.IMAP4(HOST.fqdn, 143, timeout=20) as client:
            client.starttls(trust)
            assert client.noop()[0] == "OK"
    else:
        client = poplib.POP3(HOST.fqdn, 110, timeout=20)
        assert client.getwelcome().startswith(b"+OK")
        client.quit()


@pytest.mark.parametrize("port", [110, 143, 587, 8080, 6379, 11334])
def test_what_nobody_asked_for_is_closed(port):
    with socket.socket() as client:
        client.settimeout(3)
        assert client.connect_ex((OTHER.ipv4, port)) != 0


def get(host, path, context, **headers):
    client = http.client.HTTPSConnection(host.fqdn, 443, timeout=20, context=context)
    with closing(client):
        client.request("GET", path, headers=headers)
        with client.getresponse() as answer:
            return answer.status, answer.getheader("Location") or ""


def test_web(trust):
    assert get(HOST, "/", trust) == (302, "/webmail")
    # Of the override.
    assert get(HOST, "/scenario", trust)[0] == 204
    assert get(HOST, "/api/v1/domain", trust)[0] in (401, 403)
    assert get(HOST, "/api/v1/domain", trust, Authorization="scenario-token-7c21")[0] == 200


def test_http_goes_to_https():
    client = http.client.HTTPConnection(OTHER.fqdn, 80, timeout=20)
    with closing(client):
        client.request("GET", "/")
        with client.getresponse() as answer:
            assert (answer.status, answer.getheader("Location")) == (
                301,
                f"https://{OTHER.fqdn}/",
            )


def test_networks_are_as_they_were_asked_for():
    network = on("mail6", "docker network inspect mailu_default")
    assert '"com.docker.network.driver.mtu": "1400"' in network
    assert '"EnableIPv6": true' in network
    assert '"EnableIPv6": false' in on("mail8", "docker network inspect mailu_default")
    held = on("mail8", "ss -Hltn 'sport = :25'").split()
    assert f"{OTHER.ipv4}:25" in held
    assert not any(word.startswith(("[::]:", "*:", "0.0.0.0:25")) for word in held), held


def test_the_value_that_means_what_was_said():
    settings = on("mail6", "docker compose -f /mailu/docker-compose.yml exec -T smtp env")
    assert "DEFER_ON_TLS_ERROR=\n" in settings
    assert "SITENAME=Post of the scenario\n" in settings


def test_files_are_for_their_readers_only():
    shown = on(
        "mail6", "cd /mailu; stat -c '%a %n' mailu.env certs/key.pem docker-compose.yml .env"
    )
    assert shown.split("\n")[:4] == [
        "600 mailu.env",
        "600 certs/key.pem",
        "644 docker-compose.yml",
        "644 .env",
    ]


def test_the_records_to_publish_have_mailus_key():
    text = (scenario.STATE / "mail6.zone").read_text()
    key = on("mail6", "openssl rsa -in /mailu/dkim/example.test.dkim.key -pubout 2>/dev/null")
    digits = "".join(line for line in key.splitlines() if "---" not in line)
    assert digits in "".join(re.findall(r'"([^"]*)"', text))
    assert re.search(r"^example\.test\.\s+\d+\s+IN\s+MX\s+10 mail6\.example\.test\.", text, re.M)
    assert "p=quarantine" in text
