# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other source, the way from one to the other, a pinned version, and a run that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scenario import ROOT, on, play

PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
DISTRIBUTION = {"docker_source": "distribution"}
INSTALLED = (
    "dpkg-query -f '${db:Status-Abbrev}${Package} ' -W docker-ce docker.io 2>/dev/null; true"
)


@pytest.fixture
def bare():
    subprocess.run(
        [sys.executable, "-m", "sandbox", "reset", "mail2"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def test_from_one_source_to_the_other():
    on("mail2", "docker volume create keep")
    run = play(PLAYBOOK, extra={**DISTRIBUTION, "docker_replace": True})
    assert run.rc == 0, run.message
    assert run.changed[:2] == ["Remove the packages of another source", "Install with APT"]
    assert "ii docker.io" in on("mail2", INSTALLED)
    assert on("mail2", "docker volume ls -q").split() == ["keep"]
    assert play(PLAYBOOK, extra=DISTRIBUTION).changed == []


def test_the_distributions_engine_on_a_bare_host(bare):
    foretold = play(PLAYBOOK, "--check", extra=DISTRIBUTION)
    assert foretold.changed == ["Foretell packages", "Write daemon.json"], foretold.message
    run = play(PLAYBOOK, extra=DISTRIBUTION)
    assert run.rc == 0, run.message
    assert on("mail2", "docker compose version --short").startswith("2.")
    assert on("mail2", "test -e /etc/apt/sources.list.d/docker.sources; echo $?").strip() == "1"
    again = play(PLAYBOOK, extra=DISTRIBUTION)
    assert (again.rc, again.changed) == (0, [])
    refused = play(PLAYBOOK)
    assert "docker.io, docker-cli, docker-compose" in refused.message and refused.changed == []


def test_a_run_that_is_killed_while_dpkg_works_is_made_up_for(bare):
    """With a pinned version, so that this is seen to be kept as well."""
    extra = {"docker_version": "26.1"}
    kill = (
        "while ! pgrep -x dpkg >/dev/null || ! ls /var/lib/dpkg/updates/0* >/dev/null 2>&1; "
        "do sleep 0.02; done; pkill -9 -x apt-get; pkill -9 -x dpkg; echo killed"
    )
    killer = subprocess.Popen(
        [sys.executable, "-c", f"from scenario import on; print(on('mail2', {kill!r}))"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )
    run = play(PLAYBOOK, extra=extra)
    assert "killed" in killer.communicate(timeout=60)[0]
    assert run.failed == ["Install with APT"]
    time.sleep(0.5)
    journal = on("mail2", "ls /var/lib/dpkg/updates").split()
    run = play(PLAYBOOK, extra=extra)
    assert run.rc == 0, run.message
    assert ("Finish what an interrupted dpkg left behind" in run.changed) is bool(journal)
    assert "ii docker-ce" in on("mail2", INSTALLED)
    assert play(PLAYBOOK, extra=extra).changed == []
