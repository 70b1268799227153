# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, platform

MAILCOW = need.from_stack(stack.get("mailcow"))


def release(name, version, like=""):
    return 'ID="{0}"\nVERSION_ID={1}\nID_LIKE="{2}"\n'.format(name, version, like)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (release("debian", '"13"'), "ok", "debian 13"),
        (release("ubuntu", '"26.04"'), "ok", ""),
        (release("almalinux", '"9.4"'), "ok", ""),
        (release("rocky", "9.10"), "ok", ""),
        (release("alpine", "3.22.1"), "warn", "limited support"),
        (release("alpine", "3.18.0"), "fail", "older"),
        (release("debian", '"10"'), "fail", "older than every listed release"),
        (release("ubuntu", '"20.04"'), "fail", "older"),
        (release("rocky", "8.10"), "fail", "older"),
        (release("debian", '"14"'), "warn", "not listed"),
        (release("rocky", "10.0"), "warn", "this release is not listed"),
        ("ID=debian\n", "warn", "this release is not listed"),
        (release("linuxmint", '"22"', "ubuntu debian"), "warn", "not listed (like ubuntu debian)"),
        (release("arch", ""), "warn", "not listed"),
        ("NAME=odd\n", "unknown", "os-release"),
    ],
)
def test_operating_system(text, status, words, make_host):
    (finding,) = platform.operating_system(make_host({"/etc/os-release": text}), MAILCOW)
    assert finding.status == status
    assert words in finding.observed
    assert "debian 11, 12, 13" in finding.required
    assert "alpine 3.19 or newer (limited)" in finding.required


def test_operating_system_is_read_from_its_second_place(make_host):
    host = make_host({"/usr/lib/os-release": release("debian", "12")})
    assert platform.operating_system(host, MAILCOW)[0].status == "ok"


