# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mail server says to a stranger, and what other servers say to us.

The subject is a ``Server`` of ``smtp_probe``; the need is the list of walks to destinations.
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils import smtp_probe
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.smtp_probe import (
    MX,
    SUBMISSION,
    Server,
    Talk,
    Walk,
)


def _place(talk: Talk) -> str:
    where = "[{0}]:{1}" if ":" in talk.address else "{0}:{1}"
    return where.format(talk.address, talk.port.number)


def _greeted(server: Server, *roles: str) -> list[Talk]:
    """Return the conversations that got a good greeting."""
    return [
        talk
        for talk in server.talks
        if 200 <= talk.code < 300 and (not roles or talk.port.role in roles)
    ]


def _nothing(server: Server, required: str) -> list[Finding]:
    """Answer when there is no conversation to judge."""
    if not server.name:
        return [answer(SKIP, "no server is named", required)]
    return [answer(UNKNOWN, server.trouble or "no port answered", required, "See smtp.connect.")]


def connect(server: Server, _walks: tuple[Walk, ...]) -> list[Finding]:
    """Connect to each port of each address of the server, and wait for its greeting.

    A port that answers nowhere, or with something else than a greeting: ``fail``. One that answers at
    some addresses only: ``warn``. The name has no address: ``fail``; nobody knows: ``unknown``.
    """
    required = "every port greets"
    if not server.name:
        return _nothing(server, required)
    if not server.talks:
        status = FAIL if server.trouble.endswith("has no address") else UNKNOWN
        return [answer(status, server.trouble, required, "See what the module dns_audit says.")]
    findings = []
    for port in dict.fromkeys(talk.port for talk in server.talks):
        talks = [talk for talk in server.talks if talk.port == port]
        bad = [talk for talk in talks if not 200 <= talk.code < 300]
        for talk in bad:
            status = FAIL if len(bad) == len(talks) else WARN
            observed = "{0}: {1}".format(_place(talk), talk.trouble or talk.state)
            findings.append(answer(status, observed, required, _connect_fix(talk)))
    places = ", ".join(_place(talk) for talk in server.talks)
    return findings or [answer(OK, places, required)]


def _connect_fix(talk: Talk) -> str:
    if talk.state == smtp_probe.TIMEOUT:
        return (
            "Open the port in the firewalls of the host and the provider; if port 25 alone times out, "
            "the network that this was run from may block it."
        )
    if talk.state == smtp_probe.REFUSED:
        return "Start the mail server, and let it listen on this address."
    if talk.state == smtp_probe.UNREACHABLE:
        return (
            "Run it from a network that reaches this address, or remove the address from the DNS."
        )
    return "Read what it says, and look at the mail server's log."


def banner(server: Server, _walks: tuple[Walk, ...]) -> list[Finding]:
    """Compare the names in greeting and EHLO with the server's name and the reverse record.

    A greeting with another name than the reverse record, or than the server is called: ``warn``, as
    receivers compare them.
    """
    required = "the server greets with {0}, as its reverse record says".format(server.name)
    talks = _greeted(server, MX)
    if not talks:
        return _nothing(server, required)
    findings = []
    for talk in talks:
        name = (talk.greeting.split() or [""])[0].rstrip(".").lower()
        others = []
        if talk.hello and talk.hello.rstrip(".").lower() != name:
            others.append("EHLO says {0}".format(talk.hello))
        reverse = server.names.get(talk.address)
        if reverse is not None and name not in reverse:
            others.append(
                "the reverse record says {0}".format(", ".join(reverse) if reverse else "nothing")
            )
        if name != server.name:
            others.append("the server is called {0}".format(server.name))
        if others:
            observed = "{0} greets with {1}; {2}".format(
                _place(talk), name or "no name", "; ".join(others)
            )
            fix = "Give the server one name everywhere: Postfix's myhostname, qmail's control/me, PTR."
            findings.append(answer(WARN, observed, required, fix))
    return findings or [answer(OK, "it does", required)]


