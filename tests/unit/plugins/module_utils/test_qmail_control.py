# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmail's control files, in trees that look like a host; signals are looked at in the scenario qmail."""

from __future__ import annotations

import json
import struct

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import cdb, qmail_control
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_control import ControlError

SHOWCTL = "/var/qmail/bin/qmail-showctl"
SHOW = "systemctl show -p MainPID -p Restart qmail-send.service"


class Qmail:
    """A tree with a qmail in it."""

    def __init__(self, root):
        self.root = root
        self.control = root / "var/qmail/control"
        self.bin = root / "var/qmail/bin"
        self.control.mkdir(parents=True)
        self.bin.mkdir()
        (root / "var/qmail/queue").mkdir()
        (self.bin / "qmail-send").write_bytes(b"\0control/locals\0control/virtualdomains\0")
        (self.bin / "qmail-remote").write_bytes(b"\x7fELF\0control/smtproutes\0control/helohost\0")
        self.write(me="mail.example.org\n", rcpthosts="example.org\n")

    @property
    def host(self):
        return Host(str(self.root))

    def write(self, **files):
        for name, text in files.items():
            (self.control / name).write_text(text)

    def read(self, name):
        return (self.control / name).read_text()

    def plan(self, files=None, absent=(), append=("badmailfrom",), **more):
        return qmail_control.plan(self.host, "/var/qmail", files or {}, absent, append, **more)

    def change(self, files=None, absent=(), **more):
        """Plan and carry out; a second plan finds nothing. Returns the names that changed."""
        planned = self.plan(files, absent, **more)
        qmail_control.carry_out(self.host, planned)
        assert not self.plan(files, absent, **more).changed
        return [path.rpartition("/")[2] for path in planned.files]

    def run(self, pid, cgroup="", name="qmail-send", cwd="/var/qmail/queue"):
        folder = self.root / "proc" / str(pid)
        folder.mkdir(parents=True)
        (folder / "comm").write_text(name + "\n")
        (folder / "cgroup").write_text(cgroup)
        (folder / "cwd").symlink_to(cwd)

    def supervise(self, folder, pid, size):
        place = self.root / folder / "supervise"
        place.mkdir(parents=True)
        (place / "status").write_bytes((bytes(12) + struct.pack("<I", pid)).ljust(size, b"\0"))

    def answers(self, **commands):
        (self.root / "host.json").write_text(json.dumps({"commands": commands}))


