# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging what is wanted into a Compose override file, as Compose itself would merge two files.

Source: https://docs.docker.com/reference/compose-file/merge/ (mappings merge, sequences append).
"""

from __future__ import annotations


def merge(present: object, wanted: object, path: str = "") -> object:
    """Merge two parts of a Compose file.

    Mappings are merged key by key. A list keeps its entries, in their order, and gets those
    wanted that it lacks. Anything else takes the value wanted.

    Args:
        present: what is there; None counts as nothing.
        wanted: what must be there.
        path: where in the file this is, for the error.

    Returns:
        The merged part; the arguments are left alone.

    Raises:
        ValueError: a mapping is wanted where a list or a text stands, or the other way round.
    """
    if present is None:
        return wanted
    if isinstance(present, dict) and isinstance(wanted, dict):
        merged = dict(present)
        for key, value in wanted.items():
            here = "%s.%s" % (path, key) if path else str(key)
            merged[key] = merge(present.get(key), value, here)
        return merged
    if isinstance(present, list) and isinstance(wanted, list):
        return present + [entry for entry in wanted if entry not in present]
    if isinstance(present, (dict, list)) or isinstance(wanted, (dict, list)):
        raise ValueError(
            "%s: a %s stands in the file where a %s is wanted"
            % (path or "the file", _kind(present), _kind(wanted))
        )
    return wanted


def _kind(value: object) -> str:
    return {dict: "mapping", list: "list"}.get(type(value), "single value")
