# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS of a mail server as its clients meet it: certificate, protocol, and TLSA records.

Each service is connected to three times: for its certificate, whatever that is worth; to see whether
the chain is trusted; and with protocols that are too old. Sources: RFC 3207, RFC 2595, RFC 5804 (STARTTLS),
RFC 8996, RFC 6698 and RFC 7672 (TLSA).
"""

from __future__ import annotations

import datetime
import hashlib
import socket
import ssl
import time
import warnings
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import smtp_client
from ansible_collections.postmaster.mailhost.plugins.module_utils.dns import Answer, Answers
from ansible_collections.postmaster.mailhost.plugins.module_utils.smtp_client import SmtpError

#: Seconds to wait for one answer.
TIMEOUT_SECONDS = 10.0

_MAX_LINES = 100
_MAX_LINE = 4096


class LibraryMissingError(Exception):
    """The Python that runs here has no cryptography."""


class Service(NamedTuple):
    """A service: its name, usual port, and the protocol of STARTTLS; empty when TLS comes first."""

    name: str
    port: int
    starttls: str = ""


SERVICES = (
    Service("smtp", 25, "smtp"),
    Service("submission", 587, "smtp"),
    Service("submissions", 465),
    Service("imap", 143, "imap"),
    Service("imaps", 993),
    Service("pop3", 110, "pop3"),
    Service("pop3s", 995),
    Service("sieve", 4190, "sieve"),
    Service("https", 443),
)

BY_NAME = {service.name: service for service in SERVICES}

#: TLS could not be begun: the service does not offer it.
NOT_OFFERED = "not_offered"


class Certificate(NamedTuple):
    """What stands in a certificate.

    Attributes:
        der: the certificate.
        key: its public key, as in a certificate (SubjectPublicKeyInfo).
        names: its names, in lower case.
        begin, end: when it is valid, in seconds since the epoch.
        issuer: who signed it.
        bits: size of its key.
        algorithm: of its key, such as ``RSA``.
    """

    der: bytes
    key: bytes
    names: tuple[str, ...]
    begin: float
    end: float
    issuer: str
    bits: int
    algorithm: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate."""
        return hashlib.sha256(self.der).hexdigest()


