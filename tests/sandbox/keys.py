# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's own keys: certificate authority, SSH keys, archive signing keys.

All are made once, kept below .build/sandbox, and worth nothing outside it.
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .common import RUNTIME, STATE, run, say, write_if_changed

CA_CERTIFICATE = STATE / "ca" / "ca.crt"
CA_KEY = STATE / "ca" / "ca.key"
SSH = STATE / "ssh"
CLIENT_KEY = SSH / "id_ed25519"
KNOWN_HOSTS = SSH / "known_hosts"
# Where Ansible keeps its open connections to the hosts.
CONTROL_PATH = RUNTIME / "%h"
YEARS = datetime.timedelta(days=3650)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour back, so that a host whose clock is a little slow accepts it.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + YEARS)
    )


def certificate_authority() -> Path:
    """Make the CA unless it exists; returns the path of its certificate (PEM)."""
    if CA_CERTIFICATE.is_file() and CA_KEY.is_file():
        return CA_CERTIFICATE
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox CA of postmaster.mailhost")])
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    write_if_changed(CA_KEY, _pem(key), 0o600)
    write_if_changed(CA_CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
    return CA_CERTIFICATE


def server_certificate(directory: Path, names: Sequence[str]) -> None:
    """Write ``cert.pem`` (with the CA's) and ``key.pem`` for *names* into *directory*.

    An existing certificate for just these names, from this CA, is kept.
    """
    authority_pem = certificate_authority().read_bytes()
    authority = x509.load_pem_x509_certificate(authority_pem)
    path = directory / "cert.pem"
    if path.is_file():
        present = x509.load_pem_x509_certificate(path.read_bytes())
        alternative = present.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if alternative.get_values_for_type(x509.DNSName) == list(
            names
        ) and path.read_bytes().endswith(authority_pem):
            return
    key = ec.generate_private_key(ec.SECP256R1())
    authority_key = serialization.load_pem_private_key(CA_KEY.read_bytes(), None)
    certificate = (
        _builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]),
            authority.subject,
            key.public_key(),
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    write_if_changed(directory / "key.pem", _pem(key), 0o600)
    write_if_changed(path, certificate.public_bytes(serialization.Encoding.PEM) + authority_pem)


def ssh_key(path: Path, comment: str) -> Path:
    """Make an Ed25519 SSH key pair at *path* unless it exists; returns *path*."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path


def known_hosts(hosts: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """Make a host key for each of *hosts* and the file that SSH clients check them against.

    hosts: pairs of short name and the names and addresses it is reached by.
    Returns the path of the known_hosts file.
    """
    lines = []
    for name, addresses in hosts:
        public = ssh_key(SSH / "hosts" / name, name).with_suffix(".pub").read_text()
        lines.append(f"{','.join(addresses)} {' '.join(public.split()[:2])}\n")
    write_if_changed(KNOWN_HOSTS, "".join(lines), 0o600)
    return KNOWN_HOSTS


class SigningKey:
    """An OpenPGP key that signs a package archive.

    name: the file it is kept in, below .build/sandbox/archive-keys.
    owner: its user id.
    """

    def __init__(self, name: str, owner: str) -> None:
        self.secret = STATE / "archive-keys" / f"{name}.key"
        self.public = STATE / "archive-keys" / f"{name}.asc"
        self.owner = owner

    def make(self) -> SigningKey:
        """Generate the key pair unless it exists."""
        if not (self.secret.is_file() and self.public.is_file()):
            with KeyRing() as home:
                # Long-lived, like an archive's key, and RSA, which every apt accepts.
                run([*gpg(home), "--quick-generate-key", self.owner, "rsa3072", "sign", "never"])
                secret = run([*gpg(home), "--armor", "--export-secret-keys"])
                write_if_changed(self.secret, secret, 0o600)
                write_if_changed(self.public, run([*gpg(home), "--armor", "--export"]))
        return self

    def fingerprint(self) -> str:
        """The key's fingerprint, 40 hex digits."""
        with KeyRing() as home:
            shown = run([*gpg(home), "--show-keys", "--with-colons", str(self.public)]).decode()
        return next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))

    def sign(self, release: Path) -> None:
        """Write InRelease and Release.gpg beside the archive's *release* file."""
        with KeyRing() as home:
            run([*gpg(home), "--import", str(self.secret)])
            for option, name in (("--clearsign", "InRelease"), ("--detach-sign", "Release.gpg")):
                target = release.with_name(name)
                run(
                    [
                        *gpg(home),
                        "--yes",
                        "--armor",
                        "--digest-algo",
                        "SHA256",
                        "--output",
                        str(target),
                        option,
                        str(release),
                    ]
                )


def gpg(home: str) -> list[str]:
    """The command line of gpg with a key ring."""
    return [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--quiet",
        "--no-tty",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]


class KeyRing(tempfile.TemporaryDirectory):
    """A key ring for one call.

    Short-lived, because an agent's socket needs a short path and a checkout may lie anywhere.
    """

    def __init__(self) -> None:
        super().__init__(prefix="sb-gpg-", dir="/tmp")

    def __exit__(self, *details: object) -> None:
        run(["gpgconf", "--homedir", self.name, "--kill", "all"])
        super().__exit__(*details)


def complete(signing: Sequence[SigningKey]) -> None:
    """Make all keys unless all are there.

    They belong together: a host has been made with each of them. So when some are
    missing, the others go too, and hosts made with them are recognised by that.

    signing: the keys of the archives.
    """
    files = [CA_CERTIFICATE, CA_KEY, CLIENT_KEY, CLIENT_KEY.with_suffix(".pub")]
    files += [file for key in signing for file in (key.secret, key.public)]
    there = [file.is_file() for file in files]
    if any(there) and not all(there):
        say("some of the sandbox's keys are missing; all are made anew")
        for directory in {file.parent for file in files}:
            shutil.rmtree(directory, ignore_errors=True)
    certificate_authority()
    ssh_key(CLIENT_KEY, "sandbox")
    for key in signing:
        key.make()
