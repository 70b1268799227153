# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a stack say of it."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack_settings


def test_defaults(make_host):
    found = stack_settings.read(make_host(), "mailcow")
    assert (found.project, found.version) == ("mailcowdockerized", "master")
    assert found.networks == ("172.22.1.0/24", "fd4d:6169:6c63:6f77::/64")
    assert stack_settings.read(make_host(), "mailu").networks == ("192.168.203.0/24",)


def test_files(make_host):
    host = make_host(
        {
            "/srv/mailcow/mailcow.conf": "COMPOSE_PROJECT_NAME=post\nIPV4_NETWORK=10.9.1\nDBPASS='$x'\n",
            "/mailu/mailu.env": "SUBNET=10.8.0.0/24\nSUBNET6=fd00:8::/64\n",
            "/mailu/.env": "MAILU_VERSION=2.0.45\n",
        }
    )
    found = stack_settings.read(host, "mailcow", "/srv/mailcow/")
    assert (found.project, found.networks[0]) == ("post", "10.9.1.0/24")
    found = stack_settings.read(host, "mailu")
    assert (found.version, found.networks) == ("2.0.45", ("10.8.0.0/24", "fd00:8::/64"))


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/mailu/nginx:1.9.51", "1.9.51"),
        ("${DOCKER_ORG:-ghcr.io/mailu}/${DOCKER_PREFIX:-}nginx:${MAILU_VERSION:-2.0}", "2.0"),
        ("ghcr.io/mailu/nginx:${MAILU_VERSION:-2.0}", "2.0"),
        ("ghcr.io/mailu/nginx:master", "2024.06"),
    ],
)
def test_the_version_of_the_image(make_host, image, version):
    host = make_host({"/mailu/docker-compose.yml": "services:\n  front:\n    image: " + image})
    assert stack_settings.read(host, "mailu").version == version
