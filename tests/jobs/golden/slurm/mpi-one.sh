#!/bin/bash

# The processes meet on the first node, at a port of this job.
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 40000))
export MASTER_ADDR MASTER_PORT
if [ -z "$MASTER_ADDR" ]; then
  echo "foundry: scontrol did not tell the nodes of this job" >&2
  exit 1
fi
export NCCL_DEBUG=${NCCL_DEBUG:-WARN}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}

exec srun --export=ALL --kill-on-bad-exit=1 --mpi=pmix "--ntasks=$((SLURM_JOB_NUM_NODES * 4))" --ntasks-per-node=4 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} \
  /bin/sh -c '[ "${RANK:-${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-${PMI_RANK:-${SLURM_PROCID:-0}}}}}" = 0 ] || unset MLFLOW_RUN_ID; exec "$@"' foundry-rank /bin/sh -c 'python train.py --name "it'"'"'s $HOME" <<'"'"'END'"'"'
a line with '"'"'quotes'"'"', $variables and `commands`
END
'

# sbatch --job-name=train
# sbatch --nodes=1
# sbatch --ntasks-per-node=4
# sbatch --gres=gpu:4
# sbatch --cpus-per-task=8
# sbatch --time=1:00:00
