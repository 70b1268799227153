# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name servers that the host, and its containers through it, ask."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import reach
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

_FILE = "/etc/resolv.conf"

# systemd-resolved answers on these and lists the servers that it asks in a file of its own, which
# containers are given (systemd-resolved.service(8)).
_STUBS = ("127.0.0.53", "127.0.0.54")
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"

# The C library looks at no more (resolv.conf(5)), and asks this one when none is named.
_MAX_SERVERS = 3
_DEFAULT_SERVER = "127.0.0.1"

# A signed name that Mailu itself asks for.
_NAME = "example.org"

# Public resolvers, as their operators list them; the last element is the page.
_PUBLIC = (
    (
        "Google Public DNS",
        ("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844"),
        "https://developers.google.com/speed/public-dns/docs/using",
    ),
    (
        "Cloudflare",
        (
            "1.1.1.1",
            "1.0.0.1",
            "1.1.1.2",
            "1.0.0.2",
            "1.1.1.3",
            "1.0.0.3",
            "2606:4700:4700::1111",
            "2606:4700:4700::1001",
            "2606:4700:4700::1112",
            "2606:4700:4700::1002",
            "2606:4700:4700::1113",
            "2606:4700:4700::1003",
        ),
        "https://developers.cloudflare.com/1.1.1.1/ip-addresses/",
    ),
    (
        "Quad9",
        (
            "9.9.9.9",
            "149.112.112.112",
            "9.9.9.10",
            "149.112.112.10",
            "9.9.9.11",
            "149.112.112.11",
            "2620:fe::fe",
            "2620:fe::9",
            "2620:fe::10",
            "2620:fe::fe:10",
            "2620:fe::11",
            "2620:fe::fe:11",
        ),
        "https://quad9.net/service/service-addresses-and-features/",
    ),
    (
        "OpenDNS",
        (
            "208.67.222.222",
            "208.67.220.220",
            "208.67.222.123",
            "208.67.220.123",
            "2620:119:35::35",
            "2620:119:53::53",
        ),
        "https://www.opendns.com/setupguide/",
    ),
    (
        "AdGuard DNS",
        ("94.140.14.14", "94.140.15.15", "2a10:50c0::ad1:ff", "2a10:50c0::ad2:ff"),
        "https://adguard-dns.io/en/public-dns.html",
    ),
)


class Servers(NamedTuple):
    """Addresses of name servers: those that programs ask, and those behind a stub on the host."""

    asked: tuple[str, ...]
    behind: tuple[str, ...]


def answers(host: Host, need: Need) -> list[Finding]:
    """Ask each name server in /etc/resolv.conf for a name, over UDP.

    No server that answers is a ``fail``, one of several that does not a ``warn``: the programs of
    the host wait for it. On a host that is meant to have no way out, any answer will do.
    """
    required = "each name server answers within {0:g} s".format(reach.TIMEOUT)
    servers = host.once(_servers)
    said = host.once(_replies)
    troubles = {server: _trouble(said[server], need.offline) for server in servers.asked}
    silent = [server for server, text in troubles.items() if text]
    observed = "; ".join("{0}: {1}".format(server, troubles[server]) for server in silent)
    if not silent:
        return [answer(OK, _list(servers.asked) + " answers", required)]
    fix = "Name working servers in {0}, through whatever writes it on this host.".format(_FILE)
    status = FAIL if len(silent) == len(troubles) else WARN
    return [answer(status, observed, required, fix)]


def dnssec(host: Host, need: Need) -> list[Finding]:
    """Ask the name servers whether they validate DNSSEC (the AD flag of a signed name's answer).

    A stack that always has its own resolver does not depend on them: ``skip``. Mailu's resolver
    container may be left out; without it and without validation Mailu's admin container never
    starts: ``warn``. Behind systemd-resolved its own upstream servers are asked, as containers get
    those.
    """
    required = "validating name servers"
    if need.own_resolver:
        return [answer(SKIP, "{0} has its own resolver".format(need.title), required)]
    servers = host.once(_servers).behind
    said = host.once(_replies)
    answered = [server for server in servers if said[server].message is not None]
    if not answered:
        if need.offline:
            return [answer(SKIP, "not looked at: no server answers, offline", required)]
        raise HostError("no name server answers: " + _list(servers))
    plain = [server for server in answered if not _validates(said[server])]
    if not plain:
        return [answer(OK, _list(answered) + " validates", required)]
    return [
        answer(
            WARN,
            _list(plain) + " does not validate",
            required,
            "Keep {0}'s resolver container, or use name servers that validate DNSSEC.".format(
                need.title
            ),
        )
    ]


