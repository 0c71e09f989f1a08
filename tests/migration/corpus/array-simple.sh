#!/bin/bash
#SBATCH --job-name=sweep
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --array=0-9%4
#SBATCH --time=2:00:00
#SBATCH --output=/scratch/nlp/sweep/%A_%a.out

SEEDS=(11 12 13 14 15 16 17 18 19 20)
python train.py --seed ${SEEDS[$SLURM_ARRAY_TASK_ID]}
