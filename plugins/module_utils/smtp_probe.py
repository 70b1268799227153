# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an SMTP server says to a stranger, and what the servers of a destination say to us.

No message is ever sent: a conversation ends before DATA. Nobody is connected to but the server, the
servers of the destination, and the hosts to compare with that somebody named.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence, TypeVar

from ansible_collections.postmaster.mailhost.plugins.module_utils import smtp_client
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    MISSING,
    Answers,
    clean_name,
    reverse_name,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.smtp_client import (
    Reply,
    Session,
    SmtpError,
)

# What becomes of mail for a destination, or at one of its servers.
OK = "ok"
TEMPORARY = "temporary"
PERMANENT = "permanent"
REFUSED = smtp_client.REFUSED
TIMEOUT = smtp_client.TIMEOUT
UNREACHABLE = smtp_client.UNREACHABLE
#: Not only this destination: outgoing port 25 is blocked.
BLOCKED = "blocked25"
#: The domain takes no mail (RFC 7505).
NULL_MX = "nullmx"
#: The address is not one of the internet, so it was not connected to.
PRIVATE = "private"
UNKNOWN = "unknown"

#: Whom mail must not be taken for: a domain that nobody has (RFC 2606).
FOREIGN = "relay-test@example.com"

#: Servers of a destination that are connected to, and addresses of each.
MAX_HOSTS = 5
MAX_ADDRESSES = 2

_WORKERS = 8

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}\Z")

Item = TypeVar("Item")
Found = TypeVar("Found")


class Port(NamedTuple):
    """A port of the server: its number, what it is for, and whether TLS comes first."""

    number: int
    role: str
    tls: bool = False


MX = "smtp"
SUBMISSION = "submission"
SUBMISSIONS = "submissions"


