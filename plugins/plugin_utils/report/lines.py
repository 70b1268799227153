# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as lines of text for a terminal or a log."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document as data

#: Wider lines are hard to read, however wide the terminal is.
MAX_WIDTH = 100
MIN_WIDTH = 40
#: So many findings are still shown one by one.
FEW = 20

_INDENT = " " * 9

#: Gives a text the colour of a status.
Paint = Callable[[str, str], str]


def plain(text: str, status: str) -> str:  # noqa: ARG001 - a Paint
    """Give no colour."""
    return text


def entry(item: words.Finding, width: int, paint: Paint = plain) -> list[str]:
    """Return the lines of one finding, the fix below it."""
    mark = data.MARKS[item.status]
    head = f"{mark:<8} {item.id}: {data.one_line(item.observed)}"
    required = data.one_line(item.required)
    if item.status == words.OK:
        # The demand is of interest beside a measure, not beside a list of all that is allowed.
        full = f"{head} (needed: {required})"
        lines = _wrap(full if required and len(full) <= width else head, "", width)
    else:
        lines = _wrap(head, "", width)
        if required:
            lines += _wrap(f"needed: {required}", _INDENT, width)
        if item.fix:
            lines += _wrap(f"fix:    {data.one_line(item.fix)}", _INDENT, width)
    return _painted(lines, mark, item.status, paint)


def groups(
    items: Iterable[words.Finding], status: str, column: int, width: int, paint: Paint = plain
) -> list[str]:
    """Return the names of findings of one status, a line for each subject.

    Args:
        items: findings of any status.
        status: those to name.
        column: width of the column for the subject.
        width: longest line, in characters.
        paint: gives a text the colour of a status.
    """
    subjects = data.by_subject(item for item in items if item.status == status)
    mark = data.MARKS[status]
    lines = []
    for subject, found in subjects.items():
        names = dict.fromkeys(item.id.partition(".")[2] or item.id for item in found)
        lines += _painted(
            textwrap.wrap(
                ", ".join(names),
                width,
                initial_indent=f"{mark:<8} {subject:<{column}}  ",
                subsequent_indent=_INDENT + " " * (column + 2),
                break_on_hyphens=False,
            ),
            mark,
            status,
            paint,
        )
    return lines


def totals(document: Mapping[str, Any], paint: Paint = plain) -> str:
    """Return the line that ends a report."""
    verdict = paint(data.verdict(document), words.OK if document["go"] else words.FAIL)
    return f"{data.counts(document)}: {verdict}"


def report(
    document: Mapping[str, Any],
    width: int = MAX_WIDTH,
    full: bool = False,
    paint: Paint = plain,
) -> list[str]:
    """Return a report, worst first.

    Args:
        document: see :func:`.document.build`.
        width: longest line, in characters.
        full: each finding by itself; otherwise those that ask for nothing are only named when
            there are many.
        paint: gives a text the colour of a status.
    """
    items = data.parse(document["findings"])
    about = f" ({document['stack']})" if document["stack"] else ""
    lines = _wrap(data.one_line(document["host"]) + about, "", width)
    if full or len(items) <= FEW:
        for item in items:
            lines += entry(item, width, paint)
    else:
        for item in items:
            if item.status in data.PROBLEMS:
                lines += entry(item, width, paint)
        quiet = [item for item in items if item.status not in data.PROBLEMS]
        column = max(map(len, data.by_subject(quiet)), default=0)
        lines += groups(quiet, words.OK, column, width, paint)
        lines += groups(quiet, words.SKIP, column, width, paint)
        lines += textwrap.wrap("Run again with -v to see what was measured in each.", width)
    return [*lines, totals(document, paint)]


def to_accept(document: Mapping[str, Any], accepted: Sequence[str]) -> list[str]:
    """Return what must be accepted so that no failure is left: that which is, and the failures."""
    failed = [entry["id"] for entry in document["findings"] if entry["status"] == words.FAIL]
    return list(dict.fromkeys([*accepted, *failed])) if failed else []


def way_on(
    document: Mapping[str, Any], variable: str, accepted: Sequence[str], width: int = MAX_WIDTH
) -> list[str]:
    """Return how to go on on purpose, with the line to paste; nothing when the answer is "go"."""
    if document["go"]:
        return []
    lines = []
    names = to_accept(document, accepted)
    if names:
        lines += textwrap.wrap(
            "To go on all the same, accept what failed by name; it is a warning from then on. "
            "In the inventory, for all of it:",
            width,
        )
        # A list in YAML's flow style may go on in the next line.
        lines += textwrap.wrap(
            line(variable, names),
            width,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )
    if document["fail_on"] == words.WARN:
        lines += textwrap.wrap(
            "Warnings and unknown answers stop here too, as fail_on is warn; with fail they do not.",
            width,
        )
    return lines


def line(variable: str, names: Sequence[str]) -> str:
    """Return the line of YAML that accepts findings."""
    return f"{variable}: [{', '.join(names)}]"


def files(paths: Mapping[str, str], width: int = MAX_WIDTH) -> list[str]:
    """Return where the files of a report are; nothing when there are none."""
    if not paths:
        return []
    names = ", ".join(os.path.basename(path) for path in paths.values())
    return textwrap.wrap(
        f"Files in {os.path.dirname(paths['index'])}: {names}",
        width,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrap(text: str, indent: str, width: int) -> list[str]:
    """Wrap a text; a continued line stands below the text's own words."""
    hanging = indent + " " * (8 if indent else 9)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False
    )


def _painted(lines: list[str], mark: str, status: str, paint: Paint) -> list[str]:
    """Give the mark that lines begin with its colour; after wrapping, as codes have no width."""
    first, *rest = lines
    return [paint(mark, status) + first[len(mark) :], *rest]
