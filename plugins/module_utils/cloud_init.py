# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 that cloud-init configured on an alias such as ``eth0:0``, moved to the interface itself.

Some images with ifupdown get their IPv6 address from cloud-init on an alias. Aliases are a thing of
IPv4: ifupdown cannot bring up an IPv6 address on one on its own, and the address comes and goes with
the state of another. https://docs.mailcow.email/getstarted/prerequisite-system/ describes the
remedy.

Changing the interface that the controller comes in by can lock everybody out. So the change is
taken back by the host itself after some time, unless the controller, over a new connection, says
that it is still there.
"""

from __future__ import annotations

import re
import time
from typing import Any, Callable, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

INTERFACES = "/etc/network/interfaces"

#: Keeps cloud-init from writing the alias again at the next boot.
DISABLE = "/etc/cloud/cloud.cfg.d/99-mailhost-disable-network.cfg"

DISABLE_TEXT = (
    "# Managed by postmaster.mailhost.cloud_init_ipv6; changes are lost.\n"
    "# cloud-init would put IPv6 on an alias of the interface again.\n"
    "network: {config: disabled}\n"
)

#: The old files. ifupdown reads every file in interfaces.d, so a copy beside them would count.
BACKUPS = "/var/backups/mailhost-network"

#: Where a change that is not confirmed yet keeps its scripts; gone after a reboot.
WORK = "/run/mailhost-network"

APPLY = "mailhost-network-apply"
ROLLBACK = "mailhost-network-rollback"

# A name such as eth0:0. The part before the colon is the interface.
_ALIAS = re.compile(r"([A-Za-z0-9_.-]{1,15}):[A-Za-z0-9_.-]+\Z")

# Lines of interfaces(5) that list interfaces.
_LISTS = re.compile(r"(auto|allow-\S+|no-auto-down|no-scripts)\Z")

# The apply script sleeps so long, so that the answer reaches the controller first.
_HEAD_START = 2

_PAUSE = 0.5


class CloudInitError(Exception):
    """The interfaces cannot be changed; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        manager: what configures the network: ``ifupdown``, ``netplan``, ``NetworkManager``,
            ``systemd-networkd`` or ``unknown``.
        aliases: aliases with IPv6, such as ``eth0:0``.
        interfaces: the interfaces that they belong to.
        changes: of files with interfaces.
        disable: the change that keeps cloud-init from undoing it, None when not needed.
        pending: whether an earlier change waits for being confirmed.
    """

    manager: str
    aliases: list[str]
    interfaces: list[str]
    changes: list[file_write.Change]
    disable: file_write.Change | None
    pending: bool

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.changes or self.disable)


def manager(host: Host) -> str:
    """Return what configures the host's network."""
    if host.glob("/etc/netplan/*.yaml"):
        return "netplan"
    if host.exists(INTERFACES) and (host.which("ifup") or host.exists("/sbin/ifup")):
        return "ifupdown"
    if host.glob("/etc/NetworkManager/system-connections/*"):
        return "NetworkManager"
    if host.glob("/etc/systemd/network/*.network"):
        return "systemd-networkd"
    return "unknown"


def files(host: Host) -> list[str]:
    """Return the files with interfaces that ifupdown reads, its own first."""
    found = [INTERFACES]
    for line in _logical_lines(host.read(INTERFACES) or ""):
        words = line.split()
        if len(words) < 2 or words[0] not in ("source", "source-directory"):
            continue
        for word in words[1:]:
            pattern = word if word.startswith("/") else "/etc/network/" + word
            if words[0] == "source":
                names = host.glob(pattern)
            else:
                # interfaces(5): only names of these characters count.
                names = [
                    name
                    for name in host.glob(pattern.rstrip("/") + "/*")
                    if re.fullmatch(r"[A-Za-z0-9_-]+", name.rpartition("/")[2])
                ]
            found += [name for name in names if name not in found and not host.isdir(name)]
    return found


