# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import dns_message

NAME = b"\x07example\x03org\x00"
ASKED = NAME + struct.pack("!2H", 1, 1)
POINTER = b"\xc0\x0c"  # to the name in the question


def head(flags=0x8180, questions=1, answers=0):
    return struct.pack("!6H", 77, flags, questions, answers, 0, 0)


def record(type_, data, name=POINTER):
    return name + struct.pack("!2HIH", type_, 1, 60, len(data)) + data


class TestQuestion:
    def test_plain(self):
        data = dns_message.question("example.org", "A", 77, payload=0)
        assert data == struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + ASKED

    def test_root_without_recursion(self):
        data = dns_message.question(".", "NS", 1, recursion=False, payload=0)
        assert data[2:4] == b"\0\0"
        assert data[12:] == b"\0" + struct.pack("!2H", 2, 1)

    def test_authentic_and_edns(self):
        data = dns_message.question("example.org.", "A", 1, authentic=True)
        assert struct.unpack_from("!H", data, 2) == (0x0120,)
        # The root, OPT, 1232 bytes, no flags, no options.
        assert data.endswith(b"\0" + struct.pack("!2HIH", 41, 1232, 0, 0))
        assert struct.unpack_from("!H", data, 10) == (1,)

    @pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 60] * 5), "ä.org"])
    def test_names_that_cannot_be(self, name):
        with pytest.raises(ValueError, match="no name that the DNS can have"):
            dns_message.question(name, "A", 1)


class TestDecode:
    def test_header(self):
        message = dns_message.decode(head(0x86A2) + ASKED)
        assert message.identity == 77
        assert message.response
        assert message.authoritative
        assert message.truncated
        assert message.recursion_available
        assert message.authenticated
        assert message.rcode == "SERVFAIL"
        assert (message.name, message.type) == ("example.org", "A")

    def test_no_flag_is_taken_for_another(self):
        for flag, field in (
            (0x8000, "response"),
            (0x0400, "authoritative"),
            (0x0200, "truncated"),
            (0x0080, "recursion_available"),
            (0x0020, "authenticated"),
        ):
            message = dns_message.decode(head(flag) + ASKED)
            names = ("response", "authoritative", "truncated", "recursion_available")
            set_ = [name for name in (*names, "authenticated") if getattr(message, name)]
            assert set_ == [field]

    def test_a_code_without_a_name(self):
        assert dns_message.decode(head(0x8009) + ASKED).rcode == "RCODE 9"

    def test_own_question_is_understood(self):
        message = dns_message.decode(dns_message.question("example.org", "TXT", 5))
        assert (message.name, message.type, message.response) == ("example.org", "TXT", False)

    def test_records(self):
        data = head(answers=6) + ASKED
        data += record(1, bytes((192, 0, 2, 1)))
        data += record(28, b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01")
        data += record(16, b"\x05v=one\x04 two")
        data += record(2, b"\x02NS" + POINTER)
        data += record(15, b"\x00\x0a" + NAME)  # MX: not one that is read
        data += record(5, NAME)
        assert [(item.type, item.value) for item in dns_message.decode(data).answers] == [
            ("A", "192.0.2.1"),
            ("AAAA", "2001:db8::1"),
            ("TXT", "v=one two"),
            ("NS", "ns.example.org"),
            ("CNAME", "example.org"),
        ]
        assert {item.name for item in dns_message.decode(data).answers} == {"example.org"}

    def test_every_cut_is_noticed(self):
        data = head(answers=2) + ASKED + record(1, bytes(4)) + record(16, b"\x03abc")
        assert len(dns_message.decode(data).answers) == 2
        for size in range(len(data)):
            with pytest.raises(ValueError, match="ends in the middle"):
                dns_message.decode(data[:size])

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (head() + POINTER + ASKED, "points forward"),  # to itself
            (head() + b"\xc0\x20" + ASKED, "points forward"),
            (head() + b"\x40" + ASKED, "unknown type"),
            (head() + (b"\x3f" + b"a" * 63) * 4 + b"\x01a\x00" + bytes(4), "too long"),
            (head(answers=1) + ASKED + record(1, bytes(5)), "5 bytes"),
            (head(answers=1) + ASKED + record(28, bytes(4)), "4 bytes"),
            (head(answers=1) + ASKED + record(16, b"\x09abc"), "ends in the middle"),
        ],
    )
    def test_malformed(self, data, words):
        with pytest.raises(ValueError, match=words):
            dns_message.decode(data)
