# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world: one container with DNS, package archives, image registry and git server.

It serves a directory of the controller, so that what is built there is at once
to be had, and nothing need be copied.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
from collections.abc import Collection, Mapping, Sequence

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.zone
from docker.models.containers import Container

from . import data, engine, git, keys, registry, repack, rootfs, rpm, zones
from .common import HERE, LOGS, STATE, SandboxError, digest, say, step, write_if_changed

NAME = data.WORLD
ROOT = STATE / "world"
ETC = ROOT / "etc"
ZONES = ROOT / "zones"
FAULTS = ROOT / "faults"
# The records that were changed on purpose.
EDITS = STATE / "records.json"

# What the packet filter does to break the world, by fault. The order is the filter's.
FILTERS = {
    "ntp": "udp dport 123 drop",
    "smtp-filtered": "tcp dport { 25, 465 } drop",
    "smtp-refused": "tcp dport { 25, 465 } reject with tcp reset",
    "icmp": "icmp type echo-request drop; icmpv6 type echo-request drop",
    "ipv6": "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; "
    "meta nfproto ipv6 drop",
    "egress": "meta l4proto { tcp, udp } th dport { 53, 123 } accept; "
    f"ip daddr {data.WORLD_IPV4} tcp dport 80 accept; "
    f"ip6 daddr {data.WORLD_IPV6} tcp dport 80 accept; "
    "meta l4proto tcp reject with tcp reset; meta l4proto udp reject",
}
# Those of them that one host alone can have.
HOST_FILTERS = ("ntp", "smtp-filtered", "smtp-refused")
# The servers that answer 503 while a file of that name is there.
SERVERS = ("git", "registry")
FAULT_NAMES = ("dns", *FILTERS, *SERVERS)


def image() -> str:
    """Build the world's image unless it exists; returns its name."""
    start = HERE / "world" / "start"
    recipe = digest(start, data.WORLD_PACKAGES, data.WORLD_SUITE)
    name = f"{data.PREFIX}/world:{recipe}"
    if not engine.image(name):
        with step("world image"):
            tar = STATE / "cache" / "world.tar"
            hook = f'cp {start} "$1/usr/local/sbin/world-start"'
            rootfs.build(tar, data.WORLD_SUITE, data.WORLD_PACKAGES.split(), [hook])
            engine.import_image(tar, name, ('ENTRYPOINT ["/usr/local/sbin/world-start"]',))
            tar.unlink()
    return name


def _names() -> list[str]:
    """All names that the world answers for over TLS."""
    return [
        f"{owner}.{zone}".removeprefix("@.")
        for names in (data.WORLD_NAMES, data.OUTSIDE_NAMES)
        for zone, owners in names.items()
        for owner in owners
    ]


def _addresses() -> str:
    """The world's addresses beside its first, and the device that each is on."""
    lines = [f"{data.OUTSIDE_IPV4}/24 eth0", f"{data.OUTSIDE_IPV6}/64 eth0"]
    lines += [f"{receiver.ipv4}/24 eth0" for receiver in data.RECEIVERS]
    others = [*data.RESOLVERS, *(a for both in data.ROOT_SERVERS.values() for a in both)]
    lines += [f"{address}/{128 if ':' in address else 32} lo" for address in others]
    return "".join(f"{line}\n" for line in lines)


def _receivers() -> str:
    """The mail servers that refuse something: a line for smtp-sink each, see world/start."""
    lines = []
    for receiver in data.RECEIVERS:
        if receiver.reply:
            # A refusal for good, or for now, has an option of its own.
            options = "-r -b" if receiver.reply.startswith("4") else "-f -B"
            lines.append(
                f"{receiver.ipv4} {receiver.mx} {options} {receiver.refuses} {receiver.reply}"
            )
    return "".join(f"{line}\n" for line in lines)


def edits() -> dict[tuple[str, str], list[str]]:
    """The records that were changed on purpose."""
    if not EDITS.is_file():
        return {}
    return {(name, kind): values for name, kind, values in json.loads(EDITS.read_text())}


def _write_zones() -> dict[str, str]:
    """Write the zone files; returns the text of those that changed, by name of the zone."""
    texts = zones.all_zones(data.HOSTS, edits())
    zones.check(texts)
    return {
        name: text
        for name, text in texts.items()
        if write_if_changed(ZONES / zones.file_name(name), text)
    }


