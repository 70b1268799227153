# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Postfix's parameters and services as values; its own programs are asked in the scenario postfix."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import postconf
from ansible_collections.postmaster.mailhost.plugins.module_utils.file_write import Change
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.postconf import PostconfError

# What postconf 3.10 says of three services.
FIELDS = """\
submission/inet/service = submission
submission/inet/type = inet
submission/inet/private = n
submission/inet/unprivileged = -
submission/inet/chroot = y
submission/inet/wakeup = -
submission/inet/process_limit = -
submission/inet/command = smtpd -o smtpd_tls_security_level=encrypt -o { mynetworks = 192.0.2.0/24 ::1 }
tlsmgr/unix/service = tlsmgr
tlsmgr/unix/type = unix
tlsmgr/unix/private = -
tlsmgr/unix/unprivileged = -
tlsmgr/unix/chroot = y
tlsmgr/unix/wakeup = 1000?
tlsmgr/unix/process_limit = 1
tlsmgr/unix/command = tlsmgr
maildrop/unix/service = maildrop
maildrop/unix/type = unix
maildrop/unix/private = -
maildrop/unix/unprivileged = n
maildrop/unix/chroot = n
maildrop/unix/wakeup = -
maildrop/unix/process_limit = -
maildrop/unix/command = pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
"""
OPTIONS = """\
submission/inet/smtpd_tls_security_level = encrypt
submission/inet/mynetworks = 192.0.2.0/24 ::1
"""

# What stands in for postconf: values of main.cf and of the two services that the tests need.
POSTCONF = r"""#!{python}
import sys
words = sys.argv[3:]
main, master = sys.argv[2] + "/main.cf", sys.argv[2] + "/master.cf"
values = dict(line.strip().split(" = ", 1) for line in open(main))
entries = [line.split() for line in open(master)]
if words[0] == "-M" and words[1:2] == ["-X"]:
    entries = [entry for entry in entries if entry[0] + "/" + entry[1] != words[2]]
    open(master, "w").writelines(" ".join(entry) + "\n" for entry in entries)
elif words[0] in ("-e", "-X"):
    for word in words[1:]:
        name, _mark, value = word.partition(" = ")
        if name == "relayhost" and value == "[":
            sys.exit("postconf: fatal: " + main + ", line 1: bad string")
        values.pop(name, None)
        if words[0] == "-e":
            values[name] = value
    open(main, "w").writelines("%s = %s\n" % pair for pair in values.items())
elif words[0] == "-F":
    for entry in entries:
        names = "service type private unprivileged chroot wakeup process_limit".split()
        for name, value in zip(names + ["command"], entry[:7] + [" ".join(entry[7:])]):
            print("%s/%s/%s = %s" % (entry[0], entry[1], name, value))
elif words[0] == "-P":
    for entry in entries:
        for word in entry:
            if "=" in word:
                print("%s/%s/%s = %s" % (entry[0], entry[1], *word.split("=", 1)))
elif words[0] == "-x" or not words[0].startswith("-"):
    for name in words:
        if name in values:
            print("%s = %s" % (name, values[name]))
else:
    print("\n".join("%s = %s" % pair for pair in values.items()))
"""
# And for postfix: its check makes what is missing in the queue, and removes what is temporary.
POSTFIX = """#!{python}
import os, sys
if sys.argv[3] == "status":
    sys.exit(1)
values = dict(line.strip().split(" = ", 1) for line in open(sys.argv[2] + "/main.cf"))
queue, data = values["queue_directory"], values["data_directory"]
mode = "%o" % (os.stat(queue).st_mode & 0o777)
print(sys.argv[2], queue, mode, "%o" % (os.stat(data).st_mode & 0o777), file=open("{log}", "a"))
os.makedirs(queue + "/deferred", exist_ok=True)
for name in os.listdir(queue):
    if name.startswith("tmp."):
        os.remove(queue + "/" + name)
if values.get("relayhost") == "bad":
    sys.exit("postfix: fatal: " + sys.argv[2] + "/main.cf is bad for " + queue + " and " + data)
"""


@pytest.fixture
def postfix(tmp_path, monkeypatch):
    """Return a function: further lines of main.cf, lines of master.cf -> its configuration."""
    for name, text in (("postconf", POSTCONF), ("postfix", POSTFIX)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        text = text.replace("{python}", sys.executable).replace("{log}", str(tmp_path / "log"))
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def make(main="", master=""):
        for name in ("etc", "queue", "data"):
            (tmp_path / name).mkdir()
        (tmp_path / "queue" / "tmp.1").write_text("mail that arrives")
        (tmp_path / "etc" / "main.cf").write_text(
            f"queue_directory = {tmp_path}/queue\ndata_directory = {tmp_path}/data\n"
            f"daemon_directory = /usr\nmail_owner = {getpass.getuser()}\n{main}"
        )
        (tmp_path / "etc" / "master.cf").write_text(master)
        return str(tmp_path / "etc")

    return make


def services():
    return postconf.parse_services(FIELDS, OPTIONS)


def entry(**more):
    return {"service": "submission", "type": "inet", "command": None, "options": None, **more}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (25, "25"),
        ("  a\n  b ", "a b"),
        (["permit_mynetworks", "reject"], "permit_mynetworks, reject"),
        (["check_client_access hash:/etc/a", 5], "check_client_access hash:/etc/a, 5"),
        ([], ""),
        ("", ""),
    ],
)
def test_values(value, text):
    assert postconf.value_text("x", value) == text


