# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the admin keeps: domains, users, aliases and relays, and how they are imported and exported.

The words of a configuration, of its changes and of its errors are those of Mailu 2024.06.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections import Counter

import passlib.context
import yaml

DATABASE = "/data/main.db"
DKIM = "/dkim/{domain}.{selector}.key"
SCHEMES = passlib.context.CryptContext(
    ["bcrypt_sha256", "bcrypt", "pbkdf2_sha256", "pbkdf2_sha512", "sha512_crypt", "sha256_crypt"]
    + ["md5_crypt"],
    default="bcrypt_sha256",
    bcrypt_sha256__rounds=int(os.environ.get("CREDENTIAL_ROUNDS", "12")),
)
# Kind and default of each attribute, by section. The first is what an object is called by.
REQUIRED = object()
USER = {
    "email": ("text", REQUIRED),
    "password": ("password", REQUIRED),
    "allow_spoofing": ("boolean", False),
    "change_pw_next_login": ("boolean", False),
    "comment": ("text", ""),
    "displayed_name": ("text", ""),
    "enable_imap": ("boolean", True),
    "enable_pop": ("boolean", True),
    "enabled": ("boolean", True),
    "fetches": ("objects", []),
    "forward_destination": ("list", []),
    "forward_enabled": ("boolean", False),
    "forward_keep": ("boolean", True),
    "global_admin": ("boolean", False),
    "manager_of": ("list", []),
    "quota_bytes": ("integer", 10**9),
    "reply_body": ("text", None),
    "reply_enabled": ("boolean", False),
    "reply_enddate": ("text", "2999-12-31"),
    "reply_startdate": ("text", "1900-01-01"),
    "reply_subject": ("text", None),
    "spam_enabled": ("boolean", True),
    "spam_mark_as_read": ("boolean", True),
    "spam_threshold": ("integer", int(os.environ.get("DEFAULT_SPAM_THRESHOLD", "80"))),
    "tokens": ("objects", []),
}
FIELDS = {
    "domain": {
        "name": ("text", REQUIRED),
        "alternatives": ("list", []),
        "comment": ("text", ""),
        "dkim_key": ("key", None),
        "max_aliases": ("integer", -1),
        "max_quota_bytes": ("integer", 0),
        "max_users": ("integer", -1),
        "signup_enabled": ("boolean", False),
    },
    "user": USER,
    "alias": {
        "email": ("text", REQUIRED),
        "comment": ("text", ""),
        "destination": ("list", []),
        "wildcard": ("boolean", False),
    },
    "relay": {"name": ("text", REQUIRED), "comment": ("text", ""), "smtp": ("text", None)},
}
NULLABLE = ("comment", "dkim_key", "reply_body", "reply_subject", "smtp")
YES_NO = {
    **dict.fromkeys((True, "true", "True", "yes", "on", "1", 1), True),
    **dict.fromkeys((False, "false", "False", "no", "off", "0", 0), False),
}


class Hidden(str):
    """A text that says that a secret is not shown."""

    def __repr__(self):
        return str(self)


HIDDEN = Hidden("<hidden>")


class RefusedError(Exception):
    """An input that is not taken; the text is what the command prints."""


class InvalidError(Exception):
    """What is wrong with an input: pairs of place and message."""

    def __init__(self, errors):
        super().__init__(errors)
        self.errors = errors

    def __str__(self):
        width = max(len(place) for place, _message in self.errors)
        count = len(self.errors)
        lines = ["     - {} : {}".format(p.ljust(width), m) for p, m in sorted(self.errors)]
        head = "[ValidationError] {} error{} occurred during input validation".format(
            count, "" if count == 1 else "s"
        )
        return "\n".join([head, *lines])


