# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of outgoing connections, as the stacks' data has them under ``egress``.

Each row is a server that the stack talks to: ``group`` names the check ``egress.GROUP``,
``protocol`` is ``tcp``, ``udp`` or ``icmp`` (whose ``port`` is 0), ``level`` says what it means when
the server is not reached: ``required`` fails, ``advised`` warns, ``optional`` is only told.
``family`` stands in rows that are for one address family alone, ``component`` in those that only a
component of the stack needs, and ``skip_key`` in those that a key of the configuration with the value
``y`` does without.
"""

from __future__ import annotations

# Two of the thirteen (https://www.iana.org/domains/root/servers), asked by address.
_ROOT_SERVERS = {
    "a.root-servers.net": ["198.41.0.4", "2001:503:ba3e::2:30"],
    "k.root-servers.net": ["193.0.14.129", "2001:7fd::1"],
}


def row(
    group: str,
    host: str,
    port: int = 443,
    level: str = "required",
    protocol: str = "tcp",
    **more: str,
) -> dict:
    """Return a row."""
    return {
        "group": group,
        "protocol": protocol,
        "host": host,
        "port": port,
        "level": level,
        **more,
    }


def docker_hub() -> list[dict]:
    """Return the rows of Docker's registry: itself, its tokens, and the contents of images."""
    return [
        row("images", "registry-1.docker.io"),
        row("images", "auth.docker.io"),
        row("images", "production.cloudflare.docker.com"),
    ]


def github_registry() -> list[dict]:
    """Return the rows of GitHub's registry: itself, and the contents of images."""
    return [row("images", "ghcr.io"), row("images", "pkg-containers.githubusercontent.com")]


def root_servers() -> list[dict]:
    """Return the rows of root name servers."""
    return [
        dict(row("dns", name, 53, protocol="udp"), addresses=addresses)
        for name, addresses in _ROOT_SERVERS.items()
    ]


def echo(addresses: list[str], **more: str) -> list[dict]:
    """Return the rows of addresses that must answer to ICMP echo requests."""
    return [row("icmp", address, 0, protocol="icmp", **more) for address in addresses]
