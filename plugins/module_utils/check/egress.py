# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that leave the host: what the stack talks to, over which protocol and family.

Web servers are only connected to; nothing is asked of them but of the one that knows whether the
network has a bad name. Everything is tried at the same time, each name for eight seconds and all
else for three.
"""

from __future__ import annotations

from typing import Callable, Iterable, Mapping, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import reach
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import outgoing
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

# What it means that a row's server cannot be reached.
_STATUS = {"required": FAIL, "advised": WARN, "optional": OK}

_SMTP_PORT = 25

_OPEN_UP = (
    "Allow it in the firewalls of the host and of the provider, or name what is used instead "
    "(preflight_mirrors, preflight_proxy)."
)
_REPAIR_IPV6 = (
    "Repair IPv6 (route, firewall) or take the host's IPv6 addresses away: programs try IPv6 first "
    "and wait for it."
)
_REPAIR_NAMES = "Repair the name servers of the host, see the check resolver.answers."


def images(host: Host, need: Need) -> list[Finding]:
    """Connect to the registries that the stack's container images come from.

    A registry that cannot be reached is a ``fail`` until the stack is installed, and for its updates
    from then on a ``warn``. So is one that is reached over IPv4 and not over the host's IPv6: each
    download waits for IPv6 first.
    """
    return _group(host, need, "images", _when_installed(host, need))


def source(host: Host, need: Need) -> list[Finding]:
    """Connect to the servers that the stack's source and its updates come from.

    The repository is needed (``fail``) until the stack is installed, and for its updates from then
    on (``warn``). Upstream's updater also asks whether it is online at all: what only that needs is
    a ``warn``.
    """
    return _group(host, need, "source", _when_installed(host, need))


def _when_installed(host: Host, need: Need) -> str:
    """Return the level that holds where the stack is there: somebody's outage must not stop a run."""
    return "advised" if host.exists(need.install_path + "/" + need.env_file) else ""


def packages(host: Host, need: Need) -> list[Finding]:
    """Connect to Docker's package repository.

    It is needed (``fail``) until an engine is installed, and for its updates from then on
    (``warn``). A host that takes the engine from its distribution does not need it: name it in
    ``preflight_mirrors`` with an empty value.
    """
    level = "advised" if host.which("dockerd") else "required"
    return _group(host, need, "packages", level)


def certificates(host: Host, need: Need) -> list[Finding]:
    """Connect to Let's Encrypt, which the certificates come from.

    Not reached is a ``warn``: without it the stack needs certificates of another kind.
    """
    return _group(host, need, "certificates")


def virus_signatures(host: Host, need: Need) -> list[Finding]:
    """Connect to the servers that the virus scanner's signatures come from.

    Not reached is a ``warn``.
    """
    return _group(host, need, "virus_signatures")


def spam_rules(host: Host, need: Need) -> list[Finding]:
    """Connect to the servers that rules and lists of the spam filter come from.

    Not reached is a ``warn``: the filter works with what it has, and becomes worse.
    """
    return _group(host, need, "spam_rules")


def address_service(host: Host, need: Need) -> list[Finding]:
    """Connect to the servers that tell the stack its public addresses.

    The stack also works without them, so that not reaching them is ``ok`` with a remark.
    """
    return _group(host, need, "address_service")


def on_request(host: Host, need: Need) -> list[Finding]:
    """Connect to servers that only features use which are off by default.

    Not reached is ``ok`` with a remark.
    """
    return _group(host, need, "on_request")


