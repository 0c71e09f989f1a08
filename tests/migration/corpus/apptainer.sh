#!/bin/bash
#SBATCH --job-name=app
#SBATCH --account=astro
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

srun apptainer exec --nv --bind /scratch docker://registry.example.org/astro/cuda:2 python fit.py
