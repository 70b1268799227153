# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What qmail does with mail for a domain, by the files that have to agree about it.

qmail-smtpd asks rcpthosts and morercpthosts.cdb whether to take it; qmail-send asks locals, then
virtualdomains, whose it is; qmail-lspawn asks users/cdb, then the system's accounts, then alias. Sources:
qmail-send(8), qmail-smtpd(8), qmail-getpw(8) and addresses(5) of notqmail; vpopmail's layout.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import qmail_control, qmail_users
from ansible_collections.postmaster.mailhost.plugins.module_utils.cdb import Cdb, CdbError
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_users import (
    Assign,
    decode,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.vpopmail_permissions import (
    GROUP,
    OWNER,
    number_of,
)

QMAIL_HOME = "/var/qmail"
VPOPMAIL_HOME = "/home/vpopmail"

# vpopmail puts domains into directories of one character when there are many.
_LEVELS = 3

_NOTHING: Mapping[str, Any] = {}


class Domains(NamedTuple):
    """What the files say.

    Attributes:
        home: where qmail is.
        present: whether there is a qmail.
        me: first line of control/me; None when it is missing.
        locals: domains whose mail is for the accounts of the system.
        virtual: domain or address, or a part of one, to the prefix that its mail gets; later lines win.
        rcpthosts: domains that strangers may write to; None when the file is missing.
        more: those of morercpthosts.cdb.
        more_text: whether morercpthosts, which it is made of, is there.
        more_trouble: why morercpthosts.cdb is not what morercpthosts says; empty when it is.
        routes: domains that smtproutes has.
        assign: users/assign; None when it is missing.
        cdb_trouble: why users/cdb is not what users/assign says; empty when it is.
        accounts: names of the system's users.
        uids: their numbers.
        alias: names in the directory alias.
        homes: directory of an assignment to whether it is there.
        vpopmail: vpopmail's directory of domains; empty when there is none.
        owner: numbers of vpopmail's user and group, None for what is not there.
        folders: directory of a domain of vpopmail to its .qmail-default, None without one.
    """

    home: str
    present: bool
    me: tuple[str, ...] | None = None
    locals: tuple[str, ...] = ()
    virtual: Mapping[str, str] = _NOTHING
    rcpthosts: tuple[str, ...] | None = None
    more: tuple[str, ...] = ()
    more_text: bool = False
    more_trouble: str = ""
    routes: tuple[str, ...] = ()
    assign: Assign | None = None
    cdb_trouble: str = ""
    accounts: tuple[str, ...] = ()
    uids: frozenset[int] = frozenset()
    alias: tuple[str, ...] = ()
    homes: Mapping[str, bool] = _NOTHING
    vpopmail: str = ""
    owner: tuple[int | None, int | None] = (None, None)
    folders: Mapping[str, str | None] = _NOTHING

    def accepts(self, domain: str) -> bool:
        """Tell whether qmail-smtpd takes mail for a domain from strangers."""
        if self.rcpthosts is None:
            return True
        known = set(self.rcpthosts) | set(self.more)
        return any(part in known for part in _parts(domain))

    def prefix(self, domain: str) -> str | None:
        """Return the prefix that virtualdomains gives to a domain's mail; None when it is remote."""
        for part in [*_parts(domain), ""]:
            if part in self.virtual:
                return self.virtual[part] or None
        return None

    def routed(self, domain: str) -> bool:
        """Tell whether smtproutes says where a domain's mail goes."""
        return any(part in self.routes for part in [*_parts(domain), ""])

    def handled(self, prefix: str) -> bool:
        """Tell whether somebody has the mail that gets a prefix.

        qmail-lspawn looks into users/cdb; qmail-getpw then tries each dash as the end of an account's
        name, and leaves what is left to alias.
        """
        if self.assign is not None and self.assign.find(prefix + "-") is not None:
            return True
        pieces = prefix.lower().split("-")
        names = {"-".join(pieces[:count]) for count in range(1, len(pieces) + 1)}
        if names & set(self.accounts):
            return True
        wanted = {".qmail-default"}
        wanted.update(".qmail-{0}-default".format(name.replace(".", ":")) for name in names)
        one = ".qmail-{0}-".format(prefix.lower().replace(".", ":"))
        return any(name in wanted or name.startswith(one) for name in self.alias)


def read(
    host: Host,
    home: str = QMAIL_HOME,
    vpopmail_home: str = VPOPMAIL_HOME,
    owner: str = OWNER,
    group: str = GROUP,
    planned: Assign | None = None,
) -> Domains:
    """Read the files.

    Args:
        host: the host.
        home: where qmail is.
        vpopmail_home: where vpopmail is.
        owner: vpopmail's user, name or number.
        group: vpopmail's group, likewise.
        planned: what users/assign is about to say, and users/cdb with it.
    """
    control = home + "/control/"
    if not host.isdir(control):
        return Domains(home, False)
    me = control_lines(host, control + "me", False)
    local = control_lines(host, control + "locals")
    assign = planned or qmail_users.read(host, home)
    accounts = [
        line.split(":") for line in (host.read("/etc/passwd") or "").splitlines() if ":" in line
    ]
    listed, more, more_trouble = _more(host, control)
    places = sorted({entry.home for entry in assign.entries}) if assign else []
    top = vpopmail_home + "/domains"
    trouble = ""
    if assign is None and host.exists(home + "/" + qmail_users.CDB):
        trouble = "{0} is missing, and {1} is there".format(qmail_users.ASSIGN, qmail_users.CDB)
    elif assign is not None and planned is None:
        trouble = qmail_users.stale(host, home, assign)
    return Domains(
        home=home,
        present=True,
        me=me,
        # An empty file is none of them; without one, me is.
        locals=_lower(me if local is None else local) or (),
        virtual=_colon(control_lines(host, control + "virtualdomains")),
        rcpthosts=_lower(listed),
        more=more,
        more_text=host.exists(control + "morercpthosts"),
        more_trouble=more_trouble,
        routes=tuple(_colon(control_lines(host, control + "smtproutes"))),
        assign=assign,
        cdb_trouble=trouble,
        accounts=tuple(fields[0].lower() for fields in accounts),
        uids=frozenset(
            int(fields[2]) for fields in accounts if len(fields) > 2 and fields[2].isdigit()
        ),
        alias=tuple(name.lower() for name in host.listdir(home + "/alias")),
        homes={place: host.isdir(place) for place in places},
        vpopmail=top if host.isdir(top) else "",
        owner=(number_of(host, "/etc/passwd", owner), number_of(host, "/etc/group", group)),
        folders=dict(_folders(host, top)),
    )


def control_lines(host: Host, path: str, is_list: bool = True) -> tuple[str, ...] | None:
    """Return the lines of a control file as qmail reads them; None when there is no such file.

    Args:
        host: the host.
        path: the file.
        is_list: whether it is a list; otherwise its first line alone is returned.
    """
    data = host.read_bytes(path)
    if data is None:
        return None
    text = decode(data)
    return tuple(qmail_control.entries(text)) if is_list else (qmail_control.first_line(text),)


def _more(host: Host, control: str) -> tuple[tuple[str, ...] | None, tuple[str, ...], str]:
    """Return rcpthosts, what morercpthosts.cdb has, and what is wrong with the latter."""
    listed = control_lines(host, control + "rcpthosts")
    text = control_lines(host, control + "morercpthosts")
    data = host.read_bytes(control + "morercpthosts.cdb")
    if data is None:
        return listed, (), "it is missing, and morercpthosts is there" if text else ""
    try:
        made = tuple(decode(key) for key, _value in Cdb(data))
    except CdbError as error:
        return listed, (), "it is damaged: {0}".format(error)
    if text is None:
        return listed, made, "morercpthosts, which it is made of, is missing"
    missing = sorted(set(_lower(text) or ()) - set(made))
    gone = sorted(set(made) - set(_lower(text) or ()))
    trouble = ""
    if missing:
        trouble = "it lacks {0}".format(some(missing))
    elif gone:
        trouble = "it still has {0}".format(some(gone))
    return listed, made, trouble


def some(names: list[str], most: int = 5) -> str:
    """Return the first of many names, and how many more there are."""
    shown = ", ".join(qmail_users.printable(name) for name in names[:most])
    return shown + (" and {0} more".format(len(names) - most) if len(names) > most else "")


def _folders(host: Host, top: str, level: int = 1) -> list[tuple[str, str | None]]:
    """Return the directories of domains below a directory, each with its .qmail-default."""
    found: list[tuple[str, str | None]] = []
    for name in host.listdir(top):
        path = top + "/" + name
        if name.startswith(".") or not host.isdir(path):
            continue
        if len(name) == 1 and level < _LEVELS:
            found += _folders(host, path, level + 1)
        else:
            found.append((path, host.read(path + "/.qmail-default")))
    return found


def _lower(lines: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if lines is None else tuple(line.lower() for line in lines)


def _colon(lines: tuple[str, ...] | None) -> dict[str, str]:
    """Return what stands before and behind the first colon of each line that has one."""
    pairs = [line.partition(":") for line in lines or ()]
    return {before.lower(): behind for before, colon, behind in pairs if colon}


def _parts(domain: str) -> list[str]:
    """Return a domain and what it ends with, each from a dot on."""
    low = domain.lower()
    return [low] + [low[place:] for place in range(1, len(low)) if low[place] == "."]
