# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mends what the doctor may mend without asking; see ``check.health.fixes`` for the kinds.

What is mended already is left alone, so that a second run does nothing. Files come first, then
kernel parameters, then containers, each of which is touched once.
"""

from __future__ import annotations

import re
import time
from typing import Any, Iterable, Mapping, NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    env_document,
    file_write,
    sysctl_file,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.host import Host

#: Kind of fix -> the keys that it needs.
KINDS = {
    "copy_link": ("path", "target", "mode", "services"),
    "copy_file": ("path", "target", "mode", "services"),
    "remove_files": ("paths", "services"),
    "sysctl": ("name", "value"),
    "env_file": ("path", "absent", "mode", "secret_keys", "services"),
    "recreate": ("services",),
}

#: A file of its own: that of the role system holds exactly what the role was told.
SYSCTL_PATH = "/etc/sysctl.d/61-mailhost-doctor.conf"

#: What stands in each file of a certificate, and in one that only root may read (RFC 7468).
PEM, PRIVATE_KEY = b"-----BEGIN ", b"PRIVATE KEY-----"

_TIMEOUT = 300.0
# A service that another one waits for may need a while until it is well again, such as a resolver after
# net.ipv4.ip_forward was 0; Compose gives up at once, with containers that are made and not started.
_PATIENCE = 180.0
_PAUSE = 10.0


class StackFixError(Exception):
    """Something cannot be mended; the text is a sentence."""


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        fixes: the fixes that have something left to do.
        files: files that are written: path -> content and mode.
        removed: files that are removed.
        sysctl: the plan for kernel parameters, None without any.
        variables: configuration file -> what becomes of it, and its mode.
        restart: services to restart.
        recreate: services that get new containers.
        renew: services that get new containers where their variables differ then.
        project: name of the Compose project; empty for the one that Compose finds.
    """

    fixes: list[dict[str, Any]]
    files: list[file_write.Replacement]
    removed: list[str]
    sysctl: sysctl_file.Plan | None
    variables: list[tuple[str, env_document.Plan, int]]
    restart: list[str]
    recreate: list[str]
    renew: list[str]
    project: str

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.fixes)


def plan(host: Host, fixes: Iterable[Mapping[str, Any]]) -> Plan:
    """Compare the host with what the fixes want of it. Nothing is changed.

    Args:
        host: where the stack is.
        fixes: dictionaries with ``kind`` and what the kind needs, see :data:`KINDS`; those with
            services may have ``project``, the name of the Compose project.

    Raises:
        StackFixError: a fix is not known or lacks something, a file cannot be read, or has not the
            content that it must have.
        env_document.EnvError: a configuration file is not UTF-8.
        file_write.FileWriteError, sysctl_file.SysctlError: a file or a parameter cannot be read.
    """
    fixes = [dict(fix) for fix in fixes]
    for fix in fixes:
        _validate(fix)
    found = Plan([], [], [], None, [], [], [], [], _project(fixes))
    renew: dict[str, None] = {}
    restart: dict[str, None] = {}
    recreate: dict[str, None] = {}
    minimums: dict[str, int] = {}
    for fix in fixes:
        kind = fix["kind"]
        if kind in ("copy_link", "copy_file"):
            if not _copy(host, fix, found.files):
                continue
            restart.update(dict.fromkeys(fix["services"]))
        elif kind == "remove_files":
            paths = [path for path in fix["paths"] if host.exists(path)]
            if not paths:
                continue
            found.removed.extend(paths)
            restart.update(dict.fromkeys(fix["services"]))
        elif kind == "sysctl":
            now = (host.read("/proc/sys/" + fix["name"].replace(".", "/")) or "").strip()
            if now.isdigit() and int(now) >= int(fix["value"]):
                continue
            minimums[fix["name"]] = int(fix["value"])
        elif kind == "env_file":
            mended = env_document.plan(
                env_document.decode(host.read_bytes(fix["path"]) or b"", fix["path"]),
                {},
                absent=fix["absent"],
                secret_keys=fix["secret_keys"],
            )
            if not mended.changed:
                continue
            renew.update(dict.fromkeys(fix["services"]))
            found.variables.append((fix["path"], mended, int(fix["mode"], 8)))
        else:
            recreate.update(dict.fromkeys(fix["services"]))
        found.fixes.append(fix)
    kernel = None
    if minimums:
        before = sysctl_file.parse(host.read(SYSCTL_PATH) or "")
        for name, value in before.items():
            if value.isdigit():
                minimums[name] = max(int(value), minimums.get(name, 0))
        kernel = sysctl_file.plan(host, minimums, {}, SYSCTL_PATH)
    # A new container reads everything anew.
    names = [name for name in restart if name not in recreate]
    return found._replace(sysctl=kernel, restart=names, recreate=list(recreate), renew=list(renew))


def _project(fixes: Iterable[Mapping[str, Any]]) -> str:
    """Return the name of the project that the fixes are for; empty when they do not say."""
    names = sorted({fix["project"] for fix in fixes if fix.get("project")})
    if len(names) > 1:
        raise StackFixError("fixes: projects {0}; allowed: one".format(", ".join(names)))
    return names[0] if names else ""


