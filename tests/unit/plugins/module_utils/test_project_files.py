# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a Compose project in a directory of the test, and containers as Docker shows them."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.postmaster.mailhost.plugins.module_utils import project_files
from ansible_collections.postmaster.mailhost.plugins.module_utils.docker_api import DockerError
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

COMPOSE = {"path": "docker-compose.yml", "content": "name: x\n", "mode": "0644"}
OVERRIDE = {"path": "overrides/postfix/postfix.cf", "content": "a = b\n", "mode": "0644"}


class Engine:
    def __init__(self, *containers):
        self.found = list(containers)

    def containers(self, project):
        assert project == "mailu"
        return self.found


class NoEngine:
    def containers(self, project):
        raise DockerError("no engine")


def container(service, started, status="running"):
    text = datetime.fromtimestamp(started, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    return {
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "State": {"Status": status, "StartedAt": text},
    }


@pytest.fixture
def manage(tmp_path):
    def run(*files, check=False, engine=None, **more):
        params = {
            "root": "/mailu",
            "project": "mailu",
            "directories": ["certs"],
            "files": list(files),
            "read": [],
            "watch": {},
            **more,
        }
        return project_files.manage(Host(str(tmp_path)), params, check, engine or Engine())

    run.path = tmp_path / "mailu"
    return run


def test_files_and_directories_are_made_once(manage):
    first = manage(COMPOSE, OVERRIDE, read=["docker-compose.yml"])
    assert first["changed_files"] == ["docker-compose.yml", "overrides/postfix/postfix.cf"]
    assert first["texts"] == {"docker-compose.yml": None}
    assert (manage.path / "certs").is_dir()
    assert (manage.path / "overrides/postfix/postfix.cf").read_text() == "a = b\n"
    again = manage(COMPOSE, OVERRIDE, read=["docker-compose.yml"])
    assert (again["changed"], again["changed_files"], again["diff"]) == (False, [], [])
    assert again["texts"] == {"docker-compose.yml": "name: x\n"}


def test_check_mode_foretells_and_changes_nothing(manage):
    foretold = manage(COMPOSE, check=True)
    assert foretold["changed"] is True
    assert not manage.path.exists()
    real = manage(COMPOSE)
    assert foretold["changed_files"] == real["changed_files"]
    assert foretold["diff"] == real["diff"]


def test_a_changed_file_is_kept_beside_the_new_one(manage):
    manage(COMPOSE)
    (manage.path / "docker-compose.yml").write_text("name: mine\n")
    result = manage(COMPOSE)
    assert result["changed_files"] == ["docker-compose.yml"]
    (copy,) = result["backup_files"]
    assert Path(copy).read_text() == "name: mine\n"
    assert result["diff"][0]["before"] == "name: mine\n"


def test_permissions_are_put_back(manage):
    manage(COMPOSE)
    (manage.path / "docker-compose.yml").chmod(0o666)
    assert manage(COMPOSE)["changed_files"] == ["docker-compose.yml"]
    assert (manage.path / "docker-compose.yml").stat().st_mode & 0o777 == 0o644


def test_what_is_not_wanted_any_more_goes_and_what_is_of_others_stays(manage):
    manage(COMPOSE, OVERRIDE)
    mine = manage.path / "overrides/postfix/mine.map"
    mine.write_text("x\n")
    foretold = manage(COMPOSE, check=True)
    assert foretold["changed_files"] == ["overrides/postfix/postfix.cf"]
    assert (manage.path / "overrides/postfix/postfix.cf").exists()
    result = manage(COMPOSE)
    assert result["diff"] == foretold["diff"]
    assert not (manage.path / "overrides/postfix/postfix.cf").exists()
    assert Path(result["backup_files"][0]).read_text() == "a = b\n"
    assert mine.exists()
    assert manage(COMPOSE)["changed"] is False


def test_a_run_that_is_cut_off_leaves_no_file_that_nobody_knows_of(manage, monkeypatch):
    manage(COMPOSE, OVERRIDE)
    other = {**OVERRIDE, "path": "overrides/dovecot/dovecot.conf"}
    real = project_files._write

    def cut(host, change, backup=True):
        if change.path.endswith("dovecot.conf"):
            raise KeyboardInterrupt
        return real(host, change, backup)

    monkeypatch.setattr(project_files, "_write", cut)
    with pytest.raises(KeyboardInterrupt):
        manage(COMPOSE, other)
    monkeypatch.undo()
    listed = (manage.path / project_files.MANIFEST).read_text().split()
    assert listed == ["docker-compose.yml", other["path"], OVERRIDE["path"]]
    manage(COMPOSE, other)
    assert not (manage.path / OVERRIDE["path"]).exists()
    assert (manage.path / other["path"]).exists()


WATCH = {"smtp": ["overrides/postfix"], "front": ["overrides/nginx"]}


def test_a_service_that_was_started_before_its_files_is_named(manage):
    manage(COMPOSE, OVERRIDE)
    changed = (manage.path / "overrides/postfix/postfix.cf").stat().st_ctime
    old = Engine(container("smtp", changed - 5), container("front", changed - 5))
    assert manage(COMPOSE, OVERRIDE, watch=WATCH, engine=old)["restart"] == ["smtp"]
    new = Engine(container("smtp", changed + 5))
    assert manage(COMPOSE, OVERRIDE, watch=WATCH, engine=new)["restart"] == []
    off = Engine(container("smtp", changed - 5, "exited"))
    assert manage(COMPOSE, OVERRIDE, watch=WATCH, engine=off)["restart"] == []
    other = {**OVERRIDE, "content": "a = c\n"}
    assert manage(COMPOSE, other, watch=WATCH, engine=new, check=True)["restart"] == ["smtp"]


def test_a_file_by_hand_counts_whatever_date_it_claims_and_a_copy_does_not(manage):
    manage(COMPOSE, directories=["overrides/nginx"])
    folder = manage.path / "overrides/nginx"
    started = folder.stat().st_ctime + 0.001
    engine = Engine(container("front", started))

    def restart():
        named = manage(COMPOSE, directories=["overrides/nginx"], watch=WATCH, engine=engine)
        return named["restart"]

    assert restart() == []
    (folder / "mine.conf").write_text("# mine\n")
    os.utime(folder / "mine.conf", (0, 0))
    os.utime(folder, (0, 0))
    assert restart() == ["front"]


def test_without_an_engine_nothing_is_to_be_restarted(manage):
    assert manage(COMPOSE, OVERRIDE, watch=WATCH, engine=NoEngine())["restart"] == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"files": [{**COMPOSE, "path": "../etc/passwd"}]}, "is not below /mailu"),
        ({"files": [{**COMPOSE, "path": "/etc/passwd"}]}, "is not below /mailu"),
        ({"files": [COMPOSE, COMPOSE]}, "docker-compose.yml is named twice"),
        ({"root": "mailu", "files": []}, "root: 'mailu'; allowed: an absolute path"),
    ],
)
def test_bad_input(manage, given, message):
    files = given.pop("files")
    with pytest.raises(project_files.ProjectFilesError, match=message):
        manage(*files, **given)
    assert not manage.path.exists()
