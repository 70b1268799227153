# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios in molecule/ need besides Ansible: runs that are judged, and hosts to break.

As a program: ``python -m scenario remember|compare|interrupt HOST`` (from within a scenario).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import playbook_server
from sandbox.hosts import find, ssh

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".build" / "scenario"
INVENTORY = os.environ.get("MAILHOST_INVENTORY", str(ROOT / ".build/sandbox/inventory.yml"))
SITE = ROOT / "playbooks" / "site.yml"

# Files of a host with type, mode, owner, size, link target and time of change. Left out is what the
# system itself writes all the time (RPM also when it is only asked), and what Ansible and SSH leave in
# a home.
TREE = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp \
  -o -path /var/tmp -o -path /var/log -o -path /var/lib/systemd -o -path /root/.ansible \
  -o -path '/var/lib/rpm/rpmdb.sqlite-*' -o -path /etc/.updated -o -path /var/.updated \
  -o -name __pycache__ -o -name '*.pyc' \) -prune \
  -o -printf '%p\t%y\t%m\t%u:%g\t%s\t%l\t%T@\n' | grep -vP '^(/|/root|/var|/etc)\td' | sort
"""


class ScenarioError(Exception):
    """A scenario's step went wrong; the text says how."""


@dataclass
class Run:
    """One run of a playbook: return code, output, and what happened by task name.

    Attributes:
        changed, failed: names of tasks, without their role.
        changed_on: the same for changed ones, by host.
        results: what each task returned, by host; of tasks with the same name the last.
        message: the error of the first task that failed.
        report: all of it, as the callback has written it.
    """

    rc: int
    output: str
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    changed_on: dict[str, list[str]] = field(default_factory=dict)
    results: dict[str, dict[str, dict]] = field(default_factory=dict)
    message: str = ""
    report: dict = field(default_factory=dict)

    def of(self, host: str) -> Run:
        """What has happened on one host; ``output`` is that of all."""
        return _judge(self.rc, self.output, self.report, host)

    def findings(self, host: str) -> list[dict]:
        """What the read-only tasks found on a host, of each the last time."""
        found = []
        for result in self.results.get(host, {}).values():
            found += result.get("findings", [])
        return found


def play(
    playbook: Path = SITE,
    *arguments: str,
    extra: dict | None = None,
    by_host: Mapping[str, dict] | None = None,
    **env: str,
) -> Run:
    """Run a playbook on the scenario's hosts.

    Args:
        playbook: its file.
        arguments: further words for ansible-playbook, such as ``--check``.
        extra: variables above all others.
        by_host: variables of single hosts, above those of the inventories.
        env: environment variables.

    Returns:
        Run: ``changed`` and ``failed`` name tasks, without their role, in the order of the play;
        ``message`` is the error of the first task that failed.
    """
    with _inventory(by_host or {}) as more:
        inventories = [*_inventories(), *([more] if by_host else [])]
        extra = {"mailhost_hosts": "scenario_hosts", **(extra or {})}
        done = _ansible_playbook(playbook, inventories, *arguments, extra=extra, env=env)
    return _read(done)


