# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the clock is right and stays so: one-time passwords, DKIM and TLS depend on it.

What programs write for programs is read: properties, comma-separated values, files. Text for people
changes with the version and the language.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    container,
    host_info,
    service_units,
)
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
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError, Unit

_TIMESYNCD = "systemd-timesyncd"
_CHRONY = "chrony"
_NTP = "ntpd"
_OPENNTPD = "openntpd"

# Each client with the names that its unit has: one is often an alias of the other.
_CLIENTS = {
    _CHRONY: ("chrony.service", "chronyd.service"),
    _NTP: ("ntpsec.service", "ntp.service", "ntpd.service"),
    _OPENNTPD: ("openntpd.service",),
    _TIMESYNCD: ("systemd-timesyncd.service",),
}

# How people see what their client does.
_ASK = {
    _CHRONY: "chronyc sources",
    _NTP: "ntpq -p",
    _OPENNTPD: "ntpctl -s all",
    _TIMESYNCD: "timedatectl timesync-status",
}

# A client needs some seconds for its first answers.
_YOUNG_SECONDS = 120

_OFFSET_WARN_SECONDS = 1
_OFFSET_FAIL_SECONDS = 300

_SYNCHRONISED = "set by a time server"

# chrony's name for the clock itself, which it may be told to believe, and for none.
_NO_SOURCE = ("7F7F0101", "00000000")

# Where the file and its drop-ins lie, the strongest first: systemd.syntax(7).
_CONFIGURATION = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")

# timesyncd.conf(5); Servers is the old name of NTP.
_TIME_KEYS = (
    "NTP",
    "FallbackNTP",
    "Servers",
    "RootDistanceMaxSec",
    "PollIntervalMinSec",
    "PollIntervalMaxSec",
    "ConnectionRetrySec",
    "SaveIntervalSec",
)

