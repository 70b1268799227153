# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for get-pip where ansible-test asks for it: pip comes from Python itself.

ansible-test calls it with options and the packages to install (pip, setuptools,
wheel with their versions), in a new virtual environment that was made without pip.
Must run on every Python that ansible-test knows.
"""

from __future__ import annotations

import subprocess
import sys

# As a child process: inside this one, ensurepip would point pip's settings at
# nothing, and the children would inherit that.
subprocess.check_call([sys.executable, "-m", "ensurepip"])
# These two are options of get-pip alone.
arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
if any(not word.startswith("-") for word in arguments):
    subprocess.check_call([sys.executable, "-m", "pip", "install", *arguments])
