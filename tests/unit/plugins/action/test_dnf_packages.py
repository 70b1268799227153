# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which module the action runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.postmaster.mailhost.plugins.action import dnf_packages

OURS, THEIRS = "postmaster.mailhost.dnf_packages", "ansible.builtin.dnf"


class Action(dnf_packages.ActionModule):
    """Has a host that answers for each module."""

    def __init__(self, answers):
        self.answers = answers
        self.ran = []
        self._task = SimpleNamespace(args={"name": ["nftables"]})

    def _execute_module(self, module_name, module_args, task_vars):
        assert module_args == {"name": ["nftables"]}
        self.ran.append(module_name)
        return self.answers[module_name]


@pytest.mark.parametrize(
    ("ours", "ran", "changed"),
    [
        ({"changed": False, "bindings": True}, [OURS, THEIRS], True),
        ({"changed": True, "bindings": False, "added": ["nftables"]}, [OURS], True),
        ({"failed": True, "msg": "dnf failed"}, [OURS], None),
    ],
)
def test_ansibles_own_module_does_it_where_it_can(monkeypatch, ours, ran, changed):
    monkeypatch.setattr(dnf_packages.ActionBase, "run", lambda *args: {})
    action = Action({OURS: ours, THEIRS: {"changed": True, "rc": 0}})
    result = action.run()
    assert (action.ran, result.get("changed")) == (ran, changed)
    assert result.get("failed") == ours.get("failed")
