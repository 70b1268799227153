# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of RPM for look-alikes of EL, made from Debian's binaries.

Names, files and services are those of EL's packages, of EPEL's and of Docker's; the programs in them
are Debian's, and work. What they need of libraries is in the look-alike's system. Packages are signed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import data, keys, repack
from .archive import DEBIAN_KEY, ROOT, built, is_built
from .common import HERE, STATE, digest, run, step, write_if_changed

REPOSITORIES = STATE / "world" / "el"
FILES = HERE / "el"
PYTHON = "/usr/libexec/platform-python"


@dataclass(frozen=True)
class Package:
    """A package of RPM and where its parts come from.

    repository: which one holds it.
    sources: Debian packages whose files it holds; the first gives the version.
    version: when there is no source.
    requires, provides, conflicts: names of packages.
    moves: files and directories that lie elsewhere on EL.
    drops: what EL's package does not have.
    script: what is run once it is installed.
    services: those that are switched on with it.
    keys: files that hold the key of the packages.
    """

    repository: str
    sources: Sequence[str] = ()
    version: str = "1"
    requires: Sequence[str] = ()
    provides: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    moves: Mapping[str, str] = field(default_factory=dict)
    drops: Sequence[str] = ()
    script: str = ""
    services: Sequence[str] = ()
    keys: Sequence[str] = ()


#: The numbers are EL's. Debian's list of modes does without those of what it sets in its own script.
POSTFIX = r"""
groupadd -r -g 90 postdrop 2>/dev/null
groupadd -r -g 89 postfix 2>/dev/null
useradd -r -u 89 -g postfix -d /var/spool/postfix -s /sbin/nologin postfix 2>/dev/null
ln -sfn ../lib/postfix/sbin /usr/libexec/postfix
if [ ! -e /etc/postfix/master.cf ]; then
    sed -E 's/^([^# ]+ +[^ ]+ +[^ ]+ +[^ ]+ +)y /\1n /' /usr/share/postfix/master.cf.dist \
        >/etc/postfix/master.cf
fi
if [ ! -e /etc/pki/tls/certs/postfix.pem ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 999 -subj /CN=localhost \
        -keyout /etc/pki/tls/private/postfix.key -out /etc/pki/tls/certs/postfix.pem >/dev/null 2>&1
fi
[ -e /etc/aliases ] || echo 'postmaster: root' >/etc/aliases
postfix set-permissions >/dev/null 2>&1
chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue
chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue
install -d -o postfix -g root -m 0755 /var/lib/postfix
newaliases
"""
IPTABLES = ("iptables", "ip6tables", "arptables", "ebtables")
#: Beside these, a package has the files below ``el/NAME``, over those of Debian.
PACKAGES = {
    **{
        f"{name}-release": Package(
            "BaseOS",
            version=look.version,
            provides=(
                f"redhat-release = {look.version}",
                f"system-release = {look.version}",
                f"system-release(releasever) = {look.release}",
                # What is in the image without a package of its own.
                "/bin/sh",
            ),
        )
        for name, look in (
            (f"{look.id}{look.release}", look)
            for look in (system.look for system in data.SYSTEMS.values())
            if look and not look.is_ubuntu
        )
    },
    "nftables": Package(
        "BaseOS", ("nftables",), moves={"etc/nftables.conf": "etc/sysconfig/nftables.conf"}
    ),
    "python3-nftables": Package("BaseOS", ("python3-nftables",), requires=("nftables",)),
    "iptables-nft": Package(
        "BaseOS",
        ("iptables",),
        provides=("iptables",),
        drops=tuple(f"usr/sbin/{name}-legacy" for name in ("iptables", "ip6tables")),
        script="".join(
            f"ln -sf {name}-nft{part} /usr/sbin/{name}{part}\n"
            for name in IPTABLES
            for part in ("", "-save", "-restore")
        ),
    ),
    "ipset": Package("BaseOS", ("ipset",)),
    "python3-firewall": Package("BaseOS", ("python3-firewall",), requires=("python3-nftables",)),
    "firewalld": Package(
        "BaseOS",
        ("firewalld",),
        requires=("python3-firewall",),
        script="ln -sf org.fedoraproject.FirewallD1.server.policy.choice "
        "/usr/share/polkit-1/actions/org.fedoraproject.FirewallD1.policy\n",
        services=("firewalld",),
    ),
    "chrony": Package(
        "BaseOS",
        ("chrony",),
        moves={
            "usr/lib/systemd/system/chrony.service": "usr/lib/systemd/system/chronyd.service",
            "usr/share/chrony/chrony.keys": "etc/chrony.keys",
        },
        drops=("etc", "usr/share/chrony", "usr/lib/systemd/ntp-units.d"),
        script="useradd -r -d /var/lib/chrony -s /sbin/nologin chrony 2>/dev/null\n"
        "install -d -o chrony -g chrony -m 0750 /var/lib/chrony /var/log/chrony\n",
        services=("chronyd",),
    ),
    # What EL never comes without; it is in the image.
    "ca-certificates": Package("BaseOS", version="2024"),
    "git": Package("AppStream", ("git",)),
    "jq": Package("AppStream", ("jq",)),
    "cyrus-sasl-plain": Package("BaseOS", ("libsasl2-modules",)),
    "python3-systemd": Package("BaseOS", ("python3-systemd",)),
    "container-selinux": Package("AppStream", version="2.235.0"),
    "python3.11": Package("AppStream", ("python3.11-minimal",), drops=("usr/lib", "usr/share")),
    "postfix": Package(
        "AppStream",
        ("postfix",),
        drops=(
            *("etc/init.d", "etc/network", "etc/ppp", "etc/resolvconf", "etc/ufw", "etc/rsyslog.d"),
            # Debian's way of starting several of them.
            *("usr/lib/systemd/system-generators", "usr/lib/systemd/system/postfix@.service"),
            "usr/lib/systemd/system/postfix-resolvconf.path",
            "usr/lib/systemd/system/postfix-resolvconf.service",
        ),
        script=POSTFIX,
    ),
    "postfix-pcre": Package("AppStream", ("postfix-pcre",), requires=("postfix",)),
    "epel-release": Package(
        "extras",
        version="9",
        keys=[f"etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-{release}" for release in ("8", "9")],
    ),
    "fail2ban-server": Package(
        "epel",
        ("fail2ban",),
        requires=("python3-systemd", "nftables"),
        drops=(
            "etc/fail2ban/jail.d/defaults-debian.conf",
            "etc/fail2ban/paths-debian.conf",
            "etc/init.d",
            "etc/default",
            "etc/monit",
        ),
        script="sed -i 's/^before = paths-debian.conf/before = paths-fedora.conf/' "
        "/etc/fail2ban/jail.conf\n",
    ),
}
DOCKER_REQUIRES = {
    "docker-ce": (
        "container-selinux >= 2.74",
        "containerd.io >= 1.7.0",
        "docker-ce-cli",
        "iptables",
    ),
    "containerd.io": ("container-selinux >= 2.74",),
}
#: What every image has.
INSTALLED = (
    *("nftables", "python3-nftables", "python3-firewall", "firewalld", "chrony"),
    "ca-certificates",
)

