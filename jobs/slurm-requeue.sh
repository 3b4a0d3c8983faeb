#!/bin/bash
# slurm-requeue.sh JOB.ini [section.key=value ...]: a run that is longer than the time limit. Two minutes before the limit Slurm sends
# SIGUSR1 to nsamp, which writes a checkpoint and ends with 75; the job then queues again and goes on from there. The same
# holds for a preemption (SIGTERM). The result is that of a run that was never stopped.
#   sbatch jobs/slurm-requeue.sh jobs/equicorrelated.ini run.steps=1e9 output.file=long.nc
# The job must name an output (output.file); the checkpoint lies beside it.
#SBATCH --job-name=nsamp-long
#SBATCH --cpus-per-task=8
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
set -euo pipefail
status=0
srun "${NSAMP:-nsamp}" run "$@" run.threads="${SLURM_CPUS_PER_TASK:-1}" run.resume=yes || status=$?
if [ "$status" -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$status"
