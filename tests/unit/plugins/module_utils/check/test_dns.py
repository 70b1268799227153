# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import dns
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import Recorded, reverse_name

V4 = "192.0.2.10"
V6 = "2001:db8::10"

HEALTHY = """
mail.example.org A 192.0.2.10
mail.example.org AAAA 2001:db8::10
mail.example.org TXT v=spf1 a -all
{v4} PTR mail.example.org
{v6} PTR mail.example.org
example.org MX 10 mail.example.org
example.org TXT v=spf1 mx a -all
_dmarc.example.org TXT v=DMARC1; p=none
dkim._domainkey.example.org TXT v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA
autodiscover.example.org CNAME mail.example.org
autoconfig.example.org CNAME mail.example.org
example.org CAA 0 issue "letsencrypt.org"
""".format(v4=reverse_name(V4), v6=reverse_name(V6))

KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"
NEED = dns.from_options(
    "mail.example.org",
    ["example.org"],
    [V4],
    [V6],
    stack=stack.get("mailcow"),
    dkim={"example.org": {"selector": "dkim", "public_key": KEY}},
)
CHECKS = {row[0]: row[3] for row in dns.LOOK}


def without(*starts):
    """Return the healthy zone without the lines that begin like this."""
    lines = [line for line in HEALTHY.splitlines() if not line.startswith(starts)]
    assert len(lines) < len(HEALTHY.splitlines())
    return "\n".join(lines) + "\n"


def look(check, text=HEALTHY, need=NEED, **options):
    return CHECKS[check](Recorded(text, **options), need)


def one(check, status, *words, text=HEALTHY, need=NEED, **options):
    """Expect one finding with these words, and return it."""
    (found,) = look(check, text, need, **options)
    assert found.status == status, found
    for word in words:
        assert word in found.observed + " / " + found.fix
    assert bool(found.fix) is (status in ("fail", "warn", "unknown")) or status == "skip"
    return found


# --- every check -------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [name for name in CHECKS if name != "dns.nameservers"])
def test_all_is_well(check):
    one(check, "ok")


@pytest.mark.parametrize("check", list(CHECKS))
def test_a_dns_that_does_not_answer_is_unknown(check):
    options = {"differing": {}} if check == "dns.nameservers" else {}
    found = look(check, "", silent=["org", "arpa"], **options)
    assert {item.status for item in found} == {"unknown"}
    assert all("no server answered" in item.observed and "dig " in item.fix for item in found)


@pytest.mark.parametrize("check", list(CHECKS))
def test_nothing_to_look_at_is_skipped(check):
    nothing = dns.from_options("", stack=stack.get("mailcow"))
    options = {"differing": {}} if check == "dns.nameservers" else {}
    (found,) = look(check, need=nothing, **options)
    assert found.status == "skip"
    assert found.observed


@pytest.mark.parametrize(
    "check", ["dns.mx", "dns.mx_target", "dns.autodiscover", "dns.spf", "dns.dmarc", "dns.wildcard"]
)
def test_without_domains_the_checks_of_domains_are_skipped(check):
    one(check, "skip", "no mail domain is named", need=NEED._replace(domains=()))


ADDRESS_CHECKS = ["dns.address", "dns.reverse", "dns.forward_confirmed", "dns.generic_reverse"]


@pytest.mark.parametrize("check", ADDRESS_CHECKS)
def test_a_private_address_that_was_guessed_is_not_checked(check):
    need = NEED._replace(ipv4=("10.1.2.3",), ipv6=(), guessed=True)
    one(check, "skip", "10.1.2.3 is a private address", "preflight_public_ipv4", need=need)
    for private in ("100.64.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", V4):
        assert look(check, need=need._replace(ipv4=(private,)))[0].status == "skip"
    need = need._replace(ipv4=(), ipv6=("fd00::1",))
    one(check, "skip", "fd00::1 is a private address", "preflight_public_ipv6", need=need)


