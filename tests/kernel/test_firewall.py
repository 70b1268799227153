# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules in a real kernel: what it makes of them, what is repaired, and which packets pass."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import firewall_lab
import pytest

ROOT = Path(__file__).resolve().parents[3]

_MISSING = firewall_lab.missing()
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "there is a lab")

CLIENT, HOST, SECOND = firewall_lab.CLIENT, firewall_lab.HOST, firewall_lab.SECOND
CONTAINER = firewall_lab.CONTAINER

# Variant of iptables that the engine uses, and our backend.
KINDS = (("nft", "iptables"), ("nft", "nftables"))

# Packets meet the same matches with either variant of iptables; loading and listing differ.
with_legacy = pytest.mark.parametrize(
    "lab", [*KINDS, ("legacy", "iptables")], ids="-".join, indirect=True, scope="module"
)

with_iptables = pytest.mark.parametrize(
    "lab",
    [("nft", "iptables"), ("legacy", "iptables")],
    ids="-".join,
    indirect=True,
    scope="module",
)


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def lab(request):
    made = firewall_lab.Lab(request.param[0])
    made.backend = request.param[1]
    yield made
    made.close()


@pytest.fixture
def apply(lab, tmp_path):
    """Return a function: arguments of ruleset.build -> the module's result there."""

    def call(check=False, search="", **rules):
        rules.setdefault("stack", "mailcow")
        return lab.host.firewall(tmp_path / "fw", rules, lab.backend, check, search=search)

    yield call
    lab.host.firewall(tmp_path / "fw")


def both(lab, port, source=None, target=HOST):
    """Return what the port answers to the client by IPv4 and by IPv6."""
    return lab.client.tcp(*((target[n], port, source[n] if source else "") for n in (0, 1)))


def dump(lab):
    """Return all rules of the host, without counters and comments of the programs."""
    names = ("iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy")
    text = "".join(lab.host.run(name + "-save") for name in names)
    table = lab.host.run("nft -s list table inet mailhost 2>/dev/null || :")
    rules = [line for line in text.splitlines() if not line.startswith("#")]
    return [line.split(" [")[0] for line in rules], table


CLOSED = ["timeout", "timeout"]


def test_without_rules_everything_is_open(lab):
    assert both(lab, 443) == list(CLIENT)
    assert both(lab, 8080) == list(CLIENT)
    assert both(lab, 9100) == list(CLIENT)


@with_legacy
def test_public_ports_are_open_and_nothing_else_that_is_published(lab, apply):
    assert apply()["done"] is True
    # 8443 in the container; the client's own address arrives there.
    assert both(lab, 443) == list(CLIENT)
    assert both(lab, 25) == list(CLIENT)
    assert both(lab, 8080) == CLOSED
    # Straight to the container, as a neighbour with a route could.
    assert both(lab, 9999, target=CONTAINER) == CLOSED
    assert lab.client.ask(*(("udp", host, 53) for host in HOST)) == CLOSED
    # The host's own ports stay as they are.
    assert both(lab, 22) == both(lab, 9100) == list(CLIENT)


def test_policy_allow_leaves_other_ports_open(lab, apply):
    apply(policy="allow", rules=[{"name": "web", "service": "https", "sources": ["192.0.2.1"]}])
    assert both(lab, 8080) == list(CLIENT)
    assert both(lab, 443) == CLOSED


def test_policy_reject_answers(lab, apply):
    apply(policy="reject")
    assert both(lab, 8080) == ["connection refused", "connection refused"]


def test_containers_go_out(lab, apply):
    """Also to the port that is closed for what comes in."""
    apply(rules=[{"name": "smtp", "service": "SMTP", "sources": ["192.0.2.1"]}])
    assert both(lab, 25) == CLOSED
    out = lab.container.tcp((CLIENT[0], 25), (CLIENT[1], 25), (CLIENT[0], 443))
    assert out == [HOST[0], HOST[1], HOST[0]]
    assert lab.container.ask(("udp", CLIENT[0], 53)) == [HOST[0]]
    # And to the host itself, as for a name server there.
    assert lab.container.tcp(("172.30.0.1", 22)) == ["172.30.0.2"]


