# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns, smtp_client
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import smtp
from ansible_collections.postmaster.mailhost.plugins.modules import smtp_probe

sys.path.insert(0, str(Path(__file__).parents[1] / "module_utils"))
import mail_servers


@pytest.fixture
def run(monkeypatch, run_module):
    """Return a function: options -> the module's result, with a DNS that is empty."""

    def run(check_mode=False, **options):
        monkeypatch.setattr(smtp_probe, "Resolver", lambda _given: dns.Recorded(""))
        return run_module(smtp_probe, check_mode, **options)

    return run


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_server(run, check_mode):
    with mail_servers.serving(mail_servers.Smtp(relay="250 Ok").talk) as port:
        result = run(
            check_mode,
            host="mail.example.org",
            addresses=["127.0.0.1"],
            smtp_port=port,
            submission_port=0,
            submissions_port=0,
            to=["jane@missing.test"],
        )
    assert result["changed"] is False
    found = {item["id"]: item["status"] for item in result["findings"]}
    assert set(found) == {row[0] for row in smtp.LOOK}
    assert found["smtp.relay"] == found["smtp.destination"] == "fail"
    documented = yaml.safe_load(smtp_probe.RETURN)
    assert set(result) - {"changed", "invocation", "warnings"} == set(documented)
    assert set(result["server"][0]) == set(documented["server"]["sample"][0])
    assert set(result["destinations"][0]) == set(documented["destinations"]["contains"])


def test_nothing_named_nothing_asked(run):
    assert {item["status"] for item in run()["findings"]} == {"skip"}


def test_without_the_library(monkeypatch, run_module):
    def resolver(_given):
        raise dns.LibraryMissingError("no")

    monkeypatch.setattr(smtp_probe, "Resolver", resolver)
    result = run_module(smtp_probe, to=["jane@one.test"])
    assert result["destinations"][0]["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": "mail"}, "host has 'mail'"),
        ({"addresses": ["x"]}, "addresses has 'x'; allowed: IP addresses"),
        ({"smtp_port": 70000}, "smtp_port is 70000; allowed: 0 to 65535"),
        ({"to": ["jane"]}, "to has 'jane'; allowed: an address"),
        ({"to": ["a b@c.test"]}, "to has 'a b@c.test'"),
        ({"from": "a@b"}, "from has 'b'"),
        ({"mx": ["x"]}, "mx has 'x'"),
        ({"compare": ["1.2.3"]}, "compare has '1.2.3'"),
        ({"source_ipv4": "::1"}, "source_ipv4 has '::1'; allowed: IPv4 addresses"),
        ({"helo": "a b"}, "helo is 'a b'"),
        ({"timeout": 0}, "timeout is 0; allowed: 1 to 60 seconds"),
        ({"relay_to": "a@b\r\nDATA"}, "relay_to has"),
    ],
)
def test_bad_options(run, options, text):
    result = run(**options)
    assert result["failed"] is True
    assert text in result["msg"]


def test_the_documentation_says_what_the_code_does():
    options = yaml.safe_load(smtp_probe.DOCUMENTATION)["options"]
    assert options["timeout"]["default"] == smtp_client.TIMEOUT_SECONDS
