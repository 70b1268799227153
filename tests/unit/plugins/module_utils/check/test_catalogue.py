# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue, need

MAILCOW = need.from_stack(stack.get("mailcow"))


def statuses(findings):
    return {item.id: item.status for item in findings}


def test_every_check_has_what_a_report_needs():
    ids = [check.id for check in catalogue.CHECKS]
    assert len(ids) == len(set(ids))
    for check in catalogue.CHECKS:
        assert check.id.count(".") == 1
        assert check.title
        assert check.look.__doc__
        for name in stack.names():
            assert check.source in stack.get(name)["sources"] or check.source.startswith("https://")


def test_the_ids_of_the_dns_are_those_of_its_checks():
    assert tuple(check.id for check in catalogue.dns_checks()) == catalogue.DNS_IDS
    assert len(set(catalogue.ids())) == len(catalogue.ids())


def test_a_machine_that_answers_nothing_is_never_ok(make_host):
    findings = catalogue.run(make_host(), MAILCOW, skip=["commands"])
    assert {item.status for item in findings} == {"unknown", "skip"}
    assert all(finding.observed for finding in findings)
    # Programs that are not there are missing: that is an answer.
    (base, _installed) = catalogue.run(make_host(), MAILCOW, only=["commands"])
    assert base.status == "fail"


def test_a_check_that_breaks_is_unknown(make_host):
    def look(host, need):
        raise KeyError("odd")

    broken = catalogue.Check("ports.public", "Broken", "ports", look)
    (broken_finding,) = catalogue.run(make_host(), MAILCOW, checks=[broken])
    assert broken_finding.status == "unknown"
    assert "odd" in broken_finding.observed


def test_only(host_tree):
    host = host_tree("debian12-kvm")
    assert list(statuses(catalogue.run(host, MAILCOW, only=["resources.swap", "ports"]))) == [
        "resources.swap",
        "ports.public",
        "ports.loopback",
    ]


def test_skip_is_shown(host_tree):
    found = statuses(
        catalogue.run(host_tree("lxc"), MAILCOW, only=["ports"], skip=["ports.public"])
    )
    assert found == {"ports.public": "skip", "ports.loopback": "ok"}


def test_accept_is_shown(host_tree):
    findings = catalogue.run(host_tree("lxc"), MAILCOW, accept=["platform"])
    (accepted,) = [item for item in findings if item.id == "platform.virtualisation"]
    assert accepted.status == "warn"
    assert accepted.observed.endswith("(accepted by name)")
    assert accepted.fix
    # What did not fail is not touched.
    assert statuses(findings)["platform.architecture"] == "ok"


def test_accept_does_not_hide_what_is_not_known(make_host):
    findings = catalogue.run(make_host(), MAILCOW, only=["ports"], accept=["ports"])
    assert set(statuses(findings).values()) == {"unknown"}


def test_what_is_about_to_be_repaired_does_not_block(host_tree):
    host = host_tree("vps-2gb-no-swap")
    findings = catalogue.run(host, MAILCOW, repaired=["resources.swap"], accept=["resources.disk"])
    told = {item.id: item for item in findings}
    assert told["resources.swap"].status == told["resources.disk"].status == "warn"
    assert told["resources.swap"].observed.endswith("(about to be repaired)")
    assert told["resources.disk"].observed.endswith("(accepted by name)")
    assert told["resources.memory"].status == "fail"


def test_a_warning_that_is_about_to_be_repaired_does_not_block_where_warnings_do():
    def look(_host, _need):
        return [finding.answer("warn", "128", "1024", "Raise it.")]

    names = ["resources.inotify", "resources.redis", "resources.cpu"]
    checks = [catalogue.Check(name, "Limits", "", look) for name in names]
    options = {"repaired": names[:2], "accept": names[1:2], "checks": checks}
    # What was accepted is there for good, and stops whoever wants no warnings.
    found = catalogue.run(None, MAILCOW, fail_on="warn", **options)
    assert [item.observed for item in found] == ["128 (about to be repaired)", "128", "128"]
    assert [item.id for item in finding.blocking(found, "warn")] == names[1:]
    assert [item.observed for item in catalogue.run(None, MAILCOW, **options)] == ["128"] * 3


def test_checks_wait_for_programs_at_the_same_time(make_host):
    # Each waits for the other: one after the other they would never end.
    meeting = threading.Barrier(2, timeout=10)

    def look(host, need):
        meeting.wait()
        return [finding.answer("ok", "met", "")]

    pair = [
        catalogue.Check(name, "t", "ports", look) for name in ("ports.public", "ports.loopback")
    ]
    assert [item.observed for item in catalogue.run(make_host(), MAILCOW, checks=pair)] == [
        "met"
    ] * 2


@pytest.mark.parametrize("option", ["only", "skip", "accept", "repaired"])
def test_unknown_names(option, make_host):
    with pytest.raises(ValueError, match=r"has 'ports\.pubic'") as error:
        catalogue.run(make_host(), MAILCOW, **{option: ["ports", "ports.pubic"]})
    assert str(error.value).startswith(
        option + " has 'ports.pubic'; allowed: platform, platform.op"
    )
    assert "commands.required" in str(error.value)
