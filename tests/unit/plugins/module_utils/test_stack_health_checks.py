# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each way in which a stack is broken is told, by one check, and by no other."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    certificate,
    stack_fix,
    stack_health,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack as stacks
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import health, look
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

sys.path.insert(0, str(Path(__file__).parent))
import recorded_stack
from recorded_stack import PATH, RSPAMD, SSL, Stack

OPENSSL = shutil.which("openssl")
DAY = 86400


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """Return a function: days, names, issuer -> certificate and key in PEM form."""
    folder = tmp_path_factory.mktemp("pairs")
    made = {}

    def run(*words):
        done = subprocess.run([OPENSSL, *map(str, words)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def make(days=90, name="mail1.example.test", own=False, more=""):
        if (days, name, own, more) not in made:
            stem = folder / str(len(made))
            key, request, leaf = (str(stem) + end for end in (".key", ".csr", ".pem"))
            subject = "/CN=" + name
            run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
            if own:
                run("req", "-x509", "-key", key, "-subj", subject, "-days", days, "-out", leaf)
            else:
                ca_key, ca = folder / "ca.key", folder / "ca.pem"
                if not ca.exists():
                    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca_key,
                        "-subj", "/CN=Test authority", "-out", ca)  # fmt: skip
                run("req", "-new", "-key", key, "-subj", subject, "-out", request)
                names = folder / "names"
                names.write_text("subjectAltName=DNS:" + name + more)
                run("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
                    "-extfile", names, "-days", days, "-out", leaf)  # fmt: skip
            made[(days, name, own, more)] = (Path(leaf).read_text(), Path(key).read_text())
        return made[(days, name, own, more)]

    return make


@pytest.fixture
def stack(pair, monkeypatch):
    """The recorded stack with a good certificate; the real openssl reads it."""
    ask = certificate._openssl
    monkeypatch.setattr(certificate, "_openssl", lambda _host, *words: ask(Host(), *words))
    # The recorded host's clock: the certificates, made next, are of today.
    monkeypatch.setattr(Stack, "now", time.time() + 60)
    found = Stack()
    for container in found.record["containers"]:
        container["State"]["StartedAt"] = "2026-01-01T00:00:00.5Z"
    found.files = {
        SSL + "/cert.pem": pair()[0],
        SSL + "/key.pem": pair()[1],
        SSL + "/dhparams.pem": "DH",
        RSPAMD + "/stats.ucl": "x",
    }
    return found


@pytest.fixture
def judge(stack, make_host):
    """Return a function: findings that are not ok by id, and the fixes."""

    def run(**more):
        seen = stack.look(make_host, **more)
        findings = look.all_of(health.LOOK, seen)
        bad = {item.id: item for item in findings if item.status not in ("ok", "skip")}
        text = json.dumps([item.to_dict() for item in findings]) + json.dumps(seen.to_list())
        for secret in ("dbpass", "dbroot", "redispass"):
            assert "the-{0}-of-the-test".format(secret) not in text
        for item in bad.values():
            assert item.fix
        fixes = health.fixes(seen, findings)
        assert {entry["finding"] for entry in fixes} <= set(bad)
        assert all(entry["command"] for entry in fixes)
        # The module that applies them knows each, and has what it needs.
        assert all(
            set(stack_fix.KINDS[entry["kind"]])
            <= {name for name in entry if entry[name] is not None}
            for entry in fixes
        )
        return bad, fixes, {item.id: item for item in findings}

    return run


def test_a_healthy_stack(judge):
    bad, fixes, findings = judge()
    assert bad == {}
    assert fixes == []
    assert {item.status for item in findings.values()} == {"ok"}
    assert list(findings) == [row[0] for row in health.LOOK]


def test_an_engine_that_does_not_answer_is_one_finding(stack, judge):
    stack.silent = True
    bad, fixes, findings = judge()
    assert list(bad) == ["health.engine"]
    assert bad["health.engine"].status == "fail"
    assert fixes == []
    assert findings["health.containers"].status == "skip"
    assert findings["health.configuration"].status == "ok"


def test_files_that_compose_refuses(stack, judge):
    stack.refused = 'invalid interpolation format for "x".\nDBPASS=the-dbpass-of-the-test'
    bad, _fixes, _all = judge()
    # Where the certificate is, is known from the containers.
    assert list(bad) == ["health.compose"]
    assert "********" in bad["health.compose"].observed


@pytest.mark.parametrize(
    ("change", "check", "status", "observed"),
    [
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True},
            "containers",
            "fail",
            "olefy-mailcow is exited, exit code 137 (it was killed because memory ran out)",
        ),
        ({"Status": "exited", "ExitCode": 137}, "containers", "fail", "SIGKILL: it was killed"),
        ({"Status": "exited", "ExitCode": 0}, "containers", "fail", "(it ended without an error)"),
        (
            {"Status": "created", "ExitCode": 127, "Error": "exec: not found"},
            "containers",
            "fail",
            "its program is not in the image): exec: not found",
        ),
        (
            {"Status": "restarting", "ExitCode": 1, "restarts": 7, "log": "first\nno such table"},
            "restarts",
            "fail",
            (
                "is restarting, exit code 1 (its program reported an error), restarted 7 times; its last "
                "words: first | no such table"
            ),
        ),
        (
            {"Health": {"Status": "unhealthy", "Log": [{"Output": "no ping\n"}]}},
            "healthy",
            "fail",
            "olefy-mailcow: no ping",
        ),
        ({"Health": {"Status": "starting"}}, "healthy", "warn", "olefy-mailcow not yet"),
        ({"log": "write: No space left on device"}, "logs", "warn", "the disk is full for it"),
    ],
)
def test_a_container_is_not_well(stack, judge, change, check, status, observed):
    stack.state("olefy-mailcow", **change)
    bad, fixes, _all = judge()
    assert list(bad) == ["health." + check]
    assert bad["health." + check].status == status
    assert observed in bad["health." + check].observed
    assert fixes == []


