# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import egress, need
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"), smtp_targets=["mx.one.example", "mx.two.example"])
MAILU = need.from_stack(stack.get("mailu"))

ZERO = "0" * 32
ROUTE4 = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
)
ROUTE6 = "{0} 00 {0} 00 fe800000000000000000000000000001 00000400 00000001 0 00000003 eth0\n"
SOURCE6 = "2001:db8::1 via fe80::1 dev eth0 src {0} metric 1024\n"

GLOBAL = "2a01:4f8::25"
LOCAL = "fd99::25"


def healthy(demands):
    """Return a network in which everything answers."""
    names = [row["host"] for row in demands.egress if row["protocol"] != "icmp"]
    names += demands.smtp_targets
    network = {}
    for number, name in enumerate(dict.fromkeys(names), 1):
        addresses = ["192.0.2.{0}".format(number), "2001:db8::{0:x}".format(number)]
        network["name " + name] = addresses
        for row in demands.egress:
            if row["host"] == name:
                for address in addresses:
                    network[place(row["protocol"], address, row["port"])] = "open"
        for address in addresses:
            network[place("tcp", address, 25)] = {
                "state": "open",
                "text": "220 mail.one.example and TWO.example",
            }
    for row in demands.egress:
        if row["protocol"] == "icmp":
            network["icmp " + row["host"]] = "open"
        for address in row.get("addresses", ()):
            for protocol in ("udp", "tcp"):
                network["dns {0} {1} . NS +norecurse".format(address, protocol)] = {
                    "rcode": "NOERROR",
                    "authoritative": True,
                }
    for address in network["name asn-check.mailcow.email"] if demands.stack == "mailcow" else ():
        network[place("tcp", address, 443)] = {"state": "open", "text": "HTTP/1.1 200 OK"}
    return network


def place(protocol, address, port):
    where = "[{0}]" if ":" in address else "{0}"
    return "{0} {1}:{2}".format(protocol, where.format(address), port)


@pytest.fixture
def make(make_host):
    """Return a function: changes of the healthy network -> a host.

    Keys are names with a port (``ghcr.io:443``), for one family with ``/4`` or ``/6`` behind it, or
    the recorded keys themselves.
    """

    def build(changes=None, demands=MAILCOW, families="46", source=GLOBAL, **recorded):
        files = {}
        commands = {}
        if "4" in families:
            files["/proc/net/route"] = ROUTE4
        if "6" in families:
            files["/proc/net/ipv6_route"] = ROUTE6.format(ZERO)
            commands["ip -6 route get 2001:db8::1"] = {"stdout": SOURCE6.format(source)}
        network = healthy(demands)
        for key, value in (changes or {}).items():
            target, _slash, family = key.partition("/")
            name, _colon, port = target.rpartition(":")
            protocol = "tcp"
            if name.startswith("udp "):
                protocol, name = "udp", name[4:]
            if "name " + name in network and "dns" not in key:
                addresses = network["name " + name]
                for address in addresses:
                    if not family or (":" in address) == (family == "6"):
                        network[place(protocol, address, port)] = value
            else:
                network[key] = value
        return make_host(files, dict(recorded, network=network, commands=commands))

    return build


def told(findings):
    (finding,) = findings
    return finding.status, finding.observed


@pytest.mark.parametrize("demands", [MAILCOW, MAILU], ids=["mailcow", "mailu"])
def test_all_is_well(demands, make):
    host = make(demands=demands)
    for id_, _title, _source, look in egress.LOOK:
        (finding,) = look(host, demands)
        assert finding.status in ("ok", "skip"), id_
        assert finding.fix == ""
        assert finding.required


def test_every_row_has_its_check():
    groups = {id_.partition(".")[2] for id_, _title, _source, _look in egress.LOOK}
    for demands in (MAILCOW, MAILU):
        assert {row["group"] for row in demands.egress} <= groups
        for row in demands.egress:
            assert row["level"] in ("required", "advised", "optional")
            assert row["protocol"] in ("tcp", "udp", "icmp")


