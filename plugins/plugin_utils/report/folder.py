# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory with the files of all reports."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import (
    document as data,
)
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import markdown, page

INDEX = "index.html"
#: Longest name of a file without its ending; file systems allow 255 bytes with it.
_LONGEST = 150


def write(path: str, document: Mapping[str, Any]) -> dict[str, str]:
    """Write the files of one host's report, and the index of all reports in the directory.

    Args:
        path: the directory; it is made when it is not there.
        document: see :func:`.document.build`.

    Returns:
        dict: the path of each file, as ``json``, ``markdown``, ``html`` and ``index``.

    Raises:
        FileWriteError: something cannot be written; the text says what and why.
    """
    folder = os.path.abspath(path)
    file_write.make_directory(folder, 0o755)
    stem = os.path.join(folder, file_stem(document["host"]))
    files = {
        "json": (stem + ".json", data.dumps(document)),
        "markdown": (stem + ".md", markdown.render(document)),
        "html": (stem + ".html", page.host(document, INDEX)),
    }
    for name, content in files.values():
        _write(name, content)
    index = os.path.join(folder, INDEX)
    # The hosts of a play report at the same time. Each makes the index anew from what is there:
    # the last one sees all, whichever it is, also when another has failed in the meantime.
    with _locked(folder):
        _write(index, page.index(reports(folder)))
    return {**{kind: name for kind, (name, _content) in files.items()}, "index": index}


def reports(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each host's page in a directory, and its report."""
    for path in sorted(Path(folder).glob("*.json")):
        try:
            found = data.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        # Another file whose name ends in .json may lie there too.
        if found is not None and path.stem == file_stem(found["host"]):
            yield path.stem + ".html", found


def file_stem(host: str) -> str:
    """Return the name of a host's files, without their ending.

    A name that cannot be one, or would be another file's, gets a checksum, so that no two hosts
    share a file.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", host).lstrip(".-")[:_LONGEST]
    if host and safe == host and host.lower() != "index":
        return safe
    return f"{safe}-{hashlib.sha256(host.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _write(path: str, content: str) -> None:
    # A lone half of a surrogate pair, from a name that is no UTF-8, has no encoding.
    file_write.replace(path, content.encode("utf-8", "backslashreplace"), mode=0o644)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Let nobody else make the index meanwhile."""
    try:
        handle = os.open(
            os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
    except OSError as error:
        raise file_write.FileWriteError(f"cannot write {folder}: {error.strerror}") from error
    try:
        # Some network file systems have no locks. Then hosts that report at the very same time
        # may miss each other in the index, until the next run.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
