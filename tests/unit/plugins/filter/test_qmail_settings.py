# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.qmail_settings import FilterModule

settings = FilterModule().filters()["qmail_settings"]


def given(**more):
    return {
        "control": {},
        "secrets": {},
        "absent": [],
        "complete": [],
        "rules": [],
        "default": "allow",
        "default_variables": {},
        "expect": {},
        "assign": [],
        "assign_complete": False,
        "vpopmail": False,
        **more,
    }


@pytest.mark.parametrize(
    ("more", "append"),
    [
        ({}, ["badmailfrom"]),
        ({"complete": ["badmailfrom"]}, []),
        ({"vpopmail": True}, ["badmailfrom", "rcpthosts", "morercpthosts", "virtualdomains"]),
        ({"vpopmail": True, "complete": ["rcpthosts", "badmailfrom"]},
         ["morercpthosts", "virtualdomains"]),
        ({"rules": [{"addresses": "10.0.0.0/8,192.0.2.1", "relay": True}],
          "expect": {"192.0.2.1": "relay"}}, ["badmailfrom"]),
    ],
)  # fmt: skip
def test_which_lists_others_write_as_well(more, append):
    assert settings(given(**more)) == {"append": append}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"control": {"databytes": "10M"}}, "qmail_control: databytes is '10M'; allowed: "),
        ({"assign_complete": True}, "qmail_assign_complete is true and qmail_assign is empty; all"),
        ({"absent": ["rcpthosts"]}, "qmail_control: absent: rcpthosts"),
        ({"secrets": {"me": "a.example"}}, "qmail_control: secrets: me; allowed: files of patches"),
        ({"secrets": {"login": "x"}, "absent": ["login"]}, "login is in files and in absent"),
        ({"complete": ["locals"]}, "qmail_control_complete: locals; allowed: badmailfrom, rcpt"),
        ({"rules": [{"addresses": ["::1"]}]}, "qmail_rules: address '::1': it is IPv6"),
        ({"rules": [{"addresses": ["10."], "relay": True}], "expect": {"11.1.1.1": "relay"}},
         "qmail_rules: expect: 11.1.1.1 is to be relay"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(more, message):
    with pytest.raises(AnsibleFilterError, match=message):
        settings(given(**more))
