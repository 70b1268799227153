# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against real servers on the loopback interface, with certificates of an authority of our own."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns, tls_probe
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, tls

pytest.importorskip("cryptography")
sys.path.insert(0, str(Path(__file__).parent))
import mail_servers


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return mail_servers.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(authority):
    return authority.context()


def tls_first(context):
    """A server that speaks TLS and then nothing."""

    def talk(stream):
        with context.wrap_socket(stream, server_side=True) as inner:
            inner.recv(1)

    return talk


def dialogue(context, greeting, verb, reply):
    """A server of IMAP, POP3 or ManageSieve."""

    def talk(stream):
        stream.sendall(greeting)
        line = b""
        while not line.endswith(b"\n"):
            line += stream.recv(1)
        assert line == verb
        stream.sendall(reply)
        tls_first(context)(stream)

    return talk


GREETINGS = {
    "imap": (
        b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n",
        b"a1 STARTTLS\r\n",
        b"a1 OK go\r\n",
    ),
    "pop3": (b"+OK ready\r\n", b"STLS\r\n", b"+OK go\r\n"),
    "sieve": (
        b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK "ready"\r\n',
        b"STARTTLS\r\n",
        b'OK "go"\r\n',
    ),
}
REFUSALS = {
    "imap": b"a1 BAD unknown\r\n",
    "pop3": b"-ERR no\r\n",
    "sieve": b"NO\r\n",
}


def audit(servers, authority, zone=None, names=(), days=20):
    """Serve by name of service; return what is not ok by check, and the audit."""
    with contextlib.ExitStack() as stack:
        ports = {
            name: stack.enter_context(mail_servers.serving(talk)) for name, talk in servers.items()
        }
        text = (zone or "").format(**ports)
        found = tls_probe.look(
            "mail.example.org",
            ["127.0.0.1"],
            tls_probe.choose(servers, ports),
            dns.Recorded(text),
            names,
            2,
            str(authority.file),
        )
    findings = look.all_of(tls.LOOK, found, days)
    return {
        item.id.partition(".")[2]: item.status
        for item in findings
        if item.status not in ("ok", "skip")
    }, found


def test_every_service(authority, good):
    servers = {name: dialogue(good, *words) for name, words in GREETINGS.items()}
    servers.update({name: tls_first(good) for name in ("submissions", "imaps", "pop3s", "https")})
    servers.update({name: mail_servers.Smtp(good).talk for name in ("smtp", "submission")})
    wrong, found = audit(servers, authority)
    assert wrong == {}
    assert {port.state for port in found.ports} == {"open"}
    assert set(servers) == set(tls_probe.BY_NAME)
    shown = found.ports[0].to_dict()
    assert shown["names"] == ["mail.example.org"]
    assert shown["issuer"] == "CN=Test CA"
    assert shown["version"] == "TLSv1.3"
    assert shown["trusted"] is True
    assert shown["fingerprint"] == hashlib.sha256(good.der).hexdigest()


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"days": 10}, {"expiry": "warn"}),
        ({"days": 2}, {"expiry": "fail"}),
        ({"days": -1}, {"expiry": "fail", "chain": "fail"}),
        ({"names": ["other.example.org"]}, {"names": "fail"}),
        ({"names": ["*.example.org"]}, {}),
        ({"names": ["*.org"]}, {"names": "fail"}),
        ({"self_signed": True}, {"chain": "fail"}),
    ],
)
def test_certificates(authority, options, wrong):
    assert audit({"imaps": tls_first(authority.context(**options))}, authority)[0] == wrong


def test_another_authority(authority, good, tmp_path):
    other = mail_servers.Authority(tmp_path)
    assert audit({"imaps": tls_first(good)}, other)[0] == {"chain": "fail"}
    # Other mail servers rarely look.
    assert audit({"smtp": mail_servers.Smtp(good).talk}, other)[0] == {"chain": "warn"}


def test_further_names(authority):
    context = authority.context(["mail.example.org", "imap.example.org"])
    servers = {"imaps": tls_first(context)}
    assert audit(servers, authority, names=["imap.example.org"])[0] == {}
    assert audit(servers, authority, names=["autodiscover.example.org"])[0] == {"names": "fail"}


def test_old_protocols(authority):
    weak = authority.context(weak=True)
    wrong, found = audit({"imaps": tls_first(weak)}, authority)
    if found.ports[0].old is None:
        pytest.skip("the OpenSSL here cannot speak old protocols")
    assert found.ports[0].old in ("TLSv1", "TLSv1.1")
    assert wrong == {"protocol": "warn"}
    # On port 25 the other side would send in clear instead.
    assert audit({"smtp": mail_servers.Smtp(weak).talk}, authority)[0] == {}


@pytest.mark.parametrize("name", sorted(GREETINGS))
def test_starttls_that_is_not_offered(authority, good, name):
    greeting, verb, _reply = GREETINGS[name]
    server = dialogue(good, greeting, verb, REFUSALS[name])
    wrong, found = audit({name: server}, authority)
    assert found.ports[0].state == "not_offered"
    assert wrong["connect"] == "fail"


@pytest.mark.parametrize(("name", "status"), [("smtp", "warn"), ("submission", "fail")])
def test_smtp_without_starttls(authority, good, name, status):
    server = mail_servers.Smtp(said={"STARTTLS": "502 no"})
    wrong, found = audit({name: server.talk, "imaps": tls_first(good)}, authority)
    assert wrong == {"connect": status}
    assert found.ports[0].trouble == "it says '502 no'"


