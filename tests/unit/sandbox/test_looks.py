# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_engine, host_info
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from sandbox import archive, data, looks


@pytest.fixture(autouse=True)
def key(monkeypatch, tmp_path):
    """A key that need not be made."""
    signing = archive.DEBIAN_KEY
    monkeypatch.setattr(signing, "public", tmp_path / "key.asc")
    monkeypatch.setattr(signing, "secret", tmp_path / "key.key")
    signing.public.write_text("the key")
    signing.secret.write_text("")


def test_package_sources_of_debian_in_both_forms():
    newer = looks.files(data.SYSTEMS["debian-12"])
    text = newer["etc/apt/sources.list.d/debian.sources"]
    assert "\nSuites: bookworm bookworm-updates\n" in text
    assert "\nSuites: bookworm-security\n" in text
    older = looks.files(data.SYSTEMS["debian-11"])
    assert set(newer) - set(older) == {"etc/apt/sources.list.d/debian.sources"}
    assert [line.split()[2:] for line in older["etc/apt/sources.list"].splitlines()] == [
        ["http://deb.debian.org/debian", "bullseye", "main"],
        ["http://deb.debian.org/debian", "bullseye-updates", "main"],
        ["http://deb.debian.org/debian-security", "bullseye-security", "main"],
    ]


def test_package_sources_of_ubuntu():
    noble = looks.files(data.SYSTEMS["ubuntu-24.04"])["etc/apt/sources.list.d/ubuntu.sources"]
    assert "URIs: http://archive.ubuntu.com/ubuntu\nSuites: noble noble-updates noble-back" in noble
    assert "URIs: http://security.ubuntu.com/ubuntu\nSuites: noble-security\n" in noble
    jammy = looks.files(data.SYSTEMS["ubuntu-22.04"])["etc/apt/sources.list"]
    assert " http://archive.ubuntu.com/ubuntu jammy main restricted universe multiverse\n" in jammy


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ("ubuntu-24.04", ("ubuntu", "24.04", "noble", "debian", "Ubuntu 24.04.3 LTS")),
        ("ubuntu-22.04", ("ubuntu", "22.04", "jammy", "debian", "Ubuntu 22.04.5 LTS")),
        ("almalinux-9", ("almalinux", "9.6", "", "redhat", "AlmaLinux 9.6 (Sage Margay)")),
        ("rocky-9", ("rocky", "9.6", "", "redhat", "Rocky Linux 9.6 (Blue Onyx)")),
        ("almalinux-8", ("almalinux", "8.10", "", "redhat", "AlmaLinux 8.10 (Cerulean Leopard)")),
    ],
)
def test_a_look_alike_is_taken_for_what_it_says(tmp_path, system, told):
    (tmp_path / "etc").mkdir()
    text = looks.files(data.SYSTEMS[system])["usr/lib/os-release"]
    (tmp_path / "etc/os-release").write_text(text)
    found = host_info.distribution(Host(str(tmp_path)))
    assert tuple(found[name] for name in ("id", "version", "codename", "family", "name")) == told
    assert docker_engine.refusal("docker", found) == ""


def test_every_repository_of_el_checks_its_packages():
    for system in ("almalinux-9", "rocky-9", "almalinux-8"):
        files = looks.files(data.SYSTEMS[system])
        repositories = [text for path, text in files.items() if path.endswith(".repo")]
        assert len(repositories) == 3
        for text in repositories:
            assert "\ngpgcheck=1\n" in text
            (key,) = [
                line[len("gpgkey=file:///") :] for line in text.splitlines() if "gpgkey" in line
            ]
            assert files[key] == "the key"