@pytest.fixture
def qmail(tmp_path):
    return Qmail(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "lines"),
    [
        ("me", "mail.example.org", ["mail.example.org"]),
        ("smtpgreeting", "mail.example.org ESMTP no spam", ["mail.example.org ESMTP no spam"]),
        ("defaulthost", "mail", ["mail"]),
        ("bouncefrom", "MAILER-DAEMON", ["MAILER-DAEMON"]),
        ("databytes", 0, ["0"]),
        ("databytes", "31457280", ["31457280"]),
        ("concurrencyremote", 255, ["255"]),
        ("locals", ["localhost", "mail.example.org"], ["localhost", "mail.example.org"]),
        ("rcpthosts", [], []),
        ("rcpthosts", ["example.org", ".example.org"], ["example.org", ".example.org"]),
        ("badmailfrom", ["@spam.example", "a.b+c@spam.example"], None),
        ("virtualdomains", ["example.org:example.org", "joe@a.example:joe", ".b.example:", ":all"],
         None),
        ("smtproutes", ["a.example:relay.example:26", ".b.example:[192.0.2.1]", ":smart.example",
                        "c.example:"], None),
        ("qmqpservers", ["192.0.2.1", "192.0.2.2"], None),
        ("outgoingip", "0.0.0.0", ["0.0.0.0"]),
        ("spfrules", "include:example.net", ["include:example.net"]),
        ("clientcipher", ["a", "b"], ["a", "b"]),
    ],
)  # fmt: skip
def test_values(name, value, lines):
    assert qmail_control.lines_of(name, value) == (value if lines is None else lines)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("me", "mail", "me: 'mail' cannot be used; allowed: a host name with at least one dot"),
        ("me", "mail.example.org\nx", "me: "),
        ("smtpgreeting", "220 mail.example.org", "allowed: a host name with a dot, and words"),
        ("helohost", ["a.b"], "no line of text"),
        ("bouncefrom", "a@b", "before the @"),
        ("databytes", "10M", "databytes is '10M'; allowed: a number without a unit.* 10M is 10"),
        ("databytes", -1, "databytes is -1"),
        ("databytes", True, "databytes is True"),
        ("badmailfrom", ["#joe@spam.example"], "badmailfrom: '#joe@spam.example' begins with #"),
        (
            "virtualdomains",
            ["#joe@a.example:joe"],
            "begins with #, so qmail takes it for a comment",
        ),
        ("taps", ["a", "#b"], "taps: .* begins with #"),
        ("queuelifetime", 0, "queuelifetime is 0; allowed: 1 to 2147483647"),
        ("concurrencylocal", 256, "concurrencylocal is 256; allowed: 0 to 255"),
        ("locals", "example.org", "locals is 'example.org'; allowed: a list"),
        ("locals", ["a.example", "A.example"], "two entries for 'a.example'"),
        ("locals", [".example.org"], "locals: '.example.org' cannot be used; allowed: a domain"),
        ("rcpthosts", [".org"], "allowed: a domain, or .example.org"),
        ("rcpthosts", ["*"], "allowed: a domain"),
        ("rcpthosts", ["example.org "], "allowed: a domain"),
        ("rcpthosts", ["# all"], "allowed: a domain"),
        ("badmailfrom", ["spam.example"], "allowed: user@example.org or @example.org"),
        ("virtualdomains", ["example.org"], "allowed: example.org:prefix"),
        ("virtualdomains", ["a.example:x", "A.example:y"], "qmail would take the last"),
        ("smtproutes", ["a.example:relay:70000"], "ports from 1 to 65535"),
        ("smtproutes", ["relay.example"], "allowed: example.org:relay"),
        ("qmqpservers", ["mail.example.org"], "allowed: an IPv4 address"),
        ("outgoingip", "2001:db8::1", "allowed: an IPv4 address"),
        ("outgoingip", "1.2.3", "allowed: an IPv4 address"),
        ("../me", "x", "'../me' is no control file"),
        ("morercpthosts.cdb", "x", "no control file to write"),
        ("servercert.pem", "x", "no control file to write"),
        ("spfrules", "x ", "allowed are lines of text"),
        ("spfrules", "", "allowed are lines of text"),
    ],
)
def test_values_that_are_refused(name, value, message):
    with pytest.raises(ControlError, match=message):
        qmail_control.lines_of(name, value)


def test_a_password_at_a_relay_is_in_no_message():
    with pytest.raises(ControlError) as error:
        qmail_control.lines_of("smtproutes", ["a.example:relay.example:587 user hunter2"])
    assert "hunter2" not in str(error.value) and "a.example:relay.example:587 ***" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authsenders", "hunter2 "),
        ("authsenders", {"a": "hunter2"}),
        ("authsenders", ["hunter2", "hunter2"]),
        ("authsenders", ["#hunter2"]),
        ("authsenders", [["hunter2"]]),
        ("smtproutes", "a.example:relay.example:587 user hunter2"),
        ("smtproutes", ["a.example:relay.example|user|hunter2"]),
        ("smtproutes", [":relay.example;587|user|hunter2"]),
        ("smtproutes", ["relay.example|user|hunter2"]),
        ("smtproutes", [{"a.example:relay.example": "user hunter2"}]),
        ("smtproutes", [["a.example:relay.example user hunter2"]]),
        ("smtproutes", ["a.example:relay.example:hunter2"]),
    ],
)
def test_what_may_be_a_password_is_in_no_message(name, value):
    with pytest.raises(ControlError, match="^" + name) as error:
        qmail_control.lines_of(name, value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (":relay|user|pass", ":relay ********"),
        ("a.example:relay;587|u|pass", "a.example:relay ********"),
        ("relay;587|u|pass", "********"),
        ("relay|u:pass", "********"),
        ("a.example:relay:587|u|pass", "a.example:relay:587 ********"),
        ("a.example:relay:587 u pass", "a.example:relay:587 ********"),
        ("a.example:relay:12pass", "a.example:relay ********"),
        ("# a.example:relay u pass", "# a.example:relay ********"),
        ("a.example:[192.0.2.1]:26", "a.example:[192.0.2.1]:26"),
        (":", ":"),
        ("# all of it", "# all of it"),
    ],
)
def test_routes_are_shown_without_passwords(line, shown):
    assert qmail_control.masked("smtproutes", line + "\n") == shown + "\n"


