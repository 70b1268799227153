# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that touches the machine.

Everything above asks a :class:`Host`: files, processes, sockets, file systems, commands, clock.
``Host()`` is the machine the code runs on.
``Host("/some/tree")`` is a machine described by a directory: its files are the files below that
directory, and what is not a file stands in ``host.json`` at its top::

    {
      "machine": "x86_64",
      "now": 1767225600.0,
      "programs": ["git", "curl"],
      "filesystems": {"/": {"size": 42949672960, "available": 30000000000}},
      "commands": {"timedatectl show": {"rc": 0, "stdout": "NTP=yes\\n", "stderr": ""}},
      "units": {"docker.service": ["loaded", "active", "enabled"]},
      "docker": {"/version": {"Version": "28.0.1"}},
      "network": {
        "name ghcr.io": ["192.0.2.1", "2001:db8::1"],
        "tcp 192.0.2.1:443": "open",
        "tcp 192.0.2.25:25": {"state": "open", "text": "220 mx.example.org ESMTP"},
        "icmp 192.0.2.8": "timeout",
        "dns 192.0.2.53 udp example.org A": {"rcode": "NOERROR", "authenticated": true}
      },
      "environment": {"https_proxy": "http://192.0.2.3:3128"}
    }

Every key may be missing: then the machine cannot be asked that question.
"""

from __future__ import annotations

import os
import sys
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    NamedTuple,
    Sequence,
    TypeVar,
)

if TYPE_CHECKING:
    from ansible_collections.postmaster.mailhost.plugins.module_utils import reach

#: Where programs are looked for beside PATH: that of a non-login shell often lacks the sbin ones.
PROGRAM_DIRECTORIES = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)

DOCKER_SOCKET = "/var/run/docker.sock"

#: Where systemd has its units from: systemd.unit(5).
UNIT_DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)

#: Return codes of :meth:`Host.run` that no program gave: the shell's and timeout(1)'s conventions.
RC_TIMEOUT = 124
RC_NOT_EXECUTABLE = 126
RC_NOT_FOUND = 127

# Socket states of include/net/tcp_states.h as /proc/net prints them. UDP has no LISTEN; an
# unconnected UDP socket, which takes packets from anybody, is in state CLOSE.
_LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}


Answer = TypeVar("Answer")


class HostError(Exception):
    """The host could not be asked; the text says what was looked for."""


class Result(NamedTuple):
    """What a command gave back: return code and decoded output."""

    rc: int
    stdout: str
    stderr: str


class FileSystem(NamedTuple):
    """The file system below a path: its mount point, size and available space in bytes.

    ``inodes`` and ``inodes_available`` count files; both are 0 where a file system makes them as
    they are needed (btrfs).
    """

    mount: str
    size: int
    available: int
    inodes: int = 0
    inodes_available: int = 0


class Unit(NamedTuple):
    """What systemd says of a unit.

    Attributes:
        load: ``loaded``, ``masked``, ``not-found`` …
        active: ``active``, ``inactive``, ``failed``, ``activating`` …
        enabled: ``enabled``, ``disabled``, ``static``, ``alias`` …; empty for a unit that is not
            there.
    """

    load: str
    active: str
    enabled: str

    @property
    def present(self) -> bool:
        """True when there is such a unit, masked or not."""
        return self.load not in ("not-found", "")

    @property
    def starts(self) -> bool:
        """True when it runs, or will after a reboot."""
        running = self.active in ("active", "activating", "reloading")
        return running or (self.load == "loaded" and self.enabled.startswith("enabled"))


class Listener(NamedTuple):
    """A socket that waits for connections (TCP) or packets (UDP).

    ``pid``, ``process``, ``cmdline`` and ``unit`` are None or empty where the owner is not visible:
    to anybody but root other users' processes are hidden, and so are those of other PID namespaces.
    """

    protocol: str
    address: str
    port: int
    inode: int
    pid: int | None
    process: str
    cmdline: tuple[str, ...]
    unit: str

    @property
    def wildcard(self) -> bool:
        """True when the socket takes connections on every address of its family."""
        return self.address in ("0.0.0.0", "::")


class Host:
    """A machine that can be asked.

    Args:
        root: directory that holds the machine's file tree; ``/`` is the machine itself.
            Absolute symbolic links inside another tree stay inside it.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root)
        self.real = self.root == "/"
        self._recorded: dict[str, Any] | None = None
        self._answers: dict[Any, Any] = {}

    def once(self, question: Callable[..., Answer], *details: Any) -> Answer:
        """Return ``question(self, *details)``, asked one time however many threads want it.

        Args:
            question: a function of the module level, whose answer does not change while checks run.
                An exception is an answer too: it is raised again each time.
            details: further arguments, which can be keys of a dictionary. Each set of them is
                another question.
        """
        import threading

        # setdefault is atomic; whoever comes second waits for the first one's answer.
        slot = self._answers.setdefault((question, details), [threading.Lock()])
        with slot[0]:
            if len(slot) == 1:
                try:
                    slot += [question(self, *details), None]
                except Exception as error:  # noqa: BLE001 - kept and raised below
                    slot += [None, error]
        if slot[2] is not None:
            raise slot[2]
        return slot[1]

    # -- files -----------------------------------------------------------------------------------

    def read(self, path: str) -> str | None:
        """Return the text of a file, or None when it is absent or cannot be read."""
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", "replace")

    def read_bytes(self, path: str, limit: int = -1) -> bytes | None:
        """Return a file's content (at most ``limit`` bytes), or None when it cannot be read."""
        try:
            with open(self._path(path), "rb") as stream:
                return stream.read(limit)
        except OSError:
            return None

    def blocks(self, path: str, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield a file's content in pieces, unpacked when its name ends in .gz, .bz2 or .xz.

        Args:
            path: the file, however large.
            size: bytes of a piece.

        Raises:
            HostError: it cannot be read, or its packed form is damaged; what could be read was
                yielded before.
        """
        import bz2
        import gzip
        import lzma
        import zlib

        readers = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        try:
            with readers.get(os.path.splitext(path)[1], open)(self._path(path), "rb") as stream:
                while True:
                    block = stream.read(size)
                    if not block:
                        return
                    yield block
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise HostError(
                "{0}: {1}".format(path, getattr(error, "strerror", None) or error)
            ) from error

    def exists(self, path: str) -> bool:
        """Tell whether there is something at ``path``; a link that leads nowhere does not count."""
        return os.path.exists(self._path(path))

    def isdir(self, path: str) -> bool:
        """Tell whether ``path`` is a directory or a link to one."""
        return os.path.isdir(self._path(path))

    def listdir(self, path: str) -> list[str]:
        """Return the sorted names in a directory; none when it is absent or cannot be read."""
        try:
            return sorted(os.listdir(self._path(path)))
        except OSError:
            return []

    def glob(self, pattern: str) -> list[str]:
        """Return the sorted absolute paths that match a shell pattern (no ``**``)."""
        from glob import glob

        if self.real:
            return sorted(glob(pattern))
        found = glob(self.root.rstrip("/") + "/" + pattern.lstrip("/"))
        return sorted("/" + os.path.relpath(name, self.root) for name in found)

    def readlink(self, path: str) -> str | None:
        """Return where a symbolic link points, as written in it; None when it is not a link."""
        try:
            return os.readlink(self._path(path, last=False))
        except OSError:
            return None

    def realpath(self, path: str) -> str:
        """Return ``path`` with every symbolic link followed; what is missing stays as written."""
        return os.path.realpath(path) if self.real else self._resolve(path)

    def stat(self, path: str) -> os.stat_result | None:
        """Return the status of what ``path`` leads to, or None when there is nothing."""
        try:
            return os.stat(self._path(path))
        except OSError:
            return None

    def filesystem(self, path: str) -> FileSystem:
        """Return the file system that holds ``path`` or, while it does not exist, would hold it.

        Raises:
            HostError: when the file system cannot be asked.
        """
        if not self.real:
            known = self._record("filesystems", "the file system of " + path)
            for parent in _parents(path):
                if parent in known:
                    entry = known[parent]
                    return FileSystem(
                        parent,
                        int(entry["size"]),
                        int(entry["available"]),
                        int(entry.get("inodes", 0)),
                        int(entry.get("inodes_available", 0)),
                    )
            raise HostError("no file system is known for {0}".format(path))
        try:
            place = next(p for p in _parents(os.path.realpath(path)) if os.path.exists(p))
            usage = os.statvfs(place)
            device = os.stat(place).st_dev
            mount = place
            for parent in _parents(place):
                if os.stat(parent).st_dev != device:
                    break
                mount = parent
        except OSError as error:
            raise HostError(
                "cannot read the file system of {0}: {1}".format(path, error.strerror)
            ) from error
        return FileSystem(
            mount,
            usage.f_blocks * usage.f_frsize,
            usage.f_bavail * usage.f_frsize,
            usage.f_files,
            usage.f_favail,
        )

    # -- programs --------------------------------------------------------------------------------

    def which(self, name: str) -> str | None:
        """Return the path of a program, links not followed, or None when there is none."""
        for directory in self._search_path():
            path = directory + "/" + name
            if self.real:
                if os.path.isfile(path) and os.access(path, os.X_OK):
                    return path
            elif os.path.lexists(self._path(path, last=False)):
                return path
        if not self.real and name in self._load().get("programs", ()):
            return "/usr/bin/" + name
        return None

    def _search_path(self) -> list[str]:
        """Return the directories that programs are looked for in."""
        own = [name for name in os.get_exec_path() if name] if self.real else []
        return own + [name for name in PROGRAM_DIRECTORIES if name not in own]

    def run(
        self,
        argv: Sequence[str],
        timeout: float = 30.0,
        input: str | None = None,  # noqa: A002 - as in subprocess
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a program without a shell, in the C locale, and wait for it.

        Args:
            argv: program and arguments.
            timeout: seconds after which the program and its children are killed.
            input: text for its standard input, which is empty otherwise.
            cwd: directory to run it in.
            env: variables set on top of the present environment.

        Returns:
            Result: rc 127 when there is no such program, 126 when it cannot be executed (or ``cwd``
            entered), 124 at timeout; the reason is then in ``stderr``.
        """
        argv = list(argv)
        if not self.real:
            recorded = self._load().get("commands", {}).get(" ".join(argv))
            if recorded is None:
                return Result(RC_NOT_FOUND, "", "{0}: command not found".format(argv[0]))
            return Result(
                int(recorded.get("rc", 0)), recorded.get("stdout", ""), recorded.get("stderr", "")
            )

        import contextlib
        import signal
        import subprocess

        environment = dict(os.environ, LC_ALL="C", LANGUAGE="C")
        environment["PATH"] = ":".join(self._search_path())
        environment.update(env or {})
        try:
            # run_command() has no time limit, and leaves the children of a command alive.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                argv,
                stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=environment,
                start_new_session=True,  # a process group of its own, so that children die with it
            )
        except OSError as error:
            missing = isinstance(error, FileNotFoundError) and error.filename != cwd
            text = "{0}: {1}".format(error.filename or argv[0], error.strerror)
            return Result(RC_NOT_FOUND if missing else RC_NOT_EXECUTABLE, "", text)
        data = None if input is None else input.encode("utf-8", "surrogateescape")
        try:
            stdout, stderr = process.communicate(data, timeout=timeout)
            rc = process.returncode
            note = ""
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            try:
                # A child that left the group may hold the pipes open for ever: do not wait for it.
                stdout, stderr = process.communicate(timeout=1)
            except subprocess.TimeoutExpired as late:
                stdout, stderr = late.stdout or b"", late.stderr or b""
            rc = RC_TIMEOUT
            note = "{0}: no answer within {1:g} s".format(argv[0], timeout)
        text = stderr.decode("utf-8", "replace")
        if note:
            text = text + ("\n" if text and not text.endswith("\n") else "") + note
        return Result(rc, stdout.decode("utf-8", "replace"), text)

    def output(self, argv: Sequence[str], size: int = 1 << 20) -> Iterator[bytes]:
        """Run a program like :meth:`run`, and yield its standard output in pieces as they come.

        It is ended when nobody wants more of it. Its errors are not read.

        Args:
            argv: program and arguments.
            size: the most bytes of a piece.

        Raises:
            HostError: it cannot be run, or ended with an error; what it said before was yielded.
        """
        argv = list(argv)
        if not self.real:
            recorded = self.run(argv)
            if recorded.stdout:
                yield recorded.stdout.encode("utf-8")
            if recorded.rc != 0:
                raise HostError("{0} ended with {1}".format(" ".join(argv), recorded.rc))
            return

        import subprocess

        environment = dict(os.environ, LC_ALL="C", LANGUAGE="C")
        environment["PATH"] = ":".join(self._search_path())
        try:
            # run_command() keeps the whole output.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            raise HostError("{0}: {1}".format(argv[0], error.strerror)) from error
        pipe: Any = process.stdout
        try:
            while True:
                block = pipe.read(size)
                if not block:
                    break
                yield block
        except GeneratorExit:
            process.kill()
            raise
        finally:
            pipe.close()
            process.wait()
        if process.returncode != 0:
            raise HostError("{0} ended with {1}".format(" ".join(argv), process.returncode))

    def units(self, names: Sequence[str]) -> dict[str, Unit]:
        """Return what systemd says of each unit; one that does not exist is ``not-found``.

        Args:
            names: units with their suffix, such as ``docker.service``.

        Raises:
            HostError: when systemd does not run here, or does not answer.
        """
        missing = Unit("not-found", "inactive", "")
        if not self.real:
            known = self._record("units", "what systemd says of its units")
            return {name: Unit(*known[name]) if name in known else missing for name in names}
        if not self.isdir("/run/systemd/system"):  # what sd_booted(3) looks for
            raise HostError("systemd does not run here")
        # Most of a list are not there; systemctl looks for each of them for a whole millisecond.
        files = {name for place in UNIT_DIRECTORIES for name in self.listdir(place)}
        there = [name for name in names if name in files]
        found = dict.fromkeys(names, missing)
        if not there:
            return found
        properties = "--property=LoadState,ActiveState,UnitFileState"
        answer = self.run(["systemctl", "show", properties, "--", *there], timeout=10)
        blocks = answer.stdout.strip("\n").split("\n\n")
        if answer.rc != 0 or len(blocks) != len(there):
            raise HostError("systemctl does not answer: {0}".format(answer.stderr.strip()))
        for name, block in zip(there, blocks):
            fields = dict(line.partition("=")[::2] for line in block.splitlines())
            found[name] = Unit(
                fields.get("LoadState", ""),
                fields.get("ActiveState", ""),
                fields.get("UnitFileState", ""),
            )
        return found

    def docker(self, question: str) -> Any:
        """Return what the Docker engine answers to a GET request, decoded from JSON.

        Args:
            question: path and query of its API, such as ``/info``.

        Raises:
            HostError: no engine answers; the text says why.
        """
        if not self.real:
            known = self._load().get("docker", {})
            if question not in known:
                raise HostError("the Docker engine does not answer")
            return known[question]
        if not self.exists(DOCKER_SOCKET):
            raise HostError("no Docker engine listens on {0}".format(DOCKER_SOCKET))
        from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_api

        try:
            return docker_api.DockerApi().ask(question)
        except docker_api.DockerError as error:
            raise HostError(str(error)) from error

    # -- the network -----------------------------------------------------------------------------

    def environment(self, name: str) -> str:
        """Return a variable of the environment that the checks run in; empty when it is not set."""
        if not self.real:
            return str(self._load().get("environment", {}).get(name, ""))
        return os.environ.get(name, "")

    def look_up(self, names: Sequence[str]) -> list[reach.Name]:
        """Return the addresses of names as programs on this host get them, all asked at once.

        Args:
            names: names; an address is its own.

        Returns:
            list[reach.Name]: in the order of the names, within eight seconds.

        Raises:
            HostError: what becomes of a name is not known.
        """
        from ansible_collections.postmaster.mailhost.plugins.module_utils import reach

        if self.real:
            return reach.look_up(names)
        known = self._record("network", "what the network answers")
        found = []
        for name in names:
            if ":" in name or name.replace(".", "").isdigit():
                found.append(reach.by_family([name]))
                continue
            entry = _recorded(known, "name " + name)
            is_list = isinstance(entry, list)
            found.append(reach.by_family(entry) if is_list else reach.Name(trouble=entry))
        return found

    def probe(self, probes: Sequence[reach.Probe]) -> list[reach.Reply]:
        """Return what comes of each probe of the network, all tried at once.

        Args:
            probes: what to connect to, or to send a packet to.

        Returns:
            list[reach.Reply]: in the order of the probes, within eight seconds.

        Raises:
            HostError: what becomes of a probe is not known.
        """
        from ansible_collections.postmaster.mailhost.plugins.module_utils import reach

        if self.real:
            return reach.try_all(probes)
        known = self._record("network", "what the network answers")
        entries = [_recorded(known, probe.place) for probe in probes]
        return [
            reach.Reply(entry) if isinstance(entry, str) else reach.Reply(**entry)
            for entry in entries
        ]

    def ask_dns(self, questions: Sequence[reach.Question]) -> list[reach.Said]:
        """Return what DNS servers say, all asked at once.

        Args:
            questions: which server is asked what.

        Returns:
            list[reach.Said]: in the order of the questions, within eight seconds.

        Raises:
            HostError: what a server says is not known.
        """
        from ansible_collections.postmaster.mailhost.plugins.module_utils import (
            dns_message,
            reach,
        )

        if self.real:
            return reach.ask_all(questions)
        known = self._record("network", "what the network answers")
        entries = [_recorded(known, question.place) for question in questions]
        return [
            reach.Said(entry)
            if isinstance(entry, str)
            else reach.Said(reach.OPEN, dns_message.Message(0, True, **entry))
            for entry in entries
        ]

    # -- the running system ----------------------------------------------------------------------

    def machine(self) -> str:
        """Return the kernel's name for the hardware, for example ``x86_64`` or ``aarch64``.

        Raises:
            HostError: when it is not known.
        """
        if self.real:
            return os.uname().machine
        return str(self._record("machine", "the machine's architecture"))

    def now(self) -> float:
        """Return the host's clock in seconds since the epoch.

        Raises:
            HostError: when it is not known.
        """
        if not self.real:
            return float(self._record("now", "the clock"))
        import time

        return time.time()

    def listeners(self, ports: Collection[int] | None = None) -> list[Listener]:
        """Return the listening sockets, each with the process that holds it.

        Reads /proc only: the socket tables name an inode, /proc/PID/fd says who has it open, and
        /proc/PID/cgroup names the systemd unit. Of several holders the lowest PID counts, PID 1
        last, because a service manager keeps the sockets it hands out.

        Args:
            ports: only sockets on these ports; all when None. The search for owners ends as soon
                as each socket has one, so that a short list is cheap on a busy host.

        Returns:
            list[Listener]: ordered by port, protocol and address.

        Raises:
            HostError: when the kernel's table of TCP sockets cannot be read.
        """
        sockets: list[tuple[str, str, int, int]] = []
        for table, state in _LISTENING.items():
            text = self.read("/proc/net/" + table)
            if text is None:
                if table == "tcp":
                    raise HostError("cannot read /proc/net/tcp")
                continue  # a kernel without IPv6 has no tcp6
            for line in text.splitlines()[1:]:
                fields = line.split()
                if len(fields) < 10 or fields[3] != state:
                    continue
                address, _colon, port = fields[1].partition(":")
                number = int(port, 16)
                if ports is None or number in ports:
                    sockets.append((table[:3], _decode_address(address), number, int(fields[9])))
        owners = self._owners({entry[3] for entry in sockets})
        processes = {pid: self._process(pid) for pid in set(owners.values())}
        found = []
        for protocol, address, number, inode in sockets:
            pid = owners.get(inode)
            name, cmdline, unit = processes[pid] if pid is not None else ("", (), "")
            found.append(Listener(protocol, address, number, inode, pid, name, cmdline, unit))
        return sorted(found, key=lambda item: (item.port, item.protocol, item.address))

    def _owners(self, inodes: set[int]) -> dict[int, int]:
        """Map socket inodes to the PID that holds each."""
        wanted = {"socket:[{0}]".format(inode): inode for inode in inodes}
        owners: dict[int, int] = {}
        if not wanted:
            return owners
        pids = sorted(int(name) for name in self.listdir("/proc") if name.isdigit())
        for pid in sorted(pids, key=lambda number: (number == 1, number)):
            directory = self._path("/proc/{0}/fd".format(pid))
            try:
                names = os.listdir(directory)
            except OSError:
                continue  # the process ended, or is not ours to look into
            for name in names:
                try:
                    target = os.readlink(directory + "/" + name)
                except OSError:
                    continue
                inode = wanted.pop(target, None)
                if inode is not None:
                    owners[inode] = pid
            if not wanted:
                break
        return owners

    def _process(self, pid: int) -> tuple[str, tuple[str, ...], str]:
        """Return a process' name, arguments and systemd unit."""
        base = "/proc/{0}/".format(pid)
        name = (self.read(base + "comm") or "").strip()
        raw = (self.read(base + "cmdline") or "").rstrip("\0")
        cmdline = tuple(raw.split("\0")) if raw else ()
        unit = ""
        for line in (self.read(base + "cgroup") or "").splitlines():
            last = line.rpartition("/")[2]
            if last.endswith((".service", ".scope", ".socket", ".mount")):
                unit = last
                break
        return name, cmdline, unit

    # -- fixture trees ---------------------------------------------------------------------------

    def _load(self) -> dict[str, Any]:
        """Return the content of the tree's host.json, an empty one when there is none."""
        if self._recorded is None:
            import json

            try:
                with open(os.path.join(self.root, "host.json"), encoding="utf-8") as stream:
                    self._recorded = json.load(stream)
            except FileNotFoundError:
                self._recorded = {}
        return self._recorded

    def _record(self, key: str, what: str) -> Any:
        """Return one recorded answer of a fixture tree."""
        try:
            return self._load()[key]
        except KeyError:
            raise HostError("{0} is not known".format(what)) from None

    def _path(self, path: str, last: bool = True) -> str:
        """Return where a path of this host lies; ``last`` says whether a final link is followed."""
        if self.real:
            return path
        return self.root.rstrip("/") + self._resolve(path, last)

    def _resolve(self, path: str, last: bool = True) -> str:
        """Follow the symbolic links of a path inside a fixture tree without leaving it."""
        done: list[str] = []
        todo = [part for part in path.split("/") if part]
        hops = 0
        while todo:
            part = todo.pop(0)
            if part == ".":
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = os.path.join(self.root, *done, part)
            if os.path.islink(here) and (todo or last) and hops < 40:
                hops += 1
                target = os.readlink(here)
                if target.startswith("/"):
                    done = []
                todo = [piece for piece in target.split("/") if piece] + todo
            else:
                done.append(part)
        return "/" + "/".join(done)


def _recorded(known: Mapping[str, Any], question: str) -> Any:
    """Return one recorded answer of a fixture tree's network."""
    if question not in known:
        raise HostError("what becomes of {0} is not known".format(question))
    return known[question]


def _parents(path: str) -> Iterable[str]:
    """Yield an absolute path and each of its parents, up to ``/``."""
    path = os.path.normpath(path)
    while True:
        yield path
        parent = os.path.dirname(path)
        if parent == path:
            return
        path = parent


def _decode_address(text: str) -> str:
    """Return the usual form of an address in /proc/net: 32-bit words in the machine's byte order.

    An IPv4 address inside an IPv6 socket (``::ffff:a.b.c.d``) is given as IPv4.
    """
    import socket

    raw = b"".join(
        int(text[start : start + 8], 16).to_bytes(4, sys.byteorder)
        for start in range(0, len(text), 8)
    )
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw)
    if raw.startswith(bytes(10) + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    return socket.inet_ntop(socket.AF_INET6, raw)
