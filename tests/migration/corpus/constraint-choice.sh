#!/bin/bash
#SBATCH --job-name=either-model
#SBATCH --account=vision
#SBATCH --constraint="[a100|h100]"
#SBATCH --gres=gpu:1
#SBATCH --nodelist=gpu07

python train.py
