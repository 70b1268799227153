# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import ruleset
from ansible_collections.postmaster.mailhost.plugins.module_utils.ruleset import (
    FORWARD,
    INPUT,
    Packet,
    RulesetError,
    build,
    verdict,
)


def outcome(rules, hook, *packet):
    return verdict(rules, hook, Packet(*packet))[0]


def published(rules, *packet):
    return outcome(rules, FORWARD, *packet)


def test_a_stack_needs_no_rules():
    rules = build("mailcow")
    for port in (25, 80, 110, 143, 443, 465, 587, 993, 995, 4190):
        assert published(rules, "192.0.2.1", port) == "pass"
        assert published(rules, "2001:db8::1", port) == "pass"
        assert published(rules, "192.0.2.1", port, "udp") == "drop"
    for port in (7654, 13306, 19991, 8080):
        assert published(rules, "192.0.2.1", port) == "drop"
    assert outcome(rules, INPUT, "192.0.2.1", 22) == "pass"
    assert outcome(rules, INPUT, "192.0.2.1", 9100) == "pass"


def test_settings_move_ports():
    rules = build("mailcow", {"HTTPS_PORT": 8443, "HTTP_BIND": "127.0.0.1", "IMAP_PORT": "10143"})
    assert published(rules, "192.0.2.1", 8443) == "pass"
    assert published(rules, "192.0.2.1", 10143) == "pass"
    for port in (80, 143, 443):
        assert published(rules, "192.0.2.1", port) == "drop"


def test_mailu_and_none():
    assert published(build("mailu"), "192.0.2.1", 4190) == "pass"
    assert published(build(), "192.0.2.1", 25) == "drop"
    assert published(build(policy="allow"), "192.0.2.1", 25) == "pass"
    assert published(build(policy="reject"), "192.0.2.1", 25) == "reject"


def test_a_rule_that_opens_a_port_says_for_whom():
    rules = build(
        "mailcow",
        rules=[
            {"name": "office", "service": "imaps", "sources": ["192.0.2.0/24"]},
            {"name": "v4", "service": "POP3S", "families": ["ipv4"]},
            {"name": "addressed", "ports": [443], "addresses": ["203.0.113.1", "2001:db8::1"]},
        ],
    )
    assert published(rules, "192.0.2.9", 993) == "pass"
    assert published(rules, "192.0.3.9", 993) == "drop"
    # A family without a source is not everybody of that family.
    assert published(rules, "2001:db8::9", 993) == "drop"
    assert published(rules, "192.0.3.9", 995) == "pass"
    assert published(rules, "2001:db8::9", 995) == "drop"
    assert published(rules, "192.0.3.9", 443, "tcp", "203.0.113.1") == "pass"
    assert published(rules, "192.0.3.9", 443, "tcp", "203.0.113.2") == "drop"
    assert published(rules, "192.0.3.9", 25) == "pass"


@pytest.mark.parametrize("policy", ["allow", "drop", "reject"])
def test_it_says_so_under_every_policy(policy):
    rules = build(
        "mailcow",
        rules=[{"name": "office", "service": "imaps", "sources": ["192.0.2.0/24"]}],
        host_rules=[{"name": "exporter", "ports": [9100], "sources": ["192.0.2.1"]}],
        policy=policy,
        host_policy=policy,
    )
    for hook in (FORWARD, INPUT):
        assert outcome(rules, hook, "192.0.2.9", 993) == "pass"
        assert outcome(rules, hook, "192.0.3.9", 993) in ("drop", policy)
        assert outcome(rules, hook, "192.0.3.9", 993) != "pass"
    assert outcome(rules, INPUT, "192.0.2.1", 9100) == "pass"
    assert outcome(rules, INPUT, "192.0.2.2", 9100) != "pass"


def test_a_refusal_comes_before_what_the_stack_opens():
    rules = build(
        "mailcow",
        rules=[
            {"name": "bad", "action": "drop", "set": "bad"},
            {"name": "worse", "service": "SMTP", "action": "reject", "sources": ["192.0.2.7"]},
        ],
        sets=[{"name": "bad", "entries": ["198.51.100.0/24", "2001:db8:bad::/48"]}],
    )
    assert published(rules, "198.51.100.3", 25) == "drop"
    assert published(rules, "2001:db8:bad::1", 443) == "drop"
    assert published(rules, "2001:db8:bae::1", 443) == "pass"
    assert published(rules, "192.0.2.7", 25) == "reject"
    assert published(rules, "192.0.2.7", 443) == "pass"
    # The engine's helper takes such connections on the host itself.
    assert outcome(rules, INPUT, "198.51.100.3", 25) == "drop"


