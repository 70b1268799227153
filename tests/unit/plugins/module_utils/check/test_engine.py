# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import engine, need
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))
MAILU = need.from_stack(stack.get("mailu"))
PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"
RUNNING = {
    "/run/docker.pid": "100\n",
    "/proc/100/comm": "dockerd\n",
    "/proc/100/cmdline": "/usr/bin/dockerd\0-H\0fd://\0",
}
UNITS = {
    "docker.service": ["loaded", "active", "enabled"],
    "containerd.service": ["loaded", "active", "enabled"],
}
DOCKER_CE = {"docker-ce": "5:28.5.2-1~debian.13~trixie", "docker-compose-plugin": "2.40.3-1~x"}


def packages(installed):
    return {
        "/var/lib/dpkg/status": "".join(
            "Package: {0}\nStatus: install ok installed\nVersion: {1}\n\n".format(*item)
            for item in installed.items()
        )
    }


@pytest.fixture
def an_engine(make_host):
    """Return a function that makes a host with an engine."""

    def make(
        installed=None,
        running=True,
        version="28.5.2",
        files=None,
        config=None,
        units=None,
        docker=None,
        commands=None,
        links=None,
        **more,
    ):
        tree = {
            **packages(DOCKER_CE if installed is None else installed),
            **(RUNNING if running else {}),
            "/proc/1/comm": "systemd\n",
            "/proc/net/if_inet6": "",
            "/usr/bin/dockerd": "",
            "/usr/bin/docker": "",
            "/run/systemd/system/.keep": "",
            **(files or {}),
        }
        if config is not None:
            tree["/etc/docker/daemon.json"] = (
                config if isinstance(config, str) else json.dumps(config)
            )
        recorded = {"units": {**UNITS, **(units or {})}, "commands": commands or {}, **more}
        if running:
            recorded["docker"] = {
                "/version": {"Version": version, "MinAPIVersion": "1.24"},
                "/info": {"Driver": "overlay2", "SecurityOptions": ["name=seccomp,profile=x"]},
                "/networks": [],
                **(docker or {}),
            }
        return make_host(tree, recorded, links)

    return make


def told(findings):
    (found,) = findings
    assert found.required
    assert bool(found.fix) == (found.status != "ok")
    return found.status, found.observed, found.fix


INSTALLED_ONLY = (
    engine.version,
    engine.origin,
    engine.daemon,
    engine.compose,
    engine.api,
    engine.storage_driver,
    engine.configuration,
    engine.iptables,
    engine.firewall_backend,
    engine.userland_proxy,
    engine.userns_remap,
)


@pytest.mark.parametrize("look", [*INSTALLED_ONLY, engine.swarm])
def test_a_bare_host_is_skipped(make_host, look):
    status, observed, fix = told(look(make_host(), MAILCOW))
    assert (status, observed) == ("skip", "not installed")
    assert "docker role" in fix


SETTINGS = INSTALLED_ONLY[6:]


@pytest.mark.parametrize("look", SETTINGS)
def test_a_configuration_that_waits_for_its_engine_is_looked_at(make_host, look):
    host = make_host({"/etc/docker/daemon.json": "{}"})
    assert told(look(host, MAILCOW))[0] == "ok"


@pytest.mark.parametrize("row", [row for row in engine.LOOK if row[3] is not engine.cgroups])
@pytest.mark.parametrize("demands", [MAILCOW, MAILU])
def test_a_good_engine(an_engine, row, demands):
    host = an_engine(files={PLUGIN: ""})
    assert told(row[3](host, demands))[0] == "ok"


# -- version and origin ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "demands", "status", "words"),
    [
        ("23.0.6", MAILCOW, "fail", "23.0.6"),
        ("24.0.0", MAILCOW, "ok", "24.0.0"),
        ("24.0.0", MAILU, "warn", "TLSA"),
        ("24.0.1", MAILU, "ok", "24.0.1"),
        ("20.10.24+dfsg1", MAILU, "ok", "20.10.24"),
        ("19.3.1", MAILU, "fail", "19.3.1"),
    ],
)
def test_versions(an_engine, version, demands, status, words):
    found = told(engine.version(an_engine(version=version), demands))
    assert found[0] == status
    assert words in found[1]


def test_the_package_tells_the_version_of_an_engine_that_does_not_run(an_engine):
    found = told(engine.version(an_engine(running=False), MAILCOW))
    assert found[:2] == ("ok", "28.5.2 (does not run)")


