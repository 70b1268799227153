# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, services
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError

DATA = stack.get("mailcow")
MAILCOW = need.from_stack(DATA)
BEHIND_PROXY = need.from_stack(
    DATA,
    config={
        "HTTP_PORT": "8080",
        "HTTP_BIND": "127.0.0.1",
        "HTTPS_PORT": "8443",
        "HTTPS_BIND": "127.0.0.1",
    },
)

RUNS = ["loaded", "active", "enabled"]
AT_BOOT = ["loaded", "inactive", "enabled"]
OFF = ["loaded", "inactive", "disabled"]
MASKED = ["masked", "inactive", "masked"]

CHECKS = {
    services.mail_servers: ("exim4.service", 25),
    services.mailbox_servers: ("dovecot.service", 143),
    services.web_servers: ("nginx.service", 80),
}


def listening(port, process="", unit="", pid=50):
    """Return the files that show a process on a port, and the links."""
    table = "sl local rem st ...\n0: 00000000:{0:04X} 0:0 0A 0 0 0 0 0 7 1\n".format(port)
    files = {"/proc/net/tcp": table}
    if not process:
        return files, {}
    base = "/proc/{0}/".format(pid)
    files[base + "comm"] = process + "\n"
    if unit:
        files[base + "cgroup"] = "0::/system.slice/" + unit + "\n"
    return files, {base + "fd/3": "socket:[7]"}


def single(findings):
    (found,) = findings
    assert found.required
    assert bool(found.fix) == (found.status != "ok")
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_none(check, make_host):
    found = single(check(make_host({}, {"units": {}}), MAILCOW))
    assert (found.status, found.observed) == ("ok", "none installed")


@pytest.mark.parametrize("check", CHECKS)
def test_off(check, make_host):
    unit = CHECKS[check][0]
    found = single(check(make_host({}, {"units": {unit: OFF}}), MAILCOW))
    assert (found.status, found.observed) == ("ok", unit + " is disabled")
    found = single(check(make_host({}, {"units": {unit: MASKED}}), MAILCOW))
    assert (found.status, found.observed) == ("ok", unit + " is masked")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_after_the_next_boot(check, state, make_host):
    unit = CHECKS[check][0]
    host = make_host({}, {"units": {unit: ["loaded", state, "enabled"]}})
    found = single(check(host, MAILCOW))
    assert found.status == "warn"
    assert found.observed == "{0} is {1}, and is started at the next boot".format(unit, state)
    assert "systemctl disable --now {0}; systemctl mask {0}".format(unit) in found.fix
    assert "system_conflicting_services: [{0}]".format(unit[: -len(".service")]) in found.fix


@pytest.mark.parametrize("check", CHECKS)
def test_holds_a_port(check, make_host):
    unit, port = CHECKS[check]
    files, links = listening(port, "worker", unit)
    found = single(check(make_host(files, {"units": {unit: RUNS}}, links), MAILCOW))
    assert found.status == "fail"
    assert found.observed == "{0} runs, and holds {1}".format(unit, port)


@pytest.mark.parametrize(
    ("process", "unit", "status"),
    [
        ("exim4", "", "fail"),
        ("other", "", "warn"),
        ("exim4", "docker-abc.scope", "warn"),
        ("master", "exim4@x.service", "fail"),
    ],
)
def test_whose_port_it_is(process, unit, status, make_host):
    files, links = listening(25, process, unit)
    host = make_host(files, {"units": {"exim4.service": RUNS}}, links)
    assert single(services.mail_servers(host, MAILCOW)).status == status


@pytest.mark.parametrize(
    ("check", "status"),
    [
        (services.mail_servers, "warn"),
        (services.mailbox_servers, "warn"),
        (services.web_servers, "ok"),
    ],
)
def test_runs_on_other_ports(check, status, make_host):
    unit = CHECKS[check][0]
    files, links = listening(10025, "worker", unit)
    found = single(check(make_host(files, {"units": {unit: RUNS}}, links), MAILCOW))
    assert found.status == status
    assert found.observed == unit + " runs, and holds none of the stack's ports"


