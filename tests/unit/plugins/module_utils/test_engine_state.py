# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    docker_engine,
    engine_state,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

RUNNING = {
    "/run/docker.pid": "100\n",
    "/proc/100/comm": "dockerd\n",
    "/proc/100/cmdline": "/usr/bin/dockerd\0-H\0fd://\0--containerd=/run/containerd.sock\0",
}


def status(**packages):
    """Return dpkg's status file with these packages installed."""
    return {
        "/var/lib/dpkg/status": "".join(
            "Package: {0}\nStatus: install ok installed\nVersion: {1}\n\n".format(
                name.replace("_", "-"), version
            )
            for name, version in packages.items()
        )
    }


@pytest.mark.parametrize(
    ("files", "programs", "vendor", "version"),
    [
        ({}, [], "none", ""),
        (status(docker_ce="5:28.5.2-1~debian.13~trixie"), ["dockerd"], "docker", "28.5.2"),
        ({"/var/lib/dpkg/status": "Package: docker.io\nStatus: install ok installed\n"
          "Version: 26.1.5+dfsg1-9+b9\n\n"}, ["dockerd"], "distribution", "26.1.5+dfsg1"),
        (status(podman_docker="5.4.2+ds1-2"), ["docker"], "podman", ""),
        ({"/usr/bin/docker": "#!/usr/bin/sh\nexec /usr/bin/podman \"$@\"\n"}, [], "podman", ""),
        ({"/snap/bin/docker": ""}, [], "snap", ""),
        ({}, ["dockerd"], "other", "27.0.1"),
    ],
)  # fmt: skip
def test_who_made_the_engine(make_host, files, programs, vendor, version):
    recorded = {
        "programs": programs,
        "commands": {"/usr/bin/dockerd -v": {"stdout": "Docker version 27.0.1, build abc\n"}},
    }
    found = engine_state.installed(make_host(files, recorded))
    assert (found.vendor, found.version) == (vendor, version)


@pytest.mark.parametrize(("programs", "version"), [([], None), (["docker"], "3:28.0.1-1.el9")])
def test_rpm_is_asked_only_where_a_program_is(make_host, programs, version):
    query = ["rpm", "-q", "--qf", "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"]
    command = " ".join(query + docker_engine.known_packages())
    answers = {command: {"stdout": "docker-ce\t3:28.0.1-1.el9\n"}}
    host = make_host({}, {"programs": programs, "commands": answers})
    assert engine_state.installed(host).packages["docker-ce"] == version


def test_a_stopped_engine_is_not_woken(make_host):
    host = make_host({}, {"docker": {"/version": {"Version": "28.0.1"}}})
    with pytest.raises(HostError, match="does not run"):
        engine_state.reply(host)
    assert engine_state.version(host) == ""


def test_an_engine_that_runs_tells_its_version(make_host):
    host = make_host(RUNNING, {"docker": {"/version": {"Version": "28.0.1"}}})
    assert engine_state.running(host)
    assert engine_state.version(host) == "28.0.1"


def test_flags_count_more_than_the_file(make_host):
    files = dict(RUNNING)
    files["/proc/100/cmdline"] += "--iptables=false\0--data-root\0/srv/docker\0--debug\0"
    files["/etc/docker/daemon.json"] = '{"iptables": true, "ipv6": true}'
    found = engine_state.settings(make_host(files))
    assert found.flags == {
        "hosts": "fd://",
        "containerd": "/run/containerd.sock",
        "iptables": "false",
        "data-root": "/srv/docker",
        "debug": "true",
    }
    assert found.values["iptables"] is False
    assert found.values["debug"] is True
    assert found.values["ipv6"] is True
    assert found.place("iptables") == "the daemon's command line"
    assert found.place("ipv6") == "/etc/docker/daemon.json"