def test_silence_is_not_too_old(an_engine):
    host = an_engine(installed={}, running=False)
    assert told(engine.version(host, MAILCOW))[0] == "unknown"


@pytest.mark.parametrize(
    ("installed", "status", "words"),
    [
        (DOCKER_CE, "ok", "docker-ce 28.5.2"),
        ({"docker.io": "26.1.5+dfsg1-9"}, "ok", "new enough"),
        ({"docker.io": "20.10.24+dfsg1-1"}, "warn", "which is old"),
        ({}, "warn", "no known package"),
        ({"podman-docker": "5.4.2"}, "fail", "Podman"),
    ],
)
def test_origins(an_engine, installed, status, words):
    found = told(engine.origin(an_engine(installed=installed), MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_a_snap(make_host):
    host = make_host({"/snap/bin/docker": ""})
    assert told(engine.origin(host, MAILCOW))[:2] == ("fail", "a snap")
    assert told(engine.version(host, MAILCOW))[0] == "skip"
    assert told(engine.daemon(host, MAILCOW))[0] == "skip"


# -- daemon ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "status", "words"),
    [
        ({"docker.service": ["loaded", "failed", "enabled"]}, "fail", "docker.service failed"),
        ({"containerd.service": ["loaded", "failed", "enabled"]}, "fail", "containerd.service"),
        ({"docker.service": ["masked", "inactive", "masked"]}, "fail", "is masked"),
        ({"docker.service": ["loaded", "inactive", "enabled"]}, "warn", "inactive and enabled"),
        ({"docker.service": ["loaded", "active", "disabled"]}, "warn", "active and disabled"),
        ({"docker.service": ["loaded", "activating", "enabled"]}, "unknown", "is starting"),
        ({"docker.service": ["not-found", "inactive", ""]}, "warn", "without a unit"),
    ],
)
def test_services(an_engine, units, status, words):
    found = told(engine.daemon(an_engine(units=units), MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_a_failed_service_says_where_to_look(an_engine):
    units = {"docker.service": ["loaded", "failed", "enabled"]}
    assert "journalctl -u docker -n 20" in told(engine.daemon(an_engine(units=units), MAILCOW))[2]


def test_no_unit_and_no_daemon(an_engine):
    units = {"docker.service": ["not-found", "inactive", ""]}
    found = told(engine.daemon(an_engine(running=False, units=units), MAILCOW))
    assert found[:2] == ("warn", "there is no unit docker.service")


def test_a_service_that_does_not_answer(an_engine):
    assert told(engine.daemon(an_engine(running=False), MAILCOW))[0] == "fail"


@pytest.mark.parametrize(
    ("running", "files", "status"),
    [
        (True, {"/etc/runlevels/default/docker": ""}, "ok"),
        (True, {"/etc/runlevels/default/sshd": ""}, "warn"),
        (False, {"/etc/runlevels/default/docker": ""}, "warn"),
        (True, {}, "unknown"),
    ],
)
def test_without_systemd(make_host, running, files, status):
    tree = {"/usr/bin/dockerd": "", **(RUNNING if running else {}), **files}
    assert told(engine.daemon(make_host(tree), MAILCOW))[0] == status


# -- Compose --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("installed", "files", "commands", "status", "words"),
    [
        (DOCKER_CE, {PLUGIN: ""}, {}, "ok", "2.40.3"),
        (DOCKER_CE, {}, {}, "warn", "no plugin"),
        ({"docker.io": "26.1.5-1"}, {}, {}, "fail", "no plugin"),
        (
            {"docker.io": "20.10.24-1", "docker-compose": "1.29.2-3"},
            {"/usr/bin/docker-compose": ""},
            {},
            "fail",
            "no plugin, but docker-compose 1.29.2-3",
        ),
        (
            DOCKER_CE,
            {PLUGIN: "", "/usr/local/bin/docker-compose": ""},
            {"/usr/local/bin/docker-compose version --short": {"stdout": "1.29.2\n"}},
            "warn",
            "plugin 2.40.3, docker-compose 1.29.2 beside it",
        ),
        (
            DOCKER_CE,
            {PLUGIN: "", "/usr/local/bin/docker-compose": ""},
            {"/usr/local/bin/docker-compose version --short": {"stdout": "2.20.0\n"}},
            "ok",
            "2.40.3",
        ),
        (
            DOCKER_CE,
            {"/root/.docker/cli-plugins/docker-compose": "", PLUGIN: ""},
            {"/root/.docker/cli-plugins/docker-compose version --short": {"stdout": "v1.9.0\n"}},
            "fail",
            "v1.9.0",
        ),
        (
            DOCKER_CE,
            {"/root/.docker/cli-plugins/docker-compose": ""},
            {"/root/.docker/cli-plugins/docker-compose version --short": {"rc": 1}},
            "unknown",
            "does not tell its version",
        ),
    ],
)
def test_compose(an_engine, installed, files, commands, status, words):
    host = an_engine(installed=installed, files=files, commands=commands)
    found = told(engine.compose(host, MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_a_link_to_the_plugin_is_no_old_program(an_engine):
    links = {"/usr/bin/docker-compose": PLUGIN}
    host = an_engine(
        installed={"docker.io": "26.1.5-1", "docker-compose": "2.26.1-4"},
        files={PLUGIN: ""},
        links=links,
    )
    assert told(engine.compose(host, MAILCOW))[:2] == ("ok", "2.26.1")


def test_the_old_program_alone(make_host):
    host = make_host({**packages({"docker-compose": "1.29.2-3"}), "/usr/bin/docker-compose": ""})
    assert told(engine.compose(host, MAILCOW))[0] == "warn"


# -- API ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("least", "tag", "demands", "status"),
    [
        ("1.24", "1.62", MAILCOW, "ok"),
        ("1.44", "1.64", MAILCOW, "ok"),
        ("1.44", "1.63", MAILCOW, "fail"),
        ("1.44", "1.9", MAILCOW, "fail"),
        ("1.44", "1.63", MAILU, "ok"),
        ("", "1.64", MAILCOW, "unknown"),
    ],
)
def test_api(an_engine, least, tag, demands, status):
    text = "services:\n  x:\n    image: ghcr.io/mailcow/netfilter:{0}\n".format(tag)
    files = {demands.install_path + "/docker-compose.yml": text}
    docker = {"/version": {"Version": "29.0.0", "MinAPIVersion": least}}
    assert told(engine.api(an_engine(files=files, docker=docker), demands))[0] == status


@pytest.mark.parametrize("look", [engine.api, engine.storage_driver, engine.swarm])
def test_an_engine_that_does_not_run_is_not_asked(an_engine, look):
    assert told(look(an_engine(running=False), MAILCOW))[0] == "skip"


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "status", "words"),
    [
        ({"ipv6": True}, "ok", "well-formed"),
        ('{"ipv6": ', "fail", "no valid JSON"),
        ("[1]", "fail", "object"),
        ({"ipv6": "yes"}, "fail", "ipv6"),
        ({"hosts": ["fd://"]}, "fail", "hosts both in /etc/docker/daemon.json and"),
    ],
)
def test_configuration(an_engine, config, status, words):
    found = told(engine.configuration(an_engine(config=config), MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_a_file_that_cannot_be_read_is_unknown(an_engine):
    host = an_engine(files={"/etc/docker/daemon.json/x": ""})
    assert told(engine.configuration(host, MAILCOW))[0] == "unknown"


@pytest.mark.parametrize(
    ("look", "config", "demands", "status"),
    [
        (engine.iptables, {"iptables": False}, MAILCOW, "fail"),
        (engine.iptables, {"iptables": False}, MAILU, "fail"),
        (engine.iptables, {"iptables": True}, MAILU, "ok"),
        (engine.iptables, {"ip6tables": False}, MAILCOW, "fail"),
        (engine.iptables, {"ip6tables": False}, MAILU, "warn"),
        (engine.userland_proxy, {"userland-proxy": False}, MAILCOW, "warn"),
        (engine.userland_proxy, {"userland-proxy": False}, MAILU, "ok"),
        (engine.userland_proxy, {"userland-proxy": True}, MAILCOW, "ok"),
        (engine.userns_remap, {"userns-remap": "default"}, MAILCOW, "fail"),
        (engine.userns_remap, {"userns-remap": "default"}, MAILU, "warn"),
        (engine.userns_remap, {"userns-remap": ""}, MAILCOW, "ok"),
    ],
)
def test_settings(an_engine, look, config, demands, status):
    found = told(look(an_engine(config=config), demands))
    assert found[0] == status
    if status in ("fail", "warn"):
        assert "/etc/docker/daemon.json" in found[1]


def test_a_flag_of_the_daemon(an_engine):
    flag = {"/proc/100/cmdline": "dockerd\0--iptables=false\0"}
    found = told(engine.iptables(an_engine(files=flag), MAILCOW))
    assert found[0] == "fail"
    assert "command line" in found[1]


def test_mapped_users_in_force(an_engine):
    docker = {"/info": {"SecurityOptions": ["name=userns"]}}
    assert told(engine.userns_remap(an_engine(docker=docker), MAILCOW))[0] == "fail"


@pytest.mark.parametrize(
    ("version", "config", "info", "status"),
    [
        ("29.1.0", {"firewall-backend": "nftables"}, {}, "warn"),
        ("28.5.2", {"firewall-backend": "nftables"}, {}, "fail"),
        ("29.1.0", {}, {"FirewallBackend": {"Driver": "nftables"}}, "warn"),
        ("29.1.0", {"firewall-backend": "iptables"}, {}, "ok"),
    ],
)
def test_firewall_backend(an_engine, version, config, info, status):
    host = an_engine(version=version, config=config, docker={"/info": info})
    assert told(engine.firewall_backend(host, MAILCOW))[0] == status


ROOTLESS = {"/proc/7/comm": "rootlesskit\n", "/proc/7/cmdline": "rootlesskit\0dockerd-rootless.sh"}


@pytest.mark.parametrize(
    ("running", "files", "options", "status"),
    [
        (True, {}, ["name=rootless"], "fail"),
        (True, ROOTLESS, [], "ok"),
        (False, ROOTLESS, [], "fail"),
    ],
)
def test_rootless(an_engine, running, files, options, status):
    host = an_engine(running=running, files=files, docker={"/info": {"SecurityOptions": options}})
    assert told(engine.rootless(host, MAILCOW))[0] == status


def test_processes_that_are_hidden(make_host):
    assert told(engine.rootless(make_host(), MAILCOW))[0] == "unknown"


def test_a_user_s_engine_on_a_host_without_one(make_host):
    host = make_host({"/proc/1/comm": "systemd\n", **ROOTLESS})
    assert told(engine.rootless(host, MAILCOW))[0] == "ok"


@pytest.mark.parametrize(
    ("docker", "status"),
    [
        ({"/info": {"Swarm": {"LocalNodeState": "inactive"}}}, "ok"),
        ({"/info": {}}, "ok"),
        ({"/info": {"Swarm": {"LocalNodeState": "active"}}}, "warn"),
    ],
)
def test_swarm(an_engine, docker, status):
    assert told(engine.swarm(an_engine(docker=docker), MAILCOW))[0] == status


# -- surroundings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "details", "status", "words"),
    [
        ("overlay2", [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], "ok", ""),
        ("overlayfs", None, "ok", "overlayfs"),
        ("vfs", [], "warn", "copies whole images"),
        ("fuse-overlayfs", [], "warn", "fuse-overlayfs"),
        ("devicemapper", [], "warn", "engine 25 no longer has"),
        ("overlay2", [["Supports d_type", "false"]], "fail", "without d_type"),
    ],
)
def test_storage_driver(an_engine, driver, details, status, words):
    docker = {"/info": {"Driver": driver, "DriverStatus": details}}
    found = told(engine.storage_driver(an_engine(docker=docker), MAILCOW))
    assert found[0] == status
    assert words in found[1]


V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1 = "cgroup /sys/fs/cgroup/{0} cgroup rw,nosuid,{0} 0 0\n"
HYBRID = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "controllers", "status", "observed"),
    [
        (V2, "cpuset cpu io memory pids\n", "ok", "version 2"),
        (V2, "cpuset cpu io pids\n", "warn", "version 2 without memory"),
        (V2, "", "unknown", "version 2, controllers not shown"),
        (
            "".join(V1.format(name) for name in ("devices", "memory", "cpu,cpuacct", "pids")),
            "",
            "ok",
            "version 1",
        ),
        (
            "".join(V1.format(name) for name in ("devices", "memory", "cpu", "pids")) + HYBRID,
            "",
            "ok",
            "version 1 beside version 2",
        ),
        (V1.format("devices"), "", "warn", "version 1 without cpu, memory, pids"),
        (V1.format("memory"), "", "fail", "version 1 without devices"),
        ("proc /proc proc rw 0 0\n", "", "fail", "none mounted"),
    ],
)
def test_cgroups(make_host, mounts, controllers, status, observed):
    files = {"/proc/mounts": mounts, "/sys/fs/cgroup/cgroup.controllers": controllers}
    assert told(engine.cgroups(make_host(files), MAILCOW))[:2] == (status, observed)


