# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets plain pytest find the collection and the scripts of tests/, as for tests/unit."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# At the end: ansible-test brings a path to the collection of its own.
for folder in (ROOT / ".build" / "collections", ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
