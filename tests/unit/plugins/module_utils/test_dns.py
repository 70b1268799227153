# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import builtins
import socket
import socketserver
import struct
import threading
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns as words


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (("a.test", "A", "192.0.2.1"), "a.test. IN A 192.0.2.1"),
        (("a.test", "MX", "10 mail.a.test"), "a.test. IN MX 10 mail.a.test."),
        (("a.test", "CNAME", "b.test"), "a.test. IN CNAME b.test."),
        (("a.test", "TXT", 'say "hi" \\'), 'a.test. IN TXT "say \\"hi\\" \\\\"'),
        (("a.test", "CAA", '0 issue "ca.test"'), 'a.test. IN CAA 0 issue "ca.test"'),
    ],
)
def test_a_record_as_a_line_of_a_zone_file(record, text):
    assert words.Record(*record).text == text


def test_a_long_text_is_split():
    line = words.Record("a.test", "TXT", "x" * 300).text
    assert line == 'a.test. IN TXT "{0}" "{1}"'.format("x" * 255, "x" * 45)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("mail.example.org", "mail.example.org"),
        ("Mail.EXAMPLE.org", "mail.example.org"),
        ("mail.bücher.example", "mail.xn--bcher-kva.example"),
        ("ПОЧТА.example", "xn--80a1acny.example"),
    ],
)
def test_clean_name(name, clean):
    assert words.clean_name("hostname", name) == clean


@pytest.mark.parametrize(
    "name",
    ["mail", "mail.example.org ", " mail.example.org", "mail.example.org.", "192.0.2.1", "a..b",
     "a_b.example.org", "-a.example.org", "x" * 64 + ".org", "bü cher.example", "ü" * 80 + ".org",
     "", "a.org\n"],
)  # fmt: skip
def test_bad_names(name):
    with pytest.raises(ValueError, match="domains has .*; allowed: a fully qualified name"):
        words.clean_name("domains", name)


# --- records in a text -------------------------------------------------------------------------

ZONE = """
; a comment
a.test A 192.0.2.2
a.test A 192.0.2.1
alias.test CNAME middle.test
middle.test CNAME a.test
broken.test CNAME nowhere.test
round.test CNAME trip.test
trip.test CNAME round.test
deep.below.test TXT hello  world
*.wild.test MX 10 a.test
"""


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        ("A.test.", "A", ("found", ("192.0.2.1", "192.0.2.2"), ())),
        ("a.test", "MX", ("empty", (), ())),
        ("b.test", "A", ("missing", (), ())),
        ("below.test", "A", ("empty", (), ())),
        ("deep.below.test", "TXT", ("found", ("hello  world",), ())),
        ("alias.test", "A", ("found", ("192.0.2.1", "192.0.2.2"), ("middle.test", "a.test"))),
        ("alias.test", "CNAME", ("found", ("middle.test",), ())),
        ("broken.test", "A", ("missing", (), ("nowhere.test",))),
        ("x.y.wild.test", "MX", ("found", ("10 a.test",), ())),
        ("round.test", "A", ("unanswered", (), ())),
        ("x.dead.test", "A", ("unanswered", (), ())),
    ],
)
def test_recorded(name, type_, expected):
    answer = words.Recorded(ZONE, silent=["dead.test"]).ask(name, type_)
    assert (answer.status, answer.records, answer.cname_chain) == expected
    assert answer.known is (answer.status != "unanswered")


def test_answers_stand_in_the_order_of_the_questions():
    questions = [("a.test", "A"), ("b.test", "A"), ("A.test", "A")]
    answers = words.Recorded(ZONE).ask_all(questions)
    assert [item.name for item in answers] == ["a.test", "b.test", "a.test"]


class Counting(words.Answers):
    """Answers slowly, and counts."""

    def __init__(self, error=None):
        super().__init__()
        self.count = 0
        self.error = error

    def _fetch(self, questions):
        self.count += len(questions)
        if questions:
            time.sleep(0.05)
            if self.error:
                raise self.error
        return [words.Answer(name, type_, "empty") for name, type_ in questions]


def test_checks_that_run_at_once_ask_each_question_once():
    zone = Counting()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(zone.ask("a.test", "A"))) for _i in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert zone.count == 1
    assert len(found) == 5 and len(set(found)) == 1


def test_an_error_reaches_everybody_who_waits():
    zone = Counting(OSError("odd"))
    for _turn in range(2):
        with pytest.raises(OSError, match="odd"):
            zone.ask("a.test", "A")


# --- the DNS itself ----------------------------------------------------------------------------


