# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps bans in force: units, and the program, whose work is tested with packets elsewhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_guard as guard

CLIENT = """
class CSocket:
    def __init__(self, path, timeout=-1):
        raise {0}("of the test")
"""


@pytest.fixture
def program(tmp_path):
    """Return a function: what a connection raises, arguments -> code, words and complaints."""

    def call(error, *arguments):
        package = tmp_path / "fail2ban" / "client"
        package.mkdir(parents=True)
        for folder in (package, package.parent):
            (folder / "__init__.py").write_text("")
        (package / "csocket.py").write_text(CLIENT.format(error))
        # No program of this machine is run.
        (tmp_path / "bin").mkdir()
        path = tmp_path / "mailhost-fail2ban"
        path.write_text(guard.texts(15)[guard.PROGRAM][0])
        done = subprocess.run(
            [sys.executable, str(path), *arguments],
            env={**os.environ, "PYTHONPATH": str(tmp_path), "PATH": str(tmp_path / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return call


def test_what_is_installed():
    texts = guard.texts(20)
    assert sorted(texts) == [
        "/etc/systemd/system/fail2ban.service.d/mailhost.conf",
        "/etc/systemd/system/mailhost-fail2ban-check.service",
        "/etc/systemd/system/mailhost-fail2ban-check.timer",
        "/usr/local/sbin/mailhost-fail2ban",
    ]
    assert texts[guard.PROGRAM][1] == 0o755
    assert {mode for path, (_text, mode) in texts.items() if path != guard.PROGRAM} == {0o644}
    assert all("{" not in text for path, (text, _mode) in texts.items() if path != guard.PROGRAM)
    timer = texts["/etc/systemd/system/" + guard.TIMER][0]
    assert "OnActiveSec=20\nOnUnitInactiveSec=20\n" in timer
    drop_in = texts[guard.DROP_IN][0]
    assert "After=docker.service mailhost-firewall.service\n" in drop_in
    # A purge that fails does not keep the service from starting.
    assert "ExecStartPre=-/usr/local/sbin/mailhost-fail2ban purge\n" in drop_in
    check = texts["/etc/systemd/system/" + guard.CHECK][0]
    assert "ExecStart=/usr/local/sbin/mailhost-fail2ban check\n" in check


def test_the_program_fits_the_oldest_python_of_managed_hosts():
    text, _mode = guard.texts(15)[guard.PROGRAM]
    assert text.startswith("#!/usr/bin/python3\n")
    # That of EL 8, which fail2ban runs on there.
    ast.parse(text, feature_version=(3, 6))
    text, _mode = guard.texts(15, "/usr/libexec/platform-python")[guard.PROGRAM]
    assert text.startswith("#!/usr/libexec/platform-python\n# Managed by")
    assert 'SOCKET = "{0}"\n'.format(guard.SOCKET) in text


@pytest.mark.parametrize("verb", ["check", "status", "purge"])
@pytest.mark.parametrize("error", ["FileNotFoundError", "ConnectionRefusedError"])
def test_no_server_is_no_trouble(program, verb, error):
    assert program(error, verb) == (0, "", "")


@pytest.mark.parametrize("verb", ["check", "status", "purge"])
def test_a_server_that_does_not_answer_is(program, verb):
    assert program("TimeoutError", verb) == (1, "<3>of the test\n", "")


@pytest.mark.parametrize("arguments", [[], ["look"], ["check", "/run/socket", "more"]])
def test_words_that_are_not_understood(program, arguments):
    code, words, complaint = program("FileNotFoundError", *arguments)
    assert (code, words) == (2, "")
    assert complaint == "usage: mailhost-fail2ban check|status|purge [SOCKET]\n"