class Port(NamedTuple):
    """What one service at one address said.

    Attributes:
        service: the service.
        address: where.
        state: ``open`` when TLS was agreed on, :data:`NOT_OFFERED`, or a word of ``smtp_client``.
        trouble: why it is not open; empty otherwise.
        certificate: what it showed.
        chain: every certificate it showed, the server's first; the rest only where Python can tell.
        whole_chain: whether all of them are known.
        version, cipher: what was agreed on.
        distrust: why the chain is not trusted; empty when it is.
        old: the old protocol that it took too; empty for none, None when this machine cannot ask.
    """

    service: Service
    address: str
    state: str
    trouble: str = ""
    certificate: Certificate | None = None
    chain: tuple[bytes, ...] = ()
    whole_chain: bool = False
    version: str = ""
    cipher: str = ""
    distrust: str = ""
    old: str | None = ""

    @property
    def place(self) -> str:
        """The service in one line, for example ``imaps 192.0.2.1:993``."""
        where = "{0} [{1}]:{2}" if ":" in self.address else "{0} {1}:{2}"
        return where.format(self.service.name, self.address, self.service.port)

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``exit_json`` takes it."""
        shown = self.certificate
        return {
            "service": self.service.name,
            "address": self.address,
            "port": self.service.port,
            "state": self.state,
            "trouble": self.trouble,
            "version": self.version,
            "cipher": self.cipher,
            "names": list(shown.names) if shown else [],
            "issuer": shown.issuer if shown else "",
            "expires": _iso(shown.end) if shown else "",
            "fingerprint": shown.fingerprint if shown else "",
            "trusted": bool(shown) and not self.distrust,
        }


class Audit(NamedTuple):
    """What all services said.

    Attributes:
        host: the server's name.
        names: all names that its certificate must have.
        ports: each service at each address.
        tlsa: TLSA records by port.
        now: the present time, in seconds since the epoch.
        trouble: why the addresses are not known; empty otherwise.
    """

    host: str
    names: tuple[str, ...]
    ports: tuple[Port, ...]
    tlsa: Mapping[int, Answer]
    now: float
    trouble: str = ""

    @property
    def open(self) -> tuple[Port, ...]:
        """Those with which TLS was agreed on."""
        return tuple(port for port in self.ports if port.certificate is not None)


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def choose(names: Iterable[str], ports: Mapping[str, Any]) -> tuple[Service, ...]:
    """Return services with their ports.

    Args:
        names: names of services.
        ports: port by name of service, where it is not the usual one.

    Raises:
        ValueError: a service that there is not, or a port that is none.
    """
    known = ", ".join(BY_NAME)
    for name in ports:
        if name not in BY_NAME:
            raise ValueError("ports has {0!r}; allowed: {1}".format(name, known))
    chosen = []
    for name in dict.fromkeys(names):
        if name not in BY_NAME:
            raise ValueError("services has {0!r}; allowed: {1}".format(name, known))
        number = ports.get(name, BY_NAME[name].port)
        if not str(number).isdigit() or not 1 <= int(number) <= 65535:
            raise ValueError("ports has {0!r} for {1}; allowed: 1 to 65535".format(number, name))
        chosen.append(BY_NAME[name]._replace(port=int(number)))
    return tuple(chosen)


def check_numbers(timeout: float, warn_days: int) -> None:
    """Look whether two options make sense.

    Raises:
        ValueError: one does not; the text names the option, its value and what is allowed.
    """
    if not 1 <= timeout <= 60:
        raise ValueError("timeout is {0:g}; allowed: 1 to 60 seconds".format(timeout))
    if not 3 <= warn_days <= 3650:
        raise ValueError("warn_days is {0}; allowed: 3 to 3650".format(warn_days))


def check_library() -> None:
    """Look whether certificates can be read.

    Raises:
        LibraryMissingError: they cannot.
    """
    try:
        import cryptography.x509  # noqa: F401
    except ImportError as error:
        raise LibraryMissingError("cryptography cannot be imported: {0}".format(error)) from error


def look(
    host: str,
    addresses: Sequence[str],
    services: Sequence[Service],
    dns: Answers | None,
    names: Sequence[str] = (),
    timeout: float = TIMEOUT_SECONDS,
    ca_file: str = "",
    trouble: str = "",
) -> Audit:
    """Talk to each service at each address.

    Args:
        host: the server's name.
        addresses: where it is.
        services: what to talk to.
        dns: where to ask for TLSA records; they are left out when None.
        names: further names that its certificate must have.
        timeout: seconds to wait for one answer.
        ca_file: authorities to trust; the system's when empty.
        trouble: why there are no addresses.

    Raises:
        ValueError: ``ca_file`` cannot be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    try:
        trusting = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            "ca_file is {0!r}, which cannot be read: {1}; allowed: a file of certificates".format(
                ca_file, error
            )
        ) from error
    old = _old_context()
    # Names are compared on their own.
    trusting.check_hostname = False
    places = [(address, service) for address in addresses for service in services]
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(lambda place: _look(host, *place, timeout, trusting, old), places)
        ports = tuple(found)
    tlsa: dict[int, Answer] = {}
    if dns is not None:
        numbers = sorted({port.service.port for port in ports if port.certificate})
        asked = dns.ask_all(("_{0}._tcp.{1}".format(number, host), "TLSA") for number in numbers)
        tlsa = dict(zip(numbers, asked))
    wanted = tuple(dict.fromkeys([host, *names]))
    return Audit(host, wanted, ports, tlsa, time.time(), trouble)


