# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS records as lines of zone files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_records as words

DOCUMENTATION = r"""
name: zone_snippet
short_description: DNS records as lines of zone files
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Makes text of the records of P(postmaster.mailhost.zone_records#filter), grouped by zone. All
    names are absolute, so that it does not matter which C($ORIGIN) holds.
positional: _input
options:
  _input:
    description: What P(postmaster.mailhost.zone_records#filter) returned.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is to be published
  ansible.builtin.debug:
    msg: "{{ ['example.org'] | postmaster.mailhost.zone_records(hostname='mail.example.org')
      | postmaster.mailhost.zone_snippet }}"
"""

RETURN = r"""
_value:
  description: The text; empty when there are no records.
  type: str
"""


def zone_snippet(records: Iterable[Mapping[str, Any]]) -> str:
    """See the documentation above.

    Raises:
        AnsibleFilterError: these are no such records.
    """
    try:
        return words.snippet(records)
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError("zone_snippet wants what zone_records returned") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"zone_snippet": zone_snippet}
