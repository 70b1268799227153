# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack, stack_health
from ansible_collections.postmaster.mailhost.plugins.modules import stack_health as module

sys.path.insert(0, str(Path(__file__).parents[1] / "module_utils"))
from recorded_stack import SSL, Stack


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_result_is_as_documented(run_module, make_host, monkeypatch, check_mode):
    recorded = Stack()
    recorded.files = {SSL + "/cert.pem": "x", SSL + "/key.pem": "x", SSL + "/dhparams.pem": "x"}
    recorded.conf += "SKIP_SOLR=y\n"
    recorded.state(
        "redis-mailcow", Status="exited", ExitCode=137, log="the-redispass-of-the-test\n"
    )
    seen = recorded.look(make_host)
    monkeypatch.setattr(stack_health, "look", lambda *_words: seen)
    result = run_module(module, check_mode, stack="mailcow")
    assert result["changed"] is False
    assert result["summary"]["go"] is False
    assert "the-redispass-of-the-test" not in json.dumps(result)
    documented = yaml.safe_load(module.RETURN)
    assert set(result) - {"changed", "invocation", "warnings"} == set(documented)
    for name in ("findings", "fixes", "containers"):
        fields = set(documented[name]["contains"])
        assert result[name]
        for entry in result[name]:
            assert set(entry) <= fields
    assert [entry["kind"] for entry in result["fixes"]] == ["env_file"]
    dead = [entry for entry in result["containers"] if entry["state"] == "exited"]
    assert [(entry["service"], entry["meaning"]) for entry in dead] == [
        ("redis-mailcow", "SIGKILL: it was killed")
    ]


def test_no_such_stack(run_module, tmp_path):
    result = run_module(module, stack="mailu", path=str(tmp_path))
    assert result["failed"] is True
    assert result[
        "msg"
    ] == "path: {0}/mailu.env is not there; allowed: the directory of {1}".format(
        tmp_path, stack.get("mailu")["title"]
    )


def test_the_documentation_says_what_the_code_does():
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert options["stack"]["choices"] == stack.names("health")
