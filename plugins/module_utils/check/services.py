# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of the host that meet those of the stack, now or after the next boot or upgrade."""

from __future__ import annotations

import re
from typing import Collection, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    host_info,
    service_units,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need, Port
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.ports import (
    holders_of_ports,
    overlap,
)
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
    Host,
    HostError,
    Listener,
    Unit,
)

_DAEMON_FILE = "/etc/docker/daemon.json"

# Sends what is queued on the host, and listens nowhere.
_NO_LISTENER = ("nullmailer.service",)

_SMTP = (25, 465, 587)
_MAILBOX = (110, 143, 993, 995, 4190)
_WEB = (80, 443)

# Debian releases whose upgrade may bring Exim.
_BEFORE_EXIM = ("11", "12")

# Text between quotes, or the rest of APT's grammar: a word, or one of its signs (apt.conf(5)).
_APT_TOKEN = re.compile(r'"([^"]*)"|([{};])|([^\s{};"]+)')
_APT_COMMENT = re.compile(r'("[^"\n]*")|//[^\n]*|#(?!clear\b)[^\n]*|/\*.*?\*/', re.DOTALL)

# Docker's own name for its packages' origin, its server, and its suite in the old short form.
_DOCKER_ORIGIN = re.compile(
    r"(?:^|,)\s*(?:o|origin)=(?:Docker|\*)\s*(?:,|$)|site=download\.docker\.com|^(?:Docker|\*):",
)


class Service(NamedTuple):
    """A service that is installed: its unit, and the unit's state."""

    name: str
    unit: Unit


def _running(service: Service) -> bool:
    return service.unit.active in ("active", "activating", "reloading")


def mail_servers(host: Host, need: Need) -> list[Finding]:
    """Look for mail transfer agents that take, or will take, the stack's SMTP ports.

    One that runs and holds such a port is a ``fail``. One that runs without holding it, or is
    started at the next boot, when it may be faster than the stack, is a ``warn``. One that is
    disabled or masked is ``ok``. nullmailer listens nowhere, and is not counted.
    """
    names = [name for name in service_units.MAIL if name not in _NO_LISTENER]
    return _conflicts(host, need, names, _SMTP, "mail server", idle=WARN)


def mailbox_servers(host: Host, need: Need) -> list[Finding]:
    """Look for IMAP and POP3 servers that take, or will take, the stack's mailbox ports.

    One that runs and holds such a port is a ``fail``. One that runs without holding it, or is
    started at the next boot, is a ``warn``. One that is disabled or masked is ``ok``.
    """
    return _conflicts(host, need, service_units.MAILBOX, _MAILBOX, "mailbox server", idle=WARN)


def web_servers(host: Host, need: Need) -> list[Finding]:
    """Look for web servers that take, or will take, the stack's web ports.

    One that runs and holds such a port is a ``fail``. One that does not run and is started at the
    next boot is a ``warn``. One that runs on other ports is ``ok``, as is one that is disabled or
    masked. Where the stack has other ports than 80 and 443 these are left to a web server of the
    host, such as a reverse proxy: ``skip``.
    """
    return _conflicts(host, need, service_units.WEB, _WEB, "web server", idle=OK)


def _conflicts(
    host: Host,
    need: Need,
    names: Sequence[str],
    numbers: Collection[int],
    kind: str,
    idle: str,
) -> list[Finding]:
    """Return what services of one kind mean for the stack.

    Args:
        host: the host.
        need: what the stack needs.
        names: the units that count.
        numbers: the ports that such services take.
        kind: what the services are, for people.
        idle: status of a service that runs without holding any of the ports.
    """
    ports = [port for port in need.ports if port.number in numbers]
    required = "no {0} on the host beside {1}".format(kind, need.title)
    if not ports:
        return [
            answer(
                SKIP,
                "the stack leaves ports {0} alone".format(_list(numbers)),
                required,
                "Nothing to do.",
            )
        ]
    states = service_units.states(host)
    there = [Service(name, states[name]) for name in names if states[name].present]
    findings = []
    quiet = []
    for service in there:
        status, observed = _judge(host, need, service, ports, idle)
        if status == OK:
            quiet.append(observed)
        else:
            findings.append(answer(status, observed, required, _stop(host, service.name)))
    if findings:
        return findings
    return [answer(OK, "; ".join(quiet) or "none installed", required)]


def _judge(
    host: Host, need: Need, service: Service, ports: Sequence[Port], idle: str
) -> tuple[str, str]:
    """Return what a service means for these ports, as a status and the reason."""
    name, unit = service
    if not _running(service):
        if service_units.starts_at_boot(host, name, unit):
            return WARN, "{0} is {1}, and is started at the next boot".format(name, unit.active)
        return OK, "{0} is {1}".format(name, "masked" if unit.load == "masked" else "disabled")
    held = set()
    hidden = set()
    for listener in holders_of_ports(host, need):
        if not any(overlap(port, listener) for port in ports):
            continue
        if listener.pid is None:
            hidden.add(listener.port)
        elif _owns(service, listener):
            held.add(listener.port)
    if held:
        return FAIL, "{0} runs, and holds {1}".format(name, _list(held))
    if hidden:
        observed = "{0} runs; who holds {1} is not visible".format(name, _list(hidden))
        return UNKNOWN, observed
    return idle, "{0} runs, and holds none of the stack's ports".format(name)


