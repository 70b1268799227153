# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import socket
import threading
from datetime import datetime, timezone

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack, stack_ready
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_api import (
    DockerApi,
    DockerError,
    _without_frames,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

MAILCOW = stack.get("mailcow")
NOW = datetime(2026, 1, 2, 3, 5, 0, tzinfo=timezone.utc).timestamp()
CONFIG = """\
MAILCOW_HOSTNAME=mail.example.org
COMPOSE_PROJECT_NAME=mailcowdockerized
DBPASS=a-secret-value
SMTP_PORT=127.0.0.1:{smtp}
IMAP_PORT={imap}
HTTPS_PORT={https}
HTTPS_BIND=
"""


def container(service, status="running", started="2026-01-02T03:00:00.123456789Z", **more):
    state = {"Status": status, "ExitCode": more.pop("code", 0), "StartedAt": started}
    if "health" in more:
        state["Health"] = {"Status": more.pop("health")}
    labels = {"com.docker.compose.service": service}
    return {
        "Id": "id-" + service,
        "Name": "/project-" + service + "-1",
        "State": state,
        "RestartCount": more.pop("restarts", 0),
        "Config": {"Labels": labels},
    }


def examine(*containers, services=("a", "b")):
    findings, culprits = stack_ready.examine(list(services), list(containers), NOW, 20)
    return {item.id: item for item in findings}, [item["Id"] for item in culprits]


def test_all_is_well():
    findings, culprits = examine(container("a", health="healthy"), container("b"))
    assert [item.status for item in findings.values()] == ["ok", "ok", "ok"]
    assert findings["services.healthy"].observed == "1 health checks say healthy"
    assert culprits == []


@pytest.mark.parametrize(
    ("other", "check", "observed", "named"),
    [
        (None, "services.running", "b has no container", []),
        (
            container("b", "restarting", code=2, restarts=7),
            "services.running",
            "b is restarting (exit code 2, 7 restarts)",
            ["id-b"],
        ),
        (container("b", "exited", code=137), "services.running", "b is exited", ["id-b"]),
        (container("b", health="unhealthy"), "services.healthy", "b is unhealthy", ["id-b"]),
        (container("b", health="starting"), "services.healthy", "b is starting", ["id-b"]),
        (
            container("b", started="2026-01-02T03:04:41Z"),
            "services.stable",
            "b just started",
            [],
        ),
        (
            container("b", started="2026-01-02T03:04:59Z", restarts=3),
            "services.stable",
            "b was restarted 3 times",
            ["id-b"],
        ),
    ],
)
def test_one_thing_is_wrong(other, check, observed, named):
    findings, culprits = examine(container("a"), *([other] if other else []))
    assert [name for name, item in findings.items() if item.status == "fail"] == [check]
    assert findings[check].observed.startswith(observed)
    assert findings[check].fix
    assert culprits == named


def test_a_second_container_of_a_service_counts():
    findings, _culprits = examine(container("a"), container("a", "exited"), container("b"))
    assert findings["services.running"].status == "fail"


class Server(threading.Thread):
    """Says one line to everybody who connects."""

    def __init__(self, line):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.line = line
        self.start()

    def run(self):
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self.line)


@pytest.fixture
def speak():
    servers = []

    def start(line):
        servers.append(Server(line))
        return servers[-1].port

    yield start
    for server in servers:
        server.listener.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"220 mail.example.org ESMTP Postcow\r\n", "ok"),
        (b"220 mail.example.org\r\n", "ok"),
        (b"220-mail.example.org wait\r\n", "ok"),
        (b"220 localhost ESMTP\r\n", "fail"),
        (b"220 mail.example.org.evil.test ESMTP\r\n", "fail"),
        (b"554 mail.example.org no\r\n", "fail"),
        (b"", "fail"),
    ],
)
def test_the_smtp_banner_carries_the_name(speak, line, status):
    ports = {"SMTP": ("127.0.0.1", speak(line)), "IMAP": ("127.0.0.1", 1)}
    ports["HTTPS"] = ports["SMTP"]
    findings = {item.id: item for item in stack_ready.probe_ports(ports, "mail.example.org")}
    assert findings["smtp.banner"].status == status
    assert findings["imap.greeting"].observed.startswith("no answer: ")
    assert findings["https.answer"].status == "fail"


class Api:
    """An engine whose containers are given for each time it is asked."""

    def __init__(self, *rounds, project="mailcowdockerized"):
        self.rounds = list(rounds)
        self.project = project

    def containers(self, project):
        assert project == self.project
        answer = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def log_tail(self, name, lines):
        return ["a log line of " + name]


@pytest.fixture
def tree(tmp_path, speak):
    """A host with a stack of two services whose SMTP and IMAP answer, and HTTPS does not."""

    def make(config=CONFIG, services="a\nb\n", rc=0):
        ports = {
            "smtp": speak(b"220 mail.example.org ESMTP\r\n"),
            "imap": speak(b"* OK ready\r\n"),
            "https": 1,
        }
        directory = tmp_path / "opt" / "stack"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "mailcow.conf").write_text(config.format(**ports))
        command = {"rc": rc, "stdout": services, "stderr": "" if rc == 0 else "yaml: line 3"}
        known = {"now": NOW, "commands": {"docker compose config --services": command}}
        (tmp_path / "host.json").write_text(json.dumps(known))
        return Host(str(tmp_path))

    return make