def play_cases(
    playbook: Path, host: str, cases: Mapping[str, dict], **extra: object
) -> dict[str, Run]:
    """Run a playbook once for many cases, each with variables of its own.

    To Ansible each case is a host that is reached as `host` is, and has all of its variables. So it is
    for cases that change nothing: those that are refused.

    Args:
        playbook: its file.
        host: the only host.
        cases: the variables of each case, above those of the inventories.
        extra: variables of all cases, above all others.

    Returns:
        dict: the run of each case, as if it were the only one; ``output`` is that of all.
    """
    inventories = [f"--inventory={path}" for path in _inventories()]
    known = json.loads(
        subprocess.run(
            [str(ROOT / ".build/venv/bin/ansible-inventory"), "--list", *inventories],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )["_meta"]["hostvars"][host]
    names = {f"{host}-{number}": case for number, case in enumerate(cases)}
    with _inventory({name: {**known, **cases[case]} for name, case in names.items()}) as more:
        done = _ansible_playbook(
            playbook,
            [*_inventories(), more],
            "--limit=" + ",".join(names),
            extra={"mailhost_hosts": "scenario_hosts", **extra},
        )
    run = _read(done)
    if not run.report:
        raise ScenarioError(run.message)
    return {case: run.of(name) for name, case in names.items()}


@contextlib.contextmanager
def _inventory(hosts: Mapping[str, dict]) -> Iterator[Path]:
    """An inventory with variables of these hosts of the scenario; its file is there meanwhile."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({"scenario_hosts": {"hosts": hosts}}, file)
        file.flush()
        yield Path(file.name)


def _inventories() -> list[Path]:
    """The inventories of the sandbox and of the scenario."""
    return [Path(INVENTORY), scenario_directory() / "inventory.yml"]


def _environment(**env: str) -> dict[str, str]:
    """The environment of a command of Ansible's."""
    # Another one in each test, it would call for another server.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return {
        **inherited,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "LC_ALL": "C.UTF-8",
        **env,
    }


