# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What qmail does with mail for a domain, and the findings about it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    pop_before_smtp,
    qmail_domains,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, qmail
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_domains import Domains
from ansible_collections.postmaster.mailhost.plugins.module_utils.vpopmail_permissions import (
    Deviation,
    Outcome,
)

REAL = Path(__file__).parent / "qmail"
HOME = "/var/qmail"
CONTROL = HOME + "/control/"
POP = "/home/vpopmail/domains/"
LINE = "+{0}-:{0}:89:89:/home/vpopmail/domains/{0}:-::\n"
DELIVER = "| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n"

# A server on which everything fits.
GOOD = {
    "/etc/passwd": "root:x:0:0::/root:\nalias:x:7790:2108::/var/qmail/alias:\n"
    "vpopmail:x:89:89::/home/vpopmail:\njoe:x:503:78::/home/joe:\n",
    "/etc/group": "vchkpw:x:89:\n",
    CONTROL + "me": "mail.example.org\n",
    CONTROL + "locals": "# ours\nmail.example.org \n\n",
    CONTROL + "virtualdomains": "Example.ORG:example.org\nsales.test:joe-sales\n",
    CONTROL + "rcpthosts": "mail.example.org\nexample.org\nsales.test\nbackup.test\n",
    CONTROL + "smtproutes": "backup.test:192.0.2.1\n",
    HOME + "/users/assign": LINE.format("example.org") + ".\n",
    POP + "example.org/.qmail-default": DELIVER,
}


def users_cdb(assign):
    """Return a database with the records of an assign file; unlike qmail-newu's, with one table."""
    import struct

    from ansible_collections.postmaster.mailhost.plugins.module_utils import cdb, qmail_users

    body, places = b"", []
    for key, value in qmail_users.records(qmail_users.parse(assign)):
        places.append((cdb.hash_of(key), 2048 + len(body)))
        body += struct.pack("<II", len(key), len(value)) + key + value
    header, tables = b"", b""
    for number in range(256):
        slots = [entry for entry in places if entry[0] & 255 == number]
        table = [(0, 0)] * (2 * len(slots))
        for found, place in slots:
            slot = (found >> 8) % len(table)
            while table[slot][1]:
                slot = (slot + 1) % len(table)
            table[slot] = (found, place)
        header += struct.pack("<II", 2048 + len(body) + len(tables), len(table))
        tables += b"".join(struct.pack("<II", *entry) for entry in table)
    return header + body + tables


@pytest.fixture
def make(make_host):
    """Return a function: what is different from GOOD (None: not there) -> the host."""

    def make(changes=None):
        files = dict(GOOD, **(changes or {}))
        assign = files.get(HOME + "/users/assign")
        if isinstance(assign, str):
            files.setdefault(HOME + "/users/cdb", users_cdb(assign))
        return make_host(
            {path: text for path, text in files.items() if text is not None}, {"now": 4000000000}
        )

    return make


def wrong(host, pop=None, permissions=None, trouble=""):
    server = qmail.Server(qmail_domains.read(host), pop, permissions, trouble)
    findings = look.all_of(qmail.LOOK, server)
    unknown = [item for item in findings if "could not look" in item.observed]
    assert not unknown, unknown
    found = {}
    for item in findings:
        if item.status not in ("ok", "skip"):
            name = item.id.partition(".")[2]
            status, observed = found.get(name, (item.status, ""))
            found[name] = (status, "; ".join(filter(None, [observed, item.observed])))
    return found


def test_a_server_on_which_everything_fits(make):
    assert wrong(make()) == {}
    found = qmail_domains.read(make())
    assert found.locals == ("mail.example.org",)
    assert found.virtual == {"example.org": "example.org", "sales.test": "joe-sales"}
    assert (found.owner, found.vpopmail) == ((89, 89), "/home/vpopmail/domains")


def test_where_there_is_no_qmail(make_host):
    findings = look.all_of(qmail.LOOK, qmail.Server(qmail_domains.read(make_host())))
    assert {item.status for item in findings} == {"skip"}
    assert len(findings) == len(qmail.LOOK)


