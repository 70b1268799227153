#!/usr/bin/python
# Copyright (c) 2026, the postmaster.mailhost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mailu_config_import
short_description: Domains, users, aliases and relays of Mailu as data
version_added: 0.1.0
author:
  - The postmaster.mailhost authors (@postmaster-mailhost)
description:
  - Compares what is wanted with Mailu's C(config-export), and hands the difference to its
    C(config-import). Both read and write on standard input and output, so that no secret is in a
    list of processes.
  - Attributes that are not given stay as they are; new objects get Mailu's defaults for them. A
    list that is given is the whole list.
  - An object that is not named stays, unless O(purge) says otherwise.
  - Mailu takes all of it or nothing.
options:
  project_src:
    description:
      - Directory with Mailu's C(docker-compose.yml).
    type: path
    default: /mailu
  project_name:
    description:
      - Name of the Compose project.
    type: str
    default: mailu
  service:
    description:
      - The service that has Mailu's commands.
    type: str
    default: admin
  domains:
    description:
      - Mail domains.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The domain.
        type: str
        required: true
      state:
        description:
          - V(absent) deletes it. Refused while it has accounts that are not deleted by name.
        type: str
        choices: [present, absent]
        default: present
      dkim_generate:
        description: Make a DKIM key where the domain has none.
        type: bool
        default: true
      dkim_key:
        description: The private DKIM key in PEM form, for a domain that moves here with its key.
        type: str
      comment:
        description: Words of your own.
        type: str
      alternatives:
        description: Other names of the domain; mail to them is mail to the domain.
        type: list
        elements: str
      max_users:
        description: Number of users that it may have; V(-1) for any, V(0) for none.
        type: int
      max_aliases:
        description: Number of aliases, likewise.
        type: int
      max_quota_bytes:
        description: Largest quota of a user, in bytes; V(0) for any.
        type: int
      signup_enabled:
        description: Whether people may make themselves an account.
        type: bool
  users:
    description:
      - Mailboxes. One with C(global_admin) is an administrator of Mailu.
    type: list
    elements: dict
    default: []
    suboptions:
      email:
        description: The address. Mailu must have its domain, or O(domains) name it.
        type: str
        required: true
      state:
        description:
          - V(absent) deletes the account. Its mail stays on the disk.
        type: str
        choices: [present, absent]
        default: present
      password:
        description: The password. A new user needs it, or C(password_hash).
        type: str
      password_hash:
        description: The hash of the password, from another system.
        type: str
      comment:
        description: Words of your own.
        type: str
      displayed_name:
        description: Name of the person.
        type: str
      enabled:
        description: Whether the user can log in and send.
        type: bool
      global_admin:
        description: Whether the user is an administrator.
        type: bool
      manager_of:
        description: Domains whose accounts the user can manage.
        type: list
        elements: str
      quota_bytes:
        description: Size of the mailbox in bytes; V(0) for no limit.
        type: int
      enable_imap:
        description: Whether IMAP can be used.
        type: bool
      enable_pop:
        description: Whether POP3 can be used.
        type: bool
      allow_spoofing:
        description: Whether the user can send in the name of any address.
        type: bool
      change_pw_next_login:
        description: Whether the user has to choose another password at the next login.
        type: bool
      forward_enabled:
        description: Whether mail is sent on.
        type: bool
      forward_destination:
        description: Where mail is sent on to.
        type: list
        elements: str
      forward_keep:
        description: Whether mail that is sent on is kept here as well.
        type: bool
      reply_enabled:
        description: Whether mail is answered automatically.
        type: bool
      reply_subject:
        description: Subject of the answer.
        type: str
      reply_body:
        description: Text of the answer.
        type: str
      reply_startdate:
        description: First day of it, such as V(2026-01-31).
        type: str
      reply_enddate:
        description: Last day of it.
        type: str
      spam_enabled:
        description: Whether mail is filtered for spam.
        type: bool
      spam_mark_as_read:
        description: Whether spam is marked as read.
        type: bool
      spam_threshold:
        description: How much is tolerated before mail is spam, from 0 to 100.
        type: int
  aliases:
    description:
      - Addresses that lead to others.
    type: list
    elements: dict
    default: []
    suboptions:
      email:
        description: The address; with C(wildcard) a pattern, in which C(%) stands for any text.
        type: str
        required: true
      state:
        description: V(absent) deletes it.
        type: str
        choices: [present, absent]
        default: present
      destination:
        description: The addresses that it leads to.
        type: list
        elements: str
      wildcard:
        description: Whether the address is a pattern.
        type: bool
      comment:
        description: Words of your own.
        type: str
  relays:
    description:
      - Domains whose mail is taken and sent on to another server.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The domain.
        type: str
        required: true
      state:
        description: V(absent) deletes it.
        type: str
        choices: [present, absent]
        default: present
      smtp:
        description: The server, C(host), C(host:port) or C([address]); that of its MX when empty.
        type: str
      comment:
        description: Words of your own.
        type: str
  update_password:
    description:
      - V(on_create) sets the password of new users only, so that people can choose another one.
        V(always) resets it; Mailu compares it with what it has, so that the same one again is no
        change.
    type: str
    choices: [on_create, always]
    default: on_create
  purge:
    description:
      - Of these, what is not named is deleted. Refused for one that is empty.
    type: list
    elements: str
    choices: [domains, users, aliases, relays]
    default: []
  timeout:
    description:
      - Seconds that each of the two commands may take.
    type: int
    default: 300
