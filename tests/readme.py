# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes roles/ROLE/README.md from roles/ROLE/meta/argument_specs.yml, for every role.

Run by "make docs". An entry point's description, options and `examples` are used;
a role without examples gets the shortest play that includes it.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent

PLAY = """\
- name: {title}
  hosts: mailhosts
  become: true
  gather_facts: false
  tasks:
    - name: {title}
      ansible.builtin.include_role:
        name: postmaster.mailhost.{role}
"""


def markdown(text: str) -> str:
    """Return a text with Ansible's markup (C(...), O(...), L(text,link), ...) as Markdown."""
    text = re.sub(r"\b[ECVO]\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bRV\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bM\(([^)]*)\)", r"`\1`", text)
    # A plugin: P(name#kind).
    text = re.sub(r"\bP\(([^)#]*)#[^)]*\)", r"`\1`", text)
    text = re.sub(r"\bL\(([^,)]*), *([^)]*)\)", r"[\1](\2)", text)
    text = re.sub(r"\bU\(([^)]*)\)", r"<\1>", text)
    text = re.sub(r"\bB\(([^)]*)\)", r"**\1**", text)
    return re.sub(r"\bI\(([^)]*)\)", r"*\1*", text)


def paragraphs(description: str | list[str]) -> list[str]:
    """Return a description, which may be one text or a list, as Markdown paragraphs."""
    if isinstance(description, str):
        description = [description]
    return [markdown(" ".join(part.split())) for part in description]


def cell(text: str) -> str:
    """Return a text as it may stand in a table."""
    return text.replace("|", "\\|")


def kind(option: dict) -> str:
    """Return an option's type, as "list of str"."""
    if option.get("type") == "list" and "elements" in option:
        return f"list of {option['elements']}"
    return option.get("type", "str")


def default(option: dict) -> str:
    """Return what to show in the column "Default"."""
    if option.get("required"):
        return "*required*"
    value = option.get("default")
    if value is None:
        return ""
    # Strings as they are; anything else, and the empty string, as YAML's flow style has it.
    if not isinstance(value, str) or value == "":
        value = json.dumps(value)
    # A backquote inside needs two around.
    return f"`` {value} ``" if "`" in value else f"`{value}`"


def rows(options: dict, prefix: str = "") -> Iterator[str]:
    """Yield a table row for each option, those inside it indented by its name."""
    for name, option in options.items():
        meaning = paragraphs(option["description"])
        if "choices" in option:
            meaning.append(
                "One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
            )
        words = (f"`{prefix}{name}`", kind(option), default(option), "<br>".join(meaning))
        yield "| " + " | ".join(cell(word) for word in words) + " |"
        inside = "[]." if option.get("type") == "list" else "."
        yield from rows(option.get("options", {}), f"{prefix}{name}{inside}")


def table(options: dict) -> list[str]:
    """Return the table of an entry point's options."""
    return [
        "| Variable | Type | Default | Meaning |",
        "| --- | --- | --- | --- |",
        *rows(options),
    ]


def wrapped(description: str | list[str]) -> list[str]:
    """Return a description as lines of text, a blank line after each paragraph."""
    lines = []
    for part in paragraphs(description):
        # A name or link is not broken in two.
        lines += textwrap.wrap(part, 96, break_long_words=False, break_on_hyphens=False)
        lines.append("")
    return lines


def render(role: Path) -> str:
    """Return the README of a role (its folder)."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    points = specs["argument_specs"]
    main = points["main"]
    example = main.get("examples") or PLAY.format(title=main["short_description"], role=role.name)
    lines = [
        f"# postmaster.mailhost.{role.name}",
        "",
        "<!-- Made by make docs from meta/argument_specs.yml. -->",
        "",
        f"**{markdown(main['short_description'])}.**",
        "",
        *wrapped(main.get("description", [])),
        "## Example",
        "",
        "```yaml",
        *example.rstrip("\n").splitlines(),
        "```",
        "",
        "## Variables",
        "",
        *table(main.get("options", {})),
    ]
    for name, point in points.items():
        if name == "main":
            continue
        lines += ["", f"## `tasks_from: {name}`", "", *wrapped(point.get("description", []))]
        if point.get("options", {}) == main.get("options", {}):
            lines += ["Its variables are those above."]
        else:
            lines += table(point.get("options", {}))
    return "\n".join(lines) + "\n"


def roles() -> list[Path]:
    """Return the folders of all roles."""
    return sorted(path.parent.parent for path in ROOT.glob("roles/*/meta/argument_specs.yml"))


def main() -> None:
    """Write every README that is not as it should be."""
    for role in roles():
        readme = role / "README.md"
        text = render(role)
        if not readme.exists() or readme.read_text(encoding="utf-8") != text:
            readme.write_text(text, encoding="utf-8")
            print(readme.relative_to(ROOT))


if __name__ == "__main__":
    main()
