# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which address each filter takes from which line, in each version of fail2ban."""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from versions import VERSIONS

ROOT = Path(__file__).resolve().parents[2]
FILTERS = ROOT / "roles" / "fail2ban" / "files" / "filter.d"
HERE = Path(__file__).resolve().parent

# Addresses that only the text of a client names.
NAMED = ("8.8.8.8", "2001:db8:bad::1")

# What a line of 100 kB may cost.
SECONDS_FOR_100_KB = 1.0

DATES = {
    "syslog": "%b %d %H:%M:%S",
    "nginx": "%Y/%m/%d %H:%M:%S",
}


def read_samples():
    """Return (name of the file, filter, mode, samples of the mode, dresses) of each mode."""
    rows = []
    for path in sorted((HERE / "samples").glob("*.yml")):
        content = yaml.safe_load(path.read_text())
        dresses = [("journal", text) for text in content["journal"]]
        dresses += [("file", text) for text in content.get("file", [])]
        name = content.get("filter", path.stem)
        for mode, samples in content["modes"].items():
            rows.append(pytest.param(name, mode, samples, dresses, id=f"{path.stem}-{mode}"))
    return rows


# What depends on the patterns more than on the program around them, and on the patterns alone.
oldest_and_newest = pytest.mark.parametrize(
    "fail2ban", [VERSIONS[0].name, VERSIONS[-1].name], indirect=True, scope="session"
)

newest = pytest.mark.parametrize("fail2ban", [VERSIONS[-1].name], indirect=True, scope="session")

SAMPLES = read_samples()
with_samples = pytest.mark.parametrize(("name", "mode", "samples", "dresses"), SAMPLES)


def tai64n(seconds):
    """Return a date as multilog writes it."""
    return f"@{2**62 + 10 + int(seconds):016x}{0:08x}"


def dress(dresses, words):
    """Return the log lines that a daemon's words become."""
    now = time.time()
    lines = []
    for form, template in dresses:
        date = re.search(r"{date:(\w+)}", template)
        if date:
            kind = date.group(1)
            text = tai64n(now) if kind == "tai64n" else time.strftime(DATES[kind], time.gmtime(now))
            template = template.replace(date.group(0), text)
        lines.append((form, template.replace("{}", words)))
    return lines


def expected(samples, dresses):
    """Return (line, address or None) of each sample in each of its dresses."""
    rows = []
    for part in ("hit", "forged"):
        for address, texts in samples.get(part, {}).items():
            rows += [(line, address) for text in texts for line in dress(dresses, text)]
    rows += [(line, None) for text in samples["miss"] for line in dress(dresses, text)]
    return rows


