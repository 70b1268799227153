# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from sandbox import data

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "tests" / "platforms_doc.py"))


def test_the_page_is_current():
    page = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
    assert page == SCRIPT["render"](), "run: make docs"
    for name in (*SCRIPT["ROLES"], *SCRIPT["SCENARIOS"]):
        assert f"\n| `{name}` |" in page


def test_a_scenario_has_the_name_of_the_role_that_it_is_for():
    assert set(SCRIPT["SCENARIOS"]) <= set(SCRIPT["ROLES"])


def test_no_host_has_a_system_that_the_page_says_nothing_has_been_run_on():
    assert all(name.startswith("debian-") for name in data.SYSTEMS)


@pytest.mark.parametrize(
    ("scenario", "runs"),
    [
        # The role alone, and what was there before it: Docker on one of two hosts.
        ("firewall", {("firewall", "12"), ("firewall", "13"), ("docker", "13")}),
        # A group of one play; site.yml for another group, without the role that its hosts leave out.
        (
            "doctor",
            {("doctor", "12"), ("doctor", "13"), ("postfix", "12")}
            | {(name, "13") for name in ("mailcow", "preflight", "system", "docker", "firewall")},
        ),
    ],
)
def test_what_a_scenario_runs(scenario, runs):
    assert set(SCRIPT["runs_of"](scenario)) == runs
