# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import firewall, need
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

MAILCOW = need.from_stack(stack.get("mailcow"))
MAILU = need.from_stack(stack.get("mailu"))
RUNNING = {"/run/docker.pid": "100\n", "/proc/100/comm": "dockerd\n"}
NFT_LINKS = {
    "/usr/sbin/" + name: "xtables-nft-multi"
    for name in ("iptables", "iptables-save", "ip6tables", "ip6tables-save")
}

# As engine 26 and 28 lay them out, shortened to what is looked at.
ENGINE = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
{forward}
-A DOCKER-USER -j RETURN
{input}
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
{nat}
COMMIT
"""
FORWARD = """\
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-mailcow -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i br-mailcow ! -o br-mailcow -j ACCEPT"""
NAT = "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"


def rules(forward=FORWARD, nat=NAT, policy="ACCEPT", input=""):  # noqa: A002 - the chain's name
    return ENGINE.format(forward=forward, nat=nat, policy=policy, input=input)


EMPTY = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD {0} [0:0]\nCOMMIT\n"


@pytest.fixture
def a_host(make_host):
    """Return a function that makes a host with these rules."""

    def make(ip=None, ip6="", nft=None, legacy=None, running=False, version="28.5.2", files=None,
             config=None, units=None, docker=None):  # fmt: skip
        tree = {**(RUNNING if running else {}), **(files or {})}
        if config is not None:
            tree["/etc/docker/daemon.json"] = json.dumps(config)
        links, commands, programs = {}, {}, []
        if ip is not None:
            links.update(NFT_LINKS)
            commands["iptables-save"] = {"stdout": ip}
            commands["ip6tables-save"] = {"stdout": ip6}
        if nft is not None:
            programs.append("nft")
            commands["nft -j list ruleset"] = {"stdout": nft}
        if legacy is not None:
            tree["/proc/net/ip_tables_names"] = "filter\n"
            links["/usr/sbin/iptables-legacy-save"] = "xtables-legacy-multi"
            commands["iptables-legacy-save"] = {"stdout": legacy}
        recorded = {"commands": commands, "programs": programs, "units": units or {}}
        if running:
            recorded["docker"] = {"/version": {"Version": version}, "/info": docker or {}}
        return make_host(tree, recorded, links)

    return make


def told(findings):
    (found,) = findings
    assert found.required
    assert bool(found.fix) == (found.status != "ok")
    return found.status, found.observed


def table(*expressions, hook="forward", policy="drop", name="filter", chains=()):
    """Return what nft prints for a table with one base chain."""
    place = {"family": "inet", "table": name}
    head = {**place, "name": hook, "type": "filter", "hook": hook, "prio": 0, "policy": policy}
    entries = [{"table": {"family": "inet", "name": name}}, {"chain": head}]
    entries += [{"rule": {**place, "chain": hook, "expr": list(expr)}} for expr in expressions]
    for chain, *exprs in chains:
        entries.append({"chain": {**place, "name": chain}})
        entries += [{"rule": {**place, "chain": chain, "expr": list(e)}} for e in exprs]
    return json.dumps({"nftables": entries})


def match(key, right, kind="meta"):
    return {"match": {"op": "==", "left": {kind: {"key": key}}, "right": right}}


DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}
ACCEPT, DROP = {"accept": None}, {"drop": None}
KNOWN = (match("state", ["established", "related"], "ct"), ACCEPT)


# -- services -------------------------------------------------------------------------------------


def unit(name, *state):
    return {name + ".service": list(state or ("loaded", "active", "enabled"))}


@pytest.mark.parametrize(
    ("units", "files", "status", "words"),
    [
        ({}, {}, "ok", "none"),
        (unit("firewalld"), {}, "warn", "firewalld"),
        (unit("firewalld", "loaded", "inactive", "disabled"), {}, "ok", "none"),
        (unit("firewalld", "loaded", "inactive", "enabled"), {}, "warn", "firewalld"),
        (unit("firewalld", "masked", "inactive", "masked"), {}, "ok", "none"),
        (
            unit("firewalld"),
            {"/etc/firewalld/direct.xml": "<direct/>"},
            "warn",
            "each reload flushes DOCKER-USER",
        ),
        # The unit of ufw is enabled from the start, ufw is not.
        (unit("ufw"), {"/etc/ufw/ufw.conf": "ENABLED=no\n"}, "ok", "none"),
        ({}, {"/etc/ufw/ufw.conf": "# ufw\nENABLED=yes\n"}, "warn", "ufw: its rules"),
        (
            {},
            {
                "/etc/ufw/ufw.conf": "ENABLED=yes\n",
                "/etc/ufw/after.rules": ":DOCKER-USER - [0:0]\n",
            },
            "warn",
            "declares DOCKER-USER",
        ),
        (
            unit("nftables"),
            {"/etc/nftables.conf": "#!/usr/sbin/nft -f\n\nflush ruleset\n"},
            "warn",
            "/etc/nftables.conf has flush ruleset",
        ),
        (
            unit("nftables"),
            {"/etc/nftables.conf": "# flush ruleset\nflush table inet mine\n"},
            "ok",
            "nftables, without flush ruleset",
        ),
        (unit("iptables"), {}, "warn", "iptables-services"),
        (
            unit("netfilter-persistent"),
            {"/etc/iptables/rules.v4": "*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n"},
            "warn",
            "/etc/iptables/rules.v4 contains rules of the engine",
        ),
        (
            unit("netfilter-persistent"),
            {"/etc/iptables/rules.v4": "*filter\n# DOCKER comes later\nCOMMIT\n"},
            "ok",
            "rules of its own only",
        ),
        (unit("shorewall"), {}, "warn", "shorewall"),
        (
            unit("shorewall"),
            {"/etc/shorewall/shorewall.conf": "DOCKER=Yes\n"},
            "ok",
            "DOCKER=Yes",
        ),
    ],
)
def test_services(a_host, units, files, status, words):
    found = told(firewall.services(a_host(units=units, files=files), MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_several_services_are_several_findings(a_host):
    host = a_host(units={**unit("firewalld"), **unit("iptables")})
    assert [item.status for item in firewall.services(host, MAILCOW)] == ["warn", "warn"]


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"/etc/runlevels/default/sshd": ""}, "ok"),
        ({"/etc/runlevels/default/iptables": ""}, "warn"),
        ({}, "unknown"),
    ],
)
def test_services_without_systemd(make_host, files, status):
    assert told(firewall.services(make_host(files), MAILCOW))[0] == status


# -- rules without effect -------------------------------------------------------------------------


JAIL = """\
:f2b-postfix - [0:0]
-A INPUT -p tcp -m multiport --dports 25 -j f2b-postfix
-A f2b-postfix -s 192.0.2.9/32 -j REJECT"""
ALLOWED = "-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 993 -j ACCEPT"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", None),
        ("-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT", None),
        ("-A INPUT -p tcp -m tcp --dport 3306 -j DROP", None),
        ("-A INPUT -i lo -p tcp -m tcp --dport 25 -j DROP", None),
        ("-A INPUT -p tcp -m tcp --dport 1:65535 -j DROP", None),
        ("-A INPUT -p tcp -m tcp --dport 25 -j DROP", "ip filter INPUT: 25 closed"),
        (
            "-A INPUT -p tcp -m multiport --dports 465,587 -j REJECT",
            "ip filter INPUT: 465 closed, 587 closed",
        ),
        (
            JAIL,
            "ip filter f2b-postfix: 25 banned for some addresses",
        ),
        # An allow list closes a port only where the rest is dropped.
        (ALLOWED, None),
        (
            ALLOWED + "\n-A INPUT -j DROP",
            "ip filter INPUT: 993 open for some addresses only",
        ),
        (
            ALLOWED + "\n-A INPUT -p tcp -m tcp --dport 993 -j ACCEPT\n-A INPUT -j DROP",
            None,
        ),
        # What mailcow's container and this collection write is made for both paths.
        (":MAILHOST - [0:0]\n-A INPUT -j MAILHOST\n-A MAILHOST -p tcp --dport 25 -j DROP", None),
        (":MAILCOW - [0:0]\n-A INPUT -j MAILCOW\n-A MAILCOW -p tcp --dport 25 -j DROP", None),
    ],
)
def test_input_rules(a_host, lines, expected):
    status, observed = told(firewall.input_rules(a_host(ip=rules(input=lines)), MAILCOW))
    if expected is None:
        assert (status, observed) == ("ok", "none")
    else:
        assert (status, observed) == ("warn", "without effect on containers: " + expected)


def test_rules_of_nft_count_too(a_host):
    jump = {"vmap": {"key": match("iifname", "eth0")["match"]["left"],
                     "data": {"set": [["eth0", {"goto": {"target": "public"}}]]}}}  # fmt: skip
    deny = ({"match": {"op": "==", "left": DPORT, "right": 4190}}, {"reject": None})
    nft = table([jump], hook="input", policy="accept", chains=[("public", deny)])
    found = told(firewall.input_rules(a_host(nft=nft), MAILCOW))
    assert found == ("warn", "without effect on containers: inet filter public: 4190 closed")


@pytest.mark.parametrize(("name", "status"), [("mailhost", "ok"), ("filter", "warn")])
def test_the_collection_s_own_table_is_left_alone(a_host, name, status):
    deny = [{"match": {"op": "==", "left": DPORT, "right": 443}}, DROP]
    nft = table(deny, hook="input", name=name)
    assert told(firewall.input_rules(a_host(nft=nft), MAILCOW))[0] == status


@pytest.mark.parametrize("look", [firewall.input_rules, firewall.forward_policy])
def test_no_program_to_read_rules_with(a_host, look):
    assert told(look(a_host(), MAILCOW))[0] == "skip"


@pytest.mark.parametrize(
    "look",
    [firewall.input_rules, firewall.forward_policy, firewall.variants, firewall.docker_user],
)
def test_rules_that_cannot_be_read(make_host, look):
    refusal = {"rc": 1, "stderr": "Operation not permitted (you must be root)\n"}
    recorded = {
        "programs": ["nft"],
        "commands": {"nft -j list ruleset": refusal},
        "docker": {"/version": {"Version": "28.5.2"}, "/info": {}},
    }
    with pytest.raises(HostError, match="must be root"):
        look(make_host(RUNNING, recorded), MAILCOW)


# -- forwarded traffic ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nft", "status"),
    [
        (table(KNOWN), "fail"),
        (table(KNOWN, policy="accept"), "ok"),
        (table(KNOWN, [DROP], policy="accept"), "fail"),
        (table(KNOWN, [match("iifname", "wg0"), ACCEPT]), "warn"),
        (table(KNOWN, [match("iifname", {"set": ["docker0", "eth1"]}), ACCEPT]), "ok"),
        (table(KNOWN, [match("iifname", "br-*"), ACCEPT]), "ok"),
        (table(KNOWN, [match("status", "dnat", "ct"), ACCEPT]), "ok"),
        (table(KNOWN, [ACCEPT]), "ok"),
        (table(KNOWN, [{"jump": {"target": "x"}}], chains=[("x", [ACCEPT])]), "ok"),
        (table(KNOWN, name="firewalld"), "ok"),
        (table(KNOWN, hook="input"), "ok"),
    ],
)
def test_a_table_of_nft(a_host, nft, status):
    assert told(firewall.forward_policy(a_host(nft=nft), MAILCOW))[0] == status


def test_the_stack_s_own_bridge_is_known(a_host):
    network = MAILU.networks[0]._replace(bridge="mailu0")
    nft = table(KNOWN, [match("iifname", "mailu0"), ACCEPT])
    host = a_host(nft=nft)
    assert told(firewall.forward_policy(host, MAILU))[0] == "warn"
    assert told(firewall.forward_policy(host, MAILU._replace(networks=(network,))))[0] == "ok"


def test_a_policy_before_the_engine_is_there(a_host):
    assert told(firewall.forward_policy(a_host(ip=EMPTY.format("DROP")), MAILCOW))[0] == "ok"


def test_a_policy_beside_the_engine_s_rules(a_host):
    host = a_host(ip=rules(policy="DROP"), running=True)
    assert told(firewall.forward_policy(host, MAILCOW))[0] == "ok"


def test_a_policy_left_behind_by_the_other_backend(a_host):
    docker = {"FirewallBackend": {"Driver": "nftables"}}
    host = a_host(ip=EMPTY.format("DROP"), running=True, docker=docker)
    status, observed = told(firewall.forward_policy(host, MAILCOW))
    assert status == "fail"
    assert observed.startswith("ip filter, chain FORWARD")


def test_a_policy_in_the_other_variant(a_host):
    host = a_host(ip=rules(), legacy=EMPTY.format("DROP"), running=True)
    (found,) = firewall.forward_policy(host, MAILCOW)
    assert found.status == "fail"
    assert found.fix.startswith("iptables-legacy -P FORWARD ACCEPT")


@pytest.mark.parametrize(("config", "status"), [({"ip6tables": False}, "ok"), ({}, "fail")])
def test_a_policy_of_ipv6(a_host, config, status):
    docker = {"FirewallBackend": {"Driver": "nftables"}}
    host = a_host(
        ip=EMPTY.format("ACCEPT"),
        ip6=EMPTY.format("DROP"),
        running=True,
        config=config,
        docker=docker,
    )
    assert told(firewall.forward_policy(host, MAILCOW))[0] == status


# -- rules of the engine --------------------------------------------------------------------------

BEHIND = FORWARD.partition("\n")[2] + "\n-A FORWARD -j DOCKER-USER"
VPN_FIRST = "-A FORWARD -i wg0 -j ACCEPT\n" + FORWARD
MAILCOW_FIRST = "-A FORWARD -j MAILCOW\n" + FORWARD


@pytest.mark.parametrize(
    ("ip", "status", "words"),
    [
        (rules(), "ok", "all there"),
        (rules(forward=MAILCOW_FIRST), "ok", "all there"),
        (rules(forward=VPN_FIRST), "ok", "all there"),
        (rules(nat=""), "fail", "open relay"),
        (rules(forward=""), "fail", "FORWARD does not go to DOCKER-USER"),
        (rules(forward=BEHIND), "warn", "FORWARD accepts before"),
        (rules().replace("DOCKER-USER", "OTHER"), "fail", "no chain DOCKER-USER"),
        (EMPTY.format("ACCEPT"), "fail", "open relay"),
    ],
)
def test_docker_user(a_host, ip, status, words):
    host = a_host(ip=ip, ip6=rules(), running=True)
    found = told(firewall.docker_user(host, MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_docker_user_of_ipv6(a_host):
    host = a_host(ip=rules(), ip6="", running=True)
    status, observed = told(firewall.docker_user(host, MAILCOW))
    assert status == "fail"
    assert observed.startswith("IPv6: ")


def test_docker_user_of_ipv6_where_the_engine_makes_none(a_host):
    host = a_host(ip=rules(), ip6="", running=True, version="26.1.5")
    assert told(firewall.docker_user(host, MAILCOW))[0] == "ok"


def test_docker_user_in_both_variants(a_host):
    host = a_host(ip=rules(), ip6=rules(), legacy=rules(), running=True)
    assert told(firewall.docker_user(host, MAILCOW))[0] == "warn"


@pytest.mark.parametrize(
    ("running", "config", "status"),
    [
        (False, {}, "skip"),
        (True, {"iptables": False}, "skip"),
        (True, {"firewall-backend": "nftables"}, "skip"),
        (True, {}, "unknown"),
    ],
)
@pytest.mark.parametrize("nft", [None, '{"nftables": []}'])
def test_docker_user_that_is_not_there_to_see(a_host, running, config, status, nft):
    host = a_host(nft=nft, running=running, config=config)
    assert told(firewall.docker_user(host, MAILCOW))[0] == status


# -- variants, provider, modules ------------------------------------------------------------------

CLOSED = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n"


@pytest.mark.parametrize(
    ("ip", "legacy", "status", "words"),
    [
        (rules(), None, "ok", "iptables is nf_tables"),
        (rules(), EMPTY.format("ACCEPT"), "ok", "iptables is nf_tables"),
        (EMPTY.format("ACCEPT"), CLOSED, "ok", "iptables is nf_tables"),
        (rules(), CLOSED, "warn", "rules in legacy ip filter and in ip filter, ip nat"),
        (None, None, "skip", "neither"),
    ],
)
def test_variants(a_host, ip, legacy, status, words):
    found = told(firewall.variants(a_host(ip=ip, legacy=legacy), MAILCOW))
    assert found[0] == status
    assert words in found[1]


def test_legacy_tables_without_a_program_to_read_them(a_host):
    host = a_host(ip=rules(), files={"/proc/net/ip_tables_names": "nat\n"})
    status, observed = told(firewall.variants(host, MAILCOW))
    assert status == "warn"
    assert "legacy nat" in observed


@pytest.mark.parametrize(("demands", "remark"), [(MAILCOW, True), (MAILU, False)])
def test_the_legacy_variant_alone(make_host, demands, remark):
    links = dict.fromkeys(NFT_LINKS, "xtables-legacy-multi")
    status, observed = told(firewall.variants(make_host({}, {}, links), demands))
    assert status == "ok"
    assert ("outdated" in observed) is remark


@pytest.mark.parametrize(
    ("text", "low"),
    [
        ("server:\n", "1024-65535"),
        ("server:\n  outgoing-port-avoid: 0-32767\n", "32768-65535"),
        ("server:\n  # outgoing-port-avoid: 0-32767\n", "1024-65535"),
    ],
)
def test_provider(make_host, text, low):
    path = MAILCOW.install_path + "/data/conf/unbound/unbound.conf"
    (found,) = firewall.provider(make_host({path: text}), MAILCOW)
    assert found.status == "skip"
    assert "UDP to {0}.".format(low) in found.fix
    assert "TCP 25, 80" in found.fix


ALL_MODULES = (
    "xt_addrtype", "xt_comment", "xt_mark", "ip_tables", "iptable_filter", "ip6table_filter",
)  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "demands", "status"),
    [
        ((), MAILCOW, "ok"),
        (("xt_addrtype",), MAILU, "fail"),
        (("ip_tables",), MAILCOW, "warn"),
        (("ip_tables",), MAILU, "ok"),
    ],
)
def test_kernel_modules(make_host, missing, demands, status):
    names = [name for name in ALL_MODULES if name not in missing]
    files = {
        "/etc/os-release": "ID=almalinux\nVERSION_ID=9.5\n",
        "/proc/sys/kernel/osrelease": "5.14.0\n",
        "/lib/modules/5.14.0/modules.dep": "".join(
            "kernel/net/{0}.ko.xz: kernel/net/x_tables.ko.xz\n".format(name) for name in names[1:]
        ),
        "/lib/modules/5.14.0/modules.builtin": "kernel/net/{0}.ko\n".format(names[0]),
    }
    found = told(firewall.kernel_modules(make_host(files), demands))
    assert found[0] == status
    assert all(name in found[1] for name in missing) or status == "ok"


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"/etc/os-release": "ID=debian\n"}, "skip"),
        ({"/etc/os-release": "ID=rocky\n", "/.dockerenv": ""}, "skip"),
        ({"/etc/os-release": "ID=rocky\n", "/proc/sys/kernel/osrelease": "5.14.0\n"}, "unknown"),
    ],
)
def test_kernel_modules_elsewhere(make_host, files, status):
    assert told(firewall.kernel_modules(make_host(files), MAILCOW))[0] == status


def test_the_fix_for_flush_ruleset_also_works_at_boot(make_host):
    # "flush table" alone fails where the table is not there yet, and the whole file with it.
    files = {"/etc/nftables.conf": "flush ruleset\n"}
    (finding,) = firewall.services(make_host(files, {"units": unit("nftables")}), MAILCOW)
    assert "add table inet filter, and below it: delete table inet filter" in finding.fix
    assert "flush table" not in finding.fix
