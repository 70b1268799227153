# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small internet: disposable mail hosts and what they download from.

Run as ``PYTHONPATH=tests python -m sandbox VERB``; see README.md beside this file.
"""