class Store:
    """The objects by section and name, in a file that is written when asked."""

    def __init__(self):
        self.connection = sqlite3.connect(DATABASE, timeout=30)
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS object "
            "(section TEXT, name TEXT, body TEXT, PRIMARY KEY (section, name))"
        )
        self.sections = {section: {} for section in FIELDS}
        for section, name, body in self.connection.execute("SELECT * FROM object ORDER BY rowid"):
            self.sections[section][name] = json.loads(body)
        for name, domain in self.sections["domain"].items():
            domain["dkim_key"] = _read(_key_file(name))

    def get(self, section, name):
        """The object of that name, or None."""
        return self.sections[section].get(name.lower())

    def save(self):
        """Write all objects, and the keys of domains to files of their own."""
        rows = []
        for section, objects in self.sections.items():
            for name, item in objects.items():
                if section == "domain":
                    _write_key(name, item["dkim_key"])
                    item = {**item, "dkim_key": None}
                rows.append((section, name, json.dumps(item)))
        with self.connection:
            self.connection.execute("DELETE FROM object")
            self.connection.executemany("INSERT INTO object VALUES (?, ?, ?)", rows)

    def add(self, section, **values):
        """Add an object with these values and defaults for the rest; replaces one of its name."""
        item = {key: default for key, (_kind, default) in FIELDS[section].items()}
        item.update(values)
        self.sections[section][name_of(section, item)] = item
        return item

    def need_domain(self, name):
        """Make sure that there is a domain of that name."""
        if self.get("domain", name) is None:
            self.add("domain", name=name)

    def resolve(self, address):
        """The addresses that mail to an address goes to; none if there is no such address."""
        local, _at, domain = address.lower().rpartition("@")
        for name, item in self.sections["domain"].items():
            if domain in item["alternatives"]:
                domain = name
        for delimiter in ("", *os.environ.get("RECIPIENT_DELIMITER", "")):
            stripped = local.split(delimiter)[0] if delimiter else local
            user = self.get("user", "{}@{}".format(stripped, domain))
            if user is not None:
                if not user["forward_enabled"]:
                    return ["{}@{}".format(local, domain)]
                kept = [user["email"]] if user["forward_keep"] else []
                return user["forward_destination"] + kept
            alias = self.get("alias", "{}@{}".format(stripped, domain))
            if alias is not None:
                return alias["destination"]
        for name, alias in self.sections["alias"].items():
            pattern, _at, of_domain = name.rpartition("@")
            if alias["wildcard"] and of_domain == domain and pattern in ("%", "*"):
                return alias["destination"]
        return []


def name_of(section, item):
    """The name that an object is kept under."""
    return item[next(iter(FIELDS[section]))].lower()


def _key_file(domain):
    return DKIM.format(domain=domain, selector=os.environ.get("DKIM_SELECTOR", "dkim"))


def _read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write_key(domain, key):
    path = _key_file(domain)
    if key:
        with open(path, "w", encoding="ascii") as file:
            file.write(key)
    elif os.path.exists(path):
        os.unlink(path)


def _openssl(*arguments, stdin=""):
    return subprocess.run(
        ["openssl", *arguments], input=stdin, capture_output=True, text=True, check=True
    ).stdout


def public_key(key):
    """The public part of a private key (PEM): base64 without line ends."""
    lines = _openssl("pkey", "-pubout", stdin=key).splitlines()
    return "".join(line for line in lines if not line.startswith("-----"))


def _key(value):
    if isinstance(value, list):
        value = "".join(value)
    if not isinstance(value, str):
        raise ValueError("Not a valid string or list.")
    value = value.strip()
    if value.lower() == "-generate-":
        return _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    if not value or value == HIDDEN:
        return None
    body = "".join(line for line in value.splitlines() if not line.startswith("-----"))
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    text = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    try:
        public_key(text)
    except subprocess.CalledProcessError:
        raise ValueError("invalid dkim key {!r}".format(body[:25] + "..." + body[-10:])) from None
    return text


def _value(key, kind, value, item):
    """The value of an attribute as it is kept; raises ValueError with what is wrong."""
    if value is None:
        if key in NULLABLE:
            return None
        raise ValueError("Field may not be null.")
    if kind == "text":
        if not isinstance(value, str):
            raise ValueError("Not a valid string.")
        return value.lower() if key in ("email", "name") else value
    if kind == "integer":
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError("Not a valid integer.") from None
    if kind == "boolean":
        try:
            return YES_NO[value]
        except (KeyError, TypeError):
            raise ValueError("Not a valid boolean.") from None
    if kind == "list":
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list):
            raise ValueError("Not a valid string or list.")
        return sorted(set(value))
    if kind == "key":
        return _key(value)
    if kind == "password":
        if not isinstance(value, str):
            raise ValueError("Not a valid string.")
        if item.get("hash_password"):
            return SCHEMES.hash(value)
        if value.startswith("{"):
            value = value.partition("}")[2]
        if SCHEMES.identify(value) is None:
            raise ValueError("invalid password hash {!r}".format(value))
        return value
    if not isinstance(value, list):
        raise ValueError("Invalid type.")
    return value


