# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is otherwise when hosts are made from published images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import data, inventory, looks, zones

TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def upstream(monkeypatch):
    monkeypatch.setattr(data, "UPSTREAM", True)
    monkeypatch.setattr(inventory, "UPSTREAM", True)


def test_names_of_package_archives_are_left_to_the_real_servers():
    found = zones.all_zones(data.HOSTS)
    assert not {".", *data.PACKAGE_ZONES} & set(found)
    # What is installed from others than the makers of systems is the world's as ever.
    assert {"ghcr.io", "docker.io", "github.com", data.DOMAIN} <= set(found)
    zones.check(found)
    text = zones.server_configuration(list(found), "/zones")
    assert "forward only;" in text
    assert "forwarders { 127.0.0.11; };" in text


def test_a_name_of_the_outside_below_such_a_zone_has_a_zone_of_its_own():
    assert f"\n@ IN A {data.OUTSIDE_IPV4}\n" in zones.all_zones(data.HOSTS)["ntp.ubuntu.com"]


def test_an_image_keeps_its_files_and_asks_the_worlds_name_server():
    for name, system in data.SYSTEMS.items():
        found = looks.files(system)
        assert set(found) == (
            {"etc/systemd/resolved.conf.d/sandbox.conf"} if name.startswith("ubuntu") else set()
        )


def test_each_system_has_an_image_and_packages():
    assert len({system.upstream for system in data.SYSTEMS.values()} - {""}) == len(data.SYSTEMS)
    packages = {name: system.upstream_packages for name, system in data.SYSTEMS.items()}
    assert all("systemd" in each and "openssh-server" in each for each in packages.values())
    # EL 8 must not get the Python that Ansible would use, and in Ubuntu 22.04 it is no package.
    assert "python3" not in packages["almalinux-8"]
    assert "systemd-resolved" not in packages["ubuntu-22.04"]
    assert "systemd-resolved" in packages["ubuntu-24.04"]


def test_the_key_of_dockers_repository_is_the_real_one():
    text = inventory.text(data.HOSTS, Path("k"), Path("h"), Path("%C"), "0" * 40)
    assert "docker_repository_key_fingerprint" not in text
    assert "\n  hosts:\n    mail1:\n" in text


def test_another_value_of_the_variable_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import sandbox.data"],
        env={**os.environ, "PYTHONPATH": str(TESTS), data.IMAGES_VARIABLE: "real"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "MAILHOST_TEST_IMAGES is 'real'; allowed is upstream" in done.stderr
