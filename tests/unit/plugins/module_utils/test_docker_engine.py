# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of Docker on a machine, and what has to be installed on it."""

from __future__ import annotations

import os

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_engine, host_info

SYSTEMCTL = "systemctl show --property=ActiveState,UnitFileState docker.service"
API = "docker-api GET /version"


def status(**packages):
    text = ""
    for name, version in packages.items():
        text += "Package: {0}\nStatus: install ok installed\nVersion: {1}\n\n".format(
            name.replace("_", "-").replace("DOT", "."), version
        )
    return text


FROM_DOCKER = {
    "docker_ce": "5:26.1.5-1~debian.13~trixie",
    "docker_ce_cli": "5:26.1.5-1~debian.13~trixie",
    "containerdDOTio": "1.7.24-1",
    "docker_compose_plugin": "2.26.1-4",
}
FROM_DEBIAN = {
    "docker.io".replace(".", "DOT"): "26.1.5+dfsg1-9+b11",
    "docker_cli": "26.1.5+dfsg1-9+b11",
    "docker_compose": "2.26.1-4",
    "containerd": "1.7.24~ds1-6+b5",
    "runc": "1.1.15+ds1-2+b4",
}
RELEASE = {
    "debian 11": "ID=debian\nVERSION_ID=11\nVERSION_CODENAME=bullseye\nPRETTY_NAME='Debian 11'\n",
    "debian 12": "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\nPRETTY_NAME='Debian 12'\n",
    "debian 13": "ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\nPRETTY_NAME='Debian 13'\n",
    "debian sid": "ID=debian\nVERSION_CODENAME=sid\nPRETTY_NAME='Debian sid'\n",
    "ubuntu": "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\nVERSION_CODENAME=noble\n",
    "mint": "ID=linuxmint\nID_LIKE='ubuntu debian'\nVERSION_ID=22\nPRETTY_NAME='Linux Mint 22'\n",
    "alma 8": "ID=almalinux\nID_LIKE='rhel centos fedora'\nVERSION_ID=8.10\nPRETTY_NAME='Alma 8'\n",
    "stream 8": "ID=centos\nID_LIKE='rhel fedora'\nVERSION_ID=8\nPRETTY_NAME='Stream 8'\n",
    "alma": "ID=almalinux\nID_LIKE='rhel centos fedora'\nVERSION_ID=9.6\nPRETTY_NAME='Alma 9'\n",
    "rhel": "ID=rhel\nID_LIKE=fedora\nVERSION_ID=9.6\nPRETTY_NAME='RHEL 9'\n",
    "alpine": "ID=alpine\nVERSION_ID=3.22\nPRETTY_NAME='Alpine'\n",
}


@pytest.fixture
def running(make_host):
    """A Debian 13 with Docker's own engine that runs."""
    return make_host(
        {
            "/etc/os-release": RELEASE["debian 13"],
            "/run/systemd/system/x": "",
            "/var/lib/dpkg/status": status(**FROM_DOCKER),
            "/run/docker.pid": "733",
            "/proc/733/comm": "dockerd\n",
            "/proc/1/comm": "systemd\n",
            "/usr/libexec/docker/cli-plugins/docker-compose": "",
        },
        {
            "machine": "x86_64",
            "programs": ["docker", "dockerd"],
            "commands": {
                "/usr/bin/dockerd --version": {"stdout": "Docker version 28.5.2, build 1\n"},
                "/usr/libexec/docker/cli-plugins/docker-compose version --short": {
                    "stdout": "2.26.1-4\n"
                },
                SYSTEMCTL: {"stdout": "ActiveState=active\nUnitFileState=enabled\n"},
                API: {"stdout": '{"Version": "26.1.5+dfsg1", "ApiVersion": "1.45"}'},
            },
        },
    )


def test_an_engine_that_runs(running):
    found = docker_engine.info(running)
    packages = found.pop("packages")
    assert packages["docker-ce"] == FROM_DOCKER["docker_ce"] and packages["runc"] is None
    assert found == {
        "vendor": "docker",
        "command": "/usr/bin/docker",
        "daemon": "/usr/bin/dockerd",
        "running": True,
        # What runs counts: the installed one was upgraded meanwhile.
        "version": "26.1.5+dfsg1",
        "installed_version": "28.5.2",
        "api_version": "1.45",
        "compose_version": "2.26.1-4",
        "service": {"active": True, "enabled": True},
    }


def test_when_it_was_started(running, tmp_path):
    os.utime(tmp_path / "run/docker.pid", (1795231075.25, 1795231075.25))
    assert docker_engine.started(running) == 1795231075.25


