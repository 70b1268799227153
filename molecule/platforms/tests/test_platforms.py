# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles have made of five systems: asked on each of them, and from its neighbour."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import data
from sandbox.hosts import find
from scenario import eventually, on, play
from scenario import everywhere as on_each

PLAYBOOK = Path(__file__).parents[1] / "converge.yml"
EL = ("mail12", "mail13", "mail14")
HOSTS = ("mail10", "mail11", *EL)
# Who looks at a host from outside.
CLIENT = {host: HOSTS[number - 1] for number, host in enumerate(HOSTS)}
IMAGE = "ghcr.io/mailcow/nginx:1.30.4-1"
WEB = "events { } http { server { listen 8025; return 200 'from $remote_addr'; } }"

REPAIRED = (
    "Clock",
    "Start Docker now and at boot",
    "Keep the rules in force",
    "Parameters and services",
    "Jails",
    # The container of these tests publishes ports that the rules have not named yet.
    "Rules",
)


def from_outside(command: Callable[[str], str]) -> dict[str, str]:
    """What a command about a host prints on its client, by host."""
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda host: on(CLIENT[host], command(host), check=False), HOSTS)
        return {host: text.strip() for host, text in zip(HOSTS, said, strict=True)}


def everywhere(
    command: str | Callable[[str], str], hosts: tuple[str, ...] = HOSTS
) -> dict[str, str]:
    """What a command prints on all hosts, or some."""
    return on_each(command, hosts)


@pytest.fixture(scope="module")
def web():
    """A container on each host that publishes two ports."""
    everywhere(
        f'echo "{WEB.replace("$", chr(92) + "$")}" >/srv/nginx.conf;'
        "docker rm -f web >/dev/null 2>&1; docker run -d --name web -v /srv/nginx.conf:/srv/nginx.conf:ro "
        f"-p 443:8025 -p 9999:8025 --entrypoint nginx {IMAGE} -c /srv/nginx.conf -g 'daemon off;'"
    )


def test_the_hosts_are_what_their_names_say():
    names = {host: data.SYSTEMS[find(host).system].look.name for host in HOSTS}
    said = everywhere(". /etc/os-release; echo $NAME ${VERSION_ID}")
    for host, text in said.items():
        assert text.startswith(names[host]), text


def test_packages_came_from_where_they_should():
    origin = (
        "dnf --quiet repoquery --installed --qf '%{name} %{from_repo}' docker-ce fail2ban-server"
    )
    assert set(everywhere(origin, EL).values()) == {"docker-ce docker\nfail2ban-server epel"}
    # Nothing whose signature was not checked: there are keys of Docker's and of EPEL, which is the
    # distribution's own in a look-alike.
    keys = everywhere("rpm -q gpg-pubkey | wc -l", EL).values()
    assert all(int(number) >= 2 for number in keys) if data.UPSTREAM else set(keys) == {"2"}


def test_on_el_8_ansible_has_a_python_of_its_own():
    assert on("mail14", "command -v python3 || echo none; command -v python3.11").split() == [
        "none",
        "/usr/bin/python3.11",
    ]
    assert on("mail14", "python3.11 -c 'import dnf' 2>&1 || true").strip().endswith("'dnf'")


def test_a_container_runs_and_the_firewall_lets_in_what_it_should(web):
    def ports() -> dict[str, str]:
        return from_outside(
            lambda host: "".join(
                f"timeout 2 bash -c 'exec 3<>/dev/tcp/{find(host).ipv4}/{port};"
                'printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; tail -n 1 <&3\' 2>/dev/null || echo closed; echo;'
                for port in (443, 9999)
            )
        )

    wanted = {host: f"from {find(CLIENT[host]).ipv4}\nclosed" for host in HOSTS}
    assert eventually(ports, wanted) == wanted


def test_no_other_firewall_is_left():
    asked = "systemctl is-active firewalld ufw 2>/dev/null | sort -u; nft list tables"
    for host, text in everywhere(asked).items():
        assert "table inet mailhost" in text and "firewalld" not in text, host
    assert set(everywhere("systemctl is-enabled firewalld || true", EL).values()) <= {
        "disabled",
        "masked",
    }


def test_mail_leaves():
    everywhere("printf 'Subject: x\\n\\nx\\n' | /usr/sbin/sendmail somebody@outside.test")
    log = {host: "maillog" if host in EL else "mail.log" for host in HOSTS}
    wanted = dict.fromkeys(HOSTS, "sent")
    assert (
        eventually(
            lambda: everywhere(
                lambda host: (
                    f"grep -q 'to=<somebody@outside.test>.*status=sent' /var/log/{log[host]} "
                    "&& echo sent || echo waiting"
                )
            ),
            wanted,
        )
        == wanted
    )


def test_who_guesses_names_at_ssh_is_banned():
    guess = "timeout 3 ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=2 nobody{0}@{1}"

    def guesses(host: str) -> str:
        name = find(host).ipv4
        return "; ".join(guess.format(number, name) for number in range(7)) + "; true"

    from_outside(guesses)
    banned = {host: find(CLIENT[host]).ipv4 for host in HOSTS}
    shown = "fail2ban-client get sshd banip"
    assert eventually(lambda: everywhere(shown), banned) == banned
    reached = from_outside(
        lambda host: (
            f"timeout 2 bash -c '</dev/tcp/{find(host).ipv4}/22' 2>/dev/null && echo in || echo out"
        )
    )
    everywhere("fail2ban-client unban --all")
    assert set(reached.values()) == {"out"}


def test_what_keeps_bans_in_force_runs():
    # On fail2ban's own Python, which on EL 8 is not Ansible's.
    everywhere("/usr/local/sbin/mailhost-fail2ban status")
    asked = "systemctl start mailhost-fail2ban-check.service && echo ran"
    assert set(everywhere(asked).values()) == {"ran"}


def test_what_drifts_is_repaired_and_nothing_else():
    services = {host: "chronyd" if host in EL else "systemd-timesyncd" for host in HOSTS}
    everywhere(
        lambda host: (
            f"systemctl disable -q --now {services[host]};"
            "systemctl disable -q docker.service;"
            "systemctl stop mailhost-firewall-check.timer;"
            "rm /etc/fail2ban/jail.d/*mailhost*;"
            "postconf -e relayhost="
        )
    )
    done = play(PLAYBOOK)
    assert done.rc == 0, done.message
    for host in HOSTS:
        assert sorted(done.changed_on[host]) == sorted(REPAIRED), host
