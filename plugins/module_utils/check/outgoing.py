# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of outgoing connections share: which servers to try, how, and what came of it."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    host_info,
    http_proxy,
    reach,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need, mirror
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}

OFFLINE = "not looked at: the host is meant to have no way out"

NO_ADDRESS = "has no address of "

# Of many addresses of one name, so many are tried for each family.
MAX_ADDRESSES = 2

_WEB_PORTS = (80, 443)

# Answers of a proxy that are its own: credentials wanted, or the server not reached.
_PROXY_TROUBLE = {
    "403": "the proxy refuses it",
    "407": "the proxy wants a user name and password",
    "502": "the proxy cannot reach it",
    "503": "the proxy cannot reach it",
    "504": "the proxy cannot reach it",
}


class Target(NamedTuple):
    """A server to reach: a row of the stack's data with the administrator's mirror in place.

    ``proxy`` is None when it is asked directly.
    """

    row: Mapping[str, Any]
    host: str
    port: int
    proxy: http_proxy.Proxy | None

    @property
    def place(self) -> str:
        """The server in messages."""
        return "{0}:{1}".format(self.host, self.port) if self.port else self.host

    @property
    def plain(self) -> bool:
        """Whether it is a web server that is asked without TLS."""
        return self.row["port"] == _WEB_PORTS[0]


class Outcome(NamedTuple):
    """What came of a target: family to trouble in words, empty where it was reached."""

    target: Target
    troubles: Mapping[str, str]

    @property
    def reached(self) -> bool:
        """Whether any family reached it."""
        return "" in self.troubles.values()


def rows_of(need: Need, group: str) -> tuple[list[Mapping[str, Any]], str]:
    """Return the rows of a group that are to be tried, and why there are none."""
    if need.offline:
        return [], OFFLINE
    rows = [row for row in need.egress if row["group"] == group]
    if not rows:
        return [], "the stack needs none"
    wanted = [row for row in rows if need.mirrors.get(row["host"], row["host"])]
    hosts = ", ".join(dict.fromkeys(row["host"] for row in rows))
    return wanted, "not asked, see preflight_mirrors: " + hosts


def target_of(host: Host, need: Need, row: Mapping[str, Any]) -> Target:
    """Return what to reach for a row."""
    name, port = row["host"], row["port"]
    if need.mirrors.get(name):
        name, port = mirror(name, need.mirrors[name], port)
    proxy = None
    if row["protocol"] == "tcp" and row["port"] in _WEB_PORTS:
        proxy = _proxy(host, need, name, row["port"] == _WEB_PORTS[0])
    return Target(row, name, port, proxy)


def _proxy(host: Host, need: Need, name: str, plain: bool) -> http_proxy.Proxy | None:
    """Return the proxy that a web server is asked through, if any."""
    variables = ("http_proxy",) if plain else ("https_proxy", "HTTPS_PROXY")
    url = need.proxy or next(filter(None, map(host.environment, variables)), "")
    exempt = host.environment("no_proxy") or host.environment("NO_PROXY")
    if not url or http_proxy.is_exempt(name, exempt):
        return None
    return http_proxy.parse(url)


def ways_out(host: Host) -> list[str]:
    """Return the address families that the host has a way out for; IPv4 when it has none."""
    routes = host.once(host_info.default_route)
    return [family for family in FAMILIES if routes[family]] or ["ipv4"]


def has_local_ipv6_only(host: Host) -> bool:
    """Tell whether the host's IPv6 source address is one of a private network (RFC 4193).

    Programs then prefer IPv4 by themselves (RFC 6724), so that IPv6 may fail.
    """
    import ipaddress

    route = host.once(host_info.default_route)["ipv6"]
    source = route["source"] if route else None
    return source is not None and not ipaddress.ip_address(source).is_global


def family_of(address: str) -> str:
    """Return the family of a numeric address."""
    return "ipv6" if ":" in address else "ipv4"


def try_targets(host: Host, targets: Sequence[Target]) -> list[Outcome]:
    """Try to reach servers, all at once.

    Raises:
        HostError: what becomes of it is not known.
    """
    families = ways_out(host)
    ways = [target.proxy.host if target.proxy else target.host for target in targets]
    names = unique(ways)
    found = dict(zip(names, host.look_up(names)))
    plan = []
    for number, (target, way) in enumerate(zip(targets, ways)):
        for family in families:
            for address in getattr(found[way], family)[:MAX_ADDRESSES]:
                plan.append((number, family, _probe(target, address)))
    replies = host.probe([probe for _number, _family, probe in plan])
    troubles: dict[int, dict[str, str]] = {}
    for (number, family, _probed), reply in zip(plan, replies):
        target = targets[number]
        text = proxy_words(reply, target) if target.proxy else words(reply.state, reply.detail)
        known = troubles.setdefault(number, {})
        # One address that answers is enough.
        known[family] = text if known.get(family, text) else ""
    return [
        Outcome(target, troubles.get(number) or {"": _lost(target, found[way], families)})
        for number, (target, way) in enumerate(zip(targets, ways))
    ]


def _lost(target: Target, found: reach.Name, families: Sequence[str]) -> str:
    """Return why there is no address to try, in words."""
    trouble = found.trouble or NO_ADDRESS + in_words(families)
    return "asked through the proxy, which {0}".format(trouble) if target.proxy else trouble


def _probe(target: Target, address: str) -> reach.Probe:
    """Return the probe of a server, or of the proxy in front of it, at an address."""
    if target.proxy is None:
        send = b"\0" if target.row["protocol"] == "udp" else b""
        return reach.Probe(target.row["protocol"], address, target.port, send=send)
    if target.plain:
        request = target.proxy.head(target.host, target.port)
        return reach.Probe("tcp", address, target.proxy.port, send=request, wait=True)
    tunnel = target.proxy.tunnel(target.host, target.port)
    return reach.Probe("tcp", address, target.proxy.port, tunnel=tunnel)


def words(state: str, detail: str = "") -> str:
    """Return a state in words; empty for one that is well."""
    if state == reach.OPEN:
        return ""
    if state == reach.TIMED_OUT:
        return "no answer within {0:g} s".format(reach.TIMEOUT)
    if state == reach.REFUSED:
        return "refused"
    return detail[:1].lower() + detail[1:] if detail else state


def proxy_words(reply: reach.Reply, target: Target | None = None) -> str:
    """Return what a proxy's reply means; empty when the server was reached."""
    status = http_status(reply.text)
    if reply.state == reach.OPEN and not (target and target.plain):
        return ""
    if reply.state == reach.OPEN and status and (status == "403" or status not in _PROXY_TROUBLE):
        return ""  # of a page asked without a tunnel, 403 may well be the server's own answer
    if reply.state in (reach.OPEN, reach.REFUSED) and reply.text:
        return _PROXY_TROUBLE.get(status, "the proxy answers {0}".format(reply.text))
    return (words(reply.state, reply.detail) or "no answer") + " by the proxy"


def http_status(line: str) -> str:
    """Return the status of an HTTP status line; empty when it is none."""
    fields = line.split()
    return fields[1] if len(fields) > 1 and fields[0].startswith("HTTP/") else ""


def in_words(families: Iterable[str]) -> str:
    """Return address families as they are written."""
    return " and ".join(FAMILIES[family] for family in families)


def unique(items: Iterable[str]) -> list[str]:
    """Return items without repetitions, in their order."""
    return list(dict.fromkeys(items))