@pytest.mark.parametrize(
    ("name", "present", "wanted", "append", "text"),
    [
        ("me", None, ["a.b"], False, "a.b\n"),
        ("me", "a.b \t\nrest\n", ["a.b"], False, "a.b \t\nrest\n"),
        ("me", "# me\na.b\n", ["a.b"], False, "a.b\n"),
        ("databytes", "10M\n", ["10"], False, "10\n"),
        ("locals", None, [], False, ""),
        ("locals", "# c\n\nb.example\nA.example", ["a.example", "b.example"], False,
         "# c\n\nb.example\nA.example"),
        ("locals", "# c\na.example\nold.example\n", ["a.example", "new.example"], False,
         "# c\na.example\nnew.example\n"),
        ("locals", "a.example", ["a.example", "b.example"], False, "a.example\nb.example\n"),
        # What qmail does not read as it looks.
        ("locals", "a.example\r\n a.example\n", ["a.example"], False, "a.example\n"),
        ("badmailfrom", "@a.example\n", ["@b.example"], True, "@a.example\n@b.example\n"),
        ("badmailfrom", "@a.example\n@B.example\n", ["@b.example"], True,
         "@a.example\n@B.example\n"),
        ("badmailfrom", "@a.example\n", ["@b.example"], False, "@b.example\n"),
        ("virtualdomains", "a.example:old\nb.example:b\n", ["A.example:new"], True,
         "b.example:b\nA.example:new\n"),
        ("virtualdomains", "A.example:Joe\n", ["a.example:Joe"], False, "A.example:Joe\n"),
        ("qmqpservers", "# c\n192.0.2.2\n192.0.2.1\n", ["192.0.2.1", "192.0.2.2"], False,
         "# c\n192.0.2.1\n192.0.2.2\n"),
        ("locals", "b.example\na.example\n", ["a.example", "b.example"], False,
         "b.example\na.example\n"),
    ],
)  # fmt: skip
def test_merging(name, present, wanted, append, text):
    file = qmail_control.known(name)
    assert qmail_control.merge(name, file, present, wanted, append) == text
    assert qmail_control.merge(name, file, text, wanted, append) == text


def test_files_are_written_and_backed_up(qmail):
    qmail.write(locals="# mine\nold.example\n")
    (qmail.control / "locals").chmod(0o640)
    assert qmail.change({"locals": ["localhost"], "databytes": 5}) == ["locals", "databytes"]
    assert qmail.read("locals") == "# mine\nlocalhost\n" and qmail.read("databytes") == "5\n"
    assert (qmail.control / "locals").stat().st_mode & 0o777 == 0o640
    assert (qmail.control / "databytes").stat().st_mode & 0o777 == 0o644
    (backup,) = qmail.control.glob("locals.*~")
    assert backup.read_text() == "# mine\nold.example\n"


