# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of a mail server: certificate, protocol, and TLSA records."""

from __future__ import annotations

import time
from typing import Callable

from ansible_collections.postmaster.mailhost.plugins.module_utils import tls_probe
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.tls_probe import Audit, Port

_DAY = 86400

#: Days before its end from which on a certificate is a warning. Certificates of 90 days are made
#: anew 30 days before.
WARN_DAYS = 20
_FAIL_DAYS = 3

_RENEW = (
    "See why it was not renewed: log of the ACME client, port 80 from outside; then restart the "
    "services that use it."
)


def _nothing(audit: Audit, required: str) -> list[Finding]:
    observed = audit.trouble or "no service showed a certificate"
    return [answer(UNKNOWN, observed, required, "See tls.connect.")]


def _places(ports: list[Port]) -> str:
    return ", ".join(port.place for port in ports)


def _grouped(ports: list[tuple[str, Port]]) -> dict[str, list[Port]]:
    """Return the services that have the same trouble: most have the same certificate."""
    found: dict[str, list[Port]] = {}
    for text, port in ports:
        found.setdefault(text, []).append(port)
    return found


def connect(audit: Audit, _days: int) -> list[Finding]:
    """Begin TLS with each service, with STARTTLS where it comes later.

    It fails, or is not offered: ``fail``; not offered on port 25: ``warn``. A port that is closed:
    ``skip``, since few servers have all of them. None that is open: ``unknown``.
    """
    required = "TLS works"
    if not audit.ports:
        return _nothing(audit, required)
    findings = []
    closed = ("refused", "timeout", "unreachable")
    for text, ports in _grouped(
        [
            ("{0} ({1})".format(port.trouble, port.state), port)
            for port in audit.ports
            if port.certificate is None and port.state not in closed
        ]
    ).items():
        optional = all(
            port.service.name == "smtp" and port.state == tls_probe.NOT_OFFERED for port in ports
        )
        fix = "Look at certificate and key of the service, and at its log; then restart it."
        observed = "{0}: {1}".format(_places(ports), text)
        findings.append(answer(WARN if optional else FAIL, observed, required, fix))
    shut = [port for port in audit.ports if port.state in closed]
    if not audit.open and not findings:
        fix = "Name the right address, or run it from a network that reaches the server."
        return [answer(UNKNOWN, "no port is open: {0}".format(_places(shut)), required, fix)]
    if shut:
        findings.append(answer(SKIP, "closed: {0}".format(_places(shut)), required))
    if audit.open and all(item.status == SKIP for item in findings):
        findings.insert(0, answer(OK, _places(list(audit.open)), required))
    return findings


def chain(audit: Audit, _days: int) -> list[Finding]:
    """See whether the certificate's chain leads to an authority that is trusted.

    It does not: ``fail``; on port 25 alone: ``warn``, since other mail servers rarely look.
    """
    required = "a certificate that clients trust"
    if not audit.open:
        return _nothing(audit, required)
    findings = []
    for text, ports in _grouped([(port.distrust, port) for port in audit.open]).items():
        if not text:
            continue
        status = WARN if all(port.service.name == "smtp" for port in ports) else FAIL
        fix = (
            "Give the service the whole chain (fullchain.pem) of a certificate by an authority that "
            "clients know, and restart it."
        )
        findings.append(answer(status, "{0}: {1}".format(_places(ports), text), required, fix))
    return findings or [answer(OK, _places(list(audit.open)), required)]


def names(audit: Audit, _days: int) -> list[Finding]:
    """Compare the names in the certificate with the server's.

    One is missing: ``fail``.
    """
    required = ", ".join(audit.names)
    if not audit.open:
        return _nothing(audit, required)
    troubles = []
    for port in audit.open:
        shown = port.certificate.names if port.certificate else ()
        missing = [name for name in audit.names if not tls_probe.covers(shown, name)]
        if missing:
            text = "has {0}, and not {1}".format(", ".join(shown) or "no name", ", ".join(missing))
            troubles.append((text, port))
    findings = [
        answer(
            FAIL,
            "the certificate of {0} {1}".format(_places(ports), text),
            required,
            "Get a certificate with all of these names; see the log of the ACME client.",
        )
        for text, ports in _grouped(troubles).items()
    ]
    return findings or [answer(OK, required, required)]


