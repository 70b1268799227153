# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings of the role postfix mean for main.cf, master.cf and lookup tables.

Rules: https://www.postfix.org/STANDARD_CONFIGURATION_README.html (the profiles),
https://www.postfix.org/SMTPD_ACCESS_README.html (relay restrictions),
https://www.postfix.org/ADDRESS_VERIFICATION_README.html (backup MX),
https://www.postfix.org/SASL_README.html (smarthost, submission),
https://www.postfix.org/TLS_README.html.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ansible_collections.postmaster.mailhost.plugins.module_utils.value_kind import fqdn_problem

PROFILES = ("null_client", "smarthost", "mail_host", "backup_mx")

#: Where the role keeps its tables.
TABLES = "/etc/postfix/mailhost"

# Read whole when a process starts: no compiled copy that could be older, or readable to others.
_TABLE = "texthash:" + TABLES + "/"

_LOOPBACK = ["127.0.0.0/8", "[::1]/128"]

# Spelt so that Postfix before 3.6 knows it, too. RFC 8996 withdraws TLS 1.0 and 1.1.
_OLD_TLS = "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"

_NO_LOCAL_DELIVERY = "error:local delivery is disabled"

_RECIPIENTS = ("permit_mynetworks", "permit_sasl_authenticated", "reject_unauth_destination")

# A value of a parameter that names a table of the role.
_OURS = r".*\b" + re.escape(_TABLE) + ".*"

# What a profile sets and another one does not: parameter, the values that it got from the role, and
# what goes with it. With other values it is the administrator's own, and stays.
_MANAGED = (
    ("local_transport", re.escape(_NO_LOCAL_DELIVERY), ()),
    ("relay_recipient_maps", _OURS, ()),
    (
        "smtp_sasl_password_maps",
        _OURS,
        # Postfix refuses to send when it is to log in and has no passwords.
        ("smtp_sasl_auth_enable", "smtp_sasl_security_options"),
    ),
    ("smtp_tls_mandatory_protocols", re.escape(_OLD_TLS), ()),
    ("smtpd_helo_required", "yes", ()),
    (
        "smtpd_recipient_restrictions",
        re.escape(", ".join(_RECIPIENTS))
        + r"(, reject_rbl_client [^\s,]+=127\.[^\s,]+)*(, reject_unverified_recipient)?",
        (),
    ),
    ("smtpd_tls_mandatory_protocols", re.escape(_OLD_TLS), ()),
    ("smtpd_tls_security_level", "may|none", ()),
    (
        "transport_maps",
        _OURS,
        ("address_verify_positive_expire_time", "unverified_recipient_reject_code"),
    ),
    ("virtual_alias_maps", _OURS, ()),
)

# The same for what the administrator names: parameter and setting.
_NAMED = (
    ("mailbox_transport", "mailbox_transport"),
    ("smtpd_tls_cert_file", "tls_certificate"),
    ("smtpd_tls_key_file", "tls_key"),
)

# Parameters that settings of their own look after.
_ELSEWHERE = {"mynetworks": "postfix_networks", "relay_domains": "postfix_backup_domains"}

# Of a list of restrictions the first of these decides about strangers.
_CLOSING = ("reject_unauth_destination", "defer_unauth_destination", "reject", "defer")
_OPENING = re.compile(r"permit|static:(ok|permit|relay|\d+)?", re.IGNORECASE)

# Nobody outside can answer to these: RFC 1918, RFC 6598, RFC 4193, and link-local ones.
_INTERNAL = [
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]

_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\Z")
_NEXT_HOP = re.compile(r"(\[[A-Za-z0-9:.-]+\]|[A-Za-z0-9.-]+)(:(\d{1,5}|[a-z]+))?\Z")
_LIFETIME = re.compile(r"\d+[smhdw]?\Z")


