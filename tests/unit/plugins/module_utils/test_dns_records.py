# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records to publish: the checks of the DNS are content with them, and name servers read them."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_records
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import dns as audit
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import Record, Recorded
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns_records import (
    Options,
    as_dict,
    snippet,
    wanted,
)

KEY = "MIIB" + "Ab+/" * 97 + "AQAB"
FULL = Options(
    ipv4=["192.0.2.10"],
    ipv6=["2001:db8::10"],
    dkim={"example.org": {"selector": "dkim", "public_key": KEY}},
    dmarc="quarantine",
    dmarc_rua="reports@example.org",
    mta_sts="20260102",
    tls_rpt="tls@example.org",
    tlsa=["3 1 1 " + "ab" * 32],
    caa=["letsencrypt.org"],
)


def lines(domains, hostname, options):
    return [as_dict(entry, 600)["text"] for entry in wanted(domains, hostname, options)]


def test_all_records():
    found = lines(["example.org"], "mail.example.org", FULL)
    # A character-string ends after 255 octets.
    text = "v=DKIM1; k=rsa; p=" + KEY
    dkim = '"{0}" "{1}"'.format(text[:255], text[255:])
    assert found == [
        "mail.example.org. 600 IN A 192.0.2.10",
        "mail.example.org. 600 IN AAAA 2001:db8::10",
        'mail.example.org. 600 IN TXT "v=spf1 a -all"',
        "_25._tcp.mail.example.org. 600 IN TLSA 3 1 1 " + "ab" * 32,
        "example.org. 600 IN MX 10 mail.example.org.",
        'example.org. 600 IN TXT "v=spf1 mx -all"',
        "dkim._domainkey.example.org. 600 IN TXT " + dkim,
        '_dmarc.example.org. 600 IN TXT "v=DMARC1; p=quarantine; rua=mailto:reports@example.org"',
        '_mta-sts.example.org. 600 IN TXT "v=STSv1; id=20260102"',
        "mta-sts.example.org. 600 IN CNAME mail.example.org.",
        '_smtp._tls.example.org. 600 IN TXT "v=TLSRPTv1; rua=mailto:tls@example.org"',
        "autoconfig.example.org. 600 IN CNAME mail.example.org.",
        "autodiscover.example.org. 600 IN CNAME mail.example.org.",
        "_submissions._tcp.example.org. 600 IN SRV 0 1 465 mail.example.org.",
        "_imaps._tcp.example.org. 600 IN SRV 0 1 993 mail.example.org.",
        'example.org. 600 IN CAA 0 issue "letsencrypt.org"',
    ]


def test_each_record_is_under_its_zone():
    options = Options(dmarc_rua="reports@example.org", autoconfig=False, services=[])
    entries = wanted(["example.net", "Example.org"], "mail.example.org", options)
    assert (
        snippet(as_dict(entry, 60) for entry in entries)
        == """\
; for the zone of example.org
; bounces come from the server's own name:
mail.example.org. 60 IN TXT "v=spf1 a -all"
; example.org takes reports on example.net:
example.net._report._dmarc.example.org. 60 IN TXT "v=DMARC1"
example.org. 60 IN MX 10 mail.example.org.
example.org. 60 IN TXT "v=spf1 mx -all"
_dmarc.example.org. 60 IN TXT "v=DMARC1; p=none; rua=mailto:reports@example.org"

; for the zone of example.net
example.net. 60 IN MX 10 mail.example.org.
example.net. 60 IN TXT "v=spf1 mx -all"
_dmarc.example.net. 60 IN TXT "v=DMARC1; p=none; rua=mailto:reports@example.org"
"""
    )
    assert snippet([]) == ""


def test_a_server_outside_of_its_domains_and_one_that_is_a_domain():
    options = Options(ipv4=["192.0.2.1"], caa=["letsencrypt.org"], autoconfig=False, services=[])
    entries = wanted(["example.org"], "mx.host.example", options)
    assert [entry.record.name for entry in entries if entry.zone == "host.example"] == [
        "mx.host.example",
        "mx.host.example",
        "_dmarc.mx.host.example",
        "mx.host.example",
    ]
    types = [entry.record.type for entry in wanted(["a.example"], "a.example", options)]
    assert types == ["A", "MX", "TXT", "TXT", "CAA"]


