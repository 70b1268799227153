# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KEY=VALUE files that bash sources and Docker Compose reads.

mailcow.conf is read twice: by ``source`` in upstream's scripts, as root, and by Compose as
``.env``. The two agree on plain words and on text in single quotes, and differ on nearly
everything else; this module changes such a file line by line, and only writes values that mean
the same to both.

Sources: bash(1), "QUOTING" and "EXPANSION"; Compose's rules for env files,
https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/.
"""

from __future__ import annotations

import re

KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*\Z")
ASSIGNMENT = re.compile(r"^(?P<lead>[ \t]*(?:export[ \t]+)?)(?P<key>[A-Za-z_][A-Za-z0-9_]*)=")
COMMENTED = re.compile(r"^#(?P<key>[A-Za-z_][A-Za-z0-9_]*)=")
# What may stand outside quotes: no character here is special to bash or to Compose. A tilde is
# left out as bash expands it at the beginning and behind a colon.
PLAIN = re.compile(r"^[A-Za-z0-9_@%+=:,./^!?*{}\[\]-]*\Z")
SECRET_NAME = re.compile(
    r"PASS(?!_SCHEME)|SECRET|TOKEN|CREDENTIAL|DBROOT|DATABASE_URI|NOTIFY_WEBHOOK$|"
    r"(^|_)(KEY|PW)($|_)",
    re.IGNORECASE,
)
MASK = "********"


class EnvError(ValueError):
    """A value or a change that is refused; the text names the key and says why."""


def decode(data: bytes, path: str) -> str:
    """Return the text of a file.

    Args:
        data: its content.
        path: its path, for the error.

    Raises:
        EnvError: it is not UTF-8; what cannot be read could not be written back either.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EnvError("{0} is not UTF-8; change its lines by hand".format(path)) from error


def bash_value(raw: str) -> str:
    """What bash makes of the text behind ``KEY=``.

    Args:
        raw: the text up to the end of the assignment, without the final newline.

    Returns:
        the value.

    Raises:
        ValueError: bash would expand, run or reject a part of it.
    """
    value, index = [], 0
    while index < len(raw):
        char = raw[index]
        if char in " \t":
            rest = raw[index:].lstrip(" \t")
            if rest and not rest.startswith("#"):
                raise ValueError("bash runs what stands behind the blank as a command")
            break
        if char == "'":
            end = raw.find("'", index + 1)
            if end < 0:
                raise ValueError("a single quote is not closed")
            value.append(raw[index + 1 : end])
            index = end + 1
            continue
        if char == '"':
            text, index = _double_quoted(raw, index + 1)
            value.append(text)
            continue
        if char == "\\":
            value.append(raw[index + 1 : index + 2])
            index += 2
            continue
        if char in "$`":
            raise ValueError("bash expands %s" % char)
        if char in ";&|<>()\n\r":
            raise ValueError("bash does not take %r as a part of the value" % char)
        if char == "~" and (index == 0 or raw[index - 1] == ":"):
            raise ValueError("bash expands ~")
        value.append(char)
        index += 1
    return "".join(value)


def _double_quoted(raw: str, index: int) -> tuple[str, int]:
    value = []
    while index < len(raw):
        char = raw[index]
        if char == '"':
            return "".join(value), index + 1
        if char in "$`":
            raise ValueError("bash expands %s" % char)
        if char == "\\" and raw[index + 1 : index + 2] in ("$", "`", '"', "\\"):
            char, index = raw[index + 1], index + 1
        value.append(char)
        index += 1
    raise ValueError("a double quote is not closed")


def compose_value(raw: str) -> str:
    """What Docker Compose makes of the text behind ``KEY=``.

    Takes and returns the same as :func:`bash_value`.

    Raises:
        ValueError: Compose would expand or reject a part of it.
    """
    text = raw.lstrip(" \t")
    if text[:1] not in ("'", '"'):
        text = re.split(r"\s#", text, maxsplit=1)[0].rstrip()
        if "$" in text:
            raise ValueError("Compose expands $")
        return text
    quote = text[0]
    value, index = [], 1
    while index < len(text) and text[index] != quote:
        if text[index] == "\\" and text[index + 1 : index + 2] == quote:
            index += 1
        value.append(text[index])
        index += 1
    if index >= len(text):
        raise ValueError("a quote is not closed")
    rest = text[index + 1 :].strip()
    if rest and not rest.startswith("#"):
        raise ValueError("Compose does not take what stands behind the closing quote")
    if quote == '"' and re.search(r"[$\\]", "".join(value)):
        raise ValueError("Compose expands $ and \\ between double quotes")
    return "".join(value)


