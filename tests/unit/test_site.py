# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml lets pass because one of its roles is about to repair it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.plugins.filter.core import combine, to_bool
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
UNSET = {"docker_replace": False, "docker_upgrade": False, "docker_version": ""}


def render(text, **values):
    environment = NativeEnvironment()
    environment.filters.update({"bool": to_bool, "combine": combine})
    return environment.from_string(text).render(values)


def docker_repairs(**settings):
    text = yaml.safe_load((ROOT / "roles/docker/vars/main.yml").read_text())["__docker_repairs"]
    return render(text, **dict(UNSET, **settings))


@pytest.mark.parametrize(
    ("settings", "repaired"),
    [
        ({}, []),
        ({"docker_replace": "true"}, ["engine.version", "engine.compose"]),
        ({"docker_upgrade": True}, ["engine.version", "engine.compose"]),
        ({"docker_version": 28}, ["engine.version", "engine.compose"]),
    ],
)
def test_an_old_engine_does_not_stop_the_play_that_replaces_it(settings, repaired):
    assert docker_repairs(**settings) == repaired
    assert catalogue.select("repaired", repaired) == set(repaired)


def test_what_each_look_lets_pass():
    (play,) = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    looks = [
        task["vars"]["preflight_repaired"]
        for task in play["tasks"]
        if "preflight_repaired" in task.get("vars", {})
    ]
    values = {
        "__system_repairs": ["clock"],
        "__docker_repairs": ["engine.version"],
        "__mailcow_repairs": ["network.mtu"],
    }
    everything = ["clock", "engine.version", "network.mtu"]
    assert [render(look, ansible_check_mode=False, **values) for look in looks] == [
        everything,
        everything[1:],
        [],
    ]
    assert render(looks[2], ansible_check_mode=True, **values) == everything


@pytest.mark.parametrize(("mtu", "repaired"), [("auto", ["network.mtu"]), (0, []), ("0", [])])
def test_a_network_with_too_large_an_mtu_is_the_mailcow_roles_matter(mtu, repaired):
    text = yaml.safe_load((ROOT / "roles/mailcow/vars/main.yml").read_text())["__mailcow_repairs"]
    assert render(text, mailcow_mtu=mtu) == repaired
    assert catalogue.select("repaired", repaired) == set(repaired)


@pytest.mark.parametrize(("mtu", "told"), [(1450, 1450), (1500, 1500), (9001, 1500)])
def test_larger_packets_than_the_internet_takes_are_no_mtu_of_the_way_out(mtu, told):
    tasks = yaml.safe_load((ROOT / "roles/system/tasks/main.yml").read_text())
    (text,) = [
        task["ansible.builtin.set_fact"]["mailhost_mtu"]
        for task in tasks
        if "mailhost_mtu" in task.get("ansible.builtin.set_fact", {})
    ]
    assert render(text, __system_host={"default_route": {"ipv4": {"mtu": mtu}}}) == told


@pytest.mark.parametrize(
    ("settings", "ipv6"),
    [
        ({}, True),
        ({"mailcow_enable_ipv6": "auto"}, True),
        ({"mailcow_enable_ipv6": True}, True),
        ({"mailcow_enable_ipv6": False}, False),
        ({"mailcow_enable_ipv6": "false", "mailcow_config": {"SMTP_PORT": 25}}, False),
    ],
)
def test_the_preflight_knows_a_stack_without_ipv6(settings, ipv6):
    (play,) = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    config = render(play["vars"]["preflight_config"], **settings)
    assert need.from_stack(stack.get("mailcow"), config=config).ipv6 is ipv6
