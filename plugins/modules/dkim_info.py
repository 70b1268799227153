#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dkim_info
short_description: The public parts of the DKIM keys of mailcow or Mailu
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Asks the stack for the DKIM keys that it signs with, for the records that have to be published.
  - Private keys are not read.
options:
  stack:
    description:
      - The stack.
    type: str
    required: true
    choices: [mailcow, mailu]
  project_src:
    description:
      - Directory of its Compose project.
    type: path
    required: true
  project_name:
    description:
      - Name of the Compose project. When empty, V(mailu) for Mailu, and for mailcow the one that
        C(mailcow.conf) names.
    type: str
    default: ''
  domains:
    description:
      - Only these mail domains; all when empty.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds that the question may take.
    type: int
    default: 60
notes:
  - In check mode, while the stack does not run, there are no keys, with a warning.
seealso:
  - plugin: postmaster.mailhost.zone_records
    plugin_type: filter
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Nothing is changed.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: The keys of Mailu
  postmaster.mailhost.dkim_info:
    stack: mailu
    project_src: /mailu
  register: dkim
"""

RETURN = r"""
dkim:
  description:
    - Mail domain, then C(selector) and C(public_key), base64 without line ends. Domains without a
      key are left out. For the option C(dkim) of P(postmaster.mailhost.zone_records#filter).
  returned: success
  type: dict
  sample:
    example.org:
      selector: dkim
      public_key: MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import compose_exec, dkim_info
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True, "choices": ["mailcow", "mailu"]},
            "project_src": {"type": "path", "required": True},
            "project_name": {"type": "str", "default": ""},
            "domains": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    options = dict(module.params)
    if options["stack"] == "mailu" and not options["project_name"]:
        options["project_name"] = "mailu"
    keys = {}
    try:
        keys = dkim_info.look(Host(), **options)
    except compose_exec.NotRunningError as error:
        if not module.check_mode:
            module.fail_json(msg=str(error))
        module.warn("{0}. Its DKIM keys are not known".format(error))
    except (compose_exec.ComposeExecError, dkim_info.DkimInfoError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, dkim=keys)


if __name__ == "__main__":
    main()
