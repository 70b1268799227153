# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor mends: announced, done once, and then nothing is left to do."""

from __future__ import annotations

import os

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import env_document, stack_fix
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack_fix import StackFixError

ROOT = "/opt/mailcow-dockerized"
SSL = ROOT + "/data/assets/ssl"
LIVE = "/etc/letsencrypt/archive/mail.example.org"
VOLUME = "/var/lib/docker/volumes/rspamd/_data"
CONF = ROOT + "/mailcow.conf"
UP = "up --detach --no-deps --force-recreate --quiet-pull"
RENEW = "up --detach --no-deps --quiet-pull"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nthe certificate\n-----END CERTIFICATE-----\n"
KEY = CERTIFICATE.replace("CERTIFICATE", "EC PRIVATE KEY")
PROJECT = "mailcowdockerized"

LINK = {
    "finding": "health.certificate_files",
    "kind": "copy_link",
    "path": SSL + "/cert.pem",
    "target": LIVE + "/fullchain1.pem",
    "mode": "0644",
    "services": ["dovecot-mailcow"],
}
EXAMPLE = dict(LINK, kind="copy_file", path=SSL + "/dhparams.pem", target=ROOT + "/dh.pem")
HYPERSCAN = {"kind": "remove_files", "paths": [VOLUME + "/a.hs"], "services": ["rspamd-mailcow"]}
FORWARD = {"kind": "sysctl", "name": "net.ipv4.ip_forward", "value": "1"}
KEYS = {
    "kind": "env_file",
    "path": CONF,
    "absent": ["SOLR_HEAP"],
    "mode": "0600",
    "secret_keys": ["ADMIN_WORD"],
    "services": ["acme-mailcow", "dovecot-mailcow"],
}
RECREATE = {
    "kind": "recreate",
    "services": ["dovecot-mailcow", "nginx-mailcow"],
    "project": PROJECT,
}
EVERYTHING = [LINK, EXAMPLE, HYPERSCAN, FORWARD, KEYS, RECREATE]


@pytest.fixture
def host(make_host, tmp_path):
    """Return a host on which everything is wrong, and Docker does as it is told."""
    found = make_host(
        {
            LIVE + "/fullchain1.pem": CERTIFICATE,
            ROOT + "/dh.pem": CERTIFICATE.replace("CERTIFICATE", "DH PARAMETERS"),
            VOLUME + "/a.hs": "old",
            VOLUME + "/keep.map": "map",
            "/proc/sys/net/ipv4/ip_forward": "0\n",
            CONF: "SOLR_HEAP=1024\nDBPASS=very-secret-1234\nTZ=UTC\nTZ=Europe/Berlin\n",
        },
        {
            "commands": {
                "docker compose --project-name mailcowdockerized " + words: {"rc": 0}
                for words in (
                    UP + " dovecot-mailcow nginx-mailcow",
                    "restart rspamd-mailcow",
                    RENEW + " acme-mailcow dovecot-mailcow",
                )
            }
        },
    )
    (tmp_path / SSL[1:]).mkdir(parents=True)
    (tmp_path / SSL[1:] / "cert.pem").symlink_to("../../../../../etc/letsencrypt/live/x.pem")
    return found


def apply(host, planned):
    return stack_fix.apply(host, planned, ROOT)


