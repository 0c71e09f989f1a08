#!/bin/bash
#SBATCH --job-name=fewer
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1

srun -N1 -n1 python coordinator.py
