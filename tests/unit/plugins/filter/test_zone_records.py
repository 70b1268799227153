# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters as Jinja sees them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.zone_records import zone_records
from ansible_collections.postmaster.mailhost.plugins.filter.zone_snippet import zone_snippet


def test_filters():
    found = zone_records("example.org", "mail.example.org", ttl="60", ipv4=["192.0.2.1"])
    assert found[0] == {
        "zone": "example.org",
        "name": "mail.example.org",
        "type": "A",
        "value": "192.0.2.1",
        "ttl": 60,
        "note": "",
        "text": "mail.example.org. 60 IN A 192.0.2.1",
    }
    assert "\nexample.org. 60 IN MX 10 mail.example.org.\n" in zone_snippet(found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zone_records([], "mail"), "zone_records: hostname has 'mail'"),
        (lambda: zone_records([], "a.b", stack="mailu"), "unknown option stack; allowed: hostname"),
        (lambda: zone_records([], "a.b", ttl=0), "ttl is 0; allowed: 1 to"),
        (lambda: zone_records([], "a.b", dkim=["x"]), "zone_records: "),
        (lambda: zone_snippet([{"name": "x"}]), "wants what zone_records returned"),
    ],
)
def test_wrong_input_is_a_filter_error(call, message):
    with pytest.raises(AnsibleFilterError, match=message):
        call()
