# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused on the controller is what the module would refuse on the host."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.firewall_refusal import FilterModule

refusal = FilterModule().filters()["firewall_refusal"]

# As a role has them: everything is there, and what is not wanted is empty.
ROLE = {"stack": "", "config": {}, "rules": [], "host_rules": [], "sets": [], "snat": []}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stack": "mailcow", "config": {"HTTPS_PORT": 8443}},
        # Templates make texts of numbers, and of lists with one entry.
        {"rules": [{"name": "x", "ports": 8080, "action": "limit", "burst": "20", "log": "yes"}]},
        {"rules": [{"name": "x", "ports": [1], "sources": "192.0.2.1", "families": "ipv4"}]},
        {"sets": [{"name": "s", "path": "/not/on/the/controller"}], "ssh_ports": ["22"]},
        {"rules": [{"name": "x", "set": "s"}], "sets": [{"name": "s", "path": "/a"}]},
    ],
)
def test_what_can_be_used(options):
    assert refusal({**ROLE, **options}) == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rules": [{"name": "x", "ports": ["0"]}]}, "rule 'x': ports has '0'; allowed: 1 to"),
        ({"rules": [{"name": "x", "service": "gopher"}]}, "rule 'x': service is 'gopher'"),
        ({"rules": [{"ports": [1]}]}, "name found in rules"),
        ({"stack": "exchange"}, "stack must be one of"),
        ({"stack": "mailcow", "config": {"MAGIC": 1}}, "config has 'MAGIC'"),
        ({"policy": "deny"}, "policy must be one of"),
        ({"admin_sources": ["me"]}, "admin_sources has 'me'"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_what_cannot(options, words):
    assert words in refusal({**ROLE, **options})


def test_seconds_out_of_range():
    assert refusal(ROLE, check_seconds=4) == "firewall_check_seconds is 4; allowed: 5 to 3600"
    said = refusal(ROLE, rollback_seconds="5")
    assert said == "firewall_rollback_seconds is 5; allowed: 30 to 3600"
    assert "invalid literal" in refusal(ROLE, check_seconds="often")


def test_no_dictionary():
    with pytest.raises(AnsibleFilterError, match="wants a dictionary"):
        refusal([])
