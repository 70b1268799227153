# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def sourced():
    """Return a function: text -> what bash sees of KEY after it sourced the text.

    None when bash refused it, or when it ran something.
    """
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    script = 'command_not_found_handle() { exit 9; }; set -e; . /dev/stdin; printf "%s." "$KEY"'

    def read(text):
        done = subprocess.run(
            [bash, "--norc", "-c", script],
            input=text,
            capture_output=True,
            text=True,
            env={"PATH": "/nowhere", "HOME": "/root"},
            check=False,
        )
        return done.stdout[:-1] if done.returncode == 0 and done.stdout else None

    return read
