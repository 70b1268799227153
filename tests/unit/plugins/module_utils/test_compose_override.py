# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.compose_override import merge

MTU = {"networks": {"mailcow-network": {"driver_opts": {"com.docker.network.driver.mtu": "1450"}}}}


@pytest.mark.parametrize(
    ("present", "wanted", "merged"),
    [
        (None, MTU, MTU),
        ({}, {}, {}),
        (MTU, MTU, MTU),
        ({"services": {"a": {"image": "x"}}}, MTU, {"services": {"a": {"image": "x"}}, **MTU}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"p": ["1", "2"]}, {"p": ["2", "3"]}, {"p": ["1", "2", "3"]}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_merge(present, wanted, merged):
    assert merge(present, wanted) == merged
    assert merge(merged, wanted) == merged


def test_the_arguments_are_left_alone():
    present = {"a": {"p": ["1"]}}
    merge(present, {"a": {"p": ["2"], "x": 1}})
    assert present == {"a": {"p": ["1"]}}


@pytest.mark.parametrize(
    ("present", "wanted", "problem"),
    [
        ({"services": []}, {"services": {}}, "services: a list stands in the file where a mapping"),
        ({"a": {"b": 1}}, {"a": {"b": [1]}}, "a.b: a single value stands in the file where a list"),
    ],
)
def test_a_clash_names_the_place(present, wanted, problem):
    with pytest.raises(ValueError, match=problem):
        merge(present, wanted)
