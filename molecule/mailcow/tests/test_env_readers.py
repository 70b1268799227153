# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What env_document says of a line, against the bash and the Compose of the host."""

from __future__ import annotations

import json
import random

from ansible_collections.postmaster.mailhost.plugins.module_utils.env_document import read_value
from scenario import on

# Every character that one of the two treats specially.
ALPHABET = "ab1 #$'\"\\`;~:=/.,*[]{}!%+-"
FOLDER = "/tmp/readers"


def lines(count):
    """Lines that both readers are said to read alike, with the value."""
    chance = random.Random(1)
    wanted = {}
    while len(wanted) < count:
        raw = "".join(chance.choice(ALPHABET) for _index in range(chance.randrange(9)))
        if chance.random() < 0.4:
            raw = f"'{raw}'"
        try:
            wanted[f"K{len(wanted)}"] = (raw, read_value(raw))
        except ValueError:
            continue
    return wanted


def put(name, text):
    """Write a file on the host, whatever is in it."""
    word = text.encode().hex()
    on("mail1", f"mkdir -p {FOLDER}; python3 -c \"import sys; sys.stdout.write("
       f"bytes.fromhex('{word}').decode())\" > {FOLDER}/{name}")  # fmt: skip


def test_what_is_called_safe_is_read_alike_by_the_real_programs():
    wanted = lines(400)
    values = {key: value for key, (_raw, value) in wanted.items()}
    service = {"image": "x", "environment": {key: f"${{{key}}}" for key in wanted}}
    put(".env", "".join(f"{key}={raw}\n" for key, (raw, _value) in wanted.items()))
    put("compose.yaml", json.dumps({"services": {"s": service}}))
    put("read.sh", f". {FOLDER}/.env\n" + "".join(f'printf "%s\\0" "${key}"\n' for key in wanted))

    by_bash = on("mail1", f"bash --norc {FOLDER}/read.sh").split("\0")[:-1]
    assert dict(zip(wanted, by_bash, strict=True)) == values

    shown = on("mail1", f"cd {FOLDER} && docker compose config --format json")
    by_compose = json.loads(shown)["services"]["s"]["environment"]
    # Compose prints a $ as $$, so that its output can be read again.
    assert {key: (text or "").replace("$$", "$") for key, text in by_compose.items()} == values
