# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks that this collection knows: one file of data each, said once.

Modules read the data here, roles through ``lookup('postmaster.mailhost.stack', 'mailcow')``,
and the tables in the docs are made from it.
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.mailcow import (
    STACK as MAILCOW,
)

STACKS = {"mailcow": MAILCOW}


def names() -> list[str]:
    """Names of the stacks, sorted: the ``choices`` of every ``stack`` option."""
    return sorted(STACKS)


def get(name: str) -> dict:
    """The data of one stack.

    Args:
        name: one of :func:`names`.

    Returns:
        dict with ``requirements`` (``*_mib``, ``*_gib``, ``cpu_mhz``), ``operating_systems``,
        ``ports``, ``networks``, ``services``, ``commands``, ``keys`` (the configuration keys with
        default, kind and what a change needs), ``removed`` (old keys with the reason), ``sources``.

    Raises:
        ValueError: no such stack; the text names those that exist.
    """
    if name not in STACKS:
        raise ValueError("unknown stack %r; known: %s" % (name, ", ".join(names())))
    return STACKS[name]
