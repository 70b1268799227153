# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge into a Compose override file. YAML is read here, as the host may have no parser for it."""

from __future__ import annotations

import base64
import re
from typing import Any

import yaml
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase
from ansible_collections.postmaster.mailhost.plugins.module_utils import compose_override

HEADER = (
    "# Managed by Ansible (postmaster.mailhost): what is set there is put back, the rest is kept.\n"
)


class Tagged:
    """A node with a tag of Compose's own, such as ``!reset`` or ``!override``."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag, self.value = tag, value


class Loader(yaml.SafeLoader):
    """Reads as Compose does: by YAML 1.2, in which 25:25 is a text and not 1525, with its tags."""


# What is a number or a truth value; everything else is text, or null. The letters are those that such
# a value can begin with.
CORE = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(0|[1-9][0-9]*)|0[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", "-+.0123456789"),
}
TEXT = {"tag:yaml.org,2002:" + name for name in (*CORE, "timestamp")}
Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag not in TEXT]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for name, (expression, letters) in CORE.items():
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:" + name, re.compile(r"^(?:%s)$" % expression), list(letters)
    )


class Dumper(yaml.SafeDumper):
    """Writes Compose's tags, and lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out; an anchor would surprise the reader."""
        return True


def _construct(loader: Loader, tag: str, node: yaml.Node) -> Tagged:
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    return Tagged("!" + tag, value)


def _represent(dumper: Dumper, data: Tagged) -> yaml.Node:
    node = dumper.represent_data(data.value)
    node.tag = data.tag
    return node


Loader.add_multi_constructor("!", _construct)
Dumper.add_representer(Tagged, _represent)


def plain(value: Any) -> Any:
    """Ansible's own string and container types as Python's, which the dumper knows."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value


class ActionModule(ActionBase):
    """One reading call; a second, writing one only when something differs."""

    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "override": {"type": "dict", "required": True},
                "backup": {"type": "bool", "default": True},
            }
        )
        path, wanted = args["path"], plain(args["override"])
        read = self._execute_module(
            module_name="ansible.legacy.slurp", module_args={"src": path}, task_vars=task_vars
        )
        there = not read.get("failed")
        if not there and "not found" not in read.get("msg", ""):
            return read
        text = to_text(base64.b64decode(read["content"])) if there else ""
        try:
            present = yaml.load(text, Loader=Loader)  # a SafeLoader
            if not isinstance(present, (dict, type(None))):
                raise ValueError("it holds no mapping")
            merged = compose_override.merge(present, wanted)
        except (ValueError, yaml.YAMLError) as error:
            return {
                "failed": True,
                "msg": "%s is not touched, as it cannot be merged: %s" % (path, error),
            }
        if merged == (present or {}) or not merged:
            return {"changed": False, "path": path, "sections": []}
        content = HEADER + yaml.dump(merged, Dumper=Dumper, sort_keys=False, width=1000)
        written = {} if self._task.check_mode else self._write(args, content, task_vars)
        if written.get("failed"):
            return written
        sections = [key for key in merged if merged[key] != (present or {}).get(key)]
        return {
            "changed": True,
            "path": path,
            "sections": sections,
            "backup_file": written.get("backup_file", ""),
            "diff": {
                "before": text,
                "after": content,
                "before_header": path,
                "after_header": path,
            },
        }

    def _write(self, args: dict, content: str, task_vars: dict | None) -> dict:
        """Hand the file to the copy action, which knows how to replace a file safely."""
        task = self._task.copy()
        task.args = {
            "dest": args["path"],
            "content": content,
            "mode": "0644",
            "backup": args["backup"],
        }
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return copy.run(task_vars=task_vars)
