#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_mask
short_description: Stop services that take a mail host's ports, for good
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Stops, disables and masks services, all in one task. A masked service is not started by an update
    of its package either.
  - Only services that are known to take the ports of mail or web are accepted. What the host does not
    have is passed by.
options:
  name:
    description:
      - Names of services, without C(.service). A socket of the same name goes with it.
    type: list
    elements: str
    required: true
    choices:
      - apache2
      - caddy
      - courier-imap
      - courier-mta
      - cyrus-imapd
      - dovecot
      - exim
      - exim4
      - haproxy
      - httpd
      - lighttpd
      - nginx
      - nullmailer
      - opensmtpd
      - postfix
      - qmail
      - sendmail
      - traefik
notes:
  - Packages and their files stay. C(systemctl unmask NAME) and C(systemctl enable --now NAME) bring a
    service back.
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
    platforms: linux
"""

EXAMPLES = r"""
- name: The distribution's mail servers stay off
  postmaster.mailhost.service_mask:
    name:
      - exim4
      - postfix
"""

RETURN = r"""
units:
  description: Units that something was done about.
  returned: success
  type: list
  elements: str
  sample: [exim4.service]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import service_mask
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {
                "type": "list",
                "elements": "str",
                "required": True,
                "choices": list(service_mask.KNOWN),
            },
        },
        supports_check_mode=True,
    )
    host = Host()
    try:
        steps = service_mask.plan(host, module.params["name"])
        if not module.check_mode:
            service_mask.carry_out(host, steps)
    except service_mask.ServiceMaskError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**service_mask.result(steps))


if __name__ == "__main__":
    main()
