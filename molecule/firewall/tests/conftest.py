# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from outside import everywhere, run_on, settles
from scenario import on

SHOW = (
    "cat /etc/mailhost/firewall/* | sha256sum; iptables-save | grep -e '-A .*MAILHOST';"
    "nft -s -t list table inet mailhost 2>/dev/null || true"
)


@pytest.fixture
def patient():
    """Docker's unit may be started three times a minute; the tests do it more often."""
    everywhere("systemctl reset-failed docker.service docker.socket || true")


def lock_out(host, backend):
    """Give a host rules that shut the controller out; return what happened."""
    assert run_on(host, firewall_backend=backend).rc == 0
    before = on(host, SHOW)
    begin = time.monotonic()
    with ThreadPoolExecutor() as pool:
        # What the host is told about the controller is not so.
        going_on = pool.submit(
            run_on,
            host,
            firewall_backend=backend,
            firewall_admins=["192.0.2.10"],
            firewall_controller="192.0.2.10",
        )
        cut = settles([], hosts=[host], names=["22/4", "22/6"], seconds=90)
        done = going_on.result()
    return done, cut, time.monotonic() - begin, before, on(host, SHOW)


@pytest.fixture(scope="session")
def locked_out():
    """The same on mail1, while other tests go on elsewhere: it takes its time."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(lock_out, "mail1", "iptables")


@pytest.fixture(scope="session")
def locked_out_by_nftables():
    """And on mail4."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(lock_out, "mail4", "nftables")
