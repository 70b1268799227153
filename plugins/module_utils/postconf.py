# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Postfix's ``main.cf`` and ``master.cf``, changed with Postfix's own programs.

What is wanted is put into a copy of the configuration with ``postconf``, and looked at there with
``postfix check``; only then the files themselves are replaced. Rules:
https://www.postfix.org/postconf.1.html, https://www.postfix.org/postconf.5.html,
https://www.postfix.org/master.5.html.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
import tempfile
import time
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

#: Parameters that a running Postfix takes over only when it is stopped and started: the first two
#: say so in postconf(5); the others are what master(8) opens or becomes when it starts.
RESTART = frozenset(
    (
        "inet_interfaces",
        "inet_protocols",
        "daemon_directory",
        "data_directory",
        "mail_owner",
        "process_id_directory",
        "queue_directory",
        "setgid_group",
    )
)

#: Types of a service, from master(5).
TYPES = ("inet", "unix", "fifo", "pass", "unix-dgram")

#: Columns of master.cf between the type and the command, in order.
FIELDS = ("private", "unprivileged", "chroot", "wakeup", "process_limit")

# What a copy must hold for ``postconf`` and ``postfix check``; lookup tables may be large.
_COPIED = ("main.cf", "master.cf", "dynamicmaps.cf", "postfix-files")
_COPIED_DIRECTORIES = ("dynamicmaps.cf.d", "postfix-files.d")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SERVICE = re.compile(r"[^\s#/{}]+")

# A stop waits for deliveries that are under way.
_TIMEOUT = 120.0


class PostconfError(Exception):
    """Postfix cannot be configured like this; the text is a sentence."""


class Service(NamedTuple):
    """One entry of master.cf.

    Attributes:
        name: its first column: a port, an address and a port, or the name of a socket.
        type: one of :data:`TYPES`.
        fields: the columns of :data:`FIELDS`, as they are written there.
        command: the program with its arguments but ``-o``.
        options: parameter to value, of its ``-o`` arguments.
    """

    name: str
    type: str
    fields: tuple[str, ...]
    command: str
    options: Mapping[str, str]

    @property
    def key(self) -> str:
        """Its name for ``postconf``, such as ``submission/inet``."""
        return "{0}/{1}".format(self.name, self.type)

    def line(self) -> str:
        """Return the entry as one line of master.cf."""
        words = [self.name, self.type, *self.fields, self.command]
        for name, value in self.options.items():
            text = "{0}={1}".format(name, value)
            # Braces keep blanks together, since Postfix 3.0.
            words += ["-o", "{ " + text + " }" if re.search(r"\s", text) else text]
        return " ".join(words)


