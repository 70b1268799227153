# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of ansible-playbook, each a fork of one process that has everything imported.

A scenario makes dozens of runs, and most of a short one is the start of Ansible: its imports, and the
modules that it packs for hosts, which runs of one process share. What a run does is the same: it begins
where the program begins.

As a program it is that process; its standard input is a socket, and it ends with it. A message is a run:
the words of its command as JSON, and three files: standard output and error of it, and a pipe for its
exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("ansible-playbook")
LONGEST = 1 << 20


class Server:
    """The process, from the caller's side; several threads may ask it at the same time.

    Args:
        environment: of all runs, and of nothing but them.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                env=self.environment,
                stdin=other,
                stdout=subprocess.DEVNULL,
            )
        atexit.register(self.end)

    def run(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run ansible-playbook with these words to its end.

        Raises:
            ChildProcessError: it died without an exit code.
        """
        command = [str(PROGRAM), *words]
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            there, here = os.pipe()
            with os.fdopen(there, "rb") as answer:
                streams = [stdout.fileno(), stderr.fileno(), here]
                with contextlib.suppress(BrokenPipeError):
                    socket.send_fds(self._socket, [json.dumps(command).encode()], streams)
                os.close(here)
                code = answer.read()
            said = []
            for stream in (stdout, stderr):
                stream.seek(0)
                said.append(stream.read().decode(errors="replace"))
        if not code:
            raise ChildProcessError(f"{PROGRAM.name} died: {said[1] or said[0]}")
        return subprocess.CompletedProcess(command, int(code), *said)

    def end(self) -> None:
        """End the process, if it is there."""
        self._socket.close()
        self._process.wait()


def perform(words: Sequence[str], streams: Sequence[int]) -> None:
    """Be ansible-playbook with these words, and leave."""
    from ansible.cli.playbook import PlaybookCLI

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # An ssh that stays for the next run would keep the caller waiting.
    os.set_inheritable(streams[2], False)
    for number, stream in enumerate([os.open(os.devnull, os.O_RDONLY), *streams[:2]]):
        os.dup2(stream, number)
    sys.argv[:] = words
    code: object = 1
    try:
        PlaybookCLI.cli_executor(sys.argv)
    except SystemExit as end:
        code = end.code
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(streams[2], str(int(code or 0)).encode())


def main() -> None:
    """Fork a run for each message, until there are no more."""
    # Not in a run, where each would be imported anew.
    import ansible.cli.playbook
    import ansible.executor.module_common
    import ansible.executor.playbook_executor
    import ansible.executor.process.worker  # noqa: F401 - all of these are for what is forked

    # A fork that has ended is of no interest to anybody.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as requests:
        while True:
            message, streams, _flags, _address = socket.recv_fds(requests, LONGEST, 3)
            if not message:
                return
            if os.fork() == 0:
                try:
                    perform(json.loads(message), streams)
                finally:
                    # Not as the server would end: what runs share stays.
                    os._exit(0)
            for stream in streams:
                os.close(stream)


if __name__ == "__main__":
    main()
