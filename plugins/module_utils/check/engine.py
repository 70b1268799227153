# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine: whose it is, its version, whether it runs, and settings that break mail.

Settings are looked at on a host without an engine too: its configuration file may wait for it.
"""

from __future__ import annotations

import re

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    docker_engine,
    engine_state,
    service_units,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.need import Need
from ansible_collections.postmaster.mailhost.plugins.module_utils.check.ports import (
    holders_of_ports,
)
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

_DOCS = "https://docs.docker.com/"

# Releases with a bug that a stack meets, and what it does there.
_BROKEN = {
    "mailu": {"24.0.0": "its name server breaks the look-up of TLSA records"},
}

# The engine's API that old clients cannot speak (from engine 29 on it is the least), and the first
# netfilter container of mailcow that can.
_API_OF_29 = (1, 44)
_NETFILTER_OF_29 = (1, 64)

# Packages that bring a Compose plugin, or the old program.
_COMPOSE_PACKAGES = ("docker-compose-plugin", "docker-compose-v2", "docker-compose")

# Where packages put the plugin; elsewhere an administrator did.
_PACKAGED = ("/usr/libexec/docker/", "/usr/lib/docker/")

_STORAGE_GOOD = ("overlay2", "overlayfs", "btrfs", "zfs")
_STORAGE_REMOVED = {"aufs": "24", "overlay": "24", "devicemapper": "25"}

# What the engine limits containers with; without devices it does not start.
_CONTROLLERS = ("cpu", "memory", "pids")


def _absent(host: Host, required: str) -> list[Finding]:
    """Return the answer for a host without any engine, nothing when there is one."""
    if engine_state.installed(host).vendor != "none":
        return []
    return [
        answer(SKIP, "not installed", required, "Nothing by hand: the docker role installs it.")
    ]


def _silent(host: Host, required: str) -> list[Finding]:
    """Return the answer for an engine that cannot be asked, nothing when it answers."""
    missing = _absent(host, required)
    if missing:
        return missing
    if not engine_state.running(host):
        fix = "Start it with: systemctl start docker. Then look again."
        return [answer(SKIP, "the engine does not run", required, fix)]
    return []


def _unset(host: Host, required: str) -> list[Finding]:
    """Return the answer for a host without engine and configuration, nothing on others."""
    path = engine_state.flags(host).get("config-file") or engine_state.CONFIG_FILE
    return [] if host.exists(path) else _absent(host, required)


def version(host: Host, need: Need) -> list[Finding]:
    """Compare the engine's version with the oldest one that the stack's scripts take.

    An older engine is a ``fail``, and a release with a known bug that the stack meets is a
    ``warn``. Of an engine that does not run the package tells the version; an engine that runs and
    does not answer is not called too old.
    """
    required = "Docker Engine {0} or newer".format(need.engine)
    missing = _absent(host, required)
    if missing:
        return missing
    found = engine_state.installed(host)
    text = engine_state.version(host)
    major = docker_engine.major(text)
    if major is None:
        if found.vendor in ("podman", "snap"):
            return [answer(SKIP, "no Docker engine of this system", required, "See engine.origin.")]
        observed = "an engine is installed, its version is not shown"
        fix = "Ask the daemon itself: dockerd --version. See also engine.daemon."
        return [answer(UNKNOWN, observed, required, fix)]
    state = "" if engine_state.running(host) else " (does not run)"
    if major < need.engine:
        fix = (
            "Install the engine from Docker's own repository; the docker role does it with "
            "docker_upgrade: true, for another maker's packages with docker_replace: true."
        )
        return [answer(FAIL, text + state, required, fix)]
    trouble = _BROKEN.get(need.stack, {}).get(text.partition("+")[0])
    if trouble:
        fix = "Upgrade the engine: run the docker role with docker_upgrade: true."
        return [answer(WARN, "{0}: {1}".format(text, trouble), required, fix)]
    return [answer(OK, text + state, required)]


def origin(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at who made the engine.

    Docker's own packages are ``ok``, and so is a distribution's engine that is new enough, with a
    remark. A distribution's old engine is a ``warn``: it lacks packet filter rules for IPv6. A
    daemon that no package brought is a ``warn``: nothing updates it. The snap keeps its data
    elsewhere and cannot read the stack's directory, and Podman's imitation of the command is
    supported by neither stack: ``fail``.
    """
    required = "Docker's own packages"
    missing = _absent(host, required)
    if missing:
        return missing
    found = engine_state.installed(host)
    if found.vendor == "snap":
        fix = "Save what is in it, then: snap remove docker. The docker role installs packages."
        return [answer(FAIL, "a snap", required, fix)]
    if found.vendor == "podman":
        name = found.package or "a program"
        fix = "Remove it ({0}); the docker role installs the engine.".format(
            "package podman-docker" if found.package else host.which("docker")
        )
        return [answer(FAIL, "Podman in place of Docker ({0})".format(name), required, fix)]
    if found.vendor == "other":
        fix = "Remove it and run the docker role, or keep it up to date by hand."
        observed = "{0}, which no known package brought".format(host.which("dockerd"))
        return [answer(WARN, observed, required, fix)]
    observed = "package {0} {1}".format(found.package, found.version).strip()
    if found.vendor == "docker":
        return [answer(OK, observed, required)]
    major = docker_engine.major(found.version)
    if major is None or major < docker_engine.ENGINE_FLOOR:
        fix = (
            "Run the docker role with docker_source: docker and docker_replace: true; containers "
            "and volumes stay."
        )
        return [answer(WARN, observed + " of the distribution, which is old", required, fix)]
    return [answer(OK, observed + " of the distribution, new enough", required)]


