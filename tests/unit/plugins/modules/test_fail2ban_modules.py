# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for fail2ban and for mailcow's netfilter, as Ansible calls them."""

from __future__ import annotations

import pytest
from ansible.module_utils import basic
from ansible_collections.postmaster.mailhost.plugins.modules import (
    fail2ban_config,
    fail2ban_info,
    mailcow_netfilter,
)


@pytest.fixture
def on(make_host, monkeypatch):
    """Return a function: module, files and answers -> the module works on that machine."""

    def place(module, files=None, recorded=None):
        host = make_host(files or {}, recorded or {})
        monkeypatch.setattr(module, "Host", lambda: host)
        return host

    return place


def test_a_bare_host_is_foretold(on, run_module):
    host = on(fail2ban_config, {"/usr/sbin/sshd": ""}, {"units": {}, "programs": ["nft", "sshd"]})
    result = run_module(fail2ban_config, True, controller="198.51.100.7")
    assert result["changed"] and result["backend"] == "nftables"
    assert [jail["name"] for jail in result["jails"] if jail["active"]] == ["sshd"]
    assert any("jail.d/mailhost.local" in item["after_header"] for item in result["diff"])
    assert not host.exists("/etc/fail2ban")
    result = run_module(fail2ban_config, controller="198.51.100.7")
    assert result["failed"] and "fail2ban is not installed" in result["msg"]


def test_wrong_settings_are_an_error(on, run_module):
    on(fail2ban_config, {}, {"units": {}})
    for options, words in (
        ({"bantime": "soon"}, "bantime is 'soon'"),
        ({"jails": {"sshd": {"colour": 1}}}, "jails.sshd has no setting 'colour'"),
        ({"stack": "other"}, "stack must be one of"),
    ):
        result = run_module(fail2ban_config, True, **options)
        assert result["failed"] and words in result["msg"]


def test_nothing_to_take_away(on, run_module):
    on(fail2ban_config, {}, {"units": {}})
    result = run_module(fail2ban_config, state="absent")
    assert (result["changed"], result["jails"], result["backend"]) == (False, [], "")


def test_no_fail2ban_is_a_finding(on, run_module):
    on(fail2ban_info)
    result = run_module(fail2ban_info)
    assert [item["status"] for item in result["findings"]] == ["fail"]
    assert not result["changed"]


def test_no_mailcow_is_a_warning(on, run_module, monkeypatch):
    on(mailcow_netfilter)
    told = []
    # In a process that is a controller as well, the module's result has no warnings.
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda self, text, **more: told.append(text))
    result = run_module(mailcow_netfilter, allow=["192.0.2.1"])
    assert (result["changed"], result["found"]) == (False, False)
    assert told == ["mailcow does not run on this host: its netfilter was not told anything"]
    result = run_module(mailcow_netfilter, allow=["x"])
    assert result["failed"] and "allow has 'x'" in result["msg"]
