#!/bin/bash
# run.sh: each call of a kind that small runs of nsamp make fails in turn (faults.c), and each time: a documented exit code and one line,
# never a signal; nothing under a final name but what an unbroken run leaves there; no temporary file; and the same command once more
# ends as the unbroken one did. Usage: run.sh NSAMP LIBFAULTS [SCENARIO...]. NSAMP_SLOW=1: every k (or each NSAMP_FAULT_STEP-th); otherwise a few. NSAMP_FAULT_KINDS: these kinds only.
# Output: TAP, one line for each scenario and kind of call.
nsamp=$1 library=$2
shift 2
slow=${NSAMP_SLOW:-}
kinds=${NSAMP_FAULT_KINDS:-alloc open write sync rename close truncate reserve process thread}
declare -A with=([alloc]=12 [open]=5 [write]=28 [sync]=5 [rename]=122 [close]=5 [truncate]=28 [reserve]=28 [process]=11 [thread]=11)
if [ $# -gt 0 ]; then
    scenarios=$*
elif [ -n "$slow" ]; then
    scenarios="run draws resume train train-stop train-resume stats json plot plot-draws plot-loss"
else
    scenarios="draws train stats plot"
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export TMPDIR=$folder/tmp OMP_NUM_THREADS=1
count=0 bad=0

small="target.dim=2 target.rho=0.5 run.chains=16 run.steps=40 run.threads=1 run.seed=3"
recorded="$small record.every=5 output.file=o.nc"
network="target.dim=2 target.rho=0.5 train.draws=1000 train.hidden=4 train.batch=100 train.sigmas=1,0.5 train.epochs=1 run.threads=1 model.file=m.nc"

# What a scenario runs, and with which words it is taken up again after a failure that left a checkpoint.
words() {
    case $1 in
    run) echo "run $small output.file=o.nc" ;;
    draws) echo "run $recorded run.checkpoint_every_s=1e-9" ;;
    resume) echo "run $recorded run.resume=yes" ;;
    train) echo "train $network train.checkpoint_every_s=1e-9" ;;
    train-stop) echo "train $network train.max_batches=5" ;;
    train-resume) echo "train $network train.resume=yes" ;;
    stats) echo "stats o.nc" ;;
    json) echo "stats --json o.nc" ;;
    plot) echo "plot --kind moments o.nc -o p.png" ;;
    plot-draws) echo "plot o.nc -o p.svg" ;;
    plot-loss) echo "plot m.nc -o p.pdf" ;;
    esac
}

