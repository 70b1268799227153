# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a Compose project, and which of its services have not read them yet.

A container that reads a file when it starts has the old content until it is started anew. That is
seen from the file's time of change and the container's start, so that a run which was cut off
between the two is made up for by the next one.
"""

from __future__ import annotations

import posixpath
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_api import (
    DockerApi,
    DockerError,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

#: Names the files that were written here before, one a line; it is in the project's directory.
MANIFEST = ".mailhost-files"


class ProjectFilesError(Exception):
    """What is wanted is not possible; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done in a project's directory.

    Attributes:
        root: the directory.
        directories: absolute paths of those that are missing.
        changes: files to write, those that are as they should be left out.
        gone: files that were written before and are not wanted any more: absolute path -> text.
        manifest: the list of files, as a change of its own.
    """

    root: str
    directories: list[str]
    changes: list[file_write.Change]
    gone: dict[str, str]
    manifest: file_write.Change

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.directories or self.changes or self.gone or self.manifest.changed)

    def names(self) -> list[str]:
        """Paths of the files that change, below the root."""
        paths = [change.path for change in self.changes] + list(self.gone)
        return sorted(path[len(self.root) + 1 :] for path in paths)

    def diff(self) -> list[dict]:
        """What changes, for ``exit_json(diff=...)``."""
        made = [(path, "", "a directory\n") for path in self.directories]
        removed = [(path, text, "") for path, text in self.gone.items()]
        return [change.diff() for change in self.changes] + [
            {"before_header": path, "before": before, "after_header": path, "after": after}
            for path, before, after in made + removed
        ]


def plan(host: Host, root: str, directories: list[str], files: list[dict]) -> Plan:
    """Compare a project's directory with what is wanted in it. Nothing is written.

    Args:
        host: where it is.
        root: absolute path of the directory; need not exist.
        directories: paths below it that must exist.
        files: ``path`` (below the root), ``content`` and ``mode`` (octal digits).

    Raises:
        ProjectFilesError: a path that leads out of the directory, or is named twice.
        file_write.FileWriteError: something stands in a file's place.
    """
    root = root.rstrip("/")
    wanted = {}
    for entry in files:
        path = _below(root, entry["path"])
        if path in wanted:
            raise ProjectFilesError("files: {0} is named twice".format(entry["path"]))
        wanted[path] = file_write.plan(
            host, path, entry["content"].encode("utf-8"), int(entry["mode"], 8)
        )
    needed = {root} | {_below(root, name) for name in directories}
    needed |= {posixpath.dirname(path) for path in wanted}
    manifest = "{0}/{1}".format(root, MANIFEST)
    before = (host.read(manifest) or "").split("\n")
    gone = [_below(root, name) for name in before if name]
    listing = "".join(path[len(root) + 1 :] + "\n" for path in sorted(wanted))
    return Plan(
        root,
        [path for path in sorted(needed) if not host.isdir(path)],
        [change for change in wanted.values() if change.changed],
        {path: host.read(path) or "" for path in gone if path not in wanted and host.exists(path)},
        file_write.plan(host, manifest, listing.encode("utf-8"), 0o644),
    )


def apply(host: Host, wanted: Plan) -> list[str]:
    """Make it so; a file's old content is kept beside it.

    The list of files is written first: a run that is cut off may leave a file unwritten, and never
    one that nobody knows of.

    Returns:
        Paths of the copies.

    Raises:
        file_write.FileWriteError: something could not be written.
    """
    copies = []
    for path in wanted.directories:
        file_write.make_directory(file_write.place(host, path), 0o755)
    known = wanted.manifest
    both = set((known.before or b"").splitlines(True)) | set(known.after.splitlines(True))
    _write(host, known._replace(after=b"".join(sorted(both))), backup=False)
    for change in wanted.changes:
        copies.append(_write(host, change))
    for path in wanted.gone:
        copies.append(file_write.backup(file_write.place(host, path)))
        file_write.remove(file_write.place(host, path))
    _write(host, known._replace(before=None), backup=False)
    return [copy for copy in copies if copy]


def _write(host: Host, change: file_write.Change, backup: bool = True) -> str:
    return change._replace(path=file_write.place(host, change.path)).write(backup=backup)


def _below(root: str, name: str) -> str:
    path = posixpath.normpath("{0}/{1}".format(root, name))
    if name.startswith("/") or not path.startswith(root + "/") or "\n" in name:
        raise ProjectFilesError(
            "{0!r} is not below {1}; allowed: a path without '..'".format(name, root)
        )
    return path


def unread(
    host: Host, root: str, watch: dict[str, list[str]], containers: list[dict], changing: list[str]
) -> list[str]:
    """Return the services whose containers were started before a file that they read at start.

    Args:
        host: where the files are.
        root: directory of the project.
        watch: service -> directories and files below the root that it reads when it starts.
        containers: what ``docker inspect`` shows of the project's containers.
        changing: files, below the root, that are about to change.

    Returns:
        Names of services that run, sorted.
    """
    found = set()
    for container in containers:
        name = container["Config"]["Labels"].get("com.docker.compose.service", "")
        if name not in watch or container["State"]["Status"] != "running":
            continue
        places = watch[name]
        soon = any(
            path == place or path.startswith(place + "/") for path in changing for place in places
        )
        latest = max((_changed_at(host, _below(root, place)) for place in places), default=0.0)
        if soon or latest > _started(container):
            found.add(name)
    return sorted(found)


def _changed_at(host: Host, path: str) -> float:
    """The latest time of change at or below a path, in seconds since the epoch; 0 for nothing.

    The inode's time, which nobody can set. A directory's is that of its last new or removed file.
    """
    status = host.stat(path)
    if status is None:
        return 0.0
    latest = status.st_ctime
    if host.isdir(path):
        for name in host.listdir(path):
            # Copies of earlier content are not read.
            if not name.endswith("~"):
                latest = max(latest, _changed_at(host, "{0}/{1}".format(path, name)))
    return latest


def _started(container: dict) -> float:
    """When a container was started, by Docker's timestamp (RFC 3339, nanoseconds)."""
    text = container["State"]["StartedAt"]
    moment = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    fraction = text[19:].rstrip("Z")
    return moment.timestamp() + (float("0" + fraction) if fraction.startswith(".") else 0.0)


def manage(host: Host, params: dict, check_mode: bool, api: DockerApi | None = None) -> dict:
    """Bring a project's files into the state wanted.

    Args:
        host: where they are.
        params: the options of the module ``project_files``.
        check_mode: plan only.
        api: the engine to ask.

    Returns:
        The module's result.

    Raises:
        ProjectFilesError, file_write.FileWriteError: see :func:`plan` and :func:`apply`.
    """
    root = params["root"].rstrip("/")
    if not root.startswith("/"):
        raise ProjectFilesError("root: {0!r}; allowed: an absolute path".format(params["root"]))
    texts = {name: host.read(_below(root, name)) for name in params["read"]}
    wanted = plan(host, root, params["directories"], params["files"])
    names = wanted.names()
    copies = []
    if wanted.changed and not check_mode:
        copies = apply(host, wanted)
    try:
        containers = (api or DockerApi()).containers(params["project"]) if params["watch"] else []
    except DockerError:
        containers = []  # no engine, no container that could have read anything
    restart = unread(host, root, params["watch"], containers, names if check_mode else [])
    return {
        "changed": wanted.changed,
        "changed_files": names,
        "texts": texts,
        "restart": restart,
        "backup_files": copies,
        "diff": wanted.diff(),
    }
