#!/bin/bash
#SBATCH --job-name=sif
#SBATCH --account=astro
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

singularity exec --nv /scratch/astro/env.sif python fit.py --n 10000
