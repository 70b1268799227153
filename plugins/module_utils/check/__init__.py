# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a host: one file a subject.

Each check is a pure function ``(host, need) -> list[Finding]``.
"""
