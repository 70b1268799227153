# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters: now and at every boot, in one file.

A minimum is not a setting. What the kernel chose, or the administrator wrote in another file, is
often more than enough, and writing the minimum over it would lower it at the next boot. So a
parameter gets a line only where nothing else reaches the minimum.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import container, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

PATH = "/etc/sysctl.d/60-mailhost.conf"

#: Where systemd-sysctl looks. Of files with the same name, the first directory's counts.
DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)

HEADER = "# Managed by postmaster.mailhost.sysctl_file; changes are lost.\n"

#: Parameters whose numbers are names of choices: 2 is not more than 1.
CHOICES = ("vm.overcommit_memory",)

_NAME = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_.:@-]+)+\Z")


class SysctlError(Exception):
    """A parameter cannot be set; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        change: of the file, None when there is none and none is needed.
        remove: whether the file goes, because nothing is left to stand in it.
        apply: parameters to set in the running kernel.
        running: what the running kernel has for each of these.
        warnings: sentences.
    """

    change: file_write.Change | None
    remove: bool
    apply: dict[str, str]
    running: dict[str, str]
    warnings: list[str]

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.apply) or self.remove or bool(self.change and self.change.changed)


def names_problem(parameters: Mapping[str, Any], option: str) -> str:
    """Say what is wrong with a dictionary of parameters; empty when nothing is."""
    for name, value in parameters.items():
        if not isinstance(name, str) or not _NAME.match(name) or ".." in name:
            return "{0}: {1!r} is no name; allowed: that of a kernel parameter, such as {2}".format(
                option, name, "net.core.somaxconn"
            )
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            return "{0}.{1} is {2!r}; allowed: a number or a text".format(option, name, value)
        if not str(value).strip() or not str(value).isprintable():
            return "{0}.{1} is {2!r}; allowed: a value in one line".format(option, name, value)
    return ""


def plan(
    host: Host,
    minimums: Mapping[str, int],
    values: Mapping[str, Any],
    path: str = PATH,
) -> Plan:
    """Compare the kernel and the files read at boot with what is wanted.

    Args:
        host: the host.
        minimums: parameter to its least value.
        values: parameter to its exact value; goes over a minimum of the same name.
        path: the file.

    Raises:
        SysctlError: an option cannot be used, or a parameter of ``values`` is not known here.
        file_write.FileWriteError: the file cannot be read.
    """
    problem = names_problem(minimums, "minimums") or names_problem(values, "values")
    if problem:
        raise SysctlError(problem)
    for name, value in minimums.items():
        if not str(value).strip().isdigit():
            raise SysctlError("minimums.{0} is {1!r}; allowed: a number".format(name, value))
    wanted = {_dotted(name): (_words(value), False) for name, value in minimums.items()}
    wanted.update({_dotted(name): (_words(value), True) for name, value in values.items()})
    ours, before, after = _files(host, path)
    inside = container.kind(host)
    lines, apply, running, warnings = {}, {}, {}, []
    for name, (value, exact) in sorted(wanted.items()):
        if inside and not name.startswith("net."):
            now = _running(host, name)
            if now is not None and not _enough(name, now, value, exact):
                warnings.append(
                    "{0} is {1}, wanted {2}: it belongs to the machine around this {3} container; "
                    "set it there".format(name, now, value, inside)
                )
            continue
        now = _running(host, name)
        if now is None:
            text = "this kernel has no parameter {0}".format(name)
            if exact:
                raise SysctlError(text + "; take it out of values, or load the module it is from")
            warnings.append(text)
            continue
        if not _enough(name, now, value, exact):
            apply[name], running[name] = value, now
        later = after.get(name)
        if later and not _enough(name, later[0], value, exact):
            warnings.append(
                "{0} is read after {1} at boot and sets {2} to {3}, wanted {4}; change it "
                "there".format(later[1], path, name, later[0], value)
            )
        # Another file reaches it, or the kernel by itself where no file says anything.
        elsewhere = later or before.get(name)
        if exact or name in ours or elsewhere or name in apply:
            reached = elsewhere and _enough(name, elsewhere[0], value, exact)
            if exact or not reached:
                lines[name] = value
    text = HEADER + "".join("{0} = {1}\n".format(*line) for line in sorted(lines.items()))
    change = None
    if lines or host.exists(path):
        change = file_write.plan(host, path, text.encode() if lines else b"", 0o644)
    return Plan(change, bool(change) and not lines, apply, running, warnings)


