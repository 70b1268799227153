# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon.json: what is merged, refused, checked by the daemon, and what it has to do afterwards."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_daemon, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_daemon import (
    DaemonConfigError,
)

PATH = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("before", "config", "defaults", "absent", "after"),
    [
        ({}, {"a": 1}, {}, [], {"a": 1}),
        ({"b": 1, "a": 1}, {"a": 2, "c": 3}, {}, [], {"b": 1, "a": 2, "c": 3}),
        ({"a": 1}, {}, {"a": 2, "b": 3}, [], {"a": 1, "b": 3}),
        ({"a": 1, "b": 2}, {}, {}, ["a", "x"], {"b": 2}),
        ({"dns": ["a", "b"]}, {"dns": ["c"]}, {}, [], {"dns": ["c"]}),
        (
            {"builder": {"gc": {"enabled": True}, "x": 1}},
            {"builder": {"gc": {"policy": []}}},
            {},
            [],
            {"builder": {"gc": {"enabled": True, "policy": []}, "x": 1}},
        ),
        (
            {"log-opts": {"env": "x", "max-size": "1m"}},
            {"log-driver": "json-file", "log-opts": {"max-size": "10m"}},
            {},
            [],
            {"log-opts": {"env": "x", "max-size": "10m"}, "log-driver": "json-file"},
        ),
        (
            {"log-driver": "syslog", "log-opts": {"syslog-address": "udp://x"}},
            {"log-driver": "json-file", "log-opts": {"max-size": "10m"}},
            {},
            [],
            {"log-driver": "json-file", "log-opts": {"max-size": "10m"}},
        ),
        ({"log-opts": {"a": "b"}}, {"log-driver": "journald"}, {}, [], {"log-driver": "journald"}),
    ],
)
def test_merge(before, config, defaults, absent, after):
    untouched = json.dumps(before)
    merged = docker_daemon.merge(before, config, defaults, absent)
    # Order counts: a file is not to be shuffled.
    assert json.dumps(merged.after) == json.dumps(after)
    assert json.dumps(before) == untouched
    again = docker_daemon.merge(merged.after, config, defaults, absent)
    assert (again.changed_keys, again.action) == ([], "none")


@pytest.mark.parametrize(
    ("before", "after", "keys", "action"),
    [
        ({"debug": True}, {"debug": True}, [], "none"),
        ({"debug": 1}, {"debug": True}, ["debug"], "reload"),
        ({}, {"live-restore": True}, ["live-restore"], "reload"),
        ({"live-restore": True}, {}, ["live-restore"], "restart"),
        ({"features": {"a": True}}, {}, ["features"], "reload"),
        ({"max-concurrent-downloads": 1}, {}, ["max-concurrent-downloads"], "reload"),
        ({"runtimes": {"a": {}}}, {"runtimes": {"b": {}}}, ["runtimes"], "reload"),
        ({"log-opts": {"a": "1"}}, {"log-opts": {"a": "2"}}, ["log-opts"], "restart"),
        ({"mtu": 1400}, {"debug": True}, ["debug", "mtu"], "restart"),
        ({"unheard-of": 1}, {"unheard-of": 2}, ["unheard-of"], "restart"),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, [], "none"),
    ],
)
def test_action(before, after, keys, action):
    merged = docker_daemon.Merge(before, after)
    assert (merged.changed_keys, merged.action) == (keys, action)


SUBNET = "fd00:dead:beef:c0::/80"


@pytest.mark.parametrize(
    ("wanted", "engine", "before", "keys"),
    [
        (None, 26, {}, {}),
        (
            True,
            26,
            {},
            {"ipv6": True, "fixed-cidr-v6": SUBNET, "ip6tables": True, "experimental": True},
        ),
        (
            True,
            20,
            {"fixed-cidr-v6": "fd01::/64"},
            {"ipv6": True, "ip6tables": True, "experimental": True},
        ),
        (True, 27, {}, {"ipv6": True, "fixed-cidr-v6": SUBNET}),
        (True, 27, {"fixed-cidr-v6": "fd01::/64"}, {"ipv6": True}),
        (True, 28, {}, {"ipv6": True}),
        (True, 29, {}, {"ipv6": True}),
        (True, None, {}, {"ipv6": True}),
        (False, 28, {"ipv6": True}, {"ipv6": False}),
        (False, 28, {"ipv6": False}, {}),
        (False, 28, {}, {}),
    ],
)
def test_ipv6(wanted, engine, before, keys):
    assert docker_daemon.ipv6_keys(wanted, engine, before) == keys


