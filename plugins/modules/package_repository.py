#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_repository
short_description: Set up a signed APT or DNF package repository
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Writes the file that describes the repository (deb822 for APT, C(.repo) for DNF) and the key
    that signs it, in one task. The key vouches for this repository only.
  - The key is compared with O(key_fingerprint) before anything is written.
  - When the key on the host has the wanted fingerprint, the network is not used.
  - The host needs neither gpg nor curl nor python3-debian.
options:
  name:
    description:
      - Name of the files, and id of the repository for DNF.
    type: str
    required: true
  kind:
    description:
      - The package manager. The one that the host has when not set.
    type: str
    choices: [apt, yum]
  uris:
    description:
      - Where the repository is. DNF's variables such as C($releasever) may stand in it.
    type: list
    elements: str
    required: true
  suites:
    description:
      - Suites, for example V(trixie). APT only.
    type: list
    elements: str
    default: []
  components:
    description:
      - Components, for example V(stable). APT only.
    type: list
    elements: str
    default: []
  architectures:
    description:
      - Architectures in Debian's names. Those that dpkg is set up for when empty. APT only.
    type: list
    elements: str
    default: []
  key_url:
    description:
      - Where the public key is fetched from, in ASCII armour or binary.
      - Mutually exclusive with O(key); one of the two is required.
    type: str
  key:
    description:
      - The public key itself, in ASCII armour.
    type: str
  key_fingerprint:
    description:
      - Fingerprint of the key, 40 hexadecimal digits; blanks are allowed. A key file may hold
        several keys, then all their fingerprints are given, because each is trusted.
    type: list
    elements: str
    required: true
  replace:
    description:
      - Disable entries for the same address in other files, after a backup. Without it such an
        entry is an error, because two entries with different keys stop APT.
    type: bool
    default: false
notes:
  - Version 4 keys are supported, which is what package repositories use.
  - The package lists are not fetched; let the task that installs packages do that.
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - A key that is missing is fetched and compared in check mode as well.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: Debian family, Red Hat family
"""

EXAMPLES = r"""
- name: Docker's repository on Debian
  postmaster.mailhost.package_repository:
    name: docker
    uris: https://download.docker.com/linux/debian
    suites: trixie
    components: stable
    key_url: https://download.docker.com/linux/debian/gpg
    key_fingerprint: 9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88

- name: Docker's repository on AlmaLinux, instead of the one that was set up by hand
  postmaster.mailhost.package_repository:
    name: docker
    uris: https://download.docker.com/linux/rhel/$releasever/$basearch/stable
    key_url: https://download.docker.com/linux/rhel/gpg
    key_fingerprint: 060A61C51B558A7F742B77AAC52FEB6B621E9F35
    replace: true
"""

RETURN = r"""
source_file:
  description: The file that describes the repository.
  returned: success
  type: str
  sample: /etc/apt/sources.list.d/docker.sources
key_file:
  description: The file with the key.
  returned: success
  type: str
  sample: /etc/apt/keyrings/docker.asc
key_fetched:
  description: Whether the key came from O(key_url) in this run.
  returned: success
  type: bool
  sample: false
duplicates:
  description: Entries for the same repository in other files, which were disabled.
  returned: success
  type: list
  elements: str
  sample:
    - "/etc/apt/sources.list.d/docker.list:1: deb https://download.docker.com/linux/debian trixie
      stable"
backup_files:
  description: Copies of the files in which entries were disabled.
  returned: success
  type: list
  elements: str
  sample: ["/etc/apt/sources.list.d/docker.list.20260102T030405Z~"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    file_write,
    package_source,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": list(package_source.KINDS)},
            "uris": {"type": "list", "elements": "str", "required": True},
            "suites": {"type": "list", "elements": "str", "default": []},
            "components": {"type": "list", "elements": "str", "default": []},
            "architectures": {"type": "list", "elements": "str", "default": []},
            # Public keys: there is nothing to hide.
            "key_url": {"type": "str", "no_log": False},
            "key": {"type": "str", "no_log": False},
            "key_fingerprint": {
                "type": "list",
                "elements": "str",
                "required": True,
                "no_log": False,
            },
            "replace": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("key", "key_url")],
        required_one_of=[("key", "key_url")],
        supports_check_mode=True,
    )
    options = module.params
    host = Host()
    try:
        source = package_source.validate(
            package_source.Source(
                options["kind"] or package_source.kind_of(host),
                options["name"],
                options["uris"],
                options["suites"],
                options["components"],
                options["architectures"],
                options["key_fingerprint"],
                options["key_url"] or "",
                options["key"] or "",
            )
        )
        planned = package_source.plan(host, source, package_source.fetch, options["replace"])
        backups = [] if module.check_mode else package_source.write(planned)
    except (package_source.PackageSourceError, file_write.FileWriteError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(backup_files=backups, **package_source.result(planned))


if __name__ == "__main__":
    main()
