# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action with a host that is a dictionary of files."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.action import compose_override

PATH = "/opt/stack/docker-compose.override.yml"
MTU = {"networks": {"n": {"driver_opts": {"mtu": "1450"}}}}


class Action(compose_override.ActionModule):
    """Reads and writes ``files`` instead of a host's."""

    def __init__(self, files, check_mode=False, **arguments):
        self.files = files
        self._task = SimpleNamespace(check_mode=check_mode)
        self.arguments = {"path": PATH, "backup": True, **arguments}

    def validate_argument_spec(self, argument_spec):
        return None, self.arguments

    def _execute_module(self, module_name, module_args, task_vars):
        assert module_name == "ansible.legacy.slurp"
        if module_args["src"] not in self.files:
            return {"failed": True, "msg": "file not found: " + module_args["src"]}
        content = self.files[module_args["src"]]
        if content is None:
            return {"failed": True, "msg": "file is not readable"}
        return {"content": base64.b64encode(content.encode())}

    def _write(self, args, content, task_vars):
        self.files[args["path"]] = content
        return {"backup_file": args["path"] + "~"}


@pytest.fixture
def run(monkeypatch):
    """Return a function: file content (or none) and override -> result, new content."""
    monkeypatch.setattr(compose_override.ActionBase, "run", lambda *args: {})

    def run(content, override, check_mode=False):
        files = {} if content == "" else {PATH: content}
        result = Action(files, check_mode, override=override).run()
        return result, files.get(PATH, "")

    return run


def test_a_new_file_and_then_nothing_to_do(run):
    result, text = run("", MTU)
    assert result["changed"] is True
    assert result["sections"] == ["networks"]
    assert yaml.safe_load(text) == MTU
    assert text.startswith("# Managed by Ansible")
    result, again = run(text, MTU)
    assert result["changed"] is False
    assert result["sections"] == []
    assert again == text


def test_nothing_wanted_makes_no_file(run):
    assert run("", {}) == ({"changed": False, "path": PATH, "sections": []}, "")


def test_check_mode_foretells_and_writes_nothing(run):
    result, text = run("", MTU, check_mode=True)
    assert result["changed"] is True
    assert yaml.safe_load(result["diff"]["after"]) == MTU
    assert text == ""


def test_what_is_there_stays_with_composes_own_tags(run):
    present = (
        "services:\n"
        "  a:\n"
        "    ports: !override\n"
        "      - 8080:80\n"
        "    environment: !reset null\n"
        "    labels: !reset {x: 1}\n"
    )
    result, text = run(present, MTU)
    assert result["sections"] == ["networks"]
    assert "ports: !override\n" in text
    assert "environment: !reset" in text
    assert "labels: !reset\n" in text
    # The text that was written is read the same again.
    assert run(text, MTU)[0]["changed"] is False


def test_lists_get_what_they_lack(run):
    present = "services:\n  a:\n    ports:\n      - 25:25\n"
    wanted = {"services": {"a": {"ports": ["25:25", "2525:25"]}}}
    assert yaml.safe_load(run(present, wanted)[1]) == wanted


def test_values_are_read_as_compose_reads_them():
    text = "[22:22, yes, on, 2026-01-02, 1_000, 0755, 0x1F, -3, 1.5, true, null, ~, '1', 1e3]"
    assert yaml.load(text, Loader=compose_override.Loader) == [
        *("22:22", "yes", "on", "2026-01-02", "1_000"),
        *(0o755, 31, -3, 1.5, True, None, None, "1", "1e3"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "is not touched, as it cannot be merged"),
        ("- a\n- b\n", "it holds no mapping"),
        ("networks: []\n", "networks: a list stands in the file where a mapping is wanted"),
        (None, "file is not readable"),
    ],
)
def test_a_file_that_cannot_be_merged_is_not_touched(run, content, message):
    result, text = run(content, MTU)
    assert result["failed"] is True
    assert message in result["msg"]
    assert text == content