PARAMS = {"path": "/opt/stack", "timeout": 0, "stable_for": 20, "log_lines": 5}


def test_the_error_names_what_is_wrong_with_log_lines(tree):
    api = Api([container("a"), container("b", "exited", code=1)])
    result = stack_ready.wait(tree(), MAILCOW, PARAMS, api)
    assert not result["ready"]
    assert "services.running: b is exited (exit code 1" in result["msg"]
    assert "Last lines of project-b-1:\n  a log line of id-b" in result["msg"]
    assert result["secrets"] == {"a-secret-value"}
    assert result["services"] == ["a", "b"]


def test_ports_are_asked_once_all_services_run(tree):
    result = stack_ready.wait(tree(), MAILCOW, PARAMS, Api([container("a"), container("b")]))
    status = {item["id"]: item["status"] for item in result["findings"]}
    assert status["smtp.banner"] == status["imap.greeting"] == "ok"
    assert status["https.answer"] == "fail"
    assert result["msg"].count("\n- ") == 1


def test_a_project_that_was_started_with_another_name(tree):
    api = Api([container("a"), container("b")], project="other")
    result = stack_ready.wait(tree(), MAILCOW, dict(PARAMS, project="other"), api)
    assert result["findings"][0]["status"] == "ok"


def test_it_looks_again_until_the_time_is_over(tree, monkeypatch):
    host = tree()
    clock = [NOW]
    monkeypatch.setattr(host, "now", lambda: clock[0])
    api = Api([], [container("a")], [container("a"), container("b")])
    result = stack_ready.wait(
        host,
        MAILCOW,
        dict(PARAMS, timeout=7),
        api,
        sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds),
    )
    assert result["waited"] == 8
    assert [item["id"] for item in result["findings"] if item["status"] == "fail"] == [
        "https.answer"
    ]


def test_nothing_to_look_at(tree, tmp_path):
    with pytest.raises(stack_ready.NotReadyError, match=r"mailcow.conf is not there"):
        stack_ready.wait(tree(), MAILCOW, dict(PARAMS, path="/elsewhere"), Api([]))
    with pytest.raises(stack_ready.NotReadyError, match=r"does not accept .*: yaml: line 3"):
        stack_ready.wait(tree(rc=15), MAILCOW, PARAMS, Api([]))
    with pytest.raises(stack_ready.NotReadyError, match="no engine"):
        stack_ready.wait(tree(), MAILCOW, PARAMS, Api(DockerError("no engine")))


def test_no_engine_is_a_sentence(tmp_path):
    with pytest.raises(DockerError, match=r"does not answer on .*nobody.sock"):
        DockerApi(str(tmp_path / "nobody.sock")).ask("/version")
    assert DockerApi(str(tmp_path / "nobody.sock")).log_tail("x")[0].startswith("the Docker engine")


def test_log_frames():
    frame = b"\x01\0\0\0\0\0\0\x03one" + b"\x02\0\0\0\0\0\0\x04two\n"
    assert _without_frames(frame) == b"onetwo\n"
    assert _without_frames(b"a terminal\r\n") == b"a terminal\r\n"


MAILU = stack.get("mailu")


def test_ports_that_stand_in_the_compose_file(make_host):
    published = [
        {"host_ip": "192.0.2.10", "target": 25, "published": "25"},
        {"host_ip": "2001:db8::10", "target": 25, "published": "25"},
        {"host_ip": "0.0.0.0", "target": 993, "published": "993"},
    ]
    services = {"front": {"ports": published}, "redis": {}}
    answer = {"stdout": json.dumps({"services": services})}
    host = make_host(
        {
            "/mailu/mailu.env": "HOSTNAMES=mail.example.org,b.example.org\n"
            "SECRET_KEY=0123456789abcdef\n"
        },
        {"commands": {"docker compose config --format json": answer}},
    )
    found = stack_ready.read_settings(host, MAILU, "/mailu")
    assert found["hostname"] == "mail.example.org"
    assert found["services"] == ["front", "redis"]
    assert found["ports"] == {"SMTP": ("192.0.2.10", "25"), "IMAPS": ("127.0.0.1", "993")}
    assert found["secrets"] == {"0123456789abcdef"}
    assert found["project"] == "mailu"


def test_a_stack_may_have_no_web_and_leave_its_root_to_a_login(speak):
    smtp = speak(b"220 mail.example.org ESMTP\r\n")
    ports = {"SMTP": ("127.0.0.1", str(smtp)), "IMAPS": ("127.0.0.1", "1")}
    found = stack_ready.probe_ports(ports, "mail.example.org", MAILU["probes"])
    assert [item.id for item in found] == ["smtp.banner", "imap.greeting"]
    assert [item.status for item in found] == ["ok", "fail"]