def test_a_loop_between_two_restarts(stack, judge):
    stack.state("dovecot-mailcow", restarts=5, StartedAt="2126-01-01T00:00:00Z")
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.restarts"]
    # Whoever is in a loop is not also asked for connections.
    assert "dovecot-mailcow" in bad["health.restarts"].observed


def test_restarts_of_long_ago_do_not_count(stack, judge):
    stack.state("dovecot-mailcow", restarts=50)
    assert judge()[0] == {}


def test_a_service_without_container(stack, judge):
    stack.record["containers"].remove(stack.container("olefy-mailcow"))
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.containers"]
    assert bad["health.containers"].fix == "cd {0} && docker compose up -d olefy-mailcow".format(
        PATH
    )


def test_what_is_meant_to_end_or_not_to_be_is_not_missed(stack, judge):
    services = stack.record["config"]["services"]
    services["once"] = {"image": "x"}
    job = json.loads(json.dumps(stack.container("olefy-mailcow")))
    job["Id"] = "job"
    job["Config"]["Labels"]["com.docker.compose.service"] = "once"
    job["Config"]["Image"] = "x"
    job["State"].update(Status="exited", ExitCode=0)
    stack.record["containers"].append(job)
    services["off"] = {"image": "y", "deploy": {"replicas": 0}, "restart": "always"}
    bad, _fixes, _all = judge()
    assert "health.containers" not in bad


def test_what_is_meant_to_end_ended_badly(stack, judge):
    stack.state("olefy-mailcow", Status="exited", ExitCode=1)
    stack.record["config"]["services"]["olefy-mailcow"]["restart"] = "no"
    assert list(judge()[0]) == ["health.containers"]


@pytest.mark.parametrize(
    "error",
    [
        (
            "driver failed programming external connectivity on endpoint x (a1): Error starting userland "
            "proxy: listen tcp4 0.0.0.0:25: bind: address already in use"
        ),
        (
            "failed to set up container networking: driver failed: failed to bind host port for "
            "0.0.0.0:25:172.22.1.253:8025/tcp: address already in use"
        ),
        "Bind for 0.0.0.0:25 failed: port is already allocated",
    ],
)
def test_a_port_that_is_in_use(stack, judge, error):
    stack.state("postfix-mailcow", Status="created", ExitCode=128, Error=error)
    stack.files["/proc/net/tcp"] = (
        "  sl\n   0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n"
    )
    stack.files["/proc/812/comm"] = "exim4\n"
    stack.files["/proc/812/cmdline"] = "exim4\0-bd\0"
    stack.files["/proc/812/cgroup"] = "0::/system.slice/exim4.service\n"
    stack.links["/proc/812/fd/3"] = "socket:[77]"
    bad, _fixes, findings = judge()
    assert list(bad) == ["health.ports"]
    assert bad["health.ports"].observed == (
        "postfix-mailcow could not have port 25, which belongs to exim4.service"
    )
    assert findings["health.connections"].status == "skip"


def test_another_image(stack, judge):
    stack.record["config"]["services"]["olefy-mailcow"]["image"] = "ghcr.io/mailcow/olefy:1.16"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.image"]
    assert bad["health.image"].observed == (
        "olefy-mailcow has ghcr.io/mailcow/olefy:1.15 and not ghcr.io/mailcow/olefy:1.16"
    )
    assert fixes == [
        {
            "finding": "health.image",
            "kind": "recreate",
            "command": "cd {0} && docker compose up -d olefy-mailcow".format(PATH),
            "project_src": PATH,
            "project": "mailcowdockerized",
            "services": ["olefy-mailcow"],
        }
    ]


@pytest.mark.parametrize("status", ["exited", "paused"])
def test_a_service_that_was_stopped_is_not_made_anew(stack, judge, status):
    definition = stack.record["config"]["services"]["olefy-mailcow"]
    definition["image"] = "ghcr.io/mailcow/olefy:1.16"
    definition["environment"]["NEW"] = "1"
    stack.state("olefy-mailcow", Status=status, ExitCode=137)
    bad, fixes, _all = judge()
    assert list(bad) == ["health.containers"]
    assert fixes == []


def test_a_container_that_is_paused(stack, judge):
    stack.state("olefy-mailcow", Status="paused")
    stack.record["containers"].remove(stack.container("acme-mailcow"))
    bad, _fixes, _all = judge()
    assert bad["health.containers"].fix == (
        "cd {0} && docker compose up -d acme-mailcow; cd {0} && docker compose unpause "
        "olefy-mailcow".format(PATH)
    )


