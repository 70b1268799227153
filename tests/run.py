# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the tests step by step and count them: "make check", "make test" and others.

    python tests/run.py check|test|test-release|test-systems|test-vm [STEP ...]

Each step is one line with what it counted and its time; its output is in
.build/log/STEP.log, and the end of it is shown when the step fails. STEP names
one step or, with a trailing *, several. The last line is the sum of all steps.

Two steps run at a time, as there are two cores: one with hosts of the sandbox and one that needs this
machine only, as long as there are both. Scenarios that share a host run one after the other.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cores
import last_runs
import publish
from cores import BUILD, ROOT, VENV, Core

LOG = BUILD / "log"
HOME = BUILD / "home"
COLLECTIONS = BUILD / "collections"
INVENTORY = BUILD / "sandbox" / "inventory.yml"
# All steps together; a run that hangs must end by itself.
LIMIT_SECONDS = 86 * 60
TAIL_LINES = 40
MOST_COLUMNS = 300
# Scenarios with hosts in common, so that one waits for the other: they begin first, and others run
# beside them. Behind them the longest, so that it is not left for the end.
FIRST = ("mailcow", "doctor", "fail2ban", "firewall", "preflight", "mailu")
# Scenarios with virtual machines. Where the processor cannot run these by itself, one takes longer
# than everything else; so they are a set of their own.
VIRTUAL = ("vm",)
# Scenarios with look-alikes of other systems. With them all steps would take more than an hour.
SYSTEMS = ("platforms", "stacks")

DEADLINE = time.monotonic() + LIMIT_SECONDS


class StepError(Exception):
    """A command of a step failed or did not end in time; the text says which."""


@dataclasses.dataclass
class Count:
    """How many tests of a step passed, failed, and were skipped with which words; and a line about
    each that failed, as far as the log names them. `seen` is what last_runs.note() wants of it.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""
    failures: list[str] = dataclasses.field(default_factory=list)
    seen: dict = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{self.passed} passed, {self.failed} failed"]
        if self.skipped:
            words.append(f"{self.skipped} skipped")
        if self.note:
            words.append(f"({self.note})")
        return ", ".join(words[:2]) + "".join(f" {word}" for word in words[2:])


@dataclasses.dataclass
class Step:
    """A named step: `action` gets the step's Log and returns its Count.

    It does not run at the same time as another that needs one of the same `hosts` of the sandbox.
    """

    name: str
    action: Callable[[Log], Count]
    hosts: frozenset[str] = frozenset()


#: How many steps run at the same time.
AT_ONCE = 2

#: The hosts of the scenarios that are to be run; main() knows.
HOSTS: set[str] = set()
#: The commands that run at the moment, of all steps.
RUNNING: set[subprocess.Popen] = set()
INTERRUPTED = threading.Event()
#: Lines of different steps are not mixed.
PRINTING = threading.Lock()
#: Held while somebody works on what tests/publish.py makes: there is one of it.
PUBLISHING = threading.Lock()


def end(process: subprocess.Popen) -> None:
    """End a command and all that it started."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


