# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker daemon's configuration file: merging, checking, and what a change asks for.

Keys and their types: https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    docker_engine,
    file_write,
    host_info,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

NONE = "none"
RELOAD = "reload"
RESTART = "restart"

#: Keys that take effect when the daemon is sent SIGHUP; all others need a restart.
#: https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior
RELOADABLE = frozenset(
    (
        "allow-nondistributable-artifacts",
        "authorization-plugins",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    )
)

# Of these a reload also takes back the value when the key is gone. Of the others the daemon keeps
# the value it has until it is restarted (daemon/reload.go of the engine's source).
_RESET_BY_RELOAD = frozenset(
    ("features", "max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts")
)

#: JSON types of the keys that people set; what is not listed is left to the daemon to judge.
TYPES = {
    "authorization-plugins": list,
    "bip": str,
    "bridge": str,
    "builder": dict,
    "cgroup-parent": str,
    "containerd": str,
    "data-root": str,
    "debug": bool,
    "default-address-pools": list,
    "default-cgroupns-mode": str,
    "default-network-opts": dict,
    "default-runtime": str,
    "default-shm-size": str,
    "default-ulimits": dict,
    "dns": list,
    "dns-opts": list,
    "dns-search": list,
    "exec-opts": list,
    "experimental": bool,
    "features": dict,
    "firewall-backend": str,
    "fixed-cidr": str,
    "fixed-cidr-v6": str,
    "group": str,
    "hosts": list,
    "icc": bool,
    "init": bool,
    "insecure-registries": list,
    "ip": str,
    "ip-forward": bool,
    "ip-masq": bool,
    "ip6tables": bool,
    "iptables": bool,
    "ipv6": bool,
    "labels": list,
    "live-restore": bool,
    "log-driver": str,
    "log-format": str,
    "log-level": str,
    "log-opts": dict,
    "max-concurrent-downloads": int,
    "max-concurrent-uploads": int,
    "max-download-attempts": int,
    "mtu": int,
    "no-new-privileges": bool,
    "proxies": dict,
    "registry-mirrors": list,
    "runtimes": dict,
    "selinux-enabled": bool,
    "shutdown-timeout": int,
    "storage-driver": str,
    "storage-opts": list,
    "userland-proxy": bool,
    "userns-remap": str,
}

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    list: "a list",
    dict: "a dictionary",
}

#: Private prefix for docker0 that mailcow's own scripts use, so that they find their work done.
IPV6_SUBNET = "fd00:dead:beef:c0::/80"

_RELAY = (
    "without Docker's packet filter rules every client seems to come from the bridge's gateway, "
    "which mail servers trust: an open relay"
)


#: Says what a running daemon still needs, from before the file is written until it is done. A run
#: that is broken off in between is so noticed by the next one. A reboot, which does it too, empties
#: /run.
PENDING_FILE = "/run/mailhost-docker-daemon.pending"


class DaemonConfigError(Exception):
    """The configuration cannot be used; the text names key or file, what is wrong and allowed."""


class Merge(NamedTuple):
    """Two states of the configuration.

    Attributes:
        before: what is in the file.
        after: what is to be in it.
    """

    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def changed_keys(self) -> list[str]:
        """Top-level keys that differ, in the order of the file, removed ones last."""
        names = list(self.after) + [key for key in self.before if key not in self.after]
        # JSON as text, because Python says that true is 1.
        return [key for key in names if _text(self.before, key) != _text(self.after, key)]

    @property
    def action(self) -> str:
        """What a running daemon needs to take the change over: none, reload or restart."""
        changed = self.changed_keys
        if not changed:
            return NONE
        for key in changed:
            if key not in RELOADABLE or (key not in self.after and key not in _RESET_BY_RELOAD):
                return RESTART
        return RELOAD


class Plan(NamedTuple):
    """What is to be done about the file.

    Attributes:
        change: of the file.
        merge: of the configuration.
        action: what the running daemon needs; ``none`` also when none runs.
        engine_version: version of the engine that runs, else of the one installed, else None.
        warnings: sentences.
        validated: whether the daemon itself looked at a changed file.
    """

    change: file_write.Change
    merge: Merge
    action: str
    engine_version: str | None
    warnings: list[str]
    validated: bool


