# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document as data


def render(document: Mapping[str, Any]) -> str:
    """Return a report as Markdown: a table of what needs an eye, lists of the rest."""
    items = data.parse(document["findings"])
    about = f", stack {text(document['stack'])}" if document["stack"] else ""
    made_by = f"postmaster.mailhost {text(document['collection_version'])}"
    parts = [
        f"# {text(document['host'])}: {data.verdict(document)}",
        "",
        f"{data.counts(document)}.",
        "",
        f"Looked at {document['time']}{about}, with {made_by}.",
    ]
    problems = [item for item in items if item.status in data.PROBLEMS]
    if problems:
        parts += [
            "",
            "## To look at",
            "",
            "| Status | Check | Observed | Needed | Fix |",
            "| --- | --- | --- | --- | --- |",
        ]
        parts += [
            f"| {data.MARKS[item.status]} | {_check(item)} | {text(item.observed)} "
            f"| {text(item.required)} | {_fix(item.fix)} |"
            for item in problems
        ]
    for title, status in (("In order", words.OK), ("Not looked at", words.SKIP)):
        subjects = data.by_subject(item for item in items if item.status == status)
        if subjects:
            parts += ["", f"## {title}"]
        for subject, found in subjects.items():
            parts += ["", f"### {text(subject)}", ""]
            parts += [f"- {_check(item)}: {text(item.observed)}" for item in found]
    return "\n".join(parts) + "\n"


def text(value: str) -> str:
    """Return a text so that Markdown shows it as it is, in one line."""
    return re.sub(r"([\\`*_\[\]<>|~&$#])", r"\\\1", data.one_line(value))


def code(value: str) -> str:
    """Return a text as code, also in a table, where a bar would end the cell."""
    value = data.one_line(value)
    longest = max(map(len, re.findall("`+", value)), default=0)
    fence = "`" * (longest + 1)
    blank = " " if "`" in value else ""
    return (fence + blank + value + blank + fence).replace("|", "\\|")


def _check(item: words.Finding) -> str:
    """Return the id of a check, as a link to the rule where there is one."""
    if not data.is_link(item.source):
        return code(item.id)
    return f"[{code(item.id)}](<{item.source.replace('|', '%7C')}>)"


def _fix(fix: str) -> str:
    """Return a fix with its commands as code."""
    return "".join(code(part) if command else _spaced(part) for part, command in data.commands(fix))


def _spaced(part: str) -> str:
    """Return a part of a sentence with the blanks around it, which join it to the next."""
    body = text(part)
    before = " " if part[:1].isspace() else ""
    after = " " if part[-1:].isspace() and body else ""
    return before + body + after
