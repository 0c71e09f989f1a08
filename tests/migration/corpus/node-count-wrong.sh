#!/bin/bash
#SBATCH --job-name=mismatch
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=4
#SBATCH --gpus-per-node=4
#SBATCH --ntasks-per-node=1

NODES=2
srun torchrun --nnodes=$NODES --nproc-per-node=$PROCS train.py
