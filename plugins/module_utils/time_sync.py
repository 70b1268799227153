# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that follows time servers: which daemon does it, whether it runs, whether it arrived.

Only what programs write for programs is read: properties and comma-separated values, never text for
people, which changes with the version and the language.
"""

from __future__ import annotations

import ipaddress
import re
import time
from typing import Any, Callable, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import container, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError, Unit

CHRONY = "chrony"
TIMESYNCD = "systemd-timesyncd"

#: Daemons and the names of their units. Of several, one that runs counts; then the order does.
DAEMONS = {
    CHRONY: ("chrony.service", "chronyd.service"),
    "ntpsec": ("ntpsec.service",),
    "ntp": ("ntp.service", "ntpd.service"),
    "openntpd": ("openntpd.service",),
    TIMESYNCD: ("systemd-timesyncd.service",),
}

#: Packages that bring one of them, where they are named otherwise than the daemon or not.
PACKAGES = ("chrony", "ntpsec", "ntp", "openntpd", "systemd-timesyncd")

TIMESYNCD_DROPIN = "/etc/systemd/timesyncd.conf.d/60-mailhost.conf"

HEADER = "# Managed by postmaster.mailhost.time_sync; changes are lost.\n"

# chrony's own file, and the folder for sources where that file names none.
_CHRONY_FILES = (
    ("/etc/chrony/chrony.conf", "/etc/chrony/sources.d"),
    ("/etc/chrony.conf", "/etc/chrony.d"),
)

_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?\Z")

# Seconds between two looks at a clock that is not there yet.
_PAUSE = 1.0


class TimeSyncError(Exception):
    """The clock cannot be kept right; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        daemon: its name, a key of :data:`DAEMONS`.
        unit: its unit.
        before: what systemd says of the unit.
        changes: of configuration files.
        remove: configuration files of an earlier run that are not wanted any more.
        verbs: what systemctl is to do, in order.
        idle: why the daemon cannot run here, else "".
    """

    daemon: str
    unit: str
    before: Unit
    changes: list[file_write.Change]
    remove: list[file_write.Change]
    verbs: list[str]
    idle: str

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.changes or self.remove or self.verbs)


def server_problem(servers: Sequence[Any]) -> str:
    """Say what is wrong with a list of time servers; empty when nothing is."""
    for server in servers:
        if not isinstance(server, str) or not (_is_address(server) or _NAME.match(server)):
            return "servers: {0!r}; allowed: host names and IP addresses".format(server)
    return ""


def plan(host: Host, servers: Sequence[str] = (), daemon: str = "auto") -> Plan:
    """Compare the host with what is wanted.

    Args:
        host: the host.
        servers: time servers; none leaves the choice to the daemon's own configuration.
        daemon: a key of :data:`DAEMONS`, or ``auto`` for the one that is there.

    Raises:
        TimeSyncError: an option cannot be used, or there is no daemon.
        file_write.FileWriteError: a file cannot be read.
    """
    problem = server_problem(servers)
    if problem:
        raise TimeSyncError(problem)
    if daemon != "auto" and daemon not in DAEMONS:
        raise TimeSyncError(
            "daemon is {0!r}; allowed: auto, {1}".format(daemon, ", ".join(DAEMONS))
        )
    name, unit, state = _choose(host, daemon)
    changes, remove = _configuration(host, name, servers)
    idle = "" if _runs(state) else _idle(host, unit)
    verbs = []
    if not state.enabled.startswith(("enabled", "static", "generated", "alias")):
        verbs.append("enable")
    if _runs(state):
        if changes or remove:
            verbs.append("restart")
    elif not idle:
        verbs.append("start")
    return Plan(name, unit, state, changes, remove, verbs, idle)


def carry_out(host: Host, planned: Plan) -> str:
    """Write the files, and enable, start or restart the daemon.

    Returns:
        str: why the daemon cannot run here, else "".

    Raises:
        TimeSyncError: systemctl fails.
        file_write.FileWriteError: a file cannot be written.
    """
    for change in planned.remove:
        file_write.remove(file_write.place(host, change.path))
    for change in planned.changes:
        path = file_write.place(host, change.path)
        file_write.make_directory(path.rpartition("/")[0])
        # The daemon's own file is the administrator's, those of our own need no copy.
        change._replace(path=path).write(backup=not change.after.startswith(HEADER.encode()))
    for verb in planned.verbs:
        answer = host.run(["systemctl", verb, planned.unit], timeout=60)
        if answer.rc != 0:
            raise TimeSyncError(
                "systemctl {0} {1} failed: {2}".format(
                    verb, planned.unit, answer.stderr.strip() or "without a reason"
                )
            )
    # A start that a condition forbids succeeds; that shows only afterwards.
    if "start" in planned.verbs:
        try:
            state = host.units([planned.unit])[planned.unit]
        except HostError as error:
            raise TimeSyncError(
                "{0} was started and cannot be looked at: {1}".format(planned.unit, error)
            ) from error
        if not _runs(state):
            return _idle(host, planned.unit)
    return planned.idle


def synchronised(host: Host, daemon: str) -> bool | None:
    """Tell whether the daemon has set the clock by a server; None when it does not say."""
    if daemon == CHRONY:
        return _chrony(host)
    if daemon in ("ntp", "ntpsec"):
        return _ntp(host)
    if daemon == "openntpd":
        return _openntpd(host)
    # The file alone says that it got an answer; the kernel's word alone could be an older one.
    kernel = _kernel(host)
    return kernel and host.exists("/run/systemd/timesync/synchronized")


def wait(
    host: Host,
    daemon: str,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool | None:
    """Wait until the daemon has set the clock.

    Args:
        host: the host.
        daemon: its name.
        timeout: seconds; 0 looks once.
        clock: a clock for the limit.
        sleep: what passes the time.

    Returns:
        bool | None: what :func:`synchronised` said last.
    """
    end = clock() + timeout
    while True:
        found = synchronised(host, daemon)
        if found or clock() >= end:
            return found
        sleep(_PAUSE)


def asked(host: Host, daemon: str) -> list[str]:
    """Return the servers that the daemon asks, as far as it tells."""
    if daemon == CHRONY:
        answer = host.run(["chronyc", "-N", "-c", "sources"], timeout=5)
        rows = [line.split(",") for line in answer.stdout.splitlines()] if answer.rc == 0 else []
        return [row[2] for row in rows if len(row) > 2]
    if daemon in ("ntp", "ntpsec"):
        answer = host.run(["ntpq", "-pn"], timeout=10)
        _head, _line, body = answer.stdout.partition("===\n")
        # The first character is a mark; a pool itself is no server.
        rows = [line[1:].split() for line in body.splitlines()]
        return [row[0] for row in rows if len(row) > 1 and row[1] != ".POOL."]
    if daemon != TIMESYNCD:
        return []
    names = ("SystemNTPServers", "LinkNTPServers", "FallbackNTPServers")
    # Other than systemctl, it takes no list in one.
    options = ["--property=" + name for name in names]
    found = _properties(host, ["timedatectl", "show-timesync", *options])
    # Fallback servers are asked only where no other is known.
    known = (found.get(names[0], "") + " " + found.get(names[1], "")).split()
    return known or found.get(names[2], "").split()


def late(host: Host, planned: Plan, timeout: float, found: bool | None = False) -> str:
    """Return the sentence about a clock that was not set in time.

    Args:
        host: the host.
        planned: what was done.
        timeout: seconds that were waited.
        found: what :func:`wait` returned.
    """
    if found is None:
        return (
            "whether the clock is synchronised could not be found out in {0:g} s: {1} does not say. "
            "Look at its journal (journalctl -u {1}), or set timeout to 0".format(
                timeout, planned.unit
            )
        )
    servers = asked(host, planned.daemon)
    who = "{0} asks {1}" if servers else "{0} tells of no server that it asks"
    return (
        "the clock is not synchronised after {0:g} s; {1}. See that time servers answer (UDP port "
        "123 outwards), name others in servers, or raise timeout".format(
            timeout, who.format(planned.unit, ", ".join(servers))
        )
    )


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values, without the outcome of the waiting."""
    diff = [change.diff() for change in planned.changes]
    for change in planned.remove:
        diff.append(dict(change.diff(), after_header="{0} (absent)".format(change.path)))
    if set(planned.verbs) - {"restart"}:
        diff.append(
            {
                "before_header": planned.unit,
                "before": "{0}, {1}\n".format(planned.before.active, planned.before.enabled),
                "after_header": planned.unit,
                "after": "active, enabled\n" if not planned.idle else "inactive, enabled\n",
            }
        )
    return {
        "changed": planned.changed,
        "daemon": planned.daemon,
        "unit": planned.unit,
        "files": [change.path for change in planned.changes + planned.remove],
        "actions": planned.verbs,
        "diff": diff,
    }


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _choose(host: Host, wanted: str) -> tuple[str, str, Unit]:
    """Return the daemon that is to keep the clock, its unit and the unit's state."""
    names = [name for name in DAEMONS if wanted in ("auto", name)]
    try:
        units = host.units([unit for name in names for unit in DAEMONS[name]])
    except HostError as error:
        raise TimeSyncError("the time daemon cannot be looked at: {0}".format(error)) from error
    there, masked = [], []
    for name in names:
        # Of two names for one unit, the alias has the same state, and cannot be enabled.
        found = [(name, unit, units[unit]) for unit in DAEMONS[name] if units[unit].present]
        found.sort(key=lambda item: item[2].enabled == "alias")
        if found and found[0][2].load == "masked":
            masked.append(found[0][1])
        elif found:
            there.append(found[0])
    if there:
        return min(there, key=lambda item: (item[2].active != "active", not item[2].starts))
    if masked:
        raise TimeSyncError(
            "{0} is masked, and there is no other time daemon. Unmask it (systemctl unmask {0}), or "
            "leave the clock out if somebody else keeps it".format(masked[0])
        )
    raise TimeSyncError(
        "there is no time daemon ({0}); install the package systemd-timesyncd or chrony".format(
            ", ".join(names)
        )
    )