class Log:
    """The log file of one step, and the only way a step runs a command."""

    def __init__(self, name: str) -> None:
        self.path = LOG / f"{name}.log"
        self.path.write_text("")

    def run(self, command: list, cwd: Path = ROOT, **environment: str) -> int:
        """Run a command with its output in the log; return its exit code.

        Raises StepError when the time for all steps is used up; the command and
        all that it started are ended then.
        """
        command = [str(word) for word in command]
        with self.path.open("a") as log:
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=clean_environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            RUNNING.add(process)
            try:
                code = process.wait(timeout=max(0, DEADLINE - time.monotonic()))
            except subprocess.TimeoutExpired:
                end(process)
                limit = LIMIT_SECONDS // 60
                raise StepError(f"the {limit} minutes for all steps are over") from None
            finally:
                RUNNING.discard(process)
            if INTERRUPTED.is_set():
                raise StepError("interrupted")
            return code

    def must(self, command: list, cwd: Path = ROOT, **environment: str) -> None:
        """Run a command; raise StepError when it fails."""
        code = self.run(command, cwd, **environment)
        if code != 0:
            raise StepError(f"exit code {code}: {' '.join(str(word) for word in command)}")

    def passes(self, command: list, cwd: Path = ROOT, **environment: str) -> Count:
        """Run a command that is one test."""
        code = self.run(command, cwd, **environment)
        return Count(passed=int(code == 0), failed=int(code != 0))

    def say(self, line: str) -> None:
        """Add a line of our own."""
        with self.path.open("a") as log:
            log.write(line + "\n")

    def text(self) -> str:
        """Return what was logged so far, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.path.read_text(errors="replace"))


def clean_environment() -> dict[str, str]:
    """Return the environment of every command: nothing of the caller's settings
    that could change a result, and a home of its own below .build.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "MOLECULE_", "PYENV", "PYTEST_", "PYTHON"))
        and name != "VIRTUAL_ENV"
    }
    folders = [str(VENV / "bin"), *cores.search_path()]
    folders += [folder for folder in ("/usr/sbin", "/sbin") if folder not in folders]
    return kept | {
        "PATH": os.pathsep.join(folders),
        "HOME": str(HOME),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        # Facts are read as ansible_facts[...] everywhere; the tests hold us to it.
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(BUILD / "hypothesis"),
        # Tables are not cut at 80 columns.
        "COLUMNS": "160",
    }


def prepare_home() -> None:
    """Fill the home that commands get: pip's settings, and what ansible-test wants.

    ansible-test passes no PIP_* variables on, so the settings in force, from
    whatever source, become a file. It would also fetch get-pip from a server of
    its own; the copy written here does the same with what Python brings along.
    """
    settings = subprocess.run(
        [VENV / "bin/python", "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    sections: dict[str, dict[str, str]] = {}
    # What comes from the environment (":env:.NAME") wins, and so comes last.
    for line in sorted(settings.splitlines(), key=lambda line: line.startswith(":env:")):
        name, value = line.split("=", maxsplit=1)
        section, option = name.replace(":env:", "global").rsplit(".", maxsplit=1)
        # Several words are one a line in the file; a single one stands on the first.
        words = value.strip("'\"").replace("\\n", " ").split()
        sections.setdefault(section, {})[option] = "\n    ".join(words)
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in options.items())]
    pip = HOME / ".config" / "pip" / "pip.conf"
    pip.parent.mkdir(parents=True, exist_ok=True)
    pip.write_text("\n".join(lines) + "\n")
    # It may hold the password of an index.
    pip.chmod(0o600)

    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in {core.get_pip for core in cores.CORES}:
        (cache / name).write_text((ROOT / "tests" / "get_pip.py").read_text())


