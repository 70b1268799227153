# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""POP before SMTP: addresses that may relay for a while because somebody has read mail from there.

vpopmail adds them to ``open-smtp``; its ``clearopensmtp``, called by cron, takes the old ones out and
makes ``tcp.smtp.cdb`` anew. When cron does not call it, the list grows, and whoever gets one of these
addresses later relays. Lines of /etc/crontab and /etc/cron.d need a user behind the times, see
crontab(5); without one cron takes the program for a user, and on Debian ignores the whole file.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.file_write import Change
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_users import (
    decode,
    encode,
    printable,
)

#: Where the list is, unless somebody says otherwise: vpopmail's own place and an older one.
LISTS = ("/home/vpopmail/etc/open-smtp", "/etc/vpopmail/open-smtp")

COMMAND = "/home/vpopmail/bin/clearopensmtp"

#: Minutes for which an address may relay: what vpopmail is usually built with.
WINDOW = 180

#: Entries from which on a list is swollen.
ENTRIES = 2000

CRONTAB = "/etc/crontab"
CRON_D = "/etc/cron.d"

#: Crontabs of users, where there is no field for one: Debian's and Red Hat's place.
SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron")

_ENTRY = re.compile(r"(?P<address>[^:\s]+):allow(?P<variables>[^\t]*)\t\s*(?P<time>[0-9]+)\s*\Z")
_SETTING = re.compile(r"\s*(\"[^\"]*\"|'[^']*'|[A-Za-z_][A-Za-z0-9_]*)\s*=")
_FIELD = r"(?:[0-9*][0-9*,/~-]*|[A-Za-z]{3}(?:[,-][A-Za-z]{3})*)"
_TIMES = re.compile(r"\s*-?(?:@[a-z]+|" + _FIELD + r"(?:[ \t]+" + _FIELD + r"){4})[ \t]+(?=\S)")
_USER = re.compile(r"(?P<user>\S+)(?:[ \t]+(?P<command>\S.*))?\Z", re.DOTALL)

# Other files there are ignored: by Debian's cron, see cron(8), and by cronie, which EL and others have.
_CRON_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_CRONIE_NAME = re.compile(r"(?![.#])(?!.*(?:~|\.rpmsave|\.rpmorig|\.rpmnew)\Z)")

_TIMEOUT = 300.0


class PopBeforeSmtpError(Exception):
    """The list cannot be put in order; the text is a sentence."""


class List(NamedTuple):
    """What is in open-smtp.

    Attributes:
        path: where it is; empty when there is none.
        size: bytes.
        entries: lines with an address and a time.
        odd: lines of another kind, which clearopensmtp drops.
        old: entries that should have been taken out: older than twice the window.
        oldest: seconds since the oldest was added.
    """

    path: str = ""
    size: int = 0
    entries: int = 0
    odd: int = 0
    old: int = 0
    oldest: int = 0


class Line(NamedTuple):
    """A line of a crontab.

    Attributes:
        path: the file.
        number: of the line, from 1.
        text: the line.
        mended: the line as it should be; the same when it is right or cannot be mended.
        trouble: what is wrong with it; empty when it is right.
        clears: whether it calls clearopensmtp.
    """

    path: str
    number: int
    text: str
    mended: str
    trouble: str
    clears: bool