def expiry(audit: Audit, days: int) -> list[Finding]:
    """See how long the certificate is valid.

    It has ended, has not begun, or ends within three days: ``fail``. It ends within the days of the
    option: ``warn``.
    """
    required = "valid for {0} days or more".format(days)
    if not audit.open:
        return _nothing(audit, required)
    findings = []
    ends = []
    seen = [
        (_day(port.certificate.end), port) for port in audit.open if port.certificate is not None
    ]
    for text, ports in _grouped(seen).items():
        certificate = ports[0].certificate
        if certificate is None:
            continue
        left = (certificate.end - audit.now) / _DAY
        ends.append(text)
        if certificate.begin > audit.now:
            observed = "{0}: begins on {1} only".format(_places(ports), _day(certificate.begin))
            fix = "Look at the clocks of the server and of the machine this runs on."
            findings.append(answer(FAIL, observed, required, fix))
        elif left < days:
            word = "ended" if left < 0 else "ends"
            observed = "{0}: {1} on {2}".format(_places(ports), word, text)
            status = FAIL if left < _FAIL_DAYS else WARN
            findings.append(answer(status, observed, required, _RENEW))
    return findings or [answer(OK, "ends on {0}".format(", ".join(ends)), required)]


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def key(audit: Audit, _days: int) -> list[Finding]:
    """Look at the size of the certificate's key.

    RSA with less than 2048 bits, EC with less than 256: ``warn``.
    """
    required = "RSA with 2048 bits, or EC with 256, or more"
    if not audit.open:
        return _nothing(audit, required)
    weak = []
    good = []
    for port in audit.open:
        certificate = port.certificate
        if certificate is None:
            continue
        text = "{0} {1}".format(certificate.algorithm, certificate.bits or "").strip()
        least = {"RSA": 2048, "EC": 256}.get(certificate.algorithm, 0)
        if certificate.bits < least:
            weak.append((text, port))
        good.append(text)
    findings = [
        answer(WARN, "{0}: {1}".format(_places(ports), text), required, "Get a new certificate.")
        for text, ports in _grouped(weak).items()
    ]
    return findings or [answer(OK, ", ".join(dict.fromkeys(good)), required)]


def protocol(audit: Audit, _days: int) -> list[Finding]:
    """Ask each service for TLS 1.0 and 1.1, which nobody should speak any more (RFC 8996).

    Taken: ``warn``; on port 25 it is ``ok``, since another mail server would send in clear instead.
    This machine cannot speak them: ``unknown``.
    """
    required = "TLS 1.2 or newer only"
    if not audit.open:
        return _nothing(audit, required)
    users = [port for port in audit.open if port.service.name != "smtp"]
    unable = [port for port in users if port.old is None]
    findings = [
        answer(
            WARN,
            "{0}: takes {1}".format(_places(ports), text),
            required,
            "Allow TLS 1.2 and newer only (Postfix: smtpd_tls_mandatory_protocols, Dovecot: "
            "ssl_min_protocol).",
        )
        for text, ports in _grouped([(port.old, port) for port in users if port.old]).items()
    ]
    if unable:
        observed = "{0}: not asked, as this machine does not speak them".format(_places(unable))
        fix = "Run it on a machine that can, or look at the services' settings."
        findings.append(answer(UNKNOWN, observed, required, fix))
    if findings:
        return findings
    agreed = dict.fromkeys(port.version for port in audit.open)
    return [answer(OK, "agreed on {0}".format(", ".join(agreed)), required)]