def tracked_files() -> list[Path]:
    """Return the project's files relative to the checkout: known to git, or new and
    not ignored.
    """
    output = subprocess.run(
        # The checkout may belong to somebody else than root, who runs the tests.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if output.returncode != 0:
        raise StepError(f"git ls-files: {output.stderr.strip()}")
    names = sorted({name for name in output.stdout.split("\0") if name})
    return [Path(name) for name in names if (ROOT / name).exists()]


# --- lint ---------------------------------------------------------------------------


def shell_scripts() -> list[Path]:
    """Return the tracked files that a POSIX shell or bash runs."""
    scripts = []
    for path in tracked_files():
        with (ROOT / path).open("rb") as file:
            first = file.readline(100)
        if re.match(rb"#! ?/\S*(/|env )(ba)?sh\b", first):
            scripts.append(path)
    return scripts


def lint(log: Log, *command: str) -> Count:
    """Run one linter."""
    return log.passes([VENV / "bin" / command[0], *command[1:]])


# --- unit tests ---------------------------------------------------------------------


def pytest_count(log: Log, report: Path, command: list, **environment: str) -> Count:
    """Run pytest with a report in JUnit's format and count from it."""
    report.unlink(missing_ok=True)
    code = log.run([*command, f"--junitxml={report}"], **environment)
    if not report.exists():
        raise StepError(f"pytest ended with code {code} before any test")
    count = Count()
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        names = ("tests", "failures", "errors", "skipped")
        value = {name: int(suite.get(name, 0)) for name in names}
        failed = value["failures"] + value["errors"]
        count.failed += failed
        count.skipped += value["skipped"]
        count.passed += value["tests"] - failed - value["skipped"]
    if code != 0 and count.failed == 0:
        raise StepError(f"pytest ended with code {code}")
    return count


def unit(log: Log) -> Count:
    """All unit tests, on the controller's Python."""
    count = pytest_count(
        log,
        LOG / "unit.xml",
        [VENV / "bin/python", "-m", "pytest", "-q"],
        # Those of the sandbox know the addresses of the one without a name.
        MAILHOST_SANDBOX="",
    )
    count.seen = {"targets": [cores.text(cores.python_of(VENV))]}
    return count


def kernel(log: Log) -> Count:
    """Tests with packets, in network namespaces of this machine's kernel."""
    return pytest_count(
        log, LOG / "kernel.xml", [VENV / "bin/python", "-m", "pytest", "-q", "tests/kernel"]
    )


def fail2ban(log: Log, quick: bool) -> Count:
    """Our filters and actions in every version of fail2ban that we support.

    quick: in the oldest and the newest only; those between are on hosts of the scenario "fail2ban".
    """
    return pytest_count(
        log,
        LOG / f"{log.path.stem}.xml",
        [VENV / "bin/python", "-m", "pytest", "-q", "tests/fail2ban"],
        **({"MAILHOST_FAIL2BAN": "oldest,newest"} if quick else {}),
        # Old versions run on an old Python; the home that commands get hides pyenv's.
        PYENV_ROOT=os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv"),
    )


def target_units(log: Log, python: Path, core: Core) -> Count:
    """The tests of what runs on managed hosts, on a Python of such hosts.

    As there, the interpreter has no ansible-core installed; it sees the
    module_utils of `core`, pytest, and a YAML parser.
    """
    tests = [ROOT / "tests/unit/plugins" / part for part in ("module_utils", "modules")]
    tests = [path for path in tests if path.exists()]
    pins = ROOT / "requirements" / "targets.txt"
    library = BUILD / "targets" / "pytest"
    stamp = BUILD / "targets" / "stamp"
    if not stamp.exists() or stamp.read_text() != pins.read_text():
        shutil.rmtree(library, ignore_errors=True)
        log.must(
            [
                VENV / "bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--python-version=3.8",
                "--target",
                library,
                "-r",
                pins,
            ]
        )
        stamp.write_text(pins.read_text())
    venv = cores.core_venv(core, cores.controller_for(core, cores.pythons()), log.must)
    site = next(venv.glob("lib/python*/site-packages/ansible"))
    ansible = BUILD / "targets" / core.name / "ansible"
    shutil.rmtree(ansible.parent, ignore_errors=True)
    ansible.mkdir(parents=True)
    # An empty package, as a module meets it on a managed host.
    (ansible / "__init__.py").write_text("")
    for name in ("release.py", "module_utils"):
        (ansible / name).symlink_to(site / name)
    # Some tests compare documentation; the YAML parser works without its compiled part.
    (ansible.parent / "yaml").symlink_to(site.parent / "yaml")
    count = pytest_count(
        log,
        LOG / f"{log.path.stem}.xml",
        [python, "-m", "pytest", "-q", *tests],
        PYTHONPATH=os.pathsep.join(map(str, (library, ansible.parent))),
        # Byte code of many Pythons is not left in the checkout.
        PYTHONDONTWRITEBYTECODE="1",
    )
    count.seen = {
        "core": core.name,
        "controller": cores.text(cores.python_of(venv)),
        "targets": [log.path.stem.removeprefix("unit-python")],
    }
    return count


def target_unit_steps() -> Iterator[Step]:
    """A step for the oldest Python of managed hosts on this machine.

    The step "unit" has a newer one, and "sanity" of a release compiles and imports on all.
    """
    found = cores.pythons()
    in_use = cores.core_in_use()
    fit = {
        version: core
        for version in found
        for core in (*cores.CORES, in_use)
        if core.target[0] <= version <= core.target[1] and cores.controller_for(core, found)
    }
    for version in {min(fit)} - {cores.python_of(VENV)} if fit else ():
        name = f"unit-python{cores.text(version)}"
        yield Step(name, lambda log, p=found[version], c=fit[version]: target_units(log, p, c))


# --- the collection as a user gets it -----------------------------------------------

# What a user of the collection needs, and therefore all that is in the tarball.
SHIPPED = {
    "CHANGELOG.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md",
    "SECURITY.md", "changelogs", "docs", "meta", "playbooks", "plugins", "requirements.yml", "roles",
}  # fmt: skip


def collection(log: Log) -> Count:
    """Build the tarball, install it elsewhere, and use it from there."""
    place = BUILD / "tarball"
    shutil.rmtree(place, ignore_errors=True)
    elsewhere = place / "elsewhere"
    elsewhere.mkdir(parents=True)
    installed = place / "collections" / "ansible_collections"
    installed.mkdir(parents=True)
    # The dependencies, but not the checkout.
    for namespace in (COLLECTIONS / "ansible_collections").iterdir():
        if namespace.name != "postmaster":
            (installed / namespace.name).symlink_to(namespace.resolve())
    galaxy = [VENV / "bin/ansible-galaxy", "collection"]
    log.must([*galaxy, "build", "--output-path", place])
    tarball = next(place.glob("*.tar.gz"))
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(place / "collections")}
    # Not --no-deps: the lower bounds in galaxy.yml are checked as well.
    log.must([*galaxy, "install", tarball, "--offline", "-p", place / "collections"], **environment)

    count = Count()
    root = installed / "postmaster" / "mailhost"
    extra = sorted({path.name for path in root.iterdir()} - SHIPPED)
    log.say(f"in the tarball, but not meant to be: {extra or 'nothing'}")
    count.passed, count.failed = (0, 1) if extra else (1, 0)

    commands = []
    kinds = {"modules": "module", "lookup": "lookup", "filter": "filter", "callback": "callback"}
    for folder, kind in kinds.items():
        for path in sorted((root / "plugins" / folder).glob("[!_]*.py")):
            name = f"postmaster.mailhost.{path.stem}"
            # A filter's file may hold several filters under names of their own.
            if kind != "filter" or f"name: {path.stem}" in path.read_text():
                commands.append([VENV / "bin/ansible-doc", "-t", kind, name])
    for path in sorted((root / "roles").glob("*")):
        commands.append(
            [VENV / "bin/ansible-doc", "-t", "role", f"postmaster.mailhost.{path.name}"]
        )
    for playbook in sorted((root / "playbooks").glob("*.yml")):
        name = f"postmaster.mailhost.{playbook.stem}"
        commands.append([VENV / "bin/ansible-playbook", "-i", "localhost,", "--syntax-check", name])
    if (root / "roles" / "preflight").exists():
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "postmaster.mailhost.preflight"},
                    "vars": {"preflight_fail_on": "never", "preflight_stack": "mailcow"},
                }
            ],
        }
        (elsewhere / "play.yml").write_text(json.dumps([play]))
        commands.append([VENV / "bin/ansible-playbook", "-i", "localhost,", "play.yml"])
    failed = []
    for command in commands:
        if log.run(command, cwd=elsewhere, **environment) == 0:
            count.passed += 1
        else:
            count.failed += 1
            failed.append(" ".join(map(str, command)))
    for line in failed:
        log.say(f"failed: {line}")
    return count


