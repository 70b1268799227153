# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in README.md and docs/ can be used as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ROLES = sorted(path.name for path in ROOT.glob("roles/*") if path.is_dir())

FENCED = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Four blanks, which Markdown shows as code, and blank lines between such lines.
INDENTED = re.compile(r"(?:^ {4}.*\n(?:\n+(?= {4}))?)+", re.MULTILINE)
# Not behind a dot or a word: postmaster.mailhost.docker_firewall is a module, and -e takes a variable.
VARIABLE = re.compile(r"(?<![\w.])(?:mailhost|%s)_[a-z0-9_]+" % "|".join(ROLES))


def blocks(page):
    """Return the page's blocks of YAML, each as its text and what it means.

    An indented block may be anything; it counts when it is a list or a mapping.
    """
    text = page.read_text(encoding="utf-8")
    found = [(block, yaml.safe_load(block)) for block in FENCED.findall(text)]
    for block in map(textwrap.dedent, INDENTED.findall(FENCED.sub("", text))):
        try:
            meant = yaml.safe_load(block)
        except yaml.YAMLError:
            continue
        if isinstance(meant, (dict, list)):
            found.append((block, meant))
    return found


def plays(meant):
    """Return a block's plays; none when it is no playbook."""
    entries = meant if isinstance(meant, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and "hosts" in entry]


def known():
    """Return the variables of all roles, and those that stand for several of them."""
    names = set()
    for role in ROLES:
        path = ROOT / "roles" / role / "meta" / "argument_specs.yml"
        points = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        for point in points.values():
            names |= set(point.get("options", {}))
    shared = [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/defaults/main.yml")]
    for path in shared:
        names |= set(re.findall(r"(?<!\w)mailhost_[a-z0-9_]+", path.read_text(encoding="utf-8")))
    return names


def without_blocks(text):
    return INDENTED.sub("", FENCED.sub("", text))


def anchor(title):
    """Return the name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def without_comments(block):
    return re.sub(r"(^|\s)#.*", "", block)


each_page = pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_project_and_headings_in_them(page):
    text = without_blocks(page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), target
        if heading and path.suffix == ".md":
            titles = re.findall(r"^#+ +(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, titles), target


@each_page
def test_examples_set_variables_that_there_are(page):
    named = {
        name for block, _meant in blocks(page) for name in VARIABLE.findall(without_comments(block))
    }
    assert named <= known(), "no such variable: " + ", ".join(sorted(named - known()))


@each_page
def test_examples_name_parts_of_this_collection_that_there_are(page):
    text = "".join(without_comments(block) for block, _meant in blocks(page))
    for name in re.findall(r"postmaster\.mailhost\.(\w+)", text):
        parts = [f"roles/{name}", f"playbooks/{name}.yml"]
        parts += [f"plugins/{kind}/{name}.py" for kind in ("modules", "filter", "lookup")]
        assert any((ROOT / part).exists() for part in parts), f"there is no {name}"


def test_examples_that_are_playbooks_can_be_run(tmp_path):
    """All pages in one call, as the start of Ansible takes longer than the look."""
    books = []
    for page in PAGES:
        found = [play for _block, meant in blocks(page) for play in plays(meant)]
        if found:
            books.append(tmp_path / f"{page.stem}.yml")
            books[-1].write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
    assert len(books) > 5
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    # Where ansible is found, whichever way the tests are run.
    code = "from ansible.cli.playbook import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--syntax-check", *books],
        cwd=tmp_path,
        env={
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
