# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine as checks see it: what is installed, what runs, and how it is set.

Each thing is asked once for all checks, and an engine that is stopped is not started by looking.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_engine, host_info
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

CONFIG_FILE = "/etc/docker/daemon.json"

# Where systemd looks for a unit, first match wins; drop-ins of all of them count.
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


class Installed(NamedTuple):
    """What there is of an engine.

    Attributes:
        vendor: ``docker`` (Docker's own packages), ``distribution``, ``snap``, ``podman`` (its
            imitation of the command ``docker``), ``other`` (a daemon that no known package
            brought) or ``none``.
        packages: version of each package that an engine can come in, None for those not installed.
        package: name of the package that the engine is in; empty when it is in none.
        version: the engine's version as its package says it; empty when not known.
    """

    vendor: str
    packages: dict[str, str | None]
    package: str
    version: str


class Settings(NamedTuple):
    """How the daemon is set.

    Attributes:
        file: content of the configuration file.
        path: its path.
        flags: options of the daemon's command line, as texts.
        values: both together, flags over the file.
    """

    file: dict[str, Any]
    path: str
    flags: dict[str, str]
    values: dict[str, Any]

    def place(self, key: str) -> str:
        """Return where a key is set: the file, or the command line."""
        return "the daemon's command line" if key in self.flags else self.path


def installed(host: Host) -> Installed:
    """Return what there is of an engine."""
    return host.once(_installed)


def running(host: Host) -> bool:
    """Tell whether the system's own daemon runs, without waking it."""
    return host.once(docker_engine.started) is not None


def version(host: Host) -> str:
    """Return the version of the engine that answers, else of the one installed; may be empty."""
    try:
        found = str(reply(host).get("Version") or "")
    except HostError:
        found = ""
    return found or installed(host).version


def reply(host: Host) -> dict[str, Any]:
    """Return what the engine says of its versions.

    Raises:
        HostError: no engine runs, or it does not answer.
    """
    return host.once(_reply)


def info(host: Host) -> dict[str, Any]:
    """Return what the engine says of itself and its surroundings. Raises as :func:`reply`."""
    return host.once(_info)


def networks(host: Host) -> list[dict[str, Any]]:
    """Return the engine's networks. Raises as :func:`reply`."""
    return host.once(_networks)


def settings(host: Host) -> Settings:
    """Return how the daemon is set, by its file and its command line.

    Raises:
        HostError: the file cannot be read or understood; the text says where it is broken.
    """
    return host.once(_settings)


def flags(host: Host) -> dict[str, str]:
    """Return the options on the daemon's command line, of the unit's while it does not run."""
    return host.once(_flags)


def backend(host: Host) -> str:
    """Return what the engine makes its rules with: ``iptables`` or ``nftables``."""
    try:
        driver = str((info(host).get("FirewallBackend") or {}).get("Driver") or "")
    except HostError:
        driver = ""
    return "nftables" if (driver or _text(host, "firewall-backend")) == "nftables" else "iptables"


def filters_ipv6(host: Host) -> bool:
    """Tell whether the engine makes rules for IPv6: by default from version 27 on."""
    told = settings(host).values.get("ip6tables")
    if isinstance(told, bool):
        return told
    major = docker_engine.major(version(host))
    return major is None or major >= 27


def forwarding(host: Host) -> dict[str, bool]:
    """Return how the engine hands connections on to containers.

    Returns:
        dict: ``iptables`` and ``ip6tables`` (whether it makes packet filter rules, without which
        clients lose their addresses) and ``userland_proxy`` (whether its helper is on).

    Raises:
        HostError: see :func:`settings`.
    """
    values = settings(host).values
    return {
        "iptables": values.get("iptables") is not False,
        "ip6tables": values.get("iptables") is not False and filters_ipv6(host),
        "userland_proxy": values.get("userland-proxy") is not False,
    }


def renewal(host: Host) -> str:
    """Return the shell command that has the engine make its packet filter rules anew.

    With ``live-restore`` a restart is not enough (measured with 20.10 and 26.1): as containers go on,
    the engine does not lead to ``DOCKER-USER`` again before it makes a network.
    """
    command = "systemctl restart docker"
    try:
        goes_on = settings(host).values.get("live-restore") is True
    except HostError:
        goes_on = True
    if goes_on:
        command += " && docker network create renewal && docker network rm renewal"
    return command


def podman_shim(host: Host) -> bool:
    """Tell whether the command ``docker`` is Podman's imitation of it."""
    path = host.which("docker")
    if path is None:
        return False
    if host.realpath(path).rpartition("/")[2].startswith("podman"):
        return True
    start = host.read_bytes(path, 400) or b""
    return start.startswith(b"#!") and b"podman" in start