def starttls(server: Server, _walks: tuple[Walk, ...]) -> list[Finding]:
    """Begin TLS on the ports where it comes later (STARTTLS).

    Not offered on the submission port, or offered and failing: ``fail``. Not offered on port 25:
    ``warn``.
    """
    required = "STARTTLS is offered and works"
    talks = [talk for talk in _greeted(server) if not talk.port.tls]
    if not talks:
        return _nothing(server, required)
    findings = []
    for talk in talks:
        if talk.tls_trouble:
            observed = "{0}: {1}".format(_place(talk), talk.tls_trouble)
            fix = "Look at certificate, key and settings of TLS; the module tls_audit shows more."
            findings.append(answer(FAIL, observed, required, fix))
        elif talk.features_tls is None:
            status = FAIL if talk.port.role == SUBMISSION else WARN
            observed = "{0} does not offer it".format(_place(talk))
            fix = "Switch it on (Postfix: smtpd_tls_security_level, smtpd_tls_chain_files)."
            findings.append(answer(status, observed, required, fix))
    return findings or [answer(OK, ", ".join(_place(talk) for talk in talks), required)]


def auth_clear(server: Server, _walks: tuple[Walk, ...]) -> list[Finding]:
    """Look whether passwords are asked for before TLS.

    Offered: ``fail``.
    """
    required = "AUTH is offered within TLS only"
    talks = [talk for talk in _greeted(server) if not talk.port.tls]
    if not talks:
        return _nothing(server, required)
    findings = [
        answer(
            FAIL,
            "{0} offers AUTH {1} in clear".format(_place(talk), talk.features["AUTH"]),
            required,
            "Set smtpd_tls_auth_only = yes (Postfix), or offer it on 465 and 587 with TLS only.",
        )
        for talk in talks
        if "AUTH" in talk.features
    ]
    return findings or [answer(OK, "it is", required)]


def auth(server: Server, _walks: tuple[Walk, ...]) -> list[Finding]:
    """Look whether users can authenticate where they should, and only there.

    Not offered within TLS on a submission port: ``fail``. Where AUTH must be refused on port 25 and
    is not: ``fail``. It is asked for without credentials.
    """
    required = "users authenticate on 587 and 465"
    if server.refuse_auth:
        required += ", and cannot on 25"
    talks = _greeted(server)
    if not talks:
        return _nothing(server, required)
    findings = []
    for talk in talks:
        if talk.port.role != MX:
            if talk.features_tls is not None and "AUTH" not in talk.features_tls:
                observed = "{0} does not offer AUTH within TLS".format(_place(talk))
                fix = (
                    "Switch it on (Postfix: smtpd_sasl_auth_enable for this service in master.cf)."
                )
                findings.append(answer(FAIL, observed, required, fix))
        elif server.refuse_auth and 300 <= talk.auth_code < 400:
            observed = "{0} asks for a password: {1}".format(_place(talk), talk.auth)
            fix = "Switch AUTH off on port 25 (Postfix: smtpd_sasl_auth_enable = no)."
            findings.append(answer(FAIL, observed, required, fix))
    return findings or [answer(OK, "they do", required)]


