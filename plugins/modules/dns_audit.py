#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_audit
short_description: Tell whether the DNS is ready for a mail server
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Compares what the DNS says with what a mail server needs, address and reverse records, MX, the
    names that mail programs look for, SPF, DMARC and CAA.
  - It is made for the controller, with C(delegate_to=localhost) or in a play on C(localhost). That
    is nearer to what the world sees than the server itself, and the server needs no library.
  - Only asks. Findings do not make the task fail; RV(summary.go) says whether to go on.
  - A server is often made before its domains are moved to it. So a domain whose records are missing
    or lead elsewhere is a warning; failures are the server's own name and addresses, and MX records
    that are faulty.
requirements:
  - dnspython >= 2.2 for the Python that runs the module. Without it every finding is V(unknown).
options:
  hostname:
    description:
      - Fully qualified name of the mail server, the name that it greets with. Capitals and letters
        other than ASCII are allowed. When it is empty, checks that need it answer V(skip).
    type: str
    required: true
  domains:
    description:
      - Mail domains that the server is for. When it is empty, checks of domains answer V(skip).
    type: list
    elements: str
    default: []
  ipv4:
    description:
      - IPv4 addresses that the server sends mail from, as the world sees them.
    type: list
    elements: str
    default: []
  ipv6:
    description:
      - IPv6 addresses that the server sends mail from, as the world sees them.
    type: list
    elements: str
    default: []
  guessed:
    description:
      - Whether O(ipv4) and O(ipv6) were read from the server rather than named by somebody. A
        private address among them is not what the world sees, and is then not checked.
    type: bool
    default: false
  certificate_authorities:
    description:
      - Domains of the certificate authorities that the server may get its certificate from, as
        they stand in CAA records. One that may issue is enough; an empty list leaves the check out.
    type: list
    elements: str
    default:
      - letsencrypt.org
  dkim:
    description:
      - The keys that mail is signed with, as M(postmaster.mailhost.dkim_info) returns them, mail domain,
        then C(selector) and C(public_key). They are compared with what is published.
    type: dict
    default: {}
  stack:
    description:
      - The mail stack that the server is for. It decides whether C(autodiscover) and C(autoconfig)
        below each domain are looked for, and which pages the findings name.
    type: str
    choices:
      - mailcow
      - mailu
  nameservers:
    description:
      - Addresses of the resolvers to ask. Those of the machine that runs the module by default.
    type: list
    elements: str
    default: []
  authoritative:
    description:
      - Ask every name server of each zone itself, and compare what they say. A change is seen
        at once then, and not when caches have forgotten. The resolvers only find the name servers.
    type: bool
    default: false
  timeout:
    description:
      - Seconds to wait for the answer to one question, from 1 to 60. All questions together take
        at most 20 times as long; what was not answered by then is V(unknown).
    type: float
    default: 3
  only:
    description:
      - Checks to run alone, by id (V(dns.reverse)) or by subject (V(dns)). All when empty. Those of
        M(postmaster.mailhost.preflight) are known too, and select nothing here.
    type: list
    elements: str
    default: []
  skip:
    description:
      - Checks not to run, by id or subject. Each is reported as V(skip).
    type: list
    elements: str
    default: []
  accept:
    description:
      - Checks whose failure is known and accepted, by id or subject. It is reported as V(warn),
        with the words C(accepted by name).
    type: list
    elements: str
    default: []
  fail_on:
    description:
      - From which status on RV(summary.go) is false. V(fail) counts failures; V(warn) counts
        warnings, accepted failures and unknown answers too; V(never) counts nothing.
    type: str
    default: fail
    choices:
      - fail
      - warn
      - never
notes:
  - An inventory that has C(localhost) in it, or sets C(ansible_python_interpreter) for all hosts,
    makes the controller use another Python than Ansible's own. The variable of the first example
    makes it use that one, where dnspython is.
  - Reverse records are published by the owner of the address, usually the provider of the server,
    and not in the zone of the domain.
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
  - module: postmaster.mailhost.preflight
