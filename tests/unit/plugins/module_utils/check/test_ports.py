# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import struct

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, ports
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

DATA = stack.get("mailcow")
MAILCOW = need.from_stack(DATA)
PATH = "/opt/mailcow-dockerized"


def table(*sockets):
    """Return /proc/net/tcp with listening sockets (address, port, inode)."""
    lines = ["sl local rem st ..."]
    for address, port, inode in sockets:
        (word,) = struct.unpack("<I", socket.inet_aton(address))
        lines.append("0: {0:08X}:{1:04X} 0:0 0A 0 0 0 0 0 {2} 1".format(word, port, inode))
    return "\n".join(lines) + "\n"


def container(number, published, **labels):
    """Return the engine's own file of a container, by its path."""
    identity = "{0:x}".format(number) * 64
    named = {"com.docker.compose." + name: value for name, value in labels.items()}
    data = {
        "ID": identity,
        "Name": "/container-{0}".format(number),
        "State": {"Running": True},
        "Config": {"Labels": named},
        "NetworkSettings": {"Ports": published},
    }
    return {"/var/lib/docker/containers/{0}/config.v2.json".format(identity): json.dumps(data)}


def process(pid, name, cmdline="", unit=""):
    files = {
        "/proc/{0}/comm".format(pid): name + "\n",
        "/proc/{0}/cmdline".format(pid): cmdline.replace(" ", "\0") + "\0",
    }
    if unit:
        files["/proc/{0}/cgroup".format(pid)] = "0::/system.slice/" + unit + "\n"
    return files


def test_free(make_host):
    host = make_host({"/proc/net/tcp": table(("0.0.0.0", 22, 1))})
    assert [finding.status for finding in ports.public(host, MAILCOW)] == ["ok"]
    assert [finding.observed for finding in ports.loopback(host, MAILCOW)] == ["all free"]


def test_a_table_that_cannot_be_read_is_no_free_port(make_host):
    with pytest.raises(HostError, match="/proc/net/tcp"):
        ports.public(make_host(), MAILCOW)


def test_a_stack_without_such_ports(make_host):
    none = MAILCOW._replace(ports=())
    assert [finding.status for finding in ports.loopback(make_host(), none)] == ["skip"]


@pytest.mark.parametrize(
    ("files", "words", "fix"),
    [
        (
            process(50, "exim4", unit="exim4.service"),
            "exim4 (PID 50, exim4.service)",
            "exim4.service",
        ),
        (process(50, "nc"), "nc (PID 50)", "Stop process 50"),
        (process(1, "systemd", unit="init.scope"), "systemd (PID 1)", "list-sockets"),
        (
            process(
                50, "docker-proxy", "docker-proxy -container-ip 172.19.0.2", unit="docker.service"
            ),
            "docker-proxy (PID 50, docker.service) for the container at 172.19.0.2",
            "docker ps",
        ),
        (process(50, "dockerd"), "dockerd (PID 50) for a container", "docker ps"),
        (
            dict(
                process(50, "master", unit="docker-{0}.scope".format("3" * 64)),
                **container(3, {}, project="mail"),
            ),
            "container container-3, Compose project mail",
            "docker stop container-3",
        ),
        (
            dict(
                process(50, "dockerd"),
                **container(4, {"25/tcp": [{"HostIp": "", "HostPort": "25"}]}),
            ),
            "container container-4",
            "docker stop container-4",
        ),
        (
            dict(
                process(50, "dockerd"),
                **container(
                    4,
                    {"25/tcp": [{"HostIp": "", "HostPort": "25"}]},
                    project="mailcowdockerized",
                    **{"project.working_dir": "/srv/other"},
                ),
            ),
            "of the same Compose project in /srv/other",
            "Set install_path",
        ),
    ],
)
def test_holder_of_port_25(files, words, fix, make_host):
    pid = 1 if "/proc/1/comm" in files else 50
    files = dict(files, **{"/proc/net/tcp": table(("0.0.0.0", 25, 7))})
    host = make_host(files, links={"/proc/{0}/fd/3".format(pid): "socket:[7]"})
    (finding,) = ports.public(host, MAILCOW)
    assert finding.status == "fail"
    assert finding.observed.startswith("tcp 0.0.0.0:25 held by ")
    assert words in finding.observed
    assert finding.required == "tcp 25 free"
    assert fix in finding.fix
    # Other servers deliver to port 25 and to no other.
    assert "SMTP_PORT" not in finding.fix


def test_a_holder_that_is_not_visible(make_host):
    host = make_host({"/proc/net/tcp": table(("0.0.0.0", 143, 8))})
    (finding,) = ports.public(host, MAILCOW)
    assert finding.observed == "tcp 0.0.0.0:143 held by a process that is not visible"
    assert "ss -tulpn" in finding.fix
    assert "IMAP_PORT" in finding.fix
    assert finding.status == "fail"


