# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mailcow: dockerized is, as data.

Sources: https://docs.mailcow.email/getstarted/prerequisite-system/ (requirements, ports),
``generate_config.sh`` (keys and defaults) and ``docker-compose.yml`` (services, ports, networks)
of https://github.com/mailcow/mailcow-dockerized, release 2026-07a.
"""

from __future__ import annotations

from ansible_collections.postmaster.mailhost.plugins.module_utils.stack import outgoing
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.keys import (
    key as _key,
)
from ansible_collections.postmaster.mailhost.plugins.module_utils.stack.keys import (
    secret as _secret,
)

# What must happen for a changed key to take effect, weakest first. Upstream's advice per key:
# https://docs.mailcow.email/post_installation/firststeps-ip_bindings/ (down and up for networks),
# Compose recreates on `up` exactly those services whose configuration changed.
ACTIONS = ("nothing", "up", "down_up")

DOCS = "https://docs.mailcow.email/getstarted/"

DATABASE = (
    "MariaDB takes it only when its volume is empty; change it with ALTER USER in the database "
    "first, then in mailcow.conf by hand"
)


def _flag(name: str, default: str, meaning: str, **more: object) -> dict:
    return _key(name, default, "yes_no", meaning, **more)


SECTIONS = [
    (
        "Web interface",
        [
            _key(
                "MAILCOW_HOSTNAME",
                None,
                "fqdn",
                "Name of this mail server, fully qualified.",
                optional=False,
            ),
            _key(
                "MAILCOW_PASS_SCHEME",
                "BLF-CRYPT",
                "choice",
                "Hash of new passwords.",
                choices=["BLF-CRYPT", "SSHA", "SSHA256", "SSHA512"],
            ),
        ],
    ),
    (
        "Database",
        [
            _key("DBNAME", "mailcow", "name", "MariaDB database.", create_only=DATABASE),
            _key("DBUSER", "mailcow", "name", "MariaDB user.", create_only=DATABASE),
            _secret("DBPASS", 28, "Password of the database user.", create_only=DATABASE),
            _secret("DBROOT", 28, "Password of MariaDB's root.", create_only=DATABASE),
            _secret("REDISPASS", 28, "Password of Redis."),
        ],
    ),
    (
        "Web ports (the same inside the container; not 8081, 9081, 9082 or 65510)",
        [
            _key("HTTP_PORT", "80", "port", "Port of HTTP."),
            _key(
                "HTTP_BIND",
                "",
                "ipv4_bind",
                "Address that HTTP is bound to; empty: all.",
                empty=True,
            ),
            _key("HTTPS_PORT", "443", "port", "Port of HTTPS."),
            _key(
                "HTTPS_BIND",
                "",
                "ipv4_bind",
                "Address that HTTPS is bound to; empty: all.",
                empty=True,
            ),
            _flag("HTTP_REDIRECT", "y", "Send HTTP visitors to HTTPS."),
        ],
    ),
    (
        "Mail ports (PORT or IPV4:PORT)",
        [
            _key("SMTP_PORT", "25", "port_binding", "SMTP."),
            _key("SMTPS_PORT", "465", "port_binding", "SMTP over TLS (submissions)."),
            _key("SUBMISSION_PORT", "587", "port_binding", "Submission with STARTTLS."),
            _key("IMAP_PORT", "143", "port_binding", "IMAP with STARTTLS."),
            _key("IMAPS_PORT", "993", "port_binding", "IMAP over TLS."),
            _key("POP_PORT", "110", "port_binding", "POP3 with STARTTLS."),
            _key("POPS_PORT", "995", "port_binding", "POP3 over TLS."),
            _key("SIEVE_PORT", "4190", "port_binding", "ManageSieve."),
            _key(
                "DOVEADM_PORT", "127.0.0.1:19991", "port_binding", "doveadm; keep it on loopback."
            ),
            _key("SQL_PORT", "127.0.0.1:13306", "port_binding", "MariaDB; keep it on loopback."),
            _key("REDIS_PORT", "127.0.0.1:7654", "port_binding", "Redis; keep it on loopback."),
        ],
    ),
    (
        "Host",
        [
            _key("TZ", "Etc/UTC", "timezone", "Time zone of the containers."),
            _key(
                "COMPOSE_PROJECT_NAME",
                "mailcowdockerized",
                "lowercase",
                "Prefix of containers and volumes.",
                create_only="another project name starts a new, empty mail server beside the old "
                "volumes",
            ),
            _key(
                "DOCKER_COMPOSE_VERSION",
                "native",
                "choice",
                "Which Compose the helper scripts call: native (plugin) or standalone.",
                choices=["native", "standalone"],
                change="nothing",
            ),
        ],
    ),
    (
        "Mailboxes",
        [
            _key(
                "ACL_ANYONE",
                "disallow",
                "choice",
                "Share folders with 'anyone'.",
                choices=["disallow", "allow"],
            ),
            _key(
                "MAILDIR_GC_TIME",
                "7200",
                "integer",
                "Minutes that deleted mailboxes are kept in _garbage.",
            ),
        ],
    ),
    (
        "Certificates",
        [
            _key(
                "ADDITIONAL_SAN", "", "san_names", "Further names in the certificate.", empty=True
            ),
            _flag("AUTODISCOVER_SAN", "y", "Certificates for autodiscover and autoconfig names."),
            _key(
                "ADDITIONAL_SERVER_NAMES",
                "",
                "hostnames",
                "Further names that the web interface answers to.",
                empty=True,
            ),
            _flag("SKIP_LETS_ENCRYPT", "n", "Do not ask Let's Encrypt for a certificate."),
            _flag("ACME_DNS_CHALLENGE", "n", "Use the DNS-01 challenge."),
            _key("ACME_DNS_PROVIDER", "dns_xxx", "word", "acme.sh's name of the DNS provider."),
            _key(
                "ACME_ACCOUNT_EMAIL",
                "me@example.com",
                "email",
                "Account address for the DNS-01 challenge.",
            ),
            _flag(
                "ENABLE_SSL_SNI", "n", "One certificate for each domain (needed above 100 names)."
            ),
            _flag("SKIP_IP_CHECK", "n", "Do not compare the public address with the DNS."),
            _flag("SKIP_HTTP_VERIFICATION", "n", "Do not test HTTP-01 before it is used."),
        ],
    ),
    (
        "Components",
        [
            _flag("SKIP_UNBOUND_HEALTHCHECK", "n", "Call the resolver healthy without looking."),
            _flag("SKIP_CLAMD", "n", "No virus scanner."),
            _flag("SKIP_OLEFY", "n", "No scan of Office documents."),
            _flag("SKIP_SOGO", "n", "No webmail, CalDAV, CardDAV and ActiveSync."),
            _flag("SKIP_FTS", "n", "No full-text search."),
            _key("FTS_HEAP", "128", "integer", "Memory of one indexing process, in MB."),
            _key("FTS_PROCS", "1", "integer", "Indexing processes at the same time."),
            _flag("ALLOW_ADMIN_EMAIL_LOGIN", "n", "Administrators may open a user's webmail."),
        ],
    ),
    (
        "Watchdog",
        [
            _flag("USE_WATCHDOG", "y", "Restart unhealthy containers."),
            _key(
                "WATCHDOG_NOTIFY_EMAIL", None, "emails", "Recipients outside this host.", empty=True
            ),
            _key(
                "WATCHDOG_NOTIFY_WEBHOOK",
                None,
                "url",
                "URL that notifications are posted to.",
                empty=True,
                secret=True,
            ),
            _key(
                "WATCHDOG_NOTIFY_WEBHOOK_BODY",
                None,
                "text",
                "JSON body of a notification, with ${SUBJECT} and ${BODY}.",
                empty=True,
            ),
            _flag("WATCHDOG_NOTIFY_BAN", "n", "Notify of every ban."),
            _flag("WATCHDOG_NOTIFY_START", "y", "Notify when the watchdog starts."),
            _key("WATCHDOG_SUBJECT", None, "text", "Subject of its mails.", empty=True),
            _flag("WATCHDOG_EXTERNAL_CHECKS", "n", "Open relay test from outside (registration)."),
            _flag("WATCHDOG_VERBOSE", "n", "Verbose log."),
            _key("LOG_LINES", "9999", "integer", "Log lines kept for each service."),
        ],
    ),
    (
        "Network (takes effect by down and up)",
        [
            _key(
                "IPV4_NETWORK",
                "172.22.1",
                "ipv4_prefix",
                "First three numbers of the stack's private /24.",
                change="down_up",
            ),
            _key(
                "IPV6_NETWORK",
                "fd4d:6169:6c63:6f77::/64",
                "ipv6_prefix",
                "The stack's private IPv6 network.",
                change="down_up",
            ),
            _key(
                "SNAT_TO_SOURCE", None, "ipv4", "IPv4 source address of outgoing mail.", empty=True
            ),
            _key(
                "SNAT6_TO_SOURCE", None, "ipv6", "IPv6 source address of outgoing mail.", empty=True
            ),
        ],
    ),
    (
        "API (the keys need API_ALLOW_FROM)",
        [
            _key(
                "API_KEY", None, "api_key", "Key for reading and writing.", empty=True, secret=True
            ),
            _key("API_KEY_READ_ONLY", None, "api_key", "Key for reading.", empty=True, secret=True),
            _key("API_ALLOW_FROM", None, "networks", "Addresses that may use the API.", empty=True),
        ],
    ),
    (
        "Dovecot, SOGo and the rest",
        [
            _key(
                "MAILDIR_SUB",
                "Maildir",
                "word",
                "Folder of the mail below each home.",
                empty=True,
                create_only="another folder hides all mail that is stored already",
            ),
            _key("SOGO_EXPIRE_SESSION", "480", "integer", "Minutes until a webmail session ends."),
            _secret("SOGO_URL_ENCRYPTION_KEY", 16, "Encrypts addresses in webmail URLs."),
            _key(
                "DOVECOT_MASTER_USER", "", "name", "Fixed master user; empty: random.", empty=True
            ),
            _key(
                "DOVECOT_MASTER_PASS",
                "",
                "secret",
                "Its password; both or none.",
                empty=True,
                secret=True,
            ),
            _flag("WEBAUTHN_ONLY_TRUSTED_VENDORS", "n", "Only FIDO2 devices of known makers."),
            _key(
                "SPAMHAUS_DQS_KEY",
                "",
                "word",
                "Spamhaus Data Query Service key.",
                empty=True,
                secret=True,
            ),
            _key(
                "ENABLE_IPV6",
                "true",
                "true_false",
                "IPv6 inside the stack's network.",
                change="down_up",
            ),
            _flag(
                "DISABLE_NETFILTER_ISOLATION_RULE",
                "n",
                "Drop the rule that keeps neighbours out of the stack's network.",
            ),
        ],
    ),
]

# Read by docker-compose.yml with these fallbacks; known here so that they can be set.
COMPOSE_ONLY = [
    _key(name, None, kind, meaning, compose_only=True, empty=True, **more)
    for name, kind, meaning, more in (
        ("ONLY_MAILCOW_HOSTNAME", "yes_no", "Certificate for the host name only.", {}),
        ("LE_STAGING", "yes_no", "Let's Encrypt's staging environment.", {}),
        ("DIRECTORY_URL", "url", "Another ACME directory.", {}),
        ("TRUSTED_PROXIES", "networks", "Reverse proxies to believe.", {}),
        ("NGINX_USE_PROXY_PROTOCOL", "yes_no", "PROXY protocol from the reverse proxy.", {}),
        ("SKIP_RSPAMD", "yes_no", "No spam filter.", {}),
        ("PHPFPMHOST", "word", "Another PHP-FPM host.", {}),
        ("SOGOHOST", "word", "Another SOGo host.", {}),
        ("RSPAMDHOST", "word", "Another Rspamd host.", {}),
        ("REDISHOST", "word", "Another Redis host.", {}),
        ("CHECK_UNBOUND", "integer", "Watchdog tests the resolver (1) or not (0).", {}),
        ("IP_BY_DOCKER_API", "integer", "Watchdog asks Docker for addresses (1) or DNS (0).", {}),
        ("WATCHDOG_MYSQL_REPLICATION_CHECKS", "yes_no", "Watchdog tests replication.", {}),
        ("MASTER", "yes_no", "This host is the master of a replicating pair.", {}),
        ("CLUSTERMODE", "word", "Cluster mode.", {}),
        ("REDIS_SLAVEOF_IP", "ip", "Redis master of a replica.", {}),
        ("REDIS_SLAVEOF_PORT", "port", "Its port.", {}),
        ("REDISMASTERPASS", "secret", "Its password.", {"secret": True}),
        ("MAILCOW_REPLICA_IP", "ip", "Dovecot replica.", {}),
        ("DOVEADM_REPLICA_PORT", "port", "Its port.", {}),
        ("DEV_MODE", "yes_no", "Development mode.", {}),
        ("DEMO_MODE", "yes_no", "Demo mode.", {}),
        ("MAILQ_CRIT", "integer", "Queued mails that count as critical.", {}),
    )
] + [
    _key("%s_THRESHOLD" % name, None, "integer", "Failures until the watchdog acts.",
         compose_only=True, empty=True)
    for name in (
        "NGINX", "UNBOUND", "REDIS", "MYSQL", "MYSQL_REPLICATION", "SOGO", "POSTFIX",
        "POSTFIX_TLSPOL", "CLAMD", "DOVECOT", "DOVECOT_REPL", "PHPFPM", "RATELIMIT", "FAIL2BAN",
        "ACME", "RSPAMD", "OLEFY", "MAILQ", "EXTERNAL_CHECKS",
    )
]  # fmt: skip

# Keys of older releases. update.sh deletes them; a file that keeps them changes at every update.
REMOVED = {
    "SOLR_HEAP": "Solr was replaced by Flatcurve; see FTS_HEAP",
    "SKIP_SOLR": "Solr was replaced by Flatcurve; see SKIP_FTS",
    "SOLR_PORT": "Solr was replaced by Flatcurve",
    "FLATCURVE_EXPERIMENTAL": "Flatcurve is the only full-text search now; see SKIP_FTS",
    "ACME_CONTACT": "it broke the issuing of certificates and was removed; see ACME_ACCOUNT_EMAIL",
    "DISABLE_IPv6": "replaced by ENABLE_IPV6",
}

# Sample keys that docker-compose.yml hands to no container: setting them here would do nothing.
IGNORED = {
    "AZUREDNS_" + name: "no container gets it; DNS credentials go into data/conf/acme/dns-01.conf"
    for name in (
        "SUBSCRIPTIONID", "TENANTID", "APPID", "CLIENTSECRET", "RESOURCEGROUP", "ZONE",
    )
}  # fmt: skip


def _port(
    name: str, port: int, variable: str, service: str, container_port: int, public: bool = True
) -> dict:
    return {
        "name": name,
        "protocol": "tcp",
        "port": port,
        "variable": variable,
        "service": service,
        # 0: the container listens on the published port.
        "container_port": container_port,
        "public": public,
        "address": "" if public else "127.0.0.1",
    }


STACK = {
    "name": "mailcow",
    "title": "mailcow: dockerized",
    "repository": "https://github.com/mailcow/mailcow-dockerized",
    "version": "master",
    "install_path": "/opt/mailcow-dockerized",
    "project": "mailcowdockerized",
    "env_file": "mailcow.conf",
    "hostname_key": "MAILCOW_HOSTNAME",
    "sources": {
        "system": DOCS + "prerequisite-system/#minimum-system-resources",
        "platform": DOCS + "prerequisite-system/#supported-os",
        "ports": DOCS + "prerequisite-system/#incoming-ports",
        "firewall": DOCS + "prerequisite-system/#firewall-ports",
        "provider_firewall": DOCS + "prerequisite-system/#important-for-hetzner-firewalls",
        "outgoing": DOCS + "prerequisite-system/#outgoing-portshosts",
        "time": DOCS + "prerequisite-system/#date-and-time",
        "cloud_init": DOCS + "prerequisite-system/#hetzner-cloud-and-probably-others",
        "mtu": DOCS + "prerequisite-system/#mtu",
        "dns": DOCS + "prerequisite-dns/",
        "install": DOCS + "install/",
        "ipv6": "https://docs.mailcow.email/post_installation/firststeps-disable_ipv6/",
        "configuration": "https://github.com/mailcow/mailcow-dockerized/blob/master/"
        "generate_config.sh",
    },
    "requirements": {
        # With every component that is on by default; see memory_plan.
        "memory_mib": 6144,
        # The kernel keeps a part: MemTotal of a virtual machine sold with 6 GB is below 6 GiB.
        "memory_tolerance": 0.08,
        "swap_mib": 1024,
        "disk_gib": 20,
        "cpu_mhz": 1000,
        "cpu_flags": [],
        "architectures": ["x86_64", "aarch64"],
        "engine": 24,
        "compose": 2,
        # Of Dovecot, which raises its limit to it.
        "open_files": 40000,
        "processes": 65535,
    },
    # Unbound in the stack asks the root servers itself and validates DNSSEC.
    "own_resolver": True,
    # https://docs.mailcow.email/getstarted/prerequisite-system/#outgoing-portshosts, and what
    # docker-compose.yml, update.sh and the images' scripts ask beside that.
    "egress": [
        *outgoing.github_registry(),
        *outgoing.docker_hub(),
        outgoing.row("source", "github.com"),
        outgoing.row("source", "github.com", 80, "optional"),
        # update.sh goes on when either this one or github.com answers.
        outgoing.row("source", "hub.docker.com", level="optional"),
        outgoing.row("packages", "download.docker.com"),
        outgoing.row(
            "certificates",
            "acme-v02.api.letsencrypt.org",
            level="advised",
            skip_key="SKIP_LETS_ENCRYPT",
        ),
        *outgoing.root_servers(),
        # Of Unbound's health check.
        *outgoing.echo(["1.1.1.1", "8.8.8.8", "9.9.9.9"], skip_key="SKIP_UNBOUND_HEALTHCHECK"),
        *(
            outgoing.row(
                "virus_signatures",
                "db.{0}.clamav.net".format(country),
                level="advised",
                component="clamav",
            )
            for country in ("uk", "nl", "fr", "ch")
        ),
        outgoing.row(
            "virus_signatures", "rsync.sanesecurity.net", 873, "advised", component="clamav"
        ),
        outgoing.row("spam_rules", "spamassassin.heinlein-support.de", level="advised"),
        outgoing.row("spam_rules", "bazaar.abuse.ch", level="advised"),
        outgoing.row("spam_rules", "urlhaus.abuse.ch", level="advised"),
        outgoing.row("spam_rules", "maps.rspamd.com", level="advised"),
        outgoing.row("spam_rules", "fuzzy.mailcow.email", 80, "advised"),
        outgoing.row("fuzzy", "fuzzy.mailcow.email", 11445, "advised", "udp"),
        outgoing.row("fuzzy", "fuzzy1.rspamd.com", 11335, "advised", "udp"),
        outgoing.row("fuzzy", "fuzzy2.rspamd.com", 11335, "advised", "udp"),
        outgoing.row("reputation", "asn-check.mailcow.email", level="advised"),
        outgoing.row("address_service", "ip4.mailcow.email", 80, "optional", family="ipv4"),
        outgoing.row("address_service", "ip6.mailcow.email", 80, "optional", family="ipv6"),
        outgoing.row("on_request", "checks.mailcow.email", level="optional"),
        outgoing.row("on_request", "verify.mailcow.email", level="optional"),
        outgoing.row("on_request", "api.pushover.net", level="optional"),
    ],
    # From upstream's examples: 8 GiB for ten users, 16 GiB for 15 phones with ActiveSync and 50
    # IMAP connections; one worker of SOGo holds up to 350 MiB. What ClamAV holds is its signatures
    # (clamd reports 1.3 GiB) and the room to load new ones beside them.
    "memory_plan": {
        "components": [
            {
                "name": "clamav",
                "title": "ClamAV",
                "mib": 1536,
                "default": True,
                "key": "SKIP_CLAMD",
                "on": "n",
                "off": "y",
            },
            {
                "name": "full_text_search",
                "title": "full-text search",
                "mib": 256,
                "default": True,
                "key": "SKIP_FTS",
                "on": "n",
                "off": "y",
            },
        ],
        "user_mib": 200,
        "activesync_device_mib": 350,
        "imap_connection_mib": 100,
        # Devices share these; more of them wait.
        "sogo_workers": 20,
    },
    # Kernel parameters, as minimums. Dovecot's processes are one user, which the inotify limits are
    # counted for; Redis warns at start about the last two.
    "sysctls": {
        "net.ipv4.ip_forward": 1,
        "fs.inotify.max_user_instances": 1024,
        "fs.inotify.max_user_watches": 65536,
        "net.core.somaxconn": 4096,
        "vm.overcommit_memory": 1,
    },
    "operating_systems": [
        {"id": "debian", "versions": ["11", "12", "13"], "support": "supported"},
        {"id": "ubuntu", "min_version": "22.04", "support": "supported"},
        {"id": "almalinux", "versions": ["8", "9"], "support": "supported"},
        {"id": "rocky", "versions": ["9"], "support": "supported"},
        {"id": "alpine", "min_version": "3.19", "support": "limited"},
    ],
    "commands": ["git", "curl", "jq", "openssl", "awk", "sha1sum", "grep", "cut"],
    "ports": [
        _port("SMTP", 25, "SMTP_PORT", "postfix-mailcow", 25),
        _port("SMTPS", 465, "SMTPS_PORT", "postfix-mailcow", 465),
        _port("submission", 587, "SUBMISSION_PORT", "postfix-mailcow", 587),
        _port("IMAP", 143, "IMAP_PORT", "dovecot-mailcow", 143),
        _port("IMAPS", 993, "IMAPS_PORT", "dovecot-mailcow", 993),
        _port("POP3", 110, "POP_PORT", "dovecot-mailcow", 110),
        _port("POP3S", 995, "POPS_PORT", "dovecot-mailcow", 995),
        _port("ManageSieve", 4190, "SIEVE_PORT", "dovecot-mailcow", 4190),
        _port("HTTP", 80, "HTTP_PORT", "nginx-mailcow", 0),
        _port("HTTPS", 443, "HTTPS_PORT", "nginx-mailcow", 0),
        _port("doveadm", 19991, "DOVEADM_PORT", "dovecot-mailcow", 12345, public=False),
        _port("MariaDB", 13306, "SQL_PORT", "mysql-mailcow", 3306, public=False),
        _port("Redis", 7654, "REDIS_PORT", "redis-mailcow", 6379, public=False),
    ],
    "networks": [
        {
            "name": "mailcow-network",
            "bridge": "br-mailcow",
            "ipv4": "172.22.1.0/24",
            "ipv6": "fd4d:6169:6c63:6f77::/64",
            # Configuration keys that move it, and how the network is made of their value.
            "ipv4_key": ("IPV4_NETWORK", "{0}.0/24"),
            "ipv6_key": ("IPV6_NETWORK", "{0}"),
        }
    ],
    # Whether the stack is given IPv6: key and the value that says so.
    "ipv6_key": ("ENABLE_IPV6", "true"),
    "services": [
        "unbound-mailcow",
        "mysql-mailcow",
        "redis-mailcow",
        "clamd-mailcow",
        "rspamd-mailcow",
        "php-fpm-mailcow",
        "sogo-mailcow",
        "dovecot-mailcow",
        "postfix-mailcow",
        "postfix-tlspol-mailcow",
        "memcached-mailcow",
        "nginx-mailcow",
        "acme-mailcow",
        "netfilter-mailcow",
        "watchdog-mailcow",
        "dockerapi-mailcow",
        "olefy-mailcow",
        "ofelia-mailcow",
    ],
    # What a look at the running stack needs to know.
    "health": {
        # Containers see this directory of the host's and nothing around it.
        "certificate": {
            "service": "postfix-mailcow",
            "directory": "/etc/ssl/mail",
            "files": [("certificate", "", "cert.pem"), ("key", "", "key.pem")],
            "others": ["dhparams.pem"],
            "example": "data/assets/ssl-example",
            "readers": ["postfix-mailcow", "dovecot-mailcow", "nginx-mailcow"],
            # acme-mailcow puts them there, and takes links for its own.
            "flavours": ("", ()),
            # This container gets one, unless this key says y.
            "issuer": ("acme-mailcow", "SKIP_LETS_ENCRYPT"),
        },
        # Whom Postfix needs for each mail.
        "connections": {
            "service": "postfix-mailcow",
            "to": [
                ("unbound-mailcow", 53),
                ("redis-mailcow", 6379),
                ("mysql-mailcow", 3306),
                ("dovecot-mailcow", 24),
            ],
        },
        "rspamd": {"service": "rspamd-mailcow", "directory": "/var/lib/rspamd"},
    },
    "keys": [dict(key, section=title) for title, keys in SECTIONS for key in keys]
    + [dict(key, section="Read by docker-compose.yml only") for key in COMPOSE_ONLY],
    "removed": REMOVED,
    "ignored": IGNORED,
    "actions": ACTIONS,
    "reserved_web_ports": ["8081", "9081", "9082", "65510"],
}
