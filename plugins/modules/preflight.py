#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Tell whether a server can be a mail host
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Compares a server with what a mail stack needs. The checks are listed in C(docs/checks.md).
  - Only looks, in one process. Nothing is changed.
  - Connections are made by the checks of the subjects C(egress) and C(resolver) only, all at the
    same time, each for at most three seconds; a name may take eight.
  - Findings do not make the task fail. RV(summary.go) says whether to go on.
options:
  stack:
    description:
      - The mail stack that the server is for.
    type: str
    required: true
    choices:
      - mailcow
      - mailu
  install_path:
    description:
      - Directory of the stack on the server. It does not have to exist. The stack's own by default.
    type: path
  memory_mib:
    description:
      - Memory needed, in MiB; V(0) needs none. The stack's own minimum by default.
    type: int
  swap_mib:
    description:
      - Swap space needed, in MiB; V(0) needs none. The stack's own minimum by default.
    type: int
  disk_gib:
    description:
      - Disk space needed, in GiB; V(0) needs none. The stack's own minimum by default.
    type: int
  cpu_mhz:
    description:
      - Clock rate of the processor needed, in MHz; V(0) needs none. The stack's own minimum by
        default.
    type: int
  config:
    description:
      - Settings of the stack's configuration file that a host must suit and that differ from the
        stack's own, as keys and values. Ports and their addresses, networks, components.
      - Allowed are the C(host_keys) of the stack's data, such as C(SMTP_PORT), C(HTTP_BIND),
        C(IPV4_NETWORK) and C(SKIP_CLAMD) of mailcow.
    type: dict
    default: {}
  plan:
    description:
      - What the server is for. The memory that is wanted follows from it; see RV(findings) of the
        check C(resources.memory) for the sum.
      - Numbers of C(users), C(activesync_devices), concurrent C(imap_connections) and
        C(sogo_workers) (V(20) by default), and V(true) or V(false) for each component of the stack,
        such as C(clamav) and C(full_text_search) of mailcow, C(attachment_search) of Mailu.
    type: dict
    default: {}
  hostname:
    description:
      - Fully qualified name that the server shall have. Without it names are not compared.
    type: str
  timezone:
    description:
      - Time zone that the server shall have, such as V(Europe/Berlin). Not compared when not given.
    type: str
  public_ipv4:
    description:
      - IPv4 address that the world sees. The source address of the default route by default.
    type: str
  public_ipv6:
    description:
      - IPv6 address that the world sees. The source address of the default route by default.
    type: str
  mtu:
    description:
      - MTU that the stack's network will be given, in bytes, from 576 to 65535.
    type: int
  offline:
    description:
      - The server is meant to have no way out. Checks of outgoing connections are reported as
        V(skip).
    type: bool
    default: false
  smtp_targets:
    description:
      - Mail servers that outgoing port 25 is tried with. A connection is made, the greeting is read,
        and C(QUIT) said; no mail is sent.
    type: list
    elements: str
    default:
      - gmail-smtp-in.l.google.com
      - mx01.mail.icloud.com
  mirrors:
    description:
      - Names of servers in the internet, and the server that is used in place of each, as C(HOST)
        or C(HOST:PORT). One with an empty value is not asked at all.
    type: dict
    default: {}
  proxy:
    description:
      - HTTP proxy that web addresses are asked through, as C(http://HOST:PORT). Taken from the
        environment variable C(https_proxy) by default.
    type: str
  only:
    description:
      - Checks to run alone, by id (V(ports.public)) or by subject (V(ports)). All when empty.
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
  repaired:
    description:
      - Checks whose failure is about to be repaired by the play, by id or subject. It is reported as
        V(warn), with the words C(about to be repaired), and counts for nothing in O(fail_on). With
        O(fail_on=warn) that is so for warnings, too.
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
  - Without root's rights the owner of a port is not visible, and some answers are V(unknown).
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
    platforms: linux
"""

EXAMPLES = r"""
- name: Look at the server
  postmaster.mailhost.preflight:
    stack: mailcow
  register: preflight

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ preflight.findings | postmaster.mailhost.report | join('\n') }}"

