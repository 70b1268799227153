# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmail_users, qmail_info, pop_before_smtp and vpopmail_permissions as modules, on this machine's files
below a directory of the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import qmail
from ansible_collections.postmaster.mailhost.plugins.modules import (
    pop_before_smtp,
    qmail_info,
    qmail_users,
    vpopmail_permissions,
)

REAL = Path(__file__).parents[1] / "module_utils" / "qmail"
MODULES = (pop_before_smtp, qmail_info, qmail_users, vpopmail_permissions)
EXTRA = {"changed", "diff", "invocation", "warnings"}
ME = {"vpopmail_user": str(os.getuid()), "vpopmail_group": str(os.getgid())}


@pytest.fixture
def server(tmp_path):
    """Return a directory with a qmail whose users/cdb is stale, a vpopmail, and a list that is old."""
    qmail = tmp_path / "qmail"
    for name in ("bin", "control", "users"):
        (qmail / name).mkdir(parents=True)
    (qmail / "control" / "me").write_text("mail.example.org\n")
    (qmail / "users" / "assign").write_text((REAL / "assign").read_text())
    scripts = {
        qmail / "bin" / "qmail-newu": "cp {0}/users.cdb {1}/users/cdb".format(REAL, qmail),
        tmp_path / "clear": ": > {0}/open-smtp".format(tmp_path),
    }
    for path, script in scripts.items():
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)
    domain = tmp_path / "vpopmail" / "domains" / "example.org"
    domain.mkdir(parents=True)
    (domain / ".qmail-default").write_text("| vdelivermail ''\n")
    (domain / ".qmail-default").chmod(0o644)
    (tmp_path / "open-smtp").write_text("192.0.2.1:allow\t1000000000\n")
    return tmp_path


def snapshot(folder):
    return {
        path: (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def tasks(server):
    return [
        (qmail_users, {"qmail_home": str(server / "qmail")}),
        (
            pop_before_smtp,
            {"open_smtp": str(server / "open-smtp"), "command": str(server / "clear")},
        ),
        (
            vpopmail_permissions,
            {
                "path": str(server / "vpopmail" / "domains"),
                "owner": ME["vpopmail_user"],
                "group": ME["vpopmail_group"],
            },
        ),
    ]


@pytest.mark.parametrize("number", range(3))
def test_foretold_done_and_then_nothing_to_do(run_module, server, number):
    module, options = tasks(server)[number]
    before = snapshot(server)
    foretold = run_module(module, True, **options)
    assert snapshot(server) == before
    done = run_module(module, **options)
    assert snapshot(server) != before
    assert foretold["changed"] is done["changed"] is True
    assert foretold["diff"] == done["diff"] != {}
    again = run_module(module, **options)
    assert again["changed"] is False and not again["diff"]
    documented = set(yaml.safe_load(module.RETURN))
    assert set(done) - EXTRA == set(again) - EXTRA == documented


def test_findings_of_users(run_module, server):
    options = dict(ME, qmail_home=str(server / "qmail"), vpopmail_home=str(server / "vpopmail"))
    line = "+new.test-:new.test:{0}:1:{1}:-::".format(os.getuid() or 4711, server)
    result = run_module(qmail_users, True, assign=[line], **options)
    assert result["added"] == [line]
    assert [item["id"] for item in result["findings"]].count("qmail.users_cdb") == 1
    # It is about to be made, and the directory of the new line is there.
    by_id = {item["id"]: item for item in result["findings"]}
    assert by_id["qmail.users_cdb"]["status"] == "ok"
    assert str(server) + ")" not in str(result["findings"])


@pytest.mark.parametrize("check_mode", [False, True])
def test_qmail_info(run_module, server, check_mode):
    before = snapshot(server)
    result = run_module(
        qmail_info,
        check_mode,
        qmail_home=str(server / "qmail"),
        vpopmail_home=str(server / "vpopmail"),
        open_smtp=str(server / "open-smtp"),
        **ME,
    )
    assert snapshot(server) == before and result["changed"] is False
    status = {item["id"]: item["status"] for item in result["findings"]}
    assert set(status) == {row[0] for row in qmail.LOOK}
    assert status["qmail.rcpthosts"] == status["qmail.users_cdb"] == "fail"
    assert status["qmail.open_smtp"] == status["qmail.permissions"] == "warn"
    assert status["qmail.me"] == "ok" and result["summary"]["go"] is False
    assert set(result) - EXTRA == set(yaml.safe_load(qmail_info.RETURN))


def test_qmail_info_without_vpopmails_user(run_module, server):
    options = {"qmail_home": str(server / "qmail"), "vpopmail_home": str(server / "vpopmail")}
    result = run_module(qmail_info, vpopmail_user="nobody-here", **options)
    found = {item["id"]: item for item in result["findings"]}["qmail.permissions"]
    assert found["status"] == "unknown" and "owner is 'nobody-here'" in found["observed"]
    result = run_module(qmail_info, vpopmail_user="nobody-here", permissions=False, **options)
    found = {item["id"]: item for item in result["findings"]}["qmail.permissions"]
    assert found["status"] == "skip"


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (qmail_users, {"assign": ["x"]}, "assign: 'x' is no assignment; allowed: =ADDRESS:"),
        (qmail_users, {"qmail_home": "/nowhere"}, "qmail_home is '/nowhere'; allowed"),
        (pop_before_smtp, {"window_minutes": 0}, "window_minutes is 0; allowed: 1 or more"),
        (qmail_info, {"warn_entries": 0}, "warn_entries is 0; allowed: 1 or more"),
        (vpopmail_permissions, {"owner": "nobody-here"}, "owner is 'nobody-here'; allowed"),
        (vpopmail_permissions, {"path": "/etc", "owner": "0", "group": "0"}, "path is '/etc'; al"),
        (vpopmail_permissions, {"file_mode": "0666"}, "file_mode is '0666'"),
    ],
)
def test_bad_options(run_module, module, options, message):
    if "file_mode" in options:
        options = dict(options, owner="0", group="0")
    result = run_module(module, **options)
    assert result["failed"] is True and message in result["msg"]


def test_what_is_left_alone_is_a_warning(run_module, server):
    deep = server / "vpopmail" / "domains" / ("d/" * 120)
    deep.mkdir(parents=True)
    module, options = tasks(server)[2]
    result = run_module(module, **options)
    assert result["left"] == 1 and "directories deep" in run_module.output


def test_the_documentation_says_what_the_code_does():
    defaults = {
        "qmail_home": "/var/qmail",
        "vpopmail_home": "/home/vpopmail",
        "vpopmail_user": "vpopmail",
        "vpopmail_group": "vchkpw",
    }
    for module in (qmail_users, qmail_info):
        options = yaml.safe_load(module.DOCUMENTATION)["options"]
        assert {name: options[name]["default"] for name in defaults} == defaults
