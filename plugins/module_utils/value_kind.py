# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of configuration value: what a value of each kind may look like.

A stack's data names the kind of each of its configuration keys (``yes_no``, ``port`` …);
:func:`problem` says what is wrong with a value of that kind, in words an administrator can act on.
"""

from __future__ import annotations

import ipaddress
import re

LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
HOSTNAME = re.compile(r"^%s(\.%s)+\Z" % (LABEL, LABEL))
SAN_NAME = re.compile(r"^(\*\.%s(\.%s)*|%s(\.%s)*\.(\*|%s))\Z" % ((LABEL,) * 5))
TIMEZONE = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}\Z")
ADDRESS = re.compile(r"^[^@\s,\"']+@[^@\s,\"']+\.[^@\s,\"']+\Z")
LANGUAGE = re.compile(r"^[a-z]{2}\Z")
RATE = r"[1-9][0-9]{0,5}/(second|minute|hour|day|month|year)"


def fqdn_problem(value: str) -> str | None:
    """What keeps a name from being a fully qualified host name.

    Takes the name; returns None when it is one, else a sentence.
    RFC 1123 section 2.1 (letters, digits, hyphen), RFC 1035 section 2.3.4 (63 per label, 253 in
    all); lower case because it ends up in certificates, banners and DNS comparisons.
    """
    if value.endswith("."):
        return "it ends with a dot"
    if "." not in value:
        return "it has no dot, so it is not fully qualified"
    if value != value.lower():
        return "it has upper case letters; write it in lower case"
    if len(value) > 253:
        return "it is longer than 253 characters"
    if re.fullmatch("[0-9.]+", value):
        return "it is an IP address, not a name"
    if not HOSTNAME.match(value):
        return "a label has a character other than a-z, 0-9 and '-', or begins or ends with '-'"
    return None


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and 1 <= int(value) <= 65535


def _is_ip(value: str, version: int | None = None) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return version is None or address.version == version


def _port_binding(value: str) -> bool:
    address, _colon, port = value.rpartition(":")
    return _is_port(port) and (address == "" or _is_ip(address, 4)) and not value.startswith(":")


def _ipv4_prefix(value: str) -> bool:
    if not _is_ip(value + ".0", 4):
        return False
    network = ipaddress.ip_network(value + ".0/24")
    return any(
        network.subnet_of(ipaddress.ip_network(private))
        for private in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    )


def _ipv4_network(value: str) -> bool:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return False
    return "/" in value and network.is_private


def _ipv6_prefix(value: str) -> bool:
    try:
        network = ipaddress.IPv6Network(value)
    except ValueError:
        return False
    return "/" in value and network.subnet_of(ipaddress.IPv6Network("fc00::/7"))


def _networks(value: str) -> bool:
    try:
        return all(bool(ipaddress.ip_network(item, strict=False)) for item in value.split(","))
    except ValueError:
        return False


def _each(pattern: re.Pattern) -> object:
    return lambda value: all(pattern.match(item) for item in value.split(","))


def _pattern(expression: str) -> object:
    compiled = re.compile(expression)
    return lambda value: bool(compiled.fullmatch(value))


# kind -> (what a value may be, the test)
KINDS = {
    "yes_no": ("y or n", _pattern("[yn]")),
    "true_false": ("true or false", _pattern("(true|false)")),
    # Read by programs to which every text is true: false is written as nothing.
    "true_or_empty": ("true or false", _pattern("(true)?")),
    "yes_or_no": ("yes or no", _pattern("(yes|no)")),
    "integer": ("a whole number, 0 or more", _pattern(r"[0-9]{1,9}")),
    "bytes": ("a whole number of bytes", _pattern(r"[0-9]{1,15}")),
    "percent": ("a whole number from 0 to 100", _pattern("[0-9]{1,2}|100")),
    "digit": ("a number from 1 to 9", _pattern("[1-9]")),
    "rate": (
        "one limit as NUMBER/UNIT, such as 50/day, with second, minute, hour, day, month or year",
        _pattern(RATE),
    ),
    "ports": (
        "ports from 1 to 65535, separated by commas, without blanks",
        lambda value: all(_is_port(item) for item in value.split(",")),
    ),
    "port": ("a port from 1 to 65535, without an address", _is_port),
    "port_binding": ("PORT or IPV4:PORT, with a port from 1 to 65535", _port_binding),
    "ipv4_bind": ("one IPv4 address without a port", lambda value: _is_ip(value, 4)),
    "ipv4": ("an IPv4 address", lambda value: _is_ip(value, 4)),
    "ipv6": ("an IPv6 address", lambda value: _is_ip(value, 6)),
    "ip": ("an IP address", _is_ip),
    "ipv4_prefix": (
        "the first three numbers of a private IPv4 /24, such as 172.22.1",
        _ipv4_prefix,
    ),
    "ipv4_network": (
        "a private IPv4 network with its prefix length, such as 192.168.203.0/24",
        _ipv4_network,
    ),
    "ipv6_prefix": ("an IPv6 network inside fc00::/7, with its prefix length", _ipv6_prefix),
    "networks": ("IP addresses or networks, separated by commas, without blanks", _networks),
    "languages": (
        "off, or codes of languages such as en,de, separated by commas, without blanks",
        lambda value: value == "off" or _each(LANGUAGE)(value),
    ),
    "timezone": ("a time zone of the tz database, such as Europe/Berlin", TIMEZONE.match),
    "email": ("one e-mail address", ADDRESS.match),
    "emails": ("e-mail addresses, separated by commas, without blanks", _each(ADDRESS)),
    "hostnames": ("host names, separated by commas, without blanks", _each(HOSTNAME)),
    "san_names": (
        "host names or patterns such as imap.*, separated by commas, without blanks",
        _each(SAN_NAME),
    ),
    "url": ("a URL that begins with http:// or https://", _pattern(r"https?://[^\s'\"\\]+")),
    "secret": ("letters and digits (A-Z, a-z, 0-9)", _pattern("[A-Za-z0-9]+")),
    "secret16": ("exactly 16 letters and digits", _pattern("[A-Za-z0-9]{16}")),
    "token": ("at least 4 letters, digits and '-'", _pattern("[A-Za-z0-9-]{4,}")),
    "local_part": (
        "the part of an e-mail address before the @",
        _pattern(r"[a-z0-9](?:[a-z0-9._+-]*[a-z0-9])?"),
    ),
    "web_path": (
        "a path that begins with / and has no / at its end",
        _pattern(r"/([A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?"),
    ),
    "relay_host": (
        "HOST, [HOST], HOST:PORT or [HOST]:PORT",
        _pattern(r"(\[[A-Za-z0-9.:-]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?"),
    ),
    "api_key": ("letters, digits and '-'", _pattern("[A-Za-z0-9-]+")),
    "name": ("letters, digits and '_'", _pattern("[A-Za-z0-9_]+")),
    "lowercase": ("lower case letters only", _pattern("[a-z]+")),
    "word": ("characters other than blanks and quotes", _pattern(r"[^\s'\"`$;#\\]+")),
    "text": ("text on one line, without the character '", _pattern(r"[^'\n]*")),
}


def problem(value: str, kind: str, choices: list[str] | None = None, empty: bool = False) -> str:
    """What is wrong with a value.

    Args:
        value: the value, as it would stand in the file.
        kind: one of :data:`KINDS`, ``fqdn`` or ``choice``.
        choices: the values allowed, for ``choice``.
        empty: whether the empty value is allowed as well.

    Returns:
        "" when nothing is wrong, else what is allowed (and why the value is not).

    Raises:
        KeyError: no such kind.
    """
    if value == "" and empty:
        return ""
    or_empty = " (or empty)" if empty else ""
    if kind == "choice":
        return "" if value in choices else "allowed: %s%s" % (", ".join(choices), or_empty)
    if kind == "fqdn":
        reason = fqdn_problem(value)
        return "%s; a name such as mail.example.org is wanted" % reason if reason else ""
    allowed, test = KINDS[kind]
    return "" if test(value) else "allowed: %s%s" % (allowed, or_empty)
