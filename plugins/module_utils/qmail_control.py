# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmail's control files: what each may hold, who reads it when, and how a change gets there.

Rules are those of qmail-control(5) and of the manual pages it names; how the lines of a file are read
is the same in qmail, netqmail and notqmail. Whether a build reads a file that others do not have is
looked up in its programs.
"""

from __future__ import annotations

import os
import re
import struct
import time
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import cdb, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

NONE = "none"
HUP = "hup"
RESTART = "restart"

#: What a running qmail-send may need, the least first.
ACTIONS = (NONE, HUP, RESTART)

#: Lists to which entries are added while those of others stay, unless a task says otherwise.
APPENDED = ("badmailfrom",)

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_DOMAIN = r"{0}(?:\.{0})*".format(_LABEL)
_FQDN = r"{0}(?:\.{0})+".format(_LABEL)
_LOCAL = r"[^\s@:]+"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = r"{0}(?:\.{0}){{3}}".format(_OCTET)

# Kind of a value: what it must match, and how that is said.
_KINDS = {
    "fqdn": (_FQDN, "a host name with at least one dot"),
    "name": (_DOMAIN, "a name of letters, digits, hyphens and dots"),
    "local": (_LOCAL, "what stands before the @ of an address"),
    "greeting": (_FQDN + r"(?: [^\r\n]*)?", "a host name with a dot, and words behind it"),
    "address": (_IPV4, "an IPv4 address"),
    "domain": (_DOMAIN, "a domain"),
    # A name of one label behind a dot would be a whole top level domain.
    "below": (
        r"{0}|\.{1}".format(_DOMAIN, _FQDN),
        "a domain, or .example.org for all below it",
    ),
    "sender": (r"(?:{0})?@{1}".format(_LOCAL, _DOMAIN), "user@example.org or @example.org"),
    "virtual": (
        r"(?:\.?{0}|{1}@{0})?:[^\s:]*".format(_DOMAIN, _LOCAL),
        "example.org:prefix, user@example.org:prefix, .example.org:prefix or :prefix",
    ),
    "route": (
        r"(?:\.?{0})?:(?:{0}|\[{1}\])?(?::\d{{1,5}})?".format(_DOMAIN, _IPV4),
        "example.org:relay, .example.org:relay or :relay, each with :port behind it if need be",
    ),
}
_NUMBER = "number"


class ControlError(Exception):
    """The control files cannot be like this; the text is a sentence."""


class File(NamedTuple):
    """What is known of a control file.

    Attributes:
        kind: kind of its value, or of each line of a list.
        is_list: whether it is a list; of other files only the first line is read.
        action: what a running qmail-send needs after a change, one of :data:`ACTIONS`.
        stock: whether each qmail reads it; else its programs are looked at first.
        least: smallest number.
        most: largest number.
    """

    kind: str
    is_list: bool = False
    action: str = NONE
    stock: bool = True
    least: int = 1
    most: int = (1 << 31) - 1


#: All control files of qmail, and those of patches that are common.
FILES: Mapping[str, File] = {
    "me": File("fqdn", action=RESTART),
    "helohost": File("fqdn"),
    "smtpgreeting": File("greeting"),
    "defaultdomain": File("name"),
    "defaulthost": File("name"),
    "plusdomain": File("name"),
    "idhost": File("name"),
    "localiphost": File("name"),
    "envnoathost": File("name", action=RESTART),
    "bouncehost": File("name", action=RESTART),
    "doublebouncehost": File("name", action=RESTART),
    "bouncefrom": File("local", action=RESTART),
    "doublebounceto": File("local", action=RESTART),
    "locals": File("domain", True, HUP),
    "virtualdomains": File("virtual", True, HUP),
    "percenthack": File("domain", True, RESTART),
    "rcpthosts": File("below", True),
    "morercpthosts": File("below", True),
    "badmailfrom": File("sender", True),
    "smtproutes": File("route", True),
    "qmqpservers": File("address", True),
    "databytes": File(_NUMBER, least=0),
    "queuelifetime": File(_NUMBER, action=RESTART),
    "concurrencylocal": File(_NUMBER, action=RESTART, least=0, most=255),
    "concurrencyremote": File(_NUMBER, action=RESTART, least=0, most=255),
    "timeoutconnect": File(_NUMBER),
    "timeoutremote": File(_NUMBER),
    "timeoutsmtpd": File(_NUMBER),
    "outgoingip": File("address", stock=False),
}

# Programs that run as long as qmail does; the others are started for each message or connection.
_LASTING = (
    "qmail-start",
    "qmail-send",
    "qmail-todo",
    "qmail-lspawn",
    "qmail-rspawn",
    "qmail-clean",
)

# Written by programs, or read in another form than lines of text.
_MADE = re.compile(r".*\.(?:cdb|pem|tmp|lock)|defaultdelivery")

# Below qmail's home; qmail-newmrh makes it of morercpthosts.
_MORE_CDB = "/control/morercpthosts.cdb"

# Folders of supervise: what makes one is `supervise/status`, with the process in it.
_SERVICES = (
    "/service/*",
    "/etc/service/*",
    "/var/service/*",
    "/var/lib/supervise/*",
    "/var/qmail/supervise/*",
)


def known(name: str, value: Any = None) -> File:
    """Return what is known of a control file; of a file of a patch, what its value tells."""
    return FILES.get(name) or File("any", isinstance(value, (list, tuple)), stock=False)


def lines_of(name: str, value: Any) -> list[str]:
    """Return a value as the lines of its control file.

    Args:
        name: the file.
        value: a text or number, or a list of texts.

    Raises:
        ControlError: it is not what the file may hold; the text says what is allowed.
    """
    _need_name(name)
    file = known(name, value)
    if file.is_list:
        if not isinstance(value, (list, tuple)):
            raise ControlError("{0} is {1}; allowed: a list".format(name, _shown(name, value)))
        items = [_line(name, file, item) for item in value]
        seen: dict[str, str] = {}
        for item in items:
            if item.startswith("#"):
                raise ControlError(
                    "{0}: {1} begins with #, so qmail takes it for a comment; allowed: other "
                    "entries".format(name, _shown(name, item))
                )
            key = _key(file, item)
            if key in seen:
                raise ControlError(
                    "{0} has two entries for {1}, {2} and {3}; qmail would take the last".format(
                        name, *(_shown(name, text) for text in (key, seen[key], item))
                    )
                )
            seen[key] = item
        return items
    return [_line(name, file, value)]


def _need_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or _MADE.fullmatch(name):
        raise ControlError(
            "{0!r} is no control file to write; allowed: names of text files in control/".format(
                name
            )
        )


def _line(name: str, file: File, value: Any) -> str:
    if file.kind == _NUMBER:
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,10}", text):
            raise ControlError(
                "{0} is {1!r}; allowed: a number without a unit, as qmail reads leading digits only "
                "and 10M is 10".format(name, value)
            )
        if not file.least <= int(text) <= file.most:
            raise ControlError(
                "{0} is {1}; allowed: {2} to {3}".format(name, text, file.least, file.most)
            )
        return str(int(text))
    text = str(value)
    if isinstance(value, (bool, dict, list, tuple)) or value is None:
        raise ControlError("{0}: {1} is no line of text".format(name, _shown(name, value)))
    if file.kind == "any":
        if not text.strip() or re.search(r"[\r\n\0]", text) or text != text.rstrip(" \t"):
            raise ControlError(
                "{0}: allowed are lines of text that are not empty, without blanks at the end".format(
                    name
                )
            )
        return text
    pattern, said = _KINDS[file.kind]
    if not re.fullmatch(pattern, text):
        raise ControlError(
            "{0}: {1} cannot be used; allowed: {2}".format(name, _shown(name, text), said)
        )
    if file.kind == "route" and not 0 < int((re.findall(r":(\d+)$", text) or ["25"])[0]) < 65536:
        raise ControlError("{0}: {1!r}; allowed: ports from 1 to 65535".format(name, text))
    return text


def _key(file: File, line: str) -> str:
    """Return what qmail looks a line up by."""
    if file.kind in ("virtual", "route"):
        return line.partition(":")[0].lower()
    return line.lower() if file.kind != "any" else line


def _meaning(file: File, line: str) -> str:
    """Return a line so that two which mean the same are equal."""
    if file.kind in ("virtual", "route"):
        return _key(file, line) + line[len(_key(file, line)) :]
    return _key(file, line)


def entries(text: str) -> list[str]:
    """Return the lines of a list that qmail takes: neither empty nor beginning with ``#``."""
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def first_line(text: str) -> str:
    """Return what qmail reads of a file that is no list."""
    return text.partition("\n")[0].rstrip(" \t")


