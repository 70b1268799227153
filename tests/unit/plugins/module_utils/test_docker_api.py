# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_api import (
    DockerApi,
    DockerError,
)


@pytest.fixture
def engine(tmp_path):
    """Return a function: bytes of an answer -> an engine that gives it, and what it is asked."""
    listening = []

    def engine(answer):
        path = str(tmp_path / "docker.sock")
        server = socket.socket(socket.AF_UNIX)
        listening.append(server)
        server.bind(path)
        server.listen(1)
        asked = []

        def serve():
            connection, _address = server.accept()
            with connection:
                asked.append(connection.recv(65536))
                # In two parts, as a long one comes.
                connection.sendall(answer[:20])
                connection.sendall(answer[20:])

        threading.Thread(target=serve, daemon=True).start()
        return DockerApi(path, timeout=5), asked

    yield engine
    for server in listening:
        server.close()


def test_an_answer(engine):
    api, asked = engine(
        b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"a": "b"}'
    )
    assert api.ask("/info") == {"a": "b"}
    assert asked[0].startswith(b"GET /info HTTP/1.0\r\nHost: ")
    assert asked[0].endswith(b"\r\n\r\n")


def test_an_answer_without_a_length(engine):
    api, _asked = engine(b"HTTP/1.0 200 OK\r\nApi-Version: 1.45\r\n\r\nline\r\n\r\nline")
    assert api.read("/logs") == b"line\r\n\r\nline"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "answered 404 to /x"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 10\r\n\r\n{}", "its answer was cut off"),
        (b"HTTP/1.0 200 OK\r\n", "this is no HTTP"),
        (b"SSH-2.0-OpenSSH_9.6 hello\r\n\r\n", "this is no HTTP"),
        (b"", "does not answer"),
    ],
)
def test_what_is_no_answer(answer, words, engine):
    api, _asked = engine(answer)
    with pytest.raises(DockerError, match=words):
        api.read("/x")


def test_the_status_of_an_answer_is_known(engine):
    api, _asked = engine(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
    with pytest.raises(DockerError) as error:
        api.read("/x")
    assert error.value.status == 404


def test_an_answer_that_is_no_json(engine):
    api, _asked = engine(b"HTTP/1.0 200 OK\r\n\r\n<html>")
    with pytest.raises(DockerError, match="answer to /info is no JSON"):
        api.ask("/info")


@pytest.mark.parametrize("status", [404, 500])
def test_a_container_that_is_gone_when_it_is_looked_at(status):
    class Engine(DockerApi):
        def read(self, question):
            if question.startswith("/containers/json"):
                return b'[{"Id": "a"}, {"Id": "gone"}]'
            if "gone" in question:
                raise DockerError("no such container", status)
            return b'{"Id": "a"}'

    if status == 404:
        assert Engine().containers("x") == [{"Id": "a"}]
    else:
        with pytest.raises(DockerError, match="no such container"):
            Engine().containers("x")


def test_no_engine(tmp_path):
    with pytest.raises(DockerError, match="does not answer on"):
        DockerApi(str(tmp_path / "none.sock")).ask("/info")