_lock = threading.Lock()


def image_packages(system: data.System) -> list[Path]:
    """The packages that a look-alike's image has from the beginning, made if need be."""
    distribution()
    assert system.look
    names = (f"{system.look.id}{system.look.release}-release", *INSTALLED)
    return [_file(REPOSITORIES / PACKAGES[name].repository, name) for name in names]


def distribution() -> None:
    """Make and publish the packages of EL and EPEL, unless they are there."""
    with _lock:
        sources = [_deb(name).name for package in PACKAGES.values() for name in package.sources]
        recipe = digest(Path(__file__), FILES, " ".join(sources), _signed(DEBIAN_KEY))
        if is_built("rpm-el", recipe):
            return
        with step("packages of RPM for look-alikes of EL"):
            shutil.rmtree(REPOSITORIES, ignore_errors=True)
            for name, package in PACKAGES.items():
                _make(
                    name,
                    package,
                    list(map(_deb, package.sources)),
                    REPOSITORIES / package.repository,
                )
            for repository in sorted({package.repository for package in PACKAGES.values()}):
                _publish(REPOSITORIES / repository, DEBIAN_KEY)
        built("rpm-el", recipe)


def docker() -> None:
    """Make and publish Docker's packages, from those that were made for a Debian of the same suite."""
    look_alike = next(s for s in data.SYSTEMS.values() if s.suite == data.EL_SUITE and s.look)
    debian = repack.debian_of(look_alike)
    repack.docker(debian)
    pool = repack.pool_of(data.SYSTEMS[debian])
    debs = {name: next(pool.glob(f"{name}_*.deb")) for name in repack.IMITATIONS}
    recipe = digest(
        Path(__file__), *(path.name for path in debs.values()), _signed(repack.DOCKER_KEY)
    )
    if is_built("rpm-docker", recipe):
        return
    with step("packages of RPM like Docker's"):
        root = repack.DOCKER_ROOT / "centos"
        shutil.rmtree(root, ignore_errors=True)
        place = root / "9" / "x86_64" / "stable"
        for name, deb in debs.items():
            package = Package("", requires=DOCKER_REQUIRES.get(name, ()), script=_group(name))
            _make(name, package, [deb], place)
        _publish(place, repack.DOCKER_KEY)
        # Rebuilds of EL 8 install what is made for Red Hat's own.
        (root / "8").symlink_to("9")
        red_hat = root.with_name("rhel")
        red_hat.unlink(missing_ok=True)
        red_hat.symlink_to(root.name)
        write_if_changed(root / "gpg", repack.DOCKER_KEY.public.read_bytes())
    built("rpm-docker", recipe)


def _group(name: str) -> str:
    return "groupadd -r docker 2>/dev/null\n" if name == "docker-ce" else ""


def _signed(key: keys.SigningKey) -> bytes:
    return key.make().public.read_bytes()


