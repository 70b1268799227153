# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that decide, on the controller, what the module host_info's answer means for Docker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_engine

DOCUMENTATION = r"""
name: docker_plan
short_description: What has to be installed for a Docker engine
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Takes what M(postmaster.mailhost.host_info) returned, with V(system) and V(docker) gathered, and
    decides which packages from which repository a host needs, and what stands against it.
positional: _input
options:
  _input:
    description: What M(postmaster.mailhost.host_info) returned.
    type: dict
    required: true
  source:
    description: Docker's own repository, or the distribution's.
    type: str
    choices: [docker, distribution]
    default: docker
  version:
    description: Version of the engine, or its beginning. Any when empty.
    type: str
    default: ''
  replace:
    description: Whether packages of another source may be removed.
    type: bool
    default: false
  repository_url:
    description: Where Docker's repository is, without the distribution's folder.
    type: str
    default: https://download.docker.com/linux
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.assert:
    that: plan.refusal == ''
    fail_msg: "{{ plan.refusal }}"
  vars:
    plan: "{{ host | postmaster.mailhost.docker_plan(source='distribution') }}"
"""

RETURN = r"""
_value:
  description:
    - C(refusal) is a sentence, empty when nothing stands against it. C(install) are the packages,
      C(missing) those of them that are not there in the wanted version, C(remove) the installed
      ones that are in the way, and C(repository) options of
      M(postmaster.mailhost.package_repository), empty where none is needed.
  type: dict
"""


def docker_plan(
    host: dict[str, Any],
    source: str = "docker",
    version: str = "",
    replace: bool = False,
    repository_url: str = "https://download.docker.com/linux",
) -> dict[str, Any]:
    """See the documentation above, and :func:`docker_engine.plan`."""
    try:
        return docker_engine.plan(host, source, str(version), replace, repository_url)
    except (KeyError, TypeError):
        raise AnsibleFilterError(
            "docker_plan wants what postmaster.mailhost.host_info returned with gather: "
            "[system, docker]"
        ) from None
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


def docker_shortfall(docker: dict[str, Any]) -> str:
    """Say what keeps an engine from serving a stack; see :func:`docker_engine.shortfall`."""
    try:
        return docker_engine.shortfall(docker)
    except (KeyError, TypeError):
        raise AnsibleFilterError(
            "docker_shortfall wants the docker part of what postmaster.mailhost.host_info returned"
        ) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"docker_plan": docker_plan, "docker_shortfall": docker_shortfall}
