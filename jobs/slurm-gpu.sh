#!/bin/bash
# slurm-gpu.sh JOB.ini [section.key=value ...]: one GPU, and no silent fall back to the CPU.
#   sbatch jobs/slurm-gpu.sh jobs/equicorrelated.ini run.chains=65536 output.file=equicorrelated.nc
#SBATCH --job-name=nsamp-gpu
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
set -euo pipefail
srun "${NSAMP:-nsamp}" run "$@" run.backend=cuda run.threads="${SLURM_CPUS_PER_TASK:-1}"
