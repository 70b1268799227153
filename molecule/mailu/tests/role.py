# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import scenario
import yaml

# The gate is seen to wait in the first run.
QUICK = {"mailu_ready_stable_for": 3, "mailu_ready_timeout": 240}


PLAYBOOK = scenario.scenario_directory() / "role.yml"


def inventory():
    """The hosts of the scenario with their variables."""
    text = (scenario.scenario_directory() / "inventory.yml").read_text()
    return yaml.safe_load(text)["scenario_hosts"]


def run(*arguments, limit="", **extra):
    """Run the role, as scenario.play does; `limit` names one host."""
    words = [f"--limit={limit}"] if limit else []
    return scenario.play(
        PLAYBOOK,
        *words,
        *arguments,
        extra={**QUICK, **extra},
    )
