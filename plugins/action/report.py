# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show findings and write them to files, on the controller."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words
from ansible_collections.postmaster.mailhost.plugins.module_utils.file_write import FileWriteError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import document as data
from ansible_collections.postmaster.mailhost.plugins.plugin_utils.report import folder, lines

#: Callbacks whose output is read by programs.
MACHINE = ("json", "jsonl")


def paint(text: str, status: str) -> str:
    """Give a text the colour of a status, as Ansible is configured; none where it uses none."""
    colour = {
        words.FAIL: constants.COLOR_ERROR,
        words.UNKNOWN: constants.COLOR_WARN,
        words.WARN: constants.COLOR_CHANGED,
        words.OK: constants.COLOR_OK,
        words.SKIP: constants.COLOR_SKIP,
    }[status]
    return stringc(text, colour)


class ActionModule(ActionBase):
    """No call to the host."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict | None = None) -> dict:
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(
            argument_spec={
                "findings": {"type": "list", "elements": "dict", "default": []},
                "diagnosis": {"type": "dict", "default": {}},
                "stack": {"type": "str", "default": ""},
                "fail_on": {"type": "str", "default": "fail", "choices": list(words.FAIL_ON)},
                "stop": {"type": "bool", "default": False},
                "accepted": {"type": "list", "elements": "str", "default": []},
                "accept_variable": {"type": "str", "default": "preflight_accept"},
                "full": {"type": "bool", "default": False},
                "width": {"type": "int"},
                "path": {"type": "path", "default": ""},
            }
        )
        display = Display()
        width = args["width"] or min(lines.MAX_WIDTH, display.columns or lines.MAX_WIDTH)
        if width < lines.MIN_WIDTH:
            return _failed(f"width is {width}; allowed: {lines.MIN_WIDTH} or more")
        host = str((task_vars or {}).get("inventory_hostname", "localhost"))
        try:
            document = data.build(
                args["findings"],
                host,
                args["stack"],
                args["fail_on"],
                diagnosis=args["diagnosis"],
            )
        except (KeyError, TypeError, ValueError) as error:
            return _failed(f"findings: {error}")
        result: dict[str, Any] = {
            "changed": False,
            "go": document["go"],
            "counts": document["counts"],
            "accept": lines.to_accept(document, args["accepted"]),
            "files": {},
        }
        errors = []
        if args["path"]:
            try:
                result["files"] = folder.write(args["path"], document)
            except FileWriteError as error:
                errors.append(f"The report could not be written: {error}")
        shown = not _for_machines()
        if shown:
            _show(display, document, args, width, result["files"])
        if args["stop"] and not document["go"]:
            errors.insert(0, _why(document, args["accept_variable"], result["accept"], shown))
        return {**result, **_failed(" ".join(errors))} if errors else result


def _failed(message: str) -> dict[str, Any]:
    return {"failed": True, "changed": False, "msg": message}


def _for_machines() -> bool:
    """Return whether a program reads the output."""
    callback = str(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))
    return callback.rpartition(".")[2] in MACHINE


def _show(display: Display, document: dict, args: dict, width: int, files: dict) -> None:
    """Show the report in one piece, so that those of several hosts do not mix."""
    end = lines.files(files, width)
    if args["stop"]:
        end += lines.way_on(document, args["accept_variable"], args["accepted"], width)
    full = args["full"] or display.verbosity > 0
    screen = ["", *lines.report(document, width, full, paint), *end]
    display.display("\n".join(screen), screen_only=True)
    # A log file gets no codes for colours.
    log = [*lines.report(document, width, full), *end]
    display.display("\n".join(log), log_only=True)


def _why(document: dict, variable: str, accept: list[str], shown: bool) -> str:
    """Return the error for "no go", in one line, as many callbacks show a line break as \\n.

    Who sees the report needs only the names.
    """
    found = words.blocking(data.parse(document["findings"]), document["fail_on"])
    if shown:
        seen = ", ".join(dict.fromkeys(item.id for item in found))
    else:
        seen = "; ".join(f"{item.id}: {data.one_line(item.observed)}" for item in found)
    way = f" To go on all the same: {lines.line(variable, accept)}" if accept else ""
    return f"NO GO: {seen}.{way}"