def test_offline(make_host):
    # A host about whose network nothing is known: nothing is asked.
    for demands in (MAILCOW, MAILU):
        for _id, _title, _source, look in egress.LOOK:
            (finding,) = look(make_host(), demands._replace(offline=True))
            assert finding.status == "skip"
            assert "offline" in finding.observed or "no way out" in finding.observed


def test_what_is_not_known_is_no_answer(make_host):
    for _id, _title, _source, look in egress.LOOK:
        with pytest.raises(HostError, match="not known"):
            look(make_host(), MAILCOW)


class TestServers:
    def test_both_families(self, make):
        assert told(egress.images(make(), MAILCOW)) == ("ok", "reached over IPv4 and IPv6")

    def test_no_ipv6_is_not_tried(self, make):
        host = make({"ghcr.io:443/6": "timeout"}, families="4")
        assert told(egress.images(host, MAILCOW)) == ("ok", "reached over IPv4")

    def test_required(self, make):
        (finding,) = egress.images(make({"ghcr.io:443": "timeout"}), MAILCOW)
        assert finding.status == "fail"
        assert finding.observed == "no answer within 3 s: ghcr.io:443"
        assert "preflight_mirrors" in finding.fix

    def test_refused_is_told_apart(self, make):
        host = make({"ghcr.io:443": "refused"}, families="4")
        assert told(egress.images(host, MAILCOW)) == ("fail", "refused: ghcr.io:443")

    def test_no_route(self, make):
        unreachable = {"state": "unreachable", "detail": "No route to host"}
        host = make({"ghcr.io:443": unreachable}, families="4")
        assert told(egress.images(host, MAILCOW))[1] == "no route to host: ghcr.io:443"

    def test_servers_with_the_same_trouble_are_told_together(self, make):
        changes = {"ghcr.io:443": "timeout", "auth.docker.io:443": "timeout"}
        changes["registry-1.docker.io:443/4"] = "refused"
        changes["registry-1.docker.io:443/6"] = "timeout"
        status, observed = told(egress.images(make(changes), MAILCOW))
        assert status == "fail"
        assert observed.split("; ") == [
            "no answer within 3 s: ghcr.io:443, auth.docker.io:443",
            "refused over IPv4: registry-1.docker.io:443",
            "no answer within 3 s over IPv6: registry-1.docker.io:443",
        ]

    def test_a_name_that_does_not_resolve(self, make):
        (finding,) = egress.images(make({"name ghcr.io": "does not resolve"}), MAILCOW)
        assert (finding.status, finding.observed) == ("fail", "does not resolve: ghcr.io:443")
        assert "name servers" in finding.fix

    def test_ipv6_that_leads_nowhere(self, make):
        (finding,) = egress.images(make({"ghcr.io:443/6": "timeout"}), MAILCOW)
        assert finding.status == "warn"
        assert finding.observed == "no answer within 3 s over IPv6: ghcr.io:443"
        assert "Repair IPv6" in finding.fix

    def test_private_ipv6_that_leads_nowhere(self, make):
        host = make({"ghcr.io:443/6": "timeout"}, source=LOCAL)
        assert told(egress.images(host, MAILCOW)) == (
            "ok",
            "reached over IPv4 and IPv6; no answer within 3 s over IPv6: ghcr.io:443",
        )

    def test_optional_servers_may_be_slow(self, make):
        host = make({"api.pushover.net:443/6": "timeout"})
        assert told(egress.on_request(host, MAILCOW)) == (
            "ok",
            "reached over IPv4 and IPv6; no answer within 3 s over IPv6: api.pushover.net:443",
        )

    def test_ipv6_alone_is_enough(self, make):
        status, observed = told(egress.images(make({"ghcr.io:443/4": "timeout"}), MAILCOW))
        assert status == "ok"
        assert "no answer within 3 s over IPv4: ghcr.io:443" in observed

    def test_a_server_of_the_other_family(self, make):
        host = make({"name github.com": ["192.0.2.200"]}, families="6")
        (finding,) = egress.source(host, MAILCOW)
        assert finding.status == "fail"
        assert "has no address of IPv6: github.com:443" in finding.observed
        assert "NAT64" in finding.fix

    def test_a_name_with_one_family_is_no_fault(self, make):
        host = make(
            {
                "name github.com": ["192.0.2.200"],
                "tcp 192.0.2.200:443": "open",
                "tcp 192.0.2.200:80": "open",
            }
        )
        assert told(egress.source(host, MAILCOW)) == ("ok", "reached over IPv4 and IPv6")

    @pytest.mark.parametrize("states", [("timeout", "open"), ("open", "timeout")])
    def test_one_of_two_addresses_is_enough(self, states, make):
        host = make(
            {
                "name ghcr.io": ["192.0.2.200", "192.0.2.201"],
                "tcp 192.0.2.200:443": states[0],
                "tcp 192.0.2.201:443": states[1],
            }
        )
        assert told(egress.images(host, MAILCOW))[0] == "ok"

    @pytest.mark.parametrize(
        ("look", "server", "status"),
        [
            (egress.source, "github.com:443", "fail"),
            (egress.source, "github.com:80", "ok"),
            (egress.source, "hub.docker.com:443", "ok"),
            (egress.certificates, "acme-v02.api.letsencrypt.org:443", "warn"),
            (egress.virus_signatures, "rsync.sanesecurity.net:873", "warn"),
            (egress.spam_rules, "fuzzy.mailcow.email:80", "warn"),
            (egress.address_service, "ip4.mailcow.email:80", "ok"),
            (egress.on_request, "api.pushover.net:443", "ok"),
        ],
    )
    def test_what_a_missing_server_means(self, look, server, status, make):
        (finding,) = look(make({server: "timeout"}), MAILCOW)
        assert finding.status == status
        assert "no answer within 3 s: " + server in finding.observed
        assert bool(finding.fix) == (status != "ok")

    def test_nothing_is_claimed_of_what_is_not_reached(self, make):
        host = make({"ip4.mailcow.email:80": "refused"}, families="4")
        observed = told(egress.address_service(host, MAILCOW))[1]
        assert observed == "refused: ip4.mailcow.email:80"

    def test_docker_packages_before_and_after(self, make):
        changes = {"download.docker.com:443": "timeout"}
        assert told(egress.packages(make(changes), MAILCOW))[0] == "fail"
        assert told(egress.packages(make(changes, programs=["dockerd"]), MAILCOW))[0] == "warn"

    @pytest.mark.parametrize(
        ("look", "server"), [(egress.images, "ghcr.io"), (egress.source, "github.com")]
    )
    def test_a_stack_that_is_there_survives_somebodys_outage(self, make, look, server):
        host = make({server + ":443": "timeout"})
        assert told(look(host, MAILCOW))[0] == "fail"
        conf = Path(host.root, MAILCOW.install_path.lstrip("/"), MAILCOW.env_file)
        conf.parent.mkdir(parents=True)
        conf.write_text("", encoding="utf-8")
        assert told(look(host, MAILCOW))[0] == "warn"

    def test_components_that_are_off_need_nothing(self, make):
        without = need.from_stack(stack.get("mailcow"), config={"SKIP_CLAMD": "y"})
        assert told(egress.virus_signatures(make(), without))[0] == "skip"
        with_it = need.from_stack(stack.get("mailu"), plan={"clamav": True})
        assert told(egress.virus_signatures(make(demands=with_it), with_it))[0] == "ok"
        assert told(egress.virus_signatures(make(demands=MAILU), MAILU))[0] == "skip"


