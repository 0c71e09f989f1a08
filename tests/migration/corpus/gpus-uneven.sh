#!/bin/bash
#SBATCH --job-name=uneven
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --nodes=2
#SBATCH --gpus=7
#SBATCH --ntasks=7

srun python many.py