@pytest.mark.parametrize(
    "state",
    [
        {"Status": "exited", "ExitCode": 1},
        {"Status": "restarting", "ExitCode": 1},
        {"Status": "created", "Error": "port is already allocated"},
        {"Health": {"Status": "unhealthy"}},
    ],
)
def test_a_container_of_a_service_that_is_gone_from_the_files(stack, judge, state):
    del stack.record["config"]["services"]["olefy-mailcow"]
    stack.state("olefy-mailcow", **state)
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.containers"]
    assert bad["health.containers"].status == "warn"
    assert "which the Compose files do not have any more" in bad["health.containers"].observed
    assert bad["health.containers"].fix == (
        "cd {0} && docker compose up -d --remove-orphans".format(PATH)
    )


def test_a_project_that_was_started_with_another_name(stack, judge):
    stack.project = "mine"
    stack.other_config = dict(stack.record["config"], name="mine")
    stack.conf += "SKIP_SOLR=y\n"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.configuration"]
    assert fixes[0]["project"] == "mine"
    stack.state("olefy-mailcow", Status="exited", ExitCode=1)
    bad, _fixes, _all = judge()
    assert "docker compose -p mine up -d olefy-mailcow" in bad["health.containers"].fix


def test_another_project_of_the_same_directory_is_not_taken_for_this_one(stack, make_host):
    stack.project = "monitoring"
    stack.record["config"]["services"] = {"not-started": {}}
    seen = stack.look(make_host)
    assert (seen.project, seen.containers) == ("mailcowdockerized", {})


def test_a_foreign_project_is_not_taken_for_this_one(stack, make_host, monkeypatch):
    stack.project = "mine"
    monkeypatch.setattr(recorded_stack.RecordedApi, "directory", "/srv/other")
    seen = stack.look(make_host)
    assert (seen.project, seen.containers) == ("mailcowdockerized", {})


def test_an_image_that_was_pulled_anew(stack, judge):
    for entry in stack.record["images"]:
        if "mariadb:10.11" in entry["RepoTags"]:
            entry["Id"] = "sha256:another"
    bad, _fixes, _all = judge()
    assert bad["health.image"].observed == "mysql-mailcow has an older mariadb:10.11"


def test_other_variables(stack, judge):
    services = stack.record["config"]["services"]
    services["dovecot-mailcow"]["environment"]["LOG_LINES"] = "5000"
    services["dovecot-mailcow"]["environment"]["DBPASS"] = "another-secret-of-the-test"
    services["dovecot-mailcow"]["environment"]["NEW"] = "a$$b"
    del services["nginx-mailcow"]["environment"]["SKIP_SOGO"]
    bad, fixes, _all = judge()
    assert list(bad) == ["health.environment"]
    said = bad["health.environment"].observed
    assert "another-secret" not in said
    assert said == (
        "DBPASS is not the one in the file; LOG_LINES is '9999', and '5000' in the file; "
        "NEW is not set, and 'a$b' in the file; SKIP_SOGO is set, and not in the file "
        "of dovecot-mailcow, nginx-mailcow"
    )
    assert fixes[0]["services"] == ["dovecot-mailcow", "nginx-mailcow"]


def test_a_proxy_that_docker_adds_is_no_difference(stack, judge):
    stack.container("olefy-mailcow")["Config"]["Env"].append("HTTPS_PROXY=http://192.0.2.1:3128")
    assert judge()[0] == {}


def test_an_old_key_that_a_container_was_given_is_told_once(stack, judge):
    stack.conf += "SKIP_SOLR=y\n"
    stack.record["config"]["services"]["olefy-mailcow"]["environment"]["SKIP_SOLR"] = "y"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.configuration"]
    assert [entry["kind"] for entry in fixes] == ["env_file"]


def test_a_dollar_that_compose_doubles_is_no_difference(stack, judge):
    stack.record["config"]["services"]["olefy-mailcow"]["environment"]["X"] = "a$$b"
    stack.container("olefy-mailcow")["Config"]["Env"].append("X=a$b")
    assert judge()[0] == {}


def test_old_keys_and_keys_that_stand_twice(stack, judge):
    stack.conf += "SKIP_SOLR=y\nLOG_LINES=9999\nLOG_LINES=9999\nACME_CONTACT=a@example.org\n"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.configuration"]
    assert "Flatcurve" in bad["health.configuration"].observed
    assert bad["health.configuration"].fix.endswith(
        "delete ACME_CONTACT, SKIP_SOLR and all but the last of LOG_LINES."
    )
    assert fixes[0]["kind"] == "env_file"
    assert fixes[0]["path"] == PATH + "/mailcow.conf"
    assert fixes[0]["absent"] == ["ACME_CONTACT", "SKIP_SOLR"]
    assert {"DBPASS", "WATCHDOG_NOTIFY_WEBHOOK"} <= set(fixes[0]["secret_keys"])
    assert fixes[0]["project"] == "mailcowdockerized"
    assert len(fixes[0]["services"]) == 18


def test_a_service_that_was_stopped_is_not_started_with_the_others(stack, judge):
    stack.conf += "SKIP_SOLR=y\n"
    stack.state("olefy-mailcow", Status="exited", ExitCode=137)
    _bad, fixes, _all = judge()
    assert len(fixes[0]["services"]) == 17
    assert "olefy-mailcow" not in fixes[0]["services"]


