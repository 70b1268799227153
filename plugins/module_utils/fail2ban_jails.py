# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an administrator wants to the jails of a host, and to the file that fail2ban reads.

What a jail is by default stands in :mod:`stack.jails`. Nothing here touches the host: what has to be
known of it comes as :class:`Facts`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import jails as data

#: What may be set for a jail, with the words for a wrong value.
SETTINGS = {
    "enabled": "true or false",
    "filter": "the name of a file in filter.d without its ending",
    "mode": "letters, digits, '.', '_' and '-'",
    "journal": "a list of FIELD=VALUE without blanks or '%'",
    "files": "a list of absolute paths or patterns without blanks or '%'",
    "ports": "a list of ports and ranges such as 1000-2000",
    "maxretry": "a whole number from 1 to 1000",
    "findtime": "seconds, or numbers with s, m, h, d or w, such as 10m or 1h30m",
    "bantime": "seconds, or numbers with s, m, h, d or w, such as 1h, or -1 for ever",
    "ignore": "a list of addresses and networks",
}

LOOPBACK = ("127.0.0.0/8", "::1/128")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_FILTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_MODE = re.compile(r"[A-Za-z0-9._-]*\Z")
_TERM = re.compile(r"[A-Z_][A-Z0-9_]*=[^\s%+]+\Z")
_PATH = re.compile(r"/[^\s%]+\Z")
_PORTS = re.compile(r"([0-9]{1,5})(?:[-:]([0-9]{1,5}))?\Z")
# A section with what stands in it, without the remark on the next one.
_PARTS = r"^\[([^\]\n]+)\]\n((?:[^\[#\n].*\n|#.*\n(?!\[))*)"
_TIME = re.compile(r"(?:[0-9]+[smhdw])+\Z|[0-9]+\Z")

#: What stands in the file before the reason why a jail is not in force: nobody wants it here, or it
#: could not watch anything.
OFF = "# Not needed: "
MISSING = "# Not possible: "

_HEAD = """\
# Managed by postmaster.mailhost.fail2ban_config; changes are lost.
# Every setting stands in its own jail, so that jails of others stay as they are.

[DEFAULT]
# Two words for the jails below; fail2ban itself knows neither.
mailhost_networks = {networks}
mailhost_ignoreip = {ignore}
"""

_SECTION = """
# {why}
[{name}]
enabled = true
filter = {filter}
{source}
maxretry = {maxretry}
findtime = {findtime}
bantime = {bantime}
bantime.increment = {increment}
bantime.maxtime = {maxtime}
bantime.rndtime = {rndtime}
# A name that a client chose is never looked up.
usedns = no
ignoreip = {ignore}
action = {action}
"""

_SERVER = """\
# Managed by postmaster.mailhost.fail2ban_config; changes are lost.
[Definition]
# An address is remembered for as long as its longest ban may take; otherwise a ban would be
# forgotten when the server is started anew, and the next one would not be longer.
dbpurgeage = {0}
"""


class JailError(Exception):
    """A setting is wrong; the text is a sentence that names it, its value and what is allowed."""


class Times(NamedTuple):
    """How long failures count and bans last, as an administrator wrote it."""

    bantime: str
    findtime: str
    maxretry: int
    increment: bool
    maxtime: str
    rndtime: str


class Facts(NamedTuple):
    """What has to be known of a host.

    Attributes:
        journal: whether the journal keeps what is logged, and fail2ban can read it.
        why_not: why it cannot; empty when it can.
        files: which of the files asked for exist, patterns included.
        installed: programs and services that exist, of those that jails are for.
        filters: names of all filters that there are or will be; None where that is not known.
        project: the stack's Compose project.
        drivers: journal term of a container to the log driver that it has, where known.
    """

    journal: bool
    why_not: str
    files: frozenset
    installed: frozenset
    filters: frozenset | None
    project: str
    drivers: Mapping[str, str]


class Jail(NamedTuple):
    """A jail as it is to be.

    Attributes:
        name, title, why: see :mod:`stack.jails`.
        filter: name and mode, as fail2ban is told.
        journal: terms, any of which will do; none where files are read.
        files: paths or patterns.
        ports: ``25,465,1000-2000``; empty for all.
        maxretry, findtime, bantime: of this jail.
        ignore: addresses that only this jail passes by.
        off: why it is not in force; empty for one that is.
        missing: whether that is because something is not there.
        grows: whether each further ban of an address may be longer.
    """

    name: str
    title: str
    why: str
    filter: str
    journal: tuple[str, ...]
    files: tuple[str, ...]
    ports: str
    maxretry: int
    findtime: str
    bantime: str
    ignore: tuple[str, ...]
    off: str = ""
    missing: bool = False
    grows: bool = True

    @property
    def source(self) -> str:
        """Where its lines come from, for people."""
        return " or ".join(self.journal) or ", ".join(self.files)


