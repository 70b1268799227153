# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package repositories: what is written, what is left alone, and what is refused before that."""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import threading

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import package_source
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

KEYS = pathlib.Path(__file__).parent / "keys"
ED25519 = "74248397D1781C0A15B4E46DA1F5EE60FAF211BF"
RSA2048 = "281658B5111E8B71ED468C60E41EC796BEB3DFAC"
KEY = (KEYS / "ed25519.asc").read_bytes()
URL = "https://download.docker.com/linux/debian"


def make(**changes) -> package_source.Source:
    source = package_source.Source(
        kind="apt",
        name="docker",
        uris=[URL],
        suites=["trixie"],
        components=["stable"],
        architectures=["amd64"],
        fingerprints=[ED25519.lower()],
        key_url=URL + "/gpg",
        key="",
    )
    return package_source.validate(source._replace(**changes))


def offline(url):
    raise AssertionError("the network was asked for " + url)


@pytest.fixture
def place(tmp_path):
    """APT's directories, and DNF's names for .repo files, below a temporary directory."""
    (tmp_path / "sources").mkdir()
    return package_source.Place(
        str(tmp_path / "sources"),
        str(tmp_path / "keys"),
        [str(tmp_path / "sources" / pattern) for pattern in ("*.list", "*.sources", "*.repo")],
        "{0}.sources",
        "{0}.asc",
    )


def run(place, source, fetch=lambda url: KEY, replace=False):
    planned = package_source.plan(Host(), source, fetch, replace, place)
    backups = package_source.write(planned)
    return dict(package_source.result(planned), backups=backups)


def test_first_run_writes_both_files_and_the_second_needs_no_network(place, tmp_path):
    first = run(place, make())
    assert (first["changed"], first["key_fetched"], len(first["diff"])) == (True, True, 2)
    text = (tmp_path / "sources" / "docker.sources").read_text()
    assert text.split("\n")[1:] == [
        "Types: deb",
        "URIs: " + URL,
        "Suites: trixie",
        "Components: stable",
        "Architectures: amd64",
        "Signed-By: {0}/keys/docker.asc".format(tmp_path),
        "",
    ]
    assert (tmp_path / "keys" / "docker.asc").read_bytes() == KEY
    for name in ("sources/docker.sources", "keys/docker.asc"):
        assert os.stat(tmp_path / name).st_mode & 0o777 == 0o644
    second = run(place, make(), fetch=offline)
    assert (second["changed"], second["diff"], second["backups"]) == (False, [], [])


@pytest.mark.parametrize(
    ("damage", "network", "repaired"),
    [
        (lambda top: (top / "sources" / "docker.sources").write_text(""), False, "docker.sources"),
        (lambda top: (top / "sources" / "docker.sources").unlink(), False, "docker.sources"),
        (lambda top: (top / "sources" / "docker.sources").chmod(0o600), False, "docker.sources"),
        (lambda top: (top / "keys" / "docker.asc").unlink(), True, "docker.asc"),
        (lambda top: (top / "keys" / "docker.asc").write_text("<html>"), True, "docker.asc"),
        (lambda top: (top / "keys" / "docker.asc").chmod(0o600), False, "docker.asc"),
        (
            lambda top: (top / "keys" / "docker.asc").write_bytes(
                KEY + (KEYS / "rsa2048.asc").read_bytes()
            ),
            True,
            "docker.asc",
        ),
    ],
    ids=["emptied", "removed", "mode", "no key", "no OpenPGP", "key's mode", "a second key"],
)
def test_drift_is_repaired_and_nothing_else_touched(place, tmp_path, damage, network, repaired):
    run(place, make())
    damage(tmp_path)
    again = run(place, make(), fetch=(lambda url: KEY) if network else offline)
    assert again["changed"] and again["key_fetched"] == network
    assert [repaired in entry["after_header"] for entry in again["diff"]] == [True]
    assert not run(place, make(), fetch=offline)["changed"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            (KEYS / "rsa2048.asc").read_bytes(),
            "fingerprint is {0}; wanted is {1}".format(RSA2048, ED25519),
        ),
        ((KEYS / "both.gpg").read_bytes(), "{0} and {1}; wanted".format(RSA2048, ED25519)),
        (b"<html>sign in to this network</html>", "not OpenPGP data"),
    ],
)
def test_a_wrong_key_stops_everything_before_anything_is_written(place, tmp_path, data, reason):
    with pytest.raises(
        package_source.PackageSourceError, match="/gpg is not accepted: .*" + reason
    ):
        run(place, make(), fetch=lambda url: data)
    assert os.listdir(tmp_path / "sources") == [] and not (tmp_path / "keys").exists()


def test_several_keys_when_all_are_wanted_and_binary_becomes_armour(place, tmp_path):
    data = (KEYS / "both.gpg").read_bytes()
    source = make(fingerprints=[ED25519, RSA2048, ED25519])
    run(place, source, fetch=lambda url: data)
    assert (tmp_path / "keys" / "docker.asc").read_text().startswith("-----BEGIN PGP PUBLIC KEY")
    assert not run(place, source, fetch=offline)["changed"]


def test_key_as_text(place, tmp_path):
    source = make(key_url="", key="\n" + KEY.decode() + "\n\n")
    assert run(place, source, fetch=offline)["changed"]
    assert (tmp_path / "keys" / "docker.asc").read_bytes() == KEY
    assert not run(place, source, fetch=offline)["changed"]