def dns(host: Host, need: Need) -> list[Finding]:
    """Ask root name servers, over UDP and TCP, as the stack's own resolver does.

    No answer over UDP is a ``fail``. No answer over TCP, which long answers need, is a ``warn``, and
    so is none over IPv6 on a host that has it. An answer without the mark that only the root
    servers themselves set is a ``warn``: something in between answers in their place, and the
    stack's resolver does not get what it needs for DNSSEC.
    """
    rows, reason = outgoing.rows_of(need, "dns")
    required = "root name servers answer, udp and tcp 53"
    if not rows:
        return [answer(SKIP, reason, required)]
    families = outgoing.ways_out(host)
    questions = [
        reach.Question(address, ".", "NS", protocol, recursion=False)
        for row in rows
        for address in row["addresses"]
        if outgoing.family_of(address) in families
        for protocol in ("udp", "tcp")
    ]
    answers = list(zip(questions, host.ask_dns(questions)))
    troubles = {}
    for protocol in ("udp", "tcp"):
        for family in families:
            said = [
                reply
                for question, reply in answers
                if question.protocol == protocol and outgoing.family_of(question.server) == family
            ]
            if said and not any(reply.state == reach.OPEN for reply in said):
                troubles[protocol, family] = outgoing.words(said[0].state, said[0].detail)
    observed = "; ".join(
        "{0} over {1}: {2}".format(protocol, outgoing.FAMILIES[family], text)
        for (protocol, family), text in troubles.items()
    )
    fix = (
        "Allow outgoing udp and tcp 53 and their answers, in the firewalls of the host and of the "
        "provider; a stateless one needs a rule for the answers of its own."
    )
    if all(("udp", family) in troubles for family in families):
        return [answer(FAIL, observed, required, fix)]
    if troubles:
        local = outgoing.has_local_ipv6_only(host)
        serious = [key for key in troubles if not (key[1] == "ipv6" and local)]
        return [answer(WARN if serious else OK, observed, required, fix)]
    messages = [reply.message for _question, reply in answers if reply.message is not None]
    if not all(message.authoritative for message in messages):
        return [
            answer(
                WARN,
                "something in between answers in place of the root name servers",
                required,
                "Have the provider or the router leave queries to port 53 alone.",
            )
        ]
    return [answer(OK, "answered over " + outgoing.in_words(families), required)]


def icmp(host: Host, need: Need) -> list[Finding]:
    """Send echo requests to the addresses that the stack's resolver is judged by.

    Its health check allows for one that does not answer (``warn``). With fewer, the resolver counts
    as unhealthy, and what waits for it never starts (``fail``). Without the right to send such
    packets: ``unknown``.
    """
    rows, reason = outgoing.rows_of(need, "icmp")
    required = "answers to echo requests from " + ", ".join(row["host"] for row in rows)
    if not rows:
        return [answer(SKIP, reason, "nothing")]
    replies = host.probe([reach.Probe("icmp", row["host"]) for row in rows])
    if any(reply.state == reach.FORBIDDEN for reply in replies):
        return [answer(UNKNOWN, "not allowed to send ICMP", required, "Run the check as root.")]
    silent = [
        "{0}: {1}".format(row["host"], outgoing.words(reply.state, reply.detail))
        for row, reply in zip(rows, replies)
        if reply.state != reach.OPEN
    ]
    if not silent:
        return [answer(OK, "all answer", required)]
    fix = (
        "Allow outgoing ICMP echo requests and their answers in the firewalls of the host and of "
        "the provider, or set SKIP_UNBOUND_HEALTHCHECK=y."
    )
    return [answer(WARN if len(silent) == 1 else FAIL, "; ".join(silent), required, fix)]


def fuzzy(host: Host, need: Need) -> list[Finding]:
    """Send a packet to the servers that the spam filter compares mails with.

    They answer only to what they understand, so that silence tells nothing: ``skip``. A refusal on
    the way, or a name that does not resolve, is a ``warn``.
    """
    rows, reason = outgoing.rows_of(need, "fuzzy")
    targets = [outgoing.target_of(host, need, row) for row in rows]
    required = ", ".join("udp " + target.place for target in targets) + " allowed"
    if not targets:
        return [answer(SKIP, reason, "nothing")]
    silence = outgoing.words(reach.TIMED_OUT)
    families = ["", "ipv4"] + ([] if outgoing.has_local_ipv6_only(host) else ["ipv6"])
    outcomes = outgoing.try_targets(host, targets)
    refused = [
        outcome
        for outcome in outcomes
        if any(outcome.troubles.get(family) not in (None, "", silence) for family in families)
    ]
    if refused:
        notes = [note for note in _told(refused) if not note.startswith(silence)]
        fixes = outgoing.unique(map(_fix, refused))
        return [answer(WARN, "; ".join(notes), required, " ".join(fixes))]
    silent = any(silence in outcome.troubles.values() for outcome in outcomes)
    if silent:
        return [
            answer(
                SKIP,
                "cannot be seen: no answer, as is usual for these servers",
                required,
                "Look that the provider's firewall lets outgoing UDP pass.",
            )
        ]
    return [answer(OK, "answered", required)]