def _owns(service: Service, listener: Listener) -> bool:
    """Tell whether a socket is a service's own."""
    name = service.name.rpartition(".")[0]
    if listener.unit:
        # Instances such as postfix@-.service do the work of postfix.service.
        return listener.unit.partition("@")[0] in (name, service.name)
    return listener.process == name


def _list(numbers: Collection[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))


def _stop(host: Host, name: str) -> str:
    command = service_units.stop_command(host, name)
    if not service_units.uses_openrc(host):
        command += "; systemctl mask " + name
    return "Stop it for good: {0}. The system role does it with {1}.".format(
        command, "system_conflicting_services: [{0}]".format(name.rpartition(".")[0])
    )


def exim4_upgrade(host: Host, need: Need) -> list[Finding]:
    """Look at whether an upgrade of Debian can bring Exim, which takes port 25.

    The upgrade from Debian 12 to 13 may install it. A masked ``exim4.service`` is never started,
    installed or not. Exim that is installed, disabled and not masked is a ``warn``. Exim that is in
    use is the matter of ``services.mail_servers``, and other systems are not concerned: ``skip``.
    """
    required = "no Exim, or exim4.service masked"
    system = host_info.distribution(host)
    if not any(port.number == 25 for port in need.ports):
        return [answer(SKIP, "the stack leaves port 25 alone", required, "Nothing to do.")]
    if system["id"] != "debian" or system["version"] not in _BEFORE_EXIM:
        return [
            answer(
                SKIP,
                "concerns upgrades from Debian {0}".format(" and ".join(_BEFORE_EXIM)),
                required,
                "Nothing to do.",
            )
        ]
    if host.readlink("/etc/systemd/system/exim4.service") == "/dev/null":
        return [answer(OK, "exim4.service is masked", required)]
    if host.read("/var/lib/dpkg/status") is None:
        return [
            answer(UNKNOWN, "cannot read /var/lib/dpkg/status", required, "Run the check as root.")
        ]
    version = host_info.packages(host, ["exim4-base"])["exim4-base"]
    if version is None:
        observed = "not installed; before an upgrade to Debian 13: systemctl mask exim4.service"
        return [answer(OK, observed, required)]
    unit = service_units.states(host)["exim4.service"]
    if _running(Service("exim4.service", unit)) or service_units.starts_at_boot(
        host, "exim4.service", unit
    ):
        return [
            answer(
                SKIP,
                "exim4-base {0} is in use".format(version),
                required,
                "See the check services.mail_servers.",
            )
        ]
    return [
        answer(
            WARN,
            "exim4-base {0} is installed, and an upgrade may start it".format(version),
            required,
            "Mask it: systemctl mask --now exim4.service.",
        )
    ]


