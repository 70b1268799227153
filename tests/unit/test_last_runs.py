# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import last_runs

NOTE = {
    "date": "2020-01-01",
    "version": "0.0.1",
    "core": "2.18",
    "controller": "3.11",
    "targets": [],
    "passed": 3,
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(last_runs, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(last_runs, "NEW", tmp_path / "new.json")
    monkeypatch.delenv("MAILHOST_TEST_IMAGES", raising=False)
    return tmp_path


def test_a_note_says_when_with_what_and_how_many(files):
    last_runs.note("sanity-2.20", 5, core="2.20", controller="3.12", targets=["3.9"])
    (found,) = json.loads(last_runs.NEW.read_text()).values()
    assert datetime.date.fromisoformat(found.pop("date"))
    assert found == {
        "version": last_runs.version(),
        "core": "2.20",
        "controller": "3.12",
        "targets": ["3.9"],
        "passed": 5,
    }


def test_published_images_are_noted(files, monkeypatch):
    monkeypatch.setenv("MAILHOST_TEST_IMAGES", "upstream")
    last_runs.note("molecule-platforms", 1, core="2.19", controller="3.11")
    assert last_runs.read(last_runs.NEW)["molecule-platforms"]["images"] == "upstream"


def test_what_was_not_run_keeps_its_note(files):
    last_runs.KEPT.write_text(json.dumps({"kernel": NOTE, "unit": NOTE}))
    last_runs.NEW.write_text(json.dumps({"unit": {**NOTE, "passed": 4}}))
    assert last_runs.record() == 1
    assert last_runs.read(last_runs.KEPT) == {"kernel": NOTE, "unit": {**NOTE, "passed": 4}}


def test_without_a_run_nothing_is_recorded(files):
    assert last_runs.record() == 0