def merge(
    name: str, file: File, present: str | None, wanted: Sequence[str], append: bool = False
) -> str:
    """Return the text that a control file is to have.

    Comments, blank lines and the order stay, and a file that means what is wanted stays whole.

    Args:
        name: the file.
        file: what is known of it.
        present: its text, None when there is none.
        wanted: its lines, see :func:`lines_of`.
        append: whether entries that are not wanted stay, too.
    """
    text = present or ""
    if not file.is_list:
        same = present is not None and first_line(text) == wanted[0]
        return text if same else wanted[0] + "\n"
    missing = {_meaning(file, line): line for line in wanted}
    names = {_key(file, line) for line in wanted}
    if name == "qmqpservers" and entries(text) != list(wanted) and not append:
        # The only list whose order means something.
        text = "".join(line + "\n" for line in text.splitlines() if line[:1] in ("#", ""))
    kept = []
    removed = False
    for line in text.split("\n"):
        entry = line.rstrip(" \t")
        alien = bool(entry) and not entry.startswith("#") and _meaning(file, entry) not in missing
        if alien and not (append and _key(file, entry) not in names):
            removed = True
        else:
            kept.append(line)
    there = {_meaning(file, entry) for entry in entries(text)}
    added = [line for meaning, line in missing.items() if meaning not in there]
    if not removed and not added and text == (present or ""):
        return text
    body = "\n".join(kept)
    if body and not body.endswith("\n"):
        body += "\n"
    return body + "".join(line + "\n" for line in added)


