# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are virtual machines: a disk and a kernel made from Debian's archive, run by QEMU.

QEMU runs in a container of the sandbox's network and hands what the network sends to that container
on to the machine, which has the container's addresses. So the engine knows of it as of all others.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from docker.models.containers import Container

from . import archive, data, engine, rootfs
from .common import HERE, STATE, SandboxError, digest, run, step

# Requests to the kernel's virtual machine monitor (linux/kvm.h).
KVM = "/dev/kvm"
KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
KVM_VERSION = 12

TUN = "/dev/net/tun"
# What Debian calls the network interface in the slot that vm/start gives it.
INTERFACE = "ens16"
RUNNER_OPTIONS = {
    # It bridges its network to that of the machine.
    "CapAdd": ["NET_ADMIN"],
    # A machine that is switched off is switched on again, as a host that is a container is.
    "RestartPolicy": {"Name": "unless-stopped"},
}
# Where the container keeps what the machine has written.
VOLUMES = ["/vm/disk"]


def has_kvm(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Can this machine's processor run virtual machines by itself?

    There are kernels with a KVM that does without the processor's help (kvm_pvm). Debian's kernel does
    not start in it, or more slowly than in QEMU alone; so the processor is asked, too.
    """
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo.read_text(), re.MULTILINE):
        return False
    try:
        descriptor = os.open(KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if fcntl.ioctl(descriptor, KVM_GET_API_VERSION) != KVM_VERSION:
            return False
        os.close(fcntl.ioctl(descriptor, KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def ask() -> None:
    """Note that there are to be virtual machines: from now on the archive has what they need."""
    if archive.architecture() != "amd64":
        raise SandboxError(f"virtual machines are made for amd64, not {archive.architecture()}")
    archive.VM.mkdir(parents=True, exist_ok=True)


def runner() -> str:
    """Build the image that QEMU runs in unless it exists; returns its name."""
    name = f"{data.PREFIX}/vm:{digest(data.VM_RUNNER_PACKAGES, data.VM_SUITE)}"
    if not engine.image(name):
        with step("image of QEMU"):
            tar = STATE / "cache" / "vm-runner.tar"
            rootfs.build(tar, data.VM_SUITE, data.VM_RUNNER_PACKAGES.split())
            engine.import_image(tar, name)
            tar.unlink()
    return name


def disk(system_name: str, overlay: Mapping[str, tuple[bytes, int]]) -> Path:
    """Make the disk of a system unless it exists; returns the folder with it, kernel and initrd.

    overlay: files that are laid over a fresh Debian, content and mode by path.
    """
    system = data.SYSTEMS[system_name]
    packages = [*system.packages, *data.VM_PACKAGES.split()]
    here = HERE / "vm"
    files = {
        **overlay,
        "usr/local/lib/systemd/system/sandbox-first-boot.service": (
            (here / "first-boot.service").read_bytes(),
            0o644,
        ),
    }
    recipe = digest(
        here / "customize",
        HERE / "rootfs.py",
        " ".join([system.suite, str(data.VM_DISK), *packages]),
        *(part for path, (content, _mode) in sorted(files.items()) for part in (path, content)),
    )
    folder = archive.VM / f"{system_name}-{recipe}"
    if folder.is_dir():
        return folder
    with step(f"disk of {system_name}"):
        cache = STATE / "cache" / f"vm-{system_name}"
        shutil.rmtree(cache, ignore_errors=True)
        tree, laid, made = cache / "tree", cache / "files", cache / "made"
        for path, (content, mode) in files.items():
            (laid / path).parent.mkdir(parents=True, exist_ok=True)
            (laid / path).write_bytes(content)
            (laid / path).chmod(mode)
        for private in ("root", "root/.ssh"):
            (laid / private).chmod(0o700)
        tar = cache / f"vm-{system_name}.tar"
        rootfs.build(tar, system.suite, packages, [f'{here / "customize"} "$1" {laid}'])
        tree.mkdir()
        run(["tar", "--numeric-owner", "-xf", str(tar), "-C", str(tree)])
        tar.unlink()
        made.mkdir()
        shutil.copyfile(tree / "vmlinuz", made / "vmlinuz")
        shutil.copyfile(tree / "initrd.img", made / "initrd.img")
        run(
            [
                "mke2fs",
                "-q",
                "-t",
                "ext4",
                "-L",
                "root",
                "-d",
                str(tree),
                str(made / "disk.raw"),
                f"{data.VM_DISK}G",
            ]
        )
        made.rename(folder)
        shutil.rmtree(cache)
        used = {str(folder), *(m["Source"] for c in engine.containers() for m in c.attrs["Mounts"])}
        for old in archive.VM.glob(f"{system_name}-*"):
            if str(old) not in used:
                shutil.rmtree(old)
    return folder


def interfaces(host: data.Host) -> str:
    """The file that cloud-init writes for ifupdown, of a machine with fixed addresses."""
    return (
        "# This file is generated from information provided by the datasource.\n"
        f"auto lo\niface lo inet loopback\n    dns-nameservers {data.WORLD_IPV4}\n"
        f"    dns-search {data.DOMAIN}\n\n"
        f"auto {INTERFACE}\niface {INTERFACE} inet static\n"
        f"    address {host.ipv4}/24\n    gateway {data.WORLD_IPV4}\n\n"
        f"# control-alias {INTERFACE}\niface {INTERFACE} inet6 static\n"
        f"    address {host.ipv6}/64\n    gateway {data.WORLD_IPV6}\n"
    )


def create(
    host: data.Host,
    base: Path,
    files: Mapping[str, tuple[bytes, int]],
    labels: Mapping[str, str],
) -> Container:
    """Create the container of a machine and return it; it is not started.

    base: the folder with the disk of its system.
    files: those that make it this machine, content and mode by absolute path.
    labels: beside the sandbox's own.
    """
    devices = [TUN, KVM] if has_kvm() else [TUN]
    container = engine.create(
        host.container,
        runner(),
        (host.ipv4, host.ipv6),
        {
            **RUNNER_OPTIONS,
            "Binds": [f"{base}:/vm/base:ro"],
            "Devices": [
                {"PathOnHost": device, "PathInContainer": device, "CgroupPermissions": "rwm"}
                for device in devices
            ],
        },
        more_labels=labels,
        volumes=VOLUMES,
        entrypoint=["/vm/start"],
        command=[str(data.VM_MEMORY), str(data.VM_PROCESSORS), f"52:54:00:99:00:{host.number:02x}"],
    )
    start = (HERE / "vm" / "start").read_bytes()
    engine.put(container, {"/vm/start": (start, 0o755), "/vm/own.tar": (engine.tar(files), 0o600)})
    return container
