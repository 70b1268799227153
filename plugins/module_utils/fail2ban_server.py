# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to fail2ban: what is installed, what it can read, which jails it has and whom they ban."""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

CLIENT = "fail2ban-client"
REGEX = "fail2ban-regex"
SERVER = "fail2ban-server"
SERVICE = "fail2ban.service"

# A server that is taking ten thousand bans back answers late.
TIMEOUT = 60.0


class Status(NamedTuple):
    """What fail2ban says of a jail.

    Attributes:
        failed: failures that count at the moment.
        failed_total: all failures since the start.
        banned: addresses that are banned.
        banned_total: all bans since the start.
        files: the files that it reads; none where it reads the journal.
    """

    failed: int
    failed_total: int
    banned: tuple[str, ...]
    banned_total: int
    files: tuple[str, ...]


def installed(host: Host) -> bool:
    """Tell whether fail2ban is there."""
    return host.which(SERVER) is not None and host.which(CLIENT) is not None


def version(host: Host) -> str:
    """Return the version, such as ``1.0.2``; empty when it cannot be found out."""
    answer = host.run([CLIENT, "-V"], timeout=TIMEOUT)
    found = re.search(r"\bv?([0-9]+(?:\.[0-9]+)+)", answer.stdout)
    return found.group(1) if answer.rc == 0 and found else ""


def interpreter(host: Host) -> list[str]:
    """Return the Python that fail2ban runs on, as words of its first line; none when that is not said.

    It need not be the one that runs this: on EL 8 it is the system's own, which has no other name than
    ``/usr/libexec/platform-python``.
    """
    path = host.which(SERVER)
    first = (host.read_bytes(path, 200) if path else None) or b""
    words = first.partition(b"\n")[0].decode("utf-8", "replace")[2:].split()
    if not first.startswith(b"#!") or not words:
        return []
    return words[:2] if words[0].endswith("/env") and len(words) > 1 else words[:1]


def why_no_journal(host: Host) -> str:
    """Return why fail2ban cannot read what is logged in the journal; empty when it can.

    The bindings belong to an interpreter, and the server's need not be the one that runs this.
    """
    if not (host.glob("/var/log/journal/*/*.journal") or host.glob("/run/log/journal/*/*.journal")):
        return "there is no journal"
    python = interpreter(host)
    if not python:
        return ""
    # Through env the interpreter is the last word.
    python = python[-1:]
    answer = host.run([*python, "-c", "import systemd.journal"])
    if answer.rc == 0:
        return ""
    return "the Python of fail2ban ({0}) has no bindings for the journal: install {1}".format(
        python[0], "python3-systemd"
    )


def jails(host: Host) -> list[str] | None:
    """Return the names of the jails in force, None when no server answers."""
    answer = host.run([CLIENT, "status"], timeout=TIMEOUT)
    if answer.rc != 0:
        return None
    found = re.search(r"Jail list:[ \t]*(.*)", answer.stdout)
    return [name.strip() for name in found.group(1).split(",") if name.strip()] if found else []


def status(host: Host, jail: str) -> Status | None:
    """Return what fail2ban says of a jail, None when it does not say it."""
    answer = host.run([CLIENT, "status", jail], timeout=TIMEOUT)
    if answer.rc != 0:
        return None
    fields = {}
    for line in answer.stdout.splitlines():
        name, colon, value = line.lstrip("|`- \t").partition(":")
        if colon:
            fields[name.strip()] = value.strip()

    def number(name: str) -> int:
        return int(fields.get(name, "0")) if fields.get(name, "").isdigit() else 0

    return Status(
        number("Currently failed"),
        number("Total failed"),
        tuple(fields.get("Banned IP list", "").split()),
        number("Total banned"),
        tuple(fields.get("File list", "").split()),
    )


def complaint(output: str, names: list[str]) -> str:
    """Return the errors in what fail2ban printed or logged, in one line.

    Args:
        output: lines, errors among them.
        names: jails; where errors name one of them, only those errors are returned.
    """
    errors = []
    for line in output.splitlines():
        found = re.search(r"\bERROR:?\s+(?:ERROR: )?(?:NOK: )?(.*)", line)
        # The server repeats the whole command that failed, with everything in it.
        text = found.group(1).rpartition(" has failed. Received ")[2] if found else ""
        text = _shortened(text.strip())
        if text and "test configuration failed" not in text and text not in errors:
            errors.append(text)
    named = [text for text in errors if any(re.search(_named(name), text) for name in names)]
    return "; ".join((named or errors)[:3])


def wrong_filter(host: Host, folder: str, name: str) -> str:
    """Return what is wrong with a filter; empty when fail2ban can work with it.

    The test of a configuration does not look at the expressions, and the server ends all jails at
    the first one that it does not understand.

    Args:
        host: the host.
        folder: the folder with the configuration.
        name: the filter's name, with its mode.
    """
    answer = host.run([REGEX, "-c", folder, "mailhost", name], timeout=TIMEOUT, cwd="/")
    if answer.rc == 0:
        return ""
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    return complaint(answer.stdout, []) or _shortened(lines[-1] if lines else "no reason given")


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"


def blamed(output: str) -> list[str]:
    """Return the jails that fail2ban's errors name."""
    pattern = r"(?:log file for|[Ee]rrors in jail|Jail) '?([A-Za-z0-9._-]+)'?(?: jail|[.,:]|$| )"
    found = []
    for line in output.splitlines():
        if "ERROR" in line:
            found += [name for name in re.findall(pattern, line) if name not in found]
    return found


def _named(name: str) -> str:
    return r"(?<![A-Za-z0-9-]){0}(?![A-Za-z0-9-])".format(re.escape(name))