class State(NamedTuple):
    """What there is of POP before SMTP on a host.

    Attributes:
        list: open-smtp.
        lines: lines of crontabs that call clearopensmtp, and wrong ones in the same files.
        command: path of clearopensmtp.
        installed: whether it is there.
        window: minutes for which an address may relay.
        most: entries from which on the list is swollen.
    """

    list: List
    lines: tuple[Line, ...]
    command: str
    installed: bool
    window: int
    most: int

    @property
    def used(self) -> bool:
        """Whether this host does POP before SMTP at all; vpopmail's tools may leave an empty list."""
        return bool(self.list.entries) or any(line.clears for line in self.lines)

    @property
    def scheduled(self) -> bool:
        """Whether cron calls clearopensmtp, or will once the lines that can be are mended."""
        wrong = {line.path for line in self.lines if line.trouble and line.mended == line.text}
        return any(line.clears and line.path not in wrong for line in self.lines)

    @property
    def outdated(self) -> str:
        """What clearopensmtp takes out of the list; empty when there is nothing."""
        if not self.list.old:
            return ""
        return "{0} of {1} entries are older than {2} min".format(
            self.list.old, self.list.entries, 2 * self.window
        )

    @property
    def swollen(self) -> str:
        """Why the list is not as it should be; empty when it is."""
        if self.outdated:
            return self.outdated
        if self.list.entries > self.most:
            return "{0} entries".format(self.list.entries)
        return ""


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        state: what was found.
        changes: crontabs that get a user field.
        run: why clearopensmtp is called; empty when it is not.
    """

    state: State
    changes: tuple[Change, ...]
    run: str

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.changes or self.run)


def look(
    host: Host,
    path: str = "",
    command: str = COMMAND,
    window: int = WINDOW,
    most: int = ENTRIES,
    user: str = "root",
) -> State:
    """Read the list and the crontabs of a host.

    Args:
        host: the host.
        path: where open-smtp is; empty for the first of :data:`LISTS` that is there.
        command: path of clearopensmtp.
        window: minutes for which an address may relay.
        most: entries from which on the list is swollen.
        user: who is to call clearopensmtp where a line does not say it.

    Raises:
        PopBeforeSmtpError: an option cannot serve; the text names it, its value and what is allowed.
    """
    for name, number in (("window_minutes", window), ("warn_entries", most)):
        if number < 1:
            raise PopBeforeSmtpError("{0} is {1}; allowed: 1 or more".format(name, number))
    if not command.startswith("/"):
        raise PopBeforeSmtpError("command is {0!r}; allowed: an absolute path".format(command))
    known = _users(host)
    if user not in known:
        raise PopBeforeSmtpError(
            "cron_user is {0!r}; allowed: a user that /etc/passwd has".format(user)
        )
    lines: list[Line] = []
    names = _CRON_NAME if host.exists("/etc/debian_version") else _CRONIE_NAME
    for name in [CRONTAB] + [
        CRON_D + "/" + entry for entry in host.listdir(CRON_D) if names.match(entry)
    ]:
        lines += _crontab(host, name, command, user, known)
    for folder in SPOOLS:
        for entry in host.listdir(folder):
            lines += _crontab(host, folder + "/" + entry, command, "", known)
    places = [path] if path else list(LISTS)
    found = [place for place in places if host.exists(place)][:1]
    data = read_list(host, found[0], window) if found else List()
    return State(data, tuple(lines), command, host.exists(command), window, most)


def read_list(host: Host, path: str, window: int) -> List:
    """Return what is in open-smtp.

    Args:
        host: the host.
        path: the file.
        window: minutes for which an address may relay.
    """
    data = host.read_bytes(path) or b""
    now = host.now()
    times = []
    odd = 0
    for line in decode(data).split("\n"):
        match = _ENTRY.match(line)
        if match:
            times.append(int(match.group("time")))
        elif line.strip():
            odd += 1
    old = sum(now - time > 2 * 60 * window for time in times)
    oldest = int(max(0, now - min(times))) if times else 0
    return List(path, len(data), len(times), odd, old, oldest)


def plan(host: Host, state: State) -> Plan:
    """Say what puts the list in order. Nothing is written.

    Args:
        host: the host.
        state: what :func:`look` found.

    Raises:
        PopBeforeSmtpError: clearopensmtp is to be called and is not there.
    """
    changes = []
    for path in sorted({line.path for line in state.lines if line.mended != line.text}):
        data = host.read_bytes(path)
        status = host.stat(path)
        if data is None or status is None:
            raise PopBeforeSmtpError("cannot read {0}".format(path))
        lines = decode(data).split("\n")
        for line in state.lines:
            if line.path == path:
                lines[line.number - 1] = line.mended
        changes.append(
            file_write.plan(host, path, encode("\n".join(lines)), status.st_mode & 0o7777)
        )
    if state.outdated and not state.installed:
        raise PopBeforeSmtpError(
            "command is {0!r}, which is not there; allowed: where clearopensmtp is, for {1} has "
            "{2}".format(state.command, state.list.path, state.outdated)
        )
    return Plan(state, tuple(changes), state.outdated)


def carry_out(host: Host, planned: Plan) -> list[str]:
    """Mend the crontabs, then have the old entries taken out.

    Returns:
        list[str]: paths of the backups.

    Raises:
        PopBeforeSmtpError: clearopensmtp failed, or left the old entries.
        FileWriteError: a crontab cannot be written.
    """
    backups = []
    for change in planned.changes:
        backups.append(change._replace(path=file_write.place(host, change.path)).write())
    if planned.run:
        state = planned.state
        answer = host.run([state.command], timeout=_TIMEOUT)
        if answer.rc != 0:
            raise PopBeforeSmtpError(
                "{0} ended with {1}: {2}".format(state.command, answer.rc, answer.stderr.strip())
            )
        left = state._replace(list=read_list(host, state.list.path, state.window)).outdated
        if left:
            raise PopBeforeSmtpError(
                "{0} ended well, and still {1} in {2}; is that its list, and window_minutes ({3}) what "
                "it was built with?".format(state.command, left, state.list.path, state.window)
            )
    return [name for name in backups if name]


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    state = planned.state
    diffs = []
    for change in planned.changes:
        old = decode(change.before or b"").split("\n")
        new = decode(change.after).split("\n")
        changed = [(one, two) for one, two in zip(old, new) if one != two]
        diffs.append(
            {
                # Of the file only these lines: others are none of our business.
                "before_header": change.path,
                "before": "".join(printable(one) + "\n" for one, _two in changed),
                "after_header": change.path,
                "after": "".join(printable(two) + "\n" for _one, two in changed),
            }
        )
    if planned.run:
        diffs.append(
            {
                "before_header": state.list.path,
                "before": planned.run + "\n",
                "after_header": state.list.path,
                "after": "cleared by {0}\n".format(state.command),
            }
        )
    return {
        "changed": planned.changed,
        "diff": diffs,
        "crontabs": [change.path for change in planned.changes],
        "cleared": bool(planned.run),
        "list": state.list._asdict(),
    }


def _users(host: Host) -> set[str]:
    """Return the names of the host's users."""
    return {line.partition(":")[0] for line in (host.read("/etc/passwd") or "").splitlines()}