def test_the_first_rule_decides():
    allow = {"name": "yes", "ports": ["20-30"], "sources": ["192.0.2.0/25"]}
    drop = {"name": "no", "ports": [25], "action": "drop"}
    assert published(build(rules=[allow, drop]), "192.0.2.1", 25) == "pass"
    assert published(build(rules=[drop, allow]), "192.0.2.1", 25) == "drop"


def test_a_range_covers_the_ports_of_the_stack():
    rules = build("mailcow", rules=[{"name": "mail", "ports": ["1-600"], "sources": ["192.0.2.1"]}])
    assert published(rules, "192.0.2.2", 25) == "drop"
    assert published(rules, "192.0.2.2", 993) == "pass"


def test_ports_of_the_host():
    rules = build(
        "mailcow",
        host_policy="drop",
        ssh_ports=[22, 2222],
        admin_sources=["192.0.2.0/24", "2001:db8::/64"],
    )
    assert outcome(rules, INPUT, "192.0.2.1", 22) == "pass"
    assert outcome(rules, INPUT, "2001:db8::5", 2222) == "pass"
    assert outcome(rules, INPUT, "192.0.3.1", 22) == "drop"
    assert outcome(rules, INPUT, "192.0.3.1", 25) == "pass"
    assert outcome(rules, INPUT, "192.0.3.1", 9100) == "drop"
    assert outcome(rules, INPUT, "192.0.3.1", 68, "udp") == "pass"


def test_ssh_is_closed_for_others_without_a_policy_too():
    rules = build("mailcow", admin_sources=["192.0.2.0/24"])
    assert outcome(rules, INPUT, "192.0.3.1", 22) == "drop"
    assert outcome(rules, INPUT, "2001:db8::1", 22) == "drop"
    assert outcome(rules, INPUT, "192.0.3.1", 9100) == "pass"


def test_a_rule_for_ssh_takes_the_place_of_ours():
    own = {"name": "SSH", "ports": [22], "action": "limit", "rate": "5/minute"}
    rules = build(host_rules=[own], admin_sources=["192.0.2.1"])
    assert [rule.name for rule in rules.host_rules] == ["SSH"]


def test_a_rule_without_ports_opens_nothing_of_the_host():
    rules = build(rules=[{"name": "vip", "sources": ["192.0.2.1"]}], host_policy="drop")
    assert published(rules, "192.0.2.1", 12345) == "pass"
    assert outcome(rules, INPUT, "192.0.2.1", 12345) == "drop"


def test_ports_of_the_engines_helper_are_closed_unless_opened():
    ports = [("tcp", 8080), ("tcp", 25), ("udp", 53), ("tcp", 8080), ("tcp", 9100)]
    own = [{"name": "exporter", "ports": [9100], "sources": ["192.0.2.1"]}]
    rules = ruleset.with_proxied(build("mailcow", host_rules=own), ports)
    assert rules.proxied == (("tcp", 8080), ("udp", 53))
    assert outcome(rules, INPUT, "2001:db8::1", 8080) == "drop"
    assert outcome(rules, INPUT, "192.0.2.1", 53, "udp") == "drop"
    assert outcome(rules, INPUT, "192.0.2.1", 53) == "pass"
    assert outcome(rules, INPUT, "2001:db8::1", 25) == "pass"
    allow = ruleset.with_proxied(build("mailcow", policy="allow"), ports)
    assert outcome(allow, INPUT, "2001:db8::1", 8080) == "pass"


def test_containers_and_known_connections_come_first():
    first = [line.comment for line in ruleset.lines(build("mailcow"), FORWARD)][:4]
    assert first == ["known connections"] + ["from containers"] * 3
    icmp = [line for line in ruleset.lines(build("mailcow"), INPUT) if line.protocol == "icmp"]
    assert [(line.family, line.icmp_types) for line in icmp] == [
        ("ipv4", (3, 8, 11, 12)),
        ("ipv6", ()),
    ]


