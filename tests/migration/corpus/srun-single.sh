#!/bin/bash
#SBATCH --job-name=eval
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gpus=1
#SBATCH --ntasks=1
#SBATCH --time=1:00:00

echo "evaluating on $(hostname)"
srun --unbuffered python -m evaluate.harness --tasks hellaswag,arc --limit 500