def _look(
    host: str,
    address: str,
    service: Service,
    timeout: float,
    trusting: ssl.SSLContext,
    old: ssl.SSLContext | None,
) -> Port:
    """Talk to one service."""
    port = Port(service, address, "open")
    try:
        with _begin(host, address, service, timeout, smtp_client.plain_context()) as stream:
            der = stream.getpeercert(binary_form=True) or b""
            chain, whole = _chain(stream, der)
            cipher = stream.cipher()
            port = port._replace(
                certificate=read_certificate(der),
                chain=chain,
                whole_chain=whole,
                version=stream.version() or "",
                cipher=cipher[0] if cipher else "",
            )
    except SmtpError as error:
        return port._replace(state=error.state, trouble=str(error))
    except ValueError as error:
        return port._replace(state=smtp_client.TLS, trouble=str(error))
    try:
        _begin(host, address, service, timeout, trusting).close()
    except SmtpError as error:
        reason = error.__cause__
        port = port._replace(distrust=getattr(reason, "verify_message", "") or str(error))
    return port._replace(old=_old_protocol(host, address, service, timeout, old))


def _old_context() -> ssl.SSLContext | None:
    """Return TLS settings for TLS 1.0 and 1.1 alone; None where the library has neither."""
    context = smtp_client.plain_context()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        # Distributions forbid to speak them otherwise.
        context.set_ciphers("ALL:@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return None
    return context


def _old_protocol(
    host: str, address: str, service: Service, timeout: float, context: ssl.SSLContext | None
) -> str | None:
    """Return the protocol older than TLS 1.2 that a service takes; None when it cannot be asked."""
    if context is None:
        return None
    try:
        with _begin(host, address, service, timeout, context) as stream:
            return stream.version() or "TLSv1"
    except SmtpError as error:
        reason = getattr(error.__cause__, "reason", "") or ""
        return None if reason in ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE") else ""


def _begin(
    host: str, address: str, service: Service, timeout: float, context: ssl.SSLContext
) -> ssl.SSLSocket:
    """Connect, and begin TLS.

    Raises:
        SmtpError: it could not be begun.
    """
    stream = smtp_client.open_socket(address, service.port, timeout)
    try:
        if service.starttls:
            _ask_for_tls(stream, service.starttls, timeout)
        stream.settimeout(timeout)
        return context.wrap_socket(stream, server_hostname=host)
    except SmtpError:
        stream.close()
        raise
    except OSError as error:
        stream.close()
        if isinstance(error, socket.timeout):
            raise SmtpError(smtp_client.TIMEOUT, "no answer in time") from error
        if isinstance(error, ssl.SSLError):
            text = getattr(error, "reason", "") or str(error)
            raise SmtpError(smtp_client.TLS, "TLS failed: {0}".format(text)) from error
        raise SmtpError(smtp_client.CLOSED, "the server closed the connection") from error
    except BaseException:
        stream.close()
        raise


# Greeting, what is said, and what the last line of an answer begins with, for each protocol.
_DIALOGUES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "smtp": (("", ("220 ",)), ("EHLO tls-audit.invalid", ("250 ",)), ("STARTTLS", ("220",))),
    "imap": (("", ("* OK",)), ("a1 STARTTLS", ("a1 OK",))),
    "pop3": (("", ("+OK",)), ("STLS", ("+OK",))),
    "sieve": (("", ("OK",)), ("STARTTLS", ("OK",))),
}
_REFUSALS = ("4", "5", "a1 NO", "a1 BAD", "* BYE", "-ERR", "NO", "BYE")


def _ask_for_tls(stream: socket.socket, protocol: str, timeout: float) -> None:
    """Have the dialogue before TLS.

    Raises:
        SmtpError: TLS is not offered, or the server says something else.
    """
    deadline = time.monotonic() + timeout * smtp_client.LIMIT_FACTOR
    for line, ends in _DIALOGUES[protocol]:
        try:
            if line:
                stream.sendall(line.encode("ascii") + b"\r\n")
            for _number in range(_MAX_LINES):
                answer = _line(stream, timeout, deadline)
                if answer.upper().startswith(tuple(end.upper() for end in ends)):
                    break
                if answer.upper().startswith(tuple(word.upper() for word in _REFUSALS)):
                    raise SmtpError(NOT_OFFERED, "it says {0!r}".format(answer[:100]))
            else:
                raise SmtpError(smtp_client.PROTOCOL, "an answer without an end")
        except OSError as error:
            if isinstance(error, socket.timeout):
                raise SmtpError(smtp_client.TIMEOUT, "no answer in time") from error
            raise SmtpError(smtp_client.CLOSED, "the server closed the connection") from error