def masked(name: str, text: str) -> str:
    """Return a control file's text as it may be shown.

    Patches put user and password behind a relay in ``smtproutes``; of files that are not qmail's own
    it is not known what they hold.
    """
    if name not in FILES:
        return "".join("********\n" for _line in text.splitlines())
    if name == "smtproutes":
        return "\n".join(_masked_route(line) for line in text.split("\n"))
    return text


def _shown(name: str, value: Any) -> str:
    """Return a value, or a part of one, as an error may show it."""
    if name == "smtproutes" and isinstance(value, str):
        return repr(masked(name, value))
    return repr(value) if name in FILES and name != "smtproutes" else "********"


def _masked_route(line: str) -> str:
    # Patches separate user and password by a blank, a colon or a bar, or write the port with a semicolon.
    found = re.fullmatch(r"(#?\s*[^#:\s|;]*:[^:\s|;]*(?::\d+(?![^:\s|;]))?)(.*)", line)
    if found is None:
        return (
            line if not line.strip() or (line.startswith("#") and ":" not in line) else "********"
        )
    return found.group(1) + (" ********" if found.group(2).strip() else "")


def readers(host: Host, home: str, name: str) -> list[str]:
    """Return the programs of a build that have a control file's name in them.

    Args:
        host: the host.
        home: where qmail is.
        name: the control file.
    """
    pattern = re.compile(
        rb"(?<![A-Za-z0-9_.-])" + re.escape(name.encode("ascii")) + rb"(?![A-Za-z0-9_.-])"
    )
    found = []
    for program in host.listdir(home + "/bin"):
        if not program.startswith("qmail-") or program.startswith("qmail-showctl"):
            continue
        if pattern.search(host.read_bytes(home + "/bin/" + program) or b""):
            found.append(program)
    return found


def action_of(name: str, found: Sequence[str]) -> str:
    """Return what a running qmail-send needs after a change of a control file.

    Args:
        name: the file.
        found: the programs that read it; asked only for a file that is not in :data:`FILES`.
    """
    if name in FILES:
        return FILES[name].action
    return RESTART if any(program.startswith(_LASTING) for program in found) else NONE