def relay(server: Server, _walks: tuple[Walk, ...]) -> list[Finding]:
    """Ask each address whether it would take mail of a stranger for a stranger.

    It would: ``fail``. It says to come again later, without naming a reason: ``unknown``. Nothing is
    sent. A machine that the server trusts by its address sees an open relay where there is none, so
    this is to be run from somewhere else.
    """
    required = "no mail is taken for others without authentication"
    talks = _greeted(server, MX)
    if not talks:
        return _nothing(server, required)
    findings = []
    for talk in talks:
        open_to = [item for item in talk.relayed if item[2].good]
        if open_to:
            sender, recipient, reply = open_to[0]
            observed = "{0} takes mail from {1} to {2}, asked from {3}: {4}".format(
                _place(talk), sender, recipient, talk.source, reply.text
            )
            fix = (
                "Stop the server until this is mended. Take networks that strangers come from out of "
                "mynetworks. A container behind Docker's userland proxy sees them as its "
                "gateway: set userland-proxy to false in daemon.json. qmail: control/rcpthosts must "
                "exist."
            )
            findings.append(answer(FAIL, observed, required, fix))
            continue
        unclear = [
            reply
            for _sender, _recipient, reply in talk.relayed
            if reply.temporary
            and not any(word in reply.text.lower() for word in ("relay", "5.7.1", "4.7.1"))
        ]
        if unclear or not talk.relayed:
            observed = "{0}: {1}".format(
                _place(talk), unclear[0].text if unclear else talk.trouble or "not asked"
            )
            fix = "Run it again in a few minutes (greylisting)."
            findings.append(answer(UNKNOWN, observed, required, fix))
    places = ", ".join(_place(talk) for talk in talks)
    return findings or [answer(OK, "refused at {0}".format(places), required)]


_VERDICTS = {
    smtp_probe.TEMPORARY: (
        WARN,
        (
            "Wait and try again; read what it says. If it names this server's address, look into "
            "blocklists with the module blocklist_info."
        ),
    ),
    smtp_probe.PERMANENT: (FAIL, "Read what it says: the address, or this server, is refused."),
    smtp_probe.REFUSED: (
        WARN,
        "The destination's server is down, or a firewall on the way out refuses.",
    ),
    smtp_probe.TIMEOUT: (
        WARN,
        (
            "The destination's server is down, or outgoing port 25 is blocked: name other servers in "
            "compare to know which."
        ),
    ),
    smtp_probe.UNREACHABLE: (WARN, "There is no way to that address from here."),
    smtp_probe.BLOCKED: (
        FAIL,
        "Have the provider open outgoing port 25, or send through a smarthost on port 587.",
    ),
    smtp_probe.NULL_MX: (FAIL, "Correct the address: this domain takes no mail."),
    smtp_probe.PRIVATE: (
        WARN,
        "The destination's DNS is wrong. If it is a network of your own, set allow_private.",
    ),
    smtp_probe.UNKNOWN: (UNKNOWN, "Ask by hand: dig DOMAIN MX."),
}


def destination(_server: Server, walks: tuple[Walk, ...]) -> list[Finding]:
    """Ask the servers of each destination whether they would take mail for the recipient.

    They would: ``ok``. Refused for good, no mail taken at all (RFC 7505), or port 25 blocked:
    ``fail``. Later, refused connections and timeouts: ``warn``. Nobody named: ``skip``. Nothing is
    sent, and nobody else is connected to.
    """
    required = "the destination takes mail from here"
    if not walks:
        return [answer(SKIP, "no destination is named", required)]
    findings = []
    for walk in walks:
        observed = "{0}: {1}: {2}".format(walk.recipient, walk.verdict, walk.text)
        status, fix = _VERDICTS.get(walk.verdict, (OK, ""))
        findings.append(answer(status, observed, required, fix))
    return findings


RFC = "https://www.rfc-editor.org/rfc/"

LOOK = (
    ("smtp.connect", "Ports of the mail server", RFC + "rfc5321#section-3.1", connect),
    ("smtp.banner", "Names in the greeting", RFC + "rfc5321#section-4.1.3", banner),
    ("smtp.starttls", "STARTTLS", RFC + "rfc3207", starttls),
    ("smtp.auth_clear", "Passwords in clear", RFC + "rfc4954#section-4", auth_clear),
    ("smtp.auth", "Authentication", RFC + "rfc6409#section-4.3", auth),
    ("smtp.relay", "Open relay", RFC + "rfc5321#section-7.9", relay),
    ("smtp.destination", "Destinations", RFC + "rfc5321#section-5.1", destination),
)
