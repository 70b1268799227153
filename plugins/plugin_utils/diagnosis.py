# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why mail does not arrive: one cause of what many checks found, the worst first.

A blocked port is seen by the log, by the queue, and by whoever tries it. :data:`LINKS` says which
finding explains which others; what is explained hangs under its cause, and only causes are reported.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import delivery_reason, mail_log
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import catalogue
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
)

HEALTHY = "healthy"
WATCH = "watch"
ILL = "ill"
VERDICTS = {FAIL: ILL, WARN: WATCH, UNKNOWN: UNKNOWN, OK: HEALTHY, SKIP: UNKNOWN}

#: Every status, worst first. What is known to be wrong comes before what could not be looked at.
ORDER = (FAIL, WARN, UNKNOWN, OK, SKIP)
_TROUBLE = (FAIL, WARN, UNKNOWN)
_CERTAIN = (FAIL,)
_UNSEEN = (UNKNOWN,)
#: What may stay unknown on a healthy server: single lists that refuse to answer, and protocols that
#: the controller does not speak itself.
_MAY_BE_UNKNOWN = ("blocklist.zones", "tls.protocol")

ACCEPTED = " (accepted by name)"

#: Checks of the preflight that say something about a server that runs.
PREFLIGHT = (
    "platform.kernel_modules",
    "clock.synchronised",
    "clock.offset",
    "network.mtu",
    "resolver.answers",
    "resolver.dnssec",
    "services.mail_servers",
    "ports.public",
    "engine.daemon",
    "engine.compose",
    "engine.api",
    "engine.configuration",
    "engine.iptables",
    "engine.userland_proxy",
    "engine.ipv6_relay",
    "firewall.services",
    "firewall.input_rules",
    "firewall.kernel_modules",
    "egress.dns",
    "egress.smtp",
)

#: Subjects that are looked at by modules without a list of checks in the catalogue.
OTHERS = {
    "fail2ban": (
        "fail2ban.service",
        "fail2ban.version",
        "fail2ban.jail",
        "fail2ban.kernel",
        "fail2ban.log",
        "fail2ban.ignored",
    )
}


class Told(NamedTuple):
    """A finding by its id (shell pattern), words (regular expression) that it must have, statuses."""

    id: str
    words: str = ""
    statuses: tuple[str, ...] = _TROUBLE

    def matches(self, finding: Mapping[str, Any]) -> bool:
        """Return whether a finding is meant.

        Mail that anybody may send, and what another server says, are meant only where they are named:
        no trouble of a port opens a relay.
        """
        name = finding["id"]
        # What was accepted was a failure.
        status = FAIL if finding["observed"].endswith(ACCEPTED) else finding["status"]
        alone = name == "smtp.destination" or (name == "smtp.relay" and status != UNKNOWN)
        return (
            status in self.statuses
            and fnmatch.fnmatchcase(name, self.id)
            and (self.id == name or not alone)
            and bool(re.search(self.words, finding["observed"], re.IGNORECASE))
        )


class Link(NamedTuple):
    """What explains what.

    Attributes:
        causes: the first of them that is found is the cause. That explains another one of them
            only where it is in ``seen`` too.
        seen: what follows from it.
        title: what the cause is called then; empty for the check's own title.
        same_service: whether what follows must be about a service that the cause names; all causes
            that are found count then.
        services: what the names of all services have (a regular expression) that a container's
            trouble may be about to follow from it.
        unless: what shows that it is not so.
    """

    causes: tuple[Told, ...]
    seen: tuple[Told, ...]
    title: str = ""
    same_service: bool = False
    services: str = ""
    unless: tuple[Told, ...] = ()


_TIMED_OUT = r"timed? ?out|timeout|no answer in time|4\.4\.1|blocked25"
_NO_WAY = _TIMED_OUT + r"|no answer|unreachable|no route"
_NO_SPACE = r"no space left|insufficient system storage|4\.3\.1|disk|queue file write"
# What another server says of its own disk comes behind these words.
_NO_SPACE_HERE = r"^(?!.*\bsaid: ).*(?:no space left|insufficient system storage|queue file write)"
_NO_MODULE = r"modprobe|kernel module|module .* not found|iptables|overlay|operation not supported"
_DNS_FAILS = r"DNS did not answer|name resolution|name service error|4\.4\.3|no answer"
_REVERSE = r"reverse|PTR|4\.7\.25|5\.7\.25|helo|hostname"
_LISTED = r"blocklist|blacklist|block list|spamhaus|spamcop|barracuda|dnsbl|listed|reputation"
_AUTHENTICATION = r"SPF|DKIM|DMARC"
# A record that allows the addresses of a name.
_SPF_BY_NAME = r" is \w+(?: by \S+)?: v=spf1.* [+?~-]?(?:{0})(?:[ :/]|$)"
_CERTIFICATE = r"certificate|cert\.pem|key\.pem|dh\.?params|TLS|SSL"
_UNUSABLE = r"belong|cannot (be )?read|is no |has no "
_NOT_ISSUED = r"^no certificate was issued|^there is no certificate"
_ITS_OWN = r"issued by itself|self.signed certificate(?! in)"
_RUNS_NOT = r"does not run|not running|no service|no container|restarting|refused|exited"
_RELAYS_BY_IPV6 = r"^(?!.*\d\.\d+:\d+ takes mail).*\]:\d+ takes mail"

