#!/bin/sh
# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later

# Set-up: everything a checkout needs, made below .build/.
#
#   tests/setup.sh run      Python environment, ansible-core, collections
#   tests/setup.sh check    the same, and linters and test tools
#   tests/setup.sh sandbox  run, and a Docker engine with what builds its images
#   tests/setup.sh test     check and sandbox
#
# PYTHON=/path/to/python3 chooses the interpreter; otherwise the newest one on
# PATH that works is taken, the system's own where that version has several builds.
# What is missing of the system's packages is installed with apt-get, which says so.
# A second call finds everything and does nothing.

set -u
cd "$(dirname "$0")/.." || exit 1

BUILD=.build
VENV=$BUILD/venv
LOG=$BUILD/log/setup.log
COLLECTIONS=$BUILD/collections/ansible_collections
export LC_ALL=C.UTF-8
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# A user's PYTHONPATH or PYTHONHOME would leak into the environment made here.
unset PYTHONPATH PYTHONHOME

# fail MESSAGE...: say what is wrong, one line an argument, and stop.
fail() {
    printf 'set-up: %s\n' "$@" >&2
    exit 1
}

# step TITLE COMMAND...: run COMMAND with its output in the log, and show one line
# with the seconds it took; on failure show the end of what this command logged.
step() {
    title=$1
    shift
    begin=$(date +%s)
    lines=$(wc -l <"$LOG")
    printf 'set-up: %-58s' "$title"
    echo "== $title" >>"$LOG"
    if "$@" >>"$LOG" 2>&1 </dev/null; then
        printf '%4d s\n' $(($(date +%s) - begin))
    else
        printf 'failed\n\n'
        tail -n "+$((lines + 2))" "$LOG" | tail -n 15 | sed 's/^/    /' >&2
        echo >&2
        fail "\"$title\" failed; the whole log is $LOG"
    fi
}

# have COMMAND: is there such a command? The sbin folders count, since a PATH
# without them is common where root was reached with su.
have() {
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1
}

# packages PACKAGE...: install system packages; only Debian's tool is known here.
packages() {
    if ! have apt-get; then
        fail "these packages are missing, and there is no apt-get to install them: $*" \
            "install them with your system's package manager and start again"
    fi
    if [ "$(id -u)" != 0 ]; then
        fail "these system packages are missing: $*" \
            "install them as root: apt-get install $*"
    fi
    if [ -z "${apt_updated:-}" ]; then
        step "apt-get update" apt-get -q update
        apt_updated=yes
    fi
    step "apt-get install $*" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "$@"
}

# probe PYTHON: print "VERSION PATH" of an interpreter that runs and that an
# ansible-core pinned here supports. Each candidate is run, because a command of
# that name may be a launcher for a version that is not there.
probe() {
    "$1" -c '
import os, sys
if (3, 11) <= sys.version_info[:2] <= (3, 14):
    # Inside a virtual environment: the interpreter it was made from.
    path = getattr(sys, "_base_executable", None) or sys.executable
    print("%d.%d" % sys.version_info[:2], os.path.realpath(path))
' 2>/dev/null
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        found=$(probe "$PYTHON")
        [ -n "$found" ] ||
            fail "PYTHON=$PYTHON does not run or is not Python 3.11 to 3.14"
    else
        found=
        for name in python3.14 python3.13 python3.12 python3.11 python3; do
            # Distributions optimise their builds. One by pyenv, which is often before it on
            # PATH, takes two to three times as long for the same work.
            found=$(probe "/usr/bin/$name")
            [ -n "$found" ] || found=$(probe "$name")
            [ -n "$found" ] && break
        done
        [ -n "$found" ] ||
            fail "no working Python 3.11 to 3.14 found on PATH" \
                "install one (Debian 12 and newer: apt-get install python3) or name it: make ... PYTHON=/path/to/python3"
    fi
    python_version=${found%% *}
    python=${found#* }
    # ansible-core from 2.20 on needs Python 3.12.
    case $python_version in
        3.11) core=2.19 ;;
        *) core=2.21 ;;
    esac
}

# shellcheck disable=SC2317,SC2329  # called through step
make_venv() {
    rm -rf "$VENV"
    "$python" -m venv "$VENV" || return
    "$VENV/bin/python" -m pip install -c requirements/constraints.txt \
        -r "requirements/core-$core.txt" -r meta/ee-requirements.txt
}

