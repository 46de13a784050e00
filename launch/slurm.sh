#!/usr/bin/env bash
# One training over the nodes of a Slurm job, one process a node; jax.distributed reads Slurm's own
# variables. Options of sbatch come before the script, those of the training after it:
#   sbatch --nodes=2 --gpus-per-node=8 --time=24:00:00 launch/slurm.sh --config=gan_int_cls:cub \
#       --workdir=/shared/runs/birds
# Three minutes before the time limit the training saves, and the job is put into the queue again,
# where it goes on; --no-requeue, an option of sbatch, lets it end instead. A job that Slurm itself
# requeues, after preemption or when a node fails, goes on as well. This prints what a job would run:
#   bash launch/slurm.sh --dry_run --config=gan_int_cls:cub --workdir=/shared/runs/birds
#SBATCH --job-name=t2i_jax
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@180
set -euo pipefail
if [ "${1:-}" = --dry_run ]; then
    shift
    printf '%q ' srun python -m t2i_jax.train --multihost "$@"
    echo
    exit
fi
requeue=""
# To this script alone; srun hands SIGTERM on to all processes.
trap 'requeue=1; kill -TERM "$step"' USR1
trap 'kill -TERM "$step"' TERM
srun python -m t2i_jax.train --multihost "$@" &
step=$!
while kill -0 "$step" 2>/dev/null; do # a trapped signal ends `wait` early
    wait "$step" || true
done
status=0
wait "$step" || status=$?
if [ -n "$requeue" ] && [ "$status" -ne 0 ]; then # it has not come to its end meanwhile
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
