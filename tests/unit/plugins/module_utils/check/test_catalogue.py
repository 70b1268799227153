# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need

MAILCOW = need.from_stack(stack.get("mailcow"))


def statuses(findings):
    return {finding.id: finding.status for finding in findings}


def test_every_check_has_what_a_report_needs():
    ids = [check.id for check in catalogue.CHECKS]
    assert len(ids) == len(set(ids))
    for check in catalogue.CHECKS:
        assert check.id.count(".") == 1
        assert check.title
        assert check.look.__doc__
        for name in stack.names():
            assert check.source in stack.get(name)["sources"]


def test_a_machine_that_answers_nothing_is_never_ok(make_host):
    findings = catalogue.run(make_host(), MAILCOW, skip=["commands"])
    assert {finding.status for finding in findings} == {"unknown", "skip"}
    assert all(finding.observed for finding in findings)
    # Programs that are not there are missing: that is an answer.
    (base, _installed) = catalogue.run(make_host(), MAILCOW, only=["commands"])
    assert base.status == "fail"


def test_a_check_that_breaks_is_unknown(make_host):
    def look(host, need):
        raise KeyError("odd")

    broken = catalogue.Check("ports.public", "Broken", "ports", look)
    (finding,) = catalogue.run(make_host(), MAILCOW, checks=[broken])
    assert finding.status == "unknown"
    assert "odd" in finding.observed


def test_only(host_tree):
    host = host_tree("debian12-kvm")
    assert list(statuses(catalogue.run(host, MAILCOW, only=["resources.swap", "platform"]))) == [
        "platform.operating_system",
        "platform.virtualisation",
        "platform.architecture",
        "resources.swap",
    ]


def test_skip_is_shown(host_tree):
    found = statuses(catalogue.run(host_tree("lxc"), MAILCOW, skip=["platform.virtualisation"]))
    assert found["platform.virtualisation"] == "skip"
    assert list(found.values()).count("skip") == 1


def test_accept_is_shown(host_tree):
    findings = catalogue.run(host_tree("lxc"), MAILCOW, accept=["platform"])
    (accepted,) = [item for item in findings if item.id == "platform.virtualisation"]
    assert accepted.status == "warn"
    assert accepted.observed.endswith("(accepted by name)")
    assert accepted.fix
    # What did not fail is not touched.
    assert statuses(findings)["platform.architecture"] == "ok"


def test_accept_does_not_hide_what_is_not_known(make_host):
    findings = catalogue.run(make_host(), MAILCOW, only=["platform"], accept=["platform"])
    assert set(statuses(findings).values()) == {"unknown"}


@pytest.mark.parametrize("option", ["only", "skip", "accept"])
def test_unknown_names(option, make_host):
    with pytest.raises(ValueError, match=r"has 'ports\.pubic'") as error:
        catalogue.run(make_host(), MAILCOW, **{option: ["ports", "ports.pubic"]})
    assert str(error.value).startswith(
        option + " has 'ports.pubic'; allowed: platform, platform.op"
    )
    assert "commands.required" in str(error.value)
