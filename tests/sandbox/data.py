# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox consists of, as data. Adding a host or a package is a line here."""

from __future__ import annotations

from dataclasses import dataclass

# Everything the sandbox makes in the engine carries this label and, where it
# has a name, this prefix. Cleaning up removes what carries the label.
LABEL = "mailhost.sandbox"
PREFIX = "mailhost-sandbox"

# One private network. The addresses clash neither with mailcow's 172.22.1.0/24
# nor with the pools Docker hands out (172.17.0.0/12, 192.168.0.0/16).
DOMAIN = "example.test"
IPV4_NETWORK = "10.99.0.0/24"
IPV4_GATEWAY = "10.99.0.1"
IPV6_NETWORK = "fd99::/64"
IPV6_GATEWAY = "fd99::1"
WORLD_IPV4 = "10.99.0.2"
WORLD_IPV6 = "fd99::2"

DEBIAN_MIRROR = "http://deb.debian.org"
ARCHITECTURE_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Host:
    """A disposable server.

    name: short host name; the FQDN is ``name.example.test``.
    ipv4, ipv6: its addresses in the sandbox's network.
    system: name of its image, a key of SYSTEMS.
    """

    name: str
    ipv4: str
    ipv6: str
    system: str

    @property
    def fqdn(self) -> str:
        """The host's fully qualified domain name."""
        return f"{self.name}.{DOMAIN}"

    @property
    def container(self) -> str:
        """The name of its container."""
        return f"{PREFIX}-{self.name}"


@dataclass(frozen=True)
class System:
    """An operating system that hosts can have.

    suite: Debian's code name.
    version: Debian's major version.
    packages: what a freshly rented server of this system has beyond the base.
    """

    suite: str
    version: str
    packages: tuple[str, ...]


# Bare, as a cloud provider's image is: what the roles need beyond this they install.
SYSTEMS = {
    "debian-13": System(
        suite="trixie",
        version="13",
        packages=(
            "ca-certificates",
            "dbus",
            "iproute2",
            "iputils-ping",
            "kmod",
            "libpam-systemd",
            "less",
            "netbase",
            "openssh-server",
            "openssh-sftp-server",
            "procps",
            "python3",
            "systemd",
            "systemd-sysv",
            "tzdata",
        ),
    ),
}

HOSTS = (
    Host("mail1", "10.99.0.11", "fd99::11", "debian-13"),
    Host("mail2", "10.99.0.12", "fd99::12", "debian-13"),
)
