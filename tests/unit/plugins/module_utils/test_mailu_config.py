# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mailu's configuration: what is refused, what is handed on, and what Mailu's answers mean.

The outputs are in the form of Mailu 2024.06.57, which all of this was tried with.
"""

from __future__ import annotations

import json

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import mailu_config
from ansible_collections.postmaster.mailhost.plugins.module_utils.mailu_config import (
    MailuConfigError,
    difference,
    document,
    manage,
    read_export,
    validate,
)

OPTIONS = {
    "project_src": "/mailu",
    "project_name": "mailu",
    "service": "admin",
    "domains": [],
    "users": [],
    "aliases": [],
    "relays": [],
    "update_password": "on_create",
    "purge": [],
    "timeout": 60,
}
THERE = {
    "domain": [
        {"name": "example.org", "alternatives": ["example.net"], "dkim_key": "<hidden>"},
        {"name": "müller.example", "alternatives": [], "dkim_publickey": "MIIB"},
    ],
    "user": [
        {
            "email": "anna@example.org",
            "password": "$bcrypt-sha256$v=2,t=2b,r=12$abc",
            "comment": None,
            "enabled": True,
            "global_admin": True,
            "forward_destination": ["b@example.com", "a@example.com"],
            "quota_bytes": 5,
            "tokens": [{"password": "$5$token"}],
        },
        {"email": "bob@müller.example", "password": "$2b$x", "enabled": True, "comment": "y"},
    ],
    "alias": [{"email": "info@example.org", "destination": ["anna@example.org"]}],
    "relay": [{"name": "relay.example", "smtp": None}],
}
EXPORT = "some notice\n" + json.dumps(THERE) + "\n"
COMMAND = "docker compose --project-name mailu exec -T admin flask mailu "
LOOK = COMMAND + "config-export --full --dns --json"
IMPORT = COMMAND + "config-import --verbose --update"


def delta(update_password="on_create", purge=(), **wanted):
    return difference(validate(wanted), read_export(EXPORT), update_password, purge)


def test_what_is_as_wanted_is_not_handed_on():
    assert delta(
        domains=[
            {"name": "Example.org", "alternatives": ["EXAMPLE.net"], "dkim_generate": False},
            {"name": "müller.example", "dkim_generate": True, "comment": None},
        ],
        users=[
            {
                "email": "Anna@Example.org",
                "password": "geheim",
                "comment": "",
                "quota_bytes": 5,
                "forward_destination": ["a@example.com", "b@example.com"],
            },
            {"email": "bob@xn--mller-kva.example", "password_hash": "$1$other"},
        ],
        aliases=[{"email": "info@example.org", "destination": ["Anna@example.org"]}],
        relays=[{"name": "relay.example", "smtp": ""}, {"name": "gone.example", "state": "absent"}],
    ) == ({}, [])


def test_only_the_difference_is_handed_on():
    found = delta(
        domains=[{"name": "example.org", "dkim_generate": True}, {"name": "example.com"}],
        users=[
            {"email": "anna@example.org", "quota_bytes": 7, "forward_destination": []},
            {"email": "eva@example.com", "password": "geheim", "enabled": None},
        ],
        aliases=[{"email": "info@example.org", "destination": ["eva@example.com"]}],
        relays=[{"name": "relay.example", "state": "absent"}],
    )
    assert found.objects == {
        "domain": [{"name": "example.org", "dkim_key": "-generate-"}, {"name": "example.com"}],
        "user": [
            {"email": "anna@example.org", "quota_bytes": 7, "forward_destination": ["-prune-"]},
            {"email": "eva@example.com", "password": "geheim", "hash_password": True},
        ],
        "alias": [{"email": "info@example.org", "destination": ["-prune-", "eva@example.com"]}],
        "relay": [{"-name": "relay.example"}],
    }
    assert [(item.name, item.action) for item in found.changes] == [
        ("example.org", "modified"),
        ("example.com", "created"),
        ("anna@example.org", "modified"),
        ("eva@example.com", "created"),
        ("info@example.org", "modified"),
        ("relay.example", "deleted"),
    ]
    assert "geheim" not in str(found.changes)


def test_passwords_of_users_that_exist():
    given = {"email": "anna@example.org", "password": "geheim"}
    assert delta(users=[given]).objects == {}
    assert delta("always", users=[given]).objects["user"] == [
        {"email": "anna@example.org", "password": "geheim", "hash_password": True}
    ]
    for given, handed_on in (("{BLF-CRYPT}$2b$x", []), ("$2b$y", ["$2b$y"])):
        found = delta("always", users=[{"email": "bob@müller.example", "password_hash": given}])
        assert [item["password"] for item in found.objects.get("user", [])] == handed_on


def test_a_dkim_key_is_compared_without_its_line_ends():
    key = "-----BEGIN PRIVATE KEY-----\nAA\nBB\n-----END PRIVATE KEY-----\n"
    wanted = validate({"domains": [{"name": "example.org", "dkim_key": key}]})
    there = read_export(json.dumps({"domain": [{"name": "example.org", "dkim_key": key[:30]}]}))
    assert difference(wanted, there).objects["domain"][0]["dkim_key"] == key
    there["domain"]["example.org"]["dkim_key"] = key.replace("AA\nBB", "AABB")
    assert difference(wanted, there).objects == {}


def test_purge_and_the_accounts_of_a_domain():
    found = delta(purge=["relays"], relays=[{"name": "new.example"}])
    assert found.objects == {"relay": [{"name": "new.example"}, {"-name": "relay.example"}]}
    found = delta(
        domains=[{"name": "müller.example", "state": "absent"}],
        users=[{"email": "bob@müller.example", "state": "absent"}],
    )
    # Mailu deletes the account with the domain, and does not find it after that.
    assert found.objects == {"domain": [{"-name": "xn--mller-kva.example"}]}
    assert len(found.changes) == 2
    assert "password" not in found.changes[1].before


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"domains": [{"name": "example"}]}, "domains has 'example': .*allowed: a fully qualified"),
        ({"users": [{"email": "anna"}]}, "users has 'anna'; allowed: an address"),
        (
            {"relays": [{"name": "a.example"}, {"name": "A.example"}]},
            "relays: a.example is there twice",
        ),
        (
            {"users": [{"email": "a@b.example"}], "aliases": [{"email": "a@b.example"}]},
            "a@b.example is in users as well",
        ),
        (
            {"domains": [{"name": "a.example"}], "relays": [{"name": "a.example"}]},
            "relays: a.example is in domains as well",
        ),
        (
            {
                "domains": [
                    {"name": "a.example"},
                    {"name": "b.example", "alternatives": ["a.example"]},
                ]
            },
            "alternatives of b.example: a.example is in domains as well",
        ),
        (
            {"users": [{"email": "a@b.example", "password": "x", "password_hash": "$1$y"}]},
            "password and password_hash; allowed: one",
        ),
        ({"users": [{"email": "a@b.example", "password": ""}]}, "a@b.example: password is empty"),
        (
            {"users": [{"email": "a@b.example", "password_hash": "plain"}]},
            "password_hash is no hash",
        ),
        (
            {"users": [{"email": "a@b.example", "spam_threshold": 101}]},
            "spam_threshold is 101; allowed: 0 to 100",
        ),
        (
            {"domains": [{"name": "a.example", "max_users": -2}]},
            "max_users is -2; allowed: -1 or more",
        ),
        (
            {"users": [{"email": "a@b.example", "reply_enddate": "tomorrow"}]},
            "reply_enddate is 'tomorrow'; allowed: a date",
        ),
        (
            {"users": [{"email": "a@b.example", "forward_destination": ["x"]}]},
            "forward_destination has 'x'; allowed: an address",
        ),
        ({"aliases": [{"email": "a@b.example", "destination": []}]}, "destination is empty"),
        (
            {
                "users": [
                    {"email": "a@b.example", "forward_enabled": True, "forward_destination": []}
                ]
            },
            "forward_enabled without an address",
        ),
    ],
)
def test_what_needs_no_look_is_refused_first(wanted, message):
    with pytest.raises(MailuConfigError, match=message):
        validate(wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"users": [{"email": "eva@example.org"}]}, "is new; it needs password or password_hash"),
        (
            {"users": [{"email": "eva@other.example", "password": "x"}]},
            "eva@other.example: Mailu has no domain other.example; name it in domains",
        ),
        ({"aliases": [{"email": "anna@example.org"}]}, "anna@example.org is a user in Mailu"),
        ({"users": [{"email": "info@example.org", "password": "x"}]}, "is an alias in Mailu"),
        (
            {"users": [{"email": "anna@example.org", "manager_of": ["x.example"]}]},
            "manager_of names x.example, which Mailu does not have",
        ),
        (
            {"domains": [{"name": "müller.example", "state": "absent"}]},
            "cannot be deleted while it has bob@xn--mller-kva.example",
        ),
        ({"users": [{"email": "anna@example.org", "state": "absent"}]}, "no administrator"),
        ({"users": [{"email": "anna@example.org", "enabled": False}]}, "no administrator"),
    ],
)
def test_what_does_not_fit_to_what_is_there(wanted, message):
    with pytest.raises(MailuConfigError, match=message):
        delta(**wanted)


def test_the_last_administrator_may_have_a_successor():
    found = delta(
        users=[
            {"email": "anna@example.org", "global_admin": False},
            {"email": "bob@müller.example", "global_admin": True},
        ]
    )
    assert len(found.changes) == 2


# --- with Mailu's answers -----------------------------------------------------------------------


@pytest.fixture
def run(make_host):
    """Return a function: Mailu's answers and options -> the result."""

    def run(answers, check_mode=False, **options):
        host = make_host(
            {"/mailu/docker-compose.yml": ""}, {"commands": answers, "programs": ["docker"]}
        )
        return manage(host, dict(OPTIONS, **options), check_mode)

    return run


