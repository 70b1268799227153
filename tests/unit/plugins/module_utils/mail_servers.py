# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small mail servers on the loopback interface that speak each fault."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
import warnings


class Smtp:
    """An SMTP server.

    Args:
        context: for TLS; None for a server without it.
        tls_first: TLS comes before the greeting.
        relay: answer to a recipient of somebody else.
        features, features_tls: what it offers before and within TLS.
        said: answers that differ from the usual ones, by verb; None closes the connection, and
            "CONNECT" is the greeting.
    """

    def __init__(
        self,
        context=None,
        tls_first=False,
        relay="554 5.7.1 <x>: Relay access denied",
        features=("SIZE 1000",),
        features_tls=("AUTH PLAIN LOGIN",),
        said=None,
        name="mail.example.org",
        own="example.org",
    ):
        self.context, self.tls_first, self.relay = context, tls_first, relay
        self.features, self.features_tls = features, features_tls
        self.said, self.name, self.own = said or {}, name, own
        self.heard = []

    def talk(self, stream):
        """Serve one client."""
        with contextlib.ExitStack() as opened:
            self._talk(stream, opened)

    def _talk(self, stream, opened):
        within = self.tls_first
        if self.tls_first:
            stream = opened.enter_context(self.context.wrap_socket(stream, server_side=True))
        lines = stream.makefile("rb")

        def say(text):
            stream.sendall(text.encode() + b"\r\n")

        greeting = self.said.get("CONNECT", "220 {0} ESMTP".format(self.name))
        if greeting is None:
            return
        say(greeting)
        while True:
            line = lines.readline(2000).decode().strip()
            if not line:
                return
            self.heard.append(line)
            verb = line.split()[0].upper()
            if verb in self.said:
                if self.said[verb] is None:
                    return
                say(self.said[verb])
                continue
            if verb == "EHLO":
                offered = list(self.features_tls if within else self.features)
                if self.context is not None and not within:
                    offered.append("STARTTLS")
                rows = [self.name, *offered]
                say("\r\n".join("250-" + row for row in rows[:-1]) or "250-")
                say("250 " + rows[-1])
            elif verb == "STARTTLS":
                say("220 go ahead")
                stream = opened.enter_context(self.context.wrap_socket(stream, server_side=True))
                lines, within = stream.makefile("rb"), True
            elif verb == "RCPT":
                own = line.rstrip(">").lower().endswith(("@" + self.own, "%" + self.own))
                say("250 Ok" if own else self.relay)
            elif verb == "AUTH":
                say("334 VXNlcm5hbWU6")
            elif verb == "QUIT":
                return
            elif verb == "*":
                say("501 cancelled")
            else:
                say("250 Ok")


@contextlib.contextmanager
def serving(talk, address="127.0.0.1", port=0):
    """A server whose connections each run ``talk``; yields its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(16)

        def one(stream):
            with stream, contextlib.suppress(OSError, ValueError):
                talk(stream)

        def serve():
            while True:
                try:
                    stream, _peer = server.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(stream,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


class Authority:
    """A certificate authority of the tests, with what it has signed, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key, self.certificate = self._sign("Test CA", [], None, None, 3650, True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._pem(self.certificate))

    def context(
        self, names=("mail.example.org",), days=90, chain=True, self_signed=False, weak=False
    ):
        """Return a server's TLS settings, with a certificate for these names."""
        from cryptography.hazmat.primitives import serialization

        issuer = (None, None) if self_signed else (self.key, self.certificate)
        key, certificate = self._sign(names[0], names, *issuer, days, False)
        path = self.folder / "{0}-{1}.pem".format(names[0].strip("*."), id(certificate))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(
            private + self._pem(certificate) + (self._pem(self.certificate) if chain else b"")
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(path))
        if weak:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
        context.der = certificate.public_bytes(serialization.Encoding.DER)
        return context

    @staticmethod
    def _pem(certificate):
        from cryptography.hazmat.primitives import serialization

        return certificate.public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def _sign(title, names, issuer_key, issuer, days, authority):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title)])
        now = datetime.datetime.now(datetime.timezone.utc)
        end = now + datetime.timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - datetime.timedelta(days=30))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        signer = (issuer_key or key).public_key()
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False
        )
        if authority:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return key, builder.sign(issuer_key or key, hashes.SHA256())
