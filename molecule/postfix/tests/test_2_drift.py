# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break one thing on each host, see it found, run the role: exactly that thing is repaired."""

from __future__ import annotations

import ipaddress

from mail import HOSTS, address, arrives, look, role, until, world
from scenario import on

ALL = "scenario_hosts"
PARAMETERS = "Parameters and services"
TABLES = "Lookup tables"
PASSWORD = "Password for the smarthost"
READ = "Have Postfix read its tables again"
RUN = "Run it, now and at boot"
CONFIGURATION = (
    "find /etc/postfix -type f | sort | xargs sha256sum; stat -c %a /etc/postfix/mailhost/*"
)

# By host: how it is broken, and which tasks repair it.
BROKEN = {
    "mail6": (
        "postconf -P -e submission/inet/smtpd_sasl_auth_enable=no",
        [PARAMETERS],
    ),
    "mail7": ("systemctl disable -q --now postfix", [RUN]),
    "mail8": ("echo x x >>/etc/postfix/mailhost/transport", [TABLES, READ]),
    "mail9": ("chmod 644 /etc/postfix/mailhost/sasl_passwd", [PASSWORD, READ]),
}


def undo(tasks):
    """Have the role foretell and make the repairs, by these tasks of each host; return its run."""
    before = {host: on(host, CONFIGURATION) for host in HOSTS}
    foretold = role(ALL, "--check", "--diff")
    assert (foretold.rc, foretold.changed_on) == (0, tasks), foretold.message
    assert {host: on(host, CONFIGURATION) for host in HOSTS} == before
    done = role(ALL)
    assert (done.rc, done.changed_on) == (0, tasks), done.message
    return done


def test_the_whole_is_as_it_should_be():
    found = look()
    for host in HOSTS:
        assert found(host, "identity.postfix")[0] == "ok"
        assert found(host, "queue.length")[0] == "ok"
        assert found(host, "delivery.others")[0] == "ok", found(host, "delivery.others")
    for host in ("mail6", "mail8", "mail9"):
        status, text = found(host, "smtp.relay")
        assert status == "ok", text
    # The second addresses of mail6 have no names.
    for family in (4, 6):
        second = address("mail6", family).removesuffix("16") + "61"
        status, text = found("mail6", "dns.reverse")
        assert (status, second in text) == ("fail", True)
    assert found("mail8", "dns.reverse")[0] == found("mail8", "dns.forward_confirmed")[0] == "ok"


def test_faults_are_found_and_undone():
    second = {family: address("mail6", family).removesuffix("16") + "61" for family in (4, 6)}
    on("mail6", "postconf -M -X submissions/inet; postfix reload")
    on("mail6", f"ip address del {second[4]}/24 dev eth0")
    on("mail6", f"printf 'Subject: held\n\n' | sendmail 'bob@[{address('mail9')}]'")
    on("mail7", "postconf -e myorigin=localhost")
    on("mail8", f"postconf -e inet_interfaces={address('mail8')}; systemctl restart postfix")
    on("mail9", "postconf -e 'mynetworks = 0.0.0.0/0 [::]/0'; postfix reload")
    records = []
    for family, name in second.items():
        records.append((ipaddress.ip_address(name).reverse_pointer, "PTR"))
        world("record", *records[-1], "mail6.example.test")
        records.append(("mail6.example.test", "A" if family == 4 else "AAAA"))
        world("record", *records[-1], address("mail6", family), name)
    assert until(lambda: "bob@" in on("mail6", "postqueue -p"))
    try:
        found = look()
    finally:
        for record in records:
            world("record", *record, "reset")
    assert found("mail6", "dns.reverse")[0] == found("mail6", "dns.forward_confirmed")[0] == "ok"
    # Since 3.7 mail waits for the address that it is to leave from, and is not sent from another.
    assert found("mail6", "queue.length")[0] == "warn"
    for check in ("queue.reasons", "delivery.others"):
        status, text = found("mail6", check)
        assert (status in ("warn", "fail"), "smtp_bind_address" in text) == (True, True), text
    status, text = found("mail7", "identity.postfix")
    assert (status, "myorigin = localhost" in text) == ("warn", True)
    status, text = found("mail8", "identity.postfix")
    assert (status, "as a side effect" in text) == ("warn", True)
    assert f"smtp_bind_address = {address('mail8')}" in text
    status, text = found("mail9", "smtp.relay")
    assert (status, address("mail9") in text, address("mail9", 6) in text) == ("fail", True, True)

    names = {
        "mail6": ["submissions/inet"],
        "mail7": ["myorigin"],
        "mail8": ["inet_interfaces"],
        "mail9": ["mynetworks"],
    }
    done = undo({host: [PARAMETERS] for host in HOSTS})
    for host in HOSTS:
        result = done.results[host][PARAMETERS]
        assert result["parameters"] + result["services"] == names[host]
    on("mail6", f"ip address replace {second[4]}/24 dev eth0; postqueue -f")
    assert f"{second[4]}]" in arrives("mail9", "bob", "Subject: held")


def test_drift_is_foretold_and_undone():
    for host, (command, _tasks) in BROKEN.items():
        on(host, command)
    undo({host: tasks for host, (_command, tasks) in BROKEN.items()})


def test_another_profile_leaves_nothing_of_the_one_before():
    # What an administrator has set is not of the role.
    on("mail8", "postconf -e mailbox_transport=lmtp:unix:private/own")
    done = role("mail8", postfix_profile="null_client", postfix_backup_domains={}, postfix_dnsbl=[])
    assert (done.rc, done.changed) == (0, [PARAMETERS]), done.message
    shown = on("mail8", "postconf -n")
    assert "mailbox_transport = lmtp:unix:private/own\n" in shown
    on("mail8", "postconf -X mailbox_transport")
    assert "transport_maps" not in shown
    assert "reject_unverified_recipient" not in shown
    assert ":25" not in on("mail8", f"ss -Hltn src {address('mail8')}")
    # And what the tests before have repaired is as it was.
    back = role(ALL)
    assert (back.rc, back.changed_on) == (0, {"mail8": [PARAMETERS]}), back.message
