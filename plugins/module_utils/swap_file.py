# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file that makes up for what swap space lacks.

The file is written full of zeros: space that is only reserved has holes or unwritten parts, which
the kernel refuses for swap on some file systems. On btrfs it is exempt from copy-on-write first. It
gets its name when it is complete, so what an interrupted run leaves behind is never used.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import Any, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import container, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

FSTAB = "/etc/fstab"

#: File systems whose files can hold swap (mkswap(8), swapon(8), btrfs(5)).
FILESYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs")

#: What the file system must have left afterwards, in MiB.
SPARE_MIB = 1024

# A 1 GiB swap file shows as 1023.99 MiB: its first page is the header.
_HEADER_MIB = 1

_MIB = 1024**2

# The signature stands at the end of the first page, whose size is the kernel's.
_PAGES = (4096, 16384, 65536)
_MAGIC = b"SWAPSPACE2"

# ioctl(2) for the attributes of a file, and the one for "no copy-on-write" (linux/fs.h). The numbers
# are those of machines with 64-bit words of the x86 and ARM kind.
_GET_FLAGS = 0x80086601
_SET_FLAGS = 0x40086602
_NO_COW = 0x00800000


class SwapFileError(Exception):
    """The swap file cannot be made; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        path: the file.
        total_mib: swap space in use now.
        create_mib: size of the file to make, 0 when none is to be made.
        no_cow: whether the file must be exempt from copy-on-write.
        activate: whether the file is to be taken into use.
        fstab: the change of /etc/fstab, None when nothing is to be changed there.
        skipped: why nothing is done although swap lacks, else "".
    """

    path: str
    total_mib: int
    create_mib: int
    no_cow: bool
    activate: bool
    fstab: file_write.Change | None
    skipped: str

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.create_mib or self.activate or self.fstab)


def plan(host: Host, size_mib: int, path: str = "/swapfile") -> Plan:
    """Compare the swap space with what is wanted.

    Args:
        host: the host.
        size_mib: swap space wanted in all, in MiB.
        path: the file that is made where space lacks.

    Raises:
        SwapFileError: an option cannot be used, or the file cannot be made there.
        file_write.FileWriteError: /etc/fstab cannot be read.
    """
    if size_mib < 0:
        raise SwapFileError("size_mib is {0}; allowed: 0 or more".format(size_mib))
    if not path.startswith("/") or path.endswith("/") or len(path.split()) != 1:
        raise SwapFileError("path is {0!r}; allowed: an absolute path without blanks".format(path))
    total = _total(host)
    nothing = Plan(path, int(total), 0, False, False, None, "")
    in_use = path in _in_use(host)
    if in_use:
        # Never made larger: that means to take away memory that is in use.
        return nothing._replace(fstab=_fstab(host, path))
    lacking = size_mib - total
    if lacking <= _HEADER_MIB:
        return nothing
    inside = container.kind(host)
    if inside:
        return nothing._replace(
            skipped="swap belongs to the machine around this {0} container".format(inside)
        )
    lacking = math.ceil(lacking)
    place = _filesystem(host, path)
    if host.stat(path) is not None:
        _usable(host, path, lacking)
        return nothing._replace(activate=True, fstab=_fstab(host, path))
    room = place.available // _MIB
    if room < lacking + SPARE_MIB:
        raise SwapFileError(
            "{0} has {1} MiB available; a swap file of {2} MiB needs {3} MiB there, {4} of which "
            "stay free".format(place.mount, room, lacking, lacking + SPARE_MIB, SPARE_MIB)
        )
    if host.which("mkswap") is None or host.which("swapon") is None:
        raise SwapFileError("mkswap or swapon is missing; install the package util-linux")
    return nothing._replace(
        create_mib=lacking,
        no_cow=_type(host, place.mount) == "btrfs",
        activate=True,
        fstab=_fstab(host, path),
    )


def carry_out(host: Host, planned: Plan) -> str:
    """Make the file, take it into use and have every boot do so.

    Returns:
        str: path of the backup of /etc/fstab, "" when there is none.

    Raises:
        SwapFileError: a step fails; a file that was begun is removed.
        file_write.FileWriteError: /etc/fstab cannot be written.
    """
    if planned.create_mib:
        create(host, planned.path, planned.create_mib, planned.no_cow)
    elif planned.activate:
        # Others could read in it what was in memory.
        file_write.set_attributes(
            file_write.place(host, planned.path), mode=0o600, owner=0, group=0
        )
    if planned.activate:
        _run(host, ["swapon", planned.path])
    copy = ""
    if planned.fstab:
        change = planned.fstab
        copy = change._replace(path=file_write.place(host, change.path)).write()
        # Units are made of its lines. Without systemd there is nobody to tell.
        host.run(["systemctl", "daemon-reload"])
    return copy


