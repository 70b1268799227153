# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Byte code that hosts of the sandbox keep of what is imported from zip files."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HOST = Path(__file__).resolve().parents[2] / "sandbox" / "host"
PROGRAM = """
import sys
sys.path[:0] = [{host!r}]
import sandbox_bytecode
sandbox_bytecode.FOLDER = {folder!r}
sys.path[:0] = [{archive!r}]
import answer
print(answer.VALUE, answer.tell.__code__.co_filename)
"""


@pytest.fixture
def imported(tmp_path):
    """Return a function: source of a module, name of a zip file -> what importing it from there gives."""

    def run(source: str, name: str) -> str:
        archive = tmp_path / name
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("answer.py", source + "\ndef tell(): pass\n")
        program = PROGRAM.format(
            host=str(HOST), folder=str(tmp_path / "kept"), archive=str(archive)
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert not done.stderr
        value, place = done.stdout.split()
        assert place == f"{archive}/answer.py"
        return value

    return run


def kept(folder):
    return {path.name: path.stat().st_ino for path in (folder / "kept").iterdir()}


def test_the_same_source_is_compiled_once_wherever_it_lies(imported, tmp_path):
    assert imported("VALUE = 1", "first.zip") == "1"
    before = kept(tmp_path)
    assert len(before) == 1
    assert imported("VALUE = 1", "second.zip") == "1"
    assert kept(tmp_path) == before


def test_another_source_is_compiled(imported, tmp_path):
    assert imported("VALUE = 1", "first.zip") == "1"
    assert imported("VALUE = 2", "first.zip") == "2"
    assert len(kept(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"\xe3", b"nonsense", b"\xff" * 40])
def test_what_cannot_be_read_is_compiled(imported, tmp_path, content):
    imported("VALUE = 1", "first.zip")
    (path,) = (tmp_path / "kept").iterdir()
    path.write_bytes(content)
    assert imported("VALUE = 1", "first.zip") == "1"
    assert path.read_bytes() != content


def test_where_nothing_can_be_kept_everything_is_compiled(imported, tmp_path):
    (tmp_path / "kept").write_text("in the way")
    assert imported("VALUE = 1", "first.zip") == "1"
