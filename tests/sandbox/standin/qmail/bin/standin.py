# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-ins for qmail's programs share.

They follow the documented formats of notqmail's manual pages, and record their calls. None of them
sends mail: what is accepted lies in the queue.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
CALLS = HOME / "standin-calls"


def record(*words: object) -> None:
    """Note that this program was called; root's note, so that a client's session cannot."""
    line = " ".join([Path(sys.argv[0]).name, *map(str, words or sys.argv[1:])])
    with CALLS.open("a") as stream:
        stream.write(f"{time.time():.3f} {line.strip()}\n")


def line(name: str, default: str | None = None) -> str | None:
    """The first line of a control file, without blanks at its end."""
    try:
        return (HOME / name).read_text().partition("\n")[0].rstrip(" \t")
    except FileNotFoundError:
        return default


def number(name: str, default: int) -> int:
    """The leading digits of a control file's first line; no digits are 0."""
    text = line(name)
    if text is None:
        return default
    digits = text[: len(text) - len(text.lstrip("0123456789"))]
    return int(digits or 0)


def lines(name: str) -> list[str] | None:
    """The lines of a control file that is a list, without comments; None when there is none."""
    try:
        text = (HOME / name).read_text()
    except FileNotFoundError:
        return None
    found = [each.rstrip(" \t") for each in text.split("\n")]
    return [each for each in found if each and each[0] != "#"]


def hash_of(key: bytes) -> int:
    """The hash of https://cr.yp.to/cdb/cdb.txt."""
    value = 5381
    for byte in key:
        value = ((value << 5) + value & 0xFFFFFFFF) ^ byte
    return value


def write_cdb(path: Path, records: list[tuple[bytes, bytes]]) -> None:
    """Write a constant database at once."""
    body, slots = b"", [[] for _table in range(256)]
    for key, data in records:
        slots[hash_of(key) & 255].append((hash_of(key), 2048 + len(body)))
        body += struct.pack("<II", len(key), len(data)) + key + data
    head, tables = b"", b""
    for used in slots:
        count = 2 * len(used)
        head += struct.pack("<II", 2048 + len(body) + len(tables), count)
        table = [(0, 0)] * count
        for value, place in used:
            at = (value >> 8) % count
            while table[at][1]:
                at = (at + 1) % count
            table[at] = (value, place)
        tables += b"".join(struct.pack("<II", *slot) for slot in table)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(head + body + tables)
    temporary.chmod(0o644)
    os.replace(temporary, path)


def read_cdb(path: Path) -> dict[bytes, bytes]:
    """The records of a constant database; none when it is not there."""
    if not path.exists():
        return {}
    data = path.read_bytes()
    end = min(struct.unpack_from("<II", data, 8 * table)[0] for table in range(256))
    found, place = {}, 2048
    while place < end:
        key, length = struct.unpack_from("<II", data, place)
        place += 8
        found.setdefault(data[place : place + key], data[place + key : place + key + length])
        place += key + length
    return found


def queued() -> list[int]:
    """The numbers of the messages in the queue."""
    return sorted(int(path.name) for path in (HOME / "queue/info").glob("*/*"))


def enqueue(sender: str, recipients: list[tuple[str, str]], message: bytes) -> int:
    """Put a message into the queue, and return its number.

    Recipients are pairs of "local" or "remote" and the address.
    """
    temporary = HOME / "queue/pid" / f"{os.getpid()}.{time.time_ns()}"
    temporary.write_bytes(message)
    this = temporary.stat().st_ino
    parts = {"info": f"F{sender}\0"}
    for channel, address in recipients:
        parts[channel] = parts.get(channel, "") + f"T{address}\0"
    for folder in ("mess", *parts):
        (HOME / "queue" / folder / str(this % 23)).mkdir(parents=True, exist_ok=True)
    for folder, text in parts.items():
        (HOME / "queue" / folder / str(this % 23) / str(this)).write_text(text)
    os.rename(temporary, HOME / "queue/mess" / str(this % 23) / str(this))
    return this
