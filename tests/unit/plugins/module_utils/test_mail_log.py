# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import calendar
import json
import time
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import mail_log
from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_log import Clock, Reader

LOGS = Path(__file__).parent / "logs"
NOW = calendar.timegm((2026, 11, 21, 12, 0, 0))


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """Times without a zone are local."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def read(text, json_lines=False, reference=NOW, size=None, **filters):
    data = text if isinstance(text, bytes) else text.encode()
    size = size or len(data) or 1
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    return list(Reader(**filters).read(blocks, reference, json_lines))


def one(text, **options):
    """Return the only delivery of a text."""
    found = read(text, **options)
    assert len(found) == 1, found
    return found[0]


POSTFIX = "Nov 21 10:00:01 mail postfix/{0}[13]: {1}\n"

QID = "4Zk1mJ2Yhqz5w"
FROM = POSTFIX.format("qmgr", QID + ": from=<me@example.org>, size=512, nrcpt=1 (queue active)")


class TestPostfix:
    def test_a_delivery_with_its_sender(self):
        line = (
            QID + ": to=<jane@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1.2, "
            "delays=0.1/0.01/0.5/0.6, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as ABC)"
        )
        assert one(FROM + POSTFIX.format("smtp", line)).to_dict() == {
            "time": "2026-11-21T10:00:01Z",
            "queue_id": QID,
            "from": "me@example.org",
            "to": "jane@example.net",
            "relay": "mx.example.net[192.0.2.25]:25",
            "dsn": "2.0.0",
            "status": "sent",
            "reason": "250 2.0.0 Ok: queued as ABC",
            "mta": "postfix",
            "local": False,
        }

    @pytest.mark.parametrize(
        ("daemon", "line", "expected"),
        [
            (
                "smtp",
                (
                    "to=<a@b.test>, orig_to=<c>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, "
                    "status=deferred (connect to b.test[192.0.2.1]:25: Connection timed out)"
                ),
                ("a@b.test", "none", "4.4.1", "deferred", False),
            ),
            (
                "smtp",
                (
                    "to=<a@b.test>, relay=b.test[2001:db8::1]:25, conn_use=3, delay=3, "
                    "delays=0/0/1/2, dsn=5.1.1, status=bounced (host b.test said: 550 5.1.1 (no) user)"
                ),
                ("a@b.test", "b.test[2001:db8::1]:25", "5.1.1", "bounced", False),
            ),
            (
                "local",
                (
                    "to=<bob@example.org>, orig_to=<bob>, relay=local, delay=0, delays=0/0/0/0, "
                    "dsn=2.0.0, status=sent (delivered to mailbox)"
                ),
                ("bob@example.org", "local", "2.0.0", "sent", True),
            ),
            (
                "lmtp",
                (
                    "to=<a@virt.test>, relay=none, delay=0.01, delays=0/0.01/0/0, dsn=4.4.1, "
                    "status=deferred (connect to mail.example.org[private/dovecot-lmtp]: No such file)"
                ),
                ("a@virt.test", "none", "4.4.1", "deferred", True),
            ),
            (
                "error",
                (
                    "to=<a@b.test>, relay=none, delay=5, delays=5/0/0/0, dsn=4.4.1, "
                    "status=deferred (delivery temporarily suspended: connect to b.test: timed out)"
                ),
                ("a@b.test", "none", "4.4.1", "deferred", False),
            ),
            (
                "qmgr",
                "from=<me@example.org>, status=expired, returned to sender",
                ("", "none", "4.4.7", "expired", False),
            ),
            (
                "qmgr",
                "from=<me@example.org>, status=force-expired, returned to sender",
                ("", "none", "4.4.7", "expired", False),
            ),
        ],
    )
    def test_each_form(self, daemon, line, expected):
        found = one(FROM + POSTFIX.format(daemon, QID + ": " + line))
        assert (found.recipient, found.relay, found.dsn, found.status, found.local) == expected
        assert found.sender == "me@example.org"

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (
                (
                    "NOQUEUE: reject: RCPT from unknown[198.51.100.1]: 554 5.7.1 <x@y.test>: Relay "
                    "access denied; from=<a@b.test> to=<x@y.test> proto=ESMTP helo=<z>"
                ),
                ("NOQUEUE", "a@b.test", "x@y.test", "unknown[198.51.100.1]", "5.7.1"),
            ),
            (
                (
                    "NOQUEUE: reject: RCPT from [198.51.100.1]:4711: 550 5.7.1 Service unavailable; "
                    "client [198.51.100.1] blocked using zen.test; from=<>, to=<x@y.test>, proto=SMTP"
                ),
                ("NOQUEUE", "<>", "x@y.test", "[198.51.100.1]:4711", "5.7.1"),
            ),
            (
                "4AbC: milter-reject: END-OF-MESSAGE from h[192.0.2.9]: 5.7.1 x",
                None,
            ),
            (
                QID + ": milter-reject: END-OF-MESSAGE from h[192.0.2.9]: 554 5.7.1 Spam; "
                "from=<a@b.test> to=<x@y.test> proto=ESMTP helo=<z>",
                (QID, "a@b.test", "x@y.test", "h[192.0.2.9]", "5.7.1"),
            ),
            (
                (
                    "NOQUEUE: reject: MAIL from h[192.0.2.9]: 550 <from=<q@q> to=<w@w>>: bad; "
                    "from=<a@b.test> proto=ESMTP helo=<z>"
                ),
                ("NOQUEUE", "a@b.test", "", "h[192.0.2.9]", "5.0.0"),
            ),
            (
                "NOQUEUE: reject: CONNECT from h[192.0.2.9]: 421 too many; proto=SMTP",
                ("NOQUEUE", "", "", "h[192.0.2.9]", "4.0.0"),
            ),
        ],
    )
    def test_refused_clients(self, line, expected):
        found = read(POSTFIX.format("smtpd", line))
        if expected is None:
            assert found == []
            return
        entry = found[0]
        told = (entry.queue_id, entry.sender, entry.recipient, entry.relay, entry.dsn)
        assert told == expected
        assert entry.status == "rejected"
        assert "from=<a@b" not in entry.reason

    def test_what_is_no_delivery(self):
        lines = [
            QID + ": to=<a@b.test>, relay=x, delay=0, delays=0/0/0/0, dsn=5.1.1, "
            "status=undeliverable (no)",
            QID + ": uid=0 from=<root@example.org>",
            QID + ": sender non-delivery notification: 4Zk1mJ2Yhqz5x",
            "connect from h[192.0.2.1]",
            QID + ": to=<a@b.test>, relay",
        ]
        assert read("".join(POSTFIX.format("smtp", line) for line in lines)) == []

    @pytest.mark.parametrize(
        ("line", "text"),
        [
            (
                "fatal: open /etc/postfix/main.cf: no",
                "master: fatal: open /etc/postfix/main.cf: no",
            ),
            ("panic: vstream", "master: panic: vstream"),
            (
                "warning: mail for example.org loops back to myself",
                "master: warning: mail for example.org loops back to myself",
            ),
        ],
    )
    def test_trouble(self, line, text):
        assert one(POSTFIX.format("master", line)) == (NOW - 7199, "postfix", text)

    def test_another_name_in_syslog(self):
        line = POSTFIX.format(
            "smtp", QID + ": to=<a@b.test>, relay=x, delay=0, dsn=2.0.0, status=sent"
        )
        assert one(line.replace("postfix/", "postfix-out/submission/")).status == "sent"


class TestSendmail:
    def test_forms(self):
        text = """\
