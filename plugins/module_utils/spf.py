# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sender Policy Framework (RFC 7208): what a receiver makes of a domain and a sending address."""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import dns

PASS = "pass"
FAIL = "fail"
SOFTFAIL = "softfail"
NEUTRAL = "neutral"
NONE = "none"
PERMERROR = "permerror"
TEMPERROR = "temperror"

_QUALIFIERS = {"+": PASS, "-": FAIL, "~": SOFTFAIL, "?": NEUTRAL}

#: Terms that may ask the DNS, names of one mx term, and questions without an answer (section 4.6.4).
MAX_LOOKUPS = 10
MAX_NAMES = 10
MAX_VOID = 2

_TERM = re.compile(r"^([+?~-]?)([A-Za-z][A-Za-z0-9._-]*)([:=/]?)(.*)\Z")
_CIDR = re.compile(r"^(.*?)(?:/(\d{1,3}))?(?://(\d{1,3}))?\Z")


class Result(NamedTuple):
    """What came out.

    Attributes:
        result: one of the results of RFC 7208 section 2.6.
        term: the term that decided; empty when none did.
        lookups: number of terms that asked the DNS.
        reason: what is wrong, for ``permerror`` and ``temperror``.
        unclear: a term on the way that only a message can decide (a macro).
    """

    result: str
    term: str = ""
    lookups: int = 0
    reason: str = ""
    unclear: str = ""


class _StopError(Exception):
    """The evaluation ends with an error."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


def records(answer: dns.Answer) -> list[str]:
    """Return the SPF records among the TXT records of a name."""
    return [
        text for text in answer.records if text.lower() == "v=spf1" or text[:7].lower() == "v=spf1 "
    ]


def evaluate(zone: dns.Answers, domain: str, address: str) -> Result:
    """Return what a receiver makes of mail from a domain that comes from an address.

    Macros depend on the single message: a term with one never matches here, and is named in
    ``unclear``.
    """
    evaluation = _Evaluation(zone, address)
    try:
        result, term = evaluation.check(domain)
    except _StopError as stop:
        return Result(stop.result, "", evaluation.lookups, stop.reason, evaluation.unclear)
    return Result(result, term, evaluation.lookups, "", evaluation.unclear)


class _Evaluation:
    """One run: the limits count over all records that it comes to."""

    def __init__(self, zone: dns.Answers, address: str) -> None:
        import ipaddress

        self.zone = zone
        self.address = ipaddress.ip_address(address)
        self.lookups = 0
        self.void = 0
        self.unclear = ""

    def check(self, domain: str) -> tuple[str, str]:
        """Return result and deciding term of a domain's record."""
        answer = self.zone.ask(domain, "TXT")
        if not answer.known:
            raise _StopError(TEMPERROR, "{0}: {1}".format(answer.question, answer.reason))
        found = records(answer)
        if not found:
            return NONE, ""
        if len(found) > 1:
            raise _StopError(PERMERROR, "{0} has {1} SPF records".format(domain, len(found)))
        redirect = ""
        mechanisms = []
        for term in found[0].split()[1:]:
            match = _TERM.match(term)
            if not match or (match.group(3) == "=" and match.group(1)):
                raise _StopError(PERMERROR, "{0} has the term {1}".format(domain, term))
            qualifier, name, separator, value = match.groups()
            if separator != "=":
                if separator == "/":
                    value = "/" + value
                mechanisms.append((term, qualifier or "+", name.lower(), value))
            elif name.lower() == "redirect":
                if redirect:
                    raise _StopError(PERMERROR, "{0} has redirect= twice".format(domain))
                redirect = value
        for term, qualifier, name, value in mechanisms:
            if self._matches(term, name, value, domain):
                return _QUALIFIERS[qualifier], term
        if any(name == "all" for _term, _qualifier, name, _value in mechanisms) or not redirect:
            return NEUTRAL, ""
        self._count("redirect=" + redirect)
        if "%" in redirect:
            self.unclear = "redirect=" + redirect
            return NEUTRAL, ""
        result, term = self.check(redirect.lower())
        if result == NONE:
            raise _StopError(PERMERROR, "{0} has no SPF record".format(redirect))
        return result, term

    def _matches(self, term: str, name: str, value: str, domain: str) -> bool:
        """Tell whether a mechanism matches the address."""
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return self._in_network(term, name, value)
        if name not in ("a", "mx", "include", "exists", "ptr"):
            raise _StopError(PERMERROR, "{0} has the term {1}".format(domain, term))
        self._count(term)
        target, prefix4, prefix6 = self._target(term, value)
        if not target and name in ("include", "exists"):
            raise _StopError(PERMERROR, "{0} names no domain".format(term))
        if name == "ptr" or "%" in target:
            self.unclear = self.unclear or term
            return False
        target = target.rstrip(".").lower() or domain
        if name == "include":
            result, _term = self.check(target)
            if result == NONE:
                raise _StopError(PERMERROR, "{0} has no SPF record".format(target))
            return result == PASS
        if name == "exists":
            return bool(self._records(target, "A"))
        names = [target]
        if name == "mx":
            names = [item.split()[1] for item in self._records(target, "MX")]
            if len(names) > MAX_NAMES:
                raise _StopError(PERMERROR, "{0} has more than {1} names".format(term, MAX_NAMES))
        type_ = dns.address_type(str(self.address))
        self.zone.ask_all([(item, type_) for item in names])
        prefix = prefix4 if self.address.version == 4 else prefix6
        for item in names:
            # The names of an mx term have the limit above, and are no void lookups.
            for found in self._records(item, type_, count=name != "mx"):
                if self._covers("{0}/{1}".format(found, prefix)):
                    return True
        return False

    def _count(self, term: str) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise _StopError(
                PERMERROR,
                "more than {0} terms that ask the DNS, up to {1}".format(MAX_LOOKUPS, term),
            )

    def _records(self, name: str, type_: str, count: bool = True) -> tuple[str, ...]:
        answer = self.zone.ask(name, type_)
        if not answer.known:
            raise _StopError(TEMPERROR, "{0}: {1}".format(answer.question, answer.reason))
        if not answer.records and count:
            self.void += 1
            if self.void > MAX_VOID:
                raise _StopError(
                    PERMERROR,
                    "more than {0} names without such a record, up to {1}".format(
                        MAX_VOID, answer.question
                    ),
                )
        return answer.records

    def _target(self, term: str, value: str) -> tuple[str, int, int]:
        """Return the domain of a term and its prefix lengths for IPv4 and IPv6."""
        match = _CIDR.match(value)
        target, prefix4, prefix6 = match.groups() if match else (value, None, None)
        lengths = (int(prefix4 or 32), int(prefix6 or 128))
        if "/" in target or lengths[0] > 32 or lengths[1] > 128:
            raise _StopError(PERMERROR, "{0} has an impossible prefix length".format(term))
        return target, lengths[0], lengths[1]

    def _in_network(self, term: str, name: str, value: str) -> bool:
        import ipaddress

        kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
        try:
            kind(value, strict=False)
        except ValueError as error:
            raise _StopError(PERMERROR, "{0}: {1}".format(term, error)) from error
        return self._covers(value)

    def _covers(self, network: str) -> bool:
        import ipaddress

        return self.address in ipaddress.ip_network(network, strict=False)
