# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import blocklist_data, dns
from ansible_collections.postmaster.mailhost.plugins.modules import blocklist_info

GOOD = "2.0.0.127.bl.test A 127.0.0.2\n"


@pytest.fixture
def run(monkeypatch, run_module):
    """Return a function: records and options -> the module's result."""

    def run(text, silent=(), **options):
        monkeypatch.setattr(
            blocklist_info, "Resolver", lambda *_given: dns.Recorded(text, silent=silent)
        )
        run.module = run_module
        return run_module(blocklist_info, **options)

    return run


def told(result):
    return {(entry["subject"], entry["zone"]): entry for entry in result["entries"]}


def statuses(result):
    return {item["id"].partition(".")[2]: item["status"] for item in result["findings"]}


def test_clean(run):
    result = run(GOOD, addresses=["192.0.2.10", "2001:db8::1"], zones=["bl.test"])
    assert result["changed"] is False
    assert statuses(result) == {"zones": "ok", "address": "ok", "domain": "skip"}
    assert {entry["status"] for entry in result["entries"]} == {"clean"}
    assert result["zones"] == [{"zone": "bl.test", "status": "good", "reason": ""}]
    documented = yaml.safe_load(blocklist_info.RETURN)
    assert set(result) - {"changed", "invocation", "warnings"} == set(documented)
    assert set(result["entries"][0]) == set(documented["entries"]["contains"])


def test_listed_by_reversed_octets_and_nibbles(run):
    text = GOOD + (
        "10.2.0.192.bl.test A 127.0.0.2\n10.2.0.192.bl.test TXT see example.test\n"
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test A 127.0.0.9\n"
    )
    result = run(text, addresses=["192.0.2.10", "2001:db8:0::1"], zones=["bl.test"])
    found = told(result)
    assert found["192.0.2.10", "bl.test"]["text"] == "see example.test"
    assert found["2001:db8::1", "bl.test"]["codes"] == ["127.0.0.9"]
    assert statuses(result)["address"] == "warn"
    assert result["summary"]["go"] is True


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("127.0.0.2", "listed", "SBL, a source of spam"),
        ("127.0.0.10", "listed", "ask for a removal"),
        ("127.0.0.99", "listed", "listed"),
        ("127.255.255.252", "unknown", "the name of the zone is wrong"),
        ("127.255.255.254", "unknown", "asked through a public resolver"),
        ("127.255.255.255", "unknown", "asked too often"),
        ("192.0.2.1", "unknown", "no answer of a blocklist"),
    ],
)
def test_codes(run, code, status, meaning):
    text = "2.0.0.127.zen.spamhaus.org A 127.0.0.2\n10.2.0.192.zen.spamhaus.org A " + code
    result = run(text, addresses=["192.0.2.10"], zones=["zen.spamhaus.org"])
    entry = told(result)["192.0.2.10", "zen.spamhaus.org"]
    assert entry["status"] == status
    assert meaning in entry["meaning"]
    assert statuses(result)["address"] == {"listed": "fail", "unknown": "unknown"}[status]
    if status == "listed":
        assert "https://check.spamhaus.org/" in result["findings"][0]["fix"]


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("2.0.0.127.bl.test A 127.255.255.254", "refused", "asked through a public resolver"),
        ("1.0.0.127.bl.test A 127.255.255.255", "refused", "asked too often"),
        (GOOD + "1.0.0.127.bl.test A 127.0.0.2", "dead", "it lists everybody"),
        ("*.bl.test A 127.0.0.2", "dead", "it lists everybody"),
        ("*.bl.test A 192.0.2.99", "dead", "somebody else has its name"),
        ("", "dead", "does not list its own test point"),
    ],
)
def test_a_list_that_cannot_be_believed(run, text, status, reason):
    text += "\n10.2.0.192.bl.test A 127.0.0.2"
    result = run(text, addresses=["192.0.2.10"], zones=["bl.test"])
    assert result["zones"][0]["status"] == status
    assert reason in result["zones"][0]["reason"]
    assert result["entries"][0]["status"] == "unknown"
    assert statuses(result) == {"zones": "unknown", "address": "unknown", "domain": "skip"}
    fixes = " ".join(item["fix"] for item in result["findings"])
    assert "Use your own resolver" in fixes


def test_a_silent_list_beside_a_good_one(run):
    result = run(GOOD, ["x.test"], addresses=["192.0.2.10"], zones=["bl.test", "x.test"])
    assert [item["status"] for item in result["zones"]] == ["good", "silent"]
    assert statuses(result) == {"zones": "unknown", "address": "ok", "domain": "skip"}


