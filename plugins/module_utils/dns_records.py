# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records that a mail host and its domains should publish.

The checks of the DNS propose the same ones, and find nothing wrong with them.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import dns
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import Record

#: What a domain may send from: its mail servers, and nobody else (RFC 7208).
SPF = "v=spf1 mx -all"
#: The same for the server's own name, which bounces come from.
HOST_SPF = "v=spf1 a -all"

POLICIES = ("none", "quarantine", "reject")

#: Name of a service -> port (RFC 6186, RFC 8314, RFC 6764, and Microsoft's autodiscover).
SERVICES = {
    "submissions": 465,
    "submission": 587,
    "imaps": 993,
    "imap": 143,
    "pop3s": 995,
    "pop3": 110,
    "sieve": 4190,
    "caldavs": 443,
    "carddavs": 443,
    "autodiscover": 443,
}

_SELECTOR = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\Z"
)
_KEY = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
_TLSA = re.compile(r"[0-3] [01] [0-2] [0-9A-Fa-f]+\Z")
_MAILBOX = re.compile(r"[^\s@,;!]+@[^\s@,;!]+\Z")
_STS_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")


class Entry(NamedTuple):
    """A record to publish.

    Attributes:
        zone: the domain that it is published for.
        record: the record.
        note: why, in words; empty when that is plain.
    """

    zone: str
    record: Record
    note: str = ""


class Options(NamedTuple):
    """What is to be published. See the filter ``zone_records``."""

    ipv4: Sequence[str] = ()
    ipv6: Sequence[str] = ()
    dkim: Mapping[str, Mapping[str, str]] = {}
    spf: str = SPF
    dmarc: str = "none"
    dmarc_rua: str = ""
    dmarc_ruf: str = ""
    mta_sts: str = ""
    tls_rpt: str = ""
    tlsa: Sequence[str] = ()
    autoconfig: bool = True
    services: Sequence[str] = ("submissions", "imaps")
    caa: Sequence[str] = ()


def mx(domain: str, hostname: str) -> Record:
    """Return the record that sends a domain's mail to a server."""
    return Record(domain, "MX", "10 " + hostname)


def spf(name: str, policy: str = SPF) -> Record:
    """Return the record that says who may send in a name."""
    return Record(name, "TXT", policy)


def dmarc(name: str, policy: str = "none", rua: str = "", ruf: str = "") -> Record:
    """Return the record that says what receivers do with mail that SPF and DKIM do not vouch for.

    Args:
        name: the domain.
        policy: one of :data:`POLICIES`.
        rua: address that gets reports on all mail.
        ruf: address that gets reports on single mails.
    """
    text = "v=DMARC1; p=" + policy
    for tag, address in (("rua", rua), ("ruf", ruf)):
        if address:
            text += "; {0}=mailto:{1}".format(tag, address)
    return Record("_dmarc." + name, "TXT", text)


def client_name(label: str, domain: str, hostname: str) -> Record:
    """Return the record by which mail programs find their settings."""
    return Record("{0}.{1}".format(label, domain), "CNAME", hostname)


def caa(name: str, authority: str) -> Record:
    """Return the record that lets a certificate authority issue for a name (RFC 8659)."""
    return Record(name, "CAA", '0 issue "{0}"'.format(authority))


def wanted(domains: Iterable[str], hostname: str, options: Options) -> list[Entry]:
    """Return the records that a server and its mail domains should publish.

    Args:
        domains: mail domains.
        hostname: the server's name.
        options: what else is known, and what is wished.

    Returns:
        list[Entry]: by zone, that of the server first; no record twice.

    Raises:
        ValueError: an option is not allowed; the text names it, its value and what is.
    """
    hostname = dns.clean_name("hostname", hostname)
    names = list(dict.fromkeys(dns.clean_name("domains", name) for name in domains))
    _check(options)
    dkim = {dns.clean_name("dkim", name): item for name, item in options.dkim.items()}
    found = _host(hostname, names, options)
    for domain in names:
        found += _domain(domain, hostname, names, options, dkim.get(domain))
    order = list(dict.fromkeys([_zone_of(hostname, names), *names]))
    order += [item.zone for item in found if item.zone not in order]
    unique = {item.record: item for item in reversed(found)}
    kept = [item for item in found if unique[item.record] is item]
    return sorted(kept, key=lambda item: order.index(item.zone))


def _check(options: Options) -> None:
    """Refuse options that would be a faulty record."""
    for option, addresses, kind in (("ipv4", options.ipv4, "A"), ("ipv6", options.ipv6, "AAAA")):
        for address in addresses:
            try:
                dns.reverse_name(address)
                right = dns.address_type(address) == kind
            except ValueError:
                right = False
            if not right:
                raise ValueError(
                    "{0} has {1!r}; allowed: IPv{2} addresses".format(option, address, option[-1])
                )
    if not re.match(r"v=spf1( |\Z)", options.spf) or not options.spf.isascii():
        raise ValueError("spf is {0!r}; allowed: v=spf1 and its terms".format(options.spf))
    if options.dmarc not in POLICIES:
        raise ValueError("dmarc is {0!r}; allowed: {1}".format(options.dmarc, ", ".join(POLICIES)))
    for option in ("dmarc_rua", "dmarc_ruf", "tls_rpt"):
        value = getattr(options, option)
        if value and not _MAILBOX.match(value):
            raise ValueError("{0} is {1!r}; allowed: one e-mail address".format(option, value))
    if options.mta_sts and not _STS_ID.match(options.mta_sts):
        raise ValueError(
            "mta_sts is {0!r}; allowed: up to 32 letters and digits, another one after each change "
            "of the policy".format(options.mta_sts)
        )
    for value in options.tlsa:
        if not _TLSA.match(value):
            raise ValueError("tlsa has {0!r}; allowed: such as 3 1 1 0123abcd".format(value))
    for value in options.services:
        if value not in SERVICES:
            raise ValueError("services has {0!r}; allowed: {1}".format(value, ", ".join(SERVICES)))
    for value in options.caa:
        dns.clean_name("caa", value)


