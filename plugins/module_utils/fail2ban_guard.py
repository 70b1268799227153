# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps fail2ban's bans in force when somebody else takes the rules away.

fail2ban believes in what it did once: with its rules gone it goes on banning, without effect. Here are
the program that looks, and mends, and the units that call it: before fail2ban starts, and again and
again. What the rules are is known to the actions (``roles/fail2ban/files/action.d``) alone: the program
runs their ``actioncheck`` and ``actionrepair`` as the server has them.
"""

from __future__ import annotations

PROGRAM = "/usr/local/sbin/mailhost-fail2ban"

SERVICE = "fail2ban.service"
CHECK = "mailhost-fail2ban-check.service"
TIMER = "mailhost-fail2ban-check.timer"

#: Where fail2ban does not say which Python it runs on.
PYTHON = "/usr/bin/python3"
_UNITS = "/etc/systemd/system"

DROP_IN = "{0}/{1}.d/mailhost.conf".format(_UNITS, SERVICE)

#: Where the server listens, unless fail2ban.local says something else.
SOCKET = "/run/fail2ban/fail2ban.sock"

_DROP_IN_TEXT = """\
# Managed by postmaster.mailhost.fail2ban_config; changes are lost.
[Unit]
# The chains that the bans are hooked into are there, and stay, when these have been started.
After=docker.service mailhost-firewall.service

[Service]
# After a crash nobody else takes away what the jails left that are not there any more.
ExecStartPre=-{program} purge
"""

_CHECK_TEXT = """\
# Managed by postmaster.mailhost.fail2ban_config; changes are lost.
[Unit]
Description=Look whether fail2ban's bans are in force
After=fail2ban.service
ConditionPathExists={socket}

[Service]
Type=oneshot
ExecStart={program} check
# Only what it says itself, not that it ran.
LogLevelMax=notice
"""

_TIMER_TEXT = """\
# Managed by postmaster.mailhost.fail2ban_config; changes are lost.
[Unit]
Description=Look whether fail2ban's bans are in force

[Timer]
OnActiveSec={interval}
OnUnitInactiveSec={interval}
AccuracySec=1

[Install]
WantedBy=timers.target
"""

_PROGRAM_TEXT = r'''# Managed by postmaster.mailhost.fail2ban_config; changes are lost.
"""Keeps the bans of fail2ban's jails with actions of ours in force.

    mailhost-fail2ban check [SOCKET]     make again what the kernel has lost of rules and bans
    mailhost-fail2ban status [SOCKET]    say of each jail whether it has lost something
    mailhost-fail2ban purge [SOCKET]     take away what no jail owns any more
"""

import re
import subprocess
import sys
import time

from fail2ban.client.csocket import CSocket

SOCKET = "/run/fail2ban/fail2ban.sock"
NFTABLES, IPTABLES, IPSET = "mailhost-nftables", "mailhost-iptables", "mailhost-ipset"
TABLE = "inet f2b-mailhost"
PROGRAMS = {"inet4": "iptables", "inet6": "ip6tables"}

# Of both families, or a network.
ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*(/[0-9]+)?\Z")

# What begins at one look may not be finished at the next: a jail that starts, a ban on its way.
PAUSE = 1


class Gone(Exception):
    """There is no server, or it stops."""


class Server:
    """fail2ban's server, asked over its socket."""

    def __init__(self, path):
        try:
            self.link = CSocket(path, timeout=30)
        except (FileNotFoundError, ConnectionRefusedError):
            raise Gone() from None

    def ask(self, *words):
        """Return the answer, None when there is no such jail or property."""
        try:
            code, answer = self.link.send(list(words))
        except (BrokenPipeError, ConnectionResetError):
            raise Gone() from None
        return answer if code == 0 else None

    def jails(self):
        """Return the names of the jails."""
        listed = dict(self.ask("status") or ()).get("Jail list") or ""
        return [name for name in re.split(r"[,\s]+", listed) if name]

    def actions(self, jail):
        """Return the names of a jail's actions."""
        return list(self.ask("get", jail, "actions") or ())

    def option(self, jail, action, name):
        """Return an option of an action, as the server has it; empty when there is none."""
        return str(self.ask("get", jail, "action", action, name) or "")

    def banned(self, jail):
        """Return the addresses that a jail believes to have banned.

        A filter may ban what is none, such as the name of a user. That never gets into a command.
        """
        about = dict(self.ask("status", jail) or ())
        listed = dict(about.get("Actions") or ()).get("Banned IP list") or ()
        return {one for one in listed if ADDRESS.match(one)}


def run(argv, text=None):
    """Run a program; return its code and what it printed, standard error where it failed."""
    done = subprocess.run(
        argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
    )
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def output(*argv):
    """Return what a program printed; nothing where it fails, or is not there."""
    try:
        code, text = run(argv)
    except OSError:
        return ""
    return text if code == 0 else ""


