#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_audit
short_description: Tell whether the TLS of a mail server is as it should be
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Connects to each TLS service of a mail server, with STARTTLS where it comes later, for SMTP, IMAP,
    POP3, ManageSieve and the web, and looks at the chain, the names, the validity and the key of the
    certificate, at old protocols, and at TLSA records.
  - Made for the controller, with C(delegate_to=localhost), where it sees what clients see.
  - Only asks. Findings do not make the task fail; RV(summary.go) says whether there is a failure.
requirements:
  - cryptography for the Python that runs the module. Without it every finding is V(unknown).
  - dnspython >= 2.2, for TLSA records.
options:
  host:
    description:
      - Name of the mail server, which its certificate must have.
    type: str
    required: true
  names:
    description:
      - Further names that its certificate must have, such as C(autodiscover.example.org).
    type: list
    elements: str
    default: []
  addresses:
    description:
      - Its addresses; those of its name when empty.
    type: list
    elements: str
    default: []
  services:
    description:
      - Services to look at. One whose port is closed is left out.
    type: list
    elements: str
    default:
      - smtp
      - submission
      - submissions
      - imap
      - imaps
      - pop3
      - pop3s
      - sieve
      - https
  ports:
    description:
      - Ports of services that are not at their usual one, by name, such as C({"https":8443}).
    type: dict
    default: {}
  warn_days:
    description:
      - Days before its end from which on a certificate is a warning, from 3.
    type: int
    default: 20
  ca_file:
    description:
      - File of certificate authorities to trust, on the machine that runs the module; the system's by
        default.
    type: path
  nameservers:
    description:
      - Addresses of the resolvers to ask. Those of the machine that runs the module by default. TLSA
        records count only when the resolver validates them (DNSSEC).
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait for one answer, from 1 to 60.
    type: float
    default: 10
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
  - module: postmaster.mailhost.smtp_probe
  - module: postmaster.mailhost.dns_audit
"""

EXAMPLES = r"""
- name: Look at the TLS of a mail server
  postmaster.mailhost.tls_audit:
    host: mail.example.org
    names:
      - autodiscover.example.org
  delegate_to: localhost
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  register: tls

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ tls.findings | postmaster.mailhost.report | join('\n') }}"
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
      sample: tls.expiry
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
      sample: Validity of the certificate
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "imaps 192.0.2.10:993: ended on 2026-01-31"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "valid for 20 days or more"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "See why it was not renewed."
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
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
services:
  description: What each service at each address showed.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Name of the service.
      returned: always
      type: str
      sample: imaps
    address:
      description: Where it is.
      returned: always
      type: str
      sample: 192.0.2.10
    port:
      description: Its port.
      returned: always
      type: int
      sample: 993
    state:
      description:
        - V(open), V(not_offered) (STARTTLS), V(tls) (it failed), V(refused), V(timeout), V(unreachable),
          V(closed) or V(protocol) (it speaks something else).
      returned: always
      type: str
      sample: open
    trouble:
      description: Why it is not open.
      returned: always
      type: str
      sample: ""
    version:
      description: Protocol that was agreed on.
      returned: always
      type: str
      sample: TLSv1.3
    cipher:
      description: Cipher that was agreed on.
      returned: always
      type: str
      sample: TLS_AES_256_GCM_SHA384
    names:
      description: Names in the certificate.
      returned: always
      type: list
      elements: str
      sample: [mail.example.org]
    issuer:
      description: Who signed it.
      returned: always
      type: str
      sample: "CN=R11,O=Let's Encrypt,C=US"
    expires:
      description: When it ends, as UTC in ISO 8601.
      returned: always
      type: str
      sample: "2026-03-31T08:00:00Z"
    fingerprint:
      description: SHA-256 of the certificate.
      returned: always
      type: str
      sample: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    trusted:
      description: Whether its chain is trusted.
      returned: always
      type: bool
      sample: true
"""

import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    finding,
    smtp_probe,
    tls_probe,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, tls
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import (
    LibraryMissingError,
    Resolver,
    clean_name,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "services": {
                "type": "list",
                "elements": "str",
                "default": list(tls_probe.BY_NAME),
            },
            "ports": {"type": "dict", "default": {}},
            "warn_days": {"type": "int", "default": tls.WARN_DAYS},
            "ca_file": {"type": "path"},
            "nameservers": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": tls_probe.TIMEOUT_SECONDS},
        },
        supports_check_mode=True,
    )
    params = module.params
    audit, rows = tls_probe.Audit("", (), (), {}, 0), tls.LOOK
    try:
        host = clean_name("host", params["host"])
        names = [clean_name("names", name) for name in params["names"]]
        addresses = [smtp_probe.clean_address("addresses", item) for item in params["addresses"]]
        services = tls_probe.choose(params["services"], params["ports"])
        tls_probe.check_numbers(params["timeout"], params["warn_days"])
        try:
            resolver = Resolver(params["nameservers"])
        except LibraryMissingError:
            resolver = None
        try:
            tls_probe.check_library()
            trouble = ""
            if not addresses:
                addresses, trouble = smtp_probe.addresses_of(host, resolver)
            audit = tls_probe.look(
                host,
                addresses,
                services,
                resolver,
                names,
                params["timeout"],
                params["ca_file"] or "",
                trouble,
            )
        except tls_probe.LibraryMissingError as error:
            instead = tls.without_library(sys.executable, str(error))
            rows = tuple(row[:3] + (instead,) for row in rows)
    except ValueError as error:
        module.fail_json(msg=str(error))
    findings = look.all_of(rows, audit, params["warn_days"])
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        services=[port.to_dict() for port in audit.ports],
    )


if __name__ == "__main__":
    main()
