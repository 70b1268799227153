# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin: HTTP for the front and for people, and tables for Postfix.

What it answers, what it limits and the lines that it logs are those of Mailu, by series.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import http.server
import ipaddress
import json
import logging
import os
import socket
import socketserver
import sys
import threading
import time
import urllib.parse

import accounts

OLD = os.environ.get("STANDIN_TAG", "").startswith("2.0")
SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "month": 30 * 86400,
    "year": 365 * 86400,
}
# The ports of the front that only the webmail uses.
WEBMAIL = ("10143", "10025", "14190")
WORDS = {
    "authentication": (
        "Authentication credentials invalid",
        {
            "imap": "AUTHENTICATIONFAILED",
            "pop3": "-ERR Authentication failed",
            "sieve": "AuthFailed",
            "smtp": "535 5.7.8",
        },
    ),
    "ratelimit": (
        "Temporary authentication failure (rate-limit)",
        {
            "imap": "LIMIT",
            "pop3": "-ERR [LOGIN-DELAY] Retry later",
            "sieve": "AuthFailed",
            "smtp": "451 4.3.2",
        },
    ),
}
LEVEL = getattr(logging, os.environ.get("LOG_LEVEL", "INFO").upper(), logging.INFO)


def log(name, level, message):
    """Write one line of the log; *name* is the part of the admin that writes it."""
    logging.getLogger(name).log(level, "%s", message)


class Limit:
    """How often something may happen in a window of time that moves, such as 5/hour."""

    def __init__(self, text):
        count, _slash, unit = text.replace(" per ", "/").partition("/")
        self.count, self.window = int(count), SECONDS[unit.strip()]
        self.hits = {}
        self.seen = {}

    def full(self, name):
        """Has it happened too often?"""
        since = time.time() - self.window
        self.hits[name] = [when for when in self.hits.get(name, []) if when > since]
        return len(self.hits[name]) >= self.count

    def hit(self, name, what=None):
        """It happened. The same thing again (*what*) does not count twice."""
        now = time.time()
        if what is not None and self.seen.get((name, what), 0) > now - self.window:
            return
        self.seen[name, what] = now
        self.hits.setdefault(name, []).append(now)


class Limiter:
    """The limits of logins, by network and by account."""

    def __init__(self, environment):
        self.by_network = Limit(environment.get("AUTH_RATELIMIT_IP", "5/hour"))
        self.by_user = Limit(environment.get("AUTH_RATELIMIT_USER", "50/day"))
        self.lengths = {
            4: int(environment.get("AUTH_RATELIMIT_IP_V4_MASK", "24")),
            6: int(environment.get("AUTH_RATELIMIT_IP_V6_MASK", "48")),
        }
        self.exempt = [
            ipaddress.ip_network(part.strip(), strict=False)
            for part in environment.get("AUTH_RATELIMIT_EXEMPTION", "").split(",")
            if part.strip()
        ]
        self.known_for = int(environment.get("AUTH_RATELIMIT_EXEMPTION_LENGTH", "86400"))
        self.known = {}

    def network(self, ip):
        """The network that counts as one client."""
        length = self.lengths[ipaddress.ip_address(ip).version]
        return str(ipaddress.ip_network("{}/{}".format(ip, length), strict=False).network_address)

    def applies(self, ip):
        """Are there limits for this client?"""
        address = ipaddress.ip_address(ip)
        return (
            not any(address in network for network in self.exempt)
            and self.known.get(ip, 0) < time.time()
        )

    def succeeded(self, ip):
        """A client that has logged in is free of limits for a while."""
        self.known[ip] = time.time() + self.known_for

    def stops_network(self, ip):
        """Must this client wait? Says so in the log."""
        stops = self.applies(ip) and self.by_network.full(self.network(ip))
        if stops:
            text = "Authentication attempt from {} has been rate-limited."
            log("limiter", logging.WARNING, text.format(ip))
        return stops

    def stops_user(self, user, ip):
        """Must logins to this account wait? Says so in the log."""
        stops = self.applies(ip) and self.by_user.full(user)
        if stops:
            text = "Authentication attempt from {} for {} has been rate-limited."
            log("limiter", logging.WARNING, text.format(ip, user))
        return stops

    def failed_network(self, ip, user=None):
        """A login to no account failed."""
        if self.applies(ip):
            self.by_network.hit(self.network(ip), user)

    def failed_user(self, user, ip, password):
        """A login to an account failed."""
        if self.applies(ip):
            self.by_user.hit(user, fingerprint(password))
            self.failed_network(ip, user)


