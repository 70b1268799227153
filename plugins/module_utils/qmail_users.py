# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmail's users/assign, which says whose mail is whose, and the users/cdb that is made of it.

Sources: qmail-users(5) and qmail-newu(8) of notqmail. qmail-lspawn reads users/cdb at each delivery;
users/assign has no effect before qmail-newu is run, and what stands behind its line with the dot never.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.cdb import Cdb, CdbError
from ansible_collections.postmaster.mailhost.plugins.module_utils.file_write import Change
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

ASSIGN = "users/assign"
CDB = "users/cdb"
NEWU = "bin/qmail-newu"

# Colons behind the first one that qmail-newu wants.
_COLONS = 6

_NUMBER = re.compile(r"[0-9]{1,10}\Z")

# 2^32 - 1 says to chown(2) and setresuid(2) that nothing is to change.
_MOST = (1 << 32) - 2

_TIMEOUT = 60.0


class QmailUsersError(Exception):
    """The assignments cannot be what they are to be; the text is a sentence."""


class Assignment(NamedTuple):
    """A line of users/assign.

    Attributes:
        number: number of the line in the file, from 1; 0 for one that is not in it.
        wildcard: whether it is for all addresses that begin with ``address``.
        address: local part, or the beginning of it; qmail-send has put the prefix of a virtual domain
            before it.
        user: name of the account.
        uid, gid: numbers, as they are written.
        home: directory with the ``.qmail`` files.
        text: the whole line.
    """

    number: int
    wildcard: bool
    address: str
    user: str
    uid: str
    gid: str
    home: str
    text: str

    @property
    def key(self) -> tuple[bool, str]:
        """What only the first of several lines is looked up by; case does not count."""
        return self.wildcard, _lower(self.address)


class Assign(NamedTuple):
    """What stands in users/assign.

    Attributes:
        lines: the lines before the one with the dot.
        terminated: whether there is a line with the dot. Without it qmail-newu refuses the file.
        behind: lines behind it, which are never read.
        refused: what qmail-newu refuses the file for, a sentence for each line.
        entries: the assignments.
    """

    lines: tuple[str, ...]
    terminated: bool
    behind: tuple[str, ...]
    refused: tuple[str, ...]
    entries: tuple[Assignment, ...]

    def find(self, address: str) -> Assignment | None:
        """Return the assignment for an address that begins like this, or None.

        Args:
            address: a beginning such as ``example.org-``. The longest wildcard that fits counts.
        """
        wanted = _lower(address)
        fitting = [
            entry
            for entry in self.entries
            if entry.wildcard and wanted.startswith(_lower(entry.address))
        ]
        return max(fitting, key=lambda entry: len(entry.address)) if fitting else None


class Plan(NamedTuple):
    """What the files are and what they are to be.

    Attributes:
        home: where qmail is.
        assign: users/assign; None when it is neither there nor wanted.
        content: what users/assign is to say; None likewise.
        stale: why users/cdb is to be made anew; empty when it is as it should be.
    """

    home: str
    assign: Change | None
    content: Assign | None
    stale: str

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.stale) or bool(self.assign and self.assign.changed)


