# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from sandbox import hosts


def profile():
    """The filter of system calls that the hosts' options ask the engine for."""
    (option,) = [o for o in hosts.HOST_OPTIONS["SecurityOpt"] if o.startswith("seccomp=")]
    return json.loads(option.removeprefix("seccomp="))


def test_no_host_can_set_the_machines_clock():
    (rule,) = profile()["syscalls"]
    assert rule["action"] == "SCMP_ACT_ERRNO"
    # With the capability that they have, any other answer than this one would be the kernel's.
    assert "SYS_TIME" not in hosts.HOST_OPTIONS["CapDrop"]
    assert {
        "adjtimex",
        "clock_adjtime",
        "clock_adjtime64",
        "clock_settime",
        "clock_settime64",
        "settimeofday",
        "stime",
    } <= set(rule["names"])


def test_the_filter_holds_for_every_way_to_call_the_kernel():
    architectures = {entry["architecture"]: entry for entry in profile()["archMap"]}
    assert set(architectures["SCMP_ARCH_X86_64"]["subArchitectures"]) == {
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X32",
    }
    assert "SCMP_ARCH_AARCH64" in architectures


def test_all_else_is_allowed_as_an_engine_inside_needs_it():
    assert profile()["defaultAction"] == "SCMP_ACT_ALLOW"
    assert len(profile()["syscalls"]) == 1