def fingerprint(password):
    """Six digits that tell passwords apart and do not tell the password."""
    key = os.environ["SECRET_KEY"].encode()
    return hmac.new(key, password.encode(), hashlib.sha256).hexdigest()[-6:]


def check(store, name, password, ip, protocol, port, source_port):
    """May this user log in with that password? Returns that and the user, and logs it."""
    user = store.get("user", name) if "@" in name else None
    where = "{}/{}/{} from: {}/{}".format("{}", protocol, port, ip, source_port)
    shut = (protocol == "imap" and user and not user["enable_imap"] and port not in WEBMAIL) or (
        protocol == "pop3" and user and not user["enable_pop"]
    )
    if user is None or not user["enabled"] or shut:
        verdict = "failed: account disabled"
        who = repr(name) if user is None else "<User {!r}>".format(name)
    else:
        who = name
        if password and accounts.SCHEMES.verify(password, user["password"]):
            verdict = "success: password"
        else:
            verdict = "failed: badauth: {}".format(fingerprint(password))
    if not OLD:
        text = "Login attempt for: {}: {}".format(where.format(who), verdict)
        log("nginx", logging.INFO, text)
    return verdict.startswith("success"), user


def server_of(protocol, logged_in):
    """Where the front connects a client to: address and port."""
    name, port = {
        "imap": ("IMAP_ADDRESS", 143),
        "pop3": ("IMAP_ADDRESS", 110),
        "sieve": ("IMAP_ADDRESS", 4190),
        "lmtp": ("IMAP_ADDRESS", 2525),
        "smtp": ("SMTP_ADDRESS", 10025 if logged_in else 25),
        "submission": ("SMTP_ADDRESS", 10025),
    }[protocol]
    host = os.environ.get(name, name.partition("_")[0].lower())
    found = socket.getaddrinfo(host, None, socket.AF_UNSPEC, socket.SOCK_STREAM)
    return sorted(found)[0][4][0], port


def refusal(kind, protocol):
    """The headers that refuse a login."""
    text, codes = WORDS[kind]
    code = codes["smtp" if protocol in ("smtp", "submission", "lmtp") else protocol]
    return {"Auth-Status": text, "Auth-Error-Code": code, "Auth-Wait": "0"}