def public(host: Host, need: Need) -> list[Finding]:
    """Look for public resolvers among the name servers.

    Blocklists answer to these with errors, which filters without care take for listings: ``warn``.
    Beside a stack that has its own resolver it is ``ok`` with a remark. Behind systemd-resolved its
    upstream servers count. A server on the host itself may ask anybody: ``skip``. Nothing is asked.
    """
    required = "no public resolver between mail server and blocklists"
    servers = host.once(_servers).behind
    if servers == (_DEFAULT_SERVER,):
        # Named or not: whom a server on the host itself asks is its own affair.
        return [answer(SKIP, "{0}, a server on the host".format(_DEFAULT_SERVER), required)]
    found = {server: _operator(server) for server in servers}
    known = ["{0} ({1})".format(server, name) for server, name in found.items() if name]
    if not known:
        return [answer(OK, _list(servers), required)]
    observed = ", ".join(known)
    if need.own_resolver:
        return [answer(OK, "{0}, which {1} does not ask".format(observed, need.title), required)]
    return [
        answer(
            WARN,
            observed,
            required,
            "Keep {0}'s resolver container, or use a resolver of your own (unbound) or the "
            "provider's.".format(need.title),
        )
    ]


def _servers(host: Host) -> Servers:
    """Return the name servers.

    Raises:
        HostError: /etc/resolv.conf cannot be read.
    """
    text = host.read(_FILE)
    if text is None and host.exists(_FILE):
        raise HostError("cannot read {0}".format(_FILE))
    asked = tuple(_parse(text or "")[:_MAX_SERVERS]) or (_DEFAULT_SERVER,)
    behind: list[str] = []
    for server in asked:
        upstream = _parse(host.read(_BEHIND_STUB) or "") if server in _STUBS else []
        behind += upstream or [server]
    return Servers(asked, tuple(dict.fromkeys(behind)))


def _parse(text: str) -> list[str]:
    """Return the servers of a resolv.conf, each once."""
    import ipaddress

    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0] != "nameserver":
            continue
        try:
            # A zone index (fe80::1%eth0) is no part of the address in Python 3.8.
            ipaddress.ip_address(fields[1].partition("%")[0])
        except ValueError:
            continue  # the C library leaves it out as well
        found.append(fields[1])
    return list(dict.fromkeys(found))


def _replies(host: Host) -> dict[str, reach.Said]:
    """Return what each name server says."""
    servers = host.once(_servers)
    everyone = list(dict.fromkeys(servers.asked + servers.behind))
    questions = [reach.Question(server, _NAME, "A", authentic=True) for server in everyone]
    return dict(zip(everyone, host.ask_dns(questions)))


def _trouble(said: reach.Said, offline: bool) -> str:
    """Return what is wrong with an answer; empty when nothing is."""
    if said.message is not None:
        good = offline or said.message.rcode in ("NOERROR", "NXDOMAIN")
        return "" if good else "answers {0}".format(said.message.rcode)
    if said.state == reach.TIMED_OUT:
        return "no answer"
    return said.detail or said.state


def _validates(said: reach.Said) -> bool:
    return said.message is not None and said.message.authenticated


def _operator(server: str) -> str:
    """Return who runs a public resolver; empty for any other."""
    import ipaddress

    address = ipaddress.ip_address(server.partition("%")[0])
    for name, addresses, _page in _PUBLIC:
        if any(address == ipaddress.ip_address(one) for one in addresses):
            return name
    return ""


def _list(servers: tuple[str, ...] | list[str]) -> str:
    return ", ".join(servers)


LOOK = (
    ("resolver.answers", "Name servers", "dns", answers),
    ("resolver.dnssec", "DNSSEC", "dns", dnssec),
    ("resolver.public", "Public resolvers", "dns", public),
)