@pytest.mark.parametrize(
    "said", [b"", b"hello\r\n" * 200, b"x" * 9000, b"220 x\r\n250 x\r\n220 x\r\nnot TLS at all\r\n"]
)
def test_services_that_say_something_else(authority, said):
    def talk(stream):
        stream.sendall(said)
        if said.startswith(b"220"):
            stream.recv(4096)

    wrong, found = audit({"submission": talk}, authority)
    assert found.ports[0].certificate is None
    assert wrong["connect"] == "fail"
    assert set(wrong.values()) == {"fail", "unknown"}


def test_closed_ports_are_left_out(authority, good):
    with mail_servers.serving(tls_first(good)) as number:
        services = tls_probe.choose(["imaps", "pop3s"], {"imaps": number, "pop3s": 1})
        found = tls_probe.look(
            "mail.example.org", ["127.0.0.1"], services, None, (), 2, str(authority.file)
        )
    findings = [item for item in look.all_of(tls.LOOK, found, 20) if item.id == "tls.connect"]
    assert [item.status for item in findings] == ["ok", "skip"]
    services = tls_probe.choose(["pop3s"], {"pop3s": 1})
    found = tls_probe.look("mail.example.org", ["127.0.0.1"], services, None, (), 2)
    findings = look.all_of(tls.LOOK, found, 20)
    assert {item.status for item in findings} == {"unknown"}


def test_a_service_that_was_not_restarted(authority, good):
    servers = {"imaps": tls_first(good), "submissions": tls_first(authority.context(days=40))}
    assert audit(servers, authority)[0] == {"same": "warn"}
    servers = {"imaps": tls_first(good), "submissions": tls_first(authority.context())}
    assert audit(servers, authority)[0] == {}


class Signed(dns.Recorded):
    """A zone whose answers are validated."""

    def _answer(self, name, type_):
        return super()._answer(name, type_)._replace(authenticated=True)


def records(context, authority):
    """Return TLSA records by what they are about."""
    from cryptography.hazmat.primitives import serialization

    leaf = tls_probe.read_certificate(context.der)
    issuer = authority.certificate.public_bytes(serialization.Encoding.DER)
    return {
        "key": "3 1 1 " + hashlib.sha256(leaf.key).hexdigest(),
        "key in two parts": "3 1 2 " + hashlib.sha512(leaf.key).hexdigest()[:64]
        + " " + hashlib.sha512(leaf.key).hexdigest()[64:].upper(),
        "certificate": "3 0 1 " + hashlib.sha256(leaf.der).hexdigest(),
        "all of it": "3 0 0 " + leaf.der.hex(),
        "issuer": "2 0 1 " + hashlib.sha256(issuer).hexdigest(),
        "other": "3 1 1 " + "0" * 64,
        "other issuer": "2 1 1 " + "0" * 64,
        "for the web": "1 1 1 " + hashlib.sha256(leaf.key).hexdigest(),
        "odd": "3 1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("published", "signed", "status"),
    [
        ([], True, "skip"),
        (["key"], True, "ok"),
        (["key in two parts"], True, "ok"),
        (["certificate"], True, "ok"),
        (["all of it"], True, "ok"),
        (["issuer"], True, "ok"),
        (["other", "key"], True, "ok"),
        (["other"], True, "fail"),
        (["other issuer"], True, "fail"),
        (["for the web"], True, "warn"),
        (["odd"], True, "warn"),
        (["key"], False, "warn"),
    ],
)
def test_tlsa(authority, good, published, signed, status):
    known = records(good, authority)
    with mail_servers.serving(mail_servers.Smtp(good).talk) as number:
        text = "\n".join(
            "_{0}._tcp.mail.example.org TLSA {1}".format(number, known[name]) for name in published
        )
        zone = (Signed if signed else dns.Recorded)(text)
        found = tls_probe.look(
            "mail.example.org",
            ["127.0.0.1"],
            tls_probe.choose(["smtp"], {"smtp": number}),
            zone,
            (),
            2,
            str(authority.file),
        )
    if not found.ports[0].whole_chain and "issuer" in " ".join(published):
        status = "unknown"
    (item,) = [item for item in look.all_of(tls.LOOK, found, 20) if item.id == "tls.tlsa"]
    assert item.status == status, item
    if status == "fail":
        assert known["key"].replace("3 1 1 ", "TLSA 3 1 1 ") in item.fix


def test_no_answer_about_tlsa(authority, good):
    with mail_servers.serving(tls_first(good)) as number:
        services = tls_probe.choose(["imaps"], {"imaps": number})
        zone = dns.Recorded("", silent=["example.org"])
        found = tls_probe.look(
            "mail.example.org", ["127.0.0.1"], services, zone, (), 2, str(authority.file)
        )
    statuses = {item.id: item.status for item in look.all_of(tls.LOOK, found, 20)}
    assert statuses["tls.tlsa"] == "unknown"


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["mail.example.org"], "mail.example.org", True),
        (["*.example.org"], "mail.example.org", True),
        (["*.example.org"], "a.mail.example.org", False),
        (["*.example.org"], "example.org", False),
        ([], "example.org", False),
    ],
)
def test_covers(names, wanted, expected):
    assert tls_probe.covers(names, wanted) is expected
