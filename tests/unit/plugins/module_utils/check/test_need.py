# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need

DATA = stack.get("mailcow")


def port(demands, variable):
    (found,) = [item for item in demands.ports if item.variable == variable]
    return found


def test_the_stack_s_own():
    demands = need.from_stack(DATA)
    assert demands.memory_mib == DATA["requirements"]["memory_mib"]
    assert demands.install_path == "/opt/mailcow-dockerized"
    assert port(demands, "SMTP_PORT").place == "tcp 25"
    assert port(demands, "SQL_PORT").place == "tcp 127.0.0.1:13306"
    assert len(demands.ports) == len(DATA["ports"])


def test_own_values():
    demands = need.from_stack(
        DATA,
        install_path="/srv/mail/",
        memory_mib=4096,
        swap_mib=None,
        ports={"HTTP_PORT": 8080, "HTTP_BIND": "127.0.0.1", "IMAP_PORT": "192.0.2.1:1143"},
    )
    assert (demands.memory_mib, demands.swap_mib) == (4096, 1024)
    assert demands.install_path == "/srv/mail"
    assert port(demands, "HTTP_PORT").place == "tcp 127.0.0.1:8080"
    assert port(demands, "IMAP_PORT").place == "tcp 192.0.2.1:1143"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"memory_mib": -1}, "memory_mib is -1; allowed: 0 or more"),
        ({"memory_gib": 1}, "unknown threshold memory_gib; known: memory_mib"),
        ({"install_path": "opt/x"}, "install_path is 'opt/x'; allowed: an absolute path"),
        ({"ports": {"HTTPS": 443}}, "ports has 'HTTPS'; allowed: SMTP_PORT"),
        ({"ports": {"TZ": "UTC"}}, "ports has 'TZ'; allowed: SMTP_PORT"),
        (
            {"ports": {"SMTP_PORT": 70000}},
            "ports: SMTP_PORT is '70000': allowed: PORT or IPV4:PORT",
        ),
        ({"ports": {"HTTP_PORT": "127.0.0.1:80"}}, "ports: HTTP_PORT is '127.0.0.1:80': allowed"),
        ({"ports": {"HTTP_BIND": "1.2.3.4:80"}}, "ports: HTTP_BIND is '1.2.3.4:80': allowed"),
        ({"ports": {"SMTP_PORT": None}}, "ports: SMTP_PORT is 'None': allowed"),
        ({"ports": {"HTTP_PORT": 443}}, "ports: HTTP_PORT and HTTPS_PORT are both 443"),
    ],
)
def test_bad_values(options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        need.from_stack(DATA, **options)


def test_one_number_on_two_addresses():
    values = {"SMTP_PORT": "192.0.2.1:2525", "SMTPS_PORT": "192.0.2.2:2525"}
    assert port(need.from_stack(DATA, ports=values), "SMTPS_PORT").number == 2525