def parse(text: str) -> Assign:
    """Read users/assign as qmail-newu does.

    Args:
        text: the whole file, decoded so that each byte is a character or a surrogate.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        del lines[-1]
    end = next((number for number, line in enumerate(lines) if line.startswith(".")), None)
    before = lines if end is None else lines[:end]
    behind = [] if end is None else [line for line in lines[end + 1 :] if line.strip()]
    refused = []
    entries = []
    for number, line in enumerate(before, 1):
        reason = _refusal(line)
        if reason:
            refused.append("line {0} {1}".format(number, reason))
            continue
        address, user, uid, gid, home = line[1:].split(":")[:5]
        entries.append(Assignment(number, line[0] == "+", address, user, uid, gid, home, line))
    return Assign(tuple(before), end is not None, tuple(behind), tuple(refused), tuple(entries))


def records(assign: Assign) -> list[tuple[bytes, bytes]]:
    """Return what qmail-newu puts into users/cdb, in its order: keys and values."""
    found = []
    last = b""
    for entry in assign.entries:
        key = b"!" + encode(_lower(entry.address))
        if entry.wildcard:
            # Ends of wildcards as they are written: by these, qmail-lspawn saves itself look-ups.
            end = encode(entry.address)[-1:]
            if end and end not in last:
                last += end
        else:
            key += b"\0"
        value = encode(entry.text).split(b":", 1)[1].split(b":")[:_COLONS]
        found.append((key, b"\0".join(value)))
    return found + [(b"", last)]


def stale(host: Host, home: str, assign: Assign) -> str:
    """Say why users/cdb is not what qmail-newu makes of users/assign; empty when it is.

    Args:
        host: the host.
        home: where qmail is.
        assign: what users/assign says.
    """
    path = home + "/" + CDB
    data = host.read_bytes(path)
    if data is None:
        return "{0} is missing".format(path)
    wanted = records(assign)
    try:
        made = Cdb(data)
        same = list(made) == wanted and all(
            made.get(key) == value for key, value in dict(reversed(wanted)).items()
        )
    except CdbError as error:
        return "{0} is damaged: {1}".format(path, error)
    if not same:
        return "{0} does not say what {1} says".format(path, ASSIGN)
    source, result = host.stat(home + "/" + ASSIGN), host.stat(path)
    # A source from the future would be newer than whatever is made of it.
    if source and result and result.st_mtime < source.st_mtime <= host.now():
        return "{0} is older than {1}".format(path, ASSIGN)
    return ""


def read(host: Host, home: str) -> Assign | None:
    """Return what users/assign says, None when there is no such file."""
    data = host.read_bytes(home + "/" + ASSIGN)
    return None if data is None else parse(decode(data))


def validate(wanted: Iterable[str]) -> list[Assignment]:
    """Read assignments that are to be in the file.

    Args:
        wanted: lines such as ``+example.org-:example.org:89:89:/home/vpopmail/domains/example.org:-::``.

    Raises:
        QmailUsersError: one cannot serve; the text names it and what is allowed.
    """
    found: list[Assignment] = []
    for line in wanted:
        reason = _refusal(line)
        if not reason and "\n" in line:
            reason = "is more than one line"
        if not reason and line[0] not in "=+":
            reason = "begins with neither = nor +"
        if reason:
            raise QmailUsersError(
                "assign: {0!r} {1}; allowed: =ADDRESS:USER:UID:GID:HOME:DASH:EXT: or "
                "+BEGINNING:USER:UID:GID:HOME:DASH:PRE:".format(line, reason)
            )
        entry = parse(line + "\n.\n").entries[0]
        for name, value in (("uid", entry.uid), ("gid", entry.gid)):
            least = 1 if name == "uid" else 0
            if not _NUMBER.match(value) or not least <= int(value) <= _MOST:
                raise QmailUsersError(
                    "assign: the {0} of {1!r} is {2!r}; allowed: a number from {3} to {4}{5}".format(
                        name, line, value, least, _MOST, ", as 0 is root" if least else ""
                    )
                )
        if not entry.home.startswith("/"):
            raise QmailUsersError(
                "assign: the directory of {0!r} is {1!r}; allowed: an absolute path".format(
                    line, entry.home
                )
            )
        if any(entry.key == earlier.key for earlier in found):
            raise QmailUsersError(
                "assign: {0!r} is there twice; only the first would count".format(
                    line.partition(":")[0]
                )
            )
        found.append(entry._replace(number=0))
    return found


def plan(
    host: Host,
    home: str,
    wanted: Sequence[str] = (),
    complete: bool = False,
    removals: bool = True,
) -> Plan:
    """Compare users/assign and users/cdb with what they are to be. Nothing is written.

    Args:
        host: the host.
        home: where qmail is, such as ``/var/qmail``.
        wanted: lines that are to be in users/assign. One with the same address takes the place of the
            first that is there, others come at the end.
        complete: whether these are all; others go, and so do lines that are never read.
        removals: whether ``complete`` takes out other assignments, too. Lines that qmail-newu refuses go
            in any case, as nothing can be added to a file with them.

    Raises:
        QmailUsersError: a line cannot serve, or the file has lines that qmail-newu refuses, or seems cut
            off.
    """
    entries = validate(wanted)
    if complete and not entries:
        raise QmailUsersError(
            "complete is true and assign is empty; allowed: name every assignment, or leave complete"
        )
    if not host.isdir(home + "/users"):
        raise QmailUsersError(
            "qmail_home is {0!r}; allowed: where qmail is, with a directory users".format(home)
        )
    present = read(host, home)
    if present is None and not entries:
        if host.exists(home + "/" + CDB):
            raise QmailUsersError(
                "{0}/{1} is there and {2} is not; name the assignments in assign, or make the file "
                "again".format(home, CDB, ASSIGN)
            )
        return Plan(home, None, None, "")
    text = _wanted_text(present or parse(".\n"), entries, complete, removals)
    content = parse(text)
    whole = complete or (present is not None and present.terminated)
    lost = 0 if whole else _lost(host, home, content)
    if lost:
        raise QmailUsersError(
            "{0}/{1} {2} {3} assignments that {4} has, so it seems {5}; bring it back, or name all "
            "assignments and set complete".format(
                home,
                ASSIGN,
                "is missing, and assign lacks"
                if present is None
                else "has no line with a dot and lacks",
                lost,
                CDB,
                "lost" if present is None else "cut off",
            )
        )
    if content.refused:
        raise QmailUsersError(
            "{0}/{1}: {2}; mend it, or name all assignments and set complete".format(
                home, ASSIGN, "; ".join(content.refused[:5])
            )
        )
    path = home + "/" + ASSIGN
    status = host.stat(path)
    mode = status.st_mode & 0o7777 if status else 0o644
    assign = file_write.plan(host, path, encode(text), mode)
    why = "{0} changes".format(ASSIGN) if assign.changed else stale(host, home, content)
    if why and not host.exists(home + "/" + NEWU):
        raise QmailUsersError("{0}/{1} is missing; {2}".format(home, NEWU, why))
    return Plan(home, assign, content, why)


def carry_out(host: Host, planned: Plan) -> list[str]:
    """Do what was planned. When qmail-newu fails, users/assign is as before.

    Returns:
        list[str]: path of the backup, when there is one.

    Raises:
        QmailUsersError: qmail-newu failed.
        FileWriteError: the file cannot be written.
    """
    if planned.assign is None or planned.content is None:
        return []
    path = planned.home + "/" + ASSIGN
    backups = []
    if planned.assign.changed:
        change = planned.assign._replace(path=file_write.place(host, path))
        backups = [name for name in [change.write()] if name]
    answer = host.run([planned.home + "/" + NEWU], timeout=_TIMEOUT)
    trouble = ""
    if answer.rc != 0:
        trouble = "qmail-newu ended with {0}: {1}".format(answer.rc, answer.stderr.strip())
    else:
        left = stale(host, planned.home, planned.content)
        if left:
            trouble = "qmail-newu ended well, but {0}; is {1} where it was built for?".format(
                left, planned.home
            )
    if trouble:
        if planned.assign.changed:
            if planned.assign.before is None:
                file_write.remove(file_write.place(host, path))
            else:
                file_write.replace(file_write.place(host, path), planned.assign.before)
            trouble += "; {0} is as before".format(ASSIGN)
        raise QmailUsersError(trouble)
    return backups


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    before: list[str] = []
    after: list[str] = []
    diffs = []
    if planned.assign is not None and planned.assign.changed:
        diffs.append(planned.assign.diff())
        before = decode(planned.assign.before or b"").splitlines()
        after = decode(planned.assign.after).splitlines()
    if planned.stale:
        name = planned.home + "/" + CDB
        diffs.append(
            {
                "before_header": name,
                "before": printable(planned.stale) + "\n",
                "after_header": name,
                "after": "made of {0}\n".format(ASSIGN),
            }
        )
    return {
        "changed": planned.changed,
        "diff": diffs,
        "added": [printable(line) for line in after if line not in before],
        "removed": [printable(line) for line in before if line not in after],
        "rebuilt": printable(planned.stale),
        "assignments": len(planned.content.entries) if planned.content else 0,
    }


def decode(data: bytes) -> str:
    """Return bytes as text that :func:`encode` makes the same bytes of."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text."""
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """Return a text that can be shown: what is not printable is escaped."""
    return "".join(
        char if char.isprintable() else ascii(char)[1:-1]
        for char in encode(text).decode("utf-8", "backslashreplace")
    )


