# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the variables of the role mailu make of each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.test.core import match
from jinja2.nativetypes import NativeEnvironment

ROLE = Path(__file__).resolve().parents[2] / "roles" / "mailu"
VARS = yaml.safe_load((ROLE / "vars/main.yml").read_text())
ANNA = {"email": "anna@example.org", "password": "x"}


def render(name, **values):
    """Render a variable of the role with those that it is made of."""
    environment = NativeEnvironment()
    environment.filters = {**FilterModule().filters(), **environment.filters}
    environment.tests["match"] = match
    given = {
        "mailu_admin_account": {},
        "mailu_import": {},
        "mailu_postmaster": "postmaster",
        "mailu_domain": "example.org",
        **values,
    }
    needed = [
        "__mailu_admin",
        "__mailu_postmaster",
        "__mailu_admin_domain",
        "__mailu_given_domains",
        "__mailu_domains",
        "__mailu_users",
        "__mailu_aliases",
    ]
    for each in needed:
        value = environment.from_string(VARS[each]).render(given)
        given[each] = list(value) if not isinstance(value, (str, list, dict)) else value
    return given[name]


def test_without_an_administrator_nothing_is_made():
    for name in ("__mailu_domains", "__mailu_users", "__mailu_aliases"):
        assert render(name) == []


@pytest.mark.parametrize(
    ("account", "given", "domains"),
    [
        (ANNA, {}, ["example.org"]),
        ({**ANNA, "email": "a@other.test"}, {}, ["other.test", "example.org"]),
        (ANNA, {"domains": [{"name": "example.org", "comment": "x"}]}, ["example.org"]),
        (ANNA, {"domains": [{"name": "other.test"}]}, ["other.test", "example.org"]),
    ],
)
def test_the_domains_of_the_administrator_and_of_the_postmaster_exist(account, given, domains):
    found = render("__mailu_domains", mailu_admin_account=account, mailu_import=given)
    assert [domain["name"] for domain in found] == domains


def test_the_administrator_is_a_user_like_the_others():
    given = {"users": [{"email": "user@example.org"}]}
    found = render("__mailu_users", mailu_admin_account=ANNA, mailu_import=given)
    assert found == [{"email": "user@example.org"}, {"global_admin": True, **ANNA}]


@pytest.mark.parametrize(
    ("given", "aliases"),
    [
        ({}, ["postmaster@example.org"]),
        ({"users": [{"email": "postmaster@example.org"}]}, []),
        ({"aliases": [{"email": "postmaster@example.org"}]}, ["postmaster@example.org"]),
        ({"aliases": [{"email": "a@b.test"}]}, ["a@b.test", "postmaster@example.org"]),
    ],
)
def test_mail_to_the_postmaster_arrives_somewhere(given, aliases):
    found = render("__mailu_aliases", mailu_admin_account=ANNA, mailu_import=given)
    assert [alias["email"] for alias in found] == aliases


def test_the_administrator_may_be_the_postmaster():
    account = {**ANNA, "email": "postmaster@example.org"}
    assert render("__mailu_aliases", mailu_admin_account=account) == []