RELEASE = {"/proc/sys/kernel/osrelease": "6.1.0-37-amd64\n"}
PID1 = {"/proc/1/environ": "HOME=/\0"}


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({**PID1}, "unknown", "/proc cannot be read"),
        ({**RELEASE}, "unknown", "PID 1"),
        ({**RELEASE, "/run/systemd/system/x": ""}, "ok", "bare metal"),
        ({**RELEASE, **PID1}, "ok", "bare metal"),
        ({**RELEASE, **PID1, "/proc/vz/version": "", "/proc/bc/0": ""}, "ok", "bare metal"),
        (
            {**RELEASE, **PID1, "/proc/cpuinfo": "flags\t: fpu hypervisor\n"},
            "ok",
            "virtual machine",
        ),
        ({**RELEASE, **PID1, "/sys/class/dmi/id/sys_vendor": "QEMU\n"}, "ok", "(QEMU/KVM)"),
        ({**RELEASE, **PID1, "/sys/class/dmi/id/product_name": "KVM Server\n"}, "ok", "(KVM)"),
        ({**RELEASE, **PID1, "/sys/hypervisor/type": "xen\n"}, "ok", "(xen)"),
        ({**RELEASE, **PID1, "/sys/class/dmi/id/sys_vendor": "HP\n"}, "ok", "bare metal (HP)"),
        ({**RELEASE, **PID1, "/etc/openmediavault/config.xml": ""}, "warn", "OpenMediaVault"),
        ({**RELEASE, **PID1, "/etc/unraid-version": ""}, "fail", "Unraid"),
        ({**RELEASE, **PID1, "/etc/version": "TrueNAS-13\n"}, "fail", "TrueNAS"),
        ({**RELEASE, **PID1, "/etc/version": "13.0\n"}, "ok", "bare metal"),
        ({**RELEASE, **PID1, "/usr/syno/bin/x": ""}, "fail", "Synology"),
        ({**RELEASE, **PID1, "/proc/sys/kernel/syno_hw_version": ""}, "fail", "Synology"),
        ({**RELEASE, **PID1, "/proc/user_beancounters": ""}, "fail", "OpenVZ"),
        ({**RELEASE, **PID1, "/run/systemd/container": "systemd-nspawn\n"}, "fail", "nspawn"),
        ({**RELEASE, **PID1, "/run/systemd/container": "new-kind\n"}, "fail", "(new-kind)"),
        ({**RELEASE, "/proc/1/environ": "A=b\0container=lxc\0"}, "fail", "LXC"),
        ({**RELEASE, **PID1, "/.dockerenv": ""}, "fail", "Docker"),
        ({**RELEASE, **PID1, "/run/.containerenv": ""}, "fail", "Podman"),
        ({**RELEASE, **PID1, "/proc/1/cgroup": "4:cpu:/lxc/101\n"}, "fail", "LXC"),
        ({**RELEASE, **PID1, "/proc/1/cgroup": "4:cpu:/docker/abc\n"}, "fail", "Docker"),
        ({**RELEASE, **PID1, "/proc/1/cgroup": "0::/init.scope\n"}, "ok", "bare metal"),
        ({**PID1, "/proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft\n"}, "fail", "Windows"),
        ({**PID1, "/proc/sys/kernel/osrelease": "6.11.0-1018-azure\n"}, "ok", ""),
    ],
)
def test_virtualisation(files, status, words, make_host):
    (finding,) = platform.virtualisation(make_host(files), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


@pytest.mark.parametrize(
    ("machine", "shell", "status", "words"),
    [
        ("x86_64", b"\x7fELF\x02", "ok", "x86_64"),
        ("aarch64", None, "ok", "aarch64"),
        ("arm64", None, "ok", "aarch64"),
        ("i686", None, "fail", "i686"),
        ("riscv64", None, "fail", "riscv64"),
        ("aarch64", b"\x7fELF\x01", "fail", "a 32-bit system on a kernel for aarch64"),
    ],
)
def test_architecture(machine, shell, status, words, make_host):
    host = make_host({} if shell is None else {"/bin/sh": shell}, {"machine": machine})
    (finding,) = platform.architecture(host, MAILCOW)
    assert finding.status == status
    assert finding.observed == words


MAILU = need.from_stack(stack.get("mailu"))


@pytest.mark.parametrize(
    ("demands", "machine", "cpuinfo", "status", "words"),
    [
        (MAILCOW, "x86_64", "flags : fpu", "skip", "asks for none"),
        (MAILU, "aarch64", "Features : fp", "skip", "not an x86 processor"),
        (MAILU, "x86_64", "flags : fpu sse4_2 avx", "ok", "all there"),
        (MAILU, "x86_64", "flags : fpu sse2", "fail", "missing: sse4_2"),
        (MAILU, "x86_64", "", "unknown", "no flags"),
    ],
)
def test_processor_features(demands, machine, cpuinfo, status, words, make_host):
    host = make_host({"/proc/cpuinfo": cpuinfo}, {"machine": machine})
    (finding,) = platform.processor_features(host, demands)
    assert finding.status == status
    assert words in finding.observed


RELEASE = {"/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n"}
OVERLAY = {"/proc/filesystems": "nodev\tproc\nnodev\toverlay\n\text4\n"}


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        (dict(RELEASE, **{"/lib/modules/6.1.0-18-amd64/modules.dep": ""}), "ok", "are there"),
        (dict(RELEASE, **{"/usr/lib/modules/6.1.0-18-amd64/modules.dep": ""}), "ok", "are there"),
        (dict(RELEASE, **{"/lib/modules/6.1.0-20-amd64/modules.dep": ""}), "fail", "6.1.0-20"),
        (dict(RELEASE, **OVERLAY, **{"/lib/modules/6.1.0-20-amd64/x": ""}), "warn", "6.1.0-20"),
        (dict(RELEASE, **OVERLAY), "ok", "without modules"),
        (RELEASE, "fail", "no overlay file system"),
        ({}, "unknown", "/proc cannot be read"),
    ],
)
def test_kernel_modules(files, status, words, make_host):
    (finding,) = platform.kernel_modules(make_host(files), MAILCOW)
    assert finding.status == status
    assert words in finding.observed


def test_a_system_that_upstream_does_not_test(make_host):
    host = make_host({"/etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\n'})
    (finding,) = platform.operating_system(host, MAILU)
    assert finding.status == "ok"
    assert "does not test" in finding.observed
