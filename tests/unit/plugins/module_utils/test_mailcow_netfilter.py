# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of mailcow's netfilter, in a Redis that answers like the real one."""

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import mailcow_netfilter as net
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, Result
from ansible_collections.postmaster.mailhost.plugins.module_utils.mailcow_netfilter import (
    NetfilterError,
)

CONTAINERS = [
    {"Id": "abc", "Labels": {"com.docker.compose.project": "other"}},
    {"Id": "def", "Labels": None},
    {
        "Id": "123",
        "Labels": {
            "com.docker.compose.project": "mailcowdockerized",
            "com.docker.compose.service": "redis-mailcow",
        },
    },
]
OPTIONS = {"ban_time": 1800, "netban_ipv4": 32, "manage_external": 0}
RUNNING = {"/run/docker.pid": "7\n", "/proc/7/comm": "dockerd\n"}


class WithRedis(Host):
    """A host whose mailcow has a Redis. ``stubborn``: how often netfilter writes its own options."""

    def __init__(self, root, options=None, allowed=(), denied=(), active=()):
        super().__init__(root)
        self.values = {net.OPTIONS: json.dumps(OPTIONS if options is None else options)}
        if options == {}:
            self.values[net.OPTIONS] = ""
        self.hashes = {net.ALLOWED: list(allowed), net.DENIED: list(denied)}
        self.hashes.update({net.ACTIVE: list(active), net.UNBAN: []})
        self.stubborn = 0
        self.refusal = None
        self.said = []

    def run(self, argv, timeout=30.0, input=None, **more):  # noqa: A002 - as the original
        assert argv[:6] == ["docker", "exec", "-i", "123", "sh", "-c"]
        self.said.append(argv[8:])
        if self.refusal is not None:
            return Result(0, self.refusal + "\n", "")
        words = argv[8:]
        if not words:
            return Result(0, "".join(self.answer(line.split()) for line in input.splitlines()), "")
        if words[0] == "-x":
            old = self.values[net.OPTIONS]
            self.values[words[2]] = input
            if self.stubborn:
                self.stubborn -= 1
                self.values[words[2]] = old
            return Result(0, "OK\n", "")
        return Result(0, self.answer(words), "")

    def answer(self, words):
        if words[0] == "PING":
            return "PONG\n"
        if words[0] == "ECHO":
            return words[1] + "\n"
        if words[0] == "GET":
            return self.values[words[1]] + "\n"
        if words[0] == "HKEYS":
            return "".join(item + "\n" for item in self.hashes[words[1]]) or "\n"
        if words[0] == "HSET":
            self.hashes[words[1]].append(words[2])
        if words[0] == "HDEL":
            self.hashes[words[1]].remove(words[2])
        return "1\n"


@pytest.fixture
def redis(make_host):
    """Return a function: what stands in Redis -> a host."""

    def make(running=True, **more):
        made = make_host(RUNNING if running else {}, {"docker": {"/containers/json": CONTAINERS}})
        return WithRedis(made.root, **more)

    return make


def plan(host, allow=(), bans="netfilter"):
    return net.plan(host, "mailcowdockerized", list(allow), bans)


def converge(host, *arguments):
    planned = plan(host, *arguments)
    net.carry_out(host, planned)
    return planned


@pytest.mark.parametrize(
    ("running", "project"), [(False, "mailcowdockerized"), (True, "elsewhere")]
)
def test_no_mailcow(redis, running, project):
    planned = net.plan(redis(running=running), project, ["192.0.2.1"], "fail2ban")
    assert not planned.changed and not net.result(planned)["found"]


def test_who_is_never_banned(redis):
    host = redis(
        allowed=["192.0.2.1/32", "mail.example.org", "2001:DB8::/48"],
        denied=["198.51.100.7", "203.0.113.9"],
        active=["198.51.100.7/32", "10.0.0.1/32", "8.8.8.8/32", "odd"],
    )
    allow = ["192.0.2.1", "198.51.100.7", "2001:db8::/48", "10.0.0.0/24"]
    planned = converge(host, allow)
    assert planned.add == ("198.51.100.7", "10.0.0.0/24")
    assert planned.undeny == ("198.51.100.7",)
    assert planned.unban == ("198.51.100.7/32", "10.0.0.1/32")
    assert host.hashes[net.ALLOWED][:3] == ["192.0.2.1/32", "mail.example.org", "2001:DB8::/48"]
    assert host.hashes[net.DENIED] == ["203.0.113.9"]
    assert host.hashes[net.UNBAN] == ["198.51.100.7/32", "10.0.0.1/32"]
    assert "allowed: 10.0.0.0/24\n" in planned.diff()[0]["after"]
    # netfilter takes the bans away.
    host.hashes[net.ACTIVE] = ["8.8.8.8/32"]
    again = plan(host, allow)
    assert (again.changed, again.diff()) == (False, [])


def test_who_bans(redis):
    host = redis()
    planned = converge(host, [], "fail2ban")
    assert planned.diff()[0]["before"] == "bans: netfilter\n"
    assert json.loads(host.values[net.OPTIONS]) == dict(OPTIONS, manage_external=1)
    assert not plan(host, [], "fail2ban").changed
    back = converge(host)
    assert back.diff()[0]["before"] == "bans: fail2ban\n"
    assert json.loads(host.values[net.OPTIONS]) == OPTIONS


def test_options_that_netfilter_has_not_written_yet(redis):
    host = redis(options={})
    assert not plan(host).changed
    converge(host, [], "fail2ban")
    assert json.loads(host.values[net.OPTIONS]) == {"manage_external": 1}


def test_a_release_without_the_option(redis):
    host = redis(options={"ban_time": 1800})
    assert not plan(host).changed
    with pytest.raises(NetfilterError, match="cannot leave banning to others.*manage_external"):
        plan(host, [], "fail2ban")


def test_netfilter_writes_in_between(redis):
    host = redis()
    host.stubborn = 2
    converge(host, [], "fail2ban")
    assert json.loads(host.values[net.OPTIONS])["manage_external"] == 1
    host.stubborn = 99
    with pytest.raises(NetfilterError, match="does not stay set"):
        converge(host)


@pytest.mark.parametrize(
    "said", ["NOAUTH Authentication required.", "", "LOADING Redis is loading"]
)
def test_a_redis_that_does_not_answer(redis, said):
    host = redis()
    host.refusal = said
    with pytest.raises(
        NetfilterError, match="mailcow's Redis does not answer: " + (said or "noth")
    ):
        plan(host)


def test_a_redis_that_refuses(redis):
    host = redis()
    planned = plan(host, ["192.0.2.1"], "fail2ban")
    host.refusal = "READONLY You can't write against a read only replica."
    with pytest.raises(NetfilterError, match="refuses a setting: READONLY"):
        net.carry_out(host, planned)


def test_options_that_are_broken(redis):
    host = redis()
    host.values[net.OPTIONS] = "[1"
    with pytest.raises(NetfilterError, match="F2B_OPTIONS in mailcow's Redis is not what"):
        plan(host)


def test_no_password_on_a_command_line(redis):
    host = redis()
    converge(host, ["192.0.2.1"], "fail2ban")
    # The container's shell fills it in, into the environment of redis-cli.
    assert all("REDISPASS" not in " ".join(words) for words in host.said)
    assert 'REDISCLI_AUTH="$REDISPASS"' in net._SHELL and "-a" not in net._SHELL.split()
