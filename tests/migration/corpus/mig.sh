#!/bin/bash
#SBATCH --job-name=small
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --gres=gpu:3g.20gb:1
#SBATCH --time=1:00:00

python infer.py --batch 8
