# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action in a real play, as what Ansible makes of its output is the point."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pytest

PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - postmaster.mailhost.report:
        findings: "{{ given }}"
"""
BAD = {"id": "ports.public", "status": "fail", "observed": "held", "fix": "Stop it."}
GOOD = {"id": "clock.offset", "status": "ok", "observed": "3 ms"}


@pytest.fixture
def play(tmp_path):
    """Return a function: findings of each host and options -> exit code and output of a play."""

    def run(findings, terminal=False, arguments=(), options=None, **environment):
        hosts = {
            name: {"ansible_connection": "local", "given": given}
            for name, given in findings.items()
        }
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        more = "".join(f"        {key}: {value}\n" for key, value in (options or {}).items())
        (tmp_path / "play.yml").write_text(PLAY + more)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        kept.pop("NO_COLOR", None)
        # Where ansible is found, whichever way the tests are run.
        code = "from ansible.cli.playbook import main; main()"
        command = [sys.executable, "-c", code, "-i", "hosts.json", "play.yml", *arguments]
        settings = {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": _collections(),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            **environment,
        }
        if not terminal:
            done = subprocess.run(
                command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
            )
            return done.returncode, done.stdout + done.stderr
        return _on_terminal(command, tmp_path, settings)

    return run


def _collections():
    """Return the directory above ansible_collections that this collection is loaded from."""
    import ansible_collections.postmaster.mailhost.plugins.plugin_utils.report as package

    return os.path.abspath(package.__path__[0]).rpartition("/ansible_collections/")[0]


def _on_terminal(command, folder, settings):
    """Run a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux tells that the other end is closed
            break
        if not part:
            break
        output += part
    os.close(ours)
    return process.wait(), output.decode().replace("\r\n", "\n")


def test_every_host_has_its_report_in_one_piece_and_the_play_goes_on(play, tmp_path):
    code, output = play({"one": [GOOD], "two": [BAD, GOOD]})
    assert code == 0
    assert "\x1b" not in output
    for host, lines in {
        "one": "ok       clock.offset: 3 ms\n0 failed, 0 unknown, 0 to watch, 1 ok, 0 skipped: go",
        "two": "FAIL     ports.public: held\n         fix:    Stop it.\n"
        "ok       clock.offset: 3 ms\n1 failed, 0 unknown, 0 to watch, 1 ok, 0 skipped: NO GO",
    }.items():
        # Whichever host comes first, and whenever Ansible says that its task is done.
        assert f"\n{host}\n{lines}\n" in output
        assert f"\nok: [{host}]\n" in output
    assert not list(tmp_path.glob("**/*.html"))


def test_stop_and_files_in_check_mode_too(play, tmp_path):
    code, output = play(
        {"one": [BAD], "two": [GOOD]},
        arguments=["--check"],
        options={"stop": True, "accepted": ["resources.swap"], "path": "out", "stack": "mailcow"},
    )
    assert code == 2
    line = "preflight_accept: [resources.swap, ports.public]"
    assert f"\n    {line}\n" in output
    assert f"NO GO: ports.public. To go on all the same: {line}" in output
    files = f"Files in {tmp_path}/out: one.json, one.md, one.html, index.html"
    assert files in " ".join(output.split())
    index = (tmp_path / "out" / "index.html").read_text()
    assert 'href="one.html"' in index and 'href="two.html"' in index
    assert re.search(r"two +: ok=1 +changed=0 .*failed=0", output)


def test_colours_on_a_terminal_but_not_in_the_log(play, tmp_path):
    log = tmp_path / "log"
    code, output = play({"one": [BAD]}, terminal=True, ANSIBLE_LOG_PATH=str(log))
    assert code == 0
    assert "\x1b[0;31mFAIL\x1b[0m     ports.public: held\n" in output
    assert "FAIL     ports.public: held\n" in log.read_text()
    assert "\x1b" not in log.read_text()


def test_no_colours_when_they_are_not_wanted(play):
    _code, output = play({"one": [BAD]}, terminal=True, NO_COLOR="1")
    assert "\nFAIL     ports.public: held\n" in output


def test_verbose_shows_each_of_many(play):
    many = [{"id": f"clock.check{n}", "status": "ok", "observed": "fine"} for n in range(30)]
    shown = "ok       clock.check7: fine"
    assert shown not in play({"one": many})[1]
    assert shown in play({"one": many}, arguments=["-v"])[1]
    assert shown in play({"one": many}, options={"full": True})[1]


def test_output_for_programs_stays_as_it_is(play):
    callback = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    code, output = play({"one": [BAD]}, options={"stop": True}, **callback)
    assert code == 2
    result = json.loads(output[output.index("{") : output.rindex("}") + 1])
    task = result["plays"][0]["tasks"][0]["hosts"]["one"]
    assert task["msg"] == (
        "NO GO: ports.public: held. To go on all the same: preflight_accept: [ports.public]"
    )
    assert (task["go"], task["accept"], task["changed"]) == (False, ["ports.public"], False)
    assert "\nFAIL" not in output and "failed, " not in output


@pytest.mark.parametrize(
    ("findings", "options", "message"),
    [
        ([{"id": "a.b", "status": "fine"}], {}, "findings: status of a.b is 'fine'; allowed: fail"),
        ([], {"width": 5}, "width is 5; allowed: 40 or more"),
        ([], {"fail_on": "always"}, "fail_on must be one of: fail, warn, never"),
        ([], {"path": "hosts.json/x"}, "The report could not be written: "),
    ],
)
def test_wrong_input(play, findings, options, message):
    code, output = play({"one": findings}, options=options)
    assert code == 2
    assert message in output
    assert "Traceback" not in output
