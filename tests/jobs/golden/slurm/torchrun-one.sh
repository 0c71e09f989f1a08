#!/bin/bash

export NCCL_DEBUG=${NCCL_DEBUG:-WARN}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}

exec srun --export=ALL --kill-on-bad-exit=1 "--ntasks=$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} \
  torchrun --nnodes=1 --nproc-per-node=4 --standalone --no-python \
  /bin/sh -c '[ "${RANK:-${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-${PMI_RANK:-${SLURM_PROCID:-0}}}}}" = 0 ] || unset MLFLOW_RUN_ID; exec "$@"' foundry-rank /bin/sh -c 'python train.py --name "it'"'"'s $HOME" <<'"'"'END'"'"'
a line with '"'"'quotes'"'"', $variables and `commands`
END
'

# sbatch --job-name=train
# sbatch --nodes=1
# sbatch --ntasks-per-node=1
# sbatch --gres=gpu:4
# sbatch --cpus-per-task=32
# sbatch --time=1:00:00