class Talk(NamedTuple):
    """What one port of the server said.

    Attributes:
        address: where.
        port: which.
        trouble: how the conversation ended early; empty when it did not.
        state: the same as one word of ``smtp_client``; ``open`` when it did not.
        source: own address, as far as this machine knows it.
        greeting: the first line, without its code; empty when none came.
        code: the greeting's code; 0 when none came.
        hello: the name in the answer to EHLO.
        features: before TLS, in capitals, with arguments.
        features_tls: within TLS; None when there was no TLS.
        tls_trouble: why TLS could not be begun though it was offered; empty otherwise.
        auth: the answer to AUTH within TLS, as text; empty when it was not tried.
        auth_code: its code; 0 when it was not tried.
        relayed: (sender, recipient, reply) of each relay that was tried.
    """

    address: str
    port: Port
    trouble: str = ""
    state: str = "open"
    source: str = ""
    greeting: str = ""
    code: int = 0
    hello: str = ""
    features: Mapping[str, str] = {}
    features_tls: Mapping[str, str] | None = None
    tls_trouble: str = ""
    auth: str = ""
    auth_code: int = 0
    relayed: tuple[tuple[str, str, Reply], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        return {
            "address": self.address,
            "port": self.port.number,
            "state": self.state,
            "trouble": self.trouble,
            "greeting": self.greeting,
            "hello": self.hello,
            "features": dict(self.features),
            "features_tls": dict(self.features_tls or {}),
            "tls": self.features_tls is not None,
            "relayed": [
                {"from": sender, "to": recipient, "reply": reply.text}
                for sender, recipient, reply in self.relayed
            ],
        }


class Server(NamedTuple):
    """What is known of the server.

    Attributes:
        name: its name.
        talks: one for each address and port.
        names: the names in the reverse record of each address; None when nobody knows.
        refuse_auth: whether AUTH must be refused on port 25.
        trouble: why its addresses are not known; empty otherwise.
    """

    name: str
    talks: tuple[Talk, ...] = ()
    names: Mapping[str, tuple[str, ...] | None] = {}
    refuse_auth: bool = False
    trouble: str = ""


class Step(NamedTuple):
    """What one server of a destination said."""

    host: str
    preference: int
    address: str
    verdict: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        return dict(self._asdict())


class Walk(NamedTuple):
    """What becomes of mail for a recipient: a verdict, why, and what each server said."""

    recipient: str
    verdict: str
    text: str
    steps: tuple[Step, ...] = ()
    compared: tuple[Step, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        return {
            "recipient": self.recipient,
            "verdict": self.verdict,
            "text": self.text,
            "steps": [step.to_dict() for step in self.steps],
            "compared": [step.to_dict() for step in self.compared],
        }


class Options(NamedTuple):
    """How to talk.

    Attributes:
        helo: own name to greet with.
        timeout: seconds for one answer.
        source_ipv4, source_ipv6: own address to connect from; the system's choice when empty.
        private: whether private addresses of a destination are connected to.
        port: where other servers listen.
    """

    helo: str
    timeout: float = smtp_client.TIMEOUT_SECONDS
    source_ipv4: str = ""
    source_ipv6: str = ""
    private: bool = False
    port: int = 25

    def source(self, address: str) -> str:
        """Return the own address to connect from."""
        return self.source_ipv6 if ":" in address else self.source_ipv4


def clean_mailbox(option: str, value: str) -> str:
    """Return a mail address as SMTP has it.

    Raises:
        ValueError: it is none; the text names the option, the value and what is allowed.
    """
    local, _at, domain = value.rpartition("@")
    found = "{0}@{1}".format(local, clean_name(option, domain)) if local else ""
    if not _ADDRESS.match(found):
        raise ValueError(
            "{0} has {1!r}; allowed: an address such as jane@example.net".format(option, value)
        )
    return found


def clean_address(option: str, value: str) -> str:
    """Return an IP address in its usual form.

    Raises:
        ValueError: it is none; the text names the option, the value and what is allowed.
    """
    import ipaddress

    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise ValueError("{0} has {1!r}; allowed: IP addresses".format(option, value)) from error


def addresses_of(name: str, dns: Answers | None) -> tuple[tuple[str, ...], str]:
    """Return the addresses of a name, IPv4 first, and why there are none.

    Args:
        name: a name, or an address.
        dns: where to ask; this machine's own way when None.
    """
    if ":" in name or name.replace(".", "").isdigit():
        return (name,), ""
    if dns is None:
        try:
            entries = socket.getaddrinfo(name, 25, type=socket.SOCK_STREAM)
        except OSError as error:
            return (), "{0}: {1}".format(name, error.strerror or error)
        found = dict.fromkeys(str(entry[4][0]) for entry in entries)
        return tuple(sorted(found, key=lambda address: ":" in address)), ""
    answers = dns.ask_all([(name, "A"), (name, "AAAA")])
    records = tuple(record for asked in answers for record in asked.records)
    if records:
        return records, ""
    reasons = [asked.reason for asked in answers if not asked.known]
    return (), reasons[0] if reasons else "{0} has no address".format(name)


class Wanted(NamedTuple):
    """What is asked for, checked: see the module's options."""

    host: str
    addresses: tuple[str, ...]
    ports: tuple[Port, ...]
    refuse_auth: bool
    relay_to: str
    to: tuple[str, ...]
    sender: str
    mx: tuple[str, ...]
    compare: tuple[str, ...]
    options: Options


def from_options(params: Mapping[str, Any]) -> Wanted:
    """Return what the module's options ask for.

    Args:
        params: the options, by name.

    Raises:
        ValueError: one is not allowed; the text names the option, the value and what is.
    """
    numbers = [("smtp_port", MX, False), ("submission_port", SUBMISSION, False)]
    ports = []
    for option, role, tls in [*numbers, ("submissions_port", SUBMISSIONS, True)]:
        number = params[option]
        if not 0 <= number <= 65535:
            raise ValueError("{0} is {1}; allowed: 0 to 65535".format(option, number))
        if number:
            ports.append(Port(number, role, tls))
    if not 1 <= params["timeout"] <= 60:
        raise ValueError("timeout is {0:g}; allowed: 1 to 60 seconds".format(params["timeout"]))
    helo = params["helo"]
    if not re.match(r"[A-Za-z0-9.:_\[\]-]{1,255}\Z", helo):
        raise ValueError("helo is {0!r}; allowed: the name of a host".format(helo))
    for option in ("source_ipv4", "source_ipv6"):
        if params[option]:
            found = clean_address(option, params[option])
            if (":" in found) is not (option == "source_ipv6"):
                raise ValueError(
                    "{0} has {1!r}; allowed: IPv{2} addresses".format(option, found, option[-1])
                )
    return Wanted(
        host=clean_name("host", params["host"]) if params["host"] else "",
        addresses=tuple(clean_address("addresses", item) for item in params["addresses"]),
        ports=tuple(ports),
        refuse_auth=params["refuse_auth"],
        relay_to=clean_mailbox("relay_to", params["relay_to"]),
        to=tuple(clean_mailbox("to", item) for item in params["to"]),
        sender=clean_mailbox("from", params["from"]) if params["from"] else "",
        mx=tuple(_clean_host("mx", item) for item in params["mx"]),
        compare=tuple(_clean_host("compare", item) for item in params["compare"]),
        options=Options(
            helo,
            params["timeout"],
            params["source_ipv4"],
            params["source_ipv6"],
            params["allow_private"],
        ),
    )


def _clean_host(option: str, value: str) -> str:
    """Return a name or an address."""
    if ":" in value or value.replace(".", "").isdigit():
        return clean_address(option, value)
    return clean_name(option, value)


def probe(wanted: Wanted, dns: Answers | None) -> tuple[Server, tuple[Walk, ...]]:
    """Talk to the server, if there is one, and then ask for each recipient, one after the other."""
    server = Server("")
    if wanted.host:
        server = look_at_server(
            wanted.host,
            wanted.addresses,
            wanted.ports,
            dns,
            wanted.options,
            wanted.refuse_auth,
            wanted.relay_to,
        )
    walks = tuple(
        walk(recipient, dns, wanted.options, wanted.sender, wanted.mx, wanted.compare)
        for recipient in wanted.to
    )
    return server, walks


# --- the server ----------------------------------------------------------------------------------


def look_at_server(
    name: str,
    addresses: Sequence[str],
    ports: Sequence[Port],
    dns: Answers | None,
    options: Options,
    refuse_auth: bool = False,
    relay_to: str = FOREIGN,
) -> Server:
    """Talk to each port of each address of a server, one conversation each.

    Args:
        name: the server's name.
        addresses: where it is; those of its name when empty.
        ports: its ports.
        dns: where to ask for addresses and reverse records; no reverse records when None.
        options: how to talk.
        refuse_auth: whether AUTH must be refused on port 25; it is tried then, without credentials.
        relay_to: whom mail must not be taken for.
    """
    trouble = ""
    if not addresses:
        addresses, trouble = addresses_of(name, dns)
    places = [(address, port) for address in addresses for port in ports]
    talks = _at_once(
        lambda place: _talk_or_again(name, place[0], place[1], options, refuse_auth, relay_to),
        places,
    )
    names: Mapping[str, tuple[str, ...] | None] = {}
    if dns is not None:
        asked = dns.ask_all((reverse_name(address), "PTR") for address in addresses)
        for address, answer in zip(addresses, asked):
            names[address] = answer.records if answer.known else None
    return Server(name, tuple(talks), names, refuse_auth, trouble)


def _talk_or_again(
    name: str, address: str, port: Port, options: Options, refuse_auth: bool, relay_to: str
) -> Talk:
    """Have one conversation; when nothing comes back, try once more, for twice the time.

    After a container was made anew, its neighbours send to its old address of the link layer for eight
    seconds over IPv6 (Docker before 28; RFC 4861, 10: five seconds of delay and three probes).
    """
    talk = _talk(name, address, port, options, refuse_auth, relay_to)
    if talk.state == TIMEOUT and talk.code == 0:
        patient = options._replace(timeout=2 * options.timeout)
        talk = _talk(name, address, port, patient, refuse_auth, relay_to)
    return talk


def _talk(
    name: str, address: str, port: Port, options: Options, refuse_auth: bool, relay_to: str
) -> Talk:
    """Have one conversation: greeting, features, relaying, TLS, AUTH."""
    talk = Talk(address, port)
    try:
        with Session(
            address, port.number, options.timeout, options.source(address), port.tls, name
        ) as session:
            greeting = session.greeting
            talk = talk._replace(
                source=session.source,
                greeting=" ".join(greeting.lines),
                code=greeting.code,
                state="open" if greeting.good else TEMPORARY if greeting.temporary else PERMANENT,
                trouble="" if greeting.good else greeting.text,
            )
            if not greeting.good:
                return talk
            reply, features = session.hello(options.helo)
            talk = talk._replace(hello=(" ".join(reply.lines).split() or [""])[0])
            talk = talk._replace(**{"features_tls" if port.tls else "features": features})
            if port.role == MX:
                talk = talk._replace(relayed=_relay(session, name, relay_to))
            if not port.tls and "STARTTLS" in features:
                try:
                    reply = session.start_tls()
                    if not reply.good:
                        return talk._replace(tls_trouble=reply.text)
                    features = session.hello(options.helo)[1]
                except SmtpError as error:
                    return talk._replace(tls_trouble=str(error))
                talk = talk._replace(features_tls=features)
                if port.role == MX and any(reply.code == 530 for *_names, reply in talk.relayed):
                    # It wanted TLS first.
                    talk = talk._replace(relayed=_relay(session, name, relay_to))
            if port.role == MX and refuse_auth and talk.features_tls is not None:
                talk = _try_auth(session, talk)
    except SmtpError as error:
        if talk.code == 0:
            return talk._replace(state=error.state, trouble=str(error))
        return talk._replace(trouble=str(error))
    return talk


def _relay(session: Session, name: str, foreign: str) -> tuple[tuple[str, str, Reply], ...]:
    """Ask whether mail would be taken for others; nothing is sent.

    A stranger to a stranger, one who says to be of the server, and the old way around a check that
    looks behind the @ only.
    """
    tried = []
    local, _at, domain = foreign.rpartition("@")
    for sender, recipient in (
        (foreign, foreign),
        ("postmaster@" + name, foreign),
        (foreign, "{0}%{1}@{2}".format(local, domain, name)),
    ):
        reply = session.command("MAIL FROM:<{0}>".format(sender))
        if reply.good:
            reply = session.command("RCPT TO:<{0}>".format(recipient))
        # Who takes every name of its own domain takes the last one too, and returns the mail later,
        # as qmail does: that says nothing about relaying.
        catch_all = recipient.endswith("@" + name) and reply.good
        if catch_all:
            catch_all = session.command("RCPT TO:<{0}@{1}>".format(local, name)).good
        if not catch_all:
            tried.append((sender, recipient, reply))
        try:
            ended = session.command("RSET").code == 421
        except SmtpError:
            # What it said before it hung up counts all the same.
            ended = True
        if ended or reply.code in (421, 530):
            break
    return tuple(tried)


def _try_auth(session: Session, talk: Talk) -> Talk:
    """Ask for AUTH without credentials, and leave it again."""
    reply = session.command("AUTH LOGIN")
    if reply.code == 334:
        session.command("*")
    return talk._replace(auth=reply.text, auth_code=reply.code)


# --- a destination -------------------------------------------------------------------------------


def walk(
    recipient: str,
    dns: Answers | None,
    options: Options,
    sender: str = "",
    hosts: Sequence[str] = (),
    compare: Sequence[str] = (),
) -> Walk:
    """Ask the servers of a destination whether they would take mail for a recipient.

    In the order of their preference, until one agrees or refuses for good; five at most.

    Args:
        recipient: whom to ask for.
        dns: where to ask for MX records; needed when there are no ``hosts``.
        options: how to talk.
        sender: sender in the envelope; the empty one of a bounce by default.
        hosts: servers to ask instead of those of the MX records.
        compare: hosts of others to connect to when nothing answers, to know whether port 25 is
            blocked altogether.
    """
    domain = recipient.rpartition("@")[2]
    if hosts:
        servers = list(enumerate(hosts))
    elif dns is None:
        return Walk(recipient, UNKNOWN, "MX records cannot be looked up here")
    else:
        asked = dns.ask(domain, "MX")
        if not asked.known:
            return Walk(
                recipient, UNKNOWN, "no answer for {0}: {1}".format(asked.question, asked.reason)
            )
        servers = sorted((int(text.split()[0]), text.split()[1]) for text in asked.records)
        if any(host == "." for _preference, host in servers):
            return Walk(
                recipient, NULL_MX, "{0} says that it takes no mail (RFC 7505)".format(domain)
            )
        if asked.status == MISSING:
            return Walk(recipient, PERMANENT, "{0} does not exist".format(domain))
        # Without an MX record the domain's own address counts (RFC 5321 section 5.1).
        servers = servers or [(0, domain)]
    steps: list[Step] = []
    for preference, host in servers[:MAX_HOSTS]:
        steps += _ask_host(host, preference, recipient, sender, dns, options)
        if steps[-1].verdict in (OK, PERMANENT, TEMPORARY):
            break
    last = _decisive(steps)
    if last.verdict == TIMEOUT and compare:
        compared = _at_once(lambda host: _reach_any(host, dns, options), list(compare))
        if all(step.verdict == TIMEOUT for step in compared):
            text = "neither {0} nor {1} answer on port 25".format(last.host, ", ".join(compare))
            return Walk(recipient, BLOCKED, text, tuple(steps), tuple(compared))
        return Walk(recipient, TIMEOUT, _said(last), tuple(steps), tuple(compared))
    return Walk(recipient, last.verdict, _said(last), tuple(steps))


def _said(step: Step) -> str:
    return "{0}{1}: {2}".format(
        step.host, " [{0}]".format(step.address) if step.address else "", step.text
    )


def _decisive(steps: Sequence[Step]) -> Step:
    """Return the step that says what becomes of the mail."""
    for verdict in (OK, PERMANENT, TEMPORARY, REFUSED, TIMEOUT):
        for step in steps:
            if step.verdict == verdict:
                return step
    return steps[-1]


def _ask_host(
    host: str, preference: int, recipient: str, sender: str, dns: Answers | None, options: Options
) -> list[Step]:
    """Ask one server, at one address of each family until one answers."""
    addresses, trouble = addresses_of(host, dns)
    if not addresses:
        return [Step(host, preference, "", UNREACHABLE, trouble)]
    steps = []
    for address in _one_of_each(addresses):
        verdict, text = _ask_address(host, address, recipient, sender, options)
        steps.append(Step(host, preference, address, verdict, text))
        if verdict in (OK, PERMANENT, TEMPORARY):
            break
    return steps


def _one_of_each(addresses: Iterable[str]) -> list[str]:
    """Return one address of each family."""
    found = {":" in address: address for address in reversed(list(addresses))}
    return [found[family] for family in sorted(found)][:MAX_ADDRESSES]


def _ask_address(
    host: str, address: str, recipient: str, sender: str, options: Options
) -> tuple[str, str]:
    """Return the verdict of one address, and what it said."""
    if _is_private(address) and not options.private:
        return PRIVATE, "a private address, which was not connected to"
    try:
        with Session(
            address, options.port, options.timeout, options.source(address), name=host
        ) as session:
            reply = session.greeting
            if reply.good:
                reply = session.hello(options.helo)[0]
            for line in ("MAIL FROM:<{0}>".format(sender), "RCPT TO:<{0}>".format(recipient)):
                if reply.good:
                    reply = session.command(line)
    except SmtpError as error:
        states = (REFUSED, TIMEOUT, UNREACHABLE)
        return (error.state if error.state in states else TEMPORARY), str(error)
    if reply.good:
        return OK, reply.text
    return (TEMPORARY if reply.temporary else PERMANENT), reply.text


def _reach_any(host: str, dns: Answers | None, options: Options) -> Step:
    """Connect to a host to compare with, and hang up."""
    addresses, trouble = addresses_of(host, dns)
    if not addresses:
        return Step(host, 0, "", UNKNOWN, trouble)
    step = Step(host, 0, "", UNKNOWN, "")
    for address in _one_of_each(addresses):
        try:
            smtp_client.open_socket(
                address, options.port, options.timeout, options.source(address)
            ).close()
            return Step(host, 0, address, OK, "connected")
        except SmtpError as error:
            # A timeout says more than a machine without IPv6.
            if step.verdict != TIMEOUT:
                step = Step(host, 0, address, error.state, str(error))
    return step


def _is_private(address: str) -> bool:
    import ipaddress

    return not ipaddress.ip_address(address).is_global


def _at_once(work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """Do the same work for several things at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    if not items:
        return []
    with ThreadPoolExecutor(max_workers=min(_WORKERS, len(items))) as pool:
        return list(pool.map(work, items))