@pytest.mark.parametrize(
    ("wanted", "route", "keys"),
    [
        ("auto", 1450, {"mtu": 1450}),
        ("auto", 1500, {}),
        ("auto", 9000, {}),
        ("auto", None, {}),
        ("none", 1400, {}),
        ("1280", 1400, {"mtu": 1280}),
        ("9000", 1500, {"mtu": 9000}),
    ],
)
def test_mtu(wanted, route, keys):
    assert docker_daemon.mtu_keys(wanted, route) == keys


@pytest.mark.parametrize("wanted", ["", "1279", "65536", "-1", "1450.5", "big"])
def test_bad_mtu(wanted):
    with pytest.raises(DaemonConfigError, match="mtu is '{0}'; allowed: auto, none".format(wanted)):
        docker_daemon.mtu_keys(wanted, 1500)


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_no_file_and_an_empty_one_are_no_configuration(text):
    assert docker_daemon.parse(text, PATH) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n  "debug": true,\n}\n', r"is no valid JSON: .* in line \d, column \d+\. It was left"),
        ("[]", r"holds \[\] where an object"),
        ("null", "holds null where"),
        ("\ufeff{}", "is no valid JSON: Unexpected UTF-8 BOM"),
        ("debug: true", "is no valid JSON: Expecting value in line 1, column 1"),
    ],
)
def test_a_broken_file_says_where(text, reason):
    with pytest.raises(DaemonConfigError, match=PATH + " " + reason):
        docker_daemon.parse(text, PATH)


def test_numbers_in_log_options_become_texts():
    config = {"log-opts": {"max-file": 5, "compress": True, "max-size": "10m"}}
    assert docker_daemon.normalize(config, "config") == {
        "log-opts": {"max-file": "5", "compress": "true", "max-size": "10m"}
    }
    assert config["log-opts"]["max-file"] == 5


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"log-driver": ["json-file"]}, r'log-driver is \["json-file"\]; allowed: a text'),
        ({"live-restore": "true"}, 'live-restore is "true"; allowed: true or false'),
        ({"mtu": True}, "mtu is true; allowed: a whole number"),
        ({"mtu": "1450"}, 'mtu is "1450"; allowed: a whole number'),
        ({"dns": "192.0.2.1"}, 'dns is "192.0.2.1"; allowed: a list'),
        ({"log-opts": ["max-size=10m"]}, "log-opts is .*; allowed: a dictionary"),
        ({"log-opts": {"max-size": None}}, "log-opts.max-size is null; allowed: a text"),
    ],
)
def test_wrong_types(config, reason):
    with pytest.raises(DaemonConfigError, match="^config: " + reason):
        docker_daemon.normalize(config, "config")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"iptables": False},
            r"iptables: false: .* open relay\. Remove it, .* absent: \[iptables\]",
        ),
        ({"ipv6": True, "ip6tables": False}, "ip6tables: false together with ipv6: true: .*relay"),
        ({"userns-remap": "default"}, r"userns-remap: mail stacks .* absent: \[userns-remap\]"),
    ],
)
def test_what_breaks_mail_stacks_is_refused(config, reason):
    with pytest.raises(DaemonConfigError, match=reason):
        docker_daemon.judge(config, PATH)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"iptables": True, "ip6tables": False, "userns-remap": ""}, []),
        ({"userland-proxy": False}, ["userland-proxy"]),
        ({"firewall-backend": "nftables"}, ["DOCKER-USER"]),
    ],
)
def test_warnings(config, words):
    found = docker_daemon.judge(config, PATH)
    assert len(found) == len(words) and all(w in text for w, text in zip(words, found))


EXEC_START = (
    "ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// "
    "--containerd=/run/containerd/containerd.sock $DOCKER_OPTS ; ignore_errors=no ; pid=733 }\n"
)
VALIDATE = (
    "/usr/bin/dockerd --validate --config-file=/dev/stdin -H fd:// "
    "--containerd=/run/containerd/containerd.sock"
)
STARTED = 1795231075.25


