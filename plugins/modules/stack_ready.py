#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_ready
short_description: Wait until a mail stack is up and answers
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Waits until every service that C(docker compose config --services) lists is running, every
    health check says healthy, no container was started within O(stable_for) seconds (so that a
    restart loop is noticed), and SMTP, IMAP and HTTPS answer on the ports that the stack's
    configuration file names. The SMTP banner must carry the stack's host name.
  - Fails when O(timeout) is over, with what is wrong and the last log lines of up to three
    containers that are the reason.
  - On a stack that has been up for a while it returns at once.
options:
  stack:
    description:
      - The mail stack.
    type: str
    required: true
    choices:
      - mailcow
      - mailu
  path:
    description:
      - Directory of the Compose project, with the stack's configuration file.
    type: path
    required: true
  project:
    description:
      - Name of the Compose project, where the stack was started with another one than its
        configuration file says (C(docker compose -p)); empty for that of the file.
    type: str
    default: ''
  timeout:
    description:
      - Seconds to wait at the most; V(0) looks once. A virus scanner that loads its signatures for
        the first time needs minutes.
    type: int
    default: 900
  stable_for:
    description:
      - Seconds that each container must have been up.
    type: int
    default: 20
  log_lines:
    description:
      - Log lines of each failing container in the error.
    type: int
    default: 10
notes:
  - Certificates are not judged here.
seealso:
  - module: postmaster.mailhost.preflight
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - Only looks.
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: Wait for mailcow
  postmaster.mailhost.stack_ready:
    stack: mailcow
    path: /opt/mailcow-dockerized
"""

RETURN = r"""
findings:
  description: What was looked at, in the form of all findings of this collection.
  returned: always, unless there is no stack to look at
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check.
      type: str
      returned: success
      sample: smtp.banner
    status:
      description: V(ok) or V(fail).
      type: str
      returned: success
      sample: ok
    title:
      description: What was looked at.
      type: str
      returned: success
      sample: SMTP banner
    observed:
      description: What was seen.
      type: str
      returned: success
      sample: 220 mail.example.org ESMTP Postcow
    required:
      description: What is needed.
      type: str
      returned: success
      sample: 220 mail.example.org …
    fix:
      description: What to do; empty when the status is V(ok).
      type: str
      returned: success
      sample: ''
    source:
      description: Where the rule comes from; empty when from here.
      type: str
      returned: success
      sample: ''
waited:
  description: Seconds waited.
  returned: always, unless there is no stack to look at
  type: float
  sample: 23.4
services:
  description: The services that must run.
  returned: always, unless there is no stack to look at
  type: list
  elements: str
  sample: [dovecot-mailcow, postfix-mailcow]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import stack, stack_ready
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True, "choices": stack.names("services")},
            "path": {"type": "path", "required": True},
            "project": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 900},
            "stable_for": {"type": "int", "default": 20},
            "log_lines": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    try:
        result = stack_ready.wait(Host(), stack.get(module.params["stack"]), module.params)
    except stack_ready.NotReadyError as error:
        module.fail_json(msg=str(error))
    module.no_log_values.update(result.pop("secrets"))
    if not result.pop("ready"):
        module.fail_json(**result)
    result.pop("msg")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
