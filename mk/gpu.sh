#!/bin/bash
# gpu.sh: the suite and the benchmarks on a real GPU. Usage: mk/gpu.sh check|bench NSAMP [MAKE]
# check: nsamp check with run.backend=cuda; the same runs on CPU and GPU, compared number by number; compute-sanitizer
#        where it is installed.
# bench: the laws, then nsamp bench of every system at sizes for a GPU, all of it within NSAMP_GPU_SECONDS (460) of the
#        start; what time does not allow is named and left out. With MAKE it first builds NSAMP with that, for this GPU's
#        architecture alone.
# Both write gpu-*.txt to NSAMP_GPU_RESULTS (bench/results), with the GPU's name, its clocks and the date. Without a usable
# GPU: one line and exit code 1. tests/test_gpu_script.c runs it with a false GPU.
set -u
what=$1 nsamp=$2 make=${3:-}
began=$(date +%s)
deadline=$((began + ${NSAMP_GPU_SECONDS:-460}))
results=${NSAMP_GPU_RESULTS:-bench/results}
fail() {
    echo "$what-gpu: $*" >&2
    exit 1
}
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -1)
[ -n "$gpu" ] || fail "no NVIDIA GPU here (nvidia-smi finds none)"
clocks=$(nvidia-smi --query-gpu=clocks.sm,clocks.max.sm,clocks.mem,power.limit --format=csv,noheader 2>/dev/null | head -1)
if [ -n "$make" ]; then
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
    timeout -k 5 "$((deadline - $(date +%s)))" "$make" -s -j"$(nproc)" ARCH="$capability" BUILD="$(dirname "$nsamp")" "$nsamp" ||
        fail "building failed, or took all the time there is"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
job="$work/job.ini"
printf '[target]\nname = equicorrelated\n' >"$job"
"$nsamp" run "$job" run.backend=cuda run.dry=yes >/dev/null 2>"$work/why" || fail "$(cat "$work/why")"

same() {
    for backend in cpu cuda; do
        "$nsamp" run "$job" "$@" run.backend=$backend run.accumulate_every=10 output.file="$work/$backend.nc" output.overwrite=yes >"$work/log" 2>&1 &&
            "$nsamp" stats "$work/$backend.nc" --json >"$work/$backend.all" || {
            echo "FAILED   $backend: $*"
            cat "$work/log"
            return 1
        }
    done
    for backend in cpu cuda; do # without what names the run itself
        sed '/^ "file":/d; /^ "job": {/,/^ },/d; /^ *"seconds":/d' "$work/$backend.all" >"$work/$backend.json"
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
    # enough chains for a thread each, whose steps share the last block of draws
    for dim in 1 2 5 6 9 10 13 14; do same target.dim=$dim run.chains=262144 run.steps=51 || bad=1; done
    same target.name=heart run.chains=4096 run.steps=101 || bad=1
    same target.name=mixture target.means=-1,1 target.sds=0.8 target.dim=1 run.chains=4096 run.steps=101 || bad=1
    same target.name=mixture target.weights=1,2,3 target.means=-1,0,1 target.sds=0.5 target.dim=7 system.geometry=natural \
        run.chains=4096 run.steps=101 || bad=1
    same target.name=mixture target.weights=1,2,3,4,5,6,7 target.means=-6,-2,-1,0,1,2,3 target.sds=0.5 target.dim=3 run.chains=4096 \
        run.steps=101 || bad=1
    for geometry in naive natural; do # full covariances
        same target.name=mixture target.file="$(dirname "$0")/../tests/data/mixture7.txt" target.dim=7 system.geometry=$geometry \
            system.dt=0.01 run.chains=4096 run.steps=101 || bad=1
    done
    same target.name=gaussian target.file=builtin:decay target.rho=0.7 target.dim=5 run.chains=4096 run.steps=101 || bad=1
    same target.name=mixture target.means=-1,1 target.sds=0.8 target.dim=10 run.chains=4096 run.steps=500 || bad=1
    same target.name=gaussian target.file=builtin:decay target.rho=0.7 target.dim=64 run.chains=4096 run.steps=500 || bad=1
    same system.name=rsn system.model=builtin:linear target.dim=2 train.hidden=1000 run.chains=4096 run.steps=200 || bad=1
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

# ---- bench: everything in one command, within NSAMP_GPU_SECONDS of its start, building included ----

left() {
    echo $((deadline - $(date +%s)))
}

# An item: a title, then the arguments of `nsamp bench`. Its table goes to the result, its numbers to a JSON file beside.
# One that fails or runs out of time does not keep the others from being measured.
item() {
    local title=$1 rc
    shift
    count=$((count + 1))
    if [ "$(left)" -lt 5 ]; then
        echo "LEFT OUT $title: no time left"
        missing=$((missing + 1))
        return
    fi
    echo "== $title: nsamp bench $*"
    timeout -k 5 "$(left)" "$nsamp" bench --quick "$@" run.backend=cuda -o "${out%.txt}-$count.json" 2>&1
    rc=$?
    [ $rc -eq 0 ] && return
    missing=$((missing + 1))
    if [ $rc -eq 124 ] || [ $rc -eq 137 ]; then
        echo "STOPPED  $title: out of time"
    else
        echo "FAILED   $title: exit code $rc"
    fi
}

bench() {
    count=0 missing=0
    echo "== laws on this GPU, first"
    if ! timeout -k 5 "$(left)" "$nsamp" check run.backend=cuda 2>&1; then
        echo "FAILED   the laws: nothing is timed"
        return 1
    fi
    item "small" langevin rsn mh-spiking --size small run.chains=1048576
    item "langevin, d 10 to 1000" langevin --size medium run.chains=65536
    item "networks of m 64 and mh-spiking of p 10" rsn mh-spiking --size medium run.chains=131072
    item "networks of m 16, bf16" rsn --size medium run.chains=131072 target.dim=16 run.precision=bf16
    item "networks of m 300 and 784" rsn --size large run.chains=16384
    item "training" training --size large
    item "training, bf16" training --size large train.precision=bf16
    item "mh-spiking, p 50" mh-spiking --size large run.chains=131072
    for size in "small 1048576" "medium 65536" "large 4096"; do
        # shellcheck disable=SC2086
        set -- $size
        item "langevin, $1, fast (equicorrelated alone has it)" langevin --size "$1" run.chains="$2" run.math=fast
    done
    item "langevin, d 512 and 10,000" langevin --size large run.chains=4096
    item "networks of m 300 and 784, tf32" rsn --size large run.chains=16384 run.precision=tf32
    item "training, tf32" training --size large train.precision=tf32
    item "networks of m 64, tf32" rsn --size medium run.chains=131072 run.precision=tf32
    echo "$((count - missing)) of $count items measured in $(($(date +%s) - began)) s"
    [ $missing -eq 0 ]
}

mkdir -p "$results"
out=$results/gpu-$what-$(date +%Y-%m-%d).txt
printf 'GPU      %s\nclocks   %s (SM now, SM most, memory, power limit)\ndate     %s\n' "$gpu" "$clocks" "$(date -u +%Y-%m-%dT%H:%MZ)" | tee "$out"
"$what" 2>&1 | tee -a "$out"
[ "${PIPESTATUS[0]}" -eq 0 ] || fail "something failed: $out"
echo "$what-gpu: passed: $out"
