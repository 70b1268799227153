# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import inspect
import itertools

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter import provider_firewall as module

provider_firewall = module.provider_firewall

MAIL = "25,465,587,143,993,110,995,4190,80,443"


def lets_in(rules, protocol, port, flags=(), source=""):
    """Return whether a packet meets "accept": the first rule that fits decides."""
    for rule in rules:
        ranges = [part.partition("-")[::2] for part in rule.get("dst_port", "0-65535").split(",")]
        if (
            rule.get("protocol") in (None, protocol)
            and any(int(low) <= port <= int(high or low) for low, high in ranges)
            and rule.get("src_ip") in (None, source)
            and rule.get("tcp_flags", "ack") in (*flags, *([] if "tcp_flags" in rule else ["ack"]))
        ):
            return rule["action"] == "accept"
    return False


def test_a_mail_server_without_any_rules():
    rules = provider_firewall([], stack="mailcow", admin_sources=["192.0.2.0/24"])["input"]
    assert rules == [
        {
            "name": "ssh",
            "ip_version": "ipv4",
            "protocol": "tcp",
            "dst_port": "22",
            "src_ip": "192.0.2.0/24",
            "action": "accept",
        },
        {
            "name": "SMTP SMTPS submission IMAP IMAPS POP3 POP3S ManageSieve HTTP",
            "ip_version": "ipv4",
            "protocol": "tcp",
            "dst_port": MAIL,
            "action": "accept",
        },
        {"name": "icmp", "ip_version": "ipv4", "protocol": "icmp", "action": "accept"},
        {
            "name": "tcp answers",
            "ip_version": "ipv4",
            "protocol": "tcp",
            "dst_port": "1024-65535",
            "tcp_flags": "ack",
            "action": "accept",
        },
        {
            "name": "udp answers",
            "ip_version": "ipv4",
            "protocol": "udp",
            "dst_port": "1024-65535",
            "action": "accept",
        },
    ]


def test_packets():
    rules = provider_firewall([], stack="mailcow")["input"]
    assert lets_in(rules, "tcp", 25, ["syn"])
    # Answers to connections that the host made, and to questions of its resolver.
    assert lets_in(rules, "tcp", 40000, ["ack"])
    assert lets_in(rules, "udp", 2000)
    # Nobody connects to such a port.
    assert not lets_in(rules, "tcp", 40000, ["syn"])
    assert not lets_in(rules, "tcp", 9100 - 8200, ["ack"])
    tight = provider_firewall([], stack="mailcow", return_ports="32768-65535")["input"]
    assert not lets_in(tight, "udp", 2000)
    assert lets_in(tight, "udp", 40000)


def test_rules_and_hosts_ports():
    rules = provider_firewall(
        [
            {
                "name": "office_web",
                "service": "https",
                "sources": ["192.0.2.0/24", "2001:db8::/32"],
            },
            {"name": "bad", "action": "drop", "set": "bad"},
            {"name": "calm", "service": "submission", "action": "limit"},
            {"name": "other", "ports": ["8443"], "addresses": ["203.0.113.2"]},
        ],
        stack="mailu",
        host_rules=[{"name": "vpn", "ports": [51820], "protocol": "udp"}],
        sets=[{"name": "bad", "entries": ["198.51.100.0/24"]}],
    )["input"]
    assert [rule["name"] for rule in rules][:5] == ["vpn", "ssh", "office web", "bad", "calm"]
    by_name = {rule["name"]: rule for rule in rules}
    assert by_name["bad"]["action"] == "discard"
    assert "dst_port" not in by_name["bad"]
    assert by_name["calm"]["action"] == "accept"
    assert by_name["other"]["dst_ip"] == "203.0.113.2"
    assert not lets_in(rules, "tcp", 443, ["syn"], "192.0.3.0/24")
    assert lets_in(rules, "tcp", 443, ["syn"], "192.0.2.0/24")


def test_both_families_fit_into_ten_rules():
    rules = provider_firewall([], stack="mailcow", families=["ipv4", "ipv6"])["input"]
    assert len(rules) <= 10
    # The module wants the version wherever there is a protocol.
    assert all("ip_version" in rule for rule in rules)
    ipv6 = [rule for rule in rules if rule["ip_version"] == "ipv6"]
    assert not any(rule["protocol"] == "icmp" for rule in ipv6)
    assert lets_in(ipv6, "tcp", 25, ["syn"])


def test_too_many_are_refused():
    sources = [f"192.0.2.{number}" for number in range(12)]
    with pytest.raises(AnsibleFilterError, match="these are 17 rules .*allowed: 10"):
        provider_firewall([{"name": "x", "service": "imap", "sources": sources}], stack="mailcow")


def test_a_table():
    text = provider_firewall([], stack="mailcow", provider="table", stateful=True)
    lines = text.splitlines()
    assert lines[0].startswith("| # | Name | Family |")
    assert "answers" not in text
    # One line for all that differs in its ports only.
    assert f"| tcp | 22,{MAIL} | any | any | any | accept |" in lines[2]
    assert lines[-1] == "| 3 | everything else | any | any | any | any | any | any | discard |"
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"provider": "hetzner"}, "provider is 'hetzner'; allowed: hetzner_robot, table"),
        ({"families": ["ip"]}, "families has 'ip'"),
        ({"return_ports": "high"}, "return_ports has 'high'"),
        ({"stack": "exim"}, "unknown stack 'exim'"),
        ({"rules": [{"name": "x", "ports": [0]}]}, "rule 'x': ports has 0"),
        ({"rules": None}, "provider_firewall: "),
    ],
)
def test_what_is_wrong_is_refused(options, words):
    with pytest.raises(AnsibleFilterError, match=words):
        provider_firewall(**dict({"rules": []}, **options))


def test_documented_defaults():
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    parameters = inspect.signature(provider_firewall).parameters
    assert list(itertools.islice(parameters, 1, None)) == [
        name for name in options if name[0] != "_"
    ]
    for name, option in options.items():
        if name != "_input" and name != "config":
            value = parameters[name].default
            assert option["default"] == (list(value) if isinstance(value, tuple) else value)