class SettingError(ValueError):
    """A setting cannot be used; the text names it, its value and what is allowed."""


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the role's settings ask of Postfix.

    Args:
        given: the role's variables without their prefix ``postfix_``.

    Returns:
        dict: ``parameters`` (name to value), ``absent`` (parameters that are to have Postfix's
        default), ``absent_if`` (those that are, if they have a value that the role gave them; keys
        ``parameter``, ``matches`` and ``also``), ``if_known`` (parameters that older releases do not
        have), ``services`` (entries of master.cf) and ``tables`` (file name to text; the one named
        ``sasl_passwd`` is a secret).

    Raises:
        SettingError: a setting cannot be used.
    """
    _look(given)
    profile = given["profile"]
    parameters: dict[str, Any] = {
        "myhostname": given["hostname"],
        "myorigin": given["origin"] or given["hostname"],
        "mynetworks": _LOOPBACK + [_bracketed(network) for network in given["networks"]],
        "relayhost": given["smarthost"],
        "smtp_bind_address": given["bind_ipv4"],
        "smtp_bind_address6": given["bind_ipv6"],
        # The default goes on with any address when this one cannot be had.
        "smtp_bind_address_enforce": bool(given["bind_ipv4"] or given["bind_ipv6"]),
        "proxy_interfaces": given["proxy_interfaces"],
        "maximal_queue_lifetime": given["queue_lifetime"],
        "bounce_queue_lifetime": given["queue_lifetime"],
        "message_size_limit": given["message_size_limit"],
        "smtpd_relay_restrictions": [
            "permit_mynetworks",
            "permit_sasl_authenticated",
            "reject_unauth_destination",
        ],
        "smtp_tls_security_level": "may",
        "smtpd_tls_auth_only": True,
        "disable_vrfy_command": True,
    }
    tables: dict[str, str] = {}
    own = {(entry["service"], entry.get("type", "inet")) for entry in given["services"]}
    services = [
        entry for entry in _submission(given) if (entry["service"], entry["type"]) not in own
    ]
    if profile == "null_client":
        parameters.update(
            inet_interfaces="loopback-only",
            mydestination="",
            local_transport=_NO_LOCAL_DELIVERY,
            relay_domains="",
        )
    else:
        parameters.update(inet_interfaces="all", relay_domains="")
        names = ["$myhostname", "localhost.$mydomain", "localhost"]
        delivered = given["domains"] if profile == "mail_host" else []
        parameters["mydestination"] = names + list(delivered)
        parameters["smtpd_recipient_restrictions"] = _recipient_restrictions(given)
        parameters["smtpd_helo_required"] = True
        parameters.update(_server_tls(given))
    if profile == "mail_host" and given["mailbox_transport"]:
        parameters["mailbox_transport"] = given["mailbox_transport"]
    if profile == "backup_mx":
        parameters["relay_domains"] = list(given["backup_domains"])
        parameters["transport_maps"] = [_TABLE + "transport"]
        # What was found out is kept, so that known recipients are taken while the primary is away.
        parameters["address_verify_positive_expire_time"] = "31d"
        parameters["unverified_recipient_reject_code"] = 550
        tables["transport"] = "".join(
            "{0} relay:{1}\n".format(domain, hop)
            for domain, hop in sorted(given["backup_domains"].items())
        )
    if profile == "backup_mx" and given["backup_recipients"]:
        parameters["relay_recipient_maps"] = [_TABLE + "relay_recipients"]
        tables["relay_recipients"] = "".join(
            "{0} OK\n".format(address) for address in sorted(given["backup_recipients"])
        )
    if given["smarthost_user"]:
        parameters.update(
            smtp_sasl_auth_enable=True,
            smtp_sasl_password_maps=[_TABLE + "sasl_passwd"],
            smtp_sasl_security_options="noanonymous",
            # A password never leaves without encryption.
            smtp_tls_security_level="encrypt",
        )
        tables["sasl_passwd"] = "{0} {1}:{2}\n".format(
            given["smarthost"], given["smarthost_user"], given["smarthost_password"]
        )
    if given["aliases"]:
        # For every profile, also where nothing is delivered on the host itself.
        parameters["virtual_alias_maps"] = [_TABLE + "aliases"]
        tables["aliases"] = "".join(
            "{0} {1}\n".format(name, ", ".join([to] if isinstance(to, str) else to))
            for name, to in sorted(given["aliases"].items())
        )
    parameters.update(given["parameters"])
    absent = [name for name, value in parameters.items() if value is None]
    absent_if = _of_earlier_runs(given, parameters)
    parameters = {name: value for name, value in parameters.items() if value is not None}
    return {
        "absent": absent,
        "absent_if": absent_if,
        "parameters": parameters,
        "if_known": ["smtp_bind_address_enforce"],
        "services": services + list(given["services"]),
        "tables": tables,
    }


def _of_earlier_runs(given: dict[str, Any], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what another profile may have left behind, in the form of postconf's ``absent_if``."""
    named = [
        (name, re.escape(" ".join(given[setting].split())), ())
        for name, setting in _NAMED
        if given[setting]
    ]
    return [
        {
            "parameter": name,
            "matches": values,
            "also": [other for other in also if other not in parameters],
        }
        for name, values, also in (*_MANAGED, *named)
        if name not in parameters
    ]


