# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the role system: options reach the logic, check mode writes nothing, errors are
sentences. The machine is a tree of files."""

from __future__ import annotations

import os

import pytest
from ansible_collections.postmaster.mailhost.plugins.modules import (
    cloud_init_ipv6,
    service_mask,
    swap_file,
    sysctl_file,
    time_sync,
)

GIB = 1024**3
MODULES = (cloud_init_ipv6, service_mask, swap_file, sysctl_file, time_sync)

FILES = {
    "/proc/meminfo": "SwapTotal: 0 kB\n",
    "/proc/swaps": "Filename\n",
    "/proc/self/mounts": "/dev/vda1 / ext4 rw 0 0\n",
    "/proc/sys/net/ipv4/ip_forward": "0\n",
    "/etc/network/interfaces": "auto eth0:0\niface eth0:0 inet6 auto\n",
    "/run/systemd/timesync/x": "",
}

TIMER = (
    "systemd-run --quiet --unit=mailhost-network-rollback --service-type=oneshot --on-active=90 "
    "--timer-property=AccuracySec=1s /bin/sh /run/mailhost-network/rollback"
)

RECORDED = {
    "filesystems": {"/": {"size": 40 * GIB, "available": 20 * GIB}},
    "programs": ["mkswap", "swapon", "ifup"],
    "units": {
        "exim4.service": ["loaded", "active", "enabled"],
        "systemd-timesyncd.service": ["loaded", "active", "enabled"],
    },
    "commands": {
        "mkswap /.swapfile.mailhost-new": {},
        "swapon /swapfile": {},
        "systemctl stop exim4.service": {},
        "systemctl disable exim4.service": {},
        "systemctl mask exim4.service": {},
        "systemctl restart systemd-timesyncd.service": {},
        "timedatectl show --property=NTPSynchronized": {"stdout": "NTPSynchronized=yes\n"},
        TIMER: {},
        "systemd-run --quiet --unit=mailhost-network-apply /bin/sh /run/mailhost-network/apply": {},
    },
}


@pytest.fixture
def run(make_host, run_module, monkeypatch):
    """Return a function: module and options -> its result on that machine."""
    host = make_host(FILES, RECORDED)
    for module in MODULES:
        monkeypatch.setattr(module, "Host", lambda: host)

    def run(module, check_mode=False, **options):
        return run_module(module, check_mode, **options)

    return run


def tree(top):
    """Return every file below a directory with its content."""
    found = {}
    for folder, _folders, names in os.walk(str(top)):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as stream:
                found[path] = stream.read()
    return found


@pytest.mark.parametrize(
    ("module", "options", "result"),
    [
        (swap_file, {"size_mib": 3}, {"created_mib": 3, "path": "/swapfile"}),
        (
            sysctl_file,
            {"minimums": {"net.ipv4.ip_forward": 1}},
            {"applied": {"net.ipv4.ip_forward": "1"}},
        ),
        (service_mask, {"name": ["exim4", "postfix"]}, {"units": ["exim4.service"]}),
        (
            cloud_init_ipv6,
            {"rollback_seconds": 90},
            {"aliases": ["eth0:0"], "manager": "ifupdown"},
        ),
        (
            time_sync,
            {"servers": ["192.0.2.1"], "timeout": 0},
            {"daemon": "systemd-timesyncd", "actions": ["restart"]},
        ),
    ],
)
def test_check_mode_foretells_what_is_done_then(run, tmp_path, module, options, result):
    before = tree(tmp_path)
    foretold = run(module, check_mode=True, **options)
    assert tree(tmp_path) == before
    done = run(module, **options)
    assert foretold["changed"] is done["changed"] is True
    assert foretold["diff"] == done["diff"] and done["diff"]
    for name, value in result.items():
        assert foretold[name] == done[name] == value
    # What a masked service is, stands in no file of this machine.
    assert (tree(tmp_path) != before) is (module is not service_mask)
    if module in (sysctl_file, cloud_init_ipv6, time_sync):
        assert run(module, **options)["changed"] is False


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (swap_file, {"size_mib": -1}, "size_mib is -1; allowed: 0 or more"),
        (swap_file, {"size_mib": 1024, "path": "/x/y"}, "/x is no directory"),
        (sysctl_file, {"values": {"x": 1}}, "values: 'x' is no name"),
        (service_mask, {"name": ["sshd"]}, "sshd"),
        (cloud_init_ipv6, {"rollback_seconds": 29}, "rollback_seconds is 29; allowed: 30 to 3600"),
        (cloud_init_ipv6, {"rollback_seconds": 60}, "systemd does not take mailhost-network-roll"),
        (time_sync, {"timeout": -1}, "timeout is -1; allowed: 0 to 3600 seconds"),
        (time_sync, {"servers": ["a b"]}, "servers: 'a b'; allowed: host names"),
        (time_sync, {"daemon": "chrony"}, "there is no time daemon"),
        (time_sync, {"timeout": 1}, "not synchronised after 1 s; systemd-timesyncd.service tells"),
    ],
)
def test_errors_are_sentences(run, module, options, message):
    result = run(module, **options)
    assert result["failed"] is True
    assert message in result["msg"]


def test_a_clock_that_is_set_is_not_waited_for(run, tmp_path):
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    result = run(time_sync, timeout=3600)
    assert (result["changed"], result["synchronised"]) == (False, True)


def test_in_a_container_there_is_no_swap_file(run, tmp_path):
    (tmp_path / "run/systemd/container").write_text("lxc\n")
    result = run(swap_file, size_mib=1024)
    assert result["changed"] is False
    assert "lxc container" in result["skipped_reason"]


def test_a_change_that_waits_is_not_made_twice_and_can_be_confirmed(run, tmp_path):
    assert run(cloud_init_ipv6, rollback_seconds=90)["pending"] is True
    # Nothing waits any more on a machine whose timer is gone.
    assert run(cloud_init_ipv6, state="confirmed")["pending"] is False
    (tmp_path / "run/mailhost-network/rolled-back").touch()
    result = run(cloud_init_ipv6, state="confirmed")
    assert "was taken back" in result["msg"]