def test_every_line_about_ports_is_for_one_direction_only():
    """Otherwise replies to what containers ask others for would be dropped."""
    rules = build("mailcow", rules=[{"name": "x", "action": "drop", "sources": ["192.0.2.0/24"]}])
    lines = ruleset.lines(rules, FORWARD)
    about = [line for line in lines if line.port or line.sources or line.state == "translated"]
    assert len(about) == 12
    assert all(line.published for line in about)


def test_a_rejection_of_everything_resets_tcp():
    lines = ruleset.lines(build(policy="reject"), FORWARD)
    refused = [line.protocol for line in lines if line.verdict == "reject"]
    assert refused == ["tcp", ""] * 4


def test_networks_are_sorted_and_without_those_inside_others():
    texts = ["198.51.100.7", "192.0.2.0/24", "192.0.2.128/25", "192.0.2.5", "10.0.0.0/8"]
    assert ruleset.collapse("ipv4", texts, "x") == ("10.0.0.0/8", "192.0.2.0/24", "198.51.100.7")
    six = ["2001:DB8:0::/32", "2001:db8:1::/48", "::1", "2001:0db9::/32"]
    assert ruleset.collapse("ipv6", six, "x") == ("::1", "2001:db8::/32", "2001:db9::/32")
    assert ruleset.collapse("ipv4", [], "x") == ()


def test_a_file_of_entries():
    text = "# provider X\n192.0.2.0/24\n\n 2001:db8::/32 ; from BGP\n198.51.100.1 # one\n"
    assert ruleset.set_entries(text, "f") == ["192.0.2.0/24", "2001:db8::/32", "198.51.100.1"]
    with pytest.raises(RulesetError, match=r"list.txt, line 2, has '192.0.2.300'"):
        ruleset.set_entries("192.0.2.1\n192.0.2.300\n", "list.txt")


def test_snat_takes_the_network_of_the_stack():
    rules = build("mailcow", {"IPV4_NETWORK": "10.11.12"}, snat=[{"to": "203.0.113.1"}])
    assert rules.snat == (ruleset.Snat("ipv4", "10.11.12.0/24", "203.0.113.1", ((25, 25),)),)
    assert build("mailcow", snat=[{"to": "2001:db8::1"}]).snat[0].source.startswith("fd4d:")


