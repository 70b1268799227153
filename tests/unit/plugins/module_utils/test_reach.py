# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against real servers on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_message, reach
from ansible_collections.postmaster.mailhost.plugins.module_utils.reach import Probe, Question


def _has_ipv6():
    with socket.socket(socket.AF_INET6) as trial:
        try:
            trial.bind(("::1", 0))
        except OSError:
            return False
    return True


LOOPBACKS = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 here")),
]


@contextlib.contextmanager
def tcp_server(address="127.0.0.1", talk=None):
    """A server whose connections each run ``talk``; yields its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen(8)

        def serve():
            while True:
                try:
                    stream, _peer = server.accept()
                except OSError:
                    return
                with stream, contextlib.suppress(OSError):
                    if talk is not None:
                        talk(stream)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def udp_server(answer, address="127.0.0.1"):
    """A server that sends what ``answer`` makes of each packet (None: nothing); yields its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((address, 0))
        server.settimeout(0.05)
        done = threading.Event()

        def serve():
            while not done.is_set():
                try:
                    data, peer = server.recvfrom(4096)
                except OSError:
                    continue
                for reply in answer(data) or ():
                    server.sendto(reply, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join()


@contextlib.contextmanager
def full_server():
    """A listener whose queue is full: the kernel drops each further request. Yields its port."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _number in range(3):
            stream = stack.enter_context(socket.socket())
            stream.setblocking(False)
            stream.connect_ex(server.getsockname())
        time.sleep(0.1)
        yield server.getsockname()[1]


def closed_port(kind=socket.SOCK_STREAM, address="127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as trial:
        trial.bind((address, 0))
        return trial.getsockname()[1]


def one(probe, timeout=0.4):
    (reply,) = reach.try_all([probe], timeout=timeout)
    return reply


class TestTcp:
    @pytest.mark.parametrize("address", LOOPBACKS)
    def test_open_and_refused(self, address):
        with tcp_server(address) as port:
            assert one(Probe("tcp", address, port)) == ("open", "", "", b"")
        assert one(Probe("tcp", address, closed_port(address=address))).state == "refused"

    def test_dropped(self):
        with full_server() as port:
            begin = time.monotonic()
            assert one(Probe("tcp", "127.0.0.1", port)).state == "timeout"
            assert 0.3 < time.monotonic() - begin < 3

    def test_no_route(self):
        # Never an address of a host (RFC 1122, section 3.2.1.3); the kernel refuses by itself.
        reply = one(Probe("tcp", "255.255.255.255", 25))
        assert reply.state == "unreachable"
        assert reply.detail

    def test_greeting_and_farewell(self):
        heard = []

        def talk(stream):
            stream.sendall(b"220-mx.example.org hello\r\n220 go on\r\n")
            heard.append(stream.recv(100))

        with tcp_server(talk=talk) as port:
            reply = one(Probe("tcp", "127.0.0.1", port, wait=True, farewell=b"QUIT\r\n"))
            time.sleep(0.1)
        assert reply.text == "220-mx.example.org hello"
        assert heard == [b"QUIT\r\n"]

    def test_nothing_is_said_unasked(self):
        heard = []
        with tcp_server(talk=lambda stream: heard.append(stream.recv(100))) as port:
            assert one(Probe("tcp", "127.0.0.1", port)).state == "open"
            time.sleep(0.1)
        assert heard == [b""]

    def test_a_silent_server_is_open(self):
        with tcp_server(talk=lambda _stream: time.sleep(1)) as port:
            assert one(Probe("tcp", "127.0.0.1", port, wait=True)) == ("open", "", "", b"")

    def test_control_characters_are_not_repeated(self):
        with tcp_server(talk=lambda stream: stream.sendall(b"220 \x1b[31mred\r\n")) as port:
            assert one(Probe("tcp", "127.0.0.1", port, wait=True)).text == "220 [31mred"

    @pytest.mark.parametrize(
        ("status", "state"),
        [("200 Connection established", "open"), ("407 Proxy Authentication Required", "refused")],
    )
    def test_tunnel(self, status, state):
        heard = []

        def talk(stream):
            heard.append(stream.recv(100))
            stream.sendall("HTTP/1.1 {0}\r\nX: y\r\n\r\n".format(status).encode("ascii"))

        with tcp_server(talk=talk) as port:
            reply = one(Probe("tcp", "127.0.0.1", port, tunnel=b"CONNECT x:1 HTTP/1.1\r\n\r\n"))
        assert heard == [b"CONNECT x:1 HTTP/1.1\r\n\r\n"]
        assert (reply.state, reply.text) == (state, "HTTP/1.1 " + status)

    def test_what_is_said_through_a_tunnel(self):
        heard = []

        def talk(stream):
            stream.recv(100)
            stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            heard.append(stream.recv(100))
            stream.sendall(b"inner\n")

        with tcp_server(talk=talk) as port:
            probe = Probe("tcp", "127.0.0.1", port, tunnel=b"outer", send=b"hello", wait=True)
            assert one(probe).text == "inner"
        assert heard == [b"hello"]

    def test_no_tls(self):
        with tcp_server(talk=lambda stream: stream.sendall(b"220 plain text here\r\n")) as port:
            reply = one(Probe("tcp", "127.0.0.1", port, tls="example.org"))
        assert reply.state == "untrusted"
        assert reply.detail.startswith("no TLS")


class TestUdp:
    @pytest.mark.parametrize("address", LOOPBACKS)
    def test_answer_and_refusal(self, address):
        with udp_server(lambda data: [data + b" back"], address) as port:
            assert one(Probe("udp", address, port, send=b"x")).data == b"x back"
        port = closed_port(socket.SOCK_DGRAM, address)
        assert one(Probe("udp", address, port, send=b"x")).state == "refused"

    def test_silence(self):
        with udp_server(lambda _data: None) as port:
            assert one(Probe("udp", "127.0.0.1", port, send=b"x")).state == "timeout"

    def test_a_lost_packet_is_sent_again(self):
        heard = []

        def answer(data):
            heard.append(data)
            return [b"late"] if len(heard) > 1 else None

        with udp_server(answer) as port:
            assert one(Probe("udp", "127.0.0.1", port, send=b"x"), timeout=3).state == "open"
        assert heard == [b"x", b"x"]


class TestPing:
    def test_loopback_answers(self):
        reply = one(Probe("icmp", "127.0.0.1"))
        if reply.state == "forbidden":
            pytest.skip("no right to send ICMP")
        assert reply.state == "open"

    def test_checksum(self):
        packet = reach._echo_request(0xABCD, bytes(range(16)))
        assert packet[0] == 8
        total = sum(struct.unpack("!12H", packet))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def dns_answer(data, flags=0x8180, identity=None):
    """Return an answer without records to a question."""
    number = data[:2] if identity is None else struct.pack("!H", identity)
    return number + struct.pack("!5H", flags, 1, 0, 0, 0) + data[12:-11]


class TestDns:
    def ask(self, port, **more):
        question = Question("127.0.0.1", "example.org", "A", port=port, **more)
        (said,) = reach.ask_all([question], timeout=0.4)
        return said

    def test_udp(self):
        heard = []

        def answer(data):
            heard.append(dns_message.decode(data))
            return [dns_answer(data, 0x81A0)]

        with udp_server(answer) as port:
            said = self.ask(port, authentic=True)
        assert said.state == "open"
        assert said.message.authenticated
        assert (heard[0].name, heard[0].authenticated) == ("example.org", True)

    def test_a_guessed_answer_does_not_count(self):
        def answer(data):
            wrong = int.from_bytes(data[:2], "big") ^ 1
            return [dns_answer(data, 0x8185, wrong), dns_answer(data)]

        with udp_server(answer) as port:
            assert self.ask(port).message.rcode == "NOERROR"

    def test_no_message(self):
        with udp_server(lambda data: [data[:2] + b"nonsense"]) as port:
            said = self.ask(port)
        assert said.message is None
        assert said.state == "unreachable"
        assert "ends in the middle" in said.detail

    def test_silence_and_refusal(self):
        with udp_server(lambda _data: None) as port:
            assert self.ask(port).state == "timeout"
        assert self.ask(closed_port(socket.SOCK_DGRAM)).state == "refused"

    def test_tcp_in_pieces(self):
        def talk(stream):
            data = stream.recv(4096)
            assert int.from_bytes(data[:2], "big") == len(data) - 2
            reply = dns_answer(data[2:])
            whole = len(reply).to_bytes(2, "big") + reply
            for start in range(0, len(whole), 5):
                stream.sendall(whole[start : start + 5])
                time.sleep(0.01)

        with tcp_server(talk=talk) as port:
            assert self.ask(port, protocol="tcp").message.name == "example.org"

    def test_tcp_that_ends(self):
        def talk(stream):
            stream.recv(4096)
            stream.sendall(b"\x00\x50half")

        with tcp_server(talk=talk) as port:
            said = self.ask(port, protocol="tcp")
        assert (said.state, said.message) == ("unreachable", None)

    def test_tcp_answer_to_another_question(self):
        def talk(stream):
            data = stream.recv(4096)[2:]
            reply = dns_answer(data, identity=int.from_bytes(data[:2], "big") ^ 1)
            stream.sendall(len(reply).to_bytes(2, "big") + reply)

        with tcp_server(talk=talk) as port:
            assert self.ask(port, protocol="tcp").message is None


class TestNames:
    def test_found(self):
        (found,) = reach.look_up(["localhost"])
        assert "127.0.0.1" in found.ipv4
        assert found.trouble == ""

    def test_addresses(self):
        found = reach.look_up(["192.0.2.1", "2001:db8::1"])
        assert found == [(("192.0.2.1",), (), ""), ((), ("2001:db8::1",), "")]

    def test_not_a_name(self):
        found = reach.look_up(["a..b", "x" * 64 + ".org"])
        assert all(item.trouble for item in found)
        assert not any(item.ipv4 for item in found)


class TestAllAtOnce:
    def test_in_their_order_and_at_the_same_time(self):
        with full_server() as full, tcp_server() as port:
            begin = time.monotonic()
            probes = [Probe("tcp", "127.0.0.1", number) for number in [full, port] * 20]
            states = [reply.state for reply in reach.try_all(probes, timeout=0.5)]
            assert time.monotonic() - begin < 3
        assert states == ["timeout", "open"] * 20

    def test_the_limit_holds(self):
        with full_server() as full:
            begin = time.monotonic()
            (reply,) = reach.try_all([Probe("tcp", "127.0.0.1", full)], timeout=5, limit=0.2)
            assert time.monotonic() - begin < 2
        assert reply.state == "timeout"

    def test_places(self):
        assert Probe("tcp", "2001:db8::1", 443).place == "tcp [2001:db8::1]:443"
        assert Probe("udp", "192.0.2.1", 53).place == "udp 192.0.2.1:53"
        assert Probe("icmp", "192.0.2.1").place == "icmp 192.0.2.1"
        question = Question("192.0.2.53", ".", "NS", "tcp")
        assert question.place == "dns 192.0.2.53 tcp . NS"
        assert question._replace(recursion=False).place.endswith(" NS +norecurse")
        assert question._replace(authentic=True).place.endswith(" NS +adflag")
