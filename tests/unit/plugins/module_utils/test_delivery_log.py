# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import bz2
import calendar
import gzip
import json
import lzma
import os
import re
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    delivery_log,
    docker_api,
    mail_log_source,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import delivery, look
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

NOW = calendar.timegm((2026, 11, 21, 12, 0, 0))
SMTP = "2026-11-21T{0}Z mail postfix/smtp[13]: {1}: to=<{2}>, relay={3}, delay=1, dsn={4}, status={5}\n"
RELAY_REFUSED = (
    "2026-11-21T10:00:00Z m postfix/smtpd[1]: NOQUEUE: reject: RCPT from x[192.0.2.1]: "
    "554 5.7.1 <a@b>: Relay access denied; from=<c@d> to=<a@b> proto=SMTP\n"
)
TIMEOUT = "deferred (connect to mx[192.0.2.1]:25: Connection timed out)"


def line(
    to="a@b.test", dsn="2.0.0", status="sent (ok)", qid="4Zk1mJ2Yhqz5w", at="10:00:00", relay="x"
):
    return SMTP.format(at, qid, to, relay, dsn, status)


@pytest.fixture
def logged(make_host):
    """Return a function: text of mail.log and options -> what was found out."""

    def logged(text, files=None, recorded=None, **options):
        given = {"/var/log/mail.log": text} if text is not None else {}
        host = make_host(dict(given, **(files or {})), dict({"now": NOW}, **(recorded or {})))
        options.setdefault("since", "")
        return delivery_log.look(host, **options)

    return logged


def statuses(log):
    return {item.id.partition(".")[2]: item.status for item in look.all_of(delivery.LOOK, log)}


def finding(log, name):
    return next(item for item in look.all_of(delivery.LOOK, log) if item.id == "delivery." + name)


FINE = {
    "log": "ok",
    "connection": "ok",
    "reputation": "ok",
    "local": "ok",
    "loop": "ok",
    "relay": "ok",
    "others": "ok",
    "daemon": "ok",
    "root_mail": "ok",
}


