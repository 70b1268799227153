# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError
from ansible_collections.postmaster.mailhost.plugins.module_utils.reach import Probe, Question

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  inode\n"


def socket_line(address, state, inode):
    return "   0: {0} 00000000:0000 {1} 0:0 00:0 0 0 0 {2} 1 0 100 0 0 10 0\n".format(
        address, state, inode
    )


class TestTree:
    def test_reads_below_its_root_only(self, make_host):
        host = make_host({"/etc/os-release": "ID=debian\n"})
        assert host.read("/etc/os-release") == "ID=debian\n"
        assert host.read("/etc/passwd") is None
        assert host.read("/../../../../etc/passwd") is None

    def test_absolute_links_stay_inside(self, make_host):
        host = make_host({"/real/file": "here"}, links={"/link": "/real/file", "/out": "/etc"})
        assert host.read("/link") == "here"
        assert host.realpath("/link") == "/real/file"
        assert not host.exists("/out/passwd")
        assert host.readlink("/link") == "/real/file"
        assert host.readlink("/real/file") is None

    def test_a_circle_of_links_ends(self, make_host):
        host = make_host(links={"/a": "/b", "/b": "/a"})
        assert host.read("/a") is None

    def test_names_and_patterns(self, make_host):
        host = make_host({"/d/b": "", "/d/a": "", "/d/sub/c": ""})
        assert host.listdir("/d") == ["a", "b", "sub"]
        assert host.listdir("/nothing") == []
        assert host.glob("/d/?") == ["/d/a", "/d/b"]
        assert host.isdir("/d/sub")
        assert not host.isdir("/d/a")
        assert host.stat("/d/a").st_size == 0
        assert host.stat("/nothing") is None

    def test_what_is_not_recorded_is_not_known(self, make_host):
        host = make_host()
        assert host.run(["docker", "info"]).rc == 127
        assert host.which("docker") is None
        for ask in (host.machine, host.now, host.listeners, lambda: host.filesystem("/var")):
            with pytest.raises(HostError):
                ask()

    def test_recorded_answers(self, make_host):
        host = make_host(
            {"/usr/sbin/tool": ""},
            {
                "machine": "aarch64",
                "now": 12.5,
                "programs": ["git"],
                "filesystems": {
                    "/": {"size": 9, "available": 1},
                    "/srv": {"size": 7, "available": 5, "inodes": 3, "inodes_available": 2},
                },
                "units": {"ssh.service": ["loaded", "active", "enabled"]},
                "docker": {"/version": {"Version": "28.0.1"}},
                "commands": {"docker info": {"rc": 1, "stderr": "no"}},
            },
        )
        assert host.machine() == "aarch64"
        assert host.now() == 12.5
        assert host.which("git") == "/usr/bin/git"
        assert host.which("tool") == "/usr/sbin/tool"
        assert host.filesystem("/srv/docker/x") == ("/srv", 7, 5, 3, 2)
        assert host.filesystem("/srvx") == ("/", 9, 1, 0, 0)
        units = host.units(["ssh.service", "exim4.service"])
        assert units["ssh.service"].starts
        assert not units["exim4.service"].present
        assert host.docker("/version") == {"Version": "28.0.1"}
        with pytest.raises(HostError, match="does not answer"):
            host.docker("/info")
        assert host.run(["docker", "info"]) == (1, "", "no")

    def test_listeners(self, make_host):
        table = HEAD + socket_line("0100007F:0019", "0A", 7) + socket_line("0100007F:0019", "01", 8)
        six = HEAD + socket_line("00000000000000000000000001000000:0019", "0A", 9)
        mapped = HEAD + socket_line("0000000000000000FFFF00000A0200C0:0035", "07", 10)
        host = make_host(
            {
                "/proc/net/tcp": table,
                "/proc/net/tcp6": six,
                "/proc/net/udp6": mapped,
                "/proc/1/comm": "systemd\n",
                "/proc/50/comm": "exim4\n",
                "/proc/50/cmdline": "/usr/sbin/exim4\0-bd\0",
                "/proc/50/cgroup": "1:name=systemd:/system.slice/exim4.service\n0::/\n",
            },
            links={"/proc/1/fd/9": "socket:[7]", "/proc/50/fd/3": "socket:[7]"},
        )
        found = host.listeners()
        assert [(item.protocol, item.address, item.port) for item in found] == [
            ("tcp", "127.0.0.1", 25),
            ("tcp", "::1", 25),
            ("udp", "192.0.2.10", 53),
        ]
        # PID 1 handed the socket out: the process that works with it is named.
        assert found[0].pid == 50
        assert found[0].process == "exim4"
        assert found[0].cmdline == ("/usr/sbin/exim4", "-bd")
        assert found[0].unit == "exim4.service"
        assert found[1].pid is None
        assert found[1].unit == ""
        assert [item.port for item in host.listeners({53})] == [53]

    def test_a_recorded_network(self, make_host):
        said = {"rcode": "NOERROR", "authenticated": True}
        network = {
            "name example.org": ["192.0.2.1", "2001:db8::1"],
            "name gone.example.org": "does not resolve",
            "tcp [2001:db8::1]:25": {"state": "open", "text": "220 hello"},
            "icmp 192.0.2.1": "timeout",
            "dns 192.0.2.53 udp example.org A": said,
            "dns 192.0.2.53 tcp example.org A": "refused",
        }
        host = make_host({}, {"network": network, "environment": {"no_proxy": "*"}})
        assert host.look_up(["gone.example.org", "example.org", "192.0.2.9", "2001:db8::9"]) == [
            ((), (), "does not resolve"),
            (("192.0.2.1",), ("2001:db8::1",), ""),
            (("192.0.2.9",), (), ""),
            ((), ("2001:db8::9",), ""),
        ]
        probes = [Probe("icmp", "192.0.2.1"), Probe("tcp", "2001:db8::1", 25)]
        replies = host.probe(probes)
        assert [(reply.state, reply.text) for reply in replies] == [
            ("timeout", ""),
            ("open", "220 hello"),
        ]
        udp = Question("192.0.2.53", "example.org", "A")
        answers = host.ask_dns([udp._replace(protocol="tcp"), udp])
        assert [answer.state for answer in answers] == ["refused", "open"]
        assert answers[1].message.authenticated
        assert answers[0].message is None
        assert host.environment("no_proxy") == "*"
        assert host.environment("http_proxy") == ""
        for ask in (
            lambda: host.look_up(["other.example.org"]),
            lambda: host.probe([Probe("icmp", "192.0.2.2")]),
            lambda: host.ask_dns([udp._replace(server="192.0.2.54")]),
        ):
            with pytest.raises(HostError, match="not known"):
                ask()

    def test_without_a_recorded_network_nothing_is_known(self, make_host):
        host = make_host()
        for ask in (
            lambda: host.look_up(["192.0.2.1"]),
            lambda: host.probe([]),
            lambda: host.ask_dns([]),
        ):
            with pytest.raises(HostError, match="not known"):
                ask()


