# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_engine
from sandbox import data, repack, rpm


def test_what_docker_needs_on_el_is_made_for_it():
    assert set(docker_engine.PACKAGES["docker", "redhat"]) <= set(repack.IMITATIONS)
    there = {*repack.IMITATIONS, *rpm.PACKAGES}
    for package in rpm.PACKAGES.values():
        there |= set(package.provides)
    for needs in (*rpm.DOCKER_REQUIRES.values(), *(p.requires for p in rpm.PACKAGES.values())):
        assert {need.split()[0] for need in needs} <= there


def test_every_look_alike_of_el_knows_its_release():
    for system in data.SYSTEMS.values():
        if system.look and not system.look.is_ubuntu:
            package = rpm.PACKAGES[f"{system.look.id}{system.look.release}-release"]
            assert f"system-release(releasever) = {system.look.release}" in package.provides


def test_what_an_image_has_is_made():
    assert set(rpm.INSTALLED) <= set(rpm.PACKAGES)


def test_a_package_lists_its_files_and_switches_its_services_on(tmp_path):
    unit = tmp_path / "usr/lib/systemd/system/firewalld.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("")
    (tmp_path / "etc/firewalld/zones").mkdir(parents=True)
    (tmp_path / "etc/firewalld/firewalld.conf").write_text("")
    package = rpm.Package("BaseOS", requires=("nftables",), services=("firewalld",))
    text = rpm._spec("firewalld", "1.3-2", package, tmp_path)
    assert "\nVersion: 1.3_2\n" in text
    assert "\nRequires: nftables\n" in text
    assert '\n[ "$1" != 1 ] || systemctl enable firewalld.service' in text
    assert text.partition("%files\n")[2].splitlines() == [
        '%config(noreplace) "/etc/firewalld/firewalld.conf"',
        '%dir "/etc/firewalld/zones"',
        '"/usr/lib/systemd/system/firewalld.service"',
    ]


def test_files_lie_in_usr_and_programs_run_on_the_systems_python(tmp_path):
    (tmp_path / "lib/systemd").mkdir(parents=True)
    (tmp_path / "lib/systemd/a").write_text("a")
    (tmp_path / "usr/lib/systemd").mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/b").write_text("b")
    rpm._merge(tmp_path)
    assert not (tmp_path / "lib").exists()
    assert sorted(path.name for path in (tmp_path / "usr/lib/systemd").iterdir()) == ["a", "b"]
    program, data_file = tmp_path / "program", tmp_path / "data"
    program.write_text("#!/usr/bin/python3 -Es\n")
    program.chmod(0o755)
    data_file.write_text("#!/usr/bin/python3\n")
    rpm._point_to_python(tmp_path)
    assert program.read_text() == "#!/usr/libexec/platform-python -Es\n"
    assert data_file.read_text() == "#!/usr/bin/python3\n"
