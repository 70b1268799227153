# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import tarfile

from sandbox import archive, data, hosts, vm

(MACHINE,) = (host for host in data.HOSTS if host.virtual)


def test_what_machines_are_made_from_is_downloaded_when_one_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "VM", tmp_path / "vm")
    assert not any("linux-image" in " ".join(names) for names in _groups())
    vm.ask()
    assert any(name.startswith("linux-image") for names in _groups() for name in names)
    assert any("qemu-system-x86" in names for names in _groups())


def _groups():
    return archive.groups(data.VM_SUITE).values()


def test_a_machine_begins_with_its_network_its_name_and_its_key(monkeypatch, tmp_path):
    monkeypatch.setattr(hosts.keys, "SSH", tmp_path)
    files = hosts._own_files(MACHINE)
    assert files["/etc/hostname"][0] == f"{MACHINE.name}\n".encode()
    network = files["/etc/network/interfaces.d/50-cloud-init.cfg"][0].decode()
    assert f"    address {MACHINE.ipv4}/24\n" in network
    assert f"    address {MACHINE.ipv6}/64\n" in network
    assert network.count("gateway") == 2
    # What it reads from its second disk.
    with tarfile.open(fileobj=io.BytesIO(hosts.engine.tar(files))) as disk:
        assert disk.getmember("etc/ssh/ssh_host_ed25519_key").mode == 0o600
    assert not any(path.startswith("/etc/sandbox") for path in files)


def test_a_processor_that_cannot_help_is_not_asked_to(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu svme hypervisor lahf_lm\n")
    assert not vm.has_kvm(cpuinfo)