@pytest.mark.parametrize("check", ADDRESS_CHECKS)
def test_a_private_address_beside_a_public_one(check):
    text = HEALTHY.replace(V4, "5.6.7.8").replace(reverse_name(V4), reverse_name("5.6.7.8"))
    need = NEED._replace(ipv4=("5.6.7.8",), ipv6=("fd00::1",), guessed=True)
    text = text.replace("mail.example.org AAAA 2001:db8::10\n", "mail.example.org AAAA 2a00::1\n")
    assert [item.status for item in look(check, text, need)] == ["ok", "skip"]


@pytest.mark.parametrize("check", ADDRESS_CHECKS)
def test_a_private_address_that_was_named_is_checked(check):
    text = HEALTHY.replace(V4, "10.99.0.11").replace(reverse_name(V4), reverse_name("10.99.0.11"))
    one(check, "ok", text=text, need=NEED._replace(ipv4=("10.99.0.11",)))


@pytest.mark.parametrize("check", ADDRESS_CHECKS)
def test_no_address_is_known(check):
    need = NEED._replace(ipv4=(), ipv6=())
    one(check, "skip", "no address of the server is known", need=need)


# --- name and addresses ------------------------------------------------------------------------


def test_address_that_is_missing():
    text = without("mail.example.org A ")
    one("dns.address", "fail", "has no A record", "mail.example.org. IN A 192.0.2.10", text=text)
    text = without("mail.example.org AAAA")
    fix = "mail.example.org. IN AAAA 2001:db8::10"
    one("dns.address", "warn", "has no AAAA record", fix, text=text)


@pytest.mark.parametrize(("kind", "own"), [("A", V4), ("AAAA", V6)])
def test_address_that_leads_elsewhere(kind, own):
    other = "192.0.2.99" if kind == "A" else "2001:db8::99"
    text = without("mail.example.org " + kind + " ") + "mail.example.org {0} {1}".format(
        kind, other
    )
    one("dns.address", "fail", other, own, text=text)
    text = HEALTHY + "mail.example.org {0} {1}".format(kind, other)
    one("dns.address", "warn", other, own, text=text)


def test_one_of_several_addresses_is_enough():
    one("dns.address", "ok", V4, need=NEED._replace(ipv4=(V4, "192.0.2.11")))


def test_address_of_a_family_that_the_server_does_not_have():
    need = NEED._replace(ipv6=())
    one("dns.address", "warn", "no public IPv6 address", V6, need=need)
    text = without("mail.example.org AAAA")
    one("dns.address", "ok", text=text, need=need)
    one("dns.address", "warn", "no public IPv4 address", need=NEED._replace(ipv4=()))


def test_hostname_that_is_an_alias():
    text = without("mail.example.org A") + "mail.example.org CNAME srv.example.net\n"
    one("dns.cname_hostname", "fail", "is an alias of srv.example.net", text=text)
    text += "srv.example.net A 192.0.2.10"
    one("dns.cname_hostname", "fail", "Replace the CNAME", text=text)
    one("dns.cname_hostname", "skip", "does not exist", text="")


@pytest.mark.parametrize("own", [V4, V6])
def test_reverse(own):
    pointer = reverse_name(own)
    one("dns.reverse", "fail", own + " has no PTR record", "provider", text=without(pointer))
    text = without(pointer) + pointer + " PTR x.example.org"
    one("dns.reverse", "fail", "PTR of {0} is x.example.org".format(own), text=text)
    text = HEALTHY + pointer + " PTR x.example.org"
    one("dns.reverse", "warn", "mail.example.org and x.example.org", text=text)


def test_reverse_through_an_alias_is_fine():
    pointer = reverse_name(V4)
    text = without(pointer) + "{0} CNAME 10.0-25.2.0.192.in-addr.arpa\n".format(pointer)
    one("dns.reverse", "ok", text=text + "10.0-25.2.0.192.in-addr.arpa PTR mail.example.org")


