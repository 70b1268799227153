# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of machine it is: operating system, virtualisation, architecture."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.postmaster.mailhost.plugins.module_utils import container
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.host_info import os_release

# What uname says on the left, what the stacks' data say on the right.
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}

# Values of "container" as container managers hand them to PID 1
# (https://systemd.io/CONTAINER_INTERFACE/), with the names people know.
_CONTAINERS = {
    "docker": "a Docker container",
    "podman": "a Podman container",
    "lxc": "an LXC container (LXC, LXD, Incus or Proxmox CT)",
    "lxc-libvirt": "an LXC container of libvirt",
    "systemd-nspawn": "a systemd-nspawn container",
    "openvz": "an OpenVZ or Virtuozzo container",
    "oci": "an OCI container",
    "wsl": "the Windows Subsystem for Linux",
    "proot": "a PRoot environment",
    "rkt": "an rkt container",
    "pouch": "a Pouch container",
}

# Text in the DMI vendor or product, first match wins.
_HYPERVISORS = (
    ("KVM", "KVM"),
    ("QEMU", "QEMU/KVM"),
    ("VMware", "VMware"),
    ("VirtualBox", "VirtualBox"),
    ("Virtual Machine", "Hyper-V"),
    ("Xen", "Xen"),
    ("Amazon EC2", "Amazon EC2"),
    ("Google", "Google Compute Engine"),
    ("OpenStack", "OpenStack"),
    ("Hetzner", "Hetzner Cloud"),
    ("DigitalOcean", "DigitalOcean"),
    ("Parallels", "Parallels"),
    ("BHYVE", "bhyve"),
    ("Bochs", "Bochs"),
)


def operating_system(host: Host, need: Need) -> list[Finding]:
    """Compare the distribution and its release with those that the stack's authors support.

    A release that is listed with limited support, a newer release, and a distribution that is not
    listed may work, without any support: ``warn``. A release older than the oldest one listed is no
    longer maintained and gets no current container engine: ``fail``. One that the authors expect to
    work without testing it is ``ok``.
    """
    required = "; ".join(_describe(entry) for entry in need.operating_systems)
    fields = os_release(host)
    name = fields.get("ID", "")
    if not name:
        return [
            answer(
                UNKNOWN,
                "no /etc/os-release that names a distribution",
                required,
                "Find out which system this is; install one that is listed.",
            )
        ]
    version = fields.get("VERSION_ID", "")
    observed = fields.get("PRETTY_NAME") or (name + " " + version).strip()
    entries = [entry for entry in need.operating_systems if entry["id"] == name]
    for entry in entries:
        if _matches(entry, version):
            if entry["support"] == "supported":
                return [answer(OK, observed, required)]
            if entry["support"] == "untested":
                return [answer(OK, observed + ", which upstream does not test", required)]
            return [
                answer(
                    WARN,
                    observed + ": limited support, manual adjustments needed",
                    required,
                    "Prefer a system with full support, or expect to adjust some things by hand.",
                )
            ]
    listed = [_version(text) for entry in entries for text in _versions(entry)]
    if not listed:
        like = fields.get("ID_LIKE", "")
        return [
            answer(
                WARN,
                observed + ": not listed" + (" (like {0})".format(like) if like else ""),
                required,
                "It may work, without support of any kind; a listed system is the safe choice.",
            )
        ]
    if version and _version(version) < min(listed):
        return [
            answer(
                FAIL,
                observed + ": older than every listed release",
                required,
                "Upgrade the system to a listed release.",
            )
        ]
    return [
        answer(
            WARN,
            observed + ": this release is not listed",
            required,
            "It may work, without support of any kind; a listed release is the safe choice.",
        )
    ]


def _versions(entry: Mapping[str, Any]) -> list[str]:
    return list(entry.get("versions", ())) or [entry["min_version"]]


def _version(text: str) -> tuple[int, ...]:
    """Return a version as comparable numbers; a part that is no number ends it."""
    numbers = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _matches(entry: Mapping[str, Any], version: str) -> bool:
    found = _version(version)
    if "min_version" in entry:
        return found >= _version(entry["min_version"])
    # "9" of a list means every 9.x.
    wanted = [_version(text) for text in entry["versions"]]
    return any(found[: len(numbers)] == numbers for numbers in wanted)


