# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that writes files.

A file is replaced whole or not at all: whoever reads it sees the old content or the new one, also
when the power fails in between, and nobody who may not read the new file can read it on its way.
Owner, group and the SELinux label of the old file are kept.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import BinaryIO, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

#: Extended attribute that holds a file's SELinux label.
_LABEL = "security.selinux"

#: Ends the second name that an old file has while others are renamed.
_KEPT = ".old"


class FileWriteError(Exception):
    """A file could not be written; the text is a sentence that names the path and the reason."""


class Replacement(NamedTuple):
    """A file and its new content; see :func:`replace` for what each field means."""

    path: str
    data: bytes
    mode: int | None = None
    owner: int | None = None
    group: int | None = None


class _Ready(NamedTuple):
    """New content that is on the disk below another name.

    Attributes:
        path: path as it was asked for.
        target: path that gets the content.
        temporary: where the content is.
        old: status of the file to be replaced, None when there is none.
        copy_mode: permission bits of a copy of it.
    """

    path: str
    target: str
    temporary: str
    old: os.stat_result | None
    copy_mode: int


class Change(NamedTuple):
    """What a file is and what it is to be: ``changed``, diff and writing come from it alone.

    Attributes:
        path: absolute path.
        before: present content, None when there is no file.
        after: wanted content.
        mode_before: present permission bits, None when there is no file.
        mode: wanted permission bits.
    """

    path: str
    before: bytes | None
    after: bytes
    mode_before: int | None
    mode: int

    @property
    def content_changed(self) -> bool:
        """Whether the content differs; the mode may."""
        return self.before != self.after

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return self.content_changed or self.mode_before != self.mode

    def diff(self) -> dict[str, str]:
        """Return the difference for ``exit_json(diff=...)``. Not for files that hold secrets."""
        return {
            "before_header": _header(self.path, self.mode_before),
            "before": "" if self.before is None else self.before.decode("utf-8", "replace"),
            "after_header": _header(self.path, self.mode),
            "after": self.after.decode("utf-8", "replace"),
        }

    def write(self, backup: bool = True) -> str:
        """Make it so. The backup's path is returned, see :func:`replace`.

        Raises:
            FileWriteError: it could not be written; the text is a sentence.
        """
        if self.content_changed:
            return replace(self.path, self.after, mode=self.mode, backup=backup)
        if self.changed:
            set_attributes(self.path, mode=self.mode)
        return ""


def plan(host: Host, path: str, after: bytes, mode: int) -> Change:
    """Compare a file with what it is to be. Nothing is written.

    Raises:
        FileWriteError: there is something that cannot be read as a file.
    """
    status = host.stat(path)
    if status is None:
        return Change(path, None, after, None, mode)
    before = host.read_bytes(path)
    if before is None:
        kind = "it is a directory" if host.isdir(path) else "permission denied"
        raise FileWriteError("cannot read {0}: {1}".format(path, kind))
    return Change(path, before, after, stat.S_IMODE(status.st_mode), mode)


def place(host: Host, path: str) -> str:
    """Return where a path of a host is written: in a tree of files, below its root."""
    return host.root.rstrip("/") + path


def replace(
    path: str,
    data: bytes,
    mode: int | None = None,
    backup: bool = False,
    owner: int | None = None,
    group: int | None = None,
) -> str:
    """Give a file new content, atomically.

    A symbolic link is followed: it stays, and the file that it leads to is replaced. The new
    content is written to a file in the same directory that nobody but its owner can read until it
    has its final owner, and is then moved over the old one.

    Args:
        path: absolute path; its directory must exist.
        data: the whole content.
        mode: permission bits, for example ``0o600``. None keeps those of the old file; a new file
            is 0600 then.
        backup: keep a copy of the old file, see :func:`backup`.
        owner: numeric user id; None keeps the old file's, or the caller's for a new file.
        group: numeric group id; likewise.

    Returns:
        str: path of the backup, "" when none was asked for or there was no old file.

    Raises:
        FileWriteError: what could not be done, and why. The file is then as it was.
    """
    return replace_all([Replacement(path, data, mode, owner, group)], backup)[0]


