# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Mailu needs of a host, as data.

Sources: https://mailu.io/2024.06/compose/requirements.html (requirements),
https://mailu.io/2024.06/configuration.html (keys) and the Compose template of the set-up utility
(https://github.com/Mailu/Mailu/blob/master/setup/flavors/compose/docker-compose.yml).
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import outgoing

DOCS = "https://mailu.io/2024.06/"


def _key(name: str, default: str | None, kind: str, meaning: str, **more: object) -> dict:
    return {
        "name": name,
        "default": default,
        "kind": kind,
        "meaning": meaning,
        "choices": [],
        "empty": False,
        **more,
    }


def _port(name: str, port: int) -> dict:
    # The numbers are fixed: they stand in docker-compose.yml and have no variable.
    return {
        "name": name,
        "protocol": "tcp",
        "port": port,
        "variable": "",
        "public": True,
        "address": "",
    }


STACK = {
    "name": "mailu",
    "title": "Mailu",
    "repository": "https://github.com/Mailu/Mailu",
    "version": "2024.06",
    "install_path": "/mailu",
    "project": "mailu",
    "env_file": "mailu.env",
    "hostname_key": "HOSTNAMES",
    "sources": {
        "system": DOCS + "compose/requirements.html",
        "platform": DOCS + "compose/requirements.html",
        "ports": DOCS + "compose/requirements.html",
        "firewall": DOCS + "compose/requirements.html",
        "provider_firewall": DOCS + "compose/requirements.html",
        "outgoing": DOCS + "compose/requirements.html",
        "time": DOCS + "compose/requirements.html",
        "cloud_init": DOCS + "compose/requirements.html",
        "mtu": "https://docs.docker.com/engine/network/drivers/bridge/#options",
        "dns": DOCS + "dns.html",
        "install": DOCS + "compose/setup.html",
        "ipv6": DOCS + "faq.html#how-to-make-ipv6-work",
        "configuration": DOCS + "configuration.html",
    },
    "requirements": {
        # Without ClamAV; see memory_plan.
        "memory_mib": 1024,
        "memory_tolerance": 0.08,
        "swap_mib": 1024,
        # Upstream names no size; the images of all services take this much.
        "disk_gib": 10,
        "cpu_mhz": 0,
        # Of x86 processors; Rspamd's pattern matching ends with "Illegal instruction" otherwise.
        "cpu_flags": ["sse4_2"],
        "architectures": ["x86_64", "aarch64", "armv7l"],
        "engine": 20,
        "compose": 2,
        "open_files": 0,
        "processes": 0,
    },
    # The resolver container may be left out: then the host's resolver is asked, and admin waits for
    # ever unless that one validates DNSSEC.
    "own_resolver": False,
    # Images of the Compose template, and what the containers ask.
    "egress": [
        *outgoing.github_registry(),
        # Redis, and ClamAV and Tika where they are used.
        *outgoing.docker_hub(),
        outgoing.row("packages", "download.docker.com"),
        outgoing.row("certificates", "acme-v02.api.letsencrypt.org", level="advised"),
        *outgoing.root_servers(),
        outgoing.row(
            "virus_signatures", "database.clamav.net", level="advised", component="clamav"
        ),
        outgoing.row("spam_rules", "maps.rspamd.com", level="advised"),
        outgoing.row("fuzzy", "fuzzy1.rspamd.com", 11335, "advised", "udp"),
        outgoing.row("fuzzy", "fuzzy2.rspamd.com", 11335, "advised", "udp"),
    ],
    "memory_plan": {
        "components": [
            {
                "name": "clamav",
                "title": "ClamAV",
                "mib": 2048,
                "default": False,
                "key": "ANTIVIRUS",
                "on": "clamav",
                "off": "none",
            },
            {
                "name": "attachment_search",
                "title": "search in attachments (Tika)",
                "mib": 2048,
                "default": False,
                "key": "FULL_TEXT_SEARCH_ATTACHMENTS",
                "on": "true",
                "off": "",
            },
        ],
        # Upstream states no figures for users.
        "user_mib": 0,
        "activesync_device_mib": 0,
        "imap_connection_mib": 0,
        "sogo_workers": 0,
    },
    "sysctls": {
        "net.ipv4.ip_forward": 1,
        "fs.inotify.max_user_instances": 1024,
        "fs.inotify.max_user_watches": 65536,
        "net.core.somaxconn": 4096,
        "vm.overcommit_memory": 1,
        # Asked for by the hardened memory allocator of Mailu's images.
        "vm.max_map_count": 1048576,
    },
    "operating_systems": [
        {"id": "debian", "versions": ["12", "13"], "support": "supported"},
        {"id": "debian", "versions": ["11"], "support": "untested"},
        {"id": "ubuntu", "min_version": "22.04", "support": "untested"},
        {"id": "almalinux", "versions": ["8", "9"], "support": "untested"},
        {"id": "rocky", "versions": ["8", "9"], "support": "untested"},
    ],
    "commands": [],
    "ports": [
        _port("SMTP", 25),
        _port("HTTP", 80),
        _port("POP3", 110),
        _port("IMAP", 143),
        _port("HTTPS", 443),
        _port("SMTPS", 465),
        _port("submission", 587),
        _port("IMAPS", 993),
        _port("POP3S", 995),
        _port("ManageSieve", 4190),
    ],
    "networks": [
        {
            "name": "default",
            "bridge": "",
            "ipv4": "192.168.203.0/24",
            "ipv6": "",
            "ipv4_key": ("SUBNET", "{0}"),
            "ipv6_key": ("SUBNET6", "{0}"),
        }
    ],
    # IPv6 is on when it has a value at all.
    "ipv6_key": ("SUBNET6", None),
    "keys": [
        _key("SUBNET", "192.168.203.0/24", "ipv4_network", "The stack's private IPv4 network."),
        _key("SUBNET6", "", "ipv6_prefix", "The stack's private IPv6 network.", empty=True),
        _key("ANTIVIRUS", "none", "choice", "Virus scanner.", choices=["none", "clamav"]),
        _key(
            "FULL_TEXT_SEARCH_ATTACHMENTS",
            "",
            "choice",
            "Search in attachments.",
            choices=["true"],
            empty=True,
        ),
        _key("TZ", "Etc/UTC", "timezone", "Time zone of the containers."),
    ],
}