def test_nothing_is_written_by_a_plan(qmail):
    before = sorted(path.name for path in qmail.control.iterdir())
    planned = qmail.plan({"locals": ["localhost"]}, absent=["rcpthost"])
    shown = qmail_control.result(planned)
    assert shown["changed"] and shown["diff"][0]["after"] == "localhost\n"
    assert sorted(path.name for path in qmail.control.iterdir()) == before


def test_a_file_goes(qmail):
    qmail.write(databytes="5\n")
    planned = qmail.plan(absent=["databytes", "helohost"])
    shown = qmail_control.result(planned)
    assert shown["files"] == ["/var/qmail/control/databytes"]
    assert (shown["diff"][0]["before"], shown["diff"][0]["after"]) == ("5\n", "")
    assert qmail.change(absent=["databytes"]) == ["databytes"]
    assert not (qmail.control / "databytes").exists()
    assert [path.read_text() for path in qmail.control.glob("databytes.*~")] == ["5\n"]


@pytest.mark.parametrize("name", ["rcpthosts", "me"])
def test_what_may_not_be_missing(qmail, name):
    with pytest.raises(ControlError, match=f"absent: {name}"):
        qmail.plan(absent=[name])
    (qmail.control / name).unlink()
    with pytest.raises(ControlError, match=f"/var/qmail/control/{name} does not exist"):
        qmail.plan({"databytes": 5})
    value = ["example.org"] if name == "rcpthosts" else "mail.example.org"
    assert qmail.change({name: value}) == [name]


def test_an_empty_rcpthosts_is_nobody(qmail):
    (qmail.control / "rcpthosts").unlink()
    assert qmail.change({"rcpthosts": []}) == ["rcpthosts"]
    assert qmail.read("rcpthosts") == ""


@pytest.mark.parametrize(
    "files",
    [
        {"locals": ["a.example"], "virtualdomains": ["A.example:x"]},
        {"virtualdomains": ["old.example:x"]},
        {"locals": ["virtual.example"]},
    ],
)
def test_a_domain_is_local_or_virtual(qmail, files):
    qmail.write(locals="old.example\n", virtualdomains="virtual.example:x\n")
    with pytest.raises(ControlError, match="in locals and in virtualdomains"):
        qmail.plan(files, append=("locals", "virtualdomains"))


def test_without_locals_me_is_local(qmail):
    with pytest.raises(ControlError, match="mail.example.org: in locals and in virtualdomains"):
        qmail.plan({"virtualdomains": ["mail.example.org:x"]})
    assert qmail.change({"virtualdomains": ["example.org:x"]}) == ["virtualdomains"]


def test_named_twice(qmail):
    with pytest.raises(ControlError, match="databytes is in files and in absent"):
        qmail.plan({"databytes": 5}, absent=["databytes"])
    with pytest.raises(ControlError, match="append: me is no list"):
        qmail.plan({"databytes": 5}, append=["me"])


def test_where_no_qmail_is(qmail):
    with pytest.raises(ControlError, match="qmail_home is /opt/qmail, which holds no control/"):
        qmail_control.plan(qmail.host, "/opt/qmail", {})


def test_a_file_of_a_patch_needs_the_patch(qmail):
    with pytest.raises(ControlError, match="outgoingip: no program in /var/qmail/bin.*SNAT"):
        qmail.plan({"outgoingip": "192.0.2.1"})
    # Names that only look alike.
    (qmail.bin / "qmail-remote").write_bytes(b"\0control/outgoingips\0myoutgoingip\0")
    (qmail.bin / "qmail-showctl").write_bytes(b"\0outgoingip\0")
    with pytest.raises(ControlError, match="no program"):
        qmail.plan({"outgoingip": "192.0.2.1"})
    (qmail.bin / "qmail-remote").write_bytes(b"\0control/outgoingip\0")
    assert qmail.change({"outgoingip": "192.0.2.1"}) == ["outgoingip"]
    with pytest.raises(ControlError, match="^spfrules: no program"):
        qmail.plan({"spfrules": "x"})


