# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS records wanted and DNS records found.

:class:`Record` is a record that somebody should publish, :class:`Answer` is what the DNS says.
Checks ask an :class:`Answers`, which is either the DNS itself (:class:`Resolver`, on the controller,
with dnspython) or a list of records (:class:`Recorded`).
"""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import value_kind

FOUND = "found"
#: The name exists and has no record of the type.
EMPTY = "empty"
#: The name does not exist.
MISSING = "missing"
#: Nobody knows: no answer came, or one that says that the server could not find out.
UNANSWERED = "unanswered"

#: Longest chain of aliases that is followed.
MAX_CHAIN = 16

#: Seconds that one query may take, and how many times that all of them together may take.
TIMEOUT = 3.0
MAX_TIMEOUT = 60.0
LIMIT_FACTOR = 20

_WORKERS = 16
# The largest answer that crosses every network in one piece (DNS flag day 2020).
_PAYLOAD = 1232


class LibraryMissingError(Exception):
    """The Python that runs here has no dnspython."""


def _escaped(octet: int) -> str:
    """Return an octet as it stands between quotes in a zone file (RFC 1035 section 5.1)."""
    if not 32 <= octet < 127:
        return "\\{0:03d}".format(octet)
    return ("\\" if octet in b'"\\' else "") + chr(octet)


class Record(NamedTuple):
    """A record as it should be published; ``value`` has names without a dot at the end."""

    name: str
    type: str
    value: str

    @property
    def text(self) -> str:
        """The record as a line of a zone file."""
        value = self.value
        if self.type == "TXT":
            # A character-string has 255 octets (RFC 1035 section 3.3); readers join them.
            data = value.encode("utf-8")
            parts = [data[start : start + 255] for start in range(0, len(data), 255)] or [b""]
            value = " ".join('"{0}"'.format("".join(map(_escaped, part))) for part in parts)
        elif self.type in ("CNAME", "MX", "NS", "PTR", "SRV"):
            value = value.rstrip(".") + "."
        return "{0}. IN {1} {2}".format(self.name, self.type, value)


class Answer(NamedTuple):
    """What the DNS says to one question.

    Attributes:
        name: the name asked for, in lower case, without a dot at the end.
        type: the type asked for.
        status: one of :data:`FOUND`, :data:`EMPTY`, :data:`MISSING`, :data:`UNANSWERED`.
        records: values as text, sorted. Names are in lower case without a dot at the end (the root
            is ``.``), an MX is ``10 mail.example.org``, the strings of a TXT are joined.
        cname_chain: the names that the name is an alias of, one after the other.
        authenticated: whether the resolver says that it has validated the answer (DNSSEC).
        reason: why there is no answer; empty otherwise.
        differences: what each name server says, when they do not agree.
    """

    name: str
    type: str
    status: str
    records: tuple[str, ...] = ()
    cname_chain: tuple[str, ...] = ()
    authenticated: bool = False
    reason: str = ""
    differences: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the DNS has answered, be it that there is nothing."""
        return self.status != UNANSWERED

    @property
    def question(self) -> str:
        """The question in words."""
        return "{0} of {1}".format(self.type, self.name)


def to_ascii(name: str) -> str:
    """Return a name as the DNS has it: lower case, other than ASCII encoded (IDNA).

    Raises:
        ValueError: a name that cannot be encoded.
    """
    if name.isascii():
        return name.lower()
    return name.encode("idna").decode("ascii").lower()


def clean_name(option: str, value: str) -> str:
    """Return a fully qualified host or domain name as the DNS has it.

    Args:
        option: where the name comes from, for the error.
        value: the name; capitals and letters other than ASCII are allowed.

    Raises:
        ValueError: it is no such name; the text names the option, the value and what is allowed.
    """
    try:
        name = to_ascii(value)
        trouble = value_kind.fqdn_problem(name)
    except ValueError:  # the codec's own error is one too
        trouble = "it has characters that no name can have"
    if trouble:
        raise ValueError(
            "{0} has {1!r}: {2}; allowed: a fully qualified name such as mail.example.org".format(
                option, value, trouble
            )
        )
    return name