class TestMirrors:
    def test_the_mirror_is_asked(self, make):
        demands = MAILCOW._replace(mirrors={"ghcr.io": "registry.example.org:5000"})
        host = make(
            {
                "ghcr.io:443": "timeout",
                "name registry.example.org": ["192.0.2.200"],
                "tcp 192.0.2.200:5000": "open",
            }
        )
        (finding,) = egress.images(host, demands)
        assert finding.status == "ok"
        assert "registry.example.org:5000" in finding.required
        assert "ghcr.io:443" not in finding.required

    def test_the_mirror_has_the_port_too(self, make):
        demands = MAILCOW._replace(mirrors={"ghcr.io": "192.0.2.200"})
        host = make({"tcp 192.0.2.200:443": "refused"})
        assert told(egress.images(host, demands)) == ("fail", "refused: 192.0.2.200:443")

    def test_not_asked(self, make):
        mirrors = {"download.docker.com": "", "a.root-servers.net": "", "k.root-servers.net": ""}
        demands = MAILCOW._replace(mirrors=mirrors)
        host = make({"download.docker.com:443": "timeout"})
        status, observed = told(egress.packages(host, demands))
        assert (status, "preflight_mirrors" in observed) == ("skip", True)
        assert told(egress.dns(host, demands))[0] == "skip"

    @pytest.mark.parametrize(
        ("value", "place"),
        [
            ("registry.example.org", ("registry.example.org", 443)),
            ("registry:5000", ("registry", 5000)),
            ("2001:db8::5", ("2001:db8::5", 443)),
            ("[2001:db8::5]:5000", ("2001:db8::5", 5000)),
            ("", ("", 443)),
            (None, ("", 443)),
        ],
    )
    def test_written_in_many_ways(self, value, place):
        assert need.mirror("ghcr.io", value, 443) == place

    @pytest.mark.parametrize("value", ["https://x", "x:0", "x:70000", "x:", "a b", "x/y", ":80"])
    def test_refused(self, value):
        with pytest.raises(ValueError, match=r"mirrors: ghcr\.io is"):
            need.from_stack(stack.get("mailcow"), mirrors={"ghcr.io": value})


