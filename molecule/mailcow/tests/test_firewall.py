# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports others reach: those of the stack, and no other that a container publishes."""

from __future__ import annotations

import socket
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from sandbox.hosts import find
from scenario import SITE, on, play

HOST = find("mail1")
ADDRESSES = (HOST.ipv4, HOST.ipv6)
PUBLIC = [port["port"] for port in stack.get("mailcow")["ports"] if port["public"]]
# Somebody's own container, on a port of all addresses.
OTHER = 9999
# The rules alone; that the rest stays as it is, others see.
TAGS = ("--tags", "firewall")


def reached(port, address):
    """Whether others get a connection."""
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def other():
    image = on("mail1", "docker ps --format '{{.Image}}' | grep memcached").split()[0]
    on(
        "mail1",
        f"docker run -d --name other -p {OTHER}:11211 --entrypoint memcached {image} -u nobody",
    )
    yield
    on("mail1", "docker rm -f other")
    # What is closed at the engine's helper by its number is closed no longer.
    run = play(SITE, *TAGS)
    assert (run.rc, run.changed) == (0, ["Rules"]), run.message


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_public_port_of_the_stack_is_open(address):
    assert len(PUBLIC) > 8
    assert [port for port in PUBLIC if not reached(port, address)] == []


def test_another_published_port_is_closed_unless_a_rule_opens_it(other):
    # Somebody answers there; only others do not get through.
    on("mail1", f"timeout 5 bash -c 'until exec 3<>/dev/tcp/127.0.0.1/{OTHER}; do sleep 0.2; done'")
    assert not any(reached(OTHER, address) for address in ADDRESSES)
    rule = {"name": "other", "ports": [OTHER]}
    run = play(SITE, *TAGS, extra={"firewall_rules": [rule]})
    assert (run.rc, run.changed) == (0, ["Rules"]), run.message
    assert all(reached(OTHER, address) for address in ADDRESSES)
    run = play(SITE, *TAGS)
    assert (run.rc, run.changed) == (0, ["Rules"]), run.message
    assert not any(reached(OTHER, address) for address in ADDRESSES)


def test_rules_that_somebody_took_away_are_back_in_a_moment(other):
    on("mail1", "nft delete table inet mailhost")
    assert reached(OTHER, HOST.ipv4)
    end = time.monotonic() + 20
    while reached(OTHER, HOST.ipv4) and time.monotonic() < end:
        time.sleep(0.5)
    assert not any(reached(OTHER, address) for address in ADDRESSES)
