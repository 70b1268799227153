# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from outside import everywhere


@pytest.fixture
def patient():
    """Units may be started a few times a minute; the tests do it more often."""
    everywhere("systemctl reset-failed docker.service docker.socket fail2ban.service || true")
