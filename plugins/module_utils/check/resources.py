# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the machine is: processor, memory, swap, disk."""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils import container, sysctl_file
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need, Share
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
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
    """Compare the memory that the kernel has to give with what the stack and the plan add up to.

    The plan counts users, ActiveSync devices (one SOGo worker each), IMAP connections, and
    components that are on or off; the requirement shows the sum. Less than the stack's own minimum
    is a ``fail``, less than the plan a ``warn`` that names what could be switched off.
    The kernel keeps a part for itself, so that a server sold with exactly the minimum shows less:
    the stack's tolerance is subtracted.
    """
    total = _meminfo(host, "MemTotal")
    share = 1 - need.memory_tolerance
    least = need.memory_minimum_mib * share
    wanted = need.memory_mib * share
    observed = _gib(total)
    required = "{0} ({1} with the part the kernel keeps)".format(
        _gib(need.memory_mib), _gib(wanted)
    )
    if len(need.memory_shares) > 1:
        required += ": " + _sum(need.memory_shares)
    if total >= wanted:
        return [answer(OK, observed, required)]
    fix = "Give the server {0} of memory".format(_gib(need.memory_mib))
    enough = [
        lever for lever in need.memory_levers if total >= (need.memory_mib - lever.mib) * share
    ]
    if enough:
        fix += ", or set {0} (saves {1})".format(enough[0].setting, _gib(enough[0].mib))
    elif total >= (need.memory_mib - sum(lever.mib for lever in need.memory_levers)) * share:
        fix += ", or set " + " and ".join(lever.setting for lever in need.memory_levers)
    if total >= least:
        observed += ": enough for {0} itself, not for the plan".format(need.title)
        return [answer(WARN, observed, required, fix + ".")]
    return [answer(FAIL, observed, required, fix + ".")]


def _sum(shares: tuple[Share, ...]) -> str:
    """Return an addition in MiB, each summand with its name."""
    text = "{0} {1}".format(shares[0].mib, shares[0].title)
    for share in shares[1:]:
        text += " {0} {1} {2}".format("-" if share.mib < 0 else "+", abs(share.mib), share.title)
    return text + " MiB"


def swap(host: Host, need: Need) -> list[Finding]:
    """Compare the swap space with the stack's minimum.

    The minimum is memory *plus* swap. Where memory alone is large enough for both, missing swap
    costs the cushion for peaks only: ``warn``.
    """
    total = _meminfo(host, "SwapTotal")
    spare = _meminfo(host, "MemTotal") - need.memory_minimum_mib * (1 - need.memory_tolerance)
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


# What the engine's overlay driver and mail are at home on; the others lock or sync badly, or lose all
# at a reboot.
_GOOD_FILE_SYSTEMS = ("btrfs", "ext4", "xfs", "zfs")
_BAD_FILE_SYSTEMS = ("9p", "ceph", "cifs", "exfat", "fuse", "fuseblk", "glusterfs", "nfs", "nfs4",
                     "ntfs", "ntfs3", "ramfs", "smb3", "tmpfs", "vfat", "virtiofs")  # fmt: skip


