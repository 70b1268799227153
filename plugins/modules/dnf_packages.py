#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dnf_packages
short_description: Packages with DNF, also where Python has no bindings to it
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Has M(ansible.builtin.dnf) do it where the Python that Ansible uses on the host has the bindings
    which that module needs.
  - Elsewhere the command C(dnf) does it. That is so on EL 8, whose bindings are for its own
    Python 3.6, while Ansible needs a newer one.
options:
  name:
    description:
      - Packages, as C(dnf) takes them.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) installs what is missing and leaves the rest in its version. V(latest) upgrades
        these packages as well. V(absent) removes them, and nothing that they needed.
    type: str
    choices: [present, latest, absent]
    default: present
  update_cache:
    description:
      - Ask the repositories anew, whatever is remembered of them.
    type: bool
    default: false
  install_weak_deps:
    description:
      - Install what packages only recommend as well.
    type: bool
    default: true
  allow_downgrade:
    description:
      - Let a package take an older version that is asked for. The command C(dnf) always does.
    type: bool
    default: false
  lock_timeout:
    description:
      - Seconds to wait for another C(dnf). The command C(dnf) waits until that has ended.
    type: int
    default: 300
notes:
  - The packages' signatures are checked, as the repositories are set up to.
seealso:
  - module: ansible.builtin.dnf
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - With the command C(dnf), V(latest) asks the repositories in check mode as well.
  diff_mode:
    support: none
    details:
      - What M(ansible.builtin.dnf) returns, or RV(added) and RV(removed), says what has changed.
  idempotent:
    support: full
  platform:
    platforms: Red Hat family
"""

EXAMPLES = r"""
- name: A packet filter
  postmaster.mailhost.dnf_packages:
    name: [nftables]
"""

RETURN = r"""
added:
  description: Packages with the versions that are new; in check mode the names that were asked for.
  returned: where the command C(dnf) did it
  type: list
  elements: str
  sample: ["nftables 1:1.0.4-7.el8_10.x86_64"]
removed:
  description: Packages with the versions that are gone.
  returned: where the command C(dnf) did it
  type: list
  elements: str
  sample: []
bindings:
  description: Whether Python has bindings to DNF, so that M(ansible.builtin.dnf) did it.
  returned: always
  type: bool
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import dnf_command
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": list(dnf_command.STATES), "default": "present"},
            "update_cache": {"type": "bool", "default": False},
            "install_weak_deps": {"type": "bool", "default": True},
            "allow_downgrade": {"type": "bool", "default": False},
            "lock_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    options = module.params
    # The action plugin goes on with ansible.builtin.dnf then.
    if dnf_command.has_bindings():
        module.exit_json(changed=False, bindings=True)
    wanted = dnf_command.Wanted(
        options["name"], options["state"], options["update_cache"], options["install_weak_deps"]
    )
    try:
        outcome = dnf_command.bring_about(Host(), wanted, module.check_mode)
    except dnf_command.DnfError as error:
        module.fail_json(msg=str(error), bindings=False)
    module.exit_json(bindings=False, **outcome._asdict())


if __name__ == "__main__":
    main()