def value_text(name: str, value: Any) -> str:
    """Return a parameter's value as it stands in main.cf, on one line.

    Args:
        name: the parameter, for the error.
        value: text, number, boolean (``yes`` and ``no``) or a list of texts and numbers.

    Raises:
        PostconfError: it is of another kind.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, (list, tuple)) and all(
        isinstance(item, (str, int)) and not isinstance(item, bool) for item in value
    ):
        return ", ".join(" ".join(str(item).split()) for item in value)
    raise PostconfError(
        "{0}: {1!r} is no value of a parameter; allowed: text, a number, true and false, or a list "
        "of texts".format(name, value)
    )


def same_value(present: str, wanted: str, is_list: bool = False) -> bool:
    """Whether two values mean the same to Postfix.

    Args:
        present: as ``postconf`` shows it.
        wanted: as :func:`value_text` makes it.
        is_list: whether it was given as a list, whose separators do not matter.
    """
    if is_list:
        return re.split(r"[\s,]+", present.strip(", ")) == re.split(r"[\s,]+", wanted.strip(", "))
    return " ".join(present.split()) == wanted


def parse_values(text: str) -> dict[str, str]:
    """Return name to value of lines ``name = value``, as ``postconf`` prints them."""
    found = {}
    for line in text.splitlines():
        name, mark, value = line.partition("=")
        if mark:
            found[name.strip()] = value.strip()
    return found


def parse_services(fields: str, options: str) -> dict[str, Service]:
    """Return the services of master.cf by their key.

    Args:
        fields: output of ``postconf -F``.
        options: output of ``postconf -P``.
    """
    columns: dict[str, dict[str, str]] = {}
    for path, value in parse_values(fields).items():
        key, _slash, column = path.rpartition("/")
        columns.setdefault(key, {})[column] = value
    given: dict[str, dict[str, str]] = {}
    for path, value in parse_values(options).items():
        key, _slash, name = path.rpartition("/")
        given.setdefault(key, {})[name] = value
    services = {}
    for key, column in columns.items():
        services[key] = Service(
            column["service"],
            column["type"],
            tuple(column[field] for field in FIELDS),
            _without_options(column["command"]),
            given.get(key, {}),
        )
    return services


def _without_options(command: str) -> str:
    return re.sub(r"\s+-o\s+(\{[^}]*\}|\S+)", "", " " + command).strip()


def wanted_service(entry: Mapping[str, Any], present: Service | None) -> Service:
    """Return a service as a task wants it.

    Args:
        entry: keys ``service``, ``type``, ``command``, ``options`` and those of :data:`FIELDS`;
            columns that are None stay as they are, or become Postfix's default.
        present: the service as it is.

    Raises:
        PostconfError: a value is not allowed; the text names the service.
    """
    name, kind = entry["service"], entry["type"]
    if not _SERVICE.fullmatch(name):
        raise PostconfError(
            "services: service is {0!r}; allowed: a name or a port, or an address and a port "
            "with a colon between them, without blanks".format(name)
        )
    where = "services: {0}/{1}".format(name, kind)
    before = present.fields if present else ("n" if kind == "inet" else "-", "-", "-", "-", "-")
    columns = []
    for field, old in zip(FIELDS, before):
        value = entry.get(field)
        text = old if value is None else value_text(field, value)
        if field in ("private", "unprivileged", "chroot"):
            text = {"yes": "y", "no": "n"}.get(text, text)
            if text not in ("y", "n", "-"):
                raise PostconfError(
                    "{0}: {1} is {2!r}; allowed: true, false, or '-' for Postfix's default".format(
                        where, field, text
                    )
                )
        elif not re.fullmatch(r"-|\d+" + (r"\??" if field == "wakeup" else ""), text):
            raise PostconfError(
                "{0}: {1} is {2!r}; allowed: a number, or '-' for Postfix's default".format(
                    where, field, text
                )
            )
        columns.append(text)
    if kind == "inet" and columns[0] == "y":
        raise PostconfError("{0}: private is true; a service of type inet is public".format(where))
    command = " ".join((entry.get("command") or (present.command if present else "")).split())
    if not command or re.search(r"(^|\s)-o(\s|$)", command):
        raise PostconfError(
            "{0}: command is {1!r}; allowed: a program of Postfix with its arguments, "
            "parameters (-o) belong into options".format(where, command)
        )
    if entry.get("options") is None and present:
        return Service(name, kind, tuple(columns), command, present.options)
    options = {}
    for parameter, value in (entry.get("options") or {}).items():
        _need_name("{0}: options".format(where), parameter)
        options[parameter] = value_text("{0}: {1}".format(where, parameter), value)
        if "}" in options[parameter] and re.search(r"\s", options[parameter]):
            raise PostconfError(
                "{0}: {1} holds blanks and a brace, which master.cf cannot hold; set a parameter of "
                "your own in main.cf and refer to it".format(where, parameter)
            )
    return Service(name, kind, tuple(columns), command, options)


def has_options(service: Service, options: Mapping[str, Any] | None) -> bool:
    """Whether a service of master.cf has all of these parameters with these values.

    Args:
        service: the entry.
        options: parameter to value, see :func:`value_text`; None or empty is always true.
    """
    return all(
        name in service.options and same_value(service.options[name], value_text(name, value))
        for name, value in (options or {}).items()
    )


def matching(absent_if: Sequence[Mapping[str, Any]], explicit: Mapping[str, str]) -> list[str]:
    """Return the parameters that go because one of them has a certain value.

    Args:
        absent_if: keys ``parameter``, ``matches`` (regular expression for its whole value, in which
            blanks are single ones) and ``also`` (names of those that go with it, or None).
        explicit: what stands in main.cf, name to value.

    Raises:
        PostconfError: an expression cannot be used.
    """
    names: list[str] = []
    for entry in absent_if:
        try:
            pattern = re.compile(entry["matches"])
        except re.error as error:
            raise PostconfError(
                "absent_if: {0}: matches is {1!r}; allowed: a regular expression ({2})".format(
                    entry["parameter"], entry["matches"], error
                )
            ) from None
        value = explicit.get(entry["parameter"])
        if value is not None and pattern.fullmatch(" ".join(value.split())):
            names += [entry["parameter"], *(entry["also"] or ())]
    return names


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and the work come from it alone.

    Attributes:
        directory: the configuration.
        files: main.cf and master.cf as they are and are to be.
        parameters: names of main.cf's parameters that change.
        services: keys of master.cf's services that change.
        running: whether this Postfix runs.
    """

    directory: str
    files: tuple[file_write.Change, ...]
    parameters: tuple[str, ...]
    services: tuple[str, ...]
    running: bool

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return any(item.changed for item in self.files)

    @property
    def action(self) -> str:
        """What a running Postfix needs to take it over: ``none``, ``reload`` or ``restart``."""
        if not self.changed or not self.running:
            return "none"
        return "restart" if RESTART.intersection(self.parameters) else "reload"