class TestFindings:
    @pytest.mark.parametrize(
        ("lines", "wrong"),
        [
            ([line()], {}),
            # Greylisting, and what arrived in the end.
            ([line(dsn="4.2.0", status="deferred (450 greylisted)")], {}),
            ([line(dsn="4.4.1", status=TIMEOUT), line()], {}),
            ([line(dsn="5.1.1", status="bounced (User unknown)")], {}),
            # Port 25 is blocked.
            (
                [line("a@{0}.test".format(n), "4.4.1", TIMEOUT, "4Zk00{0}".format(n)) for n in "12"],
                {"connection": "fail"},
            ),
            ([line(dsn="4.4.1", status=TIMEOUT)], {"connection": "warn"}),
            # Two that are down, while others take mail.
            (
                [line()]
                + [line("a@{0}.test".format(n), "4.4.1", TIMEOUT, "4Zk00{0}".format(n)) for n in "12"],
                {"connection": "warn"},
            ),
            (
                [line()]
                + [line("a@{0}.test".format(n), "4.4.1", TIMEOUT, "4Zk00{0}".format(n)) for n in "12345"],
                {"connection": "fail"},
            ),
            # The content filter on this host does not count as another server.
            (
                [line("a@{0}.test".format(n), "4.4.1", TIMEOUT, "4Zk00{0}".format(n)) for n in "12"]
                + [line(relay="127.0.0.1[127.0.0.1]:10024")],
                {"connection": "fail"},
            ),
            ([line(dsn="5.7.1", status="bounced (blocked using zen.test)")], {"reputation": "fail"}),
            ([line(dsn="4.7.1", status="deferred (blocked using zen.test)")], {"reputation": "fail"}),
            ([line(dsn="5.7.1", status="bounced (looks like spam)")], {"reputation": "warn"}),
            ([line(dsn="5.7.25", status="bounced (no)")], {"reputation": "fail"}),
            ([line(dsn="4.4.1", status="deferred (connect to m[private/lmtp]: x)")], {"local": "fail"}),
            ([line(dsn="5.4.6", status="bounced (mail for x loops back to myself)")], {"loop": "fail"}),
            ([line(dsn="5.7.1", status="bounced (Relay access denied)")], {"relay": "fail"}),
            ([line(dsn="4.0.0", status="deferred (451 later)")], {"others": "warn"}),
            (
                ["2026-11-21T10:00:00Z m postfix/qmgr[1]: 4Zk1mJ2: from=<a@b>, status=expired, x\n"],
                {"others": "warn"},
            ),
            (["2026-11-21T10:00:00Z m postfix/master[1]: fatal: no\n"], {"daemon": "fail"}),
            (
                ["2026-11-21T10:00:00Z m postfix/smtp[1]: warning: mail for x loops back to myself\n"],
                {"loop": "fail"},
            ),
            (
                [
                    RELAY_REFUSED,
                ],
                {},
            ),
        ],
    )  # fmt: skip
    def test_what_a_log_says(self, logged, lines, wrong):
        assert statuses(logged("".join(lines))) == dict(FINE, **wrong)

    def test_the_cause_and_the_evidence(self, logged):
        found = finding(
            logged(line(dsn="5.7.1", status="bounced (blocked using zen.test)")), "reputation"
        )
        assert found.observed.startswith("1 bounced for b.test: The receiver refuses")
        assert "2026-11-21T10:00:00Z 4Zk1mJ2Yhqz5w to=a@b.test" in found.observed
        assert "blocklist_info" in found.fix

    @pytest.mark.parametrize(
        ("lines", "status"),
        [
            ([line(dsn="5.1.1", status="bounced (User unknown)")], "fail"),
            ([line(dsn="4.2.0", status="deferred (450 greylisted)")], "warn"),
            ([line()], "ok"),
            ([line("c@d.test", "5.1.1", "bounced (User unknown)")], "unknown"),
        ],
    )
    def test_one_recipient(self, logged, lines, status):
        log = logged("".join(lines), recipient="a@b.test")
        assert statuses(log)["others"] == status
        assert statuses(log)["daemon"] == "skip"

    def test_a_refused_client_who_is_asked_for(self, logged):
        text = (
            "2026-11-21T10:00:00Z m postfix/smtpd[1]: NOQUEUE: reject: RCPT from x[192.0.2.1]: "
            "554 5.7.1 <a@b>: Relay access denied; from=<c@d> to=<a@b.test> proto=SMTP\n"
        )
        assert statuses(logged(text, recipient="a@b.test"))["relay"] == "fail"

    def test_without_a_log_nothing_is_ok(self, logged):
        log = logged(None)
        assert set(statuses(log).values()) == {"unknown", "ok"}
        assert statuses(log)["root_mail"] == "ok"
        assert "no journal" in finding(log, "log").observed

    def test_roots_mailbox(self, logged):
        mbox = (
            "From root Sat Nov 21 10:00:00 2026\nFrom: root\n\nStatus: 9.9.9\n\n"
            "From MAILER-DAEMON Sat Nov 21 10:00:00 2026\n"
            "From: MAILER-DAEMON@mail.example.org (Mail Delivery System)\n\n"
            "Final-Recipient: rfc822; jane@example.net\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 5.1.1 User\x07 unknown\n"
        )
        log = logged(line(), {"/var/mail/root": mbox})
        assert log.mailbox.to_dict() == {
            "path": "/var/mail/root",
            "size": len(mbox),
            "messages": 2,
            "bounces": 1,
            "failures": [
                {"to": "jane@example.net", "dsn": "5.1.1", "reason": "550 5.1.1 User  unknown"}
            ],
            "trouble": "",
        }
        found = finding(log, "root_mail")
        assert found.status == "warn"
        assert "jane@example.net: 5.1.1 550 5.1.1 User" in found.observed

    def test_roots_maildir(self, logged):
        log = logged(
            line(), {"/root/Maildir/new/1.x": "Return-Path: <>\n\nhi\n", "/root/Maildir/cur/2": "a"}
        )
        assert (log.mailbox.messages, log.mailbox.bounces) == (2, 1)


