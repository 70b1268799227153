# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, what is taken back, and what nobody gets to see."""

from __future__ import annotations

from mail import HOSTS, role
from scenario import command_lines, on

ALL = "scenario_hosts"
PASSWORD = "only for this and not for you"
CONFIGURATION = "find /etc/postfix -type f | sort | xargs sha256sum"


def configuration():
    return {host: on(host, CONFIGURATION) for host in HOSTS}


def messages(run):
    """Error by host."""
    return {
        host: result["msg"]
        for host, results in run.results.items()
        for result in results.values()
        if result.get("failed")
    }


def refused(bad, **extra):
    """Run the role with a setting that is wrong in another way on each host."""
    before = configuration()
    run = role(ALL, **extra, bad=bad)
    assert (run.rc != 0, run.changed) == (True, [])
    assert configuration() == before
    return messages(run)


def test_settings_that_cannot_be_used():
    said = refused(
        {"mail6": ["0.0.0.0/0"], "mail7": ["::/0"], "mail8": ["192.0.2.1/24"], "mail9": ["all"]},
        postfix_networks="{{ bad[inventory_hostname] }}",
    )
    for host, value in (("mail6", "0.0.0.0/0"), ("mail7", "::/0")):
        assert f"postfix_networks is '{value}'" in said[host]
        assert "open relay" in said[host]
    for host in ("mail8", "mail9"):
        assert "allowed: networks such as 192.0.2.0/24" in said[host]


def test_values_that_postfix_refuses():
    said = refused(
        {
            "mail6": {"smtpd_relay_restrictoins": "reject"},
            "mail7": {"inet_interfaces": "192.0.2.200"},
            "mail8": {"default_process_limit": "many"},
            "mail9": {"inet_interfaces": "192.0.2.200"},
        },
        postfix_parameters="{{ bad[inventory_hostname] }}",
    )
    assert "near to it is smtpd_relay_restrictions" in said["mail6"]
    assert "no local interface found for 192.0.2.200" in said["mail7"]
    assert "default_process_limit = many" in said["mail8"]
    assert "no local interface found for 192.0.2.200" in said["mail9"]


def test_what_postfix_does_not_run_with_is_taken_back():
    before = configuration()
    run = role(ALL, postfix_services=[{"service": "300.1.1.1:2525", "command": "smtpd"}])
    assert run.rc != 0
    said = messages(run)
    for host in HOSTS:
        assert "Postfix runs again" in said[host]
        assert "300.1.1.1:2525" in said[host]
        on(host, "postfix status")
    after = configuration()
    for host in HOSTS:
        # Beside it are the copies that were made for it.
        assert set(before[host].splitlines()) <= set(after[host].splitlines())


def test_nobody_sees_the_password():
    on("mail9", "echo '[x] y:z' >/etc/postfix/mailhost/sasl_passwd")
    with command_lines("mail9") as seen:
        done = role("mail9", "-vvvv", "--diff")
    assert done.rc == 0, done.message
    assert any("python3" in line for line in seen)
    assert on("mail9", "cat /etc/postfix/mailhost/sasl_passwd").endswith(f":{PASSWORD}\n")
    assert not any(PASSWORD in line for line in seen)
    assert PASSWORD not in done.output
    assert PASSWORD not in on("mail9", "journalctl -q -o cat")
