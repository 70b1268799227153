# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles must know about a host before they decide: one answer instead of many tasks.

Each function takes the host and returns plain data. What cannot be found out is None, never a
guess.
"""

from __future__ import annotations

import re
import stat
from typing import Any, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

DEBIAN = "debian"
REDHAT = "redhat"

#: Kernel's name of an architecture to Debian's (dpkg's table of CPUs), for hosts without dpkg.
DEBIAN_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "i686": "i386",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}

# Members of a family that do not say so in ID_LIKE, beside those that do.
_FAMILIES = {
    DEBIAN: ("debian", "ubuntu"),
    REDHAT: ("rhel", "fedora", "centos", "almalinux", "rocky"),
}

_KINDS = ((stat.S_ISDIR, "directory"), (stat.S_ISREG, "file"), (stat.S_ISSOCK, "socket"))


def os_release(host: Host) -> dict[str, str]:
    """Return the fields of os-release(5), such as ``ID`` and ``VERSION_ID``; none when absent."""
    text = host.read("/etc/os-release") or host.read("/usr/lib/os-release") or ""
    fields = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            fields[name] = value.strip().strip("\"'")
    return fields


def distribution(host: Host) -> dict[str, Any]:
    """Return which Linux distribution it is.

    Returns:
        dict: ``id``, ``version`` and ``codename`` (texts, empty when not known), ``like`` (list of
        distributions it derives from), ``family`` (``debian``, ``redhat`` or ``other``) and
        ``name`` for people.
    """
    fields = os_release(host)
    name = fields.get("ID", "").lower()
    like = fields.get("ID_LIKE", "").lower().split()
    family = "other"
    for candidate, members in _FAMILIES.items():
        if {name, *like} & set(members):
            family = candidate
            break
    return {
        "id": name,
        "version": fields.get("VERSION_ID", ""),
        "codename": fields.get("VERSION_CODENAME", ""),
        "like": like,
        "family": family,
        "name": fields.get("PRETTY_NAME", "") or name,
    }


def architecture(host: Host) -> dict[str, Any]:
    """Return the architecture: the kernel's name, and in Debian's name the one of packages.

    They differ where a 64-bit kernel runs a 32-bit system.
    """
    try:
        kernel = host.machine()
    except HostError:
        kernel = None
    own = _dpkg_stanzas(host, ["dpkg"]).get("dpkg", {}).get("architecture")
    return {"kernel": kernel, "debian": own or DEBIAN_ARCHITECTURES.get(kernel or "")}


def service_manager(host: Host) -> str:
    """Return ``systemd``, ``openrc`` or the name of PID 1: what starts services here."""
    # The directory is what sd_booted(3) looks for.
    if host.isdir("/run/systemd/system"):
        return "systemd"
    if host.exists("/run/openrc/softlevel"):
        return "openrc"
    return (host.read("/proc/1/comm") or "").strip()


def packages(host: Host, names: Sequence[str]) -> dict[str, Any]:
    """Return the installed version of each package, None for those that are not fully installed.

    Returns:
        dict: package name to version, as the package manager writes it (``epoch:version-release``).
    """
    if not names:
        return {}
    if host.exists("/var/lib/dpkg/status"):
        stanzas = _dpkg_stanzas(host, names)
        return {
            name: stanzas[name]["version"]
            if stanzas.get(name, {}).get("status", "").endswith(" ok installed")
            else None
            for name in names
        }
    found: dict[str, Any] = dict.fromkeys(names)
    query = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"
    answer = host.run(["rpm", "-q", "--qf", query, *names])
    for line in answer.stdout.splitlines():
        name, tab, version = line.partition("\t")
        if tab and name in found:
            found[name] = version[2:] if version.startswith("0:") else version
    return found


def dpkg_interrupted(host: Host) -> bool:
    """Tell whether dpkg was killed in the middle of its work: APT then refuses to do anything.

    dpkg leaves its journal behind, numbered files in ``updates``; APT looks for the same.
    """
    return any(name.isdigit() for name in host.listdir("/var/lib/dpkg/updates"))


def commands(host: Host, names: Sequence[str]) -> dict[str, Any]:
    """Return where each program is, None for those that are not there."""
    return {name: host.which(name) for name in names}


def paths(host: Host, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what is at each path.

    Returns:
        dict: path to ``exists`` (a link that leads nowhere does not), ``type`` (``file``,
        ``directory``, ``socket``, ``link`` or ``other``; None when there is nothing), ``target``
        (of a link, else None), and of what a link leads to ``mode`` (octal digits), ``size``
        (bytes), ``uid`` and ``gid``.
    """
    found = {}
    for name in names:
        target = host.readlink(name)
        status = host.stat(name)
        kind = None
        if target is not None:
            kind = "link"
        elif status is not None:
            kind = next((word for test, word in _KINDS if test(status.st_mode)), "other")
        found[name] = {
            "exists": status is not None,
            "type": kind,
            "target": target,
            "mode": "{0:04o}".format(stat.S_IMODE(status.st_mode)) if status else None,
            "size": status.st_size if status else None,
            "uid": status.st_uid if status else None,
            "gid": status.st_gid if status else None,
        }
    return found


