# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an administrator wants to what stands in a stack's configuration file.

Pure functions on a stack's data; roles reach them through the filters of this collection.
"""

from __future__ import annotations

import textwrap

from ansible_collections.postmaster.mailhost.plugins.module_utils import value_kind
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import mailu_rules

TRUTH = {
    "yes_no": ("y", "n"),
    "true_false": ("true", "false"),
    "true_or_empty": ("true", ""),
    "yes_or_no": ("yes", "no"),
}


def bind_variable(variable: str) -> str:
    """Name of the key that holds the address of a port's key.

    ``HTTP_BIND`` for ``HTTP_PORT``. Not every port has one.
    """
    return variable[: -len("_PORT")] + "_BIND" if variable.endswith("_PORT") else variable + "_BIND"


def host_keys(stack: dict) -> list[str]:
    """Names of the keys that a host must suit.

    Args:
        stack: a stack's data, see :func:`stack.get`.

    Returns:
        Ports with their addresses, the project's name, the networks, what takes memory, and what
        does without a connection.
    """
    keys = {key["name"] for key in stack["keys"]}
    wanted = ["COMPOSE_PROJECT_NAME", stack["ipv6_key"][0]]
    for port in stack["ports"]:
        wanted += [port["variable"], port.get("bind", bind_variable(port["variable"]))]
    for network in stack["networks"]:
        wanted += [network["ipv4_key"][0], network["ipv6_key"][0]]
    wanted += [part["key"] for part in stack["memory_plan"]["components"]]
    wanted += [row["skip_key"] for row in stack["egress"] if "skip_key" in row]
    return [name for name in dict.fromkeys(wanted) if name in keys]


def layout(stack: dict, series: str = "") -> str:
    """Text of a new configuration file: every key in its section, below what it means.

    Args:
        stack: a stack's data, see :func:`stack.get`.
        series: the release series that the file is for; "" for any.

    Returns:
        The text. Keys without a default are there as ``#KEY=``; the values are filled in by
        whoever writes the file.
    """
    lines = ["# Managed by Ansible (postmaster.mailhost): keys set there are put back.", ""]
    section = ""
    for key in stack["keys"]:
        if key["compose_only"] or not in_series(stack, key, series):
            continue
        if key["section"] != section:
            section = key["section"]
            lines += ["# " + "-" * 30, "# " + section, "# " + "-" * 30]
        lines += textwrap.wrap(key["meaning"], 96, initial_indent="# ", subsequent_indent="# ")
        lines += ["%s%s=" % ("#" if key["optional"] else "", key["name"]), ""]
    return "\n".join(lines)


def as_text(value: object, kind: str) -> str | None:
    """One value as it stands in the file.

    Args:
        value: what an administrator wrote in YAML.
        kind: the kind of the key, see :mod:`value_kind`.

    Returns:
        The text, ``y`` or ``true`` for a truth value as the kind wants it; None when the value is
        of no usable type.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        if kind not in TRUTH:
            return None
        return TRUTH[kind][0 if value else 1]
    # Words that YAML takes for a truth value, written as text.
    if kind == "true_or_empty" and str(value).lower() in ("true", "yes", "false", "no"):
        return "true" if str(value).lower() in ("true", "yes") else ""
    if isinstance(value, (str, int)):
        return str(value)
    return None


def _cross_problems(stack: dict, effective: dict, option: str) -> list[str]:
    """What is wrong with values that are right one by one."""
    if stack["name"] == "mailu":
        return mailu_rules.problems(effective, option)
    problems = []
    for one, other in (
        ("DOVECOT_MASTER_USER", "DOVECOT_MASTER_PASS"),
        ("WATCHDOG_NOTIFY_WEBHOOK", "WATCHDOG_NOTIFY_WEBHOOK_BODY"),
    ):
        if bool(effective.get(one)) != bool(effective.get(other)):
            problems.append("%s.%s and %s go together: set both or none" % (option, one, other))
    for key in ("API_KEY", "API_KEY_READ_ONLY"):
        if effective.get(key) and not effective.get("API_ALLOW_FROM"):
            problems.append(
                "%s.%s needs API_ALLOW_FROM: without it the key is ignored" % (option, key)
            )
    if effective.get("ACME_DNS_CHALLENGE") == "y":
        for key, sample in (
            ("ACME_DNS_PROVIDER", "dns_xxx"),
            ("ACME_ACCOUNT_EMAIL", "me@example.com"),
        ):
            if effective.get(key) == sample:
                problems.append(
                    "%s.%s: %r is only a sample; ACME_DNS_CHALLENGE=y needs the real one"
                    % (option, key, sample)
                )
    used = {}
    for port in stack["ports"]:
        bind, number = binding(port, effective)
        if (
            port["variable"] in ("HTTP_PORT", "HTTPS_PORT")
            and number in stack["reserved_web_ports"]
        ):
            problems.append(
                "%s.%s: %s is used inside the container; allowed: any port but %s"
                % (option, port["variable"], number, ", ".join(stack["reserved_web_ports"]))
            )
        for address, other in used.get(number, []):
            if not address or not bind or address == bind:
                problems.append(
                    "%s: %s and %s are both on port %s" % (option, other, port["variable"], number)
                )
        used.setdefault(number, []).append((bind, port["variable"]))
    return problems


