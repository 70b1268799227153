# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host may repair itself is repaired, once, and nothing else is touched."""

from __future__ import annotations

import time

import pytest
from preflight_hosts import HOSTS, everywhere, look, told
from sandbox.data import IPV4_GATEWAY
from scenario import ROOT, on, play, play_cases

CONVERGE = ROOT / "molecule" / "preflight" / "converge.yml"

INSTALL = (
    "DEBIAN_FRONTEND=noninteractive apt-get -qq update && apt-get -qq install -y {0} >/dev/null"
)

# An interface of ifupdown's beside the one that leads here, with IPv6 on an alias.
ALIAS = """\
auto mail0
iface mail0 inet manual
    mtu 1500

auto mail0:0
iface mail0:0 inet6 static
    # written by cloud-init
    address   2001:db8:9::1/64
"""
WITHOUT = ALIAS.replace("auto mail0:0\n", "").replace("mail0:0", "mail0")
FILE = "/etc/network/interfaces.d/50-cloud-init.cfg"


@pytest.fixture(scope="module", autouse=True)
def ifupdown():
    """A second interface, run by ifupdown."""
    everywhere(INSTALL.format("ifupdown"))
    # The other end is up too, or an IPv6 address would never be ready.
    everywhere(
        "ip link add mail0 type veth peer name mail1 && ip link set mail1 up && "
        # An engine's containers get it switched off on every new interface.
        "echo 0 >/proc/sys/net/ipv6/conf/mail0/disable_ipv6"
    )
    everywhere("printf 'source /etc/network/interfaces.d/*\\n' >/etc/network/interfaces")
    yield
    everywhere("ip link del mail0; rm -f /etc/network/interfaces.d/*", check=False)


def write_alias():
    everywhere(
        f"cat >{FILE} <<'END'\n{ALIAS}END\n"
        "ip -6 address flush dev mail0; ifup --force mail0 mail0:0"
    )


def start_exim():
    """Start it, and wait until it has its port."""
    everywhere(
        "systemctl unmask -q exim4 && systemctl enable -q exim4 && systemctl restart exim4 && "
        "for i in $(seq 50); do ss -Hltn sport = 25 | grep -q . && exit; sleep 0.2; done; exit 1"
    )


def converge(**variables):
    return play(CONVERGE, extra=variables)


def test_everything_at_once():
    everywhere("timedatectl set-ntp false")
    everywhere(INSTALL.format("exim4-daemon-light"))
    start_exim()
    write_alias()
    found = look(preflight_fail_on="never")
    for host in HOSTS:
        assert set(told(found, host)) == {
            "clock.service",
            "network.cloud_init_ipv6",
            "ports.public",
            "services.mail_servers",
        }, host

    before = {host: on(host, f"cat {FILE}") for host in HOSTS}
    foretold = play(CONVERGE, "--check", "--diff", extra=ALLOWED)
    assert foretold.rc == 0, foretold.message
    assert {host: on(host, f"cat {FILE}") for host in HOSTS} == before
    assert all(
        "inactive" in on(host, "systemctl is-active systemd-timesyncd; true") for host in HOSTS
    )

    run = converge(**ALLOWED)
    assert run.rc == 0, run.message
    for host in HOSTS:
        assert told(run, host) == {}
        assert {"Clock", "Services in the way"} < set(run.changed_on[host])
        assert on(host, f"cat {FILE}") == WITHOUT
        assert "2001:db8:9::1" in on(host, "ip -6 address show dev mail0")
        assert on(host, "systemctl is-enabled exim4; true").strip() == "masked"
        assert on(host, "ls /var/backups/mailhost-network").strip()

    again = converge(**ALLOWED)
    assert (again.rc, again.changed) == (0, []), again.message


ALLOWED = {"system_conflicting_services": ["exim4"]}


def test_services_are_left_alone_unless_named():
    start_exim()
    run = converge()
    assert run.rc != 0
    assert "ports.public" in run.message
    assert run.changed == []
    everywhere("systemctl is-active exim4")
    everywhere("apt-get -qq purge -y exim4-daemon-light exim4-base exim4-config >/dev/null")


def test_a_network_that_cuts_the_way_back_is_taken_back():
    """The new configuration makes the controller unreachable; the host sees to it by itself."""
    write_alias()
    everywhere(
        "cat >/etc/network/if-up.d/cut <<'END'\n#!/bin/sh\n"
        '[ "$ADDRFAM" = inet6 ] || exit 0\n'
        'case "$IFACE" in\n'
        f"mail0) ip route replace blackhole {IPV4_GATEWAY} ;;\n"
        f"mail0:0) ip route del blackhole {IPV4_GATEWAY} || true ;;\n"
        "esac\nEND\nchmod +x /etc/network/if-up.d/cut"
    )
    begin = time.monotonic()
    try:
        run = converge(system_rollback_seconds=30)
        assert run.rc != 0
        # Reachable again, by the timer on the host alone.
        for host in HOSTS:
            while time.monotonic() - begin < 120:
                if on(host, "true; echo back", check=False).strip() == "back":
                    break
                time.sleep(1)
            assert on(host, f"cat {FILE}") == ALIAS
    finally:
        everywhere("rm -f /etc/network/if-up.d/cut")
    # Without what cut it off, the same is repaired.
    assert converge().rc == 0
    assert all(on(host, f"cat {FILE}") == WITHOUT for host in HOSTS)


# Variables, and what is said of them.
WRONG = (
    ({"system_swap": "large"}, "system_swap"),
    ({"system_time_servers": ["not a name"]}, "system_time_servers"),
    ({"system_conflicting_services": ["sshd"]}, "system_conflicting_services"),
    ({"system_sysctls": {"net ipv4": 1}}, "system_sysctls"),
    ({"preflight_plan": {"user": 3}}, "plan has 'user'; allowed: users"),
    ({"preflight_mtu": 20}, "mtu is 20; allowed: 576 to 65535 bytes"),
)


@pytest.fixture(scope="module")
def refusals():
    return play_cases(CONVERGE, "mail3", {words: variables for variables, words in WRONG})


@pytest.mark.parametrize("words", [words for _variables, words in WRONG])
def test_wrong_input_is_refused(refusals, words):
    run = refusals[words]
    assert run.rc != 0
    assert words in run.message
    assert run.changed == []
