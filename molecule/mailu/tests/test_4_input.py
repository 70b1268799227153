# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be is refused, in words, before anything is changed."""

from __future__ import annotations

import json
import re

import pytest
from role import PLAYBOOK, QUICK, run
from scenario import on, play_cases

FILES = "cd /mailu; sha256sum mailu.env .env docker-compose.yml; docker ps -q | sort"

# What is wrong whatever the host is like; the others are in the unit tests.
INPUT = {
    "no dot": ({"mailu_hostnames": ["mail"]}, "mailu_hostnames: 'mail' is not usable"),
    "no names": ({"mailu_hostnames": []}, "mailu_hostnames: ''"),
    "a blank": ({"mailu_hostnames": "a.example.org, b.example.org"}, "mailu_hostnames: .*without"),
    "no domain": ({"mailu_domain": ""}, "mailu_domain: '' is not usable"),
    "unknown key": ({"mailu_config": {"WEBMIAL": "x"}}, r"\(did you mean WEBMAIL\?\)"),
    "old key": ({"mailu_config": {"AUTH_RATELIMIT": "1/day"}}, "replaced by AUTH_RATELIMIT_IP"),
    "open relay": ({"mailu_config": {"RELAYNETS": "0.0.0.0/0"}}, "RELAYNETS: .*open relay"),
    "legacy flavour": ({"mailu_tls_flavor": "mail"}, "mailu_tls_flavor: 'mail'"),
    "the banner": (
        {"mailu_overrides": {"postfix": {"postfix.cf": "smtpd_banner = x"}}},
        "mailu_overrides: postfix/postfix.cf: .*smtpd_banner",
    ),
    "holes": ({"mailu_version": "2024.06.5"}, "known security holes"),
    "no password": ({"mailu_admin_account": {"email": "a@example.org"}}, "mailu_admin_account"),
    "older series": (
        {"mailu_version": "2.0", "mailu_accept_insecure_version": True},
        "2.0 is older than 2024.06, which is on the host",
    ),
    "another secret key": (
        {"mailu_config": {"SECRET_KEY": "AnotherSecret123"}},
        "SECRET_KEY is not changed: the file has another value; all sessions",
    ),
    "another database": (
        {
            "mailu_config": {
                "DB_FLAVOR": "mysql",
                "DB_HOST": "h",
                "DB_NAME": "n",
                "DB_USER": "u",
                "DB_PW": "AnotherSecret123",
            }
        },
        "DB_FLAVOR is not changed: .*empty database",
    ),
    "a network that is taken": (
        {"mailu_subnet": "172.17.0.0/24"},
        "network.subnets: 172.17.0.0/24 overlaps 172.17.0.0/16",
    ),
    "every address": (
        {"mailu_bind_ipv4": "0.0.0.0"},
        "mailu_bind_ipv4: '0.0.0.0' is an open relay",
    ),
    "IPv6 through the helper": (
        {"mailu_bind_ipv6": "2001:db8::1"},
        "mailu_bind_ipv6: .*userland proxy",
    ),
    "files that are not there": (
        {"mailu_tls_flavor": "cert"},
        "/mailu/certs/cert.pem and /mailu/certs/key.pem are not both there",
    ),
}


def refused(done, message):
    """Was it, with these words, and before any change?"""
    assert done.rc != 0
    assert re.search(message, done.message, re.DOTALL), done.message
    assert done.changed == []
    assert len(done.failed) == 1
    assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def runs():
    """What became of each case, and that nothing has changed."""
    before = on("mail8", FILES)
    cases = {name: extra for name, (extra, _message) in INPUT.items()}
    cases["no resolver of its own"] = {"mailu_resolver": False}
    found = play_cases(PLAYBOOK, "mail8", cases, **QUICK)
    assert on("mail8", FILES) == before
    return found


@pytest.mark.parametrize("name", INPUT)
def test_refused_before_anything_is_changed(runs, name):
    refused(runs[name], INPUT[name][1])
    assert "AnotherSecret123" not in runs[name].output


def test_an_engine_without_packet_filter_rules_is_refused():
    path = "/etc/docker/daemon.json"
    text = on("mail8", f"cat {path}")
    broken = json.dumps({**json.loads(text), "iptables": False})
    on("mail8", f"cp {path} /root/daemon.json; echo '{broken}' > {path}")
    try:
        # The engine itself has not read it yet; it would at the next restart.
        refused(
            run(limit="mail8"),
            "engine.iptables: iptables is false in /etc/docker/daemon.json: an open relay",
        )
    finally:
        on("mail8", f"cp /root/daemon.json {path}")


def test_without_its_own_resolver_the_hosts_must_validate(runs):
    refused(runs["no resolver of its own"], "resolver.dnssec: .*does not validate")
