# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files below Mailu's overrides directory: which are read, and what must not stand in them.

Sources: https://mailu.io/2024.06/faq.html (How can I override settings?), and the images' start
scripts, which decide what becomes of each file:
https://github.com/Mailu/Mailu/blob/2024.06/core/postfix/start.py,
https://github.com/Mailu/Mailu/blob/2024.06/core/rspamd/start.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping

WEBMAILS = ("roundcube", "snappymail", "none")

#: Directory below overrides -> the Compose service that reads it.
SERVICES = {
    "nginx": "front",
    "dovecot": "imap",
    "postfix": "smtp",
    "rspamd": "antispam",
    "roundcube": "webmail",
    "snappymail": "webmail",
}

# Names end up in command lines of the images' start scripts.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")

# Files of Rspamd that the image brings along and that include no override.
_RSPAMD_OWN = (
    "local_subnet.map",
    "logging.inc",
    "options.inc",
    "redis.conf",
    "worker-controller.inc",
    "worker-fuzzy.inc",
    "worker-normal.inc",
    "worker-proxy.inc",
)

_SETTING = re.compile(r"([A-Za-z0-9_]+)\s*=\s*(.*)\Z")
_MASTER = re.compile(r"[^\s/=]+/(?:inet|unix|unix-dgram|fifo|pass)\s*=\s*(?:\S+\s+){7}\S.*\Z")

_REFUSED = {
    "smtpd_banner": (
        "clients never see it: the service front answers them, and its banner is fixed"
    ),
    "myhostname": "it follows from HOSTNAMES, the name that certificate and PTR record have too",
    "relayhost": "use the setting RELAYHOST, which sets up user and password as well",
}


class OverrideError(ValueError):
    """A file is not read, or would break the service; the text says which, and what is allowed."""


def overrides(wanted: Mapping[str, Mapping[str, str]], webmail: str = "none") -> list[dict]:
    """Check override files, and say where each one goes.

    Args:
        wanted: directory below overrides -> file -> text, such as
            ``{"postfix": {"postfix.cf": "message_size_limit = 1"}}``. A file in a directory below
            is named with it, such as ``dovecot/proxy.conf`` of nginx.
        webmail: one of :data:`WEBMAILS`. Files of another webmail are refused.

    Returns:
        list[dict]: ``path`` (below overrides), ``text`` (with a line end) and ``service`` (the one
        to restart), sorted by path.

    Raises:
        OverrideError: a file that is not read or would break the service.
    """
    if webmail not in WEBMAILS:
        raise OverrideError(f"webmail: {webmail!r}; allowed: {', '.join(WEBMAILS)}")
    if not isinstance(wanted, Mapping):
        raise OverrideError(f"overrides: {wanted!r}; allowed: directory -> file -> text")
    found = []
    for directory, files in wanted.items():
        allowed = [name for name in SERVICES if name not in WEBMAILS or name == webmail]
        if directory not in allowed:
            raise OverrideError(f"overrides: {directory!r}; allowed: {', '.join(allowed)}")
        if not isinstance(files, Mapping):
            raise OverrideError(f"overrides: {directory}: {files!r}; allowed: file -> text")
        for name, text in files.items():
            where = f"overrides: {directory}/{name}"
            if not isinstance(text, str):
                raise OverrideError(f"{where}: {type(text).__name__}; allowed: text")
            if "\r" in text or "\0" in text:
                raise OverrideError(f"{where}: line ends of Windows, or a NUL; allowed: plain text")
            trouble = _file_trouble(directory, name, text)
            if trouble:
                raise OverrideError(f"{where}: {trouble}")
            found.append(
                {
                    "path": f"{directory}/{name}",
                    "text": text if text.endswith("\n") or not text else text + "\n",
                    "service": SERVICES[directory],
                }
            )
    return sorted(found, key=lambda item: item["path"])


