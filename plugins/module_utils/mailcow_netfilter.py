# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom mailcow's container netfilter bans, and whether it does: settings that stand in its Redis.

Source: ``data/Dockerfiles/netfilter/main.py`` and ``data/web/inc/functions.fail2ban.inc.php`` of
https://github.com/mailcow/mailcow-dockerized, release 2026-07a.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import engine_state
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

#: Who bans: netfilter itself, or somebody outside of mailcow.
BANS = ("netfilter", "fail2ban")

ALLOWED = "F2B_WHITELIST"
DENIED = "F2B_BLACKLIST"
ACTIVE = "F2B_ACTIVE_BANS"
UNBAN = "F2B_QUEUE_UNBAN"
OPTIONS = "F2B_OPTIONS"

#: The option that has netfilter write bans into Redis only, and not into the kernel.
EXTERNAL = "manage_external"

_SERVICE = "redis-mailcow"

# The container knows the password, which so never leaves it and stands on no command line.
_SHELL = (
    'if [ -n "$REDISPASS" ]; then export REDISCLI_AUTH="$REDISPASS"; fi; exec redis-cli --raw "$@"'
)

# Ends what one question is answered with.
_END = "mailhost-end-of-answer"


class NetfilterError(Exception):
    """The settings cannot be read or changed; the text is a sentence."""


