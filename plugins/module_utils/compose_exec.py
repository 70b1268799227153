# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a container of a Compose project."""

from __future__ import annotations

import re
from typing import Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import (
    RC_NOT_FOUND,
    RC_TIMEOUT,
    Host,
    Result,
)

# What Compose says when it is not the command that failed.
_NOT_RUNNING = re.compile(
    r"is not running|no configuration file|no such service|cannot connect to the docker|"
    r"is restarting",
    re.IGNORECASE,
)


class ComposeExecError(Exception):
    """The command did not end; the text is a sentence."""


class NotRunningError(ComposeExecError):
    """The service does not run, or there is no such project."""


def run(
    host: Host,
    project_src: str,
    project_name: str,
    service: str,
    argv: Sequence[str],
    input: str | None = None,  # noqa: A002 - as in subprocess
    timeout: float = 60.0,
) -> Result:
    """Run a command in a service's container.

    Args:
        host: where the project is.
        project_src: directory with its Compose file.
        project_name: its name; empty for the one that Compose finds there.
        service: the service.
        argv: program and arguments. They are in the list of processes: no secrets.
        input: text for its standard input.
        timeout: seconds that it may take.

    Returns:
        Result: what the command gave back, whatever its return code is.

    Raises:
        NotRunningError: no Docker, no project, or the service does not run.
        ComposeExecError: it did not end in time.
    """
    if host.which("docker") is None:
        raise NotRunningError("no Docker on this host")
    if not host.isdir(project_src):
        raise NotRunningError("no directory {0}".format(project_src))
    command = ["docker", "compose", *(["--project-name", project_name] if project_name else [])]
    command += ["exec", "-T", service, *argv]
    done = host.run(command, timeout=timeout, input=input, cwd=project_src)
    if done.rc == RC_TIMEOUT:
        raise ComposeExecError(
            "{0} in {1} did not end within {2} seconds".format(argv[0], service, timeout)
        )
    if (done.rc != 0 and _NOT_RUNNING.search(done.stderr)) or done.rc == RC_NOT_FOUND:
        said = done.stderr.strip().splitlines() or ["no reason was given"]
        raise NotRunningError(
            "the service {0} of {1} does not run: {2}".format(service, project_src, said[-1])
        )
    return done
