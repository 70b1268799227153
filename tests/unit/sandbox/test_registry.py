# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json

import pytest
from sandbox import registry
from sandbox.standin import MAILCOW, MAILU, STACKS


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


def settings(stack, service, tag="1"):
    """What the image of a service starts and how its health is looked at."""
    return json.loads(registry.configuration(stack, service, tag, []))["config"]


def test_a_service_with_a_script_runs_it_and_one_without_is_idle():
    def command(stack, service, tag):
        return settings(stack, service, tag)["Entrypoint"][3:]

    assert command(MAILCOW, "postfix-mailcow", "1") == ["/opt/standin/postfix", "postfix", "1"]
    assert command(MAILCOW, "sogo-mailcow", "2") == ["/opt/standin/idle", "sogo", "2"]
    assert command(MAILU, "smtp", "2.0") == ["/opt/standin/smtp", "smtp", "2.0"]


def test_only_unbound_and_clamd_of_mailcow_have_a_health_check():
    found = {s for s in MAILCOW.images().values() if "Healthcheck" in settings(MAILCOW, s)}
    assert found == {"unbound-mailcow", "clamd-mailcow"}


def test_of_mailu_all_have_a_health_check_but_what_others_make():
    found = {s for s in MAILU.images().values() if "Healthcheck" not in settings(MAILU, s)}
    assert found == {"redis", "fts_attachments"}


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_what_an_image_runs_can_be_run(stack):
    for service in stack.images().values():
        script = settings(stack, service)["Entrypoint"][3].rpartition("/")[2]
        assert (stack.scripts / script).stat().st_mode & 0o100
    for check in stack.checks.values():
        assert (stack.scripts / check.script).stat().st_mode & 0o100


def test_no_two_stacks_have_an_image_of_the_same_name_and_tag():
    images = [image for stack in STACKS for image in stack.images()]
    assert len(images) == len(set(images))
