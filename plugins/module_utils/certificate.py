# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate and its key: whether they serve a mail host, and how they get where it reads them.

What a certificate says is read with the program ``openssl``. A key goes to it on standard input
only, and nothing of a key is in an output.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from typing import Any, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import dns, file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import (
    RC_NOT_FOUND,
    Host,
)

WARN = "warn"
FAIL = "fail"
EXPIRING = (WARN, FAIL)

_DAY = 86400.0
_BLOCK = r"-----BEGIN (?:[A-Z0-9]+ )*{0}-----\r?\n.*?-----END (?:[A-Z0-9]+ )*{0}-----"
_CERTIFICATE = re.compile(_BLOCK.format("CERTIFICATE"), re.DOTALL)
_KEY = re.compile(_BLOCK.format("PRIVATE KEY"), re.DOTALL)
_PUBLIC = re.compile("-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", re.DOTALL)

# More than any chain of certificates has.
_MAX_CERTIFICATES = 10


class CertificateError(Exception):
    """A certificate or key cannot be used; the text is a sentence that names file and reason."""


class Certificate(NamedTuple):
    """What a certificate says.

    Attributes:
        subject: whom it is for, such as ``CN=mail.example.org``.
        issuer: who issued it.
        names: host names in its subjectAltName, lower case; ``*.example.org`` among them.
        not_before: from when on it is valid, in seconds since the epoch.
        not_after: until when.
        fingerprint: SHA-256 of it, in lower case hexadecimal digits.
        key: SHA-256 of its public key (SubjectPublicKeyInfo), likewise.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    fingerprint: str
    key: str

    @property
    def self_signed(self) -> bool:
        """Whether subject and issuer are the same."""
        return self.subject == self.issuer

    @property
    def tlsa(self) -> str:
        """The content of a TLSA record for its key: RFC 6698, usage DANE-EE, SPKI, SHA-256."""
        return "3 1 1 " + self.key

    @property
    def text(self) -> str:
        """What a diff shows of it."""
        return "subject {0}\nissuer {1}\nnames {2}\nvalid {3} to {4}\nSHA-256 {5}\n".format(
            self.subject,
            self.issuer,
            ", ".join(self.names) or "none",
            timestamp(self.not_before),
            timestamp(self.not_after),
            self.fingerprint,
        )


class Wanted(NamedTuple):
    """Where a pair comes from, where it goes, and what is asked of it. See the module's options."""

    certificate: str
    key: str
    dest_certificate: str
    dest_key: str
    names: Sequence[str] = ()
    min_days: int = 14
    expiring: str = WARN
    owner: str = ""
    group: str = ""
    certificate_mode: str = "0644"
    key_mode: str = "0600"
    hook_path: str = ""
    hook_commands: Sequence[str] = ()


class Copy(NamedTuple):
    """One file of a plan.

    Attributes:
        change: content and mode, before and after.
        link: the path is a symbolic link, which becomes a file.
        owner: wanted user id, None to leave it.
        group: wanted group id, likewise.
        ids: user and group id of the present file, None when there is none.
        shown_before: what a diff shows instead of the content.
        shown: the same for the new file.
    """

    change: file_write.Change
    link: bool
    owner: int | None
    group: int | None
    ids: tuple[int, int] | None
    shown_before: str
    shown: str

    @property
    def owned(self) -> bool:
        """Whether user and group are as wanted; a new file gets them."""
        wanted = (self.owner, self.group)
        return self.ids is None or all(new in (None, now) for new, now in zip(wanted, self.ids))

    @property
    def replaced(self) -> bool:
        """Whether the file gets new content."""
        return self.change.content_changed or self.link

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return self.change.changed or self.link or not self.owned

    def diff(self) -> dict[str, str]:
        """Return the difference for ``exit_json(diff=...)``, without the content of a key."""
        return dict(self.change.diff(), before=self.shown_before, after=self.shown)


class Plan(NamedTuple):
    """What is to be done: ``changed``, diff and writing come from it alone.

    Attributes:
        leaf: the certificate.
        trusted: whether this host's certificate authorities vouch for it.
        now: the host's clock, in seconds since the epoch.
        pair: key and certificate, in the order in which they get their names.
        hook: the program for renewals, None when none is wanted.
        warnings: sentences.
    """

    leaf: Certificate
    trusted: bool
    now: float
    pair: tuple[Copy, ...]
    hook: Copy | None
    warnings: tuple[str, ...]

    @property
    def files(self) -> tuple[Copy, ...]:
        """All files."""
        return self.pair + ((self.hook,) if self.hook else ())


