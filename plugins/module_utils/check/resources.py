# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the machine is: processor, memory, swap, disk."""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import (
    FileSystem,
    Host,
    HostError,
)

_GIB = 1024**3

DOCKER_ROOT = "/var/lib/docker"

# Space for the checkout and its configuration alone; mail and images lie in the engine's directory.
_CHECKOUT_GIB = 1

# A stack that is there needs room for the images of its next release beside the present ones.
_UPDATE_GIB = 5

# A 1 GiB swap file shows as 1023.99 MiB: its first page is the header.
_SWAP_HEADER_MIB = 1


def docker_root(host: Host) -> str:
    """Return the directory that the container engine keeps images and volumes in.

    Raises:
        HostError: when the engine's configuration is there and is not understood.
    """
    path = "/etc/docker/daemon.json"
    text = host.read(path)
    if text is None:
        if host.exists(path):
            raise HostError("cannot read {0}".format(path))
        return DOCKER_ROOT
    if not text.strip():
        return DOCKER_ROOT
    import json

    try:
        settings = json.loads(text)
    except ValueError as error:
        raise HostError("{0} is not valid JSON: {1}".format(path, error)) from error
    root = settings.get("data-root") if isinstance(settings, dict) else None
    if root is None:
        return DOCKER_ROOT
    if not isinstance(root, str) or not root.startswith("/"):
        raise HostError("data-root in {0} is {1!r}, not an absolute path".format(path, root))
    return root