def smtp(host: Host, need: Need) -> list[Finding]:
    """Connect to port 25 of mail servers (``preflight_smtp_targets``) and read their greeting.

    Nothing that answers in time is how providers block the port: ``fail``. So is a refusal by every
    server, which a firewall in between makes. Blocked over IPv6 alone is a ``warn``. A greeting
    other than 220 is a ``warn``: the server refuses this address, as blocked addresses are. One
    without the server's own domain is told, as somebody in between may have answered. Names that do
    not resolve: ``unknown``. Port 465 of other servers is not tried: few mail servers offer it to
    each other.
    """
    required = "outgoing tcp 25 reaches " + (", ".join(need.smtp_targets) or "mail servers")
    if need.offline:
        return [answer(SKIP, outgoing.OFFLINE, required)]
    if not need.smtp_targets:
        return [answer(SKIP, "no mail server to try it with", required)]
    families = outgoing.ways_out(host)
    names = host.look_up(need.smtp_targets)
    tries = [
        (name, family, address)
        for name, found in zip(need.smtp_targets, names)
        for family in families
        for address in getattr(found, family)[: outgoing.MAX_ADDRESSES]
    ]
    if not tries:
        lost = [
            "{0} {1}".format(
                name, found.trouble or outgoing.NO_ADDRESS + outgoing.in_words(families)
            )
            for name, found in zip(need.smtp_targets, names)
        ]
        return [answer(UNKNOWN, "; ".join(lost), required, _REPAIR_NAMES)]
    replies = host.probe(
        [
            reach.Probe("tcp", address, _SMTP_PORT, wait=True, farewell=b"QUIT\r\n")
            for _name, _family, address in tries
        ]
    )
    results = list(zip(tries, replies))
    blocked = {}
    for family in families:
        states = [reply for entry, reply in results if entry[1] == family]
        if states and not any(reply.state == reach.OPEN for reply in states):
            blocked[family] = _smtp_trouble(states)
    greeted = [(entry, reply) for entry, reply in results if reply.state == reach.OPEN]
    if blocked:
        return [_smtp_blocked(host, required, blocked, bool(greeted))]
    rejected = [
        "{0}: {1}".format(entry[0], reply.text)
        for entry, reply in greeted
        if reply.text and not reply.text.startswith("220")
    ]
    if rejected:
        return [
            answer(
                WARN,
                "; ".join(dict.fromkeys(rejected)),
                required,
                "Look up the host's address in blocklists and have it removed; the server's text "
                "often has the address of the form.",
            )
        ]
    reached = [
        family for family in families if any(entry[1] == family for entry, _greeting in greeted)
    ]
    return [
        answer(OK, "reached over " + outgoing.in_words(reached) + _smtp_remarks(results), required)
    ]


def _smtp_trouble(replies: Sequence[reach.Reply]) -> str:
    """Return why no mail server was reached, in words."""
    states = {reply.state for reply in replies}
    if states == {reach.REFUSED}:
        return "refused by all"
    if states == {reach.TIMED_OUT}:
        return outgoing.words(reach.TIMED_OUT)
    worst = next(reply for reply in replies if reply.state != reach.REFUSED)
    return outgoing.words(worst.state, worst.detail)


def _smtp_blocked(host: Host, required: str, blocked: Mapping[str, str], reached: bool) -> Finding:
    """Return the finding of a port 25 that is blocked over one family or both."""
    observed = "; ".join(
        "{0}: {1}".format(outgoing.FAMILIES[family], text) for family, text in blocked.items()
    )
    if "ipv4" not in blocked and reached:
        if outgoing.has_local_ipv6_only(host):
            return answer(OK, "reached over IPv4; " + observed, required)
        return answer(
            WARN,
            observed,
            required,
            "Ask the provider to open outgoing port 25 over IPv6, or have mail leave over IPv4 "
            "alone.",
        )
    if set(blocked.values()) == {"refused by all"}:
        return answer(
            FAIL,
            observed,
            required,
            "A firewall refuses outgoing port 25: look at that of the host (nft list ruleset), "
            "then ask the provider to open the port, or send through a smarthost.",
        )
    return answer(
        FAIL,
        "outgoing port 25 is blocked: " + observed,
        required,
        "Ask the provider to open outgoing port 25, or send through a smarthost on port 587 and "
        "accept it (preflight_accept: [egress.smtp]).",
    )


