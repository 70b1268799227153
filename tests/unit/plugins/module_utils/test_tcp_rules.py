# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of tcpserver as values, and, where ucspi-tcp is installed, what its programs make of them."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import tcp_rules
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.tcp_rules import (
    Rule,
    TcpRulesError,
)

needs_programs = pytest.mark.skipif(
    not (shutil.which("tcprules") and shutil.which("tcprulescheck")),
    reason="ucspi-tcp is not installed",
)


def rules(*entries, default="allow", **variables):
    return tcp_rules.rules_of(entries, default, variables)


def relay(*addresses, **variables):
    return {"addresses": addresses, "relay": True, "variables": variables}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("192.0.2.5", "192.0.2.5"),
        ("192.0.2.5/32", "192.0.2.5"),
        ("192.0.2.0/24", "192.0.2."),
        ("192.0.0.0/16", "192.0."),
        ("10.0.0.0/8", "10."),
        ("192.0.2.64/26", "192.0.2.64-127"),
        ("192.0.2.0/31", "192.0.2.0-1"),
        ("172.16.0.0/12", "172.16-31."),
        ("198.18.0.0/15", "198.18-19."),
        ("192.168.16.0/20", "192.168.16-31."),
        ("10.1.", "10.1."),
        ("10.1-3.", "10.1-3."),
        ("192.0.2.5-9", "192.0.2.5-9"),
        ("=mail.example.org", "=mail.example.org"),
        ("=.example.org", "=.example.org"),
        ("=", "="),
        ("joe@192.0.2.5", "joe@192.0.2.5"),
        ("joe@=mail.example.org", "joe@=mail.example.org"),
    ],
)
def test_addresses(text, form):
    assert tcp_rules.address_form(text) == form


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2001:db8::1", "it is IPv6"),
        ("2001:db8::/32", "it is IPv6"),
        ("10.0.0.1/8", "the network is 10.0.0.0/8"),
        ("10.0.0.0/33", "10.0.0.0/33"),
        ("0.0.0.0/0", "that is what default is for"),
        ("10.1", "10.1. is the prefix"),
        ("10.1.2.3.", "never match"),
        ("10.01.2.3", "never match"),
        ("300.1.2.3", "never match"),
        ("10.1-2.3.", "never match"),
        ("192.0.2.9-5", "ends before it begins"),
        ("mail.example.org", "never match"),
        ("", "never match"),
        ("=a b", "no name"),
        ("jo e@10.", "before @"),
        ("joe@10.", "behind user@ only a whole address"),
        ("joe@10.0.0.0/8", "behind user@ only a whole address"),
        ("joe@192.0.2.5/32", "behind user@ only a whole address"),
        ("joe@192.0.2.5-9", "behind user@ only a whole address"),
        ("joe@=.example.org", "behind user@ only a whole address"),
        ("joe@=", "behind user@ only a whole address"),
        ("joe@", "behind user@ only a whole address"),
    ],
)
def test_addresses_that_are_refused(text, reason):
    with pytest.raises(TcpRulesError, match="allowed: an IPv4 address") as error:
        tcp_rules.address_form(text)
    assert repr(text) in str(error.value) and reason in str(error.value)


@pytest.mark.parametrize("length", range(1, 33))
def test_a_network_has_the_keys_of_its_addresses(length):
    network = ipaddress.ip_network((0xC0A8AB55 >> (32 - length) << (32 - length), length))
    keys = tcp_rules.keys(tcp_rules.address_form(str(network)))
    size = sum(256 ** (4 - len(key.strip(".").split("."))) for key in keys)
    assert size == network.num_addresses and len(set(keys)) == len(keys) <= 128
    for address in (network[0], network[-1]):
        assert any(f"{address}" == key or f"{address}".startswith(key) for key in keys)


