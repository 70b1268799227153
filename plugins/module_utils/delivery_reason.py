# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why mail was not delivered, in a sentence, and the next step.

Servers say the same thing in many words. A reason is known by its enhanced status code (RFC 3463,
RFC 7372, RFC 7505) or by words that only it has, in the order of :data:`KINDS`: what is more special
stands first.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.postmaster.mailhost.plugins.module_utils.mail_log import (
    BOUNCED,
    DEFERRED,
    EXPIRED,
    QUEUED,
    REJECTED,
    SENT,
)

# Who can do something about it.
NETWORK = "network"
SERVER = "server"
RECEIVER = "receiver"
SENDER = "sender"


class Kind(NamedTuple):
    """A kind of reason.

    Attributes:
        name: what it is called in results.
        side: who can do something about it: :data:`NETWORK`, :data:`SERVER` (this one),
            :data:`RECEIVER` or :data:`SENDER`.
        words: each of them means this kind, in lower case.
        codes: pattern of enhanced status codes that mean this kind; None when none does.
        sentence: what it means.
        step: what to do next.
    """

    name: str
    side: str
    words: tuple[str, ...]
    codes: re.Pattern[str] | None
    sentence: str
    step: str


def _kind(name: str, side: str, words: str, codes: str, sentence: str, step: str) -> Kind:
    """Make a kind; the words are separated by ``|``."""
    pattern = re.compile(codes + r"\Z") if codes else None
    return Kind(name, side, tuple(filter(None, words.split("|"))), pattern, sentence, step)


