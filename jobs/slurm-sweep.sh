#!/bin/bash
# slurm-sweep.sh JOB.ini [section.key=value ...]: a sweep with a task for each point, here geometry by correlation, ten points. (A
# sweep inside a job, target.rho=0:0.25:0.75, takes its points one after the other; this one takes them side by side.)
#   sbatch jobs/slurm-sweep.sh jobs/mh-spiking.ini
#SBATCH --job-name=nsamp-sweep
#SBATCH --array=0-9
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=01:00:00
#SBATCH --output=%x-%A_%a.log
set -euo pipefail
geometries=(naive natural)
rhos=(0 0.25 0.5 0.75 0.9)
point=$SLURM_ARRAY_TASK_ID
geometry=${geometries[point / ${#rhos[@]}]}
rho=${rhos[point % ${#rhos[@]}]}
name=$(basename "$1" .ini)
srun "${NSAMP:-nsamp}" run "$@" system.geometry="$geometry" target.rho="$rho" run.threads="${SLURM_CPUS_PER_TASK:-1}" \
    output.file="$name-$geometry-$rho.nc"