def test_lines():
    made = rules(
        relay("127.", RBLSMTPD=""),
        {"addresses": ["192.0.2.1", "192.0.2.2"], "action": "deny"},
        {"addresses": ["198.51.100."], "variables": {"TEXT": 'say "no"', "NUMBER": 5}},
    )
    assert [rule.line() for rule in made] == [
        '127.:allow,RELAYCLIENT="",RBLSMTPD=""',
        "192.0.2.1:deny",
        "192.0.2.2:deny",
        '198.51.100.:allow,TEXT=\'say "no"\',NUMBER="5"',
        ":allow",
    ]
    assert tcp_rules.parse(tcp_rules.document(made)) == made


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"addresses": ["10."], "variables": {"RELAYCLIENT": " "}}, "RELAYCLIENT is ' '.*appends"),
        ({"addresses": ["10."], "variables": {"RELAYCLIENT": "yes"}}, "RELAYCLIENT is 'yes'"),
        ({"addresses": ["10."], "variables": {"RBLSMTPD": " "}}, "RBLSMTPD is ' '.*Blanks refuse"),
        ({"addresses": ["10."], "variables": {"RBLSMTPD": "-"}}, "RBLSMTPD is '-'"),
        (relay("10.", RBLSMTPD="-go away"), "may relay, and RBLSMTPD refuses"),
        (relay("0.0.0.0/1"), "open relay; allowed: for at most a /8"),
        (relay("8-9."), "open relay"),
        (relay("="), "open relay"),
        (relay("=.com"), "=.com: RELAYCLIENT would make an open relay"),
        (relay("=."), "open relay"),
        (
            {"addresses": ["10."], "action": "deny", "relay": True},
            "relay is true and action is deny",
        ),
        ({"addresses": []}, "names no addresses"),
        ({"addresses": ["10."], "variables": {"A B": 1}}, "no name of a variable"),
        ({"addresses": ["10."], "variables": {"A": "a\nb"}}, "text of one line"),
        ({"addresses": ["10."], "variables": {"A": "\"'/|+%~^!"}}, "not each of the marks"),
        ({"addresses": ["10."], "variables": {"A": True}}, "A is True; allowed: a text"),
        ({"addresses": ["10.", "10.0.0.0/8"]}, "10. is in two rules"),
        (
            {"addresses": ["10.1-3.", "10.3-4."]},
            "10.3. is in two rules, 10.3-4.:allow and 10.1-3.:",
        ),
    ],
)
def test_rules_that_are_refused(entry, message):
    with pytest.raises(TcpRulesError, match=message):
        rules(entry)


def test_everybody_may_not_relay():
    with pytest.raises(TcpRulesError, match="everybody .default.: RELAYCLIENT would make an open"):
        rules(relay("10."), RELAYCLIENT="")
    assert rules(relay("10."), default="deny", RBLSMTPD="-no")[-1].line() == ':deny,RBLSMTPD="-no"'
    # The one value with a use.
    assert rules({"addresses": ["10."], "variables": {"RELAYCLIENT": "@fix.example"}})[0].relays


def test_the_narrowest_rule_counts():
    made = rules(
        relay("10."),
        {"addresses": ["10.1."]},
        {"addresses": ["10.1.2.3"], "action": "deny"},
    )
    verdicts = {
        address: tcp_rules.decide(made, address).verdict
        for address in ("10.9.9.9", "10.1.9.9", "10.1.2.3", "11.1.2.3")
    }
    assert verdicts == {
        "10.9.9.9": "relay",
        "10.1.9.9": "allow",
        "10.1.2.3": "deny",
        "11.1.2.3": "allow",
    }
    tcp_rules.need_expected(made, verdicts)
    with pytest.raises(TcpRulesError, match="10.1.9.9 is to be relay, and the rule 10.1.:allow"):
        tcp_rules.need_expected(made, {"10.1.9.9": "relay"})
    with pytest.raises(TcpRulesError, match="'10.' is no address"):
        tcp_rules.need_expected(made, {"10.": "relay"})
    with pytest.raises(TcpRulesError, match="10.1.9.9 is 'yes'; allowed: relay, allow, deny"):
        tcp_rules.need_expected(made, {"10.1.9.9": "yes"})
    # Without a rule for everybody, they may connect.
    assert tcp_rules.decide(made[:1], "11.1.2.3").verdict == "allow"


