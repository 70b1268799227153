# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules run in this process, as Ansible would run them on a host."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic


@pytest.fixture
def run_module(monkeypatch, capsys):
    """Return a function: module, check mode and options -> the module's result, and its output."""

    def run(module, check_mode=False, **options):
        arguments = dict(options, _ansible_check_mode=check_mode, _ansible_diff=True)
        data = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", data)
        # From ansible-core 2.19 on the arguments come in one of several encodings.
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit) as end:
            module.main()
        run.output = capsys.readouterr().out
        result = json.loads(run.output)
        assert bool(end.value.code) is bool(result.get("failed"))
        return result

    return run