@pytest.fixture
def daemon(make_host):
    """Return a function: version, whether it runs, its verdict, daemon.json -> a machine."""

    def daemon(version="28.5.2", running=True, verdict=None, text=None, extra=None):
        files = {
            "/proc/733/comm": "dockerd",
            "/proc/net/route": "Iface\n"
            "eth0\t00000000\t0100630A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
            "/sys/class/net/eth0/mtu": "1400",
        }
        if running:
            files["/run/docker.pid"] = "733\n"
        if text is not None:
            files[PATH] = text
        files.update(extra or {})
        commands = {
            "/usr/bin/dockerd --version": {
                "stdout": "Docker version {0}, build 1\n".format(version)
            },
            "systemctl show --property=ExecStart docker.service": {"stdout": EXEC_START},
            "docker-api GET /version": {"stdout": json.dumps({"Version": version})},
        }
        if verdict is not None:
            commands[VALIDATE] = verdict
        host = make_host(files, {"programs": ["dockerd"], "commands": commands})
        if running:
            os.utime(os.path.join(host.root, "run/docker.pid"), (STARTED, STARTED))
        return host

    return daemon


OK = {"stdout": "configuration OK\n"}


def test_plan(daemon):
    host = daemon(verdict=OK, text='{"debug": true, "own": 1}')
    planned = docker_daemon.plan(host, {"live-restore": True}, ipv6=True, mtu="auto")
    shown = docker_daemon.result(planned)
    assert json.loads(shown["diff"]["after"]) == {
        "debug": True,
        "own": 1,
        "ipv6": True,
        "mtu": 1400,
        "live-restore": True,
    }
    assert shown["changed"] and shown["validated"] and shown["action"] == "restart"
    assert shown["changed_keys"] == ["ipv6", "mtu", "live-restore"]
    assert shown["engine_version"] == "28.5.2" and planned.warnings == []


def test_another_layout_of_the_same_is_no_change(daemon, tmp_path):
    host = daemon(text='{"log-opts":{"max-file":"5"},"live-restore":true}')
    (tmp_path / PATH[1:]).chmod(0o644)
    planned = docker_daemon.plan(host, {"live-restore": True, "log-opts": {"max-file": 5}})
    shown = docker_daemon.result(planned)
    assert (shown["changed"], shown["diff"], shown["action"]) == (False, {}, "none")
    (tmp_path / PATH[1:]).chmod(0o600)
    shown = docker_daemon.result(docker_daemon.plan(host, {"live-restore": True}))
    assert (shown["changed"], shown["changed_keys"], shown["action"]) == (True, [], "none")
    assert "mode 0600" in shown["diff"]["before_header"]


def test_the_daemons_verdict(daemon):
    verdict = {
        "rc": 1,
        "stderr": "unable to configure the Docker daemon with file /dev/stdin: the following "
        "directives are specified both as a flag and in the configuration file: hosts\n",
    }
    with pytest.raises(DaemonConfigError) as caught:
        docker_daemon.plan(daemon(verdict=verdict), {"hosts": ["tcp://127.0.0.1:2375"]})
    assert "refuses the new configuration" in str(caught.value)
    assert "with file /etc/docker/daemon.json: the following directives" in str(caught.value)
    assert "/etc/docker/daemon.json was left as it is" in str(caught.value)


def test_an_engine_that_cannot_check_says_so(daemon):
    planned = docker_daemon.plan(daemon(version="20.10.24+dfsg1"), {"debug": True})
    assert not planned.validated
    assert "20.10.24+dfsg1 and cannot check" in planned.warnings[0]


def test_before_the_engine_is_installed(make_host):
    planned = docker_daemon.plan(make_host(), {"live-restore": True}, ipv6=True)
    assert planned.change.changed and planned.warnings == []
    assert (planned.action, planned.engine_version, planned.validated) == ("none", None, False)


def test_an_engine_that_does_not_run_reads_the_file_when_it_starts(daemon):
    planned = docker_daemon.plan(daemon(running=False, verdict=OK), {"debug": True})
    assert (planned.action, planned.validated) == ("none", True)


