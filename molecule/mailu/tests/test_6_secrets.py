# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret in output, diffs, process lists or files that others can read."""

from __future__ import annotations

from role import inventory, run
from scenario import command_lines, on

ENV = "/mailu/mailu.env"


def secrets():
    """What nobody may see: of the file, and of the inventory."""
    pairs = (line.split("=", 1) for line in on("mail6", f"cat {ENV}").splitlines() if "=" in line)
    found = {key: value for key, value in pairs if key in ("SECRET_KEY", "API_TOKEN")}
    data = inventory()
    found["admin"] = data["vars"]["mailu_admin_account"]["password"]
    found["user"] = data["hosts"]["mail6"]["mailu_import"]["users"][0]["password"]
    return found


def test_the_most_verbose_output_of_a_run_that_uses_them_shows_none():
    hidden = secrets()
    assert len(hidden) == 4
    # Something to hide in a diff, and an account to make anew.
    on("mail6", f"sed -i s/^API_TOKEN=.*/API_TOKEN=edited-by-hand/ {ENV}")
    on(
        "mail6",
        "cd /mailu; docker compose exec -T admin flask mailu user-delete -r user@example.test",
    )
    with command_lines("mail6") as seen:
        done = run("--diff", "-vvvv", limit="mail6")
    assert done.rc == 0, done.message
    assert "Accounts" in done.changed
    assert "API_TOKEN=******** (new value)" in done.output
    assert len(seen) > 5
    for key, value in [*hidden.items(), ("API_TOKEN", "edited-by-hand")]:
        assert value not in done.output, key
        assert not any(value in snapshot for snapshot in seen), key
    assert secrets() == hidden


def test_backups_are_for_root_only():
    shown = on("mail6", f"stat -c %a {ENV}.*~ /mailu/certs/key.pem.*~")
    assert set(shown.split()) == {"600"}
