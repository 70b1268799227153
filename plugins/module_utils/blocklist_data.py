# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocklists in the DNS: what each answers, who takes an entry off it, and those that have ended.

Codes and test points are those that the lists' own pages name. A list that has ended stays here, so
that a configuration which still asks it is told so: some of them answer that everybody is listed.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple


class Zone(NamedTuple):
    """A blocklist.

    Attributes:
        name: its zone.
        title: who keeps it.
        kind: ``address`` or ``domain``: what is looked up in it.
        codes: meaning of each answer.
        bits: meaning of each bit of the last number of an answer, for lists that add them up.
        errors: answers beside 127.255.255.0/24 that say that the question was refused.
        ipv6: whether IPv6 addresses are in it.
        major: whether large receivers use it, so that a listing stops mail.
        tests: names of which one must be listed (RFC 5782); ``2.0.0.127`` for addresses.
        page: where to look up an entry and have it removed.
        retired: year in which it ended; 0 while it is kept.
    """

    name: str
    title: str
    kind: str
    codes: Mapping[str, str]
    page: str
    bits: Mapping[int, str] = {}
    errors: tuple[str, ...] = ()
    ipv6: bool = False
    major: bool = False
    tests: tuple[str, ...] = ("2.0.0.127",)
    retired: int = 0


ADDRESS = "address"
DOMAIN = "domain"

_LISTED = {"127.0.0.2": "listed"}

#: Codes of Spamhaus: https://www.spamhaus.org/faqs/dnsbl-usage/
_ZEN = {
    "127.0.0.2": "SBL, a source of spam",
    "127.0.0.3": "CSS, sends spam",
    "127.0.0.4": "XBL, infected or misused",
    "127.0.0.9": "DROP, a network of criminals",
    "127.0.0.10": "PBL, the provider says that no mail comes from here; ask for a removal",
    "127.0.0.11": "PBL, no mail is expected from here; ask for a removal",
    "127.0.0.30": "BCL, controls infected machines",
}
_DBL = {
    "127.0.1.2": "low reputation",
    "127.0.1.4": "phishing",
    "127.0.1.5": "malware",
    "127.0.1.6": "controls infected machines",
    "127.0.1.102": "misused, low reputation",
    "127.0.1.103": "misused redirector",
    "127.0.1.104": "misused, phishing",
    "127.0.1.105": "misused, malware",
    "127.0.1.106": "misused, controls infected machines",
}

ZONES = (
    Zone(
        "zen.spamhaus.org",
        "Spamhaus",
        ADDRESS,
        _ZEN,
        "https://check.spamhaus.org/",
        ipv6=True,
        major=True,
    ),
    Zone(
        "bl.spamcop.net",
        "SpamCop",
        ADDRESS,
        _LISTED,
        "https://www.spamcop.net/bl.shtml",
        major=True,
    ),
    Zone(
        "b.barracudacentral.org",
        "Barracuda; resolvers must be registered",
        ADDRESS,
        _LISTED,
        "https://www.barracudacentral.org/lookups",
        major=True,
    ),
    Zone("psbl.surriel.com", "PSBL", ADDRESS, _LISTED, "https://psbl.org/"),
    Zone(
        "dnsbl-1.uceprotect.net",
        "UCEPROTECT level 1",
        ADDRESS,
        _LISTED,
        "https://www.uceprotect.net/en/rblcheck.php",
    ),
    Zone(
        "bl.mailspike.net",
        "Mailspike",
        ADDRESS,
        {
            "127.0.0.2": "listed",
            "127.0.0.10": "worst reputation",
            "127.0.0.11": "very bad reputation",
            "127.0.0.12": "bad reputation",
        },
        "https://www.mailspike.org/",
    ),
    Zone(
        "bl.blocklist.de",
        "blocklist.de, attacks on servers",
        ADDRESS,
        {},
        "https://www.blocklist.de/en/delist.html",
        ipv6=True,
    ),
    Zone(
        "dbl.spamhaus.org",
        "Spamhaus",
        DOMAIN,
        _DBL,
        "https://check.spamhaus.org/",
        errors=("127.0.1.255",),
        major=True,
        tests=("dbltest.com", "test"),
    ),
    Zone(
        "multi.surbl.org",
        "SURBL",
        DOMAIN,
        {},
        "https://surbl.org/surbl-analysis",
        bits={8: "phishing", 16: "malware", 64: "advertised in spam", 128: "broken into"},
        errors=("127.0.0.1",),
        major=True,
        tests=("test.surbl.org", "test"),
    ),
    Zone(
        "multi.uribl.com",
        "URIBL",
        DOMAIN,
        {},
        "https://admin.uribl.com/",
        bits={2: "black", 4: "grey", 8: "red"},
        errors=("127.0.0.1", "127.0.0.255"),
        tests=("test.uribl.com", "test"),
    ),
    # Ended.
    Zone("dnsbl.sorbs.net", "SORBS", ADDRESS, {}, "", retired=2024),
    Zone("ix.dnsbl.manitu.net", "NiX Spam", ADDRESS, {}, "", retired=2025),
    Zone("cbl.abuseat.org", "CBL, a part of zen.spamhaus.org", ADDRESS, {}, "", retired=2021),
    Zone("dnsbl.njabl.org", "NJABL", ADDRESS, {}, "", retired=2013),
    Zone("dnsbl.ahbl.org", "AHBL, which lists everybody", ADDRESS, {}, "", retired=2015),
    Zone("relays.ordb.org", "ORDB, which lists everybody", ADDRESS, {}, "", retired=2006),
    Zone("spam-rbl.com", "a list of 2003", ADDRESS, {}, "", retired=2003),
)

BY_NAME = {zone.name: zone for zone in ZONES}

#: Where a subscriber of Spamhaus asks instead; the key is the first part of the name.
WITH_KEY = {
    "zen.spamhaus.org": "{0}.zen.dq.spamhaus.net",
    "dbl.spamhaus.org": "{0}.dbl.dq.spamhaus.net",
}