def test_an_address_must_be_the_hosts(qmail):
    (qmail.bin / "qmail-remote").write_bytes(b"\0control/outgoingip\0")
    net = qmail.root / "proc/net"
    net.mkdir(parents=True)
    (net / "fib_trie").write_text(
        "Local:\n        |-- 192.0.2.1\n           /32 host LOCAL\n"
        "        |-- 192.0.2.255\n           /32 link BROADCAST\n"
    )
    with pytest.raises(
        ControlError, match="192.0.2.255, which is no address .* allowed: 192.0.2.1$"
    ):
        qmail.plan({"outgoingip": "192.0.2.255"})
    assert qmail.plan({"outgoingip": "192.0.2.1"}).changed
    assert qmail.plan({"outgoingip": "0.0.0.0"}).changed


def test_more_at_the_same_time_than_the_build_can(qmail):
    qmail.answers(**{SHOWCTL: {"stdout": "x: 1.\nsilent concurrency limit: 120.\n"}})
    with pytest.raises(ControlError, match="concurrencyremote is 121; allowed: 0 to 120"):
        qmail.plan({"concurrencyremote": 121})
    assert qmail.plan({"concurrencyremote": 120}).changed


@pytest.mark.parametrize(
    ("files", "action", "flag"),
    [
        ({"helohost": "a.example", "databytes": 5, "rcpthosts": []}, "none", ""),
        ({"locals": ["a.example"], "databytes": 5}, "hup", "-h"),
        ({"locals": ["a.example"], "queuelifetime": 5}, "restart", "-t"),
    ],
)
def test_the_least_that_is_needed(qmail, files, action, flag):
    qmail.run(70, "0::/system.slice/daemontools.service\n")
    qmail.supervise("etc/service/qmail-send", 70, 18)
    qmail.supervise("etc/service/other", 71, 18)
    planned = qmail.plan(files)
    command = f"svc {flag} /etc/service/qmail-send" if flag else ""
    shown = qmail_control.result(planned)
    assert (shown["action"], shown["command"]) == (action, command)
    assert shown["service"] == "daemontools"


def test_nobody_to_tell(qmail):
    planned = qmail.plan({"locals": ["a.example"]})
    assert (planned.action, planned.service.kind) == ("none", "")


@pytest.mark.parametrize(
    ("how", "hup", "restart"),
    [
        ("runit", "sv hup /service/send", "sv term /service/send"),
        ("systemd", "kill -HUP 70", "systemctl restart qmail-send.service"),
        ("init", "kill -HUP 70", "/etc/init.d/qmail restart"),
        ("process", "kill -HUP 70", None),
    ],
)
def test_who_keeps_it_running(qmail, how, hup, restart):
    qmail.run(12, name="qmail-lspawn")
    # In the unit of somebody else, such as svscan in a folder that is not known.
    qmail.run(70, "1:name=systemd:/system.slice/qmail-send.service\n")
    main = 70 if how == "systemd" else 60
    qmail.answers(**{SHOW: {"stdout": "MainPID={0}\nRestart=no\n".format(main)}})
    if how == "runit":
        qmail.supervise("service/send", 70, 20)
    if how == "init":
        (qmail.root / "etc/init.d").mkdir(parents=True)
        (qmail.root / "etc/init.d/qmail").touch()
    planned = qmail.plan({"locals": ["a.example"]})
    assert planned.service.kind == how
    assert " ".join(planned.service.command("hup")) == hup
    if restart:
        assert " ".join(planned.service.command("restart")) == restart
    else:
        with pytest.raises(
            ControlError, match="started anew for queuelifetime, and nothing is known"
        ):
            qmail.plan({"queuelifetime": 5})
        assert qmail.plan({"queuelifetime": 5}, activate=False).changed


