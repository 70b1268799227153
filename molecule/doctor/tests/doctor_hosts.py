# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of this scenario, the ways to make them ill, and what the doctor says then."""

from __future__ import annotations

import concurrent.futures
import datetime
import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml
from sandbox import sandbox
from sandbox.hosts import find
from scenario import ROOT, STATE, Run, ScenarioError, on, play

HOSTS = ("mail1", "mail4")
DOCTOR = ROOT / "playbooks" / "doctor.yml"
MAILCOW = "cd /opt/mailcow-dockerized && "

# The domain of mail4; mail1 has the world's own.
RECORDS = {
    ("classic.example.test", "MX"): ["10 mail4.example.test"],
    ("classic.example.test", "TXT"): ["v=spf1 mx -all"],
    ("_dmarc.classic.example.test", "TXT"): [
        "v=DMARC1; p=reject; rua=mailto:postmaster@classic.example.test"
    ],
}
# Who is asked to send mail out: the Postfix of each host.
POSTFIX = {"mail1": MAILCOW + "docker compose exec -T postfix-mailcow ", "mail4": ""}
SENDER = {"mail1": "postmaster@example.test", "mail4": "alice@classic.example.test"}
LOG = {
    "mail1": MAILCOW + "docker compose logs --no-log-prefix --since {0}Z postfix-mailcow",
    "mail4": "journalctl --quiet --output=cat --since=@{1} SYSLOG_FACILITY=2",
}

# A server that was started again needs a moment.
ANSWERS = """python3 - <<'END'
import socket, ssl, time
end = time.time() + 120
for port in (25, 587, 465, 993, 443):
    while True:
        try:
            with socket.create_connection(("<ipv4>", port), 5) as stream:
                if port in (25, 587) and stream.recv(3) != b"220":
                    raise OSError("no greeting")
                if port not in (25, 587):
                    ssl._create_unverified_context().wrap_socket(stream)
            break
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.2)
END
"""