@pytest.mark.parametrize(
    ("address", "status"), [("192.0.2.10:25", "warn"), ("127.0.0.1:25", "fail"), ("25", "fail")]
)
def test_the_stacks_address_counts(address, status, make_host):
    files, links = listening(25, "exim4", "exim4.service")
    files["/proc/net/tcp"] = files["/proc/net/tcp"].replace("00000000:", "0100007F:")
    host = make_host(files, {"units": {"exim4.service": RUNS}}, links)
    demands = need.from_stack(DATA, config={"SMTP_PORT": address})
    assert single(services.mail_servers(host, demands)).status == status


def test_a_holder_that_is_not_visible(make_host):
    files, links = listening(80)
    host = make_host(files, {"units": {"nginx.service": RUNS}}, links)
    found = single(services.web_servers(host, MAILCOW))
    assert (found.status, "80 is not visible" in found.observed) == ("unknown", True)


def test_each_service_has_its_finding(make_host):
    units = {"exim4.service": AT_BOOT, "postfix.service": AT_BOOT, "sendmail.service": MASKED}
    findings = services.mail_servers(make_host({}, {"units": units}), MAILCOW)
    assert [found.observed.split()[0] for found in findings] == ["exim4.service", "postfix.service"]


def test_a_queue_that_listens_nowhere(make_host):
    host = make_host({}, {"units": {"nullmailer.service": RUNS}})
    assert single(services.mail_servers(host, MAILCOW)).status == "ok"


def test_an_init_script(make_host):
    recorded = {"units": {"exim4.service": ["loaded", "inactive", "generated"]}}
    assert single(services.mail_servers(make_host({}, recorded), MAILCOW)).status == "ok"
    host = make_host({"/etc/rc2.d/S01exim4": ""}, recorded)
    assert single(services.mail_servers(host, MAILCOW)).status == "warn"


def test_a_web_server_that_has_the_web_ports_to_itself(make_host):
    host = make_host({}, {"units": {"nginx.service": RUNS}})
    assert single(services.web_servers(host, BEHIND_PROXY)).status == "skip"


def test_openrc(make_host):
    files = {
        "/run/openrc/softlevel": "default\n",
        "/etc/init.d/postfix": "",
        "/etc/runlevels/default/postfix": "",
    }
    found = single(services.mail_servers(make_host(files), MAILCOW))
    assert found.status == "warn"
    assert "rc-service postfix stop; rc-update del postfix" in found.fix


@pytest.mark.parametrize("check", CHECKS)
def test_no_service_manager(check, make_host):
    with pytest.raises(HostError):
        check(make_host(), MAILCOW)


def status_file(state):
    text = "Package: exim4-base\nStatus: {0}\nVersion: 4.96-15\n\n".format(state)
    return {"/var/lib/dpkg/status": text}


BOOKWORM = {"/etc/os-release": 'ID=debian\nVERSION_ID="12"\n'}


@pytest.mark.parametrize(
    ("files", "units", "status", "observed"),
    [
        (status_file("deinstall ok config-files"), {}, "ok", "not installed; before an upgrade"),
        ({"/var/lib/dpkg/status": ""}, {}, "ok", "not installed"),
        (status_file("install ok installed"), {"exim4.service": OFF}, "warn", "4.96-15 is inst"),
        (status_file("install ok installed"), {"exim4.service": RUNS}, "skip", "in use"),
        (status_file("install ok installed"), {"exim4.service": AT_BOOT}, "skip", "in use"),
        ({}, {}, "unknown", "/var/lib/dpkg/status"),
        ({"/etc/os-release": 'ID=debian\nVERSION_ID="13"\n'}, {}, "skip", "Debian 11 and 12"),
        ({"/etc/os-release": 'ID=ubuntu\nVERSION_ID="24.04"\n'}, {}, "skip", "Debian 11 and 12"),
    ],
)
def test_exim4_upgrade(files, units, status, observed, make_host):
    host = make_host(dict(BOOKWORM, **files), {"units": units})
    found = single(services.exim4_upgrade(host, MAILCOW))
    assert found.status == status
    assert observed in found.observed
    if status == "warn":
        assert "systemctl mask --now exim4.service" in found.fix


