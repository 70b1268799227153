# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another network for the stack: down, the files, up."""

from __future__ import annotations

import pytest
import yaml
from scenario import on, play, scenario_directory

NETWORK = "docker network inspect mailcowdockerized_mailcow-network"
DOWN = "Take the stack down, as its network changes"


@pytest.fixture
def settings():
    inventory = yaml.safe_load((scenario_directory() / "inventory.yml").read_text())
    return inventory["scenario_hosts"]["vars"]["mailcow_config"]


def test_the_stack_moves_to_another_network_and_back(settings):
    volumes = on("mail1", "docker volume ls -q")
    extra = {
        "mailcow_config": {**settings, "IPV4_NETWORK": "172.22.7"},
        "mailcow_ready_stable_for": 3,
    }
    run = play(extra=extra)
    assert run.rc == 0, run.message
    # Nor is an address of the new network ever banned.
    assert run.changed == [DOWN, "Settings in mailcow.conf", "Start the stack", "Jails"]
    assert '"172.22.7.0/24"' in on("mail1", NETWORK)

    # Cut off behind "down", with the files as they were: the next run ends what was begun.
    on("mail1", "cd /opt/mailcow-dockerized && docker compose down")
    run = play(scenario_directory() / "role.yml", extra={"mailcow_ready_stable_for": 3})
    assert run.rc == 0, run.message
    assert '"172.22.1.0/24"' in on("mail1", NETWORK)
    assert on("mail1", "docker volume ls -q") == volumes