@pytest.mark.parametrize("value", [{"a": 1}, [True], [["a"]], None])
def test_what_is_no_value(value):
    with pytest.raises(PostconfError, match="relayhost: .* allowed: "):
        postconf.value_text("relayhost", value)


@pytest.mark.parametrize(
    ("present", "wanted", "is_list", "same"),
    [
        ("a b", "a b", False, True),
        ("a  b", "a b", False, True),
        ("a b", "a, b", False, False),
        ("a b", "a, b", True, True),
        ("a,b ,", "a, b", True, True),
        ("a, c", "a, b", True, False),
        ("", "", True, True),
    ],
)
def test_what_counts_as_a_difference(present, wanted, is_list, same):
    assert postconf.same_value(present, wanted, is_list) is same


def test_services_are_read():
    found = services()
    assert found["submission/inet"].command == "smtpd"
    assert found["submission/inet"].options == {
        "smtpd_tls_security_level": "encrypt",
        "mynetworks": "192.0.2.0/24 ::1",
    }
    assert found["tlsmgr/unix"].fields == ("-", "-", "y", "1000?", "1")
    # An argument that is no option of Postfix stays.
    assert found["maildrop/unix"].command.endswith("argv=/usr/bin/maildrop -d ${recipient}")


def test_a_service_that_is_there_keeps_what_is_not_named():
    present = services()["submission/inet"]
    assert postconf.wanted_service(entry(), present) == present
    changed = postconf.wanted_service(entry(chroot=False, process_limit=50), present)
    assert changed.fields == ("n", "-", "n", "-", "50")
    assert (changed.command, changed.options) == ("smtpd", present.options)
    # Options are all of them.
    assert postconf.wanted_service(entry(options={"a": True}), present).options == {"a": "yes"}


def test_a_new_service():
    made = postconf.wanted_service(
        entry(service="465", command="smtpd", options={"a": "x y", "b": 1}), None
    )
    assert made.key == "465/inet"
    assert made.line() == "465 inet n - - - - smtpd -o { a=x y } -o b=1"
    made = postconf.wanted_service(entry(type="unix", command="smtp"), None)
    assert made.fields == ("-",) * 5


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"service": "a b", "command": "smtpd"}, "service is 'a b'"),
        ({"service": "#25", "command": "smtpd"}, "service is '#25'"),
        ({}, "command is ''"),
        ({"command": "smtpd -o a=b"}, "belong into options"),
        ({"command": "smtpd", "chroot": "x"}, "chroot is 'x'; allowed: true, false"),
        ({"command": "smtpd", "private": True}, "is public"),
        ({"command": "smtpd", "wakeup": "1m"}, r"wakeup is '1m'; allowed: a number"),
        ({"command": "smtpd", "process_limit": "5?"}, "process_limit is '5\\?'"),
        ({"command": "smtpd", "options": {"a b": 1}}, "'a b' is no name"),
        ({"command": "smtpd", "options": {"a": "x }"}}, "blanks and a brace"),
    ],
)
def test_services_that_are_refused(more, text):
    with pytest.raises(PostconfError, match=text):
        postconf.wanted_service(entry(**more), None)


def plan_of(parameters=(), changed=True, running=True):
    after = b"b" if changed else b"a"
    files = (Change("/etc/postfix/main.cf", b"a", after, 0o644, 0o644),)
    return postconf.Plan("/etc/postfix", files, tuple(parameters), (), running)


@pytest.mark.parametrize(
    ("planned", "action"),
    [
        (plan_of(["relayhost"]), "reload"),
        (plan_of(["inet_interfaces", "relayhost"]), "restart"),
        (plan_of(["inet_interfaces"], running=False), "none"),
        (plan_of(changed=False), "none"),
    ],
)
def test_what_a_running_postfix_needs(planned, action):
    assert planned.action == action


def test_passwords_in_values_are_not_shown():
    line = b"smtp_sasl_password_maps = static:user:hunter2\n"
    files = (Change("/etc/postfix/main.cf", b"", line, 0o644, 0o644),)
    shown = postconf.result(postconf.Plan("/etc/postfix", files, (), (), False))
    assert "hunter2" not in str(shown)
    assert shown["diff"][0]["after"] == "smtp_sasl_password_maps = static:********\n"