def _configure() -> None:
    """Write the configuration of the world's servers."""
    keys.server_certificate(ETC / "tls", [*_names(), f"world.{data.DOMAIN}"])
    write_if_changed(
        ETC / "named.conf",
        zones.server_configuration(list(zones.all_zones(data.HOSTS)), "/srv/world/zones"),
    )
    write_if_changed(ETC / "addresses", _addresses())
    write_if_changed(ETC / "receivers", _receivers())
    way_out = "web" if data.UPSTREAM else "none"
    write_if_changed(ETC / "outside", f"{data.OUTSIDE_IPV4} {data.SILENT_IPV4} {way_out}\n")
    for name in ("nginx.conf", "registry.yml", "chrony.conf"):
        write_if_changed(ETC / name, (HERE / "world" / name).read_bytes())


def build(systems: Collection[str]) -> None:
    """Build what the world serves to hosts of these systems, and is not there yet.

    The archives must be.
    """
    if not data.UPSTREAM:
        for name in systems:
            repack.docker(name)
        if any(data.SYSTEMS[name].is_el for name in systems):
            rpm.docker()
            rpm.distribution()
    git.build(ROOT / "git")
    _configure()


def build_registry() -> None:
    """Build the images that the world's registry has, unless they are there."""
    registry.build(ROOT / "registry")


def start() -> None:
    """Make sure that the world runs; what it serves must have been built."""
    wanted = image()
    recipe = digest(wanted, ETC)
    engine.network()
    FAULTS.mkdir(parents=True, exist_ok=True)
    container = engine.container(NAME)
    if container is not None:
        # The same recipe in another checkout would serve that one's files.
        served = {mount["Destination"]: mount.get("Source") for mount in container.attrs["Mounts"]}
        if served.get("/srv/world") != str(ROOT):
            say(f"the world of {engine.origin(container)} makes room for this one")
            recipe_there = None
        else:
            recipe_there = container.labels.get(f"{data.LABEL}.recipe")
        if recipe_there != recipe:
            container.remove(force=True, v=True)
            container = None
    if container is not None and container.status == "running":
        _publish(container, _write_zones())
        return
    with step("world started"):
        # A world that starts is whole.
        shutil.rmtree(FAULTS)
        FAULTS.mkdir()
        EDITS.unlink(missing_ok=True)
        _write_zones()
        if container is None:
            container = engine.create(
                NAME,
                wanted,
                (data.WORLD_IPV4, data.WORLD_IPV6),
                {
                    "Binds": [f"{ROOT}:/srv/world:ro"],
                    # It is the hosts' router.
                    "CapAdd": ["NET_ADMIN"],
                    "Sysctls": {
                        "net.ipv4.ip_forward": "1",
                        "net.ipv6.conf.all.forwarding": "1",
                        "net.ipv4.icmp_ratelimit": "0",
                        "net.ipv6.icmp.ratelimit": "0",
                    },
                    "Tmpfs": {"/run": "", "/tmp": ""},
                    "RestartPolicy": {"Name": "unless-stopped"},
                },
                hostname="world",
                more_labels={f"{data.LABEL}.recipe": recipe},
            )
        container.start()
        _wait()


