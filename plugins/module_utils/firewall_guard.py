# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a host's firewall in force, and takes a change back that shut everybody out.

The rules themselves, and the script that loads them, are those of :mod:`firewall_files`. Here are the
units that call it: before the engine starts, and again whenever somebody has taken the rules away.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import file_write
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host, HostError

#: Where :mod:`docker_firewall` keeps the rules.
RULES = "/etc/mailhost/firewall"

#: The program that the units run.
PROGRAM = "/usr/local/sbin/mailhost-firewall"

#: The program of the role fail2ban. Its ``check`` makes anew what bans lost in the packet filter.
BANS_PROGRAM = "/usr/local/sbin/mailhost-fail2ban"

#: The rules as they were before a change, until it is confirmed. A reboot does not take them away.
KEPT = "/var/lib/mailhost-firewall"

SERVICE = "mailhost-firewall.service"
CHECK = "mailhost-firewall-check.service"
TIMER = "mailhost-firewall-check.timer"
ROLLBACK = "mailhost-firewall-rollback"

_UNITS = "/etc/systemd/system"

CONFLICTS = ("fail", "disable", "coexist")

#: Least and most seconds between two looks at the rules, and until a change is taken back.
INTERVALS = (5, 3600)
ROLLBACKS = (30, 3600)

_FIREWALLD = "firewalld.service"
_FAIL2BAN = "fail2ban.service"
_DOCKER = "docker.service"

# A stop may take systemd's 90 seconds.
_TIMEOUT = 120.0

_SERVICE_TEXT = """\
# Managed by postmaster.mailhost.firewall_guard; changes are lost.
[Unit]
Description=Firewall of the mail host
# Early: where cloud-init sets the network up before sysinit.target is reached, whatever waits for that
# and has to come before the network would be in a circle, which systemd cuts anywhere.
DefaultDependencies=no
After=local-fs.target
Conflicts=shutdown.target
Before=shutdown.target
# The engine adopts rules that are there before it. Loaded after it, they would leave published ports
# open for half a second.
Before=docker.service network-pre.target
Wants=network-pre.target
After=firewalld.service nftables.service ufw.service netfilter-persistent.service
After=iptables.service ip6tables.service ipset.service
PartOf=docker.service
ConditionPathExists={rules}/load

# There is no ExecStop: a stopped engine, or unit, opens nothing.
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} load

[Install]
WantedBy=multi-user.target docker.service
"""

_CHECK_TEXT = """\
# Managed by postmaster.mailhost.firewall_guard; changes are lost.
[Unit]
Description=Look whether the firewall of the mail host is in force
After=mailhost-firewall.service
ConditionPathExists={rules}/load

[Service]
Type=oneshot
ExecStart={program} check
# Only what it says itself, not that it ran.
LogLevelMax=notice
"""

_TIMER_TEXT = """\
# Managed by postmaster.mailhost.firewall_guard; changes are lost.
[Unit]
Description=Look whether the firewall of the mail host is in force

[Timer]
OnActiveSec={interval}
OnUnitInactiveSec={interval}
AccuracySec=1

[Install]
WantedBy=timers.target
"""