# Names of the same zone, for hosts without the tz database.
_UTC = ("UTC", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu")


class Client(NamedTuple):
    """A program that keeps the clock right: its name, its unit and the unit's state."""

    name: str
    unit: str
    state: Unit


class Clock(NamedTuple):
    """What a client says of the clock.

    Attributes:
        synchronised: whether it follows a server; None when the client does not say.
        offset: seconds that the clock is off; None when the client does not say.
        source: what it follows, in a few words; or why the client does not say.
    """

    synchronised: bool | None
    offset: float | None
    source: str


def _clients(host: Host) -> list[Client]:
    """Return the clients that are installed, those that run first."""
    states = service_units.states(host)
    found = []
    for name, units in _CLIENTS.items():
        there = [Client(name, unit, states[unit]) for unit in units if states[unit].present]
        there.sort(
            key=lambda client: (
                client.state.active != "active",
                client.state.enabled == "alias",
            )
        )
        found += there[:1]
    # OpenNTPD's program is called ntpd, and so may its unit be.
    if any(client.name == _OPENNTPD for client in found):
        found = [client for client in found if client.name != _NTP]
    return sorted(found, key=lambda client: (not _runs(client), client.state.load == "masked"))


def _runs(client: Client) -> bool:
    return client.state.active in ("active", "activating", "reloading")


def service(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look for a program that keeps the clock right: one that runs, and is started at boot.

    Known are systemd-timesyncd, chrony, ntpd (NTPsec too) and OpenNTPD. None at all, or none that
    runs, is a ``fail``; two that run at the same time, and one that is not started at boot, are a
    ``warn``. In a container that may not set the clock it is that of the machine around it:
    ``skip``.
    """
    required = "one NTP client, running and started at boot"
    clients = _clients(host)
    running = [client for client in clients if _runs(client)]
    if len(running) > 1:
        return [
            answer(
                WARN,
                " and ".join(client.unit for client in running) + " run at the same time",
                required,
                "Keep one of them: {0}.".format(service_units.stop_command(host, running[-1].unit)),
            )
        ]
    if running:
        client = running[0]
        if service_units.starts_at_boot(host, client.unit, client.state):
            return [answer(OK, client.unit + " runs", required)]
        return [
            answer(
                WARN,
                client.unit + " runs, but is not started at boot",
                required,
                "Enable it: {0}.".format(service_units.start_command(host, client.unit)),
            )
        ]
    if not container.sets_clock(host):
        fix = "See to the clock of that machine."
        return [answer(SKIP, _outside(container.kind(host)), required, fix)]
    if not clients:
        return [
            answer(
                FAIL,
                "none installed",
                required,
                "Install one: {0}. The system role does it.".format(_install(host)),
            )
        ]
    client = clients[0]
    masked = client.state.load == "masked"
    fix = service_units.start_command(host, client.unit)
    if masked:
        fix = "systemctl unmask {0}; {1}".format(client.unit, fix)
    return [
        answer(
            FAIL,
            "{0} is {1}".format(client.unit, "masked" if masked else client.state.active),
            required,
            "Start it: {0}. The system role does it.".format(fix),
        )
    ]


def _outside(kind: str) -> str:
    return "in a container ({0}): the clock is that of the machine around it".format(kind)


def _install(host: Host) -> str:
    """Return the command that installs a client."""
    distribution = host_info.distribution(host)
    if distribution["family"] == host_info.DEBIAN:
        return "apt-get install systemd-timesyncd"
    if distribution["family"] == host_info.REDHAT:
        return "dnf install chrony; systemctl enable --now chronyd.service"
    if distribution["id"] == "alpine":
        return "apk add chrony; rc-update add chronyd default; rc-service chronyd start"
    return "systemd-timesyncd or chrony"


def synchronised(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Ask the NTP client whether the clock follows a time server.

    A client that has run for less than two minutes may not have arrived yet: ``warn``. After that a
    clock that follows no server is a ``fail``. Without a client that runs there is nothing to ask:
    ``skip``, as ``clock.service`` says so. In a container that may not set the clock the kernel is
    asked, whose clock is that of the machine around it.
    """
    running = [client for client in _clients(host) if _runs(client)]
    if not running:
        return [_around(host)]
    client = running[0]
    clock = host.once(_measure)
    if clock.synchronised:
        return [answer(OK, clock.source, _SYNCHRONISED)]
    fix = "See why with: {0}. Time servers answer on UDP port 123.".format(_ASK[client.name])
    if clock.synchronised is None:
        return [answer(UNKNOWN, clock.source, _SYNCHRONISED, fix)]
    age = _age(host, client)
    if age is not None and age < _YOUNG_SECONDS:
        return [
            answer(
                WARN,
                "not yet: {0} has run for {1:.0f} s".format(client.unit, age),
                _SYNCHRONISED,
                "Look again in a minute.",
            )
        ]
    return [answer(FAIL, clock.source, _SYNCHRONISED, fix)]


def _around(host: Host) -> Finding:
    """Return the answer where no client runs."""
    inside = container.kind(host)
    if container.sets_clock(host):
        return answer(
            SKIP, "no NTP client runs", _SYNCHRONISED, "Start one, see the check clock.service."
        )
    kernel = _kernel(host)
    fix = "See to the clock of the machine around the container."
    if kernel is None:
        return answer(SKIP, _outside(inside), _SYNCHRONISED, fix)
    if kernel:
        return answer(OK, "by the machine around the container", _SYNCHRONISED)
    return answer(WARN, "not set by the machine around the container", _SYNCHRONISED, fix)


def _age(host: Host, client: Client) -> float | None:
    """Return how many seconds ago a client was started; None when that is not known."""
    uptime = (host.read("/proc/uptime") or "").split()
    if not uptime:
        return None
    up = float(uptime[0])
    if up < _YOUNG_SECONDS:
        return up
    names = "--property=ActiveEnterTimestampMonotonic"
    result = host.run(["systemctl", "show", names, client.unit], timeout=5)
    value = result.stdout.strip().partition("=")[2]
    if result.rc != 0 or not value.isdigit() or value == "0":
        return None
    age = up - int(value) / 1e6
    # In a container /proc/uptime may count from another moment than systemd's clock does.
    return age if age >= 0 else None


def _measure(host: Host) -> Clock:
    """Ask the client that runs."""
    client = next(client for client in _clients(host) if _runs(client))
    ask = {_CHRONY: _chrony, _NTP: _ntpd, _OPENNTPD: _openntpd, _TIMESYNCD: _timesyncd}
    return ask[client.name](host)


def _kernel(host: Host) -> bool | None:
    """Return whether the kernel's clock counts as synchronised; None when nobody says."""
    result = host.run(["timedatectl", "show", "--property=NTPSynchronized"], timeout=5)
    words = {"NTPSynchronized=yes": True, "NTPSynchronized=no": False}
    return words.get(result.stdout.strip()) if result.rc == 0 else None


def _timesyncd(host: Host) -> Clock:
    # The file says that a server has answered since the client's start. Hours after the last answer
    # the kernel takes its word back.
    if not host.exists("/run/systemd/timesync/synchronized"):
        return Clock(False, None, "no server has answered systemd-timesyncd since its start")
    if _kernel(host) is False:
        return Clock(False, None, "no server has answered systemd-timesyncd for hours")
    return Clock(True, None, "by systemd-timesyncd")


def _chrony(host: Host) -> Clock:
    """Read chrony's comma-separated values: source, stratum, offset and leap status, see chronyc(1)."""
    result = host.run(["chronyc", "-n", "-c", "tracking"], timeout=5)
    fields = result.stdout.strip().split(",")
    if result.rc != 0 or len(fields) < 14:
        text = (result.stderr or result.stdout).strip().partition("\n")[0]
        return Clock(None, None, "chrony does not say: {0}".format(text or "no values"))
    if fields[13] == "Not synchronised" or fields[0] in _NO_SOURCE:
        return Clock(False, None, "chrony follows no time server")
    return Clock(
        True, abs(float(fields[4])), "by chrony, from {0}, stratum {1}".format(fields[1], fields[2])
    )


def _ntpd(host: Host) -> Clock:
    """Read the system variables of ntpd, as ntpq prints them."""
    result = host.run(["ntpq", "-n", "-c", "rv"], timeout=5)
    values = {}
    for part in result.stdout.replace("\n", ",").split(","):
        name, equals, value = part.strip().partition("=")
        if equals:
            values[name] = value.strip('"')
    stratum = values.get("stratum", "")
    if result.rc != 0 or not stratum.isdigit():
        text = (result.stderr or result.stdout).strip().partition("\n")[0]
        return Clock(None, None, "ntpd does not say: {0}".format(text or "no values"))
    # 3 stands for "not synchronised" in the leap bits, 16 in the stratum (RFC 5905, section 7.3).
    if values.get("leap") in ("11", "3") or int(stratum) >= 16:
        return Clock(False, None, "ntpd follows no time server")
    try:
        offset: float | None = abs(float(values["offset"])) / 1000
    except (KeyError, ValueError):
        offset = None
    peer = values.get("refid", "a time server")
    return Clock(True, offset, "by ntpd, from {0}, stratum {1}".format(peer, stratum))


def _openntpd(host: Host) -> Clock:
    result = host.run(["ntpctl", "-s", "status"], timeout=5)
    if result.rc != 0:
        text = result.stderr.strip().partition("\n")[0]
        return Clock(None, None, "OpenNTPD does not say: {0}".format(text or "no values"))
    # Its one form of output, which is not translated.
    if "clock synced" in result.stdout:
        return Clock(True, None, "by OpenNTPD")
    return Clock(False, None, "OpenNTPD follows no time server")


def offset(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Ask the NTP client how far off the clock is.

    More than a second is a ``warn``: the client is still at work, or cannot keep up. More than five
    minutes is a ``fail``: signatures and one-time passwords are refused. chrony and ntpd tell it;
    systemd-timesyncd and OpenNTPD do not: ``skip``.
    """
    required = "at most {0} s".format(_OFFSET_WARN_SECONDS)
    running = [client for client in _clients(host) if _runs(client)]
    if not running:
        return [
            answer(SKIP, "no NTP client runs", required, "Start one, see the check clock.service.")
        ]
    client = running[0]
    clock = host.once(_measure)
    if not clock.synchronised:
        return [
            answer(
                SKIP,
                "nothing to compare with: " + clock.source,
                required,
                "See the check clock.synchronised.",
            )
        ]
    if clock.offset is None:
        return [
            answer(
                SKIP,
                "{0} does not tell it".format(client.name),
                required,
                "Nothing to do; chrony would tell it.",
            )
        ]
    observed = "{0:.3f} s".format(clock.offset)
    fix = "See how it develops with: {0}.".format(_ASK[client.name])
    if client.name == _CHRONY:
        fix += " Set the clock at once with: chronyc makestep."
    if clock.offset > _OFFSET_FAIL_SECONDS:
        return [answer(FAIL, observed, required, fix)]
    return [answer(WARN if clock.offset > _OFFSET_WARN_SECONDS else OK, observed, required, fix)]


def rtc(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at how the hardware clock is read: as UTC, or as local time.

    In local time the clock is wrong by an hour after a boot in which daylight saving time begins
    or ends: ``warn``. A container has no hardware clock: ``skip``.
    """
    required = "the hardware clock in UTC"
    inside = container.kind(host)
    if inside:
        return [answer(SKIP, _outside(inside), required, "Nothing to do.")]
    _need_etc(host)
    path = "/etc/adjtime"
    text = host.read(path)
    if text is None and host.exists(path):
        return [answer(UNKNOWN, "cannot read " + path, required, "Run the check as root.")]
    lines = (text or "").splitlines()
    # hwclock(8): the third line. Without file or line the hardware clock counts as UTC.
    if len(lines) > 2 and lines[2].strip() == "LOCAL":
        command = "timedatectl set-local-rtc 0" if host.which("timedatectl") else "hwclock -w -u"
        return [
            answer(WARN, "local time (LOCAL in /etc/adjtime)", required, "Say: " + command + ".")
        ]
    return [answer(OK, "UTC", required)]


def _need_etc(host: Host) -> None:
    """See that a missing file is an answer, and not a host that cannot be looked at."""
    if not host.isdir("/etc"):
        raise HostError("cannot read /etc")


def timezone(host: Host, need: Need) -> list[Finding]:
    """Look at the time zone: one that exists, the same everywhere, and the one that is wanted.

    A host without a time zone is in UTC. ``/etc/localtime`` that leads nowhere or disagrees with
    ``/etc/timezone``, from which mailcow's generator takes its own, is a ``warn``, and so is
    another zone than the one that the preflight was told.
    """
    wanted = need.timezone
    required = wanted or "a time zone that exists, the same in /etc/localtime and /etc/timezone"
    fix = "Set it: {0}.".format(_set_zone(host, wanted or "Etc/UTC"))
    _need_etc(host)
    target = host.readlink("/etc/localtime")
    written = (host.read("/etc/timezone") or "").strip().partition("\n")[0].strip()
    if target is not None:
        zone = target.partition("zoneinfo/")[2] or target
        # Without the tz database every zone is a link that leads nowhere, UTC too.
        if not host.exists("/etc/localtime") and host.isdir("/usr/share/zoneinfo"):
            return [
                answer(
                    WARN,
                    "/etc/localtime leads to {0}, which is not there: times are in UTC".format(
                        target
                    ),
                    required,
                    fix,
                )
            ]
    elif host.exists("/etc/localtime"):
        # A copy of a zone does not tell its name.
        zone = written
        if not zone:
            observed = "/etc/localtime is a copy, and does not tell which zone it is"
            return [answer(WARN if wanted else OK, observed, required, fix)]
    else:
        zone = written or "UTC"
    if written and not _same_zone(host, written, zone):
        return [
            answer(
                WARN,
                "{0} in /etc/localtime, {1} in /etc/timezone".format(zone, written),
                required,
                "Set it once more, which writes both: {0}.".format(_set_zone(host, wanted or zone)),
            )
        ]
    if wanted and not _same_zone(host, wanted, zone):
        return [answer(WARN, zone, required, fix)]
    return [answer(OK, zone, required)]


def _same_zone(host: Host, one: str, other: str) -> bool:
    """Tell whether two names mean the same zone: many zones have several."""
    if one == other or (one in _UTC and other in _UTC):
        return True
    first = host.read_bytes("/usr/share/zoneinfo/" + one)
    return first is not None and first == host.read_bytes("/usr/share/zoneinfo/" + other)


def _set_zone(host: Host, zone: str) -> str:
    if host.which("timedatectl"):
        return "timedatectl set-timezone " + zone
    return "ln -sf /usr/share/zoneinfo/{0} /etc/localtime".format(zone)


def configuration(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look for lines in the configuration of systemd-timesyncd that it ignores.

    It ignores sections other than ``[Time]`` and keys that it does not know, and goes on with its
    own servers. A translated manual that prints ``[Zeit]`` has led many there. An ignored line is a
    ``warn``, unless the same key is set in another place. Where another client keeps the clock, or
    none: ``skip``.
    """
    required = "[Time] with keys of timesyncd.conf(5)"
    clients = _clients(host)
    if not clients or clients[0].name != _TIMESYNCD:
        return [
            answer(
                SKIP, "systemd-timesyncd is not what keeps the clock", required, "Nothing to do."
            )
        ]
    ignored: list[tuple[str, str]] = []
    valid: set[str] = set()
    for path in _files(host):
        for number, section, key in _settings(host.read(path) or ""):
            if section == "Time" and key in _TIME_KEYS:
                valid.add(key)
            elif not section.startswith("X-"):  # set aside for other programs: systemd.syntax(7)
                where = "[{0}]".format(section) if section else "no section"
                ignored.append((key, "{0}:{1}: {2} in {3}".format(path, number, key, where)))
    harmful = [text for key, text in ignored if key not in valid]
    if harmful:
        return [
            answer(
                WARN,
                "ignored: " + "; ".join(harmful),
                required,
                "Name the section [Time] and the key as in timesyncd.conf(5), then: "
                "systemctl restart systemd-timesyncd.service.",
            )
        ]
    if ignored:
        texts = "; ".join(text for _key, text in ignored)
        return [answer(OK, "ignored, but set elsewhere: " + texts, required)]
    return [answer(OK, "no ignored line", required)]


def _files(host: Host) -> list[str]:
    """Return the files that systemd-timesyncd reads."""
    name = "/timesyncd.conf"
    main = [folder + name for folder in _CONFIGURATION if host.exists(folder + name)][:1]
    dropins: dict[str, str] = {}
    for folder in _CONFIGURATION:
        for path in host.glob(folder + name + ".d/*.conf"):
            # Of several with one name the strongest counts.
            dropins.setdefault(path.rpartition("/")[2], path)
    return main + [dropins[key] for key in sorted(dropins)]


def _settings(text: str) -> list[tuple[int, str, str]]:
    """Return line number, section and key of each assignment."""
    found = []
    section = ""
    continued = False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue  # also between the lines of a value
        if not continued:
            if stripped.startswith("[") and stripped.endswith("]"):
                section = stripped[1:-1]
            elif "=" in stripped:
                found.append((number, section, stripped.partition("=")[0].strip()))
        continued = line.endswith("\\")
    return found


LOOK = (
    ("clock.service", "NTP client", "time", service),
    ("clock.synchronised", "Clock synchronisation", "time", synchronised),
    ("clock.offset", "Clock offset", "time", offset),
    ("clock.rtc", "Hardware clock", "time", rtc),
    ("clock.timezone", "Time zone", "time", timezone),
    (
        "clock.configuration",
        "Time servers configured",
        "https://www.freedesktop.org/software/systemd/man/latest/timesyncd.conf.html",
        configuration,
    ),
)