def plan(
    host: Host,
    config: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
    absent: Sequence[str] = (),
    ipv6: bool | None = None,
    mtu: str = "none",
    path: str = "/etc/docker/daemon.json",
    pending_file: str = PENDING_FILE,
) -> Plan:
    """Compare the file with what is wanted, and have the daemon check the outcome.

    Args:
        host: the host.
        config: see :func:`merge`.
        defaults: likewise.
        absent: likewise.
        ipv6: see :func:`ipv6_keys`.
        mtu: see :func:`mtu_keys`.
        path: the file.
        pending_file: see :data:`PENDING_FILE`.

    Raises:
        DaemonConfigError: an option, the present file or the outcome cannot be used.
        file_write.FileWriteError: the file cannot be read.
    """
    config = normalize(config, "config")
    defaults = normalize(defaults or {}, "defaults")
    for key in absent:
        if key in config or key in defaults:
            raise DaemonConfigError("{0} is wanted and listed in absent as well".format(key))
    start = docker_engine.started(host)
    version = _engine_version(host, start is not None)
    before = parse(_decode(host, path), path)
    wanted = dict(ipv6_keys(ipv6, docker_engine.major(version), before))
    route = host_info.default_route(host)["ipv4"] if mtu == "auto" else None
    wanted.update(mtu_keys(mtu, route["mtu"] if route else None))
    wanted.update(config)
    merged = merge(before, wanted, defaults, absent)
    normalize(merged.after, path)
    warnings = judge(merged.after, path)
    text = render(merged.after) if merged.changed_keys else None
    # A file that says the same in another layout keeps its bytes.
    data = text.encode("utf-8") if text is not None else host.read_bytes(path)
    change = file_write.plan(host, path, render({}).encode() if data is None else data, 0o644)
    validated = False
    if change.content_changed:
        validated = _validate(host, change.after.decode("utf-8"), version, path)
        if not validated and version is not None:
            warnings.append(
                "the engine has version {0} and cannot check a configuration, as it can from 23 "
                "on; only its form was checked".format(version)
            )
    action = merged.action
    if start is None:
        action = NONE
    elif action != RESTART:
        action = _pending(host, start, pending_file) or action
    return Plan(change, merged, action, version, warnings, validated)


