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


def test_a_scenario_has_the_name_of_the_role_that_it_is_for_or_of_none():
    assert set(SCRIPT["SCENARIOS"]) - set(SCRIPT["ROLES"]) == {"platforms", "stacks", "vm"}


def test_every_look_alike_is_called_one():
    page = SCRIPT["render"]()
    for system in data.SYSTEMS.values():
        if system.look:
            assert f"{system.look.name} look-alike" in page
            assert f"{system.look.name} from Debian {system.version}" in page


def test_no_role_claims_a_system_that_nothing_runs_it_on():
    """That is, none of those whose packages differ; what only looks, looks at any Linux."""
    runs = set(SCRIPT["runs_of"]("platforms"))
    for role in ("bootstrap", "docker", "fail2ban", "firewall", "postfix", "system"):
        for key, system in data.SYSTEMS.items():
            claimed = SCRIPT["_claim"](key) in SCRIPT["_platforms"](role)
            assert not system.look or ((role, key) in runs) == claimed, (role, key)


@pytest.mark.parametrize(
    ("scenario", "runs"),
    [
        # The role alone, and what was there before it: Docker on one of two hosts.
        (
            "firewall",
            {("firewall", "debian-12"), ("firewall", "debian-13"), ("docker", "debian-13")},
        ),
        # A group of one play; site.yml for another group, without the role that its hosts leave out.
        (
            "doctor",
            {("doctor", "debian-12"), ("doctor", "debian-13"), ("postfix", "debian-12")}
            | {
                (name, "debian-13")
                for name in ("mailcow", "preflight", "system", "docker", "firewall")
            },
        ),
    ],
)
def test_what_a_scenario_runs(scenario, runs):
    assert set(SCRIPT["runs_of"](scenario)) == runs