def test_exim4_upgrade_when_masked(make_host):
    links = {"/etc/systemd/system/exim4.service": "/dev/null"}
    files = dict(BOOKWORM, **status_file("install ok installed"))
    found = single(services.exim4_upgrade(make_host(files, {}, links), MAILCOW))
    assert (found.status, found.observed) == ("ok", "exim4.service is masked")


def test_exim4_upgrade_without_port_25(make_host):
    moved = MAILCOW._replace(
        ports=tuple(port for port in MAILCOW.ports if port.number not in (25, 465, 587))
    )
    assert single(services.exim4_upgrade(make_host(BOOKWORM), moved)).status == "skip"
    assert single(services.mail_servers(make_host(BOOKWORM), moved)).status == "skip"


PERIODIC = 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n'
DISTRIBUTION = """// comment "with quotes"
Unattended-Upgrade::Origins-Pattern {
        "origin=Debian,codename=${distro_codename},label=Debian-Security";
//      "origin=Docker,label=Docker CE";
        # "site=download.docker.com";
        /* "origin=*"; */
};
Unattended-Upgrade::Package-Blacklist {
    // "docker";
};
"""


def upgrades(make_host, *texts, programs=("dockerd", "unattended-upgrade"), **files):
    tree = {"/etc/os-release": 'ID=debian\nVERSION_ID="12"\n', "/var/lib/dpkg/status": ""}
    for number, text in enumerate((PERIODIC, *texts)):
        tree["/etc/apt/apt.conf.d/{0}more".format(20 + number)] = text
    tree.update({name.replace("__", "/"): text for name, text in files.items()})
    units = {"apt-daily-upgrade.timer": ["loaded", "active", "enabled"]}
    return make_host(tree, {"programs": list(programs), "units": units})


@pytest.mark.parametrize(
    "texts",
    [
        ('Unattended-Upgrade::Origins-Pattern { "origin=Docker,label=Docker CE"; };',),
        ('Unattended-Upgrade::Origins-Pattern:: "o=Docker";',),
        ('Unattended-Upgrade { Origins-Pattern { "site=download.docker.com"; }; };',),
        ('Unattended-Upgrade::Allowed-Origins { "Docker:${distro_codename}"; };',),
        ('Unattended-Upgrade::Allowed-Origins { "Debian:stable"; "*:*"; };',),
        ('Unattended-Upgrade::Origins-Pattern { "origin=*"; };',),
        (
            'Unattended-Upgrade::Package-Blacklist { "docker"; };',
            "#clear Unattended-Upgrade::Package-Blacklist;",
            'Unattended-Upgrade::Origins-Pattern { "origin=Docker"; };',
        ),
    ],
)
def test_upgrades_of_the_engine(texts, make_host):
    found = single(services.automatic_upgrades(upgrades(make_host, *texts), MAILCOW))
    assert found.status == "warn"
    assert found.observed.startswith("unattended-upgrades upgrades the engine: it is told to by")
    assert "Package-Blacklist" in found.fix and '"live-restore": true' in found.fix


@pytest.mark.parametrize(
    "texts",
    [
        (DISTRIBUTION,),
        ('Unattended-Upgrade::Allowed-Origins { "${distro_id}:${distro_codename}-security"; };',),
        (
            'Unattended-Upgrade::Origins-Pattern { "origin=Docker"; };',
            'Unattended-Upgrade::Package-Blacklist { "docker"; "containerd"; };',
        ),
        (
            'Unattended-Upgrade::Origins-Pattern { "origin=Docker"; };',
            "#clear Unattended-Upgrade::Origins-Pattern;",
        ),
    ],
)
def test_upgrades_of_the_system(texts, make_host):
    found = single(services.automatic_upgrades(upgrades(make_host, *texts), MAILCOW))
    assert (found.status, found.observed) == (
        "ok",
        "unattended-upgrades leaves the engine alone",
    )


def test_upgrades_of_the_distributions_engine(make_host):
    text = "Package: docker.io\nStatus: install ok installed\nVersion: 20.10\n\n"
    host = upgrades(make_host, DISTRIBUTION, __var__lib__dpkg__status=text)
    found = single(services.automatic_upgrades(host, MAILCOW))
    assert (found.status, "docker.io" in found.observed) == ("warn", True)


