#!/usr/bin/env bash
# One training over the nodes of a Slurm job, one process a node; jax.distributed reads Slurm's own
# variables. A requeued job goes on where it stopped, and SIGTERM saves first.
#   sbatch --nodes=2 --gpus-per-node=8 launch/slurm.sh --config=gan_int_cls:cub \
#       --workdir=/shared/runs/birds
#SBATCH --job-name=t2i_jax
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail
exec srun python -m t2i_jax.train --multihost "$@"
