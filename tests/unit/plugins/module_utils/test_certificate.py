# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates made by openssl, read by openssl: what is let through, what is written, and how the
program for renewals does the same."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import certificate, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.certificate import (
    CertificateError,
    Wanted,
    carry_out,
    covers,
    plan,
    result,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")

DAY = 86400
NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


class Later(Host):
    """This machine, some days on."""

    days = 0

    def now(self):
        return Host.now(self) + self.days * DAY


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A directory with a root, an intermediate and certificates from it."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(line):
        done = subprocess.run(
            ["openssl", *line.split()], cwd=str(folder), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def issue(name, issuer, extension, days):
        (folder / "extension").write_text(extension)
        openssl("req -new {0} -keyout {1}.key -out {1}.csr -subj /CN={1}".format(NEW_KEY, name))
        openssl(
            "x509 -req -in {0}.csr -CA {1}.pem -CAkey {1}.key -CAcreateserial -out {0}.pem "
            "-days {2} -extfile extension".format(name, issuer, days)
        )

    openssl("req -x509 {0} -keyout root.key -out root.pem -subj /CN=root -days 900".format(NEW_KEY))
    issue("middle", "root", "basicConstraints=critical,CA:TRUE\n", 800)
    issue("leaf", "middle", "subjectAltName=DNS:Mail.example.org,DNS:*.example.net\n", 90)
    issue("renewed", "middle", "subjectAltName=DNS:mail.example.org,DNS:*.example.net\n", 180)
    issue("unnamed", "middle", "basicConstraints=CA:FALSE\n", 90)
    openssl("pkey -in leaf.key -aes256 -passout pass:geheim -out locked.key")
    openssl("x509 -in leaf.pem -outform DER -out leaf.der")
    for name in ("leaf", "renewed", "unnamed"):
        chain = [(folder / part).read_text() for part in (name + ".pem", "middle.pem")]
        (folder / (name + ".full")).write_text("".join(chain))
    chain = [(folder / part).read_text() for part in ("middle.pem", "leaf.pem")]
    (folder / "reversed").write_text("".join(chain))
    chain = [(folder / part).read_text() for part in ("leaf.pem", "root.pem", "middle.pem")]
    (folder / "disordered").write_text("".join(chain))
    chain = [(folder / part).read_text() for part in ("leaf.key", "renewed.key")]
    (folder / "two.key").write_text("".join(chain))
    (folder / "broken.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    )
    (folder / "broken.key").write_text(
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
    )
    (folder / "many.pem").write_text((folder / "root.pem").read_text() * 11)
    return folder


@pytest.fixture
def live(pki, tmp_path):
    """certbot's directory: links that lead to the archive."""
    folder = tmp_path / "live" / "mail.example.org"
    folder.mkdir(parents=True)
    renew(folder, pki, "leaf")
    return folder


def renew(live, pki, name):
    """Let the links lead to another pair, as certbot does."""
    for link, source in (("fullchain.pem", name + ".full"), ("privkey.pem", name + ".key")):
        if (live / link).is_symlink():
            (live / link).unlink()
        (live / link).symlink_to(pki / source)


@pytest.fixture
def wanted(live, tmp_path):
    """What the tests ask for, but for what they change."""
    (tmp_path / "certs").mkdir()
    return Wanted(
        certificate=str(live / "fullchain.pem"),
        key=str(live / "privkey.pem"),
        dest_certificate=str(tmp_path / "certs" / "cert.pem"),
        dest_key=str(tmp_path / "certs" / "key.pem"),
    )


def copy(wanted, **more):
    """Plan, write, and return the plan."""
    planned = plan(Host(), wanted._replace(**more))
    carry_out(Host(), planned)
    return planned


def there(wanted):
    """Return the certificate and the key where they are read."""
    found = []
    for path in (wanted.dest_certificate, wanted.dest_key):
        with open(path) as stream:
            found.append(stream.read())
    return found


def pair(pki, name):
    return [(pki / (name + ".full")).read_text(), (pki / (name + ".key")).read_text()]


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_pair_is_copied_once(wanted, pki):
    said = result(copy(wanted, names=["mail.example.org", "imap.example.net"]))
    assert there(wanted) == pair(pki, "leaf")
    assert not os.path.islink(wanted.dest_key)
    assert (mode_of(wanted.dest_certificate), mode_of(wanted.dest_key)) == (0o644, 0o600)
    assert said["changed_files"] == [wanted.dest_key, wanted.dest_certificate]
    assert said["names"] == ["mail.example.org", "*.example.net"]
    assert (said["subject"], said["issuer"]) == ("CN=leaf", "CN=middle")
    assert (said["days_left"], said["self_signed"], said["trusted"]) == (89, False, False)
    assert said["not_after"][10:11] == "T"
    again = plan(Host(), wanted)
    assert result(again)["changed"] is False
    assert again.warnings == ()
    assert sorted(os.listdir(os.path.dirname(wanted.dest_key))) == ["cert.pem", "key.pem"]


def test_what_openssl_says_of_the_digests(wanted, pki):
    said = result(plan(Host(), wanted))
    lines = subprocess.run(
        "openssl x509 -in leaf.pem -outform DER | openssl sha256 -r; openssl x509 -in leaf.pem "
        "-noout -pubkey | openssl pkey -pubin -outform DER | openssl sha256 -r",
        shell=True,
        cwd=str(pki),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert said["fingerprint"] == lines[0].split()[0]
    assert said["tlsa"] == "3 1 1 " + lines[1].split()[0]


def test_a_renewed_pair_replaces_the_old_one_and_keeps_it(wanted, live, pki):
    copy(wanted)
    renew(live, pki, "renewed")
    planned = plan(Host(), wanted)
    (key, cert) = result(planned)["diff"]
    assert "subject CN=leaf" in cert["before"] and "subject CN=renewed" in cert["after"]
    assert "BEGIN" not in str(key) + str(cert)
    assert key["before"] != key["after"]
    copies = carry_out(Host(), planned)
    assert there(wanted) == pair(pki, "renewed")
    assert [mode_of(path) for path in copies] == [0o600, 0o644]
    with open(copies[0]) as stream:
        assert stream.read() == (pki / "leaf.key").read_text()


def test_what_is_left_of_a_broken_run_is_made_whole(wanted, live, pki):
    copy(wanted)
    renew(live, pki, "renewed")
    shutil.copyfile(str(pki / "renewed.key"), wanted.dest_key)
    assert result(copy(wanted))["changed_files"] == [wanted.dest_certificate]
    assert there(wanted) == pair(pki, "renewed")


def test_mode_alone_is_corrected_without_a_copy(wanted, pki):
    copy(wanted)
    os.chmod(wanted.dest_key, 0o644)
    planned = plan(Host(), wanted)
    assert result(planned)["changed_files"] == [wanted.dest_key]
    assert carry_out(Host(), planned) == []
    assert mode_of(wanted.dest_key) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner(wanted):
    copy(wanted, owner="4242", group="4243")
    assert os.stat(wanted.dest_key).st_uid == 4242
    os.chown(wanted.dest_certificate, 0, 0)
    planned = copy(wanted, owner="4242", group="4243")
    assert result(planned)["changed_files"] == [wanted.dest_certificate]
    status = os.stat(wanted.dest_certificate)
    assert (status.st_uid, status.st_gid) == (4242, 4243)


def test_a_link_becomes_a_file_and_the_source_stays(wanted, live, pki):
    os.symlink(wanted.key, wanted.dest_key)
    os.symlink("/nowhere", wanted.dest_certificate)
    copy(wanted)
    assert there(wanted) == pair(pki, "leaf")
    assert not os.path.islink(wanted.dest_key) and not os.path.islink(wanted.dest_certificate)
    assert (live / "privkey.pem").is_symlink()


def test_what_stood_there_may_be_anything(wanted, pki):
    for path in (wanted.dest_certificate, wanted.dest_key):
        with open(path, "w") as stream:
            stream.write("placeholder")
    (key, cert) = result(copy(wanted))["diff"]
    assert "no private keys" in key["before"] and "has no certificate" in cert["before"]
    assert there(wanted) == pair(pki, "leaf")


@pytest.mark.parametrize(
    ("source", "key", "message"),
    [
        ("leaf.full", "renewed.key", "does not belong to"),
        ("reversed", "leaf.key", "begins with the certificate of CN=middle; the one that belongs"),
        ("disordered", "leaf.key", r"certificate 2 \(CN=root\) did not issue the one before it"),
        ("leaf.full", "locked.key", "has a passphrase"),
        ("leaf.full", "two.key", "has 2 private keys"),
        ("leaf.full", "leaf.pem", "has no private keys"),
        ("leaf.full", "broken.key", "private key in .* cannot be read"),
        ("leaf.full", "missing.key", "key: .* cannot be read"),
        ("leaf.der", "leaf.key", "has no certificate in PEM form"),
        ("broken.pem", "leaf.key", "certificate 1 of .* cannot be read"),
        ("many.pem", "root.key", "has 11 certificates; a chain has at most 10"),
        ("missing.pem", "leaf.key", "certificate: .* cannot be read"),
    ],
)
def test_what_cannot_serve_is_refused(wanted, pki, source, key, message):
    wanted = wanted._replace(certificate=str(pki / source), key=str(pki / key))
    with pytest.raises(CertificateError, match=message):
        plan(Host(), wanted)
    assert os.listdir(os.path.dirname(wanted.dest_key)) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": ["mail.example.org", "smtp.example.org"]}, "is not for smtp.example.org; it is"),
        ({"names": ["a.b.example.net"]}, "is not for a.b.example.net"),
        ({"names": ["example.net"]}, "is not for example.net"),
        ({"min_days": 91, "expiring": "fail"}, "expires in 90 days, on .*; at least 91 are wanted"),
        ({"expiring": "ignore"}, "expiring: 'ignore'; allowed: warn, fail"),
        ({"dest_key": "certs/key.pem"}, "dest_key: 'certs/key.pem'; allowed: an absolute path"),
        ({"dest_key": "/x/../x/cert", "dest_certificate": "/x/cert"}, "four different files"),
        ({"key_mode": "0644"}, "key_mode: '0644'; allowed: a mode that lets nobody but"),
        ({"certificate_mode": "rw"}, "certificate_mode: 'rw'; allowed: three octal digits"),
        ({"owner": "no-such-user"}, "owner: this host has no 'no-such-user'"),
        ({"group": "no-such-group"}, "group: this host has no"),
        ({"hook_path": "/etc/hook with blank"}, "hook_path: .*; allowed: a file name"),
    ],
)
def test_options_are_looked_at_first(wanted, more, message):
    with pytest.raises(CertificateError, match=message):
        plan(Host(), wanted._replace(**more))
    with pytest.raises(ValueError, match="names has 'mail'"):
        plan(Host(), wanted._replace(names=["mail"]))
    assert os.listdir(os.path.dirname(wanted.dest_key)) == []


@pytest.mark.parametrize(
    ("days", "message"),
    [(91, "has expired: it was valid until"), (-1, "and this host's clock says")],
)
def test_a_certificate_of_another_time_is_refused(wanted, days, message):
    host = Later()
    host.days = days
    with pytest.raises(CertificateError, match=message):
        plan(host, wanted)


def test_a_certificate_that_expires_soon_is_said(wanted):
    host = Later()
    host.days = 80
    (warning,) = plan(host, wanted).warnings
    assert "expires in 10 days" in warning
    assert plan(host, wanted._replace(min_days=9)).warnings == ()


def test_names_count_only_in_subject_alt_name(wanted, pki):
    wanted = wanted._replace(certificate=str(pki / "unnamed.full"), key=str(pki / "unnamed.key"))
    assert result(plan(Host(), wanted))["names"] == []
    with pytest.raises(CertificateError, match="it is for no host name"):
        plan(Host(), wanted._replace(names=["unnamed.example.org"]))


def test_a_chain_without_intermediate_is_said(wanted, pki):
    (warning,) = plan(Host(), wanted._replace(certificate=str(pki / "leaf.pem"))).warnings
    assert "use fullchain.pem" in warning
    own = wanted._replace(certificate=str(pki / "root.pem"), key=str(pki / "root.key"))
    planned = plan(Host(), own)
    assert planned.warnings == ()
    assert result(planned)["self_signed"] is True


def test_without_openssl_the_package_is_named(wanted, monkeypatch):
    host = Host()
    monkeypatch.setattr(host, "_search_path", list)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CertificateError, match="install the package openssl"):
        plan(host, wanted)