def _zone_of(name: str, domains: Sequence[str]) -> str:
    """Return the domain that has a name's records: the nearest mail domain, else the one above."""
    above = dns.parents(name)
    return next((item for item in above if item in domains), above[1] if len(above) > 2 else name)


def _host(hostname: str, domains: Sequence[str], options: Options) -> list[Entry]:
    """Return the records of the server itself."""
    zone = _zone_of(hostname, domains)
    found = [Entry(zone, Record(hostname, "A", item)) for item in options.ipv4]
    found += [Entry(zone, Record(hostname, "AAAA", item)) for item in options.ipv6]
    if hostname not in domains:
        bounces = "bounces come from the server's own name"
        found.append(Entry(zone, spf(hostname, HOST_SPF), bounces))
        if zone not in domains:
            report = dmarc(hostname, options.dmarc, options.dmarc_rua, options.dmarc_ruf)
            found.append(Entry(zone, report, bounces))
            found += _report_entry(hostname, domains, options)
    signed = "only in a zone that is signed with DNSSEC"
    found += [Entry(zone, Record("_25._tcp." + hostname, "TLSA", i), signed) for i in options.tlsa]
    if zone not in domains:
        found += [Entry(zone, caa(hostname, item)) for item in options.caa]
    return found


def _domain(
    domain: str,
    hostname: str,
    domains: Sequence[str],
    options: Options,
    dkim: Mapping[str, str] | None,
) -> list[Entry]:
    """Return the records of a mail domain."""
    records = [mx(domain, hostname), spf(domain, options.spf)]
    if dkim:
        records.append(signing_key(domain, dkim))
    records.append(dmarc(domain, options.dmarc, options.dmarc_rua, options.dmarc_ruf))
    if options.mta_sts:
        text = "v=STSv1; id=" + options.mta_sts
        records.append(Record("_mta-sts." + domain, "TXT", text))
        records.append(client_name("mta-sts", domain, hostname))
    if options.tls_rpt:
        text = "v=TLSRPTv1; rua=mailto:" + options.tls_rpt
        records.append(Record("_smtp._tls." + domain, "TXT", text))
    if options.autoconfig:
        records += [client_name(item, domain, hostname) for item in ("autoconfig", "autodiscover")]
    for service in dict.fromkeys(options.services):
        name = "_{0}._tcp.{1}".format(service, domain)
        records.append(Record(name, "SRV", "0 1 {0} {1}".format(SERVICES[service], hostname)))
    records += [caa(domain, item) for item in options.caa]
    # A name has no other records beside an alias, and is none of itself.
    plain = [item for item in records if item.type != "CNAME" or item.name != hostname]
    plain = [item for item in plain if item.type != "CNAME" or item.name not in domains]
    return [Entry(domain, item) for item in plain] + _report_entry(domain, domains, options)


def signing_key(domain: str, key: Mapping[str, str]) -> Record:
    """Return the record with the key that a domain's mail is signed with (RFC 6376).

    Args:
        domain: the mail domain.
        key: ``selector``, ``public_key`` (base64 without line ends), and ``type`` (``rsa`` when left
            out).

    Raises:
        ValueError: a selector or a key that is none; the text names it.
    """
    selector, public = key.get("selector", ""), key.get("public_key", "")
    if not _SELECTOR.match(selector):
        raise ValueError(
            "dkim: {0}: selector is {1!r}; allowed: labels such as dkim".format(domain, selector)
        )
    if not _KEY.match(public):
        raise ValueError(
            "dkim: {0}: public_key is no key; allowed: its base64 without line ends".format(domain)
        )
    text = "v=DKIM1; k={0}; p={1}".format(key.get("type") or "rsa", public)
    return Record("{0}._domainkey.{1}".format(selector, domain), "TXT", text)


def _report_entry(domain: str, domains: Sequence[str], options: Options) -> list[Entry]:
    """Return the consent of the domain that gets reports for another one (RFC 7489 section 7.1)."""
    found = []
    for address in (options.dmarc_rua, options.dmarc_ruf):
        if address:
            taker = dns.clean_name("dmarc_rua", address.rpartition("@")[2])
            related = {domain, *dns.parents(domain)[:-1]}
            if taker not in related and domain not in dns.parents(taker):
                name = "{0}._report._dmarc.{1}".format(domain, taker)
                note = "{0} takes reports on {1}".format(taker, domain)
                zone = _zone_of(taker, domains) if taker in domains else taker
                found.append(Entry(zone, Record(name, "TXT", "v=DMARC1"), note))
    return found


def as_dict(entry: Entry, ttl: int) -> dict[str, Any]:
    """Return an entry as a filter gives it to Jinja."""
    record = entry.record
    name, _in, rest = record.text.partition(" IN ")
    return {
        "zone": entry.zone,
        "name": record.name,
        "type": record.type,
        "value": record.value,
        "ttl": ttl,
        "note": entry.note,
        "text": "{0} {1} IN {2}".format(name, ttl, rest),
    }


def snippet(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return entries of :func:`as_dict` as lines of zone files, grouped by zone."""
    lines: list[str] = []
    zone = None
    for entry in entries:
        if entry["zone"] != zone:
            zone = entry["zone"]
            lines += [""] * bool(lines) + ["; for the zone of {0}".format(zone)]
        if entry["note"]:
            lines.append("; {0}:".format(entry["note"]))
        lines.append(entry["text"])
    return "\n".join(lines) + "\n" * bool(lines)
