# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of the sandbox's authority for the hosts of this scenario: good ones and bad ones."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sandbox import keys
from scenario import STATE

FOLDER = STATE / "doctor"

# What the audit of the DNS tells mail programs to look for is the same server.
NAMES = {
    "mail1": ("mail1.example.test", "autodiscover.example.test", "autoconfig.example.test"),
    "mail4": ("mail4.example.test",),
}


def write(folder: Path, name: str, days: int) -> None:
    """Write ``cert.pem`` and ``key.pem`` for a name; the certificate ends in so many days."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = x509.load_pem_x509_certificate(keys.CA_CERTIFICATE.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
        .sign(serialization.load_pem_private_key(keys.CA_KEY.read_bytes(), None), hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(
        certificate.public_bytes(pem) + keys.CA_CERTIFICATE.read_bytes()
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


if __name__ == "__main__":
    for host, names in NAMES.items():
        keys.server_certificate(FOLDER / host / "good", names)
        write(FOLDER / host / "expired", names[0], -3)
        write(FOLDER / host / "other", f"other.{names[0]}", 60)