def _runs(state: Unit) -> bool:
    return state.active in ("active", "activating", "reloading")


def _idle(host: Host, unit: str) -> str:
    """Return why systemd does not start a unit in a container, else "".

    Debian's unit for timesyncd has the condition that it runs in no container, because a clock
    there is that of the machine around it.
    """
    inside = container.kind(host)
    if not inside:
        return ""
    names = "--property=ConditionResult,ConditionTimestampMonotonic"
    found = _properties(host, ["systemctl", "show", names, unit])
    tried = found.get("ConditionTimestampMonotonic", "0") not in ("", "0")
    if tried and found.get("ConditionResult") == "no":
        return (
            "{0} does not start in a container ({1}): the clock is the machine's around it".format(
                unit, inside
            )
        )
    return ""


def _configuration(
    host: Host, daemon: str, servers: Sequence[str]
) -> tuple[list[file_write.Change], list[file_write.Change]]:
    """Return the changes of a daemon's files: those to write, and those to remove."""
    if daemon == TIMESYNCD:
        # The empty line takes back what other files say: the list would be added to theirs.
        text = HEADER + "[Time]\nNTP=\nNTP={0}\n".format(" ".join(servers))
        return _own(host, TIMESYNCD_DROPIN, text, bool(servers))
    if daemon == CHRONY:
        return _chrony_files(host, servers)
    if servers:
        raise TimeSyncError(
            "servers cannot be set for {0}, only for {1} and {2}. Name them in its own "
            "configuration, or install one of these instead".format(daemon, CHRONY, TIMESYNCD)
        )
    return [], []


