# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of constant databases, with files of real programs: qmail/*.cdb are what notqmail's
qmail-newu and qmail-newmrh made of the text beside them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils.cdb import Cdb, CdbError, hash_of

REAL = Path(__file__).parent / "qmail"
USERS = (REAL / "users.cdb").read_bytes()
EMPTY = struct.pack("<512I", *(2048, 0) * 256)


def test_what_qmail_newmrh_makes():
    found = Cdb((REAL / "morercpthosts.cdb").read_bytes())
    assert list(found) == [(b"example.org", b""), (b".example.net", b""), (b"last.test", b"")]
    assert found.get(b".example.net") == b""
    assert found.get(b"example.net") is None


def test_the_first_of_several_counts_for_readers():
    found = Cdb(USERS)
    assert [key for key, _value in found].count(b"!joe\0") == 2
    assert found.get(b"!joe\0") == b"joe\x00503\x0078\x00/home/joe\x00\x00"
    assert found.get(b"") == b"-a"


def test_the_hash_of_the_specification():
    # By hand: (5381 * 33) ^ 97.
    assert hash_of(b"") == 5381
    assert hash_of(b"a") == 5381 * 33 ^ 97
    assert hash_of(b"\xff" * 50) < 1 << 32


def test_an_empty_one():
    found = Cdb(EMPTY)
    assert list(found) == []
    assert found.get(b"a") is None


@pytest.mark.parametrize("length", [0, 1, 2047, 2048, 2060, len(USERS) - 1])
def test_one_that_is_cut_off(length):
    with pytest.raises(CdbError):
        list(Cdb(USERS[:length]))


@pytest.mark.parametrize("number", [3, 1 << 31, 0xFFFFFFFF])
def test_a_record_that_leads_out_of_the_file(number):
    damaged = bytearray(USERS)
    struct.pack_into("<I", damaged, 2048, number)
    with pytest.raises(CdbError, match="not inside the file"):
        list(Cdb(bytes(damaged)))


def test_a_table_that_leads_into_nothing():
    damaged = bytearray(USERS)
    key = b"!joe\0"
    position, slots = struct.unpack_from("<II", damaged, 8 * (hash_of(key) & 0xFF))
    for slot in range(slots):
        struct.pack_into("<II", damaged, position + 8 * slot, hash_of(key), 0xFFFFFFF0)
    found = Cdb(bytes(damaged))
    assert len(list(found)) == len(list(Cdb(USERS)))
    with pytest.raises(CdbError):
        found.get(key)


def test_whatever_cdbmake_makes(tmp_path):
    hypothesis = pytest.importorskip("hypothesis")
    program = shutil.which("cdbmake")
    if program is None:
        pytest.skip("no cdbmake (Debian's freecdb)")
    text = hypothesis.strategies.binary(max_size=6)

    @hypothesis.settings(max_examples=60, deadline=None)
    @hypothesis.given(hypothesis.strategies.lists(hypothesis.strategies.tuples(text, text)))
    def reads(records):
        lines = [b"+%d,%d:%s->%s\n" % (len(k), len(v), k, v) for k, v in records]
        names = [str(tmp_path / "a.cdb"), str(tmp_path / "a.tmp")]
        subprocess.run([program, *names], input=b"".join(lines) + b"\n", check=True)
        found = Cdb((tmp_path / "a.cdb").read_bytes())
        assert list(found) == records
        for key, value in dict(reversed(records)).items():
            assert found.get(key) == value
        assert found.get(b"seven..") is None

    reads()
