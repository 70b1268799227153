# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that the host gives itself: other mail servers see them, and judge by them."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.postmaster.mailhost.plugins.module_utils import service_units
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

_HOSTS = "/etc/hosts"
_MAILNAME = "/etc/mailname"
_QMAIL = "/var/qmail"

# Debian's address for the own name of a host without a static one.
_DEBIAN_OWN = "127.0.1.1"

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")

# An entry of a Postfix list that is looked up elsewhere: a table or a file.
_TABLE = re.compile(r"[a-z]+:|/")

_POSTFIX = (
    "myhostname",
    "myorigin",
    "smtp_helo_name",
    "inet_interfaces",
    "smtp_bind_address",
    "smtp_bind_address6",
    "virtual_alias_domains",
    "virtual_mailbox_domains",
)


def _entries(host: Host) -> list[tuple[str, list[str]]]:
    """Return address and names of each line of /etc/hosts.

    Raises:
        HostError: when it cannot be read.
    """
    text = host.read(_HOSTS)
    if text is None:
        if host.exists(_HOSTS) or not host.isdir("/etc"):
            raise HostError("cannot read {0}".format(_HOSTS))
        return []
    rows = [line.partition("#")[0].split() for line in text.splitlines()]
    return [(row[0], row[1:]) for row in rows if len(row) > 1]


def _name(host: Host) -> str:
    """Return the kernel's name of the host; empty when it has none."""
    text = host.read("/proc/sys/kernel/hostname") or host.read("/etc/hostname") or ""
    name = text.strip()
    return "" if name == "(none)" else name


def _full_name(host: Host) -> str:
    """Return the host's name as programs find it, with its domain where there is one.

    Raises:
        HostError: when the host has no name.
    """
    return host.once(_find_full_name)


def _find_full_name(host: Host) -> str:
    name = _name(host)
    if not name:
        raise HostError("the host has no name")
    for _address, names in _entries(host):
        if name.lower() in [item.lower() for item in names]:
            return names[0]
    if "." in name:
        return name
    # Not in /etc/hosts: the name may still be in the DNS, along the search list.
    result = host.run(["hostname", "-f"], timeout=3)
    return (result.stdout.strip() if result.rc == 0 else "") or name


def _trouble(name: str) -> str:
    """Return why a name is none that the world could know a mail server by; empty when it is one."""
    first, dot, _rest = name.partition(".")
    if first.lower() == "localhost" or name.lower().endswith(".localdomain"):
        return "stands for every host"
    if not dot:
        return "has no domain"
    if len(name) > 253 or not all(_LABEL.match(label) for label in name.split(".")):
        return "is no valid host name (letters, digits and '-')"
    if name.rpartition(".")[2].isdigit():
        return "is an address or ends like one"
    return ""


def hostname(host: Host, need: Need) -> list[Finding]:
    """Look at the host's own name, with its domain, as ``hostname -f`` finds it.

    A name without a domain, ``localhost``, capitals, characters that no host name has, and another
    name than the one that the preflight was told are a ``warn``: containers have names of their
    own, but programs of the host show this one to the world.
    """
    required = need.hostname or "a fully qualified name, in small letters"
    name = _full_name(host)
    trouble = _trouble(name)
    if not trouble and name != name.lower():
        trouble = "has capitals"
    if not trouble and need.hostname and name != need.hostname.lower():
        trouble = "is another name"
    if not trouble:
        return [answer(OK, name, required)]
    wanted = need.hostname or "mail.example.org"
    command = "hostnamectl set-hostname " + wanted
    if not host.which("hostnamectl"):
        command = "echo {0} > /etc/hostname; hostname {0}".format(wanted)
    fix = "Set it: {0}. Name it in {1} too, the full name first.".format(command, _HOSTS)
    if not need.hostname:
        fix = fix.replace("Set it", "Set the server's name, such as mail.example.org", 1)
    return [answer(WARN, "{0} {1}".format(name, trouble), required, fix)]


