# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, resources
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))
GIB = 1024**3


def meminfo(memory_mib, swap_mib):
    return "MemTotal: {0} kB\nSwapTotal: {1} kB\n".format(
        int(memory_mib * 1024), int(swap_mib * 1024)
    )


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({"/proc/cpuinfo": "processor: 0\ncpu MHz: 2400.1\n"}, "ok", "1 processor, 2400 MHz"),
        ({"/proc/cpuinfo": "processor: 0\ncpu MHz: 600\n"}, "fail", "1 processor, 600 MHz"),
        ({"/proc/cpuinfo": "processor: 0\nmodel name: Xeon @ 1.20GHz\n"}, "ok", "1200 MHz"),
        ({"/proc/cpuinfo": "processor: 0\nprocessor: 1\n"}, "unknown", "2 processors, clock"),
        (
            {
                "/proc/cpuinfo": "processor: 0\ncpu MHz: 600\n",
                "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "3200000\n",
            },
            "ok",
            "3200 MHz",
        ),
        (
            {
                "/proc/cpuinfo": "processor: 0\n",
                "/sys/firmware/dmi/entries/4-0/raw": bytes(0x16) + b"\xd0\x07" + bytes(8),
            },
            "ok",
            "2000 MHz",
        ),
        ({}, "unknown", "cannot read /proc/cpuinfo"),
    ],
)
def test_cpu(files, status, words, make_host):
    (finding,) = resources.cpu(make_host(files), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


@pytest.mark.parametrize(
    ("memory_mib", "status"),
    [(6144, "ok"), (5800, "ok"), (5653, "ok"), (5650, "fail"), (2048, "fail")],
)
def test_memory(memory_mib, status, make_host):
    (finding,) = resources.memory(make_host({"/proc/meminfo": meminfo(memory_mib, 0)}), MAILCOW)
    assert finding.status == status
    assert "6.0 GiB" in finding.required


@pytest.mark.parametrize(
    ("memory_mib", "swap_mib", "status", "words"),
    [
        (6144, 1024, "ok", "1.0 GiB"),
        # A swap file of exactly 1 GiB, less its header.
        (6144, 1048572 / 1024, "ok", "1.0 GiB"),
        (6144, 0, "fail", "none"),
        (6144, 512, "fail", "512 MiB"),
        (7900, 0, "warn", "none, but memory to spare"),
        (2048, 4096, "ok", "4.0 GiB"),
    ],
)
def test_swap(memory_mib, swap_mib, status, words, make_host):
    host = make_host({"/proc/meminfo": meminfo(memory_mib, swap_mib)})
    (finding,) = resources.swap(host, MAILCOW)
    assert (finding.status, finding.observed) == (status, words)


def test_memory_that_cannot_be_read(make_host):
    for check in (resources.memory, resources.swap):
        with pytest.raises(HostError, match="/proc/meminfo"):
            check(make_host(), MAILCOW)


def disk(size, available):
    return {"size": int(size * GIB), "available": int(available * GIB)}


MAILCOW_CONF = {"/opt/mailcow-dockerized/mailcow.conf": ""}
DAEMON = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("files", "filesystems", "expected"),
    [
        ({}, {"/": disk(40, 30)}, [("ok", "on / (/var/lib/docker and /opt/mailcow-dockerized)")]),
        ({}, {"/": disk(40, 19)}, [("fail", "19.0 GiB available of 40.0 GiB")]),
        (MAILCOW_CONF, {"/": disk(40, 9)}, [("ok", "9.0 GiB available")]),
        (MAILCOW_CONF, {"/": disk(40, 3)}, [("warn", "3.0 GiB available")]),
        (MAILCOW_CONF, {"/": disk(18, 9)}, [("fail", "of 18.0 GiB")]),
        (
            {},
            {"/": disk(10, 5), "/var": disk(100, 90)},
            [("ok", "on / (/opt/mailcow-dockerized)"), ("ok", "on /var (/var/lib/docker)")],
        ),
        (
            {},
            {"/": disk(10, 0.5), "/var": disk(100, 19)},
            [("fail", "0.5 GiB available of 10.0 GiB on /"), ("fail", "19.0 GiB available")],
        ),
        (
            {DAEMON: '{"data-root": "/srv/docker"}'},
            {"/": disk(10, 5), "/srv": disk(100, 90)},
            [("ok", "on / (/opt"), ("ok", "on /srv (/srv/docker)")],
        ),
        ({DAEMON: '{"ipv6": true}'}, {"/": disk(40, 30)}, [("ok", "/var/lib/docker")]),
        ({DAEMON: "\n"}, {"/": disk(40, 30)}, [("ok", "/var/lib/docker")]),
        (
            {DAEMON: "{oops"},
            {"/": disk(40, 30)},
            [("unknown", "daemon.json is not valid JSON"), ("ok", "(/opt/mailcow-dockerized)")],
        ),
        (
            {DAEMON: '{"data-root": 5}'},
            {"/": disk(40, 30)},
            [("unknown", "data-root in /etc/docker/daemon.json is 5"), ("ok", "")],
        ),
    ],
)
def test_disk(files, filesystems, expected, make_host):
    findings = resources.disk(make_host(files, {"filesystems": filesystems}), MAILCOW)
    assert [finding.status for finding in findings] == [status for status, _words in expected]
    for finding, (_status, words) in zip(findings, expected):
        assert words in finding.observed


