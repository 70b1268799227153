# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of containers that runs, or should: all that its health is judged by.

What the Compose files want is asked of ``docker compose config``, what there is of the engine.
Values of secrets are taken out of every text that is shown.
Sources: https://docs.docker.com/reference/api/engine/ and, for exit codes,
https://docs.docker.com/engine/containers/run/#exit-status.
"""

from __future__ import annotations

import json
import posixpath
import re
from datetime import datetime, timezone
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import env_document
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_api import (
    DockerApi,
    DockerError,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

#: What is wrong with a container: it could not have its port, it starts over and over, it does not
#: run, its health check fails, or has not succeeded yet.
PORT, LOOP, DOWN, ILL, STARTING = "port", "loop", "down", "ill", "starting"

#: A container that was restarted this often, and the last time this many seconds ago, is in a loop:
#: the engine doubles the pause between restarts up to a minute.
LOOP_RESTARTS = 3
LOOP_SECONDS = 600

# Log lines that are searched for known complaints, and those that are shown of an ill container.
_SEARCHED = 400
_SHOWN = 6
_LONGEST = 300

_EXITS = {
    0: "it ended without an error",
    126: "its program cannot be executed",
    127: "its program is not in the image",
    128: "it was not started",
    132: "SIGILL: the processor does not know an instruction",
    134: "SIGABRT: it gave up",
    137: "SIGKILL: it was killed",
    139: "SIGSEGV: it crashed",
    143: "SIGTERM: it was stopped",
}

# Docker's own settings (~/.docker/config.json) may give them to every container.
_PROXY = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")

_SECRET = re.compile(
    r"(?i)((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key)[\"']?\s*[=:]\s*)[^\s,;]+"
)
_TAKEN = re.compile(r"address already in use|port is already allocated", re.IGNORECASE)
# Colours and the like: the rest of the sequence is left when the control character is dropped.
_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")


class HealthError(Exception):
    """There is no stack to look at; the text is for the administrator."""


class Seen(NamedTuple):
    """What was seen of a stack.

    Attributes:
        host: where it is.
        stack: its data, see ``stack.get``.
        path: directory of its Compose project.
        project: name of the project.
        own_name: the name that Compose gives it when it is told none.
        document: its configuration file.
        config: what ``docker compose config`` makes of its files; empty when it refuses them.
        refused: why it does.
        silent: why the engine cannot be asked; empty when it answers.
        containers: what ``docker inspect`` shows, by service.
        images: id of each image that is there, by name and by tag.
        image_variables: names of the variables that an image brings, by the image's id.
        lines: the latest lines of a container's log, by its id.
        networks: the engine's networks, by name.
        secrets: values that nothing may show.
        now: the host's clock, in seconds since the epoch.
    """

    host: Host
    stack: Mapping[str, Any]
    path: str
    project: str
    own_name: str
    document: env_document.Document
    config: Mapping[str, Any]
    refused: str
    silent: str
    containers: Mapping[str, list[dict]]
    images: Mapping[str, str]
    image_variables: Mapping[str, frozenset]
    lines: Mapping[str, list[str]]
    networks: Mapping[str, dict]
    secrets: frozenset
    now: float

    @property
    def env_path(self) -> str:
        """Path of the configuration file."""
        return "{0}/{1}".format(self.path, self.stack["env_file"])

    @property
    def services(self) -> Mapping[str, dict]:
        """The services that the Compose files want, by name."""
        return self.config.get("services") or {}

    @property
    def hostname(self) -> str:
        """The name that the stack's daemons call themselves by."""
        return (self.hostnames or [""])[0]

    @property
    def hostnames(self) -> list[str]:
        """All names that the stack's daemons answer to, the main one first."""
        names = self.value(self.stack["hostname_key"]).split(",")
        return [name.strip() for name in names if name.strip()]

    @property
    def left_over(self) -> list[str]:
        """The services that have a container and are not in the Compose files any more."""
        return [name for name in self.containers if self.services and name not in self.services]

    @property
    def running(self) -> list[str]:
        """The services of the Compose files that run, or are being restarted."""
        return [
            name
            for name, found in self.containers.items()
            if name not in self.left_over and any(map(is_running, found))
        ]

    def value(self, key: str) -> str:
        """Return a value of the configuration file; empty when it is not set or not clear."""
        return _value(self.document, key)

    def command(self, words: str) -> str:
        """Return the line for a shell that has Compose do something with this project."""
        if self.project != self.own_name:
            words = "-p {0} {1}".format(self.project, words)
        return "cd {0} && docker compose {1}".format(self.path, words)

    def mask(self, text: str) -> str:
        """Return a text without values of secrets."""
        # One may be the beginning of another, whose end would be left.
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, env_document.MASK)
        return _SECRET.sub(r"\1" + env_document.MASK, text)

    def ailing(self, kind: str) -> list[tuple[str, dict]]:
        """Return services and containers that one thing is wrong with, see :func:`ailment`.

        Those that are left over are not among them: nothing has to be done for them to run.
        """
        return [
            (service, container)
            for service, found in self.containers.items()
            if service not in self.left_over
            for container in found
            if ailment(container, self.now) == kind
        ]

    def well(self, service: str) -> dict | None:
        """Return a container of a service that nothing is wrong with; None when there is none."""
        for container in self.containers.get(service, ()):
            if not ailment(container, self.now):
                return container
        return None

    def mount(self, service: str, directory: str) -> str:
        """Return the directory of the host that a service sees at a path.

        Args:
            service: its name.
            directory: the path in its containers.

        Returns:
            An absolute path; empty when nothing is mounted there.
        """
        for entry in self.services.get(service, {}).get("volumes") or ():
            if entry.get("type") == "bind" and entry["target"].rstrip("/") == directory:
                return entry["source"].rstrip("/")
        for container in self.containers.get(service, ()):
            for entry in container.get("Mounts") or ():
                if entry["Destination"].rstrip("/") == directory:
                    return entry["Source"].rstrip("/")
        return ""

    def shown(self, container: Mapping[str, Any]) -> list[str]:
        """Return the last lines of a container's log, each once, short and without secrets."""
        return list(dict.fromkeys(self.lines.get(container["Id"], [])))[-_SHOWN:]

    def to_list(self) -> list[dict[str, Any]]:
        """Return the containers for ``exit_json``, with log lines of those that are not well."""
        found = []
        for service, containers in self.containers.items():
            for container in containers:
                state = container["State"]
                ill = ailment(container, self.now)
                found.append(
                    {
                        "service": service,
                        "name": container["Name"].lstrip("/"),
                        "state": state["Status"],
                        "exit_code": int(state.get("ExitCode") or 0),
                        "meaning": "" if state["Status"] == "running" else meaning(state),
                        "restarts": int(container.get("RestartCount") or 0),
                        "health": (state.get("Health") or {}).get("Status", ""),
                        "image": container["Config"]["Image"],
                        "lines": self.shown(container) if ill else [],
                    }
                )
        return found


