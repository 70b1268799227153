# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret in output, diffs, process lists or files that others can read."""

from __future__ import annotations

from scenario import SITE, command_lines, on, play

CONF = "/opt/mailcow-dockerized/mailcow.conf"
SECRETS = ("DBPASS", "DBROOT", "REDISPASS", "SOGO_URL_ENCRYPTION_KEY", "API_KEY")


def values():
    text = on("mail1", f"cat {CONF}")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    return {key: value for key, value in pairs if key in SECRETS}


def test_the_most_verbose_output_of_a_run_that_changes_them_shows_none():
    old = values()
    assert set(old) == set(SECRETS)
    # The key changes, so that the run has a diff to hide it in; so does a secret made on the host.
    on("mail1", f"sed -i -e '/^SOGO_URL/d' -e s/^API_KEY=.*/API_KEY=edited-by-hand/ {CONF}")
    with command_lines("mail1") as seen:
        run = play(SITE, "--diff", "-vvvv", ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default")
    assert run.rc == 0, run.output[-2000:]
    assert "API_KEY=******** (new value)" in run.output
    new = values()
    assert new["API_KEY"] == old["API_KEY"]
    assert new["SOGO_URL_ENCRYPTION_KEY"] != old["SOGO_URL_ENCRYPTION_KEY"]
    assert len(seen) > 5
    for key, value in [*old.items(), *new.items(), ("API_KEY", "edited-by-hand")]:
        assert value not in run.output, key
        assert not any(value in snapshot for snapshot in seen), key


def test_backups_are_for_root_only():
    shown = on("mail1", f"stat -c %a {CONF}.*~")
    assert set(shown.split()) == {"600"}