def published(log: Log, looks: Callable[[Log], dict[str, bool]]) -> Count:
    """What others do with the tarball, see tests/publish.py."""
    count = Count()
    with PUBLISHING:
        looked = looks(log)
    for name, good in looked.items():
        if good:
            count.passed += 1
        else:
            count.failed += 1
            log.say(f"not in order: {name}")
    return count


# --- ansible-test -------------------------------------------------------------------


def sanity(log: Log, core: Core, python: Path, quick: bool) -> Count:
    """Run "ansible-test sanity" of one line of ansible-core on what the tarball holds.

    quick: without pylint, which takes more than a third of the time, and most of whose rules ruff
        knows; and not on the Pythons of managed hosts that are on this machine beside PATH.

    On a copy, because ansible-test wants to stand in a real folder
    ansible_collections/NAMESPACE/NAME, and would look at .build otherwise. What is not
    shipped, half of all Python here, is for ruff alone.
    """
    venv = cores.core_venv(core, python, log.must)
    root = BUILD / "sanity" / core.name / "ansible_collections" / "postmaster" / "mailhost"
    shutil.rmtree(root, ignore_errors=True)
    for path in tracked_files():
        if path.parts[0] not in {*SHIPPED, "galaxy.yml"}:
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, root / path, follow_symlinks=False)
    # A repository of its own; in ours, ansible-test would find only ignored files.
    log.must(["git", "init", "--quiet"], cwd=root)
    # The folders of Pythons that are not on PATH come last, and so add only these.
    folders = [str(venv / "bin"), clean_environment()["PATH"]]
    first, last = core.target
    if not quick:
        others = cores.pythons().items()
        folders += [str(path.parent) for version, path in others if first <= version <= last]
    code = log.run(
        [
            *(venv / "bin/ansible-test", "sanity", "--local", "--color", "no"),
            *(["--skip-test=pylint"] if quick else []),
        ],
        cwd=root,
        PATH=os.pathsep.join(folders),
    )
    text = log.text()
    # A test that runs on several Pythons is counted for each.
    ran = len(re.findall(r'^Running sanity test "', text, re.MULTILINE))
    failed = re.search(r"The (\d+) sanity test\(s\) listed below", text)
    if code != 0 and not failed:
        raise StepError(f"ansible-test ended with code {code}")
    if ran == 0:
        raise StepError("ansible-test ran no test")
    number = int(failed.group(1)) if failed else 0
    # Once more at the end, where a reader looks first.
    for line in re.findall(r"^ERROR: .*", text, re.MULTILINE):
        log.say(line)
    seen = {
        "core": core.name,
        "controller": cores.text(cores.python_of(venv)),
        "targets": re.findall(r'^Running sanity test "import" on Python (\S+)', text, re.MULTILINE),
    }
    return Count(passed=ran - number, failed=number, seen=seen)


