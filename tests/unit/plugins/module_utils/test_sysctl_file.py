# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters: what gets a line, what is set at once, and what is left alone."""

from __future__ import annotations

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import sysctl_file
from ansible_collections.postmaster.mailhost.plugins.module_utils.sysctl_file import SysctlError

FORWARD = "net.ipv4.ip_forward"
WATCHES = "fs.inotify.max_user_watches"
OVERCOMMIT = "vm.overcommit_memory"
OWN = "/etc/sysctl.d/60-mailhost.conf"


def proc(**values):
    """Return the files of running parameters; two underscores in a keyword are a dot."""
    return {
        "/proc/sys/" + name.replace("__", "/"): str(value) + "\n" for name, value in values.items()
    }


def lines(planned):
    """Return the lines that the file is to have."""
    text = planned.change.after.decode() if planned.change else ""
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_too_low_is_raised_now_and_at_boot_and_then_nothing_is_left_to_do(make_host, tmp_path):
    host = make_host(proc(net__ipv4__ip_forward=0, fs__inotify__max_user_watches=8192))
    minimums = {WATCHES: 65536, FORWARD: 1}
    planned = sysctl_file.plan(host, minimums, {})
    assert planned.changed and planned.warnings == []
    assert planned.apply == {FORWARD: "1", WATCHES: "65536"}
    assert lines(planned) == ["fs.inotify.max_user_watches = 65536", "net.ipv4.ip_forward = 1"]
    shown = sysctl_file.result(planned)
    assert shown["diff"][1]["before"] == (
        "fs.inotify.max_user_watches = 8192\nnet.ipv4.ip_forward = 0\n"
    )
    sysctl_file.write(host, planned)
    assert (tmp_path / "proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert (tmp_path / OWN[1:]).read_text().splitlines()[1:] == lines(planned)
    again = sysctl_file.plan(host, minimums, {})
    assert not again.changed and sysctl_file.result(again)["diff"] == []


@pytest.mark.parametrize(
    ("running", "files", "expected"),
    [
        # The kernel reaches it by itself.
        (65536, {}, []),
        (524288, {}, []),
        # Another file reaches it, before ours or after it; higher values are not lowered at boot.
        (524288, {"/etc/sysctl.d/10-own.conf": WATCHES + "=524288"}, []),
        (524288, {"/etc/sysctl.d/99-own.conf": "-fs/inotify/max_user_watches = 524288"}, []),
        # The same, and ours from an earlier run has it too: that would lower it.
        (
            524288,
            {OWN: WATCHES + " = 65536", "/etc/sysctl.d/10-own.conf": WATCHES + "=524288"},
            [],
        ),
        # Somebody set it by hand; at boot a file would lower it.
        (524288, {"/etc/sysctl.d/10-own.conf": WATCHES + "=8192"}, [WATCHES + " = 65536"]),
        # Our line is why the kernel has it.
        (65536, {OWN: WATCHES + " = 65536"}, [WATCHES + " = 65536"]),
        (65536, {OWN: WATCHES + " = 70000"}, [WATCHES + " = 65536"]),
        # A file of the vendor with the same name as one in /etc does not count.
        (
            65536,
            {
                "/etc/sysctl.d/10-a.conf": "# nothing\n; = 1\nno equals sign\n",
                "/usr/lib/sysctl.d/10-a.conf": WATCHES + "=8192",
                "/etc/sysctl.d/10-b.conf~": WATCHES + "=8192",
            },
            [],
        ),
    ],
)
def test_a_line_stands_only_where_nothing_else_reaches_the_minimum(
    make_host, running, files, expected
):
    host = make_host(dict(proc(fs__inotify__max_user_watches=running), **files))
    planned = sysctl_file.plan(host, {WATCHES: 65536}, {})
    assert (lines(planned), planned.apply) == (expected, {})


def test_what_another_file_reaches_is_set_at_once_without_a_line(make_host):
    files = proc(net__ipv4__ip_forward=0)
    files["/etc/sysctl.d/10-own.conf"] = FORWARD + "=1"
    planned = sysctl_file.plan(make_host(files), {FORWARD: 1}, {})
    assert (lines(planned), planned.apply, planned.change) == ([], {FORWARD: "1"}, None)


def test_a_later_file_that_says_less_is_named(make_host):
    files = proc(net__ipv4__ip_forward=1)
    files["/etc/sysctl.d/99-sysctl.conf"] = FORWARD + "=0"
    planned = sysctl_file.plan(make_host(files), {FORWARD: 1}, {})
    assert "/etc/sysctl.d/99-sysctl.conf is read after" in planned.warnings[0]
    assert "sets net.ipv4.ip_forward to 0, wanted 1" in planned.warnings[0]


def test_exact_values_go_over_minimums_and_may_lower(make_host):
    host = make_host(proc(vm__swappiness=60, net__ipv4__tcp_rmem="4096\t131072\t6291456"))
    values = {"vm/swappiness": 10, "net.ipv4.tcp_rmem": "4096 131072  6291456"}
    planned = sysctl_file.plan(host, {"vm.swappiness": 30}, values)
    assert planned.apply == {"vm.swappiness": "10"}
    assert lines(planned) == ["net.ipv4.tcp_rmem = 4096 131072 6291456", "vm.swappiness = 10"]


@pytest.mark.parametrize(
    ("running", "apply"), [(0, {OVERCOMMIT: "1"}), (1, {}), (2, {OVERCOMMIT: "1"})]
)
def test_the_name_of_a_choice_is_no_amount(make_host, running, apply):
    host = make_host(proc(vm__overcommit_memory=running))
    assert sysctl_file.plan(host, {OVERCOMMIT: 1}, {}).apply == apply


def test_the_file_goes_when_nothing_is_left_to_stand_in_it(make_host, tmp_path):
    host = make_host({OWN: sysctl_file.HEADER + "vm.swappiness = 10\n"})
    planned = sysctl_file.plan(host, {}, {})
    assert planned.changed and planned.remove
    assert sysctl_file.result(planned)["diff"][0]["after_header"] == OWN + " (absent)"
    sysctl_file.write(host, planned)
    assert not (tmp_path / OWN[1:]).exists()
    assert not sysctl_file.plan(host, {}, {}).changed


def test_in_a_container_the_machines_parameters_are_not_touched(make_host):
    files = proc(
        net__ipv4__ip_forward=0, vm__overcommit_memory=0, fs__inotify__max_user_watches=99999
    )
    files["/run/systemd/container"] = "lxc"
    planned = sysctl_file.plan(make_host(files), {FORWARD: 1, OVERCOMMIT: 1, WATCHES: 65536}, {})
    assert planned.apply == {FORWARD: "1"} and lines(planned) == [FORWARD + " = 1"]
    assert len(planned.warnings) == 1
    assert "vm.overcommit_memory is 0, wanted 1: it belongs to the machine" in planned.warnings[0]


def test_a_parameter_that_the_kernel_does_not_have(make_host):
    planned = sysctl_file.plan(make_host(), {FORWARD: 1}, {})
    assert not planned.changed
    assert planned.warnings == ["this kernel has no parameter net.ipv4.ip_forward"]
    with pytest.raises(SysctlError, match="no parameter vm.swapiness; take it out of values"):
        sysctl_file.plan(make_host(), {}, {"vm.swapiness": 10})


def test_interfaces_with_a_dot_in_their_name(make_host, tmp_path):
    path = "proc/sys/net/ipv4/conf/eth0.100/rp_filter"
    host = make_host({"/" + path: "0\n"})
    for name in ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"):
        planned = sysctl_file.plan(host, {}, {name: 2})
        assert lines(planned) == ["net.ipv4.conf.eth0/100.rp_filter = 2"]
    sysctl_file.write(host, planned)
    assert (tmp_path / path).read_text() == "2\n"


def test_a_value_that_the_kernel_does_not_take(make_host, tmp_path):
    host = make_host(proc(vm__swappiness=60))
    planned = sysctl_file.plan(host, {}, {"vm.swappiness": 10})
    (tmp_path / "proc/sys/vm/swappiness").unlink()
    (tmp_path / "proc/sys/vm/swappiness").mkdir()
    with pytest.raises(SysctlError, match=r"does not take: vm\.swappiness = 10 \(Is a directory\)"):
        sysctl_file.write(host, planned)


@pytest.mark.parametrize(
    ("minimums", "values", "message"),
    [
        ({}, {"swappiness": 1}, "values: 'swappiness' is no name"),
        ({}, {"vm.../etc/passwd": 1}, "is no name"),
        ({}, {"vm.x y": 1}, "is no name"),
        ({}, {"vm.swappiness": True}, "values.vm.swappiness is True; allowed: a number"),
        ({}, {"vm.swappiness": [1]}, r"values.vm.swappiness is \[1\]"),
        ({}, {"vm.swappiness": " "}, "a value in one line"),
        ({}, {"vm.swappiness": "1\nkernel.x = 2"}, "a value in one line"),
        ({"vm.swappiness": "much"}, {}, "minimums.vm.swappiness is 'much'; allowed: a number"),
    ],
)
def test_bad_input(make_host, minimums, values, message):
    with pytest.raises(SysctlError, match=message):
        sysctl_file.plan(make_host(), minimums, values)