def test_a_stopped_engine_is_not_asked(running, tmp_path):
    """systemd would start it for whoever connects to its socket."""
    (tmp_path / "run/docker.pid").unlink()
    found = docker_engine.info(running)
    assert (found["running"], found["version"], found["api_version"]) == (False, "28.5.2", None)


@pytest.mark.parametrize("pid", ["", "what", "99", "1"])
def test_a_pid_file_that_means_nothing(running, tmp_path, pid):
    (tmp_path / "run/docker.pid").write_text(pid)
    assert docker_engine.started(running) is None


def test_a_bare_host(make_host):
    found = docker_engine.info(make_host({"/var/lib/dpkg/status": ""}, {}))
    assert found["vendor"] == "none" and not found["running"] and found["version"] is None


@pytest.mark.parametrize(
    ("packages", "files", "programs", "vendor"),
    [
        (FROM_DEBIAN, {}, ["docker", "dockerd"], "distribution"),
        ({"podman_docker": "5"}, {}, ["docker"], "podman"),
        ({}, {"/snap/bin/docker": ""}, ["docker"], "snap"),
        ({}, {}, ["dockerd"], "other"),
        ({}, {}, ["docker"], "none"),
    ],
)
def test_vendor(make_host, packages, files, programs, vendor):
    host = make_host(
        dict(files, **{"/var/lib/dpkg/status": status(**packages)}), {"programs": programs}
    )
    assert docker_engine.info(host)["vendor"] == vendor


def facts(release, packages=None, files=None, **docker):
    """What host_info would return, without a host."""
    installed = {
        name.replace("_", "-").replace("DOT", "."): version
        for name, version in (packages or {}).items()
    }
    vendor = next((maker for name, maker in docker_engine.MAKERS if name in installed), "none")
    return {
        "system": {
            "distribution": release,
            "architecture": {"kernel": "x86_64", "debian": "amd64"},
            "service_manager": "systemd",
        },
        "docker": dict({"vendor": vendor, "packages": installed, "daemon": None}, **docker),
    }


@pytest.fixture
def system(make_host):
    def system(name):
        return host_info.distribution(make_host({"/etc/os-release": RELEASE[name]}))

    return system


DOCKER_PACKAGES = ["docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin"]


def test_plan_for_a_fresh_debian(system):
    assert docker_engine.plan(facts(system("debian 13"))) == {
        "refusal": "",
        "install": DOCKER_PACKAGES,
        "missing": DOCKER_PACKAGES,
        "remove": [],
        "repository": {
            "kind": "apt",
            "uris": ["https://download.docker.com/linux/debian"],
            "suites": ["trixie"],
            "components": ["stable"],
            "architectures": ["amd64"],
            "key_url": "https://download.docker.com/linux/debian/gpg",
            "key_fingerprint": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
        },
    }


@pytest.mark.parametrize(
    ("name", "folder"),
    [("alma", "centos"), ("rhel", "rhel"), ("alma 8", "rhel"), ("stream 8", "centos")],
)
def test_plan_for_red_hats_family(system, name, folder):
    plan = docker_engine.plan(facts(system(name)), repository_url="https://mirror.example/d/")
    assert plan["refusal"] == "" and plan["missing"] == DOCKER_PACKAGES
    assert plan["repository"]["kind"] == "yum"
    assert plan["repository"]["uris"] == [
        "https://mirror.example/d/{0}/$releasever/$basearch/stable".format(folder)
    ]
    assert plan["repository"]["key_url"] == "https://mirror.example/d/{0}/gpg".format(folder)
    assert plan["repository"]["key_fingerprint"] == "060A61C51B558A7F742B77AAC52FEB6B621E9F35"


def test_nothing_is_missing_on_a_host_that_has_it(system):
    plan = docker_engine.plan(facts(system("debian 13"), FROM_DOCKER))
    assert (plan["refusal"], plan["missing"], plan["remove"]) == ("", [], [])
    plan = docker_engine.plan(facts(system("debian 13"), FROM_DEBIAN), "distribution")
    assert (plan["refusal"], plan["missing"], plan["remove"]) == ("", [], [])
    assert plan["repository"] == {}


@pytest.mark.parametrize(
    ("name", "source", "packages", "reason"),
    [
        ("debian 12", "distribution", {}, "Debian 12 is 20.10.24 and its Compose 1.29.2; .* need"),
        ("debian 12", "distribution", {}, "at least 24 and 2; use docker_source: docker"),
        ("debian 11", "distribution", {}, "Debian 11 is 20.10.5 and its Compose 1.25.0"),
        ("alma", "distribution", {}, "Alma 9 has no Docker engine of its own, only Podman"),
        ("mint", "docker", {}, "no packages for Linux Mint 22; it has for: almalinux, centos, deb"),
        ("alpine", "docker", {}, "Alpine is neither of Debian's nor of Red Hat's family"),
        ("debian 13", "docker", FROM_DEBIAN, "docker-cli, docker-compose, containerd, runc. They"),
        ("debian 13", "docker", FROM_DEBIAN, "docker_source: docker; set docker_replace: true"),
        ("debian 13", "distribution", FROM_DOCKER, "docker-ce, docker-ce-cli, containerd.io, dock"),
        ("debian 13", "docker", {"podman_docker": "5"}, "installed: podman-docker"),
    ],
)  # fmt: skip
def test_refusals(system, name, source, packages, reason):
    host = facts(system(name), packages)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(docker_engine.plan(host, source)["refusal"])


