# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether fail2ban's jails do what they are there for: watch something, and cut off whom they ban."""

from __future__ import annotations

import configparser
import ipaddress
import json
import re
from typing import Any, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    fail2ban_config,
    fail2ban_guard,
    fail2ban_jails,
    fail2ban_server,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    UNKNOWN,
    WARN,
    Finding,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

#: Older ones know no bans that grow.
OLDEST = (0, 11)

_DOCS = "https://github.com/fail2ban/fail2ban/wiki"


class Wanted(NamedTuple):
    """A jail as it stands in our file.

    Attributes:
        off: why it is not in force; empty for one that is.
        missing: whether it is not, because it has nothing to watch.
        journal: terms, any of which will do.
        files: paths or patterns.
        ignore: addresses and networks that it passes by.
    """

    off: str
    missing: bool
    journal: tuple[str, ...]
    files: tuple[str, ...]
    ignore: tuple[str, ...]


def wanted(text: str) -> dict[str, Wanted]:
    """Return the jails in a file of :func:`fail2ban_jails.text`, by name."""
    parser = configparser.ConfigParser(strict=False)
    # As fail2ban has them: the name of a setting is what it is.
    parser.read_string(text)
    reasons = {}
    for mark, missing in ((fail2ban_jails.OFF, False), (fail2ban_jails.MISSING, True)):
        pattern = r"^{0}(.*)\.\n\[(.*)\]$".format(re.escape(mark))
        for reason, name in re.findall(pattern, text, re.MULTILINE):
            reasons[name] = (reason, missing)
    found = {}
    for name in parser.sections():
        section = parser[name]
        off, missing = reasons.get(name, ("it is switched off", False))
        journal = section.get("journalmatch", "")
        found[name] = Wanted(
            "" if section.getboolean("enabled") else off,
            missing and not section.getboolean("enabled"),
            tuple(journal.split(" + ")) if journal else (),
            tuple(section.get("logpath", "").split()),
            tuple(section.get("ignoreip", "").split()),
        )
    return found


def look(host: Host, quiet_after: int = 86400) -> dict[str, Any]:
    """Return what there is to say of fail2ban.

    Args:
        host: the host.
        quiet_after: seconds without a new line after which a log counts as dead.

    Returns:
        dict: ``findings``, ``jails`` (see the module), ``version`` and ``running``.
    """
    if not fail2ban_server.installed(host):
        finding = _finding(
            "fail2ban.service",
            FAIL,
            "fail2ban",
            "it is not installed",
            "it runs",
            "use the role postmaster.mailhost.fail2ban",
        )
        return {"findings": [finding.to_dict()], "jails": [], "version": "", "running": False}
    version = fail2ban_server.version(host)
    names = fail2ban_server.jails(host)
    ours = wanted(host.read(fail2ban_config.JAILS) or "")
    kernel = _kernel(host) if names and ours else {}
    running = sorted(names or [])
    statuses = _at_once(host, running)
    jails = []
    findings = [_service(host, names), _version(version)]
    for name in [*ours, *(name for name in running if name not in ours)]:
        mine = ours.get(name)
        if mine and mine.off and name not in running:
            if mine.missing:
                findings.append(_left_out(name, mine.off))
            continue
        entry = _entry(host, name, mine, statuses.get(name), kernel)
        jails.append(entry)
        if mine and names is not None:
            findings += _judge(host, entry, mine, kernel, quiet_after)
    return {
        "findings": [item.to_dict() for item in findings],
        "jails": jails,
        "version": version,
        "running": names is not None,
    }


def _at_once(host: Host, names: list[str]) -> dict[str, Any]:
    """Return what fail2ban says of each jail. Each question starts a Python of its own."""
    from multiprocessing.pool import ThreadPool

    if not names:
        return {}
    pool = ThreadPool(min(4, len(names)))
    try:
        return dict(zip(names, pool.map(lambda name: fail2ban_server.status(host, name), names)))
    finally:
        pool.terminate()


def _entry(
    host: Host, name: str, mine: Wanted | None, said: Any, kernel: Mapping[str, str]
) -> dict[str, Any]:
    """Return a jail for the module's answer."""
    banned = list(said.banned) if said else []
    ipv6 = sum(":" in address for address in banned)
    files = list(mine.files if mine else said.files if said else ())
    return {
        "name": name,
        "managed": mine is not None,
        "running": said is not None,
        "failed": said.failed if said else 0,
        "failed_total": said.failed_total if said else 0,
        "banned": banned,
        "banned_ipv4": len(banned) - ipv6,
        "banned_ipv6": ipv6,
        "banned_total": said.banned_total if said else 0,
        "journal": list(mine.journal) if mine else [],
        "files": files,
        "last_line": last_line(host, mine.journal if mine else (), files),
        "in_force": kernel[name] == "" if name in kernel else None,
    }


def last_line(host: Host, journal: tuple[str, ...], files: list[str]) -> float | None:
    """Return when a log was last written to, in seconds since the epoch; None when never.

    Args:
        host: the host.
        journal: terms of the journal, any of which will do.
        files: paths or patterns, read where there are no terms.
    """
    if journal:
        words = [word for term in journal for word in ("+", *term.split())][1:]
        answer = host.run(
            ["journalctl", "-q", "-n", "1", "-o", "json", "--output-fields=PRIORITY", *words]
        )
        for line in answer.stdout.splitlines():
            try:
                return int(json.loads(line)["__REALTIME_TIMESTAMP"]) / 1e6
            except (ValueError, KeyError, TypeError):
                continue
        return None
    times = [host.stat(path) for pattern in files for path in host.glob(pattern)]
    # A file that nobody has written to yet says nothing.
    return max((item.st_mtime for item in times if item and item.st_size), default=None)


