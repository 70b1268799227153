# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mail host as clients see it from outside."""

from __future__ import annotations

import http.client
import imaplib
import json
import poplib
import smtplib
import socket
import ssl
from contextlib import closing

import pytest
from sandbox.hosts import find
from scenario import on

HOST = find("mail1")
CONF = "/opt/mailcow-dockerized/mailcow.conf"


@pytest.fixture(scope="session")
def trust():
    """TLS that believes the certificate on the host and nothing else, and compares the name."""
    certificate = on("mail1", "cat /opt/mailcow-dockerized/data/assets/ssl/cert.pem")
    return ssl.create_default_context(cadata=certificate)


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """The controller finds the host by its name."""
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: ask(HOST.ipv4 if host == HOST.fqdn else host, *more, **named),
    )


@pytest.mark.parametrize("port", [25, 587])
def test_smtp_with_starttls(port, trust):
    with smtplib.SMTP(HOST.fqdn, port, timeout=30) as client:
        client.ehlo("client.example.test")
        assert client.ehlo_resp.split()[0].decode() == HOST.fqdn
        assert client.has_extn("starttls")
        client.starttls(context=trust)
        client.ehlo("client.example.test")
        assert client.noop()[0] == 250


def test_smtp_over_tls(trust):
    with smtplib.SMTP_SSL(HOST.fqdn, 465, timeout=30, context=trust) as client:
        assert client.noop()[0] == 250


def test_a_wrong_password_fails_properly(trust):
    with (
        imaplib.IMAP4_SSL(HOST.fqdn, 993, ssl_context=trust, timeout=30) as client,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        client.login("nobody@example.test", "wrong")


def test_imap_with_starttls(trust):
    with imaplib.IMAP4(HOST.fqdn, 143, timeout=30) as client:
        client.starttls(trust)
        assert client.noop()[0] == "OK"


def test_pop3_over_tls(trust):
    client = poplib.POP3_SSL(HOST.fqdn, 995, timeout=30, context=trust)
    assert client.getwelcome().startswith(b"+OK")
    client.quit()


def test_https(trust):
    client = http.client.HTTPSConnection(HOST.fqdn, 443, timeout=30, context=trust)
    with closing(client):
        client.request("GET", "/")
        with client.getresponse() as answer:
            assert answer.status == 200


def test_http_goes_to_https():
    client = http.client.HTTPConnection(HOST.fqdn, 80, timeout=30)
    with closing(client):
        client.request("GET", "/")
        with client.getresponse() as answer:
            assert answer.status in (301, 302, 308)
            assert answer.getheader("Location").startswith("https://" + HOST.fqdn)


@pytest.mark.parametrize("port", [3306, 6379, 7654, 12345, 13306, 19991, 2525])
def test_what_is_for_the_host_alone_is_closed(port):
    with socket.socket() as client:
        client.settimeout(3)
        assert client.connect_ex((HOST.ipv4, port)) != 0


def test_the_extra_port_of_the_override_is_open_on_loopback():
    assert on(
        "mail1", "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/2525; head -1 <&3'"
    ).startswith("220 " + HOST.fqdn)


def test_the_network_has_the_mtu_and_ipv6_of_the_settings():
    network = on("mail1", "docker network inspect mailcowdockerized_mailcow-network")
    assert '"com.docker.network.driver.mtu": "1400"' in network
    assert '"172.22.1.0/24"' in network


def test_files_are_for_their_readers_only():
    shown = on(
        "mail1",
        "cd /opt/mailcow-dockerized; stat -c '%a %n' mailcow.conf data/assets/ssl/key.pem; "
        "stat -Lc %a docker-compose.yml",
    )
    assert shown.split("\n")[:3] == ["600 mailcow.conf", "600 data/assets/ssl/key.pem", "644"]


def test_bash_and_compose_read_the_file_alike():
    keys = ["DBPASS", "TZ", "WATCHDOG_NOTIFY_WEBHOOK_BODY", "HTTP_BIND", "IPV6_NETWORK"]
    compose = {"services": {"s": {"image": "x", "environment": {k: "${%s}" % k for k in keys}}}}
    on("mail1", f"mkdir -p /tmp/read && echo '{json.dumps(compose)}' > /tmp/read/compose.yaml")
    read = f"docker compose -f /tmp/read/compose.yaml --env-file {CONF} config --format json"
    seen = json.loads(on("mail1", read))["services"]["s"]["environment"]
    for key in keys:
        by_bash = on("mail1", f"bash -c '. {CONF}; printf %s \"${key}\"'")
        # Compose prints a $ as $$, so that its output can be read again.
        assert by_bash == (seen[key] or "").replace("$$", "$"), key
    assert seen["WATCHDOG_NOTIFY_WEBHOOK_BODY"] == '{"text": "**$${SUBJECT}**\\n$${BODY}"}'
