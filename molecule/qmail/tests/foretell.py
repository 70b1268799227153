# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run from prepare.yml: check mode on a host that the role has not seen yet."""

from __future__ import annotations

import sys

from qmail_host import ASSIGN, FILES, HOST, NAME, OWNER, PLAYBOOK, RELAY, local_session, session
from scenario import compare, play, remember


def main() -> int:
    """Compare the host's files before and after."""
    # The server works, and is as the tests of the result would not find it.
    assert session("a@b.example", "c@far.example")[0] == 553
    assert session("a@spam.example", f"c@{NAME}")[0] == 250
    assert local_session("c@far.example").startswith("250")
    remember(HOST)
    run = play(PLAYBOOK, "--check", "--diff")
    assert run.rc == 0, run.output
    assert run.changed == [FILES, ASSIGN, RELAY, OWNER], run.changed
    assert "@spam.example" in run.output and "192.0.2.0-63:allow" in run.output
    compare(HOST)
    return 0


if __name__ == "__main__":
    sys.exit(main())