@pytest.mark.parametrize(
    ("lines", "advice"),
    [
        (
            "DISABLE_IPv6=y\n",
            "set ENABLE_IPV6 as DISABLE_IPv6 was meant; then delete DISABLE_IPv6.",
        ),
        ("SPECIAL=x\nSPECIAL=${SPECIAL},y\n", "write SPECIAL as one line, since the file"),
        ("SOLR_HEAP=1\nMY_HEAP=$SOLR_HEAP\n", "in place of $SOLR_HEAP in " + PATH),
    ],
)
def test_lines_that_are_still_needed_are_not_taken_out(stack, judge, lines, advice):
    stack.conf = "\n".join(
        line for line in stack.conf.splitlines() if not line.startswith("ENABLE_IPV6=")
    )
    stack.conf += "\n" + lines
    bad, fixes, _all = judge()
    assert advice in bad["health.configuration"].fix
    assert fixes == []


def test_a_file_that_is_not_utf8_is_not_written(stack, judge):
    # What is not UTF-8 is written as it is.
    stack.conf = stack.conf.encode() + b"SKIP_SOLR=y\nMY_NOTE=K\xf6ln\n"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.configuration"]
    assert fixes == []


def test_an_older_key_beside_its_successor_can_go(stack, judge):
    stack.conf += "DISABLE_IPv6=y\nENABLE_IPV6=false\n"
    _bad, fixes, _all = judge()
    assert fixes[0]["absent"] == ["DISABLE_IPv6"]


def test_no_forwarding(stack, judge):
    stack.sysctls["net/ipv4/ip_forward"] = "0"
    stack.docker = {"/networks": stack.record["networks"]}
    stack.files.update({"/run/docker.pid": "7", "/proc/7/comm": "dockerd\n"})
    # Without its own rules the packet filter is not judged.
    stack.files["/etc/docker/daemon.json"] = '{"iptables": false}'
    bad, fixes, _all = judge()
    assert list(bad) == ["health.forwarding"]
    assert bad["health.forwarding"].observed == "net.ipv4.ip_forward = 0 while Docker runs"
    assert [(entry["kind"], entry["name"], entry["value"]) for entry in fixes] == [
        ("sysctl", "net.ipv4.ip_forward", "1")
    ]


def test_another_trouble_with_packets_is_not_mended_by_that_parameter(stack, judge):
    stack.files["/etc/sysctl.d/99-hardening.conf"] = "net.ipv4.ip_forward = 0\n"
    bad, fixes, _all = judge()
    assert "99-hardening.conf sets 0" in bad["health.forwarding"].observed
    assert fixes == []


def test_a_network_that_is_gone(stack, judge):
    stack.record["networks"] = [
        item for item in stack.record["networks"] if "mailcow" not in item["Name"]
    ]
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.network"]


def test_the_same_range_in_another_spelling(stack, judge):
    wanted = stack.record["config"]["networks"]["mailcow-network"]["ipam"]["config"]
    ipv4 = next(entry for entry in wanted if "." in entry["subnet"])
    ipv4["subnet"] = ipv4["subnet"].replace(".0/24", ".7/24")
    wanted.append({"subnet": "FD4D:6169:6C63:6F77:0::/64"})
    for item in stack.record["networks"]:
        if "mailcow" in item["Name"]:
            item["EnableIPv6"] = True
            item["IPAM"]["Config"].append({"Subnet": "fd4d:6169:6c63:6f77::/64"})
    assert judge()[0] == {}


def test_a_bridge_without_its_address(stack, judge):
    stack.route = False
    bad, _fixes, _all = judge()
    assert "br-mailcow has lost its address 172.22.1.1" in bad["health.network"].observed


def test_a_network_without_the_ipv6_that_is_wanted(stack, judge):
    stack.record["config"]["networks"]["mailcow-network"]["enable_ipv6"] = True
    for item in stack.record["networks"]:
        item["EnableIPv6"] = False
    bad, _fixes, _all = judge()
    assert bad["health.network"].observed.endswith("has no IPv6, and the files want it")


def test_a_network_that_no_service_is_in_need_not_be_there(stack, judge):
    stack.record["config"]["networks"]["spare"] = {"name": "mailcowdockerized_spare"}
    assert judge()[0] == {}


def test_a_bridge_that_is_down(stack, judge):
    stack.files["/sys/class/net/br-mailcow/flags"] = "0x1002\n"
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.network"]
    assert "the bridge br-mailcow is down" in bad["health.network"].observed


def test_no_bridge(stack, judge):
    stack.bridge = "br-other"
    bad, _fixes, _all = judge()
    assert "the host has no bridge br-mailcow" in bad["health.network"].observed


def test_another_range(stack, judge):
    stack.record["config"]["networks"]["mailcow-network"]["ipam"]["config"][0]["subnet"] = (
        "172.23.1.0/24"
    )
    bad, _fixes, _all = judge()
    assert "and not 172.23.1.0/24" in bad["health.network"].observed


@pytest.mark.parametrize(
    ("said", "observed"),
    [
        ("124", "unbound-mailcow at 172.22.1.254:53: no answer within 4 s"),
        (
            (
                "1 bash: connect: Connection refused bash: line 1: /dev/tcp/172.22.1.254/53: "
                "Connection refused"
            ),
            "unbound-mailcow at 172.22.1.254:53: Connection refused",
        ),
    ],
)
def test_containers_that_do_not_reach_each_other(stack, judge, said, observed):
    stack.said["172.22.1.254:53"] = said
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.connections"]
    assert bad["health.connections"].status == "fail"
    assert bad["health.connections"].observed == "from postfix-mailcow: " + observed


