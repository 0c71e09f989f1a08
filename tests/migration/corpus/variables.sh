#!/bin/bash
#SBATCH --job-name=vars
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:2
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G

cd "$SLURM_SUBMIT_DIR"
echo "job $SLURM_JOB_ID ($SLURM_JOB_NAME) on $SLURM_JOB_NODELIST in $SLURM_JOB_PARTITION"
echo "restarts: ${SLURM_RESTART_COUNT:-0}, topology ${SLURM_TOPOLOGY_ADDR}"
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / SLURM_GPUS_ON_NODE))
python train.py --run "run-${SLURM_JOB_ID}" --workers ${SLURM_CPUS_PER_TASK} --gpus $SLURM_GPUS_ON_NODE
