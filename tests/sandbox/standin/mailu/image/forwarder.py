# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name server that passes questions on, and says of every answer that it was validated.

Nothing in the sandbox is signed, and Mailu's admin does not start unless its resolver
says so. The flags are those of RFC 1035, section 4.1.1, and RFC 6840, section 5.8.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading

ABOVE = ("127.0.0.11", 53)
AUTHORITATIVE, VALIDATED, FAILURE = 0x0400, 0x0020, 0x8182


def validated(question, answer):
    """The same answer as from a resolver that validates.

    It says so to those who want to know: by the same flag, or by the one of RFC 3225.
    """
    asked = struct.unpack("!H", question[2:4])[0] & VALIDATED
    # An OPT record: the root's name, type 41, size, version; flags follow.
    record = question.find(b"\x00\x00\x29", 12)
    if record >= 0 and len(question) > record + 7 and question[record + 7] & 0x80:
        asked = VALIDATED
    flags = struct.unpack("!H", answer[2:4])[0] & ~AUTHORITATIVE | asked
    return answer[:2] + struct.pack("!H", flags) + answer[4:]


def failed(question):
    """The answer that there is none."""
    return question[:2] + struct.pack("!H", FAILURE) + question[4:]


class Datagram(socketserver.BaseRequestHandler):
    """A question over UDP."""

    def handle(self):
        """Ask above and pass the answer on."""
        question, here = self.request
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as above:
            above.settimeout(4)
            above.connect(ABOVE)
            try:
                above.send(question)
                answer = validated(question, above.recv(65535))
            except OSError:
                answer = failed(question)
        here.sendto(answer, self.client_address)


class Stream(socketserver.StreamRequestHandler):
    """Questions over TCP, each behind its length."""

    timeout = 10

    def handle(self):
        """Ask above and pass the answers on."""
        while len(head := self.rfile.read(2)) == 2:
            question = self.rfile.read(*struct.unpack("!H", head))
            try:
                with socket.create_connection(ABOVE, timeout=4) as above:
                    above.sendall(head + question)
                    stream = above.makefile("rb")
                    answer = stream.read(*struct.unpack("!H", stream.read(2)))
                    answer = validated(question, answer)
            except (OSError, struct.error):
                answer = failed(question)
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class Datagrams(socketserver.ThreadingUDPServer):
    """The server for UDP, on both families."""

    address_family = socket.AF_INET6
    daemon_threads = True


class Streams(socketserver.ThreadingTCPServer):
    """The server for TCP, on both families."""

    address_family = socket.AF_INET6
    allow_reuse_address = daemon_threads = True


threading.Thread(target=Streams(("::", 53), Stream).serve_forever, daemon=True).start()
Datagrams(("::", 53), Datagram).serve_forever()
