# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DKIM keys as the stacks print them, and what the module makes of a stack that does not answer."""

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.dkim_info import COMMANDS
from ansible_collections.postmaster.mailhost.plugins.modules import dkim_info

RECORD = 'sel-1._domainkey.{0}. 600 IN TXT "v=DKIM1; k=rsa; p=MIIB+/=="'
MAILU = json.dumps(
    {
        "domain": [
            {"name": "müller.example", "dns_dkim": RECORD.format("xn--mller-kva.example")},
            {"name": "example.org", "dns_dkim": RECORD.format("example.org")},
            {"name": "example.net"},
            {"name": "example.com", "dns_dkim": None},
        ]
    }
)
MAILCOW = (
    "# DKIM_SELECTORS\nexample.org\ndkim\n# DKIM_PUB_KEYS\nexample.org\nMIIC\nlost.example\nM\n"
)
KEY = {"selector": "sel-1", "public_key": "MIIB+/=="}


@pytest.fixture
def run(run_module, make_host, monkeypatch):
    def run(stack, answer, check_mode=False, **options):
        service, argv = COMMANDS[stack]
        name = ["--project-name", "mailu"] if stack == "mailu" else []
        command = " ".join(["docker", "compose", *name, "exec", "-T", service, *argv])
        recorded = {"commands": {command: answer}, "programs": ["docker"]}
        host = make_host({"/stack/docker-compose.yml": ""}, recorded)
        monkeypatch.setattr(dkim_info, "Host", lambda: host)
        return run_module(dkim_info, check_mode, stack=stack, project_src="/stack", **options)

    return run


def test_mailu(run):
    done = run("mailu", {"stdout": "a notice\n" + MAILU + "\n"})
    assert done["dkim"] == {"xn--mller-kva.example": KEY, "example.org": KEY}
    assert done["changed"] is False


def test_mailcow(run):
    wanted = {"example.org": {"selector": "dkim", "public_key": "MIIC"}}
    assert run("mailcow", {"stdout": MAILCOW})["dkim"] == wanted
    # A Redis without keys prints an empty line for each.
    empty = "# DKIM_SELECTORS\n\n# DKIM_PUB_KEYS\n\n"
    assert run("mailcow", {"stdout": empty})["dkim"] == {}


def test_only_some(run):
    assert list(run("mailu", {"stdout": MAILU}, domains=["Example.org"])["dkim"]) == ["example.org"]
    assert "domains has 'x'" in run("mailu", {"stdout": MAILU}, domains=["x"])["msg"]


def test_a_stack_that_does_not_answer(run):
    stopped = {"rc": 1, "stderr": 'service "admin" is not running\n'}
    assert "of /stack does not run" in run("mailu", stopped)["msg"]
    assert run("mailu", stopped, check_mode=True)["dkim"] == {}
    assert "NOAUTH" in run("mailcow", {"rc": 1, "stderr": "NOAUTH\n"})["msg"]
    assert "printed no configuration" in run("mailu", {"stdout": "{}\n"})["msg"]
    assert "did not end within 60 seconds" in run("mailu", {"rc": 124})["msg"]
