# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which finding is the cause of which, and what comes first."""

from __future__ import annotations

import fnmatch
import inspect
import random
import re

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import fail2ban_status
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import diagnosis

TAKES_MAIL = "takes mail from a@example.com to b@example.com, asked from 203.0.113.4: 250 OK"
TIMED_OUT = "connect to mx.example.net[192.0.2.25]:25: Connection timed out"


@pytest.fixture
def seen(finding):
    """Return a function: findings as (id, status, observed) -> the diagnosis."""

    def look(*entries, **options):
        given = [finding(name, status, observed=text) for name, status, text in entries]
        return diagnosis.diagnose(given, **options)

    return look


def ids(found):
    """Return the id and what hangs under it, of each cause that asks for something."""
    return [
        (item["id"], sorted(item["because"]))
        for item in found["findings"]
        if item["status"] not in ("ok", "skip")
    ]


#: Each correlation: what was found, and what is told. What comes first stands first.
CASES = {
    "outgoing port 25 is blocked": (
        [
            (
                "delivery.connection",
                "fail",
                f"connections to 4 destinations timed out: {TIMED_OUT}",
            ),
            ("queue.reasons", "fail", f"all 4 recipients, of 4 domains: {TIMED_OUT}"),
            ("queue.age", "warn", f"the oldest waits for 5.0 h, for example.net: {TIMED_OUT}"),
            ("smtp.destination", "fail", "jane@example.net: blocked25: nobody answers"),
            ("egress.smtp", "fail", "no answer within 3 s: times out over IPv4"),
            ("dns.caa", "warn", "none"),
        ],
        [
            (
                "egress.smtp",
                ["delivery.connection", "queue.age", "queue.reasons", "smtp.destination"],
            ),
            ("dns.caa", []),
        ],
    ),
    "it is blocked, and only the log and the queue tell": (
        [
            ("queue.reasons", "fail", f"all 4 recipients, of 4 domains: {TIMED_OUT}"),
            (
                "delivery.connection",
                "fail",
                f"connections to 4 destinations timed out: {TIMED_OUT}",
            ),
        ],
        [("delivery.connection", ["queue.reasons"])],
    ),
    "a destination is down": (
        [
            ("delivery.connection", "warn", f"1 waiting for example.net: Last: {TIMED_OUT}"),
            ("queue.age", "warn", f"the oldest waits for 5.0 h, for example.net: {TIMED_OUT}"),
        ],
        [("delivery.connection", ["queue.age"])],
    ),
    "the disk is full": (
        [
            ("smtp.connect", "fail", "192.0.2.1:25: 452 4.3.1 Insufficient system storage"),
            ("delivery.local", "fail", "3 deferred: No space left on device"),
            ("delivery.daemon", "fail", "2 times: postfix: write queue file: No space left"),
            ("health.disk", "fail", "/var/lib/docker has 0 MiB left"),
        ],
        [("health.disk", ["delivery.daemon", "delivery.local", "smtp.connect"])],
    ),
    "a container does not run": (
        [
            ("smtp.connect", "fail", "192.0.2.1:25: connection refused"),
            ("smtp.relay", "unknown", "no port answered"),
            ("tls.connect", "unknown", "no port is open: smtp 192.0.2.1:25"),
            ("tls.names", "unknown", "no service showed a certificate"),
            ("queue.length", "unknown", "project mailu has no container that runs"),
            (
                "dns.dkim",
                "unknown",
                "the service redis-mailcow of /opt/m does not run: no container",
            ),
            ("health.containers", "fail", "postfix-mailcow: exited with 1"),
        ],
        [
            (
                "health.containers",
                [
                    "dns.dkim",
                    "queue.length",
                    "smtp.connect",
                    "smtp.relay",
                    "tls.connect",
                    "tls.names",
                ],
            )
        ],
    ),
    "a certificate is a dangling link": (
        [
            ("health.containers", "fail", "dovecot-mailcow is exited, exit code 89"),
            ("tls.connect", "fail", "imaps 192.0.2.1:993: handshake failed (tls)"),
            ("health.certificate_files", "fail", "cert.pem is a link to nowhere"),
        ],
        [("health.certificate_files", ["health.containers", "tls.connect"])],
    ),
    "packets are not forwarded": (
        [
            ("health.forwarding", "fail", "net.ipv4.ip_forward is 0"),
            ("health.connections", "fail", "from postfix-mailcow: redis-mailcow: no answer"),
            # In the words of smtp_probe.
            ("smtp.connect", "fail", "192.0.2.1:25: no answer in time"),
            ("tls.connect", "unknown", "no port is open"),
        ],
        [("health.forwarding", ["health.connections", "smtp.connect", "tls.connect"])],
    ),
    "another mail server has the port": (
        [
            ("health.ports", "fail", "postfix-mailcow could not have port 25: exim4.service"),
            ("ports.public", "fail", "tcp 25 held by exim4"),
            ("services.mail_servers", "warn", "exim4"),
            ("smtp.connect", "fail", "192.0.2.1:587: connection refused"),
            ("tls.connect", "unknown", "no port is open"),
            ("smtp.starttls", "warn", "192.0.2.1:25 does not offer it"),
        ],
        [
            (
                "health.ports",
                ["ports.public", "services.mail_servers", "smtp.connect", "tls.connect"],
            ),
            ("smtp.starttls", []),
        ],
    ),
    "rspamd crashes on another processor": (
        [
            ("health.restarts", "fail", "rspamd-mailcow is restarting, exit code 132"),
            ("health.hyperscan", "fail", "rspamd-mailcow ended with SIGILL"),
            ("delivery.local", "warn", "2 waiting: milter service"),
        ],
        [("health.hyperscan", ["delivery.local", "health.restarts"])],
    ),
    "the stack has its own certificate still": (
        [
            ("tls.chain", "fail", "imaps: self-signed"),
            ("tls.names", "fail", "the certificate has no name"),
            ("health.certificate", "warn", "cert.pem is issued by itself"),
        ],
        [("health.certificate", ["tls.chain", "tls.names"])],
    ),
    "the certificate has expired": (
        [
            ("tls.expiry", "fail", "imaps: ended on 2026-01-01"),
            ("tls.chain", "fail", "imaps: certificate has expired"),
            ("smtp.auth", "fail", "587 does not offer AUTH within TLS"),
            ("health.certificate", "fail", "cert.pem has expired"),
        ],
        [("health.certificate", ["tls.chain", "tls.expiry"]), ("smtp.auth", [])],
    ),
    "rcpthosts is missing": (
        [
            ("smtp.relay", "fail", "takes mail"),
            ("qmail.rcpthosts", "fail", "there is no rcpthosts"),
        ],
        [("qmail.rcpthosts", ["smtp.relay"])],
    ),
    "the reverse record is missing": (
        [
            ("delivery.reputation", "fail", "2 bounced: because of its reverse record. 5.7.25"),
            ("smtp.banner", "warn", "greets with a; the reverse record says nothing"),
            ("dns.forward_confirmed", "fail", "nothing to confirm"),
            ("dns.reverse", "fail", "192.0.2.1 has no PTR"),
        ],
        [("dns.reverse", ["delivery.reputation", "dns.forward_confirmed", "smtp.banner"])],
    ),
    "the address is listed": (
        [
            ("delivery.reputation", "fail", "4 bounced: on a blocklist: zen.spamhaus.org"),
            ("smtp.destination", "fail", "j@example.net: permanent: 554 listed at spamhaus"),
            ("blocklist.address", "fail", "192.0.2.1 is in zen.spamhaus.org (127.0.0.2)"),
        ],
        [("blocklist.address", ["delivery.reputation", "smtp.destination"])],
    ),
    "TLS does not begin": (
        [
            ("smtp.connect", "fail", "192.0.2.1:465: TLS failed: UNEXPECTED_EOF_WHILE_READING"),
            ("smtp.starttls", "fail", "192.0.2.1:25: 454 4.7.0 TLS not available"),
            ("tls.connect", "fail", "smtp 192.0.2.1:25: 454 4.7.0 TLS not available (not_offered)"),
            ("health.containers", "fail", "memcached-mailcow is exited, exit code 0 (ended)"),
        ],
        [("health.containers", []), ("tls.connect", ["smtp.connect", "smtp.starttls"])],
    ),
    "no certificate is issued": (
        [
            ("tls.expiry", "fail", "imaps: ended on 2026-01-01"),
            ("tls.chain", "fail", "imaps: certificate has expired"),
            ("tls.names", "fail", "the certificate of imaps has a.test, and not mail.a.test"),
            ("health.certificate", "fail", "cert.pem has expired: it was valid until 2026-01-01"),
            (
                "health.logs",
                "warn",
                "no certificate was issued (2 lines): acme-mailcow: Cannot match your IP",
            ),
            ("dns.caa", "warn", "CAA of mail.a.test permits other.example.net"),
        ],
        [
            ("dns.caa", ["health.certificate", "health.logs", "tls.chain", "tls.expiry"]),
            ("tls.names", []),
        ],
    ),
    "a key is not published": (
        [
            ("delivery.reputation", "fail", "1 bounced: no valid SPF, DKIM or DMARC"),
            ("dns.spf", "warn", "192.0.2.1 is not allowed"),
        ],
        [("dns.spf", ["delivery.reputation"])],
    ),
    "the name has no address": (
        [
            ("smtp.connect", "fail", "mail.example.org has no address"),
            ("smtp.banner", "unknown", "mail.example.org has no address"),
            ("dns.address", "fail", "no A record"),
        ],
        [("dns.address", ["smtp.banner", "smtp.connect"])],
    ),
    "services were not restarted with the new certificate": (
        [
            ("tls.expiry", "fail", "imaps: ended on 2026-01-01"),
            ("tls.chain", "fail", "imaps: certificate has expired"),
            ("tls.same", "warn", "2 certificates; an older one at imaps"),
        ],
        [("tls.same", ["tls.chain", "tls.expiry"])],
    ),
    "the resolver is silent": (
        [
            ("delivery.local", "fail", "3 waiting: The DNS did not answer"),
            ("resolver.answers", "fail", "no answer"),
        ],
        [("resolver.answers", ["delivery.local"])],
    ),
    "an open relay is worse than everything": (
        [
            ("dns.mx", "fail", "none"),
            ("egress.smtp", "fail", "times out"),
            ("smtp.relay", "fail", f"[2001:db8::1]:25 {TAKES_MAIL}"),
            ("engine.ipv6_relay", "warn", "strangers look like the gateway"),
        ],
        [("engine.ipv6_relay", ["smtp.relay"]), ("dns.mx", []), ("egress.smtp", [])],
    ),
    "the kernel was upgraded and the server not booted": (
        [
            ("health.containers", "fail", "front is created: iptables: modprobe: not found"),
            ("firewall.kernel_modules", "fail", "missing: br_netfilter"),
            ("health.disk", "fail", "0.1 GiB (0%) available on /"),
            ("platform.kernel_modules", "warn", "none for the running kernel 6.1.0-1"),
        ],
        [
            ("health.disk", []),
            ("platform.kernel_modules", ["firewall.kernel_modules", "health.containers"]),
        ],
    ),
    "no library": (
        [
            ("dns.mx", "unknown", "no dnspython"),
            ("dns.spf", "unknown", "no dnspython"),
            ("tls.names", "unknown", "no cryptography"),
        ],
        [("dns.mx", ["dns.spf"]), ("tls.names", [])],
    ),
    "troubles that have nothing to do with each other": (
        [
            ("queue.age", "warn", "the oldest waits for 9.0 h, for example.net"),
            ("delivery.connection", "warn", "1 waiting: refused"),
            ("dns.reverse", "fail", "no PTR"),
            ("tls.protocol", "warn", "takes TLSv1"),
        ],
        [
            ("dns.reverse", []),
            ("delivery.connection", []),
            ("queue.age", []),
            ("tls.protocol", []),
        ],
    ),
    "qmail's rcpthosts is missing": (
        [
            ("qmail.domains", "warn", "in rcpthosts, and neither local: a.test"),
            ("smtp.relay", "fail", "192.0.2.1:25 takes mail from anybody to anybody"),
            ("qmail.rcpthosts", "fail", "missing: every client may relay"),
        ],
        [("qmail.rcpthosts", ["smtp.relay"]), ("qmail.domains", [])],
    ),
    "qmail-newu refuses users/assign": (
        [
            ("queue.bounces", "warn", "30 of 40 messages are bounces"),
            ("qmail.users_cdb", "fail", "users/cdb does not say what users/assign says"),
            ("qmail.assign", "fail", "qmail-newu refuses it: line 3 is no assignment"),
            ("delivery.local", "fail", "9 times: no mailbox here by that name"),
        ],
        [("qmail.assign", ["delivery.local", "qmail.users_cdb", "queue.bounces"])],
    ),
    "a domain of qmail is not taken": (
        [
            ("delivery.relay", "warn", "5 refused: that domain isn't in my list"),
            (
                "qmail.domains",
                "fail",
                "in virtualdomains and not in rcpthosts, so that mail for it is refused",
            ),
        ],
        [("qmail.domains", ["delivery.relay"])],
    ),
    "cron does not call clearopensmtp": (
        [
            ("qmail.open_smtp", "warn", "11850 of 11859 entries are older than 360 min"),
            ("qmail.cron", "fail", "/etc/crontab line 5 has no user behind the times"),
        ],
        [("qmail.cron", ["qmail.open_smtp"])],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_cause_is_told_and_it_comes_first(seen, name):
    given, told = CASES[name]
    assert ids(seen(*given)) == told


# Of several that could not look for the same reason, the first stands for all.
@pytest.mark.parametrize("name", [name for name in CASES if name != "no library"])
def test_the_order_of_the_modules_does_not_matter(seen, name):
    given, told = CASES[name]
    for number in range(20):
        mixed = random.Random(number).sample(given, len(given))
        assert sorted(map(str, ids(seen(*mixed)))) == sorted(map(str, told))


RELAYS = f"192.0.2.1:25 {TAKES_MAIL}"


# Each would explain other findings of the ports.
@pytest.mark.parametrize(
    "cause",
    [
        ("smtp.connect", "fail", "192.0.2.1:587: connection refused"),
        ("health.ports", "fail", "postfix-mailcow could not have port 25: exim4.service"),
        ("ports.public", "unknown", "cannot be seen"),
        ("health.containers", "fail", "dovecot-mailcow exited"),
        ("health.healthy", "fail", "unbound-mailcow: no answer"),
        ("health.disk", "fail", "/ has nothing left"),
        ("dns.address", "fail", "no AAAA record"),
    ],
)
@pytest.mark.parametrize("accept", [[], ["smtp.relay"]])
def test_an_open_relay_is_its_own_cause(seen, cause, accept):
    text = RELAYS + "; [2001:db8::412]:25 takes mail, 452 of disk, has no address, no port answered"
    found = seen(cause, ("smtp.relay", "fail", text), accept=accept)
    assert {item["id"] for item in found["findings"]} == {cause[0], "smtp.relay"}


def test_what_opens_a_relay_hangs_under_nothing(seen):
    given = [
        ("engine.daemon", "fail", "it does not answer"),
        ("engine.ipv6_relay", "warn", "strangers look like the gateway"),
        ("smtp.relay", "fail", f"[2001:db8::1]:25 {TAKES_MAIL}"),
    ]
    found = seen(*given)
    assert ids(found) == [("engine.ipv6_relay", ["smtp.relay"]), ("engine.daemon", [])]
    assert found["findings"][0]["title"] == "The server relays for everybody"


def test_an_address_is_no_answer_that_asks_to_come_again(seen):
    given = [
        ("health.healthy", "fail", "unbound-mailcow: no answer"),
        ("smtp.auth_clear", "fail", "[2001:db8::412]:25 offers AUTH PLAIN in clear"),
        ("smtp.connect", "fail", "192.0.2.1:25: 421 4.3.2 later"),
    ]
    assert ids(seen(*given)) == [("health.healthy", ["smtp.connect"]), ("smtp.auth_clear", [])]


def test_what_another_server_says_has_its_cause_there(seen):
    given = [
        ("health.disk", "fail", "/ has nothing left"),
        ("smtp.destination", "warn", "j@example.net: temporary: 452 4.3.1 disk full"),
    ]
    assert ids(seen(*given)) == [("health.disk", []), ("smtp.destination", [])]


#: What has nothing to do with each other, or is not bad enough to have done it.
APART = [
    # A disk that fills up, and one that is full.
    (("health.disk", "warn", "1.5 GiB (3%)"), ("delivery.local", "fail", "No space left")),
    (("health.disk", "warn", "1.5 GiB (3%)"), ("health.inodes", "fail", "0% on the disk")),
    (("health.disk", "fail", "0.1 GiB"), ("health.restarts", "fail", "x is restarting, exited")),
    (("health.inodes", "fail", "0%"), ("health.healthy", "fail", "mysql: unhealthy")),
    (("clock.synchronised", "warn", "by nothing"), ("resolver.dnssec", "fail", "bogus")),
    (("clock.offset", "fail", "9 h"), ("health.containers", "fail", "unbound-mailcow exited")),
    (("engine.daemon", "warn", "old"), ("smtp.connect", "fail", "192.0.2.1:25: lost")),
    (("health.engine", "fail", "no answer"), ("health.disk", "fail", "0.1 GiB")),
    (
        ("engine.iptables", "warn", "off"),
        ("health.connections", "fail", "from postfix: redis at 10.0.0.1: no answer within 4 s"),
    ),
    (
        ("health.forwarding", "fail", "net.ipv4.ip_forward is 0"),
        ("health.healthy", "fail", "mysql-mailcow: ERROR 1045: Access denied for user"),
    ),
    (
        ("health.forwarding", "fail", "net.ipv4.ip_forward is 0"),
        ("health.connections", "fail", "from postfix: redis at 10.0.0.1: Connection refused"),
    ),
    (("resolver.answers", "fail", "none"), ("health.disk", "warn", "/srv/unbound: 1 GiB")),
    (("delivery.log", "unknown", "too large"), ("delivery.reputation", "fail", "2 bounced")),
    (("queue.length", "warn", "900 messages"), ("queue.bounces", "warn", "there is no end")),
    (
        ("health.certificate_files", "fail", "cert.pem is missing"),
        ("smtp.connect", "fail", "192.0.2.1:25: no answer in time"),
    ),
    (
        ("health.image", "warn", "sogo-mailcow has mailcow/sogo:1 and not mailcow/sogo:2"),
        ("health.restarts", "fail", "dovecot-mailcow is restarting, exit code 1"),
    ),
    (
        ("health.environment", "warn", "DBPASS is not the one in the file of php-fpm-mailcow"),
        ("health.logs", "warn", "Redis cannot save (2 lines): redis-mailcow: MISCONF"),
    ),
    # Mailbox of somebody else, reason of somebody else, server of somebody else.
    (("resolver.answers", "fail", "none"), ("smtp.destination", "fail", "j: permanent: unknown")),
    (
        ("health.disk", "fail", "0.1 GiB"),
        ("queue.age", "warn", "for a.test: host mx.a.test said: 452 4.3.1 no space left"),
    ),
    (
        ("health.disk", "fail", "0.1 GiB"),
        ("delivery.others", "warn", "3 waiting for a.test: it said: 452 4.3.1 disk full"),
    ),
    (
        ("health.containers", "fail", "postfix-mailcow is exited, exit code 1"),
        ("queue.destination", "warn", "a.test has 40 of 60: connect to mx: Connection refused"),
    ),
    (
        ("delivery.connection", "warn", "1 waiting for b.test: Last: Connection refused"),
        ("queue.age", "warn", f"the oldest waits for 5.0 h, for a.test: {TIMED_OUT}"),
    ),
    # Each has to be mended by itself.
    (("health.disk", "fail", "0.1 GiB on /var"), ("health.inodes", "fail", "0% on /srv")),
    (("dns.dkim", "fail", "no key"), ("dns.spf", "warn", "example.org has no SPF record")),
    (("dns.spf", "warn", "no record"), ("dns.dmarc", "warn", "no record")),
    (("blocklist.address", "fail", "is in zen"), ("blocklist.domain", "fail", "is in dbl")),
    (("dns.address", "fail", "no A record"), ("dns.cname_hostname", "fail", "is an alias of x")),
    (("dns.address", "fail", "no A"), ("dns.mx", "warn", "no MX; mail goes to the address of x")),
    (
        ("dns.address", "fail", "no A"),
        (
            "dns.spf",
            "warn",
            "SPF of a.test for 192.0.2.1 is fail by -all: v=spf1 ip4:192.0.2.9 -all",
        ),
    ),
    (("dns.mx", "warn", "no MX"), ("dns.spf", "warn", "a.test has no SPF record")),
    (("qmail.assign", "warn", "behind the dot"), ("qmail.handlers", "fail", "nobody has its mail")),
    (("qmail.morercpthosts", "fail", "old"), ("qmail.domains", "fail", "mail for it is refused")),
    (("qmail.permissions", "warn", "3 deviate"), ("delivery.local", "fail", "DNS did not answer")),
    (
        ("health.forwarding", "fail", "net.ipv4.ip_forward = 0 while Docker runs"),
        ("health.network", "fail", "there is no network mailcow-network"),
    ),
    (("engine.daemon", "fail", "docker.service failed"), ("firewall.services", "warn", "ufw")),
    (("health.compose", "fail", "x"), ("health.restarts", "fail", "y is restarting, exit code 1")),
    (
        ("ports.public", "fail", "tcp 443 held by nginx"),
        ("health.containers", "fail", "dovecot-mailcow is exited, exit code 137 (memory ran out)"),
    ),
    (
        ("ports.public", "fail", "tcp 443 held by nginx"),
        ("health.containers", "fail", "mysql-mailcow is exited, exit code 137 (memory ran out)"),
    ),
    # A service that mail does not pass, and services that do not need each other.
    (
        ("health.containers", "fail", "ofelia-mailcow is exited, exit code 1"),
        ("smtp.connect", "fail", "192.0.2.1:25: connection refused"),
    ),
    # What Compose no longer knows.
    (
        ("health.containers", "warn", "postfix-mailcow is exited, and not in the files any more"),
        ("smtp.connect", "fail", "192.0.2.1:25: connection refused"),
    ),
    (
        ("health.containers", "fail", "postfix-mailcow is exited, exit code 1"),
        ("smtp.connect", "fail", "192.0.2.1:25: no answer in time"),
    ),
    (
        ("health.containers", "fail", "mysql-mailcow is exited, exit code 1"),
        ("health.restarts", "fail", "clamd-mailcow is restarting, exit code 137 (memory)"),
    ),
    (
        ("health.healthy", "fail", "unbound-mailcow: no output"),
        ("health.logs", "warn", "another program puts its rules before mailcow's"),
    ),
    (
        ("health.containers", "fail", "redis-mailcow is exited, exit code 1"),
        ("health.connections", "fail", "from postfix-mailcow: rspamd at 10.0.0.1:9900: refused"),
    ),
    (
        ("health.hyperscan", "fail", "rspamd-mailcow ended with SIGILL"),
        (
            "health.restarts",
            "fail",
            "rspamd-mailcow is restarting, 132; mysql-mailcow is restarting",
        ),
    ),
    (
        ("health.hyperscan", "fail", "rspamd-mailcow ended with SIGILL"),
        ("delivery.local", "fail", "2 waiting: Name service error for name=a.test"),
    ),
    (
        ("health.certificate_files", "fail", "dhparams.pem is missing"),
        ("tls.protocol", "warn", "imaps 192.0.2.1:993: takes TLSv1"),
    ),
    (
        ("health.certificate", "warn", "mail.example.org until 2026-12-01 (10 days)"),
        ("tls.names", "fail", "the certificate of imaps has a.test, and not mail.example.org"),
    ),
    (
        ("tls.chain", "fail", "imaps: self-signed certificate in certificate chain"),
        ("tls.names", "fail", "the certificate of imaps has a.test, and not mail.example.org"),
    ),
    (
        ("resolver.dnssec", "warn", "192.0.2.53 does not validate"),
        ("delivery.local", "fail", "4.4.3"),
    ),
    (("egress.dns", "warn", "tcp over IPv6: no answer"), ("delivery.local", "fail", "4.4.3")),
    (("clock.synchronised", "fail", "no source"), ("resolver.dnssec", "warn", "does not validate")),
    (("fail2ban.service", "warn", "not started at boot"), ("fail2ban.jail", "fail", "bans nobody")),
    (("fail2ban.service", "fail", "no server answers"), ("fail2ban.version", "fail", "0.10.2")),
    # An IPv4 client is not taken for the gateway; and the helper is what does that to others.
    (("engine.ipv6_relay", "fail", "held for IPv6"), ("smtp.relay", "fail", RELAYS)),
    (("engine.userland_proxy", "warn", "userland-proxy is false"), ("smtp.relay", "fail", RELAYS)),
    # Nobody could look at it.
    (("resolver.answers", "unknown", "no dig"), ("delivery.local", "fail", "DNS did not answer")),
    (("dns.dkim", "unknown", "no answer"), ("delivery.reputation", "fail", "no valid DKIM")),
    # One destination.
    (
        ("delivery.connection", "warn", f"1 waiting for example.net: Last: {TIMED_OUT}"),
        ("smtp.destination", "warn", "j@example.org: timeout: no answer in time"),
    ),
    (("egress.smtp", "warn", "IPv6: no answer"), ("delivery.connection", "warn", TIMED_OUT)),
    (("egress.smtp", "fail", "IPv4: no answer"), ("queue.length", "fail", "9000 messages")),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_does_not_follow_is_told_by_itself(seen, one, other):
    assert sorted(ids(seen(one, other))) == sorted([(one[0], []), (other[0], [])])


#: The same causes, and what does follow.
TOGETHER = [
    (("health.inodes", "fail", "0%"), ("health.logs", "warn", "No space left on device")),
    (("clock.offset", "fail", "9 h"), ("health.healthy", "fail", "unbound-mailcow: no output")),
    (("health.engine", "fail", "no answer"), ("health.certificate_files", "unknown", "where?")),
    (("engine.daemon", "fail", "ended"), ("smtp.connect", "fail", "192.0.2.1:25: refused")),
    (
        ("health.forwarding", "fail", "net.ipv4.ip_forward is 0"),
        ("health.healthy", "fail", "unbound-mailcow: ping: Name resolution failed"),
    ),
    (("delivery.log", "unknown", "no log"), ("delivery.local", "unknown", "no line of a log")),
    (
        ("health.image", "warn", "sogo-mailcow has mailcow/sogo:1 and not mailcow/sogo:2"),
        ("health.healthy", "fail", "redis-mailcow: no output; sogo-mailcow: HTTP 502"),
    ),
    (
        ("health.environment", "warn", "DBPASS is not the one in the file of php-fpm, sogo"),
        ("health.restarts", "fail", "sogo is restarting, exit code 1 (an error)"),
    ),
    (
        ("health.environment", "warn", "REDISPASS is not the one in the file of redis-mailcow"),
        ("health.logs", "warn", "Redis cannot save (2 lines): redis-mailcow: MISCONF"),
    ),
    (
        ("engine.iptables", "fail", "iptables is false: an open relay"),
        ("smtp.relay", "fail", RELAYS),
    ),
    (
        ("health.forwarding", "fail", "IPv4: published ports are not redirected: an open relay"),
        ("smtp.relay", "fail", RELAYS),
    ),
    (
        ("health.disk", "fail", "0.0 GiB"),
        ("delivery.others", "fail", "2 rejected: it said: 452 4.3.1 Insufficient system storage"),
    ),
    (
        ("health.logs", "warn", "Redis cannot save (2 lines): redis-mailcow: MISCONF"),
        ("health.healthy", "fail", "redis-mailcow: no output"),
    ),
    (("fail2ban.service", "fail", "no server answers"), ("fail2ban.kernel", "fail", "no chain")),
    (("fail2ban.service", "fail", "no server answers"), ("fail2ban.version", "unknown", "")),
    (("engine.configuration", "fail", "no JSON"), ("health.engine", "fail", "no answer")),
    (
        ("engine.configuration", "fail", "no JSON"),
        ("engine.daemon", "fail", "docker.service failed"),
    ),
    (("engine.compose", "fail", "1.29.2"), ("health.compose", "fail", "Invalid interpolation")),
    (
        ("engine.api", "fail", "API 1.44 and newer, netfilter container 1.58"),
        ("health.restarts", "fail", "netfilter-mailcow is restarting, exit code 2"),
    ),
    (
        ("health.logs", "warn", "another program puts its rules first (3 lines): netfilter: order"),
        ("health.restarts", "fail", "netfilter is restarting, exit code 2"),
    ),
    (
        ("health.logs", "warn", "MariaDB cannot read its log (1 lines): mysql-mailcow: Aria"),
        ("health.restarts", "fail", "mysql-mailcow is restarting, exit code 1 (an error)"),
    ),
    (
        ("health.containers", "fail", "mysql-mailcow is exited, exit code 1"),
        ("health.healthy", "fail", "php-fpm-mailcow: mysqli: Connection refused"),
    ),
    (
        ("health.containers", "fail", "postfix-mailcow is paused"),
        ("smtp.connect", "fail", "192.0.2.1:25: no answer in time"),
    ),
    (
        ("health.healthy", "warn", "postfix-mailcow, sogo-mailcow not yet"),
        ("smtp.connect", "fail", "192.0.2.1:25: connection refused"),
    ),
    (
        ("health.containers", "fail", "front has no container"),
        ("queue.length", "unknown", "project mailu has no container that runs"),
    ),
    (
        ("health.certificate", "fail", "cert.pem is not for mail.a.test; it is for b.test"),
        ("tls.names", "fail", "the certificate of imaps has b.test, and not mail.a.test"),
    ),
    (
        (
            "health.certificate",
            "fail",
            "cert.pem: certificate 2 (CN=x) did not issue the one before",
        ),
        ("tls.chain", "fail", "imaps: unable to get local issuer certificate"),
    ),
    (
        ("clock.offset", "fail", "40000 s"),
        ("health.certificate", "fail", "cert.pem is valid from X on, and this host's clock says Y"),
    ),
    (
        ("egress.dns", "warn", "something in between answers in place of the root name servers"),
        ("health.healthy", "fail", "unbound-mailcow: no output"),
    ),
    (
        ("ports.public", "fail", "tcp 0.0.0.0:25 held by python3"),
        ("smtp.connect", "fail", "192.0.2.1:25: no answer in time"),
    ),
    (
        ("ports.public", "fail", "tcp 0.0.0.0:25 held by python3"),
        ("health.containers", "fail", "postfix-mailcow is exited, exit code 0 (ended)"),
    ),
    (
        ("dns.address", "fail", "A of mail.a.test is 192.0.2.9; the server has 192.0.2.1"),
        ("dns.host_spf", "warn", "SPF of mail.a.test for 192.0.2.1 is fail by -all: v=spf1 a -all"),
    ),
    (
        ("dns.mx", "warn", "MX of a.test is b.test"),
        ("dns.mx_target", "fail", "MX of a.test is b.test, which has no address"),
    ),
    (
        ("dns.mx", "warn", "MX of a.test is b.test"),
        ("dns.spf", "warn", "SPF of a.test for 192.0.2.1 is fail by -all: v=spf1 mx -all"),
    ),
    (("dns.cname_hostname", "fail", "an alias"), ("dns.mx_target", "fail", "x, an alias of y")),
    (
        ("delivery.connection", "warn", f"1 waiting for example.net: Last: {TIMED_OUT}"),
        ("queue.destination", "warn", f"example.net has 40 of 60 recipients: {TIMED_OUT}"),
    ),
]


@pytest.mark.parametrize(("cause", "effect"), TOGETHER)
def test_what_follows_hangs_under_its_cause(seen, cause, effect):
    assert ids(seen(effect, cause)) == [(cause[0], [effect[0]])]


def test_each_complaint_of_a_log_explains_its_own_service(seen):
    given = [
        ("health.restarts", "fail", "mysql-mailcow is restarting, exit code 1 (an error)"),
        ("health.logs", "warn", "no certificate was issued (1 lines): acme-mailcow: cannot match"),
        ("health.logs", "warn", "MariaDB cannot read its log (1 lines): mysql-mailcow: Aria"),
        ("engine.daemon", "warn", "docker.service is active and disabled"),
        ("engine.configuration", "fail", "no JSON"),
    ]
    found = seen(*given)
    assert [(item["id"], item["cause"]) for item in found["explained"]] == [
        ("health.restarts", "health.logs")
    ]
    assert [item["observed"][:7] for item in found["findings"] if item["because"]] == ["MariaDB"]


# With what was accepted, the play knows that it is wrong.
def test_an_accepted_failure_explains_what_it_explained(seen):
    given = [("health.disk", "fail", "0.1 GiB"), ("delivery.local", "fail", "No space left")]
    assert ids(seen(*given, accept=["health.disk"])) == [("health.disk", ["delivery.local"])]


# The report says which names to accept: those of the causes.
def test_a_cause_that_is_bad_by_what_it_does_can_be_accepted(seen):
    given = [("tls.same", "warn", "an older one at imaps"), ("tls.expiry", "fail", "ended")]
    assert seen(*given)["verdict"] == "ill"
    assert seen(*given, accept=["tls.same"])["verdict"] == "watch"
    assert seen(*given, accept=["tls.expiry"])["verdict"] == "watch"


@pytest.mark.parametrize("status", ["fail", "warn"])
def test_who_accepts_what_opens_a_relay_has_not_accepted_the_relay(seen, status):
    given = [
        ("engine.ipv6_relay", status, "strangers look like the gateway"),
        ("smtp.relay", "fail", f"[2001:db8::1]:25 {TAKES_MAIL}"),
    ]
    found = seen(*given, accept=["engine.ipv6_relay"])
    assert found["verdict"] == "ill"
    assert ids(found) == [("smtp.relay", []), ("engine.ipv6_relay", [])]
    assert seen(*given, accept=["engine.ipv6_relay", "smtp.relay"])["verdict"] == "watch"


def test_port_25_is_not_blocked_when_it_answers(seen):
    given = [
        ("egress.smtp", "ok", "reached over IPv4"),
        ("delivery.connection", "fail", f"connections to 5 destinations timed out: {TIMED_OUT}"),
        ("queue.age", "warn", f"the oldest waits for 5.0 h, for example.net: {TIMED_OUT}"),
    ]
    found = seen(*given)
    assert ids(found) == [("delivery.connection", ["queue.age"])]
    assert "Outgoing port 25 is blocked" not in {item["title"] for item in found["findings"]}
    assert seen(*given[1:])["findings"][0]["title"] == "Outgoing port 25 is blocked"


def test_a_cause_is_as_bad_as_what_it_does_and_has_all_evidence(seen):
    found = seen(
        ("tls.same", "warn", "an older one at imaps"),
        ("tls.expiry", "fail", "imaps: ended"),
    )
    (cause,) = found["findings"]
    assert (found["verdict"], cause["status"]) == ("ill", "fail")
    assert cause["evidence"] == ["an older one at imaps", "imaps: ended"]
    assert [(item["id"], item["cause"]) for item in found["explained"]] == [
        ("tls.expiry", "tls.same")
    ]


def test_what_asks_for_the_same_is_one_finding(finding):
    given = [
        finding("smtp.connect", "fail", observed=f"192.0.2.1:{port}: refused", fix="Start it.")
        for port in (25, 465, 587)
    ]
    (cause,) = diagnosis.diagnose(given)["findings"]
    assert (
        cause["observed"] == "192.0.2.1:25: refused; 192.0.2.1:465: refused; 192.0.2.1:587: refused"
    )
    assert len(cause["evidence"]) == 3


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["ok", "skip"], "healthy"),
        (["ok", "unknown"], "unknown"),
        (["ok", "warn", "unknown"], "watch"),
        (["warn", "fail", "unknown"], "ill"),
        (["skip"], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_verdict(seen, statuses, verdict):
    given = [(f"x.{number}", status, str(number)) for number, status in enumerate(statuses)]
    assert seen(*given)["verdict"] == verdict


def test_single_lists_that_do_not_answer_do_not_make_a_server_unknown(seen):
    given = [("blocklist.zones", "unknown", "refused"), ("blocklist.address", "ok", "in none")]
    assert seen(*given)["verdict"] == "healthy"
    assert seen(given[0], ("blocklist.domain", "unknown", "no server"))["verdict"] == "unknown"
    # Under blocklist.zones, which may be unknown by itself.
    nothing = ("blocklist.address", "unknown", "no list says anything of 192.0.2.1: refused")
    assert seen(given[0], nothing, ("dns.mx", "ok", "x"))["verdict"] == "unknown"


def test_what_was_accepted_is_a_warning(seen):
    found = seen(("egress.smtp", "fail", "times out"), accept=["egress"])
    assert found["verdict"] == "watch"
    assert found["findings"][0]["observed"] == "times out (accepted by name)"


def test_what_was_accepted_and_what_was_a_warning_stay_two(finding):
    given = [
        finding("smtp.connect", status, observed=text, fix="Start it.")
        for status, text in (("fail", "192.0.2.1:587: refused"), ("warn", "192.0.2.1:25: refused"))
    ]
    found = diagnosis.diagnose(given, accept=["smtp.connect"])["findings"]
    assert [item["observed"] for item in found] == [
        "192.0.2.1:587: refused (accepted by name)",
        "192.0.2.1:25: refused",
    ]


def test_only_what_was_asked_for_counts(seen):
    given = [("egress.smtp", "fail", "a"), ("dns.mx", "fail", "b"), ("dns.spf", "fail", "c")]
    assert ids(seen(*given, only=["dns"], skip=["dns.spf"])) == [("dns.mx", [])]


def test_a_fix_for_the_doctor_is_kept_and_words_are_the_remedy(finding):
    fix = {"kind": "recreate", "services": ["nginx-mailcow"]}
    found = diagnosis.diagnose(
        [
            finding("health.image", "fail", fix=fix, remedy="docker compose up -d"),
            finding("dns.mx", "fail", fix="Publish it."),
        ]
    )["findings"]
    assert [(item["fix"], item["remedy"]) for item in found] == [
        (fix, "docker compose up -d"),
        (None, "Publish it."),
    ]


def test_what_a_destination_says_is_explained(seen):
    text = "j@example.net: temporary: 450 4.7.1 Greylisting in action, try again later"
    assert "greylisting" in seen(("smtp.destination", "warn", text))["findings"][0]["remedy"]


def test_what_one_call_skips_and_another_looked_at_is_told_once(seen):
    found = seen(("smtp.relay", "skip", "no server is named"), ("smtp.relay", "ok", "refused"))
    assert [(item["id"], item["status"]) for item in found["findings"]] == [("smtp.relay", "ok")]


#: What Ansible registers for a task with ``failed_when: false``: of a module that failed, of one
#: that did not, and of one that was skipped.
SILENCED = {
    "changed": False,
    "failed": False,
    "failed_when_result": False,
    "failed_when_suppressed_exception": "(traceback unavailable)",
    "msg": "path: /mailu/mailu.env is not there; allowed: the directory of Mailu",
}
MENDED = {
    "backup_files": [],
    "changed": False,
    "diff": [],
    "failed": False,
    "failed_when_result": False,
    "fixed": [],
}
SKIPPED = {
    "changed": False,
    "false_condition": "x",
    "skip_reason": "Conditional result was False",
    "skipped": True,
}


def test_a_module_that_failed_is_a_finding():
    found = diagnosis.collect(
        {
            "queue": {"failed": True, "msg": "no Python"},
            "health": SILENCED,
            "fix": MENDED,
            "tls": SKIPPED,
            "smtp": {},
            "dns": {
                "findings": [{"id": "dns.mx", "status": "ok"}],
                "failed": False,
                "failed_when_result": False,
            },
        }
    )
    assert [(item["id"], item["status"]) for item in found] == [
        ("queue", "unknown"),
        ("health", "unknown"),
        ("dns.mx", "ok"),
    ]
    assert found[1]["observed"] == SILENCED["msg"]


def test_a_server_is_not_healthy_while_a_module_failed():
    given = {"health": SILENCED, "dns": {"findings": [{"id": "dns.mx", "status": "ok"}]}}
    assert diagnosis.diagnose(diagnosis.collect(given))["verdict"] == "unknown"


# Ansible keeps what an earlier look has registered.
@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"only": ["dns"]}, False),
        ({"only": ["health.disk"]}, True),
        ({"skip": ["health"]}, False),
        ({"skip": ["health.disk"]}, True),
    ],
)
def test_a_module_that_nobody_wants_to_know_of_does_not_count(options, counts):
    found = diagnosis.diagnose(diagnosis.collect({"health": SILENCED}), **options)
    assert bool(found["findings"]) is counts