def _recipient_restrictions(given: dict[str, Any]) -> list[str]:
    wanted = list(_RECIPIENTS)
    for entry in given["dnsbl"]:
        # Without the filter, a list's error answer would reject all mail.
        wanted.append("reject_rbl_client {0}={1}".format(entry["zone"], entry["codes"]))
    if given["profile"] == "backup_mx" and not given["backup_recipients"]:
        # Taking what the primary refuses later would send bounces to forged senders.
        wanted.append("reject_unverified_recipient")
    return wanted


def _server_tls(given: dict[str, Any]) -> dict[str, Any]:
    if not given["tls_certificate"]:
        return {"smtpd_tls_security_level": "none"}
    return {
        "smtpd_tls_security_level": "may",
        # Rather than the newer smtpd_tls_chain_files, which would win over these two.
        "smtpd_tls_cert_file": given["tls_certificate"],
        "smtpd_tls_key_file": given["tls_key"],
        "smtpd_tls_mandatory_protocols": _OLD_TLS,
        "smtp_tls_mandatory_protocols": _OLD_TLS,
    }


def _submission(given: dict[str, Any]) -> list[dict[str, Any]]:
    profile = given["profile"]
    services = []
    for name, wrapped in (("submission", False), ("submissions", True)):
        entry: dict[str, Any] = {"service": name, "type": "inet"}
        # Blanks and blocklists are for servers, not for people who log in.
        known = {
            "syslog_name": "postfix/" + name,
            "smtpd_recipient_restrictions": "permit_sasl_authenticated,reject",
        }
        if profile != "mail_host" or not given["submission"]:
            # An administrator's own entry stays.
            entry.update(state="absent", options=known)
        else:
            entry.update(
                command="smtpd",
                options={
                    **known,
                    "smtpd_tls_security_level": "encrypt",
                    "smtpd_tls_wrappermode": wrapped,
                    "smtpd_sasl_auth_enable": True,
                    "smtpd_sasl_type": given["sasl_type"],
                    "smtpd_sasl_path": given["sasl_path"],
                    "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
                },
            )
        services.append(entry)
    return services


def _look(given: dict[str, Any]) -> None:
    profile = given["profile"]
    if profile not in PROFILES:
        raise _refused("profile", profile, ", ".join(PROFILES))
    problem = fqdn_problem(given["hostname"])
    if problem or given["hostname"].startswith("localhost."):
        raise _refused(
            "hostname",
            given["hostname"],
            "a fully qualified name that resolves to the sending address, such as mail.example.org"
            + (" ({0})".format(problem) if problem else ""),
        )
    for name in ("domains", "backup_domains"):
        for domain in given[name]:
            if not _DOMAIN.match(domain):
                raise _refused(name, domain, "mail domains in lower case")
    for network in given["networks"]:
        _look_at_network(network)
    for name, version in (("bind_ipv4", 4), ("bind_ipv6", 6)):
        _look_at_bind(given, name, version)
    for name, to in given["aliases"].items():
        if not re.match(r"[^\s:@]+(@[^\s:@]+)?\Z", name) or not to:
            raise _refused(
                "aliases", {name: to}, "a name or address, and the addresses it stands for"
            )
    hops = {"backup_domains: " + domain: hop for domain, hop in given["backup_domains"].items()}
    if given["smarthost"]:
        hops["smarthost"] = given["smarthost"]
    for name, hop in hops.items():
        if not _NEXT_HOP.match(hop):
            raise _refused(
                name, hop, "[name], [name]:port or [address]; without brackets the name's MX"
            )
    if bool(given["smarthost_user"]) != bool(given["smarthost_password"]):
        raise SettingError(
            "postfix_smarthost_user and postfix_smarthost_password belong together; only one is set"
        )
    if given["smarthost_user"] and not given["smarthost"]:
        raise SettingError("postfix_smarthost_user is set, but no postfix_smarthost")
    if profile == "smarthost" and not given["smarthost"]:
        raise _refused("smarthost", "", "the relay to send through, for the profile smarthost")
    if (profile == "backup_mx") != bool(given["backup_domains"]):
        raise SettingError(
            "postfix_backup_domains is {0}; allowed: domain to primary for the profile backup_mx, "
            "nothing for others".format(given["backup_domains"])
        )
    if bool(given["tls_certificate"]) != bool(given["tls_key"]):
        raise SettingError(
            "postfix_tls_certificate and postfix_tls_key belong together; only one is set"
        )
    if profile == "mail_host" and given["submission"] and not given["tls_certificate"]:
        raise SettingError(
            "postfix_submission is true without postfix_tls_certificate: passwords would cross the "
            "network in clear"
        )
    _look_at_relaying(given["parameters"])
    if not _LIFETIME.match(str(given["queue_lifetime"])):
        raise _refused("queue_lifetime", given["queue_lifetime"], "a time such as 5d or 12h")
    for entry in given["dnsbl"]:
        if not re.match(r"127\.[0-9.\[\];]+\Z", str(entry.get("codes", ""))):
            raise _refused(
                "dnsbl: {0}".format(entry.get("zone")),
                entry.get("codes"),
                "codes that mean a listing, such as 127.0.0.[2..11]; without them an answer that "
                "reports an error would reject all mail",
            )


