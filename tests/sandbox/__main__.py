# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``python -m sandbox VERB``."""

from __future__ import annotations

import argparse
import os
import sys

from docker.errors import DockerException
from requests.exceptions import RequestException

from . import sandbox, world
from .common import SandboxError
from .hosts import find, ssh


def main() -> int:
    """Run one verb; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="sandbox", description="Disposable mail hosts and the small internet they see."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="build what is missing, start the world and hosts")
    up.add_argument("hosts", nargs="*", default=["mail1"], metavar="HOST", help="default: mail1")
    build = verbs.add_parser("build", help="build what is missing, and start nothing")
    build.add_argument("hosts", nargs="+", metavar="HOST")
    reset = verbs.add_parser("reset", help="throw hosts away and make bare ones")
    reset.add_argument("hosts", nargs="+", metavar="HOST")
    remove = verbs.add_parser("remove", help="throw hosts away")
    remove.add_argument("hosts", nargs="+", metavar="HOST")
    reboot = verbs.add_parser("reboot", help="restart a host, as a reboot of it does")
    reboot.add_argument("host", metavar="HOST")
    verbs.add_parser("down", help="stop everything, keep it")
    verbs.add_parser("clean", help="remove everything the sandbox made in the engine")
    shell = verbs.add_parser("shell", help="open a shell on a host, or run a command there")
    shell.add_argument("host", metavar="HOST")
    shell.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    verbs.add_parser("status", help="print what is there")
    verbs.add_parser("inventory", help="write the inventory and print its path")
    fault = verbs.add_parser("fault", help="break a server of the world, or mend it")
    fault.add_argument("name", metavar="NAME", help=f"one of: {', '.join(world.FAULT_NAMES)}")
    fault.add_argument("switch", choices=["on", "off"])
    fault.add_argument("hosts", nargs="*", metavar="HOST", help="for these alone")
    record = verbs.add_parser(
        "record", help="change what the world's DNS answers; 'record reset' puts all back"
    )
    record.add_argument("name", metavar="NAME", help="absolute, or the word reset")
    record.add_argument("type", nargs="?", metavar="TYPE", help="such as A, MX, PTR, TXT")
    record.add_argument(
        "values",
        nargs="*",
        metavar="VALUE",
        help="as in a zone file; the word none for no record, reset for the one before",
    )
    given = parser.parse_args()
    if given.verb == "record" and (given.name == "reset") == bool(given.values):
        parser.error("record NAME TYPE VALUE..., record NAME TYPE none|reset, or record reset")
    # Servers of the world read what is made here as users of their own.
    os.umask(0o022)

    try:
        if given.verb == "up":
            sandbox.up([find(name) for name in given.hosts])
        elif given.verb == "build":
            sandbox.build([find(name) for name in given.hosts])
        elif given.verb == "reset":
            sandbox.reset([find(name) for name in given.hosts])
        elif given.verb == "remove":
            sandbox.remove([find(name) for name in given.hosts])
        elif given.verb == "reboot":
            sandbox.reboot(find(given.host))
        elif given.verb == "down":
            sandbox.down()
        elif given.verb == "clean":
            sandbox.clean()
        elif given.verb == "shell":
            command = ssh(find(given.host), *given.command)
            os.execvp(command[0], command)
        elif given.verb == "status":
            sandbox.status()
        elif given.verb == "fault":
            sandbox.fault(given.name, given.switch == "on", [find(name) for name in given.hosts])
        elif given.verb == "record":
            if given.name == "reset":
                sandbox.reset_records()
            elif given.values == ["reset"]:
                sandbox.reset_records(given.name, given.type)
            else:
                values = [] if given.values == ["none"] else given.values
                sandbox.record(given.name, given.type, values)
        elif given.verb == "inventory":
            print(sandbox.write_inventory())
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except (DockerException, RequestException) as error:
        print(f"sandbox: the Docker engine refused: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: interrupted", file=sys.stderr)
        return 130
    return 0


sys.exit(main())