# Services that mail has to pass, or that those ask; the others of a stack show or scan it, or do
# things from time to time.
_MAIL_SERVICES = (
    r"postfix|smtp|front|dovecot|imap|admin|nginx|php-fpm|mysql|database|redis|rspamd|antispam|"
    r"unbound|resolver"
)
_MAIL = r"(?:^|[;,] )[\w.-]*(?:{0})[\w.-]*(?:: |, | is | has no | not yet)".format(_MAIL_SERVICES)
_WITH_PORTS = r"postfix|smtp|dovecot|nginx|front"
_READ_CERTIFICATE = r"dovecot|postfix|nginx|front|smtp|imap"
_RSPAMD = r"rspamd|antispam"
# How a service says that another one is not there.
_NEEDS_ANOTHER = (
    r"connect|refus|resol|unreach|unavailable|no route|no answer|timed? ?out|gone away|not known|"
    r"not yet|50[234]"
)

#: Every explanation, those of the most fundamental causes first. A finding hangs under the first
#: cause that explains it.
LINKS = (
    Link(
        (
            Told("qmail.rcpthosts"),
            Told("engine.iptables", "an open relay"),
            Told("health.forwarding", "an open relay"),
        ),
        (Told("smtp.relay"),),
        "The server relays for everybody",
    ),
    Link(
        (Told("engine.ipv6_relay"),),
        (Told("smtp.relay", _RELAYS_BY_IPV6),),
        "The server relays for everybody",
    ),
    Link(
        (Told("health.disk", "", _CERTAIN), Told("health.inodes", "", _CERTAIN)),
        (
            Told("health.containers", _NO_SPACE),
            Told("health.restarts", _NO_SPACE),
            Told("health.healthy", _NO_SPACE),
            Told("health.logs", _NO_SPACE),
            Told("health.engine", _NO_SPACE),
            Told("delivery.local", _NO_SPACE_HERE),
            Told("delivery.daemon", _NO_SPACE_HERE),
            Told("delivery.others", r"^\d+ rejected.*(?:" + _NO_SPACE + ")"),
            Told("queue.*", _NO_SPACE_HERE),
            Told("smtp.*", _NO_SPACE),
        ),
        "The disk is full",
    ),
    Link(
        (Told("clock.offset", "", _CERTAIN), Told("clock.synchronised", "", _CERTAIN)),
        (
            Told("clock.synchronised"),
            Told("resolver.dnssec", "", _UNSEEN),
            Told("tls.expiry", "begins on"),
            Told("health.certificate", "clock says"),
            Told("health.healthy", "unbound|resolver"),
            Told("health.logs", "unbound|resolver"),
        ),
        "The clock is wrong",
    ),
    Link(
        (Told("platform.kernel_modules", "", (FAIL, WARN)),),
        (
            Told("firewall.kernel_modules"),
            Told("health.engine", _NO_MODULE),
            Told("engine.daemon", _NO_MODULE),
            Told("health.containers", _NO_MODULE),
            Told("health.restarts", _NO_MODULE),
        ),
        "The running kernel has lost its modules",
    ),
    Link(
        (Told("engine.configuration", "", _CERTAIN),),
        (Told("health.engine"), Told("engine.daemon", "failed|inactive|does not|; ")),
        "The container engine cannot start with its configuration",
    ),
    Link(
        (Told("health.engine", "", _CERTAIN), Told("engine.daemon", "", _CERTAIN)),
        (
            # Most that ask the engine are skipped then; disk and files need none.
            Told("health.*", "", _UNSEEN),
            Told("health.forwarding"),
            Told("engine.daemon"),
            Told("engine.*", "", _UNSEEN),
            Told("firewall.*", "", _UNSEEN),
            Told("smtp.connect"),
            Told("tls.connect", "no port"),
            Told("queue.*", "", _UNSEEN),
            Told("dns.dkim", _RUNS_NOT, _UNSEEN),
            Told("delivery.log"),
        ),
        "The container engine does not work",
    ),
    Link((Told("engine.compose", "", _CERTAIN),), (Told("health.compose"),)),
    Link(
        (Told("health.compose"),),
        (
            Told("health.*", "not known", _UNSEEN),
            Told("health.containers"),
            Told("smtp.connect", "refused"),
            Told("queue.*", _RUNS_NOT, _UNSEEN),
            Told("dns.dkim", _RUNS_NOT, _UNSEEN),
            Told("delivery.log", _RUNS_NOT),
        ),
        "Compose does not take the project's files",
    ),
    Link(
        (
            Told("engine.iptables", "", _CERTAIN),
            Told("firewall.kernel_modules", "", _CERTAIN),
            Told("health.forwarding", "", _CERTAIN),
            Told("health.network", "", _CERTAIN),
        ),
        (
            Told("health.connections", _NO_WAY),
            Told("health.healthy", _NO_WAY + "|" + _DNS_FAILS),
            Told("smtp.connect", _TIMED_OUT + "|unreachable|refused"),
            Told("tls.connect", _TIMED_OUT + "|unreachable|no port"),
            Told("delivery.connection", _TIMED_OUT),
            Told("delivery.local", _DNS_FAILS + "|does not work"),
        ),
        "Packets do not pass from and to the containers",
    ),
    Link(
        (Told("health.ports"), Told("ports.public")),
        (
            Told("ports.public"),
            Told("services.mail_servers"),
            # It may have taken the port while the container was away.
            Told("health.containers", r"^(?!.*memory ran out)"),
            Told("smtp.connect", "no answer in time|too long|it says"),
            Told("smtp.*", "refused|closed|lost|no port answered"),
            Told("tls.*", "refused|no port|no service showed|it says"),
            Told("queue.*", _RUNS_NOT, _UNSEEN),
            Told("dns.dkim", _RUNS_NOT, _UNSEEN),
            Told("delivery.log", _RUNS_NOT),
        ),
        "Another program has the stack's ports",
        services=_WITH_PORTS,
    ),
    Link(
        (Told("health.certificate_files"), Told("health.certificate", _UNUSABLE)),
        (
            Told("health.containers", _READ_CERTIFICATE),
            Told("health.restarts", _READ_CERTIFICATE),
            Told("health.healthy", _READ_CERTIFICATE),
            Told("health.logs", _CERTIFICATE),
            Told("tls.connect"),
            Told("tls.chain"),
            Told("tls.names"),
            Told("tls.expiry"),
            Told("tls.same"),
            Told("tls.*", "no port|no service showed"),
            Told("smtp.starttls"),
            Told("smtp.auth"),
            Told("smtp.connect", "refused|closed|lost|TLS"),
            Told("queue.*", _RUNS_NOT, _UNSEEN),
            Told("dns.dkim", _RUNS_NOT, _UNSEEN),
            Told("delivery.log", _RUNS_NOT),
            Told("delivery.local", "does not work"),
            Told("delivery.daemon", _CERTIFICATE),
        ),
        "The services cannot use the certificate",
        services=_READ_CERTIFICATE,
    ),
    # Without a new one, the old one ends, or there is none but the one that a new stack has.
    Link(
        (Told("health.logs", _NOT_ISSUED),),
        (
            Told("health.certificate", _ITS_OWN + r"|expired|\(-?\d+ days\)"),
            Told("tls.expiry", "ended|ends"),
            Told("tls.chain", _ITS_OWN + "|expired"),
            Told("tls.connect", _CERTIFICATE),
            Told("smtp.starttls", "does not offer"),
        ),
    ),
    Link((Told("dns.caa", "", (FAIL, WARN)),), (Told("health.logs", _NOT_ISSUED),)),
    Link(
        (Told("health.certificate", _ITS_OWN), Told("tls.chain", _ITS_OWN)),
        (Told("tls.chain"), Told("tls.names"), Told("tls.expiry")),
    ),
    Link((Told("health.certificate", "is not for "),), (Told("tls.names"),)),
    Link(
        (Told("health.certificate", "expired|until|clock says"),),
        (Told("tls.expiry"), Told("tls.chain", "expired|not yet valid")),
    ),
    Link((Told("health.certificate", "did not issue"),), (Told("tls.chain"),)),
    Link(
        (Told("health.hyperscan"),),
        (
            Told("health.containers", _RSPAMD),
            Told("health.restarts", _RSPAMD),
            Told("health.healthy", _RSPAMD),
            Told("health.connections", _RSPAMD),
            Told("delivery.local", "milter|service unavailable"),
        ),
        "Rspamd's compiled expressions are of another processor",
        services=_RSPAMD,
    ),
    Link(
        (Told("engine.api", "", _CERTAIN),),
        (Told("health.containers", "netfilter"), Told("health.restarts", "netfilter")),
        services="netfilter",
    ),
    # What a log complains of is why its container ended.
    Link(
        (Told("health.logs"),),
        (Told("health.containers"), Told("health.restarts"), Told("health.healthy")),
        same_service=True,
    ),
    Link(
        (Told("health.image"), Told("health.environment")),
        (Told("health.healthy"), Told("health.restarts"), Told("health.logs")),
        same_service=True,
    ),
    Link(
        (Told("health.containers", _MAIL, _CERTAIN), Told("health.restarts", _MAIL)),
        (Told("health.restarts", _NEEDS_ANOTHER), Told("health.healthy", _NEEDS_ANOTHER)),
    ),
    Link(
        (
            Told("health.containers", _MAIL, _CERTAIN),
            Told("health.restarts", _MAIL),
            Told("health.healthy", _MAIL),
        ),
        (
            Told("health.connections", "", _UNSEEN),
            Told("smtp.connect", "refused|closed|lost"),
            Told("smtp.*", r"no port answered|: 4[0-9][0-9][ -]"),
            Told("smtp.auth"),
            Told("tls.connect", "no port|closed|lost"),
            Told("queue.*", _RUNS_NOT, _UNSEEN),
            Told("dns.dkim", _RUNS_NOT, _UNSEEN),
            Told("delivery.log", _RUNS_NOT),
            Told("delivery.local", "does not work|" + _DNS_FAILS),
            Told("queue.reasons", "does not work|DNS did not answer"),
        ),
        "A container of the stack does not work",
    ),
    # It takes connections, and says nothing.
    Link(
        (
            Told("health.containers", r"(?:postfix|smtp|front)[\w.-]* is paused"),
            Told("health.healthy", r"(?:^|; )[\w.-]*(?:postfix|smtp|front)[\w.-]*: "),
        ),
        (Told("smtp.connect", "no answer in time|too long"),),
    ),
    Link(
        (Told("health.connections"),),
        (
            Told("delivery.local", "does not work|" + _DNS_FAILS),
            Told("queue.reasons", "does not work|DNS did not answer"),
        ),
    ),
    Link(
        (
            Told("egress.smtp", "time|block|refus|answer", _CERTAIN),
            Told("smtp.destination", "blocked25"),
            Told("delivery.connection", r"connections to \d+ destinations timed out"),
            Told("queue.reasons", "^all "),
        ),
        (
            Told("delivery.connection", _TIMED_OUT),
            Told("delivery.others", _TIMED_OUT + "|tried for days"),
            Told("smtp.destination", _TIMED_OUT),
            Told("queue.reasons", _TIMED_OUT + "|^all "),
            Told("queue.age", _TIMED_OUT),
            Told("queue.destination", _TIMED_OUT),
        ),
        "Outgoing port 25 is blocked",
        unless=(Told("egress.smtp", "", (OK,)),),
    ),
    Link(
        (
            Told("resolver.answers", "", (FAIL, UNKNOWN)),
            Told("egress.dns", "", (FAIL, UNKNOWN)),
            Told("egress.dns", "in between"),
        ),
        (
            Told("resolver.dnssec", "no name server answers"),
            Told("egress.dns"),
            Told("egress.*", "resolve|no address|name"),
            Told("delivery.local", _DNS_FAILS),
            Told("queue.reasons", _DNS_FAILS),
            Told("queue.age", _DNS_FAILS),
            # The verdict, and not a mailbox that is unknown there.
            Told("smtp.destination", ": unknown: "),
            Told("health.healthy", "unbound|resolver"),
            Told("health.logs", "unbound|resolver"),
        ),
        "The server's resolver does not answer",
    ),
    Link((Told("resolver.dnssec"),), (Told("health.logs", "^its resolver"),)),
    Link(
        (Told("blocklist.address"), Told("blocklist.domain")),
        (
            Told("delivery.reputation", _LISTED),
            Told("smtp.destination", _LISTED),
            Told("queue.*", _LISTED),
            Told("egress.smtp", _LISTED + "|^.*: 5"),
        ),
        "The server is on a blocklist",
    ),
    Link(
        (Told("dns.address"),),
        (
            Told("dns.forward_confirmed"),
            Told("dns.mx_target", "has no address"),
            Told("dns.host_spf", _SPF_BY_NAME.format("a|mx")),
            Told("dns.spf", _SPF_BY_NAME.format("a|mx")),
            Told("smtp.*", "has no address|not exist"),
            Told("tls.*", "has no address|not exist"),
            Told("health.logs", _NOT_ISSUED),
        ),
    ),
    Link((Told("dns.cname_hostname"),), (Told("dns.mx_target", "alias"),)),
    Link(
        (Told("dns.reverse"), Told("dns.forward_confirmed"), Told("dns.generic_reverse")),
        (
            Told("dns.forward_confirmed"),
            Told("dns.generic_reverse"),
            Told("smtp.banner", "reverse record"),
            Told("delivery.reputation", _REVERSE),
            Told("smtp.destination", _REVERSE),
            Told("queue.*", _REVERSE),
        ),
    ),
    Link(
        (Told("dns.dkim"), Told("dns.spf"), Told("dns.dmarc")),
        (
            Told("delivery.reputation", _AUTHENTICATION),
            Told("smtp.destination", _AUTHENTICATION),
            Told("queue.*", _AUTHENTICATION),
        ),
    ),
    Link(
        (Told("dns.mx"), Told("dns.mx_target")),
        (
            # The same record.
            Told("dns.mx_target"),
            Told("dns.spf", _SPF_BY_NAME.format("mx")),
            Told("delivery.loop"),
        ),
    ),
    Link(
        (Told("qmail.me"),),
        (Told("smtp.connect", "closed|lost|greet"), Told("smtp.banner")),
    ),
    Link((Told("qmail.assign", "refuses"),), (Told("qmail.users_cdb"),)),
    # Mail that is not delivered waits, or comes back.
    Link(
        (
            Told("qmail.assign"),
            Told("qmail.users_cdb"),
            Told("qmail.handlers"),
            Told("qmail.folders"),
            Told("qmail.permissions"),
        ),
        (Told("delivery.local", "mailbox|does not work"), Told("queue.bounces")),
    ),
    Link(
        (Told("qmail.morercpthosts"), Told("qmail.domains", "is refused")),
        (Told("delivery.relay"),),
    ),
    Link((Told("qmail.cron"),), (Told("qmail.open_smtp"),)),
    Link((Told("tls.same"),), (Told("tls.expiry"),)),
    Link((Told("tls.expiry"),), (Told("tls.chain", "expired|not yet valid"),)),
    Link(
        (Told("firewall.input_rules"), Told("firewall.services")),
        (
            Told("smtp.connect", _TIMED_OUT + "|unreachable"),
            Told("tls.connect", _TIMED_OUT + "|no port"),
        ),
        "The firewall closes the mail server's ports",
    ),
    Link(
        (Told("smtp.connect"),),
        (
            Told("tls.connect", "no port"),
            Told("tls.*", "no service showed"),
            Told("smtp.*", "no port answered"),
        ),
    ),
    Link(
        (Told("tls.connect"),),
        (
            Told("tls.*", "no service showed|no port"),
            Told("smtp.connect", "TLS failed"),
            Told("smtp.starttls"),
        ),
    ),
    Link((Told("delivery.log"),), (Told("delivery.*", "", _UNSEEN),)),
    Link(
        (Told("queue.length"),),
        (Told("queue.*", "does not run|cannot|not there|no ", _UNSEEN),),
    ),
    Link((Told("blocklist.zones"),), (Told("blocklist.*", "no list says anything"),)),
    Link(
        (Told("fail2ban.service", "", _CERTAIN),),
        (
            Told("fail2ban.jail"),
            Told("fail2ban.kernel"),
            Told("fail2ban.log"),
            Told("fail2ban.*", "", _UNSEEN),
        ),
    ),
)