# -- settings --------------------------------------------------------------------------------------


def seconds(text: str) -> int:
    """Return how many seconds a time is; -1 for ever.

    Args:
        text: see :data:`SETTINGS`.

    Raises:
        ValueError: it is no time.
    """
    text = str(text).strip()
    if text == "-1":
        return -1
    if not _TIME.match(text):
        raise ValueError(text)
    if text.isdigit():
        return int(text)
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)([smhdw])", text))


def check_time(name: str, value: Any, least: int = 1, ever: bool = False) -> str:
    """Return a time as fail2ban is told it.

    Args:
        name: the option, for the error.
        value: what was set.
        least: seconds that it must have at least.
        ever: whether -1 is allowed, which is for ever.

    Raises:
        JailError: it is no time.
    """
    text = str(value).strip()
    try:
        number = seconds(text)
    except ValueError:
        number = -2
    if number < least and not (ever and number == -1):
        allowed = SETTINGS["bantime" if ever else "findtime"]
        raise JailError("{0} is {1!r}; allowed: {2}".format(name, value, allowed))
    return text


def check_times(options: Mapping[str, Any]) -> Times:
    """Return the times that hold for all jails.

    Args:
        options: ``bantime``, ``findtime``, ``maxretry``, ``bantime_increment``,
            ``bantime_maxtime`` and ``bantime_rndtime``.

    Raises:
        JailError: one of them is wrong.
    """
    times = Times(
        check_time("bantime", options["bantime"], ever=True),
        check_time("findtime", options["findtime"]),
        _maxretry("maxretry", options["maxretry"]),
        bool(options["bantime_increment"]),
        check_time("bantime_maxtime", options["bantime_maxtime"]),
        check_time("bantime_rndtime", options["bantime_rndtime"], least=0),
    )
    if times.increment and seconds(times.bantime) > seconds(times.maxtime):
        raise JailError(
            "bantime_maxtime is {0!r}; allowed: at least bantime, which is {1!r}".format(
                times.maxtime, times.bantime
            )
        )
    return times


def networks(name: str, values: Iterable[Any]) -> list[str]:
    """Return addresses and networks in one form, each once, in their order.

    Raises:
        JailError: one of them is neither.
    """
    found = []
    for value in values:
        try:
            # A number would be taken for an address, and a zone belongs to this host alone.
            if not isinstance(value, str) or "%" in value:
                raise ValueError
            network = ipaddress.ip_network(value.strip(), strict=False)
        except ValueError:
            raise JailError(
                "{0} has {1!r}; allowed: {2}".format(name, value, SETTINGS["ignore"])
            ) from None
        text = str(network.network_address) if network.num_addresses == 1 else str(network)
        if text not in found:
            found.append(text)
    return found


def resolve(
    rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any], times: Times, facts: Facts
) -> list[Jail]:
    """Return the jails of a host, those that are not in force with the reason.

    Args:
        rows: what they are by default, see :func:`stack.jails.for_stack`.
        wanted: name of a jail to its settings; a name that no row has makes a new jail.
        times: what holds where a jail says nothing.
        facts: what has to be known of the host.

    Raises:
        JailError: a setting is wrong.
    """
    known = {row["name"]: dict(row) for row in rows}
    for name, settings in wanted.items():
        place = "jails.{0}".format(name)
        if not isinstance(settings, Mapping):
            raise JailError("{0} is {1!r}; allowed: a dictionary".format(place, settings))
        for key in settings:
            if key not in SETTINGS:
                raise JailError(
                    "{0} has no setting {1!r}; allowed: {2}".format(place, key, ", ".join(SETTINGS))
                )
        if name not in known:
            known[name] = _new(str(name), settings, sorted(known))
        known[name] = _changed(place, known[name], settings)
    return [_jail(row, row["name"] in wanted, times, facts) for row in known.values()]