KINDS = (
    _kind(
        "loop",
        SERVER,
        "loops back to myself|too many hops|routing loop|mail loop",
        r"[45]\.4\.6",
        "The message would come back to this server for ever.",
        "Name the domain among those that this server is the end for, or correct its MX record or the "
        "transport that leads here; behind NAT also set Postfix's proxy_interfaces.",
    ),
    _kind(
        "relay_denied",
        SENDER,
        "relay access denied|relaying denied|relay not permitted|unable to relay|rcpthosts|"
        "relayed thru|not permitted to relay|relaying not allowed|relay denied",
        "",
        "Relaying denied: the client did not authenticate, or the server is not the recipient's.",
        "Let the mail program use port 587 or 465 with user name and password. If the domain is this "
        "server's own, add it there; if another server said it, compare the domain's MX record.",
    ),
    _kind(
        "greylisted",
        RECEIVER,
        "greylist|graylist|grey-list|greylisting in action",
        "",
        "The receiver lets unknown senders try again later (greylisting).",
        "Nothing: the next attempts deliver it. If they never do, look whether this server sends from "
        "changing addresses.",
    ),
    _kind(
        "reverse_dns",
        SERVER,
        "reverse dns|reverse hostname|ptr record|cannot find your hostname|no ptr|rdns|fcrdns|"
        "does not have a valid ptr|helo command rejected|invalid helo",
        r"[45]\.7\.25",
        "The receiver refuses this server because of its reverse record or the name it greets with.",
        "Have the provider set the PTR of the sending address to the server's name, and greet with that "
        "name; for IPv6 too, or send over IPv4 only. The module dns_audit shows what is missing.",
    ),
    _kind(
        "authentication",
        SERVER,
        "dmarc|dkim|sender policy framework|spf check|spf fail|spf record|spf validation|"
        "unauthenticated email|unauthenticated sender|not pass authentication|does not designate",
        r"[45]\.7\.(?:2[0-46-7]|26)",
        "The receiver found no valid SPF, DKIM or DMARC for the sender's domain.",
        "Publish SPF with the address this server sends from and the DKIM key that it signs with; "
        "the module dns_audit compares them.",
    ),
    _kind(
        "login_failed",
        SERVER,
        "sasl authentication failed|authentication credentials invalid|535 5.7.8",
        r"[45]\.7\.8",
        "The smarthost refused the user name or password.",
        "Correct the credentials for the smarthost (Postfix: smtp_sasl_password_maps).",
    ),
    _kind(
        "login_needed",
        SERVER,
        "authentication required|must authenticate|authentication is required|need to authenticate",
        "",
        "The other server takes mail only from clients that authenticate.",
        "Set user name and password for that smarthost, on port 587 or 465.",
    ),
    _kind(
        "blocklisted",
        SERVER,
        "spamhaus|spamcop|barracuda|blacklist|blocklist|block list|black list|blocked using|dnsbl|"
        " rbl|is listed|listed in|listed by|listed at|poor reputation|low reputation|bad reputation|"
        "reputation of|on our block|your ip has been|banned sending ip|access denied, banned",
        "",
        "The receiver refuses this server's address, which is on a blocklist or has a bad name.",
        "Run the module blocklist_info for the sending address, find out why it was listed, and then "
        "ask the list, or the receiver's postmaster, to remove it.",
    ),
    _kind(
        "rate_limited",
        SERVER,
        "rate limit|ratelimit|too many connections|too many messages|too many concurrent|throttl|"
        "unusual rate|out of connection slots|exceeded the maximum number of|sending too fast|"
        "messages per hour|temporarily rate",
        r"4\.7\.(?:28|650)|[45]\.4\.5",
        "The receiver takes only so much at a time from this server.",
        "Send more slowly to it (Postfix: a transport with smtp_destination_rate_delay); look whether "
        "an account here sends spam.",
    ),
    _kind(
        "null_mx",
        SENDER,
        "null mx|nullmx|does not accept mail|no mail accepted",
        r"5\.1\.10",
        "The recipient's domain says that it takes no mail at all (RFC 7505).",
        "Correct the address.",
    ),
    _kind(
        "mailbox_full",
        RECEIVER,
        "over quota|overquota|quota exceeded|mailbox full|mailbox is full|exceeded storage|out of storage|"
        "exceeds quota|mail quota",
        r"[45]\.2\.2",
        "The recipient's mailbox is full.",
        "Let the recipient make room, or raise the quota if the mailbox is on this server.",
    ),
    _kind(
        "too_big",
        SENDER,
        "message size exceeds|size limit|message too large|message too big|databytes|"
        "exceeds size|exceeds fixed limit|maximum message size",
        r"[45]\.(?:3\.4|2\.3)",
        "The message is larger than a server on the way takes.",
        "Send a link instead; if this server said it, raise its limit (Postfix: message_size_limit, "
        "qmail: control/databytes in bytes).",
    ),
    _kind(
        "sender_refused",
        SENDER,
        "sender address rejected|badmailfrom|sender verify|sender rejected|invalid sender|"
        "domain of sender|sender domain",
        r"[45]\.1\.[78]",
        "The sender's address was refused.",
        "Use a sender address whose domain exists and takes mail, and that belongs to the user who "
        "authenticated.",
    ),
    _kind(
        "own_service",
        SERVER,
        "[private/|dovecot-lmtp|connect to 127.|connect to localhost|connect to ::1|unable to run|"
        "mail transport unavailable|unknown mail transport|mail system configuration|"
        "milter service|temporary lookup failure|service unavailable - try again later|"
        "system config error|local configuration error|#4.3.",
        "",
        "A part of this mail server that the message must pass does not work.",
        "Look at the log of the service that the line names (delivery agent, database, milter), and "
        "start it again.",
    ),
    _kind(
        "own_files",
        SERVER,
        "uh-oh|.qmail has prog|no space left on device|maildir delivery failed|unable to chdir to maildir|"
        "cannot update mailbox|can't create user output|cannot append to|file too large",
        "",
        "The message cannot be written into the mailbox on this server.",
        "Look at owner, mode and free space of the mailbox that the line names.",
    ),
    _kind(
        "tls",
        SERVER,
        "must issue a starttls|starttls first|tls is required|tls required|cannot start tls|"
        "tls is not available|tls handshake|tls not offered|tls was required|certificate|"
        "not offered by host",
        r"[45]\.7\.1[0-1]",
        "The two servers do not agree on an encrypted connection.",
        "Run the module tls_audit for the receiver's MX; look at Postfix's smtp_tls_security_level and "
        "smtp_tls_policy_maps.",
    ),
    _kind(
        "no_domain",
        SENDER,
        "couldn't find any host named|domain not found|host unknown|unknown host|"
        "name or service not known|host or domain name not found|unrouteable|domain does not exist",
        r"5\.(?:1\.2|4\.[34])",
        "The recipient's domain is not in the DNS, or has no server for mail.",
        "Correct the address; if it is right, ask this server's resolver: dig DOMAIN MX.",
    ),
    _kind(
        "user_unknown",
        SENDER,
        "user unknown|unknown user|no such user|no such recipient|no such mailbox|no mailbox here|"
        "recipient unknown|unknown recipient|mailbox not found|user not found|recipient not found|"
        "invalid recipient|unknown in virtual|unknown in local|unknown in relay|address rejected|"
        "does not exist|mailbox unavailable|address unknown|account has been disabled|no longer valid|"
        "account disabled|no account",
        r"[45]\.1\.[136]|5\.2\.1",
        "There is no such mailbox at the receiver.",
        "Correct the address; if the domain is this server's own, make the mailbox or an alias.",
    ),
    _kind(
        "dns",
        SERVER,
        "name service error|unable to look up host|host not found, try again|cname lookup failed|"
        "temporary failure in name resolution",
        r"4\.(?:4\.[34]|1\.2)",
        "The DNS did not answer for the recipient's domain.",
        "Ask this server's resolver by hand: dig DOMAIN MX. If nothing is answered for any domain, "
        "the resolver is at fault.",
    ),
    _kind(
        "timeout",
        NETWORK,
        "connection timed out|operation timed out|able to establish an smtp connection|"
        "timed out while|conversation with",
        r"4\.4\.1",
        "The receiver's server could not be reached.",
        "Try another destination: if all of them time out, outgoing port 25 is blocked by the provider, "
        "who must be asked to open it; else the receiver's server is down.",
    ),
    _kind(
        "refused",
        NETWORK,
        "connection refused",
        "",
        "The receiver's server takes no connections.",
        "Nothing here: the queue tries again. If every destination refuses, look at the firewall.",
    ),
    _kind(
        "unreachable",
        NETWORK,
        "network is unreachable|no route to host|network unreachable|host is unreachable",
        "",
        "There is no way to the receiver's address.",
        "If only IPv6 addresses are unreachable, give the server IPv6 or have it send over IPv4 only "
        "(Postfix: inet_protocols = ipv4).",
    ),
    _kind(
        "refused_to_talk",
        RECEIVER,
        "refused to talk to me|greeting failed|greeting_failed|does not like us",
        "",
        "The receiver's server is busy, or does not want this server's address.",
        "Wait if it says that it is busy; otherwise look for this server's address in blocklists with "
        "the module blocklist_info.",
    ),
    _kind(
        "connection_lost",
        NETWORK,
        "lost connection|connection died|connection reset|broken pipe|connection_died",
        r"4\.4\.2",
        "The connection broke in the middle of the message.",
        "If it happens with large messages only, look at the MTU; with one receiver only, wait.",
    ),
    _kind(
        "content",
        SENDER,
        "spam|virus|malware|phish|content rejected|message content|unsolicited|message rejected|"
        "infected|junk mail",
        r"[45]\.7\.1[45]|5\.6\.0",
        "The receiver takes the message for spam or harmful.",
        "Look at the message, and at SPF, DKIM, DMARC and blocklists; look whether an account here "
        "sends spam.",
    ),
    _kind(
        "policy",
        RECEIVER,
        "policy|access denied|not authorized|administrative prohibition|prohibited|refused by",
        r"[45]\.7\.\d{1,3}",
        "The receiver refuses the message by a rule of its own.",
        "Read what it said: there is often a page to look at. Otherwise ask its postmaster.",
    ),
)

