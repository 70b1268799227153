# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disposable hosts: their images, their making and unmaking."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from docker.models.containers import Container

from . import data, engine, keys, looks, rootfs, rpm, vm
from .common import HERE, LOGS, STATE, SandboxError, digest, run, say, step

# The clock is the machine's and not a host's to set. A host has the capability all the
# same, or no time service would run in it: the calls that need it are answered with
# "done" by the kernel's filter, and nothing happens. (Every program in a host, and in a
# container of a host, inherits the filter.)
CLOCK_FILTER = {
    "defaultAction": "SCMP_ACT_ALLOW",
    # A machine's other calling conventions count too.
    "archMap": [
        {
            "architecture": "SCMP_ARCH_X86_64",
            "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        },
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {
            "names": [
                "adjtimex",
                "clock_adjtime",
                "clock_adjtime64",
                "clock_settime",
                "clock_settime64",
                "settimeofday",
                "stime",
            ],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 0,
        }
    ],
}

# What an ordinary engine's --privileged would give, less the clock and a capability
# that some machines do not have to give.
HOST_OPTIONS = {
    "CapAdd": ["ALL"],
    "CapDrop": ["SYS_RESOURCE"],
    "SecurityOpt": [f"seccomp={json.dumps(CLOCK_FILTER)}", "apparmor=unconfined"],
    # All of /proc and /sys, as a machine sees them.
    "MaskedPaths": [],
    "ReadonlyPaths": [],
    "CgroupnsMode": "private",
    "Tmpfs": {"/run": "", "/run/lock": "", "/tmp": ""},
    # A host whose first process ends was asked to reboot, or to halt; both start it again.
    "RestartPolicy": {"Name": "unless-stopped"},
}
# Where every Python of Debian looks for modules.
PYTHON = "usr/lib/python3/dist-packages"
# One look-alike of EL makes what they have in common, and the others wait.
EL_BASE = threading.Lock()
# The label that says with which keys a host was made.
IDENTITY = f"{data.LABEL}.identity"
# Directories that must not lie on the container's own overlay, because the
# host's engine makes overlays of its own there. Anonymous: gone with the host.
VOLUMES = ["/var/lib/docker", "/var/lib/containerd"]


def find(name: str) -> data.Host:
    """The host called *name* (short or full); raises SandboxError when there is none."""
    for host in data.HOSTS:
        if name in (host.name, host.fqdn):
            return host
    raise SandboxError(
        f"there is no host {name!r}; there are {', '.join(h.name for h in data.HOSTS)}"
    )


def _overlay(system: data.System) -> dict[str, tuple[bytes, int]]:
    """The files laid over a fresh Debian, by path."""
    bytecode = "sandbox_bytecode"
    return {
        **{path: (text.encode(), 0o644) for path, text in looks.files(system).items()},
        "usr/local/share/ca-certificates/sandbox.crt": (
            keys.certificate_authority().read_bytes(),
            0o644,
        ),
        "etc/locale.conf": (b"LANG=C.UTF-8\n", 0o644),
        f"{PYTHON}/{bytecode}.py": ((HERE / "host" / f"{bytecode}.py").read_bytes(), 0o644),
        f"{PYTHON}/{bytecode}.pth": (f"import {bytecode}\n".encode(), 0o644),
        # The directory of its own byte code is not to appear on the first start of a Python.
        f"{PYTHON}/__pycache__/.sandbox": (b"", 0o644),
        "root/.ssh/authorized_keys": (
            keys.ssh_key(keys.CLIENT_KEY, "sandbox").with_suffix(".pub").read_bytes(),
            0o600,
        ),
    }


def _container_overlay(system: data.System) -> dict[str, tuple[bytes, int]]:
    """The files laid over it, by path, where it is to be run as a container."""
    here = HERE / "host"
    units = "usr/local/lib/systemd/system"
    return {
        **_overlay(system),
        "usr/local/sbin/sandbox-init": ((here / "init").read_bytes(), 0o755),
        "usr/local/sbin/sandbox-clock": ((here / "clock").read_bytes(), 0o755),
        f"{units}/sandbox-clock.service": ((here / "clock.service").read_bytes(), 0o644),
        # Its own condition is that it is in no container, where the clock is not its to set.
        f"{units}/systemd-timesyncd.service.d/sandbox.conf": (
            b"[Unit]\nConditionVirtualization=\n",
            0o644,
        ),
        # It adjusts the clock by what it reads from it, and here that means nothing.
        f"{units}/chrony.service.d/sandbox.conf": (
            b"[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS\n",
            0o644,
        ),
        # The same of EL; a look-alike's own unit says so.
        **(
            {
                f"{units}/chronyd.service.d/sandbox.conf": (
                    b"[Service]\nExecStart=\nExecStart=/usr/sbin/chronyd -x $OPTIONS\n",
                    0o644,
                )
            }
            if data.UPSTREAM and system.is_el
            else {}
        ),
    }


def _lay(tree: Path, overlay: Mapping[str, tuple[bytes, int]]) -> None:
    """Write files to a new directory, content and mode by path."""
    shutil.rmtree(tree, ignore_errors=True)
    for path, (content, mode) in overlay.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
        (tree / path).chmod(mode)
    (tree / "root").chmod(0o700)
    (tree / "root" / ".ssh").chmod(0o700)


def image(system_name: str) -> str:
    """Build the image of a system unless it exists; returns its name.

    The tag is a hash of everything that went into it.
    """
    system = data.SYSTEMS[system_name]
    overlay = _container_overlay(system)
    customize = HERE / "host" / "customize"
    if data.UPSTREAM:
        return _from_published(system_name, system, overlay, customize)
    more = [HERE / "host" / "customize-el", *rpm.image_packages(system)] if system.is_el else []
    recipe = digest(
        customize,
        *more,
        HERE / "rootfs.py",
        " ".join([system.suite, *system.packages]),
        *(part for path, (content, _mode) in sorted(overlay.items()) for part in (path, content)),
    )
    name = f"{data.PREFIX}/{system_name}:{recipe}"
    if engine.image(name):
        return name
    with step(f"host image {system_name}"):
        tree = STATE / "cache" / f"{system_name}-files"
        _lay(tree, overlay)
        tar = STATE / "cache" / f"{system_name}.tar"
        if system.is_el and system.look:
            _build_el(tar, system, [f"{customize} $1 {tree}", _words(more, system.look)])
        else:
            rootfs.build(tar, system.suite, system.packages, [f'{customize} "$1" {tree}'])
        engine.import_image(tar, name, ('ENTRYPOINT ["/usr/local/sbin/sandbox-init"]',))
        tar.unlink()
        shutil.rmtree(tree)
    return name


def _from_published(
    system_name: str, system: data.System, overlay: Mapping[str, tuple[bytes, int]], customize: Path
) -> str:
    """Build the image of a system from the one that its makers publish; returns its name."""
    install = HERE / "host" / "install"
    dockerfile = (
        f"FROM {system.upstream}\n"
        "COPY . /sandbox/\n"
        f"RUN sh /sandbox/install {' '.join(system.upstream_packages)} && "
        "sh /sandbox/customize / /sandbox/files && rm -r /sandbox\n"
        'ENTRYPOINT ["/usr/local/sbin/sandbox-init"]\n'
    )
    recipe = digest(
        customize,
        install,
        dockerfile,
        *(part for path, (content, _mode) in sorted(overlay.items()) for part in (path, content)),
    )
    name = f"{data.PREFIX}/{system_name}:{recipe}"
    if engine.image(name):
        return name
    with step(f"host image {system_name} from {system.upstream}"):
        context = STATE / "cache" / f"{system_name}-context"
        shutil.rmtree(context, ignore_errors=True)
        _lay(context / "files", overlay)
        for script in (install, customize):
            shutil.copy(script, context)
        (context / "Dockerfile").write_text(dockerfile)
        engine.build_image(context, name, LOGS / f"image-{system_name}.log")
        shutil.rmtree(context)
    return name


def _words(script: Sequence[Path], look: data.Look) -> str:
    """The shell command that makes a tree one of EL: the script, and the packages it installs."""
    return " ".join([str(script[0]), "$1", look.release, *map(str, script[1:])])


def _build_el(target: Path, system: data.System, commands: Sequence[str]) -> None:
    """Write the tree of a look-alike of EL to a tar file.

    All of them have the same packages of Debian, so these are unpacked once.
    """
    base = STATE / "cache" / f"el-{digest(HERE / 'rootfs.py', repr(system.packages))}.tar"
    with EL_BASE:
        if not base.is_file():
            with step("what look-alikes of EL are made from"):
                rootfs.build(base, system.suite, system.packages)
    with tempfile.TemporaryDirectory(prefix="el-", dir=STATE / "cache") as work:
        root = Path(work, "root")
        root.mkdir()
        run(["tar", "--numeric-owner", "-C", str(root), "-xpf", str(base)])
        for command in commands:
            run(["sh", "-ec", command, "sh", str(root)], log=f"rootfs-{target.stem}.log")
        run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(target), "."])


