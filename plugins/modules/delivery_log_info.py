#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: delivery_log_info
short_description: Tell from the logs of a mail server what became of its mail
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Reads the logs of Postfix, sendmail and qmail, from files (rotated and packed ones too), the
    journal, and containers of a Compose project.
  - Says for each delivery when it was, from whom and to whom, which server was spoken to and what that
    said; explains each kind of failure in a sentence with the next step; and counts them by reason and
    destination.
  - Reads the logs as a stream; memory does not grow with them.
  - Also counts the bounces in root's mailbox on the server.
  - Only looks. Findings do not make the task fail; RV(summary.go) says whether there is a failure.
options:
  source:
    description:
      - Which logs to read. With V(auto) those of the containers when O(project) is named, else the
        files, else the journal.
    type: str
    default: auto
    choices:
      - auto
      - files
      - journal
      - containers
  paths:
    description:
      - Log files to read instead of the usual ones, absolute, with shell patterns. Files ending in
        C(.gz), C(.bz2) and C(.xz) are unpacked.
      - The usual ones are C(/var/log/mail.log) or C(/var/log/maillog) with their rotated ones, and the
        directories of multilog below C(/var/log/qmail), C(/service) and C(/var/qmail/supervise).
    type: list
    elements: str
    default: []
  project:
    description:
      - Compose project whose containers are the mail server, such as V(mailcowdockerized) or V(mailu).
    type: str
    default: ''
  services:
    description:
      - Services of O(project) that write about deliveries.
    type: list
    elements: str
    default:
      - postfix-mailcow
      - smtp
      - postfix
      - mta
      - qmail
  recipient:
    description:
      - Only deliveries to this address, or to this domain. Then each that did not succeed is a
        failure.
    type: str
    default: ''
  queue_id:
    description:
      - Only deliveries of this message.
    type: str
    default: ''
  since:
    description:
      - How far to look back, as a span with V(s), V(m), V(h), V(d) or V(w), or a date or time in ISO
        8601, of the server's zone when none is named. Everything when it is empty.
    type: str
    default: 1d
  limit:
    description:
      - How many deliveries to return one by one, the newest, from 0 to 10000. All are counted.
    type: int
    default: 200
notes:
  - Needs root, since logs are not for everybody.
  - C(sent) means that the next server took the message. A spam folder there cannot be seen from here.
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
- name: See what went wrong since yesterday
  postmaster.mailhost.delivery_log_info:
  register: log

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ log.findings | postmaster.mailhost.report | join('\n') }}"

- name: Ask what became of mail to one person
  postmaster.mailhost.delivery_log_info:
    recipient: jane@example.net
    since: 7d

- name: Look into the containers of mailcow
  postmaster.mailhost.delivery_log_info:
    project: mailcowdockerized
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
      sample: delivery.connection
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
      sample: Connections to other servers
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "connections to 4 destinations timed out, and none was taken by any server"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: "other mail servers can be reached on port 25"
    fix:
      description: What to do; empty when the status is V(ok).
      returned: always
      type: str
      sample: "Have the provider open outgoing port 25, or send through a smarthost on port 587."
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://www.rfc-editor.org/rfc/rfc5321#section-4.5.4
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
deliveries:
  description: The newest deliveries, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    time:
      description: When it was, as UTC in ISO 8601; empty when the line does not tell.
      returned: always
      type: str
      sample: "2026-01-31T08:00:00Z"
    queue_id:
      description: Name of the message in the queue; C(NOQUEUE) when it was not taken.
      returned: always
      type: str
      sample: 4Zk1mJ2Yhqz5w
    from:
      description: Sender in the envelope; C(<>) for a bounce, empty when it is not known.
      returned: always
      type: str
      sample: me@example.org
    to:
      description: Recipient in the envelope.
      returned: always
      type: str
      sample: jane@example.net
    relay:
      description: Server that was spoken to; the client, for C(rejected).
      returned: always
      type: str
      sample: mx.example.net[192.0.2.25]:25
    dsn:
      description: Enhanced status code.
      returned: always
      type: str
      sample: 4.4.1
    status:
      description: V(sent), V(deferred), V(bounced), V(expired), V(rejected) or V(queued).
      returned: always
      type: str
      sample: deferred
    reason:
      description: What was said.
      returned: always
      type: str
      sample: "connect to mx.example.net[192.0.2.25]:25: Connection timed out"
    mta:
      description: V(postfix), V(sendmail) or V(qmail).
      returned: always
      type: str
      sample: postfix
    local:
      description: Whether the message stays on the server.
      returned: always
      type: bool
      sample: false
