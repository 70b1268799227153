# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a stack on the host say of it: its Compose project, version and networks."""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import env_document, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


class Settings(NamedTuple):
    """Settings of a stack; defaults where its files are not there or say nothing.

    Attributes:
        project: its Compose project.
        version: its version, as far as that is a number.
        networks: its networks, as CIDR texts.
    """

    project: str
    version: str
    networks: tuple[str, ...]


def read(host: Host, name: str, path: str = "") -> Settings:
    """Return the settings.

    Args:
        host: the host.
        name: name of the stack.
        path: its directory, when it is not the usual one.
    """
    known = stack.get(name)
    path = (path or known["install_path"]).rstrip("/")
    documents = [
        env_document.Document(host.read("{0}/{1}".format(path, file)) or "")
        for file in (known["env_file"], ".env")
    ]
    networks = []
    for network in known["networks"]:
        for family in ("ipv4", "ipv6"):
            key, form = network[family + "_key"]
            own = _value(documents, key)
            networks.append(form.format(own) if own else network[family])
    version = _value(documents, "MAILU_VERSION")
    if not version:
        compose = host.read(path + "/docker-compose.yml") or ""
        image = re.search(r"[/}]nginx:(?:\$\{[A-Z_]+:-)?([0-9][0-9.]*)", compose)
        version = image.group(1) if image else known["version"]
    return Settings(
        _value(documents, "COMPOSE_PROJECT_NAME") or known["project"],
        version,
        tuple(filter(None, networks)),
    )


def _value(documents: list[env_document.Document], key: str) -> str:
    """Return a key's value of the first file that has it; empty when there is none."""
    for document in documents:
        raw = document.get(key)
        if raw is not None:
            try:
                return env_document.read_value(raw)
            except ValueError:
                return ""
    return ""
