# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break things, run the playbook: exactly these are repaired."""

from __future__ import annotations

import pytest
from scenario import SITE, STATE, on, play, scenario_directory, together

# The role alone is quicker than the playbook.
ROLE = scenario_directory() / "role.yml"
MC = "/opt/mailcow-dockerized"
CONF = MC + "/mailcow.conf"
START = "Start the stack"
DOWN = "Take the stack down, as its network changes"
# The gate is seen to wait elsewhere.
QUICK = {"mailcow_ready_stable_for": 3}

CASES = {
    "a value edited": (f"sed -i s/^LOG_LINES=.*/LOG_LINES=1/ {CONF}", ["Settings in mailcow.conf"]),
    "a line removed": (f"sed -i /^USE_WATCHDOG=/d {CONF}", ["Settings in mailcow.conf"]),
    "a duplicate key": (f"sed -i '1i LOG_LINES=7' {CONF}", ["Settings in mailcow.conf"]),
    "an old key": (f"echo SKIP_SOLR=y >> {CONF}", ["Settings in mailcow.conf"]),
    "readable to all": (f"chmod 0644 {CONF}", ["Settings in mailcow.conf"]),
    "a container stopped": ("docker stop -t 2 mailcowdockerized-dovecot-mailcow-1", [START]),
    "a container removed": ("docker rm -f mailcowdockerized-memcached-mailcow-1", [START]),
    "the override edited": (
        f"sed -i /2525/d {MC}/docker-compose.override.yml",
        ["Settings in docker-compose.override.yml"],
    ),
    "the network's MTU edited": (
        f"sed -i s/1400/1300/ {MC}/docker-compose.override.yml",
        [DOWN, "Settings in docker-compose.override.yml", START],
    ),
    "the Diffie-Hellman parameters gone": (
        f"rm {MC}/data/assets/ssl/dhparams.pem",
        ["Diffie-Hellman parameters beside it"],
    ),
    "the .env link gone": (f"rm {MC}/.env", ["Compose reads mailcow.conf as .env"]),
}
# Broken together, and repaired by one run.
TOGETHER = together(
    CASES,
    ("a value edited", "a line removed", "an old key", "readable to all"),
    ("a duplicate key", "the .env link gone", "a container stopped"),
    ("the Diffie-Hellman parameters gone", "the override edited", "a container removed"),
    ("the network's MTU edited",),
)
# What other roles repair.
BESIDE = {
    "daemon.json edited": (
        "sed -i s/json-file/journald/ /etc/docker/daemon.json",
        ["Write daemon.json", "Restart Docker"],
    ),
    # What is gone from the kernel alone is back by itself (test_firewall.py).
    "the firewall gone": (
        "nft delete table inet mailhost; rm -r /etc/mailhost/firewall",
        ["Rules"],
    ),
}


def words(path):
    """The lines of a file, with one blank where there are several."""
    return [" ".join(line.split()) for line in path.read_text().splitlines()]


def repaired(cases, names):
    """Break what the cases say; return the tasks that are to repair it, in the order of the alphabet."""
    for name in names:
        on("mail1", cases[name][0])
    return sorted({task for name in names for task in cases[name][1]})


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_drift_is_undone(names):
    before = on("mail1", f"sort {CONF} {MC}/docker-compose.override.yml; stat -c %a {CONF}")
    expected = repaired(CASES, names)
    run = play(ROLE, extra=QUICK)
    assert run.rc == 0, run.message
    assert sorted(run.changed) == expected
    after = on("mail1", f"sort {CONF} {MC}/docker-compose.override.yml; stat -c %a {CONF}")
    assert after == before


def test_drift_beside_the_stack_is_undone():
    expected = repaired(BESIDE, BESIDE)
    run = play(extra=QUICK)
    assert run.rc == 0, run.message
    assert sorted(run.changed) == expected


def test_a_domain_that_mailcow_signs_for_is_in_the_records_to_publish():
    records = STATE / "mail1.mailcow.zone"
    assert "example.test. 3600 IN MX 10 mail1.example.test." in words(records)
    on(
        "mail1",
        "docker exec mailcowdockerized-redis-mailcow-1 sh -c 'export REDISCLI_AUTH=$REDISPASS;"
        " redis-cli HSET DKIM_PUB_KEYS added.test SGVyZQ==;"
        " redis-cli HSET DKIM_SELECTORS added.test own'",
    )
    run = play(ROLE, extra=QUICK)
    assert (run.rc, run.changed) == (0, ["DNS records to publish"]), run.message
    assert 'own._domainkey.added.test. 3600 IN TXT "v=DKIM1; k=rsa; p=SGVyZQ=="' in words(records)


def test_and_then_nothing_is_left_to_do_and_check_mode_foretells_that():
    run = play(SITE, "--check")
    assert (run.rc, run.changed, run.failed) == (0, [], []), run.message


def test_a_lost_file_is_not_replaced_by_one_with_other_passwords():
    on("mail1", f"mv {CONF} /root/mailcow.conf")
    try:
        run = play(ROLE)
    finally:
        on("mail1", f"mv /root/mailcow.conf {CONF}")
    assert run.failed == ["Refuse to make new passwords for a database that is there"]
    assert run.changed == []
    assert "mailcowdockerized_mysql-vol-1 holds a database" in run.message


def test_an_administrators_own_lines_stay():
    for path, line in ((CONF, "MY_OWN=1"), (MC + "/docker-compose.override.yml", "x-mine: 1")):
        on("mail1", f"grep -qx '{line}' {path} || printf '# my note\\n{line}\\n' >> {path}")
    assert play(ROLE).changed == []
    assert "# my note\nMY_OWN=1\n" in on("mail1", f"cat {CONF}")


def test_a_service_that_does_not_start_is_named_with_its_log():
    on("mail1", f"mv {MC}/data/assets/ssl/key.pem /root/key.pem")
    on("mail1", "docker stop -t 2 mailcowdockerized-nginx-mailcow-1")
    try:
        run = play(ROLE, extra={"mailcow_ready_timeout": 15})
        assert run.failed == ["Wait until mailcow answers"]
        assert "nginx-mailcow" in run.message
        assert "Last lines of mailcowdockerized-nginx-mailcow-1:" in run.message
        assert "key.pem" in run.message
    finally:
        on("mail1", f"mv /root/key.pem {MC}/data/assets/ssl/key.pem")
    assert play(ROLE, extra=QUICK).rc == 0


def test_a_tag_mends_what_its_role_manages_and_nothing_else():
    on("mail1", CASES["a value edited"][0])
    on("mail1", BESIDE["the firewall gone"][0])
    run = play(SITE, "--tags", "firewall")
    assert (run.rc, run.changed) == (0, ["Rules"]), run.message
    run = play(SITE, "--tags", "mailcow", extra=QUICK)
    assert (run.rc, run.changed) == (0, ["Settings in mailcow.conf"]), run.message
