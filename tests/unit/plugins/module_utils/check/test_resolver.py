# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, resolver
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))
MAILU = need.from_stack(stack.get("mailu"))

GOOD = {"rcode": "NOERROR", "authenticated": True}
PLAIN = {"rcode": "NOERROR"}


@pytest.fixture
def make(make_host):
    """Return a function: server to what it says, and those behind systemd-resolved -> a host."""

    def build(asked, behind=None):
        lines = "".join("nameserver {0}\n".format(server) for server in asked)
        files = {"/etc/resolv.conf": "# a comment\nsearch example.org\n" + lines}
        if behind is not None:
            lines = "".join("nameserver {0}\n".format(server) for server in behind)
            files["/run/systemd/resolve/resolv.conf"] = lines
        said = dict(asked, **(behind or {}))
        network = {
            "dns {0} udp example.org A +adflag".format(server): reply
            for server, reply in said.items()
        }
        return make_host(files, {"network": network})

    return build


def told(findings):
    (finding,) = findings
    assert finding.required
    assert bool(finding.fix) or finding.status in ("ok", "skip")
    return finding.status, finding.observed


class TestAnswers:
    def test_well(self, make):
        host = make({"192.0.2.53": PLAIN, "2001:db8::53": {"rcode": "NXDOMAIN"}})
        assert told(resolver.answers(host, MAILCOW)) == ("ok", "192.0.2.53, 2001:db8::53 answers")

    def test_one_is_silent(self, make):
        host = make({"192.0.2.53": PLAIN, "192.0.2.54": "timeout"})
        assert told(resolver.answers(host, MAILCOW)) == ("warn", "192.0.2.54: no answer")

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            ("timeout", "no answer"),
            ("refused", "refused"),
            ({"rcode": "SERVFAIL"}, "answers SERVFAIL"),
            ({"rcode": "REFUSED"}, "answers REFUSED"),
        ],
    )
    def test_none_answers(self, reply, words, make):
        (finding,) = resolver.answers(make({"192.0.2.53": reply}), MAILCOW)
        assert (finding.status, finding.observed) == ("fail", "192.0.2.53: " + words)
        assert "/etc/resolv.conf" in finding.fix

    def test_offline_any_answer_will_do(self, make):
        offline = MAILCOW._replace(offline=True)
        assert (
            told(resolver.answers(make({"192.0.2.53": {"rcode": "SERVFAIL"}}), offline))[0] == "ok"
        )

    def test_offline_silence_is_none(self, make):
        offline = MAILCOW._replace(offline=True)
        assert told(resolver.answers(make({"192.0.2.53": "timeout"}), offline))[0] == "fail"

    def test_none_named(self, make_host):
        network = {"dns 127.0.0.1 udp example.org A +adflag": "refused"}
        host = make_host({}, {"network": network})
        assert told(resolver.answers(host, MAILCOW)) == ("fail", "127.0.0.1: refused")

    def test_only_three_are_asked(self, make_host):
        servers = ["192.0.2.{0}".format(number) for number in range(1, 5)]
        text = "".join("nameserver {0}\n".format(server) for server in servers)
        network = {
            "dns {0} udp example.org A +adflag".format(server): PLAIN for server in servers[:3]
        }
        host = make_host({"/etc/resolv.conf": text}, {"network": network})
        assert told(resolver.answers(host, MAILCOW))[0] == "ok"

    def test_lines_that_name_no_server(self, make_host):
        text = (
            "nameserver\nnameserver name.example.org\n#nameserver 192.0.2.9\nnameserver 192.0.2.1"
        )
        network = {"dns 192.0.2.1 udp example.org A +adflag": PLAIN}
        host = make_host({"/etc/resolv.conf": text}, {"network": network})
        assert told(resolver.answers(host, MAILCOW)) == ("ok", "192.0.2.1 answers")

    def test_a_link_local_server(self, make):
        host = make({"fe80::1%eth0": PLAIN})
        assert told(resolver.answers(host, MAILCOW)) == ("ok", "fe80::1%eth0 answers")
        assert told(resolver.public(host, MAILU))[0] == "ok"

    def test_what_is_not_known_is_no_answer(self, make_host):
        with pytest.raises(HostError, match="not known"):
            resolver.answers(make_host({"/etc/resolv.conf": "nameserver 192.0.2.1\n"}), MAILCOW)