def test_one_source_and_one_family(lab, apply):
    rules = [
        {"name": "office", "service": "https", "sources": ["198.51.100.9", "2001:db8:1::9"]},
        {"name": "v4", "service": "smtp", "families": ["ipv4"]},
    ]
    apply(rules=rules)
    assert both(lab, 443) == CLOSED
    other = ("198.51.100.9", "2001:db8:1::9")
    assert both(lab, 443, other) == list(other)
    assert both(lab, 25) == [CLIENT[0], "timeout"]


def test_one_address_of_the_host(lab, apply):
    apply(rules=[{"name": "web", "ports": ["443"], "addresses": list(SECOND)}])
    assert both(lab, 443) == CLOSED
    assert both(lab, 443, target=SECOND) == list(CLIENT)


def test_a_port_bound_to_loopback_is_not_opened(lab, apply):
    apply(config={"HTTP_PORT": 8080, "HTTPS_BIND": "127.0.0.1"})
    assert both(lab, 8080) == list(CLIENT)
    assert both(lab, 443) == CLOSED


def test_what_the_engines_helper_serves_on_the_host(lab, apply):
    """Such packets come to the host itself, not to a container."""
    apply(rules=[{"name": "helper", "ports": [2525], "sources": ["198.51.100.9"]}])
    assert both(lab, 2525) == CLOSED
    assert lab.client.tcp((HOST[0], 2525, "198.51.100.9")) == ["198.51.100.9"]
    apply(rules=[{"name": "bad", "action": "drop", "sources": list(CLIENT)}])
    assert both(lab, 2525) == both(lab, 443) == CLOSED


def test_a_port_that_nobody_opens_is_closed_at_the_engines_helper_too(lab, apply, tmp_path):
    """A real engine gives IPv6 clients of an IPv4 network to its helper."""
    helper = tmp_path / "docker-proxy"
    helper.symlink_to(sys.executable)
    child = lab.host.serve("tcp:8088", "tcp:587", program=helper)
    try:
        assert both(lab, 8088) == list(CLIENT)
        assert apply()["proxied"] == ["tcp 8088"]
        assert both(lab, 8088) == CLOSED
        assert both(lab, 587) == list(CLIENT)
        assert apply()["changed"] is False
        assert lab.container.tcp(("172.30.0.1", 8088)) == ["172.30.0.2"]
    finally:
        child.kill()
        child.wait()
    assert apply()["proxied"] == []


def test_ports_of_the_host(lab, apply):
    rules = [{"name": "exporter", "ports": [9100], "sources": ["198.51.100.9"]}]
    apply(host_rules=rules)
    assert both(lab, 9100) == CLOSED
    assert lab.client.tcp((HOST[0], 9100, "198.51.100.9")) == ["198.51.100.9"]
    assert both(lab, 22) == both(lab, 7654) == list(CLIENT)
    apply(host_rules=rules, host_policy="drop", admin_sources=[CLIENT[0]])
    assert both(lab, 22) == [CLIENT[0], "timeout"]
    assert both(lab, 7654) == both(lab, 9100) == CLOSED
    assert both(lab, 443) == list(CLIENT)


def test_icmp(lab, apply):
    apply(host_policy="drop")
    answers = lab.client.ask(*(("icmp", address, 0) for address in (*HOST, *CONTAINER)))
    assert answers == ["answered"] * 4


@with_legacy
def test_a_limit_counts_each_source(lab, apply):
    limit = {"name": "calm", "service": "smtp", "action": "limit", "rate": "2/hour", "burst": 3}
    apply(rules=[limit])
    for number in (0, 1):
        answers = lab.client.tcp(*[(HOST[number], 25)] * 8)
        # SYN is sent once more within the time of a probe, and counts.
        assert 1 <= answers.count(CLIENT[number]) <= 3
        assert answers.count("timeout") >= 5
    assert lab.client.tcp((HOST[0], 25, "198.51.100.9")) == ["198.51.100.9"]
    assert both(lab, 443) == list(CLIENT)
    # Counters are no difference.
    assert apply(rules=[limit])["changed"] is False


