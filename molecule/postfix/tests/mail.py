# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail from outside, what became of it, and runs of the role."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.hosts import find
from scenario import ROOT, Run, on, play

HERE = Path(__file__).parents[1]
HOSTS = ("mail6", "mail7", "mail8", "mail9")
LOG = "journalctl -q -o cat -t postfix/smtp -t postfix/smtpd -t postfix/submission/smtpd"


def role(hosts: str, *arguments: str, **variables: object) -> Run:
    """Run the role on hosts, with variables above all others."""
    return play(HERE / "converge.yml", f"--limit={hosts}", *arguments, extra=variables)


def look() -> Callable[[str, str], tuple[str, str]]:
    """Run the modules that only look; return a function of host and check.

    That returns the worst status of the check, and all that it has observed.
    """
    run = play(HERE / "look.yml")
    assert run.rc == 0, run.message

    def found(host: str, check: str) -> tuple[str, str]:
        items = [item for item in run.findings(host) if item["id"] == check]
        status = next(s for s in ("fail", "warn", "unknown", "skip", "ok") if s in str_of(items))
        return status, "\n".join(item["observed"] + "\n" + item["fix"] for item in items)

    def str_of(items: list[dict[str, Any]]) -> list[str]:
        return [item["status"] for item in items]

    return found


def world(*words: str) -> None:
    """Call a verb of the sandbox."""
    subprocess.run(
        [sys.executable, "-m", "sandbox", *words],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.DEVNULL,
    )


def address(host: str, family: int = 4) -> str:
    """The host's address."""
    return find(host).ipv4 if family == 4 else find(host).ipv6


def ask(host: str, recipient: str, family: int = 4, data: str = "") -> tuple[int, str]:
    """Offer a message from outside; return code and text of the answer to the recipient.

    With ``data`` it is sent, when the recipient is taken.
    """
    with smtplib.SMTP(address(host, family), 25, "outside.test", timeout=30) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        client.mail("stranger@outside.test")
        # As it is: the library's own way to say it makes another address of some.
        code, text = client.docmd(f"RCPT TO:<{recipient}>")
        if data and code == 250:
            code, text = client.data(data)
        return code, text.decode()


def until(question: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is true; return it."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(0.3)


def mailbox(host: str, user: str) -> str:
    """What a user on a host has got."""
    return on(host, f"cat /var/mail/{user} 2>/dev/null || true")


def arrives(host: str, user: str, text: str) -> str:
    """Wait for a message that has this text; return it, nothing if it never came."""
    until(lambda: text in mailbox(host, user))
    messages = mailbox(host, user).split("\nFrom ")
    return next((message for message in messages if text in message), "")