def shown(section, item, full=False, secrets=False):
    """An object as it is exported: its name, and what differs from the defaults."""
    found = {}
    for key, (_kind, default) in FIELDS[section].items():
        value = item[key]
        if key == "dkim_key":
            if value and not secrets:
                value = HIDDEN
            default = None
        if full or value != default:
            found[key] = "" if value is None and key in ("comment", "dkim_key") else value
    return found


class Import:
    """One run of the command config-import."""

    def __init__(self, store, verbose, update, secrets):
        self.store = store
        self.verbose = verbose
        self.update = update
        self.secrets = secrets
        self.counter = Counter()
        self.errors = []

    def run(self, data):
        """Take *data* over; raises InvalidError or RefusedError, and nothing counts then."""
        if not isinstance(data, dict):
            raise InvalidError([("_schema", "Invalid input type.")])
        self.errors = [(str(name), "Unknown field.") for name in data if name not in FIELDS]
        if not self.update:
            self.store.sections = {section: {} for section in FIELDS}
        for section in FIELDS:
            if section in data:
                self._section(section, data[section])
        if self.errors:
            raise InvalidError(self.errors)
        names = [*self.store.sections["domain"], *self.store.sections["relay"]]
        for domain in self.store.sections["domain"].values():
            names += domain["alternatives"]
        for name, count in Counter(names).items():
            if count > 1:
                raise RefusedError("[ValueError] Duplicate domain name: ({!r},)".format(name))

    def _section(self, section, items):
        if not isinstance(items, list):
            self.errors.append((section, "Invalid type."))
            return
        prune, there = False, set()
        primary = next(iter(FIELDS[section]))
        for number, given in enumerate(items):
            place = "{}.{}".format(section, number)
            if not isinstance(given, dict):
                self.errors.append(
                    (place, "Invalid item. {} needs to be an object.".format(section.title()))
                )
                continue
            if self.verbose > 1:
                self._say("Handling", section, self._masked(given))
            if self.update and "-" + primary in given:
                name = given["-" + primary]
                if name is None:
                    prune = True
                elif self.store.get(section, name) is None:
                    message = "Item to delete not found: {!r}.".format(name)
                    self.errors.append(("{}.{}".format(place, primary), message))
                else:
                    self._delete(section, name.lower())
                continue
            name = self._take(section, place, given)
            if name is not None:
                there.add(name)
        if prune:
            for name in [n for n in self.store.sections[section] if n not in there]:
                self._delete(section, name)

    def _take(self, section, place, given):
        """Add or change one object; returns its name, or None when it is wrong."""
        fields = FIELDS[section]
        primary = next(iter(fields))
        old = None
        if isinstance(given.get(primary), str):
            old = self.store.get(section, given[primary])
        wrong = len(self.errors)
        values = {}
        for key, value in given.items():
            if self.update and key.startswith("-") and key[1:] in fields:
                if value is not None:
                    message = 'Value must be "null" when resetting to default.'
                    self.errors.append(("{}.{}".format(place, key[1:]), message))
                else:
                    values[key[1:]] = fields[key[1:]][1]
            elif key == "hash_password" and section == "user":
                if "password" not in given:
                    message = 'Nothing to hash. Field "password" is missing.'
                    self.errors.append(("{}.{}".format(place, key), message))
            elif key not in fields:
                self.errors.append(("{}.{}".format(place, key), "Unknown field."))
            else:
                try:
                    ready = _value(key, fields[key][0], value, given)
                    if old is not None and self.update and fields[key][0] == "list":
                        ready = _merge(old[key], ready)
                    values[key] = ready
                except ValueError as error:
                    self.errors.append(("{}.{}".format(place, key), str(error)))
        for key, (_kind, default) in fields.items():
            needed = default is REQUIRED and not (old and self.update)
            if needed and key not in given:
                message = "Missing data for required field."
                self.errors.append(("{}.{}".format(place, key), message))
        if len(self.errors) > wrong:
            return None
        if section in ("user", "alias") and "@" not in given[primary]:
            raise RefusedError(
                '[StatementError] (builtins.ValueError) invalid email address (no "@")'
            )
        if old is None or not self.update:
            item = self.store.add(section, **values)
            self.counter["Created", section] += 1
            if self.verbose:
                self._say("Created", section, shown(section, item, secrets=self.secrets))
            return name_of(section, item)
        # The same password again is no change, though its hash is another one.
        if given.get("hash_password") and SCHEMES.verify(given["password"], old["password"]):
            values["password"] = old["password"]
        name = name_of(section, old)
        changed = sorted(key for key in values if values[key] != old[key] and key != primary)
        if not old["comment"] and not values.get("comment"):
            changed = [key for key in changed if key != "comment"]
        for key in changed:
            before, after = old[key], values[key]
            if key == "dkim_key" and not self.secrets:
                before, after = HIDDEN if before else "", HIDDEN if after else ""
            if isinstance(before, list) and fields[key][0] == "list":
                before = set(before)
            if self.verbose:
                text = "{!r} {}: {!r} -> {!r}".format(name, key, before, after)
                self._say("Modified", section, text)
        # Upstream counts only what it shows.
        if changed and self.verbose:
            self.counter["Modified", section] += 1
        old.update(values)
        return name

    def _delete(self, section, name):
        item = self.store.sections[section].pop(name)
        self.counter["Deleted", section] += 1
        if self.verbose:
            self._say("Deleted", section, shown(section, item, secrets=self.secrets))
        if section == "domain":
            _write_key(name, None)

    def _masked(self, given):
        if self.secrets:
            return given
        hidden = {"dkim_key"} | ({"password"} if "hash_password" in given else set())
        return {key: HIDDEN if key in hidden else value for key, value in given.items()}

    @staticmethod
    def _say(action, section, message):
        text = message if isinstance(message, str) else repr(message)
        print("{} {}: {}".format(action, section, text))

    def summary(self):
        """The counters in one line."""
        parts, last = [], None
        for (action, section), count in sorted(self.counter.items()):
            if not count:
                continue
            if action != last:
                parts += ["/"] if last else []
                parts.append(action + ":")
                last = action
            parts.append("{}({})".format(section, count))
        return " ".join(parts) or "No changes."