def in_kernel(action, name):
    """Return the addresses that the kernel drops for a jail."""
    found = set()
    for family, program in PROGRAMS.items():
        if action == NFTABLES:
            text = output("nft", "list", "set", *TABLE.split(), name + "-" + family)
            text = text.partition("elements = {")[2].partition("}")[0]
            found.update(text.replace(",", " ").split())
        elif action == IPSET:
            text = output("ipset", "save", "f2b-{0}-{1}".format(name, family))
            found.update(re.findall(r"^add \S+ (\S+)", text, re.M))
        else:
            text = output(program + "-save", "-t", "filter")
            pattern = r"^-A f2b-{0} -s (\S+) -j DROP$".format(re.escape(name))
            found.update(
                re.sub(r"/(32|128)$", "", found) for found in re.findall(pattern, text, re.M)
            )
    return found


def fill(action, name, addresses):
    """Add addresses to what the kernel drops for a jail."""
    for family, program in PROGRAMS.items():
        mine = [one for one in sorted(addresses) if (":" in one) == (family == "inet6")]
        if not mine:
            continue
        if action == NFTABLES:
            text = "add element {0} {1}-{2} {{ {3} }}\n".format(
                TABLE, name, family, ", ".join(mine)
            )
            argv = ["nft", "-f", "-"]
        elif action == IPSET:
            text = "".join("add f2b-{0}-{1} {2}\n".format(name, family, one) for one in mine)
            argv = ["ipset", "-exist", "restore"]
        else:
            lines = ["-I f2b-{0} 1 -s {1} -j DROP".format(name, one) for one in mine]
            text = "\n".join(["*filter"] + lines + ["COMMIT", ""])
            argv = [program + "-restore", "-w", "--noflush"]
        code, said = run(argv, text)
        if code:
            print("<4>{0}: {1}".format(argv[0], last_line(said)))


def let_in(server, jail, action, addresses):
    """Have the kernel drop addresses no longer for a jail, with the jail's own command."""
    command = server.option(jail, action, "actionunban")
    for one in sorted(addresses):
        family = "inet6" if ":" in one else "inet4"
        code, said = run(["sh", "-c", command.replace("<ip>", one).replace("<family>", family)])
        if code:
            print("<3>jail {0}: {1} is not let in; {2}".format(jail, one, last_line(said)))


class State:
    """What a jail has lost.

    rules: whether its rules are not in place.
    bans: addresses that are not dropped.
    """

    def __init__(self, server, jail, action):
        self.name = server.option(jail, action, "name") or jail
        self.rules = run(["sh", "-c", server.option(jail, action, "actioncheck")])[0] != 0
        # A network banned by hand is nothing that sets of addresses hold.
        banned = {
            one for one in server.banned(jail) if action == IPTABLES or "/" not in one
        }
        self.bans = banned - in_kernel(action, self.name) if banned else set()

    def words(self):
        """Return what was lost as text; empty when nothing was."""
        lost = ["its rules are not in place"] if self.rules else []
        if self.bans:
            lost.append("{0} of its bans are not in force".format(len(self.bans)))
        return " and ".join(lost)


def look(server):
    """Return for each jail with an action of ours (and that action) its state."""
    return {
        (jail, action): State(server, jail, action)
        for jail in server.jails()
        for action in server.actions(jail)
        if action in (NFTABLES, IPTABLES, IPSET)
    }


def broken(states):
    """Return the states in which something was lost."""
    return {key: state for key, state in states.items() if state.words()}


def check(path):
    """Make again what was lost; return the exit code."""
    server = Server(path)
    before = broken(look(server))
    if not before:
        return 0
    time.sleep(PAUSE)
    mended = []
    for key, state in broken(look(server)).items():
        earlier = before.get(key)
        if earlier is None:
            continue
        state.rules = state.rules and earlier.rules
        state.bans &= earlier.bans
        if not state.words():
            continue
        jail, action = key
        mended.append(key)
        if state.rules:
            code, said = run(["sh", "-c", server.option(jail, action, "actionrepair")])
            if code:
                print("<3>jail {0}: {1}; {2}".format(jail, state.words(), last_line(said)))
                continue
            # With the rules, bans may have gone that only now can be seen.
            state.bans = State(server, jail, action).bans
        fill(action, state.name, state.bans)
        # Who was let in meanwhile; one who is from now on goes with fail2ban's own command.
        let_in(server, jail, action, state.bans - server.banned(jail))
        print("<4>jail {0}: {1}; made again".format(jail, state.words()))
    if not mended:
        return 0
    after = look(server)
    if any(key not in after for key in mended):
        # It stopped meanwhile, and leaves nothing.
        purge(path)
    still = broken({key: after[key] for key in mended if key in after})
    for (jail, _action), state in still.items():
        print("<3>jail {0}: {1} still".format(jail, state.words()))
    return 1 if still else 0


