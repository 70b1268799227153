# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing, run the role: exactly that thing is repaired."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scenario import on, play, together

PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
DAEMON = "/etc/docker/daemon.json"
SOURCES = "/etc/apt/sources.list.d/docker.sources"
KEY = "/etc/apt/keyrings/docker.asc"
REPOSITORY = ["Docker's package repository"]
WRITE = "Write daemon.json"
LIST = "deb [trusted=yes] https://download.docker.com/linux/debian/ trixie stable"
CONTROLLER = {"validate_argument_spec", "assert", "include_tasks", "set_fact", "debug"}

CASES = {
    "a log option edited": (f"sed -i s/10m/1g/ {DAEMON}", [WRITE, "Restart Docker"]),
    "a key removed": (f"sed -i /live-restore/d {DAEMON}", [WRITE, "Reload Docker"]),
    "daemon.json gone": (f"rm {DAEMON}", [WRITE, "Restart Docker"]),
    "daemon.json only for root": (f"chmod 0600 {DAEMON}", [WRITE]),
    "the repository edited": (f"sed -i s/trixie/bookworm/ {SOURCES}", REPOSITORY),
    "the repository gone": (f"rm {SOURCES}", REPOSITORY),
    "the key cut off": (f"truncate -s 500 {KEY}", REPOSITORY),
    "the key only for root": (f"chmod 0600 {KEY}", REPOSITORY),
    "the same repository once more": (
        f"echo '{LIST}' > /etc/apt/sources.list.d/by-hand.list",
        REPOSITORY,
    ),
    "the engine stopped": (
        "systemctl stop docker.socket docker.service",
        ["Start Docker now and at boot"],
    ),
    "the engine disabled": (
        "systemctl disable -q docker.service",
        ["Start Docker now and at boot"],
    ),
    "a restart that was owed": (
        "echo restart > /run/mailhost-docker-daemon.pending",
        [WRITE, "Restart Docker"],
    ),
    "a reload that was owed": (
        "echo reload > /run/mailhost-docker-daemon.pending",
        [WRITE, "Reload Docker"],
    ),
}


# Broken together, and repaired by one run.
TOGETHER = together(
    CASES,
    ("a log option edited", "the repository edited", "the engine disabled"),
    ("a key removed", "the key cut off"),
    ("daemon.json gone", "the repository gone"),
    ("daemon.json only for root", "the key only for root", "the engine stopped"),
    ("the same repository once more", "a restart that was owed"),
    ("a reload that was owed",),
)
# As they come in the role.
ORDER = [*REPOSITORY, WRITE, "Start Docker now and at boot", "Restart Docker", "Reload Docker"]


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_drift_is_foretold_and_undone(names):
    for name in names:
        on("mail2", CASES[name][0])
    expected = sorted({task for name in names for task in CASES[name][1]}, key=ORDER.index)
    foretold = play(PLAYBOOK, "--check")
    assert (foretold.rc, foretold.changed) == (0, expected), foretold.message
    run = play(PLAYBOOK)
    assert run.rc == 0, run.message
    assert run.changed == expected


def test_and_then_nothing_is_left_to_do():
    run = play(PLAYBOOK)
    assert (run.rc, run.changed) == (0, []), run.message
    # Each task that reaches the host costs a quarter of a second: it is these, and no handler.
    assert on_the_host(run) == ["host_info", "package_repository", "docker_daemon"]


def test_an_upgrade_of_what_is_the_newest_changes_nothing():
    extra = {"docker_upgrade": True}
    for arguments in (["--check"], []):
        run = play(PLAYBOOK, *arguments, extra=extra)
        assert (run.rc, run.changed) == (0, []), run.message
        assert "apt" in on_the_host(run)


def on_the_host(run):
    """The modules that ran on the host, in their order, without their collection."""
    report, _end = json.JSONDecoder().raw_decode(run.output[run.output.find("{\n") :])
    results = [r for p in report["plays"] for t in p["tasks"] for r in t["hosts"].values()]
    names = [r["action"].rpartition(".")[2] for r in results if not r.get("skipped")]
    return [name for name in names if name not in CONTROLLER]


def test_a_removed_package_is_foretold_and_installed():
    on("mail2", "apt-get -q -y remove docker-compose-plugin")
    run = play(PLAYBOOK, "--check", "--diff")
    assert (run.rc, run.changed) == (0, ["Foretell packages"]), run.message
    assert "Would be installed: docker-compose-plugin; would be removed: nothing" in run.output
    assert play(PLAYBOOK).changed == ["Install with APT"]


def test_an_administrators_own_keys_stay():
    text = on("mail2", f"cat {DAEMON}")
    config = json.loads(text)
    own = {"labels": ["rack=7"], **config, "shutdown-timeout": 20}
    on("mail2", f"echo '{json.dumps(own)}' > {DAEMON}")
    run = play(PLAYBOOK)
    assert (run.rc, run.changed) == (0, []), run.message
    changed = play(PLAYBOOK, extra={"docker_daemon_config": {"max-concurrent-downloads": 5}})
    assert changed.changed == [WRITE, "Reload Docker"]
    now = json.loads(on("mail2", f"cat {DAEMON}"))
    assert list(now) == list(own) and now == {**own, "max-concurrent-downloads": 5}
    extra = {"docker_daemon_absent": ["labels", "shutdown-timeout"]}
    assert play(PLAYBOOK, extra=extra).changed == [WRITE, "Restart Docker"]
    assert list(json.loads(on("mail2", f"cat {DAEMON}"))) == list(config)


def test_a_changed_file_is_backed_up():
    assert f"{DAEMON}.2" in on("mail2", f"ls {DAEMON}.*~")
    disabled = on("mail2", "cat /etc/apt/sources.list.d/by-hand.list")
    assert disabled.strip() == "# " + LIST
    assert on("mail2", "cat /etc/apt/sources.list.d/by-hand.list.*~").strip() == LIST
