# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the server's is one of the program's."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess

import playbook_server
import pytest

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ word }}"
    - ansible.builtin.assert:
        that: word != 'bad'
"""


@pytest.fixture
def server():
    """A server with an environment of its own, but for what every program needs."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH")}
    server = playbook_server.Server({**kept, "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"})
    yield server
    server.end()


@pytest.fixture
def playbook(tmp_path):
    path = tmp_path / "playbook.yml"
    path.write_text(PLAYBOOK)
    return str(path)


@pytest.mark.parametrize(
    "words", [["-e", "word=good"], ["-e", "word=bad"], ["--no-such-option"], ["--version"]]
)
def test_it_says_what_the_program_says(server, playbook, words):
    words = ["-i", "localhost,", playbook, *words]
    wanted = subprocess.run(
        [playbook_server.PROGRAM, *words],
        env=server.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = server.run(words)
    assert (found.returncode, found.stdout, found.stderr) == (
        wanted.returncode,
        wanted.stdout,
        wanted.stderr,
    )


def test_runs_at_the_same_time_are_told_apart(server, playbook):
    names = [f"word{number}" for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        said = pool.map(
            lambda name: server.run(["-i", "localhost,", playbook, "-e", f"word={name}"]), names
        )
        for name, done in zip(names, said, strict=True):
            assert [word for word in names if word in done.stdout] == [name]


def test_a_server_that_is_gone_is_an_error(server, playbook):
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()
    with pytest.raises(ChildProcessError):
        server.run([playbook])