- name: A smaller server behind a reverse proxy
  postmaster.mailhost.preflight:
    stack: mailcow
    memory_mib: 4096
    config:
      HTTP_PORT: 8080
      HTTP_BIND: 127.0.0.1
      HTTPS_PORT: 8443
      HTTPS_BIND: 127.0.0.1
      SKIP_CLAMD: y
    accept:
      - resources.swap

- name: A server for a company
  postmaster.mailhost.preflight:
    stack: mailcow
    hostname: mail.example.org
    plan:
      users: 30
      activesync_devices: 15
      imap_connections: 50

- name: Only the ports
  postmaster.mailhost.preflight:
    stack: mailcow
    only:
      - ports
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
      sample: ports.public
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
      sample: Public ports
    observed:
      description: What was measured.
      returned: always
      type: str
      sample: tcp 127.0.0.1:25 held by exim4 (PID 812, exim4.service)
    required:
      description: What is needed.
      returned: always
      type: str
      sample: tcp 25 free
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "Stop it for good: systemctl disable --now exim4.service."
    source:
      description: Where the rule comes from; empty when there is no such page.
      returned: always
      type: str
      sample: https://docs.mailcow.email/getstarted/prerequisite-system/#incoming-ports
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
      sample: 0
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
route:
  description: The default route of both families, V(null) for one that there is not.
  returned: success
  type: dict
  contains:
    ipv4:
      description:
        - The default route of IPv4; C(ipv6) has the same keys. C(source) is the address that
          connections have on the server, C(public) the one that the world sees, V(null) when it is
          not known, C(mtu) that of the interface in bytes.
      returned: always
      type: dict
      sample:
        interface: eth0
        gateway: 203.0.113.1
        mtu: 1500
        source: 203.0.113.10
        public: 203.0.113.10
    ipv6:
      description: The default route of IPv6.
      returned: always
      type: dict
      sample: null
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding, stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import (
    catalogue,
    need,
    network,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True, "choices": stack.names()},
            "install_path": {"type": "path"},
            "memory_mib": {"type": "int"},
            "swap_mib": {"type": "int"},
            "disk_gib": {"type": "int"},
            "cpu_mhz": {"type": "int"},
            "config": {"type": "dict", "default": {}},
            "plan": {"type": "dict", "default": {}},
            "hostname": {"type": "str"},
            "timezone": {"type": "str"},
            "public_ipv4": {"type": "str"},
            "public_ipv6": {"type": "str"},
            "mtu": {"type": "int"},
            "offline": {"type": "bool", "default": False},
            "smtp_targets": {
                "type": "list",
                "elements": "str",
                "default": ["gmail-smtp-in.l.google.com", "mx01.mail.icloud.com"],
            },
            "mirrors": {"type": "dict", "default": {}},
            # May hold a password, which must not come into a log.
            "proxy": {"type": "str", "no_log": True},
            "only": {"type": "list", "elements": "str", "default": []},
            "skip": {"type": "list", "elements": "str", "default": []},
            "accept": {"type": "list", "elements": "str", "default": []},
            "repaired": {"type": "list", "elements": "str", "default": []},
            "fail_on": {"type": "str", "default": "fail", "choices": list(finding.FAIL_ON)},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        demands = need.from_stack(
            stack.get(params["stack"]),
            **{name: params[name] for name in need.OPTIONS + need.THRESHOLDS},
        )
        host = Host()
        findings = catalogue.run(
            host,
            demands,
            **{name: params[name] for name in ("only", "skip", "accept", "repaired", "fail_on")},
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings, params["fail_on"]),
        route={
            family: entry and dict(entry, public=network.sending_address(host, demands, family))
            for family, entry in network.default_route(host).items()
        },
    )


if __name__ == "__main__":
    main()
