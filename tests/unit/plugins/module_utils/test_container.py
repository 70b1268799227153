# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers, by the marks that their managers leave."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import container


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, ""),
        ({"/run/systemd/container": "lxc\n"}, "lxc"),
        ({"/proc/1/environ": "HOME=/\0container=podman\0"}, "podman"),
        ({"/proc/1/environ": "HOME=/\0container=\0"}, ""),
        ({"/.dockerenv": ""}, "docker"),
        ({"/run/.containerenv": ""}, "podman"),
        ({"/proc/vz/version": "4.0\n"}, "openvz"),
        ({"/proc/vz/version": "4.0\n", "/proc/bc/x": ""}, ""),
    ],
)
def test_kind(make_host, files, kind):
    assert container.kind(make_host(files)) == kind
