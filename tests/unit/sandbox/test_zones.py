# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from sandbox import data, zones
from sandbox.common import SandboxError

HOST = data.Host("mx", 21, "debian-13")


def test_a_zone_begins_with_soa_and_ns_and_lists_its_records_once():
    text = zones.zone([("b", "A", "10.0.0.2"), ("a", "A", "10.0.0.1"), ("b", "A", "10.0.0.2")])
    lines = text.splitlines()
    assert lines[0] == "$TTL 1"
    assert re.fullmatch(
        r"@ IN SOA ns\.example\.test\. hostmaster\.example\.test\. \d+ 3600 600 86400 1", lines[1]
    )
    assert lines[2:] == ["@ IN NS ns.example.test.", "a IN A 10.0.0.1", "b IN A 10.0.0.2"]


def test_the_serial_follows_from_the_records():
    first = zones.zone([("a", "A", "10.0.0.1"), ("b", "A", "10.0.0.2")])
    assert zones.zone([("b", "A", "10.0.0.2"), ("a", "A", "10.0.0.1")]) == first
    assert zones.zone([("a", "A", "10.0.0.1")]).splitlines()[1] != first.splitlines()[1]


def test_reverse_zone_ipv4():
    assert zones.reverse({"10.99.0.21": "mx.example.test"}, "10.99.0.0/24") == (
        "0.99.10.in-addr.arpa",
        [("21", "PTR", "mx.example.test.")],
    )


def test_reverse_zone_ipv6_cuts_at_nibbles():
    assert zones.reverse({"fd99::21": "mx.example.test"}, "fd99::/64") == (
        "0.0.0.0.0.0.0.0.0.0.0.0.9.9.d.f.ip6.arpa",
        [("1.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0", "PTR", "mx.example.test.")],
    )


def test_a_host_has_addresses_names_for_both_and_what_a_mail_server_publishes():
    texts = zones.all_zones([HOST])
    own = texts["example.test"]
    for line in (
        "mx IN A 10.99.0.21",
        "mx IN AAAA fd99::21",
        'mx IN TXT "v=spf1 a -all"',
        '_dmarc.mx IN TXT "v=DMARC1; p=none"',
        "@ IN MX 10 mx.example.test.",
        '@ IN TXT "v=spf1 mx a -all"',
        "autodiscover IN CNAME mx.example.test.",
        "autoconfig IN CNAME mx.example.test.",
    ):
        assert f"\n{line}\n" in own
    assert "\n21 IN PTR mx.example.test.\n" in texts["0.99.10.in-addr.arpa"]


def test_the_root_refers_to_every_zone_and_knows_the_servers_address():
    texts = zones.all_zones([HOST])
    for name in texts:
        if name != ".":
            assert f"\n{name}. IN NS ns.example.test.\n" in texts["."]
    assert f"\nns.example.test. IN A {data.WORLD_IPV4}\n" in texts["."]


def test_names_of_the_real_internet_lead_to_the_world_and_to_what_is_outside():
    texts = zones.all_zones([HOST])
    assert f"\n@ IN A {data.WORLD_IPV4}\n" in texts["ghcr.io"]
    assert f"\ndownload IN AAAA {data.WORLD_IPV6}\n" in texts["docker.com"]
    assert f"\nhub IN A {data.OUTSIDE_IPV4}\n" in texts["docker.com"]
    assert f"\n0.debian IN AAAA {data.OUTSIDE_IPV6}\n" in texts["pool.ntp.org"]
    assert f"\nntp IN A {data.OUTSIDE_IPV4}\n" in texts["example.test"]
    assert "\n@ IN MX 10 mx.outside.test.\n" in texts["outside.test"]
    assert "\na IN A 198.41.0.4\n" in texts["root-servers.net"]


def test_a_name_for_one_family_has_no_address_of_the_other():
    text = zones.all_zones([HOST])["mailcow.email"]
    owners = {tuple(line.split()[:3:2]) for line in text.splitlines()[3:]}
    assert {("ip4", "A"), ("ip6", "AAAA"), ("fuzzy", "A"), ("fuzzy", "AAAA")} <= owners
    assert not {("ip4", "AAAA"), ("ip6", "A")} & owners


def test_every_zone_is_one_that_a_name_server_takes():
    zones.check(zones.all_zones(data.HOSTS))


def texts_with(*edits):
    return zones.all_zones([HOST], dict(zones.edit(*edit) for edit in edits))


def test_an_edit_takes_the_place_of_the_records_of_that_name_and_type_only():
    text = texts_with(("mx.example.test.", "a", ["10.99.0.98", "10.99.0.99"]))["example.test"]
    assert "\nmx IN A 10.99.0.98\nmx IN A 10.99.0.99\nmx IN AAAA fd99::21\n" in text
    assert "10.99.0.21" not in text


def test_an_edit_without_values_removes():
    text = texts_with(("example.test", "MX", []))["example.test"]
    assert "IN MX" not in text
    assert "\n@ IN TXT" in text


def test_an_edit_of_a_reverse_name_stands_in_its_zone():
    text = texts_with(("21.0.99.10.in-addr.arpa", "PTR", ["wrong.example.test"]))
    assert "\n21 IN PTR wrong.example.test.\n" in text["0.99.10.in-addr.arpa"]


def test_an_edit_of_a_name_in_no_zone_stands_in_the_root():
    text = texts_with(("a.example.net", "MX", ["5 mx.example.test"]))["."]
    assert "\na.example.net. IN MX 5 mx.example.test.\n" in text


def test_a_text_is_quoted_and_cut():
    (key, values) = zones.edit("Example.test", "txt", ['say "so"', "x" * 300, '"as it is"'])
    assert key == ("example.test", "TXT")
    assert values == [
        '"say \\"so\\""',
        '"{}" "{}"'.format("x" * 255, "x" * 45),
        '"as it is"',
    ]


@pytest.mark.parametrize("kind", ["SOA", "NS", "BOGUS"])
def test_a_type_that_cannot_be_edited_is_refused(kind):
    with pytest.raises(SandboxError, match=f"type {kind} cannot be edited; A, AAAA"):
        zones.edit("example.test", kind, ["x"])


@pytest.mark.parametrize(
    "edit",
    [("mx.example.test", "A", ["bogus"]), ("mx.example.test", "CNAME", ["a.example.test"])],
)
def test_what_a_name_server_would_refuse_is_refused(edit):
    with pytest.raises(SandboxError, match=r"a record of the zone example\.test is wrong"):
        zones.check(texts_with(edit))


def test_server_configuration_names_every_zone_and_its_file():
    text = zones.server_configuration([".", "example.test"], "/zones")
    assert 'zone "." { type primary; file "/zones/root.zone"; };' in text
    assert 'zone "example.test" { type primary; file "/zones/example.test.zone"; };' in text


def test_the_mail_domain_has_no_more_servers_than_spf_may_ask_for():
    records = zones.all_records(data.HOSTS)[data.DOMAIN]
    assert 1 < sum(1 for owner, kind, _value in records if (owner, kind) == ("@", "MX")) <= 10
