#!/bin/bash
# peers.sh BUILD bench|check [OPTION ...]: installs the peers from PyPI into BUILD/peers/venv, once, and runs bench/peers.
# Options go to it: --quick, --rows TEXT, --libraries a,b, --threads N, --gpu, --seconds N. The table of a whole bench is kept in
# bench/results/.
# PEERS_PYTHON=python3 takes the libraries that this interpreter has, in their versions, and installs nothing.
set -euo pipefail
build=$(readlink -f "$1") what=$2
shift 2
here=$(dirname "$(readlink -f "$0")")/..
venv=$build/peers/venv
wanted=$here/bench/peers/requirements.txt
fail() {
    echo "$what-peers: $*" >&2
    exit 1
}

# Choices of OpenBLAS's kernels by hand are taken away from every competitor alike.
unset_here=
for name in OPENBLAS_CORETYPE OPENBLAS_L2_SIZE; do
    [ -z "${!name-}" ] || unset_here="$unset_here$name=${!name} "
    unset "$name"
done
export PEERS_UNSET=$unset_here

install() { "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "$@" 2>"$venv.log" || fail "pip: $(tail -1 "$venv.log")"; }

# On a machine with a GPU also what the peers need there; elsewhere only what they need to load.
prepare() {
    local lists=("$wanted")
    if nvidia-smi -L >/dev/null 2>&1; then lists+=("$here/bench/peers/requirements-gpu.txt"); fi
    if cat "${lists[@]}" | cmp -s - "$venv/installed.txt"; then return; fi
    mkdir -p "$build/peers"
    echo "$what-peers: installing the peers from PyPI into $venv (about 5 GB, once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "python3 -m venv failed: Debian's package is python3-venv"
    install --no-deps -r "$wanted"
    [ ${#lists[@]} -eq 1 ] || install -r "${lists[1]}"
    cat "${lists[@]}" >"$venv/installed.txt"
}
python=${PEERS_PYTHON:-}
if [ -n "$python" ]; then
    "$python" -c "import numpy" 2>/dev/null || fail "PEERS_PYTHON: $python has no NumPy"
    export TORCHINDUCTOR_CACHE_DIR=$build/peers/inductor
else
    prepare
    python=$venv/bin/python
fi

export NSAMP_DATA=${NSAMP_DATA:-$(readlink -f "$here")/data} # for a program that was built elsewhere
export PYTHONPATH=$here/bench${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore TORCH_LOGS=-all TF_CPP_MIN_LOG_LEVEL=2
run=("$python" -m peers --nsamp "$build/nsamp" --normals "$build/bench/normals")
if [ "$what" = check ]; then exec "${run[@]}" --check "$@"; fi
if [ $# -eq 0 ]; then
    mkdir -p "$here/bench/results"
    set -- --out "$here/bench/results/peers-$(date +%Y-%m-%d).txt"
fi
exec "${run[@]}" "$@"
