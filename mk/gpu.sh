#!/bin/bash
# gpu.sh: the suite and the benchmarks on a real GPU. Usage: mk/gpu.sh check|bench NSAMP
# check: nsamp check with run.backend=cuda; the same runs on CPU and GPU, compared number by number; compute-sanitizer
#        where it is installed. bench: five timed runs of each size. Both write bench/results/gpu-*.txt with the GPU's
#        name and the date. Without a usable GPU: one line and exit code 1.
set -u
what=$1 nsamp=$2
fail() {
    echo "$what-gpu: $*" >&2
    exit 1
}
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -1)
[ -n "$gpu" ] || fail "no NVIDIA GPU here (nvidia-smi finds none)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
job="$work/job.ini"
printf '[target]\nname = equicorrelated\n' >"$job"
"$nsamp" run "$job" run.backend=cuda run.dry=yes >/dev/null 2>"$work/why" || fail "$(cat "$work/why")"

same() {
    for backend in cpu cuda; do
        "$nsamp" run "$job" "$@" run.backend=$backend output.file="$work/$backend.nc" output.overwrite=yes >"$work/log" 2>&1 &&
            "$nsamp" stats "$work/$backend.nc" --json | sed "s|$work/$backend.nc||" >"$work/$backend.json" || {
            echo "FAILED   $backend: $*"
            cat "$work/log"
            return 1
        }
    done
    if cmp -s "$work/cpu.json" "$work/cuda.json"; then
        echo "same     $*"
    else
        echo "DIFFERS  $*"
        diff "$work/cpu.json" "$work/cuda.json" | head -5
        return 1
    fi
}

sanitize() {
    if compute-sanitizer --tool "$1" --error-exitcode 9 "$nsamp" run "$job" run.backend=cuda target.dim="$2" run.chains=64 \
        run.steps=20 >"$work/log" 2>&1; then
        echo "clean    compute-sanitizer $1, dim $2"
    else
        echo "FAILED   compute-sanitizer $1, dim $2"
        tail -20 "$work/log"
        return 1
    fi
}

check() {
    local bad=0
    "$nsamp" check run.backend=cuda || bad=1
    for dim in 3 10 100 300 1000 4000; do
        for geometry in naive natural; do
            same target.dim=$dim system.geometry=$geometry run.chains=4096 run.steps=500 || bad=1
        done
    done
    same system.name=mh-spiking target.dim=10 system.neurons=100 run.chains=4096 run.steps=20000 || bad=1
    if command -v compute-sanitizer >/dev/null 2>&1; then
        for tool in memcheck racecheck initcheck synccheck; do
            for dim in 10 300 2000; do sanitize $tool $dim || bad=1; done
        done
    else
        echo "left out compute-sanitizer: not installed"
    fi
    return $bad
}

# What the program says of its speed, five runs of each size.
bench() {
    local bad=0 chains
    for dim in 10 100 1000 10000; do
        chains=$((40000000 / dim < 65536 ? 40000000 / dim : 65536))
        for run in 1 2 3 4 5; do
            echo "dim $dim, $chains chains, run $run"
            "$nsamp" run "$job" run.backend=cuda target.dim=$dim run.chains=$chains run.steps=2000 record.cov_dim=0 2>&1 |
                tail -3
            [ "${PIPESTATUS[0]}" -eq 0 ] || bad=1
        done
    done
    return $bad
}

mkdir -p bench/results
out=bench/results/gpu-$what-$(date +%Y-%m-%d).txt
printf 'GPU      %s\ndate     %s\n' "$gpu" "$(date -u +%Y-%m-%dT%H:%MZ)" | tee "$out"
"$what" 2>&1 | tee -a "$out"
[ "${PIPESTATUS[0]}" -eq 0 ] || fail "something failed: $out"
echo "$what-gpu: passed: $out"