class Server:
    """A name server on loopback, for UDP and TCP; what it says is a function of the question."""

    def __init__(self, address, port, reply):
        self.queries = []
        self.flags = set()
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                answer = server.answer(reply, data, False)
                if answer:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                (size,) = struct.unpack("!H", self.request.recv(2))
                answer = server.answer(reply, self.request.recv(size), True)
                if answer:
                    self.request.sendall(struct.pack("!H", len(answer)) + answer)

        self.servers = [
            socketserver.ThreadingUDPServer((address, port), Udp, bind_and_activate=False),
            socketserver.ThreadingTCPServer((address, port), Tcp, bind_and_activate=False),
        ]
        for item in self.servers:
            item.daemon_threads = True
            item.allow_reuse_address = True
            item.server_bind()
            item.server_activate()
            threading.Thread(target=item.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, reply, data, tcp):
        import dns.flags
        import dns.message

        query = dns.message.from_wire(data)
        self.flags.add(dns.flags.to_text(query.flags))
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        type_ = question.to_text().split()[-1]
        self.queries.append((name, type_, tcp))
        return reply(query, name, type_, tcp)

    def close(self):
        for item in self.servers:
            item.shutdown()
            item.server_close()


def free_port():
    """Return a port that is free for UDP and TCP on every loopback address used here."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def serve():
    """Return a function that starts a name server: reply and address -> server; and the port."""
    pytest.importorskip("dns")
    port = free_port()
    running = []

    def start(reply, address="127.0.0.1"):
        running.append(Server(address, port, reply))
        return running[-1]

    start.port = port
    yield start
    for server in running:
        server.close()


def message(query, *lines, rcode=0, authority=(), flags="AA"):
    """Return an answer with records written as lines of a zone file."""
    import dns.flags
    import dns.message
    import dns.rrset

    response = dns.message.make_response(query)
    response.set_rcode(rcode)
    response.flags |= dns.flags.from_text(flags)
    for section, texts in ((response.answer, lines), (response.authority, authority)):
        for line in texts:
            name, type_, value = line.split(None, 2)
            section.append(dns.rrset.from_text(name + ".", 60, "IN", type_, value))
    return response.to_wire(max_size=65535)


SERVFAIL = 2
NXDOMAIN = 3
REFUSED = 5


def resolver_reply(query, name, type_, tcp):
    """What a resolver says about a few names."""
    question = (name, type_)
    if question == ("found.test", "MX"):
        return message(query, "found.test MX 20 B.Test.", flags="AD")
    if question == ("null.test", "MX"):
        return message(query, "null.test MX 0 .")
    if question == ("text.test", "TXT"):
        return message(query, 'text.test TXT "v=spf1 " "a" "\\195\\164\\255"')
    if question == ("caa.test", "CAA"):
        return message(query, 'caa.test CAA 0 issue "ca.test"')
    if question == ("alias.test", "A"):
        records = (
            "alias.test CNAME Two.test.",
            "two.test CNAME three.test.",
            "three.test A 192.0.2.3",
        )
        return message(query, *records)
    if question == ("lost.test", "A"):
        return message(query, "lost.test CNAME gone.test.", rcode=NXDOMAIN)
    if question == ("circle.test", "A"):
        return message(query, "circle.test CNAME round.test.", "round.test CNAME circle.test.")
    if question == ("long.test", "A"):
        lines = ["long.test A 192.0.2.{0}".format(i) for i in range(200)]
        return message(query, *lines) if tcp else message(query, flags="TC")
    if name == "fails.test":
        return message(query, rcode=SERVFAIL)
    if name == "garbage.test":
        return query.to_wire()[:2] + b"\x80"
    if name == "silent.test":
        return None
    if name == "missing.test":
        return message(query, rcode=NXDOMAIN)
    return message(query)


@pytest.mark.parametrize(
    ("name", "type_", "status", "records", "chain"),
    [
        ("found.test", "MX", "found", ("20 b.test",), ()),
        ("null.test", "MX", "found", ("0 .",), ()),
        ("text.test", "TXT", "found", ("v=spf1 aä\\xff",), ()),
        ("caa.test", "CAA", "found", ('0 issue "ca.test"',), ()),
        ("alias.test", "A", "found", ("192.0.2.3",), ("two.test", "three.test")),
        ("lost.test", "A", "missing", (), ("gone.test",)),
        ("empty.test", "A", "empty", (), ()),
        ("missing.test", "A", "missing", (), ()),
        ("x" * 64 + ".test", "A", "missing", (), ()),
        ("a..test", "A", "missing", (), ()),
    ],
)
def test_resolver(serve, name, type_, status, records, chain):
    serve(resolver_reply)
    answer = words.Resolver(["127.0.0.1"], port=serve.port).ask(name, type_)
    assert (answer.status, answer.records, answer.cname_chain) == (status, records, chain)
    assert answer.authenticated is (name == "found.test")
    assert not answer.reason


def test_a_truncated_answer_is_asked_for_over_tcp(serve):
    server = serve(resolver_reply)
    answer = words.Resolver(["127.0.0.1"], port=serve.port).ask("long.test", "A")
    assert len(answer.records) == 200
    assert [tcp for _name, _type, tcp in server.queries] == [False, True]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fails.test", "127.0.0.1 answered SERVFAIL"),
        ("circle.test", "circle.test is an alias of itself"),
        ("garbage.test", "127.0.0.1 answered what cannot be read"),
    ],
)
def test_no_answer_is_unanswered(serve, name, reason):
    serve(resolver_reply)
    answer = words.Resolver(["127.0.0.1"], port=serve.port).ask(name, "A")
    assert answer.status == "unanswered" and not answer.known
    assert answer.reason.startswith(reason)


def test_silence(serve):
    server = serve(resolver_reply)
    zone = words.Resolver(["127.0.0.1"], port=serve.port, timeout=1)
    begin = time.monotonic()
    answers = zone.ask_all([("silent.test", "A"), ("silent.test", "MX"), ("found.test", "MX")])
    # Both at once, each with a second chance.
    assert time.monotonic() - begin < 3
    assert [item.status for item in answers] == ["unanswered", "unanswered", "found"]
    assert answers[0].reason == "127.0.0.1 did not answer within 1 s"
    assert server.queries.count(("silent.test", "A", False)) == 2
    # It is there, so it is asked again, with recursion and for the flag AD.
    assert zone.ask("text.test", "TXT").known
    assert server.flags == {"RD AD"}


def test_a_server_that_never_answers_is_given_up(serve):
    server = serve(lambda *_question: None)
    zone = words.Resolver(["127.0.0.1"], port=serve.port, timeout=1)
    zone.ask("a.test", "A")
    begin = time.monotonic()
    answer = zone.ask("b.test", "A")
    assert time.monotonic() - begin < 0.5
    assert answer.reason == "127.0.0.1 does not answer"
    assert len(server.queries) == 2


def test_the_time_limit(serve):
    serve(resolver_reply)
    zone = words.Resolver(["127.0.0.1"], port=serve.port, timeout=2, limit=0.2)
    begin = time.monotonic()
    assert not zone.ask("silent.test", "A").known
    assert time.monotonic() - begin < 1
    assert zone.ask("found.test", "MX").reason == "the time limit of 0.2 s is used up"


def test_the_next_resolver_is_asked(serve):
    serve(lambda query, *_rest: message(query, rcode=REFUSED))
    serve(resolver_reply, "127.0.0.2")
    zone = words.Resolver(["127.0.0.1", "127.0.0.2"], port=serve.port)
    assert zone.ask("found.test", "MX").records == ("20 b.test",)
    answer = zone.ask("fails.test", "MX")
    assert answer.reason == "127.0.0.1 answered REFUSED; 127.0.0.2 answered SERVFAIL"


def test_a_closed_port(serve):
    answer = words.Resolver(["127.0.0.1"], port=serve.port, timeout=1).ask("a.test", "A")
    assert answer.status == "unanswered"
    assert answer.reason


SOA = "{0} SOA ns1.{0}. root.{0}. 1 3600 600 86400 60"


def finder(query, name, type_, tcp):
    """A resolver that only has to find zones and their name servers."""
    answers = {
        ("zone.test", "SOA"): [SOA.format("zone.test")],
        ("zone.test", "NS"): ["zone.test NS ns1.zone.test.", "zone.test NS ns2.zone.test."],
        ("other.test", "SOA"): [SOA.format("other.test")],
        ("other.test", "NS"): ["other.test NS ns2.zone.test."],
        ("bare.test", "SOA"): [SOA.format("bare.test")],
        ("bare.test", "NS"): ["bare.test NS ns.bare.test."],
        ("ns1.zone.test", "A"): ["ns1.zone.test A 127.0.0.2"],
        ("ns2.zone.test", "A"): ["ns2.zone.test A 127.0.0.3"],
        # An alias: what comes with it is the zone of its target.
        ("out.zone.test", "SOA"): ["out.zone.test CNAME www.other.test."],
    }
    if (name, type_) in answers:
        authority = [SOA.format("other.test")] if name == "out.zone.test" else []
        return message(query, *answers[(name, type_)], authority=authority)
    zone = name.split(".", 1)[-1]
    if type_ == "SOA" and name.endswith((".zone.test", ".other.test")):
        return message(query, authority=[SOA.format(zone)], rcode=NXDOMAIN)
    return message(query, rcode=NXDOMAIN)


def primary(query, name, type_, tcp):
    """The zone's own server, as it should be."""
    answers = {
        ("zone.test", "MX"): ["zone.test MX 10 mail.zone.test."],
        ("new.zone.test", "A"): ["new.zone.test A 192.0.2.1"],
        ("out.zone.test", "A"): ["out.zone.test CNAME www.other.test."],
    }
    return message(query, *answers.get((name, type_), []))


