# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings of the role postfix ask of Postfix, and which are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import postconf
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import postfix_settings
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.postfix_settings import (
    SettingError,
)

ROLE = Path(__file__).resolve().parents[4] / "roles" / "postfix"
ROOT = ["127.0.0.0/8", "[::1]/128"]


def given(**more):
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    values = {name.replace("postfix_", "", 1): value for name, value in defaults.items()}
    return {**values, "hostname": "mail.example.org", **more}


def made(**more):
    return postfix_settings.settings(given(**more))


def test_the_role_hands_over_every_setting():
    text = (ROLE / "vars" / "main.yml").read_text()
    used = {name for name in given() if f'  {name}: "{{{{ postfix_{name}' in text}
    assert set(given()) - used == {"packages", "replace_mta"}


def test_a_null_client_listens_to_nobody_and_delivers_nothing_here():
    parameters = made(profile="null_client")["parameters"]
    assert parameters["inet_interfaces"] == "loopback-only"
    assert parameters["mydestination"] == ""
    assert parameters["local_transport"].startswith("error:")
    assert parameters["mynetworks"] == ROOT


def test_a_smarthost_takes_mail_of_its_networks_and_hides_the_password():
    result = made(
        profile="smarthost",
        networks=["192.0.2.0/24", "2001:db8::/32"],
        smarthost="[smtp.example.net]:587",
        smarthost_user="me",
        smarthost_password="secret",
    )
    parameters = result["parameters"]
    assert parameters["mynetworks"] == [*ROOT, "192.0.2.0/24", "[2001:db8::]/32"]
    assert parameters["relayhost"] == "[smtp.example.net]:587"
    assert parameters["smtp_tls_security_level"] == "encrypt"
    assert result["tables"]["sasl_passwd"] == "[smtp.example.net]:587 me:secret\n"
    assert "secret" not in str(parameters)


def test_a_mail_host_with_submission():
    result = made(
        domains=["example.org"], submission=True, tls_certificate="/c.pem", tls_key="/k.pem"
    )
    assert result["parameters"]["mydestination"][-1] == "example.org"
    services = {entry["service"]: entry for entry in result["services"]}
    assert services["submissions"]["options"]["smtpd_tls_wrappermode"] is True
    for entry in services.values():
        assert entry["options"]["smtpd_tls_security_level"] == "encrypt"
        assert entry["options"]["smtpd_relay_restrictions"].endswith("reject")
    # The role has nobody log in on port 25.
    assert "smtpd_sasl_auth_enable" not in result["parameters"]


def test_another_profile_takes_submission_away_and_an_own_entry_wins():
    entries = made(profile="null_client")["services"]
    assert [(entry["service"], entry["state"]) for entry in entries] == [
        ("submission", "absent"),
        ("submissions", "absent"),
    ]
    own = {"service": "submission", "command": "smtpd"}
    assert made(services=[own])["services"].count(own) == 1
    assert [entry["service"] for entry in made(services=[own])["services"]] == [
        "submissions",
        "submission",
    ]


def test_a_backup_mx_asks_the_primary_unless_it_knows_the_recipients():
    domains = {"example.org": "[mail.example.org]"}
    asks = made(profile="backup_mx", backup_domains=domains)
    assert asks["parameters"]["relay_domains"] == ["example.org"]
    assert asks["parameters"]["smtpd_recipient_restrictions"][-1] == "reject_unverified_recipient"
    assert asks["tables"]["transport"] == "example.org relay:[mail.example.org]\n"
    knows = made(profile="backup_mx", backup_domains=domains, backup_recipients=["a@example.org"])
    assert "reject_unverified_recipient" not in str(knows["parameters"])
    assert knows["parameters"]["relay_recipient_maps"]
    assert knows["tables"]["relay_recipients"] == "a@example.org OK\n"


def test_blocklists_count_only_what_means_a_listing():
    restrictions = made(dnsbl=[{"zone": "zen.spamhaus.org", "codes": "127.0.0.[2..11]"}])
    assert "reject_rbl_client zen.spamhaus.org=127.0.0.[2..11]" in str(restrictions)


def test_aliases_and_what_a_profile_does_not_need():
    result = made(aliases={"root": "me@example.net", "postmaster": ["a@b.net", "c@d.net"]})
    assert result["tables"]["aliases"] == "postmaster a@b.net, c@d.net\nroot me@example.net\n"
    assert result["absent"] == []
    maybe = {entry["parameter"] for entry in result["absent_if"]}
    assert "transport_maps" in maybe
    assert not maybe & set(result["parameters"])