def test_a_unit_that_is_always_started_anew_loses_no_delivery(qmail):
    qmail.run(70, "0::/system.slice/qmail-send.service\n")
    qmail.answers(**{SHOW: {"stdout": "MainPID=70\nRestart=always\n"}})
    service = qmail.plan({"queuelifetime": 5}).service
    assert " ".join(service.command("restart")) == "kill -TERM 70"
    assert " ".join(service.command("hup")) == "kill -HUP 70"
    again = ["systemctl reset-failed qmail-send.service", "systemctl start qmail-send.service"]
    for action in ("hup", "restart"):
        assert [" ".join(each) for each in service.again(action)] == again


def test_the_qmail_send_of_another_home_is_not_told(qmail):
    (qmail.root / "opt/qmail/queue").mkdir(parents=True)
    qmail.run(60, cwd="/opt/qmail/queue")
    planned = qmail.plan({"locals": ["a.example"]})
    assert (planned.action, planned.service.kind) == ("none", "")
    # A queue may well be a link to another disk.
    (qmail.root / "var/qmail/queue").rmdir()
    (qmail.root / "srv/queue").mkdir(parents=True)
    (qmail.root / "var/qmail/queue").symlink_to("/srv/queue")
    qmail.run(70, cwd="/srv/queue")
    assert qmail.plan({"locals": ["a.example"]}).service.pid == 70


def test_a_file_of_a_patch_tells_who_reads_it(qmail):
    qmail.run(70)
    (qmail.bin / "qmail-smtpd").write_bytes(b"\0control/taps\0control/maxrcpt\0")
    (qmail.bin / "qmail-rspawn").write_bytes(b"\0control/taps\0")
    assert qmail.plan({"maxrcpt": 5}).action == "none"
    assert qmail.plan({"taps": ["a"]}, activate=False).action == "restart"


def test_the_files_come_back_when_qmail_cannot_be_told(qmail):
    qmail.run(70)
    qmail.write(locals="old.example\n")
    qmail.answers(**{"kill -HUP 70": {"rc": 1, "stderr": "no such process\n"}})
    planned = qmail.plan({"locals": ["new.example"], "helohost": "a.example"}, absent=["databytes"])
    with pytest.raises(
        ControlError, match="kill -HUP 70: no such process.*files from before are back"
    ):
        qmail_control.carry_out(qmail.host, planned)
    assert qmail.read("locals") == "old.example\n"
    assert not (qmail.control / "helohost").exists()


def test_it_is_told(qmail):
    qmail.run(70)
    qmail.answers(**{"kill -HUP 70": {"rc": 0}})
    planned = qmail.plan({"locals": ["new.example"]})
    assert qmail_control.carry_out(qmail.host, planned) == []
    assert qmail.read("locals") == "new.example\n"
    # Told to do nothing, it does not.
    qmail.answers()
    assert qmail.plan({"locals": ["b.example"]}).action == "hup"
    qmail_control.carry_out(qmail.host, qmail.plan({"locals": ["b.example"]}), activate=False)
    assert qmail.read("locals") == "b.example\n"


def made_cdb(keys):
    """Return the bytes of a constant database with these keys."""
    body = b"".join(struct.pack("<II", len(key), 0) + key for key in keys)
    tables = [[] for _number in range(256)]
    place = 2048
    for key in keys:
        number = cdb.hash_of(key)
        tables[number & 255].append((number, place))
        place += 8 + len(key)
    head, tail = b"", b""
    for table in tables:
        head += struct.pack("<II", place + len(tail), len(table))
        tail += b"".join(struct.pack("<II", *slot) for slot in table)
    return head + body + tail


@pytest.fixture
def newmrh(qmail):
    """Return a function: script of qmail-newmrh -> plan of b.example alone, on this machine."""
    home = str(qmail.root / "var/qmail")
    (qmail.root / "good.cdb").write_bytes(made_cdb([b"b.example"]))

    def newmrh(script):
        program = qmail.bin / "qmail-newmrh"
        program.write_text("#!/bin/sh\ncd {0}/control\n{1}\n".format(home, script))
        program.chmod(0o755)
        return qmail_control.plan(Host(), home, {"morercpthosts": ["b.example"]})

    return newmrh