def _chrony_files(
    host: Host, servers: Sequence[str]
) -> tuple[list[file_write.Change], list[file_write.Change]]:
    """Return the changes of chrony's files.

    Sources in files of their own are added to those in its configuration, and preferred to them.
    """
    lines = []
    for server in servers:
        # A pool's name has many addresses, of which several are used.
        kind = "pool" if not _is_address(server) and "pool" in server.split(".") else "server"
        lines.append("{0} {1} iburst prefer\n".format(kind, server))
    body = HEADER + "".join(lines)
    for path, folder in _CHRONY_FILES:
        text = host.read_bytes(path)
        if text is None:
            continue
        directives = _chrony_directives(text.decode("utf-8", "replace"))
        if directives.get("sourcedir"):
            target = directives["sourcedir"] + "/mailhost.sources"
        elif directives.get("confdir"):
            target = directives["confdir"] + "/60-mailhost.conf"
        else:
            target = folder + "/mailhost.sources"
            if servers:
                end = b"" if not text or text.endswith(b"\n") else b"\n"
                line = "sourcedir {0}\n".format(folder).encode()
                status = host.stat(path)
                mode = status.st_mode & 0o7777 if status else 0o644
                main = file_write.plan(host, path, text + end + line, mode)
                changes, remove = _own(host, target, body, True)
                return [main, *changes], remove
        return _own(host, target, body, bool(servers))
    if servers:
        raise TimeSyncError(
            "chrony has no configuration in {0}".format(
                " or ".join(path for path, _folder in _CHRONY_FILES)
            )
        )
    return [], []


