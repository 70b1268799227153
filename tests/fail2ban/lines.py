# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter makes of lines, asked of fail2ban's own code and answered line by line.

    PYTHONPATH=... python lines.py CONFIG FILTER MODE

Runs on the Python of that fail2ban, whose modules are on PYTHONPATH. Each line of
the input is a JSON list of log lines, each answer a JSON object: "found", with the
addresses found in each of them, and the "seconds" of the processor. A log line
is ["journal", TEXT], as the systemd backend hands it over, or ["file", TEXT], as it
stands in a file.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time

from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter

LIMIT_SECONDS = 30


def make_filter(config: str, name: str, mode: str) -> Filter:
    """Set a filter up as the server does for a jail with FILTER[mode=MODE]."""
    reader = FilterReader(name, "jail", {"mode": mode} if mode else {}, basedir=config)
    if not reader.read():
        raise SystemExit(f"no filter {name} in {config}")
    reader.getOptions({})
    made = Filter(None, useDns="no")
    for command in reader.convert():
        kind, _jail, setting, value = command[:4]
        values = value if kind == "multi-set" else [value]
        for text in values:
            if setting == "addfailregex":
                made.addFailRegex(text)
            elif setting == "prefregex":
                made.prefRegex = text
            else:
                raise SystemExit(f"{name}: what to do with {setting}?")
    return made


def addresses(made: Filter, form: str, text: str) -> list[str]:
    """Return the addresses that the filter finds in a line."""
    if form == "journal":
        now = time.time()
        # As FilterSystemd.formatJournalEntry() has it.
        line = (text[:0], time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)), text)
        found = made.processLine(line, now)
    else:
        found = made.processLine(text)
    return [str(failure[1]) for failure in found]


def main() -> None:
    """Answer until the input ends."""
    # What it has to say of odd dates and the like would fill the pipe of errors.
    logging.getLogger("fail2ban").setLevel(logging.CRITICAL + 1)
    made = make_filter(*sys.argv[1:4])
    for request in sys.stdin:
        # A pattern that goes on for ever ends this program, and with it the test.
        signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
        lines = json.loads(request)
        begin = time.process_time()
        found = [addresses(made, form, text) for form, text in lines]
        seconds = time.process_time() - begin
        print(json.dumps({"found": found, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