def _value(document: env_document.Document, key: str) -> str:
    try:
        return document.get(key) or ""
    except ValueError:
        return ""


def seconds(stamp: str) -> float:
    """Return a timestamp of the engine (RFC 3339, UTC) in seconds since the epoch."""
    moment = datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp()


def meaning(state: Mapping[str, Any]) -> str:
    """Return what the exit code of a container says, as a clause.

    Args:
        state: ``State`` of ``docker inspect``. Codes above 128 are signals.
    """
    code = int(state.get("ExitCode") or 0)
    if state.get("OOMKilled"):
        return "it was killed because memory ran out"
    if code in _EXITS:
        return _EXITS[code]
    return "signal {0}".format(code - 128) if code > 128 else "its program reported an error"


def is_running(container: Mapping[str, Any]) -> bool:
    """Tell whether a container runs, or will by itself: others are not to be started by the way."""
    return container["State"]["Status"] in ("running", "restarting")


def ailment(container: Mapping[str, Any], now: float) -> str:
    """Return what is wrong with a container, as one of the kinds above; empty when nothing is.

    Args:
        container: what ``docker inspect`` shows.
        now: the host's clock, in seconds since the epoch.
    """
    state = container["State"]
    restarts = int(container.get("RestartCount") or 0)
    if state["Status"] == "restarting":
        return LOOP
    if state["Status"] != "running":
        return PORT if _TAKEN.search(state.get("Error") or "") else DOWN
    if restarts >= LOOP_RESTARTS and now - seconds(state["StartedAt"]) < LOOP_SECONDS:
        return LOOP
    health = (state.get("Health") or {}).get("Status", "")
    return {"unhealthy": ILL, "starting": STARTING}.get(health, "")


def wanted_containers(definition: Mapping[str, Any]) -> int:
    """Return how many containers a service of a Compose file is to have."""
    replicas = (definition.get("deploy") or {}).get("replicas", definition.get("scale"))
    return 1 if replicas is None else int(replicas)


