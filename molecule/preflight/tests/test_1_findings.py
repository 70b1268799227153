# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that is broken is found, on every system, and nothing else is."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field

import pytest
from preflight_hosts import HOSTS, everywhere, look, told, world
from sandbox.hosts import find
from scenario import ROOT, together


@dataclass
class Case:
    """A host, or the world, broken in one way.

    Attributes:
        breaks, mends: shell commands on the hosts.
        expected: findings, id to status.
        words: what the first of them must say in its observation.
        fault: what is wrong with the world, for these hosts.
        extra: variables of the preflight.
    """

    breaks: str = "true"
    mends: str = "true"
    expected: dict = field(default_factory=dict)
    words: str = ""
    fault: str = ""
    extra: dict = field(default_factory=dict)


INSTALL = (
    "DEBIAN_FRONTEND=noninteractive apt-get -qq update && apt-get -qq install -y {0} >/dev/null"
)

VPN = "ip link add wg0 type veth peer name wg1 && ip link set wg0 up && ip route add {0} dev wg0"

CASES = {
    "a port is taken": Case(
        breaks="systemd-run -q --unit=squatter python3 -m http.server 443",
        mends="systemctl stop squatter",
        expected={"ports.public": "fail"},
        words="tcp 0.0.0.0:443 held by python3",
    ),
    "the clock is not followed": Case(
        breaks="timedatectl set-ntp false",
        mends="timedatectl set-ntp true; "
        "for i in $(seq 50); do test -e /run/systemd/timesync/synchronized && break; sleep 0.2; done",
        expected={"clock.service": "fail"},
        words="systemd-timesyncd",
    ),
    "a translated section in timesyncd.conf": Case(
        breaks="cp /etc/systemd/timesyncd.conf /root/; "
        "printf '[Zeit]\\nNTP=0.pool.ntp.org\\n' >/etc/systemd/timesyncd.conf",
        mends="mv /root/timesyncd.conf /etc/systemd/timesyncd.conf",
        expected={"clock.configuration": "warn"},
        words="[Zeit]",
    ),
    "a smaller MTU": Case(
        breaks="ip link set eth0 mtu 1400",
        mends="ip link set eth0 mtu 1500",
        expected={"network.mtu": "warn"},
        words="eth0 has 1400 bytes",
    ),
    "IPv6 on an alias by cloud-init": Case(
        breaks="mkdir -p /etc/network/interfaces.d && cd /etc/network/interfaces.d && "
        "printf 'auto eth0:0\\niface eth0:0 inet6 static\\n    address 2001:db8::2/64\\n' "
        ">50-cloud-init.cfg",
        mends="rm -r /etc/network/interfaces.d",
        expected={"network.cloud_init_ipv6": "fail"},
        words="IPv6 on eth0:0 in /etc/network/interfaces.d/50-cloud-init.cfg",
    ),
    "a neighbour in the stack's network": Case(
        breaks=VPN.format("172.22.1.128/25"),
        mends="ip link del wg0",
        expected={"network.subnets": "fail"},
        words="172.22.1.0/24 overlaps 172.22.1.128/25 (wg0)",
    ),
    "a neighbour around the stack's network": Case(
        breaks=VPN.format("172.22.0.0/16"),
        mends="ip link del wg0",
        expected={"network.subnets": "warn"},
        words="172.22.1.0/24 lies inside 172.22.0.0/16 (wg0)",
    ),
    "Exim is installed and will start": Case(
        breaks=INSTALL.format("exim4-daemon-light") + " && systemctl stop exim4",
        mends="apt-get -qq purge -y exim4-daemon-light exim4-base exim4-config >/dev/null",
        expected={"services.mail_servers": "warn"},
        words="exim4",
    ),
    "ufw is on": Case(
        breaks=INSTALL.format("ufw") + " && ufw allow 22/tcp && ufw --force enable",
        mends="ufw --force disable && apt-get -qq purge -y ufw >/dev/null",
        expected={"firewall.services": "warn"},
        words="ufw",
    ),
    "two gigabytes of memory": Case(
        breaks="sed 's/^MemTotal:.*/MemTotal: 2048000 kB/' /proc/meminfo >/run/meminfo && "
        "mount --bind /run/meminfo /proc/meminfo",
        mends="umount /proc/meminfo",
        expected={"resources.memory": "fail"},
        words="2.0 GiB",
    ),
    "memory that is not enough for the plan": Case(
        expected={"resources.memory": "warn"},
        words="enough for mailcow: dockerized itself, not for the plan",
        extra={"preflight_plan": {"users": 1000}},
    ),
    "outgoing port 25 is filtered": Case(
        fault="smtp-filtered",
        expected={"egress.smtp": "fail"},
        words="blocked",
    ),
    "outgoing port 25 is refused": Case(
        fault="smtp-refused",
        expected={"egress.smtp": "fail"},
        words="refused",
    ),
}


