# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox consists of, as data. Adding a host or a package is a line here."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass

# A second checkout can have a sandbox of its own beside the first one's when this
# variable gives it a name; names in the engine and addresses follow from it.
NAME_VARIABLE = "MAILHOST_SANDBOX"
NAME = os.environ.get(NAME_VARIABLE, "")
if not re.fullmatch(r"([a-z][a-z0-9]{0,15})?", NAME):
    raise SystemExit(
        f"sandbox: {NAME_VARIABLE} is {NAME!r}; allowed are 1 to 16 small letters and digits, "
        "a letter first"
    )

# With "upstream" hosts are made from the images that the makers of each system publish, and install from
# the real archives: for machines that reach a registry and these.
IMAGES_VARIABLE = "MAILHOST_TEST_IMAGES"
if os.environ.get(IMAGES_VARIABLE, "") not in ("", "upstream"):
    raise SystemExit(
        f"sandbox: {IMAGES_VARIABLE} is {os.environ[IMAGES_VARIABLE]!r}; allowed is upstream, or nothing"
    )
UPSTREAM = os.environ.get(IMAGES_VARIABLE) == "upstream"


def subnet_number(name: str) -> int:
    """The number that a sandbox's addresses contain: 0 without a name, else 1 to 254."""
    return 1 + zlib.crc32(name.encode()) % 254 if name else 0


# Everything the sandbox makes in the engine carries this label and, where it
# has a name, this prefix. Cleaning up removes what carries the label.
LABEL = "mailhost.sandbox"
PREFIX = f"mailhost-sandbox-{NAME}" if NAME else "mailhost-sandbox"
WORLD = f"{PREFIX}-world"

# One private network. The addresses clash neither with mailcow's 172.22.1.0/24
# nor with the pools Docker hands out (172.17.0.0/12, 192.168.0.0/16).
DOMAIN = "example.test"
SUBNET = subnet_number(NAME)
# At most 15 characters, the kernel's limit.
BRIDGE = f"br-mailhost-{SUBNET}" if NAME else "br-mailhost"
IPV4_PREFIX = f"10.99.{SUBNET}"
IPV6_PREFIX = f"fd99:0:0:{SUBNET:x}:" if SUBNET else "fd99:"
IPV4_NETWORK = f"{IPV4_PREFIX}.0/24"
IPV4_GATEWAY = f"{IPV4_PREFIX}.1"
IPV6_NETWORK = f"{IPV6_PREFIX}:/64"
IPV6_GATEWAY = f"{IPV6_PREFIX}:1"
WORLD_IPV4 = f"{IPV4_PREFIX}.2"
WORLD_IPV6 = f"{IPV6_PREFIX}:2"
# The world's second address: what a mail host talks to, but installs nothing from.
OUTSIDE_IPV4 = f"{IPV4_PREFIX}.3"
OUTSIDE_IPV6 = f"{IPV6_PREFIX}:3"
# An address of a documentation network (RFC 5737): the world drops what is sent there.
SILENT_IPV4 = "198.51.100.25"

DEBIAN_MIRROR = "http://deb.debian.org"
ARCHITECTURE_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Host:
    """A disposable server.

    name: short host name; the FQDN is ``name.example.test``.
    number: what its addresses end in, 10 to 99.
    system: name of its image, a key of SYSTEMS.
    virtual: is it a virtual machine, with a kernel of its own, and no container?
    """

    name: str
    number: int
    system: str
    virtual: bool = False

    @property
    def ipv4(self) -> str:
        """Its IPv4 address."""
        return f"{IPV4_PREFIX}.{self.number}"

    @property
    def ipv6(self) -> str:
        """Its IPv6 address; it ends in the same digits."""
        return f"{IPV6_PREFIX}:{self.number}"

    @property
    def fqdn(self) -> str:
        """The host's fully qualified domain name."""
        return f"{self.name}.{DOMAIN}"

    @property
    def container(self) -> str:
        """The name of its container; that of a virtual machine runs QEMU."""
        return f"{PREFIX}-{self.name}"


