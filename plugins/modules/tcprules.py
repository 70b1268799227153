#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcprules
short_description: Who may connect to tcpserver, and who may relay through qmail
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Writes the rules of C(tcpserver) as text and compiles them with C(tcprules). Before anything is
    changed they are compiled elsewhere, and C(tcprulescheck) is asked what they do to an address of
    each rule and to those of O(expect).
  - Networks become prefixes or ranges, as C(tcprules) would take V(10.0.0.0/8) for a name that no
    client has. IPv6 is refused, as C(tcpserver) of ucspi-tcp does not speak it.
  - Refused as well are C(RELAYCLIENT) with blanks in it, which C(qmail-smtpd) would append to every
    recipient; relaying for everybody; two rules for the same address; and an C(RBLSMTPD) of blanks,
    which refuses a client instead of freeing it from blocklists.
  - C(tcpserver) reads the compiled rules at each connection, so nothing is restarted.
  - Sources are U(https://cr.yp.to/ucspi-tcp/tcprules.html) and
    U(https://cr.yp.to/ucspi-tcp/rblsmtpd.html).
options:
  path:
    description:
      - The rules as text.
    type: path
    default: /etc/tcp.smtp
  cdb:
    description:
      - The compiled rules, which C(tcpserver -x) names. O(path) with V(.cdb) behind it by default.
    type: path
  rules:
    description:
      - The rules, all of them; their order does not matter, as the narrowest counts. A rule inherits
        nothing from a wider one. When this is not given, what stands in O(path) is looked at and
        compiled.
    type: list
    elements: dict
    suboptions:
      addresses:
        description:
          - IPv4 addresses, networks (V(10.0.0.0/8)), prefixes (V(10.1.)), ranges (V(192.0.2.5-9),
            V(10.1-3.)) or names (V(=host.example.org), V(=.example.org)).
          - Behind C(user@), which is what ident says, only a whole address or V(=host.example.org) is ever
            looked up; anything else is refused there.
        type: list
        elements: str
        required: true
      action:
        description:
          - V(deny) ends the connection without a word.
        type: str
        choices: [allow, deny]
        default: allow
      relay:
        description:
          - Whether these clients may send to everywhere.
        type: bool
        default: false
      variables:
        description:
          - What the environment of the server gets, such as C(RBLSMTPD) or C(DATABYTES).
        type: dict
        default: {}
  default:
    description:
      - What is done with everybody else.
    type: str
    choices: [allow, deny]
    default: allow
  default_variables:
    description:
      - Variables for everybody else.
    type: dict
    default: {}
  expect:
    description:
      - Address to V(relay), V(allow) or V(deny). The task fails, and nothing is changed, when the rules
        do something else to it.
    type: dict
    default: {}
  open_smtp:
    description:
      - The file C(open-smtp) of a vpopmail with POP-before-SMTP. Its entries are compiled behind the
        rules, as vpopmail does, if the compiled rules have one of them already. Otherwise these are not
        the rules that vpopmail compiles, and nobody gets a right to relay from its list.
    type: path
  window_minutes:
    description:
      - For how long an address of O(open_smtp) may relay; what vpopmail was built with. Entries of twice
        that age are left out.
    type: int
    default: 180
notes:
  - The files from before are kept beside the new ones.
  - A file that says the same with other comments and blank lines stays as it is.
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
    platforms: posix
seealso:
  - module: postmaster.mailhost.qmail_control
"""

EXAMPLES = r"""
- name: Our own networks may relay, one client may not connect
  postmaster.mailhost.tcprules:
    path: /etc/tcp.smtp
    rules:
      - addresses: [127.0.0.0/8, 192.0.2.0/26]
        relay: true
        variables: {RBLSMTPD: ""}
      - addresses: [198.51.100.7]
        action: deny
    expect:
      192.0.2.5: relay
      192.0.2.80: allow
      198.51.100.7: deny

- name: Compile what an administrator wrote
  postmaster.mailhost.tcprules:
    path: /home/vpopmail/etc/tcp.smtp
    open_smtp: /home/vpopmail/etc/open-smtp
"""

RETURN = r"""
rules:
  description: The rules, as they stand in the text.
  returned: success
  type: list
  elements: str
  sample: ['192.0.2.0-63:allow,RELAYCLIENT=""', ":allow"]
files:
  description: Files that changed.
  returned: success
  type: list
  elements: str
  sample: [/etc/tcp.smtp, /etc/tcp.smtp.cdb]
checked:
  description: Number of addresses that C(tcprulescheck) was asked about.
  returned: success
  type: int
  sample: 4
notes:
  description: What is allowed and may surprise.
  returned: success
  type: list
  elements: str
  sample: ["10.1. has a rule of its own, so it gets no RELAYCLIENT from 10."]
backup_files:
  description: Copies of the files as they were.
  returned: success
  type: list
  elements: str
  sample: [/etc/tcp.smtp.20261121T101500Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, tcp_rules
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    action = {"type": "str", "choices": [tcp_rules.ALLOW, tcp_rules.DENY], "default": "allow"}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/tcp.smtp"},
            "cdb": {"type": "path"},
            "rules": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "addresses": {"type": "list", "elements": "str", "required": True},
                    "action": action,
                    "relay": {"type": "bool", "default": False},
                    "variables": {"type": "dict", "default": {}},
                },
            },
            "default": action,
            "default_variables": {"type": "dict", "default": {}},
            "expect": {"type": "dict", "default": {}},
            "open_smtp": {"type": "path"},
            "window_minutes": {"type": "int", "default": tcp_rules.WINDOW},
        },
        supports_check_mode=True,
    )
    host = Host()
    params = module.params
    backups = []
    try:
        rules = params["rules"]
        if rules is not None:
            rules = tcp_rules.rules_of(rules, params["default"], params["default_variables"])
        planned = tcp_rules.plan(
            host,
            params["path"],
            params["cdb"] or params["path"] + ".cdb",
            rules,
            params["expect"],
            params["open_smtp"] or "",
            params["window_minutes"],
        )
        if planned.changes and not module.check_mode:
            backups = tcp_rules.carry_out(host, planned)
    except (tcp_rules.TcpRulesError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(backup_files=backups, **tcp_rules.result(planned))


if __name__ == "__main__":
    main()