def test_an_exception_stands_before_its_range():
    made = rules(relay("10.0.0.0/15"), {"addresses": ["10.1.0.0/16"]})
    assert [rule.address for rule in made] == ["10.1.", "10.0-1.", ""]
    assert tcp_rules.decide(made, "10.1.2.3").verdict == "allow"
    assert tcp_rules.notes(made) == [
        "10.1. has a rule of its own, so it gets no RELAYCLIENT from 10.0-1."
    ]
    with pytest.raises(TcpRulesError, match="10.1. is in two rules.* would take the first"):
        tcp_rules.need_sound(tcp_rules.parse("10.0-1.:allow\n10.1.:deny\n"))


def test_what_may_surprise():
    made = rules(relay("10.", "=.example.org", "joe@192.0.2.1"), {"addresses": ["10.1."]})
    found = tcp_rules.notes(made)
    assert len(found) == 3
    assert "10.1. has a rule of its own, so it gets no RELAYCLIENT from 10." in found
    assert any("reverse DNS" in note for note in found) and any("ident" in note for note in found)
    assert tcp_rules.notes(rules(relay("10."), {"addresses": ["11."]})) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("10.", "line 2, '10.': without a colon"),
        ("10.0.0.0/8:allow", "never matches; write 10. instead"),
        ("10:allow", "10. is the prefix"),
        ("10.:ALLOW", "neither allow nor deny"),
        ("2001:db8::1:allow", "neither allow nor deny; tcpserver speaks IPv4 only"),
        ('10.:allow,RELAYCLIENT="', "is not of the form"),
        ("10.:allow,", "is not of the form"),
        ('10.:allow,A="b"c', "is not of the form"),
        ("10.:allowed", "is not of the form"),
    ],
)
def test_lines_that_are_refused(line, message):
    with pytest.raises(TcpRulesError, match=message):
        tcp_rules.parse(f"# comment\n{line}\n\n:allow\n")


def test_entries_of_pop_before_smtp_lose_their_time():
    text = (
        '192.0.2.7:allow,RELAYCLIENT="",RBLSMTPD=""\t1795000000\n'
        "something else\n"
        "192.0.2.8:allow\t1795000001\n"
    )
    assert tcp_rules.pop_rules(text) == (
        '192.0.2.7:allow,RELAYCLIENT="",RBLSMTPD=""\n192.0.2.8:allow\n'
    )
    assert tcp_rules.pop_rules(text, 1795000001) == "192.0.2.8:allow\n"


@pytest.fixture
def place(tmp_path):
    """Returns a function: rules, expected -> the plan for files below tmp_path."""

    def plan(wanted, expected=(), **more):
        path = str(tmp_path / "tcp.smtp")
        return tcp_rules.plan(Host(), path, path + ".cdb", wanted, dict(expected), **more)

    plan.path = tmp_path / "tcp.smtp"
    plan.cdb = tmp_path / "tcp.smtp.cdb"
    return plan


@needs_programs
def test_files_are_made_and_then_left_alone(place):
    wanted = rules(relay("127.", "192.0.2.0/26"), {"addresses": ["11."]})
    planned = place(wanted, {"192.0.2.63": "relay", "192.0.2.64": "allow"})
    assert len(planned.changes) == 2 and planned.checked == 5
    assert not place.path.exists() and not place.cdb.exists()
    assert tcp_rules.carry_out(Host(), planned) == []
    assert place.path.read_text().endswith('0-63:allow,RELAYCLIENT=""\n:allow\n')
    assert place.path.stat().st_mode & 0o777 == place.cdb.stat().st_mode & 0o777 == 0o644
    assert place(wanted).changes == []
    # As tcprules itself makes it.
    made = place.path.parent / "by-hand"
    with place.path.open() as stream:
        subprocess.run(["tcprules", made, f"{made}.tmp"], stdin=stream, check=True)
    assert made.read_bytes() == place.cdb.read_bytes()


