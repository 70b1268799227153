# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role doctor makes of what its tasks registered."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.test.core import skipped
from ansible_collections.postmaster.mailhost.plugins.filter.diagnosis import (
    FilterModule as Diagnosis,
)
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import diagnosis
from jinja2.nativetypes import NativeEnvironment

ROLE = Path(__file__).resolve().parents[2] / "roles" / "doctor"
VARS = yaml.safe_load((ROLE / "vars/main.yml").read_text())
FIX = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks/fix.yml").read_text())}

STEP = {"finding": "health.image", "kind": "recreate", "command": "docker compose up -d"}
#: As Ansible registers them for a task with ``failed_when: false``.
FAILED = {"failed": False, "failed_when_result": False, "msg": "fixes: 'x'; allowed: y"}
SKIPPED = {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"}
ASKED = {"changed": False, "failed": False, "findings": [{"id": "smtp.destination"}]}


def render(text, **values):
    environment = NativeEnvironment()
    environment.filters = {**FilterModule().filters(), **environment.filters}
    environment.filters["postmaster.mailhost.diagnosis"] = Diagnosis().filters()["diagnosis"]
    environment.tests["skipped"] = skipped
    return environment.from_string(text).render(values)


def finding(name, status="fail", fix=None):
    return {"id": name, "status": status, "fix": fix}


def test_what_can_be_mended_without_asking():
    said = {"kind": "recreate", "command": "x", "steps": [STEP]}
    found = render(
        VARS["__doctor_fixes"],
        doctor_diagnosis={
            "findings": [
                finding("health.image", "warn", said),
                finding("health.disk"),
                finding("health.inotify", "ok", {**said, "steps": [{"kind": "no"}]}),
                # Given to the role as a finding of another module.
                finding("mine.own", fix={"kind": "by hand"}),
            ],
            "explained": [finding("health.forwarding", fix={**said, "steps": [{"kind": "too"}]})],
        },
    )
    assert found == [STEP, {"kind": "too"}]


@pytest.mark.parametrize(
    ("values", "project"),
    [
        ({"__doctor_health": {"project": "mail"}, "mailcow_config": {}}, "mail"),
        ({"mailcow_config": {"COMPOSE_PROJECT_NAME": "mine"}}, "mine"),
        ({"__doctor_health": FAILED}, "usual"),
        ({"__doctor_health": SKIPPED, "__doctor_stack": "mailu"}, "usual"),
        ({"__doctor_stack": "qmail", "__doctor_data": {}}, ""),
    ],
)
def test_the_project_that_was_looked_at_is_the_one_to_read_the_log_of(values, project):
    given = {"__doctor_stack": "mailcow", "__doctor_data": {"project": "usual"}, **values}
    # Jinja takes text without letters for what it is in Python.
    assert (render(VARS["__doctor_project"], **given) or "") == project


@pytest.mark.parametrize(
    ("inside", "outside", "told"),
    [
        # What counts is what the destination says to the server.
        (ASKED, {"findings": []}, ASKED),
        # It could not ask: that the controller could is no answer.
        (FAILED, ASKED, FAILED),
        (SKIPPED, ASKED, ASKED),
        (None, ASKED, ASKED),
        (SKIPPED, None, {}),
    ],
)
def test_who_has_asked_the_destination(inside, outside, told):
    given = {"__doctor_inside": inside, "__doctor_outside": outside}
    values = {name: value for name, value in given.items() if value is not None}
    assert render(VARS["__doctor_results"]["smtp.destination"], **values) == told


# Without the keys nobody can say that the right ones are published.
@pytest.mark.parametrize(("name", "subject"), [("dns.dkim", "dns"), ("smtp.destination", "smtp")])
def test_a_failed_question_is_told_by_the_check_that_needs_it(name, subject):
    assert name in VARS["__doctor_results"]
    results = {
        name: FAILED,
        subject: {"findings": [finding(name, "skip"), finding(subject + ".x", "ok")]},
    }
    told = diagnosis.diagnose(diagnosis.collect(results))
    assert told["verdict"] == "unknown"
    assert [(item["id"], item["status"]) for item in told["findings"]] == [
        (name, "unknown"),
        (subject + ".x", "ok"),
    ]
    told = diagnosis.diagnose(diagnosis.collect(results), skip=[name])
    assert told["verdict"] == "healthy"


@pytest.mark.parametrize("checking", [True, False])
def test_what_was_mended_and_what_could_not_be(checking):
    values = {
        "__doctor_results": {"health": {"findings": [finding("health.image", "ok")]}},
        "ansible_check_mode": checking,
        "doctor_only": [],
        "doctor_skip": [],
        "doctor_accept": [],
    }
    text = FIX["Diagnosis after that"]["ansible.builtin.set_fact"]["doctor_diagnosis"]
    told = render(text, **values, __doctor_fixed={"changed": True, "fixed": [STEP]})
    assert (told["verdict"], told["fixed"]) == ("healthy", [] if checking else [STEP])
    told = render(text, **values, __doctor_fixed=FAILED)
    assert (told["verdict"], told["fixed"]) == ("unknown", [])
    assert told["findings"][0]["observed"] == FAILED["msg"]


def test_each_fix_says_itself_which_project_it_is_for():
    (module,) = (value for key, value in FIX.items() if key.startswith("Mend"))
    assert set(module["postmaster.mailhost.stack_fix"]) == {"fixes", "project_src"}
