# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/platforms.md: from the lines of ansible-core, the scenarios, the hosts of the sandbox and
what the roles say they are written for.

Run by "make docs".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cores
import yaml
from doc_page import table
from sandbox import data

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "platforms.md"
ROLES = tuple(sorted(path.parent.name for path in (ROOT / "roles").glob("*/tasks")))
SCENARIOS = tuple(sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")))

#: The stack of a host of the sandbox whose scenario names none, see tests/sandbox/inventory.py.
STACK = "mailcow"
NOT_RUN = "not run"
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
unit tests are run on {oldest}, on the newest Python that is found, and on one between.

## Scenarios

Hosts are those of the sandbox: containers of a system, with systemd and packages of Debian's archive.
Their engines come from there as well, in packages like Docker's own. The kernel is that of the machine
around them.
"""

ROLES_BEGIN = """
## Roles

In which scenarios a role is run on a system. *{not_run}*: it is written for the system, and no scenario
runs it there. A dash: it is not written for it. The roles `doctor` and `preflight` look at any Linux. Which
systems the authors of a stack support is in [checks.md](checks.md).
"""

END = """
**Nothing has been run on Ubuntu yet, nor on EL** (RHEL and what is built from it, such as AlmaLinux and
Rocky). What there is for them:

- The roles {dnf} install packages with DNF, too.
- These systems are told apart in {code}, below `plugins/module_utils/`.
- The checks have unit tests with descriptions (files, and answers of programs) of {described}. These
  show how a check judges such a machine, and not that a role works there.

EL 8 is left out: its Python is 3.6.
"""


def render() -> str:
    """Return the page."""
    return "\n".join(
        [
            BEGIN,
            *table(
                ("ansible-core", "Python of the controller", "Python of managed hosts", "Tests"),
                map(_core, cores.CORES),
            ),
            PYTHON.format(oldest=cores.text(min(core.target[0] for core in cores.CORES))),
            *table(("Scenario", "What happens", "Debian"), map(_scenario, SCENARIOS)),
            ROLES_BEGIN.format(not_run=NOT_RUN),
            *_roles(),
            END.format(
                dnf=_list(_with_dnf()), code=_list(_code()), described=_list(_described(), "")
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


def _scenario(name: str) -> tuple[str, str, str]:
    """Return the row of a scenario; what happens there is told by the comment in its molecule.yml."""
    text = (ROOT / "molecule" / name / "molecule.yml").read_text(encoding="utf-8")
    comment = re.match(r"(?:# .*\n)+---\n((?:# .*\n)+)", text).group(1)
    told = " ".join(line[2:] for line in comment.splitlines())
    systems = {_debian(host) for host in _members(_inventory(name), "scenario_hosts")}
    return f"`{name}`", told, ", ".join(sorted(systems))


def _roles() -> list[str]:
    """Return the table of roles."""
    debian = {system.suite: system.version for system in data.SYSTEMS.values()}
    written = {role: _platforms(role) for role in ROLES}
    # ("Ubuntu", "jammy, noble"), without Debian.
    others = sorted(
        {item for found in written.values() for item in found or () if item[0] != "Debian"}
    )
    runs = {name: set(runs_of(name)) for name in SCENARIOS}
    head = ["Role", *(f"Debian {version}" for version in sorted(debian.values()))]
    rows = []
    for role in ROLES:
        platforms = written[role]
        suites = dict(platforms or ()).get("Debian", "").split(", ")
        known = {debian[suite] for suite in suites if suite}
        cells = []
        for version in sorted(debian.values()):
            seen = [name for name in SCENARIOS if (role, version) in runs[name]]
            alternative = NOT_RUN if platforms is None or version in known else "–"
            cells.append(", ".join(seen) or alternative)
        for item in others:
            cells.append(NOT_RUN if platforms is None or item in platforms else "–")
        rows.append((f"`{role}`", *cells))
    return table([*head, *(f"{name} {versions}" for name, versions in others)], rows)


def _platforms(role: str) -> list[tuple[str, str]] | None:
    """Return what a role says it is written for; None for any Linux."""
    path = ROOT / "roles" / role / "meta" / "main.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["galaxy_info"]["platforms"]
    if found == [{"name": "GenericLinux", "versions": ["all"]}]:
        return None
    return [(item["name"], ", ".join(item["versions"])) for item in found]


def runs_of(scenario: str) -> Iterator[tuple[str, str]]:
    """Yield (role, version of Debian) for what a scenario runs.

    It has the name of the role that it is for; its plays name others.
    """
    inventory = _inventory(scenario)
    everyone = _members(inventory, "scenario_hosts")
    for host in everyone:
        yield scenario, _debian(host)
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
                    # What site.yml can leave out.
                    if variables.get(f"mailhost_{role}") is not False:
                        yield role, _debian(host)


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


def _debian(host: str) -> str:
    """Return the version of Debian that a host of the sandbox has."""
    (system,) = (item.system for item in data.HOSTS if item.name == host)
    return data.SYSTEMS[system].version


def _with_dnf() -> list[str]:
    """Return the roles that install packages with DNF, too."""
    return [
        role
        for role in ROLES
        for path in [ROOT / "roles" / role / "tasks" / "packages.yml"]
        if path.exists() and "ansible.builtin.dnf:" in path.read_text(encoding="utf-8")
    ]


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
