# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every log; runs where hypothesis is installed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import delivery_log, mail_log
from ansible_collections.postmaster.mailhost.plugins.module_utils.bounce_mailbox import Mailbox
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import delivery, look

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

# Pieces of lines as daemons write them, and what breaks their form.
PIECES = st.sampled_from(
    [
        b"Nov 21 10:00:00 mail ",
        b"2026-11-21T10:00:00+01:00 mail ",
        b"@400000003f87e06f3172d234 ",
        b"1795255200.5 mail ",
        b"postfix/smtp[1]: ",
        b"postfix/smtpd[1]: NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 ",
        b"sm-mta[12]: ",
        b"qmail: 1065869413.1 ",
        b"4Zk1mJ2Yhqz5w: ",
        b"4A1B2C3D012345: ",
        b"to=<a@b.test>, ",
        b"from=<a@b.test>, ",
        b"from=<> to=<c@d.test>",
        b"relay=x, delay=1, delays=0/0/0/1, ",
        b"dsn=4.4.1, ",
        b"status=deferred (connect: Connection timed out)",
        b"status=sent",
        b"stat=Deferred: x",
        b"status=expired, returned",
        b"starting delivery 1: msg 2 to remote a@b.test",
        b"starting delivery 2: msg 2 to local ",
        b"delivery 1: deferral: 192.0.2.1_x_(#4.4.1)/",
        b"delivery 2: success: ",
        b"info msg 2: bytes 3 from <>",
        b"end msg ",
        b"fatal: ",
        b"SYSERR(",
        b"ruleset=check_rcpt, arg1=<a>, reject=550 x",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff",
        b"<",
        b">",
        b", ",
    ]
)
LINE = st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=14).map(b"".join)
LOG = st.lists(LINE, max_size=8).map(b"\n".join)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(LOG, st.integers(1, 80), st.booleans())
def test_any_log_is_read(log, size, json_lines):
    blocks = [log[at : at + size] for at in range(0, len(log), size)]
    reader = mail_log.Reader()
    found = list(reader.read(blocks, 1795300000.0, json_lines))
    assert reader.bytes == len(log)
    tally = delivery_log.Tally(5)
    for entry in found:
        tally.add(entry)
    result = delivery_log.DeliveryLog(tally, Mailbox("", 0, 0, 0, ()))
    result.sources.append({"name": "x", "bytes": len(log), "lines": reader.lines, "note": ""})
    json.dumps(result.to_dict())
    findings = look.all_of(delivery.LOOK, result)
    assert not [item for item in findings if item.observed.startswith("could not look")]


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(LOG, st.integers(1, 80))
def test_the_size_of_the_pieces_does_not_matter(log, size):
    def read(blocks):
        return list(mail_log.Reader().read(blocks, 1795300000.0))

    assert read([log[at : at + size] for at in range(0, len(log), size)]) == read([log])


@hypothesis.given(st.text(max_size=40), st.sampled_from(mail_log.STATUSES), st.text(max_size=8))
def test_every_reason_has_an_explanation(reason, status, dsn):
    kind = delivery_log.delivery_reason.of(status, dsn, reason)
    assert kind.sentence and kind.step and kind.side