def replace_all(
    files: Sequence[Replacement], backup: bool = False, follow: bool = True
) -> list[str]:
    """Give files new content that only fit together, such as a certificate and its key.

    All of them are written to the disk in full before the first one gets its name; what is left
    then is one rename a file. When one of these fails, those before it are taken back.

    Args:
        files: what is to be written; no path twice.
        backup: keep a copy of each old file, see :func:`backup`.
        follow: a symbolic link stays, and the file that it leads to is replaced. False: the link
            itself becomes a file; it is not backed up, as what it leads to stays.

    Returns:
        list[str]: path of each file's backup, "" where there is none.

    Raises:
        FileWriteError: what could not be done, and why. All files are then as they were.
    """
    ready: list[_Ready] = []
    copies = []
    try:
        for file in files:
            ready.append(_prepare(file, follow))
        for item in ready:
            keep = backup and item.old is not None
            copies.append(_copy(item.target, item.copy_mode, item.old) if keep else "")
        _rename(ready)
    finally:
        for item in ready:
            _discard(item.temporary)
            _discard(item.temporary + _KEPT)
    return copies


def _prepare(file: Replacement, follow: bool) -> _Ready:
    """Write a file's new content to the disk, below another name in the same directory."""
    target = _target(file.path) if follow else _own_place(file.path)
    old = None if not follow and os.path.islink(target) else _status(target)
    mode = file.mode
    if mode is None:
        mode = stat.S_IMODE(old.st_mode) if old else 0o600
    label = _label(target) if old else None
    temporary = "{0}/.{1}.{2}".format(
        os.path.dirname(target), os.path.basename(target)[:200], _random()
    )
    try:
        with _create(temporary, mode & 0o600) as stream:
            stream.write(file.data)
            _own(stream.fileno(), old, file.owner, file.group)
            # After the owner: a mode such as 0640 must not show the content to a wrong group.
            os.fchmod(stream.fileno(), mode)
            if label is not None:
                os.setxattr(stream.fileno(), _LABEL, label)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        _discard(temporary)
        raise FileWriteError(_sentence("cannot write", file.path, target, error)) from error
    copy_mode = stat.S_IMODE(old.st_mode) & mode if old else 0
    return _Ready(file.path, target, temporary, old, copy_mode)


def _rename(ready: Sequence[_Ready]) -> None:
    """Give files their names; on failure those that have got theirs are as they were."""
    done: list[_Ready] = []
    for item in ready:
        try:
            # A second name of the old file, to go back to. One file alone needs none.
            if len(ready) > 1 and os.path.lexists(item.target):
                os.link(item.target, item.temporary + _KEPT, follow_symlinks=False)
            os.replace(item.temporary, item.target)
        except OSError as error:
            for earlier in reversed(done):
                _take_back(earlier)
            raise FileWriteError(
                _sentence("cannot write", item.path, item.target, error)
            ) from error
        done.append(item)
    for target in {os.path.dirname(item.target): item.target for item in done}.values():
        _sync_directory(target)


def _take_back(item: _Ready) -> None:
    """Undo one rename."""
    with contextlib.suppress(OSError):
        if os.path.lexists(item.temporary + _KEPT):
            os.replace(item.temporary + _KEPT, item.target)
        else:
            os.unlink(item.target)


def _own_place(path: str) -> str:
    """Return a path with the links of its directory followed, and not its own."""
    if not os.path.isabs(path):
        raise FileWriteError("cannot write {0}: the path is not absolute".format(path))
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


def backup(path: str, mode: int = 0o7777) -> str:
    """Copy a file to ``PATH.YYYYmmddTHHMMSSZ~`` (UTC), readable to nobody who cannot read the file.

    The tilde makes APT, cron and run-parts pass the copy by.

    Args:
        path: absolute path; a link is followed, the copy lies beside the file it leads to.
        mode: the copy has those permission bits that both the file and this have.

    Returns:
        str: path of the copy, "" when there is no such file.

    Raises:
        FileWriteError: the copy cannot be made.
    """
    target = _target(path)
    old = _status(target)
    return _copy(target, stat.S_IMODE(old.st_mode) & mode, old) if old else ""


def set_attributes(
    path: str, mode: int | None = None, owner: int | None = None, group: int | None = None
) -> None:
    """Set mode, owner or group of a file or directory; what is None stays. Links are followed.

    Raises:
        FileWriteError: there is no such file, or it is not permitted.
    """
    target = _target(path)
    try:
        if owner is not None or group is not None:
            os.chown(target, -1 if owner is None else owner, -1 if group is None else group)
        if mode is not None:
            os.chmod(target, mode)
    except OSError as error:
        raise FileWriteError(
            _sentence("cannot set the mode or owner of", path, target, error)
        ) from error


