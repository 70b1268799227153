#!/bin/sh
# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes sure that a Docker engine answers on this machine, and that the
# programs the sandbox is built with are installed.
#
#   engine.sh start    install what is missing, start an engine when none answers
#   engine.sh stop     stop the engine, if this script started it in the background
#   engine.sh packages print the names of the system packages, one a line
set -eu

# The one list of Debian packages the sandbox needs on the controller.
# "program:package"; a package is installed when its program is missing.
PACKAGES='
dockerd:docker.io
iptables:iptables
mmdebstrap:mmdebstrap
apt-ftparchive:apt-utils
gpg:gnupg
gpgconf:gpgconf
git:git
ssh:openssh-client
ssh-keygen:openssh-client
/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
'

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/.build
pidfile=$build/sandbox/dockerd.pid
log=$build/log/dockerd.log

say() { printf 'sandbox: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

package_names() {
    for pair in $PACKAGES; do printf '%s\n' "${pair#*:}"; done | sort -u
}

present() {
    case $1 in
    /*) [ -e "$1" ] ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# Any Docker client will do for asking whether an engine is there; without one,
# the socket answers HTTP.
answers() {
    socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
    case $socket in
    unix://*) [ -S "${socket#unix://}" ] || return 1 ;;
    esac
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

install_packages() {
    missing=
    for pair in $PACKAGES; do
        # A machine whose engine already answers keeps it: another engine's
        # packages must not be replaced by Debian's.
        if [ "${pair%%:*}" = dockerd ] && answers; then continue; fi
        present "${pair%%:*}" || missing="$missing ${pair#*:}"
    done
    # Debian 13 ships the client as a package of its own, Debian 12 inside docker.io.
    if ! present docker && apt-cache show docker-cli >/dev/null 2>&1; then
        missing="$missing docker-cli"
    fi
    [ -n "$missing" ] || return 0
    present apt-get || die "these packages are missing and there is no apt-get to install them:$missing"
    [ "$(id -u)" = 0 ] || die "run as root to install:$missing"
    say "installing:$missing"
    mkdir -p "$build/log"
    # A package must not start its own daemon here: whether and how the engine
    # is started is decided below.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    {
        apt-get update -q
        # shellcheck disable=SC2086 # the list is meant to be split
        apt-get install -q -y --no-install-recommends $missing
    } >"$build/log/packages.log" 2>&1 ||
        die "apt-get could not install$missing; see $build/log/packages.log"
}

mount_cgroups() {
    # A machine without systemd may have no cgroup file systems mounted.
    [ -e /sys/fs/cgroup/cgroup.controllers ] && return 0
    mountpoint -q /sys/fs/cgroup || mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    # shellcheck disable=SC2013 # the words are what is wanted
    for controller in $(awk '$1 !~ /^#/ && $4 == 1 { print $1 }' /proc/cgroups); do
        grep -q "^[^ ]* [^ ]* cgroup [^ ]*\b$controller\b" /proc/mounts && continue
        mkdir -p "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || true
    done
}

start() {
    install_packages
    if answers; then return 0; fi
    if [ -d /run/systemd/system ]; then
        say 'starting the Docker engine (systemctl start docker)'
        systemctl start docker || die 'systemctl start docker failed; see journalctl -u docker'
    else
        [ "$(id -u)" = 0 ] || die 'run as root to start the Docker engine'
        say "starting the Docker engine in the background (log: $log)"
        mount_cgroups
        mkdir -p "$build/log" "$build/sandbox"
        # A pid file left by an engine that died would keep the new one from starting.
        if [ -f /var/run/docker.pid ] && ! kill -0 "$(cat /var/run/docker.pid)" 2>/dev/null; then
            rm -f /var/run/docker.pid
        fi
        PATH=$PATH:/usr/sbin:/sbin setsid dockerd >"$log" 2>&1 </dev/null &
        echo $! >"$pidfile"
    fi
    tries=0
    until answers; do
        tries=$((tries + 1))
        if [ -f "$pidfile" ] && ! kill -0 "$(cat "$pidfile")" 2>/dev/null; then
            rm -f "$pidfile"
            die "the Docker engine ended at once: $(tail -n 1 "$log")"
        fi
        [ "$tries" -lt 120 ] || die "no answer from the Docker engine after 60 s; see $log"
        sleep 0.5
    done
}

stop() {
    [ -f "$pidfile" ] || return 0
    pid=$(cat "$pidfile")
    # The number may belong to another process by now.
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null || true)" = dockerd ]; then
        say "stopping the Docker engine (pid $pid)"
        kill "$pid"
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 60 ]; do
            tries=$((tries + 1))
            sleep 0.5
        done
    fi
    rm -f "$pidfile"
}

case ${1:-} in
start) start ;;
stop) stop ;;
packages) package_names ;;
*) die "usage: $0 start|stop|packages" ;;
esac
