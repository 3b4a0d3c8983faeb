#!/bin/bash
# run.sh WRITE_FILES: reads nsamp's files with the real ArviZ and xarray. Their packages come from PyPI into .venv beside the
# Makefile, once; where they cannot be had, the one line that is printed says so and counts as a skip.
here=$(dirname "$(readlink -f "$0")")
venv=$here/../../.venv
wanted=$here/requirements.txt

skip() {
    echo "1..1"
    echo "ok 1 - arviz_and_xarray # SKIP $1"
    exit 0
}

if ! cmp -s "$wanted" "$venv/installed.txt"; then
    command -v python3 >/dev/null || skip "no python3"
    python3 -m venv "$venv" >"$venv.log" 2>&1 || skip "python3 -m venv failed (see .venv.log)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --timeout 10 --retries 1 -r "$wanted" \
        >"$venv.log" 2>&1 || skip "the packages cannot be had from PyPI (see .venv.log)"
    rm -f "$venv.log"
    cp "$wanted" "$venv/installed.txt"
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$1" "$folder" || exit 1
"$venv/bin/python" -W ignore::DeprecationWarning "$here/test_files.py" "$folder"