def hosts_file(host: Host, need: Need) -> list[Finding]:
    """Look at what ``/etc/hosts`` says of ``localhost`` and of the host's own name.

    ``localhost`` that is missing (and not served by nss-myhostname) or leads elsewhere than to the
    host itself is a ``fail``: services do not find each other. The own name at 127.0.0.1 or ::1, or
    at an address that the host does not have, is a ``warn``. Debian's 127.0.1.1 is ``ok``.
    """
    required = "localhost at 127.0.0.1, and the own name at an address of the host"
    entries = _entries(host)
    local = [address for address, names in entries if "localhost" in names]
    away = [address for address in local if not _is_loopback(address)]
    if away:
        return [
            answer(
                FAIL,
                "localhost is at " + ", ".join(away),
                required,
                "Remove localhost from the line of {0} in {1}.".format(away[0], _HOSTS),
            )
        ]
    findings = []
    # glibc has no localhost of its own; this one answers for it, and for the host's name.
    own_answer = "myhostname" in (host.read("/etc/nsswitch.conf") or "").split()
    if not any("." in address for address in local) and not own_answer:
        findings.append(
            answer(
                FAIL,
                "no IPv4 address for localhost",
                required,
                "Add the line to {0}: 127.0.0.1 localhost.".format(_HOSTS),
            )
        )
    try:
        own = [need.hostname or _full_name(host), _name(host)]
    except HostError:
        own = []
    # A host that is called localhost is the matter of identity.hostname: its lines are as they must.
    own = [name for name in own if name and name.partition(".")[0].lower() != "localhost"]
    wanted = {name.lower() for name in own}
    places = [address for address, names in entries if wanted & {name.lower() for name in names}]
    name = own[0] if own else ""
    shadowed = [place for place in places if _is_loopback(place) and place != _DEBIAN_OWN]
    if shadowed:
        findings.append(
            answer(
                WARN,
                "{0} is at {1}".format(name, ", ".join(shadowed)),
                required,
                "Put it on a line of its own in {0}, with the server's address: {1} {2}.".format(
                    _HOSTS,
                    need.public_ipv4 or "ADDRESS",
                    " ".join(dict.fromkeys((name, name.partition(".")[0]))),
                ),
            )
        )
    known = _addresses(host)
    known |= {need.public_ipv4, _plain(need.public_ipv6)} if known else set()
    strange = [
        place
        for place in places
        if not _is_loopback(place) and known and _plain(place) not in known
    ]
    if strange:
        findings.append(
            answer(
                WARN,
                "{0} is at {1}, which is no address of this host".format(name, ", ".join(strange)),
                required,
                "Correct the line of {0} in {1}.".format(strange[0], _HOSTS),
            )
        )
    if findings:
        return findings
    if not places:
        return [answer(OK, "localhost; the own name is not in it", required)]
    remark = ", as Debian writes it" if _DEBIAN_OWN in places else ""
    return [answer(OK, "{0} at {1}{2}".format(name, ", ".join(places), remark), required)]


def _plain(text: str) -> str:
    """Return an address in its usual form; empty when it is none."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return ""


def _is_loopback(text: str) -> bool:
    plain = _plain(text)
    return bool(plain) and ipaddress.ip_address(plain).is_loopback


def _addresses(host: Host) -> set[str]:
    """Return the host's addresses; none when the kernel does not show them."""
    found = set()
    address = ""
    # Each leaf of the routing trie is an address, followed by what it is.
    for line in (host.read("/proc/net/fib_trie") or "").splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            address = words[1]
        elif "LOCAL" in words and "host" in words:
            found.add(address)
    for line in (host.read("/proc/net/if_inet6") or "").splitlines():
        raw = line.split()[0]
        found.add(str(ipaddress.IPv6Address(bytes.fromhex(raw))))
    return found


def mailname(host: Host, need: Need) -> list[Finding]:
    """Look at ``/etc/mailname``, which Debian's mail programs complete addresses with.

    A name without a domain, ``localhost`` and an empty file are a ``warn``: mail of the host's own
    programs comes from addresses that nobody can answer. Without the file: ``skip``.
    """
    required = "a domain that receives mail"
    text = host.read(_MAILNAME)
    if text is None:
        if host.exists(_MAILNAME):
            return [answer(UNKNOWN, "cannot read " + _MAILNAME, required, "Run the check as root.")]
        return [answer(SKIP, "there is no " + _MAILNAME, required, "Nothing to do.")]
    name = text.strip().partition("\n")[0].strip()
    trouble = _trouble(name) if name else "it is empty"
    if not trouble:
        return [answer(OK, name, required)]
    return [
        answer(
            WARN,
            "{0} {1}".format(name, trouble).strip(),
            required,
            "Write the domain into it: echo {0} > {1}.".format(
                need.hostname or "example.org", _MAILNAME
            ),
        )
    ]


