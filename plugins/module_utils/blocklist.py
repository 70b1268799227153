# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether addresses and domains are in blocklists, and whether each list can be believed.

Every list is tested first (RFC 5782 section 5): one that does not list its test point, or lists what
must never be listed, has ended, or does not answer to this resolver. What it says of an address is
then *unknown*. An answer of 127.255.255.0/24 is an error and never a listing.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import blocklist_data
from ansible_collections.postmaster.mailhost.plugins.module_utils.blocklist_data import (
    ADDRESS,
    DOMAIN,
    Zone,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    FOUND,
    UNANSWERED,
    Answer,
    Answers,
    clean_name,
    reverse_name,
)

LISTED = "listed"
CLEAN = "clean"
UNKNOWN = "unknown"

#: The question was refused: ask through another resolver.
REFUSED = "refused"
#: The list does not work: it has ended, or somebody else has its name.
DEAD = "dead"
#: Nobody answered.
SILENT = "silent"
#: The list has been known to have ended.
RETIRED = "retired"
GOOD = "good"

#: What the error codes of Spamhaus mean, which other lists use too.
ERRORS = {
    "127.255.255.252": "the name of the zone is wrong",
    "127.255.255.254": "asked through a public resolver, or one without a name of its own",
    "127.255.255.255": "asked too often",
}

_ERROR_NETWORK = "127.255.255."


class State(NamedTuple):
    """Whether a list can be believed.

    Attributes:
        zone: the list.
        status: :data:`GOOD`, :data:`REFUSED`, :data:`DEAD`, :data:`SILENT` or :data:`RETIRED`.
        reason: why it is not good; empty otherwise.
    """

    zone: Zone
    status: str
    reason: str = ""


class Entry(NamedTuple):
    """What a list says of an address or a domain.

    Attributes:
        subject: the address or domain.
        zone: the list.
        status: :data:`LISTED`, :data:`CLEAN` or :data:`UNKNOWN`.
        codes: the list's answers.
        meaning: what they mean, or why it is unknown.
        text: what the list says to it (TXT).
    """

    subject: str
    zone: Zone
    status: str
    codes: tuple[str, ...] = ()
    meaning: str = ""
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        return {
            "subject": self.subject,
            "zone": self.zone.name,
            "status": self.status,
            "codes": list(self.codes),
            "meaning": self.meaning,
            "text": self.text,
            "page": self.zone.page,
        }


class Report(NamedTuple):
    """What all lists say.

    Attributes:
        states: whether each list can be believed.
        entries: what each says of each address and domain.
        addresses, domains: what was asked for.
    """

    states: tuple[State, ...]
    entries: tuple[Entry, ...]
    addresses: tuple[str, ...]
    domains: tuple[str, ...]


def clean_addresses(values: Iterable[str]) -> tuple[str, ...]:
    """Return addresses in their usual form, each once.

    Raises:
        ValueError: one is none.
    """
    import ipaddress

    found = {}
    for value in values:
        try:
            found[str(ipaddress.ip_address(value))] = None
        except ValueError as error:
            raise ValueError("addresses has {0!r}; allowed: IP addresses".format(value)) from error
    return tuple(found)


def choose(names: Iterable[str], domain_names: Iterable[str] = ()) -> tuple[Zone, ...]:
    """Return the lists to ask.

    Args:
        names: zones; every known one that has not ended when both are empty. A name that is not
            known is a list of addresses.
        domain_names: zones of domains that need not be known.

    Raises:
        ValueError: a name that is none.
    """
    chosen: dict[str, Zone] = {}
    for option, kind, values in (("zones", ADDRESS, names), ("domain_zones", DOMAIN, domain_names)):
        for value in values:
            name = clean_name(option, value)
            test = ("2.0.0.127",) if kind == ADDRESS else ("test",)
            new = Zone(name, name, kind, {}, "", ipv6=kind == ADDRESS, tests=test)
            chosen[name] = blocklist_data.BY_NAME.get(name, new)
    if chosen:
        return tuple(chosen.values())
    return tuple(zone for zone in blocklist_data.ZONES if not zone.retired)


def clean_key(key: str) -> str:
    """Return a key of Spamhaus' data query service.

    Raises:
        ValueError: it cannot be one. The text does not show it.
    """
    if key and not re.match(r"[0-9a-z]{10,63}\Z", key):
        raise ValueError("spamhaus_key is not a key; allowed: 10 to 63 small letters and digits")
    return key


