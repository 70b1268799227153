# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import http_proxy


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.example.org:3128", ("proxy.example.org", 3128, "")),
        ("http://proxy.example.org/", ("proxy.example.org", 80, "")),
        ("proxy:8080", ("proxy", 8080, "")),
        ("HTTP://u:p@192.0.2.3:3128/", ("192.0.2.3", 3128, "u:p")),
        ("http://u:p%40x@[2001:db8::3]:3128", ("2001:db8::3", 3128, "u:p%40x")),
        ("http://[2001:db8::3]", ("2001:db8::3", 80, "")),
    ],
)
def test_parse(url, proxy):
    assert http_proxy.parse(url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "https://u:secret@proxy:3128",
        "socks5://u:secret@proxy:1080",
        "http://u:secret@",
        "http://u:secret@proxy:port",
        "http://u:secret@proxy:0",
        "http://u:secret@proxy:65536",
        "http://u:secret/more@proxy:3128",
        "http://u:1secret/@proxy",
        "u:secret/@proxy:3128",
    ],
)
def test_no_proxy_of_this_kind(url):
    with pytest.raises(ValueError, match="allowed: http://") as error:
        http_proxy.parse(url)
    assert "secret" not in str(error.value)


def test_half_a_password_is_no_port():
    with pytest.raises(ValueError, match="allowed: http://") as error:
        http_proxy.parse("http://user:1234/more@proxy:3128")
    assert "1234" not in str(error.value)


def test_requests():
    proxy = http_proxy.parse("http://u:p%40x@proxy:3128")
    request = proxy.tunnel("ghcr.io", 443).decode("ascii")
    assert request.startswith("CONNECT ghcr.io:443 HTTP/1.1\r\nHost: ghcr.io:443\r\n")
    token = base64.b64encode(b"u:p@x").decode("ascii")
    assert "\r\nProxy-Authorization: Basic {0}\r\n".format(token) in request
    assert request.endswith("\r\n\r\n")
    plain = http_proxy.parse("http://proxy:3128")
    assert plain.head("github.com", 80).startswith(
        b"HEAD http://github.com/ HTTP/1.1\r\nHost: github.com\r\n"
    )
    assert b"Authorization" not in plain.head("github.com", 80)
    assert b"http://mirror:8080/" in plain.head("mirror", 8080)
    assert plain.tunnel("2001:db8::1", 443).startswith(b"CONNECT [2001:db8::1]:443 ")
    assert proxy.place == "proxy:3128"
    assert http_proxy.Proxy("2001:db8::3", 80).place == "[2001:db8::3]:80"


@pytest.mark.parametrize(
    ("host", "no_proxy", "exempt"),
    [
        ("ghcr.io", "", False),
        ("ghcr.io", "*", True),
        ("ghcr.io", "localhost,ghcr.io", True),
        ("GHCR.io", "localhost ghcr.IO", True),
        ("pkg.ghcr.io", "ghcr.io", True),
        ("pkg.ghcr.io", ".ghcr.io", True),
        ("pkg.ghcr.io", "*.ghcr.io", True),
        ("notghcr.io", "ghcr.io", False),
        ("192.0.2.7", "192.0.2.0/24", True),
        ("192.0.3.7", "192.0.2.0/24", False),
        ("2001:db8::7", "2001:db8::/32", True),
        ("name", "192.0.2.0/24", False),
    ],
)
def test_exempt(host, no_proxy, exempt):
    assert http_proxy.is_exempt(host, no_proxy) is exempt
