# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose mail is whose, who may read it, and who may relay because of having read it."""

from __future__ import annotations

from qmail_host import (
    ASSIGN,
    FILES,
    HOST,
    NEW,
    OWNER,
    PLAYBOOK,
    POP,
    RELAY,
    calls,
    files,
    session,
)
from sandbox.hosts import find
from scenario import on, play

DOMAINS = "/home/vpopmail/domains"
OPEN_SMTP = "/home/vpopmail/etc/open-smtp"
LINE = "+new.example.test-:new.example.test:89:89:/home/vpopmail/domains/new.example.test:-::"
FAR = "somebody@far.example"


def findings(run) -> dict[str, str]:
    """The status of each check of qmail, the worst of several."""
    found: dict[str, str] = {}
    for item in run.results[HOST]["Look at what there is now"]["findings"]:
        found.setdefault(item["id"], item["status"])
    return found


def test_the_line_with_the_dot_comes_back():
    healthy = files()
    on(HOST, "sed -i '/^[.]/d' /var/qmail/users/assign; ! /var/qmail/bin/qmail-newu")
    run = play(PLAYBOOK)
    assert (run.rc, run.changed) == (0, [ASSIGN]), run.message
    assert files() == healthy
    found = findings(run)
    assert {name for name, status in found.items() if status in ("fail", "unknown")} == set()
    names = ("assign", "users_cdb", "handlers", "folders", "morercpthosts", "rcpthosts")
    assert {found["qmail." + name] for name in names} == {"ok"}


def test_a_domain_comes_and_goes():
    healthy = files()
    on(HOST, f"install -d -o vpopmail -g vchkpw -m 700 {DOMAINS}/new.example.test")
    on(
        HOST,
        f"install -o vpopmail -g vchkpw -m 600 {DOMAINS}/virtual.example.test/.qmail-default "
        f"{DOMAINS}/new.example.test/",
    )
    extra = {
        "qmail_assign": [LINE],
        "qmail_control": {
            "virtualdomains": [
                f"{name}.example.test:{name}.example.test" for name in ("virtual", "new")
            ]
        },
    }
    # Mail for it would be refused: said, and the play fails.
    run = play(PLAYBOOK, extra=extra)
    assert run.rc != 0 and run.changed == [NEW, FILES]
    assert findings(run)["qmail.domains"] == "fail"
    assert session("a@client.example", "x@new.example.test")[0] == 553
    extra["qmail_control"]["morercpthosts"] = ["more.example.test", "new.example.test"]
    run = play(PLAYBOOK, extra=extra)
    assert (run.rc, run.changed) == (0, [FILES]), run.message
    assert findings(run)["qmail.handlers"] == "ok"
    assert session("a@client.example", "x@new.example.test")[0] == 250
    lines = on(HOST, "grep -v '^[.]' /var/qmail/users/assign").splitlines()
    assert LINE in lines
    on(HOST, f"rm -r {DOMAINS}/new.example.test")
    kept = [line for line in lines if line != LINE]
    extra = {
        "qmail_assign": kept,
        "qmail_assign_complete": True,
        # Entries of others stay in these lists as well, as vpopmail's tools write them.
        "qmail_control_complete": ["virtualdomains", "morercpthosts"],
    }
    run = play(PLAYBOOK, extra=extra)
    assert (run.rc, run.changed) == (0, [FILES, ASSIGN]), run.message
    assert files() == healthy


def test_a_line_that_cannot_serve_is_refused():
    healthy = files()
    run = play(PLAYBOOK, extra={"qmail_assign": ["=joe:joe:0:0:/root:::"]})
    assert run.failed == [NEW] and "as 0 is root" in run.message
    assert files() == healthy


def test_only_what_deviates_is_touched_and_nothing_outside():
    folder = f"{DOMAINS}/virtual.example.test"
    on(
        HOST,
        f"cd {folder} && mkdir -m 755 'a b' && printf x >'a b/\n' && ln -s /etc/passwd 'a b/link' && "
        "ln -s /etc 'a b/folder' && chmod 600 'a b/\n' && chown -h vpopmail:vchkpw 'a b' 'a b/'*",
    )
    before = on(HOST, "stat -c '%n %a %U' /etc /etc/passwd")
    untouched = on(HOST, f"stat -c %Z {folder}/.qmail-default 'a b'/* 2>/dev/null", check=False)
    try:
        run = play(PLAYBOOK)
        assert run.changed == [OWNER], run.message
        result = run.results[HOST][OWNER]
        assert result["deviating"] == 1 and result["paths"] == [f"{folder}/a b"]
        assert on(HOST, "stat -c '%n %a %U' /etc /etc/passwd") == before
        again = on(HOST, f"stat -c %Z {folder}/.qmail-default 'a b'/* 2>/dev/null", check=False)
        assert again == untouched
    finally:
        on(HOST, f"rm -r '{folder}/a b'")


def test_pop_before_smtp():
    address = find(HOST).ipv4.rpartition(".")[0] + ".1"
    # Long ago somebody read mail from the address that this client has now. Cron was to forget that.
    line = f'{address}:allow,RELAYCLIENT="",RBLSMTPD=""\\t1000000000'
    crontab = "40 * * * * /home/vpopmail/bin/clearopensmtp 2>&1 >/dev/null"
    on(
        HOST,
        f"mkdir -p /etc/cron.d; echo '{crontab}' >/etc/cron.d/vpopmail; printf '{line}\\n' >{OPEN_SMTP}; "
        "{ cat /etc/tcp.smtp; cut -f1 "
        + OPEN_SMTP
        + "; } | tcprules /etc/tcp.smtp.cdb /etc/tcp.smtp.t",
    )
    try:
        assert session("a@client.example", FAR)[0] == 250
        before = calls()
        foretold = play(PLAYBOOK, "--check", "--diff")
        # The rules lose the old address by the first task, or by the second where that did nothing.
        assert foretold.rc == 0 and foretold.changed == [POP, RELAY], foretold.message
        assert "40 * * * * root /home/vpopmail/bin/clearopensmtp" in foretold.output
        assert session("a@client.example", FAR)[0] == 250
        run = play(PLAYBOOK)
        assert (run.rc, run.changed) == (0, [POP]), run.message
        assert run.results[HOST][POP]["cleared"] is True
        assert findings(run)["qmail.cron"] == findings(run)["qmail.open_smtp"] == "ok"
        assert session("a@client.example", FAR)[0] == 553
        text = on(HOST, "cat /etc/cron.d/vpopmail").strip()
        assert text == crontab.replace("/home", "root /home", 1)
        # cron passes the copy by.
        assert on(HOST, "cat /etc/cron.d/vpopmail.*~").strip() == crontab
        assert [call for call in calls()[len(before) :] if call.startswith("qmail-send")] == []
    finally:
        on(
            HOST,
            f"rm -f /etc/cron.d/vpopmail*; : >{OPEN_SMTP}; /home/vpopmail/bin/clearopensmtp; rm {OPEN_SMTP}",
        )
