#!/bin/bash
#SBATCH --job-name=elastic
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=2-4
#SBATCH --gpus-per-node=4
#SBATCH --ntasks-per-node=1
#SBATCH --time=8:00:00

srun torchrun --nnodes=2:4 --nproc-per-node=4 --max-restarts=3 train_elastic.py