def _judge(
    host: Host,
    entry: Mapping[str, Any],
    mine: Wanted,
    kernel: Mapping[str, str],
    quiet_after: int,
) -> list[Finding]:
    """Return what is to say of one of our jails: what is wrong with it, else one that it is well."""
    name = entry["name"]
    title = "Jail {0}".format(name)
    if not entry["running"]:
        return [
            _finding(
                "fail2ban.jail",
                FAIL,
                title,
                "it does not run",
                "it runs",
                "run the play again; fail2ban's log says why: /var/log/fail2ban.log",
            )
        ]
    found = []
    lost = kernel.get(name)
    if lost:
        found.append(
            _finding(
                "fail2ban.kernel",
                FAIL,
                title,
                lost,
                "the kernel drops what banned clients send",
                "{0} check".format(fail2ban_guard.PROGRAM),
            )
        )
    elif lost is None:
        found.append(
            _finding(
                "fail2ban.kernel",
                UNKNOWN,
                title,
                "{0} says nothing of it".format(fail2ban_guard.PROGRAM),
                "the kernel drops what banned clients send",
                "run the play again",
            )
        )
    where = " or ".join(mine.journal) or ", ".join(mine.files)
    fix = "see whether the service runs and where it logs: {0}".format(
        "journalctl " + " + ".join(mine.journal)
        if mine.journal
        else "ls -l " + " ".join(mine.files)
    )
    age = None if entry["last_line"] is None else host.now() - entry["last_line"]
    if age is None or age > quiet_after:
        found.append(
            _finding(
                "fail2ban.log",
                WARN,
                title,
                "it watches nothing: "
                + (
                    "there is no line of {0}".format(where)
                    if age is None
                    else "the last line of {0} is {1} old".format(where, _duration(age))
                ),
                "a log that grows",
                fix,
            )
        )
    trusted = _trusted(entry["banned"], mine.ignore)
    if trusted:
        found.append(
            _finding(
                "fail2ban.ignored",
                WARN,
                title,
                "it bans {0}, which it is to ignore".format(", ".join(trusted)),
                "nobody is banned who is to be ignored",
                "; ".join(
                    "fail2ban-client set {0} unbanip {1}".format(name, item) for item in trusted
                ),
            )
        )
    return found or [
        _finding(
            "fail2ban.jail",
            OK,
            title,
            "bans {0} IPv4 and {1} IPv6 addresses; {2} failures so far".format(
                entry["banned_ipv4"], entry["banned_ipv6"], entry["failed_total"]
            ),
            "it runs, watches a log that grows, and its bans are in force",
        )
    ]


def _service(host: Host, names: list[str] | None) -> Finding:
    unit = None
    try:
        unit = host.units([fail2ban_server.SERVICE])[fail2ban_server.SERVICE]
    except HostError:
        pass
    fix = "systemctl enable --now fail2ban.service; journalctl -u fail2ban.service says why not"
    required = "it runs, and is started at boot"
    if names is None:
        return _finding("fail2ban.service", FAIL, "fail2ban", "no server answers", required, fix)
    if unit is not None and not unit.enabled.startswith("enabled"):
        state = unit.enabled or "not there"
        observed = "it runs, and its service is {0}".format(state)
        return _finding("fail2ban.service", WARN, "fail2ban", observed, required, fix)
    observed = "{0} jails".format(len(names))
    return _finding("fail2ban.service", OK, "fail2ban", observed, required)


def _version(version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2]) if version else ()
    oldest = ".".join(map(str, OLDEST))
    status = UNKNOWN if not numbers else OK if numbers >= OLDEST else FAIL
    return _finding(
        "fail2ban.version",
        status,
        "Version of fail2ban",
        version or "it does not say",
        "{0} or newer".format(oldest),
        "upgrade the package: older ones know no bans that grow",
    )


def _left_out(name: str, reason: str) -> Finding:
    return _finding(
        "fail2ban.log",
        WARN,
        "Jail {0}".format(name),
        "it is not in force: {0}".format(reason),
        "a log that grows",
        "have the service log where the jail looks, and run the play again; or switch the jail off "
        "(fail2ban_jails: {0}: enabled: false)".format(name),
    )


def _kernel(host: Host) -> dict[str, str]:
    """Return for each jail what the kernel has lost of it, empty when nothing."""
    answer = host.run([fail2ban_guard.PROGRAM, "status"], timeout=fail2ban_server.TIMEOUT)
    found = {}
    for line in answer.stdout.splitlines():
        name, _blank, state = line.partition(" ")
        if state == "ok":
            found[name] = ""
        elif state.startswith("broken: "):
            found[name] = state[len("broken: ") :]
    return found


def _trusted(banned: list[str], ignore: tuple[str, ...]) -> list[str]:
    """Return the banned addresses that are to be ignored."""
    networks = [ipaddress.ip_network(item, strict=False) for item in ignore]
    found = []
    for address in banned:
        try:
            one = ipaddress.ip_network(address, strict=False)
        except ValueError:
            continue
        if any(one.version == other.version and one.overlaps(other) for other in networks):
            found.append(address)
    return found


def _duration(seconds: float) -> str:
    hours = int(seconds // 3600)
    return "{0} days".format(hours // 24) if hours >= 48 else "{0} hours".format(hours)


def _finding(
    name: str, status: str, title: str, observed: str, required: str, fix: str = ""
) -> Finding:
    return Finding(name, status, title, observed, required, "" if status == OK else fix, _DOCS)