def test_an_image_that_cannot_try(stack, judge):
    stack.said["172.22.1.254:53"] = "127 sh: timeout: not found"
    bad, _fixes, _all = judge()
    assert bad["health.connections"].status == "unknown"


def test_without_a_target_there_is_nothing_to_try(stack, judge):
    for name in ("unbound", "redis", "mysql", "dovecot"):
        stack.state(name + "-mailcow", Status="exited", ExitCode=1)
    bad, _fixes, findings = judge()
    assert list(bad) == ["health.containers"]
    assert findings["health.connections"].status == "skip"
    assert findings["health.connections"].observed == "none of them is well"


def test_a_target_that_does_not_run_is_told_once(stack, judge):
    stack.state("unbound-mailcow", Status="exited", ExitCode=1)
    assert list(judge()[0]) == ["health.containers"]


# -- the certificate -------------------------------------------------------------------------------


def test_a_link_out_of_the_directory(stack, judge, pair):
    del stack.files[SSL + "/cert.pem"]
    stack.links[SSL + "/cert.pem"] = "/etc/letsencrypt/live/m/fullchain.pem"
    stack.links["/etc/letsencrypt/live/m/fullchain.pem"] = "../../archive/m/fullchain7.pem"
    stack.files["/etc/letsencrypt/archive/m/fullchain7.pem"] = pair()[0]
    bad, fixes, _all = judge()
    assert list(bad) == ["health.certificate_files"]
    assert bad["health.certificate_files"].status == "fail"
    assert "is a link to /etc/letsencrypt" in bad["health.certificate_files"].observed
    assert [(entry["kind"], entry["target"], entry["mode"]) for entry in fixes] == [
        ("copy_link", "/etc/letsencrypt/archive/m/fullchain7.pem", "0644")
    ]
    assert fixes[0]["services"] == ["postfix-mailcow", "dovecot-mailcow", "nginx-mailcow"]


def test_a_link_within_the_directory_is_fine(stack, judge, pair):
    del stack.files[SSL + "/cert.pem"]
    stack.links[SSL + "/cert.pem"] = "mail/cert.pem"
    stack.files[SSL + "/mail/cert.pem"] = pair()[0]
    assert judge()[0] == {}


def test_a_link_that_leads_nowhere_has_no_fix(stack, judge):
    del stack.files[SSL + "/key.pem"]
    stack.links[SSL + "/key.pem"] = "/root/gone.pem"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.certificate_files"]
    assert fixes == []


@pytest.mark.parametrize("content", [None, ""])
def test_missing_files_come_from_the_example(stack, judge, content):
    for name in ("cert.pem", "key.pem", "dhparams.pem"):
        text = "-----BEGIN PRIVATE KEY-----" if name == "key.pem" else "-----BEGIN SOMETHING-----"
        stack.files[PATH + "/data/assets/ssl-example/" + name] = text
        del stack.files[SSL + "/" + name]
        if content is not None:
            stack.files[SSL + "/" + name] = content
    stack.files[SSL + "/other.pem"] = "x"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.certificate_files"]
    assert {entry["kind"] for entry in fixes} == {"copy_file"}
    assert [entry["mode"] for entry in fixes] == ["0644", "0600", "0644"]


def test_an_example_key_is_not_put_beside_a_good_certificate(stack, judge):
    stack.files[PATH + "/data/assets/ssl-example/key.pem"] = "-----BEGIN PRIVATE KEY-----"
    del stack.files[SSL + "/key.pem"]
    bad, fixes, _all = judge()
    assert list(bad) == ["health.certificate_files"]
    assert fixes == []


def test_an_example_certificate_is_not_put_beside_a_linked_key(stack, judge, pair):
    stack.files[PATH + "/data/assets/ssl-example/cert.pem"] = "-----BEGIN CERTIFICATE-----"
    for name in ("cert.pem", "key.pem"):
        del stack.files[SSL + "/" + name]
    stack.links[SSL + "/key.pem"] = "/etc/ssl/own/key.pem"
    stack.files["/etc/ssl/own/key.pem"] = pair()[1]
    bad, fixes, _all = judge()
    assert list(bad) == ["health.certificate_files"]
    assert [(entry["kind"], entry["path"]) for entry in fixes] == [("copy_link", SSL + "/key.pem")]


def test_a_relative_link_is_read_where_it_was_made(stack, judge, pair):
    del stack.files[SSL + "/cert.pem"]
    stack.links[SSL + "/cert.pem"] = "../../own/cert.pem"
    stack.files[PATH + "/data/own/cert.pem"] = pair()[0]
    # Where it leads in a container, is something else on the host.
    stack.files["/etc/own/cert.pem"] = pair(name="other.example.test")[0]
    _bad, fixes, _all = judge()
    assert [entry["target"] for entry in fixes] == [PATH + "/data/own/cert.pem"]


def test_a_reader_of_the_certificate_that_was_stopped_is_not_started(stack, judge, pair):
    del stack.files[SSL + "/cert.pem"]
    stack.links[SSL + "/cert.pem"] = "/etc/ssl/own/cert.pem"
    stack.files["/etc/ssl/own/cert.pem"] = pair()[0]
    stack.state("dovecot-mailcow", Status="exited", ExitCode=137)
    _bad, fixes, _all = judge()
    assert [entry["services"] for entry in fixes] == [["postfix-mailcow", "nginx-mailcow"]]


