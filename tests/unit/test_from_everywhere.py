# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables that come as text, from -e or a survey of AWX, and the files of docs/examples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
SPECS = {
    name: option
    for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    for point in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values()
    for name, option in point.get("options", {}).items()
}
SURVEY = json.loads((EXAMPLES / "awx-survey.json").read_text(encoding="utf-8"))
# AWX's types of questions, and the types of an option that each can answer.
ANSWERS = {
    "text": {"str", "path"},
    "textarea": {"str"},
    "password": {"str"},
    "integer": {"int"},
    "float": {"float"},
    "multiplechoice": {"str", "bool"},
    "multiselect": {"list"},
}
# Facts of the whole host: what roles read as the default of an option of theirs.
SHARED = {
    name: option
    # Of several roles, one that says which values are allowed.
    for option in sorted(SPECS.values(), key=lambda option: "choices" in option)
    for name in re.findall(r"\bmailhost_\w+", str(option.get("default", "")))
}
BOOLEANS = sorted(name for name, option in SPECS.items() if option["type"] == "bool")


@pytest.mark.parametrize("question", SURVEY["spec"], ids=lambda question: question["variable"])
def test_the_survey_asks_for_what_the_roles_take(question):
    name = question["variable"]
    option = SPECS.get(name) or SHARED.get(name)
    assert option, f"no role has {name}"
    assert option["type"] in ANSWERS[question["type"]]
    if question["type"] == "multiplechoice":
        allowed = option.get("choices") or ["true", "false"]
        assert sorted(question["choices"]) == sorted(map(str, allowed))
        assert question["default"] in question["choices"]
    if question["type"] == "integer":
        assert question["min"] <= question["default"] <= question["max"]
    own = option.get("default")
    if name in SPECS and "{{" not in str(own):
        said = str(own).lower() if isinstance(own, bool) else own
        assert question["default"] == said


def test_the_survey_is_what_awx_reads():
    assert set(SURVEY) == {"name", "description", "spec"}
    names = [question["variable"] for question in SURVEY["spec"]]
    assert len(set(names)) == len(names)
    wanted = {"question_name", "question_description", "variable", "type", "default", "required"}
    for question in SURVEY["spec"]:
        assert wanted <= set(question), question["variable"]


@pytest.mark.parametrize("name", BOOLEANS)
def test_false_as_text_is_false(name):
    """A condition on text is an error, or true; a module's own option of that type may be text."""
    role = name.split("_")[0]
    paths = [*(ROOT / "roles" / role).rglob("*.y*ml"), *ROOT.glob("playbooks/*.yml")]
    for path in paths:
        if path.name == "argument_specs.yml" or path.parent.name == "defaults":
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            code = line.split("# ")[0]
            if "when:" in code or "{{" in code:
                bare = re.findall(rf"\b{name}\b(?! *\| *(?:default\(\w+\) *\| *)?bool)", code)
                alone = re.search(rf': "\{{\{{ {name} \}}\}}"$', code)
                assert not bare or alone, f"{path.relative_to(ROOT)}: {line.strip()}"


def test_the_example_of_ansible_pull_can_be_run_on_the_host_itself():
    page = (ROOT / "docs" / "automation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    # tests/elsewhere.py takes them in this order.
    inventory, (play,) = map(yaml.safe_load, blocks)
    host = inventory["mailhosts"]["hosts"]["localhost"]
    assert host["ansible_connection"] == "local"
    own = {name for name in host if not name.startswith("ansible_")}
    assert own <= set(SPECS) | set(SHARED)
    book = play["ansible.builtin.import_playbook"].rpartition(".")[2]
    assert (ROOT / "playbooks" / f"{book}.yml").is_file()


def test_the_example_of_an_execution_environment_has_this_collection():
    environment = yaml.safe_load(
        (EXAMPLES / "execution-environment.yml").read_text(encoding="utf-8")
    )
    (collection,) = environment["dependencies"]["galaxy"]["collections"]
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert collection["name"] == "{namespace}.{name}".format(**galaxy)
    assert collection["version"] == f">={galaxy['version']}"