class Service(NamedTuple):
    """Who keeps qmail-send running.

    Attributes:
        kind: ``daemontools``, ``runit``, ``systemd``, ``init``, ``process``, or empty when it does
            not run.
        place: folder, unit or script.
        pid: the process.
        always: whether systemd starts the unit anew however it ends.
    """

    kind: str
    place: str
    pid: int
    always: bool = False

    def command(self, action: str) -> list[str]:
        """Return what has qmail-send take a change over; nothing when that is not known.

        Args:
            action: one of :data:`ACTIONS`.
        """
        if not self.kind or action == NONE:
            return []
        if self.kind == "daemontools":
            return ["svc", "-h" if action == HUP else "-t", self.place]
        if self.kind == "runit":
            return ["sv", "hup" if action == HUP else "term", self.place]
        if action == HUP:
            return ["kill", "-HUP", str(self.pid)]
        if self.kind == "systemd" and self.always:
            # A restart would end deliveries, too; by itself, qmail-send ends when they are done.
            return ["kill", "-TERM", str(self.pid)]
        if self.kind == "systemd":
            return ["systemctl", "restart", self.place]
        if self.kind == "init":
            return [self.place, "restart"]
        return []

    def again(self, action: str) -> list[list[str]]:
        """Return what brings qmail-send up with the files from before, when it did not stay up.

        Args:
            action: what it was told.
        """
        if self.kind != "systemd":
            return [self.command(action)]
        # Its process is gone or another; a unit that failed too often is not started without the first.
        start = "restart" if action == RESTART and not self.always else "start"
        return [["systemctl", "reset-failed", self.place], ["systemctl", start, self.place]]


def service_of(host: Host, home: str) -> Service:
    """Return who keeps the qmail-send of a home running.

    A unit of systemd counts only when qmail-send is its main process: else it is the unit of svscan, of
    cron or of a login, which has other processes as well.
    """
    pids = processes(host, home)
    if not pids:
        return Service("", "", 0)
    for pattern in _SERVICES:
        for folder in host.glob(pattern):
            status = host.read_bytes(folder + "/supervise/status") or b""
            if len(status) >= 18 and struct.unpack_from("<I", status, 12)[0] in pids:
                kind = "daemontools" if len(status) == 18 else "runit"
                return Service(kind, folder, struct.unpack_from("<I", status, 12)[0])
    pid = pids[0]
    unit = re.search(
        r"/([^/\n]+\.service)$", host.read("/proc/{0}/cgroup".format(pid)) or "", re.MULTILINE
    )
    if unit:
        shown = host.run(
            ["systemctl", "show", "-p", "MainPID", "-p", "Restart", unit.group(1)]
        ).stdout.split("\n")
        if "MainPID={0}".format(pid) in shown:
            return Service("systemd", unit.group(1), pid, "Restart=always" in shown)
    if host.exists("/etc/init.d/qmail"):
        return Service("init", "/etc/init.d/qmail", pid)
    return Service("process", "", pid)