def _describe(entry: Mapping[str, Any]) -> str:
    if "min_version" in entry:
        text = "{0} {1} or newer".format(entry["id"], entry["min_version"])
    else:
        text = "{0} {1}".format(entry["id"], ", ".join(entry["versions"]))
    return text if entry["support"] == "supported" else "{0} ({1})".format(text, entry["support"])


def virtualisation(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Refuse containers, the Windows Subsystem for Linux and NAS systems; name what was found.

    A mail stack in containers needs a kernel of its own: it sets firewall rules and kernel
    parameters, and raises process limits. Full virtualisation and bare metal are fine.
    OpenMediaVault is Debian below: ``warn``.
    """
    required = "bare metal, or a virtual machine with a kernel of its own (KVM, ESXi, Hyper-V, Xen)"
    refused = _refused(host)
    if refused:
        return [
            answer(
                FAIL,
                refused,
                required,
                "Use bare metal or a fully virtualised server: a container or NAS system does not "
                "let the stack manage its kernel settings and firewall.",
            )
        ]
    if host.exists("/etc/openmediavault/config.xml"):
        return [
            answer(
                WARN,
                "OpenMediaVault, a NAS system on top of Debian",
                required,
                "Use a server of its own: the NAS manages ports, network and firewall too.",
            )
        ]
    if host.read("/proc/sys/kernel/osrelease") is None:
        return [answer(UNKNOWN, "/proc cannot be read", required, "Run the check as root.")]
    # systemd leaves a mark that everybody can read; without systemd only root sees the mark.
    if host.read("/proc/1/environ") is None and not host.isdir("/run/systemd/system"):
        return [
            answer(
                UNKNOWN,
                "the environment of PID 1 cannot be read",
                required,
                "Run the check as root.",
            )
        ]
    return [answer(OK, _kernel_owner(host), required)]


def _refused(host: Host) -> str:
    """Return what makes the machine unfit, named for people; empty when nothing does."""
    release = (host.read("/proc/sys/kernel/osrelease") or "").strip()
    # NAS systems first: a container on one still shows its kernel, and the NAS is the reason.
    if (
        host.exists("/etc/synoinfo.conf")
        or host.isdir("/usr/syno")
        or host.glob("/proc/sys/kernel/syno_*")
    ):
        return "a Synology NAS (DSM)"
    if host.exists("/etc/config/qpkg.conf"):
        return "a QNAP NAS (QTS)"
    if host.exists("/etc/unraid-version"):
        return "Unraid"
    if "truenas" in (host.read("/etc/version") or "").lower():
        return "TrueNAS"
    # A hardware node of OpenVZ has /proc/vz too, and /proc/bc beside it; a container has not.
    if (host.exists("/proc/vz") or host.exists("/proc/user_beancounters")) and not host.exists(
        "/proc/bc"
    ):
        return _CONTAINERS["openvz"]
    if "microsoft" in release.lower() or release.endswith("WSL"):
        return _CONTAINERS["wsl"] + " (kernel {0})".format(release)
    kind = container.kind(host)
    if not kind:
        # Only cgroup version 1 shows the manager's path from inside.
        for line in (host.read("/proc/1/cgroup") or "").splitlines():
            if "/lxc/" in line or line.endswith("/lxc"):
                kind = "lxc"
            elif "/docker/" in line:
                kind = "docker"
    return _CONTAINERS.get(kind, "a container ({0})".format(kind)) if kind else ""


def _kernel_owner(host: Host) -> str:
    """Return the name of the hypervisor, or bare metal."""
    texts = [
        (host.read("/sys/class/dmi/id/" + name) or "").strip()
        for name in ("sys_vendor", "product_name", "bios_vendor")
    ]
    described = " ".join(text for text in texts[:2] if text)
    for mark, name in _HYPERVISORS:
        if any(mark in text for text in texts):
            return "virtual machine ({0})".format(name)
    kind = (host.read("/sys/hypervisor/type") or "").strip()
    if kind:
        return "virtual machine ({0})".format(kind)
    if host.exists("/proc/device-tree/hypervisor/compatible"):
        return "virtual machine"
    for line in (host.read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            if "hypervisor" in line.split():
                return "virtual machine" + (" ({0})".format(described) if described else "")
            break
    return "bare metal" + (" ({0})".format(described) if described else "")


def architecture(host: Host, need: Need) -> list[Finding]:
    """Compare the processor's architecture with those the stack's images are built for.

    A 32-bit system on a 64-bit kernel runs 32-bit images, of which there are none: ``fail``.
    """
    machine = host.machine()
    machine = _ARCHITECTURES.get(machine, machine)
    required = " or ".join(need.architectures)
    fix = "Use a server with one of these architectures."
    if machine not in need.architectures:
        return [answer(FAIL, machine, required, fix)]
    # The fifth byte of an ELF file is its class: 1 for 32 bits. The kernel's name says nothing
    # about the programs above it.
    header = host.read_bytes("/bin/sh", 5) or b""
    if header[:4] == b"\x7fELF" and header[4:] == b"\x01":
        return [
            answer(
                FAIL,
                "a 32-bit system on a kernel for {0}".format(machine),
                required,
                "Install the 64-bit edition of the system.",
            )
        ]
    return [answer(OK, machine, required)]


def processor_features(host: Host, need: Need) -> list[Finding]:
    """Look for the processor's features that the stack's programs are built for.

    Without SSE4.2 Rspamd ends with "Illegal instruction" on an x86 processor: ``fail``. Virtual
    machines often hide it behind a processor type such as kvm64.
    """
    if not need.cpu_flags:
        return [answer(SKIP, "{0} asks for none".format(need.title), "nothing")]
    machine = host.machine()
    if _ARCHITECTURES.get(machine, machine) != "x86_64":
        return [answer(SKIP, "not an x86 processor", ", ".join(need.cpu_flags))]
    required = ", ".join(need.cpu_flags)
    for line in (host.read("/proc/cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            missing = [flag for flag in need.cpu_flags if flag not in line.split()]
            if missing:
                fix = "Give the virtual machine the processor type host, or use another server."
                return [answer(FAIL, "missing: " + ", ".join(missing), required, fix)]
            return [answer(OK, "all there", required)]
    return [answer(UNKNOWN, "no flags in /proc/cpuinfo", required, "Look by hand: lscpu.")]


def kernel_modules(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look whether modules of the running kernel are there to be loaded.

    After an upgrade of the kernel without a reboot the directory of the running one is gone: the
    engine's networks and overlay file system then fail to load: ``fail``, unless the overlay file
    system is loaded already, which is a ``warn``. A kernel without modules is ``ok`` when it has
    the overlay file system.
    """
    release = (host.read("/proc/sys/kernel/osrelease") or "").strip()
    required = "modules of the running kernel, overlay among them"
    if not release:
        return [answer(UNKNOWN, "/proc cannot be read", required, "Run the check as root.")]
    loaded = any(
        line.split()[-1:] == ["overlay"]
        for line in (host.read("/proc/filesystems") or "").splitlines()
    )
    there = any(host.isdir(base + release) for base in ("/lib/modules/", "/usr/lib/modules/"))
    if there:
        return [answer(OK, "modules of {0} are there".format(release), required)]
    others = host.listdir("/lib/modules") or host.listdir("/usr/lib/modules")
    if not others:
        if loaded:
            return [answer(OK, "kernel {0} without modules".format(release), required)]
        text = "no modules for {0}, and no overlay file system".format(release)
        return [answer(FAIL, text, required, "Use a server whose kernel has it.")]
    observed = "none for the running kernel {0}, but for {1}".format(release, ", ".join(others))
    return [answer(WARN if loaded else FAIL, observed, required, "Reboot into the new kernel.")]


LOOK = (
    ("platform.operating_system", "Operating system", "platform", operating_system),
    ("platform.virtualisation", "Virtualisation", "platform", virtualisation),
    ("platform.architecture", "Architecture", "system", architecture),
    ("platform.processor_features", "Processor features", "system", processor_features),
    ("platform.kernel_modules", "Kernel modules", "install", kernel_modules),
)
