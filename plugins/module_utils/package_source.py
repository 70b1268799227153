# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package repositories: the files that describe one to APT or DNF, and the key that signs it.

APT: a deb822 file (sources.list(5)) whose Signed-By names a key of its own, so that this key
vouches for this repository and for no other. DNF: a .repo file (dnf.conf(5)) with gpgcheck and its key.
"""

from __future__ import annotations

import re
from typing import Any, Callable, NamedTuple, Sequence

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write, openpgp
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

APT = "apt"
YUM = "yum"
KINDS = (APT, YUM)

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
_NOTE = "# Written by the module postmaster.mailhost.package_repository; changes are undone.\n"
_OFF = ("no", "false", "without", "off", "disable", "0")

#: The largest key file that is accepted, in bytes; the keys of whole distributions stay below it.
KEY_LIMIT = 1 << 20


class PackageSourceError(Exception):
    """The repository cannot be set up; the text names what is wrong and what is allowed."""


class Source(NamedTuple):
    """A package repository.

    Attributes:
        kind: one of :data:`KINDS`.
        name: name of its files and, for DNF, its id.
        uris: where it is. DNF's variables such as ``$releasever`` may stand in them.
        suites: APT only, for example ``trixie``.
        components: APT only, for example ``stable``.
        architectures: APT only; none means those that dpkg is set up for.
        fingerprints: the primary keys that may sign it, all that are in its key file.
        key_url: where the key comes from when the one on the host is missing or another.
        key: the key itself instead.
    """

    kind: str
    name: str
    uris: Sequence[str]
    suites: Sequence[str]
    components: Sequence[str]
    architectures: Sequence[str]
    fingerprints: Sequence[str]
    key_url: str
    key: str


class Place(NamedTuple):
    """Where a package manager keeps its files: patterns of source files, and directories."""

    sources: str
    keys: str
    patterns: Sequence[str]
    source_name: str
    key_name: str


PLACES = {
    APT: Place(
        "/etc/apt/sources.list.d",
        "/etc/apt/keyrings",
        (
            "/etc/apt/sources.list",
            "/etc/apt/sources.list.d/*.list",
            "/etc/apt/sources.list.d/*.sources",
        ),
        "{0}.sources",
        "{0}.asc",
    ),
    YUM: Place(
        "/etc/yum.repos.d",
        "/etc/pki/rpm-gpg",
        ("/etc/yum.repos.d/*.repo",),
        "{0}.repo",
        "RPM-GPG-KEY-{0}",
    ),
}


class Duplicate(NamedTuple):
    """An enabled entry for the same repository in another file."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return "{0}:{1}: {2}".format(self.path, self.line, self.text)


class Plan(NamedTuple):
    """What is to be written for a repository, in the order of writing."""

    changes: list[file_write.Change]
    duplicates: list[Duplicate]
    key_fetched: bool
    key_path: str
    source_path: str


def kind_of(host: Host) -> str:
    """Return which package manager the host has.

    Raises:
        PackageSourceError: neither is there.
    """
    if host.isdir("/etc/apt"):
        return APT
    if host.isdir("/etc/yum.repos.d"):
        return YUM
    raise PackageSourceError(
        "neither /etc/apt nor /etc/yum.repos.d is there; only APT and DNF are supported"
    )


def validate(source: Source) -> Source:
    """Return the source with its fingerprints in their usual form.

    Raises:
        PackageSourceError: an option is missing or has a value that is not allowed.
    """
    if not _NAME.match(source.name):
        raise PackageSourceError(
            "name is {0!r}; allowed: letters, digits, '-' and '_'".format(source.name)
        )
    for option in ("uris", "suites", "components", "architectures"):
        for value in getattr(source, option):
            if not value or re.search(r"[\s#]", value):
                raise PackageSourceError(
                    "{0} holds {1!r}; allowed: words without blanks and '#'".format(option, value)
                )
    for uri in source.uris:
        if not re.match(r"^(https?|file)://?[^/]*/", uri + "/"):
            raise PackageSourceError(
                "uris holds {0!r}; allowed: addresses that begin with https://, http:// or "
                "file:/".format(uri)
            )
    if not source.uris:
        raise PackageSourceError("uris is empty; at least one address is needed")
    if source.kind == APT:
        if not source.suites:
            raise PackageSourceError("suites is empty; APT needs at least one, such as trixie")
        # A suite that ends with / is a path, and has no components: sources.list(5).
        if not source.components and not all(suite.endswith("/") for suite in source.suites):
            raise PackageSourceError("components is empty; APT needs at least one, such as main")
    if bool(source.key) == bool(source.key_url):
        raise PackageSourceError("one of key and key_url is needed, and not both")
    if not source.fingerprints:
        raise PackageSourceError("key_fingerprint is empty; without it any key would be trusted")
    try:
        wanted = [openpgp.normalize_fingerprint(text) for text in source.fingerprints]
    except openpgp.OpenPGPError as error:
        raise PackageSourceError("key_fingerprint: {0}".format(error)) from None
    return source._replace(fingerprints=sorted(set(wanted)))


