#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail_queue_info
short_description: Tell what waits in the queue of a mail server
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Counts the messages in the queue of Postfix or qmail, on the server or in a container of a Compose
    project; says for whom they wait, for how long, and why.
  - Only looks. Findings do not make the task fail; RV(summary.go) says whether there is a failure.
options:
  mta:
    description:
      - Whose queue to read. With V(auto) qmail's where its programs are, else Postfix's.
    type: str
    default: auto
    choices:
      - auto
      - postfix
      - qmail
  project:
    description:
      - Compose project whose container has the queue, such as V(mailcowdockerized) or V(mailu). On the
        server itself when empty.
    type: str
    default: ''
  services:
    description:
      - Services of O(project) that have a queue of Postfix; the first that runs is asked.
    type: list
    elements: str
    default:
      - postfix-mailcow
      - smtp
      - postfix
      - mta
      - qmail
  qmail_home:
    description:
      - Where qmail is.
    type: path
    default: /var/qmail
  warn_messages:
    description:
      - Number of messages that is a warning.
    type: int
    default: 5000
  fail_messages:
    description:
      - Number of messages that is a failure.
    type: int
    default: 25000
  warn_hours:
    description:
      - Age of the oldest message that is a warning, in hours.
    type: int
    default: 4
  share:
    description:
      - Percentage of all recipients, from 1 to 100, above which one domain is a warning.
    type: int
    default: 50
notes:
  - Needs root, or the group that may read the queue.
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
  - module: postmaster.mailhost.delivery_log_info
"""

EXAMPLES = r"""
- name: See what waits
  postmaster.mailhost.mail_queue_info:
  register: queue

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ queue.findings | postmaster.mailhost.report | join('\n') }}"

- name: Look into the container of mailcow
  postmaster.mailhost.mail_queue_info:
    project: mailcowdockerized
    warn_messages: 500
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
      sample: queue.reasons
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
      sample: Reasons in the queue
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "all 11 recipients, of 4 domains: Connection timed out"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "nothing waits because of this server"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "Have the provider open outgoing port 25."
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://www.rfc-editor.org/rfc/rfc3463
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
queue:
  description: What is in the queue.
  returned: success
  type: dict
  contains:
    mta:
      description: V(postfix) or V(qmail).
      returned: always
      type: str
      sample: postfix
    messages:
      description: Number of messages.
      returned: always
      type: int
      sample: 12
    unprocessed:
      description: Number of messages that qmail has not looked at yet; none for Postfix.
      returned: always
      type: int
      sample: 0
    size:
      description: Bytes of all messages.
      returned: always
      type: int
      sample: 51200
    recipients:
      description: Number of recipients that are not done.
      returned: always
      type: int
      sample: 14
    bounces:
      description: Number of messages that are bounces.
      returned: always
      type: int
      sample: 1
    oldest_seconds:
      description: For how long the oldest message waits.
      returned: always
      type: int
      sample: 3600
    queues:
      description: Number of messages in each queue of Postfix.
      returned: always
      type: dict
      sample: {active: 1, deferred: 11}
    destinations:
      description: The ten domains that most recipients wait for.
      returned: always
      type: list
      elements: dict
      sample:
        - domain: example.net
          recipients: 9
          oldest_seconds: 3600
          reason: "connect to mx.example.net[192.0.2.25]:25: Connection timed out"
    reasons:
      description: Why they wait, with kind, count, explanation, next_step and the last text (Postfix).
      returned: always
      type: list
      elements: dict
      sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    finding,
    mail_log_source,
    mail_queue,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, queue
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    defaults = mail_queue.Thresholds()
    module = AnsibleModule(
        argument_spec={
            "mta": {"type": "str", "default": mail_queue.AUTO, "choices": list(mail_queue.CHOICES)},
            "project": {"type": "str", "default": ""},
            "services": {
                "type": "list",
                "elements": "str",
                "default": list(mail_log_source.SERVICES),
            },
            "qmail_home": {"type": "path", "default": mail_queue.QMAIL_HOME},
            "warn_messages": {"type": "int", "default": defaults.warn_messages},
            "fail_messages": {"type": "int", "default": defaults.fail_messages},
            "warn_hours": {"type": "int", "default": defaults.warn_hours},
            "share": {"type": "int", "default": defaults.share},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        limits = mail_queue.thresholds(
            **{name: params[name] for name in mail_queue.Thresholds._fields}
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    found = mail_queue.look(
        Host(), params["mta"], params["project"], params["services"], params["qmail_home"]
    )
    findings = look.all_of(queue.LOOK, found, limits)
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        queue=found.to_dict(),
    )


if __name__ == "__main__":
    main()
