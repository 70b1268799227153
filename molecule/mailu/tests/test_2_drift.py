# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing on each host, run the play: exactly these are repaired."""

from __future__ import annotations

import pytest
from certbot import LIVE
from role import run
from scenario import SITE, on, play

ENV = "/mailu/mailu.env"
FILES = "Compose project and overrides"
SETTINGS = "Settings in mailu.env"
RESTART = "Start anew what has not read its overrides"
START = "Start the stack"
DOWN = "Take the stack down, as its network or its release series changes"

EDITED = f"sed -i s/^MESSAGE_SIZE_LIMIT=.*/MESSAGE_SIZE_LIMIT=1/ {ENV}"
# What is broken on the one host and on the other, and what repairs it. A run takes as long with both.
CASES = {
    "settings": (
        ([EDITED, f"sed -i /^WEBMAIL=/d {ENV}", f"chmod 0644 {ENV}"], [SETTINGS]),
        (
            [
                f"sed -i '1i LOG_LEVEL=DEBUG' {ENV}",
                f"echo AUTH_RATELIMIT=10/minute >> {ENV}",
                f"echo RELAYNETS=0.0.0.0/0 >> {ENV}",
            ],
            [SETTINGS],
        ),
    ),
    "files and containers": (
        (
            ["docker stop -t 2 mailu-imap-1", "rm /mailu/.env"],
            [FILES, START],
        ),
        (
            [
                "docker rm -f mailu-redis-1",
                "sed -i s/journald/json-file/ /mailu/docker-compose.yml",
            ],
            [FILES, START],
        ),
    ),
    "what takes more": (
        (["sed -i s/192.168.203.0/192.168.204.0/ /mailu/docker-compose.yml"], [DOWN, FILES, START]),
        # Somebody started a service with it.
        (
            [
                f"sed -i s/^LOG_LEVEL=.*/LOG_LEVEL=DEBUG/ {ENV}",
                "cd /mailu; docker compose up -d smtp",
            ],
            [SETTINGS, START],
        ),
    ),
}
# What only one host has.
ONE = {
    "echo 'message_size_limit = 1' >> /mailu/overrides/postfix/postfix.cf": [FILES, RESTART],
    "echo '# mine' > /mailu/overrides/nginx/mine.conf": [RESTART],
    f"cd /mailu/certs; rm cert.pem; ln -s {LIVE}/fullchain.pem cert.pem": ["Copy the certificate"],
}


def test_healthy_hosts_change_nothing_and_check_mode_foretells_that():
    done = play(SITE, "--check")
    assert (done.rc, done.changed, done.failed) == (0, [], []), done.message


@pytest.mark.parametrize("name", CASES)
def test_drift_is_undone(name):
    for host, (commands, _expected) in zip(("mail6", "mail8"), CASES[name], strict=True):
        for command in commands:
            on(host, command)
    done = run()
    assert done.rc == 0, done.message
    for host, (_commands, expected) in zip(("mail6", "mail8"), CASES[name], strict=True):
        assert done.changed_on.get(host, []) == expected, host


def test_drift_of_what_only_one_host_has_is_undone():
    for command in ONE:
        on("mail6", command)
    done = run(limit="mail6")
    assert done.rc == 0, done.message
    assert sorted(done.changed) == sorted({task for tasks in ONE.values() for task in tasks})


def test_and_then_nothing_is_left_to_do():
    done = run()
    assert (done.rc, done.changed) == (0, []), done.message
    assert on("mail6", "cat /mailu/overrides/nginx/mine.conf") == "# mine\n"


def test_a_lost_file_is_not_replaced_by_one_with_other_secrets():
    on("mail8", f"mv {ENV} /root/mailu.env")
    try:
        done = run(limit="mail8")
    finally:
        on("mail8", f"mv /root/mailu.env {ENV}")
    assert done.failed == ["Refuse to make new secrets for a database that is there"]
    assert done.changed == []


def test_a_service_that_does_not_start_is_named_with_its_log():
    broken = "/mailu/overrides/dovecot/dovecot.conf"
    on("mail8", f"echo 'no_such_setting = 1' > {broken}")
    try:
        done = run(limit="mail8", mailu_ready_timeout=15)
    finally:
        on("mail8", f"rm {broken}")
    # Compose may find it down again, and start it.
    assert done.changed in ([RESTART], [RESTART, START])
    assert done.failed == ["Wait until Mailu answers"]
    assert "Last lines of mailu-imap-1:" in done.message
    assert "no_such_setting" in done.message
    # The file is gone, and that was after the container's start.
    # The engine starts it again and again, and now that is of use.
    done = run(limit="mail8")
    assert done.rc == 0, done.message
