# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball as Galaxy, the documentation's makers and ansible-builder see it.

Nothing is asked from outside but the packages of requirements/publish.txt.
"""

from __future__ import annotations

import os
import re
import shutil
import zlib
from pathlib import Path

from cores import BUILD, ROOT, VENV, core_in_use

PLACE = BUILD / "publish"
TOOLS = PLACE / "venv"
COLLECTIONS = PLACE / "collections"
ROOT_IN_COLLECTIONS = COLLECTIONS / "ansible_collections" / "postmaster" / "mailhost"
SITE = PLACE / "site"

# What the pages that antsibull-docs writes link to in Ansible's own documentation. Sphinx would get the
# list from docs.ansible.com; here, a link to anything else is a warning.
LINKS = {
    "label:action_plugins": "plugins/action.html",
    "label:ansible_collections.ansible.builtin.dnf_module": "collections/ansible/builtin/dnf_module.html",
    "label:ansible_configuration_settings": "reference_appendices/config.html",
    "label:callback_plugins": "plugins/callback.html",
    "label:common_return_values": "reference_appendices/common_return_values.html",
    "envvar:ANSIBLE_CALLBACKS_ENABLED": "reference_appendices/config.html",
}


def tools(log) -> Path:
    """Return the folder with the programs; install them if they are missing."""
    wanted = [core_in_use().requirements(), ROOT / "requirements" / "publish.txt"]
    stamp = TOOLS / "stamp"
    want = f"{ROOT}\n" + "".join(path.read_text() for path in wanted)
    if not stamp.exists() or stamp.read_text() != want:
        shutil.rmtree(TOOLS, ignore_errors=True)
        log.must([VENV / "bin/python", "-m", "venv", TOOLS])
        files = [word for path in wanted for word in ("-r", path)]
        log.must([TOOLS / "bin/python", "-m", "pip", "install", "--quiet", *files])
        # Where the importer's ansible-lint finds the collections that ours depends on: it is told a
        # folder of ours alone.
        (site,) = TOOLS.glob("lib/python*/site-packages")
        (site / "ansible_collections").mkdir()
        for namespace in (BUILD / "collections" / "ansible_collections").iterdir():
            if namespace.name != "postmaster":
                (site / "ansible_collections" / namespace.name).symlink_to(namespace.resolve())
        stamp.write_text(want)
    return TOOLS / "bin"


def environment() -> dict[str, str]:
    """Return what the programs are told."""
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        # They call each other, and ansible-doc.
        "PATH": os.pathsep.join([str(TOOLS / "bin"), os.environ["PATH"]]),
        "HOME": str(PLACE / "home"),
    }


def tarball(log) -> Path:
    """Build the tarball, unpack it below ansible_collections, and return it."""
    shutil.rmtree(COLLECTIONS, ignore_errors=True)
    ROOT_IN_COLLECTIONS.mkdir(parents=True)
    (PLACE / "home").mkdir(exist_ok=True)
    for old in PLACE.glob("*.tar.gz"):
        old.unlink()
    log.must([VENV / "bin/ansible-galaxy", "collection", "build", "--output-path", PLACE])
    (built,) = PLACE.glob("*.tar.gz")
    log.must(["tar", "-xzf", built, "-C", ROOT_IN_COLLECTIONS])
    return built


def inventory() -> bytes:
    """Return LINKS as an inventory of Sphinx: a head, and lines that are compressed."""
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = []
    for link, page in LINKS.items():
        kind, _colon, name = link.partition(":")
        lines.append(f"{name} std:{kind} -1 {page}#{name} -\n")
    return head.encode() + zlib.compress("".join(lines).encode())


def docs_site(log) -> dict[str, bool]:
    """Look at the documentation's markup and build its site; a warning is a failure.

    Returns:
        What was looked at, each with whether it is in order.
    """
    programs = tools(log)
    tarball(log)
    told = environment()
    lint = [
        programs / "antsibull-docs",
        "lint-collection-docs",
        "--plugin-docs",
        ROOT_IN_COLLECTIONS,
    ]
    result = {"lint-collection-docs": log.run(lint, **told) == 0}

    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir()
    name = "postmaster.mailhost"
    init = [programs / "antsibull-docs", "sphinx-init", "--use-current", "--dest-dir", SITE, name]
    log.must(init, **told)
    (SITE / "ansible.inv").write_bytes(inventory())
    with (SITE / "conf.py").open("a") as conf:
        conf.write(
            'intersphinx_mapping = {"ansible": ("https://docs.ansible.com/", "../ansible.inv")}\n'
        )
    rst = SITE / "rst"
    # antsibull-docs wants the folder to be its own.
    rst.chmod(0o755)
    pages = [
        programs / "antsibull-docs",
        "--config-file",
        SITE / "antsibull-docs.cfg",
        "collection",
    ]
    pages += [
        "--cleanup",
        "everything",
        "--use-current",
        "--fail-on-error",
        "--dest-dir",
        rst,
        name,
    ]
    result["pages"] = log.run(pages, **told) == 0
    html = SITE / "build"
    sphinx = [programs / "sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "-c", SITE]
    result["site"] = log.run([*sphinx, rst, html], **told) == 0
    # Everything that has documentation has a page.
    folder = html / "collections" / "postmaster" / "mailhost"
    places = {
        "module": "plugins/modules/[!_]*.py",
        "callback": "plugins/callback/[!_]*.py",
        "role": "roles/*/",
    }
    for kind, pattern in places.items():
        for path in ROOT.glob(pattern):
            result[f"{path.stem}_{kind}"] = (folder / f"{path.stem}_{kind}.html").is_file()
    return result


def importer(log) -> dict[str, bool]:
    """Have Galaxy's importer and ansible-builder look at the tarball; a warning is a failure.

    Returns:
        What was looked at, each with whether it is in order.
    """
    programs = tools(log)
    built = tarball(log)
    told = environment()
    log.must([programs / "python", "-m", "galaxy_importer.main", built], cwd=PLACE, **told)
    text = log.text()
    result = {
        "galaxy-importer": "Importer processing completed successfully" in text
        and "ansible-lint run complete" in text
        and not re.search(r"^(WARNING|ERROR)", text, re.MULTILINE)
    }
    # It writes its answer to the output; the pins of what we import are in it.
    log.must([programs / "ansible-builder", "introspect", COLLECTIONS], **told)
    said = log.text()[len(text) :]
    needed = (ROOT / "meta" / "ee-requirements.txt").read_text()
    result["ansible-builder"] = all(
        line in said for line in needed.splitlines() if line and not line.startswith("#")
    )
    return result