def _look_at_relaying(parameters: dict[str, Any]) -> None:
    for name, setting in _ELSEWHERE.items():
        if name in parameters:
            raise SettingError(
                "postfix_parameters: {0} is {1!r}; allowed: {2}, which cannot make it an open "
                "relay".format(name, parameters[name], setting)
            )
    restrictions = parameters.get("smtpd_relay_restrictions", "reject")
    # Without a value it is Postfix's default, which is closed.
    if restrictions is not None and not _closed(restrictions):
        raise SettingError(
            "postfix_parameters: smtpd_relay_restrictions is {0!r}, an open relay; allowed: "
            "restrictions with {1}, and nothing before it that permits everybody".format(
                restrictions, " or ".join(_CLOSING[:2])
            )
        )


def _closed(restrictions: Any) -> bool:
    """Whether a list of restrictions, or its text, refuses strangers."""
    items = restrictions if isinstance(restrictions, list) else [restrictions]
    text = " ".join(str(item) for item in items)
    # What is in braces belongs to a table or a policy server.
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", "", text)
    before = ""
    for word in re.split(r"[\s,]+", text):
        if _OPENING.fullmatch(word):
            return False
        # What stands behind warn_if_reject is only logged.
        if word.lower() in _CLOSING and before != "warn_if_reject":
            return True
        before = word.lower()
    return False


def _look_at_network(network: str) -> None:
    try:
        parsed = ipaddress.ip_network(network)
    except ValueError:
        raise _refused("networks", network, "networks such as 192.0.2.0/24") from None
    least = 8 if parsed.version == 4 else 32
    if parsed.prefixlen < least:
        raise _refused(
            "networks", network, "nothing wider than /{0}: it would be an open relay".format(least)
        )


def _look_at_bind(given: dict[str, Any], name: str, version: int) -> None:
    value = given[name]
    if not value:
        return
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise _refused(name, value, "an IPv{0} address of the host".format(version)) from None
    if address.version != version:
        raise _refused(name, value, "an IPv{0} address of the host".format(version))
    if address.is_loopback or address.is_unspecified:
        raise _refused(name, value, "an address that others can reach")
    internal = any(
        address in network for network in _INTERNAL if network.version == address.version
    )
    if internal and not given["proxy_interfaces"]:
        raise _refused(
            name,
            value,
            "a public address; behind a translation of addresses, name the outside one in "
            "postfix_proxy_interfaces",
        )


def _bracketed(network: str) -> str:
    parsed = ipaddress.ip_network(network)
    if parsed.version == 4:
        return str(parsed)
    return "[{0}]/{1}".format(parsed.network_address, parsed.prefixlen)


def _refused(name: str, value: Any, allowed: str) -> SettingError:
    return SettingError("postfix_{0} is {1!r}; allowed: {2}".format(name, value, allowed))
