# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from sandbox import data, zones

HOST = data.Host("mx", 21, "debian-13")


def test_a_zone_begins_with_soa_and_ns_and_lists_its_records_once():
    text = zones.zone([("b", "A", "10.0.0.2"), ("a", "A", "10.0.0.1"), ("b", "A", "10.0.0.2")])
    assert text.splitlines() == [
        "$TTL 10",
        "@ IN SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 10",
        "@ IN NS ns.example.test.",
        "a IN A 10.0.0.1",
        "b IN A 10.0.0.2",
    ]


def test_reverse_zone_ipv4():
    name, text = zones.reverse({"10.99.0.21": "mx.example.test"}, "10.99.0.0/24")
    assert name == "0.99.10.in-addr.arpa"
    assert "\n21 IN PTR mx.example.test.\n" in text


def test_reverse_zone_ipv6_cuts_at_nibbles():
    name, text = zones.reverse({"fd99::21": "mx.example.test"}, "fd99::/64")
    assert name == "0.0.0.0.0.0.0.0.0.0.0.0.9.9.d.f.ip6.arpa"
    assert "\n1.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0 IN PTR mx.example.test.\n" in text


def test_a_host_has_addresses_and_names_for_both():
    texts = zones.all_zones([HOST])
    own = texts["example.test"]
    assert "\nmx IN A 10.99.0.21\n" in own
    assert "\nmx IN AAAA fd99::21\n" in own
    assert "\n@ IN MX 10 mx.example.test.\n" in own
    assert "mx.example.test." in texts["0.99.10.in-addr.arpa"]


def test_the_root_refers_to_every_zone_and_knows_the_servers_address():
    texts = zones.all_zones([HOST])
    for name in texts:
        if name != ".":
            assert f"\n{name}. IN NS ns.example.test.\n" in texts["."]
    assert f"\nns.example.test. IN A {data.WORLD_IPV4}\n" in texts["."]


def test_names_of_the_real_internet_lead_to_the_world():
    texts = zones.all_zones([HOST])
    assert f"\n@ IN A {data.WORLD_IPV4}\n" in texts["ghcr.io"]
    assert f"\ndownload IN AAAA {data.WORLD_IPV6}\n" in texts["docker.com"]


def test_server_configuration_names_every_zone_and_its_file():
    text = zones.server_configuration([".", "example.test"], "/zones")
    assert 'zone "." { type primary; file "/zones/root.zone"; };' in text
    assert 'zone "example.test" { type primary; file "/zones/example.test.zone"; };' in text
