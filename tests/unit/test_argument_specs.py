# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's argument specs, its defaults and its README say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import readme
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in ROOT.glob("roles/*") if path.is_dir())

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def entry_points(role):
    """Return the entry points of a role's argument specs."""
    path = role / "meta" / "argument_specs.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]


def in_words(spec, value):
    """Whether a default cannot stand in the specs: to antsibull-docs an expression is no number and no
    dictionary.
    """
    return spec.get("type") in ("int", "dict") and str(value).startswith("{{")


@each_role
def test_each_option_has_its_default_and_the_reverse(role):
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    for name, point in entry_points(role).items():
        options = point.get("options", {})
        wanted = {
            # No default and an empty one are the same to the role.
            option: spec.get("default")
            for option, spec in options.items()
            if not spec.get("required")
        }
        said = {
            option: None if in_words(options.get(option, {}), value) else value
            for option, value in defaults.items()
        }
        assert wanted == said, f"entry point {name}"


@each_role
def test_each_variable_carries_the_name_of_its_role(role):
    for point in entry_points(role).values():
        assert all(name.startswith(f"{role.name}_") for name in point.get("options", {}))


@each_role
def test_each_entry_point_has_its_tasks_and_is_described(role):
    for name, point in entry_points(role).items():
        assert (role / "tasks" / f"{name}.yml").exists()
        assert point["short_description"]
        assert point["description"]


@each_role
def test_the_readme_is_current(role):
    assert (role / "README.md").read_text(encoding="utf-8") == readme.render(role), "run: make docs"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C(a.conf) and O(b=c)", "`a.conf` and `b=c`"),
        ("L(the manual,https://example.org/a)", "[the manual](https://example.org/a)"),
        ("P(postmaster.mailhost.docker#role), M(a.b.c)", "`postmaster.mailhost.docker`, `a.b.c`"),
        ("U(https://example.org)", "<https://example.org>"),
        ("IMAP (993) stays", "IMAP (993) stays"),
    ],
)
def test_markup(text, expected):
    assert readme.markdown(text) == expected


def test_table():
    options = {
        "a_list": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "description": "Things.",
            "options": {"key": {"required": True, "description": ["One.", "Two."]}},
        },
        "a_word": {"default": "{{ x | y }}", "choices": ["p", "q"], "description": "Word."},
        "nothing": {"type": "int", "description": "Number."},
    }
    assert readme.table(options)[2:] == [
        "| `a_list` | list of dict | `[]` | Things. |",
        "| `a_list[].key` | str | *required* | One.<br>Two. |",
        r"| `a_word` | str | `{{ x \| y }}` | Word.<br>One of `p`, `q`. |",
        "| `nothing` | int |  | Number. |",
    ]