def timestamp(seconds: float) -> str:
    """Return a time in UTC, as in ``2026-01-02T03:04:05Z``."""
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def covers(pattern: str, name: str) -> bool:
    """Tell whether a name in a certificate stands for a host: RFC 9525 section 6.3 (and 6125).

    Args:
        pattern: a name of the certificate. ``*`` is its whole first label or nothing, and stands
            for exactly one label.
        name: the host's name, in the form that the DNS has.
    """
    pattern, name = pattern.lower(), name.lower()
    if not pattern.startswith("*."):
        return pattern == name
    label, _dot, rest = name.partition(".")
    return bool(label) and "*" not in pattern[1:] and "." in rest and rest == pattern[2:]


def read_chain(host: Host, path: str, data: bytes) -> list[Certificate]:
    """Read the certificates of a PEM file, in their order.

    Args:
        host: where ``openssl`` is.
        path: name of the file, for errors.
        data: its content.

    Raises:
        CertificateError: it has none, or one cannot be read.
    """
    blocks = _CERTIFICATE.findall(data.decode("latin-1"))
    if not blocks:
        raise CertificateError(
            "{0} has no certificate in PEM form (-----BEGIN CERTIFICATE-----)".format(path)
        )
    if len(blocks) > _MAX_CERTIFICATES:
        raise CertificateError(
            "{0} has {1} certificates; a chain has at most {2}. This may be a list of certificate "
            "authorities".format(path, len(blocks), _MAX_CERTIFICATES)
        )
    return [_read(host, path, number, block) for number, block in enumerate(blocks, 1)]


def _read(host: Host, path: str, number: int, block: str) -> Certificate:
    options = "-noout -subject -issuer -startdate -enddate -fingerprint -sha256 -pubkey"
    extensions = ["-ext", "subjectAltName", "-nameopt", "RFC2253"]
    said = _openssl(host, ["x509", *options.split(), *extensions], block)
    if said is None:
        raise CertificateError("certificate {0} of {1} cannot be read".format(number, path))
    fields = dict(line.partition("=")[::2] for line in said.splitlines() if "=" in line)
    alternative = said.partition("Subject Alternative Name:")[2]
    return Certificate(
        subject=fields.get("subject", "").strip(),
        issuer=fields.get("issuer", "").strip(),
        names=tuple(name.lower() for name in re.findall(r"DNS:([^\s,]+)", alternative)),
        not_before=_time(fields["notBefore"]),
        not_after=_time(fields["notAfter"]),
        # Its name is "SHA256 Fingerprint" or "sha256 Fingerprint".
        fingerprint=next(value for name, value in fields.items() if name.endswith("Fingerprint"))
        .replace(":", "")
        .lower(),
        key=_digest(said),
    )


def read_key(host: Host, path: str, data: bytes) -> str:
    """Return the digest of a private key's public part, as :attr:`Certificate.key`.

    Raises:
        CertificateError: there is no key without a passphrase in the file, or several.
    """
    blocks = _KEY.findall(data.decode("latin-1"))
    if len(blocks) != 1:
        raise CertificateError(
            "{0} has {1} private keys in PEM form (-----BEGIN PRIVATE KEY-----); it must have "
            "one".format(path, len(blocks) or "no")
        )
    if "ENCRYPTED" in blocks[0]:
        raise CertificateError(
            "the private key in {0} has a passphrase; nobody could type it in when the server "
            "starts".format(path)
        )
    said = _openssl(host, ["pkey", "-pubout"], blocks[0])
    if said is None:
        raise CertificateError("the private key in {0} cannot be read".format(path))
    return _digest(said)


def _openssl(host: Host, arguments: Sequence[str], data: str) -> str | None:
    """Return what openssl says of its input; None when it cannot read it.

    Raises:
        CertificateError: there is no openssl.
    """
    done = host.run(["openssl", *arguments], input=data + "\n")
    if done.rc == RC_NOT_FOUND:
        raise CertificateError("the program openssl is missing: install the package openssl")
    return done.stdout if done.rc == 0 else None


def _digest(said: str) -> str:
    """Return the SHA-256 of the public key in PEM form in an output."""
    body = _PUBLIC.search(said)
    return hashlib.sha256(base64.b64decode(body.group(1)) if body else b"").hexdigest()


