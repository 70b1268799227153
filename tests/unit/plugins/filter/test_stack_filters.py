# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters and lookup of the stacks' data, as Jinja sees them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError, AnsibleLookupError
from ansible_collections.postmaster.mailhost.plugins.filter.stack_action import stack_action
from ansible_collections.postmaster.mailhost.plugins.filter.stack_config import stack_config
from ansible_collections.postmaster.mailhost.plugins.filter.stack_override import stack_override
from ansible_collections.postmaster.mailhost.plugins.lookup.stack import LookupModule

OWN = {"MAILCOW_HOSTNAME": ["mailcow_hostname", "mail.example.org"]}


def test_config():
    result = stack_config({"HTTP_PORT": 8080}, "mailcow", OWN, option="mailcow_config")
    assert result["problems"] == []
    assert result["values"]["HTTP_PORT"] == "8080"
    assert result["values"]["MAILCOW_HOSTNAME"] == "mail.example.org"


def test_action():
    assert stack_action(["IPV4_NETWORK"], "mailcow") == "down_up"


def test_override_joins_what_the_host_needs_and_what_is_given():
    given = {"services": {"postfix-mailcow": {"ports": ["2525:25"]}}}
    effective = {"SMTP_PORT": "192.0.2.1:25"}
    assert stack_override(given, "mailcow", 1450, "2001:db8::1", effective) == {
        "networks": {"mailcow-network": {"driver_opts": {"com.docker.network.driver.mtu": "1450"}}},
        "services": {"postfix-mailcow": {"ports": ["[2001:db8::1]:25:25", "2525:25"]}},
    }
    assert stack_override({}, "mailcow") == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stack_config({}, "exchange"), "unknown stack 'exchange'; known: mailcow"),
        (lambda: stack_config(["a"], "mailcow"), "config: 'list'; allowed: a dictionary"),
        (lambda: stack_action([], "exchange"), "unknown stack"),
        (lambda: stack_override({}, "exchange"), "unknown stack"),
        (lambda: stack_override({}, "mailcow", ipv6_bind="::1"), "bound to an IPv4 address"),
        (lambda: stack_override({"networks": []}, "mailcow", 1450), "networks: a mapping stands"),
    ],
)
def test_wrong_input_is_a_filter_error(call, message):
    with pytest.raises(AnsibleFilterError, match=message):
        call()


def test_lookup():
    lookup = LookupModule()
    (data,) = lookup.run(["mailcow"])
    assert data["requirements"]["memory_mib"] == 6144
    with pytest.raises(AnsibleLookupError, match="known: mailcow"):
        lookup.run(["exchange"])
