# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Mailu is, as data.

Sources: https://mailu.io/2024.06/compose/requirements.html (requirements),
https://mailu.io/2024.06/configuration.html (keys) and the Compose template of the set-up utility
(https://github.com/Mailu/Mailu/blob/master/setup/flavors/compose/docker-compose.yml).
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import outgoing
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.keys import (
    key as _key,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.keys import (
    secret as _secret,
)

DOCS = "https://mailu.io/2024.06/"


DATABASE = (
    "admin would start with an empty database; move the data first (config-export, config-import), "
    "then change mailu.env by hand"
)

# Releases that differ, oldest first; "master" is what the next one will be.
SERIES = ("2.0", "2024.06", "master")

# Releases below have known holes: CVE-2026-49217 (API tokens), GHSA-rfhj-4wcq-74xg (proxy
# authentication), and those that Roundcube 1.6.17 repairs.
SECURITY_FLOOR = "2024.06.56"


def _flag(name: str, default: str | None, meaning: str, **more: object) -> dict:
    return _key(name, default, "true_false", meaning, **more)


SECTIONS = [
    (
        "Names",
        [
            _key(
                "DOMAIN",
                None,
                "fqdn",
                "The main mail domain: postmaster's, that of reports, and of Let's Encrypt's contact.",
                optional=False,
            ),
            _key(
                "HOSTNAMES",
                None,
                "hostnames",
                "Names of this server. The first one is its name in SMTP; all are in the certificate.",
                optional=False,
            ),
            _key("POSTMASTER", "postmaster", "local_part", "Local part of the postmaster."),
            _key("TZ", "Etc/UTC", "timezone", "Time zone of the containers."),
            _key("SITENAME", "Mailu", "text", "Name in the web interface."),
            _key("WEBSITE", "https://mailu.io", "url", "Link in the web interface."),
            _key("LOGO_URL", None, "url", "Logo in the web interface.", empty=True),
            _key("LOGO_BACKGROUND", None, "text", "Colour behind the logo.", empty=True),
        ],
    ),
    (
        "Secrets",
        [
            _secret(
                "SECRET_KEY",
                16,
                "What sessions, devices and rewritten senders are signed with.",
                create_only="all sessions, known devices and bounces on their way would be lost, and "
                "all containers need the same one; take the stack down and write it by hand",
            ),
        ],
    ),
    (
        "Network (takes effect by down and up)",
        [
            _key(
                "SUBNET",
                "192.168.203.0/24",
                "ipv4_network",
                "The stack's private IPv4 network. Who is in it is trusted.",
                change="down_up",
            ),
            _key(
                "SUBNET6",
                "",
                "ipv6_prefix",
                "The stack's private IPv6 network; empty for none.",
                empty=True,
                change="down_up",
            ),
        ],
    ),
    (
        "Certificates and ports",
        [
            _key(
                "TLS_FLAVOR",
                "letsencrypt",
                "choice",
                "Where the certificate comes from.",
                choices=["letsencrypt", "cert"],
            ),
            _key("TLS_CERT_FILENAME", "cert.pem", "word", "Certificate below certs/, for cert."),
            _key("TLS_KEYPAIR_FILENAME", "key.pem", "word", "Its key below certs/, for cert."),
            _flag(
                "LETSENCRYPT_SHORTCHAIN", "false", "Leave Let's Encrypt's root out of the chain."
            ),
            _key(
                "PORTS",
                "25,80,443,465,993,995,4190",
                "ports",
                "Ports that are open. 110, 143 and 587 are closed unless they are added.",
                since="2024.06",
            ),
            _flag("TLS_PERMISSIVE", "true", "Old TLS on port 25, rather than none."),
            _flag("INBOUND_TLS_ENFORCE", "false", "Refuse mail without TLS (against RFC 3207)."),
            _key(
                "OUTBOUND_TLS_LEVEL",
                "dane",
                "choice",
                "TLS of outgoing mail.",
                choices=["may", "encrypt", "dane", "dane-only", "verify", "secure"],
            ),
            _key(
                "DEFER_ON_TLS_ERROR",
                "true",
                "true_or_empty",
                "Keep mail back while MTA-STS or DANE of the receiver fails.",
            ),
            _key(
                "PROXY_PROTOCOL",
                "",
                "word",
                "Ports on which a proxy speaks the PROXY protocol. Needs REAL_IP_FROM.",
                empty=True,
            ),
            _key(
                "REAL_IP_HEADER",
                "",
                "word",
                "Header in which a web proxy names the client. Needs REAL_IP_FROM.",
                empty=True,
            ),
            _key("REAL_IP_FROM", "", "networks", "Proxies to believe.", empty=True),
        ],
    ),
    (
        "Components",
        [
            _flag("ADMIN", "true", "The web interface for administrators."),
            _key(
                "WEBMAIL",
                "roundcube",
                "choice",
                "Webmail.",
                choices=["roundcube", "snappymail", "none"],
            ),
            _key(
                "WEBDAV",
                "none",
                "choice",
                "Calendars and address books.",
                choices=["radicale", "none"],
            ),
            _key("ANTIVIRUS", "none", "choice", "Virus scanner.", choices=["clamav", "none"]),
            _key(
                "ANTIVIRUS_ACTION",
                "discard",
                "choice",
                "What happens to a virus. Since 2024.06 it is rejected in either case.",
                choices=["discard", "reject"],
            ),
            _flag("SCAN_MACROS", "true", "Scan of Office documents."),
            _flag("FETCHMAIL_ENABLED", "false", "Fetch mail from other servers."),
            _key("FETCHMAIL_DELAY", "600", "integer", "Seconds between two rounds."),
            _key("FETCHMAIL_OPTIONS", None, "text", "Further lines of fetchmailrc.", empty=True),
            _key(
                "FULL_TEXT_SEARCH",
                "en",
                "languages",
                "Languages of the full-text search, or off.",
            ),
            _key(
                "FULL_TEXT_SEARCH_ATTACHMENTS",
                "",
                "true_or_empty",
                "Search in attachments.",
                since="2024.06",
            ),
        ],
    ),
    (
        "Web and API",
        [
            _key("WEB_ADMIN", "/admin", "web_path", "Path of the administrators' interface."),
            _key("WEB_WEBMAIL", "/webmail", "web_path", "Path of the webmail."),
            _key(
                "WEBROOT_REDIRECT",
                "",
                "text",
                "Where / leads: a path that is enabled, none, or empty for an error 404. Unless you set "
                "it, the role takes the webmail, else the administrators' interface.",
                empty=True,
            ),
            _flag("API", "false", "The REST interface."),
            _key("WEB_API", "/api", "web_path", "Path of the REST interface."),
            _key(
                "API_TOKEN",
                None,
                "token",
                "Token of the REST interface.",
                generate=32,
                secret=True,
            ),
            _key("SESSION_TIMEOUT", "3600", "integer", "Seconds until an idle session ends."),
            _key(
                "PERMANENT_SESSION_LIFETIME",
                "2592000",
                "integer",
                "Seconds until every session ends.",
            ),
            _flag(
                "SESSION_COOKIE_SECURE", None, "Cookies over HTTPS only; by TLS_FLAVOR if unset."
            ),
            _key("RECAPTCHA_PUBLIC_KEY", None, "word", "reCAPTCHA of the sign-up.", empty=True),
            _key("RECAPTCHA_PRIVATE_KEY", None, "word", "Its secret key.", empty=True, secret=True),
            _flag("DOMAIN_REGISTRATION", None, "Anybody may register a domain."),
            _key(
                "PROXY_AUTH_WHITELIST",
                None,
                "networks",
                "Proxies that may log users in by a header.",
                empty=True,
            ),
            _key("PROXY_AUTH_HEADER", None, "word", "That header.", empty=True),
            _flag("PROXY_AUTH_CREATE", None, "Make users that such a proxy names."),
            _key("PROXY_AUTH_LOGOUT_URL", None, "url", "Where such users log out.", empty=True),
            _key("ROUNDCUBE_PLUGINS", None, "word", "Further plugins, by commas.", empty=True),
        ],
    ),
    (
        "Limits",
        [
            _key("MESSAGE_SIZE_LIMIT", "50000000", "bytes", "Largest mail, in bytes."),
            _key("MESSAGE_RATELIMIT", "200/day", "rate", "Mails that one user may send."),
            _key(
                "MESSAGE_RATELIMIT_EXEMPTION", "", "emails", "Users without that limit.", empty=True
            ),
            _key(
                "AUTH_RATELIMIT_IP",
                "5/hour",
                "rate",
                "Unknown accounts that one network may try.",
            ),
            _key("AUTH_RATELIMIT_IP_V4_MASK", "24", "integer", "Size of such a network, IPv4."),
            _key("AUTH_RATELIMIT_IP_V6_MASK", "48", "integer", "Size of such a network, IPv6."),
            _key(
                "AUTH_RATELIMIT_USER",
                "50/day",
                "rate",
                "Wrong passwords that may be tried on one account.",
            ),
            _key(
                "AUTH_RATELIMIT_EXEMPTION", "", "networks", "Networks without limits.", empty=True
            ),
            _key(
                "AUTH_RATELIMIT_EXEMPTION_LENGTH",
                "86400",
                "integer",
                "Seconds without limits for an address from which a login succeeded.",
            ),
            _flag(
                "AUTH_REQUIRE_TOKENS",
                "false",
                "Mail programs need a token instead of the password.",
                since="2024.06",
            ),
            _key("CREDENTIAL_ROUNDS", "12", "integer", "Cost of password hashes."),
            _key("DEFAULT_QUOTA", "1000000000", "bytes", "Size of a new mailbox, in bytes."),
            _key("DEFAULT_SPAM_THRESHOLD", "80", "percent", "From which score on mail is spam."),
        ],
    ),
    (
        "Mail",
        [
            _key("RELAYNETS", "", "networks", "Networks that may relay without login.", empty=True),
            _key(
                "RELAYHOST", "", "relay_host", "Server that all mail is sent through.", empty=True
            ),
            _key("RELAYUSER", None, "text", "User there.", empty=True),
            _key("RELAYPASSWORD", None, "text", "Password there.", empty=True, secret=True),
            _key("RECIPIENT_DELIMITER", "+", "word", "What begins a suffix of a name.", empty=True),
            _key(
                "REJECT_UNLISTED_RECIPIENT",
                "no",
                "yes_or_no",
                "Refuse unknown recipients of users as they are named.",
            ),
            _key("WILDCARD_SENDERS", "", "emails", "Users who may use any sender.", empty=True),
            _key("DMARC_RUA", None, "local_part", "Where DMARC reports go, at DOMAIN."),
            _key("DMARC_RUF", None, "local_part", "Where DMARC failure reports go, at DOMAIN."),
            _flag("DMARC_SEND_REPORTS", "false", "Send DMARC reports daily.", since="master"),
            _key(
                "ANONMAIL_MAX_RETRIES", None, "integer", "Tries for a free alias.", since="master"
            ),
            _key("DKIM_SELECTOR", "dkim", "name", "Selector of DKIM's keys."),
            _key(
                "COMPRESSION",
                "",
                "choice",
                "Compression of stored mail.",
                choices=["gz", "bz2", "lz4", "zstd"],
                empty=True,
            ),
            _key("COMPRESSION_LEVEL", "", "digit", "How hard.", empty=True),
            _flag("WELCOME", "false", "Send a welcome to new users."),
            _key("WELCOME_SUBJECT", None, "text", "Its subject.", empty=True),
            _key("WELCOME_BODY", None, "text", "Its text, in one line.", empty=True),
        ],
    ),
    (
        "Database (SQLite in data/ unless set)",
        [
            _key(
                "DB_FLAVOR",
                None,
                "choice",
                "Kind of database.",
                choices=["sqlite", "postgresql", "mysql"],
                create_only=DATABASE,
            ),
            _key("DB_HOST", None, "word", "Its server.", create_only=DATABASE),
            _key("DB_NAME", None, "name", "Its name.", create_only=DATABASE),
            _key("DB_USER", None, "name", "Its user.", create_only=DATABASE),
            _key("DB_PW", None, "text", "The user's password.", secret=True),
            _key(
                "DB_APPENDIX", None, "text", "Options behind its URL.", empty=True, since="master"
            ),
            _key(
                "SQLALCHEMY_DATABASE_URI",
                None,
                "text",
                "URL of a database, in place of the keys above.",
                secret=True,
                create_only=DATABASE,
            ),
            *(
                _key("ROUNDCUBE_DB_" + name, None, kind, meaning, **more)
                for name, kind, meaning, more in (
                    (
                        "FLAVOR",
                        "choice",
                        "Kind of Roundcube's database.",
                        {"choices": ["sqlite", "postgresql", "mysql"], "create_only": DATABASE},
                    ),
                    ("HOST", "word", "Its server.", {"create_only": DATABASE}),
                    ("NAME", "name", "Its name.", {"create_only": DATABASE}),
                    ("USER", "name", "Its user.", {"create_only": DATABASE}),
                    ("PW", "text", "The user's password.", {"secret": True}),
                )
            ),
        ],
    ),
    (
        "Programs",
        [
            _key(
                "LOG_LEVEL",
                "INFO",
                "choice",
                "How much is logged. Failed logins are at INFO.",
                choices=["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
            ),
            _flag("DISABLE_STATISTICS", "true", "Do not tell Mailu's authors of this server."),
            _key("CPU_COUNT", None, "integer", "Processes of programs that have several."),
            _key("LD_PRELOAD", None, "word", "Memory allocator.", empty=True),
        ],
    ),
]

# Where the ports are published and which images are used stands in docker-compose.yml and .env.
COMPOSE_ONLY = [
    _key(name, None, kind, meaning, compose_only=True, empty=True)
    for name, kind, meaning in (
        ("BIND_ADDRESS4", "ipv4", "IPv4 address of the published ports."),
        ("BIND_ADDRESS6", "ipv6", "IPv6 address of the published ports."),
        ("MAILU_VERSION", "word", "Release of the images, in .env."),
        ("DOCKER_ORG", "word", "Registry and organisation of the images, in .env."),
        ("DOCKER_PREFIX", "word", "Beginning of the images' names, in .env."),
    )
]

REMOVED = {
    "AUTH_RATELIMIT": "replaced by AUTH_RATELIMIT_IP and AUTH_RATELIMIT_USER",
    "AUTH_RATELIMIT_SUBNET": "replaced by AUTH_RATELIMIT_IP_V4_MASK",
    "PASSWORD_SCHEME": "passwords are hashed with bcrypt_sha256; see CREDENTIAL_ROUNDS",
    "DISABLE_FETCHMAIL": "replaced by FETCHMAIL_ENABLED",
    "POSTFIX_LOG_FILE": "logs are in the journal (journalctl -t mailu-smtp)",
    "LOG_DRIVER": "docker-compose.yml names the log driver: journald",
    "COMPOSE_PROJECT_NAME": "Compose does not read it here; the project is called mailu",
    "MAILU_VERSION_FILE": "no container reads it; see mailu_version",
    "VERSION": "no container reads it; see mailu_version",
    "ROOT": "no container reads it; see mailu_root",
    "BIND_ADDRESS": "no container reads it; see mailu_bind_ipv4 and mailu_bind_ipv6",
    "ENABLE_CERTBOT": "replaced by TLS_FLAVOR; see mailu_tls_flavor",
    **{
        "HOST_" + name: "services are found by their names in docker-compose.yml"
        for name in (
            "ADMIN", "ANTISPAM", "ANTISPAM_MILTER", "ANTISPAM_WEBUI", "ANTIVIRUS", "AUTHSMTP",
            "FRONT", "IMAP", "LMTP", "POP3", "REDIS", "SMTP", "WEBDAV", "WEBMAIL",
        )
    },
}  # fmt: skip

IGNORED = {
    **{
        "INITIAL_ADMIN_" + name: "the password would stand in a file and in a process list; see "
        "mailu_admin_account"
        for name in ("ACCOUNT", "DOMAIN", "PW", "MODE")
    },
    "SECRET_KEY_FILE": "SECRET_KEY stands in mailu.env, which only root reads",
    **{
        name + "_ADDRESS": "services are found by their names in docker-compose.yml"
        for name in (
            "ADMIN", "ANTISPAM", "ANTIVIRUS", "FRONT", "FTS_ATTACHMENTS", "IMAP", "OLETOOLS",
            "REDIS", "SMTP", "WEBDAV", "WEBMAIL",
        )
    },
    "DKIM_PATH": "keys are in dkim/, where backups and the DNS records look for them",
}  # fmt: skip


def _port(name: str, port: int) -> dict:
    # The numbers are fixed: they stand in docker-compose.yml and have no variable.
    return {
        "name": name,
        "protocol": "tcp",
        "port": port,
        "variable": "",
        # Its address is what this key says; see BIND_ADDRESS4.
        "bind": "BIND_ADDRESS4",
        "service": "front",
        "container_port": port,
        "public": True,
        "address": "",
    }


def _service(name: str, image: str, **more: object) -> dict:
    entry = {
        "name": name,
        "image": image,
        # Images of series that have another one.
        "images": {},
        # The option that it is there for; "" for always.
        "option": "",
        # Whether it is given mailu.env.
        "env": True,
        "networks": ["default"],
        # Directory below the root, where it is in the container, and ":ro" or "".
        "volumes": [],
        "depends": [],
        "hostname": "",
        # Tag of its lines in the journal; "" for the engine's own log.
        "tag": "mailu-" + name,
        # Directory below overrides/ that it reads when it starts; {webmail} is the option's value.
        "overrides": "",
    }
    entry.update(more)
    return entry


# A network or a dependency on a service that is not there is left out.
SERVICES = (
    _service(
        "redis",
        "redis:alpine",
        env=False,
        tag="",
        volumes=[("redis", "/data", "")],
        depends=["resolver"],
    ),
    _service(
        "front",
        "nginx",
        networks=["default", "webmail", "radicale"],
        volumes=[("certs", "/certs", "")],
        depends=["resolver"],
        overrides="nginx",
    ),
    _service("resolver", "unbound", option="resolver"),
    _service(
        "admin",
        "admin",
        volumes=[("data", "/data", ""), ("dkim", "/dkim", "")],
        depends=["redis", "resolver"],
    ),
    _service(
        "imap",
        "dovecot",
        networks=["default", "fts_attachments"],
        volumes=[("mail", "/mail", "")],
        depends=["front", "fts_attachments", "resolver"],
        overrides="dovecot",
    ),
    _service(
        "smtp",
        "postfix",
        volumes=[("mailqueue", "/queue", "")],
        depends=["front", "resolver"],
        overrides="postfix",
    ),
    _service(
        "oletools",
        "oletools",
        option="oletools",
        env=False,
        networks=["oletools"],
        hostname="oletools",
        depends=["resolver"],
    ),
    _service(
        "fts_attachments",
        "apache/tika:latest-full",
        option="fts_attachments",
        env=False,
        networks=["fts_attachments"],
        hostname="tika",
        tag="mailu-tika",
        depends=["resolver"],
    ),
    _service(
        "antispam",
        "rspamd",
        networks=["default", "oletools", "clamav"],
        hostname="antispam",
        volumes=[("filter", "/var/lib/rspamd", "")],
        depends=["front", "redis", "oletools", "antivirus", "resolver"],
        overrides="rspamd",
    ),
    _service(
        "antivirus",
        "clamav/clamav-debian:1.4",
        images={"2.0": "clamav", "master": "clamav/clamav-debian:1.4_base"},
        option="antivirus",
        env=False,
        networks=["clamav"],
        volumes=[("clamav", "/var/lib/clamav", "")],
    ),
    _service(
        "webdav",
        "radicale",
        option="webdav",
        env=False,
        networks=["radicale"],
        volumes=[("dav", "/data", "")],
    ),
    _service(
        "fetchmail",
        "fetchmail",
        option="fetchmail",
        volumes=[("data/fetchmail", "/data", "")],
        depends=["admin", "smtp", "imap", "resolver"],
    ),
    _service(
        "webmail",
        "webmail",
        option="webmail",
        networks=["webmail"],
        volumes=[("webmail", "/data", "")],
        depends=["front"],
        overrides="{webmail}",
    ),
)

# Networks beside the one that all are in, the service that each is there for, and whether it has a
# way out.
NETWORKS = (
    ("webmail", "webmail", True),
    ("radicale", "webdav", True),
    ("clamav", "antivirus", True),
    ("oletools", "oletools", False),
    ("fts_attachments", "fts_attachments", False),
)


STACK = {
    "name": "mailu",
    "title": "Mailu",
    "repository": "https://github.com/Mailu/Mailu",
    "version": "2024.06",
    "install_path": "/mailu",
    "project": "mailu",
    "env_file": "mailu.env",
    "hostname_key": "HOSTNAMES",
    "sources": {
        "system": DOCS + "compose/requirements.html",
        "platform": DOCS + "compose/requirements.html",
        "ports": DOCS + "compose/requirements.html",
        "firewall": DOCS + "compose/requirements.html",
        "provider_firewall": DOCS + "compose/requirements.html",
        "outgoing": DOCS + "compose/requirements.html",
        "time": DOCS + "compose/requirements.html",
        "cloud_init": DOCS + "compose/requirements.html",
        "mtu": "https://docs.docker.com/engine/network/drivers/bridge/#options",
        "dns": DOCS + "dns.html",
        "install": DOCS + "compose/setup.html",
        "ipv6": DOCS + "faq.html#how-to-make-ipv6-work",
        "configuration": DOCS + "configuration.html",
    },
    "requirements": {
        # Without ClamAV; see memory_plan.
        "memory_mib": 1024,
        "memory_tolerance": 0.08,
        "swap_mib": 1024,
        # Upstream names no size; the images of all services take this much.
        "disk_gib": 10,
        "cpu_mhz": 0,
        # Of x86 processors; Rspamd's pattern matching ends with "Illegal instruction" otherwise.
        "cpu_flags": ["sse4_2"],
        "architectures": ["x86_64", "aarch64", "armv7l"],
        "engine": 20,
        "compose": 2,
        "open_files": 0,
        "processes": 0,
    },
    # The resolver container may be left out: then the host's resolver is asked, and admin waits for
    # ever unless that one validates DNSSEC.
    "own_resolver": False,
    # Images of the Compose template, and what the containers ask.
    "egress": [
        *outgoing.github_registry(),
        # Redis, and ClamAV and Tika where they are used.
        *outgoing.docker_hub(),
        outgoing.row("packages", "download.docker.com"),
        outgoing.row("certificates", "acme-v02.api.letsencrypt.org", level="advised"),
        *outgoing.root_servers(),
        outgoing.row(
            "virus_signatures", "database.clamav.net", level="advised", component="clamav"
        ),
        outgoing.row("spam_rules", "maps.rspamd.com", level="advised"),
        outgoing.row("fuzzy", "fuzzy1.rspamd.com", 11335, "advised", "udp"),
        outgoing.row("fuzzy", "fuzzy2.rspamd.com", 11335, "advised", "udp"),
    ],
    "memory_plan": {
        "components": [
            {
                "name": "clamav",
                "title": "ClamAV",
                "mib": 2048,
                "default": False,
                "key": "ANTIVIRUS",
                "on": "clamav",
                "off": "none",
            },
            {
                "name": "attachment_search",
                "title": "search in attachments (Tika)",
                "mib": 2048,
                "default": False,
                "key": "FULL_TEXT_SEARCH_ATTACHMENTS",
                "on": "true",
                "off": "",
            },
        ],
        # Upstream states no figures for users.
        "user_mib": 0,
        "activesync_device_mib": 0,
        "imap_connection_mib": 0,
        "sogo_workers": 0,
    },
    "sysctls": {
        "net.ipv4.ip_forward": 1,
        "fs.inotify.max_user_instances": 1024,
        "fs.inotify.max_user_watches": 65536,
        "net.core.somaxconn": 4096,
        "vm.overcommit_memory": 1,
        # Asked for by the hardened memory allocator of Mailu's images.
        "vm.max_map_count": 1048576,
    },
    "operating_systems": [
        {"id": "debian", "versions": ["12", "13"], "support": "supported"},
        {"id": "debian", "versions": ["11"], "support": "untested"},
        {"id": "ubuntu", "min_version": "22.04", "support": "untested"},
        {"id": "almalinux", "versions": ["8", "9"], "support": "untested"},
        {"id": "rocky", "versions": ["8", "9"], "support": "untested"},
    ],
    "commands": [],
    "ports": [
        _port("SMTP", 25),
        _port("HTTP", 80),
        _port("POP3", 110),
        _port("IMAP", 143),
        _port("HTTPS", 443),
        _port("SMTPS", 465),
        _port("submission", 587),
        _port("IMAPS", 993),
        _port("POP3S", 995),
        _port("ManageSieve", 4190),
    ],
    "networks": [
        {
            "name": "default",
            "bridge": "",
            "ipv4": "192.168.203.0/24",
            "ipv6": "",
            "ipv4_key": ("SUBNET", "{0}"),
            "ipv6_key": ("SUBNET6", "{0}"),
        }
    ],
    # IPv6 is on when it has a value at all.
    "ipv6_key": ("SUBNET6", None),
    "services": [service["name"] for service in SERVICES],
    # IMAP without TLS is closed unless PORTS opens it. / leads on to a login, or nowhere where the web
    # is switched off; what is wrong without a certificate is 403.
    "probes": {"imap": "IMAPS", "https_status": ["200", "301", "302", "303", "307", "308", "404"]},
    "health": {
        "certificate": {
            "service": "front",
            "directory": "/certs",
            "files": [
                ("certificate", "TLS_CERT_FILENAME", "cert.pem"),
                ("key", "TLS_KEYPAIR_FILENAME", "key.pem"),
            ],
            "others": [],
            "example": "",
            # The front looks for new ones by itself, and not where links lead to.
            "readers": ["front"],
            # Without one it is the first of these. With the others it makes its own, or has none.
            "flavours": ("TLS_FLAVOR", ("cert", "mail")),
            # With these flavours nobody gets one.
            "issuer": ("", ""),
        },
        "connections": {
            "service": "smtp",
            "to": [("resolver", 53), ("admin", 8080), ("imap", 2525), ("antispam", 11332)],
        },
        "rspamd": {"service": "antispam", "directory": "/var/lib/rspamd"},
    },
    "series": SERIES,
    "security_floor": SECURITY_FLOOR,
    "keys": [dict(key, section=title) for title, keys in SECTIONS for key in keys]
    + [
        dict(key, section="In docker-compose.yml and .env, by variables of the role")
        for key in COMPOSE_ONLY
    ],
    # What upstream's template does not have is not in the file unless somebody sets it.
    "undeclared": "absent",
    "removed": REMOVED,
    "ignored": IGNORED,
    "actions": ("nothing", "up", "down_up"),
}