def daemon(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look whether the engine's service runs now and starts at boot.

    A service that failed, that is masked, or that runs and does not answer is a ``fail``. One that
    is stopped, or is not started at boot, is a ``warn``: the docker role starts it. A socket unit
    alone does not bring the containers back after a reboot.
    """
    required = "docker.service active and enabled"
    missing = _absent(host, required)
    if missing:
        return missing
    vendor = engine_state.installed(host).vendor
    if vendor in ("snap", "podman"):
        return [answer(SKIP, "no Docker engine of this system", required, "See engine.origin.")]
    try:
        units = service_units.states(host)
    except HostError:
        return [_daemon_openrc(host)]
    unit, containerd = units["docker.service"], units["containerd.service"]
    for name, state in (("docker", unit), ("containerd", containerd)):
        if state.load == "masked":
            fix = "Allow it to start: systemctl unmask {0}; systemctl enable --now {0}.".format(
                name
            )
            return [answer(FAIL, "{0}.service is masked".format(name), required, fix)]
        if state.active == "failed":
            fix = "Look why: journalctl -u {0} -n 20. Then: systemctl restart {0}.".format(name)
            return [answer(FAIL, "{0}.service failed".format(name), required, fix)]
    if not unit.present:
        if engine_state.running(host):
            observed = "dockerd runs without a unit docker.service"
            fix = "Make sure that it is started at boot; the engine's packages have the unit."
        else:
            observed = "there is no unit docker.service"
            fix = "Run the docker role: it installs the engine's packages, which have the unit."
        return [answer(WARN, observed, required, fix)]
    if unit.active == "activating":
        fix = "Wait a minute and look again; if it stays so: journalctl -u docker -n 20."
        return [answer(UNKNOWN, "docker.service is starting", required, fix)]
    enabled = unit.enabled.startswith("enabled")
    if unit.active != "active" or not enabled:
        state = "{0} and {1}".format(unit.active, unit.enabled or "not enabled")
        fix = "systemctl enable --now docker. The docker role does it."
        return [answer(WARN, "docker.service is {0}".format(state), required, fix)]
    try:
        engine_state.reply(host)
    except HostError as error:
        fix = "Run the check as root; as root: systemctl restart docker."
        if "ermission denied" in str(error):
            return [answer(UNKNOWN, str(error), required, fix)]
        fix = "Look why: journalctl -u docker -n 20. Then: systemctl restart docker."
        return [answer(FAIL, "docker.service is active; {0}".format(error), required, fix)]
    return [answer(OK, "active and enabled", required)]


def _daemon_openrc(host: Host) -> Finding:
    """Answer for a host without systemd."""
    required = "the engine runs and starts at boot"
    runs = engine_state.running(host)
    boot = bool(host.glob("/etc/runlevels/*/docker"))
    if runs and boot:
        return answer(OK, "runs, and starts at boot by OpenRC", required)
    if not host.isdir("/etc/runlevels"):
        fix = "Make sure that the service manager starts the engine at boot."
        observed = "runs; " if runs else "does not run; "
        return answer(UNKNOWN, observed + "neither systemd nor OpenRC is here", required, fix)
    observed = "runs, but does not start at boot" if runs else "does not run"
    return answer(WARN, observed, required, "rc-update add docker; rc-service docker start.")


def compose(host: Host, need: Need) -> list[Finding]:
    """Look for the Compose plugin, and compare its version with the least one.

    Too old is a ``fail``. Missing beside Docker's own packages it is a ``warn``, as the docker role
    installs it; beside another engine it is a ``fail``. The old program docker-compose 1.x beside
    a good plugin is a ``warn``: whoever calls it gets "Invalid interpolation".
    """
    required = "Compose plugin {0} or newer".format(need.compose)
    path = docker_engine.compose_plugin(host)
    old = _old_compose(host, path)
    missing = _absent(host, required)
    if missing and path is None:
        return missing if not old else [_old_compose_found(old, required)]
    vendor = engine_state.installed(host).vendor
    if path is None:
        if vendor == "docker":
            fix = "Nothing by hand: the docker role installs docker-compose-plugin."
            return [answer(WARN, "no plugin" + _beside(old), required, fix)]
        fix = "Run the docker role, with docker_replace: true for another maker's engine."
        return [answer(FAIL, "no plugin" + _beside(old), required, fix)]
    text = _compose_version(host, path)
    major = docker_engine.major(text)
    if major is None:
        fix = "Ask it: docker compose version. Install docker-compose-plugin anew if it fails."
        return [answer(UNKNOWN, "{0} does not tell its version".format(path), required, fix)]
    if major < need.compose:
        fix = "Install docker-compose-plugin from Docker's repository, or run the docker role."
        return [answer(FAIL, text, required, fix)]
    if old:
        return [_old_compose_found(old, required, "plugin {0}, ".format(text))]
    return [answer(OK, text, required)]


def _beside(old: str) -> str:
    return ", but docker-compose {0}".format(old) if old else ""


def _old_compose_found(old: str, required: str, before: str = "") -> Finding:
    return answer(
        WARN,
        "{0}docker-compose {1} beside it".format(before, old)
        if before
        else "docker-compose {0}, which cannot read the stack's files".format(old),
        required,
        "Remove the old program (apt-get remove docker-compose, or delete it from "
        "/usr/local/bin), and call docker compose with a space.",
    )


def _compose_version(host: Host, path: str) -> str:
    """Return the plugin's version: from its package, which is cheaper than to start it."""
    if path.startswith(_PACKAGED):
        packages = engine_state.installed(host).packages
        for name in _COMPOSE_PACKAGES:
            if packages.get(name):
                return str(packages[name]).rpartition(":")[2].partition("-")[0]
    result = host.run([path, "version", "--short"], timeout=10)
    return result.stdout.strip() if result.rc == 0 else ""


def _old_compose(host: Host, plugin: str | None) -> str:
    """Return the version of the old program docker-compose; empty when there is none.

    What is a link to the plugin, or is version 2, is no old one.
    """
    path = host.which("docker-compose")
    if path is None or (plugin and host.realpath(path) == host.realpath(plugin)):
        return ""
    packaged = engine_state.installed(host).packages.get("docker-compose")
    if packaged and path.startswith("/usr/bin"):
        text = str(packaged)
    else:
        text = host.run([path, "version", "--short"], timeout=10).stdout.strip()
    major = docker_engine.major(text)
    return text if major == 1 else ""


def api(host: Host, need: Need) -> list[Finding]:
    """Look whether what is installed of the stack can speak to the engine.

    From engine 29 on clients older than API 1.44 are refused. A mailcow whose netfilter container
    is older than that ends in a loop of restarts: ``fail``.
    """
    required = "an engine that the installed stack can speak to"
    found = _silent(host, required)
    if found:
        return found
    text = str(engine_state.reply(host).get("MinAPIVersion") or "")
    least = _numbers(text)
    if not least:
        fix = "Ask it: docker version."
        return [answer(UNKNOWN, "the engine does not tell its least API", required, fix)]
    observed = "API {0} and newer".format(text)
    if least < _API_OF_29 or need.stack != "mailcow":
        return [answer(OK, observed, required)]
    compose_file = host.read(need.install_path + "/docker-compose.yml") or ""
    image = re.search(r"/netfilter:(\d+\.\d+)", compose_file)
    if image and _numbers(image.group(1)) < _NETFILTER_OF_29:
        observed += ", netfilter container {0}".format(image.group(1))
        fix = "Update mailcow: cd {0} && ./update.sh.".format(need.install_path)
        return [answer(FAIL, observed, required, fix)]
    return [answer(OK, observed, required)]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def configuration(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Read the daemon's configuration file as the daemon does.

    A file that is no JSON object, a key with a value of the wrong type, and a key that stands on
    the daemon's command line too each keep the daemon from starting: ``fail``.
    """
    required = "a daemon.json that the daemon can start with"
    path = engine_state.flags(host).get("config-file") or engine_state.CONFIG_FILE
    if not host.exists(path):
        missing = _absent(host, required)
        return missing or [answer(OK, "no {0}: defaults".format(path), required)]
    if host.read_bytes(path) is None:
        return [answer(UNKNOWN, "cannot read {0}".format(path), required, "Run it as root.")]
    from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_daemon

    fix = "Correct {0}, then: systemctl restart docker.".format(path)
    try:
        settings = engine_state.settings(host)
        docker_daemon.normalize(settings.file, path)
    except (HostError, docker_daemon.DaemonConfigError) as error:
        return [answer(FAIL, str(error), required, fix)]
    twice = sorted(set(settings.file) & set(settings.flags))
    if twice:
        observed = "{0} both in {1} and on the daemon's command line".format(", ".join(twice), path)
        fix = "Take {0} out of {1}, then: systemctl restart docker.".format(", ".join(twice), path)
        return [answer(FAIL, observed, required, fix)]
    return [answer(OK, path + " is well-formed", required)]


def iptables(host: Host, need: Need) -> list[Finding]:
    """Look whether the engine is kept from making packet filter rules.

    Without its rules each client seems to come from the bridge's own address, which mail servers
    trust: ``iptables: false`` is a ``fail``, and so is ``ip6tables: false`` where the stack has
    IPv6. Elsewhere the latter is a ``warn``.
    """
    required = "the engine makes its own packet filter rules"
    missing = _unset(host, required)
    if missing:
        return missing
    settings = engine_state.settings(host)
    fix = "Remove {0} from {1}, then: systemctl restart docker."
    if settings.values.get("iptables") is False:
        where = settings.place("iptables")
        observed = "iptables is false in {0}: an open relay".format(where)
        return [answer(FAIL, observed, required, fix.format("iptables", where))]
    if settings.values.get("ip6tables") is False:
        where = settings.place("ip6tables")
        observed = "ip6tables is false in {0}".format(where)
        if need.ipv6:
            observed += ": every port of the containers is open to IPv6"
        fix = "Set ip6tables: true in daemon.json instead, then: systemctl restart docker."
        return [answer(FAIL if need.ipv6 else WARN, observed, required, fix)]
    return [answer(OK, "not forbidden", required)]


def firewall_backend(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at what the engine makes its rules with.

    The nftables backend (engine 29 and newer, experimental) has no chain DOCKER-USER, so bans and
    rules in it have no effect: ``warn``. An older engine does not know the setting and does not
    start: ``fail``.
    """
    required = "the iptables backend, which has the chain DOCKER-USER"
    missing = _unset(host, required)
    if missing:
        return missing
    settings = engine_state.settings(host)
    if engine_state.backend(host) == "iptables":
        return [answer(OK, "iptables", required)]
    where = settings.place("firewall-backend")
    major = docker_engine.major(engine_state.version(host))
    fix = "Remove firewall-backend from {0}, then: systemctl restart docker.".format(where)
    if major is not None and major < 29:
        observed = "nftables in {0}, which engine {1} does not know".format(where, major)
        return [answer(FAIL, observed, required, fix)]
    observed = "nftables: there is no chain DOCKER-USER"
    fix += " Or keep own rules and bans in an nftables table of their own, hooked before Docker's."
    return [answer(WARN, observed, required, fix)]


def userland_proxy(host: Host, need: Need) -> list[Finding]:
    """Look at the setting ``userland-proxy``.

    Without the helper mailcow's isolation rule may cut the loopback ports of database and Redis
    off: ``warn`` there. For Mailu it is ``ok``, as its authors ask for it with IPv6.
    """
    required = "the ports on the loopback interface answer"
    missing = _unset(host, required)
    if missing:
        return missing
    settings = engine_state.settings(host)
    if settings.values.get("userland-proxy") is not False:
        return [answer(OK, "userland-proxy is on, the default", required)]
    if need.stack != "mailcow":
        return [answer(OK, "userland-proxy is off", required)]
    where = settings.place("userland-proxy")
    fix = (
        "Try the loopback ports when the stack runs (nc -z 127.0.0.1 13306). If they do not "
        "answer, remove userland-proxy from {0} and: systemctl restart docker.".format(where)
    )
    return [answer(WARN, "userland-proxy is false in " + where, required, fix)]


def userns_remap(host: Host, need: Need) -> list[Finding]:
    """Look whether users of containers are mapped to others.

    mailcow has containers on the host's network and privileged ones, which the engine then
    refuses: ``fail``. For other stacks it is a ``warn``: files get other owners.
    """
    required = "userns-remap is not set"
    missing = _unset(host, required)
    if missing:
        return missing
    settings = engine_state.settings(host)
    value = str(settings.values.get("userns-remap") or "")
    active = "userns" in _security(host)
    if not value and not active:
        return [answer(OK, "not set", required)]
    where = settings.place("userns-remap")
    fix = "Remove userns-remap from {0}, then: systemctl restart docker.".format(where)
    observed = "userns-remap is {0} in {1}".format(value, where) if value else "it is in force"
    return [answer(FAIL if need.stack == "mailcow" else WARN, observed, required, fix)]


def rootless(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Refuse an engine that runs without root's rights.

    It cannot make packet filter rules on the host, and clients' addresses are lost: ``fail``. One
    that some user runs beside the system's own engine is left alone.
    """
    required = "an engine of root's"
    fix = (
        "Use the system's engine: as the user, dockerd-rootless-setuptool.sh uninstall; as root, "
        "systemctl enable --now docker."
    )
    if "rootless" in _security(host):
        return [answer(FAIL, "the engine at its usual socket is rootless", required, fix)]
    if "1" not in host.listdir("/proc"):
        return [answer(UNKNOWN, "processes are hidden", required, "Run the check as root.")]
    if not engine_state.rootless(host):
        return [answer(OK, "no rootless engine", required)]
    if engine_state.running(host) or engine_state.installed(host).vendor == "none":
        return [answer(OK, "a user's rootless engine, not the system's", required)]
    observed = "only a user's rootless engine runs"
    return [answer(FAIL, observed, required, fix)]


def _security(host: Host) -> list[str]:
    """Return the names of the engine's security options; none while it does not answer."""
    try:
        options = engine_state.info(host).get("SecurityOptions") or []
    except HostError:
        return []
    return [str(option).partition("name=")[2].partition(",")[0] for option in options]


def swarm(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Refuse an engine that is part of a swarm.

    Neither stack runs as a swarm's service. Its ports may be published by the swarm's own load
    balancer, behind which every client has the same address: ``warn``.
    """
    required = "no swarm"
    found = _silent(host, required)
    if found:
        return found
    state = str((engine_state.info(host).get("Swarm") or {}).get("LocalNodeState") or "inactive")
    if state == "inactive":
        return [answer(OK, "no swarm", required)]
    fix = "If nothing else needs it: docker swarm leave --force. Or use another server."
    return [answer(WARN, "the engine is in a swarm ({0})".format(state), required, fix)]


def storage_driver(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look at how the engine stores images.

    The overlay drivers, btrfs and zfs are ``ok``. A slow driver, or one that newer engines no longer
    have, is a ``warn``. A file system that cannot tell the type of directory entries loses files
    under the overlay driver: ``fail``.
    """
    required = "overlay2 or overlayfs"
    found = _silent(host, required)
    if found:
        return found
    info = engine_state.info(host)
    driver = str(info.get("Driver") or "")
    details = {str(row[0]): str(row[1]) for row in info.get("DriverStatus") or [] if len(row) > 1}
    if details.get("Supports d_type") == "false":
        fix = "Move the engine's directory to ext4, or to XFS made with ftype=1."
        observed = "{0} on {1} without d_type".format(
            driver, details.get("Backing Filesystem", "?")
        )
        return [answer(FAIL, observed, required, fix)]
    if driver in _STORAGE_GOOD:
        return [answer(OK, driver, required)]
    fix = (
        "Save the volumes, set storage-driver: overlay2 in daemon.json, then: systemctl restart "
        "docker. Images are fetched anew."
    )
    if driver in _STORAGE_REMOVED:
        observed = "{0}, which engine {1} no longer has".format(driver, _STORAGE_REMOVED[driver])
    elif driver == "vfs":
        observed = "vfs, which copies whole images for each container"
    else:
        observed = driver or "not told"
    return [answer(WARN, observed, required, fix)]


def cgroups(host: Host, need: Need) -> list[Finding]:  # noqa: ARG001 - as every check
    """Look for the kernel's control groups, without which no container starts.

    Either version will do, version 2 is the present one. None mounted, or version 1 without its
    devices controller, is a ``fail``. A missing controller for memory, processor or number of
    processes is a ``warn``: limits of containers are then not kept.
    """
    required = "control groups mounted"
    text = host.read("/proc/mounts")
    if text is None:
        return [answer(UNKNOWN, "cannot read /proc/mounts", required, "Run the check as root.")]
    first, second = set(), ""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 4 or not fields[1].startswith("/sys/fs/cgroup"):
            continue
        if fields[2] == "cgroup":
            first.update(fields[3].split(","))
        elif fields[2] == "cgroup2":
            second = fields[1]
    unified = second == "/sys/fs/cgroup"
    if not unified and "devices" not in first:
        fix = "Mount them: systemd does it at boot; with OpenRC: rc-update add cgroups boot."
        observed = "version 1 without devices" if first else "none mounted"
        return [answer(FAIL, observed, required, fix)]
    there = first
    if unified:
        there = set((host.read("/sys/fs/cgroup/cgroup.controllers") or "").split())
        if not there:
            fix = "Look by hand: cat /sys/fs/cgroup/cgroup.controllers."
            return [answer(UNKNOWN, "version 2, controllers not shown", required, fix)]
    lacking = [name for name in _CONTROLLERS if name not in there]
    observed = "version {0}{1}".format(
        2 if unified else 1, " beside version 2" if second and not unified else ""
    )
    if lacking:
        fix = (
            "Take cgroup_disable from the kernel's command line (cat /proc/cmdline), or add "
            "cgroup_enable=memory, and reboot."
        )
        return [answer(WARN, observed + " without " + ", ".join(lacking), required, fix)]
    return [answer(OK, observed, required)]


def ipv6_relay(host: Host, need: Need) -> list[Finding]:
    """Look for the open relay by IPv6.

    Where the host has a global IPv6 address and the stack's network has none, the engine's helper
    hands IPv6 clients on with the bridge's own address, which mail servers trust. Ports that are
    held like this now, or that are set to be, are a ``fail``. Not held yet with addresses that
    stand in the stack's own Compose file, it is a ``warn``. It is ``ok`` with an IPv6 network that
    the engine filters, with ports bound to IPv4 addresses only, and without the helper
    (``userland-proxy: false``).
    """
    required = "no IPv6 client appears with an address that the stack trusts"
    addresses = [need.public_ipv6] if need.public_ipv6 else _global_ipv6(host)
    if not addresses:
        return [answer(OK, "the host has no global IPv6 address", required)]
    settings = engine_state.settings(host)
    if settings.values.get("userland-proxy") is False:
        return [answer(OK, "userland-proxy is off", required)]
    public = {port.number: port for port in need.ports if port.public and port.protocol == "tcp"}
    network = _stack_network(host, need)
    if network is None:
        open_ports = sorted(number for number, port in public.items() if not port.ipv4_only)
        if not open_ports:
            return [answer(OK, "ports are bound to IPv4 addresses only", required)]
        return [_ipv6_planned(host, need, addresses[0], open_ports)]
    held = sorted(
        {
            listener.port
            for listener in holders_of_ports(host, need)
            if listener.port in public
            and listener.process in ("docker-proxy", "dockerd")
            and ":" in listener.address
        }
    )
    if not held:
        return [answer(OK, "the stack's ports are not held for IPv6", required)]
    if network.get("EnableIPv6") and engine_state.filters_ipv6(host):
        return [answer(OK, "the stack's network has IPv6, and the engine filters it", required)]
    return [_ipv6_open(need, bool(network.get("EnableIPv6")), held)]


def _ipv6_open(need: Need, routed: bool, held: list[int]) -> Finding:
    """Answer for ports that are held for IPv6 now."""
    ports = ", ".join(map(str, held))
    if routed:
        return answer(
            FAIL,
            "the network has IPv6 and ip6tables is off; held: {0}".format(ports),
            "no IPv6 client appears with an address that the stack trusts",
            "Set ip6tables: true in daemon.json (the docker role does it with docker_ipv6: true), "
            "then: systemctl restart docker.",
        )
    return answer(
        FAIL,
        "{0} held for IPv6, the network has none: clients appear as its gateway".format(ports),
        "no IPv6 client appears with an address that the stack trusts",
        _IPV6_FIX.format(_ipv6_setting(need)),
    )


_IPV6_FIX = (
    "Do one of these: give the stack IPv6 ({0}, and the docker role with docker_ipv6: true); bind "
    "its ports to IPv4 addresses, such as 0.0.0.0:25; set userland-proxy: false in daemon.json."
)


def _ipv6_setting(need: Need) -> str:
    return {"mailcow": "ENABLE_IPV6: true", "mailu": "SUBNET6"}.get(need.stack, "its network")


def _ipv6_planned(host: Host, need: Need, address: str, ports: list[int]) -> Finding:
    """Answer for a stack that does not run yet."""
    required = "no IPv6 client appears with an address that the stack trusts"
    if need.ipv6:
        if engine_state.filters_ipv6(host):
            return answer(OK, "the stack will have IPv6, and the engine filters it", required)
        return answer(
            WARN,
            "the stack will have IPv6, for which this engine makes no rules yet",
            required,
            "Nothing by hand: the docker role sets ip6tables. Without it: ip6tables: true and "
            "experimental: true in daemon.json, then: systemctl restart docker.",
        )
    # Where the ports have no setting, their addresses stand in the stack's Compose file.
    movable = any(port.variable for port in need.ports)
    return answer(
        FAIL if movable else WARN,
        "the host has {0}, the stack no IPv6, and {1} would be open on all addresses".format(
            address, ", ".join(map(str, ports))
        ),
        required,
        _IPV6_FIX.format(_ipv6_setting(need)),
    )


def _stack_network(host: Host, need: Need) -> dict | None:
    """Return what the engine says of the stack's network; None while there is none."""
    if not engine_state.running(host):
        return None
    names = [network.name for network in need.networks]
    return next((item for item in engine_state.networks(host) if item.get("Name") in names), None)


def _global_ipv6(host: Host) -> list[str]:
    """Return the addresses of the host that the world can reach (2000::/3), not the bridges'."""
    import ipaddress

    text = host.read("/proc/net/if_inet6")
    if text is None and not host.listdir("/proc/net"):
        raise HostError("cannot read /proc/net/if_inet6")
    found = []
    for line in (text or "").splitlines():
        fields = line.split()
        own = len(fields) == 6 and not fields[5].startswith(("docker", "br-", "veth"))
        # Scope 00 is global; 2000::/3 is what the world routes.
        if own and fields[3] == "00" and fields[0][0] in "23":
            found.append(str(ipaddress.IPv6Address(bytes.fromhex(fields[0]))))
    return found


LOOK = (
    ("engine.origin", "Origin of the engine", "install", origin),
    ("engine.version", "Version of the engine", "install", version),
    ("engine.daemon", "Service of the engine", _DOCS + "engine/daemon/troubleshoot/", daemon),
    ("engine.compose", "Compose plugin", "install", compose),
    ("engine.api", "API of the engine", _DOCS + "reference/api/engine/", api),
    (
        "engine.configuration",
        "Configuration of the engine",
        _DOCS + "reference/cli/dockerd/#daemon-configuration-file",
        configuration,
    ),
    (
        "engine.iptables",
        "Packet filter rules of the engine",
        _DOCS + "engine/network/packet-filtering-firewalls/",
        iptables,
    ),
    (
        "engine.firewall_backend",
        "Firewall backend",
        _DOCS + "engine/network/firewall-nftables/",
        firewall_backend,
    ),
    (
        "engine.userland_proxy",
        "Userland proxy",
        _DOCS + "reference/cli/dockerd/#daemon-configuration-file",
        userland_proxy,
    ),
    (
        "engine.userns_remap",
        "Mapped users",
        _DOCS + "engine/security/userns-remap/",
        userns_remap,
    ),
    ("engine.rootless", "Rootless engine", _DOCS + "engine/security/rootless/", rootless),
    ("engine.swarm", "Swarm", "install", swarm),
    (
        "engine.storage_driver",
        "Storage driver",
        _DOCS + "engine/storage/drivers/select-storage-driver/",
        storage_driver,
    ),
    ("engine.cgroups", "Control groups", _DOCS + "engine/containers/runmetrics/", cgroups),
    ("engine.ipv6_relay", "Open relay by IPv6", "ipv6", ipv6_relay),
)