def disk(system_name: str) -> Path:
    """Make what virtual machines of a system begin with, unless it is there; returns its folder."""
    return vm.disk(system_name, _overlay(data.SYSTEMS[system_name]))


def _own_files(host: data.Host) -> dict[str, tuple[bytes, int]]:
    """The files that make a host this host: names, resolver, router, SSH host key."""
    key = keys.ssh_key(keys.SSH / "hosts" / host.name, host.name)
    names = (
        f"127.0.0.1 localhost\n127.0.1.1 {host.fqdn} {host.name}\n\n"
        "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
    )
    # A container has mounts in the place of some; see host/init.
    place = "/etc" if host.virtual else "/etc/sandbox"
    if host.virtual:
        network = {"/etc/network/interfaces.d/50-cloud-init.cfg": vm.interfaces(host)}
    else:
        network = {"/etc/sandbox/router": f"{data.WORLD_IPV4} {data.WORLD_IPV6}\n"}
    texts = {
        f"{place}/hostname": f"{host.name}\n",
        f"{place}/hosts": names,
        f"{place}/resolv.conf": f"search {data.DOMAIN}\nnameserver {data.WORLD_IPV4}\n",
        **network,
    }
    return {
        **{path: (text.encode(), 0o644) for path, text in texts.items()},
        "/etc/ssh/ssh_host_ed25519_key": (key.read_bytes(), 0o600),
        "/etc/ssh/ssh_host_ed25519_key.pub": (key.with_suffix(".pub").read_bytes(), 0o644),
    }


