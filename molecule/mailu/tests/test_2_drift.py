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

EDITED = (f"sed -i s/^MESSAGE_SIZE_LIMIT=.*/MESSAGE_SIZE_LIMIT=1/ {ENV}", [SETTINGS])
CASES = [
    EDITED,
    (f"sed -i /^WEBMAIL=/d {ENV}", [SETTINGS]),
    (f"sed -i '1i LOG_LEVEL=DEBUG' {ENV}", [SETTINGS]),
    (f"echo AUTH_RATELIMIT=10/minute >> {ENV}", [SETTINGS]),
    (f"echo RELAYNETS=0.0.0.0/0 >> {ENV}", [SETTINGS]),
    (f"chmod 0644 {ENV}", [SETTINGS]),
    ("docker stop -t 2 mailu-imap-1", [START]),
    ("docker rm -f mailu-redis-1", [START]),
    ("sed -i s/journald/json-file/ /mailu/docker-compose.yml", [FILES]),
    ("rm /mailu/.env", [FILES]),
    ("sed -i s/192.168.203.0/192.168.204.0/ /mailu/docker-compose.yml", [DOWN, FILES, START]),
    # Somebody started a service with it.
    (
        f"sed -i s/^LOG_LEVEL=.*/LOG_LEVEL=DEBUG/ {ENV}; cd /mailu; docker compose up -d smtp",
        [SETTINGS, START],
    ),
]
ONE = [
    (
        "echo 'message_size_limit = 1' >> /mailu/overrides/postfix/postfix.cf",
        [FILES, RESTART],
    ),
    ("echo '# mine' > /mailu/overrides/nginx/mine.conf", [RESTART]),
    (
        f"cd /mailu/certs; rm cert.pem; ln -s {LIVE}/fullchain.pem cert.pem",
        ["Copy the certificate"],
    ),
]


def test_healthy_hosts_change_nothing_and_check_mode_foretells_that():
    done = play(SITE, "--check")
    assert (done.rc, done.changed, done.failed) == (0, [], []), done.message


# Two at a time, one on each host: a run takes as long with both.
@pytest.mark.parametrize("number", range(0, len(CASES), 2))
def test_drift_is_undone(number):
    (here, expected_here), (there, expected_there) = CASES[number : number + 2]
    on("mail6", here)
    on("mail8", there)
    done = run()
    assert done.rc == 0, done.message
    assert done.changed_on.get("mail6", []) == expected_here
    assert done.changed_on.get("mail8", []) == expected_there


@pytest.mark.parametrize("number", range(len(ONE)))
def test_drift_of_what_only_one_host_has_is_undone(number):
    command, expected = ONE[number]
    on("mail6", command)
    done = run(limit="mail6")
    assert done.rc == 0, done.message
    assert done.changed == expected


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