@dataclass(frozen=True)
class Look:
    """What a look-alike says it is. Its programs are Debian's.

    id, version, title: as in os-release: ``ubuntu``, ``24.04.3`` and ``Noble Numbat``.
    """

    id: str
    version: str
    title: str

    @property
    def is_ubuntu(self) -> bool:
        """Does it take packages with APT? All others do with DNF."""
        return self.id == "ubuntu"

    @property
    def release(self) -> str:
        """What is named in addresses: Ubuntu's code name, or the major version."""
        return self.title.split()[0].lower() if self.is_ubuntu else self.version.split(".")[0]

    @property
    def name(self) -> str:
        """For people: ``Ubuntu 24.04``, ``AlmaLinux 9``."""
        named = {"ubuntu": "Ubuntu", "almalinux": "AlmaLinux", "rocky": "Rocky Linux"}[self.id]
        return (
            f"{named} {'.'.join(self.version.split('.')[:2]) if self.is_ubuntu else self.release}"
        )


@dataclass(frozen=True)
class System:
    """An operating system that hosts can have.

    suite: Debian's code name; of a look-alike, whose packages it is made from.
    version: Debian's major version.
    packages: what a freshly rented server of this system has beyond the base.
    deb822: are its package sources written in the newer form?
    engine: the suite whose Docker stands in for Docker's packages, "" for none.
    engine_own: of the packages it is made from, those taken from the system's own suite,
        because the other one's need a newer C library.
    engine_libraries: packages of that suite whose libraries the programs bring along,
        because all of them need newer ones.
    compression: of the packages that are made for it, with dpkg's name.
    look: what a look-alike says it is, None for a Debian.
    upstream: the image that its makers publish, see IMAGES_VARIABLE.
    """

    suite: str
    version: str
    packages: tuple[str, ...]
    deb822: bool = True
    engine: str = ""
    engine_own: tuple[str, ...] = ()
    engine_libraries: tuple[str, ...] = ()
    compression: str = "zstd"
    look: Look | None = None
    upstream: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return self.look.name if self.look else f"Debian {self.version}"

    @property
    def is_el(self) -> bool:
        """Is it a look-alike of what is built from RHEL?"""
        return self.look is not None and not self.look.is_ubuntu

    @property
    def upstream_packages(self) -> tuple[str, ...]:
        """What a freshly rented server has beyond the image that the system's makers publish."""
        if self.is_el:
            return EL_UPSTREAM_PACKAGES
        # A part of the package systemd there.
        inside = ("systemd-resolved",) if self.upstream == "ubuntu:22.04" else ()
        return tuple(name for name in self.packages if name not in inside)


# Bare, as a cloud provider's image is: what the roles need beyond this they install.
SERVER_PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libpam-systemd",
    "less",
    "netbase",
    "openssh-server",
    "openssh-sftp-server",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
    "tzdata",
)
# What servers of Ubuntu have beyond that. Its firewall is there, and not switched on.
UBUNTU_PACKAGES = (*SERVER_PACKAGES, "lsb-release", "rsyslog", "sudo", "systemd-resolved", "ufw")
# What a server of EL has beyond the image that its makers publish; the Python of EL 8 is in that one.
EL_UPSTREAM_PACKAGES = (
    *("ca-certificates", "chrony", "firewalld", "hostname", "iproute", "iputils", "kmod", "less"),
    *("openssh-clients", "openssh-server", "procps-ng", "rsyslog", "sudo", "systemd", "tzdata"),
    "util-linux",
)
# The system of an EL look-alike: DNF and RPM as Debian has them, and the libraries of the programs
# in tests/sandbox/rpm.py, which come in packages of RPM.
EL_PACKAGES = (
    *(name for name in SERVER_PACKAGES if name != "systemd-timesyncd"),
    # On EL curl-minimal, in every image.
    "curl",
    *("dnf", "gir1.2-glib-2.0", "gir1.2-nm-1.0", "libcurl3-gnutls", "libdb5.3", "libedit2"),
    *("libip4tc2", "libjq1", "libonig5"),
    *("libip6tc2", "libipset13", "libmnl0", "libnetfilter-conntrack3", "libnfnetlink0"),
    *("libnftables1", "libnftnl11", "libnsl2", "libpcre3", "libsasl2-2", "libseccomp2"),
    *("libxtables12", "polkitd", "python3-dbus", "python3-distutils", "python3-gi", "rpm"),
    *("rsyslog", "sudo"),
)
EL_SUITE = "bookworm"
SYSTEMS = {
    "debian-13": System("trixie", "13", SERVER_PACKAGES, engine="trixie", upstream="debian:13"),
    "debian-12": System(
        "bookworm",
        "12",
        SERVER_PACKAGES,
        engine="trixie",
        engine_own=("runc", "tini"),
        upstream="debian:12",
    ),
    "debian-11": System(
        "bullseye",
        "11",
        SERVER_PACKAGES,
        deb822=False,
        engine="trixie",
        engine_own=("tini",),
        engine_libraries=("libc6", "libcap2", "libseccomp2", "libsystemd0"),
        compression="gzip",
        upstream="debian:11",
    ),
    "ubuntu-24.04": System(
        "trixie",
        "13",
        UBUNTU_PACKAGES,
        engine="trixie",
        look=Look("ubuntu", "24.04.3", "Noble Numbat"),
        upstream="ubuntu:24.04",
    ),
    "ubuntu-22.04": System(
        "bookworm",
        "12",
        UBUNTU_PACKAGES,
        deb822=False,
        engine="trixie",
        engine_own=("runc", "tini"),
        look=Look("ubuntu", "22.04.5", "Jammy Jellyfish"),
        upstream="ubuntu:22.04",
    ),
    "almalinux-9": System(
        EL_SUITE,
        "12",
        EL_PACKAGES,
        look=Look("almalinux", "9.6", "Sage Margay"),
        upstream="almalinux:9",
    ),
    "rocky-9": System(
        EL_SUITE,
        "12",
        EL_PACKAGES,
        look=Look("rocky", "9.6", "Blue Onyx"),
        upstream="rockylinux/rockylinux:9",
    ),
    "almalinux-8": System(
        EL_SUITE,
        "12",
        EL_PACKAGES,
        look=Look("almalinux", "8.10", "Cerulean Leopard"),
        upstream="almalinux:8",
    ),
}