def _deb(name: str) -> Path:
    """The file of one of the Debian packages that packages are made from."""
    pool = ROOT / "debian" / "pool" / data.EL_SUITE
    found = sorted(pool.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else Path(f"{name}_none.deb")


def _file(directory: Path, name: str) -> Path:
    (found,) = (
        path for path in directory.glob(f"{name}-*.rpm") if path.name[len(name) + 1].isdigit()
    )
    return found


def _make(name: str, package: Package, debs: Sequence[Path], place: Path) -> None:
    """Write a package into the directory *place*."""
    with tempfile.TemporaryDirectory(prefix="rpm-", dir=STATE / "cache") as work:
        tree = Path(work, "tree")
        tree.mkdir()
        for deb in debs:
            run(["dpkg-deb", "-x", str(deb), str(tree)])
        version = package.version
        if debs:
            version = repack.upstream(
                run(["dpkg-deb", "-f", str(debs[0]), "Version"]).decode().strip()
            )
        _merge(tree)
        for old, new in package.moves.items():
            (tree / new).parent.mkdir(parents=True, exist_ok=True)
            (tree / old).rename(tree / new)
        for drop in (*package.drops, "usr/share/doc", "usr/share/man", "usr/share/lintian"):
            if (tree / drop).is_dir():
                shutil.rmtree(tree / drop)
            else:
                (tree / drop).unlink(missing_ok=True)
        if (FILES / name).is_dir():
            shutil.copytree(FILES / name, tree, dirs_exist_ok=True)
        for key in package.keys:
            (tree / key).parent.mkdir(parents=True, exist_ok=True)
            (tree / key).write_bytes(_signed(DEBIAN_KEY))
        _point_to_python(tree)
        spec = Path(work, "package.spec")
        spec.write_text(_spec(name, version, package, tree))
        place.mkdir(parents=True, exist_ok=True)
        run(
            [
                "rpmbuild",
                "-bb",
                "--quiet",
                f"--define=_topdir {work}",
                f"--define=_rpmdir {work}/out",
                # Time matters, size does not.
                "--define=_binary_payload w1.gzdio",
                "--define=__os_install_post %{nil}",
                "--define=_build_id_links none",
                "--define=debug_package %{nil}",
                "--define=_unpackaged_files_terminate_build 0",
                f"--buildroot={work}/root",
                "--target=x86_64",
                str(spec),
            ],
            log=f"rpm-{name}.log",
        )
        (made,) = Path(work, "out").rglob("*.rpm")
        shutil.move(made, place / made.name)


def _merge(tree: Path) -> None:
    """Move what lies in /bin, /lib and /sbin to /usr, where these lead."""
    for name in ("bin", "lib", "lib64", "sbin"):
        if (tree / name).is_dir():
            shutil.copytree(tree / name, tree / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(tree / name)


def _point_to_python(tree: Path) -> None:
    """Have programs run on the Python that EL has for its own."""
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111:
            content = path.read_bytes()
            changed = re.sub(rb"^#! ?/usr/bin/(env )?python3", b"#!" + PYTHON.encode(), content)
            if changed != content:
                path.write_bytes(changed)


def _spec(name: str, version: str, package: Package, tree: Path) -> str:
    """What rpmbuild makes a package by."""
    lines = []
    for path in sorted(tree.rglob("*")):
        inside = "/" + path.relative_to(tree).as_posix()
        if path.is_symlink() or not path.is_dir():
            config = "%config(noreplace) " if inside.startswith("/etc/") else ""
            lines.append(f'{config}"{inside}"')
        elif not any(path.iterdir()):
            lines.append(f'%dir "{inside}"')
    script = package.script
    units = [path.name for path in tree.glob("usr/lib/systemd/system/*")]
    if units:
        script += "systemctl daemon-reload >/dev/null 2>&1\n"
    script += "".join(
        f'[ "$1" != 1 ] || systemctl enable {name}.service >/dev/null 2>&1\n'
        for name in package.services
    )
    fields = [
        *(f"Requires: {item}" for item in package.requires),
        *(f"Provides: {item}" for item in package.provides),
        *(f"Conflicts: {item}" for item in package.conflicts),
    ]
    return "\n".join(
        [
            f"Name: {name}",
            f"Version: {version.replace('-', '_')}",
            "Release: 1.el9",
            "Summary: Sandbox stand-in, made from Debian's binaries",
            "License: see Debian's package",
            "AutoReqProv: no",
            *fields,
            "%description",
            "Made for the sandbox.",
            "%install",
            f"mkdir -p %{{buildroot}} && cp -a {tree}/. %{{buildroot}}/",
            *(["%post", script + "exit 0"] if script else []),
            "%files",
            *lines,
            "",
        ]
    )


def _publish(directory: Path, key: keys.SigningKey) -> None:
    """Sign the packages of a repository and write its index."""
    key.make()
    with keys.KeyRing() as home:
        run([*keys.gpg(home), "--import", str(key.secret)])
        run(
            [
                "rpmsign",
                "--addsign",
                f"--define=_gpg_name {key.owner}",
                f"--define=_gpg_path {home}",
                "--define=__gpg /usr/bin/gpg",
                *map(str, sorted(directory.glob("*.rpm"))),
            ]
        )
    run(["createrepo_c", "--quiet", "--simple-md-filenames", str(directory)])