def test_a_certificate_with_its_key_is_readable_for_nobody_else(stack, judge, pair):
    del stack.files[SSL + "/cert.pem"]
    stack.links[SSL + "/cert.pem"] = "/etc/ssl/own/both.pem"
    stack.files["/etc/ssl/own/both.pem"] = "".join(pair())
    _bad, fixes, _all = judge()
    assert [(entry["kind"], entry["mode"]) for entry in fixes] == [("copy_link", "0600")]


def test_what_is_no_certificate_is_not_copied(stack, judge):
    del stack.files[SSL + "/cert.pem"]
    stack.links[SSL + "/cert.pem"] = "/etc/shadow"
    stack.files["/etc/shadow"] = "root:x\n"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.certificate_files"]
    assert fixes == []


@pytest.mark.parametrize(
    ("made", "status", "observed"),
    [
        ({"days": 5}, "warn", "(5 days)"),
        ({"name": "other.example.test"}, "fail", "is not for mail1.example.test"),
        ({"own": True}, "warn", "is issued by itself"),
    ],
)
def test_a_certificate_that_does_not_serve(stack, judge, pair, made, status, observed):
    stack.files[SSL + "/cert.pem"], stack.files[SSL + "/key.pem"] = pair(**made)
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.certificate"]
    assert bad["health.certificate"].status == status
    assert observed in bad["health.certificate"].observed


@pytest.mark.parametrize(
    ("skip", "fix"),
    [("n", "docker compose logs --tail=50 acme-mailcow"), ("y", "Get a new one, copy it there")],
)
def test_who_gets_the_next_certificate(stack, judge, pair, skip, fix):
    """mailcow's own container does, unless that is switched off."""
    stack.files[SSL + "/cert.pem"], stack.files[SSL + "/key.pem"] = pair(own=True)
    stack.conf = stack.conf.replace("SKIP_LETS_ENCRYPT=n", "SKIP_LETS_ENCRYPT=" + skip)
    bad, _fixes, _all = judge()
    assert fix in bad["health.certificate"].fix


def test_an_expired_certificate(stack, judge, monkeypatch):
    monkeypatch.setattr(Stack, "now", Stack.now + 91 * DAY)
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.certificate"]
    assert bad["health.certificate"].status == "fail"
    assert "has expired" in bad["health.certificate"].observed


def test_a_key_of_another_certificate(stack, judge, pair):
    stack.files[SSL + "/key.pem"] = pair(name="other.example.test")[1]
    bad, _fixes, _all = judge()
    assert "does not belong to" in bad["health.certificate"].observed


def test_no_certificate_at_all(stack, judge):
    stack.files[SSL + "/cert.pem"] = "this is no PEM"
    bad, _fixes, _all = judge()
    assert "has no certificate in PEM form" in bad["health.certificate"].observed


def test_the_examples_own_key_comes_back(stack, judge):
    """A new stack uses the example: a key that is missing beside its certificate is the example's."""
    for name in ("cert.pem", "key.pem"):
        stack.files[PATH + "/data/assets/ssl-example/" + name] = stack.files[SSL + "/" + name]
    del stack.files[SSL + "/key.pem"]
    _bad, fixes, _all = judge()
    assert [(entry["kind"], entry["path"], entry["mode"]) for entry in fixes] == [
        ("copy_file", SSL + "/key.pem", "0600")
    ]


# -- the machine -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gib", "total", "status"),
    [(0.4, 1, "fail"), (0.9, 100, "fail"), (1.9, 50, "warn"), (30, 4000, "")],
)
def test_a_full_disk(stack, judge, gib, total, status):
    stack.spaces["/var/lib/docker"] = dict(
        recorded_stack.SPACE, size=total << 30, available=int(gib * (1 << 30))
    )
    bad, _fixes, _all = judge()
    if not status:
        assert bad == {}
        return
    assert list(bad) == ["health.disk"]
    assert bad["health.disk"].status == status
    assert "/var/lib/docker" in bad["health.disk"].observed


@pytest.mark.parametrize(("left", "status"), [(40000, "warn"), (900, "fail")])
def test_no_inodes(stack, judge, left, status):
    stack.spaces["/"]["inodes_available"] = left
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.inodes"]
    assert bad["health.inodes"].status == status


def compiled(features):
    """The beginning of a file of rspamd's: its magic, and hyperscan's hs_platform_info."""
    return b"rshsre11" + struct.pack("<IIQQQ", 0, 0, features, 0, 0) + bytes(100)


def test_expressions_for_a_processor_with_more(stack, judge):
    stack.files[RSPAMD + "/a.hs"] = compiled(0x1C)
    stack.files[RSPAMD + "/b.hsmp"] = b"\xdb\xdb\xdb\xdb"
    stack.files[RSPAMD + "/b.hsmp.unser"] = b"x"
    bad, fixes, _all = judge()
    assert list(bad) == ["health.hyperscan"]
    assert bad["health.hyperscan"].status == "warn"
    assert bad["health.hyperscan"].observed == (
        "they use AVX512, AVX512VBMI, which this processor lacks"
    )
    assert fixes[0]["kind"] == "remove_files"
    assert fixes[0]["paths"] == [RSPAMD + name for name in ("/a.hs", "/b.hsmp", "/b.hsmp.unser")]
    assert fixes[0]["services"] == ["rspamd-mailcow"]