def processes(host: Host, home: str) -> list[int]:
    """Return the processes that are the qmail-send of a home, which works in its queue."""
    queue = host.stat(home + "/queue")
    found = []
    for name in host.listdir("/proc"):
        if not name.isdigit():
            continue
        if (host.read("/proc/{0}/comm".format(name)) or "").strip() != "qmail-send":
            continue
        # Not by its path, which in a container is that of another directory.
        place = host.stat("/proc/{0}/cwd".format(name))
        if queue and place and (queue.st_dev, queue.st_ino) == (place.st_dev, place.st_ino):
            found.append(int(name))
    return sorted(found)


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and the work come from it alone.

    Attributes:
        home: where qmail is.
        writes: files with their old and new text.
        removals: files that go, with their text.
        compile: whether ``morercpthosts.cdb`` has to be made anew.
        service: who keeps qmail-send running.
        action: what it needs, one of :data:`ACTIONS`.
    """

    home: str
    writes: tuple[file_write.Change, ...]
    removals: tuple[tuple[str, bytes], ...]
    compile: bool
    service: Service
    action: str

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.writes or self.removals or self.compile)

    @property
    def files(self) -> list[str]:
        """The files that differ."""
        paths = [item.path for item in self.writes] + [path for path, _data in self.removals]
        return paths + ([self.home + _MORE_CDB] if self.compile else [])


def plan(
    host: Host,
    home: str,
    files: Mapping[str, Any],
    absent: Sequence[str] = (),
    append: Sequence[str] = APPENDED,
    activate: bool = True,
) -> Plan:
    """Compare the control files with what is wanted.

    Args:
        host: the host.
        home: where qmail is, for example ``/var/qmail``.
        files: name to value, see :func:`lines_of`.
        absent: names of files that are to go, so that qmail's default counts.
        append: names of lists whose other entries stay.
        activate: whether a running qmail-send is to take the change over.

    Raises:
        ControlError: it cannot be like this, or this build would not read it; nothing was changed.
        file_write.FileWriteError: a file cannot be read.
    """
    wanted = need_values(files, absent, append)
    home = host.realpath(home).rstrip("/")
    folder = home + "/control"
    if not host.isdir(folder) or not host.exists(home + "/bin/qmail-send"):
        raise ControlError(
            "qmail_home is {0}, which holds no control/ or no bin/qmail-send; allowed: where qmail was "
            "installed".format(home)
        )
    found = {name: _need_reader(host, home, name) for name in wanted}
    _need_limits(host, home, wanted)
    _need_address(host, wanted)
    texts: dict[str, str] = {}
    writes = []
    for name, lines in wanted.items():
        path = "{0}/{1}".format(folder, name)
        data = host.read_bytes(path)
        present = None if data is None else data.decode("utf-8", "surrogateescape")
        texts[name] = merge(name, known(name, files[name]), present, lines, name in append)
        status = host.stat(path)
        mode = 0o644 if status is None else status.st_mode & 0o7777
        change = file_write.plan(
            host, host.realpath(path), texts[name].encode("utf-8", "surrogateescape"), mode
        )
        if change.changed:
            writes.append(change)
    removals = []
    for name in [*absent, *(["morercpthosts.cdb"] if "morercpthosts" in absent else [])]:
        data = host.read_bytes("{0}/{1}".format(folder, name))
        if data is not None:
            removals.append(("{0}/{1}".format(folder, name), data))
    _need_safe(host, folder, wanted, texts)
    stale = "morercpthosts" in wanted and _stale(host, folder, texts["morercpthosts"])
    changed = [os.path.basename(item.path) for item in writes]
    changed += [os.path.basename(path) for path, _data in removals]
    needs = [
        action_of(name, found[name] if name in found else readers(host, home, name))
        for name in changed
    ]
    service = service_of(host, home)
    action = max(needs, key=ACTIONS.index, default=NONE) if service.kind else NONE
    if activate and action != NONE and not service.command(action):
        raise ControlError(
            "qmail-send (process {0}) has to be started anew for {1}, and nothing is known that starts "
            "it; set activate: false and do it by hand".format(service.pid, ", ".join(changed))
        )
    return Plan(home, tuple(writes), tuple(removals), stale, service, action)


def with_secrets(files: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Return control files together with those that nobody is to see.

    Args:
        files: name to value.
        secrets: name to value of files of patches, whose text is shown nowhere.

    Raises:
        ControlError: a file is in both, or is one of qmail's own, which are shown.
    """
    for name in secrets:
        if name in files:
            raise ControlError(
                "{0} is in files and in secrets; allowed: one of the two".format(name)
            )
        if name in FILES:
            raise ControlError(
                "secrets: {0}; allowed: files of patches, as qmail's own hold no secret. It goes into "
                "files".format(name)
            )
    return {**files, **secrets}


def need_values(
    files: Mapping[str, Any], absent: Sequence[str], append: Sequence[str]
) -> dict[str, list[str]]:
    """Return the wanted lines of each file; needs no look at a host.

    Args:
        files: name to value.
        absent: files that are to go.
        append: lists whose other entries stay.

    Raises:
        ControlError: the text names the file, its value and what is allowed.
    """
    wanted = {name: lines_of(name, value) for name, value in files.items()}
    for name in absent:
        _need_name(name)
        if name in wanted:
            raise ControlError(
                "{0} is in files and in absent; allowed: one of the two".format(name)
            )
    if "rcpthosts" in absent:
        raise ControlError(
            "absent: rcpthosts; without this file every client may send to everywhere. Allowed: keep "
            "it; an empty list refuses mail for all domains"
        )
    if "me" in absent:
        raise ControlError("absent: me; qmail does not start without it")
    for name in append:
        if name in FILES and not FILES[name].is_list:
            raise ControlError("append: {0} is no list".format(name))
    both = _in_both(wanted.get("locals", ()), wanted.get("virtualdomains", ()))
    if both:
        raise ControlError(_both_text(both))
    return wanted


