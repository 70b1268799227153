# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose project of Mailu, from its data and an administrator's options.

Source: what the images need, as upstream's set-up utility arranges it,
https://github.com/Mailu/Mailu/blob/2024.06/setup/flavors/compose/docker-compose.yml.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import mailu

#: Options that a service is there for, and whether they are on unless somebody says otherwise.
DEFAULTS = {
    "webmail": "roundcube",
    "antivirus": False,
    "webdav": False,
    "fetchmail": False,
    "oletools": True,
    "resolver": True,
    "fts_attachments": False,
    "admin": True,
}

#: ManageSieve came with 2024.06.
_SIEVE = 4190


def services(options: Mapping[str, Any]) -> list[dict]:
    """Return the services of the stack's data that are there with some options.

    Args:
        options: any of :data:`DEFAULTS`.
    """
    wanted = {**DEFAULTS, **options}
    return [
        service
        for service in mailu.SERVICES
        if not service["option"] or wanted[service["option"]] not in (False, "none")
    ]


def resolver_address(subnet: str) -> str:
    """Return the address of the resolver: the last but one of the network.

    The engine gives addresses from the beginning; the last one is for broadcasts.
    """
    network = ipaddress.ip_network(subnet)
    return str(network.broadcast_address - 1)


def compose(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of docker-compose.yml.

    Args:
        options: :data:`DEFAULTS`, and ``series``, ``version``, ``root`` (absolute path), ``subnet``,
            ``subnet6`` ("" for none), ``bind_ipv4``, ``bind_ipv6`` ("" for none), ``ports``
            (numbers), ``mtu`` (0 for the engine's), ``egress_ipv4`` ("" for the engine's choice).

    Returns:
        The mapping, in the order in which it is to be written.
    """
    wanted = {**DEFAULTS, **options}
    chosen = services(wanted)
    names = {service["name"] for service in chosen}
    networks = {"default": _default_network(wanted)}
    for name, service, way_out in mailu.NETWORKS:
        if service in names:
            networks[name] = {"driver": "bridge"}
            if not way_out:
                networks[name]["internal"] = True
            elif wanted["mtu"]:
                networks[name]["driver_opts"] = {_MTU: str(wanted["mtu"])}
    return {
        "name": mailu.STACK["project"],
        "services": {
            service["name"]: _service(service, wanted, names, set(networks)) for service in chosen
        },
        "networks": networks,
    }


_MTU = "com.docker.network.driver.mtu"


def _default_network(options: Mapping[str, Any]) -> dict[str, Any]:
    network: dict[str, Any] = {"driver": "bridge"}
    driver = {}
    if options["mtu"]:
        driver[_MTU] = str(options["mtu"])
    if options["egress_ipv4"]:
        driver["com.docker.network.host_ipv4"] = options["egress_ipv4"]
    if driver:
        network["driver_opts"] = driver
    subnets = [options["subnet"]]
    if options["subnet6"]:
        network["enable_ipv6"] = True
        subnets.append(options["subnet6"])
    network["ipam"] = {"driver": "default", "config": [{"subnet": subnet} for subnet in subnets]}
    return network


def _image(service: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    image = service["images"].get(options["series"], service["image"])
    if "/" in image or ":" in image:
        return image
    # Compose puts in what stands in .env, as upstream's own tools expect.
    name = "${DOCKER_ORG:-ghcr.io/mailu}/${DOCKER_PREFIX:-}" + image
    return f"{name}:${{MAILU_VERSION:-{options['version']}}}"


def _service(
    service: Mapping[str, Any], options: Mapping[str, Any], names: set[str], networks: set[str]
) -> dict[str, Any]:
    """One service; what refers to something that is not there is left out."""
    name, root = service["name"], options["root"]
    found: dict[str, Any] = {"image": _image(service, options), "restart": "always"}
    if service["hostname"]:
        found["hostname"] = service["hostname"]
    # 2.0 has a scanner of Mailu's own, which is set up by the same file as the others.
    own_scanner = name == "antivirus" and options["series"] == "2.0"
    if service["env"] or own_scanner:
        found["env_file"] = "mailu.env"
    if service["tag"]:
        found["logging"] = {"driver": "journald", "options": {"tag": service["tag"]}}
    if name == "front":
        found["ports"] = _ports(options)
    # The administrators' interface is reached through front; without it, on loopback alone.
    if name == "admin" and not options["admin"]:
        found["ports"] = ["127.0.0.1:8080:8080"]
    joined = [network for network in service["networks"] if network in networks]
    if name == "resolver":
        address = resolver_address(options["subnet"])
        found["networks"] = {"default": {"ipv4_address": address}}
    else:
        found["networks"] = joined
    volumes = list(service["volumes"])
    if own_scanner:
        volumes = [("filter", "/data", "")]
    if service["overrides"]:
        folder = service["overrides"].format(webmail=options["webmail"])
        volumes.append((f"overrides/{folder}", "/overrides", ":ro"))
    if volumes:
        # Several containers have some of them: labelled for all, where SELinux is enforced.
        found["volumes"] = [
            f"{root}/{source}:{target}{mode},z" if mode else f"{root}/{source}:{target}:z"
            for source, target, mode in volumes
        ]
    depends = [other for other in service["depends"] if other in names]
    if depends:
        found["depends_on"] = depends
    # In networks without it the resolver is reached through the engine.
    if "resolver" in depends:
        found["dns"] = [resolver_address(options["subnet"])]
    if name == "fts_attachments":
        found["healthcheck"] = {
            "test": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:9998/tika"],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "30s",
        }
    return found


def _ports(options: Mapping[str, Any]) -> list[str]:
    """What is published: the ports that Mailu opens, on the addresses that are named."""
    numbers = [
        number for number in options["ports"] if options["series"] != "2.0" or number != _SIEVE
    ]
    found = [f"{options['bind_ipv4']}:{number}:{number}" for number in numbers]
    if options["bind_ipv6"]:
        found += [f"[{options['bind_ipv6']}]:{number}:{number}" for number in numbers]
    return found
