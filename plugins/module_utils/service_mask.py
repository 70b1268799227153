# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that must neither run nor come back: stopped, disabled and masked.

A disabled service comes back with the next update of its package, or when another one wants it; a
masked one does not.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import service_units
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError, Unit

#: Services known to take a mail host's ports. A name that is not here could be anything: the host's
#: network, its way in.
KNOWN = tuple(
    sorted(
        unit[: -len(".service")]
        for unit in service_units.MAIL + service_units.MAILBOX + service_units.WEB
    )
)

# A service's stop may take systemd's 90 seconds.
_TIMEOUT = 120.0


class ServiceMaskError(Exception):
    """A service cannot be masked; the text is a sentence."""


class Step(NamedTuple):
    """What is to be done about one unit.

    Attributes:
        unit: its name.
        before: what it is.
        verbs: what systemctl is to do, in order.
    """

    unit: str
    before: Unit
    verbs: tuple[str, ...]


def plan(host: Host, names: Sequence[str]) -> list[Step]:
    """Compare services with what they are to be.

    Args:
        host: the host.
        names: names from :data:`KNOWN`. One that the host does not have needs nothing.

    Returns:
        list[Step]: one for each unit that something is to be done about.

    Raises:
        ServiceMaskError: a name is not known, or systemd does not answer.
    """
    for name in names:
        if name not in KNOWN:
            raise ServiceMaskError("name is {0!r}; allowed: {1}".format(name, ", ".join(KNOWN)))
    if not names:
        return []
    wanted = [name + suffix for name in names for suffix in (".socket", ".service")]
    try:
        units = host.units(wanted)
    except HostError as error:
        raise ServiceMaskError("the services cannot be looked at: {0}".format(error)) from error
    steps = []
    for name in wanted:
        unit = units[name]
        if not unit.present:
            continue
        verbs = []
        if unit.active not in ("inactive", "failed"):
            verbs.append("stop")
        if unit.load != "masked":
            if unit.enabled.startswith("enabled") or unit.enabled == "generated":
                verbs.append("disable")
            verbs.append("mask")
        if verbs:
            steps.append(Step(name, unit, tuple(verbs)))
    return steps


def carry_out(host: Host, steps: Sequence[Step]) -> None:
    """Do what was planned.

    Raises:
        ServiceMaskError: systemctl fails; its reason is in the text.
    """
    for step in steps:
        for verb in step.verbs:
            answer = host.run(["systemctl", verb, step.unit], timeout=_TIMEOUT)
            if answer.rc != 0:
                raise ServiceMaskError(
                    "systemctl {0} {1} failed: {2}".format(
                        verb, step.unit, answer.stderr.strip() or "without a reason"
                    )
                )


def result(steps: Sequence[Step]) -> dict[str, Any]:
    """Return steps as the module's return values."""
    diff = {
        "before_header": "services",
        "before": "".join(
            "{0}: {1}, {2}\n".format(
                step.unit, step.before.active, step.before.enabled or step.before.load
            )
            for step in steps
        ),
        "after_header": "services",
        "after": "".join("{0}: inactive, masked\n".format(step.unit) for step in steps),
    }
    return {
        "changed": bool(steps),
        "units": [step.unit for step in steps],
        "diff": diff if steps else {},
    }
