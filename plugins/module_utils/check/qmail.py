# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether qmail's and vpopmail's files fit together: who may relay, and whose mail is whose."""

from __future__ import annotations

from typing import Iterable, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.pop_before_smtp import State
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_domains import (
    Domains,
    some,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_users import (
    Assignment,
    printable,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.value_kind import fqdn_problem
from ansible_collections.postmaster.mailhost.plugins.module_utils.vpopmail_permissions import (
    Outcome,
)


class Server(NamedTuple):
    """What the checks look at.

    Attributes:
        domains: what the files say.
        pop: POP before SMTP; None when it was not looked at.
        permissions: owner and mode of what vpopmail has; None likewise.
        trouble: why they could not be looked at; empty otherwise.
    """

    domains: Domains
    pop: State | None = None
    permissions: Outcome | None = None
    trouble: str = ""


def _absent(server: Server, required: str) -> list[Finding]:
    return [answer(SKIP, "no qmail in {0}".format(server.domains.home), required)]


def _all(required: str, found: Iterable[tuple[str, str, list[str], str]]) -> list[Finding]:
    """Return a finding for each kind of trouble that there is: status, sentence, names and fix."""
    return [
        answer(status, sentence.format(some(names)), required, fix)
        for status, sentence, names, fix in found
        if names
    ]


def me(server: Server, _need: object) -> list[Finding]:
    """Look at control/me, the name that qmail has for itself.

    Missing or empty: ``fail``, since qmail-smtpd then ends without a greeting. No full name: ``warn``;
    many servers refuse its HELO.
    """
    required = "control/me has the server's full name"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    fix = "Write the server's full name into {0}/control/me, and restart qmail.".format(
        domains.home
    )
    if domains.me is None or not domains.me[0]:
        text = "control/me is {0}".format("missing" if domains.me is None else "empty")
        return [answer(FAIL, text, required, fix)]
    name = domains.me[0]
    status = WARN if fqdn_problem(name) else OK
    return [answer(status, printable(name), required, fix)]


def rcpthosts(server: Server, _need: object) -> list[Finding]:
    """Look for control/rcpthosts.

    Missing: ``fail``, since every client may then relay to everywhere.
    """
    required = "control/rcpthosts exists, so that the server is no open relay"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    if domains.rcpthosts is None:
        fix = (
            "Make {0}/control/rcpthosts at once, with the domains that this server takes mail for; it "
            "counts from the next connection on.".format(domains.home)
        )
        return [answer(FAIL, "missing: every client may relay", required, fix)]
    observed = "{0} domains".format(len(domains.rcpthosts))
    if domains.more:
        observed += ", and {0} in morercpthosts".format(len(domains.more))
    if not domains.rcpthosts and not domains.more:
        observed = "empty: nobody may write from outside"
    return [answer(OK, observed, required)]


def morercpthosts(server: Server, _need: object) -> list[Finding]:
    """Compare control/morercpthosts.cdb with control/morercpthosts.

    Not the same: ``fail``, since only the former is read.
    """
    required = "morercpthosts.cdb says what morercpthosts says"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    if domains.more_trouble:
        fix = "Run {0}/bin/qmail-newmrh.".format(domains.home)
        if domains.more and not domains.more_text:
            fix = (
                "Write the domains that mail is taken for into {0}/control/morercpthosts and run "
                "{0}/bin/qmail-newmrh, or delete morercpthosts.cdb.".format(domains.home)
            )
        return [answer(FAIL, "morercpthosts.cdb: " + domains.more_trouble, required, fix)]
    if not domains.more:
        return [answer(SKIP, "no morercpthosts", required)]
    return [answer(OK, "{0} domains".format(len(domains.more)), required)]


def assign(server: Server, _need: object) -> list[Finding]:
    """Look at the form of users/assign.

    A line that qmail-newu refuses, or no line with a dot at the end: ``fail``, since no change gets into
    users/cdb any more. Lines behind the dot, or several for one address: ``warn``; they have no effect.
    """
    required = "users/assign has assignments, and a line with a dot at the end"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    found = domains.assign
    if found is None:
        return [answer(SKIP, "no users/assign: qmail asks the system for its accounts", required)]
    first: dict[tuple[bool, str], Assignment] = {}
    twice = [
        "{0} (lines {1} and {2})".format(entry.address, first[entry.key].number, entry.number)
        for entry in found.entries
        if first.setdefault(entry.key, entry) is not entry
    ]
    bad = list(found.refused)
    if not found.terminated:
        bad.append("the line with the dot is missing at the end")
    kinds = [
        (FAIL, "qmail-newu refuses it: {0}", bad, "Mend it; the module qmail_users adds the dot."),
        (
            WARN,
            "never read, being behind the line with the dot: {0}",
            list(found.behind),
            "Put these lines before the one with the dot, or delete them.",
        ),
        (WARN, "only the first counts of: {0}", twice, "Delete the line that is not meant."),
    ]
    return _all(required, kinds) or [
        answer(OK, "{0} assignments".format(len(found.entries)), required)
    ]


def users_cdb(server: Server, _need: object) -> list[Finding]:
    """Compare users/cdb, which qmail reads, with users/assign.

    Not what qmail-newu makes of it, older, missing or damaged: ``fail``.
    """
    required = "users/cdb is made of users/assign as it is"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    if domains.cdb_trouble:
        fix = "Run {0}/bin/qmail-newu, or the module qmail_users.".format(domains.home)
        return [answer(FAIL, domains.cdb_trouble, required, fix)]
    if domains.assign is None:
        return [answer(SKIP, "no users/assign", required)]
    return [answer(OK, "{0} assignments".format(len(domains.assign.entries)), required)]


def consistency(server: Server, _need: object) -> list[Finding]:
    """Compare locals, virtualdomains, rcpthosts and smtproutes.

    A domain in locals and in virtualdomains, whose mail goes to the system's accounts: ``fail``. One in
    virtualdomains and not in rcpthosts or morercpthosts, whose mail is refused: ``fail``. One that mail is
    taken for and that neither is handled here nor has a route: ``warn``; it is well only where this
    server is a backup for it.
    """
    required = "locals, virtualdomains and rcpthosts agree"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    virtual = {key: value for key, value in domains.virtual.items() if key and value}
    both = [key for key in virtual if key in domains.locals]
    refused = [key for key in virtual if not domains.accepts(key.rpartition("@")[2])]
    ours = [key.lstrip(".") for key in [*virtual, *domains.locals]]
    remote = [
        name
        for name in dict.fromkeys([*(domains.rcpthosts or ()), *domains.more])
        if name not in domains.locals
        and domains.prefix(name) is None
        and not domains.routed(name)
        and not any(key.rpartition("@")[2] == name for key in virtual)
        and not (name.startswith(".") and any(("." + key).endswith(name) for key in ours))
    ]
    kinds = [
        (
            FAIL,
            "in locals and in virtualdomains, of which locals counts: {0}",
            both,
            "Take the domain out of locals or out of virtualdomains, and send qmail-send a HUP.",
        ),
        (
            FAIL,
            "in virtualdomains and not in rcpthosts, so that mail for it is refused: {0}",
            refused,
            "Add the domain to rcpthosts, or delete it from virtualdomains.",
        ),
        (
            WARN,
            "in rcpthosts, and neither local, virtual nor routed; mail for it goes on to its MX: {0}",
            remote,
            "If this server is no backup for the domain, take it out of rcpthosts.",
        ),
    ]
    total = "{0} local, {1} virtual".format(len(domains.locals), len(virtual))
    return _all(required, kinds) or [answer(OK, total, required)]


def handlers(server: Server, _need: object) -> list[Finding]:
    """Follow each virtual domain to the account that has its mail.

    Nobody has it: ``fail``. An assignment to root, which qmail refuses, or with a directory that is not
    there: ``fail``. One to a user that /etc/passwd does not have, and one of vpopmail to a domain that is
    not in virtualdomains, or to another user than vpopmail: ``warn``.
    """
    required = "each virtual domain has an account and its directory"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    prefixes = {key: value for key, value in domains.virtual.items() if value}
    nobody = [key or "all others" for key, value in prefixes.items() if not domains.handled(value)]
    entries = domains.assign.entries if domains.assign else ()
    below = domains.vpopmail + "/"
    pop = [entry for entry in entries if domains.vpopmail and entry.home.startswith(below)]
    wanted = {value.lower() + "-" for value in prefixes.values()}
    owner, group = domains.owner
    foreign = [
        entry.address
        for entry in pop
        if owner is not None and (entry.uid, entry.gid) != (str(owner), str(group))
    ]
    kinds = [
        (
            FAIL,
            "in virtualdomains, and neither an assignment, an account nor alias has its mail: {0}",
            nobody,
            "Make the domain with vadddomain, or delete it from virtualdomains.",
        ),
        (
            FAIL,
            "assigned to root, which qmail refuses: {0}",
            [entry.address for entry in entries if _number(entry.uid) == 0],
            "Assign it to another user.",
        ),
        (
            FAIL,
            "assigned with a directory that is not there: {0}",
            [
                "{0} ({1})".format(entry.address, entry.home)
                for entry in entries
                if not domains.homes.get(entry.home)
            ],
            "Delete the domain with vdeldomain, or bring the directory back.",
        ),
        (
            WARN,
            "assigned to a user whom /etc/passwd does not have: {0}",
            [
                "{0} ({1})".format(entry.address, entry.uid)
                for entry in entries
                if _number(entry.uid) not in domains.uids | {0}
            ],
            "See whether the number is that of a user.",
        ),
        (
            WARN,
            "vpopmail's, and assigned to another user or group: {0}",
            foreign,
            "Write the numbers of vpopmail's user and group into users/assign.",
        ),
        (
            WARN,
            "assigned to vpopmail, and not in virtualdomains, so that it gets no mail: {0}",
            [
                entry.address
                for entry in pop
                if entry.wildcard and entry.address and entry.address.lower() not in wanted
            ],
            "Delete the domain with vdeldomain, or add it to virtualdomains.",
        ),
    ]
    return _all(required, kinds) or [
        answer(OK, "{0} prefixes, {1} assignments".format(len(wanted), len(entries)), required)
    ]


def folders(server: Server, _need: object) -> list[Finding]:
    """Look at vpopmail's directories of domains.

    One without a .qmail-default that calls vdelivermail: ``fail``, since mail for its mailboxes bounces.
    One that no assignment leads to: ``warn``.
    """
    required = "each directory of a domain is in use, and delivers with vdelivermail"
    domains = server.domains
    if not domains.present:
        return _absent(server, required)
    if not domains.vpopmail:
        return [answer(SKIP, "no vpopmail", required)]
    used = {entry.home.rstrip("/") for entry in (domains.assign.entries if domains.assign else ())}
    dead = [
        path
        for path, text in domains.folders.items()
        if path in used and "vdelivermail" not in (text or "")
    ]
    unused = [path for path in domains.folders if path not in used]
    kinds = [
        (
            FAIL,
            "without a .qmail-default that calls vdelivermail: {0}",
            dead,
            "Write vpopmail's line into .qmail-default: | VPOPMAIL/bin/vdelivermail '' bounce-no-mailbox",
        ),
        (
            WARN,
            "no assignment leads to: {0}",
            unused,
            "Make the domain known with vadddomain, or move its directory away.",
        ),
    ]
    return _all(required, kinds) or [
        answer(OK, "{0} directories".format(len(domains.folders)), required)
    ]


def open_smtp(server: Server, _need: object) -> list[Finding]:
    """Look at vpopmail's open-smtp, the addresses that may relay because of POP before SMTP.

    Entries older than twice the window, or more of them than ``warn_entries``: ``warn``, since
    clearopensmtp does not run; whoever has such an address today relays.
    """
    required = "clearopensmtp takes old addresses out of open-smtp"
    pop = server.pop
    if pop is None or not pop.list.path:
        return [answer(SKIP, "no open-smtp" if pop else "not looked at", required)]
    if pop.swollen:
        fix = (
            "Mend the line of cron and run {0}; the module pop_before_smtp does both. Better: SMTP "
            "AUTH instead of POP before SMTP.".format(pop.command)
        )
        if not pop.outdated:
            fix = "Have people who send mail use SMTP AUTH instead of POP before SMTP."
        observed = "{0}: {1}, {2} bytes".format(pop.list.path, pop.swollen, pop.list.size)
        return [answer(WARN, observed, required, fix)]
    observed = "{0} entries, the oldest {1} min old".format(pop.list.entries, pop.list.oldest // 60)
    return [answer(OK, observed, required)]


def cron(server: Server, _need: object) -> list[Finding]:
    """Look for the line of cron that calls clearopensmtp.

    A line of /etc/crontab or /etc/cron.d without a user or with one that is not there, in the file that
    calls clearopensmtp: ``fail``; Debian's cron ignores the whole file. No line at all, and addresses in
    open-smtp: ``warn``.
    """
    required = "cron calls clearopensmtp: five fields of time, a user, the command"
    pop = server.pop
    if pop is None or not pop.used:
        return [answer(SKIP, "no POP before SMTP" if pop else "not looked at", required)]
    wrong = [
        "{0} line {1} {2}".format(line.path, line.number, line.trouble)
        for line in pop.lines
        if line.trouble
    ]
    fix = "Write a user behind the times, such as root; the module pop_before_smtp does so."
    found = _all(required, [(FAIL, "{0}", wrong, fix)])
    if found:
        return found
    if not pop.lines:
        fix = "Have cron call {0} every hour, in a file of its own in /etc/cron.d.".format(
            pop.command
        )
        return [answer(WARN, "nothing calls clearopensmtp", required, fix)]
    return [answer(OK, some([line.path for line in pop.lines]), required)]


def permissions(server: Server, _need: object) -> list[Finding]:
    """Compare owner and mode of everything below vpopmail's domains with 0700 and 0600.

    Something deviates: ``warn``. What cannot be mended: ``warn`` too. Not to be looked at: ``unknown``.
    """
    required = "directories 0700 and files 0600, all of vpopmail's user and group"
    found = server.permissions
    if server.trouble:
        fix = "Name vpopmail's user and group, and run this as root."
        return [answer(UNKNOWN, server.trouble, required, fix)]
    if found is None:
        return [answer(SKIP, "no vpopmail, or not looked at", required)]
    numbers = "{0} of {1} deviate ({2} in owner or group, {3} in mode): ".format(
        found.deviating, found.looked, found.owner, found.mode
    )
    kinds = [
        (
            WARN,
            numbers + "{0}",
            [item.path for item in found.first],
            "The module vpopmail_permissions mends those that deviate and no others.",
        ),
        (
            WARN,
            "{0} not to be mended: ".format(found.left) + "{0}",
            found.left_first,
            "Look at these by hand.",
        ),
    ]
    return _all(required, kinds) or [answer(OK, "{0} entries".format(found.looked), required)]


def _number(text: str) -> int:
    """Return the number that qmail-lspawn reads: the digits at the beginning."""
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    return int(digits or "0")


MAN = "https://manpages.debian.org/"
NOTQMAIL = "https://notqmail.org/"
CDB = "https://cr.yp.to/cdb.html"

#: What the module qmail_users looks at, too.
USERS = (
    ("qmail.assign", "users/assign", NOTQMAIL, assign),
    ("qmail.users_cdb", "users/cdb", CDB, users_cdb),
    ("qmail.domains", "Domains in qmail's files", NOTQMAIL, consistency),
    ("qmail.handlers", "Accounts of domains", NOTQMAIL, handlers),
    ("qmail.folders", "vpopmail's domains", "https://www.inter7.com/vpopmail/", folders),
)

LOOK = (
    ("qmail.me", "Name of the server", NOTQMAIL, me),
    ("qmail.rcpthosts", "Open relay", NOTQMAIL, rcpthosts),
    ("qmail.morercpthosts", "morercpthosts", NOTQMAIL, morercpthosts),
    *USERS,
    ("qmail.open_smtp", "POP before SMTP", "https://www.inter7.com/vpopmail/", open_smtp),
    ("qmail.cron", "Line of cron", MAN + "bookworm/cron/crontab.5.en.html", cron),
    (
        "qmail.permissions",
        "Owner and mode of mailboxes",
        "https://www.inter7.com/vpopmail/",
        permissions,
    ),
)
