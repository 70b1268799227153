# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in stacks, as data: their trees, versions and images."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .common import HERE


@dataclass(frozen=True)
class Version:
    """A release of a stand-in stack.

    tag: its git tag.
    date: of its commit, as git reads it.
    replaces: texts in the Compose file that were different then.
    """

    tag: str
    date: str
    replaces: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A container's health check: a script of the image, and how often it runs (seconds) until it
    was successful once.
    """

    script: str
    interval: int


@dataclass(frozen=True)
class Stack:
    """A stand-in for a stack of containers.

    name: its directory below standin/.
    checks: health checks that its images bring, by service.
    """

    name: str
    checks: Mapping[str, Check]

    @property
    def scripts(self) -> Path:
        """The directory of what its images hold beside the programs."""
        return HERE / "standin" / self.name / "image"

    def images(self) -> dict[str, str]:
        """The service by the image (name:tag) of every release."""
        raise NotImplementedError


@dataclass(frozen=True)
class ImageStack(Stack):
    """A stack of which there are images only; whoever runs it writes the Compose file.

    tags: by image without a tag, the service that it is and its tags.
    """

    tags: Mapping[str, tuple[str, Sequence[str]]]

    def images(self) -> dict[str, str]:
        """The service by the image (name:tag) of every release."""
        return {
            f"{image}:{tag}": service
            for image, (service, tags) in self.tags.items()
            for tag in tags
        }


@dataclass(frozen=True)
class RepositoryStack(Stack):
    """A stack that is had as a git repository with a Compose file.

    repository: owner/name at github.com.
    versions: its releases, oldest first.
    links: symbolic links of its tree, target by name. Not kept as links in this
        project, where they would lead nowhere.
    renames: files that have another name here, because theirs would act on this project.
    """

    repository: str
    versions: Sequence[Version]
    links: Mapping[str, str]
    renames: Mapping[str, str]

    @property
    def tree(self) -> Path:
        """The directory of the repository's files."""
        return HERE / "standin" / self.name / "repository"

    def compose_file(self, version: Version) -> str:
        """The text of the Compose file of a release."""
        text = (self.tree / "docker-compose.yml").read_text()
        for new, old in version.replaces.items():
            if new not in text:
                raise ValueError(f"{new} is not in the Compose file of {self.name}")
            text = text.replace(new, old)
        return text

    def write(self, directory: Path, version: Version) -> None:
        """Write the tree of a release into *directory*."""
        shutil.copytree(self.tree, directory, dirs_exist_ok=True)
        for here, there in self.renames.items():
            (directory / here).rename(directory / there)
        for name, target in self.links.items():
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to(target)
        (directory / "docker-compose.yml").write_text(self.compose_file(version))

    def images(self) -> dict[str, str]:
        """The service by the image (name:tag) of every release."""
        found: dict[str, str] = {}
        for version in self.versions:
            found.update(
                {image: service for service, image in services(self.compose_file(version)).items()}
            )
        return found


def services(compose_file: str) -> dict[str, str]:
    """The image of each service in a Compose file of ours.

    Reads only the shape that the stand-ins have: a service's name indented by two
    spaces, its image by four.
    """
    found: dict[str, str] = {}
    service = ""
    inside = False
    for line in compose_file.splitlines():
        if re.match(r"\S", line):
            inside = line.startswith("services:")
        elif inside and (match := re.match(r"  ([\w-]+):\s*$", line)):
            service = match[1]
        elif inside and (match := re.match(r"    image:\s*(\S+)\s*$", line)):
            found[service] = match[1]
    return found


MAILCOW = RepositoryStack(
    name="mailcow",
    repository="mailcow/mailcow-dockerized",
    versions=(
        Version(
            "2026-07",
            "2026-07-14T12:00:00+0000",
            {"netfilter:1.64": "netfilter:1.63", "nginx:1.30.4-1": "nginx:1.30.3-1"},
        ),
        Version("2026-07a", "2026-07-30T12:00:00+0000"),
    ),
    links={".env": "mailcow.conf"},
    renames={"gitignore": ".gitignore"},
    checks={
        "unbound-mailcow": Check("unbound-health", 2),
        "clamd-mailcow": Check("idle-health", 2),
    },
)

# A series' own tag is its newest release; "master" is what is being developed.
MAILU_TAGS = (
    *("2.0", "2.0.42", "2.0.43"),
    *("2024.06", "2024.06.40", "2024.06.56", "2024.06.57"),
    "master",
)
MAILU = ImageStack(
    name="mailu",
    tags={
        **{
            f"ghcr.io/mailu/{image}": (service, MAILU_TAGS)
            for image, service in (
                ("admin", "admin"),
                ("dovecot", "imap"),
                ("fetchmail", "fetchmail"),
                ("nginx", "front"),
                ("oletools", "oletools"),
                ("postfix", "smtp"),
                ("radicale", "webdav"),
                ("rspamd", "antispam"),
                ("unbound", "resolver"),
                ("webmail", "webmail"),
            )
        },
        "redis": ("redis", ("alpine",)),
        "clamav/clamav-debian": ("antivirus", ("1.4", "1.4_base")),
        "apache/tika": ("fts_attachments", ("latest-full",)),
    },
    # Upstream's look every 30 seconds, which a test need not wait for.
    checks={
        **{
            service: Check(f"{service}-health", 2)
            for service in (
                *("admin", "antispam", "front", "imap", "resolver", "smtp"),
                *("webdav", "webmail"),
            )
        },
        **{service: Check("idle-health", 2) for service in ("antivirus", "fetchmail", "oletools")},
    },
)

STACKS: tuple[Stack, ...] = (MAILCOW, MAILU)