class TestProxy:
    PROXY = "http://user:secret@proxy.example.org:3128"
    AT = "tcp 192.0.2.200:3128"

    def through(self, make, reply, demands=None, **recorded):
        changes = {"name proxy.example.org": ["192.0.2.200"], self.AT: reply}
        blocked = {row["host"] + ":443": "timeout" for row in MAILCOW.egress}
        del blocked["rsync.sanesecurity.net:443"]
        host = make(dict(blocked, **changes), **recorded)
        return egress.images(host, demands or MAILCOW._replace(proxy=self.PROXY))

    def test_reached(self, make):
        (finding,) = self.through(make, {"state": "open", "text": "HTTP/1.1 200 OK"})
        assert finding.status == "ok"
        assert finding.observed == "reached through the proxy proxy.example.org:3128"

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            ({"state": "refused", "text": "HTTP/1.1 407 No"}, "wants a user name and password"),
            ({"state": "refused", "text": "HTTP/1.1 403 No"}, "the proxy refuses it"),
            ({"state": "refused", "text": "HTTP/1.1 502 No"}, "the proxy cannot reach it"),
            ({"state": "refused", "text": "HTTP/1.1 418 No"}, "the proxy answers HTTP/1.1 418"),
            ("refused", "refused by the proxy"),
            ("timeout", "no answer within 3 s by the proxy"),
        ],
    )
    def test_not_reached(self, reply, words, make):
        (finding,) = self.through(make, reply)
        assert finding.status == "fail"
        assert words in finding.observed
        assert ": ghcr.io:443, " in finding.observed
        assert "secret" not in str(finding)

    def test_of_the_environment(self, make):
        reply = {"state": "open", "text": "HTTP/1.1 200 OK"}
        for variable in ("https_proxy", "HTTPS_PROXY"):
            environment = {variable: self.PROXY}
            (finding,) = self.through(make, reply, MAILCOW, environment=environment)
            assert finding.status == "ok"

    def test_exempt(self, make):
        environment = {"no_proxy": "ghcr.io"}
        reply = {"state": "open", "text": "HTTP/1.1 200 OK"}
        (finding,) = self.through(make, reply, environment=environment)
        assert finding.status == "fail"
        assert finding.observed == "no answer within 3 s: ghcr.io:443"

    def test_a_proxy_that_does_not_resolve(self, make):
        host = make({"name proxy.example.org": "does not resolve"})
        (finding,) = egress.images(host, MAILCOW._replace(proxy=self.PROXY))
        assert finding.status == "fail"
        assert "asked through the proxy, which does not resolve" in finding.observed

    def test_other_protocols_are_asked_directly(self, make):
        demands = MAILCOW._replace(proxy=self.PROXY)
        reply = {"state": "open", "text": "HTTP/1.1 200 OK"}
        host = make({"name proxy.example.org": ["192.0.2.200"], self.AT: reply})
        assert told(egress.virus_signatures(host, demands))[1] == (
            "reached over IPv4 and IPv6 and through the proxy proxy.example.org:3128"
        )

    @pytest.mark.parametrize(
        ("text", "observed"),
        [
            ("HTTP/1.1 403 Forbidden", "reached through the proxy proxy.example.org:3128"),
            ("HTTP/1.1 504 No", "the proxy cannot reach it: ip4.mailcow.email:80"),
            ("", "no answer by the proxy: ip4.mailcow.email:80"),
        ],
    )
    def test_pages_without_tls_need_no_tunnel(self, text, observed, make):
        demands = MAILCOW._replace(proxy=self.PROXY)
        reply = {"state": "open", "text": text}
        host = make({"name proxy.example.org": ["192.0.2.200"], self.AT: reply}, families="4")
        assert told(egress.address_service(host, demands)) == ("ok", observed)

    def test_another_kind_of_proxy(self, make):
        host = make(environment={"https_proxy": "socks5://u:secret@proxy:1080"})
        with pytest.raises(ValueError, match="allowed: http://") as error:
            egress.images(host, MAILCOW)
        assert "secret" not in str(error.value)


