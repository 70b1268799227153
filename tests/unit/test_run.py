# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which steps of the tests run at the same time."""

from __future__ import annotations

import run

UNIT = run.Step("unit", None)
LINT = run.Step("lint", None)
ONE = run.Step("one", None, frozenset({"mail1", "mail3"}))
OTHER = run.Step("other", None, frozenset({"mail3"}))
APART = run.Step("apart", None, frozenset({"mail2"}))
SANDBOX = run.Step("sandbox", None, ONE.hosts | OTHER.hosts | APART.hosts)


def test_the_sandbox_comes_first_and_no_scenario_beside_it():
    steps = [UNIT, LINT, SANDBOX, ONE, APART]
    assert run.next_step(steps, []) is SANDBOX
    assert run.next_step([ONE, APART], [SANDBOX]) is None
    assert run.next_step([UNIT, LINT, ONE], [SANDBOX]) is UNIT


def test_one_step_with_hosts_runs_beside_one_without():
    assert run.next_step([ONE, UNIT], [APART]) is UNIT
    assert run.next_step([LINT, ONE], [UNIT]) is ONE


def test_when_one_kind_is_done_two_of_the_other_run():
    assert run.next_step([LINT], [UNIT]) is LINT
    assert run.next_step([APART], [ONE]) is APART


def test_scenarios_that_share_a_host_never_meet():
    assert run.next_step([OTHER], [ONE]) is None
    assert run.next_step([OTHER, APART], [ONE]) is APART


def test_scenarios_say_which_hosts_they_make():
    hosts = {step.name: step.hosts for step in run.scenarios(["docker", "doctor", "vm"])}
    assert hosts["molecule-docker"] == {"mail2"}
    assert hosts["molecule-doctor"] == {"mail1", "mail3", "mail4"}
    assert "vm1" in hosts["molecule-vm"]


def test_the_step_sandbox_has_the_hosts_of_every_scenario_behind_it():
    steps = list(run.all_steps())
    number = [step.name for step in steps].index("sandbox")
    assert not any(step.hosts for step in steps[:number])
    assert all(step.hosts and step.hosts <= steps[number].hosts for step in steps[number + 1 :])


def test_every_step_is_run_once_and_counted():
    done = []

    def step(name, hosts=()):
        return run.Step(name, lambda log: done.append(name) or run.Count(), frozenset(hosts))

    run.LOG.mkdir(parents=True, exist_ok=True)
    steps = [step("test-of-run", ["a"]), step("test-of-run", ["a"]), step("test-of-run")]
    assert len(run.perform_all(steps)) == 3
    assert done == ["test-of-run"] * 3
    (run.LOG / "test-of-run.log").unlink()
