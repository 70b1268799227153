# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/checks.md from the catalogue of checks and the stacks' data.

Run it in the checkout, with the directory above ``ansible_collections`` on PYTHONPATH:
``PYTHONPATH=.build/collections .build/venv/bin/python tests/checks_doc.py``
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need
from doc_page import table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "checks.md"

INTRODUCTION = """\
# Checks

What `playbooks/preflight.yml`, the role `preflight` and the module
`postmaster.mailhost.preflight` look at. Nothing on the server is changed.
This page is made by `tests/checks_doc.py`.

A check is called by its id (`ports.public`) or with its whole subject (`ports`), in
`preflight_only`, `preflight_skip` and `preflight_accept`. What the report looks like is in
[report.md](report.md).
"""

STATUS = {
    finding.FAIL: "The stack cannot run like this, or its authors refuse it.",
    finding.UNKNOWN: "The check could not look. It never passes for `ok`.",
    finding.WARN: "It may work; look at it. Also a failure that was accepted by name.",
    finding.OK: "As it should be.",
    finding.SKIP: "Not looked at, because it was skipped by name or does not apply.",
}

TITLES = {"dns": "DNS", "smtp": "SMTP", "tls": "TLS", "qmail": "qmail"}

#: Subjects that other modules than preflight look at.
ELSEWHERE = {
    "dns": "Looked at from the controller, by the module `dns_audit`.",
    "health": "Looked at on a server with a stack that runs, by the module `stack_health`.",
    "delivery": "Looked at on a server that runs, by the module `delivery_log_info`.",
    "queue": "Looked at on a server that runs, by the module `mail_queue_info`.",
    "blocklist": "Looked at from the controller, by the module `blocklist_info`.",
    "smtp": "Looked at from the controller, or from any other machine, by the module `smtp_probe`.",
    "tls": "Looked at from the controller, by the module `tls_audit`.",
    "qmail": "Looked at on a server that runs qmail, by the module `qmail_info`.",
}


def render() -> str:
    """Return the page."""
    parts = [
        INTRODUCTION,
        *table(
            ("Status", "Meaning"),
            ((f"`{status}`", STATUS[status]) for status in finding.STATUSES),
        ),
    ]
    subject = ""
    for check in (*catalogue.CHECKS, *catalogue.dns_checks(), *catalogue.doctor_checks()):
        if check.subject != subject:
            subject = check.subject
            parts += ["", f"## {TITLES.get(subject, subject.capitalize())}"]
            if subject in ELSEWHERE:
                parts += ["", ELSEWHERE[subject]]
        text = (inspect.getdoc(check.look) or "").replace("``", "`")
        parts += ["", f"### `{check.id}`: {check.title}", "", text]
    parts += [
        "",
        "## What cannot be seen from the host",
        "",
        *table(("What", "Why", "Where to look instead"), catalogue.ELSEWHERE),
    ]
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
        ("Operating system, not tested by upstream", _systems(data, "untested")),
        ("Architecture", ", ".join(demands.architectures)),
        ("Processor", f"{demands.cpu_mhz} MHz (`preflight_cpu_mhz`)"),
        ("Features of an x86 processor", ", ".join(demands.cpu_flags)),
        (
            "Memory",
            f"{demands.memory_mib} MiB (`preflight_memory_mib`); {least:.0f} MiB still counts",
        ),
        ("Swap space", f"{demands.swap_mib} MiB (`preflight_swap_mib`)"),
        ("Disk space", f"{demands.disk_gib} GiB (`preflight_disk_gib`)"),
        ("Install path", f"`{demands.install_path}` (`preflight_install_path`)"),
        ("Commands", ", ".join(f"`{command}`" for command in demands.commands)),
        ("Docker", f"{demands.engine} or newer"),
        ("Compose", f"{demands.compose} or newer"),
        ("Kernel parameters", ", ".join(f"`{n}` {v}" for n, v in demands.sysctls.items())),
    ]
    rows = [(what, needed) for what, needed in rows if needed]
    ports = [
        (
            port.name,
            port.place,
            f"`{port.variable}`" if port.variable else "fixed",
            "world" if port.public else "the host itself",
        )
        for port in demands.ports
    ]
    sources = [f"- <{url}>" for url in dict.fromkeys(_sources(demands))]
    return [
        f"## What {data['title']} needs",
        "",
        *table(("What", "Needed"), rows),
        "",
        *table(("Port of", "Default", "Variable (`preflight_config`)", "Offered to"), ports),
        "",
        *_plan(data),
        *_outgoing(demands),
        "Sources:",
        "",
        *sources,
    ]


def _sources(demands: need.Need) -> Iterable[str]:
    checks = (*catalogue.CHECKS, *catalogue.dns_checks())
    return (demands.sources.get(check.source, check.source) for check in checks)


def _systems(data: dict, support: str) -> str:
    texts = []
    for entry in data["operating_systems"]:
        if entry["support"] == support:
            versions = entry.get("versions") or [entry["min_version"] + " or newer"]
            texts.append(f"{entry['id']} {', '.join(versions)}")
    return "; ".join(texts)


def _plan(data: dict) -> list[str]:
    """Return the table of what a plan adds to the memory."""
    sizes = data["memory_plan"]
    rows = [
        (part["title"], f"`{part['name']}`", "on" if part["default"] else "off", f"{part['mib']}")
        for part in sizes["components"]
    ]
    rows += [
        (title, f"`{name}`", "0", f"{sizes[size]} each")
        for title, name, size in (
            ("Users", "users", "user_mib"),
            ("ActiveSync devices", "activesync_devices", "activesync_device_mib"),
            ("IMAP connections at the same time", "imap_connections", "imap_connection_mib"),
        )
        if sizes[size]
    ]
    head = ("Memory for", "`preflight_plan`", "Default", "MiB")
    notes = []
    if sizes["user_mib"]:
        notes = [
            "Users are counted, or their devices and connections, whichever takes more. Devices count",
            f"up to the number of SOGo workers (`sogo_workers`, {sizes['sogo_workers']}).",
            "",
        ]
    return [*table(head, rows), "", *notes]


def _outgoing(demands: need.Need) -> list[str]:
    """Return the table of outgoing connections."""
    rows = []
    for row in demands.egress:
        place = f"{row['protocol']} {row['port']}" if row.get("port") else row["protocol"]
        rows.append((row["host"], place, row["level"], f"`egress.{row['group']}`"))
    if not rows:
        return []
    return [*table(("Connects to", "Port", "Need", "Check"), rows), ""]


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
