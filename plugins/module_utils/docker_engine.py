# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine of a host: who made it, which versions, does it run; and who may install it.

In a fixture tree the engine's answers stand in ``host.json`` among the commands, as
``docker-api GET /version``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils import host_info
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

PID_FILE = "/run/docker.pid"

#: Packages of each source and distribution family. What is in ``docker`` is installed together.
#: https://docs.docker.com/engine/install/debian/ and https://docs.docker.com/engine/install/rhel/
PACKAGES = {
    ("docker", "debian"): [
        "docker-ce",
        "docker-ce-cli",
        "containerd.io",
        "docker-compose-plugin",
    ],
    ("docker", "redhat"): [
        "docker-ce",
        "docker-ce-cli",
        "containerd.io",
        "docker-compose-plugin",
    ],
    ("distribution", "debian"): ["docker.io", "docker-cli", "docker-compose"],
    ("distribution", "ubuntu"): ["docker.io", "docker-compose-v2"],
}

#: Packages that cannot stay beside those of a source, as Docker's documentation lists them, and as
#: the packages themselves declare it in Conflicts.
FOREIGN = {
    ("docker", "debian"): [
        "docker.io",
        "docker-cli",
        "docker-compose",
        "docker-compose-v2",
        "docker-doc",
        "podman-docker",
        "containerd",
        "runc",
    ],
    ("docker", "redhat"): [
        "docker",
        "docker-client",
        "docker-common",
        "docker-engine",
        "podman-docker",
        "runc",
    ],
    ("distribution", "debian"): [
        "docker-ce",
        "docker-ce-cli",
        "containerd.io",
        "docker-compose-plugin",
        "docker-buildx-plugin",
        "podman-docker",
    ],
}

#: The packages whose presence says who made the engine, in the order of asking.
MAKERS = (
    ("docker-ce", "docker"),
    ("docker.io", "distribution"),
    ("moby-engine", "distribution"),
    ("podman-docker", "podman"),
)

#: Docker's own repository: the folder of each distribution, and the key of each family.
#: https://docs.docker.com/engine/install/
REPOSITORY_FOLDERS = {
    "debian": "debian",
    "ubuntu": "ubuntu",
    "rhel": "rhel",
    "fedora": "fedora",
    # Rebuilds of Red Hat's system: what is built for CentOS Stream is documented to run on them.
    "centos": "centos",
    "almalinux": "centos",
    "rocky": "centos",
    "ol": "centos",
}
KEY_FINGERPRINTS = {
    "debian": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    "redhat": "060A61C51B558A7F742B77AAC52FEB6B621E9F35",
}