def _smtp_remarks(results: Iterable[tuple[tuple[str, str, str], reach.Reply]]) -> str:
    """Return what is remarkable about greetings, as the end of an observation."""
    remarks = []
    for (name, family, _address), reply in results:
        if reply.state != reach.OPEN:
            text = "{0} over {1}: {2}".format(
                name, outgoing.FAMILIES[family], outgoing.words(reply.state, reply.detail)
            )
        elif not reply.text:
            text = "{0} sends no greeting".format(name)
        elif _is_other(name, reply.text):
            text = "{0} greets as {1}".format(name, (reply.text.split() + [""])[1] or "nobody")
        else:
            continue
        remarks.append(text)
    return "".join("; " + text for text in dict.fromkeys(remarks))


def _is_other(name: str, greeting: str) -> bool:
    """Tell whether a greeting lacks the domain of the server: somebody in between may answer."""
    labels = name.split(".")
    is_name = len(labels) > 1 and not labels[-1].isdigit() and ":" not in name
    return is_name and labels[-2].lower() not in greeting.lower()


def reputation(host: Host, need: Need) -> list[Finding]:
    """Ask the stack's authors whether the host's network is one that Spamhaus refuses to answer.

    If it is (HTTP 503): ``warn``, as its blocklists then need a key. Asked too often (429):
    ``unknown``. Not reached: ``warn``.
    """
    rows, reason = outgoing.rows_of(need, "reputation")
    required = "a network that may ask Spamhaus"
    if not rows:
        return [answer(SKIP, reason, required)]
    target = outgoing.target_of(host, need, rows[0])
    way = target.proxy or target
    (found,) = host.look_up([way.host])
    addresses = [
        address for family in outgoing.ways_out(host) for address in getattr(found, family)[:1]
    ]
    if not addresses:
        trouble = found.trouble or outgoing.NO_ADDRESS + outgoing.in_words(outgoing.ways_out(host))
        return [answer(WARN, "{0} {1}".format(way.host, trouble), required, _REPAIR_NAMES)]
    request = "GET / HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n".format(target.host)
    (reply,) = host.probe(
        [
            reach.Probe(
                "tcp",
                addresses[0],
                way.port,
                tunnel=target.proxy.tunnel(target.host, target.port) if target.proxy else b"",
                tls=target.host,
                send=request.encode("ascii"),
                wait=True,
            )
        ]
    )
    if reply.state == reach.FORBIDDEN:
        raise HostError("TLS is not possible here: {0}".format(reply.detail))
    if reply.state != reach.OPEN:
        trouble = (
            outgoing.proxy_words(reply)
            if target.proxy
            else outgoing.words(reply.state, reply.detail)
        )
        return [answer(WARN, "{0}: {1}".format(target.place, trouble), required, _OPEN_UP)]
    status = outgoing.http_status(reply.text)
    if status == "200":
        return [answer(OK, "not listed", required)]
    if status == "503":
        return [
            answer(
                WARN,
                "the host's network is listed: Spamhaus does not answer to it",
                required,
                "Get a free key of Spamhaus' Data Query Service and set SPAMHAUS_DQS_KEY.",
            )
        ]
    text = "asked too often (429)" if status == "429" else "answered " + (reply.text or "nothing")
    return [answer(UNKNOWN, text, required, "Look again in an hour.")]


