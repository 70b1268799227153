# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox consists of, as data. Adding a host or a package is a line here."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass

# A second checkout can have a sandbox of its own beside the first one's when this
# variable gives it a name; names in the engine and addresses follow from it.
NAME_VARIABLE = "MAILHOST_SANDBOX"
NAME = os.environ.get(NAME_VARIABLE, "")
if not re.fullmatch(r"([a-z][a-z0-9]{0,15})?", NAME):
    raise SystemExit(
        f"sandbox: {NAME_VARIABLE} is {NAME!r}; allowed are 1 to 16 small letters and digits, "
        "a letter first"
    )


def subnet_number(name: str) -> int:
    """The number that a sandbox's addresses contain: 0 without a name, else 1 to 254."""
    return 1 + zlib.crc32(name.encode()) % 254 if name else 0


# Everything the sandbox makes in the engine carries this label and, where it
# has a name, this prefix. Cleaning up removes what carries the label.
LABEL = "mailhost.sandbox"
PREFIX = f"mailhost-sandbox-{NAME}" if NAME else "mailhost-sandbox"
WORLD = f"{PREFIX}-world"

# One private network. The addresses clash neither with mailcow's 172.22.1.0/24
# nor with the pools Docker hands out (172.17.0.0/12, 192.168.0.0/16).
DOMAIN = "example.test"
SUBNET = subnet_number(NAME)
# At most 15 characters, the kernel's limit.
BRIDGE = f"br-mailhost-{SUBNET}" if NAME else "br-mailhost"
IPV4_PREFIX = f"10.99.{SUBNET}"
IPV6_PREFIX = f"fd99:0:0:{SUBNET:x}:" if SUBNET else "fd99:"
IPV4_NETWORK = f"{IPV4_PREFIX}.0/24"
IPV4_GATEWAY = f"{IPV4_PREFIX}.1"
IPV6_NETWORK = f"{IPV6_PREFIX}:/64"
IPV6_GATEWAY = f"{IPV6_PREFIX}:1"
WORLD_IPV4 = f"{IPV4_PREFIX}.2"
WORLD_IPV6 = f"{IPV6_PREFIX}:2"

DEBIAN_MIRROR = "http://deb.debian.org"
ARCHITECTURE_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Host:
    """A disposable server.

    name: short host name; the FQDN is ``name.example.test``.
    number: what its addresses end in, 10 to 99.
    system: name of its image, a key of SYSTEMS.
    """

    name: str
    number: int
    system: str

    @property
    def ipv4(self) -> str:
        """Its IPv4 address."""
        return f"{IPV4_PREFIX}.{self.number}"

    @property
    def ipv6(self) -> str:
        """Its IPv6 address; it ends in the same digits."""
        return f"{IPV6_PREFIX}:{self.number}"

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

# What the world's stand-in for Debian's archive holds, by suite: the closure of
# these lists without recommended packages, beside each system's own. The lists
# of a suite are resolved one by one, so that packages which exclude each other
# may stand in different ones.
ARCHIVE = {
    "trixie": {
        "tools": (
            "bash-completion bind9-dnsutils bsd-mailx cron curl debconf-utils ethtool file git "
            "gnupg jq logrotate lsb-release lsof netcat-openbsd openssl psmisc python3-apt "
            "python3-debian python3-pip python3-requests python3-venv python3-yaml rsync rsyslog "
            "socat strace sudo swaks tcpdump unzip util-linux-extra vim-tiny wget whois xz-utils "
            "zstd"
        ),
        "engine": "containerd docker-buildx docker-cli docker-compose docker.io runc tini pigz",
        "firewall": "conntrack fail2ban ipset iptables nftables python3-systemd ufw",
        "firewalld": "firewalld",
        "chrony": "chrony",
        "timesyncd": "systemd-timesyncd",
        "postfix": "postfix postfix-pcre libsasl2-modules",
        "exim": "exim4-daemon-light",
    },
}

# What the containers of the world and of the stand-in stacks are made from.
WORLD_SUITE = "trixie"
WORLD_PACKAGES = "bind9 ca-certificates docker-registry fcgiwrap git nginx procps"
STACK_PACKAGES = (
    "bind9-host ca-certificates dovecot-imapd dovecot-lmtpd dovecot-managesieved dovecot-pop3d "
    "dovecot-sieve mariadb-server memcached nginx openssl postfix procps redis-server tini unbound"
)

# Names that the world answers for, by zone; "@" is the zone itself.
WORLD_NAMES = {
    "debian.org": ("deb", "security", "ftp"),
    "docker.com": ("download", "hub"),
    "docker.io": ("@", "registry-1", "auth", "index"),
    "ghcr.io": ("@",),
    "github.com": ("@", "api", "codeload"),
}

HOSTS = (
    Host("mail1", 11, "debian-13"),
    Host("mail2", 12, "debian-13"),
    Host("mail3", 13, "debian-13"),
)
