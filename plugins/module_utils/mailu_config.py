# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains, users, aliases and relays of Mailu: what is wanted, what is there, and the difference.

Mailu's own commands read and write them (https://mailu.io/2024.06/cli.html, config-export and
config-import). What is handed to the import is the difference only, in its update mode: without
that mode it deletes everything first, and a list is always taken as more entries.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import compose_exec, dns
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

ON_CREATE = "on_create"
ALWAYS = "always"

PRESENT = "present"
ABSENT = "absent"

#: Option -> name of the section in Mailu's configuration, in the order of an import.
SECTIONS = {"domains": "domain", "users": "user", "aliases": "alias", "relays": "relay"}

# The attribute that an object is called by.
_NAMES = {"domain": "name", "user": "email", "alias": "email", "relay": "name"}

#: Attributes by option, with the type that an argument specification gives them.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "domains": {
        "comment": "str",
        "alternatives": "list",
        "max_users": "int",
        "max_aliases": "int",
        "max_quota_bytes": "int",
        "signup_enabled": "bool",
    },
    "users": {
        "comment": "str",
        "displayed_name": "str",
        "enabled": "bool",
        "global_admin": "bool",
        "manager_of": "list",
        "quota_bytes": "int",
        "enable_imap": "bool",
        "enable_pop": "bool",
        "allow_spoofing": "bool",
        "change_pw_next_login": "bool",
        "forward_enabled": "bool",
        "forward_destination": "list",
        "forward_keep": "bool",
        "reply_enabled": "bool",
        "reply_subject": "str",
        "reply_body": "str",
        "reply_startdate": "str",
        "reply_enddate": "str",
        "spam_enabled": "bool",
        "spam_mark_as_read": "bool",
        "spam_threshold": "int",
    },
    "aliases": {"comment": "str", "destination": "list", "wildcard": "bool"},
    "relays": {"comment": "str", "smtp": "str"},
}

# Mailu counts no change of these.
_UNCOUNTED = ("alternatives", "manager_of")

_PASSWORD = ("password", "password_hash")
_MASK = "********"

