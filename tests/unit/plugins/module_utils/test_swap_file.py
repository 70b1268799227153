# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swap file: when one is made, where none is made, and what is never replaced."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import swap_file
from ansible_collections.postmaster.mailhost.plugins.module_utils.swap_file import SwapFileError

GIB = 1024**3
LINE = "/swapfile none swap sw 0 0\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def machine(make_host):
    """Return a function: swap in kB, file system and other files -> a machine."""

    def machine(swap=0, kind="ext4", free=20 * GIB, files=None, in_use=(), commands=None):
        content = {
            "/proc/meminfo": "MemTotal: 8000000 kB\nSwapTotal: {0} kB\nSwapFree: 0 kB\n".format(
                swap
            ),
            "/proc/swaps": "Filename Type Size Used Priority\n"
            + "".join("{0}\tfile\t1048572\t0\t-2\n".format(path) for path in in_use),
            "/proc/self/mounts": "/dev/vda1 / {0} rw 0 0\n".format(kind),
            "/etc/fstab": "UUID=1 / ext4 defaults 0 1\n",
        }
        content.update(files or {})
        filesystems = {"/": {"size": 40 * GIB, "available": free}}
        programs = ["mkswap", "swapon"]
        recorded = {"filesystems": filesystems, "programs": programs, "commands": commands or {}}
        return make_host(content, recorded)

    return machine


@pytest.mark.parametrize(
    ("swap", "wanted", "created"),
    [
        (0, 1024, 1024),
        (0, 1, 0),
        (0, 0, 0),
        # A whole file and a whole partition, each without its first page.
        (1048572, 1024, 0),
        (2097148, 1024, 0),
        (524284, 1024, 513),
        (524288, 1024, 512),
    ],
)
def test_what_lacks_is_made(machine, swap, wanted, created):
    planned = swap_file.plan(machine(swap), wanted)
    assert (planned.create_mib, planned.changed) == (created, created > 0)


def test_making_it(machine, tmp_path):
    host = machine(
        commands={"mkswap /.swapfile.mailhost-new": {}, "swapon /swapfile": {}},
        files={"/.swapfile.mailhost-new": "left behind by a run that was killed"},
    )
    planned = swap_file.plan(host, 3)
    shown = swap_file.result(planned)
    assert shown["changed"] and shown["created_mib"] == 3
    assert shown["diff"][0]["after"] == "/swapfile: 3 MiB, in use\n"
    assert shown["diff"][1]["after"].endswith("defaults 0 1\n" + LINE)
    copy = swap_file.carry_out(host, planned)
    status = os.stat(tmp_path / "swapfile")
    assert (status.st_size, stat.S_IMODE(status.st_mode)) == (3 * 1024**2, 0o600)
    assert status.st_blocks * 512 >= status.st_size
    assert not (tmp_path / ".swapfile.mailhost-new").exists()
    assert (tmp_path / "etc/fstab").read_text().endswith("0 1\n" + LINE)
    assert os.path.basename(copy).startswith("fstab.") and os.path.exists(copy)


@pytest.mark.parametrize(
    ("commands", "message", "left"),
    [
        ({}, "mkswap /.swapfile.mailhost-new failed", []),
        # It is complete then, and the next run takes it into use.
        ({"mkswap /.swapfile.mailhost-new": {}}, "swapon /swapfile failed", ["swapfile"]),
    ],
)
def test_a_failure_leaves_nothing_half_done(machine, tmp_path, commands, message, left):
    host = machine(commands=commands)
    with pytest.raises(SwapFileError, match=message):
        swap_file.carry_out(host, swap_file.plan(host, 2))
    assert [name for name in os.listdir(tmp_path) if "swapfile" in name] == left
    assert LINE not in (tmp_path / "etc/fstab").read_text()


def test_what_appeared_meanwhile_is_not_replaced(machine, tmp_path):
    host = machine(commands={"mkswap /.swapfile.mailhost-new": {}})
    planned = swap_file.plan(host, 2)
    (tmp_path / "swapfile").write_text("mine")
    with pytest.raises(SwapFileError, match="cannot make the swap file /swapfile: File exists"):
        swap_file.carry_out(host, planned)
    assert (tmp_path / "swapfile").read_text() == "mine"
    assert not (tmp_path / ".swapfile.mailhost-new").exists()


