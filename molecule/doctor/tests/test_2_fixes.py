# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is safe is mended when asked, announced in check mode, and done once."""

from __future__ import annotations

import concurrent.futures

import pytest
from doctor_hosts import MAILCOW, cases, filled, look, mend, now, told, troubles
from scenario import on

# Cases that the doctor can mend by itself.
MENDED = (
    "certificate-is-a-link",
    "image-of-another-release",
    "container-has-old-variables",
    "expressions-of-another-processor",
    "no-forwarding",
)
TASK = "Mend what can be mended without asking"


def state() -> str:
    """What the fixes would change: the containers, the certificate, the keys, a switch of the kernel."""
    return on(
        "mail1",
        MAILCOW
        + "docker ps --no-trunc -q; ls -l data/assets/ssl; sha256sum mailcow.conf; "
        + "cat /proc/sys/net/ipv4/ip_forward; ls /etc/sysctl.d; docker inspect -f '{{.State.StartedAt}}' "
        + "$(docker ps -q); docker compose exec -T rspamd-mailcow ls /var/lib/rspamd",
    )


@pytest.fixture(scope="module")
def ill(outcomes):
    """A mailcow that has all of it at once, and a key twice; with variables of the doctor."""
    concurrent.futures.wait(outcomes.values())
    for name in MENDED:
        on("mail1", filled(cases()[name].breaks, "mail1"))
    on("mail1", MAILCOW + "printf 'LOG_LINES=5000\\n' >>mailcow.conf")
    # The mail of the cases before is in the log.
    yield {"doctor_fix": True, "doctor_since": now() + "+00:00"}
    for name in MENDED:
        mend(cases()[name])


def test_check_mode_tells_what_would_be_done(ill):
    before = state()
    _diagnosis, run = look("mail1", "fix-check", "--check", **ill)
    assert run.changed == [TASK], run.message
    told_of = str(run.results["mail1"][TASK])
    for word in ("cert.pem", "memcached-mailcow", "LOG_LINES", ".hs", "net.ipv4.ip_forward"):
        assert word in told_of, told_of
    assert state() == before


def test_it_is_done(ill):
    diagnosis, run = look("mail1", "fix", **ill)
    assert run.changed == [TASK], run.message
    assert {item["finding"] for item in diagnosis["fixed"]} == {
        "health.certificate_files",
        "health.configuration",
        "health.environment",
        "health.forwarding",
        "health.hyperscan",
        "health.image",
    }
    # Right behind that, IPv6 of a container that was made anew may not be reached from a busy machine.
    if [item["id"] for item in troubles(diagnosis)] == ["smtp.connect"]:
        assert "10.99." not in told(diagnosis), told(diagnosis)
        diagnosis, run = look("mail1", "fix-settled", **ill)
        assert run.changed == [], told(diagnosis)
    assert troubles(diagnosis) == [], told(diagnosis)
    assert (diagnosis["verdict"], run.rc) == ("healthy", 0), run.message
    assert on("mail1", MAILCOW + "stat -c %F data/assets/ssl/cert.pem") == "regular file\n"
    assert on("mail1", MAILCOW + "grep -c ^LOG_LINES= mailcow.conf") == "1\n"


def test_it_is_done_once(ill):
    before = state()
    diagnosis, run = look("mail1", "fix-again", **ill)
    assert (run.rc, run.changed) == (0, []), told(diagnosis)
    assert state() == before