def sanity_steps(cores_wanted: Sequence[Core], quick: bool) -> Iterator[Step]:
    """A step for each of these lines of ansible-core."""
    found = cores.pythons()
    for core in cores_wanted:
        python = cores.controller_for(core, found)
        name = "sanity-quick" if quick else f"sanity-{core.name}"
        if python is None:
            first, last = map(cores.text, core.controller)
            need = f"no Python {first} to {last} here"
            yield Step(name, lambda log, note=need: Count(skipped=1, note=note))
        else:
            yield Step(name, lambda log, c=core, p=python: sanity(log, c, p, quick))


# --- the sandbox --------------------------------------------------------------------


SANDBOX = (VENV / "bin/python", "-m", "sandbox")


def sandbox(log: Log) -> Count:
    """Bring up the small internet and a host, and make what the other hosts begin with: a scenario
    that builds it keeps all others waiting.
    """
    environment = {"PYTHONPATH": str(ROOT / "tests")}
    if HOSTS:
        log.must([*SANDBOX, "build", *sorted(HOSTS)], **environment)
    return log.passes([*SANDBOX, "up"], **environment)


def molecule(log: Log, scenario: str) -> Count:
    """Run one scenario; each of its actions (check, converge, ...) is one test, and so is each
    test of its verify.
    """
    command = [VENV / "bin/molecule", "-c", "molecule/config.yml"]
    # Said, because molecule looks in extensions/molecule of a collection.
    environment = {"MOLECULE_GLOB": "molecule/*/molecule.yml", "MAILHOST_INVENTORY": str(INVENTORY)}
    # Without the step "sandbox" nobody has written it yet, and plays read it before they make a host.
    log.must([*SANDBOX, "inventory"], PYTHONPATH=str(ROOT / "tests"))
    # After a run that was cut off, molecule would not make the hosts again.
    log.must([*command, "reset", "-s", scenario], **environment)
    code = log.run([*command, "test", "-s", scenario], **environment)
    recap = re.search(r"successful=(\d+).*?failed=(\d+)", log.text().rpartition("RECAP")[2])
    if recap is None:
        raise StepError(f"molecule ended with code {code} before any action")
    count = Count(passed=int(recap.group(1)), failed=int(recap.group(2)))
    if code != 0 and count.failed == 0:
        raise StepError(f"molecule ended with code {code}")
    # The action "verify" runs pytest, whose tests count one by one.
    closing = re.findall(r"\d+ (?:passed|failed)\b.* in [\d.]+s\b", log.text())
    for number, word in re.findall(r"(\d+) (passed|failed|error)", "\n".join(closing)):
        if word == "passed":
            count.passed += int(number)
        else:
            count.failed += int(number)
    return count