def _time(text: str) -> float:
    """Return the seconds since the epoch of ``Jan  2 03:04:05 2026 GMT``."""
    import calendar
    import time

    return float(calendar.timegm(time.strptime(text.strip(), "%b %d %H:%M:%S %Y %Z")))


def problems(wanted: Wanted, chain: Sequence[Certificate], key: str, now: float) -> list[str]:
    """Return what keeps a pair from being used, as sentences.

    Args:
        wanted: the files' paths and the names that are needed.
        chain: the certificates, the server's own first.
        key: the private key, as :func:`read_key` returns it.
        now: the host's clock, in seconds since the epoch.
    """
    leaf = chain[0]
    path = wanted.certificate
    if leaf.key != key:
        if any(item.key == key for item in chain):
            return [
                "{0} begins with the certificate of {1}; the one that belongs to {2} must come "
                "first, and then the one that issued it".format(path, leaf.subject, wanted.key)
            ]
        return ["the private key {0} does not belong to {1}".format(wanted.key, path)]
    found = []
    for number, (item, issuer) in enumerate(zip(chain, chain[1:]), 2):
        if item.issuer != issuer.subject:
            found.append(
                "{0}: certificate {1} ({2}) did not issue the one before it; each must be followed "
                "by its issuer, as in fullchain.pem".format(path, number, issuer.subject)
            )
            break
    if leaf.not_after <= now:
        found.append(
            "{0} has expired: it was valid until {1}".format(path, timestamp(leaf.not_after))
        )
    if leaf.not_before > now:
        found.append(
            "{0} is valid from {1} on, and this host's clock says {2}".format(
                path, timestamp(leaf.not_before), timestamp(now)
            )
        )
    missing = [
        name
        for name in wanted.names
        if not any(covers(pattern, dns.clean_name("names", name)) for pattern in leaf.names)
    ]
    if missing:
        found.append(
            "{0} is not for {1}; it is for {2}".format(
                path, ", ".join(missing), ", ".join(leaf.names) or "no host name"
            )
        )
    return found


def plan(host: Host, wanted: Wanted) -> Plan:
    """Look at a pair and at where it goes. Nothing is written.

    Args:
        host: the machine.
        wanted: what is asked for.

    Raises:
        CertificateError: the pair cannot be used, or an option is not allowed.
        ValueError: a name is no host name.
        file_write.FileWriteError: a file that is in the way cannot be read.
    """
    _check_options(wanted)
    data = {}
    for option, path in (("certificate", wanted.certificate), ("key", wanted.key)):
        content = host.read_bytes(path)
        if content is None:
            raise CertificateError("{0}: {1} cannot be read".format(option, path))
        data[option] = content
    chain = read_chain(host, wanted.certificate, data["certificate"])
    key = read_key(host, wanted.key, data["key"])
    now = host.now()
    wrong = problems(wanted, chain, key, now)
    warnings = []
    leaf = chain[0]
    days = (leaf.not_after - now) / _DAY
    if not wrong and days < wanted.min_days:
        said = "{0} expires in {1:.0f} days, on {2}; at least {3} are wanted".format(
            wanted.certificate, days, timestamp(leaf.not_after), wanted.min_days
        )
        (wrong if wanted.expiring == FAIL else warnings).append(said)
    if wrong:
        raise CertificateError(". ".join(wrong))
    warnings += [
        "{0}: the certificate of {1} that follows has expired, on {2}; take it out, or get the chain "
        "anew".format(wanted.certificate, item.subject, timestamp(item.not_after))
        for item in chain[1:]
        if item.not_after <= now
    ]
    verify = ["openssl", "verify", "-untrusted", wanted.certificate, wanted.certificate]
    trusted = host.run(verify).rc == 0
    if len(chain) == 1 and not leaf.self_signed and not trusted:
        warnings.append(
            "{0} has no intermediate certificate. Clients need one, unless they know {1}: use "
            "fullchain.pem instead of cert.pem".format(wanted.certificate, leaf.issuer)
        )
    ids = _ids(wanted.owner, wanted.group)
    return Plan(
        leaf,
        trusted,
        now,
        (
            _key_copy(host, wanted, data["key"], key, ids),
            _certificate_copy(host, wanted, data["certificate"], leaf, ids),
        ),
        _hook_copy(host, wanted) if wanted.hook_path else None,
        tuple(warnings),
    )