LIST = """\
# a comment about https://download.docker.com/linux/debian
deb http://deb.debian.org/debian trixie main
deb [arch=amd64 signed-by=/usr/share/d.gpg] https://download.docker.com/linux/debian/ trixie stable
#deb https://download.docker.com/linux/debian trixie test
deb-src https://download.docker.com/linux/debian trixie stable
"""
SOURCES = """\
# by hand
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie

X-Repolib-Name: Docker
URIs: https://example.org/ https://download.docker.com/linux/debian
Suites: trixie
enabled: yes

Enabled: no
URIs: https://download.docker.com/linux/debian
"""
REPO = """\
[docker-ce-stable]
name=Docker
baseurl=https://download.docker.com/linux/debian
enabled = 1

[docker-ce-test]
baseurl=https://download.docker.com/linux/debian
enabled=0
[docker]
baseurl=https://example.org
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [("a.list", LIST, [3, 5]), ("a.sources", SOURCES, [6]), ("a.repo", REPO, [1, 9])],
)
def test_duplicates_are_named_refused_and_on_request_disabled(place, tmp_path, name, text, lines):
    path = tmp_path / "sources" / name
    path.write_text(text)
    path.chmod(0o640)
    with pytest.raises(package_source.PackageSourceError) as caught:
        run(place, make(), fetch=offline)
    for line in lines:
        assert "{0}:{1}: ".format(path, line) in str(caught.value)
    assert path.read_text() == text and os.listdir(tmp_path / "sources") == [name]

    done = run(place, make(), replace=True)
    assert len(done["duplicates"]) == len(lines)
    assert len(done["backups"]) == 1 and pathlib.Path(done["backups"][0]).read_text() == text
    assert os.stat(path).st_mode & 0o777 == 0o640
    # Nothing but the duplicates is off now, and they are off for good.
    kept = [line for line in path.read_text().splitlines() if "debian.org" in line]
    assert kept == [line for line in text.splitlines() if "debian.org" in line]
    assert not run(place, make(), fetch=offline)["changed"]


def test_disabled_text():
    assert package_source.disable("a.list", LIST, [3]).splitlines()[2].startswith("# deb [arch")
    stanza = package_source.disable("a.sources", SOURCES, [6]).split("\n\n")[1]
    assert stanza.splitlines()[0] == "Enabled: no" and "enabled: yes" not in stanza
    section = package_source.disable("a.repo", REPO, [1]).partition("\n\n")[0]
    assert section.splitlines()[:2] == ["[docker-ce-stable]", "enabled=0"]
    assert "enabled = 1" not in section


def test_repository_of_dnf():
    source = make(kind="yum", suites=[], components=[], uris=[URL, URL + "2"])
    text = package_source.render(source, "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker")
    assert text.split("\n", 1)[1] == (
        "[docker]\nname=docker\nbaseurl={0}\n        {0}2\nenabled=1\ngpgcheck=1\n"
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-docker\n".format(URL)
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "../x"}, "name is '../x'; allowed: letters"),
        ({"uris": []}, "uris is empty"),
        ({"uris": ["download.docker.com"]}, "uris holds 'download.docker.com'; allowed: addresses"),
        ({"uris": [URL + " trixie"]}, "words without blanks"),
        ({"suites": []}, "suites is empty"),
        ({"suites": ["a\nb"]}, "suites holds"),
        ({"components": []}, "components is empty"),
        ({"architectures": [""]}, "architectures holds ''"),
        ({"key_url": ""}, "one of key and key_url"),
        ({"fingerprints": []}, "key_fingerprint is empty"),
        ({"fingerprints": ["0EBFCD88"]}, "key_fingerprint: '0EBFCD88' has 8 hexadecimal digits"),
    ],
)
def test_bad_options(changes, reason):
    with pytest.raises(package_source.PackageSourceError, match=reason):
        make(**changes)


def test_a_suite_that_is_a_path_needs_no_component():
    source = make(suites=["./"], components=[], architectures=[])
    assert "Components" not in package_source.render(source, "/k")


def test_kind_of_host(tmp_path):
    with pytest.raises(package_source.PackageSourceError, match="neither /etc/apt nor"):
        package_source.kind_of(Host(str(tmp_path)))
    (tmp_path / "etc" / "yum.repos.d").mkdir(parents=True)
    assert package_source.kind_of(Host(str(tmp_path))) == "yum"
    (tmp_path / "etc" / "apt").mkdir()
    assert package_source.kind_of(Host(str(tmp_path))) == "apt"


@pytest.fixture
def server():
    """A web server on loopback: /key answers, /busy at the second try, anything else is 404."""
    tries = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            tries.append(self.path)
            answer = {"/key": (200, KEY), "/large": (200, bytes(package_source.KEY_LIMIT + 2))}
            if self.path == "/busy":
                answer["/busy"] = (503, b"") if tries.count("/busy") == 1 else (200, KEY)
            status, body = answer.get(self.path, (404, b""))
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield "http://127.0.0.1:{0}".format(httpd.server_port), tries
        httpd.shutdown()
        thread.join()


def test_fetch(server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    url, tries = server
    assert package_source.fetch(url + "/key") == KEY
    assert package_source.fetch(url + "/busy") == KEY
    assert tries.count("/busy") == 2
    with pytest.raises(
        package_source.PackageSourceError, match="the server answered 404 Not Found"
    ):
        package_source.fetch(url + "/missing")
    assert tries.count("/missing") == 1
    with pytest.raises(package_source.PackageSourceError, match="larger than a key can be"):
        package_source.fetch(url + "/large")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/key", "cannot be fetched: Connection refused"),
        ("file:///nowhere/key", "cannot be fetched: .*No such file"),
        ("gopher:key", "cannot be fetched: unknown url type"),
        ("no address", "cannot be fetched: unknown url type"),
    ],
)
def test_fetch_errors_are_sentences(monkeypatch, url, reason):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(package_source.PackageSourceError, match=reason):
        package_source.fetch(url)