# Where the log tells of a kind of reason; the queue's age is only its consequence.
_CHECK_OF_KIND = {
    **dict.fromkeys(
        ("timeout", "refused", "unreachable", "connection_lost"), "delivery.connection"
    ),
    **dict.fromkeys(
        (
            "blocklisted",
            "reverse_dns",
            "authentication",
            "refused_to_talk",
            "rate_limited",
            "content",
        ),
        "delivery.reputation",
    ),
    **dict.fromkeys(
        ("own_service", "own_files", "login_failed", "login_needed", "tls", "dns"),
        "delivery.local",
    ),
    "loop": "delivery.loop",
    "relay_denied": "delivery.relay",
}

#: Which trouble holds up most mail, the worst first: an id as a shell pattern. What is not named
#: comes behind.
RANK = (
    "smtp.relay",
    "qmail.rcpthosts",
    "engine.ipv6_relay",
    "health.disk",
    "health.inodes",
    "platform.kernel_modules",
    "health.engine",
    "engine.daemon",
    "health.compose",
    "health.forwarding",
    "engine.iptables",
    "firewall.kernel_modules",
    "health.network",
    "health.ports",
    "ports.public",
    "health.certificate_files",
    "health.hyperscan",
    "health.containers",
    "qmail.me",
    "qmail.assign",
    "qmail.users_cdb",
    "qmail.morercpthosts",
    "qmail.domains",
    "qmail.handlers",
    "qmail.folders",
    "health.restarts",
    "health.healthy",
    "health.image",
    "health.environment",
    "health.connections",
    "clock.*",
    "resolver.*",
    "egress.dns",
    "smtp.connect",
    "dns.address",
    "dns.cname_hostname",
    "dns.mx",
    "dns.mx_target",
    "egress.smtp",
    "delivery.loop",
    "delivery.connection",
    "delivery.local",
    "blocklist.address",
    "dns.reverse",
    "dns.forward_confirmed",
    "blocklist.domain",
    "delivery.reputation",
    "dns.dkim",
    "dns.spf",
    "dns.dmarc",
    "tls.tlsa",
    "smtp.destination",
    "delivery.relay",
    "delivery.daemon",
    "tls.connect",
    "tls.expiry",
    "tls.names",
    "tls.chain",
    "smtp.*",
    "health.*",
    "delivery.others",
    "queue.*",
    "qmail.*",
    "firewall.*",
    "engine.*",
    "network.*",
    "tls.*",
    "dns.*",
    "fail2ban.*",
)