def _check_options(wanted: Wanted) -> None:
    """Refuse options that cannot be meant."""
    for option in ("certificate", "key", "dest_certificate", "dest_key", "hook_path"):
        path = getattr(wanted, option)
        if not path.startswith("/") and not (option == "hook_path" and not path):
            raise CertificateError("{0}: {1!r}; allowed: an absolute path".format(option, path))
    paths = [wanted.certificate, wanted.key, wanted.dest_certificate, wanted.dest_key]
    if len({os.path.normpath(path) for path in paths}) < len(paths):
        raise CertificateError(
            "certificate, key, dest_certificate and dest_key must be four different files"
        )
    for option in ("certificate_mode", "key_mode"):
        if not re.fullmatch("0?[0-7]{3}", getattr(wanted, option)):
            raise CertificateError(
                "{0}: {1!r}; allowed: three octal digits, such as 0600".format(
                    option, getattr(wanted, option)
                )
            )
    if int(wanted.key_mode, 8) & 0o007:
        raise CertificateError(
            "key_mode: {0!r}; allowed: a mode that lets nobody but owner and group read the "
            "key".format(wanted.key_mode)
        )
    if wanted.expiring not in EXPIRING:
        raise CertificateError(
            "expiring: {0!r}; allowed: {1}".format(wanted.expiring, ", ".join(EXPIRING))
        )
    if wanted.hook_path and not re.fullmatch(
        r"[A-Za-z0-9_.-]+", os.path.basename(wanted.hook_path)
    ):
        raise CertificateError(
            "hook_path: {0!r}; allowed: a file name of letters, digits, '.', '_' and '-'".format(
                wanted.hook_path
            )
        )


def _ids(owner: str, group: str) -> tuple[int | None, int | None]:
    """Return the numbers of a user and a group, None for what is not named."""
    import grp
    import pwd

    found: list[int | None] = []
    for option, name, look in (
        ("owner", owner, lambda name: pwd.getpwnam(name).pw_uid),
        ("group", group, lambda name: grp.getgrnam(name).gr_gid),
    ):
        try:
            found.append(int(name) if name.isdigit() else look(name) if name else None)
        except KeyError:
            raise CertificateError("{0}: this host has no {1!r}".format(option, name)) from None
    return found[0], found[1]


def _copy(
    host: Host,
    path: str,
    data: bytes,
    mode: str,
    ids: tuple[int | None, int | None],
    shown_before: str,
    shown: str,
) -> Copy:
    status = host.stat(path)
    return Copy(
        file_write.plan(host, path, data, int(mode, 8)),
        host.readlink(path) is not None,
        ids[0],
        ids[1],
        (status.st_uid, status.st_gid) if status else None,
        shown_before,
        shown,
    )


def _key_copy(
    host: Host, wanted: Wanted, data: bytes, digest: str, ids: tuple[int | None, int | None]
) -> Copy:
    words = "the private key of the public key with SHA-256 {0}\n"
    before = ""
    present = host.read_bytes(wanted.dest_key)
    if present is not None:
        try:
            before = words.format(read_key(host, wanted.dest_key, present))
        except CertificateError as error:
            before = "{0}\n".format(error)
    return _copy(host, wanted.dest_key, data, wanted.key_mode, ids, before, words.format(digest))


def _certificate_copy(
    host: Host, wanted: Wanted, data: bytes, leaf: Certificate, ids: tuple[int | None, int | None]
) -> Copy:
    path = wanted.dest_certificate
    before = ""
    present = host.read_bytes(path)
    if present is not None:
        try:
            before = read_chain(host, path, present)[0].text
        except CertificateError as error:
            before = "{0}\n".format(error)
    return _copy(host, path, data, wanted.certificate_mode, ids, before, leaf.text)


def _hook_copy(host: Host, wanted: Wanted) -> Copy:
    text = hook(wanted, _ids(wanted.owner, wanted.group))
    present = host.read(wanted.hook_path) or ""
    return _copy(host, wanted.hook_path, text.encode("utf-8"), "0755", (None, None), present, text)


