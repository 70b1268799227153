# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing, run the role: exactly that thing is repaired, with the least that it needs."""

from __future__ import annotations

import re

import pytest
from qmail_host import (
    ASSIGN,
    CONTROL,
    FILES,
    HOST,
    NAME,
    OWNER,
    PLAYBOOK,
    RELAY,
    RULES,
    calls,
    files,
    in_force,
)
from scenario import on, play

MESSAGE = "/home/vpopmail/domains/virtual.example.test/some body/Maildir/a message"

#: What is broken, all at once: commands; what changes by task; and what qmail-send is told.
CASES = {
    "nothing that qmail-send reads": (
        f"""
        echo other.example.test >{CONTROL}/helohost
        printf '10.:deny\\n' | tcprules {RULES}.cdb {RULES}.tmp
        cd /var/qmail; sed -i s/:89:89:/:90:90:/ users/assign; bin/qmail-newu
        sed -i s/:90:90:/:89:89:/ users/assign
        chmod 644 '{MESSAGE}'
        """,
        {
            FILES: [f"{CONTROL}/helohost"],
            ASSIGN: None,
            RELAY: [f"{RULES}.cdb"],
            OWNER: None,
        },
        [],
    ),
    "what qmail-send rereads": (
        f"""
        sed -i /mail8/d {CONTROL}/locals; chmod 640 {CONTROL}/locals
        echo :allow >{RULES}
        """,
        {FILES: [f"{CONTROL}/locals"], RELAY: [RULES]},
        ["HUP"],
    ),
    "what qmail-send reads at its start": (
        f"""
        echo 5 >{CONTROL}/concurrencyremote; echo x.example >{CONTROL}/doublebouncehost
        rm {RULES}.cdb
        """,
        {
            FILES: [f"{CONTROL}/concurrencyremote", f"{CONTROL}/doublebouncehost"],
            RELAY: [f"{RULES}.cdb"],
        },
        ["TERM", "start"],
    ),
    "lists": (
        f"""
        sed -i /spam/d {CONTROL}/badmailfrom
        echo x.example >{CONTROL}/morercpthosts; /var/qmail/bin/qmail-newmrh
        echo more.example.test >{CONTROL}/morercpthosts
        """,
        {FILES: [f"{CONTROL}/badmailfrom", f"{CONTROL}/morercpthosts.cdb"]},
        [],
    ),
}


def told(before: list[str]) -> list[str]:
    """What qmail-send was told since then."""
    return [call.split()[1] for call in calls()[len(before) :] if call.startswith("qmail-send")]


@pytest.mark.parametrize("name", CASES)
def test_drift_is_foretold_and_undone(name):
    command, tasks, signals = CASES[name]
    healthy = files()
    on(HOST, command)
    before, broken = calls(), files()
    foretold = play(PLAYBOOK, "--check")
    assert (foretold.rc, foretold.changed) == (0, list(tasks)), foretold.message
    assert (files(), told(before)) == (broken, [])
    run = play(PLAYBOOK)
    assert (run.rc, run.changed) == (0, list(tasks)), run.message
    for task, changed in tasks.items():
        assert changed is None or run.results[HOST][task]["files"] == changed
    assert told(before) == signals
    assert files() == healthy


def test_and_then_nothing_is_left_to_do():
    run = play(PLAYBOOK)
    assert (run.rc, run.changed) == (0, []), run.message
    assert in_force()["concurrencyremote"] == 40
    bad = [item for item in run.findings(HOST) if item["status"] in ("fail", "warn")]
    assert bad == [], bad
    # The mode that somebody gave it stays.
    assert on(HOST, f"stat -c %a {CONTROL}/locals").strip() == "640"


def test_entries_of_others_stay_until_the_list_is_declared_complete():
    assert "# by hand" in on(HOST, f"cat {CONTROL}/badmailfrom")
    run = play(PLAYBOOK, extra={"qmail_control_complete": ["badmailfrom"]})
    assert run.changed == [FILES]
    text = on(HOST, f"cat {CONTROL}/badmailfrom")
    assert "@old.example" not in text and "# by hand" in text and "@spam.example" in text
    assert "@old.example" in on(HOST, f"cat {CONTROL}/badmailfrom.*~")


def test_one_supervisor_after_the_other():
    """Without supervise, the process itself gets the signal; a restart is refused beforehand."""
    on(HOST, "svc -d /etc/service/qmail-send; rm /etc/service/qmail-send; sleep 1")
    on(HOST, "svc -x /var/lib/supervise/qmail-send; sleep 1")
    on(HOST, "setsid /var/qmail/bin/qmail-send </dev/null >/dev/null 2>&1 & sleep 1")
    try:
        before = calls()
        extra = {"qmail_control": {"locals": ["localhost"]}}
        run = play(PLAYBOOK, extra=extra)
        assert (run.rc, run.changed) == (0, [FILES]), run.message
        assert told(before) == ["HUP"] and in_force()["locals"] == ["localhost"]
        assert run.results[HOST][FILES]["service"] == "process"
        healthy = files()
        run = play(PLAYBOOK, extra={"qmail_control": {"queuelifetime": 500000}})
        assert run.failed == [FILES] and files() == healthy
        assert re.search("has to be started anew for queuelifetime", run.message)
        # A unit of systemd.
        on(HOST, "pkill -TERM -x qmail-send; systemd-run -q --unit qmail-send "
                 "-p Restart=always /var/qmail/bin/qmail-send; sleep 1")  # fmt: skip
        before = calls()
        run = play(PLAYBOOK, extra={"qmail_control": {"queuelifetime": 500000}})
        assert (run.rc, run.changed) == (0, [FILES]), run.message
        assert re.fullmatch(r"kill -TERM \d+", run.results[HOST][FILES]["command"])
        assert run.results[HOST][FILES]["service"] == "systemd"
        assert told(before) == ["TERM", "start"] and in_force()["queuelifetime"] == 500000
    finally:
        on(HOST, "systemctl stop qmail-send.service 2>/dev/null; pkill -TERM -x qmail-send; "
                 f"rm -f {CONTROL}/queuelifetime; "
                 "ln -sfn /var/lib/supervise/qmail-send /etc/service; sleep 7", check=False)  # fmt: skip
    assert play(PLAYBOOK).changed == [FILES]
    assert in_force()["locals"] == ["localhost", NAME]


def test_the_files_come_back_when_qmail_send_does_not_start():
    healthy = files()
    # Makes the stand-in one that ends as soon as it reads its files anew.
    on(HOST, f"touch {CONTROL}/standin-refuse")
    try:
        run = play(PLAYBOOK, extra={"qmail_control": {"queuelifetime": 500000}})
        assert run.failed == [FILES]
        assert "qmail-send does not stay up. The files from before are back" in run.message
    finally:
        on(HOST, f"rm {CONTROL}/standin-refuse")
    on(HOST, "sleep 2; svstat /etc/service/qmail-send")
    assert files() == healthy


def test_no_message_was_lost():
    assert int(on(HOST, "find /var/qmail/queue/mess -type f | wc -l")) >= 2