@needs_programs
def test_drift(place):
    wanted = rules(relay("127."))
    tcp_rules.carry_out(Host(), place(wanted))
    # Another cdb, whatever its age.
    place.cdb.chmod(0o640)
    place.cdb.write_bytes(place.cdb.read_bytes()[:-1] + b"x")
    planned = place(wanted)
    assert [item.path for item in planned.changes] == [str(place.cdb)]
    backups = tcp_rules.carry_out(Host(), planned)
    assert len(backups) == 1 and place.cdb.stat().st_mode & 0o777 == 0o640
    # The same rules in an administrator's own words.
    own = "# mine\n\n" + place.path.read_text()
    place.path.write_text(own)
    assert place(wanted).changes == []
    place.path.write_text("10.:allow\n:allow\n")
    assert [item.path for item in place(wanted).changes] == [str(place.path)]


@needs_programs
def test_what_is_there_is_compiled(place):
    with pytest.raises(TcpRulesError, match="does not exist, and no rules are given"):
        place(None)
    place.path.write_text('127.:allow,RELAYCLIENT=""')
    planned = place(None)
    assert planned.source is None and len(planned.changes) == 1
    tcp_rules.carry_out(Host(), planned)
    place.path.write_text('127.:allow,RELAYCLIENT=" "\n')
    before = place.cdb.read_bytes()
    with pytest.raises(TcpRulesError, match="tcp.smtp: 127.: RELAYCLIENT is ' '"):
        place(None)
    assert place.cdb.read_bytes() == before


def relays(place, address):
    """Tell what tcprulescheck says of an address."""
    command = ["tcprulescheck", place.cdb]
    env = {"TCPREMOTEIP": address, "PATH": "/usr/bin:/usr/local/bin"}
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return "RELAYCLIENT" in answer.stdout


@pytest.fixture
def vpopmail(place, tmp_path):
    """Returns a function: age of addresses in minutes -> open-smtp, compiled as vpopmail does."""

    def vpopmail(compiled=True, **ages):
        pop = tmp_path / "open-smtp"
        line = '{0}:allow,RELAYCLIENT="",RBLSMTPD=""\t{1}\n'
        now = int(time.time())
        addresses = {"203.0.113." + name[1:]: now - 60 * age for name, age in ages.items()}
        pop.write_text("".join(line.format(*item) for item in addresses.items()))
        if compiled:
            text = place.path.read_text() + tcp_rules.pop_rules(pop.read_text())
            made = str(place.cdb)
            subprocess.run(["tcprules", made, made + ".t"], input=text, text=True, check=True)
        return {"open_smtp": str(pop)}

    return vpopmail


@needs_programs
def test_who_logged_in_by_pop_keeps_relaying(place, vpopmail):
    wanted = rules(relay("127."))
    tcp_rules.carry_out(Host(), place(wanted))
    more = vpopmail(a7=0, a8=200)
    assert place(wanted, {"203.0.113.7": "allow"}, **more).changes == []
    assert len(place(wanted).changes) == 1
    # vpopmail without anybody who logged in.
    assert len(place(wanted, open_smtp=more["open_smtp"] + "-none").changes) == 1
    tcp_rules.carry_out(Host(), place(rules(relay("127.", "10.")), **more))
    assert relays(place, "203.0.113.7") and relays(place, "10.1.1.1")


@needs_programs
def test_who_logged_in_long_ago_does_not(place, vpopmail):
    wanted = rules(relay("127."))
    tcp_rules.carry_out(Host(), place(wanted))
    more = vpopmail(a7=0, a8=361)
    assert relays(place, "203.0.113.8")
    tcp_rules.carry_out(Host(), place(wanted, **more))
    assert relays(place, "203.0.113.7") and not relays(place, "203.0.113.8")
    tcp_rules.carry_out(Host(), place(wanted, window=1, **vpopmail(a7=3, a9=0)))
    assert not relays(place, "203.0.113.7") and relays(place, "203.0.113.9")