@pytest.mark.parametrize(("code", "services"), [(137, []), (132, ["rspamd-mailcow"])])
def test_rspamd_is_started_when_it_died_and_not_when_it_was_stopped(stack, judge, code, services):
    stack.files[RSPAMD + "/a.hs"] = compiled(0x1C)
    stack.state("rspamd-mailcow", Status="exited", ExitCode=code)
    _bad, fixes, _all = judge()
    assert [entry["services"] for entry in fixes] == [services]


def test_expressions_that_suit(stack, judge):
    stack.files[RSPAMD + "/a.hs"] = compiled(0x04)
    assert judge()[0] == {}


def test_rspamd_died_of_an_unknown_instruction(stack, judge):
    stack.files[RSPAMD + "/a.hs"] = compiled(0x04)
    stack.state("rspamd-mailcow", Status="restarting", ExitCode=132, restarts=9)
    bad, fixes, _all = judge()
    assert list(bad) == ["health.restarts", "health.hyperscan"]
    assert bad["health.hyperscan"].status == "fail"
    assert [entry["kind"] for entry in fixes] == ["remove_files"]
    # As the fix does: other files of that name may be of use.
    assert "rm -f *.hs *.hsmp *.hsmc *.hs.unser *.hsmp.unser *.hsmc.unser;" in fixes[0]["command"]


def test_rspamd_says_so(stack, judge):
    stack.files[RSPAMD + "/a.hs"] = compiled(0x04)
    stack.log(
        "rspamd-mailcow",
        "(main) cannot open hyperscan cache file a.hs: compiled for a different platform\n",
    )
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.hyperscan"]
    assert bad["health.hyperscan"].status == "warn"


@pytest.mark.parametrize(
    ("service", "line"),
    [
        ("rspamd-mailcow", "task_write_log: id: <SIGILL@example.net>, qid: <4Zk>, ip: 192.0.2.9"),
        ("postfix-mailcow", "4Zk: message-id=<no space left on device@example.net>"),
        (
            "postfix-mailcow",
            "4Zk: status=deferred (host a[192.0.2.9] said: 452 4.3.1 No space left on device)",
        ),
        (
            "postfix-mailcow",
            "4Zk: status=deferred (host a[192.0.2.9] refused to talk to me: 421 no space left on device)",
        ),
        ("postfix-mailcow", 'NOQUEUE: reject: RCPT from a: from=<"no space left on device"@b.c>'),
        ("postfix-mailcow", "warning: non-SMTP command from a[192.0.2.9]: no space left on device"),
        (
            "nginx-mailcow",
            '192.0.2.9 - - [21/Nov/2026:10:00:00 +0000] "no space left on device" 400 157 "-" "-"',
        ),
        ("dovecot-mailcow", "imap-login: Login failed: user=<inotify limit>, method=PLAIN"),
    ],
)
def test_what_strangers_say_brings_about_nothing(stack, judge, service, line):
    stack.files[RSPAMD + "/a.hs"] = compiled(0x04)
    stack.log(service, line + "\n")
    bad, fixes, _all = judge()
    assert (bad, fixes) == ({}, [])


def test_there_is_nothing_to_delete(stack, judge):
    stack.state("rspamd-mailcow", Status="restarting", ExitCode=132, restarts=9)
    bad, fixes, _all = judge()
    assert "no compiled expressions to delete" in bad["health.hyperscan"].observed
    assert fixes == []


def test_the_limits_of_inotify(stack, judge):
    stack.sysctls["fs/inotify/max_user_instances"] = "128"
    stack.log(
        "dovecot-mailcow",
        "imap(a@b): Warning: Inotify instance limit for user 5000 (UID vmail) exceeded, disabling. "
        "Increase /proc/sys/fs/inotify/max_user_instances\n",
    )
    bad, fixes, _all = judge()
    assert list(bad) == ["health.inotify"]
    assert [(entry["kind"], entry["name"], entry["value"]) for entry in fixes] == [
        ("sysctl", "fs.inotify.max_user_instances", "1024")
    ]


def test_low_limits_without_a_complaint_are_not_told(stack, judge):
    stack.sysctls["fs/inotify/max_user_instances"] = "128"
    assert judge()[0] == {}


@pytest.mark.parametrize(
    ("service", "line", "what"),
    [
        (
            "netfilter-mailcow",
            "Error in ip filter chain order, restarting container",
            "another prog",
        ),
        (
            "mysql-mailcow",
            "[ERROR] Aria recovery failed. Please run aria_chk",
            "cannot read its log",
        ),
        ("acme-mailcow", "Cannot match your IP 192.0.2.1 against hostname a", "no certificate"),
        ("redis-mailcow", "Can't save in background: fork: Cannot allocate memory", "cannot save"),
    ],
)
def test_complaints_in_logs(stack, judge, service, line, what):
    stack.log(service, "hello\n" + line + "\n")
    bad, _fixes, _all = judge()
    assert list(bad) == ["health.logs"]
    assert what in bad["health.logs"].observed
    assert line in bad["health.logs"].observed


def test_another_services_words_are_not_taken_for_complaints(stack, judge):
    stack.log("olefy-mailcow", "Error in ip filter chain order\n")
    assert judge()[0] == {}


# -- Mailu -----------------------------------------------------------------------------------------


