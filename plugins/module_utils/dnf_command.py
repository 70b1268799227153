# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages by the command dnf, for hosts whose Ansible Python has no bindings to it.

On EL 8 these exist for the system's own Python 3.6 alone, which is too old for Ansible's modules:
https://docs.ansible.com/ansible-core/2.19/reference_appendices/release_and_maintenance.html.
What has changed is told by the list of packages before and after, which needs no reading of what dnf
prints; see dnf(8).
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, Result

PRESENT = "present"
LATEST = "latest"
ABSENT = "absent"
STATES = (PRESENT, LATEST, ABSENT)

#: Seconds that downloads may take; dnf has limits of its own for servers that do not answer.
TIMEOUT = 1800.0
_NAMES = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\\n"
#: What dnf says when ``--assumeno`` has kept it from something.
_ABORTED = "Operation aborted."


class DnfError(Exception):
    """Packages cannot be changed; the text says what dnf said."""


class Wanted(NamedTuple):
    """What is asked for.

    Attributes:
        names: packages, as dnf takes them: also with a version or a pattern.
        state: one of :data:`STATES`.
        refresh: ask the repositories anew, whatever is remembered of them.
        weak: install what packages only recommend as well.
    """

    names: Sequence[str]
    state: str
    refresh: bool = False
    weak: bool = True


class Outcome(NamedTuple):
    """What became of it: packages with their versions, sorted, before and after."""

    changed: bool
    added: list[str]
    removed: list[str]


def has_bindings() -> bool:
    """Tell whether the Python that runs this can use Ansible's own module for DNF."""
    import importlib.util

    return importlib.util.find_spec("dnf") is not None


def missing(host: Host, names: Sequence[str]) -> list[str]:
    """Return those that no installed package is, nor provides.

    Args:
        host: the host.
        names: names, with or without a version or a pattern.
    """
    found = []
    for name in names:
        # A pattern is nothing that a package provides, and "rpm -qa" knows nothing else.
        if not host.run(["rpm", "-qa", name]).stdout.strip() and (
            host.run(["rpm", "-q", "--whatprovides", name]).rc != 0
        ):
            found.append(name)
    return found


def command(wanted: Wanted, names: Sequence[str], check: bool) -> list[str]:
    """Return the words that have dnf do it, or only say whether there is something to do.

    Args:
        wanted: what is asked for.
        names: those of its names that are to be changed.
        check: only ask.
    """
    words = ["dnf", "--quiet", "--assumeno" if check else "--assumeyes"]
    if wanted.refresh:
        words.append("--refresh")
    if not wanted.weak:
        words.append("--setopt=install_weak_deps=False")
    if wanted.state == LATEST:
        words.append("--best")
    # Nothing that others still may want is removed along, as Ansible's own module has it.
    if wanted.state == ABSENT:
        return [*words, "--noautoremove", "remove", *names]
    return [*words, "install", *names]


def bring_about(host: Host, wanted: Wanted, check: bool = False) -> Outcome:
    """Install, upgrade or remove packages; with ``check`` only tell whether that would happen.

    Returns:
        Outcome: with ``check``, ``added`` and ``removed`` are the names that were asked for.

    Raises:
        DnfError: dnf refused, or is not there.
    """
    absent = missing(host, wanted.names)
    if wanted.state == PRESENT:
        names = absent
    elif wanted.state == ABSENT:
        names = [name for name in wanted.names if name not in absent]
    else:
        names = list(wanted.names)
    if not names:
        return Outcome(False, [], [])
    if check:
        changed = bool(absent) if wanted.state == PRESENT else True
        if wanted.state == LATEST:
            answer = host.run(command(wanted, names, True), timeout=TIMEOUT)
            changed = _ABORTED in answer.stdout + answer.stderr
            if not changed and answer.rc != 0:
                raise DnfError(_reason(answer))
        if not changed:
            return Outcome(False, [], [])
        gone = wanted.state == ABSENT
        return Outcome(True, [] if gone else names, names if gone else [])
    before = _installed(host)
    answer = host.run(command(wanted, names, False), timeout=TIMEOUT)
    if answer.rc != 0:
        raise DnfError(_reason(answer))
    after = _installed(host)
    added = sorted(_lines(after, before))
    removed = sorted(_lines(before, after))
    return Outcome(bool(added or removed), added, removed)


def _installed(host: Host) -> dict[str, None]:
    """Return the installed packages with their versions, one a line."""
    answer = host.run(["rpm", "-qa", "--qf", _NAMES], timeout=TIMEOUT)
    if answer.rc != 0:
        raise DnfError(_reason(answer))
    return dict.fromkeys(answer.stdout.split("\n"))


def _lines(these: Mapping[str, None], others: Mapping[str, None]) -> list[str]:
    return [" ".join(line.split("\t")) for line in these if line and line not in others]


def _reason(answer: Result) -> str:
    """Return the lines that say why: the errors, or whatever was printed last."""
    lines = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("Error:", "- ", "Problem"))]
    return "dnf failed (exit {0}): {1}".format(
        answer.rc, " ".join(errors[:6] or lines[-3:]) or "it printed nothing"
    )