def test_the_file_may_be_elsewhere(make_host):
    files = dict(RUNNING)
    files["/proc/100/cmdline"] = "dockerd\0--config-file=/srv/daemon.json\0"
    files["/srv/daemon.json"] = '{"ip6tables": false}'
    found = engine_state.settings(make_host(files))
    assert found.path == "/srv/daemon.json"
    assert found.values["ip6tables"] is False


def test_the_unit_tells_the_flags_of_an_engine_that_is_stopped(make_host):
    unit = "[Service]\nExecStart=/usr/bin/dockerd -H fd:// \\\n  --userland-proxy=false\n"
    files = {"/usr/lib/systemd/system/docker.service": unit}
    assert engine_state.flags(make_host(files)) == {"hosts": "fd://", "userland-proxy": "false"}


def test_a_drop_in_replaces_the_unit_s_command(make_host):
    files = {
        "/lib/systemd/system/docker.service": "ExecStart=/usr/bin/dockerd -H fd://\n",
        "/etc/systemd/system/docker.service.d/x.conf": "ExecStart=\nExecStart=dockerd --debug\n",
    }
    assert engine_state.flags(make_host(files)) == {"debug": "true"}


@pytest.mark.parametrize("text", ['{"a": ', "[]", b"\xff\xfe"])
def test_a_file_that_is_broken(make_host, text):
    with pytest.raises(HostError, match="daemon.json"):
        engine_state.settings(make_host({"/etc/docker/daemon.json": text}))


@pytest.mark.parametrize(
    ("version", "text", "expected"),
    [
        ("26.1.5", "{}", False),
        ("27.0.0", "{}", True),
        ("26.1.5", '{"ip6tables": true}', True),
        ("29.0.0", '{"ip6tables": false}', False),
    ],
)
def test_rules_for_ipv6(make_host, version, text, expected):
    files = {**RUNNING, "/etc/docker/daemon.json": text}
    host = make_host(files, {"docker": {"/version": {"Version": version}}})
    assert engine_state.filters_ipv6(host) is expected


def test_an_engine_to_come_makes_rules_for_ipv6(make_host):
    assert engine_state.filters_ipv6(make_host()) is True


@pytest.mark.parametrize(
    ("text", "info", "expected"),
    [
        ("{}", {}, "iptables"),
        ("{}", {"FirewallBackend": {"Driver": "iptables+firewalld"}}, "iptables"),
        ("{}", {"FirewallBackend": {"Driver": "nftables"}}, "nftables"),
        ('{"firewall-backend": "nftables"}', {}, "nftables"),
    ],
)
def test_backend(make_host, text, info, expected):
    files = {**RUNNING, "/etc/docker/daemon.json": text}
    assert engine_state.backend(make_host(files, {"docker": {"/info": info}})) == expected


def test_rootless(make_host):
    assert not engine_state.rootless(make_host({"/proc/7/comm": "dockerd\n"}))
    files = {"/proc/7/comm": "rootlesskit\n", "/proc/7/cmdline": "rootlesskit\0dockerd-rootless.sh"}
    assert engine_state.rootless(make_host(files))


def test_rootless_podman_is_no_engine(make_host):
    files = {"/proc/7/comm": "rootlesskit\n", "/proc/7/cmdline": "rootlesskit\0buildkitd\0"}
    assert not engine_state.rootless(make_host(files))


@pytest.mark.parametrize(
    ("config", "version", "expected"),
    [
        ("{}", "26.1.4", (True, False, True)),
        ("{}", "28.0.1", (True, True, True)),
        ('{"userland-proxy": false, "ip6tables": true}', "26.1.4", (True, True, False)),
        ('{"iptables": false}', "28.0.1", (False, False, True)),
    ],
)
def test_how_connections_reach_containers(make_host, config, version, expected):
    files = dict(RUNNING, **{"/etc/docker/daemon.json": config})
    host = make_host(files, {"docker": {"/version": {"Version": version}}})
    found = engine_state.forwarding(host)
    assert (found["iptables"], found["ip6tables"], found["userland_proxy"]) == expected