def same(audit: Audit, _days: int) -> list[Finding]:
    """Compare the certificates of all services.

    Some show another one that ends earlier: ``warn``, since they were probably not restarted after
    it was renewed.
    """
    required = "every service shows the same certificate"
    if not audit.open:
        return _nothing(audit, required)
    shown: dict[bytes, list[Port]] = {}
    for port in audit.open:
        if port.certificate is not None:
            shown.setdefault(port.certificate.der, []).append(port)
    if len(shown) == 1:
        return [answer(OK, "it is", required)]
    newest = max(port.certificate.end for port in audit.open if port.certificate)
    old = [
        port
        for port in audit.open
        # Certificates of two kinds of key are made within minutes.
        if port.certificate and port.certificate.end < newest - _DAY
    ]
    if not old:
        return [answer(OK, "{0} that end at the same time".format(len(shown)), required)]
    observed = "{0} certificates; an older one at {1}".format(len(shown), _places(old))
    return [answer(WARN, observed, required, "Restart these services.")]


def tlsa(audit: Audit, _days: int) -> list[Finding]:
    """Compare TLSA records with what the services show (RFC 6698, RFC 7672).

    Records of which none is about the certificate: ``fail``, since servers that look at them do not
    deliver. Records that are not signed (DNSSEC), or that are none for SMTP: ``warn``. No records:
    ``skip``. About a certificate that this Python cannot see: ``unknown``.
    """
    required = "TLSA records that match the certificate, or none"
    if not audit.open:
        return _nothing(audit, required)
    findings = []
    published = False
    for number, asked in audit.tlsa.items():
        if not asked.known:
            observed = "no answer for {0}: {1}".format(asked.question, asked.reason)
            fix = "Ask by hand: dig {0} TLSA.".format(asked.name)
            findings.append(answer(UNKNOWN, observed, required, fix))
        if not asked.records:
            continue
        published = True
        if not asked.authenticated:
            observed = "{0} is not signed, so nobody looks at it".format(asked.question)
            fix = "Sign the zone (DNSSEC), or ask a resolver that validates, named in nameservers."
            findings.append(answer(WARN, observed, required, fix))
        for port in audit.open:
            if port.service.port == number:
                findings += _compare(asked.name, asked.records, port, required)
    if findings:
        return findings
    return [answer(OK, "they match", required) if published else answer(SKIP, "none", required)]


def _compare(name: str, records: tuple[str, ...], port: Port, required: str) -> list[Finding]:
    """Return what is wrong with the records of one port."""
    verdicts = [tls_probe.match(record, port) for record in records]
    if tls_probe.MATCH in verdicts:
        return []
    import hashlib

    shown = port.certificate
    digest = hashlib.sha256(shown.key).hexdigest() if shown else ""
    fix = "Publish: {0}. IN TLSA 3 1 1 {1}; and the next key's before it is used.".format(
        name, digest
    )
    text = "{0} shows no certificate that is in {1}: {2}".format(
        port.place, name, "; ".join(records)
    )
    if tls_probe.UNSEEN in verdicts:
        return [answer(UNKNOWN, text + ", as far as this Python can see", required, fix)]
    status = FAIL if tls_probe.MISMATCH in verdicts else WARN
    return [answer(status, text, required, fix)]


def without_library(python: str, reason: str) -> Callable[[Audit, int], list[Finding]]:
    """Return the check that stands in for each one where there is no cryptography.

    Args:
        python: path of the Python that runs here.
        reason: why it could not be loaded.
    """

    def look(_audit: Audit, _days: int) -> list[Finding]:
        fix = "Install cryptography for the Ansible that runs here: {0} -m pip install cryptography"
        return [answer(UNKNOWN, reason, "a certificate that can be read", fix.format(python))]

    return look


RFC = "https://www.rfc-editor.org/rfc/"

LOOK = (
    ("tls.connect", "TLS of each service", RFC + "rfc8314", connect),
    ("tls.chain", "Trust", RFC + "rfc5280#section-6", chain),
    ("tls.names", "Names in the certificate", RFC + "rfc9525", names),
    ("tls.expiry", "Validity of the certificate", RFC + "rfc5280#section-4.1.2.5", expiry),
    ("tls.key", "Key of the certificate", RFC + "rfc9325#section-4.5", key),
    ("tls.protocol", "Protocols", RFC + "rfc8996", protocol),
    ("tls.same", "Same certificate everywhere", RFC + "rfc8314", same),
    ("tls.tlsa", "TLSA records", RFC + "rfc7672", tlsa),
)
