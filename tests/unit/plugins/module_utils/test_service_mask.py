# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Masking services: which, in what order, and never one that is not known."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import service_mask
from ansible_collections.postmaster.mailhost.plugins.module_utils.service_mask import (
    ServiceMaskError,
)


def planned(make_host, names, **units):
    known = {name + ".service": state for name, state in units.items()}
    return service_mask.plan(make_host({}, {"units": known}), names)


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (["loaded", "active", "enabled"], ("stop", "disable", "mask")),
        (["loaded", "activating", "enabled"], ("stop", "disable", "mask")),
        (["loaded", "active", "generated"], ("stop", "disable", "mask")),
        (["loaded", "inactive", "enabled-runtime"], ("disable", "mask")),
        (["loaded", "failed", "disabled"], ("mask",)),
        (["loaded", "inactive", "static"], ("mask",)),
        # Masked while it ran.
        (["masked", "active", "masked"], ("stop",)),
        (["masked", "inactive", "masked"], None),
    ],
)
def test_steps(make_host, state, verbs):
    steps = planned(make_host, ["exim4"], exim4=state)
    assert [step.verbs for step in steps] == ([] if verbs is None else [verbs])


def test_a_socket_goes_before_its_service_and_what_is_not_there_is_passed_by(make_host):
    units = {
        "dovecot.service": ["loaded", "active", "enabled"],
        "dovecot.socket": ["loaded", "active", "enabled"],
        "nginx.service": ["loaded", "active", "enabled"],
    }
    steps = service_mask.plan(make_host({}, {"units": units}), ["postfix", "dovecot"])
    assert [step.unit for step in steps] == ["dovecot.socket", "dovecot.service"]
    shown = service_mask.result(steps)
    assert shown["changed"] and shown["units"] == ["dovecot.socket", "dovecot.service"]
    assert "dovecot.socket: active, enabled\n" in shown["diff"]["before"]
    assert "dovecot.service: inactive, masked\n" in shown["diff"]["after"]


def test_nothing_to_do(make_host):
    assert service_mask.plan(make_host(), []) == []
    assert service_mask.result([]) == {"changed": False, "units": [], "diff": {}}


def test_every_step_is_carried_out_and_a_failure_names_it(make_host):
    units = {"exim4.service": ["loaded", "active", "disabled"]}
    commands = {"systemctl stop exim4.service": {}}
    host = make_host({}, {"units": units, "commands": commands})
    steps = service_mask.plan(host, ["exim4"])
    with pytest.raises(ServiceMaskError, match="systemctl mask exim4.service failed: systemctl: c"):
        service_mask.carry_out(host, steps)
    # Without the first recorded answer it fails there.
    with pytest.raises(ServiceMaskError, match="systemctl stop exim4.service failed"):
        service_mask.carry_out(make_host({}, {"units": units}), steps)


@pytest.mark.parametrize("name", ["ssh", "docker", "exim4.service", "", "../x"])
def test_what_is_not_known_is_refused(make_host, name):
    with pytest.raises(ServiceMaskError, match="allowed: apache2, .*exim4"):
        service_mask.plan(make_host({}, {"units": {}}), ["exim4", name])


def test_without_systemd(make_host):
    with pytest.raises(ServiceMaskError, match="cannot be looked at"):
        service_mask.plan(make_host(), ["exim4"])


def test_nobody_is_locked_out():
    assert not {"ssh", "sshd", "docker", "networking", "systemd-networkd"} & set(service_mask.KNOWN)
    assert {"exim4", "postfix", "sendmail", "apache2", "nginx"} <= set(service_mask.KNOWN)