def test_forward_confirmed():
    pointer = reverse_name(V4)
    text = without(pointer) + pointer + " PTR x.example.org\n"
    words = ("PTR of 192.0.2.10 is x.example.org, whose A is nothing", "x.example.org. IN A")
    one("dns.forward_confirmed", "fail", *words, text=text)
    text += "x.example.org A 192.0.2.99\n"
    one("dns.forward_confirmed", "fail", "whose A is 192.0.2.99", text=text)
    # Another name than the server's leads back as well; dns.reverse has its say about that.
    one("dns.forward_confirmed", "ok", text=text + "x.example.org A 192.0.2.10")
    found = look("dns.forward_confirmed", without(pointer))
    assert [item.status for item in found] == ["ok", "skip"]
    found = look("dns.forward_confirmed", silent=["example.org"])
    assert [item.status for item in found] == ["unknown", "unknown"]


@pytest.mark.parametrize(
    ("name", "own", "sign"),
    [
        ("static.77.168.88.203.clients.provider.de", "203.88.168.77", "address"),
        ("203-88-168-77.provider.net", "203.88.168.77", "address"),
        ("ns1.ip-203-88-168.eu", "203.88.168.77", "address"),
        ("ip203088168077.provider.net", "203.88.168.77", "address"),
        ("cb58a84d.provider.net", "203.88.168.77", "address"),
        ("p5dsl12.provider.net", "203.88.168.77", "'dsl'"),
        ("host.dyn.provider.net", "203.88.168.77", "'dyn'"),
        ("adsl-12.provider.net", "203.88.168.77", "'adsl'"),
        ("pool7.provider.net", "203.88.168.77", "'pool'"),
        ("x.customer.provider.net", "203.88.168.77", "'customer'"),
        ("mail.example.org", "203.88.168.77", ""),
        ("mail.pool.org", "203.88.168.77", ""),
        ("mail.carpool-static-art.org", "203.88.168.77", ""),
        ("dynamo.example.org", "203.88.168.77", ""),
        ("mx203.example.org", "203.88.168.77", ""),
        ("2001-db8--10.provider.net", V6, "address"),
        (reverse_name(V6)[: -len(".ip6.arpa")] + ".provider.net", V6, "address"),
        ("x2001-db8-0-0-0-0-0-10.provider.net", V6, "address"),
        ("mail2001.example.org", V6, ""),
    ],
)
def test_generic_reverse(name, own, sign):
    need = NEED._replace(ipv4=(own,), ipv6=()) if "." in own else NEED._replace(ipv4=())
    text = "{0} PTR {1}\n".format(reverse_name(own), name)
    words = (name, sign) if sign else (name,)
    one("dns.generic_reverse", "warn" if sign else "ok", *words, text=text, need=need)


def test_generic_reverse_without_a_record():
    found = look("dns.generic_reverse", "")
    assert [item.status for item in found] == ["skip", "skip"]


# --- domains -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", ("has no MX record", "Publish: example.org. IN MX 10 mail.example.org.")),
        (
            "example.org MX 10 mx.old.test",
            ("MX of example.org is mx.old.test", "is moved, publish"),
        ),
        ("example.org MX 0 .", ("null MX", "Remove the record")),
        (
            "example.org MX 10 mx.old.test\nexample.org MX 20 mail.example.org",
            ("prefers mx.old.test", "lowest number"),
        ),
    ],
)
def test_mx(lines, words):
    one("dns.mx", "warn", *words, text=without("example.org MX") + lines)


def test_mx_of_a_domain_that_does_not_exist():
    need = NEED._replace(domains=("example.org", "gone.test"))
    one("dns.mx", "warn", "gone.test does not exist", need=need)


def test_mx_with_others_behind():
    one("dns.mx", "ok", text=HEALTHY + "example.org MX 20 backup.test")
    one("dns.mx", "ok", text=HEALTHY + "example.org MX 10 aaa.test")


