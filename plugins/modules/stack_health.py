#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_health
short_description: Tell what is wrong with a mail stack of containers
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Looks at a stack that runs, or should - at its containers (missing, ended, restarted again and again,
    unhealthy, without their port, with another image or other variables than the files want), at its
    networks and the connections between containers, at its certificate as containers see it, at disk
    space, at rspamd's compiled expressions, at old keys in its configuration, and at complaints in its
    logs.
  - Only looks. What could be mended without asking is in RV(fixes). Findings do not make the task fail;
    RV(summary.go) says whether there is a failure.
  - Values of secrets are not in its output, nor in the log lines that it shows.
options:
  stack:
    description:
      - The mail stack.
    type: str
    required: true
    choices:
      - mailcow
      - mailu
  path:
    description:
      - Directory of the Compose project, with the stack's configuration file; the stack's usual one
        when empty.
    type: str
    default: ''
  log_hours:
    description:
      - Age in hours of the oldest log lines that count, more than 0. What a container said before it was
        started the last time does not count.
    type: float
    default: 1.0
notes:
  - Needs root, or the group that may ask the Docker engine.
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
  - module: postmaster.mailhost.stack_ready
  - module: postmaster.mailhost.delivery_log_info
"""

EXAMPLES = r"""
- name: See what is wrong with mailcow
  postmaster.mailhost.stack_health:
    stack: mailcow
  register: health

- name: Show the report
  ansible.builtin.debug:
    msg: "{{ health.findings | postmaster.mailhost.report | join('\n') }}"
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
      sample: health.containers
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
      sample: Containers that run
    observed:
      description: What was found.
      returned: always
      type: str
      sample: "redis-mailcow is exited, exit code 137 (it was killed because memory ran out)"
    required:
      description: What is needed.
      returned: always
      type: str
      sample: every service of the Compose files has a container that runs
    fix:
      description: What to do, with the command; empty when the status is V(ok).
      returned: always
      type: str
      sample: cd /opt/mailcow-dockerized && docker compose up -d redis-mailcow
    source:
      description: Where the rule comes from.
      returned: always
      type: str
      sample: https://docs.docker.com/reference/cli/docker/compose/up/
summary:
  description: The number of findings of each status, and whether to go on.
  returned: success
  type: dict
  contains:
    ok:
      description: Number of checks passed.
      returned: always
      type: int
      sample: 18
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
fixes:
  description: What mends findings and can be done without asking. A kind has what it needs besides.
  returned: success
  type: list
  elements: dict
  contains:
    finding:
      description: Id of the finding that it is for.
      returned: always
      type: str
      sample: health.environment
    kind:
      description:
        - V(recreate) (services get new containers), V(copy_link) (a link becomes a file with the content
          that it leads to), V(copy_file) (a missing file is copied from the stack's example),
          V(remove_files), V(sysctl) or V(env_file) (keys leave the configuration file).
      returned: always
      type: str
      sample: recreate
    command:
      description: What one would type.
      returned: always
      type: str
      sample: cd /opt/mailcow-dockerized && docker compose up -d dovecot-mailcow
    project_src:
      description: Directory of the Compose project.
      returned: kind V(recreate)
      type: str
      sample: /opt/mailcow-dockerized
    project:
      description: Name of the Compose project.
      returned: kinds with C(services)
      type: str
      sample: mailcowdockerized
    services:
      description:
        - Services to create anew; with files, those to restart; with V(env_file), those that run and may
          have to be created anew.
      returned: kinds V(recreate), V(copy_link), V(copy_file), V(remove_files) and V(env_file)
      type: list
      elements: str
      sample: [dovecot-mailcow]
    path:
      description: The file to write.
      returned: kinds V(copy_link), V(copy_file) and V(env_file)
      type: str
      sample: /opt/mailcow-dockerized/data/assets/ssl/cert.pem
    target:
      description: The file to copy.
      returned: kinds V(copy_link) and V(copy_file)
      type: str
      sample: /etc/letsencrypt/archive/mail.example.org/fullchain1.pem
    mode:
      description: Mode of the file, in octal digits.
      returned: kinds V(copy_link), V(copy_file) and V(env_file)
      type: str
      sample: "0644"
    paths:
      description: Files to remove.
      returned: kind V(remove_files)
      type: list
      elements: str
      sample: []
    absent:
      description: Keys to remove. Keys that stand twice are to be left once.
      returned: kind V(env_file)
      type: list
      elements: str
      sample: [SKIP_SOLR]
    secret_keys:
      description: Keys whose values are not shown.
      returned: kind V(env_file)
      type: list
      elements: str
      sample: [DBPASS]
    name:
      description: The kernel parameter.
      returned: kind V(sysctl)
      type: str
      sample: net.ipv4.ip_forward
    value:
      description: The value that it gets.
      returned: kind V(sysctl)
      type: str
      sample: "1"
project:
  description: Name of the Compose project that was looked at.
  returned: success
  type: str
  sample: mailcowdockerized
containers:
  description: The project's containers.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Its service.
      returned: always
      type: str
      sample: redis-mailcow
    name:
      description: Its name.
      returned: always
      type: str
      sample: mailcowdockerized-redis-mailcow-1
    state:
      description: What the engine calls its state.
      returned: always
      type: str
      sample: exited
    exit_code:
      description: With what it ended.
      returned: always
      type: int
      sample: 137
    meaning:
      description: What that means; empty while it runs.
      returned: always
      type: str
      sample: it was killed because memory ran out
    restarts:
      description: How often the engine has restarted it.
      returned: always
      type: int
      sample: 0
    health:
      description: State of its health check; empty without one.
      returned: always
      type: str
      sample: ''
    image:
      description: Its image.
      returned: always
      type: str
      sample: redis:7.4.6-alpine
    lines:
      description: The last lines of its log, without secrets; none while it is well.
      returned: always
      type: list
      elements: str
      sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    finding,
    stack,
    stack_health,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import health, look
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True, "choices": stack.names("health")},
            "path": {"type": "str", "default": ""},
            "log_hours": {"type": "float", "default": 1.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        seen = stack_health.look(
            Host(), stack.get(params["stack"]), params["path"], params["log_hours"]
        )
    except stack_health.HealthError as error:
        module.fail_json(msg=str(error))
    module.no_log_values.update(seen.secrets)
    findings = look.all_of(health.LOOK, seen)
    module.exit_json(
        changed=False,
        findings=[item.to_dict() for item in finding.worst_first(findings)],
        summary=finding.summary(findings),
        fixes=health.fixes(seen, findings),
        project=seen.project,
        containers=seen.to_list(),
    )


if __name__ == "__main__":
    main()