def authenticate(store, limiter, headers):
    """Answer the front's question who may log in and where to; returns headers."""
    ip, port = urllib.parse.unquote(headers["Client-Ip"]), headers["Auth-Port"]
    method, protocol = headers["Auth-Method"].lower(), headers["Auth-Protocol"].lower()
    if port == "25" and method != "none":
        limiter.failed_network(ip)
        return {"Auth-Status": "AUTH not supported", "Auth-Error-Code": "502 5.5.1"}
    from_webmail = port in WEBMAIL
    if not from_webmail and port != "25" and limiter.stops_network(ip):
        return refusal("ratelimit", protocol)
    if method in ("", "none"):
        server, server_port = server_of(protocol, False)
        return {"Auth-Status": "OK", "Auth-Server": server, "Auth-Port": str(server_port)}
    name = urllib.parse.unquote(headers.get("Auth-User", ""))
    password = urllib.parse.unquote(headers.get("Auth-Pass", ""))
    passed, user = check(
        store, name, password, ip, protocol, port, headers.get("Client-Port", "None")
    )
    if user is not None and not from_webmail and limiter.stops_user(name, ip):
        return refusal("ratelimit", protocol)
    if passed:
        limiter.succeeded(ip)
        server, server_port = server_of(protocol, True)
        return {
            "Auth-Status": "OK",
            "Auth-Server": server,
            "Auth-Port": str(server_port),
            "Auth-User": name,
        }
    if user is not None:
        limiter.failed_user(name, ip, password)
    elif not from_webmail:
        limiter.failed_network(ip, name)
    return refusal("authentication", protocol)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server_version, sys_version, protocol_version = "gunicorn", "", "HTTP/1.1"
    limiter = None

    def answer(self, status, body="", headers=None, kind="text/html; charset=utf-8"):
        """Send a whole answer."""
        content = body.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_response(self, code, message=None):
        """Without the date and the server's name, and with a line in the log."""
        self.log_request(code)
        self.send_response_only(code, message)

    def log_request(self, code="-", _size="-"):
        """As gunicorn does; the stand-in's own probes are left out, as upstream's are."""
        newer = self.request_version == "HTTP/1.1"
        quiet = LEVEL > logging.INFO or self.path == "/ping" or (newer and LEVEL > logging.DEBUG)
        if not quiet:
            when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            line = '{} - - [{}] "{}" {} 0 "-" "{}"'.format(
                self.client_address[0],
                when,
                self.requestline,
                int(code),
                self.headers.get("User-Agent", "-"),
            )
            print(line, flush=True)

    def do_GET(self):
        """Answer by path."""
        path = urllib.parse.urlparse(self.path).path
        base = os.environ.get("WEB_ADMIN", "/admin")
        api = (os.environ.get("WEB_API") or "/api") + "/v1"
        if path == "/ping":
            self.answer(200)
        elif path == "/internal/auth/email":
            headers = authenticate(accounts.Store(), self.limiter, self.headers)
            self.answer(200, headers=headers)
        elif path == "/internal/auth/basic":
            self.basic()
        elif path.startswith("/internal/auth/"):
            self.answer(403)
        elif path == "/sso/login":
            self.page("Log in")
        elif path.startswith(base):
            self.answer(302, headers={"Location": "/sso/login?url={}".format(path)})
        elif path.startswith(api) and os.environ.get("API", "").lower() in ("true", "yes"):
            self.api(path[len(api) :].strip("/"))
        else:
            self.answer(404)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self):
        """A login by the form."""
        length = int(self.headers.get("Content-Length") or 0)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        if urllib.parse.urlparse(self.path).path != "/sso/login":
            self.answer(404)
            return
        name, password = form.get("email", [""])[0], form.get("pw", [""])[0]
        ip = self.headers.get("X-Real-IP", self.client_address[0])
        port = self.headers.get("X-Real-Port", "None")
        if self.limiter.stops_network(ip):
            self.page("Too many attempts from your IP (rate-limit)")
            return
        if self.limiter.stops_user(name, ip):
            self.page("Too many attempts for this user (rate-limit)")
            return
        user = accounts.Store().get("user", name)
        passed = bool(
            user
            and user["enabled"]
            and password
            and accounts.SCHEMES.verify(password, user["password"])
        )
        if OLD:
            line = "Login {} for {} from {}.".format("succeeded" if passed else "failed", name, ip)
            log("base", logging.INFO if passed else logging.WARNING, line)
        else:
            verdict = (
                "success: password: None"
                if passed
                else "failed: badauth: {}".format(fingerprint(password))
            )
            scheme = self.headers.get("X-Forwarded-Proto")
            text = "Login attempt for: {}/sso/{} from: {}/{}: {}"
            log("base", logging.INFO, text.format(name, scheme, ip, port, verdict))
        if passed:
            base = os.environ.get("WEB_ADMIN", "/admin")
            self.answer(302, headers={"Location": base})
            return
        if user is not None:
            self.limiter.failed_user(name, ip, password)
        else:
            self.limiter.failed_network(ip, name)
        self.page("Wrong e-mail or password")

    def page(self, text):
        """The page with the form."""
        self.answer(
            200,
            "<!doctype html><title>Mailu</title><p>{}</p><form method=post action=/sso/login>"
            "<input name=email><input name=pw type=password><button>Sign in</button></form>\n".format(
                html.escape(text)
            ),
        )

    def basic(self):
        """A login by the header Authorization, as webdav's is."""
        ip = self.headers.get("X-Real-IP", self.client_address[0])
        realm = "Login Required"
        if self.limiter.stops_network(ip):
            realm = "Authentication rate limit from one source exceeded"
        else:
            given = self.headers.get("Authorization", "")
            if given.startswith("Basic "):
                decoded = base64.b64decode(given[6:]).decode()
                name, _colon, password = decoded.partition(":")
                passed, user = check(
                    *(accounts.Store(), name, password, ip, "web"),
                    *(self.headers.get("X-Real-Port"), name),
                )
                if passed:
                    self.limiter.succeeded(ip)
                    self.answer(200, headers={"X-User": name})
                    return
                if user is not None:
                    self.limiter.failed_user(name, ip, password)
                else:
                    self.limiter.failed_network(ip, name)
        self.answer(401, headers={"WWW-Authenticate": 'Basic realm="{}"'.format(realm)})

    def api(self, what):
        """The objects of a section, or one of them, for whoever has the token."""
        ip = self.headers.get("X-Real-IP", self.client_address[0])
        token = os.environ.get("API_TOKEN", "")
        given = self.headers.get("Authorization")
        kind = "application/json"
        if self.limiter.stops_network(ip):
            text = {"message": "Too many attempts from your IP (rate-limit)"}
            self.answer(429, json.dumps(text), kind=kind)
        elif not given:
            text = {"message": "A valid Authorization header is mandatory"}
            self.answer(401, json.dumps(text), kind=kind)
        elif len(token) < 4 or given.removeprefix("Bearer ") != token:
            self.limiter.failed_network(ip)
            log("common", logging.WARNING, "Invalid API token provided by {}.".format(ip))
            self.answer(403, json.dumps({"message": "Invalid API token"}), kind=kind)
        else:
            log("common", logging.INFO, "Valid API token provided by {}.".format(ip))
            section, _slash, name = what.partition("/")
            objects = accounts.export(accounts.Store(), True, False, True, []).get(section)
            if objects is not None and name:
                key = next(iter(accounts.FIELDS[section]))
                objects = next((item for item in objects if item[key] == name), None)
            if objects is None:
                self.answer(404, json.dumps({"message": "Not found"}), kind=kind)
            else:
                self.answer(200, json.dumps(objects), kind=kind)