# --- all of it ----------------------------------------------------------------------


def check_steps() -> Iterator[Step]:
    """The quick steps."""
    yield Step("ruff", lambda log: lint(log, "ruff", "check", "--output-format=concise"))
    yield Step(
        "ruff-format", lambda log: lint(log, "ruff", "format", "--check", "--output-format=concise")
    )
    yield Step("yamllint", lambda log: lint(log, "yamllint", "--strict", "."))
    yield Step("shellcheck", lambda log: log.passes(["shellcheck", *shell_scripts()]))
    # As long as the unit tests, and beside them.
    yield Step("ansible-lint", lambda log: lint(log, "ansible-lint"))
    yield Step("changelog", lambda log: lint(log, "antsibull-changelog", "lint"))
    yield Step("unit", unit)


def all_steps() -> Iterator[Step]:
    """Every step."""
    yield from check_steps()
    yield Step("kernel", kernel)
    yield Step("fail2ban", lambda log: fail2ban(log, quick=True))
    yield Step("collection", collection)
    yield from sanity_steps([cores.core_in_use()], quick=True)
    names = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    names -= {*VIRTUAL, *SYSTEMS}
    steps = list(scenarios([*FIRST, *sorted(names - {*FIRST})]))
    # It is what they all begin with: none runs beside it.
    yield Step("sandbox", sandbox, frozenset().union(*(step.hosts for step in steps)))
    yield from steps


def release_steps() -> Iterator[Step]:
    """What Galaxy and the makers of documentation do with the tarball, sanity of every ansible-core, the
    oldest Python of managed hosts, and every fail2ban.
    """
    yield Step("docs-site", lambda log: published(log, publish.docs_site))
    yield Step("galaxy-importer", lambda log: published(log, publish.importer))
    yield from target_unit_steps()
    yield Step("fail2ban-versions", lambda log: fail2ban(log, quick=False))
    yield from sanity_steps(cores.CORES, quick=False)


def scenarios(names: Sequence[str]) -> Iterator[Step]:
    """The steps of some scenarios; alone, they make what they need of the sandbox."""
    for name in names:
        made = (ROOT / "molecule" / name / "create.yml").read_text()
        hosts = frozenset(re.findall(r"(?:mail|vm)\d+", " ".join(re.findall("sandbox .*", made))))
        yield Step(f"molecule-{name}", lambda log, n=name: molecule(log, n), hosts)