def read_value(raw: str) -> str:
    """The value that both readers agree on.

    Args:
        raw: the text behind ``KEY=``.

    Raises:
        ValueError: they do not agree, or one of them expands or rejects it.
    """
    bash, compose = bash_value(raw), compose_value(raw)
    if bash != compose:
        raise ValueError("bash reads %r, Compose reads %r" % (bash, compose))
    return bash


def spell(value: str, quote: bool = False) -> str:
    """The text to write behind ``KEY=`` so that bash and Compose read the same value.

    Args:
        value: the value wanted.
        quote: whether single quotes may be put around it when it needs them.

    Raises:
        ValueError: there is no such text; says which character is in the way.
    """
    if PLAIN.match(value):
        return value
    special = next(char for char in value if not PLAIN.match(char))
    shown = "a line break" if special in "\r\n" else "a blank" if special in " \t" else special
    if not quote:
        raise ValueError("%s means something else to bash than to Compose" % shown)
    for bad, name in (("'", "a single quote"), ("\n", "a line break"), ("\r", "a line break")):
        if bad in value:
            raise ValueError("%s cannot be written so that both read it alike" % name)
    if value.endswith("\\"):
        raise ValueError("a backslash at the end cannot be written so that both read it alike")
    return "'%s'" % value


class Line:
    """One logical line: an assignment (``active``), a commented assignment, or anything else."""

    def __init__(self, text: str, key: str = "", active: bool = False, lead: str = "") -> None:
        self.text = text
        self.key = key
        self.active = active
        self.lead = lead

    @property
    def raw(self) -> str:
        """The text behind ``KEY=``, without the newline."""
        return self.text.split("=", 1)[1].rstrip("\n")


class Document:
    """A KEY=VALUE file as lines; everything that is not changed keeps its bytes.

    Args:
        text: the whole file.
    """

    def __init__(self, text: str = "") -> None:
        self.lines = []
        rest = text
        while rest:
            line, rest = self._next(rest)
            self.lines.append(line)

    @staticmethod
    def _next(text: str) -> tuple[Line, str]:
        end = text.find("\n") + 1 or len(text)
        commented = COMMENTED.match(text[:end])
        if commented:
            return Line(text[:end], commented.group("key")), text[end:]
        match = ASSIGNMENT.match(text)
        if not match:
            return Line(text[:end]), text[end:]
        quote = text[match.end() : match.end() + 1]
        if quote in ("'", '"'):
            # A quoted value may go on over several lines.
            close = match.end() + 1
            while close < len(text) and text[close] != quote:
                close += 2 if text[close] == "\\" and quote == '"' else 1
            if close < len(text):
                end = text.find("\n", close) + 1 or len(text)
        return Line(text[:end], match.group("key"), True, match.group("lead")), text[end:]

    @property
    def text(self) -> str:
        """The whole file."""
        return "".join(line.text for line in self.lines)

    def keys(self) -> list[str]:
        """The active keys, each once, in the order of the file."""
        return list(dict.fromkeys(line.key for line in self.lines if line.active))

    def _active(self, key: str) -> list[Line]:
        return [line for line in self.lines if line.active and line.key == key]

    def get(self, key: str) -> str | None:
        """The value of a key as both readers see it; the last line of several wins.

        Returns:
            None when the key is not set.

        Raises:
            ValueError: the readers do not agree on it.
        """
        lines = self._active(key)
        return read_value(lines[-1].raw) if lines else None

    def set(self, key: str, raw: str) -> None:
        """Give a key the text ``raw``: in its line, in place of its last comment, or at the end."""
        text = "%s=%s\n" % (key, raw)
        active = self._active(key)
        if active:
            active[-1].text = active[-1].lead + text
            return
        commented = [line for line in self.lines if line.key == key]
        if commented:
            line = commented[-1]
            line.text, line.active, line.lead = text, True, ""
            return
        if self.lines and not self.lines[-1].text.endswith("\n"):
            self.lines[-1].text += "\n"
        self.lines.append(Line(text, key, True))

    def remove(self, key: str) -> bool:
        """Drop all active lines of a key; says whether there were any."""
        return self._drop(self._active(key))

    def deduplicate(self, key: str) -> bool:
        """Drop all but the last active line of a key; says whether there were several."""
        return self._drop(self._active(key)[:-1])

    def _drop(self, lines: list[Line]) -> bool:
        self.lines = [line for line in self.lines if line not in lines]
        return bool(lines)

    def masked(self, secret: set[str], changed: set[str] = frozenset()) -> str:
        """The whole file for a diff, with the values of secret keys hidden.

        Args:
            secret: keys to hide, besides those whose names look like secrets.
            changed: keys to mark as new, so that a diff shows that they changed.
        """
        shown = []
        for line in self.lines:
            if not line.key or not (line.key in secret or SECRET_NAME.search(line.key)):
                shown.append(line.text)
                continue
            mark = " (new value)" if line.key in changed and line.active else ""
            hidden = (MASK + mark) if line.raw.strip() else ""
            shown.append("%s=%s\n" % (line.text.split("=", 1)[0], hidden))
        return "".join(shown)