# The bundle is one zip of half a gigabyte unpacked; only the folders named in
# collections.txt are taken out of it.
# shellcheck disable=SC2317,SC2329  # called through step
make_collections() {
    rm -rf "$BUILD/collections" "$BUILD/bundle"
    mkdir -p "$COLLECTIONS/postmaster"
    "$VENV/bin/python" -m pip download --no-deps --only-binary=:all: --dest "$BUILD/bundle" \
        -r "requirements/bundle-$core.txt" || return
    "$VENV/bin/python" - "$BUILD/bundle" "$BUILD/collections" <<'PYTHON' || return
import pathlib
import sys
import zipfile

bundle, target = map(pathlib.Path, sys.argv[1:])
names = [
    line.strip()
    for line in pathlib.Path("requirements/collections.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
with zipfile.ZipFile(next(bundle.glob("*.whl"))) as wheel:
    for name in names:
        folder = "ansible_collections/%s/" % name.replace(".", "/")
        members = [member for member in wheel.namelist() if member.startswith(folder)]
        if not members:
            sys.exit("the bundle has no collection %s" % name)
        wheel.extractall(target, members)
        print("%s: %d files" % (name, len(members)))
PYTHON
    rm -rf "$BUILD/bundle"
    # The checkout itself, under the name Ansible looks it up by.
    ln -s ../../../.. "$COLLECTIONS/postmaster/mailhost"
}

# stamp FILE...: one word that changes with Python, the place of the checkout (scripts
# of an environment name it) or one of the files.
stamp() {
    { echo "$python_version $python $PWD"; cat "$@"; } | sha256sum | cut -c1-64
}

# done_before NAME STAMP: was the step NAME finished with this STAMP?
done_before() {
    [ "$(cat "$BUILD/setup/$1" 2>/dev/null)" = "$2" ]
}

python_environment() {
    choose_python
    want=$(stamp requirements/constraints.txt "requirements/core-$core.txt" meta/ee-requirements.txt)
    if ! done_before venv "$want" || ! [ -x "$VENV/bin/ansible-playbook" ]; then
        # Debian splits the standard library: without this package no environment.
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            case $python in
                /usr/bin/*) packages "python$python_version-venv" ;;
                *) fail "$python has no modules venv and ensurepip" \
                    "name another interpreter: make ... PYTHON=/path/to/python3" ;;
            esac
        fi
        rm -rf "$BUILD/setup"
        mkdir -p "$BUILD/setup"
        step "Python $python_version environment with ansible-core $core" make_venv
        echo "$want" >"$BUILD/setup/venv"
    fi
    want=$(stamp "requirements/bundle-$core.txt" requirements/collections.txt)
    if ! done_before collections "$want" || ! [ -e "$COLLECTIONS/postmaster/mailhost/galaxy.yml" ]; then
        step "collections the roles use" make_collections
        echo "$want" >"$BUILD/setup/collections"
    fi
}

# addition NAME TITLE: bring the packages of requirements/NAME.txt into the environment.
addition() {
    want=$(stamp requirements/constraints.txt "requirements/core-$core.txt" "requirements/$1.txt")
    if ! done_before "$1" "$want"; then
        # ansible-core is named again, so that nothing can move it.
        step "$2" "$VENV/bin/python" -m pip install -c requirements/constraints.txt \
            -r "requirements/core-$core.txt" -r "requirements/$1.txt"
        echo "$want" >"$BUILD/setup/$1"
    fi
}

level=${1:-}
case $level in
    run | check | sandbox | test) ;;
    *) fail "usage: tests/setup.sh run|check|sandbox|test" ;;
esac

mkdir -p "$BUILD/log" "$BUILD/setup"
# Two calls at once would build the same environment: the second one waits.
exec 9>"$BUILD/setup.lock"
flock 9
date +'%n==== %F %T' >>"$LOG"

python_environment
case $level in
    check | test)
        addition tools "linters and test tools"
        # ansible-test skips its shell check, and passes, where shellcheck is missing.
        have shellcheck || packages shellcheck
        # What reads OpenPGP keys is held against GnuPG.
        have gpg || packages gpg
        ;;
esac
# The sandbox's own unit tests import it as well.
[ "$level" = run ] || addition sandbox "what drives the sandbox"
case $level in
    sandbox | test)
        # Descriptor 9 is the lock: the engine must not keep it.
        sh tests/sandbox/engine.sh start 9>&- || exit
        ;;
    run) have ssh || packages openssh-client ;;
esac
if [ "$level" = test ]; then
    # What tests/kernel loads rules with, beside the engine's own iptables.
    have nft || packages nftables
    have ipset || packages ipset
fi
exit 0