notes:
  - Tokens and fetched accounts of users are left alone. People make the first themselves, and Mailu
    cannot compare the second.
  - A change that would leave no administrator is refused.
  - In check mode, while Mailu does not run, everything is foretold as new, with a warning.
seealso:
  - name: Mailu, config-import
    description: The command behind it, and all attributes.
    link: https://mailu.io/2024.06/cli.html#config-import
extends_documentation_fragment:
  - postmaster.mailhost.attributes
attributes:
  check_mode:
    support: full
    details:
      - Mailu itself tries the import, and does not commit it.
  diff_mode:
    support: full
    details:
      - Passwords and keys are masked.
  idempotent:
    support: full
  platform:
    platforms: linux
"""

EXAMPLES = r"""
- name: A domain, its first administrator, and where its postmaster's mail goes
  postmaster.mailhost.mailu_config_import:
    project_src: /mailu
    domains:
      - name: example.org
        alternatives: [example.net]
    users:
      - email: anna@example.org
        password: "{{ vault_anna_password }}"
        global_admin: true
        quota_bytes: 5000000000
    aliases:
      - email: postmaster@example.org
        destination: [anna@example.org]

- name: Exactly these relays, and no others
  postmaster.mailhost.mailu_config_import:
    relays:
      - name: example.com
        smtp: mx.example.com
    purge: [relays]
"""

RETURN = r"""
changes:
  description: What happened to each object that was changed; values are not returned.
  returned: success
  type: list
  elements: dict
  contains:
    section:
      description: V(domain), V(user), V(alias) or V(relay).
      returned: always
      type: str
      sample: user
    name:
      description: Its name or address.
      returned: always
      type: str
      sample: anna@example.org
    action:
      description: V(created), V(modified) or V(deleted).
      returned: always
      type: str
      sample: modified
    attributes:
      description: The attributes that were set.
      returned: always
      type: list
      elements: str
      sample: [quota_bytes]
counters:
  description:
    - What Mailu counted, by C(created), C(modified) and C(deleted), and then by kind. It does not
      count changes of C(alternatives) and C(manager_of).
  returned: success
  type: dict
  sample:
    created: {user: 1}
    modified: {}
    deleted: {}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.postmaster.mailhost.plugins.module_utils import mailu_config
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host


def objects(option: str, name: str, **more: dict) -> dict:
    """The argument specification of one kind of objects."""
    fields = {
        key: {"type": kind, "elements": "str"} if kind == "list" else {"type": kind}
        for key, kind in mailu_config.ATTRIBUTES[option].items()
    }
    # It is a flag, and no password.
    if "change_pw_next_login" in fields:
        fields["change_pw_next_login"]["no_log"] = False
    fields[name] = {"type": "str", "required": True}
    fields["state"] = {"type": "str", "choices": ["present", "absent"], "default": "present"}
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": dict(fields, **more),
    }


def main() -> None:
    secret = {"type": "str", "no_log": True}
    module = AnsibleModule(
        argument_spec={
            "project_src": {"type": "path", "default": "/mailu"},
            "project_name": {"type": "str", "default": "mailu"},
            "service": {"type": "str", "default": "admin"},
            "domains": objects(
                "domains",
                "name",
                dkim_generate={"type": "bool", "default": True},
                dkim_key=dict(secret),
            ),
            "users": objects("users", "email", password=dict(secret), password_hash=dict(secret)),
            "aliases": objects("aliases", "email"),
            "relays": objects("relays", "name"),
            "update_password": {
                "type": "str",
                "choices": ["on_create", "always"],
                "default": "on_create",
                "no_log": False,
            },
            "purge": {
                "type": "list",
                "elements": "str",
                "choices": ["domains", "users", "aliases", "relays"],
                "default": [],
            },
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    try:
        result = mailu_config.manage(Host(), module.params, module.check_mode)
    except mailu_config.MailuConfigError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