class Plan:
    """What is to become of a file: its new text and, per key, what happens to it."""

    def __init__(self, before: Document | None, after: Document, secret: set[str]) -> None:
        self.before = before
        self.after = after
        self.secret = secret
        # key -> added, changed, removed or deduplicated
        self.changes = {}
        # sentences about values that the two readers see differently
        self.warnings = []

    @property
    def changed(self) -> bool:
        """Whether the text differs."""
        return self.before is None or self.before.text != self.after.text

    def diff(self) -> dict[str, str]:
        """``before`` and ``after`` with secrets hidden, as Ansible's ``--diff`` shows them."""
        before = self.before.masked(self.secret) if self.before else ""
        changed = {key for key, what in self.changes.items() if what in ("added", "changed")}
        return {"before": before, "after": self.after.masked(self.secret, changed)}

    def known_secrets(self) -> set[str]:
        """Values of secret keys before and after, so that a caller can keep them out of output."""
        found = set()
        for document in (self.before, self.after):
            for line in document.lines if document else []:
                if line.key not in self.secret:
                    continue
                value = line.raw.strip("'\" ")
                # Shorter ones would also hide innocent words of the output.
                if len(value) >= 8:
                    found.add(value)
        return found


def plan(
    text: str | None,
    values: dict[str, str],
    secrets: dict[str, str] | None = None,
    defaults: dict[str, str] | None = None,
    generate: dict[str, object] | None = None,
    absent: list[str] = (),
    create_only: dict[str, str] | None = None,
    quote: list[str] = (),
    secret_keys: list[str] = (),
    layout: str = "",
) -> Plan:
    """Work out what a KEY=VALUE file becomes; nothing is read or written here.

    Args:
        text: the file as it is; None when there is none.
        values: keys and the values that they must have.
        secrets: the same for values that must never be shown.
        defaults: keys and values for keys that are not set.
        generate: key -> function that makes a value, for keys that are not set or empty.
        absent: keys that must not be set.
        create_only: key -> reason why it may only be set while the file is new. A file is new
            when there is none or no key is set in it.
        quote: keys whose values may be put into single quotes.
        secret_keys: further keys to hide in the diff.
        layout: text of a new file; its keys are filled in.

    Returns:
        a :class:`Plan`.

    Raises:
        EnvError: a value that the two readers would see differently, a key that is no
            name, or a change to a create-only key.
    """
    secrets, defaults = secrets or {}, defaults or {}
    generate, create_only = generate or {}, create_only or {}
    before = None if text is None else Document(text)
    fresh = before is None or not before.keys()
    start = text or ""
    if fresh:
        # Comments that are there already stay above the layout.
        start += ("\n" if start and not start.endswith("\n") else "") + layout
    after = Document(start)
    known = Document(text or "")
    result = Plan(before, after, set(secrets) | set(generate) | set(secret_keys))

    def write(key: str, value: str) -> None:
        try:
            raw = spell(value, key in quote)
        except ValueError as error:
            shown = "" if key in result.secret else " %r" % value
            raise EnvError("%s: the value%s is refused: %s" % (key, shown, error)) from error
        after.set(key, raw)

    for key in [*values, *secrets, *defaults, *generate, *absent]:
        if not KEY.match(key):
            raise EnvError("%r is not a name that bash and Compose take as a variable" % key)

    must = dict(values)
    must.update(secrets)
    for key in dict.fromkeys([*must, *defaults, *generate]):
        present = bool(known._active(key))
        try:
            current = known.get(key)
            unclear = ""
        except ValueError as error:
            current, unclear = None, str(error)
        if key in must:
            wanted = must[key]
        elif present and (key in defaults or current or unclear):
            if unclear:
                hidden = key in result.secret or SECRET_NAME.search(key)
                result.warnings.append(
                    "%s is not read alike%s" % (key, "" if hidden else ": %s" % unclear)
                )
            continue
        else:
            wanted = defaults[key] if key in defaults else generate[key]()
        if present and current == wanted and not unclear:
            continue
        # Absent and empty are the same to `${KEY:-}`, so writing down an empty value is no change.
        if key in create_only and not fresh and (present or wanted != ""):
            if present:
                found = "the file has another value"
            else:
                found = "the file has values, but not this one: write down the one in use"
            raise EnvError("%s is not changed: %s; %s" % (key, found, create_only[key]))
        write(key, wanted)
        result.changes[key] = "changed" if present else "added"

    for key in absent:
        if after.remove(key):
            result.changes[key] = "removed"
    for key in after.keys():  # noqa: SIM118  # no dictionary
        if after.deduplicate(key):
            result.changes.setdefault(key, "deduplicated")
    return result
