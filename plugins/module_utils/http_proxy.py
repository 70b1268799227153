# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP proxies: which one a web address is asked through, and what is said to it."""

from __future__ import annotations

from typing import NamedTuple

_DEFAULT_PORT = 80


class Proxy(NamedTuple):
    """A proxy; ``credentials`` is what stands before the ``@`` of its URL, and never printed."""

    host: str
    port: int
    credentials: str = ""

    @property
    def place(self) -> str:
        """The proxy in messages, without its password."""
        return "{0}:{1}".format(
            "[{0}]".format(self.host) if ":" in self.host else self.host, self.port
        )

    def tunnel(self, host: str, port: int) -> bytes:
        """Return the request for a tunnel to a server (RFC 9110, section 9.3.6)."""
        target = "{0}:{1}".format("[{0}]".format(host) if ":" in host else host, port)
        return self._request("CONNECT {0} HTTP/1.1".format(target), target)

    def head(self, host: str, port: int) -> bytes:
        """Return the request for the head of a page without TLS, which needs no tunnel."""
        target = "{0}:{1}".format(host, port) if port != _DEFAULT_PORT else host
        return self._request("HEAD http://{0}/ HTTP/1.1".format(target), target)

    def _request(self, line: str, target: str) -> bytes:
        lines = [line, "Host: " + target]
        if self.credentials:
            import base64
            from urllib.parse import unquote

            token = base64.b64encode(unquote(self.credentials).encode("utf-8")).decode("ascii")
            lines.append("Proxy-Authorization: Basic " + token)
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8")


def parse(url: str) -> Proxy:
    """Return the proxy that a URL names.

    Args:
        url: ``http://[USER:PASSWORD@]HOST[:PORT]``; the environment's may lack the ``http://``.

    Raises:
        ValueError: a proxy of another kind, or none at all. The text has no password in it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "http", url
    credentials, _at, place = rest.partition("/")[0].rpartition("@")
    if place.startswith("["):
        host, _bracket, port = place[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _colon, port = place.partition(":")
    good_port = not port or (port.isascii() and port.isdigit() and 0 < int(port) < 65536)
    if "@" in rest.partition("/")[2]:
        # A password with a slash in it, which ends the address: its beginning is not to be told.
        good_port, place = False, "..."
    if scheme.lower() != "http" or not host or not good_port:
        raise ValueError(
            "the proxy {0}://{1} is not usable; allowed: http://[USER:PASSWORD@]HOST[:PORT]".format(
                scheme, place
            )
        )
    return Proxy(host, int(port or _DEFAULT_PORT), credentials)


def is_exempt(host: str, no_proxy: str) -> bool:
    """Tell whether a server is asked directly, as the variable ``no_proxy`` has it.

    Args:
        host: name or address of the server.
        no_proxy: names (with all names below them), addresses and networks, separated by commas or
            spaces; ``*`` for all.
    """
    for entry in no_proxy.replace(",", " ").split():
        if entry == "*":
            return True
        name = entry.lower()
        name = name[2:] if name.startswith("*.") else name.lstrip(".")
        if host.lower() == name or host.lower().endswith("." + name) or _within(host, name):
            return True
    return False


def _within(host: str, network: str) -> bool:
    """Tell whether an address lies in a network; what is neither does not."""
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