def default_route(host: Host) -> dict[str, Any]:
    """Return the default route of both families, None where there is none.

    Returns:
        dict: ``ipv4`` and ``ipv6``, each with ``interface``, ``gateway`` (None on a point-to-point
        link), ``mtu`` of the interface in bytes, and ``source``, the address that outgoing
        connections have (None when it cannot be found out).
    """
    return {
        "ipv4": _route(host, "-4", _ipv4_route(host)),
        "ipv6": _route(host, "-6", _ipv6_route(host)),
    }


def _route(host: Host, family: str, found: tuple[str, Any] | None) -> dict[str, Any] | None:
    """Add MTU and source address to interface and gateway."""
    if found is None:
        return None
    interface, gateway = found
    mtu = (host.read("/sys/class/net/{0}/mtu".format(interface)) or "").strip()
    # Addresses set aside for documentation: they lead along the default route, and nothing is sent.
    target = "192.0.2.1" if family == "-4" else "2001:db8::1"
    answer = host.run(["ip", family, "route", "get", target], timeout=5)
    source = re.search(r"\bsrc (\S+)", answer.stdout) if answer.rc == 0 else None
    return {
        "interface": interface,
        "gateway": gateway,
        "mtu": int(mtu) if mtu.isdigit() else None,
        "source": source.group(1) if source else None,
    }


def _ipv4_route(host: Host) -> tuple[str, Any] | None:
    """Return interface and gateway of the IPv4 default route with the lowest metric."""
    best: tuple[int, str, Any] | None = None
    for line in (host.read("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        # Destination and mask 0, and the flags say "up" and not "reject".
        if len(fields) < 8 or fields[1] != "00000000" or fields[7] != "00000000":
            continue
        flags = int(fields[3], 16)
        if not flags & 0x0001 or flags & 0x0200:
            continue
        raw = bytes.fromhex(fields[2])[::-1]
        gateway = ".".join(str(octet) for octet in raw) if any(raw) else None
        if best is None or int(fields[6]) < best[0]:
            best = (int(fields[6]), fields[0], gateway)
    return best[1:] if best else None


def _ipv6_route(host: Host) -> tuple[str, Any] | None:
    """Return interface and gateway of the IPv6 default route with the lowest metric."""
    import ipaddress

    best: tuple[int, str, Any] | None = None
    for line in (host.read("/proc/net/ipv6_route") or "").splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[0] != "0" * 32 or fields[1] != "00":
            continue
        # Every IPv6 kernel has a rejecting default route on lo: not a way out.
        flags = int(fields[8], 16)
        if fields[9] == "lo" or not flags & 0x0001 or flags & 0x0200:
            continue
        address = ipaddress.IPv6Address(bytes.fromhex(fields[4]))
        gateway = str(address) if int(address) else None
        if best is None or int(fields[5], 16) < best[0]:
            best = (int(fields[5], 16), fields[9], gateway)
    return best[1:] if best else None


def _dpkg_stanzas(host: Host, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return status, version and architecture of packages from dpkg's status file."""
    text = "\n" + (host.read("/var/lib/dpkg/status") or "")
    found: dict[str, dict[str, str]] = {}
    for name in names:
        position = 0
        while True:
            # Searching is a hundred times faster than reading all stanzas. With several
            # architectures a package has several stanzas; one that is installed counts.
            position = text.find("\nPackage: {0}\n".format(name), position)
            if position < 0:
                break
            end = text.find("\n\n", position + 1)
            stanza = text[position + 1 : end if end >= 0 else len(text)]
            fields = dict(
                re.findall(r"^(Status|Version|Architecture): *(.*)$", stanza, re.MULTILINE)
            )
            entry = {key.lower(): value for key, value in fields.items()}
            entry.setdefault("version", "")
            if name not in found or entry.get("status", "").endswith(" ok installed"):
                found[name] = entry
            position += 1
    return found
