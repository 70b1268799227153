# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS of a mail host: its name, its addresses, and the records of the domains it is for.

A server is often made before its domains are moved to it. So only what the server itself needs is a
failure: its name and its addresses in both directions, and an MX record that is faulty. A domain
whose records are missing or lead elsewhere is a warning.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_records
from ansible_collections.postmaster.mailhost.plugins.module_utils import spf as sender_policy
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    EMPTY,
    FOUND,
    MISSING,
    Answer,
    Answers,
    Record,
    address_type,
    clean_name,
    parents,
    reverse_name,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)

# A name that nobody has: only a wildcard answers for it.
_ABSENT = "mailhost-no-such-name"

# What providers call the addresses of customers who have not named theirs.
_GENERIC_WORD = re.compile(
    r"(?:^|[.\-_\d])(dyn|dynamic|dynip|[avsx]?dsl|dhcp|dial|dialup|dialin|pool|ppp|pppoe|cable|"
    r"broadband|cust|customers?|clients?|static|unassigned|unused|nat|cgnat)(?=[.\-_\d]|\Z)"
)

# Answers over UDP should not need a second packet (RFC 7208 section 3.4).
_LONG_SPF = 450

_ISSUE_METHODS = ("http-01",)


class DnsNeed(NamedTuple):
    """What the checks of the DNS compare with.

    Attributes:
        stack: name of the stack; empty when there is none.
        title: the stack in words.
        hostname: fully qualified name of the server; empty when it has none yet.
        domains: mail domains that the server is for.
        ipv4: IPv4 addresses that the server sends from, as the world sees them.
        ipv6: the same for IPv6.
        guessed: the addresses were read from the server, so a private one is not what the world
            sees.
        ca: domains of the certificate authorities that the stack may use, as in CAA records.
        autoconfig: the stack answers for autodiscover and autoconfig.
        dkim: domain, selector and public key (base64) of each key that mail is signed with.
        sources: page with the rule, by name.
    """

    stack: str
    title: str
    hostname: str
    domains: tuple[str, ...]
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    guessed: bool
    ca: tuple[str, ...]
    autoconfig: bool
    dkim: tuple[tuple[str, str, str], ...]
    sources: Mapping[str, str]


def from_options(
    hostname: str,
    domains: Iterable[str] = (),
    ipv4: Iterable[str] = (),
    ipv6: Iterable[str] = (),
    guessed: bool = False,
    certificate_authorities: Iterable[str] = ("letsencrypt.org",),
    stack: Mapping[str, Any] | None = None,
    dkim: Mapping[str, Mapping[str, str]] | None = None,
) -> DnsNeed:
    """Return what the checks compare with.

    Args:
        hostname: name of the server; may be empty.
        domains: mail domains.
        ipv4: IPv4 addresses of the server.
        ipv6: IPv6 addresses of the server.
        guessed: see :class:`DnsNeed`.
        certificate_authorities: as in CAA records.
        stack: the stack's data, see ``stack.get``; None for no stack.
        dkim: domain to ``selector`` and ``public_key`` of the key that its mail is signed with.

    Raises:
        ValueError: a value that is not allowed; the text names the option, the value and what is.
    """
    data = stack or {}
    return DnsNeed(
        stack=data.get("name", ""),
        title=data.get("title", "a mail server"),
        hostname=clean_name("hostname", hostname) if hostname else "",
        domains=_clean_names("domains", domains),
        ipv4=_clean_addresses("ipv4", ipv4, 4),
        ipv6=_clean_addresses("ipv6", ipv6, 6),
        guessed=guessed,
        ca=_clean_names("certificate_authorities", certificate_authorities),
        # Stacks with a web interface answer for them, unless their data says otherwise.
        autoconfig=bool(stack) and bool(data.get("autoconfig", True)),
        dkim=_clean_keys(dkim or {}),
        sources=data.get("sources", {}),
    )


def _clean_keys(dkim: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, str, str], ...]:
    found = []
    for name, key in dkim.items():
        missing = [part for part in ("selector", "public_key") if not (key or {}).get(part)]
        if missing:
            raise ValueError("dkim: {0} lacks {1}".format(name, " and ".join(missing)))
        found.append((clean_name("dkim", name), str(key["selector"]), str(key["public_key"])))
    return tuple(found)


def _clean_names(option: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clean_name(option, value) for value in values))


def _clean_addresses(option: str, values: Iterable[str], version: int) -> tuple[str, ...]:
    import ipaddress

    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    found = {}
    for value in values:
        try:
            found[str(kind(value))] = None
        except ValueError as error:
            raise ValueError(
                "{0} has {1!r}; allowed: IPv{2} addresses".format(option, value, version)
            ) from error
    return tuple(found)


class _Addresses(NamedTuple):
    """The server's addresses: those to check, and those nobody can check."""

    checked: tuple[str, ...]
    private: tuple[str, ...]

    def of(self, type_: str) -> tuple[str, ...]:
        """The addresses to check that a record of this type can have."""
        return tuple(address for address in self.checked if address_type(address) == type_)


