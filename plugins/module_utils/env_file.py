# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ``env_file`` module does: read the file, plan, write."""

from __future__ import annotations

import os
import re
import secrets
import string

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    env_document,
    file_write,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits


def make_secret(length: int, alphabet: str = ALPHABET) -> str:
    """A random value from the system's random source.

    Args:
        length: number of characters.
        alphabet: the characters to choose from.

    Returns:
        The value.
    """
    return "".join(secrets.choice(alphabet) for _index in range(length))


def as_text(key: str, value: object) -> str:
    """One value of a task as the text to write.

    Args:
        key: its key, for the error.
        value: a string, a number, a boolean (``true``/``false``) or None (the empty value).

    Returns:
        The text.

    Raises:
        env_document.EnvError: the value is a list or a dictionary.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise env_document.EnvError(
        "%s: a %s is no value for a KEY=VALUE file; allowed: text, numbers, true and false"
        % (key, type(value).__name__)
    )


def _generators(wanted: list[dict]) -> dict:
    generators = {}
    for entry in wanted:
        key, length, alphabet = entry["key"], entry["length"], entry["alphabet"]
        if not 8 <= length <= 1024:
            raise env_document.EnvError(
                "generate: %s: length %d; allowed: 8 to 1024 characters" % (key, length)
            )
        if len(set(alphabet)) < 10 or not env_document.PLAIN.match(alphabet):
            raise env_document.EnvError(
                "generate: %s: the alphabet %r; allowed: at least 10 different characters that "
                "need no quotes" % (key, alphabet)
            )
        generators[key] = lambda length=length, alphabet=alphabet: make_secret(length, alphabet)
    return generators


def manage(host: Host, params: dict, check_mode: bool) -> dict:
    """Bring a KEY=VALUE file into the state wanted.

    Args:
        host: the :class:`Host` to read from.
        params: the options of the ``env_file`` module.
        check_mode: plan only.

    Returns:
        The module's result: ``changed``, ``changed_keys``, ``changes`` (key to what happened),
        ``path`` (with links followed), ``backup_file``, ``diff``, ``warnings`` and
        ``known_secrets`` (values that no output may show; never returned to the controller).

    Raises:
        env_document.EnvError: bad input, see :func:`env_document.plan`.
        file_write.FileWriteError: the file cannot be written.
    """
    if not re.fullmatch("0?[0-7]{3}", params["mode"]):
        raise env_document.EnvError(
            "mode: %r; allowed: three octal digits, such as 0600" % params["mode"]
        )
    path = host.realpath(params["path"])
    data = host.read_bytes(path)
    if data is None and host.exists(path):
        raise env_document.EnvError("path: %s is there but cannot be read as a file" % path)
    text = None if data is None else env_document.decode(data, path)
    if not check_mode and not host.isdir(os.path.dirname(path)):
        raise env_document.EnvError("path: the directory %s does not exist" % os.path.dirname(path))
    plan = env_document.plan(
        text,
        values={key: as_text(key, value) for key, value in params["values"].items()},
        secrets={key: as_text(key, value) for key, value in params["secrets"].items()},
        defaults={key: as_text(key, value) for key, value in params["defaults"].items()},
        generate=_generators(params["generate"]),
        absent=params["absent"],
        create_only=params["create_only"],
        quote=params["quote"],
        secret_keys=params["secret_keys"],
        layout=params["layout"],
    )
    backup = ""
    if plan.changed and not check_mode:
        backup = file_write.replace(
            path,
            plan.after.text.encode("utf-8"),
            mode=int(params["mode"], 8),
            backup=params["backup"],
        )
    return {
        "changed": plan.changed,
        "changed_keys": sorted(plan.changes),
        "changes": plan.changes,
        "path": path,
        "backup_file": backup,
        "diff": dict(plan.diff(), before_header=path, after_header=path),
        "warnings": plan.warnings,
        "known_secrets": plan.known_secrets(),
    }
