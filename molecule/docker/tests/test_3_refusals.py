# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work is refused, in words, and nothing is changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scenario import on, play, play_cases

PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
DAEMON = "/etc/docker/daemon.json"
STATE = f"sha256sum {DAEMON} /etc/apt/sources.list.d/* /etc/apt/keyrings/* /var/lib/dpkg/status"
ZEROS = "0" * 40

CASES = {
    "another source": (
        {"docker_source": "distribution"},
        "docker-ce, docker-ce-cli, containerd.io, docker-compose-plugin.* set docker_replace: true",
    ),
    "no source": ({"docker_source": "podman"}, "docker_source.*one of: docker, distribution"),
    "a wrong fingerprint": (
        {"docker_repository_key_fingerprint": ZEROS},
        "linux/debian/gpg is not accepted: its fingerprint is [0-9A-F]{40}; wanted is " + ZEROS,
    ),
    "a key ID": (
        {"docker_repository_key_fingerprint": "0EBFCD88"},
        "'0EBFCD88' has 8 hexadecimal digits, a fingerprint has 40",
    ),
    "a version that is none": ({"docker_version": "latest"}, "docker_version is 'latest'"),
    "a version that is not to be had": ({"docker_version": "99.1"}, "docker-ce=5:99.1"),
    "packet filter off": (
        {"docker_daemon_config": {"iptables": False}},
        "iptables: false: .* an open relay",
    ),
    "user namespaces": (
        {"docker_daemon_config": {"userns-remap": "default"}},
        "userns-remap: mail",
    ),
    "a flag's key": (
        {"docker_daemon_config": {"hosts": ["tcp://127.0.0.1:2375"]}},
        "refuses the new configuration: .*both as a flag and in the configuration file: hosts",
    ),
    "an unknown key": (
        {"docker_daemon_config": {"log-drivr": "local"}},
        "don't match any configuration option: log-drivr",
    ),
    "a driver that is no text": ({"docker_log_driver": ["local"]}, "docker_log_driver|log-driver"),
    "an MTU that is none": ({"docker_mtu": "many"}, "mtu is 'many'; allowed: auto, none or"),
    "IPv6 maybe": ({"docker_ipv6": "maybe"}, "docker_ipv6.*one of: auto, true, false"),
}


@pytest.fixture(scope="module")
def runs():
    """What became of each case, and that nothing has changed."""
    before = on("mail2", STATE)
    found = play_cases(
        PLAYBOOK, "mail2", {name: extra for name, (extra, _message) in CASES.items()}
    )
    assert on("mail2", STATE) == before
    return found


@pytest.mark.parametrize("name", CASES)
def test_refused(runs, name):
    run, message = runs[name], CASES[name][1]
    assert run.rc != 0
    assert re.search(message, run.message, re.DOTALL), run.message
    assert (len(run.failed), run.changed) == (1, [])
    assert "Traceback" not in run.output


def test_a_broken_file_is_named_and_not_touched():
    before = on("mail2", f"cat {DAEMON}")
    on("mail2", f"sed -i 's/\"log-driver\"/log-driver/' {DAEMON}")
    broken = on("mail2", f"cat {DAEMON}")
    try:
        run = play(PLAYBOOK)
        assert re.search(DAEMON + r" is no valid JSON: .* in line \d+, column \d+", run.message)
        assert run.changed == []
        assert on("mail2", f"cat {DAEMON}") == broken
    finally:
        on("mail2", f"echo '{before}' > {DAEMON}")
    assert play(PLAYBOOK).changed == []
