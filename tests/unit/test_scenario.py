# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of playbooks for scenarios, judged host by host and case by case."""

from __future__ import annotations

import json

import pytest
import scenario

# A colour that is not allowed is refused, and red is a change.
PLAYBOOK = """
- hosts: "{{ mailhost_hosts }}"
  gather_facts: false
  tasks:
    - name: Judge
      ansible.builtin.assert:
        that: colour in hostvars['other'].allowed
        fail_msg: "{{ colour }} is not allowed"
    - name: Paint
      ansible.builtin.debug:
        msg: "{{ colour }} {{ coats }}"
      changed_when: colour == 'red'
"""
INVENTORY = {
    "scenario_hosts": {
        "hosts": {
            "box": {"colour": "red", "coats": 1},
            "other": {"colour": "blue", "coats": 2, "allowed": ["red", "blue"]},
        },
        "vars": {"ansible_connection": "local"},
    }
}


@pytest.fixture
def playbook(tmp_path, monkeypatch):
    """A scenario with two hosts, and its playbook."""
    (tmp_path / "inventory.yml").write_text(json.dumps(INVENTORY))
    (tmp_path / "sandbox.yml").write_text("{}")
    monkeypatch.setenv("MOLECULE_SCENARIO_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(scenario, "INVENTORY", str(tmp_path / "sandbox.yml"))
    path = tmp_path / "playbook.yml"
    path.write_text(PLAYBOOK)
    return path


def test_a_run_is_told_apart_by_host(playbook):
    run = scenario.play(playbook, by_host={"other": {"colour": "grey"}})
    assert (run.rc, run.changed, run.failed) == (2, ["Paint"], ["Judge"])
    assert run.changed_on == {"box": ["Paint"]}
    good, bad = run.of("box"), run.of("other")
    assert (good.rc, good.changed, good.failed, good.message) == (0, ["Paint"], [], "")
    assert (bad.rc, bad.changed, bad.failed) == (2, [], ["Judge"])
    assert bad.message == "grey is not allowed"


def test_each_case_has_a_run_of_its_own_and_sees_the_other_hosts(playbook):
    cases = {"as it is": {}, "grey": {"colour": "grey"}, "blue": {"colour": "blue"}}
    runs = scenario.play_cases(playbook, "box", cases, coats=3)
    assert {case: run.rc for case, run in runs.items()} == {"as it is": 0, "grey": 2, "blue": 0}
    assert {case: run.changed for case, run in runs.items()} == {
        "as it is": ["Paint"],
        "grey": [],
        "blue": [],
    }
    assert runs["grey"].message == "grey is not allowed"
    # Neither the host itself nor another takes part.
    assert len(runs["blue"].results) == 1
    assert [run["Paint"]["msg"] for run in runs["blue"].results.values()] == ["blue 3"]


def test_what_never_came_to_a_play_is_an_error(playbook):
    playbook.write_text("- hosts: [")
    assert scenario.play(playbook).rc != 0
    with pytest.raises(scenario.ScenarioError, match="playbook.yml"):
        scenario.play_cases(playbook, "box", {"any": {}})


def test_each_case_is_in_one_group():
    cases = {"one": 1, "two": 2}
    assert scenario.together(cases, ["two"], ["one"]) == (["two"], ["one"])
    for groups in (["one"],), (["one"], ["two"], ["one"]), (["one", "two", "three"],):
        with pytest.raises(scenario.ScenarioError, match="in the groups are"):
            scenario.together(cases, *groups)