# Suites whose packages do not merge /bin, /lib and /sbin into /usr by themselves.
UNMERGED_SUITES = ("bullseye",)

# What the world's stand-in for Debian's archive holds, by suite: the closure of
# these lists without recommended packages, beside each system's own. The lists
# of a suite are resolved one by one, so that packages which exclude each other
# may stand in different ones. A suite is downloaded when a host needs it.
OLDER_TOOLS = (
    "bind9-dnsutils cron curl file git gnupg jq logrotate lsof netcat-openbsd openssl psmisc "
    "python3-apt python3-debian rsync rsyslog sudo wget xz-utils"
)
FIREWALL = "conntrack fail2ban ipset iptables nftables python3-systemd ufw"
ARCHIVE = {
    "trixie": {
        "tools": (
            "bash-completion bind9-dnsutils bsd-mailx cron curl debconf-utils ethtool file git "
            "gnupg jq logrotate lsb-release lsof netcat-openbsd openssl psmisc python3-apt "
            "python3-debian python3-pip python3-requests python3-venv python3-yaml rsync rsyslog "
            "socat strace sudo swaks tcpdump unzip util-linux-extra vim-tiny wget whois xz-utils "
            "zstd"
        ),
        "engine": "containerd docker-buildx docker-cli docker-compose docker.io runc tini pigz",
        "firewall": FIREWALL,
        "firewalld": "firewalld",
        "network": "ifupdown",
        "chrony": "chrony",
        "ntpsec": "ntpsec",
        "postfix": "postfix postfix-pcre libsasl2-modules",
        "dovecot": "dovecot-core",
        "exim": "exim4-daemon-light",
    },
    "bookworm": {
        "tools": OLDER_TOOLS,
        "engine": "pigz runc tini docker.io",
        "firewall": FIREWALL,
        "firewalld": "firewalld",
        "network": "ifupdown",
        "chrony": "chrony",
        "postfix": "postfix postfix-pcre libsasl2-modules",
        "qmail": "ucspi-tcp daemontools daemontools-run",
        "exim": "exim4-daemon-light",
    },
    "bullseye": {
        "tools": OLDER_TOOLS,
        "engine": "pigz tini",
        "firewall": FIREWALL,
        "firewalld": "firewalld",
        "network": "ifupdown",
        "chrony": "chrony",
        "postfix": "postfix libsasl2-modules",
        "exim": "exim4-daemon-light",
    },
}