def _clean_address(value: str) -> str:
    """Return the address of a resolver.

    Raises:
        ValueError: it is none.
    """
    import ipaddress

    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise ValueError("nameservers has {0!r}; allowed: IP addresses".format(value)) from error


def reverse_name(address: str) -> str:
    """Return the name that has the PTR record of an address."""
    import ipaddress

    return ipaddress.ip_address(address).reverse_pointer


def address_type(address: str) -> str:
    """Return the type of the record that has such an address."""
    return "AAAA" if ":" in address else "A"


def parents(name: str) -> list[str]:
    """Return a name and every name above it but the root, nearest first."""
    labels = name.split(".")
    return [".".join(labels[i:]) for i in range(len(labels))]


class Answers:
    """Something that answers questions about the DNS. Each question is asked once."""

    def __init__(self) -> None:
        import threading

        # Checks run at the same time and have questions in common.
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Any] = {}

    def ask(self, name: str, type_: str) -> Answer:
        """Return the answer to one question."""
        return self.ask_all([(name, type_)])[0]

    def ask_all(self, questions: Iterable[tuple[str, str]]) -> list[Answer]:
        """Return the answers to questions (name, type), in their order; they are asked at once."""
        from concurrent.futures import Future

        keys = [((name.rstrip(".") or ".").lower(), type_) for name, type_ in questions]
        with self._lock:
            new = [key for key in dict.fromkeys(keys) if key not in self._known]
            self._known.update((key, Future()) for key in new)
        try:
            for key, answer in zip(new, self._fetch(new)):
                self._known[key].set_result(answer)
        except Exception as error:
            # Nobody else may wait for ever for what will not come.
            for key in new:
                if not self._known[key].done():
                    self._known[key].set_exception(error)
            raise
        return [self._known[key].result() for key in keys]

    @property
    def authoritative(self) -> bool:
        """Whether the zones' own name servers are asked, so that answers may differ."""
        return False

    def _fetch(self, questions: Sequence[tuple[str, str]]) -> list[Answer]:
        """Return the answers to questions that were not asked before."""
        raise NotImplementedError


