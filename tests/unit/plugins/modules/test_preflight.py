# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.modules import preflight

ROLE = Path(__file__).parents[4] / "roles" / "preflight"


@pytest.fixture
def run(monkeypatch, run_module, host_tree):
    """Return a function: name of a machine and options -> the module's result."""

    def run(name, check_mode=False, **options):
        options.setdefault("stack", "mailcow")
        # No network is recorded for these machines, only their name servers.
        options.setdefault("offline", True)
        monkeypatch.setattr(preflight, "Host", lambda: host_tree(name))
        return run_module(preflight, check_mode, **options)

    return run


@pytest.mark.parametrize("check_mode", [False, True])
def test_go(run, check_mode):
    result = run("debian12-kvm", check_mode)
    assert result["changed"] is False
    assert result["summary"]["go"] is True
    assert {item["status"] for item in result["findings"]} == {"ok", "skip"}
    assert result["route"]["ipv4"]["source"] == "203.0.113.10"


def test_no_go_is_an_answer_and_no_failure(run):
    result = run("vps-2gb-no-swap")
    assert "failed" not in result
    assert result["summary"]["go"] is False
    assert [item["status"] for item in result["findings"]][:4] == ["fail", "fail", "fail", "ok"]
    assert result["summary"]["fail"] == 3


def test_options_arrive(run):
    result = run(
        "vps-2gb-no-swap",
        memory_mib=1900,
        swap_mib=0,
        disk_gib=10,
        cpu_mhz=5000,
        install_path="/srv/mail",
        config={"HTTP_PORT": "8080", "SKIP_CLAMD": "y"},
        only=["resources.cpu", "resources.memory", "resources.disk", "ports", "commands"],
        skip=["commands"],
        accept=["resources.cpu"],
        fail_on="warn",
    )
    told = {item["id"]: item for item in result["findings"] if item["status"] != "ok"}
    assert {name: item["status"] for name, item in told.items()} == {
        "resources.cpu": "warn",
        "commands.required": "skip",
    }
    assert result["summary"]["go"] is False
    everything = json.dumps(result)
    assert "/srv/mail" in everything
    assert "tcp 8080" in everything


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stack": "postfix"}, "value of stack must be one of: mailcow, mailu, got: postfix"),
        ({"fail_on": "always"}, "value of fail_on must be one of: fail, warn, never"),
        ({"memory_mib": -5}, "memory_mib is -5; allowed: 0 or more"),
        ({"only": ["port"]}, "only has 'port'; allowed: platform,"),
        ({"config": {"SMTP_PORT": "70000"}}, "SMTP_PORT is '70000'"),
        ({"install_path": "opt"}, "allowed: an absolute path"),
        ({"mirrors": {"ghcr.io": "https://registry"}}, "mirrors: ghcr.io is 'https://registry'"),
        ({"smtp_targets": ["mx:25"]}, "smtp_targets has 'mx:25'"),
        ({"proxy": "socks5://proxy"}, "proxy is not usable"),
    ],
)
def test_bad_options(run, options, text):
    result = run("debian12-kvm", **options)
    assert result["failed"] is True
    assert text in result["msg"]


def test_the_role_has_every_option_of_the_module():
    options = yaml.safe_load(preflight.DOCUMENTATION)["options"]
    assert options["stack"]["choices"] == stack.names()
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    variables = specs["argument_specs"]["main"]["options"]
    (look,) = [
        task["postmaster.mailhost.preflight"]
        for task in yaml.safe_load((ROLE / "tasks" / "look.yml").read_text(encoding="utf-8"))
        if "postmaster.mailhost.preflight" in task
    ]
    assert {"preflight_" + name for name in options} <= set(variables)
    assert set(look) == set(options)
    for name, option in options.items():
        variable = variables["preflight_" + name]
        assert look[name] == "{{ preflight_" + name + " }}" or name == "config"
        for aspect in ("type", "elements", "choices"):
            assert variable.get(aspect) == option.get(aspect), name
        # What concerns the whole host is said once, in a variable of its own.
        if "mailhost_" not in str(variable.get("default")):
            # No default and an empty one are the same.
            assert (variable.get("default") or None) == (option.get("default") or None), name