@pytest.mark.parametrize(
    ("target", "lines", "status", "words"),
    [
        ("192.0.2.10", "", "fail", ("an IP address", "such as mail.example.org")),
        ("gone.test", "", "fail", ("which has no address",)),
        ("a.test", "a.test CNAME mail.example.org", "fail", ("an alias of mail.example.org",)),
        ("a.test", "a.test CNAME b.test\nb.test A 192.0.2.10", "fail", ("an alias of b.test",)),
        ("a.test", "a.test CNAME b.test\nb.test A 192.0.2.77", "warn", ("an alias of b.test",)),
        ("silent.test", "", "unknown", ("no answer for A of silent.test",)),
        ("six.test", "six.test AAAA 2001:db8::77", "ok", ("1 MX record",)),
        (".", "", "skip", ("no domain has",)),
    ],
)
def test_mx_target(target, lines, status, words):
    text = without("example.org MX") + "example.org MX 10 {0}\n{1}".format(target, lines)
    one("dns.mx_target", status, *words, text=text, silent=["silent.test"])


def test_an_alias_beside_the_server_is_the_domains_own_fault():
    text = HEALTHY + "example.org MX 20 a.test\na.test CNAME b.test\nb.test A 192.0.2.77"
    one("dns.mx_target", "fail", "MX of example.org is a.test", text=text)
    text = without("example.org MX") + "example.org MX 10 a.test\na.test CNAME mail.example.org"
    one("dns.mx_target", "fail", text=text, need=NEED._replace(ipv4=(), ipv6=()))


@pytest.mark.parametrize("label", ["autodiscover", "autoconfig"])
def test_names_that_mail_programs_look_for(label):
    check, name = "dns." + label, label + ".example.org"
    publish = name + ". IN CNAME mail.example.org."
    gone = without(label)
    one(check, "warn", name + " does not exist", publish, text=gone)
    one(check, "warn", "leads to b.test", text=gone + name + " CNAME b.test\nb.test A 192.0.2.77")
    one(check, "warn", "has no address", text=gone + name + " TXT hello")
    one(check, "ok", text=gone + name + " A 192.0.2.10")
    one(check, "ok", text=gone + name + " AAAA 2001:db8::10")
    one(check, "ok", need=NEED._replace(ipv4=(), ipv6=()))
    one(check, "skip", "does not answer there", need=NEED._replace(autoconfig=False))


def test_wildcard():
    one(
        "dns.wildcard",
        "warn",
        "*.example.org is A 192.0.2.1",
        text=HEALTHY + "*.example.org A 192.0.2.1",
    )
    text = HEALTHY + "*.example.org MX 5 mail.example.org"
    one("dns.wildcard", "warn", "MX 5 mail.example.org", "one by one", text=text)
    one("dns.wildcard", "ok", text=HEALTHY + "*.sub.example.org A 192.0.2.1")


# --- policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "status", "words"),
    [
        ("v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all", "ok", ("1 domain",)),
        ("no policy", "warn", ("has no SPF record", 'IN TXT "v=spf1 mx -all"')),
        ("v=spf1 +all", "warn", ("everybody may send",)),
        ("v=spf1 mx all", "warn", ("everybody may send",)),
        ("v=spf1 ip4:192.0.2.10 ~all", "warn", ("2001:db8::10 is softfail by ~all", "ip6:2001:db8::10")),
        ("v=spf1 ip6:2001:db8::10 -all", "warn", ("192.0.2.10 is fail by -all", "ip4:192.0.2.10")),
        ("v=spf1 a", "warn", ("is neutral: v=spf1 a",)),
        ("v=spf1 mxx -all", "warn", ("is faulty", "the term mxx")),
        ("v=spf1 include:silent.test -all", "unknown", ("no answer for TXT of silent.test",)),
        ("v=spf1 ptr -all", "unknown", ("ptr depends on the single message",)),
        ("v=spf1 mx " + "ip4:198.51.100.100 " * 25 + "-all", "warn", ("characters", "450")),
    ],
)  # fmt: skip
def test_spf(record, status, words):
    text = without("example.org TXT") + "example.org TXT " + record
    found = look("dns.spf", text, silent=["silent.test"])
    assert {item.status for item in found} == {status}
    everything = " / ".join(item.observed + " / " + item.fix for item in found)
    assert all(word in everything for word in words)