class Recorded(Answers):
    """A DNS that consists of given records.

    Args:
        text: a record a line, ``NAME TYPE VALUE``; ``*`` may be the first label of a name. Names
            are written in full. Blank lines and lines that begin with ``;`` do not count.
        silent: names about which nobody answers, with all that is below them.
        differing: question ("MX of example.org") -> what each name server says.
    """

    def __init__(
        self,
        text: str,
        silent: Iterable[str] = (),
        differing: dict[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self._silent = tuple(silent)
        self._differing = differing
        self._records: dict[str, dict[str, list[str]]] = {}
        for line in text.splitlines():
            if line.strip() and not line.strip().startswith(";"):
                name, type_, value = line.split(None, 2)
                self._records.setdefault(name.lower(), {}).setdefault(type_, []).append(value)

    @property
    def authoritative(self) -> bool:
        """Whether differences between name servers were given."""
        return self._differing is not None

    def _fetch(self, questions: Sequence[tuple[str, str]]) -> list[Answer]:
        return [self._answer(name, type_) for name, type_ in questions]

    def _answer(self, name: str, type_: str) -> Answer:
        chain: list[str] = []
        owner = name
        while len(chain) < MAX_CHAIN:
            if any(owner == zone or owner.endswith("." + zone) for zone in self._silent):
                return Answer(name, type_, UNANSWERED, reason="no server answered")
            data = self._data(owner)
            if data is None:
                return Answer(name, type_, MISSING, (), tuple(chain))
            if type_ in data:
                values = tuple(sorted(data[type_]))
                told = (self._differing or {}).get("{0} of {1}".format(type_, name), ())
                return Answer(name, type_, FOUND, values, tuple(chain), differences=tuple(told))
            if "CNAME" not in data:
                return Answer(name, type_, EMPTY, (), tuple(chain))
            owner = data["CNAME"][0]
            chain.append(owner)
        return Answer(name, type_, UNANSWERED, reason="too many aliases")

    def _data(self, owner: str) -> dict[str, list[str]] | None:
        """Return the records of a name by type; None when it does not exist."""
        if owner in self._records:
            return self._records[owner]
        if any(name.endswith("." + owner) for name in self._records):
            return {}
        for parent in parents(owner)[1:]:
            if "*." + parent in self._records:
                return self._records["*." + parent]
        return None


class _NoAnswerError(Exception):
    """No server gave an answer; the text says why."""


class Resolver(Answers):
    """The DNS, asked by dnspython.

    Args:
        nameservers: addresses of resolvers; those of this machine when empty.
        timeout: seconds to wait for one answer.
        limit: seconds that all questions together may take; 20 times ``timeout`` when None.
        authoritative: ask every name server of the zone itself. ``nameservers`` then find them.
        port: where resolvers and name servers listen.

    Raises:
        LibraryMissingError: there is no dnspython.
        ValueError: a value that is not allowed, or this machine has no resolver and none was given.
    """

    def __init__(
        self,
        nameservers: Iterable[str] = (),
        timeout: float = TIMEOUT,
        limit: float | None = None,
        authoritative: bool = False,
        port: int = 53,
    ) -> None:
        super().__init__()
        self._resolvers = [_clean_address(item) for item in nameservers]
        if not 1 <= timeout <= MAX_TIMEOUT:
            raise ValueError(
                "timeout is {0:g}; allowed: 1 to {1:g} seconds".format(timeout, MAX_TIMEOUT)
            )
        try:
            import dns.exception
            import dns.resolver
        except ImportError as error:
            raise LibraryMissingError("dnspython cannot be imported: {0}".format(error)) from error
        import time

        if not self._resolvers:
            try:
                self._resolvers = [str(item) for item in dns.resolver.Resolver().nameservers]
            except dns.exception.DNSException as error:
                raise ValueError(
                    "nameservers is empty and this machine names none in /etc/resolv.conf; "
                    "allowed: the address of a resolver"
                ) from error
        self._timeout = timeout
        self._limit = timeout * LIMIT_FACTOR if limit is None else limit
        self._deadline = time.monotonic() + self._limit
        self._port = port
        self._authoritative = authoritative
        # Servers that have answered, and how often each other one has not.
        self._alive: set[str] = set()
        self._timeouts: dict[str, int] = {}
        # Zones already looked for, by name asked; their servers (name, address).
        self._zones: dict[str, str] = {}
        self._servers: dict[str, list[tuple[str, str]]] = {}

    @property
    def authoritative(self) -> bool:
        """Whether the zones' own name servers are asked."""
        return self._authoritative

    def _fetch(self, questions: Sequence[tuple[str, str]]) -> list[Answer]:
        if not questions:
            return []
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=min(_WORKERS, len(questions))) as pool:
            return list(pool.map(self._answer, questions))

    def _answer(self, question: tuple[str, str]) -> Answer:
        import dns.exception
        import dns.name

        name, type_ = question
        try:
            dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError):
            # A label of more than 63 characters, for example in a faulty SPF record.
            return Answer(name, type_, MISSING)
        try:
            # The servers of a top-level domain are many and not what is in doubt.
            if self._authoritative and "." in name:
                return self._ask_zone(name, type_)
            return _read(self._ask_resolvers(name, type_), name, type_)
        except _NoAnswerError as error:
            return Answer(name, type_, UNANSWERED, reason=str(error))

    def _exchange(self, server: str, name: str, type_: str, recursion: bool = True) -> Any:
        """Return one server's message.

        Raises:
            _NoAnswerError: it did not answer, or it could not find out.
        """
        import time

        import dns.exception
        import dns.flags
        import dns.message
        import dns.query
        import dns.rcode

        if server not in self._alive and self._timeouts.get(server, 0) > 1:
            raise _NoAnswerError("{0} does not answer".format(server))
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _NoAnswerError("the time limit of {0:g} s is used up".format(self._limit))
        query = dns.message.make_query(name, type_, use_edns=0, payload=_PAYLOAD)
        # Asks for the flag AD in the answer, without the signatures (RFC 6840 section 5.7).
        query.flags |= dns.flags.AD
        if not recursion:
            query.flags &= ~dns.flags.RD
        try:
            # What is too long for UDP is asked for again over TCP.
            message, _tcp = dns.query.udp_with_fallback(
                query,
                server,
                timeout=min(self._timeout, left),
                port=self._port,
                ignore_unexpected=True,
            )
        except dns.exception.Timeout as error:
            self._timeouts[server] = self._timeouts.get(server, 0) + 1
            raise _NoAnswerError(
                "{0} did not answer within {1:g} s".format(server, min(self._timeout, left))
            ) from error
        except OSError as error:
            raise _NoAnswerError(
                "{0} cannot be reached: {1}".format(server, error.strerror or error)
            ) from error
        except (dns.exception.DNSException, EOFError, ValueError) as error:
            raise _NoAnswerError(
                "{0} answered what cannot be read: {1}".format(server, type(error).__name__)
            ) from error
        self._alive.add(server)
        if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise _NoAnswerError(
                "{0} answered {1}".format(server, dns.rcode.to_text(message.rcode()))
            )
        return message

    def _ask_resolvers(self, name: str, type_: str) -> Any:
        """Return the message of the first resolver that knows.

        Raises:
            _NoAnswerError: none did.
        """
        # A single resolver gets a second chance, as any packet may be lost.
        turns = self._resolvers if len(self._resolvers) > 1 else self._resolvers * 2
        reasons: dict[str, str] = {}
        for server in turns:
            try:
                return self._exchange(server, name, type_)
            except _NoAnswerError as error:
                reasons.setdefault(server, str(error))
        raise _NoAnswerError("; ".join(reasons.values()))

    def _zone_of(self, name: str) -> str:
        """Return the zone that a name is in.

        Raises:
            _NoAnswerError: it could not be found.
        """
        if name in self._zones:
            return self._zones[name]
        import dns.rdatatype

        for candidate in parents(name):
            message = self._ask_resolvers(candidate, "SOA")
            for rrset in [*message.answer, *message.authority]:
                owner = _text(rrset.name)
                # An alias brings the zone of its target, which is not the one in question.
                if rrset.rdtype == dns.rdatatype.SOA and (
                    owner == "." or (candidate == owner or candidate.endswith("." + owner))
                ):
                    self._zones[name] = owner
                    return owner
        raise _NoAnswerError("the zone of {0} is not known".format(name))

    def _servers_of(self, zone: str) -> list[tuple[str, str]]:
        """Return name and address of each name server of a zone, IPv4 first.

        Raises:
            _NoAnswerError: there is none.
        """
        if zone not in self._servers:
            names = _read(self._ask_resolvers(zone, "NS"), zone, "NS").records
            found = []
            for type_ in ("A", "AAAA"):
                for name in names:
                    answer = _read(self._ask_resolvers(name, type_), name, type_)
                    found += [(name, address) for address in answer.records]
            if not found:
                raise _NoAnswerError("no name server of {0} has an address".format(zone))
            self._servers[zone] = found
        return self._servers[zone]

    def _ask_zone(self, name: str, type_: str, depth: int = 0) -> Answer:
        """Ask every name server of the zone, and follow an alias that leads out of it.

        Raises:
            _NoAnswerError: none of them knew.
        """
        import dns.flags

        zone = self._zone_of(name)
        answers: list[tuple[str, Answer]] = []
        told = []
        reasons = []
        for server, address in self._servers_of(zone):
            title = "{0} ({1})".format(server, address)
            try:
                message = self._exchange(address, name, type_, recursion=False)
            except _NoAnswerError as error:
                reasons.append(str(error))
                # This machine may have no IPv6; that says nothing about the server.
                if not (":" in address and "cannot be reached" in str(error)):
                    told.append("{0}: {1}".format(title, error))
                continue
            if not message.flags & dns.flags.AA:
                reasons.append("{0} does not have the zone {1}".format(title, zone))
                told.append("{0}: does not have the zone {1}".format(title, zone))
                continue
            answer = _read(message, name, type_)
            answers.append((title, answer))
            told.append("{0}: {1}".format(title, _summary(answer)))
        if not answers:
            raise _NoAnswerError("; ".join(dict.fromkeys(reasons)))
        first = answers[0][1]
        alike = len(told) == len(answers) and all(
            _summary(answer) == _summary(first) for _title, answer in answers
        )
        if not alike:
            first = first._replace(differences=tuple(told))
        if first.cname_chain and first.status != FOUND:
            target = first.cname_chain[-1]
            if depth + len(first.cname_chain) > MAX_CHAIN:
                raise _NoAnswerError("{0} is an alias without an end".format(name))
            if target in (name, *first.cname_chain[:-1]):
                raise _NoAnswerError("{0} is an alias of itself".format(name))
            beyond = self._ask_zone(target, type_, depth + len(first.cname_chain))
            first = first._replace(
                status=beyond.status,
                records=beyond.records,
                cname_chain=first.cname_chain + beyond.cname_chain,
                differences=first.differences + beyond.differences,
            )
        return first


