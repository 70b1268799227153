# Copyright (c) 2026, the postmaster.mailhost authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints "python PATH" of a Python that is new enough, "installed PATH" of one that was made so, or
# "missing". The list of packages stands in $packages; nothing is installed when it is empty.
#
# shellcheck shell=sh
# The role's task sets it in a line before these.
# shellcheck disable=SC2154
find_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.10 python3.9; do
        path=$(PATH=/usr/bin:/usr/local/bin:$PATH command -v "$name") || continue
        "$path" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || continue
        echo "$1 $path"
        return 0
    done
    return 1
}
find_python python && exit 0
for package in $packages; do
    if said=$(dnf --quiet --assumeyes install "$package" 2>&1); then
        find_python installed && exit 0
    fi
    echo "$said" >&2
done
echo missing
