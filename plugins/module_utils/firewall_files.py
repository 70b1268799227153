# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that bring a host's firewall back: at boot, and when a change has to be undone.

A directory holds all of it: ``load`` makes the rules of its own directory the ones in force,
whatever was loaded before, and ``unload`` takes everything away. Neither needs Python or Ansible,
and a copy of the directory is a copy of the firewall.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    firewall_iptables,
    firewall_nftables,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.ruleset import IPV4, IPV6, Ruleset

#: Every name that a directory may hold.
NAMES = ("ipv4.rules", "ipv6.rules", "ipset.rules", "nftables.rules", "load", "unload")

_HEAD = """\
#!/bin/sh
# Managed by postmaster.mailhost.docker_firewall; changes are lost.
# {what}
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
cd "$(dirname "$0")"
"""

# Whoever bans by itself wants to be asked first, see firewall_iptables.hook.
_HOOK = """\
hook() { # program, table, chain, our chain
    "$1" -w -t "$2" -C "$3" -j "$4" >/dev/null 2>&1 && return
    place=$("$1-save" -t "$2" | awk -v chain="$3" '
        $1 == "-A" && $2 == chain {
            if (chain != "INPUT" || $0 !~ / -j (MAILCOW|f2b-[^ ]+)$/) exit
            place++
        }
        END { print place + 1 }')
    "$1" -w -t "$2" -I "$3" "$place" -j "$4"
}
"""

_UNHOOK = """\
unhook() { # program, table, chain, our chain
    while "$1" -w -t "$2" -D "$3" -j "$4" 2>/dev/null; do :; done
    "$1" -w -t "$2" -F "$4" 2>/dev/null || return 0
    "$1" -w -t "$2" -X "$4"
}
"""

_NO_TABLE = "! command -v nft >/dev/null || nft delete table {0} 2>/dev/null || :\n"

_NO_SETS = """\
! command -v ipset >/dev/null || for name in $(ipset -n list | grep '^{0}'); do
    ipset destroy "$name"
done
"""


class File(NamedTuple):
    """A file's text and permission bits."""

    text: str
    mode: int


def programs(variant: str, family: str) -> str:
    """Return the name of iptables, ``-save`` and ``-restore`` at whose end are programs as well.

    Args:
        variant: ``nft``, ``legacy`` or empty for the one that has no other beside it.
        family: the address family.
    """
    name = "iptables" if family == IPV4 else "ip6tables"
    return name + ("-" + variant if variant else "")


def iptables(rules: Ruleset, variant: str, families: tuple[str, ...]) -> dict[str, File]:
    """Return the files for iptables.

    Args:
        rules: the rules.
        variant: see :func:`programs`.
        families: the families that the kernel has.
    """
    files = {}
    script = [_HEAD.format(what="Loads the rules that lie beside it."), _HOOK, _UNHOOK, "\n"]
    sets = firewall_iptables.sets(rules)
    if sets:
        files["ipset.rules"] = File(
            "".join(
                firewall_iptables.set_payload(name, family, entries)
                for name, (family, entries) in sets.items()
            ),
            0o600,
        )
        script.append("ipset restore <ipset.rules\n")
    for family in families:
        wanted = firewall_iptables.chains(rules, family)
        program = programs(variant, family)
        files[family + ".rules"] = File(firewall_iptables.payload(wanted, {}), 0o600)
        # The engine adopts a chain that is there before it, with its rules.
        script.append(
            "{0} -w -N {1} 2>/dev/null || :\n".format(program, firewall_iptables.DOCKER_USER)
        )
        script.append("{0}-restore -w --noflush <{1}.rules\n".format(program, family))
        for chain, (table, parent) in firewall_iptables.CHAINS.items():
            verb = "hook" if chain in wanted else "unhook"
            script.append("{0} {1} {2} {3} {4}\n".format(verb, program, table, parent, chain))
    script.append(_NO_TABLE.format(firewall_nftables.TABLE))
    files["load"] = File("".join(script), 0o700)
    files["unload"] = _unload(variant, families)
    return files


def nftables(rules: Ruleset, variant: str, families: tuple[str, ...]) -> dict[str, File]:
    """Return the files for nft. Arguments as of :func:`iptables`."""
    script = [_HEAD.format(what="Loads the rules that lie beside it."), _UNHOOK, "\n"]
    script.append("nft -f nftables.rules\n")
    script.append(_without_iptables(variant, families))
    return {
        "nftables.rules": File(firewall_nftables.payload(rules), 0o600),
        "load": File("".join(script), 0o700),
        "unload": _unload(variant, families),
    }


def texts(files: Mapping[str, File]) -> dict[str, str]:
    """Return the rules among the files by name, for people and other programs."""
    return {name: files[name].text for name in NAMES if name in files and ".rules" in name}


def _unload(variant: str, families: tuple[str, ...]) -> File:
    script = [_HEAD.format(what="Takes all rules of this firewall away."), _UNHOOK, "\n"]
    script.append(_without_iptables(variant, families))
    script.append(_NO_TABLE.format(firewall_nftables.TABLE))
    return File("".join(script), 0o700)


def _without_iptables(variant: str, families: tuple[str, ...]) -> str:
    """Return the commands that take away what is ours in iptables."""
    text = []
    for family in families:
        program = programs(variant, family)
        commands = [
            "    unhook {0} {1} {2} {3}\n".format(program, table, parent, chain)
            for chain, (table, parent) in firewall_iptables.CHAINS.items()
        ]
        text.append(
            "if command -v {0} >/dev/null; then\n{1}fi\n".format(program, "".join(commands))
        )
    text.append(_NO_SETS.format(firewall_iptables.SET_PREFIX))
    return "".join(text)


#: Families of a kernel with IPv6.
BOTH = (IPV4, IPV6)