def _summary(answer: Answer) -> str:
    """Return what one name server says, for comparison and for people."""
    # An alias that one server followed further than another one is the same alias.
    if answer.cname_chain:
        return "alias of {0}".format(answer.cname_chain[0])
    if answer.status == FOUND:
        return ", ".join(answer.records)
    return {EMPTY: "no such record", MISSING: "no such name"}[answer.status]


def _text(name: Any) -> str:
    """Return a name of dnspython as text."""
    return name.to_text(omit_final_dot=True).lower()


def _value(rdata: Any, type_: str) -> str:
    """Return a record of dnspython as text."""
    if type_ in ("A", "AAAA"):
        return rdata.address
    if type_ in ("CNAME", "NS", "PTR"):
        return _text(rdata.target)
    if type_ == "MX":
        return "{0} {1}".format(rdata.preference, _text(rdata.exchange))
    if type_ == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "backslashreplace")
    return rdata.to_text()


def _read(message: Any, name: str, type_: str) -> Answer:
    """Return what a message says to the question.

    Raises:
        _NoAnswerError: aliases that go round in circles.
    """
    import dns.flags
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

    owner = dns.name.from_text(name)
    wanted = dns.rdatatype.from_text(type_)
    internet = dns.rdataclass.IN
    chain: list[str] = []
    status = MISSING if message.rcode() == dns.rcode.NXDOMAIN else EMPTY
    records: tuple[str, ...] = ()
    while True:
        rrset = message.get_rrset(message.answer, owner, internet, wanted)
        if rrset:
            status = FOUND
            records = tuple(sorted(_value(rdata, type_) for rdata in rrset))
            break
        alias = message.get_rrset(message.answer, owner, internet, dns.rdatatype.CNAME)
        if not alias:
            break
        owner = alias[0].target
        if _text(owner) in (name, *chain) or len(chain) >= MAX_CHAIN:
            raise _NoAnswerError("{0} is an alias of itself".format(name))
        chain.append(_text(owner))
    return Answer(name, type_, status, records, tuple(chain), bool(message.flags & dns.flags.AD))