def _line(stream: socket.socket, timeout: float, deadline: float) -> str:
    """Return one line, and read nothing behind it: what follows may be TLS."""
    line = b""
    while not line.endswith(b"\n"):
        left = min(timeout, deadline - time.monotonic())
        if left <= 0:
            raise SmtpError(smtp_client.TIMEOUT, "the conversation took too long")
        stream.settimeout(left)
        part = stream.recv(1)
        if not part:
            raise SmtpError(smtp_client.CLOSED, "the server closed the connection")
        line += part
        if len(line) > _MAX_LINE:
            raise SmtpError(smtp_client.PROTOCOL, "a line without an end")
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return "".join(c if c.isprintable() else " " for c in text)


def _chain(stream: ssl.SSLSocket, der: bytes) -> tuple[tuple[bytes, ...], bool]:
    """Return the certificates that the server showed, and whether they are all."""
    public = getattr(stream, "get_unverified_chain", None)
    if public is not None:  # Python 3.13
        return tuple(public()), True
    inner = getattr(getattr(stream, "_sslobj", None), "get_unverified_chain", None)
    if inner is None:  # before Python 3.10
        return (der,), False
    return tuple(ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in inner() or ()), True


def read_certificate(der: bytes) -> Certificate:
    """Return what stands in a certificate.

    Raises:
        ValueError: it cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    found = x509.load_der_x509_certificate(der)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [str(name).lower() for name in extension.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        # The common name alone counts for nobody any more (RFC 9525).
        names = []
    key = found.public_key()
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    kind = type(key).__name__
    algorithm = "RSA" if "RSA" in kind else "EC" if "EllipticCurve" in kind else kind.lstrip("_")
    return Certificate(
        der,
        spki,
        tuple(names),
        _epoch(found, "not_valid_before"),
        _epoch(found, "not_valid_after"),
        found.issuer.rfc4514_string(),
        getattr(key, "key_size", 0),
        algorithm,
    )


def _epoch(certificate: Any, name: str) -> float:
    """Return a time of a certificate; cryptography before 42 has it without a zone."""
    aware = getattr(certificate, name + "_utc", None)
    if aware is None:
        aware = getattr(certificate, name).replace(tzinfo=datetime.timezone.utc)
    return float(aware.timestamp())


def covers(names: Iterable[str], wanted: str) -> bool:
    """Tell whether one of a certificate's names is the wanted one; a star is one label (RFC 9525)."""
    parent = "*." + wanted.partition(".")[2]
    return any(name in (wanted, parent) for name in names)


# --- TLSA ----------------------------------------------------------------------------------------

MATCH = "match"
MISMATCH = "mismatch"
#: A record that SMTP clients leave out (RFC 7672 section 3.1.3), or that cannot be read.
UNUSABLE = "unusable"
#: A record about a certificate of the chain that cannot be seen from here.
UNSEEN = "unseen"

_HASHES = {1: hashlib.sha256, 2: hashlib.sha512}


def match(record: str, port: Port) -> str:
    """Tell whether a TLSA record is about what a service showed.

    Args:
        record: ``usage selector type data``, the data in hexadecimal.
        port: the service.

    Returns:
        One of :data:`MATCH`, :data:`MISMATCH`, :data:`UNUSABLE`, :data:`UNSEEN`.
    """
    fields = record.split()
    numbers = fields[:3]
    if len(fields) < 4 or not all(field.isdigit() for field in numbers):
        return UNUSABLE
    usage, selector, kind = (int(field) for field in numbers)
    if usage not in (2, 3) or selector not in (0, 1) or kind not in (0, 1, 2):
        return UNUSABLE
    data = "".join(fields[3:]).lower()
    shown = port.chain if usage == 2 else port.chain[:1]
    for der in shown:
        try:
            content = der if selector == 0 else read_certificate(der).key
        except ValueError:
            continue
        if (_HASHES[kind](content).hexdigest() if kind else content.hex()) == data:
            return MATCH
    return MISMATCH if usage == 3 or port.whole_chain else UNSEEN
