# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json

import pytest
from sandbox import registry
from sandbox.standin import STACKS

STACK = STACKS[0]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("mariadb:10.11", ("library/mariadb", "10.11")),
        ("mcuadros/ofelia:latest", ("mcuadros/ofelia", "latest")),
        ("ghcr.io/mailcow/unbound:1.25.1-1", ("mailcow/unbound", "1.25.1-1")),
        ("nginx", ("library/nginx", "latest")),
    ],
)
def test_split(image, expected):
    assert registry.split(image) == expected


def test_an_image_is_found_by_its_tag_and_all_digests_are_true(tmp_path):
    store = registry.Store(tmp_path)
    layer = store.blob(b"layer")
    store.image("library/redis", "7", b"{}", [(layer, 5)])

    def blob(name):
        kind, value = name.split(":")
        content = (store.root / "blobs" / kind / value[:2] / value / "data").read_bytes()
        assert hashlib.sha256(content).hexdigest() == value
        return content

    repository = store.root / "repositories" / "library" / "redis"
    manifest = json.loads(blob((repository / "_manifests/tags/7/current/link").read_text()))
    assert blob(manifest["config"]["digest"]) == b"{}"
    assert manifest["config"]["size"] == 2
    assert [blob(entry["digest"]) for entry in manifest["layers"]] == [b"layer"]
    for entry in (manifest["config"], *manifest["layers"]):
        link = repository / "_layers" / entry["digest"].replace(":", "/") / "link"
        assert link.read_text() == entry["digest"]


def test_a_service_with_a_script_runs_it_and_one_without_is_idle():
    def command(service):
        return json.loads(registry.configuration(STACK, service, []))["config"]["Entrypoint"][3:]

    assert command("postfix-mailcow") == ["/opt/standin/postfix", "postfix"]
    assert command("sogo-mailcow") == ["/opt/standin/idle", "sogo"]


def test_only_unbound_and_clamd_have_a_health_check():
    found = {
        service
        for service in STACK.images().values()
        if "Healthcheck" in json.loads(registry.configuration(STACK, service, []))["config"]
    }
    assert found == {"unbound-mailcow", "clamd-mailcow"}
    for check in STACK.checks.values():
        assert (STACK.scripts / check.script).stat().st_mode & 0o100