# What the containers of the world and of the stand-in stacks are made from.
WORLD_SUITE = "trixie"
WORLD_PACKAGES = (
    "bind9 ca-certificates chrony docker-registry fcgiwrap git iproute2 libnginx-mod-stream "
    "nftables nginx postfix procps"
)
# By stack: the suite, and the packages of the layer that its images share. Mailu's Dovecot
# is a 2.3, which logs otherwise than 2.4, so its stand-in is made from the suite that has one.
STACK_PACKAGES = {
    "mailcow": (
        "trixie",
        (
            "bind9-host ca-certificates dovecot-imapd dovecot-lmtpd dovecot-managesieved "
            "dovecot-pop3d dovecot-sieve mariadb-server memcached nginx openssl postfix procps "
            "redis-server tini unbound"
        ),
    ),
    "mailu": (
        "bookworm",
        (
            "bind9-dnsutils ca-certificates curl dovecot-auth-lua dovecot-imapd dovecot-lmtpd "
            "dovecot-managesieved dovecot-pop3d dovecot-sieve dovecot-submissiond "
            "libnginx-mod-mail libsasl2-modules nginx openssl postfix procps python3-bcrypt "
            "python3-passlib python3-yaml redis-server rspamd tini"
        ),
    ),
}

# What virtual machines have beyond the packages of their system, and what they run in. All of it is
# downloaded when the first one is asked for.
VM_SUITE = "trixie"
VM_PACKAGES = "apparmor e2fsprogs ifupdown initramfs-tools linux-image-cloud-amd64 udev"
VM_RUNNER_PACKAGES = "iproute2 qemu-system-x86 qemu-utils"
# MiB and processors of one, and the size of its disk in GiB, of which it takes what is written.
VM_MEMORY = 2048
VM_PROCESSORS = 2
VM_DISK = 24

# Names that the world answers for, by zone; "@" is the zone itself. What hosts
# install from, and what images and repositories come from:
WORLD_NAMES = {
    "almalinux.org": ("mirrors", "repo"),
    "debian.org": ("deb", "security", "ftp"),
    "docker.com": ("download",),
    "docker.io": ("@", "registry-1", "auth", "index"),
    "fedoraproject.org": ("dl",),
    "ghcr.io": ("@",),
    "github.com": ("@", "api", "codeload"),
    "githubusercontent.com": ("pkg-containers",),
    "rockylinux.org": ("dl", "mirrors"),
    "ubuntu.com": ("archive", "security"),
}

# Whose zones are left to the real name servers when hosts install from the real archives.
PACKAGE_ZONES = (
    "almalinux.org",
    "debian.org",
    "docker.com",
    "fedoraproject.org",
    "rockylinux.org",
    "ubuntu.com",
)

# What the stacks talk to, and other people's mail servers. The names ip4 and ip6
# have an address of that family only.
OUTSIDE_NAMES = {
    "abuse.ch": ("bazaar", "urlhaus"),
    "clamav.net": ("database", "db.uk", "db.nl", "db.fr", "db.ch"),
    "cloudflare.com": ("time",),
    DOMAIN: ("ntp",),
    "docker.com": ("hub", "production.cloudflare"),
    # Mailu's admin asks for this name before it starts.
    "example.org": ("@",),
    "google.com": ("time", "gmail-smtp-in.l"),
    "heinlein-support.de": ("spamassassin",),
    "icloud.com": ("mx01.mail",),
    "letsencrypt.org": ("acme-v02.api", "acme-staging-v02.api"),
    "mailcow.email": ("asn-check", "checks", "fuzzy", "ip4", "ip6", "verify"),
    "nevondo.com": ("ip4", "ip6"),
    "outside.test": ("mx",),
    "pool.ntp.org": (
        *("@", "0", "1", "2", "3"),
        *(
            f"{n}.{vendor}"
            for vendor in ("debian", "ubuntu", "almalinux", "rocky")
            for n in range(4)
        ),
    ),
    "pushover.net": ("api",),
    "rspamd.com": ("fuzzy1", "fuzzy2", "maps"),
    "sanesecurity.net": ("rsync",),
    "ubuntu.com": ("ntp",),
}

