# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jails, filters and actions of a mail host in fail2ban: compared, tried, put in force.

Only files of our own are written, and what was in force stays in force when fail2ban refuses them.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    controller,
    engine_state,
    fail2ban_guard,
    fail2ban_jails,
    fail2ban_server,
    file_write,
    stack_settings,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.fail2ban_jails import (
    Facts,
    Jail,
    JailError,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError, Unit
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import jails as data

FOLDER = "/etc/fail2ban"
JAILS = FOLDER + "/jail.d/mailhost.local"
SERVER = FOLDER + "/fail2ban.d/mailhost.local"

BACKENDS = ("nftables", "iptables", "ipset")

#: Who bans on mailcow.
MAILCOW_BANS = ("netfilter", "fail2ban")

_UNITS = "/etc/systemd/system/"
_LOG = "/var/log/fail2ban.log"
_NAME = re.compile(r"mailhost-[a-z0-9-]+\.conf\Z")

# A stop may take systemd's 90 seconds.
_TIMEOUT = 120.0

# How long a server may take until it has all its jails.
_PATIENCE = 45.0

# How long it may take to start one of them.
_PAUSE = 8.0


class Fail2banError(Exception):
    """It cannot be done; the text is a sentence that says what and why."""


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and the work come from it alone.

    Attributes:
        backend: what bans are made with, one of :data:`BACKENDS`; empty when all is to go.
        jails: the jails, those that are not in force with the reason.
        files: files of ours below :data:`FOLDER`, as they are and are to be.
        remove: files of ours there that go.
        units: the program and the units that keep the bans in force, likewise.
        gone: of those, what goes.
        activate: ``reload``, ``restart`` or nothing.
        first: programs to run before anything else.
        last: programs to run when all files are there.
        active: whether fail2ban runs.
        before, after: what the programs change, as lines.
        warnings: what a person should know.
    """

    backend: str
    jails: tuple[Jail, ...]
    files: tuple[file_write.Change, ...]
    remove: tuple[file_write.Change, ...]
    units: tuple[file_write.Change, ...]
    gone: tuple[str, ...]
    activate: str
    first: tuple[tuple[str, ...], ...]
    last: tuple[tuple[str, ...], ...]
    active: bool
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(
            self.remove
            or self.gone
            or self.before
            or any(item.changed for item in (*self.files, *self.units))
        )

    def diff(self) -> list[dict[str, str]]:
        """Return the differences for ``exit_json(diff=...)``."""
        shown = [item.diff() for item in (*self.files, *self.units) if item.changed]
        for item in self.remove:
            shown.append(dict(item.diff(), after="", after_header=item.path + " (absent)"))
        before = [*self.before, *("file: " + path for path in self.gone)]
        if before or self.after:
            shown.append(
                {
                    "before_header": "fail2ban",
                    "before": "".join(line + "\n" for line in before),
                    "after_header": "fail2ban",
                    "after": "".join(line + "\n" for line in self.after),
                }
            )
        return shown


# -- looking ---------------------------------------------------------------------------------------


def choose_backend(host: Host, wanted: str, foretell: bool = False) -> str:
    """Return what bans are made with.

    Args:
        host: the host.
        wanted: one of :data:`BACKENDS`, or ``auto``: nftables where the kernel takes it from ``nft``.
        foretell: a program that is missing will be installed.

    Raises:
        Fail2banError: its programs are missing.
    """
    needed = {"nftables": ["nft"], "iptables": ["iptables"], "ipset": ["iptables", "ipset"]}
    if wanted == "auto":
        if host.which("nft") and host.run(["nft", "list", "tables"]).rc == 0:
            return "nftables"
        if host.which("iptables"):
            return "iptables"
        wanted = "nftables"
    missing = [name for name in needed[wanted] if not host.which(name)]
    if missing and not foretell:
        raise Fail2banError(
            "backend is {0!r}, and there is no {1} on the host; install it, or allowed: {2}".format(
                wanted, " and no ".join(missing), ", ".join(("auto", *BACKENDS))
            )
        )
    return wanted


def gather(
    host: Host,
    rows: list[dict[str, Any]],
    wanted: Mapping[str, Any],
    own_filters: Mapping[str, str],
    project: str,
) -> Facts:
    """Return what has to be known of a host before its jails are decided.

    Args:
        rows: see :func:`fail2ban_jails.resolve`.
        wanted: the same.
        own_filters: names of files to their texts.
        project: the stack's Compose project.
    """
    settings = [item for item in wanted.values() if isinstance(item, Mapping)]
    patterns, needed, terms = set(), set(), set()
    for row in [*rows, *settings]:
        for key, found in (("files", patterns), ("journal", terms)):
            value = row.get(key) or []
            found.update([value] if isinstance(value, str) else map(str, value))
        needed.update([*row.get("programs", ()), *row.get("units", ())])
    filters = {name[: -len(".conf")] for name in own_filters}
    for name in host.listdir(FOLDER + "/filter.d"):
        base, _dot, kind = name.rpartition(".")
        if kind in ("conf", "local"):
            filters.add(base)
    there = fail2ban_server.installed(host)
    why_not = fail2ban_server.why_no_journal(host) if there else ""
    return Facts(
        journal=not why_not,
        why_not=why_not,
        files=frozenset(path for path in patterns if path.startswith("/") and host.glob(path)),
        installed=frozenset(name for name in needed if _is_there(host, name)),
        filters=frozenset(filters) if there else None,
        project=project,
        drivers=_drivers(host, [term.replace("{project}", project) for term in sorted(terms)]),
    )


def _is_there(host: Host, name: str) -> bool:
    return host.exists(name) if name.startswith("/") else host.which(name) is not None


def _drivers(host: Host, terms: list[str]) -> dict[str, str]:
    """Return which log driver the containers have that terms name, as far as the engine says."""
    found = {}
    for term in terms:
        field, _equals, name = term.partition("=")
        if field != "CONTAINER_NAME":
            continue
        try:
            if not engine_state.running(host):
                return {}
            settings = host.docker("/containers/{0}/json".format(name))["HostConfig"]
            found[term] = str(settings["LogConfig"]["Type"])
        except (HostError, KeyError, TypeError):
            continue
    return found


def engine_networks(host: Host) -> list[str] | None:
    """Return the networks of the container engine; None when there is one that does not answer."""
    try:
        answer = engine_state.networks(host)
    except HostError:
        return None if host.which("dockerd") else []
    found = []
    for network in answer:
        for entry in (network.get("IPAM") or {}).get("Config") or []:
            if entry.get("Subnet"):
                found.append(str(entry["Subnet"]))
    return sorted(found)


# -- comparing -------------------------------------------------------------------------------------


def plan(host: Host, options: Mapping[str, Any], foretell: bool = False) -> Plan:
    """Compare the host with one that has these jails. Nothing is changed.

    Args:
        host: the host.
        options: the module's options.
        foretell: packages that are missing will be there when it is done.

    Raises:
        Fail2banError: it cannot be done on this host.
        JailError: an option is wrong.
        file_write.FileWriteError: a file cannot be read.
    """
    times = fail2ban_jails.check_times(options)
    # What is wrong is told before what is missing.
    ignore = fail2ban_jails.networks("ignore", options["ignore"])
    admins = fail2ban_jails.networks("admins", options["admins"])
    told = fail2ban_jails.networks("controller", filter(None, [options["controller"] or ""]))
    if not 5 <= options["check_seconds"] <= 3600:
        raise JailError("check_seconds is {0}; allowed: 5 to 3600".format(options["check_seconds"]))
    texts = {"filter.d": options["filters"], "action.d": options["actions"]}
    for folder, files in texts.items():
        for name in files:
            if not _NAME.match(name):
                raise JailError(
                    "{0}s has {1!r}; allowed: mailhost-NAME.conf".format(folder[:-2], name)
                )
    there = fail2ban_server.installed(host)
    name = options["stack"] or ""
    around = (
        stack_settings.read(host, name, options["path"] or "")
        if name
        else stack_settings.Settings("", "", ())
    )
    line = data.series(name, options["stack_version"] or around.version)
    rows = data.for_stack(name, line, options["mailcow_bans"])
    facts = gather(host, rows, options["jails"], options["filters"], around.project)
    jails = fail2ban_jails.resolve(rows, options["jails"], times, facts)
    if not there and not foretell:
        raise Fail2banError("fail2ban is not installed on the host; the role fail2ban installs it")
    backend = choose_backend(host, options["backend"], foretell)

    written = host.read(JAILS) or ""
    networks = engine_networks(host)
    if networks is None:
        # It only rests: what it has stays.
        networks = fail2ban_jails.networks_in(written)
    networks = sorted(set(fail2ban_jails.networks("networks", [*around.networks, *networks])))
    trusted = fail2ban_jails.networks(
        "ignore", [*admins, *(told or filter(None, [controller.address(host)])), *ignore]
    )
    wanted = {
        JAILS: fail2ban_jails.text(jails, times, "mailhost-" + backend, trusted, networks),
        SERVER: fail2ban_jails.server_text(jails, times),
    }
    for folder, files in texts.items():
        for file, content in files.items():
            wanted["{0}/{1}/{2}".format(FOLDER, folder, file)] = content.rstrip("\n") + "\n"
    files = tuple(
        file_write.plan(host, path, content.encode("utf-8"), 0o644)
        for path, content in sorted(wanted.items())
    )
    return _activation(
        host,
        Plan(
            backend,
            tuple(jails),
            files,
            _left_over(host, wanted),
            tuple(
                _unit_file(host, path, content, mode)
                for path, (content, mode) in sorted(
                    fail2ban_guard.texts(
                        options["check_seconds"],
                        " ".join(fail2ban_server.interpreter(host)) or fail2ban_guard.PYTHON,
                    ).items()
                )
            ),
            (),
            "",
            (),
            (),
            False,
            warnings=tuple(
                "the jail {0} is not in force: {1}".format(jail.name, jail.off)
                for jail in jails
                if jail.missing
            ),
        ),
        there,
    )


def _unit_file(host: Host, path: str, content: str, mode: int) -> file_write.Change:
    """Compare a unit. One that is masked is a link to nothing, through which nothing is written."""
    if host.readlink(path) is not None:
        return file_write.Change(path, None, content.encode("utf-8"), None, mode)
    return file_write.plan(host, path, content.encode("utf-8"), mode)


def _activation(host: Host, planned: Plan, there: bool) -> Plan:
    """Add what has to be done so that the files are in force."""
    units = _units(host)
    unit, timer = units[fail2ban_server.SERVICE], units[fail2ban_guard.TIMER]
    active = unit.active in ("active", "reloading")
    before, after, first, last = [], [], [], []
    if unit.load == "masked":
        first.append(("systemctl", "unmask", fail2ban_server.SERVICE))
    if any(item.changed and item.path.startswith(_UNITS) for item in planned.units):
        last.append(("systemctl", "daemon-reload"))
    for name, state in ((fail2ban_server.SERVICE, unit), (fail2ban_guard.TIMER, timer)):
        if not state.enabled.startswith("enabled"):
            last.append(("systemctl", "enable", name))
            before.append("{0}: {1}".format(name, state.enabled or "absent"))
            after.append("{0}: enabled".format(name))
    changed = [item for item in planned.files if item.changed] + list(planned.remove)
    wanted = [jail.name for jail in planned.jails if not jail.off]
    activate = ""
    if not active:
        before.append("{0}: {1}".format(fail2ban_server.SERVICE, unit.active))
        after.append("{0}: active".format(fail2ban_server.SERVICE))
        activate = "restart"
    elif changed:
        activate = "restart" if _rebuilds(changed) else "reload"
    elif there:
        running = fail2ban_server.jails(host)
        lost = wanted if running is None else [name for name in wanted if name not in running]
        if lost:
            before += ["jail {0}: stopped".format(name) for name in lost]
            after += ["jail {0}: running".format(name) for name in lost]
            activate = "restart" if running is None else "reload"
    moved = any(
        item.content_changed and item.path.endswith(fail2ban_guard.TIMER) for item in planned.units
    )
    if timer.active != "active" or moved:
        last.append(("systemctl", "restart", fail2ban_guard.TIMER))
        if timer.active != "active":
            before.append("{0}: {1}".format(fail2ban_guard.TIMER, timer.active))
            after.append("{0}: active".format(fail2ban_guard.TIMER))
    return planned._replace(
        activate=activate,
        first=tuple(first),
        last=tuple(last),
        active=active,
        before=tuple(before),
        after=tuple(after),
    )


def _rebuilds(changed: list[file_write.Change]) -> bool:
    """Tell whether what the actions made in the kernel has to be made anew.

    A reload gives an action that runs its new commands, and leaves what the old ones made.
    """
    for item in changed:
        if not item.path.startswith((FOLDER + "/jail.d/", FOLDER + "/filter.d/")):
            return True
        if item.path == JAILS:
            old, new = (
                dict(re.findall(rb"^action = (\S+\[name=[^],]+)(.*)$", content or b"", re.M))
                for content in (item.before, item.after)
            )
            if any(new.get(name, ports) != ports for name, ports in old.items()):
                return True
            if (
                old
                and new
                and not {_backend(name) for name in old} & {_backend(name) for name in new}
            ):
                return True
    return False


def _backend(action: bytes) -> bytes:
    return action.partition(b"[")[0]


def _left_over(host: Host, wanted: Mapping[str, Any]) -> tuple[file_write.Change, ...]:
    """Return files of an older release. What an administrator added ends with ``.local``."""
    found = [path for path in (JAILS, SERVER) if host.exists(path)]
    for folder in ("filter.d", "action.d"):
        found += host.glob("{0}/{1}/mailhost-*.conf".format(FOLDER, folder))
    return tuple(
        file_write.plan(host, path, b"", 0o644) for path in sorted(found) if path not in wanted
    )


def plan_removal(host: Host) -> Plan:
    """Compare the host with one that has nothing of this. Raises as :func:`plan`."""
    units = _units(host)
    remove = _left_over(host, {})
    gone = tuple(
        path
        for path in sorted(fail2ban_guard.texts(15))
        if host.exists(path) or host.readlink(path) is not None
    )
    timer = units[fail2ban_guard.TIMER]
    first = []
    if timer.present and (timer.active == "active" or timer.enabled.startswith("enabled")):
        first.append(("systemctl", "disable", "--now", fail2ban_guard.TIMER))
    last = (("systemctl", "daemon-reload"),) if gone else ()
    active = units[fail2ban_server.SERVICE].active in ("active", "reloading")
    activate = "restart" if remove and active else ""
    return Plan("", (), (), remove, (), gone, activate, tuple(first), last, active)


# -- doing -----------------------------------------------------------------------------------------


def try_out(host: Host, planned: Plan) -> None:
    """Have fail2ban read a copy of its configuration with the changes. The host stays as it is.

    Raises:
        Fail2banError: it refuses it; the text names the jail.
    """
    if not planned.changed or not fail2ban_server.installed(host):
        return
    names, reason = _refusal(host, planned)
    if reason:
        raise Fail2banError(
            "fail2ban refuses the configuration{0}: {1}. Nothing was changed.".format(
                " because of the jail " + " and ".join(names) if names else "", reason
            )
        )


def _refusal(host: Host, planned: Plan) -> tuple[list[str], str]:
    """Return the jails that fail2ban does not take, and why; empty when it takes all of it."""
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="mailhost-fail2ban-")
    try:
        copy = folder + "/fail2ban"
        shutil.copytree(file_write.place(host, FOLDER), copy, symlinks=True)
        for item in planned.files:
            path = copy + item.path[len(FOLDER) :]
            file_write.make_directory(os.path.dirname(path))
            file_write.replace(path, item.after, mode=0o600)
        for item in planned.remove:
            file_write.remove(copy + item.path[len(FOLDER) :])
        answer = host.run([fail2ban_server.CLIENT, "-c", copy, "-t"], timeout=_TIMEOUT)
        # Filters of ours are tested before anybody gets them.
        ours = {os.path.basename(item.path) for item in planned.files}
        for jail in planned.jails:
            if not jail.off and jail.filter.partition("[")[0] + ".conf" not in ours:
                reason = fail2ban_server.wrong_filter(host, copy, jail.filter)
                if reason:
                    return [jail.name], "its filter {0}: {1}".format(jail.filter, reason)
        if answer.rc != 0:
            output = answer.stderr + "\n" + answer.stdout
            names = fail2ban_server.blamed(output)
            reason = fail2ban_server.complaint(output, names) or output.strip()[-300:]
            return names, reason or "it gives no reason"
    except OSError as error:
        raise Fail2banError("the configuration cannot be copied: {0}".format(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [], ""


def carry_out(host: Host, planned: Plan) -> list[str]:
    """Do what was planned; call :func:`try_out` before.

    Returns:
        list[str]: further warnings.

    Raises:
        Fail2banError: fail2ban does not take it. What was in force before is so again.
        file_write.FileWriteError: a file cannot be written.
    """
    if not planned.backend:
        return _take_away(host, planned)
    for argv in planned.first:
        _run(host, argv)
    try:
        for item in planned.files:
            if item.changed:
                _write(host, item)
        for item in planned.remove:
            file_write.remove(file_write.place(host, item.path))
    except file_write.FileWriteError:
        _put_back(host, planned)
        raise
    # Before the server is started: the units say what else has to be there first.
    for item in planned.units:
        if item.changed:
            if item.before is None:
                file_write.remove(file_write.place(host, item.path))
            _write(host, item)
    for argv in planned.last:
        _run(host, argv)
    if planned.activate:
        _activate(host, planned)
    return []


def _activate(host: Host, planned: Plan) -> None:
    """Have fail2ban take the files over, or go back to those from before."""
    begin = _size(host)
    answer = _change(host, planned.activate)
    wanted = [jail.name for jail in planned.jails if not jail.off]
    lost = _wait(host, wanted)
    if not lost and (planned.activate == "restart" or answer.rc == 0):
        return
    # One bad jail takes the others along.
    blamed = [name for name in _changed_jails(planned) if name in lost or not lost] or lost
    output = "".join([_log_since(host, begin), answer.stderr, "\n", answer.stdout])
    reason = fail2ban_server.complaint(output, blamed) or output.strip()[-300:]
    _put_back(host, planned)
    if planned.active:
        _change(host, "restart")
    else:
        host.run(["systemctl", "stop", fail2ban_server.SERVICE], timeout=_TIMEOUT)
    raise Fail2banError(
        "fail2ban does not start the jail {0}: {1}. The configuration from before is in force "
        "again.".format(" or ".join(blamed), reason or "it gives no reason")
    )


def _changed_jails(planned: Plan) -> list[str]:
    """Return the jails that are to be in force in another form than before."""
    for item in planned.files:
        if item.path == JAILS:
            before = (item.before or b"").decode("utf-8", "replace")
            return fail2ban_jails.changed_in(before, item.after.decode("utf-8"))
    return []


def _change(host: Host, how: str) -> Any:
    """Reload fail2ban or start it anew."""
    if how == "reload":
        return host.run([fail2ban_server.CLIENT, "reload"], timeout=_TIMEOUT)
    # What failed several times in a row is not started any more.
    host.run(["systemctl", "reset-failed", fail2ban_server.SERVICE])
    return host.run(["systemctl", "restart", fail2ban_server.SERVICE], timeout=_TIMEOUT)


def _wait(host: Host, wanted: list[str]) -> list[str]:
    """Wait until all jails are in force; return those that are not."""
    end = time.monotonic() + _PATIENCE
    seen, since = None, 0.0
    while True:
        running = fail2ban_server.jails(host)
        lost = wanted if running is None else [name for name in wanted if name not in running]
        if running is not None and not lost:
            return []
        now = time.monotonic()
        if running != seen:
            seen, since = running, now
        # A server that answers starts its jails one after the other, until it has no more.
        done = running is not None and now - since > _PAUSE
        if done or now > end or _failed(host):
            return lost
        time.sleep(0.5)


def _take_away(host: Host, planned: Plan) -> list[str]:
    """Remove everything; fail2ban goes on with what else it has."""
    warnings = []
    # The timer would put back what is being taken away.
    for argv in planned.first:
        _run(host, argv)
    begin_again = bool(planned.activate)
    if begin_again:
        # While its files are there it takes back what they made.
        _run(host, ("systemctl", "stop", fail2ban_server.SERVICE))
        if not fail2ban_server.installed(host):
            begin_again = False
        else:
            reason = _refusal(host, planned)[1]
            if reason:
                begin_again = False
                warnings.append(
                    "fail2ban is stopped: without these jails it refuses its configuration: "
                    + reason
                )
    if host.exists(fail2ban_guard.PROGRAM):
        host.run([fail2ban_guard.PROGRAM, "purge"], timeout=_TIMEOUT)
    for item in planned.remove:
        file_write.remove(file_write.place(host, item.path))
    for path in planned.gone:
        file_write.remove(file_write.place(host, path))
    folder = file_write.place(host, os.path.dirname(fail2ban_guard.DROP_IN))
    if fail2ban_guard.DROP_IN in planned.gone and os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)
    for argv in planned.last:
        _run(host, argv)
    if begin_again:
        _run(host, ("systemctl", "start", fail2ban_server.SERVICE))
    return warnings


def _write(host: Host, item: file_write.Change) -> None:
    path = file_write.place(host, item.path)
    file_write.make_directory(os.path.dirname(path))
    item._replace(path=path).write(backup=False)


def _put_back(host: Host, planned: Plan) -> None:
    """Make the files what they were."""
    for item in (*planned.files, *planned.remove):
        path = file_write.place(host, item.path)
        if item.before is None:
            file_write.remove(path)
        elif item.changed:
            file_write.replace(path, item.before, mode=item.mode_before)


def _units(host: Host) -> dict[str, Unit]:
    try:
        return host.units([fail2ban_server.SERVICE, fail2ban_guard.TIMER])
    except HostError as error:
        raise Fail2banError("the services cannot be looked at: {0}".format(error)) from error


def _failed(host: Host) -> bool:
    return _units(host)[fail2ban_server.SERVICE].active == "failed"


def _size(host: Host) -> int:
    status = host.stat(_LOG)
    return status.st_size if status else 0


def _log_since(host: Host, begin: int) -> str:
    """Return what fail2ban has logged since its log had this size."""
    content = host.read_bytes(_LOG) or b""
    return content[begin if begin <= len(content) else 0 :].decode("utf-8", "replace")


def _run(host: Host, argv: tuple[str, ...]) -> None:
    answer = host.run(list(argv), timeout=_TIMEOUT)
    if answer.rc != 0:
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise Fail2banError(
            "{0} failed: {1}".format(" ".join(argv), lines[-1] if lines else "without a reason")
        )


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    return {
        "changed": planned.changed,
        "backend": planned.backend,
        "jails": [
            {
                "name": jail.name,
                "title": jail.title,
                "active": not jail.off,
                "reason": jail.off,
                "source": jail.source,
                "filter": jail.filter,
            }
            for jail in planned.jails
        ],
        "diff": planned.diff(),
    }