def _addresses(need: DnsNeed) -> _Addresses:
    """Sort the addresses: one that was guessed and is private is not what the world sees."""
    import ipaddress

    everything = need.ipv4 + need.ipv6
    private = tuple(
        address
        for address in everything
        if need.guessed and not ipaddress.ip_address(address).is_global
    )
    return _Addresses(tuple(item for item in everything if item not in private), private)


def _no_hostname(required: str) -> list[Finding]:
    return [
        answer(
            SKIP,
            "the server has no name yet",
            required,
            "Name it in hostname (preflight_hostname).",
        )
    ]


def _no_domains(required: str) -> list[Finding]:
    return [
        answer(SKIP, "no mail domain is named", required, "Name it in domains (preflight_domains).")
    ]


def _no_address(addresses: _Addresses, required: str) -> list[Finding]:
    """Answer for each address that cannot be checked, or that there is none at all."""
    if not addresses.checked and not addresses.private:
        observed = "no address of the server is known"
        fix = "Name it in preflight_public_ipv4 or preflight_public_ipv6."
        return [answer(SKIP, observed, required, fix)]
    return [
        answer(
            SKIP,
            "{0} is a private address".format(address),
            required,
            "Private address; name the public one in preflight_public_ipv{0}.".format(
                6 if ":" in address else 4
            ),
        )
        for address in addresses.private
    ]


def _unanswered(asked: Answer, required: str) -> Finding:
    """Say that nobody knows the answer to a question."""
    return answer(
        UNKNOWN,
        "no answer for {0}: {1}".format(asked.question, asked.reason),
        required,
        "Ask by hand: dig {0} {1}. Or name another resolver in nameservers.".format(
            asked.name, asked.type
        ),
    )


def _one_or_all(problems: list[Finding], observed: str, required: str) -> list[Finding]:
    """Return the problems, or one finding that all is well."""
    return problems or [answer(OK, observed, required)]


def _count(number: int, word: str) -> str:
    return "{0} {1}{2}".format(number, word, "" if number == 1 else "s")


def _nothing(asked: Answer) -> str:
    """Say in words that there is no such record."""
    if asked.status == MISSING:
        return "{0} does not exist".format(asked.name)
    return "{0} has no {1} record".format(asked.name, asked.type)


def _publish(*records: Record) -> str:
    return "Publish: {0}".format("; ".join(record.text for record in records))


def _hosts(mx: Answer) -> list[tuple[int, str]]:
    """Return preference and name of each MX record, the preferred one first."""
    found = []
    for text in mx.records:
        preference, name = text.split()
        found.append((int(preference), name))
    return sorted(found)


# --- the name and the addresses of the server ---------------------------------------------------