class Reader:
    """A running lines.py: one filter of one fail2ban."""

    def __init__(self, fail2ban, config, name, mode):
        self.process = subprocess.Popen(
            [fail2ban.python, "-W", "ignore", HERE / "lines.py", config, name, mode],
            env=fail2ban.environment() | {"TZ": "UTC"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def addresses(self, lines):
        """Return the addresses taken from each (form, text), and the processor's seconds."""
        self.process.stdin.write(json.dumps(lines) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the reader ended"
        answer = json.loads(answer)
        return answer["found"], answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=10)


@pytest.fixture(scope="session")
def config(fail2ban, tmp_path_factory):
    """A configuration of this version with our filters."""
    folder = fail2ban.copy_config(tmp_path_factory.mktemp("filters") / "config")
    for path in FILTERS.glob("*.conf"):
        shutil.copy(path, folder / "filter.d")
    return folder


@pytest.fixture(scope="session")
def read(fail2ban, config):
    """Return a function: filter, mode, lines -> what Reader.addresses() returns."""
    readers = {}

    def call(name, mode, lines):
        if (name, mode) not in readers:
            readers[name, mode] = Reader(fail2ban, config, name, mode)
        return readers[name, mode].addresses(lines)

    yield call
    for reader in readers.values():
        with contextlib.suppress(OSError):
            reader.close()


def test_every_filter_has_samples():
    names = {path.stem for path in FILTERS.glob("*.conf")} - {"mailhost-common"}
    assert {row.values[0] for row in SAMPLES} == names


def test_every_mode_has_samples():
    """The modes that a filter's comment names are those with samples, and no others."""
    sampled = collections.defaultdict(set)
    for row in SAMPLES:
        sampled[row.values[0]].add(row.values[1])
    for name, modes in sampled.items():
        text = (FILTERS / f"{name}.conf").read_text()
        written = set(re.findall(r"^(?:mdre|_\w+)-([\w.]+) =", text, re.MULTILINE)) or {""}
        assert modes == written, name
        default = re.search(r"^mode = (\S+)$", text, re.MULTILINE)
        assert (default.group(1) if default else "") in modes, name


def test_every_mode_has_both_families_and_both_answers():
    for row in SAMPLES:
        _name, mode, samples, _dresses = row.values
        addresses = [ipaddress.ip_address(address) for address in samples["hit"]]
        needed = {4} if mode in ("aggressive", "rbl") else {4, 6}
        assert {address.version for address in addresses} >= needed, row.id
        assert samples["miss"], row.id


@with_samples
def test_each_line_counts_for_whom_it_should(read, name, mode, samples, dresses):
    rows = expected(samples, dresses)
    found, _seconds = read(name, mode, [line for line, _address in rows])
    wrong = [
        f"{line[0]}: {line[1]}\n    found {answer}, wanted {address}"
        for (line, address), answer in zip(rows, found, strict=True)
        if answer != ([address] if address else [])
    ]
    assert not wrong, "\n".join(wrong)


@oldest_and_newest
@with_samples
def test_fail2ban_regex_finds_the_same_in_a_file(
    fail2ban, config, tmp_path, name, mode, samples, dresses
):
    """What the server's own tool says of a file with all lines, and whom it names how often."""
    rows = [row for row in expected(samples, dresses) if row[0][0] == "file"]
    if not rows:
        rows = expected(samples, [("file", "{date:syslog} mail1 " + "x[1]: [2026-11-21] {}")])
    log = tmp_path / "log"
    log.write_text("".join(line[1] + "\n" for line, _address in rows))
    words = subprocess.run(
        fail2ban.command(
            "fail2ban-regex",
            "-c", config, "--usedns", "no", "-v", "--print-no-missed",
            log, f"{name}[mode={mode}]" if mode else name,
        ),
        env=fail2ban.environment() | {"TZ": "UTC"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=60,
        check=True,
    ).stdout  # fmt: skip
    count = re.search(
        r"^Lines: (\d+) lines, (\d+) ignored, (\d+) matched, (\d+) missed", words, re.M
    )
    wanted = [address for _line, address in rows if address]
    assert [int(n) for n in count.groups()] == [len(rows), 0, len(wanted), len(rows) - len(wanted)]
    named = re.findall(r"^\|\s+([\da-f.:]+)  \w{3} \w{3} \d\d ", words, re.M)
    assert sorted(named) == sorted(wanted)


def fuzz_rows():
    """Return (filter, mode, template, all of the mode's words, dresses) of each template."""
    rows = []
    for row in SAMPLES:
        name, mode, samples, dresses = row.values
        texts = [t for part in ("hit", "forged") for v in samples.get(part, {}).values() for t in v]
        for number, template in enumerate(samples["fuzz"]):
            rows.append(pytest.param(name, mode, template, texts, dresses, id=f"{row.id}-{number}"))
    return rows


def hostile_texts(template, texts, dresses):
    """Texts of a client: noise, and pieces of lines that would count for another address."""
    pieces = set()
    for text in [template["text"].replace("{client}", "x").replace("{address}", NAMED[0]), *texts]:
        for address in NAMED:
            lie = re.sub(r"203\.0\.113\.7|2001:db8::7", address, text)
            pieces |= {lie, *(lie[m.start() :] for m in re.finditer(r"\b\w", lie))}
            pieces |= {lie[: m.start()] for m in re.finditer(r"\W", lie)}
            pieces |= {line.replace("{}", lie) for _form, line in dresses if "{date" not in line}
    noise = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
    small = [*NAMED, " ", ", ", ": ", "'", '"', "<", ">", "(", ")", "[", "]", "\\", ".", "@", "$"]
    if template.get("breaks"):
        small.append("\n")
    part = st.one_of(st.sampled_from(sorted(pieces)), st.sampled_from(small), noise)

    def made(parts):
        text = "".join(parts)
        if template.get("small"):
            text = text.translate({n: n + 32 for n in range(ord("A"), ord("Z") + 1)})
        return re.sub(f"[{re.escape(template.get('without', chr(0)))}]", "", text)

    return st.lists(part, max_size=6).map(made)


@newest
@pytest.mark.parametrize(("name", "mode", "template", "texts", "dresses"), fuzz_rows())
def test_no_text_of_a_client_names_another_address(read, name, mode, template, texts, dresses):
    """Whatever a client writes where it can: the line counts for it, or for nobody."""
    clients = st.lists(hostile_texts(template, texts, dresses), min_size=20, max_size=20)
    address = st.sampled_from(["203.0.113.7", "2001:db8::7"])

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(clients, address)
    def attempt(texts_of_clients, real):
        lines = []
        for client in texts_of_clients:
            words = template["text"].replace("{address}", real).replace("{client}", client)
            # A line break ends an entry of the journal and a line of a file.
            for piece in words.split("\n"):
                lines += dress(dresses, piece)
                # The break came before a whole line, with its beginning.
                lines += [("journal", "mail1 x[1]: " + piece)] if "\n" in words else []
        found, _seconds = read(name, mode, lines)
        wrong = [
            (line, answer)
            for line, answer in zip(lines, found, strict=True)
            if answer not in ([], [real])
        ]
        assert not wrong

    attempt()


@newest
@with_samples
def test_a_long_line_takes_no_longer_than_its_length(read, name, mode, samples, dresses):
    """Lines of 100 kB made to let a pattern try again and again."""
    words = [text for texts in samples["hit"].values() for text in texts][:3]
    size = 100_000
    lines = []
    for text in words:
        for unit in (
            text,
            text[: len(text) // 2],
            text[-30:],
            " ",
            "a ",
            "(",
            "<",
            "'",
            "a:",
            "1.",
            ">, ",
        ):
            filling = unit * (size // len(unit))
            middle = len(text) * 2 // 3
            for long in (filling, text + filling, text[:middle] + filling + text[middle:]):
                lines += dress(dresses[:1], long)
        for template in samples["fuzz"][:1]:
            for unit in ("a", "x>, rip=8.8.8.8", " from ", ",8.8.8.8,<x>): ", " by 8.8.8.8"):
                client = unit * (size // len(unit))
                long = template["text"].replace("{address}", "203.0.113.7")
                lines += dress(dresses[:1], long.replace("{client}", client))
    slowest = 0.0, ""
    for line in lines:
        _found, seconds = read(name, mode, [line])
        slowest = max(slowest, (seconds, line[1][:200]))
    assert slowest[0] < SECONDS_FOR_100_KB, slowest