def _wait(limit: float = 20.0) -> None:
    """Wait until all of the world's servers listen."""
    end = time.monotonic() + limit
    for port in (53, 80, 443):
        while True:
            try:
                socket.create_connection((data.WORLD_IPV4, port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    container = engine.container(NAME)
                    log = LOGS / "world.log"
                    write_if_changed(log, container.logs() if container else b"")
                    raise SandboxError(
                        f"the world does not answer on port {port}; see {log}"
                    ) from None
                time.sleep(0.1)


def _running() -> Container:
    """The world's container; raises SandboxError when it does not run."""
    container = engine.container(NAME)
    if container is None or container.status != "running":
        raise SandboxError("the world does not run; the verb up starts it")
    return container


def _publish(container: Container, changed: Mapping[str, str], limit: float = 5.0) -> None:
    """Have the name server read its zones again, and wait until it answers from the new ones.

    changed: text by name of the zone.
    """
    if not changed:
        return
    _signal(container, "HUP")
    end = time.monotonic() + limit
    for name, text in changed.items():
        wanted = dns.zone.from_text(text, origin=dns.name.from_text(name)).get_soa().serial
        question = dns.message.make_query(name, "SOA")
        while True:
            with contextlib.suppress(dns.exception.DNSException, OSError, IndexError):
                answer = dns.query.udp(question, data.WORLD_IPV4, timeout=0.5)
                if answer.answer[0][0].serial == wanted:
                    break
            if time.monotonic() > end:
                raise SandboxError(f"the world's name server does not answer from its new {name}")
            time.sleep(0.02)


def _signal(container: Container, signal: str) -> None:
    """Send the name server a signal."""
    if container.exec_run(["pkill", f"-{signal}", "-x", "named"]).exit_code != 0:
        raise SandboxError("the world's name server does not run")


def record(name: str, kind: str, values: Sequence[str]) -> None:
    """Change what the world's DNS answers for a name and a type, until ``reset_records``.

    name: absolute.
    values: as in a zone file; none of them means that there is no such record.
    Raises SandboxError when a name server would not take it.
    """
    key, ready = zones.edit(name, kind, values)
    container = _running()
    wanted = {**edits(), key: ready}
    zones.check(zones.all_zones(data.HOSTS, wanted))
    _keep(wanted)
    _publish(container, _write_zones())


def _keep(wanted: zones.Edits) -> None:
    """Write the records that were changed on purpose."""
    write_if_changed(EDITS, json.dumps([[*key, values] for key, values in wanted.items()]))


def reset_records(name: str = "", kind: str = "") -> None:
    """Put all records back, or those of a name and a type."""
    container = _running()
    wanted = {}
    if name:
        key, _values = zones.edit(name, kind, [])
        wanted = {each: values for each, values in edits().items() if each != key}
    _keep(wanted)
    _publish(container, _write_zones())


def faults() -> list[str]:
    """The faults that are on."""
    return sorted(p.name for p in FAULTS.glob("*") if p.name in FAULT_NAMES)


def rules(wanted: Mapping[str, Collection[str]]) -> str:
    """The packet filter's rules when faults are on, as nft reads them.

    wanted: by name of a fault, the addresses whose packets it concerns; all when there are none.
    """
    lines = []
    for name, text in FILTERS.items():
        if name in wanted:
            sources = [f"ip{'6' if ':' in a else ''} saddr {a} " for a in wanted[name]] or [""]
            lines += [source + rule for source in sources for rule in text.split("; ")]
    chain = "".join(f"        {line}\n" for line in lines)
    return (
        "table inet fault {}\ndelete table inet fault\ntable inet fault {\n"
        "    chain input {\n        type filter hook input priority 0; policy accept;\n"
        f'        iifname "lo" accept\n{chain}    }}\n}}\n'
    )


def fault(name: str, on: bool, hosts: Sequence[data.Host] = ()) -> None:
    """Break one of the world's servers on purpose, or mend it.

    name: one of FAULT_NAMES.
    hosts: for whom alone it is broken, with HOST_FILTERS; for everybody when empty.
    """
    if name not in FAULT_NAMES:
        raise SandboxError(f"there is no fault {name!r}; there are {', '.join(FAULT_NAMES)}")
    if hosts and name not in HOST_FILTERS:
        raise SandboxError(
            f"the fault {name!r} is everybody's; of one host: {', '.join(HOST_FILTERS)}"
        )
    container = _running()
    if name == "dns":
        # A process that is stopped keeps its port and stays silent, as a server that is
        # overloaded or behind a filter does.
        _signal(container, "STOP" if on else "CONT")
    FAULTS.mkdir(parents=True, exist_ok=True)
    if on:
        addresses = [address for host in hosts for address in (host.ipv4, host.ipv6)]
        (FAULTS / name).write_text("".join(f"{address}\n" for address in addresses))
    else:
        (FAULTS / name).unlink(missing_ok=True)
    if name in FILTERS:
        concerned = {each: (FAULTS / each).read_text().split() for each in faults()}
        write_if_changed(FAULTS / "rules.nft", rules(concerned))
        done = container.exec_run(["nft", "-f", "/srv/world/faults/rules.nft"])
        if done.exit_code != 0:
            raise SandboxError(f"the packet filter refused: {done.output.decode().strip()}")