def cpu(host: Host, need: Need) -> list[Finding]:
    """Compare the processor's clock rate with the minimum; also counts the processors.

    The rate is the highest one that the kernel's frequency driver, /proc/cpuinfo, the processor's
    own name or the firmware tells: an idle processor shows less than it can. Some virtual machines
    tell none: ``unknown``.
    """
    required = "{0:g} MHz or more".format(need.cpu_mhz)
    text = host.read("/proc/cpuinfo")
    if text is None:
        return [answer(UNKNOWN, "cannot read /proc/cpuinfo", required, "Run the check as root.")]
    count = 0
    rates = []
    for line in text.splitlines():
        name, _colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if name == "processor" and value.isdigit():
            count += 1
        elif name == "cpu MHz":
            rates.append(_number(value))
        elif name == "model name" and value.endswith("GHz"):
            rates.append(_number(value[: -len("GHz")].rpartition("@")[2].strip()) * 1000)
    kilohertz = host.read("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    rates.append(_number((kilohertz or "").strip()) / 1000)
    if not max(rates):
        rates += [_firmware_rate(host, path) for path in _processor_entries(host)]
    rate = max(rates)
    processors = "{0} processor{1}".format(count or "?", "" if count == 1 else "s")
    if not rate:
        return [
            answer(
                UNKNOWN,
                processors + ", clock rate not shown",
                required,
                "Ask the provider for the clock rate; any server processor of this century has it.",
            )
        ]
    observed = "{0}, {1:.0f} MHz".format(processors, rate)
    if rate < need.cpu_mhz:
        return [answer(FAIL, observed, required, "Use a server with a faster processor.")]
    return [answer(OK, observed, required)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _processor_entries(host: Host) -> list[str]:
    """Return the paths of the SMBIOS structures of type 4, the processors."""
    return host.glob("/sys/firmware/dmi/entries/4-*/raw")


def _firmware_rate(host: Host, path: str) -> float:
    """Return the current speed in MHz: the 16-bit word at offset 16h (SMBIOS DSP0134, 7.5)."""
    raw = host.read_bytes(path, 0x18) or b""
    return float(int.from_bytes(raw[0x16:0x18], "little"))


def _meminfo(host: Host, field: str) -> float:
    """Return a field of /proc/meminfo in MiB.

    Raises:
        HostError: when it is not there.
    """
    for line in (host.read("/proc/meminfo") or "").splitlines():
        name, _colon, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise HostError("cannot read {0} from /proc/meminfo".format(field))


def memory(host: Host, need: Need) -> list[Finding]:
    """Compare the memory that the kernel has to give with the stack's minimum.

    The kernel keeps a part for itself, so that a server sold with exactly the minimum shows less:
    the stack's tolerance is subtracted.
    """
    total = _meminfo(host, "MemTotal")
    least = need.memory_mib * (1 - need.memory_tolerance)
    observed = _gib(total)
    required = "{0} ({1} with the part the kernel keeps)".format(_gib(need.memory_mib), _gib(least))
    if total < least:
        fix = "Give the server {0} of memory.".format(_gib(need.memory_mib))
        return [answer(FAIL, observed, required, fix)]
    return [answer(OK, observed, required)]


def swap(host: Host, need: Need) -> list[Finding]:
    """Compare the swap space with the stack's minimum.

    The minimum is memory *plus* swap. Where memory alone is large enough for both, missing swap
    costs the cushion for peaks only: ``warn``.
    """
    total = _meminfo(host, "SwapTotal")
    spare = _meminfo(host, "MemTotal") - need.memory_mib * (1 - need.memory_tolerance)
    required = _gib(need.swap_mib)
    if total >= need.swap_mib - _SWAP_HEADER_MIB:
        return [answer(OK, _gib(total), required)]
    observed = _gib(total)
    fix = "Add a swap file or partition of {0}.".format(_gib(need.swap_mib))
    if spare >= need.swap_mib:
        return [answer(WARN, observed + ", but memory to spare", required, fix)]
    return [answer(FAIL, observed, required, fix)]


def disk(host: Host, need: Need) -> list[Finding]:
    """Compare the space of the container engine's directory and of the install path.

    Neither directory has to exist: the file system that will hold it counts. Before the stack is
    there, the *available* space must reach the minimum. Once it is there it has used that space
    itself: then the file system's size must reach it, with room left for the next release's images.
    """
    findings = []
    try:
        engine_path = docker_root(host)
        engine = host.filesystem(engine_path)
    except HostError as error:
        engine = None
        findings.append(
            answer(
                UNKNOWN,
                str(error),
                "{0:g} GiB for the container engine".format(need.disk_gib),
                "Repair it, then look again.",
            )
        )
    place = host.filesystem(need.install_path)
    installed = host.exists(need.install_path + "/" + need.env_file)
    if engine is None or place.mount != engine.mount:
        paths = need.install_path
        findings.append(_space(place, paths, _CHECKOUT_GIB, installed, 0))
    if engine is not None:
        paths = engine_path
        if place.mount == engine.mount:
            paths += " and " + need.install_path
        findings.append(_space(engine, paths, need.disk_gib, installed, _UPDATE_GIB))
    return findings


def _space(
    place: FileSystem, paths: str, least: float, installed: bool, update_room: float
) -> Finding:
    """Compare one file system with the space that its directories need, in GiB."""
    size, available = place.size / _GIB, place.available / _GIB
    observed = "{0:.1f} GiB available of {1:.1f} GiB on {2} ({3})".format(
        available, size, place.mount, paths
    )
    fix = "Enlarge the file system on {0}, or free space there.".format(place.mount)
    if not installed:
        required = "{0:g} GiB available".format(least)
        return answer(OK if available >= least else FAIL, observed, required, fix)
    room = min(update_room, least)
    required = "{0:g} GiB in all, {1:g} GiB of it available for updates".format(least, room)
    if size < least:
        return answer(FAIL, observed, required, fix)
    return answer(OK if available >= room else WARN, observed, required, fix)


def _gib(mebibytes: float) -> str:
    """Return MiB as text in GiB, or in MiB below one GiB."""
    if mebibytes <= 0:
        return "none"
    if mebibytes < 1000:
        return "{0:.0f} MiB".format(mebibytes)
    return "{0:.1f} GiB".format(mebibytes / 1024)