@pytest.mark.parametrize(
    "text",
    [
        "a = b\nsmtp_sasl_password_maps = inline:{\n  {[h]:587=user:hunter2}\n  }\nrelayhost = [h]\n",
        "smtp_sasl_password_maps = $pw\npw = static:user:hunter2\nrelayhost = [h]\n",
        "smtp_sasl_password_maps =\n\tstatic:user:hunter2\nrelayhost = [h]\n",
        "pw = inline:{\n# of the relay\n\n  {[h]:587=user:hunter2}}\nrelayhost = [h]\n",
        "#pw = static:user:hunter2\nrelayhost = [h]\n",
        "s unix - - - - - smtp\n  -o pw=static:user:hunter2\nrelayhost = [h]\n",
    ],
)
def test_passwords_are_not_shown_wherever_they_stand(text):
    files = (Change("/etc/postfix/main.cf", b"", text.encode(), 0o644, 0o644),)
    shown = postconf.result(postconf.Plan("/etc/postfix", files, (), (), False))
    assert "hunter2" not in str(shown)
    # What comes behind it is.
    assert shown["diff"][0]["after"].endswith("********\nrelayhost = [h]\n")


def test_the_check_does_not_touch_the_queue(postfix, tmp_path):
    directory = postfix()
    planned = postconf.plan(Host(), directory, {"relayhost": "[h]"}, [], [])
    assert planned.parameters == ("relayhost",)
    # Nor does the file that will be written know of the other one.
    assert f"queue_directory = {tmp_path}/queue\n" in planned.files[0].after.decode()
    config, queue, *modes = (tmp_path / "log").read_text().split()
    assert (config == directory, queue == f"{tmp_path}/queue", modes) == (
        False,
        False,
        ["755", "700"],
    )
    assert os.listdir(f"{tmp_path}/queue") == ["tmp.1"]
    assert os.listdir(f"{tmp_path}/tmp") == []


def test_what_the_check_says_names_the_real_paths(postfix, tmp_path):
    directory = postfix()
    with pytest.raises(PostconfError) as refused:
        postconf.plan(Host(), directory, {"relayhost": "bad"}, [], [])
    assert str(refused.value) == (
        f"Postfix refuses it: main.cf is bad for {tmp_path}/queue and {tmp_path}/data"
    )
    with pytest.raises(PostconfError, match="refuses it: main.cf, line 1: bad string"):
        postconf.plan(Host(), directory, {"relayhost": "["}, [], [])
    assert os.listdir(f"{tmp_path}/tmp") == []


def test_a_queue_without_an_absolute_path(postfix):
    directory = postfix()
    with pytest.raises(PostconfError, match="data_directory is 'x'; allowed: an absolute path"):
        postconf.plan(Host(), directory, {"data_directory": "x"}, [], [])


OURS = {"parameter": "transport_maps", "matches": "texthash:/ours/.*", "also": ["mine", "other"]}


@pytest.mark.parametrize(
    ("main", "gone"),
    [
        ("transport_maps = texthash:/ours/transport\nmine = 1\n", ["mine", "transport_maps"]),
        ("transport_maps = hash:/etc/postfix/transport\nmine = 1\n", []),
        ("transport_maps = hash:/x, texthash:/ours/transport\nmine = 1\n", []),
        ("mine = 1\n", []),
    ],
)
def test_parameters_go_only_with_the_value_that_is_named(postfix, main, gone):
    directory = postfix(main)
    planned = postconf.plan(Host(), directory, {}, [], [], absent_if=[OURS])
    assert (list(planned.parameters), planned.changed) == (gone, bool(gone))


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (None, True),
        ({}, True),
        ({"a": "x", "b": True}, True),
        ({"a": "y"}, False),
        ({"c": 1}, False),
    ],
)
def test_a_service_goes_only_with_the_options_that_are_named(postfix, options, gone):
    directory = postfix(master="submission inet n - y - - smtpd -o a=x -o b=yes\n")
    entry = {"service": "submission", "type": "inet", "state": "absent", "options": options}
    planned = postconf.plan(Host(), directory, {}, [], [entry])
    assert planned.services == (("submission/inet",) if gone else ())
    assert planned.files[1].after.decode().startswith("submission") is not gone


@pytest.mark.parametrize(
    ("parameters", "absent_if", "text"),
    [
        ({}, {"matches": "("}, r"absent_if: transport_maps: matches is '\('; allowed: a regular"),
        ({"transport_maps": "x"}, {}, "transport_maps: named in parameters and in absent_if"),
        ({"mine": "x"}, {}, "mine: named in parameters and in absent_if"),
        ({}, {"also": ["a b"]}, "'a b' is no name"),
    ],
)
def test_what_is_refused_of_absent_if(make_host, parameters, absent_if, text):
    with pytest.raises(PostconfError, match=text):
        postconf.plan(
            make_host(), "/etc/postfix", parameters, [], [], absent_if=[{**OURS, **absent_if}]
        )


@pytest.mark.parametrize(
    ("parameters", "absent", "text"),
    [
        ({"a b": 1}, [], "'a b' is no name"),
        ({}, ["a=b"], "'a=b' is no name"),
        ({"relayhost": "x"}, ["relayhost"], "in parameters and in absent"),
        ({"relayhost": "x"}, [], "not installed"),
    ],
)
def test_what_is_refused_before_postfix_is_asked(make_host, parameters, absent, text):
    with pytest.raises(PostconfError, match=text):
        postconf.plan(make_host(), "/etc/postfix", parameters, absent, [])