def plan(host: Host) -> Plan:
    """Look for IPv6 on aliases.

    Raises:
        CloudInitError: it cannot be found out whether a change is pending.
        file_write.FileWriteError: a file cannot be read.
    """
    kind = manager(host)
    nothing = Plan(kind, [], [], [], None, False)
    if kind != "ifupdown":
        return nothing
    texts = {}
    for path in files(host):
        data = host.read_bytes(path)
        if data is not None:
            # Every byte has its character there and back.
            texts[path] = data.decode("latin-1")
    edited, aliases = rewrite(texts)
    changes = []
    for path, text in edited.items():
        if text != texts[path]:
            status = host.stat(path)
            mode = status.st_mode & 0o7777 if status else 0o644
            changes.append(file_write.plan(host, path, text.encode("latin-1"), mode))
    disable = None
    # The copies say that this host is one of those where cloud-init does it.
    if (changes or host.listdir(BACKUPS)) and not _cloud_init_off(host):
        disable = file_write.plan(host, DISABLE, DISABLE_TEXT.encode(), 0o644)
    return Plan(
        kind,
        aliases,
        list(dict.fromkeys(alias.partition(":")[0] for alias in aliases)),
        changes,
        disable,
        _pending(host),
    )


def rewrite(texts: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Move IPv6 from aliases to their interfaces.

    All other bytes stay. An alias that has IPv4 as well stays where its IPv4 is.

    Args:
        texts: path to the text of each file, in the order in which they are read.

    Returns:
        The new texts, and the aliases that had IPv6.
    """
    both = [line for text in texts.values() for line in _logical_lines(text)]
    aliases, others, listed = [], set(), set()
    for line in both:
        words = line.split()
        if len(words) >= 3 and words[0] == "iface":
            if words[2] == "inet6" and _ALIAS.match(words[1]):
                if words[1] not in aliases:
                    aliases.append(words[1])
            else:
                others.add(words[1])
        elif words and _LISTS.match(words[0]) and words[0].startswith(("auto", "allow-")):
            listed.update(words[1:])
    if not aliases:
        return dict(texts), []
    edited = {}
    for path, text in texts.items():
        pieces = []
        for line in _raw_lines(text):
            pieces.append(_edit(line, aliases, others, listed))
        edited[path] = "".join(pieces)
    return edited, aliases


def carry_out(host: Host, planned: Plan, rollback_seconds: int) -> list[str]:
    """Write the files, start the clock of the roll-back, and have the interfaces brought up anew.

    Returns:
        list[str]: the copies of the old files.

    Raises:
        CloudInitError: systemd does not take the roll-back: nothing was changed then.
        file_write.FileWriteError: a file cannot be written.
    """
    if not planned.changes:
        if planned.disable:
            _write(host, planned.disable)
        return []
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    copies = {}
    file_write.make_directory(file_write.place(host, BACKUPS), 0o700)
    for change in planned.changes:
        name = change.path.strip("/").replace("/", "_")
        copies[change.path] = "{0}/{1}.{2}".format(BACKUPS, name, stamp)
        file_write.replace(
            file_write.place(host, copies[change.path]), change.before or b"", mode=0o600
        )
    file_write.make_directory(file_write.place(host, WORK), 0o700)
    for name in ("applied", "rolled-back"):
        file_write.remove(file_write.place(host, WORK + "/" + name))
    for name, text in (("apply", _apply(planned, copies)), ("rollback", _undo(planned, copies))):
        path = file_write.place(host, WORK + "/" + name)
        file_write.replace(path, text.encode(), mode=0o600)
    # Before the first change: whatever happens from here on is taken back.
    # One shot: who starts it by hand waits until it has ended.
    _transient(
        host,
        ROLLBACK,
        [
            "--service-type=oneshot",
            "--on-active={0}".format(rollback_seconds),
            "--timer-property=AccuracySec=1s",
        ],
    )
    for change in [*planned.changes, *([planned.disable] if planned.disable else [])]:
        _write(host, change)
    _transient(host, APPLY, [])
    return list(copies.values())


def confirm(
    host: Host,
    timeout: float = 90,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Keep a change for good: the controller is there, and the interfaces came up.

    Args:
        host: the host.
        timeout: seconds to wait for the interfaces.
        clock: a clock for the limit.
        sleep: what passes the time.

    Returns:
        bool: whether there was something to confirm.

    Raises:
        CloudInitError: the change was taken back, or is now.
    """
    if host.exists(WORK + "/rolled-back"):
        raise CloudInitError(
            "the new configuration of the network was taken back: nobody confirmed it in time. The "
            "old one is in force again; the journal has what happened (journalctl -u {0} -u "
            "{1})".format(APPLY, ROLLBACK)
        )
    if not _pending(host):
        return False
    end = clock() + timeout
    while host.read(WORK + "/applied") is None and clock() < end:
        sleep(_PAUSE)
    outcome = (host.read(WORK + "/applied") or "none").strip()
    if outcome != "0":
        answer = host.run(["systemctl", "start", ROLLBACK + ".service"], timeout=120)
        raise CloudInitError(
            "the interfaces did not come up with the new configuration ({0}); {1} (journalctl -u "
            "{2})".format(
                "no answer" if outcome == "none" else "ifup ended with {0}".format(outcome),
                "the old one is in force again"
                if answer.rc == 0
                else "the host takes the old one into force by itself in a while",
                APPLY,
            )
        )
    answer = host.run(["systemctl", "stop", ROLLBACK + ".timer"])
    if answer.rc != 0:
        raise CloudInitError("the roll-back cannot be stopped: {0}".format(answer.stderr.strip()))
    for name in ("apply", "rollback", "applied"):
        file_write.remove(file_write.place(host, WORK + "/" + name))
    return True


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values, without the copies."""
    diff = [change.diff() for change in planned.changes]
    if planned.disable:
        diff.append(planned.disable.diff())
    return {
        "changed": planned.changed,
        "manager": planned.manager,
        "aliases": planned.aliases,
        "diff": diff,
    }


def _raw_lines(text: str) -> list[str]:
    """Return lines with their ends; one that a backslash continues is one line."""
    lines: list[str] = []
    going_on = False
    # splitlines() knows more ends of lines than ifupdown does.
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        if going_on:
            lines[-1] += line
        else:
            lines.append(line)
        going_on = line.rstrip("\n").endswith("\\")
    return lines


def _logical_lines(text: str) -> list[str]:
    """Return lines as they are read: continued ones joined, without comments."""
    lines = [line.replace("\\\n", " ").strip() for line in _raw_lines(text)]
    return [line for line in lines if line and not line.startswith("#")]


def _edit(line: str, aliases: list[str], others: set[str], listed: set[str]) -> str:
    """Return a line with its aliases replaced or taken out; ``listed`` learns what it names now."""
    words = line.replace("\\\n", " ").split()
    if not words or words[0].startswith("#"):
        return line
    if len(words) >= 3 and words[0] == "iface" and words[1] in aliases and words[2] == "inet6":
        return line.replace(words[1], words[1].partition(":")[0], 1)
    if not _LISTS.match(words[0]):
        return line
    kept = []
    for word in words[1:]:
        if word not in aliases:
            kept.append(word)
            continue
        interface = word.partition(":")[0]
        # Whether the interface comes up at boot is said once, here or elsewhere.
        if interface not in listed and words[0].startswith(("auto", "allow-")):
            listed.add(interface)
            line = _word(line, word, interface if word not in others else interface + " " + word)
            kept.append(interface)
        elif word in others:
            kept.append(word)
        else:
            line = _word(line, word, "")
    return line if kept else ""


def _word(line: str, word: str, new: str) -> str:
    """Replace a word; where it goes, the blanks before it go too."""
    pattern = r"(?<!\S){0}(?!\S)" if new else r"(?:[ \t]|\\\n)+{0}(?!\S)"
    return re.sub(pattern.format(re.escape(word)), lambda _match: new, line, count=1)


def _cloud_init_off(host: Host) -> bool:
    """Tell whether cloud-init leaves the network alone, or is not there."""
    if not host.isdir("/etc/cloud") or host.exists("/etc/cloud/cloud-init.disabled"):
        return True
    pattern = (
        r"^network:[ \t]*(\{\s*[\"']?config[\"']?\s*:\s*[\"']?disabled[\"']?\s*\}"
        r"|(#[^\n]*)?\n([ \t]*(#[^\n]*)?\n)*[ \t]+config:\s*[\"']?disabled\b)"
    )
    paths = ["/etc/cloud/cloud.cfg", *host.glob("/etc/cloud/cloud.cfg.d/*.cfg")]
    return any(re.search(pattern, host.read(path) or "", re.MULTILINE) for path in paths)


def _pending(host: Host) -> bool:
    """Tell whether a roll-back waits."""
    if not host.exists(WORK + "/rollback"):
        return False
    unit = ROLLBACK + ".timer"
    try:
        return host.units([unit])[unit].active == "active"
    except HostError as error:
        raise CloudInitError(str(error)) from error


def _write(host: Host, change: file_write.Change) -> None:
    path = file_write.place(host, change.path)
    file_write.make_directory(path.rpartition("/")[0])
    change._replace(path=path).write(backup=False)


def _transient(host: Host, name: str, options: list[str]) -> None:
    """Have systemd run one of the scripts, apart from the connection that asks for it.

    Raises:
        CloudInitError: it does not.
    """
    # A unit of an earlier run that failed would keep its name.
    host.run(["systemctl", "reset-failed", name + ".service", name + ".timer"])
    script = "{0}/{1}".format(WORK, name.rpartition("-")[2])
    answer = host.run(
        ["systemd-run", "--quiet", "--unit=" + name, *options, "/bin/sh", script], timeout=20
    )
    if answer.rc != 0:
        raise CloudInitError(
            "systemd does not take {0}: {1}".format(name, answer.stderr.strip() or "no reason")
        )


def _apply(planned: Plan, copies: dict[str, str]) -> str:
    """Return the script that brings the interfaces up with the new files.

    What the old files brought up is taken down with them.
    """
    lines = ["sleep {0}".format(_HEAD_START)]
    for alias in planned.aliases:
        for copy in copies.values():
            lines.append(
                "ifdown --force --ignore-errors --interfaces={0} {1} 2>/dev/null".format(
                    copy, alias
                )
            )
    for interface in planned.interfaces:
        lines.append("ifdown --force --ignore-errors {0}".format(interface))
    lines.append("rc=0")
    for interface in planned.interfaces:
        lines.append("ifup {0} || rc=$?".format(interface))
    lines.append("echo $rc >{0}/applied.new".format(WORK))
    lines.append("mv {0}/applied.new {0}/applied".format(WORK))
    return "\n".join(lines) + "\n"


def _undo(planned: Plan, copies: dict[str, str]) -> str:
    """Return the script that takes everything back."""
    lines = [
        "systemctl stop {0}.service".format(APPLY),
        *("ifdown --force --ignore-errors {0}".format(name) for name in planned.interfaces),
    ]
    for path, copy in copies.items():
        # The content alone: owner and mode are those of the file.
        lines.append("cat {0} >{1}".format(copy, path))
    if planned.disable and planned.disable.before is None:
        lines.append("rm -f {0}".format(planned.disable.path))
    lines += ["ifup {0}".format(name) for name in planned.interfaces]
    lines += ["ifup {0}".format(alias) for alias in planned.aliases]
    # They say that cloud-init's work is undone, which is not so any more.
    lines += ["rm -f {0}".format(copy) for copy in copies.values()]
    lines.append("touch {0}/rolled-back".format(WORK))
    lines.append("systemctl stop {0}.timer".format(ROLLBACK))
    return "\n".join(lines) + "\n"
