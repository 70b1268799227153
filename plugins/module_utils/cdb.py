# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Constant databases: the files that qmail-newu, qmail-newmrh and tcprules make.

The format is D. J. Bernstein's, https://cr.yp.to/cdb/cdb.txt: 256 pointers to hash tables, the records
in the order in which they were added, the tables. All numbers have 32 bits, the lowest byte first.
"""

from __future__ import annotations

import struct
from typing import Iterator

_HEADER = 2048


class CdbError(Exception):
    """These bytes are no such database; the text says why."""


def hash_of(key: bytes) -> int:
    """Return the hash of a key, as the specification has it."""
    number = 5381
    for byte in key:
        number = ((number << 5) + number & 0xFFFFFFFF) ^ byte
    return number


class Cdb:
    """A constant database.

    Args:
        data: the whole file.

    Raises:
        CdbError: it is too short, or a table of it is not inside it.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER:
            raise CdbError("{0} bytes; the header alone has {1}".format(len(data), _HEADER))
        self._data = data
        numbers = struct.unpack_from("<512I", data)
        self._tables = list(zip(numbers[::2], numbers[1::2]))
        for position, slots in self._tables:
            if position < _HEADER or position + 8 * slots > len(data):
                raise CdbError("a hash table is not inside the file")
        self._end = min(position for position, _slots in self._tables)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield each key and value in the order in which they were added.

        Raises:
            CdbError: a record is not inside the file.
        """
        place = _HEADER
        while place < self._end:
            key, value = self._record(place)
            yield key, value
            place += 8 + len(key) + len(value)

    def get(self, key: bytes) -> bytes | None:
        """Return the first value that was added for a key, found as readers find it, or None.

        Raises:
            CdbError: a record is not inside the file.
        """
        number = hash_of(key)
        position, slots = self._tables[number & 0xFF]
        for step in range(slots):
            slot = position + 8 * (((number >> 8) + step) % slots)
            found, place = struct.unpack_from("<II", self._data, slot)
            if place == 0:
                return None
            if found == number:
                there, value = self._record(place)
                if there == key:
                    return value
        return None

    def _record(self, place: int) -> tuple[bytes, bytes]:
        """Return the key and the value that stand at a place."""
        start = place + 8
        if place < _HEADER or start > self._end:
            raise CdbError("a record is not inside the file")
        key, value = struct.unpack_from("<II", self._data, place)
        if start + key + value > self._end:
            raise CdbError("a record is not inside the file")
        middle = start + key
        return self._data[start:middle], self._data[middle : middle + value]