@pytest.mark.parametrize("option", ["only", "skip"])
def test_names_that_are_none_are_refused(option):
    with pytest.raises(
        diagnosis.DiagnosisError, match=f"doctor_{option} has 'dsn'; allowed: .*dns.mx"
    ):
        diagnosis.plan(**{option: ["dsn"]})


def test_what_a_module_can_mend_is_told_once():
    step = {"finding": "health.forwarding", "kind": "sysctl", "command": "one"}
    given = [
        {"id": "health.forwarding", "status": status, "observed": str(number), "fix": "By hand."}
        for number, status in enumerate(("ok", "unknown", "fail", "fail", "warn"))
    ]
    found = diagnosis.collect({"health": {"findings": given, "fixes": [step]}})
    assert [item["fix"] == "By hand." for item in found] == [True, True, False, True, True]


def test_what_was_accepted_is_not_mended():
    ids_of = ("health.forwarding", "health.inotify")
    steps = [{"finding": name, "kind": "sysctl", "command": "x"} for name in ids_of]
    given = [{"id": name, "status": "fail", "fix": "By hand."} for name in ids_of]
    found = diagnosis.collect({"health": {"findings": given, "fixes": steps}})
    told = diagnosis.diagnose(found, accept=["health.inotify"])["findings"]
    assert [(item["id"], bool(item["fix"]), item["remedy"]) for item in told] == [
        ("health.forwarding", True, "By hand."),
        ("health.inotify", False, "By hand."),
    ]