def test_no_alias_of_itself_and_none_beside_other_records():
    found = lines(["example.org", "autoconfig.example.org"], "autodiscover.example.org", Options())
    aliases = [line for line in found if "CNAME" in line and ".example.org. " in line]
    assert all(not line.startswith("autodiscover.example.org.") for line in aliases)
    assert all(not line.startswith("autoconfig.example.org.") for line in aliases)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ipv4": ["2001:db8::1"]}, "ipv4 has '2001:db8::1'; allowed: IPv4 addresses"),
        ({"ipv6": ["mail"]}, "ipv6 has 'mail'; allowed: IPv6 addresses"),
        ({"spf": "mx -all"}, "spf is 'mx -all'; allowed: v=spf1"),
        ({"dmarc": "p=none"}, "dmarc is 'p=none'; allowed: none, quarantine, reject"),
        ({"dmarc_rua": "mailto:a@b.c, x@y.z"}, "dmarc_rua is .*; allowed: one e-mail address"),
        ({"tls_rpt": "a"}, "tls_rpt is 'a'"),
        ({"mta_sts": "v1.2"}, "mta_sts is 'v1.2'; allowed: up to 32 letters and digits"),
        ({"tlsa": ["3 1 1"]}, "tlsa has '3 1 1'; allowed: such as 3 1 1 0123abcd"),
        ({"services": ["smtp"]}, "services has 'smtp'; allowed: submissions"),
        ({"caa": ["x"]}, "caa has 'x'"),
        ({"dkim": {"example.org": {"public_key": KEY}}}, "dkim: example.org: selector is ''"),
        (
            {"dkim": {"example.org": {"selector": "a", "public_key": "v=DKIM1; p=x"}}},
            "public_key is no key",
        ),
    ],
)
def test_what_would_be_a_faulty_record_is_refused(more, message):
    with pytest.raises(ValueError, match=message):
        wanted(["example.org"], "mail.example.org", Options(**more))
    with pytest.raises(ValueError, match="hostname has 'mail'"):
        wanted(["example.org"], "mail", Options())
    with pytest.raises(ValueError, match="domains has 'org'"):
        wanted(["org"], "mail.example.org", Options())


@pytest.mark.parametrize(
    ("domains", "hostname"),
    [
        (["example.org"], "mail.example.org"),
        (["example.org", "example.net", "sub.example.org"], "mail.example.org"),
        (["example.org"], "mx.host.example"),
        (["mail.example.org", "example.com"], "mail.example.org"),
    ],
)
def test_the_checks_of_the_dns_are_content(domains, hostname):
    options = FULL._replace(dkim={})
    entries = wanted(domains, hostname, options)
    text = "\n".join(
        "{0} {1} {2}".format(item.record.name, item.record.type, item.record.value)
        for item in entries
    )
    # What others publish: reverse records, and who answers for the zones.
    text += "\n10.2.0.192.in-addr.arpa PTR {0}\n".format(hostname)
    text += "{0} PTR {1}\n".format(audit.reverse_name("2001:db8::10"), hostname)
    need = audit.from_options(hostname, domains, options.ipv4, options.ipv6, stack={"name": "x"})
    checks = "dns.address dns.reverse dns.mx dns.spf dns.dmarc dns.host_spf dns.autoconfig dns.caa "
    known = [check.id for check in catalogue.dns_checks()]
    only = [name for name in (checks + "dns.autodiscover").split() if name in known]
    assert len(only) >= 6, known
    findings = catalogue.run(
        Recorded(text), need, only=only, checks=catalogue.dns_checks(), skip=[], accept=[]
    )
    assert [item for item in findings if item.status not in ("ok", "skip")] == []


def test_texts_are_read_back_by_name_servers():
    hypothesis = pytest.importorskip("hypothesis")
    rdata = pytest.importorskip("dns.rdata")
    st = hypothesis.strategies

    @hypothesis.settings(max_examples=200, deadline=None)
    @hypothesis.given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=600))
    @hypothesis.example('"' * 300)
    @hypothesis.example("\\" * 255 + "é;\n")
    def read(text):
        line = Record("a.example", "TXT", text).text
        parsed = rdata.from_text("IN", "TXT", line.partition(" IN TXT ")[2])
        assert b"".join(parsed.strings) == text.encode("utf-8")
        assert all(len(part) <= 255 for part in parsed.strings)

    read()


def test_all_lines_are_a_zone():
    zones = pytest.importorskip("dns.zone")
    text = "@ 60 IN SOA ns hostmaster 1 1 1 1 1\n@ 60 IN NS ns.example.net.\n"
    options = FULL._replace(services=list(dns_records.SERVICES))
    found = lines(["example.org"], "mail.example.org", options)
    zone = zones.from_text(text + "\n".join(found) + "\n", origin="example.org.")
    assert sum(len(item) for _name, item in zone.iterate_rdatasets()) == len(found) + 2