QUOTA = {"users": [{"email": "anna@example.org", "quota_bytes": 7, "password": "geheim"}]}


def test_an_import(run):
    said = (
        "Modified user: 'anna@example.org' quota_bytes: 5 -> 7\n"
        "Committing changes. Created: domain(1) user(12) / Modified: user(1)\n"
    )
    done = run({LOOK: {"stdout": EXPORT}, IMPORT: {"stdout": said}}, **QUOTA)
    assert done["changed"] is True
    assert done["counters"] == {
        "created": {"domain": 1, "user": 12},
        "modified": {"user": 1},
        "deleted": {},
    }
    assert done["changes"] == [
        {
            "section": "user",
            "name": "anna@example.org",
            "action": "modified",
            "attributes": ["quota_bytes"],
        }
    ]
    assert '"quota_bytes": 5' in done["diff"]["before"]
    assert '"quota_bytes": 7' in done["diff"]["after"]


def test_check_mode_lets_mailu_try(run):
    said = (
        "Modified user: 'anna@example.org' quota_bytes: 5 -> 7\n"
        "Dry run. Not committing changes. Modified: user(1)\n"
    )
    answers = {LOOK: {"stdout": EXPORT}, IMPORT + " --dry-run": {"stdout": said}}
    assert run(answers, True, **QUOTA)["counters"]["modified"] == {"user": 1}


