# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owner and mode of everything below vpopmail's domains.

vpopmail makes directories 0700 and files 0600, and qmail-local refuses to deliver by a ``.qmail`` file
that others may write or that is executable. The accounts below own what is in the tree, and may put
anything there at any moment: nothing is done by name. Each directory is opened from the one above it,
links are not followed, and what is changed is what was looked at.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import qmail_users
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_users import printable

#: Where vpopmail has its domains unless somebody says otherwise.
DOMAINS = "/home/vpopmail/domains"

OWNER = "vpopmail"
GROUP = "vchkpw"
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

#: Paths in a result.
SHOWN = 20

# Each level takes one of the process' open files.
_DEPTH = 100

# Somebody keeps qmail away while he changes a .qmail file: qmail-local(8).
_STICKY = stat.S_ISVTX

# Directories in /var that hold more than mailboxes.
_SHARED = ("cache", "lib", "log", "mail", "qmail", "spool")

# What belongs to the system; vpopmail may well be in /usr/local.
_NEVER = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "usr")


class PermissionsError(Exception):
    """The tree cannot be looked at; the text is a sentence."""


class Rights(NamedTuple):
    """What everything is to have: numbers of owner and group, permission bits."""

    owner: int
    group: int
    directory_mode: int = DIRECTORY_MODE
    file_mode: int = FILE_MODE


class Deviation(NamedTuple):
    """Something that is not as it is to be.

    Attributes:
        path: what can be shown of its path.
        before, after: owner, group and mode, as numbers.
    """

    path: str
    before: str
    after: str


