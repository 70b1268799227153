# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import concurrent.futures
import itertools

import pytest
from doctor_hosts import HOSTS, MAILCOW, RECORDS, cases, go_through, look_at, on, wait
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
    return look_at("healthy", hosts={name: {} for name in HOSTS})


@pytest.fixture(scope="session")
def outcomes(request, healthy):
    """What the doctor says of each case that is asked for, as futures by id.

    The hosts are ill at the same time, each with one illness after the other, and one run looks at
    both.
    """
    known = cases()
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [known[each["name"]] for each in params if each.get("name") in known]
    of_hosts = [[case for case in wanted if case.host == name] for name in HOSTS]
    found = {case.id: concurrent.futures.Future() for case in wanted}
    pool = concurrent.futures.ThreadPoolExecutor(1)
    for ill in itertools.zip_longest(*of_hosts):
        pool.submit(answer, found, [case for case in ill if case])
    yield found
    pool.shutdown(cancel_futures=True)


def answer(found, ill):
    """Go through cases, and answer the futures of their outcomes."""
    try:
        for outcome in go_through(ill):
            found[outcome.case.id].set_result(outcome)
    except Exception as error:  # noqa: BLE001 - whatever it was, the tests of these cases say it
        for case in ill:
            found[case.id].set_exception(error)
