#!/bin/bash
# run.sh TEST_MATMUL|none TEST_MATMUL_BLAS: the tests of products with the libraries held to every kind of kernel that this processor can
# run: their rows keep their bits on all of them, not only on the newest. Output is TAP, a line a kind. Given by tests/run.sh.
set -u
dnnl=$1 blas=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export CMOCKA_MESSAGE_OUTPUT=TAP
flags=" $(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -1) "
count=0

# held NAME FLAG COMMAND...: runs where the processor has FLAG; the program must say that it ran on NAME.
held() {
    local name=$1 flag=$2
    shift 2
    [[ $flags == *" $flag "* ]] || return
    count=$((count + 1))
    if "$@" >"$work/out" 2>&1 && grep -qE "^# ok - .*$name" "$work/out"; then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        sed 's/^/# /' "$work/out"
    fi
}

[ "$dnnl" = none ] || for isa in sse41:sse4_1 avx:avx avx2:avx2 avx512_core:avx512bw; do
    held "${isa%:*}" "${isa#*:}" env ONEDNN_MAX_CPU_ISA="$(tr "[:lower:]" "[:upper:]" <<<"${isa%:*}")" "$dnnl"
done
for core in Prescott:pni Nehalem:sse4_2 Sandybridge:avx Haswell:avx2 SkylakeX:avx512bw; do
    held "${core%:*}" "${core#*:}" env OPENBLAS_CORETYPE="${core%:*}" "$blas"
done
[ $count -gt 0 ] || echo "ok $((++count)) # SKIP kinds of products: known for x86-64 alone"
echo "1..$count"