class Outcome:
    """What was found in a tree, and changed unless it was only looked at.

    Attributes:
        path: top of the tree.
        looked: number of directories, files and links.
        directories, files, links: number of those that deviate.
        owner, mode: number of those with another owner or group, and with another mode.
        first: the first deviations.
        left: number of those that are not touched, or could not be.
        left_first: the first of these, each with the reason.
        others: directories that stay as they are, and why.
    """

    def __init__(self, path: str, others: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.others = others or {}
        self.looked = 0
        self.directories = 0
        self.files = 0
        self.links = 0
        self.owner = 0
        self.mode = 0
        self.first: list[Deviation] = []
        self.left = 0
        self.left_first: list[str] = []

    @property
    def deviating(self) -> int:
        """Number of everything that deviates and can be mended."""
        return self.directories + self.files + self.links

    def leave(self, path: str, reason: str) -> None:
        """Count something that stays as it is."""
        self.left += 1
        if len(self.left_first) < SHOWN:
            self.left_first.append("{0}: {1}".format(printable(path), reason))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and the first paths, ready for ``exit_json``."""
        return {
            "top": self.path,  # Ansible would add its own facts to a "path"
            "looked": self.looked,
            "deviating": self.deviating,
            "directories": self.directories,
            "files": self.files,
            "links": self.links,
            "owner": self.owner,
            "mode": self.mode,
            "paths": [item.path for item in self.first],
            "left": self.left,
            "left_paths": self.left_first,
        }


def rights(
    host: Host,
    owner: str = OWNER,
    group: str = GROUP,
    directory_mode: str = "0700",
    file_mode: str = "0600",
) -> Rights:
    """Return what everything is to have.

    Args:
        host: the host, for the numbers of ``owner`` and ``group``.
        owner: name or number of a user.
        group: name or number of a group.
        directory_mode: permission bits, octal.
        file_mode: likewise.

    Raises:
        PermissionsError: one cannot serve; the text names the option, its value and what is allowed.
    """
    ids = []
    for option, name, path in (("owner", owner, "/etc/passwd"), ("group", group, "/etc/group")):
        number = number_of(host, path, name)
        if number is None:
            raise PermissionsError(
                "{0} is {1!r}; allowed: one that {2} has, or a number".format(option, name, path)
            )
        ids.append(number)
    modes = []
    for option, text, least in (
        ("directory_mode", directory_mode, 0o700),
        ("file_mode", file_mode, 0o600),
    ):
        try:
            mode = int(text, 8)
        except ValueError:
            mode = -1
        # What is writable to others is not delivered to, and executable .qmail files neither.
        allowed = least | (0o050 if least & 0o100 else 0o040)
        if mode < 0 or mode & least != least or mode & ~allowed:
            raise PermissionsError(
                "{0} is {1!r}; allowed: from {2:04o} to {3:04o}".format(
                    option, text, least, allowed
                )
            )
        modes.append(mode)
    return Rights(ids[0], ids[1], modes[0], modes[1])


def number_of(host: Host, path: str, name: str) -> int | None:
    """Return the number of a user or group, or None when the host has none of that name.

    Args:
        host: the host.
        path: ``/etc/passwd`` or ``/etc/group``.
        name: its name, or a number.
    """
    if name.isdigit():
        return int(name)
    for line in (host.read(path) or "").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
            return int(fields[2])
    return None


def check_path(host: Host, path: str) -> str:
    """Return the path of a tree without superfluous slashes.

    Raises:
        PermissionsError: everything below it can hardly be vpopmail's.
    """
    tidy = os.path.normpath(path)
    parts = tidy.split("/")[1:]
    local = parts[:2] == ["usr", "local"]
    system = parts[0] in _NEVER and not local
    shared = len(parts) == 2 and parts[0] == "var" and parts[1] in _SHARED
    # Homes of vpopmail, qmail or Postfix have programs or a queue, a directory of domains has neither.
    home = any(host.isdir("{0}/{1}".format(tidy, name)) for name in ("bin", "queue"))
    wrong = system or shared or home
    if not path.startswith("/") or wrong or len(parts) < (3 if local else 2):
        raise PermissionsError(
            "path is {0!r}; allowed: vpopmail's directory of domains, such as {1}".format(
                path, DOMAINS
            )
        )
    return tidy


def assigned(host: Host, home: str, wanted: Rights) -> dict[str, str]:
    """Return directories that users/assign gives to somebody else, each with the reason to leave it.

    qmail-local delivers as that user, who could not read a ``.qmail`` file that is vpopmail's only.

    Args:
        host: the host.
        home: where qmail is.
        wanted: whose everything else is.
    """
    assign = qmail_users.read(host, home)
    return {
        host.realpath(entry.home): "users/assign gives it to {0}:{1}".format(
            printable(entry.uid), printable(entry.gid)
        )
        for entry in (assign.entries if assign else ())
        if (entry.uid, entry.gid) != (str(wanted.owner), str(wanted.group))
    }


def walk(
    host: Host, path: str, wanted: Rights, write: bool, others: Mapping[str, str] | None = None
) -> Outcome:
    """Look at everything in a tree, and mend what deviates.

    Args:
        host: the host.
        path: top of the tree. None of its directories may be a link: whoever owns one could have the
            system's files given away.
        wanted: what everything is to have.
        write: False only looks.
        others: directories that stay as they are, with all that is in them, and the reason; see
            :func:`assigned`.

    Raises:
        PermissionsError: the top cannot be opened.
    """
    tidy = check_path(host, path)
    outcome = Outcome(tidy, others)
    handle = _open(host, tidy)
    try:
        _directory(handle, tidy, wanted, write, outcome, 0)
    finally:
        os.close(handle)
    return outcome


def result(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as the module's return values."""
    diff = {}
    if outcome.deviating:
        more = outcome.deviating - len(outcome.first)
        rest = "… and {0} more\n".format(more) if more else ""
        header = "below " + outcome.path
        diff = {
            "before_header": header,
            "before": "".join("{0}: {1}\n".format(i.path, i.before) for i in outcome.first) + rest,
            "after_header": header,
            "after": "".join("{0}: {1}\n".format(i.path, i.after) for i in outcome.first) + rest,
        }
    return dict(outcome.to_dict(), changed=outcome.deviating > 0, diff=diff)


def _open(host: Host, path: str) -> int:
    """Open a directory, one after the other from the root, without following a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(host.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    place = ""
    for part in path.split("/")[1:]:
        place += "/" + part
        try:
            below = os.open(part, flags, dir_fd=handle)
        except OSError as error:
            target = host.readlink(place)
            reason = error.strerror
            if target is not None:
                reason = "{0} is a link to {1}; name the directory itself".format(place, target)
            elif place != path:
                reason = "{0}: {1}".format(place, reason)
            raise PermissionsError("path is {0!r}: {1}".format(path, reason)) from error
        finally:
            os.close(handle)
        handle = below
    return handle


def _directory(
    handle: int, path: str, wanted: Rights, write: bool, outcome: Outcome, depth: int
) -> None:
    """Look at an open directory and at what is in it."""
    if path in outcome.others:
        outcome.leave(path, outcome.others[path])
        return
    try:
        _compare(handle, path, os.fstat(handle), wanted, write, outcome)
        below = _entries(handle, path, wanted, write, outcome)
    except OSError as error:
        outcome.leave(path, error.strerror or str(error))
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    for name in below:
        place = path + "/" + name
        if depth >= _DEPTH:
            outcome.leave(place, "more than {0} directories deep".format(_DEPTH))
            continue
        try:
            inner = os.open(name, flags, dir_fd=handle)
        except FileNotFoundError:
            continue  # mail comes and goes
        except OSError as error:
            outcome.leave(place, error.strerror)
            continue
        try:
            reason = _foreign(handle, inner, name)
            if reason:
                outcome.leave(place, reason)
            else:
                _directory(inner, place, wanted, write, outcome, depth + 1)
        finally:
            os.close(inner)


def _foreign(above: int, handle: int, name: str) -> str:
    """Say why an open directory is not vpopmail's, wherever it is; empty when it may be."""
    status = os.fstat(handle)
    if status.st_dev != os.fstat(above).st_dev:
        return "another file system"
    # fsck puts there what it finds, whoever it was of.
    return "of the file system" if name == "lost+found" and status.st_uid == 0 else ""


def _entries(handle: int, path: str, wanted: Rights, write: bool, outcome: Outcome) -> list[str]:
    """Look at what is in an open directory; return the names of its directories, in order."""
    below = []
    right = (stat.S_IFREG | wanted.file_mode, wanted.owner, wanted.group)
    with os.scandir(handle) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.name)
                continue
            try:
                status = entry.stat(follow_symlinks=False)
                if (status.st_mode, status.st_uid, status.st_gid) == right:
                    outcome.looked += 1
                    continue
                place = path + "/" + entry.name
                # Neither opens nor follows it, and it stays the same thing whatever happens to the
                # name.
                flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(entry.name, flags, dir_fd=handle)
            except FileNotFoundError:
                continue
            except OSError as error:
                outcome.leave(path + "/" + entry.name, error.strerror)
                continue
            try:
                _compare(inner, place, os.fstat(inner), wanted, write, outcome)
            except OSError as error:
                outcome.leave(place, error.strerror)
            finally:
                os.close(inner)
    return sorted(below)


