# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Override files of Mailu: what is let through, and why the rest is not."""

from __future__ import annotations

import subprocess

import hypothesis
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.mailu_overrides import (
    mailu_overrides as as_filter,
)
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.mailu_overrides import (
    OverrideError,
    overrides,
)
from hypothesis import strategies as st

MTA_STS = """\
location ^~ /.well-known/mta-sts.txt {
  # a comment with { and an apostrophe's trouble
  return 200 "version: STSv1
  mode: enforce
  mx: mail.example.org\\r\\n";
}
"""
CF = """\
mynetworks = 127.0.0.0/8, 10.0.0.0/8 [fd00::]/8 lmdb:/x 192.0.2.0/24
smtpd_recipient_limit = 50
# a comment

smtp_bind_address=192.0.2.1
"""
MASTER = "smtp/inet = smtp inet n - n - - smtpd -o smtpd_tls_wrappermode=yes"


def test_each_file_goes_to_its_service():
    found = overrides(
        {
            "postfix": {
                "postfix.cf": CF,
                "postfix.master": MASTER,
                "transport.map": "example.org polite:\n # comment\n\texample.net\n",
            },
            "nginx": {"mta-sts.conf": MTA_STS, "dovecot/proxy.conf": "mail_max = 3"},
            "dovecot": {"dovecot.conf": "mail_max_userip_connections = 50"},
            "rspamd": {"multimap.conf": "A {\n}\n", "own.map": ""},
            "roundcube": {"spell.inc.php": "<?php\n$config['a'] = 1;"},
        },
        webmail="roundcube",
    )
    assert [(item["path"], item["service"]) for item in found] == [
        ("dovecot/dovecot.conf", "imap"),
        ("nginx/dovecot/proxy.conf", "front"),
        ("nginx/mta-sts.conf", "front"),
        ("postfix/postfix.cf", "smtp"),
        ("postfix/postfix.master", "smtp"),
        ("postfix/transport.map", "smtp"),
        ("roundcube/spell.inc.php", "webmail"),
        ("rspamd/multimap.conf", "antispam"),
        ("rspamd/own.map", "antispam"),
    ]
    texts = {item["path"]: item["text"] for item in found}
    assert texts["postfix/postfix.cf"] == CF
    assert texts["postfix/postfix.master"] == MASTER + "\n"
    assert texts["rspamd/own.map"] == ""


