#!/bin/bash
#SBATCH --job-name=two-parts
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --ntasks=1
#SBATCH hetjob
#SBATCH --partition=gpu
#SBATCH --gres=gpu:4

srun --het-group=0 python loader.py : --het-group=1 python train.py
