# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    env_document,
    stack,
    value_kind,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config

MAILCOW = stack.get("mailcow")
OWN = {
    "MAILCOW_HOSTNAME": ("mailcow_hostname", "mail.example.org"),
    "TZ": ("mailcow_timezone", "Europe/Berlin"),
}


def resolve(settings=None, **more):
    return config.resolve(MAILCOW, settings or {}, dict(OWN), option="mailcow_config", **more)


def written(settings=None, text=None, **more):
    """The text of mailcow.conf that these settings lead to."""
    result = resolve(settings, **more)
    assert result["problems"] == []
    return env_document.plan(
        text,
        result["values"],
        result["secrets"],
        result["defaults"],
        {entry["key"]: lambda: "x" * 28 for entry in result["generate"]},
        result["absent"],
        result["create_only"],
        result["quote"],
        result["secret_keys"],
        result["layout"],
    ).after


def test_unknown_stack_names_the_known_ones():
    with pytest.raises(ValueError, match="known: mailcow"):
        stack.get("exchange")


def test_every_default_is_a_value_of_its_kind():
    for key in MAILCOW["keys"]:
        if key["default"] is not None:
            problem = value_kind.problem(key["default"], key["kind"], key["choices"], key["empty"])
            assert not problem, (key["name"], problem)
        assert key["change"] in MAILCOW["actions"], key["name"]


def test_keys_are_known_once_and_none_is_removed_as_well():
    names = [key["name"] for key in MAILCOW["keys"]]
    assert len(names) == len(set(names))
    assert not set(names) & (set(MAILCOW["removed"]) | set(MAILCOW["ignored"]))


def test_each_published_port_has_its_key_and_default():
    keys = {key["name"]: key for key in MAILCOW["keys"]}
    for port in MAILCOW["ports"]:
        default = keys[port["variable"]]["default"]
        assert default.rpartition(":")[2] == str(port["port"])
        assert default.rpartition(":")[0] == port["address"]
        assert port["service"] in MAILCOW["services"]


def test_a_new_file_has_every_key_that_is_not_optional():
    document = written()
    required = [
        key["name"] for key in MAILCOW["keys"] if not (key["optional"] or key["compose_only"])
    ]
    assert document.keys() == required
    assert document.get("MAILCOW_HOSTNAME") == "mail.example.org"
    assert document.get("DOCKER_COMPOSE_VERSION") == "native"
    assert document.get("ENABLE_IPV6") == "true"
    assert "\n#API_KEY=\n" in document.text


def test_writing_again_changes_nothing():
    text = written().text
    assert written(text=text).text == text


def test_a_setting_replaces_the_default_in_its_place():
    text = written({"SKIP_CLAMD": True, "LOG_LINES": 50, "API_KEY": "a-1", "API_ALLOW_FROM": "::1"})
    assert text.get("SKIP_CLAMD") == "y"
    assert text.get("LOG_LINES") == "50"
    assert "\nAPI_KEY=a-1\n" in text.text
    assert "#API_KEY=" not in text.text


def test_secrets_are_kept_apart():
    result = resolve({"DBPASS": "abc", "API_KEY": "k", "API_ALLOW_FROM": "127.0.0.1"})
    assert result["secrets"] == {"DBPASS": "abc", "API_KEY": "k"}
    assert "DBPASS" not in {**result["values"], **result["defaults"], **result["effective"]}
    assert "DBPASS" not in [entry["key"] for entry in result["generate"]]


def test_a_system_that_runs_keeps_what_may_only_be_set_once():
    text = written().text.replace("MAILDIR_SUB=Maildir", "MAILDIR_SUB=")
    assert written(text=text).get("MAILDIR_SUB") == ""
    with pytest.raises(env_document.EnvError, match="hides all mail"):
        written({"MAILDIR_SUB": "Maildir"}, text=text)


def test_values_for_keys_that_are_not_set_yet():
    assert written(own_defaults={"ENABLE_IPV6": "false"}).get("ENABLE_IPV6") == "false"
    text = written().text
    assert written(text=text, own_defaults={"ENABLE_IPV6": "false"}).get("ENABLE_IPV6") == "true"


