#!/bin/bash
#SBATCH --job-name=hook
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1

eval "$(conda shell.bash hook)"
conda activate /scratch/nlp/envs/diffusion
python sample.py --steps 50