_PROGRAM_TEXT = r"""#!/bin/sh
# Managed by postmaster.mailhost.firewall_guard; changes are lost.
#
#   mailhost-firewall load          put the rules in force
#   mailhost-firewall check         the same, if what is in force is not what was loaded
#   mailhost-firewall arm SECONDS   keep the rules, and go back to them unless confirmed in time
#   mailhost-firewall confirm       do not go back
#   mailhost-firewall undo          go back now
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
RULES={rules}
KEPT={kept}
BANS={bans}
SEEN=/run/mailhost-firewall
mkdir -p "$SEEN"

# What the kernel has of these rules, without counters and without what packets put into sets.
listing() {{
    if [ -e "$RULES/nftables.rules" ]; then
        nft -s -t list table inet mailhost
        return
    fi
    for program in $(programs); do
        "$program-save" | grep MAILHOST
    done
}}

# The programs that the rules are loaded with: none with nft.
programs() {{
    sed -n 's/^\(ip6\{{0,1\}}tables[a-z-]*\)-restore .*/\1/p' "$RULES/load"
}}

# An engine whose rules were emptied, and whose containers went on while it was started, does not
# lead to DOCKER-USER again before it makes a network.
astray() {{
    for program in $(programs); do
        "$program-save" -t filter 2>/dev/null | awk '
            /^:DOCKER / {{ engine = 1 }}
            /^-A FORWARD -j DOCKER-USER$/ {{ jump = 1 }}
            END {{ exit !engine || jump }}' && return
    done
    return 1
}}

lead() {{
    command -v docker >/dev/null || return 0
    # While it starts, its rules come one by one. A network that is made then takes the jump away and
    # puts it back, which lets packets pass meanwhile.
    systemctl -q is-active docker.service && astray || return 0
    sleep 1
    systemctl -q is-active docker.service && astray || return 0
    echo "<4>the engine does not ask DOCKER-USER; having it make a network, so that it does"
    docker network create mailhost-firewall >/dev/null
    docker network rm mailhost-firewall >/dev/null
}}

# The files count as well: rules that were written and not yet loaded by anybody differ.
state() {{
    {{
        listing
        cat "$RULES"/*
    }} 2>/dev/null | sha256sum
}}

# Chains of fail2ban that nothing leads to any more: it would go on banning, without effect.
orphans() {{
    knows_bans && return
    for program in iptables ip6tables; do
        command -v "$program-save" >/dev/null || continue
        "$program-save" 2>/dev/null | awk -v program="$program" '
            /^:f2b-/ {{ chains[substr($1, 2)] = 1 }}
            / -j f2b-/ {{ for (i = 1; i < NF; i++) if ($i == "-j") delete chains[$(i + 1)] }}
            END {{ for (chain in chains) print program, chain }}' | sort
    done
}}

# The program of the role fail2ban knows what its bans need, and makes only that anew.
knows_bans() {{
    [ -x "$BANS" ]
}}

# fail2ban makes its chains anew when it starts; a reload does not.
refresh_bans() {{
    if knows_bans; then
        "$BANS" check 9>&-
    elif systemctl -q is-active fail2ban.service; then
        echo "<5>fail2ban is restarted, so that it makes its chains anew"
        systemctl --no-block restart fail2ban.service
    fi
}}

load() {{
    sh "$RULES/load" || return
    state >"$SEEN/state"
    orphans >"$SEEN/orphans"
}}

armed() {{
    systemctl -q is-active {rollback}.timer
}}

undo() {{
    echo "<4>the rules were not confirmed; going back to those from before"
    if [ -e "$KEPT/previous/load" ]; then
        # Only after the old ones are there whole.
        rm -rf "$RULES.new" && cp -a "$KEPT/previous" "$RULES.new" &&
            rm -rf "$RULES" && mv "$RULES.new" "$RULES" && load
    else
        sh "$RULES/unload" && rm -rf "$RULES"
    fi || return
    rm -rf "$KEPT/pending" "$KEPT/previous"
    : >"$KEPT/rolled-back"
}}

exec 9>"$SEEN/lock"
flock 9
case "${{1:-}}" in
    load)
        # Nobody confirmed the change before the machine was started anew.
        if [ -e "$KEPT/pending" ] && ! armed; then
            undo || exit
            [ -e "$RULES/load" ] || exit 0
        fi
        load || exit
        ;;
    check)
        # A change is on its way, and its files may be half of the old and half of the new.
        [ -e "$KEPT/pending" ] && exit 0
        if [ "$(state)" != "$(cat "$SEEN/state" 2>/dev/null)" ]; then
            echo "<4>the rules in force are not those that were loaded; loading them again"
            load || exit
            lead
            refresh_bans
            exit 0
        fi
        lead
        now=$(orphans)
        if [ "$now" != "$(cat "$SEEN/orphans" 2>/dev/null)" ]; then
            echo "$now" >"$SEEN/orphans"
            [ -z "$now" ] || refresh_bans
        fi
        ;;
    arm)
        rm -rf "$KEPT"
        mkdir -p "$KEPT" || exit
        if [ -e "$RULES/load" ]; then cp -a "$RULES" "$KEPT/previous" || exit; fi
        systemctl reset-failed {rollback}.service {rollback}.timer 2>/dev/null
        : >"$KEPT/pending"
        systemd-run --quiet --unit={rollback} --service-type=oneshot --on-active="$2" \
            --timer-property=AccuracySec=1 "$0" undo || {{
            rm -rf "$KEPT"
            exit 1
        }}
        ;;
    confirm)
        # While this waited, the rules may have been taken back.
        [ -e "$KEPT/pending" ] || exit 3
        systemctl stop {rollback}.timer || exit
        rm -rf "$KEPT"
        state >"$SEEN/state"
        orphans >"$SEEN/orphans"
        ;;
    undo)
        [ ! -e "$KEPT/pending" ] || undo || exit
        ;;
    *)
        echo "usage: mailhost-firewall load|check|arm SECONDS|confirm|undo" >&2
        exit 2
        ;;
esac
"""