ROOTS4 = ["198.41.0.4", "193.0.14.129"]
ROOTS6 = ["2001:503:ba3e::2:30", "2001:7fd::1"]


def roots(addresses, protocols, reply):
    return {
        "dns {0} {1} . NS +norecurse".format(address, protocol): reply
        for address in addresses
        for protocol in protocols
    }


class TestDns:
    def test_well(self, make):
        assert told(egress.dns(make(), MAILCOW)) == ("ok", "answered over IPv4 and IPv6")

    def test_one_of_two_is_enough(self, make):
        host = make(roots(ROOTS4[:1] + ROOTS6[1:], ("udp", "tcp"), "timeout"))
        assert told(egress.dns(host, MAILCOW))[0] == "ok"

    def test_udp_blocked(self, make):
        host = make(roots(ROOTS4 + ROOTS6, ("udp",), "timeout"))
        assert told(egress.dns(host, MAILCOW)) == (
            "fail",
            "udp over IPv4: no answer within 3 s; udp over IPv6: no answer within 3 s",
        )

    def test_tcp_blocked(self, make):
        host = make(roots(ROOTS4, ("tcp",), "refused"), families="4")
        assert told(egress.dns(host, MAILCOW)) == ("warn", "tcp over IPv4: refused")

    @pytest.mark.parametrize(("source", "status"), [(GLOBAL, "warn"), (LOCAL, "ok")])
    def test_ipv6_blocked(self, source, status, make):
        host = make(roots(ROOTS6, ("udp", "tcp"), "timeout"), source=source)
        assert told(egress.dns(host, MAILCOW))[0] == status

    def test_somebody_else_answers(self, make):
        host = make(roots(ROOTS4 + ROOTS6, ("udp", "tcp"), {"rcode": "NOERROR"}))
        status, observed = told(egress.dns(host, MAILCOW))
        assert status == "warn"
        assert "in place of the root" in observed


class TestIcmp:
    def test_well(self, make):
        assert told(egress.icmp(make(), MAILCOW)) == ("ok", "all answer")

    def test_one_is_allowed_to_be_silent(self, make):
        host = make({"icmp 8.8.8.8": "timeout"})
        assert told(egress.icmp(host, MAILCOW)) == ("warn", "8.8.8.8: no answer within 3 s")

    def test_blocked(self, make):
        host = make({"icmp 8.8.8.8": "timeout", "icmp 1.1.1.1": "refused"})
        (finding,) = egress.icmp(host, MAILCOW)
        assert finding.status == "fail"
        assert "SKIP_UNBOUND_HEALTHCHECK=y" in finding.fix

    def test_a_health_check_that_is_off_asks_nobody(self, make):
        # What the fix of the failure above says: the failure must go away with it.
        demands = need.from_stack(
            stack.get("mailcow"),
            config={"SKIP_UNBOUND_HEALTHCHECK": True, "SKIP_LETS_ENCRYPT": "y"},
        )
        host = make({"icmp 8.8.8.8": "timeout", "icmp 1.1.1.1": "timeout"})
        assert told(egress.icmp(host, demands)) == ("skip", "the stack needs none")
        assert told(egress.certificates(host, demands)) == ("skip", "the stack needs none")
        on = need.from_stack(stack.get("mailcow"), config={"SKIP_UNBOUND_HEALTHCHECK": "n"})
        assert told(egress.icmp(host, on))[0] == "fail"

    def test_not_allowed_to_look(self, make):
        host = make({"icmp 8.8.8.8": "forbidden"})
        assert told(egress.icmp(host, MAILCOW))[0] == "unknown"