def test_cgroups_that_cannot_be_seen(make_host):
    assert told(engine.cgroups(make_host(), MAILCOW))[0] == "unknown"


# -- open relay by IPv6 ---------------------------------------------------------------------------

GLOBAL = {"/proc/net/if_inet6": "2a0104f8000000000000000000000005 02 40 00 80     eth0\n"}
LOCAL = {
    "/proc/net/if_inet6": "fd990000000000000000000000000013 02 40 00 80     eth0\n"
    "fe800000000000000000000000000001 02 40 20 80     eth0\n"
    "20010db8000000000000000000000001 03 40 00 80 docker0\n"
    "00000000000000000000000000000001 01 80 10 80       lo\n"
}
NO_IPV6 = MAILCOW._replace(ipv6=False)
ON_IPV4 = NO_IPV6._replace(ports=tuple(port._replace(ipv4_only=True) for port in NO_IPV6.ports))


@pytest.mark.parametrize(
    ("files", "demands", "status", "words"),
    [
        ({"/proc/net/if_inet6": ""}, NO_IPV6, "ok", "no global IPv6"),
        # A kernel without IPv6 has no such table.
        ({"/proc/net/tcp": ""}, NO_IPV6, "ok", "no global IPv6"),
        (LOCAL, NO_IPV6, "ok", "no global IPv6"),
        ({}, NO_IPV6._replace(public_ipv6="2a01:4f8::7"), "fail", "2a01:4f8::7"),
        (GLOBAL, MAILCOW, "ok", "will have IPv6"),
        (GLOBAL, NO_IPV6, "fail", "the host has 2a01:4f8::5, the stack no IPv6, and 25, 80"),
        (GLOBAL, ON_IPV4, "ok", "IPv4 addresses only"),
        (GLOBAL, MAILU, "warn", "the stack no IPv6"),
    ],
)
def test_before_the_stack_is_there(make_host, files, demands, status, words):
    found = told(engine.ipv6_relay(make_host(files), demands))
    assert found[0] == status
    assert words in found[1]


