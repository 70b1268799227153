# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

from sandbox import data


def test_every_host_has_addresses_of_its_own_in_the_network():
    for network, addresses in (
        (data.IPV4_NETWORK, [data.IPV4_GATEWAY, data.WORLD_IPV4, *(h.ipv4 for h in data.HOSTS)]),
        (data.IPV6_NETWORK, [data.IPV6_GATEWAY, data.WORLD_IPV6, *(h.ipv6 for h in data.HOSTS)]),
    ):
        assert len(set(addresses)) == len(addresses)
        for address in addresses:
            assert ipaddress.ip_address(address) in ipaddress.ip_network(network)


def test_every_host_has_a_system_and_every_system_an_archive():
    assert {host.system for host in data.HOSTS} <= set(data.SYSTEMS)
    assert {system.suite for system in data.SYSTEMS.values()} <= set(data.ARCHIVE)


def test_a_bare_host_has_nothing_that_the_roles_install():
    for system in data.SYSTEMS.values():
        assert not {"docker.io", "git", "jq", "curl", "iptables"} & set(system.packages)