def resolve(
    stack: dict,
    config: dict,
    own: dict | None = None,
    own_defaults: dict | None = None,
    extra: list[str] = (),
    option: str = "config",
    series: str = "",
) -> dict:
    """Check an administrator's settings and spread them over the options of ``env_file``.

    Every key of the stack gets a value: the administrator's, else the stack's default. Keys that
    may only be set once (``create_only``) and have no value of the administrator's keep the one
    that is there.

    Args:
        stack: a stack's data, see :func:`stack.get`.
        config: key -> value, as the administrator wrote them.
        own: key -> value that other variables decide; they may not stand in ``config``. The
            value is a pair of the variable's name and the value.
        own_defaults: key -> value for keys that are not set in the file, unless in ``config``.
        extra: keys that the administrator declares although the stack does not know them.
        option: the variable that ``config`` comes from, for the errors.
        series: the release series that the file is for; keys of others do not exist. All when "".

    Returns:
        ``values``, ``secrets``, ``defaults``, ``generate``, ``absent``, ``create_only``,
        ``quote``, ``secret_keys`` and ``layout`` as ``env_file`` takes them; ``effective``
        (key -> value where it is known and no secret); and ``problems``, sentences that name the
        option, the value and what is allowed. With a problem the rest is not to be used.
    """
    own, own_defaults = own or {}, own_defaults or {}
    known = {key["name"]: key for key in stack["keys"] if in_series(stack, key, series)}
    foreign = {key["name"]: key for key in stack["keys"] if key["name"] not in known}
    own = {name: pair for name, pair in own.items() if name in known}
    values, secret_values, defaults, effective, problems = {}, {}, {}, {}, []

    def check(name: str, shown_as: str, value: object) -> str:
        key = known[name]
        text = as_text(value, key["kind"])
        wrong = (
            "allowed: one value, not a %s" % type(value).__name__
            if text is None
            else value_kind.problem(text, key["kind"], key["choices"], key["empty"])
        )
        if wrong:
            shown = "the value" if key["secret"] else repr(value)
            problems.append("%s: %s is not usable: %s" % (shown_as, shown, wrong))
        return text or ""

    for name in config:
        if name in own:
            problems.append("%s.%s: set %s instead" % (option, name, own[name][0]))
        elif name in stack["removed"] or name in stack["ignored"]:
            reason = stack["removed"].get(name) or stack["ignored"][name]
            problems.append("%s.%s is not used any more: %s" % (option, name, reason))
        elif name in foreign:
            problems.append(
                "%s.%s: %s %s does not know this key; it is of %s"
                % (option, name, stack["title"], series, _span(foreign[name]))
            )
        elif name not in known and name not in extra:
            problems.append(
                "%s.%s: %s has no such key%s; to write it all the same, list it in %s_extra"
                % (option, name, stack["title"], _similar(name, known), option)
            )

    for name, (variable, value) in own.items():
        effective[name] = check(name, variable, value)
        # What stands in the Compose file alone is checked here and written there.
        if not known[name]["compose_only"]:
            values[name] = effective[name]
    for name, key in known.items():
        if name in own:
            continue
        if name in config:
            text = check(name, "%s.%s" % (option, name), config[name])
            (secret_values if key["secret"] else values)[name] = text
            effective[name] = text
        elif name in own_defaults:
            defaults[name] = effective[name] = check(name, name, own_defaults[name])
        elif key["default"] is not None:
            target = defaults if key["create_only"] or key["secret"] else values
            target[name] = effective[name] = key["default"]
    for name in extra:
        if name in config and name not in known:
            text = as_text(config[name], "true_false")
            if text is None:
                problems.append("%s.%s: allowed: one value" % (option, name))
            values[name] = text or ""
    problems += _cross_problems(stack, effective, option)
    return {
        "values": values,
        "secrets": secret_values,
        "defaults": defaults,
        "generate": [
            {"key": name, "length": key["generate"]}
            for name, key in known.items()
            if key["generate"] and name not in secret_values
        ],
        "absent": sorted(stack["removed"]) + _undeclared(stack, {*known, *foreign}, config),
        "create_only": {n: key["create_only"] for n, key in known.items() if key["create_only"]},
        "quote": [name for name, key in known.items() if key["kind"] == "text"],
        "secret_keys": [name for name, key in known.items() if key["secret"]],
        "layout": layout(stack, series),
        "effective": {n: v for n, v in effective.items() if not known[n]["secret"]},
        "problems": problems,
    }


