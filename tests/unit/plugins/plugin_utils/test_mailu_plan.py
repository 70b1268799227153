# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mailu writes, and what it refuses."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.filter.mailu_compose import mailu_compose
from ansible_collections.postmaster.mailhost.plugins.filter.mailu_plan import mailu_plan
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.mailu_plan import (
    installed,
    private_subnet6,
    upgrade_problem,
    version_problem,
)

OPTIONS = {
    "hostnames": ["mail.example.org"],
    "domain": "example.org",
    "postmaster": "postmaster",
    "timezone": "Etc/UTC",
    "version": "2024.06",
    "accept_insecure_version": False,
    "upgrade_from": "",
    "root": "/mailu",
    "org": "ghcr.io/mailu",
    "prefix": "",
    "bind_ipv4": "auto",
    "bind_ipv6": "",
    "subnet": "192.168.203.0/24",
    "subnet6": "auto",
    "mtu": "auto",
    "egress_ipv4": "auto",
    "webmail": "roundcube",
    "antivirus": False,
    "webdav": False,
    "fetchmail": False,
    "oletools": True,
    "resolver": True,
    "fts_attachments": False,
    "admin": True,
    "api": False,
    "tls_flavor": "letsencrypt",
    "tls_certificate": "",
    "tls_key": "",
    "config": {},
    "config_extra": [],
    "overrides": {},
    "compose_override": {},
}
ENGINE = {"iptables": True, "ip6tables": True, "userland_proxy": True}
HOST = {
    "default_route": {
        "ipv4": {"interface": "eth0", "gateway": "192.0.2.1", "mtu": 1500, "source": "192.0.2.10"},
        "ipv6": None,
    },
    "engine": ENGINE,
}


def plan(host=None, files=None, **more):
    return mailu_plan({**OPTIONS, **more}, HOST if host is None else host, files or {})


def content(result, path="docker-compose.yml"):
    return next(entry["content"] for entry in result["files"] if entry["path"] == path)


def test_a_plan():
    result = plan(overrides={"postfix": {"postfix.cf": "smtpd_client_connection_rate_limit = 30"}})
    assert result["problems"] == []
    assert yaml.safe_load(content(result)) == result["compose"]
    assert content(result).startswith("# Managed by Ansible")
    assert "&" not in content(result)
    assert content(result, ".env").splitlines()[1:] == [
        "MAILU_VERSION=2024.06",
        "DOCKER_ORG=ghcr.io/mailu",
        "DOCKER_PREFIX=",
    ]
    assert content(result, "overrides/postfix/postfix.cf").endswith("= 30\n")
    assert result["watch"]["smtp"] == ["overrides/postfix"]
    assert result["watch"]["webmail"] == ["overrides/roundcube"]
    assert {"certs", "overrides/nginx", "overrides/rspamd"} <= set(result["directories"])
    assert result["settings"]["values"]["WEBMAIL"] == "roundcube"
    assert result["compose"]["services"]["front"]["ports"][0] == "192.0.2.10:25:25"


def test_before_the_host_was_looked_at_only_the_variables_are_judged():
    assert plan(host={})["problems"] == []


@pytest.mark.parametrize(
    ("given", "bound", "egress"),
    [
        ({}, "192.0.2.10", None),
        ({"bind_ipv4": "192.0.2.11"}, "192.0.2.11", "192.0.2.11"),
        ({"bind_ipv4": "192.0.2.11", "egress_ipv4": ""}, "192.0.2.11", None),
        ({"egress_ipv4": "192.0.2.12"}, "192.0.2.10", "192.0.2.12"),
    ],
)
def test_mail_leaves_from_the_address_that_it_arrives_at(given, bound, egress):
    result = plan(**given)
    assert result["problems"] == []
    assert result["bind_ipv4"] == bound
    options = result["compose"]["networks"]["default"].get("driver_opts", {})
    assert options.get("com.docker.network.host_ipv4") == egress


@pytest.mark.parametrize(
    ("mtu", "route", "wanted"),
    [("auto", 1500, None), ("auto", 1450, "1450"), ("auto", 9000, None), (1400, 1500, "1400")],
)
def test_mtu(mtu, route, wanted):
    host = {**HOST, "default_route": {"ipv4": {"source": "192.0.2.10", "mtu": route}}}
    options = plan(host, mtu=mtu)["compose"]["networks"]["default"].get("driver_opts", {})
    assert options.get("com.docker.network.driver.mtu") == wanted