def _chrony_directives(text: str) -> dict[str, str]:
    """Return the last folder that each kind of directive names.

    Those below /run are the DHCP client's.
    """
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0].lower() in ("sourcedir", "confdir"):
            folders = [word for word in words[1:] if not word.startswith(("/run/", "/var/run/"))]
            if folders:
                found[words[0].lower()] = folders[-1].rstrip("/")
    return found


def _own(
    host: Host, path: str, text: str, wanted: bool
) -> tuple[list[file_write.Change], list[file_write.Change]]:
    """Return the change of a file that is ours alone: to be written, or to be removed."""
    change = file_write.plan(host, path, text.encode() if wanted else b"", 0o644)
    if wanted:
        return [change] if change.changed else [], []
    return [], [change] if change.before is not None else []


def _properties(host: Host, argv: list[str]) -> dict[str, str]:
    answer = host.run(argv, timeout=10)
    if answer.rc != 0:
        return {}
    return dict(line.partition("=")[::2] for line in answer.stdout.splitlines())


def _kernel(host: Host) -> bool | None:
    """Return whether the kernel's clock counts as synchronised."""
    found = _properties(host, ["timedatectl", "show", "--property=NTPSynchronized"])
    return {"yes": True, "no": False}.get(found.get("NTPSynchronized", ""))


def _chrony(host: Host) -> bool | None:
    answer = host.run(["chronyc", "-n", "-c", "tracking"], timeout=5)
    fields = answer.stdout.strip().split(",")
    if answer.rc != 0 or len(fields) < 14:
        return None
    # 7F7F0101 is the clock itself, which chrony may be told to believe.
    return fields[13] != "Not synchronised" and fields[0] not in ("00000000", "7F7F0101")


def _ntp(host: Host) -> bool | None:
    answer = host.run(["ntpq", "-c", "rv"], timeout=10)
    if answer.rc != 0 or "leap_" not in answer.stdout:
        return None
    state = answer.stdout.partition("\n")[0]
    return "leap_alarm" not in state and not re.search(r"sync_(unspec|local)\b", state)


def _openntpd(host: Host) -> bool | None:
    answer = host.run(["ntpctl", "-s", "status"], timeout=10)
    if answer.rc != 0:
        return _kernel(host)
    return "clock synced" in answer.stdout
