# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From 2.0 to 2024.06, and not back."""

from __future__ import annotations

from role import run
from scenario import on

OLD = {"mailu_version": "2.0", "mailu_accept_insecure_version": True}
INDEX = "/mailu/mail/anna@example.test/xapian-indexes"


def test_another_series_needs_a_word_and_gets_its_steps():
    on("mail8", "cd /mailu && docker compose down -t 2 && cd / && rm -rf /mailu")
    done = run(limit="mail8", **OLD)
    assert done.rc == 0, done.message
    assert "ghcr.io/mailu/dovecot:2.0" in on("mail8", "docker ps")
    assert "PORTS=" not in on("mail8", "cat /mailu/mailu.env")
    on("mail8", f"mkdir -p {INDEX} && touch {INDEX}/flintlock")

    state = "cd /mailu; sha256sum mailu.env .env docker-compose.yml; docker ps -q | sort"
    before = on("mail8", state)
    done = run(limit="mail8")
    assert done.rc != 0
    assert "there is no way back" in done.message
    assert "mailu_upgrade_from: '2.0'" in done.message
    assert (done.changed, on("mail8", state)) == ([], before)

    # The stand-in's Dovecot has no search that could be told to look at all mail again.
    word = {"mailu_upgrade_from": "2.0", "mailu_config": {"FULL_TEXT_SEARCH": "off"}}
    done = run(limit="mail8", **word)
    assert done.rc == 0, done.message
    assert done.changed == [
        "Take the stack down, as its network or its release series changes",
        "Compose project and overrides",
        "Settings in mailu.env",
        "Start the stack",
        "Remove the index of the old search",
    ]
    assert "ghcr.io/mailu/dovecot:2024.06" in on("mail8", "docker ps")
    assert on("mail8", f"test -e {INDEX} || echo gone") == "gone\n"
    assert "PORTS=25,80,443,465,993,995,4190\n" in on("mail8", "cat /mailu/mailu.env")
    # The word may stay where it is.
    done = run(limit="mail8", **word)
    assert (done.rc, done.changed) == (0, []), done.message
