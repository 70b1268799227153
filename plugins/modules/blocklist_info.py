#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: blocklist_info
short_description: Tell whether addresses and domains are in blocklists
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Looks up addresses (IPv4 and IPv6) and domains in blocklists of the DNS, all at once.
  - Tests each list first as RFC 5782 says. A list that does not list its test point, lists everybody,
    or answers with an error, as many do to public resolvers, is V(unknown) and never a listing.
  - It is made for the controller, with C(delegate_to=localhost) or in a play on C(localhost).
  - Only asks. Findings do not make the task fail; RV(summary.go) says whether there is a failure.
requirements:
  - dnspython >= 2.2 for the Python that runs the module. Without it every finding is V(unknown).
options:
  addresses:
    description:
      - IP addresses that the server sends mail from, as the world sees them.
    type: list
    elements: str
    default: []
  domains:
    description:
      - Mail domains of the server.
    type: list
    elements: str
    default: []
  zones:
    description:
      - Lists to ask, by the name of their zone. All that the collection knows, and that have not
        ended, when O(domain_zones) is empty too. One that it does not know is a list of addresses.
    type: list
    elements: str
    default: []
  domain_zones:
    description:
      - Lists of domains to ask, by the name of their zone.
    type: list
    elements: str
    default: []
  spamhaus_key:
    description:
      - Key for Spamhaus' data query service, which also answers to public resolvers.
    type: str
    default: ''
  nameservers:
    description:
      - Addresses of the resolvers to ask. Those of the machine that runs the module by default. Lists
        refuse to answer public resolvers.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait for the answer to one question, from 1 to 60. All questions together take
        at most 20 times as long.
    type: float
    default: 3
notes:
  - Lists limit how often they are asked. Once a day is plenty.
  - An inventory that has C(localhost) in it, or sets C(ansible_python_interpreter) for all hosts,
    makes the controller use another Python than Ansible's own. The variable of the first example
    makes it use that one, where dnspython is.
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
"""

EXAMPLES = r"""
- name: Look for a server in blocklists
  postmaster.mailhost.blocklist_info:
    addresses:
      - 192.0.2.10
      - 2001:db8::10
    domains:
      - example.org
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  register: blocklists

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ blocklists.findings | postmaster.mailhost.report | join('\n') }}"

- name: Ask one list through a resolver of our own
  postmaster.mailhost.blocklist_info:
    addresses:
      - 192.0.2.10
    zones:
      - zen.spamhaus.org
    nameservers:
      - 192.0.2.53
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
      sample: blocklist.address
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
      sample: Addresses in blocklists
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "192.0.2.10 is in zen.spamhaus.org (127.0.0.2): SBL, a source of spam"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "in no blocklist"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "Find out why, stop it, and then have the entry removed."
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://www.rfc-editor.org/rfc/rfc5782
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
entries:
  description: What each list says of each address and domain.
  returned: success
  type: list
  elements: dict
  contains:
    subject:
      description: The address or domain.
      returned: always
      type: str
      sample: 192.0.2.10
    zone:
      description: The list.
      returned: always
      type: str
      sample: zen.spamhaus.org
    status:
      description: V(listed), V(clean) or V(unknown).
      returned: always
      type: str
      sample: listed
    codes:
      description: The list's answers.
      returned: always
      type: list
      elements: str
      sample: [127.0.0.2]
    meaning:
      description: What they mean, or why it is not known.
      returned: always
      type: str
      sample: SBL, a source of spam
    text:
      description: What the list says to it.
      returned: always
      type: str
      sample: "https://check.spamhaus.org/query/ip/192.0.2.10"
    page:
      description: Where to look up the entry and have it removed.
      returned: always
      type: str
      sample: "https://check.spamhaus.org/"
zones:
  description: Whether each list can be believed.
  returned: success
  type: list
  elements: dict
  contains:
    zone:
      description: The list.
      returned: always
      type: str
      sample: zen.spamhaus.org
    status:
      description: V(good), V(refused), V(dead), V(silent) or V(retired).
      returned: always
      type: str
      sample: good
    reason:
      description: Why it is not good.
      returned: always
      type: str
      sample: ""
"""

import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import blocklist, finding
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import (
    blocklist as check,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.dns import without_library
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    TIMEOUT,
    LibraryMissingError,
    Resolver,
    clean_name,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "addresses": {"type": "list", "elements": "str", "default": []},
            "domains": {"type": "list", "elements": "str", "default": []},
            "zones": {"type": "list", "elements": "str", "default": []},
            "domain_zones": {"type": "list", "elements": "str", "default": []},
            "spamhaus_key": {"type": "str", "default": "", "no_log": True},
            "nameservers": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": TIMEOUT},
        },
        supports_check_mode=True,
    )
    params = module.params
    report, rows = blocklist.Report((), (), (), ()), check.LOOK
    try:
        addresses = blocklist.clean_addresses(params["addresses"])
        domains = [clean_name("domains", name) for name in params["domains"]]
        zones = blocklist.choose(params["zones"], params["domain_zones"])
        key = blocklist.clean_key(params["spamhaus_key"])
        try:
            resolver = Resolver(params["nameservers"], params["timeout"])
            report = blocklist.look(resolver, addresses, domains, zones, key)
        except LibraryMissingError as error:
            instead = without_library(sys.executable, str(error))
            rows = tuple(row[:3] + (instead,) for row in check.LOOK)
    except ValueError as error:
        module.fail_json(msg=str(error))
    findings = look.all_of(rows, report)
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        entries=[entry.to_dict() for entry in report.entries],
        zones=[
            {"zone": state.zone.name, "status": state.status, "reason": state.reason}
            for state in report.states
        ],
    )


if __name__ == "__main__":
    main()
