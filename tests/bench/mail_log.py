# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast logs are read, beside pflogsumm, and what memory it takes.

    python tests/bench/mail_log.py [MEGABYTES]

Writes a log of Postfix of that size (1000 by default) to a temporary file: messages of six lines, a
tenth of them deferred, bounced or refused. Reads it with delivery_log_info's code and with pflogsumm
(Debian package) in the same run. Prints MB/s of both and the peak of resident memory.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

READ = """
import json, resource, sys, time
from ansible_collections.postmaster.mailhost.plugins.module_utils import delivery_log
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import delivery, look
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host
begin = time.monotonic()
log = delivery_log.look(Host(), paths=[sys.argv[1]])
findings = look.all_of(delivery.LOOK, log)
print(json.dumps({
    "seconds": time.monotonic() - begin,
    "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "totals": log.tally.totals,
}))
"""


def message(number: int) -> list[str]:
    """The lines of one message."""
    second = number // 20
    stamp = f"Nov {10 + second // 86400 % 10:2d} {second // 3600 % 24:02d}:"
    stamp += f"{second // 60 % 60:02d}:{second % 60:02d} mail postfix/"
    name = f"4Z{number:011x}"
    client = f"client{number % 5000}.example.com[198.51.100.{number % 250}]"
    to = f"user{number % 7919}@domain{number % 1013}.test"
    if number % 10 == 3:
        text = (
            f"NOQUEUE: reject: RCPT from {client}: 554 5.7.1 <{to}>: Relay access denied; "
            f"from=<a@example.com> to=<{to}> proto=ESMTP helo=<client>"
        )
        return [
            f"{stamp}smtpd[2101]: connect from {client}",
            f"{stamp}smtpd[2101]: {text}",
            f"{stamp}smtpd[2101]: disconnect from {client} ehlo=1 mail=1 rcpt=0/1 commands=2/3",
        ]
    end = "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5BD1F2002C)"
    if number % 20 == 1:
        end = f"dsn=4.4.1, status=deferred (connect to mx.{to[5:]}[192.0.2.1]:25: Connection timed out)"
    elif number % 40 == 2:
        end = f"dsn=5.1.1, status=bounced (host mx[192.0.2.1] said: 550 5.1.1 <{to}>: user unknown)"
    return [
        f"{stamp}smtpd[2101]: connect from {client}",
        f"{stamp}smtpd[2101]: {name}: client={client}, sasl_method=PLAIN, sasl_username=me",
        f"{stamp}cleanup[2102]: {name}: message-id=<{number}.{name}@mail.example.org>",
        (
            f"{stamp}qmgr[2103]: {name}: from=<me{number % 97}@example.org>, size=4711, nrcpt=1 "
            "(queue active)"
        ),
        (
            f"{stamp}smtp[2104]: {name}: to=<{to}>, relay=mx{number % 11}.domain.test[192.0.2.7]:25, "
            f"delay=1.7, delays=0.06/0.01/0.9/0.73, {end}"
        ),
        f"{stamp}qmgr[2103]: {name}: removed",
        (
            f"{stamp}smtpd[2101]: disconnect from {client} ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 "
            "data=1 quit=1 commands=8"
        ),
    ]


def write(path: Path, size: int) -> None:
    """Write a log of so many bytes."""
    first = 0
    with path.open("w", encoding="ascii") as stream:
        while stream.tell() < size:
            lines: list[str] = []
            for number in range(first, first + 2000):
                lines += message(number)
            first += 2000
            stream.write("\n".join(lines) + "\n")


def main() -> None:
    """Measure and print."""
    size = int(sys.argv[1] if len(sys.argv) > 1 else "1000") * 1000000
    environment = dict(os.environ, PYTHONPATH=str(ROOT / ".build" / "collections"), LC_ALL="C")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "mail.log"
        write(log, size)
        megabytes = log.stat().st_size / 1e6
        done = subprocess.run(
            [sys.executable, "-c", READ, log],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        ours = json.loads(done.stdout)
        print(f"log: {megabytes:.0f} MB; {ours['totals']}")
        print(
            f"delivery_log_info: {megabytes / ours['seconds']:.1f} MB/s, "
            f"peak {ours['kib'] / 1024:.0f} MiB"
        )
        program = shutil.which("pflogsumm")
        if program is None:
            sys.exit("pflogsumm is not installed (Debian package pflogsumm)")
        # It takes minutes for all of it: a tenth is enough for its speed.
        short = Path(folder) / "short.log"
        with log.open("rb") as whole, short.open("wb") as part:
            part.write(whole.read(size // 10))
        begin = time.monotonic()
        subprocess.run([program, short], env=environment, stdout=subprocess.DEVNULL, check=True)
        seconds = time.monotonic() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        theirs = short.stat().st_size / 1e6 / seconds
        print(f"pflogsumm: {theirs:.1f} MB/s on the first tenth, peak {peak:.0f} MiB")
        print(f"ratio: {megabytes / ours['seconds'] / theirs:.1f}")


if __name__ == "__main__":
    main()
