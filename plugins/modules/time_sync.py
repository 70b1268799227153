#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: time_sync
short_description: Have the clock follow time servers
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Enables and starts the time daemon that the host has, for example systemd-timesyncd or chrony, as
    C(timedatectl set-ntp true) does; gives it servers, and waits until it has set the clock.
  - Certificates, one-time passwords and the signatures of mail depend on the right time.
  - Installs nothing. Of several daemons, one that runs is taken.
options:
  servers:
    description:
      - Time servers, by name or IP address. With none, the daemon's own configuration counts, and a
        file of ours from an earlier run goes.
      - C(systemd-timesyncd) asks these instead of those in other files, C(chrony) beside those in its
        own configuration, and prefers them. For other daemons servers cannot be set here.
    type: list
    elements: str
    default: []
  daemon:
    description:
      - The daemon to use. V(auto) takes the one that is there.
    type: str
    choices: [auto, chrony, ntpsec, ntp, openntpd, systemd-timesyncd]
    default: auto
  timeout:
    description:
      - Seconds to wait until the clock is synchronised, from 0 to 3600. After that the task fails and
        names the servers that were asked. V(0) does not wait and never fails for that reason.
    type: int
    default: 60
notes:
  - "The servers stand in C(/etc/systemd/timesyncd.conf.d/60-mailhost.conf) or in the folder that
    chrony's C(sourcedir) or C(confdir) names. Where chrony's configuration names none, a
    C(sourcedir) line is added to it, and a copy of the old one kept."
  - In a container, where systemd-timesyncd refuses to start, the clock is that of the machine around
    it. This is a warning then, and the kernel's word counts.
  - A daemon that is masked is an error, because somebody decided so.
seealso:
  - name: timesyncd.conf(5)
    description: Configuration of systemd-timesyncd.
    link: https://www.freedesktop.org/software/systemd/man/latest/timesyncd.conf.html
  - name: chrony.conf(5)
    description: Configuration of chrony.
    link: https://chrony-project.org/doc/4.6/chrony.conf.html
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - Does not wait in check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Keep the clock right
  postmaster.mailhost.time_sync:

- name: Follow the provider's time servers
  postmaster.mailhost.time_sync:
    servers:
      - ntp1.example.net
      - 192.0.2.123
    timeout: 120
"""

RETURN = r"""
daemon:
  description: The daemon that keeps the clock.
  returned: success
  type: str
  sample: systemd-timesyncd
unit:
  description: Its unit.
  returned: success
  type: str
  sample: systemd-timesyncd.service
actions:
  description: What systemctl did, in order, V(enable), V(start), V(restart).
  returned: success
  type: list
  elements: str
  sample: [enable, start]
files:
  description: Configuration files that were written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/timesyncd.conf.d/60-mailhost.conf]
synchronised:
  description: Whether the daemon has set the clock; null when it does not say, or in check mode.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, time_sync
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str", "default": []},
            "daemon": {"type": "str", "choices": ["auto", *time_sync.DAEMONS], "default": "auto"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    host = Host()
    if not 0 <= params["timeout"] <= 3600:
        module.fail_json(msg="timeout is {0}; allowed: 0 to 3600 seconds".format(params["timeout"]))
    found = None
    try:
        planned = time_sync.plan(host, params["servers"], params["daemon"])
        idle = planned.idle if module.check_mode else time_sync.carry_out(host, planned)
    except (time_sync.TimeSyncError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    if idle:
        module.warn(idle)
    result = time_sync.result(planned)
    if not module.check_mode:
        found = time_sync.wait(host, planned.daemon, 0 if idle else params["timeout"])
        if params["timeout"] and not found and not idle:
            module.fail_json(
                msg=time_sync.late(host, planned, params["timeout"], found),
                synchronised=found,
                **result,
            )
    module.exit_json(synchronised=found, **result)


if __name__ == "__main__":
    main()