class DiagnosisError(ValueError):
    """What was given is wrong; the text names it, and what is allowed."""


def ids() -> tuple[str, ...]:
    """Return the id of every check that the doctor may run, in no special order."""
    later = tuple(check.id for check in catalogue.doctor_checks())
    others = tuple(name for names in OTHERS.values() for name in names)
    return PREFLIGHT + catalogue.DNS_IDS + later + others


def select(option: str, wanted: Iterable[str]) -> set[str]:
    """Return the ids that a list of ids and subjects stands for.

    Raises:
        DiagnosisError: a name that is neither.
    """
    known = ids()
    subjects = {entry.partition(".")[0] for entry in known}
    chosen: set[str] = set()
    for name in wanted:
        if name not in known and name not in subjects:
            raise DiagnosisError(
                f"{option} has {name!r}; allowed: {', '.join(sorted(subjects.union(known)))}"
            )
        chosen.update(entry for entry in known if name in (entry, entry.partition(".")[0]))
    return chosen


def plan(only: Iterable[str] = (), skip: Iterable[str] = ()) -> dict[str, Any]:
    """Return what is to be looked at.

    Args:
        only: ids and subjects to look at alone; all when empty.
        skip: ids and subjects not to look at.

    Returns:
        dict: ``preflight`` and ``dns``, the ids of their checks; ``subjects``, the subjects of which
        at least one check is to be looked at.

    Raises:
        DiagnosisError: a name that is no check.
    """
    chosen = (select("doctor_only", only) or set(ids())) - select("doctor_skip", skip)
    return {
        "preflight": [name for name in PREFLIGHT if name in chosen],
        "dns": [name for name in catalogue.DNS_IDS if name in chosen],
        "subjects": sorted({name.partition(".")[0] for name in chosen}),
    }