# What is wrong, and the words that must name it.
WRONG = [
    ({"rules": [{"name": "a", "ports": [0]}]}, "rule 'a': ports has 0"),
    ({"rules": [{"name": "a", "ports": ["70000"]}]}, "rule 'a': ports has '70000'"),
    ({"rules": [{"name": "a", "ports": ["30-20"]}]}, "rule 'a': ports has '30-20'"),
    ({"rules": [{"name": "a", "ports": ["smtp"]}]}, "rule 'a': ports has 'smtp'"),
    ({"rules": [{"name": "a", "ports": [True]}]}, "rule 'a': ports has True"),
    ({"rules": [{"name": "a", "ports": ["20-30", 25]}]}, "rule 'a': ports has 25 twice"),
    ({"rules": [{"name": "a", "ports": "25"}]}, "rule 'a': ports is '25'; allowed: a list"),
    ({"rules": [{"name": "a", "service": "gopher"}]}, "rule 'a': service is 'gopher'; allowed: "),
    (
        {"rules": [{"name": "a", "service": "smtp"}], "stack": ""},
        "rule 'a': service is 'smtp'; allowed: none",
    ),
    ({"rules": [{"name": "a", "service": "smtp", "ports": [1]}]}, "rule 'a': has a service and"),
    (
        {"rules": [{"name": "a", "sources": ["192.0.2.1/33"]}]},
        "rule 'a': sources has '192.0.2.1/33'",
    ),
    (
        {"rules": [{"name": "a", "sources": ["192.0.2.77/24"]}]},
        "rule 'a': sources has '192.0.2.77/24', an address inside the network 192.0.2.0/24",
    ),
    ({"rules": [{"name": "a", "sources": ["0.0.0.0/0"]}]}, "rule 'a': sources has '0.0.0.0/0'"),
    ({"rules": [{"name": "a", "sources": ["::g"]}]}, "rule 'a': sources has '::g'"),
    ({"rules": [{"name": "a", "sources": ["mail.example.org"]}]}, "has 'mail.example.org'"),
    (
        {"rules": [{"name": "a", "sources": ["192.0.2.1"], "families": ["ipv6"]}]},
        "rule 'a': sources has '192.0.2.1', and families only ipv6",
    ),
    ({"rules": [{"name": "a", "families": ["ipx"]}]}, "rule 'a': families is 'ipx'"),
    ({"rules": [{"name": "a", "addresses": ["192.0.2.0/24"]}]}, "rule 'a': addresses has"),
    ({"rules": [{"name": "a", "action": "accept"}]}, "rule 'a': action is 'accept'"),
    ({"rules": [{"name": "a", "protocol": "icmp"}]}, "rule 'a': protocol is 'icmp'"),
    ({"rules": [{"name": "a", "set": "b"}]}, "rule 'a': set is 'b'"),
    (
        {
            "rules": [{"name": "a", "set": "b", "sources": ["192.0.2.1"]}],
            "sets": [{"name": "b", "entries": []}],
        },
        "rule 'a': has sources and a set",
    ),
    ({"rules": [{"name": "a", "action": "limit"}]}, "rule 'a': limit needs ports"),
    (
        {"rules": [{"name": "a", "ports": [1], "action": "limit", "rate": "10/week"}]},
        "rule 'a': rate is '10/week'",
    ),
    (
        {"rules": [{"name": "a", "ports": [1], "action": "limit", "rate": "0/minute"}]},
        "rule 'a': rate is '0/minute'",
    ),
    (
        {"rules": [{"name": "a", "ports": [1], "action": "limit", "burst": 0}]},
        "rule 'a': burst is 0",
    ),
    ({"rules": [{"name": "a", "comment": 'x" -j ACCEPT'}]}, "rule 'a': comment is"),
    ({"rules": [{"name": "a", "comment": "x\ny"}]}, "rule 'a': comment is"),
    ({"rules": [{"name": "a\n"}]}, "rules: name is 'a\\\\n'"),
    ({"rules": [{"name": ""}]}, "rules: name is ''"),
    ({"rules": [{"ports": [25]}]}, "rules: name is None"),
    ({"rules": ["smtp"]}, "rules has 'smtp'"),
    ({"rules": [{"name": "a", "port": 25}]}, "rules: 'a' has 'port'; allowed: name, service"),
    (
        {"rules": [{"name": "a", "ports": [1]}], "host_rules": [{"name": "A", "ports": [2]}]},
        "rule 'A': there are two of this name",
    ),
    ({"host_rules": [{"name": "a"}]}, "rule 'a': would open everything to everybody"),
    ({"policy": "limit"}, "policy is 'limit'; allowed: allow, drop, reject"),
    ({"host_policy": "no"}, "host_policy is 'no'"),
    ({"ssh_ports": [0]}, "ssh_ports has 0"),
    ({"admin_sources": ["192.0.2.1/24"]}, "admin_sources has '192.0.2.1/24'"),
    ({"bridges": ["br 0"]}, "bridges has 'br 0'"),
    ({"bridges": ["+"]}, r"bridges has '\+'"),
    ({"sets": [{"name": "a_b"}]}, "sets: name is 'a_b'"),
    ({"sets": [{"name": "a"}, {"name": "a"}]}, "sets: 'a' is there twice"),
    ({"sets": [{"name": "a", "entries": ["1.2.3"]}]}, "set 'a' has '1.2.3'"),
    ({"config": {"SMTP_PORT": 0}}, "config: SMTP_PORT is '0'"),
    ({"config": {"SMTP_PORT": 25}, "stack": ""}, "config is given without a stack"),
    ({"stack": "exchange"}, "unknown stack 'exchange'"),
    ({"snat": [{"to": "203.0.113.1/24"}]}, "snat: to has '203.0.113.1/24'"),
    ({"snat": [{"to": "203.0.113.1", "port": 25}]}, "snat has"),
    ({"snat": [{"to": "203.0.113.1", "source": "2001:db8::/64"}]}, "snat: to is 203.0.113.1"),
    ({"snat": [{"to": "2001:db8::1"}], "stack": "mailu"}, "as the stack has none"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_what_is_wrong_is_refused_by_name(options, words):
    with pytest.raises(RulesetError, match=words):
        build(**dict({"stack": "mailcow"}, **options))
