# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures

import pytest
from doctor_hosts import HOSTS, MAILCOW, RECORDS, cases, go_through, look, on, wait
from sandbox import sandbox


@pytest.fixture(scope="session")
def world():
    """The world's DNS knows the domains of both hosts."""
    for (name, kind), values in RECORDS.items():
        sandbox.record(name, kind, values)
    wait("mail1")
    # A destination that does not answer is given up soon.
    on(
        "mail1",
        MAILCOW + "docker compose exec -T postfix-mailcow postconf -e smtp_connect_timeout=2s",
    )
    on("mail1", MAILCOW + "docker compose exec -T postfix-mailcow postfix reload")
    yield
    for name, kind in RECORDS:
        sandbox.reset_records(name, kind)


@pytest.fixture(scope="session")
def healthy(world):
    """What the doctor says of the hosts while nothing is wrong with them."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        looks = {name: pool.submit(look, name, "healthy") for name in HOSTS}
        return {name: future.result() for name, future in looks.items()}


@pytest.fixture(scope="session")
def outcomes(request, healthy):
    """What the doctor says of each case that is asked for, as futures by id.

    The hosts are ill at the same time, each with one illness after the other.
    """
    known = cases()
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [each["name"] for each in params if each.get("name") in known]
    pools = {name: concurrent.futures.ThreadPoolExecutor(1) for name in HOSTS}
    found = {each: pools[known[each].host].submit(go_through, known[each]) for each in wanted}
    yield found
    for pool in pools.values():
        pool.shutdown(cancel_futures=True)
