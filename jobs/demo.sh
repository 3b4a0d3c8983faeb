#!/bin/sh
# demo.sh NSAMP: trains a reservoir-sampler network on 9,000 of the built-in digits (jobs/digits.ini), samples 4,096 chains
# (jobs/digits-sample.ini), and shows what came out: a table and an image grid, in the folder demo/.
set -eu
nsamp=$1
jobs=$(dirname "$0")
out=demo
mkdir -p "$out"
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.0f", b - a }'; }

echo "training on 9,000 real digits, 1,000 held out"
start=$(now)
"$nsamp" train "$jobs/digits.ini" model.file="$out/digits.nc" model.overwrite=yes | tee "$out/train.txt"
train_s=$(since "$start")

echo
echo "sampling 4,096 chains"
start=$(now)
status=0
"$nsamp" run "$jobs/digits-sample.ini" system.model="$out/digits.nc" output.file="$out/samples.nc" output.overwrite=yes \
    >"$out/run.txt" || status=$?
sample_s=$(since "$start")
# 3: some chains diverged; they are counted below and left out of everything
[ $status -eq 0 ] || [ $status -eq 3 ] || { cat "$out/run.txt"; exit $status; }
"$nsamp" stats "$out/samples.nc" >"$out/stats.txt"
"$nsamp" plot "$out/samples.nc" -o "$out/digits.png"
"$nsamp" plot "$out/digits.nc" -o "$out/loss.png"

loss=$(awk '$1 ~ /^[0-9]+$/ && NF == 4 { l = $4 } END { print l }' "$out/train.txt")
frechet=$(awk '/Frechet distance to held-out images/ { print $NF }' "$out/stats.txt")
floor=$(awk '/of the training images/ { print $NF }' "$out/stats.txt")
diverged=$(awk '/chains diverged/ { print $1 " of " $3 }' "$out/run.txt")
rhat=$(awk '/^R-hat/ { print $2 }' "$out/run.txt")
cat <<EOF

training                        $train_s s
held-out denoising loss         $loss
sampling                        $sample_s s
diverged chains                 $diverged
R-hat                           $rhat
Frechet distance to held-out    $frechet   (squared, 100 components; $floor of the training digits, and of a plain Gaussian like them)
digits                          $out/digits.png
loss curve                      $out/loss.png
samples, for ArviZ and xarray   $out/samples.nc
EOF
