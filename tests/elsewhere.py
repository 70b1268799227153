# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Try on the sandbox what docs/automation.md describes; the host has to be up.

    PYTHONPATH=tests .build/venv/bin/python tests/elsewhere.py pull|image HOST

pull: ansible-pull on the host itself, from a git repository with the two files of that page, and
with the tarball of the collection. A host that has been stood up must not change.
image: an image from Debian with ansible-core and the tarball, which is what an execution environment is,
and the preflight of HOST from a container of it, over SSH.

Both install ansible-core for the Python of Debian 13, from where pip gets its packages.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile

import publish
import yaml
from cores import BUILD, ROOT, VENV
from sandbox import data, hosts
from sandbox.common import CHECKOUT

PLACE = BUILD / "elsewhere"
INVENTORY = CHECKOUT / ".build" / "sandbox" / "inventory.yml"
TARGET_PYTHON = "3.13"
PROGRAM = """#!/bin/sh
export PYTHONPATH=/opt/ansible/lib ANSIBLE_COLLECTIONS_PATH=/opt/ansible/collections LC_ALL=C.UTF-8
exec /usr/bin/python3 -c 'import sys; sys.argv[0] = "/opt/ansible/bin/{name}"
from ansible.cli.{module} import main; main()' "$@"
"""


def run(command: list, **options) -> str:
    """Run a command, show what it says, and return that; stop when it fails."""
    command = [str(word) for word in command]
    print("$", " ".join(command)[:200], flush=True)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options
    )
    text = done.stdout.decode(errors="replace")
    print(text, flush=True)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}")
    return text


class Plain:
    """What publish.tarball() wants of a step's log."""

    @staticmethod
    def must(command: list) -> None:
        """Run a command that must not fail."""
        run(command, cwd=ROOT)


def ansible() -> bytes:
    """Return a tar archive of /opt/ansible: ansible-core, its programs, the tarball's content."""
    library = PLACE / "lib"
    pins = ROOT / "requirements" / "core-2.19.txt"
    if not (library / "ansible").exists():
        pip = [VENV / "bin/python", "-m", "pip", "install", "--quiet", "--target", library]
        pip += ["--python-version", TARGET_PYTHON, "--only-binary=:all:"]
        pip += ["-c", ROOT / "requirements" / "constraints.txt", "-r", pins]
        run([*pip, "-r", ROOT / "meta" / "ee-requirements.txt"])
    publish.tarball(Plain)
    collections = {"postmaster": publish.ROOT_IN_COLLECTIONS.parent}
    collections["community"] = (
        BUILD / "collections" / "ansible_collections" / "community"
    ).resolve()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(library, "opt/ansible/lib")
        for name, folder in collections.items():
            tar.add(folder, f"opt/ansible/collections/ansible_collections/{name}")
        for name, module in {
            "ansible": "adhoc",
            "ansible-playbook": "playbook",
            "ansible-pull": "pull",
        }.items():
            text = PROGRAM.format(name=name, module=module).encode()
            entry = tarfile.TarInfo(f"opt/ansible/bin/{name}")
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def variables(host: str) -> dict:
    """Return what the sandbox's inventory says of a host, but for how to reach it."""
    group = yaml.safe_load(INVENTORY.read_text())["mailhosts"]
    # The example's time zone would be a change.
    found = {"mailhost_timezone": "Etc/UTC", **group["vars"], **group["hosts"][host]}
    return {name: value for name, value in found.items() if not name.startswith("ansible_")}


def pull(name: str) -> None:
    """ansible-pull on the host: the preflight, and then the whole playbook, which changes nothing."""
    host = hosts.find(name)
    repository = PLACE / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir()
    page = (ROOT / "docs" / "automation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for file, text in zip(("hosts.yml", "site.yml"), blocks, strict=True):
        (repository / file).write_text(text, encoding="utf-8")
    git = ["git", "-C", repository, "-c", "user.name=pull", "-c", "user.email=pull@example.org"]
    run(["git", "init", "--quiet", "--initial-branch=main", repository])
    run([*git, "add", "."])
    run([*git, "commit", "--quiet", "-m", "Mail host"])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(repository, "root/mail.git")
    unpack = "rm -rf /opt/ansible /root/mail.git && tar -x --no-same-owner -C / -f -"
    run(hosts.ssh(host, unpack), input=ansible())
    run(hosts.ssh(host, "tar -x --no-same-owner -C / -f -"), input=packed.getvalue())
    run(hosts.ssh(host, "cat > /root/sandbox.json"), input=json.dumps(variables(name)).encode())
    # The sandbox's names and addresses, in place of those of the example.
    command = "/opt/ansible/bin/ansible-pull -U file:///root/mail.git -C main -i hosts.yml"
    command += " -e @/root/sandbox.json site.yml"
    run(hosts.ssh(host, f"{command} --tags preflight"))
    text = run(hosts.ssh(host, command))
    recap = text.rpartition("PLAY RECAP")[2]
    if not re.search(r"localhost\s.*changed=0\s.*failed=0", recap):
        sys.exit("the host has changed, or was not looked at")
    run(
        hosts.ssh(host, "rm -rf /opt/ansible /root/mail.git /root/sandbox.json /root/.ansible/pull")
    )


def image(name: str) -> None:
    """An image with ansible-core and the collection, and the preflight of the host from it."""
    context = PLACE / "image"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    (context / "ansible.tar").write_bytes(ansible())
    base = hosts.image(hosts.find(name).system)
    (context / "Dockerfile").write_text(
        f"FROM {base}\nADD ansible.tar /\nENV PATH=/opt/ansible/bin:/usr/bin:/bin\nENTRYPOINT []\n"
    )
    tag = f"{data.PREFIX}/execution-environment"
    run(["docker", "build", "--quiet", "-t", tag, context])
    state = INVENTORY.parent
    command = ["docker", "run", "--rm", f"--network={data.PREFIX}", f"--dns={data.WORLD_IPV4}"]
    # Not one that the engine chooses: the world has more addresses than the engine knows.
    command += [f"--ip={data.IPV4_PREFIX}.9", f"--ip6={data.IPV6_PREFIX}:9"]
    command += ["-v", f"{state}:{state}:ro", tag, "ansible-playbook", "-i", INVENTORY]
    # That of the inventory is in a directory of this machine.
    command += ["-e", "ansible_control_path=/tmp/%%h"]
    run([*command, "--limit", name, "postmaster.mailhost.preflight"])
    run(["docker", "image", "rm", tag])


def main(arguments: list[str]) -> int:
    """Run one of the two."""
    tried = {"pull": pull, "image": image}
    if len(arguments) != 2 or arguments[0] not in tried:
        print(__doc__, file=sys.stderr)
        return 2
    PLACE.mkdir(parents=True, exist_ok=True)
    tried[arguments[0]](arguments[1])
    print(f"{arguments[0]}: in order")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
