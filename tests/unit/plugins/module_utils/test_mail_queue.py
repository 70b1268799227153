# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import docker_api, mail_queue
from ansible_collections.postmaster.mailhost.plugins.module_utils.check import look, queue
from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_queue import Thresholds

NOW = 1795258800
REAL = (Path(__file__).parent / "logs" / "postqueue-3.7.json").read_text(encoding="utf-8")


def message(to=("a@b.test",), reason="", sender="me@o.test", age=60, name="deferred"):
    recipients = [
        dict({"address": one}, **({"delay_reason": reason} if reason else {})) for one in to
    ]
    data = {
        "queue_name": name,
        "queue_id": "4Zk1mJ2Yhqz5w",
        "arrival_time": NOW - age,
        "message_size": 400,
        "forced_expire": False,
        "sender": sender,
        "recipients": recipients,
    }
    return json.dumps(data) + "\n"


@pytest.fixture
def postfix(make_host):
    """Return a function: what postqueue -j prints -> the queue."""

    def postfix(text, rc=0, **options):
        recorded = {
            "now": NOW,
            "programs": ["postqueue"],
            "commands": {"postqueue -j": {"stdout": text, "rc": rc}},
        }
        return mail_queue.look(make_host(None, recorded), **options)

    return postfix


@pytest.fixture
def qmail(make_host):
    """Return a function: what the two programs print -> the queue."""

    def qmail(stat, read):
        home = "/var/qmail/bin/"
        recorded = {
            "now": NOW,
            "commands": {
                home + "qmail-qstat": {"stdout": stat},
                home + "qmail-qread": {"stdout": read},
            },
        }
        return mail_queue.look(make_host({home + "qmail-qread": ""}, recorded))

    return qmail


def statuses(found, limits=None):
    findings = look.all_of(queue.LOOK, found, limits or Thresholds())
    return {item.id.partition(".")[2]: item.status for item in findings if item.status != "ok"}


def test_a_real_queue(postfix):
    found = postfix(REAL)
    lines = [json.loads(line) for line in REAL.splitlines()]
    data = found.to_dict()
    assert data["messages"] == len(lines)
    assert data["recipients"] == sum(len(line["recipients"]) for line in lines)
    assert data["bounces"] == sum(line["sender"] == "MAILER-DAEMON" for line in lines) > 0
    assert data["oldest_seconds"] == NOW - min(line["arrival_time"] for line in lines)
    assert data["queues"] == {"deferred": len(lines)}
    assert {reason["kind"] for reason in data["reasons"]} >= {
        "dns",
        "unreachable",
        "own_service",
    }
    assert statuses(found) == {"unprocessed": "skip", "reasons": "warn"}


TIMEOUT = "connect to x[192.0.2.1]:25: Connection timed out"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", {}),
        (message(name="active"), {}),
        (message(age=5 * 3600), {"age": "warn"}),
        (message() * 10, {"length": "warn"}),
        (message(("a@b.test", "a@c.test")) * 20, {"length": "fail"}),
        (message(name="corrupt"), {"length": "fail"}),
        (message(("a@b.test",) * 20), {"destination": "warn"}),
        (message(("a@b.test",) * 10 + ("a@c.test",) * 10), {}),
        (message(reason=TIMEOUT), {}),
        (message(("a@b.test", "a@c.test"), TIMEOUT), {"reasons": "fail"}),
        (message(("a@b.test", "a@c.test"), TIMEOUT) + message(reason="450 greylisted"), {}),
        (message(reason="connect to x[private/lmtp]: No such file"), {"reasons": "warn"}),
    ],
)
def test_postfix(postfix, text, wrong):
    limits = Thresholds(10, 20, 4, 50)
    assert statuses(postfix(text), limits) == dict({"unprocessed": "skip"}, **wrong)


def test_bounces(postfix):
    assert statuses(postfix(message(sender="MAILER-DAEMON", to=["a@b.test", "a@c.test"]) * 20)) == {
        "unprocessed": "skip",
        "bounces": "warn",
    }


@pytest.mark.parametrize("text", ["postqueue: warning", "[1]", '{"queue_name": 1}', "1"])
def test_what_cannot_be_read(postfix, text):
    found = postfix(text)
    assert "postqueue -j printed" in found.trouble
    assert set(statuses(found).values()) == {"unknown"}
    assert len(statuses(found)) == len(queue.LOOK)


def test_a_mail_system_that_is_down(postfix, make_host):
    assert postfix("", rc=69).trouble == "postqueue -j ended with 69"


def test_neither(make_host):
    assert "neither qmail nor Postfix" in mail_queue.look(make_host(None, {"now": NOW})).trouble


def test_in_a_container(make_host):
    listed = [
        {"Id": "a", "State": "exited", "Labels": {"com.docker.compose.service": "smtp"}},
        {"Id": "b", "State": "running", "Labels": {"com.docker.compose.service": "smtp"}},
    ]
    recorded = {
        "now": NOW,
        "docker": {docker_api.containers_question("mailu"): listed},
        "commands": {"docker exec b postqueue -j": {"stdout": message()}},
    }
    host = make_host(None, recorded)
    assert mail_queue.look(host, project="mailu").messages == 1
    assert (
        "no container that runs" in mail_queue.look(host, project="mailu", services=["x"]).trouble
    )
    assert "does not answer" in mail_queue.look(make_host(None, {"now": NOW}), project="x").trouble


QSTAT = "messages in queue: {0}\nmessages in queue but not yet preprocessed: {1}\nqueue\n"
QREAD = """\
21 Nov 2026 09:00:00 GMT  #4711  500  <me@example.org>
  done\tremote\tdone@b.test
\tremote\tundone@c.test
\tlocal\ta@d.test
21 Nov 2026 10:00:00 GMT  #4712  100  <>  bouncing
\tremote\tx@c.test
"""


def test_qmail(qmail):
    data = qmail(QSTAT.format(3, 1), QREAD).to_dict()
    assert (data["messages"], data["unprocessed"], data["size"]) == (3, 1, 600)
    assert (data["recipients"], data["bounces"]) == (3, 1)
    assert data["oldest_seconds"] == NOW - 1795251600
    assert [(item["domain"], item["recipients"]) for item in data["destinations"]] == [
        ("c.test", 2),
        ("d.test", 1),
    ]


@pytest.mark.parametrize(
    ("stat", "wrong"),
    [
        (QSTAT.format(3, 9), {}),
        (QSTAT.format(3, 10), {"unprocessed": "warn"}),
        (QSTAT.format(3, 100), {"unprocessed": "fail"}),
        (QSTAT.format(25000, 0), {"length": "fail"}),
        ("queue\n", {"unprocessed": "unknown"}),
    ],
)
def test_qmails_thresholds(qmail, stat, wrong):
    assert statuses(qmail(stat, QREAD)) == dict({"reasons": "skip"}, **wrong)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"warn_messages": 0}, "warn_messages is 0; allowed: 1 or more"),
        ({"fail_messages": 9}, "fail_messages is 9; allowed: warn_messages .5000. or more"),
        ({"share": 0}, "share is 0; allowed: 1 to 100"),
    ],
)
def test_bad_options(values, text):
    with pytest.raises(ValueError, match=text):
        mail_queue.thresholds(**values)