def test_thresholds_of_zero_need_nothing(make_host):
    nothing = need.from_stack(stack.get("mailcow"), memory_mib=0, swap_mib=0, disk_gib=0, cpu_mhz=0)
    host = make_host(
        {"/proc/meminfo": meminfo(64, 0), "/proc/cpuinfo": "processor: 0\ncpu MHz: 1\n"},
        {"filesystems": {"/": disk(1, 0)}},
    )
    assert resources.memory(host, nothing)[0].status == "ok"
    assert resources.swap(host, nothing)[0].status == "ok"
    assert resources.disk(host, nothing)[0].status == "ok"
    assert resources.cpu(host, nothing)[0].status == "ok"


def planned(config=None, **plan):
    return need.from_stack(stack.get("mailcow"), config=config, plan=plan)


@pytest.mark.parametrize(
    ("memory_mib", "demands", "status", "words", "fix"),
    [
        # Upstream's examples: 8 GiB for ten users, 16 GiB for 15 phones and 50 connections.
        (8192, planned(users=10), "ok", "6144 mailcow: dockerized + 2000 10 users MiB", ""),
        (
            16384,
            planned(activesync_devices=15, imap_connections=50),
            "ok",
            "+ 5250 15 ActiveSync devices + 5000 50 IMAP connections",
            "",
        ),
        (12288, planned(activesync_devices=15, imap_connections=50), "warn", "16.0 GiB", "16.0"),
        (14336, planned(activesync_devices=15, imap_connections=50), "warn", "", "SKIP_CLAMD: y"),
        (4096, planned(users=10), "fail", "", "8.0 GiB"),
        (4608, planned(), "fail", "6.0 GiB", "or set SKIP_CLAMD: y (saves 1.5 GiB)"),
        (4096, planned(), "fail", "6.0 GiB", "or set SKIP_CLAMD: y and SKIP_FTS: y"),
        (4608, planned({"SKIP_CLAMD": "y"}), "ok", "- 1536 no ClamAV", ""),
        (4608, planned(clamav=False), "ok", "- 1536 no ClamAV", ""),
        # More devices than workers wait for one.
        (32768, planned(activesync_devices=100), "ok", "7000 100 ActiveSync devices on 20", ""),
        (8192, need.from_stack(stack.get("mailcow"), memory_mib=9000), "fail", "8.8 GiB", ""),
        (1024, need.from_stack(stack.get("mailu")), "ok", "1.0 GiB", ""),
        (
            1024,
            need.from_stack(stack.get("mailu"), config={"ANTIVIRUS": "clamav"}),
            "fail",
            "1024 Mailu + 2048 ClamAV MiB",
            "or set ANTIVIRUS: none",
        ),
    ],
)
def test_memory_of_a_plan(memory_mib, demands, status, words, fix, make_host):
    (finding,) = resources.memory(make_host({"/proc/meminfo": meminfo(memory_mib, 0)}), demands)
    assert finding.status == status
    assert words in finding.required
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("total", "available", "status", "words"),
    [
        (1000000, 500000, "ok", "50 % of 1 000 000 inodes available on /"),
        (1000000, 40000, "warn", "4 %"),
        (1000000, 100, "fail", "0 %"),
        (0, 0, "skip", "as needed"),
    ],
)
def test_inodes(total, available, status, words, make_host):
    place = {"size": GIB, "available": GIB, "inodes": total, "inodes_available": available}
    (finding,) = resources.inodes(make_host(None, {"filesystems": {"/": place}}), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


@pytest.mark.parametrize(
    ("check", "files", "status", "words"),
    [
        (
            resources.inotify,
            {
                "/proc/sys/fs/inotify/max_user_instances": "128\n",
                "/proc/sys/fs/inotify/max_user_watches": "1048576\n",
            },
            "warn",
            "fs.inotify.max_user_instances is 128",
        ),
        (
            resources.inotify,
            {
                "/proc/sys/fs/inotify/max_user_instances": "8192\n",
                "/proc/sys/fs/inotify/max_user_watches": "1048576\n",
            },
            "ok",
            "fs.inotify.max_user_instances 8192",
        ),
        (
            resources.redis,
            {"/proc/sys/vm/overcommit_memory": "0\n", "/proc/sys/net/core/somaxconn": "4096\n"},
            "warn",
            "vm.overcommit_memory is 0",
        ),
        (
            resources.redis,
            {"/proc/sys/vm/overcommit_memory": "2\n", "/proc/sys/net/core/somaxconn": "4096\n"},
            "warn",
            "vm.overcommit_memory is 2",
        ),
        (
            resources.redis,
            {"/proc/sys/vm/overcommit_memory": "1\n", "/proc/sys/net/core/somaxconn": "4096\n"},
            "ok",
            "vm.overcommit_memory 1",
        ),
        (resources.redis, {}, "unknown", "cannot read"),
        (resources.inotify, {}, "unknown", "cannot read"),
        (resources.max_map_count, {}, "skip", "asks for none"),
    ],
)
def test_kernel_parameters(check, files, status, words, make_host):
    (finding,) = check(make_host(files), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


@pytest.mark.parametrize(
    ("value", "status"), [("65530", "warn"), ("1048576", "ok"), (None, "unknown")]
)
def test_max_map_count_of_mailu(value, status, make_host):
    files = {"/proc/sys/vm/max_map_count": value} if value else {}
    demands = need.from_stack(stack.get("mailu"))
    assert resources.max_map_count(make_host(files), demands)[0].status == status


LIMITS = "Limit Soft Hard Units\nMax processes {0} {0} processes\nMax open files 1024 {1} files\n"


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (LIMITS.format(127424, 524288), "ok", "open files 524288"),
        (LIMITS.format("unlimited", 524288), "ok", "processes unlimited"),
        (LIMITS.format(127424, 4096), "warn", "open files 4096"),
        (LIMITS.format(1000, 524288), "warn", "processes 1000"),
        ("", "unknown", "cannot read /proc/1/limits"),
    ],
)
def test_limits(text, status, words, make_host):
    files = {"/proc/1/limits": text, "/run/systemd/container": "lxc\n"}
    (finding,) = resources.limits(make_host(files), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


def test_limits_that_follow_from_the_memory(make_host):
    # What the kernel gives PID 1 of a machine with 8 GiB.
    host = make_host({"/proc/1/limits": LIMITS.format(31343, 1073741816)})
    (finding,) = resources.limits(host, MAILCOW)
    assert finding.status == "ok"
    assert "processes 31343" in finding.observed


def test_limits_of_a_stack_that_raises_none(make_host):
    assert resources.limits(make_host(), need.from_stack(stack.get("mailu")))[0].status == "skip"


@pytest.mark.parametrize(
    ("mounts", "status", "words"),
    [
        ("/dev/vda1 / ext4 rw 0 0\n", "ok", "ext4 on /"),
        ("/dev/vda1 / ext4 rw 0 0\npool / zfs rw 0 0\n", "ok", "zfs on /"),
        ("server:/x / nfs4 rw 0 0\n", "fail", "nfs4 on /"),
        ("sshfs / fuse.sshfs rw 0 0\n", "fail", "fuse.sshfs on /"),
        ("/dev/vda1 / jfs rw 0 0\n", "warn", "jfs on /"),
        ("/dev/vda2 /home ext4 rw 0 0\n", "unknown", "no line in /proc/mounts for /"),
        ("", "unknown", "no line"),
    ],
)
def test_filesystem(mounts, status, words, make_host):
    recorded = {"filesystems": {"/": {"size": GIB, "available": GIB}}}
    (finding,) = resources.filesystem(make_host({"/proc/mounts": mounts}, recorded), MAILCOW)
    assert finding.status == status
    assert words in finding.observed