def identity(host: data.Host) -> str:
    """A hash of the keys that a host is made with, for the label IDENTITY."""
    key = keys.ssh_key(keys.SSH / "hosts" / host.name, host.name)
    return digest(keys.CLIENT_KEY.read_bytes(), key.read_bytes())


def remove_strangers() -> None:
    """Remove the hosts that were not made with the keys there are.

    Another checkout made them, or this one before its keys were removed. Nothing here
    could log in to them, they trust another authority, and they hold names and addresses.
    """
    known = {host.container: identity(host) for host in data.HOSTS}
    for container in engine.containers():
        if container.name == data.WORLD:
            continue  # Its own module decides.
        if container.labels.get(IDENTITY) != known.get(container.name, "none"):
            engine.remove(container.name)
            say(f"{container.name} of {engine.origin(container)} removed: it has other keys")


def start(host: data.Host) -> None:
    """Make sure that a host exists, runs and is reached by SSH."""
    wanted = disk(host.system) if host.virtual else image(host.system)
    engine.network()
    container = engine.container(host.container)
    if container is not None and container.status == "running":
        wait(host)
        return
    with step(f"host {host.name} {'started' if container else 'made'}"):
        labels = {IDENTITY: identity(host)}
        if container is None and host.virtual:
            container = vm.create(host, wanted, _own_files(host), labels)
        elif container is None:
            container = engine.create(
                host.container,
                wanted,
                (host.ipv4, host.ipv6),
                HOST_OPTIONS,
                more_labels=labels,
                hostname=host.name,
                volumes=VOLUMES,
                # What systemd, as a container's first process, understands as "halt".
                stop_signal="SIGRTMIN+3",
            )
            engine.put(container, _own_files(host))
        container.start()
        wait(host)


# As Ansible does it: a handshake and a login cost ten times what most commands do.
SHARED = {
    "ControlMaster": "auto",
    "ControlPath": keys.CONTROL_PATH,
    "ControlPersist": 60,
    # A host that was shut out in between is known to be so soon.
    "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3,
}