def _in_both(local: Sequence[str], virtual: Sequence[str]) -> list[str]:
    names = {line.partition(":")[0].lower() for line in virtual}
    return sorted(names & {line.lower() for line in local})


def _both_text(both: Sequence[str]) -> str:
    return (
        "{0}: in locals and in virtualdomains; allowed: one of the two. qmail would deliver its mail to "
        "users of the system".format(", ".join(both))
    )


def _need_reader(host: Host, home: str, name: str) -> list[str]:
    """Return who reads a file that not every qmail has."""
    if known(name).stock:
        return []
    found = readers(host, home, name)
    if not found:
        raise ControlError(
            "{0}: no program in {1}/bin knows this file, so it would do nothing. It comes with a patch "
            "that this build does not have".format(name, home)
            + (
                "; without it, an address for outgoing mail is chosen by a rule of the packet filter "
                "(SNAT)"
                if name == "outgoingip"
                else ""
            )
        )
    return found


def _need_limits(host: Host, home: str, wanted: Mapping[str, Sequence[str]]) -> None:
    """Compare concurrency with what the build can; it cuts off more without a word."""
    names = [name for name in ("concurrencylocal", "concurrencyremote") if name in wanted]
    if not names:
        return
    said = host.run([home + "/bin/qmail-showctl"]).stdout
    limit = re.search(r"(?m)^silent concurrency limit: (\d+)", said)
    for name in names:
        if limit and int(wanted[name][0]) > int(limit.group(1)):
            raise ControlError(
                "{0} is {1}; allowed: 0 to {2}, the limit that this qmail was built with".format(
                    name, wanted[name][0], limit.group(1)
                )
            )