class Settings(NamedTuple):
    """What stands in Redis.

    Attributes:
        allowed: addresses, networks and names that are never banned, as written.
        denied: those that are always banned, as written.
        active: networks that are banned at the moment.
        options: netfilter's options; none while it has never run.
    """

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    active: tuple[str, ...]
    options: dict[str, Any]


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and the work come from it alone.

    Attributes:
        container: id of the container with Redis; empty when none runs.
        add: what is to be allowed and is not yet.
        undeny: what is denied, and is to be allowed.
        unban: what is banned at the moment and is to be allowed.
        external: what :data:`EXTERNAL` is to be, None when it stays.
    """

    container: str
    add: tuple[str, ...]
    undeny: tuple[str, ...]
    unban: tuple[str, ...]
    external: int | None

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.add or self.undeny or self.unban or self.external is not None)

    def diff(self) -> list[dict[str, str]]:
        """Return the differences for ``exit_json(diff=...)``."""
        before = ["denied: " + item for item in self.undeny]
        before += ["banned: " + item for item in self.unban]
        after = ["allowed: " + item for item in self.add]
        if self.external is not None:
            who = BANS if self.external else BANS[::-1]
            before.append("bans: " + who[0])
            after.append("bans: " + who[1])
        if not before and not after:
            return []
        return [
            {
                "before_header": "netfilter",
                "before": "".join(line + "\n" for line in before),
                "after_header": "netfilter",
                "after": "".join(line + "\n" for line in after),
            }
        ]


def container(host: Host, project: str) -> str:
    """Return the id of the running container with Redis; empty when there is none.

    Args:
        host: the host.
        project: mailcow's Compose project.

    Raises:
        NetfilterError: the engine does not answer.
    """
    if not engine_state.running(host):
        return ""
    try:
        found = host.docker("/containers/json")
    except HostError as error:
        raise NetfilterError(str(error)) from error
    for entry in found:
        labels = entry.get("Labels") or {}
        if (
            labels.get("com.docker.compose.project") == project
            and labels.get("com.docker.compose.service") == _SERVICE
        ):
            return str(entry["Id"])
    return ""


def read(host: Host, identifier: str) -> Settings:
    """Return the settings.

    Raises:
        NetfilterError: Redis does not answer.
    """
    questions = ["PING", "HKEYS " + ALLOWED, "HKEYS " + DENIED, "HKEYS " + ACTIVE, "GET " + OPTIONS]
    text = "".join("{0}\nECHO {1}\n".format(question, _END) for question in questions)
    answers = _redis(host, identifier, (), text).split(_END + "\n")
    if len(answers) != len(questions) + 1 or answers[0].strip() != "PONG":
        raise NetfilterError(
            "mailcow's Redis does not answer: {0}".format(answers[0].strip() or "nothing")
        )
    allowed, denied, active = (tuple(filter(None, part.split("\n"))) for part in answers[1:4])
    content = answers[4].strip()
    try:
        options = json.loads(content) if content else {}
        if not isinstance(options, dict):
            raise ValueError(content)
    except ValueError:
        raise NetfilterError(
            "{0} in mailcow's Redis is not what netfilter writes there; look at "
            "Configuration, Options, Fail2ban in mailcow's administration".format(OPTIONS)
        ) from None
    return Settings(allowed, denied, active, options)


def plan(host: Host, project: str, allow: Sequence[str], bans: str) -> Plan:
    """Compare netfilter's settings with what they are to be. Nothing is changed.

    Args:
        host: the host.
        project: mailcow's Compose project.
        allow: addresses and networks in their usual form that are never to be banned.
        bans: one of :data:`BANS`.

    Raises:
        NetfilterError: they cannot be read, or this mailcow has no such setting.
    """
    identifier = container(host, project)
    if not identifier:
        return Plan("", (), (), (), None)
    now = read(host, identifier)
    there = {_network(item) for item in now.allowed}
    wanted = [ipaddress.ip_network(item) for item in allow]
    add = tuple(item for item, network in zip(allow, wanted) if network not in there)
    undeny = tuple(item for item in now.denied if _network(item) in wanted)
    unban = tuple(item for item in now.active if _within(item, wanted))
    external: int | None = int(bans == "fail2ban")
    if now.options and EXTERNAL not in now.options:
        if external:
            raise NetfilterError(
                "this mailcow's netfilter cannot leave banning to others: it has no option "
                "{0!r}; update mailcow first, or use bans: netfilter".format(EXTERNAL)
            )
        external = None
    elif _number(now.options.get(EXTERNAL)) == external:
        external = None
    return Plan(identifier, add, undeny, unban, external)


def carry_out(host: Host, planned: Plan) -> None:
    """Do what was planned. netfilter looks at its list once a minute, and at its options always.

    Raises:
        NetfilterError: Redis refuses it.
    """
    for item in planned.add:
        _number_or_raise(_redis(host, planned.container, ("HSET", ALLOWED, item, "1")))
    for item in planned.undeny:
        _number_or_raise(_redis(host, planned.container, ("HDEL", DENIED, item)))
    for item in planned.unban:
        _number_or_raise(_redis(host, planned.container, ("HSET", UNBAN, item, "1")))
    if planned.external is None:
        return
    # netfilter itself writes what it has read every few seconds, and may do so in between.
    for _try in range(5):
        options = dict(read(host, planned.container).options, **{EXTERNAL: planned.external})
        text = json.dumps(options, ensure_ascii=False)
        answer = _redis(host, planned.container, ("-x", "SET", OPTIONS), text)
        if answer.strip() != "OK":
            raise NetfilterError("mailcow's Redis refuses a setting: {0}".format(answer.strip()))
        now = read(host, planned.container).options
        if _number(now.get(EXTERNAL)) == planned.external:
            return
    raise NetfilterError("the option {0!r} of netfilter does not stay set".format(EXTERNAL))


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    return {
        "changed": planned.changed,
        "found": bool(planned.container),
        "added": list(planned.add),
        "diff": planned.diff(),
    }


def _redis(host: Host, identifier: str, words: Sequence[str], text: str = "") -> str:
    argv = ["docker", "exec", "-i", identifier, "sh", "-c", _SHELL, "sh", *words]
    answer = host.run(argv, timeout=30, input=text)
    if answer.rc != 0:
        reason = (answer.stderr or answer.stdout).strip().splitlines()
        raise NetfilterError(
            "mailcow's Redis cannot be asked: {0}".format(
                reason[-1] if reason else "no reason given"
            )
        )
    return answer.stdout


def _network(text: str) -> Any:
    """Return a network, None for a name."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _within(text: str, networks: Sequence[Any]) -> bool:
    network = _network(text)
    return network is not None and any(
        network.version == other.version and network.overlaps(other) for other in networks
    )


def _number(value: Any) -> int:
    """Return an option as netfilter reads it."""
    return int(str(value).strip().lower() in ("1", "true"))


def _number_or_raise(answer: str) -> None:
    if not answer.strip().isdigit():
        raise NetfilterError("mailcow's Redis refuses a setting: {0}".format(answer.strip()))
