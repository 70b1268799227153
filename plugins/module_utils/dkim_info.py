# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public parts of a stack's DKIM keys, asked from the stack itself."""

from __future__ import annotations

import json
import re
from typing import Iterable

from ansible_collections.postmaster.mailhost.plugins.module_utils import compose_exec, dns
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

# Redis has the password in its environment, so that it is in no list of processes.
_REDIS = (
    'export REDISCLI_AUTH="$REDISPASS"; for key in DKIM_SELECTORS DKIM_PUB_KEYS; do '
    'echo "# $key"; redis-cli --raw HGETALL "$key" || exit 1; done'
)

#: Stack -> the service that is asked, and the command in it.
COMMANDS = {
    "mailcow": ("redis-mailcow", ("sh", "-c", _REDIS)),
    "mailu": (
        "admin",
        ("flask", "mailu", "config-export", "--json", "domain.name", "domain.dns_dkim"),
    ),
}

_RECORD = re.compile(r'(\S+?)\._domainkey\.\S+ .*?p=([A-Za-z0-9+/=]+)"')


class DkimInfoError(Exception):
    """The keys cannot be read; the text is a sentence."""


def read_mailu(text: str) -> dict[str, dict[str, str]]:
    """Read what Mailu's ``config-export`` prints: the records it proposes.

    Returns:
        dict: domain -> ``selector`` and ``public_key``.

    Raises:
        DkimInfoError: that is no export.
    """
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                domains = json.loads(line)["domain"]
            except (KeyError, ValueError):
                continue
            matches = {item["name"]: _RECORD.match(item.get("dns_dkim") or "") for item in domains}
            return {
                dns.to_ascii(name): {"selector": match.group(1), "public_key": match.group(2)}
                for name, match in matches.items()
                if match
            }
    raise DkimInfoError("config-export printed no configuration")


def read_mailcow(text: str) -> dict[str, dict[str, str]]:
    """Read two hashes as redis-cli prints them: names and values, a line each.

    Returns:
        dict: domain -> ``selector`` and ``public_key``.
    """
    hashes: dict[str, dict[str, str]] = {}
    for part in text.split("# ")[1:]:
        name, *lines = [line for line in part.splitlines() if line]
        hashes[name] = dict(zip(lines[::2], lines[1::2]))
    selectors = hashes.get("DKIM_SELECTORS", {})
    return {
        domain: {"selector": selectors[domain], "public_key": key}
        for domain, key in hashes.get("DKIM_PUB_KEYS", {}).items()
        if domain in selectors
    }


def look(
    host: Host,
    stack: str,
    project_src: str,
    project_name: str = "",
    domains: Iterable[str] = (),
    timeout: float = 60.0,
) -> dict[str, dict[str, str]]:
    """Ask a stack for its DKIM keys.

    Args:
        host: where the stack is.
        stack: one of :data:`COMMANDS`.
        project_src: directory of its Compose project.
        project_name: name of that; empty for the one that Compose finds there.
        domains: only these; all when empty.
        timeout: seconds that the question may take.

    Returns:
        dict: domain -> ``selector`` and ``public_key``, base64 without line ends.

    Raises:
        compose_exec.ComposeExecError: the stack does not run, or does not answer.
        DkimInfoError: it answers something else.
        ValueError: a domain is none.
    """
    only = [dns.clean_name("domains", name) for name in domains]
    service, argv = COMMANDS[stack]
    done = compose_exec.run(host, project_src, project_name, service, argv, timeout=timeout)
    if done.rc != 0:
        said = done.stderr.strip().splitlines() or ["no reason was given"]
        raise DkimInfoError("{0}: {1}".format(service, said[-1]))
    found = read_mailu(done.stdout) if stack == "mailu" else read_mailcow(done.stdout)
    return {name: key for name, key in found.items() if not only or name in only}