SILENT = {
    "udp fuzzy.mailcow.email:11445": "timeout",
    "udp fuzzy1.rspamd.com:11335": "timeout",
    "udp fuzzy2.rspamd.com:11335": "timeout",
}


class TestFuzzy:
    def test_silence_tells_nothing(self, make):
        assert told(egress.fuzzy(make(SILENT), MAILCOW))[0] == "skip"

    def test_refused(self, make):
        host = make(dict(SILENT, **{"udp fuzzy1.rspamd.com:11335/4": "refused"}))
        assert told(egress.fuzzy(host, MAILCOW)) == (
            "warn",
            "refused over IPv4: fuzzy1.rspamd.com:11335",
        )

    def test_a_name_that_does_not_resolve(self, make):
        host = make(dict(SILENT, **{"name fuzzy1.rspamd.com": "does not resolve"}))
        status, observed = told(egress.fuzzy(host, MAILCOW))
        assert (status, observed) == ("warn", "does not resolve: fuzzy1.rspamd.com:11335")

    def test_answered(self, make):
        assert told(egress.fuzzy(make(), MAILCOW)) == ("ok", "answered")


def both(value, family=""):
    return {name + ":25" + family: value for name in MAILCOW.smtp_targets}


class TestSmtp:
    def test_well(self, make):
        assert told(egress.smtp(make(), MAILCOW)) == ("ok", "reached over IPv4 and IPv6")

    def test_blocked(self, make):
        (finding,) = egress.smtp(make(both("timeout"), families="4"), MAILCOW)
        assert finding.status == "fail"
        assert finding.observed == "outgoing port 25 is blocked: IPv4: no answer within 3 s"
        assert "Ask the provider" in finding.fix
        assert "smarthost" in finding.fix

    def test_refused(self, make):
        (finding,) = egress.smtp(make(both("refused")), MAILCOW)
        assert finding.status == "fail"
        assert finding.observed == "IPv4: refused by all; IPv6: refused by all"
        assert "firewall refuses" in finding.fix

    def test_rejected_on_the_way(self, make):
        unreachable = {"state": "unreachable", "detail": "No route to host"}
        host = make(dict(both("refused"), **{"mx.two.example:25": unreachable}), families="4")
        assert told(egress.smtp(host, MAILCOW)) == (
            "fail",
            "outgoing port 25 is blocked: IPv4: no route to host",
        )

    def test_one_server_is_enough(self, make):
        host = make({"mx.one.example:25": "timeout"}, families="4")
        assert told(egress.smtp(host, MAILCOW)) == (
            "ok",
            "reached over IPv4; mx.one.example over IPv4: no answer within 3 s",
        )

    @pytest.mark.parametrize(
        ("family", "source", "status"),
        [("/6", GLOBAL, "warn"), ("/6", LOCAL, "ok"), ("/4", GLOBAL, "fail")],
    )
    def test_one_family_blocked(self, family, source, status, make):
        host = make(both("timeout", family), source=source)
        got, observed = told(egress.smtp(host, MAILCOW))
        assert got == status
        assert "IPv{0}: no answer".format(family[1]) in observed

    @pytest.mark.parametrize("text", ["554 5.7.1 blocked, see example.org", "421 try later"])
    def test_a_server_that_does_not_want_this_address(self, text, make):
        host = make({"mx.one.example:25/4": {"state": "open", "text": text}})
        (finding,) = egress.smtp(host, MAILCOW)
        assert (finding.status, finding.observed) == ("warn", "mx.one.example: " + text)
        assert "blocklists" in finding.fix

    def test_no_greeting(self, make):
        host = make({"mx.one.example:25": "open"})
        assert told(egress.smtp(host, MAILCOW)) == (
            "ok",
            "reached over IPv4 and IPv6; mx.one.example sends no greeting",
        )

    @pytest.mark.parametrize(
        ("text", "who"),
        [("220 proxy.isp.example ESMTP", "proxy.isp.example"), ("220", "nobody")],
    )
    def test_somebody_else_greets(self, text, who, make):
        host = make({"mx.one.example:25": {"state": "open", "text": text}})
        assert told(egress.smtp(host, MAILCOW)) == (
            "ok",
            "reached over IPv4 and IPv6; mx.one.example greets as " + who,
        )

    @pytest.mark.parametrize("address", ["192.0.2.200", "2001:db8::200"])
    def test_an_address_has_no_domain(self, address, make):
        reply = {"state": "open", "text": "220 somebody"}
        host = make({place("tcp", address, 25): reply})
        status, observed = told(egress.smtp(host, MAILCOW._replace(smtp_targets=(address,))))
        assert (status, "greets" in observed) == ("ok", False)

    def test_names_that_do_not_resolve(self, make):
        names = {"name " + name: "does not resolve" for name in MAILCOW.smtp_targets}
        status, observed = told(egress.smtp(make(names), MAILCOW))
        assert status == "unknown"
        assert observed == "mx.one.example does not resolve; mx.two.example does not resolve"

    def test_nobody_to_ask(self, make):
        assert told(egress.smtp(make(), MAILCOW._replace(smtp_targets=())))[0] == "skip"

    @pytest.mark.parametrize("value", ["localhost", "mx.example.org:25", "", "a b.org"])
    def test_targets_that_are_none(self, value):
        with pytest.raises(ValueError, match="smtp_targets has"):
            need.from_stack(stack.get("mailcow"), smtp_targets=[value])