class TestResult:
    def test_counts_and_the_newest(self, logged):
        text = (
            line()
            + line("x@c.test", "4.4.1", TIMEOUT, "4Zk002") * 3
            + line("y@c.test", "5.1.1", "bounced (no)")
        )
        data = logged(text, limit=2).to_dict()
        assert [entry["to"] for entry in data["deliveries"]] == ["x@c.test", "y@c.test"]
        assert data["totals"]["deferred"] == 3
        assert data["waiting"] == 1
        assert data["destinations"][0]["domain"] == "c.test"
        assert data["destinations"][0]["deferred"] == 3
        first = data["reasons"][0]
        assert (first["kind"], first["count"]) == ("timeout", 3)
        assert first["destinations"] == [{"domain": "c.test", "count": 3}]
        assert first["last"]["queue_id"] == "4Zk002"
        json.dumps(data)

    def test_tables_are_limited(self, monkeypatch):
        monkeypatch.setattr(delivery_log, "_WAITING", 10)
        monkeypatch.setattr(delivery_log, "_DESTINATIONS", 10)
        monkeypatch.setattr(delivery_log, "_TROUBLES", 10)
        tally = delivery_log.Tally(5)
        for number in range(200):
            tally.add(
                delivery_log.Delivery(
                    None, str(number), "", "a@{0}.test".format(number), "x", "4.4.1", "deferred",
                    "Connection timed out", "postfix", False,
                )
            )  # fmt: skip
            tally.add(delivery_log.Trouble(None, "postfix", "fatal: " + "x" * number))
        assert len(tally.records) == 5
        assert len(tally.waiting) == len(tally.troubles) == 10
        assert len(tally.destinations) <= 10
        assert all(len(reason.domains) <= 10 for reason in tally.reasons.values())
        assert tally.totals["deferred"] == 200

    def test_a_message_given_up_does_not_wait(self, logged):
        text = line(dsn="4.4.1", status=TIMEOUT)
        text += (
            "2026-11-21T10:00:00Z m postfix/qmgr[1]: 4Zk1mJ2Yhqz5w: from=<a@b>, status=expired, x\n"
        )
        assert logged(text).to_dict()["waiting"] == 0

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"since": "yesterday"}, "since is 'yesterday'; allowed: a span such as 36h"),
            ({"since": "Nov 21 10:00:00"}, "since is"),
            ({"limit": -1}, "limit is -1; allowed: 0 to 10000"),
            ({"queue_id": "a b"}, "queue_id is 'a b'"),
            ({"recipient": "a b"}, "recipient is 'a b'"),
            ({"paths": ["mail.log"]}, "paths has 'mail.log'; allowed: absolute paths"),
        ],
    )
    def test_bad_options(self, logged, options, text):
        with pytest.raises(ValueError, match=re.escape(text)):
            logged(line(), **options)

    @pytest.mark.parametrize(
        ("since", "found"),
        [
            ("", 3),
            ("90m", 1),
            ("3h", 2),
            ("2026-11-21T09:00:00Z", 2),
            ("2026-11-21T10:30:00+01:00", 2),
            ("2026-11-21", 3),
            ("2026-11-22", 0),
        ],
    )
    def test_since(self, logged, monkeypatch, since, found):
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        text = line(at="01:00:00") + line(at="10:00:00") + line(at="11:00:00")
        assert sum(logged(text, since=since).tally.totals.values()) == found
        monkeypatch.undo()
        time.tzset()


def aged(host, ages):
    """Set the times of files, in seconds before now."""
    for path, age in ages.items():
        os.utime(host.root + path, (NOW - age, NOW - age))