totals:
  description: The number of deliveries with each status.
  returned: success
  type: dict
  sample: {sent: 812, deferred: 4, bounced: 1, expired: 0, rejected: 93, queued: 0}
reasons:
  description: Why mail was not delivered, the reason met most often first.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Name of the reason.
      returned: always
      type: str
      sample: timeout
    status:
      description: As in RV(deliveries[].status).
      returned: always
      type: str
      sample: deferred
    side:
      description: Who can mend it, V(network), V(server) (this one), V(receiver) or V(sender).
      returned: always
      type: str
      sample: network
    count:
      description: Number of attempts.
      returned: always
      type: int
      sample: 4
    explanation:
      description: What it means.
      returned: always
      type: str
      sample: The receiver's server could not be reached.
    next_step:
      description: What to do.
      returned: always
      type: str
      sample: "Try another destination: if all of them time out, outgoing port 25 is blocked."
    destinations:
      description: The domains that it was met with most often.
      returned: always
      type: list
      elements: dict
      sample: [{domain: example.net, count: 4}]
    last:
      description: The newest delivery with this reason, as in RV(deliveries).
      returned: always
      type: dict
destinations:
  description: The 20 domains with most attempts that failed, with the number of each status.
  returned: success
  type: list
  elements: dict
  sample: [{domain: example.net, sent: 0, deferred: 4, bounced: 0, expired: 0, rejected: 0, queued: 0}]
waiting:
  description: Number of recipients that are still waited for at the end of the log.
  returned: success
  type: int
  sample: 1
troubles:
  description: Lines in which a daemon gives up, with time, mta, text and count of each.
  returned: success
  type: list
  elements: dict
  sample: []
sources:
  description: The logs that were read, with name, bytes and lines of each, and a note when one ends early.
  returned: success
  type: list
  elements: dict
  sample: [{name: /var/log/mail.log, bytes: 120034, lines: 811, note: ""}]
root_mailbox:
  description:
    - Root's mailbox on the server, with path, size in bytes, number of messages and bounces, and
      recipient, dsn and reason of the newest bounces in C(failures).
  returned: success
  type: dict
  sample: {path: /var/mail/root, size: 0, messages: 0, bounces: 0, failures: [], trouble: ""}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    delivery_log,
    finding,
    mail_log_source,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import delivery, look
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {
                "type": "str",
                "default": mail_log_source.AUTO,
                "choices": list(mail_log_source.CHOICES),
            },
            "paths": {"type": "list", "elements": "str", "default": []},
            "project": {"type": "str", "default": ""},
            "services": {
                "type": "list",
                "elements": "str",
                "default": list(mail_log_source.SERVICES),
            },
            "recipient": {"type": "str", "default": ""},
            "queue_id": {"type": "str", "default": ""},
            "since": {"type": "str", "default": "1d"},
            "limit": {"type": "int", "default": delivery_log.LIMIT},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        log = delivery_log.look(
            Host(),
            choice=params["source"],
            paths=params["paths"],
            project=params["project"],
            services=params["services"],
            recipient=params["recipient"],
            queue_id=params["queue_id"],
            since=params["since"],
            limit=params["limit"],
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    findings = look.all_of(delivery.LOOK, log)
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        **log.to_dict(),
    )


if __name__ == "__main__":
    main()
