# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project of Mailu. That Compose accepts it is seen in the scenario mailu."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.mailu_compose import (
    DEFAULTS,
    compose,
    resolver_address,
)

OPTIONS = {
    "series": "2024.06",
    "version": "2024.06.57",
    "root": "/mailu",
    "subnet": "192.168.203.0/24",
    "subnet6": "",
    "bind_ipv4": "192.0.2.10",
    "bind_ipv6": "",
    "ports": [25, 80, 443, 465, 993, 995, 4190],
    "mtu": 0,
    "egress_ipv4": "",
}
FLAGS = sorted(name for name, value in DEFAULTS.items() if isinstance(value, bool))


def project(**more):
    return compose({**OPTIONS, **more})


def combinations():
    """Every choice of every option, which are 384."""
    for webmail in ("roundcube", "snappymail", "none"):
        for flags in itertools.product((True, False), repeat=len(FLAGS)):
            yield {"webmail": webmail, **dict(zip(FLAGS, flags, strict=True))}


def test_nothing_refers_to_what_is_not_there():
    count = 0
    for choice in combinations():
        count += 1
        found = project(**choice)
        services, networks = found["services"], found["networks"]
        used = set()
        for name, service in services.items():
            assert service["networks"], name
            used |= set(service["networks"])
            assert set(service.get("depends_on", [])) <= set(services), (choice, name)
            # An empty list is no error to upstream's template, and one to Compose.
            for key in ("depends_on", "volumes", "ports", "dns"):
                assert service.get(key, ["-"]), (choice, name, key)
        assert used == set(networks), choice
    assert count == 384


@pytest.mark.parametrize(
    ("option", "on", "off", "service"),
    [
        ("webmail", "snappymail", "none", "webmail"),
        ("antivirus", True, False, "antivirus"),
        ("webdav", True, False, "webdav"),
        ("fetchmail", True, False, "fetchmail"),
        ("oletools", True, False, "oletools"),
        ("fts_attachments", True, False, "fts_attachments"),
        ("resolver", True, False, "resolver"),
    ],
)
def test_an_option_is_its_service(option, on, off, service):
    there, gone = project(**{option: on})["services"], project(**{option: off})["services"]
    assert set(there) - set(gone) == {service}


def test_what_is_always_there():
    least = dict.fromkeys(FLAGS, False) | {"webmail": "none"}
    assert set(project(**least)["services"]) == {
        "redis", "front", "admin", "imap", "smtp", "antispam",
    }  # fmt: skip


def test_only_front_is_open_to_the_world_and_only_on_the_address_that_is_named():
    services = project(bind_ipv6="2001:db8::10", subnet6="fd12:3456:7890::/64")["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["front"]
    ports = services["front"]["ports"]
    assert ports[0] == "192.0.2.10:25:25"
    assert "[2001:db8::10]:4190:4190" in ports
    assert len(ports) == 14
    assert not any(port.endswith((":110", ":143", ":587")) for port in ports)


def test_without_its_interface_admin_answers_on_loopback_where_it_listens():
    assert project(admin=False)["services"]["admin"]["ports"] == ["127.0.0.1:8080:8080"]


def test_the_resolver_has_its_address_and_the_others_ask_it():
    services = project()["services"]
    assert services["resolver"]["networks"] == {"default": {"ipv4_address": "192.168.203.254"}}
    asking = {name for name, service in services.items() if service.get("dns")}
    assert asking == {"redis", "front", "admin", "imap", "smtp", "oletools", "antispam"}
    assert not any(service.get("dns") for service in project(resolver=False)["services"].values())


@pytest.mark.parametrize(
    ("subnet", "address"), [("10.1.2.0/24", "10.1.2.254"), ("172.20.0.0/16", "172.20.255.254")]
)
def test_the_address_of_the_resolver(subnet, address):
    assert resolver_address(subnet) == address


def test_networks():
    networks = project(
        mtu=1400, egress_ipv4="192.0.2.11", subnet6="fd12:3456:7890::/64", antivirus=True
    )["networks"]
    assert networks["default"] == {
        "driver": "bridge",
        "driver_opts": {
            "com.docker.network.driver.mtu": "1400",
            "com.docker.network.host_ipv4": "192.0.2.11",
        },
        "enable_ipv6": True,
        "ipam": {
            "driver": "default",
            "config": [{"subnet": "192.168.203.0/24"}, {"subnet": "fd12:3456:7890::/64"}],
        },
    }
    assert networks["oletools"] == {"driver": "bridge", "internal": True}
    assert networks["clamav"]["driver_opts"] == {"com.docker.network.driver.mtu": "1400"}


def test_logs_go_to_the_journal_under_the_names_that_bans_look_for():
    for name, service in project(antivirus=True, fts_attachments=True)["services"].items():
        if name == "redis":
            continue
        tag = "mailu-tika" if name == "fts_attachments" else f"mailu-{name}"
        assert service["logging"] == {"driver": "journald", "options": {"tag": tag}}


def test_images():
    services = project(antivirus=True)["services"]
    assert services["imap"]["image"] == (
        "${DOCKER_ORG:-ghcr.io/mailu}/${DOCKER_PREFIX:-}dovecot:${MAILU_VERSION:-2024.06.57}"
    )
    assert services["antivirus"]["image"] == "clamav/clamav-debian:1.4"
    assert services["redis"]["image"] == "redis:alpine"
    master = project(antivirus=True, series="master", version="master")["services"]
    assert master["antivirus"]["image"] == "clamav/clamav-debian:1.4_base"


def test_two_point_zero():
    services = project(series="2.0", version="2.0", antivirus=True)["services"]
    assert "192.0.2.10:4190:4190" not in services["front"]["ports"]
    assert services["antivirus"]["image"].startswith("${DOCKER_ORG:-ghcr.io/mailu}/")
    assert services["antivirus"]["env_file"] == "mailu.env"
    assert services["antivirus"]["volumes"] == ["/mailu/filter:/data:z"]


def test_overrides_are_read_only_and_follow_the_webmail():
    services = project(webmail="snappymail")["services"]
    assert services["webmail"]["volumes"][-1] == "/mailu/overrides/snappymail:/overrides:ro,z"
    assert services["front"]["volumes"] == [
        "/mailu/certs:/certs:z",
        "/mailu/overrides/nginx:/overrides:ro,z",
    ]
