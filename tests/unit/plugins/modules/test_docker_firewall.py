# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module says before it looks at the host; the rest is in tests/kernel."""

from __future__ import annotations

import inspect

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import ruleset
from ansible_collections.postmaster.mailhost.plugins.modules import docker_firewall

OPTIONS = yaml.safe_load(docker_firewall.DOCUMENTATION)["options"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rules": [{"name": "x", "ports": ["0"]}]}, "rule 'x': ports has '0'; allowed: 1 to"),
        ({"rules": [{"name": "x", "service": "smtp"}]}, "rule 'x': service is 'smtp'"),
        ({"stack": "mailcow", "config": {"MAGIC": 1}}, "config has 'MAGIC'"),
        ({"sets": [{"name": "x", "path": "/proc"}]}, "set 'x': cannot read /proc"),
        ({"admin_sources": ["me"]}, "admin_sources has 'me'"),
    ],
)
def test_wrong_input_is_refused(run_module, options, words):
    result = run_module(docker_firewall, check_mode=True, **options)
    assert result["failed"] is True
    assert words in result["msg"]
    assert "Traceback" not in run_module.output


def test_a_rule_has_the_same_keys_everywhere():
    for option in ("rules", "host_rules"):
        assert list(OPTIONS[option]["suboptions"]) == list(ruleset.RULE_KEYS)
    assert sorted(OPTIONS["snat"]["suboptions"]) == sorted(ruleset.SNAT_KEYS)
    assert set(ruleset.SET_KEYS) < set(OPTIONS["sets"]["suboptions"])


def test_defaults_are_those_of_the_rules():
    defaults = inspect.signature(ruleset.build).parameters
    for option in ("policy", "host_policy", "ssh_ports", "admin_sources", "bridges"):
        value = defaults[option].default
        documented = OPTIONS[option]["default"]
        assert documented == (value if isinstance(value, str) else list(value))
    assert tuple(OPTIONS["rules"]["suboptions"]["action"]["choices"]) == ruleset.ACTIONS
    assert tuple(OPTIONS["rules"]["suboptions"]["protocol"]["choices"]) == ruleset.PROTOCOLS
    assert tuple(OPTIONS["rules"]["suboptions"]["families"]["choices"]) == ruleset.FAMILIES