def test_addresses_that_cannot_be_read(make_host):
    with pytest.raises(HostError, match="if_inet6"):
        engine.ipv6_relay(make_host(), NO_IPV6)


def test_an_old_engine_and_a_stack_with_ipv6(an_engine):
    host = an_engine(files=GLOBAL, version="26.1.5")
    assert told(engine.ipv6_relay(host, MAILCOW))[0] == "warn"


def test_without_the_helper_nothing_is_handed_on(an_engine):
    host = an_engine(files=GLOBAL, config={"userland-proxy": False})
    assert told(engine.ipv6_relay(host, NO_IPV6))[:2] == ("ok", "userland-proxy is off")


def listening(address, port, process="docker-proxy"):
    """Return a machine on which a program listens on one IPv6 or IPv4 address."""
    table = "/proc/net/tcp6" if len(address) == 32 else "/proc/net/tcp"
    line = "0: {0}:{1:04X} 0:0 0A 0:0 0:0 0 0 0 7000 1\n".format(address, port)
    files = {"/proc/net/tcp": "sl\n", "/proc/200/comm": process + "\n"}
    files[table] = "sl local rem st\n" + line
    return {**GLOBAL, **files}


EVERYWHERE = "0" * 32


@pytest.mark.parametrize(
    ("address", "port", "network", "version", "config", "status", "words"),
    [
        (EVERYWHERE, 25, False, "28.5.2", {}, "fail", "25 held for IPv6, the network has none"),
        (EVERYWHERE, 25, True, "28.5.2", {}, "ok", "the engine filters it"),
        (EVERYWHERE, 25, True, "26.1.5", {}, "fail", "ip6tables is off; held: 25"),
        (EVERYWHERE, 25, True, "26.1.5", {"ip6tables": True}, "ok", "the engine filters it"),
        ("00000000", 25, False, "28.5.2", {}, "ok", "not held for IPv6"),
        (EVERYWHERE, 22, False, "28.5.2", {}, "ok", "not held for IPv6"),
    ],
)
def test_a_stack_that_runs(an_engine, address, port, network, version, config, status, words):
    docker = {"/networks": [{"Name": MAILCOW.networks[0].name, "EnableIPv6": network}]}
    host = an_engine(
        files=listening(address, port),
        version=version,
        config=config,
        docker=docker,
        links={"/proc/200/fd/4": "socket:[7000]"},
    )
    found = told(engine.ipv6_relay(host, MAILCOW))
    assert found[0] == status
    assert words in found[1]