CERTIFICATE = {"tls_certificate": "/c.pem", "tls_key": "/k.pem"}
BACKUP = {
    "profile": "backup_mx",
    "backup_domains": {"example.org": "[mail.example.org]"},
    "dnsbl": [{"zone": "zen.spamhaus.org", "codes": "127.0.0.[2..11]"}],
}
RELAY = {
    "profile": "smarthost",
    "smarthost": "[smtp.example.net]:587",
    "smarthost_user": "me",
    "smarthost_password": "secret",
}


def left_behind(before, **more):
    """Return which of these parameters a run with these settings removes."""
    result = made(**more)
    texts = {name: postconf.value_text(name, value) for name, value in before.items()}
    return set(postconf.matching(result["absent_if"], texts)) & set(before)


@pytest.mark.parametrize(
    ("earlier", "gone"),
    [
        (
            {**BACKUP, **CERTIFICATE},
            {
                "address_verify_positive_expire_time",
                "smtp_tls_mandatory_protocols",
                "smtpd_helo_required",
                "smtpd_recipient_restrictions",
                "smtpd_tls_cert_file",
                "smtpd_tls_key_file",
                "smtpd_tls_mandatory_protocols",
                "smtpd_tls_security_level",
                "transport_maps",
                "unverified_recipient_reject_code",
                "virtual_alias_maps",
            },
        ),
        (
            RELAY,
            {
                "smtp_sasl_auth_enable",
                "smtp_sasl_password_maps",
                "smtp_sasl_security_options",
                "smtpd_helo_required",
                "smtpd_recipient_restrictions",
                "smtpd_tls_security_level",
                "virtual_alias_maps",
            },
        ),
    ],
)
def test_another_profile_takes_away_what_the_one_before_has_set(earlier, gone):
    before = made(**earlier, aliases={"root": "me@example.net"})["parameters"]
    now = made(profile="null_client", **CERTIFICATE)
    assert set(before) - set(now["parameters"]) == gone
    assert left_behind(before, profile="null_client", **CERTIFICATE) == gone


def test_recipients_of_a_backup_mx_are_asked_for_again():
    before = made(**BACKUP, backup_recipients=["a@example.org"])["parameters"]
    assert left_behind(before, **BACKUP) == {"relay_recipient_maps"}
    # The table is not emptied while Postfix still reads it.
    assert "relay_recipients" not in made(**BACKUP)["tables"]


@pytest.mark.parametrize("profile", ["mail_host", "null_client"])
def test_what_the_administrator_has_set_stays(profile):
    own = {
        "virtual_alias_maps": "hash:/etc/postfix/virtual",
        "transport_maps": "hash:/etc/postfix/transport",
        "address_verify_positive_expire_time": "31d",
        "local_transport": "lmtp:unix:/run/lmtp",
        "mailbox_transport": "lmtp:unix:private/dovecot-lmtp",
        "relay_recipient_maps": "ldap:/etc/postfix/recipients.cf",
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": "hash:/etc/postfix/sasl_passwd",
        "smtp_sasl_security_options": "noanonymous",
        "smtp_tls_mandatory_protocols": ">=TLSv1.2",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
        "smtpd_tls_cert_file": "/etc/ssl/certs/own.pem",
    }
    result = made(profile=profile)
    present = set(own) - set(result["parameters"])
    assert left_behind({name: own[name] for name in present}, profile=profile) == set()
    assert not present & set(result["absent"])
    assert present >= {"virtual_alias_maps", "mailbox_transport", "smtp_sasl_auth_enable"}


def test_only_submission_of_the_role_goes():
    absent = {entry["service"]: entry["options"] for entry in made()["services"]}
    for entry in made(submission=True, **CERTIFICATE)["services"]:
        options = absent.pop(entry["service"])
        assert postconf.has_options(postconf.wanted_service(entry, None), options)
        # Of the one that Debian's master.cf has as a comment.
        own = {**entry, "options": {"syslog_name": "postfix/" + entry["service"]}}
        assert not postconf.has_options(postconf.wanted_service(own, None), options)
    assert absent == {}


def test_the_password_goes_when_postfix_does_not_look_for_it_any_more():
    tasks = yaml.safe_load((ROLE / "tasks" / "configuration.yml").read_text())
    names = [task["name"] for task in tasks]
    assert names.index("Password for the smarthost") < names.index("Parameters and services")
    assert names.index("Parameters and services") < names.index(
        "No password that is not used any more"
    )