def postfix(host: Host, need: Need) -> list[Finding]:
    """Look at the names and addresses of a Postfix that runs on the host itself.

    A ``warn`` each: a ``myhostname``, ``smtp_helo_name`` or ``myorigin`` without a domain or called
    localhost; a ``myhostname`` that is a virtual domain too; ``inet_interfaces`` with one outside
    address per family, which also decides what address mail is sent from and closes 127.0.0.1, where
    ``smtp_bind_address`` is meant for it. Where no Postfix runs: ``skip``.
    """
    required = "fully qualified names, as mail servers see them"
    if not host.which("postconf"):
        return [answer(SKIP, "Postfix is not installed", required, "Nothing to do.")]
    unit = service_units.states(host)["postfix.service"]
    if not unit.starts:
        return [answer(SKIP, "Postfix does not run", required, "Nothing to do.")]
    result = host.run(["postconf", "-x", *_POSTFIX], timeout=5)
    values = {
        name.strip(): value.strip()
        for name, _equals, value in (line.partition("=") for line in result.stdout.splitlines())
    }
    if result.rc != 0 or "myhostname" not in values:
        reason = result.stderr.strip().partition("\n")[0] or "no values"
        return [
            answer(
                UNKNOWN,
                "postconf does not answer: " + reason,
                required,
                "Repair the configuration: postfix check.",
            )
        ]
    if values.get("myorigin", "").startswith("/"):
        text = host.read(values["myorigin"]) or ""
        values["myorigin"] = text.strip().partition("\n")[0].strip()
    findings = []
    for name in ("myhostname", "smtp_helo_name", "myorigin"):
        value = values.get(name, "")
        trouble = _trouble(value) if value else "is empty"
        # What follows from myhostname is told once.
        if trouble and (name == "myhostname" or value != values["myhostname"]):
            findings.append(
                answer(
                    WARN,
                    "{0} = {1} {2}".format(name, value, trouble),
                    required,
                    "Set it: postconf -e '{0} = {1}'; systemctl reload postfix.".format(
                        name, need.hostname or "mail.example.org"
                    ),
                )
            )
    for name in ("virtual_alias_domains", "virtual_mailbox_domains"):
        domains = [item for item in _list(values.get(name, "")) if not _TABLE.match(item)]
        if values["myhostname"] in domains:
            findings.append(
                answer(
                    WARN,
                    "myhostname {0} is in {1} too".format(values["myhostname"], name),
                    required,
                    "Give the server a name that is no mail domain, or take it out of {0}.".format(
                        name
                    ),
                )
            )
    pinned = _pinned(values)
    if pinned:
        findings.append(
            answer(
                WARN,
                "inet_interfaces = {0}: mail leaves from {1} as a side effect, and nothing listens "
                "on 127.0.0.1".format(values["inet_interfaces"], " and ".join(pinned)),
                "inet_interfaces = all, and smtp_bind_address for the address to send from",
                "Say so: postconf -e 'inet_interfaces = all' {0}; systemctl restart "
                "postfix.".format(
                    " ".join(
                        "'smtp_bind_address{0} = {1}'".format("6" if ":" in item else "", item)
                        for item in pinned
                    )
                ),
            )
        )
    return findings or [answer(OK, "myhostname = " + values["myhostname"], required)]


def _list(text: str) -> list[str]:
    return [item for item in re.split(r"[\s,]+", text) if item]


def _pinned(values: dict[str, str]) -> list[str]:
    """Return the addresses that mail is sent from only because inet_interfaces names nothing else.

    One address of a family, and none of the loopback interface, binds outgoing connections of that
    family (postconf(5), smtp_bind_address).
    """
    addresses = [item.strip("[]") for item in _list(values.get("inet_interfaces", ""))]
    found = [item for item in addresses if _plain(item)]
    if len(found) != len(addresses) or any(_is_loopback(item) for item in found):
        return []
    pinned = []
    for setting, colon in (("smtp_bind_address", False), ("smtp_bind_address6", True)):
        family = [item for item in found if (":" in item) == colon]
        if len(family) == 1 and not values.get(setting):
            pinned += family
    return pinned


def qmail(host: Host, need: Need) -> list[Finding]:
    """Look at the names in ``/var/qmail/control`` of a qmail on the host itself.

    ``me``, which every part of qmail needs, and ``helohost``, which remote servers are greeted with
    (``me`` where it is absent), must be fully qualified: else ``warn``. Without qmail: ``skip``.
    """
    required = "control/me and control/helohost with fully qualified names"
    if not host.isdir(_QMAIL):
        return [answer(SKIP, "qmail is not installed", required, "Nothing to do.")]
    findings = []
    names = []
    for name in ("me", "helohost"):
        path = "{0}/control/{1}".format(_QMAIL, name)
        text = host.read(path)
        if text is None and host.exists(path):
            findings.append(
                answer(UNKNOWN, "cannot read " + path, required, "Run the check as root.")
            )
            continue
        if text is None and name == "helohost":
            continue
        # Only the first line counts, without the blanks at its end.
        value = (text or "").partition("\n")[0].rstrip()
        trouble = _trouble(value) if value else "is missing" if text is None else "is empty"
        if trouble:
            findings.append(
                answer(
                    WARN,
                    "{0} {1}".format("{0}: {1}".format(path, value) if value else path, trouble),
                    required,
                    "Write the name into it: echo {0} > {1}.".format(
                        need.hostname or "mail.example.org", path
                    ),
                )
            )
        else:
            names.append("{0} {1}".format(name, value))
    return findings or [answer(OK, ", ".join(names), required)]


LOOK = (
    (
        "identity.hostname",
        "Host name",
        "https://www.freedesktop.org/software/systemd/man/latest/hostname.html",
        hostname,
    ),
    (
        "identity.hosts_file",
        "Names in /etc/hosts",
        "https://www.debian.org/doc/manuals/debian-reference/ch05.en.html",
        hosts_file,
    ),
    (
        "identity.mailname",
        "Mail name",
        "https://www.debian.org/doc/debian-policy/ch-customized-programs.html",
        mailname,
    ),
    ("identity.postfix", "Names of Postfix", "https://www.postfix.org/postconf.5.html", postfix),
    (
        "identity.qmail",
        "Names of qmail",
        "https://www.qmail.org/man/man5/qmail-control.html",
        qmail,
    ),
)