@needs_programs
def test_rules_that_vpopmail_does_not_compile_get_none_of_its_addresses(place, vpopmail):
    wanted = rules(relay("127."), {"addresses": ["203.0.113.9", "203.0.113.20-29"]})
    more = vpopmail(compiled=False, a7=0, a9=0, a25=0)
    # No compiled rules yet, and then ours, which have one of the addresses for another reason.
    for _time in range(2):
        tcp_rules.carry_out(Host(), place(wanted, **more))
        assert not relays(place, "203.0.113.7")
    assert place(wanted, **more).changes == []


@needs_programs
def test_bytes_of_another_encoding_stay(place):
    text = b'# f\xfcr uns\n10.:allow,RBLSMTPD="-gesperrt f\xfcr alle"\n:allow\n'
    place.path.write_bytes(text)
    planned = place(None)
    assert b"-gesperrt f\xfcr alle" in planned.compiled.after
    assert "f\\xfcr" in tcp_rules.result(planned)["rules"][0]
    tcp_rules.carry_out(Host(), planned)
    assert place.path.read_bytes() == text


def test_two_files_are_two(tmp_path):
    path = str(tmp_path / "tcp.smtp")
    with pytest.raises(TcpRulesError, match="cdb is .*, as path is; allowed: another file"):
        tcp_rules.plan(Host(), path, path, rules(), {})
    with pytest.raises(TcpRulesError, match="window_minutes is 0; allowed: 1 or more"):
        tcp_rules.plan(Host(), path, path + ".cdb", rules(), {}, window=0)


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(TcpRulesError, match="its directory does not exist"):
        tcp_rules.plan(Host(), str(tmp_path / "a/b"), str(tmp_path / "c"), rules(), {})


def test_programs_that_are_not_there(tmp_path):
    (tmp_path / "etc").mkdir()
    with pytest.raises(
        TcpRulesError, match="there is no program tcprules; it is part of ucspi-tcp"
    ):
        tcp_rules.plan(Host(str(tmp_path)), "/etc/tcp.smtp", "/etc/tcp.smtp.cdb", rules(), {})


@needs_programs
def test_the_model_decides_as_tcpserver_does(place):
    made = rules(
        relay("10.", "172.16.0.0/12", "192.0.2.128/25"),
        {"addresses": ["10.5-9.", "192.0.2."], "variables": {"A": "b"}},
        {"addresses": ["192.0.2.200"], "action": "deny"},
        default="deny",
    )
    addresses = [
        "10.4.0.1", "10.5.0.1", "10.9.255.255", "10.10.0.0", "172.15.1.1", "172.16.0.0",
        "172.31.9.9", "172.32.0.0", "192.0.2.127", "192.0.2.128", "192.0.2.200", "1.1.1.1",
    ]  # fmt: skip
    expected = {address: tcp_rules.decide(made, address).verdict for address in addresses}
    assert set(expected.values()) == {"relay", "allow", "deny"}
    # plan() asks tcprulescheck for each of them, and fails when it disagrees.
    assert place(made, expected).checked >= len(addresses)


def test_a_disagreement_is_an_error(monkeypatch, tmp_path):
    """The programs are asked, and believed more than the model."""
    if not shutil.which("tcprules"):
        pytest.skip("ucspi-tcp is not installed")
    monkeypatch.setattr(tcp_rules, "decide", lambda rules, address: Rule("x", "deny", {}))
    path = str(tmp_path / "tcp.smtp")
    with pytest.raises(TcpRulesError, match="tcprulescheck says allow of 198.51.7.7"):
        tcp_rules.plan(Host(), path, path + ".cdb", rules(), {})