def in_series(stack: dict, entry: dict, series: str) -> bool:
    """Tell whether a release series of the stack knows a key.

    Args:
        stack: a stack's data, see :func:`stack.get`.
        entry: one of its keys.
        series: one of the stack's series; "" for any.
    """
    if not series:
        return True
    order = list(stack["series"])
    first = order.index(entry["since"]) if entry["since"] else 0
    last = order.index(entry["until"]) if entry["until"] else len(order)
    return first <= order.index(series) <= last


def _span(entry: dict) -> str:
    if entry["since"] and entry["until"]:
        return "%s to %s" % (entry["since"], entry["until"])
    return entry["since"] + " and later" if entry["since"] else entry["until"] + " and before"


def _undeclared(stack: dict, names: set[str], config: dict) -> list[str]:
    """Keys that may not stand in the file, as nobody has declared them."""
    if stack.get("undeclared") != "absent":
        return []
    return sorted(
        key["name"]
        for key in stack["keys"]
        if key["optional"]
        and key["name"] in names
        and key["name"] not in config
        and not key["compose_only"]
        # What a system that runs depends on is not taken from under it.
        and not (key["create_only"] or key["name"].endswith("DB_PW"))
    )


def _similar(name: str, known: dict) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return " (did you mean %s?)" % close[0] if close else ""


def needed_action(stack: dict, changed_keys: list[str]) -> str:
    """What must happen so that changed keys take effect.

    Args:
        stack: a stack's data, see :func:`stack.get`.
        changed_keys: names of the keys; unknown ones count as ``up``.

    Returns:
        The strongest of ``nothing``, ``up`` (recreate the services whose configuration changed)
        and ``down_up`` (networks are made anew).
    """
    changes = {key["name"]: key["change"] for key in stack["keys"]}
    order = list(stack["actions"])
    needed = [changes.get(name, "up") for name in changed_keys]
    return max(needed, key=order.index) if needed else "nothing"


def ipv6_ports(stack: dict, address: str, effective: dict) -> dict:
    """Override entries that publish ports on one IPv6 address as well.

    A port that is bound to an IPv4 address is not published over IPv6 any more (Docker 20 and
    later): https://docs.mailcow.email/post_installation/firststeps-ip_bindings/. A port that is
    bound to none is published on all IPv6 addresses already.

    Args:
        stack: a stack's data, see :func:`stack.get`.
        address: the IPv6 address.
        effective: key -> value of the configuration, for the port numbers and their addresses.

    Returns:
        ``{"services": {NAME: {"ports": ["[ADDRESS]:25:25", …]}}}``.

    Raises:
        ValueError: no public port is bound to an IPv4 address.
    """
    services = {}
    for port in stack["ports"]:
        bound, number = binding(port, effective)
        if port["public"] and bound:
            entry = "[%s]:%s:%s" % (address, number, port["container_port"] or number)
            services.setdefault(port["service"], {"ports": []})["ports"].append(entry)
    if not services:
        raise ValueError(
            "an IPv6 address for the ports is of use only where ports are bound to an IPv4 address "
            "(for example SMTP_PORT: 192.0.2.1:25); unbound ones are on every IPv6 address already"
        )
    return {"services": services}


def binding(port: dict, effective: dict) -> tuple[str, str]:
    """Address and number that a port is published on.

    Args:
        port: one of a stack's ``ports``.
        effective: key -> value of the configuration.

    Returns:
        The IPv4 address, empty for all, and the port's number; both as text.
    """
    address, _colon, number = (effective.get(port["variable"]) or str(port["port"])).rpartition(":")
    web = port["variable"].replace("_PORT", "_BIND")
    return address or effective.get(web, ""), number
