# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/STACK-keys.md, the configuration keys of each stack, from the stacks' data.

Run by "make docs", with the directory above ``ansible_collections`` on PYTHONPATH.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.postmaster.mailhost.plugins.module_utils import stack, value_kind

DOCS = Path(__file__).resolve().parents[1] / "docs"

INTRODUCTION = """\
# Keys of {file}

What `{name}_config` takes. This page is made by `tests/keys_doc.py` from the data that the
modules use.

*Default* is what the role writes; a dash means that the key is not set until you set it.
*Change* says what a changed value costs: `nothing`, `up` (the services that use it are recreated)
or `down and up` (the stack's network is made anew); *once* keys cannot be changed by the role on a
system that runs. Values of secrets are never shown.{series}

Source: <{source}>
"""

SERIES = """ What is marked with a release is
unknown to earlier ones, and refused there. Keys without a default are not in the file unless you set
them; those that another variable of the role decides are refused here, with its name."""

CHANGE = {"nothing": "nothing", "up": "up", "down_up": "down and up"}


def render(name: str) -> str:
    """Return the page of one stack."""
    data = stack.get(name)
    introduction = INTRODUCTION.format(
        file=data["env_file"],
        name=name,
        source=data["sources"]["configuration"],
        series=SERIES if "series" in data else "",
    )
    lines = [introduction]
    section = ""
    for key in data["keys"]:
        if key["section"] != section:
            section = key["section"]
            lines += ["", f"## {section}", "", "| Key | Default | Takes | Change | Meaning |"]
            lines += ["| --- | --- | --- | --- | --- |"]
        cells = (f"`{key['name']}`", _default(key), _takes(key), _change(key), _meaning(key))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "## Set once", ""]
    lines += [
        f"- `{key['name']}`: {key['create_only']}." for key in data["keys"] if key["create_only"]
    ]
    lines += [
        "",
        "## Not used any more",
        "",
        "Removed from the file, and refused as a setting:",
        "",
    ]
    lines += [f"- `{key}`: {reason}." for key, reason in data["removed"].items()]
    lines += ["", "Refused as a setting, since it would do nothing:", ""]
    lines += [f"- `{key}`: {reason}." for key, reason in data["ignored"].items()]
    return "\n".join(lines) + "\n"


def _meaning(key: dict) -> str:
    return key["meaning"] + (f" Since {key['since']}." if key["since"] else "")


def _default(key: dict) -> str:
    if key["generate"]:
        return f"random, {key['generate']} characters"
    if key["default"] is None:
        return "-" if key["optional"] else "required"
    return f"`{key['default']}`" if key["default"] else "empty"


def _takes(key: dict) -> str:
    if key["kind"] == "choice":
        text = ", ".join(f"`{choice}`" for choice in key["choices"])
    elif key["kind"] == "fqdn":
        text = "a fully qualified host name"
    else:
        text = value_kind.KINDS[key["kind"]][0]
    return text + (", or empty" if key["empty"] else "")


def _change(key: dict) -> str:
    return "once" if key["create_only"] else CHANGE[key["change"]]


def pages() -> dict[Path, str]:
    """Return the text of each page by its path."""
    return {DOCS / f"{name}-keys.md": render(name) for name in stack.names("removed")}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
