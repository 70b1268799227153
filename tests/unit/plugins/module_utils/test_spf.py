# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import spf
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import Recorded

ADDRESS = "192.0.2.10"

ZONE = """
example.org MX 10 mail.example.org
example.org A 192.0.2.80
mail.example.org A 192.0.2.10
mail.example.org AAAA 2001:db8::10
other.example.org TXT v=spf1 ip4:192.0.2.0/24 -all
strict.example.org TXT v=spf1 -all
alone.example.org A 192.0.2.99
"""


def evaluate(record, address=ADDRESS, more="", **options):
    text = "{0}\nexample.org TXT {1}\n{2}".format(ZONE, record, more)
    return spf.evaluate(Recorded(text, **options), "example.org", address)


@pytest.mark.parametrize(
    ("record", "address", "result", "term"),
    [
        ("v=spf1 mx -all", ADDRESS, "pass", "mx"),
        ("V=SPF1 MX -ALL", ADDRESS, "pass", "MX"),
        ("v=spf1 mx -all", "2001:db8::10", "pass", "mx"),
        ("v=spf1 mx -all", "192.0.2.11", "fail", "-all"),
        ("v=spf1 mx/24 -all", "192.0.2.11", "pass", "mx/24"),
        ("v=spf1 mx//64 -all", "2001:db8::99", "pass", "mx//64"),
        ("v=spf1 mx/24 -all", "2001:db8::99", "fail", "-all"),
        ("v=spf1 a -all", ADDRESS, "fail", "-all"),
        ("v=spf1 a:mail.example.org -all", ADDRESS, "pass", "a:mail.example.org"),
        ("v=spf1 a/24 ~all", ADDRESS, "pass", "a/24"),
        ("v=spf1 ip4:192.0.2.10 -all", ADDRESS, "pass", "ip4:192.0.2.10"),
        ("v=spf1 ip4:192.0.2.10 -all", "2001:db8::10", "fail", "-all"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::10", "pass", "ip6:2001:db8::/32"),
        ("v=spf1 ip4:0.0.0.0/0 -all", "203.0.113.1", "pass", "ip4:0.0.0.0/0"),
        ("v=spf1 a//0 -all", "2001:db8::10", "fail", "-all"),
        ("v=spf1 include:other.example.org -all", ADDRESS, "pass", "include:other.example.org"),
        # The -all of what is included only means that it does not match.
        ("v=spf1 include:strict.example.org ~all", ADDRESS, "softfail", "~all"),
        ("v=spf1 redirect=strict.example.org", ADDRESS, "fail", "-all"),
        ("v=spf1 ?all redirect=strict.example.org", ADDRESS, "neutral", "?all"),
        ("v=spf1 exists:alone.example.org -all", ADDRESS, "pass", "exists:alone.example.org"),
        ("v=spf1 -ip4:192.0.2.10 +all", ADDRESS, "fail", "-ip4:192.0.2.10"),
        ("v=spf1 mx exp=why.example.org", "203.0.113.1", "neutral", ""),
        ("v=spf1", ADDRESS, "neutral", ""),
        ("v=spf10 mx -all", ADDRESS, "none", ""),
    ],
)
def test_result(record, address, result, term):
    done = evaluate(record, address)
    assert (done.result, done.term) == (result, term)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("v=spf1 ip4:192.0.2.300 -all", "ip4:192.0.2.300"),
        ("v=spf1 ip6:192.0.2.1 -all", "ip6:192.0.2.1"),
        ("v=spf1 a/33 -all", "prefix length"),
        ("v=spf1 mxx -all", "the term mxx"),
        ("v=spf1 192.0.2.1 -all", "the term 192.0.2.1"),
        ("v=spf1 include: -all", "names no domain"),
        ("v=spf1 include:alone.example.org -all", "alone.example.org has no SPF record"),
        ("v=spf1 redirect=alone.example.org", "alone.example.org has no SPF record"),
        ("v=spf1 redirect=a.test redirect=b.test", "redirect= twice"),
        ("v=spf1 include:example.org -all", "more than 10 terms"),
        ("v=spf1 a:x1.test a:x2.test a:x3.test mx -all", "more than 2 names without"),
        ("v=spf1 " + "a:alone.example.org " * 11 + "-all", "more than 10 terms"),
    ],
)
def test_faulty(record, reason):
    done = evaluate(record)
    assert done.result == "permerror"
    assert reason in done.reason


def test_ten_terms_are_allowed():
    done = evaluate("v=spf1 " + "a:alone.example.org " * 9 + "mx -all")
    assert (done.result, done.lookups) == ("pass", 10)


def test_names_of_one_mx_term():
    names = "".join("many.example.org MX 10 mx{0}.example.org\n".format(i) for i in range(11))
    done = evaluate("v=spf1 mx:many.example.org -all", more=names)
    assert (done.result, "more than 10 names" in done.reason) == ("permerror", True)


def test_servers_without_an_address_of_the_family_are_no_void_lookups():
    more = "".join(
        "m.test MX 1 {0}.m.test\n{0}.m.test A 192.0.2.1\n".format(name) for name in "abc"
    )
    record = "v=spf1 mx:m.test ip6:2001:db8::10 -all"
    assert evaluate(record, "2001:db8::10", more).result == "pass"


def test_two_records():
    done = evaluate("v=spf1 mx -all", more="example.org TXT v=spf1 a -all")
    assert (done.result, done.reason) == ("permerror", "example.org has 2 SPF records")


def test_no_answer_is_no_result():
    done = evaluate("v=spf1 include:silent.test -all", silent=["silent.test"])
    assert done.result == "temperror"
    assert "TXT of silent.test" in done.reason
    done = evaluate("v=spf1 mx:silent.test -all", silent=["silent.test"])
    assert done.result == "temperror"


@pytest.mark.parametrize(
    "record", ["v=spf1 exists:%{i}.x.test -all", "v=spf1 ptr -all", "v=spf1 redirect=%{d}.x.test"]
)
def test_what_depends_on_the_message_is_named(record):
    done = evaluate(record)
    assert done.result != "pass"
    assert done.unclear in record and done.unclear
