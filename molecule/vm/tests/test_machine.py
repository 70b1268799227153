# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a machine with a kernel of its own can show; before a restart, and behind it.

A test that is named "holds" is run twice: the second time after a restart of the machine.
"""

from __future__ import annotations

import platform

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from machine import ADDRESSES, BANNED, OTHER, everywhere, reached, reboot, settles, vm
from sandbox import data
from scenario import ROOT, SITE, play

MAILCOW = stack.get("mailcow")
PUBLIC = [port["port"] for port in MAILCOW["ports"] if port["public"]]
# A container of somebody else's, which publishes this port and starts with the engine.
OTHERS_PORT = 9999
# Of the network that the machine is in; see create.yml.
MTU = 1400
INTERFACE_FILE = "/etc/network/interfaces.d/50-cloud-init.cfg"
NETWORK = "docker network inspect mailcowdockerized_mailcow-network"


@pytest.fixture(scope="module", params=["first", "restarted"])
def boot(request):
    """The machine as it was left, with somebody banned; then after a restart."""
    if request.param == "first":
        image = vm("docker ps --format '{{.Image}}' | grep memcached").split()[0]
        vm(
            f"docker run -d --restart always --name other -p {OTHERS_PORT}:11211 "
            f"--entrypoint memcached {image} -u nobody"
        )
        for prefix in (f"{data.IPV4_PREFIX}.", f"{data.IPV6_PREFIX}:"):
            vm(f"fail2ban-client set sshd banip {prefix}{BANNED}")
        return ""
    before = vm("cat /proc/sys/kernel/random/boot_id")
    reboot()
    return before


def test_the_kernel_is_its_own(boot):
    assert vm("uname -r") != platform.release()
    assert vm("cat /proc/sys/kernel/random/boot_id") != boot
    assert vm("systemd-detect-virt") in ("kvm", "qemu")
    assert vm("stat -fc %T /sys/fs/cgroup") == "cgroup2fs"


def test_who_is_not_banned_holds(boot):
    """First, because it waits until all that starts with the machine has started."""
    wanted = everywhere([22, *PUBLIC])
    assert settles(OTHER, [22, *PUBLIC, OTHERS_PORT], wanted) == wanted
    # Somebody answers there; only others do not get through.
    vm(f"timeout 60 bash -c 'until exec 3<>/dev/tcp/127.0.0.1/{OTHERS_PORT}; do sleep 1; done'")
    assert reached(OTHER, [OTHERS_PORT]) == set()


def test_who_is_banned_holds(boot):
    assert settles(BANNED, [22, 25, 443], set(), seconds=30) == set()


def test_swap_holds(boot):
    name, size = vm("swapon --show=NAME,SIZE --noheadings --raw --bytes").split()
    assert name == "/swapfile"
    # A page of it is the header.
    assert int(size) >= MAILCOW["requirements"]["swap_mib"] * 2**20 - 2**16
    assert vm("stat -c '%a %U' /swapfile") == "600 root"


@pytest.mark.parametrize("name", MAILCOW["sysctls"])
def test_kernel_parameters_hold(boot, name):
    value = int(vm(f"cat /proc/sys/{name.replace('.', '/')}"))
    assert value >= MAILCOW["sysctls"][name]


def test_the_smaller_mtu_holds_down_to_the_containers(boot):
    assert vm("cat /sys/class/net/$(ip -o route show default | cut -d' ' -f5)/mtu") == str(MTU)
    assert f'"com.docker.network.driver.mtu": "{MTU}"' in vm(NETWORK)
    name = "mailcowdockerized-postfix-mailcow-1"
    assert vm(f"docker exec {name} cat /sys/class/net/eth0/mtu") == str(MTU)


def test_ipv6_is_on_the_interface_itself_and_holds(boot):
    text = vm(f"cat {INTERFACE_FILE}")
    assert ":0 inet6" not in text and "inet6 static" in text
    assert ADDRESSES[1] in vm("ip -6 -o address show scope global")


def test_the_clock_is_set_by_the_time_server_and_holds(boot):
    assert vm("timedatectl show -P NTPSynchronized") == "yes"
    # It runs not while the clock is set, as it would put that right at once; and the file is touched,
    # as it starts with that file's time if the clock is behind it.
    before = int(
        vm(
            "systemctl stop systemd-timesyncd && date -s '-1 hour' >/dev/null && "
            "touch /var/lib/systemd/timesync/clock && date +%s && systemctl start systemd-timesyncd"
        )
    )
    vm(
        f"for i in $(seq 180); do [ $(date +%s) -gt {before + 3000} ] && exit; sleep 1; done; "
        "uptime; journalctl -b -u systemd-timesyncd --no-pager -n 30; exit 1"
    )
    server = vm("timedatectl show-timesync -P ServerName")
    assert server.endswith(("pool.ntp.org", "ntp.example.test")), server


def test_preflight_says_what_the_machine_is_and_accepts_nothing():
    run = play(ROOT / "playbooks" / "preflight.yml", extra={"preflight_accept": []})
    assert run.rc == 0, run.message
    found = {item["id"]: item for item in run.findings("vm1")}
    names = (
        *("platform.virtualisation", "platform.kernel_modules"),
        *("engine.cgroups", "resources.swap", "resources.redis", "resources.inotify"),
        *("clock.service", "clock.synchronised", "network.cloud_init_ipv6"),
    )
    said = {name: found[name]["status"] for name in names}
    assert said == dict.fromkeys(names, "ok"), [found[name]["observed"] for name in names]
    virtual = found["platform.virtualisation"]["observed"].lower()
    assert "kvm" in virtual or "qemu" in virtual
    assert f"{MTU} bytes" in found["network.mtu"]["observed"]


def test_and_then_nothing_is_left_to_do():
    vm("docker rm -f other")
    run = play()
    assert run.rc == 0, run.message
    # What was closed at the engine's helper by its number is closed no longer.
    assert run.changed in ([], ["Rules"])
    again = play(SITE, "--check")
    assert (again.rc, again.changed) == (0, []), again.message