# At once, and each is found. The clock is alone, as are those that others would hide.
TOGETHER = together(
    CASES,
    ("a port is taken", "a translated section in timesyncd.conf", "two gigabytes of memory"),
    ("the clock is not followed",),
    ("a smaller MTU", "a neighbour in the stack's network", "Exim is installed and will start"),
    ("IPv6 on an alias by cloud-init", "a neighbour around the stack's network", "ufw is on"),
    ("memory that is not enough for the plan", "outgoing port 25 is filtered"),
    ("outgoing port 25 is refused",),
)


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_cases(names):
    cases = [CASES[name] for name in names]
    expected = {key: status for case in cases for key, status in case.expected.items()}
    extra = {key: value for case in cases for key, value in case.extra.items()}
    faults = [case.fault for case in cases if case.fault]
    for fault in faults:
        world("fault", fault, "on", *HOSTS)
    try:
        for case in cases:
            everywhere(case.breaks)
        run = look(**extra)
    finally:
        for case in cases:
            everywhere(case.mends, check=False)
        for fault in faults:
            world("fault", fault, "off")
    assert {host: told(run, host) for host in HOSTS} == dict.fromkeys(HOSTS, expected)
    for case in cases:
        first = next(iter(case.expected))
        for host in HOSTS:
            texts = [item["observed"] for item in run.findings(host) if item["id"] == first]
            assert any(case.words in text for text in texts), texts
    # The playbook says so by its exit code, and how to go on all the same.
    failing = [name for name, status in expected.items() if status == "fail"]
    assert (run.rc != 0) == bool(failing)
    for name in failing:
        assert name in run.message
        assert "preflight_accept: [" in run.message


def test_reverse_records_are_wrong():
    pointer = (ipaddress.ip_address(find("mail3").ipv4).reverse_pointer, "PTR")
    world("record", *pointer, "static-13.provider.example.test")
    try:
        run = look()
    finally:
        world("record", *pointer, "reset")
    assert told(run, "mail4") == told(run, "mail5") == {}
    found = told(run, "mail3")
    assert found["dns.reverse"] == "fail"
    assert set(found) <= {"dns.reverse", "dns.forward_confirmed", "dns.generic_reverse"}


def test_the_name_leads_elsewhere():
    world("record", "mail4.example.test", "A", "10.99.0.99")
    try:
        run = look()
    finally:
        world("record", "mail4.example.test", "A", "reset")
    assert told(run, "mail3") == told(run, "mail5") == {}
    assert told(run, "mail4")["dns.address"] == "fail"


def test_files_of_the_report():
    look()
    folder = ROOT / ".build" / "scenario" / "report"
    for host in HOSTS:
        report = json.loads((folder / f"{host}.json").read_text())
        assert report["host"] == host
        assert report["go"] is True
        assert len(report["findings"]) > 60
        for ending in ("html", "md"):
            assert "platform.virtualisation" in (folder / f"{host}.{ending}").read_text()
    index = (folder / "index.html").read_text()
    assert all(f"{host}.html" in index for host in HOSTS)


def test_all_is_well_again():
    run = look()
    assert {host: told(run, host) for host in HOSTS} == {host: {} for host in HOSTS}