def test_two_spf_records():
    text = HEALTHY + "example.org TXT v=spf1 mx -all"
    one("dns.spf", "warn", "2 SPF records", "Merge", text=text)


def test_spf_when_the_address_is_not_known():
    need = NEED._replace(ipv4=("10.0.0.1",), ipv6=(), guessed=True)
    one("dns.spf", "skip", "10.0.0.1 is a private address", need=need)
    text = without("example.org TXT") + "example.org TXT v=spf1 +all"
    one("dns.spf", "warn", "everybody may send", text=text, need=need)


@pytest.mark.parametrize(
    ("record", "status", "words"),
    [
        ("v=DMARC1; p=reject; rua=mailto:x@example.org", "ok", ()),
        ("v=DMARC1;p=Quarantine", "ok", ()),
        ("v = DMARC1 ; p = none", "ok", ()),
        ("v=DMARC1", "warn", ("p=none, p=quarantine",)),
        ("v=DMARC1; p=drop", "warn", ("p=drop",)),
        ("p=none; v=DMARC1", "warn", ("has no DMARC record",)),
        ("v=DMARC10; p=none", "warn", ("has no DMARC record", "_dmarc.example.org. IN TXT")),
    ],
)
def test_dmarc(record, status, words):
    text = without("_dmarc") + "_dmarc.example.org TXT " + record
    one("dns.dmarc", status, *words, text=text)


def test_dmarc_of_a_domain_above():
    need = NEED._replace(domains=("lists.sub.example.org",))
    one("dns.dmarc", "ok", need=need)
    text = HEALTHY + "_dmarc.sub.example.org TXT v=DMARC1; p=never"
    one("dns.dmarc", "warn", "_dmarc.sub.example.org", text=text, need=need)


def test_two_dmarc_records():
    text = HEALTHY + "_dmarc.example.org TXT v=DMARC1; p=reject"
    one("dns.dmarc", "warn", "2 DMARC records", text=text)


def test_policies_of_the_servers_own_name():
    found = look("dns.host_spf", without("mail.example.org TXT", "_dmarc"))
    assert [item.status for item in found] == ["warn", "warn"]
    assert 'mail.example.org. IN TXT "v=spf1 a -all"' in found[0].fix
    assert '_dmarc.mail.example.org. IN TXT "v=DMARC1; p=none"' in found[1].fix
    one("dns.host_spf", "skip", "see dns.spf", need=NEED._replace(domains=("mail.example.org",)))


# --- certificates and delegation ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "status", "words"),
    [
        ([], "ok", ("3 names",)),
        (['0 issue "letsencrypt.org"'], "ok", ()),
        (['0 Issue "LetsEncrypt.org; validationmethods=http-01,dns-01"'], "ok", ()),
        (['0 issue "letsencrypt.org;accounturi=https://ca.test/1"'], "ok", ()),
        (['0 issue "other.test"', '0 issue "letsencrypt.org"'], "ok", ()),
        (['0 issuewild ";"'], "ok", ()),
        (['0 iodef "mailto:x@example.org"'], "ok", ()),
        (['0 issue "other.test"'], "warn", ("permits other.test", '0 issue "letsencrypt.org"')),
        (['0 issue ";"'], "warn", ("permits",)),
        (['0 issue "letsencrypt.org; validationmethods=dns-01"'], "warn", ("only with dns-01",)),
        (['128 future "x"', '0 issue "letsencrypt.org"'], "warn", ("critical property future",)),
        (['0 future "x"'], "ok", ()),
        (['128 issue "letsencrypt.org"'], "ok", ()),
    ],
)
def test_caa(records, status, words):
    lines = ["example.org CAA " + record for record in records]
    one("dns.caa", status, *words, text=without("example.org CAA") + "\n".join(lines))


def test_the_nearest_caa_record_counts():
    text = HEALTHY + 'mail.example.org CAA 0 issue "other.test"\n'
    # The other two names are aliases of it.
    found = one("dns.caa", "warn", "mail.example.org may get no certificate", text=text)
    assert "CAA of mail.example.org permits other.test" in found.observed
    text = without("example.org CAA") + 'org CAA 0 issue "other.test"'
    one("dns.caa", "warn", "CAA of org permits other.test", text=text)


