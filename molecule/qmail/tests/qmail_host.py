# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: the server as a client outside meets it, and what its stand-ins recorded."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path

from sandbox.hosts import find
from scenario import on

HOST = "mail8"
NAME = "mail8.example.test"
PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
CONTROL = "/var/qmail/control"
RULES = "/etc/tcp.smtp"
#: Names of the role's tasks that may change something.
FILES, RELAY, ASSIGN = "Control files", "Who may relay", "Assignments"
NEW = "New assignments"
OWNER, POP = "Mailboxes are vpopmail's only", "POP before SMTP"


def session(sender: str, recipient: str) -> tuple[int, str]:
    """What the server says to RCPT of a client on the controller."""
    with smtplib.SMTP(str(find(HOST).ipv4), 25, timeout=20) as client:
        client.helo("client.example")
        assert client.mail(sender)[0] == 250
        code, text = client.rcpt(recipient)
        return code, text.decode()


def local_session(recipient: str, source: str = "127.0.0.1") -> str:
    """What the server says to RCPT of a client on the host, which has this address."""
    program = (
        "import smtplib; c = smtplib.SMTP(); c.source_address = ('{0}', 0); "
        "c.connect('127.0.0.1', 25); c.helo('x'); c.mail('a@b.example'); print(*c.rcpt('{1}'))"
    ).format(source, recipient)
    return on(HOST, f'python3 -c "{program}"').strip()


def calls() -> list[str]:
    """What the stand-ins were told, without the time."""
    text = on(HOST, "cat /var/qmail/standin-calls")
    return [line.partition(" ")[2] for line in text.splitlines()]


def in_force() -> dict:
    """What the running stand-in for qmail-send goes by."""
    return json.loads(on(HOST, "cat /var/qmail/standin-force"))


def files() -> str:
    """Checksums of all that the role may change."""
    return on(
        HOST,
        "sha256sum /var/qmail/control/* /var/qmail/users/* /etc/tcp.smtp* | grep -v '~$'; "
        "find /home/vpopmail/domains -printf '%p %u %g %m\\n' | sort",
    )