_EMAIL = re.compile(r"[^\s@,<>()\"]+@[^\s@]+\Z")
# Modular crypt format, or the traditional one; Mailu takes any other text, and nobody can log in then.
_HASH = re.compile(r"(\{[A-Z0-9-]+\})?(\$[A-Za-z0-9][^\s:]+|[./0-9A-Za-z]{13})\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
# What Mailu's YAML reader takes as a line end, or not at all (YAML 1.1, section 5.1).
_NOT_YAML = re.compile("[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class MailuConfigError(Exception):
    """Something is not allowed, or Mailu does not answer; the text is a sentence."""


class Change(NamedTuple):
    """What happens to one object.

    Attributes:
        section: ``domain``, ``user``, ``alias`` or ``relay``.
        name: what it is called.
        action: ``created``, ``modified`` or ``deleted``.
        before: attributes that change, as they are; secrets are masked.
        after: the same, as they will be.
    """

    section: str
    name: str
    action: str
    before: dict[str, Any]
    after: dict[str, Any]


class Delta(NamedTuple):
    """What an import has to do.

    Attributes:
        objects: section -> what is handed to the import.
        changes: the same in words.
    """

    objects: dict[str, list[dict[str, Any]]]
    changes: list[Change]


def clean_domain(option: str, value: str) -> str:
    """Return a mail domain as the DNS has it.

    Raises:
        MailuConfigError: it is none.
    """
    try:
        return dns.clean_name(option, value)
    except ValueError as error:
        raise MailuConfigError(str(error)) from error


def clean_email(option: str, value: str) -> str:
    """Return an address in lower case, its domain as the DNS has it.

    Raises:
        MailuConfigError: it is none.
    """
    if not _EMAIL.match(value):
        raise MailuConfigError(
            "{0} has {1!r}; allowed: an address such as name@example.org".format(option, value)
        )
    local, _at, domain = value.rpartition("@")
    return "{0}@{1}".format(local.lower(), clean_domain(option, domain))


def _clean(section: str, option: str, value: str) -> str:
    clean = clean_email if _NAMES[section] == "email" else clean_domain
    return clean(option, value)


def validate(wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, dict]]:
    """Check what is wanted as far as that needs no look at Mailu.

    Args:
        wanted: option -> list of objects, as the module's options have them.

    Returns:
        dict: section -> name -> attributes that were given, names and lists in one form.

    Raises:
        MailuConfigError: the text names the option, the value and what is allowed.
    """
    found: dict[str, dict[str, dict]] = {}
    for option, section in SECTIONS.items():
        objects = found[section] = {}
        for given in wanted.get(option) or ():
            name = _clean(section, option, given[_NAMES[section]])
            if name in objects:
                raise MailuConfigError("{0}: {1} is there twice".format(option, name))
            values = {key: value for key, value in given.items() if value is not None}
            values.pop(_NAMES[section])
            _check_values("{0}: {1}".format(option, name), values)
            objects[name] = values
    both = set(found["user"]) & set(found["alias"])
    if both:
        raise MailuConfigError(
            "aliases: {0} is in users as well; an address is one of both".format(", ".join(both))
        )
    _check_domain_names(found)
    return found


def _check_values(where: str, values: dict[str, Any]) -> None:
    """Refuse what Mailu would take and not mean, and bring lists into one form."""
    if all(values.get(key) for key in _PASSWORD):
        raise MailuConfigError(
            "{0}: password and password_hash; allowed: one of them".format(where)
        )
    for key in _PASSWORD:
        if values.get(key) == "":
            raise MailuConfigError("{0}: {1} is empty".format(where, key))
    if "password_hash" in values and not _HASH.match(values["password_hash"]):
        raise MailuConfigError(
            "{0}: password_hash is no hash; allowed: one that begins with $, such as "
            "$2b$12$ and more".format(where)
        )
    for key in ("alternatives", "manager_of"):
        if key in values:
            values[key] = [
                clean_domain("{0}: {1}".format(where, key), item) for item in values[key]
            ]
    for key in ("forward_destination", "destination"):
        if key in values:
            values[key] = [clean_email("{0}: {1}".format(where, key), item) for item in values[key]]
    if values.get("destination") == []:
        raise MailuConfigError("{0}: destination is empty; allowed: addresses".format(where))
    for key in ("reply_startdate", "reply_enddate"):
        if key in values and not _DATE.match(values[key]):
            raise MailuConfigError(
                "{0}: {1} is {2!r}; allowed: a date such as 2026-01-31".format(
                    where, key, values[key]
                )
            )
    limits = {"spam_threshold": (0, 100), "quota_bytes": (0, None), "max_quota_bytes": (0, None)}
    limits.update({"max_users": (-1, None), "max_aliases": (-1, None)})
    for key, (least, most) in limits.items():
        value = values.get(key)
        if value is not None and (value < least or (most is not None and value > most)):
            raise MailuConfigError(
                "{0}: {1} is {2}; allowed: {3} {4}".format(
                    where, key, value, least, "or more" if most is None else "to {0}".format(most)
                )
            )
    if values.get("forward_enabled") and values.get("forward_destination") == []:
        raise MailuConfigError(
            "{0}: forward_enabled without an address in forward_destination".format(where)
        )


def _check_domain_names(found: Mapping[str, Mapping[str, Mapping]]) -> None:
    """A name is a domain, an alternative name of one, or a relay, and never two of them."""
    seen: dict[str, str] = {}
    for section, what in (("domain", "domains"), ("relay", "relays")):
        for name, values in found[section].items():
            if values.get("state") == ABSENT:
                continue
            places = [(name, what)]
            places += [(item, "alternatives of " + name) for item in values.get("alternatives", [])]
            for item, place in places:
                if item in seen:
                    raise MailuConfigError(
                        "{0}: {1} is in {2} as well".format(place, item, seen[item])
                    )
                seen[item] = place


def read_export(text: str) -> dict[str, dict[str, dict]]:
    """Read what ``config-export --full --dns --json`` prints.

    Returns:
        dict: section -> name -> attributes, names in the form of :func:`validate`.

    Raises:
        MailuConfigError: that is no export.
    """
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                data = json.loads(line)
            except ValueError:
                continue
            if isinstance(data, dict):
                break
    else:
        raise MailuConfigError("config-export printed no configuration")
    return {
        section: {
            _read_name(item[_NAMES[section]]): item
            for item in data.get(section) or []
            if item.get(_NAMES[section])
        }
        for section in _NAMES
    }


def _read_name(value: str) -> str:
    """Return a name or address as the DNS has it; what has no such form stays as it is."""
    local, at, domain = value.rpartition("@")
    try:
        return local.lower() + at + dns.to_ascii(domain)
    except ValueError:
        return value.lower()


def _same(before: Any, after: Any) -> bool:
    """Tell whether an attribute is as wanted."""
    if isinstance(after, list):
        return {_read_name(item) for item in before or []} == set(after)
    if isinstance(after, str):
        return (before or "") == after
    return before == after


def _plain_hash(text: str) -> str:
    """Return a password's hash without the name of its scheme, which Mailu takes away."""
    return re.sub(r"^\{[A-Z0-9-]+\}", "", text or "")


def _plain_key(text: str) -> str:
    """Return the body of a private key."""
    return "".join(re.sub("-----[^-]+-----", "", text or "").split())


def difference(
    wanted: Mapping[str, Mapping[str, Mapping[str, Any]]],
    there: Mapping[str, Mapping[str, Mapping[str, Any]]],
    update_password: str = ON_CREATE,
    purge: Iterable[str] = (),
) -> Delta:
    """Compare what is wanted with what is there.

    Args:
        wanted: what :func:`validate` returned.
        there: what :func:`read_export` returned.
        update_password: :data:`ALWAYS` hands on the password of users that exist as well; Mailu
            compares it with its hash.
        purge: options (``users`` …) whose objects are deleted when they are not wanted.

    Raises:
        MailuConfigError: what is wanted does not fit to what is there.
    """
    purged = {SECTIONS[option] for option in purge}
    objects: dict[str, list[dict[str, Any]]] = {}
    changes: list[Change] = []
    for section in _NAMES:
        items: list[dict[str, Any]] = []
        for name, values in wanted[section].items():
            present = there[section].get(name)
            if values.get("state") == ABSENT:
                if present is not None:
                    changes.append(Change(section, name, "deleted", _shown(present), {}))
                continue
            item, change = _object(section, name, values, present, update_password)
            if item:
                items.append(item)
                changes.append(change)
        if section in purged:
            changes += [
                Change(section, name, "deleted", _shown(present), {})
                for name, present in there[section].items()
                if name not in wanted[section]
            ]
        objects[section] = items
    _check_difference(wanted, there, changes)
    gone = {item.name for item in changes if item.action == "deleted" and item.section == "domain"}
    for change in changes:
        # With a domain its accounts go; Mailu knows them no more then.
        if change.action == "deleted" and change.name.rpartition("@")[2] not in (
            gone if change.section in ("user", "alias") else ()
        ):
            objects[change.section].append({"-" + _NAMES[change.section]: change.name})
    return Delta({section: items for section, items in objects.items() if items}, changes)


def _object(
    section: str,
    name: str,
    values: Mapping[str, Any],
    present: Mapping[str, Any] | None,
    update_password: str,
) -> tuple[dict[str, Any], Change]:
    """Return what an import is handed for one object, nothing when it is as wanted."""
    item: dict[str, Any] = {}
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for key, value in values.items():
        if key in _PASSWORD or key in ("state", "dkim_generate", "dkim_key"):
            continue
        if present is None:
            item[key] = after[key] = value
        elif not _same(present.get(key), value):
            # Without the first entry a list would be added to the present one.
            item[key] = ["-prune-", *value] if isinstance(value, list) else value
            before[key], after[key] = present.get(key), value
    secret = _password(values, present, update_password) if section == "user" else {}
    if section == "domain":
        secret = _dkim(values, present)
    for key in secret:
        if key != "hash_password":
            after[key] = "generated" if secret[key] == "-generate-" else _MASK
            if present is not None:
                before[key] = _MASK if key == "password" or present.get("dkim_publickey") else ""
    item.update(secret)
    if present is None or item:
        item[_NAMES[section]] = name
    action = "created" if present is None else "modified"
    return item, Change(section, name, action, before, after)


def _password(
    values: Mapping[str, Any], present: Mapping[str, Any] | None, update_password: str
) -> dict[str, Any]:
    if present is not None and update_password != ALWAYS:
        return {}
    if values.get("password"):
        return {"password": values["password"], "hash_password": True}
    given = _plain_hash(values.get("password_hash", ""))
    if given and (present is None or _plain_hash(present.get("password", "")) != given):
        return {"password": given}
    return {}


def _dkim(values: Mapping[str, Any], present: Mapping[str, Any] | None) -> dict[str, Any]:
    if values.get("dkim_key"):
        same = present and _plain_key(present.get("dkim_key", "")) == _plain_key(values["dkim_key"])
        return {} if same else {"dkim_key": values["dkim_key"]}
    there = present is not None and bool(present.get("dkim_publickey"))
    return {"dkim_key": "-generate-"} if values.get("dkim_generate") and not there else {}


def _shown(present: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a diff shows of an object that is deleted."""
    hidden = ("password", "dkim_key", "tokens", "fetches")
    return {
        key: value
        for key, value in present.items()
        if key not in hidden and not key.startswith("dns_") and key != "dkim_publickey"
    }


def _check_difference(
    wanted: Mapping[str, Mapping[str, Mapping[str, Any]]],
    there: Mapping[str, Mapping[str, Mapping[str, Any]]],
    changes: Sequence[Change],
) -> None:
    """Refuse what does not fit to what is there."""
    lost = {
        section: {c.name for c in changes if (c.section, c.action) == (section, "deleted")}
        for section in _NAMES
    }
    new = {c.name for c in changes if c.section == "domain" and c.action == "created"}
    domains = (set(there["domain"]) | new) - lost["domain"]
    for section, option in (("user", "users"), ("alias", "aliases")):
        other = "alias" if section == "user" else "user"
        for name, values in wanted[section].items():
            if values.get("state") == ABSENT:
                continue
            domain = name.rpartition("@")[2]
            if domain not in domains:
                raise MailuConfigError(
                    "{0}: {1}: Mailu has no domain {2}; name it in domains".format(
                        option, name, domain
                    )
                )
            if name in there[other] and name not in lost[other]:
                raise MailuConfigError(
                    "{0}: {1} is {2} in Mailu; delete that first".format(
                        option, name, "an alias" if other == "alias" else "a user"
                    )
                )
        for name in there[section]:
            domain = name.rpartition("@")[2]
            if domain in lost["domain"] and name not in lost[section]:
                raise MailuConfigError(
                    "domains: {0} cannot be deleted while it has {1}; delete that account by "
                    "name (state: absent), too".format(domain, name)
                )
    for name, values in wanted["user"].items():
        if values.get("state") == ABSENT:
            continue
        if name not in there["user"] and not any(values.get(key) for key in _PASSWORD):
            raise MailuConfigError(
                "users: {0} is new; it needs password or password_hash".format(name)
            )
        unknown = set(values.get("manager_of", ())) - domains
        if unknown:
            raise MailuConfigError(
                "users: {0}: manager_of names {1}, which Mailu does not have".format(
                    name, ", ".join(sorted(unknown))
                )
            )
    _check_admins(there, changes)


def _check_admins(
    there: Mapping[str, Mapping[str, Mapping[str, Any]]], changes: Sequence[Change]
) -> None:
    """Somebody must be left who can log in to the administration."""

    def admins(users: Mapping[str, Mapping[str, Any]]) -> set[str]:
        return {n for n, v in users.items() if v.get("global_admin") and v.get("enabled", True)}

    after = dict(there["user"])
    for change in changes:
        if change.section == "user":
            after[change.name] = dict(after.get(change.name, {}), **change.after)
            if change.action == "deleted":
                del after[change.name]
    if admins(there["user"]) and not admins(after):
        raise MailuConfigError(
            "users: no administrator would be left; keep one with global_admin and enabled"
        )


def document(delta: Delta) -> str:
    """Return the input of an import: JSON that a reader of YAML reads alike."""
    text = json.dumps(delta.objects, ensure_ascii=False, sort_keys=True)
    return _NOT_YAML.sub(lambda match: "\\u{0:04x}".format(ord(match.group())), text) + "\n"


def counters(text: str) -> dict[str, dict[str, int]]:
    """Read the last line of an import: ``Committing changes. Created: domain(1) user(2)``.

    Returns:
        dict: ``created``, ``modified`` and ``deleted`` -> section -> number.

    Raises:
        MailuConfigError: there is no such line.
    """
    found: dict[str, dict[str, int]] = {"created": {}, "modified": {}, "deleted": {}}
    for line in reversed(text.splitlines()):
        if re.match(r"(Committing changes|Dry run\. Not committing changes)\.", line):
            for action, counts in re.findall(r"(\w+):((?: \w+\(\d+\))+)", line):
                for section, count in re.findall(r"(\w+)\((\d+)\)", counts):
                    found.setdefault(action.lower(), {})[section] = int(count)
            return found
    raise MailuConfigError("config-import did not say what it did")


def error_text(stderr: str, delta: Delta, secrets: Iterable[str]) -> str:
    """Return what an import says is wrong, with names in place of numbers, and without secrets.

    Args:
        stderr: its output, such as ``user.0.email : Missing data for required field.``
        delta: what it was handed.
        secrets: texts to mask.
    """
    found = []
    for place, message in re.findall(r"^ +- (\S+) *: (.*)$", stderr, re.MULTILINE):
        section, _dot, rest = place.partition(".")
        number, _dot, key = rest.partition(".")
        items = delta.objects.get(section, [])
        if number.isdigit() and int(number) < len(items):
            item = items[int(number)]
            name = item.get(_NAMES[section], item.get("-" + _NAMES[section]))
            place = "{0} {1}{2}".format(section, name, ": " + key if key else "")
        found.append("{0}: {1}".format(place, message))
    if not found:
        lines = [line for line in stderr.strip().splitlines() if line.strip()]
        errors = [line[7:] for line in lines if line.startswith("Error: ")]
        found = errors or lines[-1:] or ["no reason was given"]
    # Mailu shows the beginning and the end of a key.
    text = re.sub(r"(invalid (?:dkim key|password hash)) '[^']*'", r"\1", "; ".join(found))
    return _mask(text, secrets)


def _mask(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text


def secrets_of(wanted: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str]:
    """Return the secret values among the options, also in the form that Mailu prints."""
    found = set()
    for option in SECTIONS:
        for given in wanted.get(option) or ():
            for key in (*_PASSWORD, "dkim_key"):
                if given.get(key):
                    found |= {given[key], _plain_hash(given[key]), repr(given[key])[1:-1]}
    return found


def _run(host: Host, params: Mapping[str, Any], arguments: Sequence[str], data: str | None) -> Any:
    """Run a command of Mailu's.

    Raises:
        compose_exec.NotRunningError: there is no stack, or its service does not run.
        MailuConfigError: it did not answer in time.
    """
    try:
        return compose_exec.run(
            host,
            params["project_src"],
            params["project_name"],
            params["service"],
            ["flask", "mailu", *arguments],
            input=data,
            timeout=params["timeout"],
        )
    except compose_exec.NotRunningError:
        raise
    except compose_exec.ComposeExecError as error:
        raise MailuConfigError("{0}: {1}".format(arguments[0], error)) from error


def look(host: Host, params: Mapping[str, Any], secrets: bool = False) -> dict[str, dict]:
    """Return what Mailu has, see :func:`read_export`.

    Args:
        host: where Mailu is.
        params: ``project_src``, ``project_name``, ``service`` and ``timeout`` (seconds).
        secrets: with private DKIM keys.

    Raises:
        compose_exec.NotRunningError: the service does not run.
        MailuConfigError: it cannot be read.
    """
    arguments = ["config-export", "--full", "--dns", "--json"] + ["--secrets"] * secrets
    done = _run(host, params, arguments, None)
    if done.rc != 0:
        raise MailuConfigError(
            "config-export: {0}".format(error_text(done.stderr, Delta({}, []), ()))
        )
    return read_export(done.stdout)


def manage(host: Host, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring Mailu's configuration into the state wanted.

    Args:
        host: where Mailu is.
        params: the options of the module ``mailu_config_import``.
        check_mode: let Mailu try, and change nothing.

    Returns:
        The module's result; ``warnings`` are for the module to say.

    Raises:
        MailuConfigError: bad input, or Mailu refuses it. Nothing was changed.
    """
    wanted = validate(params)
    for option in params["purge"]:
        if not wanted[SECTIONS[option]]:
            raise MailuConfigError(
                "purge has {0}, and {0} is empty: that would delete all of them".format(option)
            )
    warnings = []
    count = {"created": {}, "modified": {}, "deleted": {}}
    with_keys = any(values.get("dkim_key") for values in wanted["domain"].values())
    try:
        there = look(host, params, with_keys)
    except compose_exec.NotRunningError as error:
        if not check_mode:
            raise MailuConfigError(str(error)) from error
        warnings.append("{0}. What Mailu has is not known; it is taken as nothing".format(error))
        there = {section: {} for section in _NAMES}
    delta = difference(wanted, there, params["update_password"], params["purge"])
    changes = delta.changes
    if delta.objects and not warnings:
        arguments = ["config-import", "--verbose", "--update"] + ["--dry-run"] * check_mode
        try:
            done = _run(host, params, arguments, document(delta))
        except compose_exec.NotRunningError as error:
            raise MailuConfigError(str(error)) from error
        if done.rc != 0:
            raise MailuConfigError(
                "Mailu refuses this: {0}".format(error_text(done.stderr, delta, secrets_of(params)))
            )
        count = counters(done.stdout)
        changes = _happened(delta, done.stdout)
    return {
        "changed": bool(changes),
        "changes": [
            {
                "section": item.section,
                "name": item.name,
                "action": item.action,
                "attributes": sorted(item.after),
            }
            for item in changes
        ],
        "counters": count,
        "diff": _diff(changes),
        "warnings": warnings,
    }


def _happened(delta: Delta, stdout: str) -> list[Change]:
    """Return the changes that there were.

    A password that Mailu has already is no change. It says which attributes it modified, but for
    lists that refer to other objects.
    """
    modified = {
        (section, _read_name(name), key)
        for section, name, key in re.findall(r"^Modified (\w+): '([^']+)' (\w+): ", stdout, re.M)
    }
    found = []
    for change in delta.changes:
        if change.action == "modified":
            kept = [
                key
                for key in change.after
                if key in _UNCOUNTED or (change.section, change.name, key) in modified
            ]
            if not kept:
                continue
            change = change._replace(
                before={key: change.before.get(key) for key in kept},
                after={key: change.after[key] for key in kept},
            )
        found.append(change)
    return found


def _diff(changes: Sequence[Change]) -> dict[str, str]:
    """Return the changes for ``exit_json(diff=...)``."""
    sides = []
    for side in ("before", "after"):
        data = {
            "{0} {1}".format(item.section, item.name): getattr(item, side)
            for item in changes
            if item.action != ("created" if side == "before" else "deleted")
        }
        sides.append(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return {
        "before_header": "Mailu",
        "before": sides[0] if changes else "",
        "after_header": "Mailu",
        "after": sides[1] if changes else "",
    }
