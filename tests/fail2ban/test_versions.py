# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unpacked versions are what they say, and start."""

from __future__ import annotations


def test_each_program_is_of_its_version(fail2ban):
    for program in ("fail2ban-regex", "fail2ban-client", "fail2ban-server"):
        assert fail2ban.version.name in fail2ban.run(program, "--version")


def test_the_stock_configuration_is_valid(fail2ban, tmp_path):
    config = fail2ban.copy_config(tmp_path / "config")
    assert "OK: configuration test is successful" in fail2ban.run(
        "fail2ban-client", "-c", config, "-t"
    )
