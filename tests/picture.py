# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make docs/images/report.svg: the preflight's report as a terminal shows it.

    PYTHONPATH=tests .build/venv/bin/python tests/picture.py HOST

Of a real run against a sandbox host that is up. The way out to port 25 is filtered meanwhile, so that there
is a failure to be seen; everything else is as it is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "report.svg"

# Ansible's colours, as numbers of the terminal, on a dark ground.
COLOURS = {
    "31": "#ff7b72",
    "32": "#7ee787",
    "33": "#e3b341",
    "34": "#79c0ff",
    "35": "#d2a8ff",
    "36": "#76e3ea",
    "90": "#8b949e",
}
PLAIN = "#e6edf3"
CHARACTER, LINE, EDGE, SCALE = 8.43, 19, 16, 0.85
# A sandbox host is a container with the limits of this machine, which no reader's server is.
LEFT_OUT = ["platform.virtualisation", "resources.limits"]


def report(output: str) -> list[str]:
    """Return the lines of the report in what ansible-playbook said, with their colours.

    Args:
        output: the text of a run in which one host reports.

    Raises:
        ValueError: there is no report in it.
    """
    plain = re.compile(r"\x1b\[[0-9;]*m")
    lines = output.splitlines()
    heads = [i for i, line in enumerate(lines) if re.fullmatch(r"\S+ \(\w+\)", plain.sub("", line))]
    if not heads:
        raise ValueError("there is no report in the output")
    begin = heads[0]
    # Its end is the next line of Ansible's own.
    for end in range(begin, len(lines)):
        if re.match(r"(\[ERROR\]|ok:|fatal:|PLAY|TASK)", plain.sub("", lines[end])):
            break
    return "\n".join(lines[begin:end]).rstrip().splitlines()


def picture(lines: list[str]) -> str:
    """Return lines of a terminal, with colours, as SVG."""
    rows, colour, widest = [], PLAIN, 0
    for number, line in enumerate(lines):
        spans, column = [], 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b"):
                codes = [code for code in part[2:-1].split(";") if code in COLOURS]
                colour = COLOURS[codes[-1]] if codes else PLAIN
            elif part.strip():
                start = column + len(part) - len(part.lstrip())
                x = EDGE + start * CHARACTER
                text = part.strip()
                # As wide as in a terminal, whichever font there is.
                length = len(text) * CHARACTER
                spans.append(
                    f'<tspan x="{x:.1f}" fill="{colour}" textLength="{length:.1f}">{escape(text)}</tspan>'
                )
            if not part.startswith("\x1b"):
                column += len(part)
        widest = max(widest, column)
        if spans:
            y = EDGE + (number + 1) * LINE
            rows.append(f'<text y="{y}" xml:space="preserve">{"".join(spans)}</text>')
    width, height = 2 * EDGE + widest * CHARACTER, 3 * EDGE + len(lines) * LINE
    size = f'width="{SCALE * width:.0f}" height="{SCALE * height:.0f}"'
    box = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} {size} role="img">',
            "<!-- Made by tests/picture.py of a run in the sandbox. -->",
            "<title>A report of the preflight in a terminal</title>",
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#0d1117"/>',
            '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14">',
            *rows,
            "</g>",
            "</svg>\n",
        ]
    )


def run(host: str) -> str:
    """Return what a preflight of a host says while its way out to port 25 is filtered."""
    from sandbox import hosts, sandbox

    inventory = ROOT / ".build" / "sandbox" / "inventory.yml"
    known = [hosts.find(host)]
    sandbox.fault("smtp-filtered", True, known)
    try:
        return subprocess.run(
            [
                str(ROOT / ".build/venv/bin/ansible-playbook"),
                f"--inventory={inventory}",
                f"--limit={host}",
                "--extra-vars=" + json.dumps({"preflight_skip": LEFT_OUT, "preflight_accept": []}),
                str(ROOT / "playbooks" / "preflight.yml"),
            ],
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "true",
                "LC_ALL": "C.UTF-8",
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    finally:
        sandbox.fault("smtp-filtered", False, known)


def main(arguments: list[str]) -> int:
    """Write the picture."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    lines = report(run(arguments[0]))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(lines), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {len(lines)} lines, {PICTURE.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
