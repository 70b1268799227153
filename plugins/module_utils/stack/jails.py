# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fail2ban watches on a mail host, as data: one row a jail.

Sources: jail.conf(5) of fail2ban; https://mailu.io/2024.06/faq.html#do-you-support-fail2ban and the
log lines of Mailu's containers; the patterns of mailcow's netfilter container.
"""

from __future__ import annotations

#: The longest name: what is made of it in the kernel has at most 28 characters.
NAME_LENGTH = 20

#: Mailu's lines of releases with other log lines than the one before; ``1.9`` is that and older.
MAILU_SERIES = ("1.9", "2.0", "2024.06")

#: What our filters can be told to look for; another word would make them look for nothing.
MODES = {
    "mailhost-mailu-front": MAILU_SERIES,
    "mailhost-mailu-admin": MAILU_SERIES,
    "mailhost-mailu-limiter": (),
    "mailhost-mailu-api": (),
    "mailhost-dovecot": ("normal", "auth", "aggressive"),
    "mailhost-postfix": ("auth", "relay", "aggressive"),
    "mailhost-nginx-auth": (),
    "mailhost-sogo": (),
    "mailhost-mailcow-ui": (),
    "mailhost-roundcube": ("direct", "proxy"),
    "mailhost-qmail": ("auth", "rbl", "all"),
    "mailhost-vpopmail": (),
}

_MAILU = "https://mailu.io/2024.06/faq.html#do-you-support-fail2ban"
_MAILCOW = "https://docs.mailcow.email/manual-guides/u_e-fail2ban/"
_FAIL2BAN = "https://github.com/fail2ban/fail2ban/wiki"


def _jail(name: str, title: str, filter_name: str, why: str, **more: object) -> dict:
    entry = {
        "name": name,
        "title": title,
        "filter": filter_name,
        # What the filter is told to look for; "{series}" is the line of releases.
        "mode": "",
        # Where the lines are: in the journal, with these terms, any of which will do ("{project}" is
        # the Compose project) …
        "journal": [],
        # … or, where nobody writes them there, in these files.
        "files": [],
        # What there is on a host that needs the jail: one of these programs or services.
        "programs": [],
        "units": [],
        # The lines of releases that have it; empty: all.
        "series": [],
        # None: as all jails.
        "maxretry": None,
        "findtime": None,
        "bantime": None,
        # Whether each further ban of an address is longer.
        "grows": True,
        # Ports and ranges that are closed for who is banned; empty: all.
        "ports": [],
        "enabled": True,
        "why": why,
        "source": _FAIL2BAN,
    }
    entry.update(more)
    return entry


def _units(*names: str) -> list[str]:
    return ["_SYSTEMD_UNIT={0}.service".format(name) for name in names]


#: Programs on the host itself, whatever the stack. Names of fail2ban's own jails, where there is one,
#: so that the two are never in force at the same time.
HOST = [
    _jail(
        "sshd",
        "SSH logins",
        "sshd",
        "Guessing of passwords over SSH.",
        journal=_units("ssh", "sshd"),
        files=["/var/log/auth.log", "/var/log/secure"],
        programs=["sshd"],
    ),
    _jail(
        "postfix",
        "SMTP logins at Postfix",
        "mailhost-postfix",
        "Guessing of passwords at SMTP and submission.",
        mode="auth",
        journal=_units("postfix", "postfix@-"),
        files=["/var/log/mail.log", "/var/log/maillog"],
        programs=["postfix"],
    ),
    _jail(
        "dovecot",
        "IMAP and POP3 logins at Dovecot",
        "mailhost-dovecot",
        "Guessing of passwords at IMAP, POP3, ManageSieve and submission.",
        journal=_units("dovecot"),
        files=["/var/log/mail.log", "/var/log/maillog"],
        programs=["dovecot"],
    ),
    _jail(
        "qmail-smtpd",
        "SMTP logins at qmail",
        "mailhost-qmail",
        "Guessing of passwords at SMTP.",
        mode="auth",
        files=["/var/log/qmail/smtpd/current", "/var/log/qmail/submission/current"],
        programs=["/var/qmail/bin/qmail-smtpd"],
    ),
    _jail(
        "vpopmail",
        "Logins at vpopmail",
        "mailhost-vpopmail",
        "Guessing of passwords of virtual users.",
        journal=["SYSLOG_IDENTIFIER=vpopmail"],
        files=["/var/log/mail.log", "/var/log/maillog"],
        programs=["/home/vpopmail/bin/vchkpw", "/var/vpopmail/bin/vchkpw"],
    ),
]

#: Mailu's containers, which tag their lines in the journal.
MAILU = [
    _jail(
        "mailu-smtp-auth",
        "Logins where none are taken",
        "mailhost-mailu-front",
        "Programs that try passwords on port 25, where Mailu takes none.",
        mode="{series}",
        journal=["CONTAINER_TAG=mailu-front"],
        # nginx writes a line break in a login name as it is, so that a client can make up a line with
        # somebody else's address: that one is not to be shut out for long.
        grows=False,
        source=_MAILU,
    ),
    _jail(
        "mailu-limiter",
        "Clients beyond Mailu's own limit",
        "mailhost-mailu-limiter",
        "Clients that go on after Mailu has begun to turn them away.",
        journal=["CONTAINER_TAG=mailu-admin"],
        maxretry=15,
        findtime="15m",
        source=_MAILU,
    ),
    _jail(
        "mailu-admin",
        "Logins as the admin container sees them",
        "mailhost-mailu-admin",
        "Guessing of passwords at the administration and the webmail; in 2024.06 everywhere, if "
        "LOG_LEVEL is INFO.",
        mode="{series}",
        journal=["CONTAINER_TAG=mailu-admin"],
        source=_MAILU,
    ),
    _jail(
        "mailu-api",
        "Tokens of the API",
        "mailhost-mailu-api",
        "Guessing of the API's token.",
        journal=["CONTAINER_TAG=mailu-admin"],
        series=["2.0", "2024.06"],
        maxretry=3,
        source=_MAILU,
    ),
    _jail(
        "mailu-proxy",
        "IMAP, POP3, submission and ManageSieve logins",
        "mailhost-dovecot",
        "Guessing of passwords of mailboxes.",
        journal=["CONTAINER_TAG=mailu-front"],
        series=["2024.06"],
        maxretry=10,
        source=_MAILU,
    ),
]


def _mailcow(service: str) -> list[str]:
    return ["CONTAINER_NAME={{project}}-{0}-1".format(service)]


#: mailcow's containers, for those who have its netfilter container ban nobody.
MAILCOW = [
    _jail(
        "mailcow-postfix",
        "SMTP logins",
        "mailhost-postfix",
        "Guessing of passwords at submission.",
        mode="auth",
        journal=_mailcow("postfix-mailcow"),
        source=_MAILCOW,
    ),
    _jail(
        "mailcow-dovecot",
        "IMAP, POP3 and ManageSieve logins",
        "mailhost-dovecot",
        "Guessing of passwords of mailboxes.",
        journal=_mailcow("dovecot-mailcow"),
        source=_MAILCOW,
    ),
    _jail(
        "mailcow-sogo",
        "Webmail logins",
        "mailhost-sogo",
        "Guessing of passwords at the webmail, CalDAV and ActiveSync.",
        journal=_mailcow("sogo-mailcow"),
        source=_MAILCOW,
    ),
    _jail(
        "mailcow-ui",
        "Logins at the administration",
        "mailhost-mailcow-ui",
        "Guessing of passwords at mailcow's own pages, and at those of Rspamd.",
        # What PHP has to say goes by its web server.
        journal=_mailcow("nginx-mailcow"),
        source=_MAILCOW,
    ),
]


def series(stack: str, version: str) -> str:
    """The line of releases that a version belongs to, where log lines differ by it.

    Args:
        stack: name of a stack, or empty.
        version: such as ``2024.06.12``; a name that is no number (``master``) is the newest line.

    Returns:
        One of :data:`MAILU_SERIES` for Mailu, else an empty text.
    """
    if stack != "mailu":
        return ""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    if not numbers:
        return MAILU_SERIES[-1]
    found = MAILU_SERIES[0]
    for line in MAILU_SERIES:
        if [int(part) for part in line.split(".")] <= numbers:
            found = line
    return found


def for_stack(stack: str, line: str = "", bans: str = "netfilter") -> list[dict]:
    """The jails of a host with this stack; some of them for programs that it may not have.

    Args:
        stack: ``mailu``, ``mailcow``, or empty for none.
        line: see :func:`series`.
        bans: who bans on mailcow: ``netfilter``, its own container, or ``fail2ban``.
    """
    rows = list(HOST)
    if stack == "mailu":
        rows += [row for row in MAILU if not row["series"] or line in row["series"]]
    if stack == "mailcow":
        # Both at once would ban twice, and one unban would not be enough.
        rows += [dict(row, enabled=bans == "fail2ban") for row in MAILCOW]
    return [dict(row, mode=row["mode"].format(series=line)) for row in rows]