#: Where the client looks for its plugins, in its order; that of a user comes first.
PLUGIN_DIRECTORIES = (
    "/root/.docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)

#: What the container stacks need (https://docs.mailcow.email/getstarted/install/ for both).
ENGINE_FLOOR = 24
COMPOSE_FLOOR = 2

#: Releases whose own packages stay below the floors: versions of the engine and of Compose.
#: Elsewhere the versions are looked at once they are installed.
#: https://packages.debian.org/docker.io and https://packages.debian.org/docker-compose
TOO_OLD = {
    ("debian", "11"): ("20.10.5", "1.25.0"),
    ("debian", "12"): ("20.10.24", "1.29.2"),
}


def refusal(source: str, distribution: dict[str, Any]) -> str:
    """Say why an engine of this source cannot serve a container stack on this distribution.

    Args:
        source: ``docker`` (Docker's own repository) or ``distribution``.
        distribution: what :func:`host_info.distribution` returned.

    Returns:
        str: a sentence with the reason; "" when nothing is known against it.
    """
    family = distribution["family"]
    if family not in (host_info.DEBIAN, host_info.REDHAT):
        return (
            "{0} is neither of Debian's nor of Red Hat's family, for which packages exist".format(
                distribution["name"] or "this system"
            )
        )
    if source == "docker":
        if distribution["id"] in REPOSITORY_FOLDERS:
            return ""
        return "Docker's repository has no packages for {0}; it has for: {1}".format(
            distribution["name"], ", ".join(sorted(REPOSITORY_FOLDERS))
        )
    advice = "; use docker_source: docker"
    if family == host_info.REDHAT:
        return (
            "{0} has no Docker engine of its own, only Podman, which the stacks do not "
            "support{1}".format(distribution["name"], advice)
        )
    versions = TOO_OLD.get((distribution["id"], distribution["version"]))
    if versions is None:
        return ""
    return (
        "the Docker engine of {0} is {1} and its Compose {2}; the stacks need at least {3} and "
        "{4}{5}".format(
            distribution["name"], versions[0], versions[1], ENGINE_FLOOR, COMPOSE_FLOOR, advice
        )
    )


def package_names(source: str, distribution: dict[str, Any]) -> list[str]:
    """Return the packages to install; none where :func:`refusal` has a reason."""
    if source == "distribution" and "ubuntu" in [distribution["id"], *distribution["like"]]:
        return list(PACKAGES["distribution", "ubuntu"])
    return list(PACKAGES.get((source, distribution["family"]), []))


def known_packages() -> list[str]:
    """Return every package that an engine comes in, or that stands in another one's way."""
    groups = list(PACKAGES.values()) + list(FOREIGN.values()) + [[name for name, _maker in MAKERS]]
    return sorted({name for group in groups for name in group})


def plan(
    host: dict[str, Any],
    source: str = "docker",
    version: str = "",
    replace: bool = False,
    repository_url: str = "https://download.docker.com/linux",
) -> dict[str, Any]:
    """Decide what has to be installed on a host.

    Args:
        host: what the module ``host_info`` returned for ``system`` and ``docker``.
        source: ``docker`` or ``distribution``.
        version: the engine's version or its beginning, such as ``28`` or ``26.1``; "" for any.
        replace: whether packages of another source may be removed.
        repository_url: where Docker's repository is, without the distribution's folder.

    Returns:
        dict: ``refusal`` (a sentence, "" when it can be done), ``install`` (specifications for the
        package manager, of which ``missing`` are not there), ``remove`` (packages in the way that
        are installed), and ``repository`` (options for ``package_repository``; empty when the
        distribution is the source).

    Raises:
        ValueError: ``source`` or ``version`` is not one that is allowed.
    """
    if source not in ("docker", "distribution"):
        raise ValueError("docker_source is {0!r}; allowed: docker, distribution".format(source))
    if version and not re.match(r"^[0-9][A-Za-z0-9.:+~_-]*$", version):
        raise ValueError(
            "docker_version is {0!r}; allowed: a version or its beginning, such as 28 or "
            "26.1".format(version)
        )
    system, docker = host["system"]["distribution"], host["docker"]
    installed = docker["packages"]
    names = package_names(source, system)
    in_the_way = [
        name for name in FOREIGN.get((source, system["family"]), []) if installed.get(name)
    ]
    # containerd.io and docker.io bring these along; a package's own parts are not in its way.
    in_the_way = [name for name in in_the_way if name not in names]
    install = [_specification(name, version, source, system["family"]) for name in names]
    missing = [
        entry
        for name, entry in zip(names, install)
        if not installed.get(name) or (name != entry and not _matches(installed[name], version))
    ]
    reason = refusal(source, system) or _in_the_way(source, docker, in_the_way, replace)
    if not reason and host["system"]["service_manager"] != "systemd":
        reason = (
            "systemd does not run here ({0} does); Docker's packages start it with that".format(
                host["system"]["service_manager"] or "nothing known"
            )
        )
    return {
        "refusal": reason,
        "install": install,
        "missing": missing,
        "remove": in_the_way,
        "repository": _repository(host, repository_url) if source == "docker" else {},
    }


def shortfall(docker: dict[str, Any]) -> str:
    """Say what keeps an installed engine from serving a container stack.

    Args:
        docker: what :func:`info` returned.

    Returns:
        str: a sentence; "" when engine and Compose are new enough.
    """
    engine, compose = major(docker["version"]), major(docker["compose_version"])
    if engine is None:
        return "there is no Docker engine whose version can be found out"
    if engine < ENGINE_FLOOR:
        return "the Docker engine has version {0}; the stacks need at least {1}".format(
            docker["version"], ENGINE_FLOOR
        )
    if compose is None:
        return "the Compose plugin is missing: 'docker compose version' does not answer"
    if compose < COMPOSE_FLOOR:
        return "Compose has version {0}; the stacks need at least {1}".format(
            docker["compose_version"], COMPOSE_FLOOR
        )
    return ""


def _in_the_way(source: str, docker: dict[str, Any], names: list[str], replace: bool) -> str:
    """Say why what is installed already keeps a source's engine from being installed."""
    if docker["vendor"] == "snap":
        return (
            "Docker is installed as a snap, which keeps its data elsewhere and cannot serve the "
            "stacks; save what you need and remove it with: snap remove docker"
        )
    if docker["vendor"] == "other":
        return (
            "there is a Docker engine at {0} that no known package brought; remove it, or set up "
            "Docker by hand and leave this role out".format(docker["daemon"])
        )
    if names and not replace:
        return (
            "packages of another source are installed: {0}. They cannot stay beside those of "
            "docker_source: {1}; set docker_replace: true to have them removed (containers and "
            "volumes in /var/lib/docker stay)".format(", ".join(names), source)
        )
    return ""


def _repository(host: dict[str, Any], url: str) -> dict[str, Any]:
    """Return the options of package_repository for Docker's repository; empty where it has none."""
    system = host["system"]["distribution"]
    folder = REPOSITORY_FOLDERS.get(system["id"])
    if folder is None:
        return {}
    if folder == "centos" and system["id"] != "centos" and str(system["version"]).startswith("8"):
        # CentOS Stream 8 has ended, and with it what is built for it; Red Hat's 8 has not.
        folder = "rhel"
    base = "{0}/{1}".format(url.rstrip("/"), folder)
    common = {
        "key_url": base + "/gpg",
        "key_fingerprint": KEY_FINGERPRINTS[system["family"]],
    }
    if system["family"] == host_info.REDHAT:
        uris = [base + "/$releasever/$basearch/stable"]
        return dict(common, kind="yum", uris=uris, suites=[], components=[], architectures=[])
    return dict(
        common,
        kind="apt",
        uris=[base],
        suites=[system["codename"]],
        components=["stable"],
        architectures=[host["system"]["architecture"]["debian"]],
    )


def _specification(name: str, version: str, source: str, family: str) -> str:
    """Return a package with the wanted version, if it is one whose version is the engine's."""
    if not version or name not in ("docker-ce", "docker-ce-cli", "docker.io", "docker-cli"):
        return name
    if re.search(r"[:~]", version):  # a package's whole version
        return name + ("-" if family == host_info.REDHAT else "=") + version
    pattern = version + (".*" if version.count(".") < 2 else "*")
    if family == host_info.REDHAT:
        return "{0}-{1}".format(name, pattern)
    # Docker's packages have had epoch 5 since 18.09, so that they are newer than what came before.
    return "{0}={1}{2}".format(name, "5:" if source == "docker" else "", pattern)


def _matches(installed: str, version: str) -> bool:
    """Tell whether a package's version is, or begins with, the wanted one."""
    if installed == version:
        return True
    upstream = installed.partition(":")[2] or installed
    return upstream == version or (
        upstream.startswith(version) and upstream[len(version)] in ".-+~"
    )


def info(host: Host) -> dict[str, Any]:
    """Return what there is of Docker.

    Returns:
        dict: ``vendor`` (``docker``, ``distribution``, ``snap``, ``podman``, ``other``, ``none``),
        ``command`` and ``daemon`` (paths or None), ``running`` (does the engine answer),
        ``version`` (of the engine that answers, else of the one installed), ``installed_version``,
        ``api_version``, ``compose_version`` (of the plugin), ``service`` with ``active`` and
        ``enabled``, and ``packages`` (versions by name). What is not there is None.
    """
    command, daemon = host.which("docker"), host.which("dockerd")
    installed = host_info.packages(host, known_packages())
    vendor = next((maker for name, maker in MAKERS if installed[name]), "")
    if not vendor:
        if host.exists("/snap/bin/docker") or host.exists("/var/snap/docker"):
            vendor = "snap"
        else:
            vendor = "other" if daemon else "none"
    found: dict[str, Any] = {
        "vendor": vendor,
        "command": command,
        "daemon": daemon,
        "running": False,
        "version": None,
        "installed_version": None,
        "api_version": None,
        "compose_version": None,
        "service": {"active": False, "enabled": False},
        "packages": installed,
    }
    if vendor == "none":
        return found
    # Each takes some 30 ms, most of it waiting: at the same time.
    calls = {}
    if daemon:
        calls["daemon"] = [daemon, "--version"]
    plugin = compose_plugin(host)
    if plugin:
        calls["compose"] = [plugin, "version", "--short"]
    if host_info.service_manager(host) == "systemd":
        properties = "--property=ActiveState,UnitFileState"
        calls["service"] = ["systemctl", "show", properties, "docker.service"]
    output = _run_all(host, calls)
    found["installed_version"] = version_in(output.get("daemon", ""))
    compose = re.match(r"v?(\d+\.\d\S*)", output.get("compose", ""))
    found["compose_version"] = compose.group(1) if compose else None
    state = output.get("service", "").splitlines()
    found["service"] = {
        "active": "ActiveState=active" in state,
        "enabled": "UnitFileState=enabled" in state,
    }
    # systemd starts a stopped engine for whoever connects to its socket. Looking must not do that.
    answer = ask(host, "/version") if started(host) is not None else None
    if isinstance(answer, dict):
        found["running"] = True
        found["api_version"] = answer.get("ApiVersion")
    found["version"] = (
        answer.get("Version") if isinstance(answer, dict) else found["installed_version"]
    )
    return found


def compose_plugin(host: Host) -> str | None:
    """Return the path of the Compose plugin that the client takes, None when there is none."""
    for directory in PLUGIN_DIRECTORIES:
        path = directory + "/docker-compose"
        if host.exists(path):
            return path
    return None


def version_in(text: str) -> str | None:
    """Return the version in the output of ``dockerd --version``, None when there is none."""
    match = re.search(r"\bversion (\d+\.\d+[^,\s]*)", text)
    return match.group(1) if match else None


def major(version: str | None) -> int | None:
    """Return a version's first number, None when it is not known."""
    match = re.match(r"v?(\d+)\b", version or "")
    return int(match.group(1)) if match else None


def ask(host: Host, path: str) -> Any:
    """Ask the engine over its socket, which takes milliseconds where its client takes a hundred.

    Args:
        host: the host.
        path: of Docker's API, for example ``/version``.

    Returns:
        the decoded JSON; None when no engine answers, or not with success.
    """
    if not host.real:
        recorded = host.run(["docker-api", "GET", path])
        return json.loads(recorded.stdout) if recorded.rc == 0 else None
    # Not needed where no engine runs.
    from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_api

    try:
        return docker_api.DockerApi().ask(path)
    except (docker_api.DockerError, ValueError):
        return None


def started(host: Host) -> float | None:
    """Return when the daemon was started, in seconds since the epoch; None when it does not run.

    It writes its PID file when it starts. The time in /proc would do as well, were it not counted
    from a boot time in whole seconds.
    """
    pid = (host.read(PID_FILE) or "").strip()
    status = host.stat(PID_FILE)
    # After a crash the file stays, and the number may be another process' by now.
    comm = host.read("/proc/{0}/comm".format(pid)) if pid.isdigit() else None
    if status is None or (comm or "").strip() != "dockerd":
        return None
    return status.st_mtime


def _run_all(host: Host, calls: dict[str, list[str]]) -> dict[str, str]:
    """Run programs at the same time; return the output of those that succeeded."""
    from concurrent.futures import ThreadPoolExecutor

    if not calls:
        return {}
    with ThreadPoolExecutor(len(calls)) as pool:
        running = {name: pool.submit(host.run, argv) for name, argv in calls.items()}
        results = {name: future.result() for name, future in running.items()}
    return {name: result.stdout for name, result in results.items() if result.rc == 0}
