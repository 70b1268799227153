# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the attributes of the modules mean, said once.

A module names the fragment and states its support:

    extends_documentation_fragment:
      - postmaster.mailhost.attributes
    attributes:
      check_mode:
        support: full
      diff_mode:
        support: full
      idempotent:
        support: full
      platform:
        platforms: debian

"partial" and "none" want a line "details" with the reason.
"""

from __future__ import annotations


class ModuleDocFragment:
    # The description of each attribute; "support" is the module's to state.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - Foretells in check mode what it would change, and changes nothing.
  diff_mode:
    description:
      - Shows in diff mode what it changes, with secrets masked.
  idempotent:
    description:
      - Changes nothing, and says so, when it is called again with the same options
        and nothing else changed the host in between.
  platform:
    description:
      - The systems that the module can work on.
    support: full
"""
