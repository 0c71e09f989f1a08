#!/bin/bash
#SBATCH --job-name=squash
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
#SBATCH --container-image=/scratch/nlp/images/torch.sqsh

python train.py
