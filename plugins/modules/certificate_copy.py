#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_copy
short_description: Put a certificate and its key where a mail host reads them
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Copies a certificate chain and its private key on a host. Symbolic links of the source are
    followed, such as those in C(/etc/letsencrypt/live); the copies are files, because a link
    leads nowhere inside a container.
  - "Looks at the pair first, and writes nothing when it cannot serve: the key does not belong to
    the certificate, the chain is not in order, it has expired, or it is not for O(names)."
  - Writes both files to the disk before the first of them gets its name, and takes the first one
    back when the second one cannot be replaced.
  - Can install a program that does the same after each renewal.
options:
  certificate:
    description:
      - The certificate, followed by those that issued it, in PEM form. C(fullchain.pem) of certbot.
    type: path
    required: true
  key:
    description:
      - Its private key in PEM form, without a passphrase. C(privkey.pem) of certbot.
    type: path
    required: true
  dest_certificate:
    description:
      - Where the certificate goes. The directory must exist. A symbolic link that stands there
        becomes a file.
    type: path
    required: true
  dest_key:
    description:
      - Where the key goes; likewise.
    type: path
    required: true
  names:
    description:
      - Host names that the certificate must be for. C(*.example.org) in a certificate stands for
        one label; its common name does not count (RFC 9525).
    type: list
    elements: str
    default: []
  min_days:
    description:
      - Days that the certificate must be valid for. An expired one is always refused.
    type: int
    default: 14
  expiring:
    description:
      - What to do when it is valid for less than O(min_days).
    type: str
    choices: [warn, fail]
    default: warn
  owner:
    description:
      - User, name or number, that owns the copies. Empty leaves it as it is, root for new files.
    type: str
    default: ''
  group:
    description:
      - Group, name or number, likewise.
    type: str
    default: ''
  certificate_mode:
    description:
      - Permissions of the certificate, in octal digits.
    type: str
    default: '0644'
  key_mode:
    description:
      - Permissions of the key, in octal digits.
    type: str
    default: '0600'
  hook_path:
    description:
      - A program to install that copies the pair again when it has been renewed, for certbot in
        C(/etc/letsencrypt/renewal-hooks/deploy). None when empty. Other clients can call it without
        arguments.
      - It copies nothing when the key does not belong to the certificate, or nothing is new.
    type: path
    default: ''
  hook_commands:
    description:
      - Shell commands that the program runs after it has copied. Not for secrets.
    type: list
    elements: str
    default: []
  backup:
    description:
      - Keep copies of the old files; that of a key is readable to its owner alone.
    type: bool
    default: true
notes:
  - Needs the program C(openssl) on the host.
seealso:
  - name: Certbot, renewal hooks
    description: Which programs certbot runs after a renewal.
    link: https://eff-certbot.readthedocs.io/en/stable/using.html#renewing-certificates
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows what a certificate says, and of a key only the digest of its public part.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: Certbot's certificate for Mailu, also after each renewal
  postmaster.mailhost.certificate_copy:
    certificate: /etc/letsencrypt/live/mail.example.org/fullchain.pem
    key: /etc/letsencrypt/live/mail.example.org/privkey.pem
    dest_certificate: /mailu/certs/cert.pem
    dest_key: /mailu/certs/key.pem
    names:
      - mail.example.org
    hook_path: /etc/letsencrypt/renewal-hooks/deploy/mailhost-mailu

- name: For mailcow, whose containers have to be told
  postmaster.mailhost.certificate_copy:
    certificate: /etc/letsencrypt/live/mail.example.org/fullchain.pem
    key: /etc/letsencrypt/live/mail.example.org/privkey.pem
    dest_certificate: /opt/mailcow-dockerized/data/assets/ssl/cert.pem
    dest_key: /opt/mailcow-dockerized/data/assets/ssl/key.pem
    hook_path: /etc/letsencrypt/renewal-hooks/deploy/mailhost-mailcow
    hook_commands:
      - cd /opt/mailcow-dockerized
      - docker compose restart postfix-mailcow dovecot-mailcow nginx-mailcow
"""

RETURN = r"""
changed_files:
  description: The files that were changed.
  returned: success
  type: list
  elements: str
  sample: [/mailu/certs/key.pem, /mailu/certs/cert.pem]
subject:
  description: Whom the certificate is for.
  returned: success
  type: str
  sample: CN=mail.example.org
issuer:
  description: Who issued it.
  returned: success
  type: str
  sample: CN=R11,O=Let's Encrypt,C=US
names:
  description: The host names that it is for.
  returned: success
  type: list
  elements: str
  sample: [mail.example.org, '*.example.net']
not_before:
  description: From when on it is valid.
  returned: success
  type: str
  sample: '2026-01-02T03:04:05Z'
not_after:
  description: Until when it is valid.
  returned: success
  type: str
  sample: '2026-04-02T03:04:04Z'
days_left:
  description: Whole days until then, by the host's clock.
  returned: success
  type: int
  sample: 89
fingerprint:
  description: SHA-256 of the certificate.
  returned: success
  type: str
  sample: b2ac7149066ece6f80b875b009629efb34d39342640473b6ce4ea4533a5c31576
tlsa:
  description: Content of a TLSA record that names the certificate's key (RFC 6698, RFC 7672).
  returned: success
  type: str
  sample: 3 1 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3
self_signed:
  description: Whether the certificate has issued itself.
  returned: success
  type: bool
  sample: false
trusted:
  description: Whether the certificate authorities that this host knows vouch for it.
  returned: success
  type: bool
  sample: true
backup_files:
  description: Copies of the files as they were before.
  returned: success
  type: list
  elements: str
  sample: [/mailu/certs/key.pem.20260102T030405Z~]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import certificate, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificate": {"type": "path", "required": True},
            "key": {"type": "path", "required": True, "no_log": False},
            "dest_certificate": {"type": "path", "required": True},
            "dest_key": {"type": "path", "required": True, "no_log": False},
            "names": {"type": "list", "elements": "str", "default": []},
            "min_days": {"type": "int", "default": 14},
            "expiring": {"type": "str", "default": "warn", "choices": list(certificate.EXPIRING)},
            "owner": {"type": "str", "default": ""},
            "group": {"type": "str", "default": ""},
            "certificate_mode": {"type": "str", "default": "0644"},
            "key_mode": {"type": "str", "default": "0600", "no_log": False},
            "hook_path": {"type": "path", "default": ""},
            "hook_commands": {"type": "list", "elements": "str", "default": []},
            "backup": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = dict(module.params)
    backup = options.pop("backup")
    host = Host()
    try:
        planned = certificate.plan(host, certificate.Wanted(**options))
        copies = [] if module.check_mode else certificate.carry_out(host, planned, backup)
    except (certificate.CertificateError, file_write.FileWriteError, ValueError) as error:
        module.fail_json(msg=str(error))
    for warning in planned.warnings:
        module.warn(warning)
    module.exit_json(backup_files=copies, **certificate.result(planned))


if __name__ == "__main__":
    main()