def test_everything_is_mended_once(host, tmp_path):
    planned = stack_fix.plan(host, EVERYTHING)
    assert planned.changed and planned.fixes == EVERYTHING
    assert (planned.restart, planned.recreate) == (["rspamd-mailcow"], RECREATE["services"])
    copies = apply(host, planned)
    cert = tmp_path / SSL[1:] / "cert.pem"
    assert not cert.is_symlink() and cert.read_text() == CERTIFICATE
    assert cert.stat().st_mode & 0o777 == 0o644
    assert "DH PARAMETERS" in (tmp_path / SSL[1:] / "dhparams.pem").read_text()
    assert sorted(os.listdir(tmp_path / VOLUME[1:])) == ["keep.map"]
    assert (tmp_path / "proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert "net.ipv4.ip_forward = 1" in (tmp_path / stack_fix.SYSCTL_PATH[1:]).read_text()
    assert (tmp_path / CONF[1:]).read_text() == "DBPASS=very-secret-1234\nTZ=Europe/Berlin\n"
    assert [os.path.basename(path).split(".2")[0] for path in copies] == ["mailcow.conf"]
    again = stack_fix.plan(host, EVERYTHING[:-1])
    assert not again.changed and stack_fix.diff(again) == []


def test_a_plan_changes_nothing_and_shows_no_secret(host, tmp_path):
    def state():
        return {
            str(path): os.readlink(path) if path.is_symlink() else path.read_bytes()
            for path in sorted(tmp_path.rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    before = state()
    shown = str(stack_fix.diff(stack_fix.plan(host, EVERYTHING)))
    assert state() == before
    assert "very-secret" not in shown and "the certificate" not in shown
    for text in (SSL + "/cert.pem", LIVE, "a.hs", "ip_forward = 1", "nginx-mailcow", "SOLR_HEAP"):
        assert text in shown


def test_parameters_that_were_set_before_keep_their_lines(host, tmp_path):
    own = tmp_path / stack_fix.SYSCTL_PATH[1:]
    own.parent.mkdir(parents=True)
    own.write_text("fs.inotify.max_user_instances = 1024\n")
    watched = tmp_path / "proc/sys/fs/inotify/max_user_instances"
    watched.parent.mkdir(parents=True)
    watched.write_text("1024\n")
    apply(host, stack_fix.plan(host, [FORWARD]))
    assert "fs.inotify.max_user_instances = 1024" in own.read_text()
    assert "net.ipv4.ip_forward = 1" in own.read_text()


@pytest.mark.parametrize(
    ("fix", "text"),
    [
        ({"kind": "reinstall"}, "kind is 'reinstall'; allowed: copy_file, "),
        ({"kind": "recreate"}, "recreate lacks services"),
        (dict(HYPERSCAN, paths=["a.hs"]), "'a.hs'; allowed: an absolute path"),
        (dict(LINK, target=LIVE + "/none.pem"), "none.pem is empty, or cannot be read"),
        (dict(LINK, target=CONF), "mailcow.conf is not in PEM form"),
        (dict(LINK, mode=0o644), "mode is 420; allowed: three octal digits in quotes"),
        (dict(LINK, mode="rw-r--r--"), "mode is 'rw-r--r--'; allowed: three octal digits"),
        (dict(RECREATE, project="other"), "projects mailcowdockerized, other; allowed: one"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(host, tmp_path, fix, text):
    with pytest.raises(StackFixError, match=text):
        stack_fix.plan(host, [dict(KEYS, project=PROJECT), fix])
    assert "SOLR_HEAP" in (tmp_path / CONF[1:]).read_text()


def test_what_docker_says_is_told(host):
    planned = stack_fix.plan(host, [dict(RECREATE, services=["sogo-mailcow"])])
    with pytest.raises(StackFixError, match="recreate --quiet-pull sogo-mailcow: .*not found"):
        apply(host, planned)


def test_names_of_secrets_come_with_the_fix(host, tmp_path):
    (tmp_path / CONF[1:]).write_text(
        "SOLR_HEAP=1\nDB_PW=first-hidden-1\nADMIN_WORD=second-hidden-2\n"
        "SQLALCHEMY_DATABASE_URI=mysql://u:third-hidden-3@db/mailu\n"
        "WATCHDOG_NOTIFY_WEBHOOK=https://example.org/fourth-hidden-4\n"
    )
    planned = stack_fix.plan(host, [KEYS])
    assert "hidden" not in str(stack_fix.diff(planned))
    assert planned.variables[0][1].known_secrets() == {"second-hidden-2"}


def test_a_file_that_is_not_utf8_is_left_alone(host, tmp_path):
    before = b"SOLR_HEAP=1\nDBPASS=p\xe4ssword\n"
    (tmp_path / CONF[1:]).write_bytes(before)
    with pytest.raises(env_document.EnvError, match=CONF + " is not UTF-8; change its lines"):
        stack_fix.plan(host, [KEYS])
    assert (tmp_path / CONF[1:]).read_bytes() == before


def test_a_key_is_readable_for_nobody_else_whatever_is_asked(host, tmp_path):
    (tmp_path / LIVE[1:] / "fullchain1.pem").write_text(CERTIFICATE + KEY)
    stack_fix.apply(host, stack_fix.plan(host, [LINK])._replace(restart=[]), ROOT)
    assert (tmp_path / SSL[1:] / "cert.pem").stat().st_mode & 0o777 == 0o600


def test_the_projects_name_is_that_of_the_fixes_and_compose_finds_it_otherwise(host):
    assert stack_fix.plan(host, [KEYS, RECREATE]).project == PROJECT
    planned = stack_fix.plan(host, [KEYS])
    with pytest.raises(StackFixError, match="^docker compose " + RENEW + " acme-mailcow dovecot"):
        apply(host, planned)


def test_without_running_services_nothing_is_started(host):
    # No command is recorded for it, and one that is not would be an error.
    apply(host, stack_fix.plan(host, [dict(KEYS, services=[])]))


@pytest.mark.parametrize(("now", "changed"), [("1023", True), ("1024", False), ("8192", False)])
def test_a_parameter_that_is_higher_is_left_alone(host, tmp_path, now, changed):
    watched = tmp_path / "proc/sys/fs/inotify/max_user_instances"
    watched.parent.mkdir(parents=True)
    watched.write_text(now + "\n")
    fix = {"kind": "sysctl", "name": "fs.inotify.max_user_instances", "value": "1024"}
    planned = stack_fix.plan(host, [fix])
    assert planned.changed is changed
    assert bool(stack_fix.diff(planned)) is changed


def test_a_line_of_before_is_not_lowered(host, tmp_path):
    own = tmp_path / stack_fix.SYSCTL_PATH[1:]
    own.parent.mkdir(parents=True)
    own.write_text("fs.inotify.max_user_instances = 4096\n")
    watched = tmp_path / "proc/sys/fs/inotify/max_user_instances"
    watched.parent.mkdir(parents=True)
    watched.write_text("128\n")
    fix = {"kind": "sysctl", "name": "fs.inotify.max_user_instances", "value": "1024"}
    apply(host, stack_fix.plan(host, [fix]))
    assert "fs.inotify.max_user_instances = 4096" in own.read_text()


@pytest.mark.parametrize(("patience", "runs"), [(60, 3), (-1, 1)])
def test_a_service_that_is_not_well_yet_is_waited_for(host, monkeypatch, patience, runs):
    monkeypatch.setattr(stack_fix, "_PATIENCE", patience)
    monkeypatch.setattr(stack_fix, "_PAUSE", 0)
    done, run = [], host.run

    def running(argv, **options):
        done.append(argv)
        if argv[:2] == ["docker", "compose"] and len(done) < 3:
            said = "Container unbound-1  Error\ndependency failed to start: container unbound-1 is unhealthy"
            return run(argv, **options)._replace(rc=1, stderr=said)
        return run(argv, **options)

    monkeypatch.setattr(host, "run", running)
    planned = stack_fix.plan(host, [RECREATE])
    done.clear()
    if runs == 1:
        with pytest.raises(StackFixError, match="unbound-1 is unhealthy"):
            stack_fix.apply(host, planned, ROOT)
    else:
        stack_fix.apply(host, planned, ROOT)
    assert len(done) == runs