def test_established_connections_go_on(lab, apply):
    script = (
        "import socket, sys\n"
        "link = socket.create_connection(('{0}', 8080), 2)\n"
        "link.recv(99)\nprint('up', flush=True)\nsys.stdin.readline()\n"
        "link.sendall(b'still')\nlink.settimeout(2)\nprint(link.recv(99).decode())\n"
    ).format(HOST[0])
    with subprocess.Popen(
        lab.client.argv(sys.executable, "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as talk:
        assert talk.stdout.readline() == "up\n"
        apply()
        assert talk.communicate("go\n", timeout=5)[0] == "still\n"
    assert both(lab, 8080) == CLOSED


# Connects over and over until its input ends; says how often it tried and how often it got through.
KNOCK = """
import select, socket, sys
tried = passed = 0
print("go", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    one = socket.socket()
    one.settimeout(0.005)
    tried += 1
    try:
        one.connect((sys.argv[1], 8080))
        passed += 1
    except OSError:
        pass
    one.close()
print(tried, passed)
"""


@with_legacy
def test_a_change_of_rules_opens_nothing_for_a_moment(lab, apply):
    apply()
    with subprocess.Popen(
        lab.client.argv(sys.executable, "-c", KNOCK, HOST[0]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as knocking:
        assert knocking.stdout.readline() == "go\n"
        for number in range(20):
            rules = [{"name": "other", "ports": [9000 + number], "action": "reject"}]
            assert apply(rules=rules)["done"] is True
        tried, passed = map(int, knocking.communicate("", timeout=5)[0].split())
    assert tried > 50
    assert passed == 0


def test_a_set(lab, apply):
    entries = ["10.{0}.{1}.0/24".format(n // 250, n % 250) for n in range(2500)]
    rules = {"rules": [{"name": "bad", "action": "reject", "set": "bad"}]}
    apply(sets=[{"name": "bad", "entries": [*entries, "198.51.100.2"]}], **rules)
    assert both(lab, 25) == ["connection refused", CLIENT[1]]
    only = [{"name": "bad", "entries": [*entries, "198.51.100.9", "2001:db8:1::/64"]}]
    shown = apply(sets=only, **rules)
    assert shown["done"] is True
    assert both(lab, 25) == [CLIENT[0], "connection refused"]
    assert apply(sets=only, **rules)["changed"] is False


@with_legacy
def test_outgoing_mail_gets_another_source_address(lab, apply):
    snat = [
        {"to": SECOND[0], "source": "172.30.0.0/24"},
        {"to": SECOND[1], "source": "fd00:30::/64"},
    ]
    apply(snat=snat)
    out = lab.container.tcp((CLIENT[0], 25), (CLIENT[1], 25), (CLIENT[0], 443))
    assert out == [SECOND[0], SECOND[1], HOST[0]]
    assert apply(snat=snat)["changed"] is False
    if lab.backend == "iptables":
        # The engine puts its own before ours when it makes the network again.
        program = "iptables-" + lab.variant
        rule = "POSTROUTING -s 172.30.0.0/24 ! -o {0} -j MASQUERADE".format(firewall_lab.BRIDGE)
        lab.host.run("{0} -t nat -D {1}; {0} -t nat -I {1}".format(program, rule))
        assert lab.container.tcp((CLIENT[0], 25)) == [HOST[0]]
        assert apply(snat=snat)["done"] is True
        assert lab.container.tcp((CLIENT[0], 25)) == [SECOND[0]]
    assert apply()["done"] is True
    assert lab.container.tcp((CLIENT[0], 25)) == [HOST[0]]
    assert apply()["changed"] is False


EVERYTHING = {
    "rules": [
        {
            "name": "imap",
            "service": "imap",
            "sources": ["192.0.2.0/24", "198.51.100.7", "2001:DB8:5::/48"],
            "comment": "office (only), see 1.2",
        },
        {"name": "bad", "action": "drop", "set": "bad", "log": True},
        {"name": "slow", "service": "SMTP", "action": "limit", "rate": "60/minute", "log": True},
        {"name": "slower", "ports": ["587"], "action": "limit", "rate": "90/minute", "burst": 50},
        {"name": "web", "ports": ["443", "8000-8100"], "addresses": list(SECOND)},
        {"name": "no", "ports": [9000], "action": "reject", "families": ["ipv4"]},
        {"name": "udp", "ports": [9001], "protocol": "udp", "action": "reject"},
    ],
    "host_rules": [
        {"name": "exporter", "ports": [9100], "sources": ["192.0.2.9"], "addresses": [HOST[0]]},
        {"name": "knock", "ports": ["2222"], "action": "limit", "families": ["ipv6"]},
    ],
    "sets": [{"name": "bad", "entries": ["192.0.2.0/25", "192.0.2.128/25", "2001:db8:f::/48"]}],
    "admin_sources": ["192.0.2.0/24", "2001:db8::/32"],
    "snat": [{"to": SECOND[0], "source": "172.30.0.0/24"}],
}


@with_legacy
@pytest.mark.parametrize(
    ("policy", "host_policy"), [("drop", "allow"), ("allow", "drop"), ("reject", "reject")]
)
def test_a_second_run_changes_nothing(lab, apply, policy, host_policy):
    rules = dict(EVERYTHING, policy=policy, host_policy=host_policy)
    foretold = apply(check=True, **rules)
    done = apply(**rules)
    assert foretold["changed"] is done["done"] is True
    assert foretold["diff"] == done["diff"]
    again = apply(**rules)
    assert again["changed"] is again["done"] is False
    assert again["diff"] == []
    assert again["certain"] is True


@with_iptables
def test_what_is_spelled_by_us_is_what_the_kernel_lists(lab, apply):
    """Otherwise every run would cost the namespace for the comparison."""
    apply(**EVERYTHING)
    payload = apply(**EVERYTHING)["payload"]
    for family, program in (("ipv4", "iptables"), ("ipv6", "ip6tables")):
        live = lab.host.run("{0}-{1}-save".format(program, lab.variant)).splitlines()
        wanted = [line for line in payload[family + ".rules"].splitlines() if line[:3] == "-A "]
        assert wanted
        assert [line for line in live if line.startswith("-A MAILHOST")] == sorted(
            wanted, key=live.index
        )


@with_legacy
def test_a_foreign_edit_is_undone(lab, apply):
    apply()
    clean = dump(lab)
    if lab.backend == "nftables":
        edits = [
            "nft insert rule inet mailhost forward accept",
            "nft add rule inet mailhost input tcp dport 22 drop",
            "nft delete table inet mailhost",
            "nft flush chain inet mailhost forward",
        ]
    else:
        program = "iptables-" + lab.variant
        edits = [
            program + " -I MAILHOST -j ACCEPT",
            program + " -D MAILHOST 5",
            program + " -F MAILHOST-INPUT",
            program + " -D DOCKER-USER -j MAILHOST",
            program + " -I DOCKER-USER -j MAILHOST",
            "{0} -F DOCKER-USER".format(program),
            "{0} -D DOCKER-USER -j MAILHOST; {0} -A DOCKER-USER -s 192.0.2.1 -j MAILHOST".format(
                program
            ),
            "{0} -D INPUT -j MAILHOST-INPUT; {0} -F MAILHOST; {0} -D DOCKER-USER 1; "
            "{0} -X MAILHOST".format(program),
            program.replace("ip", "ip6", 1) + " -I MAILHOST -j ACCEPT",
        ]
    for edit in edits:
        lab.host.run(edit)
        found = apply(check=True)
        assert found["changed"] is True, edit
        assert found["diff"]
        assert apply()["done"] is True
        assert dump(lab) == clean
        assert apply()["changed"] is False


@with_iptables
def test_others_rules_stay_where_they_are(lab, apply):
    program = "iptables-" + lab.variant
    foreign = [
        program + " -N f2b-x",
        program + " -A f2b-x -s 203.0.113.9 -j DROP",
        program + " -A f2b-x -j RETURN",
        program + " -I DOCKER-USER -j f2b-x",
        program + " -N MAILCOW",
        program + " -I INPUT -j MAILCOW",
        program + " -I FORWARD -j MAILCOW",
        program + " -A INPUT -p tcp --dport 1 -j ACCEPT",
    ]
    lab.host.run("; ".join(foreign))
    try:
        before = dump(lab)
        shown = apply()
        assert "accepts '-p tcp -m tcp --dport 1 -j ACCEPT'" not in str(shown["warnings"])
        added = [line for line in dump(lab)[0] if "MAILHOST" not in line]
        assert added == before[0]
        rules = lab.host.run("{0}-save -t filter".format(program))
        inputs = [line for line in rules.splitlines() if line.startswith("-A INPUT")]
        # mailcow's container restarts itself unless its own comes first.
        assert inputs[:2] == ["-A INPUT -j MAILCOW", "-A INPUT -j MAILHOST-INPUT"]
        # Others may come before us as long as they do not accept.
        lab.host.run(program + " -I DOCKER-USER -s 203.0.113.1 -j DROP")
        assert apply()["changed"] is False
        lab.host.run(program + " -I DOCKER-USER -s 203.0.113.2 -j ACCEPT")
        assert "# behind: -s 203.0.113.2/32 -j ACCEPT" in str(apply(check=True)["diff"])
        assert apply()["done"] is True
        lab.host.firewall("/nonexistent")
        lab.host.run(program + " -D DOCKER-USER -s 203.0.113.1 -j DROP")
        lab.host.run(program + " -D DOCKER-USER -s 203.0.113.2 -j ACCEPT")
        assert dump(lab) == before
    finally:
        lab.host.run(
            "{0} -D INPUT -j MAILCOW; {0} -D FORWARD -j MAILCOW; {0} -X MAILCOW; "
            "{0} -D INPUT -p tcp --dport 1 -j ACCEPT; {0} -D DOCKER-USER -j f2b-x; "
            "{0} -F f2b-x; {0} -X f2b-x".format(program)
        )


@with_legacy
def test_absent_leaves_nothing(lab, apply, tmp_path):
    before = dump(lab)
    apply(**EVERYTHING)
    assert dump(lab) != before
    foretold = lab.host.firewall(tmp_path / "fw", check=True)
    assert foretold["changed"] is True
    assert lab.host.firewall(tmp_path / "fw")["done"] is True
    assert dump(lab) == before
    assert lab.host.run("ipset list -n") == ""
    assert list((tmp_path / "fw").iterdir()) == []
    assert lab.host.firewall(tmp_path / "fw")["changed"] is False


@with_legacy
def test_load_and_unload_do_the_same_without_the_module(lab, apply, tmp_path):
    empty = dump(lab)
    apply(**EVERYTHING)
    wanted = dump(lab)
    sets = sorted(lab.host.run("ipset save").splitlines())
    load = tmp_path / "fw" / "load"
    # Twice in force is once in force.
    lab.host.run(str(load))
    assert dump(lab) == wanted
    assert apply(**EVERYTHING)["changed"] is False
    lab.host.run("sh {0}".format(tmp_path / "fw" / "unload"))
    assert dump(lab) == empty
    assert lab.host.run("ipset list -n") == ""
    lab.host.run(str(load))
    assert dump(lab) == wanted
    assert [line.split("initval")[0] for line in sets] == [
        line.split("initval")[0] for line in sorted(lab.host.run("ipset save").splitlines())
    ]


def test_load_goes_back_from_the_other_backend(lab, apply, tmp_path):
    apply(**EVERYTHING)
    wanted = dump(lab)
    other = {"nftables": "iptables", "iptables": "nftables"}[lab.backend]
    rules = dict(EVERYTHING, stack="mailcow")
    moved = lab.host.firewall(tmp_path / "other", rules, other)
    assert moved["backend"] == other
    assert both(lab, 8080) == CLOSED
    rest = dump(lab)
    if other == "nftables":
        assert "MAILHOST" not in str(rest[0])
    else:
        assert rest[1] == ""
    lab.host.run(str(tmp_path / "fw" / "load"))
    assert dump(lab) == wanted


def test_before_the_engine_starts(tmp_path):
    """The chain of the engine is made for it, and everything is in place when it comes."""
    host = firewall_lab.Host()
    try:
        done = host.firewall(tmp_path / "fw", {"stack": "mailcow"})
        assert done["done"] is True
        saved = host.run("iptables-nft-save -t filter")
        assert "-A DOCKER-USER -j MAILHOST" in saved
        assert host.firewall(tmp_path / "fw", {"stack": "mailcow"})["changed"] is False
        # As at boot: nothing there but the files.
        host.run("nft flush ruleset; {0}".format(tmp_path / "fw" / "load"))
        assert "-A DOCKER-USER -j MAILHOST" in host.run("iptables-nft-save -t filter")
        assert host.firewall(tmp_path / "fw", {"stack": "mailcow"})["changed"] is False
    finally:
        host.close()


def test_what_cannot_be_loaded_changes_nothing(lab, apply, tmp_path):
    apply()
    before = dump(lab)
    files = {path.name: path.read_bytes() for path in (tmp_path / "fw").iterdir()}
    # An address that is no address gets past nobody; a sick program is another matter.
    folder = tmp_path / "bin"
    folder.mkdir()
    names = (
        ["nft"]
        if lab.backend == "nftables"
        else ["ip{0}tables-{1}-restore".format(six, lab.variant) for six in ("", "6")]
    )
    for name in names:
        real = shutil.which(name)
        program = folder / name
        program.write_text(
            '#!/bin/sh\ncase $* in *list*) exec {0} "$@";; esac\n'
            "echo line 2: no such extension >&2\nexit 2\n".format(real)
        )
        program.chmod(0o755)
    result = apply(search=str(folder), policy="reject")
    assert "cannot load the rules: line 2: no such extension" in result["error"]
    assert dump(lab) == before
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "fw").iterdir()}


def test_both_variants_with_engines_are_refused(tmp_path):
    host = firewall_lab.Host()
    try:
        for variant in ("nft", "legacy"):
            host.run("iptables-{0} -N DOCKER-USER".format(variant))
        error = host.firewall(tmp_path / "fw", {"stack": "mailcow"})["error"]
        assert "both variants of iptables" in error
        assert "MAILHOST" not in host.run("iptables-nft-save; iptables-legacy-save")
    finally:
        host.close()


def test_a_forward_chain_that_passes_docker_user_by_is_refused(tmp_path):
    lab = firewall_lab.Lab()
    try:
        lab.host.run(
            "iptables-nft -D FORWARD -j DOCKER-USER; iptables-nft -A FORWARD -j DOCKER-USER"
        )
        error = lab.host.firewall(tmp_path / "fw", {"stack": "mailcow"})["error"]
        assert "FORWARD has '-j DOCKER-FORWARD' before the jump to DOCKER-USER" in error
        done = lab.host.firewall(tmp_path / "fw", {"stack": "mailcow"}, "nftables")
        assert done["done"] is True
        assert both(lab, 8080) == CLOSED
    finally:
        lab.close()


def test_the_module(tmp_path):
    """As Ansible calls it; in a namespace, so that the rules of this machine are left alone."""
    host = firewall_lab.Host()

    def call(*more, **options):
        options["path"] = str(tmp_path / "fw")
        # Whatever engine this machine has.
        options["backend"] = "nftables"
        done = subprocess.run(
            host.argv(
                str(Path(sys.executable).with_name("ansible")),
                "localhost",
                "--inventory=localhost,",
                "--connection=local",
                "--module-name=postmaster.mailhost.docker_firewall",
                "--args=" + json.dumps(options),
                "--extra-vars=ansible_python_interpreter=" + sys.executable,
                "--diff",
                *more,
            ),
            env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), LC_ALL="C.UTF-8"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout

    try:
        text = call("--check", stack="mailcow")
        assert "CHANGED" in text
        assert re.search(r"^\+\s+ct direction original .* 25 accept comment", text, re.M)
        assert host.run("nft list tables") == ""
        assert not (tmp_path / "fw").exists()
        assert "CHANGED" in call(stack="mailcow")
        assert "inet mailhost" in host.run("nft list tables")
        text = call(stack="mailcow")
        assert "SUCCESS" in text
        assert "changed: false" in text
        # Only what differs is shown.
        text = call(stack="mailcow", config={"IMAP_PORT": 10143})
        assert len(re.findall(r"^[+-]\s", text, re.M)) == 4
        assert "CHANGED" in call(state="absent")
        assert host.run("nft list tables") == ""
        text = call(stack="mailcow", controller="192.0.2.1", admin_sources=["192.0.2.2"])
        assert "would shut the controller out" in text
        assert host.run("nft list tables") == ""
    finally:
        host.close()
