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
        config={"HTTP_PORT": 8080, "HTTP_BIND": "127.0.0.1", "IMAP_PORT": "192.0.2.1:1143"},
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
        ({"config": {"HTTPS": 443}}, "config has 'HTTPS'; allowed: COMPOSE_PROJECT_NAME"),
        ({"config": {"TZ": "UTC"}}, "config has 'TZ'; allowed: COMPOSE_PROJECT_NAME"),
        (
            {"config": {"SMTP_PORT": 70000}},
            "config: SMTP_PORT is '70000': allowed: PORT or IPV4:PORT",
        ),
        ({"config": {"HTTP_PORT": "127.0.0.1:80"}}, "config: HTTP_PORT is '127.0.0.1:80': allowed"),
        ({"config": {"HTTP_BIND": "1.2.3.4:80"}}, "config: HTTP_BIND is '1.2.3.4:80': allowed"),
        ({"config": {"SMTP_PORT": None}}, "config: SMTP_PORT is 'None': allowed"),
        ({"config": {"HTTP_PORT": 443}}, "config: HTTP_PORT and HTTPS_PORT are both 443"),
    ],
)
def test_bad_values(options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        need.from_stack(DATA, **options)


def test_one_number_on_two_addresses():
    values = {"SMTP_PORT": "192.0.2.1:2525", "SMTPS_PORT": "192.0.2.2:2525"}
    assert port(need.from_stack(DATA, config=values), "SMTPS_PORT").number == 2525


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"plan": {"user": 5}}, "plan has 'user'; allowed: users, activesync_devices"),
        ({"plan": {"users": -1}}, "plan: users is -1; allowed: a whole number"),
        ({"plan": {"users": True}}, "plan: users is True; allowed: a whole number"),
        ({"plan": {"clamav": "no"}}, "plan: clamav is 'no'; allowed: true, false"),
        ({"hostname": "mail"}, "hostname is 'mail': it has no dot"),
        ({"public_ipv4": "2001:db8::1"}, "public_ipv4 is '2001:db8::1'; allowed: an IPv4 address"),
        ({"public_ipv6": "1.2.3.4"}, "public_ipv6 is '1.2.3.4'; allowed: an IPv6 address"),
        ({"mtu": 100}, "mtu is 100; allowed: 576 to 65535 bytes"),
        ({"proxy": "socks://:secret@h"}, "proxy is not usable; allowed: http://"),
        ({"config": {"IPV4_NETWORK": "8.8.8"}}, "config: IPV4_NETWORK is '8.8.8': allowed"),
    ],
)
def test_bad_plans_and_names(options, text):
    with pytest.raises(ValueError, match=re.escape(text)) as error:
        need.from_stack(DATA, **options)
    assert "secret" not in str(error.value)


def test_what_the_configuration_moves():
    demands = need.from_stack(
        DATA,
        config={
            "IPV4_NETWORK": "172.29.3",
            "COMPOSE_PROJECT_NAME": "post",
            "ENABLE_IPV6": False,
            "SKIP_FTS": "y",
        },
        public_ipv4="203.0.113.10",
        hostname="mail.example.org",
    )
    (network,) = demands.networks
    assert network.name == "post_mailcow-network"
    assert (network.ipv4, network.ipv6) == ("172.29.3.0/24", "fd4d:6169:6c63:6f77::/64")
    assert demands.ipv6 is False
    assert demands.memory_mib == 6144 - 256


def test_ipv6_of_mailu_is_on_when_it_has_a_network():
    data = stack.get("mailu")
    assert need.from_stack(data).ipv6 is False
    assert need.from_stack(data, config={"SUBNET6": "fd00:1::/64"}).ipv6 is True


def test_a_port_with_an_ipv4_address_is_not_bound_for_ipv6():
    config = {"SMTP_PORT": "0.0.0.0:25", "HTTP_BIND": "192.0.2.1"}
    ports = {port.variable: port for port in need.from_stack(DATA, config=config).ports}
    assert (ports["SMTP_PORT"].address, ports["SMTP_PORT"].ipv4_only) == ("", True)
    assert (ports["HTTP_PORT"].address, ports["HTTP_PORT"].ipv4_only) == ("192.0.2.1", True)
    assert (ports["IMAP_PORT"].address, ports["IMAP_PORT"].ipv4_only) == ("", False)