def test_a_missing_directory_is_named_and_nothing_written(wanted, tmp_path):
    planned = plan(Host(), wanted._replace(dest_certificate=str(tmp_path / "no" / "cert.pem")))
    assert result(planned)["changed"] is True
    with pytest.raises(file_write.FileWriteError, match="the directory .*no does not exist"):
        carry_out(Host(), planned)
    assert os.listdir(os.path.dirname(wanted.dest_key)) == []


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("mail.example.org", "mail.example.org", True),
        ("MAIL.example.org", "mail.Example.org", True),
        ("*.example.org", "mail.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "a.mail.example.org", False),
        ("*.org", "example.org", False),
        ("*", "example", False),
        ("m*.example.org", "mail.example.org", False),
        ("*.*.example.org", "a.b.example.org", False),
        ("mail.*.org", "mail.example.org", False),
        ("*.example.org", ".example.org", False),
    ],
)
def test_names_and_wildcards(pattern, name, expected):
    assert covers(pattern, name) is expected


# --- the program for renewals -------------------------------------------------------------------


def run_hook(path, **environment):
    return subprocess.run(
        [path],
        env=dict({"PATH": "/nowhere"}, **environment),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def hooked(wanted, tmp_path):
    """The pair and the program are there."""
    wanted = wanted._replace(
        hook_path=str(tmp_path / "renewal-hooks" / "deploy" / "mail"),
        hook_commands=["echo again >>'{0}'".format(tmp_path / "log")],
    )
    said = result(copy(wanted))
    assert said["changed_files"][-1] == wanted.hook_path
    assert mode_of(wanted.hook_path) == 0o755
    return wanted


def test_the_program_copies_what_was_renewed(hooked, live, pki, tmp_path):
    renew(live, pki, "renewed")
    done = run_hook(hooked.hook_path, RENEWED_LINEAGE=str(live))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert there(hooked) == pair(pki, "renewed")
    assert (mode_of(hooked.dest_certificate), mode_of(hooked.dest_key)) == (0o644, 0o600)
    assert sorted(os.listdir(os.path.dirname(hooked.dest_key))) == ["cert.pem", "key.pem"]
    assert (tmp_path / "log").read_text() == "again\n"
    # The role finds nothing to do after it.
    assert result(plan(Host(), hooked))["changed"] is False


def test_the_program_does_nothing_twice_and_nothing_for_others(hooked, live, pki, tmp_path):
    assert run_hook(hooked.hook_path).returncode == 0
    renew(live, pki, "renewed")
    assert run_hook(hooked.hook_path, RENEWED_LINEAGE="/etc/letsencrypt/live/x").returncode == 0
    assert there(hooked) == pair(pki, "leaf")
    assert not (tmp_path / "log").exists()
    assert run_hook(hooked.hook_path).returncode == 0
    assert there(hooked) == pair(pki, "renewed")


@pytest.mark.parametrize("key", ["leaf.key", "broken.key"])
def test_the_program_copies_no_pair_that_does_not_fit(hooked, live, pki, tmp_path, key):
    renew(live, pki, "renewed")
    (live / "privkey.pem").unlink()
    (live / "privkey.pem").symlink_to(pki / key)
    done = run_hook(hooked.hook_path)
    assert done.returncode != 0
    assert done.stderr
    assert there(hooked) == pair(pki, "leaf")
    assert sorted(os.listdir(os.path.dirname(hooked.dest_key))) == ["cert.pem", "key.pem"]
    assert not (tmp_path / "log").exists()


def test_the_program_is_replaced_without_a_copy_that_certbot_would_run(hooked):
    more = hooked._replace(hook_commands=[], owner="0", group="0")
    (change,) = result(copy(more))["diff"]
    assert "echo again" in change["before"] and "chown 0" in change["after"]
    assert os.listdir(os.path.dirname(hooked.hook_path)) == ["mail"]
    os.chmod(hooked.hook_path, 0o600)
    assert result(copy(more))["changed_files"] == [hooked.hook_path]
    assert mode_of(hooked.hook_path) == 0o755


def test_paths_reach_the_program_as_they_are(wanted):
    text = certificate.hook(wanted._replace(certificate="/a b/$(x)'y/full.pem"))
    done = subprocess.run(
        ["sh", "-c", text.split("if [ -n")[0] + 'printf %s "$certificate"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "/a b/$(x)'y/full.pem"