def look_up(store, table, key):
    """What one of Postfix's tables says about a key, or None."""
    domain = key.rpartition("@")[2].lower()
    found = None
    if table == "domain":
        names = [store.sections["domain"]]
        names += [item["alternatives"] for item in store.sections["domain"].values()]
        found = domain if any(domain in group for group in names) else None
    elif table == "mailbox":
        found = key if store.get("user", key) else None
    elif table in ("alias", "senderlogin"):
        found = ",".join(store.resolve(key)) if "@" in key else None
    elif table in ("relay", "transport"):
        relay = store.get("relay", domain)
        if relay is not None:
            found = "smtp:{}".format(relay["smtp"] or domain) if table == "transport" else domain
    return found or None


class Tables(socketserver.StreamRequestHandler):
    """Postfix's tables, by the protocol of its manual page socketmap_table(5)."""

    def handle(self):
        """Answer questions until the other side is done."""
        while True:
            length = b""
            while (digit := self.rfile.read(1)) not in (b":", b""):
                length += digit
            if not digit:
                return
            question = self.rfile.read(int(length)).decode()
            self.rfile.read(1)
            table, _space, key = question.partition(" ")
            found = look_up(accounts.Store(), table, key)
            answer = ("OK {}".format(found) if found else "NOTFOUND ").encode()
            self.wfile.write(b"%d:%s," % (len(answer), answer))


class Web(http.server.ThreadingHTTPServer):
    """The web server."""

    daemon_threads = True


class TableServer(socketserver.ThreadingTCPServer):
    """The server of Postfix's tables."""

    allow_reuse_address = daemon_threads = True


def main():
    """Serve until told to end."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(levelname)s in %(name)s: %(message)s"))
    logging.basicConfig(level=LEVEL, handlers=[handler])
    anywhere = "0.0.0.0"
    if os.environ.get("SUBNET6"):
        anywhere = "::"
        Web.address_family = TableServer.address_family = socket.AF_INET6
    Handler.limiter = Limiter(os.environ)
    accounts.Store().save()
    tables = TableServer((anywhere, 8081), Tables)
    threading.Thread(target=tables.serve_forever, daemon=True).start()
    Web((anywhere, 8080), Handler).serve_forever()


main()
