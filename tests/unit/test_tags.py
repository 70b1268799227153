# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What --tags and --skip-tags leave of the playbooks, and each role in a play of its own."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in ROOT.glob("roles/*") if path.is_dir())
STACKS = sorted(stack.names("services"))
(SITE,) = yaml.safe_load((ROOT / "playbooks/site.yml").read_text(encoding="utf-8"))
ALWAYS = [
    "A Python for Ansible",
    "Need a stack that can be stood up",
    "Validate",
    "Validate the firewall",
]


def ansible_playbook(*arguments, cwd=ROOT):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    run = subprocess.run(
        # Where ansible is found, whichever way the tests are run.
        [sys.executable, "-c", "from ansible.cli.playbook import main; main()", *arguments],
        cwd=cwd,
        env={
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@functools.lru_cache
def listed(playbook, *options):
    """Return the tasks that Ansible would run, each as its name and its tags."""
    output = ansible_playbook("--list-tasks", *options, str(ROOT / "playbooks" / playbook))
    lines = re.findall(r"^      (.*?)\tTAGS: \[(.*)\]", output, re.MULTILINE)
    return [(name.strip(), frozenset(tags.split(", "))) for name, tags in lines]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("preflight", {"preflight", "Look once more"}),
        ("system", {"system", "Look at what was repaired"}),
        ("docker", {"docker"}),
        (
            "firewall",
            {
                "Validate the firewall",
                "Other firewalls",
                "Firewall",
                "Firewall, once more for what the override publishes",
            },
        ),
        ("mailcow", {"Mailcow"}),
        ("mailu", {"Mailu"}),
        ("fail2ban", {"Validate Fail2Ban", "Fail2Ban"}),
        ("doctor", {"Doctor"}),
    ],
)
def test_a_tag_is_the_name_of_a_role(tag, expected):
    tagged = [name for name, tags in listed("site.yml") if tag in tags]
    # Those of an imported role are ROLE : TASK.
    assert {name.split(" : ")[0].rpartition(".")[2] for name in tagged} == expected


def test_a_tag_leaves_its_role_and_what_is_needed_by_all():
    """Of Ansible itself, as the list above only says which tags there are."""
    everything = listed("site.yml")
    chosen = [name for name, _tags in listed("site.yml", "--tags", "docker")]
    own = [name for name, tags in everything if "docker" in tags]
    assert len(own) > 5
    assert [name for name in chosen if name in own] == own
    # Of the other imported roles, Ansible validates the options.
    rest = [name for name in chosen if name not in own and " : Validating arg" not in name]
    assert rest == ALWAYS


def test_a_skipped_tag_takes_what_is_always_run_for_its_role_along():
    left = [name for name, _tags in listed("site.yml", "--skip-tags", "firewall")]
    gone = [name for name, _tags in listed("site.yml") if name not in left]
    assert gone == [name for name, tags in listed("site.yml") if "firewall" in tags]
    assert "Validate the firewall" in gone


def test_every_task_has_the_tag_of_a_role_or_is_always_run():
    for task in SITE["tasks"]:
        tags = task["tags"] if isinstance(task["tags"], list) else [task["tags"]]
        assert set(tags) <= {*ROLES, "always"}, task["name"]


def test_what_is_included_by_a_tag_has_it_inside_as_well():
    """The tags of a task that includes say only whether that task is run."""
    included = [task for task in SITE["tasks"] if "ansible.builtin.include_role" in task]
    assert len(included) > 5
    for task in included:
        assert task["ansible.builtin.include_role"]["apply"] == {"tags": task["tags"]}, task["name"]


@pytest.mark.parametrize("name", STACKS)
def test_each_stack_is_stood_up_by_a_task_with_its_name(name):
    (task,) = [
        task
        for task in SITE["tasks"]
        if task.get("ansible.builtin.include_role", {}).get("name") == f"postmaster.mailhost.{name}"
    ]
    assert task["tags"] == name
    assert task["when"] == f"mailhost_stack == '{name}'"


@pytest.mark.parametrize("name", ["preflight", "doctor"])
def test_a_playbook_of_one_role_has_its_tag(name):
    tasks = listed(f"{name}.yml")
    assert tasks
    assert all(name in tags for _task, tags in tasks)


def test_each_role_can_be_used_in_a_play_that_gathers_no_facts(tmp_path):
    """Imported, so that its tasks are read as well; one call for all roles, as starting takes long."""
    books = []
    for role in ROLES:
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.import_role": {"name": f"postmaster.mailhost.{role}"}}],
        }
        books.append(tmp_path / f"{role}.yml")
        books[-1].write_text(yaml.safe_dump([play]), encoding="utf-8")
    ansible_playbook("--syntax-check", *map(str, books), cwd=tmp_path)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reads_facts_that_somebody_must_have_gathered(role):
    """A fact that only a play with gather_facts has would be missed where it is set to false."""
    fact = re.compile(
        r"ansible_facts\b|\bansible_(?:distribution|os_family|default_ipv4|hostname|fqdn)"
    )
    found = [
        path.relative_to(ROOT)
        for path in (ROOT / "roles" / role).rglob("*.y*ml")
        if fact.search(re.sub(r"(^|\s)#.*", "", path.read_text(encoding="utf-8")))
    ]
    assert not found
