# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that is not ours sees the same as the doctor."""

from __future__ import annotations

import concurrent.futures

import pytest
from doctor_hosts import cases, filled, look, mend
from scenario import on

SWAKS = (
    "swaks --server mail1.example.test {0} --helo laptop.example.test --from a@outside.test "
    "--to jane@outside.test --quit-after RCPT 2>&1; echo rc=$?"
)


@pytest.fixture(scope="module", autouse=True)
def rows_are_over(outcomes):
    """Nothing else is done to the hosts."""
    concurrent.futures.wait(outcomes.values())


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_relay_that_is_closed(family):
    said = on("mail3", SWAKS.format(family))
    # 24: no recipient was taken.
    assert "rc=24" in said, said


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_relay_that_is_open(family):
    case = cases()["mailcow-open-relay"]
    try:
        on("mail1", filled(case.breaks, "mail1"))
        said = on("mail3", SWAKS.format(family))
        assert "rc=0" in said, said
        diagnosis, _run = look("mail1", "relay" + family, doctor_only=["smtp"])
        assert diagnosis["findings"][0]["id"] == "smtp.relay"
    finally:
        mend(case)


def test_passwords_are_not_asked_for_in_clear():
    said = on("mail3", SWAKS.format("--port 587 --auth-user x --auth-password y"))
    assert "STARTTLS" in said, said
    # 28: no authentication, because it is not offered.
    assert "rc=28" in said, said