# Other records of the outside: zone, owner, type, value.
OUTSIDE_RECORDS = (
    ("clamav.net", "current.cvd", "TXT", '"1.4.3:62:27800:1795000000:1:90:49192:336"'),
    ("gmail.com", "@", "MX", "5 gmail-smtp-in.l.google.com."),
    ("icloud.com", "@", "MX", "10 mx01.mail.icloud.com."),
    ("outside.test", "@", "MX", "10 mx.outside.test."),
    ("rspamd.com", "*.asn", "TXT", '"64496|10.99.0.0/24|ZZ|test|"'),
    ("rspamd.com", "*.asn6", "TXT", '"64496|fd99::/64|ZZ|test|"'),
    # A domain that takes no mail (RFC 7505).
    ("outside.test", "null", "MX", "0 ."),
    ("outside.test", "silent", "MX", "10 mx.silent.outside.test."),
    ("outside.test", "mx.silent", "A", SILENT_IPV4),
    # Blocklists: an address of the loopback network says what a name is listed for. Each has its test
    # point (RFC 5782) and nothing else.
    *(
        (zone, f"2.0.0.127{owner}", "A", "127.0.0.2")
        for zone, owner in (
            ("spamhaus.org", ".zen"),
            ("spamcop.net", ".bl"),
            ("barracudacentral.org", ".b"),
            ("surriel.com", ".psbl"),
            ("uceprotect.net", ".dnsbl-1"),
            ("mailspike.net", ".bl"),
            ("blocklist.de", ".bl"),
        )
    ),
    ("spamhaus.org", "dbltest.com.dbl", "A", "127.0.1.2"),
    ("surbl.org", "test.surbl.org.multi", "A", "127.0.0.216"),
    ("uribl.com", "test.uribl.com.multi", "A", "127.0.0.14"),
)


@dataclass(frozen=True)
class Receiver:
    """A mail server of the outside that does not take everything; IPv4 only.

    name: it is the MX ``mx.NAME.outside.test`` of the domain ``NAME.outside.test``.
    number: what its address ends in, 100 to 199.
    refuses: the command that it refuses, with smtp-sink's name; nothing listens when it is empty.
    reply: what it says then.
    """

    name: str
    number: int
    refuses: str = ""
    reply: str = ""

    @property
    def ipv4(self) -> str:
        """Its address."""
        return f"{IPV4_PREFIX}.{self.number}"

    @property
    def mx(self) -> str:
        """The name of the server."""
        return f"mx.{self.name}.outside.test"


RECEIVERS = (
    Receiver("closed", 101),
    Receiver("grey", 102, "rcpt", "450 4.7.1 Greylisted, please try again later"),
    Receiver(
        "listed",
        103,
        "rcpt",
        "550 5.7.1 Service unavailable; client host blocked using a blocklist",
    ),
    Receiver("unknown", 104, "rcpt", "550 5.1.1 User unknown"),
    Receiver("full", 105, "rcpt", "452 4.2.2 The mailbox is full"),
    Receiver("ptr", 106, "rcpt", "550 5.7.25 The client has no PTR record"),
    Receiver("dmarc", 107, ".", "550 5.7.26 Unauthenticated email is not accepted (DMARC)"),
    Receiver("slow", 108, "rcpt", "451 4.7.28 Too many messages from this address, rate limited"),
    Receiver("relay", 109, "rcpt", "554 5.7.1 Relay access denied"),
    Receiver("big", 110, "mail", "552 5.3.4 Message size exceeds fixed limit"),
)

# Well-known resolvers, and the servers of the root: the world has their addresses too.
RESOLVERS = (
    "1.1.1.1",
    "8.8.8.8",
    "9.9.9.9",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2620:fe::fe",
)
ROOT_SERVERS = {
    "a": ("198.41.0.4", "2001:503:ba3e::2:30"),
    "b": ("170.247.170.2",),
    "c": ("192.33.4.12",),
    "d": ("199.7.91.13",),
    "e": ("192.203.230.10",),
    "f": ("192.5.5.241",),
    "g": ("192.112.36.4",),
    "h": ("198.97.190.53",),
    "i": ("192.36.148.17",),
    "j": ("192.58.128.30",),
    "k": ("193.0.14.129", "2001:7fd::1"),
    "l": ("199.7.83.42",),
    "m": ("202.12.27.33",),
}

HOSTS = (
    Host("mail1", 11, "debian-13"),
    Host("mail2", 12, "debian-13"),
    Host("mail3", 13, "debian-13"),
    Host("mail4", 14, "debian-12"),
    Host("mail5", 15, "debian-11"),
    # For scenarios that run beside the others.
    Host("mail6", 16, "debian-13"),
    Host("mail7", 17, "debian-13"),
    Host("mail8", 18, "debian-12"),
    Host("mail9", 19, "debian-11"),
    # Look-alikes.
    Host("mail10", 20, "ubuntu-24.04"),
    Host("mail11", 21, "ubuntu-22.04"),
    Host("mail12", 22, "almalinux-9"),
    Host("mail13", 23, "rocky-9"),
    Host("mail14", 24, "almalinux-8"),
    # A virtual machine.
    Host("vm1", 50, "debian-13", virtual=True),
)