def secondary(query, name, type_, tcp):
    """A server that does not know the newest record."""
    if name == "new.zone.test":
        return message(query, rcode=NXDOMAIN)
    if name == "out.zone.test":
        # It has the other zone too.
        return message(query, "out.zone.test CNAME www.other.test.", "www.other.test A 192.0.2.2")
    if name == "www.other.test":
        return message(query, "www.other.test A 192.0.2.2")
    return primary(query, name, type_, tcp)


def test_the_zones_own_servers(serve):
    resolver = serve(finder)
    first, second = serve(primary, "127.0.0.2"), serve(secondary, "127.0.0.3")
    zone = words.Resolver(["127.0.0.1"], port=serve.port, authoritative=True)
    assert zone.authoritative
    answer = zone.ask("zone.test", "MX")
    assert (answer.records, answer.differences) == (("10 mail.zone.test",), ())
    # Each was asked, and the resolver was not.
    assert ("zone.test", "MX", False) in first.queries
    assert ("zone.test", "MX", False) in second.queries
    assert ("zone.test", "MX", False) not in resolver.queries
    answer = zone.ask("new.zone.test", "A")
    assert answer.records == ("192.0.2.1",)
    assert answer.differences == (
        "ns1.zone.test (127.0.0.2): 192.0.2.1",
        "ns2.zone.test (127.0.0.3): no such name",
    )
    answer = zone.ask("out.zone.test", "A")
    assert (answer.records, answer.cname_chain) == (("192.0.2.2",), ("www.other.test",))
    assert answer.differences == ()
    assert ("out.zone.test", "A", False) in first.queries
    assert first.flags == second.flags == {"AD"}


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (lambda query, *_rest: message(query, flags="RA"), "does not have the zone zone.test"),
        (lambda query, *_rest: message(query, rcode=REFUSED), "127.0.0.3 answered REFUSED"),
        (lambda *_rest: None, "127.0.0.3 did not answer within 1 s"),
    ],
)
def test_one_of_the_servers_is_of_no_use(serve, reply, text):
    serve(finder)
    serve(primary, "127.0.0.2")
    serve(reply, "127.0.0.3")
    zone = words.Resolver(["127.0.0.1"], port=serve.port, authoritative=True, timeout=1)
    answer = zone.ask("zone.test", "MX")
    assert answer.records == ("10 mail.zone.test",)
    assert answer.differences[0] == "ns1.zone.test (127.0.0.2): 10 mail.zone.test"
    assert text in answer.differences[1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.other.test", "127.0.0.3 answered SERVFAIL"),
        ("bare.test", "no name server of bare.test has an address"),
        ("a.unknown", "the zone of a.unknown is not known"),
    ],
)
def test_no_server_is_of_use(serve, name, reason):
    serve(finder)
    serve(lambda query, *_rest: message(query, rcode=SERVFAIL), "127.0.0.3")
    zone = words.Resolver(["127.0.0.1"], port=serve.port, authoritative=True)
    answer = zone.ask(name, "A")
    assert (answer.status, answer.reason) == ("unanswered", reason)


def test_resolver_refuses_bad_values():
    with pytest.raises(ValueError, match="nameservers has 'dns.test'; allowed: IP addresses"):
        words.Resolver(["dns.test"])
    for timeout in (0, 61):
        with pytest.raises(ValueError, match="timeout is .*; allowed: 1 to 60 seconds"):
            words.Resolver(["127.0.0.1"], timeout=timeout)


def test_without_the_library(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.split(".")[0] == "dns":
            raise ImportError("No module named 'dns'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(words.LibraryMissingError, match="No module named 'dns'"):
        words.Resolver(["127.0.0.1"])
