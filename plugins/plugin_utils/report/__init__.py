# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of findings: one document, and what it looks like in each format. Controller only."""

from __future__ import annotations