def _file_trouble(directory: str, name: str, text: str) -> str:
    """Return what is wrong with a file; empty when nothing is."""
    if not all(_NAME.match(part) for part in str(name).split("/")):
        return "allowed in a name: letters, digits, '.', '_' and '-'"
    for matches, allowed, look in _READ[directory]:
        if re.fullmatch(matches, name):
            if look is None:
                return allowed
            return look(text)
    kinds = [allowed for _matches, allowed, look in _READ[directory] if look is not None]
    return "no such file is read; allowed: {}".format(", ".join(kinds) or "none")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that a start script of Postfix hands on, each with its number.

    It strips the text as a whole, so that blanks before the first line are nothing.
    """
    before = text[: len(text) - len(text.lstrip())].count("\n")
    for number, line in enumerate(text.strip().split("\n"), 1 + before):
        if line and not line.startswith("#"):
            yield number, line


def _shell_trouble(line: str) -> str:
    r"""Return what a shell would make of a line between double quotes (POSIX, section 2.2.3)."""
    match = re.search(r'(?:^|[^\\])(?:\\\\)*([$`"])', line)
    if match:
        return "the line passes through a shell: write \\{0} instead of {0}".format(match.group(1))
    if re.search(r"(?:^|[^\\])(?:\\\\)*\\\Z", line):
        return "a backslash at the end; each line stands for itself"
    return ""


def _line_trouble(line: str) -> str:
    if line[0].isspace():
        return (
            "a line that begins with a blank; Postfix would take it for the rest of the line "
            "before, but Mailu hands on each line for itself. Write the setting on one line"
        )
    return _shell_trouble(line)


def _postfix_cf(text: str) -> str:
    seen: dict[str, int] = {}
    for number, line in _lines(text):
        trouble = _line_trouble(line)
        match = _SETTING.match(line)
        if not trouble and not match:
            trouble = "allowed: one setting a line, NAME = VALUE"
        if not trouble:
            name, value = match.groups()
            trouble = _setting_trouble(name, value)
            if name in seen:
                trouble = f"{name} stands in line {seen[name]} already"
            seen[name] = number
        if trouble:
            return f"line {number}: {trouble}"
    return ""


def _setting_trouble(name: str, value: str) -> str:
    if name in _REFUSED:
        return f"{name}: {_REFUSED[name]}"
    if name == "mynetworks":
        for item in re.split(r"[\s,]+", value.strip()):
            try:
                network = ipaddress.ip_network(item.replace("[", "").replace("]", ""), strict=False)
            except ValueError:
                continue  # a table, or a reference to another setting
            # Python calls 0.0.0.0/0 private, as its first and last address are.
            largest = 24 if network.version == 4 else 48
            inside = network.is_private and network.prefixlen > 6
            if network.prefixlen < largest and not inside:
                return f"mynetworks: {item} may send to everybody: that is an open relay"
    return ""


def _postfix_master(text: str) -> str:
    for number, line in _lines(text):
        trouble = _line_trouble(line)
        if not trouble and not _MASTER.match(line):
            trouble = (
                "allowed: one service a line, NAME/TYPE = and the eight columns of master.cf, such "
                "as smtp/inet = smtp inet n - n - - smtpd"
            )
        if trouble:
            return f"line {number}: {trouble}"
    return ""


def _postfix_map(text: str) -> str:
    """Look at the source of a lookup table: postmap(1), INPUT FILE FORMAT."""
    keys = False
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            if not keys:
                return f"line {number}: it goes on with a line that is not there"
            continue
        keys = True
        if len(line.split(None, 1)) < 2:
            return f"line {number}: allowed: KEY VALUE"
    return ""


def _nginx(text: str) -> str:
    """Look whether braces, quotes and the last directive are closed: front does not start else."""
    depth, number, opened = 0, 1, 1
    quote, last = "", ""
    comment = escaped = False
    for sign in text:
        number += sign == "\n"
        if comment:
            comment = sign != "\n"
        elif escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"" and (not last or last.isspace() or last in "{};"):
            quote, opened = sign, number
        elif sign == "#" and (not last or last.isspace() or last in "{};"):
            comment = True
        elif sign in "{}":
            depth += 1 if sign == "{" else -1
            opened = number if sign == "{" else opened
            if depth < 0:
                return f"line {number}: a }} too much"
        last = sign if not comment else "\n"
    if quote:
        return f"line {opened}: the {quote} is not closed"
    if depth:
        return f"line {opened}: the {{ is not closed"
    words = re.sub(r"(?m)(^|\s)#.*$", "", text).strip()
    return "" if not words or words[-1] in ";}" else "the last line has no ; at its end"


def _php(text: str) -> str:
    if text and not text.startswith("<?php"):
        return "it does not begin with <?php, so that its text would be shown on every page"
    return ""


def _any(_text: str) -> str:
    return ""


# Directory -> (pattern of names, what to call them, a look at the text). Instead of a look None:
# the file is refused with that text.
_READ: dict[str, tuple[tuple[str, str, Callable[[str], str] | None], ...]] = {
    "nginx": (
        (r"dovecot/proxy\.conf", "dovecot/proxy.conf", _any),
        (r"[^/]+\.conf", "*.conf", _nginx),
    ),
    "dovecot": ((r"dovecot\.conf", "dovecot.conf", _any),),
    "postfix": (
        (r"postfix\.cf", "postfix.cf", _postfix_cf),
        (r"postfix\.master", "postfix.master", _postfix_master),
        (r"[^/]+\.map", "*.map", _postfix_map),
        (r"mta-sts-daemon\.yml", "mta-sts-daemon.yml", _any),
        (
            r"logrotate\.conf",
            "it is read only with POSTFIX_LOG_FILE; logs are in the journal",
            None,
        ),
    ),
    "rspamd": (
        (
            "|".join(re.escape(name) for name in _RSPAMD_OWN),
            "Mailu has a file of this name and does not read yours",
            None,
        ),
        (r"[^/]+", "files, no directories", _any),
    ),
    "roundcube": ((r"[^/]+\.inc(\.php)?", "*.inc.php", _php),),
    "snappymail": (),
}