def done(definition: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    """Tell whether a container has ended as it is meant to: it had something to do once.

    Args:
        definition: its service in the Compose file; without a policy it is not restarted.
        container: what ``docker inspect`` shows.
    """
    state = container["State"]
    once = (definition.get("restart") or "no").split(":")[0] in ("no", "on-failure")
    return bool(definition) and once and state["Status"] == "exited" and state["ExitCode"] == 0


def variables(texts: Iterable[str]) -> dict[str, str]:
    """Return ``KEY=VALUE`` texts, as ``docker inspect`` has them, as a dictionary."""
    return {text.partition("=")[0]: text.partition("=")[2] for text in texts or ()}


def image_name(name: str) -> str:
    """Return an image's name in the form that the engine lists it: short, and with its tag."""
    for prefix in ("docker.io/", "library/"):
        name = name[len(prefix) :] if name.startswith(prefix) else name
    return name if ":" in name.rpartition("/")[2] or "@" in name else name + ":latest"


def stale_images(seen: Seen) -> dict[str, str]:
    """Return the services that run with another image than the Compose files name.

    Returns:
        dict: name of the service -> what there is, in words.
    """
    found = {}
    for service, wanted in seen.services.items():
        name = wanted.get("image")
        for container in filter(is_running, seen.containers.get(service, ())):
            present = container["Config"]["Image"]
            if name and image_name(present) != image_name(name):
                found[service] = "{0} has {1} and not {2}".format(service, present, name)
            elif (
                name and seen.images.get(image_name(name), container["Image"]) != container["Image"]
            ):
                found[service] = "{0} has an older {1}".format(service, name)
    return found


def stale_variables(seen: Seen) -> dict[str, dict[str, tuple[str | None, str | None]]]:
    """Return the services that run with other variables than the Compose files want.

    Returns:
        dict: name of the service -> variable -> (value it has, value wanted), None for none.
    """
    found: dict[str, dict[str, tuple[str | None, str | None]]] = {}
    for service, definition in seen.services.items():
        wanted = {
            # Compose doubles a dollar in what it prints, so that it could read it again.
            name: str(value).replace("$$", "$")
            for name, value in (definition.get("environment") or {}).items()
            if value is not None
        }
        for container in filter(is_running, seen.containers.get(service, ())):
            present = variables(container["Config"].get("Env"))
            own = seen.image_variables.get(container["Image"])
            differs = {
                name: (present.get(name), value)
                for name, value in wanted.items()
                if present.get(name) != value
            }
            if own is not None:
                differs.update(
                    (name, (value, None))
                    for name, value in present.items()
                    if name not in wanted and name not in own and name.lower() not in _PROXY
                )
            # Keys of older releases are told as such, and go from the file first.
            differs = {
                name: values
                for name, values in differs.items()
                if name not in seen.stack["removed"]
            }
            if differs:
                found[service] = differs
    return found


def in_container(seen: Seen, source: str, directory: str, name: str) -> tuple[str, str]:
    """Follow a file's links as a container sees them, in which one directory is mounted.

    Args:
        seen: what was seen of the stack.
        source: the directory on the host.
        directory: where the container has it.
        name: name of the file in it.

    Returns:
        (path on the host, where a link out of the directory leads): the first is empty when the
        container sees nothing there, the second when there is no such link.
    """
    path = posixpath.join(directory, name)
    for _hop in range(8):
        if path != directory and not path.startswith(directory + "/"):
            return "", path
        real = source + path[len(directory) :]
        target = seen.host.readlink(real)
        if target is None:
            return (real, "") if seen.host.exists(real) else ("", "")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return "", path


# -- looking ---------------------------------------------------------------------------------------


def look(
    host: Host,
    stack: Mapping[str, Any],
    path: str = "",
    log_hours: float = 1.0,
    api: DockerApi | None = None,
) -> Seen:
    """Look at a stack. Nothing is changed.

    Args:
        host: where it is.
        stack: its data, see ``stack.get``.
        path: directory of its Compose project; empty for the stack's own.
        log_hours: age of the oldest log line that counts.
        api: the engine to ask.

    Raises:
        HealthError: there is no such project.
    """
    path = (path or stack["install_path"]).rstrip("/")
    if not path.startswith("/"):
        raise HealthError("path: {0!r}; allowed: an absolute path".format(path))
    if log_hours <= 0:
        raise HealthError("log_hours: {0:g}; allowed: more than 0".format(log_hours))
    text = host.read("{0}/{1}".format(path, stack["env_file"]))
    if text is None:
        raise HealthError(
            "path: {0}/{1} is not there; allowed: the directory of {2}".format(
                path, stack["env_file"], stack["title"]
            )
        )
    document = env_document.Document(text)
    config, refused = _config(host, path)
    # Compose does not read Mailu's own file for it, and knows its name best.
    own_name = config.get("name") or _value(document, "COMPOSE_PROJECT_NAME") or stack["project"]
    project = own_name
    api = api or DockerApi()
    containers: dict[str, list[dict]] = {}
    images: dict[str, str] = {}
    networks: dict[str, dict] = {}
    silent = ""
    try:
        containers = _by_service(api, project)
        others = [] if containers else _other_projects(host, api, path, config)
        if len(others) == 1:
            # It was started with --project-name: its networks and volumes are called after that.
            project = others[0]
            containers = _by_service(api, project)
            config, refused = _config(host, path, project)
        for image in api.ask("/images/json"):
            for tag in image.get("RepoTags") or ():
                images[image_name(tag)] = image["Id"]
        networks = {network["Name"]: network for network in api.ask("/networks")}
    except DockerError as error:
        silent = str(error)
    now = host.now()
    secrets = _secrets(stack, document, config, containers)
    seen = Seen(
        host, stack, path, project, own_name, document, config, "", silent,
        dict(sorted(containers.items())), images, {}, {}, networks, frozenset(secrets), now,
    )  # fmt: skip
    return seen._replace(
        refused=seen.mask(refused),
        image_variables={} if silent else _image_variables(api, containers),
        lines={} if silent else _lines(api, seen, now - log_hours * 3600),
    )


def _by_service(api: DockerApi, project: str) -> dict[str, list[dict]]:
    """Return a project's containers, by the name of their service."""
    found: dict[str, list[dict]] = {}
    for container in api.containers(project):
        name = container["Config"]["Labels"].get("com.docker.compose.service", "")
        found.setdefault(name, []).append(container)
    return found


def _other_projects(host: Host, api: DockerApi, path: str, config: Mapping) -> list[str]:
    """Return the projects that were made from a directory and have services of its files.

    Something else may have been started there as well, with files of its own.
    """
    real = host.realpath(path)
    return [
        name
        for name, directory in sorted(api.project_directories().items())
        if host.realpath(directory) == real
        and not set(_by_service(api, name)).isdisjoint(config.get("services") or ())
    ]


def _config(host: Host, path: str, project: str = "") -> tuple[dict, str]:
    """Return what Compose makes of a project's files, and why it refuses them."""
    named = ["--project-name", project] if project else []
    done = host.run(["docker", "compose", *named, "config", "--format", "json"], cwd=path)
    if done.rc != 0:
        return {}, done.stderr.strip() or "return code {0}".format(done.rc)
    try:
        return json.loads(done.stdout), ""
    except ValueError as error:
        return {}, "docker compose config printed no JSON: {0}".format(error)


def _secrets(
    stack: Mapping[str, Any],
    document: env_document.Document,
    config: Mapping[str, Any],
    containers: Mapping[str, list[dict]],
) -> set[str]:
    """Return the values that nothing may show."""
    names = {key["name"] for key in stack["keys"] if key["secret"]}
    pairs = [(key, _value(document, key)) for key in document.keys()]  # noqa: SIM118
    for definition in (config.get("services") or {}).values():
        pairs += (definition.get("environment") or {}).items()
    for found in containers.values():
        for container in found:
            pairs += variables(container["Config"].get("Env")).items()
    # Shorter ones would also hide innocent words.
    return {
        str(value)
        for name, value in pairs
        if (name in names or env_document.SECRET_NAME.search(name)) and len(str(value or "")) >= 8
    }


def _image_variables(api: DockerApi, containers: Mapping[str, list[dict]]) -> dict[str, frozenset]:
    """Return the names of the variables that each image brings."""
    found = {}
    for image in {item["Image"] for several in containers.values() for item in several}:
        try:
            said = api.ask("/images/{0}/json".format(image))
        except DockerError:
            continue  # it was removed while its container runs
        found[image] = frozenset(variables((said.get("Config") or {}).get("Env")))
    return found


def _lines(api: DockerApi, seen: Seen, oldest: float) -> dict[str, list[str]]:
    """Return the latest log lines of each container, of its present run and not too old."""
    found = {}
    for several in seen.containers.values():
        for container in several:
            since = oldest
            # What the run before the last one said is over, except in a loop.
            if not ailment(container, seen.now):
                since = max(since, seconds(container["State"]["StartedAt"]))
            lines = api.log_tail(container["Id"], _SEARCHED, since)
            found[container["Id"]] = [
                seen.mask(_COLOUR.sub("", line).strip())[:_LONGEST]
                for line in lines
                if line.strip()
            ]
    return found