def status(path):
    """Print what was lost; return the exit code."""
    states = look(Server(path))
    for (jail, _action), state in sorted(states.items()):
        lost = state.words()
        print("{0} broken: {1}".format(jail, lost) if lost else "{0} ok".format(jail))
    return 1 if broken(states) else 0


def owners(path):
    """Return the names that running jails use for their chains and sets."""
    try:
        server = Server(path)
        found = set()
        for jail in server.jails():
            found.add(jail)
            found.update(server.option(jail, one, "name") for one in server.actions(jail))
        return found
    except Gone:
        return set()


def purge(path):
    """Take away chains, sets and jumps that no running jail owns; return the exit code."""
    kept = owners(path)
    codes = [purge_nftables(kept)]
    codes += [purge_iptables(program, kept) for program in PROGRAMS.values()]
    # After the rules that ask them.
    codes.append(purge_sets(kept))
    return max(codes)


def purge_nftables(kept):
    """Take chains and sets of the table away, or all of it."""
    text = output("nft", "-t", "list", "table", *TABLE.split())
    chains = re.findall(r"^\s+chain f2b-(\S+) \{", text, re.M)
    sets = re.findall(r"^\s+set (\S+)-(inet[46]) \{", text, re.M)
    if not text:
        return 0
    if not kept.intersection(chains):
        return removed("nft", ["delete table " + TABLE], chains)
    stale = [name for name in chains if name not in kept]
    lines = ["delete chain {0} f2b-{1}".format(TABLE, name) for name in stale]
    lines += [
        "delete set {0} {1}-{2}".format(TABLE, name, family)
        for name, family in sets
        if name not in kept
    ]
    return removed("nft", lines, stale)


def purge_iptables(program, kept):
    """Take chains and what leads to them away."""
    text = output(program + "-save", "-t", "filter")
    names = re.findall(r"^:f2b-(\S+) ", text, re.M)
    stale = [name for name in names if name not in kept]
    lines = [
        "-D " + rule
        for rule, name in re.findall(r"^-A (.*-[jg] f2b-(\S+))", text, re.M)
        if name in stale
    ]
    lines += ["-{0} f2b-{1}".format(letter, name) for letter in "FX" for name in stale]
    code = removed(program, lines, stale)
    if stale:
        # An empty one that no engine leads to is ours; any other one cannot be removed.
        output(program, "-w", "-X", "DOCKER-USER")
    return code


def purge_sets(kept):
    """Take sets of ipset away."""
    names = re.findall(r"^(f2b-(\S+)-inet[46])$", output("ipset", "list", "-n"), re.M)
    failed = []
    for full in [full for full, name in names if name not in kept]:
        for _try in range(30):
            code, said = run(["ipset", "destroy", full])
            if code == 0:
                break
            # The kernel lets go of a set a moment after the rule.
            time.sleep(0.1)
        else:
            failed.append(full)
            print("<3>ipset: {0}".format(last_line(said)))
    return 1 if failed else 0


def removed(program, lines, names):
    """Load lines that take something away; return the code."""
    if not lines:
        return 0
    if program == "nft":
        code, said = run(["nft", "-f", "-"], "\n".join(lines + [""]))
    else:
        text = "\n".join(["*filter"] + lines + ["COMMIT", ""])
        code, said = run([program + "-restore", "-w", "--noflush"], text)
    if code:
        print("<3>{0}: {1}".format(program, last_line(said)))
        return 1
    print("<5>{0}: took away what no jail owns: {1}".format(program, ", ".join(names)))
    return 0


def last_line(text):
    """Return the last line of what a program said."""
    return (text.strip().splitlines() or ["failed without a reason"])[-1]


VERBS = {"check": check, "status": status, "purge": purge}


def main(arguments):
    """Run a verb; return the exit code."""
    if not 1 <= len(arguments) <= 2 or arguments[0] not in VERBS:
        print("usage: mailhost-fail2ban check|status|purge [SOCKET]", file=sys.stderr)
        return 2
    try:
        return VERBS[arguments[0]](arguments[1] if arguments[1:] else SOCKET)
    except Gone:
        # Nobody bans; systemd starts it again if it is to run.
        return 0
    except OSError as error:
        print("<3>{0}".format(error))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def texts(interval: int, python: str = PYTHON) -> dict[str, tuple[str, int]]:
    """Return path to content and mode of what is installed.

    Args:
        interval: seconds between two looks at the bans in force.
        python: the interpreter that has fail2ban's modules, with its path.
    """
    words = {"program": PROGRAM, "socket": SOCKET, "interval": interval}
    return {
        PROGRAM: ("#!{0}\n{1}".format(python, _PROGRAM_TEXT), 0o755),
        DROP_IN: (_DROP_IN_TEXT.format(**words), 0o644),
        "{0}/{1}".format(_UNITS, CHECK): (_CHECK_TEXT.format(**words), 0o644),
        "{0}/{1}".format(_UNITS, TIMER): (_TIMER_TEXT.format(**words), 0o644),
    }
