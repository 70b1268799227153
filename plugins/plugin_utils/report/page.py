# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as pages for a browser: one a host, and an index. Each stands alone in its file."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document as data

_TEMPLATES = Path(__file__).resolve().parent / "templates"
#: A report that is so much older than the newest one was hardly made in the same run.
_OLD = datetime.timedelta(hours=12)


def _environment() -> jinja2.Environment:
    """Return what fills the templates; whatever it puts into a page is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        line=data.one_line,
        commands=data.commands,
        is_link=data.is_link,
        when=lambda time: data.moment(time).strftime("%Y-%m-%d %H:%M UTC"),
    )
    environment.globals.update(marks=data.MARKS, counted=data.COUNTED, verdict=data.verdict)
    return environment


def host(document: Mapping[str, Any], index: str = "") -> str:
    """Return the page of one host.

    Args:
        document: see :func:`.document.build`.
        index: where the index is, seen from the page; empty for none.
    """
    items = data.parse(document["findings"])
    return (
        _environment()
        .get_template("host.html.j2")
        .render(
            report=document,
            problems=[item for item in items if item.status in data.PROBLEMS],
            sections=[
                (title, data.by_subject(item for item in items if item.status == status))
                for title, status in (("In order", words.OK), ("Not looked at", words.SKIP))
            ],
            index=index,
        )
    )


def index(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the page with all hosts, worst first.

    Args:
        documents: name of each host's page and its report.
    """
    rows = sorted(documents, key=lambda row: _badness(row[1]))
    times = [data.moment(document["time"]) for _page, document in rows]
    newest = max(times, default=None)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            rows=[
                (quote(page), document, newest is not None and newest - time > _OLD)
                for (page, document), time in zip(rows, times, strict=True)
            ],
        )
    )


def _badness(document: Mapping[str, Any]) -> tuple:
    """Return what hosts are sorted by: no go first, then most failures, unknowns, warnings."""
    counts = document["counts"]
    return (document["go"], *(-counts[status] for status in data.PROBLEMS), document["host"])