DOCKER_ORIGIN = 'Unattended-Upgrade::Origins-Pattern { "origin=Docker"; };'


@pytest.mark.parametrize(("value", "status"), [(True, "ok"), (False, "warn"), ("true", "warn")])
def test_upgrades_with_live_restore(value, status, make_host):
    files = {"__etc__docker__daemon.json": json.dumps({"live-restore": value})}
    host = upgrades(make_host, DOCKER_ORIGIN, **files)
    assert single(services.automatic_upgrades(host, MAILCOW)).status == status


@pytest.mark.parametrize("name", ["__etc__docker__daemon.json", "__etc__docker__daemon.json__x"])
def test_upgrades_with_a_configuration_that_is_not_understood(name, make_host):
    host = upgrades(make_host, DOCKER_ORIGIN, **{name: "{"})
    with pytest.raises(HostError, match="daemon.json"):
        services.automatic_upgrades(host, MAILCOW)


def test_a_backup_of_a_setting_is_not_read(make_host):
    files = {"__etc__apt__apt.conf.d__50x.dpkg-old": DOCKER_ORIGIN}
    host = upgrades(make_host, DISTRIBUTION, **files)
    assert single(services.automatic_upgrades(host, MAILCOW)).status == "ok"


@pytest.mark.parametrize(
    "text",
    ['APT::Periodic::Unattended-Upgrade "0";', 'APT { Periodic { Unattended-Upgrade "0"; }; };'],
)
def test_upgrades_that_are_off(text, make_host):
    host = upgrades(make_host, DOCKER_ORIGIN, text)
    assert single(services.automatic_upgrades(host, MAILCOW)).status == "skip"


def test_upgrades_that_cannot_be(make_host):
    host = upgrades(make_host, DOCKER_ORIGIN, programs=["dockerd"])
    found = single(services.automatic_upgrades(host, MAILCOW))
    assert (found.status, found.observed) == ("skip", "no automatic upgrades")


def test_upgrades_before_there_is_an_engine(make_host):
    host = upgrades(make_host, DOCKER_ORIGIN, programs=["unattended-upgrade"])
    found = single(services.automatic_upgrades(host, MAILCOW))
    assert (found.status, found.observed) == ("skip", "no Docker engine yet")


REPOSITORY = "[docker-ce-stable]\nbaseurl=https://download.docker.com/linux/rhel\nenabled=1\n"
TIMER = {"dnf-automatic.timer": RUNS}


@pytest.mark.parametrize(
    ("units", "automatic", "general", "repository", "status"),
    [
        ({}, "", "", REPOSITORY, "skip"),
        (TIMER, "[commands]\napply_updates = no\n", "", REPOSITORY, "skip"),
        (TIMER, "", "", REPOSITORY, "skip"),
        (TIMER, "[commands]\napply_updates = yes\n", "", REPOSITORY, "warn"),
        ({"dnf-automatic-install.timer": RUNS}, "", "", REPOSITORY, "warn"),
        (TIMER, "[commands]\napply_updates = yes\n", "exclude=docker*\n", REPOSITORY, "ok"),
        (TIMER, "apply_updates = yes\nexcludepkgs = a, docker-ce\n", "", REPOSITORY, "ok"),
        (TIMER, "apply_updates = yes\n#exclude=docker*\n", "", REPOSITORY, "warn"),
        (TIMER, "apply_updates = yes\n", ";exclude=docker*\n", REPOSITORY, "warn"),
        (TIMER, "apply_updates = yes\n", "", REPOSITORY.replace("=1", "=0"), "ok"),
        (TIMER, "apply_updates = yes\n", "", "", "ok"),
    ],
)
def test_upgrades_by_dnf(units, automatic, general, repository, status, make_host):
    files = {
        "/etc/os-release": 'ID=almalinux\nVERSION_ID="9.4"\n',
        "/etc/dnf/automatic.conf": automatic,
        "/etc/dnf/dnf.conf": general,
        "/etc/yum.repos.d/docker-ce.repo": repository,
    }
    host = make_host(files, {"programs": ["dockerd"], "units": units})
    found = single(services.automatic_upgrades(host, MAILCOW))
    assert found.status == status
    if status == "warn":
        assert "exclude=docker*" in found.fix