"""

EXAMPLES = r"""
- name: Look at the DNS of a server
  postmaster.mailhost.dns_audit:
    hostname: mail.example.org
    domains:
      - example.org
    ipv4:
      - 192.0.2.10
    ipv6:
      - 2001:db8::10
    stack: mailcow
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  register: dns

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ dns.findings | postmaster.mailhost.report | join('\n') }}"

- name: Ask the zones' own name servers whether a change has arrived
  postmaster.mailhost.dns_audit:
    hostname: mail.example.org
    domains:
      - example.org
    ipv4:
      - 192.0.2.10
    authoritative: true
    only:
      - dns.mx
      - dns.nameservers
  delegate_to: localhost
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
      sample: dns.reverse
    status:
      description:
        - V(ok), V(warn), V(fail), V(skip) or V(unknown). V(unknown) means that the check could not
          look, since nobody answered.
      returned: always
      type: str
      sample: fail
    title:
      description: What was looked at.
      returned: always
      type: str
      sample: Reverse records
    observed:
      description: What the DNS says.
      returned: always
      type: str
      sample: PTR of 192.0.2.10 is static.10.2.0.192.example.net
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "one PTR for each sending address: mail.example.org"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: Let the provider of 192.0.2.10 (panel or API) set its reverse record to mail.example.org.
    source:
      description: Where the rule comes from; empty when there is no such page.
      returned: always
      type: str
      sample: https://docs.mailcow.email/getstarted/prerequisite-dns/
summary:
  description: The number of findings of each status, and whether to go on.
  returned: success
  type: dict
  contains:
    ok:
      description: Number of checks passed.
      returned: always
      type: int
      sample: 12
    warn:
      description: Number of warnings.
      returned: always
      type: int
      sample: 1
    fail:
      description: Number of failures.
      returned: always
      type: int
      sample: 1
    skip:
      description: Number of checks not run.
      returned: always
      type: int
      sample: 1
    unknown:
      description: Number of checks that could not look.
      returned: always
      type: int
      sample: 0
    go:
      description: Whether no finding counts as O(fail_on) or worse.
      returned: always
      type: bool
      sample: false
"""

import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import dns as audit
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    TIMEOUT,
    LibraryMissingError,
    Resolver,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "hostname": {"type": "str", "required": True},
            "domains": {"type": "list", "elements": "str", "default": []},
            "ipv4": {"type": "list", "elements": "str", "default": []},
            "ipv6": {"type": "list", "elements": "str", "default": []},
            "guessed": {"type": "bool", "default": False},
            "certificate_authorities": {
                "type": "list",
                "elements": "str",
                "default": ["letsencrypt.org"],
            },
            # Public keys.
            "dkim": {"type": "dict", "default": {}, "no_log": False},
            "stack": {"type": "str", "choices": stack.names()},
            "nameservers": {"type": "list", "elements": "str", "default": []},
            "authoritative": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": TIMEOUT},
            "only": {"type": "list", "elements": "str", "default": []},
            "skip": {"type": "list", "elements": "str", "default": []},
            "accept": {"type": "list", "elements": "str", "default": []},
            "fail_on": {"type": "str", "default": "fail", "choices": list(finding.FAIL_ON)},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        demands = audit.from_options(
            params["hostname"],
            domains=params["domains"],
            ipv4=params["ipv4"],
            ipv6=params["ipv6"],
            guessed=params["guessed"],
            certificate_authorities=params["certificate_authorities"],
            stack=stack.get(params["stack"]) if params["stack"] else None,
            dkim=params["dkim"],
        )
        checks, zone = catalogue.dns_checks(), None
        try:
            zone = Resolver(
                params["nameservers"], params["timeout"], authoritative=params["authoritative"]
            )
        except LibraryMissingError as error:
            look = audit.without_library(sys.executable, str(error))
            checks = tuple(check._replace(look=look) for check in checks)
        findings = catalogue.run(
            zone,
            demands,
            only=params["only"],
            skip=params["skip"],
            accept=params["accept"],
            fail_on=params["fail_on"],
            checks=checks,
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings, params["fail_on"]),
    )


if __name__ == "__main__":
    main()
