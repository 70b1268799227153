# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import delivery_reason


@pytest.mark.parametrize(
    ("kind", "status", "dsn", "reason"),
    [
        ("sent", "sent", "2.0.0", "250 ok"),
        ("queued", "queued", "4.0.0", "queued"),
        ("expired", "expired", "4.4.7", "expired, returned to sender"),
        ("loop", "bounced", "5.4.6", "mail for 192.0.2.1 loops back to myself"),
        ("loop", "bounced", "5.4.6", "too many hops, this message is looping (#5.4.6)"),
        ("own_address", "deferred", "4.4.0", "server configuration error"),
        (
            "temporary",
            "deferred",
            "4.3.5",
            "host mx.y[192.0.2.1] said: 451 4.3.5 Server configuration error",
        ),
        ("relay_denied", "rejected", "5.7.1", "554 5.7.1 <x@y>: Relay access denied"),
        ("relay_denied", "rejected", "5.7.1", "550 5.7.1 <x@y>... Relaying denied"),
        (
            "relay_denied",
            "bounced",
            "5.7.1",
            "Remote host said: 553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        ),
        (
            "relay_denied",
            "bounced",
            "5.7.1",
            "that domain isn't allowed to be relayed thru this MTA (#5.7.1)",
        ),
        ("timeout", "deferred", "4.4.1", "connect to x[192.0.2.1]:25: Connection timed out"),
        (
            "timeout",
            "deferred",
            "4.4.1",
            "Sorry,4 I wasn't able to establish an SMTP connection. (#4.4.1)",
        ),
        ("refused", "deferred", "4.4.1", "connect to x[192.0.2.1]:25: Connection refused"),
        ("unreachable", "deferred", "4.4.1", "connect to x[2001:db8::1]:25: Network is unreachable"),
        ("connection_lost", "deferred", "4.4.2", "lost connection with x while sending RCPT TO"),
        ("own_service", "deferred", "4.4.1", "connect to m[private/dovecot-lmtp]: No such file"),
        ("own_service", "deferred", "4.4.1", "connect to 127.0.0.1[127.0.0.1]:10024: Connection refused"),
        ("own_service", "deferred", "4.3.0", "Unable to run: (#4.3.0)"),
        ("own_files", "deferred", "4.7.0", "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"),
        ("own_service", "deferred", "4.3.0", "host x[127.0.0.1] said: 451 4.3.0 Temporary lookup failure"),
        ("own_service", "deferred", "4.3.0", "host m[private/lmtp] said: 451 4.3.0 Temporary lookup failure"),
        ("temporary", "deferred", "4.3.0", "Remote host said: 451 qqt failure (#4.3.0)"),
        ("temporary", "deferred", "4.3.0", "host y[192.0.2.1] said: 451 4.3.0 Temporary lookup failure"),
        ("temporary", "deferred", "4.3.1", "host mx.y[10.127.0.0] said: 452 4.3.1 No space left on device"),
        ("own_files", "deferred", "4.2.0", "cannot update mailbox /var/mail/bob: unable to lock"),
        ("dns", "deferred", "4.4.4", "unable to look up host x: Temporary failure in name resolution"),
        ("dns", "deferred", "4.4.3", "Host or domain name lookup: CNAME lookup failed temporarily."),
        ("dns", "deferred", "4.4.3", "Name service error for name=x type=MX: Host not found, try again"),
        ("no_domain", "bounced", "5.4.4", "Host or domain name not found. Name service error"[:35]),
        ("no_domain", "bounced", "5.1.2", "Sorry, I couldn't find any host named x. (#5.1.2)"),
        ("no_domain", "bounced", "5.1.1", "host mx.y[192.0.2.1] said: 550 Domain does not exist"),
        ("no_domain", "rejected", "4.1.2", "<a@x>: Recipient address rejected: Domain not found"),
        ("null_mx", "bounced", "5.1.0", "Domain x does not accept mail (nullMX)"),
        ("user_unknown", "bounced", "5.1.1", "host x said: 550 5.1.1 <a@x>: User unknown"),
        ("user_unknown", "bounced", "5.1.1", "550 5.1.1 the mailbox does not exist"),
        ("user_unknown", "bounced", "5.1.1", "550 nobody of that name here"),
        ("mailbox_full", "deferred", "4.2.2", "452 4.2.2 user is over quota"),
        ("too_big", "bounced", "5.3.4", "message size 99 exceeds size limit 10 of server x"),
        ("too_big", "bounced", "5.3.4", "sorry, that message size exceeds my databytes limit (#5.3.4)"),
        ("greylisted", "deferred", "4.2.0", "450 4.2.0 <a@x>: Recipient address rejected: Greylisted"),
        ("blocklisted", "bounced", "5.7.1", "554 5.7.1 blocked using zen.spamhaus.org"),
        ("reverse_dns", "bounced", "5.7.25", "550-5.7.25 The IP address has no such record"),
        ("reverse_dns", "deferred", "4.7.1", "Client host rejected: cannot find your hostname"),
        ("authentication", "bounced", "5.7.26", "550-5.7.26 not accepted due to domain's policy"),
        ("authentication", "bounced", "5.7.1", "rejected by DMARC policy"),
        ("rate_limited", "deferred", "4.7.28", "421-4.7.28 slow down"),
        ("rate_limited", "deferred", "4.0.0", "421 out of connection slots"),
        ("refused_to_talk", "deferred", "4.0.0", "host x refused to talk to me: 554 no"),
        ("refused_to_talk", "deferred", "4.0.0", "Connected to 192.0.2.1 but greeting failed."),
        ("tls", "bounced", "5.7.0", "530 5.7.0 Must issue a STARTTLS command first"),
        ("tls", "deferred", "4.7.4", "TLS is required, but was not offered by host x"),
        ("login_failed", "deferred", "4.7.8", "SASL authentication failed; server x said: 535"),
        ("login_needed", "bounced", "5.7.0", "530 5.7.0 Authentication required"),
        ("sender_refused", "rejected", "5.1.8", "<a@x>: Sender address rejected: Domain not found"),
        ("sender_refused", "bounced", "5.7.1", "your envelope sender is in my badmailfrom list"),
        ("content", "bounced", "5.7.1", "554 5.7.1 Message is spam"),
        ("policy", "bounced", "5.7.1", "550 5.7.1 refused"),
        ("temporary", "deferred", "4.0.0", "451 see you later"),
        ("permanent", "bounced", "5.0.0", "550 no"),
        ("rejected", "rejected", "5.0.0", "502 no"),
    ],
)  # fmt: skip
def test_what_servers_say(kind, status, dsn, reason):
    assert delivery_reason.of(status, dsn, reason).name == kind


def test_each_kind_is_explained():
    assert len(delivery_reason.BY_NAME) == len(delivery_reason.KINDS) + 7
    sides = {"network", "server", "receiver", "sender"}
    for kind in delivery_reason.BY_NAME.values():
        assert kind.sentence.endswith(".") and kind.step.rstrip(")").endswith(".")
        assert kind.side in sides
        assert all(word == word.lower() for word in kind.words)
