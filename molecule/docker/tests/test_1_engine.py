# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as Docker's own client shows it."""

from __future__ import annotations

import json

import pytest
from scenario import on


@pytest.fixture(scope="module")
def info():
    return json.loads(on("mail2", "docker info --format '{{json .}}'"))


def test_the_configuration_is_in_force(info):
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "json-file"
    assert info["DefaultAddressPools"] == [{"Base": "10.201.0.0/16", "Size": 24}]


def test_versions(info):
    assert int(info["ServerVersion"].partition(".")[0]) >= 24
    assert int(on("mail2", "docker compose version --short").partition(".")[0]) >= 2


def test_the_packages_are_those_of_dockers_repository():
    shown = on("mail2", "apt-cache policy docker-ce")
    assert "https://download.docker.com/linux/debian trixie/stable" in shown
    assert on("mail2", "apt-get -q update 2>&1").count("W:") == 0


def test_it_runs_a_container_with_the_mtu_and_the_logs_limits():
    run = "docker run --rm --entrypoint cat memcached:alpine /sys/class/net/eth0/mtu"
    assert on("mail2", run + " 2>/dev/null").strip() == "1400"
    on("mail2", "docker create --name probe --entrypoint true memcached:alpine")
    shown = on(
        "mail2", "docker inspect --format '{{json .HostConfig.LogConfig}}' probe; docker rm probe"
    )
    assert json.loads(shown.splitlines()[0]) == {
        "Type": "json-file",
        "Config": {"max-file": "5", "max-size": "10m"},
    }


def test_containers_have_ipv6_as_the_host_has():
    assert on("mail2", "ip -6 route show default").startswith("default")
    shown = on("mail2", "docker network inspect bridge --format '{{.EnableIPv6}}'")
    assert shown.strip() == "true"


def test_a_container_goes_on_while_the_engine_is_restarted():
    on("mail2", "docker run -d --name stays --entrypoint sleep memcached:alpine 600")
    try:
        inspect = "docker inspect --format '{{.State.StartedAt}} {{.State.Pid}}' stays"
        before = on("mail2", inspect)
        on("mail2", "systemctl restart docker.service")
        assert on("mail2", inspect) == before
    finally:
        on("mail2", "docker rm -f stays")


def test_it_starts_at_boot():
    assert on("mail2", "systemctl is-enabled docker.service").strip() == "enabled"
