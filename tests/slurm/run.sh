#!/bin/bash
# run.sh NSAMP: runs jobs/slurm-*.sh without Slurm. srun and scontrol are replaced: the first runs the command, and can stop it once
# as a time limit would; the second writes down what it was asked. Output is TAP. Given by tests/run.sh.
set -u
export NSAMP=$1
jobs=$(readlink -f "$(dirname "$0")/../../jobs")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
cd "$work" || exit 1
count=0

cat >bin/srun <<'EOF'
#!/bin/bash
# With a file named `limit` here: stop at the first look at the clock, once; the run must last several of the 0.5 s between two looks.
echo "$*" >>srun.log
if [ -e limit ]; then
    rm limit
    exec "$@" run.max_walltime_s=0.01
fi
exec "$@"
EOF
cat >bin/scontrol <<'EOF'
#!/bin/bash
echo "$*" >>scontrol.log
EOF
chmod +x bin/srun bin/scontrol
export PATH=$work/bin:$PATH

cat >small.ini <<'EOF'
[target]
dim = 4
[run]
chains = 256
steps = 6000000
EOF

# report NAME STATUS: a line of TAP; what the scripts printed where it failed.
report() {
    count=$((count + 1))
    if [ "$2" -eq 0 ]; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1"
        cat log srun.log 2>/dev/null
    fi
}

# What a run found, without times, the name of the file and how it was asked to run.
numbers() { "$NSAMP" stats "$1" --json | sed -n '/"moments"/,$p' | grep -v '"seconds"'; }

test_syntax() {
    for script in "$jobs"/slurm-*.sh; do
        bash -n "$script" || return 1
        ! command -v shellcheck >/dev/null || shellcheck "$script" || return 1
    done
}

test_seeds() {
    for task in 2 3; do
        SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=2 "$jobs/slurm-seeds.sh" small.ini run.steps=100 || return 1
    done
    [ "$(numbers small-seed2.nc)" != "$(numbers small-seed3.nc)" ] &&
        "$NSAMP" stats small-seed3.nc --json | grep -q '"run.seed": 3'
}

test_sweep() {
    for task in 0 9; do
        SLURM_ARRAY_TASK_ID=$task "$jobs/slurm-sweep.sh" small.ini run.steps=100 || return 1
    done
    "$NSAMP" stats small-naive-0.nc --json | grep -q '"system.geometry": "naive"' &&
        "$NSAMP" stats small-natural-0.9.nc --json | grep -q '"target.rho": 0.9'
}

# Stopped with a checkpoint, queued again, and at the end the numbers of a run that was not stopped.
test_requeue() {
    touch limit
    SLURM_JOB_ID=17 "$jobs/slurm-requeue.sh" small.ini output.file=long.nc || return 1
    [ "$(cat scontrol.log)" = "requeue 17" ] && [ -e long.nc.ckpt ] && [ ! -e long.nc ] || return 1
    # a damaged checkpoint is refused, which shows that it is read
    cp long.nc.ckpt whole.ckpt && truncate -s -8 long.nc.ckpt
    ! SLURM_JOB_ID=17 "$jobs/slurm-requeue.sh" small.ini output.file=long.nc || return 1
    mv whole.ckpt long.nc.ckpt
    SLURM_JOB_ID=17 "$jobs/slurm-requeue.sh" small.ini output.file=long.nc || return 1
    [ "$(wc -l <scontrol.log)" -eq 1 ] && [ ! -e long.nc.ckpt ] || return 1
    "$NSAMP" run small.ini output.file=whole.nc && [ "$(numbers long.nc)" = "$(numbers whole.nc)" ]
}

# Any other end is passed on, without a new place in the queue.
test_failure_is_passed_on() {
    SLURM_JOB_ID=18 "$jobs/slurm-requeue.sh" small.ini run.steps=none output.file=bad.nc
    [ $? -eq 2 ] && ! grep -q 18 scontrol.log
}

test_gpu_is_asked_for() {
    "$jobs/slurm-gpu.sh" small.ini run.dry=yes
    local status=$?
    tail -1 srun.log | grep -q 'run.backend=cuda' || return 1
    if nvidia-smi -L >/dev/null 2>&1; then [ $status -eq 0 ]; else [ $status -ne 0 ]; fi
}

echo "1..6"
for test in syntax seeds sweep requeue failure_is_passed_on gpu_is_asked_for; do
    "test_$test" >log 2>&1
    report "$test" $?
done
