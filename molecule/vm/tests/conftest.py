# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from machine import BANNED, CLIENT, OTHER
from sandbox import data
from scenario import on


@pytest.fixture(scope="session", autouse=True)
def addresses():
    """More addresses for the client."""
    for number in (BANNED, OTHER):
        on(
            CLIENT.name,
            f"ip address replace {data.IPV4_PREFIX}.{number}/24 dev eth0; "
            f"ip address replace {data.IPV6_PREFIX}:{number}/64 dev eth0 nodad",
        )
