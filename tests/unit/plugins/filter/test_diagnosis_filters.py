# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's filters."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.diagnosis import (
    FilterModule as Diagnosis,
)
from ansible_collections.postmaster.mailhost.plugins.filter.doctor_plan import (
    FilterModule as Plan,
)

diagnosis = Diagnosis().filters()["diagnosis"]
doctor_plan = Plan().filters()["doctor_plan"]


def test_they_give_what_the_words_give():
    results = {"dns": {"findings": [{"id": "dns.mx", "status": "fail", "observed": "none"}]}}
    assert diagnosis(results)["verdict"] == "ill"
    assert diagnosis(results, accept=["dns.mx"])["verdict"] == "watch"
    assert doctor_plan(["dns.mx"])["dns"] == ["dns.mx"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: diagnosis({}, onyl=[]), "unknown option onyl; allowed: only, skip"),
        (lambda: diagnosis({}, accept=["x"]), "accept has 'x'; allowed: "),
        (lambda: diagnosis({"dns": {"findings": [{"status": "ok"}]}}), "'id'"),
        (lambda: diagnosis([]), "diagnosis: "),
        (lambda: doctor_plan(["x"]), "doctor_only has 'x'; allowed: "),
    ],
)
def test_wrong_input_is_named(call, text):
    with pytest.raises(AnsibleFilterError, match=text):
        call()