class TestDnssec:
    def test_a_stack_with_its_own_resolver(self, make):
        status, observed = told(resolver.dnssec(make({"192.0.2.53": PLAIN}), MAILCOW))
        assert (status, observed) == ("skip", "mailcow: dockerized has its own resolver")

    def test_validates(self, make):
        assert told(resolver.dnssec(make({"192.0.2.53": GOOD}), MAILU)) == (
            "ok",
            "192.0.2.53 validates",
        )

    def test_does_not(self, make):
        host = make({"192.0.2.53": GOOD, "192.0.2.54": PLAIN})
        (finding,) = resolver.dnssec(host, MAILU)
        assert finding.status == "warn"
        assert finding.observed == "192.0.2.54 does not validate"
        assert "Keep Mailu's resolver" in finding.fix

    def test_servers_behind_a_stub_count(self, make):
        host = make({"127.0.0.53": PLAIN}, {"192.0.2.53": GOOD})
        assert told(resolver.dnssec(host, MAILU)) == ("ok", "192.0.2.53 validates")

    def test_a_stub_without_servers_behind(self, make):
        host = make({"127.0.0.53": PLAIN}, {})
        assert told(resolver.dnssec(host, MAILU))[1] == "127.0.0.53 does not validate"

    def test_silence_is_no_verdict(self, make):
        host = make({"192.0.2.53": "timeout"})
        with pytest.raises(HostError, match="no name server answers"):
            resolver.dnssec(host, MAILU)
        assert told(resolver.dnssec(host, MAILU._replace(offline=True)))[0] == "skip"


class TestPublic:
    def test_a_resolver_of_the_provider(self, make):
        assert told(resolver.public(make({"192.0.2.53": PLAIN}), MAILU)) == ("ok", "192.0.2.53")

    @pytest.mark.parametrize(
        ("server", "operator"),
        [
            ("8.8.8.8", "Google Public DNS"),
            ("1.1.1.1", "Cloudflare"),
            ("2620:00fe:0:0:0:0:0:00fe", "Quad9"),
        ],
    )
    def test_a_public_one(self, server, operator, make):
        host = make({"192.0.2.53": PLAIN, server: PLAIN})
        (finding,) = resolver.public(host, MAILU)
        assert finding.status == "warn"
        assert finding.observed == "{0} ({1})".format(server, operator)
        assert "unbound" in finding.fix

    def test_beside_a_stack_with_its_own_resolver(self, make):
        assert told(resolver.public(make({"8.8.8.8": PLAIN}), MAILCOW)) == (
            "ok",
            "8.8.8.8 (Google Public DNS), which mailcow: dockerized does not ask",
        )

    def test_behind_a_stub(self, make):
        host = make({"127.0.0.53": PLAIN}, {"9.9.9.9": PLAIN})
        assert told(resolver.public(host, MAILU)) == ("warn", "9.9.9.9 (Quad9)")

    def test_nothing_is_asked(self, make_host):
        host = make_host({"/etc/resolv.conf": "nameserver 8.8.8.8\n"})
        assert told(resolver.public(host, MAILU))[0] == "warn"

    def test_a_server_on_the_host(self, make, make_host):
        assert told(resolver.public(make({"127.0.0.1": PLAIN}), MAILU))[0] == "skip"
        assert told(resolver.public(make_host(), MAILU))[0] == "skip"

    def test_the_list(self):
        found = [one for _name, addresses, _page in resolver._PUBLIC for one in addresses]
        assert len(found) == len(set(found))
        assert all(ipaddress.ip_address(one).is_global for one in found)
        assert all(page.startswith("https://") for _name, _addresses, page in resolver._PUBLIC)
