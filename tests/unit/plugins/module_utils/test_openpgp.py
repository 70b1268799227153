# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints: keys made by GnuPG (tests/unit/plugins/module_utils/keys), damaged and wrong data.

The expected fingerprints are GnuPG's; where it is installed, every keyring of the system is
compared with what it says as well.
"""

from __future__ import annotations

import base64
import glob
import pathlib
import shutil
import subprocess

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import openpgp

KEYS = pathlib.Path(__file__).parent / "keys"
ED25519 = "74248397D1781C0A15B4E46DA1F5EE60FAF211BF"
RSA2048 = "281658B5111E8B71ED468C60E41EC796BEB3DFAC"


def key(name: str) -> bytes:
    return (KEYS / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ed25519.asc", [ED25519]), ("rsa2048.asc", [RSA2048]), ("both.gpg", [ED25519, RSA2048])],
)
def test_fingerprints(name, expected):
    assert openpgp.fingerprints(key(name)) == expected


def test_two_blocks_in_one_file_are_two_keys():
    both = key("ed25519.asc") + b"some words in between\n" + key("rsa2048.asc")
    assert openpgp.fingerprints(both) == [ED25519, RSA2048]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("=YVt2\n", ""),
        lambda text: text.replace("=YVt2", "=AAAA"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n\n", "\nComment: a header\nVersion: 1\n\n"),
        lambda text: text.replace("\n\n", "\nComment:\n  \n"),
        lambda text: "words before\n" + text + "words after\n",
    ],
    ids=["no checksum", "wrong checksum", "CRLF", "headers", "empty header", "words around"],
)
def test_armour_is_taken_off_whatever_surrounds_it(change):
    text = key("ed25519.asc").decode()
    assert change(text) != text
    assert openpgp.fingerprints(change(text).encode()) == [ED25519]


def test_a_changed_key_has_another_fingerprint():
    packets = bytearray(openpgp.dearmour(key("ed25519.asc")))
    packets[30] ^= 1
    assert openpgp.fingerprints(bytes(packets)) != [ED25519]


def test_new_packet_format_with_each_length_form():
    body = openpgp.dearmour(key("rsa2048.asc"))[3 : 3 + 269]
    two = bytes([0xC6, ((269 - 192) >> 8) + 192, (269 - 192) & 0xFF])
    five = bytes([0xC6, 255]) + (269).to_bytes(4, "big")
    assert openpgp.fingerprints(two + body) == openpgp.fingerprints(five + body) == [RSA2048]
    short = openpgp.dearmour(key("ed25519.asc"))[2 : 2 + 51]
    assert openpgp.fingerprints(bytes([0xC6, 51]) + short) == [ED25519]


def test_armour_of_binary_data_is_what_gnupg_writes():
    packets = openpgp.dearmour(key("ed25519.asc"))
    assert openpgp.armour(packets) == key("ed25519.asc")
    assert openpgp.armour(key("ed25519.asc")) == key("ed25519.asc")


V6 = bytes([0xC6, 42, 6]) + bytes(41)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no BEGIN PGP PUBLIC KEY BLOCK"),
        (b"<html>404 Not Found</html>", "no BEGIN PGP PUBLIC KEY BLOCK"),
        ("<html>größer</html>".encode("latin-1"), "not OpenPGP data"),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "holds a PGP PRIVATE KEY BLOCK"),
        (b"-----BEGIN PGP MESSAGE-----\n", "holds a PGP MESSAGE"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME", "cut off: the END line is missing"),
        (
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n<p>\n-----END PGP PUBLIC KEY BLOCK-----",
            "not base64",
        ),
        (
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----",
            "holds no public key",
        ),
        (bytes([0xC5, 1, 4]), "secret key"),
        (V6, "version 6, which is not supported"),
        (bytes([0xC6, 0]), "version 0, which is not supported"),
        (bytes([0xC6, 225]), "not a key, or damaged"),
        (bytes([0x9B, 4]), "not a key, or damaged"),
        (bytes([0xC6]), "cut off"),
        (bytes([0x99, 1, 13, 4]), "cut off"),
        (bytes([0xCD, 1, 65, 0]), "not OpenPGP data, or damaged"),
        (bytes([0xC6, 255, 0, 1, 0, 0, 4]) + bytes(65535), "not a key, or damaged"),
    ],
)
def test_what_is_no_key_says_why(data, reason):
    with pytest.raises(openpgp.OpenPGPError, match=reason):
        openpgp.fingerprints(data)


@pytest.mark.parametrize("length", [1, 2, 10, 52, 60, 200])
def test_a_key_that_is_cut_off_is_an_error_and_no_traceback(length):
    packets = openpgp.dearmour(key("ed25519.asc"))
    with pytest.raises(openpgp.OpenPGPError):
        openpgp.fingerprints(packets[:length])


@pytest.mark.parametrize(
    "text",
    [
        ED25519,
        ED25519.lower(),
        "0x" + ED25519,
        " ".join(ED25519[i : i + 4] for i in range(0, 40, 4)),
        ":".join(ED25519[i : i + 2] for i in range(0, 40, 2)),
    ],
)
def test_fingerprints_as_people_write_them(text):
    assert openpgp.normalize_fingerprint(text) == ED25519


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a fingerprint; 40 hexadecimal digits are"),
        ("docker", "'docker' is not a fingerprint"),
        ("0EBFCD88", "has 8 hexadecimal digits, a fingerprint has 40 .a key ID can be forged"),
        (ED25519[:-1], "has 39 hexadecimal digits, a fingerprint has 40$"),
        ("A" * 64, "version 6 key, which is not supported"),
    ],
)
def test_what_is_no_fingerprint_says_why(text, reason):
    with pytest.raises(openpgp.OpenPGPError, match=reason):
        openpgp.normalize_fingerprint(text)


@pytest.mark.skipif(not shutil.which("gpg"), reason="GnuPG is not installed")
@pytest.mark.parametrize("path", sorted(glob.glob("/usr/share/keyrings/*.[ag][sp][cg]")))
def test_gnupg_agrees(path, tmp_path):
    answer = subprocess.run(
        ["gpg", "--homedir", str(tmp_path), "--batch", "--with-colons", "--show-keys", path],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    expected = []
    primary = False
    for fields in (line.split(":") for line in answer.splitlines()):
        if fields[0] == "fpr" and primary:
            expected.append(fields[9])
            primary = False
        elif fields[0] in ("pub", "sub"):
            primary = fields[0] == "pub"
    data = pathlib.Path(path).read_bytes()
    assert openpgp.fingerprints(data) == expected
    assert base64.b64encode(openpgp.dearmour(openpgp.armour(data))) == base64.b64encode(
        openpgp.dearmour(data)
    )