def _need_address(host: Host, wanted: Mapping[str, Sequence[str]]) -> None:
    """An address that is not the host's defers all mail."""
    address = (wanted.get("outgoingip") or ["0.0.0.0"])[0]
    table = host.read("/proc/net/fib_trie")
    if address == "0.0.0.0" or table is None:
        return
    own = set(re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", table))
    if address not in own:
        raise ControlError(
            "outgoingip is {0}, which is no address of this host, and all mail would wait; allowed: "
            "{1}".format(address, ", ".join(sorted(own)))
        )


def _need_safe(
    host: Host, folder: str, wanted: Mapping[str, Sequence[str]], texts: Mapping[str, str]
) -> None:
    """Refuse to leave an open relay behind, or a qmail that does not start."""
    for name, reason in (
        ("rcpthosts", "without this file every client may send to everywhere (an open relay)"),
        ("me", "qmail does not start without it"),
    ):
        if name not in wanted and not host.exists("{0}/{1}".format(folder, name)):
            raise ControlError(
                "{0}/{1} does not exist; {2}. Name it in files".format(folder, name, reason)
            )
    if "locals" in wanted or "virtualdomains" in wanted:
        # Where there are no locals, me is one.
        local, virtual = (
            texts.get(name, host.read("{0}/{1}".format(folder, name)))
            for name in ("locals", "virtualdomains")
        )
        if local is None:
            local = first_line(texts.get("me", host.read(folder + "/me") or ""))
        both = _in_both(entries(local), entries(virtual or ""))
        if both:
            raise ControlError(_both_text(both))


def _stale(host: Host, folder: str, text: str) -> bool:
    """Whether ``morercpthosts.cdb`` holds something else than its text."""
    data = host.read_bytes(folder + "/morercpthosts.cdb")
    if data is None:
        return True
    wanted = {line.lower().encode("utf-8", "surrogateescape") for line in entries(text)}
    try:
        return {key for key, _value in cdb.Cdb(data)} != wanted
    except cdb.CdbError:
        return True


def carry_out(host: Host, planned: Plan, activate: bool = True) -> list[str]:
    """Write the files, and have a running qmail-send take them over.

    Args:
        host: the host.
        planned: what is to be done.
        activate: False leaves the running qmail-send alone.

    Returns:
        list[str]: paths of the backups.

    Raises:
        ControlError: it cannot be told, or does not run with them; the files from before are back.
        file_write.FileWriteError: a file cannot be written.
    """
    command = planned.service.command(planned.action) if activate else []
    made = planned.home + _MORE_CDB
    compiled = host.read_bytes(made) if planned.compile else None
    backups = file_write.replace_all(
        [
            file_write.Replacement(file_write.place(host, item.path), item.after, item.mode)
            for item in planned.writes
        ],
        backup=True,
    )
    for path, _data in planned.removals:
        place = file_write.place(host, path)
        backups.append(file_write.backup(place))
        file_write.remove(place)
    problem = ""
    if planned.compile:
        answer = host.run([planned.home + "/bin/qmail-newmrh"])
        text = host.read_bytes(planned.home + "/control/morercpthosts") or b""
        if answer.rc != 0:
            problem = "qmail-newmrh: {0}".format(answer.stderr.strip())
        elif _stale(host, planned.home + "/control", text.decode("utf-8", "surrogateescape")):
            problem = (
                "qmail-newmrh ended well, and {0} is not what it was to become; is {1} where it "
                "was built for?".format(made, planned.home)
            )
    told = bool(command) and not problem
    if told:
        problem = _activate(host, planned, command)
    if problem:
        _take_back(host, planned)
        if planned.compile:
            _put(host, made, compiled)
        for again in planned.service.again(planned.action) if told else ():
            host.run(again, timeout=120.0)
        raise ControlError(
            "qmail does not take this over: {0}. The files from before are back".format(problem)
        )
    return [path for path in backups if path]


def _take_back(host: Host, planned: Plan) -> None:
    for item in planned.writes:
        _put(host, item.path, item.before)
    for path, data in planned.removals:
        _put(host, path, data)


def _put(host: Host, path: str, data: bytes | None) -> None:
    """Give a file the content that it had; None removes it."""
    if data is None:
        file_write.remove(file_write.place(host, path))
        return
    # 0644 for one that is gone: its copy beside it may say otherwise, and qmail has to read it.
    mode = None if host.exists(path) else 0o644
    file_write.replace(file_write.place(host, path), data, mode=mode)


def _activate(host: Host, planned: Plan, command: Sequence[str]) -> str:
    """Run a command, and see qmail-send run afterwards; returns what is wrong."""
    service = planned.service
    answer = host.run(command, timeout=120.0)
    if answer.rc != 0:
        return "{0}: {1}".format(" ".join(command), (answer.stderr or answer.stdout).strip())
    if planned.action == HUP:
        time.sleep(0.3)
        gone = service.pid not in processes(host, planned.home)
        return "qmail-send ended at its signal" if gone else ""
    # It ends when its deliveries are done, which may take long; what cannot start ends at once.
    end = time.monotonic() + 6
    while service.pid in processes(host, planned.home):
        if time.monotonic() > end:
            return ""
        time.sleep(0.2)
    end = time.monotonic() + 8
    before: list[int] = []
    while time.monotonic() < end:
        running = processes(host, planned.home)
        if running and running == before:
            return ""
        before = running
        time.sleep(1.2 if running else 0.2)
    return "qmail-send does not stay up"


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    diffs = []
    for item in planned.writes:
        shown = item.diff()
        name = os.path.basename(item.path)
        shown["before"] = masked(name, shown["before"])
        shown["after"] = masked(name, shown["after"])
        diffs.append(shown)
    for path, data in planned.removals:
        before = "" if path.endswith(".cdb") else data.decode("utf-8", "replace")
        diffs.append(
            {
                "before_header": path,
                "before": masked(os.path.basename(path), before) or "there\n",
                "after_header": path + " (absent)",
                "after": "",
            }
        )
    return {
        "changed": planned.changed,
        "action": planned.action,
        "command": " ".join(planned.service.command(planned.action)),
        "service": planned.service.kind,
        "files": planned.files,
        "diff": diffs,
    }