def filesystem(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at the kind of file system that the engine's directory is on.

    ext4, XFS, btrfs and ZFS are ``ok``. One of the network, of another operating system, or in memory
    is a ``fail``: the overlay driver or the databases do not work there. Any other is a ``warn``.
    """
    required = "a local file system, ext4 at best"
    place = host.filesystem(docker_root(host))
    # Of several that are mounted on top of each other the last one counts.
    kind = ""
    for line in (host.read("/proc/mounts") or "").splitlines():
        fields = line.split()
        # Blanks in a path are written as \\040.
        if len(fields) > 2 and fields[1].replace("\\040", " ") == place.mount:
            kind = fields[2]
    if not kind:
        text = "no line in /proc/mounts for {0}".format(place.mount)
        return [answer(UNKNOWN, text, required, "Look by hand: findmnt {0}.".format(place.mount))]
    observed = "{0} on {1}".format(kind, place.mount)
    fix = "Move the engine's directory to ext4, see data-root in its documentation."
    if kind in _GOOD_FILE_SYSTEMS:
        return [answer(OK, observed, required)]
    bad = kind in _BAD_FILE_SYSTEMS or kind.startswith("fuse.")
    return [answer(FAIL if bad else WARN, observed, required, fix)]


def inodes(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Compare the files that the engine's file system can still hold with what mail takes.

    Each mail is a file, and so is each file of an image. Below 5 % nothing can be written soon,
    however much space is left: ``warn``, and ``fail`` below 1 %.
    """
    place = host.filesystem(docker_root(host))
    required = "5 % of the inodes available on {0}".format(place.mount)
    if not place.inodes:
        return [answer(SKIP, "{0} makes inodes as needed".format(place.mount), required)]
    share = 100 * place.inodes_available / place.inodes
    observed = "{0:.0f} % of {1:,} inodes available on {2}".format(
        share, place.inodes, place.mount
    ).replace(",", " ")
    fix = "Find what has so many files: du --inodes -xd2 {0} | sort -n | tail.".format(place.mount)
    return [answer(OK if share >= 5 else FAIL if share < 1 else WARN, observed, required, fix)]


def _parameter(host: Host, name: str) -> int | None:
    """Return a kernel parameter that is a number, None when it is not there."""
    text = (host.read("/proc/sys/" + name.replace(".", "/")) or "").strip()
    return int(text) if text.isdigit() else None


def _parameters(host: Host, need: Need, prefixes: tuple[str, ...], effect: str) -> list[Finding]:
    """Compare kernel parameters with the stack's least values."""
    wanted = {name: value for name, value in need.sysctls.items() if name.startswith(prefixes)}
    if not wanted:
        return [answer(SKIP, "{0} asks for none".format(need.title), "nothing")]
    required = ", ".join("{0} {1} or more".format(*item) for item in wanted.items())
    present = {name: _parameter(host, name) for name in wanted}
    missing = [name for name, value in present.items() if value is None]
    if missing:
        fix = "Look by hand: sysctl {0}.".format(" ".join(missing))
        return [answer(UNKNOWN, "cannot read " + ", ".join(missing), required, fix)]
    low = [
        "{0} is {1}".format(name, value)
        for name, value in present.items()
        # The numbers of a choice are names: 2 is not more than 1.
        if value < wanted[name] or (name in sysctl_file.CHOICES and value != wanted[name])
    ]
    if low:
        fix = "Nothing by hand: the system role sets it. {0}".format(effect)
        return [answer(WARN, ", ".join(low), required, fix)]
    return [answer(OK, ", ".join("{0} {1}".format(*item) for item in present.items()), required)]


def inotify(host: Host, need: Need) -> list[Finding]:
    """Compare the limits of inotify, which Dovecot watches mailboxes with, with the stack's values.

    All of Dovecot's processes are one user, for which the limits count. Less is a ``warn``.
    """
    effect = "With too few, IMAP clients are not told of new mail."
    return _parameters(host, need, ("fs.inotify.",), effect)


def redis(host: Host, need: Need) -> list[Finding]:
    """Compare two kernel parameters with what Redis asks for when it starts.

    Without overcommitting memory it cannot save its data when memory is short; a short queue of new
    connections loses some. Less is a ``warn``, and so is ``vm.overcommit_memory`` of 2, which is
    another choice and not more.
    """
    names = ("vm.overcommit_memory", "net.core.somaxconn")
    return _parameters(host, need, names, "Redis warns about it at each start.")


def max_map_count(host: Host, need: Need) -> list[Finding]:
    """Compare vm.max_map_count with what Mailu's hardened memory allocator asks for.

    Less is a ``warn``. mailcow does not ask for it.
    """
    return _parameters(host, need, ("vm.max_map_count",), "Mailu's containers warn about it.")


def limits(host: Host, need: Need) -> list[Finding]:
    """Compare the hard limits of PID 1, which services inherit, with what containers ask for.

    An engine that runs as root raises them, so that less is ``ok`` on a machine with a kernel of its
    own: the kernel's own limit of processes follows from the memory, and is lower up to 16 GiB. In a
    container the engine may lack that right, and what asks for more does not start: ``warn``.
    """
    wanted = {"Max open files": need.open_files, "Max processes": need.processes}
    wanted = {name: value for name, value in wanted.items() if value}
    if not wanted:
        return [answer(SKIP, "{0} asks for none".format(need.title), "nothing")]
    words = ", ".join("{0} {1} or more".format(n[4:], v) for n, v in wanted.items())
    present = {}
    for line in (host.read("/proc/1/limits") or "").splitlines():
        for name in wanted:
            if line.startswith(name):
                # Soft limit, hard limit, unit.
                hard = line[len(name) :].split()[1]
                present[name] = float("inf") if hard == "unlimited" else int(hard)
    if set(present) != set(wanted):
        return [answer(UNKNOWN, "cannot read /proc/1/limits", words, "Run the check as root.")]
    observed = ", ".join(
        "{0} {1}".format(name[4:], "unlimited" if value == float("inf") else value)
        for name, value in present.items()
    )
    if any(present[name] < value for name, value in wanted.items()):
        if not container.kind(host):
            return [answer(OK, observed + ", which the engine raises", words)]
        fix = "Raise DefaultLimitNOFILE and DefaultLimitNPROC in /etc/systemd/system.conf, reboot."
        return [answer(WARN, observed, words, fix)]
    return [answer(OK, observed, words)]


def _gib(mebibytes: float) -> str:
    """Return MiB as text in GiB, or in MiB below one GiB."""
    if mebibytes <= 0:
        return "none"
    if mebibytes < 1000:
        return "{0:.0f} MiB".format(mebibytes)
    return "{0:.1f} GiB".format(mebibytes / 1024)


LOOK = (
    ("resources.cpu", "Processor", "system", cpu),
    ("resources.memory", "Memory", "system", memory),
    ("resources.swap", "Swap space", "system", swap),
    ("resources.disk", "Disk space", "system", disk),
    (
        "resources.filesystem",
        "File system",
        "https://docs.docker.com/engine/storage/drivers/select-storage-driver/",
        filesystem,
    ),
    ("resources.inodes", "Inodes", "system", inodes),
    (
        "resources.inotify",
        "Inotify limits",
        "https://github.com/mailcow/mailcow-dockerized/issues/453",
        inotify,
    ),
    (
        "resources.redis",
        "Kernel parameters for Redis",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/admin/",
        redis,
    ),
    (
        "resources.max_map_count",
        "Memory maps",
        "https://mailu.io/2024.06/configuration.html",
        max_map_count,
    ),
    ("resources.limits", "Limits of processes", "install", limits),
)
