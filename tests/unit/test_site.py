# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml lets pass because one of its roles is about to repair it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.filter.mathstuff import FilterModule as Sets
from ansible.plugins.test.core import match
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
UNSET = {"docker_replace": False, "docker_upgrade": False, "docker_version": ""}


def render(text, **values):
    environment = NativeEnvironment()
    # Jinja's own stay: Ansible's successors of them want its own environment.
    environment.filters = {**FilterModule().filters(), **Sets().filters(), **environment.filters}
    environment.tests["match"] = match
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


@pytest.mark.parametrize(
    ("conflict", "repaired"), [("disable", ["firewall.services"]), ("fail", [])]
)
def test_another_firewall_is_the_firewall_roles_matter_when_it_is_told_so(conflict, repaired):
    text = yaml.safe_load((ROOT / "roles/firewall/vars/main.yml").read_text())["__firewall_repairs"]
    assert render(text, firewall_conflict=conflict) == repaired
    assert catalogue.select("repaired", repaired) == set(repaired)


def site_repairs(firewall=True, run=("all",), skip=()):
    """Return the play of site.yml, and what its variables are with such tags."""
    (play,) = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    values = {
        "mailhost_firewall": firewall,
        "mailhost_stack": "mailcow",
        "ansible_run_tags": list(run),
        "ansible_skip_tags": list(skip),
        "__system_repairs": ["clock"],
        "__docker_repairs": ["engine.version"],
        "__firewall_repairs": ["firewall.services"],
        "__site": {"repairs": ["network.mtu"]},
    }
    for name in ("__site_asked", "__site_parts", "__site_repairs_behind_system", "__site_repairs"):
        values[name] = render(play["vars"][name], **values)
    return play, values


@pytest.mark.parametrize("firewall", [True, False])
def test_what_each_look_lets_pass(firewall):
    play, values = site_repairs(firewall)
    looks = [
        task["vars"]["preflight_repaired"]
        for task in play["tasks"]
        if "preflight_repaired" in task.get("vars", {})
    ]
    everything = ["clock", "engine.version", "firewall.services", "network.mtu"]
    if not firewall:
        everything.remove("firewall.services")
    assert [render(look, ansible_check_mode=False, **values) for look in looks] == [
        everything,
        everything[1:],
        [],
    ]
    assert render(looks[2], ansible_check_mode=True, **values) == everything


@pytest.mark.parametrize(
    ("run", "skip", "repaired"),
    [
        (["all"], ["system"], ["engine.version", "firewall.services", "network.mtu"]),
        (["all"], ["mailcow", "docker"], ["clock", "firewall.services"]),
        (["preflight", "docker"], [], ["engine.version"]),
        # A look alone foretells the whole run.
        (["preflight"], [], ["clock", "engine.version", "firewall.services", "network.mtu"]),
    ],
)
def test_what_a_role_that_is_left_out_would_repair_is_not_let_pass(run, skip, repaired):
    assert site_repairs(run=run, skip=skip)[1]["__site_repairs"] == repaired


@pytest.mark.parametrize(
    ("run", "again"),
    [(["all"], True), (["preflight"], False), (["preflight", "docker"], True)],
)
def test_it_looks_once_more_where_something_was_done(run, again):
    play, values = site_repairs(run=run)
    (when,) = [task["when"] for task in play["tasks"] if task["name"] == "Look once more"]
    assert render("{{ " + when + " }}", **values) is again


@pytest.mark.parametrize(
    ("override", "published"),
    [
        ({}, []),
        (
            {"services": {"a": {"image": "x"}, "b": {"ports": ["127.0.0.1:25:25", "[::1]:25:25"]}}},
            [],
        ),
        ({"services": {"a": {"ports": ["25:25"]}, "b": {"ports": [8443]}}}, ["25:25", "8443"]),
        ({"services": {"a": {"ports": ["192.0.2.1:25:25"]}}}, ["192.0.2.1:25:25"]),
    ],
)
def test_what_an_override_publishes_for_others(override, published):
    (play,) = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())
    found = render(play["vars"]["__site_published"], __site={"override": override})
    assert found == published


@pytest.mark.parametrize("name", stack.names("services"))
def test_each_stack_tells_the_others_the_same_things(name):
    told = yaml.safe_load((ROOT / "roles" / name / "vars/main.yml").read_text())[f"__{name}_site"]
    assert set(told) == {"install_path", "hostname", "config", "override", "repairs", "findings"}


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
    text = yaml.safe_load((ROOT / "roles/mailcow/vars/main.yml").read_text())[
        "__mailcow_host_config"
    ]
    settings.setdefault("mailcow_config", {})
    settings.setdefault("mailcow_enable_ipv6", "auto")
    config = render(text, lookup=lambda _plugin, name: stack.get(name), **settings)
    assert need.from_stack(stack.get("mailcow"), config=config).ipv6 is ipv6