class GuardError(Exception):
    """The firewall cannot be guarded like this; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done; ``changed``, diff and the work come from it alone.

    Attributes:
        files: files that are wanted, as they are and are to be.
        remove: files that go.
        conflicts: other firewalls that are in force.
        first: programs to run before the files are written.
        last: programs to run after it.
        before, after: what the programs change, as lines.
    """

    files: tuple[file_write.Change, ...]
    remove: tuple[str, ...]
    conflicts: tuple[str, ...]
    first: tuple[tuple[str, ...], ...]
    last: tuple[tuple[str, ...], ...]
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(
            self.remove or self.first or self.before or any(item.changed for item in self.files)
        )

    def diff(self) -> list[dict[str, str]]:
        """Return the differences for ``exit_json(diff=...)``."""
        shown = [item.diff() for item in self.files if item.changed]
        lines = [(self.before, self.after), (self.remove, ())]
        for before, after in lines:
            if before or after:
                shown.append(
                    {
                        "before_header": "units",
                        "before": "".join(line + "\n" for line in before),
                        "after_header": "units",
                        "after": "".join(line + "\n" for line in after),
                    }
                )
        return shown


def texts(interval: int) -> dict[str, tuple[str, int]]:
    """Return path to content and mode of what is installed.

    Args:
        interval: seconds between two looks at the rules in force.
    """
    words = {
        "rules": RULES,
        "program": PROGRAM,
        "kept": KEPT,
        "bans": BANS_PROGRAM,
        "rollback": ROLLBACK,
        "interval": interval,
    }
    return {
        PROGRAM: (_PROGRAM_TEXT.format(**words), 0o755),
        "{0}/{1}".format(_UNITS, SERVICE): (_SERVICE_TEXT.format(**words), 0o644),
        "{0}/{1}".format(_UNITS, CHECK): (_CHECK_TEXT.format(**words), 0o644),
        "{0}/{1}".format(_UNITS, TIMER): (_TIMER_TEXT.format(**words), 0o644),
    }


def refuse_number(option: str, value: int, allowed: tuple[int, int]) -> None:
    """Refuse seconds that are too few or too many.

    Args:
        option: what they are called.
        value: the seconds.
        allowed: :data:`INTERVALS` or :data:`ROLLBACKS`.

    Raises:
        GuardError: they are; the text names all three.
    """
    if not allowed[0] <= value <= allowed[1]:
        raise GuardError("{0} is {1}; allowed: {2} to {3}".format(option, value, *allowed))


def conflicts(host: Host) -> list[str]:
    """Return other firewalls that are in force now or after a reboot: ``firewalld``, ``ufw``.

    Raises:
        GuardError: it cannot be found out.
    """
    found = []
    if _units(host, [_FIREWALLD])[_FIREWALLD].starts:
        found.append("firewalld")
    on = re.search(r"^\s*ENABLED=[\"']?yes", host.read("/etc/ufw/ufw.conf") or "", re.M | re.I)
    if on and host.which("ufw"):
        found.append("ufw")
    return found


def plan(host: Host, conflict: str = "fail", interval: int = 15) -> Plan:
    """Compare the host with one whose firewall is guarded. Nothing is changed.

    Args:
        host: the host.
        conflict: what is to become of other firewalls, one of :data:`CONFLICTS`.
        interval: see :func:`texts`; :func:`refuse_number` has looked at it.

    Raises:
        GuardError: another firewall is in force, or systemd does not answer.
        file_write.FileWriteError: a file cannot be read.
    """
    others = conflicts(host)
    if others and conflict == "fail":
        raise GuardError(
            "another firewall is in force: {0}. Have the role switch it off "
            "(firewall_conflict: disable), or leave it beside these rules "
            "(firewall_conflict: coexist)".format(" and ".join(others))
        )
    first = []
    before, after = [], []
    if conflict == "disable":
        for name in others:
            first.append(
                ("ufw", "disable")
                if name == "ufw"
                else ("systemctl", "disable", "--now", _FIREWALLD)
            )
            before.append("{0}: enabled".format(name))
            after.append("{0}: disabled".format(name))
    files = tuple(
        file_write.plan(host, path, text.encode(), mode)
        for path, (text, mode) in sorted(texts(interval).items())
    )
    last = []
    units = _units(host, [SERVICE, TIMER])
    if any(item.changed and item.path.startswith(_UNITS) for item in files):
        last.append(("systemctl", "daemon-reload"))
    for name in (SERVICE, TIMER):
        if not units[name].enabled.startswith("enabled"):
            # A link of an older unit for another target would stay.
            last.append(("systemctl", "reenable", name))
            before.append("{0}: {1}".format(name, units[name].enabled or "absent"))
            after.append("{0}: enabled".format(name))
    moved = any(item.content_changed and item.path.endswith(TIMER) for item in files)
    if units[TIMER].active != "active" or moved:
        last.append(("systemctl", "restart", TIMER))
        if units[TIMER].active != "active":
            before.append("{0}: {1}".format(TIMER, units[TIMER].active))
            after.append("{0}: active".format(TIMER))
    return Plan(files, (), tuple(others), tuple(first), tuple(last), tuple(before), tuple(after))