def look(
    dns: Answers,
    addresses: Iterable[str],
    domains: Iterable[str],
    zones: Iterable[Zone],
    key: str = "",
) -> Report:
    """Ask every list about every address and domain, all at once, after testing the lists.

    Args:
        dns: where to ask.
        addresses: see :func:`clean_addresses`.
        domains: names in the form of the DNS.
        zones: the lists.
        key: key for Spamhaus' data query service; empty for none.
    """
    zones, addresses, domains = tuple(zones), tuple(addresses), tuple(domains)
    # A list of domains is not tested, and its limits not used up, when there is no domain.
    kinds = {ADDRESS: bool(addresses), DOMAIN: bool(domains)}
    zones = tuple(zone for zone in zones if kinds[zone.kind])
    states = self_test(dns, zones, key)
    questions = []
    for state in states:
        for subject in addresses if state.zone.kind == ADDRESS else domains:
            if ":" not in subject or state.zone.ipv6:
                questions.append((state, subject))
    good = [(state, subject) for state, subject in questions if state.status == GOOD]
    names = [_name(subject, state.zone, key) for state, subject in good]
    answers = dns.ask_all((name, "A") for name in names)
    found = {}
    for (state, subject), asked in zip(good, answers):
        found[state.zone.name, subject] = _entry(subject, state.zone, asked)
    # What a list says to an entry, for those that have one.
    listed = {
        (state.zone.name, subject): name
        for (state, subject), name in zip(good, names)
        if found[state.zone.name, subject].status == LISTED
    }
    texts = dns.ask_all((name, "TXT") for name in listed.values())
    for place, asked in zip(listed, texts):
        found[place] = found[place]._replace(text=_printable("; ".join(asked.records))[:300])
    entries = tuple(
        found.get((state.zone.name, subject))
        or Entry(subject, state.zone, UNKNOWN, (), state.reason)
        for state, subject in questions
        if state.status != RETIRED
    )
    return Report(tuple(states), entries, addresses, domains)


def self_test(dns: Answers, zones: Iterable[Zone], key: str) -> list[State]:
    """Test whether each list works, all at once.

    Args:
        dns: where to ask.
        zones: the lists; one that has ended is not asked.
        key: see :func:`look`.
    """
    zones = list(zones)
    questions: list[tuple[str, str]] = []
    for zone in zones:
        if not zone.retired:
            # What must be listed, and at the end what must not be.
            never = "1.0.0.127" if zone.kind == ADDRESS else "invalid"
            questions += [(_below(name, zone, key), "A") for name in (*zone.tests, never)]
    answers = iter(dns.ask_all(questions))
    states = []
    for zone in zones:
        if zone.retired:
            states.append(State(zone, RETIRED, "ended in {0}".format(zone.retired)))
            continue
        listed = [next(answers) for _name in zone.tests]
        states.append(State(zone, *_judge(zone, listed, next(answers))))
    return states


def _judge(zone: Zone, listed: list[Answer], never: Answer) -> tuple[str, str]:
    """Return status and reason of a list from its test points."""
    for asked in (*listed, never):
        for code in asked.records:
            if _is_error(code, zone):
                return REFUSED, "{0} ({1})".format(
                    ERRORS.get(code, "the question was refused"), code
                )
            if not code.startswith("127."):
                return DEAD, "it answers {0}, so somebody else has its name".format(code)
    if never.status == FOUND:
        return DEAD, "it lists everybody"
    if any(asked.status == FOUND for asked in listed):
        return GOOD, ""
    silent = [asked for asked in (*listed, never) if asked.status == UNANSWERED]
    if silent:
        return SILENT, silent[0].reason
    return DEAD, "it does not list its own test point"


def _entry(subject: str, zone: Zone, asked: Answer) -> Entry:
    """Return what a list that works says."""
    if asked.status == UNANSWERED:
        return Entry(subject, zone, UNKNOWN, (), asked.reason)
    if asked.status != FOUND:
        # An empty answer is none either.
        return Entry(subject, zone, CLEAN)
    codes = asked.records
    for code in codes:
        if _is_error(code, zone):
            reason = ERRORS.get(code, "the question was refused")
            return Entry(subject, zone, UNKNOWN, codes, reason)
        if not code.startswith("127."):
            return Entry(subject, zone, UNKNOWN, codes, "this is no answer of a blocklist")
    return Entry(subject, zone, LISTED, codes, ", ".join(_meaning(code, zone) for code in codes))


def _meaning(code: str, zone: Zone) -> str:
    if code in zone.codes:
        return zone.codes[code]
    last = int(code.rpartition(".")[2])
    return ", ".join(text for bit, text in zone.bits.items() if last & bit) or "listed"


def _is_error(code: str, zone: Zone) -> bool:
    return code.startswith(_ERROR_NETWORK) or code in zone.errors


def _name(subject: str, zone: Zone, key: str) -> str:
    """Return the name to ask for: reversed octets, 32 reversed nibbles of IPv6, or the domain."""
    if zone.kind == ADDRESS:
        # Without in-addr.arpa or ip6.arpa.
        subject = reverse_name(subject).rsplit(".", 2)[0]
    return _below(subject, zone, key)


def _below(name: str, zone: Zone, key: str) -> str:
    place = blocklist_data.WITH_KEY.get(zone.name) if key else None
    return "{0}.{1}".format(name, place.format(key) if place else zone.name)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