def at_boot(host: Host) -> dict[str, tuple[str, str]]:
    """Return what systemd-sysctl sets at boot: parameter to its value and the file that says it.

    The order is that of sysctl.d(5): by file name, whichever directory a file lies in; the last one
    counts.
    """
    ours, before, after = _files(host, PATH)
    return {**before, **{name: (value, PATH) for name, value in ours.items()}, **after}


def write(host: Host, planned: Plan) -> None:
    """Write the file and set the parameters in the running kernel.

    Raises:
        SysctlError: the kernel does not take a value.
        file_write.FileWriteError: the file cannot be written.
    """
    if planned.remove and planned.change:
        file_write.remove(file_write.place(host, planned.change.path))
    elif planned.change and planned.change.changed:
        path = file_write.place(host, planned.change.path)
        file_write.make_directory(path.rpartition("/")[0])
        planned.change._replace(path=path).write(backup=False)
    failed = []
    for name, value in planned.apply.items():
        reason = _set(host, name, value)
        if reason:
            failed.append("{0} = {1} ({2})".format(name, value, reason))
    if failed:
        raise SysctlError("the kernel does not take: {0}".format("; ".join(failed)))


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    diff = []
    if planned.change and planned.change.changed:
        shown = planned.change.diff()
        if planned.remove:
            shown["after_header"] = "{0} (absent)".format(planned.change.path)
        diff.append(shown)
    if planned.apply:
        diff.append(
            {
                "before_header": "running kernel",
                "before": _listing(planned.running),
                "after_header": "running kernel",
                "after": _listing(planned.apply),
            }
        )
    return {"changed": planned.changed, "applied": planned.apply, "diff": diff}


def _listing(parameters: Mapping[str, str]) -> str:
    return "".join("{0} = {1}\n".format(*item) for item in parameters.items())


def _words(value: Any) -> str:
    """Return a value with single blanks: the kernel prints tabs between numbers."""
    return " ".join(str(value).split())


def _dotted(name: str) -> str:
    """Return the form in which the first separator is a dot, as most people write it."""
    separator = re.search(r"[./]", name)
    if separator and separator.group() == "/":
        return name.translate(str.maketrans("./", "/."))
    return name


def _file(name: str) -> str:
    """Return the parameter's file. In the dotted form a slash stands for a dot in a name."""
    return "/proc/sys/" + name.translate(str.maketrans("./", "/."))


def _running(host: Host, name: str) -> str | None:
    text = host.read(_file(name))
    return None if text is None else _words(text)


def _enough(name: str, now: str, value: str, exact: bool) -> bool:
    if exact or name in CHOICES or not (now.isdigit() and value.isdigit()):
        return now == value
    return int(now) >= int(value)


def _set(host: Host, name: str, value: str) -> str:
    """Set a parameter in the running kernel; return why it could not be set, else ""."""
    try:
        with open(file_write.place(host, _file(name)), "w", encoding="ascii") as stream:
            stream.write(value + "\n")
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    now = _running(host, name)
    return "" if now == value else "it is {0} then".format(now)


def _files(
    host: Host, path: str
) -> tuple[dict[str, str], dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """Return what our file says, what files read before it say, and what files read after it say.

    The last two map a parameter to its value and the file that says it.
    """
    found: dict[str, str] = {}
    for directory in DIRECTORIES:
        for name in host.listdir(directory):
            if name.endswith(".conf"):
                found.setdefault(name, directory + "/" + name)
    own = path.rpartition("/")[2]
    found.pop(own, None)
    before: dict[str, tuple[str, str]] = {}
    after: dict[str, tuple[str, str]] = {}
    for name in sorted(found):
        target = before if name < own else after
        for key, value in parse(host.read(found[name]) or "").items():
            target[key] = (value, found[name])
    return parse(host.read(path) or ""), before, after


def parse(text: str) -> dict[str, str]:
    """Return the parameters in the text of a file of sysctl.d(5); patterns are passed by."""
    found = {}
    for line in text.splitlines():
        line = line.strip()
        name, equals, value = line.partition("=")
        if line[:1] in ("#", ";") or not equals:
            continue
        name = name.strip()
        if name.startswith("-"):  # the mark of a parameter that may be missing
            name = name[1:].strip()
        found[_dotted(name)] = _words(value)
    return found
