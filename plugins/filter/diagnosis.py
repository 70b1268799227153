# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why mail does not arrive, from the findings of many modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import diagnosis as words

DOCUMENTATION = r"""
name: diagnosis
short_description: Why mail does not arrive, from the findings of many modules
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Takes the findings of this collection's modules together. What follows from something else hangs
    under its cause, so that a blocked port is one finding and not twelve; causes are ordered by how
    much mail they hold up.
positional: _input
options:
  _input:
    description:
      - What the tasks registered, by the subject or check that each looked at. A module that failed is
        a finding with the status V(unknown) and that name; one that was skipped is left out.
    type: dict
    required: true
  only:
    description: Checks that count, by id or subject. All when empty.
    type: list
    elements: str
    default: []
  skip:
    description: Checks that do not count, by id or subject.
    type: list
    elements: str
    default: []
  accept:
    description:
      - Checks whose failure is known and accepted, by id or subject. It is V(warn), has no C(fix), and
        what follows from it makes it no failure again.
    type: list
    elements: str
    default: []
  fixed:
    description: What was mended before, to be named in the result.
    type: list
    elements: dict
    default: []
seealso:
  - plugin: postmaster.mailhost.doctor_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ {'delivery': log, 'queue': queue} | postmaster.mailhost.diagnosis }}"
"""

RETURN = r"""
_value:
  description:
    - C(verdict), V(healthy), V(watch), V(ill) or V(unknown).
    - C(findings), causes only, the worst first, each with C(id), C(status), C(title), C(observed),
      C(required), C(remedy), C(evidence), C(because) (ids of what hangs under it), C(fix) (what the
      role doctor may do about it, with C(kind), or V(null)) and C(source).
    - C(explained), what hangs under a cause, with C(cause).
    - C(fixed).
  type: dict
"""


def diagnosis(results: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """See the documentation above.

    Raises:
        AnsibleFilterError: an option is not allowed; the text names it.
    """
    allowed = ("only", "skip", "accept", "fixed")
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise AnsibleFilterError(
            f"diagnosis: unknown option {', '.join(unknown)}; allowed: {', '.join(allowed)}"
        )
    try:
        return words.diagnose(words.collect(results), **options)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"diagnosis: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"diagnosis": diagnosis}
