# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a stack is up: its containers run and stay up, and its ports speak.

``docker compose up`` ends when the containers were started. Only two of mailcow's 18 containers
have a health check, and one that falls over is restarted for ever, so a gate has to look for
itself: state, restarts over some time, health, and a first word of SMTP, IMAP and HTTPS.
"""

from __future__ import annotations

import json
import socket
import time
from datetime import datetime, timezone

from ansible_collections.postmaster.mailhost.plugins.module_utils import env_document, finding
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_api import (
    DockerApi,
    DockerError,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import Finding
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.smtp_client import plain_context
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.config import binding

# postscreen lets a stranger wait 6 s for its banner (postscreen_greet_wait).
PROBE_TIMEOUT = 10.0
PAUSE = 2.0


class NotReadyError(Exception):
    """The stack cannot be looked at, or did not become ready; the text is for the administrator."""


def read_settings(host: Host, stack: dict, path: str) -> dict:
    """Return what the stack's configuration file and its Compose files say.

    Args:
        host: where the stack is.
        stack: its data, see ``stack.get``.
        path: directory of the Compose project.

    Returns:
        ``project``, ``hostname``, ``services`` (names, sorted), ``ports`` (name of the port to
        ``(address, port)``, the address being one that reaches it from the host itself) and
        ``secrets`` (values that no output may show).

    Raises:
        NotReadyError: a file is missing, or Compose does not accept it.
    """
    name = "{0}/{1}".format(path, stack["env_file"])
    text = host.read(name)
    if text is None:
        raise NotReadyError("{0} is not there: the stack is not set up".format(name))
    document = env_document.Document(text)
    values = {}
    for key in document.keys():  # noqa: SIM118  # no dictionary
        try:
            values[key] = document.get(key) or ""
        except ValueError:
            continue  # env_file warns of it; none of the keys read here needs quotes
    # Where ports have no setting, they stand in the Compose file.
    fixed = all(not port["variable"] for port in stack["ports"])
    form = ["--format", "json"] if fixed else ["--services"]
    listed = host.run(["docker", "compose", "config", *form], cwd=path)
    if listed.rc != 0:
        raise NotReadyError(
            "docker compose does not accept the project in {0}: {1}".format(
                path, listed.stderr.strip() or "return code %d" % listed.rc
            )
        )
    if fixed:
        services = json.loads(listed.stdout)["services"]
        ports = _published(stack, services)
    else:
        services = listed.stdout.split()
        ports = {port["name"]: binding(port, values) for port in stack["ports"]}
    secret = {key["name"] for key in stack["keys"] if key["secret"]}
    return {
        "project": values.get("COMPOSE_PROJECT_NAME") or stack["project"],
        # Mailu has several; its daemons call themselves by the first.
        "hostname": values.get(stack["hostname_key"], "").split(",")[0],
        "services": sorted(services),
        "ports": {
            name: (address if address not in ("", "0.0.0.0") else "127.0.0.1", number)
            for name, (address, number) in ports.items()
        },
        "secrets": {values[key] for key in secret & set(values) if len(values[key]) >= 8},
    }


def _published(stack: dict, services: dict) -> dict:
    """Name of each port that a Compose file publishes over IPv4, to its address and number."""
    found = {}
    entries = [entry for service in services.values() for entry in service.get("ports") or []]
    for port in stack["ports"]:
        for entry in entries:
            address = entry.get("host_ip") or ""
            if entry.get("target") == port["container_port"] and ":" not in address:
                found[port["name"]] = (address, str(entry.get("published") or port["port"]))
    return found


# -- containers ------------------------------------------------------------------------------------


def _seconds_up(container: dict, now: float) -> float:
    """Seconds since a container was started, by Docker's timestamp (RFC 3339, nanoseconds)."""
    started = container["State"]["StartedAt"][:19]
    moment = datetime.strptime(started, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return now - moment.timestamp()


def examine(
    services: list[str], containers: list[dict], now: float, stable_for: float
) -> tuple[list[Finding], list[dict]]:
    """Judge the containers of a project.

    Args:
        services: names of the services that must run.
        containers: what ``docker inspect`` shows of the project's containers.
        now: the host's clock, seconds since the epoch.
        stable_for: seconds that each container must have been up.

    Returns:
        Three findings (``services.running``, ``services.healthy``, ``services.stable``), and the
        containers that are the reason when one is not ok.
    """
    by_service = {}
    for container in containers:
        name = container["Config"]["Labels"].get("com.docker.compose.service", "")
        by_service.setdefault(name, []).append(container)
    missing = [name for name in services if name not in by_service]
    bad = {
        "down": ["{0} has no container".format(name) for name in missing],
        "ill": [],
        "young": [],
    }
    culprits = []
    for name in services:
        for container in by_service.get(name, []):
            kind, what = _judge(container, now, stable_for)
            if kind:
                bad[kind].append("{0} {1}".format(name, what))
            # A container that was started for the first time just now is no reason yet.
            if kind in ("down", "ill") or (kind and container.get("RestartCount")):
                culprits.append(container)
    with_check = sum("Health" in item["State"] for item in containers)
    return [
        _finding(
            "services.running",
            "All services run",
            bad["down"],
            "{0} services are running".format(len(services)),
            "every service that docker compose config --services lists is running",
            "look at the log lines below; `docker compose up -d` starts what is stopped",
        ),
        _finding(
            "services.healthy",
            "Health checks",
            bad["ill"],
            "{0} health checks say healthy".format(with_check),
            "every container with a health check is healthy",
            "`docker inspect` shows the output of the health check under State.Health.Log",
        ),
        _finding(
            "services.stable",
            "No restart loop",
            bad["young"],
            "no container was started within the last {0:g} s".format(stable_for),
            "every container has been up for {0:g} s".format(stable_for),
            "a container that is restarted again and again says why in its log",
        ),
    ], culprits


def _judge(container: dict, now: float, stable_for: float) -> tuple[str, str]:
    """What is wrong with one container (down, ill or young) and in words, or nothing."""
    state = container["State"]
    restarts = container.get("RestartCount", 0)
    if state["Status"] != "running":
        words = "is {0} (exit code {1}, {2} restarts)"
        return "down", words.format(state["Status"], state["ExitCode"], restarts)
    health = (state.get("Health") or {}).get("Status", "healthy")
    if health != "healthy":
        return "ill", "is {0}".format(health)
    if _seconds_up(container, now) < stable_for:
        return "young", "was restarted {0} times".format(restarts) if restarts else "just started"
    return "", ""


def _finding(name: str, title: str, bad: list[str], good: str, required: str, fix: str) -> Finding:
    status = finding.FAIL if bad else finding.OK
    return Finding(name, status, title, "; ".join(bad) or good, required, fix if bad else "")


# -- ports -----------------------------------------------------------------------------------------


def first_line(address: str, port: int, timeout: float = PROBE_TIMEOUT, tls_name: str = "") -> str:
    """Return the first line that a service sends when one connects, without the line end.

    Args:
        address: where to connect to.
        port: its port.
        timeout: seconds for each step.
        tls_name: name for SNI, for a service that speaks TLS from the first octet; "" for none.
            The certificate is not judged.

    Raises:
        OSError: nobody answers, or not in time.
    """
    with socket.create_connection((address, port), timeout) as connection:
        if not tls_name:
            return _line(connection)
        # That of the first start is self-signed.
        with plain_context().wrap_socket(connection, server_hostname=tls_name) as protected:
            return _line(protected)


def _line(connection: socket.socket) -> str:
    return connection.makefile("rb").readline(1024).decode("utf-8", "replace").rstrip("\r\n")


def https_status(address: str, port: int, hostname: str, timeout: float = PROBE_TIMEOUT) -> str:
    """Return the status line that a web server gives for ``/``.

    The certificate is not judged: that of the first start is self-signed.

    Args:
        address: where to connect to.
        port: its port.
        hostname: name for SNI and for the Host header.
        timeout: seconds for each step.

    Raises:
        OSError: nobody answers, or no TLS connection comes about.
    """
    request = "GET / HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n".format(hostname)
    plain = socket.create_connection((address, port), timeout)
    with plain, plain_context().wrap_socket(plain, server_hostname=hostname) as connection:
        connection.sendall(request.encode("ascii"))
        return _line(connection)


def _expect(name: str, title: str, required: str, probe: object, accepts: object) -> Finding:
    """One probe of a port as a finding."""
    try:
        answer = probe()
    except OSError as error:
        answer, good = "no answer: {0}".format(error), False
    else:
        good = accepts(answer)
        answer = answer[:120] or "the connection was closed without a word"
    fix = "the log of the service that listens there, and the firewall, say more"
    return _finding(name, title, [] if good else [answer], answer, required, fix)


def probe_ports(ports: dict, hostname: str, probes: dict | None = None) -> list[Finding]:
    """Ask SMTP, IMAP and HTTPS for a first word.

    Args:
        ports: as :func:`read_settings` returns them.
        hostname: the name that the SMTP banner must carry (RFC 5321 section 4.2).
        probes: ``imap``, the port of IMAP to ask, and ``https_status``, the status codes that are
            right; the stack's, where it has others than IMAP and 200.

    Returns:
        The findings ``smtp.banner``, ``imap.greeting`` and ``https.answer``.
    """

    def place(name: str) -> tuple[str, int]:
        return ports[name][0], int(ports[name][1])

    probes = probes or {"imap": "IMAP", "https_status": ["200"]}
    imap = probes["imap"]
    statuses = probes["https_status"]
    found = [
        _expect(
            "smtp.banner",
            "SMTP banner",
            "220 {0} …".format(hostname),
            lambda: first_line(*place("SMTP")),
            # postscreen greets with "220-" first.
            lambda line: line[:3] == "220" and line[4:].split(" ")[0] == hostname,
        ),
        _expect(
            "imap.greeting",
            "IMAP greeting",
            "* OK …",
            lambda: first_line(*place(imap), tls_name=hostname if imap == "IMAPS" else ""),
            lambda line: line.startswith("* OK"),
        ),
    ]
    # A stack may be told to leave the web out.
    if "HTTPS" in ports:
        found.append(
            _expect(
                "https.answer",
                "HTTPS answer",
                "status " + ", ".join(statuses),
                lambda: https_status(*place("HTTPS"), hostname),
                lambda line: "".join(line.split()[1:2]) in statuses,
            )
        )
    return found


# -- the gate --------------------------------------------------------------------------------------


def wait(
    host: Host,
    stack: dict,
    params: dict,
    api: DockerApi | None = None,
    sleep: object = time.sleep,
) -> dict:
    """Look until the stack is ready, or the time is over.

    Args:
        host: where the stack is.
        stack: its data, see ``stack.get``.
        params: ``path``, ``timeout`` and ``stable_for`` (seconds), ``log_lines``; ``project``, the
            name of the Compose project where it is not the one of the configuration file.
        api: the engine to ask.
        sleep: how to wait some seconds.

    Returns:
        ``ready``, ``findings`` (dictionaries), ``waited`` (seconds), ``services`` (names), ``msg``
        (the reason, with log lines, when not ready) and ``secrets`` (not for output).

    Raises:
        NotReadyError: there is nothing to look at.
    """
    api = api or DockerApi()
    settings = read_settings(host, stack, params["path"])
    project = params.get("project") or settings["project"]
    start = host.now()
    while True:
        try:
            containers = api.containers(project)
        except DockerError as error:
            raise NotReadyError(str(error)) from error
        findings, culprits = examine(
            settings["services"], containers, host.now(), params["stable_for"]
        )
        # Asking a port of a container that does not run would only cost time.
        if findings[0].status == finding.OK:
            findings += probe_ports(settings["ports"], settings["hostname"], stack.get("probes"))
        waited = host.now() - start
        bad = [item for item in findings if item.status != finding.OK]
        if not bad or waited >= params["timeout"]:
            break
        sleep(PAUSE)
    message = ""
    if bad:
        lines = ["The stack is not ready after {0:.0f} s:".format(waited)]
        lines += ["- {0}: {1}".format(item.id, item.observed) for item in bad]
        for container in culprits[:3]:
            lines.append("Last lines of {0}:".format(container["Name"].lstrip("/")))
            lines += ["  " + line for line in api.log_tail(container["Id"], params["log_lines"])]
        message = "\n".join(lines)
    return {
        "ready": not bad,
        "findings": [item.to_dict() for item in findings],
        "waited": round(waited, 1),
        "services": settings["services"],
        "msg": message,
        "secrets": settings["secrets"],
    }
