#!/bin/bash
# run.sh NSAMP: bench/scaling.py with runs of a few milliseconds: every table is there, every number in it is one, and a failing program
# or a wrong option ends it. No time is tested. Output is TAP. Given by tests/run.sh.
set -u
nsamp=$1
script=$(readlink -f "$(dirname "$0")/../../bench/scaling.py")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0
say() { # say TEXT: the verdict of the command before
    local verdict=$?
    count=$((count + 1))
    [ $verdict = 0 ] && echo "ok $count - $1" && return
    echo "not ok $count - $1"
    sed 's/^/# /' "$work/out" "$work/err"
}
if ! command -v python3 >/dev/null; then
    echo "1..1"
    echo "ok 1 - scaling # SKIP no python3"
    exit 0
fi
echo "1..9"
python3 "$script" --nsamp "$nsamp" --share 0.001 --rounds 1 --work equicorrelated >"$work/out" 2>"$work/err"
say "it runs"
[ "$(grep -c -E '^(Threads|Instruction sets|Chains and steps|Memory|Recording|Start-up)' "$work/out")" = 6 ]
say "six tables"
! grep -q -i -E 'nan|inf$|inf | 0\.0 \(' "$work/out"
say "no number is missing"
# Rows: one work in each of two tables (the second only where there is AVX-512), two works in two rows, four runs, three files, four starts.
rows=$(grep -c -E '[0-9]' "$work/out")
[ "$rows" -ge 17 ] && [ "$(grep -c '^  d 100, .*planned .*iB, peak [0-9.]* GiB; [0-9.]* s in all, [0-9.e+]* chain-steps/s' "$work/out")" = 4 ] &&
    [ "$(grep -c -E '^  (nothing|64 chains|4096 chains) .* file [0-9.]+ MB' "$work/out")" = 3 ] &&
    [ "$(grep -c -E '^  (nsamp list|nsamp help|a tiny run|a tiny run with output) +[0-9.]+ \([0-9.]+ to [0-9.]+\)' "$work/out")" = 4 ]
say "every row"
python3 "$script" --nsamp /bin/false --tables start >"$work/out" 2>"$work/err"
[ $? = 1 ] && grep -q 'exit code 1' "$work/err"
say "a program that fails ends it"
python3 "$script" --nsamp "$nsamp" --tables speed >"$work/out" 2>"$work/err"
[ $? = 2 ] && grep -q 'threads,isa,growth' "$work/err"
say "a wrong table is refused"
# Start-up: OpenBLAS, whose threads take the cores for a while, is opened by those that need it.
LD_DEBUG=files "$nsamp" run target.dim=2 run.chains=64 run.steps=4 run.burn_in=0 >"$work/out" 2>"$work/err" && ! grep -q -i openblas "$work/err"
say "a run that needs no linear algebra opens none"
LD_DEBUG=files "$nsamp" run system.name=rsn system.model=builtin:linear target.dim=4 run.chains=64 run.steps=4 run.burn_in=0 >"$work/out" 2>"$work/err" &&
    grep -q -i openblas "$work/err"
say "one that needs it does, which the line before would see"
touch "$work/libopenblas.so.0" "$work/liblapacke.so.3" # not libraries
LD_LIBRARY_PATH=$work "$nsamp" run system.name=rsn system.model=builtin:linear target.dim=4 run.chains=64 run.steps=4 run.burn_in=0 \
    >"$work/out" 2>"$work/err"
[ $? = 127 ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -q 'libopenblas.so.0' "$work/err"
say "where it cannot be opened, one line names it"
