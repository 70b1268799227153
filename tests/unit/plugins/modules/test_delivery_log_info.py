# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    delivery_log,
    mail_log_source,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import delivery
from ansible_collections.postmaster.mailhost.plugins.modules import delivery_log_info

LINE = (
    "2026-11-21T10:00:00Z mail postfix/smtp[13]: 4Zk1mJ2Yhqz5w: to=<a@b.test>, relay=none, delay=1, "
    "dsn=5.7.1, status=bounced (blocked using zen.test)\n"
)


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_log_on_this_machine(run_module, tmp_path, check_mode):
    path = tmp_path / "mail.log"
    path.write_text(LINE)
    result = run_module(delivery_log_info, check_mode, paths=[str(path)], since="")
    assert result["changed"] is False
    assert result["findings"][0]["id"] == "delivery.reputation"
    assert result["findings"][0]["status"] == "fail"
    assert {item["id"] for item in result["findings"]} == {row[0] for row in delivery.LOOK}
    assert result["summary"]["go"] is False
    assert result["totals"]["bounced"] == 1
    assert result["deliveries"][0]["to"] == "a@b.test"
    documented = yaml.safe_load(delivery_log_info.RETURN)
    assert set(result) - {"changed", "invocation", "warnings"} == set(documented)
    fields = documented["deliveries"]["contains"]
    assert set(result["deliveries"][0]) == set(fields)
    assert set(result["reasons"][0]) == set(documented["reasons"]["contains"])


def test_filters_arrive(run_module, tmp_path):
    path = tmp_path / "mail.log"
    path.write_text(LINE)
    result = run_module(
        delivery_log_info,
        paths=[str(path)],
        since="",
        recipient="c@d.test",
        queue_id="4Zk1",
        limit=0,
    )
    assert result["deliveries"] == []
    assert result["sources"][0]["lines"] == 1


def test_bad_options(run_module):
    result = run_module(delivery_log_info, since="soon")
    assert result["failed"] is True
    assert "since is 'soon'; allowed:" in result["msg"]


def test_the_documentation_says_what_the_code_does():
    options = yaml.safe_load(delivery_log_info.DOCUMENTATION)["options"]
    assert options["source"]["choices"] == list(mail_log_source.CHOICES)
    assert options["services"]["default"] == list(mail_log_source.SERVICES)
    assert options["limit"]["default"] == delivery_log.LIMIT
    assert str(delivery_log.MAX_LIMIT) in options["limit"]["description"][0]
