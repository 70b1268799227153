# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the byte code of what a host's Python imports from zip files; loaded at each start of it.

Ansible sends each module in such a file, with all that it imports, and Python compiles that anew each
time: a third to a half of what the module costs. What is kept goes by the source, so what has changed is
compiled, and is gone with the host's /run.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport

FOLDER = "/run/sandbox-bytecode"

compile_source = zipimport._compile_source


def kept(pathname, source, *others):
    """Do what zipimport._compile_source does, once for each source."""
    # The hash that Python itself uses where byte code goes by the source.
    name = f"{sys.implementation.cache_tag}-{_imp.source_hash(0, source).hex()}"
    path = f"{FOLDER}/{name}"
    try:
        with open(path, "rb") as file:
            code = marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):
        code = compile_source(pathname, source, *others)
        keep(code, path)
    else:
        # The zip file lies elsewhere each time, and tracebacks say where.
        _imp._fix_co_filename(code, pathname)
    return code


def keep(code, path):
    """Write byte code to a file, whole or not at all."""
    unfinished = f"{path}.{os.getpid()}"
    try:
        os.makedirs(FOLDER, mode=0o700, exist_ok=True)
        with open(unfinished, "wb") as file:
            marshal.dump(code, file)
        os.replace(unfinished, path)
    except OSError:
        # Only root may write there.
        pass


zipimport._compile_source = kept