def _validate(fix: Mapping[str, Any]) -> None:
    """Refuse a fix that cannot be applied, before anything is changed."""
    if fix.get("kind") not in KINDS:
        raise StackFixError(
            "fixes: kind is {0!r}; allowed: {1}".format(fix.get("kind"), ", ".join(sorted(KINDS)))
        )
    missing = [name for name in KINDS[fix["kind"]] if fix.get(name) is None]
    if missing:
        raise StackFixError("fixes: {0} lacks {1}".format(fix["kind"], ", ".join(missing)))
    for path in [fix.get("path"), fix.get("target"), *(fix.get("paths") or ())]:
        if path is not None and not str(path).startswith("/"):
            raise StackFixError("fixes: {0!r}; allowed: an absolute path".format(path))
    mode = fix.get("mode", "0600")
    if not isinstance(mode, str) or not re.fullmatch("0?[0-7]{3}", mode):
        raise StackFixError(
            "fixes: mode is {0!r}; allowed: three octal digits in quotes, such as '0600'".format(
                mode
            )
        )


def _copy(host: Host, fix: Mapping[str, Any], files: list[file_write.Replacement]) -> bool:
    """Note a file to be written as a copy of another one; return whether it is none yet."""
    path, target = fix["path"], fix["target"]
    data = host.read_bytes(target)
    if not data:
        raise StackFixError("{0} is empty, or cannot be read".format(target))
    if PEM not in data:
        raise StackFixError("{0} is not in PEM form, as certificates and keys are".format(target))
    mode = 0o600 if PRIVATE_KEY in data else int(fix["mode"], 8)
    if host.readlink(path) is None and host.read_bytes(path) == data:
        return False
    files.append(file_write.Replacement(file_write.place(host, path), data, mode, None, None))
    return True


def diff(planned: Plan) -> list[dict[str, str]]:
    """Return what changes, for ``exit_json(diff=...)``. Keys and values of secrets are not in it."""
    shown = []
    for fix in planned.fixes:
        kind = fix["kind"]
        if kind in ("copy_link", "copy_file"):
            was = "a link" if kind == "copy_link" else "missing"
            shown.append(_entry(fix["path"], was, "a copy of {0}".format(fix["target"])))
        elif kind == "recreate":
            names = "\n".join(fix["services"])
            shown.append(_entry("containers", "as they are: " + names, "new: " + names))
    if planned.removed:
        shown.append(_entry("compiled files", "\n".join(planned.removed), ""))
    if planned.sysctl:
        shown += sysctl_file.result(planned.sysctl)["diff"]
    for path, mended, _mode in planned.variables:
        shown.append(dict(mended.diff(), before_header=path, after_header=path))
    return shown


def _entry(header: str, before: str, after: str) -> dict[str, str]:
    return {
        "before_header": header,
        "before": before + "\n" * bool(before),
        "after_header": header,
        "after": after + "\n" * bool(after),
    }


def apply(host: Host, planned: Plan, project_src: str) -> list[str]:
    """Do it.

    Args:
        host: where the stack is.
        planned: what :func:`plan` returned.
        project_src: directory of the Compose project.

    Returns:
        list[str]: copies of the files as they were.

    Raises:
        StackFixError: Docker did not do what it was asked for; the text has what it said.
        file_write.FileWriteError, sysctl_file.SysctlError: see there.
    """
    copies = []
    if planned.files:
        copies += file_write.replace_all(planned.files, backup=True, follow=False)
    for path, mended, mode in planned.variables:
        text = mended.after.text.encode("utf-8")
        copies.append(
            file_write.replace(file_write.place(host, path), text, mode=mode, backup=True)
        )
    for path in planned.removed:
        file_write.remove(file_write.place(host, path))
    if planned.sysctl:
        sysctl_file.write(host, planned.sysctl)
    named = ["--project-name", planned.project] if planned.project else []
    words = ["docker", "compose", *named]
    if planned.recreate:
        up = ["up", "--detach", "--no-deps", "--force-recreate", "--quiet-pull"]
        _compose(host, [*words, *up, *planned.recreate], project_src)
    if planned.restart:
        _compose(host, [*words, "restart", *planned.restart], project_src)
    if planned.renew:
        # Of these Compose makes those anew that were given the keys; what was stopped, stays so.
        up = ["up", "--detach", "--no-deps", "--quiet-pull"]
        _compose(host, [*words, *up, *planned.renew], project_src)
    return [path for path in copies if path]


def _compose(host: Host, argv: list[str], project_src: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        done = host.run(argv, timeout=_TIMEOUT, cwd=project_src)
        if done.rc == 0:
            return
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason was given"]
        if not said[-1].endswith("is unhealthy") or time.monotonic() > end:
            raise StackFixError("{0}: {1}".format(" ".join(argv), said[-1]))
        time.sleep(_PAUSE)
