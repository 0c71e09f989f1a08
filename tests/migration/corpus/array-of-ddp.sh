#!/bin/bash
#SBATCH --job-name=grid
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gpus-per-node=2
#SBATCH --array=0-3
#SBATCH --time=5:00:00

LRS=(1e-4 3e-4 1e-3 3e-3)
torchrun --nproc_per_node=2 train.py --lr ${LRS[$SLURM_ARRAY_TASK_ID]} --job $SLURM_ARRAY_JOB_ID
