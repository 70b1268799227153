# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns, tls_probe
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import tls
from ansible_collections.postmaster.mailhost.plugins.modules import tls_audit

sys.path.insert(0, str(Path(__file__).parents[1] / "module_utils"))
import mail_servers


@pytest.fixture
def run(monkeypatch, run_module):
    """Return a function: options -> the module's result, with a DNS that is empty."""

    def run(check_mode=False, **options):
        monkeypatch.setattr(tls_audit, "Resolver", lambda _given: dns.Recorded(""))
        options.setdefault("host", "mail.example.org")
        return run_module(tls_audit, check_mode, **options)

    return run


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_server(run, tmp_path, check_mode):
    pytest.importorskip("cryptography")
    authority = mail_servers.Authority(tmp_path)
    server = mail_servers.Smtp(authority.context(days=5), tls_first=True)
    with mail_servers.serving(server.talk) as port:
        result = run(
            check_mode,
            addresses=["127.0.0.1"],
            services=["submissions"],
            ports={"submissions": port},
            ca_file=str(authority.file),
        )
    assert result["changed"] is False
    found = {item["id"]: item["status"] for item in result["findings"]}
    assert set(found) == {row[0] for row in tls.LOOK}
    assert found["tls.expiry"] == "warn"
    assert found["tls.chain"] == "ok"
    documented = yaml.safe_load(tls_audit.RETURN)
    assert set(result) - {"changed", "invocation", "warnings"} == set(documented)
    assert set(result["services"][0]) == set(documented["services"]["contains"])


def test_a_name_without_addresses(run):
    pytest.importorskip("cryptography")
    result = run()
    assert {item["status"] for item in result["findings"]} == {"unknown"}
    assert result["findings"][0]["observed"] == "mail.example.org has no address"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": "mail"}, "host has 'mail'"),
        ({"names": ["x"]}, "names has 'x'"),
        ({"addresses": ["x"]}, "addresses has 'x'; allowed: IP addresses"),
        ({"services": ["nntp"]}, "services has 'nntp'; allowed: smtp, submission,"),
        ({"ports": {"nntp": 1}}, "ports has 'nntp'; allowed: smtp,"),
        ({"ports": {"imap": 0}}, "ports has 0 for imap; allowed: 1 to 65535"),
        ({"timeout": 0}, "timeout is 0; allowed: 1 to 60 seconds"),
        ({"warn_days": 1}, "warn_days is 1; allowed: 3 to 3650"),
        ({"ca_file": "/nowhere"}, "ca_file is '/nowhere', which cannot be read"),
    ],
)
def test_bad_options(run, options, text):
    pytest.importorskip("cryptography")
    result = run(**options)
    assert result["failed"] is True
    assert text in result["msg"]


def test_without_the_library_every_finding_is_unknown(run, monkeypatch):
    def check_library():
        raise tls_probe.LibraryMissingError("cryptography cannot be imported")

    monkeypatch.setattr(tls_probe, "check_library", check_library)
    result = run(addresses=["127.0.0.1"])
    assert {item["status"] for item in result["findings"]} == {"unknown"}
    assert all(sys.executable in item["fix"] for item in result["findings"])


def test_the_documentation_says_what_the_code_does():
    options = yaml.safe_load(tls_audit.DOCUMENTATION)["options"]
    assert options["services"]["default"] == list(tls_probe.BY_NAME)
    assert options["timeout"]["default"] == tls_probe.TIMEOUT_SECONDS
    assert options["warn_days"]["default"] == tls.WARN_DAYS