def write(planned: Plan, backup: bool = True, pending_file: str = PENDING_FILE) -> str:
    """Write the file.

    Returns:
        str: path of the backup, "" when there is none.

    Raises:
        file_write.FileWriteError: it cannot be written.
    """
    if not planned.change.changed:
        return ""
    file_write.make_directory(planned.change.path.rpartition("/")[0])
    if planned.action != NONE:
        file_write.replace(pending_file, planned.action.encode() + b"\n", mode=0o644)
    return planned.change.write(backup=backup)


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values, without the backup."""
    diff = planned.change.diff() if planned.change.changed else {}
    return {
        "changed": planned.change.changed or planned.action != NONE,
        "action": planned.action,
        "changed_keys": planned.merge.changed_keys,
        "engine_version": planned.engine_version,
        "validated": planned.validated,
        "path": planned.change.path,
        "diff": {name: _mask(text) for name, text in diff.items()},
    }


def parse(text: str | None, path: str) -> dict[str, Any]:
    """Return the configuration in a file's text; an absent or empty file is an empty one.

    Raises:
        DaemonConfigError: it is no JSON object; the text says where it is broken.
    """
    if text is None or not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        where = ""
        if isinstance(error, json.JSONDecodeError):
            where = " in line {0}, column {1}".format(error.lineno, error.colno)
        raise DaemonConfigError(
            "{0} is no valid JSON: {1}{2}. It was left as it is; repair it or remove it, the "
            "daemon could not start with it either".format(
                path, getattr(error, "msg", error), where
            )
        ) from None
    if not isinstance(value, dict):
        raise DaemonConfigError(
            "{0} holds {1} where an object {{...}} is needed. It was left as it is".format(
                path, json.dumps(value)[:60]
            )
        )
    return value


def render(config: Mapping[str, Any]) -> str:
    """Return the text of the file."""
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def merge(
    before: Mapping[str, Any],
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    absent: Sequence[str],
) -> Merge:
    """Merge what is wanted into what is there. Unknown keys and the order of keys stay.

    Args:
        before: the present configuration.
        config: keys that must be so. Dictionaries are merged at every depth, lists replaced. With
            another log driver the old one's options go, as no driver knows another's.
        defaults: keys that are set only while they are missing.
        absent: keys that must not be there.
    """
    after = copy.deepcopy(dict(before))
    driver = config.get("log-driver")
    if driver is not None and driver != before.get("log-driver", "json-file"):
        after.pop("log-opts", None)
    _merge(after, config)
    for key, value in defaults.items():
        after.setdefault(key, copy.deepcopy(value))
    for key in absent:
        after.pop(key, None)
    return Merge(dict(before), after)


def ipv6_keys(wanted: bool | None, engine: int | None, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that switch IPv6 on or off.

    From 27 on the engine filters IPv6 without being asked, and from 28 on it chooses a subnet for
    its own bridge by itself. mailcow's scripts write the same keys into this file, and restart the
    daemon for it, unless they find them.

    Args:
        wanted: true, false, or None to leave it.
        engine: the engine's major version; None, not known yet, counts as a new one.
        before: the present configuration; its fixed-cidr-v6 is kept.
    """
    if wanted is None:
        return {}
    if not wanted:
        return {"ipv6": False} if before.get("ipv6") else {}
    keys: dict[str, Any] = {"ipv6": True}
    if engine is not None and engine < 28 and not before.get("fixed-cidr-v6"):
        keys["fixed-cidr-v6"] = IPV6_SUBNET
    if engine is not None and engine < 27:
        keys.update({"ip6tables": True, "experimental": True})
    return keys


def mtu_keys(wanted: str, route: int | None) -> dict[str, Any]:
    """Return the key for the MTU of the daemon's own bridge.

    Args:
        wanted: ``auto``, ``none`` or a number. ``auto`` takes the default route's MTU where it is
            below Ethernet's 1500: larger packets would be lost there.
        route: MTU of the default route, None when there is none.

    Raises:
        DaemonConfigError: it is something else.
    """
    if wanted == "none" or (wanted == "auto" and (route is None or route >= 1500)):
        return {}
    if wanted == "auto":
        return {"mtu": route}
    # 1280 is what IPv6 needs on every link (RFC 8200 section 5), 65535 the largest packet.
    if not wanted.isdigit() or not 1280 <= int(wanted) <= 65535:
        raise DaemonConfigError(
            "mtu is {0!r}; allowed: auto, none or a number from 1280 to 65535".format(wanted)
        )
    return {"mtu": int(wanted)}


def normalize(config: Mapping[str, Any], option: str) -> dict[str, Any]:
    """Return the configuration with numbers in ``log-opts`` as texts, which is what Docker takes.

    Raises:
        DaemonConfigError: a key has a value of another type than Docker's; see :data:`TYPES`.
    """
    result = copy.deepcopy(dict(config))
    options = result.get("log-opts")
    if isinstance(options, dict):
        for name, value in options.items():
            if isinstance(value, bool):
                options[name] = "true" if value else "false"
            elif isinstance(value, (int, float)):
                options[name] = str(value)
            elif not isinstance(value, str):
                raise DaemonConfigError(
                    "{0}: log-opts.{1} is {2}; allowed: a text".format(
                        option, name, json.dumps(value)
                    )
                )
    for key, value in result.items():
        expected = TYPES.get(key)
        wrong = expected is not None and (
            not isinstance(value, expected) or (expected is int and isinstance(value, bool))
        )
        if wrong:
            raise DaemonConfigError(
                "{0}: {1} is {2}; allowed: {3}".format(
                    option, key, json.dumps(value), _WORDS[expected]
                )
            )
    return result