class TestReputation:
    ASKED = "asn-check.mailcow.email:443"

    @pytest.mark.parametrize(
        ("reply", "status", "words"),
        [
            ({"state": "open", "text": "HTTP/1.1 200 OK"}, "ok", "not listed"),
            ({"state": "open", "text": "HTTP/1.1 503 No"}, "warn", "is listed"),
            ({"state": "open", "text": "HTTP/1.1 429 No"}, "unknown", "too often"),
            ({"state": "open", "text": "HTTP/1.1 500 No"}, "unknown", "answered HTTP/1.1 500 No"),
            ("open", "unknown", "answered nothing"),
            ("timeout", "warn", "no answer within 3 s"),
            ({"state": "untrusted", "detail": "its certificate is not trusted"}, "warn", "trusted"),
        ],
    )
    def test_answers(self, reply, status, words, make):
        got, observed = told(egress.reputation(make({self.ASKED: reply}), MAILCOW))
        assert got == status
        assert words in observed

    def test_the_key_is_the_way_out(self, make):
        listed = {"state": "open", "text": "HTTP/1.1 503 No"}
        (finding,) = egress.reputation(make({self.ASKED: listed}), MAILCOW)
        assert "SPAMHAUS_DQS_KEY" in finding.fix

    def test_does_not_resolve(self, make):
        host = make({"name asn-check.mailcow.email": "does not resolve"})
        assert told(egress.reputation(host, MAILCOW)) == (
            "warn",
            "asn-check.mailcow.email does not resolve",
        )

    def test_no_tls_here(self, make):
        host = make({self.ASKED: {"state": "forbidden", "detail": "No module named '_ssl'"}})
        with pytest.raises(HostError, match="TLS is not possible"):
            egress.reputation(host, MAILCOW)

    def test_through_a_proxy(self, make):
        demands = MAILCOW._replace(proxy="http://192.0.2.200:3128")
        host = make({"tcp 192.0.2.200:3128": {"state": "refused", "text": "HTTP/1.1 407 No"}})
        status, observed = told(egress.reputation(host, demands))
        assert status == "warn"
        assert "the proxy wants a user name and password" in observed
