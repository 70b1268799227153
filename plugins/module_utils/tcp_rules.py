# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of ``tcpserver``: who may connect, and who may relay through qmail.

What an administrator wants becomes the text that ``tcprules`` compiles; a model of how ``tcpserver``
looks up an address says beforehand whom a rule reaches, and ``tcprulescheck`` has to agree. Formats:
https://cr.yp.to/ucspi-tcp/tcprules.html, https://cr.yp.to/ucspi-tcp/rblsmtpd.html and, for
RELAYCLIENT, qmail-smtpd(8).
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import tempfile
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.cdb import Cdb, CdbError
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
from ansible_collections.postmaster.mailhost.plugins.module_utils.qmail_users import (
    decode,
    printable,
)

ALLOW = "allow"
DENY = "deny"
RELAY = "relay"

#: What may be expected of an address.
EXPECTED = (RELAY, ALLOW, DENY)

#: No single rule lets more addresses relay than a /8 has.
_MOST_RELAYS = 1 << 24

# Addresses that tcprulescheck is asked about beside those that are named.
_SAMPLES = 60

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_FULL = re.compile(r"(?P<head>(?:{0}\.){{3}})(?P<first>{0})(?:-(?P<last>{0}))?".format(_OCTET))
_PREFIX = re.compile(
    r"(?P<head>(?:{0}\.){{0,2}})(?P<first>{0})(?:-(?P<last>{0}))?\.".format(_OCTET)
)
_HOST = re.compile(r"=[A-Za-z0-9._-]*")
_IDENT = re.compile(r"[^\s:@,\"]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POP_LINE = re.compile(r"([0-9.]+):allow(?:,[A-Za-z_]+=\"[^\"]*\")*\t\s*([0-9]+)")

#: Minutes for which vpopmail is usually built to let an address relay after POP.
WINDOW = 180

_HEAD = "# Written by postmaster.mailhost.tcprules.\n"


class TcpRulesError(Exception):
    """These rules cannot be used; the text is a sentence that names the rule."""


class Rule(NamedTuple):
    """One rule.

    Attributes:
        address: as ``tcprules`` takes it; empty for everybody.
        action: :data:`ALLOW` or :data:`DENY`.
        variables: name to value of what the server's environment gets.
    """

    address: str
    action: str
    variables: Mapping[str, str]

    @property
    def relays(self) -> bool:
        """Whether its clients may send to everywhere."""
        return self.action == ALLOW and "RELAYCLIENT" in self.variables

    @property
    def verdict(self) -> str:
        """One of :data:`EXPECTED`."""
        return RELAY if self.relays else self.action

    def line(self) -> str:
        """Return the rule as a line for ``tcprules``."""
        parts = [self.action]
        for name, value in self.variables.items():
            quote = next(mark for mark in "\"'/|+%~^!" if mark not in value)
            parts.append("{0}={1}{2}{1}".format(name, quote, value))
        return "{0}:{1}".format(self.address, ",".join(parts))


def address_form(text: str) -> str:
    """Return an address as ``tcprules`` takes it; a network becomes a prefix or a range.

    Args:
        text: an IPv4 address, network (``10.0.0.0/8``), prefix (``10.1.``) or range (``10.1-3.``,
            ``192.0.2.5-9``), a name (``=host``, ``=.suffix``), or a whole address or name behind
            ``user@``.

    Raises:
        TcpRulesError: it would never match, or not what it seems to; the text says why.
    """
    user, mark, place = text.rpartition("@")
    if mark and not _IDENT.fullmatch(user):
        raise _address_error(text, "what stands before @ holds a character that rules cannot hold")
    if mark and not re.fullmatch(r"{0}(?:\.{0}){{3}}|=[^.].*".format(_OCTET), place):
        raise _address_error(
            text, "behind user@ only a whole address or =host.example.org is looked up"
        )
    if "/" in place:
        return _network_form(text, place)
    if place.startswith("="):
        if not _HOST.fullmatch(place):
            raise _address_error(text, "behind = stands no name")
        return text
    if ":" in place:
        raise _address_error(
            text,
            "it is IPv6, and tcprules cannot parse it; tcpserver of ucspi-tcp takes IPv4 connections "
            "only",
        )
    found = _FULL.fullmatch(place) or _PREFIX.fullmatch(place)
    if not found:
        if _PREFIX.fullmatch(place + "."):
            raise _address_error(
                text, "without a dot at its end it matches nothing; {0}. is the prefix".format(text)
            )
        raise _address_error(text, "it would compile, and never match")
    if found.group("last") and int(found.group("first")) > int(found.group("last")):
        raise _address_error(text, "the range ends before it begins")
    return text


def _address_error(text: str, reason: str) -> TcpRulesError:
    return TcpRulesError(
        "address {0!r}: {1}; allowed: an IPv4 address, a network such as 10.0.0.0/8, a prefix such as "
        "10.1., a range such as 192.0.2.5-9 or 10.1-3., =host.example.org and =.example.org".format(
            text, reason
        )
    )


def _network_form(text: str, place: str) -> str:
    # tcprules would take 10.0.0.0/8 as a name that no client has.
    try:
        network = ipaddress.ip_network(place)
    except ValueError as error:
        try:
            near = ipaddress.ip_network(place, strict=False)
        except ValueError:
            raise _address_error(text, str(error)) from error
        raise _address_error(text, "the network is {0}".format(near)) from error
    if network.version == 6:
        raise _address_error(text, "it is IPv6, which tcpserver of ucspi-tcp does not speak")
    if network.prefixlen == 0:
        raise _address_error(text, "it is everybody; that is what default is for")
    octets = str(network.network_address).split(".")
    whole, rest = divmod(network.prefixlen, 8)
    kept = octets[:whole]
    if rest:
        first = int(octets[whole])
        kept.append("{0}-{1}".format(first, first + (1 << (8 - rest)) - 1))
    return ".".join(kept) + ("." if len(kept) < 4 else "")


def keys(address: str) -> list[str]:
    """Return what a rule's address stands for in the compiled file: a range is one key each."""
    found = _FULL.fullmatch(address.rpartition("@")[2]) or _PREFIX.fullmatch(
        address.rpartition("@")[2]
    )
    if not found or not found.group("last"):
        return [address]
    head = address[: len(address) - len(found.group(0))] + found.group("head")
    tail = "." if address.endswith(".") else ""
    return [
        "{0}{1}{2}".format(head, number, tail)
        for number in range(int(found.group("first")), int(found.group("last")) + 1)
    ]


def rules_of(
    entries: Sequence[Mapping[str, Any]], default: str, default_variables: Mapping[str, Any]
) -> list[Rule]:
    """Return the rules that a task asks for, the one for everybody last.

    Args:
        entries: each with ``addresses``, ``action``, ``relay`` and ``variables``.
        default: action for everybody else.
        default_variables: their variables.

    Raises:
        TcpRulesError: a rule cannot be used; the text names it.
    """
    rules = []
    for entry in entries:
        if not entry.get("addresses"):
            raise TcpRulesError("rules: an entry names no addresses; default is for everybody")
        variables = _variables(", ".join(entry["addresses"]), entry.get("variables") or {})
        action = entry.get("action") or ALLOW
        if entry.get("relay"):
            if action != ALLOW:
                raise TcpRulesError(
                    "rules: {0}: relay is true and action is {1}; allowed: relay with action "
                    "allow".format(", ".join(entry["addresses"]), action)
                )
            variables = {"RELAYCLIENT": "", **variables}
        rules += [Rule(address_form(text), action, variables) for text in entry["addresses"]]
    # Of two rules for the same address the first counts: an exception stands before its range.
    rules.sort(key=lambda rule: len(keys(rule.address)))
    rules.append(Rule("", default, _variables("default", default_variables)))
    need_sound(rules)
    return rules


def _variables(where: str, given: Mapping[str, Any]) -> dict[str, str]:
    variables = {}
    for name, value in given.items():
        if not _VARIABLE.fullmatch(name):
            raise TcpRulesError(
                "{0}: {1!r} is no name of a variable; allowed: letters, digits and _".format(
                    where, name
                )
            )
        if isinstance(value, (bool, dict, list)) or value is None:
            raise TcpRulesError(
                "{0}: {1} is {2!r}; allowed: a text or a number".format(where, name, value)
            )
        text = str(value)
        if re.search(r"[\x00-\x1f\x7f]", text) or all(mark in text for mark in "\"'/|+%~^!"):
            raise TcpRulesError(
                "{0}: {1} is {2!r}; allowed: a text of one line in which not each of the marks "
                "\"'/|+%~^! stands".format(where, name, text)
            )
        variables[name] = text
    return variables


def need_sound(rules: Iterable[Rule]) -> None:
    """Refuse rules that mean something else than they say, or that make an open relay.

    Raises:
        TcpRulesError: the text names the rule and says what it would do.
    """
    seen: dict[str, Rule] = {}
    for rule in rules:
        where = rule.address or "default"
        relay = rule.variables.get("RELAYCLIENT")
        if relay and not re.fullmatch(r"@[A-Za-z0-9.-]+", relay):
            raise TcpRulesError(
                "{0}: RELAYCLIENT is {1!r}; allowed: the empty text. qmail-smtpd appends the value to "
                "every recipient's address; @host is the one other value with a use".format(
                    where, relay
                )
            )
        block = rule.variables.get("RBLSMTPD")
        if block and not block.strip(" -"):
            raise TcpRulesError(
                "{0}: RBLSMTPD is {1!r}; allowed: the empty text, which frees from blocklists, or the "
                "words that a client is refused with. Blanks refuse it as well".format(where, block)
            )
        if block and rule.relays:
            raise TcpRulesError(
                "{0}: it may relay, and RBLSMTPD refuses it; allowed: one of the two".format(where)
            )
        if rule.relays and _size(rule.address) > _MOST_RELAYS:
            raise TcpRulesError(
                "{0}: RELAYCLIENT would make an open relay; allowed: for at most a /8 in one "
                "rule".format("everybody (default)" if not rule.address else where)
            )
        mine = keys(rule.address)
        for key in mine:
            if key in seen and not set(keys(seen[key].address)) < set(mine):
                raise TcpRulesError(
                    "{0} is in two rules, {1} and {2}; tcprules would take the first".format(
                        key or "default", seen[key].line(), rule.line()
                    )
                )
            seen.setdefault(key, rule)


def _size(address: str) -> int:
    """Return how many addresses a rule reaches."""
    place = address.rpartition("@")[2]
    # All names of a top level domain are as good as everybody.
    if place in ("", "=") or (place.startswith("=.") and "." not in place[2:].rstrip(".")):
        return 1 << 32
    found = _PREFIX.fullmatch(place)
    if not found:
        return 1
    return len(keys(place)) << (8 * (3 - found.group("head").count(".")))


def notes(rules: Sequence[Rule]) -> list[str]:
    """Return what is allowed and may surprise: a sentence each."""
    table = _table(rules)
    named: dict[str, list[Rule]] = {}
    for rule in rules:
        for key in keys(rule.address):
            named.setdefault(key, []).append(rule)
    found = []
    for rule in rules:
        _user, mark, place = rule.address.rpartition("@")
        if rule.relays and mark:
            found.append(
                "{0}: the user's name comes from the client's own machine (ident)".format(
                    rule.address
                )
            )
        if rule.relays and place.startswith("="):
            found.append(
                "{0}: a client's name comes from its reverse DNS; it is checked only when tcpserver runs "
                "with -p".format(rule.address)
            )
        for key in keys(rule.address):
            # A wider range of the same length comes behind it, and has the key as well.
            wider = next((other for other in named[key] if other is not rule), _wider(table, key))
            if wider is not None and wider.relays and rule.action == ALLOW and not rule.relays:
                found.append(
                    "{0} has a rule of its own, so it gets no RELAYCLIENT from {1}".format(
                        key, wider.address
                    )
                )
    return found


def _table(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return the rule of each key."""
    table: dict[str, Rule] = {}
    for rule in rules:
        for key in keys(rule.address):
            table.setdefault(key, rule)
    return table


def _wider(table: Mapping[str, Rule], key: str) -> Rule | None:
    """Return the rule that an IPv4 key would fall to if it had none, other than that for everybody."""
    place = key.rstrip(".")
    while "." in place:
        place = place.rpartition(".")[0]
        if place + "." in table:
            return table[place + "."]
    return None


def decide(rules: Sequence[Rule], address: str) -> Rule:
    """Return the rule that ``tcpserver`` follows for a client of which only the address is known.

    Args:
        rules: all of them; of two for the same address the first counts.
        address: IPv4 address.
    """
    table = _table(rules)
    if address in table:
        return table[address]
    return _wider(table, address) or table.get("", Rule("", ALLOW, {}))


def need_expected(rules: Sequence[Rule], expected: Mapping[str, str]) -> None:
    """Refuse rules that treat an address otherwise than expected.

    Args:
        rules: all of them.
        expected: IPv4 address to one of :data:`EXPECTED`.

    Raises:
        TcpRulesError: the text names the address and the rule that it falls to.
    """
    for address, wanted in expected.items():
        if not re.fullmatch(r"{0}(\.{0}){{3}}".format(_OCTET), address):
            raise TcpRulesError(
                "expect: {0!r} is no address; allowed: IPv4 addresses".format(address)
            )
        if wanted not in EXPECTED:
            raise TcpRulesError(
                "expect: {0} is {1!r}; allowed: {2}".format(address, wanted, ", ".join(EXPECTED))
            )
        rule = decide(rules, address)
        if rule.verdict != wanted:
            raise TcpRulesError(
                "expect: {0} is to be {1}, and the rule {2} says {3}".format(
                    address, wanted, rule.line(), rule.verdict
                )
            )


def document(rules: Iterable[Rule]) -> str:
    """Return the text of a file of rules."""
    return _HEAD + "".join(rule.line() + "\n" for rule in rules)


def parse(text: str) -> list[Rule]:
    """Return the rules of a file as they are written there.

    Raises:
        TcpRulesError: a line is not what ``tcprules`` takes, or is taken for something else.
    """
    rules = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip(" \t")
        if not line or line.startswith("#"):
            continue
        where = "line {0}, {1!r}".format(number, line)
        address, colon, rest = line.partition(":")
        if not colon:
            raise TcpRulesError(
                "{0}: without a colon, tcprules passes it by without a word".format(where)
            )
        action = next((word for word in (ALLOW, DENY) if rest.startswith(word)), "")
        if not action:
            hint = "; tcpserver speaks IPv4 only" if ":" in rest else ""
            raise TcpRulesError(
                "{0}: behind the colon stands neither allow nor deny{1}".format(where, hint)
            )
        if address and address_form(address) != address:
            raise TcpRulesError(
                "{0}: it never matches; write {1} instead".format(where, address_form(address))
            )
        rules.append(Rule(address, action, _read_variables(where, rest[len(action) :])))
    return rules


def _read_variables(where: str, text: str) -> dict[str, str]:
    variables: dict[str, str] = {}
    while text:
        name, mark, rest = text[1:].partition("=")
        quote = rest[:1]
        end = rest.find(quote, 1) if quote else -1
        if not text.startswith(",") or not mark or not _VARIABLE.fullmatch(name) or end < 0:
            raise TcpRulesError('{0}: {1!r} is not of the form ,NAME="value"'.format(where, text))
        variables[name] = rest[1:end]
        text = rest[end + 1 :]
    return variables


def pop_rules(text: str, since: float = 0) -> str:
    """Return the rules that POP-before-SMTP adds, from vpopmail's ``open-smtp``.

    Its lines are rules with a time behind them, which ``tcprules`` cannot parse; vpopmail puts them
    behind its own rules without it. Lines of another form are left out.

    Args:
        text: the file.
        since: seconds since 1970; what is older is left out.
    """
    found = [(_POP_LINE.fullmatch(line), line) for line in text.splitlines()]
    return "".join(
        line.partition("\t")[0] + "\n"
        for match, line in found
        if match and int(match.group(2)) >= since
    )


def _pop_in_force(host: Host, cdb: str, text: str, pop: str) -> bool:
    """Tell whether the rules in force are those that vpopmail makes with its ``open-smtp``.

    Args:
        host: the host.
        cdb: the compiled rules.
        text: the rules without it, as they are on the host.
        pop: those of open-smtp, see :func:`pop_rules`.
    """
    own = {key for line in text.splitlines() for key in keys(line.partition(":")[0])}
    try:
        made = {key.decode("latin-1") for key, _value in Cdb(host.read_bytes(cdb) or b"")}
    except CdbError:
        return False
    return bool({line.partition(":")[0] for line in pop.splitlines()} - own & made)


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and the work come from it alone.

    Attributes:
        source: the rules as text; None when only what is there is compiled.
        compiled: the compiled rules.
        rules: the rules.
        checked: number of addresses that ``tcprulescheck`` was asked about.
    """

    source: file_write.Change | None
    compiled: file_write.Change
    rules: Sequence[Rule]
    checked: int

    @property
    def changes(self) -> list[file_write.Change]:
        """The files that differ."""
        return [item for item in (self.source, self.compiled) if item is not None and item.changed]


def plan(
    host: Host,
    path: str,
    cdb: str,
    rules: Sequence[Rule] | None,
    expected: Mapping[str, str],
    open_smtp: str = "",
    window: int = WINDOW,
) -> Plan:
    """Compare the rules in force with those wanted, compiled and tried out.

    Args:
        host: the host.
        path: the rules as text.
        cdb: the compiled rules.
        rules: what is wanted, see :func:`rules_of`; None for what stands in the text.
        expected: see :func:`need_expected`.
        open_smtp: vpopmail's file of POP-before-SMTP, whose entries are compiled as well where the
            compiled rules have one already, as vpopmail may serve other rules; empty when there is none.
        window: minutes for which an address may relay after POP; entries of twice that age are left
            out.

    Raises:
        TcpRulesError: they cannot be used, or compiled; nothing was changed.
        file_write.FileWriteError: a file cannot be read.
    """
    if window < 1:
        raise TcpRulesError("window_minutes is {0}; allowed: 1 or more".format(window))
    path, cdb = host.realpath(path), host.realpath(cdb)
    if path == cdb:
        raise TcpRulesError(
            "cdb is {0!r}, as path is; allowed: another file, for the compiled rules".format(cdb)
        )
    for place in (path, cdb):
        if not host.isdir(os.path.dirname(place)):
            raise TcpRulesError(
                "{0}: its directory does not exist; allowed: a place that tcpserver -x was told "
                "of".format(place)
            )
    source = None
    present = _text(host, path)
    if rules is None:
        if present is None:
            raise TcpRulesError("{0} does not exist, and no rules are given".format(path))
        text = present
        try:
            rules = parse(text)
            need_sound(rules)
        except TcpRulesError as error:
            raise TcpRulesError("{0}: {1}".format(path, error)) from error
    else:
        text = document(rules)
        # Comments and blank lines of an administrator stay while the rules are the same.
        if present is None or not _same(present, rules):
            source = file_write.plan(host, path, text.encode("utf-8"), _mode(host, path))
        else:
            text = present
    need_expected(rules, expected)
    pop = ""
    if open_smtp:
        pop = pop_rules(_text(host, open_smtp) or "", host.now() - 2 * 60 * window)
        if not _pop_in_force(host, cdb, present or "", pop):
            pop = ""
    if text and not text.endswith("\n"):
        text += "\n"
    # Whoever logged in by POP may relay though no rule of ours says so.
    free = {line.partition(":")[0] for line in pop.splitlines()}
    asked = [item for item in dict.fromkeys([*expected, *samples(rules)]) if item not in free]
    data = _compile(host, text + pop, rules, asked)
    compiled = file_write.plan(host, cdb, data, _mode(host, cdb))
    return Plan(source, compiled, rules, len(asked))


def _text(host: Host, path: str) -> str | None:
    """Return a file whose bytes stay what they are, whatever a comment in it is written in."""
    data = host.read_bytes(path)
    return None if data is None else decode(data)


def _same(text: str, rules: Sequence[Rule]) -> bool:
    try:
        return parse(text) == list(rules)
    except TcpRulesError:
        return False


def _mode(host: Host, path: str) -> int:
    status = host.stat(path)
    return 0o644 if status is None else status.st_mode & 0o7777


def _compile(host: Host, text: str, rules: Sequence[Rule], asked: Sequence[str]) -> bytes:
    """Compile rules in a folder of their own, and ask ``tcprulescheck`` what they do there."""
    for program in ("tcprules", "tcprulescheck"):
        if host.which(program) is None:
            raise TcpRulesError(
                "there is no program {0}; it is part of ucspi-tcp, as tcpserver is".format(program)
            )
    folder = tempfile.mkdtemp(prefix="mailhost-tcprules-")
    try:
        made = os.path.join(folder, "cdb")
        answer = host.run(["tcprules", made, made + ".tmp"], input=text)
        if answer.rc != 0:
            raise TcpRulesError("tcprules refuses the rules: {0}".format(answer.stderr.strip()))
        for address in asked:
            rule = decide(rules, address)
            said = _said(host, made, address)
            if said != rule.verdict:
                raise TcpRulesError(
                    "tcprulescheck says {0} of {1}, and the rule {2} means {3}".format(
                        said, address, rule.line(), rule.verdict
                    )
                )
        with open(made, "rb") as stream:
            return stream.read()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def samples(rules: Sequence[Rule]) -> list[str]:
    """Return an address for each rule that has one, of few rules for many, to be asked about."""
    found = []
    for rule in rules:
        if "@" in rule.address or rule.address.startswith("="):
            continue
        octets = keys(rule.address)[-1].strip(".").split(".") if rule.address else ["198", "51"]
        found.append(".".join((octets + ["7", "7", "7"])[:4]))
    return found[-_SAMPLES:]


def _said(host: Host, cdb: str, address: str) -> str:
    answer = host.run(["tcprulescheck", cdb], env={"TCPREMOTEIP": address})
    lines = answer.stdout.splitlines()
    if "deny connection" in lines:
        return DENY
    if "allow connection" not in lines:
        raise TcpRulesError(
            "tcprulescheck does not answer: {0}".format((answer.stderr or answer.stdout).strip())
        )
    relays = any(line.startswith("set environment variable RELAYCLIENT=") for line in lines)
    return RELAY if relays else ALLOW


def carry_out(host: Host, planned: Plan) -> list[str]:
    """Write the files, both or none.

    Returns:
        list[str]: paths of the backups.

    Raises:
        file_write.FileWriteError: a file cannot be written; both are as they were.
    """
    copies = file_write.replace_all(
        [
            file_write.Replacement(file_write.place(host, item.path), item.after, item.mode)
            for item in planned.changes
        ],
        backup=True,
    )
    return [path for path in copies if path]


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    diffs = []
    for item in planned.changes:
        shown = item.diff()
        if item is planned.compiled:
            # Not made to be read; the text of the rules says it.
            shown["before"] = "" if item.before is None else "other rules in force\n"
            shown["after"] = "compiled from the rules\n"
        diffs.append(shown)
    return {
        "changed": bool(planned.changes),
        "files": [item.path for item in planned.changes],
        "rules": [printable(rule.line()) for rule in planned.rules],
        "checked": planned.checked,
        "notes": notes(planned.rules),
        "diff": diffs,
    }
