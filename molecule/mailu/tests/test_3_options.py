# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that change, certificates that are renewed, another network; and what Compose thinks."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import time

from ansible_collections.postmaster.mailhost.plugins.plugin_utils import mailu_compose, mailu_plan
from certbot import LIVE, authority, renew
from role import run
from sandbox.hosts import find
from scenario import on

HOST = find("mail6")
FILES = "Compose project and overrides"
SETTINGS = "Settings in mailu.env"
START = "Start the stack"
DOWN = "Take the stack down, as its network or its release series changes"
STARTED = "docker inspect -f '{{.Name}} {{.State.StartedAt}}' $(docker ps -q) | sort"


def combinations():
    """Every choice of every option."""
    flags = sorted(name for name, value in mailu_compose.DEFAULTS.items() if value in (True, False))
    for webmail in ("roundcube", "snappymail", "none"):
        for values in itertools.product((True, False), repeat=len(flags)):
            yield {"webmail": webmail, **dict(zip(flags, values, strict=True))}


def test_compose_takes_what_every_choice_leads_to():
    rest = {
        "version": "2024.06",
        "root": "/mailu",
        "subnet": "192.168.203.0/24",
        "bind_ipv4": "192.0.2.1",
        "ports": [25, 80, 443, 465, 993, 995, 4190],
    }
    more = {"mtu": 1400, "egress_ipv4": "192.0.2.2", "subnet6": "fd12:3456:7890::/64"}
    more["bind_ipv6"] = "2001:db8::1"
    less = {"mtu": 0, "egress_ipv4": "", "subnet6": "", "bind_ipv6": ""}
    texts = {}
    for number, choice in enumerate(combinations()):
        series = ("2024.06", "master", "2.0")[number % 3]
        options = {**rest, **(more if number % 2 else less), **choice, "series": series}
        project = mailu_compose.compose(options)
        # Files that every service is given need not be there for this.
        for service in project["services"].values():
            service.pop("env_file", None)
        # One of each kind of service is enough, and keeps the number of calls small.
        texts[json.dumps(project, sort_keys=True)] = mailu_plan.dump(project)
    chosen = list(texts.values())[::16]
    assert len(texts) == 384
    folder = "/tmp/choices"
    payload = json.dumps(chosen).encode().hex()
    on("mail6", f"mkdir -p {folder}; : > {folder}/all")
    for begin in range(0, len(payload), 60000):
        on("mail6", f"printf %s {payload[begin : begin + 60000]} >> {folder}/all")
    on(
        "mail6",
        f"cd {folder}; python3 -c \"import json; [open(str(n), 'w').write(t) for n, t in enumerate("
        "json.loads(bytes.fromhex(open('all').read())))]\"",
    )
    refused = on(
        "mail6",
        f"cd {folder}; for file in $(seq 0 {len(chosen) - 1}); do "
        "docker compose -f $file config -q 2>&1 || echo refused $file; done",
    )
    assert refused == ""


def test_an_option_that_is_switched_off_takes_its_service_and_its_network_with_it():
    assert "mailu-webdav-1" in on("mail6", "docker ps")
    done = run("--check", limit="mail6", mailu_webdav=False)
    foretold = done.changed
    done = run(limit="mail6", mailu_webdav=False)
    assert done.rc == 0, done.message
    removed = "Remove networks of what was switched off"
    assert done.changed == [FILES, SETTINGS, START, removed]
    assert foretold == [FILES, SETTINGS, "Foretell the start"]
    assert "mailu-webdav-1" not in on("mail6", "docker ps -a")
    assert "mailu_radicale" not in on("mail6", "docker network ls")
    done = run(limit="mail6")
    assert (done.rc, done.changed) == (0, [FILES, SETTINGS, START]), done.message


def served():
    """The certificates that HTTPS and IMAPS show, as text of digits."""
    found = []
    for port in (443, 993):
        context = ssl.create_default_context(cadata=authority())
        with (
            socket.create_connection((HOST.ipv4, port), 20) as plain,
            context.wrap_socket(plain, server_hostname=HOST.fqdn) as connection,
        ):
            found.append(connection.getpeercert()["serialNumber"])
    return found


def test_a_renewed_certificate_is_taken_over_without_a_restart():
    before, started = served(), on("mail6", STARTED)
    renew()
    # As certbot calls it.
    on(
        "mail6",
        f"RENEWED_LINEAGE={LIVE} /etc/letsencrypt/renewal-hooks/deploy/mailhost-mailu",
    )
    end = time.monotonic() + 90
    while time.monotonic() < end:
        now = served()
        if not set(now) & set(before):
            break
        time.sleep(1)
    assert len(set(now)) == 1
    assert not set(now) & set(before)
    assert on("mail6", STARTED) == started
    assert run(limit="mail6").changed == []
    assert on("mail6", "test -L /mailu/certs/cert.pem || echo file") == "file\n"


def test_a_certificate_that_does_not_serve_is_refused_and_the_old_one_stays():
    before = served()
    renew(names=("other.example.test",))
    try:
        done = run(limit="mail6")
        assert done.failed == ["Copy the certificate"]
        assert "mail6.example.test" in done.message
        assert served() == before
    finally:
        renew()
    assert run(limit="mail6").changed == ["Copy the certificate"]


def test_from_one_flavour_of_certificates_to_the_other_and_back():
    pair = {
        "mailu_tls_flavor": "cert",
        "mailu_tls_certificate": "/root/own.pem",
        "mailu_tls_key": "/root/own.key",
    }
    on(
        "mail8",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
        "-subj /CN=mail8.example.test -addext subjectAltName=DNS:mail8.example.test "
        "-keyout /root/own.key -out /root/own.pem 2>/dev/null",
    )
    done = run(limit="mail8", **pair)
    assert done.rc == 0, done.message
    assert done.changed == [SETTINGS, "Copy the certificate", START]
    context = ssl.create_default_context(cadata=on("mail8", "cat /root/own.pem"))
    with (
        socket.create_connection((find("mail8").ipv4, 443), 20) as plain,
        context.wrap_socket(plain, server_hostname="mail8.example.test") as connection,
    ):
        assert connection.getpeercert()
    done = run(limit="mail8")
    assert (done.rc, done.changed) == (0, [SETTINGS, START]), done.message
    # They stay, but another test looks at what happens without them.
    on("mail8", "rm /mailu/certs/cert.pem /mailu/certs/key.pem")


def test_the_stack_moves_to_another_network_and_keeps_its_mail():
    mail = "find /mailu/mail -type f -name '[0-9]*' | sort"
    before = on("mail6", mail)
    done = run(limit="mail6", mailu_subnet="192.168.207.0/24")
    assert done.rc == 0, done.message
    assert done.changed == [DOWN, FILES, SETTINGS, START]
    assert '"192.168.207.0/24"' in on("mail6", "docker network inspect mailu_default")
    # Cut off behind "down", with the files as they were: the next run ends what was begun.
    on("mail6", "cd /mailu && docker compose down")
    done = run(limit="mail6")
    assert done.rc == 0, done.message
    assert '"192.168.203.0/24"' in on("mail6", "docker network inspect mailu_default")
    assert on("mail6", mail) == before
