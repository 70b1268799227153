# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from sandbox import common, data, world


def chain(*names):
    """The rules of the packet filter's chain with these faults, after what is always there."""
    lines = [line.strip() for line in world.rules(dict.fromkeys(names, ())).splitlines()]
    start = lines.index('iifname "lo" accept')
    return lines[start + 1 : lines.index("}", start)]


def test_without_a_fault_nothing_is_filtered():
    assert chain() == []
    assert chain("dns", "git") == []


def test_faults_add_up_in_the_order_of_the_list():
    # What "egress" lets pass must not be what "ntp" drops.
    assert chain("egress", "ntp")[0] == "udp dport 123 drop"
    assert chain("egress", "ntp")[-1] == "meta l4proto udp reject"


def test_a_fault_of_one_host_concerns_its_addresses():
    rules = world.rules({"smtp-refused": ["10.99.0.11", "fd99::11"]})
    refuse = "tcp dport { 25, 465 } reject with tcp reset"
    assert f"ip saddr 10.99.0.11 {refuse}\n        ip6 saddr fd99::11 {refuse}\n" in rules
    assert f"        {refuse}" not in rules
    with pytest.raises(common.SandboxError, match="'icmp' is everybody's; of one host: ntp, smtp"):
        world.fault("icmp", True, data.HOSTS[:1])


def test_each_receiver_has_a_line_for_smtp_sink():
    lines = world._receivers().splitlines()
    assert lines[0].split()[:4] == [data.RECEIVERS[1].ipv4, "mx.grey.outside.test", "-r", "-b"]
    assert any(" -f -B rcpt 550 5.1.1 " in line for line in lines)
    assert len({receiver.number for receiver in data.RECEIVERS}) == len(data.RECEIVERS)
    assert all(100 <= receiver.number < 200 for receiver in data.RECEIVERS)


def test_the_rules_replace_those_of_before():
    assert world.rules({}).splitlines()[:2] == ["table inet fault {}", "delete table inet fault"]


def test_an_unknown_fault_is_refused_with_the_known():
    with pytest.raises(common.SandboxError, match="no fault 'x'; there are dns, ntp, smtp-filt"):
        world.fault("x", True)


def test_the_worlds_certificate_names_what_is_reached_over_tls():
    names = world._names()
    assert {"ghcr.io", "hub.docker.com", "acme-v02.api.letsencrypt.org", "mx.outside.test"} <= set(
        names
    )


def test_the_world_has_well_known_addresses_of_its_own():
    lines = dict(line.split() for line in world._addresses().splitlines())
    assert lines["1.1.1.1/32"] == lines["2606:4700:4700::1111/128"] == "lo"
    assert lines[f"{data.OUTSIDE_IPV4}/24"] == lines[f"{data.OUTSIDE_IPV6}/64"] == "eth0"
    for address in lines:
        ipaddress.ip_interface(address)


def test_edits_are_kept_and_read_back(monkeypatch, tmp_path):
    monkeypatch.setattr(world, "EDITS", tmp_path / "records.json")
    monkeypatch.setattr(world, "ZONES", tmp_path / "zones")
    monkeypatch.setattr(world, "_running", lambda: None)
    published = []
    monkeypatch.setattr(world, "_publish", lambda _container, changed: published.append(changed))
    world.reset_records()
    assert "example.test" in published[-1]
    world.record("mail1.example.test", "A", ["10.0.0.1"])
    assert list(published[-1]) == ["example.test"]
    assert world.edits() == {("mail1.example.test", "A"): ["10.0.0.1"]}
    with pytest.raises(common.SandboxError):
        world.record("mail2.example.test", "A", ["bogus"])
    assert world.edits() == {("mail1.example.test", "A"): ["10.0.0.1"]}
    world.record("mail2.example.test", "A", [])
    world.reset_records("mail1.example.test.", "a")
    assert world.edits() == {("mail2.example.test", "A"): []}
    world.reset_records()
    assert list(published[-1]) == ["example.test"]
    assert world.edits() == {}