def judge(config: Mapping[str, Any], path: str) -> list[str]:
    """Look for settings that a mail host cannot live with.

    Args:
        config: the configuration that would be in force.
        path: the file, for the message.

    Returns:
        list[str]: warnings: what works, but not as one might think.

    Raises:
        DaemonConfigError: a setting that breaks mail stacks; the text says why.
    """
    for wrong, setting, reason in (
        (config.get("iptables") is False, "iptables: false", _RELAY),
        (
            config.get("ipv6") is True and config.get("ip6tables") is False,
            "ip6tables: false together with ipv6: true",
            _RELAY + " over IPv6, and every port of the containers is open to it",
        ),
        (
            bool(config.get("userns-remap")),
            "userns-remap",
            (
                "mail stacks have containers on the host's network and privileged ones, which "
                "Docker refuses with it"
            ),
        ),
    ):
        if wrong:
            raise DaemonConfigError(
                "{0} would have {1}: {2}. Remove it, for example with absent: [{3}]".format(
                    path, setting, reason, setting.partition(":")[0]
                )
            )
    warnings = []
    if config.get("userland-proxy") is False:
        warnings.append(
            "userland-proxy is false: with mailcow's isolation rule the loopback ports for "
            "database and Redis may not answer on the host"
        )
    if config.get("firewall-backend") == "nftables":
        warnings.append(
            "firewall-backend is nftables: there is no chain DOCKER-USER then, so rules and bans "
            "in it have no effect"
        )
    return warnings


def _decode(host: Host, path: str) -> str | None:
    """Return the file's text, None when it is absent.

    Raises:
        DaemonConfigError: it cannot be read or is no text.
    """
    data = host.read_bytes(path)
    if data is None:
        if host.stat(path) is not None and not host.isdir(path):
            raise DaemonConfigError("cannot read {0}: permission denied".format(path))
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DaemonConfigError(
            "{0} is no valid JSON: byte {1} is no UTF-8. It was left as it is".format(
                path, error.start + 1
            )
        ) from None


def _engine_version(host: Host, running: bool) -> str | None:
    """Return the version of the engine that runs, else of the one installed."""
    answer = docker_engine.ask(host, "/version") if running else None
    if isinstance(answer, dict) and answer.get("Version"):
        return str(answer["Version"])
    daemon = host.which("dockerd")
    return docker_engine.version_in(host.run([daemon, "--version"]).stdout) if daemon else None


def _validate(host: Host, text: str, version: str | None, path: str) -> bool:
    """Let the daemon check a configuration; return whether it could.

    It is given the flags that its service starts it with, because a key that is set by a flag too
    keeps it from starting.

    Raises:
        DaemonConfigError: the daemon refuses it; its reason is in the text.
    """
    daemon = host.which("dockerd")
    if daemon is None or (docker_engine.major(version) or 0) < 23:
        return False
    shown = host.run(["systemctl", "show", "--property=ExecStart", "docker.service"]).stdout
    command = re.search(r"argv\[\]=(\S+dockerd\S*)([^;]*);", shown)
    flags = [
        word
        for word in (command.group(2).split() if command else [])
        if not word.startswith(("$", "--config-file"))
    ]
    answer = host.run([daemon, "--validate", "--config-file=/dev/stdin", *flags], input=text)
    if answer.rc != 0:
        reason = (answer.stderr.strip() or answer.stdout.strip()).splitlines()
        raise DaemonConfigError(
            "the Docker daemon refuses the new configuration: {0}. {1} was left as it is".format(
                reason[-1].replace("/dev/stdin", path) if reason else "without a reason", path
            )
        )
    return True


def _pending(host: Host, start: float, pending_file: str) -> str:
    """Return the action that an earlier run left undone, "" when there is none."""
    status = host.stat(pending_file)
    if status is None or start > status.st_mtime:
        return ""
    action = (host.read(pending_file) or "").strip()
    return action if action in (RELOAD, RESTART) else ""


def _mask(text: str) -> str:
    """Hide the user and password of addresses, which those of a proxy may have."""
    return re.sub(r"://[^/\s\"@]+@", "://********@", text)


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Merge one dictionary into another, in place."""
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def _text(config: Mapping[str, Any], key: str) -> str | None:
    """Return a key's value as text that differs exactly when the value does."""
    return json.dumps(config[key], sort_keys=True) if key in config else None