def plan(
    host: Host,
    directory: str,
    parameters: Mapping[str, Any],
    absent: Sequence[str],
    services: Sequence[Mapping[str, Any]],
    if_known: Sequence[str] = (),
    absent_if: Sequence[Mapping[str, Any]] = (),
) -> Plan:
    """Compare a configuration with what is wanted, and try that out on a copy.

    Args:
        host: the host.
        directory: where ``main.cf`` and ``master.cf`` are.
        parameters: name to value, see :func:`value_text`.
        absent: parameters that are to have Postfix's default.
        services: entries of master.cf, see :func:`wanted_service`; with ``state: absent`` they go,
            where ``options`` are given only if they have these.
        if_known: parameters that are passed by where this release of Postfix does not have them.
        absent_if: what goes only if it is as described, see :func:`matching`.

    Raises:
        PostconfError: Postfix is not there, or refuses it; the text says which name is wrong.
        file_write.FileWriteError: a file cannot be read.
    """
    wanted = {name: value_text(name, value) for name, value in parameters.items()}
    maybe = [name for entry in absent_if for name in [entry["parameter"], *(entry["also"] or ())]]
    for name in [*wanted, *absent, *maybe]:
        _need_name("parameters", name)
    for option, names in (("absent", absent), ("absent_if", maybe)):
        both = sorted(set(wanted) & set(names))
        if both:
            raise PostconfError(
                "{0}: named in parameters and in {1}".format(", ".join(both), option)
            )
    matching(absent_if, {})
    if not host.which("postconf"):
        raise PostconfError("Postfix is not installed: there is no program postconf")
    for name in ("main.cf", "master.cf"):
        if host.read_bytes("{0}/{1}".format(directory, name)) is None:
            raise PostconfError(
                "config_directory is {0}, which holds no {1}".format(directory, name)
            )
    with _copy(host, directory) as copy:
        if set(if_known) & set(wanted):
            known = parse_values(_postconf(host, copy, "-d"))
            for name in set(if_known) - set(known):
                wanted.pop(name, None)
        before = _unused(host, copy)
        explicit = parse_values(_postconf(host, copy, "-n"))
        gone = [name for name in [*absent, *matching(absent_if, explicit)] if name in explicit]
        moved = _set_parameters(host, copy, wanted, explicit, sorted(set(gone)), parameters)
        altered = _set_services(host, copy, services)
        if moved or altered:
            _refuse_unused(host, copy, _unused(host, copy) - before)
            _check(host, copy)
        files = tuple(
            file_write.plan(
                host,
                host.realpath("{0}/{1}".format(directory, name)),
                host.read_bytes("{0}/{1}".format(copy, name)) or b"",
                (host.stat("{0}/{1}".format(directory, name)) or os.stat(copy)).st_mode & 0o7777,
            )
            for name in ("main.cf", "master.cf")
        )
    running = host.run(["postfix", "-c", directory, "status"]).rc == 0
    return Plan(directory, files, tuple(moved), tuple(altered), running)


def carry_out(host: Host, planned: Plan, activate: bool = True) -> list[str]:
    """Write the files, and have a running Postfix take them over.

    Args:
        host: the host.
        planned: what is to be done.
        activate: False leaves the running Postfix alone.

    Returns:
        list[str]: paths of the backups.

    Raises:
        PostconfError: Postfix does not run with it; the files from before are back then, and Postfix
            runs with them.
        file_write.FileWriteError: a file cannot be written.
    """
    backups = [item.write(backup=True) for item in planned.files if item.changed]
    if activate and planned.action != "none":
        problem = _activate(host, planned.directory, planned.action)
        if problem:
            for item in planned.files:
                if item.changed and item.before is not None:
                    file_write.replace(item.path, item.before)
            again = _activate(host, planned.directory, "restart")
            raise PostconfError(
                "Postfix does not run with this: {0}. The files from before are back, and Postfix "
                "{1}".format(
                    problem, "does not run with them either: " + again if again else "runs again"
                )
            )
    return [path for path in backups if path]


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    return {
        "changed": planned.changed,
        "action": planned.action,
        "parameters": list(planned.parameters),
        "services": list(planned.services),
        "diff": [_masked(item.diff()) for item in planned.files if item.changed],
    }


