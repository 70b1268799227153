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
mke2fs:e2fsprogs
apt-ftparchive:apt-utils
gpg:gnupg
gpgconf:gpgconf
patchelf:patchelf
rpmbuild:rpm
createrepo_c:createrepo-c
git:git
ssh:openssh-client
ssh-keygen:openssh-client
/usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
'

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/.build
pidfile=$build/sandbox/dockerd.pid
log=$build/log/dockerd.log
default_socket=unix:///var/run/docker.sock
socket=${DOCKER_HOST:-$default_socket}

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

# Asks the way the sandbox itself will; before there is an environment, with
# Docker's own client.
answers() {
    case $socket in
    unix://*) [ -S "${socket#unix://}" ] || return 1 ;;
    esac
    if "$build/venv/bin/python" -c 'import docker' 2>/dev/null; then
        "$build/venv/bin/python" -c 'import docker; docker.from_env(timeout=10).ping()' 2>/dev/null
    else
        docker version --format '{{.Server.Version}}' >/dev/null 2>&1
    fi
}

install_packages() {
    missing=
    for pair in $PACKAGES; do
        # A machine whose engine already answers keeps it: another engine's
        # packages must not be replaced by Debian's.
        if [ "${pair%%:*}" = dockerd ] && answers; then continue; fi
        present "${pair%%:*}" && continue
        case "$missing " in
        *" ${pair#*:} "*) ;;
        *) missing="$missing ${pair#*:}" ;;
        esac
    done
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

# running PIDFILE PROGRAM: does the process of the pid file run, and is it PROGRAM?
# The number may belong to another process by now.
running() {
    pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

# Start an engine in the background and wait until it answers; fails if it ends.
start_daemon() {
    # Left behind by an engine that was killed, it would keep a new one from starting.
    running /var/run/docker.pid dockerd || rm -f /var/run/docker.pid
    PATH=$PATH:/usr/sbin:/sbin setsid dockerd >"$log" 2>&1 </dev/null &
    echo $! >"$pidfile"
    tries=0
    until answers; do
        tries=$((tries + 1))
        kill -0 "$(cat "$pidfile")" 2>/dev/null || return 1
        [ "$tries" -lt 120 ] || die "no answer from the Docker engine after 60 s; see $log"
        sleep 0.5
    done
}

start() {
    install_packages
    if answers; then return 0; fi
    # An engine started here would not be the one that is asked for.
    [ "$socket" = "$default_socket" ] || die "no Docker engine answers at DOCKER_HOST=$socket"
    [ "$(id -u)" = 0 ] || die 'run as root to start the Docker engine'
    if [ -d /run/systemd/system ]; then
        say 'starting the Docker engine (systemctl start docker)'
        systemctl start docker || die 'systemctl start docker failed; see journalctl -u docker'
        answers || die 'the Docker engine was started and does not answer; see journalctl -u docker'
    else
        say "starting the Docker engine in the background (log: $log)"
        mount_cgroups
        mkdir -p "$build/log" "$build/sandbox"
        # After an engine that was killed, the first one may wait for that one's
        # containerd in vain and give up; the second one does not.
        start_daemon || start_daemon || {
            rm -f "$pidfile"
            die "the Docker engine ended at once: $(tail -n 1 "$log")"
        }
    fi
}

stop() {
    [ -f "$pidfile" ] || return 0
    if running "$pidfile" dockerd; then
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
