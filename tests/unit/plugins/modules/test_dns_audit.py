# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue
from ansible_collections.postmaster.mailhost.plugins.modules import dns_audit

ZONE = """
mail.example.org A 192.0.2.10
mail.example.org TXT v=spf1 a -all
10.2.0.192.in-addr.arpa PTR mail.example.org
example.org MX 10 mail.example.org
example.org TXT v=spf1 mx a -all
_dmarc.example.org TXT v=DMARC1; p=none
"""


@pytest.fixture
def run(monkeypatch, run_module):
    """Return a function: records and options -> the module's result."""

    def run(text=ZONE, check_mode=False, **options):
        def resolver(*given, **named):
            run.resolver = (given, named)
            return dns.Recorded(text)

        monkeypatch.setattr(dns_audit, "Resolver", resolver)
        options.setdefault("hostname", "mail.example.org")
        return run_module(dns_audit, check_mode, **options)

    return run


def statuses(result):
    return {item["id"]: item["status"] for item in result["findings"]}


@pytest.mark.parametrize("check_mode", [False, True])
def test_go(run, check_mode):
    result = run(check_mode=check_mode, domains=["example.org"], ipv4=["192.0.2.10"])
    assert result["changed"] is False
    assert result["summary"]["go"] is True
    # No stack and no key is named, and a resolver is asked.
    skipped = {"dns.autodiscover", "dns.autoconfig", "dns.dkim", "dns.nameservers"}
    found = statuses(result)
    assert list(found.values()).count("ok") == len(catalogue.DNS_IDS) - len(skipped)
    assert {name for name, status in found.items() if status == "skip"} == skipped


def test_options_arrive(run):
    result = run(
        hostname="MAIL.example.org",
        domains=["Example.org", "other.test"],
        ipv4=["192.0.2.10", "192.0.2.11"],
        ipv6=["2001:db8::10"],
        stack="mailcow",
        certificate_authorities=["other.test"],
        nameservers=["192.0.2.53"],
        authoritative=True,
        timeout=5,
        skip=["dns.caa", "ports"],
        accept=["dns.reverse"],
        fail_on="warn",
    )
    assert run.resolver == ((["192.0.2.53"], 5.0), {"authoritative": True})
    assert result["summary"]["go"] is False
    told = [item for item in result["findings"] if item["id"] == "dns.reverse"]
    assert {item["status"] for item in told} == {"warn"}
    assert len(told) == 2 and all("(accepted by name)" in item["observed"] for item in told)
    assert told[0]["source"] == stack.get("mailcow")["sources"]["dns"]
    found = statuses(result)
    assert found["dns.caa"] == "skip"
    assert found["dns.autodiscover"] == "warn"
    assert "ports.public" not in found


def test_no_go_is_an_answer_and_no_failure(run):
    result = run("", ipv4=["192.0.2.10"])
    assert "failed" not in result
    assert result["summary"]["go"] is False
    assert result["findings"][0]["status"] == "fail"


def test_only(run):
    result = run(only=["dns.mx", "ports"], domains=["example.org"])
    assert list(statuses(result)) == ["dns.mx"]


def test_a_guessed_private_address(run):
    found = statuses(run(ipv4=["10.0.0.1"], guessed=True))
    assert found["dns.reverse"] == "skip"
    assert statuses(run(ipv4=["10.0.0.1"]))["dns.reverse"] == "fail"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hostname": "mail"}, "hostname has 'mail': it has no dot"),
        ({"domains": ["example.org "]}, "domains has 'example.org '"),
        ({"ipv4": ["192.0.2"]}, "ipv4 has '192.0.2'; allowed: IPv4 addresses"),
        ({"only": ["dns.mxx"]}, "only has 'dns.mxx'; allowed: platform,"),
        ({"stack": "postfix"}, "value of stack must be one of: " + ", ".join(stack.names())),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_bad_options(run, options, text):
    result = run(**options)
    assert result["failed"] is True
    assert text in result["msg"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nameservers": ["ns.test"]}, "nameservers has 'ns.test'; allowed: IP addresses"),
        ({"timeout": 0}, "timeout is 0; allowed: 1 to 60 seconds"),
    ],
)
def test_what_the_resolver_refuses(run_module, options, text):
    result = run_module(dns_audit, hostname="mail.example.org", **options)
    assert result["failed"] is True
    assert text in result["msg"]


def test_without_the_library_every_finding_is_unknown(monkeypatch, run_module):
    def resolver(*given, **named):
        raise dns.LibraryMissingError("dnspython cannot be imported")

    monkeypatch.setattr(dns_audit, "Resolver", resolver)
    result = run_module(dns_audit, hostname="mail.example.org", domains=["example.org"])
    assert "failed" not in result
    assert set(statuses(result)) == set(catalogue.DNS_IDS)
    assert set(statuses(result).values()) == {"unknown"}
    fix = "{0} -m pip install dnspython".format(sys.executable)
    assert all(fix in item["fix"] for item in result["findings"])


def test_the_documentation_says_what_the_code_does():
    options = yaml.safe_load(dns_audit.DOCUMENTATION)["options"]
    assert options["stack"]["choices"] == stack.names()
    assert options["timeout"]["default"] == dns.TIMEOUT