def test_one_of_several_authorities_is_enough():
    need = NEED._replace(ca=("sectigo.com", "letsencrypt.org"))
    one("dns.caa", "ok", need=need)
    one("dns.caa", "warn", need=need._replace(ca=("sectigo.com",)))
    one("dns.caa", "skip", "no certificate authority", need=need._replace(ca=()))


def test_caa_without_names_of_mail_programs():
    one("dns.caa", "ok", "1 name", need=NEED._replace(autoconfig=False))


def test_name_servers():
    one("dns.nameservers", "skip", "a resolver was asked")
    one("dns.nameservers", "ok", "9 answers", differing={})
    told = {"MX of example.org": ["ns1: 10 mail.example.org", "ns2: no such record"]}
    words = ("MX of example.org: ns1: 10 mail.example.org; ns2: no such record", "example.org SOA")
    one("dns.nameservers", "warn", *words, differing=told)


# --- options -----------------------------------------------------------------------------------


def test_options_are_brought_into_form():
    need = dns.from_options(
        "Mail.Example.ORG",
        ["Bücher.example", "bücher.example"],
        ["192.0.2.1", "192.0.2.1"],
        ["2001:DB8:0::1"],
        certificate_authorities=["LetsEncrypt.org"],
    )
    assert need.hostname == "mail.example.org"
    assert need.domains == ("xn--bcher-kva.example",)
    assert (need.ipv4, need.ipv6) == (("192.0.2.1",), ("2001:db8::1",))
    assert need.ca == ("letsencrypt.org",)
    assert need.autoconfig is False and not need.sources


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hostname": "mail"}, "hostname has 'mail'"),
        ({"domains": ["example.org "]}, "domains has 'example.org '"),
        ({"ipv4": ["2001:db8::1"]}, "ipv4 has '2001:db8::1'; allowed: IPv4 addresses"),
        ({"ipv6": ["192.0.2.1"]}, "ipv6 has '192.0.2.1'; allowed: IPv6 addresses"),
        ({"certificate_authorities": ["le"]}, "certificate_authorities has 'le'"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(ValueError, match="allowed: ") as error:
        dns.from_options(**dict({"hostname": "mail.example.org"}, **options))
    assert text in str(error.value)


def test_what_stands_in_for_the_checks_without_the_library():
    (found,) = dns.without_library("/opt/python", "no dnspython")(None, NEED)
    assert found.status == "unknown"
    assert "/opt/python -m pip install dnspython" in found.fix


def test_every_check_says_what_leads_to_which_status():
    for name, title, source, check in dns.LOOK:
        assert name.startswith("dns.") and title
        assert source.startswith("https://") or source in stack.get("mailcow")["sources"]
        assert any("``{0}``".format(word) in check.__doc__ for word in ("fail", "warn"))


# --- DKIM ----------------------------------------------------------------------------------------

RECORD = "dkim._domainkey.example.org TXT v=DKIM1; k=rsa; p="


def test_no_key_is_published():
    one("dns.dkim", "warn", "has no DKIM record", "p=" + KEY, text=without("dkim."))


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (RECORD + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEB", "publishes another key"),
        (RECORD, "it is revoked"),
        (RECORD + KEY + "\n" + RECORD + "AAAA", "has 2 records"),
    ],
)
def test_another_key_than_mail_is_signed_with(records, words):
    one("dns.dkim", "fail", words, "p=" + KEY, text=without("dkim.") + records + "\n")


def test_blanks_in_a_key_do_not_matter():
    split = KEY[:20] + " " + KEY[20:]
    one("dns.dkim", "ok", "1 key", text=without("dkim.") + RECORD + split + "\n")


def test_a_key_without_its_selector_is_refused():
    with pytest.raises(ValueError, match="dkim: example.org lacks selector"):
        dns.from_options("", dkim={"example.org": {"public_key": KEY}})
