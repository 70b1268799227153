# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import need, security

MAILCOW = need.from_stack(stack.get("mailcow"))

ENFORCE = "/sys/fs/selinux/enforce"
POLICY = "/usr/share/selinux/packages/container.pp.bz2"
MODULE = "/var/lib/selinux/targeted/active/modules/200/container/cil"
DAEMON = "/etc/docker/daemon.json"
LABELLED = '{"selinux-enabled": true}'


def single(findings):
    (found,) = findings
    assert found.required
    assert bool(found.fix) == (found.status != "ok")
    return found


@pytest.mark.parametrize(
    ("files", "status", "observed"),
    [
        ({}, "skip", "no SELinux"),
        ({ENFORCE: "0"}, "ok", "permissive"),
        ({ENFORCE + "/x": ""}, "unknown", "cannot read"),
        ({ENFORCE: "1", POLICY: "", DAEMON: LABELLED}, "ok", "labelled"),
        ({ENFORCE: "1", MODULE: "", DAEMON: LABELLED}, "ok", "labelled"),
        ({ENFORCE: "1", DAEMON: LABELLED}, "fail", "without a policy"),
        ({ENFORCE: "1", POLICY: "", DAEMON: "{}"}, "warn", "does not label"),
        ({ENFORCE: "1", POLICY: "", DAEMON: '{"selinux-enabled": "true"}'}, "warn", "not label"),
        ({ENFORCE: "1", POLICY: "", DAEMON: "[]"}, "warn", "does not label"),
        ({ENFORCE: "1", POLICY: ""}, "warn", "does not label"),
        ({ENFORCE: "1", POLICY: "", DAEMON: "{"}, "unknown", "is not valid JSON"),
        ({ENFORCE: "1", POLICY: "", DAEMON + "/x": ""}, "unknown", "cannot read"),
    ],
)
def test_selinux(files, status, observed, make_host):
    found = single(security.selinux(make_host(files, {"programs": ["dockerd"]}), MAILCOW))
    assert found.status == status
    assert observed in found.observed


def test_selinux_before_there_is_an_engine(make_host):
    found = single(security.selinux(make_host({ENFORCE: "1"}), MAILCOW))
    assert (found.status, found.observed) == ("skip", "enforcing; no Docker engine yet")


APPARMOR = "/sys/module/apparmor/parameters/enabled"


@pytest.mark.parametrize(
    ("files", "programs", "status", "observed"),
    [
        ({}, [], "skip", "the kernel has no AppArmor"),
        ({APPARMOR: "N\n"}, [], "ok", "switched off"),
        ({APPARMOR: "Y\n"}, ["apparmor_parser"], "ok", "on, with apparmor_parser"),
        ({APPARMOR: "Y\n"}, [], "warn", "there is no apparmor_parser"),
        ({APPARMOR + "/x": ""}, [], "unknown", "cannot read"),
    ],
)
def test_apparmor(files, programs, status, observed, make_host):
    found = single(security.apparmor(make_host(files, {"programs": programs}), MAILCOW))
    assert found.status == status
    assert observed in found.observed
    if status == "warn":
        assert "apt-get install apparmor" in found.fix


def process(mask):
    return {"/proc/self/status": "Name:\tpython3\nUmask:\t{0}\n".format(mask)}


PAM = {"/etc/pam.d/common-session": "session optional\tpam_umask.so\n"}


@pytest.mark.parametrize(
    ("files", "observed"),
    [
        (process("0022"), "022"),
        (process("0002"), "002"),
        (dict(process("0022"), **{"/etc/login.defs": "UMASK\t\t027\n"}), "022"),
        (dict(process("0022"), **PAM, **{"/etc/login.defs": "#UMASK 077\nUMASK 022\n"}), "022"),
        (dict(PAM, **{"/etc/login.defs": "UMASK 022\n"}), "022"),
        (dict(process("0022"), **{"/root/.bashrc": "# umask 077\nmy-umask 077\n"}), "022"),
        (
            dict(
                process("0022"),
                **{"/etc/profile": "if x; then\n    umask 002\nelse\n    umask 022\nfi\n"},
            ),
            "022",
        ),
        (
            dict(
                process("0022"),
                **{
                    "/etc/pam.d/sshd": "# session optional pam_umask.so umask=077\n",
                    "/etc/login.defs": "UMASK 077\n",
                },
            ),
            "022",
        ),
    ],
)
def test_umask(files, observed, make_host):
    found = single(security.umask(make_host(files), MAILCOW))
    assert (found.status, found.observed) == ("ok", observed)


@pytest.mark.parametrize(
    ("files", "observed"),
    [
        (process("0077"), "077 (this process)"),
        (process("0027"), "027 (this process)"),
        (process("0000"), "000 (this process)"),
        (dict(process("0022"), **PAM, **{"/etc/login.defs": "UMASK 027\n"}), "027 (/etc/login.d"),
        (
            dict(process("0022"), **{"/etc/pam.d/x": "session optional pam_umask.so umask=0077"}),
            "077 (/etc/pam.d/x)",
        ),
        (dict(process("0022"), **{"/root/.bashrc": "umask 077\n"}), "077 (/root/.bashrc)"),
        (dict(process("0022"), **{"/etc/profile.d/a.sh": "\tumask 0027\n"}), "027 (/etc/prof"),
        (dict(process("0022"), **{"/etc/profile": "[ x ] && umask 077\n"}), "077 (/etc/profile)"),
        (dict(process("0022"), **{"/root/.profile": "umask 0\n"}), "000 (/root/.profile)"),
    ],
)
def test_a_umask_that_closes_or_opens_too_much(files, observed, make_host):
    found = single(security.umask(make_host(files), MAILCOW))
    assert found.status == "warn"
    assert observed in found.observed
    assert "umask 0022" in found.fix


def test_umask_that_is_not_told(make_host):
    assert single(security.umask(make_host(), MAILCOW)).status == "unknown"
