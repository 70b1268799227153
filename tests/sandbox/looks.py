# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a host say: its name, and where packages come from."""

from __future__ import annotations

from . import data
from .archive import DEBIAN_KEY, UBUNTU_COMPONENTS, UBUNTU_POCKETS

APT_KEY = "/usr/share/keyrings/sandbox-archive.asc"
UBUNTU_ARCHIVE = "http://archive.ubuntu.com/ubuntu"
UBUNTU_SECURITY = "http://security.ubuntu.com/ubuntu"


def files(system: data.System) -> dict[str, str]:
    """The files in which systems differ, by path; of a Debian its package sources only.

    An image that is published has all of them, but for the address of the name server.
    """
    if data.UPSTREAM:
        return _resolved() if system.look and system.look.is_ubuntu else {}
    key = DEBIAN_KEY.make().public.read_text()
    if system.look is None:
        parts = (
            (f"{data.DEBIAN_MIRROR}/debian", (system.suite, f"{system.suite}-updates")),
            (f"{data.DEBIAN_MIRROR}/debian-security", (f"{system.suite}-security",)),
        )
        return {APT_KEY[1:]: key, **_apt("debian", system.deb822, parts, ("main",))}
    if system.look.is_ubuntu:
        return {APT_KEY[1:]: key, **_ubuntu(system, system.look)}
    return _el(system.look, key)


def _apt(
    name: str,
    deb822: bool,
    parts: tuple[tuple[str, tuple[str, ...]], ...],
    components: tuple[str, ...],
) -> dict[str, str]:
    """The package sources of a server in their usual shape; they trust the sandbox's key.

    name: of the newer form's file.
    parts: addresses and their suites.
    """
    if deb822:
        return {
            f"etc/apt/sources.list.d/{name}.sources": "\n".join(
                f"Types: deb\nURIs: {address}\nSuites: {' '.join(suites)}\n"
                f"Components: {' '.join(components)}\nSigned-By: {APT_KEY}\n"
                for address, suites in parts
            )
        }
    return {
        "etc/apt/sources.list": "".join(
            f"deb [signed-by={APT_KEY}] {address} {suite} {' '.join(components)}\n"
            for address, suites in parts
            for suite in suites
        )
    }


def _ubuntu(system: data.System, look: data.Look) -> dict[str, str]:
    """The files of a look-alike of Ubuntu."""
    number = ".".join(look.version.split(".")[:2])
    *updates, security = (f"{look.release}-{pocket}" for pocket in UBUNTU_POCKETS)
    parts = (
        (UBUNTU_ARCHIVE, (look.release, *updates)),
        (UBUNTU_SECURITY, (security,)),
    )
    return {
        "usr/lib/os-release": (
            f'PRETTY_NAME="Ubuntu {look.version} LTS"\nNAME="Ubuntu"\nVERSION_ID="{number}"\n'
            f'VERSION="{look.version} LTS ({look.title})"\nVERSION_CODENAME={look.release}\n'
            f"ID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME={look.release}\n"
        ),
        "etc/lsb-release": (
            f"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE={number}\nDISTRIB_CODENAME={look.release}\n"
            f'DISTRIB_DESCRIPTION="Ubuntu {look.version} LTS"\n'
        ),
        "etc/issue": f"Ubuntu {look.version} LTS \\n \\l\n\n",
        **_resolved(),
        **_apt("ubuntu", system.deb822, parts, UBUNTU_COMPONENTS),
    }


def _resolved() -> dict[str, str]:
    """The file by which the stub at 127.0.0.53 asks the world."""
    text = f"[Resolve]\nDNS={data.WORLD_IPV4}\nDomains={data.DOMAIN}\n"
    return {"etc/systemd/resolved.conf.d/sandbox.conf": text}


def _el(look: data.Look, key: str) -> dict[str, str]:
    """The files of a look-alike of what is built from RHEL."""
    name = "AlmaLinux" if look.id == "almalinux" else "Rocky Linux"
    release = f"{name} release {look.version} ({look.title})\n"
    key_file = f"etc/pki/rpm-gpg/RPM-GPG-KEY-{name.split()[0]}-{look.release}"
    return {
        "usr/lib/os-release": (
            f'NAME="{name}"\nVERSION="{look.version} ({look.title})"\nID="{look.id}"\n'
            f'ID_LIKE="rhel centos fedora"\nVERSION_ID="{look.version}"\n'
            f'PLATFORM_ID="platform:el{look.release}"\n'
            f'PRETTY_NAME="{name} {look.version} ({look.title})"\n'
        ),
        "etc/redhat-release": release,
        f"etc/{look.id}-release": release,
        "etc/system-release": release,
        "etc/dnf/dnf.conf": (
            "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\n"
            "best=True\nskip_if_unavailable=False\n"
        ),
        # Debian's rpm keeps its database in a home otherwise.
        "etc/rpm/macros.sandbox": "%_dbpath /var/lib/rpm\n",
        key_file: key,
        **{
            f"etc/yum.repos.d/{look.id}-{repository.lower()}.repo": (
                f"[{repository.lower()}]\nname={name} $releasever - {repository}\n"
                f"mirrorlist={_mirrors(look, repository)}\n"
                f"enabled=1\ngpgcheck=1\ncountme=1\ngpgkey=file:///{key_file}\n"
            )
            for repository in ("BaseOS", "AppStream", "extras")
        },
        "etc/rsyslog.conf": (
            'module(load="imuxsock")\n'
            "*.info;mail.none;authpriv.none;cron.none /var/log/messages\n"
            "authpriv.* /var/log/secure\nmail.* -/var/log/maillog\ncron.* /var/log/cron\n"
        ),
        "etc/sysconfig/sshd": "",
    }


def _mirrors(look: data.Look, repository: str) -> str:
    """Where a repository's list of mirrors is."""
    if look.id == "almalinux":
        return f"https://mirrors.almalinux.org/mirrorlist/$releasever/{repository.lower()}"
    return f"https://mirrors.rockylinux.org/mirrorlist?arch=$basearch&repo={repository}-$releasever"
