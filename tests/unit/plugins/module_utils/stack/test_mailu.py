# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Mailu, and what of them stands in mailu.env."""

from __future__ import annotations

import re

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    env_document,
    stack,
    value_kind,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config

MAILU = stack.get("mailu")
OWN = {
    "DOMAIN": ("mailu_domain", "example.org"),
    "HOSTNAMES": ("mailu_hostnames", "mail.example.org"),
    "SUBNET": ("mailu_subnet", "192.168.203.0/24"),
    "ADMIN": ("mailu_admin", True),
    "WEBMAIL": ("mailu_webmail", "roundcube"),
    "BIND_ADDRESS4": ("mailu_bind_ipv4", "192.0.2.1"),
}


def resolve(settings=None, own=None, **more):
    return config.resolve(
        MAILU, settings or {}, {**OWN, **(own or {})}, option="mailu_config", **more
    )


def written(settings=None, text=None, **more):
    """The text of mailu.env that these settings lead to."""
    result = resolve(settings, **more)
    assert result["problems"] == []
    return env_document.plan(
        text,
        result["values"],
        result["secrets"],
        result["defaults"],
        {entry["key"]: lambda length=entry["length"]: "x" * length for entry in result["generate"]},
        result["absent"],
        result["create_only"],
        result["quote"],
        result["secret_keys"],
        result["layout"],
    ).after


def test_every_default_is_a_value_of_its_kind():
    for key in MAILU["keys"]:
        if key["default"] is not None:
            problem = value_kind.problem(key["default"], key["kind"], key["choices"], key["empty"])
            assert not problem, (key["name"], problem)
        assert key["change"] in MAILU["actions"], key["name"]
        for span in ("since", "until"):
            assert key[span] in ("", *MAILU["series"]), key["name"]


def test_keys_are_known_once_and_none_is_removed_as_well():
    names = [key["name"] for key in MAILU["keys"]]
    assert len(names) == len(set(names))
    assert not set(names) & (set(MAILU["removed"]) | set(MAILU["ignored"]))
    assert not set(MAILU["removed"]) & set(MAILU["ignored"])


def test_a_new_file_has_every_key_that_is_not_optional():
    document = written(series="2024.06")
    wanted = [
        key["name"]
        for key in MAILU["keys"]
        if not (key["optional"] or key["compose_only"]) and key["since"] != "master"
    ]
    assert document.keys() == wanted
    assert document.get("HOSTNAMES") == "mail.example.org"
    # Unset is not the same as none, to Mailu's front.
    assert {name: document.get(name) for name in ("ADMIN", "WEBMAIL", "WEBDAV", "API")} == {
        "ADMIN": "true",
        "WEBMAIL": "roundcube",
        "WEBDAV": "none",
        "API": "false",
    }
    assert (len(document.get("SECRET_KEY")), len(document.get("API_TOKEN"))) == (16, 32)
    assert "BIND_ADDRESS4" not in document.text


def test_writing_again_changes_nothing():
    text = written(series="2024.06").text
    assert written(text=text, series="2024.06").text == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(False, ""), ("false", ""), ("No", ""), ("", ""), (True, "true"), ("yes", "true")],
)
def test_false_is_nothing_where_every_text_counts_as_true(value, text):
    document = written({"DEFER_ON_TLS_ERROR": value})
    assert document.get("DEFER_ON_TLS_ERROR") == text
    own = {"FULL_TEXT_SEARCH_ATTACHMENTS": ("mailu_fts_attachments", value)}
    assert written(own=own).get("FULL_TEXT_SEARCH_ATTACHMENTS") == text


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (False, "no"), ("yes", "yes"), ("no", "no")]
)
def test_a_truth_value_in_words_of_its_own(value, text):
    settings = {"REJECT_UNLISTED_RECIPIENT": value}
    assert written(settings).get("REJECT_UNLISTED_RECIPIENT") == text