def _merge(old, given):
    """A list that takes up another one: "-prune-" empties it first, "-x" takes x away."""
    found = set() if "-prune-" in given else set(old)
    for entry in given:
        if entry == "-prune-":
            continue
        if not entry.startswith("-"):
            found.add(entry)
        elif entry[1:] in found:
            found.remove(entry[1:])
        else:
            raise ValueError("Item to delete not found: {!r}.".format(entry[1:]))
    return sorted(found)


def records(item):
    """The DNS records that a domain should have, by the name of their attribute."""
    name = item["name"]
    host = os.environ["HOSTNAMES"].split(",")[0]
    found = {
        "dns_mx": "{}. 600 IN MX 10 {}.".format(name, host),
        "dns_spf": '{}. 600 IN TXT "v=spf1 mx a:{} ~all"'.format(name, host),
    }
    if item["dkim_key"]:
        key = public_key(item["dkim_key"])
        selector = os.environ.get("DKIM_SELECTOR", "dkim")
        reports = "".join(
            " {}=mailto:{}@{};".format(tag, os.environ[variable], os.environ["DOMAIN"])
            for tag, variable in (("rua", "DMARC_RUA"), ("ruf", "DMARC_RUF"))
            if os.environ.get(variable)
        )
        found["dkim_publickey"] = key
        found["dns_dkim"] = '{}._domainkey.{}. 600 IN TXT "v=DKIM1; k=rsa; p={}"'.format(
            selector, name, key
        )
        found["dns_dmarc"] = '_dmarc.{}. 600 IN TXT "v=DMARC1; p=reject;{} adkim=s; aspf=s"'.format(
            name, reports
        )
    return found


def export(store, full, secrets, dns, filters):
    """The configuration as plain data: lists of objects by section.

    filters: sections, or attributes as SECTION.ATTRIBUTE; all sections when there are none.
    """
    found = {}
    for section in FIELDS:
        wanted = [f.partition(".")[2] for f in filters if f.partition(".")[0] == section]
        if filters and not wanted:
            continue
        objects = []
        for item in store.sections[section].values():
            entry = shown(section, item, full, secrets)
            if section == "domain" and (dns or any(wanted)):
                entry.update(records(item))
            if any(wanted):
                entry = {key: value for key, value in entry.items() if key in wanted}
            primary = next(iter(FIELDS[section]))
            order = sorted(entry, key=lambda key: (key != primary, key))
            objects.append({key: entry[key] for key in order})
        found[section] = objects
    return found


class Dumper(yaml.Dumper):
    """Texts of several lines as they are, and what is hidden as a plain text."""


Dumper.add_representer(Hidden, lambda dumper, data: dumper.represent_str(str(data)))
Dumper.add_representer(
    str,
    lambda dumper, data: dumper.represent_scalar(
        "tag:yaml.org,2002:str", data, style="|" if "\n" in data else None
    ),
)