# The folder as it is before the command.
prepare() {
    rm -rf work && mkdir -p work tmp && cd work || exit 1
    case $1 in
    stats | json | plot | plot-draws) cp ../given/o.nc . ;;
    plot-loss) cp ../given/m.nc . ;;
    resume) cp ../given/stopped/* . ;;
    train-resume) cp ../given/trained/* . ;;
    esac
}

# What a file holds that does not depend on the clock.
content() {
    case $1 in
    *o.nc) "$nsamp" stats --json "$1" | sed -E 's/"(seconds|output\.[a-z]*|run\.resume|run\.checkpoint_every_s|file)": *("[^"]*"|[^,}]*)//g' ;;
    *.pdf) grep -av CreationDate "$1" ;;
    *) cat "$1" ;;
    esac
}

same() { cmp -s <(content "$1") <(content "$2"); }

complain() { complaints+="    $1 $2 k=$3: $4"$'\n'; }

# Looks at what the command with the fault left. Arguments: scenario, kind, k, exit code, the code of the unbroken one.
inspect() {
    local lines left file
    lines=$(grep -vc '^nsamp: note: ' ../err)
    case $4 in
    0 | 3 | 4 | 5 | 75) ;;
    2) complain "$1" "$2" "$3" "ends with 2: $(head -c 200 ../err)" ;;
    *) complain "$1" "$2" "$3" "ended with $4: $(head -c 200 ../err)" ;;
    esac
    if [ "$4" -ne 0 ] && [ "$4" -ne 75 ]; then
        [ "$lines" -eq 1 ] || complain "$1" "$2" "$3" "$lines lines: $(head -c 300 ../err)"
        [[ $1 != stats && $1 != json ]] || grep -q "standard output" ../err || [ ! -s ../out ] || complain "$1" "$2" "$3" "printed before it failed"
    elif [ "$4" -ne "$5" ]; then
        complain "$1" "$2" "$3" "ends with $4 in the place of $5"
    fi
    for file in o.nc m.nc p.png p.svg p.pdf; do
        [ -e "$file" ] || continue
        if [ -e "../reference/$file" ]; then
            same "$file" "../reference/$file" || complain "$1" "$2" "$3" "$file is not that of an unbroken run"
        fi
    done
    for left in *.tmp-* ../tmp/*; do
        [ ! -e "$left" ] || complain "$1" "$2" "$3" "left $left ($(head -c 200 ../err))"
    done
    rm -rf ../tmp/*
    if [ -e o.nc.draws ] && [ ! -e o.nc.ckpt ] && [ ! -e o.nc.ckpt.prev ]; then
        complain "$1" "$2" "$3" "left draws without a checkpoint ($(head -c 200 ../err))"
    fi
}

# The same command, without the fault.
again() {
    local more="" file code
    if [ -e o.nc.ckpt ] || [ -e o.nc.ckpt.prev ]; then more="run.resume=yes"; fi
    if [ -e m.nc.ckpt ] || [ -e m.nc.ckpt.prev ]; then more="train.resume=yes"; fi
    for file in o.nc m.nc; do
        [[ $1 != plot* && $1 != stats && $1 != json ]] && [ -e $file ] && return # it was finished
    done
    # shellcheck disable=SC2046,SC2086
    "$nsamp" $(words "$1" | sed 's/train.max_batches=5//') $more >../out2 2>../err2
    code=$?
    [ $code -eq 0 ] || complain "$1" "$2" "$3" "the next one ended with $code: $(head -c 200 ../err2)"
    for file in o.nc m.nc p.png p.svg p.pdf; do
        if [ -e ../finished/$file ]; then
            same "$file" ../finished/$file || complain "$1" "$2" "$3" "the next one's $file is another"
        fi
    done
    [[ $1 != stats && $1 != json ]] || cmp -s ../out2 ../reference/out || complain "$1" "$2" "$3" "the next one says something else"
}

# All faults of one kind in a scenario.
go_over() {
    local k=1 code expected=$3 faults=0
    complaints=""
    while :; do
        prepare "$1"
        rm -f ../mark
        # shellcheck disable=SC2046
        LD_PRELOAD=$library NSAMP_FAULT_KIND=$2 NSAMP_FAULT_AT=$k NSAMP_FAULT_ERRNO=${with[$2]} NSAMP_FAULT_MARK=../mark \
            timeout 60 "$nsamp" $(words "$1") >../out 2>../err
        code=$?
        if [ ! -e ../mark ]; then
            cd ..
            break
        fi
        faults=$((faults + 1))
        inspect "$1" "$2" "$k" $code "$expected"
        again "$1" "$2" "$k"
        cd ..
        if [ -n "$slow" ]; then k=$((k + ${NSAMP_FAULT_STEP:-1})); else k=$((k * 6)); fi
    done
    count=$((count + 1))
    if [ -z "$complaints" ]; then
        echo "ok $count - $1: $faults faults of kind $2"
    else
        bad=$((bad + 1))
        echo "not ok $count - $1: $faults faults of kind $2"
        printf '%s' "$complaints" | head -12
    fi
}

# ---- what the scenarios start from ----
mkdir -p given/stopped given/trained tmp
(
    cd given || exit 1
    # shellcheck disable=SC2086
    "$nsamp" run -q $recorded && "$nsamp" train -q $network || exit 1
    # Killed where the fourth checkpoint gets its name.
    # shellcheck disable=SC2086
    (cd stopped && LD_PRELOAD=$library NSAMP_FAULT_KIND=rename NSAMP_FAULT_AT=7 NSAMP_FAULT_ERRNO=kill NSAMP_FAULT_MARK=../mark \
        "$nsamp" run -q $recorded run.checkpoint_every_s=1e-9) 2>/dev/null
    # shellcheck disable=SC2086
    (cd trained && "$nsamp" train -q $network train.max_batches=5) 2>/dev/null
    rm -f stopped/*.tmp-* # of the killed one, which the next one sweeps
    [ -e stopped/o.nc.ckpt ] && [ -e trained/m.nc.ckpt ]
) 2>/dev/null || { echo "not ok 1 - the runs that all start from"; exit 1; }

for scenario in $scenarios; do
    if [[ $scenario == plot* ]] && ! command -v gnuplot >/dev/null; then
        count=$((count + 1))
        echo "ok $count # SKIP $scenario: gnuplot is not installed"
        continue
    fi
    # shellcheck disable=SC2046
    (prepare "$scenario"; "$nsamp" $(words "$scenario") >out 2>../err)
    expected=$?
    rm -rf reference finished
    mv work reference
    case $scenario in # what the next command ends with
    train-stop) mkdir finished && cp given/m.nc finished ;;
    *) cp -r reference finished ;;
    esac
    for kind in $kinds; do
        if [ "$kind" = alloc ] && "$nsamp" --version | grep -q '^CUDA *yes'; then
            count=$((count + 1))
            echo "ok $count # SKIP $scenario, alloc: the CUDA runtime within the program does not survive a failed allocation of its own"
            continue
        fi
        go_over "$scenario" "$kind" $expected
    done
done
[ $bad -eq 0 ]
