# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import data, repack
from sandbox.standin import STACKS

TESTS = Path(data.__file__).parents[1]


def test_every_host_has_addresses_of_its_own_in_the_network():
    for network, addresses in (
        (
            data.IPV4_NETWORK,
            [data.IPV4_GATEWAY, data.WORLD_IPV4, data.OUTSIDE_IPV4, *(h.ipv4 for h in data.HOSTS)],
        ),
        (
            data.IPV6_NETWORK,
            [data.IPV6_GATEWAY, data.WORLD_IPV6, data.OUTSIDE_IPV6, *(h.ipv6 for h in data.HOSTS)],
        ),
    ):
        assert len(set(addresses)) == len(addresses)
        for address in addresses:
            assert ipaddress.ip_address(address) in ipaddress.ip_network(network)


def test_every_host_has_a_system_and_every_system_an_archive():
    assert {host.system for host in data.HOSTS} <= set(data.SYSTEMS)
    assert {system.suite for system in data.SYSTEMS.values()} <= set(data.ARCHIVE)


def test_every_stack_has_packages_of_a_suite_with_an_archive():
    assert {stack.name for stack in STACKS} == set(data.STACK_PACKAGES)
    assert {suite for suite, _packages in data.STACK_PACKAGES.values()} <= set(data.ARCHIVE)


def test_what_docker_is_made_from_is_in_the_archive():
    for system in data.SYSTEMS.values():
        for imitation in repack.IMITATIONS.values() if system.engine else ():
            for source in imitation.sources:
                suite = system.suite if source in system.engine_own else system.engine
                assert source in data.ARCHIVE[suite]["engine"].split()


def test_a_bare_host_has_nothing_that_the_roles_install():
    for system in data.SYSTEMS.values():
        # There is no EL without curl, or curl-minimal.
        installed = {"docker.io", "git", "jq", "iptables", *(() if system.is_el else ("curl",))}
        assert not installed & set(system.packages)


def facts(name, expression):
    """What `expression` about the data module is when the sandbox has that name."""
    return subprocess.run(
        [sys.executable, "-c", f"from sandbox import data; print({expression})"],
        env={"PYTHONPATH": str(TESTS), "MAILHOST_SANDBOX": name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_name_gives_a_sandbox_names_and_addresses_of_its_own():
    shown = "[data.PREFIX, data.BRIDGE, data.WORLD_IPV4, data.WORLD_IPV6, data.HOSTS[0].ipv6]"
    plain = ast.literal_eval(facts("", shown).stdout)
    named = ast.literal_eval(facts("other", shown).stdout)
    assert plain == ["mailhost-sandbox", "br-mailhost", "10.99.0.2", "fd99::2", "fd99::11"]
    number = data.subnet_number("other")
    assert named == [
        "mailhost-sandbox-other",
        f"br-mailhost-{number}",
        f"10.99.{number}.2",
        f"fd99:0:0:{number:x}::2",
        f"fd99:0:0:{number:x}::11",
    ]


@pytest.mark.parametrize("name", ["Other", "1st", "a-b", "a" * 17])
def test_a_wrong_name_is_refused_with_what_is_allowed(name):
    done = facts(name, "1")
    assert done.returncode == 1
    assert repr(name) in done.stderr
    assert "1 to 16 small letters and digits" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_nameless_sandbox_has_number_0_and_all_fit_the_bridge():
    numbers = {data.subnet_number(name) for name in ("a", "ci", "work", "x9", "second")}
    assert data.subnet_number("") == 0
    assert all(1 <= number <= 254 for number in numbers)
    assert len("br-mailhost-254") == 15
