# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DNS records that a mail host and its domains should publish."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_records as words

DOCUMENTATION = r"""
name: zone_records
short_description: The DNS records that a mail host and its domains should publish
version_added: 0.1.0
author: The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Makes the records of a mail server and of the mail domains that it is for.
    M(postmaster.mailhost.dns_audit) finds nothing wrong with them.
  - The filter P(postmaster.mailhost.zone_snippet#filter) makes lines of zone files of them.
  - Reverse records are not among them; the owner of an address publishes those.
positional: _input
options:
  _input:
    description: Mail domains.
    type: list
    elements: str
    required: true
  hostname:
    description: The server's name.
    type: str
    required: true
  ipv4:
    description: The server's public IPv4 addresses.
    type: list
    elements: str
    default: []
  ipv6:
    description: Its public IPv6 addresses.
    type: list
    elements: str
    default: []
  dkim:
    description:
      - Mail domain, then C(selector), C(public_key) (base64, without line ends) and C(type)
        (V(rsa) when left out). M(postmaster.mailhost.dkim_info) returns it.
    type: dict
    default: {}
  spf:
    description: The SPF record of the mail domains.
    type: str
    default: v=spf1 mx -all
  dmarc:
    description:
      - What receivers do with mail that neither SPF nor DKIM vouches for. Begin with V(none), read
        the reports, and go on to V(quarantine) or V(reject).
    type: str
    choices: [none, quarantine, reject]
    default: none
  dmarc_rua:
    description:
      - Address that gets reports on all mail. For mail domains other than that of the address, the
        record by which it agrees is made as well.
    type: str
    default: ''
  dmarc_ruf:
    description: Address that gets reports on single mails.
    type: str
    default: ''
  mta_sts:
    description:
      - Number of the MTA-STS policy that the server publishes, up to 32 letters and digits. None
        when empty.
    type: str
    default: ''
  tls_rpt:
    description: Address that gets reports on TLS. None when empty.
    type: str
    default: ''
  tlsa:
    description:
      - Contents of TLSA records for port 25, such as what M(postmaster.mailhost.certificate_copy)
        returns in C(tlsa). Only where the zone is signed with DNSSEC.
    type: list
    elements: str
    default: []
  autoconfig:
    description: Whether the server answers as C(autoconfig) and C(autodiscover) of the domains.
    type: bool
    default: true
  services:
    description: Services that mail programs find by SRV records.
    type: list
    elements: str
    choices:
      - submissions
      - submission
      - imaps
      - imap
      - pop3s
      - pop3
      - sieve
      - caldavs
      - carddavs
      - autodiscover
    default: [submissions, imaps]
  caa:
    description: Domains of the certificate authorities that may issue, for CAA records.
    type: list
    elements: str
    default: []
  ttl:
    description: Seconds that others may keep a record.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: A snippet for the zone file, on the controller
  ansible.builtin.copy:
    dest: records.zone
    mode: '0644'
    content: "{{ domains | postmaster.mailhost.zone_records(hostname='mail.example.org',
      ipv4=['192.0.2.10'], dkim=dkim.dkim, dmarc='quarantine', caa=['letsencrypt.org'])
      | postmaster.mailhost.zone_snippet }}"
  delegate_to: localhost
  vars:
    domains: [example.org, example.net]
"""

RETURN = r"""
_value:
  description:
    - Dictionaries with C(zone) (the domain that the record is published for), C(name), C(type),
      C(value), C(ttl), C(note) (why, or a condition), and C(text), a line of a zone file.
  type: list
  elements: dict
"""


def zone_records(
    domains: Iterable[str], hostname: str, ttl: int = 3600, **options: Any
) -> list[dict[str, Any]]:
    """See the documentation above.

    Raises:
        AnsibleFilterError: an option is not allowed; the text names it.
    """
    if isinstance(domains, str):
        domains = [domains]
    unknown = set(options) - set(words.Options._fields)
    if unknown:
        raise AnsibleFilterError(
            f"zone_records: unknown option {', '.join(sorted(unknown))}; allowed: hostname, ttl, "
            f"{', '.join(words.Options._fields)}"
        )
    if not 0 < int(ttl) < 2**31:
        raise AnsibleFilterError(f"zone_records: ttl is {ttl}; allowed: 1 to 2147483647 seconds")
    try:
        found = words.wanted(domains, hostname, words.Options(**options))
        return [words.as_dict(entry, int(ttl)) for entry in found]
    except (AttributeError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"zone_records: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"zone_records": zone_records}