def test_text_is_quoted():
    body = '{"text": "${SUBJECT} ${BODY}"}'
    settings = {
        "WATCHDOG_NOTIFY_WEBHOOK": "https://hooks.example.org/x",
        "WATCHDOG_NOTIFY_WEBHOOK_BODY": body,
    }
    assert written(settings).get("WATCHDOG_NOTIFY_WEBHOOK_BODY") == body


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"HTTP_BIND": "1.2.3.4:80"}, "HTTP_BIND: '1.2.3.4:80' .*one IPv4 address without a port"),
        ({"HTTP_PORT": 70000}, "HTTP_PORT: 70000 .*1 to 65535"),
        ({"HTTP_PORT": "1.2.3.4:80"}, "HTTP_PORT: .*without an address"),
        ({"HTTPS_PORT": 8081}, "HTTPS_PORT: 8081 is used inside the container"),
        ({"SMTP_PORT": "1.2.3.4:0"}, "SMTP_PORT: .*PORT or IPV4:PORT"),
        ({"SMTP_PORT": 465}, "SMTP_PORT and SMTPS_PORT are both on port 465|SMTPS_PORT"),
        ({"SKIP_CLAMD": "maybe"}, "SKIP_CLAMD: 'maybe' .*y or n"),
        ({"SKIP_CLAMD": "y\n"}, "SKIP_CLAMD"),
        ({"LOG_LINES": -1}, "LOG_LINES: -1 .*whole number"),
        ({"LOG_LINES": [1]}, "LOG_LINES: .*not a list"),
        ({"IPV4_NETWORK": "8.8.8"}, "IPV4_NETWORK: '8.8.8' .*private"),
        ({"IPV4_NETWORK": "10.1.2.0"}, "IPV4_NETWORK: '10.1.2.0'"),
        ({"IPV6_NETWORK": "2001:db8::/64"}, "IPV6_NETWORK: .*fc00::/7"),
        ({"ADDITIONAL_SAN": "imap.*, smtp.*"}, "ADDITIONAL_SAN: .*without blanks"),
        ({"WATCHDOG_NOTIFY_EMAIL": "a b@example.org"}, "WATCHDOG_NOTIFY_EMAIL: .*addresses"),
        ({"MAILCOW_PASS_SCHEME": "MD5"}, "allowed: BLF-CRYPT, SSHA, SSHA256, SSHA512"),
        ({"MAILCOW_HOSTNAME": "a.b.c"}, "set mailcow_hostname instead"),
        ({"SKIP_SOLR": "y"}, "SKIP_SOLR is not used any more: .*SKIP_FTS"),
        ({"AZUREDNS_ZONE": "x"}, "no container gets it"),
        ({"SKIP_CLAM": "y"}, r"no such key \(did you mean SKIP_CLAMD\?\); .*mailcow_config_extra"),
        ({"DOVECOT_MASTER_USER": "x"}, "DOVECOT_MASTER_USER and DOVECOT_MASTER_PASS go together"),
        ({"API_KEY": "abc"}, "API_KEY needs API_ALLOW_FROM"),
        ({"ACME_DNS_CHALLENGE": "y"}, "ACME_DNS_PROVIDER: 'dns_xxx' is only a sample"),
    ],
)
def test_wrong_settings_are_named(settings, problem):
    problems = "\n".join(resolve(settings)["problems"])
    import re

    assert re.search(problem, problems), problems
    assert "mailcow_config" in problems


def test_the_value_of_a_secret_is_not_named():
    problems = resolve({"DBPASS": "has blank"})["problems"]
    assert problems
    assert "has blank" not in problems[0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mail", "no dot"),
        ("mail.example.org.", "ends with a dot"),
        ("Mail.example.org", "upper case"),
        ("mail_1.example.org", "a label"),
        ("-a.example.org", "a label"),
        ("mail..example.org", "a label"),
        ("10.0.0.1", "an IP address"),
        ("mail.example.org\n", "a label"),
        ("a." * 127 + "org", "253"),
    ],
)
def test_host_names(name, problem):
    found = config.resolve(MAILCOW, {}, {"MAILCOW_HOSTNAME": ("mailcow_hostname", name)})
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("mailcow_hostname: ")
    assert problem in found["problems"][0]


def test_extra_keys_are_written_when_declared():
    assert written({"MY_KEY": "1"}, extra=["MY_KEY"]).get("MY_KEY") == "1"


def test_old_keys_are_removed():
    text = written().text + "SKIP_SOLR=y\n"
    assert "SKIP_SOLR" not in written(text=text).text


def test_the_strongest_action_counts():
    assert config.needed_action(MAILCOW, []) == "nothing"
    assert config.needed_action(MAILCOW, ["DOCKER_COMPOSE_VERSION"]) == "nothing"
    assert config.needed_action(MAILCOW, ["DOCKER_COMPOSE_VERSION", "TZ"]) == "up"
    assert config.needed_action(MAILCOW, ["TZ", "IPV4_NETWORK", "MY_KEY"]) == "down_up"


def test_ports_bound_to_an_ipv4_address_get_an_ipv6_address():
    settings = {"HTTP_PORT": 8080, "HTTP_BIND": "192.0.2.1", "SMTP_PORT": "192.0.2.1:2525"}
    effective = resolve(settings)["effective"]
    ports = config.ipv6_ports(MAILCOW, "2001:db8::1", effective)["services"]
    assert ports == {
        "postfix-mailcow": {"ports": ["[2001:db8::1]:2525:25"]},
        "nginx-mailcow": {"ports": ["[2001:db8::1]:8080:8080"]},
    }


def test_an_ipv6_address_for_ports_that_are_on_all_of_them_is_refused():
    with pytest.raises(ValueError, match="only where ports are bound to an IPv4 address"):
        config.ipv6_ports(MAILCOW, "2001:db8::1", resolve()["effective"])
