# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

from ansible_collections.postmaster.mailhost.plugins.callback import preload

PLUGINS = Path(__file__).parents[4] / "plugins"
BASE = "ansible_collections.postmaster.mailhost.plugins"


def test_every_plugin_of_the_controller_is_loaded(monkeypatch):
    names = {
        f"{BASE}.{kind}.{path.stem}"
        for kind in ("action", "filter", "lookup")
        for path in (PLUGINS / kind).glob("[!_]*.py")
    }
    assert len(names) > 10
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    preload.CallbackModule().v2_playbook_on_start(None)
    assert names <= set(sys.modules)


def test_a_plugin_that_cannot_be_loaded_is_left_to_the_task_that_needs_it(monkeypatch):
    def refuse(name):
        tried.append(name)
        raise ImportError(name)

    tried = []
    monkeypatch.setattr(preload.importlib, "import_module", refuse)
    preload.CallbackModule().v2_playbook_on_start(None)
    assert f"{BASE}.lookup.stack" in tried


def test_it_is_enabled_by_name_only():
    assert preload.CallbackModule.CALLBACK_NEEDS_ENABLED
    assert preload.CallbackModule.CALLBACK_NAME == "postmaster.mailhost.preload"
    config = (PLUGINS.parent / "ansible.cfg").read_text(encoding="utf-8")
    assert f"\ncallbacks_enabled = {preload.CallbackModule.CALLBACK_NAME}\n" in config
