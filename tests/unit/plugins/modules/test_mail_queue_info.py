# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    mail_log_source,
    mail_queue,
)
from ansible_collections.postmaster.mailhost.plugins.modules import mail_queue_info


@pytest.mark.parametrize("check_mode", [False, True])
def test_qmails_programs_on_this_machine(run_module, tmp_path, check_mode):
    (tmp_path / "bin").mkdir()
    for name, text in (
        (
            "qmail-qstat",
            "messages in queue: 30000\\nmessages in queue but not yet preprocessed: 0\\n",
        ),
        ("qmail-qread", "21 Nov 2026 09:00:00 GMT  #1  5  <a@b>\\n\\tremote\\tx@c.test\\n"),
    ):
        program = tmp_path / "bin" / name
        program.write_text("#!/bin/sh\nprintf '{0}'\n".format(text))
        program.chmod(0o755)
    result = run_module(mail_queue_info, check_mode, qmail_home=str(tmp_path))
    assert result["changed"] is False
    assert result["findings"][0]["id"] == "queue.length"
    assert result["findings"][0]["status"] == "fail"
    assert result["summary"]["go"] is False
    documented = yaml.safe_load(mail_queue_info.RETURN)
    assert set(result) - {"changed", "invocation", "warnings"} == set(documented)
    assert set(result["queue"]) == set(documented["queue"]["contains"])
    assert result["queue"]["destinations"][0]["domain"] == "c.test"


def test_bad_options(run_module):
    result = run_module(mail_queue_info, share=101)
    assert result["failed"] is True
    assert result["msg"] == "share is 101; allowed: 1 to 100"


def test_the_documentation_says_what_the_code_does():
    options = yaml.safe_load(mail_queue_info.DOCUMENTATION)["options"]
    assert options["mta"]["choices"] == list(mail_queue.CHOICES)
    assert options["services"]["default"] == list(mail_log_source.SERVICES)
    for name, value in mail_queue.Thresholds()._asdict().items():
        assert options[name]["default"] == value