def test_nothing_wanted_is_nothing():
    assert overrides({}) == []
    assert overrides({"postfix": {"postfix.cf": "\n# only a comment\n"}})


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"exim": {}}, "'exim'; allowed: nginx, dovecot, postfix, rspamd"),
        ({"roundcube": {"a.inc.php": "<?php"}}, "'roundcube'; allowed: nginx"),
        ({"postfix": "text"}, "postfix: 'text'; allowed: file -> text"),
        ({"postfix": {"postfix.cf": None}}, "postfix/postfix.cf: NoneType; allowed: text"),
        ({"postfix": {"postfix.cf": "a = b\r\n"}}, "line ends of Windows"),
        (
            {"postfix": {"main.cf": ""}},
            r"postfix/main.cf: no such file is read; allowed: postfix.cf, postfix.master, \*.map",
        ),
        ({"postfix": {"logrotate.conf": ""}}, "read only with POSTFIX_LOG_FILE"),
        ({"postfix": {"../x.map": ""}}, "allowed in a name: letters"),
        ({"postfix": {"$(reboot).map": ""}}, "allowed in a name: letters"),
        ({"dovecot": {"10-mail.conf": ""}}, "allowed: dovecot.conf"),
        ({"nginx": {"site.txt": ""}}, r"allowed: dovecot/proxy.conf, \*.conf"),
        ({"rspamd": {"local.d/x.conf": ""}}, "files, no directories"),
        ({"rspamd": {"options.inc": ""}}, "does not read yours"),
    ],
)
def test_files_that_are_not_read(wanted, message):
    with pytest.raises(OverrideError, match=message):
        overrides(wanted)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("postfix.cf", "\na = b,\n  c\n", "line 3: a line that begins with a blank"),
        ("postfix.cf", "a = b\n \nc = d", "line 2: a line that begins with a blank"),
        ("postfix.cf", "a b\n", "line 1: allowed: one setting a line, NAME = VALUE"),
        ("postfix.cf", "a = b\nc = d\na = e", "line 3: a stands in line 1 already"),
        ("postfix.cf", "smtpd_banner = x ESMTP", "smtpd_banner: clients never see it: the service"),
        ("postfix.cf", "myhostname = x", "myhostname: it follows from HOSTNAMES"),
        ("postfix.cf", "relayhost = x", "use the setting RELAYHOST"),
        ("postfix.cf", "a = $mynetworks", r"write \\\$ instead of \$"),
        ("postfix.cf", 'a = "x"', r'write \\" instead of "'),
        ("postfix.cf", "a = `reboot`", "write .` instead of `"),
        ("postfix.cf", r"a = \\$(reboot)", r"instead of \$"),
        ("postfix.cf", "a = b \\\nc = d", "line 1: a backslash at the end"),
        ("postfix.cf", "mynetworks = 127.0.0.0/8 0.0.0.0/0", "0.0.0.0/0 may send to everybody"),
        ("postfix.cf", "mynetworks = [::]/0", "open relay"),
        ("postfix.cf", "mynetworks = 8.8.0.0/16", "open relay"),
        ("postfix.master", "smtp inet n - n - - smtpd", "allowed: one service a line"),
        ("postfix.master", "smtp/inet = smtp inet n - n - -", "eight columns"),
        ("transport.map", "example.org\n", "line 1: allowed: KEY VALUE"),
        ("transport.map", "\n  smtp:\n", "line 2: it goes on with a line that is not there"),
    ],
)
def test_texts_that_would_break_postfix(name, text, message):
    with pytest.raises(OverrideError, match=message):
        overrides({"postfix": {name: text}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("location / {\n  return 404;\n", r"line 1: the \{ is not closed"),
        ("return 404;\n}\n", r"line 2: a \} too much"),
        ("a b;\nreturn 200 'x;\n}", "line 2: the ' is not closed"),
        ("location / {\n}\nclient_max_body_size 1m", "the last line has no ;"),
    ],
)
def test_texts_that_would_break_nginx(text, message):
    with pytest.raises(OverrideError, match=message):
        overrides({"nginx": {"x.conf": text}})


def test_other_refusals():
    with pytest.raises(OverrideError, match="webmail: 'squirrel'; allowed: roundcube"):
        overrides({}, webmail="squirrel")
    with pytest.raises(OverrideError, match="allowed: directory -> file -> text"):
        overrides([])
    with pytest.raises(OverrideError, match="does not begin with <.php"):
        overrides({"roundcube": {"a.inc.php": "$x = 1;"}}, webmail="roundcube")
    with pytest.raises(AnsibleFilterError, match="postfix/main.cf"):
        as_filter({"postfix": {"main.cf": ""}})
    assert as_filter({"postfix": {"postfix.cf": "a = b"}})[0]["service"] == "smtp"


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(st.text(alphabet="ab $`\"\\(){};#'=,", max_size=10))
def test_a_line_that_is_let_through_is_one_word_for_the_shell(value):
    """Mailu runs: postconf -e "LINE". The shell must hand on what the admin wrote."""
    line = "name = " + value
    try:
        (file,) = overrides({"postfix": {"postfix.cf": line}})
    except OverrideError:
        return
    script = 'printf "<%s>" "{}"'.format(file["text"].strip())
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    # What the shell takes away is the backslash before one of its own signs, and nothing else.
    plain, skip = "", False
    text = line.strip()
    for position, sign in enumerate(text):
        if skip:
            skip = False
        elif sign == "\\" and text[position + 1 : position + 2] in tuple('\\$`"'):
            plain += text[position + 1]
            skip = True
            continue
        else:
            plain += sign
    assert done.stdout == f"<{plain}>"
    assert done.stderr == ""