_EXPIRED = _kind(
    "expired",
    NETWORK,
    "",
    "",
    "The message was tried for days and went back to its sender.",
    "Look for the earlier lines of this queue id: they say why each attempt failed.",
)
_OTHER = {
    DEFERRED: _kind(
        "temporary",
        RECEIVER,
        "",
        "",
        "The message could not be delivered yet; it is tried again.",
        "Wait for the next attempt; read what the receiver said if it stays so.",
    ),
    BOUNCED: _kind(
        "permanent",
        RECEIVER,
        "",
        "",
        "The message was given up and went back to its sender.",
        "Read what the receiver said.",
    ),
    REJECTED: _kind(
        "rejected",
        SENDER,
        "",
        "",
        "This server did not take the message from the client.",
        "Read what this server said; the client got the same text.",
    ),
}
_FINE = {
    SENT: _kind(
        "sent",
        RECEIVER,
        "",
        "",
        "The next server took the message, or it is in a mailbox here.",
        "If the recipient does not see it, look into the spam folder and at the receiver.",
    ),
    QUEUED: _kind("queued", SERVER, "", "", "The message waits in the queue.", "Wait."),
}

# Who says something, when it is a part of this server.
_OWN_PART = re.compile(r"\[private/|(?<![\d.])127\.\d+\.\d+\.\d+|\[::1\]")

# All that Postfix says then; a server that says the same of itself says more around it.
_OWN_ADDRESS_TEXT = "server configuration error"
_OWN_ADDRESS = _kind(
    "own_address",
    SERVER,
    "",
    "",
    "Postfix cannot send as it is told to, mostly because the host does not have the address that mail "
    "is to leave from.",
    "Compare smtp_bind_address and smtp_bind_address6 (postconf) with the addresses of the host (ip "
    "address); the warning before that line in the log names the one.",
)

#: Every kind by its name.
BY_NAME = {
    kind.name: kind for kind in (*KINDS, _OWN_ADDRESS, _EXPIRED, *_OTHER.values(), *_FINE.values())
}


def of(status: str, dsn: str, reason: str) -> Kind:
    """Return the kind of reason for what became of a message.

    Words decide before codes, since many servers send 5.7.1 for everything; those of the last kind
    say so little that codes come before them.

    Args:
        status: one of ``mail_log.STATUSES``.
        dsn: enhanced status code.
        reason: what was said.
    """
    if status in _FINE:
        return _FINE[status]
    if status == EXPIRED:
        return _EXPIRED
    text = reason.lower()
    speaker, said, _words = text.partition(" said: ")
    # A server elsewhere says of itself what this one says of its parts.
    passed_by = ("own_service", "own_files") if said and not _OWN_PART.search(speaker) else ()
    if text == _OWN_ADDRESS_TEXT:
        return _OWN_ADDRESS
    for kind in KINDS[:-1]:
        if kind.name in passed_by:
            continue
        for word in kind.words:
            if word in text:
                return kind
    for kind in KINDS:
        if kind.codes is not None and kind.codes.match(dsn):
            return kind
    last = KINDS[-1]
    return last if any(word in text for word in last.words) else _OTHER[status]