Oct 11 22:14:15 h sm-mta[12]: 4A1B2C3D012345: from=<c@d.test>, size=1, class=0, nrcpts=1, relay=x
Oct 11 22:14:15 h sm-mta[12]: 4A1B2C3D012345: to=<a@b.test>,<e@b.test>, ctladdr=<c@d.test> (0/0), \
delay=00:00:01, xdelay=00:00:01, mailer=esmtp, pri=120, relay=mx.b.test. [192.0.2.4], dsn=2.0.0, \
stat=Sent (ok)
Oct 11 22:14:16 h sendmail<29927>: 4A1B2C3D012346: to=bob, ctladdr=root (0/0), delay=00:00:00, \
xdelay=00:00:00, mailer=local, pri=30, dsn=2.0.0, stat=Sent
Oct 11 22:14:17 h sm-mta[12]: 4A1B2C3D012347: to=<a@b.test>, delay=00:00:01, xdelay=00:00:01, \
mailer=esmtp, pri=120, relay=b.test., dsn=4.0.0, stat=Deferred: Connection refused by b.test.
Oct 11 22:14:18 h sm-mta[12]: 4A1B2C3D012348: to=<a@b.test>, delay=00:00:01, mailer=esmtp, pri=1, \
relay=b.test., dsn=5.1.1, stat=User unknown
Oct 11 22:14:19 h sendmail[12]: 4A1B2C3D012349: to=<a@b.test>, delay=00:00:01, mailer=relay, \
pri=1, stat=queued
Oct 11 22:14:20 h sm-mta[12]: 4A1B2C3D012350: ruleset=check_rcpt, arg1=<q@w.test>, \
relay=x [192.0.2.7], reject=550 5.7.1 <q@w.test>... Relaying denied
Oct 11 22:14:21 h sm-mta[12]: 4A1B2C3D012351: SYSERR(root): hash map "x": missing map file
"""
        found = read(text)
        assert [
            (item.recipient, item.relay, item.dsn, item.status, item.local) for item in found[:-1]
        ] == [
            ("a@b.test", "mx.b.test. [192.0.2.4]", "2.0.0", "sent", False),
            ("bob", "local", "2.0.0", "sent", True),
            ("a@b.test", "b.test.", "4.0.0", "deferred", False),
            ("a@b.test", "b.test.", "5.1.1", "bounced", False),
            ("a@b.test", "relay", "4.0.0", "queued", False),
            ("q@w.test", "x [192.0.2.7]", "5.7.1", "rejected", False),
        ]
        assert found[0].sender == "c@d.test"
        assert found[5].reason == "550 5.7.1 <q@w.test>... Relaying denied"
        assert found[-1].text.startswith("SYSERR(root)")
        assert one(text, recipient="e@b.test").recipient == "e@b.test"


TAI = "@400000003f87e06f3172d234 "


def qmail(*lines, stamp=TAI):
    return "".join(stamp + line + "\n" for line in lines)


class TestQmail:
    @pytest.mark.parametrize(
        "stamp",
        [
            TAI,
            "Oct 11 10:50:13 mx qmail: 1065869413.829608 ",
            "Oct 11 10:50:13 mx qmail-send[12]: ",
            "1065869413.829608 mx qmail-send[12]: ",
            "2003-10-11T10:50:13.829608500Z ",
            "2003-10-11T10:50:13.829608500Z @400000003f87e06f3172d234 ",
        ],
    )
    def test_a_delivery_under_each_logger(self, stamp):
        found = one(
            qmail(
                "new msg 4711",
                "info msg 4711: bytes 500 from <me@example.org> qp 12 uid 1001",
                "starting delivery 8: msg 4711 to remote jane@example.net",
                "status: local 0/10 remote 1/20",
                "delivery 8: success: 192.0.2.25_accepted_message./"
                "Remote_host_said:_250_ok_1065864990_qp_7/",
                "end msg 4711",
                stamp=stamp,
            ),
            reference=1065869500,
        )
        assert found == (
            found.time,
            "4711",
            "me@example.org",
            "jane@example.net",
            "192.0.2.25",
            "2.0.0",
            "sent",
            "192.0.2.25 accepted message./Remote host said: 250 ok 1065864990 qp 7",
            "qmail",
            False,
        )
        assert int(found.time) == 1065869413

    @pytest.mark.parametrize(
        ("report", "expected"),
        [
            ("success: did_0+0+1/", ("local", "2.0.0", "sent")),
            (
                "deferral: Sorry,_I_wasn't_able_to_establish_an_SMTP_connection._(#4.4.1)/",
                ("remote", "4.4.1", "deferred"),
            ),
            # As the seeds' copies have it.
            (
                "deferral: Sorry,4_I_wasn't_able_to_establish_an_SMTP_connection._(#4.4.1)/",
                ("remote", "4.4.1", "deferred"),
            ),
            (
                "deferral: Connected_to_192.0.2.25_but_greeting_failed./Remote_host_said:_421_no/",
                ("192.0.2.25", "4.0.0", "deferred"),
            ),
            (
                (
                    "failure: 192.0.2.25_does_not_like_recipient./Remote_host_said:_550_5.1.1_no/"
                    "Giving_up_on_192.0.2.25./"
                ),
                ("192.0.2.25", "5.1.1", "bounced"),
            ),
            (
                "failure: Sorry,_I_couldn't_find_any_host_named_x.test._(#5.1.2)/",
                ("remote", "5.1.2", "bounced"),
            ),
            (
                "deferral: Uh-oh:_.qmail_has_prog_delivery_but_has_x_bit_set._(#4.7.0)/",
                ("local", "4.7.0", "deferred"),
            ),
        ],
    )
    def test_reports(self, report, expected):
        channel = "local" if expected[0] == "local" else "remote"
        found = one(
            qmail(
                "starting delivery 3: msg 9 to {0} x@y.test".format(channel),
                "delivery 3: " + report,
            )
        )
        assert (found.relay, found.dsn, found.status) == expected
        assert found.local is (channel == "local")
        assert "_" not in found.reason

    @pytest.mark.parametrize(
        "restart", ["status: exiting", "starting delivery 1: msg 7 to local a@b"]
    )
    def test_numbers_begin_anew_with_the_process(self, restart):
        text = qmail(
            "starting delivery 3: msg 9 to remote x@y.test", restart, "delivery 3: success: ok/"
        )
        assert read(text) == []

    def test_a_mangled_report_is_none(self):
        start = "starting delivery 3: msg 9 to remote x@y.test"
        assert read(qmail(start, "delivery 3: report mangled, will defer")) == []

    def test_the_number_of_a_message_is_used_again(self):
        text = qmail(
            "info msg 9: bytes 5 from <old@y.test> qp 1 uid 2",
            "end msg 9",
            "starting delivery 4: msg 9 to remote x@y.test",
            "delivery 4: success: ok/",
        )
        assert one(text).sender == ""

    @pytest.mark.parametrize(
        "line", ["alert: cannot start: unable to open mutex", "warning: trouble opening remote/3/1"]
    )
    def test_trouble(self, line):
        assert one(qmail(line)).text == line

    def test_a_virtual_user_is_found_by_the_address(self):
        text = qmail(
            "starting delivery 3: msg 9 to local y.test-x@y.test", "delivery 3: success: did_0+0+1/"
        )
        assert one(text, recipient="x@y.test").queue_id == "9"


class TestClock:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (b"@400000003f87e06f3172d234 x", 1065869413),
            (b"2026-11-21T10:00:00.123456+01:00 x", NOW - 3 * 3600),
            (b"2026-11-21T10:00:00-0130 x", NOW - 1800),
            (b"2026-11-21T10:00:00Z x", NOW - 7200),
            (b"2026-11-21 10:00:00,123 x", NOW - 7200),
            (b"1795255200.123456 x", 1795255200),
            (b"Nov 21 10:00:00 x", NOW - 7200),
            # Not in the future: last year's.
            (b"Dec  1 00:00:00 x", calendar.timegm((2025, 12, 1, 0, 0, 0))),
            (b"2026-13-01T00:00:00Z x", None),
            (b"@ffffffffffffffffffffffff x", None),
            (b"x", None),
            (b"", None),
        ],
    )
    def test_forms(self, line, expected):
        assert Clock(NOW).read(line) == expected

    def test_a_line_without_time_does_not_get_that_of_another(self):
        clock = Clock(NOW)
        assert clock.read(b"Nov 21 10:00:00 x") == clock.read(b"Nov 21 10:00:00 y") == NOW - 7200
        assert clock.read(b"y") is None


class TestReader:
    LINE = POSTFIX.format("smtp", QID + ": to=<Jane@B.test>, orig_to=<j@o.test>, relay=x, delay=0, "
                          "dsn=2.0.0, status=sent (ok)")  # fmt: skip

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"recipient": "jane@b.test"}, True),
            ({"recipient": "j@o.test"}, True),
            ({"recipient": "b.test"}, True),
            ({"recipient": "test"}, False),
            ({"recipient": "ane@b.test"}, False),
            ({"queue_id": QID}, True),
            ({"queue_id": "NOQUEUE"}, False),
            ({"since": NOW - 7199}, True),
            ({"since": NOW - 7198}, False),
        ],
    )
    def test_filters(self, filters, found):
        assert bool(read(self.LINE, **filters)) is found

    @pytest.mark.parametrize("size", [1, 7, 64, 4096])
    def test_pieces_of_any_size(self, size):
        text = FROM + self.LINE + "x" * 100 + "\n" + self.LINE[:-1]
        assert read(text, size=size) == read(text)
        reader = Reader()
        data = text.encode()
        assert len(list(reader.read([data[:50], data[50:]], NOW))) == 2
        assert (reader.bytes, reader.lines) == (len(data), 4)

    def test_dockers_file(self):
        text = "".join(
            json.dumps({"log": line, "stream": "stdout", "time": "2026-11-21T09:00:00.5Z"}).replace(
                "<", "\\u003c"
            )
            + "\n"
            for line in (FROM, self.LINE)
        )
        found = one(text, json_lines=True)
        # The time is the engine's.
        assert (found.sender, found.time) == ("me@example.org", NOW - 3 * 3600)

    @pytest.mark.parametrize(
        "line", ['{"log": ": to="}', "[: to=", '": to="', '{"time": 1, "log": [": to="]}']
    )
    def test_dockers_file_damaged(self, line):
        reader = Reader()
        assert list(reader.read([line.encode() + b"\n"], NOW, json_lines=True)) == []
        assert reader.unreadable == (0 if "[]" in line or "[" in line[1:] else 1)

    def test_tables_are_limited(self):
        reader = Reader(joined=10)
        lines = [FROM.replace(QID, "4Z{0:09d}".format(number)) for number in range(50)]
        assert list(reader.read(["".join(lines).encode()], NOW)) == []
        assert len(reader._senders) == 10

    def test_control_characters_do_not_reach_a_terminal(self):
        found = one(self.LINE.replace("(ok)", "(\x1b[31mok\x07)"))
        assert found.reason.isprintable()

    def test_a_long_line_is_cut_and_the_next_one_read(self):
        text = (b": to=<" + b"a" * 300000 + b"\n" + self.LINE.encode()) * 2
        assert len(read(text, size=65536)) == 2

    @pytest.mark.parametrize(
        "line",
        [
            "/a[1]: AAAAAA: to=<" * 500,
            "/smtp[1]: AAAAAA: to=<a>, relay=" + "x[1]:" * 2000,
            "/smtpd[1]: NOQUEUE: reject: RCPT from " + "a: 5" * 2000,
            "/smtpd[1]: NOQUEUE: reject: RCPT from a: 554 x" + "; from=<a> to=<" * 600,
            "@400000003f87e06f3172d234 delivery 1: success: " + "_" * 8000,
            "qmail: " * 1000 + "delivery 1",
            "]: AAAAAAAAAAAA: to=" * 400 + ", stat=",
            "sendmail[" * 900 + ": to=, stat=",
            "- " * 4000 + ": to=",
        ],
    )
    def test_no_line_takes_long(self, line):
        begin = time.process_time()
        read(line + "\n" + qmail("starting delivery 1: msg 2 to remote a@b") + line)
        assert time.process_time() - begin < 0.2


class TestRealLogs:
    """Logs that Debian's Postfix wrote, with servers that answer in each of these ways."""

    def test_postfix_3_7(self):
        found = read((LOGS / "postfix-3.7.log").read_bytes())
        wanted = json.loads((LOGS / "postfix-3.7.json").read_text(encoding="utf-8"))
        told = [[e.recipient, e.dsn, e.status] for e in found if isinstance(e, mail_log.Delivery)]
        assert told == wanted
        # Each line with a status is a delivery.
        text = (LOGS / "postfix-3.7.log").read_text(encoding="utf-8")
        assert text.count(" status=") + text.count(": reject:") == len(told)
        assert {entry.sender for entry in found if isinstance(entry, mail_log.Delivery)} >= {
            "me@example.org",
            "<>",
        }