class TestSources:
    def test_rotated_and_packed_files_in_their_order(self, make_host):
        first = "2026-11-20T10:00:00Z m postfix/qmgr[1]: 4Zk1mJ2Yhqz5w: from=<me@o.test>, size=1\n"
        host = make_host(
            {
                "/var/log/mail.log": line(),
                "/var/log/mail.log.1": line("x@y.test", qid="4Zk009"),
                "/var/log/mail.log.2.gz": gzip.compress(first.encode()),
                "/var/log/mail.log.3.xz": lzma.compress(line("z@y.test", qid="4Zk008").encode()),
                "/var/log/mail.log.4.bz2": bz2.compress(line("z@y.test", qid="4Zk008").encode()),
                "/var/log/mail.log.5": "",
                "/var/log/mail.info": line("twice@y.test"),
            },
            {"now": NOW},
        )
        names = ["", ".1", ".2.gz", ".3.xz", ".4.bz2"]
        aged(host, {"/var/log/mail.log" + name: at * 86400 for at, name in enumerate(names)})
        log = delivery_log.look(host, since="1d")
        assert [source["name"] for source in log.sources] == [
            "/var/log/mail.log.1",
            "/var/log/mail.log",
        ]
        log = delivery_log.look(host, since="")
        found = [entry.recipient for entry in log.tally.records]
        assert found == ["z@y.test", "z@y.test", "x@y.test", "a@b.test"]
        # The sender stood in a file that was rotated.
        assert log.tally.records[-1].sender == "me@o.test"

    def test_red_hats_names_and_multilog(self, make_host):
        tai = "@400000003f87e06f3172d234 "
        host = make_host(
            {
                "/var/log/maillog": line(),
                "/var/log/maillog-20261114": line("x@y.test"),
                "/var/log/qmail/qmail-send/@400000003f87e06f3172d234.s": tai
                + "starting delivery 3: msg 9 to remote q@m.test\n",
                "/var/log/qmail/qmail-send/current": tai + "delivery 3: success: ok/\n",
            },
            {"now": NOW},
        )
        aged(host, {"/var/log/maillog-20261114": 9, "/var/log/maillog": 8,
                    "/var/log/qmail/qmail-send/@400000003f87e06f3172d234.s": 7,
                    "/var/log/qmail/qmail-send/current": 6})  # fmt: skip
        found = [e.recipient for e in delivery_log.look(host, since="").tally.records]
        assert found == ["x@y.test", "a@b.test", "q@m.test"]

    def test_a_damaged_file_is_read_as_far_as_it_goes(self, logged):
        lines = "".join(
            line("u{0}@b.test".format(n), qid="4Z{0:06d}".format(n)) for n in range(50000)
        )
        packed = gzip.compress(lines.encode())
        log = logged(
            None, {"/var/log/mail.log.1": "", "/x.gz": packed[: len(packed) // 2]}, paths=["/x*"]
        )
        assert log.sources[0]["lines"] > 100
        assert log.sources[0]["note"].startswith("/x.gz: ")
        assert statuses(log)["log"] == "unknown"

    def test_the_journal(self, logged):
        begin = "--since=@{0}".format(NOW - 86400)
        argv = "journalctl --quiet --no-pager --output=short-unix " + begin
        argv += " " + " ".join(mail_log_source._JOURNAL)
        text = line().replace("2026-11-21T10:00:00Z", "{0}.5".format(NOW - 9))
        recorded = {"programs": ["journalctl"], "commands": {argv: {"stdout": text}}}
        log = logged(None, recorded=recorded, since="1d")
        assert [source["name"] for source in log.sources] == ["journal"]
        assert log.tally.records[0].time == NOW - 9

    def test_containers(self, logged, make_host):
        listed = [
            {"Id": "a1", "Labels": {"com.docker.compose.service": "postfix-mailcow"}},
            {"Id": "b2", "Labels": {"com.docker.compose.service": "smtp"}},
            {"Id": "c3", "Labels": {"com.docker.compose.service": "redis"}},
        ]

        def inspected(name, driver, path=""):
            return {
                "Name": "/" + name,
                "LogPath": path,
                "HostConfig": {"LogConfig": {"Type": driver}},
            }

        question = docker_api.containers_question("mail")
        recorded = {
            "docker": {
                question: listed,
                "/containers/a1/json": inspected("m-postfix-1", "json-file", "/d/a1-json.log"),
                "/containers/b2/json": inspected("m-smtp-1", "journald"),
            },
            "commands": {"docker logs --timestamps b2": {"stdout": line("j@b.test")}},
        }
        entry = json.dumps({"log": line("f@b.test"), "time": "2026-11-21T09:00:00Z"}) + "\n"
        log = logged(None, {"/d/a1-json.log": entry}, recorded, project="mail")
        assert [source["name"] for source in log.sources] == ["m-postfix-1", "m-smtp-1"]
        assert [e.recipient for e in log.tally.records] == ["f@b.test", "j@b.test"]
        # Nothing was written since: that is no error.
        host = make_host({"/d/a1-json.log": ""}, dict(recorded, now=NOW))
        assert mail_log_source.find(host, project="mail", services=["postfix-mailcow"]) == []
        with pytest.raises(HostError, match="project mail has no container among"):
            mail_log_source.find(
                make_host(None, dict(recorded, now=NOW)), project="mail", services=["x"]
            )

    def test_an_engine_that_does_not_answer(self, logged):
        log = logged(line(), project="mail")
        assert log.trouble == "the Docker engine does not answer"
        assert finding(log, "log").status == "unknown"
