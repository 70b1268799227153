# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of containers that runs, or should: what keeps it from working.

Each thing is told once, by the check that it belongs to: a container that could not have its port is
not also one that does not run.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    certificate,
    env_document,
    stack_fix,
    stack_health,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import firewall, network
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import from_stack
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.resources import docker_root
from ansible_collections.postmaster.mailhost.plugins.module_utils.finding import (
    FAIL,
    OK,
    SKIP,
    UNKNOWN,
    WARN,
    Finding,
    answer,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import HostError
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack_health import Seen

_GIB = 1 << 30
_DAY = 86400.0
_EXPIRES_DAYS = 14

# Databases and mail servers stop writing before a disk is entirely full.
_FULL_GIB, _FULL_SHARE = 0.5, 0.01
_SHORT_GIB, _SHORT_SHARE = 2.0, 0.05


def _silent(required: str) -> list[Finding]:
    """Return the answer of a check that needs the engine, which does not answer."""
    return [answer(SKIP, "the engine does not answer", required, "See health.engine.")]


def _up(seen: Seen, services: Iterable[str]) -> str:
    """Return the command that brings services into the state that the Compose files want."""
    return seen.command("up -d " + " ".join(sorted(set(services))))


def _about(seen: Seen, service: str, container: dict) -> str:
    """Return what is known of a container that is not well."""
    state = container["State"]
    text = "{0} is {1}".format(service, state["Status"])
    if state["Status"] != "running":
        text += ", exit code {0} ({1})".format(
            int(state.get("ExitCode") or 0), stack_health.meaning(state)
        )
    restarts = int(container.get("RestartCount") or 0)
    if restarts:
        text += ", restarted {0} times".format(restarts)
    if state.get("Error"):
        text += ": " + seen.mask(state["Error"])
    lines = seen.shown(container)
    if lines:
        text += "; its last words: " + " | ".join(lines[-3:])
    return text


# -- the engine and its containers -----------------------------------------------------------------


def engine(seen: Seen, _need: Any) -> list[Finding]:
    """Look whether the container engine answers.

    No answer: ``fail``. What needs it is then ``skip``.
    """
    required = "the container engine answers"
    if seen.silent:
        fix = "systemctl restart docker; why it ended: journalctl -u docker -n 50"
        return [answer(FAIL, seen.silent, required, fix)]
    return [answer(OK, "it answers", required)]


def compose(seen: Seen, _need: Any) -> list[Finding]:
    """Look whether Compose takes the project's files.

    Refused: ``fail``. An interpolation that is not valid, or a complaint about the version, is a
    Compose that is too old, or a value in the configuration file with a ``$`` in it.
    """
    required = "docker compose config takes the files in {0}".format(seen.path)
    if seen.refused:
        fix = (
            "{0}. The line names the file and the key; a Compose from before 2.0 does not know the \
form of these files.".format(seen.command("config -q"))
        )
        return [answer(FAIL, seen.refused.splitlines()[-1][:300], required, fix)]
    return [answer(OK, "{0} services".format(len(seen.services)), required)]


def containers(seen: Seen, _need: Any) -> list[Finding]:
    """Look for services without a container that runs.

    One that is missing, was stopped or paused, or has ended: ``fail``, with what its exit code means.
    One that is meant to end, and did without an error, is left out. A container that is restarted
    again and again is ``health.restarts``, one that could not have its port ``health.ports``. One
    that is not well, of a service that the files do not have any more: ``warn``.
    """
    required = "every service of the Compose files has a container that runs"
    if seen.silent:
        return _silent(required)
    missing = [
        name
        for name, definition in seen.services.items()
        if name not in seen.containers and stack_health.wanted_containers(definition)
    ]
    down = [
        (service, container)
        for service, container in seen.ailing(stack_health.DOWN)
        if not stack_health.done(seen.services.get(service, {}), container)
    ]
    texts = ["{0} has no container".format(name) for name in missing]
    texts += [_about(seen, service, container) for service, container in down]
    paused = {service for service, found in down if found["State"]["Status"] == "paused"}
    findings = []
    if texts:
        ended = [*missing, *(service for service, _container in down if service not in paused)]
        commands = [_up(seen, ended)] if ended else []
        if paused:
            commands.append(seen.command("unpause " + " ".join(sorted(paused))))
        findings.append(answer(FAIL, "; ".join(texts), required, "; ".join(commands)))
    orphans = [
        "{0}, which the Compose files do not have any more".format(_about(seen, service, container))
        for service in seen.left_over
        for container in seen.containers[service]
        if stack_health.ailment(container, seen.now)
    ]
    if orphans:
        fix = seen.command("up -d --remove-orphans")
        findings.append(answer(WARN, "; ".join(orphans), required, fix))
    return findings or [answer(OK, "{0} services".format(len(seen.containers)), required)]


def ports(seen: Seen, _need: Any) -> list[Finding]:
    """Look for containers that were not started because their port is in use.

    ``fail``, with the program that has the port.
    """
    required = "the stack's ports are free for it"
    if seen.silent:
        return _silent(required)
    texts, numbers, services = [], [], []
    for service, container in seen.ailing(stack_health.PORT):
        error = container["State"]["Error"]
        # Of HOST_ADDRESS:PORT:CONTAINER_ADDRESS:PORT the first.
        named = re.search(r"(?<=[\d\]]):(\d{1,5})\b", error)
        number = int(named.group(1)) if named else 0
        holders = [
            item.unit or item.process or "a program that is not visible"
            for item in seen.host.listeners([number])
        ]
        numbers.append(str(number))
        services.append(service)
        texts.append(
            "{0} could not have port {1}, which belongs to {2}".format(
                service, number or "?", ", ".join(sorted(set(holders))) or "nobody any more"
            )
        )
    if texts:
        fix = "ss -Hltnp | grep -E ':({0}) '; stop and disable what has it; then: {1}".format(
            "|".join(sorted(set(numbers))), _up(seen, services)
        )
        return [answer(FAIL, "; ".join(texts), required, fix)]
    return [answer(OK, "no container waits for a port", required)]


def restarts(seen: Seen, _need: Any) -> list[Finding]:
    """Look for containers that are started over and over.

    The engine is restarting it, or has done so three times and last within ten minutes: ``fail``,
    with what its exit code means and its last words.
    """
    required = "no container is restarted again and again"
    if seen.silent:
        return _silent(required)
    found = seen.ailing(stack_health.LOOP)
    if found:
        texts = [_about(seen, service, container) for service, container in found]
        names = " ".join(sorted({service for service, _container in found}))
        fix = "Mend what its log names: {0}".format(seen.command("logs --tail 50 " + names))
        return [answer(FAIL, "; ".join(texts), required, fix)]
    return [answer(OK, "none", required)]


def healthy(seen: Seen, _need: Any) -> list[Finding]:
    """Look at the health checks of the containers that run.

    ``unhealthy``: ``fail``, with what the health check printed. Not yet healthy: ``warn``.
    """
    required = "every health check succeeds"
    if seen.silent:
        return _silent(required)
    ill, young = seen.ailing(stack_health.ILL), seen.ailing(stack_health.STARTING)
    if ill:
        texts = []
        for service, container in ill:
            log = container["State"]["Health"].get("Log") or [{}]
            said = " ".join(str(log[-1].get("Output") or "").split())
            lines = seen.shown(container)[-2:]
            text = "{0}: {1}".format(service, seen.mask(said)[:200] or "no output")
            texts.append(text + ("; its last words: " + " | ".join(lines) if lines else ""))
        names = " ".join(sorted({service for service, _container in ill}))
        fix = "Mend what it names; then: {0}".format(seen.command("restart " + names))
        return [answer(FAIL, "; ".join(texts), required, fix)]
    if young:
        names = ", ".join(sorted({service for service, _container in young}))
        fix = "Look again in some minutes."
        return [answer(WARN, names + " not yet", required, fix)]
    count = sum("Health" in c["State"] for several in seen.containers.values() for c in several)
    return [answer(OK, "{0} health checks succeed".format(count), required)]


def image(seen: Seen, _need: Any) -> list[Finding]:
    """Compare the image of each container with the one that the Compose files name.

    Another name or tag, or a tag that has been pulled anew since: ``warn``. New files with old
    images, or the reverse, make containers unhealthy.
    """
    required = "each container has the image of the Compose files"
    if seen.silent:
        return _silent(required)
    found = stack_health.stale_images(seen)
    if found:
        return [answer(WARN, "; ".join(found.values()), required, _up(seen, found))]
    return [answer(OK, "all of them", required)]


def environment(seen: Seen, _need: Any) -> list[Finding]:
    """Compare the variables of each container with those that the files want.

    A restart does not read the files anew, only a new container does: ``warn``. Values of secrets
    are not shown.
    """
    required = "each container has the variables of {0}".format(seen.env_path)
    if seen.silent:
        return _silent(required)
    found = stack_health.stale_variables(seen)
    if not found:
        return [answer(OK, "all of them", required)]
    differs: dict[str, tuple[str | None, str | None]] = {}
    for variables in found.values():
        differs.update(variables)
    texts = [_difference(seen, name, *values) for name, values in sorted(differs.items())]
    observed = "{0} of {1}".format("; ".join(texts[:6]), ", ".join(sorted(found)))
    if len(texts) > 6:
        observed = "{0} variables, among them {1}".format(len(texts), observed)
    return [answer(WARN, observed, required, _up(seen, found))]


def _difference(seen: Seen, name: str, present: str | None, wanted: str | None) -> str:
    secret = {key["name"] for key in seen.stack["keys"] if key["secret"]}
    if name in secret or env_document.SECRET_NAME.search(name):
        return "{0} is not the one in the file".format(name)
    if wanted is None:
        return "{0} is set, and not in the file".format(name)
    if present is None:
        return "{0} is not set, and {1!r} in the file".format(name, seen.mask(wanted)[:60])
    return "{0} is {1!r}, and {2!r} in the file".format(
        name, seen.mask(present)[:60], seen.mask(wanted)[:60]
    )


# -- configuration ---------------------------------------------------------------------------------


def configuration(seen: Seen, _need: Any) -> list[Finding]:
    """Look for keys of older releases in the configuration file, and for keys that stand twice.

    ``warn``: the last line of several counts, so that whoever edits the first changes nothing; and
    upstream's own update takes old keys out each time. What has to be done before they can go is told
    with it.
    """
    required = "each key once in {0}, and none of an older release".format(seen.env_path)
    old, twice = _configuration_keys(seen)
    texts = ["{0}: {1}".format(name, seen.stack["removed"][name]) for name in old]
    if twice:
        texts.append("more than once, the last one counts: " + ", ".join(twice))
    if texts:
        fix = "Edit {0}: {1}delete {2}.".format(
            seen.env_path,
            "".join(text + "; then " for text in _still_needed(seen, old, twice)),
            " and ".join(
                filter(None, [", ".join(old), twice and "all but the last of " + ", ".join(twice)])
            ),
        )
        return [answer(WARN, "; ".join(texts), required, fix)]
    return [answer(OK, "{0} keys".format(len(seen.document.keys())), required)]


def _configuration_keys(seen: Seen) -> tuple[list[str], list[str]]:
    """Return the keys that are to go, and those that stand more than once."""
    changes = env_document.plan(seen.document.text, {}, absent=list(seen.stack["removed"])).changes
    return tuple(
        sorted(name for name, what in changes.items() if what == kind)
        for kind in ("removed", "deduplicated")
    )


# Keys whose meaning upstream's own update carries over to another one.
_SUCCESSORS = {"DISABLE_IPv6": "ENABLE_IPV6"}


def _still_needed(seen: Seen, old: Iterable[str], twice: Iterable[str]) -> list[str]:
    """Return what has to be done before lines can be deleted, as clauses; none if they can.

    Compose makes an empty text of a variable that is gone: a directory of mail becomes another one.
    """
    config_files = [
        *seen.host.glob(seen.path + "/*.yml"),
        *seen.host.glob(seen.path + "/*.yaml"),
        *(
            name
            for several in seen.containers.values()
            for container in several
            for name in _labels(container).get(_CONFIG_FILES, "").split(",")
            if name
        ),
    ]
    texts = {path: seen.host.read(path) or "" for path in dict.fromkeys(config_files)}
    found = []
    for name in old:
        users = [path for path in texts if _refers(texts[path], name)]
        users += [seen.env_path] if _refers(seen.document.text, name) else []
        if users:
            text = "put its value in place of ${0} in {1}"
            found.append(text.format(name, ", ".join(users)))
        successor = _SUCCESSORS.get(name)
        if successor and successor not in seen.document.keys():  # noqa: SIM118  # no dictionary
            found.append("set {0} as {1} was meant".format(successor, name))
    found += [
        "write {0} as one line, since the file refers to it".format(name)
        for name in twice
        if _refers(seen.document.text, name)
    ]
    return found


_CONFIG_FILES = "com.docker.compose.project.config_files"


def _labels(container: dict) -> dict:
    return container["Config"].get("Labels") or {}


def _refers(text: str, name: str) -> bool:
    """Tell whether a text has ``$NAME`` or ``${NAME`` in it."""
    return bool(re.search(r"\$\{?" + name + r"(?![A-Za-z0-9_])", text))


# -- the network -----------------------------------------------------------------------------------


def networks(seen: Seen, _need: Any) -> list[Finding]:
    """Look at the stack's networks as the engine and the host have them.

    Missing, with another range than the Compose files want, or without its bridge or the bridge's
    address on the host: ``fail``.
    """
    required = "the stack's networks are there as the Compose files want them"
    if seen.silent:
        return _silent(required)
    wrong, good = [], []
    routes = seen.host.read("/proc/net/fib_trie") or ""
    used = {name for entry in seen.services.values() for name in entry.get("networks") or ()}
    for key, wanted in (seen.config.get("networks") or {}).items():
        name = (wanted or {}).get("name", "")
        present = seen.networks.get(name)
        if present is None:
            # Compose makes those that a service is in, together with its container.
            if key in used and seen.containers:
                wrong.append("there is no network {0}".format(name))
            continue
        wrong += _network_trouble(seen, name, wanted, present, routes)
        good.append(name)
    if wrong:
        fix = "{0}; {1}".format(seen.command("down"), seen.command("up -d"))
        return [answer(FAIL, "; ".join(wrong), required, fix)]
    return [answer(OK, ", ".join(good) or "none of its own", required)]


def _network_trouble(seen: Seen, name: str, wanted: dict, present: dict, routes: str) -> list[str]:
    """Return what is wrong with one network, as clauses."""
    ranges = [
        _range(entry.get("Subnet")) for entry in (present.get("IPAM") or {}).get("Config") or ()
    ]
    asked = [
        _range(entry.get("subnet")) for entry in (wanted.get("ipam") or {}).get("config") or ()
    ]
    if not present.get("EnableIPv6"):
        asked = [text for text in asked if text and ":" not in text]
    found = []
    if wanted.get("enable_ipv6") and not present.get("EnableIPv6"):
        found.append("{0} has no IPv6, and the files want it".format(name))
    found += [
        "{0} has {1} and not {2}".format(name, ", ".join(filter(None, ranges)), text)
        for text in asked
        if text and text not in ranges
    ]
    if present.get("Driver") != "bridge":
        return found
    bridge = (present.get("Options") or {}).get("com.docker.network.bridge.name")
    bridge = bridge or "br-" + present["Id"][:12]
    if not seen.host.isdir("/sys/class/net/" + bridge):
        return [*found, "{0}: the host has no bridge {1}".format(name, bridge)]
    flags = (seen.host.read("/sys/class/net/{0}/flags".format(bridge)) or "").strip()
    # IFF_UP of netdevice(7).
    if flags and not int(flags, 16) & 1:
        return [*found, "{0}: the bridge {1} is down".format(name, bridge)]
    for entry in (present.get("IPAM") or {}).get("Config") or ():
        gateway = _gateway(entry)
        local = re.search(r"-- {0}\s+/32 host LOCAL".format(re.escape(gateway)), routes)
        if gateway and ":" not in gateway and routes and not local:
            found.append("{0}: {1} has lost its address {2}".format(name, bridge, gateway))
    return found


def _range(text: str | None) -> str:
    """Return a range in the one form that stands for all ways of writing it."""
    try:
        return str(ipaddress.ip_network(text or "", strict=False))
    except ValueError:
        return text or ""


def _gateway(entry: dict) -> str:
    """Return the address of the bridge: as told, else the first of the range."""
    given = entry.get("Gateway") or ""
    if given or not entry.get("Subnet"):
        return given
    return str(ipaddress.ip_network(entry["Subnet"], strict=False).network_address + 1)


def forwarding(seen: Seen, _need: Any) -> list[Finding]:
    """Look whether the kernel passes packets on to containers, and the packet filter lets them.

    The same looks as ``network.ip_forward``, ``firewall.docker_user`` and
    ``firewall.forward_policy``, with what is not ``ok`` of them.
    """
    required = "packets are passed on to containers"
    if seen.silent:
        return _silent(required)
    need = from_stack(seen.stack, seen.path)
    found: list[Finding] = []
    for check in (network.ip_forward, firewall.docker_user, firewall.forward_policy):
        found += check(seen.host, need)
    bad = [item for item in found if item.status not in (OK, SKIP)]
    return bad or [answer(OK, "ip_forward is 1, and the engine's rules are there", required)]


# A shell that is in all images but the smallest can connect by itself. One line for each target.
_CONNECT = r"""
for place in "$@"; do
  (
    said=$(timeout 4 bash -c "exec 3<>/dev/tcp/${place%:*}/${place##*:}" 2>&1)
    code=$?
    echo "$place $code" $said
  ) &
done
wait
"""


def connections(seen: Seen, _need: Any) -> list[Finding]:
    """Connect from the container of Postfix to those that it needs for each mail.

    At their fixed addresses where they have one, else by name. No connection: ``fail``. Targets that
    are not well are left out: they are told by ``health.containers`` and its like.
    """
    data = seen.stack["health"]["connections"]
    source = data["service"]
    required = "{0} reaches {1}".format(source, ", ".join(name for name, _port in data["to"]))
    if seen.silent:
        return _silent(required)
    container = seen.well(source)
    if container is None:
        fix = "See health.containers."
        return [answer(SKIP, "{0} is not well".format(source), required, fix)]
    targets = {}
    for name, port in data["to"]:
        if seen.well(name):
            targets["{0}:{1}".format(_address(seen, name), port)] = name
    if not targets:
        return [answer(SKIP, "none of them is well", required, "See health.containers.")]
    words = ["docker", "exec", container["Id"], "sh", "-c", _CONNECT, "sh", *targets]
    done = seen.host.run(words, timeout=15.0)
    said = {line.split(" ", 2)[0]: line.split(" ", 2)[1:] for line in done.stdout.splitlines()}
    silent = [place for place in targets if len(said.get(place, [])) < 1]
    if done.rc != 0 or silent or any(said[place][0] in ("126", "127") for place in targets):
        text = (done.stderr or done.stdout or "no answer").strip().splitlines()[-1:]
        fix = "Try by hand: docker exec {0} ping -c 1 ADDRESS.".format(
            container["Name"].lstrip("/")
        )
        return [answer(UNKNOWN, "cannot try: " + "".join(text)[:200], required, fix)]
    bad = []
    for place, name in targets.items():
        code, words_said = said[place][0], " ".join(said[place][1:])
        if code != "0":
            why = words_said.rpartition(": ")[2] if code == "1" else "no answer within 4 s"
            bad.append("{0} at {1}: {2}".format(name, place, why or "no connection"))
    if bad:
        fix = (
            "If health.forwarding and health.network are ok: systemctl restart docker. Refused: the "
            "program in that container does not listen, see its log."
        )
        return [answer(FAIL, "from {0}: {1}".format(source, "; ".join(bad)), required, fix)]
    return [answer(OK, "connected to {0}".format(", ".join(targets)), required)]


def _address(seen: Seen, service: str) -> str:
    """Return the fixed address of a service, else its name."""
    for entry in (seen.services.get(service, {}).get("networks") or {}).values():
        if entry and entry.get("ipv4_address"):
            return entry["ipv4_address"]
    return service


# -- certificates ----------------------------------------------------------------------------------


def _certificate_places(seen: Seen) -> tuple[str, str, dict[str, str], list[str]]:
    """Return the directory on the host, in containers, names of the pair, and of other files."""
    data = seen.stack["health"]["certificate"]
    names = {kind: seen.value(key) or usual for kind, key, usual in data["files"]}
    source = seen.mount(data["service"], data["directory"])
    return source, data["directory"], names, data["others"]


def _own_certificate(seen: Seen) -> str:
    """Return why the stack's certificate is not a file of the administrator's; empty when it is."""
    key, values = seen.stack["health"]["certificate"]["flavours"]
    # The first is upstream's default.
    if key and (seen.value(key) or values[0]) not in values:
        return "{0} is {1}".format(key, seen.value(key))
    return ""


def _broken_files(seen: Seen) -> dict[str, tuple[str, str]]:
    """Return the files that containers cannot read: path -> (where a link leads, what is wrong)."""
    source, directory, names, others = _certificate_places(seen)
    found = {}
    for name in (*names.values(), *others):
        path = "{0}/{1}".format(source, name)
        seen_at, outside = stack_health.in_container(seen, source, directory, name)
        if outside:
            text = "{0} is a link to {1}, which is not in the directory that containers see"
            # A relative link leads elsewhere on the host, and there it was made.
            found[path] = (seen.host.realpath(path), text.format(path, outside))
        elif not seen_at:
            what = "is a link to nowhere" if seen.host.readlink(path) else "is missing"
            found[path] = ("", "{0} {1}".format(path, what))
        elif not seen.host.read_bytes(seen_at, 1):
            found[path] = ("", "{0} is empty, or no file".format(path))
    return found


def certificate_files(seen: Seen, _need: Any) -> list[Finding]:
    """Look at certificate, key and DH parameters as containers see them.

    Missing, empty, or a link out of the directory, which leads nowhere in a container: ``fail``.
    Servers without them do not start, or offer no TLS.
    """
    required = "regular files, not links out of the directory"
    other = _own_certificate(seen)
    if other:
        return [answer(SKIP, other, required, "Nothing: the stack makes its own.")]
    if not _certificate_places(seen)[0]:
        fix = "See health.compose."
        return [answer(UNKNOWN, "not known where they are", required, fix)]
    broken = _broken_files(seen)
    if broken:
        readers = " ".join(seen.stack["health"]["certificate"]["readers"])
        commands = [_file_command(entry) for entry in _file_fixes(seen)]
        fix = "; ".join([*commands, seen.command("restart " + readers)])
        if len(commands) < len(broken):
            fix = "Put the files there, as copies; then: {0}".format(fix)
        return [answer(FAIL, "; ".join(text for _to, text in broken.values()), required, fix)]
    return [answer(OK, "all there", required)]


def _file_fixes(seen: Seen) -> list[dict[str, Any]]:
    """Return the files of a certificate that a copy mends."""
    data = seen.stack["health"]["certificate"]
    key = _certificate_places(seen)[2]["key"]
    found = []
    for path, (outside, _text) in _broken_files(seen).items():
        name = path.rpartition("/")[2]
        kind, target = "copy_link", outside
        if not outside:
            kind, target = "copy_file", "{0}/{1}/{2}".format(seen.path, data["example"], name)
            if not data["example"]:
                continue
        content = seen.host.read_bytes(target) or b""
        if stack_fix.PEM in content:
            mode = "0600" if name == key or stack_fix.PRIVATE_KEY in content else "0644"
            found.append(
                {
                    "finding": "health.certificate_files",
                    "kind": kind,
                    "path": path,
                    "target": seen.host.realpath(target),
                    "mode": mode,
                    "project": seen.project,
                    "services": [name for name in data["readers"] if name in seen.running],
                }
            )
    # An example's key beside another certificate would only be a worse state.
    source, _directory, names, _others = _certificate_places(seen)
    strangers = [
        "{0}/{1}".format(source, name)
        for name in names.values()
        if "{0}/{1}".format(source, name)
        not in {entry["path"] for entry in found if entry["kind"] == "copy_file"}
        and seen.host.read("{0}/{1}".format(source, name))
        != seen.host.read("{0}/{1}/{2}".format(seen.path, data["example"], name))
    ]
    if strangers:
        found = [
            entry
            for entry in found
            if entry["kind"] == "copy_link" or entry["path"].rpartition("/")[2] in data["others"]
        ]
    return found


def _file_command(entry: dict[str, Any]) -> str:
    return "install -m {mode} {target} {path}".format(**entry)


def _new_certificate(seen: Seen) -> str:
    """Return how to come to another certificate."""
    data = seen.stack["health"]["certificate"]
    issuer, switched_off = data["issuer"]
    if issuer and seen.value(switched_off).lower() not in ("y", "yes"):
        return "{0} gets one by itself, minutes after the first start. What keeps it from that: {1}".format(
            issuer, seen.command("logs --tail=50 " + issuer)
        )
    return "Get a new one, copy it there with its key, and restart: {0}".format(
        seen.command("restart " + " ".join(data["readers"]))
    )


def certificate_pair(seen: Seen, _need: Any) -> list[Finding]:
    """Read the certificate and the key that containers are given.

    Not readable, not belonging together, expired, or not for the host's name: ``fail``. Issued by
    itself, as the one of a new stack, or about to expire: ``warn``.
    """
    required = "a certificate for {0} with its key, valid for {1} days at least".format(
        ", ".join(seen.hostnames) or "the host's name", _EXPIRES_DAYS
    )
    other = _own_certificate(seen)
    if other:
        return [answer(SKIP, other, required, "Nothing: the stack makes its own.")]
    source, _directory, names, _others = _certificate_places(seen)
    paths = {kind: "{0}/{1}".format(source, name) for kind, name in names.items()}
    broken = _broken_files(seen) if source else {}
    if not source or any(path in broken for path in paths.values()):
        fix = "See health.certificate_files."
        return [answer(SKIP, "containers do not see the files", required, fix)]
    host = seen.host
    fix = _new_certificate(seen)
    try:
        chain = certificate.read_chain(
            host, paths["certificate"], host.read_bytes(paths["certificate"]) or b""
        )
        key = certificate.read_key(host, paths["key"], host.read_bytes(paths["key"]) or b"")
    except certificate.CertificateError as error:
        missing = "openssl is missing" in str(error)
        return [answer(UNKNOWN if missing else FAIL, str(error), required, fix)]
    leaf = chain[0]
    wanted = certificate.Wanted(
        paths["certificate"],
        paths["key"],
        "",
        "",
        # The one that a new stack makes for itself has no names, and nobody trusts it anyway.
        names=[] if leaf.self_signed else seen.hostnames,
    )
    wrong = certificate.problems(wanted, chain, key, seen.now)
    if wrong:
        return [answer(FAIL, ". ".join(wrong), required, fix)]
    if leaf.self_signed:
        said = "{0} is issued by itself ({1}): nobody but itself vouches for it"
        return [answer(WARN, said.format(paths["certificate"], leaf.subject), required, fix)]
    days = (leaf.not_after - seen.now) / _DAY
    observed = "{0} until {1} ({2:.0f} days)".format(
        ", ".join(leaf.names) or leaf.subject, certificate.timestamp(leaf.not_after), days
    )
    return [answer(WARN if days < _EXPIRES_DAYS else OK, observed, required, fix)]


# -- the machine -----------------------------------------------------------------------------------


def _places(seen: Seen) -> dict[str, list[str]]:
    """Return the file systems that the stack writes to: mount point -> directories."""
    paths = [seen.path]
    try:
        paths.append(docker_root(seen.host))
    except HostError:
        pass  # engine.configuration of the preflight tells
    for several in seen.containers.values():
        for container in several:
            paths += [
                entry["Source"]
                for entry in container.get("Mounts") or ()
                if entry.get("RW") and entry.get("Type") in ("bind", "volume")
            ]
    found: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        if not path.startswith(("/run/", "/var/run/", "/proc/", "/sys/", "/dev/")):
            found.setdefault(seen.host.filesystem(path).mount, []).append(path)
    return found


def disk(seen: Seen, _need: Any) -> list[Finding]:
    """Look at the space of the file systems that the stack writes to.

    Less than half a GiB, or than 2 GiB and 1 %: ``fail``, since databases stop, and Postfix takes no
    more mail. Less than 2 GiB and than 5 %: ``warn``.
    """
    required = "{0:g} GiB or {1:.0%} available".format(_SHORT_GIB, _SHORT_SHARE)
    findings = []
    for mount, paths in _places(seen).items():
        place = seen.host.filesystem(paths[0])
        free, share = place.available / _GIB, place.available / max(place.size, 1)
        observed = "{0:.1f} GiB ({1:.0%}) available on {2}".format(free, share, mount)
        if free < _FULL_GIB or (free < _SHORT_GIB and share < _FULL_SHARE):
            status = FAIL
        else:
            status = WARN if free < _SHORT_GIB and share < _SHORT_SHARE else OK
        fix = "du -xh -d2 {0} | sort -h | tail; old images: docker image prune -a".format(mount)
        findings.append(answer(status, observed, required, fix))
    return [item for item in findings if item.status != OK] or findings


def inodes(seen: Seen, _need: Any) -> list[Finding]:
    """Look how many more files the stack's file systems can hold; each mail is one.

    Below 5 %: ``warn``; below 1 %: ``fail``. Where they are made as needed: ``ok``.
    """
    required = "5 % of the inodes available"
    findings = []
    for mount, paths in _places(seen).items():
        place = seen.host.filesystem(paths[0])
        if not place.inodes:
            continue
        share = place.inodes_available / place.inodes
        observed = "{0:.0%} available on {1}".format(share, mount)
        status = OK if share >= 0.05 else FAIL if share < 0.01 else WARN
        fix = "Find what has so many files: du --inodes -xd2 {0} | sort -n | tail".format(mount)
        findings.append(answer(status, observed, required, fix))
    bad = [item for item in findings if item.status != OK]
    return bad or findings[:1] or [answer(OK, "made as they are needed", required)]


# What rspamd and its library say of compiled expressions that do not suit this processor.
_UNSUITABLE = re.compile(
    r"compiled for a different platform|bad hs database|cannot allocate scratch|"
    r"cannot load hyperscan|illegal instruction|SIGILL",
    re.IGNORECASE,
)
_SIGILL = 132
_COMPILED = re.compile(r"\.hs(mp|mc)?(\.unser)?\Z")

# Bits of hs_platform_info.cpu_features (hyperscan's hs_common.h), and the kernel's flags for them.
_FEATURES = (
    (1 << 2, "AVX2", ("avx2",)),
    (1 << 3, "AVX512", ("avx512f", "avx512bw")),
    (1 << 4, "AVX512VBMI", ("avx512vbmi",)),
)


def _compiled_files(seen: Seen) -> list[str]:
    """Return rspamd's compiled expressions, as paths on the host."""
    data = seen.stack["health"]["rspamd"]
    source = seen.mount(data["service"], data["directory"])
    if not source:
        return []
    names = [name for name in seen.host.listdir(source) if _COMPILED.search(name)]
    return ["{0}/{1}".format(source, name) for name in names]


def _lacking(seen: Seen, paths: Iterable[str]) -> set[str]:
    """Return what the compiled expressions ask of a processor and this one does not have."""
    flags = re.search(r"^flags\s*:(.*)$", seen.host.read("/proc/cpuinfo") or "", re.MULTILINE)
    if not flags:
        return set()  # another architecture, whose files say nothing of this
    present = set(flags.group(1).split())
    found = set()
    for path in paths:
        head = seen.host.read_bytes(path, 24) or b""
        # rspamd's own header: eight octets, then hyperscan's description of the processor.
        if head[:6] in (b"rshsre", b"rshsrv") and len(head) == 24:
            bits = int.from_bytes(head[16:24], "little")
            found.update(
                name
                for bit, name, needed in _FEATURES
                if bits & bit and not present.issuperset(needed)
            )
    return found


# Where a log line goes on with what somebody else wrote: another server's answer, a Message-ID, an
# address or a name in a login, a client's command, a web client's request. It may say what it likes,
# and must not bring about that anything is changed.
_FOREIGN = re.compile(
    r"\bsaid:|refused to talk to me:|\bid: <|=<|message-id=|subject=|"
    r"non-SMTP command from|command pipelining after|\] \"",
    re.IGNORECASE,
)


def _own_words(line: str) -> str:
    """Return the part of a log line that is the program's own."""
    return _FOREIGN.split(line, maxsplit=1)[0]


def _hyperscan_trouble(seen: Seen) -> tuple[str, list[str], set[str]]:
    """Return how bad it is (a status), what was seen of it, and what the processor lacks."""
    service = seen.stack["health"]["rspamd"]["service"]
    texts, dead = [], False
    for container in seen.containers.get(service, ()):
        ill = stack_health.ailment(container, seen.now)
        if ill and int(container["State"].get("ExitCode") or 0) == _SIGILL:
            dead = True
            texts.append("{0} ended with SIGILL".format(service))
        lines = [
            line
            for line in seen.lines.get(container["Id"], ())
            if _UNSUITABLE.search(_own_words(line))
        ]
        texts += lines[-1:]
        dead = dead or bool(lines and ill)
    lacking = _lacking(seen, _compiled_files(seen))
    if lacking:
        texts.append("they use {0}, which this processor lacks".format(", ".join(sorted(lacking))))
    return (FAIL if dead else WARN if texts else OK), texts, lacking


def hyperscan(seen: Seen, _need: Any) -> list[Finding]:
    """Look for expressions that rspamd has compiled for another processor.

    After a move to another machine it may crash on them. Its log or its end says so: ``fail`` while
    it is not well, else ``warn``. The files ask for what this processor lacks: ``warn``.
    """
    data = seen.stack["health"]["rspamd"]
    required = "compiled expressions in {0} suit this processor".format(data["directory"])
    if seen.silent:
        return _silent(required)
    status, texts, _lacks = _hyperscan_trouble(seen)
    paths = _compiled_files(seen)
    if status == OK:
        return [answer(OK, "{0} files".format(len(paths)), required)]
    if not paths:
        observed = "; ".join(texts) + "; and there are no compiled expressions to delete"
        fix = "rspamd needs SSE4.2 (x86) or NEON; ask upstream about this processor."
        return [answer(status, observed, required, fix)]
    fix = "cd {0} && rm -f *.hs *.hsmp *.hsmc *.hs.unser *.hsmp.unser *.hsmc.unser; {1}".format(
        paths[0].rpartition("/")[0], seen.command("restart " + data["service"])
    )
    return [answer(status, "; ".join(texts), required, fix)]


_INOTIFY = re.compile(r"inotify.{0,80}limit|fs\.inotify\.", re.IGNORECASE)


def inotify(seen: Seen, _need: Any) -> list[Finding]:
    """Look whether Dovecot complains of the limits of inotify.

    ``warn``: IMAP clients are not told of new mail.
    """
    required = "no complaint of a limit of inotify"
    if seen.silent:
        return _silent(required)
    lines = _lines_like(seen, _INOTIFY)
    if not lines:
        return [answer(OK, "none", required)]
    low = _low_inotify(seen)
    commands = ["sysctl -w {0}={1}".format(*item) for item in low.items()]
    fix = "; ".join(commands) or (
        "Double fs.inotify.max_user_instances and fs.inotify.max_user_watches: the stack's usual "
        "values are not enough here."
    )
    return [answer(WARN, lines[-1], required, fix)]


def _low_inotify(seen: Seen) -> dict[str, int]:
    """Return the limits of inotify that are below the stack's, with the stack's values."""
    found = {}
    for name, value in seen.stack["sysctls"].items():
        text = (seen.host.read("/proc/sys/" + name.replace(".", "/")) or "").strip()
        if name.startswith("fs.inotify.") and text.isdigit() and int(text) < value:
            found[name] = value
    return found


# -- what the logs say -----------------------------------------------------------------------------

# Where Mailu says that it has no certificate.
_CERTIFICATE_READER = "front"

# Part of a service's name, what its log says, what that means, and what to do.
_COMPLAINTS = (
    (
        "",
        r"no space left on device",
        "the disk is full for it",
        "See health.disk, and quotas of the file system.",
    ),
    (
        "netfilter",
        r"chain order",
        "another program puts its rules before mailcow's",
        (
            "Find it: iptables -S INPUT; iptables -S FORWARD. It must add its rules behind MAILCOW; the "
            "firewall role of this collection uses DOCKER-USER."
        ),
    ),
    (
        "mysql",
        r"aria (engine: )?recovery failed|cannot find checkpoint record",
        "MariaDB cannot read its log after a crash",
        (
            "Save the volume, delete aria_log.* and aria_log_control in it, start it again: "
            "https://docs.mailcow.email/troubleshooting/debug-mysql_aria/"
        ),
    ),
    (
        "acme",
        (
            r"cannot match your ip|failed to obtain certificate|no a or aaaa record|"
            r"confirmation of .* failed|too many certificates|ratelimited"
        ),
        "no certificate was issued",
        "Mend the record or port 80 that the line names, then restart acme-mailcow.",
    ),
    (
        "redis",
        r"misconf|can't save in background|failed opening the rdb",
        "Redis cannot save",
        "See health.disk and vm.overcommit_memory.",
    ),
    (
        _CERTIFICATE_READER,
        r"missing cert or key file, disabling tls|certbot.*failed|challenge failed",
        "there is no certificate",
        "Look at port 80 and at the addresses of the names in HOSTNAMES; then restart front.",
    ),
    (
        "admin",
        r"isn't doing dnssec validation",
        "its resolver does not validate DNSSEC",
        "Use the stack's own resolver, or one that validates.",
    ),
)


def _lines_like(seen: Seen, pattern: Any, part: str = "") -> list[str]:
    """Return log lines of services whose name has a part, with the name before each."""
    return [
        "{0}: {1}".format(service, line)
        for service, several in seen.containers.items()
        if part in service
        for container in several
        for line in seen.lines.get(container["Id"], ())
        if pattern.search(_own_words(line))
    ]


def logs(seen: Seen, _need: Any) -> list[Finding]:
    """Look for known complaints in the latest log lines of all containers.

    ``warn`` for each: a full disk, mailcow's chain behind another program's, a database that cannot
    recover, a certificate that is not issued, Redis that cannot save, a resolver that does not
    validate.
    """
    required = "no known complaint in the latest log lines"
    if seen.silent:
        return _silent(required)
    findings = []
    for part, pattern, what, fix in _COMPLAINTS:
        lines = _lines_like(seen, re.compile(pattern, re.IGNORECASE), part)
        # A certificate of the administrator's is looked at itself, and may be mended by now.
        if lines and (part != _CERTIFICATE_READER or _own_certificate(seen)):
            observed = "{0} ({1} lines): {2}".format(what, len(lines), lines[-1])
            findings.append(answer(WARN, observed, required, fix))
    return findings or [answer(OK, "none", required)]


# -- what can be mended without asking -------------------------------------------------------------


def fixes(seen: Seen, findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return what mends findings and is safe to do without asking.

    Args:
        seen: what was seen of the stack.
        findings: what the checks found.

    Returns:
        list: dictionaries with ``finding`` (an id), ``kind``, ``command`` (what one would type), and
        what the kind needs: ``recreate`` has ``project_src`` and ``services``; ``copy_link`` and
        ``copy_file`` have ``path``, ``target``, ``mode`` and ``services`` (to restart);
        ``remove_files`` has ``paths`` and ``services``; ``sysctl`` has ``name`` and ``value``;
        ``env_file`` has ``path``, ``absent``, ``mode``, ``secret_keys`` (not to be shown) and
        ``services`` (that run, and may need new containers). Those with ``services`` have
        ``project`` too.
    """
    bad = {item.id: item for item in findings if item.status in (WARN, FAIL)}
    found: list[dict[str, Any]] = []

    def add(check: str, kind: str, command: str, **more: Any) -> None:
        found.append(dict(more, finding=check, kind=kind, command=command))

    for name, stale in (
        ("health.image", stack_health.stale_images),
        ("health.environment", stack_health.stale_variables),
    ):
        if name in bad:
            services = sorted(stale(seen))
            add(
                name,
                "recreate",
                _up(seen, services),
                project_src=seen.path,
                project=seen.project,
                services=services,
            )
    if "health.certificate_files" in bad:
        for entry in _file_fixes(seen):
            found.append(dict(entry, command=_file_command(entry)))
    paths = _compiled_files(seen)
    if "health.hyperscan" in bad and paths:
        service = seen.stack["health"]["rspamd"]["service"]
        # One that died of them is to run again, one that was stopped on purpose is not.
        starts = bad["health.hyperscan"].status == FAIL or service in seen.running
        add(
            "health.hyperscan",
            "remove_files",
            bad["health.hyperscan"].fix,
            paths=paths,
            project=seen.project,
            services=[service] if starts else [],
        )
    if (
        "health.forwarding" in bad
        and (seen.host.read("/proc/sys/net/ipv4/ip_forward") or "").strip() == "0"
    ):
        name = "net.ipv4.ip_forward"
        add("health.forwarding", "sysctl", "sysctl -w {0}=1".format(name), name=name, value="1")
    if "health.inotify" in bad:
        for name, value in _low_inotify(seen).items():
            command = "sysctl -w {0}={1}".format(name, value)
            add("health.inotify", "sysctl", command, name=name, value=str(value))
    if "health.configuration" in bad:
        old, twice = _configuration_keys(seen)
        status = seen.host.stat(seen.env_path)
        if not _still_needed(seen, old, twice) and _is_utf8(seen):
            add(
                "health.configuration",
                "env_file",
                bad["health.configuration"].fix,
                path=seen.host.realpath(seen.env_path),
                absent=old,
                mode="{0:04o}".format(status.st_mode & 0o777 if status else 0o600),
                secret_keys=[key["name"] for key in seen.stack["keys"] if key["secret"]],
                project=seen.project,
                services=seen.running,
            )
    return found


def _is_utf8(seen: Seen) -> bool:
    """Tell whether the configuration file can be written back as it was read."""
    try:
        env_document.decode(seen.host.read_bytes(seen.env_path) or b"", seen.env_path)
    except env_document.EnvError:
        return False
    return True


_DOCKER = "https://docs.docker.com/"
_MAILCOW = "https://docs.mailcow.email/"

LOOK = (
    ("health.engine", "Container engine", _DOCKER + "engine/daemon/troubleshoot/", engine),
    (
        "health.compose",
        "Compose files",
        _DOCKER + "reference/cli/docker/compose/config/",
        compose,
    ),
    ("health.ports", "Ports of containers", _DOCKER + "engine/network/", ports),
    (
        "health.containers",
        "Containers that run",
        _DOCKER + "reference/cli/docker/compose/up/",
        containers,
    ),
    (
        "health.restarts",
        "Restart loops",
        _DOCKER + "engine/containers/start-containers-automatically/",
        restarts,
    ),
    ("health.healthy", "Health checks", _DOCKER + "reference/dockerfile/#healthcheck", healthy),
    ("health.image", "Images of containers", _DOCKER + "reference/cli/docker/compose/up/", image),
    (
        "health.environment",
        "Variables of containers",
        _DOCKER + "reference/cli/docker/compose/up/",
        environment,
    ),
    (
        "health.configuration",
        "Keys of the configuration file",
        "https://github.com/mailcow/mailcow-dockerized/blob/master/update.sh",
        configuration,
    ),
    (
        "health.network",
        "Networks of the stack",
        _DOCKER + "engine/network/drivers/bridge/",
        networks,
    ),
    (
        "health.forwarding",
        "Packets to containers",
        _DOCKER + "engine/network/packet-filtering-firewalls/",
        forwarding,
    ),
    (
        "health.connections",
        "Connections between containers",
        _DOCKER + "engine/network/drivers/bridge/",
        connections,
    ),
    (
        "health.certificate_files",
        "Files of the certificate",
        _MAILCOW + "post_installation/firststeps-ssl/",
        certificate_files,
    ),
    (
        "health.certificate",
        "Certificate",
        "https://www.rfc-editor.org/rfc/rfc9525",
        certificate_pair,
    ),
    ("health.disk", "Disk space", "https://www.postfix.org/postconf.5.html#queue_minfree", disk),
    ("health.inodes", "Inodes", "https://www.postfix.org/postconf.5.html#queue_minfree", inodes),
    (
        "health.hyperscan",
        "Compiled expressions of rspamd",
        "https://github.com/rspamd/rspamd/blob/master/src/libserver/re_cache.c",
        hyperscan,
    ),
    (
        "health.inotify",
        "Limits of inotify",
        "https://man7.org/linux/man-pages/man7/inotify.7.html",
        inotify,
    ),
    ("health.logs", "Complaints in logs", _MAILCOW + "troubleshooting/debug/", logs),
)
