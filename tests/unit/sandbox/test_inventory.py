# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import yaml
from sandbox import data, inventory

FINGERPRINT = "0123456789" * 4
HOST = data.Host("mx", 21, "debian-13")


def read():
    text = inventory.text(
        [HOST], Path("/keys/id"), Path("/keys/known"), Path("/run/cp/sandbox-%h"), FINGERPRINT
    )
    return yaml.safe_load(text)["mailhosts"]


def test_hosts():
    assert read()["hosts"] == {
        "mx": {
            "ansible_host": "10.99.0.21",
            "mailhost_hostname": "mx.example.test",
            "mailhost_public_ipv4": "10.99.0.21",
            "mailhost_public_ipv6": "fd99::21",
            "preflight_domains": ["example.test"],
        }
    }


def test_what_a_sandbox_host_needs_because_it_is_one():
    variables = read()["vars"]
    assert variables["preflight_accept"] == ["platform.virtualisation"]
    # A fingerprint of digits only would otherwise be read as a number.
    assert variables["docker_repository_key_fingerprint"] == FINGERPRINT


def test_a_virtual_machine_needs_none_of_that():
    machine = data.Host("mx", 21, "debian-13", virtual=True)
    paths = [Path("/keys/id"), Path("/keys/known"), Path("/run/cp")]
    text = inventory.text([machine], *paths, FINGERPRINT)
    variables = yaml.safe_load(text)["mailhosts"]["hosts"]["mx"]
    assert variables["preflight_accept"] == []
    assert variables["preflight_swap_mib"] is None


def test_connection():
    variables = read()["vars"]
    assert variables["ansible_ssh_private_key_file"] == "/keys/id"
    assert "UserKnownHostsFile=/keys/known" in variables["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]
    # Ansible itself replaces one percent sign.
    assert variables["ansible_control_path"] == "/run/cp/sandbox-%%h"