def collect(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the findings of what the modules answered.

    Args:
        results: subject -> what a task registered. One that was not run has no findings; one that
            failed is a finding itself, whether or not the task went on.
    """
    found = []
    for subject, result in results.items():
        if "findings" in result:
            fixes: dict[str, list[dict[str, Any]]] = {}
            for fix in result.get("fixes", ()):
                fixes.setdefault(fix["finding"], []).append(dict(fix))
            for entry in result["findings"]:
                # Of several with this id the first, which is the worst, stands for all.
                bad = entry.get("status") in (FAIL, WARN)
                steps = fixes.pop(entry["id"], []) if bad else []
                more = {"remedy": entry.get("fix"), "fix": _steps(steps)} if steps else {}
                found.append({**entry, **more})
        elif _failed(result):
            found.append(
                {
                    "id": subject,
                    "status": UNKNOWN,
                    "title": "The module itself",
                    "observed": str(result.get("msg") or "the module failed"),
                    "required": "an answer",
                    "fix": "Mend what it says, and run the doctor again.",
                }
            )
    return found


def _failed(result: Mapping[str, Any]) -> bool:
    """Return whether a module failed, though the task may have had ``failed_when: false``.

    Ansible registers such a failure with ``failed`` false; what is left of it is ``msg``, which the
    modules of this collection return for nothing else.
    """
    if result.get("skipped"):
        return False
    return bool(result.get("failed") or ("failed_when_result" in result and result.get("msg")))


def _steps(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the doctor may do about a finding as one fix."""
    return {
        "kind": steps[0]["kind"],
        "command": "; ".join(str(step.get("command") or "") for step in steps),
        "steps": steps,
    }


def diagnose(
    findings: Iterable[Mapping[str, Any]],
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    accept: Iterable[str] = (),
    fixed: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what is wrong with a mail server.

    Args:
        findings: findings as dictionaries. Beside the keys of a ``Finding`` there may be ``remedy``,
            ``evidence`` (list of texts), and ``fix`` may be a dictionary with ``kind``.
        only: ids and subjects that count; all when empty.
        skip: ids and subjects that do not.
        accept: ids and subjects whose failure is only a warning, and is not mended.
        fixed: what was mended before.

    Returns:
        dict: ``verdict``; ``findings``, causes only, the worst first, each with ``id``, ``status``,
        ``title``, ``observed``, ``required``, ``remedy``, ``evidence``, ``because`` (ids that hang
        under it), ``fix`` and ``source``; ``explained``, what hangs under a cause, with ``cause``;
        ``fixed``.

    Raises:
        DiagnosisError: a name that is no check.
    """
    wanted, left_out, known = select("only", only), select("skip", skip), select("accept", accept)
    items = []
    for entry in findings:
        item = _item(entry)
        same = _same(item["id"])
        if same and ((wanted and not wanted.intersection(same)) or left_out.issuperset(same)):
            continue
        if item["id"] in known:
            item["fix"] = None
            if item["status"] == FAIL:
                item["status"] = WARN
                item["observed"] += ACCEPTED
        items.append(item)
    # A module that was asked for one thing skips the rest, which another call has looked at.
    looked = {item["id"] for item in items if item["status"] != SKIP}
    items = _merged([i for i in items if i["status"] != SKIP or i["id"] not in looked])
    parents = _parents(items, known)
    roots = [_root(number, parents) for number in range(len(items))]
    causes = {number: item for number, item in enumerate(items) if roots[number] == number}
    explained = []
    for number, item in enumerate(items):
        if roots[number] != number:
            _hang(causes[roots[number]], item, known)
            explained.append({**item, "cause": causes[roots[number]]["id"]})
    ranks = {number: _rank(item) for number, item in causes.items()}
    ordered = sorted(causes, key=lambda n: (ORDER.index(causes[n]["status"]), ranks[n], n))
    found = [causes[number] for number in ordered]
    counted = [
        item["status"]
        for item in found
        if item["status"] != UNKNOWN or item["id"] not in _MAY_BE_UNKNOWN or item["because"]
    ]
    return {
        "verdict": VERDICTS[counted[0]] if counted else UNKNOWN,
        "findings": found,
        "explained": explained,
        "fixed": [dict(entry) for entry in fixed],
    }


def _same(name: str) -> list[str]:
    """Return the checks that a finding is about: its own, or all of a subject whose module failed."""
    return [entry for entry in ids() if name in (entry, entry.partition(".")[0])]


def _item(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a finding in the form of a diagnosis."""
    fix = entry.get("fix")
    structured = fix if isinstance(fix, Mapping) and fix else None
    remedy = entry.get("remedy") or ("" if isinstance(fix, Mapping) else fix) or ""
    observed = str(entry.get("observed") or "")
    item = {
        "id": str(entry["id"]),
        "status": str(entry["status"]),
        "title": str(entry.get("title") or ""),
        "observed": observed,
        "required": str(entry.get("required") or ""),
        "remedy": str(remedy),
        "evidence": [str(line) for line in entry.get("evidence") or [observed]],
        "because": [],
        "fix": dict(structured) if structured else None,
        "source": str(entry.get("source") or ""),
    }
    if item["id"] == "smtp.destination" and item["status"] in (FAIL, WARN):
        kind = _kind(observed)
        if kind.name in _CHECK_OF_KIND or kind.side != delivery_reason.NETWORK:
            item["remedy"] = f"{kind.sentence} {kind.step}"
    return item


def _merged(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return findings of which those that ask for the same are one, such as six closed ports."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for number, item in enumerate(items):
        accepted = str(item["observed"].endswith(ACCEPTED))
        same = (item["id"], item["status"], item["remedy"], accepted)
        alone = item["status"] not in _TROUBLE or item["fix"] or not item["remedy"]
        first = found.setdefault((*same, str(number)) if alone else same, item)
        if first is not item:
            first["evidence"] += item["evidence"]
            if item["observed"] not in first["observed"]:
                first["observed"] += "; " + item["observed"]
    return list(found.values())


def _kind(text: str) -> delivery_reason.Kind:
    """Return the kind of reason that a text of another server is."""
    code = re.search(r"\b([45]\.\d{1,3}\.\d{1,3})\b", text)
    status = mail_log.BOUNCED if re.search(r"\b5\d\d\b|permanent", text) else mail_log.DEFERRED
    return delivery_reason.of(status, code.group(1) if code else "", text)


def _parents(items: list[dict[str, Any]], accepted: set[str]) -> dict[int, int]:
    """Return for each finding that another one explains the number of that one."""
    parents: dict[int, int] = {}
    troubles = [n for n, item in enumerate(items) if item["status"] in _TROUBLE]
    titles: dict[int, str] = {}
    for link in LINKS:
        if any(one.matches(item) for one in link.unless for item in items):
            continue
        causes = _causes(link.causes, items, troubles)
        for cause in causes if link.same_service else causes[:1]:
            if _explain(link, cause, items, troubles, parents, accepted) and link.title:
                titles.setdefault(cause, link.title)
    for number in troubles:
        if items[number]["id"] in ("queue.age", "queue.destination", "queue.reasons"):
            kind = _kind(items[number]["observed"]).name
            name = _CHECK_OF_KIND.get(kind)
            same = [
                n
                for n in troubles
                if items[n]["id"] == name and _kind(items[n]["observed"]).name == kind
            ]
            if same and number not in parents and _root(same[0], parents) != number:
                parents[number] = same[0]
    # What several could not look at for the same reason is one thing to mend.
    first: dict[str, int] = {}
    for number in troubles:
        if items[number]["status"] == UNKNOWN and number not in parents:
            before = first.setdefault(items[number]["observed"], number)
            if before != number:
                parents[number] = before
    # What opens a relay is no smaller thing than the relay.
    for number in troubles:
        if items[number]["id"] == "smtp.relay" and items[number]["status"] != UNKNOWN:
            parents.pop(parents.get(number, number), None)
    for number, title in titles.items():
        if number not in parents:
            items[number]["title"] = title
    return parents


def _explain(
    link: Link,
    cause: int,
    items: list[dict[str, Any]],
    troubles: list[int],
    parents: dict[int, int],
    accepted: set[str],
) -> bool:
    """Hang what follows from a cause under it, and return whether there is any."""
    hung = False
    for number in troubles:
        if number == cause or number in parents or _root(cause, parents) == number:
            continue
        if items[number]["id"] == items[cause]["id"]:
            continue
        # Who accepts what opens a relay has not accepted the relay.
        if items[number]["id"] == "smtp.relay" and items[cause]["id"] in accepted:
            continue
        # What nobody could look at is no reason for what is known to be wrong.
        if items[cause]["status"] == UNKNOWN and items[number]["status"] != UNKNOWN:
            continue
        if link.same_service and not _same_service(items[cause], items[number]):
            continue
        if link.services and not _only_of(link.services, items[number]):
            continue
        if any(one.matches(items[number]) for one in link.seen):
            parents[number] = cause
            hung = True
    return hung


def _causes(
    causes: tuple[Told, ...], items: list[dict[str, Any]], troubles: list[int]
) -> list[int]:
    """Return the numbers of the causes that are there; known trouble before what is not known."""
    found = [
        number
        for statuses in ((FAIL, WARN), (UNKNOWN,))
        for told in causes
        for number in troubles
        if items[number]["status"] in statuses and told.matches(items[number])
    ]
    return list(dict.fromkeys(found))


def _services(item: Mapping[str, Any]) -> list[str]:
    """Return the services that a finding is about.

    The checks of a stack write ``SERVICE: text``, ``SERVICE is text`` and ``SERVICE has no text``,
    several of them with ``;`` between, and a line of a log behind how many there are.
    """
    pattern = r"(?:^|; |lines\): )([a-z0-9][a-z0-9_.-]*)(?:: | is | has no )"
    return re.findall(pattern, item["observed"])


def _same_service(cause: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """Return whether a service that a finding is about is named in its cause."""
    named = re.findall(r"[a-z0-9][a-z0-9_.-]*", cause["observed"])
    return not set(_services(item)).isdisjoint(named)


def _only_of(pattern: str, item: Mapping[str, Any]) -> bool:
    """Return whether a container's trouble is that of such services alone."""
    if item["id"] not in ("health.containers", "health.restarts", "health.healthy"):
        return True
    return all(re.search(pattern, name) for name in _services(item))


def _root(number: int, parents: Mapping[int, int]) -> int:
    """Return the cause at the end of a chain."""
    seen = set()
    while number in parents and number not in seen:
        seen.add(number)
        number = parents[number]
    return number


def _hang(cause: dict[str, Any], item: Mapping[str, Any], accepted: set[str]) -> None:
    """Hang a finding under its cause, which is as bad as what it does."""
    if item["id"] not in cause["because"]:
        cause["because"].append(item["id"])
    cause["evidence"] += [line for line in item["evidence"] if line not in cause["evidence"]]
    # What was accepted is so with all that follows from it.
    worse = ORDER.index(item["status"]) < ORDER.index(cause["status"])
    if worse and cause["id"] not in accepted:
        cause["status"] = item["status"]


def _rank(item: Mapping[str, Any]) -> int:
    """Return how much mail a cause keeps up, itself or by what it does; 0 is most."""
    return min(_rank_of(name) for name in (item["id"], *item["because"]))


def _rank_of(name: str) -> int:
    return next(
        (place for place, pattern in enumerate(RANK) if fnmatch.fnmatchcase(name, pattern)),
        len(RANK),
    )
