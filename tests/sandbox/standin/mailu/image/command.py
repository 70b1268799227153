# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line ``flask mailu``: accounts by hand, and all of them at once."""

from __future__ import annotations

import argparse
import json
import sys

import accounts
import yaml


def fail(message):
    """End as a command of Click's does."""
    sys.exit("Error: {}".format(message))


def parser():
    """The commands and their arguments."""
    found = argparse.ArgumentParser(prog="flask mailu", allow_abbrev=False)
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, arguments in (
        ("admin", ("localpart", "domain_name", "password")),
        ("user", ("localpart", "domain_name", "password")),
        ("password", ("localpart", "domain_name", "password")),
        ("user-import", ("localpart", "domain_name", "password_hash")),
        ("domain", ("domain_name",)),
        ("alias", ("localpart", "domain_name", "destination")),
        ("user-delete", ("email",)),
        ("alias-delete", ("email",)),
        ("setlimits", ("domain_name", "max_users", "max_aliases", "max_quota_bytes")),
        ("setmanager", ("domain_name", "user_name")),
        ("config-import", ()),
        ("config-export", ()),
    ):
        command = commands.add_parser(name, allow_abbrev=False)
        for argument in arguments:
            command.add_argument(argument)
        if name == "admin":
            command.add_argument("-m", "--mode", default="create")
        elif name == "user-delete":
            command.add_argument("-r", "--really", action="store_true")
        elif name == "alias":
            command.add_argument("-w", "--wildcard", action="store_true")
        elif name == "domain":
            for short, option in (("u", "users"), ("a", "aliases"), ("q", "quota-bytes")):
                command.add_argument("-" + short, "--max-" + option, type=int)
        elif name == "config-import":
            command.add_argument("-v", "--verbose", action="count", default=0)
            for option in ("secrets", "debug", "quiet", "color", "update"):
                command.add_argument("-" + option[0], "--" + option, action="store_true")
            command.add_argument("-n", "--dry-run", action="store_true")
            command.add_argument("source", nargs="?", default="-")
        elif name == "config-export":
            for option in ("full", "secrets", "dns", "color", "json"):
                command.add_argument("-" + option[0], "--" + option, action="store_true")
            command.add_argument("-o", "--output-file", default="-")
            command.add_argument("only", nargs="*")
    return found


def config_import(given, store):
    """Take a configuration over, or say what that would change."""
    if given.source == "-":
        text = sys.stdin.read()
    else:
        with open(given.source, encoding="utf-8") as file:
            text = file.read()
    verbose = 0 if given.quiet else given.verbose
    run = accounts.Import(store, verbose, given.update, given.secrets)
    try:
        run.run(yaml.safe_load(text))
    except yaml.YAMLError as error:
        fail("[{}] {}".format(type(error).__name__, " ".join(str(error).split())))
    except (accounts.InvalidError, accounts.RefusedError) as error:
        fail(error)
    if not given.dry_run:
        store.save()
    if not given.quiet:
        done = "Dry run. Not committing changes." if given.dry_run else "Committing changes."
        print(done, run.summary())


def config_export(given, store):
    """Print the configuration, or write it to a file."""
    unknown = [name for name in given.only if name.partition(".")[0] not in accounts.FIELDS]
    if unknown:
        fail("Invalid filter: {}".format(", ".join(unknown)))
    found = accounts.export(store, given.full, given.secrets, given.dns, given.only)
    if given.json:
        text = json.dumps(found, separators=(",", ":"))
    else:
        text = yaml.dump(
            found,
            Dumper=accounts.Dumper,
            default_flow_style=False,
            allow_unicode=True,
            sort_keys=False,
        )
    if given.output_file == "-":
        print(text)
    else:
        with open(given.output_file, "w", encoding="utf-8") as file:
            file.write(text + "\n")


def account(given, store):
    """The commands for one account or domain."""
    email = given.email if "email" in given else None
    if "localpart" in given:
        email = "{}@{}".format(given.localpart, given.domain_name)
    command = given.command
    there = store.get("user", email) if email else None
    if command == "admin":
        if given.mode not in ("create", "update", "ifmissing"):
            fail("invalid mode: {!r}".format(given.mode))
        if there is None:
            store.need_domain(given.domain_name)
            secret = accounts.SCHEMES.hash(given.password)
            store.add("user", email=email, password=secret, global_admin=True)
            print("created admin user")
        elif given.mode == "ifmissing":
            print("user {!r} exists, not updating".format(email))
        elif given.mode == "update":
            there["password"] = accounts.SCHEMES.hash(given.password)
            print("updated admin password")
        else:
            fail("user {!r} exists, not created".format(email))
    elif command in ("user", "user-import"):
        if there is not None:
            fail("(sqlite3.IntegrityError) UNIQUE constraint failed: user.email")
        store.need_domain(given.domain_name)
        if command == "user":
            secret = accounts.SCHEMES.hash(given.password)
            store.add("user", email=email, password=secret, change_pw_next_login=True)
        else:
            store.add("user", email=email, password=given.password_hash)
    elif command == "password":
        if there is None:
            print("User {} not found.".format(email))
        else:
            there["password"] = accounts.SCHEMES.hash(given.password)
            there["change_pw_next_login"] = True
    elif command == "domain":
        if store.get("domain", given.domain_name) is None:
            limits = ("max_users", "max_aliases", "max_quota_bytes")
            values = {name: getattr(given, name) for name in limits}
            known = {name: value for name, value in values.items() if value is not None}
            store.add("domain", name=given.domain_name, **known)
    elif command == "alias":
        store.need_domain(given.domain_name)
        store.add(
            "alias",
            email=email,
            destination=given.destination.split(","),
            wildcard=given.wildcard,
        )
    elif command == "user-delete":
        if there is not None and given.really:
            del store.sections["user"][email.lower()]
        elif there is not None:
            there["enabled"] = False
    elif command == "alias-delete":
        store.sections["alias"].pop(email.lower(), None)
    elif command == "setlimits":
        domain = store.get("domain", given.domain_name)
        for name in ("max_users", "max_aliases", "max_quota_bytes"):
            domain[name] = int(getattr(given, name))
    elif command == "setmanager":
        user = store.get("user", "{}@{}".format(given.user_name, given.domain_name))
        user["manager_of"] = sorted({*user["manager_of"], given.domain_name})
    store.save()


def main():
    """Run one command."""
    if sys.argv[1:2] != ["mailu"]:
        fail("No such command {!r}.".format(" ".join(sys.argv[1:2])))
    given = parser().parse_args(sys.argv[2:])
    store = accounts.Store()
    if given.command == "config-import":
        config_import(given, store)
    elif given.command == "config-export":
        config_export(given, store)
    else:
        account(given, store)


main()