def ssh(host: data.Host, *command: str, shared: bool = False) -> list[str]:
    """The command line that runs *command* on a host, or opens a shell when there is none.

    shared: by the connection that Ansible keeps open as well, or one that is kept open for both.
    """
    options = [f"-o{name}={value}" for name, value in SHARED.items()] if shared else []
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        str(keys.CLIENT_KEY),
        "-o",
        f"UserKnownHostsFile={keys.KNOWN_HOSTS}",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "ConnectTimeout=5",
        *options,
        f"root@{host.ipv4}",
        *command,
    ]


def _patience(host: data.Host) -> float:
    """How long a host may take to start, in seconds."""
    # Without the processor's help everything takes many times as long. A container needs a few seconds,
    # unless others keep the cores busy.
    return 600.0 if host.virtual and not vm.has_kvm() else 120.0


def wait(host: data.Host) -> None:
    """Wait until SSH reaches a host and its systemd has settled.

    Raises SandboxError naming what failed.
    """
    limit = _patience(host)
    end = time.monotonic() + limit
    state = ""
    while time.monotonic() < end:
        answer = subprocess.run(
            ssh(host, "systemctl is-system-running"),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        state = answer.stdout.strip() or answer.stderr.strip()
        if state in ("running", "degraded"):
            return
        if "Permission denied" in state or "verification failed" in state:
            raise SandboxError(f"host {host.name} does not know the sandbox's keys; reset it")
        time.sleep(0.2)
    container = engine.container(host.container)
    LOGS.mkdir(parents=True, exist_ok=True)
    log: Path = LOGS / f"host-{host.name}.log"
    log.write_bytes(_testimony(host, container) if container else b"")
    raise SandboxError(f"host {host.name} is not up after {limit:.0f} s: {state}; see {log}")


def _testimony(host: data.Host, container: Container) -> bytes:
    """What a host that SSH does not reach says of itself."""
    text = container.logs()
    if not host.virtual and container.status == "running":
        for command in (
            # What it began with, and not what it repeats at each of our questions.
            "journalctl --no-pager -b --grep=^(?!fatal:)",
            "systemctl --no-pager status sshd.service ssh.service",
            "ps axf",
            "ss -tlnp",
            "ls -la /run/sshd",
        ):
            text += f"\n$ {command}\n".encode() + container.exec_run(command.split()).output
    return text


def remove(host: data.Host) -> None:
    """Throw a host away, if it is there, with all that it holds."""
    with step(f"host {host.name} thrown away"):
        engine.remove(host.container)
        _close_connection(host)


def reset(host: data.Host) -> None:
    """Throw a host away and make a bare one in its place; a second one, if that does not start."""
    for attempt in (1, 2):
        remove(host)
        try:
            start(host)
        except SandboxError as error:
            if attempt == 2:
                raise
            say(f"{error}; once more")
        else:
            return


def reboot(host: data.Host) -> None:
    """Shut a host down in good order and start it again, with all that is on it."""
    container = engine.container(host.container)
    if container is None or container.status != "running":
        raise SandboxError(f"host {host.name} does not run; the verb up starts it")
    with step(f"host {host.name} rebooted"):
        if host.virtual:
            before = _boot_id(host)
            # The connection ends with the machine, or a moment before.
            subprocess.run(ssh(host, "systemctl reboot"), capture_output=True, check=False)
            end = time.monotonic() + _patience(host)
            while _boot_id(host) in ("", before):
                if time.monotonic() > end:
                    raise SandboxError(f"host {host.name} does not come back")
                time.sleep(0.2)
        else:
            container.restart(timeout=60)
        _close_connection(host)
        wait(host)


def _boot_id(host: data.Host) -> str:
    """What the kernel of a host calls its present run; "" when SSH does not reach it."""
    return subprocess.run(
        ssh(host, "cat /proc/sys/kernel/random/boot_id"),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    ).stdout.strip()


def _close_connection(host: data.Host) -> None:
    """Close what Ansible keeps open to a host that went away: the next one to use it would fail."""
    subprocess.run(
        [
            "ssh",
            "-F",
            "none",
            "-O",
            "exit",
            "-o",
            f"ControlPath={keys.CONTROL_PATH}",
            f"root@{host.ipv4}",
        ],
        capture_output=True,
        check=False,
    )
