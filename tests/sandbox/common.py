# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths, progress lines, errors and the running of programs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import data

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
STATE = CHECKOUT / ".build" / "sandbox"
LOGS = CHECKOUT / ".build" / "log"
# What belongs to the engine's user rather than to a checkout: the lock, because two
# checkouts make containers of the same names, and the sockets of open connections,
# whose path must be short. Fixed, whatever HOME and TMPDIR a caller has.
RUNTIME = Path(f"/tmp/{data.PREFIX}-{os.getuid()}")


class SandboxError(Exception):
    """Something a person must look at; the text says what and where."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"sandbox: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Print *what* and the seconds it took, once it is done.

    A step that fails prints nothing: its error says more.
    """
    begin = time.monotonic()
    yield
    say(f"{what} … {time.monotonic() - begin:.1f} s")


def runtime() -> Path:
    """Make the directory RUNTIME, which only its user can enter, and return its path."""
    # The name can be foreseen, so another user may have been there first.
    RUNTIME.mkdir(mode=0o700, exist_ok=True)
    found = RUNTIME.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SandboxError(f"{RUNTIME} is not a directory of this user alone; remove it")
    return RUNTIME


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the sandbox for one process: two must not build or make the same thing at once."""
    with open(runtime() / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that works on the sandbox")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def parallel(*tasks: Callable[[], object]) -> None:
    """Run *tasks* side by side and wait for all; the first error, if any, is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(task) for task in tasks]
    for future in futures:
        future.result()


def run(
    command: Sequence[str],
    *,
    log: str | None = None,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
) -> bytes:
    """Run a program and return what it prints.

    command: program and arguments.
    log: name of a file below .build/log that receives everything it prints;
        the return value is then empty.
    stdin: what it reads.
    env: variables added to the environment.
    Raises SandboxError with the last line it printed when it fails.
    """
    environment = dict(os.environ, LC_ALL="C.UTF-8", **(env or {}))
    environment["PATH"] += ":/usr/sbin:/sbin"
    try:
        if log is None:
            done = subprocess.run(
                command, input=stdin, env=environment, capture_output=True, check=False
            )
            output, complaint = done.stdout, done.stderr
        else:
            LOGS.mkdir(parents=True, exist_ok=True)
            with open(LOGS / log, "wb") as file:
                done = subprocess.run(
                    command,
                    input=stdin,
                    env=environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            output, complaint = b"", (LOGS / log).read_bytes()
    except FileNotFoundError:
        raise SandboxError(
            f"the program {command[0]} is missing; run tests/sandbox/engine.sh start"
        ) from None
    if done.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["it printed nothing"]
        where = f"; see {LOGS / log}" if log else ""
        raise SandboxError(f"{command[0]} failed (exit {done.returncode}): {lines[-1]}{where}")
    return output


def digest(*parts: str | bytes | Path) -> str:
    """A short hash of texts, bytes, and files or trees of files.

    It names what is built from them: the same parts give the same 12 hex digits.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                content = file.read_bytes()
                executable = file.stat().st_mode & 0o111
                head = f"{file.relative_to(part)}:{executable}:{len(content)}\n"
                total.update(head.encode())
                total.update(content)
        else:
            content = part.encode() if isinstance(part, str) else part
            total.update(f"{len(content)}\n".encode())
            total.update(content)
    return total.hexdigest()[:12]


def write_if_changed(path: Path, content: str | bytes, mode: int = 0o644) -> bool:
    """Write a file unless it already reads so; True when it was written."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return False
    # Private from the first byte where it must be.
    descriptor = os.open(
        path.with_name(path.name + ".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode
    )
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
    path.with_name(path.name + ".new").replace(path)
    return True