def test_no_answer_for_one_address(run):
    result = run(GOOD, ["10.2.0.192.bl.test"], addresses=["192.0.2.10"], zones=["bl.test"])
    assert statuses(result)["address"] == "unknown"


def test_a_list_that_has_ended_is_not_asked(run):
    result = run(
        "*.dnsbl.sorbs.net A 127.0.0.2", addresses=["192.0.2.10"], zones=["dnsbl.sorbs.net"]
    )
    assert result["zones"] == [
        {"zone": "dnsbl.sorbs.net", "status": "retired", "reason": "ended in 2024"}
    ]
    assert result["entries"] == []
    assert statuses(result) == {"zones": "warn", "address": "unknown", "domain": "skip"}


DOMAINS = """
test.surbl.org.multi.surbl.org A 127.0.0.254
bad.test.multi.surbl.org A 127.0.0.72
test.dbl.spamhaus.org A 127.0.1.2
bad.test.dbl.spamhaus.org A 127.0.1.4
ip.test.dbl.spamhaus.org A 127.0.1.255
test.uribl.com.multi.uribl.com A 127.0.0.1
"""


def test_domains(run):
    zones = ["multi.surbl.org", "dbl.spamhaus.org", "multi.uribl.com", "bl.blocklist.de"]
    result = run(DOMAINS, domains=["bad.test", "GOOD.test", "ip.test"], zones=zones)
    found = told(result)
    assert found["bad.test", "multi.surbl.org"]["meaning"] == "phishing, advertised in spam"
    assert found["bad.test", "dbl.spamhaus.org"]["meaning"] == "phishing"
    assert found["good.test", "dbl.spamhaus.org"]["status"] == "clean"
    assert found["ip.test", "dbl.spamhaus.org"]["status"] == "unknown"
    assert found["bad.test", "multi.uribl.com"]["status"] == "unknown"
    # A list of addresses is not asked for domains.
    assert {entry["zone"] for entry in result["zones"]} == set(zones[:3])
    assert statuses(result)["address"] == "skip"


def test_a_list_without_ipv6_is_not_asked_for_it(run):
    text = "2.0.0.127.bl.spamcop.net A 127.0.0.2"
    result = run(text, addresses=["2001:db8::1"], zones=["bl.spamcop.net"])
    assert result["entries"] == []
    assert statuses(result)["address"] == "unknown"


def test_a_key_is_used_and_not_shown(run):
    key = "abcdefghij0123456789abcdef"
    text = "2.0.0.127.{0}.zen.dq.spamhaus.net A 127.0.0.2".format(key)
    result = run(text, addresses=["192.0.2.10"], zones=["zen.spamhaus.org"], spamhaus_key=key)
    assert result["zones"][0] == {"zone": "zen.spamhaus.org", "status": "good", "reason": ""}
    assert key not in run.module.output
    result = run(text, addresses=["192.0.2.10"], spamhaus_key="Not-A-Key")
    assert result["failed"] is True
    assert "Not-A-Key" not in run.module.output
    assert "spamhaus_key is not a key" in result["msg"]


def test_all_known_lists_are_asked(run):
    result = run("", addresses=["192.0.2.10"], domains=["example.org"])
    assert {item["zone"] for item in result["zones"]} == {
        zone.name for zone in blocklist_data.ZONES if not zone.retired
    }


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"addresses": ["mail.test"]}, "addresses has 'mail.test'; allowed: IP addresses"),
        ({"domains": ["a b"]}, "domains has 'a b'"),
        ({"zones": ["bl"]}, "zones has 'bl'"),
        ({"domain_zones": ["bl"]}, "domain_zones has 'bl'"),
    ],
)
def test_bad_options(run, options, text):
    result = run("", **options)
    assert result["failed"] is True
    assert text in result["msg"]


def test_without_the_library_every_finding_is_unknown(monkeypatch, run_module):
    def resolver(*_given):
        raise dns.LibraryMissingError("dnspython cannot be imported")

    monkeypatch.setattr(blocklist_info, "Resolver", resolver)
    result = run_module(blocklist_info, addresses=["192.0.2.10"])
    assert set(statuses(result).values()) == {"unknown"}
    assert all(sys.executable in item["fix"] for item in result["findings"])


def test_the_data():
    assert len(blocklist_data.BY_NAME) == len(blocklist_data.ZONES)
    for zone in blocklist_data.ZONES:
        assert zone.kind in ("address", "domain")
        assert zone.retired or zone.page.startswith("https://")
        assert zone.tests
        assert all(code.startswith("127.") for code in zone.codes)
    assert set(blocklist_data.WITH_KEY) <= set(blocklist_data.BY_NAME)