def _new(name: str, settings: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """Return the row of a jail of the administrator's own."""
    if not settings.get("filter"):
        raise JailError(
            "jails.{0}: there is no such jail; allowed: {1}, or another name with a filter of its "
            "own".format(name, ", ".join(known))
        )
    if not _NAME.match(name) or len(name) > data.NAME_LENGTH:
        raise JailError(
            "jails.{0}: allowed as a name: at most {1} lower case letters, digits and '-', a letter "
            "first".format(name, data.NAME_LENGTH)
        )
    if not settings.get("journal") and not settings.get("files"):
        raise JailError("jails.{0}: set journal or files, where its lines are".format(name))
    return {
        "name": name,
        "title": name,
        "why": "Set by the administrator.",
        "filter": "",
        "mode": "",
        "journal": [],
        "files": [],
        "programs": [],
        "units": [],
        "ports": [],
        "maxretry": None,
        "findtime": None,
        "bantime": None,
        "enabled": True,
    }


def _changed(place: str, row: dict[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with an administrator's settings, all of them looked at."""
    changed = dict(row, ignore=[])
    for key, value in settings.items():
        where = "{0}.{1}".format(place, key)
        if key == "enabled":
            value = _truth(where, value)
        elif key in ("journal", "files", "ports", "ignore"):
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                value = [value]
            if not isinstance(value, Sequence):
                _refuse(where, value, key)
        if key == "filter" and not _FILTER.match(str(value)):
            _refuse(where, value, key)
        if key == "mode" and not _MODE.match(str(value)):
            _refuse(where, value, key)
        if key == "journal" and not all(_TERM.match(str(item)) for item in value):
            _refuse(where, value, key)
        if key == "files" and not all(_PATH.match(str(item)) for item in value):
            _refuse(where, value, key)
        if key == "ports":
            _ports(where, value)
        if key == "ignore":
            value = networks(where, value)
        if key == "maxretry":
            value = _maxretry(where, value)
        if key in ("findtime", "bantime"):
            value = check_time(where, value, ever=key == "bantime")
        changed[key] = value
    # Whoever names files wants them read, and not the journal that the jail has by default.
    if settings.get("files") and settings.get("journal"):
        raise JailError("{0} has both journal and files; set one of them".format(place))
    if settings.get("files"):
        changed["journal"] = []
    if settings.get("journal"):
        changed["files"] = []
    # A mode is one of the filter that it was written for.
    if "filter" in settings and "mode" not in settings:
        changed["mode"] = ""
    return changed


def _jail(row: Mapping[str, Any], told: bool, times: Times, facts: Facts) -> Jail:
    """Return a jail of a row, with the reason why it is not in force, if it is not."""
    journal, files, off = _source(row, facts)
    missing = bool(off)
    needed = [*row["programs"], *row["units"]]
    if not row["enabled"]:
        off, missing = "it is switched off", False
    elif needed and not told and not facts.installed.intersection(needed):
        off, missing = "there is no {0} here".format(" or ".join(needed)), False
    if facts.filters is not None and row["filter"] not in facts.filters and not off:
        raise JailError(
            "jails.{0}.filter is {1!r}; allowed: {2}; there is none of this name on the "
            "host".format(row["name"], row["filter"], SETTINGS["filter"])
        )
    modes = data.MODES.get(row["filter"])
    if modes is not None and row["mode"] and row["mode"] not in modes:
        raise JailError(
            "jails.{0}.mode is {1!r}; allowed for the filter {2}: {3}".format(
                row["name"], row["mode"], row["filter"], ", ".join(modes) or "none"
            )
        )
    mode = "[mode={0}]".format(row["mode"]) if row["mode"] else ""
    return Jail(
        row["name"],
        row["title"],
        row["why"],
        row["filter"] + mode,
        journal,
        files,
        _ports("ports", row["ports"]),
        row["maxretry"] or times.maxretry,
        str(row["findtime"] or times.findtime),
        str(row["bantime"] or times.bantime),
        tuple(row.get("ignore") or ()),
        off,
        missing,
        row.get("grows", True),
    )


def _source(row: Mapping[str, Any], facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return journal terms, or files, or why there is nothing to read."""
    terms = tuple(str(term).replace("{project}", facts.project) for term in row["journal"])
    files = tuple(str(path) for path in row["files"])
    there = tuple(path for path in files if path in facts.files)
    reason = ""
    if terms:
        drivers = [facts.drivers.get(term, "journald") for term in terms]
        if not facts.journal:
            reason = facts.why_not
        elif "journald" not in drivers:
            reason = (
                "its container logs by {0}, and not into the journal "
                "(docker_log_driver: journald)".format(drivers[0])
            )
        else:
            return terms, (), ""
    if there:
        return (), there, ""
    if files and not reason:
        reason = "there is no {0}".format(" or ".join(files))
    return terms, () if terms else files, reason


def _truth(where: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in ("true", "false", "yes", "no"):
        _refuse(where, value, "enabled")
    return text in ("true", "yes")


def _maxretry(where: str, value: Any) -> int:
    if isinstance(value, bool) or not re.match(r"[0-9]{1,4}\Z", str(value)):
        _refuse(where, value, "maxretry")
    if not 1 <= int(value) <= 1000:
        _refuse(where, value, "maxretry")
    return int(value)


def _ports(where: str, values: Sequence[Any]) -> str:
    """Return ports in the form that the actions take."""
    found = []
    for value in values:
        match = None if isinstance(value, bool) else _PORTS.match(str(value))
        numbers = [int(number) for number in match.groups() if number] if match else []
        if not numbers or numbers != sorted(numbers) or not 0 < numbers[0] <= numbers[-1] < 65536:
            _refuse(where, value, "ports")
        found.append("-".join(map(str, numbers)))
    return ",".join(found)


def _refuse(where: str, value: Any, key: str) -> None:
    raise JailError("{0} is {1!r}; allowed: {2}".format(where, value, SETTINGS[key]))


# -- files -----------------------------------------------------------------------------------------


def text(
    found: Sequence[Jail],
    times: Times,
    action: str,
    ignore: Sequence[str],
    own_networks: Sequence[str],
) -> str:
    """Return the file with all jails, those that are not in force switched off.

    A jail of fail2ban's own or the distribution's with the same name is switched off as well:
    Debian 12 has one for SSH that cannot start, and takes the whole service along.

    Args:
        found: the jails.
        times: how bans grow.
        action: name of the action's file, without its ending.
        ignore: addresses that no jail bans.
        own_networks: those of the stack and of the container engine.
    """
    parts = [
        _HEAD.format(
            networks=" ".join(own_networks),
            ignore=" ".join([*LOOPBACK, "%(mailhost_networks)s", *ignore]),
        )
    ]
    for jail in found:
        if jail.off:
            mark = MISSING if jail.missing else OFF
            parts.append("\n{0}{1}.\n[{2}]\nenabled = false\n".format(mark, jail.off, jail.name))
            continue
        if jail.journal:
            source = "backend = systemd\njournalmatch = " + " + ".join(jail.journal)
        else:
            source = "backend = auto\nlogpath = " + "\n          ".join(jail.files)
        ports = ', ports="{0}"'.format(jail.ports) if jail.ports else ""
        for_ever = seconds(jail.bantime) == -1
        parts.append(
            _SECTION.format(
                why=jail.why,
                name=jail.name,
                filter=jail.filter,
                source=source,
                maxretry=jail.maxretry,
                findtime=jail.findtime,
                bantime=jail.bantime,
                # What is for ever cannot grow.
                increment=str(times.increment and jail.grows and not for_ever).lower(),
                maxtime=times.maxtime,
                rndtime=times.rndtime,
                ignore=" ".join(["%(mailhost_ignoreip)s", *jail.ignore]),
                action="{0}[name={1}{2}]".format(action, jail.name, ports),
            )
        )
    return "".join(parts)


def server_text(found: Sequence[Jail], times: Times) -> str:
    """Return the file for the server itself, see :data:`_SERVER`."""
    longest = [seconds(jail.bantime) for jail in found if not jail.off]
    longest += [seconds(times.bantime)]
    if times.increment:
        longest.append(seconds(times.maxtime) + seconds(times.rndtime))
    # fail2ban's own default is a day.
    return _SERVER.format(max([86400, *longest]))


def networks_in(written: str) -> list[str]:
    """Return the networks that stand in a file of :func:`text`."""
    match = re.search(r"^mailhost_networks = (.*)$", written, re.MULTILINE)
    return match.group(1).split() if match else []


def changed_in(before: str, after: str) -> list[str]:
    """Return the jails that are in force by the second of two files of :func:`text`, and were not,
    or not in this form, by the first one.
    """
    old, new = (dict(re.findall(_PARTS, written, re.MULTILINE)) for written in (before, after))
    return [
        name
        for name, body in new.items()
        if body != old.get(name) and "enabled = true" in body and name != "DEFAULT"
    ]
