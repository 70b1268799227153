#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postconf
short_description: Parameters of Postfix and services of its master.cf, many at once
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Sets parameters in C(main.cf) and services in C(master.cf) with Postfix's own C(postconf). Comments
    and everything that is not named stay.
  - Compared is what is in force, so a value that is Postfix's default anyway is not written, and blanks
    do not matter.
  - What is wanted is put into a copy and looked at with C(postfix check) first, with an empty queue so
    that the real one is not touched. Parameters that this Postfix does not know, and that nothing
    refers to, are refused.
  - A running Postfix is reloaded, or stopped and started where a parameter needs it
    (C(inet_interfaces), C(inet_protocols) and those that C(master) takes over at start). When it does
    not run with the change, the files from before come back, and the task fails.
  - Sources are U(https://www.postfix.org/postconf.5.html) and U(https://www.postfix.org/master.5.html).
options:
  parameters:
    description:
      - Parameters of C(main.cf) with their values. Booleans become C(yes) and C(no), lists are joined
        with commas. For a parameter given as a list, separators do not count as a difference.
      - Passwords belong into lookup tables, not into values.
    type: dict
    default: {}
  if_known:
    description:
      - Names of O(parameters) that are passed by where this release of Postfix does not have them.
    type: list
    elements: str
    default: []
  absent:
    description:
      - Parameters that are to have Postfix's default, so that they do not stand in C(main.cf).
    type: list
    elements: str
    default: []
  absent_if:
    description:
      - Parameters that are to have Postfix's default if they have a certain value in C(main.cf), and
        stay as they are otherwise.
    type: list
    elements: dict
    default: []
    suboptions:
      parameter:
        description:
          - Whose value is looked at.
        type: str
        required: true
      matches:
        description:
          - A regular expression that the whole value matches. Several blanks count as one.
        type: str
        required: true
      also:
        description:
          - Parameters that go together with it, whatever their values are.
        type: list
        elements: str
        default: []
  services:
    description:
      - Entries of C(master.cf). Others stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description:
          - The first column; a port, an address with a port, or a name.
        type: str
        required: true
      type:
        description:
          - The second column.
        type: str
        choices: [inet, unix, fifo, pass, unix-dgram]
        default: inet
      state:
        description:
          - V(absent) removes the entry; with O(services[].options), only one that has all of these with
            these values.
        type: str
        choices: [present, absent]
        default: present
      command:
        description:
          - The program with its arguments except C(-o). Kept where the entry is there and this is not
            given.
        type: str
      options:
        description:
          - Parameters for this service only, all of them. Those of an entry that is there stay when this
            is not given.
        type: dict
      private:
        description:
          - C(y), C(n), a boolean, or C(-) for Postfix's default. Columns that are not given stay as they
            are.
        type: raw
      unprivileged:
        description:
          - As O(services[].private).
        type: raw
      chroot:
        description:
          - As O(services[].private).
        type: raw
      wakeup:
        description:
          - Seconds between two wake-ups, with C(?) behind the number for a service that is in use only,
            or C(-).
        type: raw
      process_limit:
        description:
          - The largest number of processes, or C(-).
        type: raw
  config_directory:
    description:
      - Where C(main.cf) and C(master.cf) are.
    type: path
    default: /etc/postfix
  activate:
    description:
      - Whether a running Postfix takes the change over. It is never started.
    type: bool
    default: true
notes:
  - The files from before are kept beside the new ones.
  - Lookup tables are not looked at; write them before this task, and run C(postmap) where they need it.
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
- name: Mail leaves by the address that the name belongs to
  postmaster.mailhost.postconf:
    parameters:
      myhostname: mail.example.org
      smtp_bind_address: 203.0.113.25
      smtp_bind_address_enforce: true
      smtpd_relay_restrictions: [permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination]
    # Postfix has it since 3.7.
    if_known: [smtp_bind_address_enforce]
    absent: [relayhost]
    # Somebody else's login stays.
    absent_if:
      - parameter: smtp_sasl_password_maps
        matches: texthash:/etc/postfix/mailhost/sasl_passwd
        also: [smtp_sasl_auth_enable, smtp_sasl_security_options]

- name: Submission
  postmaster.mailhost.postconf:
    services:
      - service: submission
        command: smtpd
        options:
          syslog_name: postfix/submission
          smtpd_tls_security_level: encrypt
          smtpd_sasl_auth_enable: true
"""

RETURN = r"""
action:
  description: What a running Postfix needed to take the change over.
  returned: success
  type: str
  sample: reload
parameters:
  description: Parameters of C(main.cf) that changed.
  returned: success
  type: list
  elements: str
  sample: [smtp_bind_address]
services:
  description: Services of C(master.cf) that changed.
  returned: success
  type: list
  elements: str
  sample: [submission/inet]
backup_files:
  description: Copies of the files as they were.
  returned: success
  type: list
  elements: str
  sample: [/etc/postfix/main.cf.20261121T101500Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, postconf
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    columns = {field: {"type": "raw"} for field in postconf.FIELDS}
    module = AnsibleModule(
        argument_spec={
            "parameters": {"type": "dict", "default": {}},
            "if_known": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
            "absent_if": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "parameter": {"type": "str", "required": True},
                    "matches": {"type": "str", "required": True},
                    "also": {"type": "list", "elements": "str", "default": []},
                },
            },
            "services": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "service": {"type": "str", "required": True},
                    "type": {"type": "str", "choices": list(postconf.TYPES), "default": "inet"},
                    "state": {
                        "type": "str",
                        "choices": ["present", "absent"],
                        "default": "present",
                    },
                    "command": {"type": "str"},
                    "options": {"type": "dict"},
                    **columns,
                },
            },
            "config_directory": {"type": "path", "default": "/etc/postfix"},
            "activate": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    backups = []
    try:
        planned = postconf.plan(
            host,
            params["config_directory"],
            params["parameters"],
            params["absent"],
            params["services"],
            params["if_known"],
            params["absent_if"],
        )
        if planned.changed and not module.check_mode:
            backups = postconf.carry_out(host, planned, params["activate"])
    except (postconf.PostconfError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(backup_files=backups, **postconf.result(planned))


if __name__ == "__main__":
    main()
