# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against real servers on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    dns,
    smtp_client,
    smtp_probe,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, smtp

sys.path.insert(0, str(Path(__file__).parent))
import mail_servers

ZONE = dns.Recorded("1.0.0.127.in-addr.arpa PTR mail.example.org")
OPTIONS = smtp_probe.Options("client.example.net", 2, private=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    pytest.importorskip("cryptography")
    return mail_servers.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def context(authority):
    return authority.context()


def look_at(mx=None, submission=None, submissions=None, zone=ZONE, **options):
    """Serve each of these, look at them, and return the findings by name, and the server."""
    with contextlib.ExitStack() as stack:
        ports = []
        for server, role, tls in (
            (mx, smtp_probe.MX, False),
            (submission, smtp_probe.SUBMISSION, False),
            (submissions, smtp_probe.SUBMISSIONS, True),
        ):
            if server is not None:
                number = stack.enter_context(mail_servers.serving(server.talk))
                ports.append(smtp_probe.Port(number, role, tls))
        server = smtp_probe.look_at_server(
            "mail.example.org", ["127.0.0.1"], ports, zone, OPTIONS, **options
        )
    findings = look.all_of(smtp.LOOK, server, ())
    return {item.id.partition(".")[2]: item for item in findings}, server


def goodbye(server):
    """Return the last thing that a server heard; it may still be reading."""
    end = time.monotonic() + 5
    while server.heard[-1] != "QUIT" and time.monotonic() < end:
        time.sleep(0.01)
    return server.heard[-1]


def bad(findings):
    return {
        name: item.status for name, item in findings.items() if item.status not in ("ok", "skip")
    }


class TestServer:
    def test_a_good_one(self, context):
        mx = mail_servers.Smtp(context)
        submissions = mail_servers.Smtp(context, tls_first=True)
        findings, server = look_at(mx, mail_servers.Smtp(context), submissions)
        assert bad(findings) == {}
        talk = server.talks[0].to_dict()
        assert talk["greeting"] == "mail.example.org ESMTP"
        assert talk["features"] == {"SIZE": "1000", "STARTTLS": ""}
        assert talk["features_tls"] == {"AUTH": "PLAIN LOGIN"}
        assert len(talk["relayed"]) == 3
        assert "relay access denied" in talk["relayed"][0]["reply"].lower()
        # Nothing is sent, and it says goodbye.
        assert not [line for line in mx.heard if line.upper().startswith(("DATA", "BDAT", "AUTH"))]
        assert goodbye(mx) == "QUIT"
        assert server.talks[2].features_tls == {"AUTH": "PLAIN LOGIN"}

    @pytest.mark.parametrize(
        ("server", "wrong"),
        [
            ({"relay": "250 Ok"}, {"relay": "fail"}),
            ({"relay": "454 4.7.1 <x>: Relay access denied"}, {}),
            ({"relay": "450 4.2.0 <x>: Greylisted"}, {"relay": "unknown"}),
            ({"said": {"MAIL": "550 no"}}, {}),
            # It closes the connection when it is asked.
            ({"said": {"MAIL": None}}, {"relay": "unknown", "starttls": "warn"}),
            ({"features": ["AUTH PLAIN"]}, {"auth_clear": "fail"}),
            ({"features": ["AUTH=LOGIN"]}, {"auth_clear": "fail"}),
            ({"name": "other.example.org"}, {"banner": "warn"}),
            ({"said": {"CONNECT": "220 "}}, {"banner": "warn"}),
            ({"said": {"STARTTLS": "454 TLS not available"}}, {"starttls": "fail"}),
            ({"said": {"CONNECT": "554 no service"}}, {"connect": "fail"}),
            ({"said": {"CONNECT": "421 busy"}}, {"connect": "fail"}),
            ({"said": {"CONNECT": None}}, {"connect": "fail"}),
            ({"said": {"CONNECT": "SSH-2.0-x"}}, {"connect": "fail"}),
            ({"said": {"CONNECT": "220-x\r\n" * 200}}, {"connect": "fail"}),
            ({"said": {"CONNECT": "220" + "x" * 9000}}, {"connect": "fail"}),
            ({"said": {"EHLO": "502 what", "HELO": "250 mail.example.org"}}, {"starttls": "warn"}),
        ],
    )
    def test_faults_of_port_25(self, context, server, wrong):
        findings, _server = look_at(mail_servers.Smtp(context, **server))
        found = bad(findings)
        if "connect" in wrong:
            assert found.pop("connect") == "fail"
            assert set(found.values()) == {"unknown"}
        else:
            assert found == wrong

    def test_tls_that_fails_in_the_middle(self):
        def talk(stream):
            stream.sendall(b"220 mail.example.org\r\n")
            lines = stream.makefile("rb")
            while lines.readline().split(b" ")[0] != b"STARTTLS\r\n":
                stream.sendall(b"250-mail.example.org\r\n250 STARTTLS\r\n")
            stream.sendall(b"220 go\r\nthis is no TLS\r\n")

        class Broken:
            pass

        Broken.talk = staticmethod(talk)
        findings, server = look_at(Broken)
        assert findings["starttls"].status == "fail"
        assert "TLS failed" in findings["starttls"].observed
        assert server.talks[0].features_tls is None

    def test_one_lost_packet_is_no_trouble(self):
        tries = []

        class Deaf(mail_servers.Smtp):
            """Does not answer those who come first."""

            def talk(self, stream):
                tries.append(stream)
                if len(tries) == 1:
                    stream.recv(1)
                else:
                    super().talk(stream)

        findings, _server = look_at(Deaf())
        assert (findings["connect"].status, len(tries)) == ("ok", 2)

    def test_an_open_relay_is_told_with_its_evidence(self):
        findings, _server = look_at(mail_servers.Smtp(relay="250 2.1.5 Ok"))
        observed = findings["relay"].observed
        assert "takes mail from relay-test@example.com to relay-test@example.com" in observed
        assert "asked from 127.0.0.1: 250 2.1.5 Ok" in observed

    def test_a_relay_that_hangs_up_at_the_next_word(self):
        findings, _server = look_at(mail_servers.Smtp(relay="250 2.1.5 Ok", said={"RSET": None}))
        assert findings["relay"].status == "fail"

    def test_a_server_that_takes_every_name_of_its_own_is_no_relay(self):
        findings, server = look_at(mail_servers.Smtp(own="mail.example.org"))
        assert findings["relay"].status == "ok"
        tried = [recipient for _sender, recipient, _reply in server.talks[0].relayed]
        assert tried == ["relay-test@example.com", "relay-test@example.com"]

    def test_a_relay_by_the_percent_sign(self):
        findings, _server = look_at(mail_servers.Smtp(own="example.com@mail.example.org"))
        assert "to relay-test%example.com@mail.example.org" in findings["relay"].observed

    def test_a_relay_behind_tls(self, authority):
        class TlsOnly(mail_servers.Smtp):
            def talk(self, stream):
                self.said = {"MAIL": "530 5.7.0 Must issue a STARTTLS command first"}
                original = self.context

                class Context:
                    def wrap_socket(self, *given, **named):
                        server.said.clear()
                        return original.wrap_socket(*given, **named)

                server, self.context = self, Context()
                super().talk(stream)

        findings, server = look_at(TlsOnly(authority.context(), relay="250 Ok"))
        assert findings["relay"].status == "fail"
        assert server.talks[0].relayed[0][2].code == 250

    @pytest.mark.parametrize(("said", "status"), [({}, "fail"), ({"AUTH": "502 no"}, "ok")])
    def test_auth_on_25_is_refused_where_it_must_be(self, context, said, status):
        mx = mail_servers.Smtp(context, said=said)
        findings, _server = look_at(mx, refuse_auth=True)
        assert findings["auth"].status == status
        assert ("*" in mx.heard) is (status == "fail")

    def test_submission(self, context):
        findings, _server = look_at(submission=mail_servers.Smtp())
        assert bad(findings) == {"banner": "unknown", "relay": "unknown", "starttls": "fail"}
        findings, _server = look_at(submission=mail_servers.Smtp(context, features_tls=()))
        assert findings["auth"].status == "fail"

    def test_reverse_records(self, context):
        other = dns.Recorded("1.0.0.127.in-addr.arpa PTR host.provider.test")
        findings, _server = look_at(mail_servers.Smtp(context), zone=other)
        assert "the reverse record says host.provider.test" in findings["banner"].observed
        silent = dns.Recorded("", silent=["arpa"])
        assert bad(look_at(mail_servers.Smtp(context), zone=silent)[0]) == {}
        assert bad(look_at(mail_servers.Smtp(context), zone=None)[0]) == {}

    def test_closed_at_one_address_only(self, context):
        port = smtp_probe.Port
        with mail_servers.serving(mail_servers.Smtp(context).talk) as number:
            addresses = ["127.0.0.1", "127.0.0.77"]
            server = smtp_probe.look_at_server(
                "mail.example.org", addresses, [port(number, "smtp")], None, OPTIONS
            )
        found = next(
            item for item in look.all_of(smtp.LOOK, server, ()) if item.id == "smtp.connect"
        )
        assert found.status == "warn"
        assert "127.0.0.77" in found.observed and "refused" in found.observed

    def test_a_server_that_says_nothing(self):
        def talk(stream):
            stream.recv(100)

        with mail_servers.serving(talk) as number, pytest.raises(smtp_client.SmtpError) as error:
            smtp_client.Session("127.0.0.1", number, timeout=0.2)
        assert error.value.state == "timeout"

    def test_a_server_that_drips_does_not_hold_us(self):
        def talk(stream):
            with contextlib.suppress(OSError):
                while True:
                    stream.sendall(b"2")
                    time.sleep(0.05)

        with mail_servers.serving(talk) as number, pytest.raises(smtp_client.SmtpError):
            smtp_client.Session("127.0.0.1", number, timeout=0.3)

    def test_a_name_without_addresses(self):
        server = smtp_probe.look_at_server(
            "mail.example.org", [], [smtp_probe.Port(25, "smtp")], dns.Recorded(""), OPTIONS
        )
        findings = {item.id: item.status for item in look.all_of(smtp.LOOK, server, ())}
        assert findings["smtp.connect"] == "fail"
        assert findings["smtp.relay"] == "unknown"

    def test_no_line_is_smuggled_in(self):
        with contextlib.ExitStack() as stack:
            number = stack.enter_context(mail_servers.serving(mail_servers.Smtp().talk))
            session = stack.enter_context(smtp_client.Session("127.0.0.1", number))
            with pytest.raises(ValueError, match="not one line of ASCII"):
                session.command("RCPT TO:<a@b>\r\nDATA")


MX = """
one.test MX 10 mx1.one.test
one.test MX 20 mx2.one.test
mx1.one.test A 127.0.0.11
mx2.one.test A 127.0.0.12
null.test MX 0 .
plain.test A 127.0.0.11
lost.test MX 10 nowhere.test
empty.test TXT x
real.test MX 10 mx1.one.test
"""


@pytest.fixture
def destination():
    """Return a function: the servers at 127.0.0.11 and .12 -> what becomes of mail."""

    def destination(first=None, second=None, recipient="jane@one.test", private=True, **more):
        with contextlib.ExitStack() as stack:
            port = 0
            for address, server in (("127.0.0.11", first), ("127.0.0.12", second)):
                if server is not None:
                    talk = server if callable(server) else server.talk
                    port = stack.enter_context(mail_servers.serving(talk, address, port))
            if not port:
                with socket.socket() as free:
                    free.bind(("127.0.0.11", 0))
                    port = free.getsockname()[1]
            options = OPTIONS._replace(port=port, private=private, timeout=0.5)
            return smtp_probe.walk(recipient, dns.Recorded(MX, ["silent.test"]), options, **more)

    return destination


def taker(**options):
    return mail_servers.Smtp(own="one.test", **options)


def silent(stream):
    """Takes the connection and never answers: what a filter does, as far as the loopback can."""
    stream.recv(1)


class TestDestination:
    def test_the_preferred_server_takes_it(self, destination):
        first = taker()
        found = destination(first, taker())
        assert (found.verdict, len(found.steps)) == ("ok", 1)
        assert goodbye(first) == "QUIT"
        assert first.heard == [
            "EHLO client.example.net",
            "MAIL FROM:<>",
            "RCPT TO:<jane@one.test>",
            "QUIT",
        ]

    def test_the_next_one_is_asked_when_one_is_down(self, destination):
        found = destination(None, taker())
        assert [step.verdict for step in found.steps] == ["refused", "ok"]
        assert found.verdict == "ok"

    @pytest.mark.parametrize(
        ("server", "verdict"),
        [
            (taker(said={"RCPT": "550 5.1.1 unknown"}), "permanent"),
            (taker(said={"RCPT": "450 4.2.0 greylisted"}), "temporary"),
            (taker(said={"MAIL": "553 no"}), "permanent"),
            (taker(said={"CONNECT": "554 go away"}), "permanent"),
            (taker(said={"CONNECT": "421 busy"}), "temporary"),
            (taker(said={"RCPT": None}), "temporary"),
        ],
    )
    def test_what_it_says(self, destination, server, verdict):
        assert destination(server, None).verdict == verdict

    @pytest.mark.parametrize(
        ("recipient", "verdict"),
        [
            ("x@null.test", "nullmx"),
            ("x@missing.test", "permanent"),
            ("x@silent.test", "unknown"),
            ("x@lost.test", "unreachable"),
            ("x@empty.test", "unreachable"),
            ("jane@plain.test", "ok"),
        ],
    )
    def test_what_the_dns_says(self, destination, recipient, verdict):
        server = mail_servers.Smtp(own="plain.test")
        assert destination(server, recipient=recipient).verdict == verdict

    def test_refused_everywhere(self, destination):
        assert destination().verdict == "refused"

    def test_a_private_address_is_left_alone(self, destination):
        first = taker()
        assert destination(first, private=False).verdict == "private"
        assert first.heard == []

    def test_port_25_is_blocked(self, destination, monkeypatch):
        reached = []

        def open_socket(address, port, timeout, source=""):
            reached.append(address)
            raise smtp_client.SmtpError("timeout", "no answer in time")

        monkeypatch.setattr(smtp_client, "open_socket", open_socket)
        found = destination(compare=["127.0.0.21", "127.0.0.22"])
        assert found.verdict == "blocked25"
        assert [step.verdict for step in found.compared] == ["timeout"] * 2
        # Nobody but those who were named.
        assert set(reached) == {"127.0.0.11", "127.0.0.12", "127.0.0.21", "127.0.0.22"}
        assert destination().verdict == "timeout"

    def test_not_blocked_when_another_one_answers(self, destination):
        found = destination(silent, recipient="x@plain.test", compare=["127.0.0.11"])
        assert found.verdict == "timeout"
        assert found.compared[0].verdict == "ok"

    def test_servers_named_by_hand_need_no_dns(self, destination):
        with mail_servers.serving(taker().talk) as port:
            options = OPTIONS._replace(port=port)
            found = smtp_probe.walk("jane@one.test", None, options, hosts=["127.0.0.1"])
            assert found.verdict == "ok"
            assert smtp_probe.walk("jane@one.test", None, options).verdict == "unknown"

    @pytest.mark.parametrize(
        ("verdict", "status"),
        [
            ("ok", "ok"),
            ("temporary", "warn"),
            ("permanent", "fail"),
            ("refused", "warn"),
            ("timeout", "warn"),
            ("unreachable", "warn"),
            ("blocked25", "fail"),
            ("nullmx", "fail"),
            ("private", "warn"),
            ("unknown", "unknown"),
        ],
    )
    def test_findings(self, verdict, status):
        walks = (smtp_probe.Walk("a@b.test", verdict, "x"),)
        (found,) = smtp.destination(smtp_probe.Server(""), walks)
        assert found.status == status
        assert bool(found.fix) is (status != "ok")