def _lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case, as qmail compares addresses."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def _refusal(line: str) -> str:
    """Say why qmail-newu refuses a line; empty when it does not."""
    if "\0" in line:
        return "has a NUL"
    if ":" not in line or line[0] == ":":
        return "is no assignment"
    if line.count(":") < _COLONS + 1:
        return "has {0} colons of {1}".format(line.count(":"), _COLONS + 1)
    return ""


def _lost(host: Host, home: str, content: Assign) -> int:
    """Return how many addresses are in users/cdb and not among the assignments."""
    try:
        there = {key for key, _value in Cdb(host.read_bytes(home + "/" + CDB) or b"")}
    except CdbError:
        return 0
    return len(there - {key for key, _value in records(content)})


def _wanted_text(
    present: Assign, entries: Sequence[Assignment], complete: bool, removals: bool
) -> str:
    """Return what users/assign is to be."""
    if complete:
        kept = () if removals else present.entries
        present = parse("\n".join([*(entry.text for entry in kept), ".", ""]))
    lines = list(present.lines)
    first: dict[tuple[bool, str], int] = {}
    for entry in present.entries:
        first.setdefault(entry.key, entry.number - 1)
    for entry in entries:
        if entry.key in first:
            lines[first[entry.key]] = entry.text
        else:
            lines.append(entry.text)
    behind = list(present.behind)
    return "\n".join([*lines, ".", *behind, ""])