@dataclass
class Case:
    """A row of rows.yml: a way to be ill, and what is to be said of it.

    Attributes:
        id: its name.
        ill: what is wrong, for the docs.
        host: whose illness it is.
        first: the finding that must come first, as id.
        words: what it must say that it saw.
        also: findings that are true as well, and that nothing tells apart from causes.
        breaks, mends: shell commands on the host. Here and below, words in angle brackets stand for
            the host's addresses, see :func:`filled`.
        records: records of the world's DNS: name, type, values.
        faults: faults of the world, for this host alone.
        sends: recipients of mail that the host sends out while it is ill.
        extra: variables of the doctor.
        status: of the first finding.
    """

    id: str
    ill: str
    host: str
    first: str
    words: str = ""
    also: list[str] = field(default_factory=list)
    breaks: str = ""
    mends: str = ""
    records: list[list[str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    sends: list[str] = field(default_factory=list)
    extra: dict = field(default_factory=dict)
    status: str = "fail"


def cases() -> dict[str, Case]:
    """Every row of rows.yml, by id."""
    rows = yaml.safe_load((ROOT / "molecule/doctor/tests/rows.yml").read_text(encoding="utf-8"))
    return {row["id"]: Case(**row) for row in rows}


def filled(text: str, name: str) -> str:
    """Put the host's addresses where <ipv4>, <ipv6>, <arpa4>, <arpa6> and <listed4> stand.

    <arpa4> and <arpa6> are the names of the reverse records, <listed4> what a blocklist is asked for.
    """
    host = find(name)
    names = {
        "<ipv4>": host.ipv4,
        "<ipv6>": host.ipv6,
        "<arpa4>": ipaddress.ip_address(host.ipv4).reverse_pointer,
        "<arpa6>": ipaddress.ip_address(host.ipv6).reverse_pointer,
        "<listed4>": ".".join(reversed(host.ipv4.split("."))),
    }
    for word, value in names.items():
        text = text.replace(word, value)
    return text


def _seconds(moment: str) -> int:
    """The seconds of a moment as journalctl takes them."""
    return int(datetime.datetime.fromisoformat(moment + "+00:00").timestamp())


def send(name: str, recipient: str, since: str) -> None:
    """Send a message from a host, and wait until its log says what became of it."""
    on(
        name,
        f"printf 'Subject: a test\\n\\nnothing\\n' | "
        f"({POSTFIX[name]}sendmail -f {SENDER[name]} {recipient})",
    )
    end = time.monotonic() + 20
    while time.monotonic() < end:
        lines = on(name, LOG[name].format(since, _seconds(since)), check=False).splitlines()
        if any(f"to=<{recipient}>" in line and "status=" in line for line in lines):
            return
        time.sleep(0.3)
    raise ScenarioError(f"{name}: nothing became of mail to {recipient}")


def forget(name: str) -> None:
    """Throw away what waits in a host's queue."""
    on(name, f"{POSTFIX[name]}postsuper -d ALL", check=False)


def look_at(report: str, *arguments: str, hosts: Mapping[str, dict]) -> dict[str, tuple[dict, Run]]:
    """Run the doctor; return the diagnosis of each host, and what has happened there.

    Args:
        report: folder of the report; its own for each run.
        arguments: further words for ansible-playbook.
        hosts: variables of the doctor, by host.
    """
    folder = STATE / "doctor-report" / report
    paths = {name: folder / f"{name}.json" for name in hosts}
    for path in paths.values():
        path.unlink(missing_ok=True)
    run = play(
        DOCTOR,
        "--limit=" + ",".join(hosts),
        *arguments,
        extra={"doctor_report_path": str(folder)},
        by_host=hosts,
    )
    for path in paths.values():
        if not path.exists():
            raise ScenarioError(run.message or run.output)
    return {
        name: (json.loads(path.read_text(encoding="utf-8"))["diagnosis"], run.of(name))
        for name, path in paths.items()
    }


def look(name: str, report: str, *arguments: str, **extra: object) -> tuple[dict, Run]:
    """Run the doctor on one host, with these variables; return the diagnosis, and the run."""
    return look_at(report, *arguments, hosts={name: extra})[name]


def wait(name: str) -> None:
    """Wait until the services of a mailcow answer."""
    on(name, filled(ANSWERS, name))


def now() -> str:
    """The time, for doctor_since."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


@dataclass
class Outcome:
    """What the doctor said of a case."""

    case: Case
    diagnosis: dict
    run: Run

    def troubles(self) -> list[dict]:
        """What it found to be wrong, the worst first."""
        return troubles(self.diagnosis)


def troubles(diagnosis: dict) -> list[dict]:
    """The causes that are a failure or a warning, the worst first."""
    return [item for item in diagnosis["findings"] if item["status"] in ("fail", "warn")]


def told(diagnosis: dict) -> str:
    """What was found, in few lines, for the message of a test."""
    lines = [
        f"{item['status']} {item['id']}: {item['observed'][:300]} <- {', '.join(item['because'])}"
        for item in diagnosis["findings"]
        if item["status"] not in ("ok", "skip")
    ]
    return "\n".join(lines) or "nothing"


def go_through(ill: Sequence[Case]) -> list[Outcome]:
    """Make hosts ill, each with a case of its own, ask the doctor, and make them well again."""
    since = now()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            list(pool.map(lambda case: fall_ill(case, since), ill))
            variables = {
                case.host: {"doctor_since": since + "+00:00", **case.extra} for case in ill
            }
            found = look_at("-".join(case.id for case in ill), hosts=variables)
            return [Outcome(case, *found[case.host]) for case in ill]
        finally:
            list(pool.map(mend, ill))


def fall_ill(case: Case, since: str) -> None:
    """Break what a case says."""
    name = case.host
    for fault in case.faults:
        sandbox.fault(fault, True, [find(name)])
    for record, kind, *values in case.records:
        sandbox.record(filled(record, name), kind, [filled(value, name) for value in values])
    if case.breaks:
        on(name, filled(case.breaks, name))
    for recipient in case.sends:
        send(name, recipient, since)


def mend(case: Case) -> None:
    """Undo what a case has broken, as far as possible."""
    name = case.host
    if case.mends:
        on(name, filled(case.mends, name), check=False)
        if name == "mail1":
            wait(name)
    if case.sends:
        forget(name)
    for record, kind, *_values in case.records:
        if (record, kind) in RECORDS:
            sandbox.record(record, kind, RECORDS[record, kind])
        else:
            sandbox.reset_records(filled(record, name), kind)
    for fault in case.faults:
        sandbox.fault(fault, False)