SAFE = {"iptables": True, "ip6tables": True, "userland_proxy": False}


@pytest.mark.parametrize(
    ("engine", "given", "problem"),
    [
        ({"iptables": False}, {}, "iptables: false in daemon.json.*open relay"),
        ({}, {"bind_ipv4": "0.0.0.0"}, "mailu_bind_ipv4: '0.0.0.0' is an open relay while"),
        (SAFE, {"bind_ipv4": "0.0.0.0"}, ""),
        ({}, {"bind_ipv6": "2001:db8::10"}, "mailu_bind_ipv6: .* userland proxy is on"),
        (
            {**SAFE, "ip6tables": False},
            {"bind_ipv6": "2001:db8::10"},
            "needs the engine's rules for IPv6",
        ),
        (SAFE, {"bind_ipv6": "2001:db8::10"}, ""),
        (SAFE, {"bind_ipv6": "2001:db8::10", "subnet6": ""}, "needs an IPv6 network.*may relay"),
        (SAFE, {"bind_ipv6": "::"}, "'::' is every address"),
        (SAFE, {"bind_ipv6": "auto"}, "mailu_bind_ipv6: 'auto' finds no address"),
    ],
)
def test_where_strangers_would_appear_as_friends(engine, given, problem):
    found = "\n".join(plan({**HOST, "engine": {**ENGINE, **engine}}, **given)["problems"])
    assert bool(found) == bool(problem), found
    assert re.search(problem, found), found


def test_ipv6():
    result = plan({**HOST, "engine": SAFE}, bind_ipv6="2001:db8::10")
    network = private_subnet6("mail.example.org")
    assert re.fullmatch(r"fd[0-9a-f]{2}:[0-9a-f:]+::/64", network)
    assert result["settings"]["values"]["SUBNET6"] == network
    assert result["compose"]["networks"]["default"]["enable_ipv6"] is True
    assert plan()["settings"]["values"]["SUBNET6"] == ""


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"version": "1.9"}, "mailu_version: '1.9' is not known here; allowed: 2.0, 2024.06"),
        ({"version": "2024.06.55"}, "known security holes; allowed: 2024.06.56 and later"),
        ({"version": "2.0"}, "known security holes"),
        ({"version": "2024.06.55", "accept_insecure_version": True}, ""),
        ({"version": "2024.06.56"}, ""),
        ({"version": "master"}, ""),
        ({"root": "mailu"}, "mailu_root: 'mailu'"),
        ({"root": "/"}, "mailu_root: '/'"),
        ({"root": "/srv/my mail"}, "mailu_root: '/srv/my mail'"),
        ({"org": "GHCR.io/x y"}, "mailu_org"),
        ({"mtu": "many"}, "mailu_mtu: 'many'"),
        ({"bind_ipv4": "mail"}, "mailu_bind_ipv4: 'mail'.*IPv4 address"),
        ({"bind_ipv4": ""}, "mailu_bind_ipv4: ''"),
        ({"egress_ipv4": "x"}, "mailu_egress_ipv4: 'x'"),
        ({"bind_ipv6": "192.0.2.1"}, "mailu_bind_ipv6: '192.0.2.1'"),
        ({"tls_flavor": "mail"}, "mailu_tls_flavor: 'mail': .*Mailu 1.x; allowed: letsencrypt"),
        ({"tls_flavor": "notls"}, "mailu_tls_flavor: 'notls': .*unprotected"),
        ({"tls_certificate": "/a.pem"}, "mailu_tls_certificate and mailu_tls_key go together"),
        ({"tls_certificate": "/a", "tls_key": "/b"}, "of no use with mailu_tls_flavor: 'letsenc"),
        ({"fts_attachments": True, "version": "2.0"}, "Mailu 2.0 cannot search in attachments"),
        ({"webmail": "rainloop"}, "mailu_webmail: 'rainloop'.*roundcube, snappymail, none"),
        (
            {"overrides": {"postfix": {"postfix.cf": "smtpd_banner = x"}}},
            "mailu_overrides: postfix/postfix.cf: .*smtpd_banner",
        ),
        ({"compose_override": {"services": []}}, "mailu_compose_override: services: a mapping"),
        ({"hostnames": ["mail.example.org", " b.example.org"]}, "mailu_hostnames"),
        ({"config": {"LOG_DRIVER": "x"}}, "mailu_config.LOG_DRIVER"),
    ],
)
def test_refused_with_a_sentence(given, problem):
    found = "\n".join(plan(**given)["problems"])
    assert bool(found) == bool(problem), found
    assert re.search(problem, found), found