def address(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Compare the A and AAAA records of the server's name with its addresses.

    No A record, or records that all lead elsewhere: ``fail``, since neither mail nor certificates
    arrive. Some that lead elsewhere, no AAAA record though the server has IPv6, and an AAAA record
    though it has none: ``warn``. A private address that was read from the server, and not named
    by the administrator, is not compared: ``skip``.
    """
    required = "A and AAAA of {0} are the server's addresses".format(need.hostname or "the server")
    if not need.hostname:
        return _no_hostname(required)
    addresses = _addresses(need)
    findings = _no_address(addresses, required)
    if not addresses.checked:
        return findings
    good = []
    questions = [(need.hostname, "A"), (need.hostname, "AAAA")]
    for asked in zone.ask_all(questions):
        own = addresses.of(asked.type)
        if not asked.known:
            findings.append(_unanswered(asked, required))
        elif own:
            trouble = _compare(asked, own, required)
            findings += trouble
            if not trouble:
                good += asked.records
        elif asked.records and not any(
            address_type(item) == asked.type for item in addresses.private
        ):
            observed = "{0} is {1}, but the server has no public IPv{2} address".format(
                asked.question, ", ".join(asked.records), 4 if asked.type == "A" else 6
            )
            fix = "Remove the record, or give the server the address."
            findings.append(answer(WARN, observed, required, fix))
    if good and not any(item.status in (FAIL, WARN, UNKNOWN) for item in findings):
        findings.insert(
            0, answer(OK, "{0} is {1}".format(need.hostname, ", ".join(good)), required)
        )
    return findings


def _compare(asked: Answer, own: tuple[str, ...], required: str) -> list[Finding]:
    """Return what is wrong with the addresses of one family."""
    wanted = _publish(*(Record(asked.name, asked.type, item) for item in own))
    foreign = [item for item in asked.records if item not in own]
    if not asked.records:
        status = FAIL if asked.type == "A" else WARN
        observed = "{0}; the server has {1}".format(_nothing(asked), ", ".join(own))
        return [answer(status, observed, required, wanted)]
    if not foreign:
        return []
    observed = "{0} is {1}; the server has {2}".format(
        asked.question, ", ".join(asked.records), ", ".join(own)
    )
    status = FAIL if len(foreign) == len(asked.records) else WARN
    return [answer(status, observed, required, wanted + "; remove what leads elsewhere")]


def cname_hostname(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Refuse a server name that is an alias.

    MX records must lead to a name with addresses (RFC 5321, RFC 2181), and receivers compare the
    name in the greeting with the reverse record. An alias: ``fail``.
    """
    required = "{0} is no alias (CNAME)".format(need.hostname or "the server's name")
    if not need.hostname:
        return _no_hostname(required)
    asked = zone.ask(need.hostname, "A")
    if not asked.known:
        return [_unanswered(asked, required)]
    if asked.cname_chain:
        observed = "{0} is an alias of {1}".format(need.hostname, " → ".join(asked.cname_chain))
        fix = "Replace the CNAME record of {0} by A and AAAA records.".format(need.hostname)
        return [answer(FAIL, observed, required, fix)]
    if asked.status == MISSING:
        return [answer(SKIP, "{0} does not exist".format(need.hostname), required)]
    return [answer(OK, "no alias", required)]


def reverse(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Compare the reverse record (PTR) of each sending address with the server's name.

    No such record, or another name: ``fail``, since large receivers refuse mail from such an
    address, over IPv6 always. Several of which one is right: ``warn``, since a receiver takes any
    of them. The owner of the address publishes it: the provider, not the domain's own zone.
    """
    required = "one PTR for each sending address: {0}".format(need.hostname or "the server's name")
    if not need.hostname:
        return _no_hostname(required)
    addresses = _addresses(need)
    findings = _no_address(addresses, required)
    if not addresses.checked:
        return findings
    for item, asked in _pointers(zone, addresses):
        if not asked.known:
            findings.append(_unanswered(asked, required))
            continue
        if asked.records == (need.hostname,):
            continue
        fix = "Let the provider of {0} (panel or API) set its reverse record to {1}.".format(
            item, need.hostname
        )
        if not asked.records:
            observed = "{0} has no PTR record".format(item)
            findings.append(answer(FAIL, observed, required, fix))
            continue
        status = WARN if need.hostname in asked.records else FAIL
        observed = "PTR of {0} is {1}".format(item, " and ".join(asked.records))
        findings.append(answer(status, observed, required, fix))
    return _with_all_well(findings, "{0} of {1}", addresses, need, required)


def _with_all_well(
    findings: list[Finding], text: str, addresses: _Addresses, need: DnsNeed, required: str
) -> list[Finding]:
    """Say that all is well with the addresses that were checked, unless something is not."""
    if all(item.status == SKIP for item in findings):
        observed = text.format(need.hostname, ", ".join(addresses.checked))
        return [answer(OK, observed, required), *findings]
    return findings


def _pointers(zone: Answers, addresses: _Addresses) -> list[tuple[str, Answer]]:
    """Return the reverse record of each address."""
    answers = zone.ask_all([(reverse_name(item), "PTR") for item in addresses.checked])
    return list(zip(addresses.checked, answers))


def forward_confirmed(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Follow the reverse record of each sending address back to the address.

    Receivers do the same. A name that does not lead back: ``fail``. Without a reverse record there
    is nothing to follow: ``skip``, see ``dns.reverse``.
    """
    required = "the name in the PTR of each sending address leads back to it"
    if not need.hostname:
        return _no_hostname(required)
    addresses = _addresses(need)
    findings = _no_address(addresses, required)
    if not addresses.checked:
        return findings
    pointers = _pointers(zone, addresses)
    confirmed = []
    zone.ask_all([(name, address_type(item)) for item, asked in pointers for name in asked.records])
    for item, asked in pointers:
        if not asked.known:
            findings.append(_unanswered(asked, required))
        elif not asked.records:
            findings.append(answer(SKIP, "{0} has no PTR record".format(item), required))
        for name in asked.records:
            back = zone.ask(name, address_type(item))
            if not back.known:
                findings.append(_unanswered(back, required))
            elif item in back.records:
                confirmed.append("{0} → {1} → {0}".format(item, name))
            else:
                found = ", ".join(back.records) or "nothing"
                findings.append(
                    answer(
                        FAIL,
                        "PTR of {0} is {1}, whose {2} is {3}".format(item, name, back.type, found),
                        required,
                        "Correct the reverse record, or publish: {0}".format(
                            Record(name, back.type, item).text
                        ),
                    )
                )
    if confirmed and all(item.status == SKIP for item in findings):
        findings.insert(0, answer(OK, ", ".join(confirmed), required))
    return findings


def generic_reverse(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look for reverse records that look like those of a provider's pool: ``warn``.

    Receivers take mail from such names for mail from somebody's home. Looked for are the address
    itself within the name, and words such as ``dsl``, ``dyn``, ``pool`` or ``static``. This is
    a guess: another receiver has other rules.
    """
    required = "a PTR that does not look like a provider's own"
    if not need.hostname:
        return _no_hostname(required)
    addresses = _addresses(need)
    findings = _no_address(addresses, required)
    if not addresses.checked:
        return findings
    seen = []
    for item, asked in _pointers(zone, addresses):
        if not asked.known:
            findings.append(_unanswered(asked, required))
        elif not asked.records:
            findings.append(answer(SKIP, "{0} has no PTR record".format(item), required))
        for name in asked.records:
            sign = _generic(name, item)
            if sign:
                findings.append(
                    answer(
                        WARN,
                        "PTR of {0} is {1}: it has {2}".format(item, name, sign),
                        required,
                        "Let the provider set a name of your own, best {0}.".format(need.hostname),
                    )
                )
            else:
                seen.append(name)
    if seen and all(item.status == SKIP for item in findings):
        findings.insert(0, answer(OK, ", ".join(dict.fromkeys(seen)), required))
    return findings


def _generic(name: str, item: str) -> str:
    """Return what makes a name look like a pool's; empty when nothing does."""
    import ipaddress

    # The registered domain is the owner's own word.
    host = ".".join(name.split(".")[:-2])
    parsed = ipaddress.ip_address(item)
    if parsed.version == 4:
        octets = item.split(".")
        padded = "".join("{0:03d}".format(int(octet)) for octet in octets)
        hexadecimal = "".join("{0:02x}".format(int(octet)) for octet in octets)
        # Three in a row are enough; so many providers name the fourth one apart.
        for parts in (octets, octets[::-1]):
            for three in (parts[:3], parts[1:]):
                if re.search(r"(?<!\d)0*" + r"[.\-_x]0*".join(three) + r"(?!\d)", name):
                    return "the address in it"
        if padded in host or hexadecimal in host:
            return "the address in it"
    else:
        digits = re.sub(r"[.\-_]", "", name)
        nibbles = parsed.exploded.replace(":", "")
        groups = [group.lstrip("0") or "0" for group in parsed.exploded.split(":")]
        if (
            nibbles in digits
            or nibbles[::-1] in digits
            or "-".join(groups) in name
            # With the zeros between left out, as in 2001-db8--1.
            or re.search(r"(?<![0-9a-f]){0}(?![0-9a-f])".format(item.replace(":", "-")), name)
        ):
            return "the address in it"
    word = _GENERIC_WORD.search(host)
    return "the word {0!r}".format(word.group(1)) if word else ""


# --- where mail for the domains goes -----------------------------------------------------------


def mx(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look for the server's name among the MX records of each mail domain.

    No MX record, other servers only, another one preferred, or a null MX (the domain takes no mail,
    RFC 7505): ``warn``, since a domain may be moved after the server is made.
    """
    required = "MX of each mail domain has {0}".format(need.hostname or "the server's name")
    if not need.hostname:
        return _no_hostname(required)
    if not need.domains:
        return _no_domains(required)
    problems = []
    for asked in zone.ask_all([(domain, "MX") for domain in need.domains]):
        if not asked.known:
            problems.append(_unanswered(asked, required))
            continue
        hosts = _hosts(asked)
        names = [name for _preference, name in hosts]
        fix = _publish(dns_records.mx(asked.name, need.hostname))
        if not hosts:
            observed = _nothing(asked)
            if asked.status == EMPTY:
                observed += "; mail goes to the address of {0}, if there is one".format(asked.name)
            problems.append(answer(WARN, observed, required, fix))
        elif "." in names:
            observed = "{0} has a null MX: it takes no mail".format(asked.name)
            fix = "Remove the record 0 . and publish: {0}".format(
                dns_records.mx(asked.name, need.hostname).text
            )
            problems.append(answer(WARN, observed, required, fix))
        elif need.hostname not in names:
            observed = "MX of {0} is {1}".format(asked.name, ", ".join(names))
            fix = "When the domain is moved, {0}".format(fix[0].lower() + fix[1:])
            problems.append(answer(WARN, observed, required, fix))
        elif names[0] != need.hostname and hosts[0][0] < min(
            preference for preference, name in hosts if name == need.hostname
        ):
            observed = "MX of {0} prefers {1}".format(asked.name, names[0])
            fix = "Give {0} the lowest number, unless mail is to come through {1}.".format(
                need.hostname, names[0]
            )
            problems.append(answer(WARN, observed, required, fix))
    return _one_or_all(
        problems, "{0} for {1}".format(need.hostname, _count(len(need.domains), "domain")), required
    )


def mx_target(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look where the MX records of each mail domain lead.

    An IP address, an alias and a name without addresses are no places for mail (RFC 5321,
    RFC 2181): ``fail``. An alias that leads to another server is that server's fault, for as long
    as the domain is there: ``warn``. No MX record: ``skip``.
    """
    required = "MX records lead to names with addresses, and not to an alias"
    if not need.domains:
        return _no_domains(required)
    own = _addresses(need).checked
    problems = []
    good = 0
    answers = zone.ask_all([(domain, "MX") for domain in need.domains])
    names = dict.fromkeys(name for asked in answers for _preference, name in _hosts(asked))
    zone.ask_all([(name, type_) for name in names if name != "." for type_ in ("A", "AAAA")])
    for asked in answers:
        if not asked.known:
            problems.append(_unanswered(asked, required))
            continue
        hosts = [name for _preference, name in _hosts(asked) if name != "."]
        here = need.hostname in hosts
        for name in hosts:
            found = zone.ask_all([(name, "A"), (name, "AAAA")])
            text = "MX of {0} is {1}".format(asked.name, name)
            fix = "Let the MX of {0} lead to a name with A and AAAA records".format(asked.name)
            fix += ", such as {0}.".format(need.hostname) if need.hostname else "."
            records = [record for item in found for record in item.records]
            chain = next((item.cname_chain for item in found if item.cname_chain), ())
            silent = [item for item in found if not item.known]
            if _is_address(name):
                problems.append(answer(FAIL, text + ", an IP address", required, fix))
            elif chain:
                ours = here or need.hostname in chain or any(item in own for item in records)
                observed = "{0}, an alias of {1}".format(text, " → ".join(chain))
                problems.append(answer(FAIL if ours else WARN, observed, required, fix))
            elif records:
                good += 1
            elif silent:
                problems.append(_unanswered(silent[0], required))
            else:
                problems.append(answer(FAIL, text + ", which has no address", required, fix))
    if not problems and not good:
        return [answer(SKIP, "no domain has an MX record that leads anywhere", required)]
    return _one_or_all(problems, _count(good, "MX record"), required)


def _is_address(name: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def autodiscover(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look whether ``autodiscover`` below each mail domain leads to the server.

    Outlook and mobile phones find their settings there. It does not: ``warn``. A stack that does
    not answer there: ``skip``.
    """
    return _client_name(zone, need, "autodiscover")


def autoconfig(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look whether ``autoconfig`` below each mail domain leads to the server.

    Thunderbird and others find their settings there. It does not: ``warn``. A stack that does not
    answer there: ``skip``.
    """
    return _client_name(zone, need, "autoconfig")


def _client_name(zone: Answers, need: DnsNeed, label: str) -> list[Finding]:
    required = "{0}.DOMAIN leads to {1}".format(label, need.hostname or "the server")
    if not need.autoconfig:
        return [answer(SKIP, "{0} does not answer there".format(need.title), required)]
    if not need.hostname:
        return _no_hostname(required)
    if not need.domains:
        return _no_domains(required)
    own = _addresses(need).checked
    names = ["{0}.{1}".format(label, domain) for domain in need.domains]
    zone.ask_all([(name, type_) for name in names for type_ in ("A", "AAAA")])
    problems = []
    for domain, name in zip(need.domains, names):
        found = zone.ask_all([(name, "A"), (name, "AAAA")])
        chain = next((item.cname_chain for item in found if item.cname_chain), ())
        records = [record for item in found for record in item.records]
        if need.hostname in chain or name == need.hostname or any(r in own for r in records):
            continue
        silent = [item for item in found if not item.known]
        if silent:
            problems.append(_unanswered(silent[0], required))
            continue
        observed = "{0} does not exist".format(name)
        if chain or records:
            observed = "{0} leads to {1}".format(name, ", ".join(chain or records))
        elif found[0].status == EMPTY:
            observed = "{0} has no address".format(name)
        fix = _publish(dns_records.client_name(label, domain, need.hostname))
        problems.append(answer(WARN, observed, required, fix))
    return _one_or_all(problems, _count(len(names), "domain"), required)


def wildcard(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Ask for a name below each mail domain that nobody has made.

    An answer (A, AAAA or MX) comes from a wildcard record: ``warn``. It hides what is missing,
    as every misspelt name leads somewhere, and makes every subdomain a mail domain.
    """
    required = "no wildcard below a mail domain"
    if not need.domains:
        return _no_domains(required)
    types = ("A", "AAAA", "MX")
    questions = [
        ("{0}.{1}".format(_ABSENT, domain), type_) for domain in need.domains for type_ in types
    ]
    answers = zone.ask_all(questions)
    problems = []
    for position, domain in enumerate(need.domains):
        asked = answers[position * len(types) : (position + 1) * len(types)]
        found = [
            "{0} {1}".format(item.type, ", ".join(item.records))
            for item in asked
            if item.status == FOUND
        ]
        silent = [item for item in asked if not item.known]
        if found:
            observed = "*.{0} is {1}".format(domain, "; ".join(found))
            fix = "Remove the wildcard, and publish the names that are used one by one."
            problems.append(answer(WARN, observed, required, fix))
        elif silent:
            problems.append(_unanswered(silent[0], required))
    return _one_or_all(problems, _count(len(need.domains), "domain"), required)


# --- what receivers make of mail from the domains -----------------------------------------------


def spf(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Evaluate the SPF record of each mail domain for each sending address, as receivers do.

    No record, several, a faulty one, one that needs more than ten terms that ask the DNS (RFC 7208
    section 4.6.4), one that does not cover the server, one that covers everybody (``+all``) and one
    longer than 450 characters: ``warn``. A record that cannot be followed to its end: ``unknown``.
    """
    required = "one SPF record that covers the server"
    if not need.domains:
        return _no_domains(required)
    addresses = _addresses(need)
    problems = _policies(zone, need.domains, addresses, dns_records.SPF, required)
    if problems:
        return problems
    if not addresses.checked:
        return _no_address(addresses, required)
    return [answer(OK, _count(len(need.domains), "domain"), required)]


def _policies(
    zone: Answers, names: Iterable[str], addresses: _Addresses, example: str, required: str
) -> list[Finding]:
    """Return what is wrong with the SPF records of names."""
    problems = []
    for asked in zone.ask_all([(name, "TXT") for name in names]):
        found = sender_policy.records(asked)
        fix = _publish(dns_records.spf(asked.name, example))
        if not asked.known:
            problems.append(_unanswered(asked, required))
        elif not found:
            observed = "{0} has no SPF record".format(asked.name)
            problems.append(answer(WARN, observed, required, fix))
        elif len(found) > 1:
            observed = "{0} has {1} SPF records: receivers ignore them all".format(
                asked.name, len(found)
            )
            fix = "Merge them into one TXT record that begins with v=spf1."
            problems.append(answer(WARN, observed, required, fix))
        else:
            problems += _policy(zone, asked.name, found[0], addresses, required)
    return problems


def _policy(
    zone: Answers, name: str, text: str, addresses: _Addresses, required: str
) -> list[Finding]:
    """Return what is wrong with the one SPF record of a name."""
    short = text if len(text) <= 80 else text[:79] + "…"
    terms = [term.lower() for term in text.split()[1:]]
    if "+all" in terms or "all" in terms:
        observed = "{0}: everybody may send for it: {1}".format(name, short)
        return [answer(WARN, observed, required, "End the record with -all or ~all.")]
    if len(text) > _LONG_SPF:
        observed = "SPF record of {0} has {1} characters".format(name, len(text))
        fix = "Shorten it to {0} or less, with networks instead of names.".format(_LONG_SPF)
        return [answer(WARN, observed, required, fix)]
    problems: dict[str, Finding] = {}
    for item in addresses.checked:
        done = sender_policy.evaluate(zone, name, item)
        if done.result == sender_policy.PASS:
            continue
        if done.result == sender_policy.PERMERROR:
            observed = "SPF record of {0} is faulty: {1}".format(name, done.reason)
            fix = "Correct the record: {0}".format(short)
            found = answer(WARN, observed, required, fix)
        elif done.result == sender_policy.TEMPERROR:
            observed = "SPF of {0}: no answer for {1}".format(name, done.reason)
            fix = "Ask by hand, or name another resolver in nameservers."
            found = answer(UNKNOWN, observed, required, fix)
        elif done.unclear:
            observed = "SPF of {0}: {1} depends on the single message".format(name, done.unclear)
            fix = "Look whether it covers {0}, or add ip{1}:{0} to the record.".format(
                item, 6 if ":" in item else 4
            )
            found = answer(UNKNOWN, observed, required, fix)
        else:
            observed = "SPF of {0} for {1} is {2}{3}: {4}".format(
                name, item, done.result, " by " + done.term if done.term else "", short
            )
            fix = "Add ip{0}:{1}, or mx or a, in front of the last term.".format(
                6 if ":" in item else 4, item
            )
            found = answer(WARN, observed, required, fix)
        problems.setdefault(found.observed, found)
    return list(problems.values())


def dmarc(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look for the DMARC record of each mail domain (RFC 7489).

    A record of a domain above counts as well. None, several, or one without a valid ``p=``:
    ``warn``. ``p=none`` is valid: it asks for reports and for nothing else.
    """
    required = "one DMARC record with p="
    if not need.domains:
        return _no_domains(required)
    problems = _reports(zone, need.domains, required)
    return _one_or_all(problems, _count(len(need.domains), "domain"), required)


def _reports(zone: Answers, names: Iterable[str], required: str) -> list[Finding]:
    """Return what is wrong with the DMARC records of names."""
    names = list(names)
    zone.ask_all([("_dmarc." + name, "TXT") for name in names])
    return [item for name in names for item in _report(zone, name, required)]


def _report(zone: Answers, name: str, required: str) -> list[Finding]:
    """Return what is wrong with the DMARC record that holds for a name."""
    # Without a list of public suffixes every domain above is asked, but no top-level domain.
    for candidate in parents(name)[:-1]:
        asked = zone.ask("_dmarc." + candidate, "TXT")
        if not asked.known:
            return [_unanswered(asked, required)]
        found = [text for text in asked.records if re.match(r"v\s*=\s*DMARC1\s*(;|\Z)", text)]
        if not found:
            continue
        if len(found) > 1:
            observed = "{0} has {1} DMARC records: receivers ignore them all".format(
                asked.name, len(found)
            )
            return [answer(WARN, observed, required, "Remove all of them but one.")]
        tags = {}
        for part in found[0].split(";"):
            tag, _equals, value = part.partition("=")
            tags.setdefault(tag.strip().lower(), value.strip().lower())
        if tags.get("p") in ("none", "quarantine", "reject"):
            return []
        observed = "{0}: {1}".format(asked.name, found[0])
        fix = "Give it p=none, p=quarantine or p=reject."
        return [answer(WARN, observed, required, fix)]
    return [
        answer(
            WARN,
            "{0} has no DMARC record".format(name),
            required,
            _publish(dns_records.dmarc(name)),
        )
    ]


def dkim(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Compare the DKIM records with the keys that mail is signed with (RFC 6376).

    Another key, several records, or one that is revoked: ``fail``, since every signature is wrong.
    No record: ``warn``. Keys that are not known: ``skip``.
    """
    required = "the key that mail is signed with is published"
    if not need.dkim:
        return [answer(SKIP, "no key is known", required)]
    problems = []
    names = ["{0}._domainkey.{1}".format(selector, name) for name, selector, _key in need.dkim]
    for asked, (name, selector, key) in zip(zone.ask_all([(n, "TXT") for n in names]), need.dkim):
        wanted = dns_records.signing_key(name, {"selector": selector, "public_key": key})
        fix = _publish(wanted)
        if not asked.known:
            problems.append(_unanswered(asked, required))
            continue
        if not asked.records:
            observed = "{0} has no DKIM record".format(wanted.name)
            problems.append(answer(WARN, observed, required, fix))
            continue
        published = [_published_key(text) for text in asked.records]
        if published == [key]:
            continue
        if len(published) > 1:
            observed = "{0} has {1} records".format(wanted.name, len(published))
        elif not published[0]:
            observed = "{0} has no key: it is revoked, or faulty".format(wanted.name)
        else:
            observed = "{0} publishes another key ({1}…) than mail is signed with ({2}…)".format(
                wanted.name, published[0][-24:-8], key[-24:-8]
            )
        problems.append(answer(FAIL, observed, required, fix))
    return _one_or_all(problems, _count(len(need.dkim), "key"), required)


def _published_key(text: str) -> str:
    """Return the key of a DKIM record, without the blanks that may be in it."""
    for part in text.split(";"):
        tag, _equals, value = part.partition("=")
        if tag.strip() == "p":
            return "".join(value.split())
    return ""


def host_spf(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look for SPF and DMARC records of the server's own name.

    Bounces and the server's own messages are sent in its name and are not signed. One of the two
    is missing or faulty: ``warn``.
    """
    name = need.hostname
    required = "SPF and DMARC for {0} itself".format(name or "the server's name")
    if not name:
        return _no_hostname(required)
    if name in need.domains:
        observed = "{0} is a mail domain, see dns.spf and dns.dmarc".format(name)
        return [answer(SKIP, observed, required)]
    addresses = _addresses(need)
    problems = _policies(zone, [name], addresses, dns_records.HOST_SPF, required)
    problems += _reports(zone, [name], required)
    if not problems and not addresses.checked:
        return _no_address(addresses, required)
    return _one_or_all(problems, "both", required)


# --- certificates and delegation ----------------------------------------------------------------


def caa(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Look whether CAA records let the certificate authority issue (RFC 8659).

    For the server's name, and for ``autodiscover`` and ``autoconfig`` below each mail domain where
    the stack answers there. The records of the nearest name at or above count; none at all permit
    every authority. One of the authorities named is enough. It may not issue, or only with another
    method than HTTP (``validationmethods``, RFC 8657): ``warn``.
    """
    required = "CAA permits {0}".format(" or ".join(need.ca) or "nothing in particular")
    if not need.hostname:
        return _no_hostname(required)
    if not need.ca:
        return [answer(SKIP, "no certificate authority is named", required)]
    names = [need.hostname]
    if need.autoconfig:
        labels = ("autodiscover", "autoconfig")
        names += ["{0}.{1}".format(label, item) for item in need.domains for label in labels]
    names = list(dict.fromkeys(names))
    zone.ask_all([(item, "CAA") for name in names for item in parents(name)])
    problems: dict[str, Finding] = {}
    for name in names:
        for candidate in parents(name):
            asked = zone.ask(candidate, "CAA")
            if not asked.known:
                found = _unanswered(asked, required)
                problems.setdefault(found.observed, found)
                break
            if asked.records:
                # An alias has the records of the name it leads to.
                owner = asked.cname_chain[-1] if asked.cname_chain else candidate
                trouble = _forbidden(owner, asked.records, need.ca)
                if trouble:
                    observed = "{0} may get no certificate: {1}".format(name, trouble)
                    fix = _publish(dns_records.caa(owner, need.ca[0]))
                    # One record forbids it for all names below: said once.
                    problems.setdefault(trouble, answer(WARN, observed, required, fix))
                break
    return _one_or_all(list(problems.values()), _count(len(names), "name"), required)


def _forbidden(owner: str, records: Iterable[str], authorities: tuple[str, ...]) -> str:
    """Return why none of the authorities may issue; empty when one may."""
    issuers = []
    for text in records:
        flags, tag, value = text.split(None, 2)
        value = value.strip('"')
        tag = tag.lower()
        if tag == "issue":
            issuers.append(value)
        elif int(flags) & 128 and tag not in ("issuewild", "iodef", "issuemail", "issuevmc"):
            return "CAA of {0} has the critical property {1}".format(owner, tag)
    if not issuers:
        return ""
    reasons = []
    for value in issuers:
        issuer, *parameters = [part.strip() for part in value.split(";")]
        if issuer.lower().rstrip(".") not in authorities:
            continue
        methods = [
            [method.strip().lower() for method in item.partition("=")[2].split(",")]
            for item in parameters
            if item.partition("=")[0].strip().lower() == "validationmethods"
        ]
        if all(any(method in _ISSUE_METHODS for method in item) for item in methods):
            return ""
        reasons.append("only with " + ", ".join(methods[0]))
    named = ", ".join(sorted(value or "nobody" for value in issuers))
    return "CAA of {0} permits {1}".format(owner, "; ".join(reasons) or named)


def nameservers(zone: Answers, need: DnsNeed) -> list[Finding]:
    """Compare what the name servers of a zone say with each other.

    Different answers, or one server that gives none while another one does: ``warn``. A record that
    was changed a moment ago may not have reached all of them yet. Where a resolver was asked, and
    not the zones' own servers: ``skip``.
    """
    required = "all name servers of a zone say the same"
    if not zone.authoritative:
        observed = "a resolver was asked, not the zones' own servers (authoritative)"
        return [answer(SKIP, observed, required)]
    addresses = _addresses(need)
    questions = [(reverse_name(item), "PTR") for item in addresses.checked]
    if need.hostname:
        questions += [(need.hostname, type_) for type_ in ("A", "AAAA", "TXT", "CAA")]
    for domain in need.domains:
        questions += [(domain, "MX"), (domain, "TXT"), ("_dmarc." + domain, "TXT")]
    if not questions:
        return _no_hostname(required)
    asked = zone.ask_all(questions)
    known = [item for item in asked if item.known]
    if not known:
        return [_unanswered(asked[0], required)]
    problems = []
    for item in known:
        if item.differences:
            observed = "{0}: {1}".format(item.question, "; ".join(item.differences))
            fix = "Compare the zone's serial number on each server: dig @SERVER {0} SOA.".format(
                item.name
            )
            problems.append(answer(WARN, observed, required, fix))
    return _one_or_all(problems, _count(len(known), "answer"), required)


Look = Callable[[Answers, DnsNeed], "list[Finding]"]

RFC = "https://www.rfc-editor.org/rfc/"

#: Every check here, in the order of a report: id, title, page with the rule, the
#: check itself.
LOOK: tuple[tuple[str, str, str, Look], ...] = (
    ("dns.address", "Address records", "dns", address),
    ("dns.cname_hostname", "Server name is no alias", "dns", cname_hostname),
    ("dns.reverse", "Reverse records", "dns", reverse),
    (
        "dns.forward_confirmed",
        "Reverse records lead back",
        RFC + "rfc1912#section-2.1",
        forward_confirmed,
    ),
    (
        "dns.generic_reverse",
        "Look of the reverse records",
        RFC + "rfc1912#section-2.1",
        generic_reverse,
    ),
    ("dns.mx", "MX records", "dns", mx),
    ("dns.mx_target", "Targets of the MX records", RFC + "rfc5321#section-5.1", mx_target),
    ("dns.autodiscover", "Autodiscover", "dns", autodiscover),
    ("dns.autoconfig", "Autoconfig", "dns", autoconfig),
    ("dns.spf", "SPF", RFC + "rfc7208", spf),
    ("dns.dkim", "DKIM", RFC + "rfc6376", dkim),
    ("dns.dmarc", "DMARC", RFC + "rfc7489", dmarc),
    ("dns.host_spf", "SPF and DMARC of the server's name", "dns", host_spf),
    ("dns.caa", "CAA", RFC + "rfc8659", caa),
    ("dns.wildcard", "Wildcard records", "dns", wildcard),
    ("dns.nameservers", "Name servers agree", RFC + "rfc1912#section-2.8", nameservers),
)


def without_library(python: str, reason: str) -> Look:
    """Return the check that stands in for each one where there is no dnspython.

    Args:
        python: path of the Python that runs here.
        reason: why it could not be loaded.
    """

    def look(_zone: Answers, _need: DnsNeed) -> list[Finding]:
        fix = "Install dnspython for the Ansible that runs here: {0} -m pip install dnspython"
        return [answer(UNKNOWN, reason, "an answer of the DNS", fix.format(python))]

    return look
