# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every text; runs where hypothesis is installed."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.env_document import (
    Document,
    bash_value,
    compose_value,
    plan,
    read_value,
    spell,
)

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

# Text as it may stand behind "KEY=": every character that one of the readers treats specially.
RAW = st.text(alphabet="ab1 #$'\"\\`;&|<>()~:=/.,*?[]{}!%+@^-_", max_size=12)


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(RAW)
def test_what_is_called_safe_is_what_bash_reads(sourced, raw):
    try:
        value = read_value(raw)
    except ValueError:
        return
    assert sourced("KEY=%s\n" % raw) == value


@hypothesis.given(st.text(max_size=20), st.booleans())
def test_spelling_is_read_back(value, quote):
    try:
        raw = spell(value, quote)
    except ValueError:
        return
    assert bash_value(raw) == compose_value(raw) == value


@hypothesis.given(st.text(alphabet="AB=#'\"\n x", max_size=40))
def test_a_document_keeps_every_byte(text):
    assert Document(text).text == text


@hypothesis.given(
    st.dictionaries(st.sampled_from("ABCDE"), st.text(alphabet="ab1.", max_size=4)),
    st.text(alphabet="ABC=#1\n", max_size=30),
)
def test_a_second_run_changes_nothing(values, text):
    first = plan(text, values)
    second = plan(first.after.text, values)
    assert not second.changed
    for key, value in values.items():
        assert second.after.get(key) == value
