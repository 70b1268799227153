#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Show findings, write them to files, stop where one of them forbids to go on
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Shows the findings of a host as text, worst first, with the fix below each that is not V(ok).
    Coloured where Ansible's own output is, and at most 100 columns wide.
  - Writes them on the controller as JSON, Markdown and a page for the browser, if O(path) is set,
    with an index of all hosts.
  - Works on the controller alone, without a connection to the host.
options:
  findings:
    description:
      - Findings, as the modules of this collection return them.
    type: list
    elements: dict
    default: []
  diagnosis:
    description:
      - What the filter P(postmaster.mailhost.diagnosis#filter) made of findings. It is shown instead of
        O(findings), in its order, and is in the JSON file as a whole.
    type: dict
    default: {}
  stack:
    description:
      - The mail stack that the findings are about, to be named in the report.
    type: str
    default: ''
  fail_on:
    description:
      - From which status on RV(go) is false. V(fail) counts failures; V(warn) counts warnings and
        unknown answers too; V(never) counts nothing.
    type: str
    default: fail
    choices:
      - fail
      - warn
      - never
  stop:
    description:
      - Fail when RV(go) is false. The message names the findings, and the line that accepts them.
    type: bool
    default: false
  accepted:
    description:
      - What is accepted by name already. It is in the line that accepts the rest, as that one
        replaces it.
    type: list
    elements: str
    default: []
  accept_variable:
    description:
      - The variable that findings are accepted with, to be named in that line.
    type: str
    default: preflight_accept
  full:
    description:
      - Show each finding by itself. Otherwise, of more than 20 findings, those that are V(ok) or
        V(skip) are shown by name only, unless Ansible runs with C(-v).
    type: bool
    default: false
  width:
    description:
      - Longest line of the text, in characters, at least 40. The width of the terminal by default,
        but at least 79 and at most 100.
    type: int
  path:
    description:
      - A directory on the controller for the files. It is made, with mode 0755, when it is not
        there. A relative one is taken from where Ansible was started. Empty for no files.
      - The files have mode 0644 and are called as the host is in the inventory. Where that cannot
        be the name of a file, other characters become C(_) and a checksum is added.
    type: path
    default: ''
notes:
  - The task is never C(changed), as it changes nothing on the host.
  - The index is made of all JSON reports that are in the directory. Delete a host's files to take it
    off the list.
  - With the callbacks C(json) and C(jsonl) no text is shown, as it would spoil their output.
  - RV(ignore:findings) hold no secrets, and neither do the files.
seealso:
  - plugin: postmaster.mailhost.report
    plugin_type: filter
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - The files are written in check mode too, as they are not part of the host.
  diff_mode:
    support: none
    details:
      - Nothing on the host is changed.
  idempotent:
    support: partial
    details:
      - The files are written each time, as they hold the time. It does not count as a change.
  platform:
    support: full
    platforms: posix
"""

EXAMPLES = r"""
- name: Look at the server
  postmaster.mailhost.preflight:
    stack: mailcow
  register: look

- name: Report
  postmaster.mailhost.report:
    findings: "{{ look.findings }}"
    stack: mailcow
    path: mailhost-report
    stop: true
"""

RETURN = r"""
go:
  description: Whether no finding counts as O(fail_on) or worse.
  returned: always, unless the input is wrong
  type: bool
  sample: false
counts:
  description: Number of findings of each status, V(fail), V(unknown), V(warn), V(ok) and V(skip).
  returned: always, unless the input is wrong
  type: dict
  sample:
    fail: 1
    unknown: 0
    warn: 2
    ok: 51
    skip: 4
accept:
  description:
    - What O(accepted) must hold so that no failure is left. Empty when there is none.
  returned: always, unless the input is wrong
  type: list
  elements: str
  sample: [resources.swap, ports.public]
files:
  description: Paths of the files on the controller. Empty without O(path).
  returned: always, unless the input is wrong
  type: dict
  contains:
    json:
      description: The report as data.
      returned: when O(path) is set
      type: str
      sample: /root/mailhost-report/mail.example.org.json
    markdown:
      description: The report as Markdown.
      returned: when O(path) is set
      type: str
      sample: /root/mailhost-report/mail.example.org.md
    html:
      description: The report as a page.
      returned: when O(path) is set
      type: str
      sample: /root/mailhost-report/mail.example.org.html
    index:
      description: The page with all hosts.
      returned: when O(path) is set
      type: str
      sample: /root/mailhost-report/index.html
"""

# The work is done on the controller, in plugins/action/report.py.
