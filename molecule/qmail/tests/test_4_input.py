# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work is refused, in words, and nothing is changed."""

from __future__ import annotations

import re

import pytest
from qmail_host import HOST, PLAYBOOK, calls, files
from scenario import on, play, play_cases

RELAY = {"qmail_rules_expect": {}}

CASES = {
    "a number with a unit": (
        {"qmail_control": {"databytes": "10M"}},
        "databytes is '10M'; allowed",
    ),
    "a name that is none": ({"qmail_control": {"me": "mail"}}, "me: 'mail' cannot be used"),
    "no rcpthosts": ({"qmail_control_absent": ["rcpthosts"], "qmail_control": {}}, "absent: rcpth"),
    "a top level domain": ({"qmail_control": {"rcpthosts": [".org"]}}, "rcpthosts: '.org'"),
    "local and virtual": (
        {"qmail_control": {"locals": ["a.example"], "virtualdomains": ["a.example:x"]}},
        "a.example: in locals and in virtualdomains",
    ),
    "local and virtual on the host": (
        {"qmail_control": {"locals": ["virtual.example.test"]}},
        "virtual.example.test: in locals and in virtualdomains",
    ),
    "a patch that is not there": (
        {"qmail_control": {"outgoingip": "127.0.0.1"}},
        "outgoingip: no program in /var/qmail/bin knows this file.*SNAT",
    ),
    "more than the build can": (
        {"qmail_control": {"concurrencyremote": 200}},
        "concurrencyremote is 200; allowed: 0 to 120",
    ),
    "a blank in RELAYCLIENT": (
        {**RELAY, "qmail_rules": [{"addresses": ["10."], "variables": {"RELAYCLIENT": " "}}]},
        "RELAYCLIENT is ' '",
    ),
    "everybody may relay": (
        {**RELAY, "qmail_rules_default_variables": {"RELAYCLIENT": ""}},
        "open relay",
    ),
    "IPv6": ({**RELAY, "qmail_rules": [{"addresses": ["2001:db8::/32"]}]}, "it is IPv6"),
    "a prefix without its dot": ({**RELAY, "qmail_rules": [{"addresses": ["10.1"]}]}, "10.1. is"),
    "another verdict than expected": (
        {"qmail_rules_expect": {"192.0.2.64": "relay"}},
        "192.0.2.64 is to be relay, and the rule :allow says allow",
    ),
    "no qmail": ({"qmail_home": "/opt/qmail"}, "qmail_home is /opt/qmail, which holds no control/"),
}


@pytest.fixture(scope="module")
def runs():
    """What became of each case, and that nothing has changed."""
    before = calls(), files()
    found = play_cases(PLAYBOOK, HOST, {name: extra for name, (extra, _message) in CASES.items()})
    assert (calls(), files()) == before
    return found


@pytest.mark.parametrize("name", CASES)
def test_refused(runs, name):
    run, message = runs[name], CASES[name][1]
    assert run.rc != 0
    assert re.search(message, run.message, re.DOTALL), run.message
    assert (len(run.failed), run.changed) == (1, [])
    assert "Traceback" not in run.output


def test_a_build_with_the_patch_takes_the_file():
    on(HOST, "cp -a /var/qmail/bin/qmail-remote /root/; "
             "sed -i 's/control.helohost/control\\/outgoingip &/' /var/qmail/bin/qmail-remote")  # fmt: skip
    try:
        extra = {"qmail_control": {"outgoingip": "203.0.113.9"}}
        run = play(PLAYBOOK, extra=extra)
        assert "outgoingip is 203.0.113.9, which is no address of this host" in run.message
        assert run.changed == []
        address = on(HOST, "hostname -I").split()[0]
        run = play(PLAYBOOK, extra={"qmail_control": {"outgoingip": address}})
        assert (run.rc, len(run.changed)) == (0, 1), run.message
        assert run.results[HOST]["Control files"]["command"] == ""
        assert on(HOST, "cat /var/qmail/control/outgoingip").strip() == address
    finally:
        on(HOST, "rm -f /var/qmail/control/outgoingip*; mv /root/qmail-remote /var/qmail/bin/")


def test_a_password_in_a_file_is_in_no_output():
    on(HOST, "echo 'a.example:relay.example:587 user hunter2' >/var/qmail/control/smtproutes")
    try:
        extra = {"qmail_control": {"smtproutes": ["b.example:relay.example"]}}
        run = play(PLAYBOOK, "--diff", extra=extra)
        assert (run.rc, len(run.changed)) == (0, 1), run.message
        assert "b.example:relay.example" in run.output and "hunter2" not in run.output
    finally:
        on(HOST, "rm -f /var/qmail/control/smtproutes*")


def test_the_queue_is_in_the_report():
    extra = {"qmail_queue_warn_messages": 1, "qmail_queue_fail_messages": 1}
    run = play(PLAYBOOK, extra=extra)
    assert run.rc != 0 and run.failed == ["Report"] and run.changed == []
    assert [item["status"] for item in run.findings(HOST) if item["id"] == "queue.length"] == [
        "fail"
    ]
