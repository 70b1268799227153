# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was run last, and passed: kept in last_runs.json for docs/platforms.md.

tests/run.py notes each step that passes below .build. "make record" takes these notes over into the
file of the repository, where the page's tables come from; what was not run keeps its last note.

A note, by the name of its step: ``date`` (ISO 8601), ``version`` (of the collection), ``core``
(ansible-core's line), ``controller`` (its Python), ``targets`` (Pythons in the place of managed hosts'),
``passed``, and ``images`` when hosts were made from published images.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import threading
from pathlib import Path

import cores
from cores import BUILD, ROOT, VENV

KEPT = ROOT / "tests" / "last_runs.json"
NEW = BUILD / "last_runs.json"

_lock = threading.Lock()


def read(path: Path | None = None) -> dict[str, dict]:
    """Return the notes of a file; there are none when it is missing."""
    path = path or KEPT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(path: Path, notes: dict[str, dict]) -> None:
    path.write_text(json.dumps(notes, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def version() -> str:
    """Return the version of the collection."""
    text = (ROOT / "galaxy.yml").read_text(encoding="utf-8")
    return re.search(r"^version: *(\S+)", text, re.MULTILINE).group(1)


def note(step: str, passed: int, core: str = "", controller: str = "", targets=()) -> None:
    """Note that a step has passed, today; of the lanes, one at a time.

    core, controller: those of the environment that the set-up made, if not said.
    """
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": version(),
        "core": core or cores.core_in_use().name,
        "controller": controller or cores.text(cores.python_of(VENV)),
        "targets": list(targets),
        "passed": passed,
    }
    images = os.environ.get("MAILHOST_TEST_IMAGES")
    if images:
        found["images"] = images
    with _lock:
        _write(NEW, {**read(NEW), step: found})


def record() -> int:
    """Take the new notes over; return how many there are."""
    new = read(NEW)
    _write(KEPT, {**read(), **new})
    return len(new)


if __name__ == "__main__":
    number = record()
    print(f"{number} steps recorded in {KEPT.relative_to(ROOT)}")
    sys.exit(0 if number else 1)
