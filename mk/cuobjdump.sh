#!/bin/sh
# cuobjdump.sh NVCC CUOBJDUMP BUILD: where there is an nvcc of CUDA 13 (NVCC) and no cuobjdump (CUOBJDUMP empty), installs NVIDIA's from PyPI into
# BUILD/cuda-tools (6 MB), so that the tests can count instructions. Without a network or python3-venv it says so and goes on: those tests
# are then skipped.
set -eu
nvcc=$1 cuobjdump=$2 tools=$3/cuda-tools
[ -n "$nvcc" ] && [ -z "$cuobjdump" ] || exit 0
"$nvcc" --version | grep -q 'release 13\.' || exit 0
echo "setup: cuobjdump from PyPI into $tools, to count instructions"
mkdir -p "$3"
if ! { python3 -m venv "$tools" && "$tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    'nvidia-cuda-cuobjdump==13.*' 'nvidia-cuda-nvdisasm==13.*'; } >"$tools.log" 2>&1; then
    rm -rf "$tools"
    echo "setup: that failed ($(tail -1 "$tools.log")); instructions will not be counted"
fi