def test_what_is_not_declared_any_more_is_taken_out():
    text = written({"RELAYNETS": "192.0.2.0/28", "DMARC_RUA": "reports"}).text
    again = written(text=text)
    assert again.get("RELAYNETS") == ""
    assert again.get("DMARC_RUA") is None
    assert "MY_OWN=1\n" in written(text=text + "MY_OWN=1\n").text


def test_what_a_running_system_depends_on_is_not_taken_out():
    database = {"DB_FLAVOR": "mysql", "DB_HOST": "db", "DB_NAME": "m", "DB_USER": "m", "DB_PW": "p"}
    text = written(database).text
    again = written(text=text)
    assert {name: again.get(name) for name in database} == database
    with pytest.raises(env_document.EnvError, match="DB_HOST is not changed: .*empty database"):
        written({**database, "DB_HOST": "other"}, text=text)


def test_the_secret_key_of_a_running_system_stays():
    text = written().text
    with pytest.raises(env_document.EnvError, match="SECRET_KEY is not changed: .*sessions"):
        written({"SECRET_KEY": "A" * 16}, text=text)
    with pytest.raises(env_document.EnvError, match="SECRET_KEY is not changed: .*write down"):
        written(text=re.sub("SECRET_KEY=.*\n", "", text))


def test_old_names_are_taken_out():
    text = written().text + "LOG_DRIVER=journald\nHOST_ADMIN=admin\n"
    assert not re.search("LOG_DRIVER|HOST_ADMIN", written(text=text).text)


