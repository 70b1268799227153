# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each illness is named first, and no other one is seen."""

from __future__ import annotations

import re

import pytest
from doctor_hosts import HOSTS, cases, filled, told, troubles


@pytest.mark.parametrize("host", HOSTS)
def test_a_healthy_host_has_nothing(healthy, host):
    diagnosis, run = healthy[host]
    assert troubles(diagnosis) == [], told(diagnosis)
    assert diagnosis["verdict"] == "healthy"
    assert (run.rc, run.changed) == (0, []), run.message


@pytest.mark.parametrize("name", cases())
def test_row(outcomes, name):
    outcome = outcomes[name].result()
    case = outcome.case
    said = told(outcome.diagnosis)
    found = outcome.diagnosis["findings"]
    assert (found[0]["id"], found[0]["status"]) == (case.first, case.status), said
    assert re.search(filled(case.words, case.host), found[0]["observed"], re.IGNORECASE), said
    assert found[0]["remedy"], said
    assert {item["id"] for item in outcome.troubles()} <= {case.first, *case.also}, said
    # The playbook says so by its exit code.
    assert (outcome.run.rc != 0) == (case.status == "fail"), outcome.run.message