@pytest.mark.parametrize(
    ("before", "wanted", "confirmed", "problem"),
    [
        ("", "2024.06", "", ""),
        ("2024.06", "2024.06.57", "", ""),
        ("2024.06.57", "2024.06.56", "", ""),
        ("2.0", "2024.06", "", "another series: there is no way back.*mailu_upgrade_from: '2.0'"),
        ("2.0.47", "2024.06", "2.0", ""),
        ("2.0", "2024.06", "1.9", "mailu_upgrade_from: '2.0'"),
        ("2024.06.57", "2.0", "2024.06", "older than 2024.06.57.*cannot go back"),
        ("master", "2024.06", "master", "cannot go back from master to 2024.06"),
        ("1.9", "2024.06", "1.9", "1.9 is on the host, which is not known here"),
    ],
)
def test_from_one_release_to_another(before, wanted, confirmed, problem):
    found = upgrade_problem(before, wanted, confirmed)
    assert bool(found) == bool(problem), found
    assert re.search(problem, found), found


def test_the_host_is_on_a_release():
    assert installed({".env": "MAILU_VERSION=2.0\n"}) == "2.0"
    compose = "image: ${DOCKER_ORG:-ghcr.io/mailu}/${DOCKER_PREFIX:-}admin:${MAILU_VERSION:-2.0}\n"
    assert installed({".env": None, "docker-compose.yml": compose}) == "2.0"
    assert (
        installed({"docker-compose.yml": "image: ghcr.io/mailu/admin:2024.06.9\n"}) == "2024.06.9"
    )
    assert installed({}) == ""
    problems = plan(files={".env": "MAILU_VERSION=master\n"})["problems"]
    assert "cannot go back" in problems[0]


def test_networks_that_are_made_anew():
    text = content(plan(webdav=True))

    def found(**more):
        result = plan(files={"docker-compose.yml": text}, **more)
        return result["networks_changed"], result["networks_gone"]

    assert found(webdav=True) == (False, [])
    assert found(webdav=True, fts_attachments=True) == (False, [])
    assert found(webdav=True, subnet="192.168.204.0/24") == (True, [])
    assert found(webdav=True, egress_ipv4="192.0.2.12") == (True, [])
    assert found() == (False, ["mailu_radicale"])


@pytest.mark.parametrize("text", [": no", "- a", "networks: [a]", ""])
def test_a_compose_file_that_cannot_be_read_has_no_networks(text):
    assert plan(files={"docker-compose.yml": text})["networks_changed"] is False


def test_an_override_of_the_compose_file():
    own = {"services": {"smtp": {"extra_hosts": ["a:192.0.2.1"]}}, "x-mine": {"a": 1}}
    result = plan(compose_override=own)
    assert result["compose"]["services"]["smtp"]["extra_hosts"] == ["a:192.0.2.1"]
    assert result["compose"]["x-mine"] == {"a": 1}


@pytest.mark.parametrize(
    ("given", "leads"),
    [
        ({}, "/webmail"),
        ({"config": {"WEB_WEBMAIL": "/mail"}}, "/mail"),
        ({"config": {"WEB_WEBMAIL": "/"}}, ""),
        ({"webmail": "none"}, "/admin"),
        ({"webmail": "none", "admin": False}, ""),
        ({"config": {"WEBROOT_REDIRECT": "none"}}, "none"),
    ],
)
def test_where_the_root_of_the_web_leads(given, leads):
    result = plan(**given)
    assert result["problems"] == []
    assert result["settings"]["values"]["WEBROOT_REDIRECT"] == leads


def test_versions():
    assert version_problem("latest") == ""
    assert "2024.06.57" in version_problem("2024.6")


def test_what_is_missing_is_an_error_of_the_filter():
    with pytest.raises(AnsibleFilterError, match="missing: 'version'"):
        mailu_plan({})
    with pytest.raises(AnsibleFilterError, match="missing option"):
        mailu_compose({})