def test_a_release_has_only_its_keys():
    old = written(series="2.0")
    assert old.get("PORTS") is None
    assert "PORTS=" not in old.text
    assert written(series="master").get("DMARC_SEND_REPORTS") == "false"
    (problem,) = resolve({"DMARC_SEND_REPORTS": True}, series="2024.06")["problems"]
    assert "Mailu 2024.06 does not know this key; it is of master and later" in problem


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"AUTH_RATELIMIT_IP": "5/h"}, "AUTH_RATELIMIT_IP: '5/h' .*NUMBER/UNIT, such as 50/day"),
        ({"AUTH_RATELIMIT_IP": "10/minute;1000/hour"}, "AUTH_RATELIMIT_IP: .*one limit"),
        ({"MESSAGE_RATELIMIT": "0/day"}, "MESSAGE_RATELIMIT"),
        ({"MESSAGE_SIZE_LIMIT": "50M"}, "MESSAGE_SIZE_LIMIT: '50M' .*whole number"),
        ({"MESSAGE_SIZE_LIMIT": ""}, "MESSAGE_SIZE_LIMIT: '' .*whole number"),
        ({"DEFAULT_SPAM_THRESHOLD": 101}, "DEFAULT_SPAM_THRESHOLD: 101 .*0 to 100"),
        ({"AUTH_RATELIMIT": "10/minute"}, "AUTH_RATELIMIT is not used any more: replaced by AUTH"),
        ({"LOG_DRIVER": "json-file"}, "LOG_DRIVER is not used any more: .*journald"),
        ({"POSTFIX_LOG_FILE": "x"}, "POSTFIX_LOG_FILE is not used any more: .*journal"),
        ({"INITIAL_ADMIN_PW": "it's"}, "INITIAL_ADMIN_PW is not used any more: .*mailu_admin_acc"),
        ({"SECRET_KEY_FILE": "/x"}, "SECRET_KEY_FILE is not used any more"),
        ({"ADMIN_ADDRESS": "x"}, "ADMIN_ADDRESS is not used any more: services are found"),
        ({"HOSTNAMES": "a.b.c"}, "mailu_config.HOSTNAMES: set mailu_hostnames instead"),
        ({"BIND_ADDRESS4": "192.0.2.7"}, "BIND_ADDRESS4: set mailu_bind_ipv4 instead"),
        ({"WEBMIAL": "x"}, r"no such key \(did you mean WEBMAIL\?\); .*mailu_config_extra"),
        ({"RELAYNETS": "0.0.0.0/0"}, "RELAYNETS: 0.0.0.0/0 is an open relay"),
        ({"RELAYNETS": "192.0.2.0/28,::/0"}, "RELAYNETS: ::/0 is an open relay"),
        ({"RELAYNETS": "198.51.0.0/16"}, "RELAYNETS: .*for 65536 addresses; allowed: .*/24"),
        ({"RELAYUSER": "u"}, "RELAYUSER and RELAYPASSWORD go together"),
        ({"RELAYUSER": "u", "RELAYPASSWORD": "p"}, "RELAYUSER needs RELAYHOST"),
        ({"REAL_IP_HEADER": "X-Real-IP"}, "REAL_IP_HEADER needs REAL_IP_FROM"),
        ({"PROXY_PROTOCOL": "25"}, "PROXY_PROTOCOL needs REAL_IP_FROM"),
        (
            {"PROXY_PROTOCOL": "25", "REAL_IP_HEADER": "X", "REAL_IP_FROM": "192.0.2.1"},
            "exclude each other",
        ),
        ({"PORTS": "25,80,443,465,993,8080"}, "PORTS: .*nothing on 8080"),
        ({"PORTS": "80,443,465"}, "PORTS: .*lacks 25, 993"),
        ({"PORTS": "25,443,465,993"}, "PORTS: .*lacks 80, where Let's Encrypt looks"),
        ({"WEBROOT_REDIRECT": "/dav"}, "WEBROOT_REDIRECT: '/dav' leads nowhere; .*/admin"),
        ({"WEB_ADMIN": "/webmail"}, "WEB_ADMIN and WEB_WEBMAIL are both '/webmail'"),
        ({"WEB_ADMIN": "admin"}, "WEB_ADMIN: 'admin' .*begins with /"),
        ({"DB_FLAVOR": "mysql", "DB_HOST": "h"}, "DB_FLAVOR: mysql needs DB_USER, DB_PW, DB_NAME"),
        ({"DB_HOST": "h"}, "DB_HOST needs DB_FLAVOR"),
        ({"API_TOKEN": "abc"}, "API_TOKEN: the value is not usable: allowed: at least 4"),
        ({"FULL_TEXT_SEARCH": "english"}, "FULL_TEXT_SEARCH: 'english' .*en,de"),
    ],
)
def test_wrong_settings_are_named(settings, problem):
    problems = "\n".join(resolve(settings, series="2024.06")["problems"])
    assert re.search(problem, problems), problems
    assert "mailu_config" in problems


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (
            {"HOSTNAMES": ("mailu_hostnames", "mail.example.org, www.example.org")},
            "mailu_hostnames: 'mail.example.org, www.example.org' .*without blanks",
        ),
        ({"HOSTNAMES": ("mailu_hostnames", "")}, "mailu_hostnames: '' "),
        ({"DOMAIN": ("mailu_domain", "example")}, "mailu_domain: 'example' .*no dot"),
        ({"SUBNET": ("mailu_subnet", "8.8.8.0/24")}, "mailu_subnet: .*private IPv4 network"),
        ({"SUBNET": ("mailu_subnet", "192.168.203.0/28")}, "too few addresses"),
        ({"TLS_FLAVOR": ("mailu_tls_flavor", "certs")}, "allowed: letsencrypt, cert"),
        ({"POSTMASTER": ("mailu_postmaster", "a@b.c")}, "mailu_postmaster: .*before the @"),
        (
            {"FULL_TEXT_SEARCH_ATTACHMENTS": ("mailu_fts_attachments", True)},
            "FULL_TEXT_SEARCH is off, but mailu_fts_attachments is true",
        ),
    ],
)
def test_wrong_variables_are_named(own, problem):
    settings = {"FULL_TEXT_SEARCH": "off"}
    problems = "\n".join(resolve(settings, own=own)["problems"])
    assert re.search(problem, problems), problems


def test_another_network_needs_down_and_up():
    assert config.needed_action(MAILU, ["SITENAME"]) == "up"
    assert config.needed_action(MAILU, ["SITENAME", "SUBNET"]) == "down_up"


def test_preflight_knows_the_addresses_of_the_ports():
    assert {"BIND_ADDRESS4", "SUBNET", "SUBNET6"} <= set(MAILU["host_keys"])