def test_the_same_password_again_is_no_change(run):
    answers = {
        LOOK: {"stdout": EXPORT},
        IMPORT: {"stdout": "Committing changes. No changes.\n"},
    }
    users = [{"email": "anna@example.org", "password": "geheim"}]
    done = run(answers, users=users, update_password="always")
    assert (done["changed"], done["changes"], done["diff"]["after"]) == (False, [], "")
    said = "Modified user: 'anna@example.org' password: '$a' -> '$b'\n"
    answers[IMPORT] = {"stdout": said + "Committing changes. Modified: user(1)\n"}
    done = run(answers, users=users, update_password="always")
    assert done["changes"][0]["attributes"] == ["password"]
    assert "geheim" not in str(done) and "$b" not in str(done)


def test_what_mailu_does_not_count_is_a_change(run):
    answers = {
        LOOK: {"stdout": EXPORT},
        IMPORT: {"stdout": "Committing changes. No changes.\n"},
    }
    done = run(answers, domains=[{"name": "example.org", "alternatives": []}])
    assert done["changes"][0]["attributes"] == ["alternatives"]


def test_nothing_to_do_asks_once(run):
    done = run({LOOK: {"stdout": EXPORT}}, domains=[{"name": "example.org"}])
    assert done["changed"] is False


def test_a_key_is_looked_at_with_the_option_for_secrets(run):
    there = json.dumps({"domain": [{"name": "example.org", "dkim_key": "AA\nBB"}]})
    done = run(
        {LOOK + " --secrets": {"stdout": there}},
        domains=[{"name": "example.org", "dkim_key": "AABB"}],
    )
    assert done["changed"] is False