def make_directory(path: str, mode: int = 0o755) -> list[str]:
    """Make a directory and its missing parents, with exactly this mode whatever the umask is.

    Returns:
        list[str]: the directories that were made, outermost first; none when it was there.

    Raises:
        FileWriteError: it cannot be made, or something else stands there.
    """
    target = _target(path)
    missing = []
    place = target
    while not os.path.isdir(place):
        missing.insert(0, place)
        place = os.path.dirname(place)
    for place in missing:
        try:
            os.mkdir(place, mode & 0o700)
            os.chmod(place, mode)
        except OSError as error:
            # Hosts that report at the same time make the same directory.
            if isinstance(error, FileExistsError) and os.path.isdir(place):
                continue
            raise FileWriteError(
                _sentence("cannot make the directory", path, place, error)
            ) from error
    return missing


def remove(path: str) -> bool:
    """Remove a file, or a link and not what it leads to.

    Returns:
        bool: whether there was one.

    Raises:
        FileWriteError: it cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileWriteError(_sentence("cannot remove", path, path, error)) from error
    return True


def _header(path: str, mode: int | None) -> str:
    """Return how a diff names a file."""
    return "{0} ({1})".format(path, "absent" if mode is None else "mode {0:04o}".format(mode))


def _target(path: str) -> str:
    """Return the path that a path leads to when every link is followed."""
    if not os.path.isabs(path):
        raise FileWriteError("cannot write {0}: the path is not absolute".format(path))
    target = os.path.realpath(path)
    if os.path.islink(target):
        raise FileWriteError("cannot write {0}: its symbolic links go in circles".format(path))
    return target


def _status(target: str) -> os.stat_result | None:
    """Return the status of the file to be replaced, or None when there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileWriteError(_sentence("cannot write", target, target, error)) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise FileWriteError("cannot write {0}: it is {1}".format(target, kind))
    return status


def _copy(target: str, mode: int, old: os.stat_result) -> str:
    """Copy a file, its owner and label to a name that is free, and return that name."""
    import time

    base = "{0}.{1}".format(target, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    label = _label(target)
    for number in range(100):
        name = base + ("" if number == 0 else "-{0}".format(number)) + "~"
        try:
            with open(target, "rb") as source, _create(name, mode & 0o600) as stream:
                stream.write(source.read())
                _own(stream.fileno(), old, None, None)
                os.fchmod(stream.fileno(), mode)
                if label is not None:
                    os.setxattr(stream.fileno(), _LABEL, label)
                stream.flush()
                os.fsync(stream.fileno())
            return name
        except FileExistsError:
            continue  # two changes within a second
        except OSError as error:
            _discard(name)
            raise FileWriteError(_sentence("cannot back up", target, name, error)) from error
    raise FileWriteError("cannot back up {0}: {1}~ and 99 more exist".format(target, base))


def _create(path: str, mode: int) -> BinaryIO:
    """Open a new file for writing that has this mode from its first moment."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, mode), "wb")


def _own(handle: int, old: os.stat_result | None, owner: int | None, group: int | None) -> None:
    """Set owner and group of an open file: as asked for, else as the old file has them."""
    now = os.fstat(handle)
    uid = owner if owner is not None else old.st_uid if old else now.st_uid
    gid = group if group is not None else old.st_gid if old else now.st_gid
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.fchown(handle, uid, gid)


def _label(target: str) -> bytes | None:
    """Return a file's SELinux label, None without SELinux or when the file has none."""
    if not os.path.exists("/sys/fs/selinux/enforce"):
        return None
    try:
        return os.getxattr(target, _LABEL)
    except OSError:
        return None


def _sync_directory(target: str) -> None:
    """Write the directory's new entry to the disk, where the file system can do that."""
    try:
        handle = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _discard(path: str) -> None:
    """Remove a file that was begun, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _random() -> str:
    """Return eight characters that nobody can foresee."""
    return os.urandom(4).hex()


def _sentence(action: str, path: str, target: str, error: OSError) -> str:
    """Say what failed, why, and where a link led."""
    where = path if path == target or path in target else "{0} ({1})".format(path, target)
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        reason = "the directory {0} does not exist".format(os.path.dirname(target))
    return "{0} {1}: {2}".format(action, where, reason)
