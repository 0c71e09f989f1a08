#!/bin/bash
#SBATCH --job-name=sig
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --time=60
#SBATCH --signal=SIGTERM@90

srun python train.py --save-on-term
