# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mailu writes and does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import mailu_plan as words

DOCUMENTATION = r"""
name: mailu_plan
short_description: What the role mailu writes and does, from its variables and the host
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Checks the variables of P(postmaster.mailhost.mailu#role) together and works out the files of the
    Compose project.
  - Nothing is raised for a wrong setting; all problems are collected in C(problems), so that a play
    can show them together before anything is changed.
positional: _input, host, files
options:
  _input:
    description: The role's variables, without their prefix C(mailu_).
    type: dict
    required: true
  host:
    description:
      - What M(postmaster.mailhost.host_info) returned with V(route) and V(engine) gathered; empty
        before the host was looked at.
    type: dict
    default: {}
  files:
    description: Texts of C(docker-compose.yml) and C(.env) on the host.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Refuse wrong settings
  ansible.builtin.assert:
    that: plan.problems | length == 0
    fail_msg: "{{ plan.problems }}"
  vars:
    plan: "{{ options | postmaster.mailhost.mailu_plan(host) }}"
"""

RETURN = r"""
_value:
  description:
    - C(problems) (sentences), C(series) and C(installed) (releases), C(settings) (for
      M(postmaster.mailhost.env_file)), C(compose) (content of C(docker-compose.yml)), C(files),
      C(directories) and C(watch) (for M(postmaster.mailhost.project_files)), C(bind_ipv4),
      C(bind_ipv6), C(networks_changed) and C(networks_gone).
  type: dict
"""


def mailu_plan(
    options: Mapping[str, Any],
    host: Mapping[str, Any] | None = None,
    files: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """See the documentation above, and :func:`mailu_plan.plan`."""
    try:
        return words.plan(options, host, files)
    except KeyError as error:
        raise AnsibleFilterError(
            f"mailu_plan wants all variables of the role mailu; missing: {error}"
        ) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mailu_plan": mailu_plan}