def _compare(
    handle: int, path: str, now: os.stat_result, wanted: Rights, write: bool, outcome: Outcome
) -> None:
    """Compare one thing with what it is to be; count it, and mend it."""
    directory, link = stat.S_ISDIR(now.st_mode), stat.S_ISLNK(now.st_mode)
    outcome.looked += 1
    if not (directory or link or stat.S_ISREG(now.st_mode)):
        return  # neither a mailbox nor mail; not ours to give away
    before = stat.S_IMODE(now.st_mode)
    mode = wanted.directory_mode | before & _STICKY if directory else wanted.file_mode
    if link:
        mode = before
    owner_differs = (now.st_uid, now.st_gid) != (wanted.owner, wanted.group)
    if not owner_differs and before == mode:
        return
    if not (directory or link) and now.st_nlink > 1 and now.st_uid != wanted.owner:
        outcome.leave(path, "a hard link to a file of user {0}".format(now.st_uid))
        return
    if write:
        # The kernel leads from here to what is open, a link included, and no further.
        place = "/proc/self/fd/{0}".format(handle)
        if owner_differs:
            os.chown(place, wanted.owner, wanted.group)
        if not link:
            os.chmod(place, mode)
    outcome.directories += directory
    outcome.links += link
    outcome.files += not (directory or link)
    outcome.owner += owner_differs
    outcome.mode += before != mode
    if len(outcome.first) < SHOWN:
        form = "{0}:{1} {2:04o}"
        outcome.first.append(
            Deviation(
                printable(path),
                form.format(now.st_uid, now.st_gid, before),
                form.format(wanted.owner, wanted.group, mode),
            )
        )
