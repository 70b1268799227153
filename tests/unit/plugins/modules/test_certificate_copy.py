# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module: options reach the logic, check mode writes nothing, and no key is in an output."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.postmaster.mailhost.plugins.modules import certificate_copy

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@pytest.fixture
def options(tmp_path):
    line = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert "
        "-subj /CN=x -days 10 -addext subjectAltName=DNS:mail.example.org"
    )
    subprocess.run(line.split(), cwd=str(tmp_path), capture_output=True, check=True)
    (tmp_path / "certs").mkdir()
    return {
        "certificate": str(tmp_path / "cert"),
        "key": str(tmp_path / "key"),
        "dest_certificate": str(tmp_path / "certs" / "cert.pem"),
        "dest_key": str(tmp_path / "certs" / "key.pem"),
        "names": ["mail.example.org"],
    }


def test_module(run_module, options, tmp_path):
    secret = (tmp_path / "key").read_text().split("\n")[1]
    foretold = run_module(certificate_copy, check_mode=True, **options)
    assert foretold["changed"] is True
    assert list((tmp_path / "certs").iterdir()) == []
    assert secret not in run_module.output
    done = run_module(certificate_copy, **options)
    assert secret not in run_module.output
    for name in ("changed", "changed_files", "diff", "fingerprint", "tlsa"):
        assert done[name] == foretold[name]
    assert (tmp_path / "certs" / "key.pem").read_bytes() == (tmp_path / "key").read_bytes()
    assert run_module(certificate_copy, **options)["changed"] is False
    refused = run_module(certificate_copy, **dict(options, names=["imap.example.org"]))
    assert "is not for imap.example.org" in refused["msg"]
    assert secret not in run_module.output