def render(source: Source, key_path: str) -> str:
    """Return the text of the file that describes the repository."""
    if source.kind == YUM:
        return (
            _NOTE
            + "[{0}]\nname={0}\nbaseurl={1}\nenabled=1\ngpgcheck=1\ngpgkey=file://{2}\n".format(
                source.name, "\n        ".join(source.uris), key_path
            )
        )
    lines = [
        "Types: deb",
        "URIs: " + " ".join(source.uris),
        "Suites: " + " ".join(source.suites),
    ]
    if source.components:
        lines.append("Components: " + " ".join(source.components))
    if source.architectures:
        lines.append("Architectures: " + " ".join(source.architectures))
    lines.append("Signed-By: " + key_path)
    return _NOTE + "\n".join(lines) + "\n"


def plan(
    host: Host,
    source: Source,
    fetch: Callable[[str], bytes],
    replace: bool = False,
    place: Place | None = None,
) -> Plan:
    """Compare the host with what is wanted. Nothing is written.

    The network is asked only when the key on the host is missing or is not the wanted one, and the
    key that comes is compared with the wanted fingerprints before anything else.

    Args:
        host: the host.
        source: a validated source.
        fetch: gives the content of an address.
        replace: disable entries for the same repository in other files.
        place: where the files are; the package manager's own places when None.

    Raises:
        PackageSourceError: the key is not the wanted one, or other files have the repository.
        file_write.FileWriteError: a file cannot be read.
    """
    place = place or PLACES[source.kind]
    key_path = place.keys + "/" + place.key_name.format(source.name)
    source_path = place.sources + "/" + place.source_name.format(source.name)
    found = []
    texts = {}
    for pattern in place.patterns:
        for path in host.glob(pattern):
            if path != source_path:
                texts[path] = host.read(path) or ""
                found += duplicates(path, texts[path], source)
    if found and not replace:
        raise PackageSourceError(
            "other files have the same repository: {0}. Two entries with different keys stop the "
            "package manager; remove them, or set replace to true (the files are backed up)".format(
                "; ".join(str(entry) for entry in found)
            )
        )
    key, fetched = _key(host, source, key_path, fetch)
    # The key first: a source without its key stops APT, a key without a source does nothing. The
    # duplicates before the source: APT refuses two entries with different keys.
    changes = [file_write.plan(host, key_path, key, 0o644)]
    for path in sorted({entry.path for entry in found}):
        lines = [entry.line for entry in found if entry.path == path]
        status = host.stat(path)
        changes.append(
            file_write.plan(
                host,
                path,
                disable(path, texts[path], lines).encode("utf-8"),
                status.st_mode & 0o7777 if status else 0o644,
            )
        )
    text = render(source, key_path).encode("utf-8")
    changes.append(file_write.plan(host, source_path, text, 0o644))
    return Plan(changes, found, fetched, key_path, source_path)


def write(planned: Plan) -> list[str]:
    """Write what a plan says; other people's files are backed up first.

    Returns:
        list[str]: the backups made.

    Raises:
        file_write.FileWriteError: a file cannot be written.
    """
    backups = []
    for change in planned.changes:
        if change.changed:
            file_write.make_directory(change.path.rpartition("/")[0])
            own = change.path in (planned.key_path, planned.source_path)
            backups.append(change.write(backup=not own))
    return [path for path in backups if path]


def duplicates(path: str, text: str, source: Source) -> list[Duplicate]:
    """Return the enabled entries in a file that lead to the same repository.

    Args:
        path: its name says its format: ``.list``, ``.sources`` or ``.repo``.
        text: its content.
        source: what to look for; any of its addresses counts, a slash at the end does not.
    """
    wanted = {uri.rstrip("/") for uri in source.uris}
    found = []
    for first, lines in _entries(path, text):
        if path.endswith(".repo"):
            fields = _fields(lines[1:], "=")
            same = lines[0].strip() == "[{0}]".format(source.name)
            on = fields.get("enabled", "1").strip().lower() not in _OFF
            addresses = re.split(r"[\s,]+", fields.get("baseurl", ""))
        elif path.endswith(".sources"):
            fields = _fields(lines, ":")
            same = False
            on = fields.get("enabled", "yes").strip().lower() not in _OFF
            addresses = fields.get("uris", "").split()
        else:
            same, on = False, True
            addresses = _one_line(lines[0])
        hit = [address for address in addresses if address.rstrip("/") in wanted]
        if on and (hit or same):
            summary = lines[0].strip() if path.endswith((".list", ".repo")) else "URIs: " + hit[0]
            found.append(Duplicate(path, first, summary))
    return found