def test_a_parameter_without_value_is_the_default():
    result = made(parameters={"message_size_limit": None, "delay_warning_time": "4h"})
    assert "message_size_limit" in result["absent"]
    assert result["parameters"]["delay_warning_time"] == "4h"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"profile": "relay"}, "postfix_profile is 'relay'; allowed: null_client"),
        ({"hostname": "mail"}, "postfix_hostname is 'mail'.*no dot"),
        ({"hostname": "localhost.localdomain"}, "postfix_hostname"),
        ({"domains": ["Example.org"]}, "postfix_domains is 'Example.org'"),
        ({"networks": ["0.0.0.0/0"]}, "open relay"),
        ({"networks": ["::/0"]}, "open relay"),
        ({"networks": ["192.0.2.1/24"]}, "postfix_networks is '192.0.2.1/24'"),
        ({"bind_ipv4": "2001:db8::1"}, "postfix_bind_ipv4 is '2001:db8::1'"),
        ({"bind_ipv4": "127.0.0.1"}, "others can reach"),
        ({"bind_ipv4": "192.168.178.1"}, "postfix_proxy_interfaces"),
        ({"bind_ipv6": "fd00::1"}, "postfix_proxy_interfaces"),
        ({"smarthost": "smtp.example.net 587"}, r"postfix_smarthost is"),
        ({"smarthost_user": "me"}, "belong together"),
        ({"smarthost_user": "me", "smarthost_password": "x"}, "no postfix_smarthost"),
        ({"profile": "smarthost"}, "postfix_smarthost is ''"),
        ({"profile": "backup_mx"}, "postfix_backup_domains is {}"),
        ({"backup_domains": {"example.org": "[a]"}}, "postfix_backup_domains"),
        ({"profile": "backup_mx", "backup_domains": {"example.org": ""}}, "backup_domains: exam"),
        ({"tls_key": "/k"}, "belong together"),
        ({"submission": True}, "in clear"),
        ({"queue_lifetime": "long"}, "postfix_queue_lifetime is 'long'"),
        ({"dnsbl": [{"zone": "a.b"}]}, "postfix_dnsbl: a.b"),
        ({"dnsbl": [{"zone": "a.b", "codes": "0"}]}, "reject all mail"),
        ({"aliases": {"a b": "c"}}, "postfix_aliases"),
        ({"aliases": {"root": ""}}, "postfix_aliases"),
        ({"parameters": {"smtpd_relay_restrictions": "permit"}}, "an open relay"),
        ({"parameters": {"smtpd_relay_restrictions": []}}, "an open relay"),
        ({"parameters": {"smtpd_relay_restrictions": ""}}, "an open relay"),
        (
            {"parameters": {"mynetworks": "0.0.0.0/0"}},
            "mynetworks is .*; allowed: postfix_networks",
        ),
        ({"parameters": {"relay_domains": "static:all"}}, "allowed: postfix_backup_domains"),
    ],
)
def test_refusals(more, text):
    with pytest.raises(SettingError, match=text):
        made(**more)


@pytest.mark.parametrize(
    "restrictions",
    [
        "permit, reject_unauth_destination",
        ["permit", "reject"],
        "permit_mynetworks PERMIT,reject",
        "check_client_access static:ok, reject",
        "check_client_access static:{OK} reject",
        ["check_client_access inline:{ {192.0.2.1 = reject} }"],
        "permit_mynetworks, warn_if_reject, reject_unauth_destination",
        "check_policy_service { inet:127.0.0.1:10023, default_action = reject }",
        "$own",
    ],
)
def test_restrictions_that_let_strangers_relay(restrictions):
    with pytest.raises(SettingError, match=re.escape(f"{restrictions!r}, an open relay")):
        made(parameters={"smtpd_relay_restrictions": restrictions})


@pytest.mark.parametrize(
    "restrictions",
    [
        "permit_mynetworks,permit_sasl_authenticated,defer_unauth_destination",
        ["permit_mynetworks", "Reject_Unauth_Destination", "permit"],
        "warn_if_reject reject_unknown_client_hostname, reject_unauth_destination, permit",
        "check_policy_service { inet:127.0.0.1:10023, default_action = permit }, reject",
        None,
    ],
)
def test_restrictions_that_do_not(restrictions):
    made(parameters={"smtpd_relay_restrictions": restrictions})


def test_what_is_not_refused():
    made(bind_ipv4="203.0.113.25", bind_ipv6="2001:db8::25")
    made(bind_ipv4="192.168.178.1", proxy_interfaces=["203.0.113.25"])
    made(parameters={"smtpd_relay_restrictions": ["permit_mynetworks", "reject"]})
