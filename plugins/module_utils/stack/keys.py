# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a configuration key of a stack."""

from __future__ import annotations


def key(name: str, default: str | None, kind: str, meaning: str, **more: object) -> dict:
    """Return the entry of one key.

    Args:
        name: the key, as in the stack's file.
        default: the value that is written when nothing else is wanted; None for none.
        kind: kind of its values, see :mod:`value_kind`.
        meaning: a sentence.
        more: further fields, below.
    """
    entry = {
        "name": name,
        "default": default,
        "kind": kind,
        "meaning": meaning,
        "choices": [],
        "empty": False,
        "secret": False,
        # Length of the secret made when the key is missing; 0: none is made.
        "generate": 0,
        # Why the value may not change on a system that runs; "": it may.
        "create_only": "",
        # Written commented out until somebody sets it.
        "optional": default is None and not more.get("generate"),
        # Read by docker-compose.yml, yet never written by upstream's generator.
        "compose_only": False,
        "change": "up",
        # First and last release series that know the key; "": the oldest and the newest.
        "since": "",
        "until": "",
    }
    entry.update(more)
    return entry


def secret(name: str, length: int, meaning: str, **more: object) -> dict:
    """Return the entry of a key whose value is made at random."""
    kind = "secret16" if length == 16 else "secret"
    return key(name, None, kind, meaning, generate=length, secret=True, **more)
