#!/bin/bash
# run.sh: runs test programs (cmocka, TAP output), prints one line a program and what failed, and sums up.
# Usage: run.sh PROGRAM...   Exit 1 when a test fails, a program dies, or nothing ran.
# Other suites join in through NSAMP_EXTRA_COUNTS: files that hold "passed failed skipped".
export CMOCKA_MESSAGE_OUTPUT=TAP
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "$# test programs, one after the other; all of them take some minutes. Each is named as it starts."
skips=""
for program in "$@"; do
    start=$SECONDS
    printf '%-28s ' "$(basename "$program")"
    timeout "${NSAMP_TEST_TIMEOUT:-300}" "$program" >"$log" 2>&1 </dev/null
    rc=$?
    # cmocka writes a skip as "not ok N # SKIP name", a failure as "not ok N - name".
    skip=$(grep -cE '^(not )?ok [0-9]+ # SKIP' "$log")
    good=$(grep -cE '^ok [0-9]+ - ' "$log")
    bad=$(grep -cE '^not ok [0-9]+ - ' "$log")
    if { [ $rc -ne 0 ] && [ "$bad" -eq 0 ]; } || [ $((good + bad + skip)) -eq 0 ]; then
        bad=$((bad + 1))
        died="ended with status $rc"
    else
        died=""
    fi
    printf '%3d passed, %d failed, %d skipped  (%d s)\n' "$good" "$bad" "$skip" $((SECONDS - start))
    sed -nE 's/^(not )?ok [0-9]+ # SKIP (.*)/  skipped: \2/p' "$log"
    [ -z "$died" ] || echo "$(basename "$program"): $died"
    # A test says why it skips in the line before.
    [ "$skip" -eq 0 ] || skips+=$(awk -v program="$(basename "$program")" '/^(not )?ok [0-9]+ # SKIP/ {
        sub(/^.*# SKIP /, ""); print "  " program ": " $0 ": " (why ? why : "no reason given"); why = ""; next }
        /^(not )?ok |^1\.\./ { why = ""; next } NF { why = $0 }' "$log")$'\n'
    [ "$bad" -eq 0 ] || grep -vE "^ok [0-9]+|# SKIP" "$log" | head -60
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
for counts in ${NSAMP_EXTRA_COUNTS:-}; do
    if read -r p f s <"$counts"; then
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        failed=$((failed + 1))
    fi
done
[ -z "$skips" ] || printf 'skipped:\n%s' "$skips"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