_HOOK = """\
#!/bin/sh
# Managed by postmaster.mailhost.certificate_copy. Changes are overwritten.
#
# Copies a renewed certificate and its key to where the mail host reads them. certbot calls it after
# each renewal, of any certificate; by hand or from another client it needs no arguments.
set -eu
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

certificate={certificate}
key={key}
dest_certificate={dest_certificate}
dest_key={dest_key}

if [ -n "${{RENEWED_LINEAGE:-}}" ] && [ "$RENEWED_LINEAGE" != "${{certificate%/*}}" ]; then
    exit 0
fi

new_certificate=
new_key=
trap 'rm -f "$new_certificate" "$new_key"' EXIT
trap 'exit 1' HUP INT TERM
# Beside the files that they replace, so that the last step is a rename.
new_certificate=$(mktemp "${{dest_certificate%/*}}/.mailhost.XXXXXX")
new_key=$(mktemp "${{dest_key%/*}}/.mailhost.XXXXXX")
cat "$certificate" >"$new_certificate"
cat "$key" >"$new_key"

of_certificate=$(openssl x509 -noout -pubkey <"$new_certificate")
of_key=$(openssl pkey -pubout <"$new_key")
if [ -z "$of_key" ] || [ "$of_certificate" != "$of_key" ]; then
    echo "$0: $key does not belong to $certificate; nothing was copied" >&2
    exit 1
fi
if cmp -s "$new_certificate" "$dest_certificate" && cmp -s "$new_key" "$dest_key"; then
    exit 0
fi
{owner}chmod {certificate_mode} "$new_certificate"
chmod {key_mode} "$new_key"
mv -f "$new_key" "$dest_key"
mv -f "$new_certificate" "$dest_certificate"
{commands}"""


def hook(wanted: Wanted, ids: tuple[int | None, int | None] = (None, None)) -> str:
    """Return a shell script (POSIX) that copies the pair again when it was renewed.

    Args:
        wanted: the pair; ``hook_commands`` come after the copy, one a line.
        ids: user and group id that the copies get, None to leave them with root.
    """
    import shlex

    own = "".join(
        '{0} {1} "$new_certificate" "$new_key"\n'.format(program, number)
        for program, number in zip(("chown", "chgrp"), ids)
        if number is not None
    )
    return _HOOK.format(
        certificate=shlex.quote(os.path.normpath(wanted.certificate)),
        key=shlex.quote(os.path.normpath(wanted.key)),
        dest_certificate=shlex.quote(os.path.normpath(wanted.dest_certificate)),
        dest_key=shlex.quote(os.path.normpath(wanted.dest_key)),
        owner=own,
        certificate_mode=wanted.certificate_mode,
        key_mode=wanted.key_mode,
        commands="".join(command.rstrip("\n") + "\n" for command in wanted.hook_commands),
    )


def carry_out(host: Host, planned: Plan, backup: bool = True) -> list[str]:
    """Do what was planned.

    Args:
        host: the machine.
        planned: what :func:`plan` returned.
        backup: keep copies of files that are replaced.

    Returns:
        list[str]: paths of the copies.

    Raises:
        file_write.FileWriteError: something cannot be written. Certificate and key are both as
            they were then.
    """
    new = [item for item in planned.pair if item.replaced]
    copies = file_write.replace_all([_replacement(host, item) for item in new], backup, False)
    for item in planned.pair:
        if item.changed and not item.replaced:
            _set_attributes(host, item)
    if planned.hook and planned.hook.changed:
        path = file_write.place(host, planned.hook.change.path)
        file_write.make_directory(os.path.dirname(path))
        if planned.hook.replaced:
            # No copy: certbot runs every program that is in this directory.
            file_write.replace_all([_replacement(host, planned.hook)], False, False)
        else:
            _set_attributes(host, planned.hook)
    return [path for path in copies if path]


def _replacement(host: Host, item: Copy) -> file_write.Replacement:
    path = file_write.place(host, item.change.path)
    return file_write.Replacement(path, item.change.after, item.change.mode, item.owner, item.group)


def _set_attributes(host: Host, item: Copy) -> None:
    path = file_write.place(host, item.change.path)
    file_write.set_attributes(path, item.change.mode, item.owner, item.group)


def result(planned: Plan) -> dict[str, Any]:
    """Return what a plan means, as a module returns it. There is no key in it."""
    leaf = planned.leaf
    return {
        "changed": any(item.changed for item in planned.files),
        "changed_files": [item.change.path for item in planned.files if item.changed],
        "diff": [item.diff() for item in planned.files if item.changed],
        "subject": leaf.subject,
        "issuer": leaf.issuer,
        "names": list(leaf.names),
        "not_before": timestamp(leaf.not_before),
        "not_after": timestamp(leaf.not_after),
        "days_left": int((leaf.not_after - planned.now) // _DAY),
        "fingerprint": leaf.fingerprint,
        "tlsa": leaf.tlsa,
        "self_signed": leaf.self_signed,
        "trusted": planned.trusted,
    }