FILES = [
    ("me", CONTROL + "me", None, "fail", "control/me is missing"),
    ("me", CONTROL + "me", "\nx.test\n", "fail", "control/me is empty"),
    ("me", CONTROL + "me", "mail\n", "warn", "mail"),
    ("rcpthosts", CONTROL + "rcpthosts", None, "fail", "missing: every client may relay"),
    ("morercpthosts", CONTROL + "morercpthosts", "x.test\n", "fail", "it is missing, and"),
    ("morercpthosts", CONTROL + "morercpthosts.cdb", b"", "fail", "it is damaged"),
    ("assign", HOME + "/users/assign", LINE.format("example.org"), "fail", "the dot is missing"),
    ("assign", HOME + "/users/assign", "#x\n" + GOOD[HOME + "/users/assign"], "fail", "line 1 is"),
    (
        "assign",
        HOME + "/users/assign",
        GOOD[HOME + "/users/assign"] + LINE.format("new.test"),
        "warn",
        "never read, being behind the line with the dot: +new.test-:",
    ),
    (
        "assign",
        HOME + "/users/assign",
        LINE.format("example.org") + LINE.format("example.org") + ".\n",
        "warn",
        "only the first counts of: example.org- (lines 1 and 2)",
    ),
    ("users_cdb", HOME + "/users/cdb", None, "fail", "users/cdb is missing"),
    ("users_cdb", HOME + "/users/cdb", users_cdb(".\n"), "fail", "does not say what"),
    ("domains", CONTROL + "locals", "x.test\nEXAMPLE.org\n", "fail", "locals counts: example.org"),
    ("domains", CONTROL + "rcpthosts", "sales.test\n", "fail", "is refused: example.org"),
    ("domains", CONTROL + "smtproutes", None, "warn", "goes on to its MX: backup.test"),
    (
        "handlers",
        CONTROL + "virtualdomains",
        "example.org:example.org\nsales.test:jim-sales\n",
        "fail",
        "neither an assignment, an account nor alias has its mail: sales.test",
    ),
    (
        "handlers",
        HOME + "/users/assign",
        LINE.format("example.org") + "=x:root:0:0:/root:::\n.\n",
        "fail",
        "assigned to root, which qmail refuses: x",
    ),
    (
        "handlers",
        HOME + "/users/assign",
        LINE.format("example.org") + "=x:x:503:78:/nowhere:::\n.\n",
        "fail",
        "a directory that is not there: x (/nowhere)",
    ),
    (
        "handlers",
        HOME + "/users/assign",
        LINE.format("example.org") + "=x:x:777:78:/home:::\n.\n",
        "warn",
        "whom /etc/passwd does not have: x (777)",
    ),
    (
        "handlers",
        HOME + "/users/assign",
        LINE.format("example.org").replace("89:89", "503:89") + ".\n",
        "warn",
        "another user or group: example.org-",
    ),
    (
        "folders",
        POP + "example.org/.qmail-default",
        "./Maildir/\n",
        "fail",
        "calls vdelivermail: /home/vpopmail/domains/example.org",
    ),
    ("folders", POP + "0/old.test/x", "", "warn", "no assignment leads to: " + POP + "0/old.test"),
]


@pytest.mark.parametrize(("name", "path", "text", "status", "observed"), FILES)
def test_what_does_not_fit(make, name, path, text, status, observed):
    found = wrong(make({path: text}))
    assert name in found, found
    assert found[name][0] == status and observed in found[name][1], found


def test_each_check_that_looks_at_files_is_seen_to_fail():
    looked = {name for name, *_rest in FILES} | {"open_smtp", "cron", "permissions"}
    assert looked == {row[0].partition(".")[2] for row in qmail.LOOK}


def test_an_assigned_domain_that_is_not_virtual(make):
    assign = LINE.format("example.org") + LINE.format("lost.test") + ".\n"
    found = wrong(make({HOME + "/users/assign": assign, POP + "lost.test/.qmail-default": DELIVER}))
    assert found == {
        "handlers": (
            "warn",
            "assigned to vpopmail, and not in virtualdomains, so that it gets no mail: lost.test-",
        )
    }


def test_many_names_are_not_all_shown(make):
    text = "".join("d{0}.test:joe\n".format(number) for number in range(100))
    found = wrong(make({CONTROL + "virtualdomains": text}))
    assert "d3.test, d4.test and 95 more" in found["domains"][1]


def test_a_database_without_its_text(make):
    host = make({HOME + "/users/assign": None, HOME + "/users/cdb": users_cdb(".\n")})
    assert wrong(host)["users_cdb"] == ("fail", "users/assign is missing, and users/cdb is there")


def test_morercpthosts_that_qmail_newmrh_made(make):
    data = (REAL / "morercpthosts.cdb").read_bytes()
    text = (REAL / "morercpthosts").read_text(encoding="utf-8")
    host = make({CONTROL + "morercpthosts": text, CONTROL + "morercpthosts.cdb": data})
    found = qmail_domains.read(host)
    assert found.more == ("example.org", ".example.net", "last.test")
    assert found.more_trouble == ""
    assert found.accepts("a.b.example.NET") and not found.accepts("example.net")
    Path(host.root + CONTROL + "morercpthosts").write_text(text + "\nnew.test\n")
    assert qmail_domains.read(host).more_trouble == "it lacks new.test"
    Path(host.root + CONTROL + "morercpthosts").write_text("last.test\n")
    assert qmail_domains.read(host).more_trouble == "it still has .example.net, example.org"


def test_morercpthosts_cdb_without_its_text(make):
    data = (REAL / "morercpthosts.cdb").read_bytes()
    for text, fix in ((None, "or delete morercpthosts.cdb"), ("x.test\n", "Run /var/qmail/bin/q")):
        host = make({CONTROL + "morercpthosts": text, CONTROL + "morercpthosts.cdb": data})
        (found,) = qmail.morercpthosts(qmail.Server(qmail_domains.read(host)), None)
        assert found.status == "fail" and fix in found.fix


