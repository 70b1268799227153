# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input is refused, in words, before anything is changed."""

from __future__ import annotations

import re

import pytest
from scenario import SITE, on, play_cases

CASES = {
    "no dot": ({"mailcow_hostname": "mail"}, "mailcow_hostname: 'mail' .*no dot.*mail.example.org"),
    "no name": ({"mailcow_hostname": ""}, "mailcow_hostname: '' .*no dot"),
    "unknown stack": ({"mailhost_stack": "exchange"}, "unknown stack 'exchange'; known: mailcow"),
    "unknown key": (
        {"mailcow_config": {"SKIP_CLAM": "y"}},
        r"mailcow_config.SKIP_CLAM: .*no such key \(did you mean SKIP_CLAMD\?\)",
    ),
    "address with a port": (
        {"mailcow_config": {"HTTP_BIND": "1.2.3.4:80"}},
        "mailcow_config.HTTP_BIND: '1.2.3.4:80' .*one IPv4 address without a port",
    ),
    "a blank": (
        {"mailcow_config": {"ADDITIONAL_SAN": "a.example.org, b.example.org"}},
        "mailcow_config.ADDITIONAL_SAN: .*without blanks",
    ),
    "port 70000": (
        {"mailcow_config": {"SMTP_PORT": 70000}},
        "mailcow_config.SMTP_PORT: 70000 .*from 1 to 65535",
    ),
    "another database password": (
        {"mailcow_config": {"DBPASS": "AnotherPassword1"}},
        "DBPASS is not changed: the file has another value; MariaDB takes it only",
    ),
    "another project name": (
        {"mailcow_config": {"COMPOSE_PROJECT_NAME": "other"}},
        "COMPOSE_PROJECT_NAME is not changed: .*new, empty mail server",
    ),
    "an IPv6 address for ports that are on all": (
        {"mailcow_ipv6_bind": "fd99::11"},
        "of use only where ports are bound to an IPv4 address",
    ),
    "a firewall that would not wait": (
        {"firewall_rollback_seconds": 5},
        "firewall_rollback_seconds is 5; allowed: 30 to 3600",
    ),
    "a service that the stack does not have": (
        {"firewall_rules": [{"name": "office", "service": "gopher"}]},
        "rule 'office': service is 'gopher'; allowed: .*HTTPS",
    ),
    "a jail that nobody knows": (
        {"fail2ban_jails": {"shd": {"maxretry": 3}}},
        "jails.shd: there is no such jail; allowed: .*sshd",
    ),
    "an MTU that is none": ({"mailcow_mtu": "many"}, "mailcow_mtu is many; allowed: auto, 0"),
    # A finding of preflight.
    "a network at the wrong place": (
        {"preflight_accept": []},
        "platform.virtualisation.*preflight_accept",
    ),
}
STATE = "sha256sum /opt/mailcow-dockerized/mailcow.conf; docker ps -q | sort"


@pytest.fixture(scope="module")
def runs():
    """What became of each case, and that nothing has changed."""
    before = on("mail1", STATE)
    found = play_cases(SITE, "mail1", {name: extra for name, (extra, _message) in CASES.items()})
    assert on("mail1", STATE) == before
    return found


@pytest.mark.parametrize("name", CASES)
def test_refused_before_anything_is_changed(runs, name):
    run, message = runs[name], CASES[name][1]
    assert run.rc != 0
    assert re.search(message, run.message, re.DOTALL), run.message
    assert run.changed == []
    assert len(run.failed) == 1
    assert "Traceback" not in run.output
    assert "AnotherPassword1" not in run.output
