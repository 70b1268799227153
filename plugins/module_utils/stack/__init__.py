# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks that this collection knows: one file of data each, said once.

Modules read the data here, roles through ``lookup('postmaster.mailhost.stack', 'mailcow')``,
and the tables in the docs are made from it.
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.mailcow import (
    STACK as MAILCOW,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.mailu import (
    STACK as MAILU,
)

STACKS = {data["name"]: dict(data, host_keys=config.host_keys(data)) for data in (MAILCOW, MAILU)}


def names(part: str = "name") -> list[str]:
    """Names of the stacks, sorted: the ``choices`` of every ``stack`` option.

    Args:
        part: only stacks whose data has this, such as ``services``.
    """
    return sorted(name for name, data in STACKS.items() if part in data)


def get(name: str) -> dict:
    """The data of one stack.

    Args:
        name: one of :func:`names`.

    Returns:
        dict with ``requirements`` (``*_mib``, ``*_gib``, ``cpu_mhz``), ``memory_plan``,
        ``operating_systems``, ``ports``, ``networks``, ``commands``, ``sysctls``, ``keys`` (the
        configuration keys with default, kind and what a change needs), ``host_keys`` (names of
        those that a host must suit), ``sources``. A stack that
        can be stood up also has ``services`` and ``removed`` (old keys with the reason).

    Raises:
        ValueError: no such stack; the text names those that exist.
    """
    if name not in STACKS:
        raise ValueError("unknown stack %r; known: %s" % (name, ", ".join(names())))
    return STACKS[name]