def test_what_a_module_can_mend_hangs_on_its_finding():
    steps = [
        {"finding": "health.a", "kind": "copy_link", "command": "one"},
        {"finding": "health.a", "kind": "copy_link", "command": "two"},
        {"finding": "health.b", "kind": "sysctl", "command": "three"},
    ]
    given = [{"id": f"health.{name}", "status": "warn", "fix": "By hand."} for name in "abc"]
    found = diagnosis.diagnose(diagnosis.collect({"health": {"findings": given, "fixes": steps}}))
    assert [(item["fix"], item["remedy"]) for item in found["findings"]] == [
        ({"kind": "copy_link", "command": "one; two", "steps": steps[:2]}, "By hand."),
        ({"kind": "sysctl", "command": "three", "steps": steps[2:]}, "By hand."),
        (None, "By hand."),
    ]


def test_the_plan():
    assert diagnosis.plan(["egress", "dns.mx", "tls.names"], ["egress.dns"]) == {
        "preflight": ["egress.smtp"],
        "dns": ["dns.mx"],
        "subjects": ["dns", "egress", "tls"],
    }
    everything = diagnosis.plan()
    assert everything["preflight"] == list(diagnosis.PREFLIGHT)
    assert {"delivery", "fail2ban", "queue", "smtp"} <= set(everything["subjects"])


# The queue tells only what another server said, the log also what it means.
@pytest.mark.parametrize("name", diagnosis._CHECK_OF_KIND)
def test_what_a_reason_means_is_taken_for_the_same_reason(name):
    kind = diagnosis.delivery_reason.BY_NAME[name]
    for word in kind.words:
        assert diagnosis._kind(f"2 waiting: {kind.sentence} Last: {word}").name == name


def test_every_check_of_fail2ban_can_be_named():
    source = inspect.getsource(fail2ban_status)
    named = set(re.findall(r'"(fail2ban\.[a-z_]+)",', source))
    assert named == set(diagnosis.OTHERS["fail2ban"])


def test_every_name_in_the_table_is_a_check():
    known = [*diagnosis.ids(), *(check.id for check in diagnosis.catalogue.CHECKS)]
    named = [told.id for link in diagnosis.LINKS for told in (*link.causes, *link.seen)]
    assert [name for name in (*named, *diagnosis.RANK) if not fnmatch.filter(known, name)] == []
    assert set(diagnosis.PREFLIGHT) <= set(diagnosis.catalogue.ids())
