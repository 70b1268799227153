# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import host_info

DPKG = """\
Package: docker-ce
Status: install ok installed
Architecture: amd64
Version: 5:26.1.5-1~debian.13~trixie
Description: a package
 with Package: docker in its text

Package: dpkg
Status: install ok installed
Architecture: arm64
Version: 1.22.21

Package: git
Status: deinstall ok config-files
Version: 1:2.47

Package: jq
Status: install ok half-configured
Version: 1.7

Package: libc6
Status: deinstall ok config-files
Architecture: i386
Version: 2.40

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.41"""


def test_packages_of_dpkg(make_host):
    host = make_host({"/var/lib/dpkg/status": DPKG})
    names = ["docker-ce", "docker", "git", "jq", "libc6"]
    assert host_info.packages(host, names) == {
        "docker-ce": "5:26.1.5-1~debian.13~trixie",
        "docker": None,
        "git": None,
        "jq": None,
        "libc6": "2.41",
    }
    assert host_info.packages(host, []) == {}


def test_packages_of_rpm(make_host):
    command = "rpm -q --qf %{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n docker-ce git podman"
    stdout = "docker-ce\t3:28.5.2-1.el9\ngit\t0:2.47.3-1.el9\npackage podman is not installed\n"
    host = make_host({}, {"commands": {command: {"rc": 1, "stdout": stdout}}})
    assert host_info.packages(host, ["docker-ce", "git", "podman"]) == {
        "docker-ce": "3:28.5.2-1.el9",
        "git": "2.47.3-1.el9",
        "podman": None,
    }


@pytest.mark.parametrize(
    ("names", "interrupted"), [([], False), (["tmp.i"], False), (["0001"], True)]
)
def test_dpkg_journal(make_host, names, interrupted):
    host = make_host({"/var/lib/dpkg/updates/" + name: "" for name in names})
    assert host_info.dpkg_interrupted(host) is interrupted


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("debian12-kvm", ("debian", "12", "debian")),
        ("debian13-bare-metal", ("debian", "13", "debian")),
        ("ubuntu2404", ("ubuntu", "24.04", "debian")),
        ("alma9", ("almalinux", "9", "redhat")),
        ("alpine", ("alpine", "3", "other")),
    ],
)
def test_distribution(host_tree, name, expected):
    found = host_info.distribution(host_tree(name))
    # Of the version the beginning: point releases come and go in the fixtures.
    assert found["version"].startswith(expected[1])
    assert (found["id"], found["family"]) == (expected[0], expected[2])
    assert found["name"]


def test_all_of_os_release(make_host):
    text = (
        'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n'
        "ID=ubuntu\nID_LIKE=debian\n"
    )
    assert host_info.distribution(make_host({"/etc/os-release": text})) == {
        "id": "ubuntu",
        "version": "24.04",
        "codename": "noble",
        "like": ["debian"],
        "family": "debian",
        "name": "Ubuntu 24.04.3 LTS",
    }


def test_distribution_by_its_parents_and_unknown(make_host):
    mint = make_host({"/usr/lib/os-release": 'ID=linuxmint\nID_LIKE="ubuntu debian"\n# a note\n'})
    assert host_info.distribution(mint)["family"] == "debian"
    assert host_info.distribution(make_host({"/usr/lib/os-release": ""})) == {
        "id": "",
        "version": "",
        "codename": "",
        "like": [],
        "family": "other",
        "name": "",
    }


def test_architecture_of_packages_may_differ_from_the_kernels(make_host):
    host = make_host(
        {"/var/lib/dpkg/status": DPKG.replace("arm64", "armhf")}, {"machine": "aarch64"}
    )
    assert host_info.architecture(host) == {"kernel": "aarch64", "debian": "armhf"}


def test_architecture_without_dpkg(make_host):
    assert host_info.architecture(make_host({}, {"machine": "x86_64"})) == {
        "kernel": "x86_64",
        "debian": "amd64",
    }
    assert host_info.architecture(make_host({}, {})) == {"kernel": None, "debian": None}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/run/systemd/system/x": "", "/proc/1/comm": "systemd\n"}, "systemd"),
        ({"/run/openrc/softlevel": "default"}, "openrc"),
        ({"/proc/1/comm": "init\n"}, "init"),
        ({}, ""),
    ],
)
def test_service_manager(make_host, files, expected):
    assert host_info.service_manager(make_host(files)) == expected


def test_paths(make_host, tmp_path):
    host = make_host(
        {"/opt/stack/.conf": "x=1\n"},
        links={"/opt/link": "stack/.conf", "/opt/dangling": "nowhere"},
    )
    (tmp_path / "opt/stack/.conf").chmod(0o640)
    found = host_info.paths(host, ["/opt/stack", "/opt/link", "/opt/dangling", "/no"])
    assert {name: (f["exists"], f["type"], f["target"]) for name, f in found.items()} == {
        "/opt/stack": (True, "directory", None),
        "/opt/link": (True, "link", "stack/.conf"),
        "/opt/dangling": (False, "link", "nowhere"),
        "/no": (False, None, None),
    }
    assert (found["/opt/link"]["mode"], found["/opt/link"]["size"]) == ("0640", 4)
    assert found["/no"]["mode"] is None


def test_commands(make_host):
    host = make_host({}, {"programs": ["git"]})
    assert host_info.commands(host, ["git", "jq"]) == {"git": "/usr/bin/git", "jq": None}


ROUTE4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wg0\t00000000\t00000000\t0001\t0\t0\t900\t00000000\t0\t0\t0
eth0\t00000000\t0100630A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t00000000\t0200630A\t0203\t0\t0\t1\t00000000\t0\t0\t0
eth0\t0000630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ROUTE6 = """\
{0} 00 {0} 00 fd990000000000000000000000000001 00000400 00000003 00000000 00000003     eth0
{0} 00 {0} 00 fe800000000000000000000000000001 00000300 00000003 00000000 00000003     ens4
{0} 00 {0} 00 {0} ffffffff 00000001 00000000 00200200       lo
fd990000000000000000000000000000 40 {0} 00 {0} 00000100 00000005 00000000 00000001     eth0
""".format("0" * 32)


def test_default_route(make_host):
    host = make_host(
        {
            "/proc/net/route": ROUTE4,
            "/proc/net/ipv6_route": ROUTE6,
            "/sys/class/net/eth0/mtu": "1450\n",
        },
        {
            "commands": {
                "ip -4 route get 192.0.2.1": {
                    "stdout": "192.0.2.1 via 10.99.0.1 dev eth0 src 10.99.0.12 uid 0 \n    cache \n"
                },
            }
        },
    )
    assert host_info.default_route(host) == {
        "ipv4": {
            "interface": "eth0",
            "gateway": "10.99.0.1",
            "mtu": 1450,
            "source": "10.99.0.12",
        },
        "ipv6": {"interface": "ens4", "gateway": "fe80::1", "mtu": None, "source": None},
    }


def test_route_of_a_point_to_point_link(make_host):
    lines = ROUTE4.splitlines(True)
    host = make_host({"/proc/net/route": "".join(lines[:2])})
    assert host_info.default_route(host)["ipv4"]["gateway"] is None


def test_no_default_route(make_host):
    rejecting = ROUTE6.splitlines(True)[2]
    host = make_host({"/proc/net/route": "Iface\n", "/proc/net/ipv6_route": rejecting})
    assert host_info.default_route(host) == {"ipv4": None, "ipv6": None}