def _crontab(host: Host, path: str, command: str, user: str, known: set[str]) -> Sequence[Line]:
    """Return the lines of a crontab that call clearopensmtp, and the wrong ones beside them.

    Args:
        host: the host.
        path: the file.
        command: path of clearopensmtp.
        user: who is to call it where the line does not say it; empty for a user's own crontab.
        known: names of the host's users.
    """
    data = host.read_bytes(path)
    program = os.path.basename(command)
    if data is None or encode(program) not in data:
        return ()
    found = [
        _line(path, number, text, program, user, known)
        for number, text in enumerate(decode(data).split("\n"), 1)
        if text.strip() and not text.lstrip().startswith("#") and not _SETTING.match(text)
    ]
    if not any(line.clears for line in found):
        return ()
    return [line for line in found if line.clears or line.trouble]


def _line(path: str, number: int, text: str, program: str, user: str, known: set[str]) -> Line:
    """Return what is to be said of one line of a crontab."""
    clears = re.search(r"(?<![\w.-]){0}(?![\w.-])".format(re.escape(program)), text) is not None
    times = _TIMES.match(text)
    if times is None:
        return Line(path, number, text, text, "does not begin with five fields of time", clears)
    if not user:
        return Line(path, number, text, text, "", clears)
    rest = text[times.end() :]
    match = _USER.match(rest)
    first = match.group("user") if match else ""
    if first in known and match and match.group("command"):
        return Line(path, number, text, text, "", clears)
    # A program in the user's place: its path, or the name that it is called by.
    if clears and (first.startswith("/") or first == program):
        mended = text[: times.end()] + user + " " + rest
        return Line(path, number, text, mended, "has no user behind the times", clears)
    trouble = "has {0!r} for a user, whom /etc/passwd does not have".format(printable(first))
    if first in known:
        trouble = "has no command"
    return Line(path, number, text, text, trouble, clears)