@pytest.mark.parametrize(
    ("content", "age", "action"),
    [
        ("restart\n", STARTED + 5, "restart"),
        ("reload\n", STARTED + 5, "reload"),
        ("restart\n", STARTED - 5, "none"),
        ("nonsense\n", STARTED + 5, "none"),
    ],
)
def test_what_an_earlier_run_left_undone(daemon, tmp_path, content, age, action):
    pending = docker_daemon.PENDING_FILE
    host = daemon(text='{"debug": true}', extra={pending: content})
    os.utime(tmp_path / pending[1:], (age, age))
    (tmp_path / PATH[1:]).chmod(0o644)
    shown = docker_daemon.result(docker_daemon.plan(host, {"debug": True}))
    assert (shown["action"], shown["changed"]) == (action, action != "none")


def test_a_restart_that_is_owed_is_more_than_a_reload(daemon, tmp_path):
    pending = docker_daemon.PENDING_FILE
    host = daemon(verdict=OK, text="{}", extra={pending: "restart\n"})
    os.utime(tmp_path / pending[1:], (STARTED + 5, STARTED + 5))
    assert docker_daemon.plan(host, {"debug": True}).action == "restart"


def test_a_reload_that_is_owed_does_not_hide_a_restart(daemon, tmp_path):
    pending = docker_daemon.PENDING_FILE
    host = daemon(verdict=OK, text="{}", extra={pending: "reload\n"})
    os.utime(tmp_path / pending[1:], (STARTED + 5, STARTED + 5))
    assert docker_daemon.plan(host, {"log-driver": "local"}).action == "restart"


@pytest.mark.parametrize("content", [b"{", b"\xff{}", b"[1]"])
def test_a_broken_file_is_not_touched(daemon, tmp_path, content):
    with pytest.raises(DaemonConfigError, match="It was left as it is"):
        docker_daemon.plan(daemon(text=content, verdict=OK), {"debug": True})
    assert (tmp_path / PATH[1:]).read_bytes() == content


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"config": {"a": 1}, "absent": ["a"]}, "a is wanted and listed in absent as well"),
        ({"config": {}, "defaults": {"debug": "yes"}}, 'defaults: debug is "yes"'),
        ({"config": {"iptables": False}}, "would have iptables: false"),
    ],
)
def test_options_are_refused(daemon, options, reason):
    with pytest.raises(DaemonConfigError, match=reason):
        docker_daemon.plan(daemon(verdict=OK), **options)


def test_a_setting_of_the_file_that_breaks_mail_is_refused_until_it_goes(daemon):
    host = daemon(text='{"userns-remap": "default"}', verdict=OK)
    with pytest.raises(DaemonConfigError, match=PATH + " would have userns-remap"):
        docker_daemon.plan(host, {})
    assert docker_daemon.plan(host, {}, absent=["userns-remap"]).change.after == b"{}\n"


def test_passwords_in_addresses_are_not_shown(daemon):
    secret = "Tr0ub4dor"
    proxy = {"proxies": {"https-proxy": "http://joe:{0}@proxy.example:3128".format(secret)}}
    host = daemon(text=json.dumps(proxy), verdict=OK)
    shown = docker_daemon.result(docker_daemon.plan(host, {"debug": True}))
    assert secret not in json.dumps(shown)
    assert "http://********@proxy.example:3128" in shown["diff"]["after"]


def test_writing(daemon, tmp_path):
    """The mark is there before the file, and the old file is kept."""
    path, pending = tmp_path / "new" / "daemon.json", tmp_path / "pending"
    planned = docker_daemon.plan(daemon(verdict=OK), {"mtu": 1400})
    planned = planned._replace(change=planned.change._replace(path=str(path)))
    assert docker_daemon.write(planned, pending_file=str(pending)) == ""
    assert json.loads(path.read_text()) == {"mtu": 1400} and path.stat().st_mode & 0o777 == 0o644
    assert pending.read_text() == "restart\n"
    copy = docker_daemon.write(planned, pending_file=str(pending))
    assert copy.startswith(str(path)) and copy.endswith("~")


def test_the_mark_is_there_before_the_file(daemon, tmp_path, monkeypatch):
    planned = docker_daemon.plan(daemon(verdict=OK), {"mtu": 1400})
    pending = tmp_path / "pending"
    seen = []
    monkeypatch.setattr(
        file_write.Change, "write", lambda self, backup: seen.append(pending.read_text())
    )
    change = planned.change._replace(path=str(tmp_path / "daemon.json"))
    docker_daemon.write(planned._replace(change=change), pending_file=str(pending))
    assert seen == ["restart\n"]
