# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack_health

sys.path.insert(0, str(Path(__file__).parent))
from recorded_stack import PATH, Stack


def test_what_is_seen_of_a_stack(make_host):
    seen = Stack().look(make_host)
    assert seen.project == "mailcowdockerized"
    assert seen.hostname == "mail1.example.test"
    assert len(seen.services) == len(seen.containers) == len(seen.to_list()) == 18
    assert seen.mount("postfix-mailcow", "/etc/ssl/mail") == PATH + "/data/assets/ssl"
    assert seen.mount("postfix-mailcow", "/nowhere") == ""
    assert seen.well("olefy-mailcow")["Name"] == "/mailcowdockerized-olefy-mailcow-1"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"path": "/srv/x"}, "path: /srv/x/mailcow.conf is not there; allowed: the directory of "),
        ({"path": "srv/x"}, "path: 'srv/x'; allowed: an absolute path"),
        ({"log_hours": 0}, "log_hours: 0; allowed: more than 0"),
    ],
)
def test_options_that_cannot_be_meant(make_host, more, text):
    with pytest.raises(stack_health.HealthError) as error:
        Stack().look(make_host, **more)
    assert str(error.value).startswith(text)


def test_secrets_are_not_in_log_lines(make_host):
    stack = Stack()
    stack.state(
        "redis-mailcow",
        Status="exited",
        ExitCode=1,
        log="\x1b[31mlogin with the-redispass-of-the-test\x1b[0m failed\n"
        "config: password=hunter2 token: abc, user=me\n" + "x" * 1000,
    )
    entry = next(e for e in stack.look(make_host).to_list() if e["service"] == "redis-mailcow")
    assert entry["lines"][:2] == [
        "login with ******** failed",
        "config: password=******** token: ********, user=me",
    ]
    assert len(entry["lines"][2]) == 300


def test_lines_of_an_earlier_run_do_not_count_except_in_a_loop(make_host):
    stack = Stack()
    loop = stack.container("redis-mailcow")["Id"]
    well = stack.container("olefy-mailcow")
    stack.state("redis-mailcow", Status="restarting", ExitCode=1)
    stack.look(make_host)
    since = {
        question.split("/")[2]: float(question.rpartition("since=")[2])
        for question in stack.api.asked
        if "since=" in question
    }
    assert since[well["Id"]] == stack_health.seconds(well["State"]["StartedAt"])
    assert since[loop] == pytest.approx(stack.now - 3600, abs=1)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"ExitCode": 137, "OOMKilled": True}, "it was killed because memory ran out"),
        ({"ExitCode": 132}, "SIGILL: the processor does not know an instruction"),
        ({"ExitCode": 2}, "its program reported an error"),
        ({"ExitCode": 138}, "signal 10"),
        ({}, "it ended without an error"),
    ],
)
def test_what_exit_codes_mean(state, text):
    assert stack_health.meaning(state) == text


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("docker.io/library/redis", "redis:latest"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/mailcow/olefy:1.15", "ghcr.io/mailcow/olefy:1.15"),
        ("redis@sha256:00", "redis@sha256:00"),
    ],
)
def test_names_of_images(name, short):
    assert stack_health.image_name(name) == short


def test_links_as_a_container_sees_them(make_host):
    host = make_host(
        {"/srv/ssl/sub/real.pem": "x"},
        {},
        {
            "/srv/ssl/a": "sub/real.pem",
            "/srv/ssl/b": "/etc/ssl/mail/sub/real.pem",
            "/srv/ssl/c": "../../etc/passwd",
            "/srv/ssl/d": "d",
            "/srv/ssl/e": "sub/none.pem",
        },
    )
    seen = stack_health.Seen(host, *[None] * 15)

    def follow(name):
        return stack_health.in_container(seen, "/srv/ssl", "/etc/ssl/mail", name)

    assert follow("a") == ("/srv/ssl/sub/real.pem", "")
    # To the host this one leads nowhere; a container sees it.
    assert follow("b") == ("/srv/ssl/sub/real.pem", "")
    assert follow("c") == ("", "/etc/etc/passwd")
    assert follow("d") == ("", "/etc/ssl/mail/d")
    assert follow("e") == ("", "")
    assert follow("f") == ("", "")


def test_the_longest_secret_is_hidden_first(make_host):
    seen = Stack().look(make_host)
    longer = ["password-{0}".format("x" * count) for count in range(30)]
    for number in range(1, 30):
        seen = seen._replace(secrets=frozenset(longer[:number]))
        assert seen.mask("at " + longer[number - 1]) == "at ********"


def test_commands_name_a_project_that_compose_would_not(make_host):
    seen = Stack().look(make_host)
    assert seen.command("up -d") == "cd {0} && docker compose up -d".format(PATH)
    seen = seen._replace(project="mine")
    assert seen.command("up -d") == "cd {0} && docker compose -p mine up -d".format(PATH)
