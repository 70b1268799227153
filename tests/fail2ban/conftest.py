# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets plain pytest find the collection and the scripts of tests/, as for tests/unit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# At the end: ansible-test brings a path to the collection of its own.
for folder in (ROOT / ".build" / "collections", ROOT / "tests", ROOT / "tests" / "fail2ban"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

import versions  # noqa: E402 - it lies in a folder that was just added

VERSIONS = [version.name for version in versions.VERSIONS]
if os.environ.get("MAILHOST_FAIL2BAN") == "oldest,newest":
    VERSIONS = [VERSIONS[0], VERSIONS[-1]]


@pytest.fixture(scope="session", params=VERSIONS)
def fail2ban(request):
    """Each version of fail2ban in turn; one that is not to be had here is a skip with its reason."""
    version = next(v for v in versions.VERSIONS if v.name == request.param)
    try:
        return versions.installation(version)
    except versions.UnavailableError as error:
        pytest.skip(str(error))