def _ansible_playbook(
    playbook: Path,
    inventories: Sequence[Path],
    *arguments: str,
    extra: Mapping,
    env: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook to its end."""
    words = [
        *(f"--inventory={path}" for path in inventories),
        "--extra-vars=" + json.dumps(extra),
        str(playbook),
        *arguments,
    ]
    environment = tuple(sorted(_environment(**env).items()))
    return _server(environment).run(words)


@functools.cache
def _server(environment: tuple[tuple[str, str], ...]) -> playbook_server.Server:
    """What runs ansible-playbook with this environment."""
    return playbook_server.Server(dict(environment))


def _read(done: subprocess.CompletedProcess[str]) -> Run:
    """What has happened in a run."""
    output = done.stdout + done.stderr
    begin = done.stdout.find("{\n")
    try:
        report, _end = json.JSONDecoder().raw_decode(done.stdout[begin:])
    except ValueError:
        # It never came to a play, or another callback was asked for.
        return Run(done.returncode, output, message=output)
    return _judge(done.returncode, output, report)


def _judge(rc: int, output: str, report: dict, only: str = "") -> Run:
    """What the callback has written, by task and host; with `only`, of this host."""
    run = Run(rc, output, report=report)
    for each in report["plays"]:
        for task in each["tasks"]:
            name = task["task"]["name"].rpartition(" : ")[2]
            for host, result in task["hosts"].items():
                if only not in ("", host):
                    continue
                run.results.setdefault(host, {})[name] = result
                if result.get("changed"):
                    run.changed.append(name)
                    run.changed_on.setdefault(host, []).append(name)
                if result.get("failed") or result.get("unreachable"):
                    run.failed.append(name)
                    run.message = run.message or str(result.get("msg", result))
    if only:
        counted = report["stats"].get(only, {})
        run.rc = 2 if counted.get("failures") or counted.get("unreachable") else 0
    return run


def scenario_directory() -> Path:
    """The folder of the scenario that is being run."""
    given = os.environ.get("MOLECULE_SCENARIO_DIRECTORY")
    if not given:
        raise ScenarioError("start it through molecule: MOLECULE_SCENARIO_DIRECTORY is not set")
    return Path(given)


def on(host: str, command: str, check: bool = True) -> str:
    """Run a shell command on a host; return what it printed.

    Raises:
        ScenarioError: it failed, and ``check`` is set.
    """
    done = subprocess.run(
        ssh(find(host), command, shared=True),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        raise ScenarioError(f"{host}: {command}: {done.stderr or done.stdout}")
    return done.stdout


def together(cases: Mapping, *groups: Sequence[str]) -> tuple[Sequence[str], ...]:
    """Names of cases that go together, after a look whether each case is in one of the groups.

    Raises:
        ScenarioError: one is in none, or in two, or there is no such case.
    """
    named = sorted(name for names in groups for name in names)
    if named != sorted(cases):
        raise ScenarioError(f"in the groups are {named}; the cases are {sorted(cases)}")
    return groups


@contextlib.contextmanager
def command_lines(host: str) -> Iterator[list[str]]:
    """Every command line that there is on a host meanwhile: a list that is complete in the end."""
    # Ends with its connection, as nobody takes what "echo" writes then.
    watch = "while echo; do cat /proc/[0-9]*/cmdline | tr '\\0' ' '; sleep 0.05; done 2>/dev/null"
    seen: list[str] = []
    with tempfile.TemporaryFile() as file:
        with subprocess.Popen(
            ssh(find(host), watch), stdin=subprocess.DEVNULL, stdout=file
        ) as watcher:
            try:
                yield seen
            finally:
                watcher.terminate()
        file.seek(0)
        seen += [line for line in file.read().decode(errors="replace").splitlines() if line]


def everywhere(command: str | Callable[[str], str], hosts: Sequence[str]) -> dict[str, str]:
    """What a command prints, without blanks around it, by host; it may differ between hosts."""
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda h: on(h, command if isinstance(command, str) else command(h)), hosts)
        return {host: text.strip() for host, text in zip(hosts, said, strict=True)}


def eventually(look: Callable[[], Mapping], wanted: Mapping, seconds: float = 30) -> Mapping:
    """Look until it is as wanted, or the time is over; return what was seen last."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted and time.monotonic() < end:
        time.sleep(1)
    return seen


def tree(host: str) -> list[str]:
    """All files of a host that nobody but an administrator changes, one a line."""
    return on(host, TREE).splitlines()


def remember(host: str) -> None:
    """Keep a list of the host's files for :func:`compare`."""
    STATE.mkdir(parents=True, exist_ok=True)
    (STATE / f"{host}.tree").write_text("\n".join(tree(host)))


def compare(host: str) -> None:
    """Compare the host's files with those remembered.

    Raises:
        ScenarioError: they differ; the text lists where.
    """
    before = set((STATE / f"{host}.tree").read_text().splitlines())
    after = set(tree(host))
    lines = [f"- {line}" for line in sorted(before - after)]
    lines += [f"+ {line}" for line in sorted(after - before)]
    if lines:
        raise ScenarioError(f"files of {host} have changed:\n" + "\n".join(lines[:40]))


def interrupt(host: str, images: int = 2, limit: float = 1800) -> None:
    """Start site.yml and kill everything, controller and host, once some images were pulled.

    Raises:
        ScenarioError: the run ended, or the time was over, before that.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    log = STATE / f"{host}.interrupted.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                str(ROOT / ".build/venv/bin/ansible-playbook"),
                *(f"--inventory={path}" for path in _inventories()),
                "--extra-vars=mailhost_hosts=scenario_hosts",
                str(SITE),
            ],
            # For people, who read its end where this fails.
            env=_environment(ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default"),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + limit
            begin = time.monotonic()
            while int(on(host, "docker images -q 2>/dev/null | wc -l", check=False) or 0) < images:
                if process.poll() is not None:
                    raise ScenarioError(f"the run ended by itself:\n{log.read_text()[-3000:]}")
                if time.monotonic() > end:
                    raise ScenarioError(f"no images after {limit:.0f} s")
                # A slow machine is not to be busy with being looked at.
                time.sleep(4 * (time.monotonic() - begin))
                begin = time.monotonic()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    # The brackets keep the pattern from matching the shell that holds it.
    running = on(host, "docker ps -q | wc -l; pkill -9 -f '[d]ocker[ -]compose'; true", check=False)
    print(f"killed with {running.split()[0]} containers running")


def main() -> int:
    """Run one of the steps above."""
    steps = {"remember": remember, "compare": compare, "interrupt": interrupt}
    if len(sys.argv) < 3 or sys.argv[1] not in steps:
        print(f"usage: python -m scenario {'|'.join(steps)} HOST...", file=sys.stderr)
        return 2
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(steps[sys.argv[1]], sys.argv[2:]))
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