def plan_removal(host: Host) -> Plan:
    """Compare the host with one that has nothing of this. Raises as :func:`plan`."""
    gone = tuple(path for path in sorted(texts(15)) if host.exists(path))
    units = _units(host, [SERVICE, TIMER])
    first = [
        ("systemctl", "disable", "--now", name)
        for name in (TIMER, SERVICE)
        if units[name].present
        and (units[name].active == "active" or units[name].enabled.startswith("enabled"))
    ]
    if host.exists(KEPT) and _pending(host):
        raise GuardError(
            "a change of the rules waits for being confirmed; run the task again in a while"
        )
    last = [("systemctl", "daemon-reload")] if gone else []
    return Plan((), gone, (), tuple(first), tuple(last), (), ())


def carry_out(host: Host, planned: Plan) -> None:
    """Do what was planned.

    Raises:
        GuardError: a program fails; its reason is in the text.
        file_write.FileWriteError: a file cannot be written.
    """
    bans = bool(planned.first) and _units(host, [_FAIL2BAN])[_FAIL2BAN].active == "active"
    for argv in planned.first:
        _run(host, argv)
    if planned.first and planned.conflicts:
        _mend(host, bans)
    for item in planned.files:
        if item.changed:
            path = file_write.place(host, item.path)
            file_write.make_directory(path.rpartition("/")[0])
            item._replace(path=path).write(backup=False)
    for path in planned.remove:
        file_write.remove(file_write.place(host, path))
    for argv in planned.last:
        _run(host, argv)


def arm(host: Host, seconds: int) -> None:
    """Keep the rules, and have the host go back to them by itself unless it is told not to.

    Raises:
        GuardError: it does not; then no rule may be changed.
    """
    if _pending(host):
        raise GuardError(
            "an earlier change of the rules waits for being confirmed, and will be taken back soon; "
            "run the play again then"
        )
    _run(host, (PROGRAM, "arm", str(seconds)))


def confirm(host: Host) -> bool:
    """Keep the new rules for good.

    Returns:
        bool: whether there was something to confirm.

    Raises:
        GuardError: they were taken back before, or the timer cannot be stopped.
    """
    if host.exists(KEPT + "/rolled-back"):
        raise GuardError(
            "the new rules were taken back, because nobody confirmed them in time; those from before "
            "are in force"
        )
    if not host.exists(KEPT + "/pending"):
        return False
    _run(host, (PROGRAM, "confirm"))
    return True


def result(planned: Plan) -> dict[str, Any]:
    """Return a plan as the module's return values."""
    return {
        "changed": planned.changed,
        "conflicts": list(planned.conflicts),
        "diff": planned.diff(),
    }


def _mend(host: Host, bans: bool) -> None:
    """Bring back what a firewall that was switched off has taken along."""
    units = _units(host, [_DOCKER, _FAIL2BAN])
    if units[_DOCKER].active == "active":
        saved = host.run(["iptables-save", "-t", "nat"])
        if saved.rc == 0 and "\n:DOCKER " not in saved.stdout:
            _run(host, ("systemctl", "restart", _DOCKER))
    # fail2ban's unit is part of firewalld's on Debian, and stops with it.
    if bans and units[_FAIL2BAN].active != "active":
        _run(host, ("systemctl", "start", _FAIL2BAN))


def _pending(host: Host) -> bool:
    name = ROLLBACK + ".timer"
    if not host.exists(KEPT + "/pending"):
        return False
    answer = host.run(["systemctl", "is-active", name])
    return answer.stdout.strip() == "active"


def _units(host: Host, names: list[str]) -> dict[str, Any]:
    try:
        return host.units(names)
    except HostError as error:
        raise GuardError("the services cannot be looked at: {0}".format(error)) from error


def _run(host: Host, argv: tuple[str, ...]) -> None:
    answer = host.run(list(argv), timeout=_TIMEOUT)
    if answer.rc != 0:
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise GuardError(
            "{0} failed: {1}".format(" ".join(argv), lines[-1] if lines else "without a reason")
        )
