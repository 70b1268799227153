# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of 18 containers as the engine and Compose described it, to break in one way each.

``health/mailcow.json`` was recorded on a host with Docker 26.1 and Compose 2.26; secrets were replaced.
"""

from __future__ import annotations

import copy
import json
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlencode

from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_api, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import health
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack_health import look

FOLDER = Path(__file__).parent / "health"
RECORDED = json.loads((FOLDER / "mailcow.json").read_text(encoding="utf-8"))
CONF = (FOLDER / "mailcow.conf").read_text(encoding="utf-8")
PATH = "/opt/mailcow-dockerized"
SSL = PATH + "/data/assets/ssl"
CONFIG = "docker compose config --format json"
RSPAMD = "/var/lib/docker/volumes/mailcowdockerized_rspamd-vol-1/_data"
PLACES = ("172.22.1.254:53", "172.22.1.249:6379", "mysql-mailcow:3306", "172.22.1.250:24")
SPACE = {"size": 100 << 30, "available": 50 << 30, "inodes": 1000000, "inodes_available": 900000}


class RecordedApi(docker_api.DockerApi):
    """The engine's answers, from a record."""

    # The project of all containers, and its directory; None: any that is asked for.
    project, directory = None, PATH

    def __init__(self, record, logs):
        super().__init__()
        self.record = record
        self.logs = logs
        self.asked = []

    def read(self, question):
        self.asked.append(question)
        record = self.record
        if record is None:
            raise docker_api.DockerError("the Docker engine does not answer on /run/x: refused")
        part = question.split("/")
        if "working_dir" in question:
            labels = {
                "com.docker.compose.project": self.project,
                "com.docker.compose.project.working_dir": self.directory,
            }
            answer = [{"Id": item["Id"], "Labels": labels} for item in record["containers"]]
        elif question.startswith("/containers/json"):
            asked = self.project is None or urlencode({"": self.project})[1:] + "%22" in question
            answer = [{"Id": item["Id"]} for item in record["containers"] if asked]
        elif question == "/images/json":
            answer = record["images"]
        elif question == "/networks":
            answer = record["networks"]
        elif part[1] == "images":
            if part[2] not in record["image_details"]:
                raise docker_api.DockerError("404")
            answer = record["image_details"][part[2]]
        elif part[3].startswith("logs"):
            return self.logs.get(part[2], "").encode()
        else:
            answer = next(item for item in record["containers"] if item["Id"] == part[2])
        return json.dumps(answer).encode()


class Stack:
    """The recorded stack; change what is in it, then :meth:`look`."""

    def __init__(self):
        self.record = copy.deepcopy(RECORDED)
        self.conf = CONF
        self.logs = {}
        self.files = {}
        self.links = {}
        self.refused = ""
        self.said = dict.fromkeys(PLACES, "0")
        self.spaces = {"/": dict(SPACE)}
        self.sysctls = {"net/ipv4/ip_forward": "1", "fs/inotify/max_user_instances": "8192"}
        self.flags = "sse4_2 avx2"
        self.route = True
        self.bridge = "br-mailcow"
        self.docker = {}
        self.api = None
        self.project = None
        self.other_config = None
        self.silent = False

    def container(self, service):
        """Return what docker inspect shows of a service's container."""
        return next(
            item
            for item in self.record["containers"]
            if item["Config"]["Labels"]["com.docker.compose.service"] == service
        )

    def state(self, service, **more):
        """Change the state of a container; ``restarts`` and ``log`` are set too."""
        container = self.container(service)
        container["RestartCount"] = more.pop("restarts", 0)
        if "log" in more:
            self.logs[container["Id"]] = more.pop("log")
        container["State"].update(more)

    def log(self, service, text):
        """Set what a container has printed."""
        self.logs[self.container(service)["Id"]] = text

    @property
    def now(self):
        """Ten minutes after the last container was started."""
        latest = max(item["State"]["StartedAt"] for item in self.record["containers"])
        moment = datetime.strptime(latest[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        return moment.timestamp() + 700

    def look(self, make_host, name="mailcow", path="", **more):
        """Return what is seen of it."""
        commands = {CONFIG: {"rc": 0, "stdout": json.dumps(self.record["config"])}}
        if self.refused:
            commands = {CONFIG: {"rc": 15, "stderr": self.refused}}
        if self.other_config is not None:
            named = CONFIG.replace("compose", "compose --project-name " + self.project)
            commands[named] = {"rc": 0, "stdout": json.dumps(self.other_config)}
        postfix = self.container("postfix-mailcow")["Id"]
        words = ["docker", "exec", postfix, "sh", "-c", health._CONNECT, "sh"]
        if self.refused:
            # Fixed addresses stand in the files that Compose does not take.
            names = ("unbound-mailcow:53", "redis-mailcow:6379", PLACES[2], "dovecot-mailcow:24")
            text = "".join("{0} 0\n".format(place) for place in names)
            commands[" ".join([*words, *names])] = {"rc": 0, "stdout": text}
        for number in range(len(PLACES) + 1):
            # Whichever targets are well: a record for each number of those left out from the front.
            for chosen in (PLACES[number:], PLACES[:number]):
                text = "".join(
                    "{0} {1}\n".format(p, self.said[p]) for p in chosen if p in self.said
                )
                commands[" ".join([*words, *chosen])] = {"rc": 0, "stdout": text}
        files = {
            PATH + "/mailcow.conf": self.conf,
            "/proc/cpuinfo": "processor : 0\nflags : {0}\n".format(self.flags),
            "/sys/class/net/{0}/mtu".format(self.bridge): "1500\n",
            "/proc/net/fib_trie": "|-- 172.22.1.1\n   /32 host LOCAL\n" if self.route else "x\n",
            **{"/proc/sys/" + key: value for key, value in self.sysctls.items()},
            **self.files,
        }
        recorded = {
            "now": self.now,
            "commands": commands,
            "filesystems": self.spaces,
            "docker": self.docker,
        }
        host = make_host(files, recorded, self.links)
        self.api = RecordedApi(self.record if not self.silent else None, self.logs)
        self.api.project = self.project
        return look(host, stack.get(name), path, api=self.api, **more)
