# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings of the role system ask for, and which of them are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.system_plan import FilterModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    service_mask,
    stack,
    time_sync,
)
from ansible_collections.postmaster.mailhost.plugins.modules import service_mask as mask_module

SPECS = Path(__file__).parents[4] / "roles" / "system" / "meta" / "argument_specs.yml"

FILTERS = FilterModule().filters()
system_plan = FILTERS["system_plan"]
time_packages = FILTERS["time_packages"]


@pytest.mark.parametrize(
    ("name", "swap", "expected"),
    [
        ("mailcow", "auto", stack.get("mailcow")["requirements"]["swap_mib"]),
        ("", "auto", 0),
        ("mailcow", "off", 0),
        # As YAML reads a bare "off", and as the role's argument spec then writes it.
        ("mailcow", False, 0),
        ("mailcow", "False", 0),
        ("mailcow", 0, 0),
        ("mailcow", 2048, 2048),
        ("", "2048", 2048),
    ],
)
def test_swap(name, swap, expected):
    assert system_plan(name, swap=swap)["swap_mib"] == expected


def test_the_minimum_of_mailcow_is_worth_something():
    assert stack.get("mailcow")["requirements"]["swap_mib"] > 0
    assert system_plan("mailcow")["sysctl_minimums"]["net.ipv4.ip_forward"] == 1
    assert system_plan("") == {"swap_mib": 0, "sysctl_minimums": {}}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("exchange", {}, "unknown stack 'exchange'"),
        ("", {"swap": "2G"}, "system_swap is '2G'; allowed: auto, off or a size in MiB"),
        ("", {"swap": -1}, "system_swap is -1"),
        ("", {"swap": "\u0663"}, "system_swap is"),
        ("", {"servers": ["a b"]}, "system_time_servers: 'a b'; allowed: host names"),
        ("", {"sysctls": {"swappiness": 1}}, "system_sysctls: 'swappiness' is no name"),
        ("", {"sysctls": {"vm.swappiness": True}}, "system_sysctls.vm.swappiness is True"),
        ("", {"sysctls": ["vm.swappiness"]}, "system_sysctls is .*; allowed: a dictionary"),
        ("mailcow", {"conflicting": ["mailcow"]}, "names mailcow, which is what the host is for"),
        ("", {"colour": "red"}, "colour"),
    ],
)
def test_wrong_settings(name, settings, message):
    with pytest.raises(AnsibleFilterError, match=message):
        system_plan(name, **settings)


def host(family, **packages):
    known = dict.fromkeys(time_sync.PACKAGES)
    known.update(packages)
    distribution = {"family": family, "name": "Some Linux"}
    return {"packages": known, "system": {"distribution": distribution}}


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        (host("debian"), ["systemd-timesyncd"]),
        (host("redhat"), ["chrony"]),
        (host("debian", chrony="4.6.1-3"), []),
        (host("debian", ntpsec="1.2.2"), []),
        (host("other", chrony="4.6"), []),
    ],
)
def test_packages(found, missing):
    assert time_packages(found) == missing


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (host("other"), "Some Linux has no time daemon that is known here; install chrony"),
        ({"packages": {}}, "wants what postmaster.mailhost.host_info returned"),
        ([], "wants what postmaster.mailhost.host_info returned"),
    ],
)
def test_no_packages(found, message):
    with pytest.raises(AnsibleFilterError, match=message):
        time_packages(found)


def test_module_and_role_offer_the_services_that_are_known():
    known = list(service_mask.KNOWN)
    documented = yaml.safe_load(mask_module.DOCUMENTATION)["options"]["name"]["choices"]
    specs = yaml.safe_load(SPECS.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    assert documented == known
    assert specs["system_conflicting_services"]["choices"] == known