@pytest.mark.parametrize(
    ("docker", "reason"),
    [
        ({"vendor": "snap"}, "snap remove docker"),
        (
            {"vendor": "other", "daemon": "/opt/dockerd"},
            "Docker engine at /opt/dockerd that no known",
        ),
    ],
)
def test_engines_that_the_role_does_not_remove(system, docker, reason):
    host = facts(system("debian 13"), **docker)
    assert reason in docker_engine.plan(host, replace=True)["refusal"]


def test_without_systemd(system):
    host = facts(system("debian 13"))
    host["system"]["service_manager"] = "openrc"
    assert "systemd does not run here (openrc does)" in docker_engine.plan(host)["refusal"]


@pytest.mark.parametrize("name", ["debian 13", "debian sid", "ubuntu", "mint"])
def test_the_distributions_engine_is_accepted_where_nothing_is_known_against_it(system, name):
    plan = docker_engine.plan(facts(system(name)), "distribution")
    compose = "docker-compose" if name.startswith("debian") else "docker-compose-v2"
    assert plan["refusal"] == "" and compose in plan["missing"] and "docker.io" in plan["missing"]


def test_replacing(system):
    plan = docker_engine.plan(facts(system("debian 13"), FROM_DEBIAN), replace=True)
    assert plan["refusal"] == "" and plan["missing"] == DOCKER_PACKAGES
    assert plan["remove"] == ["docker.io", "docker-cli", "docker-compose", "containerd", "runc"]


@pytest.mark.parametrize(
    ("name", "source", "version", "install"),
    [
        ("debian 13", "docker", "26", "docker-ce=5:26.*"),
        ("debian 13", "docker", "26.1", "docker-ce=5:26.1.*"),
        ("debian 13", "docker", "26.1.5", "docker-ce=5:26.1.5*"),
        ("debian 13", "docker", "5:26.1.5-1~deb.13~trixie", "docker-ce=5:26.1.5-1~deb.13~trixie"),
        ("debian 13", "distribution", "26.1", "docker.io=26.1.*"),
        ("alma", "docker", "28.5", "docker-ce-28.5.*"),
    ],
)  # fmt: skip
def test_pinned_version(system, name, source, version, install):
    plan = docker_engine.plan(facts(system(name)), source, version)
    assert plan["install"][0] == install
    unpinned = [entry for entry in plan["install"] if "containerd" in entry or "compose" in entry]
    assert unpinned and not any("*" in entry for entry in unpinned)


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("26", []),
        ("26.1", []),
        ("26.1.5", []),
        ("5:26.1.5-1~debian.13~trixie", []),
        ("2", ["docker-ce=5:2.*", "docker-ce-cli=5:2.*"]),
        ("28", ["docker-ce=5:28.*", "docker-ce-cli=5:28.*"]),
    ],
)
def test_pinned_version_that_is_there(system, version, missing):
    host = facts(system("debian 13"), FROM_DOCKER)
    assert docker_engine.plan(host, version=version)["missing"] == missing


def test_bad_options(system):
    host = facts(system("debian 13"))
    with pytest.raises(
        ValueError, match="docker_source is 'podman'; allowed: docker, distribution"
    ):
        docker_engine.plan(host, "podman")
    with pytest.raises(ValueError, match="docker_version is 'latest'; allowed: a version"):
        docker_engine.plan(host, version="latest")


@pytest.mark.parametrize(
    ("version", "compose", "reason"),
    [
        ("24.0.9", "2.0.0", ""),
        ("29.1.0", "5.0.1", ""),
        ("26.1.5+dfsg1", "2.26.1-4", ""),
        (None, None, "no Docker engine"),
        ("20.10.24+dfsg1", "2.1", "has version 20.10.24+dfsg1; the stacks need at least 24"),
        ("26.1.5", None, "the Compose plugin is missing"),
        ("26.1.5", "1.29.2", "Compose has version 1.29.2; the stacks need at least 2"),
    ],
)
def test_shortfall(version, compose, reason):
    found = docker_engine.shortfall({"version": version, "compose_version": compose})
    assert reason in found and bool(found) is bool(reason)
