# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmail_control as a module, on this machine's files below a directory of the test."""

from __future__ import annotations

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.modules import qmail_control


@pytest.fixture
def home(tmp_path):
    """Return a qmail whose qmail-remote has a patch."""
    for name in ("bin", "control", "queue"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/qmail-send").write_bytes(b"\0control/locals\0")
    (tmp_path / "bin/qmail-remote").write_bytes(b"\0control/relaylogin\0")
    (tmp_path / "control/me").write_text("mail.example.org\n")
    (tmp_path / "control/rcpthosts").write_text("example.org\n")
    return tmp_path


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_secret_is_in_no_output_and_no_log(run_module, home, monkeypatch, check_mode):
    logged = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, **_more: logged.append(text))
    path = home / "control/relaylogin"
    path.write_text("user hunter1\n")
    path.chmod(0o640)
    options = {
        "qmail_home": str(home),
        "files": {"databytes": 5},
        "secrets": {"relaylogin": "user hunter2"},
    }
    result = run_module(qmail_control, check_mode, **options)
    assert sorted(name.rpartition("/")[2] for name in result["files"]) == [
        "databytes",
        "relaylogin",
    ]
    assert "hunter" not in run_module.output and "'databytes': 5" in str(logged)
    assert "hunter" not in str(logged)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text() == "user hunter{0}\n".format(1 if check_mode else 2)
    if not check_mode:
        assert not run_module(qmail_control, **options)["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secrets": {"unknown": "hunter2"}}, "unknown: no program in"),
        ({"secrets": {"relaylogin": "hunter2 "}}, "relaylogin: allowed are lines of text"),
        ({"secrets": {"me": "hunter2.example"}}, "secrets: me; allowed: files of patches"),
        (
            {"secrets": {"relaylogin": "hunter2"}, "files": {"relaylogin": "x"}},
            "relaylogin is in files and in secrets; allowed: one of the two",
        ),
    ],
)
def test_what_is_no_secret_file(run_module, home, options, message):
    result = run_module(qmail_control, qmail_home=str(home), **options)
    assert message in result["msg"] and "hunter2" not in run_module.output
    assert sorted(path.name for path in (home / "control").iterdir()) == ["me", "rcpthosts"]