def failures(text: str) -> list[str]:
    """Return what a log says of the tests of pytest that failed, each once and on a line."""
    found = re.findall(r"\b(?:FAILED|ERROR) \S+::[^\"\n]+", text)
    return [line[:MOST_COLUMNS] for line in dict.fromkeys(found)]


def perform(step: Step) -> Count:
    """Run one step, print its line and, if it failed, the end of its log."""
    begin = time.monotonic()
    log = Log(step.name)
    if sys.stdout.isatty():
        # Some steps take minutes; who sits before it may look over their shoulder.
        with PRINTING:
            print(f"{step.name:<24}     ...    tail -f {log.path.relative_to(ROOT)}", flush=True)
    try:
        count = step.action(log)
        problem = ""
    except (StepError, OSError) as error:
        count = Count(failed=1)
        problem = str(error)
        log.say(problem)
    if count.passed and not count.failed:
        last_runs.note(step.name, count.passed, **count.seen)
    if count.failed:
        named = failures(log.text()) or [problem or f"see {log.path.relative_to(ROOT)}"]
        count.failures = [f"{step.name}: {line}" for line in named]
    with PRINTING:
        print(f"{step.name:<24}{time.monotonic() - begin:7.1f} s  {count}", flush=True)
        if count.failed and not INTERRUPTED.is_set():
            # What failed comes before the end of the log, which may be about the end only.
            for line in [*named, "...", *log.text().splitlines()[-TAIL_LINES:]]:
                print(f"    {line}")
            print(f"    (the whole log: {log.path.relative_to(ROOT)})", flush=True)
    return count


def next_step(waiting: Sequence[Step], running: Sequence[Step]) -> Step | None:
    """Return the first step that may run beside those that do.

    One that needs no hosts is taken where such with hosts run, and the other way round, as long as
    there are both: the former work, and the latter often wait.
    """
    busy = frozenset().union(*(step.hosts for step in running))
    free = [step for step in waiting if not step.hosts & busy]
    with_hosts = bool(busy)
    return min(free, key=lambda step: bool(step.hosts) == with_hosts, default=None)


def perform_all(steps: Sequence[Step]) -> list[Count]:
    """Run all steps; return what they counted."""
    waiting, running, counts = list(steps), {}, []
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        try:
            while running or waiting:
                while len(running) < AT_ONCE:
                    step = next_step(waiting, list(running.values()))
                    if step is None:
                        break
                    waiting.remove(step)
                    running[pool.submit(perform, step)] = step
                done, _others = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    del running[future]
                    counts.append(future.result())
        except KeyboardInterrupt:
            INTERRUPTED.set()
            for process in list(RUNNING):
                end(process)
            raise
    return counts


def main(arguments: list[str]) -> int:
    """Run the steps asked for; return the exit code."""
    sets = {
        "check": check_steps,
        "test": all_steps,
        "test-release": release_steps,
        "test-systems": lambda: scenarios(SYSTEMS),
        "test-vm": lambda: scenarios(VIRTUAL),
    }
    if not arguments or arguments[0] not in sets:
        print(f"usage: python tests/run.py {'|'.join(sets)} [STEP ...]", file=sys.stderr)
        return 2
    LOG.mkdir(parents=True, exist_ok=True)
    prepare_home()
    steps = list(sets[arguments[0]]())
    wanted = arguments[1:]
    for pattern in wanted:
        if not fnmatch.filter([step.name for step in steps], pattern):
            names = ", ".join(step.name for step in steps)
            print(f"no step {pattern}; there are: {names}", file=sys.stderr)
            return 2
    total = Count()
    chosen = [
        step
        for step in steps
        if not wanted or any(fnmatch.fnmatch(step.name, pattern) for pattern in wanted)
    ]
    HOSTS.update(*(step.hosts for step in chosen if step.action is not sandbox))
    for count in perform_all(chosen):
        total.passed += count.passed
        total.failed += count.failed
        total.skipped += count.skipped
        total.failures += count.failures
    # Where a reader looks first; the ends of the logs are far above.
    print("".join(f"{line}\n" for line in total.failures), end="")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
