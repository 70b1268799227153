# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
import scenario
import yaml

# The gate is seen to wait in the first run.
QUICK = {"mailu_ready_stable_for": 3, "mailu_ready_timeout": 240}


def inventory():
    """The hosts of the scenario with their variables."""
    text = (scenario.scenario_directory() / "inventory.yml").read_text()
    return yaml.safe_load(text)["scenario_hosts"]


def run(*arguments, limit="", **extra):
    """Run the scenario's play, as scenario.play does; `limit` names one host."""
    words = [f"--limit={limit}"] if limit else []
    return scenario.play(
        scenario.scenario_directory() / "converge.yml",
        *words,
        *arguments,
        extra={**QUICK, **extra},
    )


@pytest.fixture
def settings():
    """mailu_config of mail1, to be changed."""
    return copy.deepcopy(inventory()["hosts"]["mail1"]["mailu_config"])
