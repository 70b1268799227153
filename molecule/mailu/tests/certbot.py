# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates on mail6 as certbot keeps them: files in archive/, links to the newest in live/.

As a program, ``python certbot.py renew`` issues one.
"""

from __future__ import annotations

import sys

from scenario import on

LIVE = "/etc/letsencrypt/live/mail6.example.test"
NAMES = ("mail6.example.test", "autoconfig.example.test")

ISSUE = r"""
set -e
mkdir -p /etc/letsencrypt/archive/mail6.example.test {live} /root/authority
cd /root/authority
if [ ! -e ca.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj '/CN=Authority' \
        -keyout ca.key -out ca.pem 2>/dev/null
fi
cd /etc/letsencrypt/archive/mail6.example.test
number=$(($(ls privkey*.pem 2>/dev/null | wc -l) + 1))
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=mail6.example.test' \
    -keyout privkey$number.pem -out request 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' '{names}' >extensions
openssl x509 -req -in request -days {days} -CA /root/authority/ca.pem -CAkey /root/authority/ca.key \
    -CAcreateserial -extfile extensions -out cert$number.pem 2>/dev/null
cat cert$number.pem /root/authority/ca.pem >fullchain$number.pem
chmod 600 privkey$number.pem
ln -sf ../../archive/mail6.example.test/privkey$number.pem {live}/privkey.pem
ln -sf ../../archive/mail6.example.test/fullchain$number.pem {live}/fullchain.pem
"""


def renew(days: int = 60, names: tuple[str, ...] = NAMES) -> None:
    """Issue a certificate and lead the links to it, without calling any hook."""
    listed = ",".join(f"DNS:{name}" for name in names)
    on("mail6", ISSUE.format(live=LIVE, days=days, names=listed))


def authority() -> str:
    """The certificate of the authority that issues them, in PEM form."""
    return on("mail6", "cat /root/authority/ca.pem")


if __name__ == "__main__" and sys.argv[1:] == ["renew"]:
    renew()
