# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from scenario import on


@pytest.fixture(autouse=True)
def patient():
    """Docker's unit may be started three times a minute; the tests do it more often."""
    on("mail2", "systemctl reset-failed docker.service docker.socket", check=False)
