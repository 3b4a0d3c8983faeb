#!/bin/sh
# setup.sh: installs the packages of packages.txt that are missing (Debian, Ubuntu). Touches nothing when all are there.
set -eu
cd "$(dirname "$0")/.."
packages=$(sed 's/#.*//' packages.txt)
if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: no dpkg here; these packages, or what your system calls them, are needed:" $packages
    exit 0
fi
missing=""
for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "setup: installing$missing"
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "setup: not root and no sudo; install these and try again:$missing" >&2; exit 1; }
    sudo=sudo
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "setup: done"
