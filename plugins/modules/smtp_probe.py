#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: smtp_probe
short_description: Talk to a mail server, and to those of a destination, as a stranger does
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Connects to the SMTP ports of a server, compares the names that it gives, looks at what it offers
    before and within TLS, and asks whether it would take mail for others (open relay), over IPv4 and
    IPv6.
  - Asks the servers of a destination whether they would take mail for a recipient, and says what
    becomes of it.
  - No message is sent; a conversation ends before DATA. Nobody is connected to but O(host), the servers
    of O(to), and O(compare).
  - Made for the controller, with C(delegate_to=localhost), where it sees what the world sees. On the mail
    server itself, with O(mx), it asks a destination from the address that mail is sent from.
  - Only asks. Findings do not make the task fail; RV(summary.go) says whether there is a failure.
requirements:
  - dnspython >= 2.2 for the Python that runs the module. Without it, reverse records are not compared,
    and O(to) needs O(mx).
options:
  host:
    description:
      - Name of the mail server to probe. None is probed when it is empty.
    type: str
    default: ''
  addresses:
    description:
      - Its addresses; those of its name when empty. Name them to see the server before its DNS is
        right, or to try a way in, such as the address of a proxy.
    type: list
    elements: str
    default: []
  smtp_port:
    description:
      - Port for mail from other servers; 0 leaves it out.
    type: int
    default: 25
  submission_port:
    description:
      - Port for mail of users, where TLS begins later; 0 leaves it out.
    type: int
    default: 587
  submissions_port:
    description:
      - Port for mail of users, within TLS; 0 leaves it out.
    type: int
    default: 465
  refuse_auth:
    description:
      - Whether users must not be able to authenticate on O(smtp_port), as with Mailu. AUTH is asked for
        there then, without credentials.
    type: bool
    default: false
  relay_to:
    description:
      - An address that the server has nothing to do with, for the question whether it is an open relay.
    type: str
    default: relay-test@example.com
  to:
    description:
      - Addresses whose servers are asked whether they would take mail for them.
    type: list
    elements: str
    default: []
  from:
    description:
      - Sender to give to the servers of O(to); the empty one of a bounce by default.
    type: str
    default: ''
  mx:
    description:
      - Servers to ask for O(to), instead of those of its MX records.
    type: list
    elements: str
    default: []
  compare:
    description:
      - Hosts with an SMTP server, to connect to when the servers of O(to) do not answer. When none of
        these does either, outgoing port 25 is blocked. Name two or three that you may connect to.
    type: list
    elements: str
    default: []
  helo:
    description:
      - Name to greet with; that of the machine that runs the module when empty.
    type: str
    default: ''
  source_ipv4:
    description:
      - Own IPv4 address to connect from.
    type: str
    default: ''
  source_ipv6:
    description:
      - Own IPv6 address to connect from.
    type: str
    default: ''
  allow_private:
    description:
      - Connect to servers of O(to) that have private addresses.
    type: bool
    default: false
  nameservers:
    description:
      - Addresses of the resolvers to ask. Those of the machine that runs the module by default.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait for one answer, from 1 to 60. A conversation takes at most three times as long.
    type: float
    default: 10
notes:
  - A network that blocks outgoing port 25, as most at home do, makes the server look closed.
  - A server that trusts the address this is run from looks like an open relay. Run it from elsewhere.
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
    support: full
    platforms: posix
seealso:
  - module: postmaster.mailhost.dns_audit
  - module: postmaster.mailhost.blocklist_info
"""

EXAMPLES = r"""
- name: Look at a mail server from outside
  postmaster.mailhost.smtp_probe:
    host: mail.example.org
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  register: probe

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ probe.findings | postmaster.mailhost.report | join('\n') }}"

- name: Ask from the mail server itself why mail to a colleague does not leave
  postmaster.mailhost.smtp_probe:
    to:
      - jane@example.net
    mx:
      - mx.example.net
    compare:
      - mx.example.com
