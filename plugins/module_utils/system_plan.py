# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings of the role system ask of a host, decided before anything is changed."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    host_info,
    stack,
    sysctl_file,
    time_sync,
)

#: The daemon that is installed where there is none, by family of distributions.
TIME_PACKAGES = {host_info.DEBIAN: "systemd-timesyncd", host_info.REDHAT: "chrony"}


def plan(
    name: str,
    swap: Any = "auto",
    servers: Sequence[Any] = (),
    sysctls: Mapping[str, Any] | None = None,
    conflicting: Sequence[str] = (),
) -> dict[str, Any]:
    """Decide what a stack and the settings need.

    Args:
        name: the stack, empty when the host is for none.
        swap: ``auto`` for the stack's minimum, ``off``, or a size in MiB.
        servers: time servers.
        sysctls: kernel parameters with their values.
        conflicting: services to be masked.

    Returns:
        dict: ``swap_mib`` (0 for none) and ``sysctl_minimums``.

    Raises:
        ValueError: a setting cannot be used; the text names it and what is allowed.
    """
    data = stack.get(name) if name else {}
    problem = time_sync.server_problem(servers)
    if problem:
        raise ValueError("system_time_" + problem)
    if not isinstance(sysctls or {}, Mapping):
        raise ValueError("system_sysctls is {0!r}; allowed: a dictionary".format(sysctls))
    problem = sysctl_file.names_problem(sysctls or {}, "system_sysctls")
    if problem:
        raise ValueError(problem)
    if name and name in conflicting:
        raise ValueError(
            "system_conflicting_services names {0}, which is what the host is for".format(name)
        )
    return {
        "swap_mib": _swap_mib(swap, data),
        "sysctl_minimums": dict(data.get("sysctls", {})),
    }


def time_packages(host: Mapping[str, Any]) -> list[str]:
    """Return the packages that a time daemon needs and the host does not have.

    Args:
        host: what the module host_info returned, with V(system) gathered and
            :data:`time_sync.PACKAGES` asked for.

    Raises:
        ValueError: there is no daemon, and none is known for this system.
    """
    if any(host["packages"].get(name) for name in time_sync.PACKAGES):
        return []
    family = host["system"]["distribution"]["family"]
    if family not in TIME_PACKAGES:
        raise ValueError(
            "{0} has no time daemon that is known here; install chrony, or set system_time_sync: "
            "false".format(host["system"]["distribution"]["name"] or "the system")
        )
    return [TIME_PACKAGES[family]]


def _swap_mib(swap: Any, data: Mapping[str, Any]) -> int:
    text = str(swap).strip().lower()
    if text == "auto":
        return int(data.get("requirements", {}).get("swap_mib", 0))
    # YAML reads a bare "off" as false.
    if text in ("off", "false", "no", "0"):
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(
        "system_swap is {0!r}; allowed: auto, off or a size in MiB, such as 2048".format(swap)
    )