def _group(host: Host, need: Need, group: str, level: str = "") -> list[Finding]:
    """Return the finding on a group of rows that are servers to connect to."""
    rows, reason = outgoing.rows_of(need, group)
    families = outgoing.ways_out(host) if rows else []
    rows = [row for row in rows if row.get("family", families[0]) in families]
    if not rows:
        return [answer(SKIP, reason, "nothing")]
    targets = [outgoing.target_of(host, need, row) for row in rows]
    required = ", ".join(outgoing.unique(target.place for target in targets)) + " reachable"
    outcomes = outgoing.try_targets(host, targets)
    judged = [_judge(host, outcome, level or outcome.target.row["level"]) for outcome in outcomes]
    statuses = [status for status, _fix in judged]
    fixes = outgoing.unique(fix for _status, fix in judged if fix)
    status = next((worst for worst in (FAIL, WARN) if worst in statuses), OK)
    notes = _told(outcomes)
    if status == OK and any(outcome.reached for outcome in outcomes):
        notes.insert(0, "reached " + _ways(outcomes))
    return [answer(status, "; ".join(notes), required, " ".join(fixes))]


def _judge(host: Host, outcome: outgoing.Outcome, level: str) -> tuple[str, str]:
    """Return status and fix of one server."""
    if not outcome.reached:
        status = _STATUS[level]
        return status, "" if status == OK else _fix(outcome)
    # What is reached over IPv6 alone, as programs try it first, does not wait. Nor do they where
    # IPv6 is only tried last, or through a proxy that answers.
    waits = outcome.troubles.get("ipv6") and not outcome.target.proxy
    if not waits or level == "optional" or outgoing.has_local_ipv6_only(host):
        return OK, ""
    return WARN, _REPAIR_IPV6


def _fix(outcome: outgoing.Outcome) -> str:
    """Return what to do about a server that is not reached."""
    lost = outcome.troubles.get("", "")
    if outgoing.NO_ADDRESS in lost:
        return "Give the host an address of the other family too, or NAT64."
    return _REPAIR_NAMES if lost else _OPEN_UP


def _told(outcomes: Iterable[outgoing.Outcome]) -> list[str]:
    """Return troubles in words, each once with the servers that have it."""
    places: dict[str, list[str]] = {}
    for outcome in outcomes:
        texts = set(outcome.troubles.values())
        for family, text in outcome.troubles.items():
            if not text:
                continue
            # The same over both families, or found out before there was a choice.
            over = len(texts) > 1 and not outcome.target.proxy
            trouble = text + (" over " + outgoing.FAMILIES[family] if over else "")
            places.setdefault(trouble, []).append(outcome.target.place)
    return [
        "{0}: {1}".format(trouble, ", ".join(outgoing.unique(names)))
        for trouble, names in places.items()
    ]


def _ways(outcomes: Iterable[outgoing.Outcome]) -> str:
    """Return how servers were reached."""
    direct = set()
    proxies = []
    for outcome in outcomes:
        reached = [family for family, text in outcome.troubles.items() if not text]
        if outcome.target.proxy is None:
            direct.update(reached)
        elif reached:
            proxies.append("through the proxy " + outcome.target.proxy.place)
    families = [family for family in outgoing.FAMILIES if family in direct]
    over = ["over " + outgoing.in_words(families)] if families else []
    return " and ".join(over + outgoing.unique(proxies))


LOOK: tuple[tuple[str, str, str, Callable[[Host, Need], list[Finding]]], ...] = (
    ("egress.images", "Container registries", "outgoing", images),
    ("egress.source", "Source and updates", "outgoing", source),
    ("egress.packages", "Docker's package repository", "outgoing", packages),
    ("egress.certificates", "Certificate authority", "outgoing", certificates),
    ("egress.dns", "Root name servers", "outgoing", dns),
    ("egress.icmp", "ICMP echo", "outgoing", icmp),
    ("egress.smtp", "Outgoing port 25", "outgoing", smtp),
    ("egress.virus_signatures", "Virus signatures", "outgoing", virus_signatures),
    ("egress.spam_rules", "Spam filter's rules", "outgoing", spam_rules),
    ("egress.fuzzy", "Spam filter's fuzzy storage", "outgoing", fuzzy),
    ("egress.reputation", "Network's name", "outgoing", reputation),
    ("egress.address_service", "Public address services", "outgoing", address_service),
    ("egress.on_request", "Servers of optional features", "outgoing", on_request),
)
