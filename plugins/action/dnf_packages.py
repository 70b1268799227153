# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages with Ansible's own module for DNF, or with ours where that one cannot work."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """The action of M(postmaster.mailhost.dnf_packages)."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask the host which of the two can work there, and run it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        ours = self._execute_module(
            module_name="postmaster.mailhost.dnf_packages",
            module_args=arguments,
            task_vars=task_vars,
        )
        if ours.get("failed") or not ours.get("bindings"):
            return {**result, **ours}
        # The module itself: the action of that name would gather facts to choose a backend.
        theirs = self._execute_module(
            module_name="ansible.builtin.dnf", module_args=arguments, task_vars=task_vars
        )
        return {**result, **theirs, "bindings": True}