def _masked(diff: Mapping[str, str]) -> dict[str, str]:
    # Passwords belong into tables; these two kinds hold them in the file itself, under any name that
    # smtp_sasl_password_maps may refer to. Lines that begin with a blank continue the one before, also
    # behind comments and empty lines.
    table = re.compile(
        r"(^[^\n]*?\b(?:static|inline):)[^\n]*(?:(?:\n(?:#[^\n]*)?)*\n[ \t][^\n]*)*", re.MULTILINE
    )
    return {name: table.sub(r"\1********", text) for name, text in diff.items()}


def _need_name(where: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise PostconfError(
            "{0}: {1!r} is no name of a parameter; allowed: letters, digits and _".format(
                where, name
            )
        )


@contextlib.contextmanager
def _copy(host: Host, directory: str) -> Iterator[str]:
    # Below the directory itself nothing may appear, since check mode uses this as well.
    copy = tempfile.mkdtemp(prefix="mailhost-postfix-")
    try:
        for name in _COPIED:
            data = host.read_bytes("{0}/{1}".format(directory, name))
            if data is not None:
                with open(os.path.join(copy, name), "wb") as stream:
                    stream.write(data)
        for name in _COPIED_DIRECTORIES:
            source = "{0}/{1}".format(directory, name)
            if host.isdir(source):
                shutil.copytree(source, os.path.join(copy, name))
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _postconf(host: Host, directory: str, *words: str) -> str:
    answer = host.run(["postconf", "-c", directory, *words])
    if answer.rc != 0:
        # Here it is a copy.
        said = _reason(answer.stderr).replace(directory + "/", "")
        raise PostconfError("postconf refuses it: {0}".format(said))
    return answer.stdout


def _reason(stderr: str) -> str:
    lines = [line for line in stderr.strip().splitlines() if "fatal:" in line or "error:" in line]
    lines = lines or stderr.strip().splitlines()
    return re.sub(r"^\S+: (fatal|error): ", "", lines[-1]) if lines else "without a reason"


def _set_parameters(
    host: Host,
    copy: str,
    wanted: Mapping[str, str],
    explicit: Mapping[str, str],
    gone: list[str],
    given: Mapping[str, Any],
) -> list[str]:
    # Names that Postfix does not know are no error here: it may know them once they are set.
    present = parse_values(_postconf(host, copy, *wanted)) if wanted else {}
    present.update(explicit)
    edits = [
        "{0} = {1}".format(name, value)
        for name, value in wanted.items()
        if name not in present
        or not same_value(present[name], value, isinstance(given[name], (list, tuple)))
    ]
    if edits:
        _postconf(host, copy, "-e", *edits)
    if gone:
        _postconf(host, copy, "-X", *gone)
    return sorted([edit.partition(" = ")[0] for edit in edits] + gone)


def _set_services(host: Host, copy: str, services: Sequence[Mapping[str, Any]]) -> list[str]:
    if not services:
        return []
    present = parse_services(_postconf(host, copy, "-F"), _postconf(host, copy, "-P"))
    daemons = parse_values(_postconf(host, copy, "-x", "daemon_directory"))["daemon_directory"]
    seen: set[str] = set()
    changed = []
    for entry in services:
        key = "{0}/{1}".format(entry["service"], entry["type"])
        if key in seen:
            raise PostconfError("services: {0} is named twice".format(key))
        seen.add(key)
        if entry.get("state") == "absent":
            if key in present and has_options(present[key], entry.get("options")):
                _postconf(host, copy, "-M", "-X", key)
                changed.append(key)
            continue
        service = wanted_service(entry, present.get(key))
        program = service.command.split()[0]
        if not host.exists("{0}/{1}".format(daemons, program)):
            raise PostconfError(
                "services: {0}: command is {1!r}; allowed: the programs in {2}: {3}".format(
                    key, program, daemons, ", ".join(sorted(_daemons(host, daemons)))
                )
            )
        if service != present.get(key):
            _postconf(host, copy, "-M", "-e", "{0}={1}".format(key, service.line()))
            changed.append(key)
    return changed


def _daemons(host: Host, directory: str) -> list[str]:
    return [
        name
        for name in host.listdir(directory)
        if "." not in name and not name.endswith("-script") and name not in ("master", "main.cf")
    ]


def _unused(host: Host, copy: str) -> set[tuple[str, str]]:
    """Return file and parameter of the settings that Postfix itself calls unused."""
    found = set()
    for words in (("-n",), ("-M",)):
        stderr = host.run(["postconf", "-c", copy, *words]).stderr
        for file, name in re.findall(
            r"/(main\.cf|master\.cf): unused parameter: ([^=\s]+)", stderr
        ):
            found.add((file, name))
    return found


def _refuse_unused(host: Host, copy: str, unused: set[tuple[str, str]]) -> None:
    for file, name in sorted(unused):
        known = parse_values(_postconf(host, copy, "-d"))
        near = difflib.get_close_matches(name, known, n=1)
        raise PostconfError(
            "{0}: Postfix {1} knows no such parameter, and nothing in {2} refers to it{3}".format(
                name,
                known.get("mail_version", ""),
                file,
                "; near to it is {0}".format(near[0]) if near else "",
            )
        )


def _check(host: Host, copy: str) -> None:
    """Have ``postfix check`` look at a copy, with an empty queue of its own.

    It makes directories that are missing, moves messages to where ``hash_queue_depth`` wants them and
    removes temporary files, which must not happen to mail that waits.
    """
    names = ("queue_directory", "data_directory", "mail_owner")
    values = parse_values(_postconf(host, copy, "-x", *names))
    for name in names[:2]:
        if not values[name].startswith("/"):
            raise PostconfError(
                "{0} is {1!r}; allowed: an absolute path".format(name, values[name])
            )
    trial = tempfile.mkdtemp(prefix="mailhost-postfix-")
    try:
        config, queue, data = (os.path.join(trial, name) for name in ("config", "queue", "data"))
        shutil.copytree(copy, config)
        for path, mode in ((queue, 0o755), (data, 0o700)):
            os.mkdir(path)
            os.chmod(path, mode)
        # Postfix itself says that there is no such user.
        with contextlib.suppress(LookupError):
            shutil.chown(data, values["mail_owner"])
        own = ("queue_directory = " + queue, "data_directory = " + data)
        _postconf(host, config, "-e", *own)
        began = time.time()
        answer = host.run(["postfix", "-c", config, "check"], timeout=_TIMEOUT)
        if answer.rc != 0:
            # Older releases tell the log only, unless a terminal is there to be told.
            said = _reason(answer.stderr.strip() or _fatal(host, began))
            said = said.replace(queue, values["queue_directory"])
            said = said.replace(data, values["data_directory"]).replace(config + "/", "")
            raise PostconfError("Postfix refuses it: {0}".format(said))
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def _activate(host: Host, directory: str, action: str) -> str:
    """Have Postfix take over its files; returns why it does not run with them, or nothing."""
    began = time.time()
    if action == "reload":
        answer = host.run(["postfix", "-c", directory, "reload"], timeout=_TIMEOUT)
    elif directory == "/etc/postfix" and host.isdir("/run/systemd/system"):
        answer = host.run(["systemctl", "restart", "postfix.service"], timeout=_TIMEOUT)
    else:
        host.run(["postfix", "-c", directory, "stop"], timeout=_TIMEOUT)
        answer = host.run(["postfix", "-c", directory, "start"], timeout=_TIMEOUT)
    # The unit of some systems says nothing of the daemon, and one that is given wrong values ends
    # when it reads them.
    for _look in range(4):
        time.sleep(0.3)
        if host.run(["postfix", "-c", directory, "status"]).rc != 0:
            return _fatal(host, began) or _reason(answer.stderr)
    return "" if answer.rc == 0 else _reason(answer.stderr)


def _fatal(host: Host, began: float) -> str:
    """Return the last reason that Postfix's programs have logged since then, or nothing."""
    since = "@{0}".format(int(began))
    host.run(["journalctl", "--sync"])
    programs = [word for name in ("postfix", "postfix/master") for word in ("-t", name)]
    answer = host.run(["journalctl", "-q", "-o", "cat", "--since", since, *programs])
    lines = [line for line in answer.stdout.splitlines() if "fatal:" in line]
    return re.sub(r"^.*fatal: ", "", lines[-1]) if lines else ""
