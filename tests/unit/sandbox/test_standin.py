# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in stack has the names that the collection knows of the real one."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack as known
from sandbox import standin

STACK = standin.MAILCOW
TEXT = STACK.compose_file(STACK.versions[-1])
PROJECT = yaml.safe_load(TEXT)
KNOWN = known.get("mailcow")


def test_services():
    assert set(PROJECT["services"]) == set(KNOWN["services"])
    assert standin.services(TEXT) == {
        name: service["image"] for name, service in PROJECT["services"].items()
    }


def test_every_service_always_restarts():
    assert {s["restart"] for s in PROJECT["services"].values()} == {"always"}


def test_no_service_asks_for_what_a_host_in_a_container_cannot_give():
    for service in PROJECT["services"].values():
        assert not service.get("privileged")
        assert "ulimits" not in service


def test_variables_are_the_known_keys():
    read = set(re.findall(r"\$\{(\w+)", TEXT))
    keys = {key["name"] for key in KNOWN["keys"]}
    # This one is for upstream's scripts.
    assert read == keys - {"DOCKER_COMPOSE_VERSION"}


@pytest.mark.parametrize("port", KNOWN["ports"], ids=lambda port: port["variable"])
def test_published_ports(port):
    address = f"{port['address']}:" if port["address"] else ""
    host = f"${{{port['variable']}:-{address}{port['port']}}}"
    if port["container_port"]:
        expected = f"{host}:{port['container_port']}"
    else:
        bind = port["variable"].replace("_PORT", "_BIND")
        expected = f"${{{bind}:-}}:{host}:{host}"
    assert expected in PROJECT["services"][port["service"]]["ports"]


def test_network():
    (network,) = KNOWN["networks"]
    found = PROJECT["networks"][network["name"]]
    assert found["driver_opts"]["com.docker.network.bridge.name"] == network["bridge"]
    subnets = [entry["subnet"] for entry in found["ipam"]["config"]]
    assert subnets[0].replace("${IPV4_NETWORK:-172.22.1}", "172.22.1") == network["ipv4"]
    assert network["ipv6"] in subnets[1]


def test_releases_differ_and_the_registry_has_the_images_of_each():
    texts = [STACK.compose_file(version) for version in STACK.versions]
    assert len(set(texts)) == len(texts) >= 2
    images = set(STACK.images())
    for text in texts:
        assert set(standin.services(text).values()) <= images


def test_the_tree_as_it_is_checked_out(tmp_path):
    STACK.write(tmp_path / "tree", STACK.versions[-1])
    assert str((tmp_path / "tree" / ".env").readlink()) == "mailcow.conf"
    ignored = (tmp_path / "tree" / ".gitignore").read_text().split()
    assert {"mailcow.conf", "docker-compose.override.yml", "data/assets/ssl/*"} <= set(ignored)
    assert (tmp_path / "tree" / "data/assets/ssl-example/cert.pem").is_file()


def test_mailu_has_each_image_in_each_release():
    tags = {}
    for image in standin.MAILU.images():
        name, _colon, tag = image.rpartition(":")
        tags.setdefault(name, set()).add(tag)
    own = {name: found for name, found in tags.items() if name.startswith("ghcr.io/mailu/")}
    assert len(own) == 10
    assert all(found == set(standin.MAILU_TAGS) for found in own.values())
    assert tags["redis"] == {"alpine"}