def rootless(host: Host) -> bool:
    """Tell whether some user runs an engine of his own, without root's rights."""
    return host.once(_rootless)


def _installed(host: Host) -> Installed:
    names = docker_engine.known_packages()
    there = [name for name in ("dockerd", "docker", "docker-compose") if host.which(name)]
    # Asking rpm takes longer than most checks together.
    packages = host_info.packages(host, names) if there else dict.fromkeys(names)
    for package, maker in docker_engine.MAKERS:
        if packages.get(package):
            text = _upstream(str(packages[package])) if maker != "podman" else ""
            return Installed(maker, packages, package, text)
    if host.exists("/var/snap/docker") or host.exists("/snap/bin/docker"):
        return Installed("snap", packages, "", "")
    if podman_shim(host):
        return Installed("podman", packages, "", "")
    daemon = host.which("dockerd")
    if daemon is None:
        return Installed("none", packages, "", "")
    found = "" if running(host) else docker_engine.version_in(host.run([daemon, "-v"]).stdout)
    return Installed("other", packages, "", found or "")


def _upstream(text: str) -> str:
    """Return the version of what is packed, without the package's epoch and revision."""
    return text.rpartition(":")[2].partition("-")[0]


def _reply(host: Host) -> dict[str, Any]:
    return _ask(host, "/version")


def _info(host: Host) -> dict[str, Any]:
    return _ask(host, "/info")


def _networks(host: Host) -> list[dict[str, Any]]:
    return _ask(host, "/networks")


def _ask(host: Host, question: str) -> Any:
    # systemd starts a stopped engine for whoever connects to its socket.
    if not running(host):
        raise HostError("the Docker engine does not run")
    return host.docker(question)


def _settings(host: Host) -> Settings:
    options = flags(host)
    path = options.get("config-file") or CONFIG_FILE
    data = host.read_bytes(path)
    content: dict[str, Any] = {}
    if data is None and host.exists(path):
        raise HostError("cannot read {0}".format(path))
    if not data and not options:
        return Settings({}, path, {}, {})
    # Not needed on a bare host, and not cheap to import.
    from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_daemon

    if data:
        try:
            content = docker_daemon.parse(data.decode("utf-8"), path)
        except UnicodeDecodeError as error:
            raise HostError("{0} is no UTF-8 text".format(path)) from error
        except docker_daemon.DaemonConfigError as error:
            raise HostError(str(error).partition(". It was left")[0]) from error
    values = dict(content)
    for name, text in options.items():
        if docker_daemon.TYPES.get(name) is bool:
            values[name] = text.lower() in ("1", "t", "true")
        else:
            values[name] = text
    return Settings(content, path, options, values)


def _flags(host: Host) -> dict[str, str]:
    pid = (host.read(docker_engine.PID_FILE) or "").strip()
    words = []
    if running(host):
        words = (host.read("/proc/{0}/cmdline".format(pid)) or "").split("\0")
    return _parse_flags(words or _unit_command(host).split())


def _parse_flags(words: list[str]) -> dict[str, str]:
    """Return long options and their values; one without a value is ``true``."""
    found = {}
    for position, word in enumerate(words):
        if not word.startswith("--"):
            if word == "-H":
                found["hosts"] = words[position + 1] if position + 1 < len(words) else ""
            continue
        name, equals, value = word[2:].partition("=")
        following = words[position + 1] if position + 1 < len(words) else ""
        if not equals:
            value = following if following and not following.startswith("-") else "true"
        found["hosts" if name == "host" else name] = value
    return found


def _unit_command(host: Host) -> str:
    """Return the command line in the unit's files, the last one that counts."""
    paths = []
    for directory in _UNIT_DIRECTORIES:
        if host.exists(directory + "/docker.service"):
            paths.append(directory + "/docker.service")
            break
    paths += host.glob("/etc/systemd/system/docker.service.d/*.conf")
    command = ""
    for path in paths:
        text = re.sub(r"\\\n\s*", " ", host.read(path) or "")
        for line in re.findall(r"^ExecStart[ \t]*=[ \t]*(.*)$", text, re.MULTILINE):
            command = line
    return command


def _text(host: Host, key: str) -> str:
    return str(settings(host).values.get(key) or "")


def _rootless(host: Host) -> bool:
    for name in host.listdir("/proc"):
        if name.isdigit() and (host.read("/proc/" + name + "/comm") or "").strip() == "rootlesskit":
            words = (host.read("/proc/" + name + "/cmdline") or "").split("\0")
            if any(word.rpartition("/")[2].startswith("dockerd") for word in words):
                return True
    return False
