# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import identity, need
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))
NAMED = MAILCOW._replace(hostname="mail.example.org", public_ipv4="192.0.2.10")

KERNEL = "/proc/sys/kernel/hostname"
HOSTS = "/etc/hosts"
LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
OWN = LOCAL + "192.0.2.10 mail.example.org mail  # own\n"

FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 192.0.2.0
        /24 link UNICAST
Local:
  +-- 0.0.0.0/0 2 0 2
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.10
        /32 host LOCAL
"""
IF_INET6 = "20010db8000000000000000000000010 02 40 00 80     eth0\n"


def single(findings):
    (found,) = findings
    assert found.required
    assert bool(found.fix) == (found.status != "ok")
    return found


@pytest.mark.parametrize(
    ("files", "demands", "status", "observed"),
    [
        ({KERNEL: "mail\n", HOSTS: OWN}, MAILCOW, "ok", "mail.example.org"),
        ({KERNEL: "mail\n", HOSTS: OWN}, NAMED, "ok", "mail.example.org"),
        ({KERNEL: "mail.example.org\n"}, NAMED, "ok", "mail.example.org"),
        ({"/etc/hostname": "mail.example.org\n"}, MAILCOW, "ok", "mail.example.org"),
        ({KERNEL: "other.example.org\n"}, NAMED, "warn", "other.example.org is another name"),
        ({KERNEL: "mail\n", HOSTS: LOCAL}, MAILCOW, "warn", "mail has no domain"),
        ({KERNEL: "localhost\n", HOSTS: LOCAL}, MAILCOW, "warn", "stands for every host"),
        ({KERNEL: "localhost.example.org\n"}, MAILCOW, "warn", "stands for every host"),
        ({KERNEL: "mail.localdomain\n"}, MAILCOW, "warn", "stands for every host"),
        ({KERNEL: "Mail.example.org\n"}, MAILCOW, "warn", "has capitals"),
        ({KERNEL: "mail_1.example.org\n"}, MAILCOW, "warn", "is no valid host name"),
        ({KERNEL: "a." * 127 + "org\n"}, MAILCOW, "warn", "is no valid host name"),
        ({KERNEL: "mail-.example.org\n"}, MAILCOW, "warn", "is no valid host name"),
        ({KERNEL: "mail..example.org\n"}, MAILCOW, "warn", "is no valid host name"),
        ({KERNEL: "192.0.2.10\n"}, MAILCOW, "warn", "is an address"),
        # The first name of the line is the one that programs find.
        ({KERNEL: "mail\n", HOSTS: "192.0.2.1 mail mail.example.org\n"}, MAILCOW, "warn", "mail"),
    ],
)
def test_hostname(files, demands, status, observed, make_host):
    found = single(identity.hostname(make_host({HOSTS: LOCAL, **files}), demands))
    assert found.status == status
    assert observed in found.observed
    if demands.hostname:
        assert found.required == demands.hostname
        assert status == "ok" or "mail.example.org > /etc/hostname" in found.fix


def test_hostname_from_the_dns(make_host):
    commands = {"hostname -f": {"stdout": "mail.example.org\n"}}
    host = make_host({KERNEL: "mail\n", HOSTS: LOCAL}, {"commands": commands})
    assert single(identity.hostname(host, MAILCOW)).observed == "mail.example.org"


def test_hostname_fix_with_systemd(make_host):
    host = make_host({HOSTS: LOCAL, KERNEL: "other.example.org\n"}, {"programs": ["hostnamectl"]})
    fix = single(identity.hostname(host, NAMED)).fix
    assert fix.startswith("Set it: hostnamectl set-hostname mail.example.org.")
    host = make_host({HOSTS: LOCAL, KERNEL: "mail\n"}, {"programs": ["hostnamectl"]})
    assert "such as mail.example.org" in single(identity.hostname(host, MAILCOW)).fix


@pytest.mark.parametrize("files", [{}, {KERNEL: "(none)\n"}])
def test_no_hostname(files, make_host):
    with pytest.raises(HostError, match="no name"):
        identity.hostname(make_host(files), MAILCOW)


@pytest.mark.parametrize(
    ("text", "demands", "status", "observed"),
    [
        (OWN, MAILCOW, "ok", "mail.example.org at 192.0.2.10"),
        (OWN, NAMED, "ok", "mail.example.org at 192.0.2.10"),
        (LOCAL, MAILCOW, "ok", "localhost; the own name is not in it"),
        (LOCAL + "127.0.1.1 mail.example.org mail\n", NAMED, "ok", "as Debian writes it"),
        (LOCAL + "127.0.0.1 mail.example.org mail\n", NAMED, "warn", "is at 127.0.0.1"),
        ("127.0.0.1 localhost mail\n", MAILCOW, "warn", "is at 127.0.0.1"),
        (LOCAL + "::1 mail.example.org\n", NAMED, "warn", "is at ::1"),
        (LOCAL + "192.0.2.99 mail.example.org\n", NAMED, "warn", "192.0.2.99, which is no"),
        (LOCAL + "2001:DB8:0::10 mail.example.org\n", NAMED, "ok", "at 2001:DB8:0::10"),
        ("192.0.2.10 localhost\n", MAILCOW, "fail", "localhost is at 192.0.2.10"),
        ("::1 localhost\n", MAILCOW, "fail", "no IPv4 address for localhost"),
        ("#127.0.0.1 localhost\n", MAILCOW, "fail", "no IPv4 address for localhost"),
    ],
)
def test_hosts_file(text, demands, status, observed, make_host):
    files = {
        HOSTS: text,
        KERNEL: "mail\n",
        "/proc/net/fib_trie": FIB_TRIE,
        "/proc/net/if_inet6": IF_INET6,
    }
    found = single(identity.hosts_file(make_host(files), demands))
    assert found.status == status
    assert observed in found.observed


def test_hosts_file_fix_is_a_line(make_host):
    host = make_host({HOSTS: "127.0.0.1 localhost mail.example.org\n", KERNEL: "mail\n"})
    found = single(identity.hosts_file(host, NAMED))
    assert "192.0.2.10 mail.example.org mail." in found.fix


@pytest.mark.parametrize("name", ["localhost", "localhost.localdomain"])
def test_a_host_called_localhost_keeps_its_lines(name, make_host):
    # As images of Red Hat's family come: to move these names elsewhere would break the host.
    text = "127.0.0.1 localhost localhost.localdomain localhost4\n::1 localhost localhost6\n"
    found = single(identity.hosts_file(make_host({HOSTS: text, KERNEL: name + "\n"}), MAILCOW))
    assert found.status == "ok"


def test_an_outside_address_is_the_hosts_own(make_host):
    text = LOCAL + "203.0.113.5 mail.example.org\n"
    files = {HOSTS: text, KERNEL: "mail\n", "/proc/net/fib_trie": FIB_TRIE}
    assert single(identity.hosts_file(make_host(files), NAMED)).status == "warn"
    behind_nat = NAMED._replace(public_ipv4="203.0.113.5")
    assert single(identity.hosts_file(make_host(files), behind_nat)).status == "ok"


def test_addresses_that_are_not_known_are_not_compared(make_host):
    text = LOCAL + "203.0.113.5 mail.example.org\n"
    host = make_host({HOSTS: text, KERNEL: "mail\n"})
    assert single(identity.hosts_file(host, NAMED)).status == "ok"


def test_localhost_without_a_line(make_host):
    files = {KERNEL: "mail\n", "/etc/nsswitch.conf": "hosts: files dns\n"}
    assert single(identity.hosts_file(make_host(files), MAILCOW)).status == "fail"
    files["/etc/nsswitch.conf"] = "hosts: files myhostname dns\n"
    assert single(identity.hosts_file(make_host(files), MAILCOW)).status == "ok"


def test_a_host_without_a_name_still_has_a_hosts_file(make_host):
    assert single(identity.hosts_file(make_host({HOSTS: LOCAL}), MAILCOW)).status == "ok"
    found = single(identity.hosts_file(make_host({HOSTS: LOCAL}), NAMED))
    assert found.status == "ok"


@pytest.mark.parametrize("files", [{}, {HOSTS + "/x": ""}])
def test_hosts_file_that_cannot_be_read(files, make_host):
    with pytest.raises(HostError, match="/etc/hosts"):
        identity.hosts_file(make_host(files), MAILCOW)


def test_hosts_file_that_is_not_there(make_host):
    host = make_host({"/etc/hostname": "mail.example.org\n"})
    assert single(identity.hosts_file(host, MAILCOW)).status == "fail"
    assert single(identity.hostname(host, MAILCOW)).status == "ok"


@pytest.mark.parametrize(
    ("files", "status", "observed"),
    [
        ({}, "skip", "there is no"),
        ({"/etc/mailname": "example.org\n"}, "ok", "example.org"),
        ({"/etc/mailname": "mail\n"}, "warn", "mail has no domain"),
        ({"/etc/mailname": "localhost.localdomain\n"}, "warn", "stands for every host"),
        ({"/etc/mailname": "\n"}, "warn", "it is empty"),
        ({"/etc/mailname/x": ""}, "unknown", "cannot read"),
    ],
)
def test_mailname(files, status, observed, make_host):
    found = single(identity.mailname(make_host(files), NAMED))
    assert found.status == status
    assert observed in found.observed
    if status == "warn":
        assert "echo mail.example.org > /etc/mailname" in found.fix


QUESTION = "postconf -x " + " ".join(identity._POSTFIX)
HEALTHY = {
    "myhostname": "mail.example.org",
    "myorigin": "/etc/mailname",
    "smtp_helo_name": "mail.example.org",
    "inet_interfaces": "all",
    "smtp_bind_address": "",
    "smtp_bind_address6": "",
    "virtual_alias_domains": "hash:/etc/postfix/virtual",
    "virtual_mailbox_domains": "example.org, example.net",
}


def with_postfix(make_host, state=("loaded", "active", "enabled"), files=None, **values):
    text = "".join(
        "{0} = {1}\n".format(name, value) for name, value in dict(HEALTHY, **values).items()
    )
    recorded = {
        "programs": ["postconf"],
        "units": {"postfix.service": state},
        "commands": {QUESTION: {"stdout": text}},
    }
    return make_host({"/etc/mailname": "example.org\n", **(files or {})}, recorded)


def test_postfix(make_host):
    found = single(identity.postfix(with_postfix(make_host), MAILCOW))
    assert (found.status, found.observed) == ("ok", "myhostname = mail.example.org")


@pytest.mark.parametrize(
    ("values", "observed", "fix"),
    [
        ({"myhostname": "mail"}, "myhostname = mail has no domain", "'myhostname = mail.ex"),
        ({"myhostname": "localhost"}, "stands for every host", "postconf -e"),
        ({"smtp_helo_name": "mail"}, "smtp_helo_name = mail has no domain", "smtp_helo_name ="),
        ({"myorigin": "localhost"}, "myorigin = localhost stands", "myorigin ="),
        ({"myorigin": "/etc/missing"}, "myorigin =  is empty", "myorigin ="),
        (
            {"virtual_mailbox_domains": "example.net mail.example.org"},
            "myhostname mail.example.org is in virtual_mailbox_domains too",
            "no mail domain",
        ),
        (
            {"inet_interfaces": "192.0.2.10"},
            "mail leaves from 192.0.2.10 as a side effect",
            "'smtp_bind_address = 192.0.2.10'",
        ),
        (
            {"inet_interfaces": "192.0.2.10, [2001:db8::10]"},
            "192.0.2.10 and 2001:db8::10",
            "'smtp_bind_address6 = 2001:db8::10'",
        ),
    ],
)
def test_postfix_names(values, observed, fix, make_host):
    found = single(identity.postfix(with_postfix(make_host, **values), MAILCOW))
    assert found.status == "warn"
    assert observed in found.observed
    assert fix in found.fix


@pytest.mark.parametrize(
    "values",
    [
        {"inet_interfaces": "loopback-only"},
        {"inet_interfaces": "127.0.0.1, 192.0.2.10"},
        {"inet_interfaces": "192.0.2.10, 192.0.2.11"},
        {"inet_interfaces": "$myhostname, 192.0.2.10"},
        {"inet_interfaces": "192.0.2.10", "smtp_bind_address": "192.0.2.10"},
    ],
)
def test_postfix_sends_from_where_it_is_told(values, make_host):
    found = single(identity.postfix(with_postfix(make_host, **values), MAILCOW))
    assert found.status == "ok"


def test_a_helo_that_follows_from_the_name_is_told_once(make_host):
    host = with_postfix(make_host, myhostname="mail", smtp_helo_name="mail", myorigin="mail")
    found = single(identity.postfix(host, MAILCOW))
    assert found.observed.startswith("myhostname = mail")


def test_no_postfix(make_host):
    assert single(identity.postfix(make_host(), MAILCOW)).status == "skip"
    host = with_postfix(make_host, state=("loaded", "inactive", "disabled"))
    assert single(identity.postfix(host, MAILCOW)).status == "skip"


@pytest.mark.parametrize(
    "answer",
    [
        {"rc": 1, "stderr": "postconf: fatal: bad\n"},
        {"rc": 1, "stdout": "myhostname = mail.example.org\n", "stderr": "postconf: fatal: bad"},
        {"rc": 0, "stdout": "", "stderr": "postconf: fatal: bad\n"},
    ],
)
def test_postfix_does_not_answer(answer, make_host):
    recorded = {
        "programs": ["postconf"],
        "units": {"postfix.service": ["loaded", "active", "enabled"]},
        "commands": {QUESTION: answer},
    }
    found = single(identity.postfix(make_host({}, recorded), MAILCOW))
    assert found.status == "unknown"
    assert "postconf: fatal: bad" in found.observed


ME = "/var/qmail/control/me"
HELO = "/var/qmail/control/helohost"


@pytest.mark.parametrize(
    ("files", "status", "observed"),
    [
        ({}, "skip", "not installed"),
        ({ME: "mail.example.org  \nnot read\n"}, "ok", "me mail.example.org"),
        (
            {ME: "mail.example.org\n", HELO: "out.example.org\n"},
            "ok",
            "me mail.example.org, helohost out.example.org",
        ),
        ({ME: "mail\n"}, "warn", ME + ": mail has no domain"),
        ({ME: "\n"}, "warn", ME + " is empty"),
        ({"/var/qmail/control/locals": ""}, "warn", ME + " is missing"),
        ({ME: "mail.example.org\n", HELO: "localhost\n"}, "warn", "stands for every host"),
        ({ME + "/x": ""}, "unknown", "cannot read " + ME),
    ],
)
def test_qmail(files, status, observed, make_host):
    found = single(identity.qmail(make_host(files), MAILCOW))
    assert found.status == status
    assert observed in found.observed
