# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module: options reach the logic with their types, and no secret is in an output."""

from __future__ import annotations

import json

from ansible_collections.postmaster.mailhost.plugins.modules import mailu_config_import

COMMAND = "docker compose --project-name mailu exec -T admin flask mailu "
THERE = {"domain": [{"name": "example.org", "dkim_publickey": "MIIB"}], "user": []}


def test_module(run_module, make_host, monkeypatch):
    answers = {
        COMMAND + "config-export --full --dns --json": {"stdout": json.dumps(THERE)},
        COMMAND + "config-import --verbose --update": {
            "stdout": "Created user: {'password': '$hash'}\nCommitting changes. Created: user(1)\n"
        },
    }
    host = make_host(
        {"/mailu/docker-compose.yml": ""}, {"commands": answers, "programs": ["docker"]}
    )
    monkeypatch.setattr(mailu_config_import, "Host", lambda: host)
    users = [{"email": "anna@example.org", "password": "sehr geheim", "quota_bytes": "5000000000"}]
    done = run_module(mailu_config_import, domains=[{"name": "example.org"}], users=users)
    assert done["changed"] is True
    assert done["counters"]["created"] == {"user": 1}
    assert done["changes"][0]["attributes"] == ["password", "quota_bytes"]
    assert '"quota_bytes": 5000000000' in done["diff"]["after"]
    assert "sehr geheim" not in run_module.output and "$hash" not in run_module.output
    refused = run_module(mailu_config_import, users=[{"email": "anna"}])
    assert refused["msg"].startswith("users has 'anna'")


def test_the_options_are_those_of_the_logic(run_module):
    refused = run_module(mailu_config_import, users=[{"email": "a@example.org", "quota": 1}])
    assert "quota" in refused["msg"] and "quota_bytes" in refused["msg"]
