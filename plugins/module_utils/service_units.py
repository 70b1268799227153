# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that matter to a mail host, by what they do, and what systemd says of them.

Asked in one go: a systemctl for each of them would cost more than all the checks.
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, Unit

#: Keep the clock right. Debian's ntp is ntpsec since Debian 12.
TIME = (
    "systemd-timesyncd.service",
    "chrony.service",
    "chronyd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "openntpd.service",
)

#: Mail transfer agents, which take port 25.
MAIL = (
    "exim4.service",
    "exim.service",
    "postfix.service",
    "sendmail.service",
    "opensmtpd.service",
    "courier-mta.service",
    "qmail.service",
    "nullmailer.service",
)

#: Take the mailbox ports.
MAILBOX = ("dovecot.service", "cyrus-imapd.service", "courier-imap.service")

#: Take the web ports.
WEB = (
    "apache2.service",
    "httpd.service",
    "nginx.service",
    "lighttpd.service",
    "caddy.service",
    "haproxy.service",
    "traefik.service",
)

#: Load rules into the kernel that meet those of a container engine.
FIREWALL = (
    "firewalld.service",
    "ufw.service",
    "nftables.service",
    "iptables.service",
    "ip6tables.service",
    "netfilter-persistent.service",
    "shorewall.service",
)

#: Container engines.
ENGINE = (
    "docker.service",
    "docker.socket",
    "containerd.service",
    "snap.docker.dockerd.service",
    "podman.socket",
)

#: Anything else a check asks for.
OTHER = (
    "apparmor.service",
    "snapd.service",
    "systemd-resolved.service",
    "unattended-upgrades.service",
    "apt-daily-upgrade.timer",
    "dnf-automatic.timer",
    "dnf-automatic-install.timer",
)

ALL = TIME + MAIL + MAILBOX + WEB + FIREWALL + ENGINE + OTHER


# A service of OpenRC is started at boot when it is in one of these runlevels.
_RUNLEVELS = ("sysinit", "boot", "default")


def states(host: Host) -> dict[str, Unit]:
    """Return what systemd says of each unit of :data:`ALL`; or OpenRC, in systemd's words.

    Raises:
        HostError: neither runs here, or systemd does not answer.
    """
    return host.once(_ask)


def _ask(host: Host) -> dict[str, Unit]:
    return _openrc(host) if uses_openrc(host) else host.units(ALL)


def uses_openrc(host: Host) -> bool:
    """Tell whether OpenRC starts the services here, as on Alpine."""
    return host.exists("/run/openrc/softlevel")


def _openrc(host: Host) -> dict[str, Unit]:
    """Return the state of each service that OpenRC has, from its directories."""
    there = set(host.listdir("/etc/init.d"))
    started = set(host.listdir("/run/openrc/started"))
    at_boot = {name for level in _RUNLEVELS for name in host.listdir("/etc/runlevels/" + level)}
    found = {}
    for unit in ALL:
        name, _dot, kind = unit.rpartition(".")
        if kind != "service" or name not in there:
            found[unit] = Unit("not-found", "inactive", "")
            continue
        found[unit] = Unit(
            "loaded",
            "active" if name in started else "inactive",
            "enabled" if name in at_boot else "disabled",
        )
    return found


def starts_at_boot(host: Host, name: str, unit: Unit) -> bool:
    """Tell whether a service is started at boot.

    Args:
        host: the host.
        name: the unit, such as ``exim4.service``.
        unit: its state.
    """
    if unit.load != "loaded":
        return False
    if unit.enabled == "generated":
        # systemd makes units of all init scripts, and starts those with a link for a runlevel.
        return bool(host.glob("/etc/rc[2-5].d/S[0-9][0-9]" + name.rpartition(".")[0]))
    return unit.enabled.startswith("enabled") or unit.enabled == "alias"


def start_command(host: Host, name: str) -> str:
    """Return the command that starts a service, now and at boot."""
    if uses_openrc(host):
        return "rc-update add {0} default; rc-service {0} start".format(name.rpartition(".")[0])
    return "systemctl enable --now " + name


def stop_command(host: Host, name: str) -> str:
    """Return the command that stops a service, now and at boot."""
    if uses_openrc(host):
        return "rc-service {0} stop; rc-update del {0}".format(name.rpartition(".")[0])
    return "systemctl disable --now " + name