class TestThisMachine:
    def test_asks_the_network(self, monkeypatch):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            port = server.getsockname()[1]
            (found,) = Host().probe([Probe("tcp", "127.0.0.1", port)])
            assert found.state == "open"
        (closed,) = Host().probe([Probe("tcp", "127.0.0.1", port)])
        assert closed.state == "refused"
        (name,) = Host().look_up(["localhost"])
        assert "127.0.0.1" in name.ipv4
        (said,) = Host().ask_dns([Question("127.0.0.1", ".", "NS", "tcp", port=port)])
        assert said.state == "refused"
        monkeypatch.setenv("no_proxy", "example.org")
        assert Host().environment("no_proxy") == "example.org"

    def test_finds_its_own_socket(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            port = server.getsockname()[1]
            (found,) = Host().listeners({port})
            assert (found.address, found.pid) == ("127.0.0.1", os.getpid())
            assert found.cmdline
        assert Host().listeners({port}) == []

    def test_file_system_of_what_is_not_there_yet(self, tmp_path):
        there = Host().filesystem(str(tmp_path))
        assert Host().filesystem(str(tmp_path / "a" / "b")).mount == there.mount
        assert 0 < there.available <= there.size

    def test_clock_and_machine(self):
        assert abs(Host().now() - time.time()) < 5
        assert Host().machine() == os.uname().machine

    def test_run(self, tmp_path):
        host = Host()
        script = "read line; echo $line; pwd; echo $LC_ALL $OWN >&2; exit 3"
        result = host.run(["sh", "-c", script], input="hi\n", cwd=str(tmp_path), env={"OWN": "own"})
        assert result.rc == 3
        assert result.stdout == "hi\n{0}\n".format(tmp_path)
        assert result.stderr == "C own\n"

    def test_run_what_is_not_there(self, tmp_path):
        assert Host().run(["no-such-program-at-all"]).rc == 127
        result = Host().run(["true"], cwd=str(tmp_path / "gone"))
        assert result.rc == 126
        assert "gone" in result.stderr
        plain = tmp_path / "plain"
        plain.write_text("")
        assert Host().run([str(plain)]).rc == 126

    def test_timeout_ends_children_too(self):
        begin = time.monotonic()
        result = Host().run(["sh", "-c", "echo first; sleep 60 & sleep 60"], timeout=0.3)
        assert time.monotonic() - begin < 10
        assert result.rc == 124
        assert result.stdout == "first\n"
        assert "0.3 s" in result.stderr


class TestStreams:
    def test_what_a_program_prints_comes_in_pieces(self):
        text = b"".join(Host().output(["seq", "1000"], size=100))
        assert text.split() == [str(number).encode() for number in range(1, 1001)]

    def test_a_program_nobody_listens_to_is_ended(self):
        begin = time.monotonic()
        pieces = Host().output(["sh", "-c", "echo a; exec sleep 60"], size=2)
        assert next(pieces) == b"a\n"
        pieces.close()
        assert time.monotonic() - begin < 10

    @pytest.mark.parametrize(
        ("argv", "text"),
        [(["false"], "false ended with 1"), (["/nowhere/x"], "/nowhere/x: No such file")],
    )
    def test_a_program_that_fails(self, argv, text):
        with pytest.raises(HostError, match=text):
            list(Host().output(argv))

    def test_a_file_comes_in_pieces(self, make_host):
        host = make_host({"/a": b"x" * 25, "/b.gz": b"this is not packed"})
        assert [len(block) for block in host.blocks("/a", 10)] == [10, 10, 5]
        for path in ("/b.gz", "/nowhere"):
            with pytest.raises(HostError, match=path):
                list(host.blocks(path))
