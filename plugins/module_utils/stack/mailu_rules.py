# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Mailu that are right one by one and wrong together.

Sources: https://mailu.io/2024.06/configuration.html,
https://mailu.io/2024.06/reverse.html (proxies), and Mailu's own code where that says otherwise.
"""

from __future__ import annotations

#: Ports that Mailu's front service listens on whatever PORTS says.
_ALWAYS = ("25", "465", "993")
_KNOWN = ("25", "80", "110", "143", "443", "465", "587", "993", "995", "4190")

# Larger networks may hold strangers, who could relay.
_LARGEST = {4: 24, 6: 64}


def problems(effective: dict, option: str) -> list[str]:
    """Return what is wrong with values that are right one by one.

    Args:
        effective: key -> value, secrets included.
        option: the variable that the values come from.

    Returns:
        Sentences that name the key, its value and what is allowed; never the value of a secret.
    """
    found = []
    for rule in (_relay, _proxy, _ports, _web, _search, _database, _network):
        found += ["{0}.{1}".format(option, text) for text in rule(effective)]
    return found


def _relay(values: dict) -> list[str]:
    import ipaddress

    found = []
    for item in filter(None, values.get("RELAYNETS", "").split(",")):
        try:
            network = ipaddress.ip_network(item, strict=False)
        except ValueError:
            continue  # its kind says so
        if network.prefixlen < _LARGEST[network.version]:
            found.append(
                "RELAYNETS: {0} is an open relay for {1} addresses; allowed: networks of /{2} and "
                "smaller".format(item, network.num_addresses, _LARGEST[network.version])
            )
    user, word = values.get("RELAYUSER"), values.get("RELAYPASSWORD")
    if bool(user) != bool(word):
        found.append("RELAYUSER and RELAYPASSWORD go together: set both or none")
    if user and not values.get("RELAYHOST"):
        found.append("RELAYUSER needs RELAYHOST: without it nobody is logged in to")
    return found


def _proxy(values: dict) -> list[str]:
    header, protocol = values.get("REAL_IP_HEADER"), values.get("PROXY_PROTOCOL")
    found = []
    for name in ("REAL_IP_HEADER", "PROXY_PROTOCOL"):
        if values.get(name) and not values.get("REAL_IP_FROM"):
            found.append(
                "{0} needs REAL_IP_FROM, the addresses of the proxy: without it anybody could "
                "choose his own address, or the proxy itself is limited".format(name)
            )
    if header and protocol:
        found.append("REAL_IP_HEADER and PROXY_PROTOCOL exclude each other: set one of them")
    if values.get("PROXY_AUTH_WHITELIST") and not values.get("PROXY_AUTH_HEADER"):
        found.append("PROXY_AUTH_WHITELIST needs PROXY_AUTH_HEADER, the header with the user")
    return found


def _ports(values: dict) -> list[str]:
    ports = values.get("PORTS")
    if ports is None:
        return []
    named = ports.split(",")
    unknown = [port for port in named if port not in _KNOWN]
    if unknown:
        return [
            "PORTS: {0!r}: Mailu has nothing on {1}; allowed: {2}".format(
                ports, ", ".join(unknown), ", ".join(_KNOWN)
            )
        ]
    found = []
    missing = [port for port in _ALWAYS if port not in named]
    if missing:
        found.append(
            "PORTS: {0!r} lacks {1}, which Mailu opens all the same: name them".format(
                ports, ", ".join(missing)
            )
        )
    if values.get("TLS_FLAVOR") == "letsencrypt" and "80" not in named:
        found.append(
            "PORTS: {0!r} lacks 80, where Let's Encrypt looks; allowed: with 80, or mailu_tls_flavor "
            "cert".format(ports)
        )
    return found


def _web(values: dict) -> list[str]:
    found = []
    paths = {"WEB_ADMIN": values.get("ADMIN") == "true", "WEB_WEBMAIL": None, "WEB_API": None}
    paths["WEB_WEBMAIL"] = values.get("WEBMAIL", "none") != "none"
    paths["WEB_API"] = values.get("API") == "true"
    used = {}
    for name, on in paths.items():
        path = values.get(name)
        if on and path in used:
            found.append("{0} and {1} are both {2!r}: they need different paths".format(
                used[path], name, path))  # fmt: skip
        elif on:
            used[path] = name
    target = values.get("WEBROOT_REDIRECT", "")
    begin = [path for path in used if path]
    if target not in ("", "none") and not any(
        target == path or target.startswith(path.rstrip("/") + "/") for path in begin
    ):
        found.append(
            "WEBROOT_REDIRECT: {0!r} leads nowhere; allowed: {1}".format(
                target, ", ".join([*begin, "none", "or empty"])
            )
        )
    return found


def _search(values: dict) -> list[str]:
    if values.get("FULL_TEXT_SEARCH_ATTACHMENTS") and values.get("FULL_TEXT_SEARCH") == "off":
        return ["FULL_TEXT_SEARCH is off, but mailu_fts_attachments is true: set one of them"]
    return []


def _database(values: dict) -> list[str]:
    found = []
    for prefix in ("DB_", "ROUNDCUBE_DB_"):
        flavor = values.get(prefix + "FLAVOR")
        needed = [prefix + name for name in ("USER", "PW", "HOST", "NAME")]
        missing = [name for name in needed if not values.get(name)]
        if flavor in ("postgresql", "mysql") and missing:
            found.append("{0}FLAVOR: {1} needs {2}".format(prefix, flavor, ", ".join(missing)))
        given = [name for name in needed if values.get(name)]
        if flavor is None and given:
            found.append("{0} needs {1}FLAVOR".format(given[0], prefix))
    return found


def _network(values: dict) -> list[str]:
    import ipaddress

    try:
        network = ipaddress.ip_network(values.get("SUBNET", ""))
    except ValueError:
        return []  # its kind says so
    if network.prefixlen > 27:
        return [
            "SUBNET: {0} has too few addresses for all services; allowed: /27 and larger".format(
                network
            )
        ]
    return []