@pytest.mark.parametrize(
    ("text", "names"), [("", ()), ("# none\n", ()), (None, ("mail.example.org",))]
)
def test_empty_locals_are_not_missing_ones(make, text, names):
    assert qmail_domains.read(make({CONTROL + "locals": text})).locals == names


DOMAINS = Domains(
    home=HOME,
    present=True,
    virtual={"a.test": "a", ".b.test": "b", "out.b.test": "", "u@c.test": "c"},
    rcpthosts=("a.test", ".b.test"),
    routes=(".r.test",),
    accounts=("joe", "joe-sales"),
    alias=(".qmail-list-default", ".qmail-x:test-info"),
)


@pytest.mark.parametrize(
    ("domain", "prefix"),
    [
        ("a.test", "a"),
        ("A.TEST", "a"),
        ("x.a.test", None),
        ("x.b.test", "b"),
        ("b.test", None),
        ("out.b.test", None),
        ("in.out.b.test", "b"),
    ],
)
def test_prefixes(domain, prefix):
    assert DOMAINS.prefix(domain) == prefix
    everything = DOMAINS._replace(virtual=dict(DOMAINS.virtual, **{"": "rest"}))
    assert everything.prefix(domain) == (prefix or (None if domain == "out.b.test" else "rest"))


def test_routes_and_acceptance():
    assert DOMAINS.routed("x.r.test") and not DOMAINS.routed("r.test")
    assert DOMAINS.accepts("x.b.test") and not DOMAINS.accepts("b.test")
    assert DOMAINS._replace(rcpthosts=None).accepts("anything.test")


@pytest.mark.parametrize(
    ("prefix", "handled"),
    [
        ("joe", True),
        ("joe-x-y", True),
        ("jo", False),
        ("list", True),
        ("list-announce", True),
        ("lists", False),
        ("x.test", True),
        ("y.test", False),
    ],
)
def test_who_has_the_mail_of_a_prefix(prefix, handled):
    assert DOMAINS.handled(prefix) is handled
    assert DOMAINS._replace(alias=(".qmail-default",)).handled(prefix)


def test_a_domain_that_is_virtual_by_its_end(make):
    found = wrong(
        make(
            {
                CONTROL
                + "virtualdomains": "example.org:example.org\n.sub.test:joe\nout.sub.test:\n",
                CONTROL + "rcpthosts": "mail.example.org\nexample.org\n.sub.test\n",
            }
        )
    )
    assert found == {}


def test_pop_before_smtp(make):
    listed = "/home/vpopmail/etc/open-smtp"
    entry = '192.0.2.1:allow,RELAYCLIENT=""\t{0}\n'
    host = make({listed: entry.format(3999999000)})
    found = wrong(host, pop_before_smtp.look(host))
    assert found == {"cron": ("warn", "nothing calls clearopensmtp")}
    Path(host.root + listed).write_text("")
    assert wrong(host, pop_before_smtp.look(host)) == {}
    Path(host.root + listed).write_text(entry.format(1))
    cron = Path(host.root + "/etc/crontab")
    cron.write_text("40 * * * * /home/vpopmail/bin/clearopensmtp\n")
    found = wrong(host, pop_before_smtp.look(host))
    assert found["open_smtp"][0] == "warn" and "1 of 1 entries are older" in found["open_smtp"][1]
    assert found["cron"] == ("fail", "/etc/crontab line 1 has no user behind the times")
    Path(host.root + listed).write_text(entry.format(3999999000))
    cron.write_text("40 * * * * root /home/vpopmail/bin/clearopensmtp\n")
    assert wrong(host, pop_before_smtp.look(host)) == {}
    # All fresh: clearopensmtp would take none of them out.
    Path(host.root + listed).write_text(2 * entry.format(3999999000))
    server = qmail.Server(DOMAINS, pop_before_smtp.look(host, most=1))
    (found,) = qmail.open_smtp(server, None)
    assert (found.status, "2 entries" in found.observed) == ("warn", True)
    assert "cron" not in found.fix and "SMTP AUTH" in found.fix


def test_permissions(make):
    outcome = Outcome(POP)
    outcome.looked = 9
    assert wrong(make(), None, outcome) == {}
    outcome.files = outcome.mode = 1
    outcome.first.append(Deviation(POP + "x", "0:0 0644", "0:0 0600"))
    status, observed = wrong(make(), None, outcome)["permissions"]
    assert status == "warn"
    assert observed == "1 of 9 deviate (0 in owner or group, 1 in mode): " + POP + "x"
    found = wrong(make(), None, None, "owner is 'vpopmail'; allowed")
    assert found["permissions"][0] == "unknown"


def test_a_domain_that_is_gone(make):
    host = make()
    shutil.rmtree(host.root + POP + "example.org")
    found = wrong(host)
    assert set(found) == {"handlers"} and found["handlers"][0] == "fail"
