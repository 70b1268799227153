# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/platforms.md: from the lines of ansible-core, the scenarios, the hosts of the sandbox,
what the roles say they are written for, and what was run last.

Run by "make docs" and "make record".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cores
import last_runs
import yaml
from doc_page import table
from sandbox import data

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "platforms.md"
ROLES = tuple(sorted(path.parent.name for path in (ROOT / "roles").glob("*/tasks")))
SCENARIOS = tuple(sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")))

#: Python 3 of Debian's releases, which is that of a host.
SUITE_PYTHONS = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
PYTHONS = tuple(f"3.{minor}" for minor in range(8, 15))

#: The stack of a host of the sandbox whose scenario names none, see tests/sandbox/inventory.py.
STACK = "mailcow"
STACKS = ("mailcow", "mailu")
NOT_RUN = "not run"
#: The name of site.yml's play, which calls the role bootstrap for hosts that ask for it.
SITE = "Mail host"
#: What code for systems other than Debian can be told by.
OTHERS = re.compile(r"\bREDHAT\b|\bYUM\b|\"ubuntu\"")

BEGIN = """\
# Platforms

What the collection runs with, what it is tested on, and what is written and has not been run yet.
This page is made by `tests/platforms_doc.py`.

## Python and ansible-core
"""

PYTHON = """
*all*: every test is run with it; it is the line that `make` takes for the Python that it finds. *sanity*:
`ansible-test sanity` only. On managed hosts the modules need nothing but Python's standard library; their
unit tests are run on the oldest Python that is found, and on the controller's.

What has passed, by the Python of managed hosts: *imports* are those of `ansible-test sanity`, which also
compiles; *units* are the unit tests; *scenarios* are playbooks on hosts of the sandbox. A dash: ansible-core
does not support it there.

{matrix}

## Scenarios

Hosts are those of the sandbox: containers of a system, with systemd and packages of Debian's archive.
Their engines come from there as well, in packages like Docker's own. The kernel is that of the machine
around them.

A *look-alike* is a Debian that says it is another system: it has that one's names, package manager,
repositories, services and places of files, and Debian's programs. What is told apart by these is really
run; whether another version of a program behaves alike is not shown. With `MAILHOST_TEST_IMAGES=upstream`
the scenario `platforms` has hosts from the images that the makers of each system publish, and they install
from the real archives; that needs a machine that reaches these. {upstream}

The last run names the day, the version of the collection, and how many tests passed.
"""

ROLES_BEGIN = """
## Roles

In which scenarios a role is run on a system: on the real one for Debian, on a look-alike for all
others. *{not_run}*: it is written for the system, and no scenario runs it there. A dash: it is not written
for it. The roles `doctor` and `preflight` look at any Linux. Which systems the authors of a stack support
is in [checks.md](checks.md).
"""

END = """
**No stack has been run on a real Ubuntu, nor on a real EL** (RHEL and what is built from it, such as
AlmaLinux and Rocky Linux); what else has, is said above. What the look-alikes do not have, or have otherwise:

- SELinux, which is switched off in them, as in every container.
- Versions: {made}. Docker's packages, EPEL's and the distributions' have these programs under their own
  names. Repositories and packages are signed, and checked, with keys of the sandbox.
- EL 8's own Python, 3.6, which Ansible's modules do not run on: the look-alike's is made to refuse them.
  The role `bootstrap` installs a newer one, for which there are no bindings to DNF; `dnf_packages` calls the
  command `dnf` there.

These systems are told apart in {code}, below `plugins/module_utils/`. The checks have unit tests with
descriptions (files, and answers of programs) of {described}. These show how a check judges such a machine,
and not that a role works there.
"""


def render() -> str:
    """Return the page."""
    notes = last_runs.read()
    return "\n".join(
        [
            BEGIN,
            *table(
                ("ansible-core", "Python of the controller", "Python of managed hosts", "Tests"),
                map(_core, cores.CORES),
            ),
            PYTHON.format(matrix="\n".join(_matrix(notes)), upstream=_upstream(notes)),
            *table(
                ("Scenario", "What happens", "Systems", "Last run"),
                (_scenario(name, notes) for name in SCENARIOS),
            ),
            ROLES_BEGIN.format(not_run=NOT_RUN),
            *_roles(notes),
            END.format(
                made="; ".join(_made()), code=_list(_code()), described=_list(_described(), "")
            ),
        ]
    )


def _core(core: cores.Core) -> tuple[str, ...]:
    """Return the row of a line of ansible-core."""
    bundle = ROOT / "requirements" / f"bundle-{core.name}.txt"
    return (
        core.name,
        " to ".join(map(cores.text, core.controller)),
        " to ".join(map(cores.text, core.target)),
        "all" if bundle.exists() else "sanity",
    )


def _matrix(notes: dict[str, dict]) -> list[str]:
    """Return the table of what was run where: ansible-core and controller by Python of hosts."""
    # By core and controller: what was seen on which Python; and the last day, with its version.
    seen: dict[tuple[str, str], dict[str, set[str]]] = {}
    days: dict[tuple[str, str], tuple[str, str]] = {}
    for step, note in notes.items():
        kind, _, scenario = step.partition("-")
        word = {"unit": "units", "sanity": "imports", "molecule": "scenarios"}.get(kind)
        if word is None:
            continue
        targets = note["targets"]
        if kind == "molecule":
            systems = map(_system, _members(_inventory(scenario), "scenario_hosts"))
            targets = {SUITE_PYTHONS[data.SYSTEMS[key].suite] for key in systems}
        row = note["core"], note["controller"]
        day = note["date"], note["version"]
        days[row] = max(days.get(row, day), day)
        for target in targets:
            seen.setdefault(row, {}).setdefault(target, set()).add(word)
    rows = []
    for core in cores.CORES:
        named = sorted(row for row in days if row[0] == core.name)
        supported = range(core.target[0][1], core.target[1][1] + 1)
        for row in named or [(core.name, "")]:
            cells = [
                ", ".join(sorted(seen.get(row, {}).get(target, ()))) or NOT_RUN
                if int(target.split(".")[1]) in supported
                else "–"
                for target in PYTHONS
            ]
            last = ", version ".join(days[row]) if row in days else NOT_RUN
            rows.append((core.name, row[1] or NOT_RUN, *cells, last))
    return table(("ansible-core", "Controller", *PYTHONS, "Last run"), rows)


def _upstream(notes: dict[str, dict]) -> str:
    """Say whether published images have been used."""
    days = [note["date"] for note in notes.values() if note.get("images")]
    return f"That was done last on {max(days)}." if days else "That has not been run yet."


def _scenario(name: str, notes: dict[str, dict]) -> tuple[str, ...]:
    """Return the row of a scenario; what happens there is told by the comment in its molecule.yml."""
    text = (ROOT / "molecule" / name / "molecule.yml").read_text(encoding="utf-8")
    comment = re.match(r"(?:# .*\n)+---\n((?:# .*\n)+)", text).group(1)
    told = " ".join(line[2:] for line in comment.splitlines())
    systems = {_system(host) for host in _members(_inventory(name), "scenario_hosts")}
    named = (data.SYSTEMS[key].name + (_alike(key) and " look-alike") for key in sorted(systems))
    note = notes.get(f"molecule-{name}")
    last = f"{note['date']}, version {note['version']}: {note['passed']}" if note else NOT_RUN
    return f"`{name}`", told, ", ".join(named), last


def _roles(notes: dict[str, dict]) -> list[str]:
    """Return the table of roles."""
    written = {role: _platforms(role) for role in ROLES}
    # One that never came to its end proves nothing of a role.
    runs = {name: set(runs_of(name)) for name in SCENARIOS if f"molecule-{name}" in notes}
    # Debian first, and each by its version.
    keys = sorted(data.SYSTEMS, key=lambda key: (bool(_alike(key)), key))
    rows = []
    for role in ROLES:
        cells = []
        for key in keys:
            seen = [name for name in runs if (role, key) in runs[name]]
            known = written[role] is None or _claim(key) in written[role]
            cells.append(", ".join(seen) or (NOT_RUN if known else "–"))
        rows.append((f"`{role}`", *cells))
    return table(["Role", *(data.SYSTEMS[key].name for key in keys)], rows)


def _alike(key: str) -> str:
    """Return a word when a system of the sandbox is a look-alike."""
    return "look-alike" if data.SYSTEMS[key].look else ""


def _claim(key: str) -> tuple[str, str]:
    """Return the name and the version by which a role says that it is written for a system."""
    system = data.SYSTEMS[key]
    if system.look is None:
        return "Debian", system.suite
    return "Ubuntu" if system.look.is_ubuntu else "EL", system.look.release


def _made() -> list[str]:
    """Say what each look-alike is made from."""
    return [
        f"{system.look.name} from Debian {system.version}"
        for _key, system in sorted(data.SYSTEMS.items())
        if system.look
    ]


def _platforms(role: str) -> set[tuple[str, str]] | None:
    """Return what a role says it is written for, by name and version; None for any Linux."""
    path = ROOT / "roles" / role / "meta" / "main.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["galaxy_info"]["platforms"]
    if found == [{"name": "GenericLinux", "versions": ["all"]}]:
        return None
    return {(item["name"], version) for item in found for version in item["versions"]}


def runs_of(scenario: str) -> Iterator[tuple[str, str]]:
    """Yield (role, system) for what a scenario runs, with the sandbox's names of systems.

    A scenario with the name of a role is for it; its plays name others.
    """
    inventory = _inventory(scenario)
    everyone = _members(inventory, "scenario_hosts")
    for host in everyone if scenario in ROLES else ():
        yield scenario, _system(host)
    for file in ("prepare.yml", "converge.yml"):
        path = ROOT / "molecule" / scenario / file
        for play in yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else ():
            if "ansible.builtin.import_playbook" in play:
                site = path.parent / play["ansible.builtin.import_playbook"]
                pattern = play["vars"]["mailhost_hosts"]
                (play,) = yaml.safe_load(site.read_text(encoding="utf-8"))
            else:
                pattern = play["hosts"]
            # The controller, and clients, are in no group.
            hosts = (
                _members(inventory, pattern)
                if pattern in inventory
                else {name: own for name, own in everyone.items() if name == pattern}
            )
            for name in _named(play):
                for host, variables in hosts.items():
                    stack = variables.get("mailhost_stack", STACK)
                    role = name.replace("{{ mailhost_stack }}", stack)
                    # What site.yml can leave out; and it has a task for each stack.
                    other = role in STACKS and role != stack
                    default = role != "bootstrap" or play["name"] != SITE
                    if not other and variables.get(f"mailhost_{role}", default):
                        yield role, _system(host)


def _named(value: object) -> Iterator[str]:
    """Yield our roles that a play, or a part of one, names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("role", "ansible.builtin.include_role", "ansible.builtin.import_role"):
                name = inner if isinstance(inner, str) else inner["name"]
                yield name.removeprefix("postmaster.mailhost.")
            else:
                yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)


def _inventory(scenario: str) -> dict:
    path = ROOT / "molecule" / scenario / "inventory.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _members(inventory: dict, name: str, inherited: dict | None = None) -> dict[str, dict]:
    """Return the hosts of a group, with their variables."""
    group = inventory[name] or {}
    variables = {**(inherited or {}), **(group.get("vars") or {})}
    found = {host: {**variables, **(own or {})} for host, own in (group.get("hosts") or {}).items()}
    for child in group.get("children") or {}:
        found |= _members(inventory, child, variables)
    return found


def _system(host: str) -> str:
    """Return the system that a host of the sandbox has."""
    (system,) = (item.system for item in data.HOSTS if item.name == host)
    return system


def _code() -> list[str]:
    """Return the files that decide otherwise for other systems than Debian."""
    folder = ROOT / "plugins" / "module_utils"
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*.py"))
        if path.parent.name != "stack" and OTHERS.search(path.read_text(encoding="utf-8"))
    ]


def _described() -> list[str]:
    """Return the systems, other than Debian, of the machines described for unit tests."""
    texts = (
        path.read_text(encoding="utf-8") for path in ROOT.glob("tests/unit/hosts/*/etc/os-release")
    )
    names = {re.search(r'^PRETTY_NAME="(.+?)"', text, re.MULTILINE).group(1) for text in texts}
    return sorted(name for name in names if "Debian" not in name)


def _list(names: Sequence[str], quote: str = "`") -> str:
    """Return names as "a, b and c"."""
    quoted = [f"{quote}{name}{quote}" for name in names]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