def test_a_holder_that_is_not_visible_may_be_the_stack(make_host):
    table_of_143 = {"/proc/net/tcp": table(("0.0.0.0", 143, 8))}
    host = make_host({PATH + "/mailcow.conf": "", **table_of_143})
    assert [finding.status for finding in ports.public(host, MAILCOW)] == ["unknown"]


OWN = {"project": "mailcowdockerized", "project.working_dir": PATH}
PUBLISHED = {"443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "443"}], "9/tcp": None}


@pytest.mark.parametrize(
    ("files", "own"),
    [
        (dict(process(50, "docker-proxy"), **container(5, PUBLISHED, **OWN)), True),
        # The engine without its helper holds the port itself.
        (dict(process(50, "dockerd"), **container(5, PUBLISHED, **OWN)), True),
        (dict(process(50, "dockerd"), **container(5, PUBLISHED, project="other")), False),
        # An engine that wrote no directory down.
        (
            dict(process(50, "dockerd"), **container(5, PUBLISHED, project="mailcowdockerized")),
            True,
        ),
        # No file of the engine can be read: the address in the stack's network tells.
        (process(50, "docker-proxy", "docker-proxy -container-ip 172.22.1.11"), True),
        (process(50, "docker-proxy", "docker-proxy -container-ip fd4d:6169:6c63:6f77::b"), True),
        (process(50, "docker-proxy", "docker-proxy -container-ip 172.22.2.11"), False),
        (process(50, "docker-proxy", "docker-proxy -container-ip nonsense"), False),
        (process(50, "docker-proxy", "docker-proxy -container-ip"), False),
        # Any program may say so of itself.
        (process(50, "python3", "docker-proxy -container-ip 172.22.1.11"), False),
        (dict(process(50, "nginx"), **container(5, PUBLISHED, **OWN)), False),
        # A container in the host's network is known by its control group.
        (
            dict(
                process(50, "nginx", unit="docker-{0}.scope".format("5" * 64)),
                **container(5, {}, **OWN),
            ),
            True,
        ),
        (
            dict(
                process(50, "dockerd"),
                **{"/var/lib/docker/containers/x/config.v2.json": '{"State": null}'},
            ),
            False,
        ),
    ],
)
def test_own_or_foreign(files, own, make_host):
    files = dict(files, **{"/proc/net/tcp": table(("0.0.0.0", 443, 7))})
    host = make_host(files, links={"/proc/50/fd/3": "socket:[7]"})
    (finding,) = ports.public(host, MAILCOW)
    assert finding.status == ("ok" if own else "fail")
    assert ("HTTPS_PORT" in finding.fix) is not own


def test_a_stopped_container_holds_nothing(make_host):
    files = container(5, PUBLISHED, **OWN)
    files = {path: text.replace("true", "false") for path, text in files.items()}
    files = dict(files, **process(50, "dockerd"), **{"/proc/net/tcp": table(("0.0.0.0", 443, 7))})
    host = make_host(files, links={"/proc/50/fd/3": "socket:[7]"})
    assert ports.public(host, MAILCOW)[0].status == "fail"


@pytest.mark.parametrize(
    ("values", "address", "port", "status"),
    [
        ({}, "127.0.0.1", 443, "fail"),
        ({"HTTPS_BIND": "192.0.2.1"}, "127.0.0.1", 443, "ok"),
        ({"HTTPS_BIND": "192.0.2.1"}, "192.0.2.1", 443, "fail"),
        ({"HTTPS_BIND": "192.0.2.1"}, "0.0.0.0", 443, "fail"),
        ({"HTTPS_BIND": "0.0.0.0"}, "127.0.0.1", 443, "fail"),
        ({"HTTPS_PORT": 8443}, "0.0.0.0", 443, "ok"),
        ({"HTTPS_PORT": 8443}, "0.0.0.0", 8443, "fail"),
        ({"SMTP_PORT": "192.0.2.1:25"}, "127.0.0.1", 25, "ok"),
        ({"SMTP_PORT": "192.0.2.1:25"}, "192.0.2.1", 25, "fail"),
    ],
)
def test_addresses(values, address, port, status, make_host):
    host = make_host({"/proc/net/tcp": table((address, port, 7))})
    assert ports.public(host, need.from_stack(DATA, config=values))[0].status == status


def test_loopback_ports_mind_their_address(make_host):
    host = make_host({"/proc/net/tcp": table(("192.0.2.1", 13306, 7))})
    assert ports.loopback(host, MAILCOW)[0].status == "ok"
    bare = need.from_stack(DATA, config={"SQL_PORT": 13306})
    (finding,) = ports.loopback(host, bare)
    assert finding.status == "fail"
    assert "SQL_PORT" in finding.fix
