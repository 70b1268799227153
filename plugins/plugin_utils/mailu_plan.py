# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mailu writes and does, from its variables and what the host is like.

Pure functions; the role reaches them through the filter ``mailu_plan``.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from ansible_collections.postmaster.mailhost.plugins.module_utils import (
    compose_override,
    value_kind,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import config, mailu
from ansible_collections.postmaster.mailhost.plugins.plugin_utils import (
    mailu_compose,
    mailu_overrides,
)

_HEADER = "# Managed by Ansible (postmaster.mailhost): what is changed here is put back.\n"

#: Directories that containers mount and that hold files of this role or of an administrator.
_DIRECTORIES = ("certs", "overrides")

#: All ports of the stack, for releases without the setting PORTS.
_ALL_PORTS = tuple(port["port"] for port in mailu.STACK["ports"])


class Version(NamedTuple):
    """A release: its series, and its number in it (None for the newest, which moves on)."""

    series: str
    minor: int | None

    @property
    def rank(self) -> int:
        """Its place among the series; later ones are larger."""
        return mailu.SERIES.index(self.series)


def version(text: str) -> Version | None:
    """Return what ``2024.06``, ``2024.06.57`` or ``master`` means; None for anything else."""
    if text in ("master", "latest"):
        return Version("master", None)
    match = re.fullmatch(r"([0-9]+\.[0-9]+)(?:\.([0-9]+))?", text)
    if not match or match.group(1) not in mailu.SERIES:
        return None
    return Version(match.group(1), int(match.group(2)) if match.group(2) else None)


def version_problem(text: str, accept_insecure: bool = False) -> str:
    """Say what is wrong with the release wanted, "" when nothing is.

    Args:
        text: the release.
        accept_insecure: whether one with known holes is accepted.
    """
    wanted = version(text)
    if wanted is None:
        return (
            f"mailu_version: {text!r} is not known here; allowed: {', '.join(mailu.SERIES)}, or one "
            "with its number, such as 2024.06.57"
        )
    floor = version(mailu.SECURITY_FLOOR)
    old = wanted.rank < floor.rank or (
        wanted.series == floor.series and wanted.minor is not None and wanted.minor < floor.minor
    )
    if old and not accept_insecure:
        return (
            f"mailu_version: {text!r} has known security holes; allowed: {mailu.SECURITY_FLOOR} and "
            f"later, or {floor.series}; mailu_accept_insecure_version: true takes it all the same"
        )
    return ""


def upgrade_problem(before: str, wanted: str, upgrade_from: str) -> str:
    """Say why a system may not go from one release to another, "" when it may.

    Args:
        before: the release that is on the host, "" for none.
        wanted: the one wanted.
        upgrade_from: the series that the administrator confirms to come from.
    """
    old, new = version(before), version(wanted)
    if not before or new is None:
        return ""
    if old is None:
        return (
            f"mailu_version: {before} is on the host, which is not known here; bring it to one of "
            f"{', '.join(mailu.SERIES)} first, as its own documentation says"
        )
    if new.rank < old.rank:
        return (
            f"mailu_version: {wanted} is older than {before}, which is on the host: its database "
            f"cannot go back from {old.series} to {new.series}; allowed: {old.series} and later, or "
            "a restored backup from before"
        )
    if new.rank > old.rank and upgrade_from != old.series:
        return (
            f"mailu_version: {before} is on the host, and {wanted} is another series: there is no way "
            f"back. Make a backup, read docs/mailu.md (From one series to the next), and confirm "
            f"with mailu_upgrade_from: '{old.series}'"
        )
    return ""


def installed(files: Mapping[str, str | None]) -> str:
    """Return the release that a host's files name, "" when they name none.

    Args:
        files: ``.env`` and ``docker-compose.yml`` -> text, None where there is none.
    """
    match = re.search(r"^MAILU_VERSION=['\"]?([\w.]+)", files.get(".env") or "", re.MULTILINE)
    if not match:
        text = files.get("docker-compose.yml") or ""
        match = re.search(r"\$\{MAILU_VERSION:-([\w.]+)\}", text)
        match = match or re.search(r"image:.*mailu\S*/\w*admin:([\w.]+)", text)
    return match.group(1) if match else ""


def private_subnet6(hostname: str) -> str:
    """Return a private IPv6 network that is always the same for a name (RFC 4193 section 3.2)."""
    digits = hashlib.sha256(hostname.encode()).hexdigest()[:10]
    return str(ipaddress.ip_network(f"fd{digits[:2]}:{digits[2:6]}:{digits[6:10]}::/64"))


def relay_problems(bind_ipv4: str, bind_ipv6: str, engine: Mapping[str, Any] | None) -> list[str]:
    """Say where strangers would appear with an address that Mailu trusts.

    The engine's helper (userland proxy) hands connections on with the address of the stack's own
    network, whose members may relay: https://github.com/Mailu/Mailu/issues/3680.

    Args:
        bind_ipv4, bind_ipv6: where ports are published; "" for not at all.
        engine: ``iptables``, ``ip6tables`` and ``userland_proxy`` as the engine is set; None while
            there is none.
    """
    if engine is None:
        return []
    found = []
    if not engine["iptables"]:
        found.append(
            "the engine makes no packet filter rules (iptables: false in daemon.json), so Mailu is an "
            "open relay; remove that setting"
        )
    off = "set userland-proxy: false (docker_daemon_config: {userland-proxy: false})"
    if bind_ipv4 == "0.0.0.0" and engine["userland_proxy"]:
        found.append(
            "mailu_bind_ipv4: '0.0.0.0' is an open relay while the engine's userland proxy is on; "
            f"allowed: one address of the host, or {off}"
        )
    if bind_ipv6 and engine["userland_proxy"]:
        found.append(
            f"mailu_bind_ipv6: {bind_ipv6!r} may be an open relay while the engine's userland proxy "
            f"is on; allowed: empty, or {off}"
        )
    if bind_ipv6 and not engine["ip6tables"]:
        found.append(
            f"mailu_bind_ipv6: {bind_ipv6!r} needs the engine's rules for IPv6; allowed: empty, or set "
            "ip6tables: true (docker_ipv6: true)"
        )
    return found


def plan(
    options: Mapping[str, Any],
    host: Mapping[str, Any] | None = None,
    files: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Return what the role is to write, and what keeps it from that.

    Args:
        options: the role's variables, without their prefix.
        host: what ``host_info`` returned with ``route`` and ``engine`` gathered; None before it was
            looked at.
        files: ``docker-compose.yml`` and ``.env`` as they are on the host.

    Returns:
        ``problems`` (sentences; with one the rest is not to be used), ``series``, ``own`` (pairs for
        ``stack_config``), ``settings`` (what that made of it), ``compose`` (mapping), ``files`` (for
        ``project_files``), ``directories``, ``watch`` (service -> directories that it reads at start),
        ``bind_ipv4``, ``bind_ipv6``, ``installed`` (release), ``networks_changed`` (whether one that
        is there must be made anew) and ``networks_gone`` (names of those to remove).
    """
    host = host or {}
    files = files or {}
    problems = _simple_problems(options)
    series = getattr(version(str(options["version"])), "series", mailu.STACK["version"])
    bind_ipv4, bind_ipv6 = _bindings(options, host, problems)
    subnet6 = options["subnet6"] if options["subnet6"] != "auto" else ""
    if options["subnet6"] == "auto" and options["bind_ipv6"] and options["hostnames"]:
        subnet6 = private_subnet6(str(options["hostnames"][0]))
    if options["bind_ipv6"] and not subnet6:
        problems.append(
            f"mailu_bind_ipv6: {options['bind_ipv6']!r} needs an IPv6 network (mailu_subnet6: auto): "
            "without one every client over IPv6 may relay"
        )
    own = _own(options, bind_ipv4, bind_ipv6, subnet6)
    settings = config.resolve(
        mailu.STACK,
        {"WEBROOT_REDIRECT": _web_root(options), **options["config"]},
        own,
        extra=options["config_extra"],
        option="mailu_config",
        series=series,
    )
    problems += settings["problems"]
    problems += relay_problems(bind_ipv4, bind_ipv6, host.get("engine"))
    before = installed(files)
    trouble = upgrade_problem(before, str(options["version"]), str(options["upgrade_from"]))
    problems += [trouble] if trouble else []
    overrides = _overrides(options, problems)
    result = {
        "problems": problems,
        "series": series,
        "installed": before,
        "settings": settings,
        "bind_ipv4": bind_ipv4,
        "bind_ipv6": bind_ipv6,
        "compose": {},
        "files": [],
        "directories": [],
        "watch": {},
        "networks_changed": False,
        "networks_gone": [],
    }
    if problems:
        return result
    ports = settings["effective"].get("PORTS")
    compose = mailu_compose.compose(
        {
            **{name: options[name] for name in mailu_compose.DEFAULTS},
            "series": series,
            "version": options["version"],
            "root": options["root"].rstrip("/"),
            "subnet": options["subnet"],
            "subnet6": subnet6,
            "bind_ipv4": bind_ipv4 or "127.0.0.1",
            "bind_ipv6": bind_ipv6,
            "ports": [int(port) for port in ports.split(",")] if ports else list(_ALL_PORTS),
            "mtu": _mtu(options["mtu"], host),
            "egress_ipv4": _egress(options["egress_ipv4"], bind_ipv4, host),
        }
    )
    try:
        compose = compose_override.merge(compose, options["compose_override"])
    except ValueError as error:
        result["problems"] = [f"mailu_compose_override: {error}"]
        return result
    result["compose"] = compose
    text = files.get("docker-compose.yml")
    networks = _networks(text or "")
    # Compose makes new ones by itself, and leaves those behind that are not wanted any more.
    result["networks_changed"] = any(
        networks[name] != compose["networks"][name]
        for name in networks.keys() & compose["networks"]
    )
    result["networks_gone"] = sorted(
        f"{compose['name']}_{name}" for name in networks.keys() - compose["networks"].keys()
    )
    result["files"] = [
        {"path": "docker-compose.yml", "content": dump(compose), "mode": "0644"},
        {"path": ".env", "content": _dotenv(options), "mode": "0644"},
        *(
            {"path": "overrides/" + item["path"], "content": item["text"], "mode": "0644"}
            for item in overrides
        ),
    ]
    for service in mailu_compose.services(options):
        if service["overrides"]:
            folder = "overrides/" + service["overrides"].format(webmail=options["webmail"])
            result["watch"][service["name"]] = [folder]
    folders = sorted(folder for group in result["watch"].values() for folder in group)
    result["directories"] = [*_DIRECTORIES, *folders]
    return result


def dump(compose: Mapping[str, Any]) -> str:
    """Return a Compose file's text, in the order given and with what manages it in its first line."""
    text = yaml.dump(_plain(compose), Dumper=_Dumper, sort_keys=False, width=1000)
    return _HEADER + text


class _Dumper(yaml.SafeDumper):
    """Writes lists indented below their key, and no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent lists below their key, too."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write everything out."""
        return True


def _plain(value: Any) -> Any:
    """Ansible's own string and container types as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _networks(text: str) -> dict[str, Any]:
    """The networks of a Compose file; none when it cannot be read."""
    try:
        found = (yaml.safe_load(text) or {}).get("networks")
    except (yaml.YAMLError, AttributeError):
        found = None
    return found if isinstance(found, dict) else {}


def _dotenv(options: Mapping[str, Any]) -> str:
    return (
        f"{_HEADER}MAILU_VERSION={options['version']}\n"
        f"DOCKER_ORG={options['org']}\nDOCKER_PREFIX={options['prefix']}\n"
    )


def _simple_problems(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with single variables that no key of mailu.env stands for."""
    found = [version_problem(str(options["version"]), options["accept_insecure_version"])]
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+/?", options["root"]):
        found.append(
            f"mailu_root: {options['root']!r}; allowed: an absolute path of letters, digits and ._-"
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9./:_-]*", str(options["org"])):
        found.append(f"mailu_org: {options['org']!r}; allowed: REGISTRY/ORGANISATION")
    if not re.fullmatch(r"[a-z0-9._-]*", str(options["prefix"])):
        found.append(f"mailu_prefix: {options['prefix']!r}; allowed: a-z, 0-9 and ._-")
    if not re.fullmatch(r"auto|0|[0-9]{3,5}", str(options["mtu"])):
        found.append(f"mailu_mtu: {options['mtu']!r}; allowed: auto, 0, or bytes (500 and more)")
    for name in ("bind_ipv4", "egress_ipv4"):
        value = options[name]
        trouble = value_kind.problem(value, "ipv4", empty=name == "egress_ipv4")
        if value != "auto" and trouble:
            found.append(f"mailu_{name}: {value!r}; {trouble}, or auto")
    value = options["bind_ipv6"]
    if value == "::":
        found.append(
            "mailu_bind_ipv6: '::' is every address; allowed: one IPv6 address of the host, or empty"
        )
    elif value != "auto" and value_kind.problem(value, "ipv6", empty=True):
        found.append(f"mailu_bind_ipv6: {value!r}; allowed: an IPv6 address, auto, or empty")
    release = version(str(options["version"]))
    if release and release.series == "2.0" and options["fts_attachments"]:
        found.append("mailu_fts_attachments: true; Mailu 2.0 cannot search in attachments")
    flavor, pair = options["tls_flavor"], (options["tls_certificate"], options["tls_key"])
    if bool(pair[0]) != bool(pair[1]):
        found.append("mailu_tls_certificate and mailu_tls_key go together: set both or none")
    if flavor in ("mail", "mail-letsencrypt", "notls"):
        reason = (
            "mail is sent unprotected" if flavor == "notls" else "it is left over from Mailu 1.x"
        )
        found.append(f"mailu_tls_flavor: {flavor!r}: {reason}; allowed: letsencrypt, cert")
    elif flavor != "cert" and any(pair):
        found.append(
            f"mailu_tls_certificate is of no use with mailu_tls_flavor: {flavor!r}; set it to cert"
        )
    return [text for text in found if text]


def _bindings(
    options: Mapping[str, Any], host: Mapping[str, Any], problems: list[str]
) -> tuple[str, str]:
    """The addresses that ports are published on; "" for none, or while the host is not known."""
    found = []
    for family in ("ipv4", "ipv6"):
        value = str(options["bind_" + family])
        if value == "auto":
            route = (host.get("default_route") or {}).get(family) or {}
            value = route.get("source") or ""
            if host and not value:
                problems.append(
                    f"mailu_bind_{family}: 'auto' finds no address, as the host has no default route; "
                    "allowed: an address of the host"
                )
        found.append(value)
    return found[0], found[1]


def _mtu(value: Any, host: Mapping[str, Any]) -> int:
    """The MTU to write; 0 where it is what the engine gives every network."""
    if str(value) == "auto":
        route = (host.get("default_route") or {}).get("ipv4") or {}
        value = min(route.get("mtu") or 1500, 1500)
    return 0 if int(value) == 1500 else int(value)


def _egress(value: str, bind_ipv4: str, host: Mapping[str, Any]) -> str:
    """The address that mail leaves from, where that is not the host's own choice."""
    if value != "auto":
        return value
    route = (host.get("default_route") or {}).get("ipv4") or {}
    source = route.get("source") or bind_ipv4
    return "" if bind_ipv4 in ("", "0.0.0.0", source) else bind_ipv4


def _web_root(options: Mapping[str, Any]) -> str:
    """Where / leads unless somebody says otherwise: without it Mailu answers with 404."""
    if options["webmail"] != "none":
        path = options["config"].get("WEB_WEBMAIL", "/webmail")
        # The webmail at / is there already.
        return "" if path == "/" else path
    return options["config"].get("WEB_ADMIN", "/admin") if options["admin"] else ""


def _own(
    options: Mapping[str, Any], bind_ipv4: str, bind_ipv6: str, subnet6: str
) -> dict[str, tuple[str, Any]]:
    """Keys of mailu.env that variables of the role decide."""
    return {
        "DOMAIN": ("mailu_domain", options["domain"]),
        "HOSTNAMES": ("mailu_hostnames", ",".join(map(str, options["hostnames"]))),
        "POSTMASTER": ("mailu_postmaster", options["postmaster"]),
        "TZ": ("mailu_timezone", options["timezone"]),
        "SUBNET": ("mailu_subnet", options["subnet"]),
        "SUBNET6": ("mailu_subnet6", subnet6),
        "TLS_FLAVOR": ("mailu_tls_flavor", options["tls_flavor"]),
        "ADMIN": ("mailu_admin", options["admin"]),
        "API": ("mailu_api", options["api"]),
        "WEBMAIL": ("mailu_webmail", options["webmail"]),
        "WEBDAV": ("mailu_webdav", "radicale" if options["webdav"] else "none"),
        "ANTIVIRUS": ("mailu_antivirus", "clamav" if options["antivirus"] else "none"),
        "SCAN_MACROS": ("mailu_oletools", options["oletools"]),
        "FETCHMAIL_ENABLED": ("mailu_fetchmail", options["fetchmail"]),
        "FULL_TEXT_SEARCH_ATTACHMENTS": ("mailu_fts_attachments", options["fts_attachments"]),
        "BIND_ADDRESS4": ("mailu_bind_ipv4", bind_ipv4),
        "BIND_ADDRESS6": ("mailu_bind_ipv6", bind_ipv6),
        "MAILU_VERSION": ("mailu_version", options["version"]),
        "DOCKER_ORG": ("mailu_org", options["org"]),
        "DOCKER_PREFIX": ("mailu_prefix", options["prefix"]),
    }


def _overrides(options: Mapping[str, Any], problems: list[str]) -> list[dict]:
    try:
        return mailu_overrides.overrides(_plain(options["overrides"]), options["webmail"])
    except mailu_overrides.OverrideError as error:
        problems.append(f"mailu_{error}")
        return []
