# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole machines: what the checks say about each of tests/unit/hosts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need

HOSTS = Path(__file__).parents[3] / "hosts"
# The egress checks have tests of their own: a whole machine would need a whole network.
MAILCOW = need.from_stack(stack.get("mailcow"), offline=True)

# What is not "ok", in the order of the report: check, status, words of the observation.
EXPECTED = {
    "debian12-kvm": [],
    "debian13-bare-metal": [("resources.swap", "warn", "none, but memory to spare")],
    "ubuntu2404": [("commands.required", "warn", "missing: jq")],
    "alma9": [],
    "openvz": [("platform.virtualisation", "fail", "OpenVZ or Virtuozzo")],
    "lxc": [("platform.virtualisation", "fail", "LXC")],
    "wsl": [("platform.virtualisation", "fail", "Windows Subsystem for Linux")],
    "synology": [
        ("platform.virtualisation", "fail", "Synology"),
        ("resources.disk", "fail", "1.0 GiB available of 2.0 GiB on /var/lib (/var/lib/docker)"),
        ("platform.operating_system", "unknown", "no /etc/os-release"),
        ("commands.required", "warn", "missing: git, jq"),
    ],
    "qnap": [
        ("platform.virtualisation", "fail", "QNAP"),
        ("platform.architecture", "fail", "armv7l"),
        ("resources.memory", "fail", "1.9 GiB"),
        ("resources.swap", "fail", "none"),
        ("commands.required", "fail", "BusyBox instead of GNU: cp, grep, sed"),
        ("platform.operating_system", "unknown", "no /etc/os-release"),
        ("resources.cpu", "unknown", "2 processors, clock rate not shown"),
        ("commands.required", "warn", "missing: git, jq"),
    ],
    "vps-2gb-no-swap": [
        ("resources.memory", "fail", "1.9 GiB"),
        ("resources.swap", "fail", "none"),
        ("resources.disk", "fail", "15.9 GiB available of 18.6 GiB on /"),
    ],
    "exim4-on-25": [
        (
            "ports.public",
            "fail",
            "tcp 127.0.0.1:25, tcp [::1]:25 held by exim4 (PID 812, exim4.service)",
        ),
        ("services.mail_servers", "fail", "exim4.service runs, and holds 25"),
        ("commands.required", "warn", "missing: git, jq"),
    ],
    "already-running-stack": [],
    "foreign-proxy-on-443": [
        ("ports.public", "fail", "tcp 0.0.0.0:80 held by nginx (PID 3100, nginx.service)"),
        (
            "ports.public",
            "fail",
            "tcp 0.0.0.0:443, tcp [::]:443 held by container traefik, Compose project proxy",
        ),
        ("services.web_servers", "fail", "nginx.service runs, and holds 80"),
    ],
    "alpine": [
        ("commands.required", "fail", "BusyBox instead of GNU: cp, grep, sed"),
        ("platform.operating_system", "warn", "Alpine Linux v3.20: limited support"),
    ],
}


def test_every_machine_is_in_the_table():
    assert {path.name for path in HOSTS.iterdir() if path.is_dir()} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_machine(name, host_tree):
    host = host_tree(name)
    recorded = json.loads(Path(host.root, "host.json").read_text(encoding="utf-8"))
    described = recorded.get("describes", [check.id for check in catalogue.CHECKS])
    findings = catalogue.run(host, MAILCOW, only=described)
    assert {item.id for item in findings} == set(described)
    told = [item for item in finding.worst_first(findings) if item.status not in ("ok", "skip")]
    assert [(item.id, item.status) for item in told] == [row[:2] for row in EXPECTED[name]]
    for item, (_id, _status, words) in zip(told, EXPECTED[name]):
        assert words in item.observed
        assert item.required
        assert item.fix
    for item in findings:
        assert item.source.startswith("https://")
        assert item.title
        assert item.fix == "" or item.status != "ok"


@pytest.mark.parametrize("name", ["debian12-kvm", "already-running-stack"])
def test_nothing_is_written(name, host_tree):
    host = host_tree(name)

    def state():
        paths = sorted(Path(host.root).rglob("*"))
        return [(str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths]

    before = state()
    assert len(before) > 5
    catalogue.run(host, MAILCOW)
    assert state() == before


def test_a_second_run_sees_that_the_ports_are_its_own(host_tree):
    findings = catalogue.run(host_tree("already-running-stack"), MAILCOW, only=["ports"])
    assert [item.observed for item in findings] == [
        "25, 80, 110, 143, 443, 465, 587, 993, 995, 4190 held by mailcow: dockerized itself",
        "7654, 13306, 19991 held by mailcow: dockerized itself",
    ]


def test_a_stack_in_another_directory_is_not_the_same(host_tree):
    elsewhere = need.from_stack(stack.get("mailcow"), install_path="/srv/mailcow")
    findings = catalogue.run(host_tree("already-running-stack"), elsewhere, only=["ports"])
    assert {item.status for item in findings} == {"fail"}
    assert "of the same Compose project in /opt/mailcow-dockerized" in findings[0].observed
    assert findings[0].fix.startswith("Set install_path to that directory")
    assert not any("_PORT" in item.fix for item in findings)
