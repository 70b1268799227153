# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the logs of mail servers are on a host: files, the journal, containers.

Sources: rsyslog's and syslog-ng's files of Debian and Red Hat; multilog(8); journalctl(1);
https://docs.docker.com/engine/logging/.
"""

from __future__ import annotations

from typing import Callable, Iterable, Iterator, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

AUTO = "auto"
FILES = "files"
JOURNAL = "journal"
CONTAINERS = "containers"

#: What a caller may choose.
CHOICES = (AUTO, FILES, JOURNAL, CONTAINERS)

# The same lines are in each of these; the first that there is counts.
_SYSLOG_FILES = ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail.info", "/var/log/mail")

# multilog and svlogd have a directory for each service.
_MULTILOG = (
    "/var/log/qmail",
    "/var/log/qmail/*",
    "/service/*/log/main",
    "/var/qmail/supervise/*/log/main",
)

# All that says it is mail, and what qmail prints under systemd.
_JOURNAL = (
    "SYSLOG_FACILITY=2",
    "+",
    "_COMM=qmail-send",
    "+",
    "SYSLOG_IDENTIFIER=qmail-send",
    "+",
    "SYSLOG_IDENTIFIER=qmail",
)

#: Compose services that write deliveries: mailcow's, Mailu's, and the usual names of others.
SERVICES = ("postfix-mailcow", "smtp", "postfix", "mta", "qmail")


class Source(NamedTuple):
    """A log.

    Attributes:
        name: what it is called in results: a path, ``journal``, or a container's name.
        reference: seconds since the epoch that no line is later than.
        json_lines: whether it is a file of Docker's driver json-file.
        open: gives its bytes in pieces; raises ``HostError``.
    """

    name: str
    reference: float
    json_lines: bool
    open: Callable[[], Iterator[bytes]]


def find(
    host: Host,
    choice: str = AUTO,
    paths: Sequence[str] = (),
    project: str = "",
    services: Sequence[str] = SERVICES,
    since: float | None = None,
) -> list[Source]:
    """Return the logs to read, oldest first.

    Args:
        host: the host.
        choice: one of :data:`CHOICES`. ``auto`` takes the containers when a project is named, else
            the files, else the journal: a file is read ten times as fast, and has the same lines.
        paths: files, or patterns of them, instead of the usual ones.
        project: Compose project whose containers are meant.
        services: names of Compose services that write deliveries.
        since: files last written before this time are left out.

    Raises:
        HostError: the engine does not answer, or there is none of the chosen logs.
    """
    if choice == CONTAINERS or (choice == AUTO and project and not paths):
        return _containers(host, project, services, since)
    if choice == JOURNAL:
        return _journal(host, since)
    found = _files(host, paths, since)
    if found or choice == FILES or paths:
        return found
    return _journal(host, since)


def _files(host: Host, paths: Sequence[str], since: float | None) -> list[Source]:
    """Return the files that may have lines since then, oldest first."""
    if paths:
        names = [name for pattern in paths for name in host.glob(pattern)]
    else:
        names = []
        for path in _SYSLOG_FILES:
            if not host.isdir(path) and (host.exists(path) or host.exists(path + ".1")):
                names += [path, *host.glob(path + ".*"), *host.glob(path + "-[0-9]*")]
                break
        for folder in _MULTILOG:
            names += host.glob(folder + "/@*.[su]") + host.glob(folder + "/current")
    return _by_age(host, dict.fromkeys(names), since)


def _by_age(
    host: Host, names: Iterable[str], since: float | None, json_lines: bool = False, title: str = ""
) -> list[Source]:
    """Return files as sources, the one written last at the end."""
    found = []
    for name in names:
        status = host.stat(name)
        if status is None or host.isdir(name) or status.st_size == 0:
            continue
        if since is not None and status.st_mtime < since:
            continue
        found.append(
            Source(title or name, status.st_mtime, json_lines, lambda name=name: host.blocks(name))
        )
    return sorted(found, key=lambda source: source.reference)


def _journal(host: Host, since: float | None) -> list[Source]:
    """Return the journal.

    Raises:
        HostError: there is none.
    """
    if host.which("journalctl") is None:
        raise HostError("there is no log of a mail server, and no journal")
    begin = [] if since is None else ["--since=@{0:.0f}".format(since)]
    argv = ["journalctl", "--quiet", "--no-pager", "--output=short-unix", *begin, *_JOURNAL]
    return [Source("journal", host.now(), False, lambda: host.output(argv))]


def _containers(
    host: Host, project: str, services: Sequence[str], since: float | None
) -> list[Source]:
    """Return the logs of the containers of a project.

    Raises:
        HostError: the engine does not answer, or no container of the project is of interest.
    """
    from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_api

    found: list[Source] = []
    known = False
    for entry in host.docker(docker_api.containers_question(project)):
        if entry.get("Labels", {}).get("com.docker.compose.service") not in services:
            continue
        # A log that says nothing since then is a log all the same.
        known = True
        identity = entry["Id"]
        data = host.docker("/containers/{0}/json".format(identity))
        name = str(data.get("Name", "")).lstrip("/") or identity
        path = data.get("LogPath") or ""
        driver = data.get("HostConfig", {}).get("LogConfig", {}).get("Type", "")
        if driver == "json-file" and path:
            # Read by itself: that is faster, and works for a container that is stopped.
            files = [path, *host.glob(path + ".*")]
            found += _by_age(host, files, since, json_lines=True, title=name)
            continue
        begin = [] if since is None else ["--since={0:.0f}".format(since)]
        argv = ["docker", "logs", "--timestamps", *begin, identity]
        found.append(Source(name, host.now(), False, lambda argv=argv: host.output(argv)))
    if not known:
        raise HostError(
            "project {0} has no container among its services {1}".format(
                project, ", ".join(services)
            )
        )
    return found