"""

RETURN = r"""
findings:
  description: What the checks found, worst first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check.
      returned: always
      type: str
      sample: smtp.relay
    status:
      description:
        - V(ok), V(warn), V(fail), V(skip) or V(unknown). V(unknown) means that the check could not
          look.
      returned: always
      type: str
      sample: fail
    title:
      description: What was looked at.
      returned: always
      type: str
      sample: Open relay
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "192.0.2.10:25 takes mail from a@example.com to a@example.com: 250 Ok"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "no mail is taken for others without authentication"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "Stop the server until this is mended."
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://www.rfc-editor.org/rfc/rfc5321#section-7.9
summary:
  description: The number of findings of each status, and whether to go on.
  returned: success
  type: dict
  contains:
    ok:
      description: Number of checks passed.
      returned: always
      type: int
      sample: 8
    warn:
      description: Number of warnings.
      returned: always
      type: int
      sample: 0
    fail:
      description: Number of failures.
      returned: always
      type: int
      sample: 1
    skip:
      description: Number of checks that do not apply.
      returned: always
      type: int
      sample: 0
    unknown:
      description: Number of checks that could not look.
      returned: always
      type: int
      sample: 0
    go:
      description: Whether no finding is a failure.
      returned: always
      type: bool
      sample: false
server:
  description:
    - What each port of each address said, with address, port, state (C(open), C(refused), C(timeout) …),
      trouble, greeting, hello, features, features_tls, tls, and relayed (from, to and reply of each
      relay that was tried).
  returned: success
  type: list
  elements: dict
  sample:
    - address: 192.0.2.10
      port: 25
      state: open
      trouble: ""
      greeting: mail.example.org ESMTP
      hello: mail.example.org
      features: {STARTTLS: ""}
      features_tls: {SIZE: "20000000"}
      tls: true
      relayed:
        - from: relay-test@example.com
          to: relay-test@example.com
          reply: "554 5.7.1 <relay-test@example.com>: Relay access denied"
destinations:
  description: What becomes of mail for each of O(to).
  returned: success
  type: list
  elements: dict
  contains:
    recipient:
      description: The address.
      returned: always
      type: str
      sample: jane@example.net
    verdict:
      description:
        - V(ok), V(temporary), V(permanent), V(refused), V(timeout), V(unreachable), V(blocked25),
          V(nullmx), V(private) or V(unknown).
      returned: always
      type: str
      sample: blocked25
    text:
      description: Why.
      returned: always
      type: str
      sample: neither mx.example.net nor mx.example.com answer on port 25
    steps:
      description: What each server said, with host, preference, address, verdict and text.
      returned: always
      type: list
      elements: dict
      sample: []
    compared:
      description: What became of connections to O(compare), in the same form.
      returned: always
      type: list
      elements: dict
      sample: []
"""

import socket

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, smtp_probe
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, smtp
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    LibraryMissingError,
    Resolver,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.smtp_client import (
    TIMEOUT_SECONDS,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": ""},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "smtp_port": {"type": "int", "default": 25},
            "submission_port": {"type": "int", "default": 587},
            "submissions_port": {"type": "int", "default": 465},
            "refuse_auth": {"type": "bool", "default": False},
            "relay_to": {"type": "str", "default": smtp_probe.FOREIGN},
            "to": {"type": "list", "elements": "str", "default": []},
            "from": {"type": "str", "default": ""},
            "mx": {"type": "list", "elements": "str", "default": []},
            "compare": {"type": "list", "elements": "str", "default": []},
            "helo": {"type": "str", "default": ""},
            "source_ipv4": {"type": "str", "default": ""},
            "source_ipv6": {"type": "str", "default": ""},
            "allow_private": {"type": "bool", "default": False},
            "nameservers": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": TIMEOUT_SECONDS},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = smtp_probe.from_options(dict(params, helo=params["helo"] or socket.getfqdn()))
        try:
            resolver = Resolver(params["nameservers"])
        except LibraryMissingError:
            resolver = None
    except ValueError as error:
        module.fail_json(msg=str(error))
    server, walks = smtp_probe.probe(wanted, resolver)
    findings = look.all_of(smtp.LOOK, server, walks)
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        server=[talk.to_dict() for talk in server.talks],
        destinations=[walk.to_dict() for walk in walks],
    )


if __name__ == "__main__":
    main()