def automatic_upgrades(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at whether automatic upgrades restart the container engine.

    An upgrade of the engine restarts it, and all containers with it, at a time that nobody chose:
    ``warn``. With ``live-restore`` in the engine's configuration containers run on, and packages
    can be held back: ``ok``. Without automatic upgrades, and before there is an engine (the docker
    role sets ``live-restore``): ``skip``.
    """
    required = "the engine held back from automatic upgrades, or live-restore"
    if host.which("dockerd") is None:
        return [answer(SKIP, "no Docker engine yet", required, "Nothing to do.")]
    states = service_units.states(host)
    by = ""
    reason = fix = ""
    family = host_info.distribution(host)["family"]
    if family == host_info.DEBIAN:
        settings = _apt_settings(host)
        if _apt_active(host, states, settings):
            by = "unattended-upgrades"
            reason = _apt_reason(host, settings)
            fix = (
                'Hold the engine back: Unattended-Upgrade::Package-Blacklist {"docker"; '
                '"containerd"; "runc"; }; in /etc/apt/apt.conf.d'
            )
    elif family == host_info.REDHAT and _dnf_active(host, states):
        by = "dnf-automatic"
        reason = _dnf_reason(host)
        fix = "Hold the engine back: exclude=docker* containerd* in /etc/dnf/automatic.conf, [base]"
    if not by:
        return [answer(SKIP, "no automatic upgrades", required, "Nothing to do.")]
    if not reason:
        return [answer(OK, "{0} leaves the engine alone".format(by), required)]
    if _live_restore(host):
        return [answer(OK, "{0} with live-restore".format(by), required)]
    return [
        answer(
            WARN,
            "{0} upgrades the engine: {1}".format(by, reason),
            required,
            fix
            + '; or set "live-restore": true in {0}, as the docker role does.'.format(_DAEMON_FILE),
        )
    ]


def _live_restore(host: Host) -> bool:
    import json

    text = host.read(_DAEMON_FILE)
    if text is None and host.exists(_DAEMON_FILE):
        raise HostError("cannot read {0}".format(_DAEMON_FILE))
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise HostError("{0} is not valid JSON: {1}".format(_DAEMON_FILE, error)) from error
    return isinstance(settings, dict) and settings.get("live-restore") is True


def _apt_settings(host: Host) -> dict[str, list[str]]:
    """Return APT's settings, names in small letters: each with the values of its list, or its one.

    A list's members have names of no importance, and are counted with it.
    """
    settings: dict[str, list[str]] = {}
    # APT's own order: the folder first. Names with other endings are backups.
    paths = [
        path
        for path in host.glob("/etc/apt/apt.conf.d/*")
        if re.search(r"/[A-Za-z0-9_-]+(\.conf)?\Z", path)
    ]
    for path in [*paths, "/etc/apt/apt.conf"]:
        text = _APT_COMMENT.sub(lambda match: match.group(1) or " ", host.read(path) or "")
        scopes: list[str] = []
        words: list[str] = []
        for quoted, sign, word in _APT_TOKEN.findall(text):
            if sign == "{":
                scopes.append(words[-1] if words else "")
                words = []
            elif sign:
                if sign == "}":
                    scopes = scopes[:-1]
                elif words and words[0].lower() == "#clear" and len(words) > 1:
                    settings.pop(words[1].lower().rstrip(":"), None)
                elif words:
                    # One word in a list is a value; elsewhere it is a name without one.
                    named = len(words) > 1
                    parts = [*scopes, words[0]] if named else scopes
                    name = "::".join(part for part in parts if part).lower().rstrip(":")
                    if words[0].endswith("::") or not named:
                        settings.setdefault(name, []).append(words[-1])
                    else:
                        settings[name] = [words[-1]]
                words = []
            else:
                words.append(word or quoted)
    return settings


def _apt_active(host: Host, states: dict[str, Unit], settings: dict[str, list[str]]) -> bool:
    """Tell whether APT upgrades packages by itself."""
    value = (settings.get("apt::periodic::unattended-upgrade") or ["0"])[-1]
    # A number of days, with or without a unit; 0 is never.
    if value.strip().rstrip("dhms") in ("", "0") or value == "never":
        return False
    return (
        host.which("unattended-upgrade") is not None
        and states["apt-daily-upgrade.timer"].load != "masked"
    )


def _apt_reason(host: Host, settings: dict[str, list[str]]) -> str:
    """Return why unattended-upgrades upgrades the engine; empty when it does not."""
    held = settings.get("unattended-upgrade::package-blacklist", [])
    if any(pattern.lstrip("^").startswith(("docker", ".*")) for pattern in held):
        return ""
    origins = [
        value
        for name in ("origins-pattern", "allowed-origins")
        for value in settings.get("unattended-upgrade::" + name, [])
    ]
    for origin in origins:
        if _DOCKER_ORIGIN.search(origin):
            return "it is told to by {0!r}".format(origin)
    if host_info.packages(host, ["docker.io"])["docker.io"] and origins:
        return "docker.io comes from the distribution"
    return ""


def _dnf_active(host: Host, states: dict[str, Unit]) -> bool:
    """Tell whether dnf upgrades packages by itself."""
    if states["dnf-automatic-install.timer"].starts:
        return True
    if not states["dnf-automatic.timer"].starts:
        return False
    return _ini(host.read("/etc/dnf/automatic.conf") or "").get("apply_updates", "no").lower() in (
        "yes",
        "true",
        "1",
        "on",
    )


def _dnf_reason(host: Host) -> str:
    """Return why dnf upgrades the engine; empty when it does not."""
    automatic = _ini(host.read("/etc/dnf/automatic.conf") or "")
    general = _ini(host.read("/etc/dnf/dnf.conf") or "")
    names = ("exclude", "excludepkgs")
    held = " ".join(table.get(name, "") for table in (automatic, general) for name in names)
    if any(pattern.startswith("docker") for pattern in re.split(r"[\s,]+", held)):
        return ""
    for path in host.glob("/etc/yum.repos.d/*.repo"):
        text = host.read(path) or ""
        if "download.docker.com" in text and re.search(r"^enabled\s*=\s*1", text, re.MULTILINE):
            return "Docker's repository is on in {0}".format(path)
    return ""


def _ini(text: str) -> dict[str, str]:
    """Return the settings of a file with sections, whatever section they are in."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.lstrip().startswith(("#", ";")):
            found[name.strip()] = value.strip()
    return found


LOOK = (
    ("services.mail_servers", "Other mail servers", "ports", mail_servers),
    ("services.mailbox_servers", "Other mailbox servers", "ports", mailbox_servers),
    ("services.web_servers", "Other web servers", "ports", web_servers),
    ("services.exim4_upgrade", "Exim after an upgrade", "platform", exim4_upgrade),
    (
        "services.automatic_upgrades",
        "Automatic upgrades of the engine",
        "https://docs.docker.com/engine/daemon/live-restore/",
        automatic_upgrades,
    ),
)
