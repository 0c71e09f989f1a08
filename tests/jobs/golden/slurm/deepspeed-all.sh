#!/bin/bash

# Slurm counts the restarts.
export FOUNDRY_ATTEMPT=$((${SLURM_RESTART_COUNT:-0} + 1))
if [ "$FOUNDRY_ATTEMPT" -gt 4 ]; then
  echo "foundry: retry: begun again 3 times already (most: 3): not run" >&2
  exit 1
fi

# `module` is a function, which not every job inherits.
if ! command -v module >/dev/null 2>&1; then
  for foundry_file in "${MODULESHOME:-}/init/bash" /etc/profile.d/modules.sh /etc/profile.d/lmod.sh /usr/share/lmod/lmod/init/bash; do
    if [ -r "$foundry_file" ]; then . "$foundry_file"; break; fi
  done
fi
if ! command -v module >/dev/null 2>&1; then
  echo "foundry: modules: there is no \`module\` command on ${SLURMD_NODENAME:-this node}" >&2
  exit 1
fi
module load cuda/12.4 || {
  printf 'foundry: modules: %s was not loaded on %s\n' cuda/12.4 "${SLURMD_NODENAME:-this node}" >&2
  exit 1
}
module load nccl || {
  printf 'foundry: modules: %s was not loaded on %s\n' nccl "${SLURMD_NODENAME:-this node}" >&2
  exit 1
}

# Secrets are files of the user.
foundry_secret() {
  foundry_file=${FOUNDRY_SECRETS:-$HOME/.config/foundry/secrets}/$2
  if [ -d "$foundry_file" ]; then foundry_file=$foundry_file/$3; fi
  if [ ! -f "$foundry_file" ] || [ ! -r "$foundry_file" ]; then
    echo "foundry: secrets.$1: on ${SLURMD_NODENAME:-this node} there is no file $foundry_file that you can read;" \
      "put the value into it and run \`chmod 600\` on it" >&2
    exit 1
  fi
  case $(stat -L -c %a -- "$foundry_file") in
    *00) ;;
    *)
      echo "foundry: secrets.$1: others can read $foundry_file: run \`chmod 600\` on it" >&2
      exit 1
      ;;
  esac
  export "$1=$(cat -- "$foundry_file")"
}
foundry_secret HF_TOKEN hf-token HF_TOKEN
foundry_secret KEY 'a b' 'it'"'"'s'

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

# The checkpoint signal comes here, and is passed on to the step.
foundry_job=$SLURM_JOB_ID
if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
  foundry_job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
fi
foundry_timer=
foundry_tell() {
  foundry_told=1
  if [ -n "$foundry_step" ]; then kill -s USR1 "$foundry_step"; fi
  if [ "$FOUNDRY_ATTEMPT" -le 3 ] && [ -z "$foundry_timer" ]; then
    (sleep 90 >/dev/null 2>&1
     exec scontrol requeue "$foundry_job" >&2) &
    foundry_timer=$!
  fi
}
foundry_step=
trap foundry_tell USR1
srun --export=ALL --kill-on-bad-exit=1 "--ntasks=$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} \
  /bin/sh -c 'trap "" USR1; exec "$@"' foundry-launch \
  torchrun --nnodes=2 --nproc-per-node=4 "--rdzv-id=$SLURM_JOB_ID" --rdzv-backend=c10d "--rdzv-endpoint=$MASTER_ADDR:$MASTER_PORT" --no-python \
  /bin/sh -c '[ "${RANK:-${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-${PMI_RANK:-${SLURM_PROCID:-0}}}}}" = 0 ] || unset MLFLOW_RUN_ID; exec "$@"' foundry-rank /bin/sh -c 'trap : USR1
python train.py --name "it'"'"'s $HOME" <<'"'"'END'"'"'
a line with '"'"'quotes'"'"', $variables and `commands`
END
' &
foundry_step=$!
# A signal ends a wait too; bash keeps the code of a step that is over.
while
  foundry_told=
  wait "$foundry_step"
  foundry_code=$?
  [ -n "$foundry_told" ]
do :; done
if [ -n "$foundry_timer" ]; then
  kill "$foundry_timer" 2>/dev/null
  echo "foundry: attempt $FOUNDRY_ATTEMPT ends before its time limit: back into the queue" >&2
  scontrol requeue "$foundry_job" >&2 && exit 0
fi
exit "$foundry_code"

# sbatch --job-name=train
# sbatch --account=ml
# sbatch --nodes=2
# sbatch --ntasks-per-node=1
# sbatch --gres=gpu:4
# sbatch --cpus-per-task=32
# sbatch --time=1:00:00
# sbatch --chdir=/shared/ann
# sbatch --array=0-9%4
# sbatch --dependency=afterok:12:13_4
# sbatch --mail-type=END,FAIL
# sbatch --signal=B:USR1@120
# sbatch --requeue
# sbatch --open-mode=append
# checkpoint.path: all tasks of the array are given /shared/ann/ckpt; the program has to keep them apart by SLURM_ARRAY_TASK_ID
# 2 nodes with 4 GPUs each: 8 GPUs in all