def swap_content(size, page=4096):
    return bytes(page - 10) + b"SWAPSPACE2" + bytes(size - page)


@as_root
@pytest.mark.parametrize("page", [4096, 65536])
def test_a_swap_file_that_was_taken_out_of_use_is_taken_back(machine, tmp_path, page):
    host = machine(
        files={"/swapfile": swap_content(4 * 1024**2, page), "/etc/fstab": LINE},
        commands={"swapon /swapfile": {}},
    )
    (tmp_path / "swapfile").chmod(0o644)
    planned = swap_file.plan(host, 4)
    assert (planned.create_mib, planned.activate, planned.fstab) == (0, True, None)
    assert swap_file.result(planned)["diff"][0]["before"] == "/swapfile: not in use\n"
    swap_file.carry_out(host, planned)
    assert stat.S_IMODE(os.stat(tmp_path / "swapfile").st_mode) == 0o600


@pytest.mark.parametrize(
    ("fstab", "after"),
    [
        ("UUID=1 / ext4 defaults 0 1", "UUID=1 / ext4 defaults 0 1\n" + LINE),
        ("# /swapfile none swap sw 0 0\n", "# /swapfile none swap sw 0 0\n" + LINE),
        ("\xff raw\n", "\xff raw\n" + LINE),
        ("", LINE),
        ("/swapfile\tswap\tswap\tdefaults\t0\t0\n", None),
    ],
)
def test_the_line_for_the_next_boot(machine, fstab, after):
    host = machine(1048572, in_use=["/swapfile"], files={"/etc/fstab": fstab.encode("latin-1")})
    planned = swap_file.plan(host, 1024)
    assert planned.changed is (after is not None)
    assert not planned.activate and not planned.create_mib
    if after is not None:
        assert planned.fstab.after == after.encode("latin-1")


def test_a_file_in_use_is_not_made_larger(machine):
    host = machine(524284, in_use=["/swapfile"], files={"/etc/fstab": LINE})
    assert not swap_file.plan(host, 1024).changed


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"files": {"/swapfile": "a letter"}}, "/swapfile", "exists and is no swap file"),
        ({"files": {"/swapfile/x": ""}}, "/swapfile", "exists and is no swap file"),
        ({"files": {"/swapfile": swap_content(1024**2)}}, "/swapfile", "of 1 MiB .* 1024 MiB are"),
        ({"files": {"/etc/fstab": "/swapfile /x ext4 loop"}}, "/swapfile", "for something else"),
        ({"kind": "zfs"}, "/swapfile", "is on /, of type zfs; allowed for a swap file: ext2"),
        ({"kind": "tmpfs"}, "/swapfile", "of type tmpfs"),
        ({"free": 2 * GIB - 1}, "/swapfile", r"/ has 2047 MiB available; .* needs 2048 MiB there"),
        ({}, "/missing/swapfile", "/missing is no directory"),
        ({}, "swapfile", "path is 'swapfile'; allowed: an absolute path"),
        ({}, "/swap file", "path is '/swap file'"),
        ({}, "/swap/", "path is '/swap/'"),
    ],
)
def test_refusals(machine, settings, path, message):
    with pytest.raises(SwapFileError, match=message):
        swap_file.plan(machine(**settings), 1024, path)


def test_bad_size_and_a_machine_that_tells_nothing(machine, make_host):
    with pytest.raises(SwapFileError, match="size_mib is -1; allowed: 0 or more"):
        swap_file.plan(machine(), -1)
    with pytest.raises(SwapFileError, match="does not tell"):
        swap_file.plan(make_host({"/proc/meminfo": ""}), 1024)


def test_on_btrfs_without_copy_on_write(machine):
    assert swap_file.plan(machine(kind="btrfs"), 1024).no_cow
    assert not swap_file.plan(machine(kind="xfs"), 1024).no_cow


def test_in_a_container_nothing_is_done(machine):
    planned = swap_file.plan(machine(files={"/run/systemd/container": "lxc"}), 1024)
    assert not planned.changed
    assert swap_file.result(planned)["skipped_reason"].endswith("around this lxc container")
    enough = swap_file.plan(machine(1048572, files={"/run/systemd/container": "lxc"}), 1024)
    assert enough.skipped == ""
