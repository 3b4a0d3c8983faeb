#!/bin/bash
# slurm-seeds.sh JOB.ini [section.key=value ...]: the same job with ten seeds, an array of ten tasks, an output each.
#   sbatch jobs/slurm-seeds.sh jobs/equicorrelated.ini target.dim=1000
#   nsamp stats equicorrelated-seed3.nc
#SBATCH --job-name=nsamp-seeds
#SBATCH --array=1-10
#SBATCH --cpus-per-task=8
#SBATCH --mem=4G
#SBATCH --time=01:00:00
#SBATCH --output=%x-%A_%a.log
set -euo pipefail
job=$1
name=$(basename "$job" .ini)
seed=$SLURM_ARRAY_TASK_ID
srun "${NSAMP:-nsamp}" run "$@" run.seed="$seed" run.threads="${SLURM_CPUS_PER_TASK:-1}" output.file="$name-seed$seed.nc"
