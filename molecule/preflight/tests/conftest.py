# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from preflight_hosts import HOSTS, look, told


@pytest.fixture(scope="session", autouse=True)
def healthy():
    """Nothing is wrong when the tests begin, or their findings would be of no worth."""
    run = look()
    assert {host: told(run, host) for host in HOSTS} == {host: {} for host in HOSTS}, run.message
    assert run.rc == 0
    return run
