# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox takes for its own in an engine that others use too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sandbox import common, data, engine, hosts, keys


@pytest.mark.parametrize(
    ("labels", "own"),
    [
        ({"mailhost.sandbox": "1"}, True),
        ({"mailhost.sandbox": "1", "mailhost.sandbox.name": "other"}, False),
        ({"mailhost.sandbox": "0"}, False),
        ({"maintainer": "someone"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_own(labels, own):
    assert engine.is_own(labels) is own


def test_what_it_makes_is_its_own():
    assert engine.is_own(engine.labels())


def test_origin_names_the_other_checkout():
    def origin(labels):
        return engine.origin(SimpleNamespace(labels=labels))

    assert origin({engine.ORIGIN: "/srv/other"}) == "the checkout in /srv/other"
    assert origin({engine.ORIGIN: str(common.CHECKOUT)}) == "an earlier sandbox"
    assert origin({}) == "an earlier sandbox"


@pytest.fixture
def sandbox_keys(monkeypatch, tmp_path):
    """Keys in a directory of this test."""
    monkeypatch.setattr(keys, "SSH", tmp_path / "ssh")
    monkeypatch.setattr(keys, "CLIENT_KEY", tmp_path / "ssh" / "id")
    keys.ssh_key(keys.CLIENT_KEY, "test")


@pytest.mark.usefixtures("sandbox_keys")
def test_only_hosts_with_other_keys_are_removed(monkeypatch):
    first, second, third = data.HOSTS[:3]

    def container(name, identity):
        return SimpleNamespace(name=name, labels={hosts.IDENTITY: identity} if identity else {})

    there = [
        container(data.WORLD, None),
        container(first.container, hosts.identity(first)),
        container(second.container, "another"),
        container(third.container, None),
        container(f"{data.PREFIX}-former", hosts.identity(first)),
    ]
    removed = []
    monkeypatch.setattr(engine, "containers", lambda: there)
    monkeypatch.setattr(engine, "remove", removed.append)
    hosts.remove_strangers()
    assert removed == [second.container, third.container, f"{data.PREFIX}-former"]


@pytest.mark.usefixtures("sandbox_keys")
def test_a_new_key_of_either_side_is_another_identity():
    host = data.HOSTS[0]
    seen = {hosts.identity(host)}
    for path in (keys.SSH / "hosts" / host.name, keys.CLIENT_KEY):
        path.unlink()
        path.with_suffix(".pub").unlink()
        keys.ssh_key(path, "test")
        seen.add(hosts.identity(host))
    assert len(seen) == 3


def test_when_a_key_is_missing_all_are_made_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(keys, "SSH", tmp_path / "ssh")
    monkeypatch.setattr(keys, "CLIENT_KEY", tmp_path / "ssh" / "id")
    monkeypatch.setattr(keys, "CA_CERTIFICATE", tmp_path / "ca" / "ca.crt")
    monkeypatch.setattr(keys, "CA_KEY", tmp_path / "ca" / "ca.key")
    keys.complete([])
    first = keys.CLIENT_KEY.read_bytes(), keys.CA_CERTIFICATE.read_bytes()
    keys.complete([])
    assert (keys.CLIENT_KEY.read_bytes(), keys.CA_CERTIFICATE.read_bytes()) == first
    keys.CA_CERTIFICATE.unlink()
    keys.complete([])
    assert keys.CLIENT_KEY.read_bytes() != first[0]
    assert keys.CA_CERTIFICATE.read_bytes() != first[1]


def test_the_runtime_directory_is_its_users_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(common, "RUNTIME", tmp_path / "mine")
    assert common.runtime() == tmp_path / "mine"
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    (tmp_path / "mine").chmod(0o755)
    with pytest.raises(common.SandboxError, match="not a directory of this user alone"):
        common.runtime()
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setattr(common, "RUNTIME", tmp_path / "link")
    with pytest.raises(common.SandboxError, match="not a directory of this user alone"):
        common.runtime()