def create(host: Host, path: str, size_mib: int, no_cow: bool) -> None:
    """Make a swap file that is not in use yet.

    Raises:
        SwapFileError: it cannot be made; nothing is left of it.
    """
    folder, _slash, name = path.rpartition("/")
    begun = "{0}/.{1}.mailhost-new".format(folder, name)
    target = file_write.place(host, begun)
    try:
        # What an interrupted run left behind.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(target, flags, 0o600)
        try:
            os.fchmod(handle, 0o600)
            if no_cow:
                _exempt_from_cow(handle)
            zeros = bytes(_MIB)
            for _number in range(size_mib):
                _write_all(handle, zeros)
            os.fsync(handle)
        finally:
            os.close(handle)
        _run(host, ["mkswap", begun])
        # Nothing stood there when this was planned; a link, unlike a move, replaces nothing.
        os.link(target, file_write.place(host, path))
    except OSError as error:
        raise SwapFileError(
            "cannot make the swap file {0}: {1}".format(path, error.strerror or error)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(target)


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values, without the backup."""
    diff = []
    if planned.create_mib or planned.activate:
        size = "{0} MiB, in use".format(planned.create_mib) if planned.create_mib else "in use"
        diff.append(
            {
                "before_header": "swap",
                "before": "{0}: {1}\n".format(
                    planned.path, "absent" if planned.create_mib else "not in use"
                ),
                "after_header": "swap",
                "after": "{0}: {1}\n".format(planned.path, size),
            }
        )
    if planned.fstab:
        diff.append(planned.fstab.diff())
    return {
        "changed": planned.changed,
        "created_mib": planned.create_mib,
        "path": planned.path,
        "skipped_reason": planned.skipped,
        "total_mib": planned.total_mib,
        "diff": diff,
    }


def _total(host: Host) -> float:
    """Return the swap space in MiB."""
    for line in (host.read("/proc/meminfo") or "").splitlines():
        name, _colon, value = line.partition(":")
        if name == "SwapTotal":
            return int(value.split()[0]) / 1024
    raise SwapFileError("/proc/meminfo does not tell the swap space")


def _in_use(host: Host) -> list[str]:
    """Return the files and partitions that hold swap now."""
    lines = (host.read("/proc/swaps") or "").splitlines()[1:]
    # The kernel writes blanks and the like as octal numbers; the path has none of these.
    return [line.split()[0] for line in lines if line.strip()]


def _filesystem(host: Host, path: str) -> Any:
    """Return the file system that the file is to be on.

    Raises:
        SwapFileError: it cannot hold swap.
    """
    folder = path.rpartition("/")[0] or "/"
    if not host.isdir(folder):
        raise SwapFileError("{0} is no directory; choose another path".format(folder))
    try:
        place = host.filesystem(folder)
    except HostError as error:
        raise SwapFileError(str(error)) from error
    kind = _type(host, place.mount)
    if kind not in FILESYSTEMS:
        raise SwapFileError(
            "{0} is on {1}, of type {2}; allowed for a swap file: {3}. Choose another path".format(
                path, place.mount, kind or "unknown", ", ".join(FILESYSTEMS)
            )
        )
    return place


def _type(host: Host, mount: str) -> str:
    """Return the type of the file system at a mount point, "" when it is not known."""
    kind = ""
    for line in (host.read("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        # A later mount covers an earlier one.
        if len(fields) > 2 and fields[1] == mount:
            kind = fields[2]
    return kind


def _usable(host: Host, path: str, lacking: int) -> None:
    """Need a file at the path that was made for swap and is large enough.

    Raises:
        SwapFileError: it is something else, which is not replaced.
    """
    head = host.read_bytes(path, max(_PAGES)) or b""
    if not any(head[page - len(_MAGIC) : page] == _MAGIC for page in _PAGES):
        raise SwapFileError(
            "{0} exists and is no swap file; it was left as it is. Choose another path".format(path)
        )
    status = host.stat(path)
    size = status.st_size // _MIB if status else 0
    if size < lacking:
        raise SwapFileError(
            "{0} is a swap file of {1} MiB that is not in use, and {2} MiB are wanted; it was left "
            "as it is. Remove it, or choose another path".format(path, size, lacking)
        )


def _fstab(host: Host, path: str) -> file_write.Change | None:
    """Return the change that has every boot use the file, None when it does already.

    Raises:
        SwapFileError: the file is named there for something else.
    """
    before = host.read_bytes(FSTAB) or b""
    for line in before.decode("utf-8", "replace").splitlines():
        fields = line.split()
        if fields and fields[0] == path:
            if len(fields) > 2 and fields[2] == "swap":
                return None
            raise SwapFileError("{0} names {1} for something else: {2}".format(FSTAB, path, line))
    end = b"" if not before or before.endswith(b"\n") else b"\n"
    after = before + end + "{0} none swap sw 0 0\n".format(path).encode()
    status = host.stat(FSTAB)
    return file_write.plan(host, FSTAB, after, (status.st_mode & 0o7777) if status else 0o644)


def _run(host: Host, argv: list[str]) -> None:
    answer = host.run(argv, timeout=120)
    if answer.rc != 0:
        raise SwapFileError("{0} failed: {1}".format(" ".join(argv), answer.stderr.strip()))


def _exempt_from_cow(handle: int) -> None:
    """Exempt an empty file from copy-on-write, as btrfs needs it for swap."""
    import fcntl
    import struct

    raw = fcntl.ioctl(handle, _GET_FLAGS, struct.pack("l", 0))
    fcntl.ioctl(handle, _SET_FLAGS, struct.pack("l", struct.unpack("l", raw)[0] | _NO_COW))


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