def disable(path: str, text: str, numbers: Sequence[int]) -> str:
    """Return a file's text with the entries that begin at these lines (from 1) disabled.

    A one-line entry becomes a comment; a stanza gets ``Enabled: no``, a section ``enabled=0``.
    """
    lines = text.splitlines(True)
    for first, entry in sorted(_entries(path, text), reverse=True):
        if first not in numbers:
            continue
        start = first - 1
        if path.endswith(".repo"):
            kept = [line for line in entry[1:] if not re.match(r"^enabled\s*=", line)]
            new = [entry[0].rstrip("\n") + "\n", "enabled=0\n", *kept]
        elif path.endswith(".sources"):
            new = ["Enabled: no\n"] + [
                line for line in entry if not re.match(r"^enabled\s*:", line, re.IGNORECASE)
            ]
        else:
            new = ["# " + entry[0]]
        lines[start : start + len(entry)] = new
    return "".join(lines)


def fetch(url: str, timeout: float = 20.0, attempts: int = 3) -> bytes:
    """Return the content of an address; proxies are taken from the environment.

    Raises:
        PackageSourceError: it cannot be fetched; the text says why.
    """
    import http.client
    import ssl
    import time
    import urllib.error

    # Late, as it takes a tenth of a second that a host which has the key need not spend.
    from ansible.module_utils.urls import open_url

    reason = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(attempt)
        try:
            with open_url(url, timeout=timeout) as answer:
                data = answer.read(KEY_LIMIT + 1)
        except urllib.error.HTTPError as error:
            reason = "the server answered {0} {1}".format(error.code, error.reason)
            if error.code < 500:
                break
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = "its certificate is not trusted: {0}".format(cause.verify_message)
                break
            reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        else:
            if len(data) > KEY_LIMIT:
                raise PackageSourceError("{0} is larger than a key can be".format(url))
            return data
    raise PackageSourceError("the key {0} cannot be fetched: {1}".format(url, reason))


def _key(host: Host, source: Source, path: str, get: Callable[[str], bytes]) -> tuple[bytes, bool]:
    """Return the key file's wanted content, and whether it was fetched."""
    present = host.read_bytes(path, KEY_LIMIT)
    if present is not None and not source.key:
        try:
            if sorted(openpgp.fingerprints(present)) == source.fingerprints:
                return present, False
        except openpgp.OpenPGPError:
            pass  # damaged: fetched anew
    origin = source.key_url or "given as key"
    data = get(source.key_url) if source.key_url else source.key.strip().encode("utf-8") + b"\n"
    try:
        got = sorted(openpgp.fingerprints(data))
        if got != source.fingerprints:
            raise openpgp.OpenPGPError(
                "its fingerprint is {0}; wanted is {1}".format(
                    " and ".join(got), " and ".join(source.fingerprints)
                )
            )
        return openpgp.armour(data), bool(source.key_url)
    except openpgp.OpenPGPError as error:
        raise PackageSourceError(
            "the key {0} is not accepted: {1}. Nothing was changed".format(origin, error)
        ) from None


def _entries(path: str, text: str) -> list[tuple[int, list[str]]]:
    """Return the entries of a source file: number of the first line (from 1), and the lines."""
    lines = text.splitlines(True)
    if path.endswith(".repo"):
        starts = [n for n, line in enumerate(lines) if re.match(r"^\[.+\]\s*$", line)]
        return [
            (start + 1, lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)])
        ]
    if path.endswith(".sources"):
        entries: list[tuple[int, list[str]]] = []
        inside = False
        for number, line in enumerate(lines, 1):
            if not line.strip():
                inside = False
            elif inside:
                entries[-1][1].append(line)
            elif not line.startswith("#"):
                entries.append((number, [line]))
                inside = True
        return entries
    return [(number, [line]) for number, line in enumerate(lines, 1) if _one_line(line)]


def _one_line(line: str) -> list[str]:
    """Return the address of a one-line entry of sources.list(5) in a list, else an empty one."""
    match = re.match(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s*)?(\S+)\s+\S", line)
    return [match.group(1)] if match else []


def _fields(lines: Sequence[str], separator: str) -> dict[str, str]:
    """Return fields by lower-case name; a line that begins with a blank continues a field."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(("#", ";")):
            continue
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += " " + line.strip()
            continue
        name, found, value = line.partition(separator)
        name = name.strip().lower() if found else ""
        if name:
            fields[name] = value.strip()
    return fields


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values, without backups."""
    return {
        "changed": any(change.changed for change in planned.changes),
        "diff": [change.diff() for change in planned.changes if change.changed],
        "source_file": planned.source_path,
        "key_file": planned.key_path,
        "key_fetched": planned.key_fetched,
        "duplicates": [str(entry) for entry in planned.duplicates],
    }