MAKE = "cp ../../../good.cdb morercpthosts.cdb"


def test_qmail_newmrh_is_called(qmail, newmrh):
    planned = newmrh(MAKE)
    assert planned.compile
    qmail_control.carry_out(Host(), planned)
    assert qmail.read("morercpthosts") == "b.example\n"
    assert not newmrh(MAKE).changed


@pytest.mark.parametrize("old", [None, made_cdb([b"a.example"])])
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (MAKE + "; echo disk full >&2; exit 111", "qmail-newmrh: disk full"),
        ("cp ../../../old.cdb morercpthosts.cdb", "qmail-newmrh ended well, and .* is not what"),
        (": > morercpthosts.cdb", "qmail-newmrh ended well"),
    ],
)
def test_qmail_newmrh_fails(qmail, newmrh, old, script, reason):
    qmail.write(morercpthosts="a.example\n")
    made = qmail.control / "morercpthosts.cdb"
    (qmail.root / "old.cdb").write_bytes(made_cdb([b"a.example"]))
    if old:
        made.write_bytes(old)
    with pytest.raises(ControlError, match=reason + "(?s:.*)files from before are back"):
        qmail_control.carry_out(Host(), newmrh(script))
    assert qmail.read("morercpthosts") == "a.example\n"
    assert (made.read_bytes() if made.exists() else None) == old


def test_the_database_comes_back_with_its_text(qmail, newmrh):
    """When qmail-newmrh did well, and qmail-send does not take another file over."""
    planned = newmrh(MAKE)
    nobody = qmail_control.Service("init", str(qmail.bin / "nothing"), 0)
    planned = planned._replace(service=nobody, action="restart")
    with pytest.raises(ControlError, match="files from before are back"):
        qmail_control.carry_out(Host(), planned)
    assert not (qmail.control / "morercpthosts").exists()
    assert not (qmail.control / "morercpthosts.cdb").exists()


def test_what_is_compiled(qmail):
    qmail.write(morercpthosts="# c\nA.example\n")
    planned = qmail.plan({"morercpthosts": ["a.example"]})
    assert planned.compile and not planned.writes
    assert planned.files == ["/var/qmail/control/morercpthosts.cdb"]
    (qmail.control / "morercpthosts.cdb").write_bytes(made_cdb([b"a.example"]))
    assert not qmail.plan({"morercpthosts": ["a.example"]}).changed
    assert qmail.plan({"morercpthosts": ["a.example", "b.example"]}).compile
    (qmail.control / "morercpthosts.cdb").write_bytes(b"torn")
    assert qmail.plan({"morercpthosts": ["a.example"]}).compile
    assert qmail.change(absent=["morercpthosts"]) == ["morercpthosts", "morercpthosts.cdb"]


def test_secrets_are_in_no_diff(qmail):
    (qmail.bin / "qmail-remote").write_bytes(b"\0control/relaylogin\0")
    qmail.write(
        smtproutes="a.example:relay.example:587 user hunter2\nb.example:r.example:u:hunter3\n",
        relaylogin="hunter4\n",
    )
    planned = qmail.plan(
        {"smtproutes": ["c.example:r.example:26"], "relaylogin": "hunter5"}, append=["smtproutes"]
    )
    shown = json.dumps(qmail_control.result(planned))
    assert "hunter" not in shown and "c.example:r.example:26" in shown
    assert "a.example:relay.example:587 ********" in shown
    qmail_control.carry_out(qmail.host, planned)
    assert "hunter2" in qmail.read("smtproutes")
    planned = qmail.plan(absent=["relaylogin"])
    assert "hunter" not in json.dumps(qmail_control.result(planned))