@pytest.fixture
def mailu(stack, make_host, pair):
    """Return a function: TLS_FLAVOR -> findings that are not ok, and the fixes, of a stack Mailu."""
    folder = {"type": "bind", "source": "/mailu/certs", "target": "/certs"}
    services = {name: {"image": "x", "environment": {}} for name in ("front", "smtp", "resolver")}
    services["front"]["volumes"] = [folder]
    services["resolver"]["networks"] = {"default": {"ipv4_address": "192.168.203.254"}}
    template = json.dumps(stack.container("olefy-mailcow"))
    containers = []
    for name in services:
        container = json.loads(template)
        container["Id"] = "id-" + name
        container["Config"].update(Image="x", Env=[])
        container["Config"]["Labels"]["com.docker.compose.service"] = name
        containers.append(container)
    stack.record["containers"] = containers
    stack.record["config"] = {"name": "mailu", "services": services}

    def judge(flavor, files=None, links=None):
        certificate_pem, key_pem = pair(more=",DNS:b.example.test")
        words = "docker exec id-smtp sh -c " + health._CONNECT + " sh 192.168.203.254:53"
        recorded = {
            "now": stack.now,
            "commands": {
                recorded_stack.CONFIG: {"rc": 0, "stdout": json.dumps(stack.record["config"])},
                words: {"rc": 0, "stdout": "192.168.203.254:53 0\n"},
            },
            "filesystems": stack.spaces,
        }
        env = "TLS_FLAVOR={0}\nHOSTNAMES=mail1.example.test,b.example.test\n".format(flavor)
        host = make_host(
            {
                "/mailu/mailu.env": env,
                "/proc/sys/net/ipv4/ip_forward": "1",
                "/mailu/certs/cert.pem": certificate_pem,
                "/mailu/certs/key.pem": key_pem,
                **(files or {}),
            },
            recorded,
            links,
        )
        api = recorded_stack.RecordedApi(stack.record, stack.logs)
        seen = stack_health.look(host, stacks.get("mailu"), "/mailu", api=api)
        findings = look.all_of(health.LOOK, seen)
        bad = {item.id: item for item in findings if item.status not in ("ok", "skip")}
        return bad, health.fixes(seen, findings)

    return judge


@pytest.mark.parametrize("flavor", ["cert", "letsencrypt", ""])
def test_a_healthy_mailu(mailu, flavor):
    assert mailu(flavor) == ({}, [])


def test_mailus_own_certificate_is_not_looked_for(mailu):
    assert mailu("letsencrypt", {"/mailu/certs/cert.pem": ""}) == ({}, [])


def test_without_a_flavour_the_certificate_is_the_administrators(mailu):
    bad, _fixes = mailu("", {"/mailu/certs/cert.pem": ""})
    assert list(bad) == ["health.certificate_files"]


def test_each_name_of_mailu_counts(mailu, pair):
    files = dict(zip(("/mailu/certs/cert.pem", "/mailu/certs/key.pem"), pair()))
    bad, _fixes = mailu("mail", files)
    assert list(bad) == ["health.certificate"]
    assert "is not for b.example.test" in bad["health.certificate"].observed


def test_secrets_of_mailu_are_named_with_the_fix(mailu):
    env = "TLS_FLAVOR=cert\nHOSTNAMES=mail1.example.test\nAUTH_RATELIMIT=1\nDB_PW=x\n"
    bad, fixes = mailu("cert", {"/mailu/mailu.env": env})
    assert list(bad) == ["health.configuration"]
    assert {"DB_PW", "ROUNDCUBE_DB_PW", "SQLALCHEMY_DATABASE_URI"} <= set(fixes[0]["secret_keys"])


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker-compose.override.yaml"])
def test_an_old_key_that_the_compose_files_use_is_not_taken_out(mailu, name):
    env = "TLS_FLAVOR=cert\nHOSTNAMES=mail1.example.test\nROOT=/mailu\nVERSION=1\n"
    used = "      - ${ROOT:-/x}/mail:/mail\n    image: imap:$VERSION_OF_MINE\n"
    files = {"/mailu/mailu.env": env, "/mailu/" + name: used}
    bad, fixes = mailu("cert", files)
    assert bad["health.configuration"].fix == (
        "Edit /mailu/mailu.env: put its value in place of $ROOT in /mailu/{0}; then delete ROOT, "
        "VERSION.".format(name)
    )
    assert fixes == []


def test_a_compose_file_elsewhere_counts_too(stack, mailu):
    for container in stack.record["containers"]:
        container["Config"]["Labels"]["com.docker.compose.project.config_files"] = (
            "/mailu/docker-compose.yml,/srv/mail.compose"
        )
    env = "TLS_FLAVOR=cert\nHOSTNAMES=mail1.example.test\nVERSION=1\n"
    bad, fixes = mailu(
        "cert", {"/mailu/mailu.env": env, "/srv/mail.compose": "image: imap:$VERSION\n"}
    )
    assert "$VERSION in /srv/mail.compose" in bad["health.configuration"].fix
    assert fixes == []


def test_an_empty_certificate_of_mailu_has_no_example(mailu):
    bad, fixes = mailu("cert", {"/mailu/certs/cert.pem": ""})
    assert list(bad) == ["health.certificate_files"]
    assert fixes == []


def test_front_says_that_there_is_no_certificate(stack, mailu):
    stack.log("front", "Missing cert or key file, disabling TLS\n")
    # Its files are there again; front has seen that and does not say so.
    assert mailu("cert") == ({}, [])
    assert list(mailu("letsencrypt")[0]) == ["health.logs"]
