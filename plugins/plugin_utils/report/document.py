# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of one host as data: what the JSON file holds, and what every other format shows."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import finding as words

#: Tells a report from any other JSON file.
SCHEMA = "postmaster.mailhost.report"
#: Raised when a key is renamed, removed or means something else; a new key does not raise it.
SCHEMA_VERSION = 1

#: What needs somebody's eye, worst first.
PROBLEMS = (words.FAIL, words.UNKNOWN, words.WARN)

#: What must be seen is in capitals: many terminals and all log files are without colour.
MARKS = {
    words.FAIL: "FAIL",
    words.UNKNOWN: "UNKNOWN",
    words.WARN: "WARN",
    words.OK: "ok",
    words.SKIP: "skip",
}

#: How a number of findings of each status is called.
COUNTED = {
    words.FAIL: "failed",
    words.UNKNOWN: "unknown",
    words.WARN: "to watch",
    words.OK: "ok",
    words.SKIP: "skipped",
}


def build(
    findings: Iterable[Mapping[str, Any]],
    host: str,
    stack: str = "",
    fail_on: str = words.FAIL,
    at: datetime.datetime | None = None,
    diagnosis: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report of a host.

    Args:
        findings: findings as dictionaries.
        host: the host's name in the inventory.
        stack: name of the mail stack, empty when the findings are about none.
        fail_on: from which status on the answer is "no go".
        at: when it was looked; now by default.
        diagnosis: what the role doctor found out. Its findings take the place of ``findings``, in
            its order.

    Raises:
        TypeError: something that is no dictionary is among the findings.
        ValueError: something else that is no finding is, or ``fail_on`` is wrong.
    """
    items = parse(causes(diagnosis)) if diagnosis else words.worst_first(parse(findings))
    totals = words.summary(items, fail_on)
    at = (at or datetime.datetime.now(datetime.UTC)).astimezone(datetime.UTC)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "collection_version": collection_version(),
        "host": str(host),
        "stack": str(stack),
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fail_on": str(fail_on),
        "go": totals["go"],
        "counts": {status: totals[status] for status in words.STATUSES},
        "findings": [item.to_dict() for item in items],
        **({"diagnosis": dict(diagnosis)} if diagnosis else {}),
    }


def causes(diagnosis: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the findings of a diagnosis as those of a report, which are texts alone."""
    found = []
    for item in diagnosis["findings"]:
        observed = item["observed"]
        if item["because"]:
            observed = f"{item['title']}: {observed} (explains {', '.join(item['because'])})"
        found.append({**item, "observed": observed, "fix": item["remedy"]})
    return found


def parse(findings: Iterable[Mapping[str, Any]]) -> list[words.Finding]:
    """Return dictionaries as findings. Raises as :func:`build` does."""
    return [words.from_dict(dict(entry)) for entry in findings]


def dumps(document: Mapping[str, Any]) -> str:
    """Return the report as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def loads(text: str) -> dict[str, Any] | None:
    """Return the report that a JSON text holds, None when it is no report that is understood."""
    try:
        data = json.loads(text)
        if (data["schema"], data["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
            return None
        built = build(
            data["findings"],
            host=data["host"],
            stack=data["stack"],
            fail_on=data["fail_on"],
            at=moment(data["time"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return {**built, "collection_version": str(data.get("collection_version", ""))}


def moment(text: str) -> datetime.datetime:
    """Return the time of a report. Raises ValueError when the text is none."""
    naive = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - said below
    return naive.replace(tzinfo=datetime.UTC)


def collection_version() -> str:
    """Return the version of this collection, installed or in a checkout."""
    root = Path(__file__).resolve().parents[3]
    try:
        manifest = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))
        return str(manifest["collection_info"]["version"])
    except OSError:
        return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def verdict(document: Mapping[str, Any]) -> str:
    """Return the one word that most people want."""
    return "go" if document["go"] else "NO GO"


def counts(document: Mapping[str, Any]) -> str:
    """Return the numbers of findings as words."""
    return ", ".join(f"{document['counts'][status]} {word}" for status, word in COUNTED.items())


def by_subject(items: Iterable[words.Finding]) -> dict[str, list[words.Finding]]:
    """Return findings by subject, the part of the id before the dot, in the order they came."""
    found: dict[str, list[words.Finding]] = {}
    for item in items:
        found.setdefault(item.id.partition(".")[0], []).append(item)
    return found


def one_line(text: str) -> str:
    """Return a text as one line of characters that can be seen.

    What was measured may come from strangers, such as the greeting of a mail server: a control
    character in it could rewrite a terminal, and one that changes the direction of writing could
    make a text look like another.
    """
    spaced = " ".join(text.split())
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _escape(char)
        for char in spaced
    )


def _escape(char: str) -> str:
    """Return the escape sequence of a character."""
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


# The programs that a fix may ask for.
_PROGRAMS = (
    "ansible-playbook|apt|apt-get|awk|cat|chattr|chmod|chown|chronyc|chsh|cp|curl|dig|dnf|"
    "docker|dpkg|dpkg-reconfigure|echo|ethtool|fallocate|findmnt|firewall-cmd|fsck|getent|"
    "git|grep|groupadd|gzip|hostnamectl|ip|ip6tables|iptables|journalctl|ln|locale-gen|"
    "localectl|loginctl|ls|lsof|mkdir|mkswap|modprobe|mount|mv|nano|netplan|nft|openssl|"
    "passwd|ping|pip|postconf|printf|ps|reboot|resolvectl|rm|rpm|sed|setenforce|ss|ssh|sshd|"
    "sudo|swapoff|swapon|sysctl|systemctl|systemd-analyze|tee|timedatectl|touch|truncate|"
    "tune2fs|ufw|umount|update-grub|update-locale|useradd|usermod|vi|visudo|wget|xfs_growfs|"
    "yum|zypper"
)
_COMMAND = re.compile(
    # Between backquotes, or after a colon, to the end of the sentence or the next break in it.
    r"`(?P<quoted>[^`]+)`"
    r"|(?<=: )(?P<bare>(?:%s)\b(?:(?!\.(?:\s|$)|;? then |, then |\s\(|; [a-z]+ the ).)*)"
    % _PROGRAMS
)


def commands(text: str) -> list[tuple[str, bool]]:
    """Return a fix in parts: the text of each, and whether it is a command to type."""
    parts: list[tuple[str, bool]] = []
    end = 0
    for match in _COMMAND.finditer(text):
        parts.append((text[end : match.start()], False))
        parts.append((match.group("quoted") or match.group("bare"), True))
        end = match.end()
    parts.append((text[end:], False))
    return [part for part in parts if part[0]]


def is_link(source: str) -> bool:
    """Return whether a source is the address of a page, and of nothing that a click could run."""
    return re.match(r"https?://[^\s\"'<>]+\Z", source) is not None
