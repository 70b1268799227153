# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/checks.md from the catalogue of checks and the stacks' data.

Run it in the checkout, with the directory above ``ansible_collections`` on PYTHONPATH:
``PYTHONPATH=.build/collections .build/venv/bin/python tests/checks_doc.py``
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path

from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need

PAGE = Path(__file__).resolve().parents[1] / "docs" / "checks.md"

INTRODUCTION = """\
# Checks

What `playbooks/preflight.yml`, the role `preflight` and the module
`postmaster.mailhost.preflight` look at. Nothing on the server is changed.
This page is made by `tests/checks_doc.py`.

A check is called by its id (`ports.public`) or with its whole subject (`ports`), in
`preflight_only`, `preflight_skip` and `preflight_accept`.
"""

STATUS = {
    finding.FAIL: "The stack cannot run like this, or its authors refuse it.",
    finding.UNKNOWN: "The check could not look. It never passes for `ok`.",
    finding.WARN: "It may work; look at it. Also a failure that was accepted by name.",
    finding.OK: "As it should be.",
    finding.SKIP: "Not looked at, because it was skipped by name or does not apply.",
}


def render() -> str:
    """Return the page."""
    parts = [
        INTRODUCTION,
        *_table(
            ("Status", "Meaning"),
            ((f"`{status}`", STATUS[status]) for status in finding.STATUSES),
        ),
    ]
    for check in catalogue.CHECKS:
        text = (inspect.getdoc(check.look) or "").replace("``", "`")
        parts += ["", f"## `{check.id}`: {check.title}", "", text]
    for name in stack.names():
        parts += ["", *_stack(name)]
    return "\n".join(parts) + "\n"


def _stack(name: str) -> list[str]:
    """Return the section on what one stack needs."""
    data = stack.get(name)
    demands = need.from_stack(data)
    least = demands.memory_mib * (1 - demands.memory_tolerance)
    rows = [
        ("Operating system, supported", _systems(data, "supported")),
        ("Operating system, limited support", _systems(data, "limited")),
        ("Architecture", ", ".join(demands.architectures)),
        ("Processor", f"{demands.cpu_mhz} MHz (`preflight_cpu_mhz`)"),
        (
            "Memory",
            f"{demands.memory_mib} MiB (`preflight_memory_mib`); {least:.0f} MiB still counts",
        ),
        ("Swap space", f"{demands.swap_mib} MiB (`preflight_swap_mib`)"),
        ("Disk space", f"{demands.disk_gib} GiB (`preflight_disk_gib`)"),
        ("Install path", f"`{demands.install_path}` (`preflight_install_path`)"),
        ("Commands", ", ".join(f"`{command}`" for command in demands.commands)),
    ]
    ports = [
        (port.name, port.place, f"`{port.variable}`", "world" if port.public else "the host itself")
        for port in demands.ports
    ]
    sources = [f"- <{url}>" for url in dict.fromkeys(_sources(demands))]
    return [
        f"## What {data['title']} needs",
        "",
        *_table(("What", "Needed"), rows),
        "",
        *_table(("Port of", "Default", "Variable (`preflight_config`)", "Offered to"), ports),
        "",
        "Sources:",
        "",
        *sources,
    ]


def _sources(demands: need.Need) -> Iterable[str]:
    return (demands.sources.get(check.source, check.source) for check in catalogue.CHECKS)


def _systems(data: dict, support: str) -> str:
    texts = []
    for entry in data["operating_systems"]:
        if entry["support"] == support:
            versions = entry.get("versions") or [entry["min_version"] + " or newer"]
            texts.append(f"{entry['id']} {', '.join(versions)}")
    return "; ".join(texts) or "none"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