REFUSED = """\
Error: [ValidationError] 2 errors occurred during input validation
     - user.0.password    : invalid password hash 'geheim'
     - user.0.quota_bytes : Not a valid integer.
"""


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            {IMPORT: {"rc": 1, "stderr": REFUSED}},
            r"user anna@example.org: password: invalid password hash; user .*: quota_bytes: Not a valid",
        ),
        (
            {IMPORT: {"rc": 1, "stderr": "Error: [ValueError] Duplicate domain name: ('x',)\n"}},
            "Mailu refuses this: .ValueError. Duplicate domain name",
        ),
        (
            {IMPORT: {"rc": 1, "stderr": "Error: geheim is wrong, geheim!\n"}},
            r"this: \*{8} is wrong, \*{8}!",
        ),
        ({IMPORT: {"rc": 1, "stderr": "Traceback\n  line\nKeyError: 'x'\n"}}, "KeyError: 'x'"),
        ({IMPORT: {"rc": 124}}, "config-import: flask in admin did not end within 60 seconds"),
        ({IMPORT: {"stdout": "something\n"}}, "config-import did not say what it did"),
        ({LOOK: {"stdout": "{broken\n"}}, "config-export printed no configuration"),
        ({LOOK: {"rc": 1, "stderr": "ImportError: x\n"}}, "config-export: ImportError: x"),
        (
            {LOOK: {"rc": 1, "stderr": 'service "admin" is not running\n'}},
            'the service admin of /mailu does not run: service "admin" is not running',
        ),
    ],
)
def test_errors_are_sentences(run, answers, message):
    with pytest.raises(MailuConfigError, match=message):
        run(dict({LOOK: {"stdout": EXPORT}}, **answers), **QUOTA)


def test_a_host_without_mailu(make_host):
    host = make_host({}, {})
    options = dict(OPTIONS, domains=[{"name": "example.org"}])
    with pytest.raises(MailuConfigError, match="no Docker on this host"):
        manage(host, options, False)
    foretold = manage(host, options, True)
    assert foretold["changes"][0]["action"] == "created"
    assert "is taken as nothing" in foretold["warnings"][0]


def test_purge_never_deletes_everything(run):
    with pytest.raises(MailuConfigError, match="purge has users, and users is empty"):
        run({LOOK: {"stdout": EXPORT}}, purge=["users"])


def test_yaml_reads_the_input_as_it_is():
    yaml = pytest.importorskip("yaml")
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies

    @hypothesis.settings(max_examples=300, deadline=None)
    @hypothesis.given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=12))
    @hypothesis.example("a\x7f\x85\u2028\ufeff\U0001f600 : '\"\\n#")
    def reads(text):
        given = mailu_config.Delta({"user": [{"email": "a@b.example", "password": text}]}, [])
        assert yaml.safe_load(document(given)) == given.objects

    reads()
