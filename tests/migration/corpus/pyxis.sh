#!/bin/bash
#SBATCH --job-name=nemo
#SBATCH --account=nlp
#SBATCH --partition=h100
#SBATCH --gpus-per-node=8
#SBATCH --container-image=nvcr.io#nvidia/nemo:24.12
#SBATCH --container-mounts=/scratch/nlp:/workspace,/projects:/projects
#SBATCH --time=4:00:00

srun --mpi=pmix python pretrain.py
