# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module package_repository: its options reach the logic, and its errors are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import package_source
from ansible_collections.postmaster.mailhost.plugins.modules import package_repository

KEY = (Path(__file__).parents[1] / "module_utils" / "keys" / "ed25519.asc").read_text()
FINGERPRINT = "74248397D1781C0A15B4E46DA1F5EE60FAF211BF"


@pytest.fixture
def run(monkeypatch, run_module, tmp_path):
    """Return a function: options -> the module's result, with APT's directories elsewhere."""
    (tmp_path / "sources").mkdir()
    place = package_source.Place(
        str(tmp_path / "sources"),
        str(tmp_path / "keys"),
        [str(tmp_path / "sources" / "*.sources")],
        "{0}.sources",
        "{0}.asc",
    )
    monkeypatch.setitem(package_source.PLACES, package_source.APT, place)

    def run(check_mode=False, **options):
        wanted = {
            "name": "docker",
            "kind": "apt",
            "uris": ["https://download.docker.com/linux/debian"],
            "suites": ["trixie"],
            "components": ["stable"],
            "key": KEY,
            "key_fingerprint": [FINGERPRINT],
        }
        wanted.update(options)
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return run_module(package_repository, check_mode, **wanted)

    return run


def test_check_mode_foretells_then_it_is_written_then_nothing_is_left_to_do(run, tmp_path):
    foretold = run(check_mode=True)
    assert foretold["changed"] is True
    assert list((tmp_path / "sources").iterdir()) == []
    done = run()
    assert done["changed"] is True
    assert done["diff"] == foretold["diff"]
    text = (tmp_path / "sources" / "docker.sources").read_text()
    assert "URIs: https://download.docker.com/linux/debian\n" in text
    assert "Suites: trixie\n" in text
    assert (tmp_path / "keys" / "docker.asc").read_text() == KEY
    assert run()["changed"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_fingerprint": ["0" * 40]}, FINGERPRINT),
        ({"key": "no key"}, "there is no BEGIN PGP PUBLIC KEY BLOCK line"),
        ({"key_url": "https://example.org/gpg"}, "mutually exclusive"),
        ({"key": None}, "key, key_url"),
        ({"name": "a/b"}, "a/b"),
    ],
)
def test_bad_input_writes_nothing(run, tmp_path, options, message):
    result = run(**options)
    assert result["failed"] is True
    assert message in result["msg"]
    assert list((tmp_path / "sources").iterdir()) == []
    assert not (tmp_path / "keys").exists()
